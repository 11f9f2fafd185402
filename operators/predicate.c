/* operators/predicate.c -- a condition on records, from a callback or an expression.
 *
 * An expression is evaluated for the whole batch. Only when a row makes it fail (overflow, a cast) is it done
 * again row by row, so that exactly the bad rows are refused and bad data costs time in proportion to its
 * batches. */
#include "operators/predicate_private.h"
#include "operators/rows_private.h"
#include "topology/declare.h"

void leat__predicate_of_fn(
    struct leat_node *node, const char *option, const struct leat_filter_fn *fn, struct leat__predicate *p)
{
    if (!fn) {
        leat__declare_error(
            node, option, LEAT_EDECLARE, "missing: the predicate that LEAT_DEFINE_FILTER makes");
        return;
    }
    leat__need_type(node, 0, fn->in, option, fn->name);
    p->fn = fn;
}

static void free_expr(void *expr)
{
    leat__expr_free(expr);
}

void leat__predicate_of_expr(
    struct leat_node *node, const char *option, const char *where, struct leat__predicate *p)
{
    const struct leat_type *type = leat__input_type(node, 0);
    struct leat_error err = { 0 };
    if (!where) {
        leat__declare_error(node, option, LEAT_EDECLARE, "missing: a boolean expression");
        return;
    }
    if (!type)
        return;
    if (leat__expr_new(where, type, &p->expr, &err) < 0) {
        leat__declare_error_of(node, option, &err);
        return;
    }
    const enum leat_value_class found = leat__expr_class(p->expr);
    leat__topology_defer(node, free_expr, p->expr);
    if (found != LEAT_VALUE_BOOL && found != LEAT_VALUE_NULL)
        leat__declare_error(node, option, LEAT_EEXPR, "%s is no condition: it must be true or false", where);
}

int leat__predicate_scratch(
    const struct leat__predicate *p, struct leat__ctx *ctx, struct leat_expr_scratch **scratch)
{
    *scratch = NULL;
    if (p->expr && leat__expr_scratch_new(p->expr, scratch) < 0)
        return leat__rows_nomem(ctx, "an expression");
    return 0;
}

static int mark_each_row(const struct leat_expr *expr, struct leat_expr_scratch *scratch,
    struct leat__ctx *ctx, struct leat_batch *batch)
{
    struct leat_error err = { 0 };
    for (uint32_t i = 0; i < batch->count; i++) {
        struct leat_batch row = leat__rows_view(batch, i, 1);
        const int code = leat__expr_filter(expr, scratch, &row, NULL, &err);
        if (code == 0)
            continue;
        if (!leat__rows_are_to_blame(code))
            return leat__fail(ctx, code, "%s", err.message);
        batch->keep[i] = 0;
        leat__ctx_refuse(ctx, i, "%s", err.message);
    }
    return 0;
}

static int mark_by_expr(const struct leat_expr *expr, struct leat_expr_scratch *scratch,
    struct leat__ctx *ctx, struct leat_batch *batch)
{
    struct leat_error err = { 0 };
    const int code = leat__expr_filter(expr, scratch, batch, NULL, &err);
    if (code == 0)
        return 0;
    if (!leat__rows_are_to_blame(code))
        return leat__fail(ctx, code, "%s", err.message);
    return mark_each_row(expr, scratch, ctx, batch);
}

int leat__predicate_mark(const struct leat__predicate *p, struct leat_expr_scratch *scratch,
    struct leat__ctx *ctx, struct leat_batch *batch)
{
    leat__ctx_begin(ctx, batch, NULL);
    if (p->fn)
        p->fn->keep(&ctx->user, batch);
    else
        LEAT_TRY(mark_by_expr(p->expr, scratch, ctx, batch));
    return leat__ctx_end(ctx, batch, batch);
}
