/* tests/unit/record/test_container.c -- container files: every codec, every cut into ranges, every position,
 * and avro-c as the other side. */
#include "base/alloc.h"
#include "base/limits.h"
#include "tests/support/container_file.h"
#include "tests/support/memory_env.h"
#include <avro.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DATA_BYTES 5000000u

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
    struct container_fixture *f = *state;
    static struct container_rows rows;
    for (size_t c = 0; c < CONTAINER_CODECS_COUNT; c++) {
        for (size_t i = 0; i < COUNT_OF(files); i++) {
            container_write_file(f, container_codecs[c], files[i].blocks, files[i].blocks_count);
            FAIL_UNLESS(container_read_file(f, &rows) == 0, "%s, %s: %s",
                leat__codec_name(container_codecs[c]), files[i].name, f->err.message);
            assert_int_equal(rows.count, files[i].rows_count);
            assert_int_equal(rows.blocks_count, files[i].blocks_count);
            container_assert_counting(&rows, 0, rows.count);
        }
    }
}

/* Blocks from a few bytes to several windows, so that every way to assemble one is taken. */
static void test_container__given_blocks_around_the_window_size__when_read__then_bytes_are_right(void **state)
{
    static const size_t sizes[] = { 10, 262100, 262144, 100, 700000, 1048576, DATA_BYTES, 1, 40000, 40000,
        40000, 40000, 40000, 40000, 40000, 3000000 };
    struct container_fixture *f = *state;
    uint8_t *data = malloc(DATA_BYTES + 16);
    assert_non_null(data);
    for (size_t i = 0; i < DATA_BYTES + 16; i++)
        data[i] = (uint8_t)(i * 2654435761u >> 13);
    for (size_t c = 0; c < CONTAINER_CODECS_COUNT; c++) {
        struct leat_container_writer *writer;
        leat__strbuf_clear(&f->file);
        assert_int_equal(leat__container_writer_new(
                             "\"bytes\"", container_codecs[c], container_sync, &f->file, &writer, &f->err),
            0);
        for (size_t i = 0; i < COUNT_OF(sizes); i++)
            assert_int_equal(
                leat__container_write_block(writer, data + i, sizes[i] - i % 2, 1 + i, &f->file, &f->err), 0);
        leat__container_writer_free(writer);
        memory_env_put(f->env, CONTAINER_PATH, f->file.data, f->file.len);

        struct leat_container_reader *reader;
        struct leat_container_block block, held[COUNT_OF(sizes)];
        assert_int_equal(leat__container_open(f->env, f->pool, CONTAINER_PATH, &reader, &f->err), 0);
        assert_int_equal(leat__container_codec(reader), container_codecs[c]);
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
    struct container_fixture *f = *state;
    struct leat_container_reader *reader;
    struct leat_container_block a, b;
    container_write_file(f, LEAT_CODEC_NULL, blocks, 3);
    assert_int_equal(leat__container_open(f->env, f->pool, CONTAINER_PATH, &reader, &f->err), 0);
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
    struct container_fixture *f = *state;
    uint32_t blocks[40];
    static struct container_rows rows;
    for (size_t i = 0; i < COUNT_OF(blocks); i++)
        blocks[i] = 100;
    for (size_t c = 0; c < CONTAINER_CODECS_COUNT; c++) {
        struct leat_container_reader *reader;
        struct leat_container_block block;
        container_write_file(f, container_codecs[c], blocks, COUNT_OF(blocks));
        assert_int_equal(leat__container_open(f->env, f->pool, CONTAINER_PATH, &reader, &f->err), 0);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(leat__container_next(reader, &block, &f->err), 1);
            leat__buffer_release(block.buffer);
        }
        const uint64_t calls = leat__alloc_calls();
        rows.count = 0;
        assert_int_equal(container_read_on(f, reader, &rows), 0);
        assert_int_equal(rows.count, 3700);
        assert_int_equal(leat__alloc_calls(), calls);
        leat__container_close(reader);
    }
}

