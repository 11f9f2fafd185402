/* tests/unit/runtime/test_watermark.c -- merging watermarks: a table of scripts for the rules of
 * runtime/watermark.h (semantics 2, 3, 4 and 6). */
#include "runtime/watermark.h"
#include "tests/support/unit.h"

enum action { END_OF_SCRIPT = 0, ADVANCE, ACTIVE, IDLE, FINISH, RESTORE, TOGETHER };
#define NONE LEAT_TIME_MIN

struct line {
    enum action action;
    uint32_t part;
    int64_t wm_us;
    int64_t merged_us; /* expected afterwards */
    bool idle, ended;
};

struct script {
    const char *name;
    uint32_t parts;
    struct line lines[12];
};

static const struct script scripts[] = {
    { "nothing comes out before every active part has spoken", 2,
        { { ADVANCE, 0, 10, NONE }, { ADVANCE, 1, 5, 5 }, { ADVANCE, 1, 20, 10 } } },
    { "a lower watermark is ignored", 1,
        { { ADVANCE, 0, 10, 10 }, { ADVANCE, 0, 9, 10 }, { ADVANCE, 0, 10, 10 } } },
    { "an idle part does not hold the others back", 2,
        { { ADVANCE, 0, 10, NONE }, { IDLE, 1, 0, 10 }, { ADVANCE, 0, 30, 30 } } },
    { "a part that never spoke may go idle", 2, { { IDLE, 0, 0, NONE }, { ADVANCE, 1, 7, 7 } } },
    { "when the last part goes idle the maximum over all comes out, then the whole is idle", 2,
        { { ADVANCE, 0, 10, NONE }, { ADVANCE, 1, 50, 10 }, { IDLE, 1, 0, 10 }, { IDLE, 0, 0, 50, true } } },
    { "an idle whole is active again when a part is", 1,
        { { ADVANCE, 0, 10, 10 }, { IDLE, 0, 0, 10, true }, { ACTIVE, 0, 0, 10 }, { ADVANCE, 0, 11, 11 } } },
    { "a returning part counts only when it has reached the merged watermark", 2,
        { { ADVANCE, 0, 10, NONE }, { ADVANCE, 1, 10, 10 }, { IDLE, 1, 0, 10 }, { ADVANCE, 0, 40, 40 },
            { ACTIVE, 1, 0, 40 }, { ADVANCE, 1, 39, 40 }, { ADVANCE, 0, 60, 60 }, { ADVANCE, 1, 60, 60 },
            { ADVANCE, 0, 90, 60 }, { ADVANCE, 1, 70, 70 } } },
    { "a returning part exactly at the merged watermark counts at once", 2,
        { { ADVANCE, 0, 40, NONE }, { IDLE, 1, 0, 40 }, { ADVANCE, 1, 40, 40 }, { ADVANCE, 0, 50, 40 } } },
    { "an ended part holds nothing back", 2,
        { { ADVANCE, 0, 10, NONE }, { FINISH, 1, 0, 10 }, { ADVANCE, 0, 11, 11 } } },
    { "when all have ended the watermark is the end of time", 2,
        { { FINISH, 0, 0, NONE }, { FINISH, 1, 0, LEAT_TIME_MAX, false, true } } },
    { "an ended part says nothing more", 2,
        { { FINISH, 0, 0, NONE }, { ADVANCE, 0, 5, NONE }, { IDLE, 0, 0, NONE }, { ADVANCE, 1, 3, 3 } } },
    { "one ended and the other idle: idle at its own maximum, not at the end of time", 2,
        { { ADVANCE, 0, 10, NONE }, { FINISH, 1, 0, 10 }, { IDLE, 0, 0, 10, true } } },
    { "the ends of time are watermarks like others", 1,
        { { ADVANCE, 0, LEAT_TIME_MIN + 1, LEAT_TIME_MIN + 1 },
            { ADVANCE, 0, LEAT_TIME_MAX, LEAT_TIME_MAX } } },
    { "going idle twice is going idle once", 2,
        { { ADVANCE, 0, 3, NONE }, { IDLE, 1, 0, 3 }, { IDLE, 1, 0, 3 }, { ADVANCE, 0, 4, 4 } } },
    { "restored, nothing comes out before every part was heard", 2,
        { { RESTORE, 0, 50, 50 }, { ADVANCE, 0, 90, 50 }, { ADVANCE, 0, 95, 50 }, { ADVANCE, 1, 60, 60 } } },
    { "restored, a part that is heard below the merged one holds nothing back", 2,
        { { RESTORE, 0, 50, 50 }, { ADVANCE, 0, 20, 50 }, { ADVANCE, 1, 70, 70 }, { ADVANCE, 0, 69, 70 },
            { ADVANCE, 0, 70, 70 }, { ADVANCE, 1, 90, 70 } } },
    { "restored, a part may be heard at the begin of time", 2,
        { { RESTORE, 0, 50, 50 }, { ADVANCE, 0, NONE, 50 }, { ADVANCE, 1, 51, 51 } } },
    { "restored at the begin of time, a part that is heard there counts", 2,
        { { RESTORE, 0, NONE, NONE }, { ADVANCE, 0, NONE, NONE }, { ADVANCE, 1, 51, NONE },
            { ADVANCE, 0, 7, 7 } } },
    { "restored, idleness is heard too", 2,
        { { RESTORE, 0, 50, 50 }, { IDLE, 0, 0, 50 }, { ADVANCE, 1, 60, 60 } } },
    { "restored, a record says nothing of the watermark", 2,
        { { RESTORE, 0, 50, 50 }, { ACTIVE, 0, 0, 50 }, { ADVANCE, 1, 60, 50 }, { ADVANCE, 0, 55, 55 } } },
    { "restored, an end is heard too", 2,
        { { RESTORE, 0, 50, 50 }, { FINISH, 1, 0, 50 }, { ADVANCE, 0, 51, 51 },
            { FINISH, 0, 0, LEAT_TIME_MAX, false, true } } },
    { "idle together: not before all have said so", 2,
        { { TOGETHER, 0, 0, NONE }, { ADVANCE, 0, 50, NONE }, { ADVANCE, 1, 10, 10 }, { IDLE, 0, 0, 10 },
            { ADVANCE, 1, 20, 20 }, { IDLE, 1, 0, 50, true } } },
    { "idle together: when one goes on it waits for the others", 3,
        { { TOGETHER, 0, 0, NONE }, { ADVANCE, 0, 10, NONE }, { ADVANCE, 1, 10, NONE },
            { ADVANCE, 2, 10, 10 }, { IDLE, 0, 0, 10 }, { IDLE, 1, 0, 10 }, { IDLE, 2, 0, 10, true },
            { ADVANCE, 1, 90, 10 }, { ADVANCE, 0, 90, 10 }, { ADVANCE, 2, 80, 80 } } },
    { "idle together: one that was only the last to say so is idle again with the others", 2,
        { { TOGETHER, 0, 0, NONE }, { ADVANCE, 0, 10, NONE }, { ADVANCE, 1, 10, 10 }, { IDLE, 0, 0, 10 },
            { ACTIVE, 0, 0, 10 }, { IDLE, 1, 0, 10 }, { ADVANCE, 0, 30, 10 }, { IDLE, 0, 0, 30, true },
            { ACTIVE, 1, 0, 30 }, { IDLE, 1, 0, 30, true } } },
    { "idle together: the end of who has not said so leaves the idle ones", 2,
        { { TOGETHER, 0, 0, NONE }, { ADVANCE, 0, 10, NONE }, { ADVANCE, 1, 10, 10 }, { IDLE, 0, 0, 10 },
            { FINISH, 1, 0, 10, true }, { FINISH, 0, 0, LEAT_TIME_MAX, false, true } } },
    { "idle together, restored: all are heard before they are", 2,
        { { TOGETHER, 0, 0, NONE }, { RESTORE, 0, 50, 50 }, { ADVANCE, 0, 50, 50 }, { IDLE, 0, 0, 50 },
            { ADVANCE, 1, 50, 50 }, { IDLE, 1, 0, 50, true }, { ADVANCE, 1, 60, 50 },
            { ADVANCE, 0, 70, 60 } } },
    { "restored, all may be idle again", 2,
        { { RESTORE, 0, 60, 60 }, { ADVANCE, 0, 40, 60 }, { IDLE, 0, 0, 60 }, { ADVANCE, 1, 60, 60 },
            { IDLE, 1, 0, 60, true }, { ADVANCE, 0, 61, 61 } } },
};

