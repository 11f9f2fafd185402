/* tools/gen.c -- C structs and type descriptors from a schema.
 *
 * The engine lays the schema out (record/type_layout.c); this writes the C declarations that give the same
 * layout, and static asserts that they do. A walk over the type, children first, names each part once
 * (gen_names.c makes the names ones that C takes): record, enum              by its simple name in lower case
 * with underscores: OrderLine -> order_line union, optional, array,   by record and field: order_payload;
 * items and values with _item and _value behind, map                       a map's entries with _entry, a
 * union's tags with _tag Descriptors always hold the schema's own names. */
#include "tools/gen.h"
#include "base/alloc.h"
#include "base/error.h"
#include "tools/gen_private.h"
#include <string.h>

struct gen_part *leat__gen_part(struct gen *g, const struct leat_type *type)
{
    for (uint32_t i = 0; i < g->parts_count; i++)
        if (g->parts[i].type == type)
            return &g->parts[i];
    return NULL;
}

static bool is_named(const struct leat_type *type)
{
    return type->kind == LEAT_KIND_RECORD || type->kind == LEAT_KIND_ENUM || type->kind == LEAT_KIND_FIXED;
}

/* Scalars and fixed need no declaration in C, nor does an enum that has no symbols. */
static bool is_declared(const struct leat_type *type)
{
    return type->fields_count > 0 || type->item || type->symbols_count > 0 || type->kind == LEAT_KIND_RECORD;
}

static int add_part(
    struct gen *g, const struct leat_type *type, const struct leat_schema_node *node, const char *name)
{
    if (g->parts_count == g->parts_capacity) {
        const uint32_t capacity = g->parts_capacity ? g->parts_capacity * 2 : 32;
        struct gen_part *parts = leat__realloc(g->parts, capacity * sizeof *parts);
        if (!parts)
            return leat__error(g->err, LEAT_ENOMEM, "out of memory");
        g->parts = parts;
        g->parts_capacity = capacity;
    }
    struct gen_part part = { .type = type, .node = node, .name = name };
    g->parts[g->parts_count++] = part;
    return 0;
}

/* For ["null", T] the node of T. */
static const struct leat_schema_node *value_node(const struct leat_schema_node *node)
{
    const bool optional = node->kind == LEAT_KIND_UNION && node->branches_count == 2 &&
        (node->branches[0]->kind == LEAT_KIND_NULL || node->branches[1]->kind == LEAT_KIND_NULL);
    return optional ? node->branches[node->branches[0]->kind == LEAT_KIND_NULL] : node;
}

static int collect(struct gen *g, const struct leat_type *type, const struct leat_schema_node *node,
    const char *wish, const char *name);

/* The types in a type. */
static int collect_children(
    struct gen *g, const struct leat_type *type, const struct leat_schema_node *node, const char *own)
{
    for (uint32_t i = 0; i < type->fields_count; i++) {
        const char *field = leat__gen_snake(g, leat__gen_simple(type->fields[i].name));
        const struct leat_schema_node *child =
            type->kind == LEAT_KIND_RECORD ? value_node(node->fields[i].node) : node->branches[i];
        LEAT_TRY(collect(g, type->fields[i].type, child, leat__gen_printf(g, "%s_%s", own, field), NULL));
    }
    if (!type->item)
        return 0;
    const char *suffix = type->kind == LEAT_KIND_ARRAY ? "item" : "value";
    const struct leat_schema_node *child = type->kind == LEAT_KIND_OPTIONAL ? value_node(node) : node->item;
    return collect(g, type->item, child, leat__gen_printf(g, "%s_%s", own, suffix), NULL);
}

/* Finds every part of the type, children first. `wish` is the name that an unnamed part would get; `name`, if
 * not NULL, the one that the part has. */
static int collect(struct gen *g, const struct leat_type *type, const struct leat_schema_node *node,
    const char *wish, const char *name)
{
    if (leat__gen_part(g, type))
        return 0;
    const char *own = is_named(type) ? leat__gen_snake(g, leat__gen_simple(type->name)) : wish;
    LEAT_TRY(collect_children(g, type, node, own));
    if (!name && is_declared(type))
        name = leat__gen_claim_tag(g, own, type);
    else if (!name) /* in upper case no part of a schema can be called so */
        name = leat__gen_printf(g, "SCALAR_%u", (unsigned)g->parts_count);
    return add_part(g, type, node, name);
}

/* The root picks its name first: it is the one that programs use most. */
static int collect_all(struct gen *g, const struct leat_schema_node *root)
{
    const char *wish = leat__gen_snake(g, leat__gen_simple(g->root->name));
    return collect(g, g->root, root, wish, leat__gen_claim_tag(g, wish, g->root));
}

int leat__gen(
    const char *stem, const char *text, size_t len, struct leat_gen_output *out, struct leat_error *err)
{
    struct gen g = { .out = out, .err = err, .stem = stem, .text = text, .text_len = len };
    struct leat_schema *schema = NULL;
    int result = leat__schema_parse(text, len, &schema, err);
    if (result == 0 && schema->root->kind != LEAT_KIND_RECORD)
        result = leat__error(err, LEAT_ESCHEMA,
            "the top of the schema is %s; streams carry records: wrap it in one", schema->root->name);
    if (result == 0)
        result = leat__schema_type(schema, &g.arena, &g.root, err);
    if (result == 0)
        result = collect_all(&g, schema->root);
    if (result == 0) {
        leat__gen_write_header(&g);
        leat__gen_write_source(&g);
        if (g.failed || out->header.failed || out->source.failed || out->notes.failed)
            result = leat__error(err, LEAT_ENOMEM, "out of memory");
    }
    leat__schema_free(schema);
    leat__free(g.parts);
    leat__free((void *)g.tags.words);
    leat__free((void *)g.constants.words);
    leat__strbuf_release(&g.body);
    leat__arena_release(&g.arena);
    return result;
}

void leat__gen_release(struct leat_gen_output *out)
{
    leat__strbuf_release(&out->header);
    leat__strbuf_release(&out->source);
    leat__strbuf_release(&out->notes);
}
