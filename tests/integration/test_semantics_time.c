/* tests/integration/test_semantics_time.c -- rules 1 to 8 and 11 of the semantics, each at its boundary:
 * watermarks, splits, idleness, the end of the input, where event time comes from, and that the wall clock
 * decides nothing.
 *
 * Windows of one microsecond make a row's own time the boundary: such a window is closed at w >= time. */
#include "stamped.h"
#include "tests/support/fact_jobs.h"
#include "tests/support/lines.h"
#include "tests/support/unit.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Windows [n, n + 1); disorder allowed as the name says. */
static const struct fact_window_opts exact = { .window = { .size_us = 1 } };
static const struct fact_window_opts exact_20 = { .out_of_orderness_us = 20, .window = { .size_us = 1 } };
static const struct fact_window_opts exact_1 = { .out_of_orderness_us = 1, .window = { .size_us = 1 } };
static const struct fact_window_opts exact_ever = { .out_of_orderness_us = INT64_MAX,
    .window = { .size_us = 1 } };
static const struct fact_window_opts hundred = { .window = { .size_us = 100 } };
static const struct fact_window_opts hundred_20 = { .out_of_orderness_us = 20, .window = { .size_us = 100 } };
#define IDLE_US 30000000
static const struct fact_window_opts hundred_idle = { .idle_timeout_us = IDLE_US,
    .window = { .size_us = 100 } };

static void test_lateness__given_a_watermark__then_a_row_at_it_is_late_and_one_above_it_is_not(void **state)
{
    (void)state;
    const struct scenario scenarios[] = {
        { "no disorder: w is one below the newest", &exact,
            "7@100 > w=99; 7@99 > late 7:1@99, late=1; 7@100 > w=99; end > 7[100..101)2=2 O0, w=max" },
        { "disorder of 1", &exact_1,
            "7@100 > w=98; 7@98 > late 7:1@98; 7@99; end > 7[99..100)1=1 O0, 7[100..101)1=1 O0, late=1" },
        { "disorder of 20", &exact_20,
            "7@100 > w=79; 7@79 > late 7:1@79; 7@80; end > 7[80..81)1=1 O0, 7[100..101)1=1 O0" },
        { "the first row is never late", &exact, "7@-5000 > w=-5001; end > 7[-5000..-4999)1=1 O0" },
        { "a late row moves nothing", &exact,
            "7@100; 7@50 > late 7:1@50, w=99; 7@100; end > 7[100..101)2=2 O0" },
        { "the bound is that of each row's place", &exact_20,
            "7@100 > w=79; 7@130 > w=109, 7[100..101)1=1 O0; 7@110 > w=109; 7@109 > late 7:1@109; end > "
            "7[110..111)1=1 O0, 7[130..131)1=1 O0" },
        { "all disorder there is", &exact_ever,
            "7@-100 > w=min; 7@100 > w=min+100; 7@-1000000; end > 7[-100..-99)1=1 O0, 7[100..101)1=1 O0, "
            "7[-1000000..-999999)1=1 O0" },
        { "lifted from outside", &exact,
            "wm=49 > w=49; 7@49 > late 7:1@49; 7@50; 8@50; end > 7[50..51)1=1 O0, 8[50..51)1=1 O0" },
    };
    scenario_run(&fact_window_rig, scenarios, COUNT_OF(scenarios));
}

static void test_watermark__given_a_lower_one__then_it_is_ignored(void **state)
{
    (void)state;
    const struct scenario scenarios[] = {
        { "lower, equal, higher", &exact,
            "wm=99 > w=99; wm=98 > w=99; wm=min > w=99; wm=99 > w=99; wm=100 > w=100; 7@100 > late 7:1@100" },
        { "a row behind what was lifted", &exact, "wm=99; 7@70 > late 7:1@70, w=99; 7@101 > w=100" },
        { "lifted behind the rows", &exact, "7@100 > w=99; wm=50 > w=99; 7@99 > late 7:1@99" },
    };
    scenario_run(&fact_window_rig, scenarios, COUNT_OF(scenarios));
}

