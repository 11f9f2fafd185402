/* runtime/job_private.h -- the inside of a job, for the files of runtime/.
 *
 * Life:
 *   leat_job_new -> leat__job_prepare (plan, splits, sinks' checks, workers, channels) -> a shell runs the
 * workers
 *   -> leat__job_finish (prepare and commit the sinks, or discard) -> leat_job_free
 * Threads: the coordinator (who called leat_job_run) owns everything but what a worker owns while it runs.
 * Fields marked atomic are shared; `error` is written once, by whoever sets `failed` first. */
#ifndef LEAT_RUNTIME_JOB_PRIVATE_H
#define LEAT_RUNTIME_JOB_PRIVATE_H
#include "base/env.h"
#include "runtime/align.h"
#include "runtime/outbox.h"
#include "runtime/worker.h"
#include <leat/job.h>

struct leat_coordinator;
struct leat_discovery;
struct leat_places;
struct leat_request;
struct leat_shell;
struct leat_endpoints;
struct leat_restored;

/* Whether every split of a restored job is on the worker that it was on: runtime/restore.c. */
enum leat_splits_moved { LEAT_SPLITS_UNKNOWN = 0, LEAT_SPLITS_STAYED, LEAT_SPLITS_MOVED };

struct leat_sim_tasks {
    struct leat_task *first; /* linked by task->link */
    uint32_t count;
};

struct leat_job {
    struct leat_topology *t;
    struct leat_arena arena; /* of texts in opts */
    struct leat_job_opts opts; /* defaults filled in */
    struct leat_env *env;
    struct leat_env *sim_env; /* owned, or NULL */
    struct leat_sim_tasks sim_tasks; /* simulation: submitted, to be run when the seed picks them */
    struct leat_plan *plan;
    struct leat_split_list splits[LEAT_NODES_MAX]; /* by node id; sources only */
    struct leat_align align; /* groups of sources: runtime/align.h */
    struct leat_discovery *discovery; /* of an attempt: runtime/discovery.h */
    struct leat_worker *workers;
    uint32_t workers_count;
    struct leat_channel *channels;
    uint32_t channels_count;

    /* The test kit's endpoints instead of the declared ones; NULL: as declared. */
    const struct leat_source_class *source_class;
    const struct leat_sink_class *sink_class;
    struct leat_endpoints *endpoints; /* theirs */

    /* Checkpoints; see runtime/checkpoint.h. The coordinator writes, workers read. */
    uint64_t barrier_asked; /* atomic: id of the newest checkpoint that was begun */
    uint64_t barrier_over; /* atomic: id of the newest one that is complete or given up */
    uint64_t barrier_stops; /* atomic: behind this checkpoint's barrier sources stop, as leat_job_stop does */
    uint32_t drain_requested; /* atomic: sources end as if their input had */
    char barrier_dir[4096]; /* of checkpoint barrier_asked, written before it: workers' stores go to worker-I
                             */
    const struct leat_restored *restored; /* NULL: the job begins new */
    enum leat_splits_moved splits_moved; /* looked at when the first instance needs it; of one prepare */
    struct leat_background
        background; /* the coordinator's; the shell sets it, before that: tasks run at once */
    struct leat_coordinator *coordinator; /* set while a job with checkpoints runs */
    bool has_checkpoints; /* in a directory of the user's, or by a switch in a temporary one */
    bool has_switched_checkpoints; /* the switch: LEAT_CHECKPOINT_EVERY_US */
    bool has_explicit_max; /* max_parallelism was the user's choice */
    bool has_switched_budget; /* state_budget_bytes comes from LEAT_STATE_BUDGET */
    const char *tmp_dir; /* where temporary directories go */
    struct leat_checkpoint_metrics checkpoints; /* atomic fields: leat__metric_add, leat__metric_set */
    char spool_dir[4096]; /* of outboxes; empty without checkpoints */
    struct leat_request *requests; /* atomic stack of what other threads have asked for: requests.c */
    struct leat_places *places; /* directories, locks and switches for keyed state: places.c */
    uint32_t attempt; /* from 1 */
    uint32_t restarts; /* atomic: of this job object */

    uint32_t state; /* atomic: enum leat_job_state */
    uint32_t stop_requested, cancel_requested; /* atomic */
    uint32_t last_wanted; /* atomic: leat_job_stop of a job with checkpoints: it stops behind the next one */
    uint32_t failed; /* atomic: 0, 1 while the first error is written, 2 when it is there */
    struct leat_error error;
    struct leat_shell *shell; /* atomic: set when threads start, lives as long as the job, so that requests
                                 can always reach it */

    bool started; /* then since: */
    int64_t started_ns;
    struct leat_progress progress;
    struct leat_node_metrics *metrics;
};

