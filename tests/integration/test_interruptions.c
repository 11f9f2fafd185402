/* tests/integration/test_interruptions.c -- every operator that keeps state, in one job, a row of a table each: what it
 * gives is the same on any number of workers, when the job is cancelled or killed and goes on from a checkpoint on
 * another number of them, and when next to nothing fits into memory.
 *
 * `wide` and `wide-too` have several splits, none of whose records is late: what reads it must not depend on how they interleave.
 * `narrow` has one, some of whose records are late: what depends on the order of arrival, and on who is late, reads that.
 * What gives changes is compared by what they come to. LEAT_ROW=name runs one row alone. */
#include "change_total.h"
#include "event_pair.h"
#include "event_total.h"
#include "tests/support/place.h"
#include "tests/support/unit.h"
#include <leat/deduplicate.h>
#include <leat/group_aggregate.h>
#include <leat/pattern.h>
#include <leat/table.h>
#include <leat/top_n.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT 1500
#define KEYS 40

static const struct place_events wide_events = {
    .seed = 21, .count = COUNT, .keys = KEYS, .splits = 4, .disorder_us = 400, .out_of_orderness_us = 500
};
static const struct place_events other_events = {
    .seed = 23, .count = COUNT, .keys = KEYS, .splits = 3, .disorder_us = 400, .out_of_orderness_us = 400
};
static const struct place_events narrow_events = {
    .seed = 22, .count = COUNT, .keys = KEYS, .splits = 1, .disorder_us = 400, .out_of_orderness_us = 100
};

/* ---- the rows ---- */

/* What a row reads, and where its results go. */
struct from {
    leat_stream *wide, *wide_too, *narrow;
    const char *row;
};

static const char *named(const struct from *from, const char *part)
{
    static char names[8][64];
    static uint32_t next;
    char *name = names[next++ % COUNT_OF(names)];
    (void)snprintf(name, sizeof names[0], "%s-%s", from->row, part);
    return name;
}

static leat_keyed_stream *by_key(const struct from *from, leat_stream *stream)
{
    return leat_group_by(stream, named(from, "by"), "key");
}

static leat_stream *totals_of(const struct from *from, leat_windowed_stream *windows)
{
    return leat_aggregate(windows, named(from, "totals"),
        &(struct leat_aggregate_opts){
            .aggs = { LEAT_COUNT("events"), LEAT_SUM("value", "value") }, .out = &event_total_type });
}

static leat_stream *totals(const struct from *from, leat_stream *of, const struct leat_window_opts *opts)
{
    return totals_of(from, leat_window(by_key(from, of), named(from, "windows"), opts));
}

static leat_stream *hopping(const struct from *from)
{
    return totals(from, from->wide,
        &(struct leat_window_opts){ .kind = LEAT_WINDOW_HOPPING, .size_us = 2000, .slide_us = 300 });
}

static leat_stream *cumulating(const struct from *from)
{
    return totals(from, from->wide,
        &(struct leat_window_opts){ .kind = LEAT_WINDOW_CUMULATING, .size_us = 2400, .step_us = 400 });
}

static leat_stream *sessions(const struct from *from)
{
    return totals(from, from->wide, &(struct leat_window_opts){ .kind = LEAT_WINDOW_SESSION, .gap_us = 400 });
}

/* Where one ends may depend on the order of arrival. */
static leat_stream *bounded_sessions(const struct from *from)
{
    return totals(from, from->narrow,
        &(struct leat_window_opts){ .kind = LEAT_WINDOW_SESSION, .gap_us = 900, .max_length_us = 3000 });
}

/* Which panes come before the last one depends on how splits interleave. */
static leat_stream *retracting_sessions(const struct from *from)
{
    leat_stream *panes = totals(from, from->wide,
        &(struct leat_window_opts){ .kind = LEAT_WINDOW_SESSION,
            .gap_us = 500,
            .accumulation = LEAT_RETRACTING,
            .triggers = { LEAT_ON_COUNT(3), LEAT_ON_WATERMARK } });
    return leat_project(panes, named(from, "unnumbered"),
        &(struct leat_project_opts){
            .fields = { { "0", "pane" }, { "0", "pane_index" } }, .out = &event_total_type });
}

