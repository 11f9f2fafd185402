/* operators/sliding_aggregate.c -- the aggregate over windows that end at each distinct time of a key's records:
 * [time - size, time], both inclusive.
 *
 *   on_batch      a record goes into the cell of its time. Where the watermark has passed that, LATE panes are given
 *                 for its own window and for each later one that holds it, but for those that are over (w >= end +
 *                 lateness). A record is late when no window could hold it any more, not even one to come
 *   on_watermark  keys that are due: ON_TIME panes in order of time; cells that no window can hold any more go
 *
 * Late panes: the suffixes of the cells from the first that some of these windows hold up to the record's are made
 * anew, and what follows the record is added up on the way: one combination for each window.
 *
 * Invariants: (1) of each key a timer is set at or before the earliest time at which something is due; (2) cells
 * before `fired` are those whose time the operator's watermark has passed.
 *
 * State: table "cells" (sliding_private.h), timers of keys (timers_private.h); nothing beside them. */
#include "operators/sliding_private.h"
#include "base/hash.h"

#define CHUNK LEAT__RUN_CHUNK

struct sliding_aggregate {
    struct leat_op op;
    const struct leat__aggregate_spec *spec;
    struct leat__run run;
    struct leat__sliding_layout layout;
    struct leat_table *table;
    struct leat__timers timers;
    struct leat_arena arena;
    unsigned char *result, *passing; /* accumulators with memory in the arena */
    struct leat_strbuf due_key;
    struct leat_sv key; /* that panes are given for */
    uint64_t hash;

    uint32_t *late;
    uint32_t late_count, late_capacity;
    uint32_t at; /* the next row of run.batch */
    bool replaying; /* that row has been added, and late panes up to resume_us were given */
    int64_t resume_us;
    int64_t late_wm_us;
    bool in_watermark;

    /* Rows of one call to the table. */
    void *found[CHUNK];
    uint32_t rows[CHUNK], timer_rows[CHUNK];
    unsigned char *values[CHUNK];
    int64_t timer_us[CHUNK];
    uint32_t count, timers_count;
};

/* ---- life ---- */

static int sliding_aggregate_init(struct leat_op *op, struct leat__ctx *ctx)
{
    struct sliding_aggregate *a = (struct sliding_aggregate *)op;
    const struct leat__aggregate_spec *spec = a->spec = op->node->spec;
    struct leat_strbuf format = { 0 };
    LEAT_TRY(leat__run_init(&a->run, ctx, spec));
    leat__sliding_lay_out(&a->layout, spec, op->node);
    a->result = leat__malloc(2 * (size_t)spec->values_size + 1);
    if (!a->result)
        return leat__rows_nomem(ctx, "a window");
    a->passing = a->result + spec->values_size;
    leat__strbuf_printf(&format, "v1; sliding%s", a->layout.given ? "; the last panes" : "");
    leat__agg_print_aggs(spec, &format);
    const struct leat_table_opts opts = {
        .node = ctx->node->name,
        .name = "cells",
        .kind = LEAT_TABLE_FIXED,
        .key_size = leat__key_fixed_size(spec->key),
        .value_size = a->layout.size,
        .codec = { .arg = &a->layout, .encode = leat__sliding_encode, .decode = leat__sliding_decode },
        .key_text = spec->key_types,
        .format = format.data,
        .accept_schema = leat__sliding_accept_schema,
        .schema = spec->schemas,
        .counted = true,
    };
    const int code = format.failed ? leat__error(ctx->error, LEAT_ENOMEM, "out of memory for a table")
                                   : leat__table_open(ctx->state, &opts, &a->table, ctx->error);
    leat__strbuf_release(&format);
    if (code < 0)
        return leat__fail_here(ctx);
    const struct leat__timers_opts timers = {
        .name = "sliding timers",
        .key_size = leat__key_fixed_size(spec->key),
        .key_types = spec->key_types,
        .may_be_void = true,
    };
    return leat__timers_open(&a->timers, ctx, &timers);
}

static void sliding_aggregate_release(struct leat_op *op, struct leat__ctx *ctx)
{
    struct sliding_aggregate *a = (struct sliding_aggregate *)op;
    (void)ctx;
    leat__run_release(&a->run);
    leat__arena_release(&a->arena);
    leat__strbuf_release(&a->due_key);
    leat__free(a->result);
    leat__free(a->late);
    leat__timers_close(&a->timers);
    leat__table_close(a->table);
}

/* ---- times ---- */

static struct leat__agg_memory memory_of(const struct sliding_aggregate *a)
{
    return (struct leat__agg_memory){ a->table, 0, NULL };
}

