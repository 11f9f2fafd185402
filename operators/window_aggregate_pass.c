/* operators/window_aggregate_pass.c -- what the clocks make of windows.
 *
 *   a watermark   timers up to it: early panes, a user's trigger
 *                 windows whose end it passes: on-time panes, in order of time
 *                 windows whose lateness is over: what late panes were to be batched; then they go
 *   a time        timers up to it
 *
 * A watermark may jump over several of these. Timers come first then: those of periods are never later than the
 * end of their window, and late ones never later than its going. A user's timer may be anywhere, and what it
 * makes depends on whether the window has fired: so with such timers (`by_time`) everything that a watermark
 * passes comes in the order of its time, a timer before the end of a window at the same time, and that before its
 * going. */
#include "operators/window_aggregate_private.h"

#define DROP_KEYS 64u /* what a call is charged for a window that goes, in keys */
#define ITEMS LEAT__RUN_ITEMS

/* ---- timers ---- */

static bool has_periods(const struct leat__win *a, uint32_t which)
{
    return which == LEAT__TIMERS_EVENT ? a->plan.early.event_us || a->plan.late.event_us
                                       : a->plan.early.processing_us || a->plan.late.processing_us;
}

static bool has_users(const struct leat__win *a)
{
    return a->plan.user && a->plan.user->on_timer;
}

int leat__win_open_timers(struct leat__win *a, struct leat__ctx *ctx)
{
    static const char *const periods[LEAT__TIMERS_KINDS] = { "event periods", "processing periods" };
    static const char *const users[LEAT__TIMERS_KINDS] = { "event timers", "processing timers" };
    struct leat__timers_opts opts = { NULL, leat__key_fixed_size(a->spec->key), a->spec->key_types,
        sizeof(int64_t), "window" };
    for (uint32_t i = 0; i < LEAT__TIMERS_KINDS; i++) {
        opts.name = periods[i];
        if (has_periods(a, i))
            LEAT_TRY(leat__timers_open(&a->periods[i], ctx, &opts));
        opts.name = users[i];
        if (has_users(a))
            LEAT_TRY(leat__timers_open(&a->users[i], ctx, &opts));
    }
    return 0;
}

/* Of equal times the period comes first. */
int leat__win_next_timer(
    struct leat__win *a, uint32_t which, int64_t until_us, struct leat__timers **timers, int64_t *time_us)
{
    int64_t user_us = 0;
    const int period =
        has_periods(a, which) ? leat__timers_next(&a->periods[which], a->ctx, until_us, time_us) : 0;
    if (period < 0 || period == LEAT__TIMERS_MORE)
        return period;
    const int user = has_users(a) ? leat__timers_next(&a->users[which], a->ctx, until_us, &user_us) : 0;
    if (user < 0 || user == LEAT__TIMERS_MORE)
        return user;
    *timers = &a->periods[which];
    if (user && (!period || user_us < *time_us)) {
        *timers = &a->users[which];
        *time_us = user_us;
    }
    return period || user;
}

int leat__win_fire_timers(struct leat__win *a, uint32_t which, int64_t until_us)
{
    for (;;) {
        struct leat__timers *timers = NULL;
        int64_t time_us = 0;
        if (leat__run_is_spent(&a->run))
            return LEAT_MORE;
        const int found = leat__win_next_timer(a, which, until_us, &timers, &time_us);
        if (found <= 0)
            return found;
        if (found == LEAT__TIMERS_MORE)
            return LEAT_MORE;
        LEAT_TRY(leat__win_fire_timer(a, timers, which, time_us));
    }
}

int leat__win_set_wake(struct leat__win *a)
{
    const uint32_t which = LEAT__TIMERS_PROCESSING;
    int64_t period_us = LEAT_TIME_MAX;
    int64_t user_us = LEAT_TIME_MAX;
    if (has_periods(a, which))
        LEAT_TRY(leat__timers_wake(&a->periods[which], a->ctx, &period_us));
    if (has_users(a))
        LEAT_TRY(leat__timers_wake(&a->users[which], a->ctx, &user_us));
    a->ctx->wake_us = period_us < user_us ? period_us : user_us;
    return 0;
}