static leat_stream *sliding(const struct from *from)
{
    return totals(
        from, from->wide, &(struct leat_window_opts){ .kind = LEAT_WINDOW_SLIDING, .size_us = 1000 });
}

static leat_stream *counts(const struct from *from)
{
    return totals(
        from, from->narrow, &(struct leat_window_opts){ .kind = LEAT_WINDOW_COUNT, .count = 7, .every = 3 });
}

/* All panes, and who is too late for all windows. */
static leat_stream *late_windows(const struct from *from)
{
    leat_windowed_stream *windows = leat_window(by_key(from, from->narrow), named(from, "windows"),
        &(struct leat_window_opts){
            .kind = LEAT_WINDOW_HOPPING, .size_us = 100, .slide_us = 40, .allowed_lateness_us = 30 });
    leat_stream *panes = totals_of(from, windows);
    place_sink(leat_late_records(windows), named(from, "late"), place_path(named(from, "late")));
    return panes;
}

static leat_stream *late_sessions(const struct from *from)
{
    leat_windowed_stream *windows = leat_window(by_key(from, from->narrow), named(from, "windows"),
        &(struct leat_window_opts){ .kind = LEAT_WINDOW_SESSION, .gap_us = 100, .allowed_lateness_us = 80 });
    leat_stream *panes = totals_of(from, windows);
    place_sink(leat_late_records(windows), named(from, "late"), place_path(named(from, "late")));
    return panes;
}

static leat_stream *group(const struct from *from)
{
    return leat_group_aggregate(by_key(from, from->wide), named(from, "group"),
        &(struct leat_group_aggregate_opts){ .aggs = { LEAT_COUNT("events"), LEAT_SUM("value", "value") },
            .out = &change_total_type,
            .mini_batch_rows = 50 });
}

static leat_stream *deduplicate_first(const struct from *from)
{
    return leat_deduplicate(by_key(from, from->narrow), named(from, "first"),
        &(struct leat_deduplicate_opts){ .keep = LEAT_KEEP_FIRST, .within_us = 3000 });
}

static leat_stream *deduplicate_last(const struct from *from)
{
    return leat_deduplicate(by_key(from, from->narrow), named(from, "last"),
        &(struct leat_deduplicate_opts){
            .keep = LEAT_KEEP_LAST, .within_us = LEAT_NEVER, .by_event_time = true });
}

static leat_stream *top(const struct from *from)
{
    return leat_top_n(by_key(from, from->narrow), named(from, "top"),
        &(struct leat_top_n_opts){ .n = 5, .by = "value", .descending = true });
}

static leat_stream *window_top(const struct from *from)
{
    return leat_window_top_n(
        leat_window(by_key(from, from->narrow), named(from, "windows"),
            &(struct leat_window_opts){ .kind = LEAT_WINDOW_HOPPING, .size_us = 3000, .slide_us = 1000 }),
        named(from, "top"), &(struct leat_top_n_opts){ .n = 2, .by = "at", .rank = "value" });
}

static leat_stream *pattern(const struct from *from)
{
    const struct leat_match_output match = { .out = &event_pair_type,
        .fields = { { "coalesce(small.value, 0)", "left_value" }, { "value", "right_value" } } };
    const struct leat_match_output timed_out = { .out = &event_pair_type,
        .fields = { { "coalesce(small.value, 0)", "left_value" }, { "match_start", "right_value" } } };
    leat_stream *found = leat_pattern(by_key(from, from->narrow), named(from, "pattern"),
        &(struct leat_pattern_opts){
            .steps = { { .name = "small", .where = "value < 500" },
                { .name = "large", .where = "value > 600 and value > 2 * small.value" } },
            .within_us = 3000,
            .skip = LEAT_SKIP_PAST_LAST,
            .match = match,
            .timed_out = timed_out });
    place_sink(leat_side_output(found, "timed-out"), named(from, "over"), place_path(named(from, "over")));
    return found;
}

