/* include/leat/type.h -- record types: how an Avro schema lies in memory as a C struct.
 *
 * A `struct leat_type` describes one Avro type and its C layout. `leat gen order.avsc` writes one as
 * `order_type` beside `struct order`; the engine derives the identical one from a schema at run time.
 *
 *   Avro            C                                         size
 *   null            (no bytes, no member)                      0
 *   boolean         bool                                       1
 *   int             int32_t                                    4
 *   long            int64_t                                    8
 *   float, double   float, double                              4, 8
 *   string, bytes   struct leat_sv                             16
 *   enum            int32_t (plus named constants)             4
 *   fixed(n)        uint8_t[n]; no member where n is 0         n
 *   record          inline struct                              padded to its alignment; 1 without members
 *   array           struct leat_array view over packed items   16
 *   map             struct leat_map view over packed entries { struct leat_sv key; V value; }
 *   ["null", T]     as a record field: bool has_x directly before T x (in layout order)
 *                   elsewhere (array item, map value, union branch, top level): LEAT_KIND_OPTIONAL,
 *                   struct { bool has; T value; }
 *   other unions    LEAT_KIND_UNION, struct { int32_t tag; union { ... } as; }: tag = index of the
 *                   branch in the schema, `as` at the largest alignment of the branches (at least 4)
 *
 * Layout rules are those of the x86-64 / AArch64 C ABI for the struct written in schema order, so that the
 * compiler's struct and the engine's layout agree; generated headers assert it.
 * Logical types keep their physical type. All descriptors are immutable and may be static. */
#ifndef LEAT_TYPE_H
#define LEAT_TYPE_H
#include <leat/api.h>
#include <leat/error.h>
#include <string.h>

/* A string or bytes view. Not NUL-terminated. Valid as long as the batch that it came with. */
struct leat_sv {
    const char *data;
    size_t len;
};

/* A view over `count` packed items. `items` points to the first; each is type->item->size apart. */
struct leat_array {
    const void *items;
    size_t count;
};

/* A view over `count` packed entries { struct leat_sv key; V value; }, in the order of the data. */
struct leat_map {
    const void *entries;
    size_t count;
};

enum leat_kind {
    LEAT_KIND_NULL = 1,
    LEAT_KIND_BOOLEAN,
    LEAT_KIND_INT,
    LEAT_KIND_LONG,
    LEAT_KIND_FLOAT,
    LEAT_KIND_DOUBLE,
    LEAT_KIND_BYTES,
    LEAT_KIND_STRING,
    LEAT_KIND_FIXED,
    LEAT_KIND_ENUM,
    LEAT_KIND_RECORD,
    LEAT_KIND_ARRAY,
    LEAT_KIND_MAP,
    LEAT_KIND_UNION,
    LEAT_KIND_OPTIONAL,
};

enum leat_logical {
    LEAT_LOGICAL_NONE = 0,
    LEAT_LOGICAL_DECIMAL, /* bytes or fixed, big-endian two's complement; precision and scale below */
    LEAT_LOGICAL_UUID,
    LEAT_LOGICAL_DATE, /* int, days */
    LEAT_LOGICAL_TIME_MILLIS, /* int */
    LEAT_LOGICAL_TIME_MICROS, /* long */
    LEAT_LOGICAL_TIMESTAMP_MILLIS, /* long, and so the rest */
    LEAT_LOGICAL_TIMESTAMP_MICROS,
    LEAT_LOGICAL_TIMESTAMP_NANOS,
    LEAT_LOGICAL_LOCAL_TIMESTAMP_MILLIS,
    LEAT_LOGICAL_LOCAL_TIMESTAMP_MICROS,
    LEAT_LOGICAL_LOCAL_TIMESTAMP_NANOS,
    LEAT_LOGICAL_DURATION, /* fixed(12) */
};

/* Value of has_offset for a field that can not be null. */
#define LEAT_NOT_NULLABLE UINT32_MAX

