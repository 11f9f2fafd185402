/* operators/aggregate_codec.c -- the value of a window and key where it leaves memory, and what two of them
 * are together.
 *
 *   offset 0   head, present word, accumulators as in memory (numbers little-endian, no padding that is not
 *              zero), but a string's address and capacity are zero
 *          n   the bytes of each string that there is, in the order of the aggregates
 *
 * Merging works on these bytes alone, on any thread: a value that was put aside with what has begun at zero
 * since. It never fails but for memory, damaged bytes, or a callback that refuses. */
#include "operators/aggregate_private.h"
#include "record/schema.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "accumulators are saved as they lie in memory");

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

/* ---- merging ---- */

bool leat__agg_is_mergeable(const struct leat__aggregate_spec *spec)
{
    for (uint32_t a = 0; a < spec->aggs_count; a++)
        if (spec->aggs[a].op == LEAT__USER && !spec->aggs[a].fn->merge)
            return false;
    return true;
}

/* Where the strings of an encoded value are, while aggregates are gone through in order. */
struct strings {
    const char *at, *end;
};

/* The string of a min or max; data NULL: none seen. False: the bytes are damaged. */
static bool next_string(struct strings *strings, const char *accumulator, struct leat_sv *string)
{
    struct leat__agg_text text;
    memcpy(&text, accumulator, sizeof text);
    *string = (struct leat_sv){ NULL, 0 };
    if (text.len_plus_1 == 0)
        return true;
    *string = (struct leat_sv){ strings->at, text.len_plus_1 - 1 };
    if (string->len > (size_t)(strings->end - strings->at))
        return false;
    strings->at += string->len;
    return true;
}

static struct leat_sv better(enum leat__agg_op op, struct leat_sv a, struct leat_sv b)
{
    if (!a.data || !b.data)
        return a.data ? a : b;
    const int order = leat_sv_cmp(a, b);
    return op == LEAT__MAX_TEXT ? (order < 0 ? b : a) : (order > 0 ? b : a);
}

/* A callback's accumulators: copied to where they may be written, and are aligned. */
static int merge_user(
    const struct leat__value_layout *layout, const struct leat__agg *agg, char *into, const char *from)
{
    struct leat_error err = { 0 };
    struct leat__ctx ctx = { .node = layout->node, .error = &err, .watermark_us = LEAT_TIME_MIN };
    char *copies = leat__malloc(2 * (size_t)agg->size + 1);
    if (!copies)
        return LEAT_ENOMEM;
    ctx.user.engine = &ctx;
    memcpy(copies, into, agg->size);
    memcpy(copies + agg->size, from, agg->size);
    agg->fn->merge(&ctx.user, copies, copies + agg->size);
    memcpy(into, copies, agg->size);
    const int code = ctx.user.failures_count > 0 ? LEAT_EUSER : ctx.alloc_failed ? LEAT_ENOMEM : 0;
    leat__ctx_release(&ctx);
    leat__free(copies);
    return code;
}

static void merge_numbers(const struct leat__agg *agg, char *into, const char *from)
{
    uint64_t a[4], b[4]; /* aligned */
    LEAT_ASSERT(agg->size <= sizeof a);
    memcpy(a, into, agg->size);
    memcpy(b, from, agg->size);
    leat__agg_combine(agg, a, b);
    memcpy(into, a, agg->size);
}

static void add_words(char *into, const char *from, uint32_t size, bool is_mask)
{
    for (uint32_t i = 0; i < size; i += sizeof(uint64_t)) {
        uint64_t a, b;
        memcpy(&a, into + i, sizeof a);
        memcpy(&b, from + i, sizeof b);
        a = is_mask ? a | b : a + b;
        memcpy(into + i, &a, sizeof a);
    }
}

