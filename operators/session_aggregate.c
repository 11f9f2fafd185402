/* operators/session_aggregate.c -- the aggregate over sessions.
 *
 *   on_batch      rows in their order. The short way: look up many keys at once; a row that only extends the last
 *                 session of its key, or begins the first one, is added with its like, column by column. The long
 *                 way for all others: copy the key's set of sessions, join (session_set.c), add the row to the
 *                 earliest session that it joins, merge the later ones into that, write the set back
 *   on_watermark  takes the timers of keys that are due: gives panes, drops what is over, and sets the key's next
 *                 timer. So a session has one timer however many records extend it: when that goes off and the
 *                 session has grown, another is set
 *   on_time       the same for periods by the wall clock
 *
 * A record is judged together with the session that it would make: it is late if that one is over.
 *
 * Invariants: (1) of each key a timer is set at or before the earliest time at which something is due; the value in
 * slot 0 knows it, and any other one is void; (2) when slot 0 has a session, none of the key begins later; (3)
 * after watermark w no session is in the table that is over at w, and none that has not fired has an end <= w + 1;
 * (4) between calls that gave LEAT_MORE the batch's rows before `at` have been worked off.
 *
 * State: table "sessions" (session_private.h), tables of timers (timers_private.h). */
#include "operators/session_private.h"
#include "base/hash.h"

#define CHUNK LEAT__RUN_CHUNK
#define CHUNK_MIN 8u

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
    };
    return leat__timers_open(timers, ctx, &opts);
}

static bool has_processing(const struct leat__session_aggregate *a)
{
    return a->plan.early.processing_us || a->plan.late.processing_us;
}

static int session_aggregate_init(struct leat_op *op, struct leat__ctx *ctx)
{
    struct leat__session_aggregate *a = (struct leat__session_aggregate *)op;
    const struct leat__aggregate_spec *spec = a->spec = op->node->spec;
    a->run.forwarded_us = LEAT_TIME_MIN;
    a->chunk = CHUNK;
    a->limits = (struct leat__session_limits){ spec->window.max_length_us, spec->window.allowed_lateness_us };
    LEAT_TRY(leat__run_init(&a->run, ctx, spec));
    LEAT_TRY(leat__session_gaps_init(&a->gaps, ctx, spec));
    leat__trigger_plan_of(&spec->window, &a->plan);
    a->run.any_late = true; /* what is taken back may be behind the watermark, whichever pane it was */
    leat__session_lay_out(&a->layout, spec);
    a->quick = !a->run.careful;
    if (!(a->taken = leat__malloc(a->layout.size)))
        return leat__rows_nomem(ctx, "a session");
    LEAT_TRY(open_table(a, ctx));
    LEAT_TRY(open_timers(a, ctx, &a->event, "session timers"));
    return has_processing(a) ? open_timers(a, ctx, &a->processing, "session clock") : 0;
}

static void session_aggregate_release(struct leat_op *op, struct leat__ctx *ctx)
{
    struct leat__session_aggregate *a = (struct leat__session_aggregate *)op;
    (void)ctx;
    leat__run_release(&a->run);
    leat__session_gaps_release(&a->gaps);
    leat__session_set_release(&a->set);
    leat__arena_release(&a->arena);
    leat__strbuf_release(&a->due_key);
    leat__free(a->taken);
    leat__free(a->late);
    leat__timers_close(&a->event);
    leat__timers_close(&a->processing);
    leat__table_close(a->table);
}

/* ---- the key's set ---- */

static struct leat__agg_memory memory_of(const struct leat__session_aggregate *a, uint32_t slot)
{
    return (struct leat__agg_memory){ a->table, slot, NULL };
}

/* The key's value in a slot, made where it is missing. Valid until the next call on state. */
static int slot_value(
    struct leat__session_aggregate *a, struct leat__ctx *ctx, uint32_t slot, unsigned char **value)
{
    void *found;
    if (leat__table_upsert(a->table, slot, &a->key, &a->hash, NULL, 1, &found, ctx->error) < 0)
        return leat__fail_here(ctx);
    *value = found;
    return 0;
}

