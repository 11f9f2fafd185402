/* tests/integration/test_semantics_joins.c -- rules 28, 29, 32 and 35 of the semantics: which pairs an
 * interval join makes, at the boundaries of its interval and of lateness; that arrival decides nothing; that
 * the watermark bounds its state.
 *
 * In scripts a left row with value 1 and a right row with value 2 of key 7 give "7 1+2@time", time the later
 * one. */
#include "tests/support/fact_jobs.h"
#include "tests/support/lines.h"
#include "tests/support/unit.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Disorder that makes no row late. */
#define ANY_ORDER .out_of_orderness_us = INT64_C(1000000)

static void test_interval__given_bounds__then_both_ends_are_inside_and_their_neighbours_are_not(void **state)
{
    (void)state;
    static const struct fact_join_opts within_10 = { ANY_ORDER, .within_us = 10 };
    static const struct fact_join_opts from_10_to_20 = { ANY_ORDER, .before_us = 10, .after_us = 20 };
    static const struct fact_join_opts only_after = { ANY_ORDER, .before_us = -5, .after_us = 20 };
    static const struct fact_join_opts only_before = { ANY_ORDER, .before_us = 20, .after_us = -5 };
    static const struct fact_join_opts one_instant_after = { ANY_ORDER, .before_us = -7, .after_us = 7 };
    static const struct fact_join_opts one_instant_before = { ANY_ORDER, .before_us = 7, .after_us = -7 };
    static const struct fact_join_opts any_time = { ANY_ORDER, .within_us = INT64_MAX };
    const struct scenario scenarios[] = {
        { "within 10", &within_10,
            "L7:1@100; R7:2@89; R7:3@90 > 7 1+3@100; R7:4@100 > 7 1+4@100; R7:5@110 > 7 1+5@110; R7:6@111; "
            "end" },
        { "within 10, the right side first", &within_10,
            "R7:2@100; L7:1@89; L7:3@90 > 7 3+2@100; L7:4@100 > 7 4+2@100; L7:5@110 > 7 5+2@110; L7:6@111; "
            "end" },
        { "10 before, 20 after", &from_10_to_20,
            "L7:1@100; R7:2@89; R7:3@90 > 7 1+3@100; R7:4@120 > 7 1+4@120; R7:5@121; end" },
        { "10 before, 20 after, the right side first", &from_10_to_20,
            "R7:2@100; L7:1@79; L7:3@80 > 7 3+2@100; L7:4@110 > 7 4+2@110; L7:5@111; end" },
        { "5 to 20 after", &only_after,
            "L7:1@100; R7:2@104; R7:3@105 > 7 1+3@105; R7:4@120 > 7 1+4@120; R7:5@121; R7:6@100; end" },
        { "5 to 20 after, the right side first", &only_after,
            "R7:2@100; L7:1@96; L7:3@95 > 7 3+2@100; L7:4@80 > 7 4+2@100; L7:5@79; L7:6@100; end" },
        { "5 to 20 before", &only_before,
            "L7:1@100; R7:2@79; R7:3@80 > 7 1+3@100; R7:4@95 > 7 1+4@100; R7:5@96; R7:6@100; end" },
        { "7 after exactly", &one_instant_after,
            "L7:1@100; R7:2@106; R7:3@107 > 7 1+3@107; R7:4@108; R7:5@93; end" },
        { "7 before exactly", &one_instant_before,
            "L7:1@100; R7:2@94; R7:3@93 > 7 1+3@100; R7:4@92; R7:5@107; end" },
        { "any time", &any_time, "L7:1@-900000; R7:2@900000 > 7 1+2@900000; end" },
        { "negative times", &from_10_to_20,
            "L7:1@-5; R7:2@-16; R7:3@-15 > 7 1+3@-5; R7:4@15 > 7 1+4@15; R7:5@16; end" },
    };
    scenario_run(&fact_join_rig, scenarios, COUNT_OF(scenarios));
}