static void test_watermark__given_splits__then_it_is_the_least_of_theirs_once_all_have_spoken(void **state)
{
    (void)state;
    const struct scenario scenarios[] = {
        { "nothing before all have spoken", &hundred,
            "7@500/0 > w=min; 7@900/1 > w=min; 7@50/2 > w=49; 7@120/2 > w=119, 7[0..100)1=1 O0; end > "
            "7[100..200)1=1 O0, 7[500..600)1=1 O0, 7[900..1000)1=1 O0",
            .splits = 3 },
        { "each split has its own newest", &hundred_20,
            "7@120/0; 7@100/1 > w=79; 7@119/1 > w=98; 7@99/0 > late 7:1@99, w=98; 7@100/0; 7@120/1 > w=99; "
            "end > "
            "7[100..200)5=5 O0",
            .splits = 2 },
        { "a row on time in its split is on time, however far the others are", &exact,
            "7@1000/0; 7@10/1 > w=9; 7@11/1 > w=10, 7[10..11)1=1 O0; 7@10/1 > late 7:1@10; end > "
            "7[11..12)1=1 O0, "
            "7[1000..1001)1=1 O0",
            .splits = 2 },
        { "a row behind its own split is late there", &exact,
            "7@10/0 > w=min; 7@9/0 > late 7:1@9; 7@5/1 > w=4; end > 7[10..11)1=1 O0, 7[5..6)1=1 O0",
            .splits = 2 },
    };
    scenario_run(&fact_window_rig, scenarios, COUNT_OF(scenarios));
}

static void test_idleness__given_a_silent_split__then_it_leaves_the_minimum_until_it_has_caught_up(
    void **state)
{
    (void)state;
    const struct scenario scenarios[] = {
        { "exactly the timeout", &hundred_idle,
            "7@10/0; 8@20/1 > w=9; adv=29999999; 7@300/0 > w=19; adv=1 > w=299, 7[0..100)1=1 O0, "
            "8[0..100)1=1 O0",
            .splits = 2 },
        { "each row starts the time anew", &hundred_idle,
            "7@10/0; 8@20/1; adv=29999999; 7@30/0; 8@40/1 > w=29; adv=29999999 > w=29; 7@310/0 > w=39; adv=1 "
            "> w=309, "
            "7[0..100)2=2 O0, 8[0..100)2=2 O0",
            .splits = 2 },
        { "a late row is a sign of life", &hundred_idle,
            "7@100/0; 8@100/1 > w=99; adv=29999999; 7@300/0; 8@50/1 > late 8:1@50, w=99; adv=1 > w=99",
            .splits = 2 },
        { "back, and at the output's watermark at once", &hundred_idle,
            "7@10/0; 8@20/1; adv=29999999; 7@300/0; adv=1 > w=299, 7[0..100)1=1 O0, 8[0..100)1=1 O0; 8@300/1 "
            "> w=299; "
            "7@1000/0 > w=299; 8@2000/1 > w=999, 7[300..400)1=1 O0, 8[300..400)1=1 O0",
            .splits = 2 },
        { "back, and one below: late, and holds nothing back", &hundred_idle,
            "7@10/0; 8@20/1; adv=29999999; 7@300/0; adv=1 > w=299, 7[0..100)1=1 O0, 8[0..100)1=1 O0; "
            "8@299/1 > late 8:1@299, w=299; 7@400/0 > w=399, 7[300..400)1=1 O0; 8@350/1 > late 8:1@350; "
            "8@400/1 > "
            "w=399; 7@900/0 > w=399",
            .splits = 2 },
        { "all idle: the newest of all comes out", &hundred_idle,
            "7@10/0; 7@700/1 > w=9; adv=29999999 > w=9; adv=1 > w=699, 7[0..100)1=1 O0; 7@650/0 > late "
            "7:1@650, w=699; "
            "7@750/0 > w=749; 7@720/1 > w=749; 7@800/0 > w=799, 7[700..800)3=3 O0",
            .splits = 2 },
        { "never spoke", &hundred_idle,
            "7@10/0; adv=29999999; 7@300/0 > w=min; adv=1 > w=299, 7[0..100)1=1 O0; 7@20/1 > late 7:1@20, "
            "w=299; "
            "7@400/0 > w=399, 7[300..400)1=1 O0",
            .splits = 2 },
        { "none spoke", &hundred_idle,
            "adv=30000000 > w=min; 7@10/0 > w=9; 8@5/1 > w=9; 7@200/0 > w=199, 7[0..100)1=1 "
            "O0, 8[0..100)1=1 O0",
            .splits = 2 },
        { "without a timeout it holds for ever", &hundred, "7@10/0; adv=1000000000000 > w=min; 8@20/1 > w=9",
            .splits = 2 },
    };
    scenario_run(&fact_window_rig, scenarios, COUNT_OF(scenarios));
}

