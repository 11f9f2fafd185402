/* record/schema.c -- from JSON text to the tree of nodes.
 *
 *   text -> jansson -> parse_node (names resolved on the way, in the order of the text) -> defaults checked
 *        -> canonical form -> fingerprint
 *
 * A name is known from where its definition begins, so that a type may refer to itself. Defaults are checked
 * at the end, when every type they may mention is complete. Errors are prefixed with their place on the way
 * out
 * ("record order, field total: ..."). */
#include "base/alloc.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/near.h"
#include "record/schema_private.h"

#define NEAR_CANDIDATES_MAX 256u

struct parser {
    struct leat_schema *schema;
    struct leat_error *err;
    struct leat_names names; /* full name -> index in named */
    struct leat_schema_node **named;
    uint32_t named_count, named_capacity;
    uint32_t depth;
};

static const struct {
    const char *word;
    enum leat_kind kind;
} type_words[] = {
    { "null", LEAT_KIND_NULL }, { "boolean", LEAT_KIND_BOOLEAN }, { "int", LEAT_KIND_INT },
    { "long", LEAT_KIND_LONG }, { "float", LEAT_KIND_FLOAT }, { "double", LEAT_KIND_DOUBLE },
    { "bytes", LEAT_KIND_BYTES }, { "string", LEAT_KIND_STRING }, { "record", LEAT_KIND_RECORD },
    { "enum", LEAT_KIND_ENUM }, { "array", LEAT_KIND_ARRAY }, { "map", LEAT_KIND_MAP },
    { "fixed", LEAT_KIND_FIXED }, { "error", LEAT_KIND_RECORD }, /* of protocols: a record by another name */
};
#define TYPE_WORDS_COUNT (sizeof type_words / sizeof type_words[0])

static int parse_node(
    struct parser *p, const json_t *json, const char *space, struct leat_schema_node **node);

static int no_memory(struct parser *p)
{
    return leat__error(p->err, LEAT_ENOMEM, "out of memory while reading a schema");
}

/* The kind that a type word names, or 0. */
static int find_word(const char *word)
{
    for (size_t i = 0; i < TYPE_WORDS_COUNT; i++)
        if (strcmp(type_words[i].word, word) == 0)
            return (int)type_words[i].kind;
    return 0;
}

static int new_node(struct parser *p, enum leat_kind kind, struct leat_schema_node **node)
{
    struct leat_schema *schema = p->schema;
    if (schema->nodes_count >= LEAT_SCHEMA_NODES_MAX)
        return leat__error(p->err, LEAT_ELIMIT, "a schema has at most %u types", LEAT_SCHEMA_NODES_MAX);
    struct leat_schema_node *made = leat__arena_alloc(&schema->arena, sizeof *made);
    if (!made)
        return no_memory(p);
    made->kind = kind;
    made->name = made->simple_name = leat__kind_name(kind);
    made->default_symbol = -1;
    made->id = schema->nodes_count++;
    *node = made;
    return 0;
}

/* ---- strings and names ---- */

/* The text of a member that must be a string. 0 and *text NULL when it is missing. */
static int get_text(struct parser *p, const json_t *json, const char *member, const char **text)
{
    const json_t *value = json_object_get(json, member);
    *text = NULL;
    if (!value)
        return 0;
    if (!json_is_string(value))
        return leat__error(p->err, LEAT_ESCHEMA, "\"%s\" must be a string", member);
    *text = json_string_value(value);
    if (strlen(*text) != json_string_length(value))
        return leat__error(p->err, LEAT_ESCHEMA, "\"%s\" has a NUL character", member);
    return 0;
}

static bool is_simple_name(const char *name, size_t len)
{
    if (len == 0 || (name[0] >= '0' && name[0] <= '9'))
        return false;
    for (size_t i = 0; i < len; i++) {
        const char c = name[i];
        const bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
        if (!letter && !(c >= '0' && c <= '9'))
            return false;
    }
    return true;
}

