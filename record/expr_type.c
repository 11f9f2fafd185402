/* record/expr_type.c -- expressions: what every node gives, decided before the first row.
 *
 * Bottom up. A node is rewritten in place (it may be shared): operators and functions become an APPLY with
 * the kernel of their classes, integers become floats beside floats, what is constant becomes a literal, and
 * anything else that does not fit is an error that says what would.
 * An enum is a string, except when it is compared with a constant: then the symbol is looked up here, once,
 * and the rows compare numbers. */
#include "record/expr_private.h"

const char *leat__expr_class_name(enum leat_value_class value_class)
{
    switch (value_class) {
    case LEAT_VALUE_NULL:
        return "null";
    case LEAT_VALUE_BOOL:
        return "boolean";
    case LEAT_VALUE_INT:
        return "integer";
    case LEAT_VALUE_FLOAT:
        return "float";
    case LEAT_VALUE_STRING:
        return "string";
    case LEAT_VALUE_TIMESTAMP:
        return "timestamp";
    }
    return "?";
}

static const char *class_of(const struct expr_node *node)
{
    return leat__expr_class_name(node->value_class);
}

static bool is_number(const struct expr_node *node)
{
    return node->value_class == LEAT_VALUE_INT || node->value_class == LEAT_VALUE_FLOAT;
}

static bool is_null_literal(const struct expr_node *node)
{
    return node->kind == EXPR_LITERAL && node->value.is_null;
}

void leat__expr_set_literal(struct expr_node *node, struct expr_value value)
{
    node->kind = EXPR_LITERAL;
    node->value = value;
    node->value_class = value.value_class;
    node->is_nullable = value.is_null;
    node->is_typed = true;
}

static void set_null(struct expr_node *node, enum leat_value_class value_class)
{
    leat__expr_set_literal(node, (struct expr_value){ .value_class = value_class, .is_null = 1 });
}

/* Folds what is made of literals alone. */
static int settle(
    struct expr_compiler *c, struct expr_node *node, enum leat_value_class value_class, bool is_nullable)
{
    bool all_known = true;
    node->value_class = value_class;
    node->is_nullable = is_nullable;
    for (uint32_t i = 0; i < node->args_count; i++)
        all_known = all_known && leat__expr_is_literal(node->args[i]);
    return all_known ? leat__expr_fold(c, node) : 0;
}

int leat__expr_apply(struct expr_compiler *c, struct expr_node *node, struct expr_op op,
    enum leat_value_class value_class, const void *extra)
{
    bool is_nullable = (op.flags & EXPR_GIVES_NULL) != 0;
    LEAT_ASSERT(op.run);
    node->kind = EXPR_APPLY;
    node->op = op;
    node->extra = extra;
    for (uint32_t i = 0; i < node->args_count && (op.flags & EXPR_STRICT); i++) {
        if (is_null_literal(node->args[i])) {
            set_null(node, value_class);
            return 0;
        }
        is_nullable = is_nullable || node->args[i]->is_nullable;
    }
    return settle(c, node, value_class, is_nullable);
}

int leat__expr_coerce(struct expr_compiler *c, struct expr_node **arg, enum leat_value_class value_class)
{
    struct expr_node *const from = *arg;
    if (from->value_class == value_class)
        return 0;
    const bool is_null = from->value_class == LEAT_VALUE_NULL;
    LEAT_ASSERT(is_null || (from->value_class == LEAT_VALUE_INT && value_class == LEAT_VALUE_FLOAT));
    struct expr_node *to = leat__expr_node(c, EXPR_APPLY, from->at, is_null ? 0 : 1);
    if (!to)
        return c->source.err->code;
    *arg = to;
    to->is_typed = true;
    if (is_null) {
        set_null(to, value_class);
        return 0;
    }
    to->args[0] = from;
    return leat__expr_apply(
        c, to, leat__expr_op_cast(LEAT_VALUE_INT, LEAT_VALUE_FLOAT, false), LEAT_VALUE_FLOAT, NULL);
}