/* left, right -> both -> some -> by key -> windows -> totals. */
static leat_topology *union_job(const void *fact_window_opts, const struct scenario_io *io)
{
    const struct fact_window_opts *opts = fact_window_opts;
    leat_topology *t = leat_topology_new("fact-union");
    leat_stream *sources[] = { fact_source(t, "left", opts, io, 0), fact_source(t, "right", opts, io, 1) };
    leat_stream *some = leat_filter_expr(leat_union(sources, 2, "both"), "some", "value > 0");
    leat_windowed_stream *windows =
        leat_window(leat_group_by(some, "by-key", "key"), "windows", &opts->window);
    leat_stream *totals = fact_totals(windows, "totals", NULL, "value");
    leat_memory_sink(totals, "out", &(struct leat_memory_sink_opts){ .into = io->sinks[0] });
    leat_memory_sink(
        leat_late_records(windows), "late", &(struct leat_memory_sink_opts){ .into = io->sinks[1] });
    return t;
}

static const struct scenario_rig union_rig = {
    .declare = union_job,
    .sources = { "left", "right" },
    .sinks = { { "out", scenario_print_total, NULL }, { "late", scenario_print_fact, "late " } },
    .watched = "totals",
};

static const struct fact_window_opts union_hundred = { .window = {
                                                           .kind = LEAT_WINDOW_TUMBLING, .size_us = 100 } };
static const struct fact_window_opts union_idle = { .idle_timeout_us = IDLE_US,
    .window = { .kind = LEAT_WINDOW_TUMBLING, .size_us = 100 } };

