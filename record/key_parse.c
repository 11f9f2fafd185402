/* record/key_parse.c -- the text of a key to its parts.
 *
 *   "customer.id, lower( email ) AS mail"   "customer.id" a path; "lower(email)", named mail
 *
 * The tokens are those of expressions, so that a comma in a call or a text ends no part. A part that is names and dots
 * alone is the path of a field, whatever its names mean to expressions; all else is an expression. Each part is
 * spelled anew from its tokens: one space where one is needed, one spelling of each operator, functions and keywords
 * in lower case. Keys are compared by these texts, in plans and in checkpoints. */
#include "record/key_private.h"
#include "record/expr_private.h"
#include "base/strbuf.h"

struct splitter {
    struct expr_lexer lexer;
    struct expr_token now, next;
    enum expr_token_kind before; /* of this part; EXPR_END: it begins */
    bool after_sign; /* the token before was the sign of a value */
    bool after_keyword;
    uint32_t depth;
    struct leat_strbuf text;
    struct leat__key_piece *piece;
};

static int advance(struct splitter *s)
{
    s->now = s->next;
    return leat__expr_lex(&s->lexer, &s->next);
}

static bool ends_value(const struct splitter *s)
{
    switch (s->before) {
    case EXPR_INTEGER:
    case EXPR_REAL:
    case EXPR_TEXT:
    case EXPR_NAME:
    case EXPR_CLOSE:
        return true;
    case EXPR_WORD:
        return !s->after_keyword;
    default:
        return false;
    }
}

static bool needs_space(const struct splitter *s, bool is_call)
{
    const enum expr_token_kind kind = s->now.kind;
    if (s->before == EXPR_END || s->before == EXPR_OPEN || s->before == EXPR_DOT || s->after_sign)
        return false;
    if (kind == EXPR_CLOSE || kind == EXPR_COMMA || kind == EXPR_DOT)
        return false;
    return kind != EXPR_OPEN || !is_call;
}

static bool is_keyword(const struct splitter *s)
{
    if (s->now.kind != EXPR_WORD || s->before == EXPR_DOT || s->next.kind == EXPR_DOT)
        return false;
    return leat__expr_is_reserved(&s->now) ||
        (s->next.kind == EXPR_TEXT &&
            (leat__expr_same_word(s->now.text, "timestamp") ||
                leat__expr_same_word(s->now.text, "interval")));
}

static void print_lower(struct leat_strbuf *out, struct leat_sv word)
{
    for (size_t i = 0; i < word.len; i++) {
        const char c = word.data[i];
        leat__strbuf_char(out, c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c);
    }
}

/* Adds the token to the text of its part. */
static void print_token(struct splitter *s)
{
    const struct expr_token *token = &s->now;
    const bool is_call = s->before == EXPR_WORD && !s->after_keyword;
    const bool keyword = is_keyword(s);
    const bool is_sign = (token->kind == EXPR_MINUS || token->kind == EXPR_PLUS) && !ends_value(s);
    if (needs_space(s, is_call))
        leat__strbuf_char(&s->text, ' ');
    if (token->kind == EXPR_EQ || token->kind == EXPR_NE)
        leat__strbuf_str(&s->text, token->kind == EXPR_EQ ? "=" : "!=");
    else if (keyword || (token->kind == EXPR_WORD && s->next.kind == EXPR_OPEN))
        print_lower(&s->text, token->text);
    else
        leat__strbuf_add(&s->text, s->lexer.source->text + token->at, token->len);
    s->before = token->kind;
    s->after_sign = is_sign;
    s->after_keyword = keyword;
    s->depth += token->kind == EXPR_OPEN;
    s->depth -= token->kind == EXPR_CLOSE && s->depth > 0;
    s->piece->to = token->at + token->len;
}

static bool ends_part(const struct splitter *s)
{
    return s->now.kind == EXPR_END || (s->now.kind == EXPR_COMMA && s->depth == 0);
}

/* `as` between parts of an expression is within cast( ); a field of this name is alone, or behind a dot. */
static bool is_as(const struct splitter *s)
{
    return s->depth == 0 && s->before != EXPR_END && s->before != EXPR_DOT && s->now.kind == EXPR_WORD &&
        leat__expr_same_word(s->now.text, "as");
}

