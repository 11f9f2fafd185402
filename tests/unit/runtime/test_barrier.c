/* tests/unit/runtime/test_barrier.c -- barriers, alignment and restored instances (semantics 4, 9, 44, 45), at
 * every turn of simulated jobs: what was committed with a checkpoint and what a job gives that goes on from it
 * are together what an uninterrupted job gives. Operators here keep no tables; test_restart.c has those. */
#include "tests/unit/runtime/barrier_rig.h"
#include "tests/support/epochs_sink.h"
#include "tests/support/scenario.h"
#include "tests/support/scripted.h"
#include "tests/support/unit.h"
#include "topology/declare.h"
#include <leat/leat.h>
#include <stdio.h>
#include <string.h>

#define IDLE_US LEAT_SECONDS(30)

/* ---- an operator that adds up ---- */

/* Passes rows on; at the end it says in one more row (key -1) what it has added up over all its life. */
struct adder {
    struct leat_op op; /* first */
    int64_t sum;
};

static int add_batch(struct leat_op *op, struct leat__ctx *ctx, uint32_t input, struct leat_batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++)
        ((struct adder *)op)->sum += ((const struct fact *)leat_batch_at(batch, i))->value * 1000 + 1;
    (void)input;
    return leat__emit(ctx, 0, batch);
}

static int say_sum(struct leat_op *op, struct leat__ctx *ctx)
{
    struct leat_batch *batch;
    LEAT_TRY(leat__batch_get(ctx->pool, &fact_type, &batch));
    struct fact *fact = leat__batch_push(batch);
    *fact = (struct fact){
        .has_key = true, .key = -1, .has_value = true, .value = ((const struct adder *)op)->sum
    };
    batch->event_us[batch->count - 1] = 0;
    return leat__emit(ctx, 0, batch);
}

static int save_sum(struct leat_op *op, struct leat__ctx *ctx, struct leat_strbuf *out)
{
    (void)ctx;
    leat__strbuf_add(out, &((const struct adder *)op)->sum, sizeof(int64_t));
    return 0;
}

static int restore_sum(struct leat_op *op, struct leat__ctx *ctx, const struct leat_sv *parts, uint32_t count)
{
    for (uint32_t i = 0; i < count && ctx->subtask == 0; i++) {
        int64_t sum;
        assert_int_equal(parts[i].len, sizeof sum);
        memcpy(&sum, parts[i].data, sizeof sum);
        ((struct adder *)op)->sum += sum;
    }
    return 0;
}

static const struct leat_op_class adder_class = { .kind = "adder",
    .size = sizeof(struct adder),
    .on_batch = add_batch,
    .on_end = say_sum,
    .snapshot = save_sum,
    .restore = restore_sum };

/* All rows through one subtask. */
static leat_stream *add_up(leat_stream *const *in, uint32_t count, const char *name)
{
    struct leat_node *node = leat__declare(in[0]->t, name, LEAT_NODE_OPERATOR, adder_class.kind);
    for (uint32_t i = 0; i < count; i++)
        leat__input(node, i, in[i], LEAT_FORWARD, NULL);
    leat__output(node, &fact_type, NULL);
    node->op = &adder_class;
    node->parallelism = 1;
    return leat__stream(node, 0);
}

/* Rows by key, to any worker. */
static int pass_batch(struct leat_op *op, struct leat__ctx *ctx, uint32_t input, struct leat_batch *batch)
{
    (void)op;
    (void)input;
    return leat__emit(ctx, 0, batch);
}

static const struct leat_op_class passer_class = {
    .kind = "passer", .size = sizeof(struct leat_op), .on_batch = pass_batch
};

static void free_key(void *key)
{
    leat__key_free(key);
}

static leat_stream *spread(leat_stream *in, const char *name)
{
    struct leat_node *node = leat__declare(in->t, name, LEAT_NODE_OPERATOR, passer_class.kind);
    struct leat_error err = { 0 };
    struct leat_key *key = NULL;
    assert_int_equal(leat__key_new(&fact_type, "key", LEAT_KEY_NULLS_GROUP, &key, &err), 0);
    leat__topology_defer(node, free_key, key);
    leat__input(node, 0, in, LEAT_HASH, key);
    leat__output(node, &fact_type, NULL);
    node->op = &passer_class;
    return leat__stream(node, 0);
}

/* ---- topologies ---- */

static const char *const short_and_long[] = { "1 2 | 3", "1 | 5 | 2 | 9 | 7 | 20 | 12 | 30 | 31 | 32" };
static const char *const waiting[] = { "10 +1000 20 +1000 30 +50000000 5 | 90", "15 +40000000 25 | 99",
    "+60000000 40 | 41" };
static const char *const nothing[] = { "" };

