/* operators/process_cell.c -- a record, or an accumulator, in keyed state.
 *
 *   in the table     [stamp] the struct, where it holds no views; else [stamp] a blob of its Avro bytes
 *   out of memory    offset 0   fingerprint of the schema, lower half, u32 (0: plain bytes)
 *                           4   1: a stamp of 8 bytes follows, 0: none
 *                           5   stamp
 *                      5 or 13  Avro bytes of the record, or the accumulator's bytes
 *                    (numbers little-endian)
 *   in a callback    a struct of its own, with views into memory that lasts as long as the callback
 *
 * A stamp is the time of the last write, for the time to live; LEAT_TIME_MIN: not known. What was saved
 * without one gets it when it is written next.
 *
 * Another schema. Saved records say which schema they are in. Those of the restored one are decoded into the
 * present one: by the table, which writes all of them anew when it is opened, so that a checkpoint never holds
 * more than one. */
#include "operators/process_private.h"
#include "record/schema.h"

#define BLOB_BYTES_MIN 32u
#define RELAX_BYTES (256u * 1024u)
#define STAMP_BYTES sizeof(int64_t)

/* ---- life ---- */

static int serde_of_type(struct leat__serde *serde, struct leat__ctx *ctx, const struct leat_type *type,
    const struct leat_schema *schema)
{
    struct leat_copier *copier;
    if (leat__copier_new(type, &copier) < 0)
        return leat__rows_nomem(ctx, "keyed state");
    serde->flat = leat__copier_is_flat(copier);
    leat__copier_free(copier);
    serde->fingerprint = (uint32_t)schema->fingerprint;
    serde->fingerprint += serde->fingerprint == 0;
    if (leat__encoder_new(type, &serde->encoder, ctx->error) < 0 ||
        leat__decoder_new(schema, type, NULL, &serde->decoder, ctx->error) < 0)
        return leat__fail_here(ctx);
    return leat__rows_get(ctx, type, &serde->rows);
}

int leat__serde_init(struct leat__serde *serde, struct leat__ctx *ctx, const struct leat__state_spec *spec,
    const struct leat_schema *schema)
{
    serde->type = spec->type;
    serde->size = spec->size;
    serde->has_stamp = spec->ttl.us != 0;
    serde->pool = ctx->pool;
    serde->flat = true;
    return spec->type ? serde_of_type(serde, ctx, spec->type, schema) : 0;
}

void leat__serde_release(struct leat__serde *serde)
{
    leat__encoder_free(serde->encoder);
    leat__decoder_free(serde->decoder);
    leat__decoder_free(serde->saved_decoder);
    leat__batch_release(serde->rows);
    leat__strbuf_release(&serde->bytes);
}

int leat__serde_relax(struct leat__serde *serde)
{
    if (!serde->rows || serde->rows->arena_bytes <= RELAX_BYTES)
        return 0;
    leat__batch_release(serde->rows);
    serde->rows = NULL;
    return leat__batch_get(serde->pool, serde->type, &serde->rows);
}

uint32_t leat__serde_value_size(const struct leat__serde *serde)
{
    return (serde->has_stamp ? (uint32_t)STAMP_BYTES : 0) +
        (serde->flat ? serde->size : (uint32_t)sizeof(struct leat__blob));
}

/* ---- the value in a table ---- */

static unsigned char *contents_of(const struct leat__serde *serde, const void *value)
{
    return (unsigned char *)(uintptr_t)value + (serde->has_stamp ? STAMP_BYTES : 0);
}

int64_t leat__cell_stamp(const struct leat__serde *serde, const void *value)
{
    int64_t stamp = LEAT_TIME_MIN;
    if (serde->has_stamp)
        memcpy(&stamp, value, sizeof stamp);
    return stamp;
}

uint32_t leat__cell_shown_bytes(const struct leat__serde *serde, const void *value)
{
    return serde->flat ? 0 : ((const struct leat__blob *)(const void *)contents_of(serde, value))->capacity;
}

static void set_stamp(const struct leat__serde *serde, void *value, int64_t stamp)
{
    if (serde->has_stamp)
        memcpy(value, &stamp, sizeof stamp);
}

/* Decodes one record into the first row of serde->rows; what it shows lies there too. LEAT_EDATA: damaged. */
static int decode_record(struct leat__serde *serde, struct leat_decoder *decoder, const char *data,
    size_t len, const void **record)
{
    uint8_t *copy = leat__batch_alloc(serde->rows, len, 1); /* with slack, and as long as the views */
    const uint8_t *at = copy;
    if (!copy)
        return LEAT_ENOMEM;
    if (len)
        memcpy(copy, data, len);
    serde->rows->count = 0;
    const int64_t count = leat__decode(decoder, &at, copy + len, serde->rows, 1, NULL);
    serde->rows->count = 0;
    if (count < 0)
        return (int)count;
    *record = leat_batch_at(serde->rows, 0);
    return count == 1 && at == copy + len ? 0 : LEAT_EDATA;
}

