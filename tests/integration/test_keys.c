/* tests/integration/test_keys.c -- keys by expressions in whole jobs. Each operator that has a key is declared twice: by
 * an expression, and by a field that a projection before it has made of the same expression. What comes of both is the
 * same, on any number of workers, also when the job goes on from a checkpoint with another number of them. And each
 * join of a stream with itself gives what a join of two equal streams does. */
#include "event_count.h"
#include "tests/support/job_data.h"
#include "tests/support/place.h"
#include "tests/support/unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT 700
#define SIZE_US 500

/* Fails for one value in eleven, and has about as many keys. */
#define EXPR(side_) "(100 / (" side_ "value % 11) + " side_ "key) % 17"

struct world {
    struct event *left, *right;
    bool by_expr;
    bool is_self; /* both sides are one stream; else two of the same rows */
};
static struct world world;
static leat_stream *refuser; /* of the node whose key it is, where that is not the last one */

static leat_stream *source(leat_topology *t, const char *name, const struct event *rows)
{
    return leat_memory_source(t, name,
        &(struct leat_memory_source_opts){
            .type = &event_type, .rows = rows, .count = COUNT, .splits = 3, .event_time = "at" });
}

/* The stream, and where there is no expression to come, its key made by a projection. */
static leat_stream *side(leat_topology *t, const char *name, const struct event *rows)
{
    char made[32];
    leat_stream *in = source(t, name, rows);
    (void)snprintf(made, sizeof made, "%s-key", name);
    if (world.by_expr)
        return in;
    return leat_on_error(
        leat_project(in, made,
            &(struct leat_project_opts){ .out = &event_type,
                .fields = { { EXPR(""), "key" }, { "name", NULL }, { "value", NULL }, { "at", NULL } } }),
        LEAT_SKIP);
}

static const char *key(void)
{
    return world.by_expr ? EXPR("") : "key";
}

static leat_keyed_stream *grouped(leat_topology *t)
{
    return leat_group_by(side(t, "left", world.left), "by", world.by_expr ? EXPR("") " as key" : "key");
}

/* ---- one stream ---- */

static leat_stream *totals(leat_topology *t, struct leat_window_opts window)
{
    return leat_aggregate(leat_window(grouped(t), "windows", &window), "out",
        &(struct leat_aggregate_opts){
            .aggs = { LEAT_COUNT("events"), LEAT_SUM("value", "value") }, .out = &event_total_type });
}
static leat_stream *tumbling(leat_topology *t)
{
    return totals(t, (struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = SIZE_US });
}
static leat_stream *hopping(leat_topology *t)
{
    return totals(
        t, (struct leat_window_opts){ .kind = LEAT_WINDOW_HOPPING, .size_us = SIZE_US, .slide_us = 200 });
}
static leat_stream *session(leat_topology *t)
{
    return totals(t, (struct leat_window_opts){ .kind = LEAT_WINDOW_SESSION, .gap_us = 60 });
}
static leat_stream *sliding(leat_topology *t)
{
    return totals(t, (struct leat_window_opts){ .kind = LEAT_WINDOW_SLIDING, .size_us = 200 });
}
static leat_stream *group(leat_topology *t)
{
    return leat_group_aggregate(grouped(t), "out",
        &(struct leat_group_aggregate_opts){
            .aggs = { LEAT_COUNT("events"), LEAT_SUM("value", "value") }, .out = &event_count_type });
}
static leat_stream *last(leat_topology *t)
{
    return leat_deduplicate(grouped(t), "out",
        &(struct leat_deduplicate_opts){
            .keep = LEAT_KEEP_LAST, .within_us = LEAT_NEVER, .by_event_time = true });
}
static leat_stream *top(leat_topology *t)
{
    return leat_top_n(
        grouped(t), "out", &(struct leat_top_n_opts){ .n = 3, .by = "value", .descending = true });
}
static leat_stream *window_top(leat_topology *t)
{
    return leat_window_top_n(
        leat_window(grouped(t), "windows",
            &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = SIZE_US }),
        "out", &(struct leat_top_n_opts){ .n = 2, .by = "value" });
}
static leat_stream *upsert(leat_topology *t)
{
    return leat_upsert(side(t, "left", world.left), "out",
        &(struct leat_upsert_opts){ .key = key(), .by_event_time = true });
}

/* ---- two streams ---- */

#define PAIRS \
    .left_key = key(), .out = &event_pair_type, \
    .fields = { { world.by_expr ? EXPR("left.") : "left.key", "key" }, { "left.value", "left_value" }, \
        { "coalesce(right.value, -1)", "right_value" }, { "left.name", "name" } }

