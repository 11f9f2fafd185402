/* include/leat/key.h -- group a stream by key: what windows, aggregates and other keyed operators take. */
#ifndef LEAT_KEY_H
#define LEAT_KEY_H
#include <leat/stream.h>

/* A user's key; made by LEAT_DEFINE_KEY. */
struct leat_key_fn {
    size_t size;
    const char *name;
    const struct leat_type *in;
    void (*keys)(struct leat_ctx *ctx, const struct leat_batch *batch, struct leat_sv *keys);
};

LEAT_BEGIN_DECLS
/* `fields`: the key, parts separated by commas, each a field or an expression (docs/guide/expressions.md):
 *
 *   "customer_id, address.region"      fields, by their paths
 *   "lower(email) as email"            an expression; outputs that show the key have it in a field of that name
 *   "floor(price / 100)"               without a name no output shows it
 *   "address.zip as postcode"          a field by another name; else it is the last word of its path
 *
 * What is names and dots is a field, all else is an expression. All records with equal keys meet in one subtask, in the
 * order of their split. Null is a key of its own. Records for which an expression fails (a division by zero) meet the
 * policy for bad data of the node behind. Kinds that can not be keys: array, map, union, record, decimal. */
LEAT_API leat_keyed_stream *leat_group_by(leat_stream *in, const char *name, const char *fields);
LEAT_API leat_keyed_stream *leat_group_by_fn(leat_stream *in, const char *name, const struct leat_key_fn *fn);
/* The records of a keyed stream, without the key: of leat_group_by the stream that was grouped, of leat_cogroup what it
 * makes, so that its policy can be set: leat_on_error(leat_keyed_records(both), LEAT_SKIP), leat_dead_letters. */
LEAT_API leat_stream *leat_keyed_records(leat_keyed_stream *keyed);
LEAT_END_DECLS

/* After `static struct leat_sv domain(struct leat_ctx *, const struct mail *)`, whose view lives as long as
 * the record or comes from leat_alloc: defines domain_key. */
#define LEAT_DEFINE_KEY(fn_, record_) \
    static void fn_##__keys(struct leat_ctx *ctx, const struct leat_batch *batch, struct leat_sv *keys) \
    { \
        for (uint32_t i = 0; i < batch->count; i++) { \
            ctx->row = i; \
            keys[i] = fn_(ctx, (const struct record_ *)leat_batch_at(batch, i)); \
        } \
    } \
    static const struct leat_key_fn fn_##_key = { sizeof(struct leat_key_fn), #fn_, &record_##_type, \
        fn_##__keys }
#endif
