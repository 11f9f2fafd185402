/* tests/integration/test_semantics_edges.c -- rules 12 to 27 of the semantics at their boundaries, for the windows
 * that are not tumbling: the watermark one before, at and one behind; both ends of time; panes in all three modes of
 * accumulation; late parts by count, the global window.
 *
 * Written from the page alone. Every pane is checked to carry the event time end - 1 (tests/support/scenario.c). */
#include "fact_change.h"
#include "tests/support/fact_jobs.h"
#include "tests/support/unit.h"
#include <stdio.h>

#define WINDOW(...) ((const struct fact_window_opts){ .window = { __VA_ARGS__ } })

/* ---- where windows lie, and when they fire ---- */

static void test_hopping__given_a_watermark__then_each_window_fires_at_its_own_last_instant(void **state)
{
    (void)state;
    const struct fact_window_opts ten_by_three =
        WINDOW(.kind = LEAT_WINDOW_HOPPING, .size_us = 10, .slide_us = 3);
    const struct fact_window_opts shifted =
        WINDOW(.kind = LEAT_WINDOW_HOPPING, .size_us = 10, .slide_us = 5, .offset_us = 7);
    const struct fact_window_opts as_tumbling =
        WINDOW(.kind = LEAT_WINDOW_HOPPING, .size_us = 10, .slide_us = 10);
    const struct fact_window_opts gaps =
        WINDOW(.kind = LEAT_WINDOW_HOPPING, .size_us = 4, .slide_us = 10, .allow_gaps = true);
    const struct scenario scenarios[] = {
        { "a size that is no multiple of the slide", &ten_by_three,
            "7@10; wm=11; wm=12 > 7[3..13)1=1 O0; wm=14; wm=15 > 7[6..16)1=1 O0; wm=17; wm=18 > 7[9..19)1=1 "
            "O0; "
            "end" },
        { "start <= time < end: three windows or four", &ten_by_three,
            "7@9; end > 7[0..10)1=1 O0, 7[3..13)1=1 O0, 7[6..16)1=1 O0, 7[9..19)1=1 O0" },
        { "negative times", &ten_by_three, "7@-1; end > 7[-9..1)1=1 O0, 7[-6..4)1=1 O0, 7[-3..7)1=1 O0" },
        { "an offset counts modulo the slide", &shifted, "7@6; end > 7[-3..7)1=1 O0, 7[2..12)1=1 O0" },
        { "late for some windows, in time for others", &ten_by_three,
            "7@12; wm=12 > 7[3..13)1=1 O0; 7:5@12 > late=0; wm=15 > 7[6..16)2=6 O0; 7:5@9 > late=0; wm=18 > "
            "7[9..19)3=11 O0; wm=21 > 7[12..22)2=6 O0; end" },
        { "late for all of them, once", &ten_by_three,
            "7@9; wm=18 > 7[0..10)1=1 O0, 7[3..13)1=1 O0, 7[6..16)1=1 O0, 7[9..19)1=1 O0; 7:5@9 > late "
            "7:5@9, "
            "late=1; end" },
        { "slide and size alike", &as_tumbling, "7@9; 7@10 > 7[0..10)1=1 O0; end > 7[10..20)1=1 O0" },
        { "records in gaps are in no window, and not late", &gaps,
            "7@3; 7@4 > 7[0..4)1=1 O0, late=0; 7@9; 7@10; wm=12; wm=13 > 7[10..14)1=1 O0; end > late=0" },
    };
    scenario_run(&fact_window_rig, scenarios, COUNT_OF(scenarios));
}

