/* tests/unit/connectors/test_file_source.c -- files to rows: every row once whatever the ranges, resumed at
 * every position, through changed schemas and damaged files, from pipes. */
#include "tests/support/unit.h"
#include "tests/support/connector_harness.h"
#include "tests/support/memory_env.h"
#include "base/alloc.h"
#include <leat/file.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A source over files of a memory environment. */
struct fixture {
    struct leat_env *env;
    leat_topology *t;
    struct harness h;
};

static struct leat_node *declare(leat_topology *t, const struct leat_file_source_opts *opts)
{
    struct leat_file_source_opts o = *opts;
    if (!o.type)
        o.type = harness_order_type();
    leat_stream *stream = leat_file_source(t, "in", &o);
    FAIL_UNLESS(stream->node, "%s", leat_topology_error(t, 0)->message);
    if (opts->on_error == LEAT_DEAD_LETTER)
        (void)leat_dead_letters(stream);
    return stream->node;
}

static void set_up(struct fixture *f, const void *data, size_t size, const struct leat_file_source_opts *opts,
    uint32_t batch_rows)
{
    f->env = memory_env_new(1);
    memory_env_put(f->env, opts->path, data, size);
    f->t = leat_topology_new("test");
    harness_init(&f->h, f->env, declare(f->t, opts), batch_rows);
}

static void tear_down(struct fixture *f)
{
    assert_int_equal(memory_env_open_count(f->env), 0);
    harness_release(&f->h);
    leat_topology_free(f->t);
    memory_env_free(f->env);
}

static const char *text_of(const struct leat_strbuf *s)
{
    return s->data ? s->data : "";
}

/* Reads all and compares: code, rows, a part of the error. */
static void expect(const char *name, const void *data, size_t size, const struct leat_file_source_opts *opts,
    uint32_t batch_rows, const char *rows)
{
    struct fixture f;
    set_up(&f, data, size, opts, batch_rows);
    const int code = harness_read_all(&f.h);
    FAIL_UNLESS(code == 0, "%s: %s", name, f.h.err.message);
    FAIL_UNLESS(strcmp(text_of(&f.h.rows), rows) == 0, "%s: got\n%swant\n%s", name, text_of(&f.h.rows), rows);
    tear_down(&f);
}

/* ---- the same orders in each format ---- */

enum { ORDERS = 57 };

static void make_orders(enum leat_format format, struct leat_strbuf *out)
{
    if (format == LEAT_FORMAT_AVRO) {
        harness_container(out, 0, ORDERS, 5, LEAT_CODEC_DEFLATE);
        return;
    }
    if (format == LEAT_FORMAT_JSON) {
        harness_order_lines(out, 0, ORDERS);
        return;
    }
    leat__strbuf_str(out, "price,id,note,name,more\r\n");
    for (int i = 0; i < ORDERS; i++) {
        leat__strbuf_printf(out, "%g,%d,%s,", i / 2.0, i, i % 2 ? "odd" : "");
        leat__strbuf_printf(out, i % 5 ? "name-%d," : "\"name-%d\",", i);
        leat__strbuf_str(out, i % 7 ? "\n" : "\"quoted, with\nlines and \"\"quotes\"\"\"\n");
    }
}

static const struct {
    const char *path;
    enum leat_format format;
} formats[] = {
    { "orders.avro", LEAT_FORMAT_AVRO },
    { "orders.jsonl", LEAT_FORMAT_JSON },
    { "orders.csv", LEAT_FORMAT_CSV },
};

static void test_file_source__given_each_format__when_read_by_any_batch_size__then_all_rows_in_order(
    void **state)
{
    static const uint32_t batch_rows[] = { 1, 2, 7, 1024 };
    (void)state;
    struct leat_strbuf want = { 0 };
    harness_order_lines(&want, 0, ORDERS);
    for (size_t i = 0; i < COUNT_OF(formats); i++) {
        struct leat_strbuf data = { 0 };
        make_orders(formats[i].format, &data);
        for (size_t b = 0; b < COUNT_OF(batch_rows); b++)
            expect(formats[i].path, data.data, data.len,
                &(struct leat_file_source_opts){ .path = formats[i].path }, batch_rows[b], want.data);
        leat__strbuf_release(&data);
    }
    leat__strbuf_release(&want);
}

static void test_file_source__given_ranges_of_any_size__when_all_are_read__then_each_row_once(void **state)
{
    (void)state;
    struct leat_strbuf want = { 0 };
    harness_order_lines(&want, 0, ORDERS);
    for (size_t i = 0; i < 2; i++) {
        struct leat_strbuf data = { 0 };
        make_orders(formats[i].format, &data);
        for (uint64_t bytes = 1; bytes <= data.len; bytes += bytes < 100 ? 1 : 37)
            expect(formats[i].path, data.data, data.len,
                &(struct leat_file_source_opts){ .path = formats[i].path, .split_bytes = bytes }, 16,
                want.data);
        leat__strbuf_release(&data);
    }
    leat__strbuf_release(&want);
}

