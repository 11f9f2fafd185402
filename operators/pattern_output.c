/* operators/pattern_output.c -- what conditions and output expressions see of a match, and the rows that
 * matches make. */
#include "operators/pattern_private.h"

/* ---- what is seen ---- */

static void set_long(struct leat__pattern *a, uint32_t at, int64_t value)
{
    memcpy(a->seen + at, &value, sizeof value);
}

static void show_record(struct leat__pattern *a, struct leat_ctx *ctx, uint32_t place, uint64_t order)
{
    const struct leat__seen_places *places = &a->spec->places;
    const void *record = leat__pattern_record(ctx, order);
    if (!record)
        return;
    a->seen[places->has[place]] = 1;
    memcpy(a->seen + places->at[place], record, a->spec->process.in->size);
}

/* Makes a->seen: the record in question, and what was taken before it (or all that was taken). */
static void show(struct leat__pattern *a, struct leat_ctx *ctx, const void *record,
    const struct leat__run_taken *taken, uint32_t taken_count, int64_t end_us)
{
    const struct leat__seen_places *places = &a->spec->places;
    uint64_t last[LEAT__STEPS_MAX] = { 0 };
    int64_t counts[LEAT__STEPS_MAX] = { 0 };
    memset(a->seen, 0, a->spec->seen->size);
    memcpy(a->seen, record, a->spec->process.in->size);
    for (uint32_t i = 0; i < taken_count; i++) {
        last[taken[i].step] = taken[i].order;
        counts[taken[i].step]++;
    }
    for (uint32_t s = 0; s < a->spec->steps_count; s++) {
        set_long(a, places->counts[s], counts[s]);
        if (counts[s])
            show_record(a, ctx, s, last[s]);
    }
    if (taken_count)
        show_record(a, ctx, LEAT__STEPS_MAX, taken[taken_count - 1].order);
    set_long(a, places->start, taken_count ? taken[0].event_us : end_us);
    set_long(a, places->end, end_us);
}

/* One record as a batch on the caller's stack. */
static struct leat_batch batch_of(const struct leat_type *type, const void *record, const int64_t *event_us)
{
    return (struct leat_batch){ .count = 1,
        .capacity = 1,
        .stride = type->size,
        .rows = (unsigned char *)(uintptr_t)record,
        .event_us = (int64_t *)(uintptr_t)event_us,
        .type = type,
        .refs = 1 };
}

/* ---- conditions ---- */

/* Three-valued: null is no. An error refuses the record that has just come; over a match it fails the job. */
static bool eval(
    struct leat__pattern *a, struct leat_ctx *ctx, uint32_t condition, const struct leat_batch *batch)
{
    struct leat_vector v;
    struct leat_error err = { 0 };
    const struct leat__condition *c = &a->spec->conditions[condition];
    const struct leat_expr *expr = c->expr;
    const int code = leat__expr_eval(expr, a->scratches[condition], batch, &v, NULL, &err);
    if (code == 0)
        return v.booleans && v.booleans[0] && !(v.is_null && v.is_null[0]);
    if (leat__rows_are_to_blame(code) && !c->of_match)
        leat__ctx_refuse(a->process.ctx, ctx->row, "%s: %s", leat__expr_text(expr), err.message);
    else
        leat__process_fail(&a->process,
            leat__fail(a->process.ctx, code, "the condition %s: %s", leat__expr_text(expr), err.message));
    return false;
}

uint32_t leat__conditions_of_record(struct leat__pattern *a, struct leat_ctx *ctx, const void *record)
{
    const int64_t event_us = leat_ctx_event_us(ctx);
    const struct leat_batch batch = batch_of(a->spec->process.in, record, &event_us);
    uint32_t mask = 0;
    for (uint32_t i = 0; i < LEAT__CONDITIONS_MAX; i++) {
        const struct leat__condition *condition = &a->spec->conditions[i];
        const bool is_step = i < LEAT__STEPS_MAX && i < a->spec->steps_count;
        if (condition->of_match)
            continue;
        if (condition->expr ? eval(a, ctx, i, &batch) : is_step)
            mask |= 1u << i;
    }
    return mask;
}

bool leat__condition_of_match(struct leat__pattern *a, struct leat_ctx *ctx, uint32_t condition,
    const struct leat__pattern_run *run, const struct leat__pattern_row *row)
{
    show(a, ctx, row->record, a->key.taken + run->taken_at, run->taken_count, row->event_us);
    const struct leat_batch batch = batch_of(a->spec->seen, a->seen, &row->event_us);
    return eval(a, ctx, condition, &batch);
}

