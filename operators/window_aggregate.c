/* operators/window_aggregate.c -- the aggregate over windows that evaluates each of them by itself: the operator.
 *
 *   on_batch      keys and columns of all rows, rows that can not be had are refused; then, some pairs of row and
 *                 window at a time: what is late goes aside, rows of windows that fire later are added, the others
 *                 may fire (window_aggregate_rows.c, window_aggregate_fire.c)
 *   on_watermark  timers, on-time panes, windows that go (window_aggregate_pass.c)
 *   on_time       timers of the wall clock
 *   on_end        timers of the wall clock that are left are forgotten: it has no end to wait for
 *   step          goes on with any of these, after LEAT_OP_BATCHES_PER_CALL batches of output or many keys
 *
 * The on-time pane is what the operator's own watermark has made, and panes of windows that only the watermark
 * just worked on has passed are not late for those behind, who have not been told of it.
 *
 * Invariants: (1) a window is in the table only while its lateness is not over; (2) every window in the table
 * whose last moment is at or before fired_us has given its on-time panes; (3) results do not depend on where
 * batches begin; (4) a batch of output has rows above the watermark that was forwarded, or is marked late with
 * that watermark; (5) between calls that gave 0 there is no open output, no batch and no cursor, and
 * ctx->wake_us is at or before the first timer of the wall clock. */
#include "operators/window_aggregate_private.h"

/* ---- life ---- */

static void read_spec(struct leat__win *a, const struct leat__aggregate_spec *spec)
{
    const struct leat_window_opts *o = &spec->window;
    leat__trigger_plan_of(o, &a->plan);
    a->assigner = spec->assigner;
    a->overlaps = o->kind == LEAT_WINDOW_CUMULATING ||
        (o->kind == LEAT_WINDOW_HOPPING && a->assigner->step < a->assigner->size);
    a->by_time = a->plan.user && a->plan.user->on_timer;
    a->has_head = a->plan.early.count || a->plan.early.event_us || a->plan.early.processing_us ||
        a->plan.has_late || a->plan.user || o->accumulation == LEAT_RETRACTING || o->allowed_lateness_us ||
        a->run.careful;
}

static int win_init(struct leat_op *op, struct leat__ctx *ctx)
{
    struct leat__win *a = (struct leat__win *)op;
    const struct leat__aggregate_spec *spec = a->spec = op->node->spec;
    a->ctx = ctx;
    a->fired_us = LEAT_TIME_MIN;
    LEAT_TRY(leat__run_init(&a->run, ctx, spec));
    read_spec(a, spec);
    leat__win_lay_out(a, op->node);
    LEAT_TRY(leat__user_trigger_init(&a->user, ctx, a->plan.user));
    LEAT_TRY(leat__win_open_table(a, ctx));
    LEAT_TRY(leat__win_open_timers(a, ctx));
    return leat__win_set_wake(a);
}

static void win_release(struct leat_op *op, struct leat__ctx *ctx)
{
    struct leat__win *a = (struct leat__win *)op;
    leat__user_trigger_release(&a->user, ctx);
    leat__run_release(&a->run);
    leat__cursor_close(a->cursor);
    leat__win_rows_release(a);
    for (uint32_t i = 0; i < LEAT__TIMERS_KINDS; i++) {
        leat__timers_close(&a->periods[i]);
        leat__timers_close(&a->users[i]);
    }
    leat__strbuf_release(&a->timer_key);
    leat__table_close(a->table);
}

/* ---- passes ---- */

static int work_batch(struct leat__win *a)
{
    for (;;) {
        const int code = leat__win_fire_rows(a);
        if (code != 0)
            return code;
        if (!leat__win_has_rows(a))
            return 0;
        if (leat__run_is_spent(&a->run))
            return LEAT_MORE;
        LEAT_TRY(leat__win_sort_rows(a));
    }
}

static int work(struct leat__win *a)
{
    switch (a->pass) {
    case LEAT__WIN_BATCH:
        return work_batch(a);
    case LEAT__WIN_WATERMARK:
        return leat__win_fire_watermark(a);
    case LEAT__WIN_TIME:
        return leat__win_fire_timers(a, LEAT__TIMERS_PROCESSING, a->until_us);
    case LEAT__WIN_IDLE:
        break;
    }
    return 0;
}

/* Goes on with the pass. On an error the batch stays until release. (5) */
static int go_on(struct leat__win *a)
{
    const int code = work(a);
    leat__run_count_keys(a->ctx, a->table);
    if (code != 0)
        return code;
    LEAT_TRY(leat__run_end_batch(&a->run, a->ctx));
    if (a->pass == LEAT__WIN_WATERMARK)
        a->fired_us = a->until_us;
    a->run.in_watermark = false;
    a->pass = LEAT__WIN_IDLE;
    return leat__win_set_wake(a);
}

