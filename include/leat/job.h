/* include/leat/job.h -- run a topology: in the foreground (leat_main, leat_run) or as a handle (leat_job_*).
 */
#ifndef LEAT_JOB_H
#define LEAT_JOB_H
#include <leat/log.h>
#include <leat/stream.h>

enum leat_job_state {
    LEAT_JOB_CREATED = 1,
    LEAT_JOB_RUNNING,
    LEAT_JOB_STOPPING, /* sources stopped, what is under way is finished; windows stay open */
    LEAT_JOB_FINISHED, /* all inputs ended, everything fired, sinks committed */
    LEAT_JOB_STOPPED, /* stopped by request: what was written is committed, and with checkpoints the next run
                         goes on from there */
    LEAT_JOB_RESTARTING, /* has failed and waits to go on from its newest checkpoint */
    LEAT_JOB_CANCELLED, /* nothing committed */
    LEAT_JOB_FAILED, /* leat_job_error has the first error; nothing is committed, but what came before a
                        commit that failed: the error says which of how many that was */
};

struct leat_progress; /* below */

#define LEAT_ANY UINT32_MAX

enum leat_delivery {
    LEAT_EXACTLY_ONCE = 1, /* inputs that have brought the barrier wait for the others */
    LEAT_AT_LEAST_ONCE, /* they do not wait: no alignment, but after a crash rows may be counted again */
};

/* What a job does when it fails with an error that may pass (leat_error_is_retriable): it goes on from the
 * newest checkpoint, in the same process. Only with checkpoints. */
struct leat_restart_opts {
    uint32_t attempts_max; /* in a row; 0: 3; LEAT_ANY: for ever. `never` switches restarts off */
    bool never;
    int64_t backoff_us; /* before the first; 0: 1 s. Doubled for each further one, up to */
    int64_t backoff_max_us; /* 0: 1 min */
    int64_t healthy_us; /* running that long makes it forget earlier attempts; 0: 10 min */
};

/* What a job begins with. All zero: the newest checkpoint in checkpoint_dir, if there is any. */
struct leat_restore_opts {
    const char *from; /* path of a savepoint or checkpoint, instead; only for a job that has no newer
                         checkpoint of its own, unless `force` */
    bool fresh; /* begin new, although there are checkpoints: they are removed */
    bool force; /* go back behind what sinks have committed: output comes twice; logged */
    bool allow_dropped_state; /* nodes of the checkpoint that the topology does not have lose their state */
    bool allow_new_state; /* stateful nodes that the checkpoint does not have begin empty */
    const char *renamed; /* "old-name=new-name,other=another": nodes that have a new name */
};

struct leat_job_opts {
    uint32_t parallelism; /* workers; 0: LEAT_PARALLELISM, else the cores (at most 256) */
    uint32_t max_parallelism; /* key groups; 0: 128; fixed for a job's life */
    uint32_t batch_rows; /* 0: LEAT_BATCH_ROWS, else 1024 */
    uint32_t channel_batches; /* ring between two workers on one edge; 0: 16 */
    uint64_t state_budget_bytes; /* of keyed state in memory, all workers and all of it together; 0:
                                    LEAT_STATE_BUDGET, else no limit. Beyond it state goes to disk, if there
                                    is a state_dir; else the job fails */
    leat_log_fn log; /* NULL: warnings and errors are dropped (leat_main: standard error) */
    void *log_arg;
    enum leat_log_level log_level; /* 0: LEAT_LOG_INFO */
    void (*on_progress)(void *arg, const struct leat_progress *progress); /* from the coordinator's thread */
    void *progress_arg;
    int64_t progress_interval_us; /* 0: 500 ms */
    bool simulate; /* run on the calling thread under the seeded scheduler with a virtual clock */
    uint64_t seed; /* of the simulation; the same seed replays the same schedule */

    /* Where keyed state lives while the job runs: scratch, of no use afterwards. NULL: "live" in
     * checkpoint_dir/NAME, or without checkpoints nowhere (memory only). Best on the file system of
     * checkpoint_dir: then checkpoints are links, not copies. */
    const char *state_dir;
    /* Checkpoints go to checkpoint_dir/NAME/, where NAME is the topology's. NULL: none. A job that finds some
     * there goes on from the newest. */
    const char *checkpoint_dir;
    int64_t checkpoint_interval_us; /* between their begins; 0: only on demand and at the end */
    int64_t checkpoint_min_pause_us; /* from the end of one to the begin of the next; 0: none */
    int64_t checkpoint_timeout_us; /* after which one is given up; 0: 10 min */
    uint32_t checkpoints_retained; /* 0: 2 */
    uint32_t checkpoint_failures_tolerated; /* in a row, before the job fails; LEAT_ANY: any number */
    enum leat_delivery delivery; /* 0: LEAT_EXACTLY_ONCE */
    struct leat_restart_opts restart;
    struct leat_restore_opts restore;
    /* Of all aggregates that leave it at AUTO; NEVER: of all. 0: LEAT_PRE_AGGREGATE (auto, always, never), else
     * what each says. */
    enum leat_pre_aggregate pre_aggregate;
};

/* Counters of one node, summed over its subtasks. */
struct leat_node_metrics {
    const char *name;
    const char *kind;
    uint64_t records_in, records_out;
    uint64_t late_records; /* dropped or sent to the late output */
    uint64_t dropped_records; /* by policy SKIP, no branch, null join keys */
    uint64_t dead_letters;
    uint64_t bytes_in, bytes_out; /* of sources and sinks */
    int64_t watermark_us; /* minimum over the subtasks; LEAT_TIME_MIN: none yet; LEAT_TIME_MAX: ended */
    uint64_t backpressured_us, busy_us; /* summed over subtasks */
    uint64_t state_bytes, state_keys;
    uint64_t unassigned_records; /* between windows that have gaps */
    uint64_t
        paused_us; /* of sources, summed over subtasks: all that could be read was too far ahead of its group */
    uint64_t partials_in; /* rows that came combined (enum leat_pre_aggregate) ... */
    uint64_t combined_records; /* ... of so many of records_in */
    uint64_t records_lag; /* of sources that know it: records that are there and were not read */
};

