/* tests/unit/record/test_container.c -- container files: every codec, every cut, every damaged byte, every
 * fault. Files live in memory; records are {"x": long}, written and read here by hand, so that a row is one
 * varint. */
#include "base/alloc.h"
#include "base/limits.h"
#include "record/container.h"
#include "tests/support/memory_env.h"
#include "tests/support/unit.h"
#include <avro.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#define SCHEMA "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"x\",\"type\":\"long\"}]}"
#define PATH "dir/x.avro"
#define ROWS_MAX 4096

static const uint8_t sync_marker[LEAT_SYNC_BYTES] = "\x01\x02sync-marker\xff\xfe\xfd";
static const enum leat_codec codecs[] = { LEAT_CODEC_NULL, LEAT_CODEC_DEFLATE, LEAT_CODEC_SNAPPY,
    LEAT_CODEC_ZSTANDARD };

struct fixture {
    struct leat_env *env;
    struct leat_pool *pool;
    struct leat_strbuf file;
    struct leat_error err;
};

struct rows {
    int64_t values[ROWS_MAX];
    size_t count;
    size_t blocks_count;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->env = memory_env_new(1);
    assert_int_equal(leat__pool_new(16, &f->pool), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(memory_env_open_count(f->env), 0);
    memory_env_free(f->env);
    leat__pool_free(f->pool);
    leat__strbuf_release(&f->file);
    free(f);
    assert_int_equal(leat__alloc_live(), 0);
    return 0;
}

static void put_long(struct leat_strbuf *out, int64_t value)
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
static void write_file(struct fixture *f, enum leat_codec codec, const uint32_t *blocks, size_t blocks_count)
{
    struct leat_container_writer *writer;
    struct leat_strbuf data = { 0 };
    int64_t value = 0;
    leat__strbuf_clear(&f->file);
    assert_int_equal(leat__container_writer_new(SCHEMA, codec, sync_marker, &f->file, &writer, &f->err), 0);
    for (size_t b = 0; b < blocks_count; b++) {
        leat__strbuf_clear(&data);
        for (uint32_t i = 0; i < blocks[b]; i++)
            put_long(&data, value++ * 1000);
        assert_int_equal(
            leat__container_write_block(writer, data.data, data.len, blocks[b], &f->file, &f->err), 0);
    }
    leat__container_writer_free(writer);
    leat__strbuf_release(&data);
    memory_env_put(f->env, PATH, f->file.data, f->file.len);
}

/* The header of a file and `tail` behind it, as the whole file. */
static void write_raw(struct fixture *f, enum leat_codec codec, const struct leat_strbuf *tail)
{
    write_file(f, codec, NULL, 0);
    leat__strbuf_add(&f->file, tail->data, tail->len);
    memory_env_put(f->env, PATH, f->file.data, f->file.len);
}

/* Appends the rows of a block; false when count and data do not agree, which the record decoder would find.
 */
static bool take_rows(const struct leat_container_block *block, struct rows *rows)
{
    const uint8_t *at = block->data;
    for (uint64_t i = 0; i < block->rows_count; i++) {
        int64_t value;
        if (!get_long(&at, block->data + block->size, &value))
            return false;
        assert_true(rows->count < ROWS_MAX);
        rows->values[rows->count++] = value;
    }
    return at == block->data + block->size;
}

/* Reads on to the end; 0 or the error. */
static int read_on(struct fixture *f, struct leat_container_reader *reader, struct rows *rows)
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

static int read_range(struct fixture *f, uint64_t from, uint64_t to, struct rows *rows)
{
    struct leat_container_reader *reader;
    memset(&f->err, 0, sizeof f->err);
    int code = leat__container_open(f->env, f->pool, PATH, &reader, &f->err);
    if (code < 0)
        return code;
    code = leat__container_range(reader, from, to, &f->err);
    if (code == 0)
        code = read_on(f, reader, rows);
    leat__container_close(reader);
    return code;
}

static int read_file(struct fixture *f, struct rows *rows)
{
    rows->count = 0;
    rows->blocks_count = 0;
    return read_range(f, 0, UINT64_MAX, rows);
}

static void assert_counting(const struct rows *rows, size_t from, size_t count)
{
    for (size_t i = from; i < count; i++)
        FAIL_UNLESS(rows->values[i] == (int64_t)i * 1000, "row %zu is %lld", i, (long long)rows->values[i]);
}

static void test_container__given_each_codec__when_written_and_read__then_same_rows(void **state)
{
    static const struct {
        const char *name;
        uint32_t blocks[4];
        size_t blocks_count;
        size_t rows_count;
    } files[] = {
        { "no blocks", { 0 }, 0, 0 },
        { "one row", { 1 }, 1, 1 },
        { "blocks of many sizes", { 1, 1000, 3, 500 }, 4, 1504 },
    };
    struct fixture *f = *state;
    static struct rows rows;
    for (size_t c = 0; c < COUNT_OF(codecs); c++) {
        for (size_t i = 0; i < COUNT_OF(files); i++) {
            write_file(f, codecs[c], files[i].blocks, files[i].blocks_count);
            FAIL_UNLESS(read_file(f, &rows) == 0, "%s, %s: %s", leat__codec_name(codecs[c]), files[i].name,
                f->err.message);
            assert_int_equal(rows.count, files[i].rows_count);
            assert_int_equal(rows.blocks_count, files[i].blocks_count);
            assert_counting(&rows, 0, rows.count);
        }
    }
}

/* Blocks from a few bytes to several windows, so that every way to assemble one is taken. */
static void test_container__given_blocks_around_the_window_size__when_read__then_bytes_are_right(void **state)
{
    static const size_t sizes[] = { 10, 262100, 262144, 100, 700000, 1048576, 5000000, 1, 40000, 40000, 40000,
        40000, 40000, 40000, 40000, 3000000 };
    struct fixture *f = *state;
    uint8_t *data = malloc(5000000);
    assert_non_null(data);
    for (size_t i = 0; i < 5000000; i++)
        data[i] = (uint8_t)(i * 2654435761u >> 13);
    for (size_t c = 0; c < COUNT_OF(codecs); c++) {
        struct leat_container_writer *writer;
        leat__strbuf_clear(&f->file);
        assert_int_equal(
            leat__container_writer_new("\"bytes\"", codecs[c], sync_marker, &f->file, &writer, &f->err), 0);
        for (size_t i = 0; i < COUNT_OF(sizes); i++)
            assert_int_equal(
                leat__container_write_block(writer, data + i, sizes[i] - i % 2, 1 + i, &f->file, &f->err), 0);
        leat__container_writer_free(writer);
        memory_env_put(f->env, PATH, f->file.data, f->file.len);

        struct leat_container_reader *reader;
        struct leat_container_block block, held[COUNT_OF(sizes)];
        assert_int_equal(leat__container_open(f->env, f->pool, PATH, &reader, &f->err), 0);
        assert_int_equal(leat__container_codec(reader), codecs[c]);
        assert_int_equal(leat__container_size(reader), f->file.len);
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
            FAIL_UNLESS(leat__container_next(reader, &held[i], &f->err) == 1, "%s", f->err.message);
            assert_int_equal(held[i].rows_count, 1 + i);
        }
        assert_int_equal(leat__container_next(reader, &block, &f->err), 0);
        assert_int_equal(leat__container_next(reader, &block, &f->err), 0);
        leat__container_close(reader);
        /* All were held while others were read, and outlive the reader. */
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
            assert_int_equal(held[i].size, sizes[i] - i % 2);
            assert_memory_equal(held[i].data, data + i, held[i].size);
            leat__buffer_release(held[i].buffer);
        }
    }
    free(data);
}