/* Reads split i with one-row batches and, from every position on the way, the rest once more. */
static void resume_everywhere(struct fixture *f, uint32_t i, const char *name)
{
    struct harness *h = &f->h;
    int result = LEAT_READ_ROWS;
    struct leat_reader *reader = harness_reader(h, i, NULL);
    assert_non_null(reader);
    char *positions[200];
    size_t lens[200], count = 0;
    const size_t from = h->rows.len;
    while (result == LEAT_READ_ROWS) {
        assert_true(count < COUNT_OF(positions));
        positions[count] = harness_position(h, reader);
        lens[count++] = h->rows.len;
        result = harness_read(h, reader);
        FAIL_UNLESS(result > 0, "%s: %s", name, h->err.message);
    }
    positions[count] = harness_position(h, reader);
    lens[count++] = h->rows.len;
    harness_close_reader(reader);
    char *all = strdup(text_of(&h->rows));
    for (size_t p = 0; p < count; p++) {
        leat__strbuf_clear(&h->rows);
        const int code = harness_read_split(h, i, positions[p]);
        FAIL_UNLESS(code == 0, "%s from %s: %s", name, positions[p], h->err.message);
        FAIL_UNLESS(strcmp(text_of(&h->rows), all + lens[p]) == 0, "%s from %s: got\n%swant\n%s", name,
            positions[p], text_of(&h->rows), all + lens[p]);
        free(positions[p]);
    }
    leat__strbuf_clear(&h->rows);
    leat__strbuf_add(&h->rows, all, strlen(all));
    free(all);
    assert_true(h->rows.len >= from);
}

static void test_file_source__given_each_position__when_resumed__then_the_rows_behind_it(void **state)
{
    static const uint64_t split_bytes[] = { 0, 300, 1 };
    (void)state;
    struct leat_strbuf want = { 0 };
    harness_order_lines(&want, 0, ORDERS);
    for (size_t i = 0; i < COUNT_OF(formats); i++) {
        struct leat_strbuf data = { 0 };
        make_orders(formats[i].format, &data);
        for (size_t s = 0; s < (formats[i].format == LEAT_FORMAT_CSV ? 1 : COUNT_OF(split_bytes)); s++) {
            struct fixture f;
            set_up(&f, data.data, data.len,
                &(struct leat_file_source_opts){ .path = formats[i].path, .split_bytes = split_bytes[s] }, 1);
            assert_int_equal(harness_list(&f.h), 0);
            for (uint32_t k = 0; k < f.h.splits.count; k++)
                resume_everywhere(&f, k, formats[i].path);
            assert_string_equal(f.h.rows.data, want.data);
            tear_down(&f);
        }
        leat__strbuf_release(&data);
    }
    leat__strbuf_release(&want);
}

static void test_file_source__given_a_position_that_is_none__when_resumed__then_it_is_quoted(void **state)
{
    static const char *const positions[] = { "", "x", "1", "1 ", "1 2 3", " 1 2", "-1 2",
        "99999999999999999999 0" };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(formats); i++) {
        struct leat_strbuf data = { 0 };
        struct fixture f;
        make_orders(formats[i].format, &data);
        set_up(&f, data.data, data.len, &(struct leat_file_source_opts){ .path = formats[i].path }, 1);
        assert_int_equal(harness_list(&f.h), 0);
        for (size_t p = 0; p < COUNT_OF(positions); p++) {
            assert_int_equal(harness_read_split(&f.h, 0, positions[p]), LEAT_EDATA);
            assert_non_null(strstr(f.h.err.message, "is no position of a file source"));
            assert_non_null(strstr(f.h.err.message, "node \"in\""));
        }
        tear_down(&f);
        leat__strbuf_release(&data);
    }
}

static void test_file_source__given_a_file_that_was_cut__when_resumed_behind_its_end__then_it_has_changed(
    void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(formats); i++) {
        struct leat_strbuf data = { 0 };
        struct fixture f;
        make_orders(formats[i].format, &data);
        set_up(&f, data.data, data.len, &(struct leat_file_source_opts){ .path = formats[i].path }, 20);
        assert_int_equal(harness_list(&f.h), 0);
        struct leat_reader *reader = harness_reader(&f.h, 0, NULL);
        assert_int_equal(harness_read(&f.h, reader), LEAT_READ_ROWS);
        assert_int_equal(harness_read(&f.h, reader), LEAT_READ_ROWS);
        char *position = harness_position(&f.h, reader);
        harness_close_reader(reader);
        memory_env_put(f.env, formats[i].path, data.data, data.len / 2);
        assert_int_equal(harness_read_split(&f.h, 0, position), LEAT_EDATA);
        FAIL_UNLESS(strstr(f.h.err.message, formats[i].path), "%s", f.h.err.message);
        free(position);
        tear_down(&f);
        leat__strbuf_release(&data);
    }
}

/* ---- lines ---- */

#define LINE(id_) "{\"id\":" #id_ ",\"name\":\"n\"}"
#define ROW(id_) "{\"id\":" #id_ ",\"name\":\"n\",\"note\":null,\"price\":0.5}\n"
#define MARK "\xef\xbb\xbf"

static const struct {
    const char *name;
    const char *path;
    const char *text;
    const char *rows;
} line_cases[] = {
    { "an empty file", "a.jsonl", "", "" },
    { "no last line end", "a.jsonl", LINE(1) "\n" LINE(2), ROW(1) ROW(2) },
    { "blank lines and carriage returns", "a.jsonl", "\n" LINE(1) "\r\n \t\r\n\n" LINE(2) "\n\n",
        ROW(1) ROW(2) },
    { "a byte order mark", "a.jsonl", MARK LINE(1) "\n" LINE(2) "\n", ROW(1) ROW(2) },
    { "a byte order mark alone", "a.jsonl", MARK, "" },
    { "an empty CSV file", "a.csv", "", "" },
    { "a CSV header alone", "a.csv", "id,name", "" },
    { "a CSV file with a mark, no last line end", "a.csv", MARK "name,id\nn,1\r\nn,2", ROW(1) ROW(2) },
    { "a quoted last CSV cell without a line end", "a.csv", "id,name\n1,n\n2,\"n\"", ROW(1) ROW(2) },
    { "blank CSV lines", "a.csv", "id,name\n\n1,n\n\n\n2,n\n", ROW(1) ROW(2) },
};

