/* tests/unit/operators/test_cases.c -- runs tests/operators/<operator>/<file>.case for the operators declared
 * here. */
#include "tests/support/cases.h"
#include "tests/support/unit.h"
#include <glob.h>
#include <leat/branch.h>
#include <leat/change.h>
#include <leat/join.h>
#include <leat/peek.h>
#include <leat/union.h>
#include <stdio.h>

/* The records of schemas that case files call `event`, `made` and `pair`. Types are those of the file. */
struct event {
    int64_t id;
    bool has_key;
    struct leat_sv key;
    int64_t ts;
    int64_t value;
    struct leat_sv text;
};
struct made {
    int64_t id;
    struct leat_sv label;
    int64_t at;
};
struct pair {
    int64_t left, right;
    struct leat_sv text;
};
static struct leat_type event_type, made_type, pair_type;

static void use_type(struct leat_type *to, const struct case_setup *setup, const char *name, size_t size)
{
    const struct leat_type *type = case_type(setup, name);
    FAIL_UNLESS(type != NULL, "the file has no schema %s", name);
    FAIL_UNLESS(type->size == size, "struct %s has %zu bytes, the schema %u", name, size, type->size);
    *to = *type;
}

/* ---- filter, peek ---- */

static bool is_even(struct leat_ctx *ctx, const struct event *event)
{
    if (event->value < 0)
        leat_fail(ctx, "negative value %lld", (long long)event->value);
    return event->value % 2 == 0;
}
LEAT_DEFINE_FILTER(is_even, event);

static leat_stream *declare_filter_expr(const struct case_setup *setup)
{
    return leat_on_error(
        leat_filter_expr(setup->inputs[0], "filter", "100 / value >= 10 and key <> 'x'"), LEAT_SKIP);
}

static leat_stream *declare_filter(const struct case_setup *setup)
{
    use_type(&event_type, setup, "event", sizeof(struct event));
    return leat_filter(setup->inputs[0], "filter", &is_even_filter);
}

static leat_stream *declare_filter_letters(const struct case_setup *setup)
{
    leat_stream *filter = declare_filter(setup);
    (void)leat_dead_letters(filter);
    return filter;
}

static void check_value(struct leat_ctx *ctx, const struct event *event)
{
    if (event->value < 0)
        leat_fail(ctx, "negative value at %lld", (long long)leat_ctx_event_us(ctx));
}
LEAT_DEFINE_PEEK(check_value, event);

static leat_stream *declare_peek(const struct case_setup *setup)
{
    use_type(&event_type, setup, "event", sizeof(struct event));
    return leat_on_error(leat_peek(setup->inputs[0], "peek", &check_value_peek), LEAT_SKIP);
}

/* ---- map, flat map, project ---- */

static void label(struct leat_ctx *ctx, const struct event *event, struct made *out)
{
    if (event->value < 0)
        leat_fail(ctx, "negative value");
    out->id = event->id;
    out->label = event->value == 0
        ? event->text
        : leat_printf(ctx, "%.*s-%lld", (int)event->text.len, event->text.data, (long long)event->value);
    out->at = leat_ctx_event_us(ctx);
}
LEAT_DEFINE_MAP(label, event, made);

static leat_stream *declare_map(const struct case_setup *setup)
{
    use_type(&event_type, setup, "event", sizeof(struct event));
    use_type(&made_type, setup, "made", sizeof(struct made));
    leat_stream *map = leat_map(setup->inputs[0], "map", &label_map);
    (void)leat_dead_letters(map);
    return map;
}

/* `value` rows; text "t+5" and "t-5" moves their times, "odd" sends odd ones aside, "bad" refuses after the
 * first. */
static void repeat(struct leat_ctx *ctx, const struct event *event, struct leat_out *out)
{
    const struct leat_sv name = leat_copy(ctx, event->text);
    for (int64_t i = 0; i < event->value; i++) {
        const bool aside = leat_sv_eq(event->text, LEAT_SV("odd")) && i % 2;
        struct made *made = aside ? leat_out_side(out, 0) : leat_out_row(out);
        if (!made)
            return;
        made->id = event->id * 1000 + i;
        if (leat_sv_eq(event->text, LEAT_SV("t+5")))
            leat_out_event_us(out, event->ts + 5);
        if (leat_sv_eq(event->text, LEAT_SV("t-5")))
            leat_out_event_us(out, event->ts - 5);
        made->label = i ? name : leat_printf(ctx, "first of %lld", (long long)event->value);
        made->at = event->ts;
        if (leat_sv_eq(event->text, LEAT_SV("bad")) && i == 1)
            leat_fail(ctx, "bad text");
    }
    if (leat_sv_eq(event->text, LEAT_SV("side 7")))
        (void)leat_out_side(out, 7);
}
LEAT_DEFINE_FLAT_MAP(repeat, event, made);

