/* connectors/file/read_avro.c -- Avro container files as splits: blocks are unpacked one at a time, and rows
 * decoded from them by reference, resolved from the file's schema to the source's type.
 *
 * A position is "<offset of a block> <row in it>", the next row's place; between blocks it is "<offset of the
 * next block> 0", and "end" behind the last one.
 *
 * Bad data. A row that can not be decoded is reported and skipped by its structure; where even that fails,
 * the rest of its block is lost with it, since rows have no marks between them: the rest is counted as
 * dropped. A block that can not be unpacked is reported as one bad row at its offset, and reading goes on
 * behind the next sync marker.
 *
 * Invariants: (1) while block.buffer is set, `row` < block.rows_count rows were taken and `at` shows the next
 * one; (2) a batch refers to the buffer of every block that it has rows of. */
#include "connectors/file/file_private.h"
#include "base/alloc.h"
#include "record/container.h"
#include <stdio.h>

struct avro_reader {
    struct leat_container_reader *container;
    struct leat_decoder *decoder;
    struct leat_container_block block; /* buffer NULL: none */
    const uint8_t *at, *end; /* of the block's rows */
    uint64_t row;
    bool ended;
};

static int avro_open(struct leat_file_reader *r)
{
    struct leat__ctx *ctx = r->reader.ctx;
    struct avro_reader *a = leat__calloc(1, sizeof *a);
    if (!a)
        return leat__fail(ctx, LEAT_ENOMEM, "%s: out of memory for reading it", r->file->path);
    r->state = a;
    int code = leat__container_open(ctx->env, ctx->pool, r->file->path, &a->container, ctx->error);
    if (code < 0)
        return leat__fail_here(ctx);
    code =
        leat__decoder_new(leat__container_schema(a->container), r->spec->type, NULL, &a->decoder, ctx->error);
    if (code < 0) {
        (void)leat__error_prefix(ctx->error, "%s", r->file->path);
        return leat__fail_here(ctx);
    }
    code = leat__container_range(a->container, r->reader.split->from, r->reader.split->to, ctx->error);
    return code < 0 ? leat__fail_here(ctx) : 0;
}

static void close_block(struct avro_reader *a)
{
    leat__buffer_release(a->block.buffer);
    a->block.buffer = NULL;
}

static void avro_close(struct leat_file_reader *r)
{
    struct avro_reader *a = r->state;
    if (!a)
        return;
    close_block(a);
    leat__decoder_free(a->decoder);
    leat__container_close(a->container);
    leat__free(a);
    r->state = NULL;
}

/* ---- bad data ---- */

/* Puts the place before the decoder's text in ctx->error. */
static void place_error(struct leat_file_reader *r, const struct avro_reader *a, const char *tail)
{
    struct leat_error *err = r->reader.ctx->error;
    char cause[LEAT_ERROR_MESSAGE_MAX];
    (void)snprintf(cause, sizeof cause, "%s", err->message);
    (void)leat__error(err, LEAT_EDATA, "%s: record %llu of the block at offset %llu: %s%s", r->file->path,
        (unsigned long long)a->row + 1, (unsigned long long)a->block.offset, cause, tail);
}

/* What remains of the block is lost; its rows but the first were not reported by themselves. */
static int drop_rest(struct leat_file_reader *r, struct avro_reader *a, const uint8_t *bad)
{
    struct leat__ctx *ctx = r->reader.ctx;
    const uint64_t lost = a->block.rows_count - a->row;
    char tail[80] = "";
    if (lost > 1)
        (void)snprintf(
            tail, sizeof tail, "; the %llu records behind it are lost too", (unsigned long long)lost - 1);
    place_error(r, a, tail);
    const int code = leat__reader_bad_row(&r->reader, (int64_t)a->block.offset, bad, (size_t)(a->end - bad));
    if (code == 0 && lost > 1)
        leat__count(&ctx->counters->dropped_records, lost - 1);
    close_block(a);
    return code;
}

/* The record at `at` can not be decoded; ctx->error says why. */
static int skip_record(struct leat_file_reader *r, struct avro_reader *a)
{
    struct leat_error ignored = { 0 };
    const uint8_t *bad = a->at;
    if (leat__decode_skip(a->decoder, &a->at, a->end, &ignored) < 0)
        return drop_rest(r, a, bad);
    place_error(r, a, "");
    a->row++;
    return leat__reader_bad_row(&r->reader, (int64_t)a->block.offset, bad, (size_t)(a->at - bad));
}

/* The next block can not be unpacked; ctx->error names file, block and cause. */
static int skip_block(struct leat_file_reader *r, struct avro_reader *a)
{
    struct leat__ctx *ctx = r->reader.ctx;
    const uint64_t offset = leat__container_at(a->container);
    const uint64_t to = r->reader.split->to;
    LEAT_TRY(leat__reader_bad_row(&r->reader, (int64_t)offset, NULL, 0));
    if (offset >= to) { /* its marker was the last one of the range */
        a->ended = true;
        return 0;
    }
    return leat__container_range(a->container, offset, to, ctx->error) < 0 ? leat__fail_here(ctx) : 0;
}

/* ---- reading ---- */

