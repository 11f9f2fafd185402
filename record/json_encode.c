/* record/json_encode.c -- records as JSON text, straight into a string buffer.
 *
 * Walks the type beside the record. Field, symbol and branch names are Avro names, so they need no escapes;
 * strings are scanned eight bytes at a time for what does. Depth is bounded by the type, which is a finite
 * tree. */
#include "record/json.h"
#include "record/json_path.h"
#include "record/number_text.h"
#include <math.h>

#define ONES UINT64_C(0x0101010101010101)
#define HIGH UINT64_C(0x8080808080808080)

/* Writes to out->data itself: [at, end) is free, and a byte for the NUL. out->len follows when the buffer
 * grows, and at the end. Without memory the writer goes on and leaves out what has no room; out->failed then
 * says that the text is worth nothing. */
struct writer {
    char *at;
    char *end;
    struct leat_strbuf *out;
    enum leat_json_mode mode;
    struct leat_error *err;
    struct leat_json_path path;
};

static int put_value(struct writer *w, const struct leat_type *type, const void *value);

/* Sets the pointers after the buffer moved; false when it has no room for `more`. */
static bool grow(struct writer *w, size_t more)
{
    struct leat_strbuf *out = w->out;
    if (out->data)
        out->len = (size_t)(w->at - out->data);
    const bool got = leat__strbuf_reserve(out, more);
    w->at = out->data + out->len;
    w->end = out->data + (out->capacity - 1);
    return got;
}

/* Whether there is room for `more` bytes. */
static inline bool room(struct writer *w, size_t more)
{
    return (size_t)(w->end - w->at) >= more || grow(w, more);
}

static inline void put_short(struct writer *w, const char *text, size_t len)
{
    if (!room(w, len))
        return;
    memcpy(w->at, text, len);
    w->at += len;
}

static inline void put_char(struct writer *w, char c)
{
    if (room(w, 1))
        *w->at++ = c;
}

/* Non-zero when one of the eight bytes is a control character, a quote, a backslash or not ASCII. A borrow
 * can only come from a byte that is itself such a one, so "none" is exact. */
static inline uint64_t find_special(uint64_t bytes)
{
    const uint64_t quote = bytes ^ (ONES * '"');
    const uint64_t backslash = bytes ^ (ONES * '\\');
    return (bytes | (bytes - ONES * 0x20) | (quote - ONES) | (backslash - ONES)) & HIGH;
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* Bytes from `text` on that need no escape. */
static size_t plain_run(const char *text, size_t len)
{
    size_t i = 0;
    uint64_t bytes;
    for (; len - i >= 8; i += 8) {
        memcpy(&bytes, text + i, 8);
        if (find_special(bytes))
            break;
    }
    while (i < len && is_plain((unsigned char)text[i]))
        i++;
    return i;
}

/* Copies text that needs no escape: true. Else false, with rubbish in `to`. The last eight bytes are copied
 * as such, overlapping those before. */
static inline bool copy_plain(char *to, const char *text, size_t len)
{
    uint64_t bytes;
    if (len < 8) {
        for (size_t i = 0; i < len; i++) {
            if (!is_plain((unsigned char)text[i]))
                return false;
            to[i] = text[i];
        }
        return true;
    }
    for (size_t i = 0; i < len - 8; i += 8) {
        memcpy(&bytes, text + i, 8);
        memcpy(to + i, &bytes, 8);
        if (find_special(bytes))
            return false;
    }
    memcpy(&bytes, text + len - 8, 8);
    memcpy(to + len - 8, &bytes, 8);
    return !find_special(bytes);
}

/* Length of the valid UTF-8 sequence of two bytes or more at p, or 0. */
static size_t sequence_len(const unsigned char *p, size_t left)
{
    const size_t len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || left < len)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90)) /* over-long */
        return 0;
    if ((p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf4 && p[1] > 0x8f)) /* surrogate; beyond U+10FFFF */
        return 0;
    return len;
}

