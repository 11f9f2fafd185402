/* tests/unit/connectors/test_file_sink.c -- rows to files: formats, parts, full disks, rows that can not be
 * written, standard output, declarations. test_file_commit.c has what happens before and after. */
#include "tests/unit/connectors/file_sink_fixture.h"
#include "base/alloc.h"

/* ---- formats ---- */

static const struct {
    const char *name;
    struct leat_file_sink_opts opts;
    const char *file; /* what must be there */
    enum leat_format format;
} format_cases[] = {
    { "an Avro file", { .path = "out/a.avro" }, "out/a.avro", LEAT_FORMAT_AVRO },
    { "an Avro file here", { .path = "a.avro" }, "a.avro", LEAT_FORMAT_AVRO },
    { "deflate", { .path = "a.avro", .codec = "deflate" }, "a.avro", LEAT_FORMAT_AVRO },
    { "snappy", { .path = "a.avro", .codec = "snappy" }, "a.avro", LEAT_FORMAT_AVRO },
    { "zstandard", { .path = "a.avro", .codec = "zstandard" }, "a.avro", LEAT_FORMAT_AVRO },
    { "JSON lines", { .path = "a.jsonl" }, "a.jsonl", LEAT_FORMAT_JSON },
    { "another ending", { .path = "a.ndjson" }, "a.ndjson", LEAT_FORMAT_JSON },
    { "Avro's JSON", { .path = "a.jsonl", .format = LEAT_FORMAT_JSON_AVRO }, "a.jsonl",
        LEAT_FORMAT_JSON_AVRO },
    { "CSV", { .path = "a.csv" }, "a.csv", LEAT_FORMAT_CSV },
    { "CSV with semicolons", { .path = "a.csv", .separator = ';' }, "a.csv", LEAT_FORMAT_CSV },
    { "a directory", { .path = "out" }, "out/part-0-0.avro", LEAT_FORMAT_AVRO },
    { "a directory with a slash", { .path = "out/" }, "out/part-0-0.avro", LEAT_FORMAT_AVRO },
    { "a directory with an ending and a slash", { .path = "out.avro/" }, "out.avro/part-0-0.avro",
        LEAT_FORMAT_AVRO },
    { "a directory of JSON lines", { .path = "out", .format = LEAT_FORMAT_JSON }, "out/part-0-0.jsonl",
        LEAT_FORMAT_JSON },
    { "a directory of CSV", { .path = "out", .format = LEAT_FORMAT_CSV }, "out/part-0-0.csv",
        LEAT_FORMAT_CSV },
};

static void test_file_sink__given_each_format__when_committed__then_the_rows_can_be_read_back(void **state)
{
    static const uint32_t counts[] = { 1, 16, 5000 };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(format_cases); i++) {
        for (size_t n = 0; n < COUNT_OF(counts); n++) {
            struct fixture f;
            struct leat_strbuf want = { 0 };
            set_up(&f, &format_cases[i].opts);
            write_all(&f, 0, counts[n]);
            FAIL_UNLESS(memory_env_files_count(f.env) == 1, "%s: %zu files", format_cases[i].name,
                memory_env_files_count(f.env));
            char *got = read_back(
                f.env, format_cases[i].file, format_cases[i].format, format_cases[i].opts.separator);
            harness_order_lines(&want, 0, counts[n]);
            FAIL_UNLESS(strcmp(got, want.data) == 0, "%s", format_cases[i].name);
            free(got);
            size_t size;
            (void)memory_env_get(f.env, format_cases[i].file, &size);
            assert_int_equal(f.h.counters.bytes_out, size);
            leat__strbuf_release(&want);
            tear_down(&f);
        }
    }
}

