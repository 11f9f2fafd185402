/* record/schema_private.h -- what the files that read schemas share. */
#ifndef LEAT_RECORD_SCHEMA_PRIVATE_H
#define LEAT_RECORD_SCHEMA_PRIVATE_H
#include "base/error.h"
#include "record/names_private.h"
#include "record/schema.h"
#include <jansson.h>

/* Most digits that a decimal in `size` bytes can have; for logicalType decimal over fixed. */
int32_t leat__decimal_digits_max(uint32_t size);
/* Sets node->logical (and precision, scale) from the attributes of `json`; whatever is not valid is ignored.
 */
void leat__schema_logical(struct leat_schema_node *node, const json_t *json);

/* The Avro word of a kind: "long", "record", "union" (OPTIONAL too). */
const char *leat__kind_name(enum leat_kind kind);
/* null, boolean, int, long, float, double, bytes, string. */
static inline bool leat__kind_is_primitive(enum leat_kind kind)
{
    return kind <= LEAT_KIND_STRING;
}

/* Whether `value` is a default for `node` (for a union: for its first branch). LEAT_ESCHEMA says why not. */
int leat__schema_check_default(const struct leat_schema_node *node, json_t *value, struct leat_error *err);
/* Writes the parsing canonical form. */
void leat__schema_canonical(const struct leat_schema *schema, struct leat_strbuf *out);

/* For a UNION of null and one other branch: the index of the other one; else -1. */
static inline int32_t leat__schema_optional(const struct leat_schema_node *node)
{
    if (node->kind != LEAT_KIND_UNION || node->branches_count != 2)
        return -1;
    if (node->branches[0]->kind == LEAT_KIND_NULL)
        return 1;
    return node->branches[1]->kind == LEAT_KIND_NULL ? 0 : -1;
}

/* leat__type_equal with the place of the first difference, a field path, in `path` (may be NULL). */
bool leat__type_same(const struct leat_type *a, const struct leat_type *b, struct leat_strbuf *path);
#endif
