/* runtime/barrier.h -- the worker's side of a checkpoint: barriers, alignment, its share.
 *
 *   asked > share.id      leat__barrier_step: the share begins; sources pass at once (when they have room)
 *   barrier from a        leat__barrier_note: the channel is held back (exactly once) until every other one of
 *   channel               the instance has brought it too or has ended
 *   aligned, nothing      leat__barrier_pass: the operator's tables are frozen, the sink's epoch is closed, the
 *   left to say           part is written, the barrier goes on
 *   the last one passed   leat__barrier_step: snapshot of the state in steps and tasks, files of sinks synced by
 *                         a task; then the share is DONE or FAILED
 *   over >= share.id      leat__barrier_step: lets go of it, wherever it was; channels are no longer held
 *
 * Invariants: (1) every instance passes a barrier once; one that has ended has passed whatever comes, and its
 * part is taken when the share begins, or when it ends. (2) Between the barrier from a channel and the pass
 * nothing is received from that channel; with at least once everything is. (3) No timer of an operator runs
 * while its barrier is being aligned. (4) A barrier whose id is over is ignored, so one that comes late does
 * no harm. (5) While a task has files of sinks in its hands, the share is neither told nor let go of.
 *
 * Time for which channels are held is no idleness: idleness is the sources' to say, and theirs is then
 * backpressure, which does not count.
 *
 * (model: runtime/models/barrier.pml) */
#ifndef LEAT_RUNTIME_BARRIER_H
#define LEAT_RUNTIME_BARRIER_H
#include "base/task.h"

struct leat_channel;
struct leat_instance;
struct leat_worker;

/* A worker's own notes beside its share. */
struct leat_barrier {
    uint64_t id; /* of the checkpoint that its instances pass; 0: none, or it is over, or was told */
    uint64_t seen; /* the newest barrier_asked that it has acted on */
    bool frozen; /* leat__state_snapshot_end is owed */
    bool finishing; /* all instances have passed: snapshot and syncs are under way */
    bool stepping; /* the snapshot has more steps */
    bool state_done;
    bool syncing; /* `sync` was submitted and not looked at */
    bool sync_done;
    struct leat_task sync;
    struct leat_error sync_error;
};

/* Looks at what the coordinator asks, and does what is due, at the begin of a step: 1 if something was done, 0,
 * or an error that *failed explains. */
LEAT_NODISCARD int leat__barrier_step(struct leat_worker *worker, struct leat_instance **failed);
/* Whether a step would do something; not for tasks that are under way, whose end wakes the worker. */
bool leat__barrier_has_work(struct leat_worker *worker);
/* A channel has brought a barrier. */
void leat__barrier_note(struct leat_instance *inst, struct leat_channel *channel, uint64_t id);
/* Whether nothing may be received from this channel now. */
bool leat__barrier_holds(const struct leat_instance *inst, const struct leat_channel *channel);
/* Whether the instance, which has nothing left to say, is to pass the barrier now. */
bool leat__barrier_is_aligned(const struct leat_instance *inst);
LEAT_NODISCARD int leat__barrier_pass(struct leat_instance *inst);
/* When the worker rests for ever: waits for its task and releases the share. */
void leat__barrier_release(struct leat_worker *worker);
#endif