int leat__expr_unify(struct expr_compiler *c, struct expr_node **args, uint32_t count, uint32_t step,
    const char *what, enum leat_value_class *value_class)
{
    enum leat_value_class found = LEAT_VALUE_NULL;
    for (uint32_t i = 0; i < count; i += step) {
        const enum leat_value_class one = args[i]->value_class;
        if (found == LEAT_VALUE_NULL || found == one) {
            found = one;
        } else if (found == LEAT_VALUE_INT && one == LEAT_VALUE_FLOAT) {
            found = one;
        } else if (one != LEAT_VALUE_NULL && !(found == LEAT_VALUE_FLOAT && one == LEAT_VALUE_INT)) {
            return leat__expr_fail(&c->source, args[i]->at,
                "%s are of one class: this one is %s, before it %s%s", what, leat__expr_class_name(one),
                leat__expr_class_name(found),
                found == LEAT_VALUE_STRING ? "; cast(... as string) makes texts" : "");
        }
    }
    for (uint32_t i = 0; i < count; i += step)
        LEAT_TRY(leat__expr_coerce(c, &args[i], found));
    *value_class = found;
    return 0;
}

static const char *token_text(enum expr_token_kind token)
{
    static const char *const texts[] = { [EXPR_PLUS] = "+",
        [EXPR_MINUS] = "-",
        [EXPR_STAR] = "*",
        [EXPR_SLASH] = "/",
        [EXPR_PERCENT] = "%",
        [EXPR_JOIN] = "||",
        [EXPR_EQ] = "=",
        [EXPR_NE] = "!=",
        [EXPR_LT] = "<",
        [EXPR_LE] = "<=",
        [EXPR_GT] = ">",
        [EXPR_GE] = ">=" };
    return texts[token];
}

/* ---- arithmetic ---- */

static int fail_arithmetic(struct expr_compiler *c, const struct expr_node *node)
{
    const struct expr_node *a = node->args[0], *b = node->args[1];
    const bool texts = a->value_class == LEAT_VALUE_STRING || b->value_class == LEAT_VALUE_STRING;
    const char *remedy = "";
    if (node->token == EXPR_PLUS && texts)
        remedy = "; || joins texts, cast(... as long) reads a number";
    else if (texts)
        remedy = "; cast(... as long) or cast(... as double) reads a number";
    else if (a->value_class == LEAT_VALUE_TIMESTAMP || b->value_class == LEAT_VALUE_TIMESTAMP)
        remedy =
            "; timestamps take + and - with an interval such as interval '5 minutes', and - with each other";
    return leat__expr_fail(&c->source, node->at, "%s takes two numbers, not %s and %s%s",
        token_text(node->token), class_of(a), class_of(b), remedy);
}

/* Null beside something takes the class that makes the operation one of those below. */
static int adopt_null(struct expr_compiler *c, struct expr_node **arg, const struct expr_node *other)
{
    if ((*arg)->value_class != LEAT_VALUE_NULL || other->value_class == LEAT_VALUE_NULL)
        return 0;
    return leat__expr_coerce(
        c, arg, other->value_class == LEAT_VALUE_TIMESTAMP ? LEAT_VALUE_INT : other->value_class);
}

/* The class of the result, or 0. */
static enum leat_value_class arithmetic_class(
    enum expr_token_kind token, enum leat_value_class a, enum leat_value_class b)
{
    const bool numbers =
        (a == LEAT_VALUE_INT || a == LEAT_VALUE_FLOAT) && (b == LEAT_VALUE_INT || b == LEAT_VALUE_FLOAT);
    if (numbers)
        return a == LEAT_VALUE_INT && b == LEAT_VALUE_INT ? LEAT_VALUE_INT : LEAT_VALUE_FLOAT;
    if (token == EXPR_PLUS && a == LEAT_VALUE_INT && b == LEAT_VALUE_TIMESTAMP)
        return LEAT_VALUE_TIMESTAMP;
    if (a != LEAT_VALUE_TIMESTAMP || (token != EXPR_PLUS && token != EXPR_MINUS))
        return 0;
    if (b == LEAT_VALUE_INT)
        return LEAT_VALUE_TIMESTAMP;
    return b == LEAT_VALUE_TIMESTAMP && token == EXPR_MINUS ? LEAT_VALUE_INT : 0;
}