static void test_file_sink__given_many_rows__when_written_as_avro__then_blocks_of_64_kib(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, &(struct leat_file_sink_opts){ .path = "a.avro" });
    write_all(&f, 0, 20000);
    struct leat_container_reader *reader;
    struct leat_container_block block;
    uint64_t rows = 0, blocks = 0;
    must(&f, leat__container_open(f.env, f.h.pool, "a.avro", &reader, &f.h.err));
    int got;
    while ((got = leat__container_next(reader, &block, &f.h.err)) > 0) {
        assert_in_range(block.size, 1, 80 * 1024);
        assert_in_range(block.rows_count, 1, 4096);
        rows += block.rows_count;
        blocks++;
        leat__buffer_release(block.buffer);
    }
    assert_int_equal(got, 0);
    assert_int_equal(rows, 20000);
    assert_in_range(blocks, 5, 20);
    leat__container_close(reader);
    tear_down(&f);
}

static void test_file_sink__given_no_rows__when_committed__then_a_single_file_is_there_and_no_parts(
    void **state)
{
    static const struct {
        const char *path;
        const char *file; /* NULL: none */
        const char *text; /* NULL: not compared */
    } cases[] = {
        { "a.avro", "a.avro", NULL },
        { "a.jsonl", "a.jsonl", "" },
        { "a.csv", "a.csv", "id,name,note,price\n" },
        { "out", NULL, NULL },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct fixture f;
        size_t size;
        set_up(&f, &(struct leat_file_sink_opts){ .path = cases[i].path });
        write_all(&f, 0, 0);
        assert_int_equal(memory_env_files_count(f.env), cases[i].file ? 1 : 0);
        if (cases[i].text) {
            const char *text = memory_env_get(f.env, cases[i].file, &size);
            assert_int_equal(size, strlen(cases[i].text));
            assert_true(size == 0 || memcmp(text, cases[i].text, size) == 0);
        }
        if (cases[i].file)
            expect_rows(f.env, cases[i].file, 0, 0);
        tear_down(&f);
    }
}

static void test_file_sink__given_a_part_size__when_rows_exceed_it__then_further_parts_in_order(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f,
        &(struct leat_file_sink_opts){ .path = "out", .format = LEAT_FORMAT_JSON, .part_bytes_max = 2000 });
    write_all(&f, 0, 200);
    const size_t parts = memory_env_files_count(f.env);
    assert_in_range(parts, 3, 9);
    for (size_t i = 0; i < parts; i++) {
        char path[64];
        size_t size;
        (void)snprintf(path, sizeof path, "out/part-0-%zu.jsonl", i);
        assert_non_null(memory_env_get(f.env, path, &size));
        assert_true(i + 1 == parts || size >= 2000);
    }
    expect_rows(f.env, "out", 0, 200);
    tear_down(&f);
}

static void test_file_sink__given_several_subtasks__when_committed__then_a_part_of_each_that_had_rows(
    void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, &(struct leat_file_sink_opts){ .path = "out" });
    must(&f, check(&f));
    must(&f, write_subtask(&f, 0, 3, 0, 10));
    must(&f, write_subtask(&f, 1, 3, 10, 0));
    must(&f, write_subtask(&f, 2, 3, 10, 10));
    must(&f, harness_commit(&f.h));
    assert_int_equal(memory_env_files_count(f.env), 2);
    expect_rows(f.env, "out/part-0-0.avro", 0, 10);
    expect_rows(f.env, "out/part-2-0.avro", 10, 20);
    tear_down(&f);
}

/* ---- the disk ---- */

static int fill_disk(void *arg, enum memory_env_call call, uint64_t n, const char *path, size_t *size)
{
    size_t *room = arg;
    (void)n;
    (void)path;
    if (call != MEMORY_ENV_WRITE)
        return 0;
    if (*size <= *room) {
        *room -= *size;
        return 0;
    }
    *size = *room;
    *room = 0;
    return LEAT_ENOSPC;
}

