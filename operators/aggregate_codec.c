/* operators/aggregate_codec.c -- values where they leave memory, and what two of them are together.
 *
 *   offset 0   head, present word, accumulators as in memory (numbers little-endian, no padding that is not
 *              zero), but the address and the capacity of a blob are zero
 *          n   the bytes of each blob, in the order of the aggregates
 *
 * Merging decodes both into an arena, combines them (aggregate_accumulate.c) and encodes the outcome, on any
 * thread: a value that was put aside with what has begun at zero since. It never fails but for memory, damaged
 * bytes, what would be too large, or a callback that refuses. */
#include "operators/aggregate_record_private.h"
#include "operators/top_n_private.h"
#include "record/schema.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "accumulators are saved as they lie in memory");

static uint32_t blobs_of(const struct leat__agg *agg)
{
    return agg->family && !agg->is_shared ? agg->family->blobs_count : 0;
}

static uint32_t saved_of(const struct leat__agg *agg)
{
    return blobs_of(agg) - (blobs_of(agg) ? agg->family->derived_count : 0);
}

/* `at`: where the accumulator's copy begins in out->data. */
static void encode_blobs(
    const struct leat__agg *agg, const unsigned char *accumulator, struct leat_strbuf *out, size_t at)
{
    for (uint32_t b = 0; b < blobs_of(agg); b++) {
        struct leat__agg_blob blob;
        const uint32_t offset = agg->family->blobs[b];
        memcpy(&blob, accumulator + offset, sizeof blob);
        if (b >= saved_of(agg))
            blob.len_plus_1 = 0;
        if (leat__blob_len(&blob))
            leat__strbuf_add(out, blob.data, leat__blob_len(&blob));
        if (out->failed)
            return;
        blob.data = NULL;
        blob.capacity = 0;
        memcpy(out->data + at + offset, &blob, sizeof blob);
    }
}

int leat__agg_encode_values(
    const struct leat__aggregate_spec *spec, const unsigned char *values, struct leat_strbuf *out)
{
    const size_t from = out->len;
    leat__strbuf_add(out, values, spec->values_size);
    for (uint32_t a = 0; spec->has_memory && a < spec->aggs_count && !out->failed; a++)
        encode_blobs(&spec->aggs[a], values + spec->aggs[a].offset, out, from + spec->aggs[a].offset);
    return out->failed ? LEAT_ENOMEM : 0;
}

/* Moves `bytes` behind what was read. */
static int decode_blobs(const struct leat__agg *agg, const struct leat__agg_memory *mem,
    struct leat_sv *bytes, unsigned char *accumulator)
{
    struct leat_sv texts[LEAT__AGG_BLOBS_MAX];
    bool is_there[LEAT__AGG_BLOBS_MAX];
    for (uint32_t b = 0; b < blobs_of(agg); b++) { /* all are emptied before anything can fail */
        struct leat__agg_blob *blob = leat__blob_at(agg, accumulator, b);
        is_there[b] = blob->len_plus_1 != 0;
        if (is_there[b] && b >= saved_of(agg))
            return LEAT_EDATA;
        texts[b].len = leat__blob_len(blob);
        *blob = (struct leat__agg_blob){ NULL, 0, 0 };
    }
    for (uint32_t b = 0; b < blobs_of(agg); b++) {
        if (texts[b].len > bytes->len)
            return LEAT_EDATA;
        texts[b].data = bytes->data;
        if (is_there[b])
            LEAT_TRY(leat__blob_set(mem, leat__blob_at(agg, accumulator, b), texts[b]));
        bytes->data += texts[b].len;
        bytes->len -= texts[b].len;
    }
    if (agg->records)
        return agg->op == LEAT__USER ? leat__agg_record_renew(agg, mem, accumulator)
                                     : leat__top_rows_renew(agg, mem, accumulator);
    const bool is_checked = agg->family && agg->family->check && !agg->is_shared;
    return is_checked && !agg->family->check(agg, accumulator) ? LEAT_EDATA : 0;
}