static leat_topology *one_source(struct epochs *epochs)
{
    leat_topology *t = leat_topology_new("one-source");
    epochs_sink(scripted_source(
                    t, "in", &(struct scripted_source_opts){ .splits = short_and_long, .splits_count = 2 }),
        "out", epochs);
    return t;
}

static leat_topology *idle_splits(struct epochs *epochs)
{
    leat_topology *t = leat_topology_new("idle-splits");
    leat_stream *in = scripted_source(t, "in",
        &(struct scripted_source_opts){ .splits = waiting, .splits_count = 3, .idle_timeout_us = IDLE_US });
    epochs_sink(leat_filter_expr(in, "odd-or-even", "value > 5"), "out", epochs);
    return t;
}

/* Three inputs: one ends at once, one early, one is silent for long. */
static leat_topology *unequal_union(struct epochs *epochs)
{
    leat_topology *t = leat_topology_new("unequal-union");
    leat_stream *inputs[] = {
        scripted_source(t, "none", &(struct scripted_source_opts){ .splits = nothing, .splits_count = 1 }),
        scripted_source(
            t, "some", &(struct scripted_source_opts){ .splits = short_and_long, .splits_count = 2 }),
        scripted_source(t, "late",
            &(struct scripted_source_opts){
                .splits = waiting, .splits_count = 3, .idle_timeout_us = IDLE_US }),
    };
    epochs_sink(leat_union(inputs, 3, "all"), "out", epochs);
    return t;
}

static leat_topology *diamond(struct epochs *epochs)
{
    leat_topology *t = leat_topology_new("diamond");
    leat_stream *in = scripted_source(
        t, "in", &(struct scripted_source_opts){ .splits = short_and_long, .splits_count = 2 });
    leat_stream *arms[] = { leat_filter_expr(in, "small", "value < 10"),
        leat_filter_expr(leat_filter_expr(in, "large", "value >= 5"), "larger", "value >= 7") };
    leat_stream *both = leat_union(arms, 2, "both");
    epochs_sink(both, "out", epochs);
    epochs_sink(leat_filter_expr(both, "again", "value = 9"), "more", epochs);
    return t;
}

static const char *const keyed[] = { "1:1 2:2 3:3 4:4 | 5:5 6:6 7:7 | 8:1 9:2 10:3 11:4 12:5 | 13:6 14:7",
    "1:9 3:8 5:7 | 7:6 9:5 11:4 2:3 | 13:2 15:1 17:0 12:3 | 19:4 21:5", "4:4", "20:2 | 30:3 | 40:4 | 50:5" };

/* Rows change workers between three of the nodes, and then all go to one. */
static leat_topology *exchanges(struct epochs *epochs)
{
    leat_topology *t = leat_topology_new("exchanges");
    leat_stream *in =
        scripted_source(t, "in", &(struct scripted_source_opts){ .splits = keyed, .splits_count = 4 });
    leat_stream *sum = add_up(&in, 1, "first");
    leat_stream *both[] = { spread(leat_filter_expr(sum, "some", "value < 100"), "by-key"),
        spread(in, "again") };
    epochs_sink(add_up(both, 2, "total"), "out", epochs);
    return t;
}

/* The same without the node that all rows go through first. */
static leat_topology *one_exchange(struct epochs *epochs)
{
    leat_topology *t = leat_topology_new("one-exchange");
    leat_stream *in =
        scripted_source(t, "in", &(struct scripted_source_opts){ .splits = keyed, .splits_count = 4 });
    leat_stream *by_key = spread(in, "by-key");
    epochs_sink(by_key, "keyed", epochs);
    epochs_sink(add_up(&by_key, 1, "total"), "out", epochs);
    return t;
}

static const struct shape {
    const char *name;
    leat_topology *(*make)(struct epochs *epochs);
} shapes[] = {
    { "one source", one_source },
    { "idle splits", idle_splits },
    { "unequal union", unequal_union },
    { "diamond", diamond },
    { "exchanges", exchanges },
    { "one exchange", one_exchange },
};

struct variant {
    uint32_t parallelism, batch_rows, channel_batches;
    enum leat_delivery delivery;
};
static const struct variant variants[] = { { 1, 1, 0, 0 }, { 2, 1, 1, 0 }, { 3, 7, 0, 0 }, { 2, 2, 1, 0 } };

static struct epochs new_epochs(void)
{
    return (struct epochs){ .print = scenario_print_fact };
}

static void open_variant(struct barrier_rig *rig, leat_topology *t, const struct variant *v, uint64_t seed,
    const struct leat_restored *restored)
{
    barrier_rig_open(rig, t,
        &(struct barrier_rig_opts){ .parallelism = v->parallelism,
            .batch_rows = v->batch_rows,
            .channel_batches = v->channel_batches,
            .delivery = v->delivery,
            .seed = seed,
            .restored = restored });
}

