/* operators/aggregate_key.c -- from the bytes of a key (record/key.h) back to its fields: for the output
 * record, and as text for errors. State keeps only the bytes. */
#include "operators/aggregate_private.h"
#include "record/number_text.h"
#include "record/time_text.h"
#include "topology/declare.h"

#define SIGN (UINT64_C(1) << 63)

/* ---- declaring ---- */

/* Whether a field of the key can be shown by a field of the output. Units of time stay as they are. */
static bool fits(const struct leat_type *key, const struct leat_type *out)
{
    if (out->logical != key->logical && out->logical != LEAT_LOGICAL_NONE)
        return false;
    switch (key->kind) {
    case LEAT_KIND_INT:
        return out->kind == LEAT_KIND_INT || out->kind == LEAT_KIND_LONG;
    case LEAT_KIND_FLOAT:
        return out->kind == LEAT_KIND_FLOAT || out->kind == LEAT_KIND_DOUBLE;
    case LEAT_KIND_STRING:
        return out->kind == LEAT_KIND_STRING || out->kind == LEAT_KIND_BYTES;
    case LEAT_KIND_FIXED:
        return out->kind == LEAT_KIND_BYTES || (out->kind == LEAT_KIND_FIXED && out->size == key->size);
    case LEAT_KIND_ENUM:
        return out->kind == LEAT_KIND_STRING || out->kind == LEAT_KIND_ENUM;
    default:
        return out->kind == key->kind;
    }
}

static int32_t symbol_index(const struct leat_type *type, struct leat_sv symbol)
{
    for (uint32_t i = 0; i < type->symbols_count; i++)
        if (leat_sv_eq(leat_sv_of(type->symbols[i]), symbol))
            return (int32_t)i;
    return -1;
}

static const struct leat_field *field_named(const struct leat_type *type, const char *name)
{
    for (uint32_t i = 0; i < type->fields_count; i++)
        if (strcmp(type->fields[i].name, name) == 0)
            return &type->fields[i];
    return NULL;
}

static bool is_result(const struct leat__aggregate_spec *spec, const char *name)
{
    for (uint32_t a = 0; a < spec->aggs_count; a++)
        if (spec->aggs[a].as && strcmp(spec->aggs[a].as, name) == 0)
            return true;
    return false;
}

static void check_symbols(
    struct leat_node *node, const struct leat__key_part *part, const struct leat_field *field)
{
    for (uint32_t i = 0; i < part->type->symbols_count; i++)
        if (symbol_index(field->type, leat_sv_of(part->type->symbols[i])) < 0) {
            leat__declare_error(node, "out", LEAT_EDECLARE,
                "the enum of field \"%s\" lacks the symbol %s that the key %s can have", field->name,
                part->type->symbols[i], part->path);
            return;
        }
}

/* The field of the output that shows this part, if there is one. */
static void find_field(
    struct leat_node *node, const struct leat__aggregate_spec *spec, struct leat__key_part *part)
{
    const char *name = part->name;
    const struct leat_field *field = spec->out && name ? field_named(spec->out, name) : NULL;
    if (!field || is_result(spec, name))
        return;
    part->copied = true;
    part->out = (struct leat__out_field){ field->type, field->offset, field->has_offset, NULL, NULL };
    if (!fits(part->type, field->type)) {
        leat__declare_error(node, "out", LEAT_EDECLARE,
            "field \"%s\" has the name of the key %s, which is of type %s, but is of type %s: give it that "
            "type or another"
            " name",
            name, part->path, part->type->name, field->type->name);
        return;
    }
    if (part->nullable && field->has_offset == LEAT_NOT_NULLABLE) {
        leat__declare_error(node, "out", LEAT_EDECLARE,
            "field \"%s\" can not be null, but the key %s can: make it nullable", name, part->path);
        return;
    }
    if (part->type->kind == LEAT_KIND_ENUM && field->type->kind == LEAT_KIND_ENUM)
        check_symbols(node, part, field);
}

static bool is_variable(const struct leat_type *type)
{
    return type->kind == LEAT_KIND_STRING || type->kind == LEAT_KIND_BYTES || type->kind == LEAT_KIND_FIXED ||
        type->kind == LEAT_KIND_ENUM;
}

