/* tests/unit/runtime/test_test_kit.c -- <leat/test.h> as a user would use it, and through it the rules of
 * sources: late rows, idleness, watermarks per split (semantics 1-8). */
#include "event.h"
#include "event_total.h"
#include "tests/support/unit.h"
#include <leat/leat.h>
#include <string.h>

#define IDLE_US LEAT_SECONDS(30)

static leat_topology *totals_topology(
    int64_t out_of_orderness_us, int64_t idle_timeout_us, int64_t lateness_us)
{
    leat_topology *t = leat_topology_new("totals");
    leat_stream *in = leat_memory_source(t, "events",
        &(struct leat_memory_source_opts){ .type = &event_type,
            .rows = "",
            .event_time = "at",
            .max_out_of_orderness_us = out_of_orderness_us,
            .idle_timeout_us = idle_timeout_us });
    leat_windowed_stream *windows = leat_window(leat_group_by(in, "by-key", "key"), "windows",
        &(struct leat_window_opts){
            .kind = LEAT_WINDOW_TUMBLING, .size_us = 100, .allowed_lateness_us = lateness_us });
    leat_stream *totals = leat_aggregate(windows, "totals",
        &(struct leat_aggregate_opts){
            .aggs = { LEAT_COUNT("events"), LEAT_SUM("value", "value") }, .out = &event_total_type });
    leat_memory_sink(totals, "out", &(struct leat_memory_sink_opts){ 0 });
    leat_memory_sink(leat_late_records(windows), "late", &(struct leat_memory_sink_opts){ 0 });
    return t;
}

static void pipe_event(leat_test *test, uint32_t split, int64_t key, int64_t value, int64_t at)
{
    leat_test_pipe_to(
        test, "events", split, &(struct event){ .key = key, .name = LEAT_SV("e"), .value = value, .at = at });
}

/* Ends the test well: no error so far, and everything is freed. */
static void finish(leat_test *test, leat_topology *t)
{
    FAIL_UNLESS(leat_test_error(test)->code == 0, "%s", leat_test_error(test)->message);
    leat_test_free(test);
    leat_topology_free(t);
}

static void expect_total(leat_test *test, int64_t key, int64_t start, int64_t events, int32_t pane)
{
    const struct event_total *total = leat_test_read(test, "out");
    assert_non_null(total);
    assert_int_equal(total->key, key);
    assert_int_equal(total->window_start, start);
    assert_int_equal(total->events, events);
    assert_int_equal(total->pane, pane);
    assert_int_equal(leat_test_event_us(test, "out"), start + 99);
}

static void test_kit__given_a_window__when_the_watermark_is_one_before_at_and_after_its_end__then_it_fires_at(
    void **state)
{
    (void)state;
    leat_topology *t = totals_topology(0, 0, 0);
    leat_test *test = leat_test_new(t, NULL);
    pipe_event(test, 0, 7, 1, 10); /* watermark 9 */
    pipe_event(test, 0, 7, 1, 99); /* watermark 98: one before the window's last instant */
    assert_int_equal(leat_test_waiting(test, "out"), 0);
    pipe_event(test, 0, 8, 1, 100); /* watermark 99 */
    expect_total(test, 7, 0, 2, LEAT_PANE_ON_TIME);
    assert_null(leat_test_read(test, "out"));
    assert_int_equal(leat_test_node_watermark(test, "totals"), 99);
    leat_test_end(test, NULL);
    expect_total(test, 8, 100, 1, LEAT_PANE_ON_TIME);
    assert_int_equal(leat_test_node_watermark(test, "totals"), LEAT_TIME_MAX);
    finish(test, t);
}

static void test_kit__given_a_late_record__then_it_goes_to_the_side_output_once(void **state)
{
    (void)state;
    leat_topology *t = totals_topology(20, 0, 0);
    leat_test *test = leat_test_new(t, NULL);
    pipe_event(test, 0, 7, 1, 120); /* watermark 99: window [0, 100) is closed */
    pipe_event(test, 0, 7, 5, 99);
    const struct event *late = leat_test_read(test, "late");
    assert_non_null(late);
    assert_int_equal(late->value, 5);
    assert_null(leat_test_read(test, "late"));
    assert_int_equal(leat_test_late(test, "totals"), 1);
    finish(test, t);
}

