/* operators/join_interval.c -- pairs of records of two streams with equal keys and near times.
 *
 * A pair joins iff -before <= right.ts - left.ts <= after (semantics 29). Both sides keep their records in a
 * table of (bucket of time, key) -> list of rows:
 *
 *   a batch of one side:
 *       drop buckets of which nothing can be needed any more
 *       sort out records with a null key (dropped) and late ones (late output)
 *       put the others into the own table
 *       for each bucket of the other table that they reach: pair them with the rows there that are near
 * enough
 *
 * A pair is thus found exactly once, by the record that came later, whatever the order of arrival was.
 *
 * Late (docs/decisions/0002): a record is judged by its own side, by the larger of that input's watermark and
 * its batch's mark, less the allowed lateness. So the pairs do not depend on how the inputs interleave
 * (semantics 32). A left record is of use until every right record up to ts + after would be late, a right
 * one until every left record up to ts + before would. Buckets are as wide as before + after, so that a
 * record reaches two of the other side's at most, and go as a whole.
 *
 * Results. Pairs are collected as pointers, then made into rows by `merge` or the projection, then all that
 * the rows show is copied to their batch, since it lies in state or in the input. A result's time is the
 * later of the two. With allowed lateness that may be behind the watermark; such results go into batches of
 * their own, marked with it, and an operator behind the join takes them if its own allowed lateness covers
 * the join's.
 *
 * Work is bounded: after some batches of results or some thousand rows looked at, the place is kept and
 * LEAT_MORE returned. One key with very many partners is no other case.
 *
 * Checkpoints. Everything is in the tables; how far they were looked through for old buckets is found anew.
 *
 * Invariants: (1) pairs are flushed before the next call on the state that they point into; (2) between
 * batches there are no pairs and no open output; (3) j->rows is sorted by time; (4) no pointer into a list
 * outlives a call of this operator. */
#include "base/alloc.h"
#include "operators/key_private.h"
#include "operators/projection_private.h"
#include "operators/rows_private.h"
#include "state/state.h"
#include "topology/declare.h"
#include <leat/join.h>
#include <string.h>

#define BUCKET_US_MIN LEAT_MILLIS(1)
#define SCANNED_PER_CALL 65536u /* rows of state that one call looks at */
#define DROPS_PER_CALL 16u /* buckets that one call drops */

enum { LEFT, RIGHT, SIDES };
enum { ON_TIME, BEHIND, LANES };

struct join_spec {
    struct leat_key *keys[SIDES];
    int64_t before_us, after_us;
    int64_t lateness_us;
    int64_t bucket_us;
    const char *key_types[SIDES], *format; /* of the tables */
    struct leat_expr *where; /* or NULL */
    struct leat_join_fn merge; /* size 0: by projection */
    struct leat__projection *projection;
    struct leat_type pair_type; /* { left, right }, for dead letters */
    struct leat_field pair_fields[SIDES];
};

/* Pairs on their way to rows, and the batch of rows made so far. */
struct lane {
    const void **left, **right;
    int64_t *event_us;
    uint32_t count;
    struct leat_batch *out; /* NULL: none yet */
};

struct join {
    struct leat_op op;
    const struct join_spec *spec;
    struct leat_table *tables[SIDES];
    struct leat_key_scratch *key_scratch;
    struct leat_expr_scratch *where;
    struct leat__projection_scratch *projection;
    struct leat_copier *copier; /* of the output */
    struct lane lanes[LANES];
    uint32_t pairs_max; /* rows of an output batch */
    int64_t dropped_at_us[SIDES]; /* watermark of the other side when the table was looked through last */

    /* The batch in work. */
    struct leat_batch *in; /* NULL between batches */
    uint32_t side;
    const struct leat_sv *keys;
    uint32_t *rows, *rows_spare; /* row numbers: first the joining ones, sorted */
    uint32_t rows_capacity, rows_spare_capacity;
    uint32_t rows_count;
    const struct leat_list_row **lists; /* of the run, by row */
    uint32_t lists_capacity;
    /* The run: rows[run_from .. run_to-1] reach into one bucket. */
    uint32_t run_from, run_to;
    bool in_run;
    bool any_run; /* a run of this batch has been done, */
    int64_t done_until_us; /* and all partners up to this time are found */
    uint32_t at; /* row in the run, and the next row of its list, */
    const struct leat_list_row *next;
    uint64_t list_at; /* which has so many before it */
    uint32_t scanned, emitted; /* in this call */
};

/* ---- times ---- */

static int64_t add_saturated(int64_t a, int64_t b)
{
    int64_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return b < 0 ? LEAT_TIME_MIN : LEAT_TIME_MAX;
    return sum;
}

static int64_t sub_saturated(int64_t a, int64_t b)
{
    int64_t difference;
    if (__builtin_sub_overflow(a, b, &difference))
        return b > 0 ? LEAT_TIME_MIN : LEAT_TIME_MAX;
    return difference;
}

