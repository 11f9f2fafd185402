/* topology/describe_json.c -- a plan as JSON. The keys are a contract with tools (topology/README.md lists
 * them): new ones may come, none changes its meaning. One node, edge or chain a line, so that plans can be
 * compared with diff. */
#include "topology/describe_private.h"
#include <string.h>

static void add_text(struct leat_strbuf *out, const char *text)
{
    if (text)
        leat__strbuf_json(out, text, strlen(text));
    else
        leat__strbuf_str(out, "null");
}

/* `, "key": "text"`; without the comma for the first member. */
static void add_member(struct leat_strbuf *out, const char *before, const char *key, const char *text)
{
    leat__strbuf_printf(out, "%s\"%s\": ", before, key);
    add_text(out, text);
}

static void add_inputs(struct leat_strbuf *out, const struct leat_node *node)
{
    leat__strbuf_str(out, ", \"inputs\": [");
    for (uint32_t i = 0; i < node->inputs_count; i++) {
        const struct leat_input *in = &node->inputs[i];
        leat__strbuf_str(out, i ? ", " : "");
        add_member(out, "{", "node", in->from->name);
        add_member(out, ", ", "output", in->from->outputs[in->port].name);
        add_member(out, ", ", "via", in->via ? in->via->name : NULL);
        leat__strbuf_char(out, '}');
    }
    leat__strbuf_char(out, ']');
}

static void add_outputs(struct leat_strbuf *out, const struct leat_node *node)
{
    leat__strbuf_str(out, ", \"outputs\": [");
    for (uint32_t i = 0; i < node->outputs_count; i++) {
        const struct leat_output *output = &node->outputs[i];
        leat__strbuf_str(out, i ? ", " : "");
        add_member(out, "{", "name", output->name);
        add_member(out, ", ", "type", output->type->name);
        leat__strbuf_printf(out, ", \"has_event_time\": %s, \"changes\": %s, \"consumers\": %u}",
            output->has_event_time ? "true" : "false", output->changes ? "true" : "false",
            output->consumers_count);
    }
    leat__strbuf_char(out, ']');
}

static void add_event_time(struct leat_strbuf *out, const struct leat_source_time *time)
{
    leat__strbuf_str(out, ", \"event_time\": ");
    if (!time->field) {
        leat__strbuf_str(out, "null");
        return;
    }
    add_member(out, "{", "field", time->field);
    leat__strbuf_printf(out,
        ", \"max_out_of_orderness_us\": %lld, \"idle_timeout_us\": %lld, \"max_ahead_us\": %lld",
        (long long)time->max_out_of_orderness_us, (long long)time->idle_timeout_us,
        (long long)time->max_ahead_us);
    if (time->align) {
        add_member(out, ", ", "align", time->align);
        leat__strbuf_printf(out, ", \"max_drift_us\": %lld", (long long)time->max_drift_us);
    }
    leat__strbuf_char(out, '}');
}

static void add_node(struct leat_strbuf *out, const struct leat_plan *plan, const struct leat_node *node)
{
    const struct leat_plan_node *planned = leat__plan_node_of(plan, node);
    add_member(out, "    {", "name", node->name);
    add_member(out, ", ", "kind", leat__kind_word(node->kind));
    add_member(out, ", ", "class", node->kind_name);
    add_member(out, ", ", "detail", node->detail);
    add_inputs(out, node);
    if (planned) {
        const struct leat_plan_edge *edge =
            planned->edges_in_count ? &plan->edges[planned->edges_in[0]] : NULL;
        add_outputs(out, node);
        add_member(out, ", ", "policy", leat__policy_word(node->policy));
        if (node->kind == LEAT_NODE_SOURCE)
            add_event_time(out, &node->time);
        add_member(out, ", ", "state_key", edge && edge->key ? leat__key_text(edge->key) : NULL);
        leat__strbuf_printf(
            out, ", \"parallelism\": %u, \"chain\": %u", planned->parallelism, planned->chain);
    }
    leat__strbuf_char(out, '}');
}

static void add_edge(struct leat_strbuf *out, const struct leat_plan *plan, const struct leat_plan_edge *edge)
{
    static const char *const pre_aggregated[] = { NULL, "auto", "always" };
    const struct leat_node *from = plan->nodes[edge->from].node, *to = plan->nodes[edge->to].node;
    add_member(out, "    {", "from", from->name);
    add_member(out, ", ", "output", from->outputs[edge->port].name);
    add_member(out, ", ", "to", to->name);
    leat__strbuf_printf(out, ", \"input\": %u", edge->input);
    add_member(out, ", ", "partitioning", leat__edge_word(edge));
    add_member(out, ", ", "key", edge->key ? leat__key_text(edge->key) : NULL);
    leat__strbuf_printf(out, ", \"exchange\": %s%s", edge->exchange ? "true" : "false",
        leat__edge_avoids_exchange(plan, edge) ? ", \"exchange_avoided\": true" : "");
    add_member(out, ", ", "pre_aggregated", pre_aggregated[edge->combines]);
    add_member(out, ", ", "not_pre_aggregated", edge->combines_not);
    leat__strbuf_char(out, '}');
}

static void add_chain(struct leat_strbuf *out, const struct leat_plan *plan, uint32_t chain)
{
    uint32_t parallelism = 0;
    leat__strbuf_printf(out, "    {\"id\": %u, \"nodes\": [", chain);
    for (uint32_t n = 0; n < plan->nodes_count; n++) {
        if (plan->nodes[n].chain != chain)
            continue;
        leat__strbuf_str(out, parallelism ? ", " : "");
        add_text(out, plan->nodes[n].node->name);
        parallelism = plan->nodes[n].parallelism;
    }
    leat__strbuf_printf(out, "], \"parallelism\": %u}", parallelism);
}

void leat__describe_json(const struct leat_plan *plan, struct leat_strbuf *out)
{
    const struct leat_topology *t = plan->t;
    add_member(out, "{\n  ", "topology", t->name);
    leat__strbuf_printf(out, ",\n  \"parallelism\": %u,\n  \"max_parallelism\": %u,\n  \"nodes\": [\n",
        plan->parallelism, plan->max_parallelism);
    for (uint32_t i = 0; i < t->nodes_count; i++) {
        add_node(out, plan, t->nodes[i]);
        leat__strbuf_str(out, i + 1 < t->nodes_count ? ",\n" : "\n");
    }
    leat__strbuf_str(out, "  ],\n  \"edges\": [\n");
    for (uint32_t e = 0; e < plan->edges_count; e++) {
        add_edge(out, plan, &plan->edges[e]);
        leat__strbuf_str(out, e + 1 < plan->edges_count ? ",\n" : "\n");
    }
    leat__strbuf_str(out, "  ],\n  \"chains\": [\n");
    for (uint32_t chain = 0; chain < plan->chains_count; chain++) {
        add_chain(out, plan, chain);
        leat__strbuf_str(out, chain + 1 < plan->chains_count ? ",\n" : "\n");
    }
    leat__strbuf_str(out, "  ]\n}\n");
}
