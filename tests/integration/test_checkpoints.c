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

static void test_checkpoints__given_a_high_rate__then_results_are_those_without(void **state)
{
    (void)state;
    struct durable d;
    struct lines expected = { 0 };
    durable_init(&d, 1, COUNT);
    d.rate_per_s = 100000;
    durable_expected(&d, &expected);
    const uint32_t parallelisms[] = { 1, 2, 4 };
    for (size_t i = 0; i < COUNT_OF(parallelisms); i++) {
        struct leat_error err = { 0 };
        struct leat_checkpoint_metrics metrics;
        const struct leat_job_opts opts = durable_opts(&d, parallelisms[i]);
        assert_state(durable_run(&d, &opts, &err, &metrics), LEAT_JOB_FINISHED, &err);
        durable_expect("checkpoints", &d, &expected);
        FAIL_UNLESS(metrics.completed >= 3, "only %llu checkpoints", (unsigned long long)metrics.completed);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checkpoints__given_a_high_rate__then_results_are_those_without),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
