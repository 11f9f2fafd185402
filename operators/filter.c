/* operators/filter.c -- keeps the records that satisfy a predicate.
 * For each batch: mark the survivors, compact in place, forward what is left. Order, times and marks are
 * kept, so that watermarks need no care: a NULL hook means "forward it". Stateless. */
#include "operators/predicate_private.h"
#include "operators/rows_private.h"
#include "topology/declare.h"

struct filter {
    struct leat_op op; /* first: the runtime knows only this part */
    const struct leat__predicate *predicate;
    struct leat_expr_scratch *scratch;
};

static int filter_init(struct leat_op *op, struct leat__ctx *ctx)
{
    struct filter *f = (struct filter *)op;
    f->predicate = op->node->spec;
    return leat__predicate_scratch(f->predicate, ctx, &f->scratch);
}

static int filter_on_batch(
    struct leat_op *op, struct leat__ctx *ctx, uint32_t input, struct leat_batch *batch)
{
    const struct filter *f = (const struct filter *)op;
    LEAT_ASSERT(input == 0 && batch->count > 0);
    LEAT_TRY(leat__rows_writable(ctx, batch, &batch));
    const int code = leat__predicate_mark(f->predicate, f->scratch, ctx, batch);
    if (code < 0) {
        leat__batch_release(batch);
        return code;
    }
    leat__batch_compact(batch);
    return leat__emit(ctx, 0, batch);
}

static void filter_release(struct leat_op *op, struct leat__ctx *ctx)
{
    (void)ctx;
    leat__expr_scratch_free(((struct filter *)op)->scratch);
}

static const struct leat_op_class filter_class = {
    .kind = "filter",
    .size = sizeof(struct filter),
    .keeps_rows = true,
    .init = filter_init,
    .on_batch = filter_on_batch,
    .release = filter_release,
};

/* A filter node with its input, and its predicate yet to be set; NULL when there is no memory for that. */
static struct leat_node *declare_filter(leat_stream *in, const char *name, struct leat__predicate **predicate)
{
    struct leat_node *node = leat__declare(in->t, name, LEAT_NODE_OPERATOR, filter_class.kind);
    leat__takes_changes(node, 0);
    leat__input(node, 0, in, LEAT_FORWARD, NULL);
    node->op = &filter_class;
    node->spec = *predicate = leat__spec(node, sizeof **predicate);
    return node;
}

static leat_stream *filter_stream(struct leat_node *node)
{
    leat__output(node, leat__input_type(node, 0), NULL);
    return leat__stream(node, 0);
}

leat_stream *leat_filter(leat_stream *in, const char *name, const struct leat_filter_fn *fn)
{
    struct leat__predicate *predicate;
    struct leat_node *node = declare_filter(in, name, &predicate);
    if (predicate)
        leat__predicate_of_fn(node, "fn", fn, predicate);
    node->detail = fn ? leat__spec_str(node, fn->name) : NULL;
    return filter_stream(node);
}

leat_stream *leat_filter_expr(leat_stream *in, const char *name, const char *where)
{
    struct leat__predicate *predicate;
    struct leat_node *node = declare_filter(in, name, &predicate);
    if (predicate)
        leat__predicate_of_expr(node, "where", where, predicate);
    node->detail = leat__spec_str(node, where);
    return filter_stream(node);
}
