/* tests/unit/state/test_store_memory.c -- the store in memory in an environment in memory: nothing passes the env
 * by, and every call that fails ends in a clean error and leaves the last checkpoint good. */
#include "tests/support/unit.h"
#include "tests/support/memory_env.h"
#include "base/alloc.h"
#include "state/store_private.h"
#include <stdio.h>

static struct leat_store *open_store(struct leat_env *env, const char *from, int *code)
{
    struct leat_store *store = NULL;
    struct leat_error err = { 0 };
    const struct leat_store_opts opts = { .env = env, .dir = "state/live", .from = from };
    *code = leat__store_memory.open(&opts, &store, &err);
    assert_true((*code == 0) == (store != NULL));
    if (*code < 0)
        assert_true(err.message[0] != '\0' && err.code == *code);
    return store;
}

static int put(struct leat_store *store, const char *key, const char *value)
{
    const struct leat_store_entry entry = { leat_sv_of(key), leat_sv_of(value), LEAT_STORE_PUT };
    return leat__store_memory.write(store, &entry, 1, NULL);
}

static bool allocations_fail;

static void check_value(struct leat_store *store, const char *key, const char *want)
{
    const struct leat_sv sought = leat_sv_of(key);
    struct leat_sv value;
    struct leat_error err = { 0 };
    const int code = leat__store_memory.get(store, &sought, 1, &value, &err);
    if (code == LEAT_ENOMEM && allocations_fail)
        return;
    assert_int_equal(code, 0);
    if (!want) {
        assert_null(value.data);
        return;
    }
    assert_non_null(value.data);
    assert_true(leat_sv_eq(value, leat_sv_of(want)));
}

/* Two checkpoints, a restart from the second. What failed, or 0. */
static int run_life(struct leat_env *env, bool *second)
{
    int code = 0;
    *second = false;
    struct leat_store *store = open_store(env, NULL, &code);
    if (!store)
        return code;
    code = put(store, "a", "1");
    if (code == 0)
        code = leat__store_memory.checkpoint(store, "state/first", NULL);
    if (code == 0)
        code = put(store, "b", "2");
    if (code == 0)
        code = leat__store_memory.checkpoint(store, "state/second", NULL);
    *second = code == 0;
    leat__store_memory.close(store);
    if (code < 0)
        return code;
    store = open_store(env, "state/second", &code);
    if (!store)
        return code;
    check_value(store, "a", "1");
    check_value(store, "b", "2");
    check_value(store, "c", NULL);
    leat__store_memory.close(store);
    return 0;
}

static void test_store_memory__given_an_env_in_memory__when_used__then_all_of_it_goes_there(void **state)
{
    (void)state;
    struct leat_env *env = memory_env_new(1);
    bool second;
    assert_int_equal(run_life(env, &second), 0);
    assert_int_equal(memory_env_files_count(env), 2); /* a table for each checkpoint; nothing live */
    assert_int_equal(memory_env_open_count(env), 0);
    memory_env_free(env);
}

static void test_store_memory__given_the_nth_call_fails__when_used__then_clean_error_and_good_files(
    void **state)
{
    (void)state;
    bool second = false;
    struct leat_env *env = memory_env_new(1);
    assert_int_equal(run_life(env, &second), 0);
    const uint64_t calls = memory_env_calls_count(env);
    memory_env_free(env);
    assert_true(calls > 20);
    for (uint64_t n = 1; n <= calls; n++) {
        const int64_t live = leat__alloc_live();
        int code = 0;
        env = memory_env_new(1);
        memory_env_fail_at(env, n, LEAT_EIO);
        (void)run_life(env, &second);
        memory_env_fail_at(env, 0, 0);
        assert_int_equal(memory_env_open_count(env), 0);
        assert_int_equal(leat__alloc_live(), live);
        if (second) { /* it was said to be there */
            struct leat_error err = { 0 };
            struct leat_store *store = NULL;
            const struct leat_store_opts opts = { .env = env, .dir = "state/new", .from = "state/second" };
            code = leat__store_memory.open(&opts, &store, &err);
            FAIL_UNLESS(code == 0, "call %d: %s", (int)n, err.message);
            check_value(store, "b", "2");
            leat__store_memory.close(store);
        }
        memory_env_free(env);
    }
}

static void test_store_memory__given_nothing_written__when_checkpointed_twice__then_the_same_table(
    void **state)
{
    (void)state;
    int code = 0;
    struct leat_env *env = memory_env_new(1);
    struct leat_store *store = open_store(env, NULL, &code);
    assert_int_equal(put(store, "a", "1"), 0);
    assert_int_equal(leat__store_memory.checkpoint(store, "one", NULL), 0);
    assert_int_equal(leat__store_memory.checkpoint(store, "two", NULL), 0);
    size_t size_one = 0;
    size_t size_two = 0;
    const void *one = memory_env_get(env, "one/000001.run", &size_one);
    const void *two = memory_env_get(env, "two/000001.run", &size_two);
    assert_non_null(one);
    assert_non_null(two);
    assert_int_equal(size_one, size_two);
    assert_memory_equal(one, two, size_one);
    leat__store_memory.close(store);
    memory_env_free(env);
}

static void test_store_memory__given_an_allocation_fails__when_used__then_clean_error(void **state)
{
    (void)state;
    for (uint64_t n = 1; n < 60; n++) {
        struct leat_env *env = memory_env_new(1);
        const int64_t live = leat__alloc_live();
        bool second;
        allocations_fail = true;
        leat__alloc_fail_at(n);
        const int code = run_life(env, &second);
        leat__alloc_fail_at(0);
        allocations_fail = false;
        assert_true(code == 0 || code == LEAT_ENOMEM);
        assert_int_equal(leat__alloc_live(), live);
        memory_env_free(env);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store_memory__given_an_env_in_memory__when_used__then_all_of_it_goes_there),
        cmocka_unit_test(
            test_store_memory__given_the_nth_call_fails__when_used__then_clean_error_and_good_files),
        cmocka_unit_test(
            test_store_memory__given_nothing_written__when_checkpointed_twice__then_the_same_table),
        cmocka_unit_test(test_store_memory__given_an_allocation_fails__when_used__then_clean_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
