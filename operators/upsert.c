/* operators/upsert.c -- a plain stream as a table: each record replaces the one before of its key.
 *
 *   table "rows"      key -> the record that counts (a list of one), or, by event time, one that has deleted, flagged,
 *                     while one that came before it may still be on its way
 *   table "deleted"   by event time: the keys of such ones, in buckets of time; looked through when the watermark has
 *                     passed the bucket
 *   table "ages"      with a time to live: key -> when its record came, and the timer that is set
 *   timers "gone"     one per key at a time. When it goes off the key is looked at, and it is set again if the record
 *                     is not that old
 *
 * What takes back, in a stream of changes, deletes: an UPDATE_BEFORE becomes one of the record that is here, and the
 * UPDATE_AFTER behind it an UPDATE_AFTER, which is the pair again; alone each of them is what it says. So nothing
 * needs to be held until it is known what follows.
 *
 * Invariants: (1) a list of "rows" has one row; (2) a flagged row is in "deleted" in the bucket of its time; (3)
 * where there is a time to live, a key is in "ages" iff it has a record; (4) between calls that have returned 0 all
 * that was made is given. */
#include "base/hash.h"
#include "operators/changes_private.h"
#include "operators/key_private.h"
#include "operators/predicate_private.h"
#include "operators/timers_private.h"
#include "operators/window_private.h"
#include "record/equal.h"
#include "topology/declare.h"
#include <leat/table.h>

#define CHUNK 256u
#define ITEMS 64u
#define KEYS_PER_CALL 4096u
#define LATE_PORT 1u
#define BUCKET_SHIFT 26u /* about a minute */
#define DELETED 1u

struct upsert_spec {
    struct leat_key *key;
    const char *key_types;
    struct leat__predicate deletes; /* or */
    struct leat_place value;
    bool has_value, by_event_time, ttl_is_processing;
    int64_t ttl_us; /* 0: none */
};

struct age {
    int64_t came_us;
    int64_t timer_us; /* the one that counts */
};

struct upsert {
    struct leat_op op;
    const struct upsert_spec *spec;
    struct leat_table *rows, *deleted, *ages;
    struct leat__timers gone;
    struct leat_key_scratch *key_scratch;
    struct leat_expr_scratch *deletes;
    struct leat_copier *copier;
    struct leat__changes changes;
    struct leat_batch *batch; /* that is being worked on */
    const struct leat_sv *keys;
    uint32_t at;
    uint32_t *late;
    uint32_t late_capacity, late_count;
    struct leat_strbuf bytes; /* keys of a cursor's items; of a timer */
    struct leat_cursor *cursor; /* of a bucket of "deleted" */
    int64_t bucket;
    bool is_sweeping, is_forgetting;
    int64_t sweep_us, forget_us;
    uint32_t keys_seen; /* in this call */
};

/* ---- life ---- */

static int open_tables(struct upsert *u, struct leat__ctx *ctx)
{
    const struct upsert_spec *spec = u->spec;
    struct leat_table_opts opts = {
        .node = ctx->node->name,
        .name = "rows",
        .kind = LEAT_TABLE_LIST,
        .key_size = leat__key_fixed_size(spec->key),
        .row_type = u->changes.type,
        .key_text = spec->key_types,
        .format = "v1; the record that counts",
        .schema = u->changes.type->schema,
        .counted = true,
    };
    if (leat__table_open(ctx->state, &opts, &u->rows, ctx->error) < 0)
        return leat__fail_here(ctx);
    opts.kind = LEAT_TABLE_FIXED;
    opts.schema = NULL;
    opts.row_type = NULL;
    opts.counted = false;
    opts.name = "deleted";
    opts.value_size = sizeof(uint64_t);
    opts.format = "v1; nothing, in buckets of 2^26 us";
    if (spec->by_event_time && leat__table_open(ctx->state, &opts, &u->deleted, ctx->error) < 0)
        return leat__fail_here(ctx);
    opts.name = "ages";
    opts.value_size = sizeof(struct age);
    opts.format = "v1; when it came, and the timer";
    if (spec->ttl_us && leat__table_open(ctx->state, &opts, &u->ages, ctx->error) < 0)
        return leat__fail_here(ctx);
    const struct leat__timers_opts timers = {
        .name = "gone", .key_size = leat__key_fixed_size(spec->key), .key_types = spec->key_types
    };
    return spec->ttl_us ? leat__timers_open(&u->gone, ctx, &timers) : 0;
}

