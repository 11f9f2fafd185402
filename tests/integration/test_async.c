/* tests/integration/test_async.c -- asynchronous requests in whole jobs: whatever the order of the answers, with
 * failures and other attempts, on any number of workers, cancelled and restored, results are those of asking and
 * waiting; none is late that was not; and time-outs, refusals and the checkpoint's records. */
#include "tests/support/place.h"
#include "tests/support/slow_service.h"
#include "tests/support/unit.h"
#include "told.h"
#include <leat/leat.h>
#include <stdio.h>
#include <string.h>

#define COUNT 12000

static const struct place_events all_events = {
    .seed = 5, .count = COUNT, .keys = 50, .splits = 4, .disorder_us = 700, .out_of_orderness_us = 500
};

/* How the job is declared. */
static struct {
    struct slow_service *service; /* NULL: answered before begin returns */
    bool mapped; /* no requests at all */
    bool unordered, windows;
} shape;

/* ---- the job ---- */

static char *const names[] = { "none", "one", "two", "three" };

static void tell(const struct event *e, struct told *out)
{
    out->k = leat_sv_of(names[e->key % 4]);
    out->what = e->name;
    out->n = e->value * 3 + e->key;
}

static void answer(struct leat_request *request)
{
    const struct event *e = leat_request_record(request);
    struct told out = { 0 };
    tell(e, &out);
    leat_request_complete(request, e->value == 0 ? NULL : &out); /* some have no result */
}

static void ask(struct leat_ctx *ctx, const struct event *e, struct leat_request *request, void *arg)
{
    (void)ctx;
    (void)e;
    (void)arg;
    if (shape.service && e->value % 3)
        slow_service_ask(shape.service, request);
    else
        answer(request);
}
LEAT_DEFINE_ASYNC(ask, event, told);

static void tell_at_once(struct leat_ctx *ctx, const void *record, struct leat_out *out)
{
    const struct event *e = record;
    (void)ctx;
    if (e->value)
        tell(e, leat_out_row(out));
}
LEAT_DEFINE_FLAT_MAP(tell_at_once, event, told);

static leat_stream *enrich(leat_stream *events)
{
    if (shape.mapped)
        return leat_flat_map(events, "ask", &(struct leat_flat_map_opts){ .fn = &tell_at_once_flat_map });
    return leat_async(events, "ask",
        &(struct leat_async_opts){
            .fn = &ask_async, .capacity = 37, .unordered = shape.unordered, .attempts = 1000 });
}

static leat_topology *declare(void)
{
    leat_topology *t = leat_topology_new("asking");
    leat_stream *told = enrich(place_source(t, "events", &all_events));
    if (shape.windows)
        told =
            leat_aggregate(leat_window(leat_group_by(told, "by-k", "k"), "windows",
                               &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = 1000 }),
                "totals",
                &(struct leat_aggregate_opts){
                    .aggs = { LEAT_SUM("n", "n"), LEAT_MAX("what", "what") }, .out = &told_type });
    place_sink(told, "out", place.out);
    return t;
}

static void begin(void)
{
    memset(&shape, 0, sizeof shape);
    place_begin("async");
}

static void run_expected(struct lines *want, bool windows)
{
    begin();
    shape.mapped = true;
    shape.windows = windows;
    assert_int_equal(place_run(declare(), &(struct leat_job_opts){ .parallelism = 1 }, 0), LEAT_JOB_FINISHED);
    place_lines(place.out, want);
    assert_true(want->count > 300);
    place_end();
}

/* ---- tests ---- */

static const struct slow_service_opts slow = { .threads = 3, .fail_every = 5, .answer = answer };

