/* tests/unit/connectors/test_positions.c -- every source, at every row: its position, given to a reader that is new,
 * gives exactly the rest, and with it the bad rows that are behind it, none before. So no row is read twice or
 * left out by a checkpoint, wherever its barrier comes. */
#include "tests/support/unit.h"
#include "tests/support/connector_harness.h"
#include "tests/support/memory_env.h"
#include <leat/file.h>
#include <leat/generator.h>
#include <leat/memory.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POSITIONS_MAX 2000u

static const char *text_of(const struct leat_strbuf *s)
{
    return s->data ? s->data : "";
}

/* What was read up to a position. */
struct stop {
    char *position;
    size_t rows_len, letters_len;
};

static void note(struct harness *h, struct leat_reader *reader, struct stop *stop)
{
    *stop = (struct stop){ harness_position(h, reader), h->rows.len, h->letters.len };
}

/* Reads split i to its end, as a first run does, and stops between all calls of read. */
static size_t read_with_stops(struct harness *h, uint32_t i, const char *name, struct stop *stops)
{
    struct leat_reader *reader = harness_reader(h, i, NULL);
    size_t count = 0;
    int result = LEAT_READ_ROWS;
    FAIL_UNLESS(reader, "%s: %s", name, h->err.message);
    while (result == LEAT_READ_ROWS) {
        assert_true(count + 1 < POSITIONS_MAX);
        note(h, reader, &stops[count++]);
        result = harness_read(h, reader);
        FAIL_UNLESS(result > 0, "%s: %s", name, h->err.message);
    }
    note(h, reader, &stops[count++]);
    harness_close_reader(reader);
    return count;
}

/* Blocks of Avro are counted from where a reader began: their offsets say the same. */
static char *without_block_numbers(const char *letters)
{
    char *copy = strdup(letters);
    for (char *at = copy; (at = strstr(at, "block ")) != NULL;) {
        at += 6;
        char *end = at + strspn(at, "0123456789");
        memmove(at, end, strlen(end) + 1);
    }
    return copy;
}

/* From each stop on the rest: with as many rows a batch as `h` has. */
static void resume_each(struct harness *h, uint32_t i, const char *name, struct stop *stops, size_t count)
{
    char *rows = strdup(text_of(&h->rows)), *letters = strdup(text_of(&h->letters));
    for (size_t p = 0; p < count; p++) {
        leat__strbuf_clear(&h->rows);
        leat__strbuf_clear(&h->letters);
        const int code = harness_read_split(h, i, stops[p].position);
        FAIL_UNLESS(code == 0, "%s from \"%s\": %s", name, stops[p].position, h->err.message);
        FAIL_UNLESS(strcmp(text_of(&h->rows), rows + stops[p].rows_len) == 0,
            "%s from \"%s\": got\n%swant\n%s", name, stops[p].position, text_of(&h->rows),
            rows + stops[p].rows_len);
        char *got = without_block_numbers(text_of(&h->letters));
        char *want = without_block_numbers(letters + stops[p].letters_len);
        FAIL_UNLESS(strcmp(got, want) == 0, "%s from \"%s\": got letters\n%swant\n%s", name,
            stops[p].position, got, want);
        free(got);
        free(want);
        free(stops[p].position);
    }
    free(rows);
    free(letters);
}

/* All splits of a node with several sizes of batches; the number of rows. */
static uint64_t resume_everywhere(struct leat_env *env, const struct leat_node *node, const char *name)
{
    static const uint32_t batch_rows[] = { 1, 2, 3, 7, 100 };
    static struct stop stops[POSITIONS_MAX];
    uint64_t rows = 0;
    for (size_t b = 0; b < COUNT_OF(batch_rows); b++) {
        struct harness h;
        uint64_t total = 0;
        harness_init(&h, env, node, batch_rows[b]);
        FAIL_UNLESS(harness_list(&h) == 0, "%s: %s", name, h.err.message);
        for (uint32_t i = 0; i < h.splits.count; i++) {
            leat__strbuf_clear(&h.rows);
            leat__strbuf_clear(&h.letters);
            const uint64_t before = h.rows_count;
            const size_t count = read_with_stops(&h, i, name, stops);
            total += h.rows_count - before;
            resume_each(&h, i, name, stops, count);
        }
        FAIL_UNLESS(b == 0 || total == rows, "%s: %llu rows by %u, %llu before", name,
            (unsigned long long)total, batch_rows[b], (unsigned long long)rows);
        rows = total;
        harness_release(&h);
    }
    return rows;
}

/* ---- files ---- */