static int upsert_init(struct leat_op *op, struct leat__ctx *ctx)
{
    struct upsert *u = (struct upsert *)op;
    u->spec = op->node->spec;
    u->changes.type = op->node->outputs[0].type;
    if (leat__key_scratch_new(&u->key_scratch) < 0 || leat__copier_new(u->changes.type, &u->copier) < 0)
        return leat__rows_nomem(ctx, "keys");
    if (u->spec->deletes.expr)
        LEAT_TRY(leat__predicate_scratch(&u->spec->deletes, ctx, &u->deletes));
    return open_tables(u, ctx);
}

static void upsert_release(struct leat_op *op, struct leat__ctx *ctx)
{
    struct upsert *u = (struct upsert *)op;
    (void)ctx;
    leat__batch_release(u->batch);
    leat__changes_release(&u->changes);
    leat__cursor_close(u->cursor);
    leat__table_close(u->rows);
    leat__table_close(u->deleted);
    leat__table_close(u->ages);
    if (u->spec && u->spec->ttl_us)
        leat__timers_close(&u->gone);
    leat__copier_free(u->copier);
    leat__expr_scratch_free(u->deletes);
    leat__key_scratch_free(u->key_scratch);
    leat__strbuf_release(&u->bytes);
    leat__free(u->late);
}

/* ---- the record of a key ---- */

/* Good until the next call of the state. */
static int find_row(struct upsert *u, struct leat__ctx *ctx, struct leat_sv key, uint64_t hash,
    const struct leat_list_row **row)
{
    return leat__table_lists(u->rows, 0, &key, &hash, NULL, 1, row, ctx->error) < 0 ? leat__fail_here(ctx)
                                                                                    : 0;
}

static bool is_deleted(const struct leat_list_row *row)
{
    return (*row->flags & DELETED) != 0;
}

/* A copy of a record as a row that is given. */
static int give_copy(struct upsert *u, struct leat__ctx *ctx, int which, const void *record)
{
    struct leat_batch *out;
    LEAT_TRY(leat__changes_row(&u->changes, ctx, which, &out));
    void *row = leat_batch_at(out, out->count - 1);
    memcpy(row, record, out->stride);
    return leat__copy_adopt(u->copier, out, row) < 0 ? leat__rows_nomem(ctx, "a record") : 0;
}

/* The only row that has been made says `change`, and there is no more to it. */
static int settle_as(struct upsert *u, struct leat__ctx *ctx, int which, enum leat_change change)
{
    struct leat_batch *batch = u->changes.made[which].batch;
    const uint32_t row = u->changes.made[which].row;
    if (batch && !u->changes.made[!which].batch && change == LEAT_UPDATE_BEFORE) {
        /* settle would make it a DELETE */
        leat__batch_set_change(batch, row, LEAT_UPDATE_BEFORE);
        u->changes.made[which].batch = NULL;
    } else if (batch && !u->changes.made[!which].batch && change == LEAT_UPDATE_AFTER) {
        leat__batch_set_change(batch, row, LEAT_UPDATE_AFTER);
    }
    return leat__changes_settle(&u->changes, ctx);
}

/* ---- ages ---- */

static int64_t now_of(const struct upsert *u, const struct leat__ctx *ctx, uint32_t row)
{
    const int64_t w = leat__ctx_late_wm(ctx, u->batch), event_us = u->batch->event_us[row];
    if (u->spec->ttl_is_processing)
        return ctx->api->now_us(ctx);
    return event_us > w ? event_us : w;
}