/* Options (job_options.c): copies those of a program, which may be older or newer; fills in defaults. */
LEAT_NODISCARD int leat__job_options_copy(
    struct leat_job_opts *to, const struct leat_job_opts *from, size_t size, struct leat_error *err);
LEAT_NODISCARD int leat__job_options_fill(struct leat_job *job, struct leat_error *err);
/* What the options say of the plan's exchanges. */
void leat__job_plan_combine(struct leat_job *job);
LEAT_NODISCARD int leat__job_wire(struct leat_job *job); /* wire.c: makes the channels */

LEAT_NODISCARD int leat__job_prepare(struct leat_job *job);
/* Has the sinks of a worker close their last epoch. */
LEAT_NODISCARD int leat__job_prepare_sinks(struct leat_job *job, uint32_t worker, uint64_t epoch,
    struct leat_handle_list *handles, struct leat_outbox_list *outboxes, struct leat_error *err);
/* Handles that will never be committed. */
void leat__job_discard(struct leat_job *job, const struct leat_handle_list *handles);
/* After the workers rest: commits or discards, and sets the final state. */
void leat__job_finish(struct leat_job *job, bool all_done);
/* Takes down what prepare has made: nothing runs. Then prepare may come again. */
void leat__job_teardown(struct leat_job *job);
/* The classes that the state's stores and a sink really have. */
const struct leat_store_class *leat__job_store_class(const struct leat_job *job);
const struct leat_sink_class *leat__job_sink_class(const struct leat_job *job, const struct leat_node *node);
/* The first error wins. */
void leat__job_fail(struct leat_job *job, const struct leat_error *err);
bool leat__job_must_quit(const struct leat_job *job); /* failed or cancelled */
void leat__job_set_state(struct leat_job *job, enum leat_job_state state);
void leat__job_report_progress(struct leat_job *job);
void leat__job_log(struct leat_job *job, enum leat_log_level level, const char *node, const char *format, ...)
    LEAT_PRINTF(4, 5);

/* Where a job's files are (places.c). The directory of the job's checkpoints, made and kept while it runs. */
LEAT_NODISCARD int leat__places_open(struct leat_job *job, struct leat_error *err);
void leat__places_close(struct leat_job *job);
const char *leat__places_checkpoint_dir(const struct leat_places *places); /* that of all jobs */
const char *leat__places_job_dir(const struct leat_places *places); /* DIR/JOB */
/* Once the store's lock is held: drops what earlier runs have left, and begins this one's. */
LEAT_NODISCARD int leat__places_begin_attempt(struct leat_job *job, struct leat_error *err);
/* A directory below this attempt's, not made; empty when state is in memory only. */
LEAT_NODISCARD int leat__places_live(const struct leat_job *job, const char *name, uint32_t index, char *path,
    size_t size, struct leat_error *err);
bool leat__places_has_live(const struct leat_places *places);

/* Figures that one thread writes and any may read. */
static inline void leat__metric_set(uint64_t *figure, uint64_t value)
{
    __atomic_store_n(figure, value, __ATOMIC_RELAXED);
}
static inline void leat__metric_add(uint64_t *figure, uint64_t n)
{
    leat__metric_set(figure, *figure + n);
}
static inline void leat__metric_set_us(int64_t *figure, int64_t value)
{
    __atomic_store_n(figure, value, __ATOMIC_RELAXED);
}

/* Shells: run all workers until they are done or the job must quit. Whether all are done. */
bool leat__shell_threads_run(struct leat_job *job);
bool leat__shell_sim_run(struct leat_job *job);
/* From any thread or a signal handler: have the coordinator look at the request flags. */
void leat__shell_notify(struct leat_shell *shell);
/* Between two runs of a job with threads, on the coordinator's thread: waits that long, or until somebody
 * notifies. */
void leat__shell_wait(struct leat_job *job, int64_t us);
/* The job is over and its state stands, its lock is still held: tells who waits for that (shell_control.h). */
void leat__shell_ended(struct leat_shell *shell);
void leat__shell_free(struct leat_shell *shell);
/* One turn of the simulation, a worker's or a task's: 1, 0 when nobody has anything to do at this virtual time,
 * or an error when the job must quit. */
struct leat_sim_pass { /* zeroed: a new one */
    uint32_t rested; /* workers in a row that had nothing to do */
    uint32_t next;
    int64_t wake_us; /* of those, the earliest */
};
LEAT_NODISCARD int leat__sim_turn(struct leat_job *job, struct leat_sim_pass *pass);
/* One pass of the simulation: runs until nobody has work at this virtual time. LEAT_TIME_MAX or the next
 * wake-up in *wake_us. false when the job must quit. For the test kit. */
bool leat__sim_settle(struct leat_job *job, int64_t *wake_us, bool *all_done);
#endif
