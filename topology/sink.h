/* topology/sink.h -- the class of a sink: takes batches, makes them visible when the job commits.
 *
 * Output belongs to an *epoch*: what lies between two checkpoints, numbered as the checkpoint that ends it;
 * without checkpoints the whole run is one. At the barrier `prepare` closes the epoch on the worker: all its
 * rows are written, and one *commit handle* (bytes that mean something to the class alone) is appended for
 * each thing to be made visible. What prepare has written is synced by the runtime on another thread
 * (leat__handle_sync). When the manifest of the checkpoint is durable, and only then, the coordinator calls
 * `commit` for each handle: idempotent, since after a crash it is called again, by another process, with
 * nothing but node and handle. `discard` is for handles whose checkpoint will never be: if the job fails, or
 * the attempt is given up.
 *
 * Handles of one subtask are committed in the order in which they were made, epoch by epoch.
 *
 * Three kinds of sinks:
 *   durable         files: handles stay good for another process
 *   volatile        memory: handles mean something in this process only; they are not in manifests
 *   transactional   outside systems with transactions (Kafka): rows of the epoch are encoded and spooled to an
 *                   outbox file of the checkpoint with leat__outbox_add; after the manifest `transact` sends
 *                   the whole outbox and a marker (job, node, slot, epoch) in one transaction of the outside
 *                   system. After a crash `fence` shuts out whoever else holds the slot and tells the marker's
 *                   epoch: if it is below the manifest's, the outbox is sent again.
 *                   (model: runtime/models/commit.pml) */
#ifndef LEAT_TOPOLOGY_SINK_H
#define LEAT_TOPOLOGY_SINK_H
#include "base/strbuf.h"
#include "topology/operator.h"

struct leat_handle_list;
struct leat_outbox_reader;

struct leat_sink {
    const struct leat_sink_class *sink_class;
    const struct leat_node *node;
};

/* Whose outbox it is; unique per (job, node, slot). */
struct leat_slot {
    const char *job; /* name of the topology and id of the job's life */
    const char *node;
    uint32_t slot; /* subtask that wrote it */
    bool
        is_known; /* it was fenced when the job's checkpoint was made: what fence leaves in the outside system for
                      every slot must be there, or that has lost it */
};

struct leat_sink_class {
    const char *kind; /* "file sink" */
    size_t size; /* of the instance, which begins with struct leat_sink; the runtime allocates it, zeroed */
    bool is_volatile;
    /* Once, by the coordinator before workers start, of a job that begins new: refuse what can not work (an
     * existing target, an unwritable directory) and clean up what a crashed run left. May be NULL. */
    int (*check)(const struct leat_node *node, struct leat_env *env, struct leat_error *err);
    /* The same for a job that goes on from a checkpoint, after all its handles were committed again: what
     * this job has made visible is no obstacle; what is written beyond the checkpoint goes. `parts` as in
     * restore. May be NULL. */
    int (*recover)(const struct leat_node *node, struct leat_env *env, const struct leat_sv *parts,
        uint32_t count, struct leat_error *err);
    int (*open)(struct leat_sink *sink, struct leat__ctx *ctx);
    int (*on_batch)(struct leat_sink *sink, struct leat__ctx *ctx, struct leat_batch *batch); /* takes it */
    /* Of a sink that writes to an outside system while rows come. on_batch gives LEAT_WAIT when that takes no more
     * for now: no row is delivered before step gives 0, which is called whenever *ctx->woken is set, and clears it
     * (as that of operators with `holds`). No call blocks. NULL: never. */
    int (*step)(struct leat_sink *sink, struct leat__ctx *ctx);
    /* Before prepare, and at the end of the input: 0 when the outside system has all that on_batch took; LEAT_WAIT: not
     * yet, and step gives 0 only when it has. So long the barrier waits, but no worker. NULL: nothing to wait for. */
    int (*flush)(struct leat_sink *sink, struct leat__ctx *ctx);
    int (*on_watermark)(struct leat_sink *sink, struct leat__ctx *ctx, int64_t w); /* may be NULL */
    /* Closes the epoch; `last`: nothing follows it (the input has ended), so that what is only whole at the
     * end (a single file) is made visible too. Appends handles with leat__handle_add. Neither syncs nor
     * renames. */
    int (*prepare)(struct leat_sink *sink, struct leat__ctx *ctx, uint64_t epoch, bool last,
        struct leat_handle_list *handles);
    /* After prepare: what the instance must know to go on (names used up, bytes of a file that grows). NULL:
     * nothing. */
    int (*snapshot)(struct leat_sink *sink, struct leat__ctx *ctx, struct leat_strbuf *out);
    /* After open, as leat_op_class.restore. */
    int (*restore)(
        struct leat_sink *sink, struct leat__ctx *ctx, const struct leat_sv *parts, uint32_t count);
    void (*close)(struct leat_sink *sink,
        struct leat__ctx *ctx); /* also without prepare: then discards what it wrote */
    int (*commit)(const struct leat_node *node, struct leat_env *env, const char *handle, size_t len,
        struct leat_error *err); /* may be NULL when no handles are made */
    int (*discard)(const struct leat_node *node, struct leat_env *env, const char *handle, size_t len,
        struct leat_error *err);
    /* Transactional sinks; all NULL for others. Called by the coordinator's side, never by a worker; they
     * may block. Every slot of a job is fenced before its workers start. */
    /* Before fence, of all slots of all sinks: shuts out whoever else holds the slot, and ends what it had open, which
     * may be in the way of looking at the markers of others. May be NULL. */
    int (*seize)(const struct leat_node *node, struct leat_env *env, const struct leat_slot *slot,
        struct leat_error *err);
    int (*fence)(const struct leat_node *node, struct leat_env *env, const struct leat_slot *slot,
        uint64_t *marker_epoch, struct leat_error *err);
    /* Sends all records of the reader and the marker `epoch` in one transaction. 0: it has surely ended well;
     * LEAT_ETIMEOUT or LEAT_ECONNECT: unknown, the runtime fences, reads the marker and decides; LEAT_EEXISTS:
     * somebody else has fenced the slot since. With any other error the transaction was aborted; so it is
     * when leat__outbox_next fails. Passes LEAT_POINT_OUTBOX_SENT before it ends the transaction. */
    int (*transact)(const struct leat_node *node, struct leat_env *env, const struct leat_slot *slot,
        uint64_t epoch, struct leat_outbox_reader *records, struct leat_error *err);
    /* The delivery has ended, well or not: what fence and transact have kept for a slot goes. May be NULL. */
    void (*release)(const struct leat_node *node, struct leat_env *env, const struct leat_slot *slot);
};