static void test_async__given_any_order_of_answers__then_as_if_it_had_waited(void **state)
{
    static const struct {
        uint32_t parallelism, batch_rows;
        bool unordered, slow;
    } shapes[] = { { 1, 1, false, true }, { 1, 64, true, true }, { 3, 7, false, true },
        { 2, 1024, true, true }, { 2, 64, false, false }, { 1, 1024, true, false } };
    (void)state;
    for (int windows = 0; windows < 2; windows++) {
        struct lines want = { 0 };
        run_expected(&want, windows);
        for (size_t i = 0; i < COUNT_OF(shapes); i++) {
            char what[96];
            begin();
            shape.windows = windows;
            shape.unordered = shapes[i].unordered;
            shape.service = shapes[i].slow ? slow_service_new(&slow) : NULL;
            (void)snprintf(what, sizeof what, "%u workers, batches of %u, %s", shapes[i].parallelism,
                shapes[i].batch_rows, shapes[i].unordered ? "unordered" : "ordered");
            const struct leat_job_opts opts = { .parallelism = shapes[i].parallelism,
                .batch_rows = shapes[i].batch_rows };
            assert_int_equal(place_run(declare(), &opts, 0), LEAT_JOB_FINISHED);
            place_expect(what, &want);
            if (shape.service) {
                FAIL_UNLESS(slow_service_busiest(shape.service) <= 37 * shapes[i].parallelism,
                    "%u requests at a time", slow_service_busiest(shape.service));
                slow_service_free(shape.service);
            }
            place_end();
        }
        lines_clear(&want);
    }
}

static void test_async__given_order__then_rows_leave_in_the_order_of_the_records(void **state)
{
    struct lines want = { 0 }, got = { 0 };
    (void)state;
    begin();
    shape.mapped = true;
    assert_int_equal(place_run(declare(), &(struct leat_job_opts){ .parallelism = 1 }, 0), LEAT_JOB_FINISHED);
    place_lines(place.out, &want);
    place_end();
    begin();
    shape.service = slow_service_new(&slow);
    assert_int_equal(place_run(declare(), &(struct leat_job_opts){ .parallelism = 1 }, 0), LEAT_JOB_FINISHED);
    place_lines(place.out, &got);
    slow_service_free(shape.service);
    place_end();
    assert_int_equal(got.count, want.count);
    for (size_t i = 0; i < want.count; i++)
        FAIL_UNLESS(strcmp(got.at[i], want.at[i]) == 0, "row %zu is %s, not %s", i, got.at[i], want.at[i]);
    lines_clear(&want);
    lines_clear(&got);
}

/* Cancelled twice; the others of a number of workers take over what was under way. */
static void test_async__given_cancels_and_other_numbers_of_workers__then_each_record_has_one_result(
    void **state)
{
    static const uint32_t rows[][3] = { { 1, 1, 1 }, { 2, 2, 2 }, { 1, 3, 2 }, { 3, 1, 2 } };
    (void)state;
    for (int windows = 0; windows < 2; windows++) {
        struct lines want = { 0 };
        run_expected(&want, windows);
        for (size_t i = 0; i < 2 * COUNT_OF(rows); i++) {
            begin();
            shape.windows = windows;
            shape.unordered = i % 2;
            place.rate_per_s = 50000;
            for (uint32_t k = 0; k < 3; k++) {
                const struct leat_job_opts opts = { .parallelism = rows[i / 2][k],
                    .batch_rows = 64,
                    .checkpoint_dir = place.checkpoints,
                    .checkpoint_interval_us = 1000,
                    .restart = { .never = true } };
                shape.service = slow_service_new(&slow);
                const enum leat_job_state ended = place_run(declare(), &opts, k < 2 ? COUNT / 3 : 0);
                slow_service_free(shape.service);
                if (k == 0)
                    assert_int_equal(ended, LEAT_JOB_CANCELLED);
                if (ended == LEAT_JOB_FINISHED)
                    break;
            }
            place_expect("cancelled", &want);
            place_end();
        }
        lines_clear(&want);
    }
}

/* ---- one by one, in the test kit ---- */

static struct leat_request *asked[8];
static uint32_t asked_count;

static void keep(struct leat_ctx *ctx, const struct event *e, struct leat_request *request, void *arg)
{
    (void)arg;
    if (e->value < 0)
        leat_fail(ctx, "negative");
    else
        asked[asked_count++] = request;
}
LEAT_DEFINE_ASYNC(keep, event, told);

