/* operators/process.c -- process functions: a user's callbacks over the records and timers of each key.
 *
 *   on_batch       for each row: on_record; then the event-time timers that are due already
 *   on_watermark   event-time timers up to it, and expiries between them, in order of time
 *   on_time        the same for the wall clock
 *   on_end         processing-time timers that are left are forgotten
 *   step           goes on with any of these
 *
 * A callback:  begin (key, times, no copies)  ->  the user's code, which works on copies and notes wishes
 *                 refused: forget everything, the node's policy decides
 *                 else:    rows, then state, then timers take effect
 *
 * An event-time timer is seen at its own time, not at the watermark, which may have jumped far ahead: so what
 * it sees does not depend on how often watermarks came. For the same reason expiries by event time go off
 * between the timers.
 *
 * Invariants: (1) between callbacks no copies and no wishes are left; (2) between calls that gave 0 there is
 * no open output, no batch and no load of timers under way; (3) every event-time timer in state is later than
 * the last watermark that on_watermark has finished with; (4) ctx->wake_us is at or before the first
 * processing-time timer. */
#include "operators/process_private.h"

#define CALLS_PER_CALL 4096u /* callbacks and expiries before others get a chance */
#define WORK_BYTES_MAX (256u * 1024u)
#define PREFETCH_AHEAD 8u

/* ---- one callback ---- */

static void begin_callback(struct leat__process *p, struct leat_sv key, uint64_t hash)
{
    p->key = key;
    p->hash = hash;
    p->outs.made = 0;
    p->outs.row = NULL;
    p->outs.moves = false;
    p->wishes.count = 0;
    p->calls_made++;
    p->processing_now_us = LEAT_TIME_MIN; /* nobody has asked */
}

static int renew_work(struct leat__process *p)
{
    if (p->work->arena_bytes <= WORK_BYTES_MAX)
        return 0;
    leat__batch_release(p->work);
    p->work = NULL;
    return leat__rows_get(p->ctx, p->spec->in, &p->work);
}

/* (1) */
static int end_callback(struct leat__process *p, bool refused)
{
    const struct leat_sv no_state = { "", 0 };
    leat__process_fail(p, p->wishes.code);
    int code = p->code;
    if (code == 0 && refused)
        leat__outs_forget(p);
    if (code == 0 && !refused)
        code = leat__outs_commit(p);
    if (code == 0 && !refused)
        code = leat__states_commit(p);
    if (code == 0 && !refused && p->wishes.count)
        code = leat__timer_wishes_grant(&p->wishes, p->timers, no_state, p->key);
    leat__states_forget(p);
    p->wishes.count = 0;
    if (code == 0)
        code = p->code;
    return code < 0 ? code : renew_work(p);
}

/* ---- timers ---- */

/* What a refused timer becomes: there is no record to show. */
static int end_timer(struct leat__process *p, int64_t time_us)
{
    struct leat__ctx *ctx = p->ctx;
    if (ctx->user.failures_count == 0 || ctx->node->policy == LEAT_SKIP ||
        ctx->node->policy == LEAT_DEAD_LETTER)
        return leat__ctx_end(ctx, NULL, NULL);
    return leat__fail(ctx, LEAT_EUSER,
        "the timer at %lld us was refused: %s (leat_on_error with LEAT_SKIP, or leat_dead_letters, goes on "
        "without such timers)",
        (long long)time_us, ctx->failures[0].message);
}

static int fire_timer(struct leat__process *p, int64_t time_us, enum leat_time_kind kind)
{
    struct leat__ctx *ctx = p->ctx;
    const struct leat_sv key = { p->timer_key.data, p->timer_key.len };
    leat__ctx_begin(ctx, NULL, NULL);
    begin_callback(p, key, leat__hash(key.data, key.len));
    const int64_t w = ctx->watermark_us;
    p->event_now_us = kind == LEAT_EVENT_TIME ? time_us : w;
    p->outs.default_us = kind == LEAT_EVENT_TIME ? time_us : leat__time_add(w, 1);
    if (p->spec->fn.on_timer)
        p->spec->fn.on_timer(&ctx->user, time_us, kind);
    LEAT_TRY(end_callback(p, ctx->user.failures_count > 0));
    return end_timer(p, time_us);
}

/* The next of the two that is due: 1 with *timers, 0, LEAT__TIMERS_MORE or an error. Of equal times the
 * expiry comes first: what is gone at a time is gone for the timer of that time. */
