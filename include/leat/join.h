/* include/leat/join.h -- interval join: pairs of records of two streams with equal keys and near times.
 *
 * A pair joins iff left.ts - before <= right.ts <= left.ts + after, both inclusive (semantics 29). The
 * result's event time is the later of the two. Both sides are kept in state until no partner can come. A null
 * key matches nothing. */
#ifndef LEAT_JOIN_H
#define LEAT_JOIN_H
#include <leat/map.h>

/* Makes the result of a pair; made by LEAT_DEFINE_JOIN. */
struct leat_join_fn {
    size_t size;
    const char *name;
    const struct leat_type *left, *right, *out;
    void (*merge)(struct leat_ctx *ctx, const void *const *left, const void *const *right, uint32_t count,
        struct leat_batch *out); /* pair i into the zeroed row i */
};

struct leat_join_opts {
    const char *left_key, *right_key; /* field paths, "a, b"; right_key NULL: the same as left_key */
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
};

LEAT_BEGIN_DECLS
LEAT_API leat_stream *leat_join_sized(
    leat_stream *left, leat_stream *right, const char *name, const struct leat_join_opts *opts, size_t size);
static inline leat_stream *leat_join(
    leat_stream *left, leat_stream *right, const char *name, const struct leat_join_opts *opts)
{
    return leat_join_sized(left, right, name, opts, sizeof *opts);
}
/* Records that came too late to be joined, of the left and of the right side, as they were. Not taken:
 * counted. */
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