static void test_container__given_codec_null__when_blocks_lie_in_one_read__then_views_of_one_buffer(
    void **state)
{
    static const uint32_t blocks[] = { 10, 20, 30 };
    struct fixture *f = *state;
    struct leat_container_reader *reader;
    struct leat_container_block a, b;
    write_file(f, LEAT_CODEC_NULL, blocks, 3);
    assert_int_equal(leat__container_open(f->env, f->pool, PATH, &reader, &f->err), 0);
    const uint64_t calls = memory_env_calls_count(f->env);
    assert_int_equal(leat__container_next(reader, &a, &f->err), 1);
    assert_int_equal(leat__container_next(reader, &b, &f->err), 1);
    assert_ptr_equal(a.buffer, b.buffer);
    assert_int_equal(memory_env_calls_count(f->env), calls); /* the header's read had it all */
    leat__buffer_release(a.buffer);
    leat__buffer_release(b.buffer);
    leat__container_close(reader);
}

static void test_container__given_the_steady_state__when_read_on__then_nothing_is_allocated(void **state)
{
    struct fixture *f = *state;
    uint32_t blocks[40];
    static struct rows rows;
    for (size_t i = 0; i < COUNT_OF(blocks); i++)
        blocks[i] = 100;
    for (size_t c = 0; c < COUNT_OF(codecs); c++) {
        struct leat_container_reader *reader;
        struct leat_container_block block;
        write_file(f, codecs[c], blocks, COUNT_OF(blocks));
        assert_int_equal(leat__container_open(f->env, f->pool, PATH, &reader, &f->err), 0);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(leat__container_next(reader, &block, &f->err), 1);
            leat__buffer_release(block.buffer);
        }
        const uint64_t calls = leat__alloc_calls();
        rows.count = 0;
        assert_int_equal(read_on(f, reader, &rows), 0);
        assert_int_equal(rows.count, 3700);
        assert_int_equal(leat__alloc_calls(), calls);
        leat__container_close(reader);
    }
}

static void test_container__given_empty_blocks__when_read__then_no_rows_and_no_error(void **state)
{
    struct fixture *f = *state;
    static struct rows rows;
    for (size_t c = 0; c < COUNT_OF(codecs); c++) {
        struct leat_strbuf tail = { 0 };
        for (int i = 0; i < 3; i++) {
            put_long(&tail, 0);
            put_long(&tail, 0);
            leat__strbuf_add(&tail, sync_marker, LEAT_SYNC_BYTES);
        }
        write_raw(f, codecs[c], &tail);
        assert_int_equal(read_file(f, &rows), 0);
        assert_int_equal(rows.blocks_count, 3);
        assert_int_equal(rows.count, 0);
        leat__strbuf_release(&tail);
    }
}

static void test_container__given_every_cut__when_read_in_two_ranges__then_each_block_once(void **state)
{
    static const uint32_t blocks[] = { 1, 20, 2, 30, 1 };
    struct fixture *f = *state;
    static struct rows rows;
    for (size_t c = 0; c < COUNT_OF(codecs); c++) {
        write_file(f, codecs[c], blocks, COUNT_OF(blocks));
        for (uint64_t cut = 0; cut <= f->file.len + 20; cut++) {
            rows.count = rows.blocks_count = 0;
            assert_int_equal(read_range(f, 0, cut, &rows), 0);
            assert_int_equal(read_range(f, cut, UINT64_MAX, &rows), 0);
            FAIL_UNLESS(rows.count == 54 && rows.blocks_count == 5, "cut at %llu: %zu rows, %zu blocks",
                (unsigned long long)cut, rows.count, rows.blocks_count);
            assert_counting(&rows, 0, rows.count);
        }
    }
}

