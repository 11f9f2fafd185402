/* tools/gen_write.c -- the text of generated headers and sources. */
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

/* The C declaration `<type> <name>` of a member; nothing for types without bytes. */
static void write_member(struct gen *g, const struct leat_type *type, const char *name, const char *indent)
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
        [LEAT_KIND_MAP] = "struct leat_map" };
    struct leat_strbuf *h = &g->out->header;
    const struct gen_part *part = leat__gen_part(g, type);
    if (type->size == 0)
        return;
    if (type->kind == LEAT_KIND_FIXED)
        leat__strbuf_printf(h, "%suint8_t %s[%" PRIu32 "];", indent, name, type->size);
    else if (type->kind == LEAT_KIND_RECORD || type->kind == LEAT_KIND_UNION ||
        type->kind == LEAT_KIND_OPTIONAL)
        leat__strbuf_printf(h, "%sstruct %s %s;", indent, part->name, name);
    else
        leat__strbuf_printf(h, "%s%s %s;", indent, scalars[type->kind], name);
    if (type->kind == LEAT_KIND_ENUM)
        leat__strbuf_printf(h, " /* enum %s */", part->name);
    else if (type->kind == LEAT_KIND_ARRAY)
        leat__strbuf_printf(h, " /* see %s_at */", part->name);
    else if (type->kind == LEAT_KIND_MAP)
        leat__strbuf_printf(h, " /* of struct %s_entry, see %s_at */", part->name, part->name);
    else if (logicals[type->logical].comment)
        leat__strbuf_printf(h, " /* %s */", logicals[type->logical].comment);
    if (type->logical == LEAT_LOGICAL_DECIMAL)
        leat__strbuf_printf(h, " /* precision %d, scale %d */", type->precision, type->scale);
    leat__strbuf_char(h, '\n');
}

static void write_record(struct gen *g, const struct gen_part *part)
{
    struct leat_strbuf *h = &g->out->header;
    const struct leat_type *type = part->type;
    const char **flags;
    const char **members = leat__gen_members(g, type, &flags);
    if (!members)
        return;
    leat__strbuf_printf(h, "/* %s */\nstruct %s {\n", type->name, part->name);
    bool any = false;
    for (uint32_t i = 0; i < type->fields_count; i++) {
        if (flags[i])
            leat__strbuf_printf(h, "    bool %s;\n", flags[i]);
        write_member(g, type->fields[i].type, members[i], "    ");
        any = any || flags[i] || type->fields[i].type->size > 0;
    }
    if (!any)
        leat__strbuf_str(h, "    char unused_; /* the record has no fields with bytes */\n");
    leat__strbuf_str(h, "};\n");
    leat__strbuf_printf(h, "LEAT_STATIC_ASSERT(sizeof(struct %s) == %" PRIu32 ", \"layout of struct %s\");\n",
        part->name, type->size, part->name);
    for (uint32_t i = 0; i < type->fields_count; i++) {
        if (flags[i])
            leat__strbuf_printf(h,
                "LEAT_STATIC_ASSERT(offsetof(struct %s, %s) == %" PRIu32 ", \"layout of %s.%s\");\n",
                part->name, flags[i], type->fields[i].has_offset, part->name, flags[i]);
        if (type->fields[i].type->size > 0)
            leat__strbuf_printf(h,
                "LEAT_STATIC_ASSERT(offsetof(struct %s, %s) == %" PRIu32 ", \"layout of %s.%s\");\n",
                part->name, members[i], type->fields[i].offset, part->name, members[i]);
    }
    leat__strbuf_char(h, '\n');
}

static void write_enum(struct gen *g, const struct gen_part *part)
{
    struct leat_strbuf *h = &g->out->header;
    const char *prefix = leat__gen_upper(g, part->name);
    leat__strbuf_printf(h, "/* %s */\nenum %s {\n", part->type->name, part->name);
    for (uint32_t i = 0; i < part->type->symbols_count; i++)
        leat__strbuf_printf(h, "    %s_%s = %" PRIu32 ",\n", prefix, part->type->symbols[i], i);
    leat__strbuf_str(h, "};\n\n");
}

static const char *branch_member(struct gen *g, const struct leat_field *branch)
{
    char *name = leat__arena_printf(&g->arena, "%s_", branch->name);
    for (char *p = name; p && *p; p++)
        if (*p == '.')
            *p = '_';
    return name ? name : "";
}