static leat_stream *declare_flat_map(const struct case_setup *setup)
{
    use_type(&event_type, setup, "event", sizeof(struct event));
    use_type(&made_type, setup, "made", sizeof(struct made));
    return leat_on_error(
        leat_flat_map(setup->inputs[0], "flat-map",
            &(struct leat_flat_map_opts){ .fn = &repeat_flat_map, .sides = { { "odd", &made_type } } }),
        LEAT_SKIP);
}

static leat_stream *declare_project(const struct case_setup *setup)
{
    return leat_on_error(
        leat_project(setup->inputs[0], "project",
            &(struct leat_project_opts){
                .fields = { { "id", NULL }, { "upper(text) || '!'", "loud" }, { "100 / value", "share" },
                    { "key", "who" }, { "tags", NULL }, { "box.depth", NULL } } }),
        LEAT_SKIP);
}

static leat_stream *declare_project_out(const struct case_setup *setup)
{
    return leat_project(setup->inputs[0], "project",
        &(struct leat_project_opts){ .out = case_type(setup, "narrow"),
            .fields = { { "coalesce(key, 'nobody')", "who" }, { "box.depth + 1", "depth" } } });
}

/* ---- union, branch ---- */

static leat_stream *declare_union(const struct case_setup *setup)
{
    return leat_union(setup->inputs, setup->inputs_count, "union");
}

static leat_stream *declare_branch(const struct case_setup *setup)
{
    use_type(&event_type, setup, "event", sizeof(struct event));
    return leat_on_error(leat_branch(setup->inputs[0], "branch",
                             &(struct leat_branch_opts){ .cases = { { "big", "value >= 100", NULL },
                                                             { "even", NULL, &is_even_filter },
                                                             { "keyed", "key is not null", NULL } },
                                 .otherwise = "rest" }),
        LEAT_SKIP);
}

static leat_stream *declare_branch_drop(const struct case_setup *setup)
{
    return leat_branch(setup->inputs[0], "branch",
        &(struct leat_branch_opts){ .cases = { { "big", "value >= 100", NULL } } });
}

/* ---- changelog ---- */

static leat_stream *declare_changelog_out(const struct case_setup *setup)
{
    return leat_changelog(setup->inputs[0], "changelog",
        &(struct leat_changelog_opts){ .field = "op", .out = case_type(setup, "changed") });
}
static leat_stream *declare_changelog_in_place(const struct case_setup *setup)
{
    return leat_changelog(setup->inputs[0], "changelog", &(struct leat_changelog_opts){ .field = "text" });
}
static leat_stream *declare_changelog_after(const struct case_setup *setup)
{
    return leat_changelog(setup->inputs[0], "changelog", &(struct leat_changelog_opts){ .only_after = true });
}
static leat_stream *declare_changelog_after_out(const struct case_setup *setup)
{
    return leat_changelog(setup->inputs[0], "changelog",
        &(struct leat_changelog_opts){
            .field = "op", .out = case_type(setup, "changed"), .only_after = true });
}

/* ---- join ---- */

static void make_pair(
    struct leat_ctx *ctx, const struct event *left, const struct event *right, struct pair *out)
{
    if (left->value + right->value < 0)
        leat_fail(ctx, "negative sum");
    out->left = left->id;
    out->right = right->id;
    out->text = left->value == 1 ? leat_printf(ctx, "%.*s+%.*s", (int)left->text.len, left->text.data,
                                       (int)right->text.len, right->text.data)
        : left->id % 2           ? left->text
                                 : right->text;
}
LEAT_DEFINE_JOIN(make_pair, event, event, pair);

