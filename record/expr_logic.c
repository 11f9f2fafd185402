/* record/expr_logic.c -- expressions: three-valued logic, and the kernels that choose between values.
 *
 *            and true false null      or true false null      not
 *   true         t    f     n             t    t     t         f
 *   false        f    f     f             t    f     n         t
 *   null         n    f     n             t    n     n         n
 *
 * Booleans and null bytes are 0 or 1, so eight rows are worked on at a time as the bytes of a word: with
 * f(x) = !value & !null and t(x) = value & !null,  x and y is false if f(x) | f(y), true if t(x) & t(y), else
 * null. */
#include "record/expr_private.h"

#define ONES UINT64_C(0x0101010101010101)

/* Eight booleans from row i on. Registers are padded; what is behind the count is not stored. */
EXPR_INLINE uint64_t word_at(const unsigned char *data, size_t step, uint32_t i)
{
    uint64_t word;
    if (step == 0)
        return data[0] ? ONES : 0;
    memcpy(&word, data + i, sizeof word);
    return word;
}

EXPR_INLINE uint64_t nulls_at(const struct expr_vec *vec, uint32_t i)
{
    return vec->nulls ? word_at(vec->nulls, vec->nulls_step, i) : 0;
}

/* The result may be the batch's own column, which has no padding. */
EXPR_INLINE void put_word(unsigned char *data, uint32_t i, uint32_t count, uint64_t word)
{
    if (count - i >= sizeof word)
        memcpy(data + i, &word, sizeof word);
    else
        memcpy(data + i, &word, count - i);
}

/* Both operators are one: or is and with all three inverted. */
EXPR_INLINE int and_or(struct expr_frame *f, const struct expr_instr *in, uint64_t invert)
{
    const struct expr_vec *a = EXPR_ARG(f, in, 0), *b = EXPR_ARG(f, in, 1), *d = EXPR_DST(f, in);
    LEAT_ASSERT(a->step <= 1 && b->step <= 1);
    if (!d->nulls) {
        for (uint32_t i = 0; i < f->count; i += 8) {
            const uint64_t x = word_at(a->data, a->step, i) ^ invert,
                           y = word_at(b->data, b->step, i) ^ invert;
            put_word(d->data, i, f->count, (x & y) ^ invert);
        }
        return 0;
    }
    for (uint32_t i = 0; i < f->count; i += 8) {
        const uint64_t x = word_at(a->data, a->step, i) ^ invert, y = word_at(b->data, b->step, i) ^ invert;
        const uint64_t x_null = nulls_at(a, i), y_null = nulls_at(b, i);
        const uint64_t is_false = (ONES & ~x & ~x_null) | (ONES & ~y & ~y_null);
        const uint64_t is_true = (x & ~x_null) & (y & ~y_null);
        put_word(d->data, i, f->count, is_true ^ invert);
        put_word(d->nulls, i, f->count, ONES & ~(is_false | is_true));
    }
    return 0;
}

static int and_kernel(struct expr_frame *f, const struct expr_instr *in)
{
    return and_or(f, in, 0);
}

static int or_kernel(struct expr_frame *f, const struct expr_instr *in)
{
    return and_or(f, in, ONES);
}

static int not_kernel(struct expr_frame *f, const struct expr_instr *in)
{
    const struct expr_vec *a = EXPR_ARG(f, in, 0), *d = EXPR_DST(f, in);
    LEAT_ASSERT(a->step <= 1);
    for (uint32_t i = 0; i < f->count; i += 8)
        put_word(d->data, i, f->count, word_at(a->data, a->step, i) ^ ONES);
    return 0;
}

static int is_null_kernel(struct expr_frame *f, const struct expr_instr *in)
{
    const struct expr_vec *a = EXPR_ARG(f, in, 0), *d = EXPR_DST(f, in);
    for (uint32_t i = 0; i < f->count; i += 8)
        put_word(d->data, i, f->count, nulls_at(a, i));
    return 0;
}

const struct expr_op leat__expr_op_and = { and_kernel, 0 };
const struct expr_op leat__expr_op_or = { or_kernel, 0 };
const struct expr_op leat__expr_op_not = { not_kernel, EXPR_STRICT };
const struct expr_op leat__expr_op_is_null = { is_null_kernel, 0 };

