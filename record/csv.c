/* record/csv.c -- reading CSV: which column is which field, cells, and what a cell means for a type.
 *
 * The header is compiled into one entry per column. The JSON decoder of the same type is at hand for what
 * both need: defaults and symbols. A cell is a view of the line unless it has doubled quotes, which are
 * undone in a buffer. */
#include "record/csv_private.h"
#include "base/alloc.h"
#include "base/limits.h"
#include "base/near.h"
#include "record/json_private.h"
#include "record/number_text.h"
#include "record/time_text.h"
#include <math.h>
#include <stdio.h>

#define BYTE_ORDER_MARK "\xef\xbb\xbf"
#define IGNORED UINT32_MAX
#define SHOWN_BYTES_MAX 40u
#define COLUMNS_MAX 65536u

struct leat_csv_decoder {
    const struct leat_type *type;
    char separator;
    struct leat_json_decoder *json; /* defaults and symbols */
    uint32_t *columns; /* number of the field, or IGNORED */
    char **names; /* of the columns */
    uint32_t columns_count, columns_capacity;
    uint32_t *missing; /* fields that no column has */
    uint32_t missing_count;
    struct leat_strbuf undoubled;
    struct leat_arena arena; /* names */
};

struct cell {
    struct leat_sv text;
    bool is_quoted;
};

/* A record that is being taken apart. */
struct cursor {
    const char *at;
    const char *end;
    bool more; /* a cell follows: at the start, and behind a separator */
};

/* ---- cells ---- */

size_t leat__csv_record_end(const char *text, size_t len)
{
    size_t at = 0;
    for (;;) {
        const char *line_end = memchr(text + at, '\n', len - at);
        const size_t stop = line_end ? (size_t)(line_end - text) : len;
        const char *quote = memchr(text + at, '"', stop - at);
        if (!quote)
            return line_end ? stop + 1 : 0;
        at = (size_t)(quote - text) + 1;
        const bool behind_mark = at == 4 && memcmp(text, BYTE_ORDER_MARK, 3) == 0;
        if (quote > text && csv_is_wordy(quote[-1]) && !behind_mark)
            continue;
        for (;;) { /* to the quote that closes: one that is not doubled */
            quote = memchr(text + at, '"', len - at);
            if (!quote)
                return 0;
            at = (size_t)(quote - text) + 1;
            if (at == len || text[at] != '"')
                break;
            at++;
        }
    }
}

static struct cursor open_record(const char *line, size_t len)
{
    if (len > 0 && line[len - 1] == '\n')
        len--;
    if (len > 0 && line[len - 1] == '\r')
        len--;
    return (struct cursor){ line, line + len, true };
}

/* The cell at a quote: 0 or the text of what is wrong. */
static const char *read_quoted(
    struct leat_csv_decoder *d, struct cursor *c, struct cell *cell, bool *no_memory)
{
    const char *from = ++c->at;
    bool is_doubled = false;
    for (;;) {
        const char *quote = memchr(c->at, '"', (size_t)(c->end - c->at));
        if (!quote)
            return "a quote is not closed";
        c->at = quote + 1;
        if (c->at == c->end || *c->at != '"')
            break;
        is_doubled = true;
        c->at++;
    }
    cell->is_quoted = true;
    cell->text = (struct leat_sv){ from, (size_t)(c->at - 1 - from) };
    if (c->at < c->end && *c->at != d->separator)
        return "text follows the closing quote; write a quote within a cell twice";
    if (!is_doubled)
        return NULL;
    leat__strbuf_clear(&d->undoubled);
    if (!leat__strbuf_reserve(&d->undoubled, cell->text.len)) {
        *no_memory = true;
        return "";
    }
    char *to = d->undoubled.data;
    for (const char *p = from; p < c->at - 1; p++) {
        *to++ = *p;
        p += *p == '"';
    }
    cell->text = (struct leat_sv){ d->undoubled.data, (size_t)(to - d->undoubled.data) };
    return NULL;
}

