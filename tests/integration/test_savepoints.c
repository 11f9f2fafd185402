/* tests/integration/test_savepoints.c -- leat_job_stop, stop_with and checkpoint: a stopped job goes on where
 * it stopped, a savepoint is whole wherever it lies, a drained job has finished. */
#include "runtime/checkpoint_store.h"
#include "tests/support/durable.h"
#include "tests/support/unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT 20000
#define RATE 100000

static void assert_state(enum leat_job_state got, enum leat_job_state want, const struct leat_error *err)
{
    FAIL_UNLESS(got == want, "state %d, not %d: %s", (int)got, (int)want, err->message);
}

enum ask { ASK_STOP = 1, ASK_STOP_TWICE, ASK_STOP_SAVE, ASK_DRAIN, ASK_DRAIN_SAVE, ASK_CHECKPOINT, ASK_SAVE };

/* What is asked when the n-th record comes, from the worker's thread, and how it went. */
struct asker {
    struct durable *d;
    enum ask ask;
    uint64_t at;
    const char *path;
    int result;
    struct leat_error err;
    uint32_t done_count;
    uint64_t done_id;
    struct leat_error done_error;
};

static void on_done(void *arg, uint64_t id, const struct leat_error *error)
{
    struct asker *asker = arg;
    asker->done_count++;
    asker->done_id = id;
    if (error)
        asker->done_error = *error;
}

static void ask(void *arg, struct leat_ctx *ctx, uint64_t n)
{
    struct asker *a = arg;
    leat_job *job = __atomic_load_n(&a->d->running, __ATOMIC_ACQUIRE);
    (void)ctx;
    if (n > a->at && (a->ask == ASK_STOP || a->ask == ASK_STOP_TWICE || a->ask == ASK_STOP_SAVE))
        (void)usleep(500); /* the end must not come before the stop */
    if (n != a->at)
        return;
    const struct leat_stop_opts stop = { .drain = a->ask == ASK_DRAIN || a->ask == ASK_DRAIN_SAVE,
        .savepoint = a->path };
    switch (a->ask) {
    case ASK_STOP_TWICE:
        leat_job_stop(job); /* fall through */
    case ASK_STOP:
        leat_job_stop(job);
        break;
    case ASK_STOP_SAVE:
    case ASK_DRAIN:
    case ASK_DRAIN_SAVE:
        a->result = leat_job_stop_with(job, &stop, &a->err);
        break;
    case ASK_CHECKPOINT:
    case ASK_SAVE:
        a->result = leat_job_checkpoint(job, a->path, on_done, a, &a->err);
        break;
    }
}

static enum leat_job_state run_asking(
    struct durable *d, struct asker *a, const struct leat_job_opts *opts, struct leat_error *err)
{
    a->d = d;
    d->on_record = ask;
    d->on_record_arg = a;
    const enum leat_job_state got = durable_run(d, opts, err, NULL);
    d->on_record = NULL;
    FAIL_UNLESS(a->result == 0, "%s", a->err.message);
    return got;
}

static void finish(struct durable *d, const struct leat_job_opts *opts)
{
    struct leat_error err = { 0 };
    assert_state(durable_run(d, opts, &err, NULL), LEAT_JOB_FINISHED, &err);
}

static void begin(struct durable *d, struct lines *expected)
{
    durable_init(d, 5, COUNT);
    durable_expected(d, expected);
    d->rate_per_s = RATE;
}

static void end(struct durable *d, struct lines *expected)
{
    durable_release(d);
    lines_clear(expected);
}

/* Checkpoints on demand only. */
static struct leat_job_opts quiet_opts(const struct durable *d, uint32_t parallelism)
{
    struct leat_job_opts opts = durable_opts(d, parallelism);
    opts.checkpoint_interval_us = 0;
    return opts;
}

