/* record/type_layout.c -- the C layout of a schema, by the rules of include/leat/type.h.
 *
 * A named type is laid out once and shared by all that mention it. Two bounds make types safe to walk as
 * trees: a value is at most LEAT_ROW_BYTES_MAX bytes, and a type unfolds to at most LEAT_SCHEMA_NODES_MAX
 * parts (a chain of records, each with two arrays of the next, is small as a graph and enormous as a tree).
 * What has no C struct gets a size that keeps the rules simple: null and fixed(0) are 0 bytes, so that no
 * member is written for them; a record of nothing else is 1 byte, since C and C++ disagree on empty structs.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "record/schema_private.h"

struct layout {
    struct leat_arena *arena;
    struct leat_error *err;
    struct layout_slot {
        const struct leat_type *type; /* NULL: not there yet */
        uint32_t parts; /* of the type as a tree */
        bool open; /* being laid out: meeting it again is recursion */
    } * slots; /* by node id */
    uint32_t depth;
};

#define SCALAR(kind_, name_, c_type_) \
    [kind_] = { .kind = (kind_), .name = (name_), .size = sizeof(c_type_), .align = _Alignof(c_type_) }
static const struct leat_type scalar_types[] = {
    [LEAT_KIND_NULL] = { .kind = LEAT_KIND_NULL, .name = "null", .size = 0, .align = 1 },
    SCALAR(LEAT_KIND_BOOLEAN, "boolean", bool),
    SCALAR(LEAT_KIND_INT, "int", int32_t),
    SCALAR(LEAT_KIND_LONG, "long", int64_t),
    SCALAR(LEAT_KIND_FLOAT, "float", float),
    SCALAR(LEAT_KIND_DOUBLE, "double", double),
    SCALAR(LEAT_KIND_BYTES, "bytes", struct leat_sv),
    SCALAR(LEAT_KIND_STRING, "string", struct leat_sv),
};

static int lay_out(struct layout *l, const struct leat_schema_node *node, const struct leat_type **type);

static int no_memory(struct layout *l)
{
    return leat__error(l->err, LEAT_ENOMEM, "out of memory while laying out a type");
}

static uint64_t round_up(uint64_t n, uint32_t align)
{
    return (n + align - 1) & ~(uint64_t)(align - 1);
}

/* Adds the parts of a child to those of a node. */
static int add_parts(
    struct layout *l, const struct leat_schema_node *node, const struct leat_schema_node *child)
{
    struct layout_slot *slot = &l->slots[node->id];
    slot->parts += l->slots[child->id].parts;
    if (slot->parts <= LEAT_SCHEMA_NODES_MAX)
        return 0;
    return leat__error(l->err, LEAT_ELIMIT, "%s %s unfolds to more than %u parts: make it simpler",
        leat__kind_name(node->kind), node->name, LEAT_SCHEMA_NODES_MAX);
}

static int set_size(struct layout *l, struct leat_type *type, uint64_t size, uint32_t align)
{
    size = round_up(size, align);
    if (size > LEAT_ROW_BYTES_MAX)
        return leat__error(l->err, LEAT_ELIMIT, "%s %s takes %llu bytes in memory; at most %u",
            leat__kind_name(type->kind), type->name, (unsigned long long)size, LEAT_ROW_BYTES_MAX);
    type->size = (uint32_t)size;
    type->align = align;
    return 0;
}

/* Places a member of a struct behind `at`. */
static uint32_t place(uint64_t *at, const struct leat_type *type, uint32_t *align)
{
    const uint64_t offset = round_up(*at, type->align);
    *at = offset + type->size;
    if (type->align > *align)
        *align = type->align;
    return (uint32_t)offset;
}

