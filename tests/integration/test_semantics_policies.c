/* tests/integration/test_semantics_policies.c -- rules 49 and 50 of the semantics: what becomes of a row that
 * has no usable time, or that a callback or an expression refuses, under each policy; that its neighbours are
 * untouched; what a dead letter says.
 *
 * One table has all the places where a row can be refused. In each of them the value 13 is: callbacks refuse
 * it with a text, expressions divide by value - 13. */
#include "fact.h"
#include "fact_pair.h"
#include "fact_total.h"
#include "tests/support/fact_jobs.h"
#include "tests/support/lines.h"
#include "tests/support/unit.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REFUSAL "thirteen is refused"
#define WALL_US INT64_C(1600000000000000)

static bool refuses(struct leat_ctx *ctx, const struct fact *fact)
{
    if (!fact->has_value || fact->value != 13)
        return false;
    leat_fail(ctx, "%s, key %" PRIi64, REFUSAL, fact->key);
    return true;
}

static bool keep(struct leat_ctx *ctx, const struct fact *fact)
{
    return !refuses(ctx, fact);
}
LEAT_DEFINE_FILTER(keep, fact);

static void copy(struct leat_ctx *ctx, const struct fact *fact, struct fact *out)
{
    if (!refuses(ctx, fact))
        *out = *fact;
}
LEAT_DEFINE_MAP(copy, fact, fact);

/* Refuses only after it has made a row. */
static void emit(struct leat_ctx *ctx, const struct fact *fact, struct leat_out *out)
{
    struct fact *row = leat_out_row(out);
    if (row)
        *row = *fact;
    refuses(ctx, fact);
}
LEAT_DEFINE_FLAT_MAP(emit, fact, fact);

static void look(struct leat_ctx *ctx, const struct fact *fact)
{
    refuses(ctx, fact);
}
LEAT_DEFINE_PEEK(look, fact);

static struct leat_sv all_alike(struct leat_ctx *ctx, const struct fact *fact)
{
    refuses(ctx, fact);
    return LEAT_SV("all");
}
LEAT_DEFINE_KEY(all_alike, fact);

struct tally {
    int64_t sum;
};

static void tally__add(struct leat_ctx *ctx, const struct fact *fact, struct tally *tally)
{
    if (!refuses(ctx, fact))
        tally->sum += fact->value;
}

static void tally__merge(struct leat_ctx *ctx, struct tally *into, const struct tally *from)
{
    (void)ctx;
    into->sum += from->sum;
}

static void tally__result(struct leat_ctx *ctx, const struct tally *tally, struct fact_total *out)
{
    (void)ctx;
    out->has_sum = true;
    out->sum = tally->sum;
}
LEAT_DEFINE_AGGREGATE(tally, fact, tally, fact_total);

static void pair(
    struct leat_ctx *ctx, const struct fact *left, const struct fact *right, struct fact_pair *out)
{
    if (!refuses(ctx, left))
        *out = (struct fact_pair){ .has_key = true,
            .key = left->key,
            .has_left = true,
            .left = left->value,
            .has_right = right->has_value,
            .right = right->value };
}
LEAT_DEFINE_JOIN(pair, fact, fact, fact_pair);

/* The places. Each declares the refusing node, named "node", behind `in`, and gives its stream. */

static leat_stream *by_filter(leat_stream *in)
{
    return leat_filter(in, "node", &keep_filter);
}
static leat_stream *by_filter_expr(leat_stream *in)
{
    return leat_filter_expr(in, "node", "1 / (value - 13) < 100");
}
static leat_stream *by_map(leat_stream *in)
{
    return leat_map(in, "node", &copy_map);
}
static leat_stream *by_flat_map(leat_stream *in)
{
    return leat_flat_map(in, "node", &(struct leat_flat_map_opts){ .fn = &emit_flat_map });
}
static leat_stream *by_peek(leat_stream *in)
{
    return leat_peek(in, "node", &look_peek);
}
static leat_stream *by_project(leat_stream *in)
{
    return leat_project(in, "node",
        &(struct leat_project_opts){
            .out = &fact_type, .fields = { { "value + 0 / (value - 13)", "value" } } });
}
static leat_stream *by_branch(leat_stream *in)
{
    return leat_branch(
        in, "node", &(struct leat_branch_opts){ .cases = { { .name = "kept", .fn = &keep_filter } } });
}
static leat_stream *by_branch_expr(leat_stream *in)
{
    return leat_branch(in, "node",
        &(struct leat_branch_opts){ .cases = { { .name = "none", .where = "value < -1000" },
                                        { .name = "kept", .where = "1 / (value - 13) < 100" } } });
}