static void test_stop__given_checkpoints__then_the_next_run_goes_on_with_windows_open(void **state)
{
    (void)state;
    struct durable d;
    struct lines expected = { 0 };
    begin(&d, &expected);
    const struct leat_job_opts opts = quiet_opts(&d, 2);
    for (uint64_t at = 2000; at <= 6000; at += 2000) {
        struct leat_error err = { 0 };
        struct asker a = { .ask = at == 4000 ? ASK_STOP_TWICE : ASK_STOP, .at = at };
        assert_state(run_asking(&d, &a, &opts, &err), LEAT_JOB_STOPPED, &err);
        assert_int_equal(durable_checkpoints(&d, NULL), at == 2000 ? 1 : 2);
    }
    finish(&d, &opts);
    durable_expect("stopped", &d, &expected);
    end(&d, &expected);
}

/* Moves the part files of both outputs to a directory beside them, or back. */
static void move_parts(const struct durable *d, bool away)
{
    char command[2048], taken[DURABLE_PATH_MAX + 16];
    const char *const dirs[] = { d->totals, d->pairs };
    for (uint32_t i = 0; i < 2; i++) {
        (void)snprintf(taken, sizeof taken, "%s.taken", dirs[i]);
        (void)snprintf(command, sizeof command, "mkdir -p '%s' && mv '%s'/part-* '%s'/", taken,
            away ? dirs[i] : taken, away ? taken : dirs[i]);
        assert_int_equal(system(command), 0);
    }
}

/* Whoever consumes parts may take them away as soon as they are seen. */
static void test_stop__given_committed_parts_that_were_taken_away__then_the_next_run_goes_on(void **state)
{
    (void)state;
    for (uint32_t from_savepoint = 0; from_savepoint < 2; from_savepoint++) {
        struct durable d;
        struct lines expected = { 0 };
        char path[DURABLE_PATH_MAX + 16];
        begin(&d, &expected);
        (void)snprintf(path, sizeof path, "%s/saved", d.root);
        struct leat_job_opts opts = quiet_opts(&d, 2);
        struct asker asker = { .d = &d, .ask = ASK_STOP_SAVE, .at = COUNT / 2, .path = path };
        struct leat_error err = { 0 };
        assert_state(run_asking(&d, &asker, &opts, &err), LEAT_JOB_STOPPED, &err);
        move_parts(&d, true);
        if (from_savepoint) {
            (void)snprintf(d.checkpoints, sizeof d.checkpoints, "%s/others", d.root);
            opts.checkpoint_dir = d.checkpoints;
            opts.restore.from = path;
        }
        finish(&d, &opts);
        move_parts(&d, false);
        durable_expect(from_savepoint ? "from a savepoint" : "stopped", &d, &expected);
        end(&d, &expected);
    }
}

static void test_stop__given_a_savepoint_path__then_another_place_goes_on_from_it(void **state)
{
    (void)state;
    struct durable d;
    struct lines expected = { 0 };
    struct leat_error err = { 0 };
    char path[DURABLE_PATH_MAX + 16], moved[DURABLE_PATH_MAX + 16], text[2 * DURABLE_PATH_MAX + 64];
    begin(&d, &expected);
    (void)snprintf(path, sizeof path, "%s/here/save", d.root);
    (void)snprintf(moved, sizeof moved, "%s/there", d.root);
    struct asker a = { .ask = ASK_STOP_SAVE, .at = 5000, .path = path };
    const struct leat_job_opts opts = quiet_opts(&d, 3);
    assert_state(run_asking(&d, &a, &opts, &err), LEAT_JOB_STOPPED, &err);
    assert_true(durable_exists("%s/MANIFEST", path));
    assert_false(durable_exists("%s.tmp", path));
    (void)snprintf(text, sizeof text, "cp -r %s %s && rm -rf %s %s/here", path, moved, d.checkpoints, d.root);
    assert_int_equal(system(text), 0);
    struct leat_job_opts from = quiet_opts(&d, 3);
    from.restore.from = moved;
    finish(&d, &from);
    durable_expect("moved savepoint", &d, &expected);
    end(&d, &expected);
}

