/* operators/deduplicate.c -- one record of those with equal keys and near times.
 *
 * What is kept lies in buckets of time as long as `within`: namespaces. So what can be near a record is in its
 * bucket, where there is at most one, or in one of the two beside it; and a bucket is dropped as a whole when no
 * record that is not late can be near what is in it. No timer for a key, no walk over keys.
 *
 *   first to come      table "kept", FIXED: key -> time. A chunk of rows of one bucket at a time
 *   all others         table "kept", LIST: key -> the record, to be taken back. Row by row
 *
 * What the watermark has passed by `within` is forgotten, although its bucket may still be there: whether a late
 * record is a duplicate depends on times alone, never on where buckets begin.
 *
 * Invariant: kept records of a key that are not forgotten are more than `within` apart, so that a bucket has one of
 * them at most. A forgotten one makes room for a record that replaces another. */
#include <leat/deduplicate.h>
#include "operators/changes_private.h"
#include "operators/key_private.h"
#include "operators/window_private.h"
#include "state/state.h"
#include "topology/declare.h"

#define CHUNK 256u
#define PREFETCH_AHEAD 8u
#define NEAR 3u /* buckets to look into */
#define LATE_PORT 1u

struct deduplicate_spec {
    const struct leat_key *key;
    const char *key_types;
    int64_t within_us; /* LEAT_NEVER: one bucket */
    bool keeps_last, by_event_time, is_processing;
    bool replaces; /* changes are given */
};

struct kept {
    int64_t is_set, us;
};

struct deduplicate {
    struct leat_op op;
    const struct deduplicate_spec *spec;
    struct leat_table *table;
    struct leat_key_scratch *key_scratch;
    struct leat_copier *copier; /* of records that are kept */
    struct leat__changes changes;
    struct leat_batch *batch; /* that is being worked on */
    const struct leat_sv *keys;
    uint32_t at;
    int64_t now_us;
    uint32_t *late;
    uint32_t late_capacity, late_count;
};

/* ---- life ---- */

static int deduplicate_init(struct leat_op *op, struct leat__ctx *ctx)
{
    struct deduplicate *d = (struct deduplicate *)op;
    d->spec = op->node->spec;
    d->changes.type = op->node->outputs[0].type;
    if (leat__key_scratch_new(&d->key_scratch) < 0 || leat__copier_new(d->changes.type, &d->copier) < 0)
        return leat__rows_nomem(ctx, "keys");
    const struct leat_table_opts opts = {
        .node = ctx->node->name,
        .name = "kept",
        .kind = d->spec->replaces ? LEAT_TABLE_LIST : LEAT_TABLE_FIXED,
        .key_size = leat__key_fixed_size(d->spec->key),
        .value_size = d->spec->replaces ? 0 : sizeof(struct kept),
        .row_type = d->spec->replaces ? d->changes.type : NULL,
        .key_text = d->spec->key_types,
        .format = d->spec->replaces ? "v1; the record that is kept, in buckets" : "v1; a time, in buckets",
        .counted = true,
    };
    return leat__table_open(ctx->state, &opts, &d->table, ctx->error) < 0 ? leat__fail_here(ctx) : 0;
}

static void deduplicate_release(struct leat_op *op, struct leat__ctx *ctx)
{
    struct deduplicate *d = (struct deduplicate *)op;
    (void)ctx;
    leat__batch_release(d->batch);
    leat__changes_release(&d->changes);
    leat__table_close(d->table);
    leat__copier_free(d->copier);
    leat__key_scratch_free(d->key_scratch);
    leat__free(d->late);
}

/* ---- buckets ---- */

static int64_t time_of(const struct deduplicate *d, uint32_t row)
{
    return d->spec->is_processing ? d->now_us : d->batch->event_us[row];
}

/* The bucket's number; the same for all times where nothing is ever forgotten. */
static int64_t bucket_of(const struct deduplicate *d, int64_t us)
{
    const int64_t within_us = d->spec->within_us;
    if (within_us == LEAT_NEVER)
        return 0;
    return us / within_us - (us % within_us < 0);
}

static bool is_near(const struct deduplicate *d, int64_t a, int64_t b)
{
    const int64_t apart = a > b ? leat__time_sub(a, b) : leat__time_sub(b, a);
    return apart <= d->spec->within_us;
}

