/* include/leat/join.h -- joins of two streams by key: which records of the two sides make pairs, and what becomes
 * of those that find no partner.
 *
 *   leat_join          interval join: pairs of near times, as soon as both are there (semantics 29)
 *   leat_window_join   pairs within the same window, when it fires (semantics 30)
 *   leat_asof_join     each left record with the one right record that is nearest in time
 *   leat_table_join    each record of a stream with what a table says about it: leat/table.h
 *   leat_join_tables   all pairs there ever are, as changes: leat/table.h
 *
 * All of them take keys (fields or expressions, of different names if need be; a null key matches nothing), a
 * condition that pairs must satisfy as well, and make results by a callback or by expressions over left.x and
 * right.y. Keys are written as for leat_group_by (leat/key.h) but without names. Records for which an expression of the
 * key fails meet the join's policy for bad data.
 *
 * Results are where their key lives, and what follows by the same key is not exchanged, if the output has the key:
 * where projections copy its fields that is known; else `.key_as` names the fields ("customer_id", or "lower(email)"
 * of a field of the output), and the job fails at the first result whose fields are not the key that it was joined by.
 *
 * Where a side may be missing (kind LEFT, RIGHT, FULL) the callback gets NULL for it, and all of its fields are null in
 * expressions: what shows them in the output must be nullable. */
#ifndef LEAT_JOIN_H
#define LEAT_JOIN_H
#include <leat/map.h>
#include <leat/window.h>

/* What becomes of records without a partner. A condition in `where` counts as part of the key: a record all of
 * whose pairs it refuses has no partner. */
enum leat_join_kind {
    LEAT_JOIN_INNER = 1, /* the default: dropped */
    LEAT_JOIN_LEFT, /* left ones are given once, without a right side */
    LEAT_JOIN_RIGHT,
    LEAT_JOIN_FULL,
};

/* Makes the result of a pair; made by LEAT_DEFINE_JOIN. */
struct leat_join_fn {
    size_t size;
    const char *name;
    const struct leat_type *left, *right, *out;
    void (*merge)(struct leat_ctx *ctx, const void *const *left, const void *const *right, uint32_t count,
        struct leat_batch *out); /* pair i into the zeroed row i; left[i] or right[i] is NULL where missing */
};

/* Interval join: a pair joins iff left.ts - before <= right.ts <= left.ts + after, both inclusive. The result's
 * event time is the later of the two. Both sides are kept in state until no partner can come. A record that never
 * had a partner is given, with its own event time, as soon as none can come any more (semantics 31): the watermark
 * behind an outer join is therefore held back by as much as a record may have to wait. */
struct leat_join_opts {
    const char *left_key,
        *right_key; /* "a, b": field paths or expressions; right_key NULL: the same as left_key */
    int64_t within_us; /* before and after at once, > 0; or */
    int64_t before_us, after_us; /* each may be negative, before + after >= 0 */
    int64_t allowed_lateness_us; /* >= 0: how far behind its side's watermark a record may still join. Results
                                    may then be behind, too: what follows takes them all if it allows as much
                                    (docs/decisions/0002) */
    const char
        *where; /* a boolean expression over left.x and right.y that pairs must satisfy as well; NULL: none */
    const struct leat_join_fn *merge; /* exactly one: this, or */
    const struct leat_type
        *out; /* an output type whose fields come from `fields`, then by name from left, then right */
    struct leat_projection fields[64];
    enum leat_join_kind kind;
    const char *key_as; /* fields of the output that hold the key: see the begin of this file */
};

/* Window join: pairs of records in the same window, when the watermark passes its end; their event time is
 * end - 1. Each record without a partner in a window is given for that window, by the kind. A late record that is
 * still allowed gives its own pairs at once; what was given for it as missing is not taken back, so that kinds
 * other than INNER refuse allowed lateness. Fields window_start and window_end of `out` are filled, where it has
 * them and no projection does. */