static void test_file_source__given_odd_ends_of_lines__when_read__then_only_records(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(line_cases); i++) {
        const char *text = line_cases[i].text;
        expect(line_cases[i].name, text, strlen(text),
            &(struct leat_file_source_opts){ .path = line_cases[i].path }, 8, line_cases[i].rows);
        if (strcmp(line_cases[i].path, "a.jsonl") != 0)
            continue;
        for (uint64_t bytes = 1; bytes < 12; bytes++)
            expect(line_cases[i].name, text, strlen(text),
                &(struct leat_file_source_opts){ .path = "a.jsonl", .split_bytes = bytes }, 8,
                line_cases[i].rows);
    }
}

static void test_file_source__given_a_mark_and_ranges__when_resumed_anywhere__then_no_row_is_lost(
    void **state)
{
    (void)state;
    static const char text[] = MARK LINE(1) "\n" LINE(2) "\n" LINE(3) "\n";
    for (uint64_t bytes = 1; bytes < sizeof text; bytes++) {
        struct fixture f;
        set_up(&f, text, sizeof text - 1,
            &(struct leat_file_source_opts){ .path = "a.jsonl", .split_bytes = bytes }, 1);
        assert_int_equal(harness_list(&f.h), 0);
        for (uint32_t k = 0; k < f.h.splits.count; k++)
            resume_everywhere(&f, k, "marked");
        assert_string_equal(f.h.rows.data, ROW(1) ROW(2) ROW(3));
        tear_down(&f);
    }
}

static void test_file_source__given_one_csv_column__when_lines_are_empty__then_they_are_records(void **state)
{
    (void)state;
    static const char schema[] = "{\"type\":\"record\",\"name\":\"one\",\"fields\":["
                                 "{\"name\":\"a\",\"type\":[\"null\",\"long\"]}]}";
    struct leat_error err = { 0 };
    struct leat_schema *parsed;
    struct leat_arena arena = { 0 };
    const struct leat_type *type;
    assert_int_equal(leat__schema_parse(schema, strlen(schema), &parsed, &err), 0);
    assert_int_equal(leat__schema_type(parsed, &arena, &type, &err), 0);
    expect("one column", "a\n1\n\n3\n", 7, &(struct leat_file_source_opts){ .path = "a.csv", .type = type },
        8, "{\"a\":1}\n{\"a\":null}\n{\"a\":3}\n");
    leat__arena_release(&arena);
    leat__schema_free(parsed);
}

static void test_file_source__given_lines_longer_than_a_read__when_read__then_whole(void **state)
{
    (void)state;
    struct leat_strbuf data = { 0 };
    enum { LINES = 6 };
    for (int i = 0; i < LINES; i++) {
        const size_t len = (size_t)1 << (14 + i); /* 16 KiB to 512 KiB */
        leat__strbuf_printf(&data, "{\"id\":%d,\"name\":\"", i);
        assert_true(leat__strbuf_reserve(&data, len));
        memset(data.data + data.len, 'x', len);
        data.len += len;
        leat__strbuf_str(&data, "\"}\n");
    }
    struct fixture f;
    set_up(&f, data.data, data.len, &(struct leat_file_source_opts){ .path = "a.jsonl" }, 8);
    assert_int_equal(harness_list(&f.h), 0);
    struct leat_reader *reader = harness_reader(&f.h, 0, NULL);
    struct leat_batch *batch;
    assert_int_equal(leat__batch_get(f.h.pool, harness_order_type(), &batch), 0);
    int result = LEAT_READ_ROWS;
    while (result == LEAT_READ_ROWS)
        result = reader->source_class->read(reader, batch);
    assert_int_equal(result, LEAT_READ_END);
    assert_int_equal(batch->count, LINES);
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct order *order = leat_batch_at(batch, i);
        assert_int_equal(order->id, i);
        assert_int_equal(order->name.len, (size_t)1 << (14 + i));
        for (size_t k = 0; k < order->name.len; k++)
            assert_int_equal(order->name.data[k], 'x');
    }
    assert_int_equal(f.h.counters.bytes_in, data.len);
    leat__batch_release(batch);
    harness_close_reader(reader);
    tear_down(&f);
    leat__strbuf_release(&data);
}

/* ---- bad rows ---- */

static const struct bad_case {
    const char *name;
    const char *path;
    const char *text;
    const char *rows; /* without the bad ones */
    const char *fails; /* LEAT_FAIL: a part of the error */
    const char *letters[3]; /* LEAT_DEAD_LETTER: a part of each, in order */
} bad_cases[] = {
    { "a bad number", "a.jsonl", LINE(1) "\n{\"id\":\"x\",\"name\":\"n\"}\n" LINE(3) "\n", ROW(1) ROW(3),
        "a.jsonl: line 2 (byte 20): id", { "a.jsonl@20: a.jsonl: line 2", NULL } },
    { "no JSON at all", "a.jsonl", LINE(1) "\nhello\n" LINE(3), ROW(1) ROW(3), "a.jsonl: line 2 (byte 20)",
        { "| hello", NULL } },
    { "a cut last line", "a.jsonl", LINE(1) "\n{\"id\":2,\"na", ROW(1), "a.jsonl: line 2 (byte 20)",
        { "| {\"id\":2,\"na", NULL } },
    { "two bad lines", "a.jsonl", "1\n2\n" LINE(3) "\n", ROW(3), "a.jsonl: line 1 (byte 0)",
        { "a.jsonl@0: ", "a.jsonl@2: ", NULL } },
    { "a missing CSV cell", "a.csv", "id,name\n1,n\nx,n\n3,n\n", ROW(1) ROW(3), "a.csv: line 3 (byte 12)",
        { "| x,n", NULL } },
    { "a bad record behind one of two lines", "a.csv", "id,name,more\n1,n,\"a\nb\"\nx,n,\n3,n,\n",
        ROW(1) ROW(3), "a.csv: line 4 (byte 23)", { "| x,n,", NULL } },
    { "a quote that is never closed", "a.csv", "id,name\n1,n\n2,\"n\n3,n\n", ROW(1) ROW(3),
        "a.csv: line 3 (byte 12): a quote that is never closed", { "| 2,\"n", NULL } },
    { "a quote that is never closed in the last line", "a.csv", "id,name\n1,n\n2,\"n", ROW(1),
        "a.csv: line 3 (byte 12): a quote that is never closed", { "| 2,\"n", NULL } },
};

