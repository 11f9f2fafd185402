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
 * Results are made by join_output.c. A result's time is the later of the two. With allowed lateness that may be
 * behind the watermark; an operator behind the join takes such results if its own allowed lateness covers the
 * join's.
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
#include "operators/join_private.h"
#include "state/state.h"
#include <string.h>

#define BUCKET_US_MIN LEAT_MILLIS(1)
#define SCANNED_PER_CALL 65536u /* rows of state that one call looks at */
#define DROPS_PER_CALL 16u /* buckets that one call drops */

struct join_spec {
    struct leat__join_spec pairs; /* first: what all joins have */
    int64_t before_us, after_us;
    int64_t lateness_us;
    int64_t bucket_us;
    const char *format; /* of the tables */
};

struct join {
    struct leat_op op;
    const struct join_spec *spec;
    struct leat_table *tables[LEAT__SIDES];
    struct leat_key_scratch *key_scratch;
    struct leat__join_output *output;
    int64_t
        dropped_at_us[LEAT__SIDES]; /* watermark of the other side when the table was looked through last */

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
    uint32_t scanned; /* in this call */
    uint32_t *given; /* batches, in this call */
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
    return sub_saturated(time_us, side == LEAT__LEFT ? spec->before_us : spec->after_us);
}

static int64_t reach_to(const struct join_spec *spec, uint32_t side, int64_t time_us)
{
    return add_saturated(time_us, side == LEAT__LEFT ? spec->after_us : spec->before_us);
}

/* Exact also at the ends of time, and so the same from either side; the reaches saturate and are never too
 * narrow. */
static bool is_pair(const struct join_spec *spec, int64_t left_us, int64_t right_us)
{
    const __int128 distance = (__int128)right_us - left_us;
    return distance >= -(__int128)spec->before_us && distance <= spec->after_us;
}

/* ---- dropping what nobody needs ---- */

/* Whether a record of this side and time has no partner to come: the other side's would all be late. */
static bool is_useless(const struct join *j, const struct leat__ctx *ctx, uint32_t side, int64_t time_us)
{
    return leat__join_is_passed(
        reach_to(j->spec, side, time_us), leat__join_side_watermark(ctx, !side), j->spec->lateness_us);
}

/* Drops old buckets of a side. LEAT_MORE when the limit is reached. */
static int drop_buckets(struct join *j, struct leat__ctx *ctx, uint32_t side, uint32_t *drops)
{
    struct leat_table *table = j->tables[side];
    const int64_t w = leat__join_side_watermark(ctx, !side);
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
    int code = drop_buckets(j, ctx, LEAT__LEFT, &drops);
    if (code == 0)
        code = drop_buckets(j, ctx, LEAT__RIGHT, &drops);
    __atomic_store_n(&ctx->counters->state_keys,
        leat__table_keys_count_all(j->tables[LEAT__LEFT]) +
            leat__table_keys_count_all(j->tables[LEAT__RIGHT]),
        __ATOMIC_RELAXED);
    return code;
}

/* ---- pairs ---- */

static int add_pair(struct join *j, struct leat__ctx *ctx, uint32_t row, const struct leat_list_row *other)
{
    const int64_t own_us = j->in->event_us[row];
    const void *own = leat_batch_at(j->in, row);
    const struct leat__join_pair pair = {
        .left = j->side == LEAT__LEFT ? own : other->record,
        .right = j->side == LEAT__LEFT ? other->record : own,
        .event_us = own_us > other->event_us ? own_us : other->event_us,
        .key_hash = j->in->key_hash[row],
    };
    return leat__join_output_pair(j->output, ctx, &pair);
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
    const int64_t own_w = leat__join_side_watermark(ctx, j->side);
    const int64_t w = in->late && in->late_wm_us > own_w ? in->late_wm_us : own_w;
    uint32_t late = 0, null = 0;
    j->rows_count = 0;
    for (uint32_t i = 0; i < in->count; i++) {
        if (!j->keys[i].data)
            null++;
        else if (leat__join_is_passed(in->event_us[i], w, j->spec->lateness_us))
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
    LEAT_TRY(leat__join_output_flush(j->output, ctx));
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
            if (j->scanned == SCANNED_PER_CALL || *j->given >= LEAT_OP_BATCHES_PER_CALL)
                return pause_run(j, ctx);
            j->scanned++;
            j->list_at++;
            j->next = other->next;
            if (j->side == LEAT__LEFT ? is_pair(j->spec, own_us, other->event_us)
                                      : is_pair(j->spec, other->event_us, own_us))
                LEAT_TRY(add_pair(j, ctx, row, other));
        }
        if (++j->at == count)
            break;
        j->next = j->lists[j->at];
        j->list_at = 0;
    }
    LEAT_TRY(leat__join_output_flush(j->output, ctx));
    j->in_run = false;
    return 0;
}

