/* runtime/instance.c -- delivering messages to one operator or sink, in the order that the rules demand.
 *
 * settle() is the heart: after every message or step it carries on, as long as the operator has nothing left
 * to say, with what is due: the merged watermark, idleness, the end, a barrier. Its state is (more, after,
 * sent_wm_us, sent_idle, must_say, aligning, barrier_due, ended). */
#include "runtime/instance.h"
#include "base/alloc.h"
#include "runtime/job_private.h"
#include "runtime/restore.h"

#define STREAK_MAX \
    8u /* messages in a row from the channel that is furthest behind, before another gets a turn */

static int host_emit(struct leat__ctx *ctx, uint32_t port, struct leat_batch *batch)
{
    return leat__instance_emit(ctx->host, port, batch);
}

static int64_t host_now_us(const struct leat__ctx *ctx)
{
    return ctx->env->wall_us(ctx->env);
}

static int host_forward(struct leat__ctx *ctx, int64_t watermark_us)
{
    struct leat_instance *inst = ctx->host;
    inst->forwarded_us = watermark_us;
    return leat__instance_send_watermark(inst, watermark_us);
}

static const struct leat_ctx_api host_api = {
    .emit = host_emit, .now_us = host_now_us, .forward = host_forward
};

/* Whether it has rows on the way, and forwards watermarks itself (topology/operator.h). */
static bool holds(const struct leat_instance *inst)
{
    return inst->op && inst->op->op_class->holds;
}

static bool is_woken(const struct leat_instance *inst)
{
    return inst->ctx.woken && __atomic_load_n(inst->ctx.woken, __ATOMIC_SEQ_CST);
}

int leat__instance_init(struct leat_instance *inst, struct leat_worker *worker,
    const struct leat_plan_node *plan, uint32_t subtask)
{
    inst->worker = worker;
    inst->plan = plan;
    inst->sent_wm_us = inst->forwarded_us = LEAT_TIME_MIN;
    inst->counters.watermark_us = LEAT_TIME_MIN;
    inst->ctx = (struct leat__ctx){ .api = &host_api,
        .host = inst,
        .node = plan->node,
        .subtask = subtask,
        .parallelism = plan->parallelism,
        .env = worker->env,
        .pool = worker->pool,
        .state = worker->state,
        .waker = worker->waker,
        .counters = &inst->counters,
        .error = &inst->error,
        .watermark_us = LEAT_TIME_MIN,
        .wake_us = LEAT_TIME_MAX };
    inst->ctx.user.engine = &inst->ctx;
    for (uint32_t i = 0; i < LEAT_NODE_INPUTS_MAX; i++)
        inst->ctx.input_watermark_us[i] = LEAT_TIME_MIN;
    return 0;
}

static int open_merges(struct leat_instance *inst)
{
    const uint32_t inputs = inst->plan->node->inputs_count;
    inst->input_merges = leat__calloc(inputs, sizeof *inst->input_merges);
    if (!inst->input_merges || leat__wm_init(&inst->merge, inputs) < 0)
        return LEAT_ENOMEM;
    for (uint32_t input = 0; input < inputs; input++) {
        uint32_t parts = 0;
        for (uint32_t i = 0; i < inst->inputs_count; i++)
            if (inst->inputs[i]->input == input)
                inst->inputs[i]->part = parts++;
        LEAT_TRY(leat__wm_init(&inst->input_merges[input], parts));
        const struct leat_plan *plan = inst->worker->job->plan;
        const struct leat_plan_edge *edge = &plan->edges[inst->plan->edges_in[input]];
        inst->input_merges[input].together = plan->nodes[edge->from].hears_alike;
    }
    return 0;
}

static void merge_input(struct leat_instance *inst, uint32_t input);

