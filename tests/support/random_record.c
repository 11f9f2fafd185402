/* tests/support/random_record.c -- random schemas and records. */
#include "tests/support/random_record.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 4u
#define ITEMS_MAX 5u

struct writer {
    struct random_source *r;
    struct leat_strbuf *out;
    bool unions;
    unsigned names; /* named types so far */
};

uint64_t random_next(struct random_source *r)
{
    r->state ^= r->state << 13;
    r->state ^= r->state >> 7;
    r->state ^= r->state << 17;
    return r->state * UINT64_C(0x2545f4914f6cdd1d);
}

uint32_t random_below(struct random_source *r, uint32_t below)
{
    return (uint32_t)((random_next(r) >> 33) % below);
}

/* ---- schemas ---- */

static void put_type(struct writer *w, unsigned depth);

static void put_enum(struct writer *w)
{
    const uint32_t symbols = 1 + random_below(w->r, 12);
    leat__strbuf_printf(w->out, "{\"type\":\"enum\",\"name\":\"e%u\",\"symbols\":[", w->names++);
    for (uint32_t i = 0; i < symbols; i++)
        leat__strbuf_printf(w->out, "%s\"S%u\"", i ? "," : "", i);
    leat__strbuf_str(w->out, "]}");
}

static void put_record(struct writer *w, unsigned depth)
{
    const uint32_t fields = random_below(w->r, depth == 0 ? 12 : 5) + (depth == 0);
    leat__strbuf_printf(w->out, "{\"type\":\"record\",\"name\":\"r%u\",\"fields\":[", w->names++);
    for (uint32_t i = 0; i < fields; i++) {
        const uint32_t shape = random_below(w->r, 4);
        leat__strbuf_printf(w->out, "%s{\"name\":\"f%u\",\"type\":", i ? "," : "", i);
        if (shape == 0) {
            leat__strbuf_str(w->out, "[\"null\",");
            put_type(w, depth + 1);
            leat__strbuf_str(w->out, "]");
        } else if (shape == 1) {
            leat__strbuf_str(w->out, "[");
            put_type(w, depth + 1);
            leat__strbuf_str(w->out, ",\"null\"]");
        } else {
            put_type(w, depth + 1);
        }
        leat__strbuf_str(w->out, "}");
    }
    leat__strbuf_str(w->out, "]}");
}

/* Branches in a fixed order, each there or not: no kind twice, as Avro demands. */
static void put_union(struct writer *w, unsigned depth)
{
    static const char *const branches[] = { "\"null\"", "\"boolean\"", "\"long\"", "\"double\"", "\"bytes\"",
        "\"string\"" };
    uint32_t mask = random_below(w->r, 64);
    const char *separator = "";
    leat__strbuf_char(w->out, '[');
    if ((mask & (mask - 1)) == 0)
        mask |= 6;
    for (uint32_t i = 0; i < 6; i++) {
        if (!(mask >> i & 1))
            continue;
        leat__strbuf_printf(w->out, "%s%s", separator, branches[i]);
        separator = ",";
    }
    for (uint32_t i = random_below(w->r, 3); i > 0; i--) {
        leat__strbuf_str(w->out, separator);
        put_record(w, depth + 1);
    }
    leat__strbuf_char(w->out, ']');
}

static void put_type(struct writer *w, unsigned depth)
{
    static const char *const simple[] = { "\"boolean\"", "\"int\"", "\"long\"", "\"float\"", "\"double\"",
        "\"bytes\"", "\"string\"", "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}",
        "{\"type\":\"int\",\"logicalType\":\"date\"}" };
    const uint32_t kind = random_below(w->r, depth < DEPTH_MAX ? 15 : 11);
    if (kind < 9) {
        leat__strbuf_str(w->out, simple[kind]);
    } else if (kind == 9) {
        put_enum(w);
    } else if (kind == 10) {
        leat__strbuf_printf(
            w->out, "{\"type\":\"fixed\",\"name\":\"x%u\",\"size\":%u}", w->names, random_below(w->r, 20));
        w->names++;
    } else if (kind == 11) {
        put_record(w, depth);
    } else if (kind == 12 && w->unions && depth > 0) {
        leat__strbuf_str(w->out, "{\"type\":\"array\",\"items\":");
        put_union(w, depth + 1);
        leat__strbuf_char(w->out, '}');
    } else {
        leat__strbuf_str(
            w->out, kind == 13 ? "{\"type\":\"map\",\"values\":" : "{\"type\":\"array\",\"items\":");
        if (random_below(w->r, 4) == 0) {
            leat__strbuf_str(w->out, "[\"null\",");
            put_type(w, depth + 1);
            leat__strbuf_char(w->out, ']');
        } else {
            put_type(w, depth + 1);
        }
        leat__strbuf_char(w->out, '}');
    }
}

