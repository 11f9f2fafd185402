/* tests/unit/base/test_env.c -- the real environment in a directory of its own, and the simulated clock. */
#include "base/env.h"
#include "base/alloc.h"
#include "tests/support/unit.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fixture {
    struct leat_env *env;
    struct leat_error err;
    char dir[64];
    char path[8][128]; /* recently made names, see at() */
    unsigned next;
};

/* The path of `name` in the test's directory; good for the next seven calls. */
static const char *at(struct fixture *f, const char *name)
{
    char *path = f->path[f->next++ % 8];
    (void)snprintf(path, sizeof f->path[0], "%s/%s", f->dir, name);
    return path;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (!f)
        return -1;
    f->env = leat__env_posix();
    (void)snprintf(f->dir, sizeof f->dir, "/tmp/leat-test-env-XXXXXX");
    *state = f;
    return mkdtemp(f->dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", f->dir);
    const int result = system(command);
    free(f);
    return result;
}

static void put(struct fixture *f, const char *name, enum leat_open_mode mode, const char *text)
{
    leat_fd fd;
    assert_int_equal(f->env->fs_open(f->env, at(f, name), mode, &fd, &f->err), 0);
    assert_int_equal(f->env->fs_write(f->env, fd, text, strlen(text), &f->err), 0);
    assert_int_equal(f->env->fs_sync(f->env, fd, &f->err), 0);
    f->env->fs_close(f->env, fd);
}

static void assert_content(struct fixture *f, const char *name, const char *want)
{
    char text[256] = "";
    leat_fd fd;
    assert_int_equal(f->env->fs_open(f->env, at(f, name), LEAT_OPEN_READ, &fd, &f->err), 0);
    const int64_t got = f->env->fs_pread(f->env, fd, text, sizeof text - 1, 0, &f->err);
    f->env->fs_close(f->env, fd);
    assert_int_equal(got, strlen(want));
    assert_string_equal(text, want);
}

static void test_env__given_open_modes__when_written__then_created_emptied_or_continued(void **state)
{
    struct fixture *f = *state;
    put(f, "file", LEAT_OPEN_CREATE, "one");
    assert_content(f, "file", "one");
    put(f, "file", LEAT_OPEN_APPEND, "two");
    assert_content(f, "file", "onetwo");
    put(f, "file", LEAT_OPEN_TRUNCATE, "3");
    assert_content(f, "file", "3");
    put(f, "other", LEAT_OPEN_APPEND, "made");
    assert_content(f, "other", "made");
    put(f, "third", LEAT_OPEN_TRUNCATE, "made too");
    assert_content(f, "third", "made too");
}

static void test_env__given_what_cannot_be__when_called__then_code_action_path_and_cause(void **state)
{
    struct fixture *f = *state;
    struct leat_env *env = f->env;
    leat_fd fd = 99;
    put(f, "file", LEAT_OPEN_CREATE, "x");

    assert_int_equal(env->fs_open(env, at(f, "none"), LEAT_OPEN_READ, &fd, &f->err), LEAT_ENOTFOUND);
    assert_int_equal(fd, -1);
    assert_int_equal(f->err.code, LEAT_ENOTFOUND);
    assert_non_null(strstr(f->err.message, "open "));
    assert_non_null(strstr(f->err.message, at(f, "none")));
    assert_non_null(strstr(f->err.message, "No such file"));

    assert_int_equal(env->fs_open(env, at(f, "file"), LEAT_OPEN_CREATE, &fd, &f->err), LEAT_EEXISTS);
    assert_int_equal(env->fs_unlink(env, at(f, "none"), &f->err), LEAT_ENOTFOUND);
    assert_non_null(strstr(f->err.message, "remove "));
    assert_int_equal(env->fs_rename(env, at(f, "none"), at(f, "to"), &f->err), LEAT_ENOTFOUND);
    assert_non_null(strstr(f->err.message, at(f, "to")));
    assert_int_equal(env->fs_link(env, at(f, "none"), at(f, "to"), &f->err), LEAT_ENOTFOUND);
    assert_int_equal(env->fs_link(env, at(f, "file"), at(f, "file"), &f->err), LEAT_EEXISTS);
    assert_int_equal(env->fs_sync_dir(env, at(f, "none"), &f->err), LEAT_ENOTFOUND);
    assert_int_equal(env->fs_mkdir(env, at(f, "file"), &f->err), LEAT_EEXISTS);
    assert_int_equal(env->fs_mkdir(env, at(f, "file/below"), &f->err), LEAT_ENOTFOUND);
    assert_int_equal(env->fs_list(env, at(f, "none"), NULL, NULL, &f->err), LEAT_ENOTFOUND);
    assert_int_equal(env->fs_open(env, at(f, "none"), LEAT_OPEN_READ, &fd, NULL), LEAT_ENOTFOUND);
}

static void test_env__given_a_file__when_read_at_offsets__then_short_only_at_the_end(void **state)
{
    static const struct {
        uint64_t offset;
        size_t size;
        const char *want;
    } cases[] = { { 0, 4, "0123" }, { 4, 4, "4567" }, { 8, 4, "89" }, { 10, 4, "" }, { 1000, 4, "" },
        { 0, 99, "0123456789" }, { 3, 0, "" } };
    struct fixture *f = *state;
    leat_fd fd;
    put(f, "digits", LEAT_OPEN_CREATE, "0123456789");
    assert_int_equal(f->env->fs_open(f->env, at(f, "digits"), LEAT_OPEN_READ, &fd, &f->err), 0);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[100] = "";
        const int64_t got = f->env->fs_pread(f->env, fd, text, cases[i].size, cases[i].offset, &f->err);
        FAIL_UNLESS(got == (int64_t)strlen(cases[i].want) && strcmp(text, cases[i].want) == 0,
            "row %zu: %lld bytes, \"%s\"", i, (long long)got, text);
    }
    f->env->fs_close(f->env, fd);
    assert_int_equal(f->env->fs_pread(f->env, fd, &fd, 1, 0, &f->err), LEAT_EIO); /* closed */
}

