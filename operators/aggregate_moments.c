/* operators/aggregate_moments.c -- variance and standard deviation.
 *
 * Of integers: the sum in 128 bits and the sum of squares in 192, both exact, and so is
 * n * sum(x^2) - sum(x)^2 in 256 bits: only the last division rounds, in whatever order and by whatever detours
 * the values came.
 *
 * Of doubles: Welford's mean and sum of squared distances, combined as Chan, Golub and LeVeque do. NaNs and
 * infinities are counted apart: with any of them the variance is NaN, as IEEE arithmetic would have it. */
#include "operators/aggregate_class_private.h"

__extension__ typedef __int128 wide;
__extension__ typedef unsigned __int128 uwide;

struct int_moments {
    uint64_t count;
    uint64_t sum[2]; /* two's complement, least word first */
    uint64_t squares[3];
};

struct float_moments {
    uint64_t count; /* of the finite values */
    double mean, distances;
    uint64_t specials; /* NaN, infinite */
};

/* ---- integers ---- */

/* into += from, `words` of them; modulo 2^(64 words). */
static inline void add_words(uint64_t *into, const uint64_t *from, uint32_t words)
{
    uwide carry = 0;
    for (uint32_t i = 0; i < words; i++) {
        carry += (uwide)into[i] + from[i];
        into[i] = (uint64_t)carry;
        carry >>= 64;
    }
}

static inline void subtract_words(uint64_t *into, const uint64_t *from, uint32_t words)
{
    uint64_t borrow = 0;
    for (uint32_t i = 0; i < words; i++) {
        const uwide difference = (uwide)into[i] - from[i] - borrow;
        into[i] = (uint64_t)difference;
        borrow = (uint64_t)(difference >> 64) & 1;
    }
}

/* What one value is worth. */
static inline struct int_moments of_one(int64_t value)
{
    const uint64_t size = value < 0 ? -(uint64_t)value : (uint64_t)value;
    const uwide square = (uwide)size * size;
    return (struct int_moments){ 1, { (uint64_t)value, value < 0 ? UINT64_MAX : 0 },
        { (uint64_t)square, (uint64_t)(square >> 64), 0 } };
}

static inline void int_add(struct int_moments *into, const struct int_moments *from)
{
    into->count += from->count;
    add_words(into->sum, from->sum, 2);
    add_words(into->squares, from->squares, 3);
}

static inline void int_subtract(struct int_moments *into, const struct int_moments *from)
{
    into->count -= from->count;
    subtract_words(into->sum, from->sum, 2);
    subtract_words(into->squares, from->squares, 3);
}

static int add_int(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    EACH_VALUE(pass, agg, int64_t, struct int_moments, in, acc, {
        const struct int_moments one = of_one(in);
        int_add(acc, &one);
    });
    return 0;
}

static int retract_int(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    EACH_VALUE(pass, agg, int64_t, struct int_moments, in, acc, {
        const struct int_moments one = of_one(in);
        int_subtract(acc, &one);
    });
    return 0;
}

static int combine_int(
    const struct leat__agg *agg, const struct leat__agg_memory *mem, void *into, const void *from)
{
    (void)agg, (void)mem;
    int_add(into, from);
    return 0;
}

static void subtract_int(const struct leat__agg *agg, void *into, const void *from)
{
    (void)agg;
    int_subtract(into, from);
}

/* The product of `words` words and one, into words + 1. */
static void multiply(const uint64_t *by, uint32_t words, uint64_t factor, uint64_t *product)
{
    uwide carry = 0;
    for (uint32_t i = 0; i < words; i++) {
        carry += (uwide)by[i] * factor;
        product[i] = (uint64_t)carry;
        carry >>= 64;
    }
    product[words] = (uint64_t)carry;
}

/* n * sum(x^2) - sum(x)^2: never negative. */
static long double int_spread(const struct int_moments *m)
{
    uint64_t all[4], low[3], high[3], square[4] = { 0 };
    uwide sum = ((uwide)m->sum[1] << 64) | m->sum[0];
    if ((wide)sum < 0)
        sum = -sum;
    const uint64_t size[2] = { (uint64_t)sum, (uint64_t)(sum >> 64) };
    multiply(m->squares, 3, m->count, all);
    multiply(size, 2, size[0], low);
    multiply(size, 2, size[1], high);
    memcpy(square, low, sizeof low);
    add_words(square + 1, high, 3);
    subtract_words(all, square, 4);
    long double spread = 0;
    for (uint32_t i = 4; i-- > 0;)
        spread = spread * 0x1p64L + (long double)all[i];
    return spread;
}

