/* tests/differential/generate_idle.c -- some plans of the kit become such where splits fall silent: one of them, a
 * whole source, or all; until they are idle, one before that, or long after; and come back with rows that are late
 * by then, or that are not. The numbers are drawn apart from those of the other parts: plans without silence are as
 * they were. */
#include "tests/differential/draws.h"
#include "tests/differential/plan.h"
#include <stdlib.h>

/* The rows as they come to be. */
struct silences {
    struct draws d;
    struct plan *plan;
    struct plan_row *rows;
    size_t count, capacity;
    bool is_silent[PLAN_SOURCES_MAX][PLAN_SPLITS_MAX], any; /* now */
    int64_t left; /* rows of the plan, until that is over */
    int64_t newest[PLAN_SOURCES_MAX][PLAN_SPLITS_MAX], most; /* event times */
    int64_t ahead[PLAN_SOURCES_MAX][PLAN_SPLITS_MAX]; /* that rows are moved by, behind a silence */
    bool has_ended[PLAN_SOURCES_MAX];
};

static void add_row(struct silences *s, const struct plan_row *row)
{
    if (s->count == s->capacity) {
        s->capacity = s->capacity ? 2 * s->capacity : 128;
        s->rows = realloc(s->rows, s->capacity * sizeof *s->rows);
        if (!s->rows)
            abort();
    }
    s->rows[s->count++] = *row;
}

static void add_pause(struct silences *s)
{
    const int64_t idle = s->plan->sources[below(&s->d, (int64_t)s->plan->sources_count)].idle;
    const int64_t about = idle > 0 ? idle : 5;
    const int64_t us = ONE_OF(&s->d, 1, 1, 1, 1, 2, about - 1, about);
    add_row(s, &(struct plan_row){ .step = PLAN_ADVANCE, .at = us > 0 ? us : 1 });
}

/* One split, a whole source, all but one of its splits, or all there are. */
static void begin_silence(struct silences *s)
{
    const int64_t source = below(&s->d, (int64_t)s->plan->sources_count);
    const int64_t split = below(&s->d, s->plan->sources[source].splits), how = below(&s->d, 8);
    for (int64_t i = 0; i < (int64_t)s->plan->sources_count; i++)
        for (int64_t k = 0; k < s->plan->sources[i].splits; k++)
            s->is_silent[i][k] = how < 2 || (i == source && (how < 5 || (k == split) == (how < 7)));
    s->any = true;
    s->left = between(&s->d, 2, 20);
}

/* Who comes back goes on where it was, or where the others are now. */
static void end_silence(struct silences *s)
{
    for (int64_t i = 0; i < PLAN_SOURCES_MAX; i++)
        for (int64_t k = 0; k < PLAN_SPLITS_MAX; k++) {
            int64_t behind;
            if (s->is_silent[i][k] && one_in(&s->d, 2) &&
                !__builtin_sub_overflow(s->most, s->newest[i][k], &behind) && behind > 0)
                s->ahead[i][k] = one_in(&s->d, 3) ? behind + 1 : behind;
            s->is_silent[i][k] = false;
        }
    s->any = false;
}

/* A place that is not silent; false where there is none. */
static bool find_place(struct silences *s, struct plan_row *row)
{
    for (int tries = 0; tries < 20 && s->is_silent[row->source][row->split]; tries++) {
        row->source = below(&s->d, (int64_t)s->plan->sources_count);
        row->split = below(&s->d, s->plan->sources[row->source].splits);
    }
    return !s->is_silent[row->source][row->split];
}

static void take_row(struct silences *s, struct plan_row row)
{
    if (s->any && s->left-- == 0)
        end_silence(s);
    else if (!s->any && one_in(&s->d, 6))
        begin_silence(s);
    const bool has_place = find_place(s, &row);
    if (row.step == PLAN_ADVANCE || !has_place || s->has_ended[row.source]) {
        add_pause(s);
        if (!has_place) /* all are silent */
            add_pause(s);
        return;
    }
    if (row.step == PLAN_ROW && one_in(&s->d, 40))
        row = (struct plan_row){ .step = PLAN_END, .source = row.source };
    if (row.step == PLAN_ROW) {
        int64_t *newest = &s->newest[row.source][row.split];
        if (__builtin_add_overflow(row.at, s->ahead[row.source][row.split], &row.at))
            row.at = INT64_MAX;
        *newest = row.at > *newest ? row.at : *newest;
        s->most = row.at > s->most ? row.at : s->most;
    }
    row.split = row.step == PLAN_ROW ? row.split : 0;
    s->has_ended[row.source] = row.step == PLAN_END;
    add_row(s, &row);
    if (one_in(&s->d, 2))
        add_pause(s);
}

void plan_draw_silences(struct plan *plan, uint64_t seed)
{
    struct silences s = { .d = { .seed = ~seed }, .plan = plan, .most = INT64_MIN };
    if (plan->run.mode != PLAN_KIT || !one_in(&s.d, 2))
        return;
    bool any = false;
    for (size_t i = 0; i < plan->sources_count; i++) {
        if (plan->sources[i].splits == 1 && (plan->sources_count == 1 || one_in(&s.d, 3)))
            plan->sources[i].splits = between(&s.d, 2, PLAN_SPLITS_MAX);
        plan->sources[i].idle = one_in(&s.d, 5) ? 0 : between(&s.d, 2, 12);
        any = any || plan->sources[i].idle > 0;
    }
    for (size_t i = 0; i < PLAN_SOURCES_MAX; i++)
        for (size_t k = 0; k < PLAN_SPLITS_MAX; k++)
            s.newest[i][k] = INT64_MIN;
    for (size_t i = 0; any && i < plan->rows_count; i++)
        take_row(&s, plan->rows[i]);
    if (!any)
        return;
    free(plan->rows);
    plan->rows = s.rows;
    plan->rows_count = s.count;
}
