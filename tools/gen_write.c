/* tools/gen_write.c -- the text of generated headers and sources. */
#include "base/hash.h"
#include "tools/gen_private.h"
#include <inttypes.h>
#include <string.h>

static const char *const kind_names[] = { [LEAT_KIND_NULL] = "NULL",
    [LEAT_KIND_BOOLEAN] = "BOOLEAN",
    [LEAT_KIND_INT] = "INT",
    [LEAT_KIND_LONG] = "LONG",
    [LEAT_KIND_FLOAT] = "FLOAT",
    [LEAT_KIND_DOUBLE] = "DOUBLE",
    [LEAT_KIND_BYTES] = "BYTES",
    [LEAT_KIND_STRING] = "STRING",
    [LEAT_KIND_FIXED] = "FIXED",
    [LEAT_KIND_ENUM] = "ENUM",
    [LEAT_KIND_RECORD] = "RECORD",
    [LEAT_KIND_ARRAY] = "ARRAY",
    [LEAT_KIND_MAP] = "MAP",
    [LEAT_KIND_UNION] = "UNION",
    [LEAT_KIND_OPTIONAL] = "OPTIONAL" };

static const struct {
    const char *constant, *comment;
} logicals[] = {
    [LEAT_LOGICAL_NONE] = { "LEAT_LOGICAL_NONE", NULL },
    [LEAT_LOGICAL_DECIMAL] = { "LEAT_LOGICAL_DECIMAL", "decimal, big-endian two's complement" },
    [LEAT_LOGICAL_UUID] = { "LEAT_LOGICAL_UUID", "uuid" },
    [LEAT_LOGICAL_DATE] = { "LEAT_LOGICAL_DATE", "days since 1970-01-01" },
    [LEAT_LOGICAL_TIME_MILLIS] = { "LEAT_LOGICAL_TIME_MILLIS", "milliseconds since midnight" },
    [LEAT_LOGICAL_TIME_MICROS] = { "LEAT_LOGICAL_TIME_MICROS", "microseconds since midnight" },
    [LEAT_LOGICAL_TIMESTAMP_MILLIS] = { "LEAT_LOGICAL_TIMESTAMP_MILLIS",
        "milliseconds since 1970-01-01 UTC" },
    [LEAT_LOGICAL_TIMESTAMP_MICROS] = { "LEAT_LOGICAL_TIMESTAMP_MICROS",
        "microseconds since 1970-01-01 UTC" },
    [LEAT_LOGICAL_TIMESTAMP_NANOS] = { "LEAT_LOGICAL_TIMESTAMP_NANOS", "nanoseconds since 1970-01-01 UTC" },
    [LEAT_LOGICAL_LOCAL_TIMESTAMP_MILLIS] = { "LEAT_LOGICAL_LOCAL_TIMESTAMP_MILLIS",
        "local milliseconds since 1970" },
    [LEAT_LOGICAL_LOCAL_TIMESTAMP_MICROS] = { "LEAT_LOGICAL_LOCAL_TIMESTAMP_MICROS",
        "local microseconds since 1970" },
    [LEAT_LOGICAL_LOCAL_TIMESTAMP_NANOS] = { "LEAT_LOGICAL_LOCAL_TIMESTAMP_NANOS",
        "local nanoseconds since 1970" },
    [LEAT_LOGICAL_DURATION] = { "LEAT_LOGICAL_DURATION", "months, days, milliseconds, little-endian" },
};

/* The C type of a value; NULL for null, which has no bytes, and for fixed, which is an array. */
static const char *value_type(struct gen *g, const struct leat_type *type)
{
    static const char *const scalars[] = { [LEAT_KIND_BOOLEAN] = "bool",
        [LEAT_KIND_INT] = "int32_t",
        [LEAT_KIND_LONG] = "int64_t",
        [LEAT_KIND_FLOAT] = "float",
        [LEAT_KIND_DOUBLE] = "double",
        [LEAT_KIND_BYTES] = "struct leat_sv",
        [LEAT_KIND_STRING] = "struct leat_sv",
        [LEAT_KIND_ENUM] = "int32_t",
        [LEAT_KIND_ARRAY] = "struct leat_array",
        [LEAT_KIND_MAP] = "struct leat_map",
        [LEAT_KIND_OPTIONAL] = NULL };
    if (type->kind == LEAT_KIND_RECORD || type->kind == LEAT_KIND_UNION || type->kind == LEAT_KIND_OPTIONAL)
        return leat__gen_printf(g, "struct %s", leat__gen_part(g, type)->name);
    return scalars[type->kind];
}