static leat_windowed_stream *in_windows(leat_keyed_stream *keyed)
{
    return leat_window(keyed, "windows",
        &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = LEAT_DAYS(1) });
}
/* Grouping is no node that works: its callback refuses rows of the node whose stream is grouped. */
static leat_stream *by_key_fn(leat_stream *in)
{
    return leat_filter_expr(in, "node", "true");
}
static leat_stream *behind_key_fn(leat_stream *node)
{
    return fact_totals(in_windows(leat_group_by_fn(node, "by-key", &all_alike_key)), "totals", NULL, "value");
}
static leat_stream *by_aggregate(leat_stream *in)
{
    return leat_aggregate(in_windows(leat_group_by(in, "by-key", "key")), "node",
        &(struct leat_aggregate_opts){
            .aggs = { LEAT_COUNT("rows"), LEAT_USER(&tally_aggregate) }, .out = &fact_total_type });
}
static leat_stream *by_aggregate_expr(leat_stream *in)
{
    return fact_totals(
        in_windows(leat_group_by(in, "by-key", "key")), "node", NULL, "value + 0 / (value - 13)");
}

/* Each row with itself. */
static leat_stream *by_join(leat_stream *in)
{
    return leat_join(in, in, "node",
        &(struct leat_join_opts){ .left_key = "key",
            .before_us = 0,
            .after_us = 1,
            .where = "left.at = right.at",
            .merge = &pair_join });
}
static leat_stream *by_join_where(leat_stream *in)
{
    return leat_join(in, in, "node",
        &(struct leat_join_opts){ .left_key = "key",
            .after_us = 1,
            .where = "left.at = right.at and 1 / (left.value - 13) < 100",
            .out = &fact_pair_type,
            .fields = { { "left.key", "key" }, { "left.value", "left" }, { "right.value", "right" } } });
}

enum shows { ROWS, TOTALS, PAIRS };

struct place {
    const char *name;
    leat_stream *(*declare)(leat_stream *in);
    enum shows shows; /* what comes out behind it */
    const char *error; /* part of the message */
    const char *output; /* of a branch */
    leat_stream *(*behind)(leat_stream *node); /* what is declared behind it; NULL: nothing */
};

static const struct place places[] = {
    { "filter", by_filter, ROWS, REFUSAL ", key 7", NULL },
    { "filter expression", by_filter_expr, ROWS, "division by zero", NULL },
    { "map", by_map, ROWS, REFUSAL ", key 7", NULL },
    { "flat map", by_flat_map, ROWS, REFUSAL ", key 7", NULL },
    { "peek", by_peek, ROWS, REFUSAL ", key 7", NULL },
    { "projection", by_project, ROWS, "division by zero", NULL },
    { "branch", by_branch, ROWS, REFUSAL ", key 7", NULL },
    { "branch expression", by_branch_expr, ROWS, "division by zero", "kept" },
    { "key callback", by_key_fn, TOTALS, REFUSAL ", key 7", NULL, behind_key_fn },
    { "aggregate", by_aggregate, TOTALS, REFUSAL ", key 7", NULL },
    { "aggregate expression", by_aggregate_expr, TOTALS, "division by zero", NULL },
    { "join", by_join, PAIRS, REFUSAL ", key 7", NULL },
    { "join expression", by_join_where, PAIRS, "division by zero", NULL },
};

/* 1, 13, 2, 13, 13, 3, ...: the refused stand first, last, alone and side by side. */
enum { ROWS_COUNT = 40 };
static const int good_rows = 26;

static void make_rows(struct fact *rows)
{
    for (int i = 0; i < ROWS_COUNT; i++)
        rows[i] = (struct fact){
            .has_key = true,
            .key = 7,
            .has_value = true,
            .value = i % 9 == 0 || i % 9 == 3 || i % 9 == 4 ? 13 : 100 + i,
            .has_at = true,
            .at = i,
        };
    rows[ROWS_COUNT - 1].value = 13;
    int good = 0;
    for (int i = 0; i < ROWS_COUNT; i++)
        good += rows[i].value != 13;
    assert_int_equal(good, good_rows);
}