struct sides {
    leat_stream *left, *right;
};
static struct sides sides(leat_topology *t)
{
    leat_stream *left = side(t, "left", world.left);
    return (struct sides){ left, world.is_self ? left : side(t, "right", world.right) };
}

static leat_stream *interval(leat_topology *t)
{
    const struct sides in = sides(t);
    return leat_join(in.left, in.right, "out",
        &(struct leat_join_opts){ PAIRS, .within_us = 300, .kind = LEAT_JOIN_LEFT });
}
static leat_stream *windows(leat_topology *t)
{
    const struct sides in = sides(t);
    return leat_window_join(in.left, in.right, "out",
        &(struct leat_window_join_opts){
            PAIRS, .window = { .kind = LEAT_WINDOW_TUMBLING, .size_us = SIZE_US }, .kind = LEAT_JOIN_LEFT });
}
static leat_stream *sessions(leat_topology *t)
{
    const struct sides in = sides(t);
    return leat_window_join(in.left, in.right, "out",
        &(struct leat_window_join_opts){
            PAIRS, .window = { .kind = LEAT_WINDOW_SESSION, .gap_us = 20 }, .kind = LEAT_JOIN_LEFT });
}
static leat_stream *asof(leat_topology *t)
{
    const struct sides in = sides(t);
    return leat_asof_join(in.left, in.right, "out",
        &(struct leat_asof_join_opts){ PAIRS, .direction = LEAT_ASOF_NEAREST, .tolerance_us = 500,
            .where = "left.value <> right.value", .kind = LEAT_JOIN_LEFT });
}
static leat_stream *table(leat_topology *t)
{
    const struct sides in = sides(t);
    return leat_table_join(
        in.left, in.right, "out", &(struct leat_table_join_opts){ PAIRS, .kind = LEAT_JOIN_LEFT });
}
static leat_stream *broadcast(leat_topology *t)
{
    const struct sides in = sides(t);
    return leat_table_join(in.left, in.right, "out",
        &(struct leat_table_join_opts){ PAIRS, .kind = LEAT_JOIN_LEFT, .broadcast = true });
}
static leat_stream *tables(leat_topology *t)
{
    const struct sides in = sides(t);
    return leat_join_tables(
        in.left, in.right, "out", &(struct leat_join_tables_opts){ PAIRS, .kind = LEAT_JOIN_LEFT });
}
static leat_stream *cogroup(leat_topology *t)
{
    const struct sides in = sides(t);
    const char *named = world.by_expr ? EXPR("") " as key" : "key";
    leat_keyed_stream *both = leat_cogroup(t, "both",
        &(struct leat_cogroup_opts){
            .inputs = { { in.left, "left", named }, { in.right, "right", key() } } });
    refuser = leat_keyed_records(both);
    return leat_aggregate(leat_window(both, "windows",
                              &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = SIZE_US }),
        "out",
        &(struct leat_aggregate_opts){
            .aggs = { LEAT_COUNT_OF("left.value", "events"), LEAT_SUM("right.value", "value") },
            .out = &event_total_type });
}

struct family {
    const char *name;
    leat_stream *(*declare)(leat_topology *t);
    const struct leat_type *type;
    bool is_join;
};
static const struct family families[] = {
    { "tumbling", tumbling, &event_total_type, false },
    { "hopping", hopping, &event_total_type, false },
    { "session", session, &event_total_type, false },
    { "sliding", sliding, &event_total_type, false },
    { "group", group, &event_count_type, false },
    { "last", last, &event_type, false },
    { "top", top, &event_type, false },
    { "window top", window_top, &event_type, false },
    { "upsert", upsert, &event_type, false },
    { "interval", interval, &event_pair_type, true },
    { "windows", windows, &event_pair_type, true },
    { "sessions", sessions, &event_pair_type, true },
    { "asof", asof, &event_pair_type, true },
    { "table", table, &event_pair_type, true },
    { "broadcast", broadcast, &event_pair_type, true },
    { "tables", tables, &event_pair_type, true },
    { "cogroup", cogroup, &event_total_type, true },
};

/* ---- what comes of it ---- */

static void print_row(const struct leat_type *type, const void *record, char *text, size_t size)
{
    const struct event *e = record;
    if (type == &event_type) /* whose key the projection has replaced */
        (void)snprintf(text, size, "%lld at %lld", (long long)e->value, (long long)e->at);
    else
        (void)leat_record_print(record, type, text, size);
}

