/* tests/unit/operators/test_declare.c -- every wrong declaration of the operators
 * in this folder gives its message, names option and cause, and once. tests/golden/declaration_errors.txt has
 * whole texts. */
#include "tests/support/harness.h"
#include "tests/support/op_records.h"
#include "tests/support/unit.h"
#include <leat/branch.h>
#include <leat/join.h>
#include <leat/peek.h>
#include <leat/union.h>
#include <stdio.h>

static bool always(struct leat_ctx *ctx, const struct op_event *event)
{
    (void)ctx;
    return event != NULL;
}
LEAT_DEFINE_FILTER(always, op_event);
static bool any_pair(struct leat_ctx *ctx, const struct op_pair *pair)
{
    (void)ctx;
    return pair != NULL;
}
LEAT_DEFINE_FILTER(any_pair, op_pair);
static void to_pair(struct leat_ctx *ctx, const struct op_event *event, struct op_pair *out)
{
    (void)ctx;
    out->left = event->id;
}
LEAT_DEFINE_MAP(to_pair, op_event, op_pair);
static void from_pair(struct leat_ctx *ctx, const struct op_pair *pair, struct op_pair *out)
{
    (void)ctx;
    *out = *pair;
}
LEAT_DEFINE_MAP(from_pair, op_pair, op_pair);
static void see_pair(struct leat_ctx *ctx, const struct op_pair *pair)
{
    (void)ctx;
    (void)pair;
}
LEAT_DEFINE_PEEK(see_pair, op_pair);
static void none(struct leat_ctx *ctx, const struct op_event *event, struct leat_out *out)
{
    (void)ctx;
    (void)event;
    (void)out;
}
LEAT_DEFINE_FLAT_MAP(none, op_event, op_pair);
static void merge(
    struct leat_ctx *ctx, const struct op_event *left, const struct op_event *right, struct op_pair *out)
{
    (void)ctx;
    out->left = left->id;
    out->right = right->id;
}
LEAT_DEFINE_JOIN(merge, op_event, op_event, op_pair);

/* What a declaration may use. */
struct streams {
    leat_topology *t;
    leat_stream *events, *others, *pairs, *untimed;
};