/* When the key has something to do; it has cells. */
static int64_t due_us(const struct sliding_aggregate *a, const struct leat__sliding *key)
{
    const int64_t gone = leat__sliding_gone_us(a->spec, leat__cell_head(&a->layout, key, key->first)->us);
    if (key->fired == key->count)
        return gone;
    const int64_t us = leat__sliding_last_us(leat__cell_head(&a->layout, key, key->fired)->us);
    return us < gone ? us : gone;
}

/* ---- panes ---- */

/* Gives the window that ends with a cell, from `result`. */
static int give(struct sliding_aggregate *a, struct leat__ctx *ctx, struct leat__sliding *key, uint32_t at,
    enum leat_pane kind, const unsigned char *result)
{
    struct leat__cell_head *head = leat__cell_head(&a->layout, key, at);
    const struct leat__pane pane = { .window = { leat__sliding_from_us(a->spec, head->us),
                                         leat__time_add(head->us, 1) },
        .key = a->key,
        .kind = kind,
        .index = head->panes };
    unsigned char *standing = a->layout.given ? leat__cell(&a->layout, key, at) + a->layout.given : NULL;
    struct leat__pane before = pane;
    before.kind = (enum leat_pane)head->kind;
    before.index = head->panes - 1;
    const int given = standing && head->kind
        ? leat__run_replace(&a->run, ctx, &before, standing, &pane, a->hash, result)
        : leat__run_give(&a->run, ctx, &pane, a->hash, result);
    if (given < 0)
        return given;
    head->panes++;
    if (!standing || !given)
        return 0;
    const struct leat__agg_memory mem = memory_of(a);
    head->kind = (uint32_t)kind;
    leat__agg_forget(a->spec, &mem, standing);
    memset(standing, 0, a->spec->values_size);
    const int code = leat__agg_copy_values(a->spec, &mem, standing, result);
    return code < 0 ? leat__fail(ctx, code, "a pane that may be retracted: %s", leat_error_text(code)) : 0;
}

static int fail_memory(struct leat__ctx *ctx, int code)
{
    return leat__fail(ctx, code,
        "no memory for a key's records within the budget of the state (or more than "
        "16 MiB of them): raise state_budget_bytes, or use a shorter window");
}

/* result = the suffix of cell `low` and what has been passed since, in that order. */
static int put_together(
    struct sliding_aggregate *a, struct leat__ctx *ctx, const struct leat__sliding *key, uint32_t low)
{
    const struct leat__agg_memory mem = { NULL, 0, &a->arena };
    memset(a->result, 0, a->spec->values_size);
    const int code =
        leat__agg_copy_values(a->spec, &mem, a->result, leat__cell(&a->layout, key, low) + a->layout.suffix);
    if (code < 0)
        return fail_memory(ctx, code);
    return leat__agg_combine_values(a->spec, ctx->node, &mem, a->result, a->passing, ctx->error) < 0
        ? leat__fail_here(ctx)
        : 0;
}

/* A late record is in cell `at`: the window of that and all that hold it are given again. LEAT_MORE: later, from
 * a->resume_us on. */
static int give_late(
    struct sliding_aggregate *a, struct leat__ctx *ctx, struct leat__sliding *key, uint32_t at)
{
    const struct leat__agg_memory table_mem = memory_of(a);
    const struct leat__agg_memory mem = { NULL, 0, &a->arena };
    const int64_t us = leat__cell_head(&a->layout, key, at)->us;
    const int64_t until_us = leat__time_add(us, a->spec->window.size_us);
    uint32_t low = leat__cell_from(&a->layout, key, leat__sliding_from_us(a->spec, us));
    key->flags &= ~LEAT__SLIDING_STACKS;
    LEAT_TRY(leat__cells_suffixes(&a->layout, ctx, &table_mem, key, low, at + 1));
    memset(a->passing, 0, a->spec->values_size);
    for (uint32_t i = at; i < key->fired; i++) {
        const int64_t end_us = leat__cell_head(&a->layout, key, i)->us;
        if (end_us > until_us)
            break;
        while (leat__cell_head(&a->layout, key, low)->us < leat__sliding_from_us(a->spec, end_us))
            low++;
        if (i > at &&
            leat__agg_combine_values(
                a->spec, ctx->node, &mem, a->passing, leat__cell_values(&a->layout, key, i), ctx->error) < 0)
            return leat__fail_here(ctx);
        if ((a->replaying && end_us <= a->resume_us) ||
            leat__sliding_is_over(a->spec, end_us, a->late_wm_us) ||
            leat__cell_head(&a->layout, key, i)->kind & LEAT__CELL_MUTE)
            continue;
        LEAT_TRY(put_together(a, ctx, key, low));
        LEAT_TRY(give(a, ctx, key, i, LEAT_PANE_LATE, a->result));
        a->run.keys_seen++;
        if (leat__run_is_spent(&a->run)) {
            a->replaying = true;
            a->resume_us = end_us;
            return LEAT_MORE;
        }
    }
    a->replaying = false;
    return 0;
}

