/* tests/unit/record/test_container_damage.c -- container files that are cut, damaged or made to harm, and
 * reading and writing while calls and allocations fail. */
#include "base/alloc.h"
#include "base/limits.h"
#include "tests/support/container_file.h"
#include "tests/support/memory_env.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

/* Whether the rows are those that were written, from the first on. */
static bool is_prefix(const struct container_rows *rows, size_t count_max)
{
    if (rows->count > count_max)
        return false;
    for (size_t i = 0; i < rows->count; i++)
        if (rows->values[i] != (int64_t)i * 1000)
            return false;
    return true;
}

static void test_container_damage__given_every_length__when_cut_there__then_error_or_whole_blocks(
    void **state)
{
    static const uint32_t blocks[] = { 3, 20, 5 };
    struct container_fixture *f = *state;
    static struct container_rows rows;
    for (size_t c = 0; c < CONTAINER_CODECS_COUNT; c++) {
        size_t good = 0;
        container_write_file(f, container_codecs[c], blocks, COUNT_OF(blocks));
        for (size_t len = 0; len < f->file.len; len++) {
            memory_env_put(f->env, CONTAINER_PATH, f->file.data, len);
            const int code = container_read_file(f, &rows);
            assert_true(is_prefix(&rows, 28));
            if (code == 0) {
                good++;
                assert_true(rows.count == 0 || rows.count == 3 || rows.count == 23);
            } else {
                assert_int_equal(code, LEAT_EDATA);
                FAIL_UNLESS(strncmp(f->err.message, CONTAINER_PATH ": ", strlen(CONTAINER_PATH) + 2) == 0,
                    "%s", f->err.message);
            }
        }
        assert_int_equal(good, 3); /* behind the header and behind two of the blocks */
    }
}

static void test_container_damage__given_every_byte__when_damaged__then_error_or_correct_rows(void **state)
{
    static const uint32_t blocks[] = { 3, 20, 5 };
    static const uint8_t masks[] = { 0x01, 0x02, 0x80, 0xff, 0x40 };
    struct container_fixture *f = *state;
    static struct container_rows rows;
    for (size_t c = 0; c < CONTAINER_CODECS_COUNT; c++) {
        container_write_file(f, container_codecs[c], blocks, COUNT_OF(blocks));
        for (size_t i = 0; i < f->file.len; i++) {
            for (size_t m = 0; m < COUNT_OF(masks); m++) {
                f->file.data[i] = (char)((uint8_t)f->file.data[i] ^ masks[m]);
                memory_env_put(f->env, CONTAINER_PATH, f->file.data, f->file.len);
                const int code = container_read_file(f, &rows);
                FAIL_UNLESS(code == 0 || code == LEAT_EDATA || code == LEAT_ESCHEMA || code == LEAT_ELIMIT,
                    "%s, byte %zu: %d", leat__codec_name(container_codecs[c]), i, code);
                /* Only snappy blocks have a checksum; in the others a changed byte may be a changed row. A
                 * changed name of the codec entry leaves packed bytes that happen to be rows. */
                if (container_codecs[c] == LEAT_CODEC_SNAPPY && i > 20)
                    FAIL_UNLESS(is_prefix(&rows, 28) && (code < 0 || rows.count == 28), "byte %zu", i);
                f->file.data[i] = (char)((uint8_t)f->file.data[i] ^ masks[m]);
            }
        }
    }
}

