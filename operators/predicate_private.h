/* operators/predicate_private.h -- a condition on records, from a callback or an expression; of filter and
 * branch. */
#ifndef LEAT_OPERATORS_PREDICATE_PRIVATE_H
#define LEAT_OPERATORS_PREDICATE_PRIVATE_H
#include "record/expr.h"
#include "topology/operator.h"
#include <leat/filter.h>

/* Part of a node's spec; one of the two is set. */
struct leat__predicate {
    const struct leat_filter_fn *fn;
    struct leat_expr *expr;
};

/* Checks one against input 0 of the node and keeps errors under the option's name. */
void leat__predicate_of_fn(
    struct leat_node *node, const char *option, const struct leat_filter_fn *fn, struct leat__predicate *p);
void leat__predicate_of_expr(
    struct leat_node *node, const char *option, const char *where, struct leat__predicate *p);

/* The scratch that an instance needs; NULL for a callback. */
LEAT_NODISCARD int leat__predicate_scratch(
    const struct leat__predicate *p, struct leat__ctx *ctx, struct leat_expr_scratch **scratch);
/* Sets keep of every row of the batch, which is the operator's to write; rows that are refused leave the
 * batch, and the policy is applied to them. */
LEAT_NODISCARD int leat__predicate_mark(const struct leat__predicate *p, struct leat_expr_scratch *scratch,
    struct leat__ctx *ctx, struct leat_batch *batch);
#endif
