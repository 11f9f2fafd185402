/* operators/session_aggregate.c -- the aggregate over sessions.
 *
 *   on_batch      many keys are looked up at once, then rows in their order. The short way: a row that extends the
 *                 newest session of its key, or begins one behind all others, waits to be added with its like, column
 *                 by column. The long way: which sessions the row joins (session_set.c); it goes into the earliest of
 *                 them, and the later ones into that
 *   on_watermark  takes the timers of keys that are due: gives panes, drops what is over, and sets the key's next
 *                 timer. So a session has one timer however many records extend it: when that goes off and the
 *                 session has grown, another is set
 *   on_time       the same for periods by the wall clock
 *
 * A record is judged together with the session that it would make: it is late if that one is over.
 *
 * Invariants: (1) of each key a timer is set at or before the earliest time at which something is due; its value
 * knows it, and any other one is void; (2) rows that wait are for the newest sessions of their keys, which do not
 * move before they have been added; (3) after watermark w no session is in the table that is over at w, and none that
 * has not fired has an end <= w + 1; (4) between calls that gave LEAT_MORE the batch's rows before `at` have been
 * worked off, and none waits.
 *
 * State: table "sessions" (session_private.h), tables of timers (timers_private.h). */
#include "operators/session_private.h"
#include "base/hash.h"

#define CHUNK LEAT__RUN_CHUNK

/* ---- life ---- */

static int open_table(struct leat__session_aggregate *a, struct leat__ctx *ctx)
{
    struct leat_strbuf format = { 0 };
    leat__session_print_format(&a->layout, &format);
    const struct leat_table_opts opts = {
        .node = ctx->node->name,
        .name = "sessions",
        .kind = LEAT_TABLE_FIXED,
        .key_size = leat__key_fixed_size(a->spec->key),
        .value_size = a->layout.size,
        .codec = { .arg = &a->layout, .encode = leat__session_encode, .decode = leat__session_decode },
        .key_text = a->spec->key_types,
        .format = format.data,
        .accept_schema = leat__session_accept_schema,
        .schema = a->spec->schemas,
        .counted = true,
    };
    const int code = format.failed ? leat__error(ctx->error, LEAT_ENOMEM, "out of memory for a table")
                                   : leat__table_open(ctx->state, &opts, &a->table, ctx->error);
    leat__strbuf_release(&format);
    return code < 0 ? leat__fail_here(ctx) : 0;
}

static int open_timers(
    struct leat__session_aggregate *a, struct leat__ctx *ctx, struct leat__timers *timers, const char *name)
{
    const struct leat__timers_opts opts = {
        .name = name,
        .key_size = leat__key_fixed_size(a->spec->key),
        .key_types = a->spec->key_types,
        .may_be_void = true,
    };
    return leat__timers_open(timers, ctx, &opts);
}

static bool has_processing(const struct leat__session_aggregate *a)
{
    return a->plan.early.processing_us || a->plan.late.processing_us ||
        (a->plan.user && a->plan.user->on_timer);
}

static int session_aggregate_init(struct leat_op *op, struct leat__ctx *ctx)
{
    struct leat__session_aggregate *a = (struct leat__session_aggregate *)op;
    const struct leat__aggregate_spec *spec = a->spec = op->node->spec;
    a->run.forwarded_us = LEAT_TIME_MIN;
    a->round = 1;
    a->limits = (struct leat__session_limits){ spec->window.max_length_us, spec->window.allowed_lateness_us };
    LEAT_TRY(leat__run_init(&a->run, ctx, spec));
    LEAT_TRY(leat__session_gaps_init(&a->gaps, ctx, spec));
    leat__trigger_plan_of(&spec->window, &a->plan);
    a->run.any_late = true; /* what is taken back may be behind the watermark, whichever pane it was */
    leat__session_lay_out(&a->layout, spec);
    a->quick = !a->run.careful && !a->plan.user;
    a->fires_early = a->plan.early.count || a->plan.early.event_us || a->plan.early.processing_us;
    LEAT_TRY(leat__user_trigger_init(&a->user, ctx, a->plan.user));
    if (!(a->spare = leat__malloc(a->layout.cell)))
        return leat__rows_nomem(ctx, "a session");
    LEAT_TRY(open_table(a, ctx));
    LEAT_TRY(open_timers(a, ctx, &a->event, "session timers"));
    return has_processing(a) ? open_timers(a, ctx, &a->processing, "session clock") : 0;
}