/* Whether time <= w - lateness, where the ends of time are infinite. */
static bool is_passed(int64_t time_us, int64_t w, int64_t lateness_us)
{
    if (w == LEAT_TIME_MIN || w == LEAT_TIME_MAX)
        return w == LEAT_TIME_MAX;
    int64_t bound;
    return !__builtin_sub_overflow(w, lateness_us, &bound) && time_us <= bound;
}

/* Number of the bucket that a time is in: floor(time / width). */
static int64_t bucket_of(const struct join_spec *spec, int64_t time_us)
{
    const int64_t quotient = time_us / spec->bucket_us;
    return time_us % spec->bucket_us < 0 ? quotient - 1 : quotient;
}

static int64_t bucket_last_us(const struct join_spec *spec, int64_t bucket)
{
    int64_t end;
    if (__builtin_mul_overflow(bucket + 1, spec->bucket_us, &end))
        return LEAT_TIME_MAX;
    return end - 1; /* no underflow: the bucket has a time in it */
}

/* The times of the other side that a record can pair with. */
static int64_t reach_from(const struct join_spec *spec, uint32_t side, int64_t time_us)
{
    return sub_saturated(time_us, side == LEFT ? spec->before_us : spec->after_us);
}

static int64_t reach_to(const struct join_spec *spec, uint32_t side, int64_t time_us)
{
    return add_saturated(time_us, side == LEFT ? spec->after_us : spec->before_us);
}

/* Exact also at the ends of time, and so the same from either side; the reaches saturate and are never too
 * narrow. */
static bool is_pair(const struct join_spec *spec, int64_t left_us, int64_t right_us)
{
    const __int128 distance = (__int128)right_us - left_us;
    return distance >= -(__int128)spec->before_us && distance <= spec->after_us;
}

/* ---- dropping what nobody needs ---- */

/* The watermark that records of a side are judged by. It is the input's own; the merged one is above that
 * only when the input was idle, and then its rows must not be waited for (semantics 4, 35). */
static int64_t side_watermark(const struct leat__ctx *ctx, uint32_t side)
{
    const int64_t own = ctx->input_watermark_us[side];
    return own > ctx->watermark_us ? own : ctx->watermark_us;
}

/* Whether a record of this side and time has no partner to come: the other side's would all be late. */
static bool is_useless(const struct join *j, const struct leat__ctx *ctx, uint32_t side, int64_t time_us)
{
    return is_passed(reach_to(j->spec, side, time_us), side_watermark(ctx, !side), j->spec->lateness_us);
}

/* Drops old buckets of a side. LEAT_MORE when the limit is reached. */
static int drop_buckets(struct join *j, struct leat__ctx *ctx, uint32_t side, uint32_t *drops)
{
    struct leat_table *table = j->tables[side];
    const int64_t w = side_watermark(ctx, !side);
    if (j->dropped_at_us[side] == w)
        return 0;
    for (;;) {
        int64_t bucket;
        const int found = leat__table_next_namespace(table, LEAT_TIME_MIN, &bucket, ctx->error);
        if (found < 0)
            return leat__fail_here(ctx);
        if (!found || !is_useless(j, ctx, side, bucket_last_us(j->spec, bucket)))
            break;
        if (*drops == 0)
            return LEAT_MORE;
        --*drops;
        if (leat__table_drop(table, bucket, ctx->error) < 0)
            return leat__fail_here(ctx);
    }
    j->dropped_at_us[side] = w;
    return 0;
}

static int drop_both(struct join *j, struct leat__ctx *ctx)
{
    uint32_t drops = DROPS_PER_CALL;
    int code = drop_buckets(j, ctx, LEFT, &drops);
    if (code == 0)
        code = drop_buckets(j, ctx, RIGHT, &drops);
    __atomic_store_n(&ctx->counters->state_keys,
        leat__table_keys_count_all(j->tables[LEFT]) + leat__table_keys_count_all(j->tables[RIGHT]),
        __ATOMIC_RELAXED);
    return code;
}

/* ---- pairs to rows ---- */

/* Keeps the pairs with keep[i] set. */
static void compact_pairs(struct lane *lane, const uint8_t *is_false, const uint8_t *booleans)
{
    uint32_t to = 0;
    for (uint32_t i = 0; i < lane->count; i++) {
        if ((is_false && is_false[i]) || (booleans && !booleans[i]))
            continue;
        lane->left[to] = lane->left[i];
        lane->right[to] = lane->right[i];
        lane->event_us[to++] = lane->event_us[i];
    }
    lane->count = to;
}

/* Refused pairs as records of pair_type, for the dead letters. The batch is the caller's to release. */
static int show_pairs(
    const struct join *j, struct leat__ctx *ctx, const struct lane *lane, struct leat_batch **pairs)
{
    const struct leat_field *fields = j->spec->pair_fields;
    LEAT_TRY(leat__rows_get(ctx, &j->spec->pair_type, pairs));
    LEAT_ASSERT(lane->count <= (*pairs)->capacity); /* pairs_max sees to it */
    for (uint32_t i = 0; i < lane->count; i++) {
        unsigned char *row = leat__batch_push(*pairs);
        memcpy(row + fields[LEFT].offset, lane->left[i], fields[LEFT].type->size);
        memcpy(row + fields[RIGHT].offset, lane->right[i], fields[RIGHT].type->size);
        (*pairs)->event_us[i] = lane->event_us[i];
    }
    return 0;
}

