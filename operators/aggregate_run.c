/* operators/aggregate_run.c -- batches to accumulators, accumulators to rows: aggregate_run_private.h says who
 * calls what. Nothing here remembers anything between batches but the open batch of output. */
#include "operators/aggregate_run_private.h"

/* ---- life ---- */

static int init_columns(struct leat__run *run, struct leat__ctx *ctx)
{
    const uint32_t count = run->spec->columns_count;
    run->column_scratches = leat__calloc(count, sizeof *run->column_scratches);
    run->views = leat__calloc(count, sizeof *run->views);
    if (!run->column_scratches || !run->views)
        return leat__rows_nomem(ctx, "columns");
    for (uint32_t i = 0; i < count; i++)
        LEAT_TRY(leat__column_init(&run->spec->columns[i], ctx, &run->column_scratches[i]));
    return 0;
}

int leat__run_init(struct leat__run *run, struct leat__ctx *ctx, const struct leat__aggregate_spec *spec)
{
    run->spec = spec;
    run->careful = spec->users_count > 0 && ctx->node->policy != LEAT_FAIL;
    run->items_max = leat__pool_batch_rows(ctx->pool, spec->out);
    if (run->items_max > LEAT__RUN_ITEMS)
        run->items_max = LEAT__RUN_ITEMS;
    if (leat__key_scratch_new(&run->key_scratch) < 0)
        return leat__rows_nomem(ctx, "keys");
    if (run->careful && !(run->saved = leat__malloc(spec->values_size)))
        return leat__rows_nomem(ctx, "an accumulator");
    return init_columns(run, ctx);
}

void leat__run_release(struct leat__run *run)
{
    leat__batch_release(run->batch);
    leat__batch_release(run->out);
    for (uint32_t i = 0; run->column_scratches && i < run->spec->columns_count; i++)
        leat__column_release(&run->column_scratches[i]);
    leat__free(run->column_scratches);
    leat__free(run->views);
    leat__free(run->saved);
    leat__free(run->partial_keys);
    leat__free(run->partial);
    leat__arena_release(&run->partial_memory);
    leat__free(run->kept);
    leat__key_scratch_free(run->key_scratch);
}

/* ---- preparing a batch ---- */

/* Keys and columns of all rows. Rows may have been refused then. */
static int eval_batch(struct leat__run *run, struct leat__ctx *ctx)
{
    leat__ctx_begin(ctx, run->batch, NULL);
    const int code = leat__key_eval(run->spec->key, run->key_scratch, &ctx->user, run->batch, &run->keys);
    if (code < 0)
        return leat__fail(ctx, code, "keys: %s", leat_error_text(code));
    if (leat__key_bad_rows(run->key_scratch) > 0)
        leat__rows_refuse_keys(ctx, run->spec->key, run->key_scratch, run->batch, run->keys);
    for (uint32_t i = 0; i < run->spec->columns_count; i++)
        LEAT_TRY(leat__column_eval(
            &run->spec->columns[i], &run->column_scratches[i], ctx, run->batch, &run->views[i]));
    return 0;
}

/* Puts the rows that were not refused in the batch's place; none: run->batch is NULL. */
static int leave_refused(struct leat__run *run, struct leat__ctx *ctx)
{
    struct leat_batch *batch = run->batch;
    uint32_t count = 0;
    LEAT_TRY(leat__rows_reserve(ctx, &run->kept, &run->kept_capacity, batch->count));
    for (uint32_t r = 0; r < batch->count; r++)
        if (r >= ctx->failed_rows_capacity || !ctx->failed_rows[r])
            run->kept[count++] = r;
    LEAT_TRY(leat__ctx_end(ctx, batch, NULL));
    struct leat_batch *rest = NULL;
    if (count)
        LEAT_TRY(leat__rows_gather(ctx, batch, run->kept, count, &rest));
    leat__batch_release(batch);
    run->batch = rest;
    return 0;
}