static void run_line(struct leat_wm_merge *merge, const struct line *line)
{
    switch (line->action) {
    case ADVANCE:
        (void)leat__wm_advance(merge, line->part, line->wm_us);
        break;
    case ACTIVE:
        (void)leat__wm_set_active(merge, line->part);
        break;
    case IDLE:
        (void)leat__wm_set_idle(merge, line->part);
        break;
    case FINISH:
        (void)leat__wm_end(merge, line->part);
        break;
    case RESTORE:
        leat__wm_restore(merge, line->wm_us);
        break;
    case TOGETHER:
        merge->together = true;
        break;
    case END_OF_SCRIPT:
        break;
    }
}

static void test_watermark__given_a_script__when_parts_speak__then_the_merged_one_follows_the_rules(
    void **state)
{
    (void)state;
    for (size_t s = 0; s < sizeof scripts / sizeof scripts[0]; s++) {
        struct leat_wm_merge merge;
        assert_int_equal(leat__wm_init(&merge, scripts[s].parts), 0);
        for (size_t i = 0; scripts[s].lines[i].action != END_OF_SCRIPT; i++) {
            const struct line *line = &scripts[s].lines[i];
            run_line(&merge, line);
            if (merge.merged_us != line->merged_us || merge.idle != line->idle || merge.ended != line->ended)
                fail_msg("%s: line %zu: merged %lld idle %d ended %d, expected %lld %d %d", scripts[s].name,
                    i + 1, (long long)merge.merged_us, merge.idle, merge.ended, (long long)line->merged_us,
                    line->idle, line->ended);
        }
        leat__wm_release(&merge);
    }
}

