/* tests/integration/test_jobs.c -- whole jobs: every result must be the same for every shape (parallelism,
 * batch size, channel size, threads or simulation), and what the definitions say. */
#include "tests/support/job_data.h"
#include "base/alloc.h"
#include "tests/support/unit.h"
#include <stdlib.h>
#include <string.h>

static bool is_even(struct leat_ctx *ctx, const struct event *e)
{
    (void)ctx;
    return e->value % 2 == 0;
}
LEAT_DEFINE_FILTER(is_even, event);

static bool is_odd(struct leat_ctx *ctx, const struct event *e)
{
    (void)ctx;
    return e->value % 2 != 0;
}
LEAT_DEFINE_FILTER(is_odd, event);

static void add_note(struct leat_ctx *ctx, const struct event *in, struct event *out)
{
    *out = *in;
    out->has_note = true;
    out->note = leat_printf(ctx, "%lld of %.*s", (long long)in->value, (int)in->name.len, in->name.data);
}
LEAT_DEFINE_MAP(add_note, event, event);

static void refuse_seven(struct leat_ctx *ctx, const struct event *in, struct event *out)
{
    *out = *in;
    if (in->value == 7)
        leat_fail(ctx, "seven is not welcome");
}
LEAT_DEFINE_MAP(refuse_seven, event, event);

static void pair_up(
    struct leat_ctx *ctx, const struct event *left, const struct event *right, struct event_pair *out)
{
    (void)ctx;
    out->key = left->key;
    out->left_value = left->value;
    out->right_value = right->value;
    out->name = right->name;
}
LEAT_DEFINE_JOIN(pair_up, event, event, event_pair);

static struct leat_sv parity(struct leat_ctx *ctx, const struct event *e)
{
    if (e->value == 7)
        leat_fail(ctx, "seven has no key");
    return leat_printf(ctx, "%s-%lld", e->value % 2 ? "odd" : "even", (long long)e->key);
}
LEAT_DEFINE_KEY(parity, event);

static void make_event(struct leat_ctx *ctx, uint64_t seed, uint64_t index, struct event *e)
{
    (void)ctx;
    e->key = (int64_t)leat_random_below(seed, index, 0, 100);
    e->name = LEAT_SV("made");
    e->value = (int64_t)index;
    e->at = (int64_t)index * 1000;
}
LEAT_DEFINE_GENERATOR(make_event, event);

static leat_stream *events_source(leat_topology *t, const char *name, const struct event *events,
    uint32_t count, int64_t out_of_orderness_us)
{
    return leat_memory_source(t, name,
        &(struct leat_memory_source_opts){ .type = &event_type,
            .rows = events,
            .count = count,
            .event_time = "at",
            .max_out_of_orderness_us = out_of_orderness_us });
}

static void test_job__given_stateless_operators__then_every_record_comes_through_once(void **state)
{
    (void)state;
    struct event *events =
        job_data_events(&(struct job_data_opts){ .count = 5000, .keys = 10, .seed = 1, .step_us = 10 });
    char **expected = NULL;
    size_t expected_count = 0;
    for (size_t s = 0; s < job_shapes_count; s++) {
        leat_collector *collector = leat_collector_new();
        leat_topology *t = leat_topology_new("stateless");
        leat_stream *in = leat_memory_source(t, "in",
            &(struct leat_memory_source_opts){
                .type = &event_type, .rows = events, .count = 5000, .splits = 4 });
        leat_stream *both[] = { leat_filter(in, "even", &is_even_filter),
            leat_filter(in, "odd", &is_odd_filter) };
        leat_stream *all = leat_map(leat_union(both, 2, "both"), "noted", &add_note_map);
        leat_memory_sink(all, "out", &(struct leat_memory_sink_opts){ .into = collector });
        job_data_run(&job_shapes[s], t);
        size_t count;
        char **lines = job_data_lines(collector, &event_type, &count);
        assert_int_equal(count, 5000);
        if (expected)
            job_data_compare(job_shapes[s].name, expected, expected_count, lines, count);
        else
            expected = lines, expected_count = count;
        if (expected != lines)
            job_data_free(lines, count);
        leat_collector_free(collector);
    }
    job_data_free(expected, expected_count);
    free(events);
}