/* Simple names joined by dots. */
static bool is_dotted_name(const char *name)
{
    for (;;) {
        const size_t len = strcspn(name, ".");
        if (!is_simple_name(name, len))
            return false;
        if (name[len] == '\0')
            return true;
        name += len + 1;
    }
}

static int check_name(struct parser *p, const char *what, const char *name, bool dotted)
{
    if (dotted ? is_dotted_name(name) : is_simple_name(name, strlen(name)))
        return 0;
    return leat__error(p->err, LEAT_ESCHEMA,
        "bad %s \"%s\": letters, digits and _ only, not beginning with a digit", what, name);
}

/* `name` as a full name in the name space (may be NULL or ""). */
static const char *full_name(struct parser *p, const char *name, const char *space)
{
    if (!space || !*space || strchr(name, '.'))
        return leat__arena_str(&p->schema->arena, name);
    return leat__arena_printf(&p->schema->arena, "%s.%s", space, name);
}

static const char *simple_of(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot ? dot + 1 : name;
}

static int parse_aliases(struct parser *p, const json_t *json, const char *space, bool full,
    const char *const **aliases, uint32_t *count)
{
    const json_t *list = json_object_get(json, "aliases");
    if (!list)
        return 0;
    if (!json_is_array(list))
        return leat__error(p->err, LEAT_ESCHEMA, "\"aliases\" must be an array of names");
    const size_t n = json_array_size(list);
    const char **made = leat__arena_array(&p->schema->arena, n, sizeof *made);
    if (!made)
        return no_memory(p);
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(list, i);
        const char *name = json_string_value(item);
        if (!name || strlen(name) != json_string_length(item))
            return leat__error(p->err, LEAT_ESCHEMA, "\"aliases\" must be an array of names");
        LEAT_TRY(check_name(p, "alias", name, full));
        made[i] = full_name(p, name, full ? space : NULL);
        if (!made[i])
            return no_memory(p);
    }
    *aliases = made;
    *count = (uint32_t)n;
    return 0;
}

static int get_doc(struct parser *p, const json_t *json, const char **doc)
{
    const char *text = json_string_value(json_object_get(json, "doc"));
    *doc = leat__arena_str(&p->schema->arena, text);
    return text && !*doc ? no_memory(p) : 0;
}

/* Makes the node known by its full name. */
static int add_named(struct parser *p, struct leat_schema_node *node)
{
    if (p->named_count == p->named_capacity) {
        const uint32_t capacity = p->named_capacity ? p->named_capacity * 2 : 16;
        struct leat_schema_node **named = leat__realloc(p->named, capacity * sizeof(*named));
        if (!named)
            return no_memory(p);
        p->named = named;
        p->named_capacity = capacity;
    }
    const int added = leat__names_add(&p->names, node->name, p->named_count);
    if (added < 0)
        return no_memory(p);
    if (added == 0)
        return leat__error(p->err, LEAT_ESCHEMA,
            "%s \"%s\" is defined twice: rename one, or refer to it by name", leat__kind_name(node->kind),
            node->name);
    p->named[p->named_count++] = node;
    return 0;
}

/* Name, aliases and doc of a record, enum or fixed; *space becomes the name space of what is inside. */
static int parse_named(struct parser *p, const json_t *json, enum leat_kind kind, const char **space,
    struct leat_schema_node **node)
{
    const char *name, *own_space;
    LEAT_TRY(get_text(p, json, "name", &name));
    if (!name)
        return leat__error(p->err, LEAT_ESCHEMA, "%s without a \"name\"", leat__kind_name(kind));
    LEAT_TRY(check_name(p, "name", name, true));
    LEAT_TRY(get_text(p, json, "namespace", &own_space));
    if (own_space && *own_space)
        LEAT_TRY(check_name(p, "namespace", own_space, true));
    const int word = find_word(simple_of(name));
    if (word && leat__kind_is_primitive((enum leat_kind)word))
        return leat__error(
            p->err, LEAT_ESCHEMA, "\"%s\" is the name of a primitive type: choose another", name);

