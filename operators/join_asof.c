/* operators/join_asof.c -- each left record with the one right record of its key that is nearest in time.
 *
 * Left records wait until nothing nearer can come, which is what the interval join calls closed: no right record up to
 * ts + forward would be taken any more. Then their partner is chosen. Most wait for a short time only: the last batches
 * of them are held as they came (held.c). What is more than that, and all of it at a barrier, goes to a
 * table, and comes back as the interval join's records without a partner do (join_interval_close.c).
 *
 * Right records lie in buckets as wide as the tolerance; one is needed until no left record up to ts + backward can be
 * undecided. Without a tolerance all of a key lie together. Of those in one place that are older than any left record
 * that may come only the newest stays, unless a condition may ask for the others.
 *
 *   closed left records, some at a time, in the order of time:
 *       the buckets in reach, the nearest first; looking backward or forward only, the first that has a record has
 *       the best one. Where another bucket must be asked, what has been chosen is copied: it lies in state
 *       then the pairs, in that order
 *
 * Lateness is that of the interval join: each record is judged by its own side. So the partner depends on the records
 * and their splits alone.
 *
 * Invariants: (1) while closed left records are undecided no right record goes, and nothing is forwarded; (2) a right
 * record that is dropped is the best of no left record that is undecided or may come; (3) between calls nothing that has
 * been chosen is undecided or unwritten. */
#include "base/alloc.h"
#include "operators/held_private.h"
#include "operators/join_interval_private.h"
#include <string.h>

#define BUCKET_US_MIN LEAT_MILLIS(1)
#define BUCKET_US_LEFT LEAT_SECONDS(1) /* of left records where there is no tolerance */
#define CHUNK 256u /* rows that are decided together, at most */
#define BUCKETS_IN_REACH 3u /* at most: two tolerances, and a bucket is no narrower than one */
#define DROPS_PER_CALL 16u

struct asof_spec {
    struct leat__interval_spec interval; /* first. before: backward, after: forward */
    enum leat_asof_direction direction;
    bool is_endless; /* any distance */
};

struct asof {
    struct leat__interval join; /* first */
    struct leat__held held;
    struct leat_batch *due; /* from the table: closed and not decided; or NULL */
    uint32_t due_at;
    struct leat_copier *copiers[LEAT__SIDES];
    struct leat_key_scratch *key_scratch;
    const struct leat_batch *keys_of; /* the batch that is being decided */
    const struct leat_sv *keys;

    /* The chunk: the best right record of each row so far. */
    uint32_t chunk_max;
    int64_t best_us[CHUNK];
    const void *best[CHUNK]; /* or NULL */
    bool in_state[CHUNK]; /* best[] is void after the next call on state */
    struct leat_batch *chosen; /* copies of those that were not to be; or NULL */

    const void **left, **right; /* that `where` is asked about */
    uint8_t *ok;
    uint32_t judged_max;
};

/* Some rows of a batch, sorted by time. */
struct chunk {
    struct leat_batch *batch;
    const uint32_t *rows;
    uint32_t count;
};

static const struct asof_spec *spec_of(const struct asof *a)
{
    return (const struct asof_spec *)a->join.spec;
}

/* ---- what is closed waits to be decided ---- */

static int keep_due(struct leat__interval *j, struct leat__ctx *ctx, uint32_t side, const void *record,
    int64_t event_us, uint64_t hash)
{
    struct asof *a = (struct asof *)j;
    if (side == LEAT__RIGHT)
        return 0; /* came too late to be needed */
    if (!a->due)
        LEAT_TRY(leat__rows_get(ctx, leat__input_type(ctx->node, LEAT__LEFT), &a->due));
    LEAT_ASSERT(a->due->count < a->due->capacity);
    if (leat__copy_push(a->copiers[LEAT__LEFT], a->due, record) < 0)
        return leat__rows_nomem(ctx, "records that are due");
    a->due->event_us[a->due->count - 1] = event_us;
    a->due->key_hash[a->due->count - 1] = hash;
    j->is_full = leat__batch_is_full(a->due);
    return 0;
}

/* ---- choosing ---- */

