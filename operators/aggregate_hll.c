/* operators/aggregate_hll.c -- approximate count distinct: HyperLogLog (Flajolet and others, 2007) with the
 * sparse form of HyperLogLog++ (Heule and others, 2013) and Ertl's estimator (2017), which needs no tables of
 * bias. 2^p registers have a standard error of 1.04 / 2^(p/2).
 *
 *   sparse   u32 each, rising: the first 25 bits of the hash, then 6 bits: 1 + zeros that follow them. Of one
 *            prefix only the most zeros. Counted linearly, as of 2^25 registers: nearly exact
 *   dense    a byte for each register
 *
 * The form depends on the set alone: dense iff it would have more than 2^p / 8 sparse entries. So the result
 * depends neither on order nor on grouping. */
#include "base/hash.h"
#include "operators/aggregate_class_private.h"

#define PRECISION_MIN 4u
#define PRECISION_MAX 18u
#define SPARSE_BITS 25u
#define RANK_BITS 6u

struct sketch {
    struct leat__agg_blob data;
};

static uint32_t precision_for(double error)
{
    uint32_t p = PRECISION_MIN;
    while (p < PRECISION_MAX && 1.04 / sqrt((double)(1u << p)) > error)
        p++;
    return p;
}

static bool is_dense(const struct sketch *sketch, uint32_t p)
{
    return leat__blob_len(&sketch->data) == 1u << p; /* sparse ones stay below: 4 bytes of each eighth */
}

static uint64_t hash_of(const struct leat__agg *agg, struct leat__value value)
{
    if (agg->of_class == LEAT_VALUE_STRING)
        return leat__hash(value.text.data, value.text.len);
    if (agg->of_class == LEAT_VALUE_FLOAT && value.code == LEAT__SIGN - 1)
        value.code = LEAT__SIGN; /* -0.0 is 0.0 */
    return leat__hash(&value.code, sizeof value.code);
}

static uint32_t sparse_code(uint64_t hash)
{
    const uint64_t rest = hash << SPARSE_BITS;
    const uint32_t rank = rest ? (uint32_t)__builtin_clzll(rest) + 1 : 64 - SPARSE_BITS + 1;
    return (uint32_t)(hash >> (64 - SPARSE_BITS)) << RANK_BITS | rank;
}

/* ---- dense ---- */

static inline void keep_rank(uint8_t *registers, uint32_t at, uint32_t rank)
{
    if (rank > registers[at])
        registers[at] = (uint8_t)rank;
}

/* A sparse entry to its register: the bits between p and 25 come before the zeros that were counted. */
static void put_dense(uint8_t *registers, uint32_t p, uint32_t code)
{
    const uint32_t prefix = code >> RANK_BITS, rank = code & ((1u << RANK_BITS) - 1);
    const uint32_t between = prefix & ((1u << (SPARSE_BITS - p)) - 1);
    const uint32_t zeros =
        between ? (uint32_t)__builtin_clz(between) - (32 - (SPARSE_BITS - p)) : SPARSE_BITS - p + rank - 1;
    keep_rank(registers, prefix >> (SPARSE_BITS - p), zeros + 1);
}

static int make_dense(const struct leat__agg_memory *mem, struct sketch *sketch, uint32_t p)
{
    const uint32_t *codes = (const uint32_t *)(const void *)sketch->data.data;
    const uint32_t count = leat__blob_len(&sketch->data) / (uint32_t)sizeof *codes;
    struct sketch dense = { { NULL, 0, 0 } };
    LEAT_TRY(leat__blob_reserve(mem, &dense.data, (size_t)1 << p));
    memset(dense.data.data, 0, (size_t)1 << p);
    dense.data.len_plus_1 = (1u << p) + 1;
    for (uint32_t i = 0; i < count; i++)
        put_dense((uint8_t *)dense.data.data, p, codes[i]);
    leat__blob_forget(mem, &sketch->data);
    *sketch = dense;
    return 0;
}

/* ---- sparse ---- */

/* The first entry that is not below the prefix. */
static uint32_t find(const uint32_t *codes, uint32_t count, uint32_t prefix)
{
    uint32_t low = 0;
    while (low < count) {
        const uint32_t middle = low + (count - low) / 2;
        if (codes[middle] >> RANK_BITS < prefix)
            low = middle + 1;
        else
            count = middle;
    }
    return low;
}

static int put_sparse(const struct leat__agg_memory *mem, struct sketch *sketch, uint32_t p, uint32_t code)
{
    const uint32_t count = leat__blob_len(&sketch->data) / (uint32_t)sizeof code;
    uint32_t *codes = (uint32_t *)(void *)sketch->data.data;
    const uint32_t at = find(codes, count, code >> RANK_BITS);
    if (at < count && codes[at] >> RANK_BITS == code >> RANK_BITS) {
        if (code > codes[at])
            codes[at] = code;
        return 0;
    }
    if (count >= (1u << p) / 8) {
        LEAT_TRY(make_dense(mem, sketch, p));
        put_dense((uint8_t *)sketch->data.data, p, code);
        return 0;
    }
    LEAT_TRY(leat__blob_reserve(mem, &sketch->data, (count + 1) * sizeof code));
    codes = (uint32_t *)(void *)sketch->data.data;
    memmove(codes + at + 1, codes + at, (count - at) * sizeof code);
    codes[at] = code;
    sketch->data.len_plus_1 = (count + 1) * (uint32_t)sizeof code + 1;
    return 0;
}

