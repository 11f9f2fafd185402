/* operators/flat_map.c -- one record in, any number out, on the main output and on side outputs.
 *
 *   run:  until the budget of rows is made or the input batch is at its end:
 *             call the user's function for one record; it asks for rows (leat_out_row, leat_out_side) and
 * fills them give full batches to the outputs, a few at a time; at the end of the input batch the others, too
 *
 * A call of the user's function can not be interrupted: what it makes waits in lists of batches, one list per
 * lane, and leaves over as many steps as it takes. Several calls bound the work between records.
 *
 * Lanes. A batch is late as a whole or not at all (record/batch.h), and a record's event time may be set to
 * something else than its input's. So each output has two lanes: [0] rows that are on time, [1] rows behind
 * the watermark that this batch's rows are judged by. A row starts in the lane of its input and is moved when
 * the time set for it says so; that happens when the next row is asked for, since until then the user may
 * write to it.
 *
 * Changes. What a record makes does what the record does (leat/change.h): the function must make the same of
 * the same record.
 *
 * Memory. The input batch is shared by all batches made from it. leat_alloc's memory comes from a batch
 * without rows (`memory`), which every output batch shares when it is closed, and which is exchanged after
 * each run if it was used.
 *
 * Invariants: (1) of a lane's batches only the last is open; (2) a record's rows are either all there or, if
 * it was refused, all gone; (3) between input batches all lists are empty. */
#include "operators/rows_private.h"
#include "topology/declare.h"
#include <leat/map.h>
#include <string.h>

#define SIDES_MAX (sizeof((struct leat_flat_map_opts *)0)->sides / sizeof(struct leat_side))
#define OUTS_MAX (1 + SIDES_MAX)

_Static_assert(OUTS_MAX + 1 <= LEAT_NODE_OUTPUTS_MAX, "main, sides, dead letters");

enum { ON_TIME, LATE, LANES };

struct flat_map_spec {
    struct leat_flat_map_fn fn;
    uint32_t sides_count;
};

/* Batches in the order in which they were begun, linked by next. */
struct lane {
    struct leat_batch *first, *last;
    /* Where the current record began, to undo it. */
    struct leat_batch *mark_last;
    uint32_t mark_count;
};

struct leat_out {
    struct leat_op op;
    const struct flat_map_spec *spec;
    struct leat__ctx *ctx;
    struct lane lanes[OUTS_MAX][LANES];
    struct leat_batch *in; /* NULL between batches */
    struct leat_batch *memory; /* of leat_alloc; without rows */
    uint32_t at; /* next record of `in` */
    uint32_t made; /* rows in this run */
    int code; /* sticky: the first failure */
    /* The row made last. */
    uint32_t row_port;
    void *row; /* NULL: none in this record */
    int64_t row_us;
    bool row_us_set;
};

/* ---- batches of the lanes ---- */

/* Closed batches show what they need and are never written again. */
static int close_batch(struct leat_out *out, struct leat_batch *batch)
{
    if (leat__batch_share(batch, out->in) < 0 || leat__batch_share(batch, out->memory) < 0)
        return leat__rows_nomem(out->ctx, "references to buffers");
    return 0;
}

/* An open batch with room at the end of the lane; NULL when the job fails. */
static struct leat_batch *open_batch(struct leat_out *out, uint32_t port, uint32_t which)
{
    struct lane *lane = &out->lanes[port][which];
    struct leat_batch *batch;
    if (lane->last && lane->last->count < lane->last->capacity)
        return lane->last;
    if (lane->last && (out->code = close_batch(out, lane->last)) < 0)
        return NULL;
    out->code = leat__rows_get(out->ctx, out->ctx->node->outputs[port].type, &batch);
    if (out->code < 0)
        return NULL;
    if (which == LATE) {
        batch->late = 1;
        batch->late_wm_us = leat__ctx_late_wm(out->ctx, out->in);
    }
    if (lane->last)
        lane->last->next = batch;
    else
        lane->first = batch;
    lane->last = batch;
    return batch;
}

static void *push_row(struct leat_out *out, uint32_t port, uint32_t which, int64_t event_us)
{
    struct leat_batch *batch = open_batch(out, port, which);
    if (!batch)
        return NULL;
    batch->event_us[batch->count] = event_us;
    batch->key_hash[batch->count] = 0;
    leat__batch_set_change(batch, batch->count, leat__batch_change(out->in, out->at));
    return leat__batch_push(batch);
}

static uint32_t lane_of_input(const struct leat_out *out)
{
    return out->in->late ? LATE : ON_TIME;
}