static void test_inputs__given_two_sources__then_the_slower_one_counts_unless_it_is_idle_or_ended(
    void **state)
{
    (void)state;
    const struct scenario scenarios[] = {
        { "nothing before both have spoken", &union_hundred,
            "L7@100 > w=min; L7@500 > w=min; R7@30 > w=29; R7@200 > w=199, 7[0..100)1=1 O0, 7[100..200)1=1 "
            "O0" },
        { "rows that a filter drops move the watermark", &union_hundred,
            "L7:5@10; R7:5@20 > w=9; L7:0@100 > w=19; R7:0@100 > w=99, 7[0..100)2=10 O0" },
        { "idle source", &union_idle,
            "L7@100; R7@50 > w=49; adv=29999999; L7@300 > w=49; adv=1 > w=299, 7[0..100)1=1 O0, "
            "7[100..200)1=1 O0; "
            "R7@200 > late 7:1@200, w=299; L7@400 > w=399, 7[300..400)1=1 O0; R7@400; L7@800 > w=399; R7@401 "
            "> w=400" },
        { "source that never spoke", &union_idle,
            "L7@100 > w=min; adv=29999999; L7@120 > w=min; adv=1 > w=119; R7@119; L7@200 > w=199, "
            "7[100..200)3=3 O0" },
        { "ended source", &union_hundred,
            "L7@10; R7@20 > w=9; endR > w=9; L7@150 > w=149, 7[0..100)2=2 O0; end > 7[100..200)1=1 O0, "
            "w=max" },
        { "source that ends before it spoke", &union_hundred,
            "endR > w=min; L7@10 > w=9; endL > 7[0..100)1=1 O0, w=max" },
        { "an end beside an idle source closes nothing of its", &union_idle,
            "L7@10; R7@50 > w=9; adv=30000000 > w=49; endL > w=49; R7@60 > w=59; R7@120 > w=119, "
            "7[0..100)3=3 O0" },
        { "nor does idleness beside an ended source", &union_idle,
            "L7@10; R7@50 > w=9; endL > w=49; adv=30000000 > w=49; R7@60 > w=59; R7@120 > w=119, "
            "7[0..100)3=3 O0" },
        { "an end beside an idle source that is behind", &union_idle,
            "L7@200; R7@50 > w=49; adv=29999999; L7@210; adv=1 > w=209, 7[0..100)1=1 O0; endL > w=209; "
            "R7@220 > w=219; "
            "R7@230 > w=229; end > 7[200..300)4=4 O0, w=max" },
        { "both end", &union_hundred,
            "L7@10; endL > w=min; R7@99; R8@99; endR > 7[0..100)2=2 O0, 8[0..100)1=1 O0, w=max" },
        { "equal rows of both are two", &union_hundred, "L7@10; R7@10; end > 7[0..100)2=2 O0" },
    };
    scenario_run(&union_rig, scenarios, COUNT_OF(scenarios));
}

/* facts -> totals by key and 100 -> by number of rows -> totals again, late ones of the second to the sink.
 */
static leat_topology *chained_job(const void *fact_window_opts, const struct scenario_io *io)
{
    const struct fact_window_opts *opts = fact_window_opts;
    leat_topology *t = leat_topology_new("fact-chain");
    leat_stream *facts = fact_source(t, "facts", opts, io, 0);
    const struct leat_window_opts first = { .kind = LEAT_WINDOW_TUMBLING, .size_us = 100 };
    leat_stream *totals = fact_totals(
        leat_window(leat_group_by(facts, "by-key", "key"), "first-windows", &first), "first", NULL, "value");
    leat_stream *again = leat_project(totals, "again",
        &(struct leat_project_opts){ .out = &fact_type,
            .fields = { { "rows", "key" }, { "sum", "value" }, { "window_start", "at" } } });
    leat_windowed_stream *windows =
        leat_window(leat_group_by(again, "by-rows", "key"), "second-windows", &opts->window);
    leat_stream *second = fact_totals(windows, "second", NULL, "value");
    leat_memory_sink(second, "out", &(struct leat_memory_sink_opts){ .into = io->sinks[0] });
    leat_memory_sink(
        leat_late_records(windows), "late", &(struct leat_memory_sink_opts){ .into = io->sinks[1] });
    return t;
}

static const struct scenario_rig chained_rig = {
    .declare = chained_job,
    .sources = { "facts" },
    .sinks = { { "out", scenario_print_total, NULL }, { "late", scenario_print_fact, "late " } },
    .watched = "second",
};

static const struct fact_window_opts then_200 = { .window = {
                                                      .kind = LEAT_WINDOW_TUMBLING, .size_us = 200 } };

static void test_order__given_results_of_a_watermark__then_they_come_before_it(void **state)
{
    (void)state;
    const struct scenario scenarios[] = {
        { "same window behind: fires in the same pass", &union_hundred,
            "7@10; 8:2@20; 8:3@30; 9@40; 7@99; wm=98; wm=99 > w=99, 1[0..100)1=1 O0, 2[0..100)2=7 O0" },
        { "wider window behind", &then_200,
            "7@10; 7@150; 8@199; 8:5@200 > w=199, 1[0..200)3=3 O0; end > 1[200..400)1=5 O0" },
        { "a jump of the watermark", &union_hundred,
            "7@10; wm=50; 7@99; 8@60; 8@60; 8@70; wm=1000 > 2[0..100)1=2 O0, 3[0..100)1=3 O0" },
        { "the end of the input is a watermark too", &union_hundred,
            "7@10; 7@20; end > 2[0..100)1=2 O0, w=max" },
        { "behind a silence, whichever subtask hears of its end first", &union_idle,
            "7@10; 8@20; 9@30; adv=30000000 > w=29; 7@99; 7@150 > 2[0..100)1=2 O0, 1[0..100)2=2 O0, w=149; "
            "adv=30000000; 8@250 > 1[100..200)1=1 O0, w=249; end > 1[200..300)1=1 O0" },
    };
    scenario_run(&chained_rig, scenarios, COUNT_OF(scenarios));
}

