/* operators/pre_aggregate_private.h -- aggregates whose rows are combined before the exchange (topology/combine.h):
 * the rows that travel, who may have them, and the operator's side of it.
 *
 *   pre_aggregate.c         the combiner: rows of equal key and slice to one accumulator, accumulators to partials
 *   pre_aggregate_choose.c  where it can change no result, and the words for where it could
 *   aggregate_run.c         takes partials in as it takes records
 *
 * A partial stands for `count` records of one key, all of one slice of the aligned windows (of a group aggregate: of
 * any time), none of them late where they were combined. Its event time is the greatest of theirs. */
#ifndef LEAT_OPERATORS_PRE_AGGREGATE_PRIVATE_H
#define LEAT_OPERATORS_PRE_AGGREGATE_PRIVATE_H
#include "operators/aggregate_private.h"
#include "topology/combine.h"

struct leat__partial {
    struct leat_sv key; /* bytes, record/key.h */
    struct leat_sv values; /* leat__agg_encode_values, aligned to 8 */
    int64_t count; /* of records */
    int64_t least_us; /* event time among them */
};

extern const struct leat_type leat__partial_type;

static inline bool leat__is_partials(const struct leat_batch *batch)
{
    return batch->type == &leat__partial_type;
}
static inline const struct leat__partial *leat__partial_at(const struct leat_batch *batch, uint32_t row)
{
    return leat_batch_at(batch, row);
}

extern const struct leat_combine_class leat__pre_aggregate_windows, leat__pre_aggregate_groups;

enum leat_pre_aggregate leat__pre_aggregate_choose_windows(
    const struct leat_node *node, const struct leat_combine_when *when, const char **reason);
enum leat_pre_aggregate leat__pre_aggregate_choose_groups(
    const struct leat_node *node, const struct leat_combine_when *when, const char **reason);
/* Checks the option of a node whose spec is complete, and keeps it there. */
void leat__pre_aggregate_declare(
    struct leat_node *node, struct leat__aggregate_spec *spec, enum leat_pre_aggregate asked);
#endif