static uint64_t distance(int64_t a, int64_t b)
{
    return a > b ? (uint64_t)a - (uint64_t)b : (uint64_t)b - (uint64_t)a;
}

/* Whether a right record may be the left one's partner at all. */
static bool is_near(const struct asof_spec *spec, int64_t left_us, int64_t right_us)
{
    if (right_us <= left_us)
        return right_us == left_us || spec->is_endless ||
            (spec->interval.before_us > 0 &&
                distance(left_us, right_us) <= (uint64_t)spec->interval.before_us);
    return spec->interval.after_us > 0 && distance(left_us, right_us) <= (uint64_t)spec->interval.after_us;
}

/* A record that is at least as good as the best so far: of one time the last. */
static void consider(struct asof *a, uint32_t i, int64_t left_us, int64_t right_us, const void *record)
{
    const uint64_t new = distance(left_us, right_us), old = distance(left_us, a->best_us[i]);
    const bool is_better = !a->best[i] || new < old ||
        (new == old &&right_us <= a->best_us[i]); /* of two as far away the earlier one */
    if (!is_better)
        return;
    a->best_us[i] = right_us;
    a->best[i] = record;
    a->in_state[i] = true;
}

static int judge(struct asof *a, struct leat__ctx *ctx, uint32_t i, int64_t left_us,
    const struct leat_list_row *const *others, uint32_t count)
{
    LEAT_TRY(leat__join_matches(a->join.output, ctx, a->left, a->right, count, a->ok));
    for (uint32_t k = 0; k < count; k++)
        if (a->ok[k])
            consider(a, i, left_us, others[k]->event_us, others[k]->record);
    return 0;
}

/* All of a list. */
static int look_at_list(struct asof *a, struct leat__ctx *ctx, const struct chunk *chunk, uint32_t i,
    const struct leat_list_row *other)
{
    const struct leat_list_row **others = a->join.candidates.others;
    const int64_t left_us = chunk->batch->event_us[chunk->rows[i]];
    uint32_t count = 0;
    for (; other; other = other->next) {
        a->join.scanned++;
        if (!is_near(spec_of(a), left_us, other->event_us))
            continue;
        if (!others) {
            consider(a, i, left_us, other->event_us, other->record);
            continue;
        }
        a->left[count] = leat_batch_at(chunk->batch, chunk->rows[i]);
        a->right[count] = other->record;
        others[count++] = other;
        if (count == a->judged_max) {
            LEAT_TRY(judge(a, ctx, i, left_us, others, count));
            count = 0;
        }
    }
    return count ? judge(a, ctx, i, left_us, others, count) : 0;
}

/* The buckets in a record's reach begin with the one of this time, the nearest where it looks one way, and go on into
 * the past (backward) or the future. */
static int64_t base_us(const struct asof *a, int64_t us)
{
    const struct leat__interval_spec *spec = &spec_of(a)->interval;
    return spec_of(a)->direction == LEAT_ASOF_BACKWARD ? leat__add_saturated(us, spec->after_us)
                                                       : leat__sub_saturated(us, spec->before_us);
}

/* Whether the bucket, in that direction, is not behind the last one. */
static bool is_in_reach(const struct asof *a, int64_t us, int64_t bucket)
{
    const struct leat__interval_spec *spec = &spec_of(a)->interval;
    return spec_of(a)->direction == LEAT_ASOF_BACKWARD
        ? bucket >= leat__interval_bucket(spec, leat__sub_saturated(us, spec->before_us))
        : bucket <= leat__interval_bucket(spec, leat__add_saturated(us, spec->after_us));
}

/* What is farther away than this bucket is of no interest. */
static bool is_settled(const struct asof *a, uint32_t i)
{
    return a->best[i] && spec_of(a)->direction != LEAT_ASOF_NEAREST;
}

static bool all_settled(const struct asof *a, uint32_t count)
{
    uint32_t i = 0;
    while (i < count && is_settled(a, i))
        i++;
    return i == count;
}

