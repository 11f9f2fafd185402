/* tests/differential/oracle_top.c -- duplicates, and the first n records of a key or of a window (semantics 43). */
#include "tests/differential/oracle_private.h"
#include <stdlib.h>
#include <string.h>

static void give(struct stream *out, const struct event *cause, const void *record, int64_t at, int change)
{
    oracle_push(out,
        &(struct event){ .kind = EVENT_ROW,
            .step = cause->step,
            .record = record,
            .at = at,
            .w = cause->w,
            .change = change });
}

/* ---- duplicates ---- */

struct kept {
    const struct event *event;
    bool gone; /* it was replaced or taken back */
};

struct duplicates {
    struct oracle *o;
    const struct plan_node *node;
    struct stream *out;
    struct kept *kept;
    size_t count;
};

static bool is_duplicate(const struct duplicates *d, const struct kept *kept, const struct event *event)
{
    const wide apart = (wide)kept->event->at - event->at, within = d->node->size;
    return !kept->gone && (within == INT64_MAX || (apart <= within && -apart <= within)) &&
        same_key(d->o, d->node->keys, kept->event->record, event->record);
}

static bool is_better(const struct plan_node *node, const struct event *event, const struct event *than)
{
    const bool last = node->expr & 1;
    if (!(node->expr & 2))
        return last;
    return last ? event->at >= than->at : event->at < than->at;
}

/* False: it is late, and no duplicate of what is known. */
static bool take_record(struct duplicates *d, const struct event *event, wide w)
{
    struct kept *earliest = NULL;
    const wide judged = event->w > w ? event->w : w, within = d->node->size;
    const bool late = event->at <= judged && d->node->size != INT64_MAX;
    for (size_t i = 0; i < d->count; i++) {
        struct kept *kept = &d->kept[i];
        if (!is_duplicate(d, kept, event))
            continue;
        if (judged >= kept->event->at + within && within != INT64_MAX)
            d->out->unsure = true; /* just when it is forgotten is left open */
        if (!is_better(d->node, event, kept->event))
            return true;
        if (!earliest || kept->event->at < earliest->event->at)
            earliest = kept;
    }
    if (!earliest && late)
        return false;
    for (size_t i = 0; earliest && i < d->count; i++) {
        struct kept *kept = &d->kept[i];
        if (!is_duplicate(d, kept, event))
            continue;
        give(d->out, event, kept->event->record, event->at,
            kept == earliest ? LEAT_UPDATE_BEFORE : LEAT_DELETE);
        kept->gone = true;
    }
    d->kept[d->count++] = (struct kept){ .event = event };
    give(d->out, event, event->record, event->at, earliest ? LEAT_UPDATE_AFTER : LEAT_INSERT);
    return true;
}

void oracle_deduplicate(struct oracle *o, const struct plan_node *node, size_t stream)
{
    const struct stream *in = &o->streams[node->in];
    struct stream *out = &o->streams[stream];
    struct oracle_sink *late = oracle_sink(o, "late", stream, false);
    struct duplicates d = { .o = o, .node = node, .out = out, .kept = calloc(in->count + 1, sizeof *d.kept) };
    wide w = NO_WATERMARK;
    if (!d.kept)
        abort();
    out->unsure = in->unsure || in->behind || !in->in_order;
    out->sources = in->sources;
    for (size_t i = 0; i < in->count; i++) {
        const struct event *event = &in->events[i];
        if (event->kind != EVENT_ROW)
            oracle_push(out, event);
        else if (!take_record(&d, event, w))
            oracle_sink_add(late, event->record, event->at, 0);
        if (event->kind == EVENT_ROW && event->w > NO_WATERMARK)
            out->behind = true;
        w = event->kind == EVENT_WATERMARK ? event->w : w;
    }
    if (out->unsure)
        late->level = ORACLE_NOTHING;
    free(d.kept);
}

/* ---- the first n ---- */

/* Whether `a` stands before `b`, which came later, or not at all. */
static bool stands_before(const struct plan_node *node, const struct event *a, const struct event *b)
{
    const struct value x = value_of(a->record, node->expr), y = value_of(b->record, node->expr);
    if ((x.of == VALUE_NULL) != (y.of == VALUE_NULL))
        return y.of == VALUE_NULL;
    const int order = x.of == VALUE_NULL ? 0 : value_compare(&x, &y);
    if (order != 0)
        return node->every ? order > 0 : order < 0;
    return a->at <= b->at;
}

/* Into its place; behind those that are as good and came before. */
static void insert(
    const struct plan_node *node, const struct event **rows, size_t *count, const struct event *row)
{
    size_t at = *count;
    while (at > 0 && !stands_before(node, rows[at - 1], row)) {
        rows[at] = rows[at - 1];
        at--;
    }
    rows[at] = row;
    (*count)++;
}

