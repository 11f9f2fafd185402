/* operators/async.c -- asynchronous requests: the operator.
 *
 * What is under way is a ring of entries in the order of the input: records and, between them, watermarks.
 *
 *   on_batch       an entry and a request for each record, as long as there is room; else LEAT_WAIT
 *   on_watermark   an entry; forwarded when everything before it is gone
 *   step           requests that have come back: their entries are done, or begun again, or refused;
 *                  then advance
 *   on_time        entries whose time is over, or whose pause is
 *   advance        gives what is done, from the oldest entry on: in order, up to the first that is not done; or
 *                  unordered, whatever is done up to the first watermark
 *   on_end         waits until nothing is under way
 *
 * Invariants: (1) a watermark is the oldest entry only for as long as a call lasts; two never follow each other;
 * (2) ctx->holding is there is an entry; (3) deadlines rise with the entries; (4) between calls that gave 0 there
 * is no open batch of output. */
#include "operators/async_private.h"
#include "base/alloc.h"
#include <stdio.h>

/* ---- entries ---- */

static struct leat__async_entry *push(struct leat__async *a)
{
    LEAT_ASSERT(a->end - a->first < a->size);
    struct leat__async_entry *entry = leat__async_entry(a, a->end++);
    *entry = (struct leat__async_entry){ .deadline_us = LEAT_TIME_MAX, .again_us = LEAT_TIME_MAX };
    return entry;
}

/* The request is the operator's again. */
static void put_aside(struct leat__async *a, struct leat_request *request)
{
    leat__request_end(request);
    request->next = a->spare;
    a->spare = request;
}

static void close_entry(struct leat__async *a, struct leat__async_entry *entry)
{
    if (entry->request)
        put_aside(a, entry->request);
    leat__batch_release(entry->batch);
    entry->request = NULL;
    entry->batch = NULL;
    entry->state = LEAT__ASYNC_GONE;
    a->records_count--;
}

/* ---- output ---- */

static int flush(struct leat__async *a, struct leat__ctx *ctx)
{
    struct leat_batch *out = a->out;
    a->out = NULL;
    if (!out)
        return 0;
    a->batches_given++;
    return leat__emit(ctx, 0, out);
}

/* A batch with room and the marks of the record's. */
static int open_out(struct leat__async *a, struct leat__ctx *ctx, const struct leat_batch *in)
{
    if (a->out &&
        (leat__batch_is_full(a->out) || a->out->late != in->late || a->out->late_wm_us != in->late_wm_us))
        LEAT_TRY(flush(a, ctx));
    if (a->out)
        return 0;
    LEAT_TRY(leat__rows_get(ctx, a->spec->fn.out, &a->out));
    leat__batch_copy_marks(a->out, in);
    return 0;
}

static int give(
    struct leat__async *a, struct leat__ctx *ctx, const struct leat__async_entry *entry, const void *row)
{
    LEAT_TRY(open_out(a, ctx, entry->batch));
    a->out->event_us[a->out->count] = entry->batch->event_us[entry->row];
    a->out->key_hash[a->out->count] = 0; /* the next edge's to set: nothing is keyed here */
    return leat__copy_push(a->copier, a->out, row) < 0 ? leat__rows_nomem(ctx, "a result") : 0;
}

/* ---- beginning ---- */

/* Calls begin; the entry is refused if the callback has done so. */
static int begin(
    struct leat__async *a, struct leat__ctx *ctx, struct leat__async_entry *entry, uint64_t number)
{
    struct leat_request *spare = a->spare;
    if (spare)
        a->spare = spare->next;
    entry->request = leat__request_begin(a->desk, spare, entry->batch, entry->row, number);
    if (!entry->request)
        return leat__rows_nomem(ctx, "a request");
    entry->state = LEAT__ASYNC_OUT;
    entry->attempts++;
    leat__ctx_begin(ctx, entry->batch, NULL);
    ctx->user.row = entry->row;
    a->spec->fn.begin(&ctx->user, leat_batch_at(entry->batch, entry->row), entry->request, a->spec->opts.arg);
    const bool refused = ctx->user.failures_count > 0;
    LEAT_TRY(leat__ctx_end(ctx, entry->batch, NULL));
    if (refused)
        close_entry(a, entry);
    return 0;
}