static int win_on_batch(struct leat_op *op, struct leat__ctx *ctx, uint32_t input, struct leat_batch *batch)
{
    struct leat__win *a = (struct leat__win *)op;
    LEAT_ASSERT(input == 0 && batch->count > 0);
    LEAT_ASSERT(a->pass == LEAT__WIN_IDLE); /* nothing is delivered before step has ended */
    leat__run_begin(&a->run);
    LEAT_TRY(leat__run_prepare(&a->run, ctx, batch));
    if (!a->run.batch)
        return 0;
    LEAT_TRY(leat__win_rows_reserve(a));
    a->late_wm_us = leat__ctx_late_wm(ctx, a->run.batch);
    a->now_us = leat_ctx_now_us(&ctx->user);
    a->row_at = a->firing_at = a->firing_count = 0;
    a->row_begun = false;
    a->pass = LEAT__WIN_BATCH;
    return go_on(a);
}

static int win_on_watermark(struct leat_op *op, struct leat__ctx *ctx, int64_t w)
{
    struct leat__win *a = (struct leat__win *)op;
    struct leat__window first;
    LEAT_ASSERT(a->pass == LEAT__WIN_IDLE);
    (void)ctx;
    leat__run_begin(&a->run);
    a->run.in_watermark = true;
    a->run.forwarded_us = a->passed_us = a->fired_us;
    a->until_us = w;
    /* Windows that have not fired hold some time behind fired_us. */
    const bool fired = a->fired_us != LEAT_TIME_MIN;
    a->no_more =
        fired && (a->fired_us == LEAT_TIME_MAX || !leat__window_from(a->assigner, a->fired_us + 1, &first));
    a->next_ns = fired && !a->no_more ? leat__window_ns(a->assigner, &first) : LEAT_TIME_MIN;
    a->pass = LEAT__WIN_WATERMARK;
    return go_on(a);
}

static int win_on_time(struct leat_op *op, struct leat__ctx *ctx, int64_t now_us)
{
    struct leat__win *a = (struct leat__win *)op;
    LEAT_ASSERT(a->pass == LEAT__WIN_IDLE);
    (void)ctx;
    leat__run_begin(&a->run);
    a->until_us = now_us;
    a->pass = LEAT__WIN_TIME;
    return go_on(a);
}

static int win_step(struct leat_op *op, struct leat__ctx *ctx)
{
    struct leat__win *a = (struct leat__win *)op;
    (void)ctx;
    leat__run_begin(&a->run);
    return go_on(a);
}

static int win_on_end(struct leat_op *op, struct leat__ctx *ctx)
{
    ctx->wake_us = LEAT_TIME_MAX;
    return leat__win_clear_processing((struct leat__win *)op);
}

/* ---- checkpoints ---- */

/*   offset 0   1: version
 *          1   the last watermark whose windows have fired, 8 bytes little-endian */
#define SAVED_BYTES (1 + sizeof(int64_t))

static int win_snapshot(struct leat_op *op, struct leat__ctx *ctx, struct leat_strbuf *out)
{
    const struct leat__win *a = (const struct leat__win *)op;
    LEAT_ASSERT(a->pass == LEAT__WIN_IDLE && !a->run.batch && !a->cursor && !a->run.out);
    leat__strbuf_char(out, 1);
    leat__strbuf_add(out, &a->fired_us, sizeof a->fired_us);
    return out->failed ? leat__rows_nomem(ctx, "a snapshot") : 0;
}

/* All subtasks have been told the same watermarks at the barrier. Where barriers are not aligned they may
 * differ, and then windows fire again rather than not at all. */
static int win_restore(struct leat_op *op, struct leat__ctx *ctx, const struct leat_sv *parts, uint32_t count)
{
    struct leat__win *a = (struct leat__win *)op;
    for (uint32_t i = 0; i < count; i++) {
        int64_t fired_us;
        if (parts[i].len != SAVED_BYTES || parts[i].data[0] != 1)
            return leat__fail(ctx, LEAT_EDATA, "part %u of its snapshot is damaged: %zu bytes, version %d", i,
                parts[i].len, parts[i].len ? parts[i].data[0] : 0);
        memcpy(&fired_us, parts[i].data + 1, sizeof fired_us);
        if (i == 0 || fired_us < a->fired_us)
            a->fired_us = fired_us;
    }
    leat__run_count_keys(ctx, a->table);
    return leat__win_set_wake(a);
}

const struct leat_op_class leat__window_aggregate_class = {
    .kind = "aggregate",
    .combine = &leat__pre_aggregate_windows,
    .size = sizeof(struct leat__win),
    .settle = leat__aggregate_settle,
    .init = win_init,
    .on_batch = win_on_batch,
    .on_watermark = win_on_watermark,
    .on_end = win_on_end,
    .step = win_step,
    .on_time = win_on_time,
    .snapshot = win_snapshot,
    .restore = win_restore,
    .release = win_release,
};
