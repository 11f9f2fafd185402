/* tests/unit/runtime/test_keyed_alike.c -- streams that are keyed alike: several as one, and joins behind each other, in
 * plans (one exchange a source) and as whole jobs. */
#include "tests/support/op_records.h"
#include "tests/support/unit.h"
#include "topology/plan.h"
#include <leat/leat.h>
#include <stdio.h>
#include <string.h>

#define RECORDS 300

static void make(struct leat_ctx *ctx, uint64_t seed, uint64_t index, struct op_event *out)
{
    (void)ctx;
    out->id = (int64_t)index;
    out->ts = (int64_t)index * 10;
    out->value = (int64_t)((index * 7 + seed) % 13);
}
LEAT_DEFINE_GENERATOR(make, op_event);

static leat_stream *source(leat_topology *t, const char *name, uint64_t seed, uint64_t count)
{
    return leat_generator_source(t, name,
        &(struct leat_generator_source_opts){
            .fn = &make_generator, .seed = seed, .count = count, .splits = 2, .event_time = "ts" });
}

/* ---- what comes of a job ---- */

struct total {
    int64_t value;
    bool has_spent;
    int64_t spent, clicks, large;
};
static const struct leat_type long_type = { .kind = LEAT_KIND_LONG, .name = "long", .size = 8, .align = 8 };
static const struct leat_field total_fields[] = {
    { "value", &long_type, offsetof(struct total, value), LEAT_NOT_NULLABLE },
    { "spent", &long_type, offsetof(struct total, spent), offsetof(struct total, has_spent) },
    { "clicks", &long_type, offsetof(struct total, clicks), LEAT_NOT_NULLABLE },
    { "large", &long_type, offsetof(struct total, large), LEAT_NOT_NULLABLE },
};
static const struct leat_type total_type = {
    .kind = LEAT_KIND_RECORD,
    .name = "total",
    .size = sizeof(struct total),
    .align = 8,
    .fields_count = COUNT_OF(total_fields),
    .fields = total_fields,
    .schema = "{\"type\":\"record\",\"name\":\"total\",\"fields\":[{\"name\":\"value\",\"type\":\"long\"},"
              "{\"name\":\"spent\",\"type\":[\"null\",\"long\"]},{\"name\":\"clicks\",\"type\":\"long\"},"
              "{\"name\":\"large\",\"type\":\"long\"}]}",
    .fingerprint = UINT64_C(0xcd91feb6e6851021),
};

static struct total seen[1000];
static size_t seen_count;
static void note(struct leat_ctx *ctx, const struct total *in)
{
    (void)ctx;
    assert_true(seen_count < COUNT_OF(seen));
    seen[seen_count++] = *in;
}
LEAT_DEFINE_PEEK(note, total);

static void run(leat_topology *t, int expected, const char *told)
{
    for (uint32_t parallelism = 1; parallelism <= 3; parallelism++) {
        struct leat_error err = { 0 };
        seen_count = 0;
        const int code = leat_run(t,
            &(struct leat_job_opts){
                .parallelism = parallelism, .batch_rows = 16, .simulate = true, .seed = parallelism },
            &err);
        FAIL_UNLESS(code == expected, "%d: %s", code, err.message);
        FAIL_UNLESS(!told || strstr(err.message, told), "%s", err.message);
    }
}

static void sink(leat_stream *in)
{
    leat_memory_sink(in, "out", &(struct leat_memory_sink_opts){ 0 });
}

/* Of orders, RECORDS with seed 1, and clicks, RECORDS / 3 with seed 5, all in one window of time. */
static void check_totals(void)
{
    assert_int_equal(seen_count, 13);
    for (size_t i = 0; i < seen_count; i++) {
        struct total t = { .value = seen[i].value };
        for (int64_t k = 0; k < RECORDS; k++) {
            if ((k * 7 + 1) % 13 == t.value) {
                t.spent += k;
                t.has_spent = true;
                t.large += k >= 200;
            }
            t.clicks += k < RECORDS / 3 && (k * 7 + 5) % 13 == t.value;
        }
        assert_int_equal(seen[i].has_spent, t.has_spent);
        assert_int_equal(seen[i].spent, t.spent);
        assert_int_equal(seen[i].clicks, t.clicks);
        assert_int_equal(seen[i].large, t.large);
    }
}