static void test_container_damage__given_a_damaged_block__when_ranged_past_it__then_the_rest_is_read(
    void **state)
{
    static const uint32_t blocks[] = { 3, 20, 5 };
    struct container_fixture *f = *state;
    struct leat_container_reader *reader;
    struct leat_container_block block;
    static struct container_rows rows;
    container_write_file(f, LEAT_CODEC_SNAPPY, blocks, COUNT_OF(blocks));
    const uint64_t last = f->file.len - 5 * 2 - 40;
    f->file.data[last - 20] ^= 1; /* in block 2 */
    memory_env_put(f->env, CONTAINER_PATH, f->file.data, f->file.len);
    assert_int_equal(leat__container_open(f->env, f->pool, CONTAINER_PATH, &reader, &f->err), 0);
    rows.count = 0;
    assert_int_equal(container_read_on(f, reader, &rows), LEAT_EDATA);
    assert_int_equal(rows.count, 3);
    memset(&f->err, 0, sizeof f->err);
    assert_int_equal(leat__container_next(reader, &block, &f->err), LEAT_EDATA); /* the error repeats */
    unsigned long long offset = 0;
    const char *at = strstr(f->err.message, "block 2 at offset ");
    assert_non_null(at);
    assert_int_equal(sscanf(at, "block 2 at offset %llu", &offset), 1);
    assert_int_equal(leat__container_range(reader, offset, UINT64_MAX, &f->err), 0);
    rows.count = 23;
    assert_int_equal(container_read_on(f, reader, &rows), 0);
    assert_int_equal(rows.count, 28);
    container_assert_counting(&rows, 23, 28);
    leat__container_close(reader);
}

static void test_container_damage__given_hostile_block_heads__when_read__then_refused_with_place(void **state)
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
    struct container_fixture *f = *state;
    static struct container_rows got;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct leat_strbuf tail = { 0 };
        char place[80];
        container_put_long(&tail, rows[i].count);
        container_put_long(&tail, rows[i].size);
        leat__strbuf_add(&tail, "\0", 1);
        leat__strbuf_add(&tail, container_sync, LEAT_SYNC_BYTES);
        container_write_raw(f, LEAT_CODEC_NULL, &tail);
        (void)snprintf(
            place, sizeof place, CONTAINER_PATH ": block 1 at offset %zu: ", f->file.len - tail.len);
        FAIL_UNLESS(container_read_file(f, &got) == LEAT_EDATA, "%s", rows[i].name);
        FAIL_UNLESS(
            strncmp(f->err.message, place, strlen(place)) == 0, "%s: %s", rows[i].name, f->err.message);
        FAIL_UNLESS(strstr(f->err.message, rows[i].text), "%s: %s", rows[i].name, f->err.message);
        leat__strbuf_release(&tail);
    }
}

static void test_container_damage__given_bad_bytes_of_blocks__when_read__then_refused(void **state)
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
    struct container_fixture *f = *state;
    static struct container_rows got;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct leat_strbuf tail = { 0 };
        leat__strbuf_add(&tail, rows[i].bytes, rows[i].len);
        container_write_raw(f, LEAT_CODEC_NULL, &tail);
        FAIL_UNLESS(container_read_file(f, &got) == LEAT_EDATA, "%s", rows[i].name);
        FAIL_UNLESS(strstr(f->err.message, rows[i].text), "%s: %s", rows[i].name, f->err.message);
        leat__strbuf_release(&tail);
    }
}

/* A block of `packed` bytes in a file of that codec must be refused with the text. */
static void assert_refused(
    struct container_fixture *f, enum leat_codec codec, const void *packed, size_t size, const char *text)
{
    static struct container_rows got;
    struct leat_strbuf tail = { 0 };
    container_put_long(&tail, 1);
    container_put_long(&tail, (int64_t)size);
    leat__strbuf_add(&tail, packed, size);
    leat__strbuf_add(&tail, container_sync, LEAT_SYNC_BYTES);
    container_write_raw(f, codec, &tail);
    leat__strbuf_release(&tail);
    FAIL_UNLESS(container_read_file(f, &got) == LEAT_EDATA, "%s: taken", text);
    FAIL_UNLESS(strstr(f->err.message, text), "%s: not \"%s\"", f->err.message, text);
}

