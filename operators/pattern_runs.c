/* operators/pattern_runs.c -- the records of a key, in the order of their times, against its runs.
 *
 *   advance to w   for each row up to w, by event time, then arrival:
 *                      what is over before it:  WAITS -> a match;  else timed out
 *                      each run:   its edges, one by one; what takes the row makes a new run
 *                      a new run, where the row can be a beginning
 *                      the matches that have come about, by their beginnings: given, and skipped by
 *                  what is over at w
 *
 * An edge leads from what a run has taken to a step that may take the next record. It is gone once it was
 * taken, or a record came that it does not endure; a run without edges is over. Runs never change what they
 * have taken: going on makes a child.
 *
 * Invariants: (1) runs are in the order in which they were made, so that a beginning's order never falls but
 * for children; (2) orders of rows rise with their times; (3) what comes of a row does not depend on how far
 * the watermark goes at a time. */
#include "operators/pattern_private.h"

/* ---- what comes of matches ---- */

static const struct leat__run_taken *taken_of(const struct leat__pattern *a, uint32_t run)
{
    return a->key.taken + a->key.runs[run].taken_at;
}

/* Matches and runs that begin before this order are skipped by the match; 0: none. */
static uint64_t skipped_before(
    const struct leat__pattern *a, const struct leat__run_taken *taken, uint32_t count)
{
    uint64_t before = 0;
    switch (a->spec->skip) {
    case LEAT_SKIP_PAST_LAST:
        return taken[count - 1].order + 1;
    case LEAT_SKIP_TO_FIRST:
        for (uint32_t i = count; i-- > 0;)
            if (taken[i].step == a->spec->skip_to)
                before = taken[i].order;
        return before;
    case LEAT_SKIP_TO_LAST:
        for (uint32_t i = 0; i < count; i++)
            if (taken[i].step == a->spec->skip_to)
                before = taken[i].order;
        return before;
    default:
        return 0;
    }
}

static void skip_by(struct leat__pattern *a, uint32_t match)
{
    struct leat__pattern_key *key = &a->key;
    const struct leat__pattern_run *run = &key->runs[match];
    const uint64_t before = skipped_before(a, taken_of(a, match), run->taken_count);
    for (uint32_t i = 0; i < key->runs_count; i++) {
        struct leat__pattern_run *other = &key->runs[i];
        if (other->start_order < before ||
            (a->spec->skip == LEAT_SKIP_TO_NEXT && other->start_order == run->start_order))
            other->flags |= LEAT__RUN_OVER;
    }
}

/* Sorts the found runs by beginning; of one beginning in the order in which they were made. */
static void sort_found(struct leat__pattern *a, uint32_t count)
{
    const struct leat__pattern_run *runs = a->key.runs;
    for (uint32_t i = 1; i < count; i++) {
        const uint32_t at = a->found[i];
        uint32_t k = i;
        for (; k > 0 && runs[a->found[k - 1]].start_order > runs[at].start_order; k--)
            a->found[k] = a->found[k - 1];
        a->found[k] = at;
    }
}

/* Gives found runs as matches, unless an earlier one skips them. */
static void give_found(struct leat__pattern *a, struct leat_ctx *ctx, uint32_t count, int64_t event_us)
{
    sort_found(a, count);
    for (uint32_t i = 0; i < count && a->process.code == 0; i++) {
        struct leat__pattern_run *run = &a->key.runs[a->found[i]];
        if (run->flags & LEAT__RUN_OVER)
            continue;
        const struct leat_match match = { a, ctx, taken_of(a, a->found[i]), run->taken_count };
        leat__pattern_give(a, ctx, &a->spec->match, &match, event_us);
        run->flags |= LEAT__RUN_MATCHED;
        if (!run->edges)
            run->flags |= LEAT__RUN_OVER;
        if (a->spec->skip != LEAT_SKIP_NONE)
            skip_by(a, a->found[i]);
    }
}

static bool note_found(struct leat__pattern *a, uint32_t *count, uint32_t run)
{
    if (!leat__pattern_room(a, (void **)&a->found, &a->found_capacity, *count, sizeof *a->found))
        return false;
    a->found[(*count)++] = run;
    return true;
}

/* ---- what is over ---- */

