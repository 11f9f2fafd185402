/* operators/join_asof_held.c -- left records of an as-of join that wait as they came: the batches themselves.
 *
 * To keep a record in state costs several times what deciding it does, and most wait only until the other side's
 * next batches have come. So some batches wait as they are. When there are as many as may be, later ones go to the
 * table; at a barrier all that is left of them does, since a checkpoint has tables only.
 *
 * Invariants: (1) every batch here has a row that waits; (2) between calls of the operator no row here is closed. */
#include "operators/join_asof_private.h"
#include "base/alloc.h"
#include <string.h>

int leat__asof_hold(struct leat__asof_held *held, struct leat__ctx *ctx, struct leat_batch *batch,
    const uint32_t *rows, uint32_t count, bool *is_held)
{
    *is_held = held->count < LEAT__ASOF_HELD && count > 0;
    if (!*is_held)
        return 0;
    struct leat__asof_batch *b = &held->list[held->count];
    LEAT_TRY(leat__rows_reserve(ctx, &b->rows, &b->capacity, count));
    memcpy(b->rows, rows, count * sizeof *rows);
    leat__batch_ref(batch);
    b->batch = batch;
    b->at = 0;
    b->count = count;
    held->count++;
    return 0;
}

bool leat__asof_held_closed(struct leat__asof_held *held, int64_t closed_us, uint32_t max,
    const struct leat_batch **batch, const uint32_t **rows, uint32_t *count)
{
    for (uint32_t k = 0; k < held->count && closed_us != LEAT_TIME_MIN; k++) {
        const struct leat__asof_batch *b = &held->list[k];
        uint32_t to = b->at;
        while (to < b->count && to - b->at < max && b->batch->event_us[b->rows[to]] <= closed_us)
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

bool leat__asof_held_take(struct leat__asof_held *held, uint32_t count)
{
    struct leat__asof_batch *b = &held->list[held->taken];
    b->at += count;
    if (b->at < b->count)
        return false;
    leat__batch_release(b->batch);
    const struct leat__asof_batch spare = { NULL, b->rows, 0, 0, b->capacity };
    held->count--;
    memmove(b, b + 1, (held->count - held->taken) * sizeof *b);
    held->list[held->count] = spare;
    return true;
}

int leat__asof_held_save(struct leat__asof_held *held, struct leat__interval *j, struct leat__ctx *ctx)
{
    for (uint32_t k = 0; k < held->count; k++) {
        struct leat__asof_batch *b = &held->list[k];
        const int code =
            leat__interval_append_rows(j, ctx, LEAT__LEFT, b->batch, b->rows + b->at, b->count - b->at);
        if (code < 0)
            return code;
        leat__batch_release(b->batch);
        b->batch = NULL;
        b->count = 0;
    }
    held->count = 0;
    return 0;
}

void leat__asof_held_release(struct leat__asof_held *held)
{
    for (uint32_t k = 0; k < LEAT__ASOF_HELD; k++) {
        leat__batch_release(held->list[k].batch);
        leat__free(held->list[k].rows);
    }
}