static void test_drain__given_open_windows__then_all_fire_and_the_job_has_finished(void **state)
{
    (void)state;
    struct durable d;
    struct lines expected = { 0 }, got = { 0 };
    struct leat_error err = { 0 };
    struct durable_log log = { "" };
    char path[DURABLE_PATH_MAX + 16];
    begin(&d, &expected);
    (void)snprintf(path, sizeof path, "%s/save", d.root);
    struct leat_job_opts opts = quiet_opts(&d, 2);
    struct asker a = { .ask = ASK_DRAIN_SAVE, .at = 5000, .path = path };
    assert_state(run_asking(&d, &a, &opts, &err), LEAT_JOB_FINISHED, &err);
    assert_true(durable_exists("%s/MANIFEST", path));
    durable_lines(&d, &got);
    assert_true(got.count > 0);
    opts.log = durable_log;
    opts.log_arg = &log;
    finish(&d, &opts); /* there is nothing to do */
    assert_non_null(strstr(log.text, "finished"));
    durable_expect("finished twice", &d, &got);
    lines_clear(&got);
    end(&d, &expected);
}

static void test_drain__given_no_checkpoints__then_the_job_finishes_early(void **state)
{
    (void)state;
    struct durable d;
    struct leat_error err = { 0 };
    struct lines got = { 0 };
    durable_init(&d, 5, 0);
    d.rate_per_s = RATE;
    struct asker a = { .ask = ASK_DRAIN, .at = 3000 };
    const struct leat_job_opts opts = { .parallelism = 2 };
    assert_state(run_asking(&d, &a, &opts, &err), LEAT_JOB_FINISHED, &err);
    durable_lines(&d, &got);
    assert_true(got.count > 50);
    lines_clear(&got);
    durable_release(&d);
}

static void test_checkpoint__given_requests__then_who_asked_hears_how_it_went(void **state)
{
    (void)state;
    struct durable d;
    struct lines expected = { 0 };
    struct leat_error err = { 0 };
    char path[DURABLE_PATH_MAX + 16];
    begin(&d, &expected);
    (void)snprintf(path, sizeof path, "%s/save", d.root);
    const struct leat_job_opts opts = quiet_opts(&d, 2);
    struct asker a = { .ask = ASK_SAVE, .at = 3000, .path = path };
    assert_state(run_asking(&d, &a, &opts, &err), LEAT_JOB_FINISHED, &err);
    assert_int_equal(a.done_count, 1);
    FAIL_UNLESS(a.done_error.code == 0, "%s", a.done_error.message);
    assert_true(a.done_id > 0);
    durable_expect("savepoint on the way", &d, &expected);
    assert_true(durable_exists("%s/MANIFEST", path));
    assert_int_equal(durable_checkpoints(&d, NULL), 1); /* the finished one; savepoints are not pruned */
    end(&d, &expected);
}

static void test_savepoint__given_a_path_that_is_taken__then_it_is_refused(void **state)
{
    (void)state;
    struct durable d;
    struct leat_error err = { 0 };
    durable_init(&d, 5, COUNT);
    d.rate_per_s = RATE;
    struct asker a = { .ask = ASK_SAVE, .at = 100, .path = d.root, .d = &d };
    const struct leat_job_opts opts = quiet_opts(&d, 1);
    d.on_record = ask;
    d.on_record_arg = &a;
    assert_state(durable_run(&d, &opts, &err, NULL), LEAT_JOB_FINISHED, &err);
    assert_int_equal(a.result, LEAT_EEXISTS);
    assert_non_null(strstr(a.err.message, d.root));
    durable_release(&d);
}

static void test_savepoint__given_no_checkpoint_dir__then_it_is_refused_with_the_option(void **state)
{
    (void)state;
    struct durable d;
    struct leat_error err = { 0 };
    durable_init(&d, 5, 1000);
    struct asker a = { .ask = ASK_SAVE, .at = 100, .path = "/nowhere", .d = &d };
    d.on_record = ask;
    d.on_record_arg = &a;
    const struct leat_job_opts opts = { .parallelism = 1 };
    assert_state(durable_run(&d, &opts, &err, NULL), LEAT_JOB_FINISHED, &err);
    assert_int_equal(a.result, LEAT_EINVAL);
    assert_non_null(strstr(a.err.message, "checkpoint_dir"));
    durable_release(&d);
}

