/* operators/window_aggregate_fire.c -- rows after which a window may fire, and timers that make it.
 *
 *   a row      counts; is late, and fires at once; is shown to a user's trigger
 *   a period   fires the windows and keys that have changed: each of these has a timer for the next multiple
 *   a timer of a user's trigger
 *
 * What a pane shows ends with the row that fired it. The kind of a pane says where the window is: EARLY until its
 * on-time pane is due, then LATE.
 *
 * What a user's trigger (window_trigger.c) refuses leaves nothing but the row, which was added before. */
#include "base/hash.h"
#include "operators/window_aggregate_private.h"

#define CHUNK LEAT__RUN_CHUNK

/* ---- firing ---- */

/* Of a window and key. */
struct target {
    struct leat__window window;
    int64_t ns;
    struct leat_sv key;
    uint64_t hash;
    bool passed;
};

static int apply(struct leat__win *a, const struct target *t, unsigned char *values, uint32_t fire)
{
    const struct leat__pane pane = {
        .window = t->window, .key = t->key, .kind = t->passed ? LEAT_PANE_LATE : LEAT_PANE_EARLY
    };
    if (fire & LEAT_FIRE)
        LEAT_TRY(leat__win_give(a, &pane, t->hash, values, false));
    if (fire & LEAT_PURGE)
        leat__win_purge(a, values);
    return 0;
}

/* The value for writing; NULL where there is none, and none is made. */
static int find_value(struct leat__win *a, const struct target *t, unsigned char **values)
{
    void *found = NULL;
    *values = NULL;
    if (leat__table_find(a->table, t->ns, &t->key, &t->hash, NULL, 1, &found, a->ctx->error) < 0)
        return leat__fail_here(a->ctx);
    if (!found)
        return 0;
    if (leat__table_upsert(a->table, t->ns, &t->key, &t->hash, NULL, 1, &found, a->ctx->error) < 0)
        return leat__fail_here(a->ctx);
    *values = (unsigned char *)found + a->layout.values.base;
    return 0;
}

/* ---- a user's trigger ---- */

/* Grants what it has wished. *granted: values may have moved. */
static int grant(struct leat__win *a, const struct target *t, bool *granted)
{
    const struct leat_sv owner = { (const char *)&t->ns, sizeof t->ns };
    *granted = a->user.wishes.count > 0;
    return leat__timer_wishes_grant(&a->user.wishes, a->users, owner, t->key);
}

static int ask_about_row(struct leat__win *a, const struct target *t, uint32_t row, unsigned char *values,
    uint32_t *fire, bool *granted)
{
    const struct leat_bounds bounds = { t->window.start, t->window.end };
    LEAT_TRY(leat__user_trigger_row(
        &a->user, a->ctx, a->run.batch, row, &bounds, leat__win_state(a, values), fire));
    return grant(a, t, granted);
}

static int ask_about_timer(struct leat__win *a, const struct target *t, uint32_t which, int64_t time_us,
    unsigned char *values, uint32_t *fire, bool *granted)
{
    const struct leat_bounds bounds = { t->window.start, t->window.end };
    const enum leat_time_kind kind = which == LEAT__TIMERS_EVENT ? LEAT_EVENT_TIME : LEAT_PROCESSING_TIME;
    LEAT_TRY(leat__user_trigger_timer(
        &a->user, a->ctx, a->run.batch, time_us, kind, &bounds, leat__win_state(a, values), fire));
    return grant(a, t, granted);
}

/* ---- timers ---- */

static struct target target_of_timer(const struct leat__win *a)
{
    struct target t;
    memcpy(&t.ns, a->timer_key.data, sizeof t.ns);
    t.key = (struct leat_sv){ a->timer_key.data + sizeof t.ns, a->timer_key.len - sizeof t.ns };
    t.hash = leat__hash(t.key.data, t.key.len);
    t.window = leat__window_at(a->assigner, t.ns);
    t.passed = leat__time_passed(
        leat__win_last_us(&t.window), a->pass == LEAT__WIN_WATERMARK ? a->passed_us : a->ctx->watermark_us);
    return t;
}

/* A period of early panes is over when the window has fired on time, and may leave a timer behind. */
static int fire_period(
    struct leat__win *a, const struct target *t, uint32_t which, int64_t time_us, unsigned char *values)
{
    const struct leat__trigger_part *part = leat__win_part(a, t->passed);
    const int64_t period_us = which == LEAT__TIMERS_EVENT ? part->event_us : part->processing_us;
    if (!period_us || leat__floor_mod(time_us, period_us) != 0 || leat__win_head(a, values)->since == 0)
        return 0;
    return apply(a, t, values, LEAT_FIRE);
}

static int fire_user_timer(
    struct leat__win *a, const struct target *t, uint32_t which, int64_t time_us, unsigned char *values)
{
    uint32_t fire;
    bool granted;
    LEAT_TRY(ask_about_timer(a, t, which, time_us, values, &fire, &granted));
    if (fire && granted)
        LEAT_TRY(find_value(a, t, &values));
    return fire ? apply(a, t, values, fire) : 0;
}

int leat__win_fire_timer(struct leat__win *a, struct leat__timers *timers, uint32_t which, int64_t time_us)
{
    unsigned char *values;
    const int taken = leat__timers_take(timers, a->ctx, &a->timer_key);
    a->run.keys_seen++;
    if (taken <= 0)
        return taken;
    const struct target t = target_of_timer(a);
    LEAT_TRY(find_value(a, &t, &values));
    if (!values)
        return 0; /* its window has gone */
    return timers == &a->periods[which] ? fire_period(a, &t, which, time_us, values)
                                        : fire_user_timer(a, &t, which, time_us, values);
}