static leat_topology *place_job(const struct place *place, enum leat_policy policy, const struct fact *rows,
    uint64_t count, leat_collector *out, leat_collector *letters)
{
    leat_topology *t = leat_topology_new("policies");
    const struct scenario_io io = { .rows = { rows ? rows : (const struct fact *)"" }, .counts = { count } };
    leat_stream *in = fact_source(t, "facts", &(struct fact_window_opts){ 0 }, &io, 0);
    leat_stream *stream = place->declare(in);
    if (policy == LEAT_DEAD_LETTER)
        leat_memory_sink(
            leat_dead_letters(stream), "letters", &(struct leat_memory_sink_opts){ .into = letters });
    else if (policy)
        stream = leat_on_error(stream, policy);
    if (place->output) {
        leat_memory_sink(stream, "others", &(struct leat_memory_sink_opts){ 0 });
        stream = leat_branch_output(stream, place->output);
    }
    if (place->behind)
        stream = place->behind(stream);
    leat_memory_sink(stream, "out", &(struct leat_memory_sink_opts){ .into = out });
    if (leat_check(t) < 0)
        fail_msg("%s: %s", place->name, leat_topology_error(t, 0)->message);
    return t;
}

static void add_row(struct lines *lines, enum shows shows, const void *record, int64_t event_us)
{
    char text[256];
    if (shows == ROWS)
        scenario_print_fact(record, event_us, text, sizeof text);
    else if (shows == PAIRS)
        scenario_print_pair(record, event_us, text, sizeof text);
    else
        snprintf(text, sizeof text, "%" PRIi64 " rows, %" PRIi64, ((const struct fact_total *)record)->rows,
            ((const struct fact_total *)record)->sum);
    lines_add(lines, "%s", text);
}

/* What is right where the refused rows had never been. */
static void add_expected(struct lines *lines, enum shows shows, const struct fact *rows)
{
    int64_t count = 0, sum = 0;
    for (int i = 0; i < ROWS_COUNT; i++) {
        if (rows[i].value == 13)
            continue;
        count++;
        sum += rows[i].value;
        if (shows == ROWS)
            lines_add(lines, "7:%" PRIi64 "@%" PRIi64, rows[i].value, rows[i].at);
        else if (shows == PAIRS)
            lines_add(lines, "7 %" PRIi64 "+%" PRIi64 "@%" PRIi64, rows[i].value, rows[i].value, rows[i].at);
    }
    if (shows == TOTALS)
        lines_add(lines, "%" PRIi64 " rows, %" PRIi64, count, sum);
}

static bool has_text(struct leat_sv text, const char *part)
{
    return memmem(text.data, text.len, part, strlen(part)) != NULL;
}

static void check_letter(const char *what, const struct leat_dead_letter *letter, const char *error)
{
    FAIL_UNLESS(leat_sv_eq(letter->node, LEAT_SV("node")), "%s: node %.*s", what, (int)letter->node.len,
        letter->node.data);
    FAIL_UNLESS(letter->split.len == 0, "%s: split %.*s", what, (int)letter->split.len, letter->split.data);
    FAIL_UNLESS(letter->position == -1, "%s: position %" PRIi64, what, letter->position);
    FAIL_UNLESS(
        has_text(letter->error, error), "%s: error %.*s", what, (int)letter->error.len, letter->error.data);
    FAIL_UNLESS(has_text(letter->raw, "\"value\":13") && has_text(letter->raw, "\"key\":7"), "%s: raw %.*s",
        what, (int)letter->raw.len, letter->raw.data);
}

static void name_case(char *what, size_t size, const struct place *place, const struct scenario_shape *shape,
    const char *policy)
{
    snprintf(what, size, "%s, %s (parallelism %u, batches of %u)", place->name, policy, shape->parallelism,
        shape->batch_rows);
}

/* In the kit. */