/* leat__ctx_end for calls about the lane's pairs; `made`, if any, has a row for each. */
static int end_pairs(
    const struct join *j, struct leat__ctx *ctx, const struct lane *lane, struct leat_batch *made)
{
    struct leat_batch *pairs = NULL;
    if (ctx->user.failures_count > 0) {
        LEAT_TRY(show_pairs(j, ctx, lane, &pairs));
        ctx->batch_in = pairs;
    }
    const int code = leat__ctx_end(ctx, pairs, made);
    ctx->batch_in = NULL;
    leat__batch_release(pairs);
    return code;
}

/* One pair after the other, when some pair makes the condition fail: bad ones are refused and lose. */
static int where_each_pair(struct join *j, struct leat__ctx *ctx, struct lane *lane)
{
    struct leat_error err = { 0 };
    struct leat_vector v;
    struct leat_batch *marks; /* for its column of marks */
    LEAT_TRY(leat__rows_get(ctx, &j->spec->pair_type, &marks));
    int code = 0;
    leat__ctx_begin(ctx, NULL, NULL);
    for (uint32_t i = 0; i < lane->count && code == 0; i++) {
        code = leat__expr_eval2(j->spec->where, j->where, lane->left + i, lane->right + i, 1, &v, NULL, &err);
        marks->keep[i] = code == 0 && !(v.is_null && v.is_null[0]) && v.booleans && v.booleans[0];
        if (code < 0 && leat__rows_are_to_blame(code)) {
            leat__ctx_refuse(ctx, i, "%s", err.message);
            code = 0;
        }
    }
    if (code < 0)
        code = leat__fail(ctx, code, "%s", err.message);
    else
        code = end_pairs(j, ctx, lane, NULL);
    compact_pairs(lane, NULL, marks->keep);
    leat__batch_release(marks);
    return code;
}

static int where_pairs(struct join *j, struct leat__ctx *ctx, struct lane *lane)
{
    struct leat_error err = { 0 };
    struct leat_vector v;
    const int code =
        leat__expr_eval2(j->spec->where, j->where, lane->left, lane->right, lane->count, &v, NULL, &err);
    if (code < 0 && leat__rows_are_to_blame(code))
        return where_each_pair(j, ctx, lane);
    if (code < 0)
        return leat__fail(ctx, code, "%s", err.message);
    if (v.booleans)
        compact_pairs(lane, v.is_null, v.booleans);
    else
        lane->count = 0; /* the literal null */
    return 0;
}

static int open_out(struct join *j, struct leat__ctx *ctx, struct lane *lane)
{
    LEAT_TRY(leat__rows_get(ctx, ctx->node->outputs[0].type, &lane->out));
    if (lane == &j->lanes[BEHIND]) {
        lane->out->late = 1;
        lane->out->late_wm_us = ctx->watermark_us;
    }
    return 0;
}

static int emit_out(struct join *j, struct leat__ctx *ctx, struct lane *lane)
{
    struct leat_batch *out = lane->out;
    lane->out = NULL;
    j->emitted++;
    return leat__emit(ctx, 0, out);
}

/* The lane's pairs as rows behind those that its batch has. */
static int make_rows(struct join *j, struct leat__ctx *ctx, struct lane *lane)
{
    struct leat_batch *out = lane->out;
    const uint32_t first = out->count, count = lane->count;
    struct leat_batch made = leat__rows_view(out, first, count);
    memset(made.rows, 0, (size_t)count * made.stride);
    memcpy(made.event_us, lane->event_us, count * sizeof *made.event_us);
    leat__ctx_begin(ctx, &made, out);
    if (j->spec->merge.merge) {
        j->spec->merge.merge(&ctx->user, lane->left, lane->right, count, &made);
    } else {
        const struct leat__projection_rows rows = {
            .left = lane->left, .right = lane->right, .count = count
        };
        LEAT_TRY(leat__projection_run(j->spec->projection, j->projection, ctx, &rows, out, first, false));
    }
    LEAT_TRY(end_pairs(j, ctx, lane, &made));
    for (uint32_t i = 0; i < made.count; i++)
        if (leat__copy_adopt(j->copier, out, leat_batch_at(&made, i)) < 0)
            return leat__rows_nomem(ctx, "the strings of results");
    out->count = first + made.count;
    return 0;
}

/* (1): no pair points anywhere afterwards. */
static int flush_pairs(struct join *j, struct leat__ctx *ctx, struct lane *lane)
{
    if (lane->count == 0)
        return 0;
    if (j->spec->where)
        LEAT_TRY(where_pairs(j, ctx, lane));
    if (lane->count > 0) {
        if (!lane->out)
            LEAT_TRY(open_out(j, ctx, lane));
        LEAT_TRY(make_rows(j, ctx, lane));
        lane->count = 0;
        if (lane->out->count == j->pairs_max || leat__batch_is_full(lane->out))
            LEAT_TRY(emit_out(j, ctx, lane));
    }
    return 0;
}

