/* tests/integration/test_recovery.c -- a job that was interrupted goes on: nothing is lost, nothing comes twice.
 * Interrupted by cancel, by SIGKILL of the process, by errors that pass; with damaged checkpoints. */
#include "runtime/tree.h"
#include "tests/support/durable.h"
#include "tests/support/unit.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAIT_SECONDS_MAX 120
#define COUNT 20000
#define RATE 40000

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

static bool has_checkpoint; /* atomic */

static void note_checkpoint(void *arg, const struct leat_progress *progress)
{
    (void)arg;
    if (progress->checkpoints.completed > 0)
        __atomic_store_n(&has_checkpoint, true, __ATOMIC_RELEASE);
}

/* From that record on the job crawls until it has a checkpoint, then it is cancelled. */
static void cancel_at(void *arg, struct leat_ctx *ctx, uint64_t n)
{
    struct durable *d = arg;
    (void)ctx;
    if (n < d->cancel_at)
        return;
    if (__atomic_load_n(&has_checkpoint, __ATOMIC_ACQUIRE))
        leat_job_cancel(__atomic_load_n(&d->running, __ATOMIC_ACQUIRE));
    (void)usleep(1000);
}

static void test_recovery__given_cancels_on_the_way__then_output_is_that_of_one_run(void **state)
{
    (void)state;
    struct lines expected = { 0 };
    struct durable d;
    uint32_t restored = 0;
    for (uint32_t parallelism = 1; parallelism <= 4; parallelism += 1) {
        durable_init(&d, 2, COUNT);
        if (!expected.count)
            durable_expected(&d, &expected);
        d.rate_per_s = RATE;
        struct leat_job_opts opts = durable_opts(&d, parallelism);
        opts.on_progress = note_checkpoint;
        opts.progress_interval_us = 5000;
        for (uint64_t at = 3000; at <= 9000; at += 3000) {
            struct leat_error err = { 0 };
            struct leat_checkpoint_metrics metrics = { 0 };
            d.on_record = cancel_at;
            d.on_record_arg = &d;
            d.cancel_at = at;
            __atomic_store_n(&has_checkpoint, false, __ATOMIC_RELEASE);
            const enum leat_job_state got = durable_run(&d, &opts, &err, &metrics);
            restored += metrics.restored_id > 0;
            if (got == LEAT_JOB_FINISHED)
                break; /* so little was left to do that the record never came */
            assert_state(got, LEAT_JOB_CANCELLED, &err);
        }
        finish(&d, &opts);
        durable_expect("cancelled", &d, &expected);
        durable_release(&d);
    }
    assert_true(restored > 0);
    lines_clear(&expected);
}

/* ---- SIGKILL ---- */

/* A child of fork that starts threads is beyond the thread sanitizer's guarantees. */
#ifdef __SANITIZE_THREAD__
#define NEEDS_FORK SKIP_BECAUSE("the thread sanitizer does not follow a child of fork that starts threads")
#else
#define NEEDS_FORK (void)0
#endif

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
    NEEDS_FORK;
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

/* ---- damage ---- */

static void stop_at(void *arg, struct leat_ctx *ctx, uint64_t n)
{
    struct durable *d = arg;
    (void)ctx;
    if (n == d->cancel_at)
        leat_job_stop(__atomic_load_n(&d->running, __ATOMIC_ACQUIRE));
    if (n > d->cancel_at)
        (void)usleep(500); /* the end must not come before the stop */
}

static struct leat_job_opts quiet_opts(const struct durable *d)
{
    struct leat_job_opts opts = durable_opts(d, 2);
    opts.checkpoint_interval_us = 0;
    return opts;
}

/* A job that has stopped with two checkpoints behind it. */
static void begin_stopped(struct durable *d)
{
    struct leat_error err = { 0 };
    durable_init(d, 4, COUNT);
    d->rate_per_s = RATE;
    const struct leat_job_opts opts = quiet_opts(d);
    d->on_record = stop_at;
    d->on_record_arg = d;
    d->cancel_at = 4000;
    for (int i = 0; i < 2; i++)
        assert_state(durable_run(d, &opts, &err, NULL), LEAT_JOB_STOPPED, &err);
    d->on_record = NULL;
    assert_int_equal(durable_checkpoints(d, NULL), 2);
}

