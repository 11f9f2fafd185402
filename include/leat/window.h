/* include/leat/window.h -- windows over a keyed stream, and when they give results.
 *
 * A window is [start, end) in event time; results carry event time end - 1 (semantics 12). It fires when the
 * watermark passes its end and is forgotten when the watermark passes end - 1 + allowed lateness (18).
 *
 *   kind         set                                       windows of a record at time ts
 *   TUMBLING     size_us                                    the one that holds ts (13)
 *   HOPPING      size_us, slide_us                          each that begins at a multiple of slide_us (14)
 *   CUMULATING   size_us, step_us                           from one start, growing by step_us to size_us (15)
 *   CALENDAR     unit, zone                                 the day, week or month in a time zone (15)
 *   SESSION      gap_us or gap; max_length_us               what is no further apart than the gap (16)
 *   SLIDING      size_us                                    [t - size_us, t] for each time t of a record (17)
 *   COUNT        count, every                               the last `count` records of the key, every `every`
 *   GLOBAL       triggers                                   all there are
 */
#ifndef LEAT_WINDOW_H
#define LEAT_WINDOW_H
#include <leat/key.h>
#include <leat/timer.h>

enum leat_window_kind {
    LEAT_WINDOW_TUMBLING = 1, /* start = ts - floormod(ts - offset, size) */
    /* Every start = offset (mod slide) with ts - size < start <= ts; size need not be a multiple of slide. Of those
     * that would begin before LEAT_TIME_MIN only the last one exists, as [LEAT_TIME_MIN, its end): they could not be
     * told apart by their start. */
    LEAT_WINDOW_HOPPING,
    /* start as of TUMBLING; ends at start + step, start + 2 step, ... start + size. */
    LEAT_WINDOW_CUMULATING,
    /* Local midnight to local midnight: days of 23 or 25 hours where clocks are put forward or back. */
    LEAT_WINDOW_CALENDAR,
    /* Records of a key with |difference| <= gap are in one session: [first, last + gap). It
     * fires when the watermark has reached last + gap, behind which nothing joins it any more, and its results have
     * that event time (docs/decisions/0011). Sessions that become one: accumulators, what has not fired and the numbers of panes are added up; the new one is open again
     * if its end is ahead, with an ON_TIME pane of its own. RETRACTING: panes of all of them are deleted at once; a
     * pane with other bounds than the one it replaces is DELETE and INSERT, with the same ones an update pair.
     * Aggregates and triggers by callback must have merge. */
    LEAT_WINDOW_SESSION,
    /* Both ends inclusive, one for each distinct time of a record of the key: start = t - size, end = t + 1. A late
     * record gives its own window and each fired one that holds it again, but for those whose lateness is over; it
     * is too late when no window could hold it any more. Aggregates must have merge. A window is there from the first
     * record of its time on and begins with all that it holds then: these count for its triggers as well. With other
     * triggers than LEAT_ON_WATERMARK each window is evaluated by itself: a record costs as much as there are times
     * of records in size_us. */
    LEAT_WINDOW_SLIDING,
    /* Of the order of arrival; start and end are those of the times of its records: [least, most + 1). Fires
     * at its last record, whatever the watermark; what is left at the end of the input gives nothing, unless
     * LEAT_ON_WATERMARK is among the triggers. */
    LEAT_WINDOW_COUNT,
    LEAT_WINDOW_GLOBAL, /* [LEAT_TIME_MIN, LEAT_TIME_MAX); needs triggers. The watermark passes its end when
                           the input ends */
};

enum leat_calendar_unit { LEAT_DAY = 1, LEAT_WEEK, LEAT_MONTH, LEAT_YEAR };

enum leat_accumulation {
    /* Default: each pane is the result over all records so far and replaces the one before. */
    LEAT_ACCUMULATING = 1,
    LEAT_DISCARDING, /* each pane is over the records since the last one; none if there are none */
    /* As ACCUMULATING, but before a pane that replaces another, that one is given again, as UPDATE_BEFORE; the
     * output is a stream of changes (leat/change.h). */
    LEAT_RETRACTING,
};

/* ---- triggers ---- */

