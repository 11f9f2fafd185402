/* tests/unit/runtime/test_source_host.c -- what the host makes of a source's rows: where batches are cut,
 * which watermarks go between them, when a split is idle (semantics 1, 3, 4, 7, 8). */
#include "runtime/job_private.h"
#include "tests/support/scripted.h"
#include "tests/support/unit.h"
#include <leat/leat.h>
#include <stdio.h>
#include <string.h>

#define IDLE_US LEAT_SECONDS(30)

struct host_case {
    const char *name;
    const char *script;
    uint32_t batch_rows;
    int64_t max_out_of_orderness_us, max_ahead_us;
    const char *seen; /* by the sink */
};

static const struct host_case cuts[] = {
    { "rows in order are one batch", "10 20 30", 8, 0, 0, "(10 20 30) w29 end" },
    { "equal times are not late", "10 10 10", 8, 0, 0, "(10 10 10) w9 end" },
    { "a row at the watermark is late, one above it is not", "10 9 10", 8, 0, 0,
        "(10) w9 late<9(9) (10) end" },
    { "out of orderness lets rows through up to its bound", "10 5 4", 8, 5, 0, "(10 5) w4 late<4(4) end" },
    { "the last row is late", "10 20 3", 8, 0, 0, "(10 20) w19 late<19(3) end" },
    { "a run of late rows is one batch", "10 1 2 3 30", 8, 0, 0, "(10) w9 late<9(1 2 3) (30) w29 end" },
    { "late rows between others", "10 1 20 2 30", 8, 0, 0,
        "(10) w9 late<9(1) (20) w19 late<19(2) (30) w29 end" },
    { "the first row of the next batch is late", "10 | 1 20", 8, 0, 0, "(10) w9 late<9(1) (20) w19 end" },
    { "a whole batch is late", "10 | 1 2 | 20", 8, 0, 0, "(10) w9 late<9(1 2) (20) w19 end" },
    { "a run of late rows over batches", "10 1 | 2 20", 8, 0, 0, "(10) w9 late<9(1) late<9(2) (20) w19 end" },
    { "batches of one row", "10 9 20", 1, 0, 0, "(10) w9 late<9(9) (20) w19 end" },
    { "batches of two rows", "10 9 20", 2, 0, 0, "(10) w9 late<9(9) (20) w19 end" },
    { "a read without rows", "10 | | 20", 8, 0, 0, "(10) w9 (20) w19 end" },
    { "nothing at all", "", 8, 0, 0, "end" },
    { "negative times", "-10 -20 -5", 8, 0, 0, "(-10) w-11 late<-11(-20) (-5) w-6 end" },
    { "the least of all times makes no watermark", "-9223372036854775808 -9223372036854775807", 8, 0, 0,
        "(-9223372036854775808 -9223372036854775807) end" },
    { "the first watermark above it", "-9223372036854775806 -9223372036854775807", 8, 0, 0,
        "(-9223372036854775806) w-9223372036854775807 late<-9223372036854775807(-9223372036854775807) end" },
    { "the greatest of all times", "9223372036854775807 9223372036854775806", 8, 0, 0,
        "(9223372036854775807) w9223372036854775806 late<9223372036854775806(9223372036854775806) end" },
    { "disorder of all time", "5 9223372036854775807 -3", 8, LEAT_NEVER, 0,
        "(5 9223372036854775807) w-1 late<-1(-3) end" },
    { "a row without time is skipped", "10 null 20", 8, 0, 0, "(10 20) w19 end" },
    { "rows without time only", "null null", 8, 0, 0, "end" },
    { "a row too far ahead is skipped and moves nothing",
        "1577836800000005 1577836800000007 1577836800000006", 8, 0, 6,
        "(1577836800000005 1577836800000006) w1577836800000005 end" },
    { "a limit beyond all times", "9223372036854775807", 8, 0, LEAT_NEVER,
        "(9223372036854775807) w9223372036854775806 end" },
};