static int lay_out_field(struct layout *l, const struct leat_schema_node *node, uint32_t i,
    struct leat_field *field, uint64_t *at, uint32_t *align)
{
    const struct leat_schema_node *of = node->fields[i].node;
    const int32_t optional = leat__schema_optional(of);
    const struct leat_schema_node *value = optional < 0 ? of : of->branches[optional];
    field->name = leat__arena_str(l->arena, node->fields[i].name);
    if (!field->name)
        return no_memory(l);
    const int code = lay_out(l, value, &field->type);
    if (code < 0) {
        (void)leat__error_prefix(l->err, "record %s, field %s", node->name, field->name);
        return code;
    }
    field->has_offset = LEAT_NOT_NULLABLE;
    if (optional >= 0)
        field->has_offset = place(at, &scalar_types[LEAT_KIND_BOOLEAN], align);
    field->offset = place(at, field->type, align);
    LEAT_TRY(add_parts(l, node, value));
    /* Checked at each field, so that offsets stay far below 2^32. */
    if (*at > LEAT_ROW_BYTES_MAX)
        return leat__error(l->err, LEAT_ELIMIT, "record %s takes more than %u bytes in memory", node->name,
            LEAT_ROW_BYTES_MAX);
    return 0;
}

static int lay_out_record(struct layout *l, const struct leat_schema_node *node, struct leat_type *type)
{
    uint64_t at = 0;
    uint32_t align = 1;
    struct leat_field *fields = leat__arena_array(l->arena, node->fields_count, sizeof *fields);
    if (!fields)
        return no_memory(l);
    for (uint32_t i = 0; i < node->fields_count; i++)
        LEAT_TRY(lay_out_field(l, node, i, &fields[i], &at, &align));
    type->fields = fields;
    type->fields_count = node->fields_count;
    return set_size(l, type, at ? at : 1, align);
}

static int lay_out_enum(struct layout *l, const struct leat_schema_node *node, struct leat_type *type)
{
    const char **symbols = leat__arena_array(l->arena, node->symbols_count, sizeof *symbols);
    if (!symbols)
        return no_memory(l);
    for (uint32_t i = 0; i < node->symbols_count; i++) {
        symbols[i] = leat__arena_str(l->arena, node->symbols[i]);
        if (!symbols[i])
            return no_memory(l);
    }
    type->symbols = symbols;
    type->symbols_count = node->symbols_count;
    return set_size(l, type, sizeof(int32_t), _Alignof(int32_t));
}

static int lay_out_items(struct layout *l, const struct leat_schema_node *node, struct leat_type *type)
{
    LEAT_TRY(lay_out(l, node->item, &type->item));
    LEAT_TRY(add_parts(l, node, node->item));
    type->entry_size = type->item->size;
    if (node->kind == LEAT_KIND_MAP) {
        uint64_t at = sizeof(struct leat_sv);
        uint32_t align = _Alignof(struct leat_sv);
        type->value_offset = place(&at, type->item, &align);
        type->entry_size = (uint32_t)round_up(at, align);
        return set_size(l, type, sizeof(struct leat_map), _Alignof(struct leat_map));
    }
    return set_size(l, type, sizeof(struct leat_array), _Alignof(struct leat_array));
}

static int lay_out_optional(
    struct layout *l, const struct leat_schema_node *node, int32_t branch, struct leat_type *type)
{
    uint64_t at = sizeof(bool);
    uint32_t align = 1;
    type->kind = LEAT_KIND_OPTIONAL;
    LEAT_TRY(lay_out(l, node->branches[branch], &type->item));
    LEAT_TRY(add_parts(l, node, node->branches[branch]));
    type->value_offset = place(&at, type->item, &align);
    return set_size(l, type, at, align);
}

static int lay_out_union(struct layout *l, const struct leat_schema_node *node, struct leat_type *type)
{
    uint32_t size = 0, align = _Alignof(int32_t);
    if (node->branches_count == 0)
        return leat__error(l->err, LEAT_ESCHEMA, "a union without branches has no values");
    struct leat_field *fields = leat__arena_array(l->arena, node->branches_count, sizeof *fields);
    if (!fields)
        return no_memory(l);
    for (uint32_t i = 0; i < node->branches_count; i++) {
        const struct leat_schema_node *branch = node->branches[i];
        LEAT_TRY(lay_out(l, branch, &fields[i].type));
        LEAT_TRY(add_parts(l, node, branch));
        fields[i].name = fields[i].type->name;
        fields[i].has_offset = LEAT_NOT_NULLABLE;
        size = fields[i].type->size > size ? fields[i].type->size : size;
        align = fields[i].type->align > align ? fields[i].type->align : align;
    }
    type->value_offset = align; /* the tag is 4 bytes, the alignment at least that */
    for (uint32_t i = 0; i < node->branches_count; i++)
        fields[i].offset = type->value_offset;
    type->fields = fields;
    type->fields_count = node->branches_count;
    return set_size(l, type, (uint64_t)type->value_offset + size, align);
}

