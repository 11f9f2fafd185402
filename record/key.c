/* record/key.c -- keys: fields of a record to bytes whose order is that of the values.
 *
 *   one long or int, never null   each key is 8 bytes of the scratch, swapped and with the sign flipped
 *   one string, never null        each key is the view in the row
 *   anything else                 measure: the most bytes that this batch's keys can take, reserved once
 *                                 write: part behind part, so that keys can point at their bytes at once
 *   a callback                    fills the views itself
 *
 * A string in a composite: 0x00 becomes 0x00 0xFF and 0x00 0x00 ends it. The end sorts before any
 * continuation, so a prefix comes first, and no string can be taken for the beginning of another with its
 * neighbour. Keys are immutable and shared; a scratch belongs to one thread. */
#include "record/key.h"
#include "record/schema.h"
#include "base/alloc.h"
#include "base/assert.h"
#include "base/hash.h"
#include <endian.h>
#include <math.h>

#define SIGN_BIT (UINT64_C(1) << 63)
#define NAN_BITS UINT64_C(0x7ff8000000000000)
#define NULL_MARK 0x00
#define VALUE_MARK 0x01

enum part_class { PART_BOOLEAN = 1, PART_INTEGER, PART_FLOAT, PART_STRING };

struct part {
    enum part_class part_class;
    bool is_nullable;
    bool is_marked; /* a byte before it says whether it is null */
    struct leat_place place;
    const struct leat_sv *symbols; /* of an enum */
    const char *name;
};

enum shape { SHAPE_LONG = 1, SHAPE_INT, SHAPE_STRING, SHAPE_PARTS, SHAPE_CALLBACK };

struct leat_key {
    struct leat_arena arena;
    const char *text;
    enum shape shape;
    leat_key_batch_fn fn;
    uint32_t parts_count;
    uint32_t fixed_size;
    struct part parts[LEAT_KEY_FIELDS_MAX];
};

struct leat_key_scratch {
    struct leat_sv *keys;
    uint32_t keys_capacity;
    unsigned char *bytes;
    size_t bytes_capacity;
};

/* ---- making ---- */

static const char *class_name(enum part_class part_class)
{
    switch (part_class) {
    case PART_BOOLEAN:
        return "boolean";
    case PART_INTEGER:
        return "integer";
    case PART_FLOAT:
        return "float";
    case PART_STRING:
        return "string";
    }
    return "?";
}

/* 0: can not be a key. */
static enum part_class class_of(const struct leat_type *type)
{
    if (type->logical == LEAT_LOGICAL_DECIMAL)
        return 0; /* one value has several byte strings */
    switch (type->kind) {
    case LEAT_KIND_BOOLEAN:
        return PART_BOOLEAN;
    case LEAT_KIND_INT:
    case LEAT_KIND_LONG:
        return PART_INTEGER;
    case LEAT_KIND_FLOAT:
    case LEAT_KIND_DOUBLE:
        return PART_FLOAT;
    case LEAT_KIND_STRING:
    case LEAT_KIND_BYTES:
    case LEAT_KIND_FIXED:
    case LEAT_KIND_ENUM:
        return PART_STRING;
    default:
        return 0;
    }
}

static int no_memory(struct leat_error *err)
{
    return leat__error(err, LEAT_ENOMEM, "out of memory for a key");
}

static int fail_kind(const char *name, const struct leat_type *type, struct leat_error *err)
{
    if (type->logical == LEAT_LOGICAL_DECIMAL)
        return leat__error(err, LEAT_EDECLARE,
            "field \"%s\" is a decimal, which can not be a key; use a long or string field", name);
    if (type->kind == LEAT_KIND_RECORD && type->fields_count)
        return leat__error(err, LEAT_EDECLARE,
            "field \"%s\" is a record, which can not be a key; name the fields in it, such as %s.%s", name,
            name, type->fields[0].name);
    return leat__error(err, LEAT_EDECLARE,
        "field \"%s\" is of kind %s, which can not be a key; use numbers, strings, bytes, booleans, enums or "
        "timestamps",
        name, type->name);
}

