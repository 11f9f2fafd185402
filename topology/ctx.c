/* topology/ctx.c -- the context of callbacks and operators: questions, memory, refusals, failures.
 *
 *   begin(in, out)    forget old refusals, note the batches
 *   ... callbacks     leat_fail marks rows, keeps the first reasons
 *   end(in, out)      nobody refused: done. Else the node's policy: FAIL  the job's error is the first
 * refusal SKIP  count, take the rows out of `out` DEAD_LETTER  also write them as letters
 *
 * Invariants: (1) user.failures_count is the number of bytes set in failed_rows; (2) between end and begin
 * none is set, so that begin is cheap. */
#include <leat/change.h>
#include "base/alloc.h"
#include "topology/dead_letter_private.h"
#include <stdio.h>

int64_t leat_ctx_watermark_us(const struct leat_ctx *ctx)
{
    return ctx->engine->watermark_us;
}

int64_t leat_ctx_now_us(const struct leat_ctx *ctx)
{
    return ctx->engine->api->now_us(ctx->engine);
}

int64_t leat_ctx_event_us(const struct leat_ctx *ctx)
{
    const struct leat_batch *in = ctx->engine->batch_in;
    return in && ctx->row < in->count ? in->event_us[ctx->row] : LEAT_TIME_MIN;
}

enum leat_change leat_ctx_change(const struct leat_ctx *ctx)
{
    const struct leat_batch *in = ctx->engine->batch_in;
    return in && ctx->row < in->count ? (enum leat_change)leat__batch_change(in, ctx->row) : LEAT_INSERT;
}

const char *leat_ctx_node(const struct leat_ctx *ctx)
{
    return ctx->engine->node->name;
}

uint32_t leat_ctx_subtask(const struct leat_ctx *ctx)
{
    return ctx->engine->subtask;
}

uint32_t leat_ctx_parallelism(const struct leat_ctx *ctx)
{
    return ctx->engine->parallelism;
}

void *leat_alloc(struct leat_ctx *ctx, size_t size)
{
    struct leat__ctx *e = ctx->engine;
    struct leat_batch *batch = e->batch_out;
    if (!batch) {
        if (!e->scratch && leat__batch_get(e->pool, &leat_dead_letter_type, &e->scratch) < 0)
            e->scratch = NULL; /* of any type: only its memory is used */
        batch = e->scratch;
    }
    void *p = batch ? leat__batch_alloc(batch, size, 8) : NULL;
    if (!p)
        e->alloc_failed = true;
    return p;
}

struct leat_sv leat_copy(struct leat_ctx *ctx, struct leat_sv text)
{
    char *copy = leat_alloc(ctx, text.len);
    if (!copy)
        return (struct leat_sv){ "", 0 };
    if (text.len)
        memcpy(copy, text.data, text.len);
    return (struct leat_sv){ copy, text.len };
}

struct leat_sv leat_printf(struct leat_ctx *ctx, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    const int len = vsnprintf(NULL, 0, format, args);
    char *text = len < 0 ? NULL : leat_alloc(ctx, (size_t)len + 1);
    if (text)
        (void)vsnprintf(text, (size_t)len + 1, format, again);
    else
        ctx->engine->alloc_failed = true;
    va_end(again);
    va_end(args);
    return (struct leat_sv){ text ? text : "", text ? (size_t)len : 0 };
}

/* Space for the mark of the row; false when out of memory. New marks are clear. */
static bool reserve_marks(struct leat__ctx *ctx, uint32_t row)
{
    if (row < ctx->failed_rows_capacity)
        return true;
    uint32_t capacity = ctx->failed_rows_capacity ? ctx->failed_rows_capacity : 256;
    while (capacity <= row && capacity < UINT32_MAX / 2)
        capacity *= 2;
    uint8_t *rows = capacity > row ? leat__realloc(ctx->failed_rows, capacity) : NULL;
    if (!rows)
        return false;
    memset(rows + ctx->failed_rows_capacity, 0, capacity - ctx->failed_rows_capacity);
    ctx->failed_rows = rows;
    ctx->failed_rows_capacity = capacity;
    return true;
}

static void refuse_v(struct leat__ctx *ctx, uint32_t row, int code, const char *format, va_list args)
{
    if (!reserve_marks(ctx, row)) {
        ctx->alloc_failed = true;
        return;
    }
    if (ctx->failed_rows[row])
        return; /* the first reason counts */
    ctx->failed_rows[row] = 1;
    const uint32_t i = ctx->user.failures_count++;
    if (i >= LEAT_FAILURES_KEPT_MAX)
        return;
    ctx->failures[i].row = row;
    ctx->failures[i].code = code;
    (void)vsnprintf(ctx->failures[i].message, sizeof ctx->failures[i].message, format, args);
}

void leat_fail(struct leat_ctx *ctx, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    refuse_v(ctx->engine, ctx->row, LEAT_EUSER, format, args);
    va_end(args);
}

void leat__ctx_refuse(struct leat__ctx *ctx, uint32_t row, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    refuse_v(ctx, row, LEAT_EDATA, format, args);
    va_end(args);
}

int leat__fail(struct leat__ctx *ctx, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)leat__error_v(ctx->error, code, format, args);
    va_end(args);
    return leat__fail_here(ctx);
}

