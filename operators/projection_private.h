/* operators/projection_private.h -- fills output records from expressions and from input fields; of project
 * and join.
 *
 * A projection is made when the node is declared, is immutable and part of its spec; each instance has a
 * scratch. It reads one record per output record (a batch), or a pair of them (two arrays of pointers). */
#ifndef LEAT_OPERATORS_PROJECTION_PRIVATE_H
#define LEAT_OPERATORS_PROJECTION_PRIVATE_H
#include "record/expr.h"
#include "topology/operator.h"
#include <leat/map.h>

struct leat__projection;
struct leat__projection_scratch;

struct leat__projection_opts {
    const struct leat_projection *fields; /* up to the first without expr */
    uint32_t fields_max;
    const struct leat_type *out; /* NULL: a type is made from the fields */
    uint32_t sides_count; /* 1: input 0 of the node. 2: "left" is input 0, "right" input 1 */
    uint32_t
        may_miss; /* bit 0: the left record may be missing, bit 1: the right one. Its fields are null then */
    /* Fields of `out` that the caller fills unless an entry of `fields` does, NULL-terminated; or NULL. */
    const char *const *own_fields;
};

/* NULL when the node has got errors by it or has no inputs. */
struct leat__projection *leat__projection_new(
    struct leat_node *node, const struct leat__projection_opts *opts);
const struct leat_type *leat__projection_type(const struct leat__projection *p);
/* Whether an entry of `fields` names the output field. */
bool leat__projection_names(const struct leat__projection *p, const char *out_field);
/* Whether the output field is a plain copy of that field of that side and never null: then keys over both
 * agree. */
bool leat__projection_copies(
    const struct leat__projection *p, const char *out_field, uint32_t side, const char *in_field);

LEAT_NODISCARD int leat__projection_scratch_new(
    const struct leat__projection *p, struct leat__ctx *ctx, struct leat__projection_scratch **scratch);
void leat__projection_scratch_free(struct leat__projection_scratch *scratch);

/* What output row i is made from. */
struct leat__projection_rows {
    const struct leat_batch *batch; /* row i; or, when NULL, */
    const void *const *left, *const *right; /* left[i] and right[i], NULL where missing */
    uint32_t count;
};
/* Fills the zeroed rows first .. first+count-1 of `out`. Goes between leat__ctx_begin and leat__ctx_end: row
 * i that can not be made is refused as row i of the call. Copied views show the input's memory. Computed
 * strings are copied to the memory of `out` if `adopt`; else they are valid only until the next run. */
LEAT_NODISCARD int leat__projection_run(const struct leat__projection *p, struct leat__projection_scratch *s,
    struct leat__ctx *ctx, const struct leat__projection_rows *rows, struct leat_batch *out, uint32_t first,
    bool adopt);

/* ---- projection_type.c ---- */

/* A field of a type to be made. */
struct leat__made_field {
    const char *name;
    const struct leat_type *type;
    bool nullable;
};
/* A record type with these fields, named after the node, with its schema; NULL when the node has got an
 * error. */
const struct leat_type *leat__projection_make_type(
    struct leat_node *node, const struct leat__made_field *fields, uint32_t count);
#endif