static int next_due(struct leat__process *p, uint32_t which, int64_t until_us, bool expire,
    struct leat__timers **timers, int64_t *time_us)
{
    int64_t expiry_us;
    const int found = leat__timers_next(&p->timers[which], p->ctx, until_us, time_us);
    if (found < 0 || found == LEAT__TIMERS_MORE)
        return found;
    const int gone = expire ? leat__timers_next(&p->expiry[which], p->ctx, until_us, &expiry_us) : 0;
    if (gone < 0 || gone == LEAT__TIMERS_MORE)
        return gone;
    *timers = &p->timers[which];
    if (gone && (!found || expiry_us <= *time_us)) {
        *timers = &p->expiry[which];
        *time_us = expiry_us;
    }
    return found || gone;
}

/* 1: one has gone off or was found deleted; 0: none is due; LEAT__TIMERS_MORE. */
static int fire_next(struct leat__process *p, uint32_t which, int64_t until_us, bool expire)
{
    const enum leat_time_kind kind = which == LEAT__TIMERS_EVENT ? LEAT_EVENT_TIME : LEAT_PROCESSING_TIME;
    struct leat__timers *timers = NULL;
    int64_t time_us = 0;
    const int found = next_due(p, which, until_us, expire, &timers, &time_us);
    if (found != 1)
        return found;
    const int taken = leat__timers_take(timers, p->ctx, &p->timer_key);
    if (taken <= 0)
        return taken < 0 ? taken : 1;
    if (timers == &p->timers[which]) {
        LEAT_TRY(fire_timer(p, time_us, kind));
        return 1;
    }
    p->calls_made++;
    LEAT_TRY(leat__expiry_fire(p, kind, time_us, (struct leat_sv){ p->timer_key.data, p->timer_key.len }));
    leat__states_forget(p);
    LEAT_TRY(p->code);
    LEAT_TRY(renew_work(p));
    return 1;
}

static bool is_spent(const struct leat__process *p)
{
    return p->calls_made >= CALLS_PER_CALL || p->batches_given >= LEAT_OP_BATCHES_PER_CALL;
}

/* All that is due. LEAT_MORE: later. */
static int fire_due(struct leat__process *p, uint32_t which, int64_t until_us, bool expire)
{
    for (;;) {
        if (is_spent(p))
            return LEAT_MORE;
        const int fired = fire_next(p, which, until_us, expire);
        if (fired < 0 || fired == 0)
            return fired;
        if (fired == LEAT__TIMERS_MORE)
            return LEAT_MORE;
        const int full = leat__outs_emit(p, false);
        if (full != 0)
            return full < 0 ? full : LEAT_MORE;
    }
}

/* ---- records ---- */

static bool has_due_timers(const struct leat__process *p)
{
    const int64_t w = p->ctx->watermark_us;
    return w != LEAT_TIME_MIN && leat__timers_may_be_due(&p->timers[LEAT__TIMERS_EVENT], w);
}

/* What the callback of the row may look at is brought near. */
static void prefetch(const struct leat__process *p, uint32_t row)
{
    for (uint32_t i = 0; row < p->in->count && i < p->spec->states_count; i++)
        if (p->spec->states[i].kind == LEAT__STATE_VALUE || p->spec->states[i].kind == LEAT__STATE_AGGREGATE)
            leat__table_prefetch(p->states[i].table, 0, p->in->key_hash[row]);
}

static int call_record(struct leat__process *p, uint32_t row)
{
    struct leat__ctx *ctx = p->ctx;
    const uint32_t refused_before = ctx->user.failures_count;
    const int64_t late_wm = leat__ctx_late_wm(ctx, p->in);
    prefetch(p, row + PREFETCH_AHEAD);
    begin_callback(p, p->keys[row], p->in->key_hash[row]);
    ctx->user.row = row;
    p->outs.default_us = p->in->event_us[row];
    p->outs.bound_us = late_wm;
    p->event_now_us = p->outs.default_us > late_wm ? p->outs.default_us : late_wm;
    p->spec->fn.on_record(&ctx->user, leat_batch_at(p->in, row));
    return end_callback(p, ctx->user.failures_count > refused_before);
}

