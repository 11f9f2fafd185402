/* operators/held.c -- rows that wait as they came: the batches themselves.
 *
 * To keep a row in state costs several times what most operators do with it then, and many wait only until the other
 * side's next batches have come. So some batches wait as they are. When there are as many as may be the operator puts
 * rows into its tables; at a barrier all that is left of them, since a checkpoint has tables only.
 *
 * Invariant: every batch here has a row that waits. */
#include "operators/held_private.h"
#include "base/alloc.h"
#include <string.h>

int leat__hold(struct leat__held *held, struct leat__ctx *ctx, struct leat_batch *batch, const uint32_t *rows,
    uint32_t count, bool *is_held)
{
    *is_held = held->count < LEAT__HELD && count > 0;
    if (!*is_held)
        return 0;
    struct leat__held_batch *b = &held->list[held->count];
    LEAT_TRY(leat__rows_reserve(ctx, &b->rows, &b->capacity, count));
    memcpy(b->rows, rows, count * sizeof *rows);
    leat__batch_ref(batch);
    b->batch = batch;
    b->at = 0;
    b->count = count;
    held->count++;
    return 0;
}

bool leat__held_due(struct leat__held *held, int64_t until_us, uint32_t max, struct leat_batch **batch,
    const uint32_t **rows, uint32_t *count)
{
    for (uint32_t k = 0; k < held->count && until_us != LEAT_TIME_MIN; k++) {
        const struct leat__held_batch *b = &held->list[k];
        uint32_t to = b->at;
        while (to < b->count && to - b->at < max && b->batch->event_us[b->rows[to]] <= until_us)
            to++;
        if (to == b->at)
            continue;
        *batch = b->batch;
        *rows = b->rows + b->at;
        *count = to - b->at;
        held->taken = k;
        return true;
    }
    return false;
}

bool leat__held_take(struct leat__held *held, uint32_t count)
{
    struct leat__held_batch *b = &held->list[held->taken];
    b->at += count;
    if (b->at < b->count)
        return false;
    leat__batch_release(b->batch);
    const struct leat__held_batch spare = { NULL, b->rows, 0, 0, b->capacity };
    held->count--;
    memmove(b, b + 1, (held->count - held->taken) * sizeof *b);
    held->list[held->count] = spare;
    return true;
}

int64_t leat__held_last_us(const struct leat__held *held)
{
    if (held->count == 0)
        return LEAT_TIME_MIN;
    const struct leat__held_batch *b = &held->list[held->count - 1];
    return b->batch->event_us[b->rows[b->count - 1]];
}

void leat__held_release(struct leat__held *held)
{
    for (uint32_t k = 0; k < LEAT__HELD; k++) {
        leat__batch_release(held->list[k].batch);
        leat__free(held->list[k].rows);
    }
}
