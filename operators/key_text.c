/* operators/key_text.c -- what a key is, as text: the names of its fields and how their bytes are made. Two keys
 * of the same text have the same bytes for the same values. */
#include "operators/key_private.h"
#include "record/schema.h"

static const char *word_of(const struct leat_type *type)
{
    switch (type->kind) {
    case LEAT_KIND_INT:
    case LEAT_KIND_LONG:
        return "long";
    case LEAT_KIND_FLOAT:
    case LEAT_KIND_DOUBLE:
        return "double";
    case LEAT_KIND_STRING:
    case LEAT_KIND_ENUM:
        return "string";
    case LEAT_KIND_FIXED:
        return "fixed";
    default:
        return type->name;
    }
}

static void print_field(
    struct leat_strbuf *out, const struct leat_type *type, const char *path, enum leat_key_nulls nulls)
{
    struct leat_place place;
    leat__strbuf_str(out, path);
    if (leat_record_find(type, path, &place, NULL) < 0)
        return; /* told when the key was declared */
    leat__strbuf_printf(out, " %s", word_of(place.type));
    if (place.type->kind == LEAT_KIND_FIXED)
        leat__strbuf_printf(out, " %u", place.type->size);
    if (place.type->logical)
        leat__strbuf_printf(out, " (%s)", leat__logical_name(place.type->logical));
    const bool nullable = place.has_offset != LEAT_NOT_NULLABLE || place.outer_has[0] != LEAT_NOT_NULLABLE;
    if (nullable && nulls == LEAT_KEY_NULLS_GROUP)
        leat__strbuf_str(out, " or null");
}

const char *leat__key_describe(struct leat_node *node, const struct leat_key *key,
    const struct leat_type *type, enum leat_key_nulls nulls)
{
    struct leat_strbuf out = { 0 };
    const char *text = leat__key_text(key);
    if (leat__key_is_fn(key))
        return leat__spec_printf(node, "callback %s", text);
    char *paths = leat__spec(node, strlen(text) + 1);
    if (!paths)
        return NULL;
    memcpy(paths, text, strlen(text) + 1);
    char *rest = NULL;
    for (char *path = strtok_r(paths, ", \t\r\n", &rest); path; path = strtok_r(NULL, ", \t\r\n", &rest)) {
        leat__strbuf_str(&out, out.len ? ", " : "");
        print_field(&out, type, path, nulls);
    }
    const char *described = out.failed ? NULL : leat__spec_str(node, out.data ? out.data : "");
    leat__strbuf_release(&out);
    return described;
}