static void write_union(struct gen *g, const struct gen_part *part)
{
    struct leat_strbuf *h = &g->out->header;
    const struct leat_type *type = part->type;
    const char *prefix = leat__gen_upper(g, part->name);
    bool any = false;
    leat__strbuf_printf(h, "enum %s_tag {\n", part->name);
    for (uint32_t i = 0; i < type->fields_count; i++) {
        char *member = leat__arena_str(&g->arena, branch_member(g, &type->fields[i]));
        if (member && *member)
            member[strlen(member) - 1] = '\0';
        leat__strbuf_printf(
            h, "    %s_%s = %" PRIu32 ",\n", prefix, leat__gen_upper(g, member ? member : ""), i);
    }
    leat__strbuf_printf(h,
        "};\nstruct %s {\n    int32_t tag; /* enum %s_tag: which member of `as` */\n    union {\n",
        part->name, part->name);
    for (uint32_t i = 0; i < type->fields_count; i++) {
        write_member(g, type->fields[i].type, branch_member(g, &type->fields[i]), "        ");
        any = any || type->fields[i].type->size > 0;
    }
    if (!any)
        leat__strbuf_str(h, "        int32_t unused_;\n");
    leat__strbuf_printf(h,
        "    } as;\n};\nLEAT_STATIC_ASSERT(sizeof(struct %s) == %" PRIu32
        " && offsetof(struct %s, as) == %" PRIu32 ", \"layout of struct %s\");\n\n",
        part->name, type->size, part->name, type->value_offset, part->name);
}

static void write_optional(struct gen *g, const struct gen_part *part)
{
    struct leat_strbuf *h = &g->out->header;
    leat__strbuf_printf(h, "struct %s {\n    bool has;\n", part->name);
    write_member(g, part->type->item, "value", "    ");
    leat__strbuf_printf(h,
        "};\nLEAT_STATIC_ASSERT(sizeof(struct %s) == %" PRIu32 ", \"layout of struct %s\");\n\n", part->name,
        part->type->size, part->name);
}

/* The C type of a value by itself, for accessors. */
static const char *value_type(struct gen *g, const struct leat_type *type)
{
    static const char *const scalars[] = { [LEAT_KIND_NULL] = "void",
        [LEAT_KIND_BOOLEAN] = "bool",
        [LEAT_KIND_INT] = "int32_t",
        [LEAT_KIND_LONG] = "int64_t",
        [LEAT_KIND_FLOAT] = "float",
        [LEAT_KIND_DOUBLE] = "double",
        [LEAT_KIND_BYTES] = "struct leat_sv",
        [LEAT_KIND_STRING] = "struct leat_sv",
        [LEAT_KIND_FIXED] = "uint8_t",
        [LEAT_KIND_ENUM] = "int32_t",
        [LEAT_KIND_ARRAY] = "struct leat_array",
        [LEAT_KIND_MAP] = "struct leat_map" };
    if (type->kind == LEAT_KIND_RECORD || type->kind == LEAT_KIND_UNION || type->kind == LEAT_KIND_OPTIONAL) {
        const char *text = leat__arena_printf(&g->arena, "struct %s", leat__gen_part(g, type)->name);
        return text ? text : "";
    }
    return scalars[type->kind];
}

static void write_array(struct gen *g, const struct gen_part *part)
{
    const char *item = value_type(g, part->type->item);
    if (part->type->item->size == 0)
        return;
    leat__strbuf_printf(&g->out->header,
        "/* The i-th item, i < array.count. */\n"
        "static inline const %s *%s_at(struct leat_array array, size_t i)\n{\n"
        "    return (const %s *)(const void *)((const char *)array.items + i * %" PRIu32 "u);\n}\n\n",
        item, part->name, item, part->type->item->size);
}

static void write_map(struct gen *g, const struct gen_part *part)
{
    struct leat_strbuf *h = &g->out->header;
    leat__strbuf_printf(h, "struct %s_entry {\n    struct leat_sv key;\n", part->name);
    write_member(g, part->type->item, "value", "    ");
    leat__strbuf_printf(h,
        "};\nLEAT_STATIC_ASSERT(sizeof(struct %s_entry) == %" PRIu32 ", \"layout of struct %s_entry\");\n"
        "/* The i-th entry, i < map.count. */\n"
        "static inline const struct %s_entry *%s_at(struct leat_map map, size_t i)\n{\n"
        "    return (const struct %s_entry *)map.entries + i;\n}\n\n",
        part->name, part->type->entry_size, part->name, part->name, part->name, part->name);
}

