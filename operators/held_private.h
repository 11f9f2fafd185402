/* operators/held_private.h -- rows that wait as they came: held.c. */
#ifndef LEAT_OPERATORS_HELD_PRIVATE_H
#define LEAT_OPERATORS_HELD_PRIVATE_H
#include "operators/rows_private.h"

#define LEAT__HELD 32u /* batches */

struct leat__held_batch {
    struct leat_batch *batch; /* a reference */
    uint32_t *rows; /* of it, by time: those from `at` on wait */
    uint32_t at, count, capacity;
};
struct leat__held {
    struct leat__held_batch list[LEAT__HELD]; /* in the order of arrival */
    uint32_t count;
    uint32_t taken; /* the one that leat__held_due gave rows of */
};
/* *is_held: it has taken a reference to the batch, and its own copy of the row numbers (sorted by time). */
LEAT_NODISCARD int leat__hold(struct leat__held *held, struct leat__ctx *ctx, struct leat_batch *batch,
    const uint32_t *rows, uint32_t count, bool *is_held);
/* The next rows that are not later than until_us (LEAT_TIME_MIN: none), `max` at most. False: there are none. */
bool leat__held_due(struct leat__held *held, int64_t until_us, uint32_t max, struct leat_batch **batch,
    const uint32_t **rows, uint32_t *count);
/* Forgets so many of them. True: their batch has gone. */
bool leat__held_take(struct leat__held *held, uint32_t count);
/* The last time in it that came last; LEAT_TIME_MIN: nothing is held. */
int64_t leat__held_last_us(const struct leat__held *held);
void leat__held_release(struct leat__held *held);
#endif
