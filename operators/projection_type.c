/* operators/projection_type.c -- the record type of a projection that was given none.
 * Its schema is written as text and parsed like any other, so that files and plans get a real schema. A named
 * type is written out where it comes first and is its name afterwards; names without namespace say so, since
 * the record around them may have one. */
#include "base/strbuf.h"
#include "operators/projection_private.h"
#include "record/schema.h"
#include "topology/declare.h"
#include <string.h>

#define NAMES_MAX 256u

struct schema_writer {
    struct leat_strbuf text;
    const char *names[NAMES_MAX]; /* written out already */
    uint32_t names_count;
};

static void write_type(struct schema_writer *w, const struct leat_type *type);

/* True when the name is new; else the reference is written. */
static bool begin_named(struct schema_writer *w, const struct leat_type *type, const char *word)
{
    for (uint32_t i = 0; i < w->names_count; i++)
        if (strcmp(w->names[i], type->name) == 0) {
            leat__strbuf_printf(&w->text, "\"%s\"", type->name);
            return false;
        }
    if (w->names_count == NAMES_MAX)
        w->text.failed = true;
    else
        w->names[w->names_count++] = type->name;
    leat__strbuf_printf(&w->text, "{\"type\":\"%s\",\"name\":\"%s\"", word, type->name);
    if (!strchr(type->name, '.'))
        leat__strbuf_str(&w->text, ",\"namespace\":\"\"");
    return true;
}

static void write_field(
    struct schema_writer *w, const char *name, const struct leat_type *type, bool nullable)
{
    leat__strbuf_printf(&w->text, "{\"name\":\"%s\",\"type\":%s", name, nullable ? "[\"null\"," : "");
    write_type(w, type);
    leat__strbuf_str(&w->text, nullable ? "],\"default\":null}" : "}");
}

static void write_fields(struct schema_writer *w, const struct leat_type *type)
{
    leat__strbuf_str(&w->text, ",\"fields\":[");
    for (uint32_t i = 0; i < type->fields_count; i++) {
        const struct leat_field *field = &type->fields[i];
        leat__strbuf_str(&w->text, i ? "," : "");
        write_field(w, field->name, field->type, field->has_offset != LEAT_NOT_NULLABLE);
    }
    leat__strbuf_str(&w->text, "]}");
}

static void write_logical(struct schema_writer *w, const struct leat_type *type)
{
    if (type->logical == LEAT_LOGICAL_NONE)
        return;
    leat__strbuf_printf(&w->text, ",\"logicalType\":\"%s\"", leat__logical_name(type->logical));
    if (type->logical == LEAT_LOGICAL_DECIMAL)
        leat__strbuf_printf(&w->text, ",\"precision\":%d,\"scale\":%d", type->precision, type->scale);
}

static void write_enum(struct schema_writer *w, const struct leat_type *type)
{
    if (!begin_named(w, type, "enum"))
        return;
    leat__strbuf_str(&w->text, ",\"symbols\":[");
    for (uint32_t i = 0; i < type->symbols_count; i++)
        leat__strbuf_printf(&w->text, "%s\"%s\"", i ? "," : "", type->symbols[i]);
    leat__strbuf_str(&w->text, "]}");
}

static void write_fixed(struct schema_writer *w, const struct leat_type *type)
{
    if (!begin_named(w, type, "fixed"))
        return;
    leat__strbuf_printf(&w->text, ",\"size\":%u", type->size);
    write_logical(w, type);
    leat__strbuf_char(&w->text, '}');
}

static void write_union(struct schema_writer *w, const struct leat_type *type)
{
    leat__strbuf_char(&w->text, '[');
    for (uint32_t i = 0; i < type->fields_count; i++) {
        leat__strbuf_str(&w->text, i ? "," : "");
        write_type(w, type->fields[i].type);
    }
    leat__strbuf_char(&w->text, ']');
}

static void write_around(
    struct schema_writer *w, const char *before, const struct leat_type *item, const char *after)
{
    leat__strbuf_str(&w->text, before);
    write_type(w, item);
    leat__strbuf_str(&w->text, after);
}

static void write_type(struct schema_writer *w, const struct leat_type *type)
{
    switch (type->kind) {
    case LEAT_KIND_RECORD:
        if (begin_named(w, type, "record"))
            write_fields(w, type);
        break;
    case LEAT_KIND_ENUM:
        write_enum(w, type);
        break;
    case LEAT_KIND_FIXED:
        write_fixed(w, type);
        break;
    case LEAT_KIND_ARRAY:
        write_around(w, "{\"type\":\"array\",\"items\":", type->item, "}");
        break;
    case LEAT_KIND_MAP:
        write_around(w, "{\"type\":\"map\",\"values\":", type->item, "}");
        break;
    case LEAT_KIND_OPTIONAL:
        write_around(w, "[\"null\",", type->item, "]");
        break;
    case LEAT_KIND_UNION:
        write_union(w, type);
        break;
    default:
        leat__strbuf_printf(&w->text, "{\"type\":\"%s\"", type->name);
        write_logical(w, type);
        leat__strbuf_char(&w->text, '}');
    }
}

/* The node's name as an Avro name. */
static void write_name(struct leat_strbuf *out, const char *name)
{
    if (*name >= '0' && *name <= '9')
        leat__strbuf_char(out, '_');
    for (; *name; name++)
        leat__strbuf_char(out, *name == '-' || *name == '.' ? '_' : *name);
}

static void write_schema(struct schema_writer *w, const struct leat_node *node,
    const struct leat__made_field *fields, uint32_t count)
{
    leat__strbuf_str(&w->text, "{\"type\":\"record\",\"name\":\"");
    write_name(&w->text, node->name);
    leat__strbuf_str(&w->text, "\",\"fields\":[");
    for (uint32_t i = 0; i < count; i++) {
        leat__strbuf_str(&w->text, i ? "," : "");
        write_field(w, fields[i].name, fields[i].type, fields[i].nullable);
    }
    leat__strbuf_str(&w->text, "]}");
}

static void free_schema(void *schema)
{
    leat__schema_free(schema);
}

const struct leat_type *leat__projection_make_type(
    struct leat_node *node, const struct leat__made_field *fields, uint32_t count)
{
    struct schema_writer w = { 0 };
    struct leat_schema *schema = NULL;
    struct leat_error err = { 0 };
    const struct leat_type *type = NULL;
    if (leat__node_is_inert(node))
        return NULL;
    write_schema(&w, node, fields, count);
    const char *text = w.text.failed ? NULL : leat__spec_str(node, w.text.data);
    leat__strbuf_release(&w.text);
    if (!text) {
        if (!leat__node_is_inert(node)) /* else it was said */
            leat__declare_error(node, "fields", LEAT_ENOMEM, "out of memory for the schema of the output");
        return NULL;
    }
    if (leat__schema_parse(text, strlen(text), &schema, &err) < 0 ||
        leat__schema_type(schema, &node->t->arena, &type, &err) < 0) {
        leat__declare_error(node, "fields", err.code, "these make no record: %s", err.message);
        type = NULL;
    }
    leat__topology_defer(node, free_schema, schema);
    return leat__node_is_inert(node) ? NULL : type;
}
