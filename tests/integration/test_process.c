/* tests/integration/test_process.c -- process functions in whole jobs: state of every kind, timers and time to
 * live give the same on any number of workers, when the job is cancelled and goes on from a checkpoint on
 * another number of them, and when next to nothing fits into memory.
 *
 * The function gathers the events of each key in slices of event time and tells each slice when the watermark
 * has passed it, as a window would. Nothing that it tells depends on how splits interleave: what records
 * write is added up; what depends on order is written by timers alone, which come in order. */
#include "tally.h"
#include "tests/support/place.h"
#include "tests/support/unit.h"
#include "told.h"
#include <leat/leat.h>
#include <stdio.h>

#define COUNT 15000
#define SLICE_US 2000

/* ---- the job ---- */

enum { SLICES, VALUES, RUN, TOTAL };

static const struct place_events events = {
    .seed = 5, .count = COUNT, .keys = 200, .splits = 4, .disorder_us = 400, .out_of_orderness_us = 500
};

struct sum {
    int64_t total, count;
};

static void sum__add(struct leat_ctx *ctx, const struct tally *tally, struct sum *sum)
{
    (void)ctx;
    sum->total += tally->n;
    sum->count++;
}
static void sum__merge(struct leat_ctx *ctx, struct sum *into, const struct sum *from)
{
    (void)ctx;
    into->total += from->total;
    into->count += from->count;
}
static void sum__result(struct leat_ctx *ctx, const struct sum *sum, struct told *out)
{
    (void)ctx;
    out->n = sum->total + sum->count;
}
LEAT_DEFINE_AGGREGATE(sum, tally, sum, told);

static void on_event(struct leat_ctx *ctx, const struct event *event)
{
    const int64_t us = leat_ctx_event_us(ctx);
    const int64_t slice = us >= 0 ? us / SLICE_US : (us - SLICE_US + 1) / SLICE_US;
    struct tally *tally = leat_map_put(ctx, SLICES, &slice);
    tally->n += event->value;
    tally->steps++;
    leat_timer_set(ctx, LEAT_EVENT_TIME, slice * SLICE_US + SLICE_US - 1);
    if (slice % 2 == 0)
        leat_timer_delete(ctx, LEAT_EVENT_TIME, slice * SLICE_US + SLICE_US / 2); /* never there */
}

/* How many slices in a row the key has had. */
static void on_slice(struct leat_ctx *ctx, int64_t time_us, enum leat_time_kind kind)
{
    const int64_t slice = (time_us - SLICE_US + 1) / SLICE_US;
    const struct tally *tally = leat_map_get(ctx, SLICES, &slice);
    struct tally *run = leat_state(ctx, RUN);
    struct told *row = leat_out(ctx);
    struct told sums = { .n = -1 };
    int64_t values = 0;
    leat_list_add(ctx, VALUES, tally);
    for (const struct tally *t = NULL; (t = leat_list_next(ctx, VALUES, t)) != NULL;)
        values = values * 31 + t->n;
    if (leat_list_count(ctx, VALUES) == 5)
        leat_state_clear(ctx, VALUES);
    leat_aggregate_add(ctx, TOTAL, tally);
    leat_aggregate_result(ctx, TOTAL, &sums);
    run->n++;
    row->k = leat_printf(ctx, "%lld", (long long)leat_key_i64(ctx, 0));
    row->what = leat_printf(ctx, "slice %lld of %d, run of %lld, values %lld, kind %d", (long long)slice,
        (int)tally->steps, (long long)run->n, (long long)values, (int)kind);
    row->n = tally->n * 1000000 + sums.n;
    leat_map_remove(ctx, SLICES, &slice);
}
LEAT_DEFINE_PROCESS(slices, event, on_event, on_slice);

static leat_topology *declare(void)
{
    leat_topology *t = leat_topology_new("slices");
    leat_stream *told =
        leat_process(leat_group_by(place_source(t, "events", &events), "by-key", "key"), "slices",
            &(struct leat_process_opts){ .fn = &slices_process,
                .state = { LEAT_MAP("open", LEAT_KIND_LONG, &tally_type), LEAT_LIST("values", &tally_type),
                    { .name = "run", .value = &tally_type, .ttl = { .us = SLICE_US + 1 } },
                    LEAT_AGGREGATE("total", &sum_aggregate) },
                .out = &told_type });
    place_sink(told, "out", place.out);
    return t;
}

/* Of one worker, without interruption. */
static void run_expected(struct lines *want)
{
    place_begin("process");
    assert_int_equal(place_run(declare(), &(struct leat_job_opts){ .parallelism = 1 }, 0), LEAT_JOB_FINISHED);
    place_lines(place.out, want);
    assert_true(want->count > 1000);
    place_end();
}

/* ---- tests ---- */