/* Partials: their keys come with them, and nothing is left to evaluate. */
static int prepare_partials(struct leat__run *run, struct leat__ctx *ctx)
{
    const struct leat_batch *batch = run->batch;
    uint64_t records = 0;
    LEAT_ASSERT(!batch->late && leat__agg_is_mergeable(run->spec));
    if (batch->count > run->partial_keys_capacity) {
        leat__free(run->partial_keys);
        run->partial_keys = leat__malloc(batch->count * sizeof *run->partial_keys);
        run->partial_keys_capacity = run->partial_keys ? batch->count : 0;
    }
    if (!run->partial && run->spec->has_memory)
        run->partial = leat__malloc(run->spec->values_size);
    if (!run->partial_keys || (run->spec->has_memory && !run->partial))
        return leat__rows_nomem(ctx, "keys");
    for (uint32_t r = 0; r < batch->count; r++) {
        run->partial_keys[r] = leat__partial_at(batch, r)->key;
        records += (uint64_t)leat__partial_at(batch, r)->count;
    }
    run->keys = run->partial_keys;
    leat__count(&ctx->counters->records_in, records - batch->count); /* the runtime has counted rows */
    leat__count(&ctx->counters->partials_in, batch->count);
    leat__count(&ctx->counters->combined_records, records);
    leat__ctx_begin(ctx, batch, NULL);
    return 0;
}

int leat__run_prepare(struct leat__run *run, struct leat__ctx *ctx, struct leat_batch *batch)
{
    LEAT_ASSERT(!run->batch && batch->count > 0);
    run->batch = batch;
    run->takes_partials = leat__is_partials(batch);
    if (run->takes_partials)
        return prepare_partials(run, ctx);
    while (run->batch) {
        LEAT_TRY(eval_batch(run, ctx));
        if (ctx->user.failures_count == 0)
            return leat__ctx_end(ctx, run->batch, NULL);
        LEAT_TRY(leave_refused(run, ctx));
    }
    return 0;
}

int leat__run_end_batch(struct leat__run *run, struct leat__ctx *ctx)
{
    leat__batch_release(run->batch);
    run->batch = NULL;
    return leat__run_flush(run, ctx);
}

/* ---- adding rows ---- */

/* Adds rows one by one to the callbacks' accumulators, undoing those that are refused; rows and values close
 * up. */
static int add_users_carefully(
    struct leat__run *run, struct leat__ctx *ctx, struct leat__agg_pass *pass, uint32_t *rows)
{
    const uint32_t count = pass->count;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct leat__agg_pass one = *pass;
        const uint32_t refused_before = ctx->user.failures_count;
        one.rows = &rows[i];
        one.values = &pass->values[i];
        one.count = 1;
        memcpy(run->saved, pass->values[i],
            run->spec->values_size); /* records are written by nobody who refuses */
        LEAT_TRY(leat__agg_add_users(&one));
        if (ctx->user.failures_count != refused_before) {
            memcpy(pass->values[i], run->saved, run->spec->values_size);
            continue;
        }
        rows[kept] = rows[i];
        pass->values[kept++] = pass->values[i];
    }
    pass->count = kept;
    return 0;
}

/* What a partial has seen. */
static int read_partial(
    struct leat__run *run, struct leat__ctx *ctx, struct leat_sv bytes, const unsigned char **values)
{
    const struct leat__agg_memory mem = { NULL, 0, &run->partial_memory };
    size_t used = bytes.len;
    int code = 0;
    *values = (const unsigned char *)bytes.data; /* aligned: nothing but numbers */
    if (run->spec->has_memory) {
        code = leat__agg_decode_values(run->spec, &mem, bytes.data, bytes.len, run->partial, &used);
        *values = run->partial;
    }
    if (code == LEAT_ENOMEM)
        return leat__rows_nomem(ctx, "partial results");
    LEAT_ASSERT(code == 0 && used == bytes.len && bytes.len >= run->spec->values_size);
    return 0;
}

/* Partials into values, as leat__run_add. */
static int64_t add_partials(struct leat__run *run, struct leat__ctx *ctx, const struct leat__agg_memory *mem,
    const uint32_t *rows, unsigned char *const *values, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const unsigned char *from;
        LEAT_TRY(read_partial(run, ctx, leat__partial_at(run->batch, rows[i])->values, &from));
        if (leat__agg_combine_values(run->spec, ctx->node, mem, values[i], from, ctx->error) < 0)
            return leat__fail_here(ctx);
    }
    if (run->spec->has_memory)
        leat__arena_release(&run->partial_memory);
    return count;
}