static leat_keyed_stream *orders_and_clicks(leat_topology *t)
{
    return leat_cogroup(t, "activity",
        &(struct leat_cogroup_opts){ .inputs = { { source(t, "orders", 1, RECORDS), "order", "value" },
                                         { source(t, "clicks", 5, RECORDS / 3), "click", "value" } } });
}

static void test_cogroup__given_two_streams__when_aggregated_by_window__then_each_counts_for_its_fields(
    void **state)
{
    leat_topology *t = leat_topology_new("cogroup");
    (void)state;
    leat_windowed_stream *windows = leat_window(orders_and_clicks(t), "all",
        &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = 100000 });
    leat_stream *totals = leat_aggregate(windows, "totals",
        &(struct leat_aggregate_opts){ .out = &total_type,
            .aggs = { LEAT_SUM("order.id", "spent"), LEAT_COUNT_OF("click.id", "clicks"),
                LEAT_COUNT_WHERE("order.id >= 200", "large") } });
    sink(leat_peek(totals, "note", &note_peek));
    FAIL_UNLESS(leat_topology_errors_count(t) == 0, "%s", leat_topology_error(t, 0)->message);
    for (uint32_t parallelism = 1; parallelism <= 3; parallelism++) {
        struct leat_error err = { 0 };
        seen_count = 0;
        FAIL_UNLESS(
            leat_run(t,
                &(struct leat_job_opts){ .parallelism = parallelism, .batch_rows = 16, .simulate = true },
                &err) == 0,
            "%s", err.message);
        check_totals();
    }
    leat_topology_free(t);
}

