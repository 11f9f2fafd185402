/* runtime/coordinator.c -- when checkpoints are taken, and what becomes of them; coordinator_private.h has the
 * states.
 *
 * Failures. What leaves rows and state as they were (a timeout, a full disk before the begin, a manifest that
 * could not be written) counts against checkpoint_failures_tolerated, and the next checkpoint covers it. What
 * leaves them unknown (a store or a sink's file that could not be written or synced, a commit that failed)
 * fails the attempt: recovery goes on from the checkpoint before, or completes the commits of this one. */
#include "base/alloc.h"
#include "base/point.h"
#include "runtime/coordinator_private.h"
#include "runtime/discovery.h"
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define FREE_BYTES_MIN (UINT64_C(16) << 20) /* beside what the checkpoint may write */
#define RETRY_NS INT64_C(100000000) /* after a failure: not at once again */
#define EAGER_ONE_IN 24u /* in a simulation whose clock stands still: steps per checkpoint */

static int64_t now_ns(const struct leat_coordinator *c)
{
    return c->job->env->mono_ns(c->job->env);
}

static void wake(struct leat_job *job)
{
    struct leat_shell *shell = __atomic_load_n(&job->shell, __ATOMIC_SEQ_CST);
    if (shell)
        leat__shell_notify(shell);
}

static void end_barrier(struct leat_coordinator *c)
{
    __atomic_store_n(&c->job->barrier_over, c->id, __ATOMIC_RELEASE);
    wake(c->job);
}

static bool all_acked(const struct leat_coordinator *c)
{
    for (uint32_t w = 0; w < c->job->workers_count; w++)
        if (__atomic_load_n(&c->job->workers[w].share.over, __ATOMIC_ACQUIRE) < c->job->barrier_over)
            return false;
    return true;
}

static void answer_all(struct leat_request **requests, uint64_t id, const struct leat_error *err)
{
    while (*requests) {
        struct leat_request *request = *requests;
        *requests = request->next;
        leat__request_answer(request, id, err ? err : request->error.code ? &request->error : NULL);
    }
}

/* ---- failures ---- */

/* A checkpoint will not be: counts it, tells who asked, and fails the job when there were too many. */
static void note_failure(struct leat_coordinator *c, const struct leat_error *err)
{
    struct leat_job *job = c->job;
    const uint32_t tolerated = job->opts.checkpoint_failures_tolerated;
    struct leat_error error = *err;
    (void)leat__error_prefix(&error, "checkpoint %" PRIu64, c->id);
    leat__metric_add(&job->checkpoints.failed, 1);
    c->failures++;
    c->ended_ns = now_ns(c);
    leat__job_log(job, LEAT_LOG_WARN, NULL, "%s", error.message);
    answer_all(&c->completion.requests, c->id, &error);
    leat__completion_release(&c->completion);
    if (tolerated != LEAT_ANY && c->failures > tolerated)
        leat__job_fail(job, &error);
}

/* Gives up the checkpoint under way; its files go when no worker looks at them any more. */
/* (model: barrier.pml, given_up) (model: commit.pml, given_up) */
static void give_up(struct leat_coordinator *c, const struct leat_error *err)
{
    end_barrier(c);
    c->cleaning.abandoned = c->id;
    c->phase = LEAT_COORDINATOR_SETTLING;
    note_failure(c, err);
}

/* ---- begin ---- */

static int check_space(struct leat_coordinator *c, struct leat_error *err)
{
    struct leat_job *job = c->job;
    uint64_t free_bytes = 0, needed = FREE_BYTES_MIN;
    char dir[sizeof job->barrier_dir];
    (void)snprintf(dir, sizeof dir, "%s", leat__places_job_dir(job->places));
    for (uint32_t w = 0; w < job->workers_count; w++)
        needed += __atomic_load_n(&job->workers[w].state_bytes, __ATOMIC_RELAXED);
    LEAT_TRY(job->env->fs_space(job->env, dir, &free_bytes, err));
    if (free_bytes >= needed)
        return 0;
    return leat__error(err, LEAT_ENOSPC,
        "refused: %s has %" PRIu64 " bytes free and it may need %" PRIu64
        "; make room, or keep fewer checkpoints (checkpoints_retained)",
        dir, free_bytes, needed);
}

static bool has_stop_request(const struct leat_coordinator *c)
{
    for (const struct leat_request *request = c->waiting; request; request = request->next)
        if (request->stops)
            return true;
    return false;
}

