/* tests/integration/test_semantics_windows.c -- rules 12, 13, 18 to 22, 24 and 25 of the semantics, for
 * tumbling windows, each at its boundary: where a window lies, when it fires and is forgotten, which panes it
 * gives, and what is late.
 *
 * Every pane is checked to carry its window's bounds and the event time end - 1 (tests/support/scenario.c).
 */
#include "tests/support/fact_jobs.h"
#include "tests/support/unit.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct fact_window_opts hundred = { .window = { .size_us = 100 } };
static const struct fact_window_opts hundred_20 = { .out_of_orderness_us = 20, .window = { .size_us = 100 } };
static const struct fact_window_opts late_50 = { .window = { .size_us = 100, .allowed_lateness_us = 50 } };

static void test_tumbling__given_a_time_size_and_offset__then_the_window_is_at_the_floor(void **state)
{
    (void)state;
    static const struct {
        int64_t at, size, offset, start, end;
    } rows[] = {
        { 0, 100, 0, 0, 100 },
        { 99, 100, 0, 0, 100 },
        { 100, 100, 0, 100, 200 },
        { -1, 100, 0, -100, 0 },
        { -100, 100, 0, -100, 0 },
        { -101, 100, 0, -200, -100 },
        { 29, 100, 30, -70, 30 },
        { 30, 100, 30, 30, 130 },
        { 29, 100, -70, -70, 30 }, /* -70, 30, 130: the same modulo 100 */
        { 30, 100, -70, 30, 130 },
        { 29, 100, 130, -70, 30 },
        { 30, 100, 130, 30, 130 },
        { 69, 100, -30, -30, 70 },
        { 70, 100, -30, 70, 170 },
        { -31, 100, -30, -130, -30 },
        { -30, 100, -30, -30, 70 },
        { 5, 100, 100, 0, 100 },
        { 5, 100, -100, 0, 100 },
        { 91, 100, INT64_MIN, -8, 92 }, /* INT64_MIN = 92 modulo 100 */
        { 92, 100, INT64_MIN, 92, 192 },
        { 6, 100, INT64_MAX, -93, 7 }, /* INT64_MAX = 7 modulo 100 */
        { 7, 100, INT64_MAX, 7, 107 },
        { 5, 1, 0, 5, 6 },
        { -5, 1, 77, -5, -4 },
        { 7, 3, 0, 6, 9 },
        { -7, 3, 0, -9, -6 },
        { -7, 3, 1, -8, -5 },
        { 5, INT64_MAX, 0, 0, INT64_MAX },
        { -5, INT64_MAX, 0, -INT64_MAX, 0 },
        { 5, INT64_MAX, 6, 6 - INT64_MAX, 6 },
        { 86399999999, 86400000000, 0, 0, 86400000000 },
        { 86399999999, 86400000000, -3600000000, 82800000000, 169200000000 },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char name[128], script[256], start[32], end[32];
        snprintf(name, sizeof name, "%" PRIi64 " in windows of %" PRIi64 " by %" PRIi64, rows[i].at,
            rows[i].size, rows[i].offset);
        snprintf(start, sizeof start, "%" PRIi64, rows[i].start);
        snprintf(end, sizeof end, "%" PRIi64, rows[i].end);
        snprintf(script, sizeof script, "7@%" PRIi64 "; end > 7[%s..%s)1=1 O0", rows[i].at,
            rows[i].start == -INT64_MAX          ? "min+1"
                : rows[i].start == 6 - INT64_MAX ? "min+7"
                                                 : start,
            rows[i].end == INT64_MAX ? "max" : end);
        const struct fact_window_opts opts = {
            .window = { .size_us = rows[i].size, .offset_us = rows[i].offset },
        };
        const struct scenario scenario = { name, &opts, script };
        scenario_run(&fact_window_rig, &scenario, 1);
    }
}

