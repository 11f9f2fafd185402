/* record/type_part.c -- records of which only some fields are written or read.
 *
 * A part is a record type with some of another's fields, at their offsets in the other's struct, and a schema of its own: the
 * other's text less the fields that are left out. So a codec made for the part works on the whole struct and leaves the
 * other fields alone (decoders clear what they do not write). */
#include "base/error.h"
#include "record/schema.h"
#include <jansson.h>

static int append(const char *text, size_t len, void *out)
{
    leat__strbuf_add(out, text, len);
    return 0;
}

static bool is_wanted(const struct leat_type *type, const bool *wanted, const char *name)
{
    for (uint32_t i = 0; i < type->fields_count; i++)
        if (strcmp(type->fields[i].name, name) == 0)
            return wanted[i];
    return false;
}

static json_t *with_suffix(const json_t *name, const char *suffix, struct leat_arena *arena)
{
    const char *text = leat__arena_printf(arena, "%s%s", json_string_value(name), suffix);
    return text ? json_string(text) : NULL;
}

/* The suffix goes behind the aliases, too: a part of the type under its old name has it as well. */
static bool rename_with(json_t *schema, const char *suffix, struct leat_arena *arena)
{
    json_t *aliases = json_object_get(schema, "aliases");
    bool fine =
        json_object_set_new(schema, "name", with_suffix(json_object_get(schema, "name"), suffix, arena)) == 0;
    for (size_t i = 0; fine && i < json_array_size(aliases); i++)
        fine = json_array_set_new(aliases, i, with_suffix(json_array_get(aliases, i), suffix, arena)) == 0;
    return fine;
}

/* The text of the schema without the unwanted fields, in the arena; NULL when out of memory. The types of wanted fields may
 * be defined in unwanted ones: then it does not parse, which the caller finds. */
static const char *part_schema(
    const struct leat_type *type, const bool *wanted, const char *suffix, struct leat_arena *arena)
{
    json_t *schema = json_loads(type->schema, JSON_ALLOW_NUL, NULL);
    json_t *fields = json_object_get(schema, "fields");
    for (size_t i = json_array_size(fields); i > 0; i--)
        if (!is_wanted(
                type, wanted, json_string_value(json_object_get(json_array_get(fields, i - 1), "name"))))
            (void)json_array_remove(fields, i - 1);
    if (suffix && !rename_with(schema, suffix, arena)) {
        json_decref(schema);
        return NULL;
    }
    struct leat_strbuf text = { 0 };
    const bool is_whole =
        fields && json_dump_callback(schema, append, &text, JSON_COMPACT) == 0 && !text.failed;
    char *kept = is_whole ? leat__arena_str(arena, text.data) : NULL;
    leat__strbuf_release(&text);
    json_decref(schema);
    return kept;
}

static int describe(
    struct leat_type *part, const struct leat_type *whole, struct leat_arena *arena, struct leat_error *err)
{
    struct leat_schema *schema;
    if (leat__schema_parse(part->schema, strlen(part->schema), &schema, err) < 0)
        return leat__error_prefix(
            err, "%s without the fields that are written elsewhere is no schema of its own", whole->name);
    part->fingerprint = schema->fingerprint;
    part->name = leat__arena_str(arena, schema->root->name);
    leat__schema_free(schema);
    return part->name ? 0 : leat__error(err, LEAT_ENOMEM, "out of memory for a part of %s", whole->name);
}

int leat__type_part(const struct leat_type *type, const bool *wanted, const char *suffix,
    struct leat_arena *arena, const struct leat_type **part, struct leat_error *err)
{
    struct leat_type *made = leat__arena_copy(arena, type, sizeof *type);
    struct leat_field *fields = leat__arena_array(arena, type->fields_count + 1, sizeof *fields);
    *part = NULL;
    if (!type->schema)
        return leat__error(
            err, LEAT_ESCHEMA, "%s: the type has no schema text; use a type that leat gen wrote", type->name);
    if (!made || !fields || !(made->schema = part_schema(type, wanted, suffix, arena)))
        return leat__error(err, LEAT_ENOMEM, "out of memory for a part of %s", type->name);
    made->fields = fields;
    made->fields_count = 0;
    for (uint32_t i = 0; i < type->fields_count; i++)
        if (wanted[i])
            fields[made->fields_count++] = type->fields[i];
    LEAT_TRY(describe(made, type, arena, err));
    *part = made;
    return 0;
}
