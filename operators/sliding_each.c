/* operators/sliding_each.c -- the aggregate over windows that end at each distinct time of a key's records, where more
 * than the watermark fires, or parts of windows are given: each window by itself.
 *
 * A window is there from the first record of its time on, and begins with all that its cells hold then: those records
 * count for its triggers as well. From there on each record goes into the cell of its time, and into every window that
 * holds it.
 *
 *   on_batch      row by row: made a value of its own, which is combined into its cell and its windows; then each of
 *                 these windows, in order of time, may fire: counts, late rows, a user's trigger
 *   on_watermark  the keys that are due: timers, ends and goings of windows in the order of their times; a timer
 *                 before the end of a window at the same time, and that before a going
 *   on_time       the same of timers of the wall clock
 *   step          goes on with any of these
 *
 * A cell stays behind its window for as long as windows to come can hold it (LEAT__CELL_MUTE).
 *
 * Invariants: (1) of each key a timer is set at or before the earliest time at which something is due, one for each
 * clock: its value knows it, and any other one is void; (2) cells before `fired` are those whose window the operator's
 * watermark has passed; (3) a window that has gone holds nothing.
 *
 * State: table "cells" (sliding_private.h), timers of keys (timers_private.h); the watermark. */
#include "base/hash.h"
#include "operators/sliding_private.h"

#define CHUNK LEAT__RUN_CHUNK

struct sliding_each {
    struct leat_op op;
    const struct leat__aggregate_spec *spec;
    struct leat__run run;
    struct leat__sliding_layout layout;
    struct leat__trigger_plan plan;
    struct leat__user_trigger user;
    bool has_clock;
    struct leat_table *table;
    struct leat__timers timers[LEAT__TIMERS_KINDS];
    unsigned char *one; /* the value of a single row */
    struct leat_strbuf due_key;
    struct leat_sv key; /* that is being worked on */
    uint64_t hash;

    uint32_t *late;
    uint32_t late_count, late_capacity;
    uint32_t at; /* the next row of run.batch */
    bool resuming; /* that row has been added, and its windows up to resume_us have had their say */
    int64_t resume_us;
    int64_t late_wm_us, now_us;
    enum leat_time_kind pass; /* that step goes on with; 0: none */

    /* Rows of one call to the table, and timers that they need. */
    void *found[CHUNK];
    struct {
        uint32_t rows[CHUNK];
        int64_t us[CHUNK];
        uint32_t count;
    } needed[LEAT__TIMERS_KINDS];
};

bool leat__sliding_is_each(const struct leat_window_opts *opts)
{
    struct leat__trigger_plan plan;
    leat__trigger_plan_of(opts, &plan);
    return plan.early.count || plan.early.event_us || plan.early.processing_us || plan.has_late ||
        plan.user || !plan.on_watermark ||
        (opts->accumulation == LEAT_DISCARDING && opts->allowed_lateness_us);
}

/* ---- life ---- */

static int open_table(struct sliding_each *a, struct leat__ctx *ctx)
{
    struct leat_strbuf format = { 0 };
    leat__strbuf_printf(&format, "v1; sliding %lld us, each window by itself%s",
        (long long)a->spec->window.size_us, a->layout.given ? "; the last panes" : "");
    if (a->plan.user)
        leat__strbuf_printf(
            &format, "; trigger %s of %u bytes", a->plan.user->name, a->plan.user->state_size);
    leat__agg_print_aggs(a->spec, &format);
    const struct leat_table_opts opts = {
        .node = ctx->node->name,
        .name = "cells",
        .kind = LEAT_TABLE_FIXED,
        .key_size = leat__key_fixed_size(a->spec->key),
        .value_size = a->layout.size,
        .codec = { .arg = &a->layout, .encode = leat__sliding_encode, .decode = leat__sliding_decode },
        .key_text = a->spec->key_types,
        .format = format.data,
        .accept_schema = leat__sliding_accept_schema,
        .schema = a->spec->schemas,
        .counted = true,
    };
    const int code = format.failed ? leat__error(ctx->error, LEAT_ENOMEM, "out of memory for a table")
                                   : leat__table_open(ctx->state, &opts, &a->table, ctx->error);
    leat__strbuf_release(&format);
    return code < 0 ? leat__fail_here(ctx) : 0;
}

/* The clock wants to be told of timers that this call has set. */
static int set_wake(struct sliding_each *a, struct leat__ctx *ctx)
{
    return a->has_clock ? leat__timers_wake(&a->timers[LEAT__TIMERS_PROCESSING], ctx, &ctx->wake_us) : 0;
}