static int put(const struct leat__agg_memory *mem, struct sketch *sketch, uint32_t p, uint32_t code)
{
    if (!is_dense(sketch, p))
        return put_sparse(mem, sketch, p, code);
    put_dense((uint8_t *)sketch->data.data, p, code);
    return 0;
}

static int add_hll(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    const uint32_t p = agg->precision;
    EACH_ANY(pass, agg, struct sketch, in, acc, code,
             code = put(&pass->mem, acc, p, sparse_code(hash_of(agg, in))););
    return 0;
}

static int combine_hll(
    const struct leat__agg *agg, const struct leat__agg_memory *mem, void *into, const void *from)
{
    const struct sketch *other = from;
    struct sketch *to = into;
    const uint32_t p = agg->precision;
    if (!is_dense(other, p)) {
        const uint32_t *codes = (const uint32_t *)(const void *)other->data.data;
        const uint32_t count = leat__blob_len(&other->data) / (uint32_t)sizeof *codes;
        for (uint32_t i = 0; i < count; i++)
            LEAT_TRY(put(mem, to, p, codes[i]));
        return 0;
    }
    if (!is_dense(to, p))
        LEAT_TRY(make_dense(mem, to, p));
    for (uint32_t i = 0; i < 1u << p; i++)
        keep_rank((uint8_t *)to->data.data, i, (uint8_t)other->data.data[i]);
    return 0;
}

/* ---- estimating ---- */

/* Ertl, "New cardinality estimation algorithms for HyperLogLog sketches", algorithm 6. */
static double sigma(double x)
{
    double y = 1, z = x, before;
    if (x == 1)
        return (double)INFINITY;
    do {
        x *= x;
        before = z;
        z += x * y;
        y += y;
    } while (z != before);
    return z;
}

static double tau(double x)
{
    if (x == 0 || x == 1)
        return 0;
    double y = 1, z = 1 - x, before;
    do {
        x = sqrt(x);
        before = z;
        y *= 0.5;
        z -= (1 - x) * (1 - x) * y;
    } while (z != before);
    return z / 3;
}

static double estimate_dense(const struct sketch *sketch, uint32_t p)
{
    uint32_t counts[66] = { 0 };
    const uint32_t q = 64 - p;
    const double m = (double)(1u << p);
    for (uint32_t i = 0; i < 1u << p; i++)
        counts[(uint8_t)sketch->data.data[i]]++;
    double z = m * tau(1 - (double)counts[q + 1] / m);
    for (uint32_t k = q; k > 0; k--)
        z = 0.5 * (z + (double)counts[k]);
    z += m * sigma((double)counts[0] / m);
    return m * m / (2 * log(2.0) * z);
}

static double estimate(const struct sketch *sketch, uint32_t p)
{
    if (is_dense(sketch, p))
        return estimate_dense(sketch, p);
    const double m = (double)(1u << SPARSE_BITS);
    const double taken = (double)(leat__blob_len(&sketch->data) / sizeof(uint32_t));
    return m * log(m / (m - taken));
}

static int show_hll(const struct leat__agg *agg, const void *accumulator, const struct leat__agg_show *show)
{
    leat__out_set_int(show->row, &agg->out, (int64_t)llround(estimate(accumulator, agg->precision)));
    return 0;
}

static bool check_hll(const struct leat__agg *agg, const void *accumulator)
{
    const struct sketch *sketch = accumulator;
    const uint32_t p = agg->precision, len = leat__blob_len(&sketch->data);
    if (is_dense(sketch, p)) {
        for (uint32_t i = 0; i < len; i++)
            if ((uint8_t)sketch->data.data[i] > 64 - p + 1)
                return false;
        return true;
    }
    const uint32_t *codes = (const uint32_t *)(const void *)sketch->data.data;
    if (len % sizeof *codes || len / sizeof *codes > (1u << p) / 8)
        return false;
    for (uint32_t i = 0; i < len / sizeof *codes; i++) {
        const uint32_t rank = codes[i] & ((1u << RANK_BITS) - 1);
        if (rank == 0 || rank > 64 - SPARSE_BITS + 1 || codes[i] >> RANK_BITS >> SPARSE_BITS ||
            (i && codes[i - 1] >> RANK_BITS >= codes[i] >> RANK_BITS))
            return false;
    }
    return true;
}

static const struct leat__agg_class hll_class = { .name = "hyperloglog",
    .add = add_hll,
    .combine = combine_hll,
    .result = show_hll,
    .check = check_hll,
    .blobs_count = 1,
    .is_of_class = true };

bool leat__agg_choose_hll(struct leat__agg *agg, const struct leat__aggregate_spec *spec)
{
    (void)spec;
    agg->precision = precision_for(agg->error);
    return leat__agg_set_family(agg, &hll_class, sizeof(struct sketch), LEAT__GIVES_LONG) &&
        agg->of_class != LEAT_VALUE_NULL;
}