static bool stop_is_wanted(const struct leat_coordinator *c)
{
    return __atomic_load_n(&c->job->last_wanted, __ATOMIC_ACQUIRE) != 0 || has_stop_request(c);
}

/* When the next periodic checkpoint is due, by the monotonic clock; INT64_MAX: none. */
static int64_t due_ns(const struct leat_coordinator *c)
{
    const struct leat_job_opts *opts = &c->job->opts;
    if (opts->checkpoint_interval_us <= 0 || c->stopped_by)
        return INT64_MAX;
    const int64_t from_ns = c->begun_ns ? c->begun_ns : c->started_ns;
    int64_t due = from_ns + opts->checkpoint_interval_us * 1000;
    if (c->ended_ns && c->ended_ns + opts->checkpoint_min_pause_us * 1000 > due)
        due = c->ended_ns + opts->checkpoint_min_pause_us * 1000;
    return due;
}

/* When a begin may be tried again at the earliest. */
static int64_t retry_ns(const struct leat_coordinator *c)
{
    return c->failures ? c->ended_ns + RETRY_NS : INT64_MIN;
}

static bool is_wanted(struct leat_coordinator *c)
{
    struct leat_job *job = c->job;
    const int64_t now = now_ns(c);
    if (now < retry_ns(c))
        return false;
    if (c->waiting || (stop_is_wanted(c) && !c->stopped_by))
        return true;
    if (job->has_switched_checkpoints && job->opts.simulate && !c->stopped_by)
        return job->env->random(job->env) % EAGER_ONE_IN == 0;
    return now >= due_ns(c);
}

static void begin(struct leat_coordinator *c)
{
    struct leat_job *job = c->job;
    struct leat_error err = { 0 };
    c->id = ++c->last_id;
    c->begun_ns = now_ns(c);
    c->stops = stop_is_wanted(c);
    if (c->stops) /* also when this one fails: some sources may have stopped by then */
        __atomic_store_n(&job->last_wanted, 1, __ATOMIC_RELEASE);
    c->completion.requests = c->waiting;
    c->completion.last = false;
    c->waiting = NULL;
    int result = check_space(c, &err);
    if (result == 0)
        result =
            c->store->store_class->begin(c->store, c->id, job->barrier_dir, sizeof job->barrier_dir, &err);
    if (result < 0) { /* no worker knows of it */
        note_failure(c, &err);
        return;
    }
    if (c->stops)
        __atomic_store_n(&job->barrier_stops, c->id, __ATOMIC_RELEASE);
    /* (model: barrier.pml, barrier_asked) */
    leat__point(LEAT_POINT_BARRIER_ASKED);
    __atomic_store_n(&job->barrier_asked, c->id, __ATOMIC_RELEASE);
    c->phase = LEAT_COORDINATOR_WAITING;
    leat__job_log(job, LEAT_LOG_DEBUG, NULL, "checkpoint %" PRIu64 " begins", c->id);
    wake(job);
}

static bool try_begin(struct leat_coordinator *c)
{
    if (!all_acked(c) || leat__workers_rest(c->job) || !is_wanted(c))
        return false;
    begin(c);
    return c->phase != LEAT_COORDINATOR_IDLE;
}

/* ---- completion ---- */

static void run_completion(struct leat_task *task)
{
    leat__completion_run(
        (struct leat_completion *)(void *)((char *)task - offsetof(struct leat_completion, task)));
}

/* Whether all shares are DONE; fails the job for one that is FAILED. */
static bool shares_are_done(struct leat_coordinator *c)
{
    bool done = true;
    for (uint32_t w = 0; w < c->job->workers_count; w++) {
        struct leat_share *share = &c->job->workers[w].share;
        const uint32_t phase = __atomic_load_n(&share->phase, __ATOMIC_ACQUIRE);
        if (phase == LEAT_SHARE_FAILED) {
            struct leat_error err = share->error;
            (void)leat__error_prefix(&err, "checkpoint %" PRIu64, c->id);
            leat__job_fail(c->job, &err);
        }
        done = done && phase == LEAT_SHARE_DONE;
    }
    return done;
}

static void complete(struct leat_coordinator *c)
{
    struct leat_error err = { 0 };
    c->phase = LEAT_COORDINATOR_COMPLETING;
    c->completion.coordinator = c;
    c->completion.task.run = run_completion;
    if (leat__completion_fill(&c->completion, &err) < 0) {
        give_up(c, &err);
        return;
    }
    leat__task_submit(&c->job->background, &c->completion.task);
}