/* What a member's C type does not say; "" when there is nothing. */
static const char *remark(struct gen *g, const struct leat_type *type)
{
    const char *name = leat__gen_part(g, type)->name, *text = logicals[type->logical].comment;
    if (type->kind == LEAT_KIND_ENUM && type->symbols_count)
        return leat__gen_printf(g, "enum %s", name);
    if (type->kind == LEAT_KIND_ARRAY && type->item->size)
        return leat__gen_printf(g, "see %s_at", name);
    if (type->kind == LEAT_KIND_MAP)
        return leat__gen_printf(g, "of struct %s_entry, see %s_at", name, name);
    if (type->logical == LEAT_LOGICAL_DECIMAL)
        return leat__gen_printf(
            g, "%s, precision %" PRId32 ", scale %" PRId32, text, type->precision, type->scale);
    return text ? text : "";
}

/* A doc of the schema inside of a comment, on one line: without what would end it, begin another, or turn the
 * reading direction. */
static void write_doc(struct leat_strbuf *s, const char *doc)
{
    for (const char *p = doc; *p; p++) {
        const unsigned char *c = (const unsigned char *)p;
        const bool turns = c[0] == 0xe2 &&
            ((c[1] == 0x80 && c[2] >= 0xaa && c[2] <= 0xae) ||
                (c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9));
        if (turns)
            p += 2;
        else if ((p[0] == '*' && p[1] == '/') || (p[0] == '/' && p[1] == '*') || (p[0] == '?' && p[1] == '?'))
            leat__strbuf_printf(s, "%c ", p[0]);
        else
            leat__strbuf_char(s, c[0] < 0x20 || c[0] == 0x7f || c[0] == '\\' ? ' ' : p[0]);
    }
}

/* The C declaration of a member; nothing for types without bytes. */
static void write_member(
    struct gen *g, const struct leat_type *type, const char *name, const char *indent, const char *doc)
{
    const char *text = remark(g, type);
    if (type->size == 0)
        return;
    if (type->kind == LEAT_KIND_FIXED)
        leat__strbuf_printf(&g->body, "%suint8_t %s[%" PRIu32 "];", indent, name, type->size);
    else
        leat__strbuf_printf(&g->body, "%s%s %s;", indent, value_type(g, type), name);
    if (*text || doc)
        leat__strbuf_printf(&g->body, " /* %s%s", text, *text && doc ? "; " : "");
    if (doc)
        write_doc(&g->body, doc);
    leat__strbuf_str(&g->body, *text || doc ? " */\n" : "\n");
}

/* Above a named type: its full name and its doc. */
static void write_title(struct gen *g, const struct gen_part *part)
{
    leat__strbuf_printf(&g->body, "/* %s%s", part->type->name, part->node->doc ? ": " : "");
    if (part->node->doc)
        write_doc(&g->body, part->node->doc);
    leat__strbuf_str(&g->body, " */\n");
}

static void assert_size(struct gen *g, const char *name, uint32_t size)
{
    leat__strbuf_printf(&g->body,
        "LEAT_STATIC_ASSERT(sizeof(struct %s) == %" PRIu32 ", \"layout of struct %s\");\n", name, size, name);
}

static void assert_offset(struct gen *g, const char *name, const char *member, uint32_t offset)
{
    leat__strbuf_printf(&g->body,
        "LEAT_STATIC_ASSERT(offsetof(struct %s, %s) == %" PRIu32 ", \"layout of %s.%s\");\n", name, member,
        offset, name, member);
}