static void test_file_sink__given_a_full_disk__when_written__then_said_so_and_nothing_is_left(void **state)
{
    static const struct leat_file_sink_opts opts[] = { { .path = "a.avro" }, { .path = "a.jsonl" },
        { .path = "out", .format = LEAT_FORMAT_CSV, .part_bytes_max = 2000 } };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(opts); i++) {
        for (size_t size = 0; size < 5000; size += 311) {
            struct fixture f;
            size_t room = size;
            set_up(&f, &opts[i]);
            must(&f, check(&f));
            memory_env_set_hook(f.env, fill_disk, &room);
            assert_int_equal(write_subtask(&f, 0, 1, 0, 2000), LEAT_ENOSPC);
            assert_non_null(strstr(f.h.err.message, "node \"out\" subtask 0: "));
            assert_non_null(strstr(f.h.err.message, ".inprogress"));
            assert_non_null(strstr(f.h.err.message, "make room and start again"));
            assert_int_equal(f.h.handles.count, 0);
            assert_int_equal(memory_env_files_count(f.env), 0);
            tear_down(&f);
        }
    }
}

static void test_file_sink__given_each_file_call_failing__when_written__then_nothing_is_visible(void **state)
{
    (void)state;
    int code = LEAT_EIO;
    for (uint64_t n = 1; code < 0; n++) {
        struct fixture f;
        set_up(&f,
            &(struct leat_file_sink_opts){
                .path = "out", .format = LEAT_FORMAT_JSON, .part_bytes_max = 2000 });
        must(&f, check(&f));
        memory_env_fail_at(f.env, n, LEAT_EIO);
        code = write_subtask(&f, 0, 1, 0, 100);
        memory_env_fail_at(f.env, 0, 0);
        if (code < 0) {
            assert_int_equal(code, LEAT_EIO);
            assert_non_null(strstr(f.h.err.message, "out"));
            if (f.h.handles.count > 0) { /* a sync has failed: what it says now is not to be believed */
                assert_int_equal(leat__handle_list_sync(&f.h.handles, f.env, &f.h.err), LEAT_EIO);
                assert_non_null(strstr(f.h.err.message, "start from the last checkpoint"));
            } else {
                assert_non_null(strstr(f.h.err.message, "out/.part-0-"));
            }
            must(&f, harness_discard(&f.h));
            harness_forget(&f.h);
            assert_int_equal(memory_env_files_count(f.env), 0);
        }
        tear_down(&f);
        assert_true(n < 100);
    }
}

static void test_file_sink__given_each_allocation_failing__when_written__then_no_memory_and_no_leak(
    void **state)
{
    static const struct leat_file_sink_opts opts[] = { { .path = "a.avro", .codec = "deflate" },
        { .path = "a.jsonl" },
        { .path = "out", .overwrite = true, .format = LEAT_FORMAT_CSV, .part_bytes_max = 500 } };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(opts); i++) {
        int code = LEAT_ENOMEM;
        for (uint64_t n = 1; code < 0; n++) {
            struct fixture f;
            set_up(&f, &opts[i]);
            (void)put_files(f.env, "out/part-0-0.avro out/part-0-7.csv");
            must(&f, check(&f));
            struct leat_sink *sink = NULL;
            struct leat_batch *batch;
            assert_int_equal(leat__batch_get(f.h.pool, harness_order_type(), &batch), 0);
            leat__batch_rows(batch, batch->capacity);
            const int64_t live = leat__alloc_live();
            leat__alloc_fail_at(n);
            sink = harness_sink(&f.h, 0, 1);
            code = f.h.err.code;
            if (sink) {
                leat__batch_ref(batch);
                code = sink->sink_class->on_batch(sink, &f.h.ctx, batch);
                if (code == 0)
                    code = harness_prepare(&f.h, sink);
                harness_close_sink(&f.h, sink);
            }
            leat__alloc_fail_at(0);
            FAIL_UNLESS(code == 0 || code == LEAT_ENOMEM, "%s", f.h.err.message);
            if (code < 0)
                must(&f, harness_discard(&f.h));
            leat__handle_list_release(&f.h.handles, f.h.ctx.env);
            assert_int_equal(leat__alloc_live(), live);
            leat__batch_release(batch);
            tear_down(&f);
            assert_true(n < 1000);
        }
    }
}