static void test_container__given_every_partition_in_three__when_read__then_each_block_once(void **state)
{
    static const uint32_t blocks[] = { 1, 3, 2, 8, 1 };
    struct fixture *f = *state;
    static struct rows rows;
    write_file(f, LEAT_CODEC_NULL, blocks, COUNT_OF(blocks));
    for (uint64_t a = 0; a <= f->file.len + 1; a++) {
        for (uint64_t b = a; b <= f->file.len + 1; b++) {
            rows.count = rows.blocks_count = 0;
            assert_int_equal(read_range(f, a, b, &rows), 0);
            assert_int_equal(read_range(f, 0, a, &rows), 0);
            assert_int_equal(read_range(f, b, UINT64_MAX, &rows), 0);
            FAIL_UNLESS(rows.count == 15 && rows.blocks_count == 5,
                "cuts at %llu and %llu: %zu rows, %zu blocks", (unsigned long long)a, (unsigned long long)b,
                rows.count, rows.blocks_count);
        }
    }
}

static void test_container__given_a_range__when_its_bounds_are_odd__then_the_contract_holds(void **state)
{
    static const uint32_t blocks[] = { 5, 5 };
    struct fixture *f = *state;
    static struct rows rows;
    write_file(f, LEAT_CODEC_SNAPPY, blocks, COUNT_OF(blocks));
    rows.count = 0;
    assert_int_equal(read_range(f, 0, 0, &rows), 0);
    assert_int_equal(read_range(f, f->file.len, UINT64_MAX, &rows), 0);
    assert_int_equal(read_range(f, UINT64_MAX, UINT64_MAX, &rows), 0);
    assert_int_equal(read_range(f, UINT64_MAX - 3, UINT64_MAX, &rows), 0);
    assert_int_equal(rows.count, 0);
    assert_int_equal(read_range(f, 9, 8, &rows), LEAT_EINVAL);
    assert_string_equal(f->err.message, PATH ": the byte range from 9 to 8 is none");
}

static void test_container__given_each_block_offset__when_sought__then_the_rest_follows(void **state)
{
    static const uint32_t blocks[] = { 4, 20, 2, 30, 1 };
    static const size_t rows_before[] = { 0, 4, 24, 26, 56 };
    struct fixture *f = *state;
    static struct rows rows;
    for (size_t c = 0; c < COUNT_OF(codecs); c++) {
        uint64_t offsets[COUNT_OF(blocks) + 1];
        struct leat_container_reader *reader;
        struct leat_container_block block;
        write_file(f, codecs[c], blocks, COUNT_OF(blocks));
        assert_int_equal(leat__container_open(f->env, f->pool, PATH, &reader, &f->err), 0);
        for (size_t b = 0; b < COUNT_OF(blocks); b++) {
            assert_int_equal(leat__container_next(reader, &block, &f->err), 1);
            offsets[b] = block.offset;
            leat__buffer_release(block.buffer);
        }
        offsets[COUNT_OF(blocks)] = f->file.len;
        for (uint64_t offset = 0; offset <= f->file.len + 3; offset++) {
            size_t b = 0;
            while (b <= COUNT_OF(blocks) && offsets[b] != offset)
                b++;
            memset(&f->err, 0, sizeof f->err);
            const int code = leat__container_seek(reader, offset, &f->err);
            FAIL_UNLESS(code == (b <= COUNT_OF(blocks) ? 0 : LEAT_EDATA), "offset %llu: %d",
                (unsigned long long)offset, code);
            if (code < 0) {
                assert_non_null(strstr(f->err.message, "no block begins at offset"));
                continue;
            }
            rows.count = b < COUNT_OF(blocks) ? rows_before[b] : 57;
            const size_t from = rows.count;
            assert_int_equal(read_on(f, reader, &rows), 0);
            assert_int_equal(rows.count, 57);
            assert_counting(&rows, from, rows.count);
        }
        leat__container_close(reader);
    }
}

static void test_container__given_a_range__when_a_block_is_sought__then_the_range_still_ends(void **state)
{
    static const uint32_t blocks[] = { 1, 1, 1, 1 };
    struct fixture *f = *state;
    struct leat_container_reader *reader;
    struct leat_container_block block[4], other;
    static struct rows rows;
    write_file(f, LEAT_CODEC_NULL, blocks, COUNT_OF(blocks));
    assert_int_equal(leat__container_open(f->env, f->pool, PATH, &reader, &f->err), 0);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(leat__container_next(reader, &block[i], &f->err), 1);
        leat__buffer_release(block[i].buffer);
    }
    assert_int_equal(leat__container_range(reader, 0, block[2].offset, &f->err), 0);
    assert_int_equal(leat__container_seek(reader, block[1].offset, &f->err), 0);
    rows.count = 0;
    assert_int_equal(read_on(f, reader, &rows), 0);
    assert_int_equal(rows.count, 2); /* blocks 1 and 2: the marker before block 2 begins before the cut */
    assert_int_equal(leat__container_seek(reader, block[3].offset, &f->err), 0);
    assert_int_equal(leat__container_next(reader, &other, &f->err), 0);
    leat__container_close(reader);
}

/* Whether the rows are those that were written, from the first on. */
static bool is_prefix(const struct rows *rows, size_t count_max)
{
    if (rows->count > count_max)
        return false;
    for (size_t i = 0; i < rows->count; i++)
        if (rows->values[i] != (int64_t)i * 1000)
            return false;
    return true;
}

static void test_container__given_every_length__when_cut_there__then_error_or_whole_blocks(void **state)
{
    static const uint32_t blocks[] = { 3, 20, 5 };
    struct fixture *f = *state;
    static struct rows rows;
    for (size_t c = 0; c < COUNT_OF(codecs); c++) {
        size_t good = 0;
        write_file(f, codecs[c], blocks, COUNT_OF(blocks));
        for (size_t len = 0; len < f->file.len; len++) {
            memory_env_put(f->env, PATH, f->file.data, len);
            const int code = read_file(f, &rows);
            assert_true(is_prefix(&rows, 28));
            if (code == 0) {
                good++;
                assert_true(rows.count == 0 || rows.count == 3 || rows.count == 23);
            } else {
                assert_int_equal(code, LEAT_EDATA);
                FAIL_UNLESS(strncmp(f->err.message, PATH ": ", strlen(PATH) + 2) == 0, "%s", f->err.message);
            }
        }
        assert_int_equal(good, 3); /* behind the header and behind two of the blocks */
    }
}