/* ---- rows ---- */

static int flush(struct sliding_aggregate *a, struct leat__ctx *ctx)
{
    const uint32_t count = a->count;
    a->count = 0;
    if (count == 0)
        return 0;
    const int64_t added = leat__run_add(&a->run, ctx, a->table, 0, a->rows, a->values, count);
    return added < 0 ? (int)added : 0;
}

static void note_timer(struct sliding_aggregate *a, struct leat__sliding *key, uint32_t row)
{
    if (key->first == key->count)
        return;
    const int64_t due = due_us(a, key);
    if (key->flags & LEAT__SLIDING_TIMER && key->timer_us <= due)
        return;
    key->flags |= LEAT__SLIDING_TIMER;
    key->timer_us = due;
    a->timer_rows[a->timers_count] = row;
    a->timer_us[a->timers_count++] = due;
}

/* Adds the row whose values move, fire, or may be refused; those that wait come first. */
static int add_alone(struct sliding_aggregate *a, struct leat__ctx *ctx, struct leat__sliding *key,
    uint32_t row, uint32_t at, bool is_new)
{
    const struct leat__agg_memory mem = memory_of(a);
    unsigned char *values = leat__cell_values(&a->layout, key, at);
    const int64_t added = leat__run_add(&a->run, ctx, a->table, 0, &row, &values, 1);
    if (added < 0)
        return (int)added;
    if (added == 0) {
        if (is_new)
            leat__cell_remove(&a->layout, &mem, key, at);
        return 0;
    }
    if (at < key->fired)
        return give_late(a, ctx, key, at);
    return 0;
}

static int add_row(
    struct sliding_aggregate *a, struct leat__ctx *ctx, struct leat__sliding *key, uint32_t row)
{
    const struct leat__agg_memory mem = memory_of(a);
    const int64_t us = a->run.batch->event_us[row];
    uint32_t at = leat__cell_from(&a->layout, key, us);
    const bool is_new = at == key->count || leat__cell_head(&a->layout, key, at)->us != us;
    const bool passed = leat__time_passed(leat__sliding_last_us(us), ctx->watermark_us);
    const bool alone = passed || a->run.careful || (is_new && !leat__cell_is_easy(&a->layout, key, at));
    a->key = a->run.keys[row];
    a->hash = a->run.batch->key_hash[row];
    if (a->replaying)
        return give_late(a, ctx, key, at);
    if (alone)
        LEAT_TRY(flush(a, ctx));
    if (is_new) {
        const int code = leat__cell_insert(&a->layout, &mem, key, &at, us);
        if (code < 0)
            return fail_memory(ctx, code);
        if (passed && at >= key->fired) { /* (2) */
            LEAT_ASSERT(at == key->fired);
            key->fired++;
            key->flags &= ~LEAT__SLIDING_STACKS;
        }
    }
    if (!leat__sliding_is_over(a->spec, us, a->late_wm_us))
        leat__cell_head(&a->layout, key, at)->kind &= ~LEAT__CELL_MUTE;
    else if (is_new)
        leat__cell_head(&a->layout, key, at)->kind |= LEAT__CELL_MUTE;
    if (alone)
        return add_alone(a, ctx, key, row, at, is_new);
    a->rows[a->count] = row;
    a->values[a->count++] = leat__cell_values(&a->layout, key, at);
    return 0;
}

