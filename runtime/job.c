/* runtime/job.c -- the life of a job: set-up, wiring, first error, end. runtime/metrics.c has its progress.
 */
#include "base/alloc.h"
#include "base/arena.h"
#include "runtime/endpoints.h"
#include "runtime/job_private.h"
#include "state/state.h"
#include <stdio.h>
#include <stdlib.h>

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

/* The number that an environment variable asks for, or *value as it is. */
static int number_from(const char *variable, uint32_t max, uint32_t *value, struct leat_error *err)
{
    const char *text = getenv(variable);
    if (!text || !*text)
        return 0;
    char *end;
    const unsigned long asked = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || asked == 0 || asked > max)
        return leat__error(err, LEAT_EINVAL,
            "the environment variable %s takes a whole number from 1 to %u, not \"%s\": correct it, or unset "
            "it",
            variable, max, text);
    *value = (uint32_t)asked;
    return 0;
}

/* What can not be, before anything is filled in. */
static int check_options(const struct leat_job_opts *opts, struct leat_error *err)
{
    if (opts->parallelism > LEAT_WORKERS_MAX)
        return leat__error(err, LEAT_EINVAL, "job option parallelism is %u; the most is %u",
            opts->parallelism, LEAT_WORKERS_MAX);
    if (opts->max_parallelism > LEAT_MAX_PARALLELISM_MAX)
        return leat__error(err, LEAT_EINVAL, "job option max_parallelism is %u; the most is %u",
            opts->max_parallelism, LEAT_MAX_PARALLELISM_MAX);
    if (opts->batch_rows > LEAT_BATCH_ROWS_MAX)
        return leat__error(err, LEAT_EINVAL, "job option batch_rows is %u; the most is %u", opts->batch_rows,
            LEAT_BATCH_ROWS_MAX);
    if (opts->channel_batches > LEAT_CHANNEL_MESSAGES_MAX)
        return leat__error(err, LEAT_EINVAL, "job option channel_batches is %u; the most is %u",
            opts->channel_batches, LEAT_CHANNEL_MESSAGES_MAX);
    if (opts->log_level != 0 && (opts->log_level < LEAT_LOG_ERROR || opts->log_level > LEAT_LOG_TRACE))
        return leat__error(err, LEAT_EINVAL,
            "job option log_level is %d; it is one of LEAT_LOG_ERROR to LEAT_LOG_TRACE",
            (int)opts->log_level);
    if (opts->progress_interval_us < 0)
        return leat__error(err, LEAT_EINVAL,
            "job option progress_interval_us is negative; give a duration such as LEAT_SECONDS(1), or 0");
    return 0;
}

/* Options of newer headers than the library's: an error if they are set. */
static int copy_options(
    struct leat_job_opts *to, const struct leat_job_opts *from, size_t size, struct leat_error *err)
{
    memcpy(to, from, size < sizeof *to ? size : sizeof *to);
    for (size_t i = sizeof *to; i < size; i++)
        if (((const unsigned char *)from)[i])
            return leat__error(err, LEAT_EINVAL,
                "a job option is set that this version of the library (%s) does not know: the program was "
                "compiled with "
                "newer headers; install the library that belongs to them",
                leat_version());
    return 0;
}

static int fill_options(struct leat_job *job, struct leat_error *err)
{
    struct leat_job_opts *opts = &job->opts;
    LEAT_TRY(check_options(opts, err));
    if (opts->max_parallelism == 0)
        opts->max_parallelism = LEAT_MAX_PARALLELISM_DEFAULT;
    if (opts->parallelism == 0) {
        uint32_t workers = leat__env_parallelism();
        LEAT_TRY(number_from("LEAT_PARALLELISM", LEAT_WORKERS_MAX, &workers, err));
        opts->parallelism = workers < opts->max_parallelism ? workers : opts->max_parallelism;
    }
    if (opts->parallelism > opts->max_parallelism)
        return leat__error(err, LEAT_EINVAL,
            "job option parallelism (%u) is above max_parallelism (%u): some workers would own no keys",
            opts->parallelism, opts->max_parallelism);
    if (opts->batch_rows == 0) {
        opts->batch_rows = LEAT_BATCH_ROWS_DEFAULT;
        LEAT_TRY(number_from("LEAT_BATCH_ROWS", LEAT_BATCH_ROWS_MAX, &opts->batch_rows, err));
    }
    if (opts->channel_batches == 0) {
        opts->channel_batches = LEAT_CHANNEL_MESSAGES_DEFAULT;
        LEAT_TRY(number_from("LEAT_CHANNEL_BATCHES", LEAT_CHANNEL_MESSAGES_MAX, &opts->channel_batches, err));
    }
    if (opts->log_level == 0)
        opts->log_level = LEAT_LOG_INFO;
    if (opts->progress_interval_us == 0)
        opts->progress_interval_us = LEAT_MILLIS(500);
    return 0;
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
    int result = opts ? copy_options(&job->opts, opts, size, err) : 0;
    if (result == 0)
        result = fill_options(job, err);
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
    *out = job;
    return 0;
}

