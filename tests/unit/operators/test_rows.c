/* tests/unit/operators/test_rows.c -- what all operators owe to batches: shared ones stay as they are, slices
 * are as good as whole ones, output larger than input comes in pieces, warm operators allocate nothing, and
 * no failing allocation does harm. */
#include "base/alloc.h"
#include "record/json.h"
#include "tests/support/harness.h"
#include "tests/support/op_records.h"
#include "tests/support/unit.h"
#include <leat/branch.h>
#include <leat/join.h>
#include <leat/peek.h>
#include <leat/union.h>
#include <stdio.h>

static bool is_small(struct leat_ctx *ctx, const struct op_event *event)
{
    if (event->value == 13)
        leat_fail(ctx, "thirteen");
    return event->value < 100;
}
LEAT_DEFINE_FILTER(is_small, op_event);

static void refuse_13(struct leat_ctx *ctx, const struct op_event *event)
{
    if (event->value == 13)
        leat_fail(ctx, "thirteen");
}
LEAT_DEFINE_PEEK(refuse_13, op_event);

static void widen(struct leat_ctx *ctx, const struct op_event *event, struct op_wide *out)
{
    if (event->value == 13)
        leat_fail(ctx, "thirteen");
    out->id = event->id;
    out->label = event->id % 2 ? event->text : leat_printf(ctx, "made of %lld", (long long)event->id);
    out->pad[0] = out->pad[sizeof out->pad - 1] = 7;
}
LEAT_DEFINE_MAP(widen, op_event, op_wide);

static void twice(struct leat_ctx *ctx, const struct op_event *event, struct leat_out *out)
{
    if (event->value == 13)
        leat_fail(ctx, "thirteen");
    for (int64_t i = 0; i < 2; i++) {
        struct op_event *row = leat_out_row(out);
        if (!row)
            return;
        *row = *event;
        row->id = event->id * 2 + i;
        if (i)
            row->text = leat_copy(ctx, event->text);
    }
}
LEAT_DEFINE_FLAT_MAP(twice, op_event, op_event);

static void merge(
    struct leat_ctx *ctx, const struct op_event *left, const struct op_event *right, struct op_pair *out)
{
    if (left->value == 13)
        leat_fail(ctx, "thirteen");
    out->left = left->id;
    out->right = right->id;
    out->text = left->text;
}
LEAT_DEFINE_JOIN(merge, op_event, op_event, op_pair);

/* ---- the operators, one for each kind ---- */

static leat_stream *make_filter(leat_stream *in, leat_stream *other)
{
    (void)other;
    return leat_filter(in, "op", &is_small_filter);
}
static leat_stream *make_filter_expr(leat_stream *in, leat_stream *other)
{
    (void)other;
    return leat_filter_expr(in, "op", "1000 / (value - 13) < 100 and text like 'text%'");
}
static leat_stream *make_peek(leat_stream *in, leat_stream *other)
{
    (void)other;
    return leat_peek(in, "op", &refuse_13_peek);
}
static leat_stream *make_map(leat_stream *in, leat_stream *other)
{
    (void)other;
    return leat_map(in, "op", &widen_map);
}
static leat_stream *make_flat_map(leat_stream *in, leat_stream *other)
{
    (void)other;
    return leat_flat_map(in, "op", &(struct leat_flat_map_opts){ .fn = &twice_flat_map });
}
static leat_stream *make_project(leat_stream *in, leat_stream *other)
{
    (void)other;
    return leat_project(in, "op",
        &(struct leat_project_opts){ .fields = { { "id", NULL }, { "text || '!'", "text" },
                                         { "1000 / (value - 13)", "q" }, { "key", "k" } } });
}
static leat_stream *make_branch(leat_stream *in, leat_stream *other)
{
    (void)other;
    return leat_branch(in, "op",
        &(struct leat_branch_opts){
            .cases = { { "even", "value % 2 = 0", NULL }, { "small", NULL, &is_small_filter } },
            .otherwise = "rest" });
}
static leat_stream *make_union(leat_stream *in, leat_stream *other)
{
    leat_stream *streams[] = { in, other };
    return leat_union(streams, 2, "op");
}
static leat_stream *make_join(leat_stream *in, leat_stream *other)
{
    leat_stream *joined = leat_join(in, other, "op",
        &(struct leat_join_opts){ .left_key = "key",
            .within_us = LEAT_MILLIS(1),
            .where = "left.id <> right.id",
            .merge = &merge_join });
    (void)leat_late_left(joined);
    return joined;
}
static leat_stream *make_join_fields(leat_stream *in, leat_stream *other)
{
    return leat_join(in, other, "op",
        &(struct leat_join_opts){ .left_key = "key, text",
            .within_us = LEAT_MILLIS(1),
            .out = &op_pair_type,
            .fields = { { "left.id", "left" }, { "1000 / (right.value - 13)", "right" },
                { "upper(left.text)", "text" } } });
}