static int type_arithmetic(struct expr_compiler *c, struct expr_node *node)
{
    struct expr_node **args = node->args;
    const enum expr_token_kind token = node->token;
    if (args[0]->value_class == LEAT_VALUE_NULL && args[1]->value_class == LEAT_VALUE_NULL) {
        set_null(node, LEAT_VALUE_NULL);
        return 0;
    }
    LEAT_TRY(adopt_null(c, &args[0], args[1]));
    LEAT_TRY(adopt_null(c, &args[1], args[0]));
    const enum leat_value_class result = arithmetic_class(token, args[0]->value_class, args[1]->value_class);
    if (!result)
        return fail_arithmetic(c, node);
    if (result == LEAT_VALUE_FLOAT) {
        LEAT_TRY(leat__expr_coerce(c, &args[0], result));
        LEAT_TRY(leat__expr_coerce(c, &args[1], result));
        return leat__expr_apply(c, node, leat__expr_op_arithmetic(token, result), result, NULL);
    }
    const bool divides = token == EXPR_SLASH || token == EXPR_PERCENT;
    if (divides && leat__expr_is_literal(args[1]) && !args[1]->value.is_null) {
        const int64_t divisor = args[1]->value.as.integer;
        if (divisor == 0)
            return leat__expr_fail(&c->source, node->at, "division by the constant 0");
        if (divisor != -1 && !leat__expr_is_literal(args[0])) {
            const void *extra = leat__expr_divisor_new(c->arena, divisor);
            return extra ? leat__expr_apply(c, node, leat__expr_op_divisor(token), result, extra)
                         : leat__expr_no_memory(&c->source);
        }
    }
    return leat__expr_apply(c, node, leat__expr_op_arithmetic(token, LEAT_VALUE_INT), result, NULL);
}

static int type_negate(struct expr_compiler *c, struct expr_node *node)
{
    const enum leat_value_class value_class = node->args[0]->value_class;
    if (value_class == LEAT_VALUE_NULL) {
        set_null(node, LEAT_VALUE_NULL);
        return 0;
    }
    if (!is_number(node->args[0]))
        return leat__expr_fail(&c->source, node->at, "- takes a number, not a %s", class_of(node->args[0]));
    return leat__expr_apply(c, node, leat__expr_op_negate(value_class), value_class, NULL);
}

/* ---- comparisons ---- */

static int find_symbol(
    struct expr_compiler *c, const struct expr_node *path, const struct expr_node *text, int64_t *code)
{
    const struct leat_type *type = path->load->place.type;
    const struct leat_sv want = text->value.as.string;
    char hint[EXPR_HINT_BYTES], known[EXPR_NAMES_BYTES];
    for (uint32_t i = 0; i < type->symbols_count; i++) {
        if (leat_sv_eq(leat_sv_of(type->symbols[i]), want)) {
            *code = i;
            return 0;
        }
    }
    return leat__expr_fail(&c->source, text->at, "'%.*s' is not a symbol of %s (%s)%s",
        (int)(want.len < 64 ? want.len : 64), want.data, type->name,
        leat__expr_names(type->symbols, type->symbols_count, known),
        leat__expr_hint(want, type->symbols, type->symbols_count, hint));
}