static void test_cumulating__given_a_watermark__then_each_step_fires_at_its_own_last_instant(void **state)
{
    (void)state;
    const struct fact_window_opts twelve_by_four =
        WINDOW(.kind = LEAT_WINDOW_CUMULATING, .size_us = 12, .step_us = 4);
    const struct fact_window_opts shifted =
        WINDOW(.kind = LEAT_WINDOW_CUMULATING, .size_us = 12, .step_us = 4, .offset_us = 2);
    const struct fact_window_opts late =
        WINDOW(.kind = LEAT_WINDOW_CUMULATING, .size_us = 12, .step_us = 4, .allowed_lateness_us = 2);
    const struct scenario scenarios[] = {
        { "ends grow by the step", &twelve_by_four,
            "7@0; wm=2; wm=3 > 7[0..4)1=1 O0; 7@4; wm=6; wm=7 > 7[0..8)2=2 O0; wm=10; wm=11 > 7[0..12)2=2 "
            "O0; "
            "end" },
        { "the next one begins anew", &twelve_by_four,
            "7@11; 7@12 > 7[0..12)1=1 O0; end > 7[12..16)1=1 O0, 7[12..20)1=1 O0, 7[12..24)1=1 O0" },
        { "before zero, with an offset", &shifted, "7@-3; end > 7[-10..-2)1=1 O0, 7[-10..2)1=1 O0" },
        { "late for the first ends only", &twelve_by_four,
            "7@5; wm=6; wm=7 > 7[0..8)1=1 O0; 7:5@7 > late=0; wm=11 > 7[0..12)2=6 O0; 7@11 > late 7:1@11, "
            "late=1; end" },
        { "each end has its lateness", &late,
            "7@1; wm=3 > 7[0..4)1=1 O0; wm=4; 7:5@1 > 7[0..4)2=6 L1; wm=5; 7:7@1; wm=7 > 7[0..8)3=13 O0; "
            "wm=11 > "
            "7[0..12)3=13 O0; end" },
    };
    scenario_run(&fact_window_rig, scenarios, COUNT_OF(scenarios));
}

static void test_calendar__given_days_of_23_and_25_hours__then_windows_are_local_days(void **state)
{
    (void)state;
    const struct fact_window_opts days =
        WINDOW(.kind = LEAT_WINDOW_CALENDAR, .unit = LEAT_DAY, .zone = "Europe/Berlin");
    const struct fact_window_opts utc = WINDOW(.kind = LEAT_WINDOW_CALENDAR, .unit = LEAT_DAY);
    const struct fact_window_opts weeks = WINDOW(.kind = LEAT_WINDOW_CALENDAR, .unit = LEAT_WEEK);
    const struct fact_window_opts months =
        WINDOW(.kind = LEAT_WINDOW_CALENDAR, .unit = LEAT_MONTH, .zone = "America/New_York");
    const struct scenario scenarios[] = {
        { "clocks are put forward: 2024-03-31 in Berlin has 23 hours", &days,
            "7@1711839600000000; 7@1711922399999999; wm=1711922399999998; wm=1711922399999999 > "
            "7[1711839600000000..1711922400000000)2=2 O0; 7@1711922400000000; end > "
            "7[1711922400000000..1712008800000000)1=1 O0" },
        { "and back: 2024-10-27 has 25", &days,
            "7@1729980000000000; 7@1730069999999999; end > 7[1729980000000000..1730070000000000)2=2 O0" },
        { "no zone: UTC, also before 1970", &utc,
            "7@-1; 7@0 > 7[-86400000000..0)1=1 O0; end > "
            "7[0..86400000000)1=1 O0" },
        { "weeks begin on Monday", &weeks,
            "7@345599999999; 7@345600000000 > 7[-259200000000..345600000000)1=1 O0; end > "
            "7[345600000000..950400000000)1=1 O0" },
        { "a February in New York", &months,
            "7@1706763600000000; 7@1709269199999999; 7@1709269200000000 > "
            "7[1706763600000000..1709269200000000)2=2 O0; end > 7[1709269200000000..1711944000000000)1=1 "
            "O0" },
    };
    scenario_run(&fact_window_rig, scenarios, COUNT_OF(scenarios));
}

/* ---- both ends of time ---- */

static void test_windows__given_times_at_the_ends__then_bounds_are_cut_and_nothing_wraps(void **state)
{
    (void)state;
    const struct fact_window_opts hopping = WINDOW(.kind = LEAT_WINDOW_HOPPING, .size_us = 10, .slide_us = 5);
    const struct fact_window_opts cumulating =
        WINDOW(.kind = LEAT_WINDOW_CUMULATING, .size_us = 10, .step_us = 5);
    const struct fact_window_opts kept =
        WINDOW(.kind = LEAT_WINDOW_HOPPING, .size_us = 10, .slide_us = 5, .allowed_lateness_us = INT64_MAX);
    const struct scenario scenarios[] = {
        /* max = 7 modulo 10, 2 modulo 5; min = 2 modulo 10 and 5 */
        { "hopping at the last time but one", &hopping,
            "7@max-1; end > 7[max-2..max)1=1 O0, 7[max-7..max)1=1 O0" },
        { "cumulating at the last time but one", &cumulating, "7@max-1; end > 7[max-7..max)1=1 O0" },
        { "cumulating at the first time", &cumulating,
            "7@min; end > 7[min..min+3)1=1 O0, 7[min..min+8)1=1 O0" },
        { "lateness beyond the end of time", &kept,
            "7@0; wm=max-1 > 7[-5..5)1=1 O0, 7[0..10)1=1 O0; 7:5@0 > 7[-5..5)2=6 L1, 7[0..10)2=6 L1; end > "
            "late=0" },
    };
    scenario_run(&fact_window_rig, scenarios, COUNT_OF(scenarios));
}