int leat__blob_keep(
    struct leat_table *table, int64_t ns, struct leat__blob *blob, const char *data, size_t len)
{
    if (len > UINT32_MAX / 4)
        return LEAT_ELIMIT;
    if (len > blob->capacity || !blob->data) {
        uint32_t capacity = BLOB_BYTES_MIN;
        while (capacity < len)
            capacity *= 2;
        char *bytes = leat__table_bytes(table, ns, capacity);
        if (!bytes)
            return LEAT_ESTATE;
        leat__table_bytes_free(table, ns, blob->capacity);
        blob->data = bytes;
        blob->capacity = capacity;
    }
    if (len)
        memcpy(blob->data, data, len);
    blob->len = (uint32_t)len;
    return 0;
}

static int encode_record(struct leat__serde *serde, const void *record)
{
    leat__strbuf_clear(&serde->bytes);
    return leat__encode_record(serde->encoder, record, &serde->bytes, NULL);
}

/* Puts a record where the value stands. */
static int put_record(
    struct leat__serde *serde, struct leat_table *table, int64_t ns, const void *record, void *value)
{
    unsigned char *contents = contents_of(serde, value);
    if (serde->flat) {
        leat__copy_bytes(contents, record, serde->size);
        return 0;
    }
    LEAT_TRY(encode_record(serde, record));
    return leat__blob_keep(
        table, ns, (struct leat__blob *)(void *)contents, serde->bytes.data, serde->bytes.len);
}

/* ---- the codec ---- */

static int serde_encode(void *arg, const void *value, struct leat_strbuf *out)
{
    struct leat__serde *serde = arg;
    const unsigned char *contents = contents_of(serde, value);
    const int64_t stamp = leat__cell_stamp(serde, value);
    leat__strbuf_add(out, &serde->fingerprint, sizeof serde->fingerprint);
    leat__strbuf_char(out, serde->has_stamp);
    if (serde->has_stamp)
        leat__strbuf_add(out, &stamp, sizeof stamp);
    if (!serde->flat) {
        const struct leat__blob *blob = (const struct leat__blob *)(const void *)contents;
        leat__strbuf_add(out, blob->data ? blob->data : "", blob->len);
    } else if (serde->encoder) {
        LEAT_TRY(leat__encode_record(serde->encoder, contents, out, NULL));
    } else {
        leat__strbuf_add(out, contents, serde->size);
    }
    return out->failed ? LEAT_ENOMEM : 0;
}

static int decode_contents(struct leat__serde *serde, struct leat_table *table, int64_t ns,
    uint32_t fingerprint, const char *data, size_t len, void *value)
{
    unsigned char *contents = contents_of(serde, value);
    if (!serde->type) {
        if (fingerprint != 0 || len != serde->size)
            return LEAT_EDATA;
        memcpy(contents, data, len);
        return 0;
    }
    const bool is_own = fingerprint == serde->fingerprint;
    if (is_own && !serde->flat)
        return leat__blob_keep(table, ns, (struct leat__blob *)(void *)contents, data, len);
    if (!is_own && (!serde->saved_decoder || fingerprint != serde->saved_fingerprint))
        return LEAT_EDATA;
    LEAT_TRY(leat__serde_relax(serde));
    const void *record;
    LEAT_TRY(decode_record(serde, is_own ? serde->decoder : serde->saved_decoder, data, len, &record));
    return put_record(serde, table, ns, record, value);
}

static int serde_decode(
    void *arg, struct leat_table *table, int64_t ns, const char *data, size_t len, void *value)
{
    struct leat__serde *serde = arg;
    uint32_t fingerprint;
    int64_t stamp = LEAT_TIME_MIN;
    memset(value, 0, leat__serde_value_size(serde));
    if (len < sizeof fingerprint + 1)
        return LEAT_EDATA;
    memcpy(&fingerprint, data, sizeof fingerprint);
    const size_t stamp_bytes = data[sizeof fingerprint] ? STAMP_BYTES : 0;
    data += sizeof fingerprint + 1;
    len -= sizeof fingerprint + 1;
    if (len < stamp_bytes)
        return LEAT_EDATA;
    if (stamp_bytes)
        memcpy(&stamp, data, sizeof stamp);
    set_stamp(serde, value, stamp);
    return decode_contents(serde, table, ns, fingerprint, data + stamp_bytes, len - stamp_bytes, value);
}

struct leat_value_codec leat__serde_codec(struct leat__serde *serde)
{
    return (struct leat_value_codec){ .arg = serde, .encode = serde_encode, .decode = serde_decode };
}

/* The format differs: fine where records of a schema were saved that resolves to the present one. */
int leat__serde_accept(void *arg, const char *saved_format, const char *saved_schema, struct leat_error *err)
{
    struct leat__serde *serde = arg;
    struct leat_schema *schema = NULL;
    if (!serde->type || !saved_schema)
        return leat__error(
            err, LEAT_ESCHEMA, "it was saved as \"%s\", which is no record of a schema", saved_format);
    LEAT_TRY(leat__schema_parse(saved_schema, strlen(saved_schema), &schema, err));
    serde->saved_fingerprint = (uint32_t)schema->fingerprint;
    serde->saved_fingerprint += serde->saved_fingerprint == 0;
    leat__decoder_free(serde->saved_decoder);
    serde->saved_decoder = NULL;
    const int code = serde->saved_fingerprint == serde->fingerprint
        ? 0
        : leat__decoder_new(schema, serde->type, NULL, &serde->saved_decoder, err);
    leat__schema_free(schema);
    return code;
}