static int set_age(struct upsert *u, struct leat__ctx *ctx, uint32_t row, int64_t now_us)
{
    const struct leat_sv key = u->keys[row], none = { NULL, 0 };
    void *value;
    if (leat__table_upsert(u->ages, 0, u->keys, u->batch->key_hash, &row, 1, &value, ctx->error) < 0)
        return leat__fail_here(ctx);
    struct age *age = value;
    const int64_t gone_us = leat__time_add(now_us, u->spec->ttl_us);
    const bool is_new = age->timer_us == 0 && age->came_us == 0;
    if (is_new || age->came_us < now_us)
        age->came_us = now_us;
    if (!is_new)
        return 0;
    age->timer_us = gone_us;
    return leat__timers_set(&u->gone, ctx, gone_us, none, key);
}

static int forget_age(struct upsert *u, struct leat__ctx *ctx, struct leat_sv key, uint64_t hash)
{
    if (u->ages && leat__table_remove(u->ages, 0, key, hash, ctx->error) < 0)
        return leat__fail_here(ctx);
    return 0;
}

/* When the record of this key is gone; LEAT_TIME_MAX: there is none, or no time to live. */
static int gone_at(
    struct upsert *u, struct leat__ctx *ctx, struct leat_sv key, uint64_t hash, int64_t *gone_us)
{
    void *value = NULL;
    if (u->ages && leat__table_find(u->ages, 0, &key, &hash, NULL, 1, &value, ctx->error) < 0)
        return leat__fail_here(ctx);
    const struct age *age = value;
    *gone_us = age ? leat__time_add(age->came_us, u->spec->ttl_us) : LEAT_TIME_MAX;
    return 0;
}

/* The record of the key, if there is one, is deleted at that time. */
static int give_gone(struct upsert *u, struct leat__ctx *ctx, const struct leat_batch *marks,
    struct leat_sv key, uint64_t hash, int64_t event_us)
{
    const struct leat_list_row *row;
    LEAT_TRY(find_row(u, ctx, key, hash, &row));
    if (row && !is_deleted(row)) {
        LEAT_TRY(leat__changes_begin(&u->changes, ctx, marks, event_us, hash));
        LEAT_TRY(give_copy(u, ctx, LEAT__BEFORE, row->record));
        LEAT_TRY(leat__changes_settle(&u->changes, ctx));
        if (leat__table_remove(u->rows, 0, key, hash, ctx->error) < 0)
            return leat__fail_here(ctx);
    }
    return forget_age(u, ctx, key, hash);
}

/* ---- one record ---- */

static int keep_row(struct upsert *u, struct leat__ctx *ctx, uint32_t row, uint8_t flag)
{
    uint8_t *flags = u->batch->keep; /* as wide as it is needed, and nobody looks at this row's any more */
    flags[row] = flag;
    return leat__table_append_flagged(
               u->rows, 0, u->keys, u->batch->key_hash, &row, 1, u->batch, flags, ctx->error) < 0
        ? leat__fail_here(ctx)
        : 0;
}

/* The one before it goes: (1). The key keeps its place. */
static int drop_first(struct upsert *u, struct leat__ctx *ctx, uint32_t row)
{
    const struct leat_list_row *first;
    LEAT_TRY(find_row(u, ctx, u->keys[row], u->batch->key_hash[row], &first));
    return leat__table_cut(u->rows, 0, u->keys[row], u->batch->key_hash[row], NULL, ctx->error) < 0
        ? leat__fail_here(ctx)
        : 0;
}

static int note_deleted(struct upsert *u, struct leat__ctx *ctx, uint32_t row)
{
    const int64_t bucket = u->batch->event_us[row] >> BUCKET_SHIFT;
    void *nothing;
    LEAT_TRY(keep_row(u, ctx, row, DELETED));
    return leat__table_upsert(
               u->deleted, bucket, u->keys, u->batch->key_hash, &row, 1, &nothing, ctx->error) < 0
        ? leat__fail_here(ctx)
        : 0;
}