static const struct {
    const char *name;
    leat_stream *(*make)(leat_stream *in, leat_stream *other);
    bool has_other;
    bool is_stateful; /* state makes a block now and then */
} kinds[] = {
    { "filter", make_filter, false, false },
    { "filter by expression", make_filter_expr, false, false },
    { "peek", make_peek, false, false },
    { "map", make_map, false, false },
    { "flat map", make_flat_map, false, false },
    { "project", make_project, false, false },
    { "branch", make_branch, false, false },
    { "union", make_union, true, false },
    { "join", make_join, true, true },
    { "join by fields", make_join_fields, true, true },
};

static struct harness *open_kind(leat_topology *t, size_t kind, const struct harness_opts *opts)
{
    leat_stream *in = harness_source(t, "in", &op_event_type, "ts");
    leat_stream *other = kinds[kind].has_other ? harness_source(t, "other", &op_event_type, "ts") : NULL;
    leat_stream *stream = kinds[kind].make(in, other);
    struct harness *h = harness_new(leat_on_error(stream, LEAT_SKIP), opts);
    FAIL_UNLESS(h->code == 0, "%s: %s", kinds[kind].name, h->error.message);
    return h;
}

static void fill(struct leat_batch *batch, uint32_t count, int64_t from_us)
{
    static const char *const keys[] = { "red", "green", "blue" };
    for (uint32_t i = 0; i < count; i++)
        op_event_add(batch, i, keys[i % 3], from_us + i, i % 40, i % 5 ? "text of an event" : "other text");
}

/* All output as text. */
static struct leat_strbuf print_outs(const struct harness *h)
{
    struct leat_strbuf out = { 0 };
    struct leat_error err = { 0 };
    leat__strbuf_str(&out, "");
    for (uint32_t port = 0; port < h->node->outputs_count; port++)
        for (uint32_t i = 0; i < h->outs_count; i++) {
            const struct leat_batch *batch = h->outs[i].batch;
            for (uint32_t row = 0; h->outs[i].port == port && row < batch->count; row++) {
                leat__strbuf_printf(&out, "%u %lld ", port, (long long)batch->event_us[row]);
                assert_int_equal(
                    leat__json_encode(batch->type, LEAT_JSON_PLAIN, leat_batch_at(batch, row), &out, &err),
                    0);
                leat__strbuf_char(&out, '\n');
            }
        }
    assert_false(out.failed);
    return out;
}

/* ---- shared and sliced batches ---- */

enum form { WHOLE, SHARED, SLICED };