static void run_totals(const struct job_data_opts *data, int64_t out_of_orderness_us, bool through_strings)
{
    struct event *events = job_data_events(data);
    size_t expected_count;
    char **expected = job_data_totals(events, data->count, out_of_orderness_us, 1000, &expected_count);
    assert_true(expected_count > 100);
    for (size_t s = 0; s < job_shapes_count; s++) {
        leat_collector *collector = leat_collector_new();
        leat_topology *t = leat_topology_new("totals");
        leat_stream *in = events_source(t, "in", events, data->count, out_of_orderness_us);
        if (through_strings)
            in = leat_map(in, "noted", &add_note_map);
        leat_windowed_stream *windows = leat_window(leat_group_by(in, "by-key", "key"), "windows",
            &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = 1000 });
        leat_stream *totals = leat_aggregate(windows, "totals",
            &(struct leat_aggregate_opts){
                .aggs = { LEAT_COUNT("events"), LEAT_SUM("value", "value") }, .out = &event_total_type });
        leat_memory_sink(totals, "out", &(struct leat_memory_sink_opts){ .into = collector });
        job_data_run(&job_shapes[s], t);
        size_t count;
        char **lines = job_data_lines(collector, &event_total_type, &count);
        job_data_compare(job_shapes[s].name, expected, expected_count, lines, count);
        job_data_free(lines, count);
        leat_collector_free(collector);
    }
    job_data_free(expected, expected_count);
    free(events);
}

static void test_job__given_ordered_events__when_counted_by_window__then_totals_are_those_of_the_definition(
    void **state)
{
    (void)state;
    run_totals(&(struct job_data_opts){ .count = 20000, .keys = 50, .seed = 2, .step_us = 7 }, 0, false);
}

static void test_job__given_disorder_within_bounds__then_nothing_is_late(void **state)
{
    (void)state;
    run_totals(
        &(struct job_data_opts){ .count = 20000, .keys = 50, .seed = 3, .step_us = 7, .disorder_us = 500 },
        500, true);
}

static void test_job__given_late_records__then_which_ones_are_dropped_does_not_depend_on_the_shape(
    void **state)
{
    (void)state;
    run_totals(&(struct job_data_opts){ .count = 20000,
                   .keys = 20,
                   .seed = 4,
                   .step_us = 7,
                   .disorder_us = 900,
                   .late_one_in = 13,
                   .late_us = 4000 },
        300, false);
}

static void test_job__given_two_streams__when_joined__then_pairs_are_those_of_the_definition(void **state)
{
    (void)state;
    struct event *left = job_data_events(&(struct job_data_opts){ .count = 4000,
        .keys = 40,
        .seed = 5,
        .step_us = 50,
        .disorder_us = 900,
        .late_one_in = 17,
        .late_us = 9000 });
    struct event *right = job_data_events(&(struct job_data_opts){ .count = 3000,
        .keys = 40,
        .seed = 6,
        .step_us = 70,
        .disorder_us = 400,
        .late_one_in = 29,
        .late_us = 9000 });
    size_t expected_count;
    char **expected = job_data_pairs(left, 4000, right, 3000, 500, 2000, &expected_count);
    assert_true(expected_count > 1000);
    for (size_t s = 0; s < job_shapes_count; s++) {
        leat_collector *collector = leat_collector_new();
        leat_topology *t = leat_topology_new("pairs");
        leat_stream *pairs = leat_join(events_source(t, "left", left, 4000, 500),
            events_source(t, "right", right, 3000, 500), "joined",
            &(struct leat_join_opts){ .left_key = "key", .within_us = 2000, .merge = &pair_up_join });
        leat_memory_sink(pairs, "out", &(struct leat_memory_sink_opts){ .into = collector });
        job_data_run(&job_shapes[s], t);
        size_t count;
        char **lines = job_data_lines(collector, &event_pair_type, &count);
        job_data_compare(job_shapes[s].name, expected, expected_count, lines, count);
        job_data_free(lines, count);
        leat_collector_free(collector);
    }
    job_data_free(expected, expected_count);
    free(left);
    free(right);
}

static void
test_job__given_a_callback_that_refuses__when_the_policy_is_fail__then_the_error_names_node_and_reason(
    void **state)
{
    (void)state;
    struct event *events =
        job_data_events(&(struct job_data_opts){ .count = 100, .keys = 1, .seed = 7, .step_us = 1 });
    for (uint32_t i = 0; i < 100; i++)
        events[i].value = i;
    for (size_t s = 0; s < job_shapes_count; s++) {
        struct leat_error err = { 0 };
        leat_topology *t = leat_topology_new("refusing");
        leat_stream *in = events_source(t, "in", events, 100, 0);
        leat_memory_sink(
            leat_map(in, "picky", &refuse_seven_map), "out", &(struct leat_memory_sink_opts){ 0 });
        assert_int_equal(leat_run(t, &job_shapes[s].opts, &err), LEAT_EUSER);
        if (!strstr(err.message, "picky") || !strstr(err.message, "seven is not welcome"))
            fail_msg("%s: %s", job_shapes[s].name, err.message);
        leat_topology_free(t);
    }
    free(events);
}

