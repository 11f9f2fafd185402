/* operators/slice_aggregate.c -- the aggregate over windows that overlap: the operator's calls, its tables, its
 * snapshots. How it works is told in slice_aggregate_private.h. */
#include "base/alloc.h"
#include "operators/slice_aggregate_private.h"

/* ---- what it is for ---- */

static bool fires_by_watermark(const struct leat_window_opts *window)
{
    const bool is_default = !window->triggers[0].kind;
    const bool is_alone = window->triggers[0].kind == LEAT_TRIGGER_WATERMARK && !window->triggers[1].kind;
    return (is_default || is_alone) && !window->discard_remainder;
}

static bool overlaps(const struct leat_window_opts *window)
{
    return (window->kind == LEAT_WINDOW_HOPPING && window->slide_us < window->size_us) ||
        (window->kind == LEAT_WINDOW_CUMULATING && window->step_us < window->size_us);
}

bool leat__slices_want_subtraction(const struct leat_window_opts *window)
{
    return overlaps(window) && window->kind == LEAT_WINDOW_HOPPING && fires_by_watermark(window) &&
        window->allowed_lateness_us == 0;
}

bool leat__slices_can_do(const struct leat_node *node, const struct leat__aggregate_spec *spec)
{
    const struct leat_window_opts *window = &spec->window;
    const bool is_last_pane = window->accumulation == LEAT_ACCUMULATING ||
        (window->accumulation == LEAT_DISCARDING && window->allowed_lateness_us == 0);
    const bool refuses = spec->users_count && node->policy != LEAT_FAIL;
    return overlaps(window) && fires_by_watermark(window) && is_last_pane && !refuses &&
        !spec->takes_changes && leat__agg_is_mergeable(spec) && leat__slices_are_countable(spec->assigner);
}

/* ---- tables ---- */

static void print_format(const struct leat__slicer *a, struct leat_strbuf *out)
{
    const struct leat__assigner *w = a->assigner;
    leat__strbuf_printf(out, "v1; %s %lld us by %lld us from %lld us; %s; records",
        a->is_cumulating ? "cumulating" : "hopping", (long long)w->size, (long long)w->step,
        (long long)w->offset, a->has_tree ? "tree" : "running");
    leat__agg_print_aggs(a->spec, out);
}

static int open_table(
    struct leat__slicer *a, const char *name, const char *format, bool has_values, struct leat_table **table)
{
    struct leat_table_opts opts = {
        .node = a->ctx->node->name,
        .name = name,
        .kind = LEAT_TABLE_FIXED,
        .key_size = leat__key_fixed_size(a->spec->key),
        .value_size = has_values ? a->value_size : (uint32_t)sizeof(uint64_t),
        .codec = { .arg = &a->layout },
        .key_text = a->spec->key_types,
        .format = format,
        .counted = true,
    };
    if (has_values) {
        opts.codec.merge = leat__agg_merge;
        opts.accept_schema = leat__value_accept_schema;
        opts.schema = a->spec->schemas;
    }
    if (has_values && a->spec->has_memory) {
        opts.codec.encode = leat__agg_encode;
        opts.codec.decode = leat__agg_decode;
    }
    return leat__table_open(a->ctx->state, &opts, table, a->ctx->error);
}

static int open_tables(struct leat__slicer *a)
{
    struct leat_strbuf format = { 0 };
    print_format(a, &format);
    int code = format.failed ? leat__error(a->ctx->error, LEAT_ENOMEM, "out of memory for tables") : 0;
    if (code == 0)
        code = open_table(a, "slices", format.data, true, &a->slices);
    if (code == 0 && a->has_tree)
        code = open_table(a, "nodes", format.data, true, &a->nodes);
    if (code == 0)
        code = open_table(a, "result", format.data, true, &a->result);
    if (code == 0)
        code = open_table(a, "apart", format.data, true, &a->apart);
    if (code == 0 && a->spec->window.allowed_lateness_us)
        code = open_table(a, "panes", "v1; panes", false, &a->panes);
    leat__strbuf_release(&format);
    return code < 0 ? leat__fail_here(a->ctx) : 0;
}

