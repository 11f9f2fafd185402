/* tests/support/container_file.c -- small container files for tests. */
#include "tests/support/container_file.h"
#include "base/alloc.h"
#include "tests/support/memory_env.h"
#include <stdlib.h>
#include <string.h>

const uint8_t container_sync[LEAT_SYNC_BYTES] = "\x01\x02sync-marker\xff\xfe\xfd";
const enum leat_codec container_codecs[CONTAINER_CODECS_COUNT] = { LEAT_CODEC_NULL, LEAT_CODEC_DEFLATE,
    LEAT_CODEC_SNAPPY, LEAT_CODEC_ZSTANDARD };

int container_setup(void **state)
{
    struct container_fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->env = memory_env_new(1);
    assert_int_equal(leat__pool_new(16, &f->pool), 0);
    *state = f;
    return 0;
}

int container_teardown(void **state)
{
    struct container_fixture *f = *state;
    assert_int_equal(memory_env_open_count(f->env), 0);
    memory_env_free(f->env);
    leat__pool_free(f->pool);
    leat__strbuf_release(&f->file);
    free(f);
    assert_int_equal(leat__alloc_live(), 0);
    return 0;
}

void container_put_long(struct leat_strbuf *out, int64_t value)
{
    uint64_t bits = (uint64_t)value << 1 ^ (uint64_t)(value < 0 ? -1 : 0);
    for (; bits >= 0x80; bits >>= 7)
        leat__strbuf_char(out, (char)(bits | 0x80));
    leat__strbuf_char(out, (char)bits);
}

static bool get_long(const uint8_t **at, const uint8_t *end, int64_t *value)
{
    uint64_t bits = 0;
    for (unsigned shift = 0; *at < end && shift < 64; shift += 7) {
        const uint8_t byte = *(*at)++;
        bits |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *value = (int64_t)(bits >> 1 ^ (0 - (bits & 1)));
            return true;
        }
    }
    return false;
}

/* Writes blocks of the given numbers of rows; the rows count up from 0. The file is put in place. */
void container_write_file(
    struct container_fixture *f, enum leat_codec codec, const uint32_t *blocks, size_t blocks_count)
{
    struct leat_container_writer *writer;
    struct leat_strbuf data = { 0 };
    int64_t value = 0;
    leat__strbuf_clear(&f->file);
    assert_int_equal(
        leat__container_writer_new(CONTAINER_SCHEMA, codec, container_sync, &f->file, &writer, &f->err), 0);
    for (size_t b = 0; b < blocks_count; b++) {
        leat__strbuf_clear(&data);
        for (uint32_t i = 0; i < blocks[b]; i++)
            container_put_long(&data, value++ * 1000);
        assert_int_equal(
            leat__container_write_block(writer, data.data, data.len, blocks[b], &f->file, &f->err), 0);
    }
    leat__container_writer_free(writer);
    leat__strbuf_release(&data);
    memory_env_put(f->env, CONTAINER_PATH, f->file.data, f->file.len);
}

/* The header of a file and `tail` behind it, as the whole file. */
void container_write_raw(struct container_fixture *f, enum leat_codec codec, const struct leat_strbuf *tail)
{
    container_write_file(f, codec, NULL, 0);
    leat__strbuf_add(&f->file, tail->data, tail->len);
    memory_env_put(f->env, CONTAINER_PATH, f->file.data, f->file.len);
}

/* Appends the rows of a block; false when count and data do not agree, which the record decoder would find.
 */
static bool take_rows(const struct leat_container_block *block, struct container_rows *rows)
{
    const uint8_t *at = block->data;
    for (uint64_t i = 0; i < block->rows_count; i++) {
        int64_t value;
        if (!get_long(&at, block->data + block->size, &value))
            return false;
        assert_true(rows->count < CONTAINER_ROWS_MAX);
        rows->values[rows->count++] = value;
    }
    return at == block->data + block->size;
}

/* Reads on to the end; 0 or the error. */
int container_read_on(
    struct container_fixture *f, struct leat_container_reader *reader, struct container_rows *rows)
{
    struct leat_container_block block;
    int code;
    while ((code = leat__container_next(reader, &block, &f->err)) == 1) {
        const bool good = take_rows(&block, rows);
        rows->blocks_count++;
        leat__buffer_release(block.buffer);
        if (!good)
            return LEAT_EDATA;
    }
    return code;
}

int container_read_range(struct container_fixture *f, uint64_t from, uint64_t to, struct container_rows *rows)
{
    struct leat_container_reader *reader;
    memset(&f->err, 0, sizeof f->err);
    int code = leat__container_open(f->env, f->pool, CONTAINER_PATH, &reader, &f->err);
    if (code < 0)
        return code;
    code = leat__container_range(reader, from, to, &f->err);
    if (code == 0)
        code = container_read_on(f, reader, rows);
    leat__container_close(reader);
    return code;
}

int container_read_file(struct container_fixture *f, struct container_rows *rows)
{
    rows->count = 0;
    rows->blocks_count = 0;
    return container_read_range(f, 0, UINT64_MAX, rows);
}

void container_assert_counting(const struct container_rows *rows, size_t from, size_t count)
{
    for (size_t i = from; i < count; i++)
        FAIL_UNLESS(rows->values[i] == (int64_t)i * 1000, "row %zu is %lld", i, (long long)rows->values[i]);
}
