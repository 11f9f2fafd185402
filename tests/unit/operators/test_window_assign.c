/* tests/unit/operators/test_window_assign.c -- the arithmetic of aligned windows against an oracle that knows
 * only their definition (semantics 13 to 15), everywhere in a small range and at both ends of time. */
#include "operators/calendar_private.h"
#include "tests/support/unit.h"

/* Wide enough for sums at the ends of time. */
__extension__ typedef __int128 wide;

struct true_window {
    wide start, end;
};

static uint64_t seed = 1;
static int64_t below(int64_t n)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (int64_t)((seed >> 33) % (uint64_t)n);
}

static wide floor_to(wide ts, wide offset, wide step)
{
    wide rest = (ts - offset) % step;
    if (rest < 0)
        rest += step;
    return ts - rest;
}

static int64_t saturate(wide us)
{
    return us < LEAT_TIME_MIN ? LEAT_TIME_MIN : us > LEAT_TIME_MAX ? LEAT_TIME_MAX : (int64_t)us;
}

/* All windows that hold ts, in order of firing; how many. */
static uint32_t windows_of(const struct leat_window_opts *o, wide ts, struct true_window *all)
{
    uint32_t count = 0;
    if (o->kind == LEAT_WINDOW_TUMBLING) {
        const wide start = floor_to(ts, o->offset_us, o->size_us);
        all[count++] = (struct true_window){ start, start + o->size_us };
    } else if (o->kind == LEAT_WINDOW_HOPPING) {
        for (wide s = floor_to(ts - o->size_us, o->offset_us, o->slide_us); s <= ts; s += o->slide_us) {
            if (s <= ts - o->size_us)
                continue;
            if (count && s <= LEAT_TIME_MIN)
                count = 0; /* only the last of them is there */
            all[count++] = (struct true_window){ s, s + o->size_us };
        }
    } else {
        const wide start = floor_to(ts, o->offset_us, o->size_us);
        for (wide end = start + o->step_us; end <= start + o->size_us; end += o->step_us) {
            if (end <= ts && end < LEAT_TIME_MAX)
                continue;
            if (count && all[count - 1].end >= LEAT_TIME_MAX)
                break; /* only the first of them is there */
            all[count++] = (struct true_window){ start, end };
            if (end >= LEAT_TIME_MAX)
                break;
        }
    }
    return count;
}

static void assert_windows(const struct leat_window_opts *o, const struct leat__assigner *a, int64_t ts)
{
    struct true_window all[64];
    const uint32_t count = windows_of(o, ts, all);
    struct leat__window w;
    uint32_t i = 0;
    for (bool more = leat__window_from(a, ts, &w); more && w.start <= ts; more = leat__window_next(a, &w)) {
        assert_true(i < count);
        assert_int_equal(w.start, saturate(all[i].start));
        assert_int_equal(w.end, saturate(all[i].end));
        assert_true(leat__window_last_us(a, &w) >= ts);
        if (all[i].end <= LEAT_TIME_MAX && o->kind != LEAT_WINDOW_CUMULATING)
            assert_true(leat__window_last_us(a, &w) == saturate(all[i].end - 1));
        const struct leat__window again = leat__window_at(a, leat__window_ns(a, &w));
        assert_int_equal(again.start, w.start);
        assert_int_equal(again.end, w.end);
        i++;
    }
    assert_int_equal(i, count);
}

/* From anywhere, each window comes once, in order of firing and of namespaces, until those that end later. */
static void assert_order(const struct leat__assigner *a, int64_t ts)
{
    struct leat__window w, before;
    bool more = leat__window_from(a, ts, &w);
    for (uint32_t i = 0; more && i < 20; i++) {
        before = w;
        assert_true(leat__window_last_us(a, &before) >= ts);
        more = leat__window_next(a, &w);
        if (!more)
            return;
        assert_true(w.end >= before.end && w.start >= before.start);
        assert_true(leat__window_ns(a, &w) > leat__window_ns(a, &before));
    }
}

/* A window's slices cover it and nothing else, and ts is in the slice that says so. */
static void assert_slices(const struct leat__assigner *a, int64_t ts)
{
    struct leat__window w;
    const struct leat__window mine = leat__slice_of(a, ts);
    assert_true(mine.start <= ts && (ts < mine.end || mine.end == LEAT_TIME_MAX));
    assert_int_equal(leat__slice_of(a, mine.start).start, mine.start);
    uint32_t i = 0;
    for (bool more = leat__window_from(a, ts, &w); more && w.start <= ts && i < 20;
         more = leat__window_next(a, &w), i++) {
        const int64_t last = leat__window_last_us(a, &w);
        assert_int_equal(leat__slice_of(a, w.start).start, w.start);
        const struct leat__window end = leat__slice_of(a, last);
        assert_true(end.end == LEAT_TIME_MAX || end.end - 1 == last);
        assert_true(w.start <= mine.start && mine.start <= end.start);
    }
}

