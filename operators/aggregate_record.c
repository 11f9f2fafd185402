/* operators/aggregate_record.c -- accumulators that are records: kits, schemas, bytes (aggregate_record_private.h). */
#include "operators/aggregate_record_private.h"
#include "base/alloc.h"
#include "record/avro.h"
#include "record/schema.h"

#define KITS_SPARE 16u
#define KIT_RECORDS_MAX 256u
#define KIT_BYTES_MAX (256u << 10) /* of structs, and of what is kept for the next time */
#define THREAD_SHIFT 20u /* stacks of threads are further apart than this */

struct saved_schema {
    struct saved_schema *next;
    struct leat_schema *schema;
};

struct leat__agg_records {
    const struct leat_type *type, *out;
    struct leat_schema *schema;
    uint32_t fingerprint, max;
    struct leat__record_kit *spare[KITS_SPARE]; /* atomic */
    struct saved_schema *saved; /* atomic; newest first; entries never change */
};

static uint32_t fingerprint_of(const struct leat_schema *schema)
{
    const uint32_t lower = (uint32_t)schema->fingerprint;
    return lower ? lower : 1;
}

/* ---- kits ---- */

static void free_kit(struct leat__record_kit *kit)
{
    if (!kit)
        return;
    leat__encoder_free(kit->encoder);
    leat__decoder_free(kit->decoder);
    leat__decoder_free(kit->saved);
    leat__copier_free(kit->copier);
    leat__batch_release(kit->batch);
    if (kit->pool)
        leat__pool_free(kit->pool);
    leat__strbuf_release(&kit->bytes);
    leat__free(kit->structs);
    leat__free(kit->places);
    leat__free(kit);
}

static int fill_kit(
    const struct leat__agg_records *records, struct leat__record_kit *kit, struct leat_error *err)
{
    const struct leat_type *type = records->type;
    kit->size = (type->size + 15u) & ~(size_t)15;
    kit->structs = leat__malloc(records->max * kit->size);
    kit->places = leat__malloc(records->max * sizeof *kit->places);
    if (!kit->structs || !kit->places || leat__pool_new(1, &kit->pool) < 0 ||
        leat__batch_get(kit->pool, type, &kit->batch) < 0 || leat__copier_new(records->out, &kit->copier) < 0)
        return leat__error(err, LEAT_ENOMEM, "out of memory for accumulators");
    LEAT_TRY(leat__encoder_new(type, &kit->encoder, err));
    return leat__decoder_new(records->schema, type, NULL, &kit->decoder, err);
}

static int new_kit(
    const struct leat__agg_records *records, struct leat__record_kit **kit, struct leat_error *err)
{
    *kit = leat__calloc(1, sizeof **kit);
    if (!*kit)
        return leat__error(err, LEAT_ENOMEM, "out of memory for accumulators");
    const int code = fill_kit(records, *kit, err);
    if (code == 0)
        return 0;
    free_kit(*kit);
    *kit = NULL;
    return code;
}

/* Where a thread looks first, so that threads seldom meet: by where its stack is. */
static uint32_t first_place(const void *on_stack)
{
    const uint64_t at = (uint64_t)(uintptr_t)on_stack >> THREAD_SHIFT;
    return (uint32_t)((at * UINT64_C(0x9e3779b97f4a7c15)) >> 60) % KITS_SPARE;
}

int leat__kit_take(struct leat__agg_records *records, struct leat__record_kit **kit)
{
    const uint32_t first = first_place(&kit);
    for (uint32_t i = 0; i < KITS_SPARE; i++) {
        struct leat__record_kit **place = &records->spare[(first + i) % KITS_SPARE];
        if (!__atomic_load_n(place, __ATOMIC_RELAXED))
            continue;
        *kit = __atomic_exchange_n(place, NULL, __ATOMIC_ACQUIRE);
        if (*kit)
            return 0;
    }
    return new_kit(records, kit, NULL) < 0 ? LEAT_ENOMEM : 0;
}