static void session_aggregate_release(struct leat_op *op, struct leat__ctx *ctx)
{
    struct leat__session_aggregate *a = (struct leat__session_aggregate *)op;
    leat__user_trigger_release(&a->user, ctx);
    leat__run_release(&a->run);
    leat__session_gaps_release(&a->gaps);
    leat__strbuf_release(&a->due_key);
    leat__free(a->spare);
    leat__free(a->late);
    leat__timers_close(&a->event);
    leat__timers_close(&a->processing);
    leat__table_close(a->table);
}

/* ---- timers ---- */

static void note_timer(struct leat__session_aggregate *a, uint32_t which, uint32_t row, int64_t due)
{
    struct leat__session_timers *timers = &a->timers[which];
    timers->rows[timers->count] = row;
    timers->us[timers->count++] = due;
}

/* Remembers a timer of the key where an earlier one is needed for what is due then (1): whether it is. */
static bool need_event(struct leat__key_sessions *key, int64_t due)
{
    if (key->flags & LEAT__KEY_EVENT_TIMER && key->event_timer_us <= due)
        return false;
    key->flags |= LEAT__KEY_EVENT_TIMER;
    key->event_timer_us = due;
    return true;
}

static bool need_processing(struct leat__key_sessions *key, int64_t due)
{
    if (due == LEAT_TIME_MAX || (key->flags & LEAT__KEY_PROCESSING_TIMER && key->processing_timer_us <= due))
        return false;
    key->flags |= LEAT__KEY_PROCESSING_TIMER;
    key->processing_timer_us = due;
    return true;
}

/* The earliest of all its sessions. */
static void dues(const struct leat__session_aggregate *a, struct leat__key_sessions *key, int64_t *event_us,
    int64_t *processing_us)
{
    *event_us = *processing_us = LEAT_TIME_MAX;
    for (uint32_t i = 0; i < key->count; i++) {
        const struct leat__session *session = leat__session_at(&a->layout, key, i);
        const int64_t due = leat__session_event_due(a, session);
        *event_us = due < *event_us ? due : *event_us;
        if (session->processing_due < *processing_us)
            *processing_us = session->processing_due;
    }
}

static int set_timers(struct leat__session_aggregate *a, struct leat__ctx *ctx)
{
    struct leat__timers *timers[LEAT__TIMERS_KINDS] = { &a->event, &a->processing };
    for (uint32_t k = 0; k < LEAT__TIMERS_KINDS; k++)
        for (uint32_t i = 0; i < a->timers[k].count; i++)
            LEAT_TRY(leat__timers_set(timers[k], ctx, a->timers[k].us[i], (struct leat_sv){ "", 0 },
                a->run.keys[a->timers[k].rows[i]]));
    return 0;
}

/* ---- the long way ---- */

static int fail_memory(struct leat__ctx *ctx, int code, const struct leat__key_sessions *key)
{
    if (code == LEAT_ELIMIT)
        return leat__fail(ctx, code,
            "a key has %u open sessions: lower the allowed lateness, or raise the gap", key->count);
    return leat__fail(ctx, code,
        "no memory for %u sessions of a key within the budget of the state: raise state_budget_bytes",
        key->count + 1);
}

/* Adds the rows that wait. */
static int flush(struct leat__session_aggregate *a, struct leat__ctx *ctx)
{
    const uint32_t count = a->count;
    if (count == 0)
        return 0;
    a->count = 0;
    a->round += a->round == UINT32_MAX ? 2 : 1; /* 0 is of keys of which none does */
    const int64_t added = leat__run_add(&a->run, ctx, a->table, 0, a->rows, a->values, count);
    return added < 0 ? (int)added : 0;
}

/* The key's newest session is about to move. (2) */
static int flush_key(
    struct leat__session_aggregate *a, struct leat__ctx *ctx, const struct leat__key_sessions *key)
{
    return key->waiting == a->round ? flush(a, ctx) : 0;
}

