/* include/leat/ctx.h -- what a user's callback may ask and do.
 *
 * A callback gets the context of the subtask that runs it. It runs on that subtask's worker, never at the
 * same time as another callback of the same subtask, and must not block. Records and views that it is shown
 * live until it returns. */
#ifndef LEAT_CTX_H
#define LEAT_CTX_H
#include <leat/batch.h>

/* The first field is part of the ABI of the LEAT_DEFINE_* macros: the row that the callback is about. */
struct leat_ctx {
    uint32_t row;
    uint32_t failures_count; /* rows of this batch that the callback refused */
    struct leat__ctx *engine;
};

LEAT_BEGIN_DECLS

/* The operator's watermark: no more records with event time <= this. LEAT_TIME_MIN before the first. */
LEAT_API int64_t leat_ctx_watermark_us(const struct leat_ctx *ctx);
/* The job's wall clock (virtual in tests and simulation). */
LEAT_API int64_t leat_ctx_now_us(const struct leat_ctx *ctx);
/* Event time of the record that the callback is about. */
LEAT_API int64_t leat_ctx_event_us(const struct leat_ctx *ctx);
/* The node's name, this subtask's index and how many there are. */
LEAT_API const char *leat_ctx_node(const struct leat_ctx *ctx);
LEAT_API uint32_t leat_ctx_subtask(const struct leat_ctx *ctx);
LEAT_API uint32_t leat_ctx_parallelism(const struct leat_ctx *ctx);

/* Memory for views in the output record: `size` bytes that live as long as it does. NULL when out of memory,
 * and then the job fails with LEAT_ENOMEM: a callback may simply return. */
LEAT_API void *leat_alloc(struct leat_ctx *ctx, size_t size);
/* A copy of the text, and printf into such memory; both give an empty view when out of memory. */
LEAT_API struct leat_sv leat_copy(struct leat_ctx *ctx, struct leat_sv text);
LEAT_API struct leat_sv leat_printf(struct leat_ctx *ctx, const char *format, ...) LEAT_PRINTF(2, 3);

/* Refuses the record that the callback is about, with a reason. What happens is the node's error policy
 * (leat_on_error): fail the job, skip and count, or dead letter. The callback should return; what it wrote is
 * ignored. */
LEAT_API void leat_fail(struct leat_ctx *ctx, const char *format, ...) LEAT_PRINTF(2, 3);

LEAT_END_DECLS
#endif