/* A callback's key is shown by a field with the name of the callback. */
static void declare_fn(struct leat_node *node, struct leat__aggregate_spec *spec, const struct leat_key *key)
{
    static const struct leat_type bytes_type = {
        .kind = LEAT_KIND_STRING, .name = "string", .size = sizeof(struct leat_sv), .align = 8
    };
    struct leat__key_parts *parts = &spec->key_parts;
    parts->parts = leat__spec(node, sizeof *parts->parts);
    if (!parts->parts)
        return;
    parts->count = 1;
    parts->is_fn = true;
    parts->parts[0] = (struct leat__key_part){
        .path = leat__key_text(key), .name = leat__key_text(key), .type = &bytes_type
    };
    find_field(node, spec, &parts->parts[0]);
}

/* Two parts of one name can not both be shown by the field of that name. */
static void check_ambiguous(struct leat_node *node, const struct leat__aggregate_spec *spec)
{
    const struct leat__key_parts *parts = &spec->key_parts;
    for (uint32_t i = 0; i < parts->count; i++)
        for (uint32_t k = 0; k < i; k++)
            if (parts->parts[i].copied && parts->parts[k].copied &&
                strcmp(parts->parts[i].path, parts->parts[k].path) != 0 &&
                strcmp(parts->parts[i].name, parts->parts[k].name) == 0)
                leat__declare_error(node, "out", LEAT_EDECLARE,
                    "field \"%s\" could be the key %s or the key %s: give one of them another name in the "
                    "key, "
                    "as in \"%s as other\"",
                    parts->parts[i].name, parts->parts[k].path, parts->parts[i].path, parts->parts[i].path);
}

void leat__key_parts_declare(
    struct leat_node *node, struct leat__aggregate_spec *spec, const struct leat_keyed_stream *keyed)
{
    struct leat__key_parts *parts = &spec->key_parts;
    if (keyed->virtual_node->spec) { /* group_by.c: the callback */
        declare_fn(node, spec, keyed->key);
        return;
    }
    parts->count = leat__key_parts_count(keyed->key);
    parts->parts = leat__spec(node, parts->count * sizeof *parts->parts);
    if (!parts->parts) {
        parts->count = 0;
        return;
    }
    for (uint32_t i = 0; i < parts->count; i++) {
        const struct leat_key_part part = leat__key_part(keyed->key, i);
        parts->parts[i] = (struct leat__key_part){
            .path = part.text, .name = part.name, .type = part.type, .nullable = part.is_nullable
        };
    }
    for (uint32_t i = 0; i < parts->count; i++) {
        parts->parts[i].escaped = parts->count > 1 && is_variable(parts->parts[i].type);
        find_field(node, spec, &parts->parts[i]);
    }
    check_ambiguous(node, spec);
}

/* ---- reading ---- */

/* A part's value; `bytes` may be escaped still. */
struct value {
    bool null;
    int64_t integer;
    double real;
    struct leat_sv bytes;
};

static uint64_t load_big_endian(const char *at)
{
    uint64_t bits;
    memcpy(&bits, at, sizeof bits);
    return __builtin_bswap64(bits);
}

/* The bytes up to the end mark 0x00 0x00; gives where the next part begins. */
static const char *read_escaped(const char *at, const char *end, struct leat_sv *bytes)
{
    const char *from = at;
    while (at + 1 < end && !(at[0] == 0 && at[1] == 0))
        at += at[0] == 0 ? 2 : 1;
    *bytes = (struct leat_sv){ from, (size_t)(at - from) };
    return at + 2 <= end ? at + 2 : end;
}

/* Reads a part; gives where the next one begins. */
static const char *read_part(
    const struct leat__key_part *part, const char *at, const char *end, struct value *value)
{
    memset(value, 0, sizeof *value);
    if (part->nullable) {
        value->null = at < end && *at == 0;
        at += at < end;
        if (value->null)
            return at;
    }
    if (part->escaped)
        return read_escaped(at, end, &value->bytes);
    if (is_variable(part->type)) {
        value->bytes = (struct leat_sv){ at, (size_t)(end - at) };
        return end;
    }
    if (part->type->kind == LEAT_KIND_BOOLEAN) {
        value->integer = at < end && *at != 0;
        return at + (at < end);
    }
    if (end - at < 8)
        return end;
    const uint64_t bits = load_big_endian(at);
    if (part->type->kind == LEAT_KIND_FLOAT || part->type->kind == LEAT_KIND_DOUBLE) {
        const uint64_t real = bits & SIGN ? bits ^ SIGN : ~bits;
        memcpy(&value->real, &real, sizeof value->real);
    } else {
        value->integer = (int64_t)(bits ^ SIGN);
    }
    return at + 8;
}

/* Takes the escapes out of `bytes`, into `to` of as many bytes; gives the length. */
static size_t unescape(struct leat_sv bytes, char *to)
{
    size_t len = 0;
    for (size_t i = 0; i < bytes.len; i++) {
        to[len++] = bytes.data[i];
        i += bytes.data[i] == 0; /* 0x00 0xFF stands for 0x00 */
    }
    return len;
}