static void test_container_damage__given_blocks_that_unpack_beyond_the_limit__when_read__then_refused(
    void **state)
{
    struct container_fixture *f = *state;
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

static void test_container_damage__given_bad_packed_bytes__when_read__then_refused_by_name(void **state)
{
    struct container_fixture *f = *state;
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
static void test_container_damage__given_bytes_behind_deflate_data__when_read__then_ignored(void **state)
{
    struct container_fixture *f = *state;
    static struct container_rows got;
    uint8_t packed[64];
    uLongf len = sizeof packed;
    assert_int_equal(compress(packed, &len, (const uint8_t *)"\x00", 1), Z_OK);
    struct leat_strbuf tail = { 0 };
    container_put_long(&tail, 1);
    container_put_long(&tail, (int64_t)len - 3);
    leat__strbuf_add(&tail, packed + 2, len - 3);
    leat__strbuf_add(&tail, container_sync, LEAT_SYNC_BYTES);
    container_write_raw(f, LEAT_CODEC_DEFLATE, &tail);
    leat__strbuf_release(&tail);
    FAIL_UNLESS(container_read_file(f, &got) == 0, "%s", f->err.message);
    assert_int_equal(got.count, 1);
}

static void test_container_damage__given_bad_headers__when_opened__then_the_text_says_what_is_wrong(
    void **state)
{
#define NO_SYNC "0123456789abcdef"
    static const struct {
        const char *name;
        const char *bytes;
        size_t len;
        int code;
        const char *text;
    } rows[] = {
        { "empty", "", 0, LEAT_EDATA, CONTAINER_PATH ": not an Avro container file: it is empty" },
        { "other magic", "PK\x03\x04...", 7, LEAT_EDATA,
            CONTAINER_PATH ": not an Avro container file: it does not begin" },
        { "short magic", "Ob", 2, LEAT_EDATA, CONTAINER_PATH ": the file ends within its header" },
        { "short and other", "Oc", 2, LEAT_EDATA, CONTAINER_PATH ": not an Avro container file" },
        { "no map", "Obj\x01", 4, LEAT_EDATA, CONTAINER_PATH ": the file ends within its header" },
        { "no schema", "Obj\x01\x00" NO_SYNC, 21, LEAT_EDATA, "no schema (metadata avro.schema is missing)" },
        { "no sync",
            "Obj\x01\x02\x16"
            "avro.schema\x0c\"long\"\x00"
            "0123",
            29, LEAT_EDATA, "the file ends within its header" },
        { "bad schema",
            "Obj\x01\x02\x16"
            "avro.schema\x0c\"lnog\"\x00" NO_SYNC,
            41, LEAT_ESCHEMA, CONTAINER_PATH ": the header's schema: " },
        { "bad codec",
            "Obj\x01\x04\x16"
            "avro.schema\x0c\"long\"\x14"
            "avro.codec\x08lzma\x00" NO_SYNC,
            57, LEAT_EDATA,
            CONTAINER_PATH ": unknown codec \"lzma\" (known are null, deflate, snappy, zstandard)" },
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
    struct container_fixture *f = *state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct leat_container_reader *reader = NULL;
        memory_env_put(f->env, CONTAINER_PATH, rows[i].bytes, rows[i].len);
        const int code = leat__container_open(f->env, f->pool, CONTAINER_PATH, &reader, &f->err);
        FAIL_UNLESS(code == rows[i].code && !reader, "%s: code %d: %s", rows[i].name, code, f->err.message);
        FAIL_UNLESS(strstr(f->err.message, rows[i].text), "%s: %s", rows[i].name, f->err.message);
    }
}

static void test_container_damage__given_odd_but_valid_headers__when_opened__then_taken(void **state)
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
    struct container_fixture *f = *state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct leat_container_reader *reader = NULL;
        struct leat_container_block block;
        memory_env_put(f->env, CONTAINER_PATH, rows[i].bytes, rows[i].len);
        const int code = leat__container_open(f->env, f->pool, CONTAINER_PATH, &reader, &f->err);
        FAIL_UNLESS(code == 0, "%s: %s", rows[i].name, f->err.message);
        assert_int_equal(leat__container_codec(reader), rows[i].codec);
        assert_int_equal(leat__container_schema(reader)->root->kind, LEAT_KIND_LONG);
        assert_int_equal(leat__container_next(reader, &block, &f->err), 0);
        leat__container_close(reader);
    }
}

