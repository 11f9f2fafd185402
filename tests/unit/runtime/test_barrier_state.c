/* tests/unit/runtime/test_barrier_state.c -- jobs with state that crash behind a checkpoint at every record of
 * their input: the windows that fire, the pairs that are found and the records that are late are those of a run
 * without interruption (semantics 9, 45, 48; docs/recovery.md, failures 43 to 45). */
#include "tests/unit/runtime/barrier_rig.h"
#include "tests/support/epochs_sink.h"
#include "tests/support/scenario.h"
#include "tests/support/scripted.h"
#include "tests/support/unit.h"
#include <leat/leat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RECORDS 200u
#define SPLITS_MAX 4u

struct outputs {
    struct epochs main, late, other;
};

typedef void (*print_fn)(const void *record, int64_t event_us, char *text, size_t size);

static struct outputs new_outputs(print_fn print)
{
    return (struct outputs){ .main = { .print = print },
        .late = { .print = scenario_print_fact, .word = "late " },
        .other = { .print = scenario_print_fact, .word = "other " } };
}

/* ---- inputs ---- */

static char scripts[2 * SPLITS_MAX][8192];
static const char *const splits[2 * SPLITS_MAX] = { scripts[0], scripts[1], scripts[2], scripts[3],
    scripts[4], scripts[5], scripts[6], scripts[7] };

static uint64_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

/* Records in time, but for disorder of up to 44, in scripts from..to-1 by turns; now and then the end of a read,
 * or with `silences` some time of nothing. */
static void write_scripts(uint64_t seed, uint32_t from, uint32_t to, bool silences)
{
    uint64_t random = seed;
    size_t len[2 * SPLITS_MAX] = { 0 };
    for (uint32_t i = from; i < to; i++)
        scripts[i][0] = '\0';
    for (uint32_t i = 0; i < RECORDS; i++) {
        const uint32_t s = from + (uint32_t)next_random(&random) % (to - from);
        char *at = scripts[s] + len[s];
        const size_t left = sizeof scripts[s] - len[s];
        const long long time = 3LL * i - (long long)(next_random(&random) % 45);
        const uint64_t dice = next_random(&random) % 40;
        int n;
        if (silences && dice == 0)
            n = snprintf(at, left, "+%u ", 1000u * (unsigned)(next_random(&random) % 50000));
        else if (dice == 1)
            n = snprintf(at, left, "| ");
        else
            n = snprintf(at, left, "%lld:%u ", time, (unsigned)next_random(&random) % 5);
        len[s] += (size_t)n;
        assert_true(len[s] < sizeof scripts[s]);
    }
}

/* ---- topologies ---- */

struct design {
    const char *name;
    leat_topology *(*make)(const struct design *design, struct outputs *outputs);
    uint32_t splits;
    int64_t idle_us;
    struct leat_window_opts window;
    struct leat_join_opts join;
};

static leat_stream *facts(leat_topology *t, const char *name, const struct design *design, uint32_t from)
{
    return scripted_source(t, name,
        &(struct scripted_source_opts){ .splits = splits + from,
            .splits_count = design->splits,
            .max_out_of_orderness_us = 5,
            .idle_timeout_us = design->idle_us,
            .on_error = LEAT_SKIP });
}

static leat_topology *make_windows(const struct design *design, struct outputs *outputs)
{
    leat_topology *t = leat_topology_new("windows");
    leat_stream *in = facts(t, "in", design, 0);
    leat_windowed_stream *windows =
        leat_window(leat_group_by(in, "by-key", "key"), "windows", &design->window);
    leat_stream *totals = leat_aggregate(windows, "totals",
        &(struct leat_aggregate_opts){
            .aggs = { LEAT_COUNT("rows"), LEAT_SUM("value", "sum") }, .out = &fact_total_type });
    epochs_sink(leat_late_records(windows), "late", &outputs->late);
    epochs_sink(totals, "out", &outputs->main);
    return t;
}

