/* tests/integration/jobs/guide_time.c -- the program of docs/guide/time.md: readings of a sensor, one by one,
 * and what each of them causes. What it prints is in the guide (tests/integration/test-guide). */
#include "minute.h"
#include "reading.h"
#include <leat/leat.h>
#include <stdio.h>

#define NOON INT64_C(1767268800000) /* 2026-01-01T12:00:00Z, in milliseconds */

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
    leat_windowed_stream *minutes = leat_window(leat_group_by(readings, "by-sensor", "sensor"), "minutes",
        &(struct leat_window_opts){
            .kind = LEAT_WINDOW_TUMBLING,
            .size_us = LEAT_MINUTES(1),
            .allowed_lateness_us = LEAT_SECONDS(30),
            .triggers = { LEAT_ON_WATERMARK, LEAT_ON_COUNT(3) },
        });
    leat_stream *highest = leat_aggregate(minutes, "highest",
        &(struct leat_aggregate_opts){
            .aggs = { LEAT_COUNT("readings"), LEAT_MAX("celsius", "highest") },
            .out = &minute_type,
        });
    leat_file_sink(highest, "out", &(struct leat_file_sink_opts){ .path = "minutes.jsonl" });
    leat_file_sink(
        leat_late_records(minutes), "too-late", &(struct leat_file_sink_opts){ .path = "too-late.jsonl" });
    return t;
}

static void print_clock(const char *before, int64_t us)
{
    const int64_t ms = us / 1000 - NOON;
    printf("%s%02d:%02d:%02d.%03d", before, (int)(12 + ms / 3600000), (int)(ms / 60000 % 60),
        (int)(ms / 1000 % 60), (int)(ms % 1000));
}

/* What came out since the last time. */
static void print_results(leat_test *test)
{
    static const char *const panes[] = { "EARLY", "ON_TIME", "LATE" };
    const struct minute *m;
    const struct reading *late;
    while ((m = leat_test_read(test, "out")) != NULL) {
        print_clock("    pane of ", m->window_start * 1000);
        printf(": %lld readings, highest %.1f, %s, index %lld\n", (long long)m->readings, m->highest,
            panes[m->pane], (long long)m->pane_index);
    }
    while ((late = leat_test_read(test, "too-late")) != NULL) {
        print_clock("    too late: ", late->at * 1000);
        printf("\n");
    }
}

int main(void)
{
    static const struct {
        int64_t at_ms; /* after noon */
        double celsius;
    } readings[] = { { 7000, 21 }, { 20000, 22 }, { 15000, 23 }, { 63000, 20 }, { 58000, 24 },
        { 66000, 20.5 }, { 30000, 25 }, { 96000, 21 }, { 40000, 30 } };
    leat_topology *t = declare();
    leat_test *test = leat_test_new(t, NULL);
    for (size_t i = 0; i < sizeof readings / sizeof readings[0]; i++) {
        const struct reading r = {
            .sensor = LEAT_SV("attic"), .celsius = readings[i].celsius, .at = NOON + readings[i].at_ms
        };
        leat_test_pipe(test, "readings", &r);
        print_clock("reading ", r.at * 1000);
        printf("  %.1f", r.celsius);
        print_clock("  watermark ", leat_test_node_watermark(test, "highest"));
        printf("\n");
        print_results(test);
    }
    leat_test_end(test, "readings");
    printf("the end\n");
    print_results(test);
    const int code = leat_test_error(test)->code;
    if (code < 0)
        printf("%s\n", leat_test_error(test)->message);
    leat_test_free(test);
    leat_topology_free(t);
    return code < 0;
}