static void write_declaration(struct gen *g, const struct gen_part *part)
{
    switch (part->type->kind) {
    case LEAT_KIND_RECORD:
        write_record(g, part);
        break;
    case LEAT_KIND_ENUM:
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

/* A named type may be generated from several schema files that are included together: it is declared once,
 * and a second one of another shape is an error that says so. */
static void write_guarded(struct gen *g, const struct gen_part *part)
{
    struct leat_strbuf *h = &g->out->header;
    const bool named = part->type->kind == LEAT_KIND_RECORD || part->type->kind == LEAT_KIND_ENUM;
    if (!named) {
        write_declaration(g, part);
        return;
    }
    leat__strbuf_printf(h, "#ifndef LEAT_GEN_HAS_%s\n#define LEAT_GEN_HAS_%s\n", part->name, part->name);
    write_declaration(g, part);
    leat__strbuf_str(h, "#endif\n\n");
}

void leat__gen_write_header(struct gen *g)
{
    struct leat_strbuf *h = &g->out->header;
    const char *guard = leat__gen_upper(g, g->stem);
    const char *root = leat__gen_part(g, g->root)->name;
    leat__strbuf_printf(h,
        "/* %s.h -- generated by `leat gen` from %s.avsc; change the schema, not this file. */\n"
        "#ifndef LEAT_GEN_%s_H\n#define LEAT_GEN_%s_H\n#include <leat/type.h>\n#include <stddef.h>\n\n",
        g->stem, g->stem, guard, guard);
    for (uint32_t i = 0; i < g->parts_count; i++)
        write_guarded(g, &g->parts[i]);
    leat__strbuf_printf(h,
        "#ifdef __cplusplus\nextern \"C\" {\n#endif\nextern const struct leat_type %s_type;\n"
        "#ifdef __cplusplus\n}\n#endif\n#endif\n",
        root);
}

static void write_c_string(struct leat_strbuf *s, const char *text, size_t len)
{
    leat__strbuf_char(s, '"');
    for (size_t i = 0; i < len; i++) {
        const unsigned char c = (unsigned char)text[i];
        if (c == '\n')
            leat__strbuf_str(s, i + 1 < len ? "\\n\"\n    \"" : "\\n");
        else if (c == '"' || c == '\\' || c == '?')
            leat__strbuf_printf(s, "\\%c", c);
        else if (c < 0x20 || c >= 0x7f)
            leat__strbuf_printf(s, "\\%03o", c);
        else
            leat__strbuf_char(s, (char)c);
    }
    leat__strbuf_char(s, '"');
}

static void write_fields(struct gen *g, const struct gen_part *part)
{
    struct leat_strbuf *s = &g->out->source;
    if (part->type->fields_count == 0)
        return;
    leat__strbuf_printf(s, "static const struct leat_field %s_fields_[] = {\n", part->name);
    for (uint32_t i = 0; i < part->type->fields_count; i++) {
        const struct leat_field *field = &part->type->fields[i];
        leat__strbuf_printf(s, "    { \"%s\", &%s_%s, %" PRIu32 ", ", field->name,
            leat__gen_part(g, field->type)->name, field->type == g->root ? "type" : "type_", field->offset);
        if (field->has_offset == LEAT_NOT_NULLABLE)
            leat__strbuf_str(s, "LEAT_NOT_NULLABLE },\n");
        else
            leat__strbuf_printf(s, "%" PRIu32 " },\n", field->has_offset);
    }
    leat__strbuf_str(s, "};\n");
}

static void write_descriptor(struct gen *g, const struct gen_part *part)
{
    struct leat_strbuf *s = &g->out->source;
    const struct leat_type *type = part->type;
    write_fields(g, part);
    if (type->symbols_count > 0) {
        leat__strbuf_printf(s, "static const char *const %s_symbols_[] = {\n", part->name);
        for (uint32_t i = 0; i < type->symbols_count; i++)
            leat__strbuf_printf(s, "    \"%s\",\n", type->symbols[i]);
        leat__strbuf_str(s, "};\n");
    }
    const bool is_root = type == g->root;
    leat__strbuf_printf(s,
        "%sconst struct leat_type %s_type%s = {\n    .kind = LEAT_KIND_%s,\n    .name = \"%s\",\n",
        is_root ? "" : "static ", part->name, is_root ? "" : "_", kind_names[type->kind], type->name);
    leat__strbuf_printf(s, "    .size = %" PRIu32 ",\n    .align = %" PRIu32 ",\n", type->size, type->align);
    if (type->logical)
        leat__strbuf_printf(s, "    .logical = %s,\n", logicals[type->logical].constant);
    if (type->fields_count)
        leat__strbuf_printf(s, "    .fields_count = %" PRIu32 ",\n    .fields = %s_fields_,\n",
            type->fields_count, part->name);
    if (type->symbols_count)
        leat__strbuf_printf(s, "    .symbols_count = %" PRIu32 ",\n    .symbols = %s_symbols_,\n",
            type->symbols_count, part->name);
    if (type->item)
        leat__strbuf_printf(s, "    .item = &%s_type_,\n", leat__gen_part(g, type->item)->name);
    if (type->value_offset)
        leat__strbuf_printf(s, "    .value_offset = %" PRIu32 ",\n", type->value_offset);
    if (type->entry_size)
        leat__strbuf_printf(s, "    .entry_size = %" PRIu32 ",\n", type->entry_size);
    if (type->logical == LEAT_LOGICAL_DECIMAL)
        leat__strbuf_printf(s, "    .precision = %d,\n    .scale = %d,\n", type->precision, type->scale);
    if (is_root) {
        leat__strbuf_str(s, "    .schema =\n    ");
        write_c_string(s, g->text, g->text_len);
        leat__strbuf_printf(s, ",\n    .fingerprint = UINT64_C(0x%016" PRIx64 "),\n", type->fingerprint);
    }
    leat__strbuf_str(s, "};\n\n");
}

void leat__gen_write_source(struct gen *g)
{
    leat__strbuf_printf(&g->out->source,
        "/* %s.c -- generated by `leat gen` from %s.avsc; change the schema, not this file. */\n"
        "#include \"%s.h\"\n\n",
        g->stem, g->stem, g->stem);
    for (uint32_t i = 0; i < g->parts_count; i++)
        write_descriptor(g, &g->parts[i]);
}
