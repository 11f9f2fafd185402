/* operators/session_trigger.c -- a user's trigger of sessions: its state and its timers lie in the session, go where
 * that goes, and are one when sessions are.
 *
 * It is asked about a record when the sessions that the record joins have become one, with the bounds of that.
 * Everything that a watermark passes comes in the order of its time: a timer before the end of the session at the same
 * time, and that before its going. What is still set then goes with the session.
 *
 * While one of these functions runs, the due times of the session are those of periods alone, as session_pane.c knows
 * them; between calls they are the earliest of these and of the timers. */
#include "operators/session_private.h"

/* ---- due times ---- */

static void begin(struct leat__session_aggregate *a, unsigned char *cell)
{
    struct leat__session *session = (struct leat__session *)(void *)cell;
    struct leat__session_user *user = leat__session_user_of(&a->layout, cell);
    if (!(user->flags & LEAT__SESSION_BEGUN)) {
        user->flags |= LEAT__SESSION_BEGUN;
        user->event_due = user->processing_due = LEAT_TIME_MAX;
    }
    session->event_due = user->event_due;
    session->processing_due = user->processing_due;
}

static int64_t earlier(const struct leat__session_user *user, enum leat_time_kind kind, int64_t due)
{
    int64_t us;
    return leat__own_timers_next(&user->timers, kind, &us) && us < due ? us : due;
}

static void end(struct leat__session_aggregate *a, unsigned char *cell)
{
    struct leat__session *session = (struct leat__session *)(void *)cell;
    struct leat__session_user *user = leat__session_user_of(&a->layout, cell);
    user->event_due = session->event_due;
    user->processing_due = session->processing_due;
    session->event_due = earlier(user, LEAT_EVENT_TIME, user->event_due);
    session->processing_due = earlier(user, LEAT_PROCESSING_TIME, user->processing_due);
}

/* ---- asking ---- */

static int grant(struct leat__session_aggregate *a, struct leat__ctx *ctx, unsigned char *cell)
{
    const struct leat__agg_memory mem = leat__session_memory(a);
    const int code =
        leat__own_timers_grant(&mem, &leat__session_user_of(&a->layout, cell)->timers, &a->user.wishes);
    return code < 0
        ? leat__fail(ctx, code,
              "no memory for the timers of a session within the budget of the state (or more than 16 MiB "
              "of them): raise state_budget_bytes, or set fewer")
        : 0;
}

static struct leat_bounds bounds_of(const unsigned char *cell)
{
    const struct leat__session *session = (const struct leat__session *)(const void *)cell;
    return (struct leat_bounds){ session->first, session->end };
}

/* Rule 27: forgets the contents, but not what the trigger knows. */
static void purge(struct leat__session_aggregate *a, unsigned char *cell)
{
    leat__agg_reset(a->spec, leat__session_values(a, cell));
    leat__session_user_of(&a->layout, cell)->flags |= LEAT__SESSION_EMPTY;
}

static int apply(struct leat__session_aggregate *a, struct leat__ctx *ctx, unsigned char *cell, uint32_t fire)
{
    if (fire & LEAT_FIRE)
        LEAT_TRY(leat__session_give_asked(
            a, ctx, cell, leat__session_kind((const struct leat__session *)(void *)cell)));
    if (fire & LEAT_PURGE)
        purge(a, cell);
    return 0;
}

static int fire_timer(struct leat__session_aggregate *a, struct leat__ctx *ctx, unsigned char *cell,
    enum leat_time_kind kind, int64_t us)
{
    struct leat__session_user *user = leat__session_user_of(&a->layout, cell);
    const struct leat_bounds bounds = bounds_of(cell);
    uint32_t fire;
    leat__own_timers_delete(&user->timers, kind, us);
    a->run.keys_seen++;
    LEAT_TRY(leat__user_trigger_timer(&a->user, ctx, a->run.batch, us, kind, &bounds, user + 1, &fire));
    LEAT_TRY(grant(a, ctx, cell));
    return apply(a, ctx, cell, fire);
}

/* ---- records ---- */

/* Timers that were set at or before the watermark go off at once (41). */
static int fire_due_timers(struct leat__session_aggregate *a, struct leat__ctx *ctx, unsigned char *cell)
{
    int64_t us;
    while (leat__own_timers_next(&leat__session_user_of(&a->layout, cell)->timers, LEAT_EVENT_TIME, &us) &&
        leat__time_passed(us, ctx->watermark_us))
        LEAT_TRY(fire_timer(a, ctx, cell, LEAT_EVENT_TIME, us));
    return 0;
}