static void test_pairs__given_many_partners__then_each_pair_comes_once(void **state)
{
    (void)state;
    static const struct fact_join_opts within_10 = { ANY_ORDER, .within_us = 10 };
    static const struct fact_join_opts where = { ANY_ORDER, .within_us = 10,
        .where = "left.value < right.value" };
    const struct scenario scenarios[] = {
        { "other keys", &within_10, "L7:1@100; R8:2@100; R7:3@100 > 7 1+3@100; L8:4@100 > 8 4+2@100; end" },
        { "equal key and time", &within_10,
            "L7:1@100; L7:2@100; L7:3@100; R7:4@100 > 7 1+4@100, 7 2+4@100, 7 3+4@100; R7:5@100 > 7 1+5@100, "
            "7 2+5@100, 7 "
            "3+5@100; end" },
        { "equal rows are several", &within_10,
            "L7:1@100; L7:1@100; R7:2@100 > 7 1+2@100, 7 1+2@100; R7:2@100 > 7 1+2@100, 7 1+2@100; end" },
        { "some of many", &within_10,
            "L7:1@80; L7:2@90; L7:3@100; L7:4@110; L7:5@120; R7:6@100 > 7 2+6@100, 7 3+6@100, 7 4+6@110; "
            "end" },
        { "null values are values", &within_10, "L7:-@100; R7:-@100 > 7 -+-@100; end" },
        { "a further condition", &where,
            "L7:5@100; R7:5@100; R7:6@100 > 7 5+6@100; L7:4@90 > 7 4+5@100, 7 4+6@100; end" },
        { "a further condition that is null holds no pair", &where,
            "L7:-@100; R7:6@100; L7:5@100 > 7 5+6@100; R7:-@100; end" },
        { "the later time is the pair's", &within_10,
            "L7:1@95; R7:2@100 > 7 1+2@100; L7:3@105 > 7 3+2@105; end" },
    };
    scenario_run(&fact_join_rig, scenarios, COUNT_OF(scenarios));
}

static void test_null_keys__given_both_sides__then_they_match_nothing_and_are_counted(void **state)
{
    (void)state;
    static const struct fact_join_opts within_10 = { ANY_ORDER, .within_us = 10 };
    const struct scenario scenarios[] = {
        { "null is not null", &within_10, "L-:1@100; R-:2@100 > dropped=2, late=0; end > dropped=2" },
        { "null is not zero", &within_10,
            "L0:1@100; R-:2@100 > dropped=1; R0:3@100 > 0 1+3@100; L-:4@100 > dropped=2; end > dropped=2" },
    };
    scenario_run(&fact_join_rig, scenarios, COUNT_OF(scenarios));
}

static void test_lateness__given_a_row__then_its_own_side_decides_whether_it_is_late(void **state)
{
    (void)state;
    static const struct fact_join_opts within_10 = { .within_us = 10 };
    static const struct fact_join_opts late_20 = { .within_us = 10, .allowed_lateness_us = 20 };
    static const struct fact_join_opts late_ever = { .within_us = 10, .allowed_lateness_us = INT64_MAX };
    const struct scenario scenarios[] = {
        { "at the watermark and above", &within_10,
            "R7:2@50; L7:1@50 > 7 1+2@50; L7:9@60 > 7 9+2@60, w=49; L7:3@59 > lateL 7:3@59, late=1; L7:4@60 "
            "> 7 4+2@60, late=1; "
            "end > late=1" },
        { "the other side's watermark makes nothing late", &within_10,
            "R7:1@1000; L7:2@995 > 7 2+1@1000; R7:3@2000; L7:4@1000 > 7 4+1@1000; L7:5@1005 > 7 5+1@1005; "
            "end > late=0" },
        { "the right side", &within_10,
            "L7:1@50; R7:2@50 > 7 1+2@50; R7:3@60 > 7 1+3@60; R7:4@59 > lateR 7:4@59, late=1; end" },
        { "lateness of 20 at its end", &late_20,
            "R7:2@100; L7:1@120 > w=99; L7:3@100 > 7 3+2@100; L7:4@99 > lateL 7:4@99, late=1; end > late=1" },
        { "lateness of 20 on the right", &late_20,
            "L7:1@100; R7:2@120; R7:3@100 > 7 1+3@100; R7:4@99 > lateR 7:4@99, late=1; end" },
        { "lifted to the last instant", &late_20,
            "R7:2@100; wmL=119; L7:1@100 > 7 1+2@100; wmL=120; L7:3@100 > lateL 7:3@100; wmR=119; R7:4@100 > "
            "7 1+4@100; wmR=120; "
            "R7:5@100 > lateR 7:5@100, late=2" },
        { "for ever", &late_ever,
            "R7:2@100; L7:1@9000000000000; R7:3@9000000000000 > 7 1+3@9000000000000; L7:4@100 > 7 4+2@100; "
            "R7:5@90 > 7 4+5@100; "
            "end > late=0" },
        { "each key alike", &within_10, "L7:1@100; L8:2@99 > lateL 8:2@99; R8:3@99; end > late=1" },
        { "both sides, same time", &within_10,
            "L7:1@100; R7:2@100 > 7 1+2@100; L7:3@99 > lateL 7:3@99; R7:4@99 > lateR 7:4@99, late=2; end" },
    };
    scenario_run(&fact_join_rig, scenarios, COUNT_OF(scenarios));
}

