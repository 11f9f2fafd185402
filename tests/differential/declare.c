/* tests/differential/declare.c -- see declare.h. */
#include "tests/differential/declare_private.h"
#include "diff_group.h"
#include <leat/deduplicate.h>
#include <leat/group_aggregate.h>
#include <leat/top_n.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void (*declare_seen)(uint32_t rows);

/* ---- callbacks ---- */

static void see(struct leat_ctx *ctx, const struct leat_batch *batch)
{
    (void)ctx;
    if (declare_seen)
        declare_seen(batch->count);
}
static const struct leat_peek_fn see_peek = { sizeof(struct leat_peek_fn), "see", &diff_row_type, see };

static void swap(struct leat_ctx *ctx, const struct diff_row *row, struct diff_row *out)
{
    (void)ctx;
    *out = *row;
    out->has_s = row->has_k2;
    out->s = row->k2;
    out->has_k2 = row->has_s;
    out->k2 = row->s;
}
LEAT_DEFINE_MAP(swap, diff_row, diff_row);

static void copies(struct leat_ctx *ctx, const struct diff_row *row, struct leat_out *out)
{
    (void)ctx;
    for (int copy = 0; row->has_b && copy <= row->b; copy++) {
        struct diff_row *made = leat_out_row(out);
        if (!made)
            return;
        *made = *row;
        made->v += copy;
    }
}
LEAT_DEFINE_FLAT_MAP(copies, diff_row, diff_row);

struct extent {
    int64_t least, most;
    int64_t any;
};

static void extent__add(struct leat_ctx *ctx, const struct diff_row *row, struct extent *extent)
{
    (void)ctx;
    if (!row->has_v)
        return;
    extent->least = !extent->any || row->v < extent->least ? row->v : extent->least;
    extent->most = !extent->any || row->v > extent->most ? row->v : extent->most;
    extent->any = 1;
}

static void extent__merge(struct leat_ctx *ctx, struct extent *into, const struct extent *from)
{
    (void)ctx;
    if (!from->any)
        return;
    into->least = !into->any || from->least < into->least ? from->least : into->least;
    into->most = !into->any || from->most > into->most ? from->most : into->most;
    into->any = 1;
}

static void extent__result(struct leat_ctx *ctx, const struct extent *extent, struct diff_out *out)
{
    (void)ctx;
    out->has_l3 = extent->any != 0;
    out->l3 = extent->any ? extent->most - extent->least : 0;
}
LEAT_DEFINE_AGGREGATE(extent, diff_row, extent, diff_out);

static void extent_of_all__add(struct leat_ctx *ctx, const struct diff_row *row, struct extent *extent)
{
    extent__add(ctx, row, extent);
}

static void extent_of_all__merge(struct leat_ctx *ctx, struct extent *into, const struct extent *from)
{
    extent__merge(ctx, into, from);
}

static void extent_of_all__result(struct leat_ctx *ctx, const struct extent *extent, struct diff_group *out)
{
    (void)ctx;
    out->has_l3 = extent->any != 0;
    out->l3 = extent->any ? extent->most - extent->least : 0;
}
LEAT_DEFINE_AGGREGATE(extent_of_all, diff_row, extent, diff_group);

/* The same, but that it can not be merged. */
static struct leat_aggregate_fn lonely_aggregate;

/* Callbacks have no options of their own: the plan's node, by the node's name. */
static const struct plan *declared_plan;

const struct plan_node *declare_node_of(const struct leat_ctx *ctx)
{
    const size_t stream = strtoul(leat_ctx_node(ctx) + 1, NULL, 10);
    return &declared_plan->nodes[stream - declared_plan->sources_count];
}

static void on_row(struct leat_ctx *ctx, const struct diff_row *row)
{
    int64_t at;
    (void)row;
    if (__builtin_add_overflow(leat_ctx_event_us(ctx), declare_node_of(ctx)->size, &at))
        at = INT64_MAX;
    leat_timer_set(ctx, LEAT_EVENT_TIME, at);
}

