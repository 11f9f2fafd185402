/* record/json_decode.c -- from tokens to records, by a plan.
 *
 *   decode(plan, to): by kind: one token is checked and stored; brackets walk their members and items
 *   record: each member's name is compared with the field that should come next, then looked up; one bit per
 *           field remembers what was seen; what was not gets its default, or null, or is an error
 *   union:  AVRO names the branch; PLAIN tries them in order and goes back to the value's first token
 *
 * Recursion is as deep as the type. A value is decoded into zeroed memory; where memory is used a second time
 * (a member that occurs twice, the next branch) it is zeroed again. Strings are copied to the batch's arena;
 * what a document takes there is bounded by LEAT_RECORD_BYTES_MAX, since a few bytes of text may stand for a
 * large struct. */
#include "base/alloc.h"
#include "base/limits.h"
#include "base/near.h"
#include "record/json_private.h"
#include "record/number_text.h"
#include "record/time_text.h"
#include <stdio.h>

#define NEAR_CANDIDATES_MAX 64u

static int decode(struct leat_json_decoder *d, const struct json_plan *plan, unsigned char *to);

/* ---- memory ---- */

static int count_bytes(struct leat_json_decoder *d, size_t size)
{
    d->bytes += size;
    if (d->bytes > LEAT_RECORD_BYTES_MAX)
        return leat__error(d->err, LEAT_EDATA, "the record takes more than %u bytes in memory, the limit",
            LEAT_RECORD_BYTES_MAX);
    return 0;
}

static int take_memory(struct leat_json_decoder *d, size_t size, size_t align, void **memory)
{
    LEAT_TRY(count_bytes(d, size));
    *memory = d->batch ? leat__batch_alloc(d->batch, size, align) : leat__arena_alloc(&d->arena, size);
    return *memory ? 0 : leat__json_no_memory(d);
}

/* ---- scalars ---- */

static int decode_boolean(struct leat_json_decoder *d, unsigned char *to)
{
    const char c = json_peek(d);
    if (c != 't' && c != 'f')
        return leat__json_mismatch(d, "true or false");
    const struct leat_sv word = json_token(d);
    *to = leat_sv_eq(word, LEAT_SV("true"));
    if (!*to && !leat_sv_eq(word, LEAT_SV("false")))
        return leat__json_mismatch(d, "true or false");
    d->at++;
    return 0;
}

/* Whether the current token is null; moves past it if so. */
static bool take_null(struct leat_json_decoder *d)
{
    if (json_peek(d) != 'n' || !leat_sv_eq(json_token(d), LEAT_SV("null")))
        return false;
    d->at++;
    return true;
}

static int decode_null(struct leat_json_decoder *d)
{
    return take_null(d) ? 0 : leat__json_mismatch(d, "null");
}

/* A token that is no short run of digits: the error, or a number at the ends of the range. */
static int read_whole_slow(
    struct leat_json_decoder *d, const struct leat_type *type, struct leat_sv token, int64_t *value)
{
    const char *expected = type->kind == LEAT_KIND_INT ? "a whole number (int)" : "a whole number (long)";
    if (type->kind == LEAT_KIND_LONG && d->dialect == JSON_DIALECT_PLAIN &&
        leat__time_is_timestamp(type->logical))
        expected = "a whole number or an RFC 3339 timestamp";
    if (leat__json_number_kind(token.data, token.len) != 1)
        return leat__json_mismatch(d, expected);
    if (leat__i64_parse(token.data, token.len, value) < 0)
        return leat__json_mismatch(d, "a whole number within the range of long");
    return 0;
}

static int read_whole(struct leat_json_decoder *d, const struct leat_type *type, int64_t *value)
{
    const char first = json_peek(d);
    if (first != '-' && (first < '0' || first > '9'))
        return read_whole_slow(d, type, (struct leat_sv){ "", 0 }, value);
    const struct leat_sv token = json_token(d);
    const bool negative = first == '-';
    size_t i = negative;
    int64_t n = 0;
    if (token.len > 18 || token.len == i || (token.data[i] == '0' && token.len > i + 1))
        return read_whole_slow(d, type, token, value);
    for (; i < token.len; i++) {
        const unsigned digit = (unsigned)(unsigned char)token.data[i] - '0';
        if (digit > 9)
            return read_whole_slow(d, type, token, value);
        n = n * 10 + digit;
    }
    *value = negative ? -n : n;
    return 0;
}