static void test_container__given_empty_blocks__when_read__then_no_rows_and_no_error(void **state)
{
    struct container_fixture *f = *state;
    static struct container_rows rows;
    for (size_t c = 0; c < CONTAINER_CODECS_COUNT; c++) {
        struct leat_strbuf tail = { 0 };
        for (int i = 0; i < 3; i++) {
            container_put_long(&tail, 0);
            container_put_long(&tail, 0);
            leat__strbuf_add(&tail, container_sync, LEAT_SYNC_BYTES);
        }
        container_write_raw(f, container_codecs[c], &tail);
        assert_int_equal(container_read_file(f, &rows), 0);
        assert_int_equal(rows.blocks_count, 3);
        assert_int_equal(rows.count, 0);
        leat__strbuf_release(&tail);
    }
}

static void test_container__given_every_cut__when_read_in_two_ranges__then_each_block_once(void **state)
{
    static const uint32_t blocks[] = { 1, 20, 2, 30, 1 };
    struct container_fixture *f = *state;
    static struct container_rows rows;
    for (size_t c = 0; c < CONTAINER_CODECS_COUNT; c++) {
        container_write_file(f, container_codecs[c], blocks, COUNT_OF(blocks));
        for (uint64_t cut = 0; cut <= f->file.len + 20; cut++) {
            rows.count = rows.blocks_count = 0;
            assert_int_equal(container_read_range(f, 0, cut, &rows), 0);
            assert_int_equal(container_read_range(f, cut, UINT64_MAX, &rows), 0);
            FAIL_UNLESS(rows.count == 54 && rows.blocks_count == 5, "cut at %llu: %zu rows, %zu blocks",
                (unsigned long long)cut, rows.count, rows.blocks_count);
            container_assert_counting(&rows, 0, rows.count);
        }
    }
}

static void test_container__given_every_partition_in_three__when_read__then_each_block_once(void **state)
{
    static const uint32_t blocks[] = { 1, 3, 2, 8, 1 };
    struct container_fixture *f = *state;
    static struct container_rows rows;
    container_write_file(f, LEAT_CODEC_NULL, blocks, COUNT_OF(blocks));
    for (uint64_t a = 0; a <= f->file.len + 1; a++) {
        for (uint64_t b = a; b <= f->file.len + 1; b++) {
            rows.count = rows.blocks_count = 0;
            assert_int_equal(container_read_range(f, a, b, &rows), 0);
            assert_int_equal(container_read_range(f, 0, a, &rows), 0);
            assert_int_equal(container_read_range(f, b, UINT64_MAX, &rows), 0);
            FAIL_UNLESS(rows.count == 15 && rows.blocks_count == 5,
                "cuts at %llu and %llu: %zu rows, %zu blocks", (unsigned long long)a, (unsigned long long)b,
                rows.count, rows.blocks_count);
        }
    }
}

static void test_container__given_a_range__when_its_bounds_are_odd__then_the_contract_holds(void **state)
{
    static const uint32_t blocks[] = { 5, 5 };
    struct container_fixture *f = *state;
    static struct container_rows rows;
    container_write_file(f, LEAT_CODEC_SNAPPY, blocks, COUNT_OF(blocks));
    rows.count = 0;
    assert_int_equal(container_read_range(f, 0, 0, &rows), 0);
    assert_int_equal(container_read_range(f, f->file.len, UINT64_MAX, &rows), 0);
    assert_int_equal(container_read_range(f, UINT64_MAX, UINT64_MAX, &rows), 0);
    assert_int_equal(container_read_range(f, UINT64_MAX - 3, UINT64_MAX, &rows), 0);
    assert_int_equal(rows.count, 0);
    assert_int_equal(container_read_range(f, 9, 8, &rows), 0);
    assert_int_equal(container_read_range(f, f->file.len - 60, f->file.len - 70, &rows), 0);
    assert_int_equal(rows.count, 0);
}

static void test_container__given_each_block_offset__when_sought__then_the_rest_follows(void **state)
{
    static const uint32_t blocks[] = { 4, 20, 2, 30, 1 };
    static const size_t rows_before[] = { 0, 4, 24, 26, 56 };
    struct container_fixture *f = *state;
    static struct container_rows rows;
    for (size_t c = 0; c < CONTAINER_CODECS_COUNT; c++) {
        uint64_t offsets[COUNT_OF(blocks) + 1];
        struct leat_container_reader *reader;
        struct leat_container_block block;
        container_write_file(f, container_codecs[c], blocks, COUNT_OF(blocks));
        assert_int_equal(leat__container_open(f->env, f->pool, CONTAINER_PATH, &reader, &f->err), 0);
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
            assert_int_equal(container_read_on(f, reader, &rows), 0);
            assert_int_equal(rows.count, 57);
            container_assert_counting(&rows, from, rows.count);
        }
        leat__container_close(reader);
    }
}