struct leat_handle {
    const struct leat_node *node;
    const char *data;
    size_t len;
};
/* A file to be synced. */
struct leat_handle_file {
    leat_fd fd;
    const char *path; /* for errors */
};
struct leat_handle_list {
    struct leat_arena arena;
    struct leat_handle *handles;
    uint32_t count, capacity;
    struct leat_handle_file *syncs; /* to sync and close before the handles count */
    uint32_t syncs_count, syncs_capacity;
    const char **dirs; /* directories to sync behind them */
    uint32_t dirs_count, dirs_capacity;
    bool failed; /* a sync has failed: what it was about may be gone, whatever a second one says */
};
/* LEAT_ENOMEM or 0; copies the bytes. */
LEAT_NODISCARD int leat__handle_add(
    struct leat_handle_list *list, const struct leat_node *node, const void *data, size_t len);
/* Gives an open file to the runtime, which syncs and closes it on another thread: the handles of the list
 * count only when that has worked. Copies the path, for errors. LEAT_ENOMEM (the file is still the caller's) or
 * 0. */
LEAT_NODISCARD int leat__handle_sync(struct leat_handle_list *list, leat_fd fd, const char *path);
/* Has a directory synced in which files were made: or a handle may outlive the name of what it is about. The
 * same one again is no more work. LEAT_ENOMEM or 0; copies the path. */
LEAT_NODISCARD int leat__handle_sync_dir(struct leat_handle_list *list, const char *dir);
/* Syncs and closes the files, then the directories: on the background's thread. After a failure it fails for
 * ever, for the system may have dropped what it could not write: only going on from the last checkpoint
 * helps. */
LEAT_NODISCARD int leat__handle_list_sync(
    struct leat_handle_list *list, struct leat_env *env, struct leat_error *err);
void leat__handle_list_release(struct leat_handle_list *list, struct leat_env *env); /* closes what is left */

/* ---- outboxes of transactional sinks ---- */

/* As the outside system gets it, the partition already chosen. Data NULL is no key, value or headers, which is not
 * the same as empty ones. When read: valid until the next one is. */
struct leat_outbox_record {
    int32_t partition;
    int64_t time_us;
    struct leat_sv topic; /* empty: the sink's own */
    struct leat_sv key, value;
    struct leat_sv headers; /* bytes that mean something to the class alone */
};
/* What the runtime's begin with: how it is written to and read. */
struct leat_outbox {
    int (*add)(struct leat__ctx *ctx, const struct leat_outbox_record *record);
};
struct leat_outbox_reader {
    int (*next)(struct leat_outbox_reader *reader, struct leat_outbox_record *record, struct leat_error *err);
};
/* Appends a record to the outbox of the open epoch. Order is kept. The outbox is closed by the runtime at the
 * barrier, behind prepare: prepare may add what was held back. LEAT_ELIMIT for a record that no reader would take
 * (nothing was added, the sink applies its policy); other errors fail the job, with their text in ctx->error. */
static inline LEAT_NODISCARD int leat__outbox_add(
    struct leat__ctx *ctx, const struct leat_outbox_record *record)
{
    LEAT_ASSERT(ctx->outbox != NULL); /* the class has no transact */
    return ctx->outbox->add(ctx, record);
}
/* 1 with a record, 0 at the end, LEAT_EDATA for a damaged file. */
static inline LEAT_NODISCARD int leat__outbox_next(
    struct leat_outbox_reader *reader, struct leat_outbox_record *record, struct leat_error *err)
{
    return reader->next(reader, record, err);
}
#endif