static void test_file_source__given_bad_lines__when_the_policy_is_fail__then_place_and_cause(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad_cases); i++) {
        const struct bad_case *c = &bad_cases[i];
        struct fixture f;
        set_up(&f, c->text, strlen(c->text), &(struct leat_file_source_opts){ .path = c->path }, 8);
        const int code = harness_read_all(&f.h);
        FAIL_UNLESS(code == LEAT_EDATA && strstr(f.h.err.message, c->fails), "%s: %d %s", c->name, code,
            f.h.err.message);
        assert_non_null(strstr(f.h.err.message, "node \"in\""));
        tear_down(&f);
    }
}

static void test_file_source__given_bad_lines__when_skipped__then_counted_and_their_neighbours_stay(
    void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad_cases); i++) {
        const struct bad_case *c = &bad_cases[i];
        struct fixture f;
        uint64_t bad = 0;
        while (bad < COUNT_OF(c->letters) && c->letters[bad])
            bad++;
        set_up(&f, c->text, strlen(c->text),
            &(struct leat_file_source_opts){ .path = c->path, .on_error = LEAT_SKIP }, 1);
        FAIL_UNLESS(harness_read_all(&f.h) == 0, "%s: %s", c->name, f.h.err.message);
        FAIL_UNLESS(strcmp(text_of(&f.h.rows), c->rows) == 0, "%s: got\n%s", c->name, text_of(&f.h.rows));
        FAIL_UNLESS(f.h.counters.dropped_records == bad, "%s: %llu dropped", c->name,
            (unsigned long long)f.h.counters.dropped_records);
        tear_down(&f);
    }
}

static void test_file_source__given_bad_lines__when_dead_lettered__then_raw_bytes_and_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad_cases); i++) {
        const struct bad_case *c = &bad_cases[i];
        struct fixture f;
        set_up(&f, c->text, strlen(c->text),
            &(struct leat_file_source_opts){ .path = c->path, .on_error = LEAT_DEAD_LETTER }, 8);
        FAIL_UNLESS(harness_read_all(&f.h) == 0, "%s: %s", c->name, f.h.err.message);
        const char *at = text_of(&f.h.letters);
        for (size_t k = 0; k < COUNT_OF(c->letters) && c->letters[k]; k++) {
            const char *found = strstr(at, c->letters[k]);
            FAIL_UNLESS(found, "%s: letter %zu: got\n%s", c->name, k, text_of(&f.h.letters));
            at = found + 1;
        }
        FAIL_UNLESS(strcmp(text_of(&f.h.rows), c->rows) == 0, "%s: got\n%s", c->name, text_of(&f.h.rows));
        tear_down(&f);
    }
}

static void test_file_source__given_a_line_beyond_the_limit__when_skipped__then_the_next_one_is_read(
    void **state)
{
    (void)state;
    const size_t len = LEAT_LINE_BYTES_MAX + (size_t)1000000;
    struct leat_strbuf data = { 0 };
    leat__strbuf_str(&data, LINE(1) "\n");
    assert_true(leat__strbuf_reserve(&data, len));
    memset(data.data + data.len, 'x', len);
    data.len += len;
    leat__strbuf_str(&data, "\n" LINE(3) "\n");
    struct fixture f;
    set_up(&f, data.data, data.len,
        &(struct leat_file_source_opts){ .path = "a.jsonl", .on_error = LEAT_SKIP }, 8);
    assert_int_equal(harness_list(&f.h), 0);
    assert_int_equal(harness_read_split(&f.h, 0, NULL), 0);
    assert_string_equal(f.h.rows.data, ROW(1) ROW(3));
    assert_int_equal(f.h.counters.dropped_records, 1);
    tear_down(&f);
    set_up(&f, data.data, data.len, &(struct leat_file_source_opts){ .path = "a.jsonl" }, 8);
    assert_int_equal(harness_read_all(&f.h), LEAT_EDATA);
    assert_non_null(strstr(f.h.err.message, "line 2 (byte 20): longer than 16777216 bytes"));
    tear_down(&f);
    leat__strbuf_release(&data);
}

static void test_file_source__given_a_csv_header_that_does_not_fit__when_opened__then_the_file_is_named(
    void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "nam,id\nx,1\n", "a.csv: " },
        { "id,\"name\n1,2\n", "a.csv: the header line has a quote that is never closed" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct fixture f;
        set_up(&f, cases[i].text, strlen(cases[i].text),
            &(struct leat_file_source_opts){ .path = "a.csv", .on_error = LEAT_SKIP }, 8);
        assert_true(harness_read_all(&f.h) < 0);
        FAIL_UNLESS(strstr(f.h.err.message, cases[i].want), "%s", f.h.err.message);
        tear_down(&f);
    }
}

/* ---- Avro ---- */