/* ---- doubles ---- */

static inline void float_add(struct float_moments *m, double value)
{
    if (!isfinite(value)) {
        m->specials++;
        return;
    }
    const double from_mean = value - m->mean;
    m->count++;
    m->mean += from_mean / (double)m->count;
    m->distances += from_mean * (value - m->mean);
}

static inline void float_retract(struct float_moments *m, double value)
{
    if (!isfinite(value)) {
        m->specials--;
        return;
    }
    if ((int64_t)--m->count <= 0) { /* nothing is left of what rounding did */
        m->mean = m->distances = 0;
        return;
    }
    const double from_mean = value - m->mean;
    m->mean -= from_mean / (double)m->count;
    m->distances -= from_mean * (value - m->mean);
    if (m->distances < 0 || m->count == 1)
        m->distances = 0;
}

static int add_float(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    EACH_VALUE(pass, agg, double, struct float_moments, in, acc, float_add(acc, in););
    return 0;
}

static int retract_float(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    EACH_VALUE(pass, agg, double, struct float_moments, in, acc, float_retract(acc, in););
    return 0;
}

static int combine_float(
    const struct leat__agg *agg, const struct leat__agg_memory *mem, void *into, const void *from)
{
    struct float_moments *to = into;
    const struct float_moments *other = from;
    (void)agg, (void)mem;
    to->specials += other->specials;
    if (other->count == 0)
        return 0;
    const double a = (double)to->count, b = (double)other->count, difference = other->mean - to->mean;
    to->mean += difference * (b / (a + b));
    to->distances += other->distances + difference * difference * (a / (a + b) * b);
    to->count += other->count;
    return 0;
}

/* ---- results ---- */

static int show_moments(const struct leat__agg *agg, const struct leat__agg_show *show, uint64_t count,
    double var_pop, double var_samp)
{
    const bool is_samp = agg->kind == LEAT_AGGREGATE_VAR_SAMP || agg->kind == LEAT_AGGREGATE_STDDEV_SAMP;
    const bool is_root = agg->kind == LEAT_AGGREGATE_STDDEV_POP || agg->kind == LEAT_AGGREGATE_STDDEV_SAMP;
    const double var = is_samp ? var_samp : var_pop;
    if (agg->nullable && (int64_t)count < (is_samp ? 2 : 1))
        leat__out_set_null(show->row, &agg->out);
    else
        leat__out_set_float(show->row, &agg->out, is_root ? sqrt(var) : var);
    return 0;
}

static int show_int(const struct leat__agg *agg, const void *accumulator, const struct leat__agg_show *show)
{
    const struct int_moments *m = accumulator;
    const long double spread = (int64_t)m->count > 0 ? int_spread(m) : 0, n = (long double)m->count;
    return show_moments(agg, show, m->count, m->count ? (double)(spread / (n * n)) : 0,
        m->count > 1 ? (double)(spread / (n * (n - 1))) : 0);
}

static int show_float(const struct leat__agg *agg, const void *accumulator, const struct leat__agg_show *show)
{
    const struct float_moments *m = accumulator;
    const uint64_t count = m->count + m->specials;
    const double n = (double)count;
    if (m->specials)
        return show_moments(agg, show, count, (double)NAN, (double)NAN);
    return show_moments(
        agg, show, count, count ? m->distances / n : 0, count > 1 ? m->distances / (n - 1) : 0);
}

static const struct leat__agg_class int_class = { .name = "moments int",
    .add = add_int,
    .retract = retract_int,
    .combine = combine_int,
    .subtract = subtract_int,
    .result = show_int };
static const struct leat__agg_class float_class = { .name = "moments float",
    .add = add_float,
    .retract = retract_float,
    .combine = combine_float,
    .result = show_float };

bool leat__agg_choose_moments(struct leat__agg *agg, const struct leat__aggregate_spec *spec)
{
    (void)spec;
    if (agg->of_class == LEAT_VALUE_INT)
        return leat__agg_set_family(agg, &int_class, sizeof(struct int_moments), LEAT__GIVES_DOUBLE);
    return agg->of_class == LEAT_VALUE_FLOAT &&
        leat__agg_set_family(agg, &float_class, sizeof(struct float_moments), LEAT__GIVES_DOUBLE);
}