static void run_in_kit(const struct place *place, enum leat_policy policy, const struct scenario_shape *shape)
{
    char what[256];
    name_case(what, sizeof what, place, shape, policy == LEAT_SKIP ? "skip" : "dead letter");
    struct fact rows[ROWS_COUNT];
    make_rows(rows);
    struct lines expected = { 0 }, got = { 0 };
    add_expected(&expected, place->shows, rows);
    leat_topology *t = place_job(place, policy, NULL, 0, NULL, NULL);
    leat_test *test = leat_test_new(t,
        &(struct leat_test_opts){
            .parallelism = shape->parallelism, .batch_rows = shape->batch_rows, .wall_us = WALL_US });
    for (int i = 0; i < ROWS_COUNT; i++)
        leat_test_pipe(test, "facts", &rows[i]);
    leat_test_end(test, NULL);
    FAIL_UNLESS(leat_test_error(test)->code == 0, "%s: %s", what, leat_test_error(test)->message);
    const void *record;
    while ((record = leat_test_read(test, "out")))
        add_row(&got, place->shows, record, leat_test_event_us(test, "out"));
    lines_expect(what, &expected, &got);
    const uint64_t bad = ROWS_COUNT - expected.count * (place->shows != TOTALS) -
        (uint64_t)good_rows * (place->shows == TOTALS);
    const uint64_t dropped = leat_test_dropped(test, "node");
    FAIL_UNLESS(dropped == (policy == LEAT_SKIP ? bad : 0), "%s: %" PRIu64 " dropped", what, dropped);
    if (policy == LEAT_DEAD_LETTER) {
        FAIL_UNLESS(leat_test_waiting(test, "letters") == bad, "%s: %zu letters", what,
            leat_test_waiting(test, "letters"));
        const struct leat_dead_letter *letter;
        while ((letter = leat_test_read(test, "letters"))) {
            check_letter(what, letter, place->error);
            FAIL_UNLESS(letter->failed_at == WALL_US, "%s: failed at %" PRIi64, what, letter->failed_at);
        }
    }
    lines_clear(&expected);
    lines_clear(&got);
    leat_test_free(test);
    leat_topology_free(t);
}

static void run_as_job(
    const struct place *place, enum leat_policy policy, const struct scenario_shape *shape, bool simulate)
{
    char what[256];
    name_case(what, sizeof what, place, shape, policy == LEAT_SKIP ? "skip, job" : "dead letter, job");
    struct fact rows[ROWS_COUNT];
    make_rows(rows);
    struct lines expected = { 0 }, got = { 0 };
    add_expected(&expected, place->shows, rows);
    leat_collector *out = leat_collector_new(), *letters = leat_collector_new();
    leat_topology *t = place_job(place, policy, rows, ROWS_COUNT, out, letters);
    struct leat_error error = { 0 };
    const int code = leat_run(t,
        &(struct leat_job_opts){ .parallelism = shape->parallelism,
            .batch_rows = shape->batch_rows,
            .simulate = simulate,
            .seed = 9 },
        &error);
    FAIL_UNLESS(code == 0, "%s: %s", what, error.message);
    for (uint64_t i = 0; i < leat_collector_count(out); i++)
        add_row(&got, place->shows, leat_collector_record(out, i), leat_collector_event_us(out, i));
    lines_expect(what, &expected, &got);
    if (policy == LEAT_DEAD_LETTER) {
        FAIL_UNLESS(leat_collector_count(letters) == (uint64_t)(ROWS_COUNT - good_rows),
            "%s: %" PRIu64 " letters", what, leat_collector_count(letters));
        for (uint64_t i = 0; i < leat_collector_count(letters); i++)
            check_letter(what, leat_collector_record(letters, i), place->error);
    }
    lines_clear(&expected);
    lines_clear(&got);
    leat_topology_free(t);
    leat_collector_free(out);
    leat_collector_free(letters);
}

static void test_refused_rows__given_skip_or_dead_letter__then_only_they_are_gone(void **state)
{
    (void)state;
    static const enum leat_policy policies[] = { LEAT_SKIP, LEAT_DEAD_LETTER };
    for (size_t i = 0; i < COUNT_OF(places); i++)
        for (size_t p = 0; p < COUNT_OF(policies); p++)
            for (size_t s = 0; s < SCENARIO_SHAPES; s++) {
                run_in_kit(&places[i], policies[p], &scenario_shapes[s]);
                run_as_job(&places[i], policies[p], &scenario_shapes[s], true);
            }
}

