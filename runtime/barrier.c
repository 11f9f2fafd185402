/* runtime/barrier.c -- see the header for the protocol and its invariants. */
#include "base/point.h"
#include "runtime/job_private.h"
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static uint64_t load_id(const uint64_t *id)
{
    return __atomic_load_n(id, __ATOMIC_ACQUIRE);
}

/* A piece of work for the checkpoint that began at from_ns is over. */
static void note_pause(struct leat_worker *worker, int64_t from_ns)
{
    const int64_t pause_ns = worker->env->mono_ns(worker->env) - from_ns;
    if (pause_ns > worker->share.pause_ns)
        worker->share.pause_ns = pause_ns;
}

/* The instances have nothing to do with a checkpoint any more. */
static void forget_barriers(struct leat_worker *worker)
{
    worker->barrier.id = 0;
    for (uint32_t i = 0; i < worker->instances_count; i++) {
        worker->instances[i].aligning = 0;
        worker->instances[i].barrier_due = false;
    }
}

static void tell(struct leat_worker *worker)
{
    struct leat_share *share = &worker->share;
    if (worker->barrier.frozen)
        leat__state_snapshot_end(worker->state);
    worker->barrier.frozen = false;
    forget_barriers(worker);
    share->done_ns = worker->env->mono_ns(worker->env);
    const uint32_t phase = share->error.code < 0 ? LEAT_SHARE_FAILED : LEAT_SHARE_DONE;
    __atomic_store_n(&share->phase, phase, __ATOMIC_RELEASE);
    leat__point(LEAT_POINT_WORKER_REPORTED);
    leat__worker_notify(worker);
}

static void begin(struct leat_worker *worker, uint64_t id)
{
    struct leat_share *share = &worker->share;
    struct leat_barrier *b = &worker->barrier;
    LEAT_ASSERT(share->id == 0 && !b->syncing && !b->frozen);
    b->id = b->seen = id;
    b->finishing = b->stepping = b->state_done = b->sync_done = false;
    share->id = id;
    share->asked_ns = worker->env->mono_ns(worker->env);
    share->waiting = worker->instances_count;
    share->parts = leat__arena_array(&share->arena, worker->instances_count, sizeof *share->parts);
    if (!share->parts) {
        (void)leat__error(
            &share->error, LEAT_ENOMEM, "worker %u: out of memory for a checkpoint", worker->index);
        tell(worker);
        return;
    }
    for (uint32_t i = 0; i < worker->instances_count; i++)
        worker->instances[i].barrier_due = true;
}

/* Forgets the share of a checkpoint that is over (model: barrier.pml, let_go). Handles and outboxes that the coordinator has not taken stay:
 * they belong to the next one. */
static bool let_go(struct leat_worker *worker, uint64_t over)
{
    struct leat_share *share = &worker->share;
    struct leat_barrier *b = &worker->barrier;
    forget_barriers(worker);
    if (b->syncing)
        return false; /* (5) */
    if (b->frozen)
        leat__state_snapshot_end(worker->state);
    b->frozen = b->finishing = false;
    leat__arena_release(&share->arena);
    share->id = 0;
    share->parts = NULL;
    share->parts_count = share->waiting = share->tables_count = 0;
    share->tables = NULL;
    share->has_state = false;
    share->dirty_entries = share->dirty_bytes = 0;
    share->error = (struct leat_error){ 0 };
    share->asked_ns = share->first_barrier_ns = share->passed_ns = share->done_ns = share->pause_ns = 0;
    __atomic_store_n(&share->phase, LEAT_SHARE_RUNNING, __ATOMIC_RELAXED);
    __atomic_store_n(&share->over, over, __ATOMIC_RELEASE);
    leat__worker_notify(worker);
    return true;
}

/* What the coordinator has asked since; whether that changed anything. `over` is read first: a checkpoint that
 * is asked for later is above it. */
static bool look(struct leat_worker *worker)
{
    const struct leat_job *job = worker->job;
    const uint64_t over = load_id(&job->barrier_over);
    const uint64_t asked = load_id(&job->barrier_asked);
    bool changed = false;
    if (over > worker->share.over)
        changed = let_go(worker, over);
    if (asked > worker->barrier.seen && asked > over && over == worker->share.over) {
        begin(worker, asked);
        changed = true;
    }
    return changed;
}

void leat__barrier_note(struct leat_instance *inst, struct leat_channel *channel, uint64_t id)
{
    struct leat_worker *worker = inst->worker;
    (void)look(worker); /* its producer may have seen more than this worker has */
    if (id != worker->barrier.id)
        return; /* (4) */
    LEAT_ASSERT(inst->barrier_due && channel->barrier < id);
    channel->barrier = id;
    inst->aligning = id;
    if (worker->share.first_barrier_ns == 0)
        worker->share.first_barrier_ns = worker->env->mono_ns(worker->env);
    if (!leat__barrier_is_aligned(inst))
        leat__point(LEAT_POINT_BARRIER_BLOCKED);
}