    struct leat_schema_node *made = NULL;
    LEAT_TRY(new_node(p, kind, &made));
    made->name = full_name(p, name, own_space ? own_space : *space);
    if (!made->name)
        return no_memory(p);
    made->simple_name = simple_of(made->name);
    const size_t space_len = (size_t)(made->simple_name - made->name);
    *space = leat__arena_strn(&p->schema->arena, made->name, space_len ? space_len - 1 : 0);
    if (!*space)
        return no_memory(p);
    LEAT_TRY(get_doc(p, json, &made->doc));
    LEAT_TRY(parse_aliases(p, json, *space, true, &made->aliases, &made->aliases_count));
    LEAT_TRY(add_named(p, made));
    *node = made;
    return 0;
}

/* ---- the complex types ---- */

static int parse_field(
    struct parser *p, const json_t *json, const char *space, struct leat_schema_field *field)
{
    const char *order;
    LEAT_TRY(get_doc(p, json, &field->doc));
    LEAT_TRY(parse_aliases(p, json, NULL, false, &field->aliases, &field->aliases_count));
    LEAT_TRY(get_text(p, json, "order", &order));
    if (order && strcmp(order, "ascending") != 0 && strcmp(order, "descending") != 0 &&
        strcmp(order, "ignore") != 0)
        return leat__error(p->err, LEAT_ESCHEMA, "bad order \"%s\": ascending, descending or ignore", order);
    field->default_json = json_object_get(json, "default");
    field->has_default = field->default_json != NULL;
    const json_t *type = json_object_get(json, "type");
    if (!type)
        return leat__error(p->err, LEAT_ESCHEMA, "no \"type\"");
    return parse_node(p, type, space, &field->node);
}

static int parse_field_named(struct parser *p, const json_t *json, const char *space,
    struct leat_schema_node *record, struct leat_names *names, uint32_t i)
{
    const char *name = NULL;
    int code = json_is_object(json) ? get_text(p, json, "name", &name)
                                    : leat__error(p->err, LEAT_ESCHEMA, "not an object");
    if (code == 0 && !name)
        code = leat__error(p->err, LEAT_ESCHEMA, "no \"name\"");
    if (code == 0)
        code = check_name(p, "name", name, false);
    if (code < 0) {
        (void)leat__error_prefix(p->err, "record %s, field %u", record->name, i + 1);
        return code;
    }
    struct leat_schema_field *field = &record->fields[i];
    field->name = leat__arena_str(&p->schema->arena, name);
    if (!field->name)
        return no_memory(p);
    code = leat__names_add(names, field->name, i);
    if (code < 0)
        return no_memory(p);
    if (code == 0)
        code = leat__error(p->err, LEAT_ESCHEMA, "the record has two fields of this name");
    else
        code = parse_field(p, json, space, field);
    if (code < 0)
        (void)leat__error_prefix(p->err, "record %s, field %s", record->name, name);
    return code;
}

static int parse_record(
    struct parser *p, const json_t *json, const char *space, struct leat_schema_node **node)
{
    struct leat_schema_node *made;
    LEAT_TRY(parse_named(p, json, LEAT_KIND_RECORD, &space, &made));
    const json_t *fields = json_object_get(json, "fields");
    if (!json_is_array(fields))
        return leat__error(p->err, LEAT_ESCHEMA, "record %s: \"fields\" must be an array", made->name);
    struct leat_names names = { .arena = &p->schema->arena };
    made->fields = leat__arena_array(&p->schema->arena, json_array_size(fields), sizeof *made->fields);
    if (!made->fields)
        return no_memory(p);
    made->fields_count = (uint32_t)json_array_size(fields);
    for (uint32_t i = 0; i < made->fields_count; i++)
        LEAT_TRY(parse_field_named(p, json_array_get(fields, i), space, made, &names, i));
    *node = made;
    return 0;
}

