/* record/key.c -- keys: what they are made of, whether two agree, and as text. How rows become bytes: key_eval.c; how
 * text becomes parts: key_parse.c.
 *
 * A part is a field, or an expression, whose values are written as those of a field of its natural type are. An
 * expression that is nothing but a field is that field, so that `"order"` in quotes costs what order does. Keys are
 * immutable and shared. */
#include "record/key_private.h"
#include "record/schema.h"
#include "base/alloc.h"
#include "base/assert.h"
#include "base/strbuf.h"

/* ---- making ---- */

static const char *class_name(enum leat__key_class key_class)
{
    switch (key_class) {
    case LEAT__KEY_BOOLEAN:
        return "boolean";
    case LEAT__KEY_INTEGER:
        return "integer";
    case LEAT__KEY_FLOAT:
        return "float";
    case LEAT__KEY_STRING:
        return "string";
    }
    return "?";
}

/* 0: can not be a key. */
static enum leat__key_class class_of(const struct leat_type *type)
{
    if (type->logical == LEAT_LOGICAL_DECIMAL)
        return 0; /* one value has several byte strings */
    switch (type->kind) {
    case LEAT_KIND_BOOLEAN:
        return LEAT__KEY_BOOLEAN;
    case LEAT_KIND_INT:
    case LEAT_KIND_LONG:
        return LEAT__KEY_INTEGER;
    case LEAT_KIND_FLOAT:
    case LEAT_KIND_DOUBLE:
        return LEAT__KEY_FLOAT;
    case LEAT_KIND_STRING:
    case LEAT_KIND_BYTES:
    case LEAT_KIND_FIXED:
    case LEAT_KIND_ENUM:
        return LEAT__KEY_STRING;
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

static int add_symbols(struct leat_key *key, struct leat__key_field *part, struct leat_error *err)
{
    struct leat_sv *symbols = leat__arena_array(&key->arena, part->type->symbols_count + 1, sizeof *symbols);
    if (!symbols)
        return no_memory(err);
    for (uint32_t i = 0; i < part->type->symbols_count; i++)
        symbols[i] = leat_sv_of(part->type->symbols[i]);
    part->symbols = symbols;
    return 0;
}

static int set_field(struct leat_key *key, struct leat__key_field *part, struct leat_error *err)
{
    part->type = part->place.type;
    part->key_class = class_of(part->type);
    if (!part->key_class)
        return fail_kind(part->text, part->type, err);
    part->is_nullable =
        part->place.has_offset != LEAT_NOT_NULLABLE || part->place.outer_has[0] != LEAT_NOT_NULLABLE;
    return part->type->kind == LEAT_KIND_ENUM ? add_symbols(key, part, err) : 0;
}

static int add_path(
    struct leat_key *key, const struct leat_type *type, struct leat__key_field *part, struct leat_error *err)
{
    if (leat_record_find(type, part->text, &part->place, err) != 0) {
        if (err)
            err->code = LEAT_EDECLARE;
        return LEAT_EDECLARE;
    }
    return set_field(key, part, err);
}

/* The expression with blanks before it, so that errors name columns of the whole text. */
static char *with_margin(struct leat_key *key, const char *text, const struct leat__key_piece *piece)
{
    char *padded = leat__arena_alloc(&key->arena, piece->to + 1);
    char *at = padded;
    for (uint32_t i = 0; padded && i < piece->from; i++) {
        if (text[i] == '\n')
            *at++ = '\n';
        else if (((unsigned char)text[i] & 0xc0) != 0x80) /* a character is one column */
            *at++ = ' ';
    }
    if (!padded)
        return NULL;
    memcpy(at, text + piece->from, piece->to - piece->from);
    at[piece->to - piece->from] = '\0';
    return padded;
}

static int add_expr(struct leat_key *key, const struct leat_type *type, struct leat__key_field *part,
    const char *text, struct leat_error *err)
{
    LEAT_TRY(leat__expr_new(text, type, &part->expr, err));
    if (leat__expr_place(part->expr, &part->place)) {
        leat__expr_free(part->expr);
        part->expr = NULL;
        return set_field(key, part, err);
    }
    if (leat__expr_is_constant(part->expr))
        return leat__error(err, LEAT_EDECLARE,
            "%s is the same for all records, which would all have one key: use fields of the record",
            part->text);
    part->type = leat__expr_type(part->expr);
    part->key_class = class_of(part->type);
    part->is_nullable = leat__expr_is_nullable(part->expr);
    LEAT_ASSERT(part->key_class);
    return 0;
}

static int add_part(struct leat_key *key, const struct leat_type *type, const char *text,
    const struct leat__key_piece *piece, struct leat_error *err)
{
    struct leat__key_field *part = &key->parts[key->parts_count++];
    part->text = piece->text;
    part->as = piece->as;
    if (piece->is_path)
        return add_path(key, type, part, err);
    const char *padded = with_margin(key, text, piece);
    return padded ? add_expr(key, type, part, padded, err) : no_memory(err);
}

static int check_names(const struct leat_key *key, struct leat_error *err)
{
    for (uint32_t i = 0; i < key->parts_count; i++)
        for (uint32_t k = 0; key->parts[i].as && k < i; k++)
            if (key->parts[k].as && strcmp(key->parts[i].as, key->parts[k].as) == 0)
                return leat__error(err, LEAT_EDECLARE,
                    "%s and %s are both named \"%s\": give each a name of its own", key->parts[k].text,
                    key->parts[i].text, key->parts[i].as);
    return 0;
}

static int add_parts(struct leat_key *key, const struct leat_type *type, const char *text,
    enum leat_key_nulls nulls, struct leat_error *err)
{
    struct leat__key_piece pieces[LEAT_KEY_FIELDS_MAX];
    uint32_t count;
    LEAT_TRY(leat__key_parse(&key->arena, text, pieces, &count, err));
    for (uint32_t i = 0; i < count; i++) {
        LEAT_TRY(add_part(key, type, text, &pieces[i], err));
        key->parts[i].is_marked = key->parts[i].is_nullable && nulls == LEAT_KEY_NULLS_GROUP;
    }
    return check_names(key, err);
}

/* Bytes of a part, 0 when they vary. */
static uint32_t part_size(const struct leat__key_field *part, bool alone)
{
    if (part->is_marked)
        return 0;
    switch (part->key_class) {
    case LEAT__KEY_BOOLEAN:
        return 1;
    case LEAT__KEY_STRING:
        return alone && part->type->kind == LEAT_KIND_FIXED ? part->type->size : 0;
    default:
        return 8;
    }
}

static void describe(struct leat_key *key)
{
    const struct leat__key_field *part = &key->parts[0];
    const bool alone = key->parts_count == 1;
    key->shape = LEAT__KEY_OF_FIELDS;
    for (uint32_t i = 0; i < key->parts_count; i++) {
        const uint32_t size = part_size(&key->parts[i], alone);
        key->fixed_size = size && (i == 0 || key->fixed_size) ? key->fixed_size + size : 0;
        if (key->parts[i].expr)
            key->shape = LEAT__KEY_OF_EXPRS;
    }
    if (!alone || part->is_nullable || part->expr)
        return;
    if (part->type->kind == LEAT_KIND_LONG)
        key->shape = LEAT__KEY_OF_LONG;
    else if (part->type->kind == LEAT_KIND_INT)
        key->shape = LEAT__KEY_OF_INT;
    else if (part->type->kind == LEAT_KIND_STRING || part->type->kind == LEAT_KIND_BYTES)
        key->shape = LEAT__KEY_OF_STRING;
}

static int write_text(struct leat_key *key, struct leat_error *err)
{
    struct leat_strbuf text = { 0 }, named = { 0 };
    for (uint32_t i = 0; i < key->parts_count; i++) {
        const struct leat__key_field *part = &key->parts[i];
        leat__strbuf_printf(&text, "%s%s", i ? ", " : "", part->text);
        leat__strbuf_printf(
            &named, "%s%s%s%s", i ? ", " : "", part->text, part->as ? " as " : "", part->as ? part->as : "");
    }
    if (!text.failed && !named.failed) {
        key->text = leat__arena_strn(&key->arena, text.data, text.len);
        key->named_text = leat__arena_strn(&key->arena, named.data, named.len);
    }
    leat__strbuf_release(&text);
    leat__strbuf_release(&named);
    return key->text && key->named_text ? 0 : no_memory(err);
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
    made->shape = LEAT__KEY_OF_CALLBACK;
    made->fn = fn;
    made->text = made->named_text = leat__arena_str(&made->arena, name);
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
    for (uint32_t i = 0; i < key->parts_count; i++)
        leat__expr_free(key->parts[i].expr);
    leat__arena_release(&key->arena);
    leat__free(key);
}

const char *leat__key_text(const struct leat_key *key)
{
    return key->text;
}

const char *leat__key_named_text(const struct leat_key *key)
{
    return key->named_text;
}

uint32_t leat__key_parts_count(const struct leat_key *key)
{
    return key->parts_count;
}

struct leat_key_part leat__key_part(const struct leat_key *key, uint32_t i)
{
    LEAT_ASSERT(i < key->parts_count);
    const struct leat__key_field *part = &key->parts[i];
    const char *dot = strrchr(part->text, '.');
    struct leat_key_part told = { .text = part->text,
        .as = part->as,
        .name = part->as,
        .type = part->type,
        .is_nullable = part->is_nullable,
        .expr = part->expr,
        .place = part->place };
    if (!told.name && !part->expr)
        told.name = dot ? dot + 1 : part->text;
    return told;
}

bool leat__key_is_fn(const struct leat_key *key)
{
    return key->shape == LEAT__KEY_OF_CALLBACK;
}

uint32_t leat__key_fixed_size(const struct leat_key *key)
{
    return key->fixed_size;
}

/* ---- compatibility ---- */

static int compare_parts(
    const struct leat__key_field *a, const struct leat__key_field *b, struct leat_error *err)
{
    const int a_unit = leat__logical_unit(a->type->logical), b_unit = leat__logical_unit(b->type->logical);
    if (a->key_class != b->key_class)
        return leat__error(err, LEAT_EDECLARE,
            "key fields \"%s\" (%s) and \"%s\" (%s) never are equal; use fields of one class", a->text,
            class_name(a->key_class), b->text, class_name(b->key_class));
    if (a_unit && b_unit && a_unit != b_unit)
        return leat__error(err, LEAT_EDECLARE,
            "key fields \"%s\" and \"%s\" count time in different units; convert one of them first", a->text,
            b->text);
    if (a->is_marked != b->is_marked)
        return leat__error(err, LEAT_EDECLARE,
            "key field \"%s\" groups nulls and \"%s\" can not be null, so that equal values have different "
            "bytes",
            a->is_marked ? a->text : b->text, a->is_marked ? b->text : a->text);
    return 0;
}

int leat__key_compatible(const struct leat_key *a, const struct leat_key *b, struct leat_error *err)
{
    if (a->shape == LEAT__KEY_OF_CALLBACK || b->shape == LEAT__KEY_OF_CALLBACK)
        return 0; /* whoever writes the bytes answers for them */
    if (a->parts_count != b->parts_count)
        return leat__error(err, LEAT_EDECLARE,
            "keys \"%s\" and \"%s\" have %u and %u fields; expected as many on both sides", a->text, b->text,
            a->parts_count, b->parts_count);
    for (uint32_t i = 0; i < a->parts_count; i++)
        LEAT_TRY(compare_parts(&a->parts[i], &b->parts[i], err));
    return 0;
}