/* What a run without interruptions commits, and how many turns it takes. */
static uint32_t run_through(
    const struct shape *shape, const struct variant *v, uint64_t seed, struct lines *lines)
{
    struct epochs epochs = new_epochs();
    struct barrier_rig rig;
    open_variant(&rig, shape->make(&epochs), v, seed, NULL);
    barrier_rig_finish(&rig);
    const uint32_t turns = rig.turns;
    *lines = epochs.committed;
    barrier_rig_close(&rig);
    return turns;
}

static void expect(const struct shape *shape, const struct variant *v, uint32_t turn, uint64_t seed,
    struct lines *want, struct epochs *epochs)
{
    char what[160];
    (void)snprintf(what, sizeof what,
        "%s, %u workers, batches of %u, rings of %u, asked at turn %u, seed %llu", shape->name,
        v->parallelism, v->batch_rows, v->channel_batches, turn, (unsigned long long)seed);
    lines_expect(what, want, &epochs->committed);
    lines_clear(&epochs->committed);
}

static void turn_until(struct barrier_rig *rig, uint32_t turn)
{
    while (rig->turns < turn && barrier_rig_turn(rig))
        ;
}

/* Asks at the turn, then lets `after` have the job; for every shape, variant and turn. */
static void at_every_turn(void (*after)(struct barrier_rig *rig, const struct shape *shape,
    const struct variant *v, uint64_t seed, struct epochs *epochs))
{
    for (size_t s = 0; s < COUNT_OF(shapes); s++) {
        for (size_t i = 0; i < COUNT_OF(variants); i++) {
            struct lines want = { 0 };
            const uint32_t turns = run_through(&shapes[s], &variants[i], 1, &want);
            for (uint32_t turn = 0; turn <= turns + 3; turn += 1 + turn % 3) {
                const uint64_t seed = turn % 5;
                struct epochs epochs = new_epochs();
                struct barrier_rig rig;
                open_variant(&rig, shapes[s].make(&epochs), &variants[i], seed, NULL);
                turn_until(&rig, turn);
                barrier_rig_ask(&rig);
                after(&rig, &shapes[s], &variants[i], seed, &epochs);
                barrier_rig_close(&rig);
                expect(&shapes[s], &variants[i], turn, seed, &want, &epochs);
            }
            lines_clear(&want);
        }
    }
}

/* ---- a checkpoint is taken and the job goes on ---- */

static void complete_and_go_on(struct barrier_rig *rig, const struct shape *shape, const struct variant *v,
    uint64_t seed, struct epochs *epochs)
{
    (void)shape;
    (void)v;
    (void)seed;
    (void)epochs;
    barrier_rig_wait(rig);
    barrier_rig_commit(rig);
    barrier_rig_over(rig);
    barrier_rig_finish(rig);
    assert_true(barrier_rig_is_let_go(rig));
}

static void test_barrier__given_a_checkpoint_at_any_turn__then_nothing_changes(void **state)
{
    (void)state;
    at_every_turn(complete_and_go_on);
}

/* ---- crash ---- */

static void crash_and_restore(struct barrier_rig *rig, const struct shape *shape, const struct variant *v,
    uint64_t seed, struct epochs *epochs)
{
    struct barrier_rig next;
    barrier_rig_wait(rig);
    barrier_rig_commit(rig);
    open_variant(&next, shape->make(epochs), v, seed + 1, barrier_rig_take(rig, v->parallelism));
    barrier_rig_finish(&next);
    barrier_rig_close(&next);
}

static void test_barrier__given_a_crash_behind_a_checkpoint__then_the_rest_is_given_once(void **state)
{
    (void)state;
    at_every_turn(crash_and_restore);
}

static void rescale(struct barrier_rig *rig, const struct shape *shape, const struct variant *v,
    uint64_t seed, struct epochs *epochs)
{
    struct barrier_rig next;
    struct variant other = *v;
    other.parallelism = 1 + (v->parallelism + (uint32_t)seed) % 4;
    barrier_rig_wait(rig);
    barrier_rig_commit(rig);
    open_variant(&next, shape->make(epochs), &other, seed + 1, barrier_rig_take(rig, other.parallelism));
    barrier_rig_finish(&next);
    barrier_rig_close(&next);
}

static void test_barrier__given_another_parallelism__then_the_rest_is_given_once(void **state)
{
    (void)state;
    at_every_turn(rescale);
}

