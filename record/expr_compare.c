/* record/expr_compare.c -- expressions: comparisons. The loops that filters live on: one kernel for each
 * operator and class, each made for "column with constant", "register with constant", "two registers" and the
 * rest. Floats compare as IEEE says (NaN equals nothing), strings bytewise. */
#include "record/expr_private.h"

#define COMPARE_LOOP(name_, type_, expression_) \
    EXPR_INLINE void name_##_loop(uint8_t *restrict out, const unsigned char *restrict a, size_t a_step, \
        const unsigned char *restrict b, size_t b_step, uint32_t n) \
    { \
        for (uint32_t i = 0; i < n; i++) { \
            const type_ x = *(const type_ *)(const void *)(a + i * a_step); \
            const type_ y = *(const type_ *)(const void *)(b + i * b_step); \
            out[i] = (expression_); \
        } \
    } \
    static int name_(struct expr_frame *f, const struct expr_instr *in) \
    { \
        const struct expr_vec *a = EXPR_ARG(f, in, 0), *b = EXPR_ARG(f, in, 1); \
        uint8_t *out = EXPR_DST(f, in)->data; \
        if (b->step == 0 && a->step == sizeof(type_)) \
            name_##_loop(out, a->data, sizeof(type_), b->data, 0, f->count); \
        else if (b->step == 0) \
            name_##_loop(out, a->data, a->step, b->data, 0, f->count); \
        else if (a->step == sizeof(type_) && b->step == sizeof(type_)) \
            name_##_loop(out, a->data, sizeof(type_), b->data, sizeof(type_), f->count); \
        else \
            name_##_loop(out, a->data, a->step, b->data, b->step, f->count); \
        return 0; \
    }

COMPARE_LOOP(eq_integer, int64_t, x == y)
COMPARE_LOOP(ne_integer, int64_t, x != y)
COMPARE_LOOP(lt_integer, int64_t, x < y)
COMPARE_LOOP(le_integer, int64_t, x <= y)
COMPARE_LOOP(gt_integer, int64_t, x > y)
COMPARE_LOOP(ge_integer, int64_t, x >= y)
COMPARE_LOOP(eq_float, double, x == y)
COMPARE_LOOP(ne_float, double, x != y)
COMPARE_LOOP(lt_float, double, x < y)
COMPARE_LOOP(le_float, double, x <= y)
COMPARE_LOOP(gt_float, double, x > y)
COMPARE_LOOP(ge_float, double, x >= y)
COMPARE_LOOP(eq_bool, uint8_t, x == y)
COMPARE_LOOP(ne_bool, uint8_t, x != y)

/* Rows that are null are not looked at: what the view of a null string shows is anything. */
#define COMPARE_STRINGS(name_, expression_) \
    static int name_(struct expr_frame *f, const struct expr_instr *in) \
    { \
        const struct expr_vec *a = EXPR_ARG(f, in, 0), *b = EXPR_ARG(f, in, 1), *d = EXPR_DST(f, in); \
        uint8_t *restrict out = d->data; \
        for (uint32_t i = 0; i < f->count; i++) { \
            out[i] = 0; \
            if (leat__expr_null_at(d, i)) \
                continue; \
            const struct leat_sv x = EXPR_AT(struct leat_sv, a, i), y = EXPR_AT(struct leat_sv, b, i); \
            out[i] = (expression_); \
        } \
        return 0; \
    }

COMPARE_STRINGS(eq_string, leat_sv_eq(x, y))
COMPARE_STRINGS(ne_string, !leat_sv_eq(x, y))
COMPARE_STRINGS(lt_string, leat_sv_cmp(x, y) < 0)
COMPARE_STRINGS(le_string, leat_sv_cmp(x, y) <= 0)
COMPARE_STRINGS(gt_string, leat_sv_cmp(x, y) > 0)
COMPARE_STRINGS(ge_string, leat_sv_cmp(x, y) >= 0)

#define BY_TOKEN(type_) \
    { \
        [EXPR_EQ] = eq_##type_, [EXPR_NE] = ne_##type_, [EXPR_LT] = lt_##type_, [EXPR_LE] = le_##type_, \
        [EXPR_GT] = gt_##type_, [EXPR_GE] = ge_##type_ \
    }

struct expr_op leat__expr_op_compare(enum expr_token_kind token, enum leat_value_class value_class)
{
    static const expr_kernel integers[] = BY_TOKEN(integer), floats[] = BY_TOKEN(float),
                             strings[] = BY_TOKEN(string);
    static const expr_kernel booleans[EXPR_GE + 1] = { [EXPR_EQ] = eq_bool, [EXPR_NE] = ne_bool };
    const expr_kernel *rows = value_class == LEAT_VALUE_FLOAT ? floats
        : value_class == LEAT_VALUE_STRING                    ? strings
        : value_class == LEAT_VALUE_BOOL                      ? booleans
                                                              : integers;
    return (struct expr_op){ rows[token], EXPR_STRICT };
}
