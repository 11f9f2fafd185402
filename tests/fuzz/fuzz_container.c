/* tests/fuzz/fuzz_container.c -- any bytes as a container file: opened, its schema made a type, its rows
 * decoded. Reading it in two ranges and seeking to each block must not do harm either. */
#include "base/alloc.h"
#include "record/container.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/memory_env.h"
#include <string.h>

#define PATH "file.avro"
#define BLOCKS_MAX 64u
#define ROWS_MAX 512u
#define UNPACKED_BYTES_MAX (8u * 1024u * 1024u)

struct target {
    struct leat_env *env;
    struct leat_pool *pool;
    struct leat_decoder *decoder; /* NULL: the schema has no C type */
    struct leat_batch *batch;
    struct leat_error err;
};

static void decode_rows(struct target *t, const struct leat_container_block *block)
{
    const uint8_t *at = block->data;
    const uint8_t *end = block->data + block->size;
    t->batch->count = 0;
    const int64_t rows = leat__decode(t->decoder, &at, end, t->batch, ROWS_MAX, &t->err);
    FUZZ_CHECK(rows >= 0 || rows == LEAT_EDATA || rows == LEAT_ELIMIT || rows == LEAT_ENOMEM);
    FUZZ_CHECK(at >= block->data && at <= end);
}

/* Reads on to the end or to an error; the number of blocks. */
static uint32_t read_blocks(
    struct target *t, struct leat_container_reader *reader, uint64_t offsets[BLOCKS_MAX])
{
    struct leat_container_block block;
    uint32_t count = 0;
    size_t unpacked = 0;
    int got = 1;
    while (count < BLOCKS_MAX && unpacked < UNPACKED_BYTES_MAX &&
        (got = leat__container_next(reader, &block, &t->err)) == 1) {
        volatile uint8_t last = block.size > 0 ? block.data[block.size - 1] : 0;
        (void)last;
        offsets[count++] = block.offset;
        unpacked += block.size;
        if (t->decoder)
            decode_rows(t, &block);
        leat__buffer_release(block.buffer);
    }
    FUZZ_CHECK(got >= 0 || t->err.message[0] != '\0');
    FUZZ_CHECK(got >= 0 || strncmp(t->err.message, PATH, strlen(PATH)) == 0);
    return count;
}

static void read_file(struct target *t, struct leat_container_reader *reader, size_t size)
{
    struct leat_arena arena = { 0 };
    const struct leat_type *type;
    uint64_t offsets[BLOCKS_MAX], others[BLOCKS_MAX];
    if (leat__schema_type(leat__container_schema(reader), &arena, &type, &t->err) == 0 &&
        leat__decoder_new(leat__container_schema(reader), type, NULL, &t->decoder, &t->err) == 0)
        FUZZ_CHECK(leat__batch_get(t->pool, type, &t->batch) == 0);

    const uint32_t count = read_blocks(t, reader, offsets);
    for (uint32_t i = 0; i < count; i++)
        FUZZ_CHECK(leat__container_seek(reader, offsets[i], &t->err) == 0);
    const uint64_t cut = size / 2;
    if (leat__container_range(reader, 0, cut, &t->err) == 0)
        (void)read_blocks(t, reader, others);
    if (leat__container_range(reader, cut, UINT64_MAX, &t->err) == 0)
        (void)read_blocks(t, reader, others);

    leat__batch_release(t->batch);
    leat__decoder_free(t->decoder);
    leat__arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const int64_t live = leat__alloc_live();
    struct target t = { .env = memory_env_new(1) };
    struct leat_container_reader *reader;
    FUZZ_CHECK(leat__pool_new(16, &t.pool) == 0);
    memory_env_put(t.env, PATH, data, size);
    if (leat__container_open(t.env, t.pool, PATH, &reader, &t.err) == 0) {
        read_file(&t, reader, size);
        leat__container_close(reader);
    } else {
        FUZZ_CHECK(strncmp(t.err.message, PATH, strlen(PATH)) == 0);
    }
    leat__pool_free(t.pool);
    memory_env_free(t.env);
    FUZZ_CHECK(leat__alloc_live() == live);
    return 0;
}