static void test_requests__given_a_job_that_is_over__then_they_are_refused(void **state)
{
    (void)state;
    struct durable d;
    struct leat_error err = { 0 };
    leat_job *job;
    durable_init(&d, 5, 100);
    leat_topology *t = durable_watch(&d);
    const struct leat_job_opts opts = quiet_opts(&d, 1);
    assert_int_equal(leat_job_new(t, &opts, &job, &err), 0);
    assert_int_equal(leat_job_run(job), 0);
    assert_int_equal(leat_job_checkpoint(job, NULL, NULL, NULL, &err), LEAT_EINVAL);
    assert_int_equal(leat_job_stop_with(job, NULL, &err), LEAT_EINVAL);
    assert_int_equal(leat_job_stop_with(job, &(struct leat_stop_opts){ .drain = true }, &err), LEAT_EINVAL);
    leat_job_free(job);
    leat_topology_free(t);
    durable_release(&d);
}

/* ---- which checkpoint is the right one ---- */

/* A savepoint at record 3000, then the job goes on to 6000 and stops. */
static void save_and_go_on(struct durable *d, char *path, size_t size)
{
    struct leat_error err = { 0 };
    (void)snprintf(path, size, "%s/save", d->root);
    const struct leat_job_opts opts = quiet_opts(d, 2);
    struct asker a = { .ask = ASK_STOP_SAVE, .at = 3000, .path = path };
    assert_state(run_asking(d, &a, &opts, &err), LEAT_JOB_STOPPED, &err);
    struct asker b = { .ask = ASK_STOP, .at = 3000 };
    assert_state(run_asking(d, &b, &opts, &err), LEAT_JOB_STOPPED, &err);
}

static void test_restore__given_a_newer_checkpoint__when_from_a_savepoint__then_it_is_refused(void **state)
{
    (void)state;
    struct durable d;
    struct lines expected = { 0 }, before = { 0 };
    struct leat_error err = { 0 };
    char path[DURABLE_PATH_MAX + 16];
    begin(&d, &expected);
    save_and_go_on(&d, path, sizeof path);
    durable_lines(&d, &before);
    struct leat_job_opts opts = quiet_opts(&d, 2);
    opts.restore.from = path;
    assert_state(durable_run(&d, &opts, &err, NULL), LEAT_JOB_FAILED, &err);
    assert_int_equal(err.code, LEAT_EEXISTS);
    assert_non_null(strstr(err.message, path));
    assert_non_null(strstr(err.message, "restore.force"));
    durable_expect("refused", &d, &before); /* nothing has changed */
    const struct leat_job_opts own = quiet_opts(&d, 2);
    finish(&d, &own);
    durable_expect("its own newest", &d, &expected);
    lines_clear(&before);
    end(&d, &expected);
}

static void test_restore__given_force__then_it_goes_back_and_says_so(void **state)
{
    (void)state;
    struct durable d;
    struct lines expected = { 0 }, got = { 0 };
    struct leat_error err = { 0 };
    struct durable_log log = { "" };
    char path[DURABLE_PATH_MAX + 16];
    begin(&d, &expected);
    save_and_go_on(&d, path, sizeof path);
    struct leat_job_opts opts = quiet_opts(&d, 2);
    opts.restore.from = path;
    opts.restore.force = true;
    opts.log = durable_log;
    opts.log_arg = &log;
    assert_state(durable_run(&d, &opts, &err, NULL), LEAT_JOB_FINISHED, &err);
    assert_non_null(strstr(log.text, "forced"));
    durable_lines(&d, &got);
    FAIL_UNLESS(got.count >= expected.count, "%zu lines, at least %zu expected", got.count, expected.count);
    lines_clear(&got);
    end(&d, &expected);
}