static int add_pair(struct join *j, struct leat__ctx *ctx, const struct leat_batch *in, uint32_t row,
    const struct leat_list_row *other)
{
    const int64_t own_us = in->event_us[row];
    const int64_t event_us = own_us > other->event_us ? own_us : other->event_us;
    struct lane *lane = &j->lanes[is_passed(event_us, ctx->watermark_us, 0) ? BEHIND : ON_TIME];
    const void *own = leat_batch_at(in, row);
    lane->left[lane->count] = j->side == LEFT ? own : other->record;
    lane->right[lane->count] = j->side == LEFT ? other->record : own;
    lane->event_us[lane->count++] = event_us;
    if (lane->count + (lane->out ? lane->out->count : 0) == j->pairs_max)
        return flush_pairs(j, ctx, lane);
    return 0;
}

/* ---- a batch comes in ---- */

/* Stable, by time; mostly there is nothing to do. */
static void sort_rows(struct join *j)
{
    const int64_t *times = j->in->event_us;
    uint32_t *from = j->rows, *to = j->rows_spare;
    const uint32_t n = j->rows_count;
    uint32_t sorted = 1;
    while (sorted < n && times[from[sorted - 1]] <= times[from[sorted]])
        sorted++;
    for (uint32_t width = 1; sorted < n && width < n; width *= 2) {
        for (uint32_t low = 0; low < n; low += 2 * width) {
            const uint32_t middle = low + width < n ? low + width : n;
            const uint32_t high = low + 2 * width < n ? low + 2 * width : n;
            uint32_t a = low, b = middle;
            for (uint32_t k = low; k < high; k++)
                to[k] = a < middle && (b == high || times[from[a]] <= times[from[b]]) ? from[a++] : from[b++];
        }
        uint32_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != j->rows)
        memcpy(j->rows, from, n * sizeof *from);
}

static int emit_late(struct join *j, struct leat__ctx *ctx, uint32_t count, int64_t w)
{
    const int32_t port = ctx->node->late_ports[j->side];
    struct leat_batch *late;
    leat__count(&ctx->counters->late_records, count);
    if (count == 0 || port < 0 || !leat__ctx_consumed(ctx, (uint32_t)port))
        return 0;
    LEAT_TRY(leat__rows_gather(ctx, j->in, j->rows_spare, count, &late));
    late->late = 1;
    late->late_wm_us = w;
    return leat__emit(ctx, (uint32_t)port, late);
}

/* Sorts the batch's rows out: j->rows has those that join. */
static int admit_rows(struct join *j, struct leat__ctx *ctx)
{
    const struct leat_batch *in = j->in;
    const int64_t own_w = side_watermark(ctx, j->side);
    const int64_t w = in->late && in->late_wm_us > own_w ? in->late_wm_us : own_w;
    uint32_t late = 0, null = 0;
    j->rows_count = 0;
    for (uint32_t i = 0; i < in->count; i++) {
        if (!j->keys[i].data)
            null++;
        else if (is_passed(in->event_us[i], w, j->spec->lateness_us))
            j->rows_spare[late++] = i;
        else
            j->rows[j->rows_count++] = i;
    }
    leat__count(&ctx->counters->dropped_records, null);
    return emit_late(j, ctx, late, w);
}

/* Puts the rows into their own side's table, bucket by bucket, but for those that no partner can follow. */
static int append_rows(struct join *j, struct leat__ctx *ctx)
{
    const int64_t *times = j->in->event_us;
    uint32_t from = 0, to;
    while (from < j->rows_count && is_useless(j, ctx, j->side, times[j->rows[from]]))
        from++;
    for (; from < j->rows_count; from = to) {
        const int64_t bucket = bucket_of(j->spec, times[j->rows[from]]);
        const int64_t last_us = bucket_last_us(j->spec, bucket);
        for (to = from; to < j->rows_count && times[j->rows[to]] <= last_us; to++)
            ;
        if (leat__table_append(j->tables[j->side], bucket, j->keys, j->in->key_hash, j->rows + from,
                to - from, j->in, ctx->error) < 0)
            return leat__fail_here(ctx);
    }
    return 0;
}

/* The next rows that reach into one bucket of the other side, with their lists there. False when all is
 * found. */
