/* tests/differential/declare_private.h -- what the parts of declare.c share: the topology so far. */
#ifndef LEAT_TESTS_DIFFERENTIAL_DECLARE_PRIVATE_H
#define LEAT_TESTS_DIFFERENTIAL_DECLARE_PRIVATE_H
#include "tests/differential/declare.h"

struct declared {
    const struct plan *plan;
    struct run_io *io;
    leat_topology *t;
    leat_stream *streams[PLAN_STREAMS_MAX];
};

/* A name in one of a few static buffers: option structs are copied when they are declared. */
const char *declare_name(const char *word, size_t stream);
void declare_sink(struct declared *d, leat_stream *stream, const char *word, size_t number);
leat_keyed_stream *declare_keys(const struct plan_node *node, leat_stream *in, const char *name);
struct leat_window_opts declare_window_opts(const struct plan_node *node);
void declare_aggs(struct leat_aggregate_opts *opts, const struct plan_node *node);
/* Changes as plain records of a type with a field for them. */
leat_stream *declare_changelog(leat_stream *results, size_t stream, const struct leat_type *type);
/* The node of the plan that a callback is called for. */
const struct plan_node *declare_node_of(const struct leat_ctx *ctx);

/* Fires at each n-th record. */
const struct leat_trigger_fn *declare_trigger(void);

leat_stream *declare_interval_join(struct declared *d, const struct plan_node *node, size_t stream);
leat_stream *declare_asof_join(struct declared *d, const struct plan_node *node, size_t stream);
leat_stream *declare_window_join(struct declared *d, const struct plan_node *node, size_t stream);
leat_stream *declare_upsert(struct declared *d, const struct plan_node *node, size_t stream);
leat_stream *declare_table_join(struct declared *d, const struct plan_node *node, size_t stream);
leat_stream *declare_join_tables(struct declared *d, const struct plan_node *node, size_t stream);
leat_stream *declare_cogroup(struct declared *d, const struct plan_node *node, size_t stream);
leat_stream *declare_pattern(struct declared *d, const struct plan_node *node, size_t stream);
leat_stream *declare_async(struct declared *d, const struct plan_node *node, size_t stream);
#endif