static void test_job__given_a_callback_that_refuses__when_the_policy_is_dead_letter__then_the_letter_says_why(
    void **state)
{
    (void)state;
    struct event *events =
        job_data_events(&(struct job_data_opts){ .count = 100, .keys = 1, .seed = 7, .step_us = 1 });
    for (uint32_t i = 0; i < 100; i++)
        events[i].value = i;
    for (size_t s = 0; s < job_shapes_count; s++) {
        leat_collector *good = leat_collector_new(), *bad = leat_collector_new();
        leat_topology *t = leat_topology_new("letters");
        leat_stream *out = leat_map(events_source(t, "in", events, 100, 0), "picky", &refuse_seven_map);
        leat_memory_sink(out, "good", &(struct leat_memory_sink_opts){ .into = good });
        leat_memory_sink(leat_dead_letters(out), "bad", &(struct leat_memory_sink_opts){ .into = bad });
        job_data_run(&job_shapes[s], t);
        assert_int_equal(leat_collector_count(good), 99);
        assert_int_equal(leat_collector_count(bad), 1);
        const struct leat_dead_letter *letter = leat_collector_record(bad, 0);
        assert_true(leat_sv_eq(letter->node, LEAT_SV("picky")));
        assert_non_null(memmem(letter->error.data, letter->error.len, "seven is not welcome", 20));
        assert_non_null(memmem(letter->raw.data, letter->raw.len, "\"value\":7", 9));
        leat_collector_free(good);
        leat_collector_free(bad);
    }
    free(events);
}

static void test_job__given_a_key_callback_that_refuses__then_only_that_record_is_skipped(void **state)
{
    (void)state;
    struct event *events =
        job_data_events(&(struct job_data_opts){ .count = 500, .keys = 3, .seed = 9, .step_us = 1 });
    for (uint32_t i = 0; i < 500; i++)
        events[i].value = i;
    for (size_t s = 0; s < job_shapes_count; s++) {
        leat_collector *collector = leat_collector_new();
        leat_topology *t = leat_topology_new("keys");
        leat_stream *in = leat_map(events_source(t, "in", events, 500, 0), "noted", &add_note_map);
        leat_windowed_stream *windows =
            leat_window(leat_group_by_fn(leat_on_error(in, LEAT_SKIP), "by-parity", &parity_key), "windows",
                &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = 1000 });
        leat_stream *totals = leat_aggregate(windows, "totals",
            &(struct leat_aggregate_opts){
                .aggs = { LEAT_COUNT("events"), LEAT_SUM("value", "value"), LEAT_MIN("key", "key") },
                .out = &event_total_type });
        leat_memory_sink(totals, "out", &(struct leat_memory_sink_opts){ .into = collector });
        job_data_run(&job_shapes[s], t);
        int64_t counted = 0, sum = 0;
        for (uint64_t i = 0; i < leat_collector_count(collector); i++) {
            const struct event_total *total = leat_collector_record(collector, i);
            counted += total->events;
            sum += total->value;
        }
        FAIL_UNLESS(leat_collector_count(collector) == 6 && counted == 499 && sum == 499 * 500 / 2 - 7,
            "%s: %llu groups, %lld records, sum %lld", job_shapes[s].name,
            (unsigned long long)leat_collector_count(collector), (long long)counted, (long long)sum);
        leat_collector_free(collector);
    }
    free(events);
}

/* 100,000 rows a side take over 5 MB as state; what must be kept at once is a few batches. */
static void test_job__given_two_sources_on_a_worker__when_joined__then_neither_runs_ahead(void **state)
{
    (void)state;
    const uint32_t count = 100000;
    struct event *events =
        job_data_events(&(struct job_data_opts){ .count = count, .keys = 1000, .seed = 10, .step_us = 100 });
    struct leat_error err = { 0 };
    leat_topology *t = leat_topology_new("together");
    leat_stream *pairs = leat_join(events_source(t, "left", events, count, 0),
        events_source(t, "right", events, count, 0), "joined",
        &(struct leat_join_opts){ .left_key = "key", .within_us = 2000, .merge = &pair_up_join });
    leat_memory_sink(pairs, "out", &(struct leat_memory_sink_opts){ 0 });
    const int result = leat_run(t,
        &(struct leat_job_opts){ .parallelism = 1, .batch_rows = 512, .state_budget_bytes = 1u << 20 }, &err);
    FAIL_UNLESS(result == 0, "%s", err.message);
    leat_topology_free(t);
    free(events);
}