int leat__win_clear_processing(struct leat__win *a)
{
    const uint32_t which = LEAT__TIMERS_PROCESSING;
    if (has_periods(a, which))
        LEAT_TRY(leat__timers_clear(&a->periods[which], a->ctx));
    return has_users(a) ? leat__timers_clear(&a->users[which], a->ctx) : 0;
}

/* ---- windows ---- */

/* The next window that fires at the watermark: 1, or 0. */
static int find_firing(struct leat__win *a, struct leat__window *window, int64_t *ns)
{
    while (!a->no_more) {
        const int found = leat__table_next_namespace(a->table, a->next_ns, ns, a->ctx->error);
        if (found < 0)
            return leat__fail_here(a->ctx);
        if (!found)
            return 0;
        *window = leat__window_at(a->assigner, *ns);
        const int64_t last_us = leat__win_last_us(window);
        if (!leat__time_passed(last_us, a->until_us))
            return 0;
        if (!leat__time_passed(last_us, a->fired_us))
            return 1;
        a->next_ns = leat__time_add(*ns, 1); /* kept for late records */
        a->no_more = *ns == LEAT_TIME_MAX;
    }
    return 0;
}

/* The next window that goes at the watermark: 1, or 0. */
static int find_going(struct leat__win *a, struct leat__window *window, int64_t *ns)
{
    const int found = leat__table_next_namespace(a->table, LEAT_TIME_MIN, ns, a->ctx->error);
    if (found < 0)
        return leat__fail_here(a->ctx);
    if (!found)
        return 0;
    *window = leat__window_at(a->assigner, *ns);
    return leat__win_is_over(a, window, a->until_us);
}

static int drop(struct leat__win *a, int64_t ns)
{
    a->run.keys_seen += DROP_KEYS; /* windows cost too */
    return leat__table_drop(a->table, ns, a->ctx->error) < 0 ? leat__fail_here(a->ctx) : 0;
}

/* Whether the window goes as soon as it has fired. */
static bool goes_at_once(const struct leat__win *a, const struct leat__window *window)
{
    return leat__win_is_over(a, window, a->by_time ? leat__win_last_us(window) : a->until_us);
}

static int open_window(struct leat__win *a, const struct leat__window *window, int64_t ns, uint32_t flags)
{
    a->window = *window;
    a->window_ns = ns;
    if (a->spec->ordered)
        flags |= LEAT_CURSOR_ORDERED;
    return leat__cursor_open(a->table, ns, flags, &a->cursor, a->ctx->error) < 0 ? leat__fail_here(a->ctx)
                                                                                 : 0;
}

static int begin_firing(struct leat__win *a, const struct leat__window *window, int64_t ns)
{
    const bool last = goes_at_once(a, window);
    const int64_t last_us = leat__win_last_us(window);
    a->next_ns = leat__time_add(ns, 1);
    a->no_more = ns == LEAT_TIME_MAX;
    if (last_us > a->passed_us)
        a->passed_us = last_us;
    if (!a->plan.on_watermark && last)
        return drop(a, ns);
    a->going = false;
    /* What firing writes is of use only if the window stays. */
    return open_window(a, window, ns, last ? LEAT_CURSOR_READ : 0);
}

static int begin_going(struct leat__win *a, const struct leat__window *window, int64_t ns)
{
    if (!a->plan.has_late)
        return drop(a, ns);
    a->going = true;
    return open_window(a, window, ns, LEAT_CURSOR_READ);
}

static int give_item(struct leat__win *a, const struct leat_cursor_item *item, bool last)
{
    unsigned char *values = (unsigned char *)item->value + a->layout.values.base;
    const struct leat__pane pane = {
        .window = a->window, .key = item->key, .kind = a->going ? LEAT_PANE_LATE : LEAT_PANE_ON_TIME
    };
    if (a->going && leat__win_head(a, values)->since == 0)
        return 0;
    if (a->going || a->plan.on_watermark)
        return leat__win_give(a, &pane, item->hash, values, last);
    leat__win_lose(a, values);
    return 0;
}