bool leat__barrier_holds(const struct leat_instance *inst, const struct leat_channel *channel)
{
    return inst->aligning != 0 && channel->barrier == inst->aligning &&
        inst->worker->job->opts.delivery != LEAT_AT_LEAST_ONCE;
}

/* (model: barrier.pml, aligned) */
bool leat__barrier_is_aligned(const struct leat_instance *inst)
{
    if (!inst->barrier_due || inst->aligning == 0)
        return false;
    for (uint32_t i = 0; i < inst->inputs_count; i++)
        if (!inst->inputs[i]->ended && inst->inputs[i]->barrier != inst->aligning)
            return false;
    return true;
}

/* What the class has to say beside its tables, into the arena of the share. */
static int take_blob(struct leat_instance *inst, struct leat_part *part)
{
    struct leat_strbuf out = { 0 };
    int result = 0;
    if (inst->op && inst->op->op_class->snapshot)
        result = inst->op->op_class->snapshot(inst->op, &inst->ctx, &out);
    else if (inst->sink && inst->sink->sink_class->snapshot)
        result = inst->sink->sink_class->snapshot(inst->sink, &inst->ctx, &out);
    else
        return 0;
    if (result < 0 && inst->error.code == 0)
        result = leat__fail(&inst->ctx, result, "its state can not be saved: %s", leat_error_text(result));
    if (result == 0 && out.failed)
        result = leat__fail(&inst->ctx, LEAT_ENOMEM, "out of memory for a checkpoint");
    if (result == 0 && out.len > 0) {
        part->blob.data = leat__arena_copy(&inst->worker->share.arena, out.data, out.len);
        part->blob.len = out.len;
        if (!part->blob.data)
            result = leat__fail(&inst->ctx, LEAT_ENOMEM, "out of memory for a checkpoint");
    }
    leat__strbuf_release(&out);
    return result;
}

static int close_epoch(struct leat_instance *inst)
{
    struct leat_share *share = &inst->worker->share;
    LEAT_TRY(inst->sink->sink_class->prepare(inst->sink, &inst->ctx, share->id, false, &share->handles));
    return leat__outbox_cut(&inst->ctx, share->id, &share->outboxes);
}

static int write_part(struct leat_instance *inst)
{
    struct leat_share *share = &inst->worker->share;
    struct leat_part *part = &share->parts[share->parts_count++];
    part->node = inst->plan->node;
    part->node_name = part->node->name;
    part->subtask = inst->ctx.subtask;
    part->watermark_us = inst->sent_wm_us;
    part->inputs_count = part->node->inputs_count;
    memcpy(part->input_watermark_us, inst->ctx.input_watermark_us, sizeof part->input_watermark_us);
    if (inst->source)
        return leat__source_host_snapshot(inst->source, &share->arena, part);
    if (!inst->op) {
        LEAT_TRY(close_epoch(inst));
        return take_blob(inst, part);
    }
    LEAT_TRY(take_blob(inst, part)); /* what the operator holds beside its tables it may put there now */
    inst->worker->barrier.frozen = true;
    leat__state_freeze(inst->worker->state, part->node_name);
    leat__point(LEAT_POINT_STATE_FROZEN);
    return 0;
}

int leat__barrier_pass(struct leat_instance *inst)
{
    struct leat_worker *worker = inst->worker;
    const uint64_t id = worker->barrier.id;
    const int64_t from_ns = worker->env->mono_ns(worker->env);
    LEAT_ASSERT(inst->barrier_due && !inst->more && id != 0);
    inst->barrier_due = false; /* (1) */
    inst->aligning = 0;
    worker->share.waiting--;
    LEAT_TRY(write_part(inst));
    if (!inst->ended)
        LEAT_TRY(leat__instance_send_barrier(inst, id));
    if (inst->source) {
        leat__point(LEAT_POINT_BARRIER_SENT);
        if (!inst->ended && load_id(&worker->job->barrier_stops) == id)
            LEAT_TRY(leat__source_host_stop(inst->source));
    }
    note_pause(worker, from_ns);
    return 0;
}

/* Whether it passes without a barrier from anybody: as a source (model: barrier.pml, barrier_sent), or as one
 * that has ended (model: barrier.pml, source_ended). */
static bool passes_by_itself(struct leat_instance *inst)
{
    return inst->barrier_due && (inst->ended || (inst->source && leat__instance_has_room(inst)));
}

static void sync_files(struct leat_task *task)
{
    struct leat_worker *worker =
        (struct leat_worker *)((char *)task - offsetof(struct leat_worker, barrier.sync));
    struct leat_share *share = &worker->share;
    struct leat_error *err = &worker->barrier.sync_error;
    int result = leat__handle_list_sync(&share->handles, worker->env, err);
    if (result == 0)
        result = leat__outbox_place(&share->outboxes, worker->env, worker->job->barrier_dir, err);
    if (result < 0 && err->code == 0)
        (void)leat__error(err, result, "%s", leat_error_text(result));
}

