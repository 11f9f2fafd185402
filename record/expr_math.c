/* record/expr_math.c -- expressions: arithmetic.
 *
 * Integers are checked: a loop does all rows and remembers whether any overflowed; only then a second one
 * looks for a row that matters (expr_private.h). Loops are written once with the steps of the operands as
 * parameters and made three times: two registers, register and constant, anything. Division by a constant is
 * a multiplication with its inverse (Granlund and Montgomery 1994, figure 5.2). */
#include "record/expr_private.h"
#include <math.h>

__extension__ typedef __int128 wide_int;
__extension__ typedef unsigned __int128 wide_uint;

#define I64(p_) (*(const int64_t *)(const void *)(p_))
#define F64(p_) (*(const double *)(const void *)(p_))

/* `loop_(out, a, step, b, step, count)` with constant steps where they are usual. */
#define WITH_STEPS(loop_, f_, in_, type_) \
    const struct expr_vec *a = EXPR_ARG(f_, in_, 0), *b = EXPR_ARG(f_, in_, 1); \
    type_ *out = (type_ *)(void *)EXPR_DST(f_, in_)->data; \
    const uint32_t n = (f_)->count; \
    bool bad; \
    if (b->step == 0) \
        bad = a->step == 8 ? loop_(out, a->data, 8, b->data, 0, n) \
                           : loop_(out, a->data, a->step, b->data, 0, n); \
    else if (a->step == 8 && b->step == 8) \
        bad = loop_(out, a->data, 8, b->data, 8, n); \
    else \
        bad = loop_(out, a->data, a->step, b->data, b->step, n)

/* ---- integers ---- */

/* Each: whether the operation has no result. */
EXPR_INLINE bool add_one(int64_t x, int64_t y, int64_t *z)
{
    return __builtin_add_overflow(x, y, z);
}

EXPR_INLINE bool subtract_one(int64_t x, int64_t y, int64_t *z)
{
    return __builtin_sub_overflow(x, y, z);
}

EXPR_INLINE bool multiply_one(int64_t x, int64_t y, int64_t *z)
{
    return __builtin_mul_overflow(x, y, z);
}

EXPR_INLINE bool divide_one(int64_t x, int64_t y, int64_t *z)
{
    const bool bad = y == 0 || (y == -1 && x == INT64_MIN);
    *z = bad ? 0 : x / y;
    return bad;
}

EXPR_INLINE bool remainder_one(int64_t x, int64_t y, int64_t *z)
{
    *z = y == 0 || y == -1 ? 0 : x % y;
    return y == 0;
}

static int fail_integers(struct expr_frame *f, const struct expr_instr *in, const char *sign,
    bool (*one)(int64_t x, int64_t y, int64_t *z))
{
    const struct expr_vec *a = EXPR_ARG(f, in, 0), *b = EXPR_ARG(f, in, 1);
    for (uint32_t i = 0; i < f->count; i++) {
        const int64_t x = EXPR_AT(int64_t, a, i), y = EXPR_AT(int64_t, b, i);
        int64_t ignored;
        if (!one(x, y, &ignored) || !leat__expr_is_live(f, in, i))
            continue;
        if (y == 0 && (sign[0] == '/' || sign[0] == '%'))
            return leat__expr_row_fail(f, in, i, LEAT_EOVERFLOW,
                "division by zero; guard it: b != 0 and ..., or divide by nullif(b, 0)");
        return leat__expr_row_fail(f, in, i, LEAT_EOVERFLOW,
            "%lld %s %lld is beyond 64 bits; cast(... as double) of one side gives a float", (long long)x,
            sign, (long long)y);
    }
    return 0;
}

