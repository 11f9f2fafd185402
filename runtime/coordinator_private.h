/* runtime/coordinator_private.h -- what the files of the coordinator share: coordinator.c (when), checkpoint.c
 * (what a checkpoint is made of, and its completion), recovery.c (what a job begins with), restart.c.
 *
 * A coordinator lives for one run of a job, over all its attempts: it holds the store with its lock, and the
 * ids. Its state within an attempt:
 *
 *   IDLE --begin--> WAITING --all shares DONE--> COMPLETING (task) --> barrier_over --> CLEANING (task) --> IDLE
 *                      \--timeout, FAILED--> barrier_over, no manifest --> SETTLING --acks--> CLEANING
 *
 * Invariants: (1) one checkpoint at a time; (2) an id is used once, for what is begun counts; (3) a checkpoint
 * begins when all workers have acted on the end of the one before; (4) while a task is under way the
 * coordinator touches nothing that it works on. */
#ifndef LEAT_RUNTIME_COORDINATOR_PRIVATE_H
#define LEAT_RUNTIME_COORDINATOR_PRIVATE_H
#include "runtime/checkpoint_store.h"
#include "runtime/coordinator.h"
#include "runtime/job_private.h"
#include "runtime/outbox.h"

enum leat_coordinator_phase {
    LEAT_COORDINATOR_IDLE = 1,
    LEAT_COORDINATOR_WAITING,
    LEAT_COORDINATOR_COMPLETING,
    LEAT_COORDINATOR_SETTLING,
    LEAT_COORDINATOR_CLEANING,
};

/* What somebody has asked for (runtime/requests.c). */
struct leat_request {
    struct leat_request *next;
    char *savepoint; /* NULL: a checkpoint will do */
    bool stops, drains; /* what is to happen when it stands */
    leat_checkpoint_done_fn done; /* NULL: nobody asks */
    void *arg;
    struct leat_error error; /* of the savepoint, when the checkpoint stands */
};
/* All that came since, in order of coming. */
struct leat_request *leat__requests_take(struct leat_job *job);
/* From now on requests are refused. Gives what came before. */
struct leat_request *leat__requests_close(struct leat_job *job);
/* Tells whoever asked (err NULL: it went well) and frees. */
void leat__request_answer(struct leat_request *request, uint64_t id, const struct leat_error *err);

/* The completion of one checkpoint: manifest and commits. `manifest`'s lists lie in its arena, what they point
 * to in the shares. */
struct leat_completion {
    struct leat_task task;
    struct leat_coordinator *coordinator;
    struct leat_manifest manifest;
    struct leat_request *requests; /* to answer with it; their savepoints are made by the task */
    bool last; /* nothing follows: older checkpoints go */
    bool stands; /* the manifest is durable */
    bool in_doubt; /* publishing has failed, and yet it is there: recovery may find it */
    uint64_t bytes, new_bytes;
    int64_t durable_ns;
    int result;
    struct leat_error error;
};

struct leat_cleaning {
    struct leat_task task;
    struct leat_coordinator *coordinator;
    uint64_t abandoned; /* id of a checkpoint that was given up; 0: none */
    struct leat_error error;
};

struct leat_coordinator {
    struct leat_job *job;
    struct leat_checkpoint_store *store;
    struct leat_deliverer *delivery; /* NULL: no transactional sinks */
    char life[33];
    uint64_t last_id; /* the highest id that was ever used */
    uint64_t first_id; /* of this run: the first that it may use */
    /* The newest complete one in the store: for hashes of shared files. Only id, files and arena. */
    struct leat_manifest newest;
    bool newest_is_shared; /* the live stores go on from its files: names that are equal mean equal files */

    enum leat_coordinator_phase phase;
    uint64_t id; /* of the one under way */
    bool stops; /* sources stop behind it */
    int64_t begun_ns, ended_ns; /* of the newest one; ended 0: none has yet */
    int64_t started_ns; /* of the attempt */
    uint32_t failures; /* in a row */
    bool stop_wanted; /* leat_job_stop: the next one is the last */
    uint64_t stopped_by; /* the complete checkpoint behind whose barrier the sources stopped; 0: none */
    struct leat_request *waiting; /* not yet with a checkpoint */
    struct leat_completion completion;
    struct leat_cleaning cleaning;

    /* What the job begins with (recovery.c). */
    struct leat_manifest from; /* arena of everything here; id 0: the job begins new */
    struct leat_checkpoint_store *from_store; /* `store`, or that of a savepoint, then owned */
    struct leat_restored restored;
    bool from_finished;
};

/* checkpoint.c */

/* Makes the manifest from shares of all workers that are DONE, but for its files. */
LEAT_NODISCARD int leat__completion_fill(struct leat_completion *completion, struct leat_error *err);
/* Seals, publishes, commits: fills stands, result and error. Runs in a task, or on the caller's thread. */
void leat__completion_run(struct leat_completion *completion);
/* Makes the volatile sinks' handles visible, then the others' and the outboxes'. */
LEAT_NODISCARD int leat__completion_commit(struct leat_completion *completion, struct leat_error *err);
void leat__completion_release(struct leat_completion *completion);
/* Removes what is older than the newest `keep` checkpoints, and `abandoned`. */
LEAT_NODISCARD int leat__cleaning_run(
    struct leat_coordinator *c, uint64_t abandoned, uint32_t keep, struct leat_error *err);
/* Commits one handle; the error names the sink. */
LEAT_NODISCARD int leat__commit_handle(struct leat_job *job, const struct leat_node *node,
    struct leat_sv handle, uint32_t index, uint32_t count, struct leat_error *err);

/* coordinator.c */

/* Opens what a run needs: store, lock, sweep. */
LEAT_NODISCARD int leat__coordinator_open(struct leat_job *job, struct leat_error *err);
void leat__coordinator_close(struct leat_job *job);
/* Before the workers of an attempt start. */
void leat__coordinator_begin_attempt(struct leat_coordinator *c);
/* After the shell has returned (`commits`: all workers are done, and nobody cancelled): completes what was decided, takes the last checkpoint of a job whose input has
 * ended, gives up the rest. Whether the job failed is in job->failed. */
void leat__coordinator_end_attempt(struct leat_coordinator *c, bool commits, bool was_stopped);

/* recovery.c */

/* Chooses what the attempt begins with, verifies it, completes its commits, and makes job->restored. */
LEAT_NODISCARD int leat__recover(struct leat_coordinator *c, struct leat_error *err);
/* Fences those slots of transactional sinks that it did not: when the sinks were checked, before workers start. */
LEAT_NODISCARD int leat__recovery_begin_delivery(struct leat_coordinator *c, struct leat_error *err);
void leat__recovery_release(struct leat_coordinator *c);
#endif