/* enum = 'SYMBOL': both become numbers. */
static int compare_enum(struct expr_compiler *c, struct expr_node *node, uint32_t path, uint32_t text)
{
    struct expr_value value = { .value_class = LEAT_VALUE_INT };
    struct expr_node *number = leat__expr_node(c, EXPR_LITERAL, node->args[text]->at, 0);
    if (!number)
        return c->source.err->code;
    LEAT_TRY(find_symbol(c, node->args[path], node->args[text], &value.as.integer));
    leat__expr_set_literal(number, value);
    struct expr_node *code = leat__expr_path_code(c, node->args[path]);
    if (!code)
        return c->source.err->code;
    node->args[0] = code;
    node->args[1] = number;
    return leat__expr_apply(
        c, node, leat__expr_op_compare(node->token, LEAT_VALUE_INT), LEAT_VALUE_BOOL, NULL);
}

static bool is_known_text(const struct expr_node *node)
{
    return leat__expr_is_literal(node) && node->value_class == LEAT_VALUE_STRING && !node->value.is_null;
}

/* Constants go to the right, where kernels have loops of their own for them. */
static void put_constant_right(struct expr_node *node)
{
    static const enum expr_token_kind mirrored[] = { [EXPR_EQ] = EXPR_EQ,
        [EXPR_NE] = EXPR_NE,
        [EXPR_LT] = EXPR_GT,
        [EXPR_LE] = EXPR_GE,
        [EXPR_GT] = EXPR_LT,
        [EXPR_GE] = EXPR_LE };
    if (!leat__expr_is_literal(node->args[0]) || leat__expr_is_literal(node->args[1]))
        return;
    struct expr_node *const left = node->args[0];
    node->args[0] = node->args[1];
    node->args[1] = left;
    node->token = mirrored[node->token];
}

static int fail_compare(struct expr_compiler *c, const struct expr_node *node)
{
    const enum leat_value_class a = node->args[0]->value_class, b = node->args[1]->value_class;
    const char *remedy = "";
    if (a == LEAT_VALUE_TIMESTAMP || b == LEAT_VALUE_TIMESTAMP)
        remedy = "; write timestamp '2026-01-31T12:00:00Z', or take epoch_millis(...) of the timestamp";
    else if (a == LEAT_VALUE_STRING || b == LEAT_VALUE_STRING)
        remedy = a == LEAT_VALUE_BOOL || b == LEAT_VALUE_BOOL
            ? "; cast one side"
            : "; write the number without quotes, or cast one side";
    return leat__expr_fail(&c->source, node->at, "can not compare %s with %s%s", class_of(node->args[0]),
        class_of(node->args[1]), remedy);
}

static int type_compare(struct expr_compiler *c, struct expr_node *node)
{
    const bool is_equality = node->token == EXPR_EQ || node->token == EXPR_NE;
    put_constant_right(node);
    struct expr_node **args = node->args;
    if (args[0]->value_class == LEAT_VALUE_NULL || args[1]->value_class == LEAT_VALUE_NULL) {
        set_null(node, LEAT_VALUE_BOOL);
        return 0;
    }
    if (is_equality && leat__expr_path_is_enum(args[0]) && is_known_text(args[1]))
        return compare_enum(c, node, 0, 1);
    if (args[0]->value_class != args[1]->value_class && !(is_number(args[0]) && is_number(args[1])))
        return fail_compare(c, node);
    if (args[0]->value_class != args[1]->value_class) {
        LEAT_TRY(leat__expr_coerce(c, &args[0], LEAT_VALUE_FLOAT));
        LEAT_TRY(leat__expr_coerce(c, &args[1], LEAT_VALUE_FLOAT));
    }
    const struct expr_op op = leat__expr_op_compare(node->token, args[0]->value_class);
    if (!op.run)
        return leat__expr_fail(&c->source, node->at, "booleans have no order; compare them with = or !=");
    return leat__expr_apply(c, node, op, LEAT_VALUE_BOOL, NULL);
}

static int type_joined(struct expr_compiler *c, struct expr_node *node)
{
    for (uint32_t i = 0; i < node->args_count; i++) {
        if (node->args[i]->value_class == LEAT_VALUE_NULL)
            LEAT_TRY(leat__expr_coerce(c, &node->args[i], LEAT_VALUE_STRING));
        if (node->args[i]->value_class != LEAT_VALUE_STRING)
            return leat__expr_fail(&c->source, node->args[i]->at,
                "|| and concat join strings, this is %s; write cast(... as string). The logical operator is "
                "\"or\"",
                class_of(node->args[i]));
    }
    return leat__expr_apply(c, node, leat__expr_op_concat, LEAT_VALUE_STRING, NULL);
}