static int sliding_each_init(struct leat_op *op, struct leat__ctx *ctx)
{
    struct sliding_each *a = (struct sliding_each *)op;
    const struct leat__aggregate_spec *spec = a->spec = op->node->spec;
    struct leat__timers_opts timers = {
        .name = "sliding timers", .key_size = leat__key_fixed_size(spec->key), .key_types = spec->key_types
    };
    a->run.forwarded_us = LEAT_TIME_MIN;
    LEAT_TRY(leat__run_init(&a->run, ctx, spec));
    leat__sliding_lay_out(&a->layout, spec, op->node);
    leat__trigger_plan_of(&spec->window, &a->plan);
    LEAT_TRY(leat__user_trigger_init(&a->user, ctx, a->plan.user));
    a->has_clock =
        a->plan.early.processing_us || a->plan.late.processing_us || (a->plan.user && a->plan.user->on_timer);
    if (!(a->one = leat__malloc(spec->values_size + 1)))
        return leat__rows_nomem(ctx, "an accumulator");
    LEAT_TRY(open_table(a, ctx));
    LEAT_TRY(leat__timers_open(&a->timers[LEAT__TIMERS_EVENT], ctx, &timers));
    timers.name = "sliding clock";
    if (a->has_clock)
        LEAT_TRY(leat__timers_open(&a->timers[LEAT__TIMERS_PROCESSING], ctx, &timers));
    return set_wake(a, ctx);
}

static void sliding_each_release(struct leat_op *op, struct leat__ctx *ctx)
{
    struct sliding_each *a = (struct sliding_each *)op;
    leat__user_trigger_release(&a->user, ctx);
    leat__run_release(&a->run);
    leat__strbuf_release(&a->due_key);
    leat__free(a->one);
    leat__free(a->late);
    leat__timers_close(&a->timers[LEAT__TIMERS_EVENT]);
    leat__timers_close(&a->timers[LEAT__TIMERS_PROCESSING]);
    leat__table_close(a->table);
}

/* ---- cells ---- */

static struct leat__agg_memory memory_of(const struct sliding_each *a)
{
    return (struct leat__agg_memory){ a->table, 0, NULL };
}

static int64_t time_of(const struct sliding_each *a, const struct leat__sliding *key, uint32_t at)
{
    return leat__cell_head(&a->layout, key, at)->us;
}

static bool is_mute(const struct sliding_each *a, const struct leat__sliding *key, uint32_t at)
{
    return leat__cell_head(&a->layout, key, at)->kind & LEAT__CELL_MUTE;
}

static struct leat_bounds bounds_of(int64_t us, const struct leat__aggregate_spec *spec)
{
    return (struct leat_bounds){ leat__sliding_from_us(spec, us), leat__time_add(us, 1) };
}

static int fail_memory(struct leat__ctx *ctx, int code)
{
    return leat__fail(ctx, code,
        "no memory for a key's records within the budget of the state (or more than "
        "16 MiB of them): raise state_budget_bytes, or use a shorter window");
}

static int combine(
    struct sliding_each *a, struct leat__ctx *ctx, unsigned char *into, const unsigned char *from)
{
    const struct leat__agg_memory mem = memory_of(a);
    return leat__agg_combine_values(a->spec, ctx->node, &mem, into, from, ctx->error) < 0
        ? leat__fail_here(ctx)
        : 0;
}

/* The window of a cell begins: with what its cells hold. */
static int begin_window(struct sliding_each *a, struct leat__ctx *ctx, struct leat__sliding *key, uint32_t at)
{
    struct leat__cell_trigger *trigger = leat__cell_trigger(&a->layout, key, at);
    unsigned char *window = leat__cell_window(&a->layout, key, at);
    const int64_t from_us = leat__sliding_from_us(a->spec, time_of(a, key, at));
    trigger->event_due = trigger->processing_due = LEAT_TIME_MAX;
    for (uint32_t i = leat__cell_from(&a->layout, key, from_us); i <= at; i++) {
        LEAT_TRY(combine(a, ctx, window, leat__cell_values(&a->layout, key, i)));
        trigger->since += leat__cell_trigger(&a->layout, key, i)->records;
    }
    return 0;
}

/* Nothing is left of the window of a cell but the cell. (3) */
static void end_window(struct sliding_each *a, struct leat__sliding *key, uint32_t at)
{
    const struct leat__agg_memory mem = memory_of(a);
    struct leat__cell_trigger *trigger = leat__cell_trigger(&a->layout, key, at);
    unsigned char *cell = leat__cell(&a->layout, key, at);
    const uint64_t records = trigger->records;
    leat__agg_forget(a->spec, &mem, cell + a->layout.suffix);
    memset(cell + a->layout.suffix, 0, a->spec->values_size);
    if (a->layout.given) {
        leat__agg_forget(a->spec, &mem, cell + a->layout.given);
        memset(cell + a->layout.given, 0, a->spec->values_size);
    }
    leat__blob_forget(&mem, &trigger->timers);
    memset(trigger, 0, sizeof *trigger + a->layout.state_size);
    trigger->records = records;
    trigger->event_due = trigger->processing_due = LEAT_TIME_MAX;
    leat__cell_head(&a->layout, key, at)->kind = LEAT__CELL_MUTE;
}

/* ---- panes ---- */

