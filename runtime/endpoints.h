/* runtime/endpoints.h -- the test kit's source and sink: queues of records that the test fills and reads.
 * One pipe per (source node, split), one tray per sink node, shared by all subtasks: the kit runs on one
 * thread. */
#ifndef LEAT_RUNTIME_ENDPOINTS_H
#define LEAT_RUNTIME_ENDPOINTS_H
#include "runtime/job_private.h"

#define LEAT_TEST_SPLITS_MAX 64u

struct leat_pipe_record {
    struct leat_pipe_record *next;
    /* the self-contained copy of the record follows, aligned to 16 */
};

struct leat_pipe {
    struct leat_pipe_record *first, *last;
    int64_t taken; /* records read so far */
    bool ended;
};

struct leat_tray_record {
    struct leat_tray_record *next;
    int64_t event_us;
    uint8_t change;
    /* the record follows, as above */
};

struct leat_endpoint {
    const struct leat_node *node;
    const struct leat_type *type;
    struct leat_copier *copier;
    struct leat_pipe pipes[LEAT_TEST_SPLITS_MAX]; /* sources */
    struct leat_tray_record *first, *last,
        *read; /* sinks: waiting ones from `first`; `read`: handed out, freed at the end */
    uint64_t waiting;
    int64_t read_event_us;
    uint8_t read_change;
};

struct leat_endpoints {
    struct leat_endpoint *list;
    uint32_t count;
    uint32_t splits; /* of every source, 1 .. LEAT_TEST_SPLITS_MAX */
};

LEAT_NODISCARD int leat__endpoints_new(
    const struct leat_plan *plan, uint32_t splits, struct leat_endpoints **endpoints);
/* What list_splits does for other sources. */
LEAT_NODISCARD int leat__endpoints_list_splits(
    const struct leat_endpoints *endpoints, struct leat_split_list *list);
void leat__endpoints_free(struct leat_endpoints *endpoints);
struct leat_endpoint *leat__endpoint_find(
    struct leat_endpoints *endpoints, const char *name, enum leat_node_kind kind);
LEAT_NODISCARD int leat__endpoint_put(struct leat_endpoint *endpoint, uint32_t split, const void *record);

/* The record behind a tray's header. */
const void *leat__tray_record(const struct leat_tray_record *record);

extern const struct leat_source_class leat__pipe_source_class;
extern const struct leat_sink_class leat__tray_sink_class;
#endif
