/* include/leat/deduplicate.h -- one record of those that mean the same.
 *
 * A record is a duplicate of one that was kept if both have the same key and their times are at most `within_us`
 * apart. Which of the two is kept:
 *
 *   keep               by               the stream
 *   LEAT_KEEP_FIRST    arrival          plain: the first to come is given at once, what comes later is dropped
 *   LEAT_KEEP_FIRST    event time       changes: an earlier one that comes later replaces it
 *   LEAT_KEEP_LAST     arrival          changes: each one replaces it
 *   LEAT_KEEP_LAST     event time       changes: unless it is of an earlier time
 *
 * At equal times the one that came first is the first. A record that is better than two kept ones replaces the
 * earlier of them, and the other one is taken back (DELETE). Of a kept record nothing is known any more when the
 * watermark is at its time + within_us, or the clock is past that: it stays as it was given. That is exact, and does
 * not depend on anything but times. A record behind the watermark (late) that is no duplicate of what is known may be
 * one of what is not: it is dropped and counted, and in the side output "late" (leat_side_output). */
#ifndef LEAT_DEDUPLICATE_H
#define LEAT_DEDUPLICATE_H
#include <leat/change.h>
#include <leat/key.h>
#include <leat/map.h>
#include <leat/timer.h>

enum leat_keep { LEAT_KEEP_FIRST = 1 /* default */, LEAT_KEEP_LAST };

struct leat_deduplicate_opts {
    enum leat_keep keep;
    int64_t within_us; /* > 0; LEAT_NEVER: for ever, and then nothing is forgotten, nor late */
    enum leat_time_kind
        time; /* default: LEAT_EVENT_TIME; LEAT_PROCESSING_TIME: when they come, by the wall clock */
    bool by_event_time; /* else by arrival */
};

LEAT_BEGIN_DECLS
LEAT_API leat_stream *leat_deduplicate_sized(
    leat_keyed_stream *in, const char *name, const struct leat_deduplicate_opts *opts, size_t size);
static inline leat_stream *leat_deduplicate(
    leat_keyed_stream *in, const char *name, const struct leat_deduplicate_opts *opts)
{
    return leat_deduplicate_sized(in, name, opts, sizeof *opts);
}
LEAT_END_DECLS
#endif
