/* operators/map.c -- one record in, one record out, by a callback.
 * The output batch shares the input's buffers, so that its views may show the input's strings. Of changes
 * (leat/change.h) the output says the same: the callback must make the same of the same record. Stateless. */
#include "operators/rows_private.h"
#include "topology/declare.h"
#include <leat/map.h>

struct map {
    struct leat_op op;
    struct leat__one_to_one rows;
    const struct leat_map_fn *fn;
};

static int map_make(
    struct leat_op *op, struct leat__ctx *ctx, const struct leat_batch *in, struct leat_batch *out)
{
    const struct map *m = (const struct map *)op;
    leat__ctx_begin(ctx, in, out);
    m->fn->map(&ctx->user, in, out);
    return leat__ctx_end(ctx, in, out);
}

static int map_init(struct leat_op *op, struct leat__ctx *ctx)
{
    struct map *m = (struct map *)op;
    (void)ctx;
    m->fn = op->node->spec;
    m->rows.make = map_make;
    return 0;
}

static int map_on_batch(struct leat_op *op, struct leat__ctx *ctx, uint32_t input, struct leat_batch *batch)
{
    LEAT_ASSERT(input == 0);
    return leat__one_to_one_batch(&((struct map *)op)->rows, op, ctx, batch);
}

static int map_step(struct leat_op *op, struct leat__ctx *ctx)
{
    return leat__one_to_one_step(&((struct map *)op)->rows, op, ctx);
}

static void map_release(struct leat_op *op, struct leat__ctx *ctx)
{
    (void)ctx;
    leat__one_to_one_release(&((struct map *)op)->rows);
}

static const struct leat_op_class map_class = {
    .kind = "map",
    .size = sizeof(struct map),
    .init = map_init,
    .on_batch = map_on_batch,
    .step = map_step,
    .release = map_release,
};

leat_stream *leat_map(leat_stream *in, const char *name, const struct leat_map_fn *fn)
{
    struct leat_node *node = leat__declare(in->t, name, LEAT_NODE_OPERATOR, map_class.kind);
    leat__takes_changes(node, 0);
    leat__input(node, 0, in, LEAT_FORWARD, NULL);
    node->op = &map_class;
    if (!fn) {
        leat__declare_error(node, "fn", LEAT_EDECLARE, "missing: the function that LEAT_DEFINE_MAP makes");
        return leat__stream(node, 0);
    }
    leat__need_type(node, 0, fn->in, "fn", fn->name);
    struct leat_map_fn *spec = leat__spec(node, sizeof *spec);
    if (spec)
        *spec = *fn;
    node->spec = spec;
    node->detail = leat__spec_str(node, fn->name);
    leat__output(node, fn->out, NULL);
    return leat__stream(node, 0);
}