/* The keys of the window that fires or goes. */
static int work_window(struct leat__win *a)
{
    struct leat_cursor_item items[ITEMS];
    const bool last = a->going || goes_at_once(a, &a->window);
    int64_t count;
    if (leat__cursor_prepare(a->cursor) > 0)
        return LEAT_MORE;
    while ((count = leat__cursor_next(a->cursor, items, a->run.items_max, a->ctx->error)) > 0) {
        for (int64_t i = 0; i < count; i++)
            LEAT_TRY(give_item(a, &items[i], last));
        a->run.keys_seen += (uint32_t)count;
        if (leat__run_is_spent(&a->run))
            return LEAT_MORE;
    }
    if (count < 0)
        return leat__fail_here(a->ctx);
    leat__cursor_close(a->cursor);
    a->cursor = NULL;
    a->run.keys_seen++;
    return last ? drop(a, a->window_ns) : 0;
}

/* ---- a watermark ---- */

/* The next window that fires, or else that goes: 1 when there is one. */
static int next_window(struct leat__win *a)
{
    struct leat__window window;
    int64_t ns;
    const int firing = find_firing(a, &window, &ns);
    if (firing < 0)
        return firing;
    if (firing) {
        LEAT_TRY(begin_firing(a, &window, ns));
        return 1;
    }
    const int going = find_going(a, &window, &ns);
    if (going <= 0)
        return going;
    LEAT_TRY(begin_going(a, &window, ns));
    return 1;
}

/* Whichever of a timer, a window that fires, and one that goes is first: 1 when there is one. */
static int next_by_time(struct leat__win *a)
{
    struct leat__timers *timers = NULL;
    struct leat__window firing_window, going_window;
    int64_t firing_ns, going_ns, timer_us;
    const int timer = leat__win_next_timer(a, LEAT__TIMERS_EVENT, a->until_us, &timers, &timer_us);
    if (timer < 0 || timer == LEAT__TIMERS_MORE)
        return timer;
    const int firing = find_firing(a, &firing_window, &firing_ns);
    if (firing < 0)
        return firing;
    const int going = find_going(a, &going_window, &going_ns);
    if (going < 0)
        return going;
    const int64_t firing_us = firing ? leat__win_last_us(&firing_window) : LEAT_TIME_MAX;
    const int64_t going_us = going ? leat__win_over_us(a, &going_window) : LEAT_TIME_MAX;
    if (timer && timer_us <= firing_us && timer_us <= going_us) {
        if (timer_us > LEAT_TIME_MIN && timer_us - 1 > a->passed_us)
            a->passed_us = timer_us - 1;
        LEAT_TRY(leat__win_fire_timer(a, timers, LEAT__TIMERS_EVENT, timer_us));
        return 1;
    }
    if (firing && firing_us <= going_us)
        LEAT_TRY(begin_firing(a, &firing_window, firing_ns));
    else if (going)
        LEAT_TRY(begin_going(a, &going_window, going_ns));
    return firing || going;
}

int leat__win_fire_watermark(struct leat__win *a)
{
    if (!a->by_time && !a->cursor) {
        const int code = leat__win_fire_timers(a, LEAT__TIMERS_EVENT, a->until_us);
        if (code != 0)
            return code;
    }
    for (;;) {
        if (a->cursor) {
            const int code = work_window(a);
            if (code != 0)
                return code;
        }
        if (leat__run_is_spent(&a->run))
            return LEAT_MORE;
        const int found = a->by_time ? next_by_time(a) : next_window(a);
        if (found < 0)
            return found;
        if (found == LEAT__TIMERS_MORE)
            return LEAT_MORE;
        if (!found)
            return 0;
    }
}