static bool look_at_shares(struct leat_coordinator *c)
{
    struct leat_error err = { 0 };
    const int64_t timeout_us = c->job->opts.checkpoint_timeout_us;
    if (shares_are_done(c)) {
        complete(c);
        return true;
    }
    if (leat__job_must_quit(c->job) || now_ns(c) - c->begun_ns < timeout_us * 1000)
        return false;
    (void)leat__error(&err, LEAT_ETIMEOUT,
        "given up after %lld ms: not all workers have passed its barrier and saved their state (option "
        "checkpoint_timeout_us)",
        (long long)(timeout_us / 1000));
    give_up(c, &err);
    return true;
}

static void note_metrics(struct leat_coordinator *c)
{
    struct leat_job *job = c->job;
    struct leat_checkpoint_metrics *to = &job->checkpoints;
    int64_t passed_ns = c->begun_ns, pause_ns = 0;
    uint64_t dirty = 0;
    for (uint32_t w = 0; w < job->workers_count && !c->completion.last; w++) {
        const struct leat_share *share = &job->workers[w].share;
        passed_ns = share->passed_ns > passed_ns ? share->passed_ns : passed_ns;
        pause_ns = share->pause_ns > pause_ns ? share->pause_ns : pause_ns;
        dirty += share->dirty_entries;
    }
    leat__metric_add(&to->completed, 1);
    leat__metric_set(&to->last_id, c->id);
    leat__metric_set_us(&to->last_at_us, job->env->wall_us(job->env));
    leat__metric_set_us(&to->last_duration_us, (c->completion.durable_ns - c->begun_ns) / 1000);
    leat__metric_set_us(&to->last_align_us, (passed_ns - c->begun_ns) / 1000);
    leat__metric_set_us(&to->last_pause_us, pause_ns / 1000);
    leat__metric_set(&to->last_bytes, c->completion.bytes);
    leat__metric_set(&to->last_new_bytes, c->completion.new_bytes);
    leat__metric_set(&to->last_dirty_entries, dirty);
}

/* The manifest stands and everything is committed. */
static void succeed(struct leat_coordinator *c)
{
    struct leat_job *job = c->job;
    struct leat_manifest *m = &c->completion.manifest;
    note_metrics(c);
    leat__publish(job, m);
    for (uint32_t w = 0; w < job->workers_count; w++) {
        leat__handle_list_release(&job->workers[w].share.handles, job->env);
        leat__outbox_list_release(&job->workers[w].share.outboxes, job->env);
    }
    c->completion.stands = false; /* it is done with */
    leat__manifest_release(&c->newest);
    c->newest = (struct leat_manifest){
        .arena = m->arena, .id = m->id, .files = m->files, .files_count = m->files_count
    };
    *m = (struct leat_manifest){ 0 };
    c->newest_is_shared = true;
    c->failures = 0;
    c->ended_ns = now_ns(c);
    if (c->stops && !c->completion.last)
        c->stopped_by = c->id;
    for (const struct leat_request *request = c->completion.requests; request; request = request->next)
        if (request->drains)
            __atomic_store_n(&job->drain_requested, 1, __ATOMIC_RELEASE);
    leat__job_log(job, LEAT_LOG_DEBUG, NULL, "checkpoint %" PRIu64 " complete bytes=%llu new=%llu", c->id,
        (unsigned long long)c->completion.bytes, (unsigned long long)c->completion.new_bytes);
    answer_all(&c->completion.requests, c->id, NULL);
}

static void run_cleaning(struct leat_task *task)
{
    struct leat_cleaning *cleaning =
        (struct leat_cleaning *)(void *)((char *)task - offsetof(struct leat_cleaning, task));
    struct leat_coordinator *c = cleaning->coordinator;
    cleaning->error = (struct leat_error){ 0 };
    if (leat__cleaning_run(c, cleaning->abandoned, c->job->opts.checkpoints_retained, &cleaning->error) < 0 &&
        cleaning->error.code == 0)
        (void)leat__error(&cleaning->error, LEAT_ENOMEM, "out of memory");
}

static void clean(struct leat_coordinator *c)
{
    c->phase = LEAT_COORDINATOR_CLEANING;
    c->cleaning.coordinator = c;
    c->cleaning.task.run = run_cleaning;
    leat__task_submit(&c->job->background, &c->cleaning.task);
}

