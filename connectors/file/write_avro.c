/* connectors/file/write_avro.c -- rows to Avro container files: blocks of about 64 KiB or 4096 rows.
 *
 * Rows are encoded a few at a time, as many as the rows before let expect to fill the block: one call for
 * many small rows, and no block far beyond its size where rows are large. */
#include "base/alloc.h"
#include "connectors/file/sink_private.h"

#define BLOCK_BYTES (64u * 1024u)
#define BLOCK_ROWS 4096u
#define BLOCK_BYTES_FAR (4u * BLOCK_BYTES) /* a guess was wrong by so much: take rows one by one */

struct avro_writer {
    struct leat_encoder *encoder;
    struct leat_container_writer *container; /* of the current file; NULL: none */
    struct leat_strbuf rows; /* of the current block */
    uint32_t rows_count;
    size_t row_bytes; /* of a row, as far as known */
};

static int avro_open(struct leat_file_writer *w, struct leat__ctx *ctx)
{
    struct avro_writer *a = leat__calloc(1, sizeof *a);
    if (!a)
        return leat__fail(ctx, LEAT_ENOMEM, "%s: out of memory for writing it", w->target->path);
    w->state = a;
    a->row_bytes = 256;
    return leat__encoder_new(w->target->type, &a->encoder, ctx->error) < 0 ? leat__fail_here(ctx) : 0;
}

static void avro_close(struct leat_file_writer *w)
{
    struct avro_writer *a = w->state;
    if (!a)
        return;
    leat__encoder_free(a->encoder);
    leat__container_writer_free(a->container);
    leat__strbuf_release(&a->rows);
    leat__free(a);
    w->state = NULL;
}

static int avro_begin(struct leat_file_writer *w, struct leat__ctx *ctx)
{
    struct avro_writer *a = w->state;
    for (size_t i = 0; !w->has_sync && i < sizeof w->sync; i += sizeof(uint64_t)) {
        const uint64_t bits = ctx->env->random(ctx->env);
        memcpy(w->sync + i, &bits, sizeof bits);
    }
    leat__container_writer_free(a->container);
    a->container = NULL;
    const int code = leat__container_writer_new(
        w->target->type->schema, w->target->codec, w->sync, w->out, &a->container, ctx->error);
    return code < 0 ? leat__fail_here(ctx) : 0;
}

static int avro_flush(struct leat_file_writer *w, struct leat__ctx *ctx)
{
    struct avro_writer *a = w->state;
    if (a->rows_count == 0)
        return 0;
    const int code = leat__container_write_block(
        a->container, a->rows.data, a->rows.len, a->rows_count, w->out, ctx->error);
    leat__strbuf_clear(&a->rows);
    a->rows_count = 0;
    w->held_bytes = 0;
    return code < 0 ? leat__fail_here(ctx) : 0;
}

/* How many rows are encoded at once: those that should fill the block, at least one. */
static uint32_t rows_at_once(const struct avro_writer *a, uint32_t left)
{
    const size_t fit = (BLOCK_BYTES - a->rows.len) / a->row_bytes + 1;
    const uint32_t room = BLOCK_ROWS - a->rows_count;
    const uint32_t rows = left < room ? left : room;
    return fit < rows ? (uint32_t)fit : rows;
}

static int avro_rows(struct leat_file_writer *w, struct leat__ctx *ctx, const struct leat_batch *batch)
{
    struct avro_writer *a = w->state;
    uint32_t from = 0;
    while (from < batch->count) {
        const size_t len = a->rows.len;
        const uint32_t want = rows_at_once(a, batch->count - from);
        uint32_t done = 0;
        const int code = leat__encode(a->encoder, batch, from, want, &a->rows, &done, ctx->error);
        if (code < 0 && code != LEAT_EDATA)
            return leat__fail_here(ctx);
        if (want > 1 && a->rows.len - len > BLOCK_BYTES_FAR) {
            a->rows.len = len;
            a->row_bytes = BLOCK_BYTES;
            continue;
        }
        if (done > 0)
            a->row_bytes = (a->rows.len - len) / done + 1;
        a->rows_count += done;
        from += done;
        if (code == LEAT_EDATA)
            leat__ctx_refuse(ctx, from++, "%s", ctx->error->message);
        if (a->rows.len >= BLOCK_BYTES || a->rows_count >= BLOCK_ROWS)
            LEAT_TRY(avro_flush(w, ctx));
    }
    w->held_bytes = a->rows.len;
    return 0;
}

const struct leat_file_write_class leat__file_write_avro = {
    .open = avro_open,
    .begin = avro_begin,
    .rows = avro_rows,
    .flush = avro_flush,
    .close = avro_close,
};
