/* tests/integration/jobs/guide_triggers.c -- a trigger of one's own, of docs/guide/time.md: readings of a sensor, one
 * by one, and what each of them causes. What it prints is in the guide (tests/integration/test-guide). */
#include "minute.h"
#include "reading.h"
#include <leat/leat.h>
#include <stdio.h>

#define NOON INT64_C(1767268800000) /* 2026-01-01T12:00:00Z, in milliseconds */

/* Of each window and key: zero at first. */
struct told {
    bool any;
    double celsius;
};

/* Whenever it has become two degrees warmer, and in the middle of the window. */
static enum leat_fire warmer__on_record(
    struct leat_ctx *ctx, const struct reading *reading, const struct leat_bounds *window, struct told *told)
{
    if (!told->any)
        leat_timer_set(ctx, LEAT_EVENT_TIME, window->start_us + LEAT_SECONDS(30));
    if (told->any && reading->celsius < told->celsius + 2)
        return LEAT_CONTINUE;
    told->any = true;
    told->celsius = reading->celsius;
    return LEAT_FIRE;
}

static enum leat_fire warmer__on_timer(struct leat_ctx *ctx, int64_t time_us, enum leat_time_kind kind,
    const struct leat_bounds *window, struct told *told)
{
    (void)ctx;
    (void)time_us;
    (void)kind;
    (void)window;
    (void)told;
    return LEAT_FIRE;
}

/* Sessions that become one. */
static void warmer__merge(struct leat_ctx *ctx, struct told *into, const struct told *from)
{
    (void)ctx;
    if (from->any && (!into->any || from->celsius > into->celsius))
        *into = *from;
}
LEAT_DEFINE_TRIGGER(warmer, reading, told);

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
    leat_windowed_stream *minutes = leat_window(leat_group_by(readings, "by-sensor", "sensor"), "minutes",
        &(struct leat_window_opts){
            .kind = LEAT_WINDOW_TUMBLING,
            .size_us = LEAT_MINUTES(1),
            .allowed_lateness_us = LEAT_MINUTES(1),
            .triggers = { LEAT_ON_TRIGGER(&warmer_trigger), LEAT_ON_WATERMARK, LEAT_LATE_ON_COUNT(2) },
        });
    leat_stream *highest = leat_aggregate(minutes, "highest",
        &(struct leat_aggregate_opts){
            .aggs = { LEAT_COUNT("readings"), LEAT_MAX("celsius", "highest") },
            .out = &minute_type,
        });
    leat_file_sink(highest, "out", &(struct leat_file_sink_opts){ .path = "minutes.jsonl" });
    return t;
}

static void print_clock(const char *before, int64_t us)
{
    const int64_t ms = us / 1000 - NOON;
    printf(
        "%s%02d:%02d:%02d", before, (int)(12 + ms / 3600000), (int)(ms / 60000 % 60), (int)(ms / 1000 % 60));
}

/* What came out since the last time. */
static void print_results(leat_test *test)
{
    static const char *const panes[] = { "EARLY", "ON_TIME", "LATE" };
    const struct minute *m;
    while ((m = leat_test_read(test, "out")) != NULL) {
        print_clock("    pane of ", m->window_start * 1000);
        printf(": %lld readings, highest %.1f, %s, index %lld\n", (long long)m->readings, m->highest,
            panes[m->pane], (long long)m->pane_index);
    }
}

int main(void)
{
    static const struct {
        int64_t at_ms; /* after noon */
        double celsius;
    } readings[] = { { 1000, 20 }, { 5000, 21 }, { 9000, 22.5 }, { 20000, 21 }, { 36000, 21 }, { 50000, 24 },
        { 66000, 20 }, { 40000, 24.5 }, { 41000, 23 }, { 42000, 24.5 } };
    leat_topology *t = declare();
    leat_test *test = leat_test_new(t, NULL);
    for (size_t i = 0; i < sizeof readings / sizeof readings[0]; i++) {
        const struct reading r = {
            .sensor = LEAT_SV("attic"), .celsius = readings[i].celsius, .at = NOON + readings[i].at_ms
        };
        leat_test_pipe(test, "readings", &r);
        print_clock("reading ", r.at * 1000);
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
