/* tests/unit/topology/test_lists.c -- handles and files to sync, as sinks give them to the runtime. */
#include "base/alloc.h"
#include "tests/support/memory_env.h"
#include "tests/support/unit.h"
#include "topology/sink.h"
#include "topology/source.h"
#include <stdio.h>
#include <string.h>

static const struct leat_node node = { .name = "out" };

static leat_fd open_file(struct leat_env *env, const char *path)
{
    struct leat_error err = { 0 };
    leat_fd fd;
    assert_int_equal(env->fs_open(env, path, LEAT_OPEN_CREATE, &fd, &err), 0);
    return fd;
}

static void test_lists__given_handles__when_added__then_copies_in_order(void **state)
{
    (void)state;
    struct leat_handle_list list = { 0 };
    char bytes[16];
    for (int i = 0; i < 100; i++) {
        const int len = snprintf(bytes, sizeof bytes, "handle %d", i);
        assert_int_equal(leat__handle_add(&list, &node, bytes, (size_t)len), 0);
    }
    assert_int_equal(leat__handle_add(&list, &node, NULL, 0), 0);
    memset(bytes, 'x', sizeof bytes);
    assert_int_equal(list.count, 101);
    for (int i = 0; i < 100; i++) {
        char want[16];
        const int len = snprintf(want, sizeof want, "handle %d", i);
        assert_ptr_equal(list.handles[i].node, &node);
        assert_int_equal(list.handles[i].len, (size_t)len);
        assert_memory_equal(list.handles[i].data, want, (size_t)len);
    }
    assert_int_equal(list.handles[100].len, 0);
    leat__handle_list_release(&list, NULL);
    assert_int_equal(list.count, 0);
}

/* What was synced, in its order. */
static char synced[256];

static int note_sync(void *arg, enum memory_env_call call, uint64_t n, const char *path, size_t *size)
{
    (void)n;
    (void)size;
    if (call != MEMORY_ENV_SYNC)
        return 0;
    const size_t len = strlen(synced);
    (void)snprintf(synced + len, sizeof synced - len, "%s ", path);
    return arg && strcmp(path, arg) == 0 ? LEAT_EIO : 0;
}

static void test_lists__given_files_and_directories__when_synced__then_files_first_each_once_and_closed(
    void **state)
{
    (void)state;
    struct leat_env *env = memory_env_new(1);
    struct leat_handle_list list = { 0 };
    struct leat_error err = { 0 };
    synced[0] = '\0';
    memory_env_set_hook(env, note_sync, NULL);
    assert_int_equal(leat__handle_list_sync(&list, env, &err), 0); /* nothing to do */
    assert_int_equal(leat__handle_sync_dir(&list, "d"), 0);
    assert_int_equal(leat__handle_sync(&list, open_file(env, "d/a"), "d/a"), 0);
    assert_int_equal(leat__handle_sync(&list, open_file(env, "e/b"), "e/b"), 0);
    assert_int_equal(leat__handle_sync_dir(&list, "e"), 0);
    assert_int_equal(leat__handle_sync_dir(&list, "d"), 0);
    assert_int_equal(leat__handle_add(&list, &node, "x", 1), 0);
    assert_int_equal(leat__handle_list_sync(&list, env, &err), 0);
    assert_string_equal(synced, "e/b d/a e d ");
    assert_int_equal(memory_env_open_count(env), 0);
    assert_int_equal(list.count, 1); /* handles stay */
    assert_int_equal(leat__handle_list_sync(&list, env, &err), 0);
    assert_string_equal(synced, "e/b d/a e d "); /* no second time */
    assert_int_equal(leat__handle_sync(&list, open_file(env, "d/c"), "d/c"), 0);
    assert_int_equal(leat__handle_list_sync(&list, env, &err), 0);
    assert_string_equal(synced, "e/b d/a e d d/c ");
    leat__handle_list_release(&list, env);
    memory_env_free(env);
}

static void test_lists__given_a_sync_that_failed__when_tried_again__then_it_fails_for_ever(void **state)
{
    static char *const bad[] = { "d/a", "d" };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct leat_env *env = memory_env_new(1);
        struct leat_handle_list list = { 0 };
        struct leat_error err = { 0 };
        memory_env_set_hook(env, note_sync, bad[i]);
        assert_int_equal(leat__handle_sync(&list, open_file(env, "d/a"), "d/a"), 0);
        assert_int_equal(leat__handle_sync(&list, open_file(env, "d/b"), "d/b"), 0);
        assert_int_equal(leat__handle_sync_dir(&list, "d"), 0);
        assert_int_equal(leat__handle_list_sync(&list, env, &err), LEAT_EIO);
        assert_non_null(strstr(err.message, bad[i]));
        memory_env_set_hook(env, NULL, NULL);
        assert_int_equal(leat__handle_list_sync(&list, env, &err), LEAT_EIO);
        assert_non_null(strstr(err.message, "start from the last checkpoint"));
        leat__handle_list_release(&list, env); /* closes what is left, and begins anew */
        assert_int_equal(memory_env_open_count(env), 0);
        assert_int_equal(leat__handle_list_sync(&list, env, &err), 0);
        memory_env_free(env);
    }
}

static int fill(struct leat_handle_list *list, struct leat_split_list *splits, struct leat_env *env)
{
    for (int i = 0; i < 40; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "d%d/a", i);
        if (!leat__split_add(splits, name))
            return LEAT_ENOMEM;
        LEAT_TRY(leat__handle_add(list, &node, name, strlen(name)));
        LEAT_TRY(leat__handle_sync_dir(list, name));
        const leat_fd fd = open_file(env, name);
        const int code = leat__handle_sync(list, fd, name);
        if (code < 0) { /* it is ours still */
            env->fs_close(env, fd);
            return code;
        }
    }
    return 0;
}

static void test_lists__given_each_allocation_failing__when_filled__then_no_memory_and_no_leak(void **state)
{
    (void)state;
    int code = LEAT_ENOMEM;
    for (uint64_t n = 1; code < 0; n++) {
        struct leat_env *env = memory_env_new(1);
        struct leat_handle_list list = { 0 };
        struct leat_split_list splits = { 0 };
        const int64_t live = leat__alloc_live();
        leat__alloc_fail_at(n);
        code = fill(&list, &splits, env);
        leat__alloc_fail_at(0);
        assert_true(code == 0 || code == LEAT_ENOMEM);
        if (code == 0)
            assert_int_equal(list.count, 40);
        leat__handle_list_release(&list, env);
        leat__split_list_release(&splits);
        assert_int_equal(leat__alloc_live(), live);
        assert_int_equal(memory_env_open_count(env), 0);
        memory_env_free(env);
        assert_true(n < 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists__given_handles__when_added__then_copies_in_order),
        cmocka_unit_test(
            test_lists__given_files_and_directories__when_synced__then_files_first_each_once_and_closed),
        cmocka_unit_test(test_lists__given_a_sync_that_failed__when_tried_again__then_it_fails_for_ever),
        cmocka_unit_test(test_lists__given_each_allocation_failing__when_filled__then_no_memory_and_no_leak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
