/* runtime/source_host.c -- what all sources have in common: which split to read, event times, watermarks,
 * late rows, idleness.
 *
 * Every worker has one host per source, with the splits whose index is its own modulo the workers. The split
 * that is furthest behind in event time is read next: hourly files given as one source then move through time
 * together, and windows can close.
 *
 * Per split: wm = newest event time so far - max_out_of_orderness - 1, saturating. A row is late iff its time
 * <= wm before it. The host cuts a batch at every change between late and on-time rows (slices, no copies),
 * so that (docs/decisions/0002)
 *   - what is judged late depends on the split's own rows alone, not on batch sizes, other splits or timing;
 *   - before late rows everything downstream has been told the watermark that made them late.
 * Watermarks of splits are merged as those of channels are (runtime/watermark.h).
 *
 * Splits that come while the job runs (runtime/discovery.h) are offered by the coordinator's thread and taken at the
 * host's next turn; like those that a checkpoint does not know they hold nothing back until they have caught up. A
 * host that may get some never ends by itself: without an active split it is idle.
 *
 * At a barrier every split gives its position, its newest time, its watermark and whether it is idle. After a
 * restore (runtime/restore.c finds them by id, whichever worker has them now) they go on from there; a split
 * that the checkpoint does not know holds nothing back until it has caught up (semantics 4 and 9). */
#include "base/alloc.h"
#include "base/limits.h"
#include "runtime/instance.h"
#include "runtime/job_private.h"
#include "runtime/restore.h"
#include "topology/source_time.h"
#include <string.h>

#define STREAK_MAX 64u /* reads of one split in a row where time does not decide */
#define WAIT_US 2000 /* how soon a split is asked again that has nothing now and names no time */

struct host_split {
    const struct leat_split *split;
    struct leat_reader *reader; /* NULL before it is opened and after its end */
    int64_t newest_us;
    int64_t wm_us;
    int64_t wait_until_us; /* wall time; 0: readable */
    int64_t active_ns; /* when it last gave rows, moved by the time for which the outputs were full */
    int64_t paused_ns; /* since when it is too far ahead of its group; 0: it is not */
    uint64_t lag; /* as told to the counter */
    bool ended;
    struct leat_strbuf resume; /* where it goes on when it is opened; data NULL: at its begin */
};

struct leat_source_host {
    struct leat_instance *inst;
    const struct leat_source_class *source_class;
    struct host_split *splits;
    uint32_t splits_count, splits_capacity;
    struct leat_split_offer
        *offers; /* atomic stack: pushed by the coordinator's thread, taken by the worker */
    bool grows; /* there may be some */
    uint32_t last; /* split read last */
    uint32_t streak; /* reads, for turns among splits without event time */
    struct leat_wm_merge merge;
    struct leat_align_slot *slot; /* NULL: of no group */
    int64_t paused_ns; /* since when all that could be read is too far ahead; 0: it is not */
    int64_t sent_wm_us;
    bool sent_idle;
};

/* The watermark that the subtask's splits had sent together. Where one of them comes from another subtask, or
 * from none (with only new ones here), it is the least that any subtask had. */
static int64_t merged_before(const struct leat_source_host *host, const struct leat_saved_splits *saved)
{
    const struct leat_part *own = leat__saved_part(saved, host->inst->ctx.subtask);
    bool all_own = own != NULL && own->watermark_us < LEAT_TIME_MAX;
    for (uint32_t i = 0; i < host->splits_count; i++) {
        const struct leat_saved_split *found = leat__saved_split(saved, host->splits[i].split->id);
        all_own = all_own && (!found || found->part->ended || found->subtask == host->inst->ctx.subtask);
    }
    return all_own ? own->watermark_us : leat__saved_least_us(saved);
}

static int set_resume(struct leat_source_host *host, struct host_split *split, const char *text, size_t len)
{
    leat__strbuf_clear(&split->resume);
    leat__strbuf_add(&split->resume, text, len);
    return split->resume.failed ? leat__fail(&host->inst->ctx, LEAT_ENOMEM, "out of memory for positions")
                                : 0;
}