static const char *read_unquoted(struct leat_csv_decoder *d, struct cursor *c, struct cell *cell)
{
    const char *from = c->at;
    for (; c->at < c->end && *c->at != d->separator; c->at++)
        if (*c->at == '"' && !csv_is_wordy(c->at[-1])) /* not the first byte, so there is one before */
            return "a quote within a cell; put the cell in quotes and write the quote twice";
    cell->is_quoted = false;
    cell->text = (struct leat_sv){ from, (size_t)(c->at - from) };
    return NULL;
}

/* The next cell, valid until the next call; the caller knows that there is one. LEAT_EDATA says what is wrong
 * with it. */
static int read_cell(struct leat_csv_decoder *d, struct cursor *c, struct cell *cell, struct leat_error *err)
{
    bool no_memory = false;
    const char *wrong =
        c->at < c->end && *c->at == '"' ? read_quoted(d, c, cell, &no_memory) : read_unquoted(d, c, cell);
    if (no_memory)
        return leat__error(err, LEAT_ENOMEM, "out of memory for a CSV cell");
    if (wrong)
        return leat__error(err, LEAT_EDATA, "%s", wrong);
    c->more = c->at < c->end;
    c->at += c->more;
    return 0;
}

/* ---- the header ---- */

static int no_memory(struct leat_error *err)
{
    return leat__error(err, LEAT_ENOMEM, "out of memory for a CSV decoder");
}

static uint32_t find_field(const struct leat_csv_decoder *d, struct leat_sv name)
{
    const int64_t number = leat__json_words_find(&d->json->plan->words, name.data, name.len);
    return number < 0 ? IGNORED : (uint32_t)number;
}

static int add_column(struct leat_csv_decoder *d, struct leat_sv name, struct leat_error *err)
{
    if (d->columns_count == COLUMNS_MAX)
        return leat__error(err, LEAT_EDATA, "the header has more than %u columns", COLUMNS_MAX);
    if (d->columns_count == d->columns_capacity) {
        const uint32_t capacity = d->columns_capacity ? d->columns_capacity * 2 : 16;
        uint32_t *columns = leat__realloc(d->columns, capacity * sizeof *columns);
        if (!columns)
            return no_memory(err);
        d->columns = columns;
        char **names = leat__realloc(d->names, capacity * sizeof *names);
        if (!names)
            return no_memory(err);
        d->names = names;
        d->columns_capacity = capacity;
    }
    char *copy = leat__arena_strn(&d->arena, name.data, name.len);
    if (!copy)
        return no_memory(err);
    d->names[d->columns_count] = copy;
    d->columns[d->columns_count] = find_field(d, name);
    d->columns_count++;
    return 0;
}

static int read_header(struct leat_csv_decoder *d, const char *header, size_t len, struct leat_error *err)
{
    struct cell cell;
    if (len >= 3 && memcmp(header, BYTE_ORDER_MARK, 3) == 0) {
        header += 3;
        len -= 3;
    }
    struct cursor c = open_record(header, len);
    if (c.at == c.end)
        return leat__error(err, LEAT_EDATA, "the header line is empty: it must name the columns");
    while (c.more) {
        int code = read_cell(d, &c, &cell, err);
        if (code < 0) {
            (void)leat__error_prefix(err, "header, column %u", d->columns_count + 1);
            return code;
        }
        LEAT_TRY(add_column(d, cell.text, err));
    }
    return 0;
}

/* "no column "total" (columns: id, ...); did you mean "Total"?" */
static int no_column(const struct leat_csv_decoder *d, const char *name, struct leat_error *err)
{
    char columns[300] = "";
    size_t at = 0;
    for (uint32_t i = 0; i < d->columns_count && at < 220; i++)
        at += (size_t)snprintf(columns + at, sizeof columns - at, "%s%.60s", i ? ", " : "", d->names[i]);
    if (at >= 220)
        (void)snprintf(columns + at, sizeof columns - at, ", ...");
    const int near = leat__near(name, (const char *const *)d->names, d->columns_count);
    char hint[100] = "";
    if (near >= 0)
        (void)snprintf(hint, sizeof hint, "; did you mean \"%.60s\"?", d->names[near]);
    return leat__error(err, LEAT_EDATA,
        "no column \"%s\", and the field has no default and can not be null (columns: %s)%s", name, columns,
        hint);
}