static int type_binary(struct expr_compiler *c, struct expr_node *node)
{
    if (node->token == EXPR_JOIN)
        return type_joined(c, node);
    return node->token >= EXPR_EQ ? type_compare(c, node) : type_arithmetic(c, node);
}

/* An enum and symbols become numbers: every symbol is looked at, so that a wrong one is found whatever else
 * the list holds. */
static int type_in_enum(struct expr_compiler *c, struct expr_node *node, bool all_known)
{
    for (uint32_t i = 1; i < node->args_count; i++) {
        struct expr_value value = { .value_class = LEAT_VALUE_INT };
        if (!is_known_text(node->args[i]))
            continue;
        LEAT_TRY(find_symbol(c, node->args[0], node->args[i], &value.as.integer));
        if (all_known)
            leat__expr_set_literal(node->args[i], value);
    }
    if (!all_known)
        return 0;
    node->args[0] = leat__expr_path_code(c, node->args[0]);
    return node->args[0] ? 0 : c->source.err->code;
}

/* x in (a, b) as x = a or x = b. */
static int type_in_any(struct expr_compiler *c, struct expr_node *node)
{
    struct expr_node *any = leat__expr_node(c, EXPR_OR, node->at, node->args_count - 1);
    if (!any)
        return c->source.err->code;
    for (uint32_t i = 1; i < node->args_count; i++) {
        struct expr_node *equal = leat__expr_node(c, EXPR_BINARY, node->args[i]->at, 2);
        if (!equal)
            return c->source.err->code;
        equal->token = EXPR_EQ;
        equal->args[0] = node->args[0];
        equal->args[1] = node->args[i];
        any->args[i - 1] = equal;
    }
    *node = *any;
    return leat__expr_type_node(c, node);
}

static int type_in(struct expr_compiler *c, struct expr_node *node)
{
    enum leat_value_class value_class;
    bool all_known = true, all_texts = true;
    for (uint32_t i = 1; i < node->args_count; i++) {
        all_known = all_known && leat__expr_is_literal(node->args[i]);
        all_texts = all_texts && (is_known_text(node->args[i]) || is_null_literal(node->args[i]));
    }
    if (leat__expr_path_is_enum(node->args[0]))
        LEAT_TRY(type_in_enum(c, node, all_known && all_texts));
    LEAT_TRY(leat__expr_unify(
        c, node->args, node->args_count, 1, "a value and the list it is looked for in", &value_class));
    if (value_class == LEAT_VALUE_NULL) {
        set_null(node, LEAT_VALUE_BOOL);
        return 0;
    }
    return all_known && value_class != LEAT_VALUE_BOOL ? leat__expr_type_set(c, node) : type_in_any(c, node);
}

/* ---- logic ---- */

static int want_booleans(struct expr_compiler *c, struct expr_node **args, uint32_t count, uint32_t step,
    const char *what, bool *is_nullable)
{
    for (uint32_t i = 0; i < count; i += step) {
        if (args[i]->value_class == LEAT_VALUE_NULL)
            LEAT_TRY(leat__expr_coerce(c, &args[i], LEAT_VALUE_BOOL));
        if (args[i]->value_class != LEAT_VALUE_BOOL)
            return leat__expr_fail(&c->source, args[i]->at,
                "%s takes booleans, this is %s; compare it with something", what, class_of(args[i]));
        *is_nullable = *is_nullable || args[i]->is_nullable;
    }
    return 0;
}

static int type_logic(struct expr_compiler *c, struct expr_node *node)
{
    bool is_nullable = false;
    LEAT_TRY(want_booleans(
        c, node->args, node->args_count, 1, node->kind == EXPR_AND ? "and" : "or", &is_nullable));
    return settle(c, node, LEAT_VALUE_BOOL, is_nullable);
}

