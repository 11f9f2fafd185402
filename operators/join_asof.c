/* operators/join_asof.c -- each left record with the one right record of its key that is nearest in time.
 *
 * Left records wait in their table until nothing nearer can come, which is what the interval join calls closed
 * (join_interval_close.c): no right record up to ts + forward would be taken any more. Then their partner is chosen.
 * Right records lie in buckets as wide as the tolerance; one is needed until no left record up to ts + backward can be
 * undecided. Without a tolerance all of a key lie together. Of those in one place that are older than any left record
 * that may come only the newest stays, unless a condition may ask for the others.
 *
 *   closed left records are copied to a batch, since looking for right ones lets go of the lists that they are in;
 *   of this batch, some rows at a time: the best time and its place in the list, from every bucket in reach
 *                                       the record at that place, and the pair
 *
 * Lateness is that of the interval join: each record is judged by its own side. So the partner depends on the records
 * and their splits alone.
 *
 * Invariants: (1) while `due` has undecided rows no right record goes, and nothing is forwarded; (2) a right record that
 * is dropped is the best of no left record that is undecided or may come. */
#include "base/alloc.h"
#include "operators/join_interval_private.h"
#include <string.h>

#define BUCKET_US_MIN LEAT_MILLIS(1)
#define BUCKET_US_LEFT LEAT_SECONDS(1) /* of left records where there is no tolerance */
#define CHUNK 64u /* rows that are decided together */
#define DROPS_PER_CALL 16u
#define NOWHERE UINT64_MAX

struct asof_spec {
    struct leat__interval_spec interval; /* first. before: backward, after: forward */
    enum leat_asof_direction direction;
    bool is_endless; /* any distance */
};