/* Finds the fields that have no column and checks that they can do without; and that none has two. */
static int match_fields(struct leat_csv_decoder *d, struct leat_error *err)
{
    const struct leat_type *type = d->type;
    d->missing = leat__calloc(type->fields_count, sizeof *d->missing);
    uint32_t *first = leat__calloc(type->fields_count, sizeof *first); /* column + 1 */
    int code = d->missing && first ? 0 : no_memory(err);
    for (uint32_t i = 0; code == 0 && i < d->columns_count; i++) {
        const uint32_t field = d->columns[i];
        if (field == IGNORED)
            continue;
        if (first[field])
            code = leat__error(err, LEAT_EDATA, "column \"%s\" is there twice, as number %u and number %u",
                d->names[i], first[field], i + 1);
        first[field] = i + 1;
    }
    for (uint32_t i = 0; code == 0 && i < type->fields_count; i++) {
        if (first[i])
            continue;
        const bool is_nullable =
            type->fields[i].has_offset != LEAT_NOT_NULLABLE || type->fields[i].type->kind == LEAT_KIND_NULL;
        if (!d->json->plan->fields[i].fallback && !is_nullable)
            code = no_column(d, type->fields[i].name, err);
        d->missing[d->missing_count++] = i;
    }
    leat__free(first);
    return code;
}

int leat__csv_decoder_new(const struct leat_type *type, char separator, const char *header, size_t len,
    struct leat_csv_decoder **decoder, struct leat_error *err)
{
    *decoder = NULL;
    LEAT_TRY(leat__csv_check(type, err));
    if (!csv_can_separate(separator))
        return leat__error(err, LEAT_EINVAL,
            "the byte 0x%02x can not separate CSV cells: use a tab or a punctuation mark but a quote",
            (unsigned char)separator);
    struct leat_csv_decoder *d = leat__calloc(1, sizeof *d);
    if (!d)
        return no_memory(err);
    d->type = type;
    d->separator = separator;
    int code = leat__json_decoder_new(type, LEAT_JSON_PLAIN, &d->json, err);
    if (code == 0)
        code = read_header(d, header, len, err);
    if (code == 0)
        code = match_fields(d, err);
    if (code < 0) {
        leat__csv_decoder_free(d);
        return code;
    }
    *decoder = d;
    return 0;
}

void leat__csv_decoder_free(struct leat_csv_decoder *decoder)
{
    if (!decoder)
        return;
    leat__json_decoder_free(decoder->json);
    leat__free(decoder->columns);
    leat__free(decoder->names);
    leat__free(decoder->missing);
    leat__strbuf_release(&decoder->undoubled);
    leat__arena_release(&decoder->arena);
    leat__free(decoder);
}

/* ---- values ---- */

static int mismatch(const struct cell *cell, const char *expected, struct leat_error *err)
{
    size_t len = cell->text.len < SHOWN_BYTES_MAX ? cell->text.len : SHOWN_BYTES_MAX;
    const bool is_cut = len < cell->text.len;
    if (cell->text.len == 0)
        return leat__error(err, LEAT_EDATA, "expected %s, found an empty cell", expected);
    while (is_cut && len > 0 && ((unsigned char)cell->text.data[len] & 0xc0) == 0x80)
        len--; /* not within a character */
    return leat__error(err, LEAT_EDATA, "expected %s, found \"%.*s\"%s", expected, (int)len, cell->text.data,
        is_cut ? "..." : "");
}

static struct leat_sv trim(struct leat_sv text)
{
    while (text.len > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text.data++;
        text.len--;
    }
    while (text.len > 0 && (text.data[text.len - 1] == ' ' || text.data[text.len - 1] == '\t'))
        text.len--;
    return text;
}

/* Whether the text is the word, which is in lower case, in any case. */
static bool is_word(struct leat_sv text, const char *word)
{
    if (text.len != strlen(word))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        const char c = text.data[i];
        if ((c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c) != word[i])
            return false;
    }
    return true;
}

static int put_boolean(const struct cell *cell, unsigned char *to, struct leat_error *err)
{
    const struct leat_sv text = trim(cell->text);
    *to = is_word(text, "true") || leat_sv_eq(text, LEAT_SV("1"));
    if (!*to && !is_word(text, "false") && !leat_sv_eq(text, LEAT_SV("0")))
        return mismatch(cell, "true or false", err);
    return 0;
}