static void test_restore__given_fresh__then_old_checkpoints_are_gone(void **state)
{
    (void)state;
    struct durable d;
    struct lines expected = { 0 };
    struct leat_error err = { 0 };
    struct leat_checkpoint_metrics metrics;
    char path[DURABLE_PATH_MAX + 16], text[4 * DURABLE_PATH_MAX];
    begin(&d, &expected);
    save_and_go_on(&d, path, sizeof path);
    (void)snprintf(text, sizeof text, "rm -rf %s %s", d.totals, d.pairs);
    assert_int_equal(system(text), 0);
    struct leat_job_opts opts = quiet_opts(&d, 2);
    opts.restore.fresh = true;
    assert_state(durable_run(&d, &opts, &err, &metrics), LEAT_JOB_FINISHED, &err);
    assert_int_equal(metrics.restored_id, 0);
    assert_true(metrics.last_id > 2); /* ids are not used again */
    durable_expect("fresh", &d, &expected);
    end(&d, &expected);
}

static void test_restore__given_a_path_without_a_savepoint__then_the_error_names_it(void **state)
{
    (void)state;
    struct durable d;
    struct leat_error err = { 0 };
    durable_init(&d, 5, 100);
    struct leat_job_opts opts = quiet_opts(&d, 1);
    opts.restore.from = d.root;
    assert_state(durable_run(&d, &opts, &err, NULL), LEAT_JOB_FAILED, &err);
    assert_int_equal(err.code, LEAT_ENOTFOUND);
    assert_non_null(strstr(err.message, d.root));
    durable_release(&d);
}

static void test_restore__given_one_checkpoint_by_its_path__then_it_is_taken(void **state)
{
    (void)state;
    struct durable d;
    struct lines expected = { 0 };
    struct leat_error err = { 0 };
    uint64_t id;
    char path[2 * DURABLE_PATH_MAX];
    begin(&d, &expected);
    struct leat_job_opts opts = quiet_opts(&d, 2);
    struct asker a = { .ask = ASK_STOP, .at = 3000 };
    assert_state(run_asking(&d, &a, &opts, &err), LEAT_JOB_STOPPED, &err);
    (void)durable_checkpoints(&d, &id);
    (void)snprintf(path, sizeof path, "%s/chk-%08llu", d.job, (unsigned long long)id);
    opts.restore.from = path;
    finish(&d, &opts);
    durable_expect("by its path", &d, &expected);
    end(&d, &expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stop__given_checkpoints__then_the_next_run_goes_on_with_windows_open),
        cmocka_unit_test(test_stop__given_committed_parts_that_were_taken_away__then_the_next_run_goes_on),
        cmocka_unit_test(test_stop__given_a_savepoint_path__then_another_place_goes_on_from_it),
        cmocka_unit_test(test_drain__given_open_windows__then_all_fire_and_the_job_has_finished),
        cmocka_unit_test(test_drain__given_no_checkpoints__then_the_job_finishes_early),
        cmocka_unit_test(test_checkpoint__given_requests__then_who_asked_hears_how_it_went),
        cmocka_unit_test(test_savepoint__given_a_path_that_is_taken__then_it_is_refused),
        cmocka_unit_test(test_savepoint__given_no_checkpoint_dir__then_it_is_refused_with_the_option),
        cmocka_unit_test(test_requests__given_a_job_that_is_over__then_they_are_refused),
        cmocka_unit_test(test_restore__given_a_newer_checkpoint__when_from_a_savepoint__then_it_is_refused),
        cmocka_unit_test(test_restore__given_force__then_it_goes_back_and_says_so),
        cmocka_unit_test(test_restore__given_fresh__then_old_checkpoints_are_gone),
        cmocka_unit_test(test_restore__given_a_path_without_a_savepoint__then_the_error_names_it),
        cmocka_unit_test(test_restore__given_one_checkpoint_by_its_path__then_it_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