static void test_container_damage__given_a_header_beyond_one_read__when_opened__then_read_on(void **state)
{
    struct container_fixture *f = *state;
    static struct container_rows rows;
    struct leat_strbuf schema = { 0 };
    struct leat_strbuf data = { 0 };
    struct leat_container_writer *writer;
    leat__strbuf_str(&schema, "{\"type\":\"record\",\"name\":\"r\",\"doc\":\"");
    for (int i = 0; i < 100000; i++)
        leat__strbuf_str(&schema, "words");
    leat__strbuf_str(&schema, "\",\"fields\":[{\"name\":\"x\",\"type\":\"long\"}]}");
    assert_int_equal(
        leat__container_writer_new(schema.data, LEAT_CODEC_NULL, container_sync, &f->file, &writer, &f->err),
        0);
    container_put_long(&data, 0);
    assert_int_equal(leat__container_write_block(writer, data.data, data.len, 1, &f->file, &f->err), 0);
    leat__container_writer_free(writer);
    memory_env_put(f->env, CONTAINER_PATH, f->file.data, f->file.len);
    FAIL_UNLESS(container_read_file(f, &rows) == 0, "%s", f->err.message);
    assert_int_equal(rows.count, 1);
    /* Half of it is a truncated header, whatever the reads' size. */
    memory_env_put(f->env, CONTAINER_PATH, f->file.data, f->file.len / 2);
    assert_int_equal(container_read_file(f, &rows), LEAT_EDATA);
    assert_non_null(strstr(f->err.message, "the file ends within its header"));
    leat__strbuf_release(&schema);
    leat__strbuf_release(&data);
}

static void test_container_damage__given_no_file_or_a_directory__when_opened__then_an_error_with_the_path(
    void **state)
{
    struct container_fixture *f = *state;
    struct leat_container_reader *reader;
    assert_int_equal(leat__container_open(f->env, f->pool, "nowhere.avro", &reader, &f->err), LEAT_ENOTFOUND);
    assert_non_null(strstr(f->err.message, "nowhere.avro"));
    memory_env_put(f->env, "d/file", "x", 1);
    assert_int_equal(leat__container_open(f->env, f->pool, "d", &reader, &f->err), LEAT_EUNSUPPORTED);
    assert_string_equal(f->err.message, "d: a directory, where a container file is needed");
}

