/* tests/differential/oracle_windows.c -- windows of a keyed stream, their panes and triggers (semantics 12, 18 to
 * 27), over the windows that oracle_assign.c and oracle_session.c say. */
#include "tests/differential/oracle_private.h"
#include <stdlib.h>
#include <string.h>

#define WINDOWS_OF_ROW 4096u

/* ---- windows ---- */

struct window *windows_add(struct windows *ws, const struct diff_row *key, wide start, wide end)
{
    if (ws->count == ws->capacity) {
        ws->capacity = ws->capacity ? 2 * ws->capacity : 64;
        ws->at = realloc(ws->at, ws->capacity * sizeof(struct window *));
        if (!ws->at)
            abort();
    }
    struct window *window = oracle_alloc(ws->o, sizeof *window);
    *window = (struct window){ .key = key, .start = start, .end = end };
    ws->at[ws->count++] = window;
    return window;
}

void window_add_row(struct window *window, const struct event *row)
{
    if (window->count == window->capacity) {
        window->capacity = window->capacity ? 2 * window->capacity : 8;
        window->rows = realloc(window->rows, window->capacity * sizeof(const struct event *));
        if (!window->rows)
            abort();
    }
    window->rows[window->count++] = row;
}

static struct window *find(const struct windows *ws, const struct diff_row *key, wide start, wide end)
{
    for (size_t i = 0; i < ws->count; i++)
        if (!ws->at[i]->gone && ws->at[i]->start == start && ws->at[i]->end == end &&
            same_key(ws->o, ws->node->keys, ws->at[i]->key, key))
            return ws->at[i];
    return NULL;
}

/* The watermark at which a window with that end is over: a session takes records at its end as well (16). */
wide window_last(const struct windows *ws, wide end)
{
    return ws->node->window == LEAT_WINDOW_SESSION ? cut(end) : cut(end) - (wide)1;
}

bool window_is_dropped(const struct windows *ws, wide end, wide w)
{
    wide edge = cut(cut(window_last(ws, end)) + (wide)ws->node->lateness);
    if (ws->node->lateness == INT64_MAX) /* LEAT_NEVER, from the first time on */
        edge = INT64_MAX;
    if (ws->o->mistake == MISTAKE_LATE_ONE_EARLIER)
        edge--;
    if (ws->o->mistake == MISTAKE_LATE_ONE_LATER)
        edge++;
    return w >= edge;
}

/* Whether the watermark has passed the end. */
static bool is_over(const struct windows *ws, const struct window *window)
{
    return ws->w >= window_last(ws, window->end) + (ws->o->mistake == MISTAKE_FIRES_ONE_LATER ? 1 : 0);
}

/* ---- triggers ---- */

const struct plan_trigger *trigger_of(const struct plan_node *node, int64_t kind, bool late)
{
    for (size_t i = 0; i < PLAN_TRIGGERS_MAX && node->triggers[i].kind; i++)
        if (node->triggers[i].kind == kind && (node->triggers[i].late != 0) == late)
            return &node->triggers[i];
    return NULL;
}

static bool has_late_trigger(const struct plan_node *node)
{
    for (size_t i = 0; i < PLAN_TRIGGERS_MAX && node->triggers[i].kind; i++)
        if (node->triggers[i].late)
            return true;
    return false;
}

/* By default, and where it is among the others, the watermark gives a pane. */
static bool fires_on_time(const struct plan_node *node)
{
    return !node->triggers[0].kind || trigger_of(node, LEAT_TRIGGER_WATERMARK, false);
}

/* By arrival: events stand in one array. */
static int compare_events(const void *a, const void *b)
{
    const struct event *x = *(const struct event *const *)a, *y = *(const struct event *const *)b;
    return x < y ? -1 : x > y;
}