/* ---- cells ---- */

static int fail_value(struct leat__process *p, const struct leat__keyed_state *state, int code)
{
    if (code == LEAT_ESTATE)
        return leat__fail(p->ctx, code,
            "no memory for the strings of state \"%s\" within the budget of the state: raise "
            "state_budget_bytes "
            "of the job, or use more workers",
            state->spec->name);
    if (code == LEAT_ELIMIT)
        return leat__fail(p->ctx, code, "a record of state \"%s\" has more than 1 GiB", state->spec->name);
    return leat__fail(p->ctx, code, "a record of state \"%s\" can not be %s: %s", state->spec->name,
        code == LEAT_EDATA ? "written in Avro (an enum or union out of range), or is damaged" : "kept",
        leat_error_text(code));
}

static int copy_value(
    struct leat__process *p, struct leat__keyed_state *state, struct leat__cell *cell, const void *value)
{
    struct leat__serde *serde = &state->serde;
    const unsigned char *contents = contents_of(serde, value);
    if (serde->flat) {
        leat__copy_bytes(cell->record, contents, serde->size);
        return 0;
    }
    const struct leat__blob *blob = (const struct leat__blob *)(const void *)contents;
    const void *record;
    const int code = decode_record(serde, serde->decoder, blob->data, blob->len, &record);
    if (code < 0)
        return fail_value(p, state, code);
    memcpy(cell->record, record, serde->size);
    return 0;
}

int leat__cell_load(struct leat__process *p, struct leat__keyed_state *state, struct leat__cell *cell)
{
    void *value = NULL;
    cell->version = leat__table_version(state->table, 0);
    if (leat__table_find_one(state->table, 0, cell->key, cell->hash, &value, p->ctx->error) < 0)
        return leat__fail_here(p->ctx);
    cell->existed = value != NULL;
    cell->value = value;
    cell->stamp = LEAT_TIME_MIN;
    if (!value)
        return 0;
    cell->stamp = leat__cell_stamp(&state->serde, value);
    cell->shown_bytes = leat__cell_shown_bytes(&state->serde, value);
    cell->visible = leat__state_now(p, state->spec) < leat__state_gone_at(state->spec, cell->stamp);
    return cell->visible ? copy_value(p, state, cell, value) : 0;
}

void *leat__cell_write(struct leat__keyed_state *state, struct leat__cell *cell)
{
    if (!cell->visible)
        memset(cell->record, 0, state->serde.size);
    cell->visible = cell->written = true;
    return cell->record;
}

/* The stamp of what this callback writes: time does not go back for a late record. */
static int64_t next_stamp(struct leat__process *p, const struct leat__state_spec *spec, int64_t stamp)
{
    const int64_t now_us = leat__state_now(p, spec);
    return stamp > now_us ? stamp : now_us;
}

/* Where the cell's value stands in the table, made if it is not there. */
static int value_to_write(
    struct leat__process *p, struct leat__keyed_state *state, const struct leat__cell *cell, void **value)
{
    struct leat_error *err = p->ctx->error;
    *value = cell->value;
    const int found = state->serde.flat && cell->value
        ? leat__table_rewrite(state->table, 0, cell->version, cell->value, err)
        : 0;
    if (found < 0 ||
        (found == 0 && leat__table_upsert(state->table, 0, &cell->key, &cell->hash, NULL, 1, value, err) < 0))
        return leat__fail_here(p->ctx);
    return 0;
}

int leat__cell_commit(struct leat__process *p, struct leat__keyed_state *state, struct leat__cell *cell)
{
    const struct leat__state_spec *spec = state->spec;
    struct leat_error *err = p->ctx->error;
    const bool refreshed = spec->ttl.us && spec->ttl.on_read && cell->read && cell->visible;
    void *value;
    if (!cell->written && !refreshed)
        return 0;
    if (!cell->visible) {
        leat__table_bytes_free(state->table, 0, cell->shown_bytes);
        if (cell->existed && leat__table_remove(state->table, 0, cell->key, cell->hash, err) < 0)
            return leat__fail_here(p->ctx);
        return 0;
    }
    const int64_t stamp = spec->ttl.us ? next_stamp(p, spec, cell->stamp) : LEAT_TIME_MIN;
    if (!cell->written && stamp == cell->stamp)
        return 0;
    LEAT_TRY(value_to_write(p, state, cell, &value));
    set_stamp(&state->serde, value, stamp);
    if (cell->written) {
        const int code = put_record(&state->serde, state->table, 0, cell->record, value);
        if (code < 0)
            return fail_value(p, state, code);
    }
    /* One that existed with a stamp is armed. */
    if (spec->ttl.us && (!cell->existed || cell->stamp == LEAT_TIME_MIN))
        return leat__expiry_arm(p, spec, p->key, leat__state_gone_at(spec, stamp));
    return 0;
}
