/* operators/changes_private.h -- giving changes of results: a result before and a result after become nothing, one
 * change, or a pair.
 *
 *   leat__changes_begin            marks of what comes, and its event time
 *   leat__changes_row(BEFORE)      a zeroed row, if there was a result; leat__changes_refuse takes it back
 *   leat__changes_row(AFTER)       the same, if there is one now
 *   leat__changes_settle           equal: both go; else they say what they do
 *
 * The rows are made where they stay, so that nothing is copied; until they are settled the batch is not given. Where
 * a batch has room for one only, a second one is open for the moment. One per instance. */
#ifndef LEAT_OPERATORS_CHANGES_PRIVATE_H
#define LEAT_OPERATORS_CHANGES_PRIVATE_H
#include "operators/rows_private.h"
#include <leat/change.h>

enum { LEAT__BEFORE, LEAT__AFTER };

struct leat__changes {
    const struct leat_type *type;
    struct leat_batch *out, *second; /* the second only between row and settle */
    struct {
        struct leat_batch *batch; /* NULL: none */
        uint32_t row;
    } made[2];
    int64_t event_us;
    uint64_t hash;
    uint32_t late;
    int64_t late_wm_us;
    uint32_t batches_given; /* the operator sets it to 0 */
};

/* `marks`: the batch that caused what comes, whose lateness it has; NULL: on time. */
LEAT_NODISCARD int leat__changes_begin(struct leat__changes *c, struct leat__ctx *ctx,
    const struct leat_batch *marks, int64_t event_us, uint64_t hash);
/* The row is batch's last. */
LEAT_NODISCARD int leat__changes_row(
    struct leat__changes *c, struct leat__ctx *ctx, int which, struct leat_batch **batch);
void leat__changes_refuse(struct leat__changes *c, int which);
LEAT_NODISCARD int leat__changes_settle(struct leat__changes *c, struct leat__ctx *ctx);
/* At the end of a call's work. */
LEAT_NODISCARD int leat__changes_flush(struct leat__changes *c, struct leat__ctx *ctx);
void leat__changes_release(struct leat__changes *c);
#endif
