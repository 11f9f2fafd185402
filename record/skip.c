/* record/skip.c -- getting past values of the writer's types that nobody wants.
 *
 * A table of the writer's types, walked along the data. Types may be recursive here, so the data's depth is
 * bounded. Blocks of arrays and maps that tell their size are jumped over whole. */
#include "record/decode_private.h"
#include "base/alloc.h"
#include "base/limits.h"

/* ---- building the table ---- */

static uint32_t children_of(const struct leat_schema_node *node)
{
    switch (node->kind) {
    case LEAT_KIND_RECORD:
        return node->fields_count;
    case LEAT_KIND_UNION:
        return node->branches_count;
    case LEAT_KIND_ARRAY:
    case LEAT_KIND_MAP:
        return 1;
    default:
        return 0;
    }
}

static const struct leat_schema_node *child_of(const struct leat_schema_node *node, uint32_t i)
{
    if (node->kind == LEAT_KIND_RECORD)
        return node->fields[i].node;
    return node->kind == LEAT_KIND_UNION ? node->branches[i] : node->item;
}

static int reserve_children(struct leat_decoder *d, uint32_t count)
{
    const uint32_t need = d->skip_children_count + count;
    uint32_t capacity = d->skip_children_capacity ? d->skip_children_capacity : 64;
    if (need <= d->skip_children_capacity)
        return 0;
    while (capacity < need)
        capacity *= 2;
    uint32_t *children = leat__realloc(d->skip_children, capacity * sizeof *children);
    if (!children)
        return LEAT_ENOMEM;
    d->skip_children = children;
    d->skip_children_capacity = capacity;
    return 0;
}

/* A record is empty on the wire when all of its fields are; one that contains itself is met while it is being
 * added and counts as not empty: it has no finite value. */
static int add_node(struct leat_decoder *d, const struct leat_schema_node *node, uint32_t depth)
{
    struct leat__skip_node *made = &d->skips[node->id];
    const uint32_t count = children_of(node);
    bool is_empty = true;
    if (made->kind)
        return 0;
    if (depth > LEAT_SKIP_DEPTH_MAX)
        return LEAT_ELIMIT;
    LEAT_TRY(reserve_children(d, count));
    made->kind = node->kind;
    made->fixed_size = node->fixed_size;
    made->children = d->skip_children_count;
    made->children_count = count;
    d->skip_children_count += count;
    for (uint32_t i = 0; i < count; i++) {
        const struct leat_schema_node *child = child_of(node, i);
        d->skip_children[made->children + i] = child->id;
        LEAT_TRY(add_node(d, child, depth + 1));
        is_empty = is_empty && d->skips[child->id].is_empty;
    }
    made->is_empty = node->kind == LEAT_KIND_NULL || (node->kind == LEAT_KIND_RECORD && is_empty) ||
        (node->kind == LEAT_KIND_FIXED && node->fixed_size == 0);
    return 0;
}

int leat__skip_build(struct leat_decoder *decoder, const struct leat_schema *writer, struct leat_error *err)
{
    decoder->skips = leat__arena_array(&decoder->arena, writer->nodes_count, sizeof *decoder->skips);
    const int code = decoder->skips ? add_node(decoder, writer->root, 0) : LEAT_ENOMEM;
    decoder->skip_root = writer->root->id;
    if (code == LEAT_ELIMIT)
        return leat__error(
            err, code, "the types of the data are nested deeper than %u levels", LEAT_SKIP_DEPTH_MAX);
    return code < 0 ? leat__error(err, code, "out of memory while compiling a decoder") : 0;
}

/* ---- skipping ---- */

struct skip {
    const struct leat_decoder *decoder;
    const uint8_t *end;
    const uint8_t *fault_at;
    const char *cause;
};

static const uint8_t *skip_node(struct skip *s, uint32_t id, const uint8_t *at, uint32_t depth);

static const uint8_t *fault(struct skip *s, const uint8_t *at, const char *cause)
{
    s->fault_at = at;
    s->cause = cause;
    return NULL;
}

