/* tests/integration/test_checkpoints.c -- when checkpoints are taken, what they leave behind, how they fail: a
 * job with windows, a join and file sinks, through the public API. */
#include "tests/support/durable.h"
#include "tests/support/unit.h"
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT 20000

static void assert_state(enum leat_job_state got, enum leat_job_state want, const struct leat_error *err)
{
    FAIL_UNLESS(got == want, "state %d, not %d: %s", (int)got, (int)want, err->message);
}

static void stop_at(void *arg, struct leat_ctx *ctx, uint64_t n)
{
    struct durable *d = arg;
    (void)ctx;
    if (n == d->cancel_at)
        leat_job_stop(__atomic_load_n(&d->running, __ATOMIC_ACQUIRE));
}

static void test_checkpoints__given_a_high_rate__then_results_are_those_without(void **state)
{
    (void)state;
    struct durable d;
    struct lines expected = { 0 };
    durable_init(&d, 1, COUNT);
    d.rate_per_s = 20000;
    durable_expected(&d, &expected);
    const uint32_t parallelisms[] = { 1, 2, 4 };
    for (size_t i = 0; i < COUNT_OF(parallelisms); i++) {
        struct leat_error err = { 0 };
        struct leat_checkpoint_metrics metrics;
        const struct leat_job_opts opts = durable_opts(&d, parallelisms[i]);
        assert_state(durable_run(&d, &opts, &err, &metrics), LEAT_JOB_FINISHED, &err);
        durable_expect("checkpoints", &d, &expected);
        FAIL_UNLESS(metrics.completed >= 2, "only %llu checkpoints", (unsigned long long)metrics.completed);
        assert_int_equal(metrics.failed, 0);
        assert_int_equal(durable_checkpoints(&d, NULL), 1);
        durable_release(&d);
        const uint64_t rate = d.rate_per_s;
        durable_init(&d, 1, COUNT);
        d.rate_per_s = rate;
    }
    durable_release(&d);
    lines_clear(&expected);
}

static void stop_with_four(void *arg, const struct leat_progress *progress)
{
    struct durable *d = arg;
    if (progress->checkpoints.completed >= 4)
        leat_job_stop(__atomic_load_n(&d->running, __ATOMIC_ACQUIRE));
}

static void test_checkpoints__given_a_number_to_keep__then_that_many_stay(void **state)
{
    (void)state;
    struct durable d;
    struct leat_error err = { 0 };
    struct leat_checkpoint_metrics metrics;
    durable_init(&d, 1, 0);
    d.rate_per_s = 100000;
    struct leat_job_opts opts = durable_opts(&d, 1);
    opts.checkpoints_retained = 3;
    opts.on_progress = stop_with_four;
    opts.progress_arg = &d;
    opts.progress_interval_us = 5000;
    assert_state(durable_run(&d, &opts, &err, &metrics), LEAT_JOB_STOPPED, &err);
    assert_true(metrics.completed >= 4);
    uint64_t newest;
    assert_int_equal(durable_checkpoints(&d, &newest), 3);
    assert_int_equal(newest, metrics.last_id);
    durable_release(&d);
}

static void test_checkpoints__given_metrics__then_they_say_what_the_last_one_was(void **state)
{
    (void)state;
    struct durable d;
    struct leat_error err = { 0 };
    struct leat_checkpoint_metrics metrics;
    durable_init(&d, 1, 0);
    d.rate_per_s = 50000;
    const struct leat_job_opts opts = durable_opts(&d, 2);
    d.on_record = stop_at;
    d.on_record_arg = &d;
    d.cancel_at = 10000;
    assert_state(durable_run(&d, &opts, &err, &metrics), LEAT_JOB_STOPPED, &err);
    assert_int_equal(metrics.failed, 0);
    assert_int_equal(metrics.restored_id, 0);
    assert_int_equal(metrics.last_id, metrics.completed);
    assert_true(metrics.last_at_us > INT64_C(1600000000000000));
    assert_true(metrics.last_duration_us > 0);
    assert_true(metrics.last_align_us > 0 && metrics.last_align_us <= metrics.last_duration_us);
    assert_true(metrics.last_pause_us > 0 && metrics.last_pause_us <= metrics.last_duration_us);
    assert_true(metrics.last_bytes > 0 && metrics.last_new_bytes > 0);
    assert_true(metrics.last_new_bytes <= metrics.last_bytes);
    assert_true(metrics.last_dirty_entries > 0);
    durable_release(&d);
}

#define TIMEOUT_US 2000000 /* no checkpoint takes that long by itself, on the slowest of machines */

static bool given_up; /* atomic */