#define INTEGER_KERNEL(name_, sign_) \
    EXPR_INLINE bool name_##_loop(int64_t *restrict out, const unsigned char *restrict a, size_t a_step, \
        const unsigned char *restrict b, size_t b_step, uint32_t n) \
    { \
        bool bad = false; \
        for (uint32_t i = 0; i < n; i++) \
            bad |= name_##_one(I64(a + i * a_step), I64(b + i * b_step), &out[i]); \
        return bad; \
    } \
    static bool name_##_again(int64_t x, int64_t y, int64_t *z) \
    { \
        return name_##_one(x, y, z); \
    } \
    static int name_##_integers(struct expr_frame *f, const struct expr_instr *in) \
    { \
        WITH_STEPS(name_##_loop, f, in, int64_t); \
        return bad ? fail_integers(f, in, sign_, name_##_again) : 0; \
    }

INTEGER_KERNEL(add, "+")
INTEGER_KERNEL(subtract, "-")
INTEGER_KERNEL(multiply, "*")
INTEGER_KERNEL(divide, "/")
INTEGER_KERNEL(remainder, "%")

/* ---- by a constant ---- */

struct divisor {
    int64_t value;
    uint64_t inverse;
    uint32_t shift;
    int64_t sign; /* of the value: 0 or -1 */
};

const void *leat__expr_divisor_new(struct leat_arena *arena, int64_t divisor)
{
    struct divisor *d = leat__arena_alloc(arena, sizeof *d);
    if (!d)
        return NULL;
    const uint64_t magnitude = divisor < 0 ? 0 - (uint64_t)divisor : (uint64_t)divisor;
    uint32_t bits = 1; /* ceil(log2(magnitude)), at least 1 */
    while (bits < 63 && ((uint64_t)1 << bits) < magnitude)
        bits++;
    LEAT_ASSERT(divisor != 0 && divisor != -1);
    d->value = divisor;
    d->shift = bits - 1;
    d->inverse = (uint64_t)(((wide_uint)1 << (63 + bits)) / magnitude + 1);
    d->sign = divisor < 0 ? -1 : 0;
    return d;
}

EXPR_INLINE int64_t divide_by(int64_t x, const struct divisor *d)
{
    const int64_t high = (int64_t)(((wide_int)(int64_t)d->inverse * x) >> 64);
    const int64_t sum = (int64_t)((uint64_t)x + (uint64_t)high) >> d->shift;
    const int64_t quotient = (int64_t)((uint64_t)sum - (uint64_t)(x >> 63));
    return (int64_t)((uint64_t)(quotient ^ d->sign) - (uint64_t)d->sign);
}

static int divide_by_constant(struct expr_frame *f, const struct expr_instr *in)
{
    const struct expr_vec *a = EXPR_ARG(f, in, 0);
    const struct divisor d = *(const struct divisor *)in->extra;
    int64_t *restrict out = (int64_t *)(void *)EXPR_DST(f, in)->data;
    for (uint32_t i = 0; i < f->count; i++)
        out[i] = divide_by(EXPR_AT(int64_t, a, i), &d);
    return 0;
}

static int remainder_by_constant(struct expr_frame *f, const struct expr_instr *in)
{
    const struct expr_vec *a = EXPR_ARG(f, in, 0);
    const struct divisor d = *(const struct divisor *)in->extra;
    int64_t *restrict out = (int64_t *)(void *)EXPR_DST(f, in)->data;
    for (uint32_t i = 0; i < f->count; i++) {
        const int64_t x = EXPR_AT(int64_t, a, i);
        out[i] = (int64_t)((uint64_t)x - (uint64_t)divide_by(x, &d) * (uint64_t)d.value);
    }
    return 0;
}

struct expr_op leat__expr_op_divisor(enum expr_token_kind token)
{
    return (struct expr_op){ token == EXPR_SLASH ? divide_by_constant : remainder_by_constant, EXPR_STRICT };
}

/* ---- floats ---- */

#define FLOAT_KERNEL(name_, expression_) \
    EXPR_INLINE bool name_##_float_loop(double *restrict out, const unsigned char *restrict a, \
        size_t a_step, const unsigned char *restrict b, size_t b_step, uint32_t n) \
    { \
        for (uint32_t i = 0; i < n; i++) { \
            const double x = F64(a + i * a_step), y = F64(b + i * b_step); \
            out[i] = (expression_); \
        } \
        return false; \
    } \
    static int name_##_floats(struct expr_frame *f, const struct expr_instr *in) \
    { \
        WITH_STEPS(name_##_float_loop, f, in, double); \
        (void)bad; \
        return 0; \
    }

/* Half away from zero at `digits` behind the point. Where the factor has no meaning the value has no such
 * digits, or nothing but them. */
static double round_to(double x, double digits)
{
    const double factor = pow(10.0, fabs(digits));
    if (!isfinite(x) || digits > 300.0)
        return x;
    if (digits < 0.0)
        return digits < -308.0 ? 0.0 : round(x / factor) * factor;
    const double scaled = x * factor;
    return isfinite(scaled) && fabs(scaled) < 4503599627370496.0 ? round(scaled) / factor : x;
}

FLOAT_KERNEL(add, x + y)
FLOAT_KERNEL(subtract, x - y)
FLOAT_KERNEL(multiply, x *y)
FLOAT_KERNEL(divide, x / y)
FLOAT_KERNEL(remainder, fmod(x, y))
FLOAT_KERNEL(power, pow(x, y))
FLOAT_KERNEL(round_to, round_to(x, y))

struct expr_op leat__expr_op_arithmetic(enum expr_token_kind token, enum leat_value_class value_class)
{
    static const expr_kernel integers[] = { [EXPR_PLUS] = add_integers,
        [EXPR_MINUS] = subtract_integers,
        [EXPR_STAR] = multiply_integers,
        [EXPR_SLASH] = divide_integers,
        [EXPR_PERCENT] = remainder_integers };
    static const expr_kernel floats[] = { [EXPR_PLUS] = add_floats,
        [EXPR_MINUS] = subtract_floats,
        [EXPR_STAR] = multiply_floats,
        [EXPR_SLASH] = divide_floats,
        [EXPR_PERCENT] = remainder_floats };
    if (value_class == LEAT_VALUE_FLOAT)
        return (struct expr_op){ floats[token], EXPR_STRICT };
    return (struct expr_op){ integers[token], EXPR_STRICT | EXPR_GUARDED };
}

/* ---- of one value ---- */

#define UNARY_FLOAT_KERNEL(name_, expression_) \
    static int name_##_float(struct expr_frame *f, const struct expr_instr *in) \
    { \
        const struct expr_vec *a = EXPR_ARG(f, in, 0); \
        double *restrict out = (double *)(void *)EXPR_DST(f, in)->data; \
        for (uint32_t i = 0; i < f->count; i++) { \
            const double x = EXPR_AT(double, a, i); \
            out[i] = (expression_); \
        } \
        return 0; \
    }

UNARY_FLOAT_KERNEL(negate, -x)
UNARY_FLOAT_KERNEL(absolute, fabs(x))
UNARY_FLOAT_KERNEL(sign, x > 0.0 ? 1.0 : x < 0.0 ? -1.0 : x)
UNARY_FLOAT_KERNEL(round, round(x))
UNARY_FLOAT_KERNEL(floor, floor(x))
UNARY_FLOAT_KERNEL(ceil, ceil(x))
UNARY_FLOAT_KERNEL(sqrt, sqrt(x))
UNARY_FLOAT_KERNEL(ln, log(x))
UNARY_FLOAT_KERNEL(exp, exp(x))

/* -x and abs(x) have no result for the smallest integer alone. */
#define UNARY_INTEGER_KERNEL(name_, is_bad_, expression_, what_) \
    static int name_##_integer(struct expr_frame *f, const struct expr_instr *in) \
    { \
        const struct expr_vec *a = EXPR_ARG(f, in, 0); \
        int64_t *restrict out = (int64_t *)(void *)EXPR_DST(f, in)->data; \
        bool bad = false; \
        for (uint32_t i = 0; i < f->count; i++) { \
            const int64_t x = EXPR_AT(int64_t, a, i); \
            bad |= (is_bad_); \
            out[i] = (is_bad_) ? 0 : (expression_); \
        } \
        for (uint32_t i = 0; bad && i < f->count; i++) { \
            const int64_t x = EXPR_AT(int64_t, a, i); \
            if ((is_bad_) && leat__expr_is_live(f, in, i)) \
                return leat__expr_row_fail( \
                    f, in, i, LEAT_EOVERFLOW, "%s of %lld is beyond 64 bits", what_, (long long)x); \
        } \
        return 0; \
    }

UNARY_INTEGER_KERNEL(negate, x == INT64_MIN, -x, "the negative")
UNARY_INTEGER_KERNEL(absolute, x == INT64_MIN, x < 0 ? -x : x, "abs")
UNARY_INTEGER_KERNEL(sign, false, (x > 0) - (x < 0), "sign")
UNARY_INTEGER_KERNEL(same, false, x, "")

struct expr_op leat__expr_op_negate(enum leat_value_class value_class)
{
    if (value_class == LEAT_VALUE_FLOAT)
        return (struct expr_op){ negate_float, EXPR_STRICT };
    return (struct expr_op){ negate_integer, EXPR_STRICT | EXPR_GUARDED };
}

/* ---- least and greatest ---- */

/* NaN is behind all numbers, as in aggregates. */
EXPR_INLINE bool float_before(double x, double y)
{
    return x < y || (isnan(y) && !isnan(x));
}

#define EXTREME_KERNEL(name_, type_, first_wins_) \
    static int name_(struct expr_frame *f, const struct expr_instr *in) \
    { \
        const struct expr_vec *d = EXPR_DST(f, in); \
        type_ *out = (type_ *)(void *)d->data; \
        for (uint32_t i = 0; i < f->count; i++) { \
            if (leat__expr_null_at(d, i)) { \
                memset(&out[i], 0, sizeof out[i]); \
                continue; \
            } \
            type_ x = EXPR_AT(type_, EXPR_ARG(f, in, 0), i); \
            for (uint32_t k = 1; k < in->args_count; k++) { \
                const type_ y = EXPR_AT(type_, EXPR_ARG(f, in, k), i); \
                if (!(first_wins_)) \
                    x = y; \
            } \
            out[i] = x; \
        } \
        return 0; \
    }

EXTREME_KERNEL(least_integer, int64_t, x <= y)
EXTREME_KERNEL(least_float, double, !float_before(y, x))
EXTREME_KERNEL(least_string, struct leat_sv, leat_sv_cmp(x, y) <= 0)
EXTREME_KERNEL(greatest_integer, int64_t, x >= y)
EXTREME_KERNEL(greatest_float, double, !float_before(x, y))
EXTREME_KERNEL(greatest_string, struct leat_sv, leat_sv_cmp(x, y) >= 0)

static int type_extreme(struct expr_compiler *c, struct expr_node *node, const char *usage, bool is_least)
{
    enum leat_value_class value_class;
    struct expr_op op = { NULL, EXPR_STRICT };
    LEAT_TRY(leat__expr_want_args(c, node, usage, 1, EXPR_NONE));
    LEAT_TRY(leat__expr_unify(c, node->args, node->args_count, 1,
        is_least ? "the arguments of least" : "the arguments of greatest", &value_class));
    switch (value_class) {
    case LEAT_VALUE_NULL:
        leat__expr_set_literal(node, node->args[0]->value);
        return 0;
    case LEAT_VALUE_INT:
    case LEAT_VALUE_TIMESTAMP:
        op.run = is_least ? least_integer : greatest_integer;
        break;
    case LEAT_VALUE_FLOAT:
        op.run = is_least ? least_float : greatest_float;
        break;
    case LEAT_VALUE_STRING:
        op.run = is_least ? least_string : greatest_string;
        break;
    default:
        return leat__expr_fail(&c->source, node->args[0]->at, "%s: booleans have no order", usage);
    }
    return leat__expr_apply(c, node, op, value_class, NULL);
}

static int type_least(struct expr_compiler *c, struct expr_node *node)
{
    return type_extreme(c, node, "least(a, b, ...)", true);
}

static int type_greatest(struct expr_compiler *c, struct expr_node *node)
{
    return type_extreme(c, node, "greatest(a, b, ...)", false);
}

static int type_mod(struct expr_compiler *c, struct expr_node *node)
{
    LEAT_TRY(leat__expr_want_args(c, node, "mod(a, b)", 2, 2));
    for (uint32_t i = 0; i < 2; i++)
        if (node->args[i]->value_class != LEAT_VALUE_NULL)
            LEAT_TRY(leat__expr_want_arg(c, node, i, 'n', "mod(a, b)"));
    node->kind = EXPR_BINARY;
    node->token = EXPR_PERCENT;
    node->is_typed = false;
    return leat__expr_type_node(c, node);
}

static int type_round(struct expr_compiler *c, struct expr_node *node)
{
    static const char usage[] = "round(x[, digits])";
    LEAT_TRY(leat__expr_want_args(c, node, usage, 1, 2));
    LEAT_TRY(leat__expr_want_arg(c, node, 0, 'n', usage));
    if (node->args_count == 1) {
        const bool is_float = node->args[0]->value_class == LEAT_VALUE_FLOAT;
        const struct expr_op op = { is_float ? round_float : same_integer, EXPR_STRICT };
        return leat__expr_apply(c, node, op, node->args[0]->value_class, NULL);
    }
    const struct expr_op op = { round_to_floats, EXPR_STRICT };
    LEAT_TRY(leat__expr_want_arg(c, node, 1, 'i', usage));
    LEAT_TRY(leat__expr_coerce(c, &node->args[0], LEAT_VALUE_FLOAT));
    LEAT_TRY(leat__expr_coerce(c, &node->args[1], LEAT_VALUE_FLOAT));
    return leat__expr_apply(c, node, op, LEAT_VALUE_FLOAT, NULL);
}

#define STRICT_OP(kernel_) \
    { \
        kernel_, EXPR_STRICT \
    }

const struct expr_function leat__expr_functions_math[] = {
    { "abs", "abs(x)", "n", 1, 'n', { absolute_integer, EXPR_STRICT | EXPR_GUARDED },
        STRICT_OP(absolute_float), NULL },
    { "sign", "sign(x)", "n", 1, 'n', STRICT_OP(sign_integer), STRICT_OP(sign_float), NULL },
    { "floor", "floor(x)", "n", 1, 'n', STRICT_OP(same_integer), STRICT_OP(floor_float), NULL },
    { "ceil", "ceil(x)", "n", 1, 'n', STRICT_OP(same_integer), STRICT_OP(ceil_float), NULL },
    { "sqrt", "sqrt(x)", "f", 1, 'f', STRICT_OP(sqrt_float), { NULL, 0 }, NULL },
    { "ln", "ln(x)", "f", 1, 'f', STRICT_OP(ln_float), { NULL, 0 }, NULL },
    { "exp", "exp(x)", "f", 1, 'f', STRICT_OP(exp_float), { NULL, 0 }, NULL },
    { "power", "power(x, y)", "ff", 2, 'f', STRICT_OP(power_floats), { NULL, 0 }, NULL },
    { .name = "round", .type = type_round },
    { .name = "mod", .type = type_mod },
    { .name = "least", .type = type_least },
    { .name = "greatest", .type = type_greatest },
    { .name = NULL },
};