static bool finish_completion(struct leat_coordinator *c)
{
    const struct leat_completion *completion = &c->completion;
    if (!leat__task_is_done(&completion->task))
        return false;
    if (!completion->stands) {
        give_up(c, &completion->error);
        return true;
    }
    if (completion->result < 0) { /* recovery commits again: see end_attempt */
        leat__job_fail(c->job, &completion->error);
        return false;
    }
    succeed(c);
    end_barrier(c);
    c->cleaning.abandoned = 0;
    clean(c);
    return true;
}

static bool try_clean(struct leat_coordinator *c)
{
    if (!all_acked(c))
        return false;
    clean(c);
    return true;
}

/* What could not be removed is in nobody's way; the next one tries again. */
static bool finish_cleaning(struct leat_coordinator *c)
{
    if (!leat__task_is_done(&c->cleaning.task))
        return false;
    if (c->cleaning.error.code)
        leat__job_log(
            c->job, LEAT_LOG_WARN, NULL, "old checkpoints can not be removed: %s", c->cleaning.error.message);
    c->cleaning.abandoned = 0;
    c->phase = LEAT_COORDINATOR_IDLE;
    return true;
}

/* ---- the step ---- */

static void collect_requests(struct leat_coordinator *c)
{
    struct leat_request **last = &c->waiting;
    while (*last)
        last = &(*last)->next;
    *last = leat__requests_take(c->job);
}

static bool step_once(struct leat_coordinator *c)
{
    switch (c->phase) {
    case LEAT_COORDINATOR_IDLE:
        return try_begin(c);
    case LEAT_COORDINATOR_WAITING:
        return look_at_shares(c);
    case LEAT_COORDINATOR_COMPLETING:
        return finish_completion(c);
    case LEAT_COORDINATOR_SETTLING:
        return try_clean(c);
    case LEAT_COORDINATOR_CLEANING:
        return finish_cleaning(c);
    }
    return false;
}

void leat__coordinator_step(struct leat_job *job)
{
    struct leat_coordinator *c = job->coordinator;
    if (!c)
        return;
    collect_requests(c);
    while (!leat__job_must_quit(job) && step_once(c))
        ;
    if (stop_is_wanted(c) && leat_job_state(job) == LEAT_JOB_RUNNING)
        leat__job_set_state(job, LEAT_JOB_STOPPING);
}

int64_t leat__coordinator_wake_us(const struct leat_job *job)
{
    const struct leat_coordinator *c = job->coordinator;
    int64_t at_ns = INT64_MAX;
    if (!c)
        return LEAT_TIME_MAX;
    if (c->phase == LEAT_COORDINATOR_WAITING) {
        at_ns = c->begun_ns + job->opts.checkpoint_timeout_us * 1000;
    } else if (c->phase == LEAT_COORDINATOR_IDLE && all_acked(c)) {
        const bool asked = c->waiting || (stop_is_wanted(c) && !c->stopped_by);
        at_ns = asked ? INT64_MIN : due_ns(c);
        at_ns = retry_ns(c) > at_ns ? retry_ns(c) : at_ns;
    }
    if (at_ns == INT64_MAX)
        return LEAT_TIME_MAX;
    const int64_t from_ns = now_ns(c);
    return job->env->wall_us(job->env) + (at_ns > from_ns ? (at_ns - from_ns + 999) / 1000 : 0);
}

/* ---- attempts ---- */

void leat__coordinator_begin_attempt(struct leat_coordinator *c)
{
    struct leat_job *job = c->job;
    c->phase = LEAT_COORDINATOR_IDLE;
    c->id = c->last_id;
    c->begun_ns = c->ended_ns = 0;
    c->started_ns = now_ns(c);
    c->failures = 0;
    c->stopped_by = 0;
    /* Everything up to here is over for the new workers. */
    job->barrier_asked = job->barrier_over = c->last_id;
    job->barrier_stops = 0;
    for (uint32_t w = 0; w < job->workers_count; w++)
        job->workers[w].share.over = c->last_id;
}

/* The sinks close their last epoch; what belongs to it is synced and in its place. */
static int prepare_last(struct leat_coordinator *c, struct leat_error *err)
{
    struct leat_job *job = c->job;
    LEAT_TRY(c->store->store_class->begin(c->store, c->id, job->barrier_dir, sizeof job->barrier_dir, err));
    for (uint32_t w = 0; w < job->workers_count; w++) {
        struct leat_share *share = &job->workers[w].share;
        LEAT_TRY(leat__job_prepare_sinks(job, w, c->id, &share->handles, &share->outboxes, err));
        LEAT_TRY(leat__handle_list_sync(&share->handles, job->env, err));
        LEAT_TRY(leat__outbox_place(&share->outboxes, job->env, job->barrier_dir, err));
    }
    return 0;
}

