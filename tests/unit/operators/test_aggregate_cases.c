/* tests/unit/operators/test_aggregate_cases.c -- runs tests/operators/aggregates/<family>.case: each kind over
 * tumbling windows, to fields that carry its name. */
#include "tests/support/aggregate_fixture.h"
#include "tests/support/cases.h"
#include "tests/support/unit.h"
#include <glob.h>
#include <stdio.h>

static const double bounds[] = { 0, 10, 100 };

#define KIND(kind_, of_, as_, ...) \
    { \
        .kind = LEAT_AGGREGATE_##kind_, .of = (of_), .as = (as_), __VA_ARGS__ \
    }
static const struct leat_aggregate known[] = {
    LEAT_COUNT("n"),
    KIND(VAR_POP, "v", "var_pop"),
    KIND(VAR_SAMP, "v", "var_samp"),
    KIND(STDDEV_POP, "d", "stddev_pop"),
    KIND(STDDEV_SAMP, "d", "stddev_samp"),
    LEAT_FIRST("v", "first"),
    LEAT_LAST("v", "last"),
    LEAT_FIRST("s", "first_s"),
    LEAT_LAST("s", "last_s"),
    KIND(MIN_BY, "s", "min_by", .by = "v"),
    KIND(MAX_BY, "v", "max_by", .by = "s"),
    LEAT_COUNT_DISTINCT("v", "distinct"),
    LEAT_COUNT_DISTINCT("s", "distinct_s"),
    LEAT_COUNT_DISTINCT("d", "distinct_d"),
    KIND(APPROX_COUNT_DISTINCT, "s", "approx_s"),
    KIND(APPROX_QUANTILE, "v", "least", .q = 0),
    KIND(APPROX_QUANTILE, "v", "most", .q = 1),
    KIND(TOP_N, "v", "top", .n = 2),
    KIND(BOTTOM_N, "s", "bottom", .n = 2),
    KIND(COLLECT_LIST, "v", "list"),
    KIND(COLLECT_LIST, "s", "two", .n = 2),
    KIND(COLLECT_SET, "d", "set"),
    KIND(COLLECT_SET, "s", "set_s"),
    KIND(STRING_JOIN, "s", "joined"),
    KIND(STRING_JOIN, "s", "dashed", .separator = " - "),
    KIND(BIT_AND, "v", "bit_and"),
    KIND(BIT_OR, "v", "bit_or"),
    KIND(BIT_XOR, "v", "bit_xor"),
    KIND(BOOL_AND, "v > 0", "every"),
    KIND(BOOL_OR, "v > 0", "any"),
    KIND(HISTOGRAM, "v", "histogram", .bounds = bounds, .bounds_count = 3),
    LEAT_COUNT_WHERE("v > 0", "positive"),
    LEAT_SUM_WHERE("100 / v", "v <> 0", "shares"),
    LEAT_MAX_WHERE("s", "d is null", "odd_one"),
    KIND(COLLECT_LIST, "upper(s)", "loud", .where = "d > 0.5"),
    LEAT_TRACE_LINKS("s", "links"),
    KIND(TRACE_LINKS, "s", "two_links", .n = 2),
};

static const struct leat_type *field_type(const struct leat_type *type, const char *name)
{
    for (uint32_t i = 0; i < type->fields_count; i++)
        if (strcmp(type->fields[i].name, name) == 0)
            return type->fields[i].type;
    return NULL;
}

static leat_stream *declare_case(const struct case_setup *setup)
{
    struct leat_aggregate_opts opts = { .out = case_type(setup, "result") };
    uint32_t count = 0;
    for (uint32_t i = 0; i < COUNT_OF(known); i++)
        if (field_type(opts.out, known[i].as))
            opts.aggs[count++] = known[i];
    const struct leat_window_opts window = {
        .kind = LEAT_WINDOW_TUMBLING, .size_us = 10, .allowed_lateness_us = 5
    };
    leat_windowed_stream *windows =
        leat_window(leat_group_by(setup->inputs[0], "keyed", "k"), "windows", &window);
    (void)leat_late_records(windows);
    return leat_on_error(leat_aggregate(windows, "totals", &opts), LEAT_SKIP);
}

static void run_file(void **path)
{
    static const struct case_operator operators[] = { { "aggregates", declare_case } };
    case_run_file(*path, operators, COUNT_OF(operators));
}

int main(void)
{
    struct CMUnitTest tests[64];
    size_t count = 0;
    glob_t found = { 0 };
    if (glob("tests/operators/aggregates/*.case", 0, NULL, &found) != 0) {
        print_error("no cases; run me at the top of the project\n");
        return 1;
    }
    for (; count < found.gl_pathc && count < COUNT_OF(tests); count++)
        tests[count] = (struct CMUnitTest){
            .name = found.gl_pathv[count], .test_func = run_file, .initial_state = found.gl_pathv[count]
        };
    const int failed = _cmocka_run_group_tests("aggregates", tests, count, NULL, NULL);
    globfree(&found);
    return failed;
}
