/* operators/table_join_saved.c -- a broadcast table in a checkpoint.
 *
 * Every instance has the whole table, so each saves a share of it: the keys whose hash modulo the number of instances is
 * its number. All instances get all parts back, whatever the parallelism is then, and so have the whole again.
 *
 *   offset 0   1: version
 *          1   1: a broadcast table follows, 0: the table is in keyed state
 *          2   u32 length of the schema of its records, and its text
 *              rows: i64 time   u8 flags   u32 length, and its Avro bytes; those of a key in their order
 *              (numbers little-endian)
 *
 * Barriers are aligned: all instances have been told the same of the table. */
#include "base/alloc.h"
#include "operators/table_join_private.h"
#include "record/avro.h"
#include "record/schema.h"

#define HEAD_BYTES 2u
#define ITEMS 64u

/* ---- saving ---- */

static void put_u32(struct leat_strbuf *out, size_t value)
{
    const uint32_t u32 = (uint32_t)value;
    leat__strbuf_add(out, &u32, sizeof u32);
}

static int save_row(struct leat__table_join *j, struct leat__ctx *ctx, const struct leat_list_row *row,
    struct leat_strbuf *out)
{
    leat__strbuf_clear(&j->bytes);
    if (leat__encode_record(j->encoder, row->record, &j->bytes, ctx->error) < 0)
        return leat__fail_here(ctx);
    if (j->bytes.failed)
        return leat__rows_nomem(ctx, "a snapshot");
    leat__strbuf_add(out, &row->event_us, sizeof row->event_us);
    leat__strbuf_add(out, row->flags, 1);
    put_u32(out, j->bytes.len);
    leat__strbuf_add(out, j->bytes.data, j->bytes.len);
    return 0;
}

static int save_share(
    struct leat__table_join *j, struct leat__ctx *ctx, struct leat_cursor *cursor, struct leat_strbuf *out)
{
    struct leat_cursor_item items[ITEMS];
    int64_t count;
    while ((count = leat__cursor_next(cursor, items, ITEMS, ctx->error)) > 0)
        for (int64_t i = 0; i < count; i++) {
            if (items[i].hash % ctx->parallelism != ctx->subtask)
                continue;
            for (const struct leat_list_row *row = items[i].value; row; row = row->next)
                LEAT_TRY(save_row(j, ctx, row, out));
        }
    return count < 0 ? leat__fail_here(ctx) : 0;
}

static int save_table(struct leat__table_join *j, struct leat__ctx *ctx, struct leat_strbuf *out)
{
    const struct leat_type *type = leat__input_type(ctx->node, LEAT__RIGHT);
    struct leat_cursor *cursor;
    if (!j->encoder && leat__encoder_new(type, &j->encoder, ctx->error) < 0)
        return leat__fail_here(ctx);
    put_u32(out, strlen(type->schema));
    leat__strbuf_str(out, type->schema);
    if (leat__cursor_open(j->versions, 0, LEAT_CURSOR_READ, &cursor, ctx->error) < 0)
        return leat__fail_here(ctx);
    const int code = save_share(j, ctx, cursor, out);
    leat__cursor_close(cursor);
    return code;
}

