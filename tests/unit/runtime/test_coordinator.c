/* tests/unit/runtime/test_coordinator.c -- what the coordinator does when the world fails it: a full disk, a
 * manifest that can not be written, a commit that does not work, at any call. Whatever happens, the output of
 * the job that goes on is that of one run. */
#include "runtime/job_private.h"
#include "tests/support/durable.h"
#include "tests/support/unit.h"
#include <stdio.h>
#include <string.h>

#define COUNT 6000
#define RATE 30000

/* The real world, but calls on some paths fail for a while. */
struct faulty {
    struct leat_env env; /* first */
    struct leat_env *real;
    const char *call; /* "rename", "syncdir", "open", "unlink" */
    const char *path; /* a part of the path */
    uint32_t skip, failures; /* atomic: let so many pass, then so many fail */
    uint32_t failed; /* atomic */
    uint64_t free_bytes; /* what fs_space says; 0: the truth */
};

static struct faulty *faulty_of(struct leat_env *env)
{
    return (struct faulty *)(void *)env;
}

static int check(struct faulty *f, const char *call, const char *path, struct leat_error *err)
{
    if (!f->call || strcmp(f->call, call) != 0 || !strstr(path, f->path))
        return 0;
    if (__atomic_load_n(&f->skip, __ATOMIC_RELAXED) > 0) {
        __atomic_sub_fetch(&f->skip, 1, __ATOMIC_RELAXED);
        return 0;
    }
    if (__atomic_load_n(&f->failures, __ATOMIC_RELAXED) == 0)
        return 0;
    __atomic_sub_fetch(&f->failures, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&f->failed, 1, __ATOMIC_RELAXED);
    return leat__error(err, LEAT_EIO, "%s %s: the test says no", call, path);
}

static int faulty_open(
    struct leat_env *env, const char *path, enum leat_open_mode mode, leat_fd *fd, struct leat_error *err)
{
    struct faulty *f = faulty_of(env);
    *fd = -1;
    return check(f, "open", path, err) < 0 ? LEAT_EIO : f->real->fs_open(f->real, path, mode, fd, err);
}

static int faulty_rename(struct leat_env *env, const char *from, const char *to, struct leat_error *err)
{
    struct faulty *f = faulty_of(env);
    return check(f, "rename", to, err) < 0 ? LEAT_EIO : f->real->fs_rename(f->real, from, to, err);
}

static int faulty_sync_dir(struct leat_env *env, const char *dir, struct leat_error *err)
{
    struct faulty *f = faulty_of(env);
    return check(f, "syncdir", dir, err) < 0 ? LEAT_EIO : f->real->fs_sync_dir(f->real, dir, err);
}

static int faulty_unlink(struct leat_env *env, const char *path, struct leat_error *err)
{
    struct faulty *f = faulty_of(env);
    return check(f, "unlink", path, err) < 0 ? LEAT_EIO : f->real->fs_unlink(f->real, path, err);
}

static int faulty_space(struct leat_env *env, const char *dir, uint64_t *bytes, struct leat_error *err)
{
    struct faulty *f = faulty_of(env);
    const int result = f->real->fs_space(f->real, dir, bytes, err);
    if (f->free_bytes)
        *bytes = f->free_bytes;
    return result;
}

static void faulty_init(struct faulty *f)
{
    *f = (struct faulty){ .real = leat__env_posix() };
    f->env = *f->real;
    f->env.fs_open = faulty_open;
    f->env.fs_rename = faulty_rename;
    f->env.fs_sync_dir = faulty_sync_dir;
    f->env.fs_unlink = faulty_unlink;
    f->env.fs_space = faulty_space;
}

struct outcome {
    enum leat_job_state state;
    struct leat_error error;
    uint32_t restarts;
    struct leat_checkpoint_metrics checkpoints;
};