/* State is about to be called: copies what has been chosen. */
static int keep_chosen(struct asof *a, struct leat__ctx *ctx, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!a->in_state[i])
            continue;
        if (a->chosen &&
            a->chosen->count == a->chosen->capacity) { /* of one row: what it had chosen before */
            LEAT_ASSERT(count == 1);
            leat__batch_release(a->chosen);
            a->chosen = NULL;
        }
        if (!a->chosen)
            LEAT_TRY(leat__rows_get(ctx, leat__input_type(ctx->node, LEAT__RIGHT), &a->chosen));
        if (leat__copy_push(a->copiers[LEAT__RIGHT], a->chosen, a->best[i]) < 0)
            return leat__rows_nomem(ctx, "right records");
        a->best[i] = leat_batch_at(a->chosen, a->chosen->count - 1);
        a->in_state[i] = false;
    }
    return 0;
}

/* Rows of the chunk from `from` on that have the same nth bucket: their best of it. Where the next ones begin. */
static int look_at_bucket(
    struct asof *a, struct leat__ctx *ctx, const struct chunk *chunk, uint32_t nth, uint32_t *from)
{
    const struct leat__interval_spec *spec = &spec_of(a)->interval;
    const bool is_endless = spec_of(a)->is_endless;
    struct leat_table *table = a->join.tables[LEAT__RIGHT];
    const int64_t *times = chunk->batch->event_us;
    uint32_t asked[CHUNK], rows[CHUNK], count = 0;
    const struct leat_list_row *lists[CHUNK];
    int64_t there, bucket = 0, last_us = LEAT_TIME_MAX;
    if (!is_endless) {
        bucket = leat__interval_bucket(spec, base_us(a, times[chunk->rows[*from]]));
        last_us = leat__interval_bucket_last_us(spec, bucket);
        bucket = spec_of(a)->direction == LEAT_ASOF_BACKWARD ? bucket - nth : bucket + nth;
    }
    for (; *from < chunk->count; ++*from) {
        const int64_t us = times[chunk->rows[*from]];
        if (!is_endless && base_us(a, us) > last_us)
            break;
        if (is_settled(a, *from) || (nth > 0 && !is_in_reach(a, us, bucket)))
            continue;
        asked[count] = *from;
        rows[count++] = chunk->rows[*from];
    }
    const int found = count ? leat__table_next_namespace(table, bucket, &there, ctx->error) : 0;
    if (found < 0)
        return leat__fail_here(ctx);
    if (!found || there != bucket)
        return 0;
    LEAT_TRY(keep_chosen(a, ctx, chunk->count));
    if (leat__table_lists(table, bucket, a->keys, chunk->batch->key_hash, rows, count, lists, ctx->error) < 0)
        return leat__fail_here(ctx);
    for (uint32_t i = 0; i < count; i++)
        LEAT_TRY(look_at_list(a, ctx, chunk, asked[i], lists[i]));
    return 0;
}

static int give_pairs(struct asof *a, struct leat__ctx *ctx, const struct chunk *chunk)
{
    for (uint32_t i = 0; i < chunk->count; i++) {
        const uint32_t row = chunk->rows[i];
        const struct leat__join_pair pair = { .left = leat_batch_at(chunk->batch, row),
            .right = a->best[i],
            .event_us = chunk->batch->event_us[row],
            .key_hash = chunk->batch->key_hash[row] };
        if (pair.right || a->join.spec->pairs.kind != LEAT_JOIN_INNER)
            LEAT_TRY(leat__join_output_pair(a->join.output, ctx, &pair));
    }
    LEAT_TRY(leat__join_output_flush(a->join.output, ctx));
    leat__batch_release(a->chosen);
    a->chosen = NULL;
    return 0;
}

static int decide_chunk(struct asof *a, struct leat__ctx *ctx, const struct chunk *chunk)
{
    if (a->keys_of != chunk->batch &&
        leat__key_eval(
            a->join.spec->pairs.keys[LEAT__LEFT], a->key_scratch, &ctx->user, chunk->batch, &a->keys) < 0)
        return leat__rows_nomem(ctx, "keys");
    a->keys_of = chunk->batch;
    memset(a->best, 0, chunk->count * sizeof a->best[0]);
    memset(a->in_state, 0, chunk->count * sizeof a->in_state[0]);
    const uint32_t buckets = spec_of(a)->is_endless ? 1 : BUCKETS_IN_REACH;
    for (uint32_t nth = 0; nth < buckets && !all_settled(a, chunk->count); nth++)
        for (uint32_t from = 0; from < chunk->count;)
            LEAT_TRY(look_at_bucket(a, ctx, chunk, nth, &from));
    return give_pairs(a, ctx, chunk);
}