/* Rows until one has made timers due, this call has done enough, or there are no more. */
static int call_records(struct leat__process *p)
{
    struct leat__ctx *ctx = p->ctx;
    bool failed = false;
    leat__ctx_begin(ctx, p->in, NULL);
    while (p->at < p->in->count && !failed && !is_spent(p)) {
        LEAT_TRY(call_record(p, p->at++));
        failed = ctx->user.failures_count > 0 && ctx->node->policy != LEAT_SKIP &&
            ctx->node->policy != LEAT_DEAD_LETTER;
        if (has_due_timers(p))
            break;
        if (p->outs.made)
            LEAT_TRY(leat__outs_emit(p, false) < 0 ? ctx->error->code : 0);
    }
    return leat__ctx_end(ctx, p->in, NULL);
}

static int work_batch(struct leat__process *p)
{
    for (;;) {
        p->outs.bound_us = leat__ctx_late_wm(p->ctx, p->in);
        if (has_due_timers(p)) {
            const int code = fire_due(p, LEAT__TIMERS_EVENT, p->ctx->watermark_us, false);
            if (code != 0)
                return code;
        }
        if (p->at == p->in->count)
            return 0;
        if (is_spent(p))
            return LEAT_MORE;
        LEAT_TRY(call_records(p));
    }
}

/* A callback's keys may lie in leat_alloc's memory, which timers in between would free. */
static int own_keys(struct leat__process *p)
{
    const uint32_t count = p->in->count;
    if (!leat__key_is_fn(p->spec->key))
        return 0;
    if (count > p->own_keys_capacity) {
        leat__free(p->own_keys);
        p->own_keys = leat__malloc(count * sizeof *p->own_keys);
        p->own_keys_capacity = p->own_keys ? count : 0;
    }
    leat__strbuf_clear(&p->own_bytes);
    for (uint32_t i = 0; i < count; i++)
        leat__strbuf_add(&p->own_bytes, p->keys[i].data, p->keys[i].len);
    if (!p->own_keys || p->own_bytes.failed)
        return leat__rows_nomem(p->ctx, "keys");
    const char *at = p->own_bytes.data ? p->own_bytes.data : "";
    for (uint32_t i = 0; i < count; at += p->own_keys[i++].len)
        p->own_keys[i] = (struct leat_sv){ at, p->keys[i].len };
    p->keys = p->own_keys;
    return 0;
}

/* Leaves only the rows whose keys were not refused; none: p->in is NULL. */
static int leave_refused(struct leat__process *p)
{
    struct leat__ctx *ctx = p->ctx;
    uint32_t *rows = leat__malloc(p->in->count * sizeof *rows); /* rare */
    uint32_t count = 0;
    struct leat_batch *rest = NULL;
    if (!rows)
        return leat__rows_nomem(ctx, "row numbers");
    for (uint32_t r = 0; r < p->in->count; r++)
        if (r >= ctx->failed_rows_capacity || !ctx->failed_rows[r])
            rows[count++] = r;
    int code = leat__ctx_end(ctx, p->in, NULL);
    if (code == 0 && count)
        code = leat__rows_gather(ctx, p->in, rows, count, &rest);
    leat__free(rows);
    LEAT_TRY(code);
    leat__batch_release(p->in);
    p->in = rest;
    return 0;
}

static int eval_keys(struct leat__process *p)
{
    struct leat__ctx *ctx = p->ctx;
    while (p->in) {
        leat__ctx_begin(ctx, p->in, NULL);
        const int code = leat__key_eval(p->spec->key, p->key_scratch, &ctx->user, p->in, &p->keys);
        if (code < 0)
            return leat__fail(ctx, code, "keys: %s", leat_error_text(code));
        if (leat__key_bad_rows(p->key_scratch) > 0)
            leat__rows_refuse_keys(ctx, p->spec->key, p->key_scratch, p->in, p->keys);
        if (ctx->user.failures_count == 0) {
            LEAT_TRY(own_keys(p));
            return leat__ctx_end(ctx, p->in, NULL);
        }
        LEAT_TRY(leave_refused(p));
    }
    return 0;
}

/* ---- passes ---- */

static int work(struct leat__process *p)
{
    switch (p->pass) {
    case LEAT__PASS_BATCH:
        return work_batch(p);
    case LEAT__PASS_WATERMARK:
        p->outs.bound_us = p->forwarded_us;
        return fire_due(p, LEAT__TIMERS_EVENT, p->until_us, p->until_us != LEAT_TIME_MAX);
    case LEAT__PASS_TIME:
        p->outs.bound_us = p->ctx->watermark_us;
        return fire_due(p, LEAT__TIMERS_PROCESSING, p->until_us, true);
    case LEAT__PASS_NONE:
        break;
    }
    return 0;
}