static int delete_row(struct upsert *u, struct leat__ctx *ctx, uint32_t row, const struct leat_list_row *was)
{
    const struct leat_batch *batch = u->batch;
    const uint8_t change = leat__batch_change(batch, row);
    const bool is_there = was && !is_deleted(was);
    if (change == LEAT_UPDATE_BEFORE && is_there &&
        !leat__record_equal(u->changes.type, was->record, leat_batch_at(batch, row))) {
        leat__count(&ctx->counters->dropped_records, 1); /* another one has taken its place */
        return 0;
    }
    if (is_there)
        LEAT_TRY(give_copy(u, ctx, LEAT__BEFORE, was->record));
    LEAT_TRY(settle_as(u, ctx, LEAT__BEFORE, change));
    if (was && leat__table_remove(u->rows, 0, u->keys[row], batch->key_hash[row], ctx->error) < 0)
        return leat__fail_here(ctx);
    if (is_there)
        LEAT_TRY(forget_age(u, ctx, u->keys[row], batch->key_hash[row]));
    const bool may_be_needed =
        u->spec->by_event_time && !leat__time_passed(batch->event_us[row], leat__ctx_late_wm(ctx, batch));
    return may_be_needed ? note_deleted(u, ctx, row) : 0;
}

static int put_row(struct upsert *u, struct leat__ctx *ctx, uint32_t row, const struct leat_list_row *was)
{
    const struct leat_batch *batch = u->batch;
    const uint8_t change = leat__batch_change(batch, row);
    const bool is_there = was && !is_deleted(was);
    if (is_there)
        LEAT_TRY(give_copy(u, ctx, LEAT__BEFORE, was->record));
    LEAT_TRY(give_copy(u, ctx, LEAT__AFTER, leat_batch_at(batch, row)));
    LEAT_TRY(settle_as(u, ctx, LEAT__AFTER, change));
    if (u->spec->ttl_us)
        LEAT_TRY(set_age(u, ctx, row, now_of(u, ctx, row)));
    LEAT_TRY(keep_row(u, ctx, row, 0));
    return was ? drop_first(u, ctx, row) : 0;
}

/* A deletion that the watermark has passed, and that nobody has looked for yet. */
static bool is_forgotten(
    const struct leat__ctx *ctx, const struct leat_batch *batch, const struct leat_list_row *row)
{
    return is_deleted(row) && leat__time_passed(row->event_us, leat__ctx_late_wm(ctx, batch));
}

static int do_row(struct upsert *u, struct leat__ctx *ctx, uint32_t row)
{
    const struct leat_batch *batch = u->batch;
    const uint8_t change = leat__batch_change(batch, row);
    const bool deletes = batch->keep[row] || change == LEAT_UPDATE_BEFORE || change == LEAT_DELETE;
    const int64_t event_us = batch->event_us[row];
    const struct leat_sv key = u->keys[row];
    const uint64_t hash = batch->key_hash[row];
    const struct leat_list_row *was = NULL;
    int64_t gone_us = LEAT_TIME_MAX;
    LEAT_TRY(gone_at(u, ctx, key, hash, &gone_us));
    if (u->spec->ttl_us && gone_us <= now_of(u, ctx, row)) {
        const bool is_ahead = u->spec->ttl_is_processing || event_us < gone_us;
        LEAT_TRY(give_gone(u, ctx, batch, key, hash, is_ahead ? event_us : gone_us));
    }
    LEAT_TRY(find_row(u, ctx, key, hash, &was));
    if (u->spec->by_event_time && was && event_us < was->event_us && !is_forgotten(ctx, batch, was)) {
        u->late[u->late_count++] = row;
        return 0;
    }
    LEAT_TRY(leat__changes_begin(&u->changes, ctx, batch, event_us, hash));
    return deletes ? delete_row(u, ctx, row, was) : put_row(u, ctx, row, was);
}

/* ---- batches ---- */

static int give_late(struct upsert *u, struct leat__ctx *ctx)
{
    struct leat_batch *late;
    if (u->late_count == 0)
        return 0;
    leat__count(&ctx->counters->late_records, u->late_count);
    if (!leat__ctx_consumed(ctx, LATE_PORT))
        return 0;
    LEAT_TRY(leat__rows_gather(ctx, u->batch, u->late, u->late_count, &late));
    return leat__emit(ctx, LATE_PORT, late);
}