int leat__session_user_row(
    struct leat__session_aggregate *a, struct leat__ctx *ctx, unsigned char *cell, uint32_t row)
{
    struct leat__session_user *user = leat__session_user_of(&a->layout, cell);
    const struct leat_bounds bounds = bounds_of(cell);
    uint32_t fire;
    begin(a, cell);
    user->flags &= ~(uint64_t)LEAT__SESSION_EMPTY;
    LEAT_TRY(leat__user_trigger_row(&a->user, ctx, a->run.batch, row, &bounds, user + 1, &fire));
    LEAT_TRY(grant(a, ctx, cell));
    const enum leat_pane kind = leat__session_changed(a, ctx, (struct leat__session *)(void *)cell,
        leat__session_head(&a->layout, cell)->since, fire & LEAT_FIRE);
    if (kind)
        LEAT_TRY(leat__session_give_asked(a, ctx, cell, kind));
    if (fire & LEAT_PURGE)
        purge(a, cell);
    LEAT_TRY(fire_due_timers(a, ctx, cell));
    end(a, cell);
    return 0;
}

int leat__session_user_merge(
    struct leat__session_aggregate *a, struct leat__ctx *ctx, unsigned char *into, const unsigned char *from)
{
    const struct leat__agg_memory mem = leat__session_memory(a);
    struct leat__session_user *user = leat__session_user_of(&a->layout, into);
    const struct leat__session_user *theirs = (const void *)(from + a->layout.user);
    begin(a, into);
    struct leat__session *session = (struct leat__session *)(void *)into;
    if (theirs->event_due < session->event_due)
        session->event_due = theirs->event_due;
    if (theirs->processing_due < session->processing_due)
        session->processing_due = theirs->processing_due;
    if (!(theirs->flags & LEAT__SESSION_EMPTY))
        user->flags &= ~(uint64_t)LEAT__SESSION_EMPTY;
    if (leat__own_timers_merge(&mem, &user->timers, &theirs->timers) < 0)
        return leat__fail(ctx, LEAT_ESTATE,
            "no memory for the timers of two sessions within the budget of the state: raise "
            "state_budget_bytes");
    LEAT_TRY(leat__user_trigger_merge(&a->user, ctx, a->run.batch, user + 1, theirs + 1));
    LEAT_TRY(grant(a, ctx, into));
    end(a, into);
    return 0;
}

/* ---- clocks ---- */

/* The next of its periods and timers by one of the clocks, at or before a time: 1. Of equal times the period. */
static int fire_next(struct leat__session_aggregate *a, struct leat__ctx *ctx, unsigned char *cell,
    enum leat_time_kind kind, int64_t until_us)
{
    const struct leat__session *session = (const struct leat__session *)(void *)cell;
    const int64_t due = kind == LEAT_EVENT_TIME ? session->event_due : session->processing_due;
    int64_t us;
    const bool has_timer = leat__own_timers_next(&leat__session_user_of(&a->layout, cell)->timers, kind, &us);
    if (due != LEAT_TIME_MAX && leat__time_passed(due, until_us) && !(has_timer && us < due)) {
        LEAT_TRY(leat__session_give(a, ctx, cell, leat__session_kind(session)));
        return 1;
    }
    if (!has_timer || !leat__time_passed(us, until_us))
        return 0;
    LEAT_TRY(fire_timer(a, ctx, cell, kind, us));
    return 1;
}

/* What comes next by time w: 1; 0: nothing. */
static int fire_by_time(
    struct leat__session_aggregate *a, struct leat__ctx *ctx, unsigned char *cell, int64_t w)
{
    const struct leat__session *session = (const struct leat__session *)(void *)cell;
    const bool fired = session->flags & LEAT__SESSION_FIRED;
    const int64_t end_us = fired ? leat__session_over_us(&a->limits, session->end) : session->end;
    const int found = fire_next(a, ctx, cell, LEAT_EVENT_TIME, end_us < w ? end_us : w);
    if (found != 0 || fired || !leat__time_passed(end_us, w))
        return found;
    LEAT_TRY(leat__session_give_end(a, ctx, cell));
    return 1;
}

int leat__session_user_watermark(
    struct leat__session_aggregate *a, struct leat__ctx *ctx, unsigned char *cell, int64_t w)
{
    const struct leat__agg_memory mem = leat__session_memory(a);
    const struct leat__session *session = (const struct leat__session *)(void *)cell;
    int found = 1;
    begin(a, cell);
    while (found && !leat__run_is_spent(&a->run)) {
        found = fire_by_time(a, ctx, cell, w);
        if (found < 0)
            return found;
    }
    if (found || !leat__session_is_over(&a->limits, session->end, w)) {
        end(a, cell);
        return 0;
    }
    if (a->plan.has_late)
        LEAT_TRY(leat__session_give(a, ctx, cell, LEAT_PANE_LATE));
    leat__session_forget(&a->layout, &mem, cell);
    return 1;
}

int leat__session_user_clock(struct leat__session_aggregate *a, struct leat__ctx *ctx, unsigned char *cell)
{
    int found = 1;
    begin(a, cell);
    while (found && !leat__run_is_spent(&a->run)) {
        found = fire_next(a, ctx, cell, LEAT_PROCESSING_TIME, a->now_us);
        if (found < 0)
            return found;
    }
    end(a, cell);
    return 0;
}
