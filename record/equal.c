/* record/equal.c -- whether two records show the same: a walk over both, by type. */
#include "record/equal.h"
#include <string.h>

typedef const unsigned char *bytes;

static bool sv_equal(bytes a, bytes b)
{
    struct leat_sv x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x.len == y.len && (x.len == 0 || memcmp(x.data, y.data, x.len) == 0);
}

static bool nullable_equal(bytes a, bytes b, uint32_t has, const struct leat_type *type, uint32_t offset)
{
    if (a[has] != b[has])
        return false;
    return !a[has] || leat__record_equal(type, a + offset, b + offset);
}

static bool fields_equal(const struct leat_type *type, bytes a, bytes b)
{
    for (uint32_t i = 0; i < type->fields_count; i++) {
        const struct leat_field *f = &type->fields[i];
        const bool same = f->has_offset == LEAT_NOT_NULLABLE
            ? leat__record_equal(f->type, a + f->offset, b + f->offset)
            : nullable_equal(a, b, f->has_offset, f->type, f->offset);
        if (!same)
            return false;
    }
    return true;
}

static bool unions_equal(const struct leat_type *type, bytes a, bytes b)
{
    int32_t tag, other;
    memcpy(&tag, a, sizeof tag);
    memcpy(&other, b, sizeof other);
    if (tag != other || tag < 0 || (uint32_t)tag >= type->fields_count)
        return tag == other;
    const struct leat_field *f = &type->fields[tag];
    return leat__record_equal(f->type, a + f->offset, b + f->offset);
}

/* Arrays, and maps: their items begin with the key. */
static bool items_equal(const struct leat_type *type, bytes a, bytes b)
{
    const bool is_map = type->kind == LEAT_KIND_MAP;
    struct leat_array x, y; /* maps have the same members */
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    if (x.count != y.count)
        return false;
    for (size_t i = 0; i < x.count; i++) {
        const bytes p = (bytes)x.items + i * type->entry_size, q = (bytes)y.items + i * type->entry_size;
        const uint32_t value = is_map ? type->value_offset : 0;
        if ((is_map && !sv_equal(p, q)) || !leat__record_equal(type->item, p + value, q + value))
            return false;
    }
    return true;
}

bool leat__record_equal(const struct leat_type *type, const void *a, const void *b)
{
    switch (type->kind) {
    case LEAT_KIND_RECORD:
        return fields_equal(type, a, b);
    case LEAT_KIND_STRING:
    case LEAT_KIND_BYTES:
        return sv_equal(a, b);
    case LEAT_KIND_ARRAY:
    case LEAT_KIND_MAP:
        return items_equal(type, a, b);
    case LEAT_KIND_OPTIONAL:
        return nullable_equal(a, b, 0, type->item, type->value_offset);
    case LEAT_KIND_UNION:
        return unions_equal(type, a, b);
    case LEAT_KIND_NULL:
        return true;
    default:
        return memcmp(a, b, type->size) == 0;
    }
}