int leat__agg_decode_values(const struct leat__aggregate_spec *spec, const struct leat__agg_memory *mem,
    const char *data, size_t len, unsigned char *values, size_t *used)
{
    if (len < spec->values_size)
        return LEAT_EDATA;
    memcpy(values, data, spec->values_size);
    struct leat_sv rest = { data + spec->values_size, len - spec->values_size };
    for (uint32_t a = 0; spec->has_memory && a < spec->aggs_count; a++) {
        const int code = decode_blobs(&spec->aggs[a], mem, &rest, values + spec->aggs[a].offset);
        if (code == LEAT_ESTATE)
            return LEAT_ENOMEM; /* as tables know it */
        LEAT_TRY(code);
    }
    *used = len - rest.len;
    return 0;
}

int leat__agg_encode(void *arg, const void *value, struct leat_strbuf *out)
{
    const struct leat__value_layout *layout = arg;
    leat__strbuf_add(out, value, layout->base);
    return leat__agg_encode_values(layout->spec, (const unsigned char *)value + layout->base, out);
}

int leat__agg_decode(
    void *arg, struct leat_table *table, int64_t ns, const char *data, size_t len, void *value)
{
    const struct leat__value_layout *layout = arg;
    const struct leat__agg_memory mem = { table, ns, NULL };
    size_t used;
    if (len < layout->base)
        return LEAT_EDATA;
    memcpy(value, data, layout->base);
    LEAT_TRY(leat__agg_decode_values(layout->spec, &mem, data + layout->base, len - layout->base,
        (unsigned char *)value + layout->base, &used));
    return used == len - layout->base ? 0 : LEAT_EDATA;
}

/* ---- merging ---- */

/* Values up to this are merged on the stack. */
#define STACK_WORDS 64u

static void add_words(char *into, const char *from, uint32_t size)
{
    for (uint32_t i = 0; i < size; i += sizeof(uint64_t)) {
        uint64_t a, b;
        memcpy(&a, into + i, sizeof a);
        memcpy(&b, from + i, sizeof b);
        a += b;
        memcpy(into + i, &a, sizeof a);
    }
}

static int merge_values(const struct leat__value_layout *layout, const struct leat__agg_memory *mem,
    unsigned char *a, unsigned char *b, const struct leat_sv parts[2], struct leat_strbuf *out)
{
    size_t used[2];
    LEAT_TRY(leat__agg_decode_values(layout->spec, mem, parts[0].data, parts[0].len, a, &used[0]));
    LEAT_TRY(leat__agg_decode_values(layout->spec, mem, parts[1].data, parts[1].len, b, &used[1]));
    if (used[0] != parts[0].len || used[1] != parts[1].len)
        return LEAT_EDATA;
    LEAT_TRY(leat__agg_combine_values(layout->spec, layout->node, mem, a, b, NULL));
    return leat__agg_encode_values(layout->spec, a, out);
}

int leat__agg_merge(void *arg, struct leat_sv older, struct leat_sv newer, struct leat_strbuf *out)
{
    const struct leat__value_layout *layout = arg;
    const uint32_t base = layout->base;
    const size_t words = layout->spec->values_size / sizeof(uint64_t);
    const size_t from = out->len;
    uint64_t stack[2 * STACK_WORDS];
    struct leat_arena arena = { 0 };
    const struct leat__agg_memory mem = { NULL, 0, &arena };
    if (older.len < base || newer.len < base)
        return LEAT_EDATA;
    uint64_t *both = words <= STACK_WORDS ? stack : leat__arena_array(&arena, 2 * words, sizeof *both);
    leat__strbuf_add(out, older.data, base);
    if (!both || out->failed) {
        leat__arena_release(&arena);
        return LEAT_ENOMEM;
    }
    add_words(out->data + from, newer.data, base);
    const struct leat_sv parts[2] = { { older.data + base, older.len - base },
        { newer.data + base, newer.len - base } };
    const int code =
        merge_values(layout, &mem, (unsigned char *)both, (unsigned char *)(both + words), parts, out);
    leat__arena_release(&arena);
    return code;
}