/* Whether nothing is known of a kept record any more. What is near it, and still comes, is late. By the wall clock
 * is_near says it all. */
static bool is_forgotten(const struct deduplicate *d, const struct leat__ctx *ctx, int64_t us)
{
    if (d->spec->is_processing || d->spec->within_us == LEAT_NEVER)
        return false;
    return leat__time_passed(leat__time_add(us, d->spec->within_us), leat__ctx_late_wm(ctx, d->batch));
}

/* Whether nothing that comes can be near what is in the bucket. */
static bool is_over(const struct deduplicate *d, int64_t bucket, int64_t w)
{
    const int64_t within_us = d->spec->within_us;
    int64_t last_us;
    if (within_us == LEAT_NEVER || w == LEAT_TIME_MIN)
        return false;
    if (__builtin_mul_overflow(bucket, within_us, &last_us))
        last_us = LEAT_TIME_MIN;
    last_us = leat__time_add(leat__time_add(last_us, within_us), -1);
    return leat__time_add(last_us, within_us) <= w;
}

static int drop_buckets(struct deduplicate *d, struct leat__ctx *ctx, int64_t w)
{
    int64_t bucket;
    int found;
    while ((found = leat__table_next_namespace(d->table, LEAT_TIME_MIN, &bucket, ctx->error)) > 0) {
        if (!is_over(d, bucket, w))
            return 0;
        if (leat__table_drop(d->table, bucket, ctx->error) < 0)
            return leat__fail_here(ctx);
    }
    return found < 0 ? leat__fail_here(ctx) : 0;
}

/* By the wall clock: when the first bucket is over. */
static int set_wake(struct deduplicate *d, struct leat__ctx *ctx)
{
    int64_t bucket;
    if (!d->spec->is_processing || d->spec->within_us == LEAT_NEVER)
        return 0;
    const int found = leat__table_next_namespace(d->table, LEAT_TIME_MIN, &bucket, ctx->error);
    if (found < 0)
        return leat__fail_here(ctx);
    const int64_t us =
        bucket < LEAT_TIME_MAX / d->spec->within_us - 2 ? (bucket + 2) * d->spec->within_us : LEAT_TIME_MAX;
    ctx->wake_us = found ? us : LEAT_TIME_MAX;
    return 0;
}

/* Whether anything may be in a bucket: 1, 0 or an error. */
static int has_bucket(struct deduplicate *d, struct leat__ctx *ctx, int64_t bucket)
{
    int64_t next;
    const int found = leat__table_next_namespace(d->table, bucket, &next, ctx->error);
    return found < 0 ? leat__fail_here(ctx) : found && next == bucket;
}

/* ---- the first to come ---- */

static bool is_late(const struct deduplicate *d, const struct leat__ctx *ctx, uint32_t row)
{
    const int64_t w = leat__ctx_late_wm(ctx, d->batch);
    if (d->spec->is_processing || d->spec->within_us == LEAT_NEVER)
        return false;
    return leat__time_passed(d->batch->event_us[row], w);
}

/* Whether rows are near what another bucket has. */
static int mark_near(struct deduplicate *d, struct leat__ctx *ctx, int64_t bucket, const uint32_t *rows,
    uint32_t count, bool *near)
{
    void *found[CHUNK];
    const int exists = has_bucket(d, ctx, bucket);
    if (exists <= 0)
        return exists;
    if (leat__table_find(d->table, bucket, d->keys, d->batch->key_hash, rows, count, found, ctx->error) < 0)
        return leat__fail_here(ctx);
    for (uint32_t i = 0; i < count; i++) {
        const struct kept *kept = found[i];
        near[i] =
            near[i] || (kept && is_near(d, kept->us, time_of(d, rows[i])) && !is_forgotten(d, ctx, kept->us));
    }
    return 0;
}

/* Keys for which a place was made that nobody took. */
static int remove_places(
    struct deduplicate *d, struct leat__ctx *ctx, int64_t bucket, const uint32_t *rows, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t r = rows[i];
        void *found;
        if (leat__table_find(d->table, bucket, d->keys, d->batch->key_hash, &r, 1, &found, ctx->error) < 0)
            return leat__fail_here(ctx);
        if (!found || ((const struct kept *)found)->is_set)
            continue;
        if (leat__table_remove(d->table, bucket, d->keys[r], d->batch->key_hash[r], ctx->error) < 0)
            return leat__fail_here(ctx);
    }
    return 0;
}

