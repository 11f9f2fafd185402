/* operators/table_join.c -- each record of a stream with what a table says about its key (semantics 33).
 *
 *   as of event time   a stream row waits until the table's watermark has reached its time; then the table says what
 *                      it said at that time. What is late by no more than the retention is joined in the same way:
 *                      the versions for it are still there. A table without event time has one version of each key,
 *                      and its watermark moves once, when its input has ended
 *   as of arrival      the table says what it says now
 *
 * A row that is due when it comes goes straight through; only others go into state (table_join_waiting.c). Either way
 * rows that are due are a batch, `due`: their versions are looked up a chunk at a time, judged by `where`, and given.
 *
 * The watermark that matters is the table's own, which moves without a word while the stream's lags behind. So
 * what has come due is looked for before each batch as well as with each watermark.
 *
 * Late rows of the stream go to the late output where a version for them may be gone. Late rows of the table count
 * from the watermark on (table_join_versions.c).
 *
 * Broadcast: the table's rows come to all instances, the stream's stay where they are. The table is then kept in a
 * state of its own, in memory; a checkpoint has it once (table_join_saved.c). Waiting rows are in the worker's state
 * by key as ever: where they are restored does not matter.
 *
 * Work is bounded: the place is (namespace that fires, row of `due`), and LEAT_MORE is returned.
 *
 * Invariants: (1) pairs are flushed before a call on a state that they may point into; (2) between batches nothing is
 * ready, due or early; (3) all that waits is later than fired_us; LEAT_TIME_MIN is before all times: nobody has spoken. */
#include "base/alloc.h"
#include "base/hash.h"
#include "operators/table_join_private.h"
#include "record/avro.h"

#define CHUNK LEAT__TABLE_JOIN_CHUNK

/* ---- life ---- */

static int table_join_init(struct leat_op *op, struct leat__ctx *ctx)
{
    struct leat__table_join *j = (struct leat__table_join *)op;
    j->spec = op->node->spec;
    j->fired_us = LEAT_TIME_MIN;
    if (leat__key_scratch_new(&j->key_scratch) < 0 ||
        leat__copier_new(leat__input_type(op->node, LEAT__LEFT), &j->copier) < 0)
        return leat__rows_nomem(ctx, "keys");
    LEAT_TRY(leat__join_output_new(&j->spec->join, ctx, &j->output));
    leat__join_output_judged(j->output, true);
    LEAT_TRY(leat__versions_open(j, ctx));
    return j->spec->by_arrival ? 0 : leat__waiting_open(j, ctx);
}

static void table_join_release(struct leat_op *op, struct leat__ctx *ctx)
{
    struct leat__table_join *j = (struct leat__table_join *)op;
    (void)ctx;
    if (j->due != j->in)
        leat__batch_release(j->due);
    leat__batch_release(j->in);
    leat__waiting_close(j);
    leat__versions_close(j);
    leat__join_output_free(j->output);
    leat__key_scratch_free(j->key_scratch);
    leat__copier_free(j->copier);
    leat__encoder_free(j->encoder);
    leat__decoder_free(j->decoder);
    leat__strbuf_release(&j->bytes);
    leat__strbuf_release(&j->rest);
    leat__free(j->own_hashes);
    leat__free(j->picks);
    leat__free(j->spare);
    leat__free(j->spans);
    leat__free(j->times);
    leat__free(j->flags);
    leat__free(j->late);
    leat__free(j->dead);
    leat__free(j->rows);
}

int leat__table_join_reserve(void **memory, uint32_t *capacity, uint32_t count, size_t size)
{
    if (count <= *capacity)
        return 0;
    const uint32_t doubled = *capacity < UINT32_MAX / 2 && 2 * *capacity > count ? 2 * *capacity : count;
    void *grown = leat__realloc(*memory, doubled * size);
    if (!grown)
        return LEAT_ENOMEM;
    *memory = grown;
    *capacity = doubled;
    return 0;
}

int leat__table_join_keys(
    struct leat__table_join *j, struct leat__ctx *ctx, uint32_t side, struct leat_batch **from)
{
    const struct leat_key *key = j->spec->join.keys[side];
    if (j->spec->broadcast && side == LEAT__RIGHT)
        LEAT_TRY(leat__rows_keys_broadcast(ctx, key, j->key_scratch, from, &j->keys));
    else
        LEAT_TRY(leat__rows_keys(ctx, key, j->key_scratch, from, &j->keys));
    const struct leat_batch *batch = *from;
    if (!batch)
        return 0;
    LEAT_TRY(leat__rows_reserve(ctx, &j->picks, &j->picks_capacity, batch->count));
    LEAT_TRY(leat__rows_reserve(ctx, &j->spare, &j->spare_capacity, batch->count));
    j->hashes = batch->key_hash;
    if (!j->spec->broadcast)
        return 0;
    if (leat__table_join_reserve(
            (void **)&j->own_hashes, &j->hashes_capacity, batch->count, sizeof *j->own_hashes) < 0)
        return leat__rows_nomem(ctx, "keys");
    for (uint32_t i = 0; i < batch->count; i++)
        j->own_hashes[i] = j->keys[i].data ? leat__hash(j->keys[i].data, j->keys[i].len) : 0;
    j->hashes = j->own_hashes;
    return 0;
}