/* The input has ended: one more checkpoint without state, behind which only commits are left to do. */
static int finish_job(struct leat_coordinator *c, struct leat_error *err)
{
    struct leat_completion *completion = &c->completion;
    c->id = ++c->last_id;
    c->begun_ns = now_ns(c);
    c->stops = false;
    completion->coordinator = c;
    completion->last = true;
    c->newest_is_shared = false;
    LEAT_TRY(prepare_last(c, err));
    LEAT_TRY(leat__completion_fill(completion, err));
    completion->requests = c->waiting; /* savepoints that nothing else came of are of the end */
    c->waiting = NULL;
    leat__completion_run(completion);
    if (completion->result < 0) {
        *err = completion->error;
        return completion->result;
    }
    succeed(c);
    c->cleaning.error = (struct leat_error){ 0 };
    if (leat__cleaning_run(c, 0, 1, &c->cleaning.error) < 0)
        leat__job_log(
            c->job, LEAT_LOG_WARN, NULL, "old checkpoints can not be removed: %s", c->cleaning.error.message);
    return 0;
}

/* Handles of what will never be; not those of a manifest that stands, or that could not be taken back. */
static void discard_shares(struct leat_coordinator *c)
{
    const bool decided = c->completion.stands || c->completion.in_doubt;
    for (uint32_t w = 0; w < c->job->workers_count; w++) {
        struct leat_share *share = &c->job->workers[w].share;
        if (!decided)
            leat__job_discard(c->job, &share->handles);
        leat__handle_list_release(&share->handles, c->job->env);
        leat__outbox_list_release(&share->outboxes, c->job->env);
    }
}

/* What was under way when the workers came to rest. No task is. */
static void end_under_way(struct leat_coordinator *c, bool commits)
{
    struct leat_error err = { 0 };
    if (c->phase == LEAT_COORDINATOR_WAITING && commits && shares_are_done(c))
        complete(c);
    if (c->phase == LEAT_COORDINATOR_COMPLETING) {
        if (c->completion.stands && c->completion.result == 0) {
            succeed(c);
            end_barrier(c);
        } else if (c->completion.stands) {
            leat__job_fail(c->job, &c->completion.error);
        } else {
            give_up(c, &c->completion.error);
        }
    } else if (c->phase == LEAT_COORDINATOR_WAITING) {
        end_barrier(c);
        c->cleaning.abandoned = c->id;
        (void)leat__error(&err, LEAT_ECANCELLED, "the job came to its end before it was complete");
        leat__metric_add(&c->job->checkpoints.failed, 1);
        answer_all(&c->completion.requests, c->id, &err);
    }
    if (c->cleaning.abandoned && c->store->store_class->abandon(c->store, c->cleaning.abandoned, &err) < 0)
        leat__job_log(c->job, LEAT_LOG_WARN, NULL, "checkpoint %" PRIu64 " can not be removed: %s",
            c->cleaning.abandoned, err.message);
    c->cleaning.abandoned = 0;
    c->phase = LEAT_COORDINATOR_IDLE;
}

void leat__coordinator_end_attempt(struct leat_coordinator *c, bool commits, bool was_stopped)
{
    struct leat_job *job = c->job;
    struct leat_error err = { 0 };
    collect_requests(c);
    end_under_way(c, commits);
    const bool ended = commits && __atomic_load_n(&job->failed, __ATOMIC_ACQUIRE) == 0;
    if (ended && was_stopped && !c->stopped_by) {
        (void)leat__error(&err, LEAT_EIO,
            "the job was stopped, but its last checkpoint could not be taken: the next run goes on from "
            "checkpoint %" PRIu64,
            c->newest.id);
        leat__job_fail(job, &err);
    } else if (ended && !was_stopped) {
        if (finish_job(c, &err) < 0)
            leat__job_fail(job, &err);
    }
    if (ended && __atomic_load_n(&job->failed, __ATOMIC_ACQUIRE) == 0)
        leat__publish_last(job, was_stopped ? 0 : c->id);
    discard_shares(c);
    answer_all(&c->completion.requests, c->id, &err);
    leat__completion_release(&c->completion);
    c->completion.stands = c->completion.in_doubt = false;
}