/* ---- panes ---- */

#define PANES(kind_, accumulation_, ...) \
    { \
        .window = { \
            .kind = (kind_), \
            .accumulation = (accumulation_), \
            .allowed_lateness_us = 50, \
            .triggers = { LEAT_ON_WATERMARK, LEAT_ON_COUNT(2) }, \
            __VA_ARGS__ \
        } \
    }

/* One window, [0, 100), of each aligned kind. */
static void run_panes(const struct scenario_rig *rig, enum leat_accumulation accumulation, const char *script)
{
    const struct fact_window_opts opts[] = {
        PANES(LEAT_WINDOW_TUMBLING, accumulation, .size_us = 100),
        PANES(LEAT_WINDOW_HOPPING, accumulation, .size_us = 100, .slide_us = 100),
        PANES(LEAT_WINDOW_CUMULATING, accumulation, .size_us = 100, .step_us = 100),
    };
    const struct scenario scenarios[] = {
        { "tumbling", &opts[0], script },
        { "hopping", &opts[1], script },
        { "cumulating", &opts[2], script },
    };
    scenario_run(rig, scenarios, COUNT_OF(scenarios));
}

static void test_panes__given_accumulating__then_each_has_all_records_so_far(void **state)
{
    (void)state;
    run_panes(&fact_window_rig, LEAT_ACCUMULATING,
        "7:1@1; 7:2@2 > 7[0..100)2=3 E0; 7:3@3; wm=99 > 7[0..100)3=6 O1; 7:4@4 > 7[0..100)4=10 L2; wm=148; "
        "7:5@5 > "
        "7[0..100)5=15 L3; wm=149; 7:6@6 > late 7:6@6, late=1; end");
    run_panes(&fact_window_rig, LEAT_ACCUMULATING,
        "7:1@1; 7:2@2 > 7[0..100)2=3 E0; wm=98; wm=99 > 7[0..100)2=3 O1; 8:9@9 > 8[0..100)1=9 L0; end");
}

static void test_panes__given_discarding__then_each_has_what_came_since_the_last(void **state)
{
    (void)state;
    run_panes(&fact_window_rig, LEAT_DISCARDING,
        "7:1@1; 7:2@2 > 7[0..100)2=3 E0; 7:3@3; wm=99 > 7[0..100)1=3 O1; 7:4@4 > 7[0..100)1=4 L2; wm=148; "
        "7:5@5 > "
        "7[0..100)1=5 L3; wm=149; 7:6@6 > late 7:6@6, late=1; end");
    run_panes(&fact_window_rig, LEAT_DISCARDING,
        "7:1@1; 7:2@2 > 7[0..100)2=3 E0; wm=98; wm=99; 7:4@4 > 7[0..100)1=4 L1; end");
}

static void print_change(const void *record, int64_t event_us, char *text, size_t size)
{
    static const char *const words[] = { "new ", "old ", "now ", "gone " };
    const struct fact_change *change = record;
    const struct fact_total total = { change->has_key, change->key, change->window_start, change->window_end,
        change->rows, change->has_sum, change->sum, change->pane, change->pane_index };
    const int len = snprintf(text, size, "%s", words[change->change & 3]);
    scenario_print_total(&total, event_us, text + len, size - (size_t)len);
}

/* facts -> windows -> totals, each change as a record of its own -> out. */
static leat_topology *changes_job(const void *fact_window_opts, const struct scenario_io *io)
{
    const struct fact_window_opts *opts = fact_window_opts;
    leat_topology *t = leat_topology_new("fact-changes");
    leat_windowed_stream *windows = leat_window(
        leat_group_by(fact_source(t, "facts", opts, io, 0), "by-key", "key"), "windows", &opts->window);
    leat_stream *totals = fact_totals(windows, "totals", NULL, "value");
    leat_memory_sink(leat_changelog(totals, "changes",
                         &(struct leat_changelog_opts){ .field = "change", .out = &fact_change_type }),
        "out", &(struct leat_memory_sink_opts){ .into = io->sinks[0] });
    leat_memory_sink(
        leat_late_records(windows), "late", &(struct leat_memory_sink_opts){ .into = io->sinks[1] });
    return t;
}