static void write_record(struct gen *g, const struct gen_part *part)
{
    const struct leat_type *type = part->type;
    struct gen_members members;
    bool any = false;
    if (!leat__gen_members(g, type, &members))
        return;
    write_title(g, part);
    leat__strbuf_printf(&g->body, "struct %s {\n", part->name);
    for (uint32_t i = 0; i < type->fields_count; i++) {
        if (members.flags[i])
            leat__strbuf_printf(&g->body, "    bool %s;\n", members.flags[i]);
        write_member(g, type->fields[i].type, members.names[i], "    ", part->node->fields[i].doc);
        any = any || members.flags[i] || type->fields[i].type->size > 0;
    }
    if (!any)
        leat__strbuf_str(&g->body, "    char unused_; /* the record has no fields with bytes */\n");
    leat__strbuf_str(&g->body, "};\n");
    assert_size(g, part->name, type->size);
    for (uint32_t i = 0; i < type->fields_count; i++) {
        if (members.flags[i])
            assert_offset(g, part->name, members.flags[i], type->fields[i].has_offset);
        if (type->fields[i].type->size > 0)
            assert_offset(g, part->name, members.names[i], type->fields[i].offset);
    }
}

static void write_enum(struct gen *g, const struct gen_part *part)
{
    const char *prefix = leat__gen_upper(g, part->name);
    write_title(g, part);
    leat__strbuf_printf(&g->body, "enum %s {\n", part->name);
    for (uint32_t i = 0; i < part->type->symbols_count; i++) {
        const char *wish = leat__gen_printf(g, "%s_%s", prefix, part->type->symbols[i]);
        leat__strbuf_printf(
            &g->body, "    %s = %" PRIu32 ",\n", leat__gen_claim_constant(g, wish, part->type), i);
    }
    leat__strbuf_str(&g->body, "};\n");
}

static void write_union(struct gen *g, const struct gen_part *part)
{
    const struct leat_type *type = part->type;
    const char *prefix = leat__gen_upper(g, part->name);
    struct gen_branches branches;
    bool any = false;
    if (!leat__gen_branches(g, type, &branches))
        return;
    leat__strbuf_printf(&g->body, "enum %s_tag {\n", part->name);
    for (uint32_t i = 0; i < type->fields_count; i++) {
        const char *wish = leat__gen_printf(g, "%s_%s", prefix, branches.tags[i]);
        leat__strbuf_printf(&g->body, "    %s = %" PRIu32 ",\n", leat__gen_claim_constant(g, wish, type), i);
    }
    for (uint32_t i = 0; i < type->fields_count; i++)
        any = any || type->fields[i].type->size > 0;
    leat__strbuf_printf(&g->body, "};\nstruct %s {\n    int32_t tag; /* enum %s_tag%s */\n", part->name,
        part->name, any ? ": which member of `as`" : "");
    if (any)
        leat__strbuf_str(&g->body, "    union {\n");
    for (uint32_t i = 0; i < type->fields_count; i++)
        write_member(g, type->fields[i].type, branches.members[i], "        ", NULL);
    leat__strbuf_str(&g->body, any ? "    } as;\n};\n" : "};\n");
    assert_size(g, part->name, type->size);
    if (any)
        assert_offset(g, part->name, "as", type->value_offset);
}

static void write_optional(struct gen *g, const struct gen_part *part)
{
    leat__strbuf_printf(&g->body, "struct %s {\n    bool has;\n", part->name);
    write_member(g, part->type->item, "value", "    ", NULL);
    leat__strbuf_str(&g->body, "};\n");
    assert_size(g, part->name, part->type->size);
    if (part->type->item->size > 0)
        assert_offset(g, part->name, "value", part->type->value_offset);
}

static void write_array(struct gen *g, const struct gen_part *part)
{
    const struct leat_type *item = part->type->item;
    const char *type = item->kind == LEAT_KIND_FIXED ? "uint8_t" : value_type(g, item);
    if (item->size == 0)
        return;
    leat__strbuf_printf(&g->body,
        "/* The i-th item, i < array.count. */\n"
        "static inline const %s *%s_at(struct leat_array array, size_t i)\n{\n"
        "    return (const %s *)(const void *)((const char *)array.items + i * %" PRIu32 "u);\n}\n",
        type, part->name, type, item->size);
}

static void write_map(struct gen *g, const struct gen_part *part)
{
    const char *name = part->name;
    leat__strbuf_printf(&g->body, "struct %s_entry {\n    struct leat_sv key;\n", name);
    write_member(g, part->type->item, "value", "    ", NULL);
    leat__strbuf_str(&g->body, "};\n");
    assert_size(g, leat__gen_printf(g, "%s_entry", name), part->type->entry_size);
    leat__strbuf_printf(&g->body,
        "/* The i-th entry, i < map.count. */\n"
        "static inline const struct %s_entry *%s_at(struct leat_map map, size_t i)\n{\n"
        "    return (const struct %s_entry *)map.entries + i;\n}\n",
        name, name, name);
}