struct asof {
    struct leat__interval join; /* first */
    struct leat_batch *due; /* closed and not decided; or NULL */
    uint32_t due_at;
    struct leat_copier *copier; /* of left records */
    struct leat_key_scratch *key_scratch;
    const struct leat_sv *keys; /* of `due`, once it is being decided */
    /* The best right record of each row of a chunk: its time, and how many are before it in its list. */
    int64_t best_us[CHUNK];
    uint64_t best_at[CHUNK];
    const void **left, **right; /* that `where` is asked about */
    uint64_t *places;
    uint8_t *ok;
    uint32_t judged_max;
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
    if (leat__copy_push(a->copier, a->due, record) < 0)
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

/* The record at `at` of its list is at least as good as the best so far: of one time the last. */
static void consider(struct asof *a, uint32_t i, int64_t left_us, int64_t right_us, uint64_t at)
{
    const uint64_t new = distance(left_us, right_us), old = distance(left_us, a->best_us[i]);
    const bool is_better = a->best_at[i] == NOWHERE || new < old ||
        (new == old &&right_us <= a->best_us[i]); /* of two as far away the earlier one */
    if (!is_better)
        return;
    a->best_us[i] = right_us;
    a->best_at[i] = at;
}

static int judge(struct asof *a, struct leat__ctx *ctx, uint32_t i, int64_t left_us,
    const struct leat_list_row *const *others, uint32_t count)
{
    LEAT_TRY(leat__join_matches(a->join.output, ctx, a->left, a->right, count, a->ok));
    for (uint32_t k = 0; k < count; k++)
        if (a->ok[k])
            consider(a, i, left_us, others[k]->event_us, a->places[k]);
    return 0;
}

/* All of a list. */
static int look_at_list(
    struct asof *a, struct leat__ctx *ctx, uint32_t i, uint32_t row, const struct leat_list_row *other)
{
    const struct leat_list_row **others = a->join.candidates.others;
    const int64_t left_us = a->due->event_us[row];
    uint32_t count = 0;
    for (uint64_t at = 0; other; other = other->next, at++) {
        a->join.scanned++;
        if (!is_near(spec_of(a), left_us, other->event_us))
            continue;
        if (!others) {
            consider(a, i, left_us, other->event_us, at);
            continue;
        }
        a->left[count] = leat_batch_at(a->due, row);
        a->right[count] = other->record;
        a->places[count] = at;
        others[count++] = other;
        if (count == a->judged_max) {
            LEAT_TRY(judge(a, ctx, i, left_us, others, count));
            count = 0;
        }
    }
    return count ? judge(a, ctx, i, left_us, others, count) : 0;
}

static int64_t first_bucket(const struct asof *a, uint32_t row)
{
    const struct asof_spec *spec = spec_of(a);
    return spec->is_endless ? 0
                            : leat__interval_bucket(&spec->interval,
                                  leat__sub_saturated(a->due->event_us[row], spec->interval.before_us));
}

static int64_t last_bucket(const struct asof *a, uint32_t row)
{
    const struct asof_spec *spec = spec_of(a);
    return spec->is_endless ? 0
                            : leat__interval_bucket(&spec->interval,
                                  leat__add_saturated(a->due->event_us[row], spec->interval.after_us));
}

static int fetch(struct asof *a, struct leat__ctx *ctx, int64_t bucket, const struct leat_sv *keys,
    const uint32_t *rows, uint32_t count, const struct leat_list_row **lists)
{
    if (leat__table_lists(
            a->join.tables[LEAT__RIGHT], bucket, keys, a->due->key_hash, rows, count, lists, ctx->error) < 0)
        return leat__fail_here(ctx);
    return 0;
}

/* The best of each row, from the nth bucket in its reach. */
static int look_at_buckets(struct asof *a, struct leat__ctx *ctx, uint32_t nth, const struct leat_sv *keys,
    const uint32_t *rows, uint32_t count)
{
    const struct leat_list_row *lists[CHUNK];
    for (uint32_t from = 0, to; from < count; from = to) {
        const int64_t bucket = first_bucket(a, rows[from]) + nth;
        for (to = from + 1; to < count && first_bucket(a, rows[to]) + nth == bucket; to++)
            ;
        if (bucket > last_bucket(a, rows[to - 1])) /* rows are in the order of time */
            continue;
        LEAT_TRY(fetch(a, ctx, bucket, keys, rows + from, to - from, lists));
        for (uint32_t i = from; i < to; i++)
            if (bucket <= last_bucket(a, rows[i]))
                LEAT_TRY(look_at_list(a, ctx, i, rows[i], lists[i - from]));
    }
    return 0;
}

static int give_one(
    struct asof *a, struct leat__ctx *ctx, uint32_t i, uint32_t row, const struct leat_sv *keys)
{
    struct leat__join_pair pair = { .left = leat_batch_at(a->due, row),
        .event_us = a->due->event_us[row],
        .key_hash = a->due->key_hash[row] };
    if (a->best_at[i] != NOWHERE) {
        const struct asof_spec *spec = spec_of(a);
        const int64_t bucket = spec->is_endless ? 0 : leat__interval_bucket(&spec->interval, a->best_us[i]);
        const struct leat_list_row *other;
        LEAT_TRY(leat__join_output_flush(a->join.output, ctx)); /* before the list is let go */
        LEAT_TRY(fetch(a, ctx, bucket, keys, &row, 1, &other));
        for (uint64_t at = 0; at < a->best_at[i]; at++)
            other = other->next;
        pair.right = other->record;
    }
    if (!pair.right && a->join.spec->pairs.kind == LEAT_JOIN_INNER)
        return 0;
    return leat__join_output_pair(a->join.output, ctx, &pair);
}

static int decide_some(struct asof *a, struct leat__ctx *ctx)
{
    uint32_t rows[CHUNK], spare[CHUNK];
    const uint32_t left = a->due->count - a->due_at, count = left < CHUNK ? left : CHUNK;
    if (a->due_at == 0 &&
        leat__key_eval(a->join.spec->pairs.keys[LEAT__LEFT], a->key_scratch, &ctx->user, a->due, &a->keys) <
            0)
        return leat__rows_nomem(ctx, "keys");
    for (uint32_t i = 0; i < count; i++) {
        rows[i] = a->due_at + i;
        a->best_at[i] = NOWHERE;
        a->best_us[i] = 0;
    }
    leat__interval_sort(a->due->event_us, rows, spare, count);
    for (uint32_t nth = 0; nth < 3; nth++)
        LEAT_TRY(look_at_buckets(a, ctx, nth, a->keys, rows, count));
    for (uint32_t i = 0; i < count; i++)
        LEAT_TRY(give_one(a, ctx, i, rows[i], a->keys));
    a->due_at += count;
    return leat__join_output_flush(a->join.output, ctx);
}

/* All that is due. LEAT_MORE when this call has done enough. */
static int decide(struct asof *a, struct leat__ctx *ctx)
{
    while (a->due && a->due_at < a->due->count) {
        if (a->join.scanned >= LEAT__JOIN_SCANNED_PER_CALL || *a->join.given >= LEAT_OP_BATCHES_PER_CALL)
            return LEAT_MORE;
        LEAT_TRY(decide_some(a, ctx));
    }
    leat__batch_release(a->due);
    a->due = NULL;
    a->due_at = 0;
    a->join.is_full = false;
    return 0;
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

/* Of the first two of a list that are old enough the older one goes, again and again: whatever left record may come is
 * nearer to the other. */
static int prune(struct asof *a, struct leat__ctx *ctx, int64_t bucket, struct leat_sv key, uint64_t hash)
{
    struct leat_table *table = a->join.tables[LEAT__RIGHT];
    const int64_t until_us = done_us(a, ctx);
    const uint32_t row = 0;
    for (;;) {
        const struct leat_list_row *first;
        if (leat__table_lists(table, bucket, &key, &hash, &row, 1, &first, ctx->error) < 0)
            return leat__fail_here(ctx);
        if (!first || !first->next || first->event_us > until_us || first->next->event_us > until_us ||
            until_us == LEAT_TIME_MIN)
            return 0;
        const bool first_goes = first->event_us <= first->next->event_us;
        if (leat__table_cut(table, bucket, key, hash, first_goes ? NULL : first, ctx->error) < 0)
            return leat__fail_here(ctx);
    }
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
    if (j->spec->pairs.where) /* the older one may be the one that satisfies it */
        return 0;
    for (uint32_t i = 0; i < j->rows_count; i++) {
        const uint32_t row = j->rows[i];
        const int64_t bucket =
            is_endless ? 0 : leat__interval_bucket(&spec_of(a)->interval, j->in->event_us[row]);
        LEAT_TRY(prune(a, ctx, bucket, j->keys[row], j->in->key_hash[row]));
    }
    return 0;
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
        LEAT_TRY(j->side == LEAT__RIGHT ? append_right(a, ctx) : leat__interval_append(j, ctx));
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
    if (leat__copier_new(leat__input_type(ctx->node, LEAT__LEFT), &a->copier) < 0 ||
        leat__key_scratch_new(&a->key_scratch) < 0)
        return leat__rows_nomem(ctx, "a join");
    if (!j->spec->pairs.where)
        return 0;
    const uint32_t n = a->judged_max = leat__pool_batch_rows(ctx->pool, &j->spec->pairs.pair_type);
    a->left = leat__calloc(n, sizeof *a->left);
    a->right = leat__calloc(n, sizeof *a->right);
    a->places = leat__calloc(n, sizeof *a->places);
    a->ok = leat__calloc(n, sizeof *a->ok);
    j->candidates.others = leat__calloc(n, sizeof *j->candidates.others);
    return a->left && a->right && a->places && a->ok && j->candidates.others ? 0
                                                                             : leat__rows_nomem(ctx, "pairs");
}

static void asof_release(struct leat_op *op, struct leat__ctx *ctx)
{
    struct asof *a = (struct asof *)op;
    (void)ctx;
    leat__batch_release(a->due);
    leat__copier_free(a->copier);
    leat__key_scratch_free(a->key_scratch);
    leat__free(a->left);
    leat__free(a->right);
    leat__free(a->places);
    leat__free(a->ok);
    leat__interval_release(&a->join);
}

static const struct leat_op_class asof_class = {
    .kind = "as-of join",
    .size = sizeof(struct asof),
    .holds = true,
    .init = asof_init,
    .on_batch = asof_on_batch,
    .on_watermark = asof_on_watermark,
    .step = asof_step,
    .snapshot = leat__interval_snapshot,
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
