/* record/expr_parse.c -- expressions: tokens to nodes, by recursive descent. Loosest first:
 *
 *   expression  and_term { or and_term }
 *   and_term    not_term { and not_term }
 *   not_term    not not_term | comparison
 *   comparison  joined [ (= == != <> < <= > >= ~ matches) joined | is [not] null
 *                      | [not] between joined and joined | [not] in ( expression, ... )
 *                      | [not] like joined [escape 'c'] | [not] matches joined ]
 *   joined      sum { || sum }
 *   sum         term { (+ -) term }
 *   term        unary { (* / %) unary }
 *   unary       - unary | + unary | primary
 *   primary     number | 'text' | true | false | null | timestamp 'text' | interval 'text' | ( expression )
 *             | case ... end | cast ( expression as word ) | word ( expression, ... ) | name { . name }
 *
 * Two tokens are known at a time. Nothing recurses without parse_deeper, which bounds the stack.
 * `between` and the short form of `case` use one node twice: typing and code generation know shared nodes. */
#include "record/expr_private.h"
#include <stdio.h>

#define SHOWN_BYTES_MAX 32u

struct parser {
    struct expr_compiler *c;
    struct expr_lexer lexer;
    struct expr_token now, next;
    uint32_t depth;
};

/* Arguments on the way. */
struct list {
    struct expr_node **nodes;
    uint32_t count, capacity;
};

static int parse_expression(struct parser *p, struct expr_node **node);
static int parse_joined(struct parser *p, struct expr_node **node);

struct expr_node *leat__expr_node(
    struct expr_compiler *c, enum expr_kind kind, uint32_t at, uint32_t args_count)
{
    if (++c->nodes_count > LEAT_EXPR_NODES_MAX) {
        leat__expr_fail(
            &c->source, at, "the expression has more than %u parts; split it", LEAT_EXPR_NODES_MAX);
        return NULL;
    }
    struct expr_node *node = leat__arena_alloc(c->arena, sizeof *node);
    if (node && args_count) {
        node->args = leat__arena_array(c->arena, args_count, sizeof *node->args);
        if (!node->args)
            node = NULL;
    }
    if (!node) {
        leat__expr_no_memory(&c->source);
        return NULL;
    }
    node->kind = kind;
    node->at = at;
    node->args_count = args_count;
    node->depth = 1;
    return node;
}

int leat__expr_node_close(struct expr_compiler *c, struct expr_node *node)
{
    for (uint32_t i = 0; i < node->args_count; i++)
        if (node->args[i]->depth >= node->depth)
            node->depth = node->args[i]->depth + 1;
    if (node->depth > LEAT_EXPR_DEPTH_MAX)
        return leat__expr_fail(
            &c->source, node->at, "the expression is nested deeper than %u levels", LEAT_EXPR_DEPTH_MAX);
    return 0;
}

static int make(struct parser *p, enum expr_kind kind, uint32_t at, uint32_t args_count,
    struct expr_node *const *args, struct expr_node **node)
{
    *node = leat__expr_node(p->c, kind, at, args_count);
    if (!*node)
        return p->c->source.err->code;
    if (args_count)
        memcpy((*node)->args, args, args_count * sizeof *args);
    return leat__expr_node_close(p->c, *node);
}

static int list_add(struct parser *p, struct list *list, struct expr_node *node)
{
    if (list->count == list->capacity) {
        const uint32_t capacity = list->capacity ? list->capacity * 2 : 4;
        struct expr_node **nodes = leat__arena_array(p->c->arena, capacity, sizeof *nodes);
        if (!nodes)
            return leat__expr_no_memory(&p->c->source);
        if (list->count)
            memcpy(nodes, list->nodes, list->count * sizeof *nodes);
        list->nodes = nodes;
        list->capacity = capacity;
    }
    list->nodes[list->count++] = node;
    return 0;
}

/* ---- tokens ---- */

static bool is_word(const struct expr_token *token, const char *word)
{
    return token->kind == EXPR_WORD && leat__expr_same_word(token->text, word);
}