static int begin_run(struct join *j, struct leat__ctx *ctx, bool *found)
{
    const struct join_spec *spec = j->spec;
    const int64_t *times = j->in->event_us;
    uint32_t from = j->run_from;
    while (j->any_run && from < j->rows_count &&
        reach_to(spec, j->side, times[j->rows[from]]) <= j->done_until_us)
        from++;
    *found = from < j->rows_count;
    if (!*found)
        return 0;
    int64_t start_us = reach_from(spec, j->side, times[j->rows[from]]);
    if (j->any_run && start_us <= j->done_until_us)
        start_us = j->done_until_us + 1; /* no overflow: the row reaches further */
    const int64_t bucket = bucket_of(spec, start_us);
    j->run_from = j->run_to = from;
    j->any_run = true;
    j->done_until_us = bucket_last_us(spec, bucket);
    while (
        j->run_to < j->rows_count && reach_from(spec, j->side, times[j->rows[j->run_to]]) <= j->done_until_us)
        j->run_to++;
    if (leat__table_lists(j->tables[!j->side], bucket, j->keys, j->in->key_hash, j->rows + from,
            j->run_to - from, j->lists, ctx->error) < 0)
        return leat__fail_here(ctx);
    j->in_run = true;
    j->at = 0;
    j->next = j->lists[0];
    j->list_at = 0;
    return 0;
}

/* Other operators of the worker may come next, and what they do with the state makes lists move: (1), (4). */
static int pause_run(struct join *j, struct leat__ctx *ctx)
{
    for (uint32_t i = 0; i < LANES; i++)
        LEAT_TRY(flush_pairs(j, ctx, &j->lanes[i]));
    j->next = NULL;
    return LEAT_MORE;
}

/* (4): the lists of the rest of the run again, up to the place where it paused. */
static int resume_run(struct join *j, struct leat__ctx *ctx)
{
    const uint32_t from = j->run_from + j->at;
    const int64_t bucket = bucket_of(j->spec, j->done_until_us);
    if (leat__table_lists(j->tables[!j->side], bucket, j->keys, j->in->key_hash, j->rows + from,
            j->run_to - from, j->lists + j->at, ctx->error) < 0)
        return leat__fail_here(ctx);
    j->next = j->lists[j->at];
    for (uint64_t i = 0; i < j->list_at; i++)
        j->next = j->next->next;
    return 0;
}

/* Finds the pairs of the run. LEAT_MORE when this call has done enough; j->at and j->next say where it goes
 * on. */
static int scan_run(struct join *j, struct leat__ctx *ctx)
{
    const uint32_t count = j->run_to - j->run_from;
    for (;;) {
        const uint32_t row = j->rows[j->run_from + j->at];
        const int64_t own_us = j->in->event_us[row];
        while (j->next) {
            const struct leat_list_row *other = j->next;
            if (j->scanned == SCANNED_PER_CALL || j->emitted >= LEAT_OP_BATCHES_PER_CALL)
                return pause_run(j, ctx);
            j->scanned++;
            j->list_at++;
            j->next = other->next;
            if (j->side == LEFT ? is_pair(j->spec, own_us, other->event_us)
                                : is_pair(j->spec, other->event_us, own_us))
                LEAT_TRY(add_pair(j, ctx, j->in, row, other));
        }
        if (++j->at == count)
            break;
        j->next = j->lists[j->at];
        j->list_at = 0;
    }
    for (uint32_t i = 0; i < LANES; i++)
        LEAT_TRY(flush_pairs(j, ctx, &j->lanes[i]));
    j->in_run = false;
    return 0;
}

static int work(struct join *j, struct leat__ctx *ctx)
{
    j->scanned = j->emitted = 0;
    for (;;) {
        bool found = true;
        if (!j->in_run)
            LEAT_TRY(begin_run(j, ctx, &found));
        if (!found)
            break;
        const int code = scan_run(j, ctx);
        if (code != 0)
            return code;
    }
    for (uint32_t i = 0; i < LANES; i++)
        if (j->lanes[i].out)
            LEAT_TRY(emit_out(j, ctx, &j->lanes[i]));
    leat__batch_release(j->in);
    j->in = NULL;
    return 0;
}

static int reserve_rows(struct join *j, struct leat__ctx *ctx, uint32_t count)
{
    LEAT_TRY(leat__rows_reserve(ctx, &j->rows, &j->rows_capacity, count));
    LEAT_TRY(leat__rows_reserve(ctx, &j->rows_spare, &j->rows_spare_capacity, count));
    if (count <= j->lists_capacity)
        return 0;
    leat__free(j->lists);
    j->lists = leat__malloc(count * sizeof *j->lists);
    j->lists_capacity = j->lists ? count : 0;
    return j->lists ? 0 : leat__rows_nomem(ctx, "lists of partners");
}

static int join_on_batch(struct leat_op *op, struct leat__ctx *ctx, uint32_t input, struct leat_batch *batch)
{
    struct join *j = (struct join *)op;
    LEAT_ASSERT(input < SIDES && !j->in); /* (2) */
    j->in = batch;
    j->side = input;
    j->run_from = j->run_to = 0;
    j->in_run = j->any_run = false;
    LEAT_TRY(drop_both(j, ctx));
    LEAT_TRY(reserve_rows(j, ctx, batch->count));
    if (leat__key_eval(j->spec->keys[input], j->key_scratch, &ctx->user, batch, &j->keys) < 0)
        return leat__rows_nomem(ctx, "keys");
    LEAT_TRY(admit_rows(j, ctx));
    sort_rows(j);
    LEAT_TRY(append_rows(j, ctx));
    return work(j, ctx);
}

