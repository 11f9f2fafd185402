/* tests/unit/base/test_memory_env.c -- the environment in memory that other tests stand on behaves like a
 * file system, and fails when it is told to. */
#include "base/env.h"
#include "tests/support/memory_env.h"
#include "tests/support/unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int setup(void **state)
{
    *state = memory_env_new(7);
    return 0;
}

static int teardown(void **state)
{
    assert_int_equal(memory_env_open_count(*state), 0);
    memory_env_free(*state);
    return 0;
}

static void assert_file(struct leat_env *env, const char *path, const char *text)
{
    size_t size;
    const void *data = memory_env_get(env, path, &size);
    assert_non_null(data);
    assert_int_equal(size, strlen(text));
    assert_memory_equal(data, text, size);
}

static leat_fd open_file(struct leat_env *env, const char *path, enum leat_open_mode mode)
{
    struct leat_error err = { 0 };
    leat_fd fd;
    FAIL_UNLESS(env->fs_open(env, path, mode, &fd, &err) == 0, "%s", err.message);
    return fd;
}

static void test_memory_env__given_a_file__when_written_and_read__then_same_bytes(void **state)
{
    struct leat_env *env = *state;
    struct leat_error err = { 0 };
    char data[8];
    leat_fd fd = open_file(env, "d/f", LEAT_OPEN_CREATE);
    assert_int_equal(env->fs_write(env, fd, "hello", 5, &err), 0);
    assert_int_equal(env->fs_sync(env, fd, &err), 0);
    env->fs_close(env, fd);
    assert_int_equal(env->fs_open(env, "d/f", LEAT_OPEN_CREATE, &fd, &err), LEAT_EEXISTS);
    fd = open_file(env, "d/f", LEAT_OPEN_APPEND);
    assert_int_equal(env->fs_write(env, fd, "!", 1, &err), 0);
    env->fs_close(env, fd);
    assert_file(env, "d/f", "hello!");

    fd = open_file(env, "d/f", LEAT_OPEN_READ);
    assert_int_equal(env->fs_pread(env, fd, data, 3, 3, &err), 3);
    assert_memory_equal(data, "lo!", 3);
    assert_int_equal(env->fs_pread(env, fd, data, 8, 4, &err), 2);
    assert_int_equal(env->fs_pread(env, fd, data, 8, 99, &err), 0);
    assert_int_equal(env->fs_read(env, fd, data, 4, &err), 4);
    assert_int_equal(env->fs_read(env, fd, data, 4, &err), 2);
    assert_int_equal(env->fs_read(env, fd, data, 4, &err), 0);
    /* An unlinked file lives as long as it is open. */
    assert_int_equal(env->fs_unlink(env, "d/f", &err), 0);
    assert_int_equal(env->fs_pread(env, fd, data, 1, 0, &err), 1);
    env->fs_close(env, fd);
    assert_int_equal(memory_env_files_count(env), 0);
    assert_int_equal(env->fs_open(env, "d/f", LEAT_OPEN_READ, &fd, &err), LEAT_ENOTFOUND);
    fd = open_file(env, "d/f", LEAT_OPEN_TRUNCATE);
    env->fs_close(env, fd);
    assert_file(env, "d/f", "");
}

static void test_memory_env__given_names__when_renamed_and_linked__then_as_on_disk(void **state)
{
    struct leat_env *env = *state;
    struct leat_error err = { 0 };
    struct leat_file_info info;
    memory_env_put(env, "a", "one", 3);
    memory_env_put(env, "b", "two", 3);
    assert_int_equal(env->fs_rename(env, "a", "b", &err), 0);
    assert_file(env, "b", "one");
    assert_int_equal(env->fs_rename(env, "a", "b", &err), LEAT_ENOTFOUND);
    assert_int_equal(env->fs_link(env, "b", "c", &err), 0);
    assert_int_equal(env->fs_link(env, "b", "c", &err), LEAT_EEXISTS);
    memory_env_put(env, "b", "three", 5); /* the same inode */
    assert_file(env, "c", "three");
    assert_int_equal(env->fs_stat(env, "c", &info, &err), 0);
    assert_true(info.is_regular && !info.is_dir && info.size == 5);
    assert_int_equal(env->fs_stat(env, "x", &info, &err), LEAT_ENOTFOUND);
    assert_int_equal(env->fs_mkdir(env, "p/q", &err), 0);
    assert_int_equal(env->fs_stat(env, "p", &info, &err), 0);
    assert_true(info.is_dir && !info.is_regular);
    assert_int_equal(env->fs_mkdir(env, "b", &err), LEAT_EEXISTS);
}

