/* tests/unit/runtime/test_align.c -- sources of a group go through time together: what a join keeps is bounded, the
 * results are the same, idle and ended splits hold nobody back, and nothing blocks (semantics 10, 35). */
#include "runtime/align.h"
#include "runtime/job_private.h"
#include "tests/support/op_records.h"
#include "tests/support/unit.h"
#include <leat/leat.h>
#include <stdio.h>
#include <string.h>

#define RECORDS 4000u
#define STEP_US 1000 /* between records of a side */

static void make(struct leat_ctx *ctx, uint64_t seed, uint64_t index, struct op_event *out)
{
    char *text = leat_alloc(ctx, 24);
    out->id = (int64_t)index;
    out->ts = (int64_t)index * STEP_US;
    out->has_key = true;
    out->value = (int64_t)seed;
    out->key = (struct leat_sv){ text, text ? (size_t)snprintf(text, 24, "k%06u", (unsigned)index) : 0 };
}
LEAT_DEFINE_GENERATOR(make, op_event);

static void pair_up(
    struct leat_ctx *ctx, const struct op_event *left, const struct op_event *right, struct op_pair *out)
{
    (void)ctx;
    out->left = left->id;
    out->right = right->id;
}
LEAT_DEFINE_JOIN(pair_up, op_event, op_event, op_pair);

struct seen {
    uint64_t rows, sum;
};

static void look(struct leat_ctx *ctx, const struct op_pair *pair, struct op_pair *out)
{
    (void)ctx;
    *out = *pair;
}
LEAT_DEFINE_MAP(look, op_pair, op_pair);

struct run_opts {
    const char *align;
    uint32_t left_splits, right_splits, parallelism;
    uint64_t right_rate; /* 0: as fast as the left side */
    uint64_t right_count;
    int64_t idle_timeout_us;
    uint64_t seed;
};

static leat_topology *declare(const struct run_opts *o)
{
    leat_topology *t = leat_topology_new("align");
    struct leat_generator_source_opts source = { .fn = &make_generator,
        .count = RECORDS,
        .splits = o->left_splits,
        .event_time = "ts",
        .idle_timeout_us = o->idle_timeout_us,
        .align = o->align,
        .max_drift_us = o->align ? 50 * STEP_US : 0 };
    leat_stream *left = leat_generator_source(t, "left", &source);
    source.splits = o->right_splits;
    source.rate_per_s = o->right_rate;
    source.count = o->right_count;
    leat_stream *right = leat_generator_source(t, "right", &source);
    leat_stream *joined = leat_join(left, right, "join",
        &(struct leat_join_opts){ .left_key = "key", .within_us = STEP_US, .merge = &pair_up_join });
    leat_memory_sink(leat_map(joined, "look", &look_map), "out", &(struct leat_memory_sink_opts){ 0 });
    return t;
}

static uint64_t keys_of(struct leat_job *job)
{
    uint64_t keys = 0;
    for (uint32_t w = 0; w < job->workers_count; w++)
        for (uint32_t i = 0; i < job->workers[w].instances_count; i++)
            keys += job->workers[w].instances[i].counters.state_keys;
    return keys;
}

/* Runs the simulation turn by turn; the most keys that the join had, and the rows that came out. */
static void run(const struct run_opts *o, uint64_t *keys_max, uint64_t *rows, uint64_t *paused_us)
{
    struct leat_error err = { 0 };
    leat_topology *t = declare(o);
    leat_job *job;
    const struct leat_job_opts opts = {
        .parallelism = o->parallelism, .batch_rows = 16, .simulate = true, .seed = o->seed
    };
    FAIL_UNLESS(leat_job_new(t, &opts, &job, &err) == 0, "%s", err.message);
    FAIL_UNLESS(leat__job_prepare(job) == 0, "%s", job->error.message);
    *keys_max = 0;
    for (;;) {
        struct leat_sim_pass pass = { .wake_us = LEAT_TIME_MAX };
        int result;
        while ((result = leat__sim_turn(job, &pass)) > 0) {
            const uint64_t keys = keys_of(job);
            *keys_max = keys > *keys_max ? keys : *keys_max;
        }
        FAIL_UNLESS(result == 0, "%s", leat_job_error(job)->message);
        if (leat__workers_rest(job))
            break;
        assert_true(pass.wake_us < LEAT_TIME_MAX); /* nobody waits for nothing */
        const int64_t now_us = job->env->wall_us(job->env);
        leat__env_sim_advance(job->sim_env, pass.wake_us > now_us ? pass.wake_us - now_us : 0);
    }
    const struct leat_progress *progress = leat_job_progress(job);
    *rows = progress->sink_records;
    *paused_us = progress->nodes[0].paused_us;
    leat__job_finish(job, true);
    leat_job_free(job);
    leat_topology_free(t);
}