struct stop_after {
    leat_job *job;
    uint64_t records;
    bool cancel;
};

static void stop_when_enough(void *arg, const struct leat_progress *progress)
{
    struct stop_after *stop = arg;
    if (progress->sink_records < stop->records)
        return;
    if (stop->cancel)
        leat_job_cancel(stop->job);
    else
        leat_job_stop(stop->job);
}

static void run_endless(bool cancel, enum leat_job_state expected_state, int expected_result)
{
    struct leat_error err = { 0 };
    struct stop_after stop = { .records = 10000, .cancel = cancel };
    leat_topology *t = leat_topology_new("endless");
    leat_stream *in = leat_generator_source(t, "in",
        &(struct leat_generator_source_opts){
            .fn = &make_event_generator, .seed = 1, .event_time = "at", .splits = 2 });
    leat_windowed_stream *windows = leat_window(leat_group_by(in, "by-key", "key"), "windows",
        &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = 100000 });
    leat_stream *totals = leat_aggregate(windows, "totals",
        &(struct leat_aggregate_opts){
            .aggs = { LEAT_COUNT("events"), LEAT_SUM("value", "value") }, .out = &event_total_type });
    leat_memory_sink(totals, "out", &(struct leat_memory_sink_opts){ 0 });
    const struct leat_job_opts opts = {
        .parallelism = 3, .on_progress = stop_when_enough, .progress_arg = &stop, .progress_interval_us = 5000
    };
    assert_int_equal(leat_job_new(t, &opts, &stop.job, &err), 0);
    assert_int_equal(leat_job_run(stop.job), expected_result);
    assert_int_equal(leat_job_state(stop.job), expected_state);
    leat_job_free(stop.job);
    leat_topology_free(t);
}

static void test_job__given_an_endless_source__when_stopped__then_it_ends_cleanly(void **state)
{
    (void)state;
    run_endless(false, LEAT_JOB_STOPPED, 0);
}

static void test_job__given_an_endless_source__when_cancelled__then_it_says_so(void **state)
{
    (void)state;
    run_endless(true, LEAT_JOB_CANCELLED, LEAT_ECANCELLED);
}

static uint64_t allocations_of_a_run(const struct event *events, uint32_t count, uint32_t parallelism)
{
    leat_topology *t = leat_topology_new("steady");
    leat_stream *in = events_source(t, "in", events, count, 0);
    leat_windowed_stream *windows =
        leat_window(leat_group_by(leat_filter(in, "even", &is_even_filter), "by-key", "key"), "windows",
            &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = 10000 });
    leat_stream *totals = leat_aggregate(windows, "totals",
        &(struct leat_aggregate_opts){
            .aggs = { LEAT_COUNT("events"), LEAT_SUM("value", "value") }, .out = &event_total_type });
    leat_memory_sink(totals, "out", &(struct leat_memory_sink_opts){ 0 });
    const struct job_shape shape = { "steady", { .parallelism = parallelism, .simulate = true, .seed = 1 } };
    const uint64_t before = leat__alloc_calls();
    job_data_run(&shape, t);
    return leat__alloc_calls() - before;
}

static void test_job__given_ten_times_the_records__then_allocations_hardly_grow(void **state)
{
    (void)state;
    if (getenv("LEAT_CHECKPOINT_EVERY_US") || getenv("LEAT_STATE_BUDGET"))
        SKIP_BECAUSE("checkpoints and spilling allocate");
    struct event *events =
        job_data_events(&(struct job_data_opts){ .count = 400000, .keys = 50, .seed = 8, .step_us = 1 });
    for (uint32_t parallelism = 1; parallelism <= 2; parallelism++) {
        const uint64_t few = allocations_of_a_run(events, 40000, parallelism);
        const uint64_t many = allocations_of_a_run(events, 400000, parallelism);
        if (many > few + 360) /* a thousandth of the 360,000 more records: window slices, no rows */
            fail_msg("%u workers: %llu allocations for 40,000 records, %llu for 400,000", parallelism,
                (unsigned long long)few, (unsigned long long)many);
    }
    free(events);
}

