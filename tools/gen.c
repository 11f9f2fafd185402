/* tools/gen.c -- C structs and type descriptors from a schema.
 *
 * The engine lays the schema out (record/type_layout.c); this writes the C declarations that give the same
 * layout, and static asserts that they do. A walk over the type, children first, names each part once: named
 * types          by their simple name in lower case with underscores (OrderLine -> order_line) unions,
 * optionals    by record and field (order_payload); map entries with _entry, items and values with _item,
 * _value Fields keep their names; a C or C++ keyword, or the has_<field> of a nullable one that is taken,
 * gets an underscore at its end, and so does a struct name that is taken; each such change is told in the
 * notes. Descriptors always hold the schema's own names. */
#include "tools/gen.h"
#include "base/alloc.h"
#include "base/error.h"
#include "tools/gen_private.h"
#include <ctype.h>
#include <string.h>

static const char *const keywords[] = { "alignas", "alignof", "and", "and_eq", "asm", "auto", "bitand",
    "bitor", "bool", "break", "case", "catch", "char", "char16_t", "char32_t", "char8_t", "class", "co_await",
    "co_return", "co_yield", "compl", "concept", "const", "const_cast", "consteval", "constexpr", "constinit",
    "continue", "decltype", "default", "delete", "do", "double", "dynamic_cast", "else", "enum", "explicit",
    "export", "extern", "false", "float", "for", "friend", "goto", "if", "inline", "int", "long", "mutable",
    "namespace", "new", "noexcept", "not", "not_eq", "nullptr", "operator", "or", "or_eq", "private",
    "protected", "public", "register", "reinterpret_cast", "requires", "restrict", "return", "short",
    "signed", "sizeof", "static", "static_assert", "static_cast", "struct", "switch", "template", "this",
    "thread_local", "throw", "true", "try", "typedef", "typeid", "typename", "typeof", "union", "unsigned",
    "using", "virtual", "void", "volatile", "wchar_t", "while", "xor", "xor_eq" };

static bool is_keyword(const char *name)
{
    for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++)
        if (strcmp(keywords[i], name) == 0)
            return true;
    return false;
}

/* OrderLine -> order_line, HTTPCode -> http_code. */
static const char *snake_case(struct gen *g, const char *name)
{
    struct leat_strbuf s = { 0 };
    for (size_t i = 0; name[i]; i++) {
        const unsigned char c = (unsigned char)name[i];
        const bool upper = isupper(c) != 0;
        const bool after_lower =
            i > 0 && (islower((unsigned char)name[i - 1]) || isdigit((unsigned char)name[i - 1]));
        const bool before_lower =
            i > 0 && isupper((unsigned char)name[i - 1]) && islower((unsigned char)name[i + 1]);
        if (upper && (after_lower || before_lower))
            leat__strbuf_char(&s, '_');
        leat__strbuf_char(&s, (char)tolower(c));
    }
    char *text = s.failed ? NULL : leat__arena_strn(&g->arena, s.data, s.len);
    leat__strbuf_release(&s);
    return text ? text : "";
}

const char *leat__gen_upper(struct gen *g, const char *name)
{
    char *text = leat__arena_str(&g->arena, name);
    for (char *p = text; p && *p; p++)
        *p = (char)toupper((unsigned char)*p);
    return text ? text : "";
}

static bool name_is_taken(const struct gen *g, const char *name)
{
    for (uint32_t i = 0; i < g->parts_count; i++)
        if (strcmp(g->parts[i].name, name) == 0)
            return true;
    return false;
}

/* A struct name that is free, for a part that would like to be called `wish`. */
static const char *free_name(struct gen *g, const char *wish, const char *of)
{
    const char *name = wish;
    while (is_keyword(name) || name_is_taken(g, name))
        name = leat__arena_printf(&g->arena, "%s_", name);
    if (name != wish)
        leat__strbuf_printf(&g->out->notes, "%s: struct %s, since %s is %s\n", of, name, wish,
            is_keyword(wish) ? "a keyword" : "taken");
    return name;
}

struct gen_part *leat__gen_part(struct gen *g, const struct leat_type *type)
{
    for (uint32_t i = 0; i < g->parts_count; i++)
        if (g->parts[i].type == type)
            return &g->parts[i];
    return NULL;
}

static const char *simple_name(const char *full)
{
    const char *dot = strrchr(full, '.');
    return dot ? dot + 1 : full;
}