/* Marks in batch->keep which rows of one bucket are new. */
static int judge_rows(
    struct deduplicate *d, struct leat__ctx *ctx, int64_t bucket, const uint32_t *rows, uint32_t count)
{
    void *found[CHUNK];
    bool near[CHUNK] = { false };
    uint32_t left[CHUNK], left_count = 0;
    const bool alone = d->spec->within_us == LEAT_NEVER;
    if (!alone && bucket > LEAT_TIME_MIN)
        LEAT_TRY(mark_near(d, ctx, bucket - 1, rows, count, near));
    if (!alone && bucket < LEAT_TIME_MAX)
        LEAT_TRY(mark_near(d, ctx, bucket + 1, rows, count, near));
    if (leat__table_upsert(d->table, bucket, d->keys, d->batch->key_hash, rows, count, found, ctx->error) < 0)
        return leat__fail_here(ctx);
    for (uint32_t i = 0; i < count; i++) {
        struct kept *kept = found[i];
        const uint32_t r = rows[i];
        d->batch->keep[r] = 0;
        if (kept->is_set && !is_forgotten(d, ctx, kept->us))
            continue; /* in one bucket all are near */
        const bool late = !near[i] && is_late(d, ctx, r);
        if (late)
            d->late[d->late_count++] = r;
        LEAT_ASSERT(!kept->is_set || near[i] || late); /* near what is forgotten */
        if (near[i] || late) {
            left[left_count++] = r;
            continue;
        }
        kept->is_set = 1;
        kept->us = time_of(d, r);
        d->batch->keep[r] = 1;
    }
    return remove_places(d, ctx, bucket, left, left_count);
}

static int give_late(struct deduplicate *d, struct leat__ctx *ctx)
{
    struct leat_batch *late;
    if (d->late_count == 0)
        return 0;
    leat__count(&ctx->counters->late_records, d->late_count);
    if (!leat__ctx_consumed(ctx, LATE_PORT))
        return 0;
    LEAT_TRY(leat__rows_gather(ctx, d->batch, d->late, d->late_count, &late));
    return leat__emit(ctx, LATE_PORT, late);
}

/* The whole batch: runs of rows of one bucket. */
static int keep_first(struct deduplicate *d, struct leat__ctx *ctx)
{
    uint32_t rows[CHUNK];
    for (uint32_t from = 0; from < d->batch->count;) {
        const int64_t bucket = bucket_of(d, time_of(d, from));
        uint32_t count = 0;
        while (count < CHUNK && from + count < d->batch->count &&
            bucket_of(d, time_of(d, from + count)) == bucket) {
            rows[count] = from + count;
            count++;
        }
        LEAT_TRY(judge_rows(d, ctx, bucket, rows, count));
        from += count;
    }
    LEAT_TRY(give_late(d, ctx));
    struct leat_batch *batch = d->batch;
    d->batch = NULL;
    leat__batch_compact(batch);
    return leat__emit(ctx, 0, batch);
}

/* ---- those that replace each other ---- */

/* Records that row i is a duplicate of, in the order of their times. */
struct near_one {
    int64_t bucket, us;
    const void *record;
};

/* What is known of a row's keys. */
struct nearby {
    struct near_one near[NEAR];
    uint32_t count;
    bool has_own; /* its own bucket has a record, perhaps a forgotten one */
};

static bool is_better(const struct deduplicate *d, int64_t us, const struct near_one *kept)
{
    if (!d->spec->by_event_time)
        return d->spec->keeps_last;
    return d->spec->keeps_last ? us >= kept->us : us < kept->us;
}

/* The list of a bucket: one record, or NULL; its address is good until the next call of the table. */
static int list_of(struct deduplicate *d, struct leat__ctx *ctx, int64_t bucket, uint32_t row,
    const struct leat_list_row **list)
{
    return leat__table_lists(d->table, bucket, d->keys, d->batch->key_hash, &row, 1, list, ctx->error) < 0
        ? leat__fail_here(ctx)
        : 0;
}