/* Copies what slot 0 says of the key. */
static int load_set(struct leat__session_aggregate *a, struct leat__ctx *ctx)
{
    unsigned char *value;
    LEAT_TRY(slot_value(a, ctx, 0, &value));
    memcpy(&a->dir, value, sizeof a->dir);
    if (leat__session_set_reserve(&a->set, a->dir.others_count + 2) < 0)
        return leat__rows_nomem(ctx, "sessions");
    a->set.count = a->dir.others_count;
    if (a->set.count)
        memcpy(a->set.sessions, a->dir.others.data, a->set.count * sizeof *a->set.sessions);
    if (a->dir.flags & LEAT__KEY_HERE)
        (void)leat__session_set_insert(&a->set, &a->dir.here);
    return 0;
}

/* Writes it back, with the key's timer where an earlier one is needed now (1). A key without sessions goes. */
static int set_timers(struct leat__session_aggregate *a, struct leat__ctx *ctx)
{
    int64_t event_us = LEAT_TIME_MAX;
    int64_t processing_us = LEAT_TIME_MAX;
    const struct leat_sv nobody = { "", 0 };
    for (uint32_t i = 0; i < a->set.count; i++) {
        const int64_t due = leat__session_event_due(a, &a->set.sessions[i]);
        event_us = due < event_us ? due : event_us;
        if (a->set.sessions[i].processing_due < processing_us)
            processing_us = a->set.sessions[i].processing_due;
    }
    if (a->set.count && (!(a->dir.flags & LEAT__KEY_EVENT_TIMER) || event_us < a->dir.event_timer_us)) {
        a->dir.flags |= LEAT__KEY_EVENT_TIMER;
        a->dir.event_timer_us = event_us;
        LEAT_TRY(leat__timers_set(&a->event, ctx, event_us, nobody, a->key));
    }
    if (processing_us != LEAT_TIME_MAX &&
        (!(a->dir.flags & LEAT__KEY_PROCESSING_TIMER) || processing_us < a->dir.processing_timer_us)) {
        a->dir.flags |= LEAT__KEY_PROCESSING_TIMER;
        a->dir.processing_timer_us = processing_us;
        LEAT_TRY(leat__timers_set(&a->processing, ctx, processing_us, nobody, a->key));
    }
    return 0;
}

static int save_others(
    struct leat__session_aggregate *a, struct leat__ctx *ctx, struct leat__agg_blob *others)
{
    const struct leat__agg_memory mem = memory_of(a, 0);
    const size_t size = a->set.count * sizeof *a->set.sessions;
    if (a->set.count == 0) {
        if (others->data)
            leat__blob_forget(&mem, others);
        return 0;
    }
    const int code = leat__blob_set(&mem, others, (struct leat_sv){ (const char *)a->set.sessions, size });
    if (code == LEAT_ELIMIT)
        return leat__fail(ctx, code,
            "a key has %u open sessions: lower the allowed lateness, or raise the gap", a->set.count);
    if (code < 0)
        return leat__fail(ctx, code,
            "no memory for %u sessions of a key within the budget of the state: raise state_budget_bytes",
            a->set.count);
    return 0;
}