int leat__fail_here(struct leat__ctx *ctx)
{
    char place[LEAT_NAME_BYTES_MAX + 32];
    LEAT_ASSERT(ctx->error->code < 0);
    const int len = snprintf(place, sizeof place, "node \"%s\" subtask %u", ctx->node->name, ctx->subtask);
    if (strncmp(ctx->error->message, place, (size_t)len) == 0)
        return ctx->error->code; /* said already by a call below */
    return leat__error_prefix(ctx->error, "%s", place);
}

static void forget_failures(struct leat__ctx *ctx)
{
    if (ctx->user.failures_count)
        memset(ctx->failed_rows, 0, ctx->failed_rows_capacity);
    ctx->user.failures_count = 0;
}

void leat__ctx_begin(struct leat__ctx *ctx, const struct leat_batch *in, struct leat_batch *out)
{
    forget_failures(ctx);
    ctx->user.row = 0;
    ctx->batch_in = in;
    ctx->batch_out = out;
    if (!out) {
        leat__batch_release(ctx->scratch);
        ctx->scratch = NULL;
    }
}

/* The reason that was kept for the row. */
static struct leat_sv reason(const struct leat__ctx *ctx, uint32_t row, int *code)
{
    const uint32_t n = ctx->user.failures_count;
    *code = LEAT_EUSER;
    for (uint32_t i = 0; i < n && i < LEAT_FAILURES_KEPT_MAX; i++)
        if (ctx->failures[i].row == row) {
            *code = ctx->failures[i].code;
            return leat_sv_of(ctx->failures[i].message);
        }
    return LEAT_SV("refused (more records of its batch were refused than reasons are kept)");
}

/* FAIL: the first refusal ends the job. */
static int fail_job(struct leat__ctx *ctx)
{
    const uint32_t row = ctx->failures[0].row;
    char when[64] = "";
    if (ctx->batch_in && row < ctx->batch_in->count)
        (void)snprintf(when, sizeof when, " (event time %lld us)", (long long)ctx->batch_in->event_us[row]);
    return leat__fail(ctx, LEAT_EUSER,
        "row %u of its batch%s was refused: %s (leat_on_error with LEAT_SKIP, or leat_dead_letters, goes on "
        "without such records)",
        row, when, ctx->failures[0].message);
}

static int write_letters(struct leat__dead_letters *letters, const struct leat_batch *in)
{
    const struct leat__ctx *ctx = letters->ctx;
    for (uint32_t row = 0, left = ctx->user.failures_count; left; row++) {
        LEAT_ASSERT(row < ctx->failed_rows_capacity); /* (1) */
        if (!ctx->failed_rows[row])
            continue;
        left--;
        const bool known = in && row < in->count;
        int code;
        const struct leat_sv error = reason(ctx, row, &code);
        LEAT_TRY(leat__dead_letters_add_record(
            letters, code, error, known ? leat_batch_at(in, row) : NULL, known ? in->type : NULL));
    }
    return 0;
}

/* Takes the refused rows out; marks of a predicate (keep) stay with their rows. */
static int remove_refused(struct leat__ctx *ctx, struct leat_batch *out)
{
    enum { STAYS = 1, WAS_KEPT = 2 };
    const uint32_t count = out->count;
    if (count == 0)
        return 0;
    if (!reserve_marks(ctx, count - 1))
        return leat__fail(ctx, LEAT_ENOMEM, "out of memory for the marks of refused records");
    for (uint32_t i = 0; i < count; i++) {
        const bool stays = !ctx->failed_rows[i];
        ctx->failed_rows[i] = (uint8_t)((stays ? STAYS : 0) | (out->keep[i] ? WAS_KEPT : 0));
        out->keep[i] = stays;
    }
    leat__batch_compact(out);
    uint32_t to = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (ctx->failed_rows[i] & STAYS)
            out->keep[to++] = (ctx->failed_rows[i] & WAS_KEPT) != 0;
        ctx->failed_rows[i] = 0;
    }
    LEAT_ASSERT(to == out->count);
    return 0;
}

int leat__ctx_end(struct leat__ctx *ctx, const struct leat_batch *in, struct leat_batch *out)
{
    struct leat__dead_letters letters = { .ctx = ctx };
    int code = 0;
    if (ctx->alloc_failed) {
        ctx->alloc_failed = false;
        code = leat__fail(ctx, LEAT_ENOMEM, "out of memory for the records that it makes");
    } else if (ctx->user.failures_count == 0) {
        return 0;
    } else if (ctx->node->policy == LEAT_SKIP) {
        leat__count(&ctx->counters->dropped_records, ctx->user.failures_count);
    } else if (ctx->node->policy == LEAT_DEAD_LETTER) {
        code = write_letters(&letters, in);
    } else {
        code = fail_job(ctx);
    }
    if (code == 0 && out)
        code = remove_refused(ctx, out);
    forget_failures(ctx);
    return code < 0 ? code
                    : leat__dead_letters_flush(&letters); /* last: it may begin and end in this context */
}

void leat__ctx_release(struct leat__ctx *ctx)
{
    leat__batch_release(ctx->scratch);
    leat__batch_release(ctx->letters); /* of a read that failed */
    leat__free(ctx->failed_rows);
    ctx->letters = NULL;
    ctx->scratch = NULL;
    ctx->failed_rows = NULL;
    ctx->failed_rows_capacity = 0;
    ctx->user.failures_count = 0;
}