static int advance(struct parser *p)
{
    p->now = p->next;
    return p->now.kind == EXPR_END ? 0 : leat__expr_lex(&p->lexer, &p->next);
}

static int unexpected(struct parser *p, const char *expected)
{
    const struct expr_token *token = &p->now;
    if (token->kind == EXPR_END)
        return leat__expr_fail(&p->c->source, token->at, "the expression ends; expected %s", expected);
    const bool cut = token->len > SHOWN_BYTES_MAX;
    return leat__expr_fail(&p->c->source, token->at, "unexpected \"%.*s%s\"; expected %s",
        (int)(cut ? SHOWN_BYTES_MAX : token->len), p->c->source.text + token->at, cut ? "..." : "", expected);
}

static int expect(struct parser *p, enum expr_token_kind kind, const char *expected)
{
    return p->now.kind == kind ? advance(p) : unexpected(p, expected);
}

static int expect_word(struct parser *p, const char *word)
{
    char expected[32];
    (void)snprintf(expected, sizeof expected, "\"%s\"", word);
    return is_word(&p->now, word) ? advance(p) : unexpected(p, expected);
}

static int parse_deeper(
    struct parser *p, int (*parse)(struct parser *p, struct expr_node **node), struct expr_node **node)
{
    if (++p->depth > LEAT_EXPR_DEPTH_MAX)
        return leat__expr_fail(
            &p->c->source, p->now.at, "the expression is nested deeper than %u levels", LEAT_EXPR_DEPTH_MAX);
    LEAT_TRY(parse(p, node));
    p->depth--;
    return 0;
}

/* ---- primaries ---- */

static int make_literal(struct parser *p, uint32_t at, struct expr_value value, struct expr_node **node)
{
    LEAT_TRY(make(p, EXPR_LITERAL, at, 0, NULL, node));
    leat__expr_set_literal(*node, value);
    return 0;
}

/* A number, with the minus before it if there is one. */
static int parse_number(struct parser *p, uint32_t at, bool is_negative, struct expr_node **node)
{
    struct expr_value value = { .value_class = LEAT_VALUE_FLOAT };
    if (p->now.kind == EXPR_REAL) {
        value.as.real = is_negative ? -p->now.real : p->now.real;
    } else {
        const uint64_t limit = (uint64_t)INT64_MAX + is_negative;
        if (p->now.integer > limit)
            return leat__expr_fail(&p->c->source, at,
                "the integer %s%.*s is beyond 64 bits; with a decimal point it is a float",
                is_negative ? "-" : "", (int)p->now.len, p->c->source.text + p->now.at);
        value.value_class = LEAT_VALUE_INT;
        value.as.integer = (int64_t)(is_negative ? 0 - p->now.integer : p->now.integer);
    }
    LEAT_TRY(make_literal(p, at, value, node));
    return advance(p);
}

/* timestamp '...' and interval '...' */
static int parse_time_literal(struct parser *p, struct expr_node **node)
{
    struct expr_value value = { .value_class = LEAT_VALUE_INT };
    const uint32_t at = p->now.at;
    if (is_word(&p->now, "timestamp")) {
        value.value_class = LEAT_VALUE_TIMESTAMP;
        LEAT_TRY(leat__expr_parse_timestamp(&p->c->source, &p->next, &value.as.integer));
    } else {
        LEAT_TRY(leat__expr_parse_interval(&p->c->source, &p->next, &value.as.integer));
    }
    LEAT_TRY(advance(p));
    LEAT_TRY(make_literal(p, at, value, node));
    return advance(p);
}

