/* operators/aggregate_bits.c -- bit and, or, xor of integers; and, or of booleans; histograms: accumulators that
 * only count.
 *
 *   bit and, or   one word (inverted for and, so that zero is nothing). Where values are taken back or
 *                 subtracted: how many values there are, and how many have each bit
 *   bit xor       the word and the count: a value is its own inverse
 *   booleans      how many are true, how many false
 *   histogram     a count for each range
 *
 * Counts are modulo 2^64: a value may be taken back before it comes. */
#include "operators/aggregate_class_private.h"

#define WORD_BITS 64u

struct bit_counts {
    uint64_t count;
    uint64_t ones[WORD_BITS];
};
struct bit_xor {
    uint64_t count, bits;
};
struct truths {
    uint64_t no, yes;
};

/* ---- what all of them share: words that are added ---- */

static int combine_words(
    const struct leat__agg *agg, const struct leat__agg_memory *mem, void *into, const void *from)
{
    uint64_t *to = into;
    const uint64_t *other = from;
    (void)mem;
    for (uint32_t i = 0; i < agg->size / sizeof *to; i++)
        to[i] += other[i];
    return 0;
}

static void subtract_words(const struct leat__agg *agg, void *into, const void *from)
{
    uint64_t *to = into;
    const uint64_t *other = from;
    for (uint32_t i = 0; i < agg->size / sizeof *to; i++)
        to[i] -= other[i];
}

static int show_int_or_null(
    const struct leat__agg *agg, const struct leat__agg_show *show, uint64_t count, int64_t value)
{
    if (agg->nullable && (int64_t)count <= 0)
        leat__out_set_null(show->row, &agg->out);
    else
        leat__out_set_int(show->row, &agg->out, value);
    return 0;
}

/* ---- bits ---- */

static int add_and(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    EACH_VALUE(pass, agg, uint64_t, uint64_t, in, acc, *acc |= ~in;);
    return 0;
}

static int add_or(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    EACH_VALUE(pass, agg, uint64_t, uint64_t, in, acc, *acc |= in;);
    return 0;
}

static int combine_or(
    const struct leat__agg *agg, const struct leat__agg_memory *mem, void *into, const void *from)
{
    (void)agg, (void)mem;
    *(uint64_t *)into |= *(const uint64_t *)from;
    return 0;
}

static int show_and(const struct leat__agg *agg, const void *accumulator, const struct leat__agg_show *show)
{
    return show_int_or_null(agg, show, 1, (int64_t) ~*(const uint64_t *)accumulator);
}

static int show_or(const struct leat__agg *agg, const void *accumulator, const struct leat__agg_show *show)
{
    return show_int_or_null(agg, show, 1, (int64_t) * (const uint64_t *)accumulator);
}

static inline void count_bits(struct bit_counts *acc, uint64_t value, uint64_t one)
{
    acc->count += one;
    for (; value; value &= value - 1)
        acc->ones[__builtin_ctzll(value)] += one;
}

static int add_counted(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    EACH_VALUE(pass, agg, uint64_t, struct bit_counts, in, acc, count_bits(acc, in, 1););
    return 0;
}

static int retract_counted(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    EACH_VALUE(pass, agg, uint64_t, struct bit_counts, in, acc, count_bits(acc, in, UINT64_MAX););
    return 0;
}

static int show_counted(
    const struct leat__agg *agg, const void *accumulator, const struct leat__agg_show *show)
{
    const struct bit_counts *acc = accumulator;
    const uint64_t enough = agg->kind == LEAT_AGGREGATE_BIT_AND ? acc->count : 1;
    uint64_t bits = 0;
    for (uint32_t b = 0; b < WORD_BITS; b++)
        if ((int64_t)acc->ones[b] >= (int64_t)enough)
            bits |= UINT64_C(1) << b;
    return show_int_or_null(agg, show, acc->count, (int64_t)bits);
}

static int add_xor(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    EACH_VALUE(pass, agg, uint64_t, struct bit_xor, in, acc, acc->count++; acc->bits ^= in;);
    return 0;
}

static int retract_xor(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    EACH_VALUE(pass, agg, uint64_t, struct bit_xor, in, acc, acc->count--; acc->bits ^= in;);
    return 0;
}

static int combine_xor(
    const struct leat__agg *agg, const struct leat__agg_memory *mem, void *into, const void *from)
{
    (void)agg, (void)mem;
    ((struct bit_xor *)into)->count += ((const struct bit_xor *)from)->count;
    ((struct bit_xor *)into)->bits ^= ((const struct bit_xor *)from)->bits;
    return 0;
}

static void subtract_xor(const struct leat__agg *agg, void *into, const void *from)
{
    (void)agg;
    ((struct bit_xor *)into)->count -= ((const struct bit_xor *)from)->count;
    ((struct bit_xor *)into)->bits ^= ((const struct bit_xor *)from)->bits;
}

static int show_xor(const struct leat__agg *agg, const void *accumulator, const struct leat__agg_show *show)
{
    const struct bit_xor *acc = accumulator;
    return show_int_or_null(agg, show, acc->count, (int64_t)acc->bits);
}

/* ---- booleans ---- */