static int restore_split(struct leat_source_host *host, uint32_t index, const struct leat_split_part *part)
{
    struct host_split *split = &host->splits[index];
    split->newest_us = part->newest_us;
    split->wm_us = part->watermark_us;
    split->ended = part->ended;
    (void)leat__wm_advance(&host->merge, index, part->watermark_us);
    if (part->ended)
        (void)leat__wm_end(&host->merge, index);
    else if (part->idle)
        (void)leat__wm_set_idle(&host->merge, index);
    return part->position.data ? set_resume(host, split, part->position.data, part->position.len) : 0;
}

static int restore_splits(struct leat_source_host *host, const struct leat_split_list *splits)
{
    struct leat__ctx *ctx = &host->inst->ctx;
    struct leat_saved_splits saved;
    LEAT_TRY(leat__saved_splits_open(&saved, host->inst));
    int result = ctx->subtask == 0 ? leat__saved_splits_check(&saved, splits, ctx) : 0;
    if (result == 0 && saved.parts_count > 0)
        leat__wm_restore(&host->merge, merged_before(host, &saved));
    for (uint32_t i = 0; result == 0 && i < host->splits_count; i++) {
        const struct leat_saved_split *found = leat__saved_split(&saved, host->splits[i].split->id);
        if (found)
            result = restore_split(host, i, found->part);
        else
            (void)leat__wm_advance(&host->merge, i, LEAT_TIME_MIN); /* new: it has spoken, as low as that */
    }
    host->sent_wm_us = ctx->watermark_us = host->merge.merged_us;
    host->inst->counters.watermark_us = host->merge.merged_us;
    host->inst->must_say = true;
    leat__saved_splits_close(&saved);
    return result;
}

/* ---- groups (runtime/align.h) ---- */

/* Tells how far the slowest active split is. */
static void tell_group(struct leat_source_host *host)
{
    int64_t low_us = LEAT_TIME_MAX;
    if (!host->slot)
        return;
    for (uint32_t i = 0; i < host->splits_count && !host->inst->ended; i++) {
        const struct host_split *split = &host->splits[i];
        if (!split->ended && !host->merge.parts[i].idle && split->wm_us < low_us)
            low_us = split->wm_us;
    }
    leat__align_tell(host->slot, host->inst->worker, low_us);
}

static int64_t limit_us(const struct leat_source_host *host)
{
    return host->slot ? leat__align_limit(&host->inst->worker->job->align, host->slot,
                            host->inst->plan->node->time.max_drift_us)
                      : LEAT_TIME_MAX;
}

/* Whether the split may be read as far as its group is concerned. The time for which it was not is no idleness. */
static bool is_admitted(struct leat_source_host *host, struct host_split *split, int64_t limit_us)
{
    const int64_t now_ns = host->inst->worker->now_ns;
    if (split->wm_us > limit_us) {
        split->paused_ns = split->paused_ns ? split->paused_ns : now_ns;
        return false;
    }
    if (split->paused_ns)
        split->active_ns += now_ns - split->paused_ns;
    split->paused_ns = 0;
    return true;
}

/* Counts the time for which there was nothing to read but what is too far ahead. */
static void note_paused(struct leat_source_host *host, bool paused)
{
    const int64_t now_ns = host->inst->worker->now_ns;
    if (host->paused_ns)
        leat__count(&host->inst->counters.paused_ns, (uint64_t)(now_ns - host->paused_ns));
    host->paused_ns = paused ? now_ns : 0;
}

static int add_split(struct leat_source_host *host, const struct leat_split *split)
{
    if (host->splits_count == host->splits_capacity) {
        const uint32_t capacity = host->splits_capacity ? 2 * host->splits_capacity : 8;
        struct host_split *grown = leat__realloc(host->splits, capacity * sizeof *grown);
        if (!grown)
            return LEAT_ENOMEM;
        host->splits = grown;
        host->splits_capacity = capacity;
    }
    host->splits[host->splits_count++] = (struct host_split){ .split = split,
        .newest_us = LEAT_TIME_MIN,
        .wm_us = LEAT_TIME_MIN,
        .active_ns = host->inst->worker->env->mono_ns(host->inst->worker->env) };
    return 0;
}