static void test_state__given_a_row__then_it_is_kept_until_no_partner_can_come(void **state)
{
    (void)state;
    static const struct fact_join_opts asymmetric = { .before_us = 10, .after_us = 50 };
    static const struct fact_join_opts asymmetric_20 = {
        .before_us = 10, .after_us = 50, .allowed_lateness_us = 20
    };
    static const struct fact_join_opts in_the_past = { .before_us = 50, .after_us = -10 };
    const struct scenario scenarios[] = {
        { "left row, last partner", &asymmetric,
            "L7:1@100; wmL=5000; wmR=149; R7:2@150 > 7 1+2@150; end > late=0" },
        { "right row, last partner", &asymmetric,
            "R7:1@100; wmR=5000; wmL=109; L7:2@110 > 7 2+1@110; end > late=0" },
        { "left row, last late partner", &asymmetric_20,
            "L7:1@100; wmL=5000; wmR=169; R7:2@150 > 7 1+2@150; R7:3@149 > lateR 7:3@149; wmR=170; R7:4@150 "
            "> lateR 7:4@150; end" },
        { "right row, last late partner", &asymmetric_20,
            "R7:1@100; wmR=5000; wmL=129; L7:2@110 > 7 2+1@110; wmL=130; L7:3@110 > lateL 7:3@110; end" },
        { "one side has ended", &asymmetric,
            "L7:1@100; endL; R7:2@90 > 7 1+2@100; R7:3@150 > 7 1+3@150; R7:4@151; end > w=max" },
        { "the other side has ended", &asymmetric,
            "R7:1@100; endR; L7:2@50 > 7 2+1@100; L7:3@110 > 7 3+1@110; L7:4@111; end" },
        { "partners of the past, left row", &in_the_past,
            "wmR=89; L7:1@100; R7:2@90 > 7 1+2@100; wmL=5000; R7:3@90 > 7 1+3@100; wmR=90; R7:4@90 > lateR "
            "7:4@90; end" },
        { "partners of the past, right row", &in_the_past,
            "R7:1@50; wmR=5000; wmL=99; L7:2@100 > 7 2+1@100; wmL=100; L7:3@101; end" },
    };
    scenario_run(&fact_join_rig, scenarios, COUNT_OF(scenarios));
}

static void test_watermark__given_two_inputs__then_the_join_gives_the_lesser(void **state)
{
    (void)state;
    static const struct fact_join_opts within_10 = { .within_us = 10 };
    static const struct fact_join_opts idle = { .within_us = 10, .idle_timeout_us = 30000000 };
    const struct scenario scenarios[] = {
        { "both must have spoken", &within_10,
            "L7@100 > w=min; R8@50 > w=49; R8@200 > w=99; endL > w=199; end > w=max" },
        { "an idle side holds nothing back, and is late behind what has come out", &idle,
            "L7:1@100; R7:2@50 > w=49; adv=29999999; L7:3@200 > w=49; adv=1 > w=199; R7:4@199 > lateR "
            "7:4@199, w=199; "
            "R7:5@200 > 7 3+5@200, w=199; L7:6@300 > w=199; R7:7@202 > 7 3+7@202, w=201; end > late=1" },
    };
    scenario_run(&fact_join_rig, scenarios, COUNT_OF(scenarios));
}

static void test_splits__given_rows_behind_their_own_split__then_only_those_are_late(void **state)
{
    (void)state;
    static const struct fact_join_opts within_10 = { .within_us = 10 };
    const struct scenario scenarios[] = {
        { "far ahead of the other split", &within_10,
            "L7:1@1000/0; L7:2@10/1; R7:3@10/0 > 7 2+3@10; R7:4@1000/1 > 7 1+4@1000; L7:5@11/1 > 7 5+3@11; "
            "L7:6@10/1 > lateL "
            "7:6@10; R7:7@999/1 > lateR 7:7@999; R7:8@999/0 > 7 1+8@1000; end > late=2",
            .splits = 2 },
    };
    scenario_run(&fact_join_rig, scenarios, COUNT_OF(scenarios));
}

/* Arrival. */

enum { PERMUTED_MAX = 8 };

struct arrival {
    const char *name;
    struct fact_join_opts opts;
    const char *rows[PERMUTED_MAX]; /* script actions */
    const char *pairs;
    bool keep_sides; /* only the interleaving of the sides varies */
};