static uint64_t resume_file(
    const char *name, const char *path, const void *data, size_t size, uint64_t split_bytes)
{
    struct leat_env *env = memory_env_new(1);
    leat_topology *t = leat_topology_new("test");
    memory_env_put(env, path, data, size);
    leat_stream *stream = leat_file_source(t, "in",
        &(struct leat_file_source_opts){ .path = path,
            .type = harness_order_type(),
            .split_bytes = split_bytes,
            .on_error = LEAT_DEAD_LETTER });
    FAIL_UNLESS(stream->node, "%s: %s", name, leat_topology_error(t, 0)->message);
    (void)leat_dead_letters(stream);
    const uint64_t rows = resume_everywhere(env, stream->node, name);
    assert_int_equal(memory_env_open_count(env), 0);
    leat_topology_free(t);
    memory_env_free(env);
    return rows;
}

static void test_positions__given_avro_of_each_codec_and_block_size__when_resumed__then_exactly_the_rest(
    void **state)
{
    static const enum leat_codec codecs[] = { LEAT_CODEC_NULL, LEAT_CODEC_DEFLATE, LEAT_CODEC_SNAPPY,
        LEAT_CODEC_ZSTANDARD };
    static const uint32_t counts[] = { 0, 1, 23 }, blocks[] = { 1, 5, 23, 100 };
    (void)state;
    for (size_t c = 0; c < COUNT_OF(codecs); c++) {
        for (size_t n = 0; n < COUNT_OF(counts); n++) {
            for (size_t b = 0; b < COUNT_OF(blocks); b++) {
                for (uint64_t split = 0; split < 500; split = split * 3 + 60) {
                    struct leat_strbuf data = { 0 };
                    harness_container(&data, 0, counts[n], blocks[b], codecs[c]);
                    assert_int_equal(
                        resume_file(leat__codec_name(codecs[c]), "a.avro", data.data, data.len, split),
                        counts[n]);
                    leat__strbuf_release(&data);
                }
            }
        }
    }
}

/* Changes one byte of a container at each place in turn: bad rows, lost blocks, damaged headers. */
static void test_positions__given_damaged_avro__when_resumed__then_the_rest_with_its_bad_rows(void **state)
{
    (void)state;
    struct leat_strbuf data = { 0 };
    harness_container(&data, 0, 12, 4, LEAT_CODEC_NULL);
    const char *rows = strstr(data.data, "name-0"); /* behind the header */
    for (size_t i = 0; !rows && i + 6 < data.len; i++)
        rows = memcmp(data.data + i, "name-0", 6) == 0 ? data.data + i : NULL;
    assert_non_null(rows);
    uint64_t fewest = 12;
    for (size_t at = (size_t)(rows - data.data) - 4; at < data.len; at += 3) {
        char name[32];
        (void)snprintf(name, sizeof name, "byte %zu", at);
        data.data[at] ^= 0x55;
        const uint64_t got = resume_file(name, "a.avro", data.data, data.len, 0);
        fewest = got < fewest ? got : fewest;
        data.data[at] ^= 0x55;
    }
    assert_true(fewest < 12);
    leat__strbuf_release(&data);
}

#define MARK "\xef\xbb\xbf"
#define ONE "{\"id\":1,\"name\":\"a\"}"
#define TWO "{\"id\":2,\"name\":\"b\"}"

static const struct {
    const char *name, *path, *text;
    uint64_t rows;
} text_cases[] = {
    { "no bytes", "a.jsonl", "", 0 },
    { "a mark only", "a.jsonl", MARK, 0 },
    { "one line", "a.jsonl", ONE "\n", 1 },
    { "without a line end", "a.jsonl", ONE "\n" TWO, 2 },
    { "CRLF", "a.jsonl", ONE "\r\n" TWO "\r\n", 2 },
    { "CRLF without the last", "a.jsonl", ONE "\r\n" TWO, 2 },
    { "blank lines", "a.jsonl", "\n\n" ONE "\n \n\r\n" TWO "\n\n\t\n", 2 },
    { "a mark", "a.jsonl", MARK ONE "\n" TWO "\n", 2 },
    { "a mark and a blank line", "a.jsonl", MARK "\n" ONE "\n", 1 },
    { "bad lines", "a.jsonl", "x\n" ONE "\n{\n" TWO "\n{\"id\":\"x\"}\n" ONE, 3 },
    { "bad lines only", "a.jsonl", "x\ny\nz", 0 },
    { "a bad first and last line", "a.jsonl", "x\n" ONE "\n" TWO "\ny", 2 },
    { "no bytes", "a.csv", "id,name\n", 0 },
    { "a header without its end", "a.csv", "id,name", 0 },
    { "one record", "a.csv", "id,name\n1,a\n", 1 },
    { "CRLF", "a.csv", "id,name\r\n1,a\r\n2,b\r\n", 2 },
    { "without the last line end", "a.csv", "name,id\na,1\nb,2", 2 },
    { "a mark", "a.csv", MARK "id,name\n1,a\n2,b\n", 2 },
    { "quotes over lines", "a.csv", "id,name\n1,\"a\nb\"\n2,\"c\r\n\r\nd\"\"\"\n3,e\n", 3 },
    { "a header over lines", "a.csv", "id,name,\"more\nof it\"\n1,a,x\n2,b,\"y\nz\"\n", 2 },
    { "blank lines", "a.csv", "id,name\n\n1,a\n\r\n2,b\n\n", 2 },
    { "bad records", "a.csv", "id,name\nx,a\n1,a\n2\n3,c\n,\n4,d", 3 },
    { "a quote that is never closed", "a.csv", "id,name\n1,a\n\"2,b\n3,c\n4,d\n", 3 },
};