static void test_align__given_one_slow_side__then_the_other_waits_for_it_and_the_pairs_are_the_same(
    void **state)
{
    uint64_t keys, rows, paused_us;
    (void)state;
    struct run_opts o = { NULL, 2, 2, 2, 20000, RECORDS, 0, 1 };
    run(&o, &keys, &rows, &paused_us);
    assert_int_equal(rows, RECORDS);
    assert_int_equal(paused_us, 0);
    assert_true(keys > RECORDS / 2); /* the fast side is all there */
    o.align = "orders";
    for (o.seed = 1; o.seed <= 4; o.seed++)
        for (o.parallelism = 1; o.parallelism <= 3; o.parallelism++) {
            run(&o, &keys, &rows, &paused_us);
            assert_int_equal(rows, RECORDS);
            assert_true(keys < 400); /* 50 of drift, and what is under way */
            assert_true(paused_us > 0);
        }
}

static void test_align__given_more_splits_than_workers__then_no_split_waits_for_one_that_waits_for_it(
    void **state)
{
    uint64_t keys, rows, paused_us;
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        const struct run_opts o = { "all", 1 + (uint32_t)seed % 5, 7 - (uint32_t)seed % 5, 3, 0, RECORDS, 0,
            seed };
        run(&o, &keys, &rows, &paused_us);
        assert_int_equal(rows, RECORDS);
        assert_true(keys < 1600); /* batches of a split span many times */
    }
}

static void test_align__given_a_side_that_ends_or_is_silent__then_the_other_goes_on(void **state)
{
    uint64_t keys, rows, paused_us;
    (void)state;
    run(&(struct run_opts){ "all", 1, 1, 2, 0, 100, 0, 5 }, &keys, &rows, &paused_us);
    assert_int_equal(rows, 100); /* the right side ends long before */
    /* One record every ten seconds, idle after one: the left side does not wait for all of them. */
    run(&(struct run_opts){ "all", 2, 1, 2, 0, 3, LEAT_SECONDS(1), 6 }, &keys, &rows, &paused_us);
    assert_int_equal(rows, 3);
}

static void test_align__given_options__then_mistakes_are_told(void **state)
{
    static const struct {
        const char *event_time, *align;
        int64_t drift_us;
        const char *told;
    } rows[] = {
        { "ts", "all", 0, "max_drift_us: 0s: say how far a split may be ahead" },
        { "ts", "all", -5, "max_drift_us: -5us: say how far" },
        { "ts", NULL, 5, "max_drift_us: set, but there is no group" },
        { NULL, "all", 5, "align: set, but there is no event time" },
        { "ts", "", 5, "align: " },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        leat_topology *t = leat_topology_new("align");
        (void)leat_generator_source(t, "in",
            &(struct leat_generator_source_opts){ .fn = &make_generator,
                .event_time = rows[i].event_time,
                .align = rows[i].align,
                .max_drift_us = rows[i].drift_us });
        assert_true(leat_topology_errors_count(t) > 0);
        const char *message = leat_topology_error(t, 0)->message;
        FAIL_UNLESS(strstr(message, rows[i].told) != NULL, "%s: %s", rows[i].told, message);
        leat_topology_free(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_align__given_one_slow_side__then_the_other_waits_for_it_and_the_pairs_are_the_same),
        cmocka_unit_test(
            test_align__given_more_splits_than_workers__then_no_split_waits_for_one_that_waits_for_it),
        cmocka_unit_test(test_align__given_a_side_that_ends_or_is_silent__then_the_other_goes_on),
        cmocka_unit_test(test_align__given_options__then_mistakes_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