static int replace_or_give(struct sliding_each *a, struct leat__ctx *ctx, struct leat__sliding *key,
    uint32_t at, enum leat_pane kind)
{
    struct leat__cell_head *head = leat__cell_head(&a->layout, key, at);
    const struct leat_bounds bounds = bounds_of(head->us, a->spec);
    const unsigned char *window = leat__cell_window(&a->layout, key, at);
    const struct leat__pane pane = {
        .window = { bounds.start_us, bounds.end_us }, .key = a->key, .kind = kind, .index = head->panes
    };
    unsigned char *standing = a->layout.given ? leat__cell(&a->layout, key, at) + a->layout.given : NULL;
    struct leat__pane before = pane;
    before.kind = (enum leat_pane)head->kind;
    before.index = head->panes - 1;
    const int given = standing && head->kind
        ? leat__run_replace(&a->run, ctx, &before, standing, &pane, a->hash, window)
        : leat__run_give(&a->run, ctx, &pane, a->hash, window);
    if (given < 0)
        return given;
    head->panes++;
    if (!standing || !given)
        return 0;
    const struct leat__agg_memory mem = memory_of(a);
    head->kind = (uint32_t)kind;
    leat__agg_forget(a->spec, &mem, standing);
    memset(standing, 0, a->spec->values_size);
    const int code = leat__agg_copy_values(a->spec, &mem, standing, window);
    return code < 0 ? fail_memory(ctx, code) : 0;
}

/* Gives a pane of the window of a cell, if it has any contents (24). A firing starts all triggers anew. */
static int give(struct sliding_each *a, struct leat__ctx *ctx, struct leat__sliding *key, uint32_t at,
    enum leat_pane kind)
{
    struct leat__cell_trigger *trigger = leat__cell_trigger(&a->layout, key, at);
    const bool discarding = a->spec->window.accumulation == LEAT_DISCARDING;
    const bool is_first = leat__cell_head(&a->layout, key, at)->panes == 0;
    const bool has_any =
        !(trigger->flags & LEAT__CELL_EMPTY) && (trigger->since || !(discarding || is_first));
    trigger->event_due = trigger->processing_due = LEAT_TIME_MAX;
    trigger->since = 0;
    if (!has_any)
        return 0;
    LEAT_TRY(replace_or_give(a, ctx, key, at, kind));
    a->run.keys_seen++;
    if (discarding)
        leat__agg_reset(a->spec, leat__cell_window(&a->layout, key, at));
    return 0;
}

static int apply(
    struct sliding_each *a, struct leat__ctx *ctx, struct leat__sliding *key, uint32_t at, uint32_t fire)
{
    if (fire & LEAT_FIRE)
        LEAT_TRY(give(a, ctx, key, at, at < key->fired ? LEAT_PANE_LATE : LEAT_PANE_EARLY));
    if (fire & LEAT_PURGE) { /* 27 */
        leat__agg_reset(a->spec, leat__cell_window(&a->layout, key, at));
        leat__cell_trigger(&a->layout, key, at)->flags |= LEAT__CELL_EMPTY;
    }
    return 0;
}

/* What has not fired by the end of the window is lost (discard_remainder). */
static void lose(struct sliding_each *a, struct leat__sliding *key, uint32_t at)
{
    leat__cell_trigger(&a->layout, key, at)->since = 0;
    if (a->spec->window.accumulation == LEAT_DISCARDING)
        leat__agg_reset(a->spec, leat__cell_window(&a->layout, key, at));
}

/* ---- a user's trigger ---- */

static int grant(struct sliding_each *a, struct leat__ctx *ctx, struct leat__sliding *key, uint32_t at)
{
    const struct leat__agg_memory mem = memory_of(a);
    const int code =
        leat__own_timers_grant(&mem, &leat__cell_trigger(&a->layout, key, at)->timers, &a->user.wishes);
    return code < 0 ? fail_memory(ctx, code) : 0;
}

/* A timer of the window's own goes off. */
static int fire_own(struct sliding_each *a, struct leat__ctx *ctx, struct leat__sliding *key, uint32_t at,
    enum leat_time_kind kind, int64_t us)
{
    struct leat__cell_trigger *trigger = leat__cell_trigger(&a->layout, key, at);
    const struct leat_bounds bounds = bounds_of(time_of(a, key, at), a->spec);
    uint32_t fire;
    leat__own_timers_delete(&trigger->timers, kind, us);
    a->run.keys_seen++;
    LEAT_TRY(leat__user_trigger_timer(&a->user, ctx, a->run.batch, us, kind, &bounds, trigger + 1, &fire));
    LEAT_TRY(grant(a, ctx, key, at));
    return apply(a, ctx, key, at, fire);
}