static void test_refused_rows__given_the_default_or_fail__then_the_job_stops_with_node_and_cause(void **state)
{
    (void)state;
    struct fact rows[ROWS_COUNT];
    make_rows(rows);
    for (size_t i = 0; i < COUNT_OF(places); i++)
        for (size_t s = 0; s < SCENARIO_SHAPES; s++)
            for (int explicit = 0; explicit < 2; explicit ++) {
                leat_topology *t = place_job(&places[i], explicit ? LEAT_FAIL : 0, NULL, 0, NULL, NULL);
                leat_test *test = leat_test_new(t,
                    &(struct leat_test_opts){ .parallelism = scenario_shapes[s].parallelism,
                        .batch_rows = scenario_shapes[s].batch_rows });
                leat_test_pipe(test, "facts", &rows[1]);
                FAIL_UNLESS(leat_test_error(test)->code == 0, "%s: %s", places[i].name,
                    leat_test_error(test)->message);
                leat_test_pipe(test, "facts", &rows[3]);
                leat_test_end(test, NULL);
                const struct leat_error *error = leat_test_error(test);
                FAIL_UNLESS(error->code != 0, "%s: the refused row passed", places[i].name);
                FAIL_UNLESS(strstr(error->message, "\"node\"") != NULL &&
                        strstr(error->message, places[i].error) != NULL,
                    "%s: %s", places[i].name, error->message);
                leat_test_free(test);
                leat_topology_free(t);
            }
}

/* Two refusals of one row are one refused row; a refusal of a pair is of that pair alone. */
static void twice(struct leat_ctx *ctx, const struct fact *fact, struct fact *out)
{
    if (refuses(ctx, fact))
        refuses(ctx, fact);
    else
        *out = *fact;
}
LEAT_DEFINE_MAP(twice, fact, fact);

static leat_stream *by_twice(leat_stream *in)
{
    return leat_map(in, "node", &twice_map);
}

static void test_refused_rows__given_two_reasons_for_a_row__then_it_is_one_letter(void **state)
{
    (void)state;
    const struct place place = { "refused twice", by_twice, ROWS, REFUSAL, NULL };
    for (size_t s = 0; s < SCENARIO_SHAPES; s++) {
        run_in_kit(&place, LEAT_DEAD_LETTER, &scenario_shapes[s]);
        run_in_kit(&place, LEAT_SKIP, &scenario_shapes[s]);
    }
}

static void refuse_letter(struct leat_ctx *ctx, const struct leat_dead_letter *letter)
{
    leat_fail(ctx, "no room for %.*s", (int)letter->error.len, letter->error.data);
}
LEAT_DEFINE_PEEK(refuse_letter, leat_dead_letter);

static void test_dead_letters__given_a_failure_where_they_go__then_the_job_fails(void **state)
{
    (void)state;
    struct fact rows[ROWS_COUNT];
    make_rows(rows);
    leat_topology *t = leat_topology_new("letters");
    const struct scenario_io io = { .rows = { (const struct fact *)"" } };
    leat_stream *mapped =
        leat_map(fact_source(t, "facts", &(struct fact_window_opts){ 0 }, &io, 0), "node", &copy_map);
    leat_memory_sink(leat_peek(leat_dead_letters(mapped), "archive", &refuse_letter_peek), "letters",
        &(struct leat_memory_sink_opts){ 0 });
    leat_memory_sink(mapped, "out", &(struct leat_memory_sink_opts){ 0 });
    leat_test *test = leat_test_new(t, NULL);
    leat_test_pipe(test, "facts", &rows[1]);
    assert_int_equal(leat_test_error(test)->code, 0);
    leat_test_pipe(test, "facts", &rows[3]);
    leat_test_end(test, NULL);
    assert_int_equal(leat_test_error(test)->code, LEAT_EUSER);
    assert_non_null(strstr(leat_test_error(test)->message, "archive"));
    assert_non_null(strstr(leat_test_error(test)->message, "no room for"));
    leat_test_free(test);
    leat_topology_free(t);
}

static void test_dead_letters__given_nobody_who_takes_them__then_the_declaration_is_wrong(void **state)
{
    (void)state;
    leat_topology *t = leat_topology_new("letters");
    const struct scenario_io io = { .rows = { (const struct fact *)"" } };
    leat_stream *in =
        fact_source(t, "facts", &(struct fact_window_opts){ .on_error = LEAT_DEAD_LETTER }, &io, 0);
    leat_memory_sink(in, "out", &(struct leat_memory_sink_opts){ 0 });
    assert_int_equal(leat_check(t), LEAT_EDECLARE);
    assert_string_equal(leat_topology_error(t, 0)->node, "facts");
    leat_topology_free(t);
}

/* Sources. */

static leat_topology *source_job(enum leat_policy policy, const struct fact *rows, uint64_t count,
    leat_collector *out, leat_collector *letters)
{
    const struct fact_window_opts opts = { .max_ahead_us = 1000, .on_error = policy };
    const struct scenario_io io = { .rows = { rows ? rows : (const struct fact *)"" }, .counts = { count } };
    leat_topology *t = leat_topology_new("sources");
    leat_stream *in = fact_source(t, "facts", &opts, &io, 0);
    leat_memory_sink(in, "out", &(struct leat_memory_sink_opts){ .into = out });
    if (policy == LEAT_DEAD_LETTER)
        leat_memory_sink(
            leat_dead_letters(in), "letters", &(struct leat_memory_sink_opts){ .into = letters });
    return t;
}

