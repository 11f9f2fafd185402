/* runtime/worker.c -- the step function; see the header. */
#include "runtime/worker.h"
#include "runtime/job_private.h"
#include "state/state.h"

#define SOURCE_STREAK_MAX 8u /* reads in a row of one source */

void leat__worker_touch(struct leat_worker *worker, const struct leat_worker *other)
{
    worker->touched[other->index / 64] |= UINT64_C(1) << (other->index % 64);
}

void leat__worker_wake_touched(struct leat_worker *worker, void (*wake)(void *arg, uint32_t index), void *arg)
{
    bool fenced = false;
    for (uint32_t word = 0; word < sizeof worker->touched / sizeof worker->touched[0]; word++) {
        while (worker->touched[word]) {
            const uint32_t bit = (uint32_t)__builtin_ctzll(worker->touched[word]);
            const uint32_t index = word * 64 + bit;
            worker->touched[word] &= worker->touched[word] - 1;
            /* Pairs with the sleeper, which sets its flag and then looks at its rings once more: whichever
             * comes second in the one order of these operations sees the other. */
            if (!fenced)
                atomic_thread_fence(memory_order_seq_cst);
            fenced = true;
            if (__atomic_load_n(&worker->job->workers[index].sleeping, __ATOMIC_SEQ_CST))
                wake(arg, index);
        }
    }
}

/* The monotonic clock, which the simulation starts at 0: see worker.h. */
static int64_t read_clock(struct leat_worker *worker)
{
    return worker->env->mono_ns(worker->env) + 1;
}

static bool drain_outputs(struct leat_instance *inst)
{
    bool moved = false;
    for (uint32_t i = 0; i < inst->outs_count; i++) {
        for (uint32_t c = 0; c < inst->outs[i].channels_count; c++) {
            struct leat_channel *channel = inst->outs[i].channels[c];
            if (channel->remote && channel->queue.count > 0 && leat__channel_drain(channel)) {
                leat__worker_touch(inst->worker, channel->consumer);
                moved = true;
            }
        }
    }
    return moved;
}

static bool has_overflow(const struct leat_instance *inst)
{
    for (uint32_t i = 0; i < inst->outs_count; i++)
        for (uint32_t c = 0; c < inst->outs[i].channels_count; c++)
            if (inst->outs[i].channels[c]->remote && inst->outs[i].channels[c]->queue.count > 0)
                return true;
    return false;
}

/* The source to read next: the one that is furthest behind in event time, so that joins need not keep all of
 * one side before they see the other; in turn among equals, and now and then in any case, for those without
 * event time. */
static struct leat_instance *pick_source(struct leat_worker *worker)
{
    struct leat_instance *best = NULL;
    int64_t best_us = 0;
    const bool rotate = worker->source_streak >= SOURCE_STREAK_MAX;
    for (uint32_t k = 1; k <= worker->instances_count; k++) {
        struct leat_instance *inst = &worker->instances[(worker->source_last + k) % worker->instances_count];
        if (!inst->source || !leat__instance_is_runnable(inst, worker->now_ns))
            continue;
        const int64_t behind_us = leat__source_host_newest_us(inst->source);
        if (!best || behind_us < best_us) {
            best = inst;
            best_us = behind_us;
        }
        if (rotate)
            break;
    }
    if (!best)
        return NULL;
    const uint32_t index = (uint32_t)(best - worker->instances);
    worker->source_streak = index == worker->source_last ? worker->source_streak + 1 : 0;
    worker->source_last = index;
    return best;
}

/* The instance to run: the one nearest to the sinks that can, and a source only when nothing that was read
 * waits. */
static struct leat_instance *pick_instance(struct leat_worker *worker, bool *moved)
{
    for (uint32_t i = worker->instances_count; i-- > 0;) {
        struct leat_instance *inst = &worker->instances[i];
        *moved = drain_outputs(inst) || *moved;
        if (!inst->source && leat__instance_is_runnable(inst, worker->now_ns))
            return inst;
    }
    return pick_source(worker);
}

/* Runs one instance; 1, 0 if none can run and nothing moved, or an error. */
static int run_one(struct leat_worker *worker, struct leat_instance **failed)
{
    bool moved = false;
    struct leat_instance *inst = pick_instance(worker, &moved);
    if (!inst)
        return moved;
    *failed = inst;
    const int64_t from_ns = worker->now_ns;
    const int result = leat__instance_run(inst, from_ns);
    worker->now_ns = read_clock(worker);
    leat__count(&inst->counters.busy_ns, (uint64_t)(worker->now_ns - from_ns));
    return result < 0 ? result : result > 0 || moved;
}

static int flush(struct leat_worker *worker, bool all, struct leat_instance **failed)
{
    int flushed = 0;
    for (uint32_t i = 0; i < worker->instances_count; i++) {
        *failed = &worker->instances[i];
        const int result = leat__instance_flush(*failed, all, worker->now_ns);
        LEAT_TRY(result);
        flushed |= result;
    }
    return flushed;
}

