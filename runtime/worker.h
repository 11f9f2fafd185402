/* runtime/worker.h -- a worker: one thread's share of the job, as a non-blocking step function.
 *
 * A worker owns its instances (one per node that runs on it, in topological order), a pool, a state and the
 * consumer ends of its channels. Nothing that it owns is touched by another thread, but for the rings, its
 * wake-up flag and its counters. A shell drives it: threads with libuv loops in production (shell_uv.c), one
 * seeded thread in simulation (shell_sim.c).
 *
 * Scheduling: the instance nearest to the sinks that can run goes first, so that what is under way leaves
 * before more comes in; of the sources, the one that is furthest behind in event time. */
#ifndef LEAT_RUNTIME_WORKER_H
#define LEAT_RUNTIME_WORKER_H
#include "base/env.h"
#include "base/waker.h"
#include "runtime/barrier.h"
#include "runtime/checkpoint.h"
#include "runtime/instance.h"

struct leat_job;

struct leat_worker {
    struct leat_job *job;
    uint32_t index;
    struct leat_env *env;
    const struct leat_plan *plan;
    struct leat_pool *pool;
    struct leat_state *state;
    struct leat_instance *instances; /* in topological order */
    uint32_t instances_count;
    struct leat_share share; /* of the checkpoint that is under way: runtime/barrier.c */
    struct leat_barrier barrier;
    struct leat_waker *waker; /* for threads that are none of the job's: the shell opens it */
    struct leat_background background; /* where this worker's tasks go: the shell sets it */
    uint32_t source_last, source_streak; /* the source read last, and how often in a row */
    int64_t now_ns; /* read once per piece of work; never 0, which elsewhere means "not since any time" */
    int64_t wall_us; /* read once per step */
    uint64_t touched[(LEAT_WORKERS_MAX + 63) / 64]; /* workers that may wait for what this step did */
    uint64_t state_bytes; /* atomic: of keyed state, for progress */
    uint32_t sleeping; /* atomic: 1 while the shell waits for a wake-up */
    uint32_t done; /* atomic: all instances have ended and all they said is sent; for ever */
};

enum leat_step_result {
    LEAT_STEP_WORKED = 1, /* call again */
    LEAT_STEP_IDLE, /* nothing to do before *wake_us (wall clock) or a wake-up */
    LEAT_STEP_DONE, /* all instances have ended, and no checkpoint needs the worker now; but it may be woken
                       for another one until leat__workers_rest says that all are done */
};

/* Runs at most `budget` pieces of work. Result or an error, which *failed (an instance) explains. */
LEAT_NODISCARD int leat__worker_step(
    struct leat_worker *worker, uint32_t budget, int64_t *wake_us, struct leat_instance **failed);
/* Before the workers run: says the end of sources that have no split here, and what follows from it, in one
 * pass. 1 if something was said (go on until no worker has more to say), 0, or an error as above. */
LEAT_NODISCARD int leat__worker_close_dead_ends(struct leat_worker *worker, struct leat_instance **failed);
/* Whether there is something to do now; for the last look before sleeping. */
bool leat__worker_has_work(struct leat_worker *worker);
/* Notes that `other` may wait for what this step sent or took. */
void leat__worker_touch(struct leat_worker *worker, const struct leat_worker *other);
/* Calls wake(arg, index) for the touched workers that sleep, and forgets them. */
void leat__worker_wake_touched(
    struct leat_worker *worker, void (*wake)(void *arg, uint32_t index), void *arg);

/* From the job: the splits of a source, and the class that a sink really has (the test kit replaces them). */
const struct leat_split_list *leat__worker_splits(
    const struct leat_worker *worker, const struct leat_node *node);
const struct leat_sink_class *leat__worker_sink_class(
    const struct leat_worker *worker, const struct leat_node *node);
const struct leat_source_class *leat__worker_source_class(
    const struct leat_worker *worker, const struct leat_node *node);
bool leat__worker_is_stopping(const struct leat_worker *worker);
bool leat__worker_is_draining(const struct leat_worker *worker);
/* Asked on the coordinator's thread, which begins checkpoints: whether all workers are done and have told
 * their shares of what was begun. */
bool leat__workers_rest(const struct leat_job *job);
/* Has the coordinator look at this worker's share. */
void leat__worker_notify(const struct leat_worker *worker);
#endif
