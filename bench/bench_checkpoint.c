/* bench/bench_checkpoint.c -- what does durability cost a whole job?
 *
 * 1. A keyed sum with checkpoints beside the same job without: 1e3, 1e5, 1e7 keys, uniform and Zipf (0.99).
 *    Target: at most 10 % slower under the budget.
 * 2. Longest piece of work that a checkpoint makes a worker do, and time to the manifest, with 0.1, 1 and 4 GiB
 *    of state of which 1 % or all is dirty. Targets: 20 ms at 1 GiB, 0.3 us a dirty entry.
 * 3. From the start of a job on such a checkpoint to its first output, with its files in the system's page cache
 *    and without. Target: 0.5 s for 1 GiB. What the job before has written is synced first.
 * One worker; generated rows; one window that never ends. Rates are rows a second of wall time.
 *
 *   bench_checkpoint [seconds-each [largest-GiB]]                all of it
 *   bench_checkpoint rates SECONDS [INTERVAL-SECONDS [KEYS]]     1; with KEYS, for that many only
 *   bench_checkpoint pauses GIB PERCENT [CHECKPOINTS [DIR]]      2 and 3 for one size; into DIR, which stays
 *   bench_checkpoint recover DIR [WORKERS]                       3 again, on what stayed in DIR */
#include "base/env.h"
#include "bench/bids.h"
#include "runtime/tree.h"
#include "state/store.h"
#include "tick.h"
#include "tick_sum.h"
#include <fcntl.h>
#include <leat/leat.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SAMPLES (1u << 24)
#define SHOTS_MAX 512

static uint32_t *samples; /* keys of rows of part 1, over and over */
static uint64_t keys_count, dirty_keys; /* parts 2 and 3 */
static uint32_t workers = 1;

static void check(int result, const struct leat_error *err)
{
    if (result < 0) {
        (void)fprintf(stderr, "bench: %s\n", err->message);
        exit(1);
    }
}

/* ---- rows ---- */

static void make_sampled(struct leat_ctx *ctx, uint64_t seed, uint64_t index, struct tick *tick)
{
    (void)ctx;
    (void)seed;
    tick->key = samples[index % SAMPLES];
    tick->value = (int64_t)(index & 1023);
    tick->at = (int64_t)index;
}
LEAT_DEFINE_GENERATOR(make_sampled, tick);

/* Every key once, then some of them at random. */
static void make_filling(struct leat_ctx *ctx, uint64_t seed, uint64_t index, struct tick *tick)
{
    (void)ctx;
    tick->key = (int64_t)(index < keys_count ? index : leat_random_below(seed, index, 0, dirty_keys));
    tick->value = (int64_t)(index & 1023);
    tick->at = (int64_t)index;
}
LEAT_DEFINE_GENERATOR(make_filling, tick);

static void sample_uniform(uint32_t keys)
{
    for (uint32_t i = 0; i < SAMPLES; i++)
        samples[i] = (uint32_t)leat_random_below(1, i, 0, keys);
}

/* By inversion of the continuous distribution: close enough for what a cache sees. */
static void sample_zipf(uint32_t keys)
{
    const double s = 1 - 0.99, top = (pow(keys, s) - 1) / s;
    for (uint32_t i = 0; i < SAMPLES; i++) {
        const double u = (double)(leat_random(2, i, 0) >> 11) * 0x1p-53;
        const double rank = pow(1 + s * u * top, 1 / s) - 1;
        const uint64_t scattered = (uint64_t)rank * UINT64_C(2654435761);
        samples[i] = (uint32_t)(scattered % keys);
    }
}

/* ---- a job ---- */

struct shot { /* a checkpoint */
    double pause_ms, duration_ms;
    uint64_t dirty, bytes;
};

struct run {
    leat_job *job;
    double from_s, seconds;
    uint64_t fill_rows; /* checkpoints count when so many rows have been read */
    uint32_t shots_wanted; /* 0: stop by time */
    struct shot shots[SHOTS_MAX];
    uint32_t shots_count;
    uint64_t last_id;
    uint64_t rows;
    double rows_s, first_s; /* when rows were counted, and of the first output */
    bool stops_at_output, stopped;
};

static void note_checkpoint(struct run *run, const struct leat_progress *p)
{
    const struct leat_checkpoint_metrics *c = &p->checkpoints;
    if (c->last_id == run->last_id)
        return;
    run->last_id = c->last_id;
    if (p->source_records <= run->fill_rows || run->shots_count == SHOTS_MAX || run->stopped)
        return;
    run->shots[run->shots_count++] = (struct shot){ (double)c->last_pause_us / 1e3,
        (double)c->last_duration_us / 1e3, c->last_dirty_entries, c->last_bytes };
}

