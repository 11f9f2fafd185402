/* operators/peek.c -- shows records to a callback and forwards them as they are.
 * The batch may be shared: it is only read, unless the callback refuses records, which must then leave. */
#include "operators/rows_private.h"
#include "topology/declare.h"
#include <leat/peek.h>

struct peek {
    struct leat_op op;
    const struct leat_peek_fn *fn;
};

static int peek_init(struct leat_op *op, struct leat__ctx *ctx)
{
    (void)ctx;
    ((struct peek *)op)->fn = op->node->spec;
    return 0;
}

static int peek_on_batch(struct leat_op *op, struct leat__ctx *ctx, uint32_t input, struct leat_batch *batch)
{
    LEAT_ASSERT(input == 0);
    leat__ctx_begin(ctx, batch, NULL);
    ((struct peek *)op)->fn->peek(&ctx->user, batch);
    if (ctx->user.failures_count > 0) {
        LEAT_TRY(leat__rows_writable(ctx, batch, &batch));
        ctx->batch_in = batch; /* the shared one is no longer ours to look at */
    }
    const int code = leat__ctx_end(ctx, batch, batch);
    if (code < 0) {
        leat__batch_release(batch);
        return code;
    }
    return leat__emit(ctx, 0, batch);
}

static const struct leat_op_class peek_class = {
    .kind = "peek",
    .size = sizeof(struct peek),
    .keeps_rows = true,
    .init = peek_init,
    .on_batch = peek_on_batch,
};

leat_stream *leat_peek(leat_stream *in, const char *name, const struct leat_peek_fn *fn)
{
    struct leat_node *node = leat__declare(in->t, name, LEAT_NODE_OPERATOR, peek_class.kind);
    leat__takes_changes(node, 0);
    leat__input(node, 0, in, LEAT_FORWARD, NULL);
    node->op = &peek_class;
    struct leat_peek_fn *spec = leat__spec(node, sizeof *spec);
    if (!fn)
        leat__declare_error(node, "fn", LEAT_EDECLARE, "missing: the function that LEAT_DEFINE_PEEK makes");
    else if (spec) {
        leat__need_type(node, 0, fn->in, "fn", fn->name);
        node->detail = leat__spec_str(node, fn->name);
        *spec = *fn;
    }
    node->spec = spec;
    leat__output(node, leat__input_type(node, 0), NULL);
    return leat__stream(node, 0);
}