static int parse_symbols(
    struct parser *p, const json_t *list, struct leat_schema_node *node, struct leat_names *names)
{
    const size_t n = json_array_size(list);
    const char **symbols = leat__arena_array(&p->schema->arena, n, sizeof *symbols);
    if (!symbols)
        return no_memory(p);
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(list, i);
        const char *symbol = json_string_value(item);
        if (!symbol || strlen(symbol) != json_string_length(item))
            return leat__error(p->err, LEAT_ESCHEMA, "symbol %zu is not a string", i + 1);
        LEAT_TRY(check_name(p, "symbol", symbol, false));
        symbols[i] = leat__arena_str(&p->schema->arena, symbol);
        if (!symbols[i])
            return no_memory(p);
        const int added = leat__names_add(names, symbols[i], (uint32_t)i);
        if (added < 0)
            return no_memory(p);
        if (added == 0)
            return leat__error(p->err, LEAT_ESCHEMA, "symbol \"%s\" is listed twice", symbol);
    }
    node->symbols = symbols;
    node->symbols_count = (uint32_t)n;
    return 0;
}

static int parse_enum_body(struct parser *p, const json_t *json, struct leat_schema_node *node)
{
    const json_t *list = json_object_get(json, "symbols");
    struct leat_names names = { .arena = &p->schema->arena };
    const char *fallback;
    if (!json_is_array(list))
        return leat__error(p->err, LEAT_ESCHEMA, "\"symbols\" must be an array of names");
    LEAT_TRY(parse_symbols(p, list, node, &names));
    LEAT_TRY(get_text(p, json, "default", &fallback));
    if (!fallback)
        return 0;
    const int64_t found = leat__names_find(&names, fallback);
    if (found < 0)
        return leat__error(p->err, LEAT_ESCHEMA, "default \"%s\" is none of its symbols", fallback);
    node->default_symbol = (int32_t)found;
    return 0;
}

static int parse_enum(struct parser *p, const json_t *json, const char *space, struct leat_schema_node **node)
{
    LEAT_TRY(parse_named(p, json, LEAT_KIND_ENUM, &space, node));
    const int code = parse_enum_body(p, json, *node);
    if (code < 0)
        (void)leat__error_prefix(p->err, "enum %s", (*node)->name);
    return code;
}

static int parse_fixed(
    struct parser *p, const json_t *json, const char *space, struct leat_schema_node **node)
{
    LEAT_TRY(parse_named(p, json, LEAT_KIND_FIXED, &space, node));
    const json_t *size = json_object_get(json, "size");
    const json_int_t bytes = json_integer_value(size);
    if (!json_is_integer(size) || bytes < 0 || bytes > INT32_MAX)
        return leat__error(
            p->err, LEAT_ESCHEMA, "fixed %s: \"size\" must be a number of bytes", (*node)->name);
    (*node)->fixed_size = (uint32_t)bytes;
    return 0;
}

/* Arrays (member "items") and maps ("values"). */
static int parse_items(struct parser *p, const json_t *json, const char *space, enum leat_kind kind,
    struct leat_schema_node **node)
{
    const char *member = kind == LEAT_KIND_ARRAY ? "items" : "values";
    const json_t *item = json_object_get(json, member);
    if (!item)
        return leat__error(p->err, LEAT_ESCHEMA, "%s without \"%s\"", leat__kind_name(kind), member);
    LEAT_TRY(new_node(p, kind, node));
    const int code = parse_node(p, item, space, &(*node)->item);
    if (code < 0)
        (void)leat__error_prefix(p->err, "%s %s", leat__kind_name(kind), member);
    return code;
}

static int parse_union(
    struct parser *p, const json_t *json, const char *space, struct leat_schema_node **node)
{
    const size_t n = json_array_size(json);
    struct leat_names names = { .arena = &p->schema->arena };
    struct leat_schema_node *made = NULL;
    LEAT_TRY(new_node(p, LEAT_KIND_UNION, &made));
    made->branches = leat__arena_array(&p->schema->arena, n, sizeof(*made->branches));
    if (!made->branches)
        return no_memory(p);
    made->branches_count = (uint32_t)n;
    for (size_t i = 0; i < n; i++) {
        struct leat_schema_node *branch;
        const int code = parse_node(p, json_array_get(json, i), space, &branch);
        if (code < 0) {
            (void)leat__error_prefix(p->err, "branch %zu of the union", i + 1);
            return code;
        }
        if (branch->kind == LEAT_KIND_UNION)
            return leat__error(p->err, LEAT_ESCHEMA, "a union directly in a union: make it one");
        const int added = leat__names_add(&names, branch->name, (uint32_t)i);
        if (added < 0)
            return no_memory(p);
        if (added == 0)
            return leat__error(
                p->err, LEAT_ESCHEMA, "the union has two branches of type \"%s\"", branch->name);
        made->branches[i] = branch;
    }
    *node = made;
    return 0;
}

