/* topology/plan.c -- from the logical graph to the plan: parallelism, exchanges, chains.
 *
 *   nodes      all but the virtual ones, in their order
 *   parallel   1 where the node says so, or where all that it takes is forwarded from single nodes; else the
 * job's edges      forward to a node that says "single" is a gather; a hash edge is an exchange unless its
 * rows are where they belong chains     nodes that edges without exchange join, if they have as many
 * subtasks: found by merging sets
 *
 * When are rows where they belong? If both ends have one subtask. Or if both have all and the rows came over
 * a hash edge by an equal key, and since then only operators have passed them on that keep them as they are;
 * or if their producer says that they leave it by these fields (output.partitioned_by), while its own key
 * gives the same bytes for the same values. Texts of keys alone are not enough: a key that groups nulls has
 * other bytes than one that skips them.
 *
 * Invariants (audited): (1) an edge leads from a lower index to a higher one; (2) edges_in[i] is the edge of
 * input i; (3) an edge without exchange keeps the subtask: its consumer has at least as many; (4) the nodes
 * of a chain have equal parallelism; (5) a hash edge has a key. */
#include "topology/plan.h"
#include "base/alloc.h"
#include "base/assert.h"
#include "topology/operator.h"
#include <string.h>

static int check_arguments(
    struct leat_topology *t, uint32_t parallelism, uint32_t max_parallelism, struct leat_error *err)
{
    if (leat_check(t) < 0) {
        const size_t count = leat_topology_errors_count(t);
        const char *message = leat_topology_error(t, 0)->message;
        const int code = t->out_of_memory ? LEAT_ENOMEM : LEAT_EDECLARE;
        if (count == 1)
            return leat__error(err, code, "%s", message);
        return leat__error(err, code, "%s (and %zu more)", message, count - 1);
    }
    if (max_parallelism == 0 || max_parallelism > LEAT_MAX_PARALLELISM_MAX)
        return leat__error(err, LEAT_EINVAL, "max_parallelism is %u; it must be from 1 to %u",
            max_parallelism, LEAT_MAX_PARALLELISM_MAX);
    if (parallelism == 0 || parallelism > LEAT_WORKERS_MAX)
        return leat__error(
            err, LEAT_EINVAL, "parallelism is %u; it must be from 1 to %u", parallelism, LEAT_WORKERS_MAX);
    if (parallelism > max_parallelism)
        return leat__error(err, LEAT_EINVAL,
            "parallelism is %u, but there are only %u key groups (max_parallelism): some workers would own "
            "no keys",
            parallelism, max_parallelism);
    return 0;
}

static uint32_t choose_parallelism(
    const struct leat_plan *plan, const struct leat_node *node, const uint32_t *index_of)
{
    LEAT_ASSERT(node->parallelism <= 1);
    if (node->parallelism == 1)
        return 1;
    for (uint32_t i = 0; i < node->inputs_count; i++) {
        const struct leat_input *in = &node->inputs[i];
        if (in->partitioning != LEAT_FORWARD || plan->nodes[index_of[in->from->id]].parallelism != 1)
            return plan->parallelism;
    }
    return node->inputs_count ? 1 : plan->parallelism;
}

/* Whether rows spread by `a` are spread by `b`, given that the fields named in `text` are those of b. */
static bool same_bytes(const struct leat_key *a, const char *text, const struct leat_key *b)
{
    if (a == b)
        return true;
    return !leat__key_is_fn(a) && !leat__key_is_fn(b) && strcmp(text, leat__key_text(b)) == 0 &&
        leat__key_compatible(a, b, NULL) == 0;
}

/* The key by which a node's own state is spread, NULL where it has none. */
static const struct leat_key *own_key(const struct leat_node *node)
{
    return node->inputs_count && node->inputs[0].partitioning == LEAT_HASH ? node->inputs[0].key : NULL;
}

