/* operators/pattern.c -- pattern detection, the operator: callbacks of a process function, and its class with a
 * little more memory.
 *
 *   on_record   late: counted, side output. Of no use to any run: forgotten. Else it waits, with a timer
 *   on_timer    all that wait and are due, by event time, then arrival: pattern_runs.c
 *
 * Invariants: (1) a record that waits has an event-time timer at its time or, behind that, has been looked at;
 * (2) which records are looked at together changes nothing (pattern_runs.c, 3). */
#include "operators/pattern_private.h"
#include <stdlib.h>

static struct leat__pattern *pattern_of(struct leat_ctx *ctx)
{
    return (struct leat__pattern *)ctx->engine->process;
}

/* ---- records ---- */

static void give_late(struct leat__pattern *a, struct leat_ctx *ctx, const void *record)
{
    leat__count(&a->process.ctx->counters->late_records, 1);
    if (!leat__ctx_consumed(a->process.ctx, 1 + LEAT__PATTERN_LATE))
        return;
    memcpy(leat_out_to(ctx, LEAT__PATTERN_LATE), record, a->spec->process.in->size);
}

void leat__pattern_on_record(struct leat_ctx *ctx, const void *record)
{
    struct leat__pattern *a = pattern_of(ctx);
    const int64_t event_us = leat_ctx_event_us(ctx);
    if (leat__time_passed(event_us, leat__ctx_late_wm(a->process.ctx, a->process.in))) {
        give_late(a, ctx, record);
        return;
    }
    const uint32_t refused_before = ctx->failures_count;
    const uint32_t mask = leat__conditions_of_record(a, ctx, record);
    if (ctx->failures_count != refused_before || (mask == 0 && a->spec->passes_over))
        return;
    unsigned char *waiting = leat__process_alloc(&a->process, a->spec->waiting->size);
    if (!waiting)
        return;
    const struct leat__waiting head = { event_us, mask };
    memcpy(waiting, &head, sizeof head);
    memcpy(waiting + a->spec->waiting_at, record, a->spec->process.in->size);
    leat_list_add(ctx, LEAT__PATTERN_WAITING, waiting);
    leat_timer_set(ctx, LEAT_EVENT_TIME, event_us == LEAT_TIME_MIN ? event_us + 1 : event_us);
}

/* ---- timers ---- */

static int by_time(const void *left, const void *right)
{
    const struct leat__pattern_row *a = left, *b = right;
    if (a->event_us != b->event_us)
        return a->event_us < b->event_us ? -1 : 1;
    return a->order < b->order ? -1 : 1; /* of arrival, yet */
}

/* Puts the rows up to w into a->due, in their order; the others wait on. How many. */
static uint32_t take_due(struct leat__pattern *a, struct leat_ctx *ctx, int64_t w)
{
    const size_t waiting_count = leat_list_count(ctx, LEAT__PATTERN_WAITING);
    const unsigned char *row = NULL;
    uint32_t count = 0;
    struct leat__waiting head;
    while ((row = leat_list_next(ctx, LEAT__PATTERN_WAITING, row)) != NULL) {
        memcpy(&head, row, sizeof head);
        if (head.event_us > w)
            continue;
        if (!leat__pattern_room(a, (void **)&a->due, &a->due_capacity, count, sizeof *a->due))
            return 0;
        a->due[count] = (struct leat__pattern_row){ .record = row + a->spec->waiting_at,
            .order = count,
            .event_us = head.event_us,
            .mask = (uint32_t)head.mask };
        count++;
    }
    if (count > 1)
        qsort(a->due, count, sizeof *a->due, by_time);
    if (count == 0)
        return 0;
    const void **others = leat__process_alloc(&a->process, (waiting_count - count) * sizeof *others);
    size_t others_count = 0;
    while (others && (row = leat_list_next(ctx, LEAT__PATTERN_WAITING, row)) != NULL) {
        memcpy(&head, row, sizeof head);
        if (head.event_us > w)
            others[others_count++] = row;
    }
    leat_state_clear(ctx, LEAT__PATTERN_WAITING);
    for (size_t i = 0; i < others_count; i++)
        leat_list_add(ctx, LEAT__PATTERN_WAITING, others[i]);
    return count;
}