/* The first deadline up to w; false: there is none. */
static bool first_deadline(const struct leat__pattern *a, int64_t w, int64_t *deadline_us)
{
    bool found = false;
    for (uint32_t i = 0; i < a->key.runs_count; i++) {
        if (a->key.runs[i].flags & LEAT__RUN_OVER)
            continue;
        const int64_t us = leat__pattern_deadline(a->spec, a->key.runs[i].start_us);
        if (us <= w && (!found || us < *deadline_us)) {
            *deadline_us = us;
            found = true;
        }
    }
    return found;
}

static void time_out(struct leat__pattern *a, struct leat_ctx *ctx, uint32_t run, int64_t deadline_us)
{
    const struct leat__pattern_run *r = &a->key.runs[run];
    const struct leat_match match = { a, ctx, taken_of(a, run), r->taken_count };
    if (!(r->flags & LEAT__RUN_MATCHED) && a->spec->timed_out.out)
        leat__pattern_give(a, ctx, &a->spec->timed_out, &match, deadline_us);
}

/* Ends the runs whose time is over at w, one deadline after the other. */
static void end_runs(struct leat__pattern *a, struct leat_ctx *ctx, int64_t w)
{
    int64_t deadline_us = 0;
    while (leat__pattern_ends(a->spec) && a->process.code == 0 && first_deadline(a, w, &deadline_us)) {
        uint32_t matches = 0;
        for (uint32_t i = 0; i < a->key.runs_count; i++) {
            struct leat__pattern_run *run = &a->key.runs[i];
            if (run->flags & LEAT__RUN_OVER || leat__pattern_deadline(a->spec, run->start_us) != deadline_us)
                continue;
            run->edges = 0;
            if (!(run->flags & LEAT__RUN_WAITS)) {
                time_out(a, ctx, i, deadline_us);
                run->flags |= LEAT__RUN_OVER;
            } else if (!note_found(a, &matches, i)) {
                return;
            }
        }
        give_found(a, ctx, matches, deadline_us);
    }
}

/* ---- a row and a run ---- */

static bool holds(struct leat__pattern *a, struct leat_ctx *ctx, uint32_t condition, uint32_t run,
    struct leat__pattern_row *row)
{
    static const struct leat__pattern_run none = { 0 };
    if (!a->spec->conditions[condition].of_match)
        return row->mask >> condition & 1u;
    return leat__condition_of_match(a, ctx, condition, run == UINT32_MAX ? &none : &a->key.runs[run], row);
}

/* Any of these steps' conditions. */
static bool holds_any(struct leat__pattern *a, struct leat_ctx *ctx, uint32_t steps, uint32_t run,
    struct leat__pattern_row *row)
{
    for (; steps; steps &= steps - 1)
        if (holds(a, ctx, (uint32_t)__builtin_ctz(steps), run, row))
            return true;
    return false;
}

static bool fail_runs(struct leat__pattern *a)
{
    struct leat_strbuf key = { 0 };
    leat__key_parts_print(&a->spec->process.key_parts, a->process.key, &key);
    leat__process_fail(&a->process,
        leat__fail(a->process.ctx, LEAT_ELIMIT,
            "%s has more than %u runs that may become matches: set .within_us, a stricter contiguity, .skip, "
            "or "
            "raise .runs_max",
            key.data ? key.data : "a key", a->spec->runs_max));
    leat__strbuf_release(&key);
    return false;
}

/* A run that goes on from another (UINT32_MAX: begins) by taking the row for a step. Its index, or UINT32_MAX
 * with the failure noted. */
static uint32_t make_run(struct leat__pattern *a, struct leat_ctx *ctx, uint32_t from, uint32_t step,
    bool repeat, struct leat__pattern_row *row)
{
    struct leat__pattern_key *key = &a->key;
    const uint32_t index = key->runs_count;
    const uint32_t before = from == UINT32_MAX ? 0 : key->runs[from].taken_count;
    if (index >= a->spec->runs_max) {
        (void)fail_runs(a);
        return UINT32_MAX;
    }
    if (!leat__pattern_hold(a, ctx, row) ||
        !leat__pattern_room(a, (void **)&key->runs, &key->runs_capacity, index, sizeof *key->runs))
        return UINT32_MAX;
    for (uint32_t i = 0; i <= before; i++) {
        if (!leat__pattern_room(
                a, (void **)&key->taken, &key->taken_capacity, key->taken_count, sizeof *key->taken))
            return UINT32_MAX;
        key->taken[key->taken_count++] = i < before
            ? key->taken[key->runs[from].taken_at + i]
            : (struct leat__run_taken){ row->order, row->event_us, step };
    }
    struct leat__pattern_run run = from == UINT32_MAX
        ? (struct leat__pattern_run){ .start_order = row->order, .start_us = row->event_us }
        : key->runs[from];
    run.count = repeat ? run.count + 1 : 1;
    run.step = step;
    run.flags = LEAT__RUN_FRESH;
    run.taken_at = key->taken_count - before - 1;
    run.taken_count = before + 1;
    key->runs[index] = run;
    key->runs_count++;
    return index;
}