/* Every file of the newest checkpoint, its manifest first; how many. */
static uint32_t list_newest(const struct durable *d, char paths[][512], uint32_t max)
{
    struct leat_arena arena = { 0 };
    struct leat_tree_file *files;
    struct leat_error err = { 0 };
    const char **dirs;
    uint32_t count, dirs_count, used = 1;
    uint64_t id;
    char dir[400];
    (void)durable_checkpoints(d, &id);
    (void)snprintf(paths[0], 512, "%s/MANIFEST-%08llu", d->job, (unsigned long long)id);
    (void)snprintf(dir, sizeof dir, "%s/chk-%08llu", d->job, (unsigned long long)id);
    assert_int_equal(
        leat__tree_list(leat__env_posix(), dir, &arena, &files, &count, &dirs, &dirs_count, &err), 0);
    for (uint32_t i = 0; i < count && used < max; i++)
        if (files[i].bytes > 0)
            (void)snprintf(paths[used++], 512, "%s/%.100s", dir, files[i].name);
    leat__arena_release(&arena);
    return used;
}

static void shell(const struct durable *d, const char *command)
{
    char text[3 * DURABLE_PATH_MAX];
    (void)snprintf(text, sizeof text, "cd %s && %s", d->root, command);
    assert_int_equal(system(text), 0);
}

static void damage_and_run(struct durable *d, const char *path, bool is_missing)
{
    struct leat_error err = { 0 };
    struct lines before = { 0 };
    const struct leat_job_opts opts = quiet_opts(d);
    durable_lines(d, &before);
    if (is_missing)
        assert_int_equal(unlink(path), 0);
    else
        durable_damage(path);
    assert_state(durable_run(d, &opts, &err, NULL), LEAT_JOB_FAILED, &err);
    FAIL_UNLESS(strstr(err.message, strrchr(path, '/') + 1), "\"%s\" does not name %s", err.message, path);
    FAIL_UNLESS(
        strstr(err.message, "checkpoint 2 can not be used, and the sinks are at 2"), "%s", err.message);
    assert_non_null(strstr(err.message, "restore.force"));
    assert_int_equal(err.code, is_missing ? LEAT_ENOTFOUND : LEAT_EDATA);
    assert_int_equal(d->records_seen, 0);
    durable_expect("refused", d, &before);
    lines_clear(&before);
}

static void test_recovery__given_damage_anywhere__then_it_is_named_before_anything_runs(void **state)
{
    (void)state;
    static char paths[64][512];
    struct durable d;
    struct lines expected = { 0 };
    begin_stopped(&d);
    durable_expected(&d, &expected);
    shell(&d, "cp -r checkpoints kept");
    const uint32_t count = list_newest(&d, paths, COUNT_OF(paths));
    assert_true(count >= 4);
    for (uint32_t i = 0; i < count; i++) {
        for (int is_missing = 0; is_missing < 2; is_missing++) {
            if (i == 0 && is_missing)
                continue; /* a checkpoint whose manifest is gone was never taken */
            damage_and_run(&d, paths[i], is_missing);
            shell(&d, "rm -rf checkpoints && cp -r kept checkpoints"); /* files may be links: not in place */
        }
    }
    const struct leat_job_opts opts = quiet_opts(&d);
    finish(&d, &opts);
    durable_expect("put back", &d, &expected);
    durable_release(&d);
    lines_clear(&expected);
}

static void test_recovery__given_damage_and_force__then_it_goes_on_from_the_one_before(void **state)
{
    (void)state;
    static char paths[64][512];
    struct durable d;
    struct leat_error err = { 0 };
    struct lines expected = { 0 }, got = { 0 };
    struct durable_log log = { "" };
    begin_stopped(&d);
    durable_expected(&d, &expected);
    (void)list_newest(&d, paths, COUNT_OF(paths));
    shell(&d, "cp -r checkpoints kept && rm -rf checkpoints && mv kept checkpoints"); /* no links */
    durable_damage(paths[1]);
    struct leat_job_opts opts = quiet_opts(&d);
    opts.restore.force = true;
    opts.log = durable_log;
    opts.log_arg = &log;
    assert_state(durable_run(&d, &opts, &err, NULL), LEAT_JOB_FINISHED, &err);
    assert_non_null(strstr(log.text, "forced: checkpoint 2 is left out"));
    durable_lines(&d, &got); /* output since checkpoint 1 may be there twice, but nothing is missing */
    lines_sort(&got);
    lines_sort(&expected);
    for (size_t i = 0, k = 0; i < expected.count; i++, k++) {
        while (k < got.count && strcmp(got.at[k], expected.at[i]) != 0)
            k++;
        FAIL_UNLESS(k < got.count, "%s is missing", expected.at[i]);
    }
    lines_clear(&got);
    durable_release(&d);
    lines_clear(&expected);
}

