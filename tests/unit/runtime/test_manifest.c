/* tests/unit/runtime/test_manifest.c -- manifests: what is written is read, what is torn, changed or hostile is
 * not. */
#include "base/alloc.h"
#include "base/hash.h"
#include "runtime/manifest.h"
#include "tests/support/unit.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIFE "0123456789abcdef0123456789abcdef"

static const struct leat_split_part splits[] = {
    { .id = "orders.avro", .position = { "block 4096 row 17", 17 }, .newest_us = 5, .watermark_us = 4 },
    { .id = "b\xff\xfe.csv",
        .ended = true,
        .position = { "\0\x80\xffx", 4 },
        .newest_us = INT64_MAX,
        .watermark_us = INT64_MIN,
        .idle = true },
    { .id = "not-opened", .newest_us = INT64_MIN, .watermark_us = INT64_MIN },
};
static const struct leat_part parts[] = {
    { .node_name = "orders", .subtask = 0, .watermark_us = 4, .splits = splits, .splits_count = 3 },
    { .node_name = "totals",
        .subtask = 1,
        .watermark_us = -7,
        .input_watermark_us = { 3, INT64_MAX },
        .inputs_count = 2,
        .blob = { "\1bytes\0of the class\xc3\x28", 21 } },
    { .node_name = "out", .subtask = 0, .watermark_us = INT64_MAX, .inputs_count = 1, .blob = { "", 0 } },
};
static const struct leat_table_info tables[] = {
    { .node = "totals",
        .name = "panes",
        .kind = "fixed",
        .key = "customer long",
        .format = "count+sum",
        .schema = "{\"type\":\"record\"}",
        .route = "skip 8",
        .key_size = 16,
        .prefix = 0xfeedbeef,
        .entries = 123 },
    { .node = "totals", .name = "rows", .kind = "list", .prefix = 1 },
};
static const struct leat_manifest_node nodes[] = { { "orders", "file source", 2, true },
    { "totals", "aggregate", 2, true }, { "out", "file sink", 1, false } };
static const bool has_store[] = { true, false };
static const struct leat_manifest_file files[] = {
    { "worker-0/000012.sst", 1000, UINT64_C(0xfedcba9876543210) }, { "outbox-out-0-1", 0, 1 }
};
static const struct leat_manifest_handle handles[] = { { "out", { "put 12 part-0-3.avro", 20 } },
    { "out", { "\0\1\2", 3 } } };
static const struct leat_manifest_outbox outboxes[] = { { "kafka", 3, "outbox-out-0-1", 42 } };

static const struct leat_manifest example = { .format = LEAT_MANIFEST_FORMAT,
    .leat_version = "0.1.0",
    .job = "revenue",
    .life = LIFE,
    .id = 7,
    .kind = LEAT_KIND_SAVEPOINT,
    .finished = true,
    .taken_us = 1700000000000000,
    .parallelism = 2,
    .max_parallelism = 128,
    .nodes = nodes,
    .nodes_count = COUNT_OF(nodes),
    .parts = parts,
    .parts_count = COUNT_OF(parts),
    .tables = tables,
    .tables_count = COUNT_OF(tables),
    .store = "rocksdb",
    .has_store = has_store,
    .files = files,
    .files_count = COUNT_OF(files),
    .handles = handles,
    .handles_count = COUNT_OF(handles),
    .outboxes = outboxes,
    .outboxes_count = COUNT_OF(outboxes) };

static void write_example(struct leat_strbuf *text)
{
    assert_int_equal(leat__manifest_write(&example, text), 0);
}

static void assert_bytes(struct leat_sv got, struct leat_sv want)
{
    assert_int_equal(got.data == NULL, want.data == NULL);
    assert_int_equal(got.len, want.len);
    if (want.len)
        assert_memory_equal(got.data, want.data, want.len);
}

static void assert_text(const char *got, const char *want)
{
    if (want)
        assert_string_equal(got, want);
    else
        assert_null(got);
}

