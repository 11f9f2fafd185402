/* runtime/outbox.h -- what a transactional sink has to say in an epoch, kept in a file of the checkpoint until
 * the outside system has it.
 *
 *   worker                                   files                          coordinator
 *   instance opens: leat__outbox_open
 *   sink: leat__outbox_add ...               SPOOL/NODE-SLOT-k
 *   barrier, behind the sink's prepare:
 *   leat__outbox_cut -> share->outboxes
 *   its task: leat__outbox_place             chk-n.tmp/outbox-NODE-SLOT-k   seal, MANIFEST-n names them
 *                                                                           leat__outbox_list_release
 *                                                                           leat__delivery_send
 *   instance closes: leat__outbox_close
 *
 * SPOOL is DIR/JOB/spool, on the file system of the checkpoints, for placing is a hard link where that works;
 * whoever starts the job empties it (leat__spool_prepare). What a checkpoint that was given up had placed stays
 * in the list and in SPOOL, and is placed again in the next one: a slot can have several files in a manifest,
 * which go out in one transaction, in their order. A job with a transactional sink and without checkpoints is
 * refused: nothing would say which epochs are decided.
 *
 * Sending. The outside system keeps a marker per slot: the epoch whose outbox was sent last, written in the
 * same transaction as the records. A *delivery* is one life of the coordinator: it fences a slot before it
 * first uses it, and from then on knows the marker, since nobody else can move it.
 *
 *   send(slot, n):  not fenced  --fence--> marker m
 *                   m >= n      done: it was sent before, and this is a recovery
 *                   m <  n      transact --0--> marker n
 *                                        --unknown--> not fenced: from the top, the marker decides
 *                                        --fenced by others, or another error--> the job fails
 *
 * Invariants: (1) no outbox is sent before its manifest is durable; (2) outboxes of a slot are sent in order
 * of their epochs; (3) after a transaction whose end is unknown nothing is sent in that slot before a fence:
 * a late answer can then end nothing. (model: runtime/models/commit.pml)
 *
 * On disk, little endian; k from 1; chain(0) is the checksum of the header:
 *   "leatobx2" | u32 slot | u32 n | n bytes name of the node | u64 hash of all before
 *   { u32 size >= 28 | payload | u64 chain(k) = hash(chain(k-1), hash(payload)) } ...
 *   u32 0 | u64 epoch | u64 records | u64 hash(chain(records), epoch, records)      end of the file
 *   payload: i32 partition | i64 time_us | u32 key size | u32 value size | u32 headers size | u32 topic size |
 *            key | value | headers | topic                              (size UINT32_MAX: there is none)
 * Version 1 had neither headers nor topic, and no sizes for them; it is read, and never written.
 *
 * Threads: an outbox is its worker's; a list its worker's until the share is done; a delivery is used by one
 * thread at a time, never a worker: its calls block. */
#ifndef LEAT_RUNTIME_OUTBOX_H
#define LEAT_RUNTIME_OUTBOX_H
#include "topology/sink.h"

#define LEAT_OUTBOX_RECORD_BYTES_MAX (64u * 1024u * 1024u) /* of a payload */

/* ---- the worker's side ---- */

/* What was added between two cuts, on its way into a checkpoint. */
struct leat_outbox_file {
    const struct leat_node *node;
    uint32_t slot;
    uint64_t records; /* never 0: an epoch without records has no outbox */
    const char *name; /* in the checkpoint: manifest.outboxes[].file */
    const char *spool_path; /* where it was written */
    leat_fd fd; /* to be synced and closed; -1: it was */
};
struct leat_outbox_list { /* zeroed: empty */
    struct leat_arena arena;
    struct leat_outbox_file *files; /* those of one slot in order */
    uint32_t count, capacity;
    bool failed; /* a sync has failed: what it was about may be gone, whatever a second one says */
};

/* Makes DIR where it is missing, and removes everything in it: whoever starts a job, with its lock held. */
LEAT_NODISCARD int leat__spool_prepare(struct leat_env *env, const char *dir, struct leat_error *err);

/* Gives the context of a transactional sink its outbox: before the class's open. Writes into spool_dir
 * (borrowed) when there is a first record. */
LEAT_NODISCARD int leat__outbox_open(struct leat__ctx *ctx, const char *spool_dir);
/* Ends the epoch: what was added since the last cut becomes a file of the list, unless that is nothing. Writes
 * but does not sync. A context without an outbox has nothing to cut. Errors are in ctx->error. */
