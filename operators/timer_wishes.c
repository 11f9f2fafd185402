/* operators/timer_wishes.c -- leat_timer_set and leat_timer_delete: what a callback wishes is noted, and done when
 * it has returned, so that nothing of it is left when the record is refused. */
#include "operators/rows_private.h"
#include "operators/timers_private.h"

static bool is_possible(
    struct leat__timer_wishes *wishes, const char *call, const struct leat__timer_wish *wish)
{
    if (wish->kind == LEAT_EVENT_TIME && !wishes->has_event_time)
        wishes->code = leat__fail(wishes->ctx, LEAT_EINVAL,
            "%s by LEAT_EVENT_TIME, but its input has no event time: set .event_time of the source", call);
    else if (wish->kind != LEAT_EVENT_TIME && wish->kind != LEAT_PROCESSING_TIME)
        wishes->code = leat__fail(wishes->ctx, LEAT_EINVAL,
            "%s: %d is neither LEAT_EVENT_TIME nor LEAT_PROCESSING_TIME", call, (int)wish->kind);
    else if (!wish->is_delete && !wishes->has_on_timer)
        wishes->code = leat__fail(wishes->ctx, LEAT_EINVAL,
            "%s, but %s has no callback for timers: give %s one", call, wishes->callbacks, wishes->maker);
    return wishes->code == 0;
}

static void note(struct leat_ctx *ctx, const char *call, const struct leat__timer_wish *wish)
{
    struct leat__timer_wishes *wishes = ctx->engine->timer_wishes;
    if (!wishes) {
        leat__ctx_refuse(
            ctx->engine, ctx->row, "%s is for the callbacks of process functions and triggers only", call);
        return;
    }
    if (wishes->code < 0 || !is_possible(wishes, call, wish))
        return;
    if (wishes->count == wishes->capacity) {
        const uint32_t capacity = wishes->capacity ? 2 * wishes->capacity : 16;
        struct leat__timer_wish *list = leat__realloc(wishes->list, capacity * sizeof *list);
        if (!list) {
            wishes->code = leat__rows_nomem(wishes->ctx, "timers");
            return;
        }
        wishes->list = list;
        wishes->capacity = capacity;
    }
    wishes->list[wishes->count++] = *wish;
}

void leat_timer_set(struct leat_ctx *ctx, enum leat_time_kind kind, int64_t time_us)
{
    note(ctx, "leat_timer_set", &(struct leat__timer_wish){ kind, false, time_us });
}

void leat_timer_delete(struct leat_ctx *ctx, enum leat_time_kind kind, int64_t time_us)
{
    note(ctx, "leat_timer_delete", &(struct leat__timer_wish){ kind, true, time_us });
}

int leat__timer_wishes_grant(struct leat__timer_wishes *wishes,
    struct leat__timers timers[LEAT__TIMERS_KINDS], struct leat_sv owner, struct leat_sv key)
{
    const uint32_t count = wishes->count;
    wishes->count = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct leat__timer_wish *wish = &wishes->list[i];
        struct leat__timers *of_kind = &timers[leat__timers_which(wish->kind)];
        LEAT_TRY(wish->is_delete ? leat__timers_delete(of_kind, wishes->ctx, wish->time_us, owner, key)
                                 : leat__timers_set(of_kind, wishes->ctx, wish->time_us, owner, key));
    }
    return 0;
}

void leat__timer_wishes_release(struct leat__timer_wishes *wishes)
{
    leat__free(wishes->list);
    wishes->list = NULL;
    wishes->capacity = wishes->count = 0;
}
