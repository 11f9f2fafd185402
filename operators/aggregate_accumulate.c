/* operators/aggregate_accumulate.c -- adding rows to accumulators, column by column, and reading results out
 * of them.
 *
 * Zero bytes are an accumulator that has seen nothing, so that state can make them:
 *   count       u64
 *   sum, avg    of integers in 128 bits: the order of addition never matters, and what overflows 64 bits is
 * known exactly sum, avg    of doubles: Neumaier's sum and correction min, max    of numbers: mapped to u64
 * in their order (inverted for min), so that zero loses against all and one maximum serves four; NaN comes
 * last, -0.0 before 0.0 min, max    of strings: a view into memory of the namespace, written over where the
 * next string fits Nulls are skipped; a bit in the present word tells nothing seen from zero where an input
 * can be null. */
#include "operators/aggregate_private.h"
#include <math.h>

#define SIGN (UINT64_C(1) << 63)
#define NAN_CODE UINT64_MAX
#define TEXT_BYTES_MIN 16u

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

bool leat__agg_choose(struct leat__agg *agg, enum leat_aggregate_kind kind, enum leat_value_class value_class)
{
    const bool is_int = value_class == LEAT_VALUE_INT;
    const bool is_float = value_class == LEAT_VALUE_FLOAT;
    const bool is_max = kind == LEAT_AGGREGATE_MAX;
    switch (kind) {
    case LEAT_AGGREGATE_COUNT:
        agg->op = LEAT__COUNT_VALUES;
        agg->size = sizeof(uint64_t);
        return true;
    case LEAT_AGGREGATE_SUM:
        agg->op = is_int ? LEAT__SUM_INT : LEAT__SUM_FLOAT;
        agg->size = is_int ? sizeof(struct wide_sum) : sizeof(struct float_sum);
        return is_int || is_float;
    case LEAT_AGGREGATE_AVG:
        agg->op = is_int ? LEAT__AVG_INT : LEAT__AVG_FLOAT;
        agg->size = is_int ? sizeof(struct wide_avg) : sizeof(struct float_avg);
        return is_int || is_float;
    case LEAT_AGGREGATE_MIN:
    case LEAT_AGGREGATE_MAX:
        if (value_class == LEAT_VALUE_STRING) {
            agg->op = is_max ? LEAT__MAX_TEXT : LEAT__MIN_TEXT;
            agg->size = sizeof(struct leat__agg_text);
            return true;
        }
        agg->op = is_float ? (is_max ? LEAT__MAX_FLOAT : LEAT__MIN_FLOAT)
                           : (is_max ? LEAT__MAX_INT : LEAT__MIN_INT);
        agg->size = sizeof(uint64_t);
        return is_int || is_float || value_class == LEAT_VALUE_TIMESTAMP;
    default:
        return false;
    }
}

/* ---- adding ---- */

/* For each row of the pass that has a value: `acc_` is its accumulator, `in_` its value. */
#define EACH_VALUE(pass_, agg_, value_type_, acc_type_, in_, acc_, ...) \
    do { \
        const struct leat__column_view view_ = (pass_)->views[(agg_)->column]; \
        const uint32_t offset_ = (agg_)->offset; \
        const uint64_t bit_ = (agg_)->present_bit; \
        for (uint32_t i_ = 0; i_ < (pass_)->count; i_++) { \
            const uint32_t row_ = (pass_)->rows[i_]; \
            if (view_.nulls && view_.nulls[row_]) \
                continue; \
            value_type_ in_; \
            memcpy(&in_, view_.base + row_ * view_.stride, sizeof in_); \
            unsigned char *value_ = (pass_)->values[i_]; \
            if (bit_) \
                *(uint64_t *)(void *)value_ |= bit_; \
            acc_type_ *acc_ = (acc_type_ *)(void *)(value_ + offset_); \
            __VA_ARGS__ \
        } \
    } while (0)