static const struct diff_out *make_pane(
    struct windows *ws, const struct window *window, enum leat_pane pane, size_t from)
{
    const struct plan_node *node = ws->node;
    struct diff_out *out = oracle_alloc(ws->o, sizeof *out);
    const bool by_k1 = node->keys & PLAN_BY_K1, by_k2 = node->keys & PLAN_BY_K2;
    const bool zero = ws->o->mistake == MISTAKE_NULL_KEY_IS_ZERO;
    *out = (struct diff_out){
        .has_k1 = by_k1 && (zero || window->key->has_k1),
        .k1 = by_k1 && window->key->has_k1 ? window->key->k1 : 0,
        .has_k2 = by_k2 && window->key->has_k2,
        .k2 = window->key->k2,
        .has_window_start = true,
        .window_start = cut(window->start),
        .has_window_end = true,
        .window_end = cut(window->end),
        .has_pane = true,
        .pane = pane,
        .has_pane_index = true,
        .pane_index = window->panes,
    };
    const struct event **rows = oracle_alloc(ws->o, (window->count + 1) * sizeof(const struct event *));
    for (size_t i = from; i < window->count; i++)
        rows[i - from] = window->rows[i];
    qsort(rows, window->count - from, sizeof *rows, compare_events);
    oracle_fold(ws->o, node, rows, window->count - from, out);
    return out;
}

static void give(struct windows *ws, const struct event *cause, const struct diff_out *out, int change)
{
    const size_t at = ws->out->count;
    oracle_emit(ws->out, cause, out, (int64_t)window_last(ws, out->window_end),
        cause->kind == EVENT_WATERMARK ? ws->before : ws->w);
    ws->out->events[at].change = change;
}

void window_fire(struct windows *ws, struct window *window, enum leat_pane pane, const struct event *cause)
{
    const bool discarding =
        ws->node->accumulation == LEAT_DISCARDING && ws->o->mistake != MISTAKE_DISCARDING_KEEPS;
    const size_t from = discarding ? window->fired_count : 0;
    window->due_us = 0;
    if (ws->o->mistake != MISTAKE_COUNT_TRIGGER_NOT_RESET)
        window->triggered_count = window->count;
    if (from == window->count)
        return;
    if (ws->o->mistake == MISTAKE_LATE_PANE_ON_TIME && pane == LEAT_PANE_LATE)
        pane = LEAT_PANE_ON_TIME;
    const struct diff_out *out = make_pane(ws, window, pane, from);
    bool replaces = false;
    for (size_t i = 0; ws->node->accumulation == LEAT_RETRACTING && i < window->lasts; i++) {
        const struct diff_out *last = window->last[i];
        const bool same = last->window_start == out->window_start && last->window_end == out->window_end;
        give(ws, cause, last, same ? LEAT_UPDATE_BEFORE : LEAT_DELETE);
        replaces = replaces || same;
    }
    give(ws, cause, out, replaces ? LEAT_UPDATE_AFTER : LEAT_INSERT);
    window->fired_count = window->count;
    window->last[0] = out;
    window->lasts = 1;
    window->panes++;
}

void window_after_row(struct windows *ws, struct window *window, const struct event *row)
{
    const bool late = is_over(ws, window);
    const struct plan_trigger *count = trigger_of(ws->node, LEAT_TRIGGER_COUNT, late);
    const struct plan_trigger *clock = trigger_of(ws->node, LEAT_TRIGGER_PROCESSING_TIME, late);
    if (late)
        window->on_time = true; /* that time has passed */
    const struct plan_trigger *user = trigger_of(ws->node, LEAT_TRIGGER_USER, false);
    const bool asked = user && ++window->asked_count % (size_t)user->n == 0;
    const bool counted = count && window->count - window->triggered_count >= (size_t)count->n;
    if (counted)
        window->triggered_count = window->count;
    if (counted || asked || (late && !has_late_trigger(ws->node) && fires_on_time(ws->node)))
        window_fire(ws, window, late ? LEAT_PANE_LATE : LEAT_PANE_EARLY, row);
    else if (clock && window->due_us == 0)
        window->due_us = (ws->clock_us / clock->n + 1) * clock->n;
}

/* ---- time ---- */