void leat__slicer_count_keys(struct leat__slicer *a)
{
    const struct leat_table *const tables[] = { a->slices, a->nodes, a->result, a->apart, a->panes };
    uint64_t keys = 0;
    for (uint32_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        keys += tables[i] ? leat__table_keys_count_all(tables[i]) : 0;
    __atomic_store_n(&a->ctx->counters->state_keys, keys, __ATOMIC_RELAXED);
}

/* ---- life ---- */

static int slicer_init(struct leat_op *op, struct leat__ctx *ctx)
{
    struct leat__slicer *a = (struct leat__slicer *)op;
    const struct leat__aggregate_spec *spec = a->spec = op->node->spec;
    a->ctx = ctx;
    a->assigner = spec->assigner;
    a->fired_us = LEAT_TIME_MIN;
    a->is_cumulating = spec->window.kind == LEAT_WINDOW_CUMULATING;
    a->has_tree = spec->window.allowed_lateness_us || !(a->is_cumulating || leat__agg_is_invertible(spec));
    a->levels = a->has_tree ? leat__slice_levels(a->assigner) : 0;
    LEAT_TRY(leat__run_init(&a->run, ctx, spec));
    a->layout = (struct leat__value_layout){ spec, sizeof(uint64_t), op->node };
    a->value_size = a->layout.base + spec->values_size;
    a->stages_plain = !spec->has_memory && leat__key_fixed_size(spec->key) == sizeof(uint64_t) &&
        a->value_size % sizeof(uint64_t) == 0;
    a->staged = leat__calloc(LEAT__RUN_ITEMS, a->value_size);
    a->sum = leat__calloc(1, a->value_size);
    if (!a->staged || !a->sum)
        return leat__rows_nomem(ctx, "accumulators");
    return open_tables(a);
}

static void slicer_release(struct leat_op *op, struct leat__ctx *ctx)
{
    struct leat__slicer *a = (struct leat__slicer *)op;
    struct leat_table *const tables[] = { a->slices, a->nodes, a->result, a->apart, a->panes };
    (void)ctx;
    leat__run_release(&a->run);
    leat__cursor_close(a->cursor);
    leat__slicer_rows_release(a);
    leat__free(a->staged);
    leat__free(a->sum);
    leat__free(a->staged_keys);
    leat__free(a->shares);
    leat__arena_release(&a->stage);
    for (uint32_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        leat__table_close(tables[i]);
}

/* ---- calls ---- */

/* Ends a call about the batch. On an error the batch stays until release. */
static int end_batch(struct leat__slicer *a, int code)
{
    leat__slicer_count_keys(a);
    return code != 0 ? code : leat__run_end_batch(&a->run, a->ctx);
}

static int slicer_on_batch(
    struct leat_op *op, struct leat__ctx *ctx, uint32_t input, struct leat_batch *batch)
{
    struct leat__slicer *a = (struct leat__slicer *)op;
    a->ctx = ctx;
    LEAT_ASSERT(input == 0 && batch->count > 0);
    LEAT_ASSERT(!a->run.batch && a->phase == LEAT__SLICE_IDLE);
    leat__run_begin(&a->run);
    LEAT_TRY(leat__run_prepare(&a->run, ctx, batch));
    if (!a->run.batch)
        return 0;
    LEAT_TRY(leat__slicer_rows_reserve(a, a->run.batch->count));
    LEAT_TRY(leat__slicer_sort_rows(a));
    LEAT_TRY(leat__slicer_add_plain(a));
    return end_batch(a, leat__slicer_add_slow(a));
}

static int end_watermark(struct leat__slicer *a, int code)
{
    leat__slicer_count_keys(a);
    if (code != 0)
        return code;
    code = leat__run_flush(&a->run, a->ctx);
    a->run.in_watermark = false;
    return code;
}

static int slicer_on_watermark(struct leat_op *op, struct leat__ctx *ctx, int64_t w)
{
    struct leat__slicer *a = (struct leat__slicer *)op;
    a->ctx = ctx;
    LEAT_ASSERT(!a->run.batch);
    if (w <= a->fired_us)
        return 0; /* after a restore: what it makes has been given before the barrier */
    leat__run_begin(&a->run);
    a->run.in_watermark = true;
    a->run.forwarded_us = a->fired_us;
    leat__slicer_begin_watermark(a, w);
    return end_watermark(a, leat__slicer_fire(a));
}

static int slicer_step(struct leat_op *op, struct leat__ctx *ctx)
{
    struct leat__slicer *a = (struct leat__slicer *)op;
    a->ctx = ctx;
    leat__run_begin(&a->run);
    if (a->run.batch)
        return end_batch(a, leat__slicer_add_slow(a));
    return end_watermark(a, leat__slicer_fire(a));
}

const struct leat_op_class leat__slice_aggregate_class = {
    .kind = "aggregate",
    .combine = &leat__pre_aggregate_windows,
    .size = sizeof(struct leat__slicer),
    .settle = leat__aggregate_settle,
    .init = slicer_init,
    .on_batch = slicer_on_batch,
    .on_watermark = slicer_on_watermark,
    .step = slicer_step,
    .snapshot = leat__slicer_snapshot,
    .restore = leat__slicer_restore,
    .release = slicer_release,
};