/* Where the new run can go; whether it is a match already. */
static bool set_edges(struct leat__pattern *a, struct leat__pattern_run *run)
{
    const struct leat__step *step = &a->spec->steps[run->step];
    run->edges = run->count < step->times_max ? LEAT__EDGE_REPEAT : 0;
    if (run->count < step->times_min)
        return false;
    run->edges |= step->next.targets;
    if (step->next.ends && step->next.end_nots)
        run->flags |= LEAT__RUN_WAITS;
    return step->next.ends && !step->next.end_nots;
}

/* The row is taken for a step. */
static bool take(struct leat__pattern *a, struct leat_ctx *ctx, uint32_t from, uint32_t step, bool repeat,
    struct leat__pattern_row *row, uint32_t *matches)
{
    const uint32_t index = make_run(a, ctx, from, step, repeat, row);
    if (index == UINT32_MAX)
        return false;
    struct leat__pattern_run *run = &a->key.runs[index];
    const bool matched = set_edges(a, run);
    if (matched)
        return note_found(a, matches, index);
    if (!run->edges && !(run->flags & LEAT__RUN_WAITS))
        run->flags |= LEAT__RUN_OVER;
    return true;
}

/* Whether a `not` between the run and a target, or its end, forbids the row. */
static bool is_forbidden(
    struct leat__pattern *a, struct leat_ctx *ctx, uint32_t nots, uint32_t run, struct leat__pattern_row *row)
{
    if (!(a->key.runs[run].flags & LEAT__RUN_FRESH))
        for (uint32_t s = 0; s < a->spec->steps_count; s++)
            if (a->spec->steps[s].contiguity == LEAT_NEXT)
                nots &= ~(1u << s); /* that was for the record right behind */
    return holds_any(a, ctx, nots, run, row);
}

struct edge {
    uint32_t bit, step;
    bool repeat;
};

/* What becomes of one edge. `greedy`: the row was taken, and nothing else may be done with it. False: a
 * failure was noted. */
static bool try_edge(struct leat__pattern *a, struct leat_ctx *ctx, uint32_t run, const struct edge *edge,
    struct leat__pattern_row *row, uint32_t *matches, bool *greedy)
{
    const struct leat__step *step = &a->spec->steps[edge->step];
    const uint32_t from = a->key.runs[run].step;
    const enum leat_contiguity contiguity = edge->repeat ? step->inner : step->contiguity;
    const uint32_t nots = edge->repeat ? 0 : a->spec->steps[from].next.nots[edge->step];
    const uint32_t until = LEAT__STEPS_MAX + edge->step;
    uint32_t gone = 0;
    if ((nots && is_forbidden(a, ctx, nots, run, row)) ||
        (edge->repeat && a->spec->conditions[until].expr && holds(a, ctx, until, run, row))) {
        gone = edge->bit;
    } else if (holds(a, ctx, edge->step, run, row)) {
        if (!take(a, ctx, run, edge->step, edge->repeat, row, matches))
            return false;
        gone = contiguity == LEAT_FOLLOWED_BY_ANY ? 0 : edge->bit;
        *greedy = step->greedy;
    } else if (contiguity == LEAT_NEXT) {
        gone = edge->bit;
    }
    a->key.runs[run].edges &= ~gone;
    return a->process.code == 0;
}