static void test_firing__given_a_watermark__then_a_window_fires_at_its_last_instant(void **state)
{
    (void)state;
    const struct scenario scenarios[] = {
        { "one before and at", &hundred, "7@10; wm=98; wm=99 > 7[0..100)1=1 O0; wm=100; end" },
        { "the row that closes it is in the next", &hundred,
            "7@10; 7@99; 7@100 > 7[0..100)2=2 O0; end > 7[100..200)1=1 O0" },
        { "all keys of the window", &hundred,
            "7@10; 8@20; 9@99; wm=99 > 7[0..100)1=1 O0, 8[0..100)1=1 O0, 9[0..100)1=1 O0; end" },
        { "no rows, no result", &hundred, "7@10; 7@500 > 7[0..100)1=1 O0; end > 7[500..600)1=1 O0" },
        { "several windows of a key at once", &hundred_20,
            "7@0; 7@100; 7@119 > w=98; 7@120 > 7[0..100)1=1 O0; 7@1000 > 7[100..200)3=3 O0; end > "
            "7[1000..1100)1=1 O0" },
        { "null is a key", &hundred, "-:5@10; 0:6@20; -:7@30; end > -[0..100)2=12 O0, 0[0..100)1=6 O0" },
        { "null values are counted, not summed", &hundred,
            "7:-@10; 7:4@11; 8:-@12; end > 7[0..100)2=4 O0, 8[0..100)1=- O0" },
        { "negative times", &hundred,
            "7@-101; 7@-100 > 7[-200..-100)1=1 O0; 7@-1; wm=-2; wm=-1 > 7[-100..0)2=2 O0; 7@0; end > "
            "7[0..100)1=1 O0" },
    };
    scenario_run(&fact_window_rig, scenarios, COUNT_OF(scenarios));
}

static void test_lateness__given_a_window__then_it_takes_rows_until_the_watermark_has_passed_end_and_lateness(
    void **state)
{
    (void)state;
    static const struct fact_window_opts late_1 = { .window = { .size_us = 100, .allowed_lateness_us = 1 } };
    static const struct fact_window_opts late_ever = { .window = { .size_us = 100,
                                                           .allowed_lateness_us = INT64_MAX } };
    static const struct fact_window_opts late_20_30 = { .out_of_orderness_us = 20,
        .window = { .size_us = 100, .allowed_lateness_us = 30 } };
    const struct scenario scenarios[] = {
        { "behind the watermark, but the window is open", &hundred,
            "7@50; 7@10; 7@10; wm=98; 7@0; wm=99 > 7[0..100)4=4 O0" },
        { "no lateness: forgotten when it fires", &hundred,
            "7@10; wm=99 > 7[0..100)1=1 O0; 7@99 > late 7:1@99, late=1; 7@0 > late 7:1@0, late=2; 7@100; end "
            "> "
            "7[100..200)1=1 O0" },
        { "lateness of 1", &late_1,
            "7@10; wm=99 > 7[0..100)1=1 O0; 7@99 > 7[0..100)2=2 L1; wm=100; 7@99 > late 7:1@99; end > w=max, "
            "late=1" },
        { "lateness of 50: the last instant", &late_50,
            "7@10; wm=99 > 7[0..100)1=1 O0; wm=148; 7:5@0 > 7[0..100)2=6 L1; wm=149; 7@99 > late 7:1@99, "
            "late=1; end" },
        { "the window decides, not the row's own age", &late_50,
            "7@10; 8@10; wm=148 > 7[0..100)1=1 O0, 8[0..100)1=1 O0; 7@0 > 7[0..100)2=2 L1; 9@99 > "
            "9[0..100)1=1 L0; wm=149; "
            "7@99 > late 7:1@99" },
        { "for ever", &late_ever,
            "7@10; 7@9000000000000 > 7[0..100)1=1 O0; 7@11 > 7[0..100)2=2 L1; wm=max-1 > "
            "7[9000000000000..9000000000100)1=1 "
            "O0; 7@12 > 7[0..100)3=3 L2; end > w=max" },
        { "disorder comes on top", &late_20_30,
            "7@10; 7@149 > 7[0..100)1=1 O0, w=128; 7@11 > 7[0..100)2=2 L1; 7@150 > w=129; 7@12 > late "
            "7:1@12; end > "
            "7[100..200)2=2 O0" },
        { "rows of other windows do not matter", &late_50,
            "7@110; 7@10 > 7[0..100)1=1 L0; 7@210 > 7[100..200)1=1 O0; 7@10 > late 7:1@10; 7@150 > "
            "7[100..200)2=2 L1; end > "
            "7[200..300)1=1 O0" },
        { "the end of the input leaves nothing to be late for", &late_50,
            "7@10; end > 7[0..100)1=1 O0, w=max, late=0" },
    };
    scenario_run(&fact_window_rig, scenarios, COUNT_OF(scenarios));
}

