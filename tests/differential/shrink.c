/* tests/differential/shrink.c -- makes a plan that differs smaller while it still does: rows in halves, quarters,
 * and one by one, nodes, triggers, aggregates, then every number toward 0. */
#include "tests/differential/plan.h"
#include <stdlib.h>
#include <string.h>

enum { TRIES_MAX = 4000 };

struct shrink {
    struct plan *best;
    bool (*differs)(const struct plan *plan);
    uint32_t tries;
    bool better; /* in this round */
};

/* Keeps the plan if it still differs; frees it, or the one that it replaces. */
static bool try(struct shrink *s, struct plan *plan)
{
    const bool kept = s->tries++ < TRIES_MAX && plan_is_sound(plan) && s->differs(plan);
    if (kept) {
        plan_free(s->best);
        s->best = plan;
        s->better = true;
    } else {
        plan_free(plan);
    }
    return kept;
}

static void shrink_rows(struct shrink *s)
{
    for (size_t size = s->best->rows_count / 2; size > 0; size /= 2)
        for (size_t from = 0; from + size <= s->best->rows_count && s->tries < TRIES_MAX;) {
            struct plan *plan = plan_copy(s->best);
            memmove(plan->rows + from, plan->rows + from + size,
                (plan->rows_count - from - size) * sizeof *plan->rows);
            plan->rows_count -= size;
            if (!try(s, plan))
                from += size;
        }
}

/* Without node i: who reads it reads what it reads. */
static void without_node(struct plan *plan, size_t i)
{
    const int64_t gone = (int64_t)(plan->sources_count + i), instead = plan->nodes[i].in;
    memmove(plan->nodes + i, plan->nodes + i + 1, (plan->nodes_count - i - 1) * sizeof *plan->nodes);
    plan->nodes_count--;
    for (size_t n = 0; n < plan->nodes_count; n++) {
        int64_t *const ins[] = { &plan->nodes[n].in, &plan->nodes[n].in2 };
        for (int k = 0; k < 2; k++) {
            if (*ins[k] == gone)
                *ins[k] = instead;
            else if (*ins[k] > gone)
                (*ins[k])--;
        }
    }
}

static void shrink_nodes(struct shrink *s)
{
    for (size_t i = s->best->nodes_count; i-- > 0;) {
        struct plan *plan = plan_copy(s->best);
        without_node(plan, i);
        if (try(s, plan) || i == 0)
            continue;
        plan = plan_copy(s->best); /* and both of AGAIN and what is behind it */
        without_node(plan, i);
        without_node(plan, i - 1);
        if (try(s, plan))
            i = s->best->nodes_count < i ? s->best->nodes_count : i;
    }
    for (size_t i = s->best->sources_count; i-- > 1;) {
        struct plan *plan = plan_copy(s->best);
        plan->sources_count--;
        for (size_t r = 0; r < plan->rows_count; r++)
            if (plan->rows[r].source == (int64_t)plan->sources_count)
                plan->rows[r] = (struct plan_row){ .step = PLAN_ADVANCE };
        for (size_t n = 0; n < plan->nodes_count; n++) {
            int64_t *const ins[] = { &plan->nodes[n].in, &plan->nodes[n].in2 };
            for (int k = 0; k < 2; k++)
                *ins[k] -= *ins[k] >= (int64_t)plan->sources_count && *ins[k] > 0;
        }
        (void)try(s, plan);
    }
}

/* Where a part of a plan is, so that it can be found again in a copy. */
static void shrink_number(struct shrink *s, size_t part, size_t offset, bool in_rows)
{
    const char *base = in_rows ? (const char *)s->best->rows : (const char *)s->best;
    int64_t value;
    memcpy(&value, base + part + offset, sizeof value);
    const int64_t nearer[] = { 0, 1, value / 2, value > 0 ? value - 1 : value + 1 };
    for (size_t i = 0; value != 0 && i < sizeof nearer / sizeof *nearer; i++) {
        struct plan *plan = plan_copy(s->best);
        if (nearer[i] == value || (value == 1 && nearer[i] != 0)) {
            plan_free(plan);
            continue;
        }
        memcpy((in_rows ? (char *)plan->rows : (char *)plan) + part + offset, &nearer[i], sizeof value);
        if (try(s, plan))
            return;
    }
}