static struct leat__async_entry *add(
    struct leat__async *a, struct leat__ctx *ctx, struct leat_batch *batch, uint32_t row)
{
    const int64_t timeout_us = a->spec->opts.timeout_us;
    struct leat__async_entry *entry = push(a);
    leat__batch_ref(batch);
    entry->batch = batch;
    entry->row = row;
    if (timeout_us)
        entry->deadline_us = leat_ctx_now_us(&ctx->user) + timeout_us;
    a->records_count++;
    return entry;
}

void leat__async_add_paused(
    struct leat__async *a, struct leat__ctx *ctx, struct leat_batch *batch, uint32_t row)
{
    struct leat__async_entry *entry = add(a, ctx, batch, row);
    entry->state = LEAT__ASYNC_PAUSED;
    entry->again_us = LEAT_TIME_MIN;
    a->paused_count++;
}

/* ---- what comes back ---- */

/* No answer: the callback that has one otherwise, or the policy. */
static int refuse(
    struct leat__async *a, struct leat__ctx *ctx, struct leat__async_entry *entry, const char *reason)
{
    struct leat_batch *batch = entry->batch;
    if (a->spec->opts.otherwise) {
        struct leat_batch *row = NULL;
        LEAT_TRY(leat__rows_get(ctx, a->spec->fn.out, &row));
        leat__ctx_begin(ctx, batch, row);
        ctx->user.row = entry->row;
        void *out = leat__batch_push(row);
        int code = 0;
        if (a->spec->opts.otherwise(
                &ctx->user, leat_batch_at(batch, entry->row), reason, out, a->spec->opts.arg))
            code = ctx->user.failures_count ? 0 : give(a, ctx, entry, out);
        else if (ctx->user.failures_count == 0)
            leat__ctx_refuse(ctx, entry->row, "%s", reason);
        if (code == 0)
            code = leat__ctx_end(ctx, batch, NULL);
        leat__batch_release(row);
        LEAT_TRY(code);
    } else {
        leat__ctx_begin(ctx, batch, NULL);
        leat__ctx_refuse(ctx, entry->row, "%s", reason);
        LEAT_TRY(leat__ctx_end(ctx, batch, NULL));
    }
    close_entry(a, entry);
    return 0;
}

/* Another attempt, at once or after a pause; or none is left. */
static int fail_attempt(struct leat__async *a, struct leat__ctx *ctx, struct leat__async_entry *entry)
{
    struct leat_request *request = entry->request;
    const uint32_t doublings = entry->attempts - 1 < 20 ? entry->attempts - 1 : 20;
    if (entry->attempts >= a->spec->opts.attempts)
        return refuse(a, ctx, entry, request->reason);
    entry->request = NULL;
    put_aside(a, request);
    entry->state = LEAT__ASYNC_PAUSED;
    entry->again_us = leat_ctx_now_us(&ctx->user) + (a->spec->opts.backoff_us << doublings);
    a->paused_count++;
    return 0;
}

static int take_back(struct leat__async *a, struct leat__ctx *ctx, struct leat_request *request)
{
    struct leat__async_entry *entry = leat__async_entry(a, request->number);
    if (__atomic_load_n(&request->abandoned, __ATOMIC_RELAXED) || entry->request != request) {
        put_aside(a, request); /* its time was over */
        return 0;
    }
    if (request->answer == LEAT__ANSWER_NOMEM)
        return leat__rows_nomem(ctx, "a result");
    if (request->answer == LEAT__ANSWER_FAILED)
        return fail_attempt(a, ctx, entry);
    entry->state = LEAT__ASYNC_DONE;
    return 0;
}

static int collect(struct leat__async *a, struct leat__ctx *ctx)
{
    __atomic_store_n(&a->desk->woken, 0, __ATOMIC_SEQ_CST);
    struct leat_request *request = leat__desk_take(a->desk);
    int code = 0;
    while (request) {
        struct leat_request *next = request->next;
        if (code == 0)
            code = take_back(a, ctx, request);
        else
            put_aside(a, request);
        request = next;
    }
    return code;
}

/* ---- times ---- */

