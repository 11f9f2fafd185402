/* tests/integration/test_updates.c -- streams of changes in whole jobs: what they come to is the same on any number
 * of workers, when the job is cancelled and goes on from a checkpoint on another number of them, and when next to
 * nothing fits into memory.
 *
 * Events are counted by key; keys are counted by how many events they have, so that each event moves a key from one
 * count to the next: both halves of an update, to two workers. The changes in the files of both are added up: what
 * is left must be the naive result. */
#include "change_spread.h"
#include "change_total.h"
#include "tests/support/place.h"
#include "tests/support/unit.h"
#include <leat/leat.h>
#include <stdio.h>
#include <string.h>

#define COUNT 12000
#define KEYS 150

static const struct place_events events = {
    .seed = 11, .count = COUNT, .keys = KEYS, .splits = 4, .disorder_us = 400, .out_of_orderness_us = 400
};

static uint64_t mini_batch_rows;

static leat_topology *declare(void)
{
    leat_topology *t = leat_topology_new("updates");
    leat_stream *totals = leat_group_aggregate(
        leat_group_by(place_source(t, "events", &events), "by-key", "key"), "count-events",
        &(struct leat_group_aggregate_opts){ .aggs = { LEAT_COUNT("events"), LEAT_SUM("value", "value") },
            .out = &change_total_type,
            .mini_batch_rows = mini_batch_rows });
    place_sink(totals, "totals", place_path("totals"));
    leat_stream *spread = leat_group_aggregate(leat_group_by(totals, "by-events", "events"), "count-keys",
        &(struct leat_group_aggregate_opts){ .aggs = { LEAT_COUNT("keys"), LEAT_SUM("value", "value") },
            .out = &change_spread_type,
            .mini_batch_rows = mini_batch_rows });
    place_sink(spread, "spread", place_path("spread"));
    return t;
}

/* ---- what the changes come to ---- */

static void check_final(const char *what, const char *name, struct lines *want)
{
    struct lines left = { 0 };
    place_net(what, place_path(name), &left);
    lines_expect(what, want, &left);
    lines_clear(&left);
}

static void expect_all(const char *what)
{
    static int64_t counts[KEYS], values[KEYS], keys_of[COUNT + 1], values_of[COUNT + 1];
    struct lines totals = { 0 }, spread = { 0 };
    memset(counts, 0, sizeof counts);
    memset(values, 0, sizeof values);
    memset(keys_of, 0, sizeof keys_of);
    memset(values_of, 0, sizeof values_of);
    for (uint64_t i = 0; i < COUNT; i++) {
        struct event e;
        place_event(&events, i, &e);
        counts[e.key]++;
        values[e.key] += e.value;
    }
    for (int key = 0; key < KEYS; key++) {
        lines_add(&totals, "{\"key\":%d,\"events\":%lld,\"value\":%lld}", key, (long long)counts[key],
            (long long)values[key]);
        keys_of[counts[key]]++;
        values_of[counts[key]] += values[key];
    }
    for (int n = 1; n <= COUNT; n++)
        if (keys_of[n])
            lines_add(&spread, "{\"events\":%d,\"keys\":%lld,\"value\":%lld}", n, (long long)keys_of[n],
                (long long)values_of[n]);
    check_final(what, "totals", &totals);
    check_final(what, "spread", &spread);
    lines_clear(&totals);
    lines_clear(&spread);
}

/* ---- tests ---- */

static void test_updates__given_any_number_of_workers_and_size_of_batches__then_they_come_to_the_same(
    void **state)
{
    static const uint32_t shapes[][3] = { { 1, 1024, 0 }, { 1, 1, 0 }, { 2, 7, 0 }, { 3, 1024, 0 },
        { 2, 64, 100 }, { 3, 1024, 5000 } };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(shapes); i++) {
        char what[96];
        place_begin("updates");
        mini_batch_rows = shapes[i][2];
        (void)snprintf(what, sizeof what, "%u workers, batches of %u, folded by %u", shapes[i][0],
            shapes[i][1], shapes[i][2]);
        const struct leat_job_opts opts = { .parallelism = shapes[i][0], .batch_rows = shapes[i][1] };
        assert_int_equal(place_run(declare(), &opts, 0), LEAT_JOB_FINISHED);
        expect_all(what);
        place_end();
    }
}

/* Cancelled twice, on other numbers of workers each time. */
static void interrupt(const uint32_t parallelisms[3], uint64_t budget_bytes, uint64_t folded_by)
{
    char what[96];
    place_begin("updates");
    mini_batch_rows = folded_by;
    (void)snprintf(what, sizeof what, "%u, %u, %u workers, budget %llu, folded by %llu", parallelisms[0],
        parallelisms[1], parallelisms[2], (unsigned long long)budget_bytes, (unsigned long long)folded_by);
    place_interrupt(declare, parallelisms, budget_bytes, COUNT / 3);
    expect_all(what);
    place_end();
}

static void test_updates__given_cancels_and_other_numbers_of_workers__then_they_come_to_the_same(void **state)
{
    static const uint32_t rows[][3] = { { 1, 1, 1 }, { 1, 3, 2 }, { 4, 1, 3 } };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        interrupt(rows[i], 0, 0);
        interrupt(rows[i], 0, 200);
    }
}

static void test_updates__given_next_to_no_memory_and_cancels__then_they_come_to_the_same(void **state)
{
    static const uint32_t rows[][3] = { { 1, 1, 1 }, { 3, 2, 4 } };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        interrupt(rows[i], 100000, 0);
        interrupt(rows[i], 100000, 200);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_updates__given_any_number_of_workers_and_size_of_batches__then_they_come_to_the_same),
        cmocka_unit_test(
            test_updates__given_cancels_and_other_numbers_of_workers__then_they_come_to_the_same),
        cmocka_unit_test(test_updates__given_next_to_no_memory_and_cancels__then_they_come_to_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
