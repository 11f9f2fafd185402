/* operators/aggregate_record_private.h -- accumulators that are records: how they lie in a value, and the kits that
 * make structs of their bytes and bytes of structs.
 *
 *   in a value       struct leat__agg_record: a blob, which all of aggregate_accumulate.c and aggregate_codec.c treat
 *                    like any other
 *   in the blob      offset 0   fingerprint of the schema, lower half, u32 little-endian, never 0
 *                           4   Avro bytes of the record
 *                    no blob: nothing was seen yet
 *   in a callback    a struct of a kit, whose views show the kit's memory and whatever the callback let them show
 *
 * A kit is one thread's while it has it: it is taken from the aggregate's spare ones and given back, both by atomic
 * exchange, or made where none is spare (accumulators are merged on any thread). What else is shared never
 * changes, but for the list of schemas that were saved, which only grows.
 *
 * Another schema. A restored table tells the schema that it was saved with (leat__agg_accept_schema), and is then written anew:
 * decoding a value makes the blob one of today's schema. */
#ifndef LEAT_OPERATORS_AGGREGATE_RECORD_PRIVATE_H
#define LEAT_OPERATORS_AGGREGATE_RECORD_PRIVATE_H
#include "operators/aggregate_class_private.h"

#define LEAT__RECORD_HEAD_BYTES 4u

struct leat__agg_record {
    struct leat__agg_blob bytes;
    uint64_t open; /* while a pass is under way: index in its kit + 1; else 0 */
};

struct leat__agg_records; /* of one aggregate: its type, schemas, spare kits */

/* One that is open in a pass. */
struct leat__kit_place {
    struct leat__agg_record *accumulator;
    uint32_t row; /* of the batch: the last that went there */
    size_t end; /* of its bytes in the kit's */
};

struct leat__record_kit {
    struct leat_encoder *encoder;
    struct leat_decoder *decoder;
    struct leat_decoder *saved; /* of the schema that was asked for last, but for today's; or NULL */
    uint32_t saved_fingerprint;
    struct leat_copier *copier; /* of results */
    struct leat_pool *pool;
    struct leat_batch *batch; /* one row to decode into; its memory lasts as long as the kit is taken */
    struct leat_strbuf bytes; /* that were encoded */
    unsigned char *structs; /* `size` apart */
    size_t size;
    struct leat__kit_place *places; /* by index of the struct */
    uint32_t count; /* of structs that a pass has open */
};

/* LEAT_ESCHEMA, LEAT_EDECLARE: the type is none whose records can be kept. `out`: of the result. */
LEAT_NODISCARD int leat__agg_records_new(const struct leat_type *type, const struct leat_type *out,
    struct leat__agg_records **records, struct leat_error *err);
void leat__agg_records_free(void *records);
/* Structs that one kit has room for; two at least. */
uint32_t leat__agg_records_max(const struct leat__agg_records *records);
/* Schemas that tables were saved with, from now on known; its bytes are resolved. */
LEAT_NODISCARD int leat__agg_records_know(
    struct leat__agg_records *records, const char *schema, size_t len, struct leat_error *err);

LEAT_NODISCARD int leat__kit_take(struct leat__agg_records *records, struct leat__record_kit **kit);
void leat__kit_give(struct leat__agg_records *records, struct leat__record_kit *kit); /* NULL is fine */

/* The struct of a kit with this index: zeroed, or what the bytes say. LEAT_EDATA: damaged, or of a schema that is not
 * known. */
static inline void *leat__kit_at(struct leat__record_kit *kit, uint32_t index)
{
    return kit->structs + index * kit->size;
}
void *leat__kit_zeroed(struct leat__record_kit *kit, uint32_t index);
LEAT_NODISCARD int leat__kit_decode(struct leat__agg_records *records, struct leat__record_kit *kit,
    uint32_t index, struct leat_sv bytes, void **record);
/* Appends to the kit's bytes. LEAT_EDATA with the reason: Avro can not say it. */
LEAT_NODISCARD int leat__kit_encode(struct leat__agg_records *records, struct leat__record_kit *kit,
    const void *record, struct leat_error *err);
/* Makes a row of the result, which may show what the kit has, independent. */
LEAT_NODISCARD int leat__kit_adopt(struct leat__record_kit *kit, struct leat_batch *out, void *row);

/* Whether bytes of a record are of today's schema. */
bool leat__agg_is_own(const struct leat__agg_records *records, struct leat_sv bytes);
const char *leat__agg_records_schema(const struct leat__agg_records *records);
/* Of an accumulator that was decoded: makes its bytes those of today's schema. */
LEAT_NODISCARD int leat__agg_record_renew(
    const struct leat__agg *agg, const struct leat__agg_memory *mem, void *accumulator);

extern const struct leat__agg_class leat__agg_record_class; /* nothing but where its blob is */

/* What aggregate_user.c and aggregate_accumulate.c need of each other: an aggregate's rows, those for which its condition
 * holds; fails the job for what has happened at a row. */
typedef int leat__agg_rows_fn(const struct leat__agg_pass *pass, const struct leat__agg *agg);
LEAT_NODISCARD int leat__agg_rows(
    const struct leat__agg_pass *pass, const struct leat__agg *agg, leat__agg_rows_fn *run);
void leat__agg_explain(const struct leat__agg *agg, int code, const char *where, struct leat_error *err);
int leat__agg_fail_row(
    const struct leat__agg_pass *pass, const struct leat__agg *agg, int code, uint32_t row);
LEAT_NODISCARD int leat__agg_combine_user(const struct leat__agg *agg, const struct leat_node *node,
    const struct leat__agg_memory *mem, void *into, const void *from, struct leat_error *err);
#endif