static const struct scenario_rig changes_rig = {
    .declare = changes_job,
    .sources = { "facts" },
    .sinks = { { "out", print_change, NULL }, { "late", scenario_print_fact, "late " } },
    .watched = "totals",
};

static void test_panes__given_retracting__then_the_old_one_comes_before_the_new_one(void **state)
{
    (void)state;
    run_panes(&changes_rig, LEAT_RETRACTING,
        "7:1@1; 7:2@2 > new 7[0..100)2=3 E0; 7:3@3; wm=99 > old 7[0..100)2=3 E0, now 7[0..100)3=6 O1; 7:4@4 "
        "> "
        "old 7[0..100)3=6 O1, now 7[0..100)4=10 L2; wm=149; 7:6@6 > late 7:6@6, late=1; end");
}

static void test_panes__given_late_ones_by_count__then_the_rest_comes_when_the_window_goes(void **state)
{
    (void)state;
    const struct fact_window_opts by_two = WINDOW(.size_us = 100, .allowed_lateness_us = 50,
        .triggers = { LEAT_ON_WATERMARK, LEAT_LATE_ON_COUNT(2) });
    const struct scenario scenarios[] = {
        { "by two", &by_two,
            "7:1@1; 7:1@1; 7:1@1; wm=99 > 7[0..100)3=3 O0; 7:2@2; 7:3@3 > 7[0..100)5=8 L1; 7:4@4; wm=148; "
            "wm=149 > "
            "7[0..100)6=12 L2; end" },
        { "nothing is left", &by_two,
            "7:1@1; wm=99 > 7[0..100)1=1 O0; 7:2@2; 7:3@3 > 7[0..100)3=6 L1; wm=149; end" },
        { "a window that only late records make", &by_two,
            "8:1@1; wm=99 > 8[0..100)1=1 O0; 7:2@2; 7:3@3 > 7[0..100)2=5 L0; 9:4@4; end > 9[0..100)1=4 L0" },
    };
    scenario_run(&fact_window_rig, scenarios, COUNT_OF(scenarios));
}

static void test_global__given_a_count__then_the_end_of_the_input_gives_the_rest(void **state)
{
    (void)state;
    const struct fact_window_opts by_two =
        WINDOW(.kind = LEAT_WINDOW_GLOBAL, .triggers = { LEAT_ON_WATERMARK, LEAT_ON_COUNT(2) });
    const struct fact_window_opts discarding = WINDOW(.kind = LEAT_WINDOW_GLOBAL,
        .accumulation = LEAT_DISCARDING, .triggers = { LEAT_ON_COUNT(2) }, .discard_remainder = true);
    const struct scenario scenarios[] = {
        { "with the watermark", &by_two,
            "7:1@1; 7:2@2 > 7[min..max)2=3 E0; 7:3@1; wm=max-2; end > 7[min..max)3=6 O1" },
        { "without: lost", &discarding,
            "7:1@1; 7:2@2 > 7[min..max)2=3 E0; 7:3@3; 7:4@4 > 7[min..max)2=7 E1; 7:5@5; end" },
    };
    scenario_run(&fact_window_rig, scenarios, COUNT_OF(scenarios));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hopping__given_a_watermark__then_each_window_fires_at_its_own_last_instant),
        cmocka_unit_test(test_cumulating__given_a_watermark__then_each_step_fires_at_its_own_last_instant),
        cmocka_unit_test(test_calendar__given_days_of_23_and_25_hours__then_windows_are_local_days),
        cmocka_unit_test(test_windows__given_times_at_the_ends__then_bounds_are_cut_and_nothing_wraps),
        cmocka_unit_test(test_panes__given_accumulating__then_each_has_all_records_so_far),
        cmocka_unit_test(test_panes__given_discarding__then_each_has_what_came_since_the_last),
        cmocka_unit_test(test_panes__given_retracting__then_the_old_one_comes_before_the_new_one),
        cmocka_unit_test(test_panes__given_late_ones_by_count__then_the_rest_comes_when_the_window_goes),
        cmocka_unit_test(test_global__given_a_count__then_the_end_of_the_input_gives_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
