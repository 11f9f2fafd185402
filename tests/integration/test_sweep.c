/* tests/integration/test_sweep.c -- many schedules: the same windows and joins under seed after seed,
 * workers, tiny channels and batches. LEAT_ROUNDS says how many seeds (default 8). And the other operators with
 * state by each number of workers and size of batches of a few. */
#include "tests/support/job_data.h"
#include "tests/support/unit.h"
#include "told.h"
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

/* ---- operators with state, by workers and batches ---- */

static void add_up(struct leat_ctx *ctx, const struct event *event)
{
    struct event *sum = leat_state(ctx, 0);
    sum->value += event->value;
    sum->at++;
    leat_timer_set(ctx, LEAT_EVENT_TIME, LEAT_TIME_MAX);
}
static void give_sum(struct leat_ctx *ctx, int64_t us, enum leat_time_kind kind)
{
    const struct event *sum = leat_state_find(ctx, 0);
    struct told *told = leat_out(ctx);
    assert_true(us == LEAT_TIME_MAX && kind == LEAT_EVENT_TIME);
    told->k = leat_printf(ctx, "%lld", (long long)leat_key_i64(ctx, 0));
    told->what = leat_printf(ctx, "%lld records", sum ? (long long)sum->at : -1);
    told->n = sum ? sum->value : -1;
}
LEAT_DEFINE_PROCESS(sums, event, add_up, give_sum);

static void ask(struct leat_ctx *ctx, const struct event *event, struct leat_request *request, void *arg)
{
    (void)ctx;
    (void)arg;
    leat_request_complete(request,
        &(struct told){ .k = event->name, .what = LEAT_SV("asked"), .n = event->value * 3 + event->key });
}
LEAT_DEFINE_ASYNC(ask, event, told);

static leat_stream *totals_of(leat_keyed_stream *keyed, const char *name, const struct leat_window_opts *opts)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%s-windows", name);
    return leat_aggregate(leat_window(keyed, text, opts), name,
        &(struct leat_aggregate_opts){
            .aggs = { LEAT_COUNT("events"), LEAT_SUM("value", "value") }, .out = &event_total_type });
}
static leat_stream *sessions(leat_keyed_stream *keyed)
{
    return totals_of(
        keyed, "sessions", &(struct leat_window_opts){ .kind = LEAT_WINDOW_SESSION, .gap_us = 250 });
}
static leat_stream *sliding(leat_keyed_stream *keyed)
{
    return totals_of(
        keyed, "sliding", &(struct leat_window_opts){ .kind = LEAT_WINDOW_SLIDING, .size_us = 700 });
}
static leat_stream *pattern(leat_keyed_stream *keyed)
{
    return leat_pattern(keyed, "pattern",
        &(struct leat_pattern_opts){ .steps = { { .name = "small", .where = "value < 0" },
                                         { .name = "large", .where = "value > 400" } },
            .within_us = 1500,
            .match = { .out = &event_pair_type,
                .fields = { { "coalesce(small.value, 0)", "left_value" }, { "value", "right_value" } } } });
}
static leat_stream *process(leat_keyed_stream *keyed)
{
    return leat_process(keyed, "process",
        &(struct leat_process_opts){
            .fn = &sums_process, .state = { LEAT_VALUE("sum", &event_type) }, .out = &told_type });
}
static leat_stream *requests(leat_keyed_stream *keyed)
{
    return leat_async(
        leat_keyed_records(keyed), "requests", &(struct leat_async_opts){ .fn = &ask_async, .capacity = 5 });
}
static leat_stream *first_of_windows(leat_keyed_stream *keyed)
{
    return leat_window_top_n(
        leat_window(keyed, "top-windows",
            &(struct leat_window_opts){ .kind = LEAT_WINDOW_HOPPING, .size_us = 1000, .slide_us = 300 }),
        "first-of-windows", &(struct leat_top_n_opts){ .n = 2, .by = "value" });
}
static leat_stream *first_so_far(leat_keyed_stream *keyed)
{
    leat_stream *top =
        leat_top_n(keyed, "top", &(struct leat_top_n_opts){ .n = 3, .by = "value", .descending = true });
    return leat_changelog(top, "first-so-far", &(struct leat_changelog_opts){ .only_after = true });
}
static leat_stream *once(leat_keyed_stream *keyed)
{
    return leat_deduplicate(
        keyed, "once", &(struct leat_deduplicate_opts){ .within_us = 900, .by_event_time = true });
}

