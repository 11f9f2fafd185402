/* tests/unit/topology/test_describe.c -- plans as text, DOT and JSON, against golden files. */
#include "tests/support/fake_nodes.h"
#include "tests/support/golden.h"
#include "tests/support/unit.h"
#include "topology/plan.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Sources with and without event time, a join of two, a window, side outputs, dead letters, one single sink.
 */
static leat_topology *shop(void)
{
    leat_topology *t = leat_topology_new("shop");
    leat_stream *orders = fake_source(t, "orders",
        &(struct fake_opts){ .event_time = "ordered_at",
            .max_out_of_orderness_us = LEAT_SECONDS(10),
            .idle_timeout_us = LEAT_SECONDS(90),
            .max_ahead_us = LEAT_HOURS(1),
            .on_error = LEAT_SKIP,
            .detail = "orders.avro" });
    leat_stream *returns = fake_source(t, "returns", &(struct fake_opts){ .event_time = "total" });
    leat_stream *lookup = fake_source(t, "lookup", NULL);
    leat_stream *kept = fake_op(orders, "pending-or-large",
        &(struct fake_opts){
            .detail = "status == 'PENDING' or total >= 1000 and note <> \"x\" & not (note is null)",
            .side = "rejected" });
    leat_stream *pair[] = { kept, returns };
    leat_stream *joined = fake_op_n(pair, 2, "with-returns", &(struct fake_opts){ .key = "order_id" });
    struct leat_node *group = fake_virtual(joined, "by-status", "group by", NULL);
    group->detail = "status";
    struct leat_node *window = fake_virtual(joined, "w5m", "window", group);
    window->detail = "tumbling 5m, lateness 1m";
    leat_stream *totals = fake_op(joined, "totals",
        &(struct fake_opts){ .key = "status",
            .via = window,
            .changes_rows = true,
            .partitioned_by = "status",
            .detail = "sum(total) as total",
            .type = &fake_total_type });
    leat_stream *again = fake_op(totals, "again", &(struct fake_opts){ .key = "status" });
    leat_stream *all[] = { again, totals };
    leat_stream *merged = fake_op_n(all, 2, "merged", NULL);
    fake_sink(merged, "out", &(struct fake_opts){ .single = true, .detail = "totals.csv" });
    fake_sink(leat_dead_letters(totals), "dead", NULL);
    fake_sink(lookup, "echo", NULL);
    return t;
}

static char *describe(leat_topology *t, enum leat_describe_format format, uint32_t parallelism)
{
    char *text = NULL;
    assert_int_equal(leat_describe(t, format, parallelism, &text), 0);
    assert_non_null(text);
    return text;
}

static void check_golden(enum leat_describe_format format, uint32_t parallelism, const char *name)
{
    leat_topology *t = shop();
    char *text = describe(t, format, parallelism);
    golden_check(name, text);
    leat_free(text);
    leat_topology_free(t);
}

static void test_describe__given_a_plan__when_printed_as_text__then_it_is_the_golden_one(void **state)
{
    (void)state;
    check_golden(LEAT_DESCRIBE_TEXT, 4, "describe.txt");
    check_golden(LEAT_DESCRIBE_TEXT, 1, "describe_one_worker.txt");
}

static void test_describe__given_a_plan__when_printed_as_dot__then_it_is_the_golden_one(void **state)
{
    (void)state;
    check_golden(LEAT_DESCRIBE_DOT, 4, "describe.dot.txt");
}

static void test_describe__given_a_plan__when_printed_as_json__then_it_is_the_golden_one_and_valid(
    void **state)
{
    leat_topology *t = shop();
    json_error_t error;
    (void)state;
    char *text = describe(t, LEAT_DESCRIBE_JSON, 4);
    golden_check("describe.json.txt", text);
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    FAIL_UNLESS(json != NULL, "line %d: %s", error.line, error.text);
    assert_int_equal(json_integer_value(json_object_get(json, "parallelism")), 4);
    assert_int_equal(json_array_size(json_object_get(json, "nodes")), t->nodes_count);
    json_decref(json);
    leat_free(text);
    leat_topology_free(t);
}

static void test_describe__given_a_plan_as_dot__when_given_to_graphviz__then_it_is_valid(void **state)
{
    leat_topology *t = shop();
    (void)state;
    if (system("command -v dot >/dev/null 2>&1") != 0) {
        leat_topology_free(t);
        SKIP_BECAUSE("graphviz is not installed");
    }
    char *text = describe(t, LEAT_DESCRIBE_DOT, 4);
    FILE *dot = popen("dot -Tsvg >/dev/null", "w");
    assert_non_null(dot);
    assert_true(fputs(text, dot) >= 0);
    assert_int_equal(pclose(dot), 0);
    leat_free(text);
    leat_topology_free(t);
}

static void test_describe__given_no_parallelism__when_described__then_it_is_what_the_job_would_take(
    void **state)
{
    leat_topology *t = shop();
    (void)state;
    assert_int_equal(setenv("LEAT_PARALLELISM", "3", 1), 0);
    char *text = describe(t, LEAT_DESCRIBE_TEXT, 0);
    assert_non_null(strstr(text, "Plan for 3 workers:"));
    leat_free(text);
    assert_int_equal(setenv("LEAT_PARALLELISM", "200", 1), 0); /* more than there are key groups by default */
    text = describe(t, LEAT_DESCRIBE_TEXT, 0);
    assert_non_null(strstr(text, "Plan for 128 workers:"));
    leat_free(text);
    assert_int_equal(setenv("LEAT_PARALLELISM", "many", 1), 0);
    text = describe(t, LEAT_DESCRIBE_TEXT, 0);
    assert_non_null(strstr(text, "Plan for "));
    leat_free(text);
    assert_int_equal(unsetenv("LEAT_PARALLELISM"), 0);
    leat_topology_free(t);
}

static void test_describe__given_errors_or_a_bad_format__when_described__then_there_is_no_text(void **state)
{
    leat_topology *t = shop();
    char *text = (char *)1;
    (void)state;
    assert_int_equal(leat_describe(t, (enum leat_describe_format)0, 1, &text), LEAT_EINVAL);
    assert_null(text);
    assert_int_equal(leat_describe(t, LEAT_DESCRIBE_TEXT, 257, &text), LEAT_EINVAL);
    fake_source(t, "shop!", NULL);
    assert_int_equal(leat_describe(t, LEAT_DESCRIBE_TEXT, 1, &text), LEAT_EDECLARE);
    assert_null(text);
    leat_topology_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_describe__given_a_plan__when_printed_as_text__then_it_is_the_golden_one),
        cmocka_unit_test(test_describe__given_a_plan__when_printed_as_dot__then_it_is_the_golden_one),
        cmocka_unit_test(
            test_describe__given_a_plan__when_printed_as_json__then_it_is_the_golden_one_and_valid),
        cmocka_unit_test(test_describe__given_a_plan_as_dot__when_given_to_graphviz__then_it_is_valid),
        cmocka_unit_test(
            test_describe__given_no_parallelism__when_described__then_it_is_what_the_job_would_take),
        cmocka_unit_test(test_describe__given_errors_or_a_bad_format__when_described__then_there_is_no_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