static int put_int(const struct cell *cell, unsigned char *to, struct leat_error *err)
{
    int64_t value = 0;
    const struct leat_sv text = trim(cell->text);
    const int code = leat__i64_parse(text.data, text.len, &value);
    if (code == LEAT_EINVAL)
        return mismatch(cell, "a whole number (int)", err);
    if (code < 0 || value < INT32_MIN || value > INT32_MAX)
        return mismatch(cell, "a whole number within the range of int", err);
    const int32_t narrow = (int32_t)value;
    memcpy(to, &narrow, sizeof narrow);
    return 0;
}

static int put_long(
    const struct leat_type *type, const struct cell *cell, unsigned char *to, struct leat_error *err)
{
    int64_t value = 0;
    const struct leat_sv text = trim(cell->text);
    const bool is_time = leat__time_is_timestamp(type->logical);
    int code = leat__i64_parse(text.data, text.len, &value);
    if (code == LEAT_EINVAL && is_time)
        code = leat__time_parse_as(type->logical, text.data, text.len, &value);
    if (code == LEAT_EINVAL)
        return mismatch(
            cell, is_time ? "a whole number or an RFC 3339 timestamp" : "a whole number (long)", err);
    if (code < 0)
        return mismatch(cell,
            is_time ? "a timestamp within the range of its type" : "a whole number within the range of long",
            err);
    memcpy(to, &value, sizeof value);
    return 0;
}

/* NaN and the infinities, as people and programs write them. */
static bool read_special(struct leat_sv text, double *value)
{
    const bool has_sign = text.len > 0 && (text.data[0] == '-' || text.data[0] == '+');
    const bool negative = has_sign && text.data[0] == '-';
    text.data += has_sign;
    text.len -= has_sign;
    if (is_word(text, "nan") && !has_sign)
        *value = (double)NAN;
    else if (is_word(text, "inf") || is_word(text, "infinity"))
        *value = negative ? -(double)INFINITY : (double)INFINITY;
    else
        return false;
    return true;
}

static int put_floating(
    const struct leat_type *type, const struct cell *cell, unsigned char *to, struct leat_error *err)
{
    const struct leat_sv text = trim(cell->text);
    const bool is_float = type->kind == LEAT_KIND_FLOAT;
    double number = 0;
    float single = 0;
    int code = is_float ? leat__float_parse(text.data, text.len, &single)
                        : leat__double_parse(text.data, text.len, &number);
    if (code == LEAT_EINVAL && read_special(text, &number)) {
        single = (float)number;
        code = 0;
    }
    if (code == LEAT_EINVAL)
        return mismatch(cell, "a number", err);
    if (code < 0)
        return mismatch(cell, "a number within the range of its type", err);
    if (is_float)
        memcpy(to, &single, sizeof single);
    else
        memcpy(to, &number, sizeof number);
    return 0;
}

static int put_text(
    const struct cell *cell, unsigned char *to, struct leat_batch *batch, struct leat_error *err)
{
    struct leat_sv sv = { "", 0 };
    if (cell->text.len > 0) {
        char *copy = leat__batch_alloc(batch, cell->text.len, 1);
        if (!copy)
            return leat__error(err, LEAT_ENOMEM, "out of memory for a CSV record");
        memcpy(copy, cell->text.data, cell->text.len);
        sv = (struct leat_sv){ copy, cell->text.len };
    }
    memcpy(to, &sv, sizeof sv);
    return 0;
}

static int put_fixed(
    const struct leat_type *type, const struct cell *cell, unsigned char *to, struct leat_error *err)
{
    char expected[80];
    size_t n = 0;
    size_t i = 0;
    for (; i < cell->text.len && n < type->size; i++) {
        const unsigned char c = (unsigned char)cell->text.data[i];
        const unsigned char next = i + 1 < cell->text.len ? (unsigned char)cell->text.data[i + 1] : 0;
        if (c < 0x80) {
            to[n++] = c;
        } else if ((c == 0xc2 || c == 0xc3) && (next & 0xc0) == 0x80) {
            to[n++] = (unsigned char)(c << 6 | (next & 0x3f));
            i++;
        } else {
            break;
        }
    }
    if (i == cell->text.len && n == type->size)
        return 0;
    (void)snprintf(expected, sizeof expected, "%u characters from 0 to 255", type->size);
    return mismatch(cell, expected, err);
}