/* ---- what it all means ---- */

static const char *class_word(enum leat_value_class value_class)
{
    static const char *const words[] = { "", "null", "boolean", "int", "float", "text", "time" };
    return words[value_class];
}

static void print_column(
    const struct leat__column *column, const char *word, bool with_class, struct leat_strbuf *out)
{
    leat__strbuf_printf(out, " %s %s", word, column->text);
    if (column->is_place && column->place.type->logical)
        leat__strbuf_printf(out, " (%s)", leat__logical_name(column->place.type->logical));
    if (with_class)
        leat__strbuf_printf(out, " as %s", class_word(column->value_class));
}

/* What the accumulator was told, where it decides what is in it. */
static void print_options(const struct leat__agg *agg, struct leat_strbuf *out)
{
    if (agg->kind == LEAT_AGGREGATE_TOP_N || agg->kind == LEAT_AGGREGATE_BOTTOM_N ||
        (agg->kind == LEAT_AGGREGATE_COLLECT_LIST && agg->n) || agg->kind == LEAT_AGGREGATE_TRACE_LINKS)
        leat__strbuf_printf(out, " n %llu", (unsigned long long)agg->n);
    if (agg->error != 0)
        leat__strbuf_printf(out, " error %.17g", agg->error);
    for (uint32_t i = 0; i < agg->bounds_count; i++)
        leat__strbuf_printf(out, "%s%.17g", i ? " " : " bounds ", agg->bounds[i]);
}

static void print_agg(
    const struct leat__aggregate_spec *spec, const struct leat__agg *agg, struct leat_strbuf *out)
{
    const bool is_user = agg->op == LEAT__USER;
    if (is_user && agg->records)
        leat__strbuf_printf(out, "; user %s of a record", agg->fn->name);
    else if (is_user)
        leat__strbuf_printf(out, "; user %s of %u bytes%s", agg->fn->name, agg->fn->accumulator_size,
            agg->fn->create ? ", begun" : "");
    else
        leat__strbuf_printf(out, "; %s", agg->family->name);
    if (agg->column != LEAT__NO_COLUMN)
        print_column(&spec->columns[agg->column], "of", agg->family->is_of_class, out);
    if (agg->by != LEAT__NO_COLUMN)
        print_column(&spec->columns[agg->by], "by", true, out);
    if (agg->present_bit)
        leat__strbuf_printf(out, " or null");
    if (!is_user && agg->family->tag)
        leat__strbuf_printf(out, " %s", agg->family->tag);
    print_options(agg, out);
    if (agg->where != LEAT__NO_COLUMN)
        print_column(&spec->columns[agg->where], "where", false, out);
    for (uint32_t i = 0; i < agg->wheres_count; i++) {
        leat__strbuf_str(out, i ? "," : "");
        if (agg->wheres[i] == LEAT__NO_COLUMN)
            leat__strbuf_str(out, " all");
        else
            print_column(&spec->columns[agg->wheres[i]], "where", false, out);
    }
}

void leat__agg_print_aggs(const struct leat__aggregate_spec *spec, struct leat_strbuf *out)
{
    for (uint32_t a = 0; a < spec->aggs_count; a++)
        if (!spec->aggs[a].is_shared)
            print_agg(spec, &spec->aggs[a], out);
}

void leat__agg_print_format(const struct leat__aggregate_spec *spec, bool has_head, struct leat_strbuf *out)
{
    leat__strbuf_printf(out, "v1; tumbling %lld us from %lld us", (long long)spec->window.size_us,
        (long long)spec->window.offset_us);
    if (has_head)
        leat__strbuf_str(out, "; head");
    leat__agg_print_aggs(spec, out);
}
