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
    LEAT_JOB_STOPPED, /* stopped by request: what was written is committed */
    LEAT_JOB_CANCELLED, /* nothing committed */
    LEAT_JOB_FAILED, /* leat_job_error has the first error; nothing is committed, but what came before a
                        commit that failed: the error says which of how many that was */
};

struct leat_progress; /* below */

struct leat_job_opts {
    uint32_t parallelism; /* workers; 0: LEAT_PARALLELISM, else the cores (at most 256) */
    uint32_t max_parallelism; /* key groups; 0: 128; fixed for a job's life */
    uint32_t batch_rows; /* 0: LEAT_BATCH_ROWS, else 1024 */
    uint32_t channel_batches; /* ring between two workers on one edge; 0: 16 */
    uint64_t state_budget_bytes; /* of keyed state in memory; 0: no limit */
    leat_log_fn log; /* NULL: warnings and errors are dropped (leat_main: standard error) */
    void *log_arg;
    enum leat_log_level log_level; /* 0: LEAT_LOG_INFO */
    void (*on_progress)(void *arg, const struct leat_progress *progress); /* from the coordinator's thread */
    void *progress_arg;
    int64_t progress_interval_us; /* 0: 500 ms */
    bool simulate; /* run on the calling thread under the seeded scheduler with a virtual clock */
    uint64_t seed; /* of the simulation; the same seed replays the same schedule */
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
};

struct leat_progress {
    enum leat_job_state state;
    int64_t elapsed_us;
    uint64_t source_records, sink_records;
    uint64_t source_bytes, source_bytes_total; /* total: 0 where it is not known */
    int64_t watermark_us; /* minimum over the sinks' inputs */
    const struct leat_node_metrics *nodes; /* in order of declaration; valid during the call */
    size_t nodes_count;
};

typedef struct leat_job leat_job;

LEAT_BEGIN_DECLS

/* The command line of a job program, run by `int main`: without arguments it runs the job;
 * --describe[=text|dot|json] prints the plan;
 * --check only checks; --parallelism N, --batch-rows N, --simulate SEED, --progress, --quiet, --log LEVEL
 * override `opts`; --help lists them. SIGINT and SIGTERM stop the job cleanly (again: cancel). Prints errors
 * to standard error; takes `t` and frees it. Returns the process's exit code: 0 done, 2 usage, 130/143
 * stopped by a signal, else the failure's class. */
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
LEAT_API void leat_job_cancel(leat_job *job);
LEAT_API enum leat_job_state leat_job_state(const leat_job *job);
/* The first error, with node and cause; code 0 while there is none. */
LEAT_API const struct leat_error *leat_job_error(const leat_job *job);
/* Metrics at this moment (after the end: final). Valid until the next call. */
LEAT_API const struct leat_progress *leat_job_progress(leat_job *job);
LEAT_API void leat_job_free(leat_job *job);

LEAT_END_DECLS
#endif
