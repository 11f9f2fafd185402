/* topology/graph.h -- the logical graph that declarations build.
 *
 * A topology owns everything that is declared: nodes, streams, specs, error texts live in its arena; what
 * needs more than freeing (expressions, keys) is registered with leat__topology_defer. After leat_check the
 * graph is read-only.
 *
 * Invariants: (1) nodes are in order of declaration, which is a topological order: an input's node has a
 * smaller id; (2) an inert stream has node == NULL; (3) virtual nodes (group by, window) exist for names and
 * plans only: edges lead past them to the node with work and name them in `via`. */
#ifndef LEAT_TOPOLOGY_GRAPH_H
#define LEAT_TOPOLOGY_GRAPH_H
#include "base/arena.h"
#include "base/env.h"
#include "base/limits.h"
#include "record/key.h"
#include <leat/aggregate.h>
#include <leat/join.h>
#include <leat/stream.h>

enum leat_node_kind { LEAT_NODE_SOURCE = 1, LEAT_NODE_OPERATOR, LEAT_NODE_SINK, LEAT_NODE_VIRTUAL };

/* How an edge spreads rows over the subtasks of its consumer. */
enum leat_partitioning {
    LEAT_FORWARD = 1, /* to the subtask on the same worker */
    LEAT_HASH, /* by key group; also sets key_hash */
    LEAT_GATHER, /* all to subtask 0 */
    LEAT_BROADCAST, /* to every subtask */
};

struct leat_input {
    struct leat_node *from; /* NULL only while inert */
    uint32_t port; /* output of `from` */
    enum leat_partitioning partitioning;
    const struct leat_key *key; /* LEAT_HASH */
    struct leat_node *via; /* the last virtual node on the way, or NULL */
    bool takes_changes; /* leat__takes_changes */
};

struct leat_output {
    const struct leat_type *type;
    const char *name; /* of side outputs, cases, "late", "dead-letters"; NULL for the main one */
    const char *partitioned_by; /* key text if rows leave the subtask that owns their key by these fields,
                                   else NULL */
    bool has_event_time;
    bool changes; /* a stream of changes (leat/change.h) */
    bool taken; /* by any node, inert and virtual ones included: what is not is an error of leat_check */
    uint32_t consumers_count; /* nodes with work that take it */
};

/* Where a source's event time comes from; from the options that all sources share (include/leat/source.h). */
struct leat_source_time {
    const char *field; /* NULL: none */
    struct leat_place place;
    int64_t (*to_us)(int64_t value); /* NULL: microseconds already. Saturates */
    int64_t max_out_of_orderness_us;
    int64_t idle_timeout_us; /* 0: never idle */
    int64_t max_ahead_us; /* 0: no limit */
    const char *align; /* group; NULL: none */
    int64_t max_drift_us; /* of that group's slowest split */
};

struct leat_op_class;
struct leat_source_class;
struct leat_sink_class;

struct leat_node {
    struct leat_topology *t;
    uint32_t id;
    enum leat_node_kind kind;
    const char *name;
    const char *kind_name; /* "filter", "file source": of the class, or of the virtual node */
    const char *detail; /* one line for plans: "status == 'PENDING'", "tumbling 5m, lateness 1m"; or NULL */
    const struct leat_op_class *op; /* exactly one of the three unless virtual */
    const struct leat_source_class *source;
    const struct leat_sink_class *sink;
    void *spec; /* the class's own; read-only after declaration */
    struct leat_input inputs[LEAT_NODE_INPUTS_MAX];
    uint32_t inputs_count;
    struct leat_output outputs[LEAT_NODE_OUTPUTS_MAX];
    uint32_t outputs_count;
    uint32_t parallelism; /* 0: the job's; 1: a single subtask */
    enum leat_policy policy;
    int32_t dead_letters_port; /* -1: none */
    int32_t late_ports[2]; /* of late records, by input; -1: not taken */
    bool has_late_sides; /* leat_late_left and _right may be asked for */
    struct leat_source_time time; /* sources */
    int64_t discover_us; /* sources: how often new splits are looked for; 0: never */
    bool taken; /* virtual: something goes through it */
};

struct leat_stream {
    struct leat_topology *t;
    struct leat_node *node; /* NULL: inert */
    uint32_t port;
};

struct leat_keyed_stream {
    struct leat_stream in; /* node NULL: inert */
    struct leat_node *virtual_node;
    const struct leat_key *key;
};

struct leat_windowed_stream {
    struct leat_keyed_stream keyed;
    struct leat_node *virtual_node;
    struct leat_window_opts opts; /* checked */
    struct leat_node *consumer; /* the aggregate, once declared */
    struct leat_stream
        *late; /* handed out by leat_late_records, bound when the aggregate is declared; or NULL */
};

struct leat_deferred;
struct leat_declared;
struct leat_checked_type;

struct leat_topology {
    struct leat_arena arena;
    const char *name;
    struct leat_node *nodes[LEAT_NODES_MAX];
    uint32_t nodes_count;
    struct leat_topology_error *errors;
    uint32_t errors_count, errors_capacity;
    struct leat_deferred *deferred;
    struct leat_declared *declared; /* names of all nodes, newest first, of those with errors too */
    struct leat_checked_type *checked_types; /* descriptors that leat__output has found right */
    struct leat_stream inert_stream; /* what declarations with errors give */
    struct leat_keyed_stream inert_keyed;
    struct leat_windowed_stream inert_windowed;
    uint32_t declared_errors_count; /* errors before those of leat_check; valid if checked */
    bool inert; /* made without memory */
    bool out_of_memory; /* LEAT_ENOMEM is among the errors */
    bool checked;
};
#endif