/* ---- rows that can not be written ---- */

#define COLORS \
    "{\"type\":\"record\",\"name\":\"paint\",\"fields\":[{\"name\":\"color\",\"type\":{\"type\":\"enum\"," \
    "\"name\":\"c\",\"symbols\":[\"RED\",\"BLUE\"]}}]}"

struct paint {
    int32_t color;
};

/* Writes the colors 0 1 7 0 9 1, two of which are none. */
static int write_paints(struct harness *h, const struct leat_type *type)
{
    static const int32_t colors[] = { 0, 1, 7, 0, 9, 1 };
    struct leat_batch *batch;
    struct leat_sink *sink = harness_sink(h, 0, 1);
    assert_non_null(sink);
    assert_int_equal(leat__batch_get(h->pool, type, &batch), 0);
    for (size_t i = 0; i < COUNT_OF(colors); i++) {
        batch->event_us[i] = 0;
        ((struct paint *)leat__batch_push(batch))->color = colors[i];
    }
    int code = sink->sink_class->on_batch(sink, &h->ctx, batch);
    if (code == 0)
        code = harness_prepare(h, sink);
    harness_close_sink(h, sink);
    return code;
}

static void test_file_sink__given_rows_that_can_not_be_written__when_skipped_or_not__then_counted_or_failed(
    void **state)
{
    static const char *const paths[] = { "a.avro", "a.jsonl", "a.csv" };
    (void)state;
    struct leat_error err = { 0 };
    struct leat_schema *schema;
    struct leat_arena arena = { 0 };
    const struct leat_type *type;
    assert_int_equal(leat__schema_parse(COLORS, strlen(COLORS), &schema, &err), 0);
    assert_int_equal(leat__schema_type(schema, &arena, &type, &err), 0);
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        for (int policy = LEAT_FAIL; policy <= LEAT_SKIP; policy++) {
            struct leat_env *env = memory_env_new(1);
            leat_topology *t = leat_topology_new("test");
            leat_stream *in = leat_memory_source(t, "in", &(struct leat_memory_source_opts){ .type = type });
            leat_file_sink(in, "out", &(struct leat_file_sink_opts){ .path = paths[i] });
            struct leat_node *node = t->nodes[1];
            node->policy = (enum leat_policy)policy;
            struct harness h;
            harness_init(&h, env, node, 16);
            const int code = write_paints(&h, type);
            if (policy == LEAT_FAIL) {
                assert_int_equal(code, LEAT_EUSER);
                FAIL_UNLESS(strstr(h.err.message, "color"), "%s", h.err.message);
                assert_int_equal(memory_env_files_count(env), 0);
            } else {
                FAIL_UNLESS(code == 0, "%s", h.err.message);
                assert_int_equal(h.counters.dropped_records, 2);
                assert_int_equal(harness_commit(&h), 0);
                leat_topology *back = leat_topology_new("back");
                struct harness b;
                harness_init(&b, env,
                    leat_file_source(
                        back, "in", &(struct leat_file_source_opts){ .path = paths[i], .type = type })
                        ->node,
                    4);
                assert_int_equal(harness_read_all(&b), 0);
                assert_string_equal(b.rows.data,
                    "{\"color\":\"RED\"}\n{\"color\":\"BLUE\"}\n{\"color\":\"RED\"}\n{\"color\":\"BLUE\"}\n");
                harness_release(&b);
                leat_topology_free(back);
            }
            harness_release(&h);
            leat_topology_free(t);
            memory_env_free(env);
        }
    }
    leat__arena_release(&arena);
    leat__schema_free(schema);
}

/* ---- standard output ---- */