static int decode_int(struct leat_json_decoder *d, const struct leat_type *type, unsigned char *to)
{
    int64_t value;
    LEAT_TRY(read_whole(d, type, &value));
    if (value < INT32_MIN || value > INT32_MAX)
        return leat__json_mismatch(d, "a whole number within the range of int");
    const int32_t narrow = (int32_t)value;
    memcpy(to, &narrow, sizeof narrow);
    d->at++;
    return 0;
}

static int read_timestamp(struct leat_json_decoder *d, const struct leat_type *type, int64_t *value)
{
    struct leat_sv text;
    LEAT_TRY(leat__json_string(d, "", &text));
    LEAT_TRY(leat__json_plain_string(d, &text));
    const int code = leat__time_parse_as(type->logical, text.data, text.len, value);
    if (code == LEAT_EOVERFLOW)
        return leat__json_mismatch(d, "a timestamp within the range of its type");
    if (code < 0)
        return leat__json_mismatch(d, "a whole number or an RFC 3339 timestamp");
    return 0;
}

static int decode_long(struct leat_json_decoder *d, const struct leat_type *type, unsigned char *to)
{
    int64_t value;
    if (json_peek(d) == '"' && d->dialect == JSON_DIALECT_PLAIN && leat__time_is_timestamp(type->logical))
        LEAT_TRY(read_timestamp(d, type, &value));
    else
        LEAT_TRY(read_whole(d, type, &value));
    memcpy(to, &value, sizeof value);
    d->at++;
    return 0;
}

static int decode_floating(struct leat_json_decoder *d, const struct leat_type *type, unsigned char *to)
{
    const char first = json_peek(d);
    if (first != '-' && (first < '0' || first > '9'))
        return leat__json_mismatch(d, "a number");
    const struct leat_sv token = json_token(d);
    if (!leat__json_number_kind(token.data, token.len))
        return leat__json_mismatch(d, "a number");
    int code;
    if (type->kind == LEAT_KIND_FLOAT) {
        float value = 0;
        code = leat__float_parse(token.data, token.len, &value);
        memcpy(to, &value, sizeof value);
    } else {
        double value = 0;
        code = leat__double_parse(token.data, token.len, &value);
        memcpy(to, &value, sizeof value);
    }
    if (code < 0)
        return leat__json_mismatch(d, "a number within the range of its type");
    d->at++;
    return 0;
}

/* ---- strings ---- */

static int decode_text(struct leat_json_decoder *d, const char *expected, struct leat_sv *sv)
{
    struct leat_sv inside = { "", 0 };
    void *memory;
    LEAT_TRY(leat__json_string(d, expected, &inside));
    *sv = (struct leat_sv){ "", 0 };
    if (inside.len > 0) {
        LEAT_TRY(take_memory(d, inside.len, 1, &memory));
        ptrdiff_t len = (ptrdiff_t)inside.len;
        if (memchr(inside.data, '\\', inside.len))
            len = leat__json_unescape(inside.data, inside.len, memory);
        else
            memcpy(memory, inside.data, inside.len);
        if (len < 0)
            return leat__json_bad_syntax(d, "good escapes");
        *sv = (struct leat_sv){ memory, (size_t)len };
    }
    d->at++;
    return 0;
}

/* UTF-8 of code points up to 255 as one byte each, in place; -1 when there is another. */
static ptrdiff_t narrow(char *text, size_t len)
{
    char *to = text;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x80) {
            if (c > 0xc3) /* the text is UTF-8: c2 and c3 lead to 80 to ff */
                return -1;
            c = (unsigned char)(c << 6 | ((unsigned char)text[++i] & 0x3f));
        }
        *to++ = (char)c;
    }
    return to - text;
}

static int decode_bytes(struct leat_json_decoder *d, unsigned char *to)
{
    struct leat_sv sv;
    const uint32_t at = d->at;
    LEAT_TRY(decode_text(d, "a string", &sv));
    if (d->dialect != JSON_DIALECT_PLAIN && sv.len > 0) {
        char *text = (char *)(uintptr_t)sv.data; /* our own copy */
        const ptrdiff_t len = narrow(text, sv.len);
        if (len < 0) {
            d->at = at;
            return leat__json_mismatch(d, "a string of the characters 0 to 255");
        }
        sv.len = (size_t)len;
    }
    memcpy(to, &sv, sizeof sv);
    return 0;
}