static void assert_part(const struct leat_part *got, const struct leat_part *want)
{
    assert_null(got->node);
    assert_string_equal(got->node_name, want->node_name);
    assert_int_equal(got->subtask, want->subtask);
    assert_int_equal(got->watermark_us, want->watermark_us);
    assert_int_equal(got->inputs_count, want->inputs_count);
    for (uint32_t i = 0; i < want->inputs_count; i++)
        assert_int_equal(got->input_watermark_us[i], want->input_watermark_us[i]);
    assert_bytes(got->blob, want->blob);
    assert_int_equal(got->splits_count, want->splits_count);
    for (uint32_t i = 0; i < want->splits_count; i++) {
        assert_string_equal(got->splits[i].id, want->splits[i].id);
        assert_bytes(got->splits[i].position, want->splits[i].position);
        assert_int_equal(got->splits[i].ended, want->splits[i].ended);
        assert_int_equal(got->splits[i].idle, want->splits[i].idle);
        assert_int_equal(got->splits[i].newest_us, want->splits[i].newest_us);
        assert_int_equal(got->splits[i].watermark_us, want->splits[i].watermark_us);
    }
}

static void assert_lists(const struct leat_manifest *m)
{
    assert_int_equal(m->tables_count, COUNT_OF(tables));
    for (size_t i = 0; i < COUNT_OF(tables); i++) {
        assert_string_equal(m->tables[i].node, tables[i].node);
        assert_string_equal(m->tables[i].name, tables[i].name);
        assert_string_equal(m->tables[i].kind, tables[i].kind);
        assert_text(m->tables[i].key, tables[i].key);
        assert_text(m->tables[i].format, tables[i].format);
        assert_text(m->tables[i].schema, tables[i].schema);
        assert_text(m->tables[i].route, tables[i].route);
        assert_int_equal(m->tables[i].key_size, tables[i].key_size);
        assert_int_equal(m->tables[i].prefix, tables[i].prefix);
        assert_int_equal(m->tables[i].entries, tables[i].entries);
    }
    assert_string_equal(m->store, "rocksdb");
    assert_true(m->has_store[0]);
    assert_false(m->has_store[1]);
    assert_int_equal(m->files_count, COUNT_OF(files));
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        assert_string_equal(m->files[i].name, files[i].name);
        assert_int_equal(m->files[i].bytes, files[i].bytes);
        assert_true(m->files[i].hash == files[i].hash);
    }
    assert_int_equal(m->handles_count, COUNT_OF(handles));
    for (size_t i = 0; i < COUNT_OF(handles); i++) {
        assert_string_equal(m->handles[i].node, handles[i].node);
        assert_bytes(m->handles[i].data, handles[i].data);
    }
    assert_int_equal(m->outboxes_count, 1);
    assert_string_equal(m->outboxes[0].node, "kafka");
    assert_int_equal(m->outboxes[0].slot, 3);
    assert_string_equal(m->outboxes[0].file, "outbox-out-0-1");
    assert_int_equal(m->outboxes[0].records, 42);
}

static void test_manifest__given_everything__when_written_and_read__then_it_is_the_same(void **state)
{
    (void)state;
    struct leat_strbuf text = { 0 };
    struct leat_manifest m;
    struct leat_error err = { 0 };
    write_example(&text);
    FAIL_UNLESS(leat__manifest_read(text.data, text.len, &m, &err) == 0, "%s", err.message);
    assert_string_equal(m.leat_version, "0.1.0");
    assert_string_equal(m.job, "revenue");
    assert_string_equal(m.life, LIFE);
    assert_int_equal(m.id, 7);
    assert_int_equal(m.kind, LEAT_KIND_SAVEPOINT);
    assert_true(m.finished);
    assert_int_equal(m.taken_us, 1700000000000000);
    assert_int_equal(m.parallelism, 2);
    assert_int_equal(m.max_parallelism, 128);
    assert_int_equal(m.nodes_count, COUNT_OF(nodes));
    for (size_t i = 0; i < COUNT_OF(nodes); i++) {
        assert_string_equal(m.nodes[i].name, nodes[i].name);
        assert_string_equal(m.nodes[i].kind, nodes[i].kind);
        assert_int_equal(m.nodes[i].parallelism, nodes[i].parallelism);
        assert_int_equal(m.nodes[i].is_stateful, nodes[i].is_stateful);
    }
    assert_int_equal(m.parts_count, COUNT_OF(parts));
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        assert_part(&m.parts[i], &parts[i]);
    assert_lists(&m);
    leat__manifest_release(&m);
    leat__strbuf_release(&text);
}

static void test_manifest__given_text_positions__then_people_can_read_them(void **state)
{
    (void)state;
    struct leat_strbuf text = { 0 };
    write_example(&text);
    assert_non_null(strstr(text.data, "\"position\": \"block 4096 row 17\""));
    assert_non_null(strstr(text.data, "\"job\": \"revenue\""));
    assert_non_null(strstr(text.data, "\n \"id\": 7"));
    assert_non_null(strstr(text.data, "\"base64\""));
    leat__strbuf_release(&text);
}