static int parse_case(struct parser *p, struct expr_node **node)
{
    const uint32_t at = p->now.at;
    struct expr_node *what = NULL, *part;
    struct list list = { 0 };
    LEAT_TRY(advance(p));
    if (!is_word(&p->now, "when"))
        LEAT_TRY(parse_deeper(p, parse_expression, &what));
    while (is_word(&p->now, "when")) {
        LEAT_TRY(advance(p));
        LEAT_TRY(parse_deeper(p, parse_expression, &part));
        if (what) { /* case x when y: case when x = y */
            struct expr_node *const sides[] = { what, part };
            LEAT_TRY(make(p, EXPR_BINARY, part->at, 2, sides, &part));
            part->token = EXPR_EQ;
        }
        LEAT_TRY(list_add(p, &list, part));
        LEAT_TRY(expect_word(p, "then"));
        LEAT_TRY(parse_deeper(p, parse_expression, &part));
        LEAT_TRY(list_add(p, &list, part));
    }
    if (list.count == 0)
        return unexpected(p, "\"when\"");
    if (is_word(&p->now, "else")) {
        LEAT_TRY(advance(p));
        LEAT_TRY(parse_deeper(p, parse_expression, &part));
    } else {
        const struct expr_value null = { .value_class = LEAT_VALUE_NULL, .is_null = 1 };
        LEAT_TRY(make_literal(p, at, null, &part));
    }
    LEAT_TRY(list_add(p, &list, part));
    if (!is_word(&p->now, "end"))
        return unexpected(p, "\"when\", \"else\" or \"end\"");
    LEAT_TRY(advance(p));
    return make(p, EXPR_CASE, at, list.count, list.nodes, node);
}

/* expression, ... ) */
static int parse_arguments(struct parser *p, struct list *list)
{
    for (;;) {
        struct expr_node *arg;
        LEAT_TRY(parse_deeper(p, parse_expression, &arg));
        LEAT_TRY(list_add(p, list, arg));
        if (p->now.kind != EXPR_COMMA)
            return expect(p, EXPR_CLOSE, "a comma or \")\"");
        LEAT_TRY(advance(p));
    }
}

static int parse_call(struct parser *p, struct expr_node **node)
{
    const struct expr_token name = p->now;
    struct list list = { 0 };
    LEAT_TRY(advance(p));
    LEAT_TRY(advance(p));
    if (is_word(&name, "cast")) {
        struct expr_node *what;
        LEAT_TRY(parse_deeper(p, parse_expression, &what));
        LEAT_TRY(expect_word(p, "as"));
        LEAT_TRY(make(p, EXPR_CAST, p->now.at, 1, &what, node));
        (*node)->name = p->now.text;
        if (p->now.kind != EXPR_WORD)
            return unexpected(p, "a type: int, long, double, string, boolean or timestamp");
        LEAT_TRY(advance(p));
        return expect(p, EXPR_CLOSE, "\")\"");
    }
    if (p->now.kind == EXPR_CLOSE)
        LEAT_TRY(advance(p));
    else
        LEAT_TRY(parse_arguments(p, &list));
    LEAT_TRY(make(p, EXPR_CALL, name.at, list.count, list.nodes, node));
    (*node)->name = name.text;
    return 0;
}

static int parse_path(struct parser *p, struct expr_node **node)
{
    uint32_t count = 0;
    struct expr_step steps[LEAT_SCHEMA_DEPTH_MAX];
    LEAT_TRY(make(p, EXPR_PATH, p->now.at, 0, NULL, node));
    for (;;) {
        if (p->now.kind != EXPR_WORD && p->now.kind != EXPR_NAME)
            return unexpected(p, "the name of a field");
        if (count == LEAT_SCHEMA_DEPTH_MAX)
            return leat__expr_fail(&p->c->source, p->now.at, "a path of more than %u fields", count);
        steps[count++] = (struct expr_step){ p->now.text, p->now.at, p->now.kind == EXPR_NAME };
        LEAT_TRY(advance(p));
        if (p->now.kind != EXPR_DOT)
            break;
        LEAT_TRY(advance(p));
    }
    if (p->now.kind == EXPR_OPEN)
        return unexpected(p, "an operator; a function has no dots or quotes in its name");
    (*node)->steps = leat__arena_copy(p->c->arena, steps, count * sizeof steps[0]);
    (*node)->steps_count = count;
    return (*node)->steps ? 0 : leat__expr_no_memory(&p->c->source);
}

