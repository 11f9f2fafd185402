/* topology/check.c -- leat_check: what can only be said once everything is declared.
 *
 * Each node was checked when it was declared; here is what is missing: a source, a sink, consumers of outputs
 * and dead letters, the aggregate of a window. What an erroneous node would have provided or consumed counts
 * as there (graph_private.h), so that nothing is said twice. */
#include "base/assert.h"
#include "base/strbuf.h"
#include "topology/declare.h"
#include "topology/graph_private.h"
#include <string.h>

static bool has_declared(const struct leat_topology *t, enum leat_node_kind kind)
{
    for (const struct leat_declared *d = t->declared; d; d = d->next)
        if (d->kind == kind)
            return true;
    return false;
}

static void add(struct leat_node *node, const char *option, const char *text)
{
    leat__topology_add_error(node->t, node->kind_name, node->name, option, LEAT_EDECLARE, text);
}

/* Side outputs may go unused; the main one may not, nor all of a node that has only named ones. */
static bool is_unused(const struct leat_node *node)
{
    if (node->kind == LEAT_NODE_VIRTUAL)
        return !node->taken;
    if (node->outputs_count == 0)
        return false;
    if (!node->outputs[0].name)
        return !node->outputs[0].taken;
    for (uint32_t i = 0; i < node->outputs_count; i++)
        if (node->outputs[i].taken)
            return false;
    return true;
}

/* "a", "b" and 3 more: the nodes that lead nowhere. */
static void add_no_sink(struct leat_topology *t)
{
    struct leat_strbuf text = { 0 };
    uint32_t count = 0;
    leat__strbuf_str(&text, "there is no sink: nothing consumes the output of ");
    for (uint32_t i = 0; i < t->nodes_count; i++) {
        if (!is_unused(t->nodes[i]))
            continue;
        if (count++ < 8)
            leat__strbuf_printf(&text, "%s\"%s\"", count > 1 ? ", " : "", t->nodes[i]->name);
    }
    if (count > 8)
        leat__strbuf_printf(&text, " and %u more", count - 8);
    leat__strbuf_str(
        &text, count ? "; add one, such as leat_file_sink" : "its nodes; add one, such as leat_file_sink");
    if (text.failed)
        leat__topology_out_of_memory(t);
    else
        leat__topology_add_error(t, "topology", NULL, NULL, LEAT_EDECLARE, text.data);
    leat__strbuf_release(&text);
}

static void check_consumers(struct leat_node *node)
{
    if (!is_unused(node))
        return;
    if (node->kind == LEAT_NODE_VIRTUAL)
        add(node, NULL,
            "nothing is computed over it: grouping and windows give no records by themselves; add "
            "leat_aggregate, or "
            "remove it");
    else
        add(node, NULL, "nothing consumes its output: connect an operator or a sink, or remove it");
}

static void check_policy(struct leat_node *node)
{
    const bool has_port = node->dead_letters_port >= 0;
    const bool taken = has_port && node->outputs[node->dead_letters_port].taken;
    if (node->policy == LEAT_DEAD_LETTER && !taken)
        add(node, "on_error",
            "LEAT_DEAD_LETTER, but nothing consumes its dead letters: connect the stream of "
            "leat_dead_letters to a sink");
    else if (node->policy != LEAT_DEAD_LETTER && taken)
        add(node, "on_error",
            "its dead letters are consumed, but its policy gives none: leave it at LEAT_DEAD_LETTER");
}

/* Graph invariants; a failure is a bug of a declaration function. */
static void audit(const struct leat_topology *t)
{
    for (uint32_t i = 0; i < t->nodes_count; i++) {
        const struct leat_node *node = t->nodes[i];
        LEAT_ASSERT(node->id == i && node->t == t);
        LEAT_ASSERT((node->op != NULL) + (node->source != NULL) + (node->sink != NULL) ==
            (node->kind != LEAT_NODE_VIRTUAL));
        LEAT_ASSERT((node->kind == LEAT_NODE_SOURCE) == (node->inputs_count == 0));
        for (uint32_t k = 0; k < node->inputs_count; k++) {
            const struct leat_input *in = &node->inputs[k];
            LEAT_ASSERT(in->from && in->from->id < i && in->from->kind != LEAT_NODE_VIRTUAL);
            LEAT_ASSERT(in->port < in->from->outputs_count);
            LEAT_ASSERT(!in->via || in->via->id < i);
        }
    }
}

int leat_check(leat_topology *t)
{
    if (!t->inert && !t->checked) {
        t->declared_errors_count = t->errors_count;
        const bool sink = has_declared(t, LEAT_NODE_SINK);
        if (!has_declared(t, LEAT_NODE_SOURCE))
            leat__topology_add_error(t, "topology", NULL, NULL, LEAT_EDECLARE,
                "there is no source: declare where its records come from, such as leat_file_source");
        else if (!sink)
            add_no_sink(t);
        for (uint32_t i = 0; i < t->nodes_count; i++) {
            if (sink)
                check_consumers(t->nodes[i]);
            check_policy(t->nodes[i]);
        }
        if (t->errors_count == 0)
            audit(t);
        t->checked = true;
    }
    return t->errors_count ? t->errors[0].code : 0;
}
