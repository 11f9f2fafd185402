/* tests/integration/test_recovery.c -- a job that was interrupted goes on: nothing is lost, nothing comes twice.
 * Interrupted by cancel, by SIGKILL of the process, by errors that pass; with damaged checkpoints. */
#include "tests/support/durable.h"
#include "tests/support/unit.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT 20000
#define RATE 100000

static void assert_state(enum leat_job_state got, enum leat_job_state want, const struct leat_error *err)
{
    FAIL_UNLESS(got == want, "state %d, not %d: %s", (int)got, (int)want, err->message);
}

static void finish(struct durable *d, const struct leat_job_opts *opts)
{
    struct leat_error err = { 0 };
    d->on_record = NULL;
    assert_state(durable_run(d, opts, &err, NULL), LEAT_JOB_FINISHED, &err);
}

/* ---- cancel ---- */

static void cancel_at(void *arg, struct leat_ctx *ctx, uint64_t n)
{
    struct durable *d = arg;
    (void)ctx;
    if (n == d->cancel_at)
        leat_job_cancel(__atomic_load_n(&d->running, __ATOMIC_ACQUIRE));
}

static void test_recovery__given_cancels_on_the_way__then_output_is_that_of_one_run(void **state)
{
    (void)state;
    struct lines expected = { 0 };
    struct durable d;
    for (uint32_t parallelism = 1; parallelism <= 4; parallelism += 1) {
        durable_init(&d, 2, COUNT);
        if (!expected.count)
            durable_expected(&d, &expected);
        d.rate_per_s = RATE;
        const struct leat_job_opts opts = durable_opts(&d, parallelism);
        uint32_t restored = 0;
        for (uint64_t at = 3000; at <= 9000; at += 3000) {
            struct leat_error err = { 0 };
            struct leat_checkpoint_metrics metrics = { 0 };
            d.on_record = cancel_at;
            d.on_record_arg = &d;
            d.cancel_at = at;
            const enum leat_job_state got = durable_run(&d, &opts, &err, &metrics);
            restored += metrics.restored_id > 0;
            if (got == LEAT_JOB_FINISHED)
                break; /* so little was left to do that the record never came */
            assert_state(got, LEAT_JOB_CANCELLED, &err);
        }
        assert_true(restored > 0);
        finish(&d, &opts);
        durable_expect("cancelled", &d, &expected);
        durable_release(&d);
    }
    lines_clear(&expected);
}

/* ---- SIGKILL ---- */

/* Runs the job in a child that is killed after `us`; whether it had ended by itself before. */
static bool run_and_kill(struct durable *d, const struct leat_job_opts *opts, uint32_t us)
{
    int status;
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct leat_error err = { 0 };
        const enum leat_job_state got = durable_run(d, opts, &err, NULL);
        if (got != LEAT_JOB_FINISHED)
            (void)fprintf(stderr, "child: state %d: %s\n", (int)got, err.message);
        _exit(got == LEAT_JOB_FINISHED ? 0 : 1);
    }
    (void)usleep(us);
    (void)kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status))
        assert_int_equal(WEXITSTATUS(status), 0);
    return WIFEXITED(status);
}

static void test_recovery__given_kills_at_any_moment__then_output_is_that_of_one_run(void **state)
{
    (void)state;
    struct lines expected = { 0 };
    struct durable d;
    for (uint32_t round = 0; round < 6; round++) {
        durable_init(&d, 3, COUNT);
        if (!expected.count)
            durable_expected(&d, &expected);
        d.rate_per_s = RATE;
        const struct leat_job_opts opts = durable_opts(&d, 1 + round % 3);
        uint32_t kills = 0;
        while (kills < 8 && !run_and_kill(&d, &opts, 20000 + 17000 * ((round * 5 + kills) % 7)))
            kills++;
        assert_true(kills > 0);
        finish(&d, &opts);
        durable_expect("killed", &d, &expected);
        durable_release(&d);
    }
    lines_clear(&expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recovery__given_cancels_on_the_way__then_output_is_that_of_one_run),
        cmocka_unit_test(test_recovery__given_kills_at_any_moment__then_output_is_that_of_one_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