static void write_declaration(struct gen *g, const struct gen_part *part)
{
    switch (part->type->kind) {
    case LEAT_KIND_RECORD:
        write_record(g, part);
        break;
    case LEAT_KIND_ENUM:
        if (part->type->symbols_count)
            write_enum(g, part);
        break;
    case LEAT_KIND_UNION:
        write_union(g, part);
        break;
    case LEAT_KIND_OPTIONAL:
        write_optional(g, part);
        break;
    case LEAT_KIND_ARRAY:
        write_array(g, part);
        break;
    case LEAT_KIND_MAP:
        write_map(g, part);
        break;
    default:
        break; /* scalars and fixed need no declaration */
    }
}

/* The fingerprint of the declaration in g->body; its comments do not count. */
static uint64_t find_shape(struct gen *g)
{
    struct leat_strbuf code = { 0 };
    const char *at = g->body.data, *comment;
    while ((comment = strstr(at, "/*")) != NULL) {
        const char *end = strstr(comment, "*/");
        leat__strbuf_add(&code, at, (size_t)(comment - at));
        at = end ? end + 2 : comment + strlen(comment);
    }
    leat__strbuf_str(&code, at);
    g->failed = g->failed || code.failed;
    const uint64_t shape = leat__crc64_avro(code.data ? code.data : "", code.len);
    leat__strbuf_release(&code);
    return shape;
}

/* A type may occur in several schema files whose headers are included together: it is declared once, and what
 * another header declares in another way does not compile. */
static void write_guarded(struct gen *g, const struct gen_part *part)
{
    leat__strbuf_clear(&g->body);
    write_declaration(g, part);
    g->failed = g->failed || g->body.failed;
    if (g->failed || g->body.len == 0)
        return;
    const uint64_t shape = find_shape(g);
    leat__strbuf_printf(&g->out->header,
        "#ifndef LEAT_GEN_HAS_%s\n#define LEAT_GEN_HAS_%s 0x%016" PRIx64 "\n%s", part->name, part->name,
        shape, g->body.data);
    leat__strbuf_printf(&g->out->header,
        "#elif LEAT_GEN_HAS_%s != 0x%016" PRIx64 "\n"
        "#error \"two schemas declare %s in two ways: give one of the types another name\"\n#endif\n\n",
        part->name, shape, part->name);
}

void leat__gen_write_header(struct gen *g)
{
    struct leat_strbuf *h = &g->out->header;
    const char *guard = leat__gen_identifier(g, leat__gen_upper(g, g->stem));
    leat__strbuf_printf(h,
        "/* %s.h -- generated by `leat gen` from %s.avsc; change the schema, not this file. */\n"
        "#ifndef LEAT_GEN_%s_H\n#define LEAT_GEN_%s_H\n#include <leat/type.h>\n#include <stddef.h>\n\n",
        g->stem, g->stem, guard, guard);
    for (uint32_t i = 0; i < g->parts_count; i++)
        write_guarded(g, &g->parts[i]);
    leat__strbuf_printf(h,
        "#ifdef __cplusplus\nextern \"C\" {\n#endif\nextern const struct leat_type %s_type;\n"
        "#ifdef __cplusplus\n}\n#endif\n#endif\n",
        leat__gen_part(g, g->root)->name);
}

/* ---- the source ---- */

/* One byte of a string or character constant. */
static void write_escaped(struct leat_strbuf *s, unsigned char c, char quote)
{
    if (c == '\n')
        leat__strbuf_str(s, "\\n");
    else if (c == (unsigned char)quote || c == '\\' || c == '?')
        leat__strbuf_printf(s, "\\%c", c);
    else if (c < 0x20 || c >= 0x7f)
        leat__strbuf_printf(s, "\\%03o", c);
    else
        leat__strbuf_char(s, (char)c);
}

/* The schema's text as it is: as an array of characters, since C promises string literals of 4,095 bytes
 * only. */