static int find_near(struct deduplicate *d, struct leat__ctx *ctx, uint32_t row, struct nearby *n)
{
    const int64_t us = time_of(d, row), bucket = bucket_of(d, us);
    const bool alone = d->spec->within_us == LEAT_NEVER;
    *n = (struct nearby){ .count = 0 };
    for (int64_t by = alone ? 0 : -1; by <= (alone ? 0 : 1); by++) {
        const struct leat_list_row *list;
        if ((by < 0 && bucket == LEAT_TIME_MIN) || (by > 0 && bucket == LEAT_TIME_MAX))
            continue;
        LEAT_TRY(list_of(d, ctx, bucket + by, row, &list));
        if (by == 0)
            n->has_own = list != NULL;
        if (list && is_near(d, list->event_us, us) && !is_forgotten(d, ctx, list->event_us))
            n->near[n->count++] = (struct near_one){ bucket + by, list->event_us, list->record };
    }
    return 0;
}

/* A copy of the record as a row that is given. */
static int give_copy(struct deduplicate *d, struct leat__ctx *ctx, int which, const void *record)
{
    struct leat_batch *out;
    LEAT_TRY(leat__changes_row(&d->changes, ctx, which, &out));
    void *row = leat_batch_at(out, out->count - 1);
    memcpy(row, record, out->stride);
    return leat__copy_adopt(d->copier, out, row) < 0 ? leat__rows_nomem(ctx, "a record") : 0;
}

/* The record of the bucket is taken back; it stays in the row's own bucket, where the row will replace it. */
static int take_back(struct deduplicate *d, struct leat__ctx *ctx, uint32_t row, int64_t bucket)
{
    const struct leat_list_row *kept;
    LEAT_TRY(list_of(d, ctx, bucket, row, &kept));
    LEAT_ASSERT(kept);
    LEAT_TRY(give_copy(d, ctx, LEAT__BEFORE, kept->record));
    if (bucket == bucket_of(d, time_of(d, row)))
        return 0;
    return leat__table_remove(d->table, bucket, d->keys[row], d->batch->key_hash[row], ctx->error) < 0
        ? leat__fail_here(ctx)
        : 0;
}

/* `replaces`: what its bucket has, which list_of has given last. */
static int keep_row(struct deduplicate *d, struct leat__ctx *ctx, uint32_t row, bool replaces)
{
    const int64_t us = time_of(d, row), event_us = d->batch->event_us[row], bucket = bucket_of(d, us);
    const uint64_t *hashes = d->batch->key_hash;
    const struct leat_list_put put = { .batch = d->batch, .row = row, .replaces = true };
    d->batch->event_us[row] = us; /* what the list keeps as its time */
    const int code = replaces
        ? leat__table_put(d->table, bucket, d->keys[row], hashes[row], &put, ctx->error)
        : leat__table_append(d->table, bucket, d->keys, hashes, &row, 1, d->batch, ctx->error);
    d->batch->event_us[row] = event_us;
    return code < 0 ? leat__fail_here(ctx) : 0;
}

static int replace_row(struct deduplicate *d, struct leat__ctx *ctx, uint32_t row)
{
    struct nearby n;
    const int64_t event_us = d->batch->event_us[row], bucket = bucket_of(d, time_of(d, row));
    const uint64_t hash = d->batch->key_hash[row];
    const struct leat_list_row *own;
    LEAT_TRY(find_near(d, ctx, row, &n));
    for (uint32_t i = 0; i < n.count; i++)
        if (!is_better(d, time_of(d, row), &n.near[i]))
            return 0;
    if (n.count == 0 && is_late(d, ctx, row)) {
        d->late[d->late_count++] = row;
        return 0;
    }
    for (uint32_t i = 1; i < n.count; i++) { /* beyond the one that is replaced */
        LEAT_TRY(leat__changes_begin(&d->changes, ctx, d->batch, event_us, hash));
        LEAT_TRY(take_back(d, ctx, row, n.near[i].bucket));
        LEAT_TRY(leat__changes_settle(&d->changes, ctx));
    }
    LEAT_TRY(leat__changes_begin(&d->changes, ctx, d->batch, event_us, hash));
    const bool is_only = n.count == 1 && d->spec->within_us == LEAT_NEVER;
    if (is_only)
        LEAT_TRY(give_copy(d, ctx, LEAT__BEFORE, n.near[0].record));
    else if (n.count)
        LEAT_TRY(take_back(d, ctx, row, n.near[0].bucket));
    LEAT_TRY(give_copy(d, ctx, LEAT__AFTER, leat_batch_at(d->batch, row)));
    LEAT_TRY(leat__changes_settle(&d->changes, ctx));
    if (n.has_own && !is_only)
        LEAT_TRY(list_of(d, ctx, bucket, row, &own));
    return keep_row(d, ctx, row, n.has_own);
}

