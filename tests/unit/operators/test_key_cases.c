/* tests/unit/operators/test_key_cases.c -- runs tests/operators/keys/<operator>.case: each operator that has a key, by
 * one of expressions, some of which fail for some records; and cogroups by fields, tests/operators/cogroup/. */
#include "topology/graph.h"
#include "tests/support/cases.h"
#include "tests/support/unit.h"
#include <glob.h>
#include <leat/aggregate.h>
#include <leat/cogroup.h>
#include <leat/deduplicate.h>
#include <leat/group_aggregate.h>
#include <leat/pattern.h>
#include <leat/process.h>
#include <leat/table.h>
#include <leat/top_n.h>
#include <stdio.h>

/* One that fails for value 0, a text that is made, and one that may be null. */
#define KEY "60 / value as share, lower(text) as name, upper(key) as who"
#define JOIN_KEY "60 / value, lower(text), upper(key)"

static leat_keyed_stream *by_key(const struct case_setup *setup)
{
    return leat_group_by(setup->inputs[0], "by", KEY);
}

static leat_stream *skipping(leat_stream *stream)
{
    return leat_on_error(stream, LEAT_SKIP);
}

/* ---- aggregates ---- */

static leat_stream *sum_of(const struct case_setup *setup, const struct leat_window_opts *window)
{
    return leat_aggregate(leat_window(by_key(setup), "windows", window), "sums",
        &(struct leat_aggregate_opts){
            .out = case_type(setup, "sum"), .aggs = { LEAT_SUM("id", "ids") }, .ordered = true });
}

static leat_stream *declare_tumbling(const struct case_setup *setup)
{
    leat_stream *sums =
        sum_of(setup, &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = 10 });
    (void)leat_dead_letters(sums);
    return sums;
}
static leat_stream *declare_tumbling_strict(const struct case_setup *setup)
{
    return sum_of(setup, &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = 10 });
}
static leat_stream *declare_hopping(const struct case_setup *setup)
{
    return skipping(sum_of(
        setup, &(struct leat_window_opts){ .kind = LEAT_WINDOW_HOPPING, .size_us = 10, .slide_us = 5 }));
}
static leat_stream *declare_session(const struct case_setup *setup)
{
    return skipping(sum_of(setup, &(struct leat_window_opts){ .kind = LEAT_WINDOW_SESSION, .gap_us = 5 }));
}
static leat_stream *declare_sliding(const struct case_setup *setup)
{
    return skipping(sum_of(setup, &(struct leat_window_opts){ .kind = LEAT_WINDOW_SLIDING, .size_us = 5 }));
}
static leat_stream *declare_count(const struct case_setup *setup)
{
    return skipping(leat_aggregate(leat_window(by_key(setup), "windows",
                                       &(struct leat_window_opts){ .kind = LEAT_WINDOW_COUNT, .count = 2 }),
        "sums",
        &(struct leat_aggregate_opts){ .out = case_type(setup, "sum"), .aggs = { LEAT_SUM("id", "ids") } }));
}
static leat_stream *declare_group(const struct case_setup *setup)
{
    return skipping(leat_group_aggregate(by_key(setup), "sums",
        &(struct leat_group_aggregate_opts){
            .out = case_type(setup, "sum"), .aggs = { LEAT_SUM("id", "ids") } }));
}

/* ---- one stream ---- */

static leat_stream *declare_deduplicate(const struct case_setup *setup)
{
    return skipping(
        leat_deduplicate(by_key(setup), "first", &(struct leat_deduplicate_opts){ .within_us = LEAT_NEVER }));
}
static leat_stream *declare_top(const struct case_setup *setup)
{
    return skipping(leat_top_n(
        by_key(setup), "top", &(struct leat_top_n_opts){ .n = 1, .by = "id", .descending = true }));
}
static leat_stream *declare_window_top(const struct case_setup *setup)
{
    return skipping(
        leat_window_top_n(leat_window(by_key(setup), "windows",
                              &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = 10 }),
            "top", &(struct leat_top_n_opts){ .n = 1, .by = "id", .descending = true }));
}
static leat_stream *declare_upsert(const struct case_setup *setup)
{
    return skipping(leat_upsert(setup->inputs[0], "rows",
        &(struct leat_upsert_opts){ .key = JOIN_KEY, .delete_where = "100 / id < 0" }));
}
static leat_stream *declare_twice(const struct case_setup *setup)
{
    return skipping(leat_frequency(by_key(setup), "twice",
        &(struct leat_frequency_opts){ .count = 2,
            .within_us = 10,
            .match = { .out = case_type(setup, "twice"), .fields = { { "id", "last" } } } }));
}

struct told {
    int64_t share;
    struct leat_sv name, who;
};
static struct leat_type told_type, event_type;

static void on_event(struct leat_ctx *ctx, const void *in)
{
    struct told *told = leat_out(ctx);
    (void)in;
    told->share = leat_key_i64(ctx, 0);
    told->name = leat_key_sv(ctx, 1);
    told->who = leat_key_sv(ctx, 2);
}

static leat_stream *declare_process(const struct case_setup *setup)
{
    static const struct leat_process_fn fn = {
        .size = sizeof fn, .name = "tell", .in = &event_type, .on_record = on_event
    };
    event_type = *case_type(setup, "event");
    told_type = *case_type(setup, "told");
    assert_int_equal(told_type.size, sizeof(struct told));
    return skipping(
        leat_process(by_key(setup), "tell", &(struct leat_process_opts){ .fn = &fn, .out = &told_type }));
}