/* Two crashes: the second checkpoint is taken by a restored job at once, some turns later. */
static void crash_twice(struct barrier_rig *rig, const struct shape *shape, const struct variant *v,
    uint64_t seed, struct epochs *epochs)
{
    struct barrier_rig next, last;
    barrier_rig_wait(rig);
    barrier_rig_commit(rig);
    open_variant(&next, shape->make(epochs), v, seed + 1, barrier_rig_take(rig, v->parallelism));
    turn_until(&next, (uint32_t)seed * 4);
    barrier_rig_ask(&next);
    barrier_rig_wait(&next);
    barrier_rig_commit(&next);
    open_variant(&last, shape->make(epochs), v, seed, barrier_rig_take(&next, v->parallelism));
    barrier_rig_finish(&last);
    barrier_rig_close(&last);
    barrier_rig_close(&next);
}

static void test_barrier__given_two_crashes__then_the_rest_is_given_once(void **state)
{
    (void)state;
    at_every_turn(crash_twice);
}

/* ---- given up ---- */

static void give_up_then_crash(struct barrier_rig *rig, const struct shape *shape, const struct variant *v,
    uint64_t seed, struct epochs *epochs)
{
    struct barrier_rig next;
    for (uint32_t attempt = 0; attempt < 2; attempt++) {
        turn_until(rig, rig->turns + 1 + (uint32_t)(seed * 3) % 11);
        barrier_rig_over(rig); /* without a manifest, wherever it is */
        while (!barrier_rig_is_let_go(rig))
            (void)barrier_rig_turn(rig);
        barrier_rig_ask(rig);
    }
    barrier_rig_wait(rig);
    barrier_rig_commit(rig); /* with what the ones that were given up have left */
    open_variant(&next, shape->make(epochs), v, seed + 1, barrier_rig_take(rig, v->parallelism));
    barrier_rig_finish(&next);
    barrier_rig_close(&next);
}

static void test_barrier__given_checkpoints_that_are_given_up__then_the_next_covers_them(void **state)
{
    (void)state;
    at_every_turn(give_up_then_crash);
}

static void give_up_and_go_on(struct barrier_rig *rig, const struct shape *shape, const struct variant *v,
    uint64_t seed, struct epochs *epochs)
{
    (void)shape;
    (void)v;
    (void)epochs;
    turn_until(rig, rig->turns + (uint32_t)(seed * 5) % 17);
    barrier_rig_over(rig);
    barrier_rig_finish(rig);
    assert_true(barrier_rig_is_let_go(rig));
}

static void test_barrier__given_a_checkpoint_that_is_given_up__then_nobody_is_left_waiting(void **state)
{
    (void)state;
    at_every_turn(give_up_and_go_on);
}

/* ---- at least once ---- */

static void test_barrier__given_at_least_once__then_nothing_is_lost(void **state)
{
    const struct variant v = { 2, 1, 1, LEAT_AT_LEAST_ONCE };
    (void)state;
    for (size_t s = 0; s < COUNT_OF(shapes); s++) {
        struct lines want = { 0 };
        const uint32_t turns = run_through(&shapes[s], &v, 1, &want);
        lines_sort(&want);
        for (uint32_t turn = 0; turn <= turns; turn += 5) {
            struct epochs epochs = new_epochs();
            struct barrier_rig rig;
            open_variant(&rig, shapes[s].make(&epochs), &v, turn, NULL);
            turn_until(&rig, turn);
            barrier_rig_ask(&rig);
            crash_and_restore(&rig, &shapes[s], &v, turn, &epochs);
            barrier_rig_close(&rig);
            lines_sort(&epochs.committed);
            size_t i = 0;
            for (size_t found = 0; found < want.count; found++) {
                if (strncmp(want.at[found], "-1:", 3) == 0)
                    continue; /* a sum, of some rows twice */
                while (i < epochs.committed.count && strcmp(epochs.committed.at[i], want.at[found]) != 0)
                    i++;
                FAIL_UNLESS(i++ < epochs.committed.count, "%s, turn %u: %s is lost", shapes[s].name, turn,
                    want.at[found]);
            }
            lines_clear(&epochs.committed);
        }
        lines_clear(&want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_barrier__given_a_checkpoint_at_any_turn__then_nothing_changes),
        cmocka_unit_test(test_barrier__given_a_crash_behind_a_checkpoint__then_the_rest_is_given_once),
        cmocka_unit_test(test_barrier__given_another_parallelism__then_the_rest_is_given_once),
        cmocka_unit_test(test_barrier__given_two_crashes__then_the_rest_is_given_once),
        cmocka_unit_test(test_barrier__given_checkpoints_that_are_given_up__then_the_next_covers_them),
        cmocka_unit_test(test_barrier__given_a_checkpoint_that_is_given_up__then_nobody_is_left_waiting),
        cmocka_unit_test(test_barrier__given_at_least_once__then_nothing_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