static int join_on_watermark(struct leat_op *op, struct leat__ctx *ctx, int64_t w)
{
    (void)w; /* each side's own counts */
    return drop_both((struct join *)op, ctx);
}

static int join_step(struct leat_op *op, struct leat__ctx *ctx)
{
    struct join *j = (struct join *)op;
    if (!j->in)
        return drop_both(j, ctx);
    if (j->in_run)
        LEAT_TRY(resume_run(j, ctx));
    return work(j, ctx);
}

/* ---- life ---- */

static int open_tables(struct join *j, struct leat__ctx *ctx)
{
    static const char *const names[SIDES] = { "left", "right" };
    const uint32_t size = leat__key_fixed_size(j->spec->keys[LEFT]);
    for (uint32_t side = 0; side < SIDES; side++) {
        const struct leat_table_opts opts = {
            .node = ctx->node->name,
            .name = names[side],
            .kind = LEAT_TABLE_LIST,
            .key_size = size == leat__key_fixed_size(j->spec->keys[RIGHT]) ? size : 0,
            .row_type = leat__input_type(ctx->node, side),
            .key_text = j->spec->key_types[side],
            .format = j->spec->format,
            .schema = leat__input_type(ctx->node, side)->schema,
            .counted = true,
        };
        if (leat__table_open(ctx->state, &opts, &j->tables[side], ctx->error) < 0)
            return leat__fail_here(ctx);
    }
    return 0;
}

static int make_lanes(struct join *j, struct leat__ctx *ctx)
{
    const uint32_t rows = leat__pool_batch_rows(ctx->pool, ctx->node->outputs[0].type);
    const uint32_t pairs = leat__pool_batch_rows(ctx->pool, &j->spec->pair_type);
    j->pairs_max = rows < pairs ? rows : pairs;
    for (uint32_t i = 0; i < LANES; i++) {
        struct lane *lane = &j->lanes[i];
        lane->left = leat__calloc(j->pairs_max, sizeof *lane->left);
        lane->right = leat__calloc(j->pairs_max, sizeof *lane->right);
        lane->event_us = leat__calloc(j->pairs_max, sizeof *lane->event_us);
        if (!lane->left || !lane->right || !lane->event_us)
            return leat__rows_nomem(ctx, "pairs");
    }
    return 0;
}

static int join_init(struct leat_op *op, struct leat__ctx *ctx)
{
    struct join *j = (struct join *)op;
    const struct join_spec *spec = j->spec = op->node->spec;
    j->dropped_at_us[LEFT] = j->dropped_at_us[RIGHT] = LEAT_TIME_MIN;
    if (leat__copier_new(ctx->node->outputs[0].type, &j->copier) < 0 ||
        leat__key_scratch_new(&j->key_scratch) < 0 ||
        (spec->where && leat__expr_scratch_new(spec->where, &j->where) < 0))
        return leat__rows_nomem(ctx, "a join");
    if (spec->projection)
        LEAT_TRY(leat__projection_scratch_new(spec->projection, ctx, &j->projection));
    LEAT_TRY(make_lanes(j, ctx));
    return open_tables(j, ctx);
}

static void join_release(struct leat_op *op, struct leat__ctx *ctx)
{
    struct join *j = (struct join *)op;
    (void)ctx;
    for (uint32_t i = 0; i < LANES; i++) {
        leat__batch_release(j->lanes[i].out);
        leat__free(j->lanes[i].left);
        leat__free(j->lanes[i].right);
        leat__free(j->lanes[i].event_us);
    }
    leat__batch_release(j->in);
    for (uint32_t side = 0; side < SIDES; side++)
        leat__table_close(j->tables[side]);
    leat__free(j->rows);
    leat__free(j->rows_spare);
    leat__free(j->lists);
    leat__projection_scratch_free(j->projection);
    leat__expr_scratch_free(j->where);
    leat__key_scratch_free(j->key_scratch);
    leat__copier_free(j->copier);
}

static const struct leat_op_class join_class = {
    .kind = "join",
    .size = sizeof(struct join),
    .init = join_init,
    .on_batch = join_on_batch,
    .on_watermark = join_on_watermark,
    .step = join_step,
    .release = join_release,
};

/* ---- declaration ---- */

static void free_key(void *key)
{
    leat__key_free(key);
}

static void declare_keys(struct leat_node *node, const struct leat_join_opts *o, struct join_spec *spec)
{
    static const char *const options[SIDES] = { "left_key", "right_key" };
    const char *const texts[SIDES] = { o->left_key, o->right_key ? o->right_key : o->left_key };
    struct leat_error err = { 0 };
    if (!o->left_key) {
        leat__declare_error(
            node, "left_key", LEAT_EDECLARE, "missing: the fields that both sides have in common");
        return;
    }
    for (uint32_t side = 0; side < SIDES; side++) {
        const struct leat_type *type = leat__input_type(node, side);
        if (!type)
            continue;
        if (leat__key_new(type, texts[side], LEAT_KEY_NULLS_SKIP, &spec->keys[side], &err) < 0) {
            spec->keys[side] = NULL;
            leat__declare_error_of(node, options[side], &err);
        }
        leat__topology_defer(node, free_key, spec->keys[side]);
    }
    if (!leat__node_is_inert(node) && leat__key_compatible(spec->keys[LEFT], spec->keys[RIGHT], &err) < 0)
        leat__declare_error_of(node, "right_key", &err);
}

