/* operators/aggregate_number.c -- count, sum, avg, min and max of numbers: accumulators that are numbers
 * themselves.
 *
 *   count       u64, modulo 2^64, so that it can be taken back before it was added
 *   sum, avg    of integers in 128 bits: the order of addition never matters, and what overflows 64 bits is
 *               known exactly
 *   sum, avg    of doubles: Neumaier's sum and correction. Where values are taken back NaNs and infinities are
 *               counted apart, since no sum gets rid of them
 *   min, max    mapped to u64 in their order (inverted for min), so that zero loses against all and one maximum
 *               serves four; NaN comes last, -0.0 before 0.0
 *
 * Nulls are skipped; a bit in the present word tells nothing seen from zero where an input can be null. Where
 * values are taken back or subtracted no bit can: then sums count their values. */
#include "operators/aggregate_class_private.h"

__extension__ typedef __int128 wide;
__extension__ typedef unsigned __int128 uwide;

struct wide_sum {
    uint64_t low, high; /* of a wide: the table aligns to 8 only */
};
struct wide_avg {
    struct wide_sum sum;
    uint64_t count;
};
struct float_sum {
    double sum, correction;
};
struct float_avg {
    struct float_sum sum;
    uint64_t count;
};
struct float_counted {
    struct float_sum sum; /* of those that are finite */
    uint64_t count; /* of all */
    uint64_t nans, infinite, minus_infinite;
};

/* ---- arithmetic ---- */

static inline void wide_add(struct wide_sum *sum, wide value)
{
    const uwide total = (((uwide)sum->high << 64) | sum->low) + (uwide)value;
    sum->low = (uint64_t)total;
    sum->high = (uint64_t)(total >> 64);
}

static wide wide_of(const struct wide_sum *sum)
{
    return (wide)(((uwide)sum->high << 64) | sum->low);
}

/* The correction gathers what the additions lose. It is void once the sum is not finite, and then not used. */
static inline void float_add(struct float_sum *sum, double value)
{
    const double total = sum->sum + value;
    if (fabs(sum->sum) >= fabs(value))
        sum->correction += (sum->sum - total) + value;
    else
        sum->correction += (value - total) + sum->sum;
    sum->sum = total;
}

static double float_total(const struct float_sum *sum)
{
    return isfinite(sum->sum) ? sum->sum + sum->correction : sum->sum;
}

static inline void keep_larger(uint64_t *largest, uint64_t code)
{
    if (code > *largest)
        *largest = code;
}

/* Adds `times` (1 or -1) the value. */
static void float_count(struct float_counted *acc, double value, int times)
{
    const uint64_t one = (uint64_t)(int64_t)times;
    acc->count += one;
    if (isnan(value))
        acc->nans += one;
    else if (isinf(value) && value > 0)
        acc->infinite += one;
    else if (isinf(value))
        acc->minus_infinite += one;
    else
        float_add(&acc->sum, times < 0 ? -value : value);
    if (acc->count == acc->nans + acc->infinite + acc->minus_infinite)
        acc->sum = (struct float_sum){ 0, 0 }; /* of no values: nothing is left of what rounding did */
}

static double float_counted_total(const struct float_counted *acc)
{
    if (acc->nans || (acc->infinite && acc->minus_infinite))
        return (double)NAN;
    if (acc->infinite || acc->minus_infinite)
        return acc->infinite ? (double)INFINITY : -(double)INFINITY;
    return float_total(&acc->sum);
}

/* 0 or LEAT_EOVERFLOW. */
static int narrow(wide sum, enum leat_on_overflow on_overflow, int64_t *value)
{
    *value = (int64_t)(uint64_t)sum;
    if (sum == (wide)*value || on_overflow == LEAT_OVERFLOW_WRAP)
        return 0;
    *value = sum < 0 ? INT64_MIN : INT64_MAX;
    return on_overflow == LEAT_OVERFLOW_SATURATE ? 0 : LEAT_EOVERFLOW;
}

/* Of what doubles hold exactly the nearest double to the quotient; beyond that the whole part is taken out
 * first, so that what is left to round is small. */
static double divide(wide sum, uint64_t count)
{
    const wide exact = (wide)1 << 53;
    if (sum >= -exact && sum <= exact)
        return (double)(int64_t)sum / (double)count;
    const wide whole = sum / (wide)count;
    const wide rest = sum % (wide)count;
    return (double)whole + (double)(int64_t)rest / (double)count;
}

