/* topology/plan_combine.c -- which exchanges combine rows before they leave (topology/combine.h).
 *
 * Only where rows change the worker is anything saved; and only where the consumer's class can not give other results
 * by it, which it says itself. What it needs to know of the rest of the graph is whether rows may come behind the
 * operator's watermark without being marked (docs/decisions/0002): that is so where a source may be idle. */
#include "topology/combine.h"
#include "topology/plan.h"

/* Whether some source of the node may be idle; of nodes in topological order. */
static bool may_be_idle(const struct leat_plan *plan, uint32_t n)
{
    const struct leat_plan_node *node = &plan->nodes[n];
    if (node->node->kind == LEAT_NODE_SOURCE)
        return node->node->time.idle_timeout_us > 0;
    for (uint32_t i = 0; i < node->edges_in_count; i++)
        if (plan->nodes[plan->edges[node->edges_in[i]].from].may_be_idle)
            return true;
    return false;
}

void leat__plan_combine(struct leat_plan *plan, enum leat_pre_aggregate asked, bool may_repeat)
{
    for (uint32_t n = 0; n < plan->nodes_count; n++)
        plan->nodes[n].may_be_idle = may_be_idle(plan, n);
    for (uint32_t e = 0; e < plan->edges_count; e++) {
        struct leat_plan_edge *edge = &plan->edges[e];
        const struct leat_plan_node *to = &plan->nodes[edge->to];
        const struct leat_combine_class *combine = to->node->op ? to->node->op->combine : NULL;
        const struct leat_combine_when when = { asked, may_repeat || to->may_be_idle };
        edge->combines = 0;
        edge->combines_not = NULL;
        if (edge->exchange && edge->partitioning == LEAT_HASH && combine && edge->input == 0)
            edge->combines = combine->choose(to->node, &when, &edge->combines_not);
    }
}