/* Asks about a row, and lets timers that were set at or before the watermark go off at once (41). */
static int ask(struct sliding_each *a, struct leat__ctx *ctx, struct leat__sliding *key, uint32_t at,
    uint32_t row, uint32_t *fire)
{
    const struct leat_bounds bounds = bounds_of(time_of(a, key, at), a->spec);
    LEAT_TRY(leat__user_trigger_row(
        &a->user, ctx, a->run.batch, row, &bounds, leat__cell_trigger(&a->layout, key, at) + 1, fire));
    return grant(a, ctx, key, at);
}

static int fire_due_timers(
    struct sliding_each *a, struct leat__ctx *ctx, struct leat__sliding *key, uint32_t at)
{
    int64_t us;
    while (leat__own_timers_next(&leat__cell_trigger(&a->layout, key, at)->timers, LEAT_EVENT_TIME, &us) &&
        leat__time_passed(us, ctx->watermark_us))
        LEAT_TRY(fire_own(a, ctx, key, at, LEAT_EVENT_TIME, us));
    return 0;
}

/* ---- when ---- */

static const struct leat__trigger_part *part_of(
    const struct sliding_each *a, const struct leat__sliding *key, uint32_t at)
{
    return at < key->fired ? &a->plan.late : &a->plan.early;
}

/* When the watermark does something to the window by itself: it ends, or it goes. */
static int64_t end_us(const struct sliding_each *a, const struct leat__sliding *key, uint32_t at)
{
    const int64_t us = time_of(a, key, at);
    return at < key->fired ? leat__sliding_over_us(a->spec, us) : leat__sliding_last_us(us);
}

/* The next multiples after now. Of one that the window does not live to see, nothing: its end, or its going, comes
 * first. */
static void note_periods(
    struct sliding_each *a, struct leat__ctx *ctx, struct leat__sliding *key, uint32_t at)
{
    const struct leat__trigger_part *part = part_of(a, key, at);
    struct leat__cell_trigger *trigger = leat__cell_trigger(&a->layout, key, at);
    if (part->event_us && trigger->event_due == LEAT_TIME_MAX) {
        const int64_t next_us = leat__trigger_next(part->event_us, ctx->watermark_us);
        if (next_us <= end_us(a, key, at))
            trigger->event_due = next_us;
    }
    if (part->processing_us && trigger->processing_due == LEAT_TIME_MAX)
        trigger->processing_due = leat__trigger_next(part->processing_us, ctx->api->now_us(ctx));
}

enum { NOTHING, PERIOD, OWN_TIMER, END };

/* Something that is due. */
struct item {
    int64_t us;
    uint32_t at;
    uint32_t what; /* of equal times in this order, but for goings, which come last */
    bool is_going;
};

static bool is_before(const struct item *a, const struct item *b)
{
    if (b->what == NOTHING || a->us != b->us)
        return b->what == NOTHING || a->us < b->us;
    return !a->is_going && (b->is_going || (a->what != END && b->what == END));
}

static void consider(struct item *first, int64_t us, uint32_t at, uint32_t what, bool is_going)
{
    const struct item item = { us, at, what, is_going };
    if (is_before(&item, first))
        *first = item;
}

/* The next thing that is due of a key by one of the clocks; `what` NOTHING: none is. */
static struct item next_item(
    const struct sliding_each *a, const struct leat__sliding *key, enum leat_time_kind kind)
{
    struct item first = { LEAT_TIME_MAX, 0, NOTHING, false };
    const bool by_clock = kind == LEAT_PROCESSING_TIME;
    for (uint32_t i = key->first; i < key->count; i++) {
        const struct leat__cell_trigger *trigger = leat__cell_trigger(&a->layout, key, i);
        const int64_t due = by_clock ? trigger->processing_due : trigger->event_due;
        int64_t us;
        if (is_mute(a, key, i))
            continue;
        if (due != LEAT_TIME_MAX)
            consider(&first, due, i, PERIOD, false);
        if (leat__own_timers_next(&trigger->timers, kind, &us))
            consider(&first, us, i, OWN_TIMER, false);
        if (!by_clock)
            consider(&first, end_us(a, key, i), i, END, i < key->fired);
    }
    return first;
}

/* When the watermark has anything to do for a key: next_item, or else the going of its cells. */
static int64_t event_due(const struct sliding_each *a, const struct leat__sliding *key)
{
    const struct item item = next_item(a, key, LEAT_EVENT_TIME);
    const int64_t gone_us = leat__sliding_gone_us(a->spec, time_of(a, key, key->first));
    return item.what != NOTHING && item.us < gone_us ? item.us : gone_us;
}

/* ---- rows ---- */

static void need_timer(struct sliding_each *a, uint32_t which, uint32_t row, int64_t us)
{
    const uint32_t count = a->needed[which].count++;
    a->needed[which].rows[count] = row;
    a->needed[which].us[count] = us;
}