static int decode_fixed(struct leat_json_decoder *d, const struct leat_type *type, unsigned char *to)
{
    char expected[80];
    struct leat_sv inside = { "", 0 };
    (void)snprintf(expected, sizeof expected, "a string of %u characters from 0 to 255", type->size);
    LEAT_TRY(leat__json_string(d, expected, &inside));
    leat__strbuf_clear(&d->unescaped);
    if (!leat__strbuf_reserve(&d->unescaped, inside.len))
        return leat__json_no_memory(d);
    ptrdiff_t len = leat__json_unescape(inside.data, inside.len, d->unescaped.data);
    if (len < 0)
        return leat__json_bad_syntax(d, "good escapes");
    len = narrow(d->unescaped.data, (size_t)len);
    if (len != (ptrdiff_t)type->size)
        return leat__json_mismatch(d, expected);
    if (len > 0)
        memcpy(to, d->unescaped.data, (size_t)len);
    d->at++;
    return 0;
}

/* Appends names, "RED, GREEN, ..." where they are many. */
static void list_names(char *text, size_t size, const struct json_words *words)
{
    const size_t enough = size - 80;
    size_t at = strlen(text);
    for (uint32_t i = 0; i < words->count; i++) {
        const char *separator = i > 0 ? ", " : "";
        if (at > enough) {
            (void)snprintf(text + at, size - at, ", ...");
            return;
        }
        at += (size_t)snprintf(text + at, size - at, "%s%.60s", separator, words->words[i].data);
    }
}

void leat__json_symbols_text(const struct json_plan *plan, char *text, size_t size)
{
    (void)snprintf(text, size, "a symbol of %.60s: ", plan->type->name);
    list_names(text, size, &plan->words);
}

void leat__json_symbols_hint(const struct json_plan *plan, struct leat_sv got, struct leat_error *err)
{
    const struct leat_type *type = plan->type;
    char word[64];
    if (got.len >= sizeof word || !err)
        return;
    memcpy(word, got.data, got.len);
    word[got.len] = '\0';
    const int near = leat__near(word, type->symbols,
        type->symbols_count < NEAR_CANDIDATES_MAX ? type->symbols_count : NEAR_CANDIDATES_MAX);
    const size_t len = strlen(err->message);
    if (near >= 0)
        (void)snprintf(
            err->message + len, sizeof err->message - len, "; did you mean \"%.60s\"?", type->symbols[near]);
}

static int bad_symbol(struct leat_json_decoder *d, const struct json_plan *plan, struct leat_sv got)
{
    char expected[300];
    if (d->quiet)
        return LEAT_EDATA;
    leat__json_symbols_text(plan, expected, sizeof expected);
    const int code = leat__json_mismatch(d, expected);
    leat__json_symbols_hint(plan, got, d->err);
    return code;
}

static int decode_enum(struct leat_json_decoder *d, const struct json_plan *plan, unsigned char *to)
{
    struct leat_sv inside = { "", 0 };
    if (json_peek(d) != '"')
        return bad_symbol(d, plan, inside);
    LEAT_TRY(leat__json_string(d, "", &inside));
    LEAT_TRY(leat__json_plain_string(d, &inside));
    const int64_t number = leat__json_words_find(&plan->words, inside.data, inside.len);
    if (number < 0)
        return bad_symbol(d, plan, inside);
    const int32_t symbol = (int32_t)number;
    memcpy(to, &symbol, sizeof symbol);
    d->at++;
    return 0;
}

/* ---- records ---- */

/* The value of a nullable field that is not null: in AVRO mode wrapped, {"branch": value}. */
static int decode_branch(struct leat_json_decoder *d, const struct json_plan *plan, unsigned char *to)
{
    struct leat_sv key;
    if (d->dialect != JSON_DIALECT_AVRO)
        return decode(d, plan, to);
    const char *name = plan->type->name;
    char expected[128];
    (void)snprintf(expected, sizeof expected, "null or {\"%.80s\": ...}", name);
    if (json_peek(d) != '{')
        return leat__json_mismatch(d, expected);
    const uint32_t at = d->at++;
    LEAT_TRY(leat__json_key(d, &key));
    if (key.len != strlen(name) || memcmp(key.data, name, key.len) != 0) {
        d->at = at + 1;
        return leat__json_mismatch(d, expected);
    }
    LEAT_TRY(decode(d, plan, to));
    if (json_peek(d) != '}')
        return leat__json_bad_syntax(d, "'}'");
    d->at++;
    return 0;
}