/* ---- dispatch ---- */

static int unknown_type(struct parser *p, const char *word)
{
    const char *candidates[NEAR_CANDIDATES_MAX];
    size_t n = 0;
    for (size_t i = 0; i < TYPE_WORDS_COUNT - 1; i++)
        candidates[n++] = type_words[i].word;
    for (uint32_t i = 0; i < p->named_count && n < NEAR_CANDIDATES_MAX; i++)
        candidates[n++] = p->named[i]->name;
    int near = leat__near(word, candidates, n);
    /* A full name that is far may have a simple name that is near. */
    for (uint32_t i = 0; near < 0 && i < p->named_count && i < NEAR_CANDIDATES_MAX; i++) {
        const char *simple = p->named[i]->simple_name;
        if (leat__near(simple_of(word), &simple, 1) == 0)
            return leat__error(
                p->err, LEAT_ESCHEMA, "unknown type \"%s\"; did you mean \"%s\"?", word, p->named[i]->name);
    }
    if (near < 0)
        return leat__error(
            p->err, LEAT_ESCHEMA, "unknown type \"%s\": it must be defined before it is used", word);
    return leat__error(
        p->err, LEAT_ESCHEMA, "unknown type \"%s\"; did you mean \"%s\"?", word, candidates[near]);
}

/* A word: a primitive type, or the name of one that was defined before. */
static int parse_word(struct parser *p, const char *word, const char *space, struct leat_schema_node **node)
{
    const int kind = find_word(word);
    if (kind && leat__kind_is_primitive((enum leat_kind)kind))
        return new_node(p, (enum leat_kind)kind, node);
    const char *full = full_name(p, word, space);
    if (!full)
        return no_memory(p);
    int64_t found = leat__names_find(&p->names, full);
    if (found < 0) /* as others do: the name without a name space is tried too */
        found = leat__names_find(&p->names, word);
    if (found < 0 && kind)
        return leat__error(
            p->err, LEAT_ESCHEMA, "\"%s\" must be written as { \"type\": \"%s\", ... }", word, word);
    if (found < 0)
        return unknown_type(p, word);
    *node = p->named[found];
    return 0;
}

static int parse_object(
    struct parser *p, const json_t *json, const char *space, struct leat_schema_node **node)
{
    const json_t *type = json_object_get(json, "type");
    const char *word;
    int code;
    if (!type)
        return leat__error(p->err, LEAT_ESCHEMA, "an object without \"type\"");
    if (!json_is_string(type)) { /* { "type": { ... } }: attributes around a whole type */
        return parse_node(p, type, space, node);
    }
    LEAT_TRY(get_text(p, json, "type", &word));
    switch (find_word(word)) {
    case LEAT_KIND_RECORD:
        return parse_record(p, json, space, node);
    case LEAT_KIND_ENUM:
        code = parse_enum(p, json, space, node);
        break;
    case LEAT_KIND_FIXED:
        code = parse_fixed(p, json, space, node);
        break;
    case LEAT_KIND_ARRAY:
        return parse_items(p, json, space, LEAT_KIND_ARRAY, node);
    case LEAT_KIND_MAP:
        return parse_items(p, json, space, LEAT_KIND_MAP, node);
    case 0:
        return parse_word(p, word, space, node);
    default:
        code = parse_word(p, word, space, node);
    }
    if (code == 0)
        leat__schema_logical(*node, json);
    return code;
}