/* A container with a schema of the test's own and records given as bytes. */
static void put_container(
    struct leat_strbuf *out, const char *schema, const void *rows, size_t size, uint64_t count)
{
    static const uint8_t sync[16] = "sixteen bytes...";
    struct leat_error err = { 0 };
    struct leat_container_writer *writer;
    assert_int_equal(leat__container_writer_new(schema, LEAT_CODEC_NULL, sync, out, &writer, &err), 0);
    if (count > 0)
        assert_int_equal(leat__container_write_block(writer, rows, size, count, out, &err), 0);
    leat__container_writer_free(writer);
}

#define RECORD(fields_) "{\"type\":\"record\",\"name\":\"order\",\"fields\":[" fields_ "]}"

static void test_file_source__given_an_older_schema__when_read__then_resolved(void **state)
{
    (void)state;
    static const char schema[] =
        RECORD("{\"name\":\"gone\",\"type\":\"string\"},{\"name\":\"name\",\"type\":\"string\"},"
               "{\"name\":\"id\",\"type\":\"int\"}");
    static const char rows[] = "\x06"
                               "abc"
                               "\x02n\x02"
                               "\x00\x02n\x04";
    struct leat_strbuf data = { 0 };
    put_container(&data, schema, rows, sizeof rows - 1, 2);
    expect(
        "older", data.data, data.len, &(struct leat_file_source_opts){ .path = "a.avro" }, 8, ROW(1) ROW(2));
    leat__strbuf_release(&data);
}

static void test_file_source__given_a_schema_that_can_not_be_resolved__when_opened__then_file_and_field(
    void **state)
{
    (void)state;
    struct leat_strbuf data = { 0 };
    struct fixture f;
    put_container(&data,
        RECORD("{\"name\":\"id\",\"type\":\"string\"},{\"name\":\"name\",\"type\":\"string\"}"), "", 0, 0);
    set_up(&f, data.data, data.len,
        &(struct leat_file_source_opts){ .path = "a.avro", .on_error = LEAT_SKIP }, 8);
    assert_int_equal(harness_read_all(&f.h), LEAT_ESCHEMA);
    assert_non_null(strstr(f.h.err.message, "a.avro: "));
    assert_non_null(strstr(f.h.err.message, "id"));
    tear_down(&f);
    leat__strbuf_release(&data);
}

static void test_file_source__given_no_container__when_opened__then_refused_by_every_policy(void **state)
{
    static const enum leat_policy policies[] = { LEAT_FAIL, LEAT_SKIP };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(policies); i++) {
        struct fixture f;
        set_up(&f, "id,name\n", 8,
            &(struct leat_file_source_opts){ .path = "a.avro", .on_error = policies[i] }, 8);
        assert_int_equal(harness_read_all(&f.h), LEAT_EDATA);
        assert_non_null(strstr(f.h.err.message, "a.avro: not an Avro container file"));
        tear_down(&f);
    }
}

/* Offsets of the blocks of a container of orders, by its sync markers; the first is where the header ends. */
static size_t find_blocks(const struct leat_strbuf *data, size_t *offsets, size_t max)
{
    size_t count = 0;
    for (size_t i = 0; i + 16 <= data->len; i++) {
        if (memcmp(data->data + i, "sixteen bytes...", 16) == 0) {
            assert_true(count < max);
            offsets[count++] = i + 16;
        }
    }
    return count - 1; /* behind the last marker is no block */
}

enum { BLOCKS = 6, BLOCK_ROWS = 4 };

/* A container of 6 blocks of 4 orders with the bytes of block `bad` changed from its `at`-th on. */
static void make_damaged(
    struct leat_strbuf *data, enum leat_codec codec, size_t bad, size_t at, const char *bytes, size_t len)
{
    size_t offsets[BLOCKS + 1];
    leat__strbuf_clear(data);
    harness_container(data, 0, BLOCKS * BLOCK_ROWS, BLOCK_ROWS, codec);
    assert_int_equal(find_blocks(data, offsets, COUNT_OF(offsets)), BLOCKS);
    assert_true(offsets[bad] + at + len <= offsets[bad + 1]);
    memcpy(data->data + offsets[bad] + at, bytes, len);
}

/* All orders but those of [from, to). */
static void orders_without(struct leat_strbuf *out, int64_t from, int64_t to)
{
    leat__strbuf_clear(out);
    harness_order_lines(out, 0, from);
    harness_order_lines(out, to, BLOCKS * BLOCK_ROWS);
}

static void test_file_source__given_a_damaged_block__when_read__then_fail_or_the_blocks_around_it(
    void **state)
{
    static const struct {
        const char *name;
        enum leat_codec codec;
        size_t at;
        const char *bytes;
        size_t len;
    } cases[] = {
        { "an impossible size", LEAT_CODEC_NULL, 1, "\xff\xff\xff\xff\x7f", 5 },
        { "a size that leads elsewhere", LEAT_CODEC_NULL, 1, "\x10", 1 },
        { "a negative count", LEAT_CODEC_NULL, 0, "\x01", 1 },
        { "packed bytes that do not unpack", LEAT_CODEC_DEFLATE, 2, "\xff\xff\xff\xff", 4 },
        { "a checksum that is wrong", LEAT_CODEC_SNAPPY, 20, "\x01\x02\x03", 3 },
    };
    (void)state;
    struct leat_strbuf data = { 0 }, want = { 0 };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        for (size_t bad = 0; bad < BLOCKS; bad++) {
            struct fixture f;
            make_damaged(&data, cases[i].codec, bad, cases[i].at, cases[i].bytes, cases[i].len);
            set_up(&f, data.data, data.len, &(struct leat_file_source_opts){ .path = "a.avro" }, 8);
            FAIL_UNLESS(harness_read_all(&f.h) == LEAT_EDATA, "%s: %s", cases[i].name, f.h.err.message);
            FAIL_UNLESS(strstr(f.h.err.message, "a.avro: block "), "%s: %s", cases[i].name, f.h.err.message);
            tear_down(&f);

            orders_without(&want, (int64_t)bad * BLOCK_ROWS, (int64_t)(bad + 1) * BLOCK_ROWS);
            for (uint64_t split_bytes = 50; split_bytes < 1000; split_bytes += 130) {
                set_up(&f, data.data, data.len,
                    &(struct leat_file_source_opts){
                        .path = "a.avro", .split_bytes = split_bytes, .on_error = LEAT_SKIP },
                    3);
                FAIL_UNLESS(harness_read_all(&f.h) == 0, "%s: %s", cases[i].name, f.h.err.message);
                FAIL_UNLESS(strcmp(text_of(&f.h.rows), text_of(&want)) == 0,
                    "%s, block %zu, ranges of %llu: got\n%s", cases[i].name, bad,
                    (unsigned long long)split_bytes, text_of(&f.h.rows));
                assert_int_equal(f.h.counters.dropped_records, 1);
                tear_down(&f);
            }
        }
    }
    leat__strbuf_release(&want);
    leat__strbuf_release(&data);
}