/* When something is due although nobody has sent anything; and whether everything has ended. */
static int64_t rest_until_us(struct leat_worker *worker, bool *done)
{
    int64_t wake_us = LEAT_TIME_MAX;
    *done = true;
    for (uint32_t i = 0; i < worker->instances_count; i++) {
        struct leat_instance *inst = &worker->instances[i];
        *done = *done && inst->ended && !has_overflow(inst);
        if (inst->ended || !leat__instance_has_room(inst))
            continue; /* who makes room for a blocked one wakes it */
        const int64_t due_us =
            inst->source ? leat__source_host_wake_us(inst->source) : leat__instance_wake_us(inst);
        wake_us = due_us < wake_us ? due_us : wake_us;
    }
    return wake_us;
}

int leat__worker_step(
    struct leat_worker *worker, uint32_t budget, int64_t *wake_us, struct leat_instance **failed)
{
    bool worked = false;
    worker->now_ns = read_clock(worker);
    worker->wall_us = worker->env->wall_us(worker->env);
    const int barrier = leat__barrier_step(worker, failed);
    LEAT_TRY(barrier);
    worked = barrier > 0;
    LEAT_TRY(flush(worker, false, failed));
    for (uint32_t i = 0; i < budget; i++) {
        int result = run_one(worker, failed);
        if (result == 0)
            result = flush(worker, true, failed); /* nothing else to do: what is gathered may go */
        LEAT_TRY(result);
        if (result == 0)
            break;
        worked = true;
    }
    __atomic_store_n(&worker->state_bytes, leat__state_bytes(worker->state), __ATOMIC_RELAXED);
    if (worked || leat__worker_has_work(worker))
        return LEAT_STEP_WORKED;
    bool done;
    *wake_us = rest_until_us(worker, &done);
    if (done)
        __atomic_store_n(&worker->done, 1, __ATOMIC_RELEASE);
    return done && worker->barrier.id == 0 ? LEAT_STEP_DONE : LEAT_STEP_IDLE;
}

int leat__worker_close_dead_ends(struct leat_worker *worker, struct leat_instance **failed)
{
    int said = 0;
    worker->now_ns = read_clock(worker);
    worker->wall_us = worker->env->wall_us(worker->env);
    for (uint32_t i = 0; i < worker->instances_count; i++) {
        struct leat_instance *inst = &worker->instances[i];
        if (inst->source && leat__source_host_has_splits(inst->source))
            continue;
        *failed = inst;
        while (leat__instance_is_runnable(inst, worker->now_ns)) {
            LEAT_TRY(leat__instance_run(inst, worker->now_ns));
            said = 1;
        }
    }
    return said;
}

bool leat__worker_has_work(struct leat_worker *worker)
{
    worker->wall_us = worker->env->wall_us(worker->env);
    if (leat__barrier_has_work(worker))
        return true;
    for (uint32_t i = worker->instances_count; i-- > 0;) {
        struct leat_instance *inst = &worker->instances[i];
        if (drain_outputs(inst) || leat__instance_is_runnable(inst, worker->now_ns))
            return true;
    }
    return false;
}

const struct leat_split_list *leat__worker_splits(
    const struct leat_worker *worker, const struct leat_node *node)
{
    return &worker->job->splits[node->id];
}

const struct leat_sink_class *leat__worker_sink_class(
    const struct leat_worker *worker, const struct leat_node *node)
{
    return worker->job->sink_class ? worker->job->sink_class : node->sink;
}

const struct leat_source_class *leat__worker_source_class(
    const struct leat_worker *worker, const struct leat_node *node)
{
    return worker->job->source_class ? worker->job->source_class : node->source;
}

bool leat__worker_is_stopping(const struct leat_worker *worker)
{
    return __atomic_load_n(&worker->job->stop_requested, __ATOMIC_RELAXED);
}

bool leat__worker_is_draining(const struct leat_worker *worker)
{
    return __atomic_load_n(&worker->job->drain_requested, __ATOMIC_RELAXED);
}

bool leat__workers_rest(const struct leat_job *job)
{
    for (uint32_t w = 0; w < job->workers_count; w++) {
        const struct leat_worker *worker = &job->workers[w];
        if (!__atomic_load_n(&worker->done, __ATOMIC_ACQUIRE))
            return false;
        if (__atomic_load_n(&worker->share.phase, __ATOMIC_ACQUIRE) == LEAT_SHARE_RUNNING &&
            job->barrier_asked > __atomic_load_n(&worker->share.over, __ATOMIC_ACQUIRE))
            return false;
    }
    return true;
}

void leat__worker_notify(const struct leat_worker *worker)
{
    struct leat_shell *shell = __atomic_load_n(&worker->job->shell, __ATOMIC_SEQ_CST);
    if (shell)
        leat__shell_notify(shell);
}
