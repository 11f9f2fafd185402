/* record/expr_cast.c -- expressions: cast(x as ...).
 *
 *   to       from
 *   int      integer in 32 bits; float cut toward zero; string of digits; boolean 1 or 0
 *   long     the same in 64 bits
 *   double   integer, string, (decimals: expr_path.c)
 *   string   all: digits that read back the same, true or false, RFC 3339
 *   boolean  integer (not 0), string (true or false in any case)
 *   timestamp  string (RFC 3339, or a date alone)
 *
 * What does not fit is LEAT_EDATA with the value. */
#include "record/expr_private.h"
#include "record/expr_time_private.h"
#include "record/number_text.h"
#include "record/time_text.h"
#include <math.h>

#define SHOWN_BYTES_MAX 48u

static int fail_text(
    struct expr_frame *f, const struct expr_instr *in, uint32_t i, struct leat_sv text, const char *what)
{
    const bool cut = text.len > SHOWN_BYTES_MAX;
    return leat__expr_row_fail(f, in, i, LEAT_EDATA, "'%.*s%s' is not %s",
        (int)(cut ? SHOWN_BYTES_MAX : text.len), text.data ? text.data : "", cut ? "..." : "", what);
}

static int integer_to_float(struct expr_frame *f, const struct expr_instr *in)
{
    const struct expr_vec *a = EXPR_ARG(f, in, 0);
    double *restrict out = (double *)(void *)EXPR_DST(f, in)->data;
    for (uint32_t i = 0; i < f->count; i++)
        out[i] = (double)EXPR_AT(int64_t, a, i);
    return 0;
}

static int integer_to_int32(struct expr_frame *f, const struct expr_instr *in)
{
    const struct expr_vec *a = EXPR_ARG(f, in, 0);
    int64_t *out = (int64_t *)(void *)EXPR_DST(f, in)->data;
    EXPR_EACH_LIVE(f, in, i, out, 0)
    {
        out[i] = EXPR_AT(int64_t, a, i);
        if (out[i] != (int32_t)out[i])
            return leat__expr_row_fail(
                f, in, i, LEAT_EDATA, "%lld is beyond an int; cast to long", (long long)out[i]);
    }
    return 0;
}

static int float_to(
    struct expr_frame *f, const struct expr_instr *in, double low, double high, const char *what)
{
    const struct expr_vec *a = EXPR_ARG(f, in, 0);
    int64_t *out = (int64_t *)(void *)EXPR_DST(f, in)->data;
    EXPR_EACH_LIVE(f, in, i, out, 0)
    {
        const double x = EXPR_AT(double, a, i);
        if (!(x > low && x < high))
            return leat__expr_row_fail(f, in, i, LEAT_EDATA, "%g is beyond %s", x, what);
        out[i] = (int64_t)x;
    }
    return 0;
}

static int float_to_long(struct expr_frame *f, const struct expr_instr *in)
{
    return float_to(f, in, -9223372036854777856.0, 9223372036854775808.0, "a long");
}

static int float_to_int32(struct expr_frame *f, const struct expr_instr *in)
{
    return float_to(f, in, -2147483649.0, 2147483648.0, "an int");
}

static int bool_to_integer(struct expr_frame *f, const struct expr_instr *in)
{
    const struct expr_vec *a = EXPR_ARG(f, in, 0);
    int64_t *out = (int64_t *)(void *)EXPR_DST(f, in)->data;
    for (uint32_t i = 0; i < f->count; i++)
        out[i] = EXPR_AT(uint8_t, a, i);
    return 0;
}

static int integer_to_bool(struct expr_frame *f, const struct expr_instr *in)
{
    const struct expr_vec *a = EXPR_ARG(f, in, 0);
    uint8_t *restrict out = EXPR_DST(f, in)->data;
    for (uint32_t i = 0; i < f->count; i++)
        out[i] = EXPR_AT(int64_t, a, i) != 0;
    return 0;
}

static int string_to_integer(struct expr_frame *f, const struct expr_instr *in, bool to_int32)
{
    const struct expr_vec *a = EXPR_ARG(f, in, 0);
    int64_t *out = (int64_t *)(void *)EXPR_DST(f, in)->data;
    EXPR_EACH_LIVE(f, in, i, out, 0)
    {
        const struct leat_sv text = EXPR_AT(struct leat_sv, a, i);
        if (leat__i64_parse(text.data, text.len, &out[i]) != 0 || (to_int32 && out[i] != (int32_t)out[i]))
            return fail_text(f, in, i, text, to_int32 ? "an int" : "a long");
    }
    return 0;
}

static int string_to_long(struct expr_frame *f, const struct expr_instr *in)
{
    return string_to_integer(f, in, false);
}

static int string_to_int32(struct expr_frame *f, const struct expr_instr *in)
{
    return string_to_integer(f, in, true);
}

static int string_to_float(struct expr_frame *f, const struct expr_instr *in)
{
    const struct expr_vec *a = EXPR_ARG(f, in, 0);
    double *out = (double *)(void *)EXPR_DST(f, in)->data;
    EXPR_EACH_LIVE(f, in, i, out, 0.0)
    {
        const struct leat_sv text = EXPR_AT(struct leat_sv, a, i);
        if (leat__double_parse(text.data, text.len, &out[i]) != 0)
            return fail_text(f, in, i, text, "a double");
    }
    return 0;
}

static int string_to_bool(struct expr_frame *f, const struct expr_instr *in)
{
    const struct expr_vec *a = EXPR_ARG(f, in, 0);
    uint8_t *out = EXPR_DST(f, in)->data;
    EXPR_EACH_LIVE(f, in, i, out, 0)
    {
        const struct leat_sv text = EXPR_AT(struct leat_sv, a, i);
        out[i] = leat__expr_same_word(text, "true");
        if (!out[i] && !leat__expr_same_word(text, "false"))
            return fail_text(f, in, i, text, "true or false");
    }
    return 0;
}

