/* include/leat/generator.h -- a source that makes its records: deterministic by index and seed. */
#ifndef LEAT_GENERATOR_H
#define LEAT_GENERATOR_H
#include <leat/source.h>

/* Fills the record with the given index; made by LEAT_DEFINE_GENERATOR. The same index and seed always give
 * the same record: splits and restarts rely on it. */
struct leat_generator_fn {
    size_t size;
    const char *name;
    const struct leat_type *out;
    /* Fills out->count zeroed rows with the indexes index_first, index_first + step, ... */
    void (*generate)(
        struct leat_ctx *ctx, uint64_t seed, uint64_t index_first, uint64_t step, struct leat_batch *out);
};

struct leat_generator_source_opts {
    const struct leat_generator_fn *fn;
    uint64_t seed;
    uint64_t count; /* records in all; 0: without end */
    uint64_t rate_per_s; /* records a second by the wall clock, all splits together; 0: as fast as they are
                            taken */
    uint32_t splits; /* split k of n makes the indexes k, k + n, ...; 0: one */
    const char *event_time;
    int64_t max_out_of_orderness_us;
    int64_t idle_timeout_us;
    int64_t max_ahead_us;
    enum leat_policy on_error;
    const char *align;
    int64_t max_drift_us;
};

LEAT_BEGIN_DECLS
LEAT_API leat_stream *leat_generator_source_sized(
    leat_topology *t, const char *name, const struct leat_generator_source_opts *opts, size_t size);
static inline leat_stream *leat_generator_source(
    leat_topology *t, const char *name, const struct leat_generator_source_opts *opts)
{
    return leat_generator_source_sized(t, name, opts, sizeof *opts);
}
/* A random number generator for generators: 64 bits from (seed, index, draw), and a number below n. */
LEAT_API uint64_t leat_random(uint64_t seed, uint64_t index, uint64_t draw);
LEAT_API uint64_t leat_random_below(uint64_t seed, uint64_t index, uint64_t draw, uint64_t n);
LEAT_END_DECLS

/* After `static void make_order(struct leat_ctx *, uint64_t seed, uint64_t index, struct order *)`: defines
 * make_order_generator. `step` is the distance between the indexes of a split's rows. */
#define LEAT_DEFINE_GENERATOR(fn_, record_) \
    static void fn_##__generate( \
        struct leat_ctx *ctx, uint64_t seed, uint64_t index_first, uint64_t step, struct leat_batch *out) \
    { \
        for (uint32_t i = 0; i < out->count; i++) { \
            ctx->row = i; \
            fn_(ctx, seed, index_first + i * step, (struct record_ *)leat_batch_at(out, i)); \
        } \
    } \
    static const struct leat_generator_fn fn_##_generator = { sizeof(struct leat_generator_fn), #fn_, \
        &record_##_type, fn_##__generate }
#endif