/* What was given and not taken back, sorted. */
static void net(const leat_collector *from, const struct leat_type *type, struct lines *to)
{
    struct lines given = { 0 }, taken = { 0 };
    for (uint64_t i = 0; i < leat_collector_count(from); i++) {
        const enum leat_change change = leat_collector_change(from, i);
        char text[512];
        print_row(type, leat_collector_record(from, i), text, sizeof text);
        lines_add(change == LEAT_UPDATE_BEFORE || change == LEAT_DELETE ? &taken : &given, "%s", text);
    }
    lines_sort(&given);
    lines_sort(&taken);
    size_t t = 0;
    for (size_t g = 0; g < given.count; g++) {
        if (t < taken.count && strcmp(given.at[g], taken.at[t]) == 0)
            t++;
        else
            lines_add(to, "%s", given.at[g]);
    }
    FAIL_UNLESS(t == taken.count, "%s was taken back, but never given", taken.at[t]);
    lines_clear(&given);
    lines_clear(&taken);
}

static leat_topology *declare(const struct family *family, leat_collector *into)
{
    leat_topology *t = leat_topology_new("keys");
    refuser = NULL;
    leat_stream *out = family->declare(t);
    if (world.by_expr)
        (void)leat_on_error(refuser ? refuser : out, LEAT_SKIP);
    leat_memory_sink(out, "sink", &(struct leat_memory_sink_opts){ .into = into });
    FAIL_UNLESS(leat_check(t) == 0, "%s: %s", family->name, leat_topology_error(t, 0)->message);
    return t;
}

static void run(const struct family *family, uint32_t parallelism, struct lines *lines)
{
    struct leat_error err = { 0 };
    leat_collector *into = leat_collector_new();
    leat_topology *t = declare(family, into);
    const struct leat_job_opts opts = { .parallelism = parallelism,
        .batch_rows = parallelism == 1 ? 1024 : 32,
        .simulate = true,
        .seed = parallelism,
        .pre_aggregate = parallelism % 2 ? LEAT_PRE_AGGREGATE_ALWAYS : LEAT_PRE_AGGREGATE_NEVER };
    FAIL_UNLESS(leat_run(t, &opts, &err) == 0, "%s: %s", family->name, err.message);
    net(into, family->type, lines);
    leat_collector_free(into);
    leat_topology_free(t);
}

static void begin(uint64_t seed)
{
    const struct job_data_opts left = { .count = COUNT, .keys = 20, .seed = seed, .step_us = 10 },
                               right = { .count = COUNT, .keys = 20, .seed = seed + 1, .step_us = 10 };
    world = (struct world){ .left = job_data_events(&left), .right = job_data_events(&right) };
}

static void end(void)
{
    free(world.left);
    free(world.right);
}

static void
test_keys__given_any_operator__when_its_key_is_an_expression__then_it_is_as_if_a_projection_had_made_it(
    void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(families); i++) {
        struct lines want = { 0 };
        begin(7 + i);
        run(&families[i], 1, &want);
        FAIL_UNLESS(want.count > 10, "%s: %zu rows", families[i].name, want.count);
        world.by_expr = true;
        for (uint32_t parallelism = 1; parallelism <= 3; parallelism++) {
            struct lines got = { 0 };
            run(&families[i], parallelism, &got);
            lines_expect(families[i].name, &want, &got);
            lines_clear(&got);
        }
        lines_clear(&want);
        end();
    }
}

static void test_joins__given_one_stream_on_both_sides__then_they_are_those_of_two_equal_streams(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(families); i++) {
        if (!families[i].is_join)
            continue;
        begin(70 + i);
        memcpy(world.right, world.left, COUNT * sizeof *world.left);
        for (uint32_t by_expr = 0; by_expr < 2; by_expr++) {
            struct lines want = { 0 };
            world.by_expr = by_expr;
            world.is_self = false;
            run(&families[i], 1, &want);
            FAIL_UNLESS(want.count > 10, "%s: %zu rows", families[i].name, want.count);
            world.is_self = true;
            for (uint32_t parallelism = 1; parallelism <= 3; parallelism++) {
                struct lines got = { 0 };
                run(&families[i], parallelism, &got);
                lines_expect(families[i].name, &want, &got);
                lines_clear(&got);
            }
            lines_clear(&want);
        }
        end();
    }
}

/* ---- records for which it fails ---- */

static uint64_t bad_rows(const struct event *rows)
{
    uint64_t bad = 0;
    for (uint32_t i = 0; i < COUNT; i++)
        bad += rows[i].value % 11 == 0;
    return bad;
}

