/* tests/integration/test_sweep.c -- many schedules: the same windows and joins under seed after seed,
 * workers, tiny channels and batches. LEAT_ROUNDS says how many seeds (default 8). */
#include "tests/support/job_data.h"
#include "tests/support/unit.h"
#include <stdio.h>
#include <stdlib.h>

#define PARALLELISM_MAX 5u
#define BATCH_ROWS_MAX 8u

static uint64_t rounds(void)
{
    const char *text = getenv("LEAT_ROUNDS");
    const uint64_t asked = text ? strtoull(text, NULL, 10) : 0;
    return asked ? asked : 8;
}

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

static leat_stream *source(leat_topology *t, const char *name, const struct event *events, uint32_t count)
{
    return leat_memory_source(t, name,
        &(struct leat_memory_source_opts){ .type = &event_type,
            .rows = events,
            .count = count,
            .event_time = "at",
            .max_out_of_orderness_us = 300 });
}

static leat_topology *windows(const struct event *const *events, uint32_t count, leat_collector *into)
{
    leat_topology *t = leat_topology_new("windows");
    leat_stream *totals = leat_aggregate(
        leat_window(leat_group_by(source(t, "in", events[0], count), "by-key", "key"), "windows",
            &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = 1000 }),
        "totals",
        &(struct leat_aggregate_opts){
            .aggs = { LEAT_COUNT("events"), LEAT_SUM("value", "value") }, .out = &event_total_type });
    leat_memory_sink(totals, "out", &(struct leat_memory_sink_opts){ .into = into });
    return t;
}

static leat_topology *join(const struct event *const *events, uint32_t count, leat_collector *into)
{
    leat_topology *t = leat_topology_new("join");
    leat_stream *pairs = leat_join(source(t, "left", events[0], count), source(t, "right", events[1], count),
        "pairs", &(struct leat_join_opts){ .left_key = "key", .within_us = 1000, .merge = &pair_up_join });
    leat_memory_sink(pairs, "out", &(struct leat_memory_sink_opts){ .into = into });
    return t;
}

static void run_sweep(leat_topology *(*make)(const struct event *const *, uint32_t, leat_collector *),
    const struct leat_type *type, const struct event *const *events, uint32_t count, char **expected,
    size_t expected_count)
{
    for (uint64_t seed = 0; seed < rounds(); seed++) {
        for (uint32_t parallelism = 1; parallelism <= PARALLELISM_MAX; parallelism++) {
            for (uint32_t batch_rows = 1; batch_rows <= BATCH_ROWS_MAX; batch_rows++) {
                char name[96];
                size_t lines_count;
                const struct job_shape shape = { name,
                    { .parallelism = parallelism,
                        .batch_rows = batch_rows,
                        .channel_batches = 2,
                        .simulate = true,
                        .seed = seed } };
                (void)snprintf(name, sizeof name, "seed %llu, %u workers, %u rows a batch",
                    (unsigned long long)seed, parallelism, batch_rows);
                leat_collector *collector = leat_collector_new();
                job_data_run(&shape, make(events, count, collector));
                char **lines = job_data_lines(collector, type, &lines_count);
                job_data_compare(name, expected, expected_count, lines, lines_count);
                job_data_free(lines, lines_count);
                leat_collector_free(collector);
            }
        }
    }
}

static struct event *events_of(uint64_t seed, uint32_t count)
{
    return job_data_events(&(struct job_data_opts){ .count = count,
        .keys = 7,
        .seed = seed,
        .step_us = 40,
        .disorder_us = 300,
        .late_one_in = 20,
        .late_us = 3000 });
}

static void test_sweep__given_any_schedule__then_windows_have_the_same_totals(void **state)
{
    struct event *events = events_of(1, 300);
    const struct event *const inputs[] = { events };
    size_t count;
    char **expected = job_data_totals(events, 300, 300, 1000, &count);
    (void)state;
    run_sweep(windows, &event_total_type, inputs, 300, expected, count);
    job_data_free(expected, count);
    free(events);
}

static void test_sweep__given_any_schedule__then_joins_have_the_same_pairs(void **state)
{
    struct event *left = events_of(2, 200), *right = events_of(3, 200);
    const struct event *const inputs[] = { left, right };
    size_t count;
    char **expected = job_data_pairs(left, 200, right, 200, 300, 1000, &count);
    (void)state;
    run_sweep(join, &event_pair_type, inputs, 200, expected, count);
    job_data_free(expected, count);
    free(left);
    free(right);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sweep__given_any_schedule__then_windows_have_the_same_totals),
        cmocka_unit_test(test_sweep__given_any_schedule__then_joins_have_the_same_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
