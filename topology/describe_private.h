/* topology/describe_private.h -- the three forms of a description, and what they share. */
#ifndef LEAT_TOPOLOGY_DESCRIBE_PRIVATE_H
#define LEAT_TOPOLOGY_DESCRIBE_PRIVATE_H
#include "topology/plan.h"

void leat__describe_text(const struct leat_plan *plan, struct leat_strbuf *out);
void leat__describe_dot(const struct leat_plan *plan, struct leat_strbuf *out);
void leat__describe_json(const struct leat_plan *plan, struct leat_strbuf *out);

/* "forward", "hash", "gather", "broadcast": what the edge does in this plan. A hash edge without exchange
 * forwards. */
const char *leat__edge_word(const struct leat_plan_edge *edge);
/* Whether it would be an exchange if its rows were not where their key lives. */
bool leat__edge_avoids_exchange(const struct leat_plan *plan, const struct leat_plan_edge *edge);
const char *leat__policy_word(enum leat_policy policy); /* "fail", "skip", "dead_letter" */
const char *leat__kind_word(enum leat_node_kind kind); /* "source", "operator", "sink", "virtual" */
/* The plan node of a logical one; NULL for virtual ones. */
const struct leat_plan_node *leat__plan_node_of(const struct leat_plan *plan, const struct leat_node *node);
/* What a person takes the input to come from: the virtual node before it, else the node. */
const struct leat_node *leat__input_shown(const struct leat_input *in);
uint32_t leat__plan_exchanges_count(const struct leat_plan *plan);
#endif