void leat__pattern_on_timer(struct leat_ctx *ctx, int64_t time_us, enum leat_time_kind kind)
{
    struct leat__pattern *a = pattern_of(ctx);
    const int64_t w = leat_ctx_watermark_us(ctx);
    (void)time_us;
    (void)kind;
    const uint32_t due_count = take_due(a, ctx, w);
    if (a->process.code < 0 || !leat__pattern_load(a, ctx))
        return;
    if (due_count == 0 && a->key.taken_count == 0)
        return; /* an earlier timer has looked at it */
    leat__pattern_advance(a, ctx, due_count, w);
    if (a->process.code == 0)
        leat__pattern_store(a, ctx, w);
}

/* ---- the class ---- */

static int new_scratches(
    struct leat__ctx *ctx, const struct leat__match_output *output, struct leat_expr_scratch ***scratches)
{
    *scratches = leat__calloc(output->fields_count + 1, sizeof **scratches);
    for (uint32_t i = 0; *scratches && i < output->fields_count; i++)
        if (leat__expr_scratch_new(output->fields[i].expr, &(*scratches)[i]) < 0)
            return leat__rows_nomem(ctx, "an expression");
    return *scratches ? 0 : leat__rows_nomem(ctx, "expressions");
}

static void free_scratches(struct leat_expr_scratch **scratches, uint32_t count)
{
    for (uint32_t i = 0; scratches && i < count; i++)
        leat__expr_scratch_free(scratches[i]);
    leat__free(scratches);
}

static int pattern_init(struct leat_op *op, struct leat__ctx *ctx)
{
    struct leat__pattern *a = (struct leat__pattern *)op;
    a->spec = op->node->spec;
    LEAT_TRY(leat__process_class.init(op, ctx));
    for (uint32_t i = 0; i < LEAT__CONDITIONS_MAX; i++)
        if (a->spec->conditions[i].expr &&
            leat__expr_scratch_new(a->spec->conditions[i].expr, &a->scratches[i]) < 0)
            return leat__rows_nomem(ctx, "a condition");
    a->seen = leat__aligned_alloc(16, (a->spec->seen->size + 15u) & ~(size_t)15u);
    if (!a->seen)
        return leat__rows_nomem(ctx, "what conditions see");
    LEAT_TRY(new_scratches(ctx, &a->spec->match, &a->match_scratches));
    return new_scratches(ctx, &a->spec->timed_out, &a->timed_out_scratches);
}

static void pattern_release(struct leat_op *op, struct leat__ctx *ctx)
{
    struct leat__pattern *a = (struct leat__pattern *)op;
    for (uint32_t i = 0; i < LEAT__CONDITIONS_MAX; i++)
        leat__expr_scratch_free(a->scratches[i]);
    free_scratches(a->match_scratches, a->spec ? a->spec->match.fields_count : 0);
    free_scratches(a->timed_out_scratches, a->spec ? a->spec->timed_out.fields_count : 0);
    leat__free(a->seen);
    leat__free(a->due);
    leat__free(a->found);
    leat__free(a->key.held);
    leat__free(a->key.runs);
    leat__free(a->key.taken);
    leat__strbuf_release(&a->bytes);
    leat__process_class.release(op, ctx);
}

static int pattern_on_batch(
    struct leat_op *op, struct leat__ctx *ctx, uint32_t input, struct leat_batch *batch)
{
    return leat__process_class.on_batch(op, ctx, input, batch);
}

static int pattern_on_watermark(struct leat_op *op, struct leat__ctx *ctx, int64_t w)
{
    return leat__process_class.on_watermark(op, ctx, w);
}

static int pattern_on_end(struct leat_op *op, struct leat__ctx *ctx)
{
    return leat__process_class.on_end(op, ctx);
}

static int pattern_step(struct leat_op *op, struct leat__ctx *ctx)
{
    return leat__process_class.step(op, ctx);
}

static int pattern_snapshot(struct leat_op *op, struct leat__ctx *ctx, struct leat_strbuf *out)
{
    return leat__process_class.snapshot(op, ctx, out);
}

static int pattern_restore(
    struct leat_op *op, struct leat__ctx *ctx, const struct leat_sv *parts, uint32_t count)
{
    return leat__process_class.restore(op, ctx, parts, count);
}

/* No on_time: there are no timers by the wall clock. */
const struct leat_op_class leat__pattern_class = {
    .kind = "pattern",
    .size = sizeof(struct leat__pattern),
    .init = pattern_init,
    .on_batch = pattern_on_batch,
    .on_watermark = pattern_on_watermark,
    .on_end = pattern_on_end,
    .step = pattern_step,
    .snapshot = pattern_snapshot,
    .restore = pattern_restore,
    .release = pattern_release,
};