bool leat__expr_is_reserved(const struct expr_token *token)
{
    static const char *const words[] = { "and", "or", "not", "between", "in", "like", "is", "case", "when",
        "then", "else", "end", "null", "true", "false" };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (is_word(token, words[i]))
            return true;
    return false;
}

static int parse_word(struct parser *p, struct expr_node **node)
{
    struct expr_value value = { .value_class = LEAT_VALUE_BOOL };
    if (is_word(&p->now, "case"))
        return parse_case(p, node);
    if (is_word(&p->now, "null"))
        value = (struct expr_value){ .value_class = LEAT_VALUE_NULL, .is_null = 1 };
    else if (is_word(&p->now, "true"))
        value.as.boolean = 1;
    else if (!is_word(&p->now, "false")) {
        if (leat__expr_is_reserved(&p->now))
            return unexpected(p, "a value (a field of this name is written in \"double quotes\")");
        if (p->next.kind == EXPR_TEXT && (is_word(&p->now, "timestamp") || is_word(&p->now, "interval")))
            return parse_time_literal(p, node);
        return p->next.kind == EXPR_OPEN ? parse_call(p, node) : parse_path(p, node);
    }
    LEAT_TRY(make_literal(p, p->now.at, value, node));
    return advance(p);
}

static int parse_primary(struct parser *p, struct expr_node **node)
{
    switch (p->now.kind) {
    case EXPR_INTEGER:
    case EXPR_REAL:
        return parse_number(p, p->now.at, false, node);
    case EXPR_TEXT: {
        struct expr_value value = { .value_class = LEAT_VALUE_STRING };
        value.as.string = p->now.text;
        LEAT_TRY(make_literal(p, p->now.at, value, node));
        return advance(p);
    }
    case EXPR_WORD:
        return parse_word(p, node);
    case EXPR_NAME:
        return parse_path(p, node);
    case EXPR_OPEN:
        LEAT_TRY(advance(p));
        LEAT_TRY(parse_deeper(p, parse_expression, node));
        return expect(p, EXPR_CLOSE, "an operator or \")\"");
    default:
        return unexpected(p, "a field, a number, a 'text', a function or \"(\"");
    }
}

static int parse_unary(struct parser *p, struct expr_node **node)
{
    const uint32_t at = p->now.at;
    const bool is_minus = p->now.kind == EXPR_MINUS;
    if (!is_minus && p->now.kind != EXPR_PLUS)
        return parse_primary(p, node);
    LEAT_TRY(advance(p));
    if (is_minus && (p->now.kind == EXPR_INTEGER || p->now.kind == EXPR_REAL))
        return parse_number(p, at, true, node);
    struct expr_node *what;
    LEAT_TRY(parse_deeper(p, parse_unary, &what));
    if (is_minus)
        return make(p, EXPR_NEGATE, at, 1, &what, node);
    *node = what;
    return 0;
}

/* ---- operators ---- */

static int parse_chain(struct parser *p, int (*operand)(struct parser *p, struct expr_node **node),
    enum expr_token_kind from, enum expr_token_kind to, struct expr_node **node)
{
    LEAT_TRY(operand(p, node));
    while (p->now.kind >= from && p->now.kind <= to) {
        const struct expr_token op = p->now;
        struct expr_node *sides[2] = { *node, NULL };
        LEAT_TRY(advance(p));
        LEAT_TRY(operand(p, &sides[1]));
        LEAT_TRY(make(p, EXPR_BINARY, op.at, 2, sides, node));
        (*node)->token = op.kind;
    }
    return 0;
}

static int parse_term(struct parser *p, struct expr_node **node)
{
    return parse_chain(p, parse_unary, EXPR_STAR, EXPR_PERCENT, node);
}

static int parse_sum(struct parser *p, struct expr_node **node)
{
    return parse_chain(p, parse_term, EXPR_PLUS, EXPR_MINUS, node);
}

