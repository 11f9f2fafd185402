/* operators/key_private.h -- what a key is, as text that is saved with the tables that have it. */
#ifndef LEAT_OPERATORS_KEY_PRIVATE_H
#define LEAT_OPERATORS_KEY_PRIVATE_H
#include "record/key.h"
#include "topology/declare.h"

/* "customer_id long, region string or null": fields and how they are written in key bytes, so that int and
 * long, float and double, string and enum are one. `type`: of the records, `nulls`: as the key was made with.
 * Memory of the node's topology; NULL when that is out of memory (the node is inert then). */
const char *leat__key_describe(struct leat_node *node, const struct leat_key *key,
    const struct leat_type *type, enum leat_key_nulls nulls);
#endif