static inline void wide_add(struct wide_sum *sum, int64_t value)
{
    const uwide total = (((uwide)sum->high << 64) | sum->low) + (uwide)(wide)value;
    sum->low = (uint64_t)total;
    sum->high = (uint64_t)(total >> 64);
}

/* The correction gathers what the additions lose. It is void once the sum is not finite, and then not used.
 */
static inline void float_add(struct float_sum *sum, double value)
{
    const double total = sum->sum + value;
    if (fabs(sum->sum) >= fabs(value))
        sum->correction += (sum->sum - total) + value;
    else
        sum->correction += (value - total) + sum->sum;
    sum->sum = total;
}

static inline uint64_t int_code(int64_t value)
{
    return (uint64_t)value ^ SIGN;
}

static inline uint64_t float_code(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (value != value)
        return NAN_CODE;
    return bits & SIGN ? ~bits : bits ^ SIGN;
}

static double float_of_code(uint64_t code)
{
    const uint64_t bits = code & SIGN ? code ^ SIGN : ~code;
    double value;
    memcpy(&value, &bits, sizeof value);
    return code == NAN_CODE ? (double)NAN : value;
}

static inline void keep_larger(uint64_t *largest, uint64_t code)
{
    if (code > *largest)
        *largest = code;
}

static void add_count_all(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    for (uint32_t i = 0; i < pass->count; i++)
        ++*(uint64_t *)(void *)(pass->values[i] + agg->offset);
}

static void add_count_values(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    const uint8_t *nulls = pass->views[agg->column].nulls;
    for (uint32_t i = 0; i < pass->count; i++)
        *(uint64_t *)(void *)(pass->values[i] + agg->offset) += !(nulls && nulls[pass->rows[i]]);
}

static void add_sum_int(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    EACH_VALUE(pass, agg, int64_t, struct wide_sum, in, acc, wide_add(acc, in););
}

static void add_sum_float(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    EACH_VALUE(pass, agg, double, struct float_sum, in, acc, float_add(acc, in););
}

static void add_avg_int(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    EACH_VALUE(pass, agg, int64_t, struct wide_avg, in, acc, wide_add(&acc->sum, in); acc->count++;);
}

static void add_avg_float(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    EACH_VALUE(pass, agg, double, struct float_avg, in, acc, float_add(&acc->sum, in); acc->count++;);
}

static void add_min_int(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    EACH_VALUE(pass, agg, int64_t, uint64_t, in, acc, keep_larger(acc, ~int_code(in)););
}

static void add_max_int(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    EACH_VALUE(pass, agg, int64_t, uint64_t, in, acc, keep_larger(acc, int_code(in)););
}

static void add_min_float(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    EACH_VALUE(pass, agg, double, uint64_t, in, acc, keep_larger(acc, ~float_code(in)););
}

static void add_max_float(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    EACH_VALUE(pass, agg, double, uint64_t, in, acc, keep_larger(acc, float_code(in)););
}

bool leat__agg_keep_text(
    struct leat_table *table, int64_t ns, struct leat__agg_text *text, struct leat_sv string)
{
    if (string.len >= UINT32_MAX / 2)
        return false; /* beyond LEAT_RECORD_BYTES_MAX by far */
    if (string.len > text->capacity || !text->data) {
        uint32_t capacity = TEXT_BYTES_MIN;
        while (capacity < string.len)
            capacity *= 2;
        char *data = leat__table_bytes(table, ns, capacity);
        if (!data)
            return false;
        text->data = data;
        text->capacity = capacity;
    }
    if (string.len)
        memcpy(text->data, string.data, string.len);
    text->len_plus_1 = (uint32_t)string.len + 1;
    return true;
}

static bool replaces(enum leat__agg_op op, const struct leat__agg_text *text, struct leat_sv string)
{
    if (!text->len_plus_1)
        return true;
    const int order = leat_sv_cmp(string, (struct leat_sv){ text->data, text->len_plus_1 - 1 });
    return op == LEAT__MAX_TEXT ? order > 0 : order < 0;
}

