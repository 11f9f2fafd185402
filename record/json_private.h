/* record/json_private.h -- what the files of the JSON decoder share.
 *
 *   json_simd.cc     finds where the tokens of a document begin (simdjson's first stage)
 *   json_plan.c      compiles a type into a plan: words by hash, defaults as ready values
 *   json_token.c     single tokens: strings, numbers, what is skipped, texts of errors
 *   json_decode.c    walks plan and tokens together
 *
 * A document is its text and the positions of its tokens: every bracket, colon and comma outside of strings,
 * and the first byte of every string, number and word. Between a token and the next there is nothing but the
 * token and white space, or the token is not JSON. So no byte is looked at twice, going back (for unions) is
 * setting an index, and no byte behind the text is read. */
#ifndef LEAT_RECORD_JSON_PRIVATE_H
#define LEAT_RECORD_JSON_PRIVATE_H
#include "base/arena.h"
#include "record/copy.h"
#include "record/json.h"
#include "record/json_path.h"
#include "record/json_simd.h"

/* Names to their numbers: fields, symbols, branches. */
struct json_words {
    const struct leat_sv *words;
    uint32_t count;
    uint32_t mask; /* of slots: a power of two - 1 */
    uint32_t *slots; /* number + 1, or 0; linear probing */
};

/* The value of a field that is not there. */
struct json_default {
    const void *value; /* of the field's type; its views point into the decoder's arena */
    bool is_null;
    size_t view_bytes; /* that every use copies */
    struct leat_copier *copier; /* NULL: there are no views */
    struct json_default *next; /* in the list of all */
};

struct json_plan {
    const struct leat_type *type;
    struct json_words
        words; /* record: fields; enum: symbols; union: branches; else of one: the name in a union */
    struct json_field *fields; /* record */
    struct json_plan **branches; /* union */
    struct json_plan *item; /* array, map, optional */
    uint32_t seen_words; /* record: 64-bit words for one bit per field */
    uint32_t scratch_words; /* seen_words of this record and of the deepest way down */
};

struct json_field {
    struct json_plan *plan;
    uint32_t offset;
    uint32_t has_offset;
    struct json_default *fallback; /* or NULL */
};

/* How the text is to be understood; the third is that of defaults in schemas: bytes as in AVRO mode, a
 * union's value is that of its first branch. */
enum json_dialect {
    JSON_DIALECT_PLAIN = LEAT_JSON_PLAIN,
    JSON_DIALECT_AVRO = LEAT_JSON_AVRO,
    JSON_DIALECT_DEFAULT
};

struct leat_json_decoder {
    struct leat_arena arena; /* plans and defaults */
    struct json_plan *plan;
    struct json_default *defaults;
    enum leat_json_mode mode;
    struct leat_json_index *index;
    struct leat_strbuf unescaped; /* keys, symbols and the like with escapes in them */
    uint64_t *scratch; /* a stack of seen bits */

    /* The document at hand. */
    enum json_dialect dialect;
    const char *text;
    const uint32_t *tokens; /* count positions, then the text's length */
    uint32_t count;
    uint32_t at;
    uint32_t quiet; /* > 0: errors need no text, another branch may fit */
    struct leat_batch *batch; /* memory for views; NULL: the arena */
    size_t bytes; /* of views so far */
    uint64_t *scratch_at;
    struct leat_error *err;
    struct leat_json_path path;
};

/* ---- json_plan.c ---- */

LEAT_NODISCARD int leat__json_plan_new(
    struct leat_json_decoder *d, const struct leat_type *type, struct leat_error *err);
void leat__json_plan_free(struct leat_json_decoder *d);
/* The number of a word or -1. */
int64_t leat__json_words_find(const struct json_words *words, const char *text, size_t len);

/* ---- json_decode.c ---- */

/* Decodes `text` as a default of the plan's type into `to`, with views in the decoder's arena. */
LEAT_NODISCARD int leat__json_decode_default(struct leat_json_decoder *d, const struct json_plan *plan,
    const char *text, size_t len, void *to, struct leat_error *err);
/* Field `i` of the decoder's record type, written into `row`, a row of `batch` or a struct within one: 1; 0
 * when the field has no default. For CSV. */
LEAT_NODISCARD int leat__json_put_default(
    struct leat_json_decoder *d, uint32_t i, void *row, struct leat_batch *batch, struct leat_error *err);

/* For errors about an enum: "a symbol of color: RED, GREEN", and "; did you mean ..." behind the message, if
 * any. */
void leat__json_symbols_text(const struct json_plan *plan, char *text, size_t size);
void leat__json_symbols_hint(const struct json_plan *plan, struct leat_sv got, struct leat_error *err);

/* ---- json_token.c ---- */

static inline bool json_is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* First byte of the current token; '\0' behind the last one (which no token begins with, since it is none).
 */
static inline char json_peek(const struct leat_json_decoder *d)
{
    return d->at < d->count ? d->text[d->tokens[d->at]] : '\0';
}

/* The current token without the white space behind it; the caller knows that there is one. */
static inline struct leat_sv json_token(const struct leat_json_decoder *d)
{
    const char *from = d->text + d->tokens[d->at];
    const char *to = d->text + d->tokens[d->at + 1];
    while (json_is_space(to[-1])) /* ends at the token's first byte at the latest */
        to--;
    return (struct leat_sv){ from, (size_t)(to - from) };
}

/* LEAT_EDATA "expected ..., found ..." about the current token. */
int leat__json_mismatch(struct leat_json_decoder *d, const char *expected);
/* LEAT_EDATA "not JSON: expected ... at byte 17, found ...". */
int leat__json_bad_syntax(struct leat_json_decoder *d, const char *expected);
int leat__json_no_memory(struct leat_json_decoder *d);

/* 0 when the text is no JSON number, 1 for digits alone, 2 with a point or an exponent. */
int leat__json_number_kind(const char *text, size_t len);

/* The inside of the current token, a string: *inside still has its escapes. */
static inline int leat__json_string(struct leat_json_decoder *d, const char *expected, struct leat_sv *inside)
{
    if (json_peek(d) != '"')
        return leat__json_mismatch(d, expected);
    const struct leat_sv token = json_token(d);
    if (token.len < 2 || token.data[token.len - 1] != '"')
        return leat__json_bad_syntax(d, "the end of a string");
    inside->data = token.data + 1;
    inside->len = token.len - 2;
    return 0;
}
/* Undoes escapes; `to` has room for len bytes. The length, or -1 for a bad escape. */
ptrdiff_t leat__json_unescape(const char *text, size_t len, char *to);
/* Undoes escapes where there are any: *inside then points into a buffer, until the next call. */
LEAT_NODISCARD int leat__json_plain_string(struct leat_json_decoder *d, struct leat_sv *inside);
/* A member's name and its colon; the value is next. As above. */
LEAT_NODISCARD int leat__json_key(struct leat_json_decoder *d, struct leat_sv *key);
/* Past the current value, which must be good JSON. */
LEAT_NODISCARD int leat__json_skip(struct leat_json_decoder *d);
/* Behind a member or an item: 1 when another follows, 0 when `close` ended the list; moves past either. */
static inline int leat__json_more(struct leat_json_decoder *d, char close)
{
    const char c = json_peek(d);
    if (c == ',' || c == close) {
        d->at++;
        return c == ',';
    }
    return leat__json_bad_syntax(d, close == '}' ? "',' or '}'" : "',' or ']'");
}
#endif