static void test_end__given_open_windows__when_the_input_ends__then_all_of_them_fire_once(void **state)
{
    (void)state;
    const struct scenario scenarios[] = {
        { "no rows", &hundred, "end > w=max" },
        { "far windows", &hundred,
            "7@10; 8@4000000000000 > 7[0..100)1=1 O0; 7@4000000000050; end > "
            "7[4000000000000..4000000000100)1=1 O0, 8[4000000000000..4000000000100)1=1 O0, w=max" },
        { "rows of disorder", &hundred_20, "7@120; 7@101; end > 7[100..200)2=2 O0" },
    };
    scenario_run(&fact_window_rig, scenarios, COUNT_OF(scenarios));
}

/* The wall clock. */

static void test_event_time__given_any_passing_of_wall_time__then_results_are_the_same(void **state)
{
    (void)state;
    const struct scenario scenarios[] = {
        { "hours between rows", &hundred,
            "adv=3600000000; 7@10; adv=3600000000 > w=9; 7@99 > w=98; adv=360000000000; 8@100 > 7[0..100)2=2 "
            "O0; "
            "adv=3600000000; end > 8[100..200)1=1 O0" },
        { "at once", &hundred, "7@10; 7@99; 8@100 > 7[0..100)2=2 O0; end > 8[100..200)1=1 O0" },
        { "idleness closes no window that the rows did not", &hundred_idle,
            "7@10; 7@99; adv=30000000 > w=98; adv=3600000000 > w=98; 7@50 > w=98; 7@100 > w=99, 7[0..100)3=3 "
            "O0" },
    };
    scenario_run(&fact_window_rig, scenarios, COUNT_OF(scenarios));
}

static const struct fact_window_opts ahead_50 = {
    .max_ahead_us = 50, .on_error = LEAT_SKIP, .window = { .size_us = 100 }
};
static const struct fact_window_opts ahead_ever = {
    .max_ahead_us = INT64_MAX, .on_error = LEAT_SKIP, .window = { .size_us = 100 }
};

static void
test_max_ahead__given_a_time_further_ahead_than_allowed__then_that_row_is_bad_and_makes_no_other_late(
    void **state)
{
    (void)state;
    struct scenario_rig rig = fact_window_rig;
    rig.watched = "facts";
    const struct scenario scenarios[] = {
        { "at the limit and beyond", &ahead_50,
            "7@1050 > w=1049, dropped=0; 7@1051 > w=1049, dropped=1; adv=1; 7@1051 > w=1050, dropped=1; "
            "7@1052 > "
            "dropped=2; 7@999999 > w=1050, dropped=3; end > 7[1000..1100)2=2 O0",
            .wall_us = 1000 },
        { "far in the past is fine", &ahead_50, "7@-5000000 > dropped=0, w=-5000001", .wall_us = 1000 },
        { "no limit", &hundred, "7@999999999999999 > dropped=0, w=999999999999998", .wall_us = 1000 },
        { "a limit beyond the end of time", &ahead_ever, "7@max-1 > dropped=0, w=max-2", .wall_us = 1000 },
    };
    scenario_run(&rig, scenarios, COUNT_OF(scenarios));
}

/* Where event time comes from. */

struct stamp_row {
    const char *name, *field;
    struct stamped row;
    bool good;
    int64_t event_us;
};