static struct fact fact_at(int64_t value, bool has_at, int64_t at)
{
    return (struct fact){
        .has_key = true, .key = 7, .has_value = true, .value = value, .has_at = has_at, .at = at
    };
}

static void test_source__given_times_that_are_no_use__then_skip_counts_them_and_moves_nothing(void **state)
{
    (void)state;
    static const struct fact_window_opts skip = {
        .max_ahead_us = 1000, .on_error = LEAT_SKIP, .window = { .size_us = 100 }
    };
    struct scenario_rig rig = fact_window_rig;
    rig.watched = "facts";
    const struct scenario scenarios[] = {
        { "missing, too far ahead, and their neighbours", &skip,
            "7:1@10 > dropped=0; 7:2@- > dropped=1, w=9; 7:4@11; 7:8@2001 > dropped=2, w=10; 7:16@2000 > "
            "w=1999, dropped=2, "
            "7[0..100)2=5 O0; 8@- > dropped=3; end > 7[2000..2100)1=16 O0",
            .wall_us = 1000 },
        { "nothing but bad rows", &skip, "7@-; 7@-; 8@- > dropped=3, w=min; end > w=max", .wall_us = 1000 },
        { "a bad row first", &skip, "7@- > dropped=1, w=min; 7@5; end > 7[0..100)1=1 O0", .wall_us = 1000 },
    };
    scenario_run(&rig, scenarios, COUNT_OF(scenarios));
}

static void test_source__given_a_bad_time__when_it_is_to_fail__then_node_split_position_and_cause_are_named(
    void **state)
{
    (void)state;
    struct fact rows[4] = { fact_at(1, true, 10), fact_at(2, true, 11), fact_at(3, false, 0),
        fact_at(4, true, 12) };
    for (size_t s = 0; s < SCENARIO_SHAPES; s++) {
        leat_topology *t = source_job(0, rows, COUNT_OF(rows), NULL, NULL);
        struct leat_error error = { 0 };
        const int code = leat_run(t,
            &(struct leat_job_opts){ .parallelism = scenario_shapes[s].parallelism,
                .batch_rows = scenario_shapes[s].batch_rows,
                .simulate = true },
            &error);
        assert_int_equal(code, LEAT_EDATA);
        FAIL_UNLESS(
            strstr(error.message, "facts") && strstr(error.message, "2") && strstr(error.message, "at"), "%s",
            error.message);
        leat_topology_free(t);
    }
}

/* Rows 0, 3, 4 and 8 of ten are bad: 4 by a time ahead, the others without one. */
static void run_source_letters(const struct scenario_shape *shape)
{
    enum { COUNT = 10 };
    struct fact rows[COUNT];
    for (int i = 0; i < COUNT; i++)
        rows[i] = fact_at(i, i != 0 && i != 3 && i != 8, i == 4 ? INT64_MAX - 1 : i);
    leat_collector *out = leat_collector_new(), *letters = leat_collector_new();
    leat_topology *t = source_job(LEAT_DEAD_LETTER, rows, COUNT, out, letters);
    struct leat_error error = { 0 };
    const int code = leat_run(t,
        &(struct leat_job_opts){
            .parallelism = shape->parallelism, .batch_rows = shape->batch_rows, .simulate = true, .seed = 3 },
        &error);
    FAIL_UNLESS(code == 0, "%s", error.message);
    struct lines expected = { 0 }, got = { 0 };
    const int bad[] = { 0, 3, 4, 8 };
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        lines_add(&expected, "facts %d, value %d, split named, cause named", bad[i], bad[i]);
    for (uint64_t i = 0; i < leat_collector_count(letters); i++) {
        const struct leat_dead_letter *letter = leat_collector_record(letters, i);
        char value[32];
        snprintf(value, sizeof value, "\"value\":%" PRIi64 ",", letter->position);
        const bool has_value = has_text(letter->raw, value);
        lines_add(&got, "%.*s %" PRIi64 ", value %" PRIi64 ", split %s, cause %s", (int)letter->node.len,
            letter->node.data, letter->position, has_value ? letter->position : -1,
            letter->split.len ? "named" : "lost",
            has_text(letter->error, "event time at") ? "named" : "lost");
    }
    lines_expect("dead letters of a source", &expected, &got);
    assert_int_equal(leat_collector_count(out), COUNT - COUNT_OF(bad));
    for (uint64_t i = 0; i < leat_collector_count(out); i++) {
        const struct fact *row = leat_collector_record(out, i);
        assert_int_equal(leat_collector_event_us(out, i), row->value);
    }
    lines_clear(&expected);
    lines_clear(&got);
    leat_topology_free(t);
    leat_collector_free(out);
    leat_collector_free(letters);
}

