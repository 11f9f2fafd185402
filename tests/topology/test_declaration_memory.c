/* tests/topology/test_declaration_memory.c -- memory that runs out while a topology with every kind of node
 * is declared and checked: an error tells, nothing crashes, nothing is lost. */
#include "base/alloc.h"
#include "event.h"
#include "event_pair.h"
#include "event_total.h"
#include "tests/support/unit.h"
#include <leat/leat.h>
#include <stdio.h>

static bool is_large(struct leat_ctx *ctx, const struct event *e)
{
    (void)ctx;
    return e->value > 100;
}
LEAT_DEFINE_FILTER(is_large, event);

static void copy_event(struct leat_ctx *ctx, const struct event *in, struct event *out)
{
    (void)ctx;
    *out = *in;
}
LEAT_DEFINE_MAP(copy_event, event, event);

static void split_event(struct leat_ctx *ctx, const struct event *in, struct leat_out *out)
{
    struct event *row = leat_out_row(out);
    (void)ctx;
    if (row)
        *row = *in;
}
LEAT_DEFINE_FLAT_MAP(split_event, event, event);

static void see_event(struct leat_ctx *ctx, const struct event *e)
{
    (void)ctx;
    (void)e;
}
LEAT_DEFINE_PEEK(see_event, event);

static struct leat_sv name_of(struct leat_ctx *ctx, const struct event *e)
{
    (void)ctx;
    return e->name;
}
LEAT_DEFINE_KEY(name_of, event);

static void make_event(struct leat_ctx *ctx, uint64_t seed, uint64_t index, struct event *out)
{
    (void)ctx;
    (void)seed;
    out->key = (int64_t)index;
}
LEAT_DEFINE_GENERATOR(make_event, event);

static void tell_match(struct leat_ctx *ctx, const struct leat_match *match, struct event *out)
{
    (void)ctx;
    *out = *(const struct event *)leat_match_at(match, 0, 0);
}
LEAT_DEFINE_MATCH(tell_match, event, event);

static void ask(struct leat_ctx *ctx, const struct event *e, struct leat_request *request, void *arg)
{
    (void)ctx;
    (void)arg;
    leat_request_complete(request, e);
}
LEAT_DEFINE_ASYNC(ask, event, event);

static void count_sink(leat_stream *in, const char *name)
{
    leat_memory_sink(in, name, &(struct leat_memory_sink_opts){ 0 });
}

static leat_stream *declare_rows(leat_topology *t)
{
    leat_stream *made = leat_generator_source(t, "made",
        &(struct leat_generator_source_opts){ .fn = &make_event_generator, .count = 10, .event_time = "at" });
    leat_stream *read = leat_file_source(t, "read",
        &(struct leat_file_source_opts){ .path = "events/", .type = &event_type, .event_time = "at" });
    leat_stream *both = leat_union((leat_stream *[]){ made, read }, 2, "both");
    leat_stream *seen = leat_peek(leat_filter(both, "large", &is_large_filter), "seen", &see_event_peek);
    leat_stream *copied =
        leat_map(leat_filter_expr(seen, "noted", "note like 'x%'"), "copied", &copy_event_map);
    count_sink(leat_dead_letters(copied), "refused");
    leat_stream *parts = leat_branch(copied, "parts",
        &(struct leat_branch_opts){
            .cases = { { "low", "value < 10", NULL }, { "rest", NULL, &is_large_filter } } });
    count_sink(leat_branch_output(parts, "rest"), "rest");
    leat_stream *split = leat_flat_map(parts, "split",
        &(struct leat_flat_map_opts){ .fn = &split_event_flat_map, .sides = { { "side", &event_type } } });
    count_sink(leat_side_output(split, "side"), "side");
    leat_stream *made_up = leat_project(split, "made-up",
        &(struct leat_project_opts){
            .fields = { { "key", NULL }, { "name", NULL }, { "value * 2", "twice" } } });
    leat_file_sink(made_up, "file", &(struct leat_file_sink_opts){ .path = "out.csv" });
    return split;
}

static leat_stream *declare_totals(leat_stream *in, const char *name, const struct leat_window_opts *opts)
{
    char keys[32], windows[32];
    (void)snprintf(keys, sizeof keys, "%s-keys", name);
    (void)snprintf(windows, sizeof windows, "%s-windows", name);
    return leat_aggregate(leat_window(leat_group_by(in, keys, "key"), windows, opts), name,
        &(struct leat_aggregate_opts){
            .aggs = { LEAT_COUNT_WHERE("value > 5", "events"), LEAT_SUM("value + 1", "value") },
            .out = &event_total_type });
}

