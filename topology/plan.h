/* topology/plan.h -- the physical plan: what runs where. Immutable, shared by all workers without locks.
 *
 * Planning drops virtual nodes, decides each node's parallelism (the job's, or one), turns partitionings into
 * what is really needed (with one worker, or when rows are already where their key lives, a hash edge is a
 * forward one), and finds the chains: groups of nodes joined by forward edges, which run on one worker
 * without queues between threads.
 *
 * An edge without exchange keeps the subtask. Where one leads from a node with one subtask to a node with
 * more (a union of both kinds), it leads to subtask 0 alone: the others do not have this input. */
#ifndef LEAT_TOPOLOGY_PLAN_H
#define LEAT_TOPOLOGY_PLAN_H
#include "base/strbuf.h"
#include "topology/graph.h"

struct leat_plan_edge {
    uint32_t from, to; /* plan nodes */
    uint32_t port; /* output of `from` */
    uint32_t input; /* input of `to` */
    enum leat_partitioning partitioning; /* as declared */
    bool exchange; /* rows may change the worker */
    const struct leat_key *key; /* LEAT_HASH: key_hash is computed on this edge also when it is no exchange */
    enum leat_pre_aggregate
        combines; /* AUTO, ALWAYS: rows of equal key are combined before they leave; 0: not */
    const char *combines_not; /* why not, where the consumer could; else NULL */
};

struct leat_plan_node {
    const struct leat_node *node;
    uint32_t parallelism;
    uint32_t chain; /* index of its chain */
    bool may_be_idle; /* some source of it may be */
    bool hears_alike; /* all of its subtasks hear all subtasks of the same nodes: they are idle together */
    const uint32_t *edges_in; /* indexes of edges, by input */
    uint32_t edges_in_count;
    const uint32_t *edges_out;
    uint32_t edges_out_count;
};

struct leat_plan {
    struct leat_arena arena;
    const struct leat_topology *t;
    uint32_t parallelism;
    uint32_t max_parallelism;
    struct leat_plan_node *nodes; /* in topological order */
    uint32_t nodes_count;
    struct leat_plan_edge *edges;
    uint32_t edges_count;
    uint32_t chains_count;
};

/* LEAT_EDECLARE when the topology has errors (with the first message), LEAT_ENOMEM, or 0. */
LEAT_NODISCARD int leat__plan_new(struct leat_topology *t, uint32_t parallelism, uint32_t max_parallelism,
    struct leat_plan **plan, struct leat_error *err);
void leat__plan_free(struct leat_plan *plan);
/* Decides anew which exchanges combine rows, by what the job asks for (0: nothing, as leat__plan_new has it).
 * `may_repeat`: after a restore, rows may come again that the operators have counted. */
void leat__plan_combine(struct leat_plan *plan, enum leat_pre_aggregate asked, bool may_repeat);
/* Logical and physical graph as text, DOT or JSON. */
void leat__plan_describe(
    const struct leat_plan *plan, enum leat_describe_format format, struct leat_strbuf *out);
#endif
