/* operators/aggregate_column.c -- the values that aggregates read, a batch at a time.
 *
 * A field of 8 bytes, or a view, is read where it stands, by stride. Smaller ones are widened into an array,
 * and other expressions are evaluated. Columns are shared by all aggregates with the same text (and, of what may
 * fail, the same condition). */
#include "operators/aggregate_private.h"

int leat__column_init(
    const struct leat__column *column, struct leat__ctx *ctx, struct leat__column_scratch *scratch)
{
    if (!column->is_place && leat__expr_scratch_new(column->expr, &scratch->expr) < 0)
        return leat__rows_nomem(ctx, "an expression");
    return 0;
}

void leat__column_release(struct leat__column_scratch *scratch)
{
    leat__expr_scratch_free(scratch->expr);
    leat__free(scratch->widened);
    leat__free(scratch->nulls);
    leat__free(scratch->texts);
    leat__strbuf_release(&scratch->text);
}

static int reserve(struct leat__ctx *ctx, struct leat__column_scratch *scratch, uint32_t count)
{
    if (count <= scratch->capacity)
        return 0;
    leat__free(scratch->widened);
    leat__free(scratch->nulls);
    scratch->capacity = 0;
    scratch->widened = leat__malloc(count * sizeof *scratch->widened);
    scratch->nulls = leat__malloc(count);
    if (!scratch->widened || !scratch->nulls)
        return leat__rows_nomem(ctx, "the values of a batch");
    scratch->capacity = count;
    return 0;
}

/* Finds the rows that the expression can not be had for: all are asked, one by one. */
static int refuse_rows(const struct leat__column *column, struct leat__column_scratch *scratch,
    struct leat__ctx *ctx, const struct leat_batch *batch)
{
    struct leat_error err = { 0 };
    for (uint32_t r = 0; r < batch->count; r++) {
        struct leat_vector vector;
        const struct leat_batch row = leat__rows_view(batch, r, 1);
        const int code = leat__expr_eval(column->expr, scratch->expr, &row, &vector, NULL, &err);
        if (code < 0 && !leat__rows_are_to_blame(code))
            return leat__fail(ctx, code, "%s", err.message);
        if (code < 0)
            leat__ctx_refuse(ctx, r, "%s", err.message);
    }
    return 0;
}

static bool holds(const struct leat__column_view *view, uint32_t row)
{
    int64_t value;
    memcpy(&value, view->base + row * view->stride, sizeof value);
    return value != 0 && !(view->nulls && view->nulls[row]);
}

/* Keeps the only value of a vector as that of row r; of a string, its place in the text. */
static void keep_value(struct leat__column_scratch *scratch, const struct leat_vector *vector, uint32_t r)
{
    scratch->nulls[r] = vector->is_null && vector->is_null[0];
    if (scratch->nulls[r])
        return;
    if (vector->strings) {
        scratch->texts[r] = vector->strings[0];
        scratch->widened[r] = scratch->text.len;
        leat__strbuf_add(&scratch->text, vector->strings[0].data, vector->strings[0].len);
    } else if (vector->floats) {
        memcpy(&scratch->widened[r], &vector->floats[0], sizeof vector->floats[0]);
    } else {
        scratch->widened[r] = vector->integers ? (uint64_t)vector->integers[0]
            : vector->booleans                 ? vector->booleans[0]
                                               : 0;
    }
}

/* What the whole batch does not have, row by row where the condition holds. */
static int eval_where(const struct leat__column *column, struct leat__column_scratch *scratch,
    struct leat__ctx *ctx, const struct leat_batch *batch, struct leat__column_view *view)
{
    const struct leat__column_view *where = view - (column->index - column->where);
    const bool is_text = column->value_class == LEAT_VALUE_STRING;
    struct leat_error err = { 0 };
    leat__strbuf_clear(&scratch->text);
    leat__free(scratch->texts);
    scratch->texts = is_text ? leat__calloc(batch->count, sizeof *scratch->texts) : NULL;
    if (is_text && !scratch->texts)
        return leat__rows_nomem(ctx, "the values of a batch");
    for (uint32_t r = 0; r < batch->count; r++) {
        struct leat_vector vector;
        scratch->nulls[r] = 1;
        if (!holds(where, r))
            continue;
        const struct leat_batch row = leat__rows_view(batch, r, 1);
        const int code = leat__expr_eval(column->expr, scratch->expr, &row, &vector, NULL, &err);
        if (code < 0 && !leat__rows_are_to_blame(code))
            return leat__fail(ctx, code, "%s", err.message);
        if (code < 0)
            leat__ctx_refuse(ctx, r, "%s", err.message);
        else
            keep_value(scratch, &vector, r);
    }
    if (scratch->text.failed)
        return leat__rows_nomem(ctx, "the values of a batch");
    for (uint32_t r = 0; is_text && r < batch->count; r++)
        scratch->texts[r].data = scratch->nulls[r] ? NULL : scratch->text.data + scratch->widened[r];
    view->nulls = scratch->nulls;
    view->base = is_text ? (const unsigned char *)scratch->texts : (const unsigned char *)scratch->widened;
    view->stride = is_text ? sizeof *scratch->texts : sizeof *scratch->widened;
    return 0;
}

