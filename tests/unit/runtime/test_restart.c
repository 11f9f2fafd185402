/* tests/unit/runtime/test_restart.c -- a job that fails with an error that may pass goes on from its newest
 * checkpoint, in the same process: how often, after what wait, and with what its sinks have. */
#include "tests/support/durable.h"
#include "tests/support/job_data.h"
#include "tests/support/unit.h"
#include "topology/declare.h"
#include "topology/sink.h"
#include <string.h>
#include <time.h>

#define COUNT 8000
#define RATE 80000

/* A sink that fails when it has taken so many rows in this process, as often as it is told. */
struct flaky {
    uint64_t taken; /* atomic; over all attempts */
    uint64_t fail_at; /* 0: never */
    uint64_t again_after; /* the next failure comes so many rows later */
    uint32_t failures_left;
    int code;
};

static int flaky_open(struct leat_sink *sink, struct leat__ctx *ctx)
{
    (void)sink;
    (void)ctx;
    return 0;
}

static int flaky_on_batch(struct leat_sink *sink, struct leat__ctx *ctx, struct leat_batch *batch)
{
    struct flaky *flaky = *(struct flaky *const *)sink->node->spec;
    const uint64_t taken = __atomic_add_fetch(&flaky->taken, batch->count, __ATOMIC_RELAXED);
    leat__batch_release(batch);
    if (!flaky->failures_left || taken < flaky->fail_at)
        return 0;
    flaky->failures_left--;
    flaky->fail_at = taken + flaky->again_after;
    return leat__fail(ctx, flaky->code, "the disk is away for a moment");
}

static int flaky_prepare(struct leat_sink *sink, struct leat__ctx *ctx, uint64_t epoch, bool last,
    struct leat_handle_list *handles)
{
    (void)sink;
    (void)ctx;
    (void)epoch;
    (void)last;
    (void)handles;
    return 0;
}

static void flaky_close(struct leat_sink *sink, struct leat__ctx *ctx)
{
    (void)sink;
    (void)ctx;
}

static const struct leat_sink_class flaky_class = { .kind = "flaky sink",
    .size = sizeof(struct leat_sink),
    .open = flaky_open,
    .on_batch = flaky_on_batch,
    .prepare = flaky_prepare,
    .close = flaky_close };

static void flaky_sink(leat_stream *in, const char *name, struct flaky *flaky)
{
    struct leat_node *node = leat__declare(in->t, name, LEAT_NODE_SINK, flaky_class.kind);
    struct flaky **spec = leat__spec(node, sizeof *spec);
    leat__input(node, 0, in, LEAT_GATHER, NULL);
    node->parallelism = 1;
    *spec = flaky;
    node->spec = spec;
    node->sink = &flaky_class;
}

/* ---- the job ---- */

static void make_event(struct leat_ctx *ctx, uint64_t seed, uint64_t index, struct event *e)
{
    (void)ctx;
    e->key = (int64_t)leat_random_below(seed, index, 0, 20);
    e->name = LEAT_SV("made");
    e->value = (int64_t)index;
    e->at = (int64_t)index * 10;
}
LEAT_DEFINE_GENERATOR(make_event, event);

static bool refuse_now;
static void refuse(struct leat_ctx *ctx, const struct event *in, struct event *out)
{
    *out = *in;
    if (refuse_now && in->value == COUNT / 2)
        leat_fail(ctx, "never with this one");
}
LEAT_DEFINE_MAP(refuse, event, event);

static leat_topology *topology(leat_collector *into, struct flaky *flaky)
{
    leat_topology *t = leat_topology_new("restarted");
    leat_stream *in = leat_map(leat_generator_source(t, "in",
                                   &(struct leat_generator_source_opts){ .fn = &make_event_generator,
                                       .count = COUNT,
                                       .seed = 1,
                                       .rate_per_s = RATE,
                                       .event_time = "at",
                                       .splits = 3 }),
        "refuse", &refuse_map);
    leat_windowed_stream *windows = leat_window(leat_group_by(in, "by-key", "key"), "windows",
        &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = 1000 });
    leat_stream *totals = leat_aggregate(windows, "totals",
        &(struct leat_aggregate_opts){
            .aggs = { LEAT_COUNT("events"), LEAT_SUM("value", "value") }, .out = &event_total_type });
    leat_memory_sink(totals, "out", &(struct leat_memory_sink_opts){ .into = into });
    flaky_sink(in, "flaky", flaky);
    return t;
}