/* Brings what the table has of the next rows near, all at once: each is looked up by itself, since one may change what
 * the next finds, and would wait for memory (or the store) by itself. */
static int look_ahead(struct upsert *u, struct leat__ctx *ctx)
{
    const struct leat_list_row *lists[CHUNK];
    const uint32_t left = u->batch->count - u->at, count = left < CHUNK ? left : CHUNK;
    if (leat__table_lists(
            u->rows, 0, u->keys + u->at, u->batch->key_hash + u->at, NULL, count, lists, ctx->error) < 0)
        return leat__fail_here(ctx);
    for (uint32_t i = 0; i < count; i++) {
        __builtin_prefetch(lists[i]);
        __builtin_prefetch((const char *)lists[i] + 64); /* of the record */
    }
    return 0;
}

static int do_batch(struct upsert *u, struct leat__ctx *ctx)
{
    while (u->at < u->batch->count) {
        if (u->at % CHUNK == 0)
            LEAT_TRY(look_ahead(u, ctx));
        LEAT_TRY(do_row(u, ctx, u->at++));
        if (u->changes.batches_given >= LEAT_OP_BATCHES_PER_CALL)
            return LEAT_MORE;
    }
    LEAT_TRY(leat__changes_flush(&u->changes, ctx));
    LEAT_TRY(give_late(u, ctx));
    leat__batch_release(u->batch);
    u->batch = NULL;
    return 0;
}

/* Marks in batch->keep which rows delete. */
static int mark_deletes(struct upsert *u, struct leat__ctx *ctx)
{
    struct leat_batch *batch = u->batch;
    if (u->spec->deletes.expr)
        return leat__predicate_mark(&u->spec->deletes, u->deletes, ctx, batch);
    for (uint32_t i = 0; i < batch->count; i++)
        batch->keep[i] = u->spec->has_value && leat_record_is_null(leat_batch_at(batch, i), &u->spec->value);
    return 0;
}

/* ---- what time makes ---- */

/* The time of what the wall clock has made: the moment behind the watermark. */
static int64_t sweep_event_us(const struct upsert *u, const struct leat__ctx *ctx, int64_t timer_us)
{
    return u->spec->ttl_is_processing ? leat__time_add(ctx->watermark_us, 1) : timer_us;
}

static int sweep_key(struct upsert *u, struct leat__ctx *ctx, struct leat_sv key, int64_t timer_us)
{
    const struct leat_sv none = { NULL, 0 };
    const uint64_t hash = leat__hash(key.data, key.len);
    void *value;
    if (leat__table_find(u->ages, 0, &key, &hash, NULL, 1, &value, ctx->error) < 0)
        return leat__fail_here(ctx);
    if (!value || ((const struct age *)value)->timer_us != timer_us)
        return 0; /* of an earlier life of the key */
    const int64_t gone_us = leat__time_add(((const struct age *)value)->came_us, u->spec->ttl_us);
    if (gone_us <= timer_us)
        return give_gone(u, ctx, NULL, key, hash, sweep_event_us(u, ctx, timer_us));
    if (leat__table_upsert(u->ages, 0, &key, &hash, NULL, 1, &value, ctx->error) < 0)
        return leat__fail_here(ctx);
    ((struct age *)value)->timer_us = gone_us;
    return leat__timers_set(&u->gone, ctx, gone_us, none, key);
}

static bool has_done_enough(struct upsert *u)
{
    return u->changes.batches_given >= LEAT_OP_BATCHES_PER_CALL || ++u->keys_seen >= KEYS_PER_CALL;
}

