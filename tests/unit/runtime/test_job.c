/* tests/unit/runtime/test_job.c -- the life of a job: memory that runs out at any moment, requests to stop or
 * cancel at any moment and from any thread, the commit. */
#include "base/alloc.h"
#include "runtime/job_private.h"
#include "event.h"
#include "event_total.h"
#include "tests/support/scripted.h"
#include "tests/support/unit.h"
#include <dirent.h>
#include <leat/leat.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CYCLES 300

static void make_event(struct leat_ctx *ctx, uint64_t seed, uint64_t index, struct event *e)
{
    (void)ctx;
    e->key = (int64_t)leat_random_below(seed, index, 0, 10);
    e->name = LEAT_SV("made");
    e->value = (int64_t)index;
    e->at = (int64_t)index * 1000;
}
LEAT_DEFINE_GENERATOR(make_event, event);

static struct leat_sv name_of(struct leat_ctx *ctx, const struct event *e)
{
    return leat_printf(ctx, "%lld", (long long)e->key);
}
LEAT_DEFINE_KEY(name_of, event);

/* A generator, endless or of `count` events, two windows behind each other, a union, two sinks. */
static leat_topology *job_topology(uint64_t count, leat_collector *into)
{
    leat_topology *t = leat_topology_new("job");
    leat_stream *in = leat_generator_source(t, "in",
        &(struct leat_generator_source_opts){
            .fn = &make_event_generator, .count = count, .seed = 1, .event_time = "at", .splits = 2 });
    leat_stream *both[] = { leat_filter_expr(in, "even", "value % 2 = 0"), in };
    leat_windowed_stream *windows =
        leat_window(leat_group_by_fn(leat_union(both, 2, "both"), "by-name", &name_of_key), "windows",
            &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = 10000 });
    leat_stream *totals = leat_aggregate(windows, "totals",
        &(struct leat_aggregate_opts){
            .aggs = { LEAT_COUNT("events"), LEAT_SUM("value", "value"), LEAT_MIN("key", "key") },
            .out = &event_total_type });
    leat_memory_sink(totals, "out", &(struct leat_memory_sink_opts){ .into = into });
    leat_memory_sink(in, "all", &(struct leat_memory_sink_opts){ 0 });
    return t;
}

/* Makes and runs the job with the n-th allocation failing; 0: none. Its result. */
static int run_failing_at(uint64_t n)
{
    struct leat_error err = { 0 };
    leat_job *job = NULL;
    const int64_t before = leat__alloc_live();
    leat_collector *into = leat_collector_new();
    leat_topology *t = job_topology(60, into);
    const struct leat_job_opts opts = {
        .parallelism = 2, .batch_rows = 8, .channel_batches = 2, .simulate = true, .seed = 1
    };
    leat__alloc_fail_at(n);
    int result = leat_job_new(t, &opts, &job, &err);
    if (result == 0) {
        result = leat_job_run(job);
        err = *leat_job_error(job);
        FAIL_UNLESS(err.code == result, "allocation %llu: the run gives %d, the error %d (%s)",
            (unsigned long long)n, result, err.code, err.message);
        FAIL_UNLESS(leat_job_state(job) == (result < 0 ? LEAT_JOB_FAILED : LEAT_JOB_FINISHED),
            "allocation %llu: state %d", (unsigned long long)n, (int)leat_job_state(job));
    }
    leat__alloc_fail_at(0);
    FAIL_UNLESS(result == 0 || (result == LEAT_ENOMEM && err.message[0]), "allocation %llu: %d (%s)",
        (unsigned long long)n, result, err.message);
    leat_job_free(job);
    FAIL_UNLESS((leat_collector_count(into) > 0) == (result == 0), "allocation %llu: %d, but %llu records",
        (unsigned long long)n, result, (unsigned long long)leat_collector_count(into));
    leat_topology_free(t);
    leat_collector_free(into);
    FAIL_UNLESS(leat__alloc_live() == before, "allocation %llu: %lld blocks are left (%s)",
        (unsigned long long)n, (long long)(leat__alloc_live() - before), err.message);
    return result;
}

static void test_job__given_no_memory_at_any_moment__then_it_fails_cleanly_and_later_succeeds(void **state)
{
    (void)state;
    if (getenv("LEAT_CHECKPOINT_EVERY_US"))
        SKIP_BECAUSE("what a checkpoint has covered is committed, also by a job that fails later");
    uint64_t failed = 0;
    const uint64_t before = leat__alloc_calls();
    assert_int_equal(run_failing_at(0), 0);
    const uint64_t count = leat__alloc_calls() - before;
    for (uint64_t n = 1; n <= count; n++)
        failed += run_failing_at(n) < 0;
    assert_true(failed > 100); /* some do without */
    assert_int_equal(run_failing_at(0), 0);
}

static int entries(const char *path)
{
    int count = 0;
    DIR *dir = opendir(path);
    assert_non_null(dir);
    while (readdir(dir))
        count++;
    (void)closedir(dir);
    return count;
}

struct requester {
    leat_job *job;
    uint32_t delay; /* yields before it asks */
    bool cancel;
};

static void *request(void *arg)
{
    const struct requester *requester = arg;
    for (uint32_t i = 0; i < requester->delay; i++)
        (void)sched_yield();
    if (requester->cancel)
        leat_job_cancel(requester->job);
    else
        leat_job_stop(requester->job);
    return NULL;
}

