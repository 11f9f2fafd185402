/* operators/project.c -- other records by expressions: one for one. Stateless; projection.c does the work. */
#include "operators/projection_private.h"
#include "operators/rows_private.h"
#include "topology/declare.h"

struct project {
    struct leat_op op;
    struct leat__one_to_one rows;
    const struct leat__projection *projection;
    struct leat__projection_scratch *scratch;
};

static int project_make(
    struct leat_op *op, struct leat__ctx *ctx, const struct leat_batch *in, struct leat_batch *out)
{
    const struct project *p = (const struct project *)op;
    const struct leat__projection_rows rows = { .batch = in, .count = in->count };
    leat__ctx_begin(ctx, in, out);
    LEAT_TRY(leat__projection_run(p->projection, p->scratch, ctx, &rows, out, 0, true));
    return leat__ctx_end(ctx, in, out);
}

static int project_init(struct leat_op *op, struct leat__ctx *ctx)
{
    struct project *p = (struct project *)op;
    p->projection = op->node->spec;
    p->rows.make = project_make;
    return leat__projection_scratch_new(p->projection, ctx, &p->scratch);
}

static int project_on_batch(
    struct leat_op *op, struct leat__ctx *ctx, uint32_t input, struct leat_batch *batch)
{
    LEAT_ASSERT(input == 0);
    return leat__one_to_one_batch(&((struct project *)op)->rows, op, ctx, batch);
}

static int project_step(struct leat_op *op, struct leat__ctx *ctx)
{
    return leat__one_to_one_step(&((struct project *)op)->rows, op, ctx);
}

static void project_release(struct leat_op *op, struct leat__ctx *ctx)
{
    struct project *p = (struct project *)op;
    (void)ctx;
    leat__one_to_one_release(&p->rows);
    leat__projection_scratch_free(p->scratch);
}

static const struct leat_op_class project_class = {
    .kind = "project",
    .size = sizeof(struct project),
    .init = project_init,
    .on_batch = project_on_batch,
    .step = project_step,
    .release = project_release,
};

leat_stream *leat_project_sized(
    leat_stream *in, const char *name, const struct leat_project_opts *opts, size_t size)
{
    struct leat_project_opts o;
    struct leat_node *node = leat__declare(in->t, name, LEAT_NODE_OPERATOR, project_class.kind);
    leat__takes_changes(node, 0);
    leat__input(node, 0, in, LEAT_FORWARD, NULL);
    leat__opts_copy(node, &o, sizeof o, opts, size);
    node->op = &project_class;
    if (!opts)
        return leat__stream(node, 0);
    const struct leat__projection_opts projection = {
        .fields = o.fields, .fields_max = sizeof o.fields / sizeof o.fields[0], .out = o.out, .sides_count = 1
    };
    struct leat__projection *p = leat__projection_new(node, &projection);
    node->spec = p;
    if (p)
        leat__output(node, leat__projection_type(p), NULL);
    return leat__stream(node, 0);
}