static int type_not(struct expr_compiler *c, struct expr_node *node)
{
    bool is_nullable = false;
    LEAT_TRY(want_booleans(c, node->args, 1, 1, "not", &is_nullable));
    return leat__expr_apply(c, node, leat__expr_op_not, LEAT_VALUE_BOOL, NULL);
}

static int type_is_null(struct expr_compiler *c, struct expr_node *node)
{
    if (node->args[0]->kind == EXPR_PATH)
        return leat__expr_path_is_null(c, node);
    LEAT_TRY(leat__expr_type_node(c, node->args[0]));
    if (!node->args[0]->is_nullable) {
        leat__expr_set_literal(node, (struct expr_value){ .value_class = LEAT_VALUE_BOOL });
        return 0;
    }
    return leat__expr_apply(c, node, leat__expr_op_is_null, LEAT_VALUE_BOOL, NULL);
}

static int type_case(struct expr_compiler *c, struct expr_node *node)
{
    enum leat_value_class value_class;
    struct expr_node **args = node->args;
    const uint32_t whens = node->args_count / 2;
    bool is_nullable = false, ignored = false;
    LEAT_TRY(want_booleans(c, args, node->args_count - 1, 2, "a condition", &ignored));
    /* The results are at 1, 3, ... and the last place: bring the latter into step. */
    struct expr_node **results = leat__arena_array(c->arena, whens + 1, sizeof *results);
    if (!results)
        return leat__expr_no_memory(&c->source);
    for (uint32_t i = 0; i < whens; i++)
        results[i] = args[2 * i + 1];
    results[whens] = args[2 * whens];
    LEAT_TRY(leat__expr_unify(c, results, whens + 1, 1, "the results of a case", &value_class));
    for (uint32_t i = 0; i <= whens; i++) {
        args[i == whens ? 2 * whens : 2 * i + 1] = results[i];
        is_nullable = is_nullable || results[i]->is_nullable;
    }
    if (value_class == LEAT_VALUE_NULL) {
        set_null(node, LEAT_VALUE_NULL);
        return 0;
    }
    return settle(c, node, value_class, is_nullable);
}

static int type_coalesce(struct expr_compiler *c, struct expr_node *node)
{
    enum leat_value_class value_class;
    LEAT_TRY(leat__expr_unify(c, node->args, node->args_count, 1, "the arguments of coalesce", &value_class));
    uint32_t count = 0;
    bool is_nullable = true;
    for (uint32_t i = 0; i < node->args_count && is_nullable; i++) {
        if (is_null_literal(node->args[i]))
            continue;
        node->args[count++] = node->args[i];
        is_nullable = node->args[i]->is_nullable; /* what follows a value that is never null is not reached */
    }
    node->args_count = count;
    if (count == 0) {
        set_null(node, value_class);
        return 0;
    }
    return settle(c, node, value_class, is_nullable);
}

/* nullif(a, b) is null where a = b, else a. */
static int type_nullif(struct expr_compiler *c, struct expr_node *node)
{
    struct expr_node *equal = leat__expr_node(c, EXPR_BINARY, node->at, 2);
    if (!equal)
        return c->source.err->code;
    struct expr_node *const what = node->args[0];
    equal->token = EXPR_EQ;
    memcpy(equal->args, node->args, 2 * sizeof *equal->args);
    LEAT_TRY(leat__expr_type_node(c, equal));
    node->args[1] = equal;
    if (what->value_class == LEAT_VALUE_NULL) {
        set_null(node, LEAT_VALUE_NULL);
        return 0;
    }
    return leat__expr_apply(
        c, node, leat__expr_op_nullif(leat__expr_width(what->value_class)), what->value_class, NULL);
}

/* ---- casts ---- */