static int work(struct join *j, struct leat__ctx *ctx)
{
    j->scanned = *j->given = 0;
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
    LEAT_TRY(leat__join_output_end(j->output, ctx));
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
    LEAT_ASSERT(input < LEAT__SIDES && !j->in); /* (2) */
    j->in = batch;
    j->side = input;
    j->run_from = j->run_to = 0;
    j->in_run = j->any_run = false;
    LEAT_TRY(drop_both(j, ctx));
    LEAT_TRY(reserve_rows(j, ctx, batch->count));
    if (leat__key_eval(j->spec->pairs.keys[input], j->key_scratch, &ctx->user, batch, &j->keys) < 0)
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
    static const char *const names[LEAT__SIDES] = { "left", "right" };
    for (uint32_t side = 0; side < LEAT__SIDES; side++) {
        const struct leat_table_opts opts = {
            .node = ctx->node->name,
            .name = names[side],
            .kind = LEAT_TABLE_LIST,
            .key_size = j->spec->pairs.key_size,
            .row_type = leat__input_type(ctx->node, side),
            .key_text = j->spec->pairs.key_types[side],
            .format = j->spec->format,
            .schema = leat__input_type(ctx->node, side)->schema,
            .counted = true,
        };
        if (leat__table_open(ctx->state, &opts, &j->tables[side], ctx->error) < 0)
            return leat__fail_here(ctx);
    }
    return 0;
}

static int join_init(struct leat_op *op, struct leat__ctx *ctx)
{
    struct join *j = (struct join *)op;
    j->spec = op->node->spec;
    j->dropped_at_us[LEAT__LEFT] = j->dropped_at_us[LEAT__RIGHT] = LEAT_TIME_MIN;
    if (leat__key_scratch_new(&j->key_scratch) < 0)
        return leat__rows_nomem(ctx, "a join");
    LEAT_TRY(leat__join_output_new(&j->spec->pairs, ctx, &j->output));
    j->given = leat__join_output_given(j->output);
    return open_tables(j, ctx);
}

static void join_release(struct leat_op *op, struct leat__ctx *ctx)
{
    struct join *j = (struct join *)op;
    (void)ctx;
    leat__join_output_free(j->output);
    leat__batch_release(j->in);
    for (uint32_t side = 0; side < LEAT__SIDES; side++)
        leat__table_close(j->tables[side]);
    leat__free(j->rows);
    leat__free(j->rows_spare);
    leat__free(j->lists);
    leat__key_scratch_free(j->key_scratch);
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

static const char *describe(struct leat_node *node, const struct join_spec *spec)
{
    char before[32], after[32];
    const char *range = leat__spec_printf(node, "right - left in [-%s, %s]",
        leat__duration_text(spec->before_us, before), leat__duration_text(spec->after_us, after));
    return leat__join_describe(node, &spec->pairs, range);
}

static void declare_pairs(struct leat_node *node, const struct leat_join_opts *o, struct join_spec *spec)
{
    const struct leat__join_opts pairs = {
        .kind = o->kind,
        .kinds = 1u << LEAT_JOIN_INNER,
        .left_key = o->left_key,
        .right_key = o->right_key,
        .where = o->where,
        .merge = o->merge,
        .out = o->out,
        .fields = o->fields,
        .fields_max = sizeof o->fields / sizeof o->fields[0],
    };
    leat__join_declare(node, &pairs, &spec->pairs);
}

leat_stream *leat_join_sized(
    leat_stream *left, leat_stream *right, const char *name, const struct leat_join_opts *opts, size_t size)
{
    struct leat_join_opts o;
    struct leat_node *node = leat__declare(left->t, name, LEAT_NODE_OPERATOR, join_class.kind);
    /* Types first: how rows go over the edges is known once there are keys. */
    leat__input(node, LEAT__LEFT, left, LEAT_FORWARD, NULL);
    leat__input(node, LEAT__RIGHT, right, LEAT_FORWARD, NULL);
    leat__opts_copy(node, &o, sizeof o, opts, size);
    node->op = &join_class;
    leat__join_has_late(node);
    struct join_spec *spec = leat__spec(node, sizeof *spec);
    if (!spec || !opts)
        return leat__stream(node, 0);
    node->spec = spec;
    for (uint32_t side = 0; side < LEAT__SIDES; side++)
        leat__need_event_time(node, side);
    declare_bounds(node, &o, spec);
    declare_pairs(node, &o, spec);
    if (!leat__node_is_inert(node)) {
        node->detail = describe(node, spec);
        spec->format = leat__spec_printf(node, "v1; buckets of %lld us", (long long)spec->bucket_us);
    }
    return leat__stream(node, 0);
}