static int time_out(struct leat__async *a, struct leat__ctx *ctx, struct leat__async_entry *entry)
{
    char text[64];
    if (entry->request)
        __atomic_store_n(&entry->request->abandoned, 1, __ATOMIC_RELAXED);
    entry->request = NULL;
    (void)snprintf(text, sizeof text, "no answer within %lld us", (long long)a->spec->opts.timeout_us);
    return refuse(a, ctx, entry, text);
}

/* Entries whose time is over, or whose pause is. */
static int look_at_times(struct leat__async *a, struct leat__ctx *ctx, int64_t now_us)
{
    for (uint64_t n = a->first; n < a->end; n++) {
        struct leat__async_entry *entry = leat__async_entry(a, n);
        const bool paused = entry->state == LEAT__ASYNC_PAUSED;
        const bool over = entry->deadline_us <= now_us;
        if ((!paused && entry->state != LEAT__ASYNC_OUT) || (!over && entry->again_us > now_us))
            continue;
        a->paused_count -= paused;
        entry->again_us = LEAT_TIME_MAX;
        LEAT_TRY(over ? time_out(a, ctx, entry) : begin(a, ctx, entry, n));
    }
    return 0;
}

/* ---- advancing ---- */

static int give_done(struct leat__async *a, struct leat__ctx *ctx, struct leat__async_entry *entry)
{
    if (entry->request->answer == LEAT__ANSWER_ROW)
        LEAT_TRY(give(a, ctx, entry, entry->request->result));
    close_entry(a, entry);
    return 0;
}

/* Gives what may be given now. LEAT_MORE when this call has given enough. */
static int advance(struct leat__async *a, struct leat__ctx *ctx)
{
    for (uint64_t n = a->first; n < a->end; n++) {
        struct leat__async_entry *entry = leat__async_entry(a, n);
        if (a->batches_given >= LEAT_OP_BATCHES_PER_CALL)
            return LEAT_MORE;
        if (entry->state == 0) { /* a watermark */
            if (n != a->first)
                break;
            LEAT_TRY(flush(a, ctx));
            LEAT_TRY(leat__ctx_forward(ctx, entry->watermark_us));
            entry->state = LEAT__ASYNC_GONE;
        }
        if (entry->state == LEAT__ASYNC_DONE && (a->spec->opts.unordered || n == a->first))
            LEAT_TRY(give_done(a, ctx, entry));
        if (entry->state == LEAT__ASYNC_GONE && n == a->first)
            a->first++;
        else if (!a->spec->opts.unordered)
            break;
    }
    return 0;
}

/* The last place is for a watermark. */
static bool has_room(const struct leat__async *a)
{
    return a->records_count < a->spec->opts.capacity && a->end - a->first < a->size - 1;
}

/* Rows of the batch that fit. */
static int add_rows(struct leat__async *a, struct leat__ctx *ctx)
{
    while (a->in && has_room(a)) {
        const uint64_t number = a->end;
        LEAT_TRY(begin(a, ctx, add(a, ctx, a->in, a->at++), number));
        if (a->at == a->in->count) {
            leat__batch_release(a->in);
            a->in = NULL;
        }
    }
    return 0;
}

/* When on_time is to come: the first deadline, or the end of a pause. */
static void set_wake(struct leat__async *a, struct leat__ctx *ctx)
{
    ctx->wake_us = LEAT_TIME_MAX;
    for (uint64_t n = a->first; n < a->end; n++) {
        const struct leat__async_entry *entry = leat__async_entry(a, n);
        if (entry->state != LEAT__ASYNC_OUT && entry->state != LEAT__ASYNC_PAUSED)
            continue;
        if (entry->deadline_us < ctx->wake_us)
            ctx->wake_us = entry->deadline_us;
        if (entry->again_us < ctx->wake_us)
            ctx->wake_us = entry->again_us;
        if (a->paused_count == 0)
            break; /* (3) */
    }
}

/* Goes on until something outside has to happen. (4) */
static int go_on(struct leat__async *a, struct leat__ctx *ctx)
{
    bool again = true;
    while (again) {
        const uint64_t end = a->end;
        int code = add_rows(a, ctx);
        if (code == 0)
            code = collect(a, ctx);
        if (code == 0)
            code = advance(a, ctx);
        if (code != 0)
            return code;
        again = a->end != end && a->in;
        again = again || (a->in && has_room(a));
    }
    LEAT_TRY(flush(a, ctx));
    ctx->holding = a->first < a->end || a->in;
    set_wake(a, ctx);
    return a->in || (a->ending && a->first < a->end) ? LEAT_WAIT : 0;
}

