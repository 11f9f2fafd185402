/* runtime/emit.c -- from an output port to the consumers' channels.
 *
 * Forward and gather edges hand the batch itself over. A fan-out gives each consumer a reference: the rows
 * are then read-only. A hash exchange copies rows (not strings: the new batch takes references to the buffers
 * that they show) into one batch per destination and gathers there until a batch is full, has waited long, or
 * order demands it:
 *   - a watermark may be overtaken by rows that come after it, where they are above it; so it waits in
 * pending_wm_us;
 *   - rows at or behind it may not: it goes first;
 *   - nor may late rows: everything gathered and the watermark go first, then the late rows on their own;
 *   - idleness, barriers and the end stay behind all that was sent before them.
 * On an edge that combines (topology/combine.h) rows go into the combiner instead, and what it makes of them is
 * gathered when the edge is flushed: so the rules above hold for it as they are. Rows that are late, or behind what
 * was told, and those that the combiner does not want, go as they are, behind all that was combined before.
 *
 * Invariant: rows that were gathered before others of the combiner are older than they; so a destination's rows are
 * in the order in which they came, but for those that were combined into one. */
#include "base/alloc.h"
#include "base/hash.h"
#include "runtime/instance.h"
#include "runtime/worker.h"

#define LINGER_NS INT64_C(5000000) /* rows wait at most this long for a batch to fill */
#define GATHER_BATCHES 4u /* a watermark waits behind at most about this many batches per destination */

/* A key callback gets a context of its own: the operator that emits may be in the middle of a call of other
 * user code. */
static int open_key_ctx(struct leat_out_edge *edge, const struct leat_instance *inst)
{
    edge->key_ctx = leat__calloc(1, sizeof *edge->key_ctx);
    if (!edge->key_ctx)
        return LEAT_ENOMEM;
    *edge->key_ctx = inst->ctx;
    edge->key_ctx->user.engine = edge->key_ctx;
    return 0;
}

/* Rows that are combined before the edge is flushed, in batches that as many rows would have made: the watermark
 * waits for them. */
#define COMBINED_BATCHES 16u

static int open_combiner(struct leat_out_edge *edge, const struct leat_instance *inst)
{
    const struct leat_node *to = inst->worker->plan->nodes[edge->plan->to].node;
    const struct leat_combine_class *combine_class = to->op->combine;
    const uint32_t rows = leat__pool_batch_rows(inst->ctx.pool, to->inputs[0].from->outputs[0].type);
    edge->combine_ctx = leat__calloc(1, sizeof *edge->combine_ctx);
    edge->combiner = leat__calloc(1, combine_class->size);
    if (!edge->combine_ctx || !edge->combiner)
        return LEAT_ENOMEM;
    *edge->combine_ctx = inst->ctx;
    edge->combine_ctx->user.engine = edge->combine_ctx;
    edge->combine_ctx->node = to;
    *edge->combiner = (struct leat_combiner){ .combine_class = combine_class,
        .node = to,
        .always = edge->plan->combines == LEAT_PRE_AGGREGATE_ALWAYS };
    return combine_class->init(
        edge->combiner, edge->combine_ctx, GATHER_BATCHES * rows * edge->channels_count);
}

int leat__out_edge_open(struct leat_out_edge *edge, const struct leat_instance *inst)
{
    edge->pending_wm_us = edge->told_wm_us = LEAT_TIME_MIN;
    if (edge->plan->partitioning != LEAT_HASH)
        return 0;
    LEAT_TRY(leat__key_scratch_new(&edge->keys));
    if (leat__key_is_fn(edge->plan->key))
        LEAT_TRY(open_key_ctx(edge, inst));
    if (!edge->plan->exchange)
        return 0;
    edge->building = leat__calloc(edge->channels_count, sizeof *edge->building);
    edge->shared = leat__calloc(edge->channels_count, sizeof *edge->shared);
    if (!edge->building || !edge->shared)
        return LEAT_ENOMEM;
    return edge->plan->combines ? open_combiner(edge, inst) : 0;
}

void leat__out_edge_release(struct leat_out_edge *edge)
{
    for (uint32_t i = 0; edge->building && i < edge->channels_count; i++)
        leat__batch_release(edge->building[i]);
    leat__free(edge->building);
    leat__free(edge->shared);
    leat__free(edge->channels);
    if (edge->key_ctx)
        leat__ctx_release(edge->key_ctx);
    leat__free(edge->key_ctx);
    if (edge->combiner && edge->combiner->combine_class)
        edge->combiner->combine_class->release(edge->combiner, edge->combine_ctx);
    if (edge->combine_ctx)
        leat__ctx_release(edge->combine_ctx);
    leat__free(edge->combiner);
    leat__free(edge->combine_ctx);
    leat__key_scratch_free(edge->keys);
}