static int put_enum(
    const struct json_plan *plan, const struct cell *cell, unsigned char *to, struct leat_error *err)
{
    const struct leat_sv text = trim(cell->text);
    const int64_t number = leat__json_words_find(&plan->words, text.data, text.len);
    if (number < 0) {
        char expected[300];
        leat__json_symbols_text(plan, expected, sizeof expected);
        const int code = mismatch(cell, expected, err);
        leat__json_symbols_hint(plan, text, err);
        return code;
    }
    const int32_t symbol = (int32_t)number;
    memcpy(to, &symbol, sizeof symbol);
    return 0;
}

static int put_value(const struct json_plan *plan, const struct cell *cell, unsigned char *to,
    struct leat_batch *batch, struct leat_error *err)
{
    const struct leat_type *type = plan->type;
    switch (type->kind) {
    case LEAT_KIND_BOOLEAN:
        return put_boolean(cell, to, err);
    case LEAT_KIND_INT:
        return put_int(cell, to, err);
    case LEAT_KIND_LONG:
        return put_long(type, cell, to, err);
    case LEAT_KIND_FLOAT:
    case LEAT_KIND_DOUBLE:
        return put_floating(type, cell, to, err);
    case LEAT_KIND_STRING:
    case LEAT_KIND_BYTES:
        return put_text(cell, to, batch, err);
    case LEAT_KIND_FIXED:
        return put_fixed(type, cell, to, err);
    case LEAT_KIND_ENUM:
        return put_enum(plan, cell, to, err);
    default:
        return cell->text.len == 0 ? 0 : mismatch(cell, "an empty cell (null)", err);
    }
}

/* ---- records ---- */

static int put_cell(struct leat_csv_decoder *d, uint32_t column, const struct cell *cell, unsigned char *row,
    struct leat_batch *batch, struct leat_error *err)
{
    if (d->columns[column] == IGNORED)
        return 0;
    const struct json_field *field = &d->json->plan->fields[d->columns[column]];
    if (field->has_offset != LEAT_NOT_NULLABLE) {
        if (cell->text.len == 0 && !cell->is_quoted)
            return 0;
        row[field->has_offset] = true;
    }
    return put_value(field->plan, cell, row + field->offset, batch, err);
}

static int put_record(struct leat_csv_decoder *d, struct cursor *c, unsigned char *row,
    struct leat_batch *batch, struct leat_error *err)
{
    struct cell cell;
    for (uint32_t i = 0; i < d->columns_count; i++) {
        if (!c->more)
            return leat__error(err, LEAT_EDATA,
                "column %s is missing: the line has %u cells, the header %u columns", d->names[i], i,
                d->columns_count);
        int code = read_cell(d, c, &cell, err);
        if (code == 0)
            code = put_cell(d, i, &cell, row, batch, err);
        if (code < 0) {
            (void)leat__error_prefix(err, "column %s", d->names[i]);
            return code;
        }
    }
    if (c->more)
        return leat__error(err, LEAT_EDATA,
            "the line has more cells than the header's %u columns: the first is \"%.*s\"", d->columns_count,
            (int)(c->end - c->at < 40 ? c->end - c->at : 40), c->at);
    for (uint32_t i = 0; i < d->missing_count; i++) {
        const int code = leat__json_put_default(d->json, d->missing[i], row, batch, err);
        if (code < 0)
            return code;
    }
    return 0;
}

int leat__csv_decode(struct leat_csv_decoder *decoder, const char *line, size_t len, struct leat_batch *batch,
    struct leat_error *err)
{
    if (len > LEAT_LINE_BYTES_MAX)
        return leat__error(
            err, LEAT_EDATA, "a record of %zu bytes; at most %u are possible", len, LEAT_LINE_BYTES_MAX);
    struct cursor c = open_record(line, len);
    const int code = put_record(decoder, &c, leat__batch_push(batch), batch, err);
    if (code < 0)
        batch->count--;
    return code;
}
