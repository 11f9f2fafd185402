/* topology/source_time.h -- the event time of a source's row: what is usable, and why something is not.
 *
 * The source host stamps every row with it. A source that must still have the message behind a row to make a dead letter
 * of it looks itself before the host does, by the same rules. */
#ifndef LEAT_TOPOLOGY_SOURCE_TIME_H
#define LEAT_TOPOLOGY_SOURCE_TIME_H
#include "topology/graph.h"
#include <string.h>

/* Whether the field is a plain not-null long at a fixed offset: then a load does. */
static inline bool leat__source_time_is_plain(const struct leat_source_time *time)
{
    const struct leat_place *place = &time->place;
    return place->type->kind == LEAT_KIND_LONG && place->has_offset == LEAT_NOT_NULLABLE &&
        place->outer_has[0] == LEAT_NOT_NULLABLE;
}

/* The last time that is not too far ahead of the clock. */
static inline int64_t leat__source_time_limit(const struct leat_source_time *time, int64_t now_us)
{
    int64_t limit_us;
    if (time->max_ahead_us <= 0 || __builtin_add_overflow(now_us, time->max_ahead_us, &limit_us))
        return LEAT_TIME_MAX;
    return limit_us;
}

/* The record's event time to *us, whether or not it is usable; `plain` as above. */
static inline bool leat__source_time_read(
    const struct leat_source_time *time, bool plain, int64_t limit_us, const void *record, int64_t *us)
{
    *us = 0;
    if (plain)
        memcpy(us, (const char *)record + time->place.offset, sizeof *us);
    else if (leat_record_get_i64(record, &time->place, us) != 0)
        return false;
    if (time->to_us) {
        *us = time->to_us(*us);
        if (*us == LEAT_TIME_MIN || *us == LEAT_TIME_MAX) /* it saturates, and meets them in no other way */
            return false;
    }
    return *us <= limit_us;
}

/* Why the record's time is not usable, to err. */
void leat__source_time_explain(
    const struct leat_source_time *time, const void *record, struct leat_error *err);
#endif