static int parse_node(struct parser *p, const json_t *json, const char *space, struct leat_schema_node **node)
{
    int code;
    if (p->depth >= LEAT_SCHEMA_DEPTH_MAX)
        return leat__error(
            p->err, LEAT_ELIMIT, "types are nested deeper than %u levels", LEAT_SCHEMA_DEPTH_MAX);
    p->depth++;
    if (json_is_string(json))
        code = strlen(json_string_value(json)) == json_string_length(json)
            ? parse_word(p, json_string_value(json), space, node)
            : leat__error(p->err, LEAT_ESCHEMA, "the name of a type has a NUL character");
    else if (json_is_array(json))
        code = parse_union(p, json, space, node);
    else if (json_is_object(json))
        code = parse_object(p, json, space, node);
    else
        code = leat__error(p->err, LEAT_ESCHEMA, "a type is a name, an object or an array (a union)");
    p->depth--;
    return code;
}

/* Every default of every record. */
static int check_defaults(struct parser *p)
{
    for (uint32_t i = 0; i < p->named_count; i++) {
        const struct leat_schema_node *record = p->named[i];
        for (uint32_t f = 0; f < record->fields_count; f++) {
            const struct leat_schema_field *field = &record->fields[f];
            if (!field->has_default)
                continue;
            const int code = leat__schema_check_default(field->node, field->default_json, p->err);
            if (code < 0) {
                (void)leat__error_prefix(p->err, "record %s, field %s: default", record->name, field->name);
                return code;
            }
        }
    }
    return 0;
}

static int parse_json(struct parser *p, const char *text, size_t len)
{
    json_error_t error;
    const size_t flags = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL;
    if (len > LEAT_SCHEMA_BYTES_MAX)
        return leat__error(
            p->err, LEAT_ELIMIT, "a schema of %zu bytes; at most %u", len, LEAT_SCHEMA_BYTES_MAX);
    const char *nul = len ? memchr(text, '\0', len) : NULL;
    if (nul) /* the JSON reader takes it for blank behind a number, and the text would end there for others */
        return leat__error(
            p->err, LEAT_ESCHEMA, "a NUL byte at offset %zu: no JSON text has one", (size_t)(nul - text));
    p->schema->text = leat__arena_strn(&p->schema->arena, text, len);
    if (!p->schema->text)
        return no_memory(p);
    p->schema->json = json_loadb(p->schema->text, len, flags, &error);
    if (!p->schema->json && json_error_code(&error) == json_error_out_of_memory)
        return no_memory(p);
    if (!p->schema->json)
        return leat__error(
            p->err, LEAT_ESCHEMA, "line %d, column %d: %s", error.line, error.column, error.text);
    return 0;
}

static int make_canonical(struct parser *p)
{
    struct leat_strbuf out = { 0 };
    leat__schema_canonical(p->schema, &out);
    p->schema->canonical = out.failed ? NULL : leat__arena_strn(&p->schema->arena, out.data, out.len);
    if (p->schema->canonical)
        p->schema->fingerprint = leat__crc64_avro(out.data, out.len);
    leat__strbuf_release(&out);
    return p->schema->canonical ? 0 : no_memory(p);
}

int leat__schema_parse(const char *text, size_t len, struct leat_schema **schema, struct leat_error *err)
{
    struct parser p = { .schema = leat__calloc(1, sizeof *p.schema), .err = err };
    *schema = NULL;
    if (!p.schema)
        return no_memory(&p);
    p.names.arena = &p.schema->arena;
    int code = parse_json(&p, text, len);
    if (code == 0)
        code = parse_node(&p, p.schema->json, NULL, &p.schema->root);
    if (code == 0)
        code = check_defaults(&p);
    if (code == 0)
        code = make_canonical(&p);
    leat__free(p.named);
    if (code < 0)
        leat__schema_free(p.schema);
    else
        *schema = p.schema;
    return code;
}

void leat__schema_free(struct leat_schema *schema)
{
    if (!schema)
        return;
    json_decref(schema->json);
    leat__arena_release(&schema->arena);
    leat__free(schema);
}