/* Over no values, or fewer than none: more was taken back than has come yet. */
static bool is_none(uint64_t count)
{
    return (int64_t)count <= 0;
}

/* ---- adding ---- */

static int add_count_all(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    for (uint32_t i = 0; i < pass->count; i++)
        ++*(uint64_t *)(void *)(pass->values[i] + agg->offset);
    return 0;
}

static int add_count_values(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    const uint8_t *nulls = pass->views[agg->column].nulls;
    for (uint32_t i = 0; i < pass->count; i++)
        *(uint64_t *)(void *)(pass->values[i] + agg->offset) += !(nulls && nulls[pass->rows[i]]);
    return 0;
}

static int add_sum_int(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    EACH_VALUE(pass, agg, int64_t, struct wide_sum, in, acc, wide_add(acc, in););
    return 0;
}

static int add_sum_float(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    EACH_VALUE(pass, agg, double, struct float_sum, in, acc, float_add(acc, in););
    return 0;
}

static int add_avg_int(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    EACH_VALUE(pass, agg, int64_t, struct wide_avg, in, acc, wide_add(&acc->sum, in); acc->count++;);
    return 0;
}

static int add_avg_float(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    EACH_VALUE(pass, agg, double, struct float_avg, in, acc, float_add(&acc->sum, in); acc->count++;);
    return 0;
}

static int add_counted_float(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    EACH_VALUE(pass, agg, double, struct float_counted, in, acc, float_count(acc, in, 1););
    return 0;
}

static int add_min_int(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    EACH_VALUE(pass, agg, int64_t, uint64_t, in, acc, keep_larger(acc, ~leat__int_code(in)););
    return 0;
}

static int add_max_int(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    EACH_VALUE(pass, agg, int64_t, uint64_t, in, acc, keep_larger(acc, leat__int_code(in)););
    return 0;
}

static int add_min_float(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    EACH_VALUE(pass, agg, double, uint64_t, in, acc, keep_larger(acc, ~leat__float_code(in)););
    return 0;
}

static int add_max_float(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    EACH_VALUE(pass, agg, double, uint64_t, in, acc, keep_larger(acc, leat__float_code(in)););
    return 0;
}

/* ---- taking back ---- */

static int retract_count_all(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    for (uint32_t i = 0; i < pass->count; i++)
        --*(uint64_t *)(void *)(pass->values[i] + agg->offset);
    return 0;
}

static int retract_count_values(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    const uint8_t *nulls = pass->views[agg->column].nulls;
    for (uint32_t i = 0; i < pass->count; i++)
        *(uint64_t *)(void *)(pass->values[i] + agg->offset) -= !(nulls && nulls[pass->rows[i]]);
    return 0;
}

static int retract_avg_int(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    EACH_VALUE(pass, agg, int64_t, struct wide_avg, in, acc, wide_add(&acc->sum, -(wide)in); acc->count--;);
    return 0;
}

static int retract_counted_float(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    EACH_VALUE(pass, agg, double, struct float_counted, in, acc, float_count(acc, in, -1););
    return 0;
}

/* ---- combining ---- */

/* The unused parameters are those of every family. */
#define COMBINE(name_) \
    static int name_( \
        const struct leat__agg *agg, const struct leat__agg_memory *mem, void *into, const void *from)

COMBINE(combine_count)
{
    (void)agg, (void)mem;
    *(uint64_t *)into += *(const uint64_t *)from;
    return 0;
}

COMBINE(combine_sum_int)
{
    (void)agg, (void)mem;
    wide_add(into, wide_of(from));
    return 0;
}

COMBINE(combine_avg_int)
{
    (void)agg, (void)mem;
    wide_add(&((struct wide_avg *)into)->sum, wide_of(&((const struct wide_avg *)from)->sum));
    ((struct wide_avg *)into)->count += ((const struct wide_avg *)from)->count;
    return 0;
}

static void float_combine(struct float_sum *into, const struct float_sum *from)
{
    float_add(into, from->sum);
    into->correction += from->correction;
}

COMBINE(combine_sum_float)
{
    (void)agg, (void)mem;
    float_combine(into, from);
    return 0;
}

COMBINE(combine_avg_float)
{
    (void)agg, (void)mem;
    float_combine(&((struct float_avg *)into)->sum, &((const struct float_avg *)from)->sum);
    ((struct float_avg *)into)->count += ((const struct float_avg *)from)->count;
    return 0;
}