/* Counters of a job's checkpoints, since it was made; the last completed one in detail. */
struct leat_checkpoint_metrics {
    uint64_t completed, failed; /* failed: given up or refused */
    uint64_t restored_id; /* what the job has begun with; 0: nothing */
    uint64_t last_id; /* 0: none yet */
    int64_t last_at_us; /* wall clock when it was complete */
    int64_t last_duration_us; /* begin to manifest */
    int64_t last_align_us; /* of it, until the last instance had passed the barrier */
    int64_t last_pause_us; /* longest single piece of work on a worker */
    uint64_t last_bytes; /* of all its files */
    uint64_t last_new_bytes; /* of those that no earlier checkpoint shares */
    uint64_t last_dirty_entries;
};

struct leat_progress {
    enum leat_job_state state;
    int64_t elapsed_us;
    uint64_t source_records, sink_records;
    uint64_t source_bytes, source_bytes_total; /* total: 0 where it is not known */
    int64_t watermark_us; /* minimum over the sinks' inputs */
    const struct leat_node_metrics *nodes; /* in order of declaration; valid during the call */
    size_t nodes_count;
    struct leat_checkpoint_metrics checkpoints;
    uint32_t restarts; /* of this job object */
};

typedef struct leat_job leat_job;

LEAT_BEGIN_DECLS

/* The command line of a job program, run by `int main`: without arguments it runs the job; --describe prints the
 * plan (with --from: and what a savepoint would become), --check only checks, --help lists the options, which
 * count before `opts`. --checkpoint-dir without an interval anywhere means every 10 s. SIGINT, SIGTERM and
 * SIGHUP stop the job cleanly (SIGINT or SIGTERM again: cancel). Prints errors to standard error; takes `t`
 * and frees it. Returns the process's exit code: 0 done, 2 usage, 128 + the signal's number when one has
 * stopped it, else the failure's class. */
LEAT_API int leat_main_sized(
    int argc, char **argv, leat_topology *t, const struct leat_job_opts *opts, size_t size);
static inline int leat_main(int argc, char **argv, leat_topology *t, const struct leat_job_opts *opts)
{
    return leat_main_sized(argc, argv, t, opts, sizeof(struct leat_job_opts));
}

/* Runs to the end on this thread (and the workers'). 0, or the error's code with its text in err. */
LEAT_API LEAT_NODISCARD int leat_run_sized(
    leat_topology *t, const struct leat_job_opts *opts, size_t size, struct leat_error *err);
static inline int leat_run(leat_topology *t, const struct leat_job_opts *opts, struct leat_error *err)
{
    return leat_run_sized(t, opts, sizeof(struct leat_job_opts), err);
}

/* A job that borrows `t`. LEAT_EDECLARE with the first message if the topology has errors. */
LEAT_API LEAT_NODISCARD int leat_job_new_sized(
    leat_topology *t, const struct leat_job_opts *opts, size_t size, leat_job **job, struct leat_error *err);
static inline int leat_job_new(
    leat_topology *t, const struct leat_job_opts *opts, leat_job **job, struct leat_error *err)
{
    return leat_job_new_sized(t, opts, sizeof(struct leat_job_opts), job, err);
}
/* Runs on the calling thread until the job has ended, on whichever way; its error's code, or 0 for FINISHED
 * and STOPPED. */
LEAT_API LEAT_NODISCARD int leat_job_run(leat_job *job);
/* From any thread or signal handler: stop cleanly, or give up at once. */
LEAT_API void leat_job_stop(leat_job *job);
/* The same with a choice, from any thread (not from signal handlers). `savepoint`: path of a directory that
 * must not exist, where a savepoint is made before the job stops; NULL: none, with checkpoints the last one
 * is a checkpoint. `drain`: the input is taken to have ended: every window fires and the job is FINISHED;
 * without it windows stay open for the next run (semantics 6). LEAT_EINVAL for a job that is over,
 * LEAT_EEXISTS. */
struct leat_stop_opts {
    bool drain;
    const char *savepoint;
};
LEAT_API LEAT_NODISCARD int leat_job_stop_with_sized(
    leat_job *job, const struct leat_stop_opts *opts, size_t size, struct leat_error *err);
static inline int leat_job_stop_with(leat_job *job, const struct leat_stop_opts *opts, struct leat_error *err)
{
    return leat_job_stop_with_sized(job, opts, sizeof(struct leat_stop_opts), err);
}
/* Has a checkpoint (path NULL) or a savepoint made while the job runs on; from any thread. `done`, called on
 * the coordinator's thread, tells how it went; NULL: nobody asks. */
typedef void (*leat_checkpoint_done_fn)(void *arg, uint64_t id, const struct leat_error *error);
LEAT_API LEAT_NODISCARD int leat_job_checkpoint(
    leat_job *job, const char *path, leat_checkpoint_done_fn done, void *arg, struct leat_error *err);
LEAT_API void leat_job_cancel(leat_job *job);
LEAT_API enum leat_job_state leat_job_state(const leat_job *job);
/* The first error, with node and cause; code 0 while there is none. */
LEAT_API const struct leat_error *leat_job_error(const leat_job *job);
/* Metrics at this moment (after the end: final). Valid until the next call. */
LEAT_API const struct leat_progress *leat_job_progress(leat_job *job);
LEAT_API void leat_job_free(leat_job *job);

LEAT_END_DECLS
#endif