static void test_late_records__given_nobody_who_takes_them__then_they_are_counted(void **state)
{
    (void)state;
    struct scenario_rig rig = fact_window_rig;
    rig.sinks[1].name = NULL;
    static const struct fact_window_opts not_taken = { .late_not_taken = true, .window = { .size_us = 100 } };
    const struct scenario scenarios[] = {
        { "two of three", &not_taken,
            "7@200 > late=0; 7@10 > late=1; 8@10 > late=2; 7@100 > late=3; 7@210 > late=3; end > "
            "7[200..300)2=2 O0, late=3" },
    };
    scenario_run(&rig, scenarios, COUNT_OF(scenarios));
}

static void test_panes__given_a_late_row__then_each_gives_a_pane_at_once(void **state)
{
    (void)state;
    static const struct fact_window_opts late_50_discarding = {
        .window = { .size_us = 100, .allowed_lateness_us = 50, .accumulation = LEAT_DISCARDING },
    };
    const struct scenario scenarios[] = {
        { "accumulating: the whole window again", &late_50,
            "7:1@10; 7:2@100 > 7[0..100)1=1 O0; 7:4@20 > 7[0..100)2=5 L1; 7:8@30 > 7[0..100)3=13 L2; 7:16@30 "
            "> 7[0..100)4=29 "
            "L3; end > 7[100..200)1=2 O0" },
        { "discarding: only what came since", &late_50_discarding,
            "7:1@10; 7:2@100 > 7[0..100)1=1 O0; 7:4@20 > 7[0..100)1=4 L1; 7:8@30 > 7[0..100)1=8 L2; end > "
            "7[100..200)1=2 O0" },
        { "a key of late rows alone has no pane on time", &late_50,
            "7@10; 7@100 > 7[0..100)1=1 O0; 8:5@20 > 8[0..100)1=5 L0; 8:6@20 > 8[0..100)2=11 L1; end > "
            "7[100..200)1=1 O0" },
        { "discarding: and neither there", &late_50_discarding,
            "7@100; 8:5@20 > 8[0..100)1=5 L0; 8:6@20 > 8[0..100)1=6 L1; end > 7[100..200)1=1 O0" },
        { "many late rows of many keys in a row", &late_50,
            "9@149 ; 7@1 > 7[0..100)1=1 L0; 8@1 > 8[0..100)1=1 L0; 7@2 > 7[0..100)2=2 L1; 8@2 > 8[0..100)2=2 "
            "L1; 7@3 > "
            "7[0..100)3=3 L2; 8@3 > 8[0..100)3=3 L2; 7@4 > 7[0..100)4=4 L3; 7@5 > 7[0..100)5=5 L4; 7@6 > "
            "7[0..100)6=6 "
            "L5; 7@7 > 7[0..100)7=7 L6; 7@8 > 7[0..100)8=8 L7; end > 9[100..200)1=1 O0" },
        { "panes of two windows have their own numbers", &late_50,
            "7@10; 7@110 > 7[0..100)1=1 O0; 7@11 > 7[0..100)2=2 L1; 7@200 > 7[100..200)1=1 O0; 7@120 > "
            "7[100..200)2=2 L1; 7@130 > "
            "7[100..200)3=3 L2; end > 7[200..300)1=1 O0" },
        { "a null value is a row of a pane", &late_50,
            "7:3@10; 7@100 > 7[0..100)1=3 O0; 7:-@20 > 7[0..100)2=3 L1; end > 7[100..200)1=1 O0" },
        { "discarding: over nulls alone there is no sum", &late_50_discarding,
            "7:3@10; 7@100 > 7[0..100)1=3 O0; 7:-@20 > 7[0..100)1=- L1; end > 7[100..200)1=1 O0" },
    };
    scenario_run(&fact_window_rig, scenarios, COUNT_OF(scenarios));
}

#define ON_WATERMARK_AND_COUNT(n_) \
    { \
        LEAT_ON_WATERMARK, LEAT_ON_COUNT(n_) \
    }