/* (4) */
static int set_wake(struct leat__process *p)
{
    int64_t timer_us, expiry_us;
    LEAT_TRY(leat__timers_wake(&p->timers[LEAT__TIMERS_PROCESSING], p->ctx, &timer_us));
    LEAT_TRY(leat__timers_wake(&p->expiry[LEAT__TIMERS_PROCESSING], p->ctx, &expiry_us));
    p->ctx->wake_us = timer_us < expiry_us ? timer_us : expiry_us;
    return 0;
}

/* Goes on with the pass. (2) */
static int go_on(struct leat__process *p)
{
    struct leat__ctx *ctx = p->ctx;
    p->calls_made = p->batches_given = 0;
    ctx->process = p;
    ctx->timer_wishes = &p->wishes;
    int code = work(p);
    ctx->process = NULL;
    ctx->timer_wishes = NULL;
    if (code == 0) {
        code = leat__outs_emit(p, true);
        code = code > 0 ? LEAT_MORE : code;
    }
    if (code != 0)
        return code;
    if (p->pass == LEAT__PASS_WATERMARK)
        p->forwarded_us = p->until_us;
    leat__batch_release(p->in);
    p->in = NULL;
    p->pass = LEAT__PASS_NONE;
    __atomic_store_n(&ctx->counters->state_keys, leat__states_keys_count(p), __ATOMIC_RELAXED);
    return set_wake(p);
}

static int process_on_batch(
    struct leat_op *op, struct leat__ctx *ctx, uint32_t input, struct leat_batch *batch)
{
    struct leat__process *p = (struct leat__process *)op;
    LEAT_ASSERT(input == 0 && p->pass == LEAT__PASS_NONE);
    p->in = batch;
    p->at = 0;
    ctx->process = NULL;
    ctx->timer_wishes = NULL;
    LEAT_TRY(eval_keys(p));
    if (!p->in)
        return 0;
    p->pass = LEAT__PASS_BATCH;
    return go_on(p);
}

static int process_on_watermark(struct leat_op *op, struct leat__ctx *ctx, int64_t w)
{
    struct leat__process *p = (struct leat__process *)op;
    (void)ctx;
    LEAT_ASSERT(p->pass == LEAT__PASS_NONE);
    p->until_us = w;
    p->pass = LEAT__PASS_WATERMARK;
    return go_on(p);
}

static int process_on_time(struct leat_op *op, struct leat__ctx *ctx, int64_t now_us)
{
    struct leat__process *p = (struct leat__process *)op;
    (void)ctx;
    LEAT_ASSERT(p->pass == LEAT__PASS_NONE);
    p->until_us = now_us;
    p->pass = LEAT__PASS_TIME;
    return go_on(p);
}

static int process_step(struct leat_op *op, struct leat__ctx *ctx)
{
    (void)ctx;
    return go_on((struct leat__process *)op);
}

/* As in Flink: the wall clock has no end to wait for. */
static int process_on_end(struct leat_op *op, struct leat__ctx *ctx)
{
    struct leat__process *p = (struct leat__process *)op;
    LEAT_TRY(leat__timers_clear(&p->timers[LEAT__TIMERS_PROCESSING], ctx));
    LEAT_TRY(leat__timers_clear(&p->expiry[LEAT__TIMERS_PROCESSING], ctx));
    ctx->wake_us = LEAT_TIME_MAX;
    return 0;
}

/* ---- checkpoints ---- */

/* Everything is in the tables: one byte, the version, says that there was a process function. */
static int process_snapshot(struct leat_op *op, struct leat__ctx *ctx, struct leat_strbuf *out)
{
    const struct leat__process *p = (const struct leat__process *)op;
    LEAT_ASSERT(p->pass == LEAT__PASS_NONE && !p->in);
    leat__strbuf_char(out, 1);
    return out->failed ? leat__rows_nomem(ctx, "a snapshot") : 0;
}

static int process_restore(
    struct leat_op *op, struct leat__ctx *ctx, const struct leat_sv *parts, uint32_t count)
{
    struct leat__process *p = (struct leat__process *)op;
    for (uint32_t i = 0; i < count; i++)
        if (parts[i].len != 1 || parts[i].data[0] != 1)
            return leat__fail(ctx, LEAT_EDATA, "part %u of its snapshot is damaged: %zu bytes, version %d", i,
                parts[i].len, parts[i].len ? parts[i].data[0] : 0);
    p->forwarded_us = ctx->watermark_us;
    __atomic_store_n(&ctx->counters->state_keys, leat__states_keys_count(p), __ATOMIC_RELAXED);
    return set_wake(p);
}