LEAT_NODISCARD int leat__outbox_cut(struct leat__ctx *ctx, uint64_t epoch, struct leat_outbox_list *list);
/* Removes what was not cut. Behind the class's close; a context without an outbox is fine. */
void leat__outbox_close(struct leat__ctx *ctx);

/* Syncs the files and puts them into the checkpoint's directory, which the caller syncs (seal does): in a task.
 * After a failed sync it fails for ever: only going on from the last checkpoint helps. */
LEAT_NODISCARD int leat__outbox_place(
    struct leat_outbox_list *list, struct leat_env *env, const char *dir, struct leat_error *err);
/* Empties the list and removes its files from SPOOL: when the manifest stands, or when the job ends. */
void leat__outbox_list_release(struct leat_outbox_list *list, struct leat_env *env);

/* ---- reading ---- */

/* Reads the files of one slot of the node `name` as one outbox: `records` together, of epochs up to `epoch`.
 * LEAT_EDATA when the first file can not be opened as what it should be; what is wrong with later parts
 * leat__outbox_next tells, at the latest instead of the end. Paths and name are borrowed. */
LEAT_NODISCARD int leat__outbox_reader_open(struct leat_env *env, const char *const *paths, uint32_t count,
    const char *name, uint32_t slot, uint64_t epoch, uint64_t records, struct leat_outbox_reader **reader,
    struct leat_error *err);
bool leat__outbox_reader_is_done(const struct leat_outbox_reader *reader); /* next has given 0 */
void leat__outbox_reader_close(struct leat_outbox_reader *reader); /* NULL is fine */

/* ---- the coordinator's side ---- */

struct leat_deliverer;

/* `job` is the topology's name, `life` the manifest's: together they name the markers. Copied. */
LEAT_NODISCARD int leat__delivery_new(struct leat_env *env, const char *job, const char *life,
    struct leat_deliverer **delivery, struct leat_error *err);
void leat__delivery_free(struct leat_deliverer *delivery); /* has the slots released; NULL is fine */

/* When a job goes on from checkpoint `id`, for each transactional sink of the checkpoint: fences the slots that
 * it had (0 .. slots-1, as many as the node's parallelism was) before anything else is done with it, and before
 * a worker writes. `name`: of the node when the checkpoint was made, for its markers have that one; `sink`: the
 * class that the node really has. LEAT_ESTATE when a marker is above `id`: the outside system has more than the
 * checkpoint knows; going on would send it again, so only with `force`. *marker: the highest one found, 0
 * without any; ids of new checkpoints must be above it. */
LEAT_NODISCARD int leat__delivery_fence(struct leat_deliverer *delivery, const struct leat_node *node,
    const struct leat_sink_class *sink, const char *name, uint32_t slots, uint64_t id, bool force,
    uint64_t *marker, struct leat_error *err);

/* Before either, for all sinks that will be fenced: the class's seize, for slots that were not fenced yet. */
LEAT_NODISCARD int leat__delivery_seize(struct leat_deliverer *delivery, const struct leat_node *node,
    const struct leat_sink_class *sink, const char *name, uint32_t slots, struct leat_error *err);

/* The same for the slots of today's job that were not fenced yet, under the node's name of today: before its workers
 * start. `id`: the checkpoint that it goes on from, 0 without. From here on every checkpoint of the job knows that
 * each of its slots was fenced (struct leat_slot, is_known). */
LEAT_NODISCARD int leat__delivery_begin(struct leat_deliverer *delivery, const struct leat_node *node,
    const struct leat_sink_class *sink, uint32_t slots, uint64_t id, bool force, uint64_t *marker,
    struct leat_error *err);

/* One outbox of a manifest. */
struct leat_delivery_file {
    const struct leat_node *node;
    const struct leat_sink_class *sink; /* that the node really has */
    const char *name; /* of the node when the checkpoint was made; NULL: as today */
    uint32_t slot;
    uint64_t records;
    const char *path;
};
/* Sees to it that the outside system has the outboxes of `epoch`, the number of a checkpoint whose manifest is
 * durable, exactly once: all of that manifest in its order, by the running job, and again when it goes on from
 * it, behind leat__delivery_fence. Errors that may pass (leat_error_is_retriable) leave it undecided: calling
 * again decides. Slots that are done stay done. Passes LEAT_POINT_OUTBOX_SENDING and ENDED. */
LEAT_NODISCARD int leat__delivery_send(struct leat_deliverer *delivery, uint64_t epoch,
    const struct leat_delivery_file *files, uint32_t count, struct leat_error *err);
#endif
