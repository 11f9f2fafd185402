/* tests/unit/runtime/test_barrier_ends.c -- checkpoints around the ends of a job: stopped sources, drained ones,
 * splits that are gone or new, errors of sinks; and operators that want to run at a time. */
#include "tests/unit/runtime/barrier_rig.h"
#include "tests/support/epochs_sink.h"
#include "tests/support/scenario.h"
#include "tests/support/scripted.h"
#include "tests/support/unit.h"
#include "topology/declare.h"
#include <leat/leat.h>
#include <stdio.h>
#include <string.h>

static const char *const two[] = { "1 2 3 | 4 5 | 6 7 8 | 9 10", "1 3 | 5 7 9 | 11 | 13 | 15 17" };
static const char *const three[] = { "1 2 3 | 4 5 | 6 7 8 | 9 10", "1 3 | 5 7 9 | 11 | 13 | 15 17",
    "20 | 4 | 30" };

static leat_topology *make(const char *const *splits, uint32_t count, struct epochs *epochs)
{
    leat_topology *t = leat_topology_new("ends");
    leat_stream *in =
        scripted_source(t, "in", &(struct scripted_source_opts){ .splits = splits, .splits_count = count });
    epochs_sink(leat_filter_expr(in, "all", "value > 0"), "out", epochs);
    return t;
}

static struct epochs new_epochs(void)
{
    return (struct epochs){ .print = scenario_print_fact };
}

static void open_with(struct barrier_rig *rig, leat_topology *t, uint32_t parallelism, uint64_t seed,
    const struct leat_restored *restored)
{
    barrier_rig_open(rig, t,
        &(struct barrier_rig_opts){
            .parallelism = parallelism, .batch_rows = 1, .seed = seed, .restored = restored });
}

static struct lines run_through(const char *const *splits, uint32_t count)
{
    struct epochs epochs = new_epochs();
    struct barrier_rig rig;
    open_with(&rig, make(splits, count, &epochs), 1, 1, NULL);
    barrier_rig_finish(&rig);
    barrier_rig_close(&rig);
    return epochs.committed;
}

static void turn_until(struct barrier_rig *rig, uint32_t turn)
{
    while (rig->turns < turn && barrier_rig_turn(rig))
        ;
}

static void set(uint32_t *flag)
{
    __atomic_store_n(flag, 1, __ATOMIC_SEQ_CST);
}

static void test_barrier__given_one_that_stops__then_nothing_comes_behind_it(void **state)
{
    struct lines want = run_through(two, 2);
    (void)state;
    for (uint32_t turn = 0; turn < 90; turn++) {
        struct epochs epochs = new_epochs();
        struct barrier_rig rig, next;
        open_with(&rig, make(two, 2, &epochs), 1 + turn % 3, turn, NULL);
        turn_until(&rig, turn);
        __atomic_store_n(&rig.job->barrier_stops, rig.asked + 1, __ATOMIC_SEQ_CST);
        barrier_rig_ask(&rig);
        barrier_rig_wait(&rig);
        barrier_rig_commit(&rig);
        const size_t count = epochs.committed.count;
        barrier_rig_finish(&rig);
        assert_int_equal(epochs.committed.count, count);
        open_with(&next, make(two, 2, &epochs), 1 + turn % 3, turn, barrier_rig_take(&rig, 1 + turn % 3));
        barrier_rig_finish(&next);
        barrier_rig_close(&next);
        barrier_rig_close(&rig);
        lines_expect("stopped behind a barrier", &want, &epochs.committed);
        lines_clear(&epochs.committed);
    }
    lines_clear(&want);
}

/* The checkpoint that was to be the last one has failed, and another is taken of sources that have stopped. */
static void test_barrier__given_sources_that_have_stopped__then_their_positions_are_known(void **state)
{
    struct lines want = run_through(two, 2);
    (void)state;
    for (uint32_t turn = 0; turn < 90; turn += 2) {
        struct epochs epochs = new_epochs();
        struct barrier_rig rig, next;
        open_with(&rig, make(two, 2, &epochs), 1 + turn % 3, turn, NULL);
        turn_until(&rig, turn);
        __atomic_store_n(&rig.job->barrier_stops, rig.asked + 1, __ATOMIC_SEQ_CST);
        barrier_rig_ask(&rig);
        barrier_rig_wait(&rig);
        barrier_rig_over(&rig);
        while (barrier_rig_turn(&rig))
            ;
        barrier_rig_ask(&rig);
        barrier_rig_wait(&rig);
        barrier_rig_commit(&rig);
        open_with(&next, make(two, 2, &epochs), 1 + turn % 3, turn, barrier_rig_take(&rig, 1 + turn % 3));
        barrier_rig_finish(&next);
        barrier_rig_close(&next);
        barrier_rig_close(&rig);
        lines_expect("stopped, then asked again", &want, &epochs.committed);
        lines_clear(&epochs.committed);
    }
    lines_clear(&want);
}