/* Forgets what was shown; true: it can be used again. */
static bool clean_kit(const struct leat__agg_records *records, struct leat__record_kit *kit)
{
    kit->count = 0;
    leat__strbuf_clear(&kit->bytes);
    if (kit->bytes.failed)
        return false;
    if (kit->batch->arena_bytes <= KIT_BYTES_MAX)
        return true;
    leat__batch_release(kit->batch);
    kit->batch = NULL;
    return leat__batch_get(kit->pool, records->type, &kit->batch) == 0;
}

void leat__kit_give(struct leat__agg_records *records, struct leat__record_kit *kit)
{
    const uint32_t first = first_place(&kit);
    bool is_clean = kit && clean_kit(records, kit);
    for (uint32_t i = 0; is_clean && i < KITS_SPARE; i++) {
        struct leat__record_kit *none = NULL;
        if (__atomic_compare_exchange_n(&records->spare[(first + i) % KITS_SPARE], &none, kit, false,
                __ATOMIC_RELEASE, __ATOMIC_RELAXED))
            return;
    }
    free_kit(kit);
}

void *leat__kit_zeroed(struct leat__record_kit *kit, uint32_t index)
{
    return memset(leat__kit_at(kit, index), 0, kit->size);
}

int leat__kit_adopt(struct leat__record_kit *kit, struct leat_batch *out, void *row)
{
    return leat__copier_is_flat(kit->copier) ? 0 : leat__copy_adopt(kit->copier, out, row);
}

/* ---- schemas ---- */

int leat__agg_records_new(const struct leat_type *type, const struct leat_type *out,
    struct leat__agg_records **records, struct leat_error *err)
{
    struct leat__agg_records *r = *records = leat__calloc(1, sizeof *r);
    if (!r)
        return leat__error(err, LEAT_ENOMEM, "out of memory for accumulators");
    r->type = type;
    r->out = out;
    r->max = KIT_BYTES_MAX / (type->size ? type->size : 1);
    r->max = r->max > KIT_RECORDS_MAX ? KIT_RECORDS_MAX : r->max < 2 ? 2 : r->max;
    int code = leat__type_check(type, err);
    if (code == 0)
        code = leat__schema_parse(type->schema, strlen(type->schema), &r->schema, err);
    if (code == 0) {
        r->fingerprint = fingerprint_of(r->schema);
        code = new_kit(r, &r->spare[0], err);
    }
    if (code < 0) {
        leat__agg_records_free(r);
        *records = NULL;
    }
    return code;
}

void leat__agg_records_free(void *records)
{
    struct leat__agg_records *r = records;
    for (uint32_t i = 0; i < KITS_SPARE; i++)
        free_kit(r->spare[i]);
    for (struct saved_schema *s = r->saved, *next; s; s = next) {
        next = s->next;
        leat__schema_free(s->schema);
        leat__free(s);
    }
    leat__schema_free(r->schema);
    leat__free(r);
}

uint32_t leat__agg_records_max(const struct leat__agg_records *records)
{
    return records->max;
}

static const struct leat_schema *find_saved(const struct leat__agg_records *records, uint32_t fingerprint)
{
    const struct saved_schema *s = __atomic_load_n(&records->saved, __ATOMIC_ACQUIRE);
    while (s && fingerprint_of(s->schema) != fingerprint)
        s = s->next;
    return s ? s->schema : NULL;
}

