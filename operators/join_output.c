/* operators/join_output.c -- pairs of records to rows of output; join_private.h says how it is used.
 *
 * Pairs wait in one of two lanes as pointers. When a lane is flushed they are sifted by `where`, made into rows behind
 * those that its batch has by `merge` or the projection, and all that the rows show is copied to the batch, since it
 * lies in state or in the input.
 *
 * Invariants: (1) after a flush no pair points anywhere; (2) a lane's pairs and the rows of its batch are never more
 * than rows_max together, so that pairs have room where they are going; (3) a lane's batch is nobody else's until it
 * is given. */
#include "base/alloc.h"
#include "operators/aggregate_private.h"
#include "base/hash.h"
#include "operators/join_private.h"
#include <string.h>

/* Pairs that are made rows at once: few enough that all of this stays in the innermost cache. */
#define PAIRS_TOGETHER 256u

/* ---- pairs that can not be made ---- */

/* Pairs as records of pair_type. The batch is the caller's to release. */
static int show_pairs(const struct leat__join_output *output, struct leat__ctx *ctx, const void *const *left,
    const void *const *right, const int64_t *event_us, uint32_t count, struct leat_batch **pairs)
{
    const struct leat_field *fields = output->spec->pair_fields;
    LEAT_TRY(leat__rows_get(ctx, &output->spec->pair_type, pairs));
    LEAT_ASSERT(count <= (*pairs)->capacity); /* rows_max sees to it */
    for (uint32_t i = 0; i < count; i++) {
        unsigned char *row = leat__batch_push(*pairs);
        const void *const records[LEAT__SIDES] = { left[i], right[i] };
        for (uint32_t side = 0; side < LEAT__SIDES; side++) {
            if (!records[side])
                continue;
            memcpy(row + fields[side].offset, records[side], fields[side].type->size);
            if (fields[side].has_offset != LEAT_NOT_NULLABLE)
                *(bool *)(void *)(row + fields[side].has_offset) = true;
        }
        (*pairs)->event_us[i] = event_us ? event_us[i] : 0;
    }
    return 0;
}

/* leat__ctx_end for calls about these pairs; `made`, if any, has a row for each. `event_us` may be NULL. */
static int end_pairs(const struct leat__join_output *output, struct leat__ctx *ctx, const void *const *left,
    const void *const *right, const int64_t *event_us, uint32_t count, struct leat_batch *made)
{
    struct leat_batch *pairs = NULL;
    if (ctx->user.failures_count > 0) {
        LEAT_TRY(show_pairs(output, ctx, left, right, event_us, count, &pairs));
        ctx->batch_in = event_us ? pairs : NULL;
    }
    const int code = leat__ctx_end(ctx, pairs, made);
    ctx->batch_in = NULL;
    leat__batch_release(pairs);
    return code;
}

/* ---- where ---- */

/* One pair after the other, when some pair makes the condition fail: bad ones are refused and do not match. */
static int judge_each(struct leat__join_output *output, struct leat__ctx *ctx, const void *const *left,
    const void *const *right, const int64_t *event_us, uint32_t count, uint8_t *ok)
{
    struct leat_error err = { 0 };
    struct leat_vector v;
    int code = 0;
    leat__ctx_begin(ctx, NULL, NULL);
    for (uint32_t i = 0; i < count && code == 0; i++) {
        code = leat__expr_eval2(output->spec->where, output->where, left + i, right + i, 1, &v, NULL, &err);
        ok[i] = code == 0 && !(v.is_null && v.is_null[0]) && v.booleans && v.booleans[0];
        if (code < 0 && leat__rows_are_to_blame(code)) {
            leat__ctx_refuse(ctx, i, "%s", err.message);
            code = 0;
        }
    }
    return code < 0 ? leat__fail(ctx, code, "%s", err.message)
                    : end_pairs(output, ctx, left, right, event_us, count, NULL);
}

/* At most rows_max pairs, both records of each there. */
static int judge(struct leat__join_output *output, struct leat__ctx *ctx, const void *const *left,
    const void *const *right, const int64_t *event_us, uint32_t count, uint8_t *ok)
{
    struct leat_error err = { 0 };
    struct leat_vector v;
    const int code = leat__expr_eval2(output->spec->where, output->where, left, right, count, &v, NULL, &err);
    if (code < 0 && leat__rows_are_to_blame(code))
        return judge_each(output, ctx, left, right, event_us, count, ok);
    if (code < 0)
        return leat__fail(ctx, code, "%s", err.message);
    for (uint32_t i = 0; i < count; i++) /* booleans are NULL for the literal null */
        ok[i] = v.booleans && v.booleans[i] && !(v.is_null && v.is_null[i]);
    return 0;
}