/* (1) */
static void note_timers(struct sliding_each *a, struct leat__sliding *key, uint32_t row)
{
    if (key->first == key->count)
        return;
    const int64_t event_us = event_due(a, key);
    if (!(key->flags & LEAT__SLIDING_TIMER) || event_us < key->timer_us) {
        key->flags |= LEAT__SLIDING_TIMER;
        key->timer_us = event_us;
        need_timer(a, LEAT__TIMERS_EVENT, row, event_us);
    }
    const struct item item =
        a->has_clock ? next_item(a, key, LEAT_PROCESSING_TIME) : (struct item){ 0, 0, NOTHING, false };
    if (item.what != NOTHING && (!(key->flags & LEAT__SLIDING_CLOCK) || item.us < key->clock_us)) {
        key->flags |= LEAT__SLIDING_CLOCK;
        key->clock_us = item.us;
        need_timer(a, LEAT__TIMERS_PROCESSING, row, item.us);
    }
}

/* (2) of cells without a window, which have no end of their own: a batch's mark may be ahead of the operator's watermark,
 * so that there are some before it. */
static void pass_cells(const struct sliding_each *a, struct leat__sliding *key, int64_t watermark_us)
{
    while (key->fired < key->count && is_mute(a, key, key->fired) &&
        leat__time_passed(leat__sliding_last_us(time_of(a, key, key->fired)), watermark_us))
        key->fired++;
}

/* The cell of a time, with its window, unless that is over by the mark of the batch. */
static int find_cell(
    struct sliding_each *a, struct leat__ctx *ctx, struct leat__sliding *key, int64_t us, uint32_t *at)
{
    const struct leat__agg_memory mem = memory_of(a);
    const bool is_over = leat__sliding_is_over(a->spec, us, a->late_wm_us);
    pass_cells(a, key, ctx->watermark_us);
    *at = leat__cell_from(&a->layout, key, us);
    if (*at == key->count || time_of(a, key, *at) != us) {
        const int code = leat__cell_insert(&a->layout, &mem, key, at, us);
        if (code < 0)
            return fail_memory(ctx, code);
        if (*at >= key->fired && leat__time_passed(leat__sliding_last_us(us), ctx->watermark_us)) { /* (2) */
            LEAT_ASSERT(*at == key->fired);
            key->fired++;
        }
        leat__cell_head(&a->layout, key, *at)->kind = LEAT__CELL_MUTE;
    }
    if (is_over || !is_mute(a, key, *at))
        return 0;
    leat__cell_head(&a->layout, key, *at)->kind = 0;
    return begin_window(a, ctx, key, *at);
}

/* Whether the window of a cell takes rows of the batch. */
static bool takes(const struct sliding_each *a, const struct leat__sliding *key, uint32_t at)
{
    return !is_mute(a, key, at) && !leat__sliding_is_over(a->spec, time_of(a, key, at), a->late_wm_us);
}

/* The row into its cell and all windows that hold it. */
static int add_one(struct sliding_each *a, struct leat__ctx *ctx, struct leat__sliding *key, int64_t us)
{
    const int64_t until_us = leat__time_add(us, a->spec->window.size_us);
    uint32_t at;
    LEAT_TRY(find_cell(a, ctx, key, us, &at));
    LEAT_TRY(combine(a, ctx, leat__cell_values(&a->layout, key, at), a->one));
    leat__cell_trigger(&a->layout, key, at)->records++;
    for (; at < key->count && time_of(a, key, at) <= until_us; at++) {
        struct leat__cell_trigger *trigger = leat__cell_trigger(&a->layout, key, at);
        if (!takes(a, key, at))
            continue;
        LEAT_TRY(combine(a, ctx, leat__cell_window(&a->layout, key, at), a->one));
        trigger->since++;
        trigger->flags &= ~(uint64_t)LEAT__CELL_EMPTY;
    }
    return 0;
}

/* 1: added; 0: refused. */
static int add_row(struct sliding_each *a, struct leat__ctx *ctx, struct leat__sliding *key, uint32_t row)
{
    const struct leat__agg_memory mem = memory_of(a);
    unsigned char *values = a->one;
    memset(a->one, 0, a->spec->values_size);
    const int64_t added = leat__run_add(&a->run, ctx, a->table, 0, &row, &values, 1);
    if (added < 0)
        return (int)added;
    const int code = added ? add_one(a, ctx, key, a->run.batch->event_us[row]) : 0;
    leat__agg_forget(a->spec, &mem, a->one);
    return code < 0 ? code : (int)added;
}

/* What the window of a cell does for a row that has come into it. */
static int fire_row(
    struct sliding_each *a, struct leat__ctx *ctx, struct leat__sliding *key, uint32_t at, uint32_t row)
{
    const struct leat__trigger_part *part = part_of(a, key, at);
    const uint64_t since = leat__cell_trigger(&a->layout, key, at)->since;
    uint32_t fire = 0;
    a->run.keys_seen++;
    if (a->plan.user)
        LEAT_TRY(ask(a, ctx, key, at, row, &fire));
    if ((at < key->fired && !a->plan.has_late) || (part->count && since >= part->count))
        fire |= LEAT_FIRE;
    LEAT_TRY(apply(a, ctx, key, at, fire));
    if (!(fire & LEAT_FIRE))
        note_periods(a, ctx, key, at);
    return a->plan.user ? fire_due_timers(a, ctx, key, at) : 0;
}