static int put_default(struct leat_json_decoder *d, const struct json_field *field, unsigned char *row)
{
    const struct json_default *fallback = field->fallback;
    if (fallback->is_null)
        return 0; /* the row is zeroed */
    if (field->has_offset != LEAT_NOT_NULLABLE)
        row[field->has_offset] = true;
    unsigned char *to = row + field->offset;
    memcpy(to, fallback->value, field->plan->type->size);
    if (fallback->view_bytes == 0 || !d->batch)
        return 0; /* another default's views stay in the decoder's arena */
    LEAT_TRY(count_bytes(d, fallback->view_bytes));
    return leat__copy_adopt(fallback->copier, d->batch, to) < 0 ? leat__json_no_memory(d) : 0;
}

/* Fields that the text did not have. */
static int fill_missing(
    struct leat_json_decoder *d, const struct json_plan *plan, const uint64_t *seen, unsigned char *row)
{
    const struct leat_type *type = plan->type;
    for (uint32_t i = 0; i < type->fields_count; i++) {
        const struct json_field *field = &plan->fields[i];
        if (seen[i / 64] >> i % 64 & 1)
            continue;
        if (field->fallback) {
            LEAT_TRY(put_default(d, field, row));
            continue;
        }
        const bool may_be_null =
            field->has_offset != LEAT_NOT_NULLABLE || field->plan->type->kind == LEAT_KIND_NULL;
        if (may_be_null && d->dialect == JSON_DIALECT_PLAIN)
            continue;
        leat__json_path_name(&d->path, type->fields[i].name, strlen(type->fields[i].name));
        if (d->quiet)
            return LEAT_EDATA;
        return leat__error(d->err, LEAT_EDATA, "missing, and the schema has no default for it");
    }
    return 0;
}

static int decode_field(
    struct leat_json_decoder *d, const struct json_plan *plan, uint32_t i, uint64_t *seen, unsigned char *row)
{
    const struct json_field *field = &plan->fields[i];
    unsigned char *to = row + field->offset;
    const uint64_t bit = UINT64_C(1) << i % 64;
    if (seen[i / 64] & bit) { /* once more: the last one counts */
        memset(to, 0, field->plan->type->size);
        if (field->has_offset != LEAT_NOT_NULLABLE)
            row[field->has_offset] = false;
    }
    seen[i / 64] |= bit;
    if (field->has_offset == LEAT_NOT_NULLABLE)
        return decode(d, field->plan, to);
    if (take_null(d))
        return 0;
    row[field->has_offset] = true;
    return decode_branch(d, field->plan, to);
}

/* Whether the current token is the name of field `expected`, as it is, with its colon behind it; moves past
 * both if so. The common case costs one comparison and no search for the name's end or for escapes. */
static inline bool take_expected_key(
    struct leat_json_decoder *d, const struct json_words *words, uint32_t expected)
{
    if (expected >= words->count || d->at + 1 >= d->count)
        return false;
    const struct leat_sv word = words->words[expected];
    const uint32_t *tokens = d->tokens + d->at;
    const char *key = d->text + tokens[0];
    if (tokens[1] - tokens[0] < word.len + 2 || d->text[tokens[1]] != ':' || key[0] != '"' ||
        memcmp(key + 1, word.data, word.len) != 0 || key[word.len + 1] != '"')
        return false;
    /* Between the quote and the colon there is only white space, or it is no token. */
    for (const char *p = key + word.len + 2; p < d->text + tokens[1]; p++)
        if (!json_is_space(*p))
            return false;
    d->at += 2;
    return true;
}