static void test_cogroup__given_mistakes__then_they_are_told(void **state)
{
    static const struct {
        const char *as, *key, *told;
    } rows[] = {
        { "order", "value", "\"order\" is the name of another input" },
        { "value", "value", "\"value\" is the name of a field of the key" },
        { NULL, "value", "inputs[1].as: missing" },
        { "click", NULL, "inputs[1].key: missing" },
        { "click", "text", "inputs[1].key" },
        { "click", "valu", "inputs[1].key" },
        { "click", "value, id", "inputs[1].key" },
        { "click", "valu % 4", "inputs[1].key: column 1: no field \"valu\"" },
        { "click", "value % 4 as rest", "the field that shows value % 4 has its name of the first input" },
        { "click", "text || '.'", "inputs[1].key" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        leat_topology *t = leat_topology_new("cogroup");
        (void)leat_cogroup(t, "activity",
            &(struct leat_cogroup_opts){ .inputs = { { source(t, "a", 1, 1), "order", "value" },
                                             { source(t, "b", 2, 1), rows[i].as, rows[i].key } } });
        assert_true(leat_topology_errors_count(t) > 0);
        const char *message = leat_topology_error(t, 0)->message;
        FAIL_UNLESS(strstr(message, rows[i].told) != NULL, "%s: %s", rows[i].told, message);
        leat_topology_free(t);
    }
}

static void test_cogroup__given_an_expression_without_a_name__then_it_says_how_to_name_it(void **state)
{
    leat_topology *t = leat_topology_new("cogroup");
    (void)state;
    (void)leat_cogroup(t, "activity",
        &(struct leat_cogroup_opts){ .inputs = { { source(t, "a", 1, 1), "order", "value%4" } } });
    assert_int_equal(leat_topology_errors_count(t), 1);
    assert_non_null(strstr(leat_topology_error(t, 0)->message,
        "value % 4 needs a name, for the field that shows it: write \"value % 4 as name\""));
    leat_topology_free(t);
}

/* ---- joins behind each other ---- */

static void keep(
    struct leat_ctx *ctx, const struct op_event *left, const struct op_event *right, struct op_event *out)
{
    (void)ctx;
    *out = *left;
    out->id = right->id;
}
LEAT_DEFINE_JOIN(keep, op_event, op_event, op_event);

static void lose(
    struct leat_ctx *ctx, const struct op_event *left, const struct op_event *right, struct op_event *out)
{
    (void)ctx;
    *out = *left;
    out->value = right->value + (right->id > 50);
}
LEAT_DEFINE_JOIN(lose, op_event, op_event, op_event);

/* Four streams by "value": an interval join, a filter, two window joins, an aggregate of a cogroup. */
static leat_stream *chain(leat_topology *t, const char *key_as, const struct leat_join_fn *merge)
{
    const struct leat_window_opts window = { .kind = LEAT_WINDOW_TUMBLING, .size_us = 200 };
    leat_stream *ab = leat_join(source(t, "a", 1, RECORDS), source(t, "b", 2, RECORDS), "ab",
        &(struct leat_join_opts){
            .left_key = "value", .within_us = 100, .merge = &keep_join, .key_as = key_as });
    leat_stream *some = leat_filter_expr(ab, "some", "id % 2 == 0");
    leat_stream *abc = leat_window_join(some, source(t, "c", 3, RECORDS), "abc",
        &(struct leat_window_join_opts){
            .left_key = "value", .window = window, .merge = merge, .key_as = key_as });
    return leat_window_join(abc, source(t, "d", 4, RECORDS), "abcd",
        &(struct leat_window_join_opts){ .left_key = "value",
            .window = window,
            .out = &op_event_type,
            .fields = { { "left.id", "id" }, { "left.key", "key" }, { "left.ts", "ts" },
                { "left.value", "value" }, { "left.text", "text" } } });
}

static uint32_t exchanges(leat_topology *t, struct leat_plan **plan)
{
    struct leat_error err = { 0 };
    uint32_t count = 0;
    FAIL_UNLESS(leat__plan_new(t, 4, 128, plan, &err) == 0, "%s", err.message);
    for (uint32_t e = 0; e < (*plan)->edges_count; e++)
        count += (*plan)->edges[e].exchange;
    return count;
}

static void test_joins__given_four_streams_by_one_key__then_each_source_is_exchanged_once(void **state)
{
    struct leat_plan *plan;
    struct leat_strbuf text = { 0 };
    leat_topology *t = leat_topology_new("chain");
    (void)state;
    leat_keyed_stream *all = leat_cogroup(t, "all",
        &(struct leat_cogroup_opts){ .inputs = { { chain(t, "value", &keep_join), "joined", "value" },
                                         { source(t, "e", 5, 9), "e", "value" } } });
    leat_windowed_stream *windows = leat_window(
        all, "windows", &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = 200 });
    sink(leat_aggregate(windows, "totals",
        &(struct leat_aggregate_opts){ .out = &total_type,
            .aggs = {
                LEAT_SUM("e.id", "spent"), LEAT_COUNT_OF("joined.id", "clicks"), LEAT_COUNT("large") } }));
    FAIL_UNLESS(leat_topology_errors_count(t) == 0, "%s", leat_topology_error(t, 0)->message);
    assert_int_equal(exchanges(t, &plan), 5); /* of a, b, c, d and e */
    leat__plan_describe(plan, LEAT_DESCRIBE_TEXT, &text);
    FAIL_UNLESS(strstr(text.data, "no exchange: already by value") != NULL, "%s", text.data);
    leat__strbuf_clear(&text);
    leat__plan_describe(plan, LEAT_DESCRIBE_DOT, &text);
    FAIL_UNLESS(strstr(text.data, "no exchange: already by value") != NULL, "%s", text.data);
    leat__strbuf_clear(&text);
    leat__plan_describe(plan, LEAT_DESCRIBE_JSON, &text);
    FAIL_UNLESS(strstr(text.data, "\"exchange_avoided\": true") != NULL, "%s", text.data);
    leat__strbuf_release(&text);
    leat__plan_free(plan);
    leat_topology_free(t);
}

static void test_joins__given_merges_that_say_nothing_of_the_key__then_their_results_are_exchanged(
    void **state)
{
    struct leat_plan *plan;
    leat_topology *t = leat_topology_new("chain");
    (void)state;
    sink(chain(t, NULL, &keep_join));
    assert_int_equal(exchanges(t, &plan), 6); /* and of two joins */
    leat__plan_free(plan);
    leat_topology_free(t);
}

static void test_joins__given_a_wrong_claim__when_a_result_shows_it__then_the_job_fails(void **state)
{
    leat_topology *t = leat_topology_new("chain");
    (void)state;
    sink(chain(t, "value", &keep_join));
    run(t, 0, NULL);
    leat_topology_free(t);
    t = leat_topology_new("chain");
    sink(chain(t, "value", &lose_join));
    run(t, LEAT_EINVAL, "key_as: value of a result is not the key");
    leat_topology_free(t);
}

/* ---- tables and as-of joins; keys by expressions ---- */

/* Four streams by `key`, which is written in several ways: a table join, an as-of join, a join of tables, the newest
 * of each key. */