/* Where splits of a job that begins new begin. */
static int begin_splits(struct leat_source_host *host)
{
    for (uint32_t i = 0; i < host->splits_count; i++) {
        const char *begin = host->splits[i].split->begin;
        if (begin)
            LEAT_TRY(set_resume(host, &host->splits[i], begin, strlen(begin)));
    }
    return 0;
}

int leat__source_host_new(struct leat_instance *inst, const struct leat_split_list *splits)
{
    struct leat_source_host *host = leat__calloc(1, sizeof *host);
    if (!host)
        return LEAT_ENOMEM;
    inst->source = host;
    host->inst = inst;
    host->source_class = leat__worker_source_class(inst->worker, inst->plan->node);
    host->grows = leat__source_grows(host->source_class, inst->plan->node);
    host->sent_wm_us = LEAT_TIME_MIN;
    for (uint32_t i = inst->ctx.subtask; i < splits->count; i += inst->ctx.parallelism)
        LEAT_TRY(add_split(host, &splits->splits[i]));
    LEAT_TRY(leat__wm_init(&host->merge, host->splits_count));
    if (host->grows)
        leat__wm_grows(&host->merge);
    host->slot = leat__align_slot(inst);
    LEAT_TRY(inst->worker->job->restored ? restore_splits(host, splits) : begin_splits(host));
    tell_group(host);
    return 0;
}

static void note_lag(struct leat_source_host *host, struct host_split *split, uint64_t lag)
{
    if (lag != split->lag) /* modulo 2^64: the sum over all splits comes out right */
        leat__count(&host->inst->counters.lag, lag - split->lag);
    split->lag = lag;
}

static void close_split(struct leat_source_host *host, struct host_split *split)
{
    if (split->reader) {
        note_lag(host, split, 0);
        host->source_class->close(split->reader);
        leat__free(split->reader);
        split->reader = NULL;
    }
}

void leat__source_host_free(struct leat_source_host *host)
{
    if (!host)
        return;
    for (uint32_t i = 0; i < host->splits_count; i++) {
        close_split(host, &host->splits[i]);
        leat__strbuf_release(&host->splits[i].resume);
    }
    if (host->source_class->leave)
        host->source_class->leave(&host->inst->ctx);
    leat__free(host->splits);
    leat__wm_release(&host->merge);
    leat__free(host);
}

void leat__source_host_unblocked(struct leat_source_host *host, int64_t blocked_ns)
{
    for (uint32_t i = 0; i < host->splits_count; i++)
        host->splits[i].active_ns += blocked_ns; /* no split is read while the outputs are full */
}

int64_t leat__source_host_newest_us(const struct leat_source_host *host)
{
    int64_t newest_us = LEAT_TIME_MAX;
    for (uint32_t i = 0; i < host->splits_count; i++)
        if (!host->splits[i].ended && host->splits[i].newest_us < newest_us)
            newest_us = host->splits[i].newest_us;
    return newest_us;
}

bool leat__source_host_has_splits(const struct leat_source_host *host)
{
    return host->splits_count > 0;
}

/* ---- splits that come ---- */

bool leat__source_grows(const struct leat_source_class *source_class, const struct leat_node *node)
{
    return source_class->discover && node->discover_us > 0;
}