static void note_given_up(
    void *arg, enum leat_log_level level, const char *subject, const char *node, const char *text)
{
    (void)arg;
    (void)level;
    (void)subject;
    (void)node;
    if (strstr(text, "given up"))
        __atomic_store_n(&given_up, true, __ATOMIC_RELEASE);
}

/* Holds a worker for longer than a checkpoint may take, at each batch from the 6000th record on until one was given up:
 * one that is being completed may need the worker, and has no timeout any more. */
static void hold(void *arg, struct leat_ctx *ctx, uint64_t n)
{
    (void)arg;
    if (n < 6000 || ctx->row != 0)
        return;
    for (int64_t us = 0; us < 2 * TIMEOUT_US && !__atomic_load_n(&given_up, __ATOMIC_ACQUIRE); us += 1000)
        (void)usleep(1000);
}

static void test_checkpoints__given_a_worker_that_is_stuck__then_one_is_given_up_and_the_next_covers_it(
    void **state)
{
    (void)state;
    struct durable d;
    struct lines expected = { 0 };
    struct leat_error err = { 0 };
    struct leat_checkpoint_metrics metrics;
    durable_init(&d, 1, COUNT);
    durable_expected(&d, &expected);
    d.rate_per_s = 20000;
    struct leat_job_opts opts = durable_opts(&d, 2);
    opts.checkpoint_timeout_us = TIMEOUT_US;
    opts.checkpoint_failures_tolerated = LEAT_ANY;
    opts.log = note_given_up;
    d.on_record = hold;
    __atomic_store_n(&given_up, false, __ATOMIC_RELEASE);
    assert_state(durable_run(&d, &opts, &err, &metrics), LEAT_JOB_FINISHED, &err);
    assert_true(metrics.failed >= 1);
    assert_true(metrics.completed >= 1);
    durable_expect("after a timeout", &d, &expected);
    assert_int_equal(durable_checkpoints(&d, NULL), 1);
    durable_release(&d);

    durable_init(&d, 1, COUNT); /* none is tolerated */
    d.rate_per_s = 20000;
    d.on_record = hold;
    __atomic_store_n(&given_up, false, __ATOMIC_RELEASE);
    opts.checkpoint_dir = d.checkpoints;
    opts.checkpoint_failures_tolerated = 0;
    assert_state(durable_run(&d, &opts, &err, &metrics), LEAT_JOB_FAILED, &err);
    assert_int_equal(err.code, LEAT_ETIMEOUT);
    assert_non_null(strstr(err.message, "checkpoint_timeout_us"));
    d.on_record = NULL;
    opts.checkpoint_timeout_us = 0;
    assert_state(durable_run(&d, &opts, &err, &metrics), LEAT_JOB_FINISHED, &err);
    durable_expect("after the failure", &d, &expected);
    durable_release(&d);
    lines_clear(&expected);
}

static void test_checkpoints__given_a_minimum_pause__then_fewer_are_taken(void **state)
{
    (void)state;
    uint64_t completed[2];
    for (int i = 0; i < 2; i++) {
        struct durable d;
        struct leat_error err = { 0 };
        struct leat_checkpoint_metrics metrics;
        durable_init(&d, 1, COUNT);
        d.rate_per_s = 100000;
        struct leat_job_opts opts = durable_opts(&d, 2);
        opts.simulate = true;
        opts.checkpoint_interval_us = LEAT_MILLIS(10);
        opts.checkpoint_min_pause_us = i ? LEAT_MILLIS(40) : 0;
        assert_state(durable_run(&d, &opts, &err, &metrics), LEAT_JOB_FINISHED, &err);
        completed[i] = metrics.completed;
        durable_release(&d);
    }
    /* 200 ms of virtual time: one each 10 ms, or each 40 ms, and the last one. */
    FAIL_UNLESS(completed[0] >= 18 && completed[0] <= 22, "%llu", (unsigned long long)completed[0]);
    FAIL_UNLESS(completed[1] >= 4 && completed[1] <= 7, "%llu", (unsigned long long)completed[1]);
}

static void test_checkpoints__given_at_least_once__then_an_undisturbed_run_is_still_exact(void **state)
{
    (void)state;
    struct durable d;
    struct lines expected = { 0 };
    struct leat_error err = { 0 };
    durable_init(&d, 1, COUNT);
    durable_expected(&d, &expected);
    d.rate_per_s = 100000;
    struct leat_job_opts opts = durable_opts(&d, 3);
    opts.delivery = LEAT_AT_LEAST_ONCE;
    assert_state(durable_run(&d, &opts, &err, NULL), LEAT_JOB_FINISHED, &err);
    durable_expect("at least once", &d, &expected);
    durable_release(&d);
    lines_clear(&expected);
}