static void pair_up(
    struct leat_ctx *ctx, const struct event *left, const struct event *right, struct event_pair *out)
{
    (void)ctx;
    *out = (struct event_pair){ left ? left->key : right->key, left ? left->value : -1,
        right ? right->value : -1, right ? right->name : left->name };
}
LEAT_DEFINE_JOIN(pair_up, event, event, event_pair);

static leat_stream *interval_join(const struct from *from)
{
    return leat_join(from->wide, from->narrow, named(from, "pairs"),
        &(struct leat_join_opts){
            .left_key = "key", .before_us = -50, .after_us = 400, .merge = &pair_up_join });
}

static leat_stream *window_join(const struct from *from)
{
    return leat_window_join(from->wide, from->narrow, named(from, "pairs"),
        &(struct leat_window_join_opts){ .left_key = "key",
            .window = { .kind = LEAT_WINDOW_HOPPING, .size_us = 900, .slide_us = 400 },
            .kind = LEAT_JOIN_FULL,
            .merge = &pair_up_join });
}

static leat_stream *session_join(const struct from *from)
{
    return leat_window_join(from->wide, from->wide_too, named(from, "pairs"),
        &(struct leat_window_join_opts){ .left_key = "key",
            .window = { .kind = LEAT_WINDOW_SESSION, .gap_us = 150 },
            .where = "left.value <= right.value",
            .kind = LEAT_JOIN_FULL,
            .merge = &pair_up_join });
}

static leat_stream *upsert(const struct from *from)
{
    return leat_upsert(from->narrow, named(from, "table"),
        &(struct leat_upsert_opts){
            .key = "key, name", .delete_where = "value < 200", .by_event_time = true });
}

/* Of a table and a plain stream that is kept. */
static leat_stream *join_tables(const struct from *from)
{
    const struct leat_upsert_opts opts = { .key = "key", .delete_where = "value < 300" };
    leat_stream *table = leat_upsert(from->narrow, named(from, "table"), &opts);
    return leat_join_tables(table, from->wide, named(from, "pairs"),
        &(struct leat_join_tables_opts){ .left_key = "key", .kind = LEAT_JOIN_FULL, .merge = &pair_up_join });
}

/* The last event of each key, until one says that there is none. */
static leat_stream *last_events(const struct from *from)
{
    return leat_upsert(from->narrow, named(from, "rows"),
        &(struct leat_upsert_opts){ .key = "key", .delete_where = "value % 11 = 0", .by_event_time = true });
}

static leat_stream *look_up(const struct from *from, leat_stream *table, struct leat_table_join_opts opts)
{
    opts.left_key = "key";
    opts.merge = &pair_up_join;
    return leat_table_join(from->wide, table, named(from, "lookup"), &opts);
}

static leat_stream *table_join(const struct from *from)
{
    return look_up(from, last_events(from), (struct leat_table_join_opts){ .retention_us = 50 });
}

/* All workers have the table. */
static leat_stream *broadcast_join(const struct from *from)
{
    return look_up(
        from, last_events(from), (struct leat_table_join_opts){ .retention_us = 50, .broadcast = true });
}

static leat_stream *plain_table_join(const struct from *from)
{
    return look_up(from, from->narrow, (struct leat_table_join_opts){ .where = "left.value > right.value" });
}

static void pair_totals(
    struct leat_ctx *ctx, const struct event *left, const struct change_total *right, struct event_pair *out)
{
    (void)ctx;
    out->key = left ? left->key : right->key;
    out->left_value = left ? left->value : -1;
    out->right_value = right ? right->value : -1;
    out->name = left ? left->name : LEAT_SV("none");
}
LEAT_DEFINE_JOIN(pair_totals, event, change_total, event_pair);

