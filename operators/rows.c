/* operators/rows.c -- small things about rows that several operators need. */
#include "operators/rows_private.h"
#include <string.h>

int leat__rows_nomem(struct leat__ctx *ctx, const char *what)
{
    return leat__fail(ctx, LEAT_ENOMEM, "out of memory for %s", what);
}

int leat__rows_get(struct leat__ctx *ctx, const struct leat_type *type, struct leat_batch **batch)
{
    const int code = leat__batch_get(ctx->pool, type, batch);
    return code < 0 ? leat__rows_nomem(ctx, "a batch") : 0;
}

int leat__rows_writable(struct leat__ctx *ctx, struct leat_batch *batch, struct leat_batch **writable)
{
    const int code = leat__batch_writable(ctx->pool, batch, writable);
    return code < 0 ? leat__rows_nomem(ctx, "a copy of a shared batch") : 0;
}

int leat__rows_reserve(struct leat__ctx *ctx, uint32_t **rows, uint32_t *capacity, uint32_t count)
{
    if (count <= *capacity)
        return 0;
    leat__free(*rows);
    *rows = leat__malloc(count * sizeof **rows);
    *capacity = *rows ? count : 0;
    return *rows ? 0 : leat__rows_nomem(ctx, "row numbers");
}

int leat__rows_gather(struct leat__ctx *ctx, const struct leat_batch *batch, const uint32_t *rows,
    uint32_t count, struct leat_batch **gathered)
{
    struct leat_batch *to;
    LEAT_TRY(leat__rows_get(ctx, batch->type, &to));
    LEAT_ASSERT(count <= to->capacity); /* pools of one job have batches of one size */
    if (leat__batch_share(to, batch) < 0) {
        leat__batch_release(to);
        return leat__rows_nomem(ctx, "references to buffers");
    }
    const size_t stride = batch->stride;
    for (uint32_t i = 0; i < count; i++) {
        memcpy(to->rows + i * stride, batch->rows + rows[i] * stride, stride);
        to->event_us[i] = batch->event_us[rows[i]];
        to->key_hash[i] = batch->key_hash[rows[i]];
        leat__batch_set_change(to, i, leat__batch_change(batch, rows[i]));
    }
    to->count = count;
    leat__batch_copy_marks(to, batch);
    *gathered = to;
    return 0;
}

/* ---- keys ---- */

static int eval_keys(struct leat__ctx *ctx, const struct leat_key *key, struct leat_key_scratch *scratch,
    const struct leat_batch *batch, const struct leat_sv **keys)
{
    const int code = leat__key_eval(key, scratch, &ctx->user, batch, keys);
    return code < 0 ? leat__fail(ctx, code, "keys: %s", leat_error_text(code)) : 0;
}

void leat__rows_refuse_keys(struct leat__ctx *ctx, const struct leat_key *key,
    struct leat_key_scratch *scratch, const struct leat_batch *batch, const struct leat_sv *keys)
{
    const uint32_t bad = leat__key_bad_rows(scratch);
    for (uint32_t i = 0, seen = 0; seen < bad; i++) {
        struct leat_error err = { 0 };
        LEAT_ASSERT(i < batch->count);
        if (!leat__key_is_bad(keys[i]))
            continue;
        (void)leat__key_explain(key, scratch, batch, i, &err);
        leat__ctx_refuse(ctx, i, "%s", err.message);
        seen++;
    }
}

/* Of a batch of our own. */
static int take_out_bad(struct leat__ctx *ctx, const struct leat_key *key, struct leat_key_scratch *scratch,
    struct leat_batch *batch, const struct leat_sv *keys, bool quietly)
{
    if (quietly) {
        for (uint32_t i = 0; i < batch->count; i++)
            batch->keep[i] = !leat__key_is_bad(keys[i]);
        leat__batch_compact(batch);
        return 0;
    }
    leat__ctx_begin(ctx, batch, NULL);
    leat__rows_refuse_keys(ctx, key, scratch, batch, keys);
    return leat__ctx_end(ctx, batch, batch);
}

static int make_keys(struct leat__ctx *ctx, const struct leat_key *key, struct leat_key_scratch *scratch,
    struct leat_batch **batch, const struct leat_sv **keys, bool quietly)
{
    LEAT_TRY(eval_keys(ctx, key, scratch, *batch, keys));
    if (leat__key_bad_rows(scratch) == 0)
        return 0;
    LEAT_TRY(leat__rows_writable(ctx, *batch, batch));
    LEAT_TRY(take_out_bad(ctx, key, scratch, *batch, *keys, quietly));
    if ((*batch)->count > 0)
        return eval_keys(ctx, key, scratch, *batch, keys);
    leat__batch_release(*batch);
    *batch = NULL;
    return 0;
}

int leat__rows_keys(struct leat__ctx *ctx, const struct leat_key *key, struct leat_key_scratch *scratch,
    struct leat_batch **batch, const struct leat_sv **keys)
{
    return make_keys(ctx, key, scratch, batch, keys, false);
}

int leat__rows_keys_broadcast(struct leat__ctx *ctx, const struct leat_key *key,
    struct leat_key_scratch *scratch, struct leat_batch **batch, const struct leat_sv **keys)
{
    return make_keys(ctx, key, scratch, batch, keys, ctx->subtask != 0);
}

/* ---- one row for one ---- */

/* One batch of output from the rows at o->at. */
static int make_batch(struct leat__one_to_one *o, struct leat_op *op, struct leat__ctx *ctx)
{
    struct leat_batch *out;
    LEAT_TRY(leat__rows_get(ctx, ctx->node->outputs[0].type, &out));
    const uint32_t left = o->in->count - o->at;
    const uint32_t count = left < out->capacity ? left : out->capacity;
    const struct leat_batch view = leat__rows_view(o->in, o->at, count);
    int code = leat__batch_share(out, o->in);
    if (code < 0) {
        code = leat__rows_nomem(ctx, "references to buffers");
    } else {
        leat__batch_rows(out, count);
        memcpy(out->event_us, view.event_us, count * sizeof *out->event_us);
        leat__batch_copy_changes(out, 0, &view, 0, count);
        leat__batch_copy_marks(out, o->in);
        code = o->make(op, ctx, &view, out);
    }
    if (code < 0) {
        leat__batch_release(out);
        return code;
    }
    o->at += count;
    return leat__emit(ctx, 0, out);
}

int leat__one_to_one_step(struct leat__one_to_one *o, struct leat_op *op, struct leat__ctx *ctx)
{
    for (uint32_t made = 0; o->at < o->in->count; made++) {
        if (made == LEAT_OP_BATCHES_PER_CALL)
            return LEAT_MORE;
        LEAT_TRY(make_batch(o, op, ctx));
    }
    leat__one_to_one_release(o);
    return 0;
}

int leat__one_to_one_batch(
    struct leat__one_to_one *o, struct leat_op *op, struct leat__ctx *ctx, struct leat_batch *batch)
{
    LEAT_ASSERT(!o->in);
    o->in = batch;
    o->at = 0;
    return leat__one_to_one_step(o, op, ctx);
}

void leat__one_to_one_release(struct leat__one_to_one *o)
{
    leat__batch_release(o->in);
    o->in = NULL;
}