static int add_text(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    const struct leat__column_view view = pass->views[agg->column];
    for (uint32_t i = 0; i < pass->count; i++) {
        const uint32_t row = pass->rows[i];
        if (view.nulls && view.nulls[row])
            continue;
        struct leat_sv string;
        memcpy(&string, view.base + row * view.stride, sizeof string);
        *(uint64_t *)(void *)pass->values[i] |= agg->present_bit;
        struct leat__agg_text *text = (struct leat__agg_text *)(void *)(pass->values[i] + agg->offset);
        if (replaces(agg->op, text, string) && !leat__agg_keep_text(pass->table, pass->ns, text, string))
            return leat__fail(pass->ctx, LEAT_ESTATE,
                "no memory for the strings of aggs[%u] \"%s\" within the budget of the state: raise "
                "state_budget_bytes"
                " of the job, or use more workers or shorter windows",
                agg->index, agg->as);
    }
    return 0;
}

int leat__agg_add(const struct leat__agg_pass *pass)
{
    static void (*const adders[])(const struct leat__agg_pass *, const struct leat__agg *) = {
        [LEAT__COUNT_ALL] = add_count_all,
        [LEAT__COUNT_VALUES] = add_count_values,
        [LEAT__SUM_INT] = add_sum_int,
        [LEAT__SUM_FLOAT] = add_sum_float,
        [LEAT__AVG_INT] = add_avg_int,
        [LEAT__AVG_FLOAT] = add_avg_float,
        [LEAT__MIN_INT] = add_min_int,
        [LEAT__MAX_INT] = add_max_int,
        [LEAT__MIN_FLOAT] = add_min_float,
        [LEAT__MAX_FLOAT] = add_max_float,
    };
    for (uint32_t a = 0; a < pass->spec->aggs_count; a++) {
        const struct leat__agg *agg = &pass->spec->aggs[a];
        if (agg->op == LEAT__MIN_TEXT || agg->op == LEAT__MAX_TEXT)
            LEAT_TRY(add_text(pass, agg));
        else if (agg->op != LEAT__USER)
            adders[agg->op](pass, agg);
    }
    return 0;
}

void leat__agg_add_users(const struct leat__agg_pass *pass)
{
    for (uint32_t a = 0; a < pass->spec->aggs_count; a++) {
        const struct leat__agg *agg = &pass->spec->aggs[a];
        if (agg->op != LEAT__USER)
            continue;
        for (uint32_t i = 0; i < pass->count; i++)
            pass->pointers[i] = pass->values[i] + agg->offset;
        agg->fn->accumulate(&pass->ctx->user, pass->batch, pass->rows, pass->count, pass->pointers);
    }
}

void leat__agg_reset(const struct leat__aggregate_spec *spec, unsigned char *values)
{
    if (!spec->has_text) {
        memset(values, 0, spec->values_size);
        return;
    }
    if (spec->aggs_count && spec->aggs[0].offset)
        memset(values, 0, spec->aggs[0].offset); /* the present word */
    for (uint32_t a = 0; a < spec->aggs_count; a++) {
        const struct leat__agg *agg = &spec->aggs[a];
        if (agg->op == LEAT__MIN_TEXT || agg->op == LEAT__MAX_TEXT)
            ((struct leat__agg_text *)(void *)(values + agg->offset))->len_plus_1 = 0;
        else
            memset(values + agg->offset, 0, agg->size);
    }
}

/* ---- combining ---- */

static void wide_combine(struct wide_sum *into, const struct wide_sum *from)
{
    const uwide total = (((uwide)into->high << 64) | into->low) + (((uwide)from->high << 64) | from->low);
    into->low = (uint64_t)total;
    into->high = (uint64_t)(total >> 64);
}

static void float_combine(struct float_sum *into, const struct float_sum *from)
{
    float_add(into, from->sum);
    into->correction += from->correction;
}