struct outcome {
    enum leat_job_state state;
    struct leat_error error;
    uint32_t restarts, restarting_seen;
    int64_t elapsed_us;
    struct leat_checkpoint_metrics checkpoints;
};

static void on_progress(void *arg, const struct leat_progress *progress)
{
    struct outcome *outcome = arg;
    outcome->restarting_seen += progress->state == LEAT_JOB_RESTARTING;
}

static struct outcome run(
    struct durable *d, const struct leat_job_opts *given, leat_collector *into, struct flaky *flaky)
{
    struct outcome outcome = { 0 };
    struct leat_job_opts opts = *given;
    leat_topology *t = topology(into, flaky);
    leat_job *job = NULL;
    opts.on_progress = on_progress;
    opts.progress_arg = &outcome;
    FAIL_UNLESS(leat_job_new(t, &opts, &job, &outcome.error) == 0, "%s", outcome.error.message);
    __atomic_store_n(&d->running, job, __ATOMIC_RELEASE);
    assert_true(leat_job_run(job) <= 0);
    __atomic_store_n(&d->running, NULL, __ATOMIC_RELEASE);
    outcome.state = leat_job_state(job);
    outcome.error = *leat_job_error(job);
    outcome.restarts = leat_job_progress(job)->restarts;
    outcome.elapsed_us = leat_job_progress(job)->elapsed_us;
    outcome.checkpoints = leat_job_progress(job)->checkpoints;
    leat_job_free(job);
    leat_topology_free(t);
    return outcome;
}

static struct leat_job_opts opts_of(const struct durable *d, bool simulate)
{
    return (struct leat_job_opts){ .parallelism = 2,
        .batch_rows = 32,
        .simulate = simulate,
        .seed = 5,
        .checkpoint_dir = d->checkpoints,
        .checkpoint_interval_us = 5000,
        .restart = { .backoff_us = simulate ? LEAT_SECONDS(1) : 1000, .backoff_max_us = LEAT_SECONDS(3) } };
}

static void expect_totals(const char *what, leat_collector *collector)
{
    static struct event events[COUNT];
    size_t expected_count, count;
    for (uint64_t i = 0; i < COUNT; i++)
        make_event(NULL, 1, i, &events[i]);
    char **expected = job_data_totals(events, COUNT, 0, 1000, &expected_count);
    char **lines = job_data_lines(collector, &event_total_type, &count);
    job_data_compare(what, expected, expected_count, lines, count);
    job_data_free(lines, count);
    job_data_free(expected, expected_count);
}

static void test_restart__given_errors_that_pass__then_output_is_that_of_one_run(void **state)
{
    (void)state;
    for (int simulate = 0; simulate < 2; simulate++) {
        struct durable d;
        struct flaky flaky = { .fail_at = 2000, .again_after = 2000, .failures_left = 3, .code = LEAT_EIO };
        durable_init(&d, 1, COUNT);
        leat_collector *collector = leat_collector_new();
        const struct leat_job_opts opts = opts_of(&d, simulate);
        const struct outcome got = run(&d, &opts, collector, &flaky);
        FAIL_UNLESS(got.state == LEAT_JOB_FINISHED, "%s", got.error.message);
        assert_int_equal(got.error.code, 0);
        assert_int_equal(got.restarts, 3);
        assert_true(got.restarting_seen >= 3); /* a wait that takes long is told again */
        assert_true(!simulate || got.checkpoints.restored_id > 0); /* threads may be quicker than disks */
        expect_totals(simulate ? "simulated" : "threads", collector);
        leat_collector_free(collector);
        durable_release(&d);
    }
}

