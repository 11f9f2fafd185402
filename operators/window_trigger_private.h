/* operators/window_trigger_private.h -- the triggers of windows, put in order: what makes early panes, what late
 * ones, and when the next firing by a period is; and a user's trigger: asking it, and timers of its own that lie with
 * the contents of a window, where windows move and merge. */
#ifndef LEAT_OPERATORS_WINDOW_TRIGGER_PRIVATE_H
#define LEAT_OPERATORS_WINDOW_TRIGGER_PRIVATE_H
#include "operators/aggregate_class_private.h"
#include "operators/timers_private.h"
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

/* ---- a user's trigger (window_trigger.c) ---- */

/* Of an instance. What a callback wishes of timers stays in `wishes` when it has returned: whoever asked grants it. A
 * callback that refuses leaves its state as it was, and wishes nothing. */
struct leat__user_trigger {
    const struct leat_trigger_fn *fn;
    struct leat__timer_wishes wishes;
    unsigned char *saved; /* the state, while the callback runs */
};
/* fn NULL: there is none. */
LEAT_NODISCARD int leat__user_trigger_init(
    struct leat__user_trigger *trigger, struct leat__ctx *ctx, const struct leat_trigger_fn *fn);
void leat__user_trigger_release(struct leat__user_trigger *trigger, struct leat__ctx *ctx);
/* What it says of a row of the batch that has come into a window: bits of enum leat_fire. */
LEAT_NODISCARD int leat__user_trigger_row(struct leat__user_trigger *trigger, struct leat__ctx *ctx,
    const struct leat_batch *batch, uint32_t row, const struct leat_bounds *bounds, void *state,
    uint32_t *fire);
/* And of a timer. `batch`: that is being worked on, or NULL. */
LEAT_NODISCARD int leat__user_trigger_timer(struct leat__user_trigger *trigger, struct leat__ctx *ctx,
    const struct leat_batch *batch, int64_t time_us, enum leat_time_kind kind,
    const struct leat_bounds *bounds, void *state, uint32_t *fire);
/* Sessions that become one. A merge that refuses fails the job: there is no record that could be left out. */
LEAT_NODISCARD int leat__user_trigger_merge(struct leat__user_trigger *trigger, struct leat__ctx *ctx,
    const struct leat_batch *batch, void *into, const void *from);

/* ---- timers that lie with a window: a blob of struct leat__own_timer, by time, then kind ---- */

/* Saved as it is. */
struct leat__own_timer {
    int64_t us, kind;
};
/* Sets and deletes what was wished; none are left. LEAT_ENOMEM, LEAT_ESTATE, LEAT_ELIMIT of the blob. */
LEAT_NODISCARD int leat__own_timers_grant(
    const struct leat__agg_memory *mem, struct leat__agg_blob *timers, struct leat__timer_wishes *wishes);
/* Those of `from` as well. */
LEAT_NODISCARD int leat__own_timers_merge(
    const struct leat__agg_memory *mem, struct leat__agg_blob *timers, const struct leat__agg_blob *from);
/* The first of a kind; false where there is none. */
bool leat__own_timers_next(const struct leat__agg_blob *timers, enum leat_time_kind kind, int64_t *us);
void leat__own_timers_delete(struct leat__agg_blob *timers, enum leat_time_kind kind, int64_t us);
#endif