static void test_positions__given_lines_of_any_form__when_resumed__then_exactly_the_rest(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(text_cases); i++) {
        const size_t size = strlen(text_cases[i].text);
        const bool is_csv = strstr(text_cases[i].path, ".csv") != NULL;
        for (uint64_t split = 0; split <= (is_csv ? 0 : size); split++) {
            const uint64_t rows =
                resume_file(text_cases[i].name, text_cases[i].path, text_cases[i].text, size, split);
            FAIL_UNLESS(rows == text_cases[i].rows, "%s %s by %llu: %llu rows", text_cases[i].path,
                text_cases[i].name, (unsigned long long)split, (unsigned long long)rows);
        }
    }
}

/* Many rows in many windows of the reader: positions far behind each other's. */
static void test_positions__given_long_lines__when_resumed__then_exactly_the_rest(void **state)
{
    (void)state;
    struct leat_strbuf data = { 0 };
    for (int i = 0; i < 12; i++) {
        leat__strbuf_printf(&data, "{\"id\":%d,\"name\":\"", i);
        for (int k = 0; k < i * 3000; k++)
            leat__strbuf_str(&data, "0123456789");
        leat__strbuf_str(&data, i % 2 ? "\"}\r\n" : "\"}\n");
    }
    leat_topology *t = leat_topology_new("test");
    struct leat_env *env = memory_env_new(1);
    memory_env_put(env, "a.jsonl", data.data, data.len);
    leat_stream *stream = leat_file_source(
        t, "in", &(struct leat_file_source_opts){ .path = "a.jsonl", .type = harness_order_type() });
    struct harness h;
    harness_init(&h, env, stream->node, 1);
    assert_int_equal(harness_list(&h), 0);
    char *positions[32];
    size_t count = 0;
    struct leat_reader *reader = harness_reader(&h, 0, NULL);
    struct leat_batch *batch;
    int result = LEAT_READ_ROWS;
    assert_int_equal(leat__batch_get(h.pool, harness_order_type(), &batch), 0);
    while (result == LEAT_READ_ROWS) {
        positions[count++] = harness_position(&h, reader);
        leat__batch_release(batch);
        assert_int_equal(leat__batch_get(h.pool, harness_order_type(), &batch), 0);
        result = reader->source_class->read(reader, batch);
    }
    assert_int_equal(result, LEAT_READ_END);
    harness_close_reader(reader);
    for (size_t i = 0; i < count; i++) { /* the next row is number i */
        reader = harness_reader(&h, 0, positions[i]);
        leat__batch_release(batch);
        assert_int_equal(leat__batch_get(h.pool, harness_order_type(), &batch), 0);
        result = reader->source_class->read(reader, batch);
        assert_int_equal(batch->count, i < 12);
        if (batch->count > 0) {
            const struct order *order = leat_batch_at(batch, 0);
            assert_int_equal(order->id, i);
            assert_int_equal(order->name.len, i * 30000);
        }
        harness_close_reader(reader);
        free(positions[i]);
    }
    assert_int_equal(count, 13);
    leat__batch_release(batch);
    harness_release(&h);
    leat_topology_free(t);
    memory_env_free(env);
    leat__strbuf_release(&data);
}

/* ---- memory ---- */

static void test_positions__given_rows_in_memory__when_resumed__then_exactly_the_rest(void **state)
{
    static struct order orders[40];
    (void)state;
    for (int i = 0; i < 40; i++)
        orders[i] = (struct order){ .id = i, .name = LEAT_SV("n") };
    for (uint32_t count = 0; count <= 40; count += 13) {
        for (uint32_t splits = 1; splits <= 45; splits += 11) {
            leat_topology *t = leat_topology_new("test");
            leat_stream *stream = leat_memory_source(t, "in",
                &(struct leat_memory_source_opts){
                    .type = harness_order_type(), .rows = orders, .count = count, .splits = splits });
            FAIL_UNLESS(stream->node, "%s", leat_topology_error(t, 0)->message);
            assert_int_equal(resume_everywhere(leat__env_posix(), stream->node, "rows"), count);
            leat_topology_free(t);
        }
    }
}