static void test_file_source__given_a_damaged_block__when_dead_lettered_and_resumed__then_rows_once(
    void **state)
{
    (void)state;
    struct leat_strbuf data = { 0 }, want = { 0 };
    struct fixture f;
    make_damaged(&data, LEAT_CODEC_NULL, 2, 1, "\xff\xff\xff\xff\x7f", 5);
    orders_without(&want, 2 * BLOCK_ROWS, 3 * BLOCK_ROWS);
    set_up(&f, data.data, data.len,
        &(struct leat_file_source_opts){ .path = "a.avro", .on_error = LEAT_DEAD_LETTER }, 1);
    assert_int_equal(harness_list(&f.h), 0);
    resume_everywhere(&f, 0, "damaged");
    assert_string_equal(f.h.rows.data, want.data);
    assert_non_null(strstr(f.h.letters.data, "a.avro@"));
    assert_non_null(strstr(f.h.letters.data, "block 3 at offset "));
    tear_down(&f);
    leat__strbuf_release(&want);
    leat__strbuf_release(&data);
}

static void test_file_source__given_a_cut_file__when_read__then_the_whole_blocks_or_fail(void **state)
{
    (void)state;
    struct leat_strbuf data = { 0 }, want = { 0 };
    size_t offsets[BLOCKS + 1];
    harness_container(&data, 0, BLOCKS * BLOCK_ROWS, BLOCK_ROWS, LEAT_CODEC_NULL);
    assert_int_equal(find_blocks(&data, offsets, COUNT_OF(offsets)), BLOCKS);
    for (size_t size = offsets[0]; size < data.len; size += 7) {
        struct fixture f;
        size_t whole = 0;
        while (offsets[whole + 1] <= size)
            whole++;
        leat__strbuf_clear(&want);
        harness_order_lines(&want, 0, (int64_t)(whole * BLOCK_ROWS));
        set_up(&f, data.data, size,
            &(struct leat_file_source_opts){ .path = "a.avro", .on_error = LEAT_SKIP }, 8);
        FAIL_UNLESS(harness_read_all(&f.h) == 0, "%zu bytes: %s", size, f.h.err.message);
        assert_string_equal(text_of(&f.h.rows), text_of(&want));
        assert_int_equal(f.h.counters.dropped_records, size == offsets[whole] ? 0 : 1);
        tear_down(&f);
    }
    leat__strbuf_release(&want);
    leat__strbuf_release(&data);
}

static void test_file_source__given_bad_records_in_a_block__when_read__then_those_that_can_be_found_stay(
    void **state)
{
    static const char schema[] =
        RECORD("{\"name\":\"id\",\"type\":\"long\"},{\"name\":\"name\",\"type\":\"string\"},"
               "{\"name\":\"note\",\"type\":[\"null\",\"string\"]},"
               "{\"name\":\"gone\",\"type\":\"boolean\"}");
    static const struct {
        const char *name;
        const char *bytes;
        size_t len;
        uint64_t count; /* as the block says */
        const char *rows;
        uint64_t dropped;
    } cases[] = {
        { "an impossible union branch: nothing behind it can be found",
            "\x02\x02n\x00\x00"
            "\x04\x02n\x08\x00"
            "\x06\x02n\x00\x00",
            15, 3, ROW(1), 2 },
        { "a string beyond the block",
            "\x02\x02n\x00\x00"
            "\x04\x7fn\x00\x00",
            10, 2, ROW(1), 1 },
        { "fewer records than announced", "\x02\x02n\x00\x00", 5, 3, ROW(1), 2 },
        { "more bytes than announced records",
            "\x02\x02n\x00\x00"
            "\x04\x02n\x00\x00",
            10, 1, ROW(1), 1 },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct leat_strbuf data = { 0 };
        struct fixture f;
        put_container(&data, schema, cases[i].bytes, cases[i].len, cases[i].count);
        set_up(&f, data.data, data.len,
            &(struct leat_file_source_opts){ .path = "a.avro", .on_error = LEAT_SKIP }, 8);
        FAIL_UNLESS(harness_read_all(&f.h) == 0, "%s: %s", cases[i].name, f.h.err.message);
        FAIL_UNLESS(
            strcmp(text_of(&f.h.rows), cases[i].rows) == 0, "%s: got\n%s", cases[i].name, text_of(&f.h.rows));
        FAIL_UNLESS(f.h.counters.dropped_records == cases[i].dropped, "%s: %llu dropped", cases[i].name,
            (unsigned long long)f.h.counters.dropped_records);
        tear_down(&f);
        set_up(&f, data.data, data.len, &(struct leat_file_source_opts){ .path = "a.avro" }, 8);
        assert_int_equal(harness_read_all(&f.h), LEAT_EDATA);
        FAIL_UNLESS(strstr(f.h.err.message, "a.avro: record "), "%s", f.h.err.message);
        tear_down(&f);
        leat__strbuf_release(&data);
    }
}