static int merge_cell(
    struct leat__session_aggregate *a, struct leat__ctx *ctx, unsigned char *into, unsigned char *from)
{
    const struct leat__agg_memory mem = leat__session_memory(a);
    struct leat__session *whole = (struct leat__session *)(void *)into;
    const struct leat__session *part = (const struct leat__session *)(const void *)from;
    LEAT_TRY(leat__session_give_back(a, ctx, from));
    LEAT_TRY(leat__session_give_back(a, ctx, into));
    if (leat__session_merge(&a->layout, ctx, &mem, into, from) < 0)
        return leat__fail_here(ctx);
    if (part->event_due < whole->event_due)
        whole->event_due = part->event_due;
    if (part->processing_due < whole->processing_due)
        whole->processing_due = part->processing_due;
    if (a->plan.user)
        LEAT_TRY(leat__session_user_merge(a, ctx, into, from));
    leat__session_forget(&a->layout, &mem, from);
    return 0;
}

/* The later ones that were joined go into the one at *at, which has the bounds of all then. */
static int merge_joined(struct leat__session_aggregate *a, struct leat__ctx *ctx,
    struct leat__key_sessions *key, const struct leat__session *merged, uint32_t *at)
{
    for (uint32_t i = key->count; i-- > *at + 1;) {
        if (!(leat__session_at(&a->layout, key, i)->flags & LEAT__SESSION_JOINED))
            continue;
        LEAT_TRY(merge_cell(
            a, ctx, leat__session_cell(&a->layout, key, *at), leat__session_cell(&a->layout, key, i)));
        leat__sessions_remove(&a->layout, key, i);
    }
    struct leat__session *whole = leat__session_at(&a->layout, key, *at);
    whole->first = merged->first;
    whole->last = merged->last;
    whole->end = merged->end;
    *at = leat__sessions_settle(&a->layout, key, *at, a->spare);
    return 0;
}

/* What a session gives for the record that has come into it. */
static int fire_changed(
    struct leat__session_aggregate *a, struct leat__ctx *ctx, unsigned char *cell, uint32_t row)
{
    const uint64_t since = ++leat__session_head(&a->layout, cell)->since;
    if (a->plan.user)
        return leat__session_user_row(a, ctx, cell, row);
    const enum leat_pane kind =
        leat__session_changed(a, ctx, (struct leat__session *)(void *)cell, since, false);
    return kind ? leat__session_give(a, ctx, cell, kind) : 0;
}

static uint32_t first_joined(const struct leat__session_aggregate *a, struct leat__key_sessions *key)
{
    uint32_t at = 0;
    while (!(leat__session_at(&a->layout, key, at)->flags & LEAT__SESSION_JOINED))
        at++;
    return at;
}

/* The session that takes the row, before the row is in it: the first that it joins, or a new one. */
static int target_of(struct leat__session_aggregate *a, struct leat__ctx *ctx, struct leat__key_sessions *key,
    uint32_t joined, const struct leat__session *merged, uint32_t *at)
{
    const struct leat__agg_memory mem = leat__session_memory(a);
    if (joined) {
        *at = first_joined(a, key);
        return 0;
    }
    *at = leat__sessions_place(&a->layout, key, merged->first);
    const int code = leat__sessions_insert(&a->layout, &mem, key, *at, merged);
    return code < 0 ? fail_memory(ctx, code, key) : 0;
}

/* Puts the row into the session that it makes. */
static int join_row(struct leat__session_aggregate *a, struct leat__ctx *ctx, struct leat__key_sessions *key,
    uint32_t row, uint32_t joined, const struct leat__session *merged)
{
    uint32_t at;
    LEAT_TRY(flush_key(a, ctx, key));
    LEAT_TRY(target_of(a, ctx, key, joined, merged, &at));
    unsigned char *values = leat__session_values(a, leat__session_cell(&a->layout, key, at));
    const int64_t added = leat__run_add(&a->run, ctx, a->table, 0, &row, &values, 1);
    if (added < 0)
        return (int)added;
    if (added) {
        LEAT_TRY(merge_joined(a, ctx, key, merged, &at));
        LEAT_TRY(fire_changed(a, ctx, leat__session_cell(&a->layout, key, at), row));
    } else if (!joined) {
        const struct leat__agg_memory mem = leat__session_memory(a);
        leat__session_forget(&a->layout, &mem, leat__session_cell(&a->layout, key, at));
        leat__sessions_remove(&a->layout, key, at);
    }
    leat__sessions_tell_end(&a->layout, key);
    return 0;
}

