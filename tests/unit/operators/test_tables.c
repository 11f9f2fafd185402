/* tests/unit/operators/test_tables.c -- tables and joins with them: runs their case files, and random inputs against
 * naive models. */
#include "tests/support/cases.h"
#include "tests/support/golden.h"
#include "tests/support/op_records.h"
#include "tests/support/unit.h"
#include <glob.h>
#include <leat/table.h>
#include <stdio.h>

/* ---- upsert ---- */

static leat_stream *declare_upsert(const struct case_setup *setup)
{
    return leat_upsert(
        setup->inputs[0], "rows", &(struct leat_upsert_opts){ .key = "key", .delete_where = "value < 0" });
}
static leat_stream *declare_upsert_value(const struct case_setup *setup)
{
    return leat_upsert(setup->inputs[0], "rows", &(struct leat_upsert_opts){ .key = "id", .value = "key" });
}
static leat_stream *declare_upsert_id(const struct case_setup *setup)
{
    return leat_upsert(setup->inputs[0], "rows", &(struct leat_upsert_opts){ .key = "id" });
}
static leat_stream *declare_upsert_time(const struct case_setup *setup)
{
    return leat_upsert(setup->inputs[0], "rows",
        &(struct leat_upsert_opts){ .key = "key", .delete_where = "value < 0", .by_event_time = true });
}
static leat_stream *declare_upsert_ttl(const struct case_setup *setup)
{
    return leat_upsert(setup->inputs[0], "rows",
        &(struct leat_upsert_opts){ .key = "key", .delete_where = "value < 0", .ttl = { .us = 16 } });
}
static leat_stream *declare_upsert_clock(const struct case_setup *setup)
{
    return leat_upsert(setup->inputs[0], "rows",
        &(struct leat_upsert_opts){ .key = "key", .ttl = { .us = 16, .time = LEAT_PROCESSING_TIME } });
}

static const struct case_operator operators[] = {
    { "upsert", declare_upsert },
    { "upsert-value", declare_upsert_value },
    { "upsert-id", declare_upsert_id },
    { "upsert-time", declare_upsert_time },
    { "upsert-ttl", declare_upsert_ttl },
    { "upsert-clock", declare_upsert_clock },
};

/* ---- declarations ---- */

static void check_refused(leat_topology *t, const char *want)
{
    bool found = false;
    FAIL_UNLESS(leat_check(t) < 0, "%s: nothing was refused", want);
    for (uint32_t i = 0; i < leat_topology_errors_count(t); i++)
        found = found || strstr(leat_topology_error(t, i)->message, want);
    FAIL_UNLESS(found, "\"%s\" is not said: %s", want, leat_topology_error(t, 0)->message);
    leat_topology_free(t);
}

static void test_upsert__given_bad_options__when_declared__then_each_is_named(void **state)
{
    static const struct {
        struct leat_upsert_opts opts;
        bool has_time;
        const char *want;
    } rows[] = {
        { { .key = NULL }, true, "key: missing" },
        { { .key = "idd" }, true, "did you mean \"id\"" },
        { { .key = "id", .delete_where = "value + 1" }, true, "is no condition" },
        { { .key = "id", .delete_where = "value < 0", .value = "value" }, true,
            "value: given together with delete_where" },
        { { .key = "id", .value = "value" }, true, "value is never null" },
        { { .key = "id", .value = "valu" }, true, "value: " },
        { { .key = "id", .by_event_time = true }, false, "no event time" },
        { { .key = "id", .ttl = { .us = 1 } }, false, "no event time" },
        { { .key = "id", .ttl = { .us = -1 } }, true, "ttl.us: -1" },
        { { .key = "id", .ttl = { .us = 1, .on_read = true } }, true, "ttl.on_read" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        leat_topology *t = leat_topology_new("refused");
        leat_stream *in = harness_source(t, "in", &op_event_type, rows[i].has_time ? "ts" : NULL);
        (void)leat_upsert(in, "rows", &rows[i].opts);
        check_refused(t, rows[i].want);
    }
}

static void run_file(void **state)
{
    case_run_file(*state, operators, COUNT_OF(operators));
}

int main(void)
{
    static const char *const folders[] = { "upsert" };
    struct CMUnitTest tests[64] = {
        cmocka_unit_test(test_upsert__given_bad_options__when_declared__then_each_is_named),
    };
    size_t count = 0;
    glob_t found = { 0 };
    for (size_t i = 0; i < COUNT_OF(folders); i++) {
        char pattern[128];
        (void)snprintf(pattern, sizeof pattern, "tests/operators/%s/*.case", folders[i]);
        if (glob(pattern, i ? GLOB_APPEND : 0, NULL, &found) != 0) {
            print_error("%s: there are none; run me at the top of the project\n", pattern);
            return 1;
        }
    }
    while (tests[count].test_func)
        count++;
    for (size_t i = 0; i < found.gl_pathc && count < COUNT_OF(tests); i++)
        tests[count++] = (struct CMUnitTest){
            .name = found.gl_pathv[i], .test_func = run_file, .initial_state = found.gl_pathv[i]
        };
    const int failed = _cmocka_run_group_tests("tables", tests, count, NULL, NULL);
    globfree(&found);
    return failed;
}