/* LEAT_MORE: later, from the window behind a->resume_us on. */
static int fire_windows(
    struct sliding_each *a, struct leat__ctx *ctx, struct leat__sliding *key, uint32_t row)
{
    const int64_t us = a->run.batch->event_us[row];
    const int64_t until_us = leat__time_add(us, a->spec->window.size_us);
    uint32_t at = leat__cell_from(&a->layout, key, us);
    for (; at < key->count && time_of(a, key, at) <= until_us; at++) {
        if ((a->resuming && time_of(a, key, at) <= a->resume_us) || !takes(a, key, at))
            continue;
        LEAT_TRY(fire_row(a, ctx, key, at, row));
        if (leat__run_is_spent(&a->run)) {
            a->resuming = true;
            a->resume_us = time_of(a, key, at);
            return LEAT_MORE;
        }
    }
    a->resuming = false;
    return 0;
}

static int place(struct sliding_each *a, struct leat__ctx *ctx, struct leat__sliding *key, uint32_t row)
{
    const int64_t us = a->run.batch->event_us[row];
    int added = 1;
    a->key = a->run.keys[row];
    a->hash = a->run.batch->key_hash[row];
    if (!a->resuming && leat__time_passed(leat__sliding_gone_us(a->spec, us), a->late_wm_us)) {
        a->late[a->late_count++] = row;
        return 0;
    }
    if (!a->resuming)
        added = add_row(a, ctx, key, row);
    const int code = added > 0 ? fire_windows(a, ctx, key, row) : added;
    note_timers(a, key, row);
    return code;
}

/* Up to CHUNK rows from a->at on. */
static int add_chunk(struct sliding_each *a, struct leat__ctx *ctx)
{
    const struct leat_batch *batch = a->run.batch;
    const uint32_t left = batch->count - a->at;
    const uint32_t max = left < CHUNK ? left : CHUNK;
    const uint32_t from = a->at;
    int code = 0;
    if (leat__table_upsert(
            a->table, 0, a->run.keys + from, batch->key_hash + from, NULL, max, a->found, ctx->error) < 0)
        return leat__fail_here(ctx);
    a->needed[LEAT__TIMERS_EVENT].count = a->needed[LEAT__TIMERS_PROCESSING].count = 0;
    for (uint32_t i = 0; i < max && code == 0; i++) {
        code = place(a, ctx, a->found[i], from + i);
        if (code < 0)
            return code;
        a->at += code == 0;
        if (code == 0 && leat__run_is_spent(&a->run))
            code = LEAT_MORE;
    }
    for (uint32_t k = 0; k < LEAT__TIMERS_KINDS; k++)
        for (uint32_t i = 0; i < a->needed[k].count; i++)
            LEAT_TRY(leat__timers_set(&a->timers[k], ctx, a->needed[k].us[i], (struct leat_sv){ "", 0 },
                a->run.keys[a->needed[k].rows[i]]));
    return a->at < batch->count ? code : 0;
}

/* Keys that were looked up for late or refused rows alone are not kept. */
static int forget_empty(struct sliding_each *a, struct leat__ctx *ctx, uint32_t row)
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

static int add_rows(struct sliding_each *a, struct leat__ctx *ctx)
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
    LEAT_TRY(set_wake(a, ctx));
    LEAT_TRY(leat__run_late(&a->run, ctx, a->late, a->late_count));
    return leat__run_end_batch(&a->run, ctx);
}

static int sliding_each_on_batch(
    struct leat_op *op, struct leat__ctx *ctx, uint32_t input, struct leat_batch *batch)
{
    struct sliding_each *a = (struct sliding_each *)op;
    LEAT_ASSERT(input == 0 && batch->count > 0);
    LEAT_ASSERT(!a->run.batch && !a->pass); /* nothing is delivered before step has ended */
    leat__run_begin(&a->run);
    LEAT_TRY(leat__run_prepare(&a->run, ctx, batch));
    if (!a->run.batch)
        return 0;
    LEAT_TRY(leat__rows_reserve(ctx, &a->late, &a->late_capacity, a->run.batch->count));
    a->late_count = a->at = 0;
    a->late_wm_us = leat__ctx_late_wm(ctx, a->run.batch);
    return add_rows(a, ctx);
}

/* ---- clocks ---- */

static int fire_end(struct sliding_each *a, struct leat__ctx *ctx, struct leat__sliding *key, uint32_t at)
{
    pass_cells(a, key, ctx->watermark_us);
    LEAT_ASSERT(at == key->fired);
    if (a->plan.on_watermark)
        LEAT_TRY(give(a, ctx, key, at, LEAT_PANE_ON_TIME));
    else
        lose(a, key, at);
    struct leat__cell_trigger *trigger = leat__cell_trigger(&a->layout, key, at);
    trigger->event_due = trigger->processing_due = LEAT_TIME_MAX; /* of early panes */
    key->fired++;
    return 0;
}