static struct outcome run(struct durable *d, struct faulty *f, const struct leat_job_opts *opts)
{
    struct outcome outcome = { 0 };
    leat_job *job;
    leat_topology *t = durable_watch(d);
    FAIL_UNLESS(leat_job_new(t, opts, &job, &outcome.error) == 0, "%s", outcome.error.message);
    job->env = &f->env;
    __atomic_store_n(&d->running, job, __ATOMIC_RELEASE);
    assert_true(leat_job_run(job) <= 0);
    outcome.state = leat_job_state(job);
    outcome.error = *leat_job_error(job);
    outcome.restarts = leat_job_progress(job)->restarts;
    outcome.checkpoints = leat_job_progress(job)->checkpoints;
    __atomic_store_n(&d->running, NULL, __ATOMIC_RELEASE);
    leat_job_free(job);
    leat_topology_free(t);
    return outcome;
}

static struct leat_job_opts opts_of(const struct durable *d)
{
    struct leat_job_opts opts = durable_opts(d, 2);
    opts.restart = (struct leat_restart_opts){ .backoff_us = 1000, .backoff_max_us = 1000 };
    return opts;
}

static void begin(struct durable *d, struct faulty *f, struct lines *expected)
{
    durable_init(d, 9, COUNT);
    if (!expected->count)
        durable_expected(d, expected);
    d->rate_per_s = RATE;
    faulty_init(f);
}

static void test_coordinator__given_a_full_disk__then_checkpoints_are_refused_with_a_warning(void **state)
{
    (void)state;
    struct durable d;
    struct faulty f;
    struct lines expected = { 0 };
    struct durable_log log = { "" };
    begin(&d, &f, &expected);
    struct leat_job_opts opts = opts_of(&d);
    opts.checkpoint_failures_tolerated = LEAT_ANY;
    opts.log = durable_log;
    opts.log_arg = &log;
    f.free_bytes = 1000000;
    struct outcome got = run(&d, &f, &opts);
    FAIL_UNLESS(got.state == LEAT_JOB_FINISHED, "%s", got.error.message);
    assert_true(got.checkpoints.failed >= 1);
    assert_int_equal(got.checkpoints.completed, 1); /* the last one, which has no state */
    assert_non_null(strstr(log.text, "1000000 bytes free"));
    assert_non_null(strstr(log.text, "make room"));
    durable_expect("full disk", &d, &expected);
    durable_release(&d);

    begin(&d, &f, &expected);
    opts = opts_of(&d);
    opts.restart.never = true;
    f.free_bytes = 1000000;
    got = run(&d, &f, &opts);
    assert_int_equal(got.state, LEAT_JOB_FAILED);
    assert_int_equal(got.error.code, LEAT_ENOSPC);
    durable_release(&d);
    lines_clear(&expected);
}

static void test_coordinator__given_a_failing_call_of_the_store__then_the_next_checkpoint_covers_it(
    void **state)
{
    (void)state;
    static const struct {
        const char *call, *path;
    } rows[] = { { "open", "MANIFEST-" }, { "rename", "MANIFEST-" }, { "rename", "/chk-" },
        { "syncdir", "checkpoints/durable" } };
    struct lines expected = { 0 };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (uint32_t tolerated = 0; tolerated < 2; tolerated++) {
            struct durable d;
            struct faulty f;
            begin(&d, &f, &expected);
            struct leat_job_opts opts = opts_of(&d);
            opts.checkpoint_failures_tolerated = tolerated ? LEAT_ANY : 0;
            f.call = rows[i].call;
            f.path = rows[i].path;
            f.skip = i == 3 ? 4 : 1;
            f.failures = 1;
            const struct outcome got = run(&d, &f, &opts);
            FAIL_UNLESS(
                got.state == LEAT_JOB_FINISHED, "%s %s: %s", rows[i].call, rows[i].path, got.error.message);
            assert_int_equal(f.failed, 1);
            if (tolerated)
                assert_true(got.restarts <= 1); /* the last checkpoint of all is always needed */
            else
                assert_int_equal(got.restarts, 1);
            durable_expect(rows[i].path, &d, &expected);
            durable_release(&d);
        }
    }
    lines_clear(&expected);
}