static int parse_as(struct splitter *s, struct leat_error *err)
{
    const struct expr_source *source = s->lexer.source;
    LEAT_TRY(advance(s));
    if (s->now.kind != EXPR_WORD)
        return leat__expr_fail(source, s->now.at, "a name is missing behind \"as\": lower(email) as email");
    if (s->now.text.len > LEAT_NAME_BYTES_MAX)
        return leat__expr_fail(source, s->now.at, "the name has more than %u bytes", LEAT_NAME_BYTES_MAX);
    s->piece->as = leat__arena_strn(s->lexer.arena, s->now.text.data, s->now.text.len);
    if (!s->piece->as)
        return leat__error(err, LEAT_ENOMEM, "out of memory for a key");
    LEAT_TRY(advance(s));
    if (ends_part(s))
        return 0;
    return leat__expr_fail(source, s->now.at,
        "unexpected behind the name \"%s\"; parts of a key are separated by commas", s->piece->as);
}

/* A field's name is as it is, also where it is a keyword. */
static char *copy_path(const struct splitter *s)
{
    const char *from = s->lexer.source->text + s->piece->from;
    const uint32_t len = s->piece->to - s->piece->from;
    char *path = leat__arena_alloc(s->lexer.arena, len + 1), *at = path;
    for (uint32_t i = 0; path && i < len; i++)
        if (from[i] != ' ' && from[i] != '\t' && from[i] != '\n' && from[i] != '\r')
            *at++ = from[i];
    if (path)
        *at = '\0';
    return path;
}

static int parse_part(struct splitter *s, struct leat_error *err)
{
    struct leat__key_piece *piece = s->piece;
    leat__strbuf_clear(&s->text);
    *piece = (struct leat__key_piece){ .from = s->now.at, .is_path = true };
    s->before = EXPR_END;
    s->after_sign = s->after_keyword = false;
    s->depth = 0;
    while (!ends_part(s) && !is_as(s)) {
        const bool is_name = s->before == EXPR_END || s->before == EXPR_DOT;
        piece->is_path = piece->is_path && s->now.kind == (is_name ? EXPR_WORD : EXPR_DOT);
        print_token(s);
        LEAT_TRY(advance(s));
    }
    if (s->before == EXPR_END)
        return leat__error(err, LEAT_EDECLARE, "a key has a field without a name; expected \"a, b\"");
    piece->is_path = piece->is_path && s->before == EXPR_WORD;
    if (!ends_part(s))
        LEAT_TRY(parse_as(s, err));
    if (!s->text.failed)
        piece->text =
            piece->is_path ? copy_path(s) : leat__arena_strn(s->lexer.arena, s->text.data, s->text.len);
    return piece->text ? 0 : leat__error(err, LEAT_ENOMEM, "out of memory for a key");
}

static int parse_parts(struct splitter *s, struct leat__key_piece pieces[LEAT_KEY_FIELDS_MAX],
    uint32_t *count, struct leat_error *err)
{
    LEAT_TRY(advance(s));
    LEAT_TRY(advance(s));
    for (;;) {
        if (*count == LEAT_KEY_FIELDS_MAX)
            return leat__error(err, LEAT_EDECLARE, "a key of more than %u fields", LEAT_KEY_FIELDS_MAX);
        s->piece = &pieces[(*count)++];
        LEAT_TRY(parse_part(s, err));
        if (s->now.kind == EXPR_END)
            return 0;
        LEAT_TRY(advance(s));
    }
}

int leat__key_parse(struct leat_arena *arena, const char *text,
    struct leat__key_piece pieces[LEAT_KEY_FIELDS_MAX], uint32_t *count, struct leat_error *err)
{
    struct leat_error unseen = { 0 };
    const size_t len = strlen(text);
    const struct expr_source source = { text, (uint32_t)len, err ? err : &unseen };
    struct splitter s = { .lexer = { &source, arena, 0 }, .next = { .kind = EXPR_END } };
    *count = 0;
    if (len > LEAT_EXPR_BYTES_MAX)
        return leat__error(err, LEAT_EDECLARE, "a key of more than %u bytes", LEAT_EXPR_BYTES_MAX);
    const int code = parse_parts(&s, pieces, count, err);
    leat__strbuf_release(&s.text);
    return code;
}