/* ---- rows that are due ---- */

/* What the table says of rows at .. to-1: right[], NULL where it says nothing. */
static int look_up(struct leat__table_join *j, struct leat__ctx *ctx, uint32_t to)
{
    uint32_t ask[CHUNK], asked = 0;
    for (uint32_t i = j->at; i < to; i++)
        if (j->keys[j->picks[i]].data)
            ask[asked++] = j->picks[i];
    LEAT_TRY(leat__join_output_flush(j->output, ctx)); /* (1) */
    if (asked > 0 &&
        leat__table_lists(j->versions, 0, j->keys, j->hashes, ask, asked, j->lists, ctx->error) < 0)
        return leat__fail_here(ctx);
    j->spans_of = NULL;
    const struct leat_list_row **list = j->lists;
    for (uint32_t i = j->at; i < to; i++) {
        const uint32_t row = j->picks[i];
        j->right[i - j->at] = NULL;
        if (j->keys[row].data)
            LEAT_TRY(leat__versions_at(j, ctx, *list++, j->due->event_us[row], &j->right[i - j->at]));
    }
    return 0;
}

/* Where the condition does not hold the table says nothing. */
static int judge(struct leat__table_join *j, struct leat__ctx *ctx, uint32_t count)
{
    const void *right[CHUNK];
    uint32_t of[CHUNK], asked = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!j->right[i])
            continue;
        j->left[asked] = leat_batch_at(j->due, j->picks[j->at + i]);
        right[asked] = j->right[i];
        of[asked++] = i;
    }
    if (asked == 0)
        return 0;
    LEAT_TRY(leat__join_matches(j->output, ctx, j->left, right, asked, j->ok));
    for (uint32_t i = 0; i < asked; i++)
        if (!j->ok[i])
            j->right[of[i]] = NULL;
    return 0;
}

static bool has_done_enough(const struct leat__table_join *j)
{
    return *leat__join_output_given(j->output) >= LEAT_OP_BATCHES_PER_CALL;
}

static int join_chunk(struct leat__table_join *j, struct leat__ctx *ctx)
{
    const uint32_t left = j->due_count - j->at, count = left < CHUNK ? left : CHUNK, to = j->at + count;
    const bool keeps_left = j->spec->join.kind == LEAT_JOIN_LEFT;
    uint32_t missed = 0;
    LEAT_TRY(look_up(j, ctx, to));
    if (j->spec->join.where)
        LEAT_TRY(judge(j, ctx, count));
    uint32_t i = 0;
    for (; i < count && !has_done_enough(j); i++) {
        const uint32_t row = j->picks[j->at + i];
        if (!j->right[i] && !keeps_left) {
            missed++;
            continue;
        }
        const struct leat__join_pair pair = { .left = leat_batch_at(j->due, row),
            .right = j->right[i],
            .event_us = j->due->event_us[row],
            .key_hash = j->hashes[row] };
        LEAT_TRY(leat__join_output_pair(j->output, ctx, &pair));
    }
    j->at += i;
    leat__count(&ctx->counters->dropped_records, missed);
    return leat__join_output_flush(j->output, ctx);
}

static int join_due(struct leat__table_join *j, struct leat__ctx *ctx)
{
    while (j->at < j->due_count) {
        if (has_done_enough(j))
            return LEAT_MORE;
        LEAT_TRY(join_chunk(j, ctx));
    }
    leat__batch_release(j->due);
    if (j->due == j->in)
        j->in = NULL;
    j->due = NULL;
    return 0;
}

/* ---- a batch of the stream ---- */

static int give_late(
    struct leat__table_join *j, struct leat__ctx *ctx, const uint32_t *rows, uint32_t count, int64_t w)
{
    const int32_t port = ctx->node->late_ports[LEAT__LEFT];
    struct leat_batch *late;
    leat__count(&ctx->counters->late_records, count);
    if (count == 0 || port < 0 || !leat__ctx_consumed(ctx, (uint32_t)port))
        return 0;
    LEAT_TRY(leat__rows_gather(ctx, j->in, rows, count, &late));
    late->late = 1;
    late->late_wm_us = w;
    return leat__emit(ctx, (uint32_t)port, late);
}

