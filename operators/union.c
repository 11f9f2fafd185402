/* operators/union.c -- several streams of one type as one.
 * Batches pass as they come, with their marks; the runtime merges the watermarks. A row that is on time in
 * its own input is above that input's watermark and so above the merged one. Of plain streams and streams of
 * changes the union is one of changes. Stateless. */
#include "operators/rows_private.h"
#include "topology/declare.h"
#include <leat/union.h>

static int union_on_batch(struct leat_op *op, struct leat__ctx *ctx, uint32_t input, struct leat_batch *batch)
{
    LEAT_ASSERT(input < op->node->inputs_count);
    return leat__emit(ctx, 0, batch);
}

static const struct leat_op_class union_class = {
    .kind = "union",
    .size = sizeof(struct leat_op),
    .on_batch = union_on_batch,
};

leat_stream *leat_union(leat_stream *const *streams, size_t count, const char *name)
{
    struct leat_topology *t = streams && count ? streams[0]->t : NULL;
    struct leat_node *node = leat__declare(t, name, LEAT_NODE_OPERATOR, union_class.kind);
    node->op = &union_class;
    for (size_t i = 0; i < count && i < LEAT_NODE_INPUTS_MAX; i++) {
        leat__takes_changes(node, (uint32_t)i);
        leat__input(node, (uint32_t)i, streams[i], LEAT_FORWARD, NULL);
    }
    if (count < 2 || count > LEAT_NODE_INPUTS_MAX)
        leat__declare_error(
            node, "count", LEAT_EDECLARE, "%zu streams: a union is of 2 to %u", count, LEAT_NODE_INPUTS_MAX);
    for (uint32_t i = 1; i < node->inputs_count && leat__input_type(node, 0); i++) {
        const char *option = leat__spec_printf(node, "streams[%u]", i);
        leat__need_type(node, i, leat__input_type(node, 0), option, "this union");
    }
    leat__output(node, count ? leat__input_type(node, 0) : NULL, NULL);
    return leat__stream(node, 0);
}
