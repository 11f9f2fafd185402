/* tests/support/fake_nodes.h -- a source, operators and a sink that only exist to be declared, and two record
 * types: for tests of the graph, the plan and its description. */
#ifndef LEAT_TESTS_SUPPORT_FAKE_NODES_H
#define LEAT_TESTS_SUPPORT_FAKE_NODES_H
#include "topology/declare.h"

struct fake_order {
    int64_t order_id;
    struct leat_sv status;
    bool has_note;
    struct leat_sv note;
    int64_t total;
    int64_t ordered_at; /* timestamp-millis */
};
struct fake_total {
    struct leat_sv status;
    int64_t total;
};
extern const struct leat_type fake_order_type, fake_total_type;

/* Options for all: zero is a plain node. */
struct fake_opts {
    const struct leat_type *type; /* of the output; 0: orders (sources), the input's (operators) */
    const char *event_time; /* sources */
    int64_t max_out_of_orderness_us, idle_timeout_us, max_ahead_us;
    enum leat_policy on_error;
    const char *side; /* operators: a second output */
    const char *key; /* operators: hash by these fields */
    const char *partitioned_by; /* operators: of output 0 */
    bool changes_rows; /* operators: the class does not keep rows */
    bool needs_time; /* operators */
    bool single; /* parallelism 1 */
    const char *detail;
    struct leat_node *via; /* operators: the virtual node before them */
};

leat_stream *fake_source(leat_topology *t, const char *name, const struct fake_opts *opts);
leat_stream *fake_op(leat_stream *in, const char *name, const struct fake_opts *opts);
/* With any number of inputs. */
leat_stream *fake_op_n(
    leat_stream *const *in, uint32_t count, const char *name, const struct fake_opts *opts);
/* A virtual node over the stream. */
struct leat_node *fake_virtual(
    leat_stream *in, const char *name, const char *kind_name, struct leat_node *via);
void fake_sink(leat_stream *in, const char *name, const struct fake_opts *opts);
#endif
