/* connectors/file/write_lines.c -- rows to JSON lines and CSV. A row that can not be written leaves no trace
 * of itself. */
#include "connectors/file/sink_private.h"
#include "record/csv.h"
#include "record/json.h"

static int lines_open(struct leat_file_writer *w, struct leat__ctx *ctx)
{
    (void)w;
    (void)ctx;
    return 0;
}

static void lines_close(struct leat_file_writer *w)
{
    (void)w;
}

static int check_memory(struct leat_file_writer *w, struct leat__ctx *ctx)
{
    return w->out->failed ? leat__fail(ctx, LEAT_ENOMEM, "%s: out of memory for its lines", w->target->path)
                          : 0;
}

static int lines_begin(struct leat_file_writer *w, struct leat__ctx *ctx)
{
    if (w->target->format == LEAT_FORMAT_CSV)
        leat__csv_encode_header(w->target->type, w->target->separator, w->out);
    return check_memory(w, ctx);
}

/* A last member for the object that was just written. */
static void add_op(struct leat_file_writer *w, uint8_t change)
{
    static const char *const names[] = { "insert", "update_before", "update_after", "delete" };
    if (w->out->failed)
        return;
    LEAT_ASSERT(change < sizeof names / sizeof names[0] && w->out->data[w->out->len - 1] == '}');
    w->out->len--;
    leat__strbuf_printf(
        w->out, "%s%s\"%s\"}", w->target->type->fields_count ? "," : "", w->target->op_json, names[change]);
}

static int encode_row(struct leat_file_writer *w, const void *record, uint8_t change, struct leat_error *err)
{
    const struct leat_file_target *target = w->target;
    if (target->format == LEAT_FORMAT_CSV)
        return leat__csv_encode(target->type, target->separator, record, w->out, err);
    const enum leat_json_mode mode =
        target->format == LEAT_FORMAT_JSON_AVRO ? LEAT_JSON_AVRO : LEAT_JSON_PLAIN;
    LEAT_TRY(leat__json_encode(target->type, mode, record, w->out, err));
    if (target->op_json)
        add_op(w, change);
    leat__strbuf_char(w->out, '\n');
    return 0;
}

static int lines_rows(struct leat_file_writer *w, struct leat__ctx *ctx, const struct leat_batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        const size_t len = w->out->len;
        const int code = encode_row(w, leat_batch_at(batch, i), leat__batch_change(batch, i), ctx->error);
        if (code == 0)
            continue;
        if (code != LEAT_EDATA)
            return leat__fail_here(ctx);
        w->out->len = len;
        leat__ctx_refuse(ctx, i, "%s", ctx->error->message);
    }
    return check_memory(w, ctx);
}

static int lines_flush(struct leat_file_writer *w, struct leat__ctx *ctx)
{
    (void)w;
    (void)ctx;
    return 0;
}

const struct leat_file_write_class leat__file_write_lines = {
    .open = lines_open,
    .begin = lines_begin,
    .rows = lines_rows,
    .flush = lines_flush,
    .close = lines_close,
};