static void write_schema_text(struct gen *g, const char *root)
{
    struct leat_strbuf *s = &g->out->source;
    const bool literal = g->text_len <= 4000;
    leat__strbuf_printf(s, "static const char %s_schema_[] =%s", root, literal ? "\n    \"" : " {");
    for (size_t i = 0; i < g->text_len; i++) {
        if (!literal)
            leat__strbuf_str(s, i % 20 ? " '" : "\n    '");
        write_escaped(s, (unsigned char)g->text[i], literal ? '"' : '\'');
        if (!literal)
            leat__strbuf_str(s, "',");
        else if (g->text[i] == '\n' && i + 1 < g->text_len)
            leat__strbuf_str(s, "\"\n    \"");
    }
    leat__strbuf_str(s, literal ? "\";\n\n" : "\n    '\\0'\n};\n\n");
}

static const char *type_variable(struct gen *g, const struct leat_type *type)
{
    return leat__gen_printf(g, "%s_type%s", leat__gen_part(g, type)->name, type == g->root ? "" : "_");
}

static void write_fields(struct gen *g, const struct gen_part *part)
{
    struct leat_strbuf *s = &g->out->source;
    leat__strbuf_printf(s, "static const struct leat_field %s_fields_[] = {\n", part->name);
    for (uint32_t i = 0; i < part->type->fields_count; i++) {
        const struct leat_field *field = &part->type->fields[i];
        leat__strbuf_printf(
            s, "    { \"%s\", &%s, %" PRIu32 ", ", field->name, type_variable(g, field->type), field->offset);
        if (field->has_offset == LEAT_NOT_NULLABLE)
            leat__strbuf_str(s, "LEAT_NOT_NULLABLE },\n");
        else
            leat__strbuf_printf(s, "%" PRIu32 " },\n", field->has_offset);
    }
    leat__strbuf_str(s, "};\n");
}

static void write_symbols(struct gen *g, const struct gen_part *part)
{
    struct leat_strbuf *s = &g->out->source;
    leat__strbuf_printf(s, "static const char *const %s_symbols_[] = {\n", part->name);
    for (uint32_t i = 0; i < part->type->symbols_count; i++)
        leat__strbuf_printf(s, "    \"%s\",\n", part->type->symbols[i]);
    leat__strbuf_str(s, "};\n");
}

/* Every member of struct leat_type in its order: C++ before C++20 has no other way. */
static void write_descriptor(struct gen *g, const struct gen_part *part)
{
    struct leat_strbuf *s = &g->out->source;
    const struct leat_type *type = part->type;
    const bool is_root = type == g->root, fields = type->fields_count > 0, symbols = type->symbols_count > 0;
    if (fields)
        write_fields(g, part);
    if (symbols)
        write_symbols(g, part);
    leat__strbuf_printf(s, "%sconst struct leat_type %s = {\n    LEAT_KIND_%s, %s, \"%s\",\n",
        is_root ? "" : "static ", type_variable(g, type), kind_names[type->kind],
        logicals[type->logical].constant, type->name);
    leat__strbuf_printf(s, "    %" PRIu32 ", %" PRIu32 ", /* size, align */\n", type->size, type->align);
    leat__strbuf_printf(s,
        "    %" PRIu32 ", %" PRIu32
        ", %s%s, %s%s, %s%s, /* fields, symbols: how many; fields, item, symbols */\n",
        type->fields_count, type->symbols_count, fields ? part->name : "NULL", fields ? "_fields_" : "",
        type->item ? "&" : "NULL", type->item ? type_variable(g, type->item) : "",
        symbols ? part->name : "NULL", symbols ? "_symbols_" : "");
    leat__strbuf_printf(s,
        "    %" PRIu32 ", %" PRIu32 ", %" PRId32 ", %" PRId32
        ", /* value_offset, entry_size, precision, scale */\n",
        type->value_offset, type->entry_size, type->precision, type->scale);
    if (is_root)
        leat__strbuf_printf(
            s, "    %s_schema_, UINT64_C(0x%016" PRIx64 "),\n};\n", part->name, type->fingerprint);
    else
        leat__strbuf_str(s, "    NULL, 0,\n};\n\n");
}

void leat__gen_write_source(struct gen *g)
{
    leat__strbuf_printf(&g->out->source,
        "/* %s.c -- generated by `leat gen` from %s.avsc; change the schema, not this file. */\n"
        "#include \"%s.h\"\n\n",
        g->stem, g->stem, g->stem);
    write_schema_text(g, leat__gen_part(g, g->root)->name);
    for (uint32_t i = 0; i < g->parts_count; i++)
        write_descriptor(g, &g->parts[i]);
}