static void test_keys__given_records_for_which_it_fails__when_they_are_letters__then_each_is_one(void **state)
{
    (void)state;
    begin(3);
    world.by_expr = true;
    for (size_t i = 0; i < COUNT_OF(families); i++) {
        const uint64_t bad = bad_rows(world.left) + (families[i].is_join ? bad_rows(world.right) : 0);
        for (uint32_t parallelism = 1; parallelism <= 3; parallelism += 2) {
            const struct leat_job_opts opts = {
                .parallelism = parallelism, .batch_rows = 64, .simulate = true
            };
            struct leat_error err = { 0 };
            leat_collector *letters = leat_collector_new();
            leat_topology *t = leat_topology_new("keys");
            refuser = NULL;
            leat_stream *out = families[i].declare(t);
            leat_memory_sink(out, "sink", &(struct leat_memory_sink_opts){ 0 });
            leat_memory_sink(leat_dead_letters(refuser ? refuser : out), "letters",
                &(struct leat_memory_sink_opts){ .into = letters });
            FAIL_UNLESS(leat_run(t, &opts, &err) == 0, "%s: %s", families[i].name, err.message);
            FAIL_UNLESS(leat_collector_count(letters) == bad, "%s: %llu letters of %llu records",
                families[i].name, (unsigned long long)leat_collector_count(letters), (unsigned long long)bad);
            const struct leat_dead_letter *letter = leat_collector_record(letters, 0);
            FAIL_UNLESS(strstr(letter->error.data, "division by zero") != NULL, "%.*s",
                (int)letter->error.len, letter->error.data);
            leat_collector_free(letters);
            leat_topology_free(t);
        }
    }
    end();
}

static void
test_keys__given_a_record_for_which_it_fails__when_nothing_is_said__then_the_job_fails_and_names_the_node(
    void **state)
{
    (void)state;
    begin(3);
    world.by_expr = true;
    for (uint32_t parallelism = 1; parallelism <= 3; parallelism++) {
        const struct leat_job_opts opts = { .parallelism = parallelism, .simulate = true };
        struct leat_error err = { 0 };
        leat_topology *t = leat_topology_new("keys");
        leat_memory_sink(interval(t), "sink", &(struct leat_memory_sink_opts){ 0 });
        assert_int_equal(leat_run(t, &opts, &err), LEAT_EUSER);
        FAIL_UNLESS(strstr(err.message, "node \"out\"") && strstr(err.message, "division by zero"), "%s",
            err.message);
        leat_topology_free(t);
    }
    end();
}

/* ---- interruptions ---- */

static const struct place_events events = {
    .seed = 4, .count = 4000, .keys = 50, .splits = 4, .disorder_us = 200, .out_of_orderness_us = 200
};

static leat_topology *interrupted(void)
{
    leat_topology *t = leat_topology_new("keys");
    leat_stream *in = place_source(t, "events", &events);
    const char *by =
        world.by_expr ? "key % 7 as key, lower(name || '-' || cast(key % 3 as string)) as name" : "key, name";
    if (!world.by_expr)
        in = leat_project(in, "made",
            &(struct leat_project_opts){ .out = &event_type,
                .fields = { { "key % 7", "key" }, { "lower(name || '-' || cast(key % 3 as string))", "name" },
                    { "value", NULL }, { "at", NULL } } });
    leat_stream *sums = leat_group_aggregate(leat_group_by(in, "by", by), "sums",
        &(struct leat_group_aggregate_opts){
            .aggs = { LEAT_COUNT("events"), LEAT_SUM("value", "value") }, .out = &event_count_type });
    place_sink(sums, "out", place_path("out"));
    return t;
}

static void test_keys__given_cancels_and_other_numbers_of_workers__then_it_is_as_if_nothing_had_been(
    void **state)
{
    static const uint32_t rows[][3] = { { 1, 3, 2 }, { 4, 1, 3 } };
    (void)state;
    struct lines want = { 0 };
    memset(&world, 0, sizeof world);
    place_begin("keys");
    assert_int_equal(
        place_run(interrupted(), &(struct leat_job_opts){ .parallelism = 1 }, 0), LEAT_JOB_FINISHED);
    place_net("by a field", place_path("out"), &want);
    place_end();
    world.by_expr = true;
    assert_int_equal(want.count, 21);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct lines got = { 0 };
        place_begin("keys");
        place_interrupt(interrupted, rows[i], i ? 100000 : 0, events.count / 3);
        place_net("by an expression", place_path("out"), &got);
        lines_expect("by an expression", &want, &got);
        lines_clear(&got);
        place_end();
    }
    lines_clear(&want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_keys__given_any_operator__when_its_key_is_an_expression__then_it_is_as_if_a_projection_had_made_it),
        cmocka_unit_test(
            test_joins__given_one_stream_on_both_sides__then_they_are_those_of_two_equal_streams),
        cmocka_unit_test(
            test_keys__given_records_for_which_it_fails__when_they_are_letters__then_each_is_one),
        cmocka_unit_test(
            test_keys__given_a_record_for_which_it_fails__when_nothing_is_said__then_the_job_fails_and_names_the_node),
        cmocka_unit_test(
            test_keys__given_cancels_and_other_numbers_of_workers__then_it_is_as_if_nothing_had_been),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
