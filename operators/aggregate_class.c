/* operators/aggregate_class.c -- which operator does the work of leat_aggregate: by the kind of its windows, its
 * triggers, and what its aggregates can do. All of them give the same results where more than one could. */
#include "operators/session_private.h"
#include "operators/sliding_private.h"

const struct leat_op_class *leat__aggregate_class_of(
    const struct leat_node *node, const struct leat__aggregate_spec *spec)
{
    if (spec->window.kind == LEAT_WINDOW_COUNT)
        return &leat__count_aggregate_class;
    if (spec->window.kind == LEAT_WINDOW_SESSION)
        return &leat__session_aggregate_class;
    if (spec->window.kind == LEAT_WINDOW_SLIDING)
        return leat__sliding_is_each(&spec->window) ? &leat__sliding_each_class
                                                    : &leat__sliding_aggregate_class;
    if (spec->assigner && leat__slices_can_do(node, spec))
        return &leat__slice_aggregate_class;
    return spec->assigner ? &leat__window_aggregate_class : NULL;
}

void leat__aggregate_settle(struct leat_node *node)
{
    const struct leat_op_class *op = leat__aggregate_class_of(node, node->spec);
    if (op)
        node->op = op;
}
