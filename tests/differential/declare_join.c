/* tests/differential/declare_join.c -- joins, tables and cogroups of a plan. */
#include "tests/differential/declare_private.h"
#include <leat/cogroup.h>
#include <leat/table.h>
#include <string.h>

/* ---- keys, conditions and results ---- */

static const char *left_keys(const struct plan_node *node)
{
    static const char *const same[] = { "k1", "k1", "k2", "k1, k2" };
    static const char *const computed[] = { "k1 + 1", "k1 + 1", "k2", "k1 + 1, k2" };
    return node->form == PLAN_EXPRESSIONS ? computed[node->keys & 3] : same[node->keys & 3];
}

static const char *right_keys(const struct plan_node *node)
{
    static const char *const others[] = { "v", "v", "s", "v, s" };
    return node->form == PLAN_SAME ? NULL : others[node->keys & 3];
}

static void merge_rows(
    struct leat_ctx *ctx, const struct diff_row *left, const struct diff_row *right, struct diff_row *out)
{
    (void)ctx;
    if (left) {
        *out = *left;
        out->has_change = false;
    }
    out->has_d = right && right->has_d;
    out->d = out->has_d ? right->d : 0;
    out->has_s = right && right->has_s;
    out->s = out->has_s ? right->s : (struct leat_sv){ 0 };
    out->gap = left ? left->gap : right->gap;
    out->has_at = right && right->has_at;
    out->at = out->has_at ? right->at : 0;
}
LEAT_DEFINE_JOIN(merge_rows, diff_row, diff_row, diff_row);

static const struct leat_projection row_fields[] = { { "left.k1", "k1" }, { "left.k2", "k2" },
    { "left.v", "v" }, { "right.d", "d" }, { "right.s", "s" }, { "left.b", "b" },
    { "coalesce(left.gap, right.gap, 0)", "gap" }, { "right.at", "at" } };

/* What the options of all joins have in common. */
#define JOIN_OPTS(opts_, node_) \
    do { \
        (opts_).left_key = left_keys(node_); \
        (opts_).right_key = right_keys(node_); \
        (opts_).kind = (enum leat_join_kind)(node_)->outer; \
        (opts_).where = join_conditions[(node_)->where % JOIN_CONDITIONS].text; \
        if ((node_)->merge) { \
            (opts_).merge = &merge_rows_join; \
        } else { \
            (opts_).out = &diff_row_type; \
            memcpy((opts_).fields, row_fields, sizeof row_fields); \
        } \
    } while (0)

static void declare_late(struct declared *d, leat_stream *joined, size_t stream)
{
    declare_sink(d, leat_late_left(joined), "late-left", stream);
    declare_sink(d, leat_late_right(joined), "late-right", stream);
}

/* ---- joins ---- */

leat_stream *declare_interval_join(struct declared *d, const struct plan_node *node, size_t stream)
{
    struct leat_join_opts opts = {
        .before_us = node->before, .after_us = node->after, .allowed_lateness_us = node->lateness
    };
    JOIN_OPTS(opts, node);
    leat_stream *pairs =
        leat_join(d->streams[node->in], d->streams[node->in2], declare_name("n", stream), &opts);
    declare_late(d, pairs, stream);
    return pairs;
}

leat_stream *declare_asof_join(struct declared *d, const struct plan_node *node, size_t stream)
{
    struct leat_asof_join_opts opts = { .direction = (enum leat_asof_direction)node->expr,
        .tolerance_us = node->size,
        .allowed_lateness_us = node->lateness };
    JOIN_OPTS(opts, node);
    leat_stream *pairs =
        leat_asof_join(d->streams[node->in], d->streams[node->in2], declare_name("n", stream), &opts);
    declare_late(d, pairs, stream);
    return pairs;
}

/* A DiffOut, whose windows the operator fills. */
leat_stream *declare_window_join(struct declared *d, const struct plan_node *node, size_t stream)
{
    struct leat_window_join_opts opts = { .left_key = left_keys(node),
        .right_key = right_keys(node),
        .window = declare_window_opts(node),
        .kind = (enum leat_join_kind)node->outer,
        .where = join_conditions[node->where % JOIN_CONDITIONS].text,
        .out = &diff_out_type,
        .fields = { { "left.k1", "k1" }, { "left.k2", "k2" }, { "left.v", "l0" }, { "right.v", "l1" },
            { "right.s", "s0" }, { "left.d", "d0" } } };
    leat_stream *pairs =
        leat_window_join(d->streams[node->in], d->streams[node->in2], declare_name("n", stream), &opts);
    declare_late(d, pairs, stream);
    return pairs;
}

/* ---- tables ---- */

leat_stream *declare_upsert(struct declared *d, const struct plan_node *node, size_t stream)
{
    static const char *const fields[] = { "k1", "k1", "k2", "k1, k2" };
    leat_stream *table = leat_upsert(d->streams[node->in], declare_name("n", stream),
        &(struct leat_upsert_opts){ .key = fields[node->keys & 3],
            .value = node->expr & 2 ? "v" : NULL,
            .by_event_time = (node->expr & 1) != 0 });
    declare_sink(d, leat_side_output(table, "late"), "late", stream);
    return table;
}

leat_stream *declare_table_join(struct declared *d, const struct plan_node *node, size_t stream)
{
    struct leat_table_join_opts opts = {
        .as_of = (enum leat_as_of)node->expr, .retention_us = node->size, .broadcast = node->every != 0
    };
    JOIN_OPTS(opts, node);
    leat_stream *told =
        leat_table_join(d->streams[node->in], d->streams[node->in2], declare_name("n", stream), &opts);
    declare_sink(d, leat_late_left(told), "late-left", stream);
    return told;
}

leat_stream *declare_join_tables(struct declared *d, const struct plan_node *node, size_t stream)
{
    struct leat_join_tables_opts opts = { .kind = (enum leat_join_kind)node->outer };
    JOIN_OPTS(opts, node);
    leat_stream *pairs =
        leat_join_tables(d->streams[node->in], d->streams[node->in2], declare_name("n", stream), &opts);
    const bool changes = plan_gives_changes(d->plan, stream);
    declare_sink(d, changes ? declare_changelog(pairs, stream, &diff_row_type) : pairs, "out", stream);
    return pairs;
}

/* ---- cogroups ---- */

leat_stream *declare_cogroup(struct declared *d, const struct plan_node *node, size_t stream)
{
    struct leat_aggregate_opts opts = { .out = &diff_out_type };
    const struct leat_window_opts windows = declare_window_opts(node);
    const char *right = right_keys(node);
    leat_keyed_stream *keyed = leat_cogroup(d->t, declare_name("by", stream),
        &(struct leat_cogroup_opts){ .inputs = { { d->streams[node->in], "x", left_keys(node) },
                                         { d->streams[node->in2], "y", right ? right : left_keys(node) } } });
    declare_aggs(&opts, node);
    for (size_t a = 0; opts.aggs[a].kind; a++)
        opts.aggs[a].of = !opts.aggs[a].of      ? NULL
            : strcmp(opts.aggs[a].of, "v") == 0 ? "x.v"
            : strcmp(opts.aggs[a].of, "d") == 0 ? "y.d"
                                                : "y.s";
    leat_windowed_stream *windowed = leat_window(keyed, declare_name("w", stream), &windows);
    leat_stream *results = leat_aggregate(windowed, declare_name("n", stream), &opts);
    declare_sink(d, results, "out", stream);
    return results;
}
