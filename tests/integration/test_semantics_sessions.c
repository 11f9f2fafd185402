/* tests/integration/test_semantics_sessions.c -- rules 16, 17 and 20 of the semantics at their boundaries: sessions
 * exactly the gap apart, those that a late record makes one, windows that end at each record, both ends of time.
 * Written from the page alone. */
#include "tests/support/fact_jobs.h"
#include "tests/support/unit.h"

#define WINDOW(...) ((const struct fact_window_opts){ .window = { __VA_ARGS__ } })

/* ---- sessions ---- */

static void test_sessions__given_records_the_gap_apart__then_exactly_the_gap_is_one_session(void **state)
{
    (void)state;
    const struct fact_window_opts ten = WINDOW(.kind = LEAT_WINDOW_SESSION, .gap_us = 10);
    struct fact_window_opts disorder = ten;
    disorder.out_of_orderness_us = 30;
    const struct scenario scenarios[] = {
        { "exactly the gap", &ten, "7@0; 7@10; wm=19; wm=20 > 7[0..20)2=2 O0; end" },
        { "exactly the gap, and a watermark between", &ten,
            "7@0; 8@10; 7@10; end > 7[0..20)2=2 O0, 8[10..20)1=1 O0" },
        { "one more", &ten, "7@0; 7@11 > 7[0..10)1=1 O0; end > 7[11..21)1=1 O0" },
        { "keys do not meet, and null is one", &ten,
            "7@0; 8@5; -@7; 7@10; end > 7[0..20)2=2 O0, 8[5..15)1=1 O0, -[7..17)1=1 O0" },
        { "equal times", &ten, "7@0; 7@0; 7@0; end > 7[0..10)3=3 O0" },
        { "the one between comes last", &disorder, "7@0; 7@20; 7:5@10; end > 7[0..30)3=7 O0" },
        { "one short of bridging", &disorder, "7@0; 7@21; 7:5@10; end > 7[0..20)2=6 O0, 7[21..31)1=1 O0" },
        { "a record inside changes no bound", &disorder, "7@0; 7@8; 7:5@4; end > 7[0..18)3=7 O0" },
        { "a record before moves the start", &disorder, "7@20; 7:5@10; end > 7[10..30)2=6 O0" },
        { "negative times", &disorder, "7@-20; 7@-10; 7@0; end > 7[-20..10)3=3 O0" },
    };
    scenario_run(&fact_session_rig, scenarios, COUNT_OF(scenarios));
}

static void test_sessions__given_a_late_record__then_it_is_judged_after_merging(void **state)
{
    (void)state;
    const struct fact_window_opts ten = WINDOW(.kind = LEAT_WINDOW_SESSION, .gap_us = 10);
    const struct scenario scenarios[] = {
        { "it reaches a session that is kept", &ten, "7@105; 7:5@95 > late=0; end > 7[95..115)2=6 O0" },
        { "it reaches none", &ten, "7@105; 7:5@94 > late 7:5@94, late=1; end > 7[105..115)1=1 O0" },
        { "another key's session is no help", &ten,
            "7@105; 8:5@94 > late 8:5@94, late=1; end > 7[105..115)1=1 O0" },
    };
    scenario_run(&fact_session_rig, scenarios, COUNT_OF(scenarios));
}

/* ---- sliding ---- */

static void test_sliding__given_records__then_a_window_ends_at_each_of_their_times(void **state)
{
    (void)state;
    const struct fact_window_opts ten = WINDOW(.kind = LEAT_WINDOW_SLIDING, .size_us = 10);
    struct fact_window_opts disorder = ten;
    disorder.out_of_orderness_us = 30;
    const struct scenario scenarios[] = {
        { "both ends are inside", &ten,
            "7@0; wm=-1; wm=0 > 7[-10..1)1=1 O0; 7@10; wm=10 > 7[0..11)2=2 O0; 7@11; wm=11 > 7[1..12)2=2 O0; "
            "end" },
        { "equal times are one window", &ten, "7:1@0; 7:2@0; end > 7[-10..1)2=3 O0" },
        { "an earlier record enters the later windows", &disorder,
            "7:1@10; 7:2@20; 7:4@15; end > 7[0..11)1=1 O0, 7[5..16)2=5 O0, 7[10..21)3=7 O0" },
        { "keys have their own", &ten, "7@0; 8@5 > 7[-10..1)1=1 O0; end > 8[-5..6)1=1 O0" },
    };
    scenario_run(&fact_window_rig, scenarios, COUNT_OF(scenarios));
}

static void test_windows__given_times_at_the_ends__then_bounds_are_cut_and_nothing_wraps(void **state)
{
    (void)state;
    const struct fact_window_opts session = WINDOW(.kind = LEAT_WINDOW_SESSION, .gap_us = 10);
    const struct fact_window_opts sliding = WINDOW(.kind = LEAT_WINDOW_SLIDING, .size_us = 10);
    const struct scenario sessions[] = {
        { "a session that would end behind time", &session, "7@max-3; 7@max-1; end > 7[max-3..max)2=2 O0" },
        { "a session that begins with time", &session,
            "7@min; 7@min+10; wm=min+19; wm=min+20 > 7[min..min+20)2=2 O0; end" },
    };
    const struct scenario slidings[] = {
        { "sliding before time", &sliding,
            "7@min; 7@min+3 > 7[min..min+1)1=1 O0; end > 7[min..min+4)2=2 O0" },
        { "sliding at the last time but one", &sliding,
            "7@max-11; 7@max-1 > 7[max-21..max-10)1=1 O0; end > 7[max-11..max)2=2 O0" },
    };
    scenario_run(&fact_session_rig, sessions, COUNT_OF(sessions));
    scenario_run(&fact_window_rig, slidings, COUNT_OF(slidings));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sessions__given_records_the_gap_apart__then_exactly_the_gap_is_one_session),
        cmocka_unit_test(test_sessions__given_a_late_record__then_it_is_judged_after_merging),
        cmocka_unit_test(test_sliding__given_records__then_a_window_ends_at_each_of_their_times),
        cmocka_unit_test(test_windows__given_times_at_the_ends__then_bounds_are_cut_and_nothing_wraps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