int64_t leat__run_add(struct leat__run *run, struct leat__ctx *ctx, struct leat_table *table, int64_t ns,
    uint32_t *rows, unsigned char **values, uint32_t count)
{
    struct leat__agg_pass pass = {
        .spec = run->spec,
        .ctx = ctx,
        .mem = { table, ns, NULL },
        .keys = run->keys,
        .batch = run->batch,
        .views = run->views,
        .rows = rows,
        .values = values,
        .count = count,
        .pointers = run->pointers,
    };
    LEAT_ASSERT(count <= LEAT__RUN_CHUNK);
    if (run->takes_partials)
        return add_partials(run, ctx, &pass.mem, rows, values, count);
    if (run->careful)
        LEAT_TRY(add_users_carefully(run, ctx, &pass, rows));
    else if (run->spec->users_count)
        LEAT_TRY(leat__agg_add_users(&pass));
    if (run->spec->users_count)
        LEAT_TRY(leat__ctx_end(ctx, run->batch, NULL));
    LEAT_TRY(leat__agg_add(&pass));
    return pass.count;
}

/* ---- output ---- */

int leat__run_late(struct leat__run *run, struct leat__ctx *ctx, const uint32_t *rows, uint32_t count)
{
    const int32_t port = ctx->node->late_ports[0];
    struct leat_batch *late;
    uint64_t records = 0;
    if (count == 0)
        return 0;
    for (uint32_t i = 0; i < count; i++)
        records += leat__run_records(run, rows[i]);
    leat__count(&ctx->counters->late_records, records);
    LEAT_ASSERT(!run->takes_partials || port < 0 || !leat__ctx_consumed(ctx, (uint32_t)port));
    if (port < 0 || !leat__ctx_consumed(ctx, (uint32_t)port))
        return 0;
    LEAT_TRY(leat__rows_gather(ctx, run->batch, rows, count, &late));
    return leat__emit(ctx, (uint32_t)port, late);
}

int leat__run_flush(struct leat__run *run, struct leat__ctx *ctx)
{
    struct leat_batch *out = run->out;
    run->out = NULL;
    if (!out)
        return 0;
    run->batches_given++;
    return leat__emit(ctx, 0, out);
}

/* A batch of output with room for so many rows (or empty), for late panes or for others. */
int leat__run_open(struct leat__run *run, struct leat__ctx *ctx, bool late, uint32_t rows)
{
    if (run->out && (run->out->late != late || run->out->capacity - run->out->count < rows))
        LEAT_TRY(leat__run_flush(run, ctx));
    if (run->out)
        return 0;
    LEAT_TRY(leat__rows_get(ctx, run->spec->out, &run->out));
    if (late) {
        run->out->late = 1;
        run->out->late_wm_us = run->in_watermark ? run->forwarded_us : ctx->watermark_us;
    }
    return 0;
}

static int fail_overflow(
    struct leat__run *run, struct leat__ctx *ctx, const struct leat__agg *agg, const struct leat__pane *pane)
{
    struct leat_strbuf key = { 0 };
    leat__key_parts_print(&run->spec->key_parts, pane->key, &key);
    const int code = leat__fail(ctx, LEAT_EOVERFLOW,
        "aggs[%u] \"%s\": the sum of %s is beyond 64 bits for %s in the window from %lld us; set "
        ".on_overflow to LEAT_OVERFLOW_SATURATE or LEAT_OVERFLOW_WRAP, or sum cast(... as double)",
        agg->index, agg->as, agg->of, key.data ? key.data : "a key", (long long)pane->window.start);
    leat__strbuf_release(&key);
    return code;
}

/* The callbacks' fields of a row of output; 1 when one has refused it. */
static int fill_users(
    struct leat__run *run, struct leat__ctx *ctx, const unsigned char *values, uint32_t out_row)
{
    ctx->batch_in = NULL;
    ctx->batch_out = run->out;
    ctx->user.row = out_row;
    LEAT_TRY(leat__agg_show_users(run->spec, ctx, values, run->out, leat_batch_at(run->out, out_row)));
    const bool refused = ctx->user.failures_count > 0;
    const int code = leat__ctx_end(ctx, NULL, NULL);
    ctx->batch_in = run->batch;
    ctx->batch_out = NULL;
    return code < 0 ? code : refused;
}

static int fill_row(struct leat__run *run, struct leat__ctx *ctx, const struct leat__pane *pane,
    const unsigned char *values, uint32_t out_row)
{
    void *row = leat_batch_at(run->out, out_row);
    if (!leat__out_fill(run->spec, pane, run->out, row))
        return leat__rows_nomem(ctx, "a row of output");
    for (uint32_t i = 0; i < run->spec->aggs_count; i++) {
        const struct leat__agg *agg = &run->spec->aggs[i];
        if (agg->op == LEAT__USER)
            continue;
        const int code = leat__agg_result(run->spec, agg, values, run->out, row);
        if (code < 0)
            return code == LEAT_EOVERFLOW ? fail_overflow(run, ctx, agg, pane)
                                          : leat__rows_nomem(ctx, "a string");
    }
    return run->spec->users_count ? fill_users(run, ctx, values, out_row) : 0;
}

