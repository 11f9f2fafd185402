/* operators/session_pane.c -- what sessions give, and when.
 *
 *   a record has come      leat__session_changed: counts fire, late records fire, periods note when they are due
 *   the watermark, the     what periods have noted; ON_TIME when the end has been passed; when a session goes, its
 *   clock                  late changes that have not been given (session_aggregate.c)
 *
 * Due times are those of sessions; the operator keeps one timer per key, at or before the earliest of them.
 *
 * A session whose end was passed and that then grows beyond the watermark is an open one again: it has other
 * bounds now, and an ON_TIME pane of its own. */
#include "operators/session_private.h"

/* ---- when ---- */

/* The next multiple after now. Of one that the session does not live to see, nothing: its end, or its going, comes
 * first. */
static void note_periods(
    struct leat__session_aggregate *a, struct leat__ctx *ctx, struct leat__session *session)
{
    const struct leat__trigger_part *part = leat__session_part(a, session);
    if (part->event_us && session->event_due == LEAT_TIME_MAX) {
        const int64_t next_us = leat__trigger_next(part->event_us, ctx->watermark_us);
        if (next_us <= leat__session_event_due(a, session))
            session->event_due = next_us;
    }
    if (part->processing_us && session->processing_due == LEAT_TIME_MAX)
        session->processing_due = leat__trigger_next(part->processing_us, ctx->api->now_us(ctx));
}

enum leat_pane leat__session_changed(struct leat__session_aggregate *a, struct leat__ctx *ctx,
    struct leat__session *session, uint64_t since, bool asked)
{
    const bool passed = leat__time_passed(session->end, ctx->watermark_us);
    if (passed != ((session->flags & LEAT__SESSION_FIRED) != 0)) {
        session->flags ^= LEAT__SESSION_FIRED;
        session->event_due = session->processing_due = LEAT_TIME_MAX; /* of the other side of the end */
    }
    if (since == 0)
        return 0;
    const uint64_t count = leat__session_part(a, session)->count;
    if (asked || (passed && !a->plan.has_late) || (count && since >= count))
        return passed ? LEAT_PANE_LATE : LEAT_PANE_EARLY;
    note_periods(a, ctx, session);
    return 0;
}

int64_t leat__session_event_due(const struct leat__session_aggregate *a, const struct leat__session *session)
{
    const int64_t end_due =
        session->flags & LEAT__SESSION_FIRED ? leat__session_over_us(&a->limits, session->end) : session->end;
    return session->event_due < end_due ? session->event_due : end_due;
}

/* ---- what ---- */

static struct leat__pane given_pane(
    const struct leat__session_aggregate *a, const struct leat__session_given *given)
{
    return (struct leat__pane){ .window = { given->start, given->end },
        .key = a->key,
        .kind = (enum leat_pane)given->kind,
        .index = given->index };
}

static int take_back(struct leat__session_aggregate *a, struct leat__ctx *ctx, unsigned char *cell)
{
    const struct leat__pane pane = given_pane(a, leat__session_given_of(&a->layout, cell));
    return leat__run_give_change(&a->run, ctx, &pane, a->hash, cell + a->layout.given_values, LEAT_DELETE);
}

/* Gives a pane in the place of the one that stands. Where the bounds are others it is another record for whoever
 * takes them: the old one is deleted. */
static int replace(struct leat__session_aggregate *a, struct leat__ctx *ctx, const struct leat__pane *pane,
    unsigned char *cell)
{
    const struct leat__session_given *given = leat__session_given_of(&a->layout, cell);
    const struct leat__pane old_pane = given_pane(a, given);
    if (old_pane.window.start == pane->window.start && old_pane.window.end == pane->window.end)
        return leat__run_replace(&a->run, ctx, &old_pane, cell + a->layout.given_values, pane, a->hash,
            leat__session_values(a, cell));
    const int taken = take_back(a, ctx, cell);
    if (taken < 0)
        return taken;
    return leat__run_give_change(&a->run, ctx, pane, a->hash, leat__session_values(a, cell), LEAT_INSERT);
}