/* Puts the time that was set for the last row in force, and the row into the lane where it then belongs. */
static void settle_row(struct leat_out *out)
{
    const void *row = out->row;
    if (!row || !out->row_us_set || !out->ctx->node->outputs[out->row_port].has_event_time)
        return;
    const uint32_t from = lane_of_input(out);
    const int64_t late_wm_us = leat__ctx_late_wm(out->ctx, out->in);
    const bool late = late_wm_us != LEAT_TIME_MIN && out->row_us <= late_wm_us;
    struct leat_batch *batch = out->lanes[out->row_port][from].last;
    LEAT_ASSERT(batch->count > 0 && leat_batch_at(batch, batch->count - 1) == row);
    if (from == (late ? LATE : ON_TIME)) {
        batch->event_us[batch->count - 1] = out->row_us;
        return;
    }
    void *moved = push_row(out, out->row_port, late ? LATE : ON_TIME, out->row_us);
    if (moved)
        memcpy(moved, row, batch->stride);
    batch->count--;
}

static void *make_row(struct leat_out *out, uint32_t port)
{
    settle_row(out);
    out->row = NULL;
    if (out->code < 0)
        return NULL;
    out->row = push_row(out, port, lane_of_input(out), out->in->event_us[out->at]);
    out->row_port = port;
    out->row_us_set = false;
    out->made++;
    return out->row;
}

void *leat_out_row(struct leat_out *out)
{
    return make_row(out, 0);
}

void *leat_out_side(struct leat_out *out, uint32_t side)
{
    if (side < out->spec->sides_count)
        return make_row(out, 1 + side);
    if (out->code == 0)
        out->code = leat__fail(out->ctx, LEAT_EINVAL,
            "%s asked for side output %u, and there are %u: add it to .sides", out->spec->fn.name, side,
            out->spec->sides_count);
    return NULL;
}

void leat_out_event_us(struct leat_out *out, int64_t event_us)
{
    out->row_us = event_us;
    out->row_us_set = true;
}

/* ---- records ---- */