/* Whether rows with equal `key` are on the worker that owns it when they leave this port. */
static bool is_partitioned(
    const struct leat_plan *plan, uint32_t from, uint32_t port, const struct leat_key *key)
{
    for (;;) {
        const struct leat_plan_node *at = &plan->nodes[from];
        const struct leat_node *node = at->node;
        const struct leat_key *own = own_key(node);
        const char *by = node->outputs[port].partitioned_by;
        if (by && own && same_bytes(own, by, key))
            return true;
        if (port != 0 || !node->op || !node->op->keeps_rows || node->inputs_count != 1)
            return false;
        if (own)
            return same_bytes(own, leat__key_text(own), key);
        const struct leat_plan_edge *edge = &plan->edges[at->edges_in[0]];
        if (edge->exchange || plan->nodes[edge->from].parallelism != at->parallelism)
            return false;
        from = edge->from;
        port = edge->port;
    }
}

static void plan_edge(struct leat_plan *plan, struct leat_plan_edge *edge, const struct leat_input *in,
    const struct leat_node *node)
{
    const uint32_t producers = plan->nodes[edge->from].parallelism;
    const uint32_t consumers = plan->nodes[edge->to].parallelism;
    const bool single = producers == 1 && consumers == 1;
    edge->port = in->port;
    edge->partitioning = in->partitioning;
    switch (in->partitioning) {
    case LEAT_FORWARD:
        if (node->parallelism == 1) {
            edge->partitioning = LEAT_GATHER;
            edge->exchange = producers > 1;
        }
        break;
    case LEAT_HASH:
        edge->key = in->key;
        edge->exchange =
            !single && (producers != consumers || !is_partitioned(plan, edge->from, in->port, in->key));
        break;
    case LEAT_GATHER:
        edge->exchange = producers > 1;
        break;
    case LEAT_BROADCAST:
        edge->exchange = !single;
        break;
    }
}

static bool hears_alike(const struct leat_plan *plan, const struct leat_plan_node *to)
{
    for (uint32_t i = 0; i < to->edges_in_count && to->parallelism > 1; i++) {
        const struct leat_plan_edge *edge = &plan->edges[to->edges_in[i]];
        const struct leat_plan_node *from = &plan->nodes[edge->from];
        if (!edge->exchange && (!from->hears_alike || from->parallelism != to->parallelism))
            return false;
    }
    return to->parallelism == 1 || to->edges_in_count > 0; /* subtasks of a source have splits of their own */
}

/* Fills edges and their lists by consumer; the nodes before must be complete. LEAT_ENOMEM or 0. */
static int plan_node(struct leat_plan *plan, const struct leat_node *node, uint32_t *index_of)
{
    const uint32_t index = plan->nodes_count++;
    struct leat_plan_node *to = &plan->nodes[index];
    index_of[node->id] = index;
    to->node = node;
    to->parallelism = choose_parallelism(plan, node, index_of);
    to->chain = index;
    uint32_t *edges_in = leat__arena_array(&plan->arena, node->inputs_count, sizeof *edges_in);
    if (!edges_in)
        return LEAT_ENOMEM;
    to->edges_in = edges_in;
    to->edges_in_count = node->inputs_count;
    for (uint32_t i = 0; i < node->inputs_count; i++) {
        struct leat_plan_edge *edge = &plan->edges[plan->edges_count];
        edge->from = index_of[node->inputs[i].from->id];
        edge->to = index;
        edge->input = i;
        plan_edge(plan, edge, &node->inputs[i], node);
        edges_in[i] = plan->edges_count++;
        plan->nodes[edge->from].edges_out_count++;
    }
    to->hears_alike = hears_alike(plan, to);
    return 0;
}

static int list_edges_out(struct leat_plan *plan)
{
    for (uint32_t n = 0; n < plan->nodes_count; n++) {
        struct leat_plan_node *node = &plan->nodes[n];
        uint32_t *edges_out = leat__arena_array(&plan->arena, node->edges_out_count, sizeof *edges_out);
        uint32_t count = 0;
        if (!edges_out)
            return LEAT_ENOMEM;
        for (uint32_t e = 0; e < plan->edges_count; e++)
            if (plan->edges[e].from == n)
                edges_out[count++] = e;
        LEAT_ASSERT(count == node->edges_out_count);
        node->edges_out = edges_out;
    }
    return 0;
}

/* The smallest node of a set; sets are lists of larger nodes that lead to smaller ones in `chain`. */
static uint32_t find_root(struct leat_plan *plan, uint32_t n)
{
    while (plan->nodes[n].chain != n) {
        plan->nodes[n].chain = plan->nodes[plan->nodes[n].chain].chain;
        n = plan->nodes[n].chain;
    }
    return n;
}

