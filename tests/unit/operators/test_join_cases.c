/* tests/unit/operators/test_join_cases.c -- runs the text cases of joins that keep records without a partner, and of
 * what is like them. */
#include "tests/support/cases.h"
#include "tests/support/unit.h"
#include <glob.h>
#include <leat/join.h>
#include <leat/table.h>
#include <stdio.h>

/* Joins on `key` into the file's `row`: the ids of both, and the text of one. Late records are taken. */
static leat_stream *join_with(const struct case_setup *setup, struct leat_join_opts opts)
{
    opts.left_key = "key";
    opts.out = case_type(setup, "row");
    opts.fields[0] = (struct leat_projection){ "left.id", "left" };
    opts.fields[1] = (struct leat_projection){ "right.id", "right" };
    opts.fields[2] = (struct leat_projection){ "coalesce(left.text, right.text)", "text" };
    leat_stream *joined = leat_join(setup->inputs[0], setup->inputs[1], "join", &opts);
    (void)leat_late_left(joined);
    (void)leat_late_right(joined);
    return joined;
}

static leat_stream *declare_left_5(const struct case_setup *setup)
{
    return join_with(setup, (struct leat_join_opts){ .within_us = 5, .kind = LEAT_JOIN_LEFT });
}
static leat_stream *declare_right_5(const struct case_setup *setup)
{
    return join_with(setup, (struct leat_join_opts){ .within_us = 5, .kind = LEAT_JOIN_RIGHT });
}
static leat_stream *declare_full_5(const struct case_setup *setup)
{
    return join_with(setup, (struct leat_join_opts){ .within_us = 5, .kind = LEAT_JOIN_FULL });
}
static leat_stream *declare_full_2_7(const struct case_setup *setup)
{
    return join_with(setup, (struct leat_join_opts){ .before_us = 2, .after_us = 7, .kind = LEAT_JOIN_FULL });
}
static leat_stream *declare_full_from_3_to_6(const struct case_setup *setup)
{
    return join_with(
        setup, (struct leat_join_opts){ .before_us = -3, .after_us = 6, .kind = LEAT_JOIN_FULL });
}
static leat_stream *declare_full_where(const struct case_setup *setup)
{
    return join_with(setup,
        (struct leat_join_opts){
            .within_us = 5, .where = "left.value = right.value", .kind = LEAT_JOIN_FULL });
}
static leat_stream *declare_full_divides(const struct case_setup *setup)
{
    return leat_on_error(
        join_with(setup,
            (struct leat_join_opts){
                .within_us = 5, .where = "10 / (left.value - right.value) > 0", .kind = LEAT_JOIN_FULL }),
        LEAT_SKIP);
}
static leat_stream *declare_left_late_10(const struct case_setup *setup)
{
    return join_with(
        setup, (struct leat_join_opts){ .within_us = 5, .allowed_lateness_us = 10, .kind = LEAT_JOIN_LEFT });
}
static leat_stream *declare_full_wide(const struct case_setup *setup)
{
    return join_with(setup, (struct leat_join_opts){ .within_us = LEAT_NEVER, .kind = LEAT_JOIN_FULL });
}

/* As-of joins, with the same output. */
static leat_stream *asof_with(const struct case_setup *setup, struct leat_asof_join_opts opts)
{
    opts.left_key = "key";
    opts.out = case_type(setup, "row");
    opts.fields[0] = (struct leat_projection){ "left.id", "left" };
    opts.fields[1] = (struct leat_projection){ "right.id", "right" };
    opts.fields[2] = (struct leat_projection){ "left.text", "text" };
    leat_stream *joined = leat_asof_join(setup->inputs[0], setup->inputs[1], "join", &opts);
    (void)leat_late_left(joined);
    (void)leat_late_right(joined);
    return joined;
}

static leat_stream *declare_asof_backward_5(const struct case_setup *setup)
{
    return asof_with(setup, (struct leat_asof_join_opts){ .tolerance_us = 5, .kind = LEAT_JOIN_LEFT });
}
static leat_stream *declare_asof_forward_5(const struct case_setup *setup)
{
    return asof_with(setup,
        (struct leat_asof_join_opts){
            .tolerance_us = 5, .direction = LEAT_ASOF_FORWARD, .kind = LEAT_JOIN_LEFT });
}
static leat_stream *declare_asof_nearest_5(const struct case_setup *setup)
{
    return asof_with(
        setup, (struct leat_asof_join_opts){ .tolerance_us = 5, .direction = LEAT_ASOF_NEAREST });
}
static leat_stream *declare_asof_any(const struct case_setup *setup)
{
    return asof_with(
        setup, (struct leat_asof_join_opts){ .tolerance_us = LEAT_NEVER, .kind = LEAT_JOIN_LEFT });
}
static leat_stream *declare_asof_equal(const struct case_setup *setup)
{
    return asof_with(setup, (struct leat_asof_join_opts){ .kind = LEAT_JOIN_LEFT });
}
static leat_stream *declare_asof_where(const struct case_setup *setup)
{
    return asof_with(setup,
        (struct leat_asof_join_opts){ .tolerance_us = 5,
            .direction = LEAT_ASOF_NEAREST,
            .where = "right.value < left.value",
            .kind = LEAT_JOIN_LEFT });
}
static leat_stream *declare_asof_late_10(const struct case_setup *setup)
{
    return asof_with(setup,
        (struct leat_asof_join_opts){ .tolerance_us = 5, .allowed_lateness_us = 10, .kind = LEAT_JOIN_LEFT });
}

