/* tests/integration/jobs/guide_testing.c -- the program of docs/guide/testing.md: tests of a topology, in the
 * ways that Leat offers. It fails by assert; tests/integration/test-guide runs it. */
#undef NDEBUG
#include "minute.h"
#include "reading.h"
#include <assert.h>
#include <leat/leat.h>
#include <stdio.h>
#include <stdlib.h>

#define NOON INT64_C(1767268800000) /* 2026-01-01T12:00:00Z, in milliseconds */

static void check_range(struct leat_ctx *ctx, const struct reading *in, struct reading *out)
{
    *out = *in;
    if (in->celsius < -273.15)
        leat_fail(ctx, "%.1f is colder than possible", in->celsius);
}
LEAT_DEFINE_MAP(check_range, reading, reading);

/* All but the sources and sinks, so that tests and the program declare the same. */
static leat_stream *highest_by_minute(leat_stream *readings)
{
    leat_stream *checked = leat_on_error(leat_map(readings, "check-range", &check_range_map), LEAT_SKIP);
    leat_windowed_stream *minutes = leat_window(leat_group_by(checked, "by-sensor", "sensor"), "minutes",
        &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = LEAT_MINUTES(1) });
    return leat_aggregate(minutes, "highest",
        &(struct leat_aggregate_opts){
            .aggs = { LEAT_COUNT("readings"), LEAT_MAX("celsius", "highest") }, .out = &minute_type });
}

static leat_topology *declare(void)
{
    leat_topology *t = leat_topology_new("laboratory");
    leat_stream *readings = leat_file_source(t, "readings",
        &(struct leat_file_source_opts){
            .path = "readings.jsonl",
            .type = &reading_type,
            .event_time = "at",
            .max_out_of_orderness_us = LEAT_SECONDS(5),
            .idle_timeout_us = LEAT_SECONDS(30),
        });
    leat_file_sink(highest_by_minute(readings), "out", &(struct leat_file_sink_opts){ .path = "minutes" });
    return t;
}

static void given_a_minute__when_the_watermark_passes_it__then_the_highest_is_told(void)
{
    leat_topology *t = declare();
    leat_test *test = leat_test_new(t, NULL);
    leat_test_pipe(
        test, "readings", &(struct reading){ .sensor = LEAT_SV("attic"), .celsius = 21, .at = NOON + 1000 });
    leat_test_pipe(
        test, "readings", &(struct reading){ .sensor = LEAT_SV("attic"), .celsius = 23, .at = NOON + 59999 });
    assert(leat_test_waiting(test, "out") == 0); /* the minute is not over */

    leat_test_watermark(test, "readings", (NOON + 60000) * 1000 - 1); /* now it is */
    const struct minute *minute = leat_test_read(test, "out");
    assert(minute && minute->readings == 2 && minute->highest == 23);
    assert(leat_test_event_us(test, "out") == (NOON + 60000) * 1000 - 1);
    assert(leat_test_read(test, "out") == NULL);

    assert(leat_test_error(test)->code == 0);
    leat_test_free(test);
    leat_topology_free(t);
}

static void given_a_bad_reading__then_it_is_dropped_and_counted(void)
{
    leat_topology *t = declare();
    leat_test *test = leat_test_new(t, NULL);
    leat_test_pipe_json(
        test, "readings", "{\"sensor\": \"attic\", \"celsius\": -300, \"at\": 1767268800000}");
    leat_test_pipe_json(test, "readings", "{\"sensor\": \"attic\", \"celsius\": 4.5, \"at\": 1767268801000}");
    leat_test_end(test, NULL); /* of all sources: everything fires */
    assert(leat_test_dropped(test, "check-range") == 1);
    assert(strcmp(leat_test_read_json(test, "out"),
               "{\"sensor\":\"attic\",\"window_start\":1767268800000,\"readings\":1,\"highest\":4.5,"
               "\"pane\":\"ON_TIME\",\"pane_index\":0}") == 0);
    leat_test_free(test);
    leat_topology_free(t);
}