int leat__join_matches(struct leat__join_output *output, struct leat__ctx *ctx, const void *const *left,
    const void *const *right, uint32_t count, uint8_t *ok)
{
    if (!output->spec->where)
        memset(ok, 1, count);
    for (uint32_t at = 0; at < count && output->spec->where; at += output->rows_max) {
        const uint32_t some = count - at < output->rows_max ? count - at : output->rows_max;
        LEAT_TRY(judge(output, ctx, left + at, right + at, NULL, some, ok + at));
    }
    return 0;
}

static void move_pair(struct leat__join_lane *lane, uint32_t to, uint32_t from)
{
    lane->left[to] = lane->left[from];
    lane->right[to] = lane->right[from];
    lane->event_us[to] = lane->event_us[from];
    lane->key_hash[to] = lane->key_hash[from];
    lane->change[to] = lane->change[from];
    for (uint32_t i = 0; i < 2 && lane->window[i]; i++)
        lane->window[i][to] = lane->window[i][from];
}

/* Keeps the pairs that `where` holds for, and those that it is not about. */
static int sift(struct leat__join_output *output, struct leat__ctx *ctx, struct leat__join_lane *lane)
{
    const void *const *left = lane->left, *const *right = lane->right;
    const int64_t *event_us = lane->event_us;
    uint32_t pairs = lane->count;
    if (lane->missing) {
        pairs = 0;
        for (uint32_t i = 0; i < lane->count; i++) {
            output->left[pairs] = lane->left[i];
            output->right[pairs] = lane->right[i];
            pairs += lane->left[i] && lane->right[i];
        }
        left = output->left;
        right = output->right;
        event_us = NULL;
    }
    if (pairs > 0)
        LEAT_TRY(judge(output, ctx, left, right, event_us, pairs, output->ok));
    uint32_t to = 0, pair = 0;
    for (uint32_t i = 0; i < lane->count; i++) {
        const bool is_pair = lane->left[i] && lane->right[i];
        if (is_pair && !output->ok[pair++])
            continue;
        if (to != i)
            move_pair(lane, to, i);
        to++;
    }
    lane->count = to;
    return 0;
}

/* ---- rows ---- */

static int64_t passed_us(const struct leat__join_output *output, const struct leat__ctx *ctx)
{
    return output->is_held ? output->forwarded_us : ctx->watermark_us;
}

static int open_out(struct leat__join_output *output, struct leat__ctx *ctx, struct leat__join_lane *lane)
{
    LEAT_TRY(leat__rows_get(ctx, ctx->node->outputs[0].type, &lane->out));
    if (lane == &output->lanes[LEAT__JOIN_BEHIND]) {
        lane->out->late = 1;
        lane->out->late_wm_us = passed_us(output, ctx);
    }
    return 0;
}

/* (2) */
static void make_room(const struct leat__join_output *output, struct leat__join_lane *lane)
{
    const uint32_t left = output->rows_max - (lane->out ? lane->out->count : 0);
    lane->room = left < PAIRS_TOGETHER ? left : PAIRS_TOGETHER;
}

static int emit_out(struct leat__join_output *output, struct leat__ctx *ctx, struct leat__join_lane *lane)
{
    struct leat_batch *out = lane->out;
    lane->out = NULL;
    make_room(output, lane);
    output->given++;
    return leat__emit(ctx, 0, out);
}

static void set_columns(const struct leat__join_lane *lane, struct leat_batch *out)
{
    const uint32_t first = out->count, count = lane->count;
    memcpy(out->event_us + first, lane->event_us, count * sizeof *out->event_us);
    memcpy(out->key_hash + first, lane->key_hash, count * sizeof *out->key_hash);
    if (lane->changes && !out->change)
        leat__batch_show_changes(out);
    if (out->change)
        memcpy(out->change + first, lane->change, count);
}

static void set_windows(
    const struct leat__join_output *output, const struct leat__join_lane *lane, struct leat_batch *made)
{
    for (uint32_t which = 0; which < 2; which++) {
        const struct leat__out_field *field = &output->spec->window[which];
        for (uint32_t i = 0; field->type && i < lane->count; i++)
            leat__out_set_int(leat_batch_at(made, i), field, lane->window[which][i]);
    }
}