static bool has_done_enough(const struct asof *a)
{
    return a->join.scanned >= LEAT__JOIN_SCANNED_PER_CALL || *a->join.given >= LEAT_OP_BATCHES_PER_CALL;
}

/* What came from the table. */
static int decide_due(struct asof *a, struct leat__ctx *ctx)
{
    uint32_t rows[CHUNK], spare[CHUNK];
    while (a->due && a->due_at < a->due->count) {
        const uint32_t left = a->due->count - a->due_at, count = left < a->chunk_max ? left : a->chunk_max;
        if (has_done_enough(a))
            return LEAT_MORE;
        for (uint32_t i = 0; i < count; i++)
            rows[i] = a->due_at + i;
        leat__interval_sort(a->due->event_us, rows, spare, count);
        LEAT_TRY(decide_chunk(a, ctx, &(struct chunk){ a->due, rows, count }));
        a->due_at += count;
    }
    if (a->keys_of == a->due)
        a->keys_of = NULL;
    leat__batch_release(a->due);
    a->due = NULL;
    a->due_at = 0;
    a->join.is_full = false;
    return 0;
}

/* All that is due. LEAT_MORE when this call has done enough. */
static int decide(struct asof *a, struct leat__ctx *ctx)
{
    const int64_t closed_us = leat__interval_closed_us(&a->join, ctx, LEAT__LEFT);
    struct chunk chunk;
    int code = decide_due(a, ctx);
    while (code == 0 &&
        leat__held_due(&a->held, closed_us, a->chunk_max, &chunk.batch, &chunk.rows, &chunk.count)) {
        if (has_done_enough(a))
            return LEAT_MORE;
        code = decide_chunk(a, ctx, &chunk);
        if (code == 0 && leat__held_take(&a->held, chunk.count))
            a->keys_of = NULL; /* the batch has gone */
    }
    return code;
}

/* ---- right records that nobody needs ---- */

/* The last time of left records none of which is undecided or may come. */
static int64_t done_us(const struct asof *a, const struct leat__ctx *ctx)
{
    const struct leat__interval *j = &a->join;
    const int64_t decided_us = leat__interval_closed_us(j, ctx, LEAT__LEFT);
    const int64_t w = leat__join_side_watermark(ctx, LEAT__LEFT);
    int64_t late_us = w;
    if (w != LEAT_TIME_MIN && w != LEAT_TIME_MAX)
        late_us = leat__sub_saturated(w, j->spec->lateness_us);
    return late_us < decided_us ? late_us : decided_us;
}

static int drop_right(struct asof *a, struct leat__ctx *ctx)
{
    struct leat__interval *j = &a->join;
    const int64_t until_us = done_us(a, ctx);
    uint32_t drops = DROPS_PER_CALL;
    for (int64_t bucket; !spec_of(a)->is_endless;) {
        const int found =
            leat__table_next_namespace(j->tables[LEAT__RIGHT], LEAT_TIME_MIN, &bucket, ctx->error);
        if (found < 0)
            return leat__fail_here(ctx);
        const int64_t last_us = found ? leat__interval_bucket_last_us(j->spec, bucket) : 0;
        if (!found || leat__add_saturated(last_us, j->spec->before_us) > until_us ||
            until_us == LEAT_TIME_MIN)
            return 0;
        if (drops-- == 0)
            return LEAT_MORE;
        if (leat__table_drop(j->tables[LEAT__RIGHT], bucket, ctx->error) < 0)
            return leat__fail_here(ctx);
    }
    return 0;
}

/* Of the records of a key that are old enough the older ones go: whatever left record may come is nearer to the
 * others. Only the first two of a list are looked at, again and again. `rows` lie in one bucket. */