static const struct family {
    const char *name;
    leat_stream *(*declare)(leat_keyed_stream *keyed);
    const struct leat_type *type;
    size_t least;
} families[] = {
    { "sessions", sessions, &event_total_type, 100 },
    { "sliding", sliding, &event_total_type, 300 },
    { "pattern", pattern, &event_pair_type, 40 },
    { "process", process, &told_type, 7 },
    { "requests", requests, &told_type, 400 },
    { "first of windows", first_of_windows, &event_type, 200 },
    { "first so far", first_so_far, &event_type, 21 },
    { "once", once, &event_type, 50 },
};

static void run_families(const struct event *events, const struct leat_job_opts *opts,
    char **lines[COUNT_OF(families)], size_t counts[COUNT_OF(families)])
{
    char name[64];
    const struct job_shape shape = { name, *opts };
    leat_collector *into[COUNT_OF(families)];
    leat_topology *t = leat_topology_new("families");
    leat_keyed_stream *keyed = leat_group_by(source(t, "in", events, 400), "by-key", "key");
    (void)snprintf(name, sizeof name, "%u workers, %u rows a batch", opts->parallelism, opts->batch_rows);
    for (size_t f = 0; f < COUNT_OF(families); f++) {
        char sink[16];
        (void)snprintf(sink, sizeof sink, "out-%zu", f);
        into[f] = leat_collector_new();
        leat_memory_sink(
            families[f].declare(keyed), sink, &(struct leat_memory_sink_opts){ .into = into[f] });
    }
    job_data_run(&shape, t);
    for (size_t f = 0; f < COUNT_OF(families); f++) {
        lines[f] = job_data_lines(into[f], families[f].type, &counts[f]);
        leat_collector_free(into[f]);
    }
}

static void test_sweep__given_workers_and_batches__then_each_operator_gives_the_same(void **state)
{
    static const uint32_t parallelisms[] = { 1, 2, 3, 10 }, batches[] = { 1, 7, 1024 };
    char **want[COUNT_OF(families)], **got[COUNT_OF(families)];
    size_t want_counts[COUNT_OF(families)], got_counts[COUNT_OF(families)];
    struct event *events = job_data_events(
        &(struct job_data_opts){ .count = 400, .keys = 7, .seed = 4, .step_us = 40, .disorder_us = 300 });
    (void)state;
    run_families(events, &(struct leat_job_opts){ .parallelism = 1, .simulate = true }, want, want_counts);
    for (size_t f = 0; f < COUNT_OF(families); f++)
        FAIL_UNLESS(want_counts[f] >= families[f].least, "%s: %zu lines", families[f].name, want_counts[f]);
    for (size_t i = 0; i < COUNT_OF(parallelisms) * COUNT_OF(batches); i++) {
        const struct leat_job_opts opts = { .parallelism = parallelisms[i % 4],
            .batch_rows = batches[i / 4],
            .channel_batches = 2,
            .simulate = true,
            .seed = i };
        run_families(events, &opts, got, got_counts);
        for (size_t f = 0; f < COUNT_OF(families); f++) {
            char what[96];
            (void)snprintf(what, sizeof what, "%s, %u workers, batches of %u", families[f].name,
                opts.parallelism, opts.batch_rows);
            job_data_compare(what, want[f], want_counts[f], got[f], got_counts[f]);
            job_data_free(got[f], got_counts[f]);
        }
    }
    for (size_t f = 0; f < COUNT_OF(families); f++)
        job_data_free(want[f], want_counts[f]);
    free(events);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sweep__given_any_schedule__then_windows_have_the_same_totals),
        cmocka_unit_test(test_sweep__given_any_schedule__then_joins_have_the_same_pairs),
        cmocka_unit_test(test_sweep__given_workers_and_batches__then_each_operator_gives_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
