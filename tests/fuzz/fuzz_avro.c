/* tests/fuzz/fuzz_avro.c -- a line with the writer's schema, a line with the reader's (empty: the same), then
 * data. What is decoded can be printed, copied, encoded, and decoded again to the same bytes; nothing is read
 * behind the data's slack or written behind the rows. */
#include "base/alloc.h"
#include "record/avro.h"
#include "record/copy.h"
#include "tests/fuzz/fuzz.h"
#include <string.h>

#define ROWS_MAX 16u
#define FAULTS_MAX 4

struct target {
    struct leat_schema *writer, *reader;
    struct leat_arena arena;
    const struct leat_type *type;
    struct leat_decoder *decoder, *own; /* own: reader's schema to itself */
    struct leat_encoder *encoder;
    struct leat_copier *copier;
    struct leat_pool *pool;
    struct leat_error err;
};

/* Data of exact size with slack, so that the address sanitizer sees a read beyond. */
static uint8_t *with_slack(const void *data, size_t size)
{
    uint8_t *copy = malloc(size + LEAT_BUFFER_SLACK_BYTES);
    FUZZ_CHECK(copy != NULL);
    if (size)
        memcpy(copy, data, size);
    memset(copy + size, 0x80, LEAT_BUFFER_SLACK_BYTES);
    return copy;
}

static struct leat_batch *new_batch(struct target *t)
{
    struct leat_batch *batch;
    FUZZ_CHECK(leat__batch_get(t->pool, t->type, &batch) == 0);
    return batch;
}

/* Rows -> bytes -> rows -> bytes: the bytes agree. */
static void check_round(struct target *t, const struct leat_batch *batch)
{
    struct leat_strbuf first = { 0 }, second = { 0 };
    struct leat_batch *again = new_batch(t), *copies = new_batch(t);
    FUZZ_CHECK(leat__encode(t->encoder, batch, 0, batch->count, &first, NULL, &t->err) == 0);
    uint8_t *bytes = with_slack(first.data, first.len);
    const uint8_t *at = bytes;
    uint32_t rows = 0;
    while (rows < batch->count && !leat__batch_is_full(again)) {
        const int64_t n = leat__decode(t->own, &at, bytes + first.len, again, batch->count - rows, &t->err);
        FUZZ_CHECK(n > 0);
        rows += (uint32_t)n;
    }
    FUZZ_CHECK(rows < batch->count || at == bytes + first.len);
    for (uint32_t i = 0; i < again->count; i++) {
        char line[64];
        (void)leat_record_print(leat_batch_at(again, i), t->type, line, sizeof line);
        FUZZ_CHECK(leat__copy_push(t->copier, copies, leat_batch_at(again, i)) == 0);
    }
    leat__batch_release(again);
    FUZZ_CHECK(leat__encode(t->encoder, copies, 0, copies->count, &second, NULL, &t->err) == 0);
    FUZZ_CHECK(second.len <= first.len && (!second.len || memcmp(first.data, second.data, second.len) == 0));
    leat__batch_release(copies);
    free(bytes);
    leat__strbuf_release(&first);
    leat__strbuf_release(&second);
}

static void decode_all(struct target *t, const uint8_t *data, size_t size)
{
    uint8_t *bytes = with_slack(data, size);
    const uint8_t *at = bytes, *end = bytes + size;
    for (int faults = 0; faults < FAULTS_MAX;) {
        struct leat_batch *batch = new_batch(t);
        const uint8_t *from = at;
        const int64_t rows = leat__decode(t->decoder, &at, end, batch, ROWS_MAX, &t->err);
        FUZZ_CHECK(rows >= 0 || rows == LEAT_EDATA);
        FUZZ_CHECK(at >= from && at <= end && batch->count <= ROWS_MAX);
        FUZZ_CHECK(rows < 0 || rows == batch->count);
        if (batch->count)
            check_round(t, batch);
        leat__batch_release(batch);
        if (rows < 0) {
            faults++;
            if (leat__decode_skip(t->decoder, &at, end, &t->err) < 0)
                break;
            FUZZ_CHECK(at <= end);
        }
        if (at >= end || (rows > 0 && at == from)) /* records of no bytes go on for ever */
            break;
    }
    free(bytes);
}

static bool compile(struct target *t)
{
    const struct leat_decoder_opts opts = { .check_utf8 = true };
    return leat__schema_type(t->reader, &t->arena, &t->type, &t->err) == 0 &&
        leat__decoder_new(t->writer, t->type, &opts, &t->decoder, &t->err) == 0 &&
        leat__decoder_new(t->reader, t->type, NULL, &t->own, &t->err) == 0 &&
        leat__encoder_new(t->type, &t->encoder, &t->err) == 0 && leat__copier_new(t->type, &t->copier) == 0;
}

static void release(struct target *t)
{
    leat__pool_free(t->pool);
    leat__copier_free(t->copier);
    leat__encoder_free(t->encoder);
    leat__decoder_free(t->own);
    leat__decoder_free(t->decoder);
    leat__schema_free(t->writer);
    leat__schema_free(t->reader);
    leat__arena_release(&t->arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const int64_t live = leat__alloc_live();
    const uint8_t *first = size ? memchr(data, '\n', size) : NULL;
    if (!first)
        return 0;
    const size_t left = size - (size_t)(first + 1 - data);
    const uint8_t *second = left ? memchr(first + 1, '\n', left) : NULL;
    if (!second)
        return 0;
    const char *writer = (const char *)data, *reader = (const char *)first + 1;
    const size_t writer_len = (size_t)(first - data), reader_len = (size_t)(second - first - 1);
    struct target t = { 0 };
    FUZZ_CHECK(leat__pool_new(ROWS_MAX, &t.pool) == 0);
    if (leat__schema_parse(writer, writer_len, &t.writer, &t.err) == 0 &&
        leat__schema_parse(
            reader_len ? reader : writer, reader_len ? reader_len : writer_len, &t.reader, &t.err) == 0 &&
        compile(&t))
        decode_all(&t, second + 1, size - (size_t)(second + 1 - data));
    release(&t);
    FUZZ_CHECK(leat__alloc_live() == live);
    return 0;
}