static size_t rows_count(const struct arrival *a)
{
    size_t count = 0;
    while (count < PERMUTED_MAX && a->rows[count])
        count++;
    return count;
}

/* Runs one order; what came must be the arrival's pairs. Parallelism and batches follow the order's number.
 */
static void check_order(const struct arrival *a, const size_t *order, size_t count, size_t number)
{
    char script[512] = "", what[640];
    struct lines expected = { 0 }, got = { 0 };
    const struct scenario_io io = { .rows = { (const struct fact *)"", (const struct fact *)"" } };
    leat_topology *t = fact_join_job(&a->opts, &io);
    const struct scenario_shape *shape = &scenario_shapes[number % SCENARIO_SHAPES];
    leat_test *test = leat_test_new(
        t, &(struct leat_test_opts){ .parallelism = shape->parallelism, .batch_rows = shape->batch_rows });
    for (size_t i = 0; i < count; i++) {
        const char *row = a->rows[order[i]];
        snprintf(script + strlen(script), sizeof script - strlen(script), "%s; ", row);
        struct fact fact = { .has_key = true, .has_value = true, .has_at = true };
        assert_int_equal(
            sscanf(row + 1, "%" SCNi64 ":%" SCNi64 "@%" SCNi64, &fact.key, &fact.value, &fact.at), 3);
        leat_test_pipe(test, row[0] == 'L' ? "left" : "right", &fact);
    }
    leat_test_end(test, NULL);
    snprintf(what, sizeof what, "%s: %s", a->name, script);
    FAIL_UNLESS(leat_test_error(test)->code == 0, "%s: %s", what, leat_test_error(test)->message);
    for (int i = 0; i < SCENARIO_SINKS_MAX; i++) {
        const struct scenario_sink *sink = &fact_join_rig.sinks[i];
        const void *record;
        while ((record = leat_test_read(test, sink->name))) {
            char text[128];
            sink->print(record, leat_test_event_us(test, sink->name), text, sizeof text);
            lines_add(&got, "%s%s", sink->word ? sink->word : "", text);
        }
    }
    for (const char *at = a->pairs; *at != '\0'; at += strspn(at, ", ")) {
        const size_t len = strcspn(at, ",");
        lines_add(&expected, "%.*s", (int)len, at);
        at += len;
    }
    lines_expect(what, &expected, &got);
    lines_clear(&expected);
    lines_clear(&got);
    leat_test_free(test);
    leat_topology_free(t);
}

/* Whether the order keeps each side as it is listed. */
static bool keeps_sides(const struct arrival *a, const size_t *order, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = i + 1; j < count; j++)
            if (a->rows[order[i]][0] == a->rows[order[j]][0] && order[i] > order[j])
                return false;
    return true;
}

/* The next permutation in lexical order. */
static bool next_order(size_t *order, size_t count)
{
    size_t i = count - 1;
    while (i > 0 && order[i - 1] >= order[i])
        i--;
    if (i == 0)
        return false;
    size_t j = count - 1;
    while (order[j] <= order[i - 1])
        j--;
    const size_t pivot = order[i - 1];
    order[i - 1] = order[j];
    order[j] = pivot;
    for (size_t a = i, b = count - 1; a < b; a++, b--) {
        const size_t swapped = order[a];
        order[a] = order[b];
        order[b] = swapped;
    }
    return true;
}

static void test_arrival__given_any_order_of_the_rows__then_the_pairs_are_the_same(void **state)
{
    (void)state;
    static const struct arrival arrivals[] = {
        { "any order at all", { ANY_ORDER, .before_us = 10, .after_us = 20 },
            { "L7:1@100", "L7:2@100", "L8:3@130", "R7:4@90", "R7:5@121", "R8:6@130" },
            "7 1+4@100, 7 2+4@100, 8 3+6@130", false },
        { "bounds in the past", { ANY_ORDER, .before_us = 20, .after_us = -10 },
            { "L7:1@100", "L7:2@110", "L7:3@90", "R7:4@80", "R7:5@90", "R7:6@91" },
            "7 1+4@100, 7 1+5@100, 7 2+5@110, 7 2+6@110, 7 3+4@90", false },
        { "late rows: the sides as they are, in any interleaving",
            { .within_us = 10, .allowed_lateness_us = 5 },
            { "L7:1@100", "L7:2@120", "L7:3@115", "L7:4@114", "R7:5@110", "R7:6@125", "R7:7@120",
                "R7:8@119" },
            "7 1+5@110, 7 2+5@120, 7 3+5@115, 7 2+6@125, 7 3+6@125, 7 2+7@120, 7 3+7@120, lateL 7:4@114, "
            "lateR 7:8@119",
            true },
        { "one side far ahead", { .before_us = 10, .after_us = 50 },
            { "L7:1@100", "L7:2@1000", "L7:3@2000", "R7:4@150", "R7:5@990", "R7:6@1051", "R7:7@2050" },
            "7 1+4@150, 7 2+5@1000, 7 3+7@2050", true },
    };
    for (size_t a = 0; a < COUNT_OF(arrivals); a++) {
        const size_t count = rows_count(&arrivals[a]);
        size_t order[PERMUTED_MAX], number = 0;
        for (size_t i = 0; i < count; i++)
            order[i] = i;
        do {
            if (!arrivals[a].keep_sides || keeps_sides(&arrivals[a], order, count))
                check_order(&arrivals[a], order, count, number++);
        } while (next_order(order, count));
    }
}