static bool set_bytes(
    const struct leat__key_part *part, struct leat_sv bytes, struct leat_batch *out, void *row)
{
    if (part->escaped && memchr(bytes.data, 0, bytes.len)) {
        char *plain = leat__batch_alloc(out, bytes.len, 1);
        if (!plain)
            return false;
        bytes = (struct leat_sv){ plain, unescape(bytes, plain) };
    }
    if (part->out.type->kind != LEAT_KIND_ENUM)
        return leat__out_set_bytes(out, row, &part->out, bytes);
    const int32_t index = symbol_index(part->out.type, bytes);
    leat__out_set_int(row, &part->out, index < 0 ? 0 : index);
    return true;
}

bool leat__key_parts_fill(
    const struct leat__key_parts *parts, struct leat_sv key, struct leat_batch *out, void *row)
{
    const char *at = key.data;
    const char *end = key.len ? key.data + key.len : key.data;
    for (uint32_t i = 0; i < parts->count; i++) {
        const struct leat__key_part *part = &parts->parts[i];
        struct value value;
        if (!part->copied && i + 1 == parts->count)
            break; /* nobody asks for it, nor for what is behind it */
        if (part->type->kind == LEAT_KIND_LONG && !part->nullable && part->copied && end - at >= 8) {
            leat__out_set_int(row, &part->out, (int64_t)(load_big_endian(at) ^ SIGN)); /* most keys */
            at += 8;
            continue;
        }
        at = read_part(part, at, end, &value);
        if (!part->copied)
            continue;
        if (value.null)
            leat__out_set_null(row, &part->out);
        else if (is_variable(part->type)) {
            if (!set_bytes(part, value.bytes, out, row))
                return false;
        } else if (part->type->kind == LEAT_KIND_FLOAT || part->type->kind == LEAT_KIND_DOUBLE)
            leat__out_set_float(row, &part->out, value.real);
        else
            leat__out_set_int(row, &part->out, value.integer);
    }
    return true;
}

static void read_parts(
    const struct leat__key_parts *parts, struct leat_sv key, uint32_t last, struct value *value)
{
    const char *at = key.data;
    const char *end = key.len ? key.data + key.len : key.data;
    for (uint32_t i = 0; i <= last; i++)
        at = read_part(&parts->parts[i], at, end, value);
}

int64_t leat__key_part_i64(const struct leat__key_parts *parts, struct leat_sv key, uint32_t i)
{
    struct value value;
    read_parts(parts, key, i, &value);
    return value.integer;
}

size_t leat__key_part_bytes(const struct leat__key_parts *parts, struct leat_sv key, uint32_t i, char *to)
{
    struct value value;
    read_parts(parts, key, i, &value);
    if (parts->parts[i].escaped)
        return unescape(value.bytes, to);
    if (value.bytes.len)
        memcpy(to, value.bytes.data, value.bytes.len);
    return value.bytes.len;
}

/* ---- text ---- */

static void print_value(const struct leat__key_part *part, const struct value *value, struct leat_strbuf *out)
{
    char text[LEAT_TIME_TEXT_MAX];
    if (value->null)
        leat__strbuf_str(out, "null");
    else if (is_variable(part->type))
        leat__strbuf_json(out, value->bytes.data, value->bytes.len < 80 ? value->bytes.len : 80);
    else if (part->type->kind == LEAT_KIND_BOOLEAN)
        leat__strbuf_str(out, value->integer ? "true" : "false");
    else if (part->type->kind == LEAT_KIND_FLOAT || part->type->kind == LEAT_KIND_DOUBLE)
        leat__strbuf_printf(out, "%.17g", value->real);
    else if (leat__time_is_timestamp(part->type->logical))
        leat__strbuf_add(out, text, leat__time_print_as(part->type->logical, value->integer, text));
    else
        leat__strbuf_printf(out, "%lld", (long long)value->integer);
}

void leat__key_parts_print(const struct leat__key_parts *parts, struct leat_sv key, struct leat_strbuf *out)
{
    const char *at = key.data;
    const char *end = key.len ? key.data + key.len : key.data;
    for (uint32_t i = 0; i < parts->count; i++) {
        struct value value;
        at = read_part(&parts->parts[i], at, end, &value);
        leat__strbuf_printf(out, "%s%s ", i ? ", " : "", parts->parts[i].path);
        print_value(&parts->parts[i], &value, out);
    }
}