/* The event time of a pane's row (12). A session takes records up to and at its end, so that it can not be given
 * before the watermark is there: its rows have that time (decision 0011). */
int64_t leat__run_pane_us(const struct leat__run *run, const struct leat__pane *pane)
{
    return run->spec->window.kind == LEAT_WINDOW_SESSION ? pane->window.end : pane->window.end - 1;
}

/* A pane of a window whose end nobody has been told to be over is not late for them: a watermark that has jumped
 * over the end is told when all that it causes was given. */
bool leat__run_is_late(
    const struct leat__run *run, const struct leat__ctx *ctx, const struct leat__pane *pane)
{
    const int64_t told_us = run->in_watermark ? run->forwarded_us : ctx->watermark_us;
    return (pane->kind == LEAT_PANE_LATE || run->any_late) &&
        leat__time_passed(leat__run_pane_us(run, pane), told_us);
}

/* Adds the row to the open batch, which has room. */
static int push_row(struct leat__run *run, struct leat__ctx *ctx, const struct leat__pane *pane,
    uint64_t hash, const unsigned char *values, enum leat_change change)
{
    const uint32_t out_row = run->out->count;
    (void)leat__batch_push(run->out);
    run->out->event_us[out_row] = leat__run_pane_us(run, pane);
    run->out->key_hash[out_row] = hash;
    leat__batch_set_change(run->out, out_row, (uint8_t)change);
    const int refused = fill_row(run, ctx, pane, values, out_row);
    if (refused > 0)
        run->out->count--;
    return refused < 0 ? refused : !refused;
}

static int give(struct leat__run *run, struct leat__ctx *ctx, const struct leat__pane *pane, bool late,
    uint64_t hash, const unsigned char *values, enum leat_change change)
{
    LEAT_TRY(leat__run_open(run, ctx, late, 1));
    const int given = push_row(run, ctx, pane, hash, values, change);
    if (given >= 0 && leat__batch_is_full(run->out))
        LEAT_TRY(leat__run_flush(run, ctx));
    return given;
}

int leat__run_give_change(struct leat__run *run, struct leat__ctx *ctx, const struct leat__pane *pane,
    uint64_t hash, const unsigned char *values, enum leat_change change)
{
    if (run->spec->top)
        return leat__run_give_rows(run, ctx, pane, hash, values, change);
    return give(run, ctx, pane, leat__run_is_late(run, ctx, pane), hash, values, change);
}

/* Batches of one row: when the new pane is refused it is too late to keep the old one back, so it comes again. */
static int replace_apart(struct leat__run *run, struct leat__ctx *ctx, const struct leat__pane *old_pane,
    const unsigned char *old_values, const struct leat__pane *pane, uint64_t hash,
    const unsigned char *values)
{
    const bool late = leat__run_is_late(run, ctx, pane);
    const int old_given = give(run, ctx, old_pane, late, hash, old_values, LEAT_UPDATE_BEFORE);
    if (old_given < 0)
        return old_given;
    const int given = give(run, ctx, pane, late, hash, values, LEAT_UPDATE_AFTER);
    if (given == 0 && old_given > 0) {
        const int again = give(run, ctx, old_pane, late, hash, old_values, LEAT_UPDATE_AFTER);
        return again < 0 ? again : 0;
    }
    return given;
}

int leat__run_replace(struct leat__run *run, struct leat__ctx *ctx, const struct leat__pane *old_pane,
    const unsigned char *old_values, const struct leat__pane *pane, uint64_t hash,
    const unsigned char *values)
{
    if (run->spec->top)
        return leat__run_replace_rows(run, ctx, old_pane, old_values, pane, hash, values);
    if (run->items_max < 2)
        return replace_apart(run, ctx, old_pane, old_values, pane, hash, values);
    LEAT_TRY(leat__run_open(run, ctx, leat__run_is_late(run, ctx, pane), 2));
    const int old_given = push_row(run, ctx, old_pane, hash, old_values, LEAT_UPDATE_BEFORE);
    const int given = old_given < 0 ? old_given : push_row(run, ctx, pane, hash, values, LEAT_UPDATE_AFTER);
    if (given == 0 && old_given > 0)
        run->out->count--;
    if (given >= 0 && leat__batch_is_full(run->out))
        LEAT_TRY(leat__run_flush(run, ctx));
    return given;
}
