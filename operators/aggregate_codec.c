/* operators/aggregate_codec.c -- the value of a window and key where it leaves memory.
 *
 *   offset 0   head, present word, accumulators as in memory, but a string's address and capacity are zero
 *          n   the bytes of each string that there is, in the order of the aggregates */
#include "operators/aggregate_private.h"

static bool is_text(const struct leat__agg *agg)
{
    return agg->op == LEAT__MIN_TEXT || agg->op == LEAT__MAX_TEXT;
}

int leat__agg_encode(void *arg, const void *value, struct leat_strbuf *out)
{
    const struct leat__value_layout *layout = arg;
    const struct leat__aggregate_spec *spec = layout->spec;
    const size_t from = out->len;
    leat__strbuf_add(out, value, layout->base + spec->values_size);
    for (uint32_t a = 0; a < spec->aggs_count; a++) {
        struct leat__agg_text text;
        const size_t at = layout->base + spec->aggs[a].offset;
        if (!is_text(&spec->aggs[a]))
            continue;
        memcpy(&text, (const char *)value + at, sizeof text);
        if (text.len_plus_1)
            leat__strbuf_add(out, text.data, text.len_plus_1 - 1);
        if (out->failed)
            break;
        text.data = NULL;
        text.capacity = 0;
        memcpy(out->data + from + at, &text, sizeof text);
    }
    return out->failed ? LEAT_ENOMEM : 0;
}

int leat__agg_decode(
    void *arg, struct leat_table *table, int64_t ns, const char *data, size_t len, void *value)
{
    const struct leat__value_layout *layout = arg;
    const struct leat__aggregate_spec *spec = layout->spec;
    const size_t fixed = layout->base + spec->values_size;
    if (len < fixed)
        return LEAT_EDATA;
    memcpy(value, data, fixed);
    data += fixed;
    len -= fixed;
    for (uint32_t a = 0; a < spec->aggs_count; a++) {
        struct leat__agg_text text;
        char *at = (char *)value + layout->base + spec->aggs[a].offset;
        if (!is_text(&spec->aggs[a]))
            continue;
        memcpy(&text, at, sizeof text);
        if (text.len_plus_1 == 0)
            continue;
        const struct leat_sv string = { data, text.len_plus_1 - 1 };
        memset(&text, 0, sizeof text);
        if (string.len > len)
            return LEAT_EDATA;
        if (!leat__agg_keep_text(table, ns, &text, string))
            return LEAT_ENOMEM;
        memcpy(at, &text, sizeof text);
        data += string.len;
        len -= string.len;
    }
    return len ? LEAT_EDATA : 0;
}