static void on_alarm(struct leat_ctx *ctx, int64_t time_us, enum leat_time_kind kind)
{
    const int64_t keys = declare_node_of(ctx)->keys;
    struct diff_row *out = leat_out(ctx);
    (void)kind;
    out->has_v = true;
    out->v = time_us % 1000;
    out->gap = 5;
    out->has_k1 = keys & PLAN_BY_K1;
    out->k1 = out->has_k1 ? leat_key_i64(ctx, 0) : 0;
    out->has_k2 = keys & PLAN_BY_K2;
    if (out->has_k2)
        out->k2 = leat_copy(ctx, leat_key_sv(ctx, out->has_k1 ? 1 : 0));
}
LEAT_DEFINE_PROCESS(alarm, diff_row, on_row, on_alarm);

enum { TALLY };
static void on_tallied(struct leat_ctx *ctx, const struct diff_row *row)
{
    struct diff_row *tally = leat_state(ctx, TALLY);
    struct diff_row *out = leat_out(ctx);
    tally->has_v = true;
    tally->v++;
    *out = *row;
    out->has_v = true;
    out->v = tally->v;
}
LEAT_DEFINE_PROCESS(tally, diff_row, on_tallied, NULL);

/* ---- nodes ---- */

const char *declare_name(const char *word, size_t stream)
{
    static char names[8][24];
    static size_t next;
    char *name = names[next++ % 8];
    (void)snprintf(name, sizeof names[0], "%s%zu", word, stream);
    return name;
}

void declare_sink(struct declared *d, leat_stream *stream, const char *word, size_t number)
{
    const char *name = declare_name(word, number);
    struct run_io *io = d->io;
    size_t i = 0;
    while (i < io->sinks_count && strcmp(io->sinks[i].name, name) != 0)
        i++;
    if (i == io->sinks_count) {
        (void)snprintf(io->sinks[i].name, sizeof io->sinks[i].name, "%s", name);
        io->sinks[i].into = io->is_kit ? NULL : leat_collector_new();
        io->sinks_count++;
    }
    leat_memory_sink(stream, name, &(struct leat_memory_sink_opts){ .into = io->sinks[i].into });
}

static leat_stream *declare_source(struct declared *d, size_t i)
{
    leat_stream *source = leat_memory_source(d->t, declare_name("s", i),
        &(struct leat_memory_source_opts){ .type = &diff_row_type,
            .rows = d->io->rows[i],
            .count = d->io->counts[i],
            .splits = (uint32_t)d->plan->sources[i].splits,
            .event_time = "at",
            .max_out_of_orderness_us = d->plan->sources[i].ooo,
            .idle_timeout_us = d->io->is_kit ? d->plan->sources[i].idle : 0,
            .on_error = LEAT_SKIP });
    return d->io->is_kit ? source : leat_peek(source, declare_name("seen", i), &see_peek);
}

static leat_stream *declare_map(const struct plan_node *node, leat_stream *in, const char *name)
{
    const int64_t map = node->expr % MAPS;
    if (map == 3)
        return leat_map(in, name, &swap_map);
    if (map == 4)
        return leat_flat_map(in, name, &(struct leat_flat_map_opts){ .fn = &copies_flat_map });
    struct leat_project_opts opts = { .out = &diff_row_type, .fields = { { "v + 1", "v" } } };
    if (map == 2)
        opts.fields[0] = (struct leat_projection){ "-k1", "k1" };
    return leat_project(in, name, &opts);
}

leat_keyed_stream *declare_keys(const struct plan_node *node, leat_stream *in, const char *name)
{
    const char *const fields[] = { "k1", "k1", "k2", "k1, k2" };
    return leat_group_by(in, name, fields[node->keys & 3]);
}