static void given_two_files_of_which_one_falls_silent__then_it_holds_time_for_half_a_minute(void)
{
    leat_topology *t = declare();
    leat_test *test = leat_test_new(t, &(struct leat_test_opts){ .splits = 2 });
    leat_test_pipe_to(test, "readings", 0, &(struct reading){ .sensor = LEAT_SV("attic"), .at = NOON });
    leat_test_pipe_to(test, "readings", 1, &(struct reading){ .sensor = LEAT_SV("cellar"), .at = NOON });
    leat_test_pipe_to(
        test, "readings", 0, &(struct reading){ .sensor = LEAT_SV("attic"), .at = NOON + 90000 });
    assert(leat_test_node_watermark(test, "highest") == (NOON - 5000) * 1000 - 1); /* the minimum of both */
    assert(leat_test_waiting(test, "out") == 0);

    leat_test_advance(test, LEAT_SECONDS(30)); /* the only clock there is */
    assert(leat_test_node_watermark(test, "highest") == (NOON + 85000) * 1000 - 1);
    assert(leat_test_waiting(test, "out") == 2);
    leat_test_free(test);
    leat_topology_free(t);
}

static void make_reading(struct leat_ctx *ctx, uint64_t seed, uint64_t index, struct reading *out)
{
    out->sensor = leat_printf(ctx, "sensor-%llu", (unsigned long long)leat_random_below(seed, index, 0, 20));
    out->celsius = (double)leat_random_below(seed, index, 1, 400) / 10;
    out->at = NOON + (int64_t)index * 10 - (int64_t)leat_random_below(seed, index, 2, 4000);
}
LEAT_DEFINE_GENERATOR(make_reading, reading);

/* A whole job over made readings, simulated or on threads; its results in the collector, which the caller
 * frees. */
static leat_collector *run_job(const struct leat_job_opts *opts)
{
    struct leat_error err = { 0 };
    leat_collector *results = leat_collector_new();
    leat_topology *t = leat_topology_new("laboratory");
    leat_stream *readings = leat_generator_source(t, "readings",
        &(struct leat_generator_source_opts){
            .fn = &make_reading_generator,
            .seed = 42,
            .count = 20000,
            .event_time = "at",
            .max_out_of_orderness_us = LEAT_SECONDS(5),
        });
    leat_memory_sink(highest_by_minute(readings), "out", &(struct leat_memory_sink_opts){ .into = results });
    if (leat_run(t, opts, &err) < 0)
        fprintf(stderr, "%s\n", err.message);
    leat_topology_free(t);
    return results;
}

struct line {
    char text[256];
};

static int compare_lines(const void *a, const void *b)
{
    return strcmp(((const struct line *)a)->text, ((const struct line *)b)->text);
}

/* The results as sorted lines: between keys their order is free. */
static struct line *sorted_lines(const leat_collector *results)
{
    const uint64_t count = leat_collector_count(results);
    struct line *lines = calloc(count + 1, sizeof *lines);
    assert(lines);
    for (uint64_t i = 0; i < count; i++)
        (void)leat_record_print(
            leat_collector_record(results, i), &minute_type, lines[i].text, sizeof lines[i].text);
    qsort(lines, count, sizeof *lines, compare_lines);
    return lines;
}

static void given_any_shape_and_schedule__then_the_results_are_the_same(void)
{
    static const struct leat_job_opts shapes[] = {
        { .parallelism = 1 },
        { .parallelism = 3, .batch_rows = 7 },
        { .parallelism = 3, .simulate = true, .seed = 1 },
        { .parallelism = 10, .simulate = true, .seed = 2 },
    };
    leat_collector *first = run_job(&shapes[0]);
    struct line *want = sorted_lines(first);
    assert(leat_collector_count(first) > 60);
    for (size_t i = 1; i < sizeof shapes / sizeof shapes[0]; i++) {
        leat_collector *results = run_job(&shapes[i]);
        struct line *got = sorted_lines(results);
        assert(leat_collector_count(results) == leat_collector_count(first));
        assert(memcmp(got, want, leat_collector_count(first) * sizeof *got) == 0);
        free(got);
        leat_collector_free(results);
    }
    free(want);
    leat_collector_free(first);
}

int main(void)
{
    given_a_minute__when_the_watermark_passes_it__then_the_highest_is_told();
    given_a_bad_reading__then_it_is_dropped_and_counted();
    given_two_files_of_which_one_falls_silent__then_it_holds_time_for_half_a_minute();
    given_any_shape_and_schedule__then_the_results_are_the_same();
    printf("4 tests passed\n");
    return 0;
}
