/* operators/aggregate_quantile.c -- approximate quantiles: DDSketch (Masson, Rim and Lee, 2019).
 *
 * With gamma = (1 + error) / (1 - error), a value x > 0 is counted in bucket ceil(log x / log gamma), whose middle
 * is within `error` of it, relative. Values below zero have buckets of their own by size; zeros, infinities and
 * NaNs are counted apart. The order is -inf, negative, zero, positive, inf, NaN last.
 *
 *   buckets   index i64, count i64 each, by rising index; of one sign at most `buckets_max`
 *
 * What would be more buckets goes into the lowest that is kept: those next to zero lose their error bound, once
 * values of one sign are more than a factor of about 10^18 apart. Which are kept depends on the values alone, and
 * so does the result: neither on order nor on grouping. The quantile q of n values is that of rank floor(q (n - 1)).
 *
 * Counts may be below zero while values are taken back before they come. */
#include "operators/aggregate_class_private.h"

#define DECADES 18.0

struct bucket {
    int64_t index, count;
};

enum { POSITIVE, NEGATIVE, SIGNS };

struct sketch {
    struct leat__agg_blob buckets[SIGNS];
    int64_t total, zeros, nans, infinite, minus_infinite;
};

static struct bucket *buckets_of(const struct leat__agg_blob *blob, uint32_t *count)
{
    *count = leat__blob_len(blob) / (uint32_t)sizeof(struct bucket);
    return (struct bucket *)(void *)blob->data;
}

/* ---- counting ---- */

/* The first bucket that is not below the index. */
static uint32_t find(const struct bucket *buckets, uint32_t count, int64_t index)
{
    uint32_t low = 0;
    while (low < count) {
        const uint32_t middle = low + (count - low) / 2;
        if (buckets[middle].index < index)
            low = middle + 1;
        else
            count = middle;
    }
    return low;
}

/* The lowest bucket goes into the one above it. */
static void fold(struct leat__agg_blob *blob)
{
    uint32_t count;
    struct bucket *buckets = buckets_of(blob, &count);
    buckets[1].count += buckets[0].count;
    memmove(buckets, buckets + 1, (count - 1) * sizeof *buckets);
    blob->len_plus_1 -= (uint32_t)sizeof *buckets;
}

static int count_in(const struct leat__agg_memory *mem, struct leat__agg_blob *blob, uint32_t limit,
    int64_t index, int64_t times)
{
    uint32_t count;
    struct bucket *buckets = buckets_of(blob, &count);
    uint32_t at = find(buckets, count, index);
    if (at == 0 && count >= limit) { /* below all that is kept */
        buckets[0].count += times;
        return 0;
    }
    if (at < count && buckets[at].index == index) {
        buckets[at].count += times;
        return 0;
    }
    LEAT_TRY(leat__blob_reserve(mem, blob, (count + 1) * sizeof *buckets));
    buckets = buckets_of(blob, &count);
    memmove(buckets + at + 1, buckets + at, (count - at) * sizeof *buckets);
    buckets[at] = (struct bucket){ index, times };
    blob->len_plus_1 = (count + 1) * (uint32_t)sizeof *buckets + 1;
    if (count + 1 > limit)
        fold(blob);
    return 0;
}

static int count_value(const struct leat__agg *agg, const struct leat__agg_memory *mem, struct sketch *sketch,
    double value, int64_t times)
{
    sketch->total += times;
    if (isnan(value))
        sketch->nans += times;
    else if (isinf(value))
        *(value > 0 ? &sketch->infinite : &sketch->minus_infinite) += times;
    else if (value == 0)
        sketch->zeros += times;
    else
        return count_in(mem, &sketch->buckets[value > 0 ? POSITIVE : NEGATIVE], agg->buckets_max,
            (int64_t)ceil(log(fabs(value)) / agg->log_gamma), times);
    return 0;
}

static int count_rows(const struct leat__agg_pass *pass, const struct leat__agg *agg, int64_t times)
{
    const struct leat__column_view *view = &pass->views[agg->column];
    for (uint32_t i = 0; i < pass->count; i++) {
        const uint32_t row = pass->rows[i];
        if (view->nulls && view->nulls[row])
            continue;
        double value;
        memcpy(&value, view->base + row * view->stride, sizeof value);
        if (agg->of_class == LEAT_VALUE_INT) {
            int64_t integer;
            memcpy(&integer, &value, sizeof integer);
            value = (double)integer;
        }
        const int code = count_value(
            agg, &pass->mem, (struct sketch *)(void *)(pass->values[i] + agg->offset), value, times);
        if (code < 0) {
            *pass->bad = row;
            return code;
        }
    }
    return 0;
}

static int add_sketch(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    return count_rows(pass, agg, 1);
}

static int retract_sketch(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    return count_rows(pass, agg, -1);
}