static void test_count_trigger__given_n__then_each_n_rows_of_a_window_and_key_give_an_early_pane(void **state)
{
    (void)state;
    static const struct fact_window_opts every = { .window = { .size_us = 100,
                                                       .triggers = ON_WATERMARK_AND_COUNT(1) } };
    static const struct fact_window_opts two = { .window = { .size_us = 100,
                                                     .triggers = ON_WATERMARK_AND_COUNT(2) } };
    static const struct fact_window_opts two_late = {
        .window = { .size_us = 100, .allowed_lateness_us = 50, .triggers = ON_WATERMARK_AND_COUNT(2) }
    };
    static const struct fact_window_opts two_first = {
        .window = { .size_us = 100, .triggers = { LEAT_ON_COUNT(2), LEAT_ON_WATERMARK } }
    };
    static const struct fact_window_opts three_discarding = {
        .window = { .size_us = 100, .accumulation = LEAT_DISCARDING, .triggers = ON_WATERMARK_AND_COUNT(3) },
    };
    static const struct fact_window_opts huge = { .window = { .size_us = 100,
                                                      .triggers = ON_WATERMARK_AND_COUNT(UINT64_MAX) } };
    const struct scenario scenarios[] = {
        { "one before n, at n, beyond", &two,
            "7:1@10; 7:2@11 > 7[0..100)2=3 E0; 7:4@12; 7:8@13 > 7[0..100)4=15 E1; 7:16@14; wm=99 > "
            "7[0..100)5=31 O2; end" },
        { "in the other order", &two_first,
            "7:1@10; 7:2@11 > 7[0..100)2=3 E0; 7:4@12; wm=99 > 7[0..100)3=7 O1; end" },
        { "each row", &every, "7@10 > 7[0..100)1=1 E0; 7@11 > 7[0..100)2=2 E1; end > 7[0..100)2=2 O2" },
        { "n exactly: the close fires too", &two, "7@10; 7@11 > 7[0..100)2=2 E0; end > 7[0..100)2=2 O1" },
        { "keys and windows count for themselves", &two,
            "7@10; 8@10; 7@99 > 7[0..100)2=2 E0; 7@100 > 7[0..100)2=2 O1, 8[0..100)1=1 O0; 8@110; 7@110 > "
            "7[100..200)2=2 E0; end > "
            "7[100..200)2=2 O1, 8[100..200)1=1 O0" },
        { "discarding: since the last firing", &three_discarding,
            "7:1@10; 7:2@11; 7:4@12 > 7[0..100)3=7 E0; 7:8@13; 7:16@14; 7:32@15 > 7[0..100)3=56 E1; 7:64@16; "
            "wm=99 > 7[0..100)1=64 "
            "O2; end" },
        { "discarding: an empty pane is not given", &three_discarding,
            "7:1@10; 7:2@11; 7:4@12 > 7[0..100)3=7 E0; 8:5@10; wm=99 > 8[0..100)1=5 O0; end" },
        { "never reached", &huge, "7@10; 7@11; end > 7[0..100)2=2 O0" },
        { "late rows are panes at once, whatever the count", &two_late,
            "7:1@10; wm=99 > 7[0..100)1=1 O0; 7:2@11 > 7[0..100)2=3 L1; 7:4@12 > 7[0..100)3=7 L2; 7:8@13 > "
            "7[0..100)4=15 "
            "L3; end" },
        { "early, on time, late: numbered together", &two_late,
            "7:1@10; 7:2@11 > 7[0..100)2=3 E0; 7:4@12; wm=99 > 7[0..100)3=7 O1; 7:8@13 > 7[0..100)4=15 L2; "
            "7:16@14 > 7[0..100)5=31 "
            "L3; end" },
        { "late rows alone, counted or not", &two_late,
            "9@100; 7:1@10 > 7[0..100)1=1 L0; 7:2@11 > 7[0..100)2=3 L1; end > 9[100..200)1=1 O0" },
        { "rows without a value count", &two, "7:-@10; 7:-@11 > 7[0..100)2=- E0; end > 7[0..100)2=- O1" },
        { "null as key counts for itself", &two,
            "-@10; 0@10; -@11 > -[0..100)2=2 E0; end > -[0..100)2=2 O1, 0[0..100)1=1 O0" },
    };
    scenario_run(&fact_window_rig, scenarios, COUNT_OF(scenarios));
}

static void check_refused(const struct leat_window_opts *window, const char *names)
{
    leat_topology *t = fact_window_job(&(struct fact_window_opts){ .window = *window },
        &(struct scenario_io){ .rows = { (const struct fact *)"" } });
    assert_int_equal(leat_check(t), LEAT_EDECLARE);
    assert_non_null(strstr(leat_topology_error(t, 0)->message, names));
    assert_string_equal(leat_topology_error(t, 0)->node, "windows");
    leat_topology_free(t);
}