/* The aggregate's part of `newer` goes to that of the value that begins at out->data + from. */
static int merge_one(const struct leat__value_layout *layout, const struct leat__agg *agg,
    struct leat_strbuf *out, size_t from, const char *newer, struct strings strings[2])
{
    const size_t at = layout->base + agg->offset;
    if (agg->op == LEAT__USER)
        return merge_user(layout, agg, out->data + from + at, newer + at);
    if (!is_text(agg)) {
        merge_numbers(agg, out->data + from + at, newer + at);
        return 0;
    }
    struct leat_sv a, b;
    if (!next_string(&strings[0], out->data + from + at, &a) || !next_string(&strings[1], newer + at, &b))
        return LEAT_EDATA;
    const struct leat_sv kept = better(agg->op, a, b);
    struct leat__agg_text text = { NULL, 0, kept.data ? (uint32_t)kept.len + 1 : 0 };
    memcpy(out->data + from + at, &text, sizeof text);
    leat__strbuf_add(out, kept.data ? kept.data : "", kept.len);
    return out->failed ? LEAT_ENOMEM : 0;
}

int leat__agg_merge(void *arg, struct leat_sv older, struct leat_sv newer, struct leat_strbuf *out)
{
    const struct leat__value_layout *layout = arg;
    const struct leat__aggregate_spec *spec = layout->spec;
    const size_t fixed = layout->base + spec->values_size;
    const size_t from = out->len;
    if (older.len < fixed || newer.len < fixed)
        return LEAT_EDATA;
    struct strings strings[2] = { { older.data + fixed, older.data + older.len },
        { newer.data + fixed, newer.data + newer.len } };
    leat__strbuf_add(out, older.data, fixed);
    if (out->failed)
        return LEAT_ENOMEM;
    add_words(out->data + from, newer.data, layout->base, false);
    if (spec->aggs_count && spec->aggs[0].offset)
        add_words(out->data + from + layout->base, newer.data + layout->base, spec->aggs[0].offset, true);
    for (uint32_t a = 0; a < spec->aggs_count; a++)
        LEAT_TRY(merge_one(layout, &spec->aggs[a], out, from, newer.data, strings));
    return strings[0].at == strings[0].end && strings[1].at == strings[1].end ? 0 : LEAT_EDATA;
}

/* ---- what it all means ---- */

static void print_agg(
    const struct leat__aggregate_spec *spec, const struct leat__agg *agg, struct leat_strbuf *out)
{
    static const char *const names[] = { [LEAT__COUNT_ALL] = "count",
        [LEAT__COUNT_VALUES] = "count",
        [LEAT__SUM_INT] = "sum int",
        [LEAT__SUM_FLOAT] = "sum float",
        [LEAT__AVG_INT] = "avg int",
        [LEAT__AVG_FLOAT] = "avg float",
        [LEAT__MIN_INT] = "min int",
        [LEAT__MAX_INT] = "max int",
        [LEAT__MIN_FLOAT] = "min float",
        [LEAT__MAX_FLOAT] = "max float",
        [LEAT__MIN_TEXT] = "min text",
        [LEAT__MAX_TEXT] = "max text" };
    if (agg->op == LEAT__USER) {
        leat__strbuf_printf(out, "; user %s of %u bytes", agg->fn->name, agg->fn->accumulator_size);
        return;
    }
    leat__strbuf_printf(out, "; %s", names[agg->op]);
    if (agg->op == LEAT__COUNT_ALL)
        return;
    const struct leat__column *column = &spec->columns[agg->column];
    leat__strbuf_printf(out, " of %s", column->text);
    if (column->is_place && column->place.type->logical)
        leat__strbuf_printf(out, " (%s)", leat__logical_name(column->place.type->logical));
    if (agg->present_bit)
        leat__strbuf_printf(out, " or null");
}

void leat__agg_print_format(const struct leat__aggregate_spec *spec, bool has_head, struct leat_strbuf *out)
{
    leat__strbuf_printf(out, "v1; tumbling %lld us from %lld us", (long long)spec->window.size_us,
        (long long)spec->window.offset_us);
    if (has_head)
        leat__strbuf_str(out, "; head");
    for (uint32_t a = 0; a < spec->aggs_count; a++)
        print_agg(spec, &spec->aggs[a], out);
}
