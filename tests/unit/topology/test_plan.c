/* tests/unit/topology/test_plan.c -- parallelism, exchanges and chains of small graphs. */
#include "base/alloc.h"
#include "base/strbuf.h"
#include "tests/support/fake_nodes.h"
#include "tests/support/unit.h"
#include "topology/plan.h"
#include <stdio.h>
#include <string.h>

static struct leat_plan *plan_for(leat_topology *t, uint32_t parallelism)
{
    struct leat_plan *plan = NULL;
    struct leat_error err = { 0 };
    const int code = leat__plan_new(t, parallelism, 128, &plan, &err);
    FAIL_UNLESS(code == 0, "%s", err.message);
    return plan;
}

/* "a-kept x4 #0; ..." : nodes with parallelism and chain, then edges: "a>b F", H exchange, h hash that
 * forwards, G, g, B, b. */
static const char *summary(const struct leat_plan *plan)
{
    static char text[2048];
    size_t used = 0;
    for (uint32_t n = 0; n < plan->nodes_count; n++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s x%u #%u", n ? ", " : "",
            plan->nodes[n].node->name, plan->nodes[n].parallelism, plan->nodes[n].chain);
    for (uint32_t e = 0; e < plan->edges_count; e++) {
        const struct leat_plan_edge *edge = &plan->edges[e];
        const char *words = edge->exchange ? " FHGB" : " fhgb";
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s>%s %c", e ? ", " : "; ",
            plan->nodes[edge->from].node->name, plan->nodes[edge->to].node->name, words[edge->partitioning]);
    }
    assert_true(used < sizeof text);
    return text;
}

static void check_plan(leat_topology *t, uint32_t parallelism, const char *want)
{
    struct leat_plan *plan = plan_for(t, parallelism);
    assert_string_equal(summary(plan), want);
    leat__plan_free(plan);
}

static const struct fake_opts by_status = { .key = "status" };

static void test_plan__given_a_line_of_forward_edges__when_planned__then_it_is_one_chain(void **state)
{
    leat_topology *t = leat_topology_new("t");
    (void)state;
    fake_sink(fake_op(fake_source(t, "in", NULL), "op", NULL), "out", NULL);
    check_plan(t, 1, "in x1 #0, op x1 #0, out x1 #0; in>op f, op>out f");
    check_plan(t, 4, "in x4 #0, op x4 #0, out x4 #0; in>op f, op>out f");
    leat_topology_free(t);
}

static void test_plan__given_a_hash_edge__when_planned__then_it_is_an_exchange_unless_there_is_one_worker(
    void **state)
{
    leat_topology *t = leat_topology_new("t");
    (void)state;
    fake_sink(fake_op(fake_source(t, "in", NULL), "op", &by_status), "out", NULL);
    check_plan(t, 4, "in x4 #0, op x4 #1, out x4 #1; in>op H, op>out f");
    struct leat_plan *plan = plan_for(t, 1);
    assert_string_equal(summary(plan), "in x1 #0, op x1 #0, out x1 #0; in>op h, op>out f");
    assert_string_equal(leat__key_text(plan->edges[0].key), "status"); /* hashes are computed nevertheless */
    leat__plan_free(plan);
    leat_topology_free(t);
}

static void test_plan__given_a_single_node__when_planned__then_all_is_gathered_there(void **state)
{
    leat_topology *t = leat_topology_new("t");
    const struct fake_opts single = { .single = true };
    (void)state;
    leat_stream *in = fake_source(t, "in", NULL);
    leat_stream *one = fake_op(in, "one", &single);
    fake_sink(fake_op(one, "behind", NULL), "out", NULL);
    fake_sink(fake_op(one, "keyed", &by_status), "out-2", &single);
    check_plan(t, 4,
        "in x4 #0, one x1 #1, behind x1 #1, out x1 #1, keyed x4 #2, out-2 x1 #3; in>one G, one>behind f, "
        "behind>out f, "
        "one>keyed H, keyed>out-2 G");
    check_plan(t, 1,
        "in x1 #0, one x1 #0, behind x1 #0, out x1 #0, keyed x1 #0, out-2 x1 #0; in>one g, one>behind f, "
        "behind>out f, "
        "one>keyed h, keyed>out-2 g");
    leat_topology_free(t);
}