static void test_checkpoints__given_a_job_that_has_finished__when_run_again__then_nothing_happens(
    void **state)
{
    (void)state;
    struct durable d;
    struct lines expected = { 0 };
    struct leat_error err = { 0 };
    struct durable_log log = { "" };
    durable_init(&d, 1, COUNT);
    durable_expected(&d, &expected);
    struct leat_job_opts opts = durable_opts(&d, 2);
    opts.log = durable_log;
    opts.log_arg = &log;
    for (int i = 0; i < 3; i++) {
        log.text[0] = '\0';
        assert_state(durable_run(&d, &opts, &err, NULL), LEAT_JOB_FINISHED, &err);
        durable_expect("finished", &d, &expected);
        if (i > 0) {
            assert_int_equal(d.records_seen, 0);
            assert_non_null(strstr(log.text, "finished already"));
            assert_non_null(strstr(log.text, "restore.fresh"));
        }
    }
    durable_release(&d);
    lines_clear(&expected);
}

static void test_checkpoints__given_a_small_budget__then_results_are_the_same(void **state)
{
    (void)state;
    static const uint64_t budgets[] = { 1, 100000, 4 << 20 };
    struct lines expected = { 0 };
    for (size_t i = 0; i < COUNT_OF(budgets); i++) {
        struct durable d;
        struct leat_error err = { 0 };
        durable_init(&d, 1, COUNT);
        if (!expected.count)
            durable_expected(&d, &expected);
        struct leat_job_opts opts = durable_opts(&d, 2);
        opts.state_budget_bytes = budgets[i];
        assert_state(durable_run(&d, &opts, &err, NULL), LEAT_JOB_FINISHED, &err);
        durable_expect("small budget", &d, &expected);
        durable_release(&d);
    }
    lines_clear(&expected);
}

static void test_checkpoints__given_a_state_dir__then_nothing_of_it_stays(void **state)
{
    (void)state;
    struct durable d;
    struct leat_error err = { 0 };
    char dir[2 * DURABLE_PATH_MAX];
    durable_init(&d, 1, COUNT);
    (void)snprintf(dir, sizeof dir, "%s/state", d.root);
    const struct leat_job_opts opts = { .parallelism = 2, .state_dir = dir, .state_budget_bytes = 200000 };
    assert_state(durable_run(&d, &opts, &err, NULL), LEAT_JOB_FINISHED, &err);
    assert_true(durable_exists("%s/durable", dir));
    assert_false(durable_exists("%s/durable/live", dir));
    durable_release(&d);
}

static void test_checkpoints__given_options_that_can_not_be__then_each_is_refused(void **state)
{
    (void)state;
    struct durable d;
    durable_init(&d, 1, COUNT);
    const struct {
        struct leat_job_opts opts;
        const char *says;
    } rows[] = {
        { { .checkpoint_interval_us = -1 }, "checkpoint_interval_us" },
        { { .checkpoint_timeout_us = INT64_MAX }, "checkpoint_timeout_us" },
        { { .delivery = (enum leat_delivery)7 }, "delivery" },
        { { .restore = { .from = "x" } }, "checkpoint_dir" },
        { { .checkpoint_dir = d.checkpoints, .restore = { .from = "x", .fresh = true } }, "restore.fresh" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct leat_error err = { 0 };
        leat_job *job;
        leat_topology *t = durable_topology(&d);
        assert_int_equal(leat_job_new(t, &rows[i].opts, &job, &err), LEAT_EINVAL);
        FAIL_UNLESS(strstr(err.message, rows[i].says), "%s", err.message);
        leat_topology_free(t);
    }
    durable_release(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checkpoints__given_a_high_rate__then_results_are_those_without),
        cmocka_unit_test(test_checkpoints__given_a_number_to_keep__then_that_many_stay),
        cmocka_unit_test(test_checkpoints__given_metrics__then_they_say_what_the_last_one_was),
        cmocka_unit_test(
            test_checkpoints__given_a_worker_that_is_stuck__then_one_is_given_up_and_the_next_covers_it),
        cmocka_unit_test(test_checkpoints__given_a_minimum_pause__then_fewer_are_taken),
        cmocka_unit_test(test_checkpoints__given_at_least_once__then_an_undisturbed_run_is_still_exact),
        cmocka_unit_test(
            test_checkpoints__given_a_job_that_has_finished__when_run_again__then_nothing_happens),
        cmocka_unit_test(test_checkpoints__given_a_small_budget__then_results_are_the_same),
        cmocka_unit_test(test_checkpoints__given_a_state_dir__then_nothing_of_it_stays),
        cmocka_unit_test(test_checkpoints__given_options_that_can_not_be__then_each_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