static int prune(struct asof *a, struct leat__ctx *ctx, int64_t bucket, const uint32_t *rows, uint32_t count)
{
    const struct leat__interval *j = &a->join;
    const int64_t until_us = done_us(a, ctx);
    if (until_us == LEAT_TIME_MIN ||
        j->spec->pairs.where) /* the older one may be the one that satisfies it */
        return 0;
    if (leat__table_prune(
            j->tables[LEAT__RIGHT], bucket, j->keys, j->in->key_hash, rows, count, until_us, ctx->error) < 0)
        return leat__fail_here(ctx);
    return 0;
}

static int append_right(struct asof *a, struct leat__ctx *ctx)
{
    struct leat__interval *j = &a->join;
    const bool is_endless = spec_of(a)->is_endless;
    if (!is_endless)
        LEAT_TRY(leat__interval_append(j, ctx));
    else if (j->rows_count > 0 &&
        leat__table_append(j->tables[LEAT__RIGHT], 0, j->keys, j->in->key_hash, j->rows, j->rows_count, j->in,
            ctx->error) < 0)
        return leat__fail_here(ctx);
    for (uint32_t from = 0, to; from < j->rows_count; from = to) {
        int64_t bucket = 0;
        to = j->rows_count;
        if (!is_endless) {
            bucket = leat__interval_bucket(j->spec, j->in->event_us[j->rows[from]]);
            const int64_t last_us = leat__interval_bucket_last_us(j->spec, bucket);
            for (to = from + 1; to < j->rows_count && j->in->event_us[j->rows[to]] <= last_us; to++)
                ;
        }
        LEAT_TRY(prune(a, ctx, bucket, j->rows + from, to - from));
    }
    return 0;
}

/* What can not be held goes to the table. */
static int append_left(struct asof *a, struct leat__ctx *ctx)
{
    struct leat__interval *j = &a->join;
    bool is_held;
    LEAT_TRY(leat__hold(&a->held, ctx, j->in, j->rows, j->rows_count, &is_held));
    return is_held ? 0 : leat__interval_append(j, ctx);
}

/* ---- the class ---- */

/* What watermarks do. */
static int close(struct asof *a, struct leat__ctx *ctx)
{
    struct leat__interval *j = &a->join;
    uint32_t drops = DROPS_PER_CALL;
    int closing = LEAT_MORE, code = 0;
    while (closing && code == 0) {
        code = decide(a, ctx);
        if (code != 0)
            return code;
        closing = leat__interval_close_side(j, ctx, LEAT__LEFT, &drops);
        if (closing < 0)
            return closing;
        if (closing && !j->is_full)
            return LEAT_MORE;
    }
    code = decide(a, ctx);
    if (code == 0)
        code = drop_right(a, ctx);
    leat__interval_count_keys(j, ctx);
    return code ? code : leat__interval_forward(j, ctx);
}

static int work(struct asof *a, struct leat__ctx *ctx)
{
    struct leat__interval *j = &a->join;
    int code = 0;
    j->scanned = *j->given = 0;
    if (!j->is_taken)
        code = close(a, ctx);
    if (code != 0 || !j->in)
        return code;
    if (!j->is_taken) {
        LEAT_TRY(leat__interval_take(j, ctx));
        if (!j->in)
            return 0;
        LEAT_TRY(leat__join_output_flush(j->output, ctx));
        LEAT_TRY(j->side == LEAT__RIGHT ? append_right(a, ctx) : append_left(a, ctx));
    }
    code = decide(a, ctx);
    if (code != 0)
        return code;
    LEAT_TRY(leat__join_output_end(j->output, ctx));
    leat__batch_release(j->in);
    j->in = NULL;
    j->is_taken = false;
    return 0;
}

static int asof_on_batch(struct leat_op *op, struct leat__ctx *ctx, uint32_t input, struct leat_batch *batch)
{
    struct leat__interval *j = (struct leat__interval *)op;
    LEAT_ASSERT(input < LEAT__SIDES && !j->in);
    j->in = batch;
    j->side = input;
    return work((struct asof *)op, ctx);
}

static int asof_on_watermark(struct leat_op *op, struct leat__ctx *ctx, int64_t w)
{
    (void)w; /* each side's own counts */
    return work((struct asof *)op, ctx);
}