/* All instances have passed: what they left is written down by others. */
static void finish(struct leat_worker *worker)
{
    struct leat_share *share = &worker->share;
    struct leat_barrier *b = &worker->barrier;
    char dir[sizeof worker->job->barrier_dir + 32];
    (void)snprintf(dir, sizeof dir, "%s/worker-%u", worker->job->barrier_dir, worker->index);
    b->finishing = b->frozen = true;
    share->passed_ns = worker->env->mono_ns(worker->env);
    b->sync_error = (struct leat_error){ 0 };
    b->sync.run = sync_files;
    b->syncing = true;
    leat__task_submit(&worker->background, &b->sync);
    b->state_done = leat__state_snapshot(worker->state, dir, &share->error) < 0;
    b->stepping = !b->state_done;
    note_pause(worker, share->passed_ns);
}

/* One piece of the snapshot of the state. */
static void step_state(struct leat_worker *worker)
{
    struct leat_share *share = &worker->share;
    struct leat_barrier *b = &worker->barrier;
    const int64_t from_ns = worker->env->mono_ns(worker->env);
    int result = leat__state_snapshot_step(worker->state, &share->error);
    b->stepping = result > 0;
    if (result == 0) {
        result = leat__state_snapshot_poll(worker->state, &share->error);
        b->state_done = result > 0;
    }
    if (result < 0) {
        (void)leat__error_prefix(&share->error, "worker %u", worker->index);
        b->state_done = true;
        b->stepping = false;
    }
    note_pause(worker, from_ns);
}

static void note_state(struct leat_worker *worker)
{
    struct leat_share *share = &worker->share;
    struct leat_snapshot_stats stats = { 0 };
    struct leat_table_info *tables = NULL;
    leat__state_snapshot_stats(worker->state, &stats);
    share->has_state = stats.has_store;
    share->dirty_entries = stats.dirty_entries;
    share->dirty_bytes = stats.dirty_bytes;
    if (leat__state_tables(worker->state, &share->arena, &tables, &share->tables_count) < 0)
        (void)leat__error(
            &share->error, LEAT_ENOMEM, "worker %u: out of memory for a checkpoint", worker->index);
    share->tables = tables;
}

/* Files whose sync has failed may have lost what was written to them, whatever a second sync says: only going
 * on from the last checkpoint helps. */
static int take_sync(struct leat_worker *worker, struct leat_instance **failed)
{
    struct leat_barrier *b = &worker->barrier;
    if (!b->syncing || !leat__task_is_done(&b->sync))
        return 0;
    b->syncing = false;
    b->sync_done = true;
    if (b->sync_error.code == 0)
        return 1;
    *failed = &worker->instances[0];
    for (uint32_t i = 0; i < worker->instances_count; i++) /* whose files they are: of a sink here */
        if (worker->instances[i].sink)
            *failed = &worker->instances[i];
    (*failed)->error = b->sync_error;
    return b->sync_error.code;
}

int leat__barrier_step(struct leat_worker *worker, struct leat_instance **failed)
{
    struct leat_barrier *b = &worker->barrier;
    int did = take_sync(worker, failed);
    LEAT_TRY(did);
    if (look(worker))
        did = 1;
    for (uint32_t i = 0; b->id != 0 && worker->share.waiting > 0 && i < worker->instances_count; i++) {
        *failed = &worker->instances[i];
        if (passes_by_itself(*failed)) {
            LEAT_TRY(leat__barrier_pass(*failed));
            did = 1;
        }
    }
    if (b->id == 0 || worker->share.waiting > 0)
        return did;
    if (!b->finishing) {
        finish(worker);
        did = 1;
    } else if (!b->state_done) {
        did |= b->stepping;
        step_state(worker);
    }
    if (b->state_done && b->sync_done) {
        if (worker->share.error.code == 0)
            note_state(worker);
        tell(worker);
        did = 1;
    }
    return did;
}

bool leat__barrier_has_work(struct leat_worker *worker)
{
    const struct leat_job *job = worker->job;
    const struct leat_barrier *b = &worker->barrier;
    const uint64_t over = load_id(&job->barrier_over);
    const uint64_t asked = load_id(&job->barrier_asked);
    const bool waits_for_task = b->syncing && !leat__task_is_done(&b->sync);
    if (b->syncing && !waits_for_task)
        return true;
    if (over > worker->share.over)
        return !waits_for_task;
    if (asked > b->seen && asked > over)
        return true;
    if (b->id == 0)
        return false;
    for (uint32_t i = 0; worker->share.waiting > 0 && i < worker->instances_count; i++)
        if (passes_by_itself(&worker->instances[i]))
            return true;
    return worker->share.waiting == 0 && (!b->finishing || b->stepping);
}

void leat__barrier_release(struct leat_worker *worker)
{
    struct leat_barrier *b = &worker->barrier;
    if (b->syncing)
        leat__task_wait(&worker->background, &b->sync);
    b->syncing = false;
    if (b->frozen)
        leat__state_snapshot_end(worker->state);
    b->frozen = false;
    leat__handle_list_release(&worker->share.handles, worker->env);
    leat__outbox_list_release(&worker->share.outboxes, worker->env);
    leat__arena_release(&worker->share.arena);
}