static void declare_windows(leat_stream *rows)
{
    count_sink(declare_totals(rows, "hopping",
                   &(struct leat_window_opts){ .kind = LEAT_WINDOW_HOPPING, .size_us = 10, .slide_us = 3 }),
        "hopping-out");
    count_sink(declare_totals(rows, "days",
                   &(struct leat_window_opts){
                       .kind = LEAT_WINDOW_CALENDAR, .unit = LEAT_DAY, .zone = "Europe/Berlin" }),
        "days-out");
    count_sink(declare_totals(rows, "sessions",
                   &(struct leat_window_opts){ .kind = LEAT_WINDOW_SESSION, .gap = "value + 1" }),
        "sessions-out");
    count_sink(declare_totals(
                   rows, "sliding", &(struct leat_window_opts){ .kind = LEAT_WINDOW_SLIDING, .size_us = 10 }),
        "sliding-out");
    count_sink(declare_totals(rows, "by-count",
                   &(struct leat_window_opts){ .kind = LEAT_WINDOW_COUNT, .count = 10, .every = 2 }),
        "by-count-out");
}

static void declare_sequences(leat_stream *rows)
{
    leat_keyed_stream *by_key = leat_group_by(rows, "by-key-too", "key");
    const struct leat_pattern_opts opts = { .steps = { { .name = "low", .where = "value < 5" },
                                                { .name = "high", .where = "value > low.value" } },
        .within_us = 100,
        .match = { .out = &event_type, .fields = { { "coalesce(low.value, 0) + 1", "value" } } },
        .timed_out = { .fn = &tell_match_match } };
    leat_stream *matches = leat_pattern(by_key, "pattern", &opts);
    count_sink(matches, "pattern-out");
    count_sink(leat_side_output(matches, "timed-out"), "timed-out");
    count_sink(
        leat_frequency(by_key, "frequency",
            &(struct leat_frequency_opts){
                .where = "value > 5", .count = 3, .within_us = 10, .match = { .fn = &tell_match_match } }),
        "frequency-out");
    count_sink(leat_async(rows, "async", &(struct leat_async_opts){ .fn = &ask_async }), "async-out");
}

static void declare_all(leat_topology *t)
{
    leat_stream *rows = declare_rows(t);
    declare_windows(rows);
    declare_sequences(rows);
    leat_stream *pairs = leat_join(rows, rows, "pairs",
        &(struct leat_join_opts){ .left_key = "key",
            .within_us = LEAT_SECONDS(1),
            .where = "left.value > right.value",
            .out = &event_pair_type,
            .fields = { { "left.value", "left_value" }, { "right.value", "right_value" } } });
    count_sink(leat_late_left(pairs), "late-left");
    count_sink(leat_late_right(pairs), "late-right");
    count_sink(pairs, "pairs-out");
    leat_windowed_stream *windows = leat_window(leat_group_by(rows, "by-key", "key"), "windows",
        &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING,
            .size_us = LEAT_SECONDS(1),
            .triggers = { LEAT_ON_WATERMARK, LEAT_ON_COUNT(5) } });
    leat_stream *totals = leat_aggregate(windows, "totals",
        &(struct leat_aggregate_opts){
            .aggs = { LEAT_COUNT("events"), LEAT_SUM("value", "value") }, .out = &event_total_type });
    count_sink(leat_late_records(windows), "late");
    count_sink(leat_on_error(totals, LEAT_SKIP), "totals-out");
    leat_windowed_stream *by_name =
        leat_window(leat_group_by_fn(rows, "by-name", &name_of_key), "by-name-windows",
            &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = LEAT_SECONDS(1) });
    (void)by_name; /* never aggregated: that is found by the check */
}

static bool has_error(const leat_topology *t, int code)
{
    for (size_t i = 0; i < leat_topology_errors_count(t); i++)
        if (leat_topology_error(t, i)->code == code)
            return true;
    return false;
}

static void test_memory__given_it_runs_out_at_any_point__when_all_is_declared__then_an_error_tells(
    void **state)
{
    uint32_t told_count = 0;
    (void)state;
    for (uint64_t n = 1;; n++) {
        const int64_t live = leat__alloc_live();
        leat__alloc_fail_at(n);
        leat_topology *t = leat_topology_new("all");
        declare_all(t);
        const int code = leat_check(t);
        const uint64_t calls = leat__alloc_calls();
        leat__free(leat__malloc(1)); /* takes the failure if it was not reached */
        const bool reached = leat__alloc_calls() != calls;
        leat__alloc_fail_at(0);
        assert_true(code < 0);
        /* A hint that there was no memory for may be missing; then all is as if it had been there. */
        const bool whole = leat_topology_errors_count(t) == 1 &&
            strcmp(leat_topology_error(t, 0)->node, "by-name-windows") == 0;
        FAIL_UNLESS((reached && has_error(t, LEAT_ENOMEM)) || whole, "allocation %llu: %s",
            (unsigned long long)n, leat_topology_error(t, 0)->message);
        told_count += has_error(t, LEAT_ENOMEM);
        leat_topology_free(t);
        assert_int_equal(leat__alloc_live(), live);
        if (!reached)
            break;
        assert_true(n < 100000);
    }
    assert_true(told_count > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_memory__given_it_runs_out_at_any_point__when_all_is_declared__then_an_error_tells),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