/* Where the rows of an edge go: how many subtasks of the consumer one producer may send to. */
static uint32_t reach(const struct leat_plan *plan, const struct leat_plan_edge *edge)
{
    const bool all =
        edge->exchange && (edge->partitioning == LEAT_HASH || edge->partitioning == LEAT_BROADCAST);
    return all ? plan->nodes[edge->to].parallelism : 1;
}

static uint32_t target(const struct leat_plan_edge *edge, uint32_t producer, uint32_t k)
{
    if (edge->exchange)
        return edge->partitioning == LEAT_GATHER ? 0 : k;
    return producer;
}

static struct leat_instance *find_instance(struct leat_worker *worker, uint32_t plan_node)
{
    for (uint32_t i = 0; i < worker->instances_count; i++)
        if (worker->instances[i].plan == &worker->plan->nodes[plan_node])
            return &worker->instances[i];
    return NULL;
}

static int add_input(struct leat_instance *inst, struct leat_channel *channel)
{
    struct leat_channel **inputs =
        leat__realloc(inst->inputs, (inst->inputs_count + 1) * sizeof(struct leat_channel *));
    if (!inputs)
        return LEAT_ENOMEM;
    inst->inputs = inputs;
    inst->inputs[inst->inputs_count++] = channel;
    return 0;
}

static int wire_producer(struct leat_job *job, const struct leat_plan_edge *edge, uint32_t producer)
{
    struct leat_instance *from = find_instance(&job->workers[producer], edge->from);
    struct leat_out_edge *out = &from->outs[from->outs_count++];
    const uint32_t fan = reach(job->plan, edge);
    out->plan = edge;
    out->channels = leat__calloc(fan, sizeof(struct leat_channel *));
    if (!out->channels)
        return LEAT_ENOMEM;
    for (uint32_t k = 0; k < fan; k++) {
        const uint32_t consumer = target(edge, producer, k);
        struct leat_instance *to = find_instance(&job->workers[consumer], edge->to);
        if (!to)
            continue; /* a forward edge into a node with fewer subtasks is never planned */
        struct leat_channel *channel = &job->channels[job->channels_count++];
        channel->input = edge->input;
        channel->producer = &job->workers[producer];
        channel->consumer = &job->workers[consumer];
        out->channels[out->channels_count++] = channel;
        LEAT_TRY(leat__channel_init(channel, producer != consumer, job->opts.channel_batches));
        LEAT_TRY(add_input(to, channel));
    }
    LEAT_ASSERT(out->channels_count == fan);
    return 0;
}

static int wire(struct leat_job *job)
{
    const struct leat_plan *plan = job->plan;
    size_t channels = 0;
    for (uint32_t e = 0; e < plan->edges_count; e++)
        channels += (size_t)plan->nodes[plan->edges[e].from].parallelism * reach(plan, &plan->edges[e]);
    const size_t bytes = channels * sizeof *job->channels;
    job->channels = leat__aligned_alloc(_Alignof(struct leat_channel), bytes); /* base/ring.h */
    if (!job->channels)
        return LEAT_ENOMEM;
    memset(job->channels, 0, bytes);
    for (uint32_t e = 0; e < plan->edges_count; e++)
        for (uint32_t p = 0; p < plan->nodes[plan->edges[e].from].parallelism; p++)
            LEAT_TRY(wire_producer(job, &plan->edges[e], p));
    LEAT_ASSERT(job->channels_count == channels);
    return 0;
}

static int make_worker(struct leat_job *job, uint32_t index)
{
    struct leat_worker *worker = &job->workers[index];
    const struct leat_plan *plan = job->plan;
    const struct leat_state_opts state_opts = {
        .budget_bytes = job->opts.state_budget_bytes / job->workers_count, .key_groups = plan->max_parallelism
    };
    worker->job = job;
    worker->index = index;
    worker->env = job->env;
    worker->plan = plan;
    LEAT_TRY(leat__pool_new(job->opts.batch_rows, &worker->pool));
    LEAT_TRY(leat__state_new(&state_opts, &worker->state, &job->error));
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
            const struct leat_sink_class *sink = job->sink_class ? job->sink_class : node->sink;
            result = sink->check ? sink->check(node, job->env, err) : 0;
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
    job->workers_count = job->plan->parallelism;
    if (result == 0) {
        job->workers = leat__calloc(job->workers_count, sizeof *job->workers);
        result = job->workers ? 0 : LEAT_ENOMEM;
    }
    for (uint32_t w = 0; result == 0 && w < job->workers_count; w++)
        result = make_worker(job, w);
    if (result == 0)
        result = wire(job);
    for (uint32_t w = 0; result == 0 && w < job->workers_count; w++) {
        result = open_worker(job, &job->workers[w]);
        if (result < 0)
            err = job->error;
    }
    if (result == 0)
        result = close_dead_ends(job, &err);
    if (result < 0) {
        if (err.code == 0)
            (void)leat__error(&err, result, "cannot start the job: %s", leat_error_text(result));
        leat__job_fail(job, &err);
        leat__job_set_state(job, LEAT_JOB_FAILED);
    }
    return result;
}