static int send(struct leat_instance *inst, struct leat_channel *channel, struct leat_message message)
{
    if (channel->remote)
        leat__worker_touch(inst->worker, channel->consumer);
    if (leat__channel_send(channel, message) < 0)
        return leat__fail(&inst->ctx, LEAT_ENOMEM, "out of memory for a message to another subtask");
    return 0;
}

static int send_to_all(struct leat_instance *inst, struct leat_out_edge *edge, struct leat_message message)
{
    for (uint32_t i = 0; i < edge->channels_count; i++)
        LEAT_TRY(send(inst, edge->channels[i], message));
    return 0;
}

static int gather_row(struct leat_instance *inst, struct leat_out_edge *edge, uint32_t to,
    const struct leat_batch *from, uint32_t row)
{
    struct leat_batch *batch = edge->building[to];
    if (batch && batch->type != from->type) { /* records, and then what was combined */
        edge->building[to] = NULL;
        edge->shared[to] = NULL;
        LEAT_TRY(send(inst, edge->channels[to], (struct leat_message){ LEAT_MESSAGE_BATCH, batch, 0 }));
        batch = NULL;
    }
    if (!batch) {
        if (leat__batch_get(inst->ctx.pool, from->type, &batch) < 0)
            return leat__fail(&inst->ctx, LEAT_ENOMEM, "out of memory for a batch");
        edge->building[to] = batch;
        leat__batch_copy_marks(batch, from);
    }
    if (edge->shared[to] != from) {
        if (leat__batch_share(batch, from) < 0)
            return leat__fail(&inst->ctx, LEAT_ENOMEM, "out of memory for a batch");
        edge->shared[to] = from;
    }
    const uint32_t at = batch->count++;
    memcpy(leat_batch_at(batch, at), leat_batch_at(from, row), from->stride);
    batch->event_us[at] = from->event_us[row];
    batch->key_hash[at] = from->key_hash[row];
    leat__batch_set_change(batch, at, leat__batch_change(from, row));
    if (batch->count < batch->capacity)
        return 0;
    edge->building[to] = NULL;
    edge->shared[to] = NULL;
    return send(inst, edge->channels[to], (struct leat_message){ LEAT_MESSAGE_BATCH, batch, 0 });
}

/* Gathers the rows of a batch, each for the one that owns its key. */
static int gather_rows(
    struct leat_instance *inst, struct leat_out_edge *edge, const struct leat_batch *batch, uint32_t first)
{
    const uint32_t groups = inst->worker->plan->max_parallelism;
    int result = 0;
    for (uint32_t i = first; result == 0 && i < batch->count; i++) {
        const uint32_t group = leat__key_group(batch->key_hash[i], groups);
        result = gather_row(inst, edge, leat__key_group_owner(group, groups, edge->channels_count), batch, i);
    }
    for (uint32_t i = 0; i < edge->channels_count; i++)
        edge->shared[i] = NULL; /* the address may come again for other rows */
    return result;
}

/* What is in the combiner is gathered. */
static int take_combined(struct leat_instance *inst, struct leat_out_edge *edge)
{
    struct leat_combiner *combiner = edge->combiner;
    struct leat_batch *batch;
    while (combiner && combiner->rows > 0) {
        LEAT_TRY(combiner->combine_class->take(combiner, edge->combine_ctx, &batch));
        const int result = gather_rows(inst, edge, batch, 0);
        leat__batch_release(batch);
        LEAT_TRY(result);
    }
    return 0;
}

/* Sends the rows gathered for each destination, then the watermark that waits behind them. */
static int flush_edge(struct leat_instance *inst, struct leat_out_edge *edge)
{
    LEAT_TRY(take_combined(inst, edge));
    for (uint32_t i = 0; edge->building && i < edge->channels_count; i++) {
        struct leat_batch *batch = edge->building[i];
        if (!batch)
            continue;
        edge->building[i] = NULL;
        edge->shared[i] = NULL;
        LEAT_TRY(send(inst, edge->channels[i], (struct leat_message){ LEAT_MESSAGE_BATCH, batch, 0 }));
    }
    if (edge->pending_wm_us > LEAT_TIME_MIN) {
        const int64_t wm_us = edge->pending_wm_us;
        edge->pending_wm_us = LEAT_TIME_MIN;
        LEAT_TRY(send_to_all(inst, edge, (struct leat_message){ LEAT_MESSAGE_WATERMARK, NULL, wm_us }));
    }
    edge->gathering_since_ns = 0;
    edge->gathered_rows = 0;
    return 0;
}