static void test_env__given_a_pipe__when_read__then_bytes_nothing_yet_and_the_end(void **state)
{
    struct fixture *f = *state;
    char text[16] = "";
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(f->env->fs_read(f->env, ends[0], text, sizeof text, &f->err), LEAT_EAGAIN_NOW);
    assert_int_equal(f->env->fs_write(f->env, ends[1], "line\n", 5, &f->err), 0);
    assert_int_equal(f->env->fs_read(f->env, ends[0], text, sizeof text, &f->err), 5);
    assert_string_equal(text, "line\n");
    f->env->fs_close(f->env, ends[1]);
    assert_int_equal(f->env->fs_read(f->env, ends[0], text, sizeof text, &f->err), 0);
    f->env->fs_close(f->env, ends[0]);
    assert_int_equal(f->env->fs_read(f->env, ends[0], text, sizeof text, &f->err), LEAT_EIO);
}

static void test_env__given_the_standard_streams__when_closed__then_they_stay_open(void **state)
{
    struct fixture *f = *state;
    for (int fd = 0; fd <= 2; fd++) {
        const int before = fcntl(fd, F_GETFD);
        f->env->fs_close(f->env, fd);
        assert_int_equal(fcntl(fd, F_GETFD), before);
    }
}

static void test_env__given_files__when_renamed_linked_and_removed__then_the_directory_says_so(void **state)
{
    struct fixture *f = *state;
    struct leat_file_info info;
    put(f, "a", LEAT_OPEN_CREATE, "new");
    put(f, "b", LEAT_OPEN_CREATE, "old");
    assert_int_equal(f->env->fs_rename(f->env, at(f, "a"), at(f, "b"), &f->err), 0); /* replaces */
    assert_content(f, "b", "new");
    assert_int_equal(f->env->fs_stat(f->env, at(f, "a"), &info, &f->err), LEAT_ENOTFOUND);
    assert_int_equal(f->env->fs_link(f->env, at(f, "b"), at(f, "c"), &f->err), 0);
    assert_int_equal(f->env->fs_unlink(f->env, at(f, "b"), &f->err), 0);
    assert_content(f, "c", "new");
    assert_int_equal(f->env->fs_sync_dir(f->env, f->dir, &f->err), 0);
}