static int sweep(struct upsert *u, struct leat__ctx *ctx)
{
    for (;;) {
        int64_t time_us;
        const int next = leat__timers_next(&u->gone, ctx, u->sweep_us, &time_us);
        if (next < 0)
            return next;
        if (next == LEAT__TIMERS_MORE)
            return LEAT_MORE;
        if (next == 0)
            break;
        leat__strbuf_clear(&u->bytes);
        const int taken = leat__timers_take(&u->gone, ctx, &u->bytes);
        if (taken < 0)
            return taken;
        if (taken)
            LEAT_TRY(sweep_key(u, ctx, (struct leat_sv){ u->bytes.data, u->bytes.len }, time_us));
        if (has_done_enough(u))
            return LEAT_MORE;
    }
    u->is_sweeping = false;
    return 0;
}

/* The key's deletion is forgotten, if nothing newer has come. */
static int forget_deleted(struct upsert *u, struct leat__ctx *ctx, struct leat_sv key, uint64_t hash)
{
    const struct leat_list_row *row;
    LEAT_TRY(find_row(u, ctx, key, hash, &row));
    if (!row || !is_deleted(row) || row->event_us > u->forget_us)
        return 0;
    return leat__table_remove(u->rows, 0, key, hash, ctx->error) < 0 ? leat__fail_here(ctx) : 0;
}

/* The keys of items, out of the table's way. */
static int forget_items(
    struct upsert *u, struct leat__ctx *ctx, const struct leat_cursor_item *items, uint32_t count)
{
    struct leat_sv keys[ITEMS];
    uint64_t hashes[ITEMS];
    leat__strbuf_clear(&u->bytes);
    for (uint32_t i = 0; i < count; i++)
        leat__strbuf_add(&u->bytes, items[i].key.data, items[i].key.len);
    if (u->bytes.failed)
        return leat__rows_nomem(ctx, "keys");
    const char *at = u->bytes.data;
    for (uint32_t i = 0; i < count; i++) {
        keys[i] = (struct leat_sv){ at, items[i].key.len };
        hashes[i] = items[i].hash;
        at += items[i].key.len;
    }
    for (uint32_t i = 0; i < count; i++)
        LEAT_TRY(forget_deleted(u, ctx, keys[i], hashes[i]));
    return 0;
}

static bool is_over(int64_t bucket, int64_t w)
{
    return w == LEAT_TIME_MAX || bucket < w >> BUCKET_SHIFT;
}

/* Buckets of deletions that the watermark has passed. */
static int forget(struct upsert *u, struct leat__ctx *ctx)
{
    struct leat_cursor_item items[ITEMS];
    for (;;) {
        int64_t count;
        if (!u->cursor) {
            const int found = leat__table_next_namespace(u->deleted, LEAT_TIME_MIN, &u->bucket, ctx->error);
            if (found < 0)
                return leat__fail_here(ctx);
            if (!found || !is_over(u->bucket, u->forget_us))
                break;
            if (leat__cursor_open(u->deleted, u->bucket, LEAT_CURSOR_READ, &u->cursor, ctx->error) < 0)
                return leat__fail_here(ctx);
        }
        while ((count = leat__cursor_next(u->cursor, items, ITEMS, ctx->error)) > 0) {
            LEAT_TRY(forget_items(u, ctx, items, (uint32_t)count));
            u->keys_seen += ITEMS - 1;
            if (has_done_enough(u))
                return LEAT_MORE;
        }
        leat__cursor_close(u->cursor);
        u->cursor = NULL;
        if (count < 0 || leat__table_drop(u->deleted, u->bucket, ctx->error) < 0)
            return leat__fail_here(ctx);
    }
    u->is_forgetting = false;
    return 0;
}

/* ---- calls ---- */

static int go_on(struct upsert *u, struct leat__ctx *ctx)
{
    int code = 0;
    u->changes.batches_given = u->keys_seen = 0;
    while (code == 0) {
        if (u->is_sweeping)
            code = sweep(u, ctx);
        else if (u->is_forgetting)
            code = forget(u, ctx);
        else if (u->batch)
            code = do_batch(u, ctx);
        else
            break;
    }
    __atomic_store_n(&ctx->counters->state_keys, leat__table_keys_count_all(u->rows), __ATOMIC_RELAXED);
    if (code != 0)
        return code;
    LEAT_TRY(leat__changes_flush(&u->changes, ctx));
    ctx->wake_us = LEAT_TIME_MAX;
    return u->spec->ttl_us && u->spec->ttl_is_processing ? leat__timers_wake(&u->gone, ctx, &ctx->wake_us)
                                                         : 0;
}