static int fill(struct layout *l, const struct leat_schema_node *node, struct leat_type *type)
{
    const int32_t optional = leat__schema_optional(node);
    switch (node->kind) {
    case LEAT_KIND_RECORD:
        return lay_out_record(l, node, type);
    case LEAT_KIND_ENUM:
        return lay_out_enum(l, node, type);
    case LEAT_KIND_FIXED:
        return set_size(l, type, node->fixed_size, 1);
    case LEAT_KIND_ARRAY:
    case LEAT_KIND_MAP:
        return lay_out_items(l, node, type);
    case LEAT_KIND_UNION:
        return optional >= 0 ? lay_out_optional(l, node, optional, type) : lay_out_union(l, node, type);
    default:
        return set_size(l, type, scalar_types[node->kind].size, scalar_types[node->kind].align);
    }
}

static int make_type(struct layout *l, const struct leat_schema_node *node, struct leat_type **type)
{
    struct leat_type *made = leat__arena_alloc(l->arena, sizeof *made);
    const char *name = leat__arena_str(l->arena, node->name);
    if (!made || !name)
        return no_memory(l);
    made->kind = node->kind;
    made->logical = node->logical;
    made->name = name;
    made->precision = node->precision;
    made->scale = node->scale;
    *type = made;
    return fill(l, node, made);
}

static int lay_out(struct layout *l, const struct leat_schema_node *node, const struct leat_type **type)
{
    struct layout_slot *slot = &l->slots[node->id];
    if (slot->open)
        return leat__error(l->err, LEAT_ESCHEMA,
            "record %s contains itself: a C struct can not hold a recursive type; refer to the other record "
            "by a key",
            node->name);
    if (!slot->type) {
        struct leat_type *made = NULL;
        slot->parts = 1;
        if (leat__kind_is_primitive(node->kind) && node->logical == LEAT_LOGICAL_NONE) {
            slot->type = &scalar_types[node->kind];
        } else {
            if (l->depth >= LEAT_SCHEMA_DEPTH_MAX)
                return leat__error(
                    l->err, LEAT_ELIMIT, "types are nested deeper than %u levels", LEAT_SCHEMA_DEPTH_MAX);
            l->depth++;
            slot->open = true;
            LEAT_TRY(make_type(l, node, &made));
            slot->open = false;
            l->depth--;
            slot->type = made;
        }
    }
    *type = slot->type;
    return 0;
}

/* The root's own descriptor, with schema text and fingerprint. Nothing else refers to it: that were
 * recursion. */
static int finish_root(struct layout *l, const struct leat_schema *schema, const struct leat_type **type)
{
    struct leat_type *root = leat__arena_copy(l->arena, *type, sizeof *root);
    const char *text = leat__arena_str(l->arena, schema->text);
    if (!root || !text)
        return no_memory(l);
    root->schema = text;
    root->fingerprint = schema->fingerprint;
    *type = root;
    return 0;
}

int leat__schema_type(const struct leat_schema *schema, struct leat_arena *arena,
    const struct leat_type **type, struct leat_error *err)
{
    struct layout l = { .arena = arena, .err = err };
    *type = NULL;
    l.slots = leat__calloc(schema->nodes_count, sizeof *l.slots);
    int code = l.slots ? lay_out(&l, schema->root, type) : no_memory(&l);
    if (code == 0)
        code = finish_root(&l, schema, type);
    leat__free(l.slots);
    if (code < 0)
        *type = NULL;
    return code;
}