static void put_escape(struct writer *w, unsigned char c)
{
    static const char digits[] = "0123456789abcdef";
    static const char letters[] = { ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r' };
    char text[6] = { '\\', 'u', '0', '0', digits[c >> 4], digits[c & 15] };
    size_t len = 6;
    if (c == '"' || c == '\\' || (c < sizeof letters && letters[c])) {
        text[1] = c < sizeof letters ? letters[c] : (char)c;
        len = 2;
    }
    put_short(w, text, len);
}

/* The inside of a string literal: text, with U+FFFD for bytes that are not UTF-8. */
static void put_text(struct writer *w, const char *text, size_t len)
{
    size_t at = 0;
    while (at < len) {
        size_t run = plain_run(text + at, len - at);
        size_t sequence = 0;
        while (at + run < len && (unsigned char)text[at + run] >= 0x80) {
            sequence = sequence_len((const unsigned char *)text + at + run, len - at - run);
            if (sequence == 0)
                break;
            run += sequence;
            run += plain_run(text + at + run, len - at - run);
        }
        put_short(w, text + at, run);
        at += run;
        if (at == len)
            break;
        if ((unsigned char)text[at] >= 0x80)
            put_short(w, "\xef\xbf\xbd", 3);
        else
            put_escape(w, (unsigned char)text[at]);
        at++;
    }
}

static inline void put_string(struct writer *w, const char *text, size_t len)
{
    if (!room(w, len + 2))
        return;
    *w->at = '"';
    if (copy_plain(w->at + 1, text, len)) {
        w->at[len + 1] = '"';
        w->at += len + 2;
        return;
    }
    w->at++;
    put_text(w, text, len);
    put_char(w, '"');
}

/* Bytes as the code points 0 to 255. */
static void put_code_points(struct writer *w, const char *bytes, size_t len)
{
    put_char(w, '"');
    size_t at = 0;
    while (at < len) {
        const size_t run = plain_run(bytes + at, len - at);
        put_short(w, bytes + at, run);
        at += run;
        if (at == len)
            break;
        const unsigned char c = (unsigned char)bytes[at++];
        const char two[2] = { (char)(0xc0 | c >> 6), (char)(0x80 | (c & 0x3f)) };
        if (c >= 0x80)
            put_short(w, two, 2);
        else
            put_escape(w, c);
    }
    put_char(w, '"');
}

static inline void put_integer(struct writer *w, int64_t value)
{
    if (room(w, LEAT_I64_TEXT_MAX))
        w->at += leat__i64_print(value, w->at);
}

static int put_floating(struct writer *w, const struct leat_type *type, const void *value)
{
    float single = 0;
    double number;
    if (type->kind == LEAT_KIND_FLOAT) {
        memcpy(&single, value, sizeof single);
        number = (double)single;
    } else {
        memcpy(&number, value, sizeof number);
    }
    if (!isfinite(number)) {
        if (w->mode == LEAT_JSON_AVRO)
            return leat__error(w->err, LEAT_EDATA,
                "%s can not be written as JSON: use plain mode, which writes null",
                isnan(number) ? "NaN" : "infinity");
        put_short(w, "null", 4);
        return 0;
    }
    if (room(w, LEAT_DOUBLE_TEXT_MAX))
        w->at += type->kind == LEAT_KIND_FLOAT ? leat__float_print(single, w->at)
                                               : leat__double_print(number, w->at);
    return 0;
}

static int put_enum(struct writer *w, const struct leat_type *type, const void *value)
{
    int32_t index;
    memcpy(&index, value, sizeof index);
    if (index < 0 || (uint32_t)index >= type->symbols_count)
        return leat__error(w->err, LEAT_EDATA, "enum %s has no symbol %d: its symbols are 0 to %u",
            type->name, (int)index, type->symbols_count - 1);
    const char *symbol = type->symbols[index];
    put_string(w, symbol, strlen(symbol));
    return 0;
}

/* "name": */
static inline void put_member_name(struct writer *w, const char *name)
{
    const size_t len = strlen(name);
    if (!room(w, len + 3))
        return;
    *w->at = '"';
    memcpy(w->at + 1, name, len);
    memcpy(w->at + 1 + len, "\":", 2);
    w->at += len + 3;
}

/* A value in a union: wrapped with its branch's name in AVRO mode. */
static int put_branch(struct writer *w, const char *name, const struct leat_type *type, const void *value)
{
    if (w->mode == LEAT_JSON_PLAIN || type->kind == LEAT_KIND_NULL)
        return put_value(w, type, value);
    put_char(w, '{');
    put_member_name(w, name);
    LEAT_TRY(put_value(w, type, value));
    put_char(w, '}');
    return 0;
}

static int put_record(struct writer *w, const struct leat_type *type, const unsigned char *record)
{
    put_char(w, '{');
    for (uint32_t i = 0; i < type->fields_count; i++) {
        const struct leat_field *field = &type->fields[i];
        int code;
        if (i > 0)
            put_char(w, ',');
        put_member_name(w, field->name);
        if (field->has_offset == LEAT_NOT_NULLABLE)
            code = put_value(w, field->type, record + field->offset);
        else if (record[field->has_offset])
            code = put_branch(w, field->type->name, field->type, record + field->offset);
        else
            code = (put_short(w, "null", 4), 0);
        if (code < 0) {
            leat__json_path_name(&w->path, field->name, strlen(field->name));
            return code;
        }
    }
    put_char(w, '}');
    return 0;
}

static int put_array(struct writer *w, const struct leat_type *type, const void *value)
{
    struct leat_array array;
    memcpy(&array, value, sizeof array);
    const unsigned char *item = array.items;
    put_char(w, '[');
    for (size_t i = 0; i < array.count; i++, item += type->item->size) {
        if (i > 0)
            put_char(w, ',');
        const int code = put_value(w, type->item, item);
        if (code < 0) {
            leat__json_path_index(&w->path, i);
            return code;
        }
    }
    put_char(w, ']');
    return 0;
}

static int put_map(struct writer *w, const struct leat_type *type, const void *value)
{
    struct leat_map map;
    memcpy(&map, value, sizeof map);
    const unsigned char *entry = map.entries;
    put_char(w, '{');
    for (size_t i = 0; i < map.count; i++, entry += type->entry_size) {
        struct leat_sv key;
        memcpy(&key, entry, sizeof key);
        if (i > 0)
            put_char(w, ',');
        put_string(w, key.data, key.len);
        put_char(w, ':');
        const int code = put_value(w, type->item, entry + type->value_offset);
        if (code < 0) {
            leat__json_path_name(&w->path, key.data, key.len);
            return code;
        }
    }
    put_char(w, '}');
    return 0;
}

static int put_union(struct writer *w, const struct leat_type *type, const unsigned char *value)
{
    int32_t tag;
    memcpy(&tag, value, sizeof tag);
    if (tag < 0 || (uint32_t)tag >= type->fields_count)
        return leat__error(w->err, LEAT_EDATA, "the union has no branch %d: its branches are 0 to %u",
            (int)tag, type->fields_count - 1);
    const struct leat_field *branch = &type->fields[tag];
    return put_branch(w, branch->name, branch->type, value + type->value_offset);
}

static int put_optional(struct writer *w, const struct leat_type *type, const unsigned char *value)
{
    if (value[0])
        return put_branch(w, type->item->name, type->item, value + type->value_offset);
    put_short(w, "null", 4);
    return 0;
}

static int put_value(struct writer *w, const struct leat_type *type, const void *value)
{
    int32_t i32;
    int64_t i64;
    struct leat_sv sv;
    switch (type->kind) {
    case LEAT_KIND_NULL:
        put_short(w, "null", 4);
        return 0;
    case LEAT_KIND_BOOLEAN:
        if (*(const unsigned char *)value)
            put_short(w, "true", 4);
        else
            put_short(w, "false", 5);
        return 0;
    case LEAT_KIND_INT:
        memcpy(&i32, value, sizeof i32);
        put_integer(w, i32);
        return 0;
    case LEAT_KIND_LONG:
        memcpy(&i64, value, sizeof i64);
        put_integer(w, i64);
        return 0;
    case LEAT_KIND_FLOAT:
    case LEAT_KIND_DOUBLE:
        return put_floating(w, type, value);
    case LEAT_KIND_STRING:
    case LEAT_KIND_BYTES:
        memcpy(&sv, value, sizeof sv);
        if (type->kind == LEAT_KIND_BYTES && w->mode == LEAT_JSON_AVRO)
            put_code_points(w, sv.data, sv.len);
        else
            put_string(w, sv.data, sv.len);
        return 0;
    case LEAT_KIND_FIXED:
        put_code_points(w, value, type->size);
        return 0;
    case LEAT_KIND_ENUM:
        return put_enum(w, type, value);
    case LEAT_KIND_RECORD:
        return put_record(w, type, value);
    case LEAT_KIND_ARRAY:
        return put_array(w, type, value);
    case LEAT_KIND_MAP:
        return put_map(w, type, value);
    case LEAT_KIND_UNION:
        return put_union(w, type, value);
    case LEAT_KIND_OPTIONAL:
        return put_optional(w, type, value);
    }
    return leat__error(w->err, LEAT_EUNSUPPORTED, "a type of unknown kind %d", (int)type->kind);
}

int leat__json_encode(const struct leat_type *type, enum leat_json_mode mode, const void *record,
    struct leat_strbuf *out, struct leat_error *err)
{
    struct writer w; /* not zeroed: most of it is the path, which only an error fills */
    const size_t len = out->len;
    if (!leat__strbuf_reserve(out, 0))
        return leat__error(err, LEAT_ENOMEM, "out of memory for a JSON document");
    w.at = out->data + len;
    w.end = out->data + (out->capacity - 1);
    w.out = out;
    w.mode = mode;
    w.err = err;
    w.path.used = 0;
    int code = put_value(&w, type, record);
    out->len = (size_t)(w.at - out->data);
    if (code < 0)
        leat__json_path_finish(&w.path, err);
    else if (out->failed)
        code = leat__error(err, LEAT_ENOMEM, "out of memory for a JSON document");
    if (code < 0)
        out->len = len;
    out->data[out->len] = '\0';
    return code;
}