static void test_coordinator__given_a_commit_that_fails__then_recovery_completes_it(void **state)
{
    (void)state;
    struct lines expected = { 0 };
    for (uint32_t skip = 0; skip < 8; skip++) {
        struct durable d;
        struct faulty f;
        begin(&d, &f, &expected);
        const struct leat_job_opts opts = opts_of(&d);
        f.call = "rename";
        f.path = "/part-";
        f.skip = skip;
        f.failures = 2; /* also when recovery tries it for the first time */
        const struct outcome got = run(&d, &f, &opts);
        FAIL_UNLESS(got.state == LEAT_JOB_FINISHED, "%u: %s", skip, got.error.message);
        /* On a slow machine there are fewer checkpoints, and so fewer files to commit: those of the last at least. */
        const bool has_failed = skip < 2 || f.failed > 0;
        assert_int_equal(f.failed, has_failed ? 2 : 0);
        assert_int_equal(got.restarts, has_failed ? 2 : 0);
        durable_expect("commit", &d, &expected);
        durable_release(&d);
    }
    lines_clear(&expected);
}

static void test_coordinator__given_a_commit_that_never_works__then_a_later_run_completes_it(void **state)
{
    (void)state;
    struct lines expected = { 0 };
    struct durable d;
    struct faulty f;
    begin(&d, &f, &expected);
    const struct leat_job_opts opts = opts_of(&d);
    f.call = "rename";
    f.path = "/part-";
    f.skip = 2;
    f.failures = UINT32_MAX;
    struct outcome got = run(&d, &f, &opts);
    assert_int_equal(got.state, LEAT_JOB_FAILED);
    assert_int_equal(got.restarts, 3);
    assert_non_null(strstr(got.error.message, "given up after 3 restarts"));
    assert_non_null(strstr(got.error.message, "commit"));
    f.failures = 0;
    got = run(&d, &f, &opts);
    FAIL_UNLESS(got.state == LEAT_JOB_FINISHED, "%s", got.error.message);
    durable_expect("later run", &d, &expected);
    durable_release(&d);
    lines_clear(&expected);
}

static void test_coordinator__given_old_checkpoints_that_stay__then_the_job_warns_and_goes_on(void **state)
{
    (void)state;
    struct lines expected = { 0 };
    struct durable d;
    struct faulty f;
    struct durable_log log = { "" };
    begin(&d, &f, &expected);
    struct leat_job_opts opts = opts_of(&d);
    opts.checkpoints_retained = 1;
    opts.log = durable_log;
    opts.log_arg = &log;
    f.call = "unlink";
    f.path = "MANIFEST-";
    f.failures = UINT32_MAX;
    const struct outcome got = run(&d, &f, &opts);
    FAIL_UNLESS(got.state == LEAT_JOB_FINISHED, "%s", got.error.message);
    if (got.checkpoints.completed > 1)
        assert_non_null(strstr(log.text, "old checkpoints can not be removed"));
    assert_int_equal(durable_checkpoints(&d, NULL), got.checkpoints.completed);
    durable_expect("kept", &d, &expected);
    durable_release(&d);
    lines_clear(&expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_coordinator__given_a_full_disk__then_checkpoints_are_refused_with_a_warning),
        cmocka_unit_test(
            test_coordinator__given_a_failing_call_of_the_store__then_the_next_checkpoint_covers_it),
        cmocka_unit_test(test_coordinator__given_a_commit_that_fails__then_recovery_completes_it),
        cmocka_unit_test(test_coordinator__given_a_commit_that_never_works__then_a_later_run_completes_it),
        cmocka_unit_test(test_coordinator__given_old_checkpoints_that_stay__then_the_job_warns_and_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