static void test_plan__given_a_broadcast__when_planned__then_it_is_an_exchange_between_workers(void **state)
{
    leat_topology *t = leat_topology_new("t");
    (void)state;
    leat_stream *both[] = { fake_source(t, "a", NULL), fake_source(t, "b", NULL) };
    leat_stream *op = fake_op_n(both, 2, "op", NULL);
    op->node->inputs[1].partitioning = LEAT_BROADCAST;
    fake_sink(op, "out", NULL);
    check_plan(t, 3, "a x3 #0, b x3 #1, op x3 #0, out x3 #0; a>op f, b>op B, op>out f");
    check_plan(t, 1, "a x1 #0, b x1 #0, op x1 #0, out x1 #0; a>op f, b>op b, op>out f");
    leat_topology_free(t);
}

static void
test_plan__given_rows_that_are_where_their_key_lives__when_planned__then_there_is_no_second_exchange(
    void **state)
{
    static const struct {
        const char *name;
        struct fake_opts first, between, last;
        const char *want; /* of the last hash edge */
    } rows[] = {
        { "kept rows", { .key = "status" }, { 0 }, { .key = "status" }, "h" },
        { "another key", { .key = "status" }, { 0 }, { .key = "total" }, "H" },
        { "more fields", { .key = "status" }, { 0 }, { .key = "status, total" }, "H" },
        { "rows changed between", { .key = "status" }, { .changes_rows = true }, { .key = "status" }, "H" },
        { "rows changed first", { .key = "status", .changes_rows = true }, { 0 }, { .key = "status" }, "H" },
        { "said so", { .key = "status", .changes_rows = true, .partitioned_by = "status" }, { 0 },
            { .key = "status" }, "h" },
        { "said otherwise", { .key = "status", .changes_rows = true, .partitioned_by = "total" }, { 0 },
            { .key = "status" }, "H" },
        { "through one subtask", { .key = "status" }, { .single = true }, { .key = "status" }, "H" },
        { "never keyed", { 0 }, { 0 }, { .key = "status" }, "H" },
        { "said so without a key", { .partitioned_by = "status" }, { 0 }, { .key = "status" }, "H" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        leat_topology *t = leat_topology_new("t");
        leat_stream *first = fake_op(fake_source(t, "in", NULL), "first", &rows[i].first);
        fake_sink(fake_op(fake_op(first, "between", &rows[i].between), "last", &rows[i].last), "out", NULL);
        struct leat_plan *plan = plan_for(t, 4);
        const struct leat_plan_edge *edge = &plan->edges[2];
        assert_string_equal(plan->nodes[edge->to].node->name, "last");
        assert_int_equal(edge->partitioning, LEAT_HASH);
        FAIL_UNLESS(edge->exchange == (rows[i].want[0] == 'H'), "row %s", rows[i].name);
        leat__plan_free(plan);
        leat_topology_free(t);
    }
}

/* A null is a key of its own for a group, and nothing for a join: bytes and hash differ, so the rows must
 * move. */
static void
test_plan__given_keys_that_treat_nulls_differently__when_planned__then_texts_alone_do_not_save_the_exchange(
    void **state)
{
    leat_topology *t = leat_topology_new("t");
    struct leat_key *key;
    struct leat_error err = { 0 };
    (void)state;
    leat_stream *first = fake_op(fake_source(t, "in", NULL), "first", &(struct fake_opts){ .key = "note" });
    leat_stream *last = fake_op(first, "last", &(struct fake_opts){ .key = "note" });
    fake_sink(last, "out", NULL);
    check_plan(t, 2, "in x2 #0, first x2 #1, last x2 #1, out x2 #1; in>first H, first>last h, last>out f");
    assert_int_equal(leat__key_new(&fake_order_type, "note", LEAT_KEY_NULLS_SKIP, &key, &err), 0);
    last->node->inputs[0].key = key;
    check_plan(t, 2, "in x2 #0, first x2 #1, last x2 #2, out x2 #2; in>first H, first>last H, last>out f");
    leat_topology_free(t);
    leat__key_free(key);
}

static void
test_plan__given_side_outputs_and_virtual_nodes__when_planned__then_ports_and_real_nodes_are_joined(
    void **state)
{
    leat_topology *t = leat_topology_new("t");
    (void)state;
    leat_stream *in = fake_source(t, "in", NULL);
    leat_stream *op = fake_op(in, "op", &(struct fake_opts){ .side = "refunds", .key = "status" });
    struct leat_node *group = fake_virtual(op, "by-status", "group by", NULL);
    leat_stream *again = fake_op(
        leat__named_output(op, "refunds", "side output"), "again", &(struct fake_opts){ .key = "status" });
    leat_stream *total = fake_op(op, "total", &(struct fake_opts){ .key = "status", .via = group });
    fake_sink(again, "out", NULL);
    fake_sink(total, "out-2", NULL);
    struct leat_plan *plan = plan_for(t, 2);
    assert_string_equal(summary(plan),
        "in x2 #0, op x2 #1, again x2 #2, total x2 #1, out x2 #2, out-2 x2 #1; in>op H, op>again H, op>total "
        "h, "
        "again>out f, total>out-2 f"); /* only output 0 keeps the rows */
    assert_int_equal(plan->edges[1].port, 1);
    assert_int_equal(plan->edges[2].port, 0);
    const struct leat_plan_node *node = &plan->nodes[1];
    assert_int_equal(node->edges_out_count, 2);
    assert_int_equal(node->edges_out[0], 1);
    assert_int_equal(node->edges_out[1], 2);
    leat__plan_free(plan);
    leat_topology_free(t);
}

static void test_plan__given_inputs_by_two_ways__when_planned__then_edges_are_listed_by_input(void **state)
{
    leat_topology *t = leat_topology_new("t");
    (void)state;
    leat_stream *in = fake_source(t, "in", NULL);
    leat_stream *keyed = fake_op(in, "keyed", &by_status);
    leat_stream *three[] = { keyed, in, in };
    fake_sink(fake_op_n(three, 3, "union", NULL), "out", NULL);
    struct leat_plan *plan = plan_for(t, 4);
    assert_string_equal(summary(plan),
        "in x4 #0, keyed x4 #0, union x4 #0, out x4 #0; in>keyed H, keyed>union f, in>union f, in>union f, "
        "union>out f");
    assert_int_equal(plan->chains_count, 1); /* an exchange may lead back into its own chain */
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(plan->edges[plan->nodes[2].edges_in[i]].input, i);
    leat__plan_free(plan);
    leat_topology_free(t);
}

static void test_plan__given_what_can_not_be_planned__when_asked__then_the_error_says_why(void **state)
{
    leat_topology *t = leat_topology_new("t");
    struct leat_plan *plan = NULL;
    struct leat_error err = { 0 };
    (void)state;
    leat_stream *in = fake_source(t, "in", NULL);
    assert_int_equal(leat__plan_new(t, 1, 128, &plan, &err), LEAT_EDECLARE);
    assert_null(plan);
    assert_string_equal(err.message,
        "topology \"t\": there is no sink: nothing consumes the output of \"in\"; add one, such as "
        "leat_file_sink");
    fake_sink(in, "out", NULL);
    static const struct {
        uint32_t parallelism, max_parallelism;
        const char *want;
    } rows[] = {
        { 0, 128, "parallelism is 0; it must be from 1 to 256" },
        { 257, 1000, "parallelism is 257; it must be from 1 to 256" },
        { 1, 0, "max_parallelism is 0; it must be from 1 to 32768" },
        { 1, 32769, "max_parallelism is 32769; it must be from 1 to 32768" },
        { 9, 8,
            "parallelism is 9, but there are only 8 key groups (max_parallelism): some workers would own no "
            "keys" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(
            leat__plan_new(t, rows[i].parallelism, rows[i].max_parallelism, &plan, &err), LEAT_EINVAL);
        assert_string_equal(err.message, rows[i].want);
    }
    fake_source(t, "In", NULL);
    fake_source(t, "IN", NULL);
    assert_int_equal(leat__plan_new(t, 1, 128, &plan, &err), LEAT_EDECLARE);
    assert_non_null(strstr(err.message, "(and 1 more)"));
    leat__plan_free(NULL);
    leat_topology_free(t);
}

static void test_plan__given_no_memory_at_some_point__when_planned_and_described__then_it_fails_cleanly(
    void **state)
{
    leat_topology *t = leat_topology_new("t");
    (void)state;
    leat_stream *in = fake_source(t, "in", &(struct fake_opts){ .event_time = "ordered_at" });
    fake_sink(fake_op(in, "op", &by_status), "out", NULL);
    assert_int_equal(leat_check(t), 0);
    for (uint64_t n = 1;; n++) {
        const int64_t live = leat__alloc_live();
        char *text = NULL;
        leat__alloc_fail_at(n);
        const int code = leat_describe(t, LEAT_DESCRIBE_TEXT, 2, &text);
        leat__alloc_fail_at(0);
        assert_true((code == 0) == (text != NULL));
        assert_true(code == 0 || code == LEAT_ENOMEM);
        leat_free(text);
        assert_int_equal(leat__alloc_live(), live);
        if (code == 0)
            break;
        assert_true(n < 1000);
    }
    leat_topology_free(t);
}

static void no_keys(struct leat_ctx *ctx, const struct leat_batch *batch, struct leat_sv *keys)
{
    (void)ctx;
    for (uint32_t i = 0; i < batch->count; i++)
        keys[i] = (struct leat_sv){ NULL, 0 };
}

/* Two callbacks may have the same name, or that of a field. */
static void test_plan__given_keys_from_callbacks__when_planned__then_only_one_object_is_one_key(void **state)
{
    leat_topology *t = leat_topology_new("t");
    struct leat_key *fn[2];
    struct leat_error err = { 0 };
    (void)state;
    leat_stream *first = fake_op(fake_source(t, "in", NULL), "first", &by_status);
    leat_stream *last = fake_op(first, "last", &by_status);
    fake_sink(last, "out", NULL);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(leat__key_new_fn(&fake_order_type, "status", no_keys, &fn[i], &err), 0);
    const struct leat_key *fields = first->node->inputs[0].key;
    const struct {
        const struct leat_key *first, *last;
        bool exchange;
    } rows[] = { { fn[0], fn[0], false }, { fn[0], fn[1], true }, { fn[0], fields, true },
        { fields, fn[1], true }, { fields, fields, false } };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        first->node->inputs[0].key = rows[i].first;
        last->node->inputs[0].key = rows[i].last;
        struct leat_plan *plan = plan_for(t, 2);
        FAIL_UNLESS(plan->edges[1].exchange == rows[i].exchange, "row %zu", i);
        leat__plan_free(plan);
    }
    leat_topology_free(t);
    leat__key_free(fn[0]);
    leat__key_free(fn[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plan__given_a_line_of_forward_edges__when_planned__then_it_is_one_chain),
        cmocka_unit_test(
            test_plan__given_a_hash_edge__when_planned__then_it_is_an_exchange_unless_there_is_one_worker),
        cmocka_unit_test(test_plan__given_a_single_node__when_planned__then_all_is_gathered_there),
        cmocka_unit_test(test_plan__given_a_broadcast__when_planned__then_it_is_an_exchange_between_workers),
        cmocka_unit_test(
            test_plan__given_rows_that_are_where_their_key_lives__when_planned__then_there_is_no_second_exchange),
        cmocka_unit_test(
            test_plan__given_keys_that_treat_nulls_differently__when_planned__then_texts_alone_do_not_save_the_exchange),
        cmocka_unit_test(
            test_plan__given_side_outputs_and_virtual_nodes__when_planned__then_ports_and_real_nodes_are_joined),
        cmocka_unit_test(test_plan__given_inputs_by_two_ways__when_planned__then_edges_are_listed_by_input),
        cmocka_unit_test(test_plan__given_what_can_not_be_planned__when_asked__then_the_error_says_why),
        cmocka_unit_test(
            test_plan__given_no_memory_at_some_point__when_planned_and_described__then_it_fails_cleanly),
        cmocka_unit_test(test_plan__given_keys_from_callbacks__when_planned__then_only_one_object_is_one_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