void random_schema(struct random_source *r, bool unions, struct leat_strbuf *out)
{
    struct writer w = { r, out, unions, 0 };
    put_record(&w, 0);
}

/* ---- values ---- */

static void *take(struct leat_batch *batch, size_t size)
{
    void *memory = leat__batch_alloc(batch, size, 16);
    if (!memory)
        abort();
    return memset(memory, 0, size);
}

/* Text of all lengths of UTF-8 and of what JSON must escape; or any bytes. */
static struct leat_sv random_text(
    struct random_source *r, struct leat_batch *batch, bool any_bytes, bool is_key)
{
    static const char *const parts[] = { "a", "Z", "plain words", "\"", "\\", "/", "\n", "\t", "\r", "\b",
        "\f", "\x01", "\x1f", "\x7f", "\xc2\x80", "\xc3\xbf", "\xdf\xbf", "\xe0\xa0\x80", "\xe2\x82\xac",
        "\xef\xbf\xbf", "\xed\x9f\xbf", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf", ",", ";", " ", "null", "{",
        "]" };
    char text[256];
    size_t len = 0;
    for (uint32_t n = random_below(r, 12); n > 0; n--) {
        if (any_bytes) {
            text[len++] = (char)random_next(r);
            continue;
        }
        const char *part = parts[random_below(r, sizeof parts / sizeof parts[0])];
        memcpy(text + len, part, strlen(part));
        len += strlen(part);
        if (random_below(r, 40) == 0 && !is_key) /* jansson, the other side of tests, refuses such keys */
            text[len++] = '\0';
    }
    if (len == 0)
        return (struct leat_sv){ "", 0 };
    return (struct leat_sv){ memcpy(take(batch, len), text, len), len };
}

static double random_double(struct random_source *r)
{
    union {
        uint64_t bits;
        double value;
    } u = { random_next(r) };
    const uint32_t shape = random_below(r, 4);
    if (shape == 0)
        return (double)(int64_t)random_below(r, 2000) - 1000;
    if (shape == 1)
        return (double)random_below(r, 100000) / 100;
    if (r->finite && !isfinite(u.value))
        return 0.1;
    return u.value;
}

static float random_float(struct random_source *r)
{
    union {
        uint32_t bits;
        float value;
    } u = { (uint32_t)random_next(r) };
    return r->finite && !isfinite(u.value) ? 0.5f : u.value;
}

static void fill_scalar(struct random_source *r, const struct leat_type *type, void *to)
{
    const int64_t i64 = (int64_t)random_next(r) >> random_below(r, 64);
    const int32_t i32 = (int32_t)random_next(r) >> random_below(r, 32);
    const int32_t symbol = type->symbols_count ? (int32_t)random_below(r, type->symbols_count) : 0;
    const double number = random_double(r);
    const float single = random_float(r);
    switch (type->kind) {
    case LEAT_KIND_BOOLEAN:
        *(bool *)to = random_below(r, 2) == 1;
        break;
    case LEAT_KIND_INT:
        memcpy(to, &i32, sizeof i32);
        break;
    case LEAT_KIND_LONG:
        memcpy(to, &i64, sizeof i64);
        break;
    case LEAT_KIND_FLOAT:
        memcpy(to, &single, sizeof single);
        break;
    case LEAT_KIND_DOUBLE:
        memcpy(to, &number, sizeof number);
        break;
    case LEAT_KIND_ENUM:
        memcpy(to, &symbol, sizeof symbol);
        break;
    case LEAT_KIND_FIXED:
        for (uint32_t i = 0; i < type->size; i++)
            ((unsigned char *)to)[i] = (unsigned char)random_next(r);
        break;
    default:
        break;
    }
}

static void fill_items(
    struct random_source *r, const struct leat_type *type, void *to, struct leat_batch *batch)
{
    const bool is_map = type->kind == LEAT_KIND_MAP;
    const size_t size = is_map ? type->entry_size : type->item->size;
    const size_t count = random_below(r, ITEMS_MAX);
    unsigned char *items = take(batch, count * size + 1);
    for (size_t i = 0; i < count; i++) {
        if (is_map) {
            const struct leat_sv key = random_text(r, batch, false, true);
            memcpy(items + i * size, &key, sizeof key);
        }
        random_fill(r, type->item, items + i * size + (is_map ? type->value_offset : 0), batch);
    }
    const struct leat_array array = { items, count };
    memcpy(to, &array, sizeof array); /* a map is laid out alike */
}

void random_fill(struct random_source *r, const struct leat_type *type, void *to, struct leat_batch *batch)
{
    unsigned char *at = to;
    struct leat_sv text;
    int32_t tag;
    switch (type->kind) {
    case LEAT_KIND_STRING:
    case LEAT_KIND_BYTES:
        text = random_text(r, batch, type->kind == LEAT_KIND_BYTES && !r->text_bytes, false);
        memcpy(to, &text, sizeof text);
        break;
    case LEAT_KIND_RECORD:
        for (uint32_t i = 0; i < type->fields_count; i++) {
            const struct leat_field *field = &type->fields[i];
            if (field->has_offset != LEAT_NOT_NULLABLE)
                at[field->has_offset] = random_below(r, 3) > 0;
            if (field->has_offset == LEAT_NOT_NULLABLE || at[field->has_offset])
                random_fill(r, field->type, at + field->offset, batch);
        }
        break;
    case LEAT_KIND_ARRAY:
    case LEAT_KIND_MAP:
        fill_items(r, type, to, batch);
        break;
    case LEAT_KIND_UNION:
        tag = (int32_t)random_below(r, type->fields_count);
        memcpy(to, &tag, sizeof tag);
        random_fill(r, type->fields[tag].type, at + type->value_offset, batch);
        break;
    case LEAT_KIND_OPTIONAL:
        at[0] = random_below(r, 3) > 0;
        if (at[0])
            random_fill(r, type->item, at + type->value_offset, batch);
        break;
    default:
        fill_scalar(r, type, to);
        break;
    }
}

/* ---- comparison ---- */

static bool equal_items(const struct leat_type *type, const void *a, const void *b)
{
    struct leat_array x, y;
    const bool is_map = type->kind == LEAT_KIND_MAP;
    const size_t size = is_map ? type->entry_size : type->item->size;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    if (x.count != y.count)
        return false;
    for (size_t i = 0; i < x.count; i++) {
        const unsigned char *p = (const unsigned char *)x.items + i * size;
        const unsigned char *q = (const unsigned char *)y.items + i * size;
        struct leat_sv k, l;
        if (is_map) {
            memcpy(&k, p, sizeof k);
            memcpy(&l, q, sizeof l);
            if (!leat_sv_eq(k, l))
                return false;
        }
        const size_t offset = is_map ? type->value_offset : 0;
        if (!random_equal(type->item, p + offset, q + offset))
            return false;
    }
    return true;
}

static bool equal_fields(const struct leat_type *type, const unsigned char *a, const unsigned char *b)
{
    for (uint32_t i = 0; i < type->fields_count; i++) {
        const struct leat_field *field = &type->fields[i];
        const bool nullable = field->has_offset != LEAT_NOT_NULLABLE;
        if (nullable && a[field->has_offset] != b[field->has_offset])
            return false;
        if (nullable && !a[field->has_offset])
            continue;
        if (!random_equal(field->type, a + field->offset, b + field->offset))
            return false;
    }
    return true;
}

static bool equal_floating(const struct leat_type *type, const void *a, const void *b)
{
    double x, y;
    float f, g;
    if (type->kind == LEAT_KIND_FLOAT) {
        memcpy(&f, a, sizeof f);
        memcpy(&g, b, sizeof g);
        x = (double)f;
        y = (double)g;
    } else {
        memcpy(&x, a, sizeof x);
        memcpy(&y, b, sizeof y);
    }
    return (isnan(x) && isnan(y)) || (x == y && signbit(x) == signbit(y));
}

bool random_equal(const struct leat_type *type, const void *a, const void *b)
{
    const unsigned char *p = a, *q = b;
    struct leat_sv x, y;
    int32_t tag, other;
    switch (type->kind) {
    case LEAT_KIND_STRING:
    case LEAT_KIND_BYTES:
        memcpy(&x, a, sizeof x);
        memcpy(&y, b, sizeof y);
        return leat_sv_eq(x, y);
    case LEAT_KIND_FLOAT:
    case LEAT_KIND_DOUBLE:
        return equal_floating(type, a, b);
    case LEAT_KIND_RECORD:
        return equal_fields(type, a, b);
    case LEAT_KIND_ARRAY:
    case LEAT_KIND_MAP:
        return equal_items(type, a, b);
    case LEAT_KIND_UNION:
        memcpy(&tag, a, sizeof tag);
        memcpy(&other, b, sizeof other);
        return tag == other &&
            random_equal(type->fields[tag].type, p + type->value_offset, q + type->value_offset);
    case LEAT_KIND_OPTIONAL:
        return p[0] == q[0] &&
            (!p[0] || random_equal(type->item, p + type->value_offset, q + type->value_offset));
    default:
        return type->size == 0 || memcmp(a, b, type->size) == 0;
    }
}