static void test_kit__given_a_late_record_within_allowed_lateness__then_a_late_pane_replaces_the_first(
    void **state)
{
    (void)state;
    leat_topology *t = totals_topology(0, 0, 50);
    leat_test *test = leat_test_new(t, NULL);
    pipe_event(test, 0, 7, 1, 10);
    pipe_event(test, 0, 7, 1, 149); /* watermark 148: the window is kept until 149 */
    expect_total(test, 7, 0, 1, LEAT_PANE_ON_TIME);
    pipe_event(test, 0, 7, 1, 20);
    expect_total(test, 7, 0, 2, LEAT_PANE_LATE);
    pipe_event(test, 0, 7, 1, 150); /* watermark 149: gone */
    pipe_event(test, 0, 7, 1, 21);
    assert_int_equal(leat_test_waiting(test, "out"), 0);
    assert_int_equal(leat_test_waiting(test, "late"), 1);
    finish(test, t);
}

static void test_kit__given_two_splits__then_the_slower_one_holds_the_watermark(void **state)
{
    (void)state;
    leat_topology *t = totals_topology(0, 0, 0);
    leat_test *test = leat_test_new(t, &(struct leat_test_opts){ .splits = 2 });
    pipe_event(test, 0, 7, 1, 500);
    assert_int_equal(leat_test_node_watermark(test, "totals"), LEAT_TIME_MIN);
    pipe_event(test, 1, 7, 1, 50);
    assert_int_equal(leat_test_node_watermark(test, "totals"), 49);
    pipe_event(test, 1, 7, 1, 30); /* late in its split, but its window is open */
    pipe_event(test, 1, 7, 1, 600);
    expect_total(test, 7, 0, 2, LEAT_PANE_ON_TIME);
    assert_int_equal(leat_test_node_watermark(test, "totals"), 499);
    finish(test, t);
}

static void test_kit__given_a_silent_split__when_its_idle_timeout_passes__then_it_holds_nothing_back(
    void **state)
{
    (void)state;
    leat_topology *t = totals_topology(0, IDLE_US, 0);
    leat_test *test = leat_test_new(t, &(struct leat_test_opts){ .splits = 2 });
    pipe_event(test, 0, 7, 1, 10);
    pipe_event(test, 1, 7, 1, 20);
    leat_test_advance(test, IDLE_US - 1);
    pipe_event(test, 0, 7, 1, 300);
    assert_int_equal(leat_test_node_watermark(test, "totals"), 19);
    leat_test_advance(test, 1);
    assert_int_equal(leat_test_node_watermark(test, "totals"), 299);
    expect_total(test, 7, 0, 2, LEAT_PANE_ON_TIME);
    pipe_event(test, 1, 7, 1, 250); /* behind the merged watermark: late there, but holds nothing back */
    pipe_event(test, 0, 7, 1, 400);
    assert_int_equal(leat_test_node_watermark(test, "totals"), 399);
    finish(test, t);
}

static void test_kit__given_every_split_idle__then_the_maximum_comes_out(void **state)
{
    (void)state;
    leat_topology *t = totals_topology(0, IDLE_US, 0);
    leat_test *test = leat_test_new(t, &(struct leat_test_opts){ .splits = 2 });
    pipe_event(test, 0, 7, 1, 10);
    pipe_event(test, 1, 7, 1, 700);
    leat_test_advance(test, IDLE_US);
    assert_int_equal(leat_test_node_watermark(test, "totals"), 699);
    finish(test, t);
}

static void test_kit__given_a_lifted_watermark__then_windows_fire_without_records(void **state)
{
    (void)state;
    leat_topology *t = totals_topology(0, 0, 0);
    leat_test *test = leat_test_new(t, &(struct leat_test_opts){ .parallelism = 3, .batch_rows = 1 });
    leat_test_pipe_json(test, "events", "{\"key\": 7, \"name\": \"e\", \"value\": 2, \"at\": 10}");
    leat_test_watermark(test, "events", 98);
    assert_int_equal(leat_test_waiting(test, "out"), 0);
    leat_test_watermark(test, "events", 99);
    const char *json = leat_test_read_json(test, "out");
    assert_non_null(json);
    assert_non_null(strstr(json, "\"events\":1"));
    finish(test, t);
}