/* ---- the world fails ---- */

static void test_file_source__given_each_file_call_failing__when_read__then_the_code_and_the_file(
    void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(formats); i++) {
        struct leat_strbuf data = { 0 };
        make_orders(formats[i].format, &data);
        int code = LEAT_EIO;
        for (uint64_t n = 1; code < 0; n++) {
            struct fixture f;
            set_up(&f, data.data, data.len,
                &(struct leat_file_source_opts){ .path = formats[i].path, .on_error = LEAT_SKIP }, 8);
            assert_int_equal(harness_list(&f.h), 0);
            memory_env_fail_at(f.env, n, LEAT_EIO);
            code = harness_read_split(&f.h, 0, NULL);
            if (code < 0) {
                assert_int_equal(code, LEAT_EIO);
                assert_non_null(strstr(f.h.err.message, formats[i].path));
                assert_int_equal(f.h.counters.dropped_records, 0);
            } else {
                assert_int_equal(f.h.rows_count, ORDERS);
            }
            tear_down(&f);
            assert_true(n < 100);
        }
        leat__strbuf_release(&data);
    }
}

static void test_file_source__given_each_allocation_failing__when_read__then_no_memory_and_no_leak(
    void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(formats); i++) {
        struct leat_strbuf data = { 0 };
        make_orders(formats[i].format, &data);
        int code = LEAT_ENOMEM;
        for (uint64_t n = 1; code < 0; n++) {
            struct fixture f;
            set_up(&f, data.data, data.len, &(struct leat_file_source_opts){ .path = formats[i].path }, 8);
            assert_int_equal(harness_list(&f.h), 0);
            const struct leat_type *type = harness_order_type();
            struct leat_batch *batch;
            assert_int_equal(leat__batch_get(f.h.pool, type, &batch), 0);
            const int64_t live = leat__alloc_live();
            leat__alloc_fail_at(n);
            struct leat_reader *reader = harness_reader(&f.h, 0, NULL);
            code = f.h.err.code;
            if (reader) {
                code = reader->source_class->read(reader, batch);
                leat__alloc_fail_at(0);
                harness_close_reader(reader);
            }
            leat__alloc_fail_at(0);
            assert_true(code > 0 || code == LEAT_ENOMEM);
            leat__batch_release(batch);
            harness_release(&f.h);
            leat_topology_free(f.t);
            assert_true(leat__alloc_live() < live);
            memory_env_free(f.env);
            assert_true(n < 1000);
        }
        leat__strbuf_release(&data);
    }
}

/* ---- streams ---- */

/* Descriptor 0 becomes the reading end of a pipe; returns the writing end, and what 0 was in *saved. */
static int redirect_stdin(int *saved)
{
    int ends[2];
    *saved = dup(0);
    assert_int_equal(pipe(ends), 0);
    assert_true(dup2(ends[0], 0) == 0);
    assert_int_equal(close(ends[0]), 0);
    return ends[1];
}

