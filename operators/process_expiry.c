/* operators/process_expiry.c -- time to live: finding what is gone, so that its memory comes back.
 *
 * What is gone is never seen: every read looks at the stamp. So it does not matter when it is removed, and one
 * expiry, a timer of the engine's own, stands for all writes of a key: it is set when something is made, not
 * when it is written again. When it goes off the state is looked at; what has been written since is not gone,
 * and the expiry is set again for the time when it will be. Times are rounded up to a part of the time to
 * live, so that many writes make few expiries.
 *
 * Which state: a hash of its name, 4 bytes, between time and key. An expiry of a state that is no longer
 * declared does nothing. */
#include "operators/process_private.h"

#define ROUNDING_PARTS 16

int leat__expiry_arm(
    struct leat__process *p, const struct leat__state_spec *spec, struct leat_sv key, int64_t gone_us)
{
    const uint32_t id = __builtin_bswap32(spec->id);
    const int64_t part_us = spec->ttl.us / ROUNDING_PARTS + 1;
    const bool by_processing = spec->ttl.time == LEAT_PROCESSING_TIME;
    if (gone_us == LEAT_TIME_MAX)
        return 0;
    const int64_t into_us = leat__floor_mod(gone_us, part_us);
    const int64_t time_us = into_us ? leat__time_add(gone_us, part_us - into_us) : gone_us;
    return leat__timers_set(&p->expiry[by_processing ? LEAT__TIMERS_PROCESSING : LEAT__TIMERS_EVENT], p->ctx,
        time_us, (struct leat_sv){ (const char *)&id, sizeof id }, key);
}

static int expire_value(struct leat__process *p, struct leat__keyed_state *state, struct leat_sv key,
    int64_t now_us, int64_t *next_us)
{
    const uint64_t hash = leat__hash(key.data, key.len);
    struct leat_error *err = p->ctx->error;
    void *value;
    *next_us = LEAT_TIME_MAX;
    if (leat__table_find(state->table, 0, &key, &hash, NULL, 1, &value, err) < 0)
        return leat__fail_here(p->ctx);
    if (!value)
        return 0;
    const int64_t gone_us = leat__state_gone_at(state->spec, leat__cell_stamp(&state->serde, value));
    if (now_us < gone_us)
        *next_us = gone_us;
    if (now_us < gone_us)
        return 0;
    leat__table_bytes_free(state->table, 0, leat__cell_shown_bytes(&state->serde, value));
    return leat__table_remove(state->table, 0, key, hash, err) < 0 ? leat__fail_here(p->ctx) : 0;
}

static struct leat__keyed_state *state_with(struct leat__process *p, uint32_t id, enum leat_time_kind kind)
{
    for (uint32_t i = 0; i < p->spec->states_count; i++)
        if (p->spec->states[i].id == id && p->spec->states[i].ttl.us && p->spec->states[i].ttl.time == kind)
            return &p->states[i];
    return NULL;
}

int leat__expiry_fire(
    struct leat__process *p, enum leat_time_kind kind, int64_t time_us, struct leat_sv entry)
{
    uint32_t id;
    int64_t next_us = LEAT_TIME_MAX;
    int code;
    LEAT_ASSERT(entry.len >= sizeof id);
    memcpy(&id, entry.data, sizeof id);
    const struct leat_sv key = { entry.data + sizeof id, entry.len - sizeof id };
    struct leat__keyed_state *state = state_with(p, __builtin_bswap32(id), kind);
    if (!state)
        return 0;
    p->touched = state->touched = true;
    p->event_now_us = p->processing_now_us = time_us;
    if (state->spec->kind == LEAT__STATE_LIST)
        code = leat__list_expire(p, state, key, time_us, &next_us);
    else if (state->spec->kind == LEAT__STATE_MAP)
        code = leat__map_expire(p, state, key, time_us, &next_us);
    else
        code = expire_value(p, state, key, time_us, &next_us);
    return code < 0 ? code : leat__expiry_arm(p, state->spec, key, next_us);
}