static int decode_members(
    struct leat_json_decoder *d, const struct json_plan *plan, uint64_t *seen, unsigned char *row)
{
    uint32_t expected = 0;
    int more = 1;
    if (json_peek(d) == '}') {
        d->at++;
        more = 0;
    }
    while (more) {
        struct leat_sv key;
        int64_t found = expected;
        if (!take_expected_key(d, &plan->words, expected)) {
            LEAT_TRY(leat__json_key(d, &key));
            found = leat__json_words_find(&plan->words, key.data, key.len);
        }
        if (found < 0) {
            LEAT_TRY(leat__json_skip(d));
        } else {
            expected = (uint32_t)found + 1;
            const int code = decode_field(d, plan, (uint32_t)found, seen, row);
            if (code < 0) {
                leat__json_path_name(&d->path, plan->words.words[found].data, plan->words.words[found].len);
                return code;
            }
        }
        more = leat__json_more(d, '}');
        if (more < 0)
            return more;
    }
    return fill_missing(d, plan, seen, row);
}

static int decode_record(struct leat_json_decoder *d, const struct json_plan *plan, unsigned char *row)
{
    if (json_peek(d) != '{')
        return leat__json_mismatch(d, "an object");
    d->at++;
    uint64_t *seen = d->scratch_at;
    d->scratch_at += plan->seen_words;
    for (uint32_t i = 0; i < plan->seen_words; i++)
        seen[i] = 0;
    const int code = decode_members(d, plan, seen, row);
    d->scratch_at = seen;
    return code;
}

/* ---- arrays and maps ---- */

/* Items or members of the bracket before the current token, by its commas; more than there are when it is not
 * closed well, which decoding finds. */
static size_t count_items(const struct leat_json_decoder *d, char close)
{
    size_t commas = 0, depth = 0;
    if (json_peek(d) == close)
        return 0;
    for (uint32_t i = d->at; i < d->count; i++) {
        const char c = d->text[d->tokens[i]];
        if (c == '[' || c == '{')
            depth++;
        else if ((c == ']' || c == '}') && depth-- == 0)
            break;
        else if (c == ',' && depth == 0)
            commas++;
    }
    return commas + 1;
}

static int take_items(
    struct leat_json_decoder *d, size_t count, size_t size, size_t align, unsigned char **items)
{
    void *memory;
    *items = NULL;
    if (count == 0 || size == 0)
        return 0;
    LEAT_TRY(take_memory(d, count * size, align, &memory));
    *items = memset(memory, 0, count * size);
    return 0;
}

static int decode_array(struct leat_json_decoder *d, const struct json_plan *plan, unsigned char *to)
{
    unsigned char *items;
    const size_t size = plan->item->type->size;
    if (json_peek(d) != '[')
        return leat__json_mismatch(d, "an array");
    d->at++;
    const size_t count = count_items(d, ']');
    LEAT_TRY(take_items(d, count, size, plan->item->type->align, &items));
    const struct leat_array array = { items ? (const void *)items : "", count };
    int more = count > 0;
    if (!more)
        d->at++;
    for (size_t i = 0; more; i++) {
        const int code = i < count ? decode(d, plan->item, items ? items + i * size : to)
                                   : leat__json_bad_syntax(d, "']'");
        if (code < 0) {
            leat__json_path_index(&d->path, i);
            return code;
        }
        more = leat__json_more(d, ']');
        if (more < 0)
            return more;
    }
    memcpy(to, &array, sizeof array);
    return 0;
}

static int decode_entry(struct leat_json_decoder *d, const struct json_plan *plan, unsigned char *entry)
{
    struct leat_sv key;
    if (json_peek(d) != '"')
        return leat__json_bad_syntax(d, "a key");
    LEAT_TRY(decode_text(d, "a key", &key));
    memcpy(entry, &key, sizeof key);
    if (json_peek(d) != ':')
        return leat__json_bad_syntax(d, "':'");
    d->at++;
    const int code = decode(d, plan->item, entry + plan->type->value_offset);
    if (code < 0)
        leat__json_path_name(&d->path, key.data, key.len);
    return code;
}

/* Keeps the order of the text; a key that occurs twice is there twice. */
static int decode_map(struct leat_json_decoder *d, const struct json_plan *plan, unsigned char *to)
{
    unsigned char *entries;
    if (json_peek(d) != '{')
        return leat__json_mismatch(d, "an object");
    d->at++;
    const size_t count = count_items(d, '}');
    LEAT_TRY(take_items(d, count, plan->type->entry_size, _Alignof(struct leat_sv), &entries));
    const struct leat_map map = { entries ? (const void *)entries : "", count };
    int more = count > 0;
    if (!more)
        d->at++;
    for (size_t i = 0; more; i++) {
        if (i == count)
            return leat__json_bad_syntax(d, "'}'");
        LEAT_TRY(decode_entry(d, plan, entries + i * plan->type->entry_size));
        more = leat__json_more(d, '}');
        if (more < 0)
            return more;
    }
    memcpy(to, &map, sizeof map);
    return 0;
}