static leat_stream *lookups(leat_topology *t, const char *const key[4], const char *key_as,
    const struct leat_join_fn *first, const struct leat_join_fn *second)
{
    leat_stream *ab = leat_table_join(source(t, "a", 1, RECORDS), source(t, "b", 2, RECORDS), "ab",
        &(struct leat_table_join_opts){ .left_key = key[0], .merge = first, .key_as = key_as });
    leat_stream *some = leat_filter_expr(ab, "some", "id % 2 == 0");
    leat_stream *abc = leat_asof_join(some, source(t, "c", 3, RECORDS), "abc",
        &(struct leat_asof_join_opts){
            .left_key = key[1], .tolerance_us = 100, .merge = second, .key_as = key_as });
    leat_stream *abcd = leat_join_tables(abc, source(t, "d", 4, 50), "abcd",
        &(struct leat_join_tables_opts){ .left_key = key[2], .merge = &keep_join, .key_as = key_as });
    return leat_deduplicate(leat_group_by(abcd, "by", key[3]), "newest",
        &(struct leat_deduplicate_opts){ .keep = LEAT_KEEP_LAST, .within_us = LEAT_NEVER });
}

static const char *const by_value[4] = { "value", "value", "value", "value" };
static const char *const by_rest[4] = { "value % 4", "value%4", "Mod( value, 4 )", "mod(value,4)" };
static const char *const by_one_rest[4] = { "value % 4", "value%4", " value  %  4", "value % 4 as rest" };

static void expect_exchanges(const char *const key[4], const char *key_as, uint32_t want, const char *says)
{
    struct leat_plan *plan;
    struct leat_strbuf text = { 0 };
    leat_topology *t = leat_topology_new("lookups");
    sink(lookups(t, key, key_as, &keep_join, &keep_join));
    FAIL_UNLESS(leat_topology_errors_count(t) == 0, "%s", leat_topology_error(t, 0)->message);
    const uint32_t got = exchanges(t, &plan);
    leat__plan_describe(plan, LEAT_DESCRIBE_TEXT, &text);
    FAIL_UNLESS(got == want, "%u exchanges, not %u: %s", got, want, text.data);
    FAIL_UNLESS(!says || strstr(text.data, says) != NULL, "%s", text.data);
    leat__strbuf_release(&text);
    leat__plan_free(plan);
    run(t, 0, NULL);
    leat_topology_free(t);
}

static void test_lookups__given_four_streams_by_one_key__then_key_as_saves_the_exchanges_of_results(
    void **state)
{
    (void)state;
    expect_exchanges(by_value, NULL, 4 + 3, NULL);
    expect_exchanges(by_value, "value", 4, "no exchange: already by value");
}

static void test_lookups__given_a_key_by_an_expression__then_one_that_is_written_another_way_is_the_same(
    void **state)
{
    (void)state;
    expect_exchanges(by_one_rest, NULL, 4 + 3, NULL);
    expect_exchanges(by_one_rest, "value%4", 4, "no exchange: already by value % 4");
    /* mod(a, b) is % in other words: that is not seen, and not needed to be right */
    expect_exchanges(by_rest, "value % 4", 4 + 2, NULL);
}

static void test_lookups__given_a_wrong_claim__when_a_result_shows_it__then_the_job_fails(void **state)
{
    (void)state;
    for (uint32_t which = 0; which < 2; which++) {
        leat_topology *t = leat_topology_new("lookups");
        sink(lookups(t, by_value, "value", which ? &keep_join : &lose_join, which ? &lose_join : &keep_join));
        run(t, LEAT_EINVAL, "key_as: value of a result is not the key");
        leat_topology_free(t);
    }
}

static void test_lookups__given_a_table_on_every_worker__then_its_results_have_no_place_to_claim(void **state)
{
    leat_topology *t = leat_topology_new("lookups");
    (void)state;
    (void)leat_table_join(source(t, "a", 1, 1), source(t, "b", 2, 1), "ab",
        &(struct leat_table_join_opts){
            .left_key = "value", .merge = &keep_join, .key_as = "value", .broadcast = true });
    assert_int_equal(leat_topology_errors_count(t), 1);
    assert_non_null(strstr(leat_topology_error(t, 0)->message, "key_as: results of this join are not"));
    leat_topology_free(t);
}

