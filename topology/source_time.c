/* topology/source_time.c -- why an event time is of no use. */
#include "topology/source_time.h"
#include "base/error.h"

void leat__source_time_explain(
    const struct leat_source_time *time, const void *record, struct leat_error *err)
{
    int64_t us = 0;
    const bool has = leat_record_get_i64(record, &time->place, &us) == 0;
    if (has && time->to_us)
        us = time->to_us(us);
    if (!has)
        (void)leat__error(err, LEAT_EDATA, "event time %s is null", time->field);
    else if (time->to_us && (us == LEAT_TIME_MIN || us == LEAT_TIME_MAX))
        (void)leat__error(err, LEAT_EDATA, "event time %s is beyond what microseconds can tell", time->field);
    else
        (void)leat__error(err, LEAT_EDATA,
            "event time %s, %lld us, is more than max_ahead_us ahead of the clock", time->field,
            (long long)us);
}