static void filter_without(const struct streams *s)
{
    (void)leat_filter(s->events, "x", NULL);
}
static void filter_of_another_type(const struct streams *s)
{
    (void)leat_filter(s->events, "x", &any_pair_filter);
}
static void filter_expr_without(const struct streams *s)
{
    (void)leat_filter_expr(s->events, "x", NULL);
}
static void filter_expr_unknown(const struct streams *s)
{
    (void)leat_filter_expr(s->events, "x", "valu > 3");
}
static void filter_expr_number(const struct streams *s)
{
    (void)leat_filter_expr(s->events, "x", "value + 1");
}
static void map_without(const struct streams *s)
{
    (void)leat_map(s->events, "x", NULL);
}
static void map_of_another_type(const struct streams *s)
{
    (void)leat_map(s->events, "x", &from_pair_map);
}
static void peek_without(const struct streams *s)
{
    (void)leat_peek(s->events, "x", NULL);
}
static void peek_of_another_type(const struct streams *s)
{
    (void)leat_peek(s->events, "x", &see_pair_peek);
}
static void flat_map_without(const struct streams *s)
{
    (void)leat_flat_map(s->events, "x", &(struct leat_flat_map_opts){ .fn = NULL });
}
static void flat_map_sides(const struct streams *s)
{
    (void)leat_flat_map(s->events, "x",
        &(struct leat_flat_map_opts){ .fn = &none_flat_map,
            .sides = { { "a", &op_pair_type }, { "b", NULL }, { "a", &op_pair_type } } });
}
static void flat_map_gap(const struct streams *s)
{
    (void)leat_flat_map(s->events, "x",
        &(struct leat_flat_map_opts){ .fn = &none_flat_map, .sides = { [1] = { "b", &op_pair_type } } });
}
static void side_unknown(const struct streams *s)
{
    leat_stream *out = leat_flat_map(s->events, "x",
        &(struct leat_flat_map_opts){ .fn = &none_flat_map, .sides = { { "errors", &op_pair_type } } });
    (void)leat_side_output(out, "error");
}
static void no_options(const struct streams *s)
{
    (void)leat_flat_map(s->events, "x", NULL);
    (void)leat_project(s->events, "y", NULL);
    (void)leat_branch(s->events, "z", NULL);
    (void)leat_join(s->events, s->others, "w", NULL);
}
static void project_nothing(const struct streams *s)
{
    (void)leat_project(s->events, "x", &(struct leat_project_opts){ .out = NULL });
}
static void project_unnamed(const struct streams *s)
{
    (void)leat_project(s->events, "x", &(struct leat_project_opts){ .fields = { { "value + 1", NULL } } });
}
static void project_twice(const struct streams *s)
{
    (void)leat_project(
        s->events, "x", &(struct leat_project_opts){ .fields = { { "value", NULL }, { "id", "value" } } });
}
static void project_gap(const struct streams *s)
{
    (void)leat_project(s->events, "x",
        &(struct leat_project_opts){ .fields = { { "id", NULL }, { NULL, "value" }, { "ts", NULL } } });
}
static void project_unknown(const struct streams *s)
{
    (void)leat_project(
        s->events, "x", &(struct leat_project_opts){ .fields = { { "idd", NULL }, { "value / txt", "v" } } });
}
static void project_bad_name(const struct streams *s)
{
    (void)leat_project(s->events, "x", &(struct leat_project_opts){ .fields = { { "id", "my id" } } });
}
static void project_into(const struct streams *s)
{
    (void)leat_project(s->events, "x",
        &(struct leat_project_opts){ .out = &op_pair_type,
            .fields = { { "key", "text" }, { "value * 1.5", "left" }, { "id", "rigth" } } });
}
static void branch_nothing(const struct streams *s)
{
    (void)leat_branch(s->events, "x", &(struct leat_branch_opts){ .otherwise = "rest" });
}
static void branch_conditions(const struct streams *s)
{
    (void)leat_branch(s->events, "x",
        &(struct leat_branch_opts){
            .cases = { { "none", NULL, NULL }, { "both", "value > 1", &always_filter },
                { "none", "vale > 1", NULL }, { "other", NULL, &any_pair_filter } },
            .otherwise = "both" });
}
static void branch_gap(const struct streams *s)
{
    (void)leat_branch(s->events, "x",
        &(struct leat_branch_opts){ .cases = { { "a", "value > 1", NULL }, { NULL, "value > 2", NULL } } });
}
static void branch_output_unknown(const struct streams *s)
{
    leat_stream *out = leat_branch(s->events, "x",
        &(struct leat_branch_opts){ .cases = { { "large", "value > 9", NULL } }, .otherwise = "small" });
    (void)leat_branch_output(out, "larg");
    (void)leat_branch_output(out, "small");
}
static void union_of_one(const struct streams *s)
{
    (void)leat_union(&s->events, 1, "x");
}
static void union_of_types(const struct streams *s)
{
    leat_stream *streams[] = { s->events, s->others, s->pairs };
    (void)leat_union(streams, 3, "x");
}
static void join_nothing(const struct streams *s)
{
    (void)leat_join(s->events, s->others, "x", &(struct leat_join_opts){ .left_key = NULL });
}
static void join_unknown_keys(const struct streams *s)
{
    (void)leat_join(s->events, s->others, "x",
        &(struct leat_join_opts){
            .left_key = "kye", .right_key = "key, vale", .within_us = 1, .merge = &merge_join });
}
static void join_right_key_by_default(const struct streams *s)
{
    (void)leat_join(s->events, s->pairs, "x",
        &(struct leat_join_opts){ .left_key = "key", .within_us = 1, .out = &op_pair_type });
}
static void join_key_classes(const struct streams *s)
{
    (void)leat_join(s->events, s->others, "x",
        &(struct leat_join_opts){
            .left_key = "key", .right_key = "value", .within_us = 1, .merge = &merge_join });
}
static void join_key_counts(const struct streams *s)
{
    (void)leat_join(s->events, s->others, "x",
        &(struct leat_join_opts){
            .left_key = "key, id", .right_key = "key", .within_us = 1, .merge = &merge_join });
}
static void join_within_and_bounds(const struct streams *s)
{
    (void)leat_join(s->events, s->others, "x",
        &(struct leat_join_opts){ .left_key = "key", .within_us = 1, .after_us = 1, .merge = &merge_join });
}
static void join_negative(const struct streams *s)
{
    (void)leat_join(s->events, s->others, "x",
        &(struct leat_join_opts){
            .left_key = "key", .within_us = -1, .allowed_lateness_us = -1, .merge = &merge_join });
}
static void join_empty_interval(const struct streams *s)
{
    (void)leat_join(s->events, s->others, "x",
        &(struct leat_join_opts){ .left_key = "key",
            .before_us = -LEAT_SECONDS(2),
            .after_us = LEAT_MILLIS(1500),
            .merge = &merge_join });
}
static void join_two_results(const struct streams *s)
{
    (void)leat_join(s->events, s->others, "x",
        &(struct leat_join_opts){
            .left_key = "key", .within_us = 1, .merge = &merge_join, .out = &op_pair_type });
}
static void join_merge_and_fields(const struct streams *s)
{
    (void)leat_join(s->events, s->others, "x",
        &(struct leat_join_opts){
            .left_key = "key", .within_us = 1, .merge = &merge_join, .fields = { { "left.id", "left" } } });
}
static void join_of_another_type(const struct streams *s)
{
    (void)leat_join(s->events, s->pairs, "x",
        &(struct leat_join_opts){ .left_key = "text", .within_us = 1, .merge = &merge_join });
}
static void join_where(const struct streams *s)
{
    (void)leat_join(s->events, s->others, "x",
        &(struct leat_join_opts){
            .left_key = "key", .within_us = 1, .where = "left.valu > 1", .merge = &merge_join });
    (void)leat_join(s->events, s->others, "y",
        &(struct leat_join_opts){
            .left_key = "key", .within_us = 1, .where = "left.value", .merge = &merge_join });
    (void)leat_join(s->events, s->others, "z",
        &(struct leat_join_opts){
            .left_key = "key", .within_us = 1, .where = "value > 1", .merge = &merge_join });
}
static void join_fields(const struct streams *s)
{
    (void)leat_join(s->events, s->others, "x",
        &(struct leat_join_opts){ .left_key = "key",
            .within_us = 1,
            .out = &op_pair_type,
            .fields = { { "left.id", "left" }, { "value", "text" } } });
}
static void join_without_time(const struct streams *s)
{
    (void)leat_join(s->events, s->untimed, "x",
        &(struct leat_join_opts){ .left_key = "key", .within_us = 1, .merge = &merge_join });
}
static void late_of_a_filter(const struct streams *s)
{
    leat_stream *out = leat_filter(s->events, "x", &always_filter);
    (void)leat_late_left(out);
}
/* One mistake gives one message, however much hangs on it. */
static void all_silent_behind(const struct streams *s)
{
    leat_stream *bad = leat_filter_expr(s->events, "bad", "valu > 3");
    leat_stream *both[] = { bad, s->others };
    (void)leat_filter(bad, "a", &always_filter);
    (void)leat_filter_expr(bad, "b", "nothing = 1");
    (void)leat_map(bad, "c", &to_pair_map);
    (void)leat_flat_map(bad, "d", &(struct leat_flat_map_opts){ .fn = &none_flat_map });
    (void)leat_project(bad, "e", &(struct leat_project_opts){ .fields = { { "nothing", NULL } } });
    (void)leat_branch_output(
        leat_branch(bad, "f", &(struct leat_branch_opts){ .cases = { { "x", "nothing = 1", NULL } } }), "y");
    (void)leat_union(both, 2, "g");
    leat_stream *joined = leat_join(s->others, bad, "h",
        &(struct leat_join_opts){
            .left_key = "key", .within_us = 1, .where = "right.nothing = 1", .merge = &merge_join });
    (void)leat_late_left(joined);
    (void)leat_late_right(joined);
    (void)leat_side_output(bad, "side");
}