static int add_symbols(struct leat_key *key, struct part *part, struct leat_error *err)
{
    const struct leat_type *type = part->place.type;
    struct leat_sv *symbols = leat__arena_array(&key->arena, type->symbols_count + 1, sizeof *symbols);
    if (!symbols)
        return no_memory(err);
    for (uint32_t i = 0; i < type->symbols_count; i++)
        symbols[i] = leat_sv_of(type->symbols[i]);
    part->symbols = symbols;
    return 0;
}

static int add_part(struct leat_key *key, const struct leat_type *type, struct leat_sv name,
    enum leat_key_nulls nulls, struct leat_error *err)
{
    if (key->parts_count == LEAT_KEY_FIELDS_MAX)
        return leat__error(err, LEAT_EDECLARE, "a key of more than %u fields", LEAT_KEY_FIELDS_MAX);
    if (name.len == 0)
        return leat__error(err, LEAT_EDECLARE, "a key has a field without a name; expected \"a, b\"");
    struct part *part = &key->parts[key->parts_count++];
    char *text = leat__arena_strn(&key->arena, name.data, name.len);
    part->name = text;
    if (!text)
        return no_memory(err);
    if (leat_record_find(type, text, &part->place, err) != 0) {
        if (err)
            err->code = LEAT_EDECLARE;
        return LEAT_EDECLARE;
    }
    part->part_class = class_of(part->place.type);
    if (!part->part_class)
        return fail_kind(text, part->place.type, err);
    part->is_nullable =
        part->place.has_offset != LEAT_NOT_NULLABLE || part->place.outer_has[0] != LEAT_NOT_NULLABLE;
    part->is_marked = part->is_nullable && nulls == LEAT_KEY_NULLS_GROUP;
    return part->place.type->kind == LEAT_KIND_ENUM ? add_symbols(key, part, err) : 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static int add_parts(struct leat_key *key, const struct leat_type *type, const char *fields,
    enum leat_key_nulls nulls, struct leat_error *err)
{
    for (const char *at = fields;; at++) {
        struct leat_sv name = { at, strcspn(at, ",") };
        at += name.len;
        while (name.len > 0 && is_blank(name.data[0])) {
            name.data++;
            name.len--;
        }
        while (name.len > 0 && is_blank(name.data[name.len - 1]))
            name.len--;
        LEAT_TRY(add_part(key, type, name, nulls, err));
        if (*at == '\0')
            return 0;
    }
}

/* Bytes of a part, 0 when they vary. */
static uint32_t part_size(const struct part *part, bool alone)
{
    if (part->is_marked)
        return 0;
    switch (part->part_class) {
    case PART_BOOLEAN:
        return 1;
    case PART_STRING:
        return alone && part->place.type->kind == LEAT_KIND_FIXED ? part->place.type->size : 0;
    default:
        return 8;
    }
}

static void describe(struct leat_key *key)
{
    const struct part *part = &key->parts[0];
    const bool alone = key->parts_count == 1;
    key->shape = SHAPE_PARTS;
    for (uint32_t i = 0; i < key->parts_count; i++) {
        const uint32_t size = part_size(&key->parts[i], alone);
        key->fixed_size = size && (i == 0 || key->fixed_size) ? key->fixed_size + size : 0;
    }
    if (!alone || part->is_nullable)
        return;
    if (part->place.type->kind == LEAT_KIND_LONG)
        key->shape = SHAPE_LONG;
    else if (part->place.type->kind == LEAT_KIND_INT)
        key->shape = SHAPE_INT;
    else if (part->place.type->kind == LEAT_KIND_STRING || part->place.type->kind == LEAT_KIND_BYTES)
        key->shape = SHAPE_STRING;
}

static int write_text(struct leat_key *key, struct leat_error *err)
{
    const char *text = "";
    for (uint32_t i = 0; i < key->parts_count && text; i++)
        text = leat__arena_printf(&key->arena, "%s%s%s", text, i ? ", " : "", key->parts[i].name);
    key->text = text;
    return text ? 0 : no_memory(err);
}

int leat__key_new(const struct leat_type *type, const char *fields, enum leat_key_nulls nulls,
    struct leat_key **key, struct leat_error *err)
{
    *key = NULL;
    struct leat_key *made = leat__calloc(1, sizeof *made);
    if (!made)
        return no_memory(err);
    int code = add_parts(made, type, fields, nulls, err);
    if (code == 0)
        code = write_text(made, err);
    if (code != 0) {
        leat__key_free(made);
        return code;
    }
    describe(made);
    *key = made;
    return 0;
}

int leat__key_new_fn(const struct leat_type *type, const char *name, leat_key_batch_fn fn,
    struct leat_key **key, struct leat_error *err)
{
    struct leat_key *made = leat__calloc(1, sizeof *made);
    (void)type; /* the callback knows the record; whoever calls it has compared the types */
    *key = made;
    if (!made)
        return no_memory(err);
    made->shape = SHAPE_CALLBACK;
    made->fn = fn;
    made->text = leat__arena_str(&made->arena, name);
    if (made->text)
        return 0;
    leat__key_free(made);
    *key = NULL;
    return no_memory(err);
}

void leat__key_free(struct leat_key *key)
{
    if (!key)
        return;
    leat__arena_release(&key->arena);
    leat__free(key);
}

const char *leat__key_text(const struct leat_key *key)
{
    return key->text;
}

bool leat__key_is_fn(const struct leat_key *key)
{
    return key->shape == SHAPE_CALLBACK;
}

uint32_t leat__key_fixed_size(const struct leat_key *key)
{
    return key->fixed_size;
}

/* ---- compatibility ---- */

static int compare_parts(const struct part *a, const struct part *b, struct leat_error *err)
{
    const int a_unit = leat__logical_unit(a->place.type->logical),
              b_unit = leat__logical_unit(b->place.type->logical);
    if (a->part_class != b->part_class)
        return leat__error(err, LEAT_EDECLARE,
            "key fields \"%s\" (%s) and \"%s\" (%s) never are equal; use fields of one class", a->name,
            class_name(a->part_class), b->name, class_name(b->part_class));
    if (a_unit && b_unit && a_unit != b_unit)
        return leat__error(err, LEAT_EDECLARE,
            "key fields \"%s\" and \"%s\" count time in different units; convert one of them first", a->name,
            b->name);
    if (a->is_marked != b->is_marked)
        return leat__error(err, LEAT_EDECLARE,
            "key field \"%s\" groups nulls and \"%s\" can not be null, so that equal values have different "
            "bytes",
            a->is_marked ? a->name : b->name, a->is_marked ? b->name : a->name);
    return 0;
}

int leat__key_compatible(const struct leat_key *a, const struct leat_key *b, struct leat_error *err)
{
    if (a->shape == SHAPE_CALLBACK || b->shape == SHAPE_CALLBACK)
        return 0; /* whoever writes the bytes answers for them */
    if (a->parts_count != b->parts_count)
        return leat__error(err, LEAT_EDECLARE,
            "keys \"%s\" and \"%s\" have %u and %u fields; expected as many on both sides", a->text, b->text,
            a->parts_count, b->parts_count);
    for (uint32_t i = 0; i < a->parts_count; i++)
        LEAT_TRY(compare_parts(&a->parts[i], &b->parts[i], err));
    return 0;
}

/* ---- evaluation ---- */

int leat__key_scratch_new(struct leat_key_scratch **scratch)
{
    *scratch = leat__calloc(1, sizeof **scratch);
    return *scratch ? 0 : LEAT_ENOMEM;
}

void leat__key_scratch_free(struct leat_key_scratch *scratch)
{
    if (!scratch)
        return;
    leat__free(scratch->keys);
    leat__free(scratch->bytes);
    leat__free(scratch);
}

static int reserve_keys(struct leat_key_scratch *s, uint32_t count)
{
    if (count <= s->keys_capacity)
        return 0;
    leat__free(s->keys);
    s->keys_capacity = 0;
    s->keys = leat__malloc(count * sizeof *s->keys);
    if (!s->keys)
        return LEAT_ENOMEM;
    s->keys_capacity = count;
    return 0;
}

static int reserve_bytes(struct leat_key_scratch *s, size_t bytes)
{
    if (bytes <= s->bytes_capacity)
        return 0;
    const size_t capacity = bytes > 2 * s->bytes_capacity ? bytes : 2 * s->bytes_capacity;
    leat__free(s->bytes);
    s->bytes_capacity = 0;
    s->bytes = leat__malloc(capacity);
    if (!s->bytes)
        return LEAT_ENOMEM;
    s->bytes_capacity = capacity;
    return 0;
}

static unsigned char *put_integer(unsigned char *to, int64_t value)
{
    const uint64_t bits = htobe64((uint64_t)value ^ SIGN_BIT);
    return (unsigned char *)memcpy(to, &bits, sizeof bits) + sizeof bits;
}

/* Negative numbers upside down, others behind them: the order of the bits is that of the values. */
static unsigned char *put_float(unsigned char *to, double value)
{
    const double plain = value + 0.0; /* -0.0 + 0.0 is 0.0 */
    uint64_t bits = NAN_BITS;
    if (!isnan(value))
        memcpy(&bits, &plain, sizeof bits);
    bits = htobe64(bits & SIGN_BIT ? ~bits : bits | SIGN_BIT);
    return (unsigned char *)memcpy(to, &bits, sizeof bits) + sizeof bits;
}

static unsigned char *put_string(unsigned char *to, struct leat_sv value)
{
    while (value.len > 0) {
        const char *zero = memchr(value.data, 0, value.len);
        const size_t len = zero ? (size_t)(zero - value.data) + 1 : value.len;
        memcpy(to, value.data, len);
        to += len;
        if (zero)
            *to++ = 0xff;
        value = (struct leat_sv){ value.data + len, value.len - len };
    }
    *to++ = 0;
    *to++ = 0;
    return to;
}

/* The string of a part. Data is NULL for an enum's number without a symbol. */
static struct leat_sv string_at(const struct part *part, const unsigned char *row)
{
    const unsigned char *at = row + part->place.offset;
    struct leat_sv value = { (const char *)at, part->place.type->size };
    if (part->symbols) {
        const uint32_t symbol = *(const uint32_t *)(const void *)at;
        return symbol < part->place.type->symbols_count ? part->symbols[symbol] : (struct leat_sv){ NULL, 0 };
    }
    if (part->place.type->kind != LEAT_KIND_FIXED)
        memcpy(&value, at, sizeof value);
    return value.data ? value : LEAT_SV("");
}

static double float_at(const struct part *part, const unsigned char *row)
{
    const void *at = row + part->place.offset;
    return part->place.type->kind == LEAT_KIND_FLOAT ? (double)*(const float *)at : *(const double *)at;
}

static int64_t integer_at(const struct part *part, const unsigned char *row)
{
    const void *at = row + part->place.offset;
    return part->place.type->kind == LEAT_KIND_INT ? *(const int32_t *)at : *(const int64_t *)at;
}

static int measure(const struct leat_key *key, const struct leat_batch *batch, size_t *bytes)
{
    *bytes = 0;
    for (uint32_t k = 0; k < key->parts_count; k++) {
        const struct part *part = &key->parts[k];
        *bytes += batch->count * (part->part_class == PART_STRING ? (size_t)3 : (size_t)9);
        if (part->part_class != PART_STRING)
            continue;
        for (uint32_t i = 0; i < batch->count; i++) {
            const unsigned char *row = leat_batch_at(batch, i);
            if (part->is_nullable && leat_record_is_null(row, &part->place))
                continue;
            const struct leat_sv value = string_at(part, row);
            if (!value.data)
                return LEAT_EDATA;
            *bytes += 2 * value.len;
        }
    }
    return 0;
}

static unsigned char *put_part(
    const struct part *part, bool alone, const unsigned char *row, unsigned char *to)
{
    switch (part->part_class) {
    case PART_BOOLEAN:
        *to++ = row[part->place.offset] != 0;
        return to;
    case PART_INTEGER:
        return put_integer(to, integer_at(part, row));
    case PART_FLOAT:
        return put_float(to, float_at(part, row));
    default: {
        const struct leat_sv value = string_at(part, row);
        if (!alone)
            return put_string(to, value);
        return value.len ? (unsigned char *)memcpy(to, value.data, value.len) + value.len : to;
    }
    }
}

/* The key of one row at `to`; gives its end, NULL for a null key. */
static unsigned char *put_row(const struct leat_key *key, const unsigned char *row, unsigned char *to)
{
    for (uint32_t k = 0; k < key->parts_count; k++) {
        const struct part *part = &key->parts[k];
        const bool is_null = part->is_nullable && leat_record_is_null(row, &part->place);
        if (is_null && !part->is_marked)
            return NULL;
        if (part->is_marked)
            *to++ = is_null ? NULL_MARK : VALUE_MARK;
        if (!is_null)
            to = put_part(part, key->parts_count == 1, row, to);
    }
    return to;
}

static int eval_parts(const struct leat_key *key, struct leat_key_scratch *s, const struct leat_batch *batch)
{
    size_t bytes;
    LEAT_TRY(measure(key, batch, &bytes));
    LEAT_TRY(reserve_bytes(s, bytes));
    unsigned char *at = s->bytes;
    for (uint32_t i = 0; i < batch->count; i++) {
        unsigned char *end = put_row(key, leat_batch_at(batch, i), at);
        s->keys[i] =
            end ? (struct leat_sv){ (const char *)at, (size_t)(end - at) } : (struct leat_sv){ NULL, 0 };
        at = end ? end : at;
    }
    LEAT_ASSERT(at <= s->bytes + s->bytes_capacity);
    return 0;
}

static int eval_integers(
    const struct leat_key *key, struct leat_key_scratch *s, const struct leat_batch *batch)
{
    const unsigned char *row = batch->rows + key->parts[0].place.offset;
    const bool is_int = key->shape == SHAPE_INT;
    LEAT_TRY(reserve_bytes(s, (size_t)batch->count * 8));
    unsigned char *at = s->bytes;
    for (uint32_t i = 0; i < batch->count; i++, row += batch->stride) {
        const void *from = row;
        s->keys[i] = (struct leat_sv){ (const char *)at, 8 };
        at = put_integer(at, is_int ? *(const int32_t *)from : *(const int64_t *)from);
    }
    return 0;
}

static void eval_strings(
    const struct leat_key *key, struct leat_key_scratch *s, const struct leat_batch *batch)
{
    const unsigned char *row = batch->rows + key->parts[0].place.offset;
    for (uint32_t i = 0; i < batch->count; i++, row += batch->stride) {
        const struct leat_sv value = *(const struct leat_sv *)(const void *)row;
        s->keys[i] =
            (struct leat_sv){ value.data ? value.data : "", value.len }; /* NULL would be a null key */
    }
}

int leat__key_eval(const struct leat_key *key, struct leat_key_scratch *scratch, struct leat_ctx *ctx,
    const struct leat_batch *batch, const struct leat_sv **keys)
{
    int code = 0;
    LEAT_TRY(reserve_keys(scratch, batch->capacity > batch->count ? batch->capacity : batch->count));
    *keys = scratch->keys;
    switch (key->shape) {
    case SHAPE_LONG:
    case SHAPE_INT:
        code = eval_integers(key, scratch, batch);
        break;
    case SHAPE_STRING:
        eval_strings(key, scratch, batch);
        break;
    case SHAPE_CALLBACK:
        key->fn(ctx, batch, scratch->keys);
        break;
    case SHAPE_PARTS:
        code = eval_parts(key, scratch, batch);
        break;
    }
    return code;
}

void leat__key_hash(const struct leat_sv *keys, struct leat_batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++)
        batch->key_hash[i] = keys[i].data ? leat__hash(keys[i].data, keys[i].len) : 0;
}
