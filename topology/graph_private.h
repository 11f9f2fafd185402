/* topology/graph_private.h -- what the files of this folder share about the graph: errors, names, released
 * things. */
#ifndef LEAT_TOPOLOGY_GRAPH_PRIVATE_H
#define LEAT_TOPOLOGY_GRAPH_PRIVATE_H
#include "topology/graph.h"

/* A name that a node was declared with, also when the node came to nothing: names stay unique, and a sink
 * with an error is no missing sink. */
struct leat_declared {
    struct leat_declared *next;
    const char *name;
    const char *kind_name;
    enum leat_node_kind kind;
};

struct leat_deferred {
    struct leat_deferred *next;
    void (*release)(void *p);
    void *p;
};

struct leat_checked_type {
    struct leat_checked_type *next;
    const struct leat_type *type;
};

/* The topology that stands in when there is no memory for one: it has LEAT_ENOMEM as its error, is shared by
 * all threads and never written to. */
struct leat_topology *leat__topology_inert(void);

/* Keeps an error: `<kind> "<name>": <option>: <text>`; `node` (its name) and `option` may be NULL. Forgets
 * what an earlier leat_check has found, since that may be void now. */
void leat__topology_add_error(struct leat_topology *t, const char *kind_name, const char *node,
    const char *option, int code, const char *text);
void leat__topology_out_of_memory(struct leat_topology *t);
void leat__topology_uncheck(struct leat_topology *t);

/* NULL, or what is wrong with the form of a name (in `text`, which is given back). */
const char *leat__name_fault(const char *name, char *text, size_t size);
#endif