static bool try_run(struct leat__pattern *a, struct leat_ctx *ctx, uint32_t run,
    struct leat__pattern_row *row, uint32_t *matches)
{
    const uint32_t at = a->key.runs[run].step;
    const uint32_t end_nots = a->spec->steps[at].next.end_nots;
    bool greedy = false;
    if (a->key.runs[run].flags & LEAT__RUN_WAITS && is_forbidden(a, ctx, end_nots, run, row))
        a->key.runs[run].flags &= ~(uint32_t)LEAT__RUN_WAITS;
    if (a->key.runs[run].edges & LEAT__EDGE_REPEAT) {
        const struct edge edge = { LEAT__EDGE_REPEAT, at, true };
        if (!try_edge(a, ctx, run, &edge, row, matches, &greedy))
            return false;
    }
    uint32_t targets = a->key.runs[run].edges & ~LEAT__EDGE_REPEAT;
    for (; targets && !greedy; targets &= targets - 1) {
        const uint32_t target = (uint32_t)__builtin_ctz(targets);
        const struct edge edge = { 1u << target, target, false };
        if (!try_edge(a, ctx, run, &edge, row, matches, &greedy))
            return false;
    }
    struct leat__pattern_run *r = &a->key.runs[run];
    r->flags &= ~(uint32_t)LEAT__RUN_FRESH;
    if (greedy || (!r->edges && !(r->flags & LEAT__RUN_WAITS)))
        r->flags |= LEAT__RUN_OVER;
    return true;
}

static void advance_row(struct leat__pattern *a, struct leat_ctx *ctx, struct leat__pattern_row *row)
{
    const uint32_t runs_count = a->key.runs_count;
    uint32_t matches = 0;
    for (uint32_t i = 0; i < runs_count; i++)
        if (!(a->key.runs[i].flags & LEAT__RUN_OVER) && !try_run(a, ctx, i, row, &matches))
            return;
    for (uint32_t targets = a->spec->start.targets; targets; targets &= targets - 1) {
        const uint32_t target = (uint32_t)__builtin_ctz(targets);
        if (holds(a, ctx, target, UINT32_MAX, row) && !take(a, ctx, UINT32_MAX, target, false, row, &matches))
            return;
    }
    if (a->process.code == 0)
        give_found(a, ctx, matches, row->event_us);
}

/* ---- so many within a time ---- */

static void drop_first(struct leat__pattern_key *key, uint32_t count)
{
    key->taken_count -= count;
    if (count && key->taken_count)
        memmove(key->taken, key->taken + count, key->taken_count * sizeof *key->taken);
}

/* Forgets what a record at `us` is too late for: the first ones, for orders rise with times. */
static void forget_before(struct leat__pattern *a, int64_t us)
{
    struct leat__pattern_key *key = &a->key;
    uint32_t gone = 0;
    while (gone < key->taken_count && leat__pattern_ends(a->spec) &&
        leat__pattern_deadline(a->spec, key->taken[gone].event_us) < us)
        gone++;
    drop_first(key, gone);
}

/* Counts the row; when n are there they are a match. One step that takes n records one after the other would
 * need a run for each of them, and gives the same. */
static void count_row(struct leat__pattern *a, struct leat_ctx *ctx, struct leat__pattern_row *row)
{
    struct leat__pattern_key *key = &a->key;
    forget_before(a, row->event_us);
    if (!leat__pattern_hold(a, ctx, row) ||
        !leat__pattern_room(
            a, (void **)&key->taken, &key->taken_capacity, key->taken_count, sizeof *key->taken))
        return;
    key->taken[key->taken_count++] = (struct leat__run_taken){ row->order, row->event_us, 0 };
    if (key->taken_count < a->spec->steps[0].times_min)
        return;
    const struct leat_match match = { a, ctx, key->taken, key->taken_count };
    leat__pattern_give(a, ctx, &a->spec->match, &match, row->event_us);
    drop_first(key, a->spec->skip == LEAT_SKIP_PAST_LAST ? key->taken_count : 1);
}

/* ---- rows ---- */

void leat__pattern_advance(struct leat__pattern *a, struct leat_ctx *ctx, uint32_t due_count, int64_t w)
{
    for (uint32_t i = 0; i < due_count && a->process.code == 0; i++) {
        struct leat__pattern_row *row = &a->due[i];
        row->order = a->key.next_order++;
        if (a->spec->is_frequency) {
            if (row->mask)
                count_row(a, ctx, row);
            continue;
        }
        if (row->event_us != LEAT_TIME_MIN)
            end_runs(a, ctx, row->event_us - 1);
        if (a->process.code == 0)
            advance_row(a, ctx, row);
    }
    if (a->process.code < 0)
        return;
    if (a->spec->is_frequency)
        forget_before(a, leat__time_add(w, 1));
    else
        end_runs(a, ctx, w);
}