/* a || b || c is one node, so that no part is copied twice. */
static int parse_joined(struct parser *p, struct expr_node **node)
{
    struct list list = { 0 };
    LEAT_TRY(parse_sum(p, node));
    if (p->now.kind != EXPR_JOIN)
        return 0;
    const uint32_t at = p->now.at;
    LEAT_TRY(list_add(p, &list, *node));
    while (p->now.kind == EXPR_JOIN) {
        LEAT_TRY(advance(p));
        LEAT_TRY(parse_sum(p, node));
        LEAT_TRY(list_add(p, &list, *node));
    }
    LEAT_TRY(make(p, EXPR_BINARY, at, list.count, list.nodes, node));
    (*node)->token = EXPR_JOIN;
    return 0;
}

static int parse_between(struct parser *p, uint32_t at, struct expr_node **node)
{
    struct expr_node *low, *high;
    LEAT_TRY(parse_joined(p, &low));
    LEAT_TRY(expect_word(p, "and"));
    LEAT_TRY(parse_joined(p, &high));
    struct expr_node *const from[] = { *node, low }, *const to[] = { *node, high };
    LEAT_TRY(make(p, EXPR_BINARY, at, 2, from, &low));
    low->token = EXPR_GE;
    LEAT_TRY(make(p, EXPR_BINARY, at, 2, to, &high));
    high->token = EXPR_LE;
    struct expr_node *const both[] = { low, high };
    return make(p, EXPR_AND, at, 2, both, node);
}

static int parse_in(struct parser *p, uint32_t at, struct expr_node **node)
{
    struct list list = { 0 };
    LEAT_TRY(list_add(p, &list, *node));
    LEAT_TRY(expect(p, EXPR_OPEN, "a list of values in parentheses"));
    LEAT_TRY(parse_arguments(p, &list));
    return make(p, EXPR_IN, at, list.count, list.nodes, node);
}

static int parse_like(struct parser *p, uint32_t at, struct expr_node **node)
{
    struct expr_node *parts[3] = { *node, NULL, NULL };
    uint32_t count = 2;
    LEAT_TRY(parse_joined(p, &parts[1]));
    if (is_word(&p->now, "escape")) {
        LEAT_TRY(advance(p));
        if (p->now.kind != EXPR_TEXT)
            return unexpected(p, "the escape character in quotes, such as '!'");
        LEAT_TRY(parse_primary(p, &parts[2]));
        count = 3;
    }
    return make(p, EXPR_LIKE, at, count, parts, node);
}

static int parse_is_null(struct parser *p, uint32_t at, struct expr_node **node)
{
    const bool negated = is_word(&p->now, "not");
    if (negated)
        LEAT_TRY(advance(p));
    if (!is_word(&p->now, "null"))
        return unexpected(p, negated ? "\"null\"" : "\"null\" or \"not null\"");
    LEAT_TRY(advance(p));
    struct expr_node *const what = *node;
    LEAT_TRY(make(p, EXPR_IS_NULL, at, 1, &what, node));
    struct expr_node *const test = *node;
    return negated ? make(p, EXPR_NOT, at, 1, &test, node) : 0;
}

/* The operators that are words. *known: whether there was one. */
static int parse_word_operator(struct parser *p, struct expr_node **node, bool *known)
{
    static const struct {
        const char *word;
        int (*parse)(struct parser *p, uint32_t at, struct expr_node **node);
    } rows[] = { { "between", parse_between }, { "in", parse_in }, { "like", parse_like } };
    const uint32_t at = p->now.at;
    const bool negated = is_word(&p->now, "not");
    *known = true;
    if (is_word(&p->now, "is")) {
        LEAT_TRY(advance(p));
        return parse_is_null(p, at, node);
    }
    if (negated)
        LEAT_TRY(advance(p));
    if (is_word(&p->now, "matches") || (!negated && p->now.kind == EXPR_TILDE)) {
        struct expr_node *sides[2] = { *node, NULL };
        LEAT_TRY(advance(p));
        LEAT_TRY(parse_joined(p, &sides[1]));
        LEAT_TRY(make(p, EXPR_MATCHES, at, 2, sides, node));
    } else {
        size_t i = 0;
        while (i < sizeof rows / sizeof rows[0] && !is_word(&p->now, rows[i].word))
            i++;
        *known = i < sizeof rows / sizeof rows[0];
        if (!*known)
            return negated ? unexpected(p, "\"between\", \"in\", \"like\" or \"matches\" after not") : 0;
        LEAT_TRY(advance(p));
        LEAT_TRY(rows[i].parse(p, at, node));
    }
    struct expr_node *const test = *node;
    return negated ? make(p, EXPR_NOT, at, 1, &test, node) : 0;
}