static void test_positions__given_avro_in_memory__when_resumed__then_exactly_the_rest(void **state)
{
    (void)state;
    for (int bad = -1; bad < 20; bad++) {
        struct leat_strbuf data = { 0 };
        for (int i = 0; i < 20; i++) { /* id, name, no note, price; a bad one has an unknown branch */
            leat__strbuf_char(&data, (char)(2 * i));
            leat__strbuf_str(&data, "\x02n");
            leat__strbuf_char(&data, i == bad ? 8 : 0);
            leat__strbuf_add(&data, "\0\0\0\0\0\0\0\0", 8);
        }
        assert_true(leat__strbuf_reserve(&data, 32));
        leat_topology *t = leat_topology_new("test");
        leat_stream *stream = leat_memory_source(t, "in",
            &(struct leat_memory_source_opts){ .type = harness_order_type(),
                .avro = data.data,
                .avro_bytes = data.len,
                .on_error = LEAT_DEAD_LETTER });
        FAIL_UNLESS(stream->node, "%s", leat_topology_error(t, 0)->message);
        (void)leat_dead_letters(stream);
        const uint64_t rows = resume_everywhere(leat__env_posix(), stream->node, "avro");
        assert_int_equal(rows, bad < 0 ? 20 : bad); /* what is behind it is lost: rows have no marks */
        leat_topology_free(t);
        leat__strbuf_release(&data);
    }
}

/* ---- generators ---- */

static void generate(
    struct leat_ctx *ctx, uint64_t seed, uint64_t index_first, uint64_t step, struct leat_batch *out)
{
    for (uint32_t i = 0; i < out->count; i++) {
        struct order *order = leat_batch_at(out, i);
        const uint64_t index = index_first + i * step;
        ctx->row = i;
        order->id = (int64_t)index;
        order->name = LEAT_SV("n");
        order->price = (double)leat_random_below(seed, index, 0, 100);
    }
}
static struct leat_generator_fn make_order = { sizeof(struct leat_generator_fn), "make_order", NULL,
    generate };

static void test_positions__given_a_generator__when_resumed__then_exactly_the_rest(void **state)
{
    (void)state;
    make_order.out = harness_order_type();
    for (uint64_t count = 1; count <= 40; count += 13) {
        for (uint32_t splits = 1; splits <= 45; splits += 11) {
            leat_topology *t = leat_topology_new("test");
            leat_stream *stream = leat_generator_source(t, "in",
                &(struct leat_generator_source_opts){
                    .fn = &make_order, .seed = 7, .count = count, .splits = splits });
            FAIL_UNLESS(stream->node, "%s", leat_topology_error(t, 0)->message);
            assert_int_equal(resume_everywhere(leat__env_posix(), stream->node, "generator"), count);
            leat_topology_free(t);
        }
    }
}

/* ---- streams ---- */

static void test_positions__given_a_position_of_a_stream__when_resumed_from_whatever__then_refused(
    void **state)
{
    (void)state;
    leat_topology *t = leat_topology_new("test");
    struct leat_env *env = memory_env_new(1);
    memory_env_put(env, "a.jsonl", ONE "\n" TWO "\n", strlen(ONE TWO) + 2);
    leat_stream *stream = leat_file_source(
        t, "in", &(struct leat_file_source_opts){ .path = "a.jsonl", .type = harness_order_type() });
    struct harness h;
    harness_init(&h, env, stream->node, 1);
    assert_int_equal(harness_list(&h), 0);
    assert_null(harness_reader(&h, 0, "stream 22 2")); /* the pipe of yesterday is a file today */
    assert_int_equal(h.err.code, LEAT_EUNSUPPORTED);
    assert_non_null(strstr(h.err.message, "can not be read again from byte 22"));
    assert_null(harness_reader(&h, 0, "stream x"));
    assert_int_equal(h.err.code, LEAT_EDATA);
    harness_release(&h);
    leat_topology_free(t);
    memory_env_free(env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_positions__given_avro_of_each_codec_and_block_size__when_resumed__then_exactly_the_rest),
        cmocka_unit_test(test_positions__given_damaged_avro__when_resumed__then_the_rest_with_its_bad_rows),
        cmocka_unit_test(test_positions__given_lines_of_any_form__when_resumed__then_exactly_the_rest),
        cmocka_unit_test(test_positions__given_long_lines__when_resumed__then_exactly_the_rest),
        cmocka_unit_test(test_positions__given_rows_in_memory__when_resumed__then_exactly_the_rest),
        cmocka_unit_test(test_positions__given_avro_in_memory__when_resumed__then_exactly_the_rest),
        cmocka_unit_test(test_positions__given_a_generator__when_resumed__then_exactly_the_rest),
        cmocka_unit_test(
            test_positions__given_a_position_of_a_stream__when_resumed_from_whatever__then_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