static leat_topology *host_topology(const char *const *splits, uint32_t splits_count,
    const struct scripted_source_opts *opts, struct scripted_log *log)
{
    leat_topology *t = leat_topology_new("host");
    struct scripted_source_opts o = *opts;
    o.splits = splits;
    o.splits_count = splits_count;
    o.on_error = LEAT_SKIP;
    scripted_sink(scripted_source(t, "in", &o), "out", log);
    return t;
}

static void test_source__given_a_split__then_its_rows_are_cut_where_lateness_changes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cuts); i++) {
        struct leat_error err = { 0 };
        struct scripted_log log = { 0 };
        leat_topology *t = host_topology(&cuts[i].script, 1,
            &(struct scripted_source_opts){ .max_out_of_orderness_us = cuts[i].max_out_of_orderness_us,
                .max_ahead_us = cuts[i].max_ahead_us },
            &log);
        const struct leat_job_opts opts = {
            .parallelism = 1, .batch_rows = cuts[i].batch_rows, .simulate = true
        };
        const int result = leat_run(t, &opts, &err);
        FAIL_UNLESS(result == 0, "%s: %s", cuts[i].name, err.message);
        FAIL_UNLESS(
            strcmp(log.text, cuts[i].seen) == 0, "%s: saw %s, not %s", cuts[i].name, log.text, cuts[i].seen);
        leat_topology_free(t);
    }
}