static int fire_going(struct sliding_each *a, struct leat__ctx *ctx, struct leat__sliding *key, uint32_t at)
{
    if (a->plan.has_late && leat__cell_trigger(&a->layout, key, at)->since)
        LEAT_TRY(give(a, ctx, key, at, LEAT_PANE_LATE));
    end_window(a, key, at);
    return 0;
}

static int fire_item(struct sliding_each *a, struct leat__ctx *ctx, struct leat__sliding *key,
    const struct item *item, enum leat_time_kind kind)
{
    struct leat__cell_trigger *trigger = leat__cell_trigger(&a->layout, key, item->at);
    a->run.keys_seen++;
    if (item->what == OWN_TIMER)
        return fire_own(a, ctx, key, item->at, kind, item->us);
    if (item->what == END)
        return item->is_going ? fire_going(a, ctx, key, item->at) : fire_end(a, ctx, key, item->at);
    if (kind == LEAT_EVENT_TIME)
        trigger->event_due = LEAT_TIME_MAX;
    else
        trigger->processing_due = LEAT_TIME_MAX;
    return trigger->since ? apply(a, ctx, key, item->at, LEAT_FIRE) : 0;
}

/* Forgets the cells that no window can hold any more. */
static void trim(struct sliding_each *a, struct leat__ctx *ctx, struct leat__sliding *key)
{
    const struct leat__agg_memory mem = memory_of(a);
    uint32_t end = key->first;
    pass_cells(a, key, ctx->watermark_us);
    while (end < key->fired && is_mute(a, key, end) &&
        leat__time_passed(leat__sliding_gone_us(a->spec, time_of(a, key, end)), ctx->watermark_us))
        end++;
    if (end > key->first)
        leat__cells_trim(&a->layout, &mem, key, time_of(a, key, end - 1));
}

static int remove_key(struct sliding_each *a, struct leat__ctx *ctx, struct leat__sliding *key)
{
    const struct leat__agg_memory mem = memory_of(a);
    leat__blob_forget(&mem, &key->cells);
    return leat__table_remove(a->table, 0, a->key, a->hash, ctx->error) < 0 ? leat__fail_here(ctx) : 0;
}

/* Does what is due of a key, and sets its next timer. */
static int fire_items(
    struct sliding_each *a, struct leat__ctx *ctx, struct leat__sliding *key, int64_t until_us)
{
    const enum leat_time_kind kind = a->pass;
    struct item item = next_item(a, key, kind);
    while (item.what != NOTHING && leat__time_passed(item.us, until_us) && !leat__run_is_spent(&a->run)) {
        LEAT_TRY(fire_item(a, ctx, key, &item, kind));
        item = next_item(a, key, kind);
    }
    if (kind == LEAT_PROCESSING_TIME) {
        if (item.what == NOTHING)
            return 0;
        key->flags |= LEAT__SLIDING_CLOCK;
        key->clock_us = item.us;
        return leat__timers_set(
            &a->timers[LEAT__TIMERS_PROCESSING], ctx, item.us, (struct leat_sv){ "", 0 }, a->key);
    }
    trim(a, ctx, key);
    if (key->first == key->count)
        return remove_key(a, ctx, key);
    key->flags |= LEAT__SLIDING_TIMER;
    key->timer_us = event_due(a, key);
    return leat__timers_set(
        &a->timers[LEAT__TIMERS_EVENT], ctx, key->timer_us, (struct leat_sv){ "", 0 }, a->key);
}

/* A timer of a key has gone off. Void ones do nothing (1). */
static int fire_key(struct sliding_each *a, struct leat__ctx *ctx, int64_t time_us)
{
    void *found;
    const bool by_clock = a->pass == LEAT_PROCESSING_TIME;
    const uint32_t flag = by_clock ? LEAT__SLIDING_CLOCK : LEAT__SLIDING_TIMER;
    a->key = (struct leat_sv){ a->due_key.data, a->due_key.len };
    a->hash = leat__hash(a->key.data, a->key.len);
    if (leat__table_find(a->table, 0, &a->key, &a->hash, NULL, 1, &found, ctx->error) < 0)
        return leat__fail_here(ctx);
    const struct leat__sliding *seen = found;
    if (!seen || !(seen->flags & flag) || (by_clock ? seen->clock_us : seen->timer_us) != time_us)
        return 0;
    if (leat__table_upsert(a->table, 0, &a->key, &a->hash, NULL, 1, &found, ctx->error) < 0)
        return leat__fail_here(ctx);
    struct leat__sliding *key = found;
    key->flags &= ~flag;
    /* In order: no further than others have come. */
    return fire_items(a, ctx, key, by_clock ? a->now_us : a->spec->ordered ? time_us : ctx->watermark_us);
}