static void test_job__given_requests_at_any_moment__then_it_ends_and_leaves_nothing_behind(void **state)
{
    (void)state;
    int fds = 0, threads = 0;
    for (uint32_t i = 0; i < CYCLES; i++) {
        struct leat_error err = { 0 };
        struct requester requester = { .delay = (uint32_t)leat_random_below(5, i, 0, 1u << (i % 12)),
            .cancel = i % 2 };
        pthread_t thread;
        leat_topology *t = job_topology(i % 3 ? 0 : 500, NULL);
        const struct leat_job_opts opts = {
            .parallelism = 1 + i % 4, .batch_rows = 1 + i % 16, .channel_batches = 1 + i % 3
        };
        assert_int_equal(leat_job_new(t, &opts, &requester.job, &err), 0);
        if (i % 10 == 0)
            (void)request(&requester); /* before it runs */
        assert_int_equal(pthread_create(&thread, NULL, request, &requester), 0);
        const int result = leat_job_run(requester.job);
        const enum leat_job_state ended = leat_job_state(requester.job);
        assert_int_equal(pthread_join(thread, NULL), 0); /* it may have asked after the end */
        FAIL_UNLESS(
            ended == LEAT_JOB_FINISHED || ended == (requester.cancel ? LEAT_JOB_CANCELLED : LEAT_JOB_STOPPED),
            "cycle %u: state %d", i, (int)ended);
        assert_int_equal(result, ended == LEAT_JOB_CANCELLED ? LEAT_ECANCELLED : 0);
        assert_int_equal(leat_job_state(requester.job), ended);
        leat_job_free(requester.job);
        leat_topology_free(t);
        if (i == 10) {
            fds = entries("/proc/self/fd");
            threads = entries("/proc/self/task");
        }
    }
    assert_int_equal(entries("/proc/self/fd"), fds);
    /* A thread that was joined may still be leaving the kernel. */
    for (int ms = 0; ms < 60000 && entries("/proc/self/task") > threads; ms++)
        (void)usleep(1000);
    assert_int_equal(entries("/proc/self/task"), threads);
}

static void cancel_job(void *arg)
{
    leat_job_cancel(*(leat_job **)arg);
}

static void test_job__given_a_request_to_cancel_during_the_commit__then_what_is_committed_counts(void **state)
{
    static const char *const script = "1 2 3";
    struct leat_error err = { 0 };
    leat_job *job;
    struct scripted_log log = { .on_commit = cancel_job, .on_commit_arg = &job };
    leat_topology *t = leat_topology_new("commit");
    (void)state;
    scripted_sink(
        scripted_source(t, "in", &(struct scripted_source_opts){ .splits = &script, .splits_count = 1 }),
        "out", &log);
    assert_int_equal(
        leat_job_new(t, &(struct leat_job_opts){ .parallelism = 1, .simulate = true }, &job, &err), 0);
    assert_int_equal(leat_job_run(job), 0);
    assert_int_equal(leat_job_state(job), LEAT_JOB_FINISHED);
    assert_int_equal(log.commits, 1);
    assert_int_equal(log.discards, 0);
    leat_job_free(job);
    leat_topology_free(t);
}

static void test_job__given_a_sink_that_cannot_prepare_or_commit__then_all_is_discarded(void **state)
{
    static const char *const script = "1 2 3";
    (void)state;
    for (int at_commit = 0; at_commit <= 1; at_commit++) {
        struct leat_error err = { 0 };
        struct scripted_log good = { 0 };
        struct scripted_log bad = { .prepare_result = at_commit ? 0 : LEAT_EIO,
            .commit_result = at_commit ? LEAT_EIO : 0 };
        leat_topology *t = leat_topology_new("commit");
        leat_stream *in =
            scripted_source(t, "in", &(struct scripted_source_opts){ .splits = &script, .splits_count = 1 });
        scripted_sink(in, "good", &good);
        scripted_sink(in, "bad", &bad);
        assert_int_equal(
            leat_run(t, &(struct leat_job_opts){ .parallelism = 1, .simulate = true }, &err), LEAT_EIO);
        FAIL_UNLESS(
            strstr(err.message, "bad") && strstr(err.message, "the script says no"), "%s", err.message);
        assert_int_equal(good.commits, at_commit);
        assert_int_equal(good.discards, 1);
        leat_topology_free(t);
    }
}

static void test_job__given_workers__then_their_channels_lie_at_cache_lines(void **state)
{
    struct leat_error err = { 0 };
    leat_job *job;
    leat_topology *t = job_topology(10, NULL);
    (void)state;
    assert_int_equal(
        leat_job_new(t, &(struct leat_job_opts){ .parallelism = 3, .simulate = true }, &job, &err), 0);
    assert_int_equal(leat__job_prepare(job), 0);
    assert_int_equal((uintptr_t)job->channels % 64, 0);
    leat_job_free(job);
    leat_topology_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_job__given_no_memory_at_any_moment__then_it_fails_cleanly_and_later_succeeds),
        cmocka_unit_test(test_job__given_requests_at_any_moment__then_it_ends_and_leaves_nothing_behind),
        cmocka_unit_test(
            test_job__given_a_request_to_cancel_during_the_commit__then_what_is_committed_counts),
        cmocka_unit_test(test_job__given_a_sink_that_cannot_prepare_or_commit__then_all_is_discarded),
        cmocka_unit_test(test_job__given_workers__then_their_channels_lie_at_cache_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
