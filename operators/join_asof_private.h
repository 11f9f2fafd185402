/* operators/join_asof_private.h -- left records of an as-of join that wait as they came: join_asof_held.c. */
#ifndef LEAT_OPERATORS_JOIN_ASOF_PRIVATE_H
#define LEAT_OPERATORS_JOIN_ASOF_PRIVATE_H
#include "operators/join_interval_private.h"

#define LEAT__ASOF_HELD 16u /* batches */

struct leat__asof_batch {
    struct leat_batch *batch; /* a reference */
    uint32_t *rows; /* of it, by time: those from `at` on wait */
    uint32_t at, count, capacity;
};
struct leat__asof_held {
    struct leat__asof_batch list[LEAT__ASOF_HELD]; /* in the order of arrival */
    uint32_t count;
    uint32_t taken; /* the one that leat__asof_held_closed gave rows of */
};
/* *is_held: it has taken a reference to the batch, and its own copy of the row numbers (sorted by time). */
LEAT_NODISCARD int leat__asof_hold(struct leat__asof_held *held, struct leat__ctx *ctx,
    struct leat_batch *batch, const uint32_t *rows, uint32_t count, bool *is_held);
/* The next rows that are not later than closed_us (LEAT_TIME_MIN: none), `max` at most. False: there are none. */
bool leat__asof_held_closed(struct leat__asof_held *held, int64_t closed_us, uint32_t max,
    const struct leat_batch **batch, const uint32_t **rows, uint32_t *count);
/* Forgets so many of them. True: their batch has gone. */
bool leat__asof_held_take(struct leat__asof_held *held, uint32_t count);
/* All that is held to the left table of `j`, which is between batches. */
LEAT_NODISCARD int leat__asof_held_save(
    struct leat__asof_held *held, struct leat__interval *j, struct leat__ctx *ctx);
void leat__asof_held_release(struct leat__asof_held *held);
#endif