/* Whether results have the key that `.key_as` says: what follows relies on it. */
static int check_keys(
    const struct leat__join_output *output, struct leat__ctx *ctx, const struct leat_batch *made)
{
    const struct leat_sv *keys;
    const struct leat_key *key = output->spec->out_key;
    if (leat__key_eval(key, output->out_key, &ctx->user, made, &keys) < 0)
        return leat__rows_nomem(ctx, "keys");
    for (uint32_t i = 0; i < made->count; i++) {
        char row[256];
        if ((keys[i].data ? leat__hash(keys[i].data, keys[i].len) : 0) == made->key_hash[i])
            continue;
        (void)leat_record_print(leat_batch_at(made, i), made->type, row, sizeof row);
        return leat__fail(ctx, LEAT_EINVAL,
            "key_as: %s of a result is not the key that its records were joined by, and what follows would "
            "find it "
            "on the wrong worker: mend %s, or remove .key_as; the result: %.255s",
            leat__key_text(key), output->spec->merge.merge ? output->spec->merge.name : "the fields", row);
    }
    return 0;
}

/* The lane's pairs as rows behind those that its batch has. */
static int make_rows(struct leat__join_output *output, struct leat__ctx *ctx, struct leat__join_lane *lane)
{
    struct leat_batch *out = lane->out;
    const uint32_t first = out->count, count = lane->count;
    const void *const *left = lane->left, *const *right = lane->right;
    set_columns(lane, out);
    struct leat_batch made = leat__rows_view(out, first, count);
    memset(made.rows, 0, (size_t)count * made.stride);
    set_windows(output, lane, &made);
    leat__ctx_begin(ctx, &made, out);
    if (output->spec->merge.merge) {
        output->spec->merge.merge(&ctx->user, left, right, count, &made);
    } else {
        const struct leat__projection_rows rows = { .left = left, .right = right, .count = count };
        LEAT_TRY(leat__projection_run(
            output->spec->projection, output->projection, ctx, &rows, out, first, false));
    }
    LEAT_TRY(end_pairs(output, ctx, left, right, lane->event_us, count, &made));
    if (output->spec->out_key && made.count > 0)
        LEAT_TRY(check_keys(output, ctx, &made));
    if (leat__copy_adopt_rows(output->copier, out, first, made.count) < 0)
        return leat__rows_nomem(ctx, "the strings of results");
    out->count = first + made.count;
    return 0;
}

static int flush_lane(struct leat__join_output *output, struct leat__ctx *ctx, struct leat__join_lane *lane)
{
    if (lane->count == 0)
        return 0;
    if (output->spec->where && !output->judged && lane->missing < lane->count)
        LEAT_TRY(sift(output, ctx, lane));
    if (lane->count > 0) {
        if (!lane->out)
            LEAT_TRY(open_out(output, ctx, lane));
        LEAT_TRY(make_rows(output, ctx, lane));
    }
    lane->count = lane->missing = 0; /* (1) */
    if (lane->changes) /* whoever adds only inserts does not say so */
        memset(lane->change, LEAT_INSERT, output->rows_max);
    lane->changes = false;
    if (lane->out && (lane->out->count == output->rows_max || leat__batch_is_full(lane->out)))
        return emit_out(output, ctx, lane);
    make_room(output, lane);
    return 0;
}

int leat__join_output_pair(
    struct leat__join_output *output, struct leat__ctx *ctx, const struct leat__join_pair *pair)
{
    const bool is_behind = leat__join_is_passed(pair->event_us, passed_us(output, ctx), 0);
    struct leat__join_lane *lane = &output->lanes[is_behind ? LEAT__JOIN_BEHIND : LEAT__JOIN_ON_TIME];
    const uint32_t i = lane->count++;
    lane->left[i] = pair->left;
    lane->right[i] = pair->right;
    lane->event_us[i] = pair->event_us;
    lane->key_hash[i] = pair->key_hash;
    lane->change[i] = (uint8_t)pair->change;
    lane->missing += !pair->left || !pair->right;
    lane->changes = lane->changes || pair->change != LEAT_INSERT;
    if (lane->window[0]) {
        lane->window[0][i] = pair->window_start_us;
        lane->window[1][i] = pair->window_end_us;
    }
    return lane->count == lane->room ? flush_lane(output, ctx, lane) : 0;
}

void leat__join_output_begin(struct leat__join_output *output, const struct leat__ctx *ctx)
{
    /* A lane with windows has more to set. */
    output->plain_after_us =
        output->lanes[LEAT__JOIN_ON_TIME].window[0] ? LEAT_TIME_MAX : passed_us(output, ctx);
}

int leat__join_output_full(struct leat__join_output *output, struct leat__ctx *ctx)
{
    return flush_lane(output, ctx, &output->lanes[LEAT__JOIN_ON_TIME]);
}