static void test_restart__given_an_error_that_stays__then_the_last_one_says_how_often(void **state)
{
    (void)state;
    struct durable d;
    struct flaky flaky = { .fail_at = 1, .failures_left = 100, .code = LEAT_EIO };
    durable_init(&d, 1, COUNT);
    struct leat_job_opts opts = opts_of(&d, true);
    opts.restart.attempts_max = 2;
    leat_collector *collector = leat_collector_new();
    const struct outcome got = run(&d, &opts, collector, &flaky);
    assert_int_equal(got.state, LEAT_JOB_FAILED);
    assert_int_equal(got.error.code, LEAT_EIO);
    assert_int_equal(got.restarts, 2);
    assert_non_null(strstr(got.error.message, "given up after 2 restarts, each from the same place"));
    assert_non_null(strstr(got.error.message, "the disk is away"));
    assert_non_null(strstr(got.error.message, "flaky"));
    assert_true(got.elapsed_us >= LEAT_SECONDS(3)); /* 1 s, then 2 s */
    assert_true(got.elapsed_us < LEAT_SECONDS(4));
    assert_int_equal(leat_collector_count(collector), 0);
    leat_collector_free(collector);
    durable_release(&d);
}

static void test_restart__given_attempts_for_ever__then_the_wait_grows_to_its_maximum(void **state)
{
    (void)state;
    struct durable d;
    struct flaky flaky = { .fail_at = 1, .failures_left = 10, .code = LEAT_ESTATE };
    durable_init(&d, 1, COUNT);
    struct leat_job_opts opts = opts_of(&d, true);
    opts.restart.attempts_max = LEAT_ANY;
    leat_collector *collector = leat_collector_new();
    const struct outcome got = run(&d, &opts, collector, &flaky);
    assert_int_equal(got.state, LEAT_JOB_FINISHED);
    assert_int_equal(got.restarts, 10);
    assert_true(got.elapsed_us >= LEAT_SECONDS(1 + 2 + 8 * 3)); /* at most 3 s each */
    assert_true(got.elapsed_us < LEAT_SECONDS(1 + 2 + 8 * 3 + 2));
    expect_totals("ten failures", collector);
    leat_collector_free(collector);
    durable_release(&d);
}

static void test_restart__given_healthy_periods__then_earlier_failures_are_forgotten(void **state)
{
    (void)state;
    struct durable d;
    struct flaky flaky = { .fail_at = 2000, .again_after = 2000, .failures_left = 3, .code = LEAT_EIO };
    durable_init(&d, 1, COUNT);
    struct leat_job_opts opts = opts_of(&d, true);
    opts.restart.attempts_max = 1;
    opts.restart.healthy_us = 2000;
    leat_collector *collector = leat_collector_new();
    const struct outcome got = run(&d, &opts, collector, &flaky);
    FAIL_UNLESS(got.state == LEAT_JOB_FINISHED, "%s", got.error.message);
    assert_int_equal(got.restarts, 3);
    expect_totals("healthy in between", collector);
    leat_collector_free(collector);
    durable_release(&d);
}

static void test_restart__given_an_error_of_a_callback__then_the_job_fails_at_once(void **state)
{
    (void)state;
    struct durable d;
    struct flaky flaky = { 0 };
    durable_init(&d, 1, COUNT);
    const struct leat_job_opts opts = opts_of(&d, false);
    leat_collector *collector = leat_collector_new();
    refuse_now = true;
    const struct outcome got = run(&d, &opts, collector, &flaky);
    refuse_now = false;
    assert_int_equal(got.state, LEAT_JOB_FAILED);
    assert_int_equal(got.error.code, LEAT_EUSER);
    assert_int_equal(got.restarts, 0);
    leat_collector_free(collector);
    durable_release(&d);
}

static void test_restart__given_never__then_the_job_fails_at_once(void **state)
{
    (void)state;
    struct durable d;
    struct flaky flaky = { .fail_at = 2000, .failures_left = 1, .code = LEAT_EIO };
    durable_init(&d, 1, COUNT);
    struct leat_job_opts opts = opts_of(&d, false);
    opts.restart.never = true;
    leat_collector *collector = leat_collector_new();
    const struct outcome got = run(&d, &opts, collector, &flaky);
    assert_int_equal(got.state, LEAT_JOB_FAILED);
    assert_int_equal(got.restarts, 0);
    assert_null(strstr(got.error.message, "given up"));
    leat_collector_free(collector);
    durable_release(&d);
}

