/* tests/unit/connectors/test_paths.c -- which files a path means, in which order, cut into which ranges; and
 * what a declaration says about paths and formats that can not be. */
#include "tests/support/unit.h"
#include "tests/support/connector_harness.h"
#include "tests/support/memory_env.h"
#include "base/alloc.h"
#include <leat/file.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct declared {
    leat_topology *t;
    const struct leat_node *node; /* NULL: inert */
    const char *error; /* the first message, or "" */
};

static struct declared declare(const struct leat_file_source_opts *opts)
{
    struct declared d = { .t = leat_topology_new("test") };
    struct leat_file_source_opts o = *opts;
    o.type = harness_order_type();
    d.node = leat_file_source(d.t, "in", &o)->node;
    d.error = leat_topology_errors_count(d.t) ? leat_topology_error(d.t, 0)->message : "";
    return d;
}

/* All splits as "id[from,to) " with "-" for an open end. */
static void print_splits(const struct leat_split_list *list, struct leat_strbuf *out)
{
    for (uint32_t i = 0; i < list->count; i++) {
        const struct leat_split *split = &list->splits[i];
        leat__strbuf_printf(out, "%s[%llu,", split->id, (unsigned long long)split->from);
        if (split->to == UINT64_MAX)
            leat__strbuf_printf(out, "-)%llu ", (unsigned long long)split->bytes);
        else
            leat__strbuf_printf(
                out, "%llu)%llu ", (unsigned long long)split->to, (unsigned long long)split->bytes);
    }
}

/* Files of the memory environment: names separated by spaces, each with as many bytes as its row says. */
static void put_files(struct leat_env *env, const char *names, size_t size)
{
    static char bytes[1000];
    char copy[512], *rest;
    assert_true(size <= sizeof bytes);
    memset(bytes, '\n', sizeof bytes);
    (void)snprintf(copy, sizeof copy, "%s", names);
    for (char *name = strtok_r(copy, " ", &rest); name; name = strtok_r(NULL, " ", &rest))
        memory_env_put(env, name, bytes, size);
}

static const struct path_case {
    const char *name;
    const char *files;
    size_t size; /* of each */
    struct leat_file_source_opts opts;
    const char *want; /* splits, or a part of the error */
} path_cases[] = {
    { "a file", "in/a.jsonl", 10, { .path = "in/a.jsonl" }, "a.jsonl[0,-)10 " },
    { "an empty file", "a.jsonl", 0, { .path = "a.jsonl" }, "a.jsonl[0,-)0 " },
    { "a directory, sorted, without hidden ones",
        "in/b.avro in/a.avro in/.c.avro in/_d.avro in/.part-0-0.avro.inprogress", 3, { .path = "in" },
        "a.avro[0,-)3 b.avro[0,-)3 " },
    { "a directory's subdirectories are passed over", "in/a.avro in/sub/b.avro", 3, { .path = "in" },
        "a.avro[0,-)3 " },
    { "bytewise order", "in/a.csv in/B.csv in/10.csv in/9.csv", 1, { .path = "in" },
        "10.csv[0,-)1 9.csv[0,-)1 B.csv[0,-)1 a.csv[0,-)1 " },
    { "a directory of mixed formats", "in/a.csv in/b.avro in/c.ndjson", 1, { .path = "in" },
        "a.csv[0,-)1 b.avro[0,-)1 c.ndjson[0,-)1 " },
    { "a pattern: ids from the first wildcard's directory on", "d/1/x.json d/2/x.json d/2/y.json d/2/.z.json",
        1, { .path = "d/*/*.json" }, "1/x.json[0,-)1 2/x.json[0,-)1 2/y.json[0,-)1 " },
    { "a pattern in the working directory", "x1.csv x2.csv y.csv", 1, { .path = "x?.csv" },
        "x1.csv[0,-)1 x2.csv[0,-)1 " },
    { "a file with the very name of a pattern", "a[1].csv a1.csv", 1, { .path = "a[1].csv" },
        "a[1].csv[0,-)1 " },
    { "standard input", "", 0, { .path = "-", .format = LEAT_FORMAT_JSON }, "-[0,-)0 " },
    { "an explicit format beats the ending", "x.log", 1, { .path = "x.log", .format = LEAT_FORMAT_JSON },
        "x.log[0,-)1 " },
    { "cut into ranges", "a.jsonl", 100, { .path = "a.jsonl", .split_bytes = 25 },
        "a.jsonl@0[0,25)25 a.jsonl@25[25,50)25 a.jsonl@50[50,75)25 a.jsonl@75[75,-)25 " },
    { "a small rest goes to the last range", "a.avro", 100, { .path = "a.avro", .split_bytes = 40 },
        "a.avro@0[0,40)40 a.avro@40[40,80)40 a.avro@80[80,-)20 " },
    { "a rest below half a range", "a.avro", 99, { .path = "a.avro", .split_bytes = 40 },
        "a.avro@0[0,40)40 a.avro@40[40,-)59 " },
    { "a file below one and a half ranges is whole", "a.avro", 59, { .path = "a.avro", .split_bytes = 40 },
        "a.avro[0,-)59 " },
    { "a range that is larger than the file", "a.avro", 59, { .path = "a.avro", .split_bytes = UINT64_MAX },
        "a.avro[0,-)59 " },
    { "nothing there", "", 0, { .path = "in/a.jsonl" }, "no file or directory in/a.jsonl" },
    { "an empty directory", "in/.hidden", 1, { .path = "in" },
        "no file in directory in (names that begin with . or _" },
    { "a pattern without a match", "in/a.csv", 1, { .path = "in/*.avro" }, "no file matches in/*.avro" },
    { "an unknown ending in a directory", "in/a.csv in/readme.txt", 1, { .path = "in" },
        "in/readme.txt: its ending says no format (known are .avro, .jsonl, .ndjson, .json, .csv)" },
    { "a CSV file that should be cut", "in/a.csv", 100, { .path = "in", .split_bytes = 10 },
        "in/a.csv: a CSV file is read as a whole" },
};

