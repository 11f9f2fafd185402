/* topology/combine.h -- rows on their way to an operator, combined before the exchange.
 *
 * An operator that adds up rows of equal key may have some of that work done where the rows are made: its class
 * names a combine class, an exchange that leads to the operator has a combiner of it, and rows of the combiner's own
 * type travel instead of the records. The operator takes both, in any mixture, and tells them apart by their type.
 *
 *   add, add, ...   rows of the edge, in their order
 *   take, take ...  everything that is in it, as batches: then it is empty. Before a watermark, a barrier, idleness,
 *                   the end goes on, and before rows that are late: so no combined row is behind a watermark that
 *                   its records were not behind, and nothing of a combiner is in a checkpoint
 *
 * Whether an edge has one is decided by the plan (topology/plan_combine.c). */
#ifndef LEAT_TOPOLOGY_COMBINE_H
#define LEAT_TOPOLOGY_COMBINE_H
#include "topology/operator.h"

/* What the plan knows that the operator does not. */
struct leat_combine_when {
    enum leat_pre_aggregate asked; /* of the job; 0: nothing */
    /* Rows may be behind the operator's watermark without a mark: some source may be idle and come back, or a
     * restored job may read again what was counted. */
    bool may_be_behind;
};

struct leat_combiner {
    const struct leat_combine_class *combine_class;
    const struct leat_node *node; /* the operator */
    bool always; /* LEAT_PRE_AGGREGATE_ALWAYS: also where it does not pay */
    uint32_t rows; /* in it, of its type: 0 when empty */
    bool is_full; /* nothing more should be added before all was taken */
};

struct leat_combine_class {
    size_t size; /* of the combiner, which begins with struct leat_combiner; zeroed */
    /* How: AUTO or ALWAYS. 0: not at all, and *reason says why. */
    enum leat_pre_aggregate (*choose)(
        const struct leat_node *node, const struct leat_combine_when *when, const char **reason);
    /* ctx: of the producer's instance, with the operator as its node; the same at every call. `rows_max`: how many
     * rows the combiner may have. On failure release is called too. */
    int (*init)(struct leat_combiner *combiner, struct leat__ctx *ctx, uint32_t rows_max);
    /* Takes rows of the batch from row `from` on, whose keys and hashes are given: how many; fewer than there are
     * when the combiner is full then. 0, only at row 0: they go as they are. None is late, all are inserts. */
    int64_t (*add)(struct leat_combiner *combiner, struct leat__ctx *ctx, const struct leat_batch *batch,
        const struct leat_sv *keys, uint32_t from);
    /* The next batch of what is in it, event times and hashes set; NULL: that was all. */
    int (*take)(struct leat_combiner *combiner, struct leat__ctx *ctx, struct leat_batch **batch);
    void (*release)(struct leat_combiner *combiner, struct leat__ctx *ctx);
};
#endif