static const struct {
    const char *name;
    void (*declare)(const struct streams *s);
    const char *messages[6][2]; /* parts of each message that is expected */
} rows[] = {
    { "filter_without", filter_without, { { "filter \"x\": fn: missing" } } },
    { "filter_of_another_type", filter_of_another_type, { { "filter \"x\": fn: any_pair takes op_pair" } } },
    { "filter_expr_without", filter_expr_without, { { "filter \"x\": where: missing" } } },
    { "filter_expr_unknown", filter_expr_unknown,
        { { "filter \"x\": where: column 1: no field \"valu\"", "did you mean \"value\"?" } } },
    { "filter_expr_number", filter_expr_number, { { "filter \"x\": where: value + 1 is no condition" } } },
    { "map_without", map_without, { { "map \"x\": fn: missing" } } },
    { "map_of_another_type", map_of_another_type, { { "map \"x\": fn: from_pair takes op_pair" } } },
    { "peek_without", peek_without, { { "peek \"x\": fn: missing" } } },
    { "peek_of_another_type", peek_of_another_type, { { "peek \"x\": fn: see_pair takes op_pair" } } },
    { "flat_map_without", flat_map_without, { { "flat map \"x\": fn: missing" } } },
    { "flat_map_sides", flat_map_sides,
        { { "flat map \"x\": sides[1]: side output \"b\" has no type" },
            { "sides[2]: the name \"a\" is taken by sides[0]" } } },
    { "flat_map_gap", flat_map_gap, { { "flat map \"x\": sides[0].name: missing" } } },
    { "side_unknown", side_unknown, { { "side output \"error\"", "did you mean \"errors\"?" } } },
    { "no_options", no_options,
        { { "flat map \"x\": no options" }, { "project \"y\": no options" }, { "branch \"z\": no options" },
            { "join \"w\": no options" } } },
    { "project_nothing", project_nothing, { { "project \"x\": fields: empty" } } },
    { "project_unnamed", project_unnamed, { { "fields[0]: \"value + 1\" is no plain field" } } },
    { "project_twice", project_twice, { { "fields[1]: \"value\" is filled by fields[0]" } } },
    { "project_gap", project_gap, { { "fields[1].expr: missing" } } },
    { "project_unknown", project_unknown,
        { { "fields[0]: column 1: no field \"idd\"", "did you mean \"id\"?" },
            { "fields[1]: column 9: no field \"txt\"" } } },
    { "project_bad_name", project_bad_name, { { "fields[0]: \"my id\" is no name of a field" } } },
    { "project_into", project_into,
        { { "fields[0]: key of op_event can be null", "coalesce(key" },
            { "fields[1]: \"value * 1.5\" gives float" },
            { "fields[2]: no field \"rigth\"", "did you mean \"right\"?" },
            { "out.right: nothing fills it" } } },
    { "branch_nothing", branch_nothing, { { "branch \"x\": cases: empty" } } },
    { "branch_conditions", branch_conditions,
        { { "cases[0]: case \"none\" has no condition" }, { "otherwise: the name \"both\" is taken" },
            { "cases[1]: case \"both\" has two conditions" },
            { "cases[2]: the name \"none\" is taken by cases[0]" },
            { "cases[2]: column 1: no field \"vale\"" }, { "cases[3]: any_pair takes op_pair" } } },
    { "branch_gap", branch_gap, { { "cases[1].name: missing" } } },
    { "branch_output_unknown", branch_output_unknown, { { "case \"larg\"", "did you mean \"large\"?" } } },
    { "union_of_one", union_of_one, { { "union \"x\": count: 1 streams" } } },
    { "union_of_types", union_of_types, { { "union \"x\": streams[2]:", "takes op_event" } } },
    { "join_nothing", join_nothing,
        { { "within_us: missing" }, { "left_key: missing" }, { "merge: missing" } } },
    { "join_unknown_keys", join_unknown_keys,
        { { "left_key: no field \"kye\"", "did you mean \"key\"?" },
            { "right_key: no field \"vale\"", "did you mean \"value\"?" } } },
    { "join_right_key_by_default", join_right_key_by_default,
        { { "right_key: no field \"key\" in op_pair" } } },
    { "join_key_classes", join_key_classes,
        { { "right_key: key fields \"key\" (string) and \"value\" (integer)" } } },
    { "join_key_counts", join_key_counts,
        { { "right_key: keys \"key, id\" and \"key\" have 2 and 1 fields" } } },
    { "join_within_and_bounds", join_within_and_bounds,
        { { "within_us: given together with before_us or after_us" } } },
    { "join_negative", join_negative,
        { { "within_us:", "negative" }, { "allowed_lateness_us:", "negative" } } },
    { "join_empty_interval", join_empty_interval,
        { { "before_us: before_us + after_us is negative (-2s and 1s 500ms)" } } },
    { "join_two_results", join_two_results, { { "out: given together with merge" } } },
    { "join_merge_and_fields", join_merge_and_fields, { { "fields: given together with merge" } } },
    { "join_of_another_type", join_of_another_type, { { "merge: merge takes op_event" } } },
    { "join_where", join_where,
        { { "join \"x\": where: column 6: no field \"valu\"", "did you mean \"value\"?" },
            { "join \"y\": where: left.value is no condition" },
            { "join \"z\": where: column 1: both records have a field \"value\"" } } },
    { "join_fields", join_fields,
        { { "fields[1]: column 1: both records have a field \"value\"" },
            { "out.right: nothing fills it" } } },
    { "join_without_time", join_without_time,
        { { "join \"x\": input 1 has no event time", "\"untimed\"" } } },
    { "late_of_a_filter", late_of_a_filter, { { "late output \"late-left\"" } } },
    { "all_silent_behind", all_silent_behind, { { "filter \"bad\": where:" } } },
};

