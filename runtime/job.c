/* runtime/job.c -- the life of a job: set-up of an attempt to run it, first error, end. runtime/run.c has the
 * attempts, runtime/metrics.c its progress. */
#include "base/alloc.h"
#include "base/arena.h"
#include "runtime/coordinator_private.h"
#include "runtime/discovery.h"
#include "runtime/endpoints.h"
#include "runtime/tree.h"
#include <stdio.h>
#include <string.h>

#define SIM_WALL_US INT64_C(1577836800000000) /* 2020-01-01T00:00:00Z: where the virtual clock starts */

void leat__job_log(struct leat_job *job, enum leat_log_level level, const char *node, const char *format, ...)
{
    char text[LEAT_ERROR_MESSAGE_MAX];
    va_list args;
    if (!job->opts.log || level > job->opts.log_level)
        return;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    job->opts.log(job->opts.log_arg, level, "job", node, text);
}

void leat__job_fail(struct leat_job *job, const struct leat_error *err)
{
    uint32_t expected = 0;
    if (!__atomic_compare_exchange_n(&job->failed, &expected, 1, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return;
    job->error = *err;
    if (job->error.code == 0)
        (void)leat__error(&job->error, LEAT_ENOMEM, "out of memory");
    __atomic_store_n(&job->failed, 2, __ATOMIC_RELEASE);
}

bool leat__job_must_quit(const struct leat_job *job)
{
    return __atomic_load_n(&job->failed, __ATOMIC_ACQUIRE) != 0 ||
        __atomic_load_n(&job->cancel_requested, __ATOMIC_ACQUIRE) != 0;
}

void leat__job_set_state(struct leat_job *job, enum leat_job_state state)
{
    __atomic_store_n(&job->state, (uint32_t)state, __ATOMIC_RELEASE);
}

enum leat_job_state leat_job_state(const leat_job *job)
{
    return (enum leat_job_state)__atomic_load_n(&job->state, __ATOMIC_ACQUIRE);
}

const struct leat_error *leat_job_error(const leat_job *job)
{
    static const struct leat_error none;
    return __atomic_load_n(&job->failed, __ATOMIC_ACQUIRE) == 2 ? &job->error : &none;
}

int leat_job_new_sized(
    leat_topology *t, const struct leat_job_opts *opts, size_t size, leat_job **out, struct leat_error *err)
{
    *out = NULL;
    if (leat_check(t) < 0) {
        const struct leat_topology_error *first = leat_topology_error(t, 0);
        const size_t more = leat_topology_errors_count(t) - 1;
        return leat__error(err, first->code, more ? "%s (and %zu more)" : "%s", first->message, more);
    }
    struct leat_job *job = leat__calloc(1, sizeof *job);
    if (!job)
        return leat__error(err, LEAT_ENOMEM, "out of memory for a job");
    job->t = t;
    job->env = leat__env_posix();
    leat__job_set_state(job, LEAT_JOB_CREATED);
    int result = opts ? leat__job_options_copy(&job->opts, opts, size, err) : 0;
    if (result == 0)
        result = leat__job_options_fill(job, err);
    if (result == 0 && job->opts.simulate) {
        job->sim_env = leat__env_sim_new(job->opts.seed, SIM_WALL_US);
        job->env = job->sim_env;
        result = job->env ? 0 : leat__error(err, LEAT_ENOMEM, "out of memory for a job");
    }
    if (result == 0)
        result = leat__plan_new(t, job->opts.parallelism, job->opts.max_parallelism, &job->plan, err);
    if (result < 0) {
        leat_job_free(job);
        return result;
    }
    leat__job_plan_combine(job);
    *out = job;
    return 0;
}

/* The worker's share of the budget, and where its state goes beyond that, and what it begins with. */
static int make_state(struct leat_job *job, struct leat_worker *worker, struct leat_error *err)
{
    char dir[LEAT_TREE_PATH_MAX];
    const uint64_t budget_bytes = job->opts.state_budget_bytes;
    struct leat_state_opts opts = { .budget_bytes = budget_bytes / job->workers_count,
        .key_groups = job->plan->max_parallelism };
    if (budget_bytes && !opts.budget_bytes)
        opts.budget_bytes = 1;
    if (leat__places_has_live(job->places)) {
        LEAT_TRY(leat__places_live(job, "worker", worker->index, dir, sizeof dir, err));
        opts.env = job->env;
        opts.store_class = leat__job_store_class(job);
        opts.dir = dir;
        opts.background = &worker->background;
    }
    if (job->restored) {
        opts.from = job->restored->store_dirs[worker->index];
        opts.tables = job->restored->tables;
        opts.tables_count = job->restored->tables_count;
    }
    return leat__state_new(&opts, &worker->state, err);
}

const struct leat_store_class *leat__job_store_class(const struct leat_job *job)
{
    return job->opts.simulate ? &leat__store_memory : &leat__store_rocksdb;
}

static int make_worker(struct leat_job *job, uint32_t index, struct leat_error *err)
{
    struct leat_worker *worker = &job->workers[index];
    const struct leat_plan *plan = job->plan;
    worker->job = job;
    worker->index = index;
    worker->env = job->env;
    worker->plan = plan;
    LEAT_TRY(leat__pool_new(job->opts.batch_rows, &worker->pool));
    LEAT_TRY(leat__waker_new(&worker->waker));
    LEAT_TRY(make_state(job, worker, err));
    worker->instances = leat__calloc(plan->nodes_count, sizeof *worker->instances);
    if (!worker->instances)
        return LEAT_ENOMEM;
    for (uint32_t n = 0; n < plan->nodes_count; n++) {
        if (plan->nodes[n].parallelism <= index)
            continue;
        struct leat_instance *inst = &worker->instances[worker->instances_count++];
        LEAT_TRY(leat__instance_init(inst, worker, &plan->nodes[n], index));
        inst->outs = leat__calloc(plan->nodes[n].edges_out_count, sizeof *inst->outs);
        if (!inst->outs)
            return LEAT_ENOMEM;
    }
    return 0;
}

static int open_worker(struct leat_job *job, struct leat_worker *worker)
{
    for (uint32_t i = 0; i < worker->instances_count; i++) {
        struct leat_instance *inst = &worker->instances[i];
        const int result = leat__instance_open(inst);
        if (result < 0) {
            if (inst->error.code == 0)
                (void)leat__fail(&inst->ctx, result, "cannot start: %s", leat_error_text(result));
            job->error = inst->error;
            return result;
        }
    }
    return 0;
}

/* A sink that the checkpoint knows was looked at by recovery. */
static int check_sink(struct leat_job *job, const struct leat_node *node, struct leat_error *err)
{
    const struct leat_sink_class *sink = leat__job_sink_class(job, node);
    const struct leat_part *part;
    if (job->restored && leat__restored_parts(job->restored, node->name, &part, 1) > 0)
        return 0;
    if (sink->transact && !job->has_checkpoints)
        return leat__error(err, LEAT_EINVAL,
            "it sends its output in transactions that a checkpoint decides: set checkpoint_dir in the job's "
            "options");
    return sink->check ? sink->check(node, job->env, err) : 0;
}

/* Looks at the outside world before anything starts: what is there to read, and whether the sinks can write.
 */
static int look_around(struct leat_job *job, struct leat_error *err)
{
    for (uint32_t n = 0; n < job->plan->nodes_count; n++) {
        const struct leat_node *node = job->plan->nodes[n].node;
        int result = 0;
        if (node->kind == LEAT_NODE_SOURCE) {
            struct leat_split_list *splits = &job->splits[node->id];
            result = job->endpoints ? leat__endpoints_list_splits(job->endpoints, splits)
                                    : node->source->list_splits(node, job->env, splits, err);
        } else if (node->kind == LEAT_NODE_SINK) {
            result = check_sink(job, node, err);
        }
        if (result < 0) {
            (void)leat__error_prefix(err, "%s \"%s\"", node->kind_name, node->name);
            return result;
        }
    }
    return 0;
}

/* A worker without a split of a source would hold back everybody's watermark until its thread has come to say
 * so: with one split, what is on time and what is a late pane would depend on that. So the ends of such ways
 * are told before anybody runs. */
static int close_dead_ends(struct leat_job *job, struct leat_error *err)
{
    bool more = true;
    while (more) {
        more = false;
        for (uint32_t w = 0; w < job->workers_count; w++) {
            struct leat_instance *failed = NULL;
            const int said = leat__worker_close_dead_ends(&job->workers[w], &failed);
            if (said < 0) {
                *err = failed->error;
                return said;
            }
            more = more || said > 0;
        }
    }
    return 0;
}

int leat__job_prepare(struct leat_job *job)
{
    struct leat_error err = { 0 };
    int result = look_around(job, &err);
    if (result == 0 && job->coordinator)
        result = leat__recovery_begin_delivery(job->coordinator, &err);
    job->workers_count = job->plan->parallelism;
    job->splits_moved = LEAT_SPLITS_UNKNOWN; /* the list is a new one */
    if (result == 0) {
        job->workers = leat__calloc(job->workers_count, sizeof *job->workers);
        result = job->workers ? leat__align_new(job) : LEAT_ENOMEM;
    }
    for (uint32_t w = 0; result == 0 && w < job->workers_count; w++)
        result = make_worker(job, w, &err);
    if (result == 0)
        result = leat__job_wire(job);
    for (uint32_t w = 0; result == 0 && w < job->workers_count; w++) {
        result = open_worker(job, &job->workers[w]);
        if (result < 0)
            err = job->error;
    }
    if (result == 0)
        result = close_dead_ends(job, &err);
    if (result == 0)
        result = leat__discovery_new(job);
    if (result < 0) {
        if (err.code == 0)
            (void)leat__error(&err, result, "cannot start the job: %s", leat_error_text(result));
        leat__job_fail(job, &err);
        leat__job_set_state(job, LEAT_JOB_FAILED);
    }
    return result;
}

int leat__job_prepare_sinks(struct leat_job *job, uint32_t index, uint64_t epoch,
    struct leat_handle_list *handles, struct leat_outbox_list *outboxes, struct leat_error *err)
{
    struct leat_worker *worker = &job->workers[index];
    for (uint32_t i = 0; i < worker->instances_count; i++) {
        struct leat_instance *inst = &worker->instances[i];
        if (!inst->sink)
            continue;
        int result = inst->sink->sink_class->prepare(inst->sink, &inst->ctx, epoch, true, handles);
        if (result == 0)
            result = leat__outbox_cut(&inst->ctx, epoch, outboxes);
        if (result < 0) {
            *err = inst->error;
            return result;
        }
    }
    return 0;
}

/* Without checkpoints: every sink closes its epoch; then, and only if all could, what they wrote is made
 * visible. */
static int commit_sinks(struct leat_job *job, struct leat_handle_list *handles, struct leat_error *err)
{
    struct leat_outbox_list none = { 0 }; /* a transactional sink was refused: check_sink */
    for (uint32_t w = 0; w < job->workers_count; w++)
        LEAT_TRY(leat__job_prepare_sinks(job, w, 1, handles, &none, err));
    LEAT_TRY(leat__handle_list_sync(handles, job->env, err));
    for (uint32_t i = 0; i < handles->count; i++) {
        const struct leat_handle *handle = &handles->handles[i];
        LEAT_TRY(leat__commit_handle(
            job, handle->node, (struct leat_sv){ handle->data, handle->len }, i, handles->count, err));
    }
    return 0;
}

void leat__job_discard(struct leat_job *job, const struct leat_handle_list *handles)
{
    struct leat_error err = { 0 };
    for (uint32_t i = 0; i < handles->count; i++) {
        const struct leat_handle *handle = &handles->handles[i];
        const struct leat_sink_class *sink = leat__job_sink_class(job, handle->node);
        if (sink->discard && sink->discard(handle->node, job->env, handle->data, handle->len, &err) < 0)
            leat__job_log(job, LEAT_LOG_WARN, handle->node->name, "could not remove uncommitted output: %s",
                err.message);
    }
}

/* Whether some source was stopped before its end; a request that comes after all ends has stopped nothing. */
static bool was_stopped(const struct leat_job *job)
{
    for (uint32_t w = 0; w < job->workers_count; w++)
        for (uint32_t i = 0; i < job->workers[w].instances_count; i++)
            if (job->workers[w].instances[i].source && job->workers[w].instances[i].stopped)
                return true;
    return false;
}

static bool has_failed(const struct leat_job *job)
{
    return __atomic_load_n(&job->failed, __ATOMIC_ACQUIRE) != 0;
}

static void finish_without_checkpoints(struct leat_job *job, bool commits)
{
    struct leat_handle_list handles = { 0 };
    struct leat_error err = { 0 };
    if (commits && commit_sinks(job, &handles, &err) < 0)
        leat__job_fail(job, &err);
    if (has_failed(job))
        leat__job_discard(job, &handles);
    leat__handle_list_release(&handles, job->env);
}

void leat__job_finish(struct leat_job *job, bool all_done)
{
    const bool commits = all_done && !leat__job_must_quit(job); /* who cancels from here on is too late */
    const bool stopped = was_stopped(job);
    if (job->coordinator)
        leat__coordinator_end_attempt(job->coordinator, commits, stopped);
    else
        finish_without_checkpoints(job, commits);
    if (has_failed(job))
        leat__job_set_state(job, LEAT_JOB_FAILED);
    else if (!commits)
        leat__job_set_state(job, LEAT_JOB_CANCELLED);
    else
        leat__job_set_state(job, stopped ? LEAT_JOB_STOPPED : LEAT_JOB_FINISHED);
}

static void release_worker(struct leat_worker *worker)
{
    leat__barrier_release(worker);
    for (uint32_t i = 0; i < worker->instances_count; i++)
        leat__instance_release(&worker->instances[i]);
    leat__free(worker->instances);
    leat__waker_unref(worker->waker);
    leat__state_free(worker->state);
}

void leat__job_teardown(struct leat_job *job)
{
    leat__discovery_free(job);
    for (uint32_t c = 0; c < job->channels_count; c++)
        leat__channel_release(&job->channels[c]);
    for (uint32_t w = 0; job->workers && w < job->workers_count; w++)
        release_worker(&job->workers[w]);
    for (uint32_t w = 0; job->workers && w < job->workers_count; w++)
        leat__pool_free(job->workers[w].pool);
    leat__free(job->channels);
    leat__free(job->workers);
    job->channels = NULL;
    job->workers = NULL;
    job->channels_count = job->workers_count = 0;
    leat__align_free(job);
    job->splits_moved = LEAT_SPLITS_UNKNOWN;
    for (uint32_t n = 0; n < LEAT_NODES_MAX; n++)
        leat__split_list_release(&job->splits[n]);
}

void leat_job_free(leat_job *job)
{
    if (!job)
        return;
    leat__job_teardown(job);
    leat__coordinator_close(job);
    leat__places_close(job);
    leat__free(job->metrics);
    leat__shell_free(job->shell);
    leat__plan_free(job->plan);
    leat__env_sim_free(job->sim_env);
    leat__arena_release(&job->arena);
    leat__free(job);
}

int leat_run_sized(leat_topology *t, const struct leat_job_opts *opts, size_t size, struct leat_error *err)
{
    leat_job *job;
    LEAT_TRY(leat_job_new_sized(t, opts, size, &job, err));
    const int result = leat_job_run(job);
    if (result == LEAT_ECANCELLED)
        (void)leat__error(err, LEAT_ECANCELLED, "the job was cancelled");
    else if (result < 0 && err)
        *err = *leat_job_error(job);
    leat_job_free(job);
    return result;
}