/* ---- choosing, for values of one, eight and sixteen bytes ---- */

EXPR_INLINE bool is_true_at(const struct expr_vec *condition, uint32_t i)
{
    return condition->data[i * condition->step] && !leat__expr_null_at(condition, i);
}

#define CHOOSE_KERNELS(suffix_, type_) \
    static int copy_##suffix_(struct expr_frame *f, const struct expr_instr *in) \
    { \
        const struct expr_vec *a = EXPR_ARG(f, in, 0), *d = EXPR_DST(f, in); \
        type_ *restrict out = (type_ *)(void *)d->data; \
        for (uint32_t i = 0; i < f->count; i++) \
            out[i] = EXPR_AT(type_, a, i); \
        for (uint32_t i = 0; d->nulls && i < f->count; i++) \
            d->nulls[i] = leat__expr_null_at(a, i); \
        return 0; \
    } \
    static int select_##suffix_(struct expr_frame *f, const struct expr_instr *in) \
    { \
        const struct expr_vec *condition = EXPR_ARG(f, in, 0); \
        const struct expr_vec *a = EXPR_ARG(f, in, 1), *b = EXPR_ARG(f, in, 2), *d = EXPR_DST(f, in); \
        type_ *restrict out = (type_ *)(void *)d->data; \
        for (uint32_t i = 0; i < f->count; i++) { \
            const bool chosen = is_true_at(condition, i); \
            out[i] = chosen ? EXPR_AT(type_, a, i) : EXPR_AT(type_, b, i); \
            if (d->nulls) \
                d->nulls[i] = leat__expr_null_at(chosen ? a : b, i); \
        } \
        return 0; \
    } \
    static int coalesce_##suffix_(struct expr_frame *f, const struct expr_instr *in) \
    { \
        const struct expr_vec *a = EXPR_ARG(f, in, 0), *b = EXPR_ARG(f, in, 1), *d = EXPR_DST(f, in); \
        type_ *restrict out = (type_ *)(void *)d->data; \
        for (uint32_t i = 0; i < f->count; i++) { \
            const bool replaced = leat__expr_null_at(a, i); \
            out[i] = replaced ? EXPR_AT(type_, b, i) : EXPR_AT(type_, a, i); \
            if (d->nulls) \
                d->nulls[i] = replaced && leat__expr_null_at(b, i); \
        } \
        return 0; \
    } \
    static int nullif_##suffix_(struct expr_frame *f, const struct expr_instr *in) \
    { \
        const struct expr_vec *a = EXPR_ARG(f, in, 0), *condition = EXPR_ARG(f, in, 1), \
                              *d = EXPR_DST(f, in); \
        type_ *restrict out = (type_ *)(void *)d->data; \
        for (uint32_t i = 0; i < f->count; i++) { \
            out[i] = EXPR_AT(type_, a, i); \
            d->nulls[i] = leat__expr_null_at(a, i) || is_true_at(condition, i); \
        } \
        return 0; \
    }

CHOOSE_KERNELS(byte, uint8_t)
/* Of integers and floats alike. */
typedef uint64_t __attribute__((may_alias)) any_word;
CHOOSE_KERNELS(word, any_word)
CHOOSE_KERNELS(view, struct leat_sv)

#define BY_WIDTH(name_) (width == 1 ? name_##_byte : width == 8 ? name_##_word : name_##_view)

struct expr_op leat__expr_op_copy(uint32_t width)
{
    return (struct expr_op){ BY_WIDTH(copy), 0 };
}

struct expr_op leat__expr_op_select(uint32_t width)
{
    return (struct expr_op){ BY_WIDTH(select), 0 };
}

struct expr_op leat__expr_op_coalesce(uint32_t width)
{
    return (struct expr_op){ BY_WIDTH(coalesce), 0 };
}

struct expr_op leat__expr_op_nullif(uint32_t width)
{
    return (struct expr_op){ BY_WIDTH(nullif), EXPR_GIVES_NULL };
}
