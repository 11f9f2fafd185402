/* operators/session_value.c -- the sessions of a key where they are in state: their parts, their bytes, and two made
 * one.
 *
 *   offset 0   how many sessions, and the key's timers: struct saved_key
 *         24   of each session, in order: its bounds and counts as in memory, and its accumulators
 *              (aggregate_codec.c); where panes are retracted, what was given last, as it is, and its accumulators; what
 *              a user's trigger knows, its timers, and its state */
#include "operators/session_private.h"

struct saved_key {
    uint32_t count, flags;
    int64_t event_timer_us, processing_timer_us;
};

_Static_assert(sizeof(struct saved_key) == 24, "part of the format of tables");
_Static_assert(sizeof(struct leat__session) == 48, "part of the format of tables");
_Static_assert(sizeof(struct leat__session_given) == 32, "part of the format of tables");
_Static_assert(sizeof(struct leat__session_user) == 40, "part of the format of tables");

void leat__session_lay_out(struct leat__session_layout *layout, const struct leat__aggregate_spec *spec)
{
    layout->spec = spec;
    layout->head = sizeof(struct leat__session);
    layout->values = layout->head + (uint32_t)sizeof(struct leat__aggregate_head);
    layout->cell = layout->values + spec->values_size;
    layout->given = layout->given_values = 0;
    if (spec->window.accumulation == LEAT_RETRACTING) {
        layout->given = layout->cell;
        layout->given_values = layout->given + (uint32_t)sizeof(struct leat__session_given);
        layout->cell = layout->given_values + spec->values_size;
    }
    struct leat__trigger_plan plan;
    leat__trigger_plan_of(&spec->window, &plan);
    layout->user = layout->state_size = 0;
    if (plan.user) {
        layout->user = layout->cell;
        layout->state_size = (plan.user->state_size + 7u) & ~7u;
        layout->cell += (uint32_t)sizeof(struct leat__session_user) + layout->state_size;
    }
    layout->size = (uint32_t)sizeof(struct leat__key_sessions) + layout->cell;
}

void leat__session_print_format(const struct leat__session_layout *layout, struct leat_strbuf *out)
{
    leat__strbuf_str(out, "v2; sessions of a key");
    if (layout->given)
        leat__strbuf_str(out, "; the last pane");
    struct leat__trigger_plan plan;
    leat__trigger_plan_of(&layout->spec->window, &plan);
    if (plan.user)
        leat__strbuf_printf(out, "; trigger %s of %u bytes", plan.user->name, plan.user->state_size);
    leat__agg_print_aggs(layout->spec, out);
}

/* ---- bytes ---- */

static void encode_user(
    const struct leat__session_layout *layout, const unsigned char *cell, struct leat_strbuf *out)
{
    struct leat__session_user user;
    memcpy(&user, cell + layout->user, sizeof user);
    const struct leat_sv timers = leat__blob_sv(&user.timers);
    user.timers.data = NULL;
    user.timers.capacity = 0;
    leat__strbuf_add(out, &user, sizeof user);
    if (timers.len)
        leat__strbuf_add(out, timers.data, timers.len);
    if (layout->state_size)
        leat__strbuf_add(out, cell + layout->user + sizeof user, layout->state_size);
}

static int encode_cell(
    const struct leat__session_layout *layout, const unsigned char *cell, struct leat_strbuf *out)
{
    leat__strbuf_add(out, cell, layout->values);
    LEAT_TRY(leat__agg_encode_values(layout->spec, cell + layout->values, out));
    if (layout->given) {
        leat__strbuf_add(out, cell + layout->given, sizeof(struct leat__session_given));
        LEAT_TRY(leat__agg_encode_values(layout->spec, cell + layout->given_values, out));
    }
    if (layout->user)
        encode_user(layout, cell, out);
    return 0;
}

int leat__session_encode(void *arg, const void *value, struct leat_strbuf *out)
{
    const struct leat__session_layout *layout = arg;
    struct leat__key_sessions *key = (struct leat__key_sessions *)(uintptr_t)value; /* which is only read */
    const struct saved_key saved = { key->count, key->flags, key->event_timer_us, key->processing_timer_us };
    leat__strbuf_add(out, &saved, sizeof saved);
    for (uint32_t i = 0; i < key->count; i++)
        LEAT_TRY(encode_cell(layout, leat__session_cell(layout, key, i), out));
    return out->failed ? LEAT_ENOMEM : 0;
}