static int asof_step(struct leat_op *op, struct leat__ctx *ctx)
{
    return work((struct asof *)op, ctx);
}

static int asof_init(struct leat_op *op, struct leat__ctx *ctx)
{
    struct asof *a = (struct asof *)op;
    struct leat__interval *j = &a->join;
    LEAT_TRY(leat__interval_init(j, ctx));
    j->keeps[LEAT__LEFT] = true;
    j->give = keep_due;
    leat__join_output_forwarded(j->output, leat__interval_forward_us(j, ctx));
    leat__join_output_judged(j->output, true);
    for (uint32_t side = 0; side < LEAT__SIDES; side++)
        if (leat__copier_new(leat__input_type(ctx->node, side), &a->copiers[side]) < 0)
            return leat__rows_nomem(ctx, "a join");
    if (leat__key_scratch_new(&a->key_scratch) < 0)
        return leat__rows_nomem(ctx, "a join");
    /* A row of a chunk is copied once for each of its buckets but the last. */
    const uint32_t chosen_max =
        leat__pool_batch_rows(ctx->pool, leat__input_type(ctx->node, LEAT__RIGHT)) / 2;
    a->chunk_max = chosen_max == 0 ? 1 : chosen_max < CHUNK ? chosen_max : CHUNK;
    if (!j->spec->pairs.where)
        return 0;
    const uint32_t n = a->judged_max = leat__pool_batch_rows(ctx->pool, &j->spec->pairs.pair_type);
    a->left = leat__calloc(n, sizeof *a->left);
    a->right = leat__calloc(n, sizeof *a->right);
    a->ok = leat__calloc(n, sizeof *a->ok);
    j->candidates.others = leat__calloc(n, sizeof *j->candidates.others);
    return a->left && a->right && a->ok && j->candidates.others ? 0 : leat__rows_nomem(ctx, "pairs");
}

static void asof_release(struct leat_op *op, struct leat__ctx *ctx)
{
    struct asof *a = (struct asof *)op;
    (void)ctx;
    leat__batch_release(a->due);
    leat__batch_release(a->chosen);
    leat__held_release(&a->held);
    for (uint32_t side = 0; side < LEAT__SIDES; side++)
        leat__copier_free(a->copiers[side]);
    leat__key_scratch_free(a->key_scratch);
    leat__free(a->left);
    leat__free(a->right);
    leat__free(a->ok);
    leat__interval_release(&a->join);
}

/* What is held goes to the table, from where it comes back when it is due. */
static int asof_snapshot(struct leat_op *op, struct leat__ctx *ctx, struct leat_strbuf *out)
{
    struct asof *a = (struct asof *)op;
    struct chunk rest;
    while (leat__held_due(&a->held, LEAT_TIME_MAX, UINT32_MAX, &rest.batch, &rest.rows, &rest.count)) {
        LEAT_TRY(leat__interval_append_rows(&a->join, ctx, LEAT__LEFT, rest.batch, rest.rows, rest.count));
        (void)leat__held_take(&a->held, rest.count);
    }
    a->keys_of = NULL;
    return leat__interval_snapshot(op, ctx, out);
}

static const struct leat_op_class asof_class = {
    .kind = "as-of join",
    .size = sizeof(struct asof),
    .holds = true,
    .init = asof_init,
    .on_batch = asof_on_batch,
    .on_watermark = asof_on_watermark,
    .step = asof_step,
    .snapshot = asof_snapshot,
    .restore = leat__interval_restore,
    .release = asof_release,
};

/* ---- declaration ---- */

static const char *const words[] = { "", "backward", "forward", "nearest" };