int leat__expr_string_to_timestamp(struct expr_frame *f, const struct expr_instr *in)
{
    const struct expr_vec *a = EXPR_ARG(f, in, 0);
    int64_t *out = (int64_t *)(void *)EXPR_DST(f, in)->data;
    EXPR_EACH_LIVE(f, in, i, out, 0)
    {
        const struct leat_sv text = EXPR_AT(struct leat_sv, a, i);
        if (!leat__expr_read_timestamp(text, &out[i]))
            return fail_text(f, in, i, text, "a timestamp such as 2026-01-31T12:00:00Z");
    }
    return 0;
}

/* Numbers and times are printed into `room` bytes each. */
#define PRINT_KERNEL(name_, type_, room_, print_) \
    int name_(struct expr_frame *f, const struct expr_instr *in) \
    { \
        const struct expr_vec *a = EXPR_ARG(f, in, 0); \
        struct leat_sv *out = (struct leat_sv *)(void *)EXPR_DST(f, in)->data; \
        EXPR_EACH_LIVE(f, in, i, out, LEAT_SV("")) \
        { \
            const type_ x = EXPR_AT(type_, a, i); \
            char text[room_]; \
            const size_t len = (print_); \
            char *copy = leat__expr_alloc(f, in, i, len); \
            if (!copy) \
                return f->err->code; \
            out[i] = (struct leat_sv){ memcpy(copy, text, len), len }; \
        } \
        return 0; \
    }

static size_t print_float(double x, char text[LEAT_DOUBLE_TEXT_MAX])
{
    const struct leat_sv word = isnan(x) ? LEAT_SV("NaN")
        : x > 0                          ? LEAT_SV("Infinity")
                                         : LEAT_SV("-Infinity");
    if (isfinite(x))
        return leat__double_print(x, text);
    memcpy(text, word.data, word.len);
    return word.len;
}

static PRINT_KERNEL(integer_to_string, int64_t, LEAT_I64_TEXT_MAX,
    leat__i64_print(x, text)) static PRINT_KERNEL(float_to_string, double, LEAT_DOUBLE_TEXT_MAX,
    print_float(x, text))
    PRINT_KERNEL(leat__expr_timestamp_to_string, int64_t, LEAT_TIME_TEXT_MAX, leat__time_print(x, text))

        static int bool_to_string(struct expr_frame *f, const struct expr_instr *in)
{
    const struct expr_vec *a = EXPR_ARG(f, in, 0);
    struct leat_sv *out = (struct leat_sv *)(void *)EXPR_DST(f, in)->data;
    for (uint32_t i = 0; i < f->count; i++)
        out[i] = EXPR_AT(uint8_t, a, i) ? LEAT_SV("true") : LEAT_SV("false");
    return 0;
}

struct expr_op leat__expr_op_cast(enum leat_value_class from, enum leat_value_class to, bool to_int32)
{
    static const struct {
        enum leat_value_class from, to;
        struct expr_op op, op_int32;
    } rows[] = {
        { LEAT_VALUE_INT, LEAT_VALUE_INT, { NULL, 0 }, { integer_to_int32, EXPR_STRICT | EXPR_GUARDED } },
        { LEAT_VALUE_FLOAT, LEAT_VALUE_INT, { float_to_long, EXPR_STRICT | EXPR_GUARDED },
            { float_to_int32, EXPR_STRICT | EXPR_GUARDED } },
        { LEAT_VALUE_STRING, LEAT_VALUE_INT, { string_to_long, EXPR_STRICT | EXPR_GUARDED },
            { string_to_int32, EXPR_STRICT | EXPR_GUARDED } },
        { LEAT_VALUE_BOOL, LEAT_VALUE_INT, { bool_to_integer, EXPR_STRICT },
            { bool_to_integer, EXPR_STRICT } },
        { LEAT_VALUE_INT, LEAT_VALUE_FLOAT, { integer_to_float, EXPR_STRICT }, { NULL, 0 } },
        { LEAT_VALUE_STRING, LEAT_VALUE_FLOAT, { string_to_float, EXPR_STRICT | EXPR_GUARDED }, { NULL, 0 } },
        { LEAT_VALUE_INT, LEAT_VALUE_STRING, { integer_to_string, EXPR_STRICT | EXPR_GUARDED }, { NULL, 0 } },
        { LEAT_VALUE_FLOAT, LEAT_VALUE_STRING, { float_to_string, EXPR_STRICT | EXPR_GUARDED }, { NULL, 0 } },
        { LEAT_VALUE_BOOL, LEAT_VALUE_STRING, { bool_to_string, EXPR_STRICT }, { NULL, 0 } },
        { LEAT_VALUE_TIMESTAMP, LEAT_VALUE_STRING,
            { leat__expr_timestamp_to_string, EXPR_STRICT | EXPR_GUARDED }, { NULL, 0 } },
        { LEAT_VALUE_INT, LEAT_VALUE_BOOL, { integer_to_bool, EXPR_STRICT }, { NULL, 0 } },
        { LEAT_VALUE_STRING, LEAT_VALUE_BOOL, { string_to_bool, EXPR_STRICT | EXPR_GUARDED }, { NULL, 0 } },
        { LEAT_VALUE_STRING, LEAT_VALUE_TIMESTAMP,
            { leat__expr_string_to_timestamp, EXPR_STRICT | EXPR_GUARDED }, { NULL, 0 } },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].from == from && rows[i].to == to)
            return to_int32 ? rows[i].op_int32 : rows[i].op;
    return (struct expr_op){ NULL, 0 };
}
