/* tests/differential/oracle_pattern.c -- sequences of records of a key (leat/pattern.h): all ways to take one record for
 * each step, of which those are left that the contiguity allows. */
#include "tests/differential/oracle_private.h"
#include <stdlib.h>
#include <string.h>

enum { STEPS_MAX = 3 };

struct match {
    size_t first, last; /* of the key's records */
};

struct pattern {
    struct oracle *o;
    const struct plan_node *node;
    const struct event **rows; /* of one key, by time */
    size_t count;
    size_t steps;
    size_t taken[STEPS_MAX];
    struct match *matches;
    size_t matches_count, matches_capacity;
};

static bool fits(const struct pattern *p, size_t step, size_t row)
{
    const struct plan_agg *as = &p->node->aggs[step];
    return conditions[as->where % CONDITIONS].holds(p->rows[row]->record);
}

static bool is_in_time(const struct pattern *p, size_t first, size_t row)
{
    const wide edge = (wide)p->rows[first]->at + p->node->size;
    return p->node->size == 0 || p->rows[row]->at < edge ||
        (p->o->mistake == MISTAKE_PATTERN_WITHIN_INCLUSIVE && p->rows[row]->at == edge);
}

static void find_rest(struct pattern *p, size_t step)
{
    if (step == p->steps) {
        if (p->matches_count == p->matches_capacity) {
            p->matches_capacity = p->matches_capacity ? 2 * p->matches_capacity : 64;
            p->matches = realloc(p->matches, p->matches_capacity * sizeof *p->matches);
            if (!p->matches)
                abort();
        }
        p->matches[p->matches_count++] = (struct match){ p->taken[0], p->taken[step - 1] };
        return;
    }
    const int64_t contiguity = p->node->aggs[step].n;
    for (size_t row = p->taken[step - 1] + 1; row < p->count && is_in_time(p, p->taken[0], row); row++) {
        p->taken[step] = row;
        if (fits(p, step, row)) {
            find_rest(p, step + 1);
            if (contiguity != LEAT_FOLLOWED_BY_ANY)
                return;
        }
        if (contiguity == LEAT_NEXT)
            return;
    }
}

static int compare_matches(const void *a, const void *b)
{
    const struct match *x = a, *y = b;
    if (x->last != y->last)
        return x->last < y->last ? -1 : 1;
    return x->first < y->first ? -1 : x->first > y->first;
}

static bool is_skipped(const struct pattern *p, const struct match *match, size_t given)
{
    for (size_t i = 0; i < given; i++)
        if ((p->node->expr == LEAT_SKIP_TO_NEXT && p->matches[i].first == match->first) ||
            (p->node->expr == LEAT_SKIP_PAST_LAST && match->first <= p->matches[i].last))
            return true;
    return false;
}

static void give_match(struct pattern *p, struct stream *out, const struct match *match)
{
    const struct event *last = p->rows[match->last];
    const struct diff_row *began = p->rows[match->first]->record;
    struct diff_row *made = oracle_alloc(p->o, sizeof *made);
    *made = *(const struct diff_row *)last->record;
    made->has_v = began->has_v;
    made->v = began->v;
    made->gap = began->gap;
    oracle_push(out, &(struct event){ .kind = EVENT_ROW, .record = made, .at = last->at, .w = NO_WATERMARK });
}

static void find_all(struct pattern *p, struct stream *out)
{
    size_t given = 0;
    p->matches_count = 0;
    for (size_t row = 0; row < p->count; row++) {
        p->taken[0] = row;
        if (fits(p, 0, row))
            find_rest(p, 1);
    }
    if (p->matches_count > 0)
        qsort(p->matches, p->matches_count, sizeof *p->matches, compare_matches);
    for (size_t i = 0; i < p->matches_count; i++) {
        const struct match match = p->matches[i];
        if (is_skipped(p, &match, given))
            continue;
        give_match(p, out, &match);
        p->matches[given++] = match;
    }
}

/* Behind those of the same time, which came before. */
static void insert(struct pattern *p, const struct event *event)
{
    size_t at = p->count++;
    for (; at > 0 && p->rows[at - 1]->at > event->at; at--)
        p->rows[at] = p->rows[at - 1];
    p->rows[at] = event;
}

void oracle_pattern(struct oracle *o, const struct plan_node *node, size_t stream)
{
    const struct stream *in = &o->streams[node->in];
    struct stream *out = &o->streams[stream];
    struct oracle_sink *late = oracle_sink(o, "late", stream, false);
    struct pattern p = { .o = o, .node = node, .rows = calloc(in->count + 1, sizeof(const struct event *)) };
    bool *done = calloc(in->count + 1, sizeof *done);
    if (!p.rows || !done)
        abort();
    while (p.steps < STEPS_MAX && node->aggs[p.steps].kind)
        p.steps++;
    out->sources = in->sources;
    out->unsure = in->unsure || in->behind;
    for (size_t i = 0; i < in->count; i++) {
        p.count = 0;
        for (size_t k = i; k < in->count && in->events[i].kind == EVENT_ROW && !done[i]; k++) {
            const struct event *event = &in->events[k];
            if (event->kind != EVENT_ROW || done[k] ||
                !same_key(o, node->keys, in->events[i].record, event->record))
                continue;
            done[k] = k > i;
            if (event->w > NO_WATERMARK)
                oracle_sink_add(late, event->record, event->at, 0);
            else
                insert(&p, event);
        }
        for (size_t k = 1; k < p.count; k++)
            if (!in->in_order && p.rows[k - 1]->at == p.rows[k]->at)
                out->unsure = true; /* which of the two is the first */
        find_all(&p, out);
    }
    oracle_push(out, &(struct event){ .kind = EVENT_WATERMARK, .step = o->plan->rows_count, .w = INT64_MAX });
    if (out->unsure)
        late->level = ORACLE_NOTHING;
    free(p.rows);
    free(p.matches);
    free(done);
}