static void send(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void test_file_source__given_a_pipe__when_lines_come_in_pieces__then_rows_as_soon_as_whole(
    void **state)
{
    (void)state;
    leat_topology *t = leat_topology_new("test");
    struct harness h;
    int saved;
    const int to = redirect_stdin(&saved);
    harness_init(&h, leat__env_posix(),
        declare(t, &(struct leat_file_source_opts){ .path = "-", .format = LEAT_FORMAT_JSON }), 8);
    h.now_us = 1000;
    assert_int_equal(harness_list(&h), 0);
    struct leat_reader *reader = harness_reader(&h, 0, NULL);
    assert_non_null(reader);
    assert_int_equal(harness_read(&h, reader), LEAT_READ_WAIT);
    assert_in_range(reader->wake_us, 1001, 100000);
    send(to, "{\"id\":1,");
    assert_int_equal(harness_read(&h, reader), LEAT_READ_WAIT);
    send(to, "\"name\":\"n\"}\n" LINE(2) "\n{");
    assert_int_equal(harness_read(&h, reader), LEAT_READ_ROWS);
    assert_string_equal(h.rows.data, ROW(1) ROW(2));
    assert_int_equal(harness_read(&h, reader), LEAT_READ_WAIT);
    send(to, "\"id\":3,\"name\":\"n\"}");
    assert_int_equal(harness_read(&h, reader), LEAT_READ_WAIT);
    assert_int_equal(close(to), 0);
    assert_int_equal(harness_read(&h, reader), LEAT_READ_END);
    assert_string_equal(h.rows.data, ROW(1) ROW(2) ROW(3));
    harness_close_reader(reader);
    assert_true(fcntl(0, F_GETFD) >= 0); /* it is not ours to close */
    assert_true(dup2(saved, 0) == 0);
    assert_int_equal(close(saved), 0);
    harness_release(&h);
    leat_topology_free(t);
}

static void test_file_source__given_csv_on_a_pipe__when_the_header_comes_late__then_it_waits(void **state)
{
    (void)state;
    leat_topology *t = leat_topology_new("test");
    struct harness h;
    int saved;
    const int to = redirect_stdin(&saved);
    harness_init(&h, leat__env_posix(),
        declare(t, &(struct leat_file_source_opts){ .path = "-", .format = LEAT_FORMAT_CSV }), 8);
    assert_int_equal(harness_list(&h), 0);
    struct leat_reader *reader = harness_reader(&h, 0, NULL);
    assert_non_null(reader);
    send(to, MARK "id,na");
    assert_int_equal(harness_read(&h, reader), LEAT_READ_WAIT);
    char *position = harness_position(&h, reader);
    assert_string_equal(position, "stream 3 1"); /* what was read of it is gone */
    free(position);
    send(to, "me\n1,n\n2,\"n");
    assert_int_equal(harness_read(&h, reader), LEAT_READ_ROWS);
    send(to, "\"\n");
    assert_int_equal(harness_read(&h, reader), LEAT_READ_ROWS);
    assert_int_equal(close(to), 0);
    assert_int_equal(harness_read(&h, reader), LEAT_READ_END);
    assert_string_equal(h.rows.data, ROW(1) ROW(2));
    position = harness_position(&h, reader);
    harness_close_reader(reader);
    assert_null(harness_reader(&h, 0, position));
    assert_int_equal(h.err.code, LEAT_EUNSUPPORTED);
    assert_non_null(strstr(h.err.message, "standard input: a stream can not be read again"));
    free(position);
    assert_true(dup2(saved, 0) == 0);
    assert_int_equal(close(saved), 0);
    harness_release(&h);
    leat_topology_free(t);
}

static void test_file_source__given_real_files__when_read_in_ranges__then_all_rows(void **state)
{
    (void)state;
    struct leat_strbuf want = { 0 };
    harness_order_lines(&want, 0, ORDERS);
    for (size_t i = 0; i < COUNT_OF(formats); i++) {
        struct leat_strbuf data = { 0 };
        char dir[] = "/tmp/leat-source-XXXXXX", path[64];
        assert_non_null(mkdtemp(dir));
        (void)snprintf(path, sizeof path, "%s/%s", dir, formats[i].path);
        make_orders(formats[i].format, &data);
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        assert_int_equal(fwrite(data.data, 1, data.len, file), data.len);
        assert_int_equal(fclose(file), 0);
        leat_topology *t = leat_topology_new("test");
        struct harness h;
        harness_init(&h, leat__env_posix(),
            declare(t,
                &(struct leat_file_source_opts){
                    .path = dir, .split_bytes = formats[i].format == LEAT_FORMAT_CSV ? 0 : 200 }),
            8);
        FAIL_UNLESS(harness_read_all(&h) == 0, "%s", h.err.message);
        assert_string_equal(h.rows.data, want.data);
        harness_release(&h);
        leat_topology_free(t);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(rmdir(dir), 0);
        leat__strbuf_release(&data);
    }
    leat__strbuf_release(&want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_file_source__given_each_format__when_read_by_any_batch_size__then_all_rows_in_order),
        cmocka_unit_test(test_file_source__given_ranges_of_any_size__when_all_are_read__then_each_row_once),
        cmocka_unit_test(test_file_source__given_each_position__when_resumed__then_the_rows_behind_it),
        cmocka_unit_test(test_file_source__given_a_position_that_is_none__when_resumed__then_it_is_quoted),
        cmocka_unit_test(
            test_file_source__given_a_file_that_was_cut__when_resumed_behind_its_end__then_it_has_changed),
        cmocka_unit_test(test_file_source__given_odd_ends_of_lines__when_read__then_only_records),
        cmocka_unit_test(
            test_file_source__given_a_mark_and_ranges__when_resumed_anywhere__then_no_row_is_lost),
        cmocka_unit_test(test_file_source__given_one_csv_column__when_lines_are_empty__then_they_are_records),
        cmocka_unit_test(test_file_source__given_lines_longer_than_a_read__when_read__then_whole),
        cmocka_unit_test(test_file_source__given_bad_lines__when_the_policy_is_fail__then_place_and_cause),
        cmocka_unit_test(
            test_file_source__given_bad_lines__when_skipped__then_counted_and_their_neighbours_stay),
        cmocka_unit_test(test_file_source__given_bad_lines__when_dead_lettered__then_raw_bytes_and_place),
        cmocka_unit_test(
            test_file_source__given_a_line_beyond_the_limit__when_skipped__then_the_next_one_is_read),
        cmocka_unit_test(
            test_file_source__given_a_csv_header_that_does_not_fit__when_opened__then_the_file_is_named),
        cmocka_unit_test(test_file_source__given_an_older_schema__when_read__then_resolved),
        cmocka_unit_test(
            test_file_source__given_a_schema_that_can_not_be_resolved__when_opened__then_file_and_field),
        cmocka_unit_test(test_file_source__given_no_container__when_opened__then_refused_by_every_policy),
        cmocka_unit_test(
            test_file_source__given_a_damaged_block__when_read__then_fail_or_the_blocks_around_it),
        cmocka_unit_test(
            test_file_source__given_a_damaged_block__when_dead_lettered_and_resumed__then_rows_once),
        cmocka_unit_test(test_file_source__given_a_cut_file__when_read__then_the_whole_blocks_or_fail),
        cmocka_unit_test(
            test_file_source__given_bad_records_in_a_block__when_read__then_those_that_can_be_found_stay),
        cmocka_unit_test(
            test_file_source__given_each_file_call_failing__when_read__then_the_code_and_the_file),
        cmocka_unit_test(
            test_file_source__given_each_allocation_failing__when_read__then_no_memory_and_no_leak),
        cmocka_unit_test(
            test_file_source__given_a_pipe__when_lines_come_in_pieces__then_rows_as_soon_as_whole),
        cmocka_unit_test(test_file_source__given_csv_on_a_pipe__when_the_header_comes_late__then_it_waits),
        cmocka_unit_test(test_file_source__given_real_files__when_read_in_ranges__then_all_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