static void test_source__given_bad_times__when_they_are_dead_letters__then_each_says_where_it_was(
    void **state)
{
    (void)state;
    for (size_t s = 0; s < SCENARIO_SHAPES; s++)
        run_source_letters(&scenario_shapes[s]);
}

/* A file with lines that are no records. */

static const char file_text[] = "{\"key\":7,\"value\":1,\"at\":10}\n"
                                "{\"key\":7,\"value\":2,\n"
                                "{\"key\":7,\"value\":3,\"at\":11}\n"
                                "no JSON at all\n"
                                "{\"key\":7,\"value\":\"four\",\"at\":12}\n"
                                "{\"key\":7,\"value\":5,\"at\":null}\n"
                                "{\"key\":7,\"value\":6,\"at\":13}\n";

static void write_file(char *path)
{
    const int fd = mkstemps(path, 6);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, file_text, sizeof file_text - 1), sizeof file_text - 1);
    close(fd);
}

static leat_topology *file_job(
    const char *path, enum leat_policy policy, leat_collector *out, leat_collector *letters)
{
    leat_topology *t = leat_topology_new("files");
    leat_stream *in = leat_file_source(t, "lines",
        &(struct leat_file_source_opts){
            .path = path, .type = &fact_type, .event_time = "at", .on_error = policy });
    leat_memory_sink(in, "out", &(struct leat_memory_sink_opts){ .into = out });
    if (policy == LEAT_DEAD_LETTER)
        leat_memory_sink(
            leat_dead_letters(in), "letters", &(struct leat_memory_sink_opts){ .into = letters });
    return t;
}

static void run_file(const char *path, const struct scenario_shape *shape, enum leat_policy policy)
{
    leat_collector *out = leat_collector_new(), *letters = leat_collector_new();
    leat_topology *t = file_job(path, policy, out, letters);
    struct leat_error error = { 0 };
    const int code = leat_run(t,
        &(struct leat_job_opts){
            .parallelism = shape->parallelism, .batch_rows = shape->batch_rows, .simulate = true, .seed = 3 },
        &error);
    FAIL_UNLESS(code == 0, "%s", error.message);
    struct lines expected = { 0 }, got = { 0 };
    lines_add(&expected, "7:1@10");
    lines_add(&expected, "7:3@11");
    lines_add(&expected, "7:6@13");
    for (uint64_t i = 0; i < leat_collector_count(out); i++)
        add_row(&got, ROWS, leat_collector_record(out, i), leat_collector_event_us(out, i));
    const char *const bad[] = { "{\"key\":7,\"value\":2,", "no JSON at all",
        "{\"key\":7,\"value\":\"four\",\"at\":12}", "{\"key\":7,\"value\":5,\"at\":null}" };
    for (size_t i = 0; policy == LEAT_DEAD_LETTER && i < COUNT_OF(bad); i++)
        lines_add(&expected, "lines at %td: %s, in the file", strstr(file_text, bad[i]) - file_text, bad[i]);
    for (uint64_t i = 0; i < leat_collector_count(letters); i++) {
        const struct leat_dead_letter *letter = leat_collector_record(letters, i);
        lines_add(&got, "%.*s at %" PRIi64 ": %.*s, %s", (int)letter->node.len, letter->node.data,
            letter->position, (int)letter->raw.len, letter->raw.data,
            has_text(letter->split, strrchr(path, '/') + 1) ? "in the file" : "anywhere");
        assert_true(letter->error.len > 0);
    }
    lines_expect("a file with bad lines", &expected, &got);
    lines_clear(&expected);
    lines_clear(&got);
    leat_topology_free(t);
    leat_collector_free(out);
    leat_collector_free(letters);
}

