/* tests/unit/runtime/test_discovery.c -- splits that come while a job runs or while it is down, readers that are woken,
 * positions that are published; interrupted anywhere, on any number of workers (semantics 4, 9, 48). */
#include "runtime/job_private.h"
#include "runtime/tree.h"
#include "tests/support/epochs_sink.h"
#include "tests/support/growing.h"
#include "tests/support/scripted.h"
#include "tests/support/unit.h"
#include <leat/leat.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void run(leat_topology *t, struct growing *growing, const struct leat_job_opts *opts, const char *name)
{
    struct leat_error err = { 0 };
    FAIL_UNLESS(leat_job_new(t, opts, &growing->job, &err) == 0, "%s: %s", name, err.message);
    growing->rows_read = 0;
    const int result = leat_job_run(growing->job);
    FAIL_UNLESS(result == 0, "%s: %s", name, leat_job_error(growing->job)->message);
    leat_job_free(growing->job);
    leat_topology_free(t);
}

static void expect_published(struct growing *growing, const char *const *wanted, size_t count)
{
    FAIL_UNLESS(growing->published.count == count, "%zu were published: %s", growing->published.count,
        growing->published.count ? growing->published.at[0] : "");
    for (size_t i = 0; i < count; i++)
        FAIL_UNLESS(strcmp(growing->published.at[i], wanted[i]) == 0, "published %s, not %s",
            growing->published.at[i], wanted[i]);
    lines_clear(&growing->published);
}

/* ---- watermarks ---- */

#define MS INT64_C(1000)

static const struct growing_row early[] = { { 0, 10 }, { 2 * MS, 20 }, { 6 * MS, 60 }, { 9 * MS, 70 } };
static const struct growing_row joining[] = { { 0, 5 }, { 7 * MS, 61 }, { 8 * MS, 62 } };

struct seen_case {
    const char *name;
    struct growing growing;
    const char *seen; /* by the sink */
};

static const struct seen_case seen_cases[] = {
    { "a split that comes holds nothing back until it has caught up, then it does",
        { .partitions = { { 0, early, 4 }, { 3 * MS, joining, 3 } },
            .count = 2,
            .discover_us = 1 * MS,
            .stop_after = 7 },
        "(10) w9 (20) w19 (5) (60) w59 (61) (62) (70) w61" },
    { "without a look for splits none comes",
        { .partitions = { { 0, early, 4 }, { 3 * MS, joining, 3 } }, .count = 2, .stop_after = 4 },
        "(10) w9 (20) w19 (60) w59 (70) w69" },
    { "a job may begin without any split",
        { .partitions = { { 3 * MS, joining, 3 } }, .count = 1, .discover_us = 1 * MS, .stop_after = 3 },
        "(5) w4 (61) w60 (62) w61" },
    { "a split that has messages on their way is not idle",
        { .partitions = { { 0, early, 4 }, { 0, (const struct growing_row[]){ { 0, 1 }, { 7500, 2 } }, 2 } },
            .count = 2,
            .fetch_us = 4 * MS,
            .idle_timeout_us = 1 * MS,
            .stop_after = 6 },
        "(1) (10) w0 w9 (20) w19 (60) w59 (2) (70) w69" },
};

static void test_discovery__given_splits_that_come__then_time_goes_on_by_rule_4(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(seen_cases); i++) {
        struct growing growing = seen_cases[i].growing;
        struct scripted_log log = { 0 };
        leat_topology *t = leat_topology_new("growing");
        scripted_sink(growing_source(t, "in", &growing), "out", &log);
        run(t, &growing, &(struct leat_job_opts){ .parallelism = 1, .simulate = true }, seen_cases[i].name);
        FAIL_UNLESS(strcmp(log.text, seen_cases[i].seen) == 0, "%s: saw %s, not %s", seen_cases[i].name,
            log.text, seen_cases[i].seen);
    }
}

/* ---- interruptions ---- */

struct place {
    char root[64];
    struct epochs out;
};

static void print_fact(const void *record, int64_t event_us, char *text, size_t size)
{
    const struct fact *fact = record;
    (void)event_us;
    (void)snprintf(text, size, "%lld/%lld", (long long)fact->key, (long long)fact->value);
}

static void place_new(struct place *p)
{
    *p = (struct place){ .root = "/tmp/leat-discovery-XXXXXX", .out = { .print = print_fact } };
    assert_non_null(mkdtemp(p->root));
}

static void place_free(struct place *p)
{
    struct leat_error err = { 0 };
    assert_int_equal(leat__tree_remove(leat__env_posix(), p->root, NULL, &err), 0);
    lines_clear(&p->out.committed);
}

static leat_topology *counted(struct growing *growing, struct place *p)
{
    leat_topology *t = leat_topology_new("growing");
    epochs_sink(leat_filter_expr(growing_source(t, "in", growing), "all", "key >= 0"), "out", &p->out);
    return t;
}