static int upsert_on_batch(
    struct leat_op *op, struct leat__ctx *ctx, uint32_t input, struct leat_batch *batch)
{
    struct upsert *u = (struct upsert *)op;
    LEAT_ASSERT(input == 0 && batch->count > 0 && !u->batch);
    LEAT_TRY(leat__rows_writable(ctx, batch, &batch));
    u->batch = batch;
    u->at = u->late_count = 0;
    LEAT_TRY(mark_deletes(u, ctx));
    leat__ctx_begin(ctx, batch, NULL);
    LEAT_TRY(leat__rows_keys(ctx, u->spec->key, u->key_scratch, &u->batch, &u->keys));
    if (!u->batch)
        return 0;
    LEAT_TRY(leat__rows_reserve(ctx, &u->late, &u->late_capacity, u->batch->count));
    return go_on(u, ctx);
}

static int upsert_on_watermark(struct leat_op *op, struct leat__ctx *ctx, int64_t w)
{
    struct upsert *u = (struct upsert *)op;
    const bool by_event = u->spec->ttl_us && !u->spec->ttl_is_processing;
    u->is_sweeping = by_event && w != LEAT_TIME_MAX && leat__timers_may_be_due(&u->gone, w);
    u->sweep_us = w;
    u->is_forgetting = u->spec->by_event_time;
    u->forget_us = w;
    return go_on(u, ctx);
}

static int upsert_on_time(struct leat_op *op, struct leat__ctx *ctx, int64_t now_us)
{
    struct upsert *u = (struct upsert *)op;
    u->is_sweeping = true;
    u->sweep_us = now_us;
    return go_on(u, ctx);
}

static int upsert_step(struct leat_op *op, struct leat__ctx *ctx)
{
    return go_on((struct upsert *)op, ctx);
}

/* Nothing beside the tables: the version is all. */
static int upsert_snapshot(struct leat_op *op, struct leat__ctx *ctx, struct leat_strbuf *out)
{
    (void)op;
    leat__strbuf_char(out, 1);
    return out->failed ? leat__rows_nomem(ctx, "a snapshot") : 0;
}

static int upsert_restore(
    struct leat_op *op, struct leat__ctx *ctx, const struct leat_sv *parts, uint32_t count)
{
    (void)parts;
    (void)count;
    return go_on((struct upsert *)op, ctx);
}

static const struct leat_op_class upsert_class = {
    .kind = "upsert",
    .size = sizeof(struct upsert),
    .init = upsert_init,
    .on_batch = upsert_on_batch,
    .on_watermark = upsert_on_watermark,
    .step = upsert_step,
    .on_time = upsert_on_time,
    .snapshot = upsert_snapshot,
    .restore = upsert_restore,
    .release = upsert_release,
};

/* ---- declaration ---- */

static void free_key(void *key)
{
    leat__key_free(key);
}

static void declare_key(struct leat_node *node, struct upsert_spec *spec, const char *text)
{
    struct leat_error err = { 0 };
    const struct leat_type *type = leat__input_type(node, 0);
    if (!text) {
        leat__declare_error(node, "key", LEAT_EDECLARE,
            "missing: the fields or expressions in which records are the same row, such as \"id\"");
        return;
    }
    if (!type)
        return;
    if (leat__key_new(type, text, LEAT_KEY_NULLS_GROUP, &spec->key, &err) < 0) {
        spec->key = NULL;
        leat__declare_error_of(node, "key", &err);
        return;
    }
    leat__topology_defer(node, free_key, spec->key);
    leat__key_refuse_names(node, "key", spec->key, "rows stay as they are");
    node->inputs[0].partitioning = LEAT_HASH;
    node->inputs[0].key = spec->key;
}