static bool is_named(const struct leat_type *type)
{
    return type->kind == LEAT_KIND_RECORD || type->kind == LEAT_KIND_ENUM || type->kind == LEAT_KIND_FIXED;
}

/* Finds every part of the type, children first. `wish` is the name that an unnamed part would get. */
static int collect(struct gen *g, const struct leat_type *type, const char *wish)
{
    if (leat__gen_part(g, type))
        return 0;
    const char *own = is_named(type) ? snake_case(g, simple_name(type->name)) : wish;
    for (uint32_t i = 0; i < type->fields_count; i++)
        LEAT_TRY(collect(g, type->fields[i].type,
            leat__arena_printf(&g->arena, "%s_%s", own, snake_case(g, simple_name(type->fields[i].name)))));
    if (type->item) {
        static const char *const suffix[] = {
            [LEAT_KIND_ARRAY] = "_item", [LEAT_KIND_MAP] = "_value", [LEAT_KIND_OPTIONAL] = "_value"
        };
        LEAT_TRY(collect(g, type->item, leat__arena_printf(&g->arena, "%s%s", own, suffix[type->kind])));
    }
    if (g->parts_count == g->parts_capacity) {
        const uint32_t capacity = g->parts_capacity ? g->parts_capacity * 2 : 32;
        struct gen_part *parts = leat__realloc(g->parts, capacity * sizeof *parts);
        if (!parts)
            return leat__error(g->err, LEAT_ENOMEM, "out of memory");
        g->parts = parts;
        g->parts_capacity = capacity;
    }
    const bool declared =
        type->fields_count > 0 || type->item || type->symbols_count > 0 || type->kind == LEAT_KIND_RECORD;
    const char *name = declared ? free_name(g, own, type->name)
                                : leat__arena_printf(&g->arena, "scalar_%u", (unsigned)g->parts_count);
    struct gen_part part = { .type = type, .name = name };
    g->parts[g->parts_count++] = part;
    return 0;
}

/* Whether a member of this record is called `name` already (fields before i, and their has_ flags). */
static bool member_is_taken(
    const struct leat_type *record, const char *const *members, uint32_t i, const char *name)
{
    for (uint32_t k = 0; k < record->fields_count; k++) {
        if (k != i && strcmp(k < i ? members[k] : record->fields[k].name, name) == 0)
            return true;
    }
    return false;
}

const char **leat__gen_members(struct gen *g, const struct leat_type *record, const char ***flags)
{
    const char **members = leat__arena_array(&g->arena, record->fields_count + 1, sizeof *members);
    *flags = leat__arena_array(&g->arena, record->fields_count + 1, sizeof **flags);
    if (!members || !*flags)
        return NULL;
    for (uint32_t i = 0; i < record->fields_count; i++) {
        const char *name = simple_name(record->fields[i].name);
        members[i] = name;
        while (
            is_keyword(members[i]) || (members[i] != name && member_is_taken(record, members, i, members[i])))
            members[i] = leat__arena_printf(&g->arena, "%s_", members[i]);
        if (members[i] != name)
            leat__strbuf_printf(&g->out->notes, "%s: field %s is the member %s, since it is a keyword\n",
                record->name, name, members[i]);
    }
    for (uint32_t i = 0; i < record->fields_count; i++) {
        if (record->fields[i].has_offset == LEAT_NOT_NULLABLE)
            continue;
        const char *wish = leat__arena_printf(&g->arena, "has_%s", simple_name(record->fields[i].name));
        (*flags)[i] = wish;
        while (member_is_taken(record, members, i, (*flags)[i]))
            (*flags)[i] = leat__arena_printf(&g->arena, "%s_", (*flags)[i]);
        if ((*flags)[i] != wish)
            leat__strbuf_printf(&g->out->notes, "%s: the flag of %s is %s, since %s is a field\n",
                record->name, record->fields[i].name, (*flags)[i], wish);
    }
    return members;
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
        result = collect(&g, g.root, stem);
    if (result == 0) {
        leat__gen_write_header(&g);
        leat__gen_write_source(&g);
        if (out->header.failed || out->source.failed || out->notes.failed)
            result = leat__error(err, LEAT_ENOMEM, "out of memory");
    }
    leat__schema_free(schema);
    leat__free(g.parts);
    leat__arena_release(&g.arena);
    return result;
}

void leat__gen_release(struct leat_gen_output *out)
{
    leat__strbuf_release(&out->header);
    leat__strbuf_release(&out->source);
    leat__strbuf_release(&out->notes);
}