int leat__instance_open(struct leat_instance *inst)
{
    const struct leat_node *node = inst->plan->node;
    for (uint32_t i = 0; i < inst->outs_count; i++)
        LEAT_TRY(leat__out_edge_open(&inst->outs[i], inst));
    if (node->kind == LEAT_NODE_SOURCE)
        return leat__source_host_new(inst, leat__worker_splits(inst->worker, node));
    LEAT_TRY(open_merges(inst));
    const bool restored = inst->worker->job->restored != NULL;
    if (restored)
        leat__restore_watermarks(inst);
    for (uint32_t input = 0; input < inst->merge.count; input++)
        if (inst->input_merges[input].ended)
            merge_input(inst, input); /* a single subtask feeds another worker: nothing will come here */
    if (node->kind == LEAT_NODE_SINK) {
        const struct leat_sink_class *sink_class = leat__worker_sink_class(inst->worker, node);
        inst->sink = leat__calloc(1, sink_class->size);
        if (!inst->sink)
            return LEAT_ENOMEM;
        inst->sink->sink_class = sink_class;
        inst->sink->node = node;
        if (sink_class->transact)
            LEAT_TRY(leat__outbox_open(&inst->ctx, inst->worker->job->spool_dir));
        LEAT_TRY(sink_class->open(inst->sink, &inst->ctx));
        return restored ? leat__restore_class(inst) : 0;
    }
    inst->op = leat__calloc(1, node->op->size);
    if (!inst->op)
        return LEAT_ENOMEM;
    inst->op->op_class = node->op;
    inst->op->node = node;
    if (node->op->init)
        LEAT_TRY(node->op->init(inst->op, &inst->ctx));
    return restored ? leat__restore_class(inst) : 0;
}

void leat__instance_release(struct leat_instance *inst)
{
    if (inst->op && inst->op->op_class->release)
        inst->op->op_class->release(inst->op, &inst->ctx);
    if (inst->sink) {
        inst->sink->sink_class->close(inst->sink, &inst->ctx);
        leat__outbox_close(&inst->ctx);
    }
    leat__free(inst->op);
    leat__free(inst->sink);
    leat__source_host_free(inst->source);
    for (uint32_t i = 0; i < inst->outs_count; i++)
        leat__out_edge_release(&inst->outs[i]);
    leat__free(inst->outs);
    leat__free(inst->inputs);
    for (uint32_t i = 0; inst->input_merges && i < inst->merge.count; i++)
        leat__wm_release(&inst->input_merges[i]);
    leat__free(inst->input_merges);
    leat__wm_release(&inst->merge);
    leat__ctx_release(&inst->ctx);
}

bool leat__instance_has_room(struct leat_instance *inst)
{
    for (uint32_t i = 0; i < inst->outs_count; i++)
        for (uint32_t c = 0; c < inst->outs[i].channels_count; c++)
            if (!leat__channel_has_room(inst->outs[i].channels[c]))
                return false;
    return true;
}

/* Whether on_time is due; never while a barrier is being aligned: what it says would belong to neither side
 * (but to the older one, where rows were on the way). */
static bool is_time(const struct leat_instance *inst)
{
    return inst->ctx.wake_us <= inst->worker->wall_us && inst->op && (inst->aligning == 0 || holds(inst));
}

int64_t leat__instance_wake_us(const struct leat_instance *inst)
{
    return (inst->aligning == 0 || holds(inst)) && !inst->ended ? inst->ctx.wake_us : LEAT_TIME_MAX;
}

static bool has_work(struct leat_instance *inst)
{
    if (inst->source)
        return leat__source_host_is_ready(inst->source, inst->worker->wall_us);
    if ((inst->more && !inst->waits) || is_woken(inst) || is_time(inst))
        return true;
    if (inst->waits)
        return false;
    for (uint32_t i = 0; i < inst->inputs_count; i++)
        if (leat__channel_has_message(inst->inputs[i]) && !leat__barrier_holds(inst, inst->inputs[i]))
            return true;
    return false;
}

bool leat__instance_is_runnable(struct leat_instance *inst, int64_t now_ns)
{
    if (inst->ended || !has_work(inst))
        return false;
    if (!leat__instance_has_room(inst)) {
        if (inst->blocked_since_ns == 0)
            inst->blocked_since_ns = now_ns;
        return false;
    }
    return true;
}

/* The channel to serve: the one that is furthest behind in event time, which keeps the state of joins small;
 * but none starves. */
static struct leat_channel *pick_channel(struct leat_instance *inst)
{
    uint32_t best = inst->inputs_count;
    int64_t best_us = 0;
    const bool rotate = inst->input_streak >= STREAK_MAX;
    for (uint32_t k = 1; k <= inst->inputs_count; k++) {
        const uint32_t i = (inst->input_last + k) % inst->inputs_count;
        struct leat_channel *channel = inst->inputs[i];
        if (!leat__channel_has_message(channel) || leat__barrier_holds(inst, channel))
            continue;
        const int64_t wm_us = inst->input_merges[channel->input].parts[channel->part].wm_us;
        if (best == inst->inputs_count || wm_us < best_us) {
            best = i;
            best_us = wm_us;
        }
        if (rotate)
            break;
    }
    if (best == inst->inputs_count)
        return NULL;
    inst->input_streak = best == inst->input_last ? inst->input_streak + 1 : 0;
    inst->input_last = best;
    return inst->inputs[best];
}

