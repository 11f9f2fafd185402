/* tests/differential/oracle_session.c -- windows that depend on the other records of the key: sessions (semantics
 * 16, 26), sliding windows and windows of a number of records (17). */
#include "tests/differential/oracle_private.h"
#include <stdlib.h>
#include <string.h>

/* ---- sessions ---- */

static wide gap_of(const struct windows *ws, const struct event *row)
{
    return ws->node->gap_of_row ? ((const struct diff_row *)row->record)->gap : ws->node->gap;
}

/* Whether a session and the span of a row become one: exactly the gap apart is near enough. */
static bool meets(const struct windows *ws, const struct window *window, wide start, wide end)
{
    if (ws->o->mistake == MISTAKE_SESSION_GAP_EXCLUSIVE)
        return window->start < end && start < window->end;
    return window->start <= end && start <= window->end;
}

/* Rows that a pane knew stay before the others. */
static void merge(struct window *into, const struct window *from)
{
    struct window all = *into;
    all.rows = NULL;
    all.count = all.capacity = 0;
    for (size_t i = 0; i < into->fired_count; i++)
        window_add_row(&all, into->rows[i]);
    for (size_t i = 0; i < from->fired_count; i++)
        window_add_row(&all, from->rows[i]);
    all.fired_count = all.count;
    for (size_t i = into->fired_count; i < into->count; i++)
        window_add_row(&all, into->rows[i]);
    for (size_t i = from->fired_count; i < from->count; i++)
        window_add_row(&all, from->rows[i]);
    free(into->rows);
    *into = all;
    into->start = from->start < into->start ? from->start : into->start;
    into->end = from->end > into->end ? from->end : into->end;
    into->triggered_count += from->triggered_count;
    into->asked_count += from->asked_count;
    into->panes += from->panes;
    for (size_t i = 0; i < from->lasts && into->lasts < WINDOW_LASTS_MAX; i++)
        into->last[into->lasts++] = from->last[i];
    into->due_us = into->due_us ? into->due_us : from->due_us;
}

static bool is_of_key(const struct windows *ws, const struct window *window, const struct event *row)
{
    return same_key(ws->o, ws->node->keys, window->key, row->record);
}

/* For a late row, a session that its split's watermark has passed is no more. */
static bool is_kept(const struct windows *ws, const struct window *window, const struct event *row, wide w)
{
    return !window->gone && is_of_key(ws, window, row) && !window_is_dropped(ws, window->end, w);
}

/* With a maximum length: the first session that it is near enough to and that does not become longer. Only for
 * records of a key in order of time, of which each can go on with a session or begin one. */
static bool bounded_row(struct windows *ws, const struct event *row, wide w)
{
    struct window *session = NULL;
    for (size_t i = 0; i < ws->count; i++) {
        struct window *window = ws->at[i];
        if (!is_of_key(ws, window, row))
            continue;
        ws->unsure = ws->unsure || window->rows[window->count - 1]->at > row->at;
        if (!session && is_kept(ws, window, row, w) &&
            meets(ws, window, row->at, row->at + gap_of(ws, row)) &&
            row->at - window->start <= ws->node->max_length)
            session = window;
    }
    if (!session && window_is_dropped(ws, row->at + gap_of(ws, row), w))
        return false;
    if (!session)
        session = windows_add(ws, row->record, row->at, row->at + gap_of(ws, row));
    if (row->at + gap_of(ws, row) > session->end)
        session->end = row->at + gap_of(ws, row);
    session->on_time = session->on_time && ws->w >= window_last(ws, session->end);
    window_add_row(session, row);
    window_after_row(ws, session, row);
    return true;
}

/* A session that the row would have been in, but for its split's watermark: the two stand beside each other then, and
 * which of them a later row meets first is left open. */
static bool passes_by(const struct windows *ws, const struct event *row, wide w)
{
    for (size_t i = 0; i < ws->count; i++)
        if (is_kept(ws, ws->at[i], row, ws->w) && !is_kept(ws, ws->at[i], row, w) &&
            meets(ws, ws->at[i], row->at, (wide)row->at + gap_of(ws, row)))
            return true;
    return false;
}

