/* operators/group_aggregate_private.h -- what declaration and operator of the group aggregate share. */
#ifndef LEAT_OPERATORS_GROUP_AGGREGATE_PRIVATE_H
#define LEAT_OPERATORS_GROUP_AGGREGATE_PRIVATE_H
#include "operators/aggregate_run_private.h"
#include <leat/group_aggregate.h>

struct leat__group_spec {
    struct leat__aggregate_spec aggs;
    int64_t ttl_us; /* 0: none */
    bool ttl_is_processing;
    int64_t mini_us; /* 0: not by time */
    uint64_t mini_rows; /* 0: not by number */
};

static inline bool leat__group_folds(const struct leat__group_spec *spec)
{
    return spec->mini_us || spec->mini_rows;
}

extern const struct leat_op_class leat__group_aggregate_class;
#endif