/* The set is void afterwards. */
static int save_set(struct leat__session_aggregate *a, struct leat__ctx *ctx)
{
    unsigned char *value;
    if (a->set.count == 0) {
        LEAT_TRY(slot_value(a, ctx, 0, &value));
        const struct leat__agg_memory mem = memory_of(a, 0);
        struct leat__key_sessions *dir = (void *)value;
        leat__session_forget(&a->layout, &mem, value);
        if (dir->others.data)
            leat__blob_forget(&mem, &dir->others);
        return leat__table_remove(a->table, 0, a->key, a->hash, ctx->error) < 0 ? leat__fail_here(ctx) : 0;
    }
    LEAT_TRY(set_timers(a, ctx));
    LEAT_TRY(slot_value(a, ctx, 0, &value));
    struct leat__key_sessions *dir = (void *)value;
    const struct leat__session *here = leat__session_in_slot(&a->set, 0);
    dir->flags = a->dir.flags & ~LEAT__KEY_HERE;
    dir->event_timer_us = a->dir.event_timer_us;
    dir->processing_timer_us = a->dir.processing_timer_us;
    memset(&dir->here, 0, sizeof dir->here);
    if (here) {
        dir->here = *here;
        dir->flags |= LEAT__KEY_HERE;
        leat__session_set_remove(&a->set, (uint32_t)(here - a->set.sessions));
    }
    dir->others_count = a->set.count;
    dir->others_end = LEAT_TIME_MIN;
    for (uint32_t i = 0; i < a->set.count; i++)
        if (a->set.sessions[i].end > dir->others_end)
            dir->others_end = a->set.sessions[i].end;
    return save_others(a, ctx, &dir->others);
}

/* ---- contents on their way ---- */

/* Forgets what a slot holds. */
static int clear_slot(struct leat__session_aggregate *a, struct leat__ctx *ctx, uint32_t slot)
{
    unsigned char *value;
    const struct leat__agg_memory mem = memory_of(a, slot);
    LEAT_TRY(slot_value(a, ctx, slot, &value));
    leat__session_forget(&a->layout, &mem, value);
    if (slot == 0)
        return 0; /* it goes with the key */
    return leat__table_remove(a->table, slot, a->key, a->hash, ctx->error) < 0 ? leat__fail_here(ctx) : 0;
}

/* Copies a slot's contents to a->taken and forgets them; then leat__arena_release. */
static int take_out(struct leat__session_aggregate *a, struct leat__ctx *ctx, uint32_t slot)
{
    unsigned char *value;
    const struct leat__agg_memory mem = { NULL, 0, &a->arena };
    LEAT_TRY(slot_value(a, ctx, slot, &value));
    memset(a->taken, 0, a->layout.size);
    if (leat__session_copy(&a->layout, &mem, a->taken, value) < 0)
        return leat__rows_nomem(ctx, "a session");
    return clear_slot(a, ctx, slot);
}

static int fail_memory(struct leat__ctx *ctx, int code)
{
    return leat__fail(ctx, code,
        "no memory for what a session keeps within the budget of the state: raise state_budget_bytes");
}

static int move_slot(struct leat__session_aggregate *a, struct leat__ctx *ctx, uint32_t from, uint32_t to)
{
    unsigned char *value;
    const struct leat__agg_memory mem = memory_of(a, to);
    LEAT_TRY(take_out(a, ctx, from));
    LEAT_TRY(slot_value(a, ctx, to, &value));
    const int code = leat__session_copy(&a->layout, &mem, value, a->taken);
    leat__arena_release(&a->arena);
    if (code < 0)
        return fail_memory(ctx, code);
    leat__session_in_slot(&a->set, from)->slot = to;
    return 0;
}

/* The slot `from` goes into slot `into`. */
static int merge_slot(struct leat__session_aggregate *a, struct leat__ctx *ctx, uint32_t into, uint32_t from)
{
    unsigned char *value;
    const struct leat__agg_memory mem = memory_of(a, into);
    const struct leat__agg_memory taken_mem = { NULL, 0, &a->arena };
    LEAT_TRY(take_out(a, ctx, from));
    LEAT_TRY(leat__session_give_back(a, ctx, a->taken, &taken_mem));
    LEAT_TRY(slot_value(a, ctx, into, &value));
    LEAT_TRY(leat__session_give_back(a, ctx, value, &mem));
    const int code = leat__session_merge(&a->layout, ctx, &mem, value, a->taken);
    leat__arena_release(&a->arena);
    return code < 0 ? leat__fail_here(ctx) : 0;
}