/* ---- unions ---- */

static int decode_optional(struct leat_json_decoder *d, const struct json_plan *plan, unsigned char *to)
{
    if (take_null(d))
        return 0;
    to[0] = true;
    return decode_branch(d, plan->item, to + plan->type->value_offset);
}

static int bad_branch(struct leat_json_decoder *d, const struct json_plan *plan, const char *what)
{
    char expected[300];
    (void)snprintf(expected, sizeof expected, "%s", what);
    list_names(expected, sizeof expected, &plan->words);
    return leat__json_mismatch(d, expected);
}

static int64_t find_null(const struct json_plan *plan)
{
    for (uint32_t i = 0; i < plan->type->fields_count; i++)
        if (plan->type->fields[i].type->kind == LEAT_KIND_NULL)
            return i;
    return -1;
}

static void put_tag(unsigned char *to, int64_t number)
{
    const int32_t tag = (int32_t)number;
    memcpy(to, &tag, sizeof tag);
}

static int decode_union_avro(struct leat_json_decoder *d, const struct json_plan *plan, unsigned char *to)
{
    struct leat_sv key;
    const int64_t null = find_null(plan);
    if (null >= 0 && take_null(d)) {
        put_tag(to, null);
        return 0;
    }
    if (json_peek(d) != '{')
        return bad_branch(
            d, plan, null >= 0 ? "null or an object with one member of " : "an object with one member of ");
    const uint32_t at = ++d->at;
    LEAT_TRY(leat__json_key(d, &key));
    const int64_t branch = leat__json_words_find(&plan->words, key.data, key.len);
    if (branch < 0) {
        d->at = at;
        return bad_branch(d, plan, "the name of a branch: ");
    }
    put_tag(to, branch);
    LEAT_TRY(decode(d, plan->branches[branch], to + plan->type->value_offset));
    if (json_peek(d) != '}')
        return leat__json_bad_syntax(d, "'}'");
    d->at++;
    return 0;
}

/* The first branch that fits. */
static int decode_union_plain(struct leat_json_decoder *d, const struct json_plan *plan, unsigned char *to)
{
    const uint32_t at = d->at;
    const size_t path_used = d->path.used;
    uint64_t *scratch_at = d->scratch_at;
    for (uint32_t i = 0; i < plan->type->fields_count; i++) {
        d->quiet++;
        const int code = decode(d, plan->branches[i], to + plan->type->value_offset);
        d->quiet--;
        if (code == 0) {
            put_tag(to, i);
            return 0;
        }
        if (code != LEAT_EDATA || d->bytes > LEAT_RECORD_BYTES_MAX)
            return code;
        d->at = at;
        d->path.used = path_used;
        d->scratch_at = scratch_at;
        memset(to, 0, plan->type->size);
    }
    return bad_branch(d, plan, "a value of one of ");
}

static int decode_union(struct leat_json_decoder *d, const struct json_plan *plan, unsigned char *to)
{
    switch (d->dialect) {
    case JSON_DIALECT_AVRO:
        return decode_union_avro(d, plan, to);
    case JSON_DIALECT_PLAIN:
        return decode_union_plain(d, plan, to);
    default:
        put_tag(to, 0);
        return decode(d, plan->branches[0], to + plan->type->value_offset);
    }
}

