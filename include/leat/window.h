/* include/leat/window.h -- windows over a keyed stream, and when they give results.
 *
 * A window is [start, end) in event time; results carry event time end - 1 (semantics 12). It fires when the
 * watermark passes its end and is forgotten when the watermark passes end - 1 + allowed lateness (18). */
#ifndef LEAT_WINDOW_H
#define LEAT_WINDOW_H
#include <leat/key.h>

enum leat_window_kind {
    LEAT_WINDOW_TUMBLING = 1, /* start = ts - floormod(ts - offset, size) */
};

enum leat_accumulation {
    LEAT_ACCUMULATING =
        1, /* default: each pane is the result over all records so far and replaces the one before */
    LEAT_DISCARDING, /* each pane is over the records since the last one */
};

enum leat_trigger_kind { LEAT_TRIGGER_WATERMARK = 1, LEAT_TRIGGER_COUNT };
struct leat_trigger {
    enum leat_trigger_kind kind;
    uint64_t n;
};
/* clang-format off */
/* The on-time pane when the watermark passes the window's end. The default when no trigger is given. */
#define LEAT_ON_WATERMARK { LEAT_TRIGGER_WATERMARK, 0 }
/* Besides, an early pane each n records of a window and key. */
#define LEAT_ON_COUNT(n_) { LEAT_TRIGGER_COUNT, (n_) }
/* clang-format on */

struct leat_window_opts {
    enum leat_window_kind kind;
    int64_t size_us; /* > 0 */
    int64_t offset_us; /* only its value modulo size matters */
    int64_t allowed_lateness_us; /* >= 0 */
    enum leat_accumulation accumulation;
    struct leat_trigger triggers[4]; /* up to the first without a kind */
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
#endif