/* Up to CHUNK rows from a->at on. */
static int add_chunk(struct sliding_aggregate *a, struct leat__ctx *ctx)
{
    const struct leat_batch *batch = a->run.batch;
    const uint32_t left = batch->count - a->at;
    const uint32_t max = left < CHUNK ? left : CHUNK;
    const uint32_t from = a->at;
    int code = 0;
    if (leat__table_upsert(
            a->table, 0, a->run.keys + from, batch->key_hash + from, NULL, max, a->found, ctx->error) < 0)
        return leat__fail_here(ctx);
    a->count = a->timers_count = 0;
    for (uint32_t i = 0; i < max && code == 0; i++) {
        struct leat__sliding *key = a->found[i];
        if (!a->replaying &&
            leat__time_passed(leat__sliding_gone_us(a->spec, batch->event_us[from + i]), a->late_wm_us))
            a->late[a->late_count++] = from + i;
        else
            code = add_row(a, ctx, key, from + i);
        if (code < 0)
            return code;
        note_timer(a, key, from + i);
        a->at += code == 0;
        if (code == 0 && leat__run_is_spent(&a->run))
            code = LEAT_MORE;
    }
    LEAT_TRY(flush(a, ctx));
    leat__arena_release(&a->arena);
    for (uint32_t i = 0; i < a->timers_count; i++)
        LEAT_TRY(leat__timers_set(
            &a->timers, ctx, a->timer_us[i], (struct leat_sv){ "", 0 }, a->run.keys[a->timer_rows[i]]));
    return a->at < batch->count ? code : 0;
}

/* Keys that were looked up for late or refused rows alone are not kept. */
static int forget_empty(struct sliding_aggregate *a, struct leat__ctx *ctx, uint32_t row)
{
    void *found;
    const uint64_t *hashes = a->run.batch->key_hash;
    if (leat__table_find(a->table, 0, a->run.keys, hashes, &row, 1, &found, ctx->error) < 0)
        return leat__fail_here(ctx);
    if (!found || ((struct leat__sliding *)found)->count > ((struct leat__sliding *)found)->first)
        return 0;
    return leat__table_remove(a->table, 0, a->run.keys[row], hashes[row], ctx->error) < 0
        ? leat__fail_here(ctx)
        : 0;
}

static int add_rows(struct sliding_aggregate *a, struct leat__ctx *ctx)
{
    while (a->at < a->run.batch->count) {
        const int code = leat__run_is_spent(&a->run) ? LEAT_MORE : add_chunk(a, ctx);
        if (code != 0)
            return code;
    }
    for (uint32_t i = 0; i < a->late_count; i++)
        LEAT_TRY(forget_empty(a, ctx, a->late[i]));
    for (uint32_t r = 0; a->run.careful && r < a->run.batch->count; r++)
        LEAT_TRY(forget_empty(a, ctx, r));
    leat__run_count_keys(ctx, a->table);
    LEAT_TRY(leat__run_late(&a->run, ctx, a->late, a->late_count));
    return leat__run_end_batch(&a->run, ctx);
}

static int sliding_aggregate_on_batch(
    struct leat_op *op, struct leat__ctx *ctx, uint32_t input, struct leat_batch *batch)
{
    struct sliding_aggregate *a = (struct sliding_aggregate *)op;
    LEAT_ASSERT(input == 0 && batch->count > 0);
    LEAT_ASSERT(!a->run.batch && !a->in_watermark); /* nothing is delivered before step has ended */
    leat__run_begin(&a->run);
    LEAT_TRY(leat__run_prepare(&a->run, ctx, batch));
    if (!a->run.batch)
        return 0;
    LEAT_TRY(leat__rows_reserve(ctx, &a->late, &a->late_capacity, a->run.batch->count));
    a->late_count = a->at = 0;
    a->late_wm_us = leat__ctx_late_wm(ctx, a->run.batch);
    return add_rows(a, ctx);
}

/* ---- watermarks ---- */

static int fire_cells(
    struct sliding_aggregate *a, struct leat__ctx *ctx, struct leat__sliding *key, int64_t until_us)
{
    const struct leat__agg_memory mem = memory_of(a);
    while (key->fired < key->count && !leat__run_is_spent(&a->run)) {
        const uint32_t at = key->fired;
        const unsigned char *result;
        const int64_t us = leat__cell_head(&a->layout, key, at)->us;
        if (!leat__time_passed(leat__sliding_last_us(us), until_us))
            break;
        LEAT_TRY(leat__cells_next(
            &a->layout, ctx, &mem, key, leat__sliding_from_us(a->spec, us), &a->arena, a->result, &result));
        if (!(leat__cell_head(&a->layout, key, at)->kind & LEAT__CELL_MUTE))
            LEAT_TRY(give(a, ctx, key, at, LEAT_PANE_ON_TIME, result));
        if (a->spec->has_memory)
            leat__arena_release(&a->arena);
        a->run.keys_seen++;
    }
    return 0;
}

/* Forgets the cells that no window holds any more: not those that have not fired (a call may end before), nor what
 * they hold. */