struct leat_window_opts declare_window_opts(const struct plan_node *node)
{
    struct leat_window_opts opts = {
        .kind = (enum leat_window_kind)node->window,
        .size_us = node->size,
        .offset_us = node->offset,
        .allowed_lateness_us = node->lateness,
        .accumulation = (enum leat_accumulation)node->accumulation,
        .slide_us = node->slide,
        .step_us = node->step,
        .unit = (enum leat_calendar_unit)node->unit,
        .zone = node->zone ? zones[node->zone % 3] : NULL,
        .gap_us = node->gap_of_row ? 0 : node->gap,
        .gap = node->gap_of_row ? "gap" : NULL,
        .max_length_us = node->max_length,
        .count = (uint64_t)node->count,
        .every = (uint64_t)node->every,
        .allow_gaps = node->gaps != 0,
        .discard_remainder = node->discard_remainder != 0,
    };
    for (size_t i = 0; i < PLAN_TRIGGERS_MAX && node->triggers[i].kind; i++) {
        opts.triggers[i].kind = (enum leat_trigger_kind)node->triggers[i].kind;
        opts.triggers[i].n = (uint64_t)node->triggers[i].n;
        opts.triggers[i].late = node->triggers[i].late != 0;
        if (node->triggers[i].kind == LEAT_TRIGGER_USER)
            opts.triggers[i] = (struct leat_trigger)LEAT_ON_TRIGGER(declare_trigger());
    }
    return opts;
}

static void add_agg(struct leat_aggregate_opts *opts, size_t count, const struct plan_node *node, size_t a)
{
    const struct plan_agg *agg = &node->aggs[a];
    const struct leat_field *field = column_of(node, a);
    opts->aggs[count] = (struct leat_aggregate){
        .kind = (enum leat_aggregate_kind)agg->kind,
        .of = field_name(agg->of),
        .as = field->name,
        .where = conditions[agg->where % CONDITIONS].text,
        .by = field_name(agg->by),
        .n = (uint64_t)agg->n,
        .q = (double)(agg->q < 0 || agg->q > 100 ? 50 : agg->q) / 100,
    };
    struct leat_aggregate *made = &opts->aggs[count];
    if (agg->kind == LEAT_AGGREGATE_HISTOGRAM) {
        made->bounds = histogram_bounds;
        made->bounds_count = 3;
    }
    if (agg->kind != LEAT_AGGREGATE_APPROX_QUANTILE)
        made->q = 0;
    if (agg->kind != LEAT_AGGREGATE_MIN_BY && agg->kind != LEAT_AGGREGATE_MAX_BY)
        made->by = NULL;
    if (agg->kind != LEAT_AGGREGATE_TOP_N && agg->kind != LEAT_AGGREGATE_BOTTOM_N &&
        agg->kind != LEAT_AGGREGATE_COLLECT_LIST)
        made->n = 0;
    if (agg->kind == LEAT_AGGREGATE_USER)
        *made = agg->n ? (struct leat_aggregate)LEAT_USER(&lonely_aggregate)
                       : (struct leat_aggregate)LEAT_USER(&extent_aggregate);
}

void declare_aggs(struct leat_aggregate_opts *opts, const struct plan_node *node)
{
    size_t count = 0;
    lonely_aggregate = extent_aggregate;
    lonely_aggregate.name = "lonely";
    lonely_aggregate.merge = NULL;
    for (size_t a = 0; a < PLAN_AGGS_MAX && node->aggs[a].kind; a++)
        if (column_of(node, a))
            add_agg(opts, count++, node, a);
}

leat_stream *declare_changelog(leat_stream *results, size_t stream, const struct leat_type *type)
{
    return leat_changelog(results, declare_name("changes", stream),
        &(struct leat_changelog_opts){ .field = "change", .out = type });
}