enum leat_trigger_kind {
    LEAT_TRIGGER_WATERMARK = 1,
    LEAT_TRIGGER_COUNT,
    LEAT_TRIGGER_EVENT_TIME,
    LEAT_TRIGGER_PROCESSING_TIME,
    LEAT_TRIGGER_USER,
};
struct leat_trigger_fn;
struct leat_trigger {
    enum leat_trigger_kind kind;
    uint64_t n; /* COUNT: records; EVENT_TIME, PROCESSING_TIME: microseconds */
    const struct leat_trigger_fn *fn; /* USER */
    bool late; /* of late panes: only after the watermark has passed the end. Else of early ones */
};
/* Several triggers: each fires by itself (any of). Those below that are not LATE make early panes. Without a
 * LATE one each late record gives a late pane at once. A firing starts all of them anew: counts from zero,
 * nothing changed since. */
/* clang-format off */
/* The on-time pane when the watermark passes the window's end. The default when no trigger is given. */
#define LEAT_ON_WATERMARK { LEAT_TRIGGER_WATERMARK, 0, NULL, false }
/* An early pane each n records of a window and key. */
#define LEAT_ON_COUNT(n_) { LEAT_TRIGGER_COUNT, (n_), NULL, false }
/* An early pane at multiples of the period, for windows and keys that have changed since the last pane; by the
 * watermark, up to the window's end, or by the wall clock. */
#define LEAT_EVERY_EVENT_TIME(us_) { LEAT_TRIGGER_EVENT_TIME, (uint64_t)(us_), NULL, false }
#define LEAT_EVERY_PROCESSING_TIME(us_) { LEAT_TRIGGER_PROCESSING_TIME, (uint64_t)(us_), NULL, false }
/* When a callback says so; made by LEAT_DEFINE_TRIGGER. It goes on after the window's end as well. */
#define LEAT_ON_TRIGGER(fn_) { LEAT_TRIGGER_USER, 0, (fn_), false }
/* Late panes together, instead of one for each late record. What has changed by the time the window goes is
 * given then. */
#define LEAT_LATE_ON_COUNT(n_) { LEAT_TRIGGER_COUNT, (n_), NULL, true }
#define LEAT_LATE_EVERY_EVENT_TIME(us_) { LEAT_TRIGGER_EVENT_TIME, (uint64_t)(us_), NULL, true }
#define LEAT_LATE_EVERY_PROCESSING_TIME(us_) { LEAT_TRIGGER_PROCESSING_TIME, (uint64_t)(us_), NULL, true }
/* clang-format on */

struct leat_bounds {
    int64_t start_us, end_us;
};

enum leat_fire {
    LEAT_CONTINUE = 0,
    LEAT_FIRE = 1, /* gives a pane */
    LEAT_PURGE = 2, /* forgets the contents: accumulators begin again */
    LEAT_FIRE_AND_PURGE = 3,
};

/* A trigger of the user's own, with a small state and timers (leat_timer_set) for each window and key. The
 * state begins zeroed, goes with its window, is saved as it is and must not hold pointers. */
struct leat_trigger_fn {
    size_t size;
    const char *name;
    const struct leat_type *in;
    uint32_t state_size;
    /* After the record was added. */
    enum leat_fire (*on_record)(
        struct leat_ctx *ctx, const void *record, const struct leat_bounds *window, void *state);
    enum leat_fire (*on_timer)(struct leat_ctx *ctx, int64_t time_us, enum leat_time_kind kind,
        const struct leat_bounds *window, void *state); /* NULL: it sets none */
    /* Sessions that become one: the state of the earlier one takes in that of the later one, before on_record is
     * called with the bounds of the whole; timers of both stay set, and it may set others. It can not refuse:
     * leat_fail fails the job. NULL: refused for sessions, which alone need it. */
    void (*merge)(struct leat_ctx *ctx, void *into, const void *from);
};

/* The gap of a record by a callback: microseconds > 0. */
struct leat_gap_fn {
    size_t size;
    const char *name;
    const struct leat_type *in;
    int64_t (*gap)(struct leat_ctx *ctx, const void *record);
};

/* ---- windows ---- */