/* Sets key_hash; refused rows (of a key callback) are taken out by the node's policy. *keys: NULL where some were.
 * Rows for which an expression fails go on, as if their hash were 0: they meet the policy of the node whose key it is,
 * which finds them again. */
static int hash_keys(struct leat_instance *inst, struct leat_out_edge *edge, struct leat_batch *batch,
    const struct leat_sv **keys)
{
    struct leat__ctx *ctx = edge->key_ctx;
    const uint32_t count = batch->count;
    if (ctx) {
        ctx->watermark_us = inst->ctx.watermark_us;
        leat__ctx_begin(ctx, batch, NULL);
    }
    if (leat__key_eval(edge->plan->key, edge->keys, ctx ? &ctx->user : NULL, batch, keys) < 0)
        return leat__fail(&inst->ctx, LEAT_ENOMEM, "out of memory for keys");
    leat__key_hash(*keys, batch);
    const int result = ctx ? leat__ctx_end(ctx, batch, batch) : 0;
    if (batch->count != count || leat__key_bad_rows(edge->keys) > 0)
        *keys = NULL;
    return result;
}

/* Whether a row must not overtake the watermark that waits: one that is late without a mark, of a split that
 * was idle while the others went on. */
static bool has_row_behind(const struct leat_batch *batch, int64_t wm_us)
{
    bool behind = false;
    for (uint32_t i = 0; i < batch->count; i++)
        behind |= batch->event_us[i] <= wm_us;
    return behind;
}

/* The rows as they are. What was combined goes before them. */
static int gather(
    struct leat_instance *inst, struct leat_out_edge *edge, const struct leat_batch *batch, uint32_t first)
{
    const uint64_t rows_max =
        (uint64_t)GATHER_BATCHES * leat__pool_batch_rows(inst->ctx.pool, batch->type) * edge->channels_count;
    const bool is_behind = edge->pending_wm_us > LEAT_TIME_MIN && has_row_behind(batch, edge->pending_wm_us);
    if (batch->late || is_behind || (edge->combiner && edge->combiner->rows > 0))
        LEAT_TRY(flush_edge(inst, edge));
    if (edge->gathering_since_ns == 0)
        edge->gathering_since_ns = inst->worker->now_ns;
    LEAT_TRY(gather_rows(inst, edge, batch, first));
    edge->gathered_rows += batch->count - first;
    return batch->late || edge->gathered_rows >= rows_max ? flush_edge(inst, edge) : 0;
}

/* Combines rows of the batch: how many from the first on, or an error. */
static int64_t combine(struct leat_instance *inst, struct leat_out_edge *edge, const struct leat_batch *batch,
    const struct leat_sv *keys)
{
    struct leat_combiner *combiner = edge->combiner;
    const uint64_t rows_max = (uint64_t)COMBINED_BATCHES * GATHER_BATCHES *
        leat__pool_batch_rows(inst->ctx.pool, batch->type) * edge->channels_count;
    uint32_t done = 0;
    if (batch->late || !keys || (edge->told_wm_us > LEAT_TIME_MIN && has_row_behind(batch, edge->told_wm_us)))
        return 0;
    edge->combine_ctx->watermark_us = inst->ctx.watermark_us;
    while (done < batch->count) {
        const int64_t added = combiner->combine_class->add(combiner, edge->combine_ctx, batch, keys, done);
        if (added <= 0)
            return added < 0 ? added : done;
        if (edge->gathering_since_ns == 0)
            edge->gathering_since_ns = inst->worker->now_ns;
        done += (uint32_t)added;
        edge->gathered_rows += (uint64_t)added;
        if (combiner->is_full || edge->gathered_rows >= rows_max)
            LEAT_TRY(flush_edge(inst, edge));
    }
    return done;
}

/* Takes the batch. */
static int exchange(struct leat_instance *inst, struct leat_out_edge *edge, struct leat_batch *batch,
    const struct leat_sv *keys)
{
    int64_t result = edge->combiner ? combine(inst, edge, batch, keys) : 0;
    if (result >= 0 && result < batch->count)
        result = gather(inst, edge, batch, (uint32_t)result);
    leat__batch_release(batch);
    return result < 0 ? (int)result : 0;
}

/* Slices of one batch never overlap: the hashes of a slice that nobody else has may be written although the
 * other slices live. Taking rows out, as only key callbacks do, is for whole batches. */
static bool must_copy(const struct leat_out_edge *edge, const struct leat_batch *batch)
{
    return edge->key_ctx || __atomic_load_n(&batch->refs, __ATOMIC_ACQUIRE) > 1;
}