static leat_stream *declare_aggregate(struct declared *d, const struct plan_node *node, size_t stream)
{
    struct leat_aggregate_opts opts = { .out = &diff_out_type };
    const struct leat_window_opts windows = declare_window_opts(node);
    declare_aggs(&opts, node);
    leat_windowed_stream *windowed =
        leat_window(declare_keys(node, d->streams[node->in], declare_name("by", stream)),
            declare_name("w", stream), &windows);
    leat_stream *results = leat_aggregate(windowed, declare_name("n", stream), &opts);
    declare_sink(d, leat_late_records(windowed), "late", stream);
    const bool changes = node->accumulation == LEAT_RETRACTING;
    declare_sink(d, changes ? declare_changelog(results, stream, &diff_out_type) : results, "out", stream);
    return results;
}

static leat_stream *declare_group(struct declared *d, const struct plan_node *node, size_t stream)
{
    struct leat_aggregate_opts aggs = { .out = NULL };
    struct leat_group_aggregate_opts opts = { .out = &diff_group_type,
        .mini_batch_rows = (uint64_t)node->count };
    declare_aggs(&aggs, node);
    memcpy(opts.aggs, aggs.aggs, sizeof opts.aggs);
    for (size_t a = 0; a < PLAN_AGGS_MAX; a++)
        if (opts.aggs[a].kind == LEAT_AGGREGATE_USER)
            opts.aggs[a].fn = &extent_of_all_aggregate;
    leat_stream *results =
        leat_group_aggregate(declare_keys(node, d->streams[node->in], declare_name("by", stream)),
            declare_name("n", stream), &opts);
    declare_sink(d, declare_changelog(results, stream, &diff_out_type), "out", stream);
    return results;
}

static leat_stream *declare_process(struct declared *d, const struct plan_node *node, size_t stream)
{
    struct leat_process_opts opts = { .fn = &alarm_process, .out = &diff_row_type };
    if (node->kind == PLAN_TALLY) {
        opts.fn = &tally_process;
        opts.state[0] = (struct leat_keyed_state)LEAT_VALUE("tally", &diff_row_type);
        if (node->size)
            opts.state[0].ttl = (struct leat_ttl){ .us = node->size,
                .time = node->unit ? LEAT_PROCESSING_TIME : LEAT_EVENT_TIME };
    }
    return leat_process(declare_keys(node, d->streams[node->in], declare_name("by", stream)),
        declare_name("n", stream), &opts);
}

static leat_stream *declare_again(const struct declared *d, const struct plan_node *node, const char *name)
{
    const struct plan_node *made_by = &d->plan->nodes[node->in - (int64_t)d->plan->sources_count];
    struct leat_project_opts opts = { .out = &diff_row_type,
        .fields = { { "k1", NULL }, { "k2", NULL }, { "l0", "v" }, { "d0", "d" }, { "s0", "s" },
            { "b0", "b" }, { "5", "gap" }, { "window_end", "at" } } };
    if (made_by->kind == PLAN_GROUP)
        opts.fields[7] = (struct leat_projection){ 0 }; /* there are no windows */
    return leat_project(d->streams[node->in], name, &opts);
}

static leat_stream *declare_deduplicate(struct declared *d, const struct plan_node *node, size_t stream)
{
    leat_stream *kept = leat_deduplicate(declare_keys(node, d->streams[node->in], declare_name("by", stream)),
        declare_name("n", stream),
        &(struct leat_deduplicate_opts){ .keep = node->expr & 1 ? LEAT_KEEP_LAST : LEAT_KEEP_FIRST,
            .within_us = node->size,
            .by_event_time = (node->expr & 2) != 0 });
    declare_sink(d, leat_side_output(kept, "late"), "late", stream);
    return kept;
}