static leat_stream *tables_join(const struct from *from)
{
    return leat_join_tables(last_events(from), group(from), named(from, "both"),
        &(struct leat_join_tables_opts){ .left_key = "key",
            .kind = LEAT_JOIN_FULL,
            .where = "left.value % 3 <> right.events % 3",
            .merge = &pair_totals_join });
}

static const struct row {
    const char *name;
    leat_stream *(*declare)(const struct from *from);
    size_t least; /* so many lines come out at least */
    const char *side; /* another output */
} rows[] = {
    { "hopping", hopping, 400, NULL },
    { "cumulating", cumulating, 200, NULL },
    { "sessions", sessions, 200, NULL },
    { "bounded-sessions", bounded_sessions, 80, NULL },
    { "retracting-sessions", retracting_sessions, 200, NULL },
    { "sliding", sliding, 600, NULL },
    { "counts", counts, 200, NULL },
    { "late-windows", late_windows, 600, "late" },
    { "late-sessions", late_sessions, 400, "late" },
    { "group", group, KEYS, NULL },
    { "first", deduplicate_first, 20, NULL },
    { "last", deduplicate_last, KEYS, NULL },
    { "top", top, 5 * KEYS, NULL },
    { "window-top", window_top, 200, NULL },
    { "pattern", pattern, 60, "over" },
    { "window-join", window_join, 1000, NULL },
    { "session-join", session_join, 1000, NULL },
    { "upsert", upsert, 20, NULL },
    { "join-tables", join_tables, 1000, NULL },
    { "interval-join", interval_join, 200, NULL },
    { "table-join", table_join, 600, NULL },
    { "broadcast-join", broadcast_join, 600, NULL },
    { "plain-table-join", plain_table_join, 300, NULL },
    { "tables-join", tables_join, KEYS, NULL },
};

/* ---- the job ---- */

static bool is_wanted(const struct row *row)
{
    const char *only = getenv("LEAT_ROW");
    return !only || strcmp(only, row->name) == 0;
}

static bool gives_changes[COUNT_OF(rows)];

static leat_topology *declare(void)
{
    leat_topology *t = leat_topology_new("interrupted");
    struct from from = { .wide = place_source(t, "wide", &wide_events),
        .wide_too = place_source(t, "wide-too", &other_events),
        .narrow = place_source(t, "narrow", &narrow_events) };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        from.row = rows[i].name;
        if (!is_wanted(&rows[i]))
            continue;
        leat_stream *out = rows[i].declare(&from);
        gives_changes[i] = leat_stream_changes(out);
        place_sink(out, from.row, place_path(from.row));
    }
    return t;
}

struct output {
    struct lines main, side;
};
static struct output wanted[COUNT_OF(rows)];

static void read_row(const char *what, size_t i, struct output *out)
{
    *out = (struct output){ { 0 }, { 0 } };
    if (gives_changes[i])
        place_net(what, place_path(rows[i].name), &out->main);
    else
        place_lines(place_path(rows[i].name), &out->main);
    if (!rows[i].side)
        return;
    char side[64];
    (void)snprintf(side, sizeof side, "%s-%s", rows[i].name, rows[i].side);
    place_lines(place_path(side), &out->side);
}

static void clear_output(struct output *out)
{
    lines_clear(&out->main);
    lines_clear(&out->side);
}

static void expect_all(const char *what)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[128];
        struct output got;
        if (!is_wanted(&rows[i]))
            continue;
        (void)snprintf(text, sizeof text, "%s: %s", rows[i].name, what);
        read_row(text, i, &got);
        lines_expect(text, &wanted[i].main, &got.main);
        lines_expect(text, &wanted[i].side, &got.side);
        clear_output(&got);
    }
}

/* ---- tests ---- */

