/* tests/differential/declare_pattern.c -- patterns, asynchronous requests and users' triggers of a plan. */
#include "tests/differential/declare_private.h"
#include <leat/async.h>
#include <leat/pattern.h>

/* ---- patterns ---- */

/* The steps are the node's aggregates: a condition each, and how it follows. */
leat_stream *declare_pattern(struct declared *d, const struct plan_node *node, size_t stream)
{
    static const char *const names[] = { "begun", "between", "ended" };
    struct leat_pattern_opts opts = { .within_us = node->size,
        .skip = (enum leat_skip)node->expr,
        .match = {
            .out = &diff_row_type, .fields = { { "begun.v", "v" }, { "coalesce(begun.gap, 0)", "gap" } } } };
    for (size_t i = 0; i < sizeof names / sizeof *names && node->aggs[i].kind; i++)
        opts.steps[i] = (struct leat_pattern_step){ .name = names[i],
            .where = conditions[node->aggs[i].where % CONDITIONS].text,
            .contiguity = (enum leat_contiguity)node->aggs[i].n };
    leat_stream *found = leat_pattern(declare_keys(node, d->streams[node->in], declare_name("by", stream)),
        declare_name("n", stream), &opts);
    declare_sink(d, leat_side_output(found, "late"), "late", stream);
    return found;
}

/* ---- requests ---- */

/* In jobs, some of them are refused at first, and asked again. */
static void ask(struct leat_ctx *ctx, const struct diff_row *row, struct leat_request *request, void *arg)
{
    static uint32_t asked;
    const bool *may_fail = arg;
    (void)ctx;
    struct diff_row out = *row;
    if (*may_fail && __atomic_fetch_add(&asked, 1, __ATOMIC_RELAXED) % 3 == 0) {
        leat_request_fail(request, "busy");
        return;
    }
    out.v += out.has_v;
    leat_request_complete(request, row->has_b && !row->b ? NULL : &out);
}
LEAT_DEFINE_ASYNC(ask, diff_row, diff_row);

leat_stream *declare_async(struct declared *d, const struct plan_node *node, size_t stream)
{
    static bool may_fail[2] = { false, true };
    return leat_async(d->streams[node->in], declare_name("n", stream),
        &(struct leat_async_opts){ .fn = &ask_async,
            .arg = &may_fail[!d->io->is_kit],
            .capacity = 5,
            .unordered = node->expr != 0,
            .attempts = 1000 });
}

/* ---- triggers ---- */

struct records {
    int64_t count;
};

/* Fires at each n-th record of a window and key, n of the plan's trigger. */
static enum leat_fire steady__on_record(struct leat_ctx *ctx, const struct diff_row *row,
    const struct leat_bounds *window, struct records *records)
{
    const struct plan_node *node = declare_node_of(ctx);
    (void)row;
    (void)window;
    records->count++;
    for (size_t i = 0; i < PLAN_TRIGGERS_MAX; i++)
        if (node->triggers[i].kind == LEAT_TRIGGER_USER && records->count % node->triggers[i].n == 0)
            return LEAT_FIRE;
    return LEAT_CONTINUE;
}

static enum leat_fire steady__on_timer(struct leat_ctx *ctx, int64_t us, enum leat_time_kind kind,
    const struct leat_bounds *window, struct records *records)
{
    (void)ctx;
    (void)us;
    (void)kind;
    (void)window;
    (void)records;
    return LEAT_CONTINUE;
}

static void steady__merge(struct leat_ctx *ctx, struct records *into, const struct records *from)
{
    (void)ctx;
    into->count += from->count;
}
LEAT_DEFINE_TRIGGER(steady, diff_row, records);

const struct leat_trigger_fn *declare_trigger(void)
{
    return &steady_trigger;
}
