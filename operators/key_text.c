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

static void print_part(struct leat_strbuf *out, const struct leat_key_part *part, enum leat_key_nulls nulls)
{
    const struct leat_type *type = part->type;
    leat__strbuf_printf(out, part->expr ? "(%s) %s" : "%s %s", part->text, word_of(type));
    if (type->kind == LEAT_KIND_FIXED)
        leat__strbuf_printf(out, " %u", type->size);
    if (type->logical)
        leat__strbuf_printf(out, " (%s)", leat__logical_name(type->logical));
    if (part->is_nullable && nulls == LEAT_KEY_NULLS_GROUP)
        leat__strbuf_str(out, " or null");
}

const char *leat__key_describe(struct leat_node *node, const struct leat_key *key, enum leat_key_nulls nulls)
{
    struct leat_strbuf out = { 0 };
    if (leat__key_is_fn(key))
        return leat__spec_printf(node, "callback %s", leat__key_text(key));
    for (uint32_t i = 0; i < leat__key_parts_count(key); i++) {
        const struct leat_key_part part = leat__key_part(key, i);
        leat__strbuf_str(&out, i ? ", " : "");
        print_part(&out, &part, nulls);
    }
    const char *described = out.failed ? NULL : leat__spec_str(node, out.data ? out.data : "");
    leat__strbuf_release(&out);
    return described;
}

bool leat__key_has_unnamed(const struct leat_key *key)
{
    for (uint32_t i = 0; i < leat__key_parts_count(key); i++)
        if (!leat__key_part(key, i).name)
            return true;
    return false;
}

void leat__key_refuse_names(
    struct leat_node *node, const char *option, const struct leat_key *key, const char *instead)
{
    for (uint32_t i = 0; i < leat__key_parts_count(key); i++) {
        const struct leat_key_part part = leat__key_part(key, i);
        if (part.as)
            leat__declare_error(node, option, LEAT_EDECLARE,
                "nothing shows the name in \"%s as %s\": remove it; %s", part.text, part.as, instead);
    }
}
