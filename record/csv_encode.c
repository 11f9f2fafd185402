/* record/csv_encode.c -- flat records as CSV lines, and which types are flat. */
#include "record/csv_private.h"
#include "record/number_text.h"
#include <math.h>

static bool is_flat(enum leat_kind kind)
{
    return kind != LEAT_KIND_RECORD && kind != LEAT_KIND_ARRAY && kind != LEAT_KIND_MAP &&
        kind != LEAT_KIND_UNION && kind != LEAT_KIND_OPTIONAL;
}

int leat__csv_check(const struct leat_type *type, struct leat_error *err)
{
    if (type->kind != LEAT_KIND_RECORD)
        return leat__error(err, LEAT_EUNSUPPORTED, "CSV needs a record type, not %s", type->name);
    if (type->fields_count == 0)
        return leat__error(err, LEAT_EUNSUPPORTED, "CSV needs a record with fields; %s has none", type->name);
    for (uint32_t i = 0; i < type->fields_count; i++) {
        const struct leat_field *field = &type->fields[i];
        if (!is_flat(field->type->kind))
            return leat__error(err, LEAT_EUNSUPPORTED,
                "CSV has no nested values: field %s of %s is %s %s; use JSON or Avro, or a flat type",
                field->name, type->name, field->type->kind == LEAT_KIND_ARRAY ? "an" : "a",
                field->type->kind == LEAT_KIND_RECORD ? "record" : field->type->name);
    }
    return 0;
}

static bool needs_quotes(const char *text, size_t len, char separator)
{
    bool needs = false;
    for (size_t i = 0; i < len; i++) {
        const char c = text[i];
        needs = needs || c == '"' || c == separator || c == '\n' || c == '\r';
    }
    return needs;
}

/* A cell, in quotes where it needs them; `as_characters`: bytes from 128 on as the characters 128 to 255. */
static void put_cell(
    struct leat_strbuf *out, char separator, const char *text, size_t len, bool as_characters)
{
    if (!leat__strbuf_reserve(out, 2 * len + 2)) /* no byte becomes more than two */
        return;
    char *to = out->data + out->len;
    const bool in_quotes = needs_quotes(text, len, separator);
    if (in_quotes)
        *to++ = '"';
    for (size_t i = 0; i < len; i++) {
        const unsigned char c = (unsigned char)text[i];
        if (c >= 0x80 && as_characters) {
            *to++ = (char)(0xc0 | c >> 6);
            *to++ = (char)(0x80 | (c & 0x3f));
            continue;
        }
        if (c == '"')
            *to++ = '"';
        *to++ = (char)c;
    }
    if (in_quotes)
        *to++ = '"';
    out->len = (size_t)(to - out->data);
}

static void put_string(struct leat_strbuf *out, char separator, struct leat_sv text, bool empty_needs_quotes)
{
    if (text.len > 0)
        put_cell(out, separator, text.data, text.len, false);
    else if (empty_needs_quotes)
        leat__strbuf_add(out, "\"\"", 2);
}

static void put_floating(struct leat_strbuf *out, const struct leat_type *type, const void *value)
{
    double number;
    float single = 0;
    if (type->kind == LEAT_KIND_FLOAT) {
        memcpy(&single, value, sizeof single);
        number = (double)single;
    } else {
        memcpy(&number, value, sizeof number);
    }
    if (isnan(number))
        leat__strbuf_str(out, "NaN");
    else if (isinf(number))
        leat__strbuf_str(out, number < 0 ? "-Infinity" : "Infinity");
    else if (leat__strbuf_reserve(out, LEAT_DOUBLE_TEXT_MAX))
        out->len += type->kind == LEAT_KIND_FLOAT ? leat__float_print(single, out->data + out->len)
                                                  : leat__double_print(number, out->data + out->len);
}

static int put_enum(struct leat_strbuf *out, char separator, const struct leat_field *field,
    const void *value, struct leat_error *err)
{
    int32_t index;
    memcpy(&index, value, sizeof index);
    const struct leat_type *type = field->type;
    if (index < 0 || (uint32_t)index >= type->symbols_count)
        return leat__error(err, LEAT_EDATA, "column %s: enum %s has no symbol %d: its symbols are 0 to %u",
            field->name, type->name, (int)index, type->symbols_count - 1);
    put_cell(out, separator, type->symbols[index], strlen(type->symbols[index]), false);
    return 0;
}

static int put_value(struct leat_strbuf *out, char separator, const struct leat_field *field,
    const unsigned char *value, bool empty_needs_quotes, struct leat_error *err)
{
    const struct leat_type *type = field->type;
    int64_t number = 0;
    int32_t narrow;
    struct leat_sv text;
    switch (type->kind) {
    case LEAT_KIND_BOOLEAN:
        leat__strbuf_str(out, *value ? "true" : "false");
        return 0;
    case LEAT_KIND_INT:
        memcpy(&narrow, value, sizeof narrow);
        number = narrow;
        break;
    case LEAT_KIND_LONG:
        memcpy(&number, value, sizeof number);
        break;
    case LEAT_KIND_FLOAT:
    case LEAT_KIND_DOUBLE:
        put_floating(out, type, value);
        return 0;
    case LEAT_KIND_STRING:
    case LEAT_KIND_BYTES:
        memcpy(&text, value, sizeof text);
        put_string(out, separator, text, empty_needs_quotes);
        return 0;
    case LEAT_KIND_FIXED:
        put_cell(out, separator, (const char *)value, type->size, true);
        return 0;
    case LEAT_KIND_ENUM:
        return put_enum(out, separator, field, value, err);
    default:
        return 0; /* null: an empty cell */
    }
    if (leat__strbuf_reserve(out, LEAT_I64_TEXT_MAX))
        out->len += leat__i64_print(number, out->data + out->len);
    return 0;
}

void leat__csv_encode_header(const struct leat_type *type, char separator, struct leat_strbuf *out)
{
    for (uint32_t i = 0; i < type->fields_count; i++) {
        if (i > 0)
            leat__strbuf_char(out, separator);
        put_cell(out, separator, type->fields[i].name, strlen(type->fields[i].name), false);
    }
    leat__strbuf_char(out, '\n');
}

int leat__csv_encode(const struct leat_type *type, char separator, const void *record,
    struct leat_strbuf *out, struct leat_error *err)
{
    const unsigned char *row = record;
    const size_t len = out->len;
    int code = 0;
    for (uint32_t i = 0; i < type->fields_count && code == 0; i++) {
        const struct leat_field *field = &type->fields[i];
        const bool is_nullable = field->has_offset != LEAT_NOT_NULLABLE;
        if (i > 0)
            leat__strbuf_char(out, separator);
        if (!is_nullable || row[field->has_offset])
            code = put_value(
                out, separator, field, row + field->offset, is_nullable || type->fields_count == 1, err);
    }
    leat__strbuf_char(out, '\n');
    if (code == 0 && out->failed)
        code = leat__error(err, LEAT_ENOMEM, "out of memory for a CSV line");
    if (code < 0 && out->data) {
        out->len = len;
        out->data[len] = '\0';
    }
    return code;
}