/* Window joins, with the same output and the window. */
static leat_stream *window_with(const struct case_setup *setup, struct leat_window_join_opts opts)
{
    opts.left_key = "key";
    opts.out = case_type(setup, "row");
    opts.fields[0] = (struct leat_projection){ "left.id", "left" };
    opts.fields[1] = (struct leat_projection){ "right.id", "right" };
    opts.fields[2] = (struct leat_projection){ "coalesce(left.text, right.text)", "text" };
    leat_stream *joined = leat_window_join(setup->inputs[0], setup->inputs[1], "join", &opts);
    (void)leat_late_left(joined);
    (void)leat_late_right(joined);
    return joined;
}

static const struct leat_window_opts tens = { .kind = LEAT_WINDOW_TUMBLING, .size_us = 10 };
static const struct leat_window_opts sessions = { .kind = LEAT_WINDOW_SESSION, .gap_us = 5 };

static leat_stream *declare_window_inner(const struct case_setup *setup)
{
    return window_with(setup, (struct leat_window_join_opts){ .window = tens });
}
static leat_stream *declare_window_left(const struct case_setup *setup)
{
    return window_with(setup, (struct leat_window_join_opts){ .window = tens, .kind = LEAT_JOIN_LEFT });
}
static leat_stream *declare_window_right(const struct case_setup *setup)
{
    return window_with(setup, (struct leat_window_join_opts){ .window = tens, .kind = LEAT_JOIN_RIGHT });
}
static leat_stream *declare_window_full(const struct case_setup *setup)
{
    return window_with(setup, (struct leat_window_join_opts){ .window = tens, .kind = LEAT_JOIN_FULL });
}
static leat_stream *declare_window_full_where(const struct case_setup *setup)
{
    return window_with(setup,
        (struct leat_window_join_opts){
            .window = tens, .kind = LEAT_JOIN_FULL, .where = "left.value < right.value" });
}
static leat_stream *declare_window_hopping_full(const struct case_setup *setup)
{
    return window_with(setup,
        (struct leat_window_join_opts){
            .window = { .kind = LEAT_WINDOW_HOPPING, .size_us = 10, .slide_us = 5 },
            .kind = LEAT_JOIN_FULL });
}
static leat_stream *declare_window_gaps(const struct case_setup *setup)
{
    return window_with(setup,
        (struct leat_window_join_opts){
            .window = { .kind = LEAT_WINDOW_HOPPING, .size_us = 4, .slide_us = 10, .allow_gaps = true } });
}
static leat_stream *declare_window_cumulating(const struct case_setup *setup)
{
    return window_with(setup,
        (struct leat_window_join_opts){
            .window = { .kind = LEAT_WINDOW_CUMULATING, .size_us = 10, .step_us = 5 } });
}
static leat_stream *declare_window_late_10(const struct case_setup *setup)
{
    struct leat_window_join_opts opts = { .window = tens };
    opts.window.allowed_lateness_us = 10;
    return window_with(setup, opts);
}
static leat_stream *declare_window_session_full(const struct case_setup *setup)
{
    return window_with(setup, (struct leat_window_join_opts){ .window = sessions, .kind = LEAT_JOIN_FULL });
}
static leat_stream *declare_window_session_where(const struct case_setup *setup)
{
    return window_with(setup,
        (struct leat_window_join_opts){
            .window = sessions, .kind = LEAT_JOIN_FULL, .where = "left.value < right.value" });
}
static leat_stream *declare_window_day(const struct case_setup *setup)
{
    return window_with(setup,
        (struct leat_window_join_opts){
            .window = { .kind = LEAT_WINDOW_CALENDAR, .unit = LEAT_DAY, .zone = "Europe/Berlin" } });
}

/* ---- a stream with itself ---- */

static void show_both(
    const struct case_setup *setup, const struct leat_type **out, struct leat_projection *fields)
{
    *out = case_type(setup, "row");
    fields[0] = (struct leat_projection){ "left.id", "left" };
    fields[1] = (struct leat_projection){ "right.id", "right" };
    fields[2] = (struct leat_projection){ "coalesce(left.key, right.key)", "key" };
}