static int place(
    struct leat__session_aggregate *a, struct leat__ctx *ctx, struct leat__key_sessions *key, uint32_t row)
{
    struct leat__session merged;
    int64_t event_us;
    int64_t processing_us;
    const int64_t us = a->run.batch->event_us[row];
    const int64_t reach = leat__time_add(us, leat__session_gap(a, row));
    const uint32_t joined =
        leat__sessions_join(&a->layout, key, &a->limits, us, reach, a->late_wm_us, &merged);
    if (leat__session_is_over(&a->limits, merged.end, a->late_wm_us))
        a->late[a->late_count++] = row;
    else
        LEAT_TRY(join_row(a, ctx, key, row, joined, &merged));
    if (joined)
        leat__sessions_unmark(&a->layout, key);
    dues(a, key, &event_us, &processing_us);
    if (key->count && need_event(key, event_us))
        note_timer(a, LEAT__TIMERS_EVENT, row, event_us);
    if (need_processing(key, processing_us))
        note_timer(a, LEAT__TIMERS_PROCESSING, row, processing_us);
    return 0;
}

/* ---- the short way ---- */

/* Whether a session with that end takes records and has not fired. */
static bool is_open(const struct leat__session_aggregate *a, const struct leat__ctx *ctx, int64_t end)
{
    return !leat__session_is_over(&a->limits, end, a->late_wm_us) &&
        !leat__time_passed(end, ctx->watermark_us);
}

/* Extends the key's newest session, or begins one behind all: 1; 0: that is not what the row does, or something is
 * to be looked at. */
static int extend(struct leat__session_aggregate *a, struct leat__ctx *ctx, struct leat__key_sessions *key,
    int64_t us, int64_t reach)
{
    struct leat__session *newest = (struct leat__session *)(void *)leat__session_newest(key);
    const struct leat__session fresh = { us, us, reach, LEAT_TIME_MAX, LEAT_TIME_MAX, 0, 0 };
    const struct leat__agg_memory mem = leat__session_memory(a);
    if (key->count > 1 && us <= key->older_end)
        return 0;
    if (key->count && us <= newest->end) {
        const int64_t end = reach > newest->end ? reach : newest->end;
        if (us < newest->first || newest->flags ||
            leat__session_is_over(&a->limits, newest->end, a->late_wm_us) ||
            leat__time_passed(end, ctx->watermark_us) ||
            (a->limits.max_length_us && leat__time_sub(us, newest->first) > a->limits.max_length_us))
            return 0;
        newest->last = us > newest->last ? us : newest->last;
        newest->end = end;
        return 1;
    }
    if (!is_open(a, ctx, reach))
        return 0;
    LEAT_TRY(flush_key(a, ctx, key));
    if (key->count == 1 || (key->count && newest->end > key->older_end))
        key->older_end = newest->end;
    const int code = leat__sessions_insert(&a->layout, &mem, key, key->count, &fresh);
    return code < 0 ? fail_memory(ctx, code, key) : 1;
}

/* A row for the newest session, which is what the row makes of it. */
static int take_quick(
    struct leat__session_aggregate *a, struct leat__ctx *ctx, struct leat__key_sessions *key, uint32_t row)
{
    unsigned char *cell = leat__session_newest(key);
    struct leat__session *session = (struct leat__session *)(void *)cell;
    a->rows[a->count] = row;
    a->values[a->count++] = leat__session_values(a, cell);
    key->waiting = a->round;
    const uint64_t since = ++leat__session_head(&a->layout, cell)->since;
    /* It is open, and was before. */
    const enum leat_pane kind = a->fires_early ? leat__session_changed(a, ctx, session, since, false) : 0;
    if (kind) {
        LEAT_TRY(flush(a, ctx));
        LEAT_TRY(leat__session_give(a, ctx, cell, kind));
    }
    const int64_t due = leat__session_event_due(a, session);
    if (need_event(key, due))
        note_timer(a, LEAT__TIMERS_EVENT, row, due);
    if (need_processing(key, session->processing_due))
        note_timer(a, LEAT__TIMERS_PROCESSING, row, session->processing_due);
    return 0;
}