int leat__agg_records_know(
    struct leat__agg_records *records, const char *schema, size_t len, struct leat_error *err)
{
    struct leat_schema *parsed = NULL;
    struct leat_decoder *decoder = NULL;
    LEAT_TRY(leat__schema_parse(schema, len, &parsed, err));
    const uint32_t fingerprint = fingerprint_of(parsed);
    const bool is_known = fingerprint == records->fingerprint || find_saved(records, fingerprint);
    const int code = is_known ? 0 : leat__decoder_new(parsed, records->type, NULL, &decoder, err);
    leat__decoder_free(decoder);
    struct saved_schema *s = code < 0 || is_known ? NULL : leat__malloc(sizeof *s);
    if (!s) {
        leat__schema_free(parsed);
        return code < 0 || is_known ? code : leat__error(err, LEAT_ENOMEM, "out of memory for a schema");
    }
    *s = (struct saved_schema){ __atomic_load_n(&records->saved, __ATOMIC_RELAXED), parsed };
    while (
        !__atomic_compare_exchange_n(&records->saved, &s->next, s, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        continue;
    return 0;
}

/* ---- bytes ---- */

static int decoder_of(const struct leat__agg_records *records, struct leat__record_kit *kit,
    uint32_t fingerprint, struct leat_decoder **decoder)
{
    *decoder = kit->decoder;
    if (fingerprint == records->fingerprint)
        return 0;
    if (!kit->saved || kit->saved_fingerprint != fingerprint) {
        const struct leat_schema *schema = find_saved(records, fingerprint);
        leat__decoder_free(kit->saved);
        kit->saved = NULL;
        if (!schema)
            return LEAT_EDATA;
        LEAT_TRY(leat__decoder_new(schema, records->type, NULL, &kit->saved, NULL));
        kit->saved_fingerprint = fingerprint;
    }
    *decoder = kit->saved;
    return 0;
}

int leat__kit_decode(struct leat__agg_records *records, struct leat__record_kit *kit, uint32_t index,
    struct leat_sv bytes, void **record)
{
    struct leat_decoder *decoder;
    uint32_t fingerprint;
    if (bytes.len < LEAT__RECORD_HEAD_BYTES)
        return LEAT_EDATA;
    memcpy(&fingerprint, bytes.data, sizeof fingerprint);
    LEAT_TRY(decoder_of(records, kit, fingerprint, &decoder));
    const size_t len = bytes.len - LEAT__RECORD_HEAD_BYTES;
    uint8_t *copy = leat__batch_alloc(kit->batch, len, 1); /* with slack, and as long as the views */
    if (!copy)
        return LEAT_ENOMEM;
    if (len)
        memcpy(copy, bytes.data + LEAT__RECORD_HEAD_BYTES, len);
    const uint8_t *at = copy;
    kit->batch->count = 0;
    const int64_t count = leat__decode(decoder, &at, copy + len, kit->batch, 1, NULL);
    kit->batch->count = 0;
    if (count < 0)
        return (int)count;
    if (count != 1 || at != copy + len)
        return LEAT_EDATA;
    *record = memcpy(leat__kit_at(kit, index), leat_batch_at(kit->batch, 0), records->type->size);
    return 0;
}

int leat__kit_encode(struct leat__agg_records *records, struct leat__record_kit *kit, const void *record,
    struct leat_error *err)
{
    leat__strbuf_add(&kit->bytes, &records->fingerprint, sizeof records->fingerprint);
    LEAT_TRY(leat__encode_record(kit->encoder, record, &kit->bytes, err));
    return kit->bytes.failed ? LEAT_ENOMEM : 0;
}

bool leat__agg_is_own(const struct leat__agg_records *records, struct leat_sv bytes)
{
    uint32_t fingerprint = 0;
    if (bytes.len >= sizeof fingerprint)
        memcpy(&fingerprint, bytes.data, sizeof fingerprint);
    return fingerprint == records->fingerprint;
}

const char *leat__agg_records_schema(const struct leat__agg_records *records)
{
    return records->type->schema;
}

int leat__agg_record_renew(const struct leat__agg *agg, const struct leat__agg_memory *mem, void *accumulator)
{
    struct leat__agg_record *own = accumulator;
    struct leat__record_kit *kit;
    void *record;
    own->open = 0;
    if (!own->bytes.len_plus_1)
        return 0;
    if (leat__blob_len(&own->bytes) < LEAT__RECORD_HEAD_BYTES)
        return LEAT_EDATA;
    if (leat__agg_is_own(agg->records, leat__blob_sv(&own->bytes)))
        return 0;
    LEAT_TRY(leat__kit_take(agg->records, &kit));
    int code = leat__kit_decode(agg->records, kit, 0, leat__blob_sv(&own->bytes), &record);
    if (code == 0)
        code = leat__kit_encode(agg->records, kit, record, NULL);
    if (code == 0)
        code = leat__blob_set(mem, &own->bytes, (struct leat_sv){ kit->bytes.data, kit->bytes.len });
    leat__kit_give(agg->records, kit);
    return code;
}

const struct leat__agg_class leat__agg_record_class = {
    .name = "record",
    .blobs_count = 1,
    .blobs = { offsetof(struct leat__agg_record, bytes) },
};