static void test_container__given_every_byte__when_damaged__then_error_or_correct_rows(void **state)
{
    static const uint32_t blocks[] = { 3, 20, 5 };
    static const uint8_t masks[] = { 0x01, 0x02, 0x80, 0xff, 0x40 };
    struct fixture *f = *state;
    static struct rows rows;
    for (size_t c = 0; c < COUNT_OF(codecs); c++) {
        write_file(f, codecs[c], blocks, COUNT_OF(blocks));
        for (size_t i = 0; i < f->file.len; i++) {
            for (size_t m = 0; m < COUNT_OF(masks); m++) {
                f->file.data[i] = (char)((uint8_t)f->file.data[i] ^ masks[m]);
                memory_env_put(f->env, PATH, f->file.data, f->file.len);
                const int code = read_file(f, &rows);
                FAIL_UNLESS(code == 0 || code == LEAT_EDATA || code == LEAT_ESCHEMA || code == LEAT_ELIMIT,
                    "%s, byte %zu: %d", leat__codec_name(codecs[c]), i, code);
                /* Only snappy blocks have a checksum; in the others a changed byte may be a changed row. A
                 * changed name of the codec entry leaves packed bytes that happen to be rows. */
                if (codecs[c] == LEAT_CODEC_SNAPPY && i > 20)
                    FAIL_UNLESS(is_prefix(&rows, 28) && (code < 0 || rows.count == 28), "byte %zu", i);
                f->file.data[i] = (char)((uint8_t)f->file.data[i] ^ masks[m]);
            }
        }
    }
}

static void test_container__given_a_damaged_block__when_ranged_past_it__then_the_rest_is_read(void **state)
{
    static const uint32_t blocks[] = { 3, 20, 5 };
    struct fixture *f = *state;
    struct leat_container_reader *reader;
    struct leat_container_block block;
    static struct rows rows;
    write_file(f, LEAT_CODEC_SNAPPY, blocks, COUNT_OF(blocks));
    const uint64_t last = f->file.len - 5 * 2 - 40;
    f->file.data[last - 20] ^= 1; /* in block 2 */
    memory_env_put(f->env, PATH, f->file.data, f->file.len);
    assert_int_equal(leat__container_open(f->env, f->pool, PATH, &reader, &f->err), 0);
    rows.count = 0;
    assert_int_equal(read_on(f, reader, &rows), LEAT_EDATA);
    assert_int_equal(rows.count, 3);
    memset(&f->err, 0, sizeof f->err);
    assert_int_equal(leat__container_next(reader, &block, &f->err), LEAT_EDATA); /* the error repeats */
    unsigned long long offset = 0;
    const char *at = strstr(f->err.message, "block 2 at offset ");
    assert_non_null(at);
    assert_int_equal(sscanf(at, "block 2 at offset %llu", &offset), 1);
    assert_int_equal(leat__container_range(reader, offset, UINT64_MAX, &f->err), 0);
    rows.count = 23;
    assert_int_equal(read_on(f, reader, &rows), 0);
    assert_int_equal(rows.count, 28);
    assert_counting(&rows, 23, 28);
    leat__container_close(reader);
}

static void test_container__given_hostile_block_heads__when_read__then_refused_with_place(void **state)
{
    static const struct {
        const char *name;
        int64_t count, size;
        const char *text;
    } rows[] = {
        { "negative count", -1, 1, "must be 0 to 67108864" },
        { "lowest count", INT64_MIN, 1, "must be 0 to 67108864" },
        { "huge count", INT64_MAX, 1, "must be 0 to 67108864" },
        { "count beyond the limit", LEAT_BLOCK_BYTES_MAX + 1, 1, "must be 0 to 67108864" },
        { "negative size", 1, -1, "must be 0 to 67108864" },
        { "lowest size", 1, INT64_MIN, "must be 0 to 67108864" },
        { "size beyond the limit", 1, LEAT_BLOCK_BYTES_MAX + 1, "must be 0 to 67108864" },
        { "huge size", 1, INT64_MAX, "must be 0 to 67108864" },
        { "size beyond the file", 1, 5, "it needs 23 bytes, but the file ends after 19" },
        { "size that leaves no marker", 1, 2, "it needs 20 bytes, but the file ends after 19" },
    };
    struct fixture *f = *state;
    static struct rows got;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct leat_strbuf tail = { 0 };
        char place[80];
        put_long(&tail, rows[i].count);
        put_long(&tail, rows[i].size);
        leat__strbuf_add(&tail, "\0", 1);
        leat__strbuf_add(&tail, sync_marker, LEAT_SYNC_BYTES);
        write_raw(f, LEAT_CODEC_NULL, &tail);
        (void)snprintf(place, sizeof place, PATH ": block 1 at offset %zu: ", f->file.len - tail.len);
        FAIL_UNLESS(read_file(f, &got) == LEAT_EDATA, "%s", rows[i].name);
        FAIL_UNLESS(
            strncmp(f->err.message, place, strlen(place)) == 0, "%s: %s", rows[i].name, f->err.message);
        FAIL_UNLESS(strstr(f->err.message, rows[i].text), "%s: %s", rows[i].name, f->err.message);
        leat__strbuf_release(&tail);
    }
}