static void on_progress(void *arg, const struct leat_progress *p)
{
    struct run *run = arg;
    const double now_s = bench_wall_s() - run->from_s;
    note_checkpoint(run, p);
    if (p->sink_records > 0 && run->first_s == 0)
        run->first_s = now_s;
    if (run->stopped)
        return;
    run->rows = p->source_records;
    run->rows_s = now_s;
    const bool enough = run->shots_wanted ? run->shots_count > run->shots_wanted : now_s >= run->seconds;
    if (enough || (run->stops_at_output && run->first_s > 0)) {
        run->stopped = true;
        leat_job_stop(run->job);
    }
}

static void run_job(struct run *run, const struct leat_generator_fn *rows, uint64_t panes_each,
    const char *dir, int64_t interval_us)
{
    struct leat_error err = { 0 };
    leat_topology *t = leat_topology_new("sums");
    leat_stream *in = leat_generator_source(
        t, "ticks", &(struct leat_generator_source_opts){ .fn = rows, .seed = 7, .event_time = "at" });
    struct leat_window_opts window = { .kind = LEAT_WINDOW_TUMBLING, .size_us = LEAT_HOURS(24 * 365 * 100) };
    if (panes_each) {
        window.triggers[0] = (struct leat_trigger)LEAT_ON_WATERMARK;
        window.triggers[1] = (struct leat_trigger)LEAT_ON_COUNT(panes_each);
    }
    leat_stream *sums =
        leat_aggregate(leat_window(leat_group_by(in, "by-key", "key"), "for-ever", &window), "sums-of",
            &(struct leat_aggregate_opts){
                .aggs = { LEAT_COUNT("ticks"), LEAT_SUM("value", "total") }, .out = &tick_sum_type });
    leat_memory_sink(sums, "out", &(struct leat_memory_sink_opts){ .encode = true });
    const struct leat_job_opts opts = { .parallelism = workers,
        .on_progress = on_progress,
        .progress_arg = run,
        .progress_interval_us = run->stops_at_output ? 1000 : 20000,
        .checkpoint_dir = dir,
        .checkpoint_interval_us = interval_us,
        .restart = { .never = true } };
    check(leat_job_new(t, &opts, &run->job, &err), &err);
    run->from_s = bench_wall_s();
    check(leat_job_run(run->job), leat_job_error(run->job));
    leat_job_free(run->job);
    leat_topology_free(t);
}

/* ---- directories ---- */

static void make_dir(char *dir, size_t size)
{
    const char *base = getenv("TMPDIR");
    (void)snprintf(dir, size, "%s/leat-bench-%ld", base && *base ? base : "/tmp", (long)getpid());
}

static void remove_dir(const char *dir)
{
    struct leat_error err = { 0 };
    check(leat__tree_remove(leat__env_posix(), dir, NULL, &err), &err);
}

/* ---- the questions ---- */

static double rate(const char *dir, double seconds, double interval)
{
    static struct run run;
    run = (struct run){ .seconds = seconds };
    run_job(&run, &make_sampled_generator, 0, dir, dir ? (int64_t)(interval * 1e6) : 0);
    if (dir)
        remove_dir(dir);
    return (double)run.rows / run.rows_s;
}