static void test_restart__given_no_checkpoints__then_the_job_fails_at_once(void **state)
{
    (void)state;
    struct durable d;
    struct flaky flaky = { .fail_at = 2000, .failures_left = 1, .code = LEAT_EIO };
    durable_init(&d, 1, COUNT);
    const struct leat_job_opts opts = { .parallelism = 2 };
    leat_collector *collector = leat_collector_new();
    const struct outcome got = run(&d, &opts, collector, &flaky);
    assert_int_equal(got.state, LEAT_JOB_FAILED);
    assert_int_equal(got.restarts, 0);
    leat_collector_free(collector);
    durable_release(&d);
}

/* Stops or cancels when the job begins to wait. */
struct interrupter {
    struct durable *d;
    bool cancel;
};

static void interrupt(
    void *arg, enum leat_log_level level, const char *subject, const char *node, const char *text)
{
    struct interrupter *self = arg;
    leat_job *job = __atomic_load_n(&self->d->running, __ATOMIC_ACQUIRE);
    (void)level;
    (void)subject;
    (void)node;
    if (strncmp(text, "restarting", strlen("restarting")) != 0)
        return;
    if (self->cancel)
        leat_job_cancel(job);
    else
        leat_job_stop(job);
}

static void test_restart__given_a_stop_while_it_waits__then_the_next_run_goes_on(void **state)
{
    (void)state;
    struct durable d;
    struct flaky flaky = { .fail_at = 4000, .failures_left = 1, .code = LEAT_EIO };
    durable_init(&d, 1, COUNT);
    struct interrupter interrupter = { &d, false };
    struct leat_job_opts opts = opts_of(&d, false);
    opts.restart.backoff_us = LEAT_HOURS(1);
    opts.restart.backoff_max_us = LEAT_HOURS(1);
    opts.log = interrupt;
    opts.log_arg = &interrupter;
    leat_collector *collector = leat_collector_new();
    struct outcome got = run(&d, &opts, collector, &flaky);
    assert_int_equal(got.state, LEAT_JOB_STOPPED);
    assert_int_equal(got.error.code, 0);
    got = run(&d, &opts, collector, &flaky);
    FAIL_UNLESS(got.state == LEAT_JOB_FINISHED, "%s", got.error.message);
    expect_totals("stopped while waiting", collector);
    leat_collector_free(collector);
    durable_release(&d);
}

static void test_restart__given_a_cancel_while_it_waits__then_it_is_cancelled(void **state)
{
    (void)state;
    struct durable d;
    struct flaky flaky = { .fail_at = 4000, .failures_left = 1, .code = LEAT_EIO };
    durable_init(&d, 1, COUNT);
    struct interrupter interrupter = { &d, true };
    struct leat_job_opts opts = opts_of(&d, false);
    opts.restart.backoff_us = LEAT_HOURS(1);
    opts.restart.backoff_max_us = LEAT_HOURS(1);
    opts.log = interrupt;
    opts.log_arg = &interrupter;
    leat_collector *collector = leat_collector_new();
    const struct outcome got = run(&d, &opts, collector, &flaky);
    assert_int_equal(got.state, LEAT_JOB_CANCELLED);
    leat_collector_free(collector);
    durable_release(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_restart__given_errors_that_pass__then_output_is_that_of_one_run),
        cmocka_unit_test(test_restart__given_an_error_that_stays__then_the_last_one_says_how_often),
        cmocka_unit_test(test_restart__given_attempts_for_ever__then_the_wait_grows_to_its_maximum),
        cmocka_unit_test(test_restart__given_healthy_periods__then_earlier_failures_are_forgotten),
        cmocka_unit_test(test_restart__given_an_error_of_a_callback__then_the_job_fails_at_once),
        cmocka_unit_test(test_restart__given_never__then_the_job_fails_at_once),
        cmocka_unit_test(test_restart__given_no_checkpoints__then_the_job_fails_at_once),
        cmocka_unit_test(test_restart__given_a_stop_while_it_waits__then_the_next_run_goes_on),
        cmocka_unit_test(test_restart__given_a_cancel_while_it_waits__then_it_is_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