static void trim(struct sliding_aggregate *a, struct leat__ctx *ctx, struct leat__sliding *key)
{
    const struct leat__agg_memory mem = memory_of(a);
    const int64_t held_us = key->fired < key->count
        ? leat__sliding_from_us(a->spec, leat__cell_head(&a->layout, key, key->fired)->us)
        : LEAT_TIME_MAX;
    uint32_t end = key->first;
    for (; end < key->fired; end++) {
        const int64_t us = leat__cell_head(&a->layout, key, end)->us;
        if (!leat__time_passed(leat__sliding_gone_us(a->spec, us), ctx->watermark_us) ||
            (us >= held_us && key->fired < key->count))
            break;
    }
    if (end > key->first)
        leat__cells_trim(&a->layout, &mem, key, leat__cell_head(&a->layout, key, end - 1)->us);
}

static int remove_key(struct sliding_aggregate *a, struct leat__ctx *ctx, struct leat__sliding *key)
{
    const struct leat__agg_memory mem = memory_of(a);
    leat__agg_forget(a->spec, &mem, (unsigned char *)key + a->layout.back);
    leat__blob_forget(&mem, &key->cells);
    return leat__table_remove(a->table, 0, a->key, a->hash, ctx->error) < 0 ? leat__fail_here(ctx) : 0;
}

static int fire_key(struct sliding_aggregate *a, struct leat__ctx *ctx, int64_t time_us)
{
    void *found;
    a->key = (struct leat_sv){ a->due_key.data, a->due_key.len };
    a->hash = leat__hash(a->key.data, a->key.len);
    if (leat__table_upsert(a->table, 0, &a->key, &a->hash, NULL, 1, &found, ctx->error) < 0)
        return leat__fail_here(ctx);
    struct leat__sliding *key = found;
    if (key->first == key->count) /* of a key that is no more */
        return remove_key(a, ctx, key);
    if (!(key->flags & LEAT__SLIDING_TIMER) || key->timer_us != time_us)
        return 0; /* a void one (1) */
    key->flags &= ~LEAT__SLIDING_TIMER;
    /* In order: no further than others have come. */
    LEAT_TRY(fire_cells(a, ctx, key, a->spec->ordered ? time_us : ctx->watermark_us));
    trim(a, ctx, key);
    if (key->first == key->count)
        return remove_key(a, ctx, key);
    key->flags |= LEAT__SLIDING_TIMER;
    key->timer_us = due_us(a, key);
    return leat__timers_set(&a->timers, ctx, key->timer_us, (struct leat_sv){ "", 0 }, a->key);
}

static int fire_keys(struct sliding_aggregate *a, struct leat__ctx *ctx)
{
    for (;;) {
        int64_t time_us;
        if (leat__run_is_spent(&a->run))
            return LEAT_MORE;
        const int due = leat__timers_next(&a->timers, ctx, ctx->watermark_us, &time_us);
        if (due < 0 || due == LEAT__TIMERS_MORE)
            return due < 0 ? due : LEAT_MORE;
        if (!due)
            break;
        const int taken = leat__timers_take(&a->timers, ctx, &a->due_key);
        if (taken < 0)
            return taken;
        if (taken)
            LEAT_TRY(fire_key(a, ctx, time_us));
        a->run.keys_seen++;
    }
    a->run.forwarded_us = ctx->watermark_us;
    a->run.in_watermark = a->in_watermark = false;
    leat__run_count_keys(ctx, a->table);
    return leat__run_flush(&a->run, ctx);
}

static int sliding_aggregate_on_watermark(struct leat_op *op, struct leat__ctx *ctx, int64_t w)
{
    struct sliding_aggregate *a = (struct sliding_aggregate *)op;
    LEAT_ASSERT(!a->run.batch && !a->in_watermark && w == ctx->watermark_us);
    leat__run_begin(&a->run);
    a->run.in_watermark = a->in_watermark = true;
    return fire_keys(a, ctx);
}

static int sliding_aggregate_step(struct leat_op *op, struct leat__ctx *ctx)
{
    struct sliding_aggregate *a = (struct sliding_aggregate *)op;
    leat__run_begin(&a->run);
    return a->run.batch ? add_rows(a, ctx) : fire_keys(a, ctx);
}

const struct leat_op_class leat__sliding_aggregate_class = {
    .kind = "aggregate",
    .size = sizeof(struct sliding_aggregate),
    .init = sliding_aggregate_init,
    .on_batch = sliding_aggregate_on_batch,
    .on_watermark = sliding_aggregate_on_watermark,
    .step = sliding_aggregate_step,
    .release = sliding_aggregate_release,
};