/* State. */

enum { ENDLESS_ROWS = 300000, ENDLESS_STEP_US = 10, BUDGET_BYTES = 16 << 20 };

static void make_fact(struct leat_ctx *ctx, uint64_t seed, uint64_t index, struct fact *fact)
{
    (void)ctx;
    (void)seed;
    *fact = (struct fact){
        .has_key = true,
        .key = (int64_t)(index % 3),
        .has_value = true,
        .value = (int64_t)index,
        .has_at = true,
        .at = (int64_t)index * ENDLESS_STEP_US,
    };
}
LEAT_DEFINE_GENERATOR(make_fact, fact);

/* Every row meets itself: both sides come from one source, so that neither runs ahead of the other. */
static void run_bounded(const struct scenario_shape *shape)
{
    leat_topology *t = leat_topology_new("bounded");
    leat_stream *facts = leat_generator_source(t, "facts",
        &(struct leat_generator_source_opts){
            .fn = &make_fact_generator, .count = ENDLESS_ROWS, .event_time = "at" });
    leat_collector *out = leat_collector_new();
    leat_stream *pairs = leat_join(leat_filter_expr(facts, "left", "value >= 0"),
        leat_filter_expr(facts, "right", "value >= 0"), "pairs",
        &(struct leat_join_opts){ .left_key = "key",
            .within_us = 2 * ENDLESS_STEP_US, /* the nearest row of the key is three steps away */
            .allowed_lateness_us = 100,
            .out = &fact_pair_type,
            .fields = { { "left.key", "key" }, { "left.value", "left" }, { "right.value", "right" } } });
    leat_memory_sink(pairs, "out", &(struct leat_memory_sink_opts){ .into = out });
    struct leat_error error = { 0 };
    const int code = leat_run(t,
        &(struct leat_job_opts){ .parallelism = shape->parallelism,
            .batch_rows = shape->batch_rows,
            .state_budget_bytes = BUDGET_BYTES,
            .simulate = true,
            .seed = 1 },
        &error);
    FAIL_UNLESS(code == 0, "%s", error.message);
    assert_int_equal(leat_collector_count(out), ENDLESS_ROWS);
    leat_collector_free(out);
    leat_topology_free(t);
}

/* All 600,000 rows would be more than twice the budget, of which each worker has but its part: what is kept
 * must be what can still join, and a few batches that wait behind each other. */
static void test_state__given_a_long_input__then_the_watermark_bounds_it(void **state)
{
    (void)state;
    for (size_t s = 0; s < SCENARIO_SHAPES; s++)
        if (scenario_shapes[s].batch_rows > 1) /* the other takes long and shows nothing new */
            run_bounded(&scenario_shapes[s]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_interval__given_bounds__then_both_ends_are_inside_and_their_neighbours_are_not),
        cmocka_unit_test(test_pairs__given_many_partners__then_each_pair_comes_once),
        cmocka_unit_test(test_null_keys__given_both_sides__then_they_match_nothing_and_are_counted),
        cmocka_unit_test(test_lateness__given_a_row__then_its_own_side_decides_whether_it_is_late),
        cmocka_unit_test(test_state__given_a_row__then_it_is_kept_until_no_partner_can_come),
        cmocka_unit_test(test_watermark__given_two_inputs__then_the_join_gives_the_lesser),
        cmocka_unit_test(test_splits__given_rows_behind_their_own_split__then_only_those_are_late),
        cmocka_unit_test(test_arrival__given_any_order_of_the_rows__then_the_pairs_are_the_same),
        cmocka_unit_test(test_state__given_a_long_input__then_the_watermark_bounds_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