/* Whether the watermark, on its way from `before`, has come by a multiple of a period; `most`: that it may be. The
 * first time is passed before anybody has spoken. */
static bool passes_multiple(wide before, wide w, wide most, const struct plan_trigger *trigger)
{
    const wide last = w < most ? w : most;
    before = before < INT64_MIN ? INT64_MIN : before;
    return trigger && last - floor_mod(last, trigger->n) > before;
}

static void fire_periods(struct windows *ws, struct window *window, wide before, const struct event *event)
{
    const wide last = window_last(ws, window->end);
    const bool was_over = before >= last;
    const struct plan_trigger *trigger = trigger_of(ws->node, LEAT_TRIGGER_EVENT_TIME, was_over);
    if (window->fired_count < window->count &&
        passes_multiple(before, ws->w, was_over ? ws->w : last, trigger))
        window_fire(ws, window, was_over ? LEAT_PANE_LATE : LEAT_PANE_EARLY, event);
}

void windows_pass(struct windows *ws, const struct event *event)
{
    const wide before = ws->before = ws->w;
    ws->w = event->w;
    for (size_t i = 0; i < ws->count; i++) {
        struct window *window = ws->at[i];
        if (window->gone || window->count == 0)
            continue;
        fire_periods(ws, window, before, event);
        if (!window->on_time && is_over(ws, window)) {
            window->on_time = true;
            if (fires_on_time(ws->node))
                window_fire(ws, window, LEAT_PANE_ON_TIME, event);
        }
        if (!window_is_dropped(ws, window->end, ws->w))
            continue;
        if (has_late_trigger(ws->node) && window->fired_count < window->count)
            window_fire(ws, window, LEAT_PANE_LATE, event);
        window->gone = true;
    }
}

void windows_clock(struct windows *ws, const struct event *event)
{
    ws->clock_us = event->at;
    for (size_t i = 0; i < ws->count; i++)
        if (!ws->at[i]->gone && ws->at[i]->due_us != 0 && ws->at[i]->due_us <= event->at)
            window_fire(ws, ws->at[i], is_over(ws, ws->at[i]) ? LEAT_PANE_LATE : LEAT_PANE_EARLY, event);
}

/* ---- rows ---- */

bool windows_take(struct windows *ws, const struct event *row)
{
    static wide bounds[WINDOWS_OF_ROW][2];
    const wide w = row->w > ws->w ? row->w : ws->w;
    const size_t count = oracle_assign(ws->o, ws->node, row->at, bounds, WINDOWS_OF_ROW);
    bool taken = count == 0;
    ws->unsure = ws->unsure || row->at == INT64_MAX;
    for (size_t i = 0; i < count; i++) {
        if (window_is_dropped(ws, bounds[i][1], w))
            continue;
        taken = true;
        struct window *window = find(ws, row->record, bounds[i][0], bounds[i][1]);
        if (!window)
            window = windows_add(ws, row->record, bounds[i][0], bounds[i][1]);
        window_add_row(window, row);
        if (ws->node->kind == PLAN_AGGREGATE)
            window_after_row(ws, window, row);
    }
    return taken;
}

static bool take_row(struct windows *ws, const struct event *row)
{
    if (ws->node->window == LEAT_WINDOW_SESSION)
        return oracle_session_row(ws, row);
    if (ws->node->window == LEAT_WINDOW_SLIDING)
        return oracle_sliding_row(ws, row);
    if (ws->node->window == LEAT_WINDOW_COUNT)
        return oracle_count_row(ws, row);
    return windows_take(ws, row);
}

static void lower(enum oracle_level *level, enum oracle_level to)
{
    *level = *level < to ? *level : to;
}