static void bench_rates(const char *dir, double seconds, double interval, uint32_t only)
{
    static const uint32_t keys[] = { 1000, 100000, 10000000 };
    samples = malloc(SAMPLES * sizeof *samples);
    if (!samples)
        exit(1);
    printf("sum by key, %.0f s each, a checkpoint every %.1f s (target: at most 10 %% slower)\n", seconds,
        interval);
    for (uint32_t i = 0; i < 6; i++) {
        if (only && keys[i / 2] != only)
            continue;
        if (i % 2)
            sample_zipf(keys[i / 2]);
        else
            sample_uniform(keys[i / 2]);
        const double plain = rate(NULL, seconds, 0), durable = rate(dir, seconds, interval);
        printf("  %8u keys, %-7s  %6.2f M rows/s without, %6.2f with: %+5.1f %%\n", keys[i / 2],
            i % 2 ? "Zipf" : "uniform", plain / 1e6, durable / 1e6, 100 * (durable / plain - 1));
        (void)fflush(stdout);
    }
    free(samples);
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void print_shots(const struct run *run)
{
    double pauses[SHOTS_MAX];
    double duration = 0, dirty = 0;
    const uint32_t n = run->shots_count;
    if (n == 0) {
        printf("no checkpoint was taken\n");
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        pauses[i] = run->shots[i].pause_ms;
        duration += run->shots[i].duration_ms / n;
        dirty += (double)run->shots[i].dirty / n;
    }
    qsort(pauses, n, sizeof *pauses, compare);
    printf("%3u checkpoints: pause p50 %6.2f p99 %6.2f ms; %9.0f entries dirty, %7.0f ms to the manifest, "
           "%5.0f ns/entry\n",
        n, pauses[n / 2], pauses[n * 99 / 100], dirty, duration, dirty > 0 ? duration * 1e6 / dirty : 0.0);
}

/* Out of the system's page cache with what lies below `dir`. */
static void make_cold(const char *dir)
{
    struct leat_arena arena = { 0 };
    struct leat_error err = { 0 };
    struct leat_tree_file *files;
    uint32_t count, dirs_count;
    const char **dirs;
    check(leat__tree_list(leat__env_posix(), dir, &arena, &files, &count, &dirs, &dirs_count, &err), &err);
    for (uint32_t i = 0; i < count; i++) {
        char path[LEAT_TREE_PATH_MAX];
        check(leat__tree_path(path, sizeof path, dir, files[i].name, &err), &err);
        const int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0) {
            (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
            (void)close(fd);
        }
    }
    leat__arena_release(&arena);
}

static double recover(const char *dir, bool cold)
{
    static struct run run;
    run = (struct run){ .seconds = 120, .stops_at_output = true };
    sync();
    if (cold)
        make_cold(dir);
    run_job(&run, &make_filling_generator, 4, dir, 0);
    return run.first_s * 1e3;
}

static void bench_recovery(const char *dir)
{
    double warm[3], cold[3];
    for (uint32_t i = 0; i < 3; i++) {
        warm[i] = recover(dir, false);
        cold[i] = recover(dir, true);
    }
    qsort(warm, 3, sizeof *warm, compare);
    qsort(cold, 3, sizeof *cold, compare);
    printf("%46s first output %.0f ms after the start (%.0f to %.0f), page cache cold: %.0f (%.0f to %.0f)\n",
        "goes on:", warm[1], warm[0], warm[2], cold[1], cold[0], cold[2]);
}

static void set_keys(double gib, uint32_t dirty_percent)
{
    keys_count = (uint64_t)(gib * 20e6);
    dirty_keys = keys_count / 100 * dirty_percent;
}

static void bench_pauses(const char *dir, double gib, uint32_t dirty_percent, uint32_t shots)
{
    static struct run run;
    set_keys(gib, dirty_percent);
    run = (struct run){ .fill_rows = keys_count, .shots_wanted = shots };
    run_job(&run, &make_filling_generator, 4, dir, 500000);
    printf("  %4.0f M keys, %3u %% of them dirty: ", (double)keys_count / 1e6, dirty_percent);
    print_shots(&run);
    if (run.shots_count)
        printf("%46s %.2f GiB\n", "on disk:", (double)run.shots[run.shots_count - 1].bytes / (1u << 30));
    bench_recovery(dir);
    (void)fflush(stdout);
}

static int bench_all(const char *dir, double seconds, double largest)
{
    static const double sizes[] = { 0.1, 1, 4 };
    if (seconds <= 0 || largest <= 0)
        return 2;
    bench_rates(dir, seconds, seconds * 0.4, 0);
    printf("checkpoints every 0.5 s (targets: pause 20 ms at 1 GiB, 300 ns a dirty entry, first output 500 "
           "ms)\n");
    for (uint32_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (uint32_t percent = 1; sizes[i] <= largest && percent <= 100; percent += 99) {
            bench_pauses(dir, sizes[i], percent, sizes[i] > 2 ? 4 : 12);
            remove_dir(dir);
        }
    return 0;
}

static int usage(const char *name)
{
    (void)fprintf(stderr,
        "Usage: %s [seconds-each [largest-GiB]]\n       %s rates SECONDS [INTERVAL-SECONDS [KEYS]]\n"
        "       %s pauses GIB PERCENT [CHECKPOINTS [DIR]]\n       %s recover DIR [WORKERS]\n",
        name, name, name, name);
    return 2;
}

static int bench_part(int argc, char **argv, const char *dir)
{
    if (strcmp(argv[1], "rates") == 0 && argc > 2 && atof(argv[2]) > 0) {
        const double seconds = atof(argv[2]);
        bench_rates(
            dir, seconds, argc > 3 ? atof(argv[3]) : seconds * 0.4, argc > 4 ? (uint32_t)atof(argv[4]) : 0);
        return 0;
    }
    if (strcmp(argv[1], "pauses") == 0 && argc > 3 && atof(argv[2]) > 0 && atoi(argv[3]) > 0) {
        const int shots = argc > 4 ? atoi(argv[4]) : 12;
        bench_pauses(argc > 5 ? argv[5] : dir, atof(argv[2]), (uint32_t)atoi(argv[3]),
            shots > 0 ? (uint32_t)shots : 12);
        if (argc <= 5)
            remove_dir(dir);
        return 0;
    }
    if (strcmp(argv[1], "recover") == 0 && argc > 2) {
        set_keys(1, 1);
        workers = argc > 3 && atoi(argv[3]) > 0 ? (uint32_t)atoi(argv[3]) : 1;
        bench_recovery(argv[2]);
        return 0;
    }
    return usage(argv[0]);
}

int main(int argc, char **argv)
{
    char dir[256];
    make_dir(dir, sizeof dir);
    printf("%s\n", leat__store_rocksdb_build());
    if (argc > 1 && atof(argv[1]) <= 0)
        return bench_part(argc, argv, dir);
    return bench_all(dir, argc > 1 ? atof(argv[1]) : 10, argc > 2 ? atof(argv[2]) : 1) ? usage(argv[0]) : 0;
}
