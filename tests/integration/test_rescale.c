/* tests/integration/test_rescale.c -- a job that goes on with more or fewer workers gives what it would have
 * given (semantics 48): windows, a join, positions of splits. */
#include "tests/support/durable.h"
#include "tests/support/unit.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define COUNT 12000
#define RATE 100000

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
    if (n > d->cancel_at)
        (void)usleep(500); /* the end must not come before the stop */
}

static struct leat_job_opts opts_of(const struct durable *d, uint32_t parallelism)
{
    struct leat_job_opts opts = durable_opts(d, parallelism);
    opts.checkpoint_interval_us = 0;
    opts.pre_aggregate = parallelism % 2 ? LEAT_PRE_AGGREGATE_NEVER : LEAT_PRE_AGGREGATE_ALWAYS;
    return opts;
}

/* Runs until the n-th record of this run and stops; whether there was one. */
static bool run_until(struct durable *d, uint32_t parallelism, uint64_t n)
{
    struct leat_error err = { 0 };
    const struct leat_job_opts opts = opts_of(d, parallelism);
    d->on_record = stop_at;
    d->on_record_arg = d;
    d->cancel_at = n;
    const enum leat_job_state got = durable_run(d, &opts, &err, NULL);
    d->on_record = NULL;
    if (got != LEAT_JOB_FINISHED)
        assert_state(got, LEAT_JOB_STOPPED, &err);
    return got == LEAT_JOB_STOPPED;
}

static void finish(struct durable *d, uint32_t parallelism)
{
    struct leat_error err = { 0 };
    const struct leat_job_opts opts = opts_of(d, parallelism);
    assert_state(durable_run(d, &opts, &err, NULL), LEAT_JOB_FINISHED, &err);
}

static void test_rescale__given_p_workers__when_it_goes_on_with_q__then_results_are_the_same(void **state)
{
    (void)state;
    static const uint32_t pairs[][2] = { { 1, 8 }, { 8, 1 }, { 2, 3 }, { 3, 2 }, { 1, 2 }, { 2, 1 }, { 4, 7 },
        { 7, 4 }, { 5, 5 }, { 8, 3 }, { 3, 8 }, { 6, 4 } };
    struct lines expected = { 0 };
    struct durable d;
    for (size_t i = 0; i < rows_to_run(COUNT_OF(pairs), 4); i++) {
        char what[64];
        durable_init(&d, 6, COUNT);
        if (!expected.count)
            durable_expected(&d, &expected);
        d.rate_per_s = RATE;
        assert_true(run_until(&d, pairs[i][0], COUNT / 2));
        finish(&d, pairs[i][1]);
        (void)snprintf(what, sizeof what, "%u to %u", pairs[i][0], pairs[i][1]);
        durable_expect(what, &d, &expected);
        durable_release(&d);
    }
    lines_clear(&expected);
}

static void test_rescale__given_many_changes__then_results_are_the_same(void **state)
{
    (void)state;
    static const uint32_t parallelisms[] = { 2, 5, 1, 8, 3, 4 };
    struct lines expected = { 0 };
    struct durable d;
    durable_init(&d, 7, COUNT);
    durable_expected(&d, &expected);
    d.rate_per_s = RATE;
    for (size_t i = 0; i < COUNT_OF(parallelisms); i++)
        if (!run_until(&d, parallelisms[i], COUNT / 8))
            break;
    finish(&d, 6);
    durable_expect("many", &d, &expected);
    durable_release(&d);
    lines_clear(&expected);
}

static void test_rescale__given_another_maximum__then_it_is_refused(void **state)
{
    (void)state;
    struct durable d;
    struct leat_error err = { 0 };
    durable_init(&d, 8, COUNT);
    d.rate_per_s = RATE;
    struct leat_job_opts opts = opts_of(&d, 2);
    opts.max_parallelism = 16;
    d.on_record = stop_at;
    d.on_record_arg = &d;
    d.cancel_at = 3000;
    assert_state(durable_run(&d, &opts, &err, NULL), LEAT_JOB_STOPPED, &err);
    d.on_record = NULL;

    opts.max_parallelism = 32;
    assert_state(durable_run(&d, &opts, &err, NULL), LEAT_JOB_FAILED, &err);
    assert_int_equal(err.code, LEAT_EINVAL);
    assert_non_null(strstr(err.message, "max_parallelism is 32"));
    opts = opts_of(&d, 17); /* the checkpoint's maximum is taken where none is given */
    assert_state(durable_run(&d, &opts, &err, NULL), LEAT_JOB_FAILED, &err);
    assert_non_null(strstr(err.message, "16 key groups"));
    opts = opts_of(&d, 16);
    assert_state(durable_run(&d, &opts, &err, NULL), LEAT_JOB_FINISHED, &err);
    durable_release(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rescale__given_p_workers__when_it_goes_on_with_q__then_results_are_the_same),
        cmocka_unit_test(test_rescale__given_many_changes__then_results_are_the_same),
        cmocka_unit_test(test_rescale__given_another_maximum__then_it_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