static void assert_refused(const char *data, size_t len, int code, const char *what, size_t at)
{
    struct leat_manifest m;
    struct leat_error err = { 0 };
    const int result = leat__manifest_read(data, len, &m, &err);
    leat__manifest_release(&m);
    FAIL_UNLESS(result == code, "%s %zu: got %d (%s)", what, at, result, err.message);
    FAIL_UNLESS(err.code == code && err.message[0], "%s %zu: no reason given", what, at);
}

static void test_manifest__given_a_torn_one__then_it_is_refused_at_every_length(void **state)
{
    (void)state;
    struct leat_strbuf text = { 0 };
    write_example(&text);
    for (size_t len = 0; len < text.len; len++)
        assert_refused(text.data, len, LEAT_EDATA, "cut to", len);
    leat__strbuf_char(&text, '\n');
    assert_refused(text.data, text.len, LEAT_EDATA, "grown to", text.len);
    leat__strbuf_release(&text);
}

static void test_manifest__given_a_flipped_bit__then_it_is_refused_wherever_it_is(void **state)
{
    (void)state;
    struct leat_strbuf text = { 0 };
    write_example(&text);
    for (size_t bit = 0; bit < 8 * text.len; bit++) {
        text.data[bit / 8] = (char)(text.data[bit / 8] ^ (1 << bit % 8));
        assert_refused(text.data, text.len, LEAT_EDATA, "bit", bit);
        text.data[bit / 8] = (char)(text.data[bit / 8] ^ (1 << bit % 8));
    }
    leat__strbuf_release(&text);
}

/* ---- hostile ones, whose checksum is right ---- */

/* The example's JSON with one part of the text replaced by another. */
static void change(struct leat_strbuf *out, const char *from, const char *to)
{
    struct leat_strbuf text = { 0 };
    write_example(&text);
    char *at = strstr(text.data, from);
    FAIL_UNLESS(at, "the example has no %s", from);
    char *end = strstr(text.data, "\nxxh3 ");
    leat__strbuf_clear(out);
    leat__strbuf_add(out, text.data, (size_t)(at - text.data));
    leat__strbuf_str(out, to);
    leat__strbuf_add(out, at + strlen(from), (size_t)(end - at) - strlen(from) + 1);
    leat__strbuf_printf(out, "xxh3 %016" PRIx64 "\n", leat__hash(out->data, out->len));
    leat__strbuf_release(&text);
}

static void test_manifest__given_hostile_members__then_each_is_refused_with_its_name(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *says;
        int code;
    } rows[] = {
        { "\"worker-0/000012.sst\"", "\"../../etc/passwd\"", "name", LEAT_EDATA },
        { "\"worker-0/000012.sst\"", "\"/etc/passwd\"", "name", LEAT_EDATA },
        { "\"worker-0/000012.sst\"", "\"worker-0/../x\"", "name", LEAT_EDATA },
        { "\"worker-0/000012.sst\"", "\"worker-0//x\"", "name", LEAT_EDATA },
        { "\"worker-0/000012.sst\"", "\"./x\"", "name", LEAT_EDATA },
        { "\"worker-0/000012.sst\"", "\"..\"", "name", LEAT_EDATA },
        { "\"worker-0/000012.sst\"", "\"x/\"", "name", LEAT_EDATA },
        { "\"worker-0/000012.sst\"", "\"\"", "name", LEAT_EDATA },
        { "\"worker-0/000012.sst\"", "\"a\\u0000b\"", "NUL", LEAT_EDATA },
        { "\"bytes\": 1000", "\"bytes\": -1", "bytes", LEAT_EDATA },
        { "\"bytes\": 1000", "\"bytes\": 1e3", "bytes", LEAT_EDATA },
        { "\"bytes\": 1000", "\"size\": 1000", "bytes", LEAT_EDATA },
        { "\"fedcba9876543210\"", "\"fedcba987654321\"", "xxh3", LEAT_EDATA },
        { "\"fedcba9876543210\"", "\"FEDCBA9876543210\"", "xxh3", LEAT_EDATA },
        { "\"parallelism\": 2,\n \"max", "\"parallelism\": 257,\n \"max", "parallelism", LEAT_EDATA },
        { "\"parallelism\": 2,\n \"max", "\"parallelism\": 0,\n \"max", "parallelism", LEAT_EDATA },
        { "\"parallelism\": 2,\n \"max", "\"parallelism\": 3,\n \"max", "stores", LEAT_EDATA },
        { "\"subtask\": 1", "\"subtask\": 256", "subtask", LEAT_EDATA },
        { "\"subtask\": 1", "\"subtask\": \"1\"", "subtask", LEAT_EDATA },
        { "\"id\": 7", "\"id\": 0", "id", LEAT_EDATA },
        { LIFE, "short", "life", LEAT_EDATA },
        { "\"savepoint\"", "\"other\"", "kind", LEAT_EDATA },
        { "\"finished\": true", "\"finished\": 1", "finished", LEAT_EDATA },
        { "\"format\": 1", "\"format\": 2", "format 2", LEAT_EUNSUPPORTED },
        { "\"base64\": \"", "\"base64\": \"!", "base64", LEAT_EDATA },
        { "\"input_watermarks_us\": []",
            "\"input_watermarks_us\": [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]", "input_watermarks_us",
            LEAT_EDATA },
        { "\"nodes\": [", "\"nodes\": [7, ", "nodes", LEAT_EDATA },
        { "\"job\": \"revenue\"", "\"job\": {}", "job", LEAT_EDATA },
        { "\"job\": \"revenue\"", "\"job\": \"a\", \"job\": \"b\"", "duplicate", LEAT_EDATA },
    };
    struct leat_strbuf text = { 0 };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct leat_manifest m;
        struct leat_error err = { 0 };
        change(&text, rows[i].from, rows[i].to);
        const int result = leat__manifest_read(text.data, text.len, &m, &err);
        leat__manifest_release(&m);
        FAIL_UNLESS(result == rows[i].code, "%s: got %d (%s)", rows[i].to, result, err.message);
        FAIL_UNLESS(strstr(err.message, rows[i].says), "%s: \"%s\" does not say \"%s\"", rows[i].to,
            err.message, rows[i].says);
    }
    leat__strbuf_release(&text);
}

