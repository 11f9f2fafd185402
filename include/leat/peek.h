/* include/leat/peek.h -- look at the records that pass without changing them: for counting, logging,
 * debugging. */
#ifndef LEAT_PEEK_H
#define LEAT_PEEK_H
#include <leat/stream.h>

struct leat_peek_fn {
    size_t size;
    const char *name;
    const struct leat_type *in;
    void (*peek)(struct leat_ctx *ctx, const struct leat_batch *batch);
};

LEAT_BEGIN_DECLS
LEAT_API leat_stream *leat_peek(leat_stream *in, const char *name, const struct leat_peek_fn *fn);
LEAT_END_DECLS

/* After `static void show(struct leat_ctx *, const struct order *)`: defines show_peek. */
#define LEAT_DEFINE_PEEK(fn_, record_) \
    static void fn_##__peek(struct leat_ctx *ctx, const struct leat_batch *batch) \
    { \
        for (uint32_t i = 0; i < batch->count; i++) { \
            ctx->row = i; \
            fn_(ctx, (const struct record_ *)leat_batch_at(batch, i)); \
        } \
    } \
    static const struct leat_peek_fn fn_##_peek = { sizeof(struct leat_peek_fn), #fn_, &record_##_type, \
        fn_##__peek }
#endif