static struct leat_window_opts random_opts(void)
{
    struct leat_window_opts o = { .size_us = 1 + below(12), .offset_us = below(50) - 25 };
    switch (below(3)) {
    case 0:
        o.kind = LEAT_WINDOW_TUMBLING;
        break;
    case 1:
        o.kind = LEAT_WINDOW_HOPPING;
        o.slide_us = 1 + below(14);
        break;
    default:
        o.kind = LEAT_WINDOW_CUMULATING;
        o.step_us = o.size_us;
        o.size_us *= 1 + below(5);
        break;
    }
    return o;
}

static void given_any_options_when_windows_are_assigned_then_they_are_those_of_the_definition(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 3000; round++) {
        const struct leat_window_opts o = random_opts();
        struct leat__assigner a;
        leat__assigner_init(&a, &o, NULL);
        for (int64_t i = -40; i <= 40; i++) {
            assert_windows(&o, &a, i);
            assert_order(&a, i);
            assert_slices(&a, i);
        }
    }
}

static void given_the_ends_of_time_when_windows_are_assigned_then_they_saturate(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 3000; round++) {
        const struct leat_window_opts o = random_opts();
        struct leat__assigner a;
        leat__assigner_init(&a, &o, NULL);
        for (int64_t i = 0; i <= 60; i++) {
            assert_windows(&o, &a, LEAT_TIME_MIN + i);
            assert_order(&a, LEAT_TIME_MIN + i);
            assert_slices(&a, LEAT_TIME_MIN + i);
            assert_windows(&o, &a, LEAT_TIME_MAX - i);
            assert_order(&a, LEAT_TIME_MAX - i);
            assert_slices(&a, LEAT_TIME_MAX - i);
        }
    }
}

static void given_huge_sizes_when_windows_are_assigned_then_nothing_wraps(void **state)
{
    (void)state;
    static const int64_t times[] = { LEAT_TIME_MIN, LEAT_TIME_MIN + 1, -1, 0, 1, LEAT_TIME_MAX - 1,
        LEAT_TIME_MAX };
    for (uint32_t round = 0; round < 2000; round++) {
        struct leat_window_opts o = { .kind = LEAT_WINDOW_HOPPING,
            .size_us = LEAT_TIME_MAX - below(5),
            .slide_us = LEAT_TIME_MAX / (1 + below(9)) - below(3),
            .offset_us = below(2) ? LEAT_TIME_MIN + below(9) : LEAT_TIME_MAX - below(9) };
        if (below(2)) {
            o.kind = LEAT_WINDOW_CUMULATING;
            o.step_us = LEAT_TIME_MAX / (1 + below(9));
            o.size_us = o.step_us * (1 + below(LEAT_TIME_MAX / o.step_us));
        }
        struct leat__assigner a;
        leat__assigner_init(&a, &o, NULL);
        for (uint32_t i = 0; i < sizeof times / sizeof times[0]; i++) {
            assert_windows(&o, &a, times[i]);
            assert_order(&a, times[i]);
            assert_slices(&a, times[i]);
        }
    }
}

static void given_gaps_when_a_time_is_between_windows_then_none_holds_it(void **state)
{
    (void)state;
    const struct leat_window_opts o = { .kind = LEAT_WINDOW_HOPPING, .size_us = 3, .slide_us = 10 };
    struct leat__assigner a;
    struct leat__window w;
    leat__assigner_init(&a, &o, NULL);
    assert_true(leat__window_from(&a, 2, &w));
    assert_int_equal(w.start, 0);
    assert_true(leat__window_from(&a, 3, &w));
    assert_int_equal(w.start, 10);
    assert_int_equal(w.end, 13);
    assert_true(leat__window_from(&a, 9, &w));
    assert_int_equal(w.start, 10);
    assert_false(leat__window_from(&a, LEAT_TIME_MAX, &w)); /* 7 behind a start, and none follows */
}

static void given_the_global_window_when_it_is_assigned_then_it_is_all_of_time(void **state)
{
    (void)state;
    const struct leat_window_opts o = { .kind = LEAT_WINDOW_GLOBAL };
    struct leat__assigner a;
    struct leat__window w;
    leat__assigner_init(&a, &o, NULL);
    assert_true(leat__window_from(&a, LEAT_TIME_MAX, &w));
    assert_int_equal(w.start, LEAT_TIME_MIN);
    assert_int_equal(w.end, LEAT_TIME_MAX);
    assert_int_equal(leat__window_last_us(&a, &w), LEAT_TIME_MAX);
    assert_false(leat__window_next(&a, &w));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_any_options_when_windows_are_assigned_then_they_are_those_of_the_definition),
        cmocka_unit_test(given_the_ends_of_time_when_windows_are_assigned_then_they_saturate),
        cmocka_unit_test(given_huge_sizes_when_windows_are_assigned_then_nothing_wraps),
        cmocka_unit_test(given_gaps_when_a_time_is_between_windows_then_none_holds_it),
        cmocka_unit_test(given_the_global_window_when_it_is_assigned_then_it_is_all_of_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