/* (2): the session that began last goes to slot 0. */
static int settle(struct leat__session_aggregate *a, struct leat__ctx *ctx)
{
    if (a->set.count == 0)
        return 0;
    const uint32_t newest = a->set.sessions[a->set.count - 1].slot;
    if (newest == 0)
        return 0;
    if (leat__session_in_slot(&a->set, 0))
        LEAT_TRY(move_slot(a, ctx, 0, leat__session_set_free_slot(&a->set)));
    LEAT_TRY(move_slot(a, ctx, newest, 0));
    return 0;
}

/* ---- the long way ---- */

/* A slot for a session that begins then: slot 0 if none begins later. */
static int slot_for(struct leat__session_aggregate *a, struct leat__ctx *ctx, int64_t first, uint32_t *slot)
{
    *slot = 0;
    if (a->set.count == 0)
        return 0;
    const uint32_t spare = leat__session_set_free_slot(&a->set);
    if (a->set.sessions[a->set.count - 1].first > first)
        *slot = spare;
    else if (leat__session_in_slot(&a->set, 0))
        return move_slot(a, ctx, 0, spare);
    return 0;
}

/* The later ones that were joined go into `target`, which has the bounds of all then. Its index. */
static int merge_joined(struct leat__session_aggregate *a, struct leat__ctx *ctx, uint32_t target,
    const struct leat__session *merged, uint32_t *at)
{
    struct leat__session whole = a->set.sessions[target];
    for (uint32_t i = a->set.count; i-- > target + 1;) {
        const struct leat__session from = a->set.sessions[i];
        if (!(from.flags & LEAT__SESSION_JOINED))
            continue;
        LEAT_TRY(merge_slot(a, ctx, whole.slot, from.slot));
        if (from.event_due < whole.event_due)
            whole.event_due = from.event_due;
        if (from.processing_due < whole.processing_due)
            whole.processing_due = from.processing_due;
        leat__session_set_remove(&a->set, i);
    }
    leat__session_set_remove(&a->set, target);
    whole.first = merged->first;
    whole.last = merged->last;
    whole.end = merged->end;
    whole.flags &= ~LEAT__SESSION_JOINED;
    *at = leat__session_set_insert(&a->set, &whole);
    return 0;
}

/* What a session gives for the record that has come into it. */
static int fire_changed(struct leat__session_aggregate *a, struct leat__ctx *ctx, uint32_t at)
{
    unsigned char *value;
    struct leat__session *session = &a->set.sessions[at];
    LEAT_TRY(slot_value(a, ctx, session->slot, &value));
    const uint64_t since = ++leat__session_head(&a->layout, value)->since;
    const enum leat_pane kind = leat__session_changed(a, ctx, session, since);
    return kind ? leat__session_give(a, ctx, session, value, kind) : 0;
}

static void unmark(struct leat__session_set *set)
{
    for (uint32_t i = 0; i < set->count; i++)
        set->sessions[i].flags &= ~LEAT__SESSION_JOINED;
}

static uint32_t first_joined(const struct leat__session_set *set)
{
    uint32_t at = 0;
    while (!(set->sessions[at].flags & LEAT__SESSION_JOINED))
        at++;
    return at;
}

/* Adds the row to the session at `at`; 0: it was refused. */
static int64_t add_row(struct leat__session_aggregate *a, struct leat__ctx *ctx, uint32_t row, uint32_t at)
{
    unsigned char *value;
    const uint32_t slot = a->set.sessions[at].slot;
    LEAT_TRY(slot_value(a, ctx, slot, &value));
    unsigned char *values = leat__session_values(a, value);
    return leat__run_add(&a->run, ctx, a->table, slot, &row, &values, 1);
}

/* The session that takes the row, before the row is in it: the first that it joins, or a new one. */
static int target_of(struct leat__session_aggregate *a, struct leat__ctx *ctx, uint32_t joined,
    struct leat__session *merged, uint32_t *at)
{
    if (joined) {
        *at = first_joined(&a->set);
        return 0;
    }
    LEAT_TRY(slot_for(a, ctx, merged->first, &merged->slot));
    *at = leat__session_set_insert(&a->set, merged);
    return 0;
}

