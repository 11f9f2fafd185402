/* topology/describe_text.c -- a plan as text for a terminal: first what was declared, then what runs where.
 */
#include "topology/declare.h"
#include "topology/describe_private.h"
#include <string.h>

#define NAME_WIDTH_MAX 28

/* Width of the column of names: of all nodes, within reason. */
static int name_width(const struct leat_plan *plan)
{
    size_t width = 8;
    for (uint32_t i = 0; i < plan->t->nodes_count; i++) {
        const size_t len = strlen(plan->t->nodes[i]->name);
        if (len > width)
            width = len < NAME_WIDTH_MAX ? len : NAME_WIDTH_MAX;
    }
    return (int)width;
}

static void add_line(struct leat_strbuf *out, int width, const char *name)
{
    leat__strbuf_printf(out, "  %-*s  ", width, name);
}

static void print_inputs(struct leat_strbuf *out, int width, const struct leat_node *node)
{
    if (node->inputs_count == 0)
        return;
    add_line(out, width, "");
    leat__strbuf_str(out, "from ");
    for (uint32_t i = 0; i < node->inputs_count; i++) {
        const struct leat_input *in = &node->inputs[i];
        leat__strbuf_printf(out, "%s%s", i ? ", " : "", leat__input_shown(in)->name);
        if (!in->via && in->from->outputs[in->port].name)
            leat__strbuf_printf(out, ":%s", in->from->outputs[in->port].name);
    }
    leat__strbuf_char(out, '\n');
}

/* "gives order", or "gives order; late: order; dead-letters: leat_dead_letter (not used)". */
static void print_outputs(struct leat_strbuf *out, int width, const struct leat_node *node)
{
    if (node->outputs_count == 0)
        return;
    add_line(out, width, "");
    leat__strbuf_str(out, "gives ");
    for (uint32_t i = 0; i < node->outputs_count; i++) {
        const struct leat_output *output = &node->outputs[i];
        leat__strbuf_str(out, i ? "; " : "");
        if (output->name)
            leat__strbuf_printf(out, "%s: ", output->name);
        leat__strbuf_str(out, output->type->name);
        if (output->changes)
            leat__strbuf_str(out, " (changes)");
        if (output->consumers_count == 0)
            leat__strbuf_str(out, " (unused)");
    }
    leat__strbuf_char(out, '\n');
}

static void print_event_time(struct leat_strbuf *out, int width, const struct leat_source_time *time)
{
    char text[32];
    add_line(out, width, "");
    if (!time->field) {
        leat__strbuf_str(out, "no event time\n");
        return;
    }
    leat__strbuf_printf(out, "event time %s", time->field);
    if (time->max_out_of_orderness_us)
        leat__strbuf_printf(
            out, ", up to %s out of order", leat__duration_text(time->max_out_of_orderness_us, text));
    if (time->idle_timeout_us)
        leat__strbuf_printf(out, ", idle after %s", leat__duration_text(time->idle_timeout_us, text));
    if (time->max_ahead_us)
        leat__strbuf_printf(out, ", at most %s ahead", leat__duration_text(time->max_ahead_us, text));
    if (time->align)
        leat__strbuf_printf(out, ", at most %s before the slowest of %s",
            leat__duration_text(time->max_drift_us, text), time->align);
    leat__strbuf_char(out, '\n');
}

static void print_policy(struct leat_strbuf *out, int width, const struct leat_node *node)
{
    if (node->policy == LEAT_FAIL)
        return; /* the default needs no line */
    add_line(out, width, "");
    leat__strbuf_printf(out, "bad data: %s\n", node->policy == LEAT_SKIP ? "skipped" : "dead letters");
}

static void print_node(struct leat_strbuf *out, int width, const struct leat_node *node)
{
    add_line(out, width, node->name);
    leat__strbuf_str(out, node->kind_name);
    if (node->detail)
        leat__strbuf_printf(out, ": %s", node->detail);
    leat__strbuf_char(out, '\n');
    print_inputs(out, width, node);
    print_outputs(out, width, node);
    if (node->kind == LEAT_NODE_SOURCE)
        print_event_time(out, width, &node->time);
    print_policy(out, width, node);
}

/* "2 exchanges", "1 exchange". */
static void print_count(struct leat_strbuf *out, uint32_t count, const char *noun)
{
    leat__strbuf_printf(out, "%u %s%s", count, noun, count == 1 ? "" : "s");
}