static const uint8_t *skip_long(struct skip *s, const uint8_t *at, int64_t *value)
{
    const uint8_t *p = at;
    uint64_t raw;
    if (at >= s->end)
        return fault(s, at, "the data ends here, inside a record");
    if (!leat__varint(&p, &raw))
        return fault(s, at, "a number of more than 10 bytes");
    if (p > s->end)
        return fault(s, at, "the data ends here, inside a record");
    *value = leat__unzigzag(raw);
    return p;
}

static const uint8_t *skip_bytes(struct skip *s, const uint8_t *at, int64_t count)
{
    if (count < 0)
        return fault(s, at, "a negative length");
    if (count > s->end - at)
        return fault(s, at, "the data ends here, inside a record");
    return at + count;
}

static const uint8_t *skip_sized(struct skip *s, const uint8_t *at)
{
    int64_t len;
    const uint8_t *p = skip_long(s, at, &len);
    return p ? skip_bytes(s, p, len) : NULL;
}

static const uint8_t *skip_items(
    struct skip *s, const struct leat__skip_node *node, const uint8_t *at, int64_t count, uint32_t depth)
{
    const bool is_map = node->kind == LEAT_KIND_MAP;
    const uint32_t item = s->decoder->skip_children[node->children];
    if (!is_map && s->decoder->skips[item].is_empty)
        return count <= LEAT_EMPTY_ITEMS_MAX ? at : fault(s, at, "too many items without bytes");
    if (count > s->end - at)
        return fault(s, at, "more items than bytes are left");
    for (int64_t i = 0; i < count && at; i++) {
        if (is_map)
            at = skip_sized(s, at);
        if (at)
            at = skip_node(s, item, at, depth);
    }
    return at;
}

static const uint8_t *skip_blocks(
    struct skip *s, const struct leat__skip_node *node, const uint8_t *at, uint32_t depth)
{
    for (;;) {
        int64_t count, size;
        const uint8_t *p = skip_long(s, at, &count);
        if (!p || count == 0)
            return p;
        if (count < 0) {
            p = skip_long(s, p, &size);
            if (p)
                p = skip_bytes(s, p, size);
        } else {
            p = skip_items(s, node, p, count, depth);
        }
        if (!p)
            return NULL;
        at = p;
    }
}

static const uint8_t *skip_node(struct skip *s, uint32_t id, const uint8_t *at, uint32_t depth)
{
    const struct leat__skip_node *node = &s->decoder->skips[id];
    const uint32_t *children = node->children_count ? s->decoder->skip_children + node->children : NULL;
    const uint8_t *p = at;
    int64_t value;
    if (node->is_empty)
        return at;
    if (depth > LEAT_SKIP_DEPTH_MAX)
        return fault(s, at, "nested too deep");
    switch (node->kind) {
    case LEAT_KIND_BOOLEAN:
        return skip_bytes(s, at, 1);
    case LEAT_KIND_INT:
    case LEAT_KIND_LONG:
    case LEAT_KIND_ENUM:
        return skip_long(s, at, &value);
    case LEAT_KIND_FLOAT:
        return skip_bytes(s, at, 4);
    case LEAT_KIND_DOUBLE:
        return skip_bytes(s, at, 8);
    case LEAT_KIND_BYTES:
    case LEAT_KIND_STRING:
        return skip_sized(s, at);
    case LEAT_KIND_FIXED:
        return skip_bytes(s, at, node->fixed_size);
    case LEAT_KIND_RECORD:
        for (uint32_t i = 0; i < node->children_count && p; i++)
            p = skip_node(s, children[i], p, depth + 1);
        return p;
    case LEAT_KIND_ARRAY:
    case LEAT_KIND_MAP:
        return skip_blocks(s, node, at, depth + 1);
    case LEAT_KIND_UNION:
        p = skip_long(s, at, &value);
        if (p && (value < 0 || value >= node->children_count))
            return fault(s, at, "no such branch of a union");
        return p ? skip_node(s, children[value], p, depth + 1) : NULL;
    default:
        return at; /* null */
    }
}

const uint8_t *leat__skip(const struct leat_decoder *decoder, uint32_t node, const uint8_t *at,
    const uint8_t *end, const uint8_t **fault_at, const char **cause)
{
    struct skip s = { .decoder = decoder, .end = end };
    const uint8_t *p = skip_node(&s, node, at, 0);
    *fault_at = s.fault_at;
    *cause = s.cause;
    return p;
}