int leat__table_join_snapshot(struct leat_op *op, struct leat__ctx *ctx, struct leat_strbuf *out)
{
    struct leat__table_join *j = (struct leat__table_join *)op;
    LEAT_ASSERT(!j->in && !j->due && !j->is_firing && !j->is_collecting);
    LEAT_TRY(leat__waiting_save(j, ctx));
    leat__strbuf_char(out, 1);
    leat__strbuf_char(out, j->spec->broadcast);
    if (j->spec->broadcast)
        LEAT_TRY(save_table(j, ctx, out));
    return out->failed ? leat__rows_nomem(ctx, "a snapshot") : 0;
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

/* The next row behind those of the batch, with its time and flags. */
static int read_row(
    struct leat__table_join *j, struct leat__ctx *ctx, struct saved *from, struct leat_batch *batch)
{
    struct leat_sv bytes;
    const uint32_t row = batch->count;
    if (!get(from, &j->times[row], sizeof *j->times) || !get(from, &j->flags[row], 1) ||
        !get_bytes(from, &bytes))
        return LEAT_EDATA;
    uint8_t *copy = leat__batch_alloc(batch, bytes.len + LEAT_BUFFER_SLACK_BYTES, 1);
    const uint8_t *at = copy;
    if (!copy)
        return LEAT_ENOMEM;
    memset(copy + bytes.len, 0, LEAT_BUFFER_SLACK_BYTES);
    if (bytes.len)
        memcpy(copy, bytes.data, bytes.len);
    const int64_t rows = leat__decode(j->decoder, &at, copy + bytes.len, batch, 1, ctx->error);
    batch->event_us[row] = j->times[row];
    return rows == 1 && at == copy + bytes.len ? 0 : rows < 0 ? (int)rows : LEAT_EDATA;
}

static int append_batch(struct leat__table_join *j, struct leat__ctx *ctx, struct leat_batch **batch)
{
    if ((*batch)->count == 0)
        return 0;
    LEAT_TRY(leat__table_join_keys(j, ctx, LEAT__RIGHT, batch));
    const uint32_t count = *batch ? (*batch)->count : 0;
    for (uint32_t i = 0; i < count; i++)
        j->picks[i] = i;
    return count ? leat__versions_append(j, ctx, *batch, j->picks, count) : 0;
}

static int read_rows(struct leat__table_join *j, struct leat__ctx *ctx, struct saved *from)
{
    const struct leat_type *type = leat__input_type(ctx->node, LEAT__RIGHT);
    int code = 0;
    while (code == 0 && from->len > 0) {
        struct leat_batch *batch;
        LEAT_TRY(leat__rows_get(ctx, type, &batch));
        code = leat__versions_reserve(j, ctx, batch->capacity);
        while (code == 0 && from->len > 0 && !leat__batch_is_full(batch))
            code = read_row(j, ctx, from, batch);
        if (code == 0)
            code = append_batch(j, ctx, &batch);
        leat__batch_release(batch);
    }
    return code;
}

static int restore_part(struct leat__table_join *j, struct leat__ctx *ctx, struct leat_sv part)
{
    struct saved from = { part.data + HEAD_BYTES, part.len - HEAD_BYTES };
    struct leat_schema *schema = NULL;
    struct leat_sv text;
    if (!get_bytes(&from, &text))
        return LEAT_EDATA;
    int code = leat__schema_parse(text.data, text.len, &schema, ctx->error);
    leat__decoder_free(j->decoder);
    j->decoder = NULL;
    if (code == 0)
        code = leat__decoder_new(
            schema, leat__input_type(ctx->node, LEAT__RIGHT), NULL, &j->decoder, ctx->error);
    leat__schema_free(schema);
    return code < 0 ? code : read_rows(j, ctx, &from);
}

int leat__table_join_restore(
    struct leat_op *op, struct leat__ctx *ctx, const struct leat_sv *parts, uint32_t count)
{
    struct leat__table_join *j = (struct leat__table_join *)op;
    for (uint32_t i = 0; i < count; i++) {
        if (parts[i].len < HEAD_BYTES || parts[i].data[0] != 1)
            return leat__fail(ctx, LEAT_EDATA, "part %u of its snapshot is damaged: %zu bytes, version %d", i,
                parts[i].len, parts[i].len ? parts[i].data[0] : 0);
        if ((parts[i].data[1] != 0) != j->spec->broadcast)
            return leat__fail(ctx, LEAT_ESCHEMA,
                "its table was %s when it was saved, and is %s now: leave .broadcast as it was, or give "
                "the node a new name",
                j->spec->broadcast ? "in keyed state" : "broadcast",
                j->spec->broadcast ? "broadcast" : "in keyed state");
        const int code = j->spec->broadcast ? restore_part(j, ctx, parts[i]) : 0;
        if (code < 0)
            return ctx->error->code < 0
                ? leat__fail_here(ctx)
                : leat__fail(ctx, code, "part %u of its snapshot: %s", i, leat_error_text(code));
    }
    leat__join_output_forwarded(j->output, ctx->watermark_us);
    return 0;
}