static int replace_rows(struct deduplicate *d, struct leat__ctx *ctx)
{
    d->changes.batches_given = 0;
    while (d->at < d->batch->count) {
        const uint32_t ahead = d->at + PREFETCH_AHEAD;
        if (ahead < d->batch->count)
            leat__table_prefetch(d->table, bucket_of(d, time_of(d, ahead)), d->batch->key_hash[ahead]);
        LEAT_TRY(replace_row(d, ctx, d->at++));
        if (d->changes.batches_given >= LEAT_OP_BATCHES_PER_CALL)
            return LEAT_MORE;
    }
    LEAT_TRY(leat__changes_flush(&d->changes, ctx));
    LEAT_TRY(give_late(d, ctx));
    leat__batch_release(d->batch);
    d->batch = NULL;
    return 0;
}

/* ---- calls ---- */

static int finish(struct deduplicate *d, struct leat__ctx *ctx, int code)
{
    if (code != 0)
        return code;
    __atomic_store_n(&ctx->counters->state_keys, leat__table_keys_count_all(d->table), __ATOMIC_RELAXED);
    return set_wake(d, ctx);
}

static int deduplicate_on_batch(
    struct leat_op *op, struct leat__ctx *ctx, uint32_t input, struct leat_batch *batch)
{
    struct deduplicate *d = (struct deduplicate *)op;
    LEAT_ASSERT(input == 0 && batch->count > 0 && !d->batch);
    LEAT_TRY(leat__rows_writable(ctx, batch, &batch));
    d->batch = batch;
    d->at = d->late_count = 0;
    leat__ctx_begin(ctx, batch, NULL);
    LEAT_TRY(leat__rows_keys(ctx, d->spec->key, d->key_scratch, &d->batch, &d->keys));
    if (!d->batch)
        return 0;
    LEAT_TRY(leat__rows_reserve(ctx, &d->late, &d->late_capacity, d->batch->count));
    if (d->spec->is_processing) {
        d->now_us = ctx->api->now_us(ctx);
        LEAT_TRY(drop_buckets(d, ctx, d->now_us));
    }
    return finish(d, ctx, d->spec->replaces ? replace_rows(d, ctx) : keep_first(d, ctx));
}

static int deduplicate_step(struct leat_op *op, struct leat__ctx *ctx)
{
    struct deduplicate *d = (struct deduplicate *)op;
    return finish(d, ctx, replace_rows(d, ctx));
}

static int deduplicate_on_watermark(struct leat_op *op, struct leat__ctx *ctx, int64_t w)
{
    struct deduplicate *d = (struct deduplicate *)op;
    if (d->spec->is_processing)
        return 0;
    LEAT_TRY(drop_buckets(d, ctx, w));
    return finish(d, ctx, 0);
}

static int deduplicate_on_time(struct leat_op *op, struct leat__ctx *ctx, int64_t now_us)
{
    struct deduplicate *d = (struct deduplicate *)op;
    LEAT_TRY(drop_buckets(d, ctx, now_us));
    return finish(d, ctx, 0);
}

static int deduplicate_restore(
    struct leat_op *op, struct leat__ctx *ctx, const struct leat_sv *parts, uint32_t count)
{
    (void)parts;
    (void)count;
    return finish((struct deduplicate *)op, ctx, 0);
}

/* Nothing beside the table: the version is all. */
static int deduplicate_snapshot(struct leat_op *op, struct leat__ctx *ctx, struct leat_strbuf *out)
{
    (void)op;
    leat__strbuf_char(out, 1);
    return out->failed ? leat__rows_nomem(ctx, "a snapshot") : 0;
}

