/* record/expr_string.c -- expressions: functions of strings.
 *
 * A character is a byte and the UTF-8 continuation bytes behind it, so that every sequence of bytes has a
 * length, however malformed. Case is that of ASCII letters alone. Parts of a string are views of it; only
 * what is really new (lower, upper, replace, ||) is written to the scratch. */
#include "record/expr_private.h"

#define STRINGS(vec_) ((struct leat_sv *)(void *)(vec_)->data)
#define EMPTY LEAT_SV("")

static bool continues(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

static int64_t count_characters(struct leat_sv text)
{
    int64_t count = text.len > 0 && continues(text.data[0]);
    for (size_t i = 0; i < text.len; i++)
        count += !continues(text.data[i]);
    return count;
}

/* The byte at which the character behind `count` more begins. */
static size_t skip_characters(struct leat_sv text, size_t from, uint64_t count)
{
    size_t at = from;
    for (; count > 0 && at < text.len; count--) {
        at++;
        while (at < text.len && continues(text.data[at]))
            at++;
    }
    return at;
}

/* The byte at which `part` begins at or behind `from`, SIZE_MAX when it does not. */
static size_t find_part(struct leat_sv text, struct leat_sv part, size_t from)
{
    if (part.len == 0)
        return from;
    if (text.len - from < part.len)
        return SIZE_MAX;
    const char *at = memmem(text.data + from, text.len - from, part.data, part.len);
    return at ? (size_t)(at - text.data) : SIZE_MAX;
}

static bool begins_with(struct leat_sv text, struct leat_sv part)
{
    return text.len >= part.len && (part.len == 0 || memcmp(text.data, part.data, part.len) == 0);
}

static struct leat_sv tail(struct leat_sv text, size_t from)
{
    return (struct leat_sv){ text.len ? text.data + from : "", text.len - from };
}

/* ---- numbers and booleans of strings ---- */

#define ONE_STRING(name_, result_, expression_) \
    static int name_(struct expr_frame *f, const struct expr_instr *in) \
    { \
        const struct expr_vec *a = EXPR_ARG(f, in, 0); \
        result_ *out = (result_ *)(void *)EXPR_DST(f, in)->data; \
        EXPR_EACH_LIVE(f, in, i, out, 0) \
        { \
            const struct leat_sv x = EXPR_AT(struct leat_sv, a, i); \
            out[i] = (expression_); \
        } \
        return 0; \
    }

#define TWO_STRINGS(name_, result_, expression_) \
    static int name_(struct expr_frame *f, const struct expr_instr *in) \
    { \
        const struct expr_vec *a = EXPR_ARG(f, in, 0), *b = EXPR_ARG(f, in, 1); \
        result_ *out = (result_ *)(void *)EXPR_DST(f, in)->data; \
        EXPR_EACH_LIVE(f, in, i, out, 0) \
        { \
            const struct leat_sv x = EXPR_AT(struct leat_sv, a, i), y = EXPR_AT(struct leat_sv, b, i); \
            out[i] = (expression_); \
        } \
        return 0; \
    }

static int64_t position_of(struct leat_sv text, struct leat_sv part)
{
    const size_t at = find_part(text, part, 0);
    return at == SIZE_MAX ? 0 : 1 + count_characters((struct leat_sv){ text.data, at });
}

ONE_STRING(length_kernel, int64_t, count_characters(x))
ONE_STRING(byte_length_kernel, int64_t, (int64_t)x.len)
TWO_STRINGS(position_kernel, int64_t, position_of(x, y))
TWO_STRINGS(starts_with_kernel, uint8_t, begins_with(x, y))
TWO_STRINGS(ends_with_kernel, uint8_t, x.len >= y.len && begins_with(tail(x, x.len - y.len), y))
TWO_STRINGS(contains_kernel, uint8_t, find_part(x, y, 0) != SIZE_MAX)

/* ---- parts of strings ---- */

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct leat_sv trimmed(struct leat_sv text, bool left, bool right)
{
    while (left && text.len > 0 && is_blank(text.data[0])) {
        text.data++;
        text.len--;
    }
    while (right && text.len > 0 && is_blank(text.data[text.len - 1]))
        text.len--;
    return text;
}

static struct leat_sv part_number(struct leat_sv text, struct leat_sv separator, int64_t number)
{
    size_t from = 0;
    for (int64_t k = 1; k <= number; k++) {
        const size_t end = separator.len ? find_part(text, separator, from) : SIZE_MAX;
        if (k == number) {
            struct leat_sv part = tail(text, from);
            part.len = end == SIZE_MAX ? part.len : end - from;
            return part;
        }
        if (end == SIZE_MAX)
            break;
        from = end + separator.len;
    }
    return EMPTY;
}

/* Characters from .. from + count - 1, as far as they exist. */
static struct leat_sv substring_of(struct leat_sv text, int64_t from, int64_t count)
{
    int64_t end = INT64_MAX;
    if (count != INT64_MAX && __builtin_add_overflow(from, count, &end))
        end = count > 0 ? INT64_MAX : INT64_MIN;
    if (from < 1)
        from = 1;
    if (end <= from)
        return EMPTY;
    const size_t start = skip_characters(text, 0, (uint64_t)from - 1);
    struct leat_sv part = tail(text, start);
    part.len = skip_characters(text, start, (uint64_t)end - (uint64_t)from) - start;
    return part;
}

#define TRIM_KERNEL(name_, left_, right_) \
    static int name_(struct expr_frame *f, const struct expr_instr *in) \
    { \
        const struct expr_vec *a = EXPR_ARG(f, in, 0); \
        struct leat_sv *out = STRINGS(EXPR_DST(f, in)); \
        EXPR_EACH_LIVE(f, in, i, out, EMPTY) \
        out[i] = trimmed(EXPR_AT(struct leat_sv, a, i), left_, right_); \
        return 0; \
    }

TRIM_KERNEL(trim_kernel, true, true)
TRIM_KERNEL(ltrim_kernel, true, false)
TRIM_KERNEL(rtrim_kernel, false, true)

static int split_part_kernel(struct expr_frame *f, const struct expr_instr *in)
{
    const struct expr_vec *a = EXPR_ARG(f, in, 0), *b = EXPR_ARG(f, in, 1), *k = EXPR_ARG(f, in, 2);
    struct leat_sv *out = STRINGS(EXPR_DST(f, in));
    EXPR_EACH_LIVE(f, in, i, out, EMPTY)
    out[i] =
        part_number(EXPR_AT(struct leat_sv, a, i), EXPR_AT(struct leat_sv, b, i), EXPR_AT(int64_t, k, i));
    return 0;
}

static int substring_kernel(struct expr_frame *f, const struct expr_instr *in)
{
    const struct expr_vec *a = EXPR_ARG(f, in, 0), *from = EXPR_ARG(f, in, 1);
    const struct expr_vec *count = in->args_count > 2 ? EXPR_ARG(f, in, 2) : NULL;
    struct leat_sv *out = STRINGS(EXPR_DST(f, in));
    EXPR_EACH_LIVE(f, in, i, out, EMPTY)
    out[i] = substring_of(EXPR_AT(struct leat_sv, a, i), EXPR_AT(int64_t, from, i),
        count ? EXPR_AT(int64_t, count, i) : INT64_MAX);
    return 0;
}

/* ---- new strings ---- */

static int change_case(struct expr_frame *f, const struct expr_instr *in, char first, char last)
{
    const struct expr_vec *a = EXPR_ARG(f, in, 0);
    struct leat_sv *out = STRINGS(EXPR_DST(f, in));
    EXPR_EACH_LIVE(f, in, i, out, EMPTY)
    {
        const struct leat_sv text = EXPR_AT(struct leat_sv, a, i);
        char *copy = leat__expr_alloc(f, in, i, text.len);
        if (!copy)
            return f->err->code;
        for (size_t k = 0; k < text.len; k++) {
            const char c = text.data[k];
            copy[k] = c >= first && c <= last ? (char)(c ^ ('a' - 'A')) : c;
        }
        out[i] = (struct leat_sv){ copy, text.len };
    }
    return 0;
}

static int lower_kernel(struct expr_frame *f, const struct expr_instr *in)
{
    return change_case(f, in, 'A', 'Z');
}

static int upper_kernel(struct expr_frame *f, const struct expr_instr *in)
{
    return change_case(f, in, 'a', 'z');
}

static char *append(char *to, struct leat_sv text)
{
    return text.len ? (char *)memcpy(to, text.data, text.len) + text.len : to;
}

static int concat_kernel(struct expr_frame *f, const struct expr_instr *in)
{
    struct leat_sv *out = STRINGS(EXPR_DST(f, in));
    EXPR_EACH_LIVE(f, in, i, out, EMPTY)
    {
        size_t len = 0;
        for (uint32_t k = 0; k < in->args_count; k++)
            len += EXPR_AT(struct leat_sv, EXPR_ARG(f, in, k), i).len;
        char *copy = leat__expr_alloc(f, in, i, len);
        if (!copy)
            return f->err->code;
        char *at = copy;
        for (uint32_t k = 0; k < in->args_count; k++)
            at = append(at, EXPR_AT(struct leat_sv, EXPR_ARG(f, in, k), i));
        out[i] = (struct leat_sv){ copy, len };
    }
    return 0;
}

/* `text` with each `from` as `to`. NULL data: out of memory or too long, and the error is set. */
static struct leat_sv replaced(struct expr_frame *f, const struct expr_instr *in, uint32_t i,
    struct leat_sv text, struct leat_sv from, struct leat_sv to)
{
    size_t count = 0, at = 0;
    if (from.len == 0 || (at = find_part(text, from, 0)) == SIZE_MAX)
        return text.data ? text : EMPTY;
    for (; at != SIZE_MAX; at = find_part(text, from, at + from.len))
        count++;
    size_t grown;
    if (__builtin_mul_overflow(count, to.len, &grown))
        grown = SIZE_MAX / 2;
    const size_t len = text.len - count * from.len + grown;
    char *copy = leat__expr_alloc(f, in, i, len), *end = copy;
    if (!copy)
        return (struct leat_sv){ NULL, 0 };
    size_t done = 0;
    while ((at = find_part(text, from, done)) != SIZE_MAX) {
        end = append(end, (struct leat_sv){ text.data + done, at - done });
        end = append(end, to);
        done = at + from.len;
    }
    append(end, (struct leat_sv){ text.data + done, text.len - done });
    return (struct leat_sv){ copy, len };
}

static int replace_kernel(struct expr_frame *f, const struct expr_instr *in)
{
    const struct expr_vec *a = EXPR_ARG(f, in, 0), *from = EXPR_ARG(f, in, 1), *to = EXPR_ARG(f, in, 2);
    struct leat_sv *out = STRINGS(EXPR_DST(f, in));
    EXPR_EACH_LIVE(f, in, i, out, EMPTY)
    {
        out[i] = replaced(f, in, i, EXPR_AT(struct leat_sv, a, i), EXPR_AT(struct leat_sv, from, i),
            EXPR_AT(struct leat_sv, to, i));
        if (!out[i].data)
            return f->err->code;
    }
    return 0;
}

#define SLOW_OP(kernel_) { kernel_, EXPR_STRICT | EXPR_GUARDED }, { NULL, 0 }, NULL

const struct expr_op leat__expr_op_concat = { concat_kernel, EXPR_STRICT | EXPR_GUARDED };

const struct expr_function leat__expr_functions_string[] = {
    { "length", "length(text)", "s", 1, 'i', SLOW_OP(length_kernel) },
    { "byte_length", "byte_length(text)", "s", 1, 'i', SLOW_OP(byte_length_kernel) },
    { "lower", "lower(text)", "s", 1, 's', SLOW_OP(lower_kernel) },
    { "upper", "upper(text)", "s", 1, 's', SLOW_OP(upper_kernel) },
    { "trim", "trim(text)", "s", 1, 's', SLOW_OP(trim_kernel) },
    { "ltrim", "ltrim(text)", "s", 1, 's', SLOW_OP(ltrim_kernel) },
    { "rtrim", "rtrim(text)", "s", 1, 's', SLOW_OP(rtrim_kernel) },
    { "substring", "substring(text, from[, length])", "sii", 2, 's', SLOW_OP(substring_kernel) },
    { "position", "position(text, part)", "ss", 2, 'i', SLOW_OP(position_kernel) },
    { "replace", "replace(text, from, to)", "sss", 3, 's', SLOW_OP(replace_kernel) },
    { "starts_with", "starts_with(text, part)", "ss", 2, 'b', SLOW_OP(starts_with_kernel) },
    { "ends_with", "ends_with(text, part)", "ss", 2, 'b', SLOW_OP(ends_with_kernel) },
    { "contains", "contains(text, part)", "ss", 2, 'b', SLOW_OP(contains_kernel) },
    { "split_part", "split_part(text, separator, number)", "ssi", 3, 's', SLOW_OP(split_part_kernel) },
    { .name = "regex_extract", .type = leat__expr_type_regex_extract },
    { .name = NULL },
};