/* One worker, without interruption. */
static int run_expected(void **state)
{
    const struct leat_job_opts opts = { .parallelism = 1 };
    (void)state;
    place_begin("interrupt");
    assert_int_equal(place_run(declare(), &opts, 0), LEAT_JOB_FINISHED);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (!is_wanted(&rows[i]))
            continue;
        read_row(rows[i].name, i, &wanted[i]);
        FAIL_UNLESS(
            wanted[i].main.count >= rows[i].least, "%s: %zu lines", rows[i].name, wanted[i].main.count);
        FAIL_UNLESS(
            !rows[i].side || wanted[i].side.count > 20, "%s: %zu lines", rows[i].name, wanted[i].side.count);
    }
    place_end();
    return 0;
}

static int clear_expected(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        clear_output(&wanted[i]);
    return 0;
}

static void test_interruptions__given_any_number_of_workers_and_size_of_batches__then_the_same(void **state)
{
    static const struct {
        uint32_t parallelism, batch_rows;
        uint64_t budget_bytes;
    } shapes[] = { { 2, 7, 0 }, { 3, 1024, 1 << 20 }, { 2, 256, 1 } };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(shapes); i++) {
        char what[64];
        place_begin("interrupt");
        (void)snprintf(what, sizeof what, "%u workers, batches of %u, budget %llu", shapes[i].parallelism,
            shapes[i].batch_rows, (unsigned long long)shapes[i].budget_bytes);
        const struct leat_job_opts opts = { .parallelism = shapes[i].parallelism,
            .batch_rows = shapes[i].batch_rows,
            .state_budget_bytes = shapes[i].budget_bytes,
            .state_dir = shapes[i].budget_bytes ? place_path("state") : NULL };
        assert_int_equal(place_run(declare(), &opts, 0), LEAT_JOB_FINISHED);
        expect_all(what);
        place_end();
    }
}

static void test_interruptions__given_cancels_and_other_numbers_of_workers__then_the_same(void **state)
{
    static const struct {
        uint32_t parallelisms[3];
        uint64_t budget_bytes;
    } cases[] = { { { 1, 3, 2 }, 0 }, { { 3, 2, 5 }, 1 << 20 }, { { 2, 3, 1 }, 1 } };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char what[64];
        const uint32_t *workers = cases[i].parallelisms;
        place_begin("interrupt");
        (void)snprintf(what, sizeof what, "%u, %u, %u workers, budget %llu", workers[0], workers[1],
            workers[2], (unsigned long long)cases[i].budget_bytes);
        place_interrupt(declare, workers, cases[i].budget_bytes, 2 * COUNT / 3);
        expect_all(what);
        place_end();
    }
}

static void test_interruptions__given_kills_at_any_moment__then_the_same(void **state)
{
    (void)state;
#ifdef __SANITIZE_THREAD__
    SKIP_BECAUSE("the thread sanitizer does not follow a child of fork that starts threads");
#endif
    for (uint32_t round = 0; round < 2; round++) {
        uint32_t kills = 0;
        bool ended = false;
        place_begin("interrupt");
        place.rate_per_s = 10000;
        for (; kills < 5 && !ended; kills++) {
            const struct leat_job_opts opts = place_durable(1 + (round + kills) % 3, round ? 1 << 20 : 0);
            ended = place_kill(declare, &opts, 60000 + 40000 * ((round * 3 + kills) % 4));
        }
        place.rate_per_s = 0;
        const struct leat_job_opts opts = place_durable(4, 0);
        if (!ended)
            assert_int_equal(place_run(declare(), &opts, 0), LEAT_JOB_FINISHED);
        expect_all("killed");
        place_end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_interruptions__given_kills_at_any_moment__then_the_same),
        cmocka_unit_test(test_interruptions__given_any_number_of_workers_and_size_of_batches__then_the_same),
        cmocka_unit_test(test_interruptions__given_cancels_and_other_numbers_of_workers__then_the_same),
    };
    return cmocka_run_group_tests(tests, run_expected, clear_expected);
}
