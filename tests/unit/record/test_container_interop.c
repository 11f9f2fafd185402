/* tests/unit/record/test_container_interop.c -- the Avro project's weather files, in four codecs, read to the
 * rows that its JSON file has. The folder is LEAT_INTEROP_DATA, or shared/data/avro beside the checkout. */
#include "base/alloc.h"
#include "record/container.h"
#include "record/json.h"
#include "tests/support/unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FOLDER_DEFAULT "../shared/data/avro"

struct weather {
    char *lines; /* weather.json */
    struct leat_schema *reader;
    struct leat_arena arena;
    const struct leat_type *type;
    struct leat_pool *pool;
    struct leat_error err;
};

static const char *folder(void)
{
    const char *named = getenv("LEAT_INTEROP_DATA");
    return named && named[0] ? named : FOLDER_DEFAULT;
}

/* A whole file as text; NULL where there is none. */
static char *load(const char *name)
{
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/%s", folder(), name);
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL;
    char *text = calloc(1, 65536);
    assert_non_null(text);
    assert_true(fread(text, 1, 65535, file) < 65535);
    (void)fclose(file);
    return text;
}

static void weather_open(struct weather *w)
{
    memset(w, 0, sizeof *w);
    char *schema = load("weather.avsc");
    w->lines = load("weather.json");
    if (!schema || !w->lines) {
        free(schema);
        free(w->lines);
        SKIP_BECAUSE("no weather files in %s: set LEAT_INTEROP_DATA to the folder that has them", folder());
    }
    assert_int_equal(leat__schema_parse(schema, strlen(schema), &w->reader, &w->err), 0);
    assert_int_equal(leat__schema_type(w->reader, &w->arena, &w->type, &w->err), 0);
    assert_int_equal(leat__pool_new(1024, &w->pool), 0);
    free(schema);
}

static void weather_close(struct weather *w)
{
    leat__pool_free(w->pool);
    leat__arena_release(&w->arena);
    leat__schema_free(w->reader);
    free(w->lines);
    assert_int_equal(leat__alloc_live(), 0);
}

/* Appends the rows of a batch as JSON lines. */
static void put_lines(struct weather *w, const struct leat_batch *batch, struct leat_strbuf *out)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        assert_int_equal(
            leat__json_encode(w->type, LEAT_JSON_PLAIN, leat_batch_at(batch, i), out, &w->err), 0);
        leat__strbuf_char(out, '\n');
    }
}

static void read_weather(struct weather *w, const char *name, enum leat_codec codec, struct leat_strbuf *out)
{
    char path[1024];
    struct leat_container_reader *reader;
    struct leat_container_block block;
    struct leat_decoder *decoder;
    struct leat_batch *batch;
    int got;
    (void)snprintf(path, sizeof path, "%s/%s", folder(), name);
    FAIL_UNLESS(
        leat__container_open(leat__env_posix(), w->pool, path, &reader, &w->err) == 0, "%s", w->err.message);
    assert_int_equal(leat__container_codec(reader), codec);
    FAIL_UNLESS(leat__decoder_new(leat__container_schema(reader), w->type, NULL, &decoder, &w->err) == 0,
        "%s", w->err.message);
    assert_int_equal(leat__batch_get(w->pool, w->type, &batch), 0);
    while ((got = leat__container_next(reader, &block, &w->err)) == 1) {
        const uint8_t *at = block.data;
        assert_int_equal(leat__batch_add_buffer(batch, block.buffer), 0);
        const int64_t rows =
            leat__decode(decoder, &at, block.data + block.size, batch, (uint32_t)block.rows_count, &w->err);
        assert_int_equal(rows, block.rows_count);
        assert_ptr_equal(at, block.data + block.size);
        leat__buffer_release(block.buffer);
    }
    FAIL_UNLESS(got == 0, "%s", w->err.message);
    leat__container_close(reader);
    put_lines(w, batch, out); /* the batch has all that its rows show */
    leat__batch_release(batch);
    leat__decoder_free(decoder);
}

static void test_container_interop__given_weather_files__when_read__then_rows_of_the_json_file(void **state)
{
    static const struct {
        const char *name;
        enum leat_codec codec;
    } files[] = {
        { "weather.avro", LEAT_CODEC_NULL },
        { "weather-deflate.avro", LEAT_CODEC_DEFLATE },
        { "weather-snappy.avro", LEAT_CODEC_SNAPPY },
        { "weather-zstd.avro", LEAT_CODEC_ZSTANDARD },
    };
    struct weather w;
    (void)state;
    weather_open(&w);
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        struct leat_strbuf out = { 0 };
        read_weather(&w, files[i].name, files[i].codec, &out);
        FAIL_UNLESS(strcmp(out.data, w.lines) == 0, "%s:\n%s", files[i].name, out.data);
        leat__strbuf_release(&out);
    }
    weather_close(&w);
}

static void test_container_interop__given_weather_as_json__when_decoded_and_written__then_read_back(
    void **state)
{
    static const uint8_t sync[LEAT_SYNC_BYTES] = "0123456789abcde";
    struct weather w;
    struct leat_json_decoder *json;
    struct leat_encoder *encoder;
    struct leat_container_writer *writer;
    struct leat_strbuf data = { 0 }, file = { 0 }, out = { 0 };
    struct leat_batch *batch;
    (void)state;
    weather_open(&w);
    assert_int_equal(leat__json_decoder_new(w.type, LEAT_JSON_AVRO, &json, &w.err), 0);
    assert_int_equal(leat__batch_get(w.pool, w.type, &batch), 0);
    for (const char *at = w.lines; *at; at += strcspn(at, "\n") + 1)
        FAIL_UNLESS(leat__json_decode(json, at, strcspn(at, "\n"), batch, &w.err) == 0, "%s", w.err.message);
    put_lines(&w, batch, &out);
    assert_string_equal(out.data, w.lines);
    assert_int_equal(leat__encoder_new(w.type, &encoder, &w.err), 0);
    assert_int_equal(leat__encode(encoder, batch, 0, batch->count, &data, NULL, &w.err), 0);
    assert_int_equal(
        leat__container_writer_new(w.type->schema, LEAT_CODEC_ZSTANDARD, sync, &file, &writer, &w.err), 0);
    assert_int_equal(
        leat__container_write_block(writer, data.data, data.len, batch->count, &file, &w.err), 0);
    assert_true(file.len > 200);
    leat__container_writer_free(writer);
    leat__encoder_free(encoder);
    leat__json_decoder_free(json);
    leat__batch_release(batch);
    leat__strbuf_release(&data);
    leat__strbuf_release(&file);
    leat__strbuf_release(&out);
    weather_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_container_interop__given_weather_files__when_read__then_rows_of_the_json_file),
        cmocka_unit_test(
            test_container_interop__given_weather_as_json__when_decoded_and_written__then_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