/* Opens the next block: 1, 0 at the end of the split, or an error. */
static int next_block(struct leat_file_reader *r, struct avro_reader *a)
{
    struct leat__ctx *ctx = r->reader.ctx;
    while (!a->ended) {
        const int got = leat__container_next(a->container, &a->block, ctx->error);
        if (got > 0) {
            a->at = a->block.data;
            a->end = a->block.data + a->block.size;
            a->row = 0;
            leat__count(&ctx->counters->bytes_in, leat__container_at(a->container) - a->block.offset);
            return 1;
        }
        if (got == 0)
            a->ended = true;
        else if (got == LEAT_EDATA)
            LEAT_TRY(skip_block(r, a));
        else
            return leat__fail_here(ctx);
    }
    return 0;
}

/* Takes rows from the open block until it or the batch's room ends, or up to a bad row. */
static int take_rows(struct leat_file_reader *r, struct avro_reader *a, struct leat_batch *batch)
{
    struct leat__ctx *ctx = r->reader.ctx;
    const uint32_t count = batch->count;
    const uint64_t left = a->block.rows_count - a->row;
    const uint32_t room = batch->capacity - count;
    const uint32_t want = left < room ? (uint32_t)left : room;
    int64_t got = 0;
    if (want > 0)
        got = leat__decode(a->decoder, &a->at, a->end, batch, want, ctx->error);
    if (batch->count > count && leat__batch_add_buffer(batch, a->block.buffer) < 0)
        return leat__fail(ctx, LEAT_ENOMEM, "%s: out of memory for a batch", r->file->path);
    a->row += batch->count - count;
    for (uint32_t i = count; r->reader.node->time.field && i < batch->count; i++)
        batch->event_us[i] = (int64_t)a->block.offset; /* for file_row_position */
    if (got < 0)
        return got == LEAT_EDATA ? skip_record(r, a) : leat__fail_here(ctx);
    const bool is_short = batch->count - count < want && !leat__batch_is_full(batch);
    if (is_short || (a->row == a->block.rows_count && a->at < a->end)) {
        (void)leat__error(ctx->error, LEAT_EDATA,
            "the block says that it has %llu records, but its bytes have %s: the file is damaged",
            (unsigned long long)a->block.rows_count, a->at < a->end ? "more" : "fewer");
        return drop_rest(r, a, a->at);
    }
    return 0;
}

static int avro_read(struct leat_file_reader *r, struct leat_batch *batch)
{
    struct avro_reader *a = r->state;
    uint64_t bytes = 0;
    while (!leat__batch_is_full(batch) && bytes < LEAT_FILE_READ_BYTES) {
        if (!a->block.buffer) {
            const int got = next_block(r, a);
            if (got <= 0)
                return got < 0 ? got : LEAT_READ_END;
            bytes += a->block.size + (leat__container_at(a->container) - a->block.offset);
        }
        LEAT_TRY(take_rows(r, a, batch));
        if (a->block.buffer && a->row == a->block.rows_count)
            close_block(a);
    }
    return LEAT_READ_ROWS;
}

/* ---- positions ---- */

static int avro_position(struct leat_file_reader *r, struct leat_strbuf *out)
{
    const struct avro_reader *a = r->state;
    if (a->block.buffer)
        leat__strbuf_printf(
            out, "%llu %llu", (unsigned long long)a->block.offset, (unsigned long long)a->row);
    else if (a->ended)
        leat__strbuf_str(out, "end");
    else
        leat__strbuf_printf(out, "%llu 0", (unsigned long long)leat__container_at(a->container));
    return out->failed ? leat__fail(r->reader.ctx, LEAT_ENOMEM, "out of memory for a position") : 0;
}

/* Goes to row `row` of the next block, whose rows before were skippable when the position was taken. */
static int skip_rows(struct leat_file_reader *r, struct avro_reader *a, uint64_t row)
{
    struct leat__ctx *ctx = r->reader.ctx;
    const int got = leat__container_next(a->container, &a->block, ctx->error);
    if (got < 0)
        return leat__fail_here(ctx);
    if (got == 0 || row > a->block.rows_count)
        return leat__fail(ctx, LEAT_EDATA, "%s: no record %llu where reading left off: the file has changed",
            r->file->path, (unsigned long long)row);
    a->at = a->block.data;
    a->end = a->block.data + a->block.size;
    for (a->row = 0; a->row < row; a->row++) {
        if (leat__decode_skip(a->decoder, &a->at, a->end, ctx->error) < 0) {
            place_error(r, a, "");
            return leat__fail_here(ctx);
        }
    }
    return 0;
}

static int avro_seek(struct leat_file_reader *r, const char *position, size_t len)
{
    struct avro_reader *a = r->state;
    struct leat__ctx *ctx = r->reader.ctx;
    uint64_t offset, row;
    if (len == 3 && memcmp(position, "end", 3) == 0) {
        close_block(a);
        a->ended = true;
        return 0;
    }
    if (!leat__file_position(position, len, &offset, &row))
        return leat__file_bad_position(r, position, len);
    close_block(a);
    a->ended = false;
    if (leat__container_seek(a->container, offset, ctx->error) < 0)
        return leat__fail_here(ctx);
    return row > 0 ? skip_rows(r, a, row) : 0;
}

const struct leat_file_read_class leat__file_read_avro = {
    .open = avro_open,
    .read = avro_read,
    .position = avro_position,
    .seek = avro_seek,
    .close = avro_close,
};