static void test_file_source__given_lines_that_are_no_records__then_the_raw_bytes_are_the_letter(void **state)
{
    (void)state;
    char path[] = "/tmp/leat-policies-XXXXXX.jsonl";
    write_file(path);
    for (size_t s = 0; s < SCENARIO_SHAPES; s++) {
        run_file(path, &scenario_shapes[s], LEAT_DEAD_LETTER);
        run_file(path, &scenario_shapes[s], LEAT_SKIP);
    }
    leat_topology *t = file_job(path, 0, NULL, NULL);
    struct leat_error error = { 0 };
    assert_int_equal(leat_run(t, &(struct leat_job_opts){ .simulate = true }, &error), LEAT_EDATA);
    FAIL_UNLESS(strstr(error.message, "lines") && strstr(error.message, path), "%s", error.message);
    leat_topology_free(t);
    unlink(path);
}

/* Rows 1 and 3 of a written file have no time. */
static void write_avro(const char *path)
{
    static const struct fact rows[] = {
        { .has_key = true, .key = 7, .has_value = true, .value = 0, .has_at = true, .at = 10 },
        { .has_key = true, .key = 7, .has_value = true, .value = 1 },
        { .has_key = true, .key = 7, .has_value = true, .value = 2, .has_at = true, .at = 12 },
        { .has_key = true, .key = 7, .has_value = true, .value = 3 },
    };
    leat_topology *t = leat_topology_new("write");
    leat_file_sink(
        leat_memory_source(t, "rows",
            &(struct leat_memory_source_opts){ .type = &fact_type, .rows = rows, .count = COUNT_OF(rows) }),
        "file", &(struct leat_file_sink_opts){ .path = path });
    struct leat_error error = { 0 };
    const int code = leat_run(t, &(struct leat_job_opts){ .parallelism = 1 }, &error);
    FAIL_UNLESS(code == 0, "%s", error.message);
    leat_topology_free(t);
}

static void test_file_source__given_avro_rows_without_a_time__then_the_letter_is_the_record_and_its_block(
    void **state)
{
    (void)state;
    char dir[] = "/tmp/leat-policies-XXXXXX", path[64];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/facts.avro", dir);
    write_avro(path);
    for (size_t s = 0; s < SCENARIO_SHAPES; s++) {
        leat_collector *out = leat_collector_new(), *letters = leat_collector_new();
        leat_topology *t = file_job(path, LEAT_DEAD_LETTER, out, letters);
        struct leat_error error = { 0 };
        const int code = leat_run(t,
            &(struct leat_job_opts){ .parallelism = scenario_shapes[s].parallelism,
                .batch_rows = scenario_shapes[s].batch_rows,
                .simulate = true },
            &error);
        FAIL_UNLESS(code == 0, "%s", error.message);
        assert_int_equal(leat_collector_count(out), 2);
        assert_int_equal(leat_collector_count(letters), 2);
        for (uint64_t i = 0; i < 2; i++) {
            const struct leat_dead_letter *letter = leat_collector_record(letters, i);
            assert_true(has_text(letter->raw, i == 0 ? "\"value\":1" : "\"value\":3"));
            assert_true(has_text(letter->split, "facts.avro"));
            assert_true(has_text(letter->error, "event time at"));
            assert_true(letter->position > 0);
        }
        leat_topology_free(t);
        leat_collector_free(out);
        leat_collector_free(letters);
    }
    unlink(path);
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused_rows__given_skip_or_dead_letter__then_only_they_are_gone),
        cmocka_unit_test(
            test_refused_rows__given_the_default_or_fail__then_the_job_stops_with_node_and_cause),
        cmocka_unit_test(test_refused_rows__given_two_reasons_for_a_row__then_it_is_one_letter),
        cmocka_unit_test(test_dead_letters__given_a_failure_where_they_go__then_the_job_fails),
        cmocka_unit_test(test_dead_letters__given_nobody_who_takes_them__then_the_declaration_is_wrong),
        cmocka_unit_test(test_source__given_times_that_are_no_use__then_skip_counts_them_and_moves_nothing),
        cmocka_unit_test(
            test_source__given_a_bad_time__when_it_is_to_fail__then_node_split_position_and_cause_are_named),
        cmocka_unit_test(
            test_source__given_bad_times__when_they_are_dead_letters__then_each_says_where_it_was),
        cmocka_unit_test(
            test_file_source__given_lines_that_are_no_records__then_the_raw_bytes_are_the_letter),
        cmocka_unit_test(
            test_file_source__given_avro_rows_without_a_time__then_the_letter_is_the_record_and_its_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