static int add_row(
    struct leat__session_aggregate *a, struct leat__ctx *ctx, struct leat__key_sessions *key, uint32_t row)
{
    const int64_t us = a->run.batch->event_us[row];
    a->key = a->run.keys[row];
    a->hash = a->run.batch->key_hash[row];
    const int extended =
        a->quick ? extend(a, ctx, key, us, leat__time_add(us, leat__session_gap(a, row))) : 0;
    if (extended < 0)
        return extended;
    return extended ? take_quick(a, ctx, key, row) : place(a, ctx, key, row);
}

/* Rows from a->at on, CHUNK at most. */
static int add_chunk(struct leat__session_aggregate *a, struct leat__ctx *ctx)
{
    const struct leat_batch *batch = a->run.batch;
    const uint32_t from = a->at;
    const uint32_t max = batch->count - from < CHUNK ? batch->count - from : CHUNK;
    if (leat__table_upsert(
            a->table, 0, a->run.keys + from, batch->key_hash + from, NULL, max, a->found, ctx->error) < 0)
        return leat__fail_here(ctx);
    a->count = a->timers[LEAT__TIMERS_EVENT].count = a->timers[LEAT__TIMERS_PROCESSING].count = 0;
    for (uint32_t i = 0; i < max && !leat__run_is_spent(&a->run); i++) {
        LEAT_TRY(add_row(a, ctx, a->found[i], from + i));
        a->at++;
    }
    LEAT_TRY(flush(a, ctx));
    return set_timers(a, ctx);
}

/* ---- batches ---- */

static int end_batch(struct leat__session_aggregate *a, struct leat__ctx *ctx)
{
    leat__run_count_keys(ctx, a->table);
    LEAT_TRY(leat__run_late(&a->run, ctx, a->late, a->late_count));
    return leat__run_end_batch(&a->run, ctx);
}

/* The clock wants to be told of timers that this call has set. */
static int set_wake(struct leat__session_aggregate *a, struct leat__ctx *ctx)
{
    return has_processing(a) ? leat__timers_wake(&a->processing, ctx, &ctx->wake_us) : 0;
}

/* A key without sessions goes. */
static int remove_key(
    struct leat__session_aggregate *a, struct leat__ctx *ctx, struct leat__key_sessions *key)
{
    const struct leat__agg_memory mem = leat__session_memory(a);
    leat__blob_forget(&mem, &key->older);
    return leat__table_remove(a->table, 0, a->key, a->hash, ctx->error) < 0 ? leat__fail_here(ctx) : 0;
}

/* Keys that were looked up for late or refused rows alone are not kept. */
static int forget_empty(struct leat__session_aggregate *a, struct leat__ctx *ctx, uint32_t row)
{
    void *found;
    const uint64_t *hashes = a->run.batch->key_hash;
    if (leat__table_find(a->table, 0, a->run.keys, hashes, &row, 1, &found, ctx->error) < 0)
        return leat__fail_here(ctx);
    if (!found || ((struct leat__key_sessions *)found)->count)
        return 0;
    a->key = a->run.keys[row];
    a->hash = hashes[row];
    return remove_key(a, ctx, found);
}

static int add_rows(struct leat__session_aggregate *a, struct leat__ctx *ctx)
{
    while (a->at < a->run.batch->count) {
        if (leat__run_is_spent(&a->run))
            return LEAT_MORE;
        LEAT_TRY(add_chunk(a, ctx));
    }
    for (uint32_t i = 0; i < a->late_count; i++)
        LEAT_TRY(forget_empty(a, ctx, a->late[i]));
    for (uint32_t r = 0; a->run.careful && r < a->run.batch->count; r++)
        LEAT_TRY(forget_empty(a, ctx, r));
    LEAT_TRY(set_wake(a, ctx));
    return end_batch(a, ctx);
}

static int session_aggregate_on_batch(
    struct leat_op *op, struct leat__ctx *ctx, uint32_t input, struct leat_batch *batch)
{
    struct leat__session_aggregate *a = (struct leat__session_aggregate *)op;
    LEAT_ASSERT(input == 0 && batch->count > 0);
    LEAT_ASSERT(!a->run.batch && !a->pass); /* nothing is delivered before step has ended */
    leat__run_begin(&a->run);
    LEAT_TRY(leat__session_prepare(&a->gaps, &a->run, ctx, batch));
    if (!a->run.batch)
        return 0;
    LEAT_TRY(leat__rows_reserve(ctx, &a->late, &a->late_capacity, a->run.batch->count));
    a->late_count = a->at = 0;
    a->late_wm_us = leat__ctx_late_wm(ctx, a->run.batch);
    return add_rows(a, ctx);
}

