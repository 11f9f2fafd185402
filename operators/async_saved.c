/* operators/async_saved.c -- records under way in a checkpoint.
 *
 *   offset 0   1: version
 *          1   u32 length of the records' schema, and its text
 *              u32 how many records, and of each
 *              i64 event time   u64 0   i64 mark of its batch, or LEAT_TIME_MIN
 *              u32 length, and its Avro bytes
 *              (numbers little-endian; the 0 was the hash of a key before it was seen that nobody reads it)
 *
 * Watermarks between them are not saved: after a restore they are asked about again before any watermark is
 * forwarded, which is the one that the instance had been told. With another parallelism the records are dealt
 * out to the subtasks in turn; with the same one each keeps its own, in their order. */
#include "operators/async_private.h"

static void put_u32(struct leat_strbuf *out, size_t value)
{
    const uint32_t u32 = (uint32_t)value;
    leat__strbuf_add(out, &u32, sizeof u32);
}

static int save_entry(struct leat__async *a, struct leat__ctx *ctx, const struct leat__async_entry *entry,
    struct leat_strbuf *record, struct leat_strbuf *out)
{
    const struct leat_batch *batch = entry->batch;
    const int64_t late_wm_us = batch->late ? batch->late_wm_us : LEAT_TIME_MIN;
    const uint64_t no_hash = 0;
    leat__strbuf_clear(record);
    if (leat__encode_record(a->encoder, leat_batch_at(batch, entry->row), record, ctx->error) < 0)
        return leat__fail_here(ctx);
    leat__strbuf_add(out, &batch->event_us[entry->row], sizeof(int64_t));
    leat__strbuf_add(out, &no_hash, sizeof no_hash); /* the batch has one only where an edge has set it */
    leat__strbuf_add(out, &late_wm_us, sizeof late_wm_us);
    put_u32(out, record->len);
    leat__strbuf_add(out, record->data, record->len);
    return 0;
}

int leat__async_snapshot(struct leat_op *op, struct leat__ctx *ctx, struct leat_strbuf *out)
{
    struct leat__async *a = (struct leat__async *)op;
    struct leat_strbuf record = { 0 };
    int code = 0;
    LEAT_ASSERT(!a->in && !a->out);
    leat__strbuf_char(out, 1);
    put_u32(out, strlen(a->spec->in->schema));
    leat__strbuf_str(out, a->spec->in->schema);
    put_u32(out, a->records_count);
    for (uint64_t n = a->first; n < a->end && code == 0; n++)
        if (leat__async_entry(a, n)->batch)
            code = save_entry(a, ctx, leat__async_entry(a, n), &record, out);
    leat__strbuf_release(&record);
    return code == 0 && out->failed ? leat__rows_nomem(ctx, "a snapshot") : code;
}

/* ---- restoring ---- */

struct saved {
    const char *at;
    size_t len;
};

static bool get(struct saved *from, void *to, size_t size)
{
    if (from->len < size)
        return false;
    memcpy(to, from->at, size);
    from->at += size;
    from->len -= size;
    return true;
}

static bool get_bytes(struct saved *from, struct leat_sv *bytes)
{
    uint32_t len;
    if (!get(from, &len, sizeof len) || from->len < len)
        return false;
    *bytes = (struct leat_sv){ from->at, len };
    from->at += len;
    from->len -= len;
    return true;
}

static int damaged(struct leat__ctx *ctx, uint32_t part)
{
    return leat__fail(ctx, LEAT_EDATA, "part %u of its snapshot is damaged", part);
}