static int combine_sketch(
    const struct leat__agg *agg, const struct leat__agg_memory *mem, void *into, const void *from)
{
    struct sketch *to = into;
    const struct sketch *other = from;
    for (uint32_t sign = 0; sign < SIGNS; sign++) {
        uint32_t count;
        const struct bucket *buckets = buckets_of(&other->buckets[sign], &count);
        for (uint32_t i = 0; i < count; i++)
            LEAT_TRY(count_in(mem, &to->buckets[sign], agg->buckets_max, buckets[i].index, buckets[i].count));
    }
    to->total += other->total;
    to->zeros += other->zeros;
    to->nans += other->nans;
    to->infinite += other->infinite;
    to->minus_infinite += other->minus_infinite;
    return 0;
}

/* ---- asking ---- */

static double middle_of(const struct leat__agg *agg, int64_t index)
{
    /* 2 gamma^i / (gamma + 1) = gamma^i (1 - error); at the ends of what doubles hold it must not overflow. */
    const double value = exp((double)index * agg->log_gamma) * (1 - agg->error);
    return value < 1.7976931348623157e308 ? value : 1.7976931348623157e308;
}

/* The value of the bucket with this rank among those of a sign, and the rank that is left behind them all. */
static bool find_rank(
    const struct leat__agg *agg, const struct sketch *sketch, uint32_t sign, int64_t *rank, double *value)
{
    uint32_t count;
    const struct bucket *buckets = buckets_of(&sketch->buckets[sign], &count);
    for (uint32_t i = 0; i < count; i++) {
        const struct bucket *b = &buckets[sign == NEGATIVE ? count - 1 - i : i];
        if (*rank < b->count) {
            *value = middle_of(agg, b->index) * (sign == NEGATIVE ? -1 : 1);
            return true;
        }
        *rank -= b->count;
    }
    return false;
}

static bool is_within(int64_t *rank, int64_t count)
{
    if (*rank < count)
        return true;
    *rank -= count;
    return false;
}

static double quantile(const struct leat__agg *agg, const struct sketch *sketch)
{
    const long double exact = (long double)agg->q * (long double)(sketch->total - 1);
    int64_t rank = (int64_t)exact;
    double value;
    if (is_within(&rank, sketch->minus_infinite))
        return -(double)INFINITY;
    if (find_rank(agg, sketch, NEGATIVE, &rank, &value))
        return value;
    if (is_within(&rank, sketch->zeros))
        return 0;
    if (find_rank(agg, sketch, POSITIVE, &rank, &value))
        return value;
    return is_within(&rank, sketch->infinite) ? (double)INFINITY : (double)NAN;
}

static int show_sketch(
    const struct leat__agg *agg, const void *accumulator, const struct leat__agg_show *show)
{
    const struct sketch *sketch = accumulator;
    if (sketch->total > 0)
        leat__out_set_float(show->row, &agg->out, quantile(agg, sketch));
    else if (agg->nullable)
        leat__out_set_null(show->row, &agg->out);
    return 0;
}

static bool check_sketch(const struct leat__agg *agg, const void *accumulator)
{
    const struct sketch *sketch = accumulator;
    if (!leat__agg_is_times(sketch->total) || !leat__agg_is_times(sketch->zeros) ||
        !leat__agg_is_times(sketch->nans) || !leat__agg_is_times(sketch->infinite) ||
        !leat__agg_is_times(sketch->minus_infinite))
        return false;
    for (uint32_t sign = 0; sign < SIGNS; sign++) {
        uint32_t count;
        const struct bucket *buckets = buckets_of(&sketch->buckets[sign], &count);
        if (leat__blob_len(&sketch->buckets[sign]) % sizeof *buckets || count > agg->buckets_max)
            return false;
        for (uint32_t i = 0; i < count; i++)
            if (!leat__agg_is_times(buckets[i].count) || (i && buckets[i - 1].index >= buckets[i].index))
                return false;
    }
    return true;
}

static const struct leat__agg_class sketch_class = { .name = "ddsketch",
    .add = add_sketch,
    .retract = retract_sketch,
    .combine = combine_sketch,
    .result = show_sketch,
    .check = check_sketch,
    .blobs_count = SIGNS,
    .blobs = { offsetof(struct sketch, buckets[POSITIVE]), offsetof(struct sketch, buckets[NEGATIVE]) },
    .is_of_class = true };

bool leat__agg_choose_quantile(struct leat__agg *agg, const struct leat__aggregate_spec *spec)
{
    (void)spec;
    agg->log_gamma = log((1 + agg->error) / (1 - agg->error));
    agg->buckets_max = (uint32_t)ceil(DECADES * log(10.0) / agg->log_gamma);
    return leat__agg_set_family(agg, &sketch_class, sizeof(struct sketch), LEAT__GIVES_DOUBLE) &&
        (agg->of_class == LEAT_VALUE_INT || agg->of_class == LEAT_VALUE_FLOAT);
}