static void test_declare__given_wrong_options__when_declared__then_each_is_told_once(void **state)
{
    (void)state;
    uint32_t wrong = 0;
    for (size_t row = 0; row < COUNT_OF(rows); row++) {
        struct streams s = { .t = leat_topology_new("test") };
        s.events = harness_source(s.t, "events", &op_event_type, "ts");
        s.others = harness_source(s.t, "others", &op_event_type, "ts");
        s.pairs = harness_source(s.t, "pairs", &op_pair_type, "left");
        s.untimed = harness_source(s.t, "untimed", &op_event_type, NULL);
        rows[row].declare(&s);
        const size_t count = leat_topology_errors_count(s.t);
        size_t want_count = 0;
        while (want_count < COUNT_OF(rows[row].messages) && rows[row].messages[want_count][0])
            want_count++;
        for (size_t i = 0; i < count || i < want_count; i++) {
            const char *const *parts = i < want_count ? rows[row].messages[i] : NULL;
            const char *got = i < count ? leat_topology_error(s.t, i)->message : NULL;
            if (parts && got && strstr(got, parts[0]) && (!parts[1] || strstr(got, parts[1])))
                continue;
            print_error("%s, message %zu\n  want %s\n  got  %s\n", rows[row].name, i,
                parts ? parts[0] : "none", got ? got : "none");
            wrong++;
        }
        leat_topology_free(s.t);
    }
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_declare__given_wrong_options__when_declared__then_each_is_told_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