static bool is_comparison(enum expr_token_kind kind)
{
    return kind >= EXPR_EQ && kind <= EXPR_GE;
}

static int parse_comparison(struct parser *p, struct expr_node **node)
{
    bool known = true;
    LEAT_TRY(parse_joined(p, node));
    if (is_comparison(p->now.kind)) {
        const struct expr_token op = p->now;
        struct expr_node *sides[2] = { *node, NULL };
        LEAT_TRY(advance(p));
        LEAT_TRY(parse_joined(p, &sides[1]));
        LEAT_TRY(make(p, EXPR_BINARY, op.at, 2, sides, node));
        (*node)->token = op.kind;
    } else {
        LEAT_TRY(parse_word_operator(p, node, &known));
    }
    if (known && is_comparison(p->now.kind))
        return leat__expr_fail(&p->c->source, p->now.at,
            "comparisons can not be chained; write a < b and b < c, or use parentheses");
    return 0;
}

static int parse_not(struct parser *p, struct expr_node **node)
{
    if (!is_word(&p->now, "not"))
        return parse_comparison(p, node);
    const uint32_t at = p->now.at;
    struct expr_node *what;
    LEAT_TRY(advance(p));
    LEAT_TRY(parse_deeper(p, parse_not, &what));
    return make(p, EXPR_NOT, at, 1, &what, node);
}

static int parse_words(struct parser *p, const char *word, enum expr_kind kind,
    int (*operand)(struct parser *p, struct expr_node **node), struct expr_node **node)
{
    struct list list = { 0 };
    LEAT_TRY(operand(p, node));
    if (!is_word(&p->now, word))
        return 0;
    const uint32_t at = p->now.at;
    LEAT_TRY(list_add(p, &list, *node));
    while (is_word(&p->now, word)) {
        LEAT_TRY(advance(p));
        LEAT_TRY(operand(p, node));
        LEAT_TRY(list_add(p, &list, *node));
    }
    return make(p, kind, at, list.count, list.nodes, node);
}

static int parse_and(struct parser *p, struct expr_node **node)
{
    return parse_words(p, "and", EXPR_AND, parse_not, node);
}

static int parse_expression(struct parser *p, struct expr_node **node)
{
    return parse_words(p, "or", EXPR_OR, parse_and, node);
}

/* Behind a whole expression: an operator that is misspelt, most likely. */
static int fail_behind(struct parser *p)
{
    static const char *const words[] = { "and", "or", "between", "in", "like", "matches", "is", "not" };
    char hint[EXPR_HINT_BYTES], expected[EXPR_HINT_BYTES + 32] = "an operator or the end";
    if (p->now.kind == EXPR_WORD)
        (void)snprintf(expected, sizeof expected, "an operator or the end%s",
            leat__expr_hint(p->now.text, words, sizeof words / sizeof words[0], hint));
    return unexpected(p, expected);
}

int leat__expr_parse(struct expr_compiler *c, struct expr_node **root)
{
    struct parser p = { .c = c };
    p.lexer.source = &c->source;
    p.lexer.arena = c->arena;
    if (c->source.len > LEAT_EXPR_BYTES_MAX)
        return leat__expr_fail(&c->source, 0, "an expression of %u bytes; at most %u are allowed",
            c->source.len, LEAT_EXPR_BYTES_MAX);
    LEAT_TRY(leat__expr_lex(&p.lexer, &p.next));
    LEAT_TRY(advance(&p));
    LEAT_TRY(parse_expression(&p, root));
    return p.now.kind == EXPR_END ? 0 : fail_behind(&p);
}
