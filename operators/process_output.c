/* operators/process_output.c -- the rows that callbacks make.
 *
 * A callback can not be interrupted, so what it makes waits in batches, a list per output and lane, and leaves
 * over as many steps as it takes. Lanes: rows that are on time, and rows at or behind the watermark that
 * others have been told, or the mark of the batch in work (record/batch.h: a batch is late as a whole or not
 * at all).
 *
 * When a callback has returned well, what its rows show is copied to their batch, for it may lie in the input,
 * in the callback's copies of state, or in leat_alloc's memory.
 *
 * Invariants: (1) of a lane's batches only the last is open; (2) a callback's rows are either all there or, if
 * it refused, all gone. */
#include "operators/process_private.h"

static uint32_t ports_count(const struct leat__process *p)
{
    return 1 + p->spec->sides_count;
}

int leat__outs_open(struct leat__process *p, struct leat__ctx *ctx)
{
    for (uint32_t port = 0; port < ports_count(p); port++)
        if (leat__copier_new(ctx->node->outputs[port].type, &p->outs.copiers[port]) < 0)
            return leat__rows_nomem(ctx, "rows of output");
    return 0;
}

static void release_list(struct leat_batch *batch)
{
    while (batch) {
        struct leat_batch *next = batch->next;
        batch->next = NULL;
        leat__batch_release(batch);
        batch = next;
    }
}

void leat__outs_close(struct leat__process *p)
{
    for (uint32_t port = 0; port < ports_count(p); port++) {
        for (uint32_t i = 0; i < LEAT__LANES; i++)
            release_list(p->outs.lanes[port][i].first);
        leat__copier_free(p->outs.copiers[port]);
    }
}

/* ---- making rows ---- */

static void mark_lanes(struct leat__process *p)
{
    for (uint32_t port = 0; port < ports_count(p); port++)
        for (uint32_t i = 0; i < LEAT__LANES; i++) {
            struct leat__lane *lane = &p->outs.lanes[port][i];
            lane->mark_last = lane->last;
            lane->mark_count = lane->last ? lane->last->count : 0;
        }
}

/* An open batch with room at the end of the lane; NULL with the failure noted. */
static struct leat_batch *open_batch(struct leat__process *p, uint32_t port, uint32_t which)
{
    struct leat__lane *lane = &p->outs.lanes[port][which];
    struct leat_batch *batch = lane->last;
    if (batch && !leat__batch_is_full(batch) && (!batch->late || batch->late_wm_us == p->outs.bound_us))
        return batch;
    const int code = leat__rows_get(p->ctx, p->ctx->node->outputs[port].type, &batch);
    if (code < 0) {
        leat__process_fail(p, code);
        return NULL;
    }
    if (which == LEAT__LATE) {
        batch->late = 1;
        batch->late_wm_us = p->outs.bound_us;
    }
    if (lane->last)
        lane->last->next = batch;
    else
        lane->first = batch;
    lane->last = batch;
    return batch;
}

static uint32_t lane_of(const struct leat__process *p, uint32_t port, int64_t event_us)
{
    return p->ctx->node->outputs[port].has_event_time && leat__time_passed(event_us, p->outs.bound_us)
        ? LEAT__LATE
        : LEAT__ON_TIME;
}

static void *push_row(struct leat__process *p, uint32_t port, int64_t event_us)
{
    struct leat__outs *outs = &p->outs;
    outs->row_lane = lane_of(p, port, event_us);
    outs->row_port = port;
    struct leat_batch *batch = open_batch(p, port, outs->row_lane);
    if (!batch)
        return NULL;
    batch->event_us[batch->count] = event_us;
    batch->key_hash[batch->count] = 0;
    return leat__batch_push(batch);
}

static void *make_row(struct leat_ctx *ctx, uint32_t port, const char *call)
{
    struct leat__process *p = leat__process_of(ctx, call);
    if (!p)
        return NULL;
    if (p->code == 0 && port > p->spec->sides_count)
        leat__process_fail(p,
            leat__fail(p->ctx, LEAT_EINVAL, "%s asked for side output %u, and there are %u: add it to .sides",
                p->spec->fn.name, port - 1, p->spec->sides_count));
    if (p->code < 0)
        return p->spare;
    if (p->outs.made++ == 0)
        mark_lanes(p);
    p->outs.row = push_row(p, port, p->outs.default_us);
    return p->outs.row ? p->outs.row : p->spare;
}

void *leat_out(struct leat_ctx *ctx)
{
    return make_row(ctx, 0, "leat_out");
}

void *leat_out_to(struct leat_ctx *ctx, uint32_t side)
{
    return make_row(ctx, side < UINT32_MAX ? 1 + side : side, "leat_out_to");
}