static void test_barrier__given_a_job_that_is_drained__then_its_splits_have_ended(void **state)
{
    (void)state;
    for (uint32_t turn = 0; turn < 60; turn += 5) {
        struct epochs epochs = new_epochs();
        struct barrier_rig rig;
        open_with(&rig, make(two, 2, &epochs), 2, turn, NULL);
        turn_until(&rig, turn);
        set(&rig.job->drain_requested);
        while (barrier_rig_turn(&rig))
            ;
        barrier_rig_ask(&rig);
        barrier_rig_wait(&rig);
        for (uint32_t w = 0; w < 2; w++)
            for (uint32_t p = 0; p < rig.job->workers[w].share.parts_count; p++) {
                const struct leat_part *part = &rig.job->workers[w].share.parts[p];
                assert_true(part->watermark_us == LEAT_TIME_MAX);
                assert_int_equal(part->splits_count, part->node->kind == LEAT_NODE_SOURCE ? 1 : 0);
                for (uint32_t s = 0; s < part->splits_count; s++)
                    assert_true(part->splits[s].ended && !part->splits[s].position.data);
            }
        barrier_rig_close(&rig);
        lines_clear(&epochs.committed);
    }
}

static void test_restore__given_a_split_that_is_gone__then_it_is_named(void **state)
{
    struct epochs epochs = new_epochs();
    struct barrier_rig rig, next;
    (void)state;
    open_with(&rig, make(three, 3, &epochs), 2, 1, NULL);
    turn_until(&rig, 10);
    barrier_rig_ask(&rig);
    barrier_rig_wait(&rig);
    barrier_rig_open(&next, make(three, 2, &epochs),
        &(struct barrier_rig_opts){
            .parallelism = 2, .restored = barrier_rig_take(&rig, 2), .want = LEAT_ENOTFOUND });
    const char *message = leat_job_error(next.job)->message;
    FAIL_UNLESS(strstr(message, "node \"in\"") && strstr(message, "split \"script-2\""), "%s", message);
    barrier_rig_close(&next);
    barrier_rig_close(&rig);
}

static void test_restore__given_a_split_that_ended_and_is_gone__then_nobody_minds(void **state)
{
    static const char *const ended_last[] = { "1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9", "" };
    struct lines want = run_through(ended_last, 2);
    struct epochs epochs = new_epochs();
    struct barrier_rig rig, next;
    (void)state;
    open_with(&rig, make(ended_last, 2, &epochs), 1, 1, NULL);
    turn_until(&rig, 8);
    barrier_rig_ask(&rig);
    barrier_rig_wait(&rig);
    barrier_rig_commit(&rig);
    open_with(&next, make(ended_last, 1, &epochs), 1, 1, barrier_rig_take(&rig, 1));
    barrier_rig_finish(&next);
    lines_expect("a split less", &want, &epochs.committed);
    barrier_rig_close(&next);
    barrier_rig_close(&rig);
    lines_clear(&want);
    lines_clear(&epochs.committed);
}

/* Semantics 9: it holds nobody back, and its rows come. */
static void test_restore__given_a_new_split__then_it_joins_without_moving_time_back(void **state)
{
    (void)state;
    for (uint32_t turn = 0; turn < 60; turn += 3) {
        struct lines want = run_through(three, 3);
        struct epochs epochs = new_epochs();
        struct barrier_rig rig, next;
        int64_t before_us[2], watermark_us = LEAT_TIME_MAX;
        open_with(&rig, make(three, 2, &epochs), 2, turn, NULL);
        turn_until(&rig, turn);
        barrier_rig_ask(&rig);
        barrier_rig_wait(&rig);
        barrier_rig_commit(&rig);
        for (uint32_t w = 0; w < 2; w++) {
            before_us[w] = rig.job->workers[w].share.parts[0].watermark_us;
            watermark_us = before_us[w] < watermark_us ? before_us[w] : watermark_us;
        }
        open_with(&next, make(three, 3, &epochs), 2, turn, barrier_rig_take(&rig, 2));
        for (uint32_t w = 0; w < 2; w++)
            assert_true(next.job->workers[w].instances[0].ctx.watermark_us >= watermark_us);
        barrier_rig_finish(&next);
        lines_expect("a split more", &want, &epochs.committed);
        barrier_rig_close(&next);
        barrier_rig_close(&rig);
        lines_clear(&want);
        lines_clear(&epochs.committed);
    }
}