static void test_env__given_paths__when_asked_what_they_are__then_kind_size_and_time(void **state)
{
    struct fixture *f = *state;
    struct leat_file_info info;
    put(f, "file", LEAT_OPEN_CREATE, "12345");
    assert_int_equal(f->env->fs_stat(f->env, at(f, "file"), &info, &f->err), 0);
    assert_int_equal(info.size, 5);
    assert_true(info.is_regular);
    assert_false(info.is_dir);
    const int64_t age_us = f->env->wall_us(f->env) - info.modified_us;
    assert_true(age_us > -LEAT_SECONDS(2) && age_us < LEAT_SECONDS(60));
    assert_int_equal(f->env->fs_stat(f->env, f->dir, &info, &f->err), 0);
    assert_true(info.is_dir);
    assert_false(info.is_regular);
    assert_int_equal(f->env->fs_stat(f->env, "/dev/null", &info, &f->err), 0);
    assert_false(info.is_regular);
    assert_false(info.is_dir);
}

static void test_env__given_a_deep_path__when_made__then_parents_too_and_again_is_fine(void **state)
{
    struct fixture *f = *state;
    struct leat_file_info info;
    char longest[5000];
    for (int again = 0; again < 2; again++)
        assert_int_equal(f->env->fs_mkdir(f->env, at(f, "x/y//z/"), &f->err), 0);
    assert_int_equal(f->env->fs_stat(f->env, at(f, "x/y/z"), &info, &f->err), 0);
    assert_true(info.is_dir);
    memset(longest, 'd', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(f->env->fs_mkdir(f->env, longest, &f->err), LEAT_EINVAL);
}

struct names {
    char text[256];
    int stop_after; /* calls; 0: never */
};

/* Notes "name " or "name/ " of each entry. */
static int note(void *arg, const char *name, bool is_dir)
{
    struct names *names = arg;
    const size_t len = strlen(names->text);
    const char *slash = strrchr(name, '/');
    (void)snprintf(
        names->text + len, sizeof names->text - len, "%s%s ", slash ? slash + 1 : name, is_dir ? "/" : "");
    return names->stop_after != 0 && --names->stop_after == 0 ? LEAT_ECANCELLED : 0;
}

static void test_env__given_a_directory__when_listed__then_each_entry_once(void **state)
{
    struct fixture *f = *state;
    struct names names = { 0 };
    put(f, "b", LEAT_OPEN_CREATE, "");
    put(f, ".hidden", LEAT_OPEN_CREATE, "");
    assert_int_equal(f->env->fs_mkdir(f->env, at(f, "sub"), &f->err), 0);
    assert_int_equal(f->env->fs_list(f->env, f->dir, note, &names, &f->err), 0);
    assert_int_equal(strlen(names.text), strlen("b .hidden sub/ "));
    assert_non_null(strstr(names.text, "b "));
    assert_non_null(strstr(names.text, ".hidden "));
    assert_non_null(strstr(names.text, "sub/ "));
    names = (struct names){ .stop_after = 1 };
    assert_int_equal(f->env->fs_list(f->env, f->dir, note, &names, &f->err), LEAT_ECANCELLED);
    assert_ptr_equal(strchr(names.text, ' ') + 1, names.text + strlen(names.text));
}

static void test_env__given_a_pattern__when_expanded__then_sorted_or_not_found(void **state)
{
    struct fixture *f = *state;
    struct names names = { 0 };
    put(f, "c.avro", LEAT_OPEN_CREATE, "");
    put(f, "a.avro", LEAT_OPEN_CREATE, "");
    put(f, "b.json", LEAT_OPEN_CREATE, "");
    assert_int_equal(f->env->fs_mkdir(f->env, at(f, "b.avro"), &f->err), 0);
    assert_int_equal(f->env->fs_glob(f->env, at(f, "*.avro"), note, &names, &f->err), 0);
    assert_string_equal(names.text, "a.avro b.avro/ c.avro ");
    names = (struct names){ .stop_after = 2 };
    assert_int_equal(f->env->fs_glob(f->env, at(f, "*"), note, &names, &f->err), LEAT_ECANCELLED);
    assert_string_equal(names.text, "a.avro b.avro/ ");
    assert_int_equal(f->env->fs_glob(f->env, at(f, "*.csv"), note, &names, &f->err), LEAT_ENOTFOUND);
    assert_non_null(strstr(f->err.message, "*.csv"));
}

static void test_env__given_the_real_clocks__when_read__then_monotonic_and_of_this_century(void **state)
{
    struct fixture *f = *state;
    int64_t last = f->env->mono_ns(f->env);
    for (int i = 0; i < 1000; i++) {
        const int64_t now = f->env->mono_ns(f->env);
        assert_true(now >= last);
        last = now;
    }
    assert_true(f->env->wall_us(f->env) > LEAT_DAYS(365) * 50);
    assert_true(f->env->random(f->env) != f->env->random(f->env));
}

static void test_env__given_a_simulation__when_advanced__then_both_clocks_move_and_nothing_else_moves_them(
    void **state)
{
    struct leat_env *env = leat__env_sim_new(1, LEAT_DAYS(20000));
    (void)state;
    assert_non_null(env);
    assert_int_equal(env->mono_ns(env), 0);
    assert_int_equal(env->wall_us(env), LEAT_DAYS(20000));
    leat__env_sim_advance(env, 1500);
    leat__env_sim_advance(env, 0);
    assert_int_equal(env->mono_ns(env), 1500000);
    assert_int_equal(env->wall_us(env), LEAT_DAYS(20000) + 1500);
    leat__env_sim_free(env);
    leat__env_sim_free(NULL);
}

static void test_env__given_a_seed__when_random__then_the_same_numbers_on_every_machine(void **state)
{
    struct leat_env *a = leat__env_sim_new(0, 0), *b = leat__env_sim_new(0, 5), *c = leat__env_sim_new(1, 0);
    (void)state;
    const uint64_t first = a->random(a);
    assert_true(first == UINT64_C(0xe220a8397b1dcdaf)); /* splitmix64 of 0 */
    assert_true(b->random(b) == first);
    assert_true(a->random(a) == b->random(b));
    assert_true(c->random(c) != first);
    leat__env_sim_free(a);
    leat__env_sim_free(b);
    leat__env_sim_free(c);
}

static void test_env__given_no_memory__when_a_simulation_is_made__then_null(void **state)
{
    (void)state;
    leat__alloc_fail_at(1);
    assert_null(leat__env_sim_new(1, 0));
}

static void test_env__given_a_simulation__when_files_are_used__then_they_are_real(void **state)
{
    struct fixture *f = *state;
    struct leat_env *real = f->env, *sim = leat__env_sim_new(1, 0);
    assert_non_null(sim);
    f->env = sim;
    put(f, "file", LEAT_OPEN_CREATE, "from the simulation");
    f->env = real;
    assert_content(f, "file", "from the simulation");
    leat__env_sim_free(sim);
}

#define TEST(function_) cmocka_unit_test_setup_teardown(function_, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_env__given_open_modes__when_written__then_created_emptied_or_continued),
        TEST(test_env__given_what_cannot_be__when_called__then_code_action_path_and_cause),
        TEST(test_env__given_a_file__when_read_at_offsets__then_short_only_at_the_end),
        TEST(test_env__given_a_pipe__when_read__then_bytes_nothing_yet_and_the_end),
        TEST(test_env__given_the_standard_streams__when_closed__then_they_stay_open),
        TEST(test_env__given_files__when_renamed_linked_and_removed__then_the_directory_says_so),
        TEST(test_env__given_paths__when_asked_what_they_are__then_kind_size_and_time),
        TEST(test_env__given_a_deep_path__when_made__then_parents_too_and_again_is_fine),
        TEST(test_env__given_a_directory__when_listed__then_each_entry_once),
        TEST(test_env__given_a_pattern__when_expanded__then_sorted_or_not_found),
        TEST(test_env__given_the_real_clocks__when_read__then_monotonic_and_of_this_century),
        TEST(test_env__given_a_simulation__when_advanced__then_both_clocks_move_and_nothing_else_moves_them),
        TEST(test_env__given_a_seed__when_random__then_the_same_numbers_on_every_machine),
        TEST(test_env__given_no_memory__when_a_simulation_is_made__then_null),
        TEST(test_env__given_a_simulation__when_files_are_used__then_they_are_real),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
