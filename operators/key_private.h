/* operators/key_private.h -- what a key is, as text that is saved with the tables that have it. */
#ifndef LEAT_OPERATORS_KEY_PRIVATE_H
#define LEAT_OPERATORS_KEY_PRIVATE_H
#include "record/key.h"
#include "topology/declare.h"

/* "customer_id long, region string or null": fields and how they are written in key bytes, so that int and
 * long, float and double, string and enum are one. "(lower(email)) string": expressions as leat__key_text spells them. `nulls`: as the key was
 * made with.
 * Memory of the node's topology; NULL when that is out of memory (the node is inert then). */
const char *leat__key_describe(struct leat_node *node, const struct leat_key *key, enum leat_key_nulls nulls);
/* Whether a part is an expression without a name. */
bool leat__key_has_unnamed(const struct leat_key *key);
/* An error of the option if a part of the key has a name: nothing shows it here. `instead` is what to do. */
void leat__key_refuse_names(
    struct leat_node *node, const char *option, const struct leat_key *key, const char *instead);
#endif