/* Joins on `key` with everything else as given; late records of both sides are taken. */
static leat_stream *join_with(const struct case_setup *setup, struct leat_join_opts opts)
{
    use_type(&event_type, setup, "event", sizeof(struct event));
    use_type(&pair_type, setup, "pair", sizeof(struct pair));
    opts.left_key = opts.left_key ? opts.left_key : "key";
    if (!opts.out)
        opts.merge = &make_pair_join;
    leat_stream *joined = leat_join(setup->inputs[0], setup->inputs[1], "join", &opts);
    (void)leat_late_left(joined);
    (void)leat_late_right(joined);
    return joined;
}

static leat_stream *declare_join_5(const struct case_setup *setup)
{
    return join_with(setup, (struct leat_join_opts){ .within_us = 5 });
}
static leat_stream *declare_join_late(const struct case_setup *setup)
{
    return join_with(setup, (struct leat_join_opts){ .within_us = 5, .allowed_lateness_us = 10 });
}
static leat_stream *declare_join_after(const struct case_setup *setup)
{
    return join_with(setup, (struct leat_join_opts){ .before_us = 2, .after_us = 7 });
}
/* The right record is 3 to 6 after the left one. */
static leat_stream *declare_join_negative(const struct case_setup *setup)
{
    return join_with(setup, (struct leat_join_opts){ .before_us = -3, .after_us = 6 });
}
/* Exactly 4 after. */
static leat_stream *declare_join_point(const struct case_setup *setup)
{
    return join_with(setup, (struct leat_join_opts){ .before_us = -4, .after_us = 4 });
}
static leat_stream *declare_join_wide(const struct case_setup *setup)
{
    return join_with(setup, (struct leat_join_opts){ .within_us = LEAT_NEVER });
}
static leat_stream *declare_join_days(const struct case_setup *setup)
{
    return join_with(
        setup, (struct leat_join_opts){ .within_us = LEAT_DAYS(1), .allowed_lateness_us = LEAT_HOURS(1) });
}
static leat_stream *declare_join_where(const struct case_setup *setup)
{
    return leat_on_error(
        join_with(
            setup, (struct leat_join_opts){ .within_us = 1000, .where = "left.value / right.value >= 2" }),
        LEAT_SKIP);
}
static leat_stream *declare_join_letters(const struct case_setup *setup)
{
    leat_stream *joined = join_with(setup, (struct leat_join_opts){ .within_us = 1000 });
    (void)leat_dead_letters(joined);
    return joined;
}
static leat_stream *declare_join_fields(const struct case_setup *setup)
{
    return leat_on_error(join_with(setup,
                             (struct leat_join_opts){ .left_key = "key, value",
                                 .within_us = 1000,
                                 .out = case_type(setup, "both"),
                                 .fields = { { "left.id", "first" }, { "100 / right.id", "second" },
                                     { "left.text || right.text", "text" } } }),
        LEAT_SKIP);
}

static const struct case_operator operators[] = {
    { "filter-expr", declare_filter_expr },
    { "filter", declare_filter },
    { "filter-letters", declare_filter_letters },
    { "peek", declare_peek },
    { "map", declare_map },
    { "flat-map", declare_flat_map },
    { "project", declare_project },
    { "project-out", declare_project_out },
    { "union", declare_union },
    { "branch", declare_branch },
    { "branch-drop", declare_branch_drop },
    { "changelog-out", declare_changelog_out },
    { "changelog-in-place", declare_changelog_in_place },
    { "changelog-after", declare_changelog_after },
    { "changelog-after-out", declare_changelog_after_out },
    { "join-within-5", declare_join_5 },
    { "join-late-10", declare_join_late },
    { "join-before-2-after-7", declare_join_after },
    { "join-from-3-to-6", declare_join_negative },
    { "join-exactly-4", declare_join_point },
    { "join-wide", declare_join_wide },
    { "join-days", declare_join_days },
    { "join-where", declare_join_where },
    { "join-letters", declare_join_letters },
    { "join-fields", declare_join_fields },
};

static void run_file(void **state)
{
    case_run_file(*state, operators, COUNT_OF(operators));
}

int main(void)
{
    static const char *const folders[] = { "filter", "peek", "map", "flat_map", "project", "union", "branch",
        "changelog", "join_interval" };
    struct CMUnitTest tests[256];
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