static int fire_keys(struct sliding_each *a, struct leat__ctx *ctx)
{
    const bool by_clock = a->pass == LEAT_PROCESSING_TIME;
    struct leat__timers *timers = &a->timers[leat__timers_which(a->pass)];
    const int64_t until_us = by_clock ? a->now_us : ctx->watermark_us;
    for (;;) {
        int64_t time_us;
        if (leat__run_is_spent(&a->run))
            return LEAT_MORE;
        const int due = leat__timers_next(timers, ctx, until_us, &time_us);
        if (due < 0 || due == LEAT__TIMERS_MORE)
            return due < 0 ? due : LEAT_MORE;
        if (!due)
            break;
        const int taken = leat__timers_take(timers, ctx, &a->due_key);
        if (taken < 0)
            return taken;
        if (taken)
            LEAT_TRY(fire_key(a, ctx, time_us));
        a->run.keys_seen++;
    }
    if (!by_clock)
        a->run.forwarded_us = ctx->watermark_us;
    a->run.in_watermark = false;
    a->pass = 0;
    leat__run_count_keys(ctx, a->table);
    LEAT_TRY(set_wake(a, ctx));
    return leat__run_flush(&a->run, ctx);
}

static int sliding_each_on_watermark(struct leat_op *op, struct leat__ctx *ctx, int64_t w)
{
    struct sliding_each *a = (struct sliding_each *)op;
    LEAT_ASSERT(!a->run.batch && !a->pass && w == ctx->watermark_us);
    leat__run_begin(&a->run);
    a->pass = LEAT_EVENT_TIME;
    a->run.in_watermark = true;
    return fire_keys(a, ctx);
}

static int sliding_each_on_time(struct leat_op *op, struct leat__ctx *ctx, int64_t now_us)
{
    struct sliding_each *a = (struct sliding_each *)op;
    LEAT_ASSERT(!a->run.batch && !a->pass);
    leat__run_begin(&a->run);
    a->pass = LEAT_PROCESSING_TIME;
    a->now_us = now_us;
    return fire_keys(a, ctx);
}

/* Timers of the wall clock that are left have no end to wait for. */
static int sliding_each_on_end(struct leat_op *op, struct leat__ctx *ctx)
{
    struct sliding_each *a = (struct sliding_each *)op;
    if (a->has_clock)
        LEAT_TRY(leat__timers_clear(&a->timers[LEAT__TIMERS_PROCESSING], ctx));
    return set_wake(a, ctx);
}

static int sliding_each_step(struct leat_op *op, struct leat__ctx *ctx)
{
    struct sliding_each *a = (struct sliding_each *)op;
    leat__run_begin(&a->run);
    return a->run.batch ? add_rows(a, ctx) : fire_keys(a, ctx);
}

/* ---- checkpoints ---- */

/*   offset 0   1: version
 *          1   the last watermark that was worked off, 8 bytes little-endian */
#define SAVED_BYTES (1 + sizeof(int64_t))

static int sliding_each_snapshot(struct leat_op *op, struct leat__ctx *ctx, struct leat_strbuf *out)
{
    const struct sliding_each *a = (const struct sliding_each *)op;
    LEAT_ASSERT(!a->run.batch && !a->pass && !a->run.out);
    leat__strbuf_char(out, 1);
    leat__strbuf_add(out, &a->run.forwarded_us, sizeof a->run.forwarded_us);
    return out->failed ? leat__rows_nomem(ctx, "a snapshot") : 0;
}

/* Where barriers are not aligned subtasks may have worked off different watermarks: the least is true of all. */
static int sliding_each_restore(
    struct leat_op *op, struct leat__ctx *ctx, const struct leat_sv *parts, uint32_t count)
{
    struct sliding_each *a = (struct sliding_each *)op;
    for (uint32_t i = 0; i < count; i++) {
        int64_t us;
        if (parts[i].len != SAVED_BYTES || parts[i].data[0] != 1)
            return leat__fail(ctx, LEAT_EDATA, "part %u of its snapshot is damaged: %zu bytes, version %d", i,
                parts[i].len, parts[i].len ? parts[i].data[0] : 0);
        memcpy(&us, parts[i].data + 1, sizeof us);
        if (i == 0 || us < a->run.forwarded_us)
            a->run.forwarded_us = us;
    }
    leat__run_count_keys(ctx, a->table);
    return set_wake(a, ctx);
}

const struct leat_op_class leat__sliding_each_class = {
    .kind = "aggregate",
    .size = sizeof(struct sliding_each),
    .init = sliding_each_init,
    .on_batch = sliding_each_on_batch,
    .on_watermark = sliding_each_on_watermark,
    .on_time = sliding_each_on_time,
    .on_end = sliding_each_on_end,
    .step = sliding_each_step,
    .snapshot = sliding_each_snapshot,
    .restore = sliding_each_restore,
    .release = sliding_each_release,
};