static int add_truth(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    EACH_VALUE(pass, agg, uint64_t, struct truths, in, acc, in ? acc->yes++ : acc->no++;);
    return 0;
}

static int retract_truth(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    EACH_VALUE(pass, agg, uint64_t, struct truths, in, acc, in ? acc->yes-- : acc->no--;);
    return 0;
}

static int show_truth(const struct leat__agg *agg, const void *accumulator, const struct leat__agg_show *show)
{
    const struct truths *acc = accumulator;
    const bool is_and = agg->kind == LEAT_AGGREGATE_BOOL_AND;
    return show_int_or_null(
        agg, show, acc->no + acc->yes, is_and ? (int64_t)acc->no <= 0 : (int64_t)acc->yes > 0);
}

static const struct leat__agg_class and_class = {
    .name = "bit and", .add = add_and, .combine = combine_or, .result = show_and
};
static const struct leat__agg_class or_class = {
    .name = "bit or", .add = add_or, .combine = combine_or, .result = show_or
};
static const struct leat__agg_class counted_class = { .name = "bit counts",
    .add = add_counted,
    .retract = retract_counted,
    .combine = combine_words,
    .subtract = subtract_words,
    .result = show_counted };
static const struct leat__agg_class xor_class = { .name = "bit xor",
    .add = add_xor,
    .retract = retract_xor,
    .combine = combine_xor,
    .subtract = subtract_xor,
    .result = show_xor };
static const struct leat__agg_class truth_class = { .name = "truths",
    .add = add_truth,
    .retract = retract_truth,
    .combine = combine_words,
    .subtract = subtract_words,
    .result = show_truth };

bool leat__agg_choose_bits(struct leat__agg *agg, const struct leat__aggregate_spec *spec)
{
    if (agg->kind == LEAT_AGGREGATE_BOOL_AND || agg->kind == LEAT_AGGREGATE_BOOL_OR)
        return agg->of_class == LEAT_VALUE_BOOL &&
            leat__agg_set_family(agg, &truth_class, sizeof(struct truths), LEAT__GIVES_BOOL);
    if (agg->of_class != LEAT_VALUE_INT)
        return false;
    if (agg->kind == LEAT_AGGREGATE_BIT_XOR)
        return leat__agg_set_family(agg, &xor_class, sizeof(struct bit_xor), LEAT__GIVES_VALUE);
    if (spec->takes_changes || spec->subtracts)
        return leat__agg_set_family(agg, &counted_class, sizeof(struct bit_counts), LEAT__GIVES_VALUE);
    agg->keeps_bit = true;
    return leat__agg_set_family(agg, agg->kind == LEAT_AGGREGATE_BIT_AND ? &and_class : &or_class,
        sizeof(uint64_t), LEAT__GIVES_VALUE);
}

/* ---- histograms ---- */

/* The range of a value: as many bounds are at or below it. NaN comes last. */
static uint32_t range_of(const struct leat__agg *agg, const unsigned char *at)
{
    uint32_t low = 0, high = agg->bounds_count;
    int64_t integer;
    double real;
    memcpy(&integer, at, sizeof integer);
    memcpy(&real, at, sizeof real);
    const bool is_int = agg->of_class == LEAT_VALUE_INT;
    if (!is_int && isnan(real))
        return agg->bounds_count;
    const long double value = is_int ? (long double)integer : (long double)real; /* both exactly */
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (value >= (long double)agg->bounds[middle])
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int count_ranges(const struct leat__agg_pass *pass, const struct leat__agg *agg, uint64_t one)
{
    const struct leat__column_view *view = &pass->views[agg->column];
    for (uint32_t i = 0; i < pass->count; i++) {
        const uint32_t row = pass->rows[i];
        if (view->nulls && view->nulls[row])
            continue;
        uint64_t *counts = (uint64_t *)(void *)(pass->values[i] + agg->offset);
        counts[range_of(agg, view->base + row * view->stride)] += one;
    }
    return 0;
}

static int add_histogram(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    return count_ranges(pass, agg, 1);
}

static int retract_histogram(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    return count_ranges(pass, agg, UINT64_MAX);
}

static int show_histogram(
    const struct leat__agg *agg, const void *accumulator, const struct leat__agg_show *show)
{
    const uint64_t *counts = accumulator;
    unsigned char *items;
    LEAT_TRY(leat__array_show(agg, show, agg->bounds_count + 1, &items));
    for (uint32_t i = 0; i <= agg->bounds_count; i++)
        leat__out_set_int(items + i * agg->out.type->item->size, &agg->item, (int64_t)counts[i]);
    return 0;
}

static const struct leat__agg_class histogram_class = { .name = "histogram",
    .add = add_histogram,
    .retract = retract_histogram,
    .combine = combine_words,
    .subtract = subtract_words,
    .result = show_histogram,
    .is_of_class = true };

bool leat__agg_choose_histogram(struct leat__agg *agg, const struct leat__aggregate_spec *spec)
{
    (void)spec;
    return (agg->of_class == LEAT_VALUE_INT || agg->of_class == LEAT_VALUE_FLOAT) &&
        leat__agg_set_family(
            agg, &histogram_class, (agg->bounds_count + 1) * sizeof(uint64_t), LEAT__GIVES_LONGS);
}