struct leat_type;

/* A field of a record, or a branch of a union. */
struct leat_field {
    const char *name; /* as in the schema; for a union branch the Avro branch name */
    const struct leat_type *type; /* of the value; for ["null", T] this is T */
    uint32_t offset; /* of the value, from the start of the struct */
    uint32_t has_offset; /* of `bool has_<name>`, or LEAT_NOT_NULLABLE */
};

struct leat_type {
    enum leat_kind kind;
    enum leat_logical logical;
    const char *name; /* full name of record, enum, fixed; else the Avro type's word ("long") */
    uint32_t size; /* bytes in memory */
    uint32_t align;
    uint32_t fields_count; /* record: fields; union: branches (all of them, null included) */
    uint32_t symbols_count; /* enum */
    const struct leat_field *fields;
    const struct leat_type *item; /* array: item; map: value; optional: value (at `value_offset`) */
    const char *const *symbols; /* enum */
    uint32_t value_offset; /* optional: of `value`; map: of the value in an entry; union: of `as` */
    uint32_t entry_size; /* map: size of an entry; array: size of an item; else 0 */
    int32_t precision, scale; /* decimal */
    const char *schema; /* JSON text as given; only of types made from a whole schema, else NULL */
    uint64_t fingerprint; /* CRC-64-AVRO of the parsing canonical form; 0 where schema is NULL */
};

#define LEAT_SV(literal_) ((struct leat_sv){ "" literal_, sizeof("" literal_) - 1 })

static inline struct leat_sv leat_sv_of(const char *text)
{
    struct leat_sv sv = { text, strlen(text) };
    return sv;
}

static inline bool leat_sv_eq(struct leat_sv a, struct leat_sv b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Bytewise order; a prefix sorts first. <0, 0, >0. */
static inline int leat_sv_cmp(struct leat_sv a, struct leat_sv b)
{
    const size_t len = a.len < b.len ? a.len : b.len;
    const int order = len ? memcmp(a.data, b.data, len) : 0;
    if (order != 0)
        return order;
    return a.len < b.len ? -1 : a.len > b.len;
}

LEAT_BEGIN_DECLS

/* The second door to the same memory: a field of a record by its dotted path ("address.city").
 * `leat_record_find` gives LEAT_ENOTFOUND (with a near miss in err) or 0 and the resolved place.
 * A place is cheap to use per row and valid as long as the type. */
struct leat_place {
    const struct leat_type *type; /* of the value */
    uint32_t offset;
    uint32_t has_offset; /* of the last nullable step, or LEAT_NOT_NULLABLE */
    uint32_t outer_has[4]; /* nullable records on the way, outermost first; LEAT_NOT_NULLABLE ends the list */
};
LEAT_API LEAT_NODISCARD int leat_record_find(
    const struct leat_type *type, const char *path, struct leat_place *place, struct leat_error *err);
/* Whether the value at the place is null in this record. */
LEAT_API bool leat_record_is_null(const void *record, const struct leat_place *place);
/* Read a value, widened: boolean, int, long, enum (get_i64), float, double and integers (get_f64),
 * string, bytes, fixed, enum's symbol (get_sv). LEAT_EINVAL for another kind or a null. */
LEAT_API LEAT_NODISCARD int leat_record_get_i64(
    const void *record, const struct leat_place *place, int64_t *value);
LEAT_API LEAT_NODISCARD int leat_record_get_f64(
    const void *record, const struct leat_place *place, double *value);
LEAT_API LEAT_NODISCARD int leat_record_get_sv(
    const void *record, const struct leat_place *place, struct leat_sv *value);
/* Writes the record as one line of plain JSON into `text` (NUL-terminated, cut at `size`); returns the full
 * length. */
LEAT_API size_t leat_record_print(const void *record, const struct leat_type *type, char *text, size_t size);

LEAT_END_DECLS
#endif