/* Gives the batch (one reference) to one edge. Hashing writes into it and may take rows out, which must not
 * show where it is shared: by another edge, or by a consumer of a node before this one that passed it on. */
static int emit_to_edge(struct leat_instance *inst, struct leat_out_edge *edge, struct leat_batch *batch)
{
    if (edge->plan->partitioning == LEAT_HASH) {
        if (must_copy(edge, batch) && leat__batch_writable(inst->ctx.pool, batch, &batch) < 0)
            return leat__fail(&inst->ctx, LEAT_ENOMEM, "out of memory for a batch");
        const struct leat_sv *keys;
        const int result = hash_keys(inst, edge, batch, &keys);
        if (result < 0 || batch->count == 0) {
            leat__batch_release(batch);
            return result;
        }
        if (edge->plan->exchange)
            return exchange(inst, edge, batch, keys);
    }
    if (edge->plan->partitioning == LEAT_BROADCAST) {
        for (uint32_t i = 1; i < edge->channels_count; i++) {
            leat__batch_ref(batch);
            const int result =
                send(inst, edge->channels[i], (struct leat_message){ LEAT_MESSAGE_BATCH, batch, 0 });
            if (result < 0) {
                leat__batch_release(batch);
                return result;
            }
        }
    }
    return send(inst, edge->channels[0], (struct leat_message){ LEAT_MESSAGE_BATCH, batch, 0 });
}

int leat__instance_emit(struct leat_instance *inst, uint32_t port, struct leat_batch *batch)
{
    uint32_t consumers = 0;
    if (batch->count == 0) {
        leat__batch_release(batch);
        return 0;
    }
    leat__count(&inst->counters.records_out, batch->count);
    for (uint32_t i = 0; i < inst->outs_count; i++)
        consumers += inst->outs[i].plan->port == port;
    for (uint32_t i = 0; i < inst->outs_count; i++) {
        if (inst->outs[i].plan->port != port)
            continue;
        if (--consumers > 0)
            leat__batch_ref(batch);
        const int result = emit_to_edge(inst, &inst->outs[i], batch);
        if (result < 0 && consumers > 0)
            leat__batch_release(batch);
        if (result < 0 || consumers == 0)
            return result;
    }
    leat__batch_release(batch);
    return 0;
}

int leat__instance_send_watermark(struct leat_instance *inst, int64_t wm_us)
{
    __atomic_store_n(&inst->counters.watermark_us, wm_us, __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < inst->outs_count; i++) {
        struct leat_out_edge *edge = &inst->outs[i];
        if (edge->building) {
            LEAT_ASSERT(wm_us > edge->pending_wm_us); /* watermarks only rise */
            edge->pending_wm_us = edge->told_wm_us = wm_us;
            if (edge->gathering_since_ns == 0)
                edge->gathering_since_ns = inst->worker->now_ns;
        } else {
            LEAT_TRY(send_to_all(inst, edge, (struct leat_message){ LEAT_MESSAGE_WATERMARK, NULL, wm_us }));
        }
    }
    return 0;
}

static int flush_and_send(struct leat_instance *inst, struct leat_message message)
{
    for (uint32_t i = 0; i < inst->outs_count; i++) {
        LEAT_TRY(flush_edge(inst, &inst->outs[i]));
        LEAT_TRY(send_to_all(inst, &inst->outs[i], message));
    }
    return 0;
}

int leat__instance_send_idle(struct leat_instance *inst)
{
    return flush_and_send(inst, (struct leat_message){ LEAT_MESSAGE_IDLE, NULL, 0 });
}

int leat__instance_send_active(struct leat_instance *inst, int64_t wm_us)
{
    return flush_and_send(inst, (struct leat_message){ LEAT_MESSAGE_WATERMARK, NULL, wm_us });
}

int leat__instance_send_barrier(struct leat_instance *inst, uint64_t id)
{
    return flush_and_send(inst, (struct leat_message){ LEAT_MESSAGE_BARRIER, NULL, (int64_t)id });
}

int leat__instance_send_end(struct leat_instance *inst, bool stopped)
{
    return flush_and_send(inst, (struct leat_message){ LEAT_MESSAGE_END, NULL, stopped });
}

int leat__instance_flush(struct leat_instance *inst, bool all, int64_t now_ns)
{
    int flushed = 0;
    for (uint32_t i = 0; i < inst->outs_count; i++) {
        struct leat_out_edge *edge = &inst->outs[i];
        if (edge->gathering_since_ns == 0 || (!all && now_ns - edge->gathering_since_ns < LINGER_NS))
            continue;
        LEAT_TRY(flush_edge(inst, edge));
        flushed = 1;
    }
    return flushed;
}