static bool is_nullable(const struct leat_place *place)
{
    return place->has_offset != LEAT_NOT_NULLABLE || place->outer_has[0] != LEAT_NOT_NULLABLE;
}

static void declare_deletes(
    struct leat_node *node, struct upsert_spec *spec, const struct leat_upsert_opts *o)
{
    const struct leat_type *type = leat__input_type(node, 0);
    struct leat_error err = { 0 };
    if (o->delete_where && o->value)
        leat__declare_error(node, "value", LEAT_EDECLARE,
            "given together with delete_where: one of the two says which records delete");
    if (o->delete_where)
        leat__predicate_of_expr(node, "delete_where", o->delete_where, &spec->deletes);
    if (!o->value || !type)
        return;
    if (leat_record_find(type, o->value, &spec->value, &err) < 0)
        leat__declare_error_of(node, "value", &err);
    else if (!is_nullable(&spec->value))
        leat__declare_error(node, "value", LEAT_EDECLARE,
            "%s is never null, so that no record would delete: name a nullable field, or say in "
            "delete_where which records delete",
            o->value);
    spec->has_value = true;
}

static void declare_times(struct leat_node *node, struct upsert_spec *spec, const struct leat_upsert_opts *o)
{
    spec->by_event_time = o->by_event_time;
    spec->ttl_us = o->ttl.us;
    spec->ttl_is_processing = o->ttl.time == LEAT_PROCESSING_TIME;
    if (o->ttl.us < 0)
        leat__declare_error(
            node, "ttl.us", LEAT_EDECLARE, "%lld is no time to live: it is above 0", (long long)o->ttl.us);
    if (o->ttl.on_read)
        leat__declare_error(
            node, "ttl.on_read", LEAT_EDECLARE, "nothing reads a row but its records: leave it out");
    if (o->by_event_time || (o->ttl.us && !spec->ttl_is_processing))
        leat__need_event_time(node, 0);
}

static const char *describe(
    struct leat_node *node, const struct upsert_spec *spec, const struct leat_upsert_opts *o)
{
    char text[32];
    return leat__spec_printf(node, "by %s%s%s%s%s%s%s", leat__key_text(spec->key),
        o->delete_where ? ", deleted where "
            : o->value  ? ", deleted by null in "
                        : "",
        o->delete_where ? o->delete_where
            : o->value  ? o->value
                        : "",
        spec->by_event_time ? ", by event time" : "", spec->ttl_us ? ", kept " : "",
        spec->ttl_us ? leat__duration_text(spec->ttl_us, text) : "",
        spec->ttl_us && spec->ttl_is_processing ? " by the clock" : "");
}

leat_stream *leat_upsert_sized(
    leat_stream *in, const char *name, const struct leat_upsert_opts *opts, size_t size)
{
    struct leat_upsert_opts o;
    struct leat_node *node = leat__declare(in->t, name, LEAT_NODE_OPERATOR, upsert_class.kind);
    leat__takes_changes(node, 0);
    leat__input(node, 0, in, LEAT_FORWARD, NULL); /* how rows go over the edge is known once there is a key */
    leat__opts_copy(node, &o, sizeof o, opts, size);
    struct upsert_spec *spec = leat__spec(node, sizeof *spec);
    if (!spec || !opts)
        return leat__stream(node, 0);
    node->op = &upsert_class;
    node->spec = spec;
    declare_key(node, spec, o.key);
    declare_deletes(node, spec, &o);
    declare_times(node, spec, &o);
    const struct leat_type *type = leat__input_type(node, 0);
    const uint32_t port = leat__output(node, type, NULL), late = leat__output(node, type, "late");
    node->outputs[port].changes = true;
    node->outputs[late].changes = leat__input_changes(node, 0);
    if (!leat__node_is_inert(node)) {
        node->outputs[port].partitioned_by = leat__key_text(spec->key);
        spec->key_types = leat__key_describe(node, spec->key, LEAT_KEY_NULLS_GROUP);
        node->detail = describe(node, spec, &o);
    }
    return leat__stream(node, 0);
}
