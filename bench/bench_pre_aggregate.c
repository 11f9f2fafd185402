/* bench/bench_pre_aggregate.c -- what does it save to combine rows before the exchange?
 *
 * Two workers, each with half of the rows; count and sum by key in 10 s windows. Keys are uniform (100, 10,000,
 * 1,000,000), Zipf (of 100,000), or one key has half of the rows and 10,000 others share the rest. Each with
 * combining switched off, left to itself, and always: processor time and wall time per row (minima of interleaved
 * repetitions), and how many partials there were for a hundred records. Target: one hot key costs at most 2 times
 * as much as no skew.
 *
 *   bench_pre_aggregate [repetitions [rows]] */
#include "bench/bids.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODES 3
#define KINDS 5

struct figure {
    double cpu_s, wall_s;
    uint64_t partials, combined;
};

static const char *const names[KINDS] = { "uniform, 100 keys", "uniform, 10,000 keys",
    "uniform, 1,000,000 keys", "Zipf, 100,000 keys", "one key has half" };
static const char *const mode_names[MODES] = { "off", "auto", "always" };

static uint64_t random_below(uint64_t *seed, uint64_t n)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (*seed >> 33) % n;
}

static int64_t key_of(int kind, uint64_t *seed)
{
    switch (kind) {
    case 0:
        return (int64_t)random_below(seed, 100);
    case 1:
        return (int64_t)random_below(seed, 10000);
    case 2:
        return (int64_t)random_below(seed, 1000000);
    case 3: { /* exponent 1: the density falls as 1/k */
        const double u = (double)random_below(seed, 1u << 30) / (double)(1u << 30);
        return (int64_t)pow(100000.0, u);
    }
    default:
        return random_below(seed, 2) ? 0 : (int64_t)random_below(seed, 10000) + 1;
    }
}

/* Two runs of the same times: one for each split. */
static struct bid *make_rows(int kind, uint32_t count)
{
    struct bid *rows = calloc(count, sizeof *rows);
    uint64_t seed = 7;
    if (!rows)
        abort();
    for (uint32_t i = 0; i < count; i++) {
        rows[i].auction = key_of(kind, &seed);
        rows[i].price = (int64_t)random_below(&seed, 1000);
        rows[i].dateTime = (int64_t)(i % (count / 2)) / BIDS_PER_MS;
    }
    return rows;
}

static void run(const struct bid *rows, uint32_t count, int mode, struct figure *figure)
{
    struct leat_error err = { 0 };
    leat_job *job;
    leat_topology *t = leat_topology_new("combined");
    leat_stream *in = leat_memory_source(t, "bids",
        &(struct leat_memory_source_opts){
            .type = &bid_type, .rows = rows, .count = count, .splits = 2, .event_time = "dateTime" });
    leat_stream *counts = leat_aggregate(leat_window(leat_group_by(in, "by-auction", "auction"), "10s",
                                             &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING,
                                                 .size_us = LEAT_MILLIS(BIDS_WINDOW_MS) }),
        "counts", &(struct leat_aggregate_opts){ .aggs = { LEAT_COUNT("bids") }, .out = &bid_count_type });
    leat_memory_sink(counts, "out", &(struct leat_memory_sink_opts){ .encode = true });
    static const enum leat_pre_aggregate modes[MODES] = { LEAT_PRE_AGGREGATE_NEVER, LEAT_PRE_AGGREGATE_AUTO,
        LEAT_PRE_AGGREGATE_ALWAYS };
    const struct leat_job_opts opts = { .parallelism = 2, .pre_aggregate = modes[mode] };
    const double cpu_s = bench_cpu_s(), wall_s = bench_wall_s();
    if (leat_job_new(t, &opts, &job, &err) < 0 || leat_job_run(job) < 0) {
        (void)fprintf(stderr, "bench: %s\n", err.code ? err.message : leat_job_error(job)->message);
        exit(1);
    }
    const double cpu = bench_cpu_s() - cpu_s, wall = bench_wall_s() - wall_s;
    figure->cpu_s = figure->cpu_s == 0 || cpu < figure->cpu_s ? cpu : figure->cpu_s;
    figure->wall_s = figure->wall_s == 0 || wall < figure->wall_s ? wall : figure->wall_s;
    const struct leat_progress *progress = leat_job_progress(job);
    for (size_t i = 0; i < progress->nodes_count; i++)
        if (strcmp(progress->nodes[i].name, "counts") == 0) {
            figure->partials = progress->nodes[i].partials_in;
            figure->combined = progress->nodes[i].combined_records;
        }
    leat_job_free(job);
    leat_topology_free(t);
}

static void print(int kind, uint32_t count, const struct figure figures[MODES])
{
    for (int m = 0; m < MODES; m++)
        printf("%-26s %-7s %6.1f ns/row processor, %6.1f ns/row wall; %3.0f %% of the rows combined, %5.1f "
               "partials of 100\n",
            names[kind], mode_names[m], figures[m].cpu_s / count * 1e9, figures[m].wall_s / count * 1e9,
            100.0 * (double)figures[m].combined / count,
            figures[m].combined ? 100.0 * (double)figures[m].partials / (double)figures[m].combined : 0.0);
}

int main(int argc, char **argv)
{
    static struct figure figures[KINDS][MODES];
    const int repetitions = argc > 1 ? atoi(argv[1]) : 7;
    const uint32_t count = argc > 2 ? (uint32_t)atoi(argv[2]) : 1000000;
    if (repetitions < 1 || count < 1000) {
        (void)fprintf(stderr, "Usage: %s [repetitions [rows]]\n", argv[0]);
        return 2;
    }
    for (int kind = 0; kind < KINDS; kind++) {
        struct bid *rows = make_rows(kind, count);
        for (int i = 0; i < repetitions; i++)
            for (int m = 0; m < MODES; m++)
                run(rows, count, m, &figures[kind][m]);
        print(kind, count, figures[kind]);
        free(rows);
    }
    for (int m = 0; m < MODES; m++)
        printf("one hot key costs %.2f times 10,000 uniform ones: %s (target 2)\n",
            figures[4][m].wall_s / figures[1][m].wall_s, mode_names[m]);
    return 0;
}
