/* record/json_token.c -- single tokens of a JSON text, and the texts of errors about them. */
#include "record/json_private.h"
#include <stdio.h>

#define SHOWN_BYTES_MAX 40u
#define SKIP_DEPTH_MAX 1024u

/* ---- errors ---- */

int leat__json_no_memory(struct leat_json_decoder *d)
{
    return leat__error(d->err, LEAT_ENOMEM, "out of memory for a JSON document");
}

/* What stands at the current token, in a few words. */
static void describe(const struct leat_json_decoder *d, char *to, size_t size)
{
    const char first = json_peek(d);
    if (d->at >= d->count) {
        (void)snprintf(to, size, "the end of the text");
        return;
    }
    if (first == '{' || first == '[') {
        (void)snprintf(to, size, first == '{' ? "an object" : "an array");
        return;
    }
    const struct leat_sv token = json_token(d);
    size_t len = token.len < SHOWN_BYTES_MAX ? token.len : SHOWN_BYTES_MAX;
    const bool is_cut = len < token.len;
    while (is_cut && len > 0 && ((unsigned char)token.data[len] & 0xc0) == 0x80)
        len--; /* not within a character */
    const char *what = first == '"'                      ? "the string "
        : first == '-' || (first >= '0' && first <= '9') ? "the number "
                                                         : "";
    (void)snprintf(to, size, "%s%.*s%s", what, (int)len, token.data, is_cut ? "..." : "");
}

int leat__json_mismatch(struct leat_json_decoder *d, const char *expected)
{
    char found[128];
    if (d->quiet)
        return LEAT_EDATA;
    describe(d, found, sizeof found);
    return leat__error(d->err, LEAT_EDATA, "expected %s, found %s", expected, found);
}

int leat__json_bad_syntax(struct leat_json_decoder *d, const char *expected)
{
    char found[128];
    if (d->quiet)
        return LEAT_EDATA;
    describe(d, found, sizeof found);
    return leat__error(d->err, LEAT_EDATA, "not JSON: expected %s at byte %u, found %s", expected,
        d->tokens[d->at < d->count ? d->at : d->count] + 1, found);
}

/* ---- numbers ---- */

static size_t digits_len(const char *text, size_t len)
{
    size_t n = 0;
    while (n < len && text[n] >= '0' && text[n] <= '9')
        n++;
    return n;
}

int leat__json_number_kind(const char *text, size_t len)
{
    size_t at = len > 0 && text[0] == '-';
    int kind = 1;
    const size_t whole = digits_len(text + at, len - at);
    if (whole == 0 || (whole > 1 && text[at] == '0'))
        return 0;
    at += whole;
    if (at < len && text[at] == '.') {
        const size_t fraction = digits_len(text + at + 1, len - at - 1);
        if (fraction == 0)
            return 0;
        at += 1 + fraction;
        kind = 2;
    }
    if (at < len && (text[at] == 'e' || text[at] == 'E')) {
        at++;
        at += at < len && (text[at] == '+' || text[at] == '-');
        const size_t exponent = digits_len(text + at, len - at);
        if (exponent == 0)
            return 0;
        at += exponent;
        kind = 2;
    }
    return at == len ? kind : 0;
}

/* ---- strings ---- */