static struct leat_job_opts opts_of(const struct place *p, uint32_t parallelism, uint64_t seed)
{
    return (struct leat_job_opts){ .parallelism = parallelism,
        .simulate = true,
        .seed = seed,
        .checkpoint_dir = p->root,
        .checkpoint_interval_us = 1500,
        .checkpoint_min_pause_us = 1 };
}

#define ROWS 40u
#define PARTITIONS 7u

/* Partition i comes at i ms and has a row every 300 us. */
static void fill(struct growing *growing, struct growing_row rows[PARTITIONS][ROWS], uint32_t partitions)
{
    growing->count = partitions;
    for (uint32_t i = 0; i < partitions; i++) {
        growing->partitions[i] = (struct growing_partition){ i * MS, rows[i], ROWS };
        for (uint32_t r = 0; r < ROWS; r++)
            rows[i][r] = (struct growing_row){ i * MS + r * 300, r };
    }
}

/* Runs until all rows were committed, each time for some rows, on other workers. */
static void run_in_parts(uint64_t seed, bool cancels)
{
    static struct growing_row rows[PARTITIONS][ROWS];
    struct growing growing = { .discover_us = 700, .latest = seed % 2, .cancels = cancels };
    const uint32_t skipped = growing.latest ? 1 : 0; /* the row that is there when the job begins */
    struct lines wanted = { 0 };
    struct place p;
    char what[64];
    place_new(&p);
    fill(&growing, rows, PARTITIONS);
    for (uint32_t i = 0; i < PARTITIONS; i++)
        for (uint32_t r = i == 0 ? skipped : 0; r < ROWS; r++)
            lines_add(&wanted, "%u/%u", i, r);
    for (uint64_t round = 0; p.out.committed.count < wanted.count; round++) {
        const struct leat_job_opts opts = opts_of(&p, 1 + (uint32_t)((seed + round) % 4), seed + round);
        const uint32_t left = (uint32_t)(wanted.count - p.out.committed.count);
        struct leat_error err = { 0 };
        leat_topology *t = counted(&growing, &p);
        growing.stop_after = 1 + (uint32_t)((seed * 7 + round * 13) % 60);
        growing.cancels = cancels && growing.stop_after < left && round < 20; /* it must get on some day */
        growing.stop_after = growing.stop_after < left ? growing.stop_after : left;
        growing.base_us = growing.last_us;
        growing.rows_read = 0;
        FAIL_UNLESS(leat_job_new(t, &opts, &growing.job, &err) == 0, "%s", err.message);
        const int result = leat_job_run(growing.job);
        FAIL_UNLESS(result == (growing.cancels ? LEAT_ECANCELLED : 0), "round %llu: %d %s",
            (unsigned long long)round, result, leat_job_error(growing.job)->message);
        leat_job_free(growing.job);
        leat_topology_free(t);
        assert_true(round < 1000);
    }
    (void)snprintf(what, sizeof what, "seed %llu", (unsigned long long)seed);
    lines_expect(what, &wanted, &p.out.committed);
    assert_true(growing.opened_bare > 0 && growing.discoveries > 0);
    lines_clear(&wanted);
    lines_clear(&growing.published);
    place_free(&p);
}

static uint64_t rounds(void)
{
    const char *text = getenv("LEAT_ROUNDS"); /* each syncs many small files */
    return text ? strtoull(text, NULL, 10) : 2;
}

static void test_discovery__given_stops_anywhere_on_any_workers__then_each_row_comes_once(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= rounds(); seed++)
        run_in_parts(seed, false);
}

static void test_discovery__given_cancels_anywhere_on_any_workers__then_each_row_comes_once(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= rounds(); seed++)
        run_in_parts(seed, true);
}

/* ---- where splits begin ---- */

static const struct growing_row old_and_new[] = { { 0, 1 }, { 0, 2 }, { 0, 3 }, { 5 * MS, 4 },
    { 9 * MS, 5 } };

/* The job begins behind three rows, and is stopped when it has a checkpoint and has read nothing; what came while it
 * was down is read all the same: "the latest" was one moment. */
static void test_discovery__given_a_begin_at_the_latest__then_it_is_in_the_checkpoint(void **state)
{
    struct growing growing = {
        .partitions = { { 0, old_and_new, 5 } }, .count = 1, .latest = true, .stop_after = 0
    };
    struct place p;
    struct lines wanted = { 0 };
    struct leat_error err = { 0 };
    (void)state;
    place_new(&p);
    struct leat_job_opts opts = opts_of(&p, 1, 3);
    leat_topology *t = counted(&growing, &p);
    assert_int_equal(leat_job_new(t, &opts, &growing.job, &err), 0);
    leat_job_stop(growing.job); /* before it has run: the last checkpoint is the first */
    assert_int_equal(leat_job_run(growing.job), 0);
    leat_job_free(growing.job);
    leat_topology_free(t);
    assert_int_equal(growing.rows_read, 0);
    growing.base_us = 20 * MS;
    growing.stop_after = 2;
    run(counted(&growing, &p), &growing, &opts, "later");
    lines_add(&wanted, "0/3");
    lines_add(&wanted, "0/4");
    lines_expect("later", &wanted, &p.out.committed);
    lines_clear(&wanted);
    lines_clear(&growing.published);
    place_free(&p);
}