int leat__join_output_flush(struct leat__join_output *output, struct leat__ctx *ctx)
{
    for (uint32_t i = 0; i < LEAT__JOIN_LANES; i++)
        LEAT_TRY(flush_lane(output, ctx, &output->lanes[i]));
    return 0;
}

int leat__join_output_end(struct leat__join_output *output, struct leat__ctx *ctx)
{
    LEAT_TRY(leat__join_output_flush(output, ctx));
    for (uint32_t i = 0; i < LEAT__JOIN_LANES; i++)
        if (output->lanes[i].out)
            LEAT_TRY(emit_out(output, ctx, &output->lanes[i]));
    return 0;
}

void leat__join_output_judged(struct leat__join_output *output, bool judged)
{
    output->judged = judged;
}

void leat__join_output_forwarded(struct leat__join_output *output, int64_t watermark_us)
{
    for (uint32_t i = 0; i < LEAT__JOIN_LANES; i++)
        LEAT_ASSERT(!output->lanes[i].out && output->lanes[i].count == 0);
    output->is_held = true;
    output->forwarded_us = watermark_us;
}

/* ---- life ---- */

static int make_lane(
    const struct leat__join_output *output, struct leat__ctx *ctx, struct leat__join_lane *lane)
{
    const uint32_t n = output->rows_max;
    make_room(output, lane);
    lane->left = leat__calloc(n, sizeof *lane->left);
    lane->right = leat__calloc(n, sizeof *lane->right);
    lane->event_us = leat__calloc(n, sizeof *lane->event_us);
    lane->key_hash = leat__calloc(n, sizeof *lane->key_hash);
    lane->change = leat__calloc(n, sizeof *lane->change);
    bool made = lane->left && lane->right && lane->event_us && lane->key_hash && lane->change;
    const bool shows_windows = output->spec->window[0].type || output->spec->window[1].type;
    for (uint32_t i = 0; i < 2 && shows_windows; i++) {
        lane->window[i] = leat__calloc(n, sizeof *lane->window[i]);
        made = made && lane->window[i];
    }
    return made ? 0 : leat__rows_nomem(ctx, "pairs");
}

int leat__join_output_new(
    const struct leat__join_spec *spec, struct leat__ctx *ctx, struct leat__join_output **output)
{
    struct leat__join_output *made = *output = leat__calloc(1, sizeof *made);
    if (!made)
        return leat__rows_nomem(ctx, "a join");
    made->spec = spec;
    const uint32_t rows = leat__pool_batch_rows(ctx->pool, ctx->node->outputs[0].type);
    const uint32_t pairs = leat__pool_batch_rows(ctx->pool, &spec->pair_type);
    made->rows_max = rows < pairs ? rows : pairs;
    if (leat__copier_new(ctx->node->outputs[0].type, &made->copier) < 0 ||
        (spec->where && leat__expr_scratch_new(spec->where, &made->where) < 0))
        return leat__rows_nomem(ctx, "a join");
    if (spec->out_key && leat__key_scratch_new(&made->out_key) < 0)
        return leat__rows_nomem(ctx, "a join");
    if (spec->projection)
        LEAT_TRY(leat__projection_scratch_new(spec->projection, ctx, &made->projection));
    for (uint32_t i = 0; i < LEAT__JOIN_LANES; i++)
        LEAT_TRY(make_lane(made, ctx, &made->lanes[i]));
    if (!spec->where)
        return 0;
    made->ok = leat__calloc(made->rows_max, sizeof *made->ok);
    made->left = leat__calloc(made->rows_max + 1, sizeof *made->left);
    made->right = leat__calloc(made->rows_max + 1, sizeof *made->right);
    return made->ok && made->left && made->right ? 0 : leat__rows_nomem(ctx, "pairs");
}

void leat__join_output_free(struct leat__join_output *output)
{
    if (!output)
        return;
    for (uint32_t i = 0; i < LEAT__JOIN_LANES; i++) {
        struct leat__join_lane *lane = &output->lanes[i];
        leat__batch_release(lane->out);
        leat__free(lane->left);
        leat__free(lane->right);
        leat__free(lane->event_us);
        leat__free(lane->key_hash);
        leat__free(lane->change);
        leat__free(lane->window[0]);
        leat__free(lane->window[1]);
    }
    leat__free(output->ok);
    leat__free(output->left);
    leat__free(output->right);
    leat__projection_scratch_free(output->projection);
    leat__expr_scratch_free(output->where);
    leat__copier_free(output->copier);
    leat__key_scratch_free(output->out_key);
    leat__free(output);
}