/* What of the results does not depend on timing, before a row is seen. */
static enum oracle_level level_of(
    const struct oracle *o, const struct plan_node *node, const struct stream *in)
{
    enum oracle_level level = ORACLE_EXACT;
    const bool in_order = in->in_order;
    if (in->unsure || in->behind || (!in_order && oracle_is_order_bound(node)))
        return ORACLE_NOTHING;
    if (!in_order && node->window == LEAT_WINDOW_COUNT)
        return ORACLE_NOTHING;
    for (size_t i = 0; i < PLAN_TRIGGERS_MAX && node->triggers[i].kind; i++) {
        const int64_t kind = node->triggers[i].kind;
        if (kind == LEAT_TRIGGER_WATERMARK ||
            ((kind == LEAT_TRIGGER_COUNT || kind == LEAT_TRIGGER_USER) && in_order))
            continue;
        const bool apart =
            !o->idles || kind != LEAT_TRIGGER_PROCESSING_TIME; /* from what makes inputs idle */
        lower(&level, o->paced && in_order && apart ? level : ORACLE_FINAL);
    }
    const bool session = node->window == LEAT_WINDOW_SESSION;
    if (level == ORACLE_FINAL && session && node->accumulation == LEAT_DISCARDING)
        return ORACLE_NOTHING;
    if (level == ORACLE_FINAL && !fires_on_time(node))
        return ORACLE_NOTHING; /* which part is left over */
    return level;
}

/* A late row: whether its windows have fired already is the schedule's, unless its split is the only one. */
static void judge_late(struct windows *ws, const struct stream *in, const struct event *row)
{
    if (row->w == NO_WATERMARK || in->one_lane || (ws->o->paced && in->in_order))
        return;
    const bool shaped = ws->node->window == LEAT_WINDOW_SESSION || ws->node->window == LEAT_WINDOW_SLIDING;
    lower(&ws->level, shaped ? ORACLE_NOTHING : ORACLE_FINAL);
}

static void run(struct windows *ws, const struct stream *in, struct oracle_sink *late)
{
    for (size_t i = 0; i < in->count; i++) {
        const struct event *event = &in->events[i];
        if (event->kind == EVENT_ROW) {
            judge_late(ws, in, event);
            if (!take_row(ws, event) && late)
                oracle_sink_add(late, event->record, event->at, 0);
            continue;
        }
        if (event->kind == EVENT_CLOCK)
            windows_clock(ws, event);
        else if (event->w > ws->w) /* else an input is idle, or is no more */
            windows_pass(ws, event);
        oracle_push(ws->out, event);
    }
}

void oracle_aggregate_of(struct oracle *o, const struct plan_node *node, size_t stream,
    const struct stream *in, struct oracle_sink *late)
{
    struct stream *out = &o->streams[stream];
    struct windows ws = { .o = o,
        .node = node,
        .w = NO_WATERMARK,
        .before = NO_WATERMARK,
        .clock_us = ORACLE_WALL_US,
        .out = out,
        .level = level_of(o, node, in) };
    out->sources = in->sources;
    run(&ws, in, late);
    for (size_t i = 0; i < ws.count; i++)
        free(ws.at[i]->rows);
    free(ws.at);
    if (ws.unsure)
        ws.level = ORACLE_NOTHING;
    if (ws.level == ORACLE_NOTHING && late)
        late->level = ORACLE_NOTHING;
    struct oracle_sink *sink = oracle_sink(o, "out", stream, true);
    oracle_sink_stream(o, sink, out);
    sink->node = node;
    sink->level = ws.level;
    /* Panes of sessions that become one are taken back then, or with the next pane: that is left open. */
    const bool open = node->window == LEAT_WINDOW_SESSION && node->accumulation == LEAT_RETRACTING;
    sink->stepwise = ws.level == ORACLE_EXACT && o->paced && !out->blurred && !open;
    const bool adds_up = ws.level == ORACLE_FINAL && node->accumulation == LEAT_RETRACTING;
    out->unsure = ws.level != ORACLE_EXACT && !adds_up;
}

void oracle_aggregate(struct oracle *o, const struct plan_node *node, size_t stream)
{
    oracle_aggregate_of(o, node, stream, &o->streams[node->in], oracle_sink(o, "late", stream, false));
}