/* ---- publishing ---- */

static void test_discovery__given_checkpoints__then_positions_are_published_behind_them(void **state)
{
    static const struct growing_row rows[] = { { 0, 1 }, { 0, 2 }, { 900, 3 }, { 1800, 4 } };
    static const struct growing_row few[] = { { 0, 1 } };
    struct growing growing = { .partitions = { { 0, rows, 4 }, { 0, few, 1 } }, .count = 2, .stop_after = 5 };
    struct place p;
    (void)state;
    place_new(&p);
    run(counted(&growing, &p), &growing,
        &(struct leat_job_opts){
            .parallelism = 2, .simulate = true, .checkpoint_dir = p.root, .checkpoint_interval_us = 1000 },
        "published");
    expect_published(&growing, (const char *const[]){ "1: log/0=3 log/1=1", "2: log/0=4 log/1=1" }, 2);
    assert_int_equal(growing.unpublished, 1);
    place_free(&p);
}

struct log_count {
    uint32_t discover, publish;
};

static void count_log(
    void *arg, enum leat_log_level level, const char *subject, const char *node, const char *text)
{
    struct log_count *count = arg;
    (void)subject;
    if (level != LEAT_LOG_WARN || !node)
        return;
    count->discover += strcmp(text, "new splits can not be looked for: the log says no") == 0;
    count->publish += strcmp(text, "positions can not be published: the log does not listen") == 0;
}

static void test_discovery__given_errors__then_they_are_logged_once_and_change_nothing(void **state)
{
    struct growing growing = { .partitions = { { 0, early, 4 } },
        .count = 1,
        .discover_us = 500,
        .discover_result = LEAT_ECONNECT,
        .publish_result = LEAT_ETIMEOUT,
        .stop_after = 4 };
    struct log_count count = { 0 };
    struct place p;
    (void)state;
    place_new(&p);
    struct leat_job_opts opts = opts_of(&p, 1, 1);
    opts.log = count_log;
    opts.log_arg = &count;
    run(counted(&growing, &p), &growing, &opts, "errors");
    assert_int_equal(p.out.committed.count, 4);
    assert_true(growing.discoveries > 3);
    assert_int_equal(count.discover, 1);
    assert_int_equal(count.publish, 1);
    place_free(&p);
}

/* ---- wake-ups ---- */

struct hand {
    struct growing *growing;
    uint32_t rows;
};

static void *put_rows(void *arg)
{
    struct hand *hand = arg;
    for (uint32_t i = 0; i < hand->rows; i++) {
        growing_put(hand->growing, i % 2);
        for (volatile uint32_t spin = 0; spin < (i % 7) * 1000; spin++)
            ;
    }
    return NULL;
}

/* Readers that wait for no time are read again whenever they are woken: else the job would never stop. */
static void test_discovery__given_readers_that_are_woken__then_every_row_is_read(void **state)
{
    enum { ROWS_EACH = 2000 };
    static struct growing_row rows[ROWS_EACH];
    struct growing growing = { .partitions = { { 0, rows, ROWS_EACH }, { 0, rows, ROWS_EACH } },
        .count = 2,
        .by_hand = true,
        .stop_after = 2 * ROWS_EACH };
    struct hand hand = { &growing, 2 * ROWS_EACH };
    pthread_t thread;
    (void)state;
    for (uint32_t i = 0; i < ROWS_EACH; i++)
        rows[i].at = i;
    leat_topology *t = leat_topology_new("woken");
    struct epochs out = { .print = print_fact };
    epochs_sink(growing_source(t, "in", &growing), "out", &out);
    assert_int_equal(pthread_create(&thread, NULL, put_rows, &hand), 0);
    run(t, &growing, &(struct leat_job_opts){ .parallelism = 2 }, "woken");
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(growing.rows_read, 2 * ROWS_EACH);
    assert_int_equal(out.committed.count, 2 * ROWS_EACH);
    lines_clear(&out.committed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_discovery__given_splits_that_come__then_time_goes_on_by_rule_4),
        cmocka_unit_test(test_discovery__given_stops_anywhere_on_any_workers__then_each_row_comes_once),
        cmocka_unit_test(test_discovery__given_cancels_anywhere_on_any_workers__then_each_row_comes_once),
        cmocka_unit_test(test_discovery__given_a_begin_at_the_latest__then_it_is_in_the_checkpoint),
        cmocka_unit_test(test_discovery__given_checkpoints__then_positions_are_published_behind_them),
        cmocka_unit_test(test_discovery__given_errors__then_they_are_logged_once_and_change_nothing),
        cmocka_unit_test(test_discovery__given_readers_that_are_woken__then_every_row_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
