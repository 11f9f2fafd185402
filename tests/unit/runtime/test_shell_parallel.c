/* tests/unit/runtime/test_shell_parallel.c -- the same work on many things at once. */
#include "runtime/shell_parallel.h"
#include "tests/support/unit.h"
#include <pthread.h>
#include <stdio.h>

#define THINGS 1000u

struct work {
    uint32_t calls[THINGS]; /* each touched by one thread */
    uint32_t bad_from, bad_step; /* every bad_step-th from bad_from on fails; bad_step 0: none */
    pthread_t caller;
    uint32_t elsewhere; /* atomic: calls on another thread */
};

static int do_one(void *arg, uint32_t i, struct leat_error *err)
{
    struct work *work = arg;
    work->calls[i]++;
    if (!pthread_equal(work->caller, pthread_self()))
        __atomic_fetch_add(&work->elsewhere, 1, __ATOMIC_RELAXED);
    if (work->bad_step && i >= work->bad_from && (i - work->bad_from) % work->bad_step == 0)
        return leat__error(err, LEAT_EDATA, "thing %u", i);
    return 0;
}

static int run(
    struct work *work, struct leat_env *env, uint32_t threads, uint32_t count, struct leat_error *err)
{
    work->caller = pthread_self();
    return leat__parallel(env, threads, count, do_one, work, err);
}

static void given_many_things_when_done_by_some_threads_then_each_is_done_once(void **state)
{
    static const uint32_t threads[] = { 0, 1, 2, 4, 100 };
    (void)state;
    for (uint32_t t = 0; t < sizeof threads / sizeof *threads; t++) {
        struct work work = { 0 };
        struct leat_error err = { 0 };
        assert_int_equal(run(&work, leat__env_posix(), threads[t], THINGS, &err), 0);
        for (uint32_t i = 0; i < THINGS; i++)
            assert_int_equal(work.calls[i], 1);
        assert_int_equal(err.code, 0);
    }
}

static void given_nothing_when_done_then_nothing_is_called(void **state)
{
    struct work work = { 0 };
    (void)state;
    assert_int_equal(run(&work, leat__env_posix(), 4, 0, NULL), 0);
    assert_int_equal(work.calls[0], 0);
}

static void given_several_that_fail_when_done_by_some_threads_then_the_first_of_them_is_told(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 50; round++) {
        struct work work = { .bad_from = 10 + round, .bad_step = 3 };
        struct leat_error err = { 0 };
        char expected[32];
        assert_int_equal(run(&work, leat__env_posix(), 4, THINGS, &err), LEAT_EDATA);
        (void)snprintf(expected, sizeof expected, "thing %u", 10 + round);
        assert_string_equal(err.message, expected);
        for (uint32_t i = 0; i <= 10 + round; i++) /* as if it had been done in order */
            assert_int_equal(work.calls[i], 1);
    }
}

static void given_a_simulated_world_when_done_then_there_is_no_other_thread(void **state)
{
    struct work work = { 0 };
    struct leat_env *env = leat__env_sim_new(1, 0);
    (void)state;
    assert_int_equal(run(&work, env, 4, THINGS, NULL), 0);
    assert_int_equal(work.elsewhere, 0);
    assert_int_equal(work.calls[THINGS - 1], 1);
    leat__env_sim_free(env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_many_things_when_done_by_some_threads_then_each_is_done_once),
        cmocka_unit_test(given_nothing_when_done_then_nothing_is_called),
        cmocka_unit_test(given_several_that_fail_when_done_by_some_threads_then_the_first_of_them_is_told),
        cmocka_unit_test(given_a_simulated_world_when_done_then_there_is_no_other_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