static void test_window__given_options_that_mean_nothing__then_they_are_refused_by_name(void **state)
{
    (void)state;
    check_refused(&(struct leat_window_opts){ .size_us = 100, .triggers = { LEAT_ON_COUNT(2) } }, "trigger");
    check_refused(&(struct leat_window_opts){ .size_us = 0 }, "size_us");
    check_refused(&(struct leat_window_opts){ .size_us = -1 }, "size_us");
    check_refused(
        &(struct leat_window_opts){ .size_us = 100, .allowed_lateness_us = -1 }, "allowed_lateness_us");
}

static void test_ends_of_time__given_rows_there__then_bounds_stop_at_them(void **state)
{
    (void)state;
    static const struct fact_window_opts offset_30 = { .window = { .size_us = 100, .offset_us = 30 } };
    static const struct fact_window_opts all = { .window = { .size_us = INT64_MAX } };
    static const struct fact_window_opts all_late = { .window = { .size_us = INT64_MAX,
                                                          .allowed_lateness_us = INT64_MAX } };
    static const struct fact_window_opts disorder = { .out_of_orderness_us = 100,
        .window = { .size_us = 100 } };
    const struct scenario scenarios[] = {
        /* INT64_MAX ends in 807, INT64_MIN in 808: the last window starts at ...800, the first ends at
           -...800. */
        { "the last window", &hundred,
            "7@max-8; 7@max-7 > 7[max-107..max-7)1=1 O0; 7@max-1 > w=max-2; end > 7[max-7..max)2=2 O0" },
        { "the last window fires at its last instant", &hundred,
            "7@max-7; wm=max-2; wm=max-1 > 7[max-7..max)1=1 O0; end" },
        { "the last but one, whole", &hundred, "7@max-107; 7@max-8; end > 7[max-107..max-7)2=2 O0" },
        { "the first window", &hundred,
            "7@min+1; 7@min+7 > w=min+6; 7@min+8 > 7[min..min+8)2=2 O0, w=min+7; end > 7[min+8..min+108)1=1 "
            "O0" },
        { "the first instant", &hundred,
            "7@min > w=min; 7@min+8 > 7[min..min+8)1=1 O0; end > 7[min+8..min+108)1=1 O0" },
        { "with an offset, in front", &offset_30,
            "7@min+37; 7@min+38 > 7[min..min+38)1=1 O0; end > 7[min+38..min+138)1=1 O0" },
        { "with an offset, behind", &offset_30,
            "7@max-78; 7@max-77 > 7[max-177..max-77)1=1 O0; end > 7[max-77..max)1=1 O0" },
        { "disorder saturates", &disorder,
            "7@min+50 > w=min; 7@min+1; 7@min+101 > w=min; 7@min+102 > w=min+1" },
        { "from end to end", &disorder,
            "7@min+1; 7@max-1 > 7[min..min+8)1=1 O0; 7@0 > late 7:1@0; end > 7[max-7..max)1=1 O0" },
        { "one window for half of time", &all, "7@0; 7@max-2; end > 7[0..max)2=2 O0" },
        { "and for the other", &all, "7@min+1; 7@-1; 7@0 > 7[min+1..0)2=2 O0; end > 7[0..max)1=1 O0" },
        { "kept for ever", &all_late,
            "7@-1; 7@0 > 7[min+1..0)1=1 O0; wm=max-1 > 7[0..max)1=1 O0; 7@-2 > 7[min+1..0)2=2 L1; end" },
    };
    scenario_run(&fact_window_rig, scenarios, COUNT_OF(scenarios));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tumbling__given_a_time_size_and_offset__then_the_window_is_at_the_floor),
        cmocka_unit_test(test_firing__given_a_watermark__then_a_window_fires_at_its_last_instant),
        cmocka_unit_test(
            test_lateness__given_a_window__then_it_takes_rows_until_the_watermark_has_passed_end_and_lateness),
        cmocka_unit_test(test_late_records__given_nobody_who_takes_them__then_they_are_counted),
        cmocka_unit_test(test_panes__given_a_late_row__then_each_gives_a_pane_at_once),
        cmocka_unit_test(
            test_count_trigger__given_n__then_each_n_rows_of_a_window_and_key_give_an_early_pane),
        cmocka_unit_test(test_window__given_options_that_mean_nothing__then_they_are_refused_by_name),
        cmocka_unit_test(test_ends_of_time__given_rows_there__then_bounds_stop_at_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
