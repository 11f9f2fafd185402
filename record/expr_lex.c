/* record/expr_lex.c -- expressions: text to tokens, and errors that point into the text.
 *
 * One token at a time. Words keep their spelling; the parser decides which are keywords. Text tokens are
 * decoded ('' is one quote) into the arena. A minus is always a token of its own, so an integer token is an
 * unsigned magnitude: -9223372036854775808 is put together by the parser. */
#include "record/expr_private.h"
#include "base/near.h"
#include "record/number_text.h"
#include <stdio.h>

#define SHOWN_BYTES_MAX 24

uint32_t leat__expr_column(const char *text, uint32_t at)
{
    uint32_t column = 1;
    for (uint32_t i = 0; i < at; i++)
        column += ((unsigned char)text[i] & 0xc0) != 0x80;
    return column;
}

int leat__expr_fail(const struct expr_source *source, uint32_t at, const char *format, ...)
{
    char text[LEAT_ERROR_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    uint32_t line = 1, line_at = 0;
    for (uint32_t i = 0; i < at; i++) {
        if (source->text[i] == '\n') {
            line++;
            line_at = i + 1;
        }
    }
    const uint32_t column = leat__expr_column(source->text + line_at, at - line_at);
    if (line > 1)
        return leat__error(source->err, LEAT_EEXPR, "line %u, column %u: %s", line, column, text);
    return leat__error(source->err, LEAT_EEXPR, "column %u: %s", column, text);
}

int leat__expr_no_memory(const struct expr_source *source)
{
    return leat__error(source->err, LEAT_ENOMEM, "out of memory while compiling an expression");
}

static char fold_case(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool leat__expr_same_word(struct leat_sv text, const char *word)
{
    for (size_t i = 0; i < text.len; i++)
        if (word[i] == '\0' || fold_case(text.data[i]) != fold_case(word[i]))
            return false;
    return word[text.len] == '\0';
}

const char *leat__expr_hint(
    struct leat_sv word, const char *const *candidates, size_t count, char hint[EXPR_HINT_BYTES])
{
    char text[64];
    hint[0] = '\0';
    if (word.len >= sizeof text)
        return hint;
    memcpy(text, word.data, word.len);
    text[word.len] = '\0';
    const int near = leat__near(text, candidates, count);
    if (near >= 0)
        (void)snprintf(hint, EXPR_HINT_BYTES, "; did you mean \"%s\"?", candidates[near]);
    return hint;
}

const char *leat__expr_names(const char *const *names, size_t count, char text[EXPR_NAMES_BYTES])
{
    static const char more[] = ", ...";
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        const bool fits = used + strlen(names[i]) + 2 + sizeof more <= EXPR_NAMES_BYTES;
        used += (size_t)snprintf(
            text + used, EXPR_NAMES_BYTES - used, "%s%s", fits && i ? ", " : "", fits ? names[i] : more);
        if (!fits)
            break;
    }
    return text;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_word_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* 'text' and "name": the quote doubled stands for itself. */
static int lex_quoted(struct expr_lexer *lexer, struct expr_token *token)
{
    const struct expr_source *source = lexer->source;
    const char quote = source->text[lexer->at];
    const uint32_t from = lexer->at + 1;
    uint32_t at = from, doubled = 0;
    for (;; at++) {
        if (at == source->len)
            return leat__expr_fail(source, token->at, "%s without its closing %c",
                quote == '\'' ? "a text" : "a quoted name", quote);
        if (source->text[at] != quote)
            continue;
        if (at + 1 == source->len || source->text[at + 1] != quote)
            break;
        doubled++;
        at++;
    }
    const uint32_t len = at - from - doubled;
    char *copy = leat__arena_alloc(lexer->arena, len + 1);
    if (!copy)
        return leat__expr_no_memory(source);
    for (uint32_t i = from, n = 0; i < at; i++) {
        copy[n++] = source->text[i];
        if (source->text[i] == quote)
            i++;
    }
    token->kind = quote == '\'' ? EXPR_TEXT : EXPR_NAME;
    token->text = (struct leat_sv){ copy, len };
    lexer->at = at + 1;
    if (token->kind == EXPR_NAME && len == 0)
        return leat__expr_fail(source, token->at, "an empty name");
    return 0;
}

static uint32_t skip_digits(const struct expr_source *source, uint32_t at)
{
    while (at < source->len && is_digit(source->text[at]))
        at++;
    return at;
}

static int lex_integer(struct expr_lexer *lexer, struct expr_token *token)
{
    const char *digits = lexer->source->text + token->at;
    uint64_t value = 0;
    token->kind = EXPR_INTEGER;
    for (uint32_t i = 0; i < token->len; i++)
        if (__builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)(digits[i] - '0'), &value))
            return leat__expr_fail(lexer->source, token->at,
                "the integer %.*s is beyond 64 bits; with a decimal point it is a float", (int)token->len,
                digits);
    token->integer = value;
    return 0;
}