/* ---- what is due ---- */

/* What is due of the session by time w, in order; 1: it is over, and its contents were forgotten. What a period has
 * noted is never later than the end, or the going, of the session. */
static int fire_session(
    struct leat__session_aggregate *a, struct leat__ctx *ctx, unsigned char *cell, int64_t w)
{
    const struct leat__agg_memory mem = leat__session_memory(a);
    const struct leat__session *session = (const struct leat__session *)(void *)cell;
    if (session->event_due != LEAT_TIME_MAX && leat__time_passed(session->event_due, w))
        LEAT_TRY(leat__session_give(a, ctx, cell, leat__session_kind(session)));
    if (!(session->flags & LEAT__SESSION_FIRED) && leat__time_passed(session->end, w))
        LEAT_TRY(leat__session_give_end(a, ctx, cell));
    if (!leat__session_is_over(&a->limits, session->end, w))
        return 0;
    if (a->plan.has_late)
        LEAT_TRY(leat__session_give(a, ctx, cell, LEAT_PANE_LATE));
    leat__session_forget(&a->layout, &mem, cell);
    return 1;
}

static int fire_by_watermark(
    struct leat__session_aggregate *a, struct leat__ctx *ctx, struct leat__key_sessions *key, int64_t w)
{
    uint32_t at = 0;
    uint32_t kept = 0;
    for (; at < key->count && !leat__run_is_spent(&a->run); at++) {
        unsigned char *cell = leat__session_cell(&a->layout, key, at);
        const int gone =
            a->plan.user ? leat__session_user_watermark(a, ctx, cell, w) : fire_session(a, ctx, cell, w);
        if (gone < 0)
            return gone;
        a->run.keys_seen++;
        if (gone)
            continue;
        if (kept < at)
            memcpy(leat__session_cell(&a->layout, key, kept), cell, a->layout.cell);
        kept++;
    }
    leat__sessions_close_up(&a->layout, key, kept, at);
    leat__sessions_tell_end(&a->layout, key);
    return 0;
}

static int fire_by_clock(
    struct leat__session_aggregate *a, struct leat__ctx *ctx, struct leat__key_sessions *key)
{
    for (uint32_t i = 0; i < key->count; i++) {
        unsigned char *cell = leat__session_cell(&a->layout, key, i);
        const struct leat__session *session = (const struct leat__session *)(void *)cell;
        if (session->processing_due <= a->now_us && a->plan.user)
            LEAT_TRY(leat__session_user_clock(a, ctx, cell));
        else if (session->processing_due <= a->now_us)
            LEAT_TRY(leat__session_give(a, ctx, cell, leat__session_kind(session)));
    }
    return 0;
}

/* The key's next timers. */
static int set_key_timers(
    struct leat__session_aggregate *a, struct leat__ctx *ctx, struct leat__key_sessions *key)
{
    const struct leat_sv nobody = { "", 0 };
    int64_t event_us;
    int64_t processing_us;
    dues(a, key, &event_us, &processing_us);
    const bool event = need_event(key, event_us);
    const bool processing = need_processing(key, processing_us);
    if (event)
        LEAT_TRY(leat__timers_set(&a->event, ctx, event_us, nobody, a->key));
    return processing ? leat__timers_set(&a->processing, ctx, processing_us, nobody, a->key) : 0;
}