void leat__source_host_offer(struct leat_source_host *host, struct leat_split_offer *offer)
{
    struct leat_split_offer *first = __atomic_load_n(&host->offers, __ATOMIC_RELAXED);
    do
        offer->next = first;
    while (!__atomic_compare_exchange_n(
        &host->offers, &first, offer, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
    leat__waker_wake(host->inst->worker->waker);
}

static bool has_offers(const struct leat_source_host *host)
{
    return __atomic_load_n(&host->offers, __ATOMIC_SEQ_CST) != NULL;
}

/* The oldest of the offers that came. */
static struct leat_split_offer *take_offers(struct leat_source_host *host)
{
    struct leat_split_offer *newest = __atomic_exchange_n(&host->offers, NULL, __ATOMIC_SEQ_CST);
    struct leat_split_offer *oldest = NULL;
    while (newest) {
        struct leat_split_offer *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

static int join_offers(struct leat_source_host *host)
{
    for (const struct leat_split_offer *offer = take_offers(host); offer; offer = offer->next) {
        if (add_split(host, offer->split) < 0 || leat__wm_add(&host->merge) < 0)
            return leat__fail(&host->inst->ctx, LEAT_ENOMEM, "out of memory for splits");
        if (offer->split->begin)
            LEAT_TRY(set_resume(host, &host->splits[host->splits_count - 1], offer->split->begin,
                strlen(offer->split->begin)));
    }
    return 0;
}

/* ---- choosing ---- */

static bool is_due(const struct host_split *split, int64_t wall_us)
{
    if (split->ended)
        return false;
    return split->wait_until_us <= wall_us ||
        (split->reader && __atomic_load_n(&split->reader->woken, __ATOMIC_SEQ_CST) != 0);
}

/* Whether the watermark, or that there is none to wait for, has yet to be told. */
static bool has_progress(const struct leat_source_host *host)
{
    return host->merge.idle != host->sent_idle || host->merge.merged_us > host->sent_wm_us;
}

bool leat__source_host_is_ready(struct leat_source_host *host, int64_t wall_us)
{
    if (host->inst->ended)
        return false;
    if (host->merge.ended || host->inst->must_say || has_progress(host) || has_offers(host) ||
        leat__worker_is_stopping(host->inst->worker) || leat__worker_is_draining(host->inst->worker))
        return true; /* to say so */
    const int64_t limit = limit_us(host);
    bool paused = false;
    for (uint32_t i = 0; i < host->splits_count; i++) {
        struct host_split *split = &host->splits[i];
        if (!is_due(split, wall_us))
            continue;
        if (is_admitted(host, split, limit))
            return true;
        paused = true;
    }
    if (host->slot)
        note_paused(host, paused);
    return false;
}

void leat__source_host_wake(struct leat_source_host *host)
{
    for (uint32_t i = 0; i < host->splits_count; i++)
        host->splits[i].wait_until_us = 0;
}

int64_t leat__source_host_wake_us(const struct leat_source_host *host)
{
    int64_t wake_us = LEAT_TIME_MAX;
    const int64_t limit = limit_us(host); /* who moves it wakes this worker */
    for (uint32_t i = 0; i < host->splits_count; i++) {
        const struct host_split *split = &host->splits[i];
        if (!split->ended && split->wm_us <= limit && split->wait_until_us < wake_us)
            wake_us = split->wait_until_us;
    }
    return wake_us;
}

/* The readable split that is furthest behind; in turn among equals. Without event time, the same one for a
 * while: then few files are open at once, and none starves beside an endless one. */
static struct host_split *pick_split(struct leat_source_host *host, int64_t wall_us)
{
    struct host_split *best = NULL;
    const int64_t limit = limit_us(host);
    const bool stay = !host->inst->plan->node->time.field && ++host->streak % STREAK_MAX != 0;
    for (uint32_t k = stay ? 0 : 1; host->splits_count > 0 && k <= host->splits_count; k++) {
        struct host_split *split = &host->splits[(host->last + k) % host->splits_count];
        if (!is_due(split, wall_us) || !is_admitted(host, split, limit))
            continue;
        if (!best || split->newest_us < best->newest_us)
            best = split;
    }
    if (best)
        host->last = (uint32_t)(best - host->splits);
    return best;
}

static int send_progress(struct leat_source_host *host)
{
    if (host->merge.merged_us > host->sent_wm_us && !host->merge.ended) {
        host->sent_wm_us = host->merge.merged_us;
        host->inst->ctx.watermark_us = host->sent_wm_us;
        LEAT_TRY(leat__instance_send_watermark(host->inst, host->sent_wm_us));
    }
    if (host->merge.idle != host->sent_idle) {
        host->sent_idle = host->merge.idle;
        LEAT_TRY(host->sent_idle ? leat__instance_send_idle(host->inst)
                                 : leat__instance_send_active(host->inst, host->sent_wm_us));
    }
    return 0;
}

/* After a restore: says what was said before the interruption, since consumers wait to hear it. */
static int say_restored(struct leat_source_host *host)
{
    if (!host->inst->must_say)
        return 0;
    host->inst->must_say = false;
    if (host->merge.ended)
        return 0; /* the end says it all */
    LEAT_TRY(leat__instance_send_active(host->inst, host->sent_wm_us));
    return send_progress(host);
}

/* Notes where the split would go on. */
static int note_position(struct leat_source_host *host, struct host_split *split)
{
    if (!split->reader)
        return 0;
    leat__strbuf_clear(&split->resume);
    const int result = host->source_class->position(split->reader, &split->resume);
    if (result < 0)
        return leat__fail_here(&host->inst->ctx);
    return split->resume.failed ? leat__fail(&host->inst->ctx, LEAT_ENOMEM, "out of memory for positions")
                                : 0;
}

/* Ends without being at the end. A checkpoint may still ask where that was. */
static int stop(struct leat_source_host *host)
{
    struct leat_job *job = host->inst->worker->job;
    const bool is_asked = job->coordinator || __atomic_load_n(&job->barrier_asked, __ATOMIC_RELAXED) > 0;
    for (uint32_t i = 0; is_asked && i < host->splits_count; i++)
        LEAT_TRY(note_position(host, &host->splits[i]));
    for (uint32_t i = 0; i < host->splits_count; i++)
        close_split(host, &host->splits[i]);
    host->inst->ended = host->inst->stopped = true;
    tell_group(host);
    return leat__instance_send_end(host->inst, true);
}

static int end(struct leat_source_host *host)
{
    for (uint32_t i = 0; i < host->splits_count; i++) {
        if (host->source_class->publish)
            LEAT_TRY(note_position(host, &host->splits[i]));
        close_split(host, &host->splits[i]);
        host->splits[i].ended = true; /* also where the job is drained */
        (void)leat__wm_end(&host->merge, i);
    }
    leat__wm_grown(&host->merge);
    host->inst->ended = true;
    tell_group(host);
    LEAT_TRY(leat__instance_send_watermark(host->inst, LEAT_TIME_MAX));
    return leat__instance_send_end(host->inst, false);
}

static int64_t watermark_behind(int64_t newest_us, int64_t out_of_orderness_us)
{
    int64_t wm_us;
    if (newest_us == LEAT_TIME_MIN || __builtin_sub_overflow(newest_us, out_of_orderness_us, &wm_us))
        return LEAT_TIME_MIN;
    return wm_us == LEAT_TIME_MIN ? LEAT_TIME_MIN : wm_us - 1;
}

/* A row without a usable time is as bad as one that can not be decoded, and takes the same way. The cause is
 * in the context's error. */
static int refuse_row(
    struct leat_source_host *host, struct host_split *split, struct leat_batch *batch, uint32_t row)
{
    const struct leat_source_class *source_class = host->source_class;
    const int64_t position =
        source_class->row_position ? source_class->row_position(split->reader, batch, row) : -1;
    const void *record = leat_batch_at(batch, row);
    char *json = NULL;
    size_t len = 0;
    if (host->inst->plan->node->policy == LEAT_DEAD_LETTER) {
        len = leat_record_print(record, batch->type, NULL, 0);
        json = leat__malloc(len + 1);
        if (!json)
            return leat__fail(&host->inst->ctx, LEAT_ENOMEM, "out of memory for a dead letter");
        (void)leat_record_print(record, batch->type, json, len + 1);
    }
    const int code = leat__reader_bad_row(split->reader, position, json, len);
    leat__free(json);
    return code;
}

/* Fills event_us of all rows and takes out those without a usable time. */
static int stamp(struct leat_source_host *host, struct host_split *split, struct leat_batch *batch)
{
    const struct leat_source_time *time = &host->inst->plan->node->time;
    const bool plain = leat__source_time_is_plain(time);
    const int64_t limit_us = leat__source_time_limit(time, host->inst->worker->wall_us);
    bool any_bad = false;

    for (uint32_t i = 0; i < batch->count; i++) {
        const void *record = leat_batch_at(batch, i);
        int64_t us;
        if (__builtin_expect(!leat__source_time_read(time, plain, limit_us, record, &us), 0)) {
            leat__source_time_explain(time, record, host->inst->ctx.error);
            LEAT_TRY(refuse_row(host, split, batch, i));
            if (!any_bad)
                memset(batch->keep, 1, batch->count);
            any_bad = true;
            batch->keep[i] = 0;
        }
        batch->event_us[i] = us;
    }
    if (any_bad)
        leat__batch_compact(batch);
    return 0;
}

/* Sends rows from .. to-1 as a batch of their own. Where that is all of it, the batch itself goes, and *batch
 * is NULL afterwards: whoever gets it has it alone. */
static int emit_rows(
    struct leat_source_host *host, struct leat_batch **batch, uint32_t from, uint32_t to, int64_t late_wm_us)
{
    struct leat_batch *part = *batch;
    if (from == 0 && to == part->count)
        *batch = NULL;
    else if (leat__batch_slice(host->inst->ctx.pool, *batch, from, to - from, &part) < 0)
        return leat__fail(&host->inst->ctx, LEAT_ENOMEM, "out of memory for a batch");
    part->late = late_wm_us > LEAT_TIME_MIN;
    part->late_wm_us = late_wm_us;
    return leat__instance_emit(host->inst, 0, part);
}

static int note_watermark(struct leat_source_host *host, struct host_split *split)
{
    const int64_t out_of_orderness_us = host->inst->plan->node->time.max_out_of_orderness_us;
    const int64_t wm_us = watermark_behind(split->newest_us, out_of_orderness_us);
    if (wm_us > split->wm_us)
        split->wm_us = wm_us;
    if (split->wm_us > LEAT_TIME_MIN)
        (void)leat__wm_advance(&host->merge, (uint32_t)(split - host->splits), split->wm_us);
    return send_progress(host);
}

/* The end of the times from `i` on of which each is above the one before, and above `above_us`. */
static uint32_t rise(const int64_t *times, uint32_t i, uint32_t count, int64_t above_us)
{
    while (i < count && times[i] > above_us)
        above_us = times[i++];
    return i;
}

static int64_t later_us(int64_t a_us, int64_t b_us)
{
    return a_us > b_us ? a_us : b_us;
}

/* Sends the rows of a split's batch, cut where lateness changes. *batch as in emit_rows. */
static int emit_timed(struct leat_source_host *host, struct host_split *split, struct leat_batch **batch)
{
    const int64_t out_of_orderness_us = host->inst->plan->node->time.max_out_of_orderness_us;
    const uint32_t count = (*batch)->count;
    const int64_t *times = (*batch)->event_us;
    int64_t newest_us = split->newest_us, wm_us = split->wm_us;
    uint32_t from = 0;
    bool late = false;

    for (uint32_t i = 0; i < count; i++) {
        const uint32_t risen = late ? i : rise(times, i, count, newest_us > wm_us ? newest_us : wm_us);
        if (risen > i) { /* none of these is late */
            i = risen;
            newest_us = times[i - 1];
            wm_us = later_us(wm_us, watermark_behind(newest_us, out_of_orderness_us));
        }
        if (i == count)
            break;
        const int64_t event_us = times[i];
        const bool is_late = event_us <= wm_us && wm_us > LEAT_TIME_MIN;
        if (__builtin_expect(is_late != late, 0)) {
            if (i > from)
                LEAT_TRY(emit_rows(host, batch, from, i, late ? wm_us : LEAT_TIME_MIN));
            split->newest_us = newest_us;
            LEAT_TRY(note_watermark(host, split));
            from = i;
            late = is_late;
        }
        if (event_us > newest_us) {
            newest_us = event_us;
            wm_us = later_us(wm_us, watermark_behind(newest_us, out_of_orderness_us));
        }
    }
    if (count > from)
        LEAT_TRY(emit_rows(host, batch, from, count, late ? wm_us : LEAT_TIME_MIN));
    split->newest_us = newest_us;
    return note_watermark(host, split);
}

static int open_split(struct leat_source_host *host, struct host_split *split)
{
    split->reader = leat__calloc(1, host->source_class->reader_size);
    if (!split->reader)
        return leat__fail(&host->inst->ctx, LEAT_ENOMEM, "out of memory to open %s", split->split->id);
    split->reader->source_class = host->source_class;
    split->reader->node = host->inst->plan->node;
    split->reader->split = split->split;
    split->reader->ctx = &host->inst->ctx;
    int result = host->source_class->open(split->reader);
    if (result == 0 && split->resume.data)
        result = host->source_class->seek(split->reader, split->resume.data, split->resume.len);
    return result < 0 ? leat__fail_here(&host->inst->ctx) : 0;
}

/* What follows from a read besides its rows: waiting, idleness, the end. */
static int note_read(
    struct leat_source_host *host, struct host_split *split, int result, uint32_t rows, int64_t now_ns)
{
    const int64_t idle_timeout_us = host->inst->plan->node->time.idle_timeout_us;
    const uint32_t index = (uint32_t)(split - host->splits);
    split->wait_until_us = 0;
    note_lag(host, split, split->reader->lag);
    if (result == LEAT_READ_END) {
        split->ended = true;
        if (host->source_class->publish)
            LEAT_TRY(note_position(host, split));
        close_split(host, split);
        (void)leat__wm_end(&host->merge, index);
        return send_progress(host);
    }
    if (rows > 0) {
        split->active_ns = now_ns;
        if (leat__wm_set_active(&host->merge, index))
            LEAT_TRY(send_progress(host));
    }
    if (result != LEAT_READ_WAIT)
        return 0;
    const int64_t soon_us = host->inst->worker->wall_us + WAIT_US;
    split->wait_until_us =
        split->reader->wake_us > host->inst->worker->wall_us ? split->reader->wake_us : soon_us;
    if (split->reader->has_more) {
        split->active_ns = now_ns;
        if (leat__wm_set_active(&host->merge, index))
            LEAT_TRY(send_progress(host));
    }
    if (idle_timeout_us > 0) {
        const int64_t left_us = idle_timeout_us - (now_ns - split->active_ns) / 1000;
        int64_t due_us;
        if (left_us <= 0) {
            if (leat__wm_set_idle(&host->merge, index))
                LEAT_TRY(send_progress(host));
        } else if (!__builtin_add_overflow(host->inst->worker->wall_us, left_us, &due_us)) {
            split->wait_until_us = due_us < split->wait_until_us ? due_us : split->wait_until_us;
        } /* else never, as LEAT_NEVER says */
    }
    return 0;
}

int leat__source_host_run(struct leat_source_host *host, int64_t now_ns)
{
    struct leat__ctx *ctx = &host->inst->ctx;
    struct leat_batch *batch;
    LEAT_TRY(say_restored(host));
    if (host->merge.ended || leat__worker_is_draining(host->inst->worker))
        return end(host);
    if (leat__worker_is_stopping(host->inst->worker))
        return stop(host);
    LEAT_TRY(join_offers(host));
    LEAT_TRY(send_progress(host));
    struct host_split *split = pick_split(host, host->inst->worker->wall_us);
    if (!split)
        return 0;
    if (host->paused_ns)
        note_paused(host, false);
    if (!split->reader)
        LEAT_TRY(open_split(host, split));
    if (leat__batch_get(ctx->pool, host->inst->plan->node->outputs[0].type, &batch) < 0)
        return leat__fail(ctx, LEAT_ENOMEM, "out of memory for a batch");
    split->reader->wake_us = 0;
    split->reader->has_more = false;
    __atomic_store_n(&split->reader->woken, 0, __ATOMIC_SEQ_CST); /* what comes from here on wakes it again */
    int result = host->source_class->read(split->reader, batch);
    if (result < 0)
        result = leat__fail_here(ctx);
    const uint32_t rows = batch->count;
    const bool timed = host->inst->plan->node->time.field != NULL;
    int outcome = result < 0 ? result : 0;
    if (outcome == 0 && rows > 0 && timed)
        outcome = stamp(host, split, batch);
    if (outcome == 0)
        outcome = leat__reader_flush(split->reader);
    if (outcome == 0 && rows > 0)
        outcome = timed ? emit_timed(host, split, &batch) : emit_rows(host, &batch, 0, rows, LEAT_TIME_MIN);
    leat__batch_release(batch);
    LEAT_TRY(outcome);
    LEAT_TRY(note_read(host, split, result, rows, now_ns));
    tell_group(host);
    return host->merge.ended ? end(host) : 0;
}

static int snapshot_split(
    struct leat_source_host *host, uint32_t index, struct leat_arena *arena, struct leat_split_part *part)
{
    struct host_split *split = &host->splits[index];
    LEAT_TRY(note_position(host, split));
    *part = (struct leat_split_part){ .id = split->split->id, /* lives as long as the job */
        .ended = split->ended,
        .newest_us = split->newest_us,
        .watermark_us = split->wm_us,
        .idle = host->merge.parts[index].idle };
    if (!split->resume.data || (split->ended && !host->source_class->publish))
        return 0;
    part->position.len = split->resume.len;
    part->position.data = leat__arena_copy(arena, split->resume.data, split->resume.len + 1);
    return part->position.data ? 0
                               : leat__fail(&host->inst->ctx, LEAT_ENOMEM, "out of memory for a checkpoint");
}

int leat__source_host_snapshot(
    struct leat_source_host *host, struct leat_arena *arena, struct leat_part *part)
{
    if (!host->inst->ended)
        LEAT_TRY(say_restored(host));
    struct leat_split_part *splits = leat__arena_array(arena, host->splits_count, sizeof *splits);
    if (!splits)
        return leat__fail(&host->inst->ctx, LEAT_ENOMEM, "out of memory for a checkpoint");
    for (uint32_t i = 0; i < host->splits_count; i++)
        LEAT_TRY(snapshot_split(host, i, arena, &splits[i]));
    part->splits = splits;
    part->splits_count = host->splits_count;
    part->watermark_us = host->merge.ended ? LEAT_TIME_MAX : host->sent_wm_us;
    return 0;
}

int leat__source_host_stop(struct leat_source_host *host)
{
    return stop(host);
}

int leat__source_host_lift(struct leat_source_host *host, int64_t wm_us)
{
    for (uint32_t i = 0; i < host->splits_count; i++) {
        struct host_split *split = &host->splits[i];
        if (split->ended || wm_us <= split->wm_us)
            continue;
        split->wm_us = wm_us;
        (void)leat__wm_advance(&host->merge, i, wm_us);
    }
    tell_group(host);
    return send_progress(host);
}

uint32_t leat__source_host_positions(
    const struct leat_source_host *host, struct leat_split_position *positions, uint32_t max)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < host->splits_count; i++) {
        const struct host_split *split = &host->splits[i];
        if (split->resume.data && count < max)
            positions[count++] =
                (struct leat_split_position){ split->split->id, { split->resume.data, split->resume.len } };
    }
    return count;
}