static void find_chains(struct leat_plan *plan)
{
    for (uint32_t e = 0; e < plan->edges_count; e++) {
        const struct leat_plan_edge *edge = &plan->edges[e];
        if (edge->exchange || plan->nodes[edge->from].parallelism != plan->nodes[edge->to].parallelism)
            continue;
        const uint32_t a = find_root(plan, edge->from), b = find_root(plan, edge->to);
        plan->nodes[a < b ? b : a].chain = a < b ? a : b;
    }
    for (uint32_t n = 0; n < plan->nodes_count; n++)
        plan->nodes[n].chain = find_root(plan, n);
    for (uint32_t n = 0; n < plan->nodes_count;
         n++) { /* roots come first: their number is known when it is needed */
        const uint32_t root = plan->nodes[n].chain;
        plan->nodes[n].chain = root == n ? plan->chains_count++ : plan->nodes[root].chain;
    }
}

static void audit(const struct leat_plan *plan)
{
    for (uint32_t e = 0; e < plan->edges_count; e++) {
        const struct leat_plan_edge *edge = &plan->edges[e];
        const struct leat_plan_node *from = &plan->nodes[edge->from], *to = &plan->nodes[edge->to];
        LEAT_ASSERT(edge->from < edge->to); /* (1) */
        LEAT_ASSERT(to->edges_in[edge->input] == e); /* (2) */
        LEAT_ASSERT(edge->exchange || from->parallelism <= to->parallelism); /* (3) */
        LEAT_ASSERT(edge->exchange || from->parallelism < to->parallelism || from->chain == to->chain);
        LEAT_ASSERT(from->chain != to->chain || from->parallelism == to->parallelism); /* (4) */
        LEAT_ASSERT((edge->partitioning == LEAT_HASH) == (edge->key != NULL)); /* (5) */
        LEAT_ASSERT(!edge->combines || edge->exchange);
    }
    for (uint32_t n = 0; n < plan->nodes_count; n++)
        LEAT_ASSERT(plan->nodes[n].chain < plan->chains_count);
}

static int build(struct leat_plan *plan, const struct leat_topology *t)
{
    uint32_t edges_count = 0;
    for (uint32_t i = 0; i < t->nodes_count; i++)
        edges_count += t->nodes[i]->inputs_count;
    plan->nodes = leat__arena_array(&plan->arena, t->nodes_count, sizeof plan->nodes[0]);
    plan->edges = leat__arena_array(&plan->arena, edges_count, sizeof plan->edges[0]);
    uint32_t *index_of = leat__arena_array(&plan->arena, t->nodes_count, sizeof index_of[0]);
    if (!plan->nodes || !plan->edges || !index_of)
        return LEAT_ENOMEM;
    for (uint32_t i = 0; i < t->nodes_count; i++)
        if (t->nodes[i]->kind != LEAT_NODE_VIRTUAL)
            LEAT_TRY(plan_node(plan, t->nodes[i], index_of));
    LEAT_TRY(list_edges_out(plan));
    find_chains(plan);
    leat__plan_combine(plan, 0, false);
    audit(plan);
    return 0;
}

int leat__plan_new(struct leat_topology *t, uint32_t parallelism, uint32_t max_parallelism,
    struct leat_plan **plan, struct leat_error *err)
{
    *plan = NULL;
    LEAT_TRY(check_arguments(t, parallelism, max_parallelism, err));
    struct leat_plan *made = leat__calloc(1, sizeof *made);
    if (!made)
        return leat__error(err, LEAT_ENOMEM, "topology \"%s\": out of memory for its plan", t->name);
    made->t = t;
    made->parallelism = parallelism;
    made->max_parallelism = max_parallelism;
    const int code = build(made, t);
    if (code < 0) {
        leat__plan_free(made);
        return leat__error(err, code, "topology \"%s\": out of memory for its plan", t->name);
    }
    *plan = made;
    return 0;
}

void leat__plan_free(struct leat_plan *plan)
{
    if (!plan)
        return;
    leat__arena_release(&plan->arena);
    leat__free(plan);
}