/* Remembers what stands now. */
static int stand(struct leat__session_aggregate *a, struct leat__ctx *ctx, const struct leat__pane *pane,
    unsigned char *cell)
{
    const struct leat__agg_memory mem = leat__session_memory(a);
    unsigned char *values = cell + a->layout.given_values;
    *leat__session_given_of(&a->layout, cell) = (struct leat__session_given){ pane->window.start,
        pane->window.end, pane->index, (uint32_t)pane->kind, 0 };
    leat__agg_forget(a->spec, &mem, values);
    const int code = leat__agg_copy_values(a->spec, &mem, values, leat__session_values(a, cell));
    return code < 0 ? leat__fail(ctx, code,
                          "no memory for a pane within the budget of the state: raise state_budget_bytes")
                    : 0;
}

static bool is_empty(const struct leat__session_aggregate *a, unsigned char *cell)
{
    return a->layout.user && leat__session_user_of(&a->layout, cell)->flags & LEAT__SESSION_EMPTY;
}

/* `again`: also what has not changed since the last pane. */
static int give(struct leat__session_aggregate *a, struct leat__ctx *ctx, unsigned char *cell,
    enum leat_pane kind, bool again)
{
    struct leat__session *session = (struct leat__session *)(void *)cell;
    struct leat__aggregate_head *head = leat__session_head(&a->layout, cell);
    const bool discarding = a->spec->window.accumulation == LEAT_DISCARDING;
    session->event_due = session->processing_due = LEAT_TIME_MAX;
    /* Rule 24; a key all whose rows were refused; and one that was purged. */
    if (is_empty(a, cell) || (head->since == 0 && (discarding || head->panes == 0 || !again))) {
        head->since = 0;
        return 0;
    }
    const struct leat__pane pane = {
        .window = { session->first, session->end }, .key = a->key, .kind = kind, .index = head->panes
    };
    const bool stands = a->layout.given && leat__session_given_of(&a->layout, cell)->kind;
    const int given = stands ? replace(a, ctx, &pane, cell)
                             : leat__run_give(&a->run, ctx, &pane, a->hash, leat__session_values(a, cell));
    if (given < 0)
        return given;
    head->panes++;
    head->since = 0;
    if (discarding)
        leat__agg_reset(a->spec, leat__session_values(a, cell));
    return given && a->layout.given ? stand(a, ctx, &pane, cell) : 0;
}

int leat__session_give(
    struct leat__session_aggregate *a, struct leat__ctx *ctx, unsigned char *cell, enum leat_pane kind)
{
    return give(a, ctx, cell, kind, kind == LEAT_PANE_ON_TIME);
}

int leat__session_give_asked(
    struct leat__session_aggregate *a, struct leat__ctx *ctx, unsigned char *cell, enum leat_pane kind)
{
    return give(a, ctx, cell, kind, true);
}

int leat__session_give_back(struct leat__session_aggregate *a, struct leat__ctx *ctx, unsigned char *cell)
{
    const struct leat__agg_memory mem = leat__session_memory(a);
    if (!a->layout.given)
        return 0;
    struct leat__session_given *given = leat__session_given_of(&a->layout, cell);
    if (!given->kind)
        return 0;
    const int taken = take_back(a, ctx, cell);
    if (taken < 0)
        return taken;
    memset(given, 0, sizeof *given);
    leat__agg_forget(a->spec, &mem, cell + a->layout.given_values);
    memset(cell + a->layout.given_values, 0, a->spec->values_size);
    return 0;
}

int leat__session_give_end(struct leat__session_aggregate *a, struct leat__ctx *ctx, unsigned char *cell)
{
    struct leat__session *session = (struct leat__session *)(void *)cell;
    if (a->plan.on_watermark) {
        LEAT_TRY(leat__session_give(a, ctx, cell, LEAT_PANE_ON_TIME));
    } else {
        leat__session_head(&a->layout, cell)->since = 0;
        if (a->spec->window.accumulation == LEAT_DISCARDING)
            leat__agg_reset(a->spec, leat__session_values(a, cell));
    }
    session->flags |= LEAT__SESSION_FIRED;
    session->event_due = session->processing_due = LEAT_TIME_MAX;
    return 0;
}
