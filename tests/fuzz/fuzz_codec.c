/* tests/fuzz/fuzz_codec.c -- the first byte picks a codec. The rest is put into a container file as a block's
 * packed bytes, as they are; and written as a block, it must come back. */
#include "base/alloc.h"
#include "base/limits.h"
#include "record/container.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/memory_env.h"
#include <string.h>

#define PATH "file.avro"

static const uint8_t sync_marker[LEAT_SYNC_BYTES] = "the sync marker";

struct target {
    struct leat_env *env;
    struct leat_pool *pool;
    struct leat_strbuf file;
    struct leat_error err;
};

static void put_long(struct leat_strbuf *out, uint64_t value)
{
    uint64_t bits = value << 1;
    for (; bits >= 0x80; bits >>= 7)
        leat__strbuf_char(out, (char)(bits | 0x80));
    leat__strbuf_char(out, (char)bits);
}

/* Reads the only block of the file: 1, 0 or the error. */
static int read_block(struct target *t, const uint8_t *expected, size_t size)
{
    struct leat_container_reader *reader;
    struct leat_container_block block;
    memory_env_put(t->env, PATH, t->file.data, t->file.len);
    FUZZ_CHECK(leat__container_open(t->env, t->pool, PATH, &reader, &t->err) == 0);
    const int got = leat__container_next(reader, &block, &t->err);
    if (got == 1) {
        FUZZ_CHECK(block.rows_count == 1 && block.size <= LEAT_BLOCK_BYTES_MAX);
        if (expected)
            FUZZ_CHECK(block.size == size && (size == 0 || memcmp(block.data, expected, size) == 0));
        leat__buffer_release(block.buffer);
    }
    leat__container_close(reader);
    return got;
}

static void run(struct target *t, enum leat_codec codec, const uint8_t *data, size_t size)
{
    struct leat_container_writer *writer;
    FUZZ_CHECK(leat__container_writer_new("\"bytes\"", codec, sync_marker, &t->file, &writer, &t->err) == 0);
    const size_t header = t->file.len;
    FUZZ_CHECK(leat__container_write_block(writer, data, size, 1, &t->file, &t->err) == 0);
    FUZZ_CHECK(read_block(t, data, size) == 1);
    leat__container_writer_free(writer);

    t->file.len = header;
    put_long(&t->file, 1);
    put_long(&t->file, size);
    leat__strbuf_add(&t->file, data, size);
    leat__strbuf_add(&t->file, sync_marker, LEAT_SYNC_BYTES);
    const int got = read_block(t, NULL, 0);
    FUZZ_CHECK(got == 1 || (got == LEAT_EDATA && strncmp(t->err.message, PATH, strlen(PATH)) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const int64_t live = leat__alloc_live();
    struct target t = { .env = memory_env_new(1) };
    FUZZ_CHECK(leat__pool_new(16, &t.pool) == 0);
    if (size > 0)
        run(&t, (enum leat_codec)(LEAT_CODEC_NULL + data[0] % LEAT_CODEC_ZSTANDARD), data + 1, size - 1);
    leat__strbuf_release(&t.file);
    leat__pool_free(t.pool);
    memory_env_free(t.env);
    FUZZ_CHECK(leat__alloc_live() == live);
    return 0;
}