static void declare_bounds(struct leat_node *node, const struct leat_join_opts *o, struct join_spec *spec)
{
    char before[32], after[32];
    const bool has_bounds = o->before_us != 0 || o->after_us != 0;
    spec->before_us = o->within_us ? o->within_us : o->before_us;
    spec->after_us = o->within_us ? o->within_us : o->after_us;
    if (o->within_us && has_bounds)
        leat__declare_error(node, "within_us", LEAT_EDECLARE,
            "given together with before_us or after_us: within_us sets both of them");
    else if (o->within_us < 0)
        leat__declare_error(node, "within_us", LEAT_EDECLARE,
            "%s is negative: it is how far apart two times may be",
            leat__duration_text(o->within_us, before));
    else if (!o->within_us && !has_bounds)
        leat__declare_error(node, "within_us", LEAT_EDECLARE,
            "missing: say how far apart in time two records may be, with within_us, or before_us and "
            "after_us");
    else if (add_saturated(spec->before_us, spec->after_us) < 0)
        leat__declare_error(node, "before_us", LEAT_EDECLARE,
            "before_us + after_us is negative (%s and %s): no right record can be in that interval",
            leat__duration_text(spec->before_us, before), leat__duration_text(spec->after_us, after));
    if (o->allowed_lateness_us < 0)
        leat__declare_error(node, "allowed_lateness_us", LEAT_EDECLARE,
            "%s is negative: set how far behind its side's watermark a record may still join, or 0",
            leat__duration_text(o->allowed_lateness_us, before));
    spec->lateness_us = o->allowed_lateness_us;
    const int64_t range_us = add_saturated(spec->before_us, spec->after_us);
    spec->bucket_us = range_us > BUCKET_US_MIN ? range_us : BUCKET_US_MIN;
}

static void free_expr(void *expr)
{
    leat__expr_free(expr);
}

static void declare_where(struct leat_node *node, const char *where, struct join_spec *spec)
{
    const struct leat_type *left = leat__input_type(node, LEFT), *right = leat__input_type(node, RIGHT);
    struct leat_error err = { 0 };
    if (!where || !left || !right)
        return;
    if (leat__expr_new2(where, left, "left", right, "right", &spec->where, &err) < 0) {
        leat__declare_error_of(node, "where", &err);
        return;
    }
    const enum leat_value_class found = leat__expr_class(spec->where);
    leat__topology_defer(node, free_expr, spec->where);
    if (found != LEAT_VALUE_BOOL && found != LEAT_VALUE_NULL)
        leat__declare_error(node, "where", LEAT_EEXPR, "%s is no condition: it must be true or false", where);
}

/* Whether rows leave with the key's value in fields of these names: then they are where their key lives. */
static bool keeps_key(
    const struct leat__projection *p, const char *names, const char *left, const char *right)
{
    while (*names) {
        char out[LEAT_NAME_BYTES_MAX + 1], in[SIDES][LEAT_NAME_BYTES_MAX + 1];
        const char *const texts[] = { names, left, right };
        size_t lens[3];
        for (uint32_t i = 0; i < 3; i++) {
            lens[i] = strcspn(texts[i], ", ");
            if (lens[i] > LEAT_NAME_BYTES_MAX)
                return false;
            char *to = i == 0 ? out : in[i - 1];
            memcpy(to, texts[i], lens[i]);
            to[lens[i]] = '\0';
        }
        if (!leat__projection_copies(p, out, LEFT, in[LEFT]) &&
            !leat__projection_copies(p, out, RIGHT, in[RIGHT]))
            return false;
        names += lens[0] + strspn(names + lens[0], ", ");
        left += lens[1] + strspn(left + lens[1], ", ");
        right += lens[2] + strspn(right + lens[2], ", ");
    }
    return true;
}

static void declare_partitioning(struct leat_node *node, const struct join_spec *spec)
{
    if (leat__node_is_inert(node) || !spec->projection)
        return;
    const char *left = leat__key_text(spec->keys[LEFT]), *right = leat__key_text(spec->keys[RIGHT]);
    if (keeps_key(spec->projection, left, left, right))
        node->outputs[0].partitioned_by = left;
    else if (keeps_key(spec->projection, right, left, right))
        node->outputs[0].partitioned_by = right;
}