/* The row stays where it is, for the callback has a pointer to it, until the callback returns. */
void leat_out_at(struct leat_ctx *ctx, int64_t event_us)
{
    struct leat__process *p = leat__process_of(ctx, "leat_out_at");
    if (!p || !p->outs.row || !p->ctx->node->outputs[p->outs.row_port].has_event_time)
        return;
    struct leat_batch *batch = p->outs.lanes[p->outs.row_port][p->outs.row_lane].last;
    batch->event_us[batch->count - 1] = event_us;
    p->outs.moves |= lane_of(p, p->outs.row_port, event_us) != p->outs.row_lane;
}

void leat__outs_take_back(struct leat__process *p)
{
    if (p->outs.row)
        p->outs.lanes[p->outs.row_port][p->outs.row_lane].last->count--;
    p->outs.row = NULL;
}

/* ---- after a callback ---- */

static int adopt_rows(
    struct leat__process *p, uint32_t port, uint32_t which, struct leat_batch *batch, uint32_t from)
{
    (void)which;
    for (; from < batch->count; from++)
        if (leat__copy_adopt(p->outs.copiers[port], batch, leat_batch_at(batch, from)) < 0)
            return leat__rows_nomem(p->ctx, "a row of output");
    return 0;
}

/* Takes the rows that belong into the other lane out of the batch, and puts them there. */
static int move_rows(
    struct leat__process *p, uint32_t port, uint32_t which, struct leat_batch *batch, uint32_t from)
{
    uint32_t to = from;
    for (uint32_t i = from; i < batch->count; i++) {
        void *row = leat_batch_at(batch, i);
        if (lane_of(p, port, batch->event_us[i]) != which) {
            void *moved = push_row(p, port, batch->event_us[i]);
            if (!moved)
                return p->code;
            memcpy(moved, row, batch->stride);
            continue;
        }
        if (to != i) {
            memcpy(leat_batch_at(batch, to), row, batch->stride);
            batch->event_us[to] = batch->event_us[i];
        }
        to++;
    }
    batch->count = to;
    return 0;
}

typedef int (*rows_fn)(
    struct leat__process *p, uint32_t port, uint32_t which, struct leat_batch *batch, uint32_t from);

/* For the callback's rows in each batch of the lane. */
static int each_batch(struct leat__process *p, uint32_t port, uint32_t which, rows_fn fn)
{
    const struct leat__lane *lane = &p->outs.lanes[port][which];
    struct leat_batch *batch = lane->mark_last ? lane->mark_last : lane->first;
    uint32_t from = lane->mark_last ? lane->mark_count : 0;
    for (; batch; batch = batch->next, from = 0)
        LEAT_TRY(fn(p, port, which, batch, from));
    return 0;
}

int leat__outs_commit(struct leat__process *p)
{
    if (p->outs.made == 0)
        return 0;
    for (uint32_t port = 0; port < ports_count(p); port++) {
        for (uint32_t i = 0; p->outs.moves && i < LEAT__LANES; i++)
            LEAT_TRY(each_batch(p, port, i, move_rows));
        for (uint32_t i = 0; i < LEAT__LANES; i++)
            LEAT_TRY(each_batch(p, port, i, adopt_rows));
    }
    return 0;
}

/* (2) */
void leat__outs_forget(struct leat__process *p)
{
    if (p->outs.made == 0)
        return;
    for (uint32_t port = 0; port < ports_count(p); port++)
        for (uint32_t i = 0; i < LEAT__LANES; i++) {
            struct leat__lane *lane = &p->outs.lanes[port][i];
            release_list(lane->mark_last ? lane->mark_last->next : lane->first);
            lane->last = lane->mark_last;
            if (lane->last) {
                lane->last->next = NULL;
                lane->last->count = lane->mark_count;
            } else {
                lane->first = NULL;
            }
        }
}

int leat__outs_emit(struct leat__process *p, bool all)
{
    for (uint32_t port = 0; port < ports_count(p); port++)
        for (uint32_t i = 0; i < LEAT__LANES; i++) {
            struct leat__lane *lane = &p->outs.lanes[port][i];
            while (lane->first && (all || lane->first->next || leat__batch_is_full(lane->first))) {
                struct leat_batch *batch = lane->first;
                if (p->batches_given == LEAT_OP_BATCHES_PER_CALL)
                    return 1;
                lane->first = batch->next;
                if (!lane->first)
                    lane->last = NULL;
                batch->next = NULL;
                p->batches_given++;
                LEAT_TRY(leat__emit(p->ctx, port, batch));
            }
        }
    return 0;
}
