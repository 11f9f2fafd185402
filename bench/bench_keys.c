/* bench/bench_keys.c -- what does a row cost as its keys become more than the caches, and than memory, hold?
 *
 * Count and sum by key in one window that never ends, on one worker, rows generated: 1,000 to 100,000,000 keys, uniform and
 * Zipf (0.99). Every key comes once first; the figure is of the rows behind. With a budget, state beyond it goes to disk.
 * Prints processor and wall time per row, resident memory, and bytes per key (of what resident memory grew by).
 *
 *   bench_keys KEYS uniform|zipf [ROWS [BUDGET-MIB]] */
#include "bench/bids.h"
#include "tick.h"
#include "tick_sum.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SAMPLES (1u << 24)

static uint32_t *samples; /* keys behind the first of each, over and over */
static uint64_t keys, rows;
static double cpu_from_s, wall_from_s; /* when every key had come */
static uint64_t before_bytes;

static void make_tick(struct leat_ctx *ctx, uint64_t seed, uint64_t index, struct tick *tick)
{
    (void)ctx;
    (void)seed;
    if (index == keys) {
        cpu_from_s = bench_cpu_s();
        wall_from_s = bench_wall_s();
    }
    tick->key = (int64_t)(index < keys ? index : samples[index % SAMPLES]);
    tick->value = (int64_t)(index & 1023);
    tick->at = (int64_t)index;
}
LEAT_DEFINE_GENERATOR(make_tick, tick);

static void sample(bool zipf)
{
    const double s = 1 - 0.99, top = (pow((double)keys, s) - 1) / s;
    for (uint32_t i = 0; i < SAMPLES; i++) {
        const double u = (double)(leat_random(2, i, 0) >> 11) * 0x1p-53;
        const double rank =
            pow(1 + s * u * top, 1 / s) - 1; /* of the continuous distribution: close enough */
        samples[i] = zipf ? (uint32_t)((uint64_t)rank * UINT64_C(2654435761) % keys)
                          : (uint32_t)leat_random_below(1, i, 0, keys);
    }
}

/* The window stays open: the job is stopped behind its last row, not drained. */
static void on_progress(void *arg, const struct leat_progress *p)
{
    if (p->source_records >= keys + rows)
        leat_job_stop(*(leat_job **)arg);
}

int main(int argc, char **argv)
{
    static leat_job *job;
    struct leat_error err = { 0 };
    char dir[] = "/tmp/leat-keys-XXXXXX", command[64];
    keys = argc > 2 ? strtoull(argv[1], NULL, 10) : 0;
    const bool zipf = argc > 2 && strcmp(argv[2], "zipf") == 0;
    rows = argc > 3 ? strtoull(argv[3], NULL, 10) : 20000000;
    const uint64_t budget_mib = argc > 4 ? strtoull(argv[4], NULL, 10) : 0;
    samples = calloc(SAMPLES, sizeof *samples);
    if (keys == 0 || keys > UINT32_MAX || rows == 0 || !samples || !mkdtemp(dir)) {
        (void)fprintf(stderr, "Usage: %s KEYS uniform|zipf [ROWS [BUDGET-MIB]]\n", argv[0]);
        return 2;
    }
    sample(zipf);
    before_bytes = bench_resident_bytes();
    leat_topology *t = leat_topology_new("keys");
    leat_stream *in = leat_generator_source(t, "ticks",
        &(struct leat_generator_source_opts){ .fn = &make_tick_generator, .seed = 7, .event_time = "at" });
    const struct leat_window_opts window = { .kind = LEAT_WINDOW_TUMBLING,
        .size_us = LEAT_HOURS(24 * 365 * 100) };
    leat_stream *sums =
        leat_aggregate(leat_window(leat_group_by(in, "by-key", "key"), "for-ever", &window), "sums",
            &(struct leat_aggregate_opts){
                .aggs = { LEAT_COUNT("ticks"), LEAT_SUM("value", "total") }, .out = &tick_sum_type });
    leat_memory_sink(sums, "out", &(struct leat_memory_sink_opts){ .encode = true });
    const struct leat_job_opts opts = { .parallelism = 1,
        .on_progress = on_progress,
        .progress_arg = &job,
        .progress_interval_us = 5000,
        .state_dir = budget_mib ? dir : NULL,
        .state_budget_bytes = budget_mib << 20 };
    if (leat_job_new(t, &opts, &job, &err) < 0 || leat_job_run(job) < 0) {
        (void)fprintf(stderr, "bench: %s\n", err.code ? err.message : leat_job_error(job)->message);
        return 1;
    }
    const double read = (double)(leat_job_progress(job)->source_records - keys);
    const uint64_t resident = bench_resident_bytes();
    printf("keys/%s keys=%llu budget=%llu: %.1f ns/row processor, %.1f wall, %.0f MiB resident, %.0f bytes a "
           "key\n",
        zipf ? "zipf" : "uniform", (unsigned long long)keys, (unsigned long long)budget_mib,
        (bench_cpu_s() - cpu_from_s) / read * 1e9, (bench_wall_s() - wall_from_s) / read * 1e9,
        (double)resident / (1u << 20), (double)(resident - before_bytes) / (double)keys);
    leat_job_free(job);
    leat_topology_free(t);
    free(samples);
    (void)snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command) != 0;
}