static void mark_record(struct leat_out *out)
{
    for (uint32_t port = 0; port <= out->spec->sides_count; port++)
        for (uint32_t which = 0; which < LANES; which++) {
            struct lane *lane = &out->lanes[port][which];
            lane->mark_last = lane->last;
            lane->mark_count = lane->last ? lane->last->count : 0;
        }
    out->row = NULL;
    out->row_us_set = false;
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

/* (2): takes back what a refused record has made. */
static void undo_record(struct leat_out *out)
{
    for (uint32_t port = 0; port <= out->spec->sides_count; port++)
        for (uint32_t which = 0; which < LANES; which++) {
            struct lane *lane = &out->lanes[port][which];
            struct leat_batch *last = lane->mark_last;
            release_list(last ? last->next : lane->first);
            lane->last = last;
            if (last) {
                last->next = NULL;
                last->count = lane->mark_count;
            } else {
                lane->first = NULL;
            }
        }
}

/* Calls the user for records until enough rows are made. */
static int make_rows(struct leat_out *out)
{
    struct leat__ctx *ctx = out->ctx;
    const uint32_t budget = leat__pool_batch_rows(ctx->pool, ctx->node->outputs[0].type);
    leat__ctx_begin(ctx, out->in, out->memory);
    for (out->made = 0; out->at < out->in->count && out->code == 0; out->at++) {
        if (out->made >= budget || out->memory->arena_bytes > LEAT_RECORD_BYTES_MAX)
            break;
        const uint32_t refused = ctx->user.failures_count;
        mark_record(out);
        ctx->user.row = out->at;
        out->spec->fn.flat_map(&ctx->user, leat_batch_at(out->in, out->at), out);
        settle_row(out);
        if (ctx->user.failures_count > refused)
            undo_record(out);
    }
    return out->code < 0 ? out->code : leat__ctx_end(ctx, out->in, NULL);
}

/* The next run gets new memory for leat_alloc if this one has used it: open batches keep what they show. */
static int renew_memory(struct leat_out *out)
{
    if (out->memory->buffers_count == 0)
        return 0;
    for (uint32_t port = 0; port <= out->spec->sides_count; port++)
        for (uint32_t which = 0; which < LANES; which++)
            if (out->lanes[port][which].last)
                LEAT_TRY(close_batch(out, out->lanes[port][which].last));
    leat__batch_release(out->memory);
    out->memory = NULL;
    return leat__rows_get(out->ctx, out->spec->fn.in, &out->memory);
}

/* ---- output ---- */

/* Emits the first batch of some lane: any at the end, else only those that are no longer open. 1 if there was
 * one. */
static int emit_one(struct leat_out *out, bool at_end)
{
    for (uint32_t port = 0; port <= out->spec->sides_count; port++)
        for (uint32_t which = 0; which < LANES; which++) {
            struct lane *lane = &out->lanes[port][which];
            struct leat_batch *batch = lane->first;
            if (!batch || (!batch->next && !at_end))
                continue;
            if (!batch->next)
                LEAT_TRY(close_batch(out, batch));
            lane->first = batch->next;
            if (!lane->first)
                lane->last = NULL;
            batch->next = NULL;
            LEAT_TRY(leat__emit(out->ctx, port, batch));
            return 1;
        }
    return 0;
}

static int flat_map_step(struct leat_op *op, struct leat__ctx *ctx)
{
    struct leat_out *out = (struct leat_out *)op;
    (void)ctx;
    uint32_t emitted = 0;
    for (;;) {
        const bool at_end = out->at == out->in->count;
        int code;
        while ((code = emit_one(out, at_end)) > 0)
            if (++emitted == LEAT_OP_BATCHES_PER_CALL)
                return LEAT_MORE;
        LEAT_TRY(code);
        if (at_end)
            break;
        if (emitted > 0)
            return LEAT_MORE; /* one run of the user's code between chances for others */
        LEAT_TRY(make_rows(out));
        LEAT_TRY(renew_memory(out));
    }
    leat__batch_release(out->in);
    out->in = NULL;
    return 0;
}

static int flat_map_on_batch(
    struct leat_op *op, struct leat__ctx *ctx, uint32_t input, struct leat_batch *batch)
{
    struct leat_out *out = (struct leat_out *)op;
    LEAT_ASSERT(input == 0 && !out->in);
    out->in = batch;
    out->at = 0;
    return flat_map_step(op, ctx);
}

static int flat_map_init(struct leat_op *op, struct leat__ctx *ctx)
{
    struct leat_out *out = (struct leat_out *)op;
    out->spec = op->node->spec;
    out->ctx = ctx;
    return leat__rows_get(ctx, out->spec->fn.in, &out->memory);
}

static void flat_map_release(struct leat_op *op, struct leat__ctx *ctx)
{
    struct leat_out *out = (struct leat_out *)op;
    (void)ctx;
    for (uint32_t port = 0; port < OUTS_MAX; port++)
        for (uint32_t which = 0; which < LANES; which++)
            release_list(out->lanes[port][which].first);
    leat__batch_release(out->in);
    leat__batch_release(out->memory);
}

static const struct leat_op_class flat_map_class = {
    .kind = "flat map",
    .size = sizeof(struct leat_out),
    .init = flat_map_init,
    .on_batch = flat_map_on_batch,
    .step = flat_map_step,
    .release = flat_map_release,
};

/* ---- declaration ---- */

static void check_side(struct leat_node *node, const struct leat_flat_map_opts *o, uint32_t i)
{
    const char *option = leat__spec_printf(node, "sides[%u]", i);
    if (!o->sides[i].type)
        leat__declare_error(node, option, LEAT_EDECLARE, "side output \"%s\" has no type", o->sides[i].name);
    for (uint32_t k = 0; k < i; k++)
        if (strcmp(o->sides[k].name, o->sides[i].name) == 0)
            leat__declare_error(
                node, option, LEAT_EDECLARE, "the name \"%s\" is taken by sides[%u]", o->sides[i].name, k);
}

static void declare_sides(
    struct leat_node *node, const struct leat_flat_map_opts *o, struct flat_map_spec *spec)
{
    uint32_t count = 0;
    for (; count < SIDES_MAX && o->sides[count].name; count++)
        check_side(node, o, count);
    for (uint32_t i = count; i < SIDES_MAX; i++)
        if (o->sides[i].name || o->sides[i].type) {
            leat__declare_error(node, leat__spec_printf(node, "sides[%u].name", count), LEAT_EDECLARE,
                "missing: side outputs go up to the first without a name, and there is more behind");
            break;
        }
    spec->sides_count = count;
    for (uint32_t i = 0; i < count; i++)
        leat__output(node, o->sides[i].type, o->sides[i].name);
}

leat_stream *leat_flat_map_sized(
    leat_stream *in, const char *name, const struct leat_flat_map_opts *opts, size_t size)
{
    struct leat_flat_map_opts o;
    struct leat_node *node = leat__declare(in->t, name, LEAT_NODE_OPERATOR, flat_map_class.kind);
    leat__takes_changes(node, 0);
    leat__input(node, 0, in, LEAT_FORWARD, NULL);
    leat__opts_copy(node, &o, sizeof o, opts, size);
    node->op = &flat_map_class;
    struct flat_map_spec *spec = leat__spec(node, sizeof *spec);
    if (!spec || !opts)
        return leat__stream(node, 0);
    if (!o.fn) {
        leat__declare_error(
            node, "fn", LEAT_EDECLARE, "missing: the function that LEAT_DEFINE_FLAT_MAP makes");
        return leat__stream(node, 0);
    }
    leat__need_type(node, 0, o.fn->in, "fn", o.fn->name);
    spec->fn = *o.fn;
    node->spec = spec;
    node->detail = leat__spec_str(node, o.fn->name);
    leat__output(node, o.fn->out, NULL);
    declare_sides(node, &o, spec);
    return leat__stream(node, 0);
}

leat_stream *leat_side_output(leat_stream *stream, const char *name)
{
    return leat__named_output(stream, name, "side output");
}