static const struct leat_op_class first_class = {
    .kind = "deduplicate",
    .size = sizeof(struct deduplicate),
    .keeps_rows = true,
    .init = deduplicate_init,
    .on_batch = deduplicate_on_batch,
    .on_watermark = deduplicate_on_watermark,
    .on_time = deduplicate_on_time,
    .snapshot = deduplicate_snapshot,
    .restore = deduplicate_restore,
    .release = deduplicate_release,
};

static const struct leat_op_class replacing_class = {
    .kind = "deduplicate",
    .size = sizeof(struct deduplicate),
    .init = deduplicate_init,
    .on_batch = deduplicate_on_batch,
    .on_watermark = deduplicate_on_watermark,
    .step = deduplicate_step,
    .on_time = deduplicate_on_time,
    .snapshot = deduplicate_snapshot,
    .restore = deduplicate_restore,
    .release = deduplicate_release,
};

/* ---- declaration ---- */

static void check_opts(
    struct leat_node *node, struct deduplicate_spec *spec, const struct leat_deduplicate_opts *o)
{
    spec->within_us = o->within_us;
    spec->keeps_last = o->keep == LEAT_KEEP_LAST;
    spec->by_event_time = o->by_event_time;
    spec->is_processing = o->time == LEAT_PROCESSING_TIME;
    spec->replaces = spec->keeps_last || spec->by_event_time;
    if (o->keep > LEAT_KEEP_LAST)
        leat__declare_error(
            node, "keep", LEAT_EDECLARE, "%d is none of LEAT_KEEP_FIRST, LEAT_KEEP_LAST", (int)o->keep);
    if (o->time > LEAT_PROCESSING_TIME)
        leat__declare_error(
            node, "time", LEAT_EDECLARE, "%d is none of LEAT_EVENT_TIME, LEAT_PROCESSING_TIME", (int)o->time);
    if (o->within_us <= 0)
        leat__declare_error(node, "within_us", LEAT_EDECLARE,
            "%lld: how far apart duplicates can be is above 0; LEAT_NEVER if there is no limit",
            (long long)o->within_us);
    if (spec->is_processing && spec->by_event_time)
        leat__declare_error(node, "by_event_time", LEAT_EDECLARE,
            "records are near by the wall clock, so their order is that of arrival: leave one of the two "
            "out");
    if ((!spec->is_processing && o->within_us != LEAT_NEVER) || spec->by_event_time)
        leat__need_event_time(node, 0);
}

leat_stream *leat_deduplicate_sized(
    leat_keyed_stream *in, const char *name, const struct leat_deduplicate_opts *opts, size_t size)
{
    struct leat_deduplicate_opts o;
    char text[32];
    struct leat_node *node = leat__declare(in->in.t, name, LEAT_NODE_OPERATOR, first_class.kind);
    leat__input(node, 0, &in->in, LEAT_HASH, in->key);
    leat__input_via(node, 0, in->virtual_node);
    leat__opts_copy(node, &o, sizeof o, opts, size);
    struct deduplicate_spec *spec = leat__spec(node, sizeof *spec);
    if (!spec || !opts)
        return leat__stream(node, 0);
    check_opts(node, spec, &o);
    spec->key = in->key;
    node->op = spec->replaces ? &replacing_class : &first_class;
    node->spec = spec;
    node->detail = leat__spec_printf(node, "the %s%s%s%s", spec->keeps_last ? "last" : "first",
        spec->by_event_time ? " by event time" : "", o.within_us == LEAT_NEVER ? "" : " within ",
        o.within_us == LEAT_NEVER ? "" : leat__duration_text(o.within_us, text));
    const struct leat_type *type = leat__input_type(node, 0);
    const uint32_t port = leat__output(node, type, NULL);
    node->outputs[port].changes = spec->replaces;
    (void)leat__output(node, type, "late");
    if (!leat__node_is_inert(node)) {
        node->outputs[port].partitioned_by = leat__key_is_fn(in->key) ? NULL : leat__key_text(in->key);
        spec->key_types = leat__key_describe(node, in->key, LEAT_KEY_NULLS_GROUP);
    }
    return leat__stream(node, 0);
}