/* Whether the table has not been told of all up to that time. (3) */
static bool must_wait(const struct leat__table_join *j, int64_t event_us)
{
    return !j->spec->by_arrival && (event_us > j->fired_us || j->fired_us == LEAT_TIME_MIN);
}

/* Sorts the batch's rows out: due, waiting, late. */
static int take_stream(struct leat__table_join *j, struct leat__ctx *ctx)
{
    LEAT_TRY(leat__table_join_keys(j, ctx, LEAT__LEFT, &j->in));
    struct leat_batch *in = j->in;
    const struct leat__table_join_spec *spec = j->spec;
    if (!in)
        return 0;
    const int64_t own_w = leat__join_side_watermark(ctx, LEAT__LEFT);
    const int64_t w = in->late && in->late_wm_us > own_w ? in->late_wm_us : own_w;
    uint32_t waiting = 0, late = in->count;
    j->due = in;
    j->due_count = j->at = 0;
    for (uint32_t i = 0; i < in->count; i++) {
        const int64_t event_us = in->event_us[i];
        if (spec->timed && leat__join_is_passed(event_us, w, spec->retention_us))
            j->spare[--late] = i;
        else if (j->keys[i].data && must_wait(j, event_us))
            j->spare[waiting++] = i;
        else
            j->picks[j->due_count++] = i;
    }
    for (uint32_t a = late, b = in->count; a + 1 < b; a++) { /* in their order again */
        const uint32_t row = j->spare[--b];
        j->spare[b] = j->spare[a];
        j->spare[a] = row;
    }
    LEAT_TRY(give_late(j, ctx, j->spare + late, in->count - late, w));
    return waiting ? leat__waiting_add(j, ctx, j->spare, waiting) : 0;
}

/* ---- a batch of the table ---- */

static int take_table(struct leat__table_join *j, struct leat__ctx *ctx)
{
    const int code = leat__versions_apply(j, ctx);
    leat__batch_release(j->in);
    j->in = NULL;
    return code;
}

/* ---- calls ---- */

static int go_on(struct leat__table_join *j, struct leat__ctx *ctx)
{
    int code = 0;
    *leat__join_output_given(j->output) = 0;
    j->keys_seen = 0;
    while (code == 0) {
        if (j->due)
            code = join_due(j, ctx);
        else if (j->is_firing)
            code = leat__waiting_fire(j, ctx);
        else if (j->is_collecting)
            code = leat__versions_collect(j, ctx);
        else if (j->in)
            code = j->side == LEAT__LEFT ? take_stream(j, ctx) : take_table(j, ctx);
        else
            break;
    }
    if (code != 0)
        return code;
    __atomic_store_n(&ctx->counters->state_keys,
        leat__table_keys_count_all(j->versions) + leat__waiting_keys_count(j), __ATOMIC_RELAXED);
    return leat__join_output_end(j->output, ctx);
}

/* What has come due since it was looked for last. */
static void begin_firing(struct leat__table_join *j, const struct leat__ctx *ctx)
{
    const int64_t w = leat__join_side_watermark(ctx, LEAT__RIGHT);
    if (j->spec->by_arrival || w <= j->fired_us)
        return;
    j->fired_us = w;
    j->is_firing = true;
    j->part_done = false;
}

static int table_join_on_batch(
    struct leat_op *op, struct leat__ctx *ctx, uint32_t input, struct leat_batch *batch)
{
    struct leat__table_join *j = (struct leat__table_join *)op;
    LEAT_ASSERT(input < LEAT__SIDES && !j->in && !j->due && !j->is_firing); /* (2) */
    j->in = batch;
    j->side = input;
    leat__join_output_forwarded(j->output, ctx->watermark_us);
    begin_firing(j, ctx);
    return go_on(j, ctx);
}

/* Rows that fire now are later than the watermark that was forwarded last. */
static int table_join_on_watermark(struct leat_op *op, struct leat__ctx *ctx, int64_t w)
{
    struct leat__table_join *j = (struct leat__table_join *)op;
    begin_firing(j, ctx);
    j->is_collecting = j->spec->timed && w != LEAT_TIME_MAX;
    return go_on(j, ctx);
}

static int table_join_step(struct leat_op *op, struct leat__ctx *ctx)
{
    return go_on((struct leat__table_join *)op, ctx);
}

const struct leat_op_class leat__table_join_class = {
    .kind = "stream-table join",
    .size = sizeof(struct leat__table_join),
    .init = table_join_init,
    .on_batch = table_join_on_batch,
    .on_watermark = table_join_on_watermark,
    .step = table_join_step,
    .snapshot = leat__table_join_snapshot,
    .restore = leat__table_join_restore,
    .release = table_join_release,
};