static void declare_times(struct leat_node *node, const struct leat_asof_join_opts *o, struct asof_spec *spec)
{
    char text[32];
    struct leat__interval_spec *to = &spec->interval;
    spec->direction = o->direction ? o->direction : LEAT_ASOF_BACKWARD;
    if (spec->direction < LEAT_ASOF_BACKWARD || spec->direction > LEAT_ASOF_NEAREST) {
        leat__declare_error(node, "direction", LEAT_EDECLARE,
            "%d is no direction; there are LEAT_ASOF_BACKWARD, _FORWARD and _NEAREST", (int)spec->direction);
        spec->direction = LEAT_ASOF_BACKWARD;
    }
    spec->is_endless = o->tolerance_us == LEAT_NEVER;
    if (o->tolerance_us < 0)
        leat__declare_error(node, "tolerance_us", LEAT_EDECLARE,
            "%s is negative: it is how far away a partner may be, 0 for equal times, LEAT_NEVER for any "
            "distance",
            leat__duration_text(o->tolerance_us, text));
    else if (spec->is_endless && spec->direction != LEAT_ASOF_BACKWARD)
        leat__declare_error(node, "tolerance_us", LEAT_EDECLARE,
            "LEAT_NEVER with a join that looks forward would never come to an end: say how far away a "
            "partner "
            "may be");
    else if (spec->is_endless && o->where)
        leat__declare_error(node, "tolerance_us", LEAT_EDECLARE,
            "LEAT_NEVER together with where would keep all right records for ever: say how far away a "
            "partner "
            "may be");
    if (o->allowed_lateness_us < 0)
        leat__declare_error(node, "allowed_lateness_us", LEAT_EDECLARE,
            "%s is negative: set how far behind its side's watermark a record may still join, or 0",
            leat__duration_text(o->allowed_lateness_us, text));
    to->is_asof = true;
    to->lateness_us = o->allowed_lateness_us;
    to->before_us = spec->direction == LEAT_ASOF_FORWARD ? 0 : o->tolerance_us;
    to->after_us = spec->direction == LEAT_ASOF_BACKWARD ? 0 : o->tolerance_us;
    to->bucket_us = spec->is_endless      ? BUCKET_US_LEFT
        : o->tolerance_us > BUCKET_US_MIN ? o->tolerance_us
                                          : BUCKET_US_MIN;
}

static void declare_pairs(struct leat_node *node, const struct leat_asof_join_opts *o, struct asof_spec *spec)
{
    const struct leat__join_opts pairs = {
        .kind = o->kind,
        .kinds = 1u << LEAT_JOIN_INNER | 1u << LEAT_JOIN_LEFT,
        .left_key = o->left_key,
        .right_key = o->right_key,
        .where = o->where,
        .merge = o->merge,
        .out = o->out,
        .fields = o->fields,
        .fields_max = sizeof o->fields / sizeof o->fields[0],
        .key_as = o->key_as,
    };
    leat__join_declare(node, &pairs, &spec->interval.pairs);
}

leat_stream *leat_asof_join_sized(leat_stream *left, leat_stream *right, const char *name,
    const struct leat_asof_join_opts *opts, size_t size)
{
    struct leat_asof_join_opts o;
    struct leat_node *node = leat__declare(left->t, name, LEAT_NODE_OPERATOR, asof_class.kind);
    leat__input(node, LEAT__LEFT, left, LEAT_FORWARD, NULL);
    leat__input(node, LEAT__RIGHT, right, LEAT_FORWARD, NULL);
    leat__opts_copy(node, &o, sizeof o, opts, size);
    node->op = &asof_class;
    leat__join_has_late(node);
    struct asof_spec *spec = leat__spec(node, sizeof *spec);
    if (!spec || !opts)
        return leat__stream(node, 0);
    node->spec = spec;
    for (uint32_t side = 0; side < LEAT__SIDES; side++)
        leat__need_event_time(node, side);
    declare_times(node, &o, spec);
    declare_pairs(node, &o, spec);
    if (!leat__node_is_inert(node)) {
        char text[32];
        node->detail = leat__join_describe(node, &spec->interval.pairs,
            leat__spec_printf(node, "%s, at most %s away", words[spec->direction],
                spec->is_endless ? "any time" : leat__duration_text(o.tolerance_us, text)));
        spec->interval.formats[LEAT__LEFT] =
            leat__spec_printf(node, "v1; buckets of %lld us; undecided", (long long)spec->interval.bucket_us);
        spec->interval.formats[LEAT__RIGHT] = spec->is_endless
            ? "v1; all of a key"
            : leat__spec_printf(node, "v1; buckets of %lld us", (long long)spec->interval.bucket_us);
    }
    return leat__stream(node, 0);
}