/* ---- rows of output ---- */

/* Strings that an expression has computed are in its scratch, which the next match uses again. */
static bool keep_strings(struct leat_ctx *ctx, struct leat_vector *v, struct leat_sv *copy)
{
    if (v->value_class != LEAT_VALUE_STRING || (v->is_null && v->is_null[0]) || v->strings[0].len == 0)
        return true;
    *copy = leat_copy(ctx, v->strings[0]);
    v->strings = copy;
    return copy->data != NULL;
}

static int fill_field(struct leat__pattern *a, struct leat_ctx *ctx, const struct leat__match_field *field,
    struct leat_expr_scratch *scratch, struct leat_batch *to, struct leat_error *err)
{
    struct leat_vector v;
    struct leat_sv copy;
    const struct leat_batch batch = batch_of(a->spec->seen, a->seen, to->event_us);
    LEAT_TRY(leat__expr_eval(field->expr, scratch, &batch, &v, NULL, err));
    if (!keep_strings(ctx, &v, &copy))
        return leat__error(err, LEAT_ENOMEM, "out of memory for a string");
    return leat__expr_store(&field->store, &v, to, NULL, err);
}

static void fill_fields(struct leat__pattern *a, struct leat_ctx *ctx,
    const struct leat__match_output *output, const struct leat_match *match, int64_t event_us, void *row)
{
    struct leat_error err = { 0 };
    struct leat_expr_scratch **scratches =
        output == &a->spec->match ? a->match_scratches : a->timed_out_scratches;
    const struct leat__run_taken *last = &match->taken[match->taken_count - 1];
    struct leat_batch to = batch_of(output->out, row, &event_us);
    show(a, ctx, leat__pattern_record(ctx, last->order), match->taken, match->taken_count, last->event_us);
    for (uint32_t i = 0; i < output->fields_count && a->process.code == 0; i++) {
        const int code = fill_field(a, ctx, &output->fields[i], scratches[i], &to, &err);
        if (code < 0)
            leat__process_fail(&a->process,
                leat__fail(a->process.ctx, code, "the output %s: %s", leat__expr_text(output->fields[i].expr),
                    err.message));
    }
}

/* A match that the callback refuses is dropped and counted where the policy says so; else the job fails. */
static void select_row(struct leat__pattern *a, struct leat_ctx *ctx, const struct leat__match_output *output,
    const struct leat_match *match, void *row)
{
    struct leat__ctx *engine = a->process.ctx;
    output->fn.select(ctx, match, row);
    if (ctx->failures_count == 0 || engine->node->policy == LEAT_FAIL)
        return;
    leat__outs_take_back(&a->process);
    leat__process_fail(&a->process, leat__ctx_end(engine, NULL, NULL));
}

void leat__pattern_give(struct leat__pattern *a, struct leat_ctx *ctx,
    const struct leat__match_output *output, const struct leat_match *match, int64_t event_us)
{
    void *row = output == &a->spec->match ? leat_out(ctx) : leat_out_to(ctx, LEAT__PATTERN_TIMED_OUT);
    if (a->process.code < 0)
        return;
    leat_out_at(ctx, event_us);
    if (output->fn.select)
        select_row(a, ctx, output, match, row);
    else
        fill_fields(a, ctx, output, match, event_us, row);
}

/* ---- for callbacks ---- */

/* The i-th record of a step; NULL beyond the last. */
static const struct leat__run_taken *find(const struct leat_match *match, uint32_t step, uint32_t i)
{
    for (uint32_t k = 0; k < match->taken_count; k++)
        if (match->taken[k].step == step && i-- == 0)
            return &match->taken[k];
    return NULL;
}

uint32_t leat_match_count(const struct leat_match *match, uint32_t step)
{
    uint32_t count = 0;
    for (uint32_t k = 0; k < match->taken_count; k++)
        count += match->taken[k].step == step;
    return count;
}

const void *leat_match_at(const struct leat_match *match, uint32_t step, uint32_t i)
{
    const struct leat__run_taken *taken = find(match, step, i);
    return taken ? leat__pattern_record(match->ctx, taken->order) : NULL;
}

int64_t leat_match_event_us(const struct leat_match *match, uint32_t step, uint32_t i)
{
    const struct leat__run_taken *taken = find(match, step, i);
    return taken ? taken->event_us : LEAT_TIME_MIN;
}