static leat_stream *self_interval(const struct case_setup *setup, struct leat_join_opts opts)
{
    opts.left_key = "key";
    show_both(setup, &opts.out, opts.fields);
    leat_stream *joined = leat_join(setup->inputs[0], setup->inputs[0], "join", &opts);
    (void)leat_late_left(joined);
    (void)leat_late_right(joined);
    return joined;
}
static leat_stream *declare_self_next(const struct case_setup *setup)
{
    return self_interval(setup, (struct leat_join_opts){ .before_us = -1, .after_us = 5, .key_as = "key" });
}
static leat_stream *declare_self_full(const struct case_setup *setup)
{
    return self_interval(setup,
        (struct leat_join_opts){
            .within_us = 5, .kind = LEAT_JOIN_FULL, .where = "left.value < right.value", .key_as = "key" });
}
static leat_stream *declare_self_parent(const struct case_setup *setup)
{
    return self_interval(
        setup, (struct leat_join_opts){ .right_key = "text", .within_us = 5, .kind = LEAT_JOIN_LEFT });
}

static leat_stream *declare_self_window(const struct case_setup *setup)
{
    struct leat_window_join_opts opts = { .left_key = "key",
        .window = tens,
        .kind = LEAT_JOIN_FULL,
        .where = "left.id < right.id",
        .key_as = "key" };
    show_both(setup, &opts.out, opts.fields);
    leat_stream *joined = leat_window_join(setup->inputs[0], setup->inputs[0], "join", &opts);
    (void)leat_late_left(joined);
    (void)leat_late_right(joined);
    return joined;
}

/* The newest other record that is not later: of one that is its own partner the condition takes none. */
static leat_stream *declare_self_asof(const struct case_setup *setup)
{
    struct leat_asof_join_opts opts = { .left_key = "key",
        .tolerance_us = 5,
        .kind = LEAT_JOIN_LEFT,
        .where = "left.id <> right.id",
        .key_as = "key" };
    show_both(setup, &opts.out, opts.fields);
    leat_stream *joined = leat_asof_join(setup->inputs[0], setup->inputs[0], "join", &opts);
    (void)leat_late_left(joined);
    (void)leat_late_right(joined);
    return joined;
}

static leat_stream *declare_self_tables(const struct case_setup *setup)
{
    struct leat_join_tables_opts opts = {
        .left_key = "key", .kind = LEAT_JOIN_FULL, .where = "left.value < right.value", .key_as = "key"
    };
    show_both(setup, &opts.out, opts.fields);
    return leat_join_tables(setup->inputs[0], setup->inputs[0], "join", &opts);
}

static const struct case_operator operators[] = {
    { "self-next", declare_self_next },
    { "self-full", declare_self_full },
    { "self-parent", declare_self_parent },
    { "self-window", declare_self_window },
    { "self-asof", declare_self_asof },
    { "self-tables", declare_self_tables },
    { "window-inner", declare_window_inner },
    { "window-left", declare_window_left },
    { "window-right", declare_window_right },
    { "window-full", declare_window_full },
    { "window-full-where", declare_window_full_where },
    { "window-hopping-full", declare_window_hopping_full },
    { "window-gaps", declare_window_gaps },
    { "window-cumulating", declare_window_cumulating },
    { "window-late-10", declare_window_late_10 },
    { "window-session-full", declare_window_session_full },
    { "window-session-where", declare_window_session_where },
    { "window-day", declare_window_day },
    { "asof-backward-5", declare_asof_backward_5 },
    { "asof-forward-5", declare_asof_forward_5 },
    { "asof-nearest-5", declare_asof_nearest_5 },
    { "asof-any", declare_asof_any },
    { "asof-equal", declare_asof_equal },
    { "asof-where", declare_asof_where },
    { "asof-late-10", declare_asof_late_10 },
    { "left-5", declare_left_5 },
    { "right-5", declare_right_5 },
    { "full-5", declare_full_5 },
    { "full-2-7", declare_full_2_7 },
    { "full-from-3-to-6", declare_full_from_3_to_6 },
    { "full-where", declare_full_where },
    { "full-divides", declare_full_divides },
    { "left-late-10", declare_left_late_10 },
    { "full-wide", declare_full_wide },
};

static void run_file(void **state)
{
    case_run_file(*state, operators, COUNT_OF(operators));
}

int main(void)
{
    static const char *const folders[] = { "join_outer", "join_asof", "join_window", "join_self" };
    struct CMUnitTest tests[128];
    size_t count = 0;
    glob_t found = { 0 };
    for (size_t i = 0; i < COUNT_OF(folders); i++) {
        char pattern[128];
        (void)snprintf(pattern, sizeof pattern, "tests/operators/%s/*.case", folders[i]);
        if (glob(pattern, i ? GLOB_APPEND : 0, NULL, &found) != 0) {
            print_error("%s: there are none; run me at the top of the project\n", pattern);
            return 1;
        }
    }
    for (; count < found.gl_pathc && count < COUNT_OF(tests); count++)
        tests[count] = (struct CMUnitTest){
            .name = found.gl_pathv[count], .test_func = run_file, .initial_state = found.gl_pathv[count]
        };
    const int failed = _cmocka_run_group_tests("cases", tests, count, NULL, NULL);
    globfree(&found);
    return failed;
}