/* Delivers 80 rows in the form; what others hold of them must not change. */
static struct leat_strbuf run_form(size_t kind, enum form form)
{
    const struct harness_opts opts = { .batch_rows = 128 };
    leat_topology *t = leat_topology_new("rows");
    struct harness *h = open_kind(t, kind, &opts);
    for (uint32_t input = 0; input < h->node->inputs_count; input++) {
        struct leat_batch *batch = harness_rows(h, input), *slice;
        unsigned char before[80 * sizeof(struct op_event)];
        fill(batch, 80, 1000);
        memcpy(before, batch->rows, sizeof before);
        if (form == SHARED) {
            leat__batch_ref(batch);
            assert_int_equal(harness_batch(h, input, batch), 0);
        } else if (form == SLICED) {
            for (uint32_t from = 0; from < 80; from += 20) {
                assert_int_equal(leat__batch_slice(h->pool, batch, from, 20, &slice), 0);
                assert_int_equal(harness_batch(h, input, slice), 0);
            }
        } else {
            assert_int_equal(harness_batch(h, input, batch), 0);
            continue;
        }
        assert_int_equal(batch->count, 80);
        FAIL_UNLESS(
            memcmp(before, batch->rows, sizeof before) == 0, "%s changed what others hold", kinds[kind].name);
        for (uint32_t i = 0; i < 80; i++)
            assert_int_equal(batch->event_us[i], 1000 + i);
        leat__batch_release(batch);
    }
    assert_int_equal(h->code, 0);
    struct leat_strbuf out = print_outs(h);
    harness_free(h);
    leat_topology_free(t);
    return out;
}

static void test_rows__given_shared_and_sliced_batches__when_delivered__then_unchanged_and_the_same_comes_out(
    void **state)
{
    (void)state;
    for (size_t kind = 0; kind < COUNT_OF(kinds); kind++) {
        struct leat_strbuf whole = run_form(kind, WHOLE);
        struct leat_strbuf shared = run_form(kind, SHARED), sliced = run_form(kind, SLICED);
        assert_true(whole.len > 1000);
        FAIL_UNLESS(
            strcmp(whole.data, shared.data) == 0, "%s: another output of a shared batch", kinds[kind].name);
        if (!kinds[kind].is_stateful) /* of joins the order may differ */
            FAIL_UNLESS(
                strcmp(whole.data, sliced.data) == 0, "%s: another output of slices", kinds[kind].name);
        assert_int_equal(whole.len, sliced.len);
        leat__strbuf_release(&whole);
        leat__strbuf_release(&shared);
        leat__strbuf_release(&sliced);
    }
}

/* ---- pieces ---- */

static void test_rows__given_larger_records__when_mapped__then_they_leave_in_several_batches(void **state)
{
    (void)state;
    leat_topology *t = leat_topology_new("rows");
    struct harness *h = open_kind(t, 3, NULL);
    struct leat_batch *batch = harness_rows(h, 0);
    fill(batch, 1000, 0);
    assert_int_equal(harness_batch(h, 0, batch), 0);
    assert_int_equal(h->rows_count[0], 975); /* 25 have the value 13 */
    assert_true(h->steps_count >= 3); /* 64 rows a batch, some batches a call */
    int64_t id = -1;
    for (uint32_t i = 0; i < h->outs_count; i++)
        for (uint32_t row = 0; row < h->outs[i].batch->count; row++) {
            const struct op_wide *wide = leat_batch_at(h->outs[i].batch, row);
            char made[32];
            (void)snprintf(made, sizeof made, "made of %lld", (long long)wide->id);
            id += 1 + ((id + 1) % 40 == 13);
            assert_int_equal(wide->id, id);
            assert_int_equal(h->outs[i].batch->event_us[row], id);
            assert_true(leat_sv_eq(wide->label,
                leat_sv_of(id % 2 == 0 ? made
                        : id % 5       ? "text of an event"
                                       : "other text")));
            assert_int_equal(wide->pad[0] + wide->pad[1] + wide->pad[sizeof wide->pad - 1], 14);
        }
    harness_free(h);
    leat_topology_free(t);
}

/* ---- memory ---- */