void leat__agg_combine(const struct leat__agg *agg, void *into, const void *from)
{
    switch (agg->op) {
    case LEAT__COUNT_ALL:
    case LEAT__COUNT_VALUES:
        *(uint64_t *)into += *(const uint64_t *)from;
        break;
    case LEAT__SUM_INT:
        wide_combine(into, from);
        break;
    case LEAT__SUM_FLOAT:
        float_combine(into, from);
        break;
    case LEAT__AVG_INT:
        wide_combine(&((struct wide_avg *)into)->sum, &((const struct wide_avg *)from)->sum);
        ((struct wide_avg *)into)->count += ((const struct wide_avg *)from)->count;
        break;
    case LEAT__AVG_FLOAT:
        float_combine(&((struct float_avg *)into)->sum, &((const struct float_avg *)from)->sum);
        ((struct float_avg *)into)->count += ((const struct float_avg *)from)->count;
        break;
    case LEAT__MIN_INT:
    case LEAT__MAX_INT:
    case LEAT__MIN_FLOAT:
    case LEAT__MAX_FLOAT:
        keep_larger(into, *(const uint64_t *)from);
        break;
    case LEAT__MIN_TEXT:
    case LEAT__MAX_TEXT:
    case LEAT__USER:
        LEAT_ASSERT(false); /* aggregate_codec.c */
        break;
    }
}

/* ---- results ---- */

static wide wide_of(const struct wide_sum *sum)
{
    return (wide)(((uwide)sum->high << 64) | sum->low);
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

static double float_total(const struct float_sum *sum)
{
    return isfinite(sum->sum) ? sum->sum + sum->correction : sum->sum;
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

int leat__agg_result(const struct leat__aggregate_spec *spec, const struct leat__agg *agg,
    const unsigned char *values, struct leat_batch *out, void *row)
{
    const void *at = values + agg->offset;
    uint64_t code;
    memcpy(&code, at, sizeof code);
    if (agg->present_bit && !(*(const uint64_t *)(const void *)values & agg->present_bit)) {
        leat__out_set_null(row, &agg->out);
        return 0;
    }
    switch (agg->op) {
    case LEAT__COUNT_ALL:
    case LEAT__COUNT_VALUES:
        leat__out_set_int(row, &agg->out, (int64_t)code);
        break;
    case LEAT__SUM_INT: {
        int64_t value;
        LEAT_TRY(narrow(wide_of(at), spec->on_overflow, &value));
        leat__out_set_int(row, &agg->out, value);
        break;
    }
    case LEAT__SUM_FLOAT:
        leat__out_set_float(row, &agg->out, float_total(at));
        break;
    case LEAT__AVG_INT: {
        const struct wide_avg *avg = at;
        leat__out_set_float(row, &agg->out, divide(wide_of(&avg->sum), avg->count));
        break;
    }
    case LEAT__AVG_FLOAT: {
        const struct float_avg *avg = at;
        leat__out_set_float(row, &agg->out, float_total(&avg->sum) / (double)avg->count);
        break;
    }
    case LEAT__MIN_INT:
        leat__out_set_int(row, &agg->out, (int64_t)(~code ^ SIGN));
        break;
    case LEAT__MAX_INT:
        leat__out_set_int(row, &agg->out, (int64_t)(code ^ SIGN));
        break;
    case LEAT__MIN_FLOAT:
        leat__out_set_float(row, &agg->out, float_of_code(~code));
        break;
    case LEAT__MAX_FLOAT:
        leat__out_set_float(row, &agg->out, float_of_code(code));
        break;
    case LEAT__MIN_TEXT:
    case LEAT__MAX_TEXT: {
        const struct leat__agg_text *text = at;
        const struct leat_sv string = { text->data, text->len_plus_1 ? text->len_plus_1 - 1 : 0 };
        return leat__out_set_bytes(out, row, &agg->out, string) ? 0 : LEAT_ENOMEM;
    }
    case LEAT__USER:
        break;
    }
    return 0;
}