static void test_container_damage__given_every_file_call__when_it_fails__then_its_error_and_no_leak(
    void **state)
{
    static const uint32_t blocks[] = { 3, 4 };
    struct container_fixture *f = *state;
    static struct container_rows rows;
    container_write_file(f, LEAT_CODEC_SNAPPY, blocks, COUNT_OF(blocks));
    uint64_t n = 0;
    int code = LEAT_EIO;
    while (code < 0) {
        memory_env_fail_at(f->env, ++n, LEAT_EACCESS);
        code = container_read_file(f, &rows);
        assert_int_equal(memory_env_open_count(f->env), 0);
        FAIL_UNLESS(code == 0 || code == LEAT_EACCESS, "call %llu: %d", (unsigned long long)n, code);
        if (code < 0)
            FAIL_UNLESS(strstr(f->err.message, CONTAINER_PATH), "%s", f->err.message);
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

static void test_container_damage__given_a_file_that_shrinks__when_read__then_an_error(void **state)
{
    static const uint32_t blocks[] = { 30, 40 };
    struct container_fixture *f = *state;
    static struct container_rows rows;
    container_write_file(f, LEAT_CODEC_NULL, blocks, COUNT_OF(blocks));
    memory_env_set_hook(f->env, cut_reads, NULL);
    assert_int_equal(container_read_file(f, &rows), LEAT_EDATA);
    assert_non_null(strstr(f->err.message, "when it was opened"));
    memory_env_set_hook(f->env, NULL, NULL);
}

static void test_container_damage__given_every_allocation__when_it_fails__then_out_of_memory_and_no_leak(
    void **state)
{
    static const uint32_t blocks[] = { 3, 400, 20 };
    struct container_fixture *f = *state;
    static struct container_rows rows;
    for (size_t c = 0; c < CONTAINER_CODECS_COUNT; c++) {
        container_write_file(f, container_codecs[c], blocks, COUNT_OF(blocks));
        int code = LEAT_ENOMEM;
        for (uint64_t n = 1; code < 0; n++) {
            struct leat_pool *pool = f->pool;
            assert_int_equal(leat__pool_new(16, &f->pool), 0); /* with nothing to recycle */
            const int64_t live = leat__alloc_live();
            leat__alloc_fail_at(n);
            code = container_read_file(f, &rows);
            leat__alloc_fail_at(0);
            FAIL_UNLESS(code == 0 || code == LEAT_ENOMEM, "allocation %llu: %d, %s", (unsigned long long)n,
                code, f->err.message);
            leat__pool_free(f->pool);
            f->pool = pool;
            assert_true(leat__alloc_live() < live);
        }
    }
}

static void test_container_damage__given_every_allocation__when_writing_fails__then_output_keeps_its_length(
    void **state)
{
    struct container_fixture *f = *state;
    uint8_t data[3000];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7);
    for (size_t c = 0; c < CONTAINER_CODECS_COUNT; c++) {
        int code = LEAT_ENOMEM;
        for (uint64_t n = 1; code < 0; n++) {
            struct leat_strbuf out = { 0 };
            struct leat_container_writer *writer = NULL;
            leat__strbuf_str(&out, "before");
            leat__alloc_fail_at(n);
            code = leat__container_writer_new(
                "\"long\"", container_codecs[c], container_sync, &out, &writer, &f->err);
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

#define UNIT(name_) cmocka_unit_test_setup_teardown(name_, container_setup, container_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(test_container_damage__given_every_length__when_cut_there__then_error_or_whole_blocks),
        UNIT(test_container_damage__given_every_byte__when_damaged__then_error_or_correct_rows),
        UNIT(test_container_damage__given_a_damaged_block__when_ranged_past_it__then_the_rest_is_read),
        UNIT(test_container_damage__given_hostile_block_heads__when_read__then_refused_with_place),
        UNIT(test_container_damage__given_bad_bytes_of_blocks__when_read__then_refused),
        UNIT(test_container_damage__given_blocks_that_unpack_beyond_the_limit__when_read__then_refused),
        UNIT(test_container_damage__given_bad_packed_bytes__when_read__then_refused_by_name),
        UNIT(test_container_damage__given_bytes_behind_deflate_data__when_read__then_ignored),
        UNIT(test_container_damage__given_bad_headers__when_opened__then_the_text_says_what_is_wrong),
        UNIT(test_container_damage__given_odd_but_valid_headers__when_opened__then_taken),
        UNIT(test_container_damage__given_a_header_beyond_one_read__when_opened__then_read_on),
        UNIT(test_container_damage__given_no_file_or_a_directory__when_opened__then_an_error_with_the_path),
        UNIT(test_container_damage__given_every_file_call__when_it_fails__then_its_error_and_no_leak),
        UNIT(test_container_damage__given_a_file_that_shrinks__when_read__then_an_error),
        UNIT(test_container_damage__given_every_allocation__when_it_fails__then_out_of_memory_and_no_leak),
        UNIT(test_container_damage__given_every_allocation__when_writing_fails__then_output_keeps_its_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