static struct leat_strbuf stdout_text;
static int stdout_writes;
static int write_stdout(
    struct leat_env *env, leat_fd fd, const void *data, size_t size, struct leat_error *err)
{
    (void)env;
    (void)err;
    assert_int_equal(fd, 1);
    leat__strbuf_add(&stdout_text, data, size);
    stdout_writes++;
    return 0;
}

static void test_file_sink__given_standard_output__when_written__then_after_each_batch(void **state)
{
    static const struct {
        enum leat_format format;
        const char *empty; /* what no rows give; NULL: not compared */
    } cases[] = { { LEAT_FORMAT_JSON, "" }, { LEAT_FORMAT_CSV, "id,name,note,price\n" },
        { LEAT_FORMAT_AVRO, NULL } };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct leat_env *memory = memory_env_new(1);
        struct leat_env env = *memory;
        struct fixture f;
        env.fs_write = write_stdout;
        set_up_in(&f, &env, &(struct leat_file_sink_opts){ .path = "-", .format = cases[i].format });
        assert_int_equal(f.h.node->parallelism, 1);
        must(&f, check(&f));
        struct leat_sink *sink = harness_sink(&f.h, 0, 1);
        stdout_writes = 0;
        for (int n = 1; n <= 3; n++) {
            must(&f, harness_write(&f.h, sink, (n - 1) * 10, 10));
            assert_int_equal(stdout_writes, n);
        }
        must(&f, harness_prepare(&f.h, sink));
        assert_int_equal(f.h.handles.count, 0);
        harness_close_sink(&f.h, sink);
        const char *path = cases[i].format == LEAT_FORMAT_AVRO ? "x.avro"
            : cases[i].format == LEAT_FORMAT_CSV               ? "x.csv"
                                                               : "x.jsonl";
        memory_env_put(memory, path, stdout_text.data, stdout_text.len);
        expect_rows(memory, path, 0, 30);
        leat__strbuf_clear(&stdout_text);
        sink = harness_sink(&f.h, 0, 1);
        must(&f, harness_prepare(&f.h, sink));
        harness_close_sink(&f.h, sink);
        if (cases[i].empty)
            assert_string_equal(stdout_text.data ? stdout_text.data : "", cases[i].empty);
        leat__strbuf_release(&stdout_text);
        harness_release(&f.h);
        leat_topology_free(f.t);
        memory_env_free(memory);
    }
}

/* ---- declarations ---- */

static const struct {
    const char *name;
    struct leat_file_sink_opts opts;
    const char *want;
} declaration_cases[] = {
    { "no path", { .path = NULL }, "path: missing: a directory" },
    { "an empty path", { .path = "" }, "path: missing" },
    { "a codec near another", { .path = "a.avro", .codec = "snapy" },
        "codec: unknown codec \"snapy\" (known are null, "
        "deflate, snappy, zstandard); did you mean \"snappy\"?" },
    { "a codec near none", { .path = "a.avro", .codec = "brotli" }, "zstandard)" },
    { "a codec for JSON", { .path = "a.jsonl", .codec = "snappy" }, "codec: only Avro files have one" },
    { "a format that is none", { .path = "a.avro", .format = (enum leat_format)9 }, "format: 9 is no" },
    { "a separator without CSV", { .path = "a.avro", .separator = ',' }, "separator: only CSV has one" },
    { "a line end as separator", { .path = "a.csv", .separator = '\n' }, "separator: a quote or a line end" },
    { "parts of a single file", { .path = "a.avro", .part_bytes_max = 1 },
        "part_bytes_max: only a directory" },
    { "changes in Avro", { .path = "a.avro", .op_field = "op" }, "op_field: only JSON lines have one" },
    { "changes in a member that is none", { .path = "a.jsonl", .op_field = "o-p" },
        "op_field: \"o-p\" is no name of a member" },
    { "changes in a field", { .path = "a.jsonl", .op_field = "id" }, "has a field \"id\" of its own" },
    { "parts of standard output", { .path = "-", .part_bytes_max = 1 }, "part_bytes_max: only a directory" },
};

