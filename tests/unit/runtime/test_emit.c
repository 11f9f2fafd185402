/* tests/unit/runtime/test_emit.c -- from an output to its consumers: shared batches stay as they are for the
 * others, and rows and watermarks keep the order that results rest on. */
#include "event.h"
#include "event_total.h"
#include "fact_total.h"
#include "tests/support/scripted.h"
#include "tests/support/unit.h"
#include <leat/leat.h>
#include <string.h>

static struct leat_sv parity(struct leat_ctx *ctx, const struct event *e)
{
    if (e->value == 7)
        leat_fail(ctx, "seven has no key");
    return leat_printf(ctx, "%s", e->value % 2 ? "odd" : "even");
}
LEAT_DEFINE_KEY(parity, event);

static bool is_even(struct leat_ctx *ctx, const struct event *e)
{
    (void)ctx;
    return e->value % 2 == 0;
}
LEAT_DEFINE_FILTER(is_even, event);

/* Refusing rows takes them out of the batch; here others look at it, or the source still holds it. */
static void run_refusing_key(uint32_t parallelism, bool shared, int64_t late_at)
{
    struct leat_error err = { 0 };
    struct event events[100] = { 0 };
    for (int i = 0; i < 100; i++)
        events[i] = (struct event){ .name = LEAT_SV("e"), .value = i, .at = i == 50 ? late_at : i };
    leat_collector *all = leat_collector_new(), *out = leat_collector_new();
    leat_topology *t = leat_topology_new("refusing");
    leat_stream *in = leat_memory_source(t, "in",
        &(struct leat_memory_source_opts){
            .type = &event_type, .rows = events, .count = 100, .event_time = "at", .on_error = LEAT_SKIP });
    leat_stream *keyed = in;
    if (shared) {
        leat_memory_sink(in, "all", &(struct leat_memory_sink_opts){ .into = all });
        leat_stream *both[] = { in, leat_filter(in, "even", &is_even_filter) };
        keyed = leat_on_error(leat_union(both, 2, "both"), LEAT_SKIP);
    }
    leat_stream *totals =
        leat_aggregate(leat_window(leat_group_by_fn(keyed, "by-parity", &parity_key), "windows",
                           &(struct leat_window_opts){
                               .kind = LEAT_WINDOW_TUMBLING, .size_us = 1000, .allowed_lateness_us = 0 }),
            "totals",
            &(struct leat_aggregate_opts){
                .aggs = { LEAT_COUNT("events"), LEAT_SUM("value", "value"), LEAT_MIN("key", "key") },
                .out = &event_total_type });
    leat_memory_sink(totals, "out", &(struct leat_memory_sink_opts){ .into = out });
    const struct leat_job_opts opts = { .parallelism = parallelism, .batch_rows = 64, .simulate = true };
    const int result = leat_run(t, &opts, &err);
    FAIL_UNLESS(result == 0, "%s", err.message);
    int64_t counted = 0;
    for (uint64_t i = 0; i < leat_collector_count(out); i++)
        counted += ((const struct event_total *)leat_collector_record(out, i))->events;
    assert_int_equal(counted, shared ? 149 : 99);
    assert_int_equal(leat_collector_count(all), shared ? 100 : 0);
    leat_topology_free(t);
    leat_collector_free(all);
    leat_collector_free(out);
}

static void test_emit__given_a_key_that_refuses__then_others_keep_the_record(void **state)
{
    (void)state;
    for (uint32_t parallelism = 1; parallelism <= 3; parallelism++) {
        run_refusing_key(parallelism, false, 50);
        run_refusing_key(parallelism, false, 1); /* slices of one batch */
        run_refusing_key(parallelism, true, 50);
        run_refusing_key(parallelism, true, 1);
    }
}