static void shrink_part(struct shrink *s, const struct plan_numbers *numbers, size_t part, bool in_rows)
{
    for (size_t i = 0; i < numbers->count && s->tries < TRIES_MAX; i++)
        shrink_number(s, part, numbers->at[i].offset, in_rows);
}

static void shrink_node(struct shrink *s, size_t n)
{
    const size_t at = offsetof(struct plan, nodes) + n * sizeof(struct plan_node);
    for (size_t i = 0; i < PLAN_TRIGGERS_MAX && s->best->nodes[n].triggers[i].kind; i++) {
        struct plan *plan = plan_copy(s->best);
        struct plan_trigger *triggers = plan->nodes[n].triggers;
        memmove(triggers + i, triggers + i + 1, (PLAN_TRIGGERS_MAX - i - 1) * sizeof *triggers);
        triggers[PLAN_TRIGGERS_MAX - 1] = (struct plan_trigger){ 0 };
        i -= try(s, plan);
    }
    for (size_t i = 0; i < PLAN_AGGS_MAX && s->best->nodes[n].aggs[i].kind; i++) {
        struct plan *plan = plan_copy(s->best);
        struct plan_agg *aggs = plan->nodes[n].aggs;
        memmove(aggs + i, aggs + i + 1, (PLAN_AGGS_MAX - i - 1) * sizeof *aggs);
        aggs[PLAN_AGGS_MAX - 1] = (struct plan_agg){ 0 };
        i -= try(s, plan);
    }
    shrink_part(s, &plan_node_numbers, at, false);
    for (size_t i = 0; i < PLAN_TRIGGERS_MAX; i++)
        shrink_part(s, &plan_trigger_numbers,
            at + offsetof(struct plan_node, triggers) + i * sizeof(struct plan_trigger), false);
    for (size_t i = 0; i < PLAN_AGGS_MAX; i++)
        shrink_part(
            s, &plan_agg_numbers, at + offsetof(struct plan_node, aggs) + i * sizeof(struct plan_agg), false);
}

/* Times and sizes all at once: nearer to zero, and smaller. */
static void shrink_times(struct shrink *s)
{
    if (s->best->rows_count == 0)
        return;
    const int64_t first = s->best->rows[0].at;
    struct plan *plan = plan_copy(s->best);
    for (size_t i = 0; i < plan->rows_count; i++)
        if ((plan->rows[i].step == PLAN_ROW || plan->rows[i].step == PLAN_LIFT) &&
            __builtin_sub_overflow(plan->rows[i].at, first, &plan->rows[i].at))
            plan->rows[i].at = 0;
    if (first == 0)
        plan_free(plan);
    else
        (void)try(s, plan);
}

struct plan *plan_shrink(struct plan *plan, bool (*differs)(const struct plan *plan))
{
    struct shrink s = { .best = plan, .differs = differs };
    do {
        s.better = false;
        shrink_rows(&s);
        shrink_nodes(&s);
        shrink_part(&s, &plan_run_numbers, offsetof(struct plan, run), false);
        for (size_t i = 0; i < s.best->sources_count; i++)
            shrink_part(&s, &plan_source_numbers,
                offsetof(struct plan, sources) + i * sizeof(struct plan_source), false);
        for (size_t i = 0; i < s.best->nodes_count; i++)
            shrink_node(&s, i);
        shrink_times(&s);
        for (size_t i = 0; i < s.best->rows_count && s.best->rows_count < 20; i++)
            shrink_part(&s, &plan_row_numbers, i * sizeof(struct plan_row), true);
    } while (s.better && s.tries < TRIES_MAX);
    return s.best;
}