static void test_file_sink__given_wrong_options__when_declared__then_the_option_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(declaration_cases); i++) {
        leat_stream *in;
        leat_topology *t = declare_in(&in);
        leat_file_sink(in, "out", &declaration_cases[i].opts);
        FAIL_UNLESS(leat_topology_errors_count(t) == 1, "%s: %zu errors", declaration_cases[i].name,
            leat_topology_errors_count(t));
        const char *message = leat_topology_error(t, 0)->message;
        FAIL_UNLESS(strstr(message, declaration_cases[i].want) && strstr(message, "file sink \"out\""),
            "%s: %s", declaration_cases[i].name, message);
        leat_topology_free(t);
    }
}

static void test_file_sink__given_changes__when_declared__then_only_json_lines_with_a_member_for_them(
    void **state)
{
    static const struct leat_file_sink_opts opts[] = { { .path = "a.avro" }, { .path = "a.csv" },
        { .path = "a.jsonl" } };
    (void)state;
    for (size_t i = 0; i <= COUNT_OF(opts); i++) {
        leat_stream *in;
        leat_topology *t = declare_in(&in);
        in->node->outputs[0].changes = true;
        if (i < COUNT_OF(opts)) {
            leat_file_sink(in, "out", &opts[i]);
            assert_int_equal(leat_topology_errors_count(t), 1);
            assert_non_null(strstr(leat_topology_error(t, 0)->message, "put leat_changelog before it"));
        } else {
            leat_file_sink(in, "out", &(struct leat_file_sink_opts){ .path = "a.jsonl", .op_field = "op" });
            assert_int_equal(leat_topology_errors_count(t), 0);
        }
        leat_topology_free(t);
    }
}

static void test_file_sink__given_a_path_beyond_the_limit__when_declared__then_refused(void **state)
{
    (void)state;
    static char path[5000];
    leat_stream *in;
    leat_topology *t = declare_in(&in);
    memset(path, 'x', sizeof path - 1);
    leat_file_sink(in, "out", &(struct leat_file_sink_opts){ .path = path });
    assert_int_equal(leat_topology_errors_count(t), 1);
    assert_int_equal(leat_topology_error(t, 0)->code, LEAT_ELIMIT);
    leat_topology_free(t);
}

static void test_file_sink__given_a_nested_type__when_csv_is_declared__then_the_field_is_named(void **state)
{
    static const char text[] = "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"tags\",\"type\":"
                               "{\"type\":\"array\",\"items\":\"string\"}}]}";
    (void)state;
    struct leat_error err = { 0 };
    struct leat_schema *schema;
    struct leat_arena arena = { 0 };
    const struct leat_type *type;
    assert_int_equal(leat__schema_parse(text, strlen(text), &schema, &err), 0);
    assert_int_equal(leat__schema_type(schema, &arena, &type, &err), 0);
    leat_topology *t = leat_topology_new("test");
    leat_stream *in = leat_memory_source(t, "in", &(struct leat_memory_source_opts){ .type = type });
    leat_file_sink(in, "out", &(struct leat_file_sink_opts){ .path = "a.csv" });
    (void)leat_file_source(t, "again", &(struct leat_file_source_opts){ .path = "a.csv", .type = type });
    assert_int_equal(leat_topology_errors_count(t), 2);
    for (size_t i = 0; i < 2; i++)
        assert_non_null(strstr(leat_topology_error(t, i)->message, "tags"));
    leat_topology_free(t);
    leat__arena_release(&arena);
    leat__schema_free(schema);
}