struct leat_window_opts {
    enum leat_window_kind kind;
    int64_t size_us; /* > 0; not of CALENDAR, SESSION, COUNT, GLOBAL */
    int64_t offset_us; /* only its value modulo size (HOPPING: slide) matters */
    int64_t allowed_lateness_us; /* >= 0 */
    enum leat_accumulation accumulation;
    struct leat_trigger triggers[8]; /* up to the first without a kind */
    int64_t slide_us; /* HOPPING: > 0 */
    int64_t step_us; /* CUMULATING: divides size_us */
    enum leat_calendar_unit unit; /* CALENDAR */
    const char *zone; /* CALENDAR: "Europe/Berlin"; NULL: UTC */
    int64_t gap_us; /* SESSION: > 0, or */
    const char *gap; /* an integer field or expression, microseconds > 0, of each record: two records are in
                        one session if the later one comes within the gap of the earlier one */
    /* SESSION: first record to last; 0: no limit. A record goes to the first session that it is near enough to and
     * that does not become longer; else it begins one. Records of a key in order of time make the same sessions
     * always; others may be divided differently by another order of arrival. */
    int64_t max_length_us;
    uint64_t count, every; /* COUNT: every 0: as count */
    /* HOPPING with slide_us > size_us: records between windows are counted as unassigned, and dropped. */
    bool allow_gaps;
    bool
        discard_remainder; /* triggers without LEAT_ON_WATERMARK: what has not fired when a window ends is lost */
    const struct leat_gap_fn *gap_fn; /* SESSION: or a callback's; made by LEAT_DEFINE_GAP */
};

/* Which firing of a window and key a result is from; the values of an output field named `pane`. */
enum leat_pane { LEAT_PANE_EARLY = 1, LEAT_PANE_ON_TIME = 2, LEAT_PANE_LATE = 3 };

LEAT_BEGIN_DECLS
LEAT_API leat_windowed_stream *leat_window_sized(
    leat_keyed_stream *in, const char *name, const struct leat_window_opts *opts, size_t size);
static inline leat_windowed_stream *leat_window(
    leat_keyed_stream *in, const char *name, const struct leat_window_opts *opts)
{
    return leat_window_sized(in, name, opts, sizeof *opts);
}
/* The records that came too late for every window they belong to, as they were (the input's type). Not taken:
 * they are counted and dropped. */
LEAT_API leat_stream *leat_late_records(leat_windowed_stream *windows);
LEAT_END_DECLS

/* After, for `struct order` and `struct seen` (the state),
 *   static enum leat_fire fn__on_record(struct leat_ctx *, const struct order *, const struct leat_bounds *,
 *       struct seen *);
 *   static enum leat_fire fn__on_timer(struct leat_ctx *, int64_t time_us, enum leat_time_kind,
 *       const struct leat_bounds *, struct seen *);
 *   static void fn__merge(struct leat_ctx *, struct seen *into, const struct seen *from);
 * defines fn_trigger for LEAT_ON_TRIGGER(&fn_trigger). */
#define LEAT_DEFINE_TRIGGER(fn_, in_, state_) \
    static enum leat_fire fn_##__on_record_any( \
        struct leat_ctx *ctx, const void *record, const struct leat_bounds *window, void *state) \
    { \
        return fn_##__on_record(ctx, (const struct in_ *)record, window, (struct state_ *)state); \
    } \
    static enum leat_fire fn_##__on_timer_any(struct leat_ctx *ctx, int64_t time_us, \
        enum leat_time_kind kind, const struct leat_bounds *window, void *state) \
    { \
        return fn_##__on_timer(ctx, time_us, kind, window, (struct state_ *)state); \
    } \
    static void fn_##__merge_any(struct leat_ctx *ctx, void *into, const void *from) \
    { \
        fn_##__merge(ctx, (struct state_ *)into, (const struct state_ *)from); \
    } \
    static const struct leat_trigger_fn fn_##_trigger = { sizeof(struct leat_trigger_fn), #fn_, &in_##_type, \
        sizeof(struct state_), fn_##__on_record_any, fn_##__on_timer_any, fn_##__merge_any }

/* After `static int64_t fn(struct leat_ctx *, const struct order *)`: defines fn_gap. */
#define LEAT_DEFINE_GAP(fn_, in_) \
    static int64_t fn_##__gap_any(struct leat_ctx *ctx, const void *record) \
    { \
        return fn_(ctx, (const struct in_ *)record); \
    } \
    static const struct leat_gap_fn fn_##_gap = { sizeof(struct leat_gap_fn), #fn_, &in_##_type, \
        fn_##__gap_any }
#endif