static void test_container__given_bad_bytes_of_blocks__when_read__then_refused(void **state)
{
    static const struct {
        const char *name;
        const char *bytes;
        size_t len;
        const char *text;
    } rows[] = {
        { "over-long count", "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 11, "must be 0 to" },
        { "count of 65 bits", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10, "must be 0 to" },
        { "count cut", "\x80", 1, "the file ends within it" },
        { "size missing", "\x02", 1, "the file ends within it" },
        { "size cut", "\x02\x80", 2, "the file ends within it" },
        { "other marker", "\x02\x02\x06sync_marker.....", 19, "the sync marker behind it is not the file's" },
    };
    struct fixture *f = *state;
    static struct rows got;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct leat_strbuf tail = { 0 };
        leat__strbuf_add(&tail, rows[i].bytes, rows[i].len);
        write_raw(f, LEAT_CODEC_NULL, &tail);
        FAIL_UNLESS(read_file(f, &got) == LEAT_EDATA, "%s", rows[i].name);
        FAIL_UNLESS(strstr(f->err.message, rows[i].text), "%s: %s", rows[i].name, f->err.message);
        leat__strbuf_release(&tail);
    }
}

/* A block of `packed` bytes in a file of that codec must be refused with the text. */
static void assert_refused(
    struct fixture *f, enum leat_codec codec, const void *packed, size_t size, const char *text)
{
    static struct rows got;
    struct leat_strbuf tail = { 0 };
    put_long(&tail, 1);
    put_long(&tail, (int64_t)size);
    leat__strbuf_add(&tail, packed, size);
    leat__strbuf_add(&tail, sync_marker, LEAT_SYNC_BYTES);
    write_raw(f, codec, &tail);
    leat__strbuf_release(&tail);
    FAIL_UNLESS(read_file(f, &got) == LEAT_EDATA, "%s: taken", text);
    FAIL_UNLESS(strstr(f->err.message, text), "%s: not \"%s\"", f->err.message, text);
}

