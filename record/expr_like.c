/* record/expr_like.c -- expressions: x like 'pattern' [escape 'c'].
 *
 * % stands for any run of characters, _ for one (UTF-8) character, the escape character takes the meaning
 * from the next % or _ or escape. A constant pattern without _ is cut at its % into parts: the text begins
 * with the first, ends with the last, and has the others in between in order, each where it is found first.
 * Everything else is matched step by step, going back to the last %. */
#include "record/expr_private.h"

struct like {
    struct leat_sv *parts; /* NULL: match step by step */
    uint32_t parts_count; /* 1: no %, the text is equal */
    bool has_escape;
    char escape;
};

static bool is_equal_at(struct leat_sv text, size_t at, struct leat_sv part)
{
    return part.len == 0 || memcmp(text.data + at, part.data, part.len) == 0;
}

static bool match_parts(const struct like *like, struct leat_sv text)
{
    const struct leat_sv first = like->parts[0], last = like->parts[like->parts_count - 1];
    if (like->parts_count == 1)
        return leat_sv_eq(text, first);
    if (text.len < first.len + last.len || !is_equal_at(text, 0, first) ||
        !is_equal_at(text, text.len - last.len, last))
        return false;
    size_t at = first.len;
    const size_t end = text.len - last.len;
    for (uint32_t k = 1; k + 1 < like->parts_count; k++) {
        const struct leat_sv part = like->parts[k];
        if (part.len == 0)
            continue;
        const char *found = end > at ? memmem(text.data + at, end - at, part.data, part.len) : NULL;
        if (!found)
            return false;
        at = (size_t)(found - text.data) + part.len;
    }
    return true;
}

static size_t next_character(struct leat_sv text, size_t at)
{
    at++;
    while (at < text.len && ((unsigned char)text.data[at] & 0xc0) == 0x80)
        at++;
    return at;
}

/* One step of the pattern at *p against the text at *t; false: it does not fit. */
static bool step(const struct like *like, struct leat_sv text, struct leat_sv pattern, size_t *t, size_t *p)
{
    if (*p == pattern.len)
        return false;
    char c = pattern.data[*p];
    if (like->has_escape && c == like->escape && *p + 1 < pattern.len) {
        c = pattern.data[++*p];
    } else if (c == '_') {
        ++*p;
        *t = next_character(text, *t);
        return true;
    }
    if (text.data[*t] != c)
        return false;
    ++*p;
    ++*t;
    return true;
}

static bool match_steps(const struct like *like, struct leat_sv text, struct leat_sv pattern)
{
    size_t t = 0, p = 0, from_t = 0, from_p = SIZE_MAX;
    while (t < text.len) {
        if (p < pattern.len && pattern.data[p] == '%') {
            from_p = ++p;
            from_t = t;
        } else if (!step(like, text, pattern, &t, &p)) {
            if (from_p == SIZE_MAX)
                return false;
            p = from_p;
            t = from_t = next_character(text, from_t);
        }
    }
    while (p < pattern.len && pattern.data[p] == '%')
        p++;
    return p == pattern.len;
}

static int like_constant(struct expr_frame *f, const struct expr_instr *in)
{
    const struct expr_vec *a = EXPR_ARG(f, in, 0);
    uint8_t *out = EXPR_DST(f, in)->data;
    EXPR_EACH_LIVE(f, in, i, out, 0)
    out[i] = match_parts(in->extra, EXPR_AT(struct leat_sv, a, i));
    return 0;
}

static int like_any(struct expr_frame *f, const struct expr_instr *in)
{
    const struct expr_vec *a = EXPR_ARG(f, in, 0), *b = EXPR_ARG(f, in, 1);
    uint8_t *out = EXPR_DST(f, in)->data;
    EXPR_EACH_LIVE(f, in, i, out, 0)
    out[i] = match_steps(in->extra, EXPR_AT(struct leat_sv, a, i), EXPR_AT(struct leat_sv, b, i));
    return 0;
}

/* Cuts the pattern at its %. parts stays NULL when it has a _. */
static int cut(struct expr_compiler *c, struct like *like, const struct expr_node *node)
{
    const struct leat_sv pattern = node->value.as.string;
    uint32_t parts_count = 1;
    size_t used = 0, from = 0;
    bool has_one = false;
    char *bytes = leat__arena_alloc(c->arena, pattern.len + 1);
    struct leat_sv *parts = leat__arena_array(c->arena, pattern.len + 1, sizeof *parts);
    if (!bytes || !parts)
        return leat__expr_no_memory(&c->source);
    for (size_t i = 0; i < pattern.len; i++) {
        const char x = pattern.data[i];
        if (like->has_escape && x == like->escape) {
            const char next = i + 1 < pattern.len ? pattern.data[i + 1] : '\0';
            if (next != '%' && next != '_' && next != like->escape)
                return leat__expr_fail(&c->source, node->at,
                    "in a pattern the escape character %c stands before %%, _ or itself", like->escape);
            bytes[used++] = next;
            i++;
        } else if (x == '%') {
            parts[parts_count - 1] = (struct leat_sv){ bytes + from, used - from };
            parts_count++;
            from = used;
        } else {
            has_one = has_one || x == '_';
            bytes[used++] = x;
        }
    }
    parts[parts_count - 1] = (struct leat_sv){ bytes + from, used - from };
    like->parts = has_one ? NULL : parts;
    like->parts_count = parts_count;
    return 0;
}

static int want_string(struct expr_compiler *c, struct expr_node **arg)
{
    if ((*arg)->value_class == LEAT_VALUE_NULL)
        return leat__expr_coerce(c, arg, LEAT_VALUE_STRING);
    if ((*arg)->value_class == LEAT_VALUE_STRING)
        return 0;
    return leat__expr_fail(&c->source, (*arg)->at,
        "like takes strings, this is %s; write cast(... as string)",
        leat__expr_class_name((*arg)->value_class));
}

int leat__expr_type_like(struct expr_compiler *c, struct expr_node *node)
{
    struct like *like = leat__arena_alloc(c->arena, sizeof *like);
    struct expr_op op = { like_any, EXPR_STRICT | EXPR_GUARDED };
    if (!like)
        return leat__expr_no_memory(&c->source);
    LEAT_TRY(want_string(c, &node->args[0]));
    LEAT_TRY(want_string(c, &node->args[1]));
    if (node->args_count == 3) {
        const struct leat_sv escape = node->args[2]->value.as.string;
        if (escape.len != 1 || escape.data[0] == '%' || escape.data[0] == '_' || (escape.data[0] & 0x80))
            return leat__expr_fail(
                &c->source, node->args[2]->at, "the escape is one ASCII character other than %% and _");
        like->has_escape = true;
        like->escape = escape.data[0];
        node->args_count = 2;
    }
    const struct expr_node *pattern = node->args[1];
    if (leat__expr_is_literal(pattern) && !pattern->value.is_null) {
        LEAT_TRY(cut(c, like, pattern));
        if (like->parts) {
            node->args_count = 1;
            op.run = like_constant;
        }
    }
    return leat__expr_apply(c, node, op, LEAT_VALUE_BOOL, like);
}