static void test_aggregates__given_a_named_expression__when_grouped_by_its_name__then_there_is_no_exchange(
    void **state)
{
    static const char *const firsts[] = { "value % 4 as value", "value % 4" };
    (void)state;
    for (uint32_t named = 0; named < 2; named++) {
        struct leat_plan *plan;
        leat_topology *t = leat_topology_new("aggregates");
        leat_stream *counts = leat_group_aggregate(
            leat_group_by(source(t, "a", 1, RECORDS), "by", firsts[named]), "counts",
            &(struct leat_group_aggregate_opts){ .out = &total_type,
                .aggs = { LEAT_COUNT("clicks"), LEAT_COUNT("large"),
                    named ? (struct leat_aggregate)LEAT_COUNT("value") : (struct leat_aggregate){ 0 } } });
        sink(leat_group_aggregate(leat_group_by(counts, "again", "value"), "sums",
            &(struct leat_group_aggregate_opts){ .out = &total_type,
                .aggs = { LEAT_SUM("clicks", "spent"), LEAT_COUNT("clicks"), LEAT_COUNT("large") } }));
        FAIL_UNLESS(leat_topology_errors_count(t) == 0, "%s", leat_topology_error(t, 0)->message);
        assert_int_equal(exchanges(t, &plan), 1 + named);
        leat__plan_free(plan);
        leat_topology_free(t);
    }
}

static void test_plans__given_a_key_with_texts_in_quotes__when_described__then_all_formats_show_it(
    void **state)
{
    static const char *const wanted[] = {
        [LEAT_DESCRIBE_TEXT] = "HASH(replace(\"text\", '\"', '->'))",
        [LEAT_DESCRIBE_DOT] = "replace(&quot;text&quot;, '&quot;', '-&gt;')",
        [LEAT_DESCRIBE_JSON] = "\"key\": \"replace(\\\"text\\\", '\\\"', '->')\"",
    };
    (void)state;
    leat_topology *t = leat_topology_new("described");
    leat_keyed_stream *by =
        leat_group_by(source(t, "a", 1, RECORDS), "by", "Replace( \"text\" , '\"','->') AS arrow");
    sink(leat_deduplicate(by, "newest", &(struct leat_deduplicate_opts){ .within_us = LEAT_NEVER }));
    struct leat_plan *plan;
    assert_int_equal(exchanges(t, &plan), 1);
    for (enum leat_describe_format format = LEAT_DESCRIBE_TEXT; format <= LEAT_DESCRIBE_JSON; format++) {
        struct leat_strbuf text = { 0 };
        leat__plan_describe(plan, format, &text);
        FAIL_UNLESS(strstr(text.data, wanted[format]) != NULL, "%s is not in %s", wanted[format], text.data);
        if (format == LEAT_DESCRIBE_TEXT)
            FAIL_UNLESS(strstr(text.data, " as arrow") != NULL, "%s", text.data);
        leat__strbuf_release(&text);
    }
    leat__plan_free(plan);
    leat_topology_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_cogroup__given_two_streams__when_aggregated_by_window__then_each_counts_for_its_fields),
        cmocka_unit_test(test_cogroup__given_mistakes__then_they_are_told),
        cmocka_unit_test(test_cogroup__given_an_expression_without_a_name__then_it_says_how_to_name_it),
        cmocka_unit_test(test_joins__given_four_streams_by_one_key__then_each_source_is_exchanged_once),
        cmocka_unit_test(
            test_joins__given_merges_that_say_nothing_of_the_key__then_their_results_are_exchanged),
        cmocka_unit_test(test_joins__given_a_wrong_claim__when_a_result_shows_it__then_the_job_fails),
        cmocka_unit_test(
            test_lookups__given_four_streams_by_one_key__then_key_as_saves_the_exchanges_of_results),
        cmocka_unit_test(
            test_lookups__given_a_key_by_an_expression__then_one_that_is_written_another_way_is_the_same),
        cmocka_unit_test(test_lookups__given_a_wrong_claim__when_a_result_shows_it__then_the_job_fails),
        cmocka_unit_test(
            test_lookups__given_a_table_on_every_worker__then_its_results_have_no_place_to_claim),
        cmocka_unit_test(
            test_plans__given_a_key_with_texts_in_quotes__when_described__then_all_formats_show_it),
        cmocka_unit_test(
            test_aggregates__given_a_named_expression__when_grouped_by_its_name__then_there_is_no_exchange),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