/* Each split on its own: idleness. Rows alone say nothing; what the sink is told of time does. */
static void test_source__given_silent_splits__then_the_watermark_tells_which_are_idle(void **state)
{
    static const struct {
        const char *name;
        const char *scripts[2];
        int64_t idle_timeout_us;
        const char *seen;
    } rows[] = {
        { "shortly before the timeout it still counts", { "10 +29999999 50 +40000000", "20 +29999999 60" },
            IDLE_US, "(20) (10) w9 (50) w19 (60) w49 end" },
        { "at the timeout it does not", { "10 +40000000 30", "20 +20000000 25 +10000000 40" }, IDLE_US,
            "(20) (10) w9 (25) w24 (40) w39 (30) end" },
        { "it never speaks", { "+40000000", "20 | 30" }, IDLE_US, "(20) (30) end" },
        { "a timeout of all time", { "10 +40000000 30", "20 | 40" }, LEAT_NEVER,
            "(20) (10) w9 (40) (30) w29 end" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct leat_error err = { 0 };
        struct scripted_log log = { 0 };
        leat_topology *t = host_topology(rows[i].scripts, 2,
            &(struct scripted_source_opts){ .idle_timeout_us = rows[i].idle_timeout_us }, &log);
        const int result = leat_run(t, &(struct leat_job_opts){ .parallelism = 1, .simulate = true }, &err);
        FAIL_UNLESS(result == 0, "%s: %s", rows[i].name, err.message);
        FAIL_UNLESS(
            strcmp(log.text, rows[i].seen) == 0, "%s: saw %s, not %s", rows[i].name, log.text, rows[i].seen);
        leat_topology_free(t);
    }
}

/* A prepared job of one worker whose instances are run by hand: the source is the first, the sink the last.
 */
struct hand {
    leat_topology *t;
    leat_job *job;
    struct leat_worker *worker;
    struct leat_instance *source, *sink;
};

static struct hand hand_new(const char *const *scripts, uint32_t count, struct scripted_log *log)
{
    struct leat_error err = { 0 };
    struct hand hand = { .t = host_topology(scripts, count,
                             &(struct scripted_source_opts){ .idle_timeout_us = IDLE_US }, log) };
    const struct leat_job_opts opts = { .parallelism = 1, .simulate = true };
    assert_int_equal(leat_job_new(hand.t, &opts, &hand.job, &err), 0);
    assert_int_equal(leat__job_prepare(hand.job), 0);
    hand.worker = &hand.job->workers[0];
    hand.source = &hand.worker->instances[0];
    hand.sink = &hand.worker->instances[hand.worker->instances_count - 1];
    return hand;
}

static void hand_free(struct hand *hand)
{
    leat_job_free(hand->job);
    leat_topology_free(hand->t);
}

/* Runs the instance if it can; whether it could. */
static bool hand_run(struct hand *hand, struct leat_instance *inst)
{
    struct leat_env *env = hand->worker->env;
    hand->worker->wall_us = env->wall_us(env);
    hand->worker->now_ns = env->mono_ns(env) + 1;
    if (!leat__instance_is_runnable(inst, hand->worker->now_ns))
        return false;
    assert_true(leat__instance_run(inst, hand->worker->now_ns) >= 0);
    return true;
}

static void test_source__given_full_outputs_for_long__then_no_split_was_idle_meanwhile(void **state)
{
    static const char *const scripts[] = { "1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 +1000 100 +1000000000",
        "50 +20000000 +1000 +20000000", "60 +20000000 +1000 +20000000" };
    struct scripted_log log = { 0 };
    struct hand hand = hand_new(scripts, 3, &log);
    (void)state;
    while (hand_run(&hand, hand.source))
        ; /* until the sink's queue is full */
    leat__env_sim_advance(hand.job->sim_env, 2 * IDLE_US);
    assert_false(hand_run(&hand, hand.source));
    while (hand_run(&hand, hand.sink))
        ;
    for (int i = 0; i < 3; i++) { /* every split is asked, and the other two have nothing */
        while (hand_run(&hand, hand.sink) || hand_run(&hand, hand.source))
            ;
        leat__env_sim_advance(hand.job->sim_env, 1000);
    }
    FAIL_UNLESS(strstr(log.text, "(100)") && !strstr(log.text, "w99"), "saw %s", log.text);
    hand_free(&hand);
}

/* Ten rounds of ten rows, each in a read of its own, and a quarter of the timeout of silence. */
static const char *busy_script(char *text, size_t size)
{
    size_t len = 0;
    for (int i = 1; i <= 100; i++)
        len += (size_t)snprintf(
            text + len, size - len, "%d %s ", i, i % 10 ? "|" : "+7500000"); /* IDLE_US / 4 */
    assert_true(len < size);
    return text;
}

static void test_source__given_outputs_that_are_often_full__then_a_silent_split_goes_idle_all_the_same(
    void **state)
{
    char busy[2048];
    const char *const scripts[] = { busy_script(busy, sizeof busy),
        "0 +1 +1 +1 +1 +1 +1 +1 +1 +1 +1 +1 +1 +1 +1 +1 +1 +1 +1 +1 +1 +1 +1 +1 +1 +1 +1 +1 +1 +1 +1 +1 +1" };
    struct scripted_log log = { 0 };
    struct hand hand = hand_new(scripts, 2, &log);
    (void)state;
    for (int round = 0; round < 6; round++) {
        while (hand_run(&hand, hand.source))
            ; /* until the sink's queue is full */
        leat__env_sim_advance(hand.job->sim_env, 1000);
        while (hand_run(&hand, hand.sink))
            ;
        while (hand_run(&hand, hand.sink) || hand_run(&hand, hand.source))
            ; /* now both splits have nothing */
        leat__env_sim_advance(hand.job->sim_env, IDLE_US / 4);
    }
    FAIL_UNLESS(strstr(log.text, "w49") != NULL, "saw %s", log.text);
    hand_free(&hand);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_source__given_a_split__then_its_rows_are_cut_where_lateness_changes),
        cmocka_unit_test(test_source__given_silent_splits__then_the_watermark_tells_which_are_idle),
        cmocka_unit_test(test_source__given_full_outputs_for_long__then_no_split_was_idle_meanwhile),
        cmocka_unit_test(
            test_source__given_outputs_that_are_often_full__then_a_silent_split_goes_idle_all_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
