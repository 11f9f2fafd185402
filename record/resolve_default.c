/* record/resolve_default.c -- JSON defaults as they lie in memory.
 *
 * The values were checked when the schema was parsed, so only memory can fail here. Strings are never without
 * a pointer, even empty ones: a null pointer means "no key" elsewhere. */
#include "record/decode_private.h"
#include "base/limits.h"

struct build {
    struct leat_arena *arena;
    size_t *bytes_left;
    struct leat_error *err;
};

static int build(struct build *b, const struct leat_schema_node *node, const struct leat_type *type,
    json_t *json, unsigned char *at);

static void *take(struct build *b, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > *b->bytes_left) {
        (void)leat__error(b->err, LEAT_ELIMIT, "the default takes more than %u bytes", LEAT_RECORD_BYTES_MAX);
        return NULL;
    }
    *b->bytes_left -= bytes;
    void *p = leat__arena_alloc(b->arena, bytes);
    if (!p)
        (void)leat__error(b->err, LEAT_ENOMEM, "out of memory while compiling a default");
    return p;
}

static int taking_failed(const struct build *b)
{
    return b->err && b->err->code < 0 ? b->err->code : LEAT_ENOMEM;
}

/* Characters 0 .. 255 of UTF-8 text as bytes. */
static size_t copy_latin(unsigned char *to, const char *text, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < size; i++) {
        const unsigned char c = (unsigned char)text[i];
        const unsigned low = c < 0x80 ? c : (unsigned char)text[++i] & 0x3fu;
        to[n++] = (unsigned char)(c < 0x80 ? low : (unsigned)c << 6 | low);
    }
    return n;
}

static int build_text(struct build *b, enum leat_kind kind, const json_t *json, struct leat_sv *view)
{
    const char *text = json_string_value(json);
    const size_t size = json_string_length(json);
    unsigned char *copy = take(b, size + 1, 1);
    if (!copy)
        return taking_failed(b);
    if (kind == LEAT_KIND_BYTES)
        view->len = copy_latin(copy, text, size);
    else
        memcpy(copy, text, view->len = size);
    view->data = (const char *)copy;
    return 0;
}

static int build_array(struct build *b, const struct leat_schema_node *node, const struct leat_type *type,
    json_t *json, struct leat_array *view)
{
    const size_t count = json_array_size(json);
    unsigned char *items = take(b, count ? count : 1, type->entry_size);
    if (!items)
        return taking_failed(b);
    for (size_t i = 0; i < count; i++)
        LEAT_TRY(build(b, node->item, type->item, json_array_get(json, i), items + i * type->entry_size));
    view->items = items;
    view->count = count;
    return 0;
}

static int build_map(struct build *b, const struct leat_schema_node *node, const struct leat_type *type,
    json_t *json, struct leat_map *view)
{
    const size_t count = json_object_size(json);
    unsigned char *entry = take(b, count ? count : 1, type->entry_size);
    const char *key;
    size_t len;
    json_t *value;
    if (!entry)
        return taking_failed(b);
    view->entries = entry;
    view->count = count;
    json_object_keylen_foreach(json, key, len, value)
    {
        char *copy = take(b, len + 1, 1);
        if (!copy)
            return taking_failed(b);
        memcpy(copy, key, len);
        *(struct leat_sv *)(void *)entry = (struct leat_sv){ copy, len };
        LEAT_TRY(build(b, node->item, type->item, value, entry + type->value_offset));
        entry += type->entry_size;
    }
    return 0;
}

/* A field: its union of null and one other is spread over has and value. */
static int build_field(struct build *b, const struct leat_schema_node *node, const struct leat_field *field,
    json_t *json, unsigned char *record)
{
    if (field->has_offset == LEAT_NOT_NULLABLE)
        return build(b, node, field->type, json, record + field->offset);
    if (node->branches[0]->kind == LEAT_KIND_NULL)
        return 0; /* a default is of the first branch */
    record[field->has_offset] = 1;
    return build(b, node->branches[0], field->type, json, record + field->offset);
}

static int build_record(struct build *b, const struct leat_schema_node *node, const struct leat_type *type,
    const json_t *json, unsigned char *at)
{
    for (uint32_t i = 0; i < node->fields_count; i++) {
        const struct leat_schema_field *field = &node->fields[i];
        json_t *member = json_object_get(json, field->name);
        LEAT_TRY(build_field(b, field->node, &type->fields[i], member ? member : field->default_json, at));
    }
    return 0;
}

static int build_union(struct build *b, const struct leat_schema_node *node, const struct leat_type *type,
    json_t *json, unsigned char *at)
{
    if (type->kind == LEAT_KIND_UNION) /* tag 0 is there already */
        return build(b, node->branches[0], type->fields[0].type, json, at + type->fields[0].offset);
    if (node->branches[0]->kind == LEAT_KIND_NULL)
        return 0;
    at[0] = 1;
    return build(b, node->branches[0], type->item, json, at + type->value_offset);
}

static int32_t symbol_index(const struct leat_schema_node *node, const char *symbol)
{
    uint32_t i = 0;
    while (i < node->symbols_count && strcmp(node->symbols[i], symbol) != 0)
        i++;
    return (int32_t)i;
}

static int build(struct build *b, const struct leat_schema_node *node, const struct leat_type *type,
    json_t *json, unsigned char *at)
{
    void *to = at;
    switch (node->kind) {
    case LEAT_KIND_NULL:
        return 0;
    case LEAT_KIND_BOOLEAN:
        *at = json_is_true(json);
        return 0;
    case LEAT_KIND_INT:
        *(int32_t *)to = (int32_t)json_integer_value(json);
        return 0;
    case LEAT_KIND_LONG:
        *(int64_t *)to = json_integer_value(json);
        return 0;
    case LEAT_KIND_FLOAT:
        *(float *)to = (float)json_number_value(json);
        return 0;
    case LEAT_KIND_DOUBLE:
        *(double *)to = json_number_value(json);
        return 0;
    case LEAT_KIND_BYTES:
    case LEAT_KIND_STRING:
        return build_text(b, node->kind, json, to);
    case LEAT_KIND_FIXED:
        (void)copy_latin(at, json_string_value(json), json_string_length(json));
        return 0;
    case LEAT_KIND_ENUM:
        *(int32_t *)to = symbol_index(node, json_string_value(json));
        return 0;
    case LEAT_KIND_ARRAY:
        return build_array(b, node, type, json, to);
    case LEAT_KIND_MAP:
        return build_map(b, node, type, json, to);
    case LEAT_KIND_RECORD:
        return build_record(b, node, type, json, at);
    default:
        return build_union(b, node, type, json, at);
    }
}

int leat__default_build(const struct leat_schema_node *node, const struct leat_type *type, void *json,
    struct leat_arena *arena, size_t *bytes_left, void *memory, struct leat_error *err)
{
    struct build b = { .arena = arena, .bytes_left = bytes_left, .err = err };
    return build(&b, node, type, json, memory);
}