struct leat_window_join_opts {
    const char *left_key, *right_key;
    /* TUMBLING, HOPPING, CUMULATING, CALENDAR, SESSION (of the records of both sides together) and what goes with
     * them; no triggers, accumulation unset. */
    struct leat_window_opts window;
    const char *where;
    const struct leat_join_fn *merge;
    const struct leat_type *out;
    struct leat_projection fields[64];
    enum leat_join_kind kind;
    const char *key_as; /* fields of the output that hold the key: see the begin of this file */
};

/* As-of join: each left record with at most one right record of its key, the nearest in time of those that
 *   BACKWARD  are not later (the state of affairs at that time)
 *   FORWARD   are not earlier
 *   NEAREST   are either; of two that are equally far, the earlier
 * and at most tolerance_us away. Of several right records of the same time and key, the last to arrive counts
 * (within a split: the last). With `where`, of those that satisfy it. The result has the left record's event time and
 * is given when the watermark says that nothing nearer can come; the watermark behind a join that looks forward is
 * held back by the tolerance. */
enum leat_asof_direction { LEAT_ASOF_BACKWARD = 1 /* default */, LEAT_ASOF_FORWARD, LEAT_ASOF_NEAREST };
struct leat_asof_join_opts {
    const char *left_key, *right_key;
    enum leat_asof_direction direction;
    int64_t
        tolerance_us; /* >= 0; LEAT_NEVER: any distance, only BACKWARD and without where: the newest of each key is
                             kept for ever. 0: equal times */
    int64_t allowed_lateness_us; /* of left and right records */
    const char *where;
    const struct leat_join_fn *merge;
    const struct leat_type *out;
    struct leat_projection fields[64];
    enum leat_join_kind kind; /* INNER or LEFT */
    const char *key_as; /* fields of the output that hold the key: see the begin of this file */
};

LEAT_BEGIN_DECLS
LEAT_API leat_stream *leat_join_sized(
    leat_stream *left, leat_stream *right, const char *name, const struct leat_join_opts *opts, size_t size);
static inline leat_stream *leat_join(
    leat_stream *left, leat_stream *right, const char *name, const struct leat_join_opts *opts)
{
    return leat_join_sized(left, right, name, opts, sizeof *opts);
}
LEAT_API leat_stream *leat_window_join_sized(leat_stream *left, leat_stream *right, const char *name,
    const struct leat_window_join_opts *opts, size_t size);
static inline leat_stream *leat_window_join(
    leat_stream *left, leat_stream *right, const char *name, const struct leat_window_join_opts *opts)
{
    return leat_window_join_sized(left, right, name, opts, sizeof *opts);
}
LEAT_API leat_stream *leat_asof_join_sized(leat_stream *left, leat_stream *right, const char *name,
    const struct leat_asof_join_opts *opts, size_t size);
static inline leat_stream *leat_asof_join(
    leat_stream *left, leat_stream *right, const char *name, const struct leat_asof_join_opts *opts)
{
    return leat_asof_join_sized(left, right, name, opts, sizeof *opts);
}
/* Of any of these joins: records that came too late to be joined, of the left and of the right side, as they
 * were. Not taken: counted. */
LEAT_API leat_stream *leat_late_left(leat_stream *joined);
LEAT_API leat_stream *leat_late_right(leat_stream *joined);
LEAT_END_DECLS

/* After `static void add_stock(struct leat_ctx *, const struct order *, const struct inventory *, struct
 * enriched *out)`: defines add_stock_join. The output's views may show the strings of both records. */
#define LEAT_DEFINE_JOIN(fn_, left_, right_, out_) \
    static void fn_##__merge(struct leat_ctx *ctx, const void *const *left, const void *const *right, \
        uint32_t count, struct leat_batch *out) \
    { \
        for (uint32_t i = 0; i < count; i++) { \
            ctx->row = i; \
            fn_(ctx, (const struct left_ *)left[i], (const struct right_ *)right[i], \
                (struct out_ *)leat_batch_at(out, i)); \
        } \
    } \
    static const struct leat_join_fn fn_##_join = { sizeof(struct leat_join_fn), #fn_, &left_##_type, \
        &right_##_type, &out_##_type, fn_##__merge }
#endif