/* Four hexadecimal digits; -1 for others. */
static int32_t read_hex(const char *text)
{
    int32_t value = 0;
    for (int i = 0; i < 4; i++) {
        const char c = text[i];
        const int digit = c >= '0' && c <= '9' ? c - '0'
            : c >= 'a' && c <= 'f'             ? c - 'a' + 10
            : c >= 'A' && c <= 'F'             ? c - 'A' + 10
                                               : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

static char *put_utf8(char *to, uint32_t code)
{
    if (code < 0x80) {
        *to++ = (char)code;
    } else if (code < 0x800) {
        *to++ = (char)(0xc0 | code >> 6);
        *to++ = (char)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        *to++ = (char)(0xe0 | code >> 12);
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
        *to++ = (char)(0x80 | (code & 0x3f));
    } else {
        *to++ = (char)(0xf0 | code >> 18);
        *to++ = (char)(0x80 | (code >> 12 & 0x3f));
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
        *to++ = (char)(0x80 | (code & 0x3f));
    }
    return to;
}

/* The code point behind \u, two of them for a surrogate pair; *used is the number of bytes behind the u. */
static int32_t read_code_point(const char *text, size_t len, size_t *used)
{
    const int32_t first = len >= 4 ? read_hex(text) : -1;
    *used = 4;
    if (first < 0xd800 || first > 0xdfff)
        return first;
    if (first > 0xdbff || len < 10 || text[4] != '\\' || text[5] != 'u')
        return -1; /* half a pair */
    const int32_t second = read_hex(text + 6);
    if (second < 0xdc00 || second > 0xdfff)
        return -1;
    *used = 10;
    return 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
}

ptrdiff_t leat__json_unescape(const char *text, size_t len, char *to)
{
    static const char letters[] = "\"\\/bfnrt";
    static const char values[] = "\"\\/\b\f\n\r\t";
    const char *from = text, *end = text + len;
    char *at = to;
    while (from < end) {
        const char *escape = memchr(from, '\\', (size_t)(end - from));
        const size_t run = (size_t)((escape ? escape : end) - from);
        memcpy(at, from, run);
        at += run;
        from += run;
        if (!escape)
            break;
        if (end - from < 2)
            return -1;
        const char kind = from[1];
        from += 2;
        if (kind == 'u') {
            size_t used;
            const int32_t code = read_code_point(from, (size_t)(end - from), &used);
            if (code < 0)
                return -1;
            at = put_utf8(at, (uint32_t)code);
            from += used;
            continue;
        }
        const char *letter = kind ? strchr(letters, kind) : NULL;
        if (!letter)
            return -1;
        *at++ = values[letter - letters];
    }
    return at - to;
}

int leat__json_plain_string(struct leat_json_decoder *d, struct leat_sv *inside)
{
    if (inside->len == 0 || !memchr(inside->data, '\\', inside->len))
        return 0;
    leat__strbuf_clear(&d->unescaped);
    if (!leat__strbuf_reserve(&d->unescaped, inside->len))
        return leat__json_no_memory(d);
    const ptrdiff_t len = leat__json_unescape(inside->data, inside->len, d->unescaped.data);
    if (len < 0)
        return leat__json_bad_syntax(d, "good escapes");
    inside->data = d->unescaped.data;
    inside->len = (size_t)len;
    return 0;
}

/* ---- structure ---- */

int leat__json_key(struct leat_json_decoder *d, struct leat_sv *key)
{
    if (json_peek(d) != '"')
        return leat__json_bad_syntax(d, "a member's name");
    LEAT_TRY(leat__json_string(d, "a member's name", key));
    LEAT_TRY(leat__json_plain_string(d, key));
    d->at++;
    if (json_peek(d) != ':')
        return leat__json_bad_syntax(d, "':'");
    d->at++;
    return 0;
}

static int skip_scalar(struct leat_json_decoder *d)
{
    struct leat_sv token;
    const char c = json_peek(d);
    if (c == '"') {
        LEAT_TRY(leat__json_string(d, "", &token));
        LEAT_TRY(leat__json_plain_string(d, &token));
    } else if (d->at >= d->count) {
        return leat__json_bad_syntax(d, "a value");
    } else {
        token = json_token(d);
        if (!leat_sv_eq(token, LEAT_SV("true")) && !leat_sv_eq(token, LEAT_SV("false")) &&
            !leat_sv_eq(token, LEAT_SV("null")) && !leat__json_number_kind(token.data, token.len))
            return leat__json_bad_syntax(d, "a value");
    }
    d->at++;
    return 0;
}

/* Not recursive, since the depth of what is skipped is the text's to choose: one bit per open bracket. */
int leat__json_skip(struct leat_json_decoder *d)
{
    uint64_t objects[SKIP_DEPTH_MAX / 64];
    uint32_t depth = 0;
    struct leat_sv key;
    for (;;) {
        const char c = json_peek(d);
        const bool opens = c == '{' || c == '[';
        if (opens) {
            if (depth == SKIP_DEPTH_MAX)
                return leat__json_bad_syntax(d, "less than 1024 levels of brackets");
            const uint64_t bit = UINT64_C(1) << depth % 64;
            objects[depth / 64] = (depth % 64 ? objects[depth / 64] & ~bit : 0) | (c == '{' ? bit : 0);
            depth++;
            d->at++;
        } else {
            LEAT_TRY(skip_scalar(d));
        }
        bool fresh = opens; /* right behind an opening bracket, where a closing one may come */
        for (;;) {
            if (depth == 0)
                return 0;
            const bool in_object = objects[(depth - 1) / 64] >> (depth - 1) % 64 & 1;
            const char close = in_object ? '}' : ']';
            int more = 1;
            if (!fresh)
                more = leat__json_more(d, close);
            else if (json_peek(d) == close)
                more = (d->at++, 0);
            if (more < 0)
                return more;
            if (more && in_object)
                LEAT_TRY(leat__json_key(d, &key));
            if (more)
                break;
            depth--;
            fresh = false;
        }
    }
}