static void test_watermark__given_no_parts__then_the_merge_has_ended(void **state)
{
    struct leat_wm_merge merge;
    (void)state;
    assert_int_equal(leat__wm_init(&merge, 0), 0);
    assert_true(merge.ended);
    assert_int_equal(merge.merged_us, LEAT_TIME_MAX);
    leat__wm_release(&merge);
}

/* Whatever happens, in any order: the merged watermark never goes back and never passes an active part that
 * counts. */
static void test_watermark__given_random_events__then_it_is_monotone_and_below_what_counts(void **state)
{
    uint64_t seed = 42;
    (void)state;
    for (int round = 0; round < 2000; round++) {
        struct leat_wm_merge merge;
        int64_t before_us = LEAT_TIME_MIN;
        const uint32_t parts = 1 + (uint32_t)round % 4;
        assert_int_equal(leat__wm_init(&merge, parts), 0);
        merge.together = round % 3 == 0;
        for (int i = 0; i < 40; i++) {
            seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
            const struct line line = { (enum action)(1 + (seed >> 33) % 4), (uint32_t)(seed >> 40) % parts,
                (int64_t)((seed >> 45) % 50), 0, false, false };
            if (line.action != FINISH || (seed >> 60) == 0)
                run_line(&merge, &line);
            assert_true(merge.merged_us >= before_us);
            before_us = merge.merged_us;
            for (uint32_t p = 0; p < parts; p++)
                if (merge.parts[p].counts && !merge.parts[p].ended)
                    assert_true(merge.merged_us <= merge.parts[p].wm_us);
        }
        leat__wm_release(&merge);
    }
}

static void
test_watermark__given_a_merge_that_grows__then_new_parts_hold_nothing_back_until_they_have_caught_up(
    void **state)
{
    struct leat_wm_merge merge;
    (void)state;
    assert_int_equal(leat__wm_init(&merge, 1), 0);
    leat__wm_grows(&merge);
    assert_true(leat__wm_advance(&merge, 0, 10));
    assert_int_equal(leat__wm_add(&merge), 0);
    assert_true(leat__wm_advance(&merge, 0, 50));
    assert_int_equal(merge.merged_us, 50);
    (void)leat__wm_advance(&merge, 1, 49);
    (void)leat__wm_advance(&merge, 0, 60);
    assert_int_equal(merge.merged_us, 60);
    (void)leat__wm_advance(&merge, 1, 60);
    (void)leat__wm_advance(&merge, 0, 90);
    assert_int_equal(merge.merged_us, 60);
    (void)leat__wm_end(&merge, 0);
    (void)leat__wm_end(&merge, 1);
    assert_false(merge.ended); /* more may come */
    assert_true(merge.idle);
    assert_int_equal(merge.merged_us, 60);
    leat__wm_grown(&merge);
    assert_true(merge.ended);
    assert_int_equal(merge.merged_us, LEAT_TIME_MAX);
    leat__wm_release(&merge);
}

static void test_watermark__given_no_parts_yet__when_it_grows__then_it_is_idle_and_not_ended(void **state)
{
    struct leat_wm_merge merge;
    (void)state;
    assert_int_equal(leat__wm_init(&merge, 0), 0);
    leat__wm_grows(&merge);
    assert_true(merge.idle && !merge.ended);
    leat__wm_restore(&merge, 70);
    assert_int_equal(merge.merged_us, 70);
    assert_int_equal(leat__wm_add(&merge), 0);
    assert_false(merge.idle);
    (void)leat__wm_advance(&merge, 0, 20);
    assert_int_equal(merge.merged_us, 70);
    (void)leat__wm_advance(&merge, 0, 80);
    assert_int_equal(merge.merged_us, 80);
    leat__wm_release(&merge);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_watermark__given_a_script__when_parts_speak__then_the_merged_one_follows_the_rules),
        cmocka_unit_test(test_watermark__given_no_parts__then_the_merge_has_ended),
        cmocka_unit_test(test_watermark__given_random_events__then_it_is_monotone_and_below_what_counts),
        cmocka_unit_test(
            test_watermark__given_a_merge_that_grows__then_new_parts_hold_nothing_back_until_they_have_caught_up),
        cmocka_unit_test(test_watermark__given_no_parts_yet__when_it_grows__then_it_is_idle_and_not_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
