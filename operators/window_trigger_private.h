/* operators/window_trigger_private.h -- the triggers of windows, put in order: what makes early panes, what late
 * ones, and when the next firing by a period is. */
#ifndef LEAT_OPERATORS_WINDOW_TRIGGER_PRIVATE_H
#define LEAT_OPERATORS_WINDOW_TRIGGER_PRIVATE_H
#include "operators/window_private.h"

/* Any of these fires; 0: there is no such trigger. */
struct leat__trigger_part {
    uint64_t count; /* records since the last firing */
    int64_t event_us, processing_us; /* periods */
};

struct leat__trigger_plan {
    struct leat__trigger_part early, late;
    bool on_watermark;
    bool has_late; /* else each late record fires at once */
    const struct leat_trigger_fn *user; /* NULL: none */
};

static inline void leat__trigger_plan_of(const struct leat_window_opts *opts, struct leat__trigger_plan *plan)
{
    const uint32_t max = sizeof opts->triggers / sizeof opts->triggers[0];
    *plan = (struct leat__trigger_plan){ .on_watermark = !opts->triggers[0].kind };
    for (uint32_t i = 0; i < max && opts->triggers[i].kind; i++) {
        const struct leat_trigger *trigger = &opts->triggers[i];
        struct leat__trigger_part *part = trigger->late ? &plan->late : &plan->early;
        plan->has_late |= trigger->late;
        plan->on_watermark |= trigger->kind == LEAT_TRIGGER_WATERMARK;
        if (trigger->kind == LEAT_TRIGGER_COUNT)
            part->count = trigger->n;
        if (trigger->kind == LEAT_TRIGGER_EVENT_TIME)
            part->event_us = (int64_t)trigger->n;
        if (trigger->kind == LEAT_TRIGGER_PROCESSING_TIME)
            part->processing_us = (int64_t)trigger->n;
        if (trigger->kind == LEAT_TRIGGER_USER)
            plan->user = trigger->fn;
    }
}

/* The first multiple of the period above `us` (rule 23); LEAT_TIME_MAX: time ends before. A clock that has said
 * nothing yet (LEAT_TIME_MIN) reaches one with the first thing it says. */
static inline int64_t leat__trigger_next(int64_t period_us, int64_t us)
{
    return leat__time_add(us, period_us - leat__floor_mod(us, period_us));
}
#endif