static void test_process__given_any_number_of_workers_and_size_of_batches__then_the_same(void **state)
{
    static const uint32_t shapes[][2] = { { 1, 1 }, { 2, 7 }, { 3, 1024 }, { 5, 64 } };
    struct lines want = { 0 };
    (void)state;
    run_expected(&want);
    for (size_t i = 0; i < rows_to_run(COUNT_OF(shapes), 3); i++) {
        char what[64];
        place_begin("process");
        (void)snprintf(what, sizeof what, "%u workers, batches of %u", shapes[i][0], shapes[i][1]);
        const struct leat_job_opts opts = { .parallelism = shapes[i][0], .batch_rows = shapes[i][1] };
        assert_int_equal(place_run(declare(), &opts, 0), LEAT_JOB_FINISHED);
        place_expect(what, &want);
        place_end();
    }
    lines_clear(&want);
}

/* Cancelled twice, on other numbers of workers each time. */
static void interrupt(
    const char *what, const uint32_t parallelisms[3], uint64_t budget_bytes, struct lines *want)
{
    place_begin("process");
    place_interrupt(declare, parallelisms, budget_bytes, COUNT / 3);
    place_expect(what, want);
    place_end();
}

static void test_process__given_cancels_and_other_numbers_of_workers__then_the_same(void **state)
{
    static const uint32_t rows[][3] = { { 1, 3, 2 }, { 1, 1, 1 }, { 2, 2, 2 }, { 4, 1, 3 }, { 2, 5, 4 } };
    struct lines want = { 0 };
    (void)state;
    run_expected(&want);
    for (size_t i = 0; i < rows_to_run(COUNT_OF(rows), 1); i++) {
        char what[64];
        (void)snprintf(what, sizeof what, "%u, %u, %u workers", rows[i][0], rows[i][1], rows[i][2]);
        interrupt(what, rows[i], 0, &want);
    }
    lines_clear(&want);
}

static void test_process__given_next_to_no_memory_and_cancels__then_the_same(void **state)
{
    static const uint32_t rows[][3] = { { 3, 2, 4 }, { 1, 1, 1 } };
    struct lines want = { 0 };
    (void)state;
    run_expected(&want);
    for (size_t i = 0; i < rows_to_run(COUNT_OF(rows), 1); i++)
        interrupt("spilling", rows[i], 100000, &want);
    lines_clear(&want);
}

/* ---- the wall clock, in the test kit ---- */

static void on_ring(struct leat_ctx *ctx, const struct event *event)
{
    leat_timer_set(ctx, LEAT_PROCESSING_TIME, leat_ctx_now_us(ctx) + event->value);
}

static void rung(struct leat_ctx *ctx, int64_t time_us, enum leat_time_kind kind)
{
    struct told *row = leat_out(ctx);
    (void)kind;
    row->n = time_us - 1000000;
    row->k = leat_printf(ctx, "%lld", (long long)leat_key_i64(ctx, 0));
}
LEAT_DEFINE_PROCESS(rings, event, on_ring, rung);

static void test_process__given_timers_of_the_wall_clock__when_the_kit_moves_it__then_they_go_off_in_order(
    void **state)
{
    (void)state;
    for (uint32_t parallelism = 1; parallelism <= 3; parallelism++) {
        leat_topology *t = leat_topology_new("rings");
        leat_file_sink(leat_process(leat_group_by(place_source(t, "events", &events), "by-key", "key"),
                           "rings", &(struct leat_process_opts){ .fn = &rings_process, .out = &told_type }),
            "out", &(struct leat_file_sink_opts){ .path = "/nowhere", .format = LEAT_FORMAT_JSON });
        leat_test *test =
            leat_test_new(t, &(struct leat_test_opts){ .parallelism = parallelism, .wall_us = 1000000 });
        leat_test_pipe(
            test, "events", &(struct event){ .key = 1, .name = LEAT_SV(""), .value = 100, .at = 1 });
        leat_test_pipe(
            test, "events", &(struct event){ .key = 2, .name = LEAT_SV(""), .value = 50, .at = 2 });
        leat_test_advance(test, 49);
        assert_int_equal(leat_test_waiting(test, "out"), 0);
        leat_test_advance(test, 1);
        assert_int_equal(leat_test_waiting(test, "out"), 1);
        const struct told *row = leat_test_read(test, "out");
        assert_int_equal(row->n, 50);
        assert_true(leat_sv_eq(row->k, LEAT_SV("2")));
        leat_test_advance(test, 1000);
        row = leat_test_read(test, "out");
        assert_non_null(row);
        assert_int_equal(row->n, 100);
        leat_test_pipe(
            test, "events", &(struct event){ .key = 3, .name = LEAT_SV(""), .value = 10, .at = 3 });
        leat_test_end(test, "events");
        leat_test_advance(test, 1000);
        assert_int_equal(leat_test_waiting(test, "out"), 0); /* the input has ended before it */
        FAIL_UNLESS(leat_test_error(test)->code == 0, "%s", leat_test_error(test)->message);
        leat_test_free(test);
        leat_topology_free(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_process__given_any_number_of_workers_and_size_of_batches__then_the_same),
        cmocka_unit_test(test_process__given_cancels_and_other_numbers_of_workers__then_the_same),
        cmocka_unit_test(
            test_process__given_timers_of_the_wall_clock__when_the_kit_moves_it__then_they_go_off_in_order),
        cmocka_unit_test(test_process__given_next_to_no_memory_and_cancels__then_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
