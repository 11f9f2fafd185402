/* tests/unit/operators/test_flat_map.c -- flat maps that make very much of one record: bounded pieces,
 * memory, and undoing. */
#include "base/alloc.h"
#include "tests/support/harness.h"
#include "tests/support/op_records.h"
#include "tests/support/unit.h"
#include <leat/map.h>
#include <stdio.h>

/* `value` rows, each with a string of its own; every third on the side. "bad" refuses at the end. */
static void explode(struct leat_ctx *ctx, const struct op_event *event, struct leat_out *out)
{
    const struct leat_sv early = leat_copy(ctx, event->text);
    for (int64_t i = 0; i < event->value; i++) {
        struct op_pair *pair = i % 3 == 2 ? leat_out_side(out, 0) : leat_out_row(out);
        if (!pair)
            return;
        pair->left = event->id;
        pair->right = i;
        pair->text = i % 2 ? early : leat_printf(ctx, "row %lld of it", (long long)i);
    }
    if (leat_sv_eq(event->text, LEAT_SV("bad")))
        leat_fail(ctx, "bad");
}
LEAT_DEFINE_FLAT_MAP(explode, op_event, op_pair);

static struct harness *open_explode(leat_topology *t, const struct harness_opts *opts)
{
    leat_stream *in = harness_source(t, "in", &op_event_type, "ts");
    leat_stream *out = leat_flat_map(in, "explode",
        &(struct leat_flat_map_opts){ .fn = &explode_flat_map, .sides = { { "third", &op_pair_type } } });
    return harness_new(leat_on_error(out, LEAT_SKIP), opts);
}

/* Checks and forgets what came out: `count` rows of record `id`, in order on each port. */
static void check_rows(struct harness *h, int64_t id, int64_t count, struct leat_sv text)
{
    int64_t next[2] = { 0, 2 };
    for (uint32_t i = 0; i < h->outs_count; i++) {
        const uint32_t port = h->outs[i].port;
        for (uint32_t row = 0; row < h->outs[i].batch->count; row++) {
            const struct op_pair *pair = leat_batch_at(h->outs[i].batch, row);
            char made[40];
            (void)snprintf(made, sizeof made, "row %lld of it", (long long)pair->right);
            assert_int_equal(pair->left, id);
            assert_int_equal(pair->right, next[port]);
            assert_true(leat_sv_eq(pair->text, pair->right % 2 ? text : leat_sv_of(made)));
            next[port] += port == 1 ? 3 : next[port] % 3 == 1 ? 2 : 1;
        }
    }
    assert_true(next[0] >= count && next[1] >= count && next[0] < count + 3 && next[1] < count + 3);
    harness_forget_outs(h);
}

static void test_flat_map__given_one_record__when_it_makes_very_many__then_they_leave_in_pieces(void **state)
{
    (void)state;
    const struct harness_opts opts = { .batch_rows = 128 };
    leat_topology *t = leat_topology_new("flat");
    struct harness *h = open_explode(t, &opts);
    struct leat_batch *batch = harness_rows(h, 0);
    op_event_add(batch, 1, NULL, 10, 100000, "first");
    assert_int_equal(harness_batch(h, 0, batch), 0);
    assert_true(h->steps_count > 100000 / 128 / 5); /* the harness bounds each one */
    check_rows(h, 1, 100000, LEAT_SV("first"));
    batch = harness_rows(h, 0);
    op_event_add(batch, 2, NULL, 11, 129, "second");
    assert_int_equal(harness_batch(h, 0, batch), 0);
    check_rows(h, 2, 129, LEAT_SV("second"));
    harness_free(h);
    leat_topology_free(t);
}

static void test_flat_map__given_a_refused_record__when_it_had_filled_batches__then_all_of_it_is_gone(
    void **state)
{
    (void)state;
    const struct harness_opts opts = { .batch_rows = 16 };
    leat_topology *t = leat_topology_new("flat");
    struct harness *h = open_explode(t, &opts);
    struct leat_batch *batch = harness_rows(h, 0);
    op_event_add(batch, 0, NULL, 9, 500, "bad");
    op_event_add(batch, 1, NULL, 10, 7, "good");
    op_event_add(batch, 2, NULL, 11, 500, "bad");
    op_event_add(batch, 3, NULL, 12, 1, "bad");
    assert_int_equal(harness_batch(h, 0, batch), 0);
    assert_int_equal(h->counters.dropped_records, 3);
    assert_int_equal(h->rows_count[0] + h->rows_count[1], 7);
    check_rows(h, 1, 7, LEAT_SV("good"));
    harness_free(h);
    leat_topology_free(t);
}

/* What one run allocates for strings goes with its batches. */
static void test_flat_map__given_records_that_make_strings__when_they_never_end__then_memory_is_steady(
    void **state)
{
    (void)state;
    const struct harness_opts opts = { .batch_rows = 256, .discard = true };
    leat_topology *t = leat_topology_new("flat");
    struct harness *h = open_explode(t, &opts);
    uint64_t before = 0;
    for (uint32_t round = 0; round < 40; round++) {
        struct leat_batch *batch = harness_rows(h, 0);
        for (uint32_t i = 0; i < 256; i++)
            op_event_add(batch, i, NULL, i, 100, "text");
        if (round == 20)
            before = leat__alloc_calls();
        assert_int_equal(harness_batch(h, 0, batch), 0);
    }
    assert_int_equal(h->rows_count[0] + h->rows_count[1], 40 * 256 * 100);
    assert_int_equal(leat__alloc_calls() - before, 0);
    assert_true(leat__pool_made_count(h->pool) < 40);
    harness_free(h);
    leat_topology_free(t);
}

static void test_flat_map__given_no_memory__when_rows_are_asked_for__then_the_job_fails_cleanly(void **state)
{
    (void)state;
    uint32_t failures = 0;
    for (uint64_t n = 1; n < 200; n++) {
        const struct harness_opts opts = { .batch_rows = 8 };
        const int64_t live = leat__alloc_live();
        leat_topology *t = leat_topology_new("flat");
        struct harness *h = open_explode(t, &opts);
        struct leat_batch *batch = harness_rows(h, 0);
        op_event_add(batch, 1, NULL, 10, 300, "text");
        op_event_add(batch, 2, NULL, 10, 3000, "bad");
        leat__alloc_fail_at(n);
        const int code = harness_batch(h, 0, batch);
        leat__alloc_fail_at(0);
        FAIL_UNLESS(
            code == 0 || code == LEAT_ENOMEM, "allocation %llu: %s", (unsigned long long)n, h->error.message);
        failures += code < 0;
        harness_free(h);
        leat_topology_free(t);
        assert_int_equal(leat__alloc_live(), live);
    }
    assert_true(failures > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flat_map__given_one_record__when_it_makes_very_many__then_they_leave_in_pieces),
        cmocka_unit_test(
            test_flat_map__given_a_refused_record__when_it_had_filled_batches__then_all_of_it_is_gone),
        cmocka_unit_test(
            test_flat_map__given_records_that_make_strings__when_they_never_end__then_memory_is_steady),
        cmocka_unit_test(test_flat_map__given_no_memory__when_rows_are_asked_for__then_the_job_fails_cleanly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