static int add_entry(void *arg, const char *name, bool is_dir)
{
    char *text = arg;
    (void)snprintf(text + strlen(text), 100, "%s%s ", name, is_dir ? "/" : "");
    return 0;
}

static void test_memory_env__given_files__when_listed_and_globbed__then_each_once(void **state)
{
    struct leat_env *env = *state;
    struct leat_error err = { 0 };
    char text[400] = "";
    memory_env_put(env, "d/b", "", 0);
    memory_env_put(env, "d/a", "", 0);
    memory_env_put(env, "d/e/x", "", 0);
    memory_env_put(env, "d/e/y", "", 0);
    memory_env_put(env, "dd", "", 0);
    assert_int_equal(env->fs_list(env, "d", add_entry, text, &err), 0);
    assert_string_equal(text, "b a e/ ");
    text[0] = '\0';
    assert_int_equal(env->fs_list(env, ".", add_entry, text, &err), 0);
    assert_string_equal(text, "d/ dd ");
    text[0] = '\0';
    assert_int_equal(env->fs_glob(env, "d/*", add_entry, text, &err), 0);
    assert_string_equal(text, "d/a d/b ");
    assert_int_equal(env->fs_glob(env, "z*", add_entry, text, &err), LEAT_ENOTFOUND);
    assert_int_equal(env->fs_list(env, "z", add_entry, text, &err), LEAT_ENOTFOUND);
}

static int shorten(void *arg, enum memory_env_call call, uint64_t n, const char *path, size_t *size)
{
    (void)arg;
    (void)n;
    (void)path;
    if (call == MEMORY_ENV_WRITE)
        *size = 2;
    return call == MEMORY_ENV_SYNC ? LEAT_ENOSPC : 0;
}

static void test_memory_env__given_faults__when_called__then_failed_or_cut(void **state)
{
    struct leat_env *env = *state;
    struct leat_error err = { 0 };
    const leat_fd fd = open_file(env, "f", LEAT_OPEN_TRUNCATE);
    memory_env_fail_at(env, 2, LEAT_EACCESS);
    assert_int_equal(env->fs_write(env, fd, "ab", 2, &err), 0);
    assert_int_equal(env->fs_write(env, fd, "cd", 2, &err), LEAT_EACCESS);
    assert_int_equal(env->fs_write(env, fd, "ef", 2, &err), 0);
    assert_file(env, "f", "abef");
    memory_env_set_hook(env, shorten, NULL);
    assert_int_equal(env->fs_write(env, fd, "12345", 5, &err), LEAT_EIO);
    assert_file(env, "f", "abef12");
    assert_int_equal(env->fs_sync(env, fd, &err), LEAT_ENOSPC);
    memory_env_set_hook(env, NULL, NULL);
    assert_int_equal(memory_env_calls_count(env), 6);
    env->fs_close(env, fd);
}

static void test_memory_env__given_a_seed_and_a_clock__when_asked__then_they_repeat_and_move(void **state)
{
    struct leat_env *env = *state, *other = memory_env_new(7);
    assert_int_equal(env->random(env), other->random(other));
    assert_int_not_equal(env->random(env), env->random(env));
    memory_env_advance(env, 5);
    assert_int_equal(env->wall_us(env), 5);
    assert_int_equal(env->mono_ns(env), 5000);
    memory_env_free(other);
}

#define UNIT(name_) cmocka_unit_test_setup_teardown(name_, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(test_memory_env__given_a_file__when_written_and_read__then_same_bytes),
        UNIT(test_memory_env__given_names__when_renamed_and_linked__then_as_on_disk),
        UNIT(test_memory_env__given_files__when_listed_and_globbed__then_each_once),
        UNIT(test_memory_env__given_faults__when_called__then_failed_or_cut),
        UNIT(test_memory_env__given_a_seed_and_a_clock__when_asked__then_they_repeat_and_move),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
