/* topology/describe_dot.c -- a plan as a picture: `prog --describe=dot | dot -Tsvg`.
 * A box a chain: what is inside runs on one worker without queues between threads; thick arrows are
 * exchanges. */
#include "topology/describe_private.h"
#include <string.h>

#define WRAP_COLUMNS 34u

static const struct {
    const char *fill, *line;
} looks[] = {
    [LEAT_NODE_SOURCE] = { "#e3f1e6", "#4d8a5b" },
    [LEAT_NODE_OPERATOR] = { "#ffffff", "#5b6b7b" },
    [LEAT_NODE_SINK] = { "#f6eadb", "#a8763b" },
};

/* Text inside an HTML-like label. */
static void add_escaped(struct leat_strbuf *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        switch (text[i]) {
        case '&':
            leat__strbuf_str(out, "&amp;");
            break;
        case '<':
            leat__strbuf_str(out, "&lt;");
            break;
        case '>':
            leat__strbuf_str(out, "&gt;");
            break;
        case '"':
            leat__strbuf_str(out, "&quot;");
            break;
        default:
            leat__strbuf_char(out, (unsigned char)text[i] < 0x20 ? ' ' : text[i]);
        }
    }
}

/* The same, broken at spaces into lines that are not wide. */
static void add_wrapped(struct leat_strbuf *out, const char *text)
{
    while (*text) {
        size_t len = strlen(text);
        if (len > WRAP_COLUMNS) {
            len = WRAP_COLUMNS;
            while (len > 0 && text[len] != ' ')
                len--;
            if (len == 0)
                len = strcspn(text, " ");
        }
        add_escaped(out, text, len);
        text += len;
        text += *text == ' ';
        leat__strbuf_str(out, *text ? "<br/>" : "");
    }
}

static void add_small(struct leat_strbuf *out, const char *text)
{
    leat__strbuf_str(out, "<br/><font point-size=\"9\" color=\"#667788\">");
    add_wrapped(out, text);
    leat__strbuf_str(out, "</font>");
}

static void add_node(struct leat_strbuf *out, const struct leat_plan *plan, uint32_t n)
{
    const struct leat_plan_node *planned = &plan->nodes[n];
    const struct leat_node *node = planned->node;
    const struct leat_plan_edge *edge = planned->edges_in_count ? &plan->edges[planned->edges_in[0]] : NULL;
    const bool has_state = edge && edge->key;
    leat__strbuf_printf(out, "    n%u [fillcolor=\"%s\", color=\"%s\"%s, label=<<b>", n,
        looks[node->kind].fill, looks[node->kind].line, has_state ? ", peripheries=2" : "");
    add_escaped(out, node->name, strlen(node->name));
    leat__strbuf_str(out, "</b>");
    add_small(out, node->kind_name);
    if (node->detail)
        add_small(out, node->detail);
    leat__strbuf_str(out, ">];\n");
}

static void add_chain(struct leat_strbuf *out, const struct leat_plan *plan, uint32_t chain)
{
    uint32_t parallelism = 0;
    for (uint32_t n = 0; n < plan->nodes_count; n++)
        if (plan->nodes[n].chain == chain)
            parallelism = plan->nodes[n].parallelism;
    leat__strbuf_printf(out,
        "  subgraph cluster_%u {\n    label=\"chain %u, %u subtask%s\"; labeljust=l; fontsize=9; "
        "fontcolor=\"#667788\";\n    style=\"rounded,filled\"; color=\"#d5dde5\"; fillcolor=\"#f7f9fb\"; "
        "margin=14;\n",
        chain, chain, parallelism, parallelism == 1 ? "" : "s");
    for (uint32_t n = 0; n < plan->nodes_count; n++)
        if (plan->nodes[n].chain == chain)
            add_node(out, plan, n);
    leat__strbuf_str(out, "  }\n");
}

/* The virtual nodes on the way, first to last: "by-customer, w5m". */
static void add_via(struct leat_strbuf *out, const struct leat_node *via)
{
    const struct leat_node *before = via->inputs_count ? via->inputs[0].via : NULL;
    if (before) {
        add_via(out, before);
        leat__strbuf_str(out, ", ");
    }
    add_escaped(out, via->name, strlen(via->name));
}

static void add_edge(struct leat_strbuf *out, const struct leat_plan *plan, const struct leat_plan_edge *edge)
{
    static const char *const words[] = { "", "FORWARD", "HASH", "GATHER", "BROADCAST" };
    const char *port = plan->nodes[edge->from].node->outputs[edge->port].name;
    const struct leat_node *via = plan->nodes[edge->to].node->inputs[edge->input].via;
    leat__strbuf_printf(out, "  n%u -> n%u [%slabel=<", edge->from, edge->to,
        edge->exchange ? "penwidth=2.2, color=\"#35506b\", " : "color=\"#8899aa\", ");
    leat__strbuf_str(out, words[edge->exchange ? edge->partitioning : LEAT_FORWARD]);
    if (edge->exchange && edge->key) {
        leat__strbuf_char(out, '(');
        add_escaped(out, leat__key_text(edge->key), strlen(leat__key_text(edge->key)));
        leat__strbuf_char(out, ')');
    }
    if (edge->combines)
        leat__strbuf_str(out, "<br/>pre-aggregated");
    if (leat__edge_avoids_exchange(plan, edge)) {
        leat__strbuf_str(out, "<br/>no exchange: already by ");
        add_escaped(out, leat__key_text(edge->key), strlen(leat__key_text(edge->key)));
    }
    if (port) {
        leat__strbuf_str(out, "<br/>");
        add_escaped(out, port, strlen(port));
    }
    if (via) {
        leat__strbuf_str(out, "<br/><font color=\"#667788\">");
        add_via(out, via);
        leat__strbuf_str(out, "</font>");
    }
    leat__strbuf_str(out, ">];\n");
}

void leat__describe_dot(const struct leat_plan *plan, struct leat_strbuf *out)
{
    leat__strbuf_printf(out,
        "digraph \"%s\" {\n"
        "  graph [rankdir=LR, fontname=\"Helvetica\", fontsize=14, labelloc=t, nodesep=0.35, ranksep=0.7, "
        "pad=0.2,\n"
        "    label=<<b>%s</b><br/><font point-size=\"9\" color=\"#667788\">%u worker%s. Thick arrows: rows "
        "change the "
        "worker. Double border: keyed state.</font>>];\n"
        "  node [fontname=\"Helvetica\", fontsize=11, shape=box, style=\"rounded,filled\", "
        "margin=\"0.16,0.09\"];\n"
        "  edge [fontname=\"Helvetica\", fontsize=9, arrowsize=0.7];\n",
        plan->t->name, plan->t->name, plan->parallelism, plan->parallelism == 1 ? "" : "s");
    for (uint32_t chain = 0; chain < plan->chains_count; chain++)
        add_chain(out, plan, chain);
    for (uint32_t e = 0; e < plan->edges_count; e++)
        add_edge(out, plan, &plan->edges[e]);
    leat__strbuf_str(out, "}\n");
}