static int place(struct leat__session_aggregate *a, struct leat__ctx *ctx, uint32_t row)
{
    struct leat__session merged;
    uint32_t at;
    const int64_t us = a->run.batch->event_us[row];
    const int64_t reach = leat__time_add(us, leat__session_gap(a, row));
    a->key = a->run.keys[row];
    a->hash = a->run.batch->key_hash[row];
    LEAT_TRY(load_set(a, ctx));
    const uint32_t joined = leat__sessions_join(&a->set, &a->limits, us, reach, a->late_wm_us, &merged);
    if (leat__session_is_over(&a->limits, merged.end, a->late_wm_us)) {
        a->late[a->late_count++] = row;
        unmark(&a->set);
        return a->set.count ? 0 : save_set(a, ctx);
    }
    LEAT_TRY(target_of(a, ctx, joined, &merged, &at));
    const int64_t added = add_row(a, ctx, row, at);
    if (added < 0)
        return (int)added;
    if (added) {
        LEAT_TRY(merge_joined(a, ctx, at, &merged, &at));
        LEAT_TRY(fire_changed(a, ctx, at));
    } else if (!joined) {
        LEAT_TRY(clear_slot(a, ctx, a->set.sessions[at].slot));
        leat__session_set_remove(&a->set, at);
    }
    unmark(&a->set);
    LEAT_TRY(settle(a, ctx));
    return save_set(a, ctx);
}

/* ---- the short way ---- */

struct quick {
    void *found[CHUNK];
    uint32_t rows[CHUNK];
    unsigned char *values[CHUNK];
    uint32_t count;
    /* Timers to be set, by LEAT__TIMERS_EVENT and its sibling. */
    struct {
        uint32_t rows[CHUNK];
        int64_t us[CHUNK];
        uint32_t count;
    } timers[LEAT__TIMERS_KINDS];
};

/* Extends the key's last session, or begins its first one; false: that is not what the row does, or something is
 * to be looked at. */
static bool extend(struct leat__session_aggregate *a, struct leat__ctx *ctx, struct leat__key_sessions *key,
    int64_t us, int64_t reach)
{
    struct leat__session *here = &key->here;
    if (key->flags & LEAT__KEY_HERE) {
        const int64_t end = reach > here->end ? reach : here->end;
        if (us < here->first || us > here->end || (key->others_count && us <= key->others_end) ||
            (a->limits.max_length_us && leat__time_sub(us, here->first) > a->limits.max_length_us) ||
            here->flags || leat__session_is_over(&a->limits, here->end, a->late_wm_us) ||
            leat__time_passed(end, ctx->watermark_us))
            return false;
        here->last = us > here->last ? us : here->last;
        here->end = end;
        return true;
    }
    if (key->others_count || leat__session_is_over(&a->limits, reach, a->late_wm_us) ||
        leat__time_passed(reach, ctx->watermark_us))
        return false;
    *here = (struct leat__session){ us, us, reach, LEAT_TIME_MAX, LEAT_TIME_MAX, 0, 0 };
    key->flags |= LEAT__KEY_HERE;
    return true;
}

static int flush_quick(struct leat__session_aggregate *a, struct leat__ctx *ctx, struct quick *q)
{
    if (q->count == 0)
        return 0;
    const int64_t added = leat__run_add(&a->run, ctx, a->table, 0, q->rows, q->values, q->count);
    q->count = 0;
    return added < 0 ? (int)added : 0;
}

static void note_timer(
    struct quick *q, uint32_t which, uint32_t row, struct leat__key_sessions *key, int64_t due)
{
    const uint32_t at = q->timers[which].count++;
    q->timers[which].rows[at] = row;
    q->timers[which].us[at] = due;
    if (which == LEAT__TIMERS_EVENT) {
        key->flags |= LEAT__KEY_EVENT_TIMER;
        key->event_timer_us = due;
    } else {
        key->flags |= LEAT__KEY_PROCESSING_TIMER;
        key->processing_timer_us = due;
    }
}

