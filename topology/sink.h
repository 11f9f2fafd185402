/* topology/sink.h -- the class of a sink: takes batches, makes them visible when the job commits.
 *
 * Output belongs to an *epoch* (what lies between two checkpoints; without checkpoints the whole run is one).
 * `prepare` closes the epoch: all its rows are written, and one *commit handle* (bytes that mean something to
 * the class alone) is appended for each thing to be made visible. When all sinks of the job have prepared,
 * the coordinator calls `commit` for each handle, which must be idempotent: it may be called again after a
 * crash, by another process, with nothing but node and handle. If the job fails, `discard` is called instead.
 */
#ifndef LEAT_TOPOLOGY_SINK_H
#define LEAT_TOPOLOGY_SINK_H
#include "base/strbuf.h"
#include "topology/operator.h"

struct leat_handle_list;

struct leat_sink {
    const struct leat_sink_class *sink_class;
    const struct leat_node *node;
};

struct leat_sink_class {
    const char *kind; /* "file sink" */
    size_t size; /* of the instance, which begins with struct leat_sink; the runtime allocates it, zeroed */
    /* Once, by the coordinator before workers start: refuse what can not work (an existing target, an
     * unwritable directory) and clean up what a crashed run left. May be NULL. */
    int (*check)(const struct leat_node *node, struct leat_env *env, struct leat_error *err);
    int (*open)(struct leat_sink *sink, struct leat__ctx *ctx);
    int (*on_batch)(struct leat_sink *sink, struct leat__ctx *ctx, struct leat_batch *batch); /* takes it */
    int (*on_watermark)(struct leat_sink *sink, struct leat__ctx *ctx, int64_t w); /* may be NULL */
    /* Appends handles with leat__handle_add. */
    int (*prepare)(
        struct leat_sink *sink, struct leat__ctx *ctx, uint64_t epoch, struct leat_handle_list *handles);
    void (*close)(struct leat_sink *sink,
        struct leat__ctx *ctx); /* also without prepare: then discards what it wrote */
    int (*commit)(const struct leat_node *node, struct leat_env *env, const char *handle, size_t len,
        struct leat_error *err); /* may be NULL when no handles are made */
    int (*discard)(const struct leat_node *node, struct leat_env *env, const char *handle, size_t len,
        struct leat_error *err);
};

struct leat_handle {
    const struct leat_node *node;
    const char *data;
    size_t len;
};
struct leat_handle_list {
    struct leat_arena arena;
    struct leat_handle *handles;
    uint32_t count, capacity;
};
/* LEAT_ENOMEM or 0; copies the bytes. */
LEAT_NODISCARD int leat__handle_add(
    struct leat_handle_list *list, const struct leat_node *node, const void *data, size_t len);
void leat__handle_list_release(struct leat_handle_list *list);
#endif