static void print_chain(struct leat_strbuf *out, const struct leat_plan *plan, uint32_t chain)
{
    uint32_t parallelism = 0;
    bool first = true;
    for (uint32_t n = 0; n < plan->nodes_count; n++)
        if (plan->nodes[n].chain == chain)
            parallelism = plan->nodes[n].parallelism;
    leat__strbuf_printf(out, "  chain %u  x%-3u ", chain, parallelism);
    for (uint32_t n = 0; n < plan->nodes_count; n++) {
        const struct leat_plan_node *node = &plan->nodes[n];
        if (node->chain != chain)
            continue;
        leat__strbuf_printf(out, "%s%s", first ? "" : ", ", node->node->name);
        first = false;
    }
    leat__strbuf_char(out, '\n');
}

/* "totals:late", "totals". */
static size_t print_port(
    struct leat_strbuf *out, const struct leat_plan *plan, const struct leat_plan_edge *edge)
{
    const size_t len = out->len;
    const struct leat_node *from = plan->nodes[edge->from].node;
    const char *port = from->outputs[edge->port].name;
    leat__strbuf_str(out, from->name);
    if (port)
        leat__strbuf_printf(out, ":%s", port);
    return out->len - len;
}

/* "orders -> totals  HASH(customer_id)". */
static void print_edges(struct leat_strbuf *out, const struct leat_plan *plan, int to_width)
{
    static const char *const words[] = { "", "FORWARD", "HASH", "GATHER", "BROADCAST" };
    struct leat_strbuf port = { 0 };
    size_t from_width = 0;
    for (uint32_t e = 0; e < plan->edges_count; e++) {
        leat__strbuf_clear(&port);
        const size_t len = print_port(&port, plan, &plan->edges[e]);
        from_width = len > from_width ? len : from_width;
    }
    leat__strbuf_release(&port);
    for (uint32_t e = 0; e < plan->edges_count; e++) {
        const struct leat_plan_edge *edge = &plan->edges[e];
        leat__strbuf_str(out, "  ");
        const size_t len = print_port(out, plan, edge);
        leat__strbuf_printf(out, "%*s -> %-*s  ", (int)(from_width > len ? from_width - len : 0), "",
            to_width, plan->nodes[edge->to].node->name);
        leat__strbuf_str(out, words[edge->exchange ? edge->partitioning : LEAT_FORWARD]);
        if (edge->key)
            leat__strbuf_printf(out,
                edge->exchange                               ? "(%s)"
                    : leat__edge_avoids_exchange(plan, edge) ? ", no exchange: already by %s"
                                                             : ", keyed by %s",
                leat__key_text(edge->key));
        if (edge->combines)
            leat__strbuf_str(out, ", pre-aggregated");
        else if (edge->combines_not)
            leat__strbuf_printf(out, ", not pre-aggregated: %s", edge->combines_not);
        leat__strbuf_char(out, '\n');
    }
}

static void print_state(struct leat_strbuf *out, const struct leat_plan *plan, int width)
{
    bool any = false;
    for (uint32_t n = 0; n < plan->nodes_count; n++) {
        const struct leat_plan_node *node = &plan->nodes[n];
        const struct leat_plan_edge *edge = node->edges_in_count ? &plan->edges[node->edges_in[0]] : NULL;
        if (!edge || !edge->key)
            continue;
        leat__strbuf_str(out, any ? "" : "\nKeyed state\n");
        any = true;
        leat__strbuf_printf(out, "  %-*s  by %s\n", width, node->node->name, leat__key_text(edge->key));
    }
}

void leat__describe_text(const struct leat_plan *plan, struct leat_strbuf *out)
{
    const int width = name_width(plan);
    leat__strbuf_printf(out, "Topology %s\n\nDeclared\n", plan->t->name);
    for (uint32_t i = 0; i < plan->t->nodes_count; i++)
        print_node(out, width, plan->t->nodes[i]);
    leat__strbuf_printf(out, "\nPlan for ");
    print_count(out, plan->parallelism, "worker");
    leat__strbuf_str(out, ": ");
    print_count(out, plan->chains_count, "chain");
    leat__strbuf_str(out, ", ");
    print_count(out, leat__plan_exchanges_count(plan), "exchange");
    leat__strbuf_printf(out, ", %u key groups\n", plan->max_parallelism);
    for (uint32_t chain = 0; chain < plan->chains_count; chain++)
        print_chain(out, plan, chain);
    leat__strbuf_str(out, "\nEdges\n");
    print_edges(out, plan, width);
    print_state(out, plan, width);
}