COMBINE(combine_counted_float)
{
    struct float_counted *to = into;
    const struct float_counted *other = from;
    (void)agg, (void)mem;
    float_combine(&to->sum, &other->sum);
    to->count += other->count;
    to->nans += other->nans;
    to->infinite += other->infinite;
    to->minus_infinite += other->minus_infinite;
    return 0;
}

COMBINE(combine_larger)
{
    (void)agg, (void)mem;
    keep_larger(into, *(const uint64_t *)from);
    return 0;
}

static void subtract_count(const struct leat__agg *agg, void *into, const void *from)
{
    (void)agg;
    *(uint64_t *)into -= *(const uint64_t *)from;
}

static void subtract_sum_int(const struct leat__agg *agg, void *into, const void *from)
{
    (void)agg;
    wide_add(into, -wide_of(from));
}

static void subtract_avg_int(const struct leat__agg *agg, void *into, const void *from)
{
    (void)agg;
    wide_add(&((struct wide_avg *)into)->sum, -wide_of(&((const struct wide_avg *)from)->sum));
    ((struct wide_avg *)into)->count -= ((const struct wide_avg *)from)->count;
}

/* ---- results ---- */

#define RESULT(name_) \
    static int name_(const struct leat__agg *agg, const void *accumulator, const struct leat__agg_show *show)

RESULT(show_count)
{
    leat__out_set_int(show->row, &agg->out, (int64_t) * (const uint64_t *)accumulator);
    return 0;
}

RESULT(show_sum_int)
{
    int64_t value;
    LEAT_TRY(narrow(wide_of(accumulator), show->spec->on_overflow, &value));
    leat__out_set_int(show->row, &agg->out, value);
    return 0;
}

RESULT(show_counted_sum_int)
{
    const struct wide_avg *acc = accumulator;
    if (!agg->nullable || !is_none(acc->count))
        return show_sum_int(agg, &acc->sum, show);
    leat__out_set_null(show->row, &agg->out);
    return 0;
}

RESULT(show_sum_float)
{
    leat__out_set_float(show->row, &agg->out, float_total(accumulator));
    return 0;
}

RESULT(show_avg_int)
{
    const struct wide_avg *avg = accumulator;
    if (agg->nullable && is_none(avg->count))
        leat__out_set_null(show->row, &agg->out);
    else
        leat__out_set_float(
            show->row, &agg->out, is_none(avg->count) ? 0 : divide(wide_of(&avg->sum), avg->count));
    return 0;
}

RESULT(show_avg_float)
{
    const struct float_avg *avg = accumulator;
    leat__out_set_float(show->row, &agg->out, float_total(&avg->sum) / (double)avg->count);
    return 0;
}

RESULT(show_counted_float)
{
    const struct float_counted *acc = accumulator;
    const double total = float_counted_total(acc);
    const bool is_avg = agg->kind == LEAT_AGGREGATE_AVG;
    if (agg->nullable && is_none(acc->count))
        leat__out_set_null(show->row, &agg->out);
    else
        leat__out_set_float(
            show->row, &agg->out, is_avg && !is_none(acc->count) ? total / (double)acc->count : total);
    return 0;
}

RESULT(show_min_int)
{
    leat__out_set_int(show->row, &agg->out, leat__int_of_code(~*(const uint64_t *)accumulator));
    return 0;
}

RESULT(show_max_int)
{
    leat__out_set_int(show->row, &agg->out, leat__int_of_code(*(const uint64_t *)accumulator));
    return 0;
}

RESULT(show_min_float)
{
    leat__out_set_float(show->row, &agg->out, leat__float_of_code(~*(const uint64_t *)accumulator));
    return 0;
}

RESULT(show_max_float)
{
    leat__out_set_float(show->row, &agg->out, leat__float_of_code(*(const uint64_t *)accumulator));
    return 0;
}

/* ---- the families ---- */