static int decode(struct leat_json_decoder *d, const struct json_plan *plan, unsigned char *to)
{
    struct leat_sv sv;
    switch (plan->type->kind) {
    case LEAT_KIND_NULL:
        return decode_null(d);
    case LEAT_KIND_BOOLEAN:
        return decode_boolean(d, to);
    case LEAT_KIND_INT:
        return decode_int(d, plan->type, to);
    case LEAT_KIND_LONG:
        return decode_long(d, plan->type, to);
    case LEAT_KIND_FLOAT:
    case LEAT_KIND_DOUBLE:
        return decode_floating(d, plan->type, to);
    case LEAT_KIND_BYTES:
        return decode_bytes(d, to);
    case LEAT_KIND_STRING:
        LEAT_TRY(decode_text(d, "a string", &sv));
        memcpy(to, &sv, sizeof sv);
        return 0;
    case LEAT_KIND_FIXED:
        return decode_fixed(d, plan->type, to);
    case LEAT_KIND_ENUM:
        return decode_enum(d, plan, to);
    case LEAT_KIND_RECORD:
        return decode_record(d, plan, to);
    case LEAT_KIND_ARRAY:
        return decode_array(d, plan, to);
    case LEAT_KIND_MAP:
        return decode_map(d, plan, to);
    case LEAT_KIND_UNION:
        return decode_union(d, plan, to);
    case LEAT_KIND_OPTIONAL:
        return decode_optional(d, plan, to);
    }
    return leat__error(d->err, LEAT_EUNSUPPORTED, "a type of unknown kind %d", (int)plan->type->kind);
}

/* ---- documents ---- */

static int decode_document(struct leat_json_decoder *d, const struct json_plan *plan, const char *text,
    size_t len, unsigned char *to, struct leat_error *err)
{
    const char *reason;
    d->err = err;
    if (len > LEAT_LINE_BYTES_MAX)
        return leat__error(
            err, LEAT_EDATA, "a document of %zu bytes; at most %u are possible", len, LEAT_LINE_BYTES_MAX);
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) { /* the byte order mark of a file's first line */
        text += 3;
        len -= 3;
    }
    const int code = leat__json_index_run(d->index, text, len, &d->tokens, &d->count, &reason);
    if (code == LEAT_EDATA)
        return leat__error(err, LEAT_EDATA, "not JSON: %s", reason);
    if (code < 0)
        return leat__json_no_memory(d);
    d->text = text;
    d->at = 0;
    d->quiet = 0;
    d->bytes = 0;
    d->scratch_at = d->scratch;
    d->path.used = 0;
    LEAT_TRY(decode(d, plan, to));
    return d->at < d->count ? leat__json_bad_syntax(d, "the end of the text") : 0;
}

int leat__json_decode(struct leat_json_decoder *decoder, const char *line, size_t len,
    struct leat_batch *batch, struct leat_error *err)
{
    struct leat_json_decoder *d = decoder;
    d->batch = batch;
    d->dialect = (enum json_dialect)d->mode;
    const int code = decode_document(d, d->plan, line, len, leat__batch_push(batch), err);
    if (code < 0) {
        batch->count--;
        leat__json_path_finish(&d->path, err);
        d->path.used = 0;
    }
    return code;
}

int leat__json_decode_default(struct leat_json_decoder *d, const struct json_plan *plan, const char *text,
    size_t len, void *to, struct leat_error *err)
{
    d->batch = NULL;
    d->dialect = JSON_DIALECT_DEFAULT;
    return decode_document(d, plan, text, len, to, err);
}

int leat__json_put_default(
    struct leat_json_decoder *d, uint32_t i, void *row, struct leat_batch *batch, struct leat_error *err)
{
    const struct json_field *field = &d->plan->fields[i];
    if (!field->fallback)
        return 0;
    d->batch = batch;
    d->err = err;
    d->bytes = 0;
    LEAT_TRY(put_default(d, field, row));
    return 1;
}

int leat__json_decoder_new(const struct leat_type *type, enum leat_json_mode mode,
    struct leat_json_decoder **decoder, struct leat_error *err)
{
    *decoder = NULL;
    struct leat_json_decoder *d = leat__calloc(1, sizeof *d);
    if (!d)
        return leat__error(err, LEAT_ENOMEM, "out of memory for a JSON decoder");
    d->mode = mode;
    int code = 0;
    if (leat__json_index_new(&d->index) < 0)
        code = leat__error(err, LEAT_ENOMEM, "out of memory for a JSON decoder");
    if (code == 0)
        code = leat__json_plan_new(d, type, err);
    if (code < 0) {
        leat__json_decoder_free(d);
        return code;
    }
    *decoder = d;
    return 0;
}

void leat__json_decoder_free(struct leat_json_decoder *decoder)
{
    if (!decoder)
        return;
    leat__json_plan_free(decoder);
    leat__json_index_free(decoder->index);
    leat__strbuf_release(&decoder->unescaped);
    leat__free(decoder);
}