/* A row that was extended: 1 when it gave a pane. */
static int take_quick(struct leat__session_aggregate *a, struct leat__ctx *ctx, struct quick *q, uint32_t row,
    unsigned char *value)
{
    struct leat__key_sessions *key = (void *)value;
    q->rows[q->count] = row;
    q->values[q->count++] = leat__session_values(a, value);
    const uint64_t since = ++leat__session_head(&a->layout, value)->since;
    const enum leat_pane kind = leat__session_changed(a, ctx, &key->here, since);
    if (kind) {
        LEAT_TRY(flush_quick(a, ctx, q));
        a->key = a->run.keys[row];
        a->hash = a->run.batch->key_hash[row];
        LEAT_TRY(leat__session_give(a, ctx, &key->here, value, kind));
    }
    const int64_t due = leat__session_event_due(a, &key->here);
    if (!(key->flags & LEAT__KEY_EVENT_TIMER) || due < key->event_timer_us)
        note_timer(q, LEAT__TIMERS_EVENT, row, key, due);
    if (key->here.processing_due != LEAT_TIME_MAX &&
        (!(key->flags & LEAT__KEY_PROCESSING_TIMER) || key->here.processing_due < key->processing_timer_us))
        note_timer(q, LEAT__TIMERS_PROCESSING, row, key, key->here.processing_due);
    return kind != 0;
}

static int set_quick_timers(struct leat__session_aggregate *a, struct leat__ctx *ctx, const struct quick *q)
{
    struct leat__timers *timers[LEAT__TIMERS_KINDS] = { &a->event, &a->processing };
    for (uint32_t k = 0; k < LEAT__TIMERS_KINDS; k++)
        for (uint32_t i = 0; i < q->timers[k].count; i++)
            LEAT_TRY(leat__timers_set(timers[k], ctx, q->timers[k].us[i], (struct leat_sv){ "", 0 },
                a->run.keys[q->timers[k].rows[i]]));
    return 0;
}