static void test_container__given_blocks_that_unpack_beyond_the_limit__when_read__then_refused(void **state)
{
    struct fixture *f = *state;
    const size_t size = LEAT_BLOCK_BYTES_MAX + 1;
    void *zeros = calloc(1, size);
    const size_t room = ZSTD_compressBound(size);
    uint8_t *packed = malloc(room);
    assert_non_null(zeros);
    assert_non_null(packed);

    size_t len = ZSTD_compress(packed, room, zeros, size, 1);
    assert_false(ZSTD_isError(len));
    assert_refused(f, LEAT_CODEC_ZSTANDARD, packed, len, "unpacks to more than");
    /* Two frames, each within the limit. */
    len = ZSTD_compress(packed, room, zeros, size / 2 + 1, 1);
    memcpy(packed + len, packed, len);
    assert_refused(f, LEAT_CODEC_ZSTANDARD, packed, len * 2, "unpacks to more than");

    z_stream z = { 0 };
    assert_int_equal(deflateInit2(&z, 1, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = zeros;
    z.avail_in = (unsigned)size;
    z.next_out = packed;
    z.avail_out = (unsigned)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    len = z.total_out;
    (void)deflateEnd(&z);
    assert_refused(f, LEAT_CODEC_DEFLATE, packed, len, "unpacks to more than");

    assert_refused(f, LEAT_CODEC_SNAPPY, "\xff\xff\xff\xff\x0f\0\0\0\0\0", 10, "unpacks to more than");
    free(zeros);
    free(packed);
}

static void test_container__given_bad_packed_bytes__when_read__then_refused_by_name(void **state)
{
    struct fixture *f = *state;
    assert_refused(f, LEAT_CODEC_SNAPPY, "", 0, "snappy: the block has no room for its checksum");
    assert_refused(f, LEAT_CODEC_SNAPPY, "abc", 3, "snappy: the block has no room for its checksum");
    assert_refused(f, LEAT_CODEC_SNAPPY, "abcd", 4, "snappy: the block does not begin with its length");
    assert_refused(f, LEAT_CODEC_SNAPPY, "\x80\x80\x80\x08\0\0\0\0\0", 9, "can not unpack to");
    assert_refused(f, LEAT_CODEC_SNAPPY, "\x05\x01\x01\0\0\0\0", 7, "snappy: damaged data");
    assert_refused(
        f, LEAT_CODEC_SNAPPY, "\x01\x00z\0\0\0\0", 7, "snappy: the checksum of the data is 62d277af");
    assert_refused(f, LEAT_CODEC_DEFLATE, "", 0, "deflate: the data end too early");
    assert_refused(f, LEAT_CODEC_DEFLATE, "\xff\xff", 2, "deflate: invalid block type");
    assert_refused(f, LEAT_CODEC_DEFLATE, "\x4b\x04", 2, "deflate: the data end too early");
    assert_refused(f, LEAT_CODEC_ZSTANDARD, "", 0, "zstandard: ");
    assert_refused(
        f, LEAT_CODEC_ZSTANDARD, "not a frame", 11, "zstandard: the block does not begin with a frame");
    assert_refused(f, LEAT_CODEC_ZSTANDARD, "\x28\xb5\x2f\xfd\x20\x05", 6, "zstandard: ");
}

/* Part of zlib's checksum is left behind the data by writers that cut the wrapping off by hand. */
static void test_container__given_bytes_behind_deflate_data__when_read__then_ignored(void **state)
{
    struct fixture *f = *state;
    static struct rows got;
    uint8_t packed[64];
    uLongf len = sizeof packed;
    assert_int_equal(compress(packed, &len, (const uint8_t *)"\x00", 1), Z_OK);
    struct leat_strbuf tail = { 0 };
    put_long(&tail, 1);
    put_long(&tail, (int64_t)len - 3);
    leat__strbuf_add(&tail, packed + 2, len - 3);
    leat__strbuf_add(&tail, sync_marker, LEAT_SYNC_BYTES);
    write_raw(f, LEAT_CODEC_DEFLATE, &tail);
    leat__strbuf_release(&tail);
    FAIL_UNLESS(read_file(f, &got) == 0, "%s", f->err.message);
    assert_int_equal(got.count, 1);
}

static void test_container__given_bad_headers__when_opened__then_the_text_says_what_is_wrong(void **state)
{
#define NO_SYNC "0123456789abcdef"
    static const struct {
        const char *name;
        const char *bytes;
        size_t len;
        int code;
        const char *text;
    } rows[] = {
        { "empty", "", 0, LEAT_EDATA, PATH ": not an Avro container file: it is empty" },
        { "other magic", "PK\x03\x04...", 7, LEAT_EDATA,
            PATH ": not an Avro container file: it does not begin" },
        { "short magic", "Ob", 2, LEAT_EDATA, PATH ": the file ends within its header" },
        { "short and other", "Oc", 2, LEAT_EDATA, PATH ": not an Avro container file" },
        { "no map", "Obj\x01", 4, LEAT_EDATA, PATH ": the file ends within its header" },
        { "no schema", "Obj\x01\x00" NO_SYNC, 21, LEAT_EDATA, "no schema (metadata avro.schema is missing)" },
        { "no sync",
            "Obj\x01\x02\x16"
            "avro.schema\x0c\"long\"\x00"
            "0123",
            29, LEAT_EDATA, "the file ends within its header" },
        { "bad schema",
            "Obj\x01\x02\x16"
            "avro.schema\x0c\"lnog\"\x00" NO_SYNC,
            41, LEAT_ESCHEMA, PATH ": the header's schema: " },
        { "bad codec",
            "Obj\x01\x04\x16"
            "avro.schema\x0c\"long\"\x14"
            "avro.codec\x08lzma\x00" NO_SYNC,
            57, LEAT_EDATA, PATH ": unknown codec \"lzma\" (known are null, deflate, snappy, zstandard)" },
        { "lowest count", "Obj\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x02", 15, LEAT_EDATA,
            "2^63 entries" },
        { "over-long count", "Obj\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x02", 15, LEAT_EDATA,
            "more than 64 bits" },
        { "negative key",
            "Obj\x01\x02\x01"
            "abc",
            9, LEAT_EDATA, "metadata of -1 bytes" },
        { "huge value",
            "Obj\x01\x02\x02"
            "a\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"
            "abc",
            20, LEAT_EDATA, "metadata of 9223372036854775807 bytes" },
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct leat_container_reader *reader = NULL;
        memory_env_put(f->env, PATH, rows[i].bytes, rows[i].len);
        const int code = leat__container_open(f->env, f->pool, PATH, &reader, &f->err);
        FAIL_UNLESS(code == rows[i].code && !reader, "%s: code %d: %s", rows[i].name, code, f->err.message);
        FAIL_UNLESS(strstr(f->err.message, rows[i].text), "%s: %s", rows[i].name, f->err.message);
    }
}

static void test_container__given_odd_but_valid_headers__when_opened__then_taken(void **state)
{
    static const struct {
        const char *name;
        const char *bytes;
        size_t len;
        enum leat_codec codec;
    } rows[] = {
        { "no codec",
            "Obj\x01\x02\x16"
            "avro.schema\x0c\"long\"\x00" NO_SYNC,
            41, LEAT_CODEC_NULL },
        { "map in two blocks, one with its size",
            "Obj\x01\x01\x26\x16"
            "avro.schema\x0c\"long\"\x02\x14"
            "avro.codec\x0csnappy\x00" NO_SYNC,
            61, LEAT_CODEC_SNAPPY },
        { "other entries",
            "Obj\x01\x04\x02"
            "a\x02"
            "b\x16"
            "avro.schema\x0c\"long\"\x00" NO_SYNC,
            45, LEAT_CODEC_NULL },
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct leat_container_reader *reader = NULL;
        struct leat_container_block block;
        memory_env_put(f->env, PATH, rows[i].bytes, rows[i].len);
        const int code = leat__container_open(f->env, f->pool, PATH, &reader, &f->err);
        FAIL_UNLESS(code == 0, "%s: %s", rows[i].name, f->err.message);
        assert_int_equal(leat__container_codec(reader), rows[i].codec);
        assert_int_equal(leat__container_schema(reader)->root->kind, LEAT_KIND_LONG);
        assert_int_equal(leat__container_next(reader, &block, &f->err), 0);
        leat__container_close(reader);
    }
}

static void test_container__given_a_header_beyond_one_read__when_opened__then_read_on(void **state)
{
    struct fixture *f = *state;
    static struct rows rows;
    struct leat_strbuf schema = { 0 };
    struct leat_strbuf data = { 0 };
    struct leat_container_writer *writer;
    leat__strbuf_str(&schema, "{\"type\":\"record\",\"name\":\"r\",\"doc\":\"");
    for (int i = 0; i < 100000; i++)
        leat__strbuf_str(&schema, "words");
    leat__strbuf_str(&schema, "\",\"fields\":[{\"name\":\"x\",\"type\":\"long\"}]}");
    assert_int_equal(
        leat__container_writer_new(schema.data, LEAT_CODEC_NULL, sync_marker, &f->file, &writer, &f->err), 0);
    put_long(&data, 0);
    assert_int_equal(leat__container_write_block(writer, data.data, data.len, 1, &f->file, &f->err), 0);
    leat__container_writer_free(writer);
    memory_env_put(f->env, PATH, f->file.data, f->file.len);
    FAIL_UNLESS(read_file(f, &rows) == 0, "%s", f->err.message);
    assert_int_equal(rows.count, 1);
    /* Half of it is a truncated header, whatever the reads' size. */
    memory_env_put(f->env, PATH, f->file.data, f->file.len / 2);
    assert_int_equal(read_file(f, &rows), LEAT_EDATA);
    assert_non_null(strstr(f->err.message, "the file ends within its header"));
    leat__strbuf_release(&schema);
    leat__strbuf_release(&data);
}

static void test_container__given_no_file_or_a_directory__when_opened__then_an_error_with_the_path(
    void **state)
{
    struct fixture *f = *state;
    struct leat_container_reader *reader;
    assert_int_equal(leat__container_open(f->env, f->pool, "nowhere.avro", &reader, &f->err), LEAT_ENOTFOUND);
    assert_non_null(strstr(f->err.message, "nowhere.avro"));
    memory_env_put(f->env, "d/file", "x", 1);
    assert_int_equal(leat__container_open(f->env, f->pool, "d", &reader, &f->err), LEAT_EUNSUPPORTED);
    assert_string_equal(f->err.message, "d: a directory, where a container file is needed");
}

static void test_container__given_every_file_call__when_it_fails__then_its_error_and_no_leak(void **state)
{
    static const uint32_t blocks[] = { 3, 4 };
    struct fixture *f = *state;
    static struct rows rows;
    write_file(f, LEAT_CODEC_SNAPPY, blocks, COUNT_OF(blocks));
    uint64_t n = 0;
    int code = LEAT_EIO;
    while (code < 0) {
        memory_env_fail_at(f->env, ++n, LEAT_EACCESS);
        code = read_file(f, &rows);
        assert_int_equal(memory_env_open_count(f->env), 0);
        FAIL_UNLESS(code == 0 || code == LEAT_EACCESS, "call %llu: %d", (unsigned long long)n, code);
        if (code < 0)
            FAIL_UNLESS(strstr(f->err.message, PATH), "%s", f->err.message);
    }
    assert_true(n > 3);
    memory_env_fail_at(f->env, 0, 0);
}

static int cut_reads(void *arg, enum memory_env_call call, uint64_t n, const char *path, size_t *size)
{
    (void)arg;
    (void)n;
    (void)path;
    if (call == MEMORY_ENV_PREAD && *size > 60)
        *size = 60;
    return 0;
}

static void test_container__given_a_file_that_shrinks__when_read__then_an_error(void **state)
{
    static const uint32_t blocks[] = { 30, 40 };
    struct fixture *f = *state;
    static struct rows rows;
    write_file(f, LEAT_CODEC_NULL, blocks, COUNT_OF(blocks));
    memory_env_set_hook(f->env, cut_reads, NULL);
    assert_int_equal(read_file(f, &rows), LEAT_EDATA);
    assert_non_null(strstr(f->err.message, "when it was opened"));
    memory_env_set_hook(f->env, NULL, NULL);
}

static void test_container__given_every_allocation__when_it_fails__then_out_of_memory_and_no_leak(
    void **state)
{
    static const uint32_t blocks[] = { 3, 400, 20 };
    struct fixture *f = *state;
    static struct rows rows;
    for (size_t c = 0; c < COUNT_OF(codecs); c++) {
        write_file(f, codecs[c], blocks, COUNT_OF(blocks));
        int code = LEAT_ENOMEM;
        for (uint64_t n = 1; code < 0; n++) {
            struct leat_pool *pool = f->pool;
            assert_int_equal(leat__pool_new(16, &f->pool), 0); /* with nothing to recycle */
            const int64_t live = leat__alloc_live();
            leat__alloc_fail_at(n);
            code = read_file(f, &rows);
            leat__alloc_fail_at(0);
            FAIL_UNLESS(code == 0 || code == LEAT_ENOMEM, "allocation %llu: %d, %s", (unsigned long long)n,
                code, f->err.message);
            leat__pool_free(f->pool);
            f->pool = pool;
            assert_true(leat__alloc_live() < live);
        }
    }
}

static void test_container__given_every_allocation__when_writing_fails__then_output_keeps_its_length(
    void **state)
{
    struct fixture *f = *state;
    uint8_t data[3000];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7);
    for (size_t c = 0; c < COUNT_OF(codecs); c++) {
        int code = LEAT_ENOMEM;
        for (uint64_t n = 1; code < 0; n++) {
            struct leat_strbuf out = { 0 };
            struct leat_container_writer *writer = NULL;
            leat__strbuf_str(&out, "before");
            leat__alloc_fail_at(n);
            code = leat__container_writer_new("\"long\"", codecs[c], sync_marker, &out, &writer, &f->err);
            size_t len = out.len;
            if (code < 0)
                assert_int_equal(len, 6);
            else if ((code = leat__container_write_block(writer, data, sizeof data, 5, &out, &f->err)) < 0)
                assert_int_equal(out.len, len);
            leat__alloc_fail_at(0);
            FAIL_UNLESS(code == 0 || code == LEAT_ENOMEM, "allocation %llu: %d", (unsigned long long)n, code);
            leat__container_writer_free(writer);
            leat__strbuf_release(&out);
        }
    }
}

static void test_container__given_odd_blocks__when_written__then_none_or_refused(void **state)
{
    struct fixture *f = *state;
    struct leat_container_writer *writer;
    assert_int_equal(
        leat__container_writer_new(SCHEMA, LEAT_CODEC_NULL, sync_marker, &f->file, &writer, &f->err), 0);
    const size_t len = f->file.len;
    assert_int_equal(leat__container_write_block(writer, "", 0, 0, &f->file, &f->err), 0);
    assert_int_equal(
        leat__container_write_block(writer, "", LEAT_BLOCK_BYTES_MAX + 1, 1, &f->file, &f->err), LEAT_ELIMIT);
    assert_int_equal(
        leat__container_write_block(writer, "", 0, LEAT_BLOCK_BYTES_MAX + 1ull, &f->file, &f->err),
        LEAT_ELIMIT);
    assert_int_equal(f->file.len, len);
    leat__container_writer_free(writer);
}

static void test_container__given_words__when_looked_up__then_codecs(void **state)
{
    (void)state;
    assert_int_equal(leat__codec_find(NULL), LEAT_CODEC_NULL);
    for (size_t c = 0; c < COUNT_OF(codecs); c++)
        assert_int_equal(leat__codec_find(leat__codec_name(codecs[c])), codecs[c]);
    assert_int_equal(leat__codec_find("lzma"), 0);
    assert_int_equal(leat__codec_find(""), 0);
    assert_int_equal(leat__codec_find("NULL"), 0);
}

/* ---- with avro-c as the other side; it does not know zstandard ---- */

static void test_container__given_our_file__when_avro_c_reads_it__then_same_rows(void **state)
{
    static const uint32_t blocks[] = { 3, 500, 1 };
    struct fixture *f = *state;
    for (size_t c = 0; c < 3; c++) {
        avro_file_reader_t reader;
        avro_value_t value, field;
        write_file(f, codecs[c], blocks, COUNT_OF(blocks));
        FILE *file = fmemopen(f->file.data, f->file.len, "r");
        assert_non_null(file);
        FAIL_UNLESS(avro_file_reader_fp(file, "memory", 1, &reader) == 0, "%s", avro_strerror());
        avro_schema_t schema = avro_file_reader_get_writer_schema(reader);
        avro_value_iface_t *iface = avro_generic_class_from_schema(schema);
        avro_generic_value_new(iface, &value);
        int64_t count = 0, got;
        while (avro_file_reader_read_value(reader, &value) == 0) {
            assert_int_equal(avro_value_get_by_index(&value, 0, &field, NULL), 0);
            assert_int_equal(avro_value_get_long(&field, &got), 0);
            assert_int_equal(got, count * 1000);
            count++;
        }
        assert_int_equal(count, 504);
        avro_value_decref(&value);
        avro_value_iface_decref(iface);
        avro_schema_decref(schema);
        avro_file_reader_close(reader);
    }
}

static void test_container__given_a_file_of_avro_c__when_read__then_same_rows(void **state)
{
    struct fixture *f = *state;
    static struct rows rows;
    for (size_t c = 0; c < 3; c++) {
        avro_schema_t schema;
        avro_file_writer_t writer;
        avro_value_t value, field;
        assert_int_equal(avro_schema_from_json_length(SCHEMA, strlen(SCHEMA), &schema), 0);
        FILE *file = tmpfile();
        assert_non_null(file);
        assert_int_equal(avro_file_writer_create_with_codec_fp(
                             file, "temporary", 0, schema, &writer, leat__codec_name(codecs[c]), 200),
            0);
        avro_value_iface_t *iface = avro_generic_class_from_schema(schema);
        avro_generic_value_new(iface, &value);
        for (int64_t i = 0; i < 1000; i++) {
            assert_int_equal(avro_value_get_by_index(&value, 0, &field, NULL), 0);
            assert_int_equal(avro_value_set_long(&field, i * 1000), 0);
            assert_int_equal(avro_file_writer_append_value(writer, &value), 0);
        }
        avro_file_writer_close(writer);
        const long size = ftell(file);
        char *data = malloc((size_t)size);
        assert_non_null(data);
        rewind(file);
        assert_int_equal(fread(data, 1, (size_t)size, file), size);
        memory_env_put(f->env, PATH, data, (size_t)size);
        FAIL_UNLESS(read_file(f, &rows) == 0, "%s", f->err.message);
        assert_int_equal(rows.count, 1000);
        assert_true(rows.blocks_count > 3);
        assert_counting(&rows, 0, 1000);
        free(data);
        (void)fclose(file);
        avro_value_decref(&value);
        avro_value_iface_decref(iface);
        avro_schema_decref(schema);
    }
}

#define UNIT(name_) cmocka_unit_test_setup_teardown(name_, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(test_container__given_each_codec__when_written_and_read__then_same_rows),
        UNIT(test_container__given_blocks_around_the_window_size__when_read__then_bytes_are_right),
        UNIT(test_container__given_codec_null__when_blocks_lie_in_one_read__then_views_of_one_buffer),
        UNIT(test_container__given_the_steady_state__when_read_on__then_nothing_is_allocated),
        UNIT(test_container__given_empty_blocks__when_read__then_no_rows_and_no_error),
        UNIT(test_container__given_every_cut__when_read_in_two_ranges__then_each_block_once),
        UNIT(test_container__given_every_partition_in_three__when_read__then_each_block_once),
        UNIT(test_container__given_a_range__when_its_bounds_are_odd__then_the_contract_holds),
        UNIT(test_container__given_each_block_offset__when_sought__then_the_rest_follows),
        UNIT(test_container__given_a_range__when_a_block_is_sought__then_the_range_still_ends),
        UNIT(test_container__given_every_length__when_cut_there__then_error_or_whole_blocks),
        UNIT(test_container__given_every_byte__when_damaged__then_error_or_correct_rows),
        UNIT(test_container__given_a_damaged_block__when_ranged_past_it__then_the_rest_is_read),
        UNIT(test_container__given_hostile_block_heads__when_read__then_refused_with_place),
        UNIT(test_container__given_bad_bytes_of_blocks__when_read__then_refused),
        UNIT(test_container__given_blocks_that_unpack_beyond_the_limit__when_read__then_refused),
        UNIT(test_container__given_bad_packed_bytes__when_read__then_refused_by_name),
        UNIT(test_container__given_bytes_behind_deflate_data__when_read__then_ignored),
        UNIT(test_container__given_bad_headers__when_opened__then_the_text_says_what_is_wrong),
        UNIT(test_container__given_odd_but_valid_headers__when_opened__then_taken),
        UNIT(test_container__given_a_header_beyond_one_read__when_opened__then_read_on),
        UNIT(test_container__given_no_file_or_a_directory__when_opened__then_an_error_with_the_path),
        UNIT(test_container__given_every_file_call__when_it_fails__then_its_error_and_no_leak),
        UNIT(test_container__given_a_file_that_shrinks__when_read__then_an_error),
        UNIT(test_container__given_every_allocation__when_it_fails__then_out_of_memory_and_no_leak),
        UNIT(test_container__given_every_allocation__when_writing_fails__then_output_keeps_its_length),
        UNIT(test_container__given_odd_blocks__when_written__then_none_or_refused),
        UNIT(test_container__given_words__when_looked_up__then_codecs),
        UNIT(test_container__given_our_file__when_avro_c_reads_it__then_same_rows),
        UNIT(test_container__given_a_file_of_avro_c__when_read__then_same_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
