/* operators/window_trigger.c -- a user's trigger: asking it, and timers of its own.
 *
 * It works on its state where that lies. What it wishes of timers is noted while it runs, and done by whoever asked
 * when it has returned: only then may values move. */
#include "operators/window_trigger_private.h"
#include "base/alloc.h"

int leat__user_trigger_init(
    struct leat__user_trigger *trigger, struct leat__ctx *ctx, const struct leat_trigger_fn *fn)
{
    trigger->fn = fn;
    if (!fn)
        return 0;
    trigger->wishes = (struct leat__timer_wishes){
        .ctx = ctx,
        .callbacks = fn->name,
        .maker = "the trigger",
        .has_event_time = true,
        .has_on_timer = fn->on_timer != NULL,
    };
    trigger->saved = leat__malloc(fn->state_size + 1);
    return trigger->saved ? 0 : leat__rows_nomem(ctx, "a trigger");
}

void leat__user_trigger_release(struct leat__user_trigger *trigger, struct leat__ctx *ctx)
{
    ctx->timer_wishes = NULL;
    leat__timer_wishes_release(&trigger->wishes);
    leat__free(trigger->saved);
}

/* ---- asking ---- */

static void begin(struct leat__user_trigger *trigger, struct leat__ctx *ctx, const void *state,
    const struct leat_batch *batch, uint32_t row)
{
    memcpy(trigger->saved, state, trigger->fn->state_size);
    trigger->wishes.count = 0;
    ctx->timer_wishes = &trigger->wishes;
    ctx->batch_out = NULL;
    ctx->batch_in = batch;
    ctx->user.row = row;
}

/* What the callback has said, or LEAT_CONTINUE when it has refused. */
static int end(struct leat__user_trigger *trigger, struct leat__ctx *ctx, void *state,
    const struct leat_batch *in, enum leat_fire said, uint32_t *fire)
{
    ctx->timer_wishes = NULL;
    *fire = LEAT_CONTINUE;
    if (trigger->wishes.code < 0)
        return trigger->wishes.code;
    if (ctx->user.failures_count > 0) {
        memcpy(state, trigger->saved, trigger->fn->state_size);
        trigger->wishes.count = 0;
        const int code = leat__ctx_end(ctx, in, NULL);
        ctx->user.failures_count = 0;
        return code;
    }
    if ((uint32_t)said > LEAT_FIRE_AND_PURGE)
        return leat__fail(
            ctx, LEAT_EUSER, "%s gave %d, which is no enum leat_fire", trigger->fn->name, (int)said);
    *fire = (uint32_t)said;
    return 0;
}

int leat__user_trigger_row(struct leat__user_trigger *trigger, struct leat__ctx *ctx,
    const struct leat_batch *batch, uint32_t row, const struct leat_bounds *bounds, void *state,
    uint32_t *fire)
{
    begin(trigger, ctx, state, batch, row);
    const enum leat_fire said = trigger->fn->on_record(&ctx->user, leat_batch_at(batch, row), bounds, state);
    return end(trigger, ctx, state, batch, said, fire);
}

int leat__user_trigger_timer(struct leat__user_trigger *trigger, struct leat__ctx *ctx,
    const struct leat_batch *batch, int64_t time_us, enum leat_time_kind kind,
    const struct leat_bounds *bounds, void *state, uint32_t *fire)
{
    if (!batch) /* else keys may show its memory */
        leat__ctx_begin(ctx, NULL, NULL);
    begin(trigger, ctx, state, NULL, 0);
    const enum leat_fire said = trigger->fn->on_timer(&ctx->user, time_us, kind, bounds, state);
    if (ctx->user.failures_count > 0 && ctx->node->policy != LEAT_SKIP &&
        ctx->node->policy != LEAT_DEAD_LETTER)
        return leat__fail(ctx, LEAT_EUSER,
            "%s refused the timer at %lld us: %s (leat_on_error with LEAT_SKIP, or leat_dead_letters, goes "
            "on without such timers)",
            trigger->fn->name, (long long)time_us, ctx->failures[0].message);
    const int code = end(trigger, ctx, state, NULL, said, fire);
    ctx->batch_in = batch;
    return code;
}