static int lex_number(struct expr_lexer *lexer, struct expr_token *token)
{
    const struct expr_source *source = lexer->source;
    uint32_t at = skip_digits(source, lexer->at);
    bool is_real = false;
    if (at + 1 < source->len && source->text[at] == '.' && is_digit(source->text[at + 1])) {
        at = skip_digits(source, at + 1);
        is_real = true;
    }
    if (at < source->len && (source->text[at] == 'e' || source->text[at] == 'E')) {
        uint32_t digits = at + 1;
        if (digits < source->len && (source->text[digits] == '+' || source->text[digits] == '-'))
            digits++;
        if (digits < source->len && is_digit(source->text[digits])) {
            at = skip_digits(source, digits);
            is_real = true;
        }
    }
    token->len = at - token->at;
    lexer->at = at;
    if (at < source->len && (is_word_start(source->text[at]) || source->text[at] == '.'))
        return leat__expr_fail(source, token->at,
            "\"%.*s\" is not a number; expected digits, as in 12, 0.5, 1e-3", (int)token->len + 1,
            source->text + token->at);
    if (!is_real)
        return lex_integer(lexer, token);
    token->kind = EXPR_REAL;
    if (leat__double_parse(source->text + token->at, token->len, &token->real) != 0)
        return leat__expr_fail(source, token->at, "the float %.*s is beyond what a double holds",
            (int)(token->len < SHOWN_BYTES_MAX ? token->len : SHOWN_BYTES_MAX), source->text + token->at);
    return 0;
}

struct symbol {
    const char *text;
    enum expr_token_kind kind;
    const char *instead; /* not of the language: what to write */
};

/* Longest first. */
static const struct symbol symbols[] = {
    { "||", EXPR_JOIN, NULL },
    { "&&", EXPR_END, "and" },
    { "==", EXPR_EQ, NULL },
    { "!=", EXPR_NE, NULL },
    { "<>", EXPR_NE, NULL },
    { "<=", EXPR_LE, NULL },
    { ">=", EXPR_GE, NULL },
    { "=", EXPR_EQ, NULL },
    { "<", EXPR_LT, NULL },
    { ">", EXPR_GT, NULL },
    { "+", EXPR_PLUS, NULL },
    { "-", EXPR_MINUS, NULL },
    { "*", EXPR_STAR, NULL },
    { "/", EXPR_SLASH, NULL },
    { "%", EXPR_PERCENT, NULL },
    { "~", EXPR_TILDE, NULL },
    { "(", EXPR_OPEN, NULL },
    { ")", EXPR_CLOSE, NULL },
    { ",", EXPR_COMMA, NULL },
    { ".", EXPR_DOT, NULL },
    { "!", EXPR_END, "not" },
    { "&", EXPR_END, "and" },
    { "|", EXPR_END, "or, and || to join texts" },
    { "\xe2\x80\x98", EXPR_END, "the plain quote '" },
    { "\xe2\x80\x99", EXPR_END, "the plain quote '" },
    { "\xe2\x80\x9c", EXPR_END, "the plain quote '" },
    { "\xe2\x80\x9d", EXPR_END, "the plain quote '" },
};

static int lex_symbol(struct expr_lexer *lexer, struct expr_token *token)
{
    const struct expr_source *source = lexer->source;
    for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
        const struct symbol *symbol = &symbols[i];
        const uint32_t len = (uint32_t)strlen(symbol->text);
        if (len > source->len - token->at || memcmp(source->text + token->at, symbol->text, len) != 0)
            continue;
        if (symbol->instead)
            return leat__expr_fail(
                source, token->at, "unexpected \"%s\"; write %s", symbol->text, symbol->instead);
        token->kind = symbol->kind;
        token->len = len;
        lexer->at = token->at + len;
        return 0;
    }
    uint32_t len = 1;
    while (token->at + len < source->len && ((unsigned char)source->text[token->at + len] & 0xc0) == 0x80)
        len++;
    if ((unsigned char)source->text[token->at] < 0x20)
        return leat__expr_fail(
            source, token->at, "unexpected byte 0x%02x", (unsigned)source->text[token->at] & 0xffu);
    return leat__expr_fail(
        source, token->at, "unexpected character \"%.*s\"", (int)len, source->text + token->at);
}

int leat__expr_lex(struct expr_lexer *lexer, struct expr_token *token)
{
    const struct expr_source *source = lexer->source;
    while (lexer->at < source->len && is_space(source->text[lexer->at]))
        lexer->at++;
    *token = (struct expr_token){ .kind = EXPR_END, .at = lexer->at };
    if (lexer->at == source->len)
        return 0;
    const char c = source->text[lexer->at];
    if (is_digit(c))
        return lex_number(lexer, token);
    if (c == '\'' || c == '"') {
        const int code = lex_quoted(lexer, token);
        token->len = lexer->at - token->at;
        return code;
    }
    if (!is_word_start(c))
        return lex_symbol(lexer, token);
    while (lexer->at < source->len &&
        (is_word_start(source->text[lexer->at]) || is_digit(source->text[lexer->at])))
        lexer->at++;
    token->kind = EXPR_WORD;
    token->len = lexer->at - token->at;
    token->text = (struct leat_sv){ source->text + token->at, token->len };
    return 0;
}