static void test_kit__given_negative_times__then_windows_are_where_they_should_be(void **state)
{
    (void)state;
    leat_topology *t = totals_topology(0, 0, 0);
    leat_test *test = leat_test_new(t, NULL);
    pipe_event(test, 0, 7, 1, -101);
    pipe_event(test, 0, 7, 1, -100);
    pipe_event(test, 0, 7, 1, -1);
    leat_test_end(test, NULL);
    expect_total(test, 7, -200, 1, LEAT_PANE_ON_TIME);
    expect_total(test, 7, -100, 2, LEAT_PANE_ON_TIME);
    finish(test, t);
}

static void test_kit__given_windows_with_gaps__then_what_is_between_them_is_counted(void **state)
{
    (void)state;
    leat_topology *t = leat_topology_new("gaps");
    leat_stream *in = leat_memory_source(t, "events",
        &(struct leat_memory_source_opts){ .type = &event_type, .rows = "", .event_time = "at" });
    leat_windowed_stream *windows = leat_window(leat_group_by(in, "by-key", "key"), "windows",
        &(struct leat_window_opts){
            .kind = LEAT_WINDOW_HOPPING, .size_us = 2, .slide_us = 10, .allow_gaps = true });
    leat_stream *totals = leat_aggregate(windows, "totals",
        &(struct leat_aggregate_opts){ .aggs = { LEAT_COUNT("events") }, .out = &event_total_type });
    leat_memory_sink(totals, "out", &(struct leat_memory_sink_opts){ 0 });
    leat_test *test = leat_test_new(t, NULL);
    for (int64_t at = 0; at < 20; at++)
        pipe_event(test, 0, 7, 1, at);
    leat_test_end(test, "events");
    assert_int_equal(leat_test_unassigned(test, "totals"), 16);
    assert_int_equal(leat_test_unassigned(test, "events"), 0);
    assert_int_equal(leat_test_late(test, "totals"), 0);
    finish(test, t);
}

static void test_kit__given_mistakes__then_errors_name_them_and_stay(void **state)
{
    (void)state;
    leat_topology *t = totals_topology(0, 0, 0);
    leat_test *test = leat_test_new(t, NULL);
    leat_test_pipe(test, "evnets", &(struct event){ .key = 1 });
    assert_int_equal(leat_test_error(test)->code, LEAT_ENOTFOUND);
    assert_non_null(strstr(leat_test_error(test)->message, "evnets"));
    leat_test_end(test, NULL);
    assert_null(leat_test_read(test, "out"));
    leat_test_free(test);
    test = leat_test_new(t, NULL);
    leat_test_pipe_json(test, "events", "{\"key\": \"seven\"}");
    assert_int_equal(leat_test_error(test)->code, LEAT_EDATA);
    leat_test_free(test);
    leat_topology_free(t);
}

static void test_kit__given_all_sources_ended__when_piped_into__then_it_is_an_error(void **state)
{
    (void)state;
    leat_topology *t = totals_topology(0, 0, 0);
    leat_test *test = leat_test_new(t, NULL);
    pipe_event(test, 0, 7, 1, 10);
    leat_test_end(test, NULL);
    expect_total(test, 7, 0, 1, LEAT_PANE_ON_TIME);
    pipe_event(test, 0, 7, 1, 20);
    assert_int_equal(leat_test_error(test)->code, LEAT_EINVAL);
    leat_test_free(test);
    leat_topology_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_kit__given_a_window__when_the_watermark_is_one_before_at_and_after_its_end__then_it_fires_at),
        cmocka_unit_test(test_kit__given_a_late_record__then_it_goes_to_the_side_output_once),
        cmocka_unit_test(
            test_kit__given_a_late_record_within_allowed_lateness__then_a_late_pane_replaces_the_first),
        cmocka_unit_test(test_kit__given_two_splits__then_the_slower_one_holds_the_watermark),
        cmocka_unit_test(
            test_kit__given_a_silent_split__when_its_idle_timeout_passes__then_it_holds_nothing_back),
        cmocka_unit_test(test_kit__given_every_split_idle__then_the_maximum_comes_out),
        cmocka_unit_test(test_kit__given_a_lifted_watermark__then_windows_fire_without_records),
        cmocka_unit_test(test_kit__given_negative_times__then_windows_are_where_they_should_be),
        cmocka_unit_test(test_kit__given_windows_with_gaps__then_what_is_between_them_is_counted),
        cmocka_unit_test(test_kit__given_all_sources_ended__when_piped_into__then_it_is_an_error),
        cmocka_unit_test(test_kit__given_mistakes__then_errors_name_them_and_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