static leat_stream *declare_cogroup(const struct case_setup *setup)
{
    leat_keyed_stream *both = leat_cogroup(setup->inputs[0]->t, "both",
        &(struct leat_cogroup_opts){ .inputs = { { setup->inputs[0], "left", KEY },
                                         { setup->inputs[1], "right", "value, text, key" } } });
    leat_stream *first =
        leat_deduplicate(both, "first", &(struct leat_deduplicate_opts){ .within_us = LEAT_NEVER });
    first->node->outputs[first->port].taken = true; /* what the cogroup is for is not looked at */
    return skipping(&both->in);
}

/* By fields, of any number of inputs. */
static leat_stream *declare_cogroup_of_fields(const struct case_setup *setup)
{
    static const char *const names[] = { "left", "right", "third" };
    struct leat_cogroup_opts opts = { 0 };
    for (uint32_t i = 0; i < setup->inputs_count; i++)
        opts.inputs[i] = (struct leat_cogroup_input){ setup->inputs[i], names[i], "key, value" };
    leat_keyed_stream *all = leat_cogroup(setup->inputs[0]->t, "all", &opts);
    leat_stream *first =
        leat_deduplicate(all, "first", &(struct leat_deduplicate_opts){ .within_us = LEAT_NEVER });
    first->node->outputs[first->port].taken = true; /* as above */
    return &all->in;
}

/* ---- joins ---- */

#define PAIR_OF(setup_) \
    .left_key = JOIN_KEY, .right_key = "value, text, key", .out = case_type(setup_, "pair"), \
    .fields = { \
        { "left.id", "left" }, \
        { "right.id", "right" }, \
    }

static leat_stream *declare_join(const struct case_setup *setup)
{
    return skipping(leat_join(setup->inputs[0], setup->inputs[1], "join",
        &(struct leat_join_opts){ PAIR_OF(setup), .within_us = 5, .kind = LEAT_JOIN_LEFT }));
}
static leat_stream *declare_window_join(const struct case_setup *setup)
{
    return skipping(leat_window_join(setup->inputs[0], setup->inputs[1], "join",
        &(struct leat_window_join_opts){ PAIR_OF(setup),
            .window = { .kind = LEAT_WINDOW_TUMBLING, .size_us = 10 }, .kind = LEAT_JOIN_LEFT }));
}
static leat_stream *declare_session_join(const struct case_setup *setup)
{
    return skipping(leat_window_join(setup->inputs[0], setup->inputs[1], "join",
        &(struct leat_window_join_opts){ PAIR_OF(setup),
            .window = { .kind = LEAT_WINDOW_SESSION, .gap_us = 5 }, .kind = LEAT_JOIN_LEFT }));
}
static leat_stream *declare_asof(const struct case_setup *setup)
{
    return skipping(leat_asof_join(setup->inputs[0], setup->inputs[1], "join",
        &(struct leat_asof_join_opts){ PAIR_OF(setup), .tolerance_us = 5, .kind = LEAT_JOIN_LEFT }));
}
static leat_stream *declare_lookup(const struct case_setup *setup)
{
    return skipping(leat_table_join(setup->inputs[0], setup->inputs[1], "join",
        &(struct leat_table_join_opts){ PAIR_OF(setup), .kind = LEAT_JOIN_LEFT }));
}
/* The table on every worker, and its key the one that may fail. */
static leat_stream *declare_everywhere(const struct case_setup *setup)
{
    return skipping(leat_table_join(setup->inputs[1], setup->inputs[0], "join",
        &(struct leat_table_join_opts){ .left_key = "value, text, key",
            .right_key = JOIN_KEY,
            .out = case_type(setup, "pair"),
            .fields = { { "left.id", "left" }, { "right.id", "right" } },
            .kind = LEAT_JOIN_LEFT,
            .broadcast = true }));
}
static leat_stream *declare_tables(const struct case_setup *setup)
{
    return skipping(leat_join_tables(setup->inputs[0], setup->inputs[1], "join",
        &(struct leat_join_tables_opts){ PAIR_OF(setup), .kind = LEAT_JOIN_LEFT }));
}

static const struct case_operator operators[] = {
    { "tumbling", declare_tumbling },
    { "tumbling-strict", declare_tumbling_strict },
    { "hopping", declare_hopping },
    { "session", declare_session },
    { "sliding", declare_sliding },
    { "count", declare_count },
    { "group", declare_group },
    { "deduplicate", declare_deduplicate },
    { "top", declare_top },
    { "window-top", declare_window_top },
    { "upsert", declare_upsert },
    { "twice", declare_twice },
    { "process", declare_process },
    { "cogroup", declare_cogroup },
    { "cogroup-of-fields", declare_cogroup_of_fields },
    { "join", declare_join },
    { "window-join", declare_window_join },
    { "session-join", declare_session_join },
    { "asof", declare_asof },
    { "lookup", declare_lookup },
    { "everywhere", declare_everywhere },
    { "tables", declare_tables },
};

static void run_file(void **state)
{
    case_run_file(*state, operators, COUNT_OF(operators));
}

int main(void)
{
    struct CMUnitTest tests[64];
    size_t count = 0;
    glob_t found = { 0 };
    if (glob("tests/operators/keys/*.case", 0, NULL, &found) != 0 ||
        glob("tests/operators/cogroup/*.case", GLOB_APPEND, NULL, &found) != 0) {
        print_error("there are no case files; run me at the top of the project\n");
        return 1;
    }
    for (; count < found.gl_pathc && count < COUNT_OF(tests); count++)
        tests[count] = (struct CMUnitTest){
            .name = found.gl_pathv[count], .test_func = run_file, .initial_state = found.gl_pathv[count]
        };
    const int failed = _cmocka_run_group_tests("cases", tests, count, NULL, NULL);
    globfree(&found);
    return failed;
}