static void test_container__given_a_range__when_a_block_is_sought__then_the_range_still_ends(void **state)
{
    static const uint32_t blocks[] = { 1, 1, 1, 1 };
    struct container_fixture *f = *state;
    struct leat_container_reader *reader;
    struct leat_container_block block[4], other;
    static struct container_rows rows;
    container_write_file(f, LEAT_CODEC_NULL, blocks, COUNT_OF(blocks));
    assert_int_equal(leat__container_open(f->env, f->pool, CONTAINER_PATH, &reader, &f->err), 0);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(leat__container_next(reader, &block[i], &f->err), 1);
        leat__buffer_release(block[i].buffer);
    }
    assert_int_equal(leat__container_range(reader, 0, block[2].offset, &f->err), 0);
    assert_int_equal(leat__container_seek(reader, block[1].offset, &f->err), 0);
    rows.count = 0;
    assert_int_equal(container_read_on(f, reader, &rows), 0);
    assert_int_equal(rows.count, 2); /* blocks 1 and 2: the marker before block 2 begins before the cut */
    assert_int_equal(leat__container_seek(reader, block[3].offset, &f->err), 0);
    assert_int_equal(leat__container_next(reader, &other, &f->err), 0);
    leat__container_close(reader);
}

static void test_container__given_odd_blocks__when_written__then_none_or_refused(void **state)
{
    struct container_fixture *f = *state;
    struct leat_container_writer *writer;
    assert_int_equal(leat__container_writer_new(
                         CONTAINER_SCHEMA, LEAT_CODEC_NULL, container_sync, &f->file, &writer, &f->err),
        0);
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
    for (size_t c = 0; c < CONTAINER_CODECS_COUNT; c++)
        assert_int_equal(leat__codec_find(leat__codec_name(container_codecs[c])), container_codecs[c]);
    assert_int_equal(leat__codec_find("lzma"), 0);
    assert_int_equal(leat__codec_find(""), 0);
    assert_int_equal(leat__codec_find("NULL"), 0);
}

/* ---- with avro-c as the other side; it does not know zstandard ---- */

static void test_container__given_our_file__when_avro_c_reads_it__then_same_rows(void **state)
{
    static const uint32_t blocks[] = { 3, 500, 1 };
    struct container_fixture *f = *state;
    for (size_t c = 0; c < 3; c++) {
        avro_file_reader_t reader;
        avro_value_t value, field;
        container_write_file(f, container_codecs[c], blocks, COUNT_OF(blocks));
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
    struct container_fixture *f = *state;
    static struct container_rows rows;
    for (size_t c = 0; c < 3; c++) {
        avro_schema_t schema;
        avro_file_writer_t writer;
        avro_value_t value, field;
        assert_int_equal(
            avro_schema_from_json_length(CONTAINER_SCHEMA, strlen(CONTAINER_SCHEMA), &schema), 0);
        FILE *file = tmpfile();
        assert_non_null(file);
        assert_int_equal(avro_file_writer_create_with_codec_fp(file, "temporary", 0, schema, &writer,
                             leat__codec_name(container_codecs[c]), 200),
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
        memory_env_put(f->env, CONTAINER_PATH, data, (size_t)size);
        FAIL_UNLESS(container_read_file(f, &rows) == 0, "%s", f->err.message);
        assert_int_equal(rows.count, 1000);
        assert_true(rows.blocks_count > 3);
        container_assert_counting(&rows, 0, 1000);
        free(data);
        (void)fclose(file);
        avro_value_decref(&value);
        avro_value_iface_decref(iface);
        avro_schema_decref(schema);
    }
}

#define UNIT(name_) cmocka_unit_test_setup_teardown(name_, container_setup, container_teardown)

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
        UNIT(test_container__given_odd_blocks__when_written__then_none_or_refused),
        UNIT(test_container__given_words__when_looked_up__then_codecs),
        UNIT(test_container__given_our_file__when_avro_c_reads_it__then_same_rows),
        UNIT(test_container__given_a_file_of_avro_c__when_read__then_same_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