/* clang-format off */
static const struct leat__agg_class
    count_all = { "count", NULL, add_count_all, retract_count_all, combine_count, subtract_count, show_count,
        NULL, 0, { 0 } },
    count_values = { "count", NULL, add_count_values, retract_count_values, combine_count, subtract_count,
        show_count, NULL, 0, { 0 } },
    sum_int = { "sum int", NULL, add_sum_int, NULL, combine_sum_int, subtract_sum_int, show_sum_int,
        NULL, 0, { 0 } },
    counted_sum_int = { "sum int", "counted", add_avg_int, retract_avg_int, combine_avg_int, subtract_avg_int,
        show_counted_sum_int, NULL, 0, { 0 } },
    sum_float = { "sum float", NULL, add_sum_float, NULL, combine_sum_float, NULL, show_sum_float,
        NULL, 0, { 0 } },
    avg_int = { "avg int", NULL, add_avg_int, retract_avg_int, combine_avg_int, subtract_avg_int, show_avg_int,
        NULL, 0, { 0 } },
    avg_float = { "avg float", NULL, add_avg_float, NULL, combine_avg_float, NULL, show_avg_float,
        NULL, 0, { 0 } },
    counted_sum_float = { "sum float", "counted", add_counted_float, retract_counted_float,
        combine_counted_float, NULL, show_counted_float, NULL, 0, { 0 } },
    counted_avg_float = { "avg float", "counted", add_counted_float, retract_counted_float,
        combine_counted_float, NULL, show_counted_float, NULL, 0, { 0 } },
    min_int = { "min int", NULL, add_min_int, NULL, combine_larger, NULL, show_min_int, NULL, 0, { 0 } },
    max_int = { "max int", NULL, add_max_int, NULL, combine_larger, NULL, show_max_int, NULL, 0, { 0 } },
    min_float = { "min float", NULL, add_min_float, NULL, combine_larger, NULL, show_min_float, NULL, 0, { 0 } },
    max_float = { "max float", NULL, add_max_float, NULL, combine_larger, NULL, show_max_float, NULL, 0, { 0 } };
/* clang-format on */

static bool choose_sum(struct leat__agg *agg, const struct leat__aggregate_spec *spec, bool is_int)
{
    if (is_int && (spec->takes_changes || spec->subtracts))
        return leat__agg_set_family(agg, &counted_sum_int, sizeof(struct wide_avg), LEAT__GIVES_LONG);
    if (is_int)
        return leat__agg_set_family(agg, &sum_int, sizeof(struct wide_sum), LEAT__GIVES_LONG);
    return spec->takes_changes
        ? leat__agg_set_family(agg, &counted_sum_float, sizeof(struct float_counted), LEAT__GIVES_DOUBLE)
        : leat__agg_set_family(agg, &sum_float, sizeof(struct float_sum), LEAT__GIVES_DOUBLE);
}

static bool choose_avg(struct leat__agg *agg, const struct leat__aggregate_spec *spec, bool is_int)
{
    if (is_int)
        return leat__agg_set_family(agg, &avg_int, sizeof(struct wide_avg), LEAT__GIVES_DOUBLE);
    return spec->takes_changes
        ? leat__agg_set_family(agg, &counted_avg_float, sizeof(struct float_counted), LEAT__GIVES_DOUBLE)
        : leat__agg_set_family(agg, &avg_float, sizeof(struct float_avg), LEAT__GIVES_DOUBLE);
}

bool leat__agg_choose_number(struct leat__agg *agg, const struct leat__aggregate_spec *spec)
{
    const bool is_int = agg->of_class == LEAT_VALUE_INT;
    const bool is_float = agg->of_class == LEAT_VALUE_FLOAT;
    const bool is_max = agg->kind == LEAT_AGGREGATE_MAX;
    const bool keeps_bits = !spec->takes_changes && !spec->subtracts;
    switch (agg->kind) {
    case LEAT_AGGREGATE_COUNT:
        return leat__agg_set_family(agg, agg->column == LEAT__NO_COLUMN ? &count_all : &count_values,
            sizeof(uint64_t), LEAT__GIVES_LONG);
    case LEAT_AGGREGATE_SUM:
        agg->keeps_bit = keeps_bits || (!is_int && !spec->takes_changes);
        return (is_int || is_float) && choose_sum(agg, spec, is_int);
    case LEAT_AGGREGATE_AVG:
        agg->keeps_bit = keeps_bits || (!is_int && !spec->takes_changes);
        return (is_int || is_float) && choose_avg(agg, spec, is_int);
    default:
        LEAT_ASSERT(agg->kind == LEAT_AGGREGATE_MIN || is_max);
        agg->keeps_bit = true;
        if (is_float)
            return leat__agg_set_family(
                agg, is_max ? &max_float : &min_float, sizeof(uint64_t), LEAT__GIVES_VALUE);
        return (is_int || agg->of_class == LEAT_VALUE_TIMESTAMP) &&
            leat__agg_set_family(agg, is_max ? &max_int : &min_int, sizeof(uint64_t), LEAT__GIVES_VALUE);
    }
}