static bool instead(struct leat_ctx *ctx, const void *record, const char *reason, void *out, void *arg)
{
    (void)arg;
    ((struct told *)out)->what = leat_copy(ctx, leat_sv_of(reason));
    ((struct told *)out)->k = leat_sv_of("instead");
    return ((const struct event *)record)->value != 13;
}

static const struct place_events kit_events = { .out_of_orderness_us = 1000 }, ordered_events;
static leat_topology *kit_topology;

static leat_test *kit(const struct leat_async_opts *opts)
{
    leat_topology *t = kit_topology = leat_topology_new("kit");
    leat_stream *events = place_source(t, "events", &kit_events);
    leat_file_sink(leat_on_error(leat_async(events, "ask", opts), LEAT_SKIP), "out",
        &(struct leat_file_sink_opts){ .path = "/nowhere", .format = LEAT_FORMAT_JSON });
    asked_count = 0;
    return leat_test_new(t, &(struct leat_test_opts){ .parallelism = 1, .wall_us = 1000000 });
}

static void end_kit(leat_test *test)
{
    leat_test_free(test);
    leat_topology_free(kit_topology);
}

static void pipe_event(leat_test *test, int64_t value)
{
    leat_test_pipe(
        test, "events", &(struct event){ .key = 1, .name = LEAT_SV(""), .value = value, .at = value });
}

static void complete(uint32_t i)
{
    const struct told out = { .k = leat_sv_of("answer"),
        .what = LEAT_SV(""),
        .n = ((const struct event *)leat_request_record(asked[i]))->value };
    leat_request_complete(asked[i], &out);
}

static void expect_row(leat_test *test, const char *k, const char *what, int64_t n)
{
    const struct told *row = leat_test_read(test, "out");
    FAIL_UNLESS(row != NULL, "no row, not %s %lld", k, (long long)n);
    FAIL_UNLESS(leat_sv_eq(row->k, leat_sv_of(k)) && leat_sv_eq(row->what, leat_sv_of(what)) && row->n == n,
        "%.*s %.*s %lld, not %s %s %lld", (int)row->k.len, row->k.data, (int)row->what.len, row->what.data,
        (long long)row->n, k, what, (long long)n);
}

static void test_order__given_the_second_answer_first__then_it_waits_unless_unordered(void **state)
{
    (void)state;
    for (int unordered = 0; unordered < 2; unordered++) {
        leat_test *test = kit(&(struct leat_async_opts){ .fn = &keep_async, .unordered = unordered });
        pipe_event(test, 9); /* and a watermark, behind which none comes any more */
        complete(0);
        leat_test_advance(test, 1);
        expect_row(test, "answer", "", 9);
        pipe_event(test, 1);
        pipe_event(test, 2);
        assert_int_equal(asked_count, 3);
        complete(2);
        leat_test_advance(test, 1);
        assert_int_equal(leat_test_waiting(test, "out"), unordered);
        complete(1);
        leat_test_advance(test, 1);
        expect_row(test, "answer", "", unordered ? 2 : 1);
        expect_row(test, "answer", "", unordered ? 1 : 2);
        end_kit(test);
    }
}

static void test_timeout__given_no_answer__then_refused_at_its_time_or_answered_otherwise(void **state)
{
    (void)state;
    for (int otherwise = 0; otherwise < 2; otherwise++) {
        leat_test *test = kit(&(struct leat_async_opts){
            .fn = &keep_async, .timeout_us = 50, .otherwise = otherwise ? instead : NULL });
        pipe_event(test, 1);
        leat_test_advance(test, 49);
        assert_false(leat_request_is_abandoned(asked[0]));
        pipe_event(test, 2);
        leat_test_advance(test, 1);
        assert_true(leat_request_is_abandoned(asked[0]));
        assert_int_equal(leat_test_waiting(test, "out"), otherwise);
        complete(0); /* too late */
        complete(1);
        leat_test_advance(test, 1);
        if (otherwise)
            expect_row(test, "instead", "no answer within 50 us", 0);
        expect_row(test, "answer", "", 2);
        assert_int_equal(leat_test_waiting(test, "out"), 0);
        end_kit(test);
    }
}