static const struct {
    const char *word;
    enum leat_value_class value_class;
} cast_words[] = {
    { "int", LEAT_VALUE_INT },
    { "long", LEAT_VALUE_INT },
    { "double", LEAT_VALUE_FLOAT },
    { "string", LEAT_VALUE_STRING },
    { "boolean", LEAT_VALUE_BOOL },
    { "timestamp", LEAT_VALUE_TIMESTAMP },
};
#define CAST_WORDS (sizeof cast_words / sizeof cast_words[0])

static int find_cast(struct expr_compiler *c, const struct expr_node *node, enum leat_value_class *to)
{
    const char *words[CAST_WORDS + 3];
    char hint[EXPR_HINT_BYTES];
    for (size_t i = 0; i < CAST_WORDS; i++) {
        words[i] = cast_words[i].word;
        *to = cast_words[i].value_class;
        if (leat__expr_same_word(node->name, cast_words[i].word))
            return 0;
    }
    return leat__expr_fail(&c->source, node->at,
        "no type \"%.*s\" to cast to; expected int, long, double, string, boolean or timestamp%s",
        (int)(node->name.len < 32 ? node->name.len : 32), node->name.data,
        leat__expr_hint(node->name, words, CAST_WORDS, hint));
}

static int type_cast(struct expr_compiler *c, struct expr_node *node)
{
    enum leat_value_class to;
    struct expr_node *const what = node->args[0];
    LEAT_TRY(find_cast(c, node, &to));
    if (what->kind == EXPR_PATH && !what->is_typed && to == LEAT_VALUE_FLOAT)
        LEAT_TRY(leat__expr_path_load_decimal(c, what));
    LEAT_TRY(leat__expr_type_node(c, what));
    const enum leat_value_class from = what->value_class;
    const bool to_int32 = leat__expr_same_word(node->name, "int");
    if (from == LEAT_VALUE_NULL) {
        set_null(node, to);
        return 0;
    }
    const struct expr_op op = leat__expr_op_cast(from, to, to_int32);
    if (op.run)
        return leat__expr_apply(c, node, op, to, NULL);
    if (from == to) { /* nothing to do: the node stands for its argument */
        *node = *what;
        return 0;
    }
    const char *remedy = "";
    if (to == LEAT_VALUE_TIMESTAMP)
        remedy = "; timestamp_millis(n) or timestamp_micros(n) says the unit";
    else if (from == LEAT_VALUE_TIMESTAMP)
        remedy = "; epoch_millis(t) or epoch_micros(t) says the unit";
    return leat__expr_fail(&c->source, node->at, "can not cast %s to %.*s%s", class_of(what),
        (int)node->name.len, node->name.data, remedy);
}

int leat__expr_type_node(struct expr_compiler *c, struct expr_node *node)
{
    if (node->is_typed)
        return 0;
    node->is_typed = true;
    if (node->kind == EXPR_CAST)
        return type_cast(c, node);
    if (node->kind == EXPR_IS_NULL)
        return type_is_null(c, node);
    for (uint32_t i = 0; i < node->args_count; i++)
        LEAT_TRY(leat__expr_type_node(c, node->args[i]));
    switch (node->kind) {
    case EXPR_PATH:
        return leat__expr_path_load(c, node);
    case EXPR_AND:
    case EXPR_OR:
        return type_logic(c, node);
    case EXPR_CASE:
        return type_case(c, node);
    case EXPR_COALESCE:
        return type_coalesce(c, node);
    case EXPR_NOT:
        return type_not(c, node);
    case EXPR_NEGATE:
        return type_negate(c, node);
    case EXPR_BINARY:
        return type_binary(c, node);
    case EXPR_IN:
        return type_in(c, node);
    case EXPR_LIKE:
        return leat__expr_type_like(c, node);
    case EXPR_MATCHES:
        return leat__expr_type_matches(c, node);
    case EXPR_NULLIF:
        return type_nullif(c, node);
    case EXPR_CALL:
        return leat__expr_type_call(c, node);
    default:
        LEAT_ASSERT(node->kind == EXPR_LITERAL || node->kind == EXPR_APPLY);
        return 0;
    }
}