/* A timer of a key has gone off. Void ones do nothing (1). */
static int fire_key(struct leat__session_aggregate *a, struct leat__ctx *ctx, int64_t time_us)
{
    void *found;
    const bool by_clock = a->pass == LEAT_PROCESSING_TIME;
    const uint32_t flag = by_clock ? LEAT__KEY_PROCESSING_TIMER : LEAT__KEY_EVENT_TIMER;
    a->key = (struct leat_sv){ a->due_key.data, a->due_key.len };
    a->hash = leat__hash(a->key.data, a->key.len);
    if (leat__table_upsert(a->table, 0, &a->key, &a->hash, NULL, 1, &found, ctx->error) < 0)
        return leat__fail_here(ctx);
    struct leat__key_sessions *key = found;
    if (key->count == 0) /* of a key that is no more */
        return remove_key(a, ctx, key);
    if (!(key->flags & flag) || (by_clock ? key->processing_timer_us : key->event_timer_us) != time_us)
        return 0;
    key->flags &= ~flag;
    /* In order: no further than others have come. */
    LEAT_TRY(by_clock ? fire_by_clock(a, ctx, key)
                      : fire_by_watermark(a, ctx, key, a->spec->ordered ? time_us : ctx->watermark_us));
    return key->count ? set_key_timers(a, ctx, key) : remove_key(a, ctx, key);
}

static int fire_keys(struct leat__session_aggregate *a, struct leat__ctx *ctx)
{
    const bool by_clock = a->pass == LEAT_PROCESSING_TIME;
    struct leat__timers *timers = by_clock ? &a->processing : &a->event;
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

static int session_aggregate_on_watermark(struct leat_op *op, struct leat__ctx *ctx, int64_t w)
{
    struct leat__session_aggregate *a = (struct leat__session_aggregate *)op;
    LEAT_ASSERT(!a->run.batch && !a->pass && w == ctx->watermark_us);
    leat__run_begin(&a->run);
    a->pass = LEAT_EVENT_TIME;
    a->run.in_watermark = true;
    return fire_keys(a, ctx);
}

static int session_aggregate_on_time(struct leat_op *op, struct leat__ctx *ctx, int64_t now_us)
{
    struct leat__session_aggregate *a = (struct leat__session_aggregate *)op;
    LEAT_ASSERT(!a->run.batch && !a->pass);
    leat__run_begin(&a->run);
    a->pass = LEAT_PROCESSING_TIME;
    a->now_us = now_us;
    return fire_keys(a, ctx);
}

/* Timers of the wall clock that are left have no end to wait for. */
static int session_aggregate_on_end(struct leat_op *op, struct leat__ctx *ctx)
{
    struct leat__session_aggregate *a = (struct leat__session_aggregate *)op;
    if (has_processing(a))
        LEAT_TRY(leat__timers_clear(&a->processing, ctx));
    return set_wake(a, ctx);
}

static int session_aggregate_step(struct leat_op *op, struct leat__ctx *ctx)
{
    struct leat__session_aggregate *a = (struct leat__session_aggregate *)op;
    leat__run_begin(&a->run);
    return a->run.batch ? add_rows(a, ctx) : fire_keys(a, ctx);
}

/* ---- checkpoints ---- */

/*   offset 0   1: version
 *          1   the last watermark that was worked off, 8 bytes little-endian */
#define SAVED_BYTES (1 + sizeof(int64_t))

static int session_aggregate_snapshot(struct leat_op *op, struct leat__ctx *ctx, struct leat_strbuf *out)
{
    const struct leat__session_aggregate *a = (const struct leat__session_aggregate *)op;
    LEAT_ASSERT(!a->run.batch && !a->pass && !a->run.out);
    leat__strbuf_char(out, 1);
    leat__strbuf_add(out, &a->run.forwarded_us, sizeof a->run.forwarded_us);
    return out->failed ? leat__rows_nomem(ctx, "a snapshot") : 0;
}

/* Where barriers are not aligned subtasks may have worked off different watermarks: the least is true of all. */
static int session_aggregate_restore(
    struct leat_op *op, struct leat__ctx *ctx, const struct leat_sv *parts, uint32_t count)
{
    struct leat__session_aggregate *a = (struct leat__session_aggregate *)op;
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

const struct leat_op_class leat__session_aggregate_class = {
    .kind = "aggregate",
    .size = sizeof(struct leat__session_aggregate),
    .init = session_aggregate_init,
    .on_batch = session_aggregate_on_batch,
    .on_watermark = session_aggregate_on_watermark,
    .on_time = session_aggregate_on_time,
    .on_end = session_aggregate_on_end,
    .step = session_aggregate_step,
    .snapshot = session_aggregate_snapshot,
    .restore = session_aggregate_restore,
    .release = session_aggregate_release,
};