static void test_file_sink__given_two_sinks__when_they_share_a_path__then_refused(void **state)
{
    static const struct {
        const char *one, *two;
        enum leat_format format;
        bool refused;
    } cases[] = {
        { "out", "out/", LEAT_FORMAT_AVRO, true },
        { "out", "out/a.avro", LEAT_FORMAT_AVRO, false },
        { "a.avro", "a.avro", LEAT_FORMAT_AVRO, true },
        { "a.avro", "b.avro", LEAT_FORMAT_AVRO, false },
        { "-", "-", LEAT_FORMAT_CSV, true },
        { "-", "-", LEAT_FORMAT_JSON, false },
        { "-", "a.csv", LEAT_FORMAT_CSV, false },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        leat_stream *in;
        leat_topology *t = declare_in(&in);
        leat_file_sink(
            in, "one", &(struct leat_file_sink_opts){ .path = cases[i].one, .format = cases[i].format });
        leat_file_sink(
            in, "two", &(struct leat_file_sink_opts){ .path = cases[i].two, .format = cases[i].format });
        FAIL_UNLESS(leat_topology_errors_count(t) == cases[i].refused, "%s, %s", cases[i].one, cases[i].two);
        if (cases[i].refused)
            assert_non_null(
                strstr(leat_topology_error(t, 0)->message, "is written by the file sink \"one\" too"));
        leat_topology_free(t);
    }
}

static void test_file_sink__given_kinds_of_paths__when_declared__then_single_files_have_one_subtask(
    void **state)
{
    static const struct {
        const char *path;
        uint32_t parallelism;
        enum leat_partitioning partitioning;
    } cases[] = {
        { "a.avro", 1, LEAT_GATHER },
        { "-", 1, LEAT_GATHER },
        { "out", 0, LEAT_FORWARD },
        { "out.avro/", 0, LEAT_FORWARD },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        leat_stream *in;
        leat_topology *t = declare_in(&in);
        const struct leat_node *node = declare(t, in, &(struct leat_file_sink_opts){ .path = cases[i].path });
        assert_int_equal(node->parallelism, cases[i].parallelism);
        assert_int_equal(node->inputs[0].partitioning, cases[i].partitioning);
        leat_topology_free(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file_sink__given_each_format__when_committed__then_the_rows_can_be_read_back),
        cmocka_unit_test(test_file_sink__given_many_rows__when_written_as_avro__then_blocks_of_64_kib),
        cmocka_unit_test(
            test_file_sink__given_no_rows__when_committed__then_a_single_file_is_there_and_no_parts),
        cmocka_unit_test(test_file_sink__given_a_part_size__when_rows_exceed_it__then_further_parts_in_order),
        cmocka_unit_test(
            test_file_sink__given_several_subtasks__when_committed__then_a_part_of_each_that_had_rows),
        cmocka_unit_test(test_file_sink__given_a_full_disk__when_written__then_said_so_and_nothing_is_left),
        cmocka_unit_test(test_file_sink__given_each_file_call_failing__when_written__then_nothing_is_visible),
        cmocka_unit_test(
            test_file_sink__given_each_allocation_failing__when_written__then_no_memory_and_no_leak),
        cmocka_unit_test(
            test_file_sink__given_rows_that_can_not_be_written__when_skipped_or_not__then_counted_or_failed),
        cmocka_unit_test(test_file_sink__given_standard_output__when_written__then_after_each_batch),
        cmocka_unit_test(test_file_sink__given_wrong_options__when_declared__then_the_option_is_named),
        cmocka_unit_test(
            test_file_sink__given_changes__when_declared__then_only_json_lines_with_a_member_for_them),
        cmocka_unit_test(test_file_sink__given_a_path_beyond_the_limit__when_declared__then_refused),
        cmocka_unit_test(test_file_sink__given_a_nested_type__when_csv_is_declared__then_the_field_is_named),
        cmocka_unit_test(test_file_sink__given_two_sinks__when_they_share_a_path__then_refused),
        cmocka_unit_test(
            test_file_sink__given_kinds_of_paths__when_declared__then_single_files_have_one_subtask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