static void test_manifest__given_members_of_a_later_version__then_they_are_ignored(void **state)
{
    (void)state;
    struct leat_strbuf text = { 0 };
    struct leat_manifest m;
    struct leat_error err = { 0 };
    change(&text, "\"id\": 7", "\"id\": 7, \"colour\": {\"of\": [1, 2]}");
    FAIL_UNLESS(leat__manifest_read(text.data, text.len, &m, &err) == 0, "%s", err.message);
    assert_int_equal(m.id, 7);
    leat__manifest_release(&m);
    leat__strbuf_release(&text);
}

static void test_manifest__given_deep_nesting__then_it_is_refused(void **state)
{
    (void)state;
    struct leat_strbuf text = { 0 };
    for (int i = 0; i < 100000; i++)
        leat__strbuf_char(&text, '[');
    leat__strbuf_char(&text, '\n');
    leat__strbuf_printf(&text, "xxh3 %016" PRIx64 "\n", leat__hash(text.data, text.len));
    assert_refused(text.data, text.len, LEAT_EDATA, "levels", 100000);
    leat__strbuf_release(&text);
}

static void test_manifest__given_little_memory__then_reading_fails_cleanly(void **state)
{
    (void)state;
    struct leat_strbuf text = { 0 };
    write_example(&text);
    const int64_t live = leat__alloc_live();
    int result = LEAT_ENOMEM;
    for (uint64_t n = 1; result == LEAT_ENOMEM; n++) {
        struct leat_manifest m;
        struct leat_error err = { 0 };
        leat__alloc_fail_at(n);
        result = leat__manifest_read(text.data, text.len, &m, &err);
        leat__alloc_fail_at(0);
        leat__manifest_release(&m);
        assert_int_equal(leat__alloc_live(), live);
        assert_true(n < 1000);
    }
    assert_int_equal(result, 0);
    leat__strbuf_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_manifest__given_everything__when_written_and_read__then_it_is_the_same),
        cmocka_unit_test(test_manifest__given_text_positions__then_people_can_read_them),
        cmocka_unit_test(test_manifest__given_a_torn_one__then_it_is_refused_at_every_length),
        cmocka_unit_test(test_manifest__given_a_flipped_bit__then_it_is_refused_wherever_it_is),
        cmocka_unit_test(test_manifest__given_hostile_members__then_each_is_refused_with_its_name),
        cmocka_unit_test(test_manifest__given_members_of_a_later_version__then_they_are_ignored),
        cmocka_unit_test(test_manifest__given_deep_nesting__then_it_is_refused),
        cmocka_unit_test(test_manifest__given_little_memory__then_reading_fails_cleanly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