/* A batch of one record, decoded from bytes that it keeps. */
static int decode(struct leat__ctx *ctx, const struct leat_type *type, struct leat_decoder *decoder,
    struct leat_sv bytes, struct leat_batch **batch)
{
    struct leat_buffer *buffer = NULL;
    LEAT_TRY(leat__rows_get(ctx, type, batch));
    int code = leat__buffer_get(ctx->pool, bytes.len + 1, &buffer);
    if (code == 0) {
        memcpy(buffer->data, bytes.data, bytes.len);
        memset(buffer->data + bytes.len, 0, LEAT_BUFFER_SLACK_BYTES);
        const uint8_t *at = (const uint8_t *)buffer->data;
        code = leat__batch_add_buffer(*batch, buffer);
        if (code == 0 && leat__decode(decoder, &at, at + bytes.len, *batch, 1, ctx->error) != 1)
            code = ctx->error->code < 0 ? ctx->error->code : LEAT_EDATA;
        leat__buffer_release(buffer);
    }
    if (code == 0)
        return 0;
    leat__batch_release(*batch);
    *batch = NULL;
    return code == LEAT_ENOMEM ? leat__rows_nomem(ctx, "a record") : code;
}

/* The next record of a part: begun again if it is this subtask's. */
static int restore_record(
    struct leat__async *a, struct leat__ctx *ctx, struct saved *from, struct leat_decoder *decoder, bool mine)
{
    int64_t event_us, late_wm_us;
    uint64_t hash; /* of no use */
    struct leat_sv bytes;
    struct leat_batch *batch;
    if (!get(from, &event_us, sizeof event_us) || !get(from, &hash, sizeof hash) ||
        !get(from, &late_wm_us, sizeof late_wm_us) || !get_bytes(from, &bytes))
        return LEAT_EDATA;
    if (!mine)
        return 0;
    if (a->end - a->first >= a->size - 1)
        return leat__fail(ctx, LEAT_ESTATE,
            "more than %u records are under way in the checkpoint: raise .capacity to what it was, or the "
            "parallelism",
            a->size);
    LEAT_TRY(decode(ctx, a->spec->in, decoder, bytes, &batch));
    batch->event_us[0] = event_us;
    batch->key_hash[0] = 0;
    batch->late = late_wm_us != LEAT_TIME_MIN;
    batch->late_wm_us = late_wm_us;
    leat__async_add_paused(a, ctx, batch, 0);
    leat__batch_release(batch);
    return 0;
}

static int restore_part(struct leat__async *a, struct leat__ctx *ctx, struct leat_sv part, uint32_t index,
    uint32_t parts_count, uint32_t *dealt)
{
    struct saved from = { part.data, part.len };
    char version;
    uint32_t count;
    struct leat_sv text;
    struct leat_schema *schema = NULL;
    struct leat_decoder *decoder = NULL;
    if (!get(&from, &version, 1) || version != 1 || !get_bytes(&from, &text) ||
        !get(&from, &count, sizeof count))
        return damaged(ctx, index);
    if (leat__schema_parse(text.data, text.len, &schema, ctx->error) < 0)
        return leat__fail_here(ctx);
    int code = leat__decoder_new(schema, a->spec->in, NULL, &decoder, ctx->error);
    if (code < 0)
        code = leat__fail_here(ctx);
    for (uint32_t i = 0; i < count && code == 0; i++) {
        const uint32_t owner = parts_count == ctx->parallelism ? index : (*dealt)++ % ctx->parallelism;
        code = restore_record(a, ctx, &from, decoder, owner == ctx->subtask);
    }
    leat__decoder_free(decoder);
    leat__schema_free(schema);
    return code == LEAT_EDATA ? damaged(ctx, index) : code;
}

int leat__async_restore(
    struct leat_op *op, struct leat__ctx *ctx, const struct leat_sv *parts, uint32_t count)
{
    struct leat__async *a = (struct leat__async *)op;
    uint32_t dealt = 0;
    for (uint32_t i = 0; i < count; i++)
        LEAT_TRY(restore_part(a, ctx, parts[i], i, count, &dealt));
    ctx->holding = a->first < a->end;
    __atomic_store_n(&a->desk->woken, 1, __ATOMIC_SEQ_CST); /* step sets the rest */
    return 0;
}
