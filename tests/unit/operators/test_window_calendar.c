/* tests/unit/operators/test_window_calendar.c -- calendar windows where clocks change, far away, and of damaged
 * files. The expected bounds were computed apart, from the zones' published rules. */
#include "operators/calendar_private.h"
#include "tests/support/unit.h"
#include <stdlib.h>

struct expected {
    const char *zone;
    enum leat_calendar_unit unit;
    int64_t at, start, end; /* seconds */
};

static const struct expected expected[] = {
    { NULL, LEAT_DAY, 0, 0, 86400 },
    { "UTC", LEAT_DAY, -1, -86400, 0 },
    { NULL, LEAT_WEEK, 0, -259200, 345600 }, /* from Monday, 1969-12-29 */
    { NULL, LEAT_MONTH, 951782400, 949363200, 951868800 }, /* 2000-02-29 */
    { NULL, LEAT_YEAR, 951782400, 946684800, 978307200 },
    /* 23 and 25 hours: 2024-03-31 and 2024-10-27 in Berlin. */
    { "Europe/Berlin", LEAT_DAY, 1711846800, 1711839600, 1711922400 },
    { "Europe/Berlin", LEAT_DAY, 1711839599, 1711753200, 1711839600 },
    { "Europe/Berlin", LEAT_DAY, 1729990800, 1729980000, 1730070000 },
    { "Europe/Berlin", LEAT_MONTH, 1711846800, 1709247600, 1711922400 },
    /* No midnight: 2018-11-04 in Sao Paulo begins at 01:00. */
    { "America/Sao_Paulo", LEAT_DAY, 1541300400, 1541300400, 1541383200 },
    { "America/Sao_Paulo", LEAT_DAY, 1541300399, 1541214000, 1541300400 },
    /* No 2011-12-30 in Apia: the 29th ends where the 31st begins. */
    { "Pacific/Apia", LEAT_DAY, 1325239199, 1325152800, 1325239200 },
    { "Pacific/Apia", LEAT_DAY, 1325239200, 1325239200, 1325325600 },
};

static struct leat__window window_at(const char *name, enum leat_calendar_unit unit, int64_t us)
{
    struct leat_error err = { 0 };
    struct leat__zone zone;
    if (leat__zone_load(leat__env_posix(), LEAT__ZONE_DIR, name, &zone, &err) < 0)
        fail_msg("%s", err.message);
    const struct leat__calendar calendar = { unit, &zone };
    const struct leat__window window = leat__calendar_window(&calendar, us);
    leat__zone_release(&zone);
    return window;
}

static void test_bounds__given_days_on_which_clocks_change__then_as_the_zone_says(void **unused)
{
    (void)unused;
    for (uint32_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        const struct expected *e = &expected[i];
        const struct leat__window window = window_at(e->zone, e->unit, e->at * 1000000);
        if (window.start != e->start * 1000000 || window.end != e->end * 1000000)
            fail_msg("line %u: %lld to %lld", i, (long long)(window.start / 1000000),
                (long long)(window.end / 1000000));
    }
}

/* 400 years on, the calendar and the rule are the same; and whatever the time is, it is in its window. */
static void test_bounds__given_times_far_away__then_they_repeat_and_hold_the_time(void **unused)
{
    (void)unused;
    const int64_t cycle_us = INT64_C(146097) * 86400 * 1000000;
    static const int64_t times[] = { LEAT_TIME_MIN, LEAT_TIME_MIN + 1, -1, 0, LEAT_TIME_MAX - 1,
        LEAT_TIME_MAX };
    for (uint32_t unit = LEAT_DAY; unit <= LEAT_YEAR; unit++) {
        const int64_t us = INT64_C(4500000000) * 1000000; /* 2112: only the rule knows */
        const struct leat__window near = window_at("Europe/Berlin", (enum leat_calendar_unit)unit, us);
        const struct leat__window far =
            window_at("Europe/Berlin", (enum leat_calendar_unit)unit, us + 700 * cycle_us);
        assert_int_equal(far.start - near.start, 700 * cycle_us);
        assert_int_equal(far.end - near.end, 700 * cycle_us);
        for (uint32_t i = 0; i < sizeof times / sizeof times[0]; i++) {
            const struct leat__window w = window_at("Europe/Berlin", (enum leat_calendar_unit)unit, times[i]);
            assert_true(w.start <= times[i] && (times[i] < w.end || w.end == LEAT_TIME_MAX));
        }
    }
}

static void test_zones__given_what_is_no_zone__then_the_error_helps(void **unused)
{
    (void)unused;
    struct leat_error err = { 0 };
    struct leat__zone zone;
    assert_int_equal(
        leat__zone_load(leat__env_posix(), LEAT__ZONE_DIR, "Europe/Belin", &zone, &err), LEAT_ENOTFOUND);
    assert_non_null(strstr(err.message, "did you mean \"Europe/Berlin\""));
    assert_int_equal(
        leat__zone_load(leat__env_posix(), "/nowhere", "Europe/Berlin", &zone, &err), LEAT_ENOTFOUND);
    assert_non_null(strstr(err.message, "tzdata"));
    assert_int_equal(
        leat__zone_load(leat__env_posix(), LEAT__ZONE_DIR, "zone.tab", &zone, &err), LEAT_ENOTFOUND);
}

static void test_zones__given_damaged_bytes__then_an_error_and_no_more(void **unused)
{
    (void)unused;
    static char good[65536], bad[65536];
    struct leat_env *env = leat__env_posix();
    struct leat_error err = { 0 };
    struct leat__zone zone;
    leat_fd fd;
    assert_int_equal(env->fs_open(env, LEAT__ZONE_DIR "/Europe/Berlin", LEAT_OPEN_READ, &fd, &err), 0);
    const int64_t len = env->fs_pread(env, fd, good, sizeof good, 0, &err);
    env->fs_close(env, fd);
    assert_true(len > 100);
    for (int64_t cut = 0; cut < len; cut++) {
        char *exact = malloc((size_t)cut + 1); /* so that a sanitizer sees what is read behind it */
        memcpy(exact, good, (size_t)cut);
        assert_int_equal(leat__zone_parse(exact, (size_t)cut, &zone, &err), LEAT_EDATA);
        free(exact);
    }
    for (int64_t at = 0; at < len; at++) {
        memcpy(bad, good, (size_t)len);
        bad[at] = (char)(bad[at] ^ 0x81);
        if (leat__zone_parse(bad, (size_t)len, &zone, &err) < 0)
            continue;
        const struct leat__calendar calendar = { LEAT_MONTH, &zone };
        const struct leat__window w = leat__calendar_window(&calendar, INT64_C(1711846800000000));
        assert_true(w.start < w.end);
        leat__zone_release(&zone);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bounds__given_days_on_which_clocks_change__then_as_the_zone_says),
        cmocka_unit_test(test_bounds__given_times_far_away__then_they_repeat_and_hold_the_time),
        cmocka_unit_test(test_zones__given_what_is_no_zone__then_the_error_helps),
        cmocka_unit_test(test_zones__given_damaged_bytes__then_an_error_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