/* Every sink closes its epoch; then, and only if all could, what they wrote is made visible. */
static int commit_sinks(struct leat_job *job, struct leat_handle_list *handles, struct leat_error *err)
{
    for (uint32_t w = 0; w < job->workers_count; w++) {
        for (uint32_t i = 0; i < job->workers[w].instances_count; i++) {
            struct leat_instance *inst = &job->workers[w].instances[i];
            if (!inst->sink)
                continue;
            const int result = inst->sink->sink_class->prepare(inst->sink, &inst->ctx, 1, true, handles);
            if (result < 0) {
                *err = inst->error;
                return result;
            }
        }
    }
    LEAT_TRY(leat__handle_list_sync(handles, job->env, err));
    for (uint32_t i = 0; i < handles->count; i++) {
        const struct leat_handle *handle = &handles->handles[i];
        const struct leat_sink_class *sink = job->sink_class ? job->sink_class : handle->node->sink;
        const int result = sink->commit(handle->node, job->env, handle->data, handle->len, err);
        if (result < 0) {
            (void)leat__error_prefix(err, "%s \"%s\": commit %u of %u", handle->node->kind_name,
                handle->node->name, i + 1, handles->count);
            return result;
        }
    }
    return 0;
}

static void discard(struct leat_job *job, const struct leat_handle_list *handles)
{
    struct leat_error err = { 0 };
    for (uint32_t i = 0; i < handles->count; i++) {
        const struct leat_handle *handle = &handles->handles[i];
        const struct leat_sink_class *sink = job->sink_class ? job->sink_class : handle->node->sink;
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

void leat__job_finish(struct leat_job *job, bool all_done)
{
    struct leat_handle_list handles = { 0 };
    struct leat_error err = { 0 };
    const bool commits = all_done && !leat__job_must_quit(job); /* who cancels from here on is too late */
    if (commits && commit_sinks(job, &handles, &err) < 0)
        leat__job_fail(job, &err);
    const bool failed = __atomic_load_n(&job->failed, __ATOMIC_ACQUIRE) != 0;
    if (failed || !commits)
        discard(job, &handles);
    leat__handle_list_release(&handles, job->env);
    if (failed)
        leat__job_set_state(job, LEAT_JOB_FAILED);
    else if (!commits)
        leat__job_set_state(job, LEAT_JOB_CANCELLED);
    else
        leat__job_set_state(job, was_stopped(job) ? LEAT_JOB_STOPPED : LEAT_JOB_FINISHED);
    leat__job_report_progress(job);
}

int leat_job_run(leat_job *job)
{
    LEAT_ASSERT(leat_job_state(job) == LEAT_JOB_CREATED); /* a job runs once */
    job->started = true;
    job->started_ns = job->env->mono_ns(job->env);
    const int result = leat__job_prepare(job);
    if (result < 0)
        return result;
    leat__job_set_state(job, LEAT_JOB_RUNNING);
    leat__job_log(job, LEAT_LOG_INFO, NULL, "started topology=%s workers=%u", leat_topology_name(job->t),
        job->workers_count);
    const bool all_done = job->opts.simulate ? leat__shell_sim_run(job) : leat__shell_threads_run(job);
    leat__job_finish(job, all_done);
    if (leat_job_state(job) == LEAT_JOB_CANCELLED)
        return LEAT_ECANCELLED;
    return leat_job_error(job)->code;
}

void leat_job_stop(leat_job *job)
{
    __atomic_store_n(&job->stop_requested, 1, __ATOMIC_SEQ_CST);
    struct leat_shell *shell = __atomic_load_n(&job->shell, __ATOMIC_SEQ_CST);
    if (shell)
        leat__shell_notify(shell);
}

void leat_job_cancel(leat_job *job)
{
    __atomic_store_n(&job->cancel_requested, 1, __ATOMIC_SEQ_CST);
    struct leat_shell *shell = __atomic_load_n(&job->shell, __ATOMIC_SEQ_CST);
    if (shell)
        leat__shell_notify(shell);
}

static void release_worker(struct leat_worker *worker)
{
    for (uint32_t i = 0; i < worker->instances_count; i++)
        leat__instance_release(&worker->instances[i]);
    leat__free(worker->instances);
    leat__state_free(worker->state);
}

void leat_job_free(leat_job *job)
{
    if (!job)
        return;
    for (uint32_t c = 0; c < job->channels_count; c++)
        leat__channel_release(&job->channels[c]);
    for (uint32_t w = 0; job->workers && w < job->workers_count; w++)
        release_worker(&job->workers[w]);
    for (uint32_t w = 0; job->workers && w < job->workers_count; w++)
        leat__pool_free(job->workers[w].pool);
    leat__free(job->channels);
    leat__free(job->workers);
    for (uint32_t n = 0; n < LEAT_NODES_MAX; n++)
        leat__split_list_release(&job->splits[n]);
    leat__free(job->metrics);
    leat__shell_free(job->shell);
    leat__plan_free(job->plan);
    leat__env_sim_free(job->sim_env);
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