static const struct diff_row *ranked(
    struct oracle *o, const struct plan_node *node, const struct event *event, size_t rank)
{
    struct diff_row *row = oracle_alloc(o, sizeof *row);
    *row = *(const struct diff_row *)event->record;
    if (node->unit)
        row->gap = (int64_t)rank + 1;
    return row;
}

struct tops {
    struct {
        const struct diff_row *key;
        const struct event **rows;
        size_t count;
    } * at;
    size_t count;
};

static size_t top_of(struct oracle *o, const struct plan_node *node, struct tops *tops,
    const struct stream *in, const struct diff_row *row)
{
    for (size_t i = 0; i < tops->count; i++)
        if (same_key(o, node->keys, tops->at[i].key, row))
            return i;
    tops->at[tops->count].key = row;
    tops->at[tops->count].rows = oracle_alloc(o, (in->count + 1) * sizeof(const struct event *));
    return tops->count++;
}

static void take_back(const struct event **rows, size_t *count, const struct event *event)
{
    for (size_t i = *count; i-- > 0;)
        if (same_row(rows[i]->record, event->record)) {
            memmove(rows + i, rows + i + 1, (*count - i - 1) * sizeof *rows);
            (*count)--;
            return;
        }
}

/* Only what it comes to in the end: which changes lead there is free. */
void oracle_top(struct oracle *o, const struct plan_node *node, size_t stream)
{
    const struct stream *in = &o->streams[node->in];
    struct stream *out = &o->streams[stream];
    struct tops tops = { .at = calloc(in->count + 1, sizeof *tops.at) };
    const bool changes = plan_gives_changes(o->plan, (size_t)node->in);
    if (!tops.at)
        abort();
    out->unsure =
        in->unsure || in->behind || !in->in_order || changes; /* ties by a time that changes give anew */
    out->sources = in->sources;
    for (size_t i = 0; i < in->count; i++) {
        const struct event *event = &in->events[i];
        if (event->kind != EVENT_ROW)
            continue;
        const size_t t = top_of(o, node, &tops, in, event->record);
        if (event->change == LEAT_UPDATE_BEFORE || event->change == LEAT_DELETE)
            take_back(tops.at[t].rows, &tops.at[t].count, event);
        else
            insert(node, tops.at[t].rows, &tops.at[t].count, event);
    }
    for (size_t t = 0; t < tops.count; t++)
        for (size_t i = 0; i < tops.at[t].count && i < (size_t)node->count; i++)
            give(out, tops.at[t].rows[i], ranked(o, node, tops.at[t].rows[i], i), tops.at[t].rows[i]->at, 0);
    free(tops.at);
    oracle_push(out, &(struct event){ .kind = EVENT_WATERMARK, .step = o->plan->rows_count, .w = INT64_MAX });
}

/* ---- of windows ---- */

static void give_window(struct windows *ws, struct window *window, const struct event *cause)
{
    const struct event **rows = oracle_alloc(ws->o, (window->count + 1) * sizeof(const struct event *));
    size_t count = 0;
    for (size_t i = 0; i < window->count; i++)
        insert(ws->node, rows, &count, window->rows[i]);
    for (size_t i = 0; i < count && i < (size_t)ws->node->count; i++)
        give(ws->out, &(struct event){ .step = cause->step, .w = NO_WATERMARK },
            ranked(ws->o, ws->node, rows[i], i), cut(window->end) - 1, 0);
    window->gone = true;
}

void oracle_window_top(struct oracle *o, const struct plan_node *node, size_t stream)
{
    const struct stream *in = &o->streams[node->in];
    struct stream *out = &o->streams[stream];
    struct oracle_sink *late = oracle_sink(o, "late", stream, false);
    struct windows ws = { .o = o, .node = node, .w = NO_WATERMARK, .out = out };
    out->unsure = in->unsure || in->behind || !in->in_order;
    out->sources = in->sources;
    for (size_t i = 0; i < in->count; i++) {
        const struct event *event = &in->events[i];
        if (event->kind == EVENT_ROW) {
            if (!windows_take(&ws, event))
                oracle_sink_add(late, event->record, event->at, 0);
            continue;
        }
        ws.w = event->kind == EVENT_WATERMARK ? event->w : ws.w;
        for (size_t k = 0; k < ws.count; k++)
            if (!ws.at[k]->gone && ws.w >= cut(ws.at[k]->end) - (wide)1)
                give_window(&ws, ws.at[k], event);
        oracle_push(out, event);
    }
    out->unsure = out->unsure || ws.unsure;
    if (out->unsure)
        late->level = ORACLE_NOTHING;
    for (size_t i = 0; i < ws.count; i++)
        free(ws.at[i]->rows);
    free(ws.at);
}