/* Rows from a->at on, as far as they go the short way, CHUNK at most: how many. */
static int64_t add_quickly(struct leat__session_aggregate *a, struct leat__ctx *ctx)
{
    struct quick q;
    const struct leat_batch *batch = a->run.batch;
    const uint32_t rest = batch->count - a->at;
    const uint32_t max = rest < a->chunk ? rest : a->chunk;
    uint32_t done = 0;
    q.count = q.timers[LEAT__TIMERS_EVENT].count = q.timers[LEAT__TIMERS_PROCESSING].count = 0;
    if (leat__table_upsert(
            a->table, 0, a->run.keys + a->at, batch->key_hash + a->at, NULL, max, q.found, ctx->error) < 0)
        return leat__fail_here(ctx);
    while (done < max && !leat__run_is_spent(&a->run)) {
        const uint32_t row = a->at + done;
        const int64_t us = batch->event_us[row];
        if (!extend(a, ctx, q.found[done], us, leat__time_add(us, leat__session_gap(a, row))))
            break;
        LEAT_TRY(take_quick(a, ctx, &q, row, q.found[done]));
        done++;
    }
    LEAT_TRY(flush_quick(a, ctx, &q));
    LEAT_TRY(set_quick_timers(a, ctx, &q));
    a->chunk = done == max ? CHUNK : done < CHUNK_MIN ? CHUNK_MIN : done;
    return done;
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

static int add_rows(struct leat__session_aggregate *a, struct leat__ctx *ctx)
{
    while (a->at < a->run.batch->count) {
        if (leat__run_is_spent(&a->run))
            return LEAT_MORE;
        if (a->quick) {
            const int64_t done = add_quickly(a, ctx);
            if (done < 0)
                return (int)done;
            a->at += (uint32_t)done;
            if (done > 0)
                continue;
        }
        LEAT_TRY(place(a, ctx, a->at));
        a->at++;
    }
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

static int give(struct leat__session_aggregate *a, struct leat__ctx *ctx, struct leat__session *session,
    enum leat_pane kind)
{
    unsigned char *value;
    LEAT_TRY(slot_value(a, ctx, session->slot, &value));
    return leat__session_give(a, ctx, session, value, kind);
}

static int fire_end(struct leat__session_aggregate *a, struct leat__ctx *ctx, struct leat__session *session)
{
    if (a->plan.on_watermark) {
        LEAT_TRY(give(a, ctx, session, LEAT_PANE_ON_TIME));
    } else {
        unsigned char *value;
        LEAT_TRY(slot_value(a, ctx, session->slot, &value));
        leat__session_lose(a, value);
    }
    session->flags |= LEAT__SESSION_FIRED;
    session->event_due = session->processing_due = LEAT_TIME_MAX;
    return 0;
}

/* What is due of the session at `at` by time w, in order; 1: it is over and has gone. What a period has noted is
 * never later than the end, or the going, of the session. */
static int fire_session(struct leat__session_aggregate *a, struct leat__ctx *ctx, uint32_t at, int64_t w)
{
    struct leat__session *session = &a->set.sessions[at];
    if (session->event_due != LEAT_TIME_MAX && leat__time_passed(session->event_due, w))
        LEAT_TRY(
            give(a, ctx, session, session->flags & LEAT__SESSION_FIRED ? LEAT_PANE_LATE : LEAT_PANE_EARLY));
    if (!(session->flags & LEAT__SESSION_FIRED) && leat__time_passed(session->end, w))
        LEAT_TRY(fire_end(a, ctx, session));
    if (!leat__session_is_over(&a->limits, session->end, w))
        return 0;
    if (a->plan.has_late)
        LEAT_TRY(give(a, ctx, session, LEAT_PANE_LATE));
    LEAT_TRY(clear_slot(a, ctx, session->slot));
    leat__session_set_remove(&a->set, at);
    return 1;
}

static int fire_by_watermark(struct leat__session_aggregate *a, struct leat__ctx *ctx, int64_t w)
{
    for (uint32_t i = 0; i < a->set.count && !leat__run_is_spent(&a->run);) {
        const int gone = fire_session(a, ctx, i, w);
        if (gone < 0)
            return gone;
        i += gone ? 0 : 1;
    }
    return 0;
}

static int fire_by_clock(struct leat__session_aggregate *a, struct leat__ctx *ctx)
{
    for (uint32_t i = 0; i < a->set.count; i++) {
        struct leat__session *session = &a->set.sessions[i];
        if (session->processing_due <= a->now_us)
            LEAT_TRY(give(
                a, ctx, session, session->flags & LEAT__SESSION_FIRED ? LEAT_PANE_LATE : LEAT_PANE_EARLY));
    }
    return 0;
}

/* A timer of a key has gone off. Void ones do nothing (1). */
static int fire_key(struct leat__session_aggregate *a, struct leat__ctx *ctx, int64_t time_us)
{
    void *found;
    const bool by_clock = a->pass == LEAT_PROCESSING_TIME;
    const uint32_t flag = by_clock ? LEAT__KEY_PROCESSING_TIMER : LEAT__KEY_EVENT_TIMER;
    a->key = (struct leat_sv){ a->due_key.data, a->due_key.len };
    a->hash = leat__hash(a->key.data, a->key.len);
    if (leat__table_find(a->table, 0, &a->key, &a->hash, NULL, 1, &found, ctx->error) < 0)
        return leat__fail_here(ctx);
    if (!found)
        return 0;
    LEAT_TRY(load_set(a, ctx));
    if (!(a->dir.flags & flag) || (by_clock ? a->dir.processing_timer_us : a->dir.event_timer_us) != time_us)
        return 0;
    a->dir.flags &= ~flag;
    /* In order: no further than others have come. */
    LEAT_TRY(by_clock ? fire_by_clock(a, ctx)
                      : fire_by_watermark(a, ctx, a->spec->ordered ? time_us : ctx->watermark_us));
    return save_set(a, ctx);
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
    .step = session_aggregate_step,
    .snapshot = session_aggregate_snapshot,
    .restore = session_aggregate_restore,
    .release = session_aggregate_release,
};