static const struct stamp_row stamp_rows[] = {
    { "a plain long is in microseconds", "plain", { .plain = 1234567 }, true, 1234567 },
    { "microseconds", "micros", { .micros = -7 }, true, -7 },
    { "milliseconds", "millis", { .millis = 1234 }, true, 1234000 },
    { "milliseconds before 1970", "millis", { .millis = -1 }, true, -1000 },
    { "the last millisecond", "millis", { .millis = INT64_MAX / 1000 }, true, INT64_MAX / 1000 * 1000 },
    { "the first millisecond", "millis", { .millis = INT64_MIN / 1000 }, true, INT64_MIN / 1000 * 1000 },
    { "a millisecond beyond time", "millis", { .millis = INT64_MAX / 1000 + 1 }, false, 0 },
    { "a millisecond before time", "millis", { .millis = INT64_MIN / 1000 - 1 }, false, 0 },
    { "the greatest of milliseconds", "millis", { .millis = INT64_MAX }, false, 0 },
    { "nanoseconds are cut", "nanos", { .nanos = 1999 }, true, 1 },
    { "nanoseconds are cut toward the past", "nanos", { .nanos = -1 }, true, -1 },
    { "whole microseconds before 1970", "nanos", { .nanos = -2000 }, true, -2 },
    { "the greatest of nanoseconds", "nanos", { .nanos = INT64_MAX }, true, INT64_MAX / 1000 },
    { "a nullable time", "maybe_millis", { .has_maybe_millis = true, .maybe_millis = 5 }, true, 5000 },
    { "null", "maybe_millis", { .maybe_millis = 5 }, false, 0 },
    { "nested", "body.at", { .has_body = true, .body = { .has_at = true, .at = 42 } }, true, 42 },
    { "nested, null", "body.at", { .has_body = true, .body = { .at = 42 } }, false, 0 },
    { "in a record that is null", "body.at", { .body = { .has_at = true, .at = 42 } }, false, 0 },
};

static void check_stamp(const struct stamp_row *c, const struct scenario_shape *shape)
{
    leat_topology *t = leat_topology_new("stamps");
    leat_stream *in = leat_memory_source(t, "stamps",
        &(struct leat_memory_source_opts){
            .type = &stamped_type, .rows = "", .event_time = c->field, .on_error = LEAT_SKIP });
    leat_memory_sink(in, "out", &(struct leat_memory_sink_opts){ 0 });
    leat_test *test = leat_test_new(
        t, &(struct leat_test_opts){ .parallelism = shape->parallelism, .batch_rows = shape->batch_rows });
    leat_test_pipe(test, "stamps", &c->row);
    FAIL_UNLESS(leat_test_error(test)->code == 0, "%s: %s", c->name, leat_test_error(test)->message);
    const struct stamped *row = leat_test_read(test, "out");
    FAIL_UNLESS((row != NULL) == c->good, "%s: the row was%s good", c->name, row ? "" : " not");
    FAIL_UNLESS(leat_test_dropped(test, "stamps") == !c->good, "%s: dropped rows are miscounted", c->name);
    if (row) {
        FAIL_UNLESS(leat_test_event_us(test, "out") == c->event_us, "%s: event time %" PRIi64, c->name,
            leat_test_event_us(test, "out"));
        FAIL_UNLESS(leat_test_node_watermark(test, "out") == c->event_us - 1, "%s: watermark %" PRIi64,
            c->name, leat_test_node_watermark(test, "out"));
    }
    leat_test_free(test);
    leat_topology_free(t);
}

static void test_event_time__given_a_field__then_its_logical_type_is_the_unit_and_what_is_no_time_is_bad(
    void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(stamp_rows); i++)
        for (size_t s = 0; s < SCENARIO_SHAPES; s++)
            check_stamp(&stamp_rows[i], &scenario_shapes[s]);
}

/* Stopping. */

enum { STOP_WINDOW_US = 1000, STOP_AFTER_US = 50000 };
static leat_job *job_to_stop; /* one test at a time */

