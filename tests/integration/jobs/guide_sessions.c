/* tests/integration/jobs/guide_sessions.c -- windows that follow the records, in docs/guide/time.md: sessions and
 * sliding windows over the same readings. What it prints is in the guide (tests/integration/test-guide). */
#include "minute.h"
#include "reading.h"
#include <leat/leat.h>
#include <stdio.h>

#define NOON INT64_C(1767268800000) /* 2026-01-01T12:00:00Z, in milliseconds */

static void declare_sessions(leat_keyed_stream *by_sensor)
{
    leat_windowed_stream *sessions = leat_window(by_sensor, "sessions",
        &(struct leat_window_opts){
            .kind = LEAT_WINDOW_SESSION,
            .gap_us = LEAT_SECONDS(30),
            .allowed_lateness_us = LEAT_MINUTES(5),
        });
    leat_stream *busy = leat_aggregate(sessions, "busy",
        &(struct leat_aggregate_opts){
            .aggs = { LEAT_COUNT("readings"), LEAT_MAX("celsius", "highest") },
            .out = &minute_type,
        });
    leat_file_sink(busy, "sessions-out", &(struct leat_file_sink_opts){ .path = "sessions.jsonl" });
}

static void declare_sliding(leat_keyed_stream *by_sensor)
{
    leat_windowed_stream *last_minute = leat_window(by_sensor, "last-minute",
        &(struct leat_window_opts){ .kind = LEAT_WINDOW_SLIDING, .size_us = LEAT_MINUTES(1) });
    leat_stream *highest = leat_aggregate(last_minute, "highest",
        &(struct leat_aggregate_opts){
            .aggs = { LEAT_COUNT("readings"), LEAT_MAX("celsius", "highest") },
            .out = &minute_type,
        });
    leat_file_sink(highest, "sliding-out", &(struct leat_file_sink_opts){ .path = "sliding.jsonl" });
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
        });
    leat_keyed_stream *by_sensor = leat_group_by(readings, "by-sensor", "sensor");
    declare_sessions(by_sensor);
    declare_sliding(by_sensor);
    return t;
}

static void print_clock(const char *before, int64_t ms)
{
    printf(
        "%s%02d:%02d:%02d", before, (int)(12 + ms / 3600000), (int)(ms / 60000 % 60), (int)(ms / 1000 % 60));
}

/* What came out since the last time. */
static void print_results(leat_test *test)
{
    static const char *const panes[] = { "EARLY", "ON_TIME", "LATE" };
    static const char *const sinks[][2] = { { "sessions-out", "session" }, { "sliding-out", "minute" } };
    for (int i = 0; i < 2; i++) {
        const struct minute *m;
        while ((m = leat_test_read(test, sinks[i][0])) != NULL) {
            printf("    %s", sinks[i][1]);
            print_clock(" from ", m->window_start - NOON);
            printf(": %lld readings, highest %.1f, %s\n", (long long)m->readings, m->highest, panes[m->pane]);
        }
    }
}

int main(void)
{
    static const struct {
        int64_t at_ms; /* after noon */
        double celsius;
    } readings[] = { { 60000, 21 }, { 75000, 22 }, { 140000, 23 }, { 180000, 24 }, { 100000, 25 } };
    leat_topology *t = declare();
    leat_test *test = leat_test_new(t, NULL);
    for (size_t i = 0; i < sizeof readings / sizeof readings[0]; i++) {
        const struct reading r = {
            .sensor = LEAT_SV("attic"), .celsius = readings[i].celsius, .at = NOON + readings[i].at_ms
        };
        leat_test_pipe(test, "readings", &r);
        print_clock("reading ", readings[i].at_ms);
        printf("  %.1f\n", r.celsius);
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