static void test_paths__given_files__when_listed__then_splits_or_the_error(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(path_cases); i++) {
        const struct path_case *c = &path_cases[i];
        struct leat_env *env = memory_env_new(1);
        struct harness h;
        struct leat_strbuf got = { 0 };
        put_files(env, c->files, c->size);
        struct declared d = declare(&c->opts);
        FAIL_UNLESS(d.node, "%s: %s", c->name, d.error);
        harness_init(&h, env, d.node, 4);
        if (harness_list(&h) < 0)
            leat__strbuf_str(&got, h.err.message);
        else
            print_splits(&h.splits, &got);
        if (h.err.code)
            FAIL_UNLESS(strstr(got.data, c->want), "%s: got \"%s\"", c->name, got.data);
        else
            FAIL_UNLESS(
                strcmp(got.data, c->want) == 0, "%s: got \"%s\", want \"%s\"", c->name, got.data, c->want);
        assert_int_equal(memory_env_open_count(env), 0);
        leat__strbuf_release(&got);
        harness_release(&h);
        leat_topology_free(d.t);
        memory_env_free(env);
    }
}

static const struct {
    const char *name;
    struct leat_file_source_opts opts;
    const char *want; /* part of the error */
} declaration_cases[] = {
    { "no path", { .path = NULL }, "path: missing" },
    { "an unknown ending", { .path = "orders.txt" },
        "path: orders.txt: the ending .txt says no format (known are .avro" },
    { "standard input without a format", { .path = "-" }, "format: missing: the standard input has no name" },
    { "Avro on standard input", { .path = "-", .format = LEAT_FORMAT_AVRO },
        "path: an Avro file is read by blocks" },
    { "a format that is none", { .path = "a.csv", .format = (enum leat_format)17 }, "format: 17 is no" },
    { "CSV in ranges", { .path = "a.csv", .split_bytes = 1000 },
        "split_bytes: a CSV file is read as a whole" },
    { "a separator without CSV", { .path = "a.avro", .separator = ';' },
        "separator: only CSV has one, but the format is Avro" },
    { "a quote as separator", { .path = "a.csv", .separator = '"' }, "separator: a quote or a line end" },
    { "an unknown event time", { .path = "a.avro", .event_time = "idd" }, "event_time" },
    { "an event time that is none", { .path = "a.avro", .event_time = "name" }, "event_time" },
    { "a negative duration", { .path = "a.avro", .event_time = "id", .max_out_of_orderness_us = -1 },
        "max_out_of_orderness_us" },
};