bool oracle_session_row(struct windows *ws, const struct event *row)
{
    const wide w = row->w > ws->w ? row->w : ws->w;
    ws->unsure = ws->unsure || passes_by(ws, row, w);
    if (ws->node->max_length > 0)
        return bounded_row(ws, row, w);
    wide start = row->at, end = (wide)row->at + gap_of(ws, row);
    for (bool more = true; more;) { /* the bounds that it would get */
        more = false;
        for (size_t i = 0; i < ws->count; i++) {
            const struct window *window = ws->at[i];
            if (!is_kept(ws, window, row, w) || !meets(ws, window, start, end))
                continue;
            more = more || window->start < start || window->end > end;
            start = window->start < start ? window->start : start;
            end = window->end > end ? window->end : end;
        }
    }
    if (window_is_dropped(ws, end, w))
        return false;
    struct window *session = windows_add(ws, row->record, row->at, (wide)row->at + gap_of(ws, row));
    struct window *first = NULL;
    for (size_t i = 0; i + 1 < ws->count; i++) {
        struct window *window = ws->at[i];
        if (!is_kept(ws, window, row, w) || !meets(ws, window, start, end))
            continue;
        if (first) {
            merge(first, window);
            window->gone = true;
        }
        first = first ? first : window;
    }
    if (first) {
        merge(first, session);
        session->gone = true;
        session = first;
    }
    if (session->start != start || session->end != end)
        abort();
    session->on_time = session->on_time && ws->w >= window_last(ws, end);
    window_add_row(session, row);
    window_after_row(ws, session, row);
    return true;
}

/* ---- sliding ---- */

static bool reaches(const struct windows *ws, wide from, wide to)
{
    const wide size = ws->node->size;
    return ws->o->mistake == MISTAKE_SLIDING_EXCLUSIVE ? from > to - size : from >= to - size;
}

/* All rows of the key, in a window of its own that is no window: it never ends. */
static struct window *kept_rows(struct windows *ws, const struct event *row)
{
    for (size_t i = 0; i < ws->count; i++)
        if (ws->at[i]->gone && ws->at[i]->start == INT64_MAX && is_of_key(ws, ws->at[i], row))
            return ws->at[i];
    struct window *kept = windows_add(ws, row->record, INT64_MAX, INT64_MAX);
    kept->gone = true;
    return kept;
}

bool oracle_sliding_row(struct windows *ws, const struct event *row)
{
    const wide w = row->w > ws->w ? row->w : ws->w;
    const wide own = row->at;
    ws->unsure = ws->unsure || row->at == INT64_MAX;
    bool taken = false, has_own = false;
    struct window *kept = kept_rows(ws, row);
    const size_t count = ws->count;
    for (size_t i = 0; i < count; i++) {
        struct window *window = ws->at[i];
        const wide to = window->end - 1;
        if (window->gone || !is_of_key(ws, window, row) || own > to || !reaches(ws, own, to) ||
            window_is_dropped(ws, window->end, w))
            continue;
        has_own = has_own || to == own;
        taken = true;
        window_add_row(window, row);
        window_after_row(ws, window, row);
    }
    if (!has_own && !window_is_dropped(ws, own + 1, w)) {
        struct window *window = windows_add(ws, row->record, own - ws->node->size, own + 1);
        for (size_t i = 0; i < kept->count; i++)
            if (kept->rows[i]->at <= own && reaches(ws, kept->rows[i]->at, own))
                window_add_row(window, kept->rows[i]);
        window_add_row(window, row);
        window_after_row(ws, window, row);
        taken = true;
    } else if (!taken) {
        ws->level = ORACLE_NOTHING; /* whether a window that is still to come takes it is left open */
    }
    window_add_row(kept, row);
    return taken;
}

/* ---- counts ---- */

bool oracle_count_row(struct windows *ws, const struct event *row)
{
    struct window *kept = kept_rows(ws, row);
    const size_t every = (size_t)(ws->node->every ? ws->node->every : ws->node->count);
    window_add_row(kept, row);
    if (kept->count % every != 0)
        return true;
    const size_t most = (size_t)ws->node->count, count = kept->count < most ? kept->count : most;
    struct window window = { .key = row->record, .start = row->at, .end = (wide)row->at + 1 };
    for (size_t i = kept->count - count; i < kept->count; i++) {
        window_add_row(&window, kept->rows[i]);
        window.start = kept->rows[i]->at < window.start ? kept->rows[i]->at : window.start;
        window.end = kept->rows[i]->at >= window.end ? (wide)kept->rows[i]->at + 1 : window.end;
    }
    window_fire(ws, &window, LEAT_PANE_ON_TIME, row);
    free(window.rows);
    return true;
}