static void test_barrier__given_a_sink_that_can_not_close_its_epoch__then_the_job_fails(void **state)
{
    struct epochs epochs = new_epochs();
    struct barrier_rig rig;
    int result;
    (void)state;
    open_with(&rig, make(two, 2, &epochs), 1, 1, NULL);
    turn_until(&rig, 5);
    epochs.prepare_result = LEAT_ENOSPC;
    barrier_rig_ask(&rig);
    while ((result = leat__sim_turn(rig.job, &rig.pass)) > 0)
        ;
    assert_int_equal(result, LEAT_ENOSPC);
    FAIL_UNLESS(strcmp(leat_job_error(rig.job)->message, "node \"out\" subtask 0: the test says no") == 0,
        "%s", leat_job_error(rig.job)->message);
    barrier_rig_close(&rig);
}

/* ---- operators that want to run at a time ---- */

#define TICK_US 1000

/* Passes rows on and, every TICK_US as long as it lives, a row of its own with the number of the tick. */
struct ticker {
    struct leat_op op; /* first */
    int64_t ticks;
    int64_t due_us;
};

static int ticker_init(struct leat_op *op, struct leat__ctx *ctx)
{
    struct ticker *ticker = (struct ticker *)op;
    ctx->wake_us = ticker->due_us = ctx->env->wall_us(ctx->env) + TICK_US;
    return 0;
}

static int ticker_batch(struct leat_op *op, struct leat__ctx *ctx, uint32_t input, struct leat_batch *batch)
{
    (void)op;
    (void)input;
    return leat__emit(ctx, 0, batch);
}

static int ticker_on_time(struct leat_op *op, struct leat__ctx *ctx, int64_t now_us)
{
    struct ticker *ticker = (struct ticker *)op;
    struct leat_batch *batch;
    assert_true(ctx->wake_us == LEAT_TIME_MAX);
    FAIL_UNLESS(
        now_us >= ticker->due_us, "%lld is before %lld", (long long)now_us, (long long)ticker->due_us);
    LEAT_TRY(leat__batch_get(ctx->pool, &fact_type, &batch));
    struct fact *fact = leat__batch_push(batch);
    *fact = (struct fact){ .has_key = true, .key = -1, .has_value = true, .value = ++ticker->ticks };
    batch->event_us[batch->count - 1] = LEAT_TIME_MAX;
    ctx->wake_us = ticker->due_us = now_us + TICK_US;
    return leat__emit(ctx, 0, batch);
}

static const struct leat_op_class ticker_class = { .kind = "ticker",
    .size = sizeof(struct ticker),
    .init = ticker_init,
    .on_batch = ticker_batch,
    .on_time = ticker_on_time };

/* One input says something and is silent for ten ticks and a half; the operator ends with it. */
static void test_on_time__given_silence__then_an_operator_is_called_at_its_times(void **state)
{
    static const char *const silence[] = { "1 +10500 2" };
    (void)state;
    for (uint32_t ask = 0; ask < 40; ask += 3) {
        struct epochs epochs = new_epochs();
        struct barrier_rig rig;
        leat_topology *t = leat_topology_new("ticks");
        leat_stream *in =
            scripted_source(t, "in", &(struct scripted_source_opts){ .splits = silence, .splits_count = 1 });
        struct leat_node *node = leat__declare(t, "ticker", LEAT_NODE_OPERATOR, ticker_class.kind);
        leat__input(node, 0, in, LEAT_FORWARD, NULL);
        leat__output(node, &fact_type, NULL);
        node->op = &ticker_class;
        epochs_sink(leat__stream(node, 0), "out", &epochs);
        open_with(&rig, t, 1, ask, NULL);
        turn_until(&rig, ask);
        barrier_rig_ask(&rig); /* a checkpoint makes no difference */
        barrier_rig_wait(&rig);
        barrier_rig_finish(&rig);
        size_t ticks = 0;
        for (size_t i = 0; i < epochs.committed.count; i++)
            ticks += strncmp(epochs.committed.at[i], "-1:", 3) == 0;
        assert_int_equal(ticks, 10);
        assert_int_equal(epochs.committed.count, 12);
        barrier_rig_close(&rig);
        lines_clear(&epochs.committed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_barrier__given_one_that_stops__then_nothing_comes_behind_it),
        cmocka_unit_test(test_barrier__given_sources_that_have_stopped__then_their_positions_are_known),
        cmocka_unit_test(test_barrier__given_a_job_that_is_drained__then_its_splits_have_ended),
        cmocka_unit_test(test_restore__given_a_split_that_is_gone__then_it_is_named),
        cmocka_unit_test(test_restore__given_a_split_that_ended_and_is_gone__then_nobody_minds),
        cmocka_unit_test(test_restore__given_a_new_split__then_it_joins_without_moving_time_back),
        cmocka_unit_test(test_barrier__given_a_sink_that_can_not_close_its_epoch__then_the_job_fails),
        cmocka_unit_test(test_on_time__given_silence__then_an_operator_is_called_at_its_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
