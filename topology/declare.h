/* topology/declare.h -- what declaration functions (leat_filter, leat_file_source, ...) are written with.
 *
 * The pattern:
 *   struct leat_node *node = leat__declare(t, name, LEAT_NODE_OPERATOR, "filter");   // never NULL
 *   leat__input(node, 0, in, LEAT_FORWARD, NULL);          // silent if `in` is inert
 *   ... check options: leat__declare_error(node, "where", LEAT_EEXPR, "...")          // makes the node inert
 *   node->op = &leat__filter_class; node->spec = spec;
 *   leat__output(node, type, NULL);
 *   return leat__stream(node, 0);                            // inert if the node has an error or an inert
 * input All of them check everything that can be checked, so that one run shows all mistakes. */
#ifndef LEAT_TOPOLOGY_DECLARE_H
#define LEAT_TOPOLOGY_DECLARE_H
#include "topology/graph.h"
#include <leat/map.h>

/* A new node with a checked name (form, length, uniqueness with a hint, number of nodes). With an error (or
 * when `t` is inert) it is still a usable node that is not part of the graph (id = UINT32_MAX). Never NULL.
 */
struct leat_node *leat__declare(
    struct leat_topology *t, const char *name, enum leat_node_kind kind, const char *kind_name);
/* Keeps an error: `<kind> "<name>": <option>: <text>`. `option` may be NULL. The node becomes inert. */
void leat__declare_error(struct leat_node *node, const char *option, int code, const char *format, ...)
    LEAT_PRINTF(4, 5);
/* The same for a text that some parser gave in `err`. */
void leat__declare_error_of(struct leat_node *node, const char *option, const struct leat_error *err);
bool leat__node_is_inert(const struct leat_node *node);

/* Sets input i of the node. The node becomes inert, silently, if the stream is. An operator that needs event
 * time says so with leat__need_event_time. */
void leat__input(struct leat_node *node, uint32_t i, const struct leat_stream *in,
    enum leat_partitioning partitioning, const struct leat_key *key);
/* Before leat__input: input i may be a stream of changes, and the node does what they say. Of all other nodes
 * such inputs are refused. Its outputs carry changes then, too, unless the declaration says otherwise. */
void leat__takes_changes(struct leat_node *node, uint32_t i);
/* Whether input i is one. */
bool leat__input_changes(const struct leat_node *node, uint32_t i);
/* Records that input i came through virtual nodes, the last of which is `via`. */
void leat__input_via(struct leat_node *node, uint32_t i, struct leat_node *via);
/* LEAT_EDECLARE unless input i has event time, naming the source that lacks it and the option to set. */
void leat__need_event_time(struct leat_node *node, uint32_t i);
/* LEAT_EDECLARE unless the input's type equals `want` (what a callback was compiled for); names the first
 * difference. */
void leat__need_type(struct leat_node *node, uint32_t i, const struct leat_type *want, const char *option,
    const char *fn_name);
const struct leat_type *leat__input_type(const struct leat_node *node, uint32_t i); /* NULL when inert */

/* Appends an output port. Checks the type (leat__type_check); NULL is an error unless the node is inert.
 * There is event time where all inputs that were set have it (sources: whether time.field is set). */
uint32_t leat__output(struct leat_node *node, const struct leat_type *type, const char *name);
/* The handle of an output port; the inert stream when the node is inert. Never NULL. */
struct leat_stream *leat__stream(struct leat_node *node, uint32_t port);
struct leat_stream *leat__stream_inert(struct leat_topology *t);
/* The inert handles of group by and window, for the same purpose: shared, never written to. */
struct leat_keyed_stream *leat__keyed_inert(struct leat_topology *t);
struct leat_windowed_stream *leat__windowed_inert(struct leat_topology *t);

/* Copies an option struct of the caller's size into `to` (`to_size` bytes, zeroed first). LEAT_EDECLARE on
 * the node when the caller's is larger and its tail is not zero (built against newer headers), or `from` is
 * NULL. */
void leat__opts_copy(struct leat_node *node, void *to, size_t to_size, const void *from, size_t from_size);
/* Copies the shared source options into node->time after resolving the field; errors name the options. Call
 * it after leat__output(node, type, NULL) has set the type, and it sets has_event_time of all outputs. */
void leat__source_time(struct leat_node *node, const struct leat_type *type, const char *event_time,
    int64_t max_out_of_orderness_us, int64_t idle_timeout_us, int64_t max_ahead_us,
    enum leat_policy on_error);
/* The shared options about groups of sources; after leat__source_time. */
void leat__source_align(struct leat_node *node, const char *align, int64_t max_drift_us);
/* The conversion of a field's unit to microseconds for event times; false when a field of this type can not
 * be a time. */
bool leat__time_unit(const struct leat_type *type, int64_t (**to_us)(int64_t value));

/* Arena memory of the topology; NULL makes the node inert with LEAT_ENOMEM. */
void *leat__spec(struct leat_node *node, size_t size);
const char *leat__spec_str(struct leat_node *node, const char *text); /* NULL gives NULL */
const char *leat__spec_printf(struct leat_node *node, const char *format, ...) LEAT_PRINTF(2, 3);
/* `release(p)` runs when the topology is freed (also after errors). Runs it at once and reports LEAT_ENOMEM
 * when there is no memory: false. */
bool leat__topology_defer(struct leat_node *node, void (*release)(void *p), void *p);

/* Finds an output by name for leat_side_output and the like: the stream, or the inert one with an error on
 * the node's topology (near miss) that names `what` ("side output", "case"). */
struct leat_stream *leat__named_output(struct leat_stream *stream, const char *name, const char *what);
/* " (a, b, c); did you mean \"b\"?" for error texts: the fields of a record type, with the near miss to
 * `word`. */
const char *leat__fields_hint(struct leat_node *node, const struct leat_type *type, const char *word);
/* "5m", "1m 30s", "250ms": durations for plans. Returns `text`. */
const char *leat__duration_text(int64_t us, char text[32]);

#endif