static void widen_bools(struct leat__column_scratch *scratch, const uint8_t *values, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        scratch->widened[i] = values[i];
}

static int eval_expr(const struct leat__column *column, struct leat__column_scratch *scratch,
    struct leat__ctx *ctx, const struct leat_batch *batch, struct leat__column_view *view)
{
    struct leat_vector vector;
    struct leat_error err = { 0 };
    const int code = leat__expr_eval(column->expr, scratch->expr, batch, &vector, NULL, &err);
    if (leat__rows_are_to_blame(code) && column->where != LEAT__NO_COLUMN)
        return eval_where(column, scratch, ctx, batch, view);
    if (code < 0)
        return leat__rows_are_to_blame(code) ? refuse_rows(column, scratch, ctx, batch)
                                             : leat__fail(ctx, code, "%s", err.message);
    view->stride = 8;
    view->nulls = vector.is_null;
    if (vector.strings) {
        view->base = (const unsigned char *)vector.strings;
        view->stride = sizeof(struct leat_sv);
    } else if (vector.floats) {
        view->base = (const unsigned char *)vector.floats;
    } else if (vector.integers) {
        view->base = (const unsigned char *)vector.integers;
    } else {
        widen_bools(scratch, vector.booleans, batch->count);
        view->base = (const unsigned char *)scratch->widened;
    }
    return 0;
}

static void widen(
    struct leat__column_scratch *scratch, const struct leat__column *column, const struct leat_batch *batch)
{
    const unsigned char *at = batch->rows + column->place.offset;
    const size_t stride = batch->stride;
    int64_t *integers = (int64_t *)scratch->widened;
    switch (column->place.type->kind) {
    case LEAT_KIND_BOOLEAN:
        for (uint32_t r = 0; r < batch->count; r++)
            integers[r] = *(const bool *)(at + r * stride);
        break;
    case LEAT_KIND_INT:
        for (uint32_t r = 0; r < batch->count; r++)
            integers[r] = *(const int32_t *)(const void *)(at + r * stride);
        break;
    default:
        LEAT_ASSERT(column->place.type->kind == LEAT_KIND_FLOAT);
        for (uint32_t r = 0; r < batch->count; r++) {
            const double value = (double)*(const float *)(const void *)(at + r * stride);
            memcpy(&scratch->widened[r], &value, sizeof value);
        }
        break;
    }
}

static const uint8_t *find_nulls(
    struct leat__column_scratch *scratch, const struct leat__column *column, const struct leat_batch *batch)
{
    uint8_t any = 0;
    for (uint32_t r = 0; r < batch->count; r++)
        any |= scratch->nulls[r] = leat_record_is_null(leat_batch_at(batch, r), &column->place);
    return any ? scratch->nulls : NULL;
}

int leat__column_eval(const struct leat__column *column, struct leat__column_scratch *scratch,
    struct leat__ctx *ctx, const struct leat_batch *batch, struct leat__column_view *view)
{
    if (!column->in_place || column->nullable)
        LEAT_TRY(reserve(ctx, scratch, batch->count));
    if (!column->is_place)
        return eval_expr(column, scratch, ctx, batch, view);
    view->nulls = column->nullable ? find_nulls(scratch, column, batch) : NULL;
    if (column->in_place) {
        view->base = batch->rows + column->place.offset;
        view->stride = batch->stride;
        return 0;
    }
    widen(scratch, column, batch);
    view->base = (const unsigned char *)scratch->widened;
    view->stride = 8;
    return 0;
}
