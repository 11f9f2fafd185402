/* topology/describe.c -- plans for people and programs: text for a terminal, DOT for a picture, JSON for
 * tools. */
#include "base/alloc.h"
#include "base/assert.h"
#include "base/env.h"
#include "topology/describe_private.h"

const char *leat__edge_word(const struct leat_plan_edge *edge)
{
    if (!edge->exchange)
        return "forward";
    switch (edge->partitioning) {
    case LEAT_HASH:
        return "hash";
    case LEAT_GATHER:
        return "gather";
    case LEAT_BROADCAST:
        return "broadcast";
    default:
        return "forward";
    }
}

bool leat__edge_avoids_exchange(const struct leat_plan *plan, const struct leat_plan_edge *edge)
{
    return edge->key && !edge->exchange && plan->nodes[edge->to].parallelism > 1;
}

const char *leat__policy_word(enum leat_policy policy)
{
    return policy == LEAT_SKIP ? "skip" : policy == LEAT_DEAD_LETTER ? "dead_letter" : "fail";
}

const char *leat__kind_word(enum leat_node_kind kind)
{
    static const char *const words[] = { "", "source", "operator", "sink", "virtual" };
    return words[kind];
}

const struct leat_plan_node *leat__plan_node_of(const struct leat_plan *plan, const struct leat_node *node)
{
    for (uint32_t n = 0; n < plan->nodes_count; n++)
        if (plan->nodes[n].node == node)
            return &plan->nodes[n];
    return NULL;
}

const struct leat_node *leat__input_shown(const struct leat_input *in)
{
    return in->via ? in->via : in->from;
}

uint32_t leat__plan_exchanges_count(const struct leat_plan *plan)
{
    uint32_t count = 0;
    for (uint32_t e = 0; e < plan->edges_count; e++)
        count += plan->edges[e].exchange;
    return count;
}

void leat__plan_describe(
    const struct leat_plan *plan, enum leat_describe_format format, struct leat_strbuf *out)
{
    switch (format) {
    case LEAT_DESCRIBE_DOT:
        leat__describe_dot(plan, out);
        return;
    case LEAT_DESCRIBE_JSON:
        leat__describe_json(plan, out);
        return;
    default:
        leat__describe_text(plan, out);
        return;
    }
}

int leat_describe(leat_topology *t, enum leat_describe_format format, uint32_t parallelism, char **text)
{
    struct leat_plan *plan;
    struct leat_strbuf out = { 0 };
    *text = NULL;
    if (format < LEAT_DESCRIBE_TEXT || format > LEAT_DESCRIBE_JSON)
        return LEAT_EINVAL;
    uint32_t workers = parallelism ? parallelism : leat__env_parallelism();
    const uint32_t key_groups = LEAT_MAX_PARALLELISM_DEFAULT;
    if (!parallelism && workers > key_groups)
        workers = key_groups;
    LEAT_TRY(leat__plan_new(t, workers, workers > key_groups ? workers : key_groups, &plan, NULL));
    leat__plan_describe(plan, format, &out);
    leat__plan_free(plan);
    if (out.failed) {
        leat__strbuf_release(&out);
        return LEAT_ENOMEM;
    }
    *text = out.data; /* leat_free takes it */
    return 0;
}
