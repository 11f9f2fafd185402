/* operators/session_gap.c -- the gap of each row: the same for all, an expression, or a callback's. A row whose gap
 * is null or not above zero is bad data: it is refused before anything is made of it. */
#include "operators/session_private.h"

int leat__session_gaps_init(
    struct leat__session_gaps *gaps, struct leat__ctx *ctx, const struct leat__aggregate_spec *spec)
{
    if (!spec->session || !spec->session->expr)
        return 0;
    gaps->column = (struct leat__column){ .expr = spec->session->expr, .text = spec->window.gap };
    return leat__column_init(&gaps->column, ctx, &gaps->scratch);
}

void leat__session_gaps_release(struct leat__session_gaps *gaps)
{
    leat__column_release(&gaps->scratch);
    leat__free(gaps->by_row);
    leat__free(gaps->kept);
}

static bool was_refused(const struct leat__ctx *ctx, uint32_t row)
{
    return ctx->user.failures_count > 0 && row < ctx->failed_rows_capacity && ctx->failed_rows[row];
}

static void refuse_unless_positive(struct leat__session_gaps *gaps, struct leat__ctx *ctx, uint32_t row)
{
    if (gaps->by_row[row] <= 0)
        leat__ctx_refuse(ctx, row, "the gap is %lld us; it must be above zero", (long long)gaps->by_row[row]);
}

/* An expression that can not be had for some row leaves the view void: then only refusals are there. */
static int eval_column(struct leat__session_gaps *gaps, struct leat__ctx *ctx, const struct leat_batch *batch)
{
    struct leat__column_view view;
    LEAT_TRY(leat__column_eval(&gaps->column, &gaps->scratch, ctx, batch, &view));
    for (uint32_t r = 0; ctx->user.failures_count == 0 && r < batch->count; r++)
        memcpy(&gaps->by_row[r], view.base + r * view.stride, sizeof gaps->by_row[r]);
    if (ctx->user.failures_count)
        return 0;
    for (uint32_t r = 0; r < batch->count; r++)
        if (view.nulls && view.nulls[r])
            leat__ctx_refuse(ctx, r, "the gap is null: %s; coalesce(%s, ...) gives it a value",
                gaps->column.text, gaps->column.text);
        else
            refuse_unless_positive(gaps, ctx, r);
    return 0;
}

static void call_fn(struct leat__session_gaps *gaps, struct leat__ctx *ctx, const struct leat_batch *batch,
    const struct leat_gap_fn *fn)
{
    for (uint32_t r = 0; r < batch->count; r++) {
        ctx->user.row = r;
        gaps->by_row[r] = fn->gap(&ctx->user, leat_batch_at(batch, r));
        if (!was_refused(ctx, r))
            refuse_unless_positive(gaps, ctx, r);
    }
}

static int eval(struct leat__session_gaps *gaps, struct leat__ctx *ctx, const struct leat_batch *batch,
    const struct leat__session_spec *spec)
{
    if (batch->count > gaps->capacity) {
        leat__free(gaps->by_row);
        gaps->capacity = 0;
        if (!(gaps->by_row = leat__malloc(batch->count * sizeof *gaps->by_row)))
            return leat__rows_nomem(ctx, "gaps");
        gaps->capacity = batch->count;
    }
    leat__ctx_begin(ctx, batch, NULL);
    if (spec->expr)
        return eval_column(gaps, ctx, batch);
    call_fn(gaps, ctx, batch, spec->fn);
    return 0;
}

/* The rows that were not refused, in a batch of their own; none: NULL. */
static int leave_refused(struct leat__session_gaps *gaps, struct leat__ctx *ctx, struct leat_batch **batch)
{
    struct leat_batch *all = *batch;
    uint32_t count = 0;
    LEAT_TRY(leat__rows_reserve(ctx, &gaps->kept, &gaps->kept_capacity, all->count));
    for (uint32_t r = 0; r < all->count; r++)
        if (!was_refused(ctx, r))
            gaps->kept[count++] = r;
    LEAT_TRY(leat__ctx_end(ctx, all, NULL));
    *batch = NULL;
    if (count)
        LEAT_TRY(leat__rows_gather(ctx, all, gaps->kept, count, batch));
    leat__batch_release(all);
    return 0;
}

int leat__session_prepare(
    struct leat__session_gaps *gaps, struct leat__run *run, struct leat__ctx *ctx, struct leat_batch *batch)
{
    LEAT_TRY(leat__run_prepare(run, ctx, batch));
    while (run->spec->session && run->batch) {
        LEAT_TRY(eval(gaps, ctx, run->batch, run->spec->session));
        if (ctx->user.failures_count == 0)
            return leat__ctx_end(ctx, run->batch, NULL);
        struct leat_batch *rest = run->batch;
        LEAT_TRY(leave_refused(gaps, ctx, &rest));
        run->batch = NULL;
        if (rest)
            LEAT_TRY(leat__run_prepare(run, ctx, rest));
    }
    return 0;
}
