/* operators/session_value.c -- the value of a session where it is in state: its parts, its bytes, and two made one.
 *
 *   offset 0   the parts before the accumulators as in memory, addresses and capacities zero
 *          n   the other sessions of the key, as they are
 *              the accumulators (aggregate_codec.c)
 *              what was given last, as it is, and its accumulators: where panes are retracted */
#include "operators/session_private.h"

_Static_assert(sizeof(struct leat__session) == 48, "part of the format of tables");
_Static_assert(sizeof(struct leat__key_sessions) == 96, "part of the format of tables");
_Static_assert(sizeof(struct leat__session_given) == 32, "part of the format of tables");

void leat__session_lay_out(struct leat__session_layout *layout, const struct leat__aggregate_spec *spec)
{
    layout->spec = spec;
    layout->head = sizeof(struct leat__key_sessions);
    layout->values = layout->head + (uint32_t)sizeof(struct leat__aggregate_head);
    layout->size = layout->values + spec->values_size;
    layout->given = layout->given_values = 0;
    if (spec->window.accumulation == LEAT_RETRACTING) {
        layout->given = layout->size;
        layout->given_values = layout->given + (uint32_t)sizeof(struct leat__session_given);
        layout->size = layout->given_values + spec->values_size;
    }
}

void leat__session_print_format(const struct leat__session_layout *layout, struct leat_strbuf *out)
{
    leat__strbuf_str(out, "v1; sessions in slots");
    if (layout->given)
        leat__strbuf_str(out, "; the last pane");
    leat__agg_print_aggs(layout->spec, out);
}

int leat__session_encode(void *arg, const void *value, struct leat_strbuf *out)
{
    const struct leat__session_layout *layout = arg;
    const unsigned char *bytes = value;
    struct leat__key_sessions key;
    memcpy(&key, bytes, sizeof key);
    const struct leat_sv others = leat__blob_sv(&key.others);
    key.others.data = NULL;
    key.others.capacity = 0;
    leat__strbuf_add(out, &key, sizeof key);
    leat__strbuf_add(out, bytes + layout->head, layout->values - layout->head);
    if (others.len)
        leat__strbuf_add(out, others.data, others.len);
    LEAT_TRY(leat__agg_encode_values(layout->spec, bytes + layout->values, out));
    if (layout->given) {
        leat__strbuf_add(out, bytes + layout->given, sizeof(struct leat__session_given));
        LEAT_TRY(leat__agg_encode_values(layout->spec, bytes + layout->given_values, out));
    }
    return out->failed ? LEAT_ENOMEM : 0;
}

/* Takes `size` bytes off the front; false when there are fewer. */
static bool take(struct leat_sv *rest, void *to, size_t size)
{
    if (rest->len < size)
        return false;
    memcpy(to, rest->data, size);
    *rest = (struct leat_sv){ rest->data + size, rest->len - size };
    return true;
}

static int decode_key(struct leat_sv *rest, const struct leat__agg_memory *mem,
    const struct leat__session_layout *layout, unsigned char *value)
{
    struct leat__key_sessions key;
    if (!take(rest, &key, sizeof key) || !take(rest, value + layout->head, layout->values - layout->head))
        return LEAT_EDATA;
    const uint64_t len = (uint64_t)key.others_count * sizeof(struct leat__session);
    key.others = (struct leat__agg_blob){ NULL, 0, 0 };
    if (len > rest->len)
        return LEAT_EDATA;
    if (len)
        LEAT_TRY(leat__blob_set(mem, &key.others, (struct leat_sv){ rest->data, (size_t)len }));
    *rest = (struct leat_sv){ rest->data + len, rest->len - (size_t)len };
    memcpy(value, &key, sizeof key);
    return 0;
}

int leat__session_decode(
    void *arg, struct leat_table *table, int64_t ns, const char *data, size_t len, void *value)
{
    const struct leat__session_layout *layout = arg;
    const struct leat__agg_memory mem = { table, ns, NULL };
    struct leat_sv rest = { data, len };
    unsigned char *bytes = value;
    size_t used;
    LEAT_TRY(decode_key(&rest, &mem, layout, bytes));
    LEAT_TRY(leat__agg_decode_values(layout->spec, &mem, rest.data, rest.len, bytes + layout->values, &used));
    rest = (struct leat_sv){ rest.data + used, rest.len - used };
    if (!layout->given)
        return rest.len ? LEAT_EDATA : 0;
    if (!take(&rest, bytes + layout->given, sizeof(struct leat__session_given)))
        return LEAT_EDATA;
    LEAT_TRY(leat__agg_decode_values(
        layout->spec, &mem, rest.data, rest.len, bytes + layout->given_values, &used));
    return used == rest.len ? 0 : LEAT_EDATA;
}

int leat__session_copy(const struct leat__session_layout *layout, const struct leat__agg_memory *mem,
    unsigned char *to, const unsigned char *from)
{
    memcpy(to + layout->head, from + layout->head, layout->values - layout->head);
    LEAT_TRY(leat__agg_copy_values(layout->spec, mem, to + layout->values, from + layout->values));
    if (!layout->given)
        return 0;
    memcpy(to + layout->given, from + layout->given, sizeof(struct leat__session_given));
    return leat__agg_copy_values(layout->spec, mem, to + layout->given_values, from + layout->given_values);
}

void leat__session_forget(
    const struct leat__session_layout *layout, const struct leat__agg_memory *mem, unsigned char *value)
{
    leat__agg_forget(layout->spec, mem, value + layout->values);
    if (layout->given)
        leat__agg_forget(layout->spec, mem, value + layout->given_values);
    memset(value + layout->head, 0, layout->size - layout->head);
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