/* The output's type, NULL with an error. */
static const struct leat_type *declare_result(
    struct leat_node *node, const struct leat_join_opts *o, struct join_spec *spec)
{
    if (!o->merge == !o->out) {
        leat__declare_error(node, o->merge ? "out" : "merge", LEAT_EDECLARE,
            o->merge ? "given together with merge: a function makes the results, or a type and fields say "
                       "what they are"
                     : "missing: give a function that LEAT_DEFINE_JOIN makes, or an output type in .out");
        return NULL;
    }
    if (!o->merge) {
        const struct leat__projection_opts opts = { .fields = o->fields,
            .fields_max = sizeof o->fields / sizeof o->fields[0],
            .out = o->out,
            .sides_count = SIDES };
        spec->projection = leat__projection_new(node, &opts);
        return o->out;
    }
    if (o->fields[0].expr || o->fields[0].as)
        leat__declare_error(
            node, "fields", LEAT_EDECLARE, "given together with merge, which fills all fields itself");
    leat__need_type(node, LEFT, o->merge->left, "merge", o->merge->name);
    leat__need_type(node, RIGHT, o->merge->right, "merge", o->merge->name);
    spec->merge = *o->merge;
    return o->merge->out;
}

static void make_pair_type(struct leat_node *node, struct join_spec *spec)
{
    const struct leat_type *left = leat__input_type(node, LEFT), *right = leat__input_type(node, RIGHT);
    if (!left || !right)
        return;
    const uint32_t align = left->align > right->align ? left->align : right->align;
    const uint32_t at = (left->size + right->align - 1) / right->align * right->align;
    spec->pair_fields[LEFT] = (struct leat_field){ "left", left, 0, LEAT_NOT_NULLABLE };
    spec->pair_fields[RIGHT] = (struct leat_field){ "right", right, at, LEAT_NOT_NULLABLE };
    spec->pair_type = (struct leat_type){ .kind = LEAT_KIND_RECORD,
        .name = "pair",
        .size = (at + right->size + align - 1) / align * align,
        .align = align,
        .fields_count = SIDES,
        .fields = spec->pair_fields };
    if (spec->pair_type.size > LEAT_ROW_BYTES_MAX)
        leat__declare_error(node, NULL, LEAT_ELIMIT,
            "struct %s and struct %s together have %u bytes, at most %u are allowed: project the sides "
            "before the join",
            left->name, right->name, spec->pair_type.size, LEAT_ROW_BYTES_MAX);
}

static const char *describe(struct leat_node *node, const struct join_spec *spec)
{
    char before[32], after[32];
    return leat__spec_printf(node, "left (%s) = right (%s), right - left in [-%s, %s]%s%s",
        leat__key_text(spec->keys[LEFT]), leat__key_text(spec->keys[RIGHT]),
        leat__duration_text(spec->before_us, before), leat__duration_text(spec->after_us, after),
        spec->where ? ", where " : "", spec->where ? leat__expr_text(spec->where) : "");
}

leat_stream *leat_join_sized(
    leat_stream *left, leat_stream *right, const char *name, const struct leat_join_opts *opts, size_t size)
{
    struct leat_join_opts o;
    struct leat_node *node = leat__declare(left->t, name, LEAT_NODE_OPERATOR, join_class.kind);
    /* Types first: how rows go over the edges is known once there are keys. */
    leat__input(node, LEFT, left, LEAT_FORWARD, NULL);
    leat__input(node, RIGHT, right, LEAT_FORWARD, NULL);
    leat__opts_copy(node, &o, sizeof o, opts, size);
    node->op = &join_class;
    struct join_spec *spec = leat__spec(node, sizeof *spec);
    if (!spec || !opts)
        return leat__stream(node, 0);
    node->spec = spec;
    declare_keys(node, &o, spec);
    for (uint32_t side = 0; side < SIDES; side++) {
        leat__need_event_time(node, side);
        node->inputs[side].partitioning = LEAT_HASH;
        node->inputs[side].key = spec->keys[side];
    }
    declare_bounds(node, &o, spec);
    declare_where(node, o.where, spec);
    make_pair_type(node, spec);
    const struct leat_type *out = declare_result(node, &o, spec);
    if (out)
        leat__output(node, out, NULL);
    declare_partitioning(node, spec);
    if (!leat__node_is_inert(node)) {
        node->detail = describe(node, spec);
        spec->format = leat__spec_printf(node, "v1; buckets of %lld us", (long long)spec->bucket_us);
        for (uint32_t side = 0; side < SIDES; side++)
            spec->key_types[side] =
                leat__key_describe(node, spec->keys[side], leat__input_type(node, side), LEAT_KEY_NULLS_SKIP);
    }
    return leat__stream(node, 0);
}

static leat_stream *late_stream(leat_stream *joined, uint32_t side)
{
    static const char *const names[SIDES] = { "late-left", "late-right" };
    struct leat_node *node = joined->node;
    if (!node || node->op != &join_class)
        return leat__named_output(joined, names[side], "late output"); /* says that there is none */
    if (node->late_ports[side] < 0)
        node->late_ports[side] = (int32_t)leat__output(node, leat__input_type(node, side), names[side]);
    return leat__stream(node, (uint32_t)node->late_ports[side]);
}

leat_stream *leat_late_left(leat_stream *joined)
{
    return late_stream(joined, LEFT);
}

leat_stream *leat_late_right(leat_stream *joined)
{
    return late_stream(joined, RIGHT);
}