/* A split comes back from idleness with a row behind what the other has told: late, exchange or not. */
static void test_emit__given_rows_behind_a_watermark_that_waits__then_they_do_not_overtake_it(void **state)
{
    static const char *const scripts[] = { "10 +40000000 1000010 +1000", "20 +40000000 60 +1000", "", "" };
    (void)state;
    for (uint32_t parallelism = 1; parallelism <= 2; parallelism++) {
        for (uint64_t seed = 0; seed < 20; seed++) {
            /* The two splits that speak belong to the first worker. */
            const char *splits[4] = { scripts[0], parallelism == 1 ? scripts[1] : "",
                parallelism == 1 ? "" : scripts[1], "" };
            struct leat_error err = { 0 };
            leat_collector *out = leat_collector_new(), *late = leat_collector_new();
            leat_topology *t = leat_topology_new("returning");
            leat_stream *in = scripted_source(t, "in",
                &(struct scripted_source_opts){
                    .splits = splits, .splits_count = 4, .idle_timeout_us = LEAT_SECONDS(30) });
            leat_windowed_stream *windows = leat_window(leat_group_by(in, "by-key", "key"), "windows",
                &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = 100 });
            leat_stream *totals = leat_aggregate(windows, "totals",
                &(struct leat_aggregate_opts){
                    .aggs = { LEAT_COUNT("rows"), LEAT_SUM("value", "sum") }, .out = &fact_total_type });
            leat_memory_sink(
                leat_late_records(windows), "late", &(struct leat_memory_sink_opts){ .into = late });
            leat_memory_sink(totals, "out", &(struct leat_memory_sink_opts){ .into = out });
            const int result = leat_run(t,
                &(struct leat_job_opts){ .parallelism = parallelism, .simulate = true, .seed = seed }, &err);
            FAIL_UNLESS(result == 0, "%s", err.message);
            FAIL_UNLESS(leat_collector_count(late) == 1, "%u workers, seed %llu: %llu late records",
                parallelism, (unsigned long long)seed, (unsigned long long)leat_collector_count(late));
            leat_topology_free(t);
            leat_collector_free(out);
            leat_collector_free(late);
        }
    }
}

/* S comes back from idleness with a row that nobody passes on: it holds the watermark all the same. */
static void test_emit__given_a_returning_source_whose_rows_are_dropped__then_consumers_know_it_is_back(
    void **state)
{
    (void)state;
    leat_topology *t = leat_topology_new("returning");
    const struct leat_memory_source_opts opts = { .type = &event_type,
        .rows = "",
        .event_time = "at",
        .max_out_of_orderness_us = 10,
        .idle_timeout_us = LEAT_SECONDS(30) };
    leat_stream *both[] = { leat_filter(leat_memory_source(t, "a", &opts), "even", &is_even_filter),
        leat_memory_source(t, "b", &opts) };
    leat_memory_sink(leat_union(both, 2, "both"), "out", &(struct leat_memory_sink_opts){ 0 });
    leat_test *test = leat_test_new(t, NULL);
    leat_test_pipe(test, "a", &(struct event){ .value = 2, .at = 111 });
    leat_test_pipe(test, "b", &(struct event){ .value = 2, .at = 60 });
    leat_test_advance(test, LEAT_SECONDS(29));
    leat_test_pipe(test, "b", &(struct event){ .value = 2, .at = 70 });
    leat_test_advance(test, LEAT_SECONDS(1));
    leat_test_pipe(test, "b", &(struct event){ .value = 2, .at = 111 });
    assert_int_equal(leat_test_node_watermark(test, "out"), 100);
    leat_test_pipe(test, "a", &(struct event){ .value = 1, .at = 105 }); /* back, at 100, and dropped */
    leat_test_pipe(test, "b", &(struct event){ .value = 2, .at = 311 });
    assert_int_equal(leat_test_node_watermark(test, "out"), 100);
    assert_int_equal(leat_test_error(test)->code, 0);
    leat_test_free(test);
    leat_topology_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_emit__given_a_key_that_refuses__then_others_keep_the_record),
        cmocka_unit_test(test_emit__given_rows_behind_a_watermark_that_waits__then_they_do_not_overtake_it),
        cmocka_unit_test(
            test_emit__given_a_returning_source_whose_rows_are_dropped__then_consumers_know_it_is_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