static void test_paths__given_wrong_options__when_declared__then_the_option_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(declaration_cases); i++) {
        struct declared d = declare(&declaration_cases[i].opts);
        FAIL_UNLESS(!d.node && strstr(d.error, declaration_cases[i].want), "%s: got \"%s\"",
            declaration_cases[i].name, d.error);
        assert_non_null(strstr(d.error, "file source \"in\""));
        assert_int_equal(leat_topology_errors_count(d.t), 1);
        leat_topology_free(d.t);
    }
}

static void test_paths__given_two_sources__when_both_read_the_standard_input__then_refused(void **state)
{
    (void)state;
    const struct leat_file_source_opts opts = {
        .path = "-", .format = LEAT_FORMAT_JSON, .type = harness_order_type()
    };
    leat_topology *t = leat_topology_new("test");
    assert_non_null(leat_file_source(t, "one", &opts)->node);
    assert_null(leat_file_source(t, "two", &opts)->node);
    assert_int_equal(leat_topology_errors_count(t), 1);
    assert_non_null(strstr(leat_topology_error(t, 0)->message, "is read by the file source \"one\" already"));
    leat_topology_free(t);
}

static void test_paths__given_no_type__when_declared__then_one_error_names_it(void **state)
{
    (void)state;
    leat_topology *t = leat_topology_new("test");
    assert_null(leat_file_source(t, "in", &(struct leat_file_source_opts){ .path = "a.csv" })->node);
    assert_int_equal(leat_topology_errors_count(t), 1);
    assert_non_null(strstr(leat_topology_error(t, 0)->message, "type"));
    leat_topology_free(t);
}

static void test_paths__given_a_name_that_may_be_a_directory__when_declared__then_it_is_accepted(void **state)
{
    static const char *const paths[] = { "in", "in/", "in.d/", "in/*", "in/v1.*", "/data/.hidden",
        "in.2024/x" };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        struct declared d = declare(&(struct leat_file_source_opts){ .path = paths[i] });
        FAIL_UNLESS(d.node, "%s: %s", paths[i], d.error);
        leat_topology_free(d.t);
    }
}

static void test_paths__given_event_time__when_no_split_bytes__then_files_are_whole(void **state)
{
    (void)state;
    static const struct {
        const char *event_time;
        uint32_t splits;
    } cases[] = { { NULL, 2 }, { "id", 1 } };
    const size_t size = (size_t)100 << 20;
    char *bytes = calloc(1, size);
    struct leat_env *env = memory_env_new(1);
    memory_env_put(env, "a.jsonl", bytes, size);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct harness h;
        struct declared d =
            declare(&(struct leat_file_source_opts){ .path = "a.jsonl", .event_time = cases[i].event_time });
        assert_non_null(d.node);
        harness_init(&h, env, d.node, 4);
        assert_int_equal(harness_list(&h), 0);
        assert_int_equal(h.splits.count, cases[i].splits);
        harness_release(&h);
        leat_topology_free(d.t);
    }
    memory_env_free(env);
    free(bytes);
}

static void test_paths__given_a_file_in_tiny_ranges__when_too_many__then_the_limit_is_named(void **state)
{
    (void)state;
    static char bytes[LEAT_SPLITS_MAX + 100];
    struct leat_env *env = memory_env_new(1);
    struct harness h;
    memory_env_put(env, "a.jsonl", bytes, sizeof bytes);
    struct declared d = declare(&(struct leat_file_source_opts){ .path = "a.jsonl", .split_bytes = 1 });
    harness_init(&h, env, d.node, 4);
    assert_int_equal(harness_list(&h), LEAT_ELIMIT);
    assert_non_null(strstr(h.err.message, "set a larger .split_bytes"));
    harness_release(&h);
    leat_topology_free(d.t);
    memory_env_free(env);
}