static leat_topology *make_join(const struct design *design, struct outputs *outputs)
{
    leat_topology *t = leat_topology_new("join");
    struct leat_join_opts opts = design->join;
    opts.left_key = "key";
    opts.out = &fact_pair_type;
    opts.fields[0] = (struct leat_projection){ "left.key", "key" };
    opts.fields[1] = (struct leat_projection){ "left.value", "left" };
    opts.fields[2] = (struct leat_projection){ "right.value", "right" };
    leat_stream *pairs =
        leat_join(facts(t, "left", design, 0), facts(t, "right", design, SPLITS_MAX), "pairs", &opts);
    epochs_sink(leat_late_left(pairs), "late-left", &outputs->late);
    epochs_sink(leat_late_right(pairs), "late-right", &outputs->other);
    epochs_sink(pairs, "out", &outputs->main);
    return t;
}

static const struct design designs[] = {
    { .name = "tumbling windows",
        .make = make_windows,
        .splits = 3,
        .window = { .kind = LEAT_WINDOW_TUMBLING, .size_us = 20 } },
    { .name = "early panes",
        .make = make_windows,
        .splits = 1,
        .window = { .kind = LEAT_WINDOW_TUMBLING,
            .size_us = 30,
            .accumulation = LEAT_DISCARDING,
            .triggers = { LEAT_ON_WATERMARK, LEAT_ON_COUNT(3) } } },
    { .name = "late panes",
        .make = make_windows,
        .splits = 1,
        .window = { .kind = LEAT_WINDOW_TUMBLING, .size_us = 15, .allowed_lateness_us = 12 } },
    { .name = "interval join", .make = make_join, .splits = 2, .join = { .within_us = 6 } },
    { .name = "interval join of single splits", .make = make_join, .splits = 1, .join = { .within_us = 15 } },
};

/* ---- running ---- */

struct variant {
    uint32_t parallelism, batch_rows, after; /* after: parallelism of the job that goes on */
};

static void open_job(struct barrier_rig *rig, const struct design *design, struct outputs *outputs,
    uint32_t parallelism, uint32_t batch_rows, uint64_t seed, const struct leat_restored *restored)
{
    barrier_rig_open(rig, design->make(design, outputs),
        &(struct barrier_rig_opts){ .parallelism = parallelism,
            .batch_rows = batch_rows,
            .channel_batches = 2,
            .seed = seed,
            .restored = restored,
            .with_state = true });
}

static uint64_t records_read(const struct barrier_rig *rig)
{
    uint64_t count = 0;
    for (uint32_t w = 0; w < rig->job->workers_count; w++)
        for (uint32_t i = 0; i < rig->job->workers[w].instances_count; i++)
            if (rig->job->workers[w].instances[i].source)
                count += rig->job->workers[w].instances[i].counters.records_out;
    return count;
}

static void run_with_crash(
    const struct design *design, const struct variant *v, uint32_t at, uint64_t seed, struct outputs *outputs)
{
    struct barrier_rig first, second;
    open_job(&first, design, outputs, v->parallelism, v->batch_rows, seed, NULL);
    while (records_read(&first) < at && barrier_rig_turn(&first))
        ;
    barrier_rig_ask(&first);
    barrier_rig_wait(&first);
    barrier_rig_commit(&first);
    open_job(&second, design, outputs, v->after, v->batch_rows, seed + 1, barrier_rig_take(&first, v->after));
    barrier_rig_finish(&second);
    barrier_rig_close(&second);
    barrier_rig_close(&first);
}

static void clear(struct outputs *outputs)
{
    lines_clear(&outputs->main.committed);
    lines_clear(&outputs->late.committed);
    lines_clear(&outputs->other.committed);
}

static void compare(const struct design *design, const struct variant *v, uint32_t at, struct outputs *want,
    struct outputs *got)
{
    char what[160];
    (void)snprintf(what, sizeof what, "%s, %u workers then %u, batches of %u, crash behind record %u",
        design->name, v->parallelism, v->after, v->batch_rows, at);
    lines_expect(what, &want->main.committed, &got->main.committed);
    lines_expect(what, &want->late.committed, &got->late.committed);
    lines_expect(what, &want->other.committed, &got->other.committed);
}

/* What a run without interruption gives. */
static void run_through(const struct design *design, struct outputs *want)
{
    struct barrier_rig rig;
    open_job(&rig, design, want, 1, 1, 1, NULL);
    barrier_rig_finish(&rig);
    barrier_rig_close(&rig);
    FAIL_UNLESS(want->main.committed.count > 10 && want->late.committed.count > 0, "%s: %zu lines, %zu late",
        design->name, want->main.committed.count, want->late.committed.count);
}

