/* include/leat/filter.h -- keep the records of a stream that satisfy a predicate. */
#ifndef LEAT_FILTER_H
#define LEAT_FILTER_H
#include <leat/stream.h>

/* A predicate bound to the record type it reads; made by LEAT_DEFINE_FILTER. */
struct leat_filter_fn {
    size_t size; /* sizeof this, filled by the macro */
    const char *name; /* shown in plans and errors */
    const struct leat_type *in; /* checked against the input stream when declared */
    void (*keep)(struct leat_ctx *ctx, struct leat_batch *batch);
};

LEAT_BEGIN_DECLS

/* Adds a filter node that keeps the order. Borrows `fn` for the topology's life. */
LEAT_API leat_stream *leat_filter(leat_stream *in, const char *name, const struct leat_filter_fn *fn);
/* The same by an expression of class boolean: "status == 'PENDING' and total >= 1000"; null drops. */
LEAT_API leat_stream *leat_filter_expr(leat_stream *in, const char *name, const char *where);

LEAT_END_DECLS

/* After `static bool is_paid(struct leat_ctx *, const struct order *)`: defines is_paid_filter. The loop is
 * here so that the compiler inlines the predicate: one indirect call per batch. */
#define LEAT_DEFINE_FILTER(fn_, record_) \
    static void fn_##__keep(struct leat_ctx *ctx, struct leat_batch *batch) \
    { \
        for (uint32_t i = 0; i < batch->count; i++) { \
            ctx->row = i; \
            leat_batch_select(batch, i, fn_(ctx, (const struct record_ *)leat_batch_at(batch, i))); \
        } \
    } \
    static const struct leat_filter_fn fn_##_filter = { sizeof(struct leat_filter_fn), #fn_, \
        &record_##_type, fn_##__keep }
#endif