static void test_recovery__given_all_checkpoints_damaged__then_the_error_says_how_to_begin_new(void **state)
{
    (void)state;
    static char paths[64][512];
    struct durable d;
    struct leat_error err = { 0 };
    begin_stopped(&d);
    (void)list_newest(&d, paths, COUNT_OF(paths));
    durable_damage(paths[0]);
    shell(&d, "rm checkpoints/durable/MANIFEST-00000001");
    struct leat_job_opts opts = quiet_opts(&d);
    opts.restore.force = true;
    assert_state(durable_run(&d, &opts, &err, NULL), LEAT_JOB_FAILED, &err);
    assert_non_null(strstr(err.message, "restore.fresh"));
    durable_release(&d);
}

static void test_recovery__given_leftovers_of_a_crash__then_they_are_swept_away(void **state)
{
    (void)state;
    struct durable d;
    struct leat_error err = { 0 };
    struct leat_checkpoint_metrics metrics;
    begin_stopped(&d);
    shell(&d,
        "cd checkpoints/durable && mkdir -p chk-00000007.tmp/worker-0 chk-00000005/worker-1 "
        "live/attempt-9/worker-0 spool && touch chk-00000007.tmp/worker-0/x chk-00000005/worker-1/y "
        "MANIFEST-00000006.tmp live/attempt-9/worker-0/z");
    const struct leat_job_opts opts = quiet_opts(&d);
    assert_state(durable_run(&d, &opts, &err, &metrics), LEAT_JOB_FINISHED, &err);
    assert_int_equal(metrics.restored_id, 2);
    assert_int_equal(metrics.last_id, 8); /* 7 was used by somebody */
    assert_false(durable_exists("%s/chk-00000007.tmp", d.job));
    assert_false(durable_exists("%s/chk-00000005", d.job));
    assert_false(durable_exists("%s/MANIFEST-00000006.tmp", d.job));
    assert_false(durable_exists("%s/live/attempt-9", d.job));
    durable_release(&d);
}

static void test_recovery__given_a_checkpoint_of_threads__then_a_simulated_run_refuses_it(void **state)
{
    (void)state;
    struct durable d;
    struct leat_error err = { 0 };
    begin_stopped(&d);
    struct leat_job_opts opts = quiet_opts(&d);
    opts.simulate = true;
    assert_state(durable_run(&d, &opts, &err, NULL), LEAT_JOB_FAILED, &err);
    assert_int_equal(err.code, LEAT_EUNSUPPORTED);
    assert_non_null(strstr(err.message, "rocksdb"));
    durable_release(&d);
}

/* ---- two processes ---- */

static void test_recovery__given_another_process_with_the_job__then_it_is_refused_with_the_path(void **state)
{
    (void)state;
    NEEDS_FORK;
    struct durable d;
    struct leat_error err = { 0 };
    int status;
    durable_init(&d, 4, 0); /* without end */
    d.rate_per_s = RATE;
    const struct leat_job_opts opts = durable_opts(&d, 1);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)alarm(WAIT_SECONDS_MAX + 60); /* it has no end, and its parent may be killed */
        _exit(durable_run(&d, &opts, &err, NULL) == LEAT_JOB_FINISHED ? 0 : 1);
    }
    for (int i = 0; i < WAIT_SECONDS_MAX * 1000 && !durable_exists("%s/live/attempt-1", d.job); i++)
        (void)usleep(1000);
    assert_true(durable_exists("%s/live/attempt-1", d.job));
    assert_state(durable_run(&d, &opts, &err, NULL), LEAT_JOB_FAILED, &err);
    assert_int_equal(err.code, LEAT_EEXISTS);
    assert_non_null(strstr(err.message, "another process runs this job"));
    assert_non_null(strstr(err.message, "/durable/LOCK"));
    assert_int_equal(d.records_seen, 0);
    (void)kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    durable_release(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recovery__given_cancels_on_the_way__then_output_is_that_of_one_run),
        cmocka_unit_test(test_recovery__given_kills_at_any_moment__then_output_is_that_of_one_run),
        cmocka_unit_test(test_recovery__given_damage_anywhere__then_it_is_named_before_anything_runs),
        cmocka_unit_test(test_recovery__given_damage_and_force__then_it_goes_on_from_the_one_before),
        cmocka_unit_test(test_recovery__given_all_checkpoints_damaged__then_the_error_says_how_to_begin_new),
        cmocka_unit_test(test_recovery__given_leftovers_of_a_crash__then_they_are_swept_away),
        cmocka_unit_test(test_recovery__given_a_checkpoint_of_threads__then_a_simulated_run_refuses_it),
        cmocka_unit_test(test_recovery__given_another_process_with_the_job__then_it_is_refused_with_the_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