/* ---- rows ---- */

static struct target target_of_row(
    const struct leat__win *a, const struct leat__batch_window *w, uint32_t row)
{
    return (struct target){ w->window, w->ns, a->run.keys[row], a->run.batch->key_hash[row], w->passed };
}

/* A row of a window with a user's trigger. */
static int fire_user_row(struct leat__win *a, const struct leat__batch_window *w, uint32_t row)
{
    const struct target t = target_of_row(a, w, row);
    uint32_t fire;
    bool granted;
    LEAT_TRY(leat__win_find_values(a, w->ns, &row, 1, false));
    unsigned char *values = a->chunk_values[0];
    const int64_t added = leat__run_add(&a->run, a->ctx, a->table, w->ns, &row, a->chunk_values, 1);
    if (added <= 0)
        return (int)added;
    const uint64_t since = ++leat__win_head(a, values)->since;
    *leat__win_flags(a, values) &= ~(uint64_t)LEAT__WIN_EMPTY;
    LEAT_TRY(ask_about_row(a, &t, row, values, &fire, &granted));
    if (since >= w->due)
        fire |= LEAT_FIRE;
    if (fire && granted)
        LEAT_TRY(find_value(a, &t, &values));
    if (fire)
        LEAT_TRY(apply(a, &t, values, fire));
    if (since == 1 && !(fire & LEAT_FIRE) && w->arms) {
        a->arming[a->arming_count++] = row;
        LEAT_TRY(leat__win_arm(a, w));
    }
    return 0;
}

/* How many of the next firing pairs are of one window, CHUNK at most; copies their rows. */
static uint32_t next_run(struct leat__win *a)
{
    const struct leat__win_pair *pairs = &a->firing[a->firing_at];
    const uint32_t left = a->firing_count - a->firing_at;
    uint32_t count = 0;
    for (; count < CHUNK && count < left && pairs[count].window == pairs[0].window; count++)
        a->chunk_rows[count] = pairs[count].row;
    return count;
}

static int add_waiting(struct leat__win *a, const struct leat__batch_window *w, uint32_t begin, uint32_t end)
{
    const int64_t added = begin == end ? 0
                                       : leat__run_add(&a->run, a->ctx, a->table, w->ns,
                                             &a->chunk_rows[begin], &a->chunk_values[begin], end - begin);
    return added < 0 ? (int)added : 0;
}

/* Adds a run of rows of one window (a->chunk_rows, a->chunk_values) and fires wherever one is due. Rows that do
 * not fire wait until one does, and are then added together. */
static int fire_run(struct leat__win *a, const struct leat__batch_window *w, uint32_t count)
{
    uint32_t begin = 0; /* the first row that waits */
    for (uint32_t i = 0; i < count; i++) {
        if (a->run.careful) { /* whether it counts is known only afterwards */
            const int64_t added =
                leat__run_add(&a->run, a->ctx, a->table, w->ns, &a->chunk_rows[i], &a->chunk_values[i], 1);
            if (added < 0)
                return (int)added;
            begin = i + 1;
            if (added == 0)
                continue;
        }
        const uint32_t row = a->chunk_rows[i];
        const uint64_t records = leat__run_records(&a->run, row);
        const uint64_t since = leat__win_head(a, a->chunk_values[i])->since += records;
        if (since < w->due) {
            if (since == records && w->arms)
                a->arming[a->arming_count++] = row;
            continue;
        }
        if (begin <= i)
            LEAT_TRY(add_waiting(a, w, begin, i + 1));
        begin = i + 1;
        const struct target t = target_of_row(a, w, row);
        LEAT_TRY(apply(a, &t, a->chunk_values[i], LEAT_FIRE));
        if (leat__run_is_spent(&a->run)) {
            a->firing_at += begin;
            LEAT_TRY(leat__win_arm(a, w));
            return LEAT_MORE;
        }
    }
    a->firing_at += count;
    LEAT_TRY(add_waiting(a, w, begin, count));
    return leat__win_arm(a, w);
}

/* Timers that the triggers have set at or before the watermark go off at once (41). */
static int fire_due_timers(struct leat__win *a)
{
    const int64_t w = a->ctx->watermark_us;
    if (w == LEAT_TIME_MIN || !a->plan.user->on_timer ||
        !leat__timers_may_be_due(&a->users[LEAT__TIMERS_EVENT], w))
        return 0;
    return leat__win_fire_timers(a, LEAT__TIMERS_EVENT, w);
}

static int fire_user_rows(struct leat__win *a)
{
    for (;;) {
        const int code = fire_due_timers(a);
        if (code != 0)
            return code;
        if (a->firing_at == a->firing_count)
            return 0;
        if (leat__run_is_spent(&a->run))
            return LEAT_MORE;
        const struct leat__win_pair pair = a->firing[a->firing_at++];
        a->run.keys_seen++;
        LEAT_TRY(fire_user_row(a, &a->windows[pair.window], pair.row));
    }
}

int leat__win_fire_rows(struct leat__win *a)
{
    if (a->plan.user)
        return fire_user_rows(a);
    while (a->firing_at < a->firing_count) {
        const struct leat__batch_window *w = &a->windows[a->firing[a->firing_at].window];
        const uint32_t count = next_run(a);
        LEAT_TRY(leat__win_find_values(a, w->ns, a->chunk_rows, count, false));
        const int code = fire_run(a, w, count);
        if (code != 0)
            return code;
        if (a->overlaps)
            a->run.keys_seen += count;
    }
    return 0;
}
