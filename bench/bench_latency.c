/* bench/bench_latency.c -- how long does a result take at a fixed load?
 *
 * Open loop: record i is due at start + i / rate, whether the job keeps up or not, so that waiting for a slow moment counts for
 * every record that it delays. Two jobs on one worker:
 *   each     filter and map; latency of a record: from when it was due until its result is at the sink
 *   window   count by 10,000 keys in hopping windows of 1 s every 200 ms of event time, which is the time a record is due;
 *            latency of a result: from the end of its window
 * at 10,000 to 1,000,000 records a second, without checkpoints and with one every second. The first second does not count.
 *
 *   bench_latency [SECONDS-EACH [RATE]] */
#include "bench/bids.h"
#include "tick.h"
#include "tick_pane.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define KEYS 10000
#define SLIDE_US 200000
#define WARM_UP_US 1000000

static int64_t start_us; /* when record 0 was due; 0: not yet */
static uint64_t rate;
static uint32_t *latencies; /* microseconds */
static size_t latencies_count, latencies_max;

static int64_t now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void make_due(struct leat_ctx *ctx, uint64_t seed, uint64_t index, struct tick *tick)
{
    if (start_us == 0)
        start_us = leat_ctx_now_us(ctx); /* the clock by which the source knows what is due */
    tick->key = (int64_t)leat_random_below(seed, index, 0, KEYS);
    tick->value = (int64_t)(index & 1023);
    tick->at = start_us + (int64_t)(index * 1000000 / rate);
}
LEAT_DEFINE_GENERATOR(make_due, tick);

static void note(int64_t due_us)
{
    const int64_t late_us = now_us() - due_us;
    if (due_us - start_us < WARM_UP_US || latencies_count == latencies_max)
        return;
    latencies[latencies_count++] = late_us < 0 ? 0 : late_us > UINT32_MAX ? UINT32_MAX : (uint32_t)late_us;
}

static void note_record(struct leat_ctx *ctx, const struct tick *tick)
{
    (void)ctx;
    note(tick->at);
}
LEAT_DEFINE_PEEK(note_record, tick);

static void note_pane(struct leat_ctx *ctx, const struct tick_pane *pane)
{
    (void)ctx;
    note(pane->window_end);
}
LEAT_DEFINE_PEEK(note_pane, tick_pane);

static leat_topology *declare(bool windows, uint64_t count)
{
    leat_topology *t = leat_topology_new("latency");
    leat_stream *in = leat_generator_source(t, "ticks",
        &(struct leat_generator_source_opts){
            .fn = &make_due_generator, .seed = 7, .count = count, .rate_per_s = rate, .event_time = "at" });
    leat_stream *out;
    if (windows) {
        const struct leat_window_opts window = {
            .kind = LEAT_WINDOW_HOPPING, .size_us = 5 * SLIDE_US, .slide_us = SLIDE_US
        };
        out = leat_aggregate(leat_window(leat_group_by(in, "by-key", "key"), "1s", &window), "counts",
            &(struct leat_aggregate_opts){ .aggs = { LEAT_COUNT("ticks") }, .out = &tick_pane_type });
        out = leat_peek(out, "note", &note_pane_peek);
    } else {
        out = leat_peek(leat_filter_expr(in, "half", "value % 2 == 0"), "note", &note_record_peek);
    }
    leat_memory_sink(out, "out", &(struct leat_memory_sink_opts){ .encode = true });
    return t;
}

static int by_size(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static double percentile_ms(double share)
{
    const size_t i = (size_t)(share * (double)latencies_count);
    return latencies_count == 0 ? 0 : latencies[i < latencies_count ? i : latencies_count - 1] / 1e3;
}

static void run(bool windows, bool checkpoints, double seconds)
{
    const uint64_t count = (uint64_t)(seconds * (double)rate);
    struct leat_error err = { 0 };
    char dir[] = "/tmp/leat-latency-XXXXXX", command[64];
    leat_job *job;
    start_us = 0;
    latencies_count = 0;
    if (!mkdtemp(dir)) {
        perror("bench: mkdtemp");
        exit(1);
    }
    leat_topology *t = declare(windows, count);
    const struct leat_job_opts opts = { .parallelism = 1,
        .checkpoint_dir = checkpoints ? dir : NULL,
        .checkpoint_interval_us = checkpoints ? 1000000 : 0 };
    const double cpu_s = bench_cpu_s();
    if (leat_job_new(t, &opts, &job, &err) < 0 || leat_job_run(job) < 0) {
        (void)fprintf(stderr, "bench: %s\n", err.code ? err.message : leat_job_error(job)->message);
        exit(1);
    }
    const double busy = (bench_cpu_s() - cpu_s) / seconds;
    leat_job_free(job);
    leat_topology_free(t);
    (void)snprintf(command, sizeof command, "rm -rf %s", dir);
    if (system(command) != 0)
        exit(1);
    qsort(latencies, latencies_count, sizeof *latencies, by_size);
    printf("latency/%s %s rate=%llu: p50 %.2f ms, p99 %.2f, p99.9 %.2f, p99.99 %.2f, max %.2f; %zu results, "
           "%.0f %% of a core\n",
        windows ? "window" : "each", checkpoints ? "checkpoints" : "plain", (unsigned long long)rate,
        percentile_ms(0.5), percentile_ms(0.99), percentile_ms(0.999), percentile_ms(0.9999),
        percentile_ms(1), latencies_count, 100 * busy);
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    static const uint64_t rates[] = { 10000, 100000, 500000, 1000000 };
    const double seconds = argc > 1 ? atof(argv[1]) : 4;
    const uint64_t only = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
    if (seconds <= 1 || seconds > 60) {
        (void)fprintf(stderr, "Usage: %s [seconds-each (2 to 60) [rate]]\n", argv[0]);
        return 2;
    }
    latencies_max = (size_t)(seconds * 1000000) + 1;
    latencies = calloc(latencies_max, sizeof *latencies);
    if (!latencies)
        return 1;
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        rate = only ? only : rates[i];
        for (int kind = 0; kind < 4; kind++)
            run(kind & 1, kind & 2, seconds);
        if (only)
            break;
    }
    free(latencies);
    return 0;
}
