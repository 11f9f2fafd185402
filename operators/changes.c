/* operators/changes.c -- giving changes of results: changes_private.h says how. */
#include "operators/changes_private.h"
#include "record/equal.h"

int leat__changes_flush(struct leat__changes *c, struct leat__ctx *ctx)
{
    struct leat_batch *out = c->out;
    LEAT_ASSERT(!c->second);
    c->out = NULL;
    if (!out)
        return 0;
    c->batches_given++;
    return leat__emit(ctx, 0, out);
}

int leat__changes_begin(struct leat__changes *c, struct leat__ctx *ctx, const struct leat_batch *marks,
    int64_t event_us, uint64_t hash)
{
    const uint32_t late = marks ? marks->late : 0;
    const int64_t late_wm_us = late ? marks->late_wm_us : LEAT_TIME_MIN;
    LEAT_ASSERT(!c->made[LEAT__BEFORE].batch && !c->made[LEAT__AFTER].batch);
    if (c->out && (c->out->late != late || c->out->late_wm_us != late_wm_us))
        LEAT_TRY(leat__changes_flush(c, ctx));
    c->late = late;
    c->late_wm_us = late_wm_us;
    c->event_us = event_us;
    c->hash = hash;
    return 0;
}

/* A batch with room; one that holds a row which is not settled stays. */
static int open_batch(struct leat__changes *c, struct leat__ctx *ctx, struct leat_batch **batch)
{
    const bool is_held = c->made[LEAT__BEFORE].batch != NULL;
    if (c->out && leat__batch_is_full(c->out) && !is_held)
        LEAT_TRY(leat__changes_flush(c, ctx));
    struct leat_batch **place = c->out && c->out->count == c->out->capacity ? &c->second : &c->out;
    if (!*place) {
        LEAT_TRY(leat__rows_get(ctx, c->type, place));
        (*place)->late = c->late;
        (*place)->late_wm_us = c->late_wm_us;
    }
    *batch = *place;
    return 0;
}

int leat__changes_row(struct leat__changes *c, struct leat__ctx *ctx, int which, struct leat_batch **batch)
{
    LEAT_TRY(open_batch(c, ctx, batch));
    const uint32_t row = (*batch)->count;
    (void)leat__batch_push(*batch);
    (*batch)->event_us[row] = c->event_us;
    (*batch)->key_hash[row] = c->hash;
    leat__batch_set_change(*batch, row, LEAT_INSERT);
    c->made[which].batch = *batch;
    c->made[which].row = row;
    return 0;
}

void leat__changes_refuse(struct leat__changes *c, int which)
{
    LEAT_ASSERT(c->made[which].row + 1 == c->made[which].batch->count);
    c->made[which].batch->count--;
    c->made[which].batch = NULL;
}

static const void *row_of(const struct leat__changes *c, int which)
{
    return leat_batch_at(c->made[which].batch, c->made[which].row);
}

static void set_change(struct leat__changes *c, int which, enum leat_change change)
{
    leat__batch_set_change(c->made[which].batch, c->made[which].row, (uint8_t)change);
}

int leat__changes_settle(struct leat__changes *c, struct leat__ctx *ctx)
{
    const bool was = c->made[LEAT__BEFORE].batch, is = c->made[LEAT__AFTER].batch;
    if (was && is) {
        if (leat__record_equal(c->type, row_of(c, LEAT__BEFORE), row_of(c, LEAT__AFTER))) {
            leat__changes_refuse(c, LEAT__AFTER);
            leat__changes_refuse(c, LEAT__BEFORE);
        } else {
            set_change(c, LEAT__BEFORE, LEAT_UPDATE_BEFORE);
            set_change(c, LEAT__AFTER, LEAT_UPDATE_AFTER);
        }
    } else if (was) {
        set_change(c, LEAT__BEFORE, LEAT_DELETE);
    }
    c->made[LEAT__BEFORE].batch = c->made[LEAT__AFTER].batch = NULL;
    if (c->second) {
        struct leat_batch *second = c->second;
        c->second = NULL;
        if (second->count == 0) {
            leat__batch_release(second);
        } else {
            const int code = leat__changes_flush(c, ctx);
            c->out = second;
            LEAT_TRY(code);
        }
    }
    return c->out && leat__batch_is_full(c->out) ? leat__changes_flush(c, ctx) : 0;
}

void leat__changes_release(struct leat__changes *c)
{
    leat__batch_release(c->out);
    leat__batch_release(c->second);
}