static leat_stream *declare_top(struct declared *d, const struct plan_node *node, size_t stream)
{
    const struct leat_top_n_opts opts = { .n = (uint32_t)node->count,
        .by = field_name(node->expr),
        .descending = node->every != 0,
        .rank = node->unit ? "gap" : NULL,
        .out = &diff_row_type };
    leat_keyed_stream *keyed = declare_keys(node, d->streams[node->in], declare_name("by", stream));
    if (node->kind == PLAN_TOP)
        return leat_top_n(keyed, declare_name("n", stream), &opts);
    struct leat_window_opts windows = declare_window_opts(node);
    windows.count = windows.every = 0;
    if (windows.kind != LEAT_WINDOW_CALENDAR)
        windows.unit = (enum leat_calendar_unit)0;
    leat_windowed_stream *windowed = leat_window(keyed, declare_name("w", stream), &windows);
    leat_stream *firsts = leat_window_top_n(windowed, declare_name("n", stream), &opts);
    declare_sink(d, leat_late_records(windowed), "late", stream);
    return firsts;
}

static leat_stream *declare_node(struct declared *d, const struct plan_node *node, size_t stream)
{
    leat_stream *in = d->streams[node->in];
    const char *name = declare_name("n", stream);
    const char *where = conditions[node->expr % CONDITIONS].text;
    where = where ? where : "true";
    switch ((enum plan_kind)node->kind) {
    case PLAN_FILTER:
        return leat_filter_expr(in, name, where);
    case PLAN_BRANCH:
        return leat_branch(in, name,
            &(struct leat_branch_opts){
                .cases = { { .name = "some", .where = where } }, .otherwise = "rest" });
    case PLAN_OTHERWISE:
        return leat_branch_output(in, "rest");
    case PLAN_MAP:
        return declare_map(node, in, name);
    case PLAN_UNION:
        return leat_union((leat_stream *const[]){ in, d->streams[node->in2] }, 2, name);
    case PLAN_JOIN:
        return declare_interval_join(d, node, stream);
    case PLAN_AGGREGATE:
        return declare_aggregate(d, node, stream);
    case PLAN_GROUP:
        return declare_group(d, node, stream);
    case PLAN_ALARM:
    case PLAN_TALLY:
        return declare_process(d, node, stream);
    case PLAN_AGAIN:
        return declare_again(d, node, name);
    case PLAN_DEDUPLICATE:
        return declare_deduplicate(d, node, stream);
    case PLAN_TOP:
    case PLAN_WINDOW_TOP:
        return declare_top(d, node, stream);
    case PLAN_ASOF_JOIN:
        return declare_asof_join(d, node, stream);
    case PLAN_WINDOW_JOIN:
        return declare_window_join(d, node, stream);
    case PLAN_UPSERT:
        return declare_upsert(d, node, stream);
    case PLAN_TABLE_JOIN:
        return declare_table_join(d, node, stream);
    case PLAN_JOIN_TABLES:
        return declare_join_tables(d, node, stream);
    case PLAN_COGROUP:
        return declare_cogroup(d, node, stream);
    case PLAN_PATTERN:
        return declare_pattern(d, node, stream);
    case PLAN_ASYNC:
        return declare_async(d, node, stream);
    case PLAN_KINDS:
        break;
    }
    return in;
}

leat_topology *declare_plan(const struct plan *plan, struct run_io *io)
{
    struct declared d = { .plan = plan, .io = io, .t = leat_topology_new("differential") };
    declared_plan = plan;
    for (size_t i = 0; i < plan->sources_count; i++) {
        d.streams[i] = declare_source(&d, i);
        if (!plan_is_read(plan, i))
            declare_sink(&d, d.streams[i], "out", i);
    }
    for (size_t i = 0; i < plan->nodes_count; i++) {
        const size_t stream = plan->sources_count + i;
        d.streams[stream] = declare_node(&d, &plan->nodes[i], stream);
        if (plan_has_own_sink(&plan->nodes[i]) || plan_is_read(plan, stream))
            continue;
        leat_stream *last = d.streams[stream];
        if (plan_gives_changes(plan, stream))
            last = declare_changelog(last, stream, &diff_row_type);
        declare_sink(&d, last, "out", stream);
    }
    return d.t;
}