static void crash_everywhere(const struct variant *variants, size_t count, uint32_t step)
{
    for (size_t d = 0; d < COUNT_OF(designs); d++) {
        const struct design *design = &designs[d];
        const print_fn print = design->make == make_join ? scenario_print_pair : scenario_print_total;
        struct outputs want = new_outputs(print);
        write_scripts(7 + d, 0, design->splits, false);
        write_scripts(70 + d, SPLITS_MAX, SPLITS_MAX + design->splits, false);
        run_through(design, &want);
        for (size_t i = 0; i < count; i++)
            for (uint32_t at = (uint32_t)i % step; at <= 2 * RECORDS; at += at < RECORDS ? step : 7 * step) {
                struct outputs got = new_outputs(print);
                run_with_crash(design, &variants[i], at, at, &got);
                compare(design, &variants[i], at, &want, &got);
                clear(&got);
            }
        clear(&want);
    }
}

static void test_restore__given_a_crash_behind_any_record__then_nothing_is_lost_or_comes_twice(void **state)
{
    static const struct variant variants[] = { { 1, 1, 1 }, { 2, 1, 2 } };
    (void)state;
    crash_everywhere(variants, COUNT_OF(variants), 1);
}

static void test_restore__given_batches_and_more_workers__then_nothing_is_lost_or_comes_twice(void **state)
{
    static const struct variant variants[] = { { 1, 7, 1 }, { 3, 7, 3 }, { 2, 1024, 2 } };
    (void)state;
    crash_everywhere(variants, COUNT_OF(variants), 11);
}

static void test_restore__given_another_parallelism__then_nothing_is_lost_or_comes_twice(void **state)
{
    static const struct variant variants[] = { { 1, 1, 3 }, { 3, 1, 1 }, { 2, 7, 3 }, { 4, 1, 2 },
        { 1, 3, 8 } };
    (void)state;
    crash_everywhere(variants, COUNT_OF(variants), 13);
}

/* With silences, which rows are late is a matter of time; but each is in one window or late, and once. */
static void test_restore__given_idle_splits__then_every_row_is_counted_once(void **state)
{
    static const struct design design = { .name = "idle splits",
        .make = make_windows,
        .splits = 3,
        .idle_us = 20000000,
        .window = { .kind = LEAT_WINDOW_TUMBLING, .size_us = 20 } };
    static const struct variant variants[] = { { 1, 1, 1 }, { 2, 1, 2 }, { 3, 2, 1 }, { 2, 1, 4 } };
    (void)state;
    for (uint32_t seed = 1; seed <= 40; seed++) {
        struct outputs outputs = new_outputs(scenario_print_total);
        uint64_t rows = 0, in_windows = 0;
        write_scripts(seed, 0, 3, true);
        for (uint32_t s = 0; s < 3; s++)
            for (const char *at = scripts[s]; (at = strchr(at, ':')); at++)
                rows++;
        run_with_crash(&design, &variants[seed % COUNT_OF(variants)], seed * 5, seed, &outputs);
        for (size_t i = 0; i < outputs.main.committed.count; i++)
            in_windows += strtoull(strchr(outputs.main.committed.at[i], ')') + 1, NULL, 10);
        FAIL_UNLESS(in_windows + outputs.late.committed.count == rows,
            "seed %u: %llu rows, %llu in windows, %zu late", seed, (unsigned long long)rows,
            (unsigned long long)in_windows, outputs.late.committed.count);
        clear(&outputs);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_restore__given_a_crash_behind_any_record__then_nothing_is_lost_or_comes_twice),
        cmocka_unit_test(test_restore__given_batches_and_more_workers__then_nothing_is_lost_or_comes_twice),
        cmocka_unit_test(test_restore__given_another_parallelism__then_nothing_is_lost_or_comes_twice),
        cmocka_unit_test(test_restore__given_idle_splits__then_every_row_is_counted_once),
    };
    if (access("/dev/shm", W_OK) == 0)
        (void)setenv("TMPDIR", "/dev/shm", 0); /* a few thousand small directories */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