int leat__user_trigger_merge(struct leat__user_trigger *trigger, struct leat__ctx *ctx,
    const struct leat_batch *batch, void *into, const void *from)
{
    uint32_t fire;
    begin(trigger, ctx, into, NULL, 0);
    trigger->fn->merge(&ctx->user, into, from);
    if (ctx->user.failures_count > 0)
        return leat__fail(ctx, LEAT_EUSER, "%s refused to make one of the states of two sessions: %s",
            trigger->fn->name, ctx->failures[0].message);
    const int code = end(trigger, ctx, into, NULL, LEAT_CONTINUE, &fire);
    ctx->batch_in = batch;
    return code;
}

/* ---- timers of its own ---- */

static uint32_t count_of(const struct leat__agg_blob *timers)
{
    return leat__blob_len(timers) / (uint32_t)sizeof(struct leat__own_timer);
}

static struct leat__own_timer *list_of(const struct leat__agg_blob *timers)
{
    return (struct leat__own_timer *)(void *)timers->data;
}

/* The first one that is not before it. */
static uint32_t place_of(const struct leat__agg_blob *timers, const struct leat__own_timer *timer)
{
    const struct leat__own_timer *list = list_of(timers);
    const uint32_t count = count_of(timers);
    uint32_t at = 0;
    while (
        at < count && (list[at].us < timer->us || (list[at].us == timer->us && list[at].kind < timer->kind)))
        at++;
    return at;
}

static bool is_at(const struct leat__agg_blob *timers, uint32_t at, const struct leat__own_timer *timer)
{
    return at < count_of(timers) && list_of(timers)[at].us == timer->us &&
        list_of(timers)[at].kind == timer->kind;
}

static int set(
    const struct leat__agg_memory *mem, struct leat__agg_blob *timers, const struct leat__own_timer *timer)
{
    const uint32_t count = count_of(timers);
    const uint32_t at = place_of(timers, timer);
    if (is_at(timers, at, timer))
        return 0; /* setting twice is once (41) */
    LEAT_TRY(leat__blob_reserve(mem, timers, (count + 1) * sizeof *timer));
    struct leat__own_timer *list = list_of(timers);
    memmove(&list[at + 1], &list[at], (count - at) * sizeof *list);
    list[at] = *timer;
    timers->len_plus_1 = (count + 1) * (uint32_t)sizeof *timer + 1;
    return 0;
}

void leat__own_timers_delete(struct leat__agg_blob *timers, enum leat_time_kind kind, int64_t us)
{
    const struct leat__own_timer timer = { us, (int64_t)kind };
    const uint32_t count = count_of(timers);
    const uint32_t at = place_of(timers, &timer);
    struct leat__own_timer *list = list_of(timers);
    if (!is_at(timers, at, &timer))
        return;
    memmove(&list[at], &list[at + 1], (count - at - 1) * sizeof *list);
    timers->len_plus_1 = (count - 1) * (uint32_t)sizeof *list + 1;
}

int leat__own_timers_grant(
    const struct leat__agg_memory *mem, struct leat__agg_blob *timers, struct leat__timer_wishes *wishes)
{
    const uint32_t count = wishes->count;
    wishes->count = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct leat__timer_wish *wish = &wishes->list[i];
        const struct leat__own_timer timer = { wish->time_us, (int64_t)wish->kind };
        if (wish->is_delete)
            leat__own_timers_delete(timers, wish->kind, wish->time_us);
        else
            LEAT_TRY(set(mem, timers, &timer));
    }
    return 0;
}

int leat__own_timers_merge(
    const struct leat__agg_memory *mem, struct leat__agg_blob *timers, const struct leat__agg_blob *from)
{
    for (uint32_t i = 0; i < count_of(from); i++)
        LEAT_TRY(set(mem, timers, &list_of(from)[i]));
    return 0;
}

bool leat__own_timers_next(const struct leat__agg_blob *timers, enum leat_time_kind kind, int64_t *us)
{
    for (uint32_t i = 0; i < count_of(timers); i++)
        if (list_of(timers)[i].kind == (int64_t)kind) {
            *us = list_of(timers)[i].us;
            return true;
        }
    return false;
}