static void test_paths__given_a_file_that_can_not_be_opened__when_listed__then_it_is_named(void **state)
{
    (void)state;
    struct leat_env *env = memory_env_new(1);
    put_files(env, "in/a.csv in/b.csv", 1);
    struct declared d = declare(&(struct leat_file_source_opts){ .path = "in" });
    for (uint64_t n = 1; n <= 6; n++) { /* stat, list, and stat and open of both */
        struct harness h;
        harness_init(&h, env, d.node, 4);
        memory_env_fail_at(env, n, LEAT_EACCESS);
        assert_int_equal(harness_list(&h), LEAT_EACCESS);
        assert_non_null(strstr(h.err.message, n <= 2 ? "in" : n <= 4 ? "in/a.csv" : "in/b.csv"));
        harness_release(&h);
    }
    leat_topology_free(d.t);
    memory_env_free(env);
}

static void test_paths__given_no_memory__when_listed__then_an_error_and_no_leak(void **state)
{
    (void)state;
    struct leat_env *env = memory_env_new(1);
    put_files(env, "in/a.jsonl in/b.jsonl", 100);
    struct declared d = declare(&(struct leat_file_source_opts){ .path = "in", .split_bytes = 10 });
    int code = LEAT_ENOMEM;
    for (uint64_t n = 1; code < 0; n++) {
        struct harness h;
        harness_init(&h, env, d.node, 4);
        const int64_t live = leat__alloc_live();
        leat__alloc_fail_at(n);
        code = harness_list(&h);
        leat__alloc_fail_at(0);
        assert_true(code == 0 || code == LEAT_ENOMEM);
        leat__split_list_release(&h.splits);
        assert_int_equal(leat__alloc_live(), live);
        harness_release(&h);
    }
    leat_topology_free(d.t);
    memory_env_free(env);
}

static void test_paths__given_real_files__when_listed__then_pipes_are_streams_and_order_is_bytewise(
    void **state)
{
    (void)state;
    static const char *const names[] = { "b.jsonl", "a.jsonl", "A.jsonl", ".h.jsonl" };
    char dir[] = "/tmp/leat-paths-XXXXXX", path[64];
    assert_non_null(mkdtemp(dir));
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        (void)snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        assert_int_equal(fclose(file), 0);
    }
    (void)snprintf(path, sizeof path, "%s/pipe.jsonl", dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    struct declared d = declare(&(struct leat_file_source_opts){ .path = dir, .format = LEAT_FORMAT_JSON });
    struct harness h;
    struct leat_strbuf got = { 0 };
    harness_init(&h, leat__env_posix(), d.node, 4);
    assert_int_equal(harness_list(&h), 0);
    print_splits(&h.splits, &got);
    assert_string_equal(got.data, "A.jsonl[0,-)0 a.jsonl[0,-)0 b.jsonl[0,-)0 pipe.jsonl[0,-)0 ");
    leat__strbuf_release(&got);
    harness_release(&h);
    leat_topology_free(d.t);
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        (void)snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        assert_int_equal(unlink(path), 0);
    }
    (void)snprintf(path, sizeof path, "%s/pipe.jsonl", dir);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths__given_files__when_listed__then_splits_or_the_error),
        cmocka_unit_test(test_paths__given_wrong_options__when_declared__then_the_option_is_named),
        cmocka_unit_test(test_paths__given_two_sources__when_both_read_the_standard_input__then_refused),
        cmocka_unit_test(test_paths__given_no_type__when_declared__then_one_error_names_it),
        cmocka_unit_test(
            test_paths__given_a_name_that_may_be_a_directory__when_declared__then_it_is_accepted),
        cmocka_unit_test(test_paths__given_event_time__when_no_split_bytes__then_files_are_whole),
        cmocka_unit_test(test_paths__given_a_file_in_tiny_ranges__when_too_many__then_the_limit_is_named),
        cmocka_unit_test(test_paths__given_a_file_that_can_not_be_opened__when_listed__then_it_is_named),
        cmocka_unit_test(test_paths__given_no_memory__when_listed__then_an_error_and_no_leak),
        cmocka_unit_test(
            test_paths__given_real_files__when_listed__then_pipes_are_streams_and_order_is_bytewise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