/* Takes `size` bytes off the front; false when there are fewer. */
static bool take(struct leat_sv *rest, void *to, size_t size)
{
    if (rest->len < size)
        return false;
    if (size)
        memcpy(to, rest->data, size);
    *rest = (struct leat_sv){ rest->data + size, rest->len - size };
    return true;
}

static int decode_values(const struct leat__session_layout *layout, const struct leat__agg_memory *mem,
    struct leat_sv *rest, unsigned char *values)
{
    size_t used;
    LEAT_TRY(leat__agg_decode_values(layout->spec, mem, rest->data, rest->len, values, &used));
    *rest = (struct leat_sv){ rest->data + used, rest->len - used };
    return 0;
}

static int decode_user(const struct leat__session_layout *layout, const struct leat__agg_memory *mem,
    struct leat_sv *rest, unsigned char *cell)
{
    struct leat__session_user user;
    if (!take(rest, &user, sizeof user))
        return LEAT_EDATA;
    const uint32_t len = leat__blob_len(&user.timers);
    user.timers = (struct leat__agg_blob){ NULL, 0, 0 };
    memcpy(cell + layout->user, &user, sizeof user);
    if (len > rest->len || len % sizeof(struct leat__own_timer))
        return LEAT_EDATA;
    if (len)
        LEAT_TRY(leat__blob_set(
            mem, &leat__session_user_of(layout, cell)->timers, (struct leat_sv){ rest->data, len }));
    *rest = (struct leat_sv){ rest->data + len, rest->len - len };
    return take(rest, cell + layout->user + sizeof user, layout->state_size) ? 0 : LEAT_EDATA;
}

static int decode_cell(const struct leat__session_layout *layout, const struct leat__agg_memory *mem,
    struct leat_sv *rest, unsigned char *cell)
{
    if (!take(rest, cell, layout->values))
        return LEAT_EDATA;
    LEAT_TRY(decode_values(layout, mem, rest, cell + layout->values));
    if (layout->given) {
        if (!take(rest, cell + layout->given, sizeof(struct leat__session_given)))
            return LEAT_EDATA;
        LEAT_TRY(decode_values(layout, mem, rest, cell + layout->given_values));
    }
    return layout->user ? decode_user(layout, mem, rest, cell) : 0;
}

int leat__session_decode(
    void *arg, struct leat_table *table, int64_t ns, const char *data, size_t len, void *value)
{
    const struct leat__session_layout *layout = arg;
    const struct leat__agg_memory mem = { table, ns, NULL };
    struct leat__key_sessions *key = value;
    struct leat_sv rest = { data, len };
    struct saved_key saved;
    if (!take(&rest, &saved, sizeof saved) || saved.count > rest.len / layout->values)
        return LEAT_EDATA;
    memset(key, 0, layout->size);
    if (saved.count > 1) {
        const size_t size = (size_t)(saved.count - 1) * layout->cell;
        LEAT_TRY(leat__blob_reserve(&mem, &key->older, size));
        memset(key->older.data, 0, size);
        key->older.len_plus_1 = (uint32_t)size + 1;
    }
    key->count = saved.count;
    key->flags = saved.flags;
    key->event_timer_us = saved.event_timer_us;
    key->processing_timer_us = saved.processing_timer_us;
    for (uint32_t i = 0; i < key->count; i++)
        LEAT_TRY(decode_cell(layout, &mem, &rest, leat__session_cell(layout, key, i)));
    leat__sessions_tell_end(layout, key);
    return rest.len ? LEAT_EDATA : 0;
}

int leat__session_accept_schema(void *arg, const char *saved_schema, struct leat_error *err)
{
    const struct leat__session_layout *layout = arg;
    return leat__agg_accept_schema(layout->spec, saved_schema, err);
}

/* ---- contents ---- */

void leat__session_forget(
    const struct leat__session_layout *layout, const struct leat__agg_memory *mem, unsigned char *cell)
{
    leat__agg_forget(layout->spec, mem, cell + layout->values);
    if (layout->given)
        leat__agg_forget(layout->spec, mem, cell + layout->given_values);
    if (layout->user)
        leat__blob_forget(mem, &leat__session_user_of(layout, cell)->timers);
}

int leat__session_merge(const struct leat__session_layout *layout, struct leat__ctx *ctx,
    const struct leat__agg_memory *mem, unsigned char *into, const unsigned char *from)
{
    const struct leat__aggregate_head *theirs = (const void *)(from + layout->head);
    struct leat__aggregate_head *head = leat__session_head(layout, into);
    head->since += theirs->since;
    head->panes += theirs->panes;
    return leat__agg_combine_values(
        layout->spec, ctx->node, mem, into + layout->values, from + layout->values, ctx->error);
}