/* ---- life ---- */

static int open_timers(struct leat__process *p, struct leat__ctx *ctx)
{
    static const char *const names[LEAT__TIMERS_KINDS] = { "event timers", "processing timers" };
    static const char *const expiry_names[LEAT__TIMERS_KINDS] = { "event expiry", "processing expiry" };
    for (uint32_t i = 0; i < LEAT__TIMERS_KINDS; i++) {
        struct leat__timers_opts opts = { names[i], leat__key_fixed_size(p->spec->key), p->spec->key_types, 0,
            NULL };
        LEAT_TRY(leat__timers_open(&p->timers[i], ctx, &opts));
        opts.name = expiry_names[i];
        opts.owner_bytes = sizeof(uint32_t);
        opts.owner = "state";
        LEAT_TRY(leat__timers_open(&p->expiry[i], ctx, &opts));
    }
    return 0;
}

static int process_init(struct leat_op *op, struct leat__ctx *ctx)
{
    struct leat__process *p = (struct leat__process *)op;
    p->spec = op->node->spec;
    p->ctx = ctx;
    p->forwarded_us = ctx->watermark_us;
    p->wishes = (struct leat__timer_wishes){
        .ctx = ctx,
        .callbacks = p->spec->fn.name,
        .maker = "LEAT_DEFINE_PROCESS",
        .has_event_time = p->spec->has_event_time,
        .has_on_timer = p->spec->fn.on_timer != NULL,
    };
    p->spare = leat__calloc(1, LEAT_ROW_BYTES_MAX);
    if (!p->spare || leat__key_scratch_new(&p->key_scratch) < 0)
        return leat__rows_nomem(ctx, "a process function");
    LEAT_TRY(leat__rows_get(ctx, p->spec->in, &p->work));
    LEAT_TRY(leat__outs_open(p, ctx));
    LEAT_TRY(leat__states_open(p, ctx));
    LEAT_TRY(open_timers(p, ctx));
    return set_wake(p);
}

static void process_release(struct leat_op *op, struct leat__ctx *ctx)
{
    struct leat__process *p = (struct leat__process *)op;
    ctx->process = NULL;
    ctx->timer_wishes = NULL;
    for (uint32_t i = 0; i < LEAT__TIMERS_KINDS; i++) {
        leat__timers_close(&p->timers[i]);
        leat__timers_close(&p->expiry[i]);
    }
    if (p->spec) {
        leat__states_close(p);
        leat__outs_close(p);
    }
    leat__batch_release(p->in);
    leat__batch_release(p->work);
    leat__key_scratch_free(p->key_scratch);
    leat__strbuf_release(&p->own_bytes);
    leat__strbuf_release(&p->timer_key);
    leat__free(p->own_keys);
    leat__timer_wishes_release(&p->wishes);
    leat__free(p->spare);
}

const struct leat_op_class leat__process_class = {
    .kind = "process",
    .size = sizeof(struct leat__process),
    .init = process_init,
    .on_batch = process_on_batch,
    .on_watermark = process_on_watermark,
    .on_end = process_on_end,
    .step = process_step,
    .on_time = process_on_time,
    .snapshot = process_snapshot,
    .restore = process_restore,
    .release = process_release,
};

/* ---- what callbacks call ---- */

int64_t leat_key_i64(struct leat_ctx *ctx, uint32_t field)
{
    const struct leat__process *p = leat__process_of(ctx, "leat_key_i64");
    return p && field < p->spec->key_parts.count ? leat__key_part_i64(&p->spec->key_parts, p->key, field) : 0;
}

struct leat_sv leat_key_sv(struct leat_ctx *ctx, uint32_t field)
{
    struct leat__process *p = leat__process_of(ctx, "leat_key_sv");
    char *bytes = p && field < p->spec->key_parts.count ? leat__process_alloc(p, p->key.len + 1) : NULL;
    return bytes ? (struct leat_sv){ bytes, leat__key_part_bytes(&p->spec->key_parts, p->key, field, bytes) }
                 : (struct leat_sv){ "", 0 };
}