static void make_fact(struct leat_ctx *ctx, uint64_t seed, uint64_t index, struct fact *fact)
{
    (void)ctx;
    (void)seed;
    *fact = (struct fact){
        .has_key = true,
        .key = (int64_t)(index % 5),
        .has_value = true,
        .value = 1,
        .has_at = true,
        .at = (int64_t)index,
    };
}
LEAT_DEFINE_GENERATOR(make_fact, fact);

static void stop_in_time(struct leat_ctx *ctx, const struct fact *fact)
{
    (void)ctx;
    if (fact->at == STOP_AFTER_US)
        leat_job_stop(job_to_stop);
}
LEAT_DEFINE_PEEK(stop_in_time, fact);

static void stop_job(const struct scenario_shape *shape)
{
    leat_collector *out = leat_collector_new();
    leat_topology *t = leat_topology_new("endless");
    leat_stream *facts = leat_generator_source(
        t, "facts", &(struct leat_generator_source_opts){ .fn = &make_fact_generator, .event_time = "at" });
    leat_stream *peeked = leat_peek(facts, "stopper", &stop_in_time_peek);
    leat_windowed_stream *windows = leat_window(leat_group_by(peeked, "by-key", "key"), "windows",
        &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = STOP_WINDOW_US });
    leat_memory_sink(
        fact_totals(windows, "totals", NULL, "value"), "out", &(struct leat_memory_sink_opts){ .into = out });
    struct leat_error error = { 0 };
    const struct leat_job_opts opts = { .parallelism = shape->parallelism, .batch_rows = shape->batch_rows };
    FAIL_UNLESS(leat_job_new(t, &opts, &job_to_stop, &error) == 0, "%s", error.message);
    assert_int_equal(leat_job_run(job_to_stop), 0);
    assert_int_equal(leat_job_state(job_to_stop), LEAT_JOB_STOPPED);
    leat_job_free(job_to_stop);
    leat_topology_free(t);
    FAIL_UNLESS(leat_collector_count(out) > 0, "nothing came out before the stop");
    for (uint64_t i = 0; i < leat_collector_count(out); i++) {
        const struct fact_total *total = leat_collector_record(out, i);
        FAIL_UNLESS(total->rows == STOP_WINDOW_US / 5,
            "the window at %" PRIi64 " closed with %" PRIi64 " rows", total->window_start, total->rows);
    }
    leat_collector_free(out);
}

static void test_stop__given_an_endless_input__when_the_job_stops__then_open_windows_stay_open(void **state)
{
    (void)state;
    for (size_t s = 0; s < SCENARIO_SHAPES; s++)
        stop_job(&scenario_shapes[s]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lateness__given_a_watermark__then_a_row_at_it_is_late_and_one_above_it_is_not),
        cmocka_unit_test(test_watermark__given_a_lower_one__then_it_is_ignored),
        cmocka_unit_test(test_watermark__given_splits__then_it_is_the_least_of_theirs_once_all_have_spoken),
        cmocka_unit_test(
            test_idleness__given_a_silent_split__then_it_leaves_the_minimum_until_it_has_caught_up),
        cmocka_unit_test(
            test_inputs__given_two_sources__then_the_slower_one_counts_unless_it_is_idle_or_ended),
        cmocka_unit_test(test_order__given_results_of_a_watermark__then_they_come_before_it),
        cmocka_unit_test(test_end__given_open_windows__when_the_input_ends__then_all_of_them_fire_once),
        cmocka_unit_test(test_event_time__given_any_passing_of_wall_time__then_results_are_the_same),
        cmocka_unit_test(
            test_max_ahead__given_a_time_further_ahead_than_allowed__then_that_row_is_bad_and_makes_no_other_late),
        cmocka_unit_test(
            test_event_time__given_a_field__then_its_logical_type_is_the_unit_and_what_is_no_time_is_bad),
        cmocka_unit_test(test_stop__given_an_endless_input__when_the_job_stops__then_open_windows_stay_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