static int note_result(struct leat_instance *inst, int result)
{
    if (result < 0)
        return result;
    inst->more = result != 0;
    inst->waits = result == LEAT_WAIT;
    LEAT_ASSERT(!inst->more || inst->op || inst->sink->sink_class->step);
    LEAT_ASSERT(!inst->waits || inst->sink || holds(inst));
    return 0;
}

static int deliver_batch(struct leat_instance *inst, uint32_t input, struct leat_batch *batch)
{
    LEAT_ASSERT(batch->count > 0);
    leat__count(&inst->counters.records_in, batch->count);
    if (inst->sink)
        return note_result(inst, inst->sink->sink_class->on_batch(inst->sink, &inst->ctx, batch));
    return note_result(inst, inst->op->op_class->on_batch(inst->op, &inst->ctx, input, batch));
}

/* Brings an input's state into the merge over the inputs. */
static void merge_input(struct leat_instance *inst, uint32_t input)
{
    const struct leat_wm_merge *from = &inst->input_merges[input];
    LEAT_ASSERT(from->merged_us >= inst->ctx.input_watermark_us[input]);
    inst->ctx.input_watermark_us[input] = from->merged_us;
    if (from->awaited_count > 0)
        return; /* restored: some channels are still to be heard */
    if (from->ended) { /* not by way of its watermark, which would be the minimum beside idle inputs */
        (void)leat__wm_end(&inst->merge, input);
        return;
    }
    if (from->merged_us > LEAT_TIME_MIN || inst->merge.parts[input].awaited)
        (void)leat__wm_advance(&inst->merge, input, from->merged_us);
    if (from->idle)
        (void)leat__wm_set_idle(&inst->merge, input);
    else
        (void)leat__wm_set_active(&inst->merge, input);
}

static int on_watermark(struct leat_instance *inst, int64_t wm_us)
{
    LEAT_ASSERT(wm_us > inst->sent_wm_us);
    inst->ctx.watermark_us = wm_us;
    inst->after = LEAT_AFTER_WATERMARK;
    if (inst->sink)
        return inst->sink->sink_class->on_watermark
            ? inst->sink->sink_class->on_watermark(inst->sink, &inst->ctx, wm_us)
            : 0;
    const struct leat_op_class *op_class = inst->op->op_class;
    return op_class->on_watermark ? note_result(inst, op_class->on_watermark(inst->op, &inst->ctx, wm_us))
                                  : 0;
}

/* Has the outside system take what the sink is writing to it; it may have more to do then. */
static int flush_sink(struct leat_instance *inst)
{
    if (!inst->sink || !inst->sink->sink_class->flush)
        return 0;
    return note_result(inst, inst->sink->sink_class->flush(inst->sink, &inst->ctx));
}

static int on_end(struct leat_instance *inst)
{
    inst->after = LEAT_AFTER_END;
    if (inst->sink)
        return flush_sink(inst);
    if (inst->stopped || inst->end_told || !inst->op || !inst->op->op_class->on_end)
        return 0;
    return note_result(inst, inst->op->op_class->on_end(inst->op, &inst->ctx));
}

static int finish_after(struct leat_instance *inst)
{
    const enum leat_after after = inst->after;
    inst->after = LEAT_AFTER_NOTHING;
    if (after == LEAT_AFTER_WATERMARK) {
        inst->sent_wm_us = inst->ctx.watermark_us;
        return holds(inst) ? 0 : leat__instance_send_watermark(inst, inst->sent_wm_us);
    }
    inst->ended = true;
    return leat__instance_send_end(inst, inst->stopped);
}

static bool all_channels_ended(const struct leat_instance *inst)
{
    for (uint32_t i = 0; i < inst->inputs_count; i++)
        if (!inst->inputs[i]->ended)
            return false;
    return true;
}

/* What a restored instance had said. */
static int say_again(struct leat_instance *inst)
{
    if (!holds(inst))
        return leat__instance_send_active(inst, inst->sent_wm_us);
    if (inst->sent_wm_us != LEAT_TIME_MIN)
        LEAT_TRY(note_result(inst, inst->op->op_class->on_watermark(inst->op, &inst->ctx, inst->sent_wm_us)));
    /* Who follows waits to hear of everybody, were it that there is nothing to be told. */
    const bool is_silent = inst->forwarded_us == LEAT_TIME_MIN && !inst->more && !inst->ctx.holding;
    return is_silent ? leat__instance_send_active(inst, LEAT_TIME_MIN) : 0;
}