static void test_job__given_wrong_options__then_they_are_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        struct leat_job_opts opts;
        const char *text;
    } rows[] = {
        { { .parallelism = 1000 }, "parallelism is 1000" },
        { { .parallelism = 200 }, "above max_parallelism" },
        { { .max_parallelism = 40000 }, "max_parallelism is 40000" },
        { { .batch_rows = 70000 }, "batch_rows is 70000" },
    };
    struct event *events = job_data_events(&(struct job_data_opts){ .count = 1, .keys = 1, .seed = 1 });
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct leat_error err = { 0 };
        leat_topology *t = leat_topology_new("options");
        leat_memory_sink(events_source(t, "in", events, 1, 0), "out", &(struct leat_memory_sink_opts){ 0 });
        assert_int_equal(leat_run(t, &rows[i].opts, &err), LEAT_EINVAL);
        FAIL_UNLESS(strstr(err.message, rows[i].text), "row %zu: %s", i, err.message);
        leat_topology_free(t);
    }
    free(events);
}

/* The rows in the order in which they arrived. */
static char **simulated_order(
    const struct event *left, const struct event *right, uint64_t seed, size_t *count)
{
    const struct job_shape shape = { "simulated",
        { .parallelism = 3, .batch_rows = 16, .channel_batches = 2, .simulate = true, .seed = seed } };
    leat_collector *collector = leat_collector_new();
    leat_topology *t = leat_topology_new("order");
    leat_stream *pairs = leat_join(events_source(t, "left", left, 800, 500),
        events_source(t, "right", right, 800, 500), "joined",
        &(struct leat_join_opts){ .left_key = "key", .within_us = 2000, .merge = &pair_up_join });
    leat_memory_sink(pairs, "out", &(struct leat_memory_sink_opts){ .into = collector });
    job_data_run(&shape, t);
    char **lines = job_data_unsorted_lines(collector, &event_pair_type, count);
    leat_collector_free(collector);
    return lines;
}

static void test_simulation__given_a_seed__when_run_twice__then_even_the_order_is_the_same(void **state)
{
    (void)state;
    struct event *left =
        job_data_events(&(struct job_data_opts){ .count = 800, .keys = 20, .seed = 5, .step_us = 50 });
    struct event *right =
        job_data_events(&(struct job_data_opts){ .count = 800, .keys = 20, .seed = 6, .step_us = 50 });
    bool orders_differ = false;
    size_t first_count, again_count, other_count;
    char **first = simulated_order(left, right, 1, &first_count);
    char **again = simulated_order(left, right, 1, &again_count);
    job_data_compare("the same seed", first, first_count, again, again_count);
    for (uint64_t seed = 2; seed < 6; seed++) {
        char **other = simulated_order(left, right, seed, &other_count);
        assert_int_equal(other_count, first_count);
        for (size_t i = 0; i < other_count; i++)
            orders_differ = orders_differ || strcmp(first[i], other[i]) != 0;
        job_data_free(other, other_count);
    }
    assert_true(orders_differ); /* else the seeds would try nothing */
    job_data_free(first, first_count);
    job_data_free(again, again_count);
    free(left);
    free(right);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_job__given_stateless_operators__then_every_record_comes_through_once),
        cmocka_unit_test(
            test_job__given_ordered_events__when_counted_by_window__then_totals_are_those_of_the_definition),
        cmocka_unit_test(test_job__given_disorder_within_bounds__then_nothing_is_late),
        cmocka_unit_test(
            test_job__given_late_records__then_which_ones_are_dropped_does_not_depend_on_the_shape),
        cmocka_unit_test(test_job__given_two_sources_on_a_worker__when_joined__then_neither_runs_ahead),
        cmocka_unit_test(test_job__given_two_streams__when_joined__then_pairs_are_those_of_the_definition),
        cmocka_unit_test(
            test_job__given_a_callback_that_refuses__when_the_policy_is_fail__then_the_error_names_node_and_reason),
        cmocka_unit_test(
            test_job__given_a_callback_that_refuses__when_the_policy_is_dead_letter__then_the_letter_says_why),
        cmocka_unit_test(test_job__given_a_key_callback_that_refuses__then_only_that_record_is_skipped),
        cmocka_unit_test(test_job__given_an_endless_source__when_stopped__then_it_ends_cleanly),
        cmocka_unit_test(test_job__given_an_endless_source__when_cancelled__then_it_says_so),
        cmocka_unit_test(test_job__given_ten_times_the_records__then_allocations_hardly_grow),
        cmocka_unit_test(test_simulation__given_a_seed__when_run_twice__then_even_the_order_is_the_same),
        cmocka_unit_test(test_job__given_wrong_options__then_they_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
