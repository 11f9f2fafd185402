/* record/type.c -- comparing, checking and printing types. Types are finite trees (record/type_layout.c), so
 * that plain recursion does; descriptors from outside are only walked as far as they agree with a derived
 * one. */
#include "base/alloc.h"
#include "record/schema_private.h"

static bool same(const struct leat_type *a, const struct leat_type *b, struct leat_strbuf *path);

/* Puts a step before the path of a difference. */
static void add_step(struct leat_strbuf *path, const char *step)
{
    if (!path)
        return;
    struct leat_strbuf longer = { 0 };
    leat__strbuf_str(&longer, step);
    if (path->len) {
        leat__strbuf_char(&longer, '.');
        leat__strbuf_add(&longer, path->data, path->len);
    }
    leat__strbuf_release(path);
    *path = longer;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_fields(const struct leat_type *a, const struct leat_type *b, struct leat_strbuf *path)
{
    const uint32_t count = a->fields_count < b->fields_count ? a->fields_count : b->fields_count;
    for (uint32_t i = 0; i < count; i++) {
        const struct leat_field *x = &a->fields[i], *y = &b->fields[i];
        if (!same_text(x->name, y->name) || x->offset != y->offset || x->has_offset != y->has_offset ||
            !same(x->type, y->type, path)) {
            add_step(path, x->name);
            return false;
        }
    }
    if (a->fields_count == b->fields_count)
        return true;
    add_step(path, (a->fields_count > count ? a : b)->fields[count].name);
    return false;
}

static bool same_symbols(const struct leat_type *a, const struct leat_type *b)
{
    if (a->symbols_count != b->symbols_count)
        return false;
    for (uint32_t i = 0; i < a->symbols_count; i++)
        if (!same_text(a->symbols[i], b->symbols[i]))
            return false;
    return true;
}

static bool same(const struct leat_type *a, const struct leat_type *b, struct leat_strbuf *path)
{
    if (a == b)
        return true;
    if (!a || !b || a->kind != b->kind || a->logical != b->logical)
        return false;
    if (a->kind == LEAT_KIND_RECORD || a->kind == LEAT_KIND_UNION)
        if (!same_fields(a, b, path))
            return false;
    if (a->size != b->size || a->align != b->align || a->value_offset != b->value_offset ||
        a->entry_size != b->entry_size || a->precision != b->precision || a->scale != b->scale)
        return false;
    if (a->kind == LEAT_KIND_ENUM)
        return same_symbols(a, b);
    if (a->kind == LEAT_KIND_ARRAY || a->kind == LEAT_KIND_MAP || a->kind == LEAT_KIND_OPTIONAL)
        return same(a->item, b->item, path);
    return true;
}

bool leat__type_same(const struct leat_type *a, const struct leat_type *b, struct leat_strbuf *path)
{
    return same(a, b, path);
}

bool leat__type_equal(const struct leat_type *a, const struct leat_type *b)
{
    return same(a, b, NULL);
}

static int differs(const struct leat_type *type, const struct leat_strbuf *path, struct leat_error *err)
{
    if (path->len && !path->failed)
        return leat__error(err, LEAT_ESCHEMA,
            "%s: compiled with another layout of field %s; run leat gen again", type->name, path->data);
    return leat__error(err, LEAT_ESCHEMA, "%s: compiled with another layout; run leat gen again", type->name);
}

int leat__type_check(const struct leat_type *type, struct leat_error *err)
{
    struct leat_schema *schema;
    struct leat_arena arena = { 0 };
    struct leat_strbuf path = { 0 };
    const struct leat_type *derived;
    if (!type->schema)
        return leat__error(
            err, LEAT_ESCHEMA, "%s: the type has no schema text; use a type that leat gen wrote", type->name);
    int code = leat__schema_parse(type->schema, strlen(type->schema), &schema, err);
    if (code == 0) {
        code = leat__schema_type(schema, &arena, &derived, err);
        if (code == 0 && !leat__type_same(derived, type, &path))
            code = differs(type, &path, err);
        else if (code == 0 && derived->fingerprint != type->fingerprint)
            code = leat__error(err, LEAT_ESCHEMA,
                "%s: the fingerprint is not that of the schema text; run leat gen again", type->name);
    }
    leat__schema_free(schema);
    leat__arena_release(&arena);
    leat__strbuf_release(&path);
    return code;
}

/* ---- text ---- */

static void print_type(struct leat_strbuf *out, const struct leat_type *type);

static void print_fields(struct leat_strbuf *out, const struct leat_type *type)
{
    leat__strbuf_printf(out, "record %s {", type->name);
    for (uint32_t i = 0; i < type->fields_count; i++) {
        const struct leat_field *field = &type->fields[i];
        leat__strbuf_printf(out, "%s%s: ", i ? ", " : "", field->name);
        print_type(out, field->type);
        if (field->has_offset != LEAT_NOT_NULLABLE)
            leat__strbuf_str(out, " or null");
    }
    leat__strbuf_char(out, '}');
}

static void print_symbols(struct leat_strbuf *out, const struct leat_type *type)
{
    leat__strbuf_printf(out, "enum %s {", type->name);
    for (uint32_t i = 0; i < type->symbols_count; i++)
        leat__strbuf_printf(out, "%s%s", i ? ", " : "", type->symbols[i]);
    leat__strbuf_char(out, '}');
}

/* "array of long", "map of (long or null)". */
static void print_items(struct leat_strbuf *out, const struct leat_type *type)
{
    const bool group = type->item->kind == LEAT_KIND_UNION || type->item->kind == LEAT_KIND_OPTIONAL;
    leat__strbuf_printf(out, "%s of %s", type->name, group ? "(" : "");
    print_type(out, type->item);
    if (group)
        leat__strbuf_char(out, ')');
}

static void print_logical(struct leat_strbuf *out, const struct leat_type *type)
{
    if (type->logical == LEAT_LOGICAL_NONE)
        return;
    leat__strbuf_printf(out, " (%s", leat__logical_name(type->logical));
    if (type->logical == LEAT_LOGICAL_DECIMAL)
        leat__strbuf_printf(out, " %d.%d", type->precision, type->scale);
    leat__strbuf_char(out, ')');
}

static void print_type(struct leat_strbuf *out, const struct leat_type *type)
{
    switch (type->kind) {
    case LEAT_KIND_RECORD:
        print_fields(out, type);
        break;
    case LEAT_KIND_ENUM:
        print_symbols(out, type);
        break;
    case LEAT_KIND_FIXED:
        leat__strbuf_printf(out, "fixed %s[%u]", type->name, type->size);
        break;
    case LEAT_KIND_ARRAY:
    case LEAT_KIND_MAP:
        print_items(out, type);
        break;
    case LEAT_KIND_OPTIONAL:
        print_type(out, type->item);
        leat__strbuf_str(out, " or null");
        break;
    case LEAT_KIND_UNION:
        for (uint32_t i = 0; i < type->fields_count; i++) {
            leat__strbuf_str(out, i ? " or " : "");
            print_type(out, type->fields[i].type);
        }
        break;
    default:
        leat__strbuf_str(out, type->name);
    }
    print_logical(out, type);
}

void leat__type_print(struct leat_strbuf *out, const struct leat_type *type)
{
    print_type(out, type);
}