static int settle(struct leat_instance *inst)
{
    while (!inst->more && !inst->ended) {
        if (inst->after != LEAT_AFTER_NOTHING) {
            LEAT_TRY(finish_after(inst));
        } else if (inst->must_say && inst->merge.awaited_count == 0) {
            inst->must_say = false;
            if (inst->merge.merged_us <= inst->sent_wm_us) /* else the new one says it */
                LEAT_TRY(say_again(inst));
        } else if (inst->merge.merged_us > inst->sent_wm_us) {
            LEAT_TRY(on_watermark(inst, inst->merge.merged_us));
        } else if (inst->merge.idle != inst->sent_idle && !inst->ctx.holding) {
            inst->sent_idle = inst->merge.idle;
            const int64_t said_us = holds(inst) ? inst->forwarded_us : inst->sent_wm_us;
            LEAT_TRY(
                inst->sent_idle ? leat__instance_send_idle(inst) : leat__instance_send_active(inst, said_us));
        } else if (all_channels_ended(inst)) {
            LEAT_TRY(on_end(inst));
        } else if (leat__barrier_is_aligned(inst)) {
            LEAT_TRY(flush_sink(inst));
            if (!inst->more)
                LEAT_TRY(leat__barrier_pass(inst));
        } else {
            break;
        }
    }
    return inst->ended && inst->barrier_due ? leat__barrier_pass(inst) : 0;
}

static int receive(struct leat_instance *inst, struct leat_channel *channel)
{
    struct leat_wm_merge *merge = &inst->input_merges[channel->input];
    struct leat_message message;
    if (!leat__channel_receive(channel, &message))
        return 0;
    if (channel->remote)
        leat__worker_touch(inst->worker, channel->producer);
    switch (message.kind) {
    case LEAT_MESSAGE_BATCH:
        if (leat__wm_set_active(merge, channel->part))
            merge_input(inst, channel->input);
        LEAT_TRY(deliver_batch(inst, channel->input, message.batch));
        break;
    case LEAT_MESSAGE_WATERMARK: /* the last one is the end already: see merge_input */
        if (message.value == LEAT_TIME_MAX ? leat__wm_end(merge, channel->part)
                                           : leat__wm_advance(merge, channel->part, message.value))
            merge_input(inst, channel->input);
        break;
    case LEAT_MESSAGE_IDLE:
        if (leat__wm_set_idle(merge, channel->part))
            merge_input(inst, channel->input);
        break;
    case LEAT_MESSAGE_END:
        channel->ended = true;
        inst->stopped = inst->stopped || message.value;
        if (!message.value && leat__wm_end(merge, channel->part))
            merge_input(inst, channel->input);
        break;
    case LEAT_MESSAGE_BARRIER:
        leat__barrier_note(inst, channel, (uint64_t)message.value);
        break;
    }
    return settle(inst);
}

static int step(struct leat_instance *inst)
{
    return inst->sink ? inst->sink->sink_class->step(inst->sink, &inst->ctx)
                      : inst->op->op_class->step(inst->op, &inst->ctx);
}

int leat__instance_run(struct leat_instance *inst, int64_t now_ns)
{
    if (inst->blocked_since_ns) {
        const int64_t blocked_ns = now_ns - inst->blocked_since_ns;
        leat__count(&inst->counters.backpressured_ns, (uint64_t)blocked_ns);
        inst->blocked_since_ns = 0;
        if (inst->source)
            leat__source_host_unblocked(inst->source, blocked_ns);
    }
    if (inst->source) {
        LEAT_TRY(leat__source_host_run(inst->source, now_ns));
        return 1;
    }
    if ((inst->more && !inst->waits) || is_woken(inst)) {
        LEAT_TRY(note_result(inst, step(inst)));
        LEAT_TRY(settle(inst));
        return 1;
    }
    if (is_time(inst)) {
        inst->ctx.wake_us = LEAT_TIME_MAX;
        LEAT_TRY(note_result(inst, inst->op->op_class->on_time(inst->op, &inst->ctx, inst->worker->wall_us)));
        LEAT_TRY(settle(inst));
        return 1;
    }
    struct leat_channel *channel = inst->waits ? NULL : pick_channel(inst);
    if (!channel)
        return 0;
    LEAT_TRY(receive(inst, channel));
    return 1;
}