static void test_rows__given_warm_operators__when_they_go_on__then_nothing_is_allocated_per_row(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < COUNT_OF(kinds); kind++) {
        const struct harness_opts opts = { .batch_rows = 128, .discard = true };
        leat_topology *t = leat_topology_new("rows");
        struct harness *h = open_kind(t, kind, &opts);
        uint64_t before = 0, made_before = 0;
        for (uint32_t round = 0; round < 200; round++) {
            if (round == 100) {
                before = leat__alloc_calls();
                made_before = leat__pool_made_count(h->pool);
            }
            for (uint32_t input = 0; input < h->node->inputs_count; input++) {
                struct leat_batch *batch = harness_rows(h, input);
                fill(batch, 128, round * 128);
                assert_int_equal(harness_batch(h, input, batch), 0);
                assert_int_equal(harness_watermark(h, input, round * 128), 0);
            }
        }
        const uint64_t calls = leat__alloc_calls() - before;
        FAIL_UNLESS(leat__pool_made_count(h->pool) == made_before, "%s makes new batches", kinds[kind].name);
        FAIL_UNLESS(calls <= (kinds[kind].is_stateful ? 20 : 0), "%s: %llu allocations in 100 batches",
            kinds[kind].name, (unsigned long long)calls);
        harness_free(h);
        leat_topology_free(t);
    }
}

static void test_rows__given_no_memory__when_any_allocation_fails__then_the_job_fails_cleanly(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < COUNT_OF(kinds); kind++)
        for (uint64_t n = 1; n < 60; n++) {
            const struct harness_opts opts = { .batch_rows = 40 };
            const int64_t live = leat__alloc_live();
            leat_topology *t = leat_topology_new("rows");
            struct harness *h = open_kind(t, kind, &opts);
            struct leat_batch *batches[4];
            for (uint32_t i = 0; i < COUNT_OF(batches); i++) {
                batches[i] = harness_rows(h, i % h->node->inputs_count);
                fill(batches[i], 40, i * 40);
                leat__batch_ref(batches[i]);
            }
            leat__alloc_fail_at(n);
            for (uint32_t i = 0; i < COUNT_OF(batches); i++)
                (void)harness_batch(h, i % h->node->inputs_count, batches[i]);
            leat__alloc_fail_at(0);
            FAIL_UNLESS(h->code == 0 || h->code == LEAT_ENOMEM || h->code == LEAT_ESTATE,
                "%s, allocation %llu: %s", kinds[kind].name, (unsigned long long)n, h->error.message);
            for (uint32_t i = 0; i < COUNT_OF(batches); i++)
                leat__batch_release(batches[i]);
            harness_free(h);
            leat_topology_free(t);
            FAIL_UNLESS(leat__alloc_live() == live, "%s, allocation %llu: %lld blocks are lost",
                kinds[kind].name, (unsigned long long)n, (long long)(leat__alloc_live() - live));
        }
}

static void test_rows__given_no_memory__when_declared__then_the_topology_says_so(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < COUNT_OF(kinds); kind++)
        for (uint64_t n = 1; n < 400; n++) {
            const int64_t live = leat__alloc_live();
            leat_topology *t = leat_topology_new("rows");
            leat_stream *in = harness_source(t, "in", &op_event_type, "ts");
            leat_stream *other =
                kinds[kind].has_other ? harness_source(t, "other", &op_event_type, "ts") : NULL;
            leat__alloc_fail_at(n);
            leat_stream *stream = kinds[kind].make(in, other);
            leat__alloc_fail_at(0);
            if (!stream->node) {
                assert_int_equal(leat_topology_errors_count(t), 1);
                assert_int_equal(leat_topology_error(t, 0)->code, LEAT_ENOMEM);
            }
            leat_topology_free(t);
            FAIL_UNLESS(leat__alloc_live() == live, "%s, allocation %llu: %lld blocks are lost",
                kinds[kind].name, (unsigned long long)n, (long long)(leat__alloc_live() - live));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_rows__given_shared_and_sliced_batches__when_delivered__then_unchanged_and_the_same_comes_out),
        cmocka_unit_test(test_rows__given_larger_records__when_mapped__then_they_leave_in_several_batches),
        cmocka_unit_test(test_rows__given_warm_operators__when_they_go_on__then_nothing_is_allocated_per_row),
        cmocka_unit_test(test_rows__given_no_memory__when_any_allocation_fails__then_the_job_fails_cleanly),
        cmocka_unit_test(test_rows__given_no_memory__when_declared__then_the_topology_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