/* ---- the class ---- */

static int async_init(struct leat_op *op, struct leat__ctx *ctx)
{
    struct leat__async *a = (struct leat__async *)op;
    a->spec = op->node->spec;
    a->size = 2 * a->spec->opts.capacity + 2; /* a watermark behind each record */
    a->entries = leat__calloc(a->size, sizeof *a->entries);
    if (!a->entries || leat__copier_new(a->spec->fn.out, &a->copier) < 0 ||
        leat__desk_new(a->spec->fn.out, ctx->waker, &a->desk) < 0)
        return leat__rows_nomem(ctx, "requests");
    ctx->woken = &a->desk->woken;
    if (leat__encoder_new(a->spec->in, &a->encoder, ctx->error) < 0)
        return leat__fail_here(ctx);
    return 0;
}

static void async_release(struct leat_op *op, struct leat__ctx *ctx)
{
    struct leat__async *a = (struct leat__async *)op;
    for (uint64_t n = a->first; a->entries && n < a->end; n++) {
        struct leat__async_entry *entry = leat__async_entry(a, n);
        if (entry->request && entry->state == LEAT__ASYNC_DONE)
            put_aside(a, entry->request);
        leat__batch_release(entry->batch);
    }
    ctx->woken = NULL;
    if (a->desk)
        leat__desk_close(a->desk);
    while (a->spare) {
        struct leat_request *next = a->spare->next;
        leat__request_free(a->spare);
        a->spare = next;
    }
    leat__batch_release(a->in);
    leat__batch_release(a->out);
    leat__copier_free(a->copier);
    leat__encoder_free(a->encoder);
    leat__free(a->entries);
}

static int async_on_batch(struct leat_op *op, struct leat__ctx *ctx, uint32_t input, struct leat_batch *batch)
{
    struct leat__async *a = (struct leat__async *)op;
    LEAT_ASSERT(input == 0 && !a->in);
    a->in = batch;
    a->at = 0;
    a->batches_given = 0;
    return go_on(a, ctx);
}

static int async_on_watermark(struct leat_op *op, struct leat__ctx *ctx, int64_t w)
{
    struct leat__async *a = (struct leat__async *)op;
    LEAT_ASSERT(!a->in);
    a->batches_given = 0;
    struct leat__async_entry *last = a->first < a->end ? leat__async_entry(a, a->end - 1) : NULL;
    if (last && last->state == 0)
        last->watermark_us = w; /* (1) */
    else
        push(a)->watermark_us = w;
    return go_on(a, ctx);
}

static int async_on_end(struct leat_op *op, struct leat__ctx *ctx)
{
    struct leat__async *a = (struct leat__async *)op;
    a->ending = true;
    a->batches_given = 0;
    return go_on(a, ctx);
}

static int async_step(struct leat_op *op, struct leat__ctx *ctx)
{
    struct leat__async *a = (struct leat__async *)op;
    a->batches_given = 0;
    if (a->paused_count)
        LEAT_TRY(look_at_times(a, ctx, leat_ctx_now_us(&ctx->user)));
    return go_on(a, ctx);
}

static int async_on_time(struct leat_op *op, struct leat__ctx *ctx, int64_t now_us)
{
    struct leat__async *a = (struct leat__async *)op;
    a->batches_given = 0;
    LEAT_TRY(collect(a, ctx)); /* what is there is in time */
    LEAT_TRY(look_at_times(a, ctx, now_us));
    return go_on(a, ctx);
}

const struct leat_op_class leat__async_class = {
    .kind = "async",
    .size = sizeof(struct leat__async),
    .holds = true,
    .init = async_init,
    .on_batch = async_on_batch,
    .on_watermark = async_on_watermark,
    .on_end = async_on_end,
    .step = async_step,
    .on_time = async_on_time,
    .snapshot = leat__async_snapshot,
    .restore = leat__async_restore,
    .release = async_release,
};