static void test_attempts__given_failures__then_again_after_pauses_and_at_last_refused(void **state)
{
    (void)state;
    leat_test *test = kit(&(struct leat_async_opts){ .fn = &keep_async, .attempts = 3, .backoff_us = 10 });
    pipe_event(test, 7);
    leat_request_fail(asked[0], "busy");
    leat_test_advance(test, 1); /* seen */
    leat_test_advance(test, 9);
    assert_int_equal(asked_count, 1);
    leat_test_advance(test, 1);
    assert_int_equal(asked_count, 2);
    leat_request_fail(asked[1], "busy");
    leat_test_advance(test, 1);
    leat_test_advance(test, 19);
    assert_int_equal(asked_count, 2);
    leat_test_advance(test, 1);
    assert_int_equal(asked_count, 3);
    leat_request_fail(asked[2], "still busy");
    leat_test_advance(test, 100);
    assert_int_equal(asked_count, 3);
    pipe_event(test, -1); /* refused by begin */
    pipe_event(test, 8);
    complete(3);
    leat_test_advance(test, 1);
    expect_row(test, "answer", "", 8);
    assert_int_equal(leat_test_waiting(test, "out"), 0);
    end_kit(test);
}

static void test_fence__given_a_watermark__then_it_does_not_overtake_what_is_under_way(void **state)
{
    (void)state;
    leat_topology *t = kit_topology = leat_topology_new("fence");
    leat_stream *events = place_source(t, "events", &ordered_events);
    leat_stream *told = leat_async(events, "ask", &(struct leat_async_opts){ .fn = &keep_async });
    leat_file_sink(
        leat_aggregate(leat_window(leat_group_by(told, "by-k", "k"), "windows",
                           &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = 10 }),
            "totals",
            &(struct leat_aggregate_opts){
                .aggs = { LEAT_COUNT("n"), LEAT_MAX("what", "what") }, .out = &told_type }),
        "out", &(struct leat_file_sink_opts){ .path = "/nowhere", .format = LEAT_FORMAT_JSON });
    asked_count = 0;
    leat_test *test = leat_test_new(t, &(struct leat_test_opts){ .parallelism = 1, .wall_us = 1000000 });
    pipe_event(test, 5);
    pipe_event(test, 15);
    leat_test_watermark(test, "events", 30);
    pipe_event(test, 35);
    complete(1);
    leat_test_advance(test, 1);
    assert_int_equal(leat_test_waiting(test, "out"), 0);
    complete(0);
    leat_test_advance(test, 1);
    expect_row(test, "answer", "", 1);
    expect_row(test, "answer", "", 1);
    complete(2);
    end_kit(test);
}

static void test_life__given_a_job_that_is_over__when_answered__then_nothing_happens(void **state)
{
    (void)state;
    leat_test *test = kit(&(struct leat_async_opts){ .fn = &keep_async });
    pipe_event(test, 1);
    pipe_event(test, 2);
    end_kit(test);
    assert_true(leat_request_is_abandoned(asked[0]));
    assert_int_equal(((const struct event *)leat_request_record(asked[0]))->value, 1);
    complete(0);
    leat_request_fail(asked[1], "nobody asks");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order__given_the_second_answer_first__then_it_waits_unless_unordered),
        cmocka_unit_test(test_timeout__given_no_answer__then_refused_at_its_time_or_answered_otherwise),
        cmocka_unit_test(test_attempts__given_failures__then_again_after_pauses_and_at_last_refused),
        cmocka_unit_test(test_fence__given_a_watermark__then_it_does_not_overtake_what_is_under_way),
        cmocka_unit_test(test_life__given_a_job_that_is_over__when_answered__then_nothing_happens),
        cmocka_unit_test(test_async__given_any_order_of_answers__then_as_if_it_had_waited),
        cmocka_unit_test(test_async__given_order__then_rows_leave_in_the_order_of_the_records),
        cmocka_unit_test(
            test_async__given_cancels_and_other_numbers_of_workers__then_each_record_has_one_result),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
