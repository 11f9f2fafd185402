/* runtime/run.c -- leat_job_run: attempts to run a job, one after the other, each from the newest checkpoint.
 *
 *   open -> { recover -> prepare -> workers -> finish -> tear down -> back off } -> close
 *                ^-------- after an error that may pass, while attempts are left --------'
 *
 * A failure counts against attempts_max unless the attempt ran for healthy_us before. What fails again and
 * again from the same checkpoint is likely to be a record in the input or a fault of the program: the last
 * error says from where. Waiting is interrupted by stop (everything up to the newest checkpoint is done, so
 * the job is then STOPPED) and by cancel. */
#include "base/alloc.h"
#include "base/point.h"
#include "runtime/coordinator_private.h"
#include <inttypes.h>

static bool is_set(const uint32_t *flag)
{
    return __atomic_load_n(flag, __ATOMIC_ACQUIRE) != 0;
}

/* Prepares an attempt, from a checkpoint or new. 1: there is nothing left to run. */
static int begin_attempt(struct leat_job *job, struct leat_error *err)
{
    struct leat_coordinator *c = job->coordinator;
    LEAT_TRY(leat__places_begin_attempt(job, err));
    if (c) {
        LEAT_TRY(leat__recover(c, err));
        if (c->from_finished)
            return 1;
    }
    LEAT_TRY(leat__job_prepare(job));
    if (c)
        leat__coordinator_begin_attempt(c);
    return 0;
}

static void attempt(struct leat_job *job)
{
    struct leat_error err = { 0 };
    const int result = begin_attempt(job, &err);
    if (result < 0) {
        if (err.code == 0)
            (void)leat__error(&err, result, "cannot start the job: %s", leat_error_text(result));
        leat__job_fail(job, &err); /* prepare has told its error already */
        leat__job_set_state(job, LEAT_JOB_FAILED);
        return;
    }
    if (result > 0) {
        leat__job_set_state(job, LEAT_JOB_FINISHED);
        return;
    }
    leat__job_set_state(job, LEAT_JOB_RUNNING);
    leat__job_log(job, LEAT_LOG_INFO, NULL, "started topology=%s workers=%u", leat_topology_name(job->t),
        job->workers_count);
    const bool all_done = job->opts.simulate ? leat__shell_sim_run(job) : leat__shell_threads_run(job);
    leat__job_finish(job, all_done);
}

/* ---- restarts ---- */

struct restarts {
    uint32_t in_a_row;
    uint32_t same_place; /* of them, from the same checkpoint */
    uint64_t place;
    int64_t backoff_us; /* of the next one */
    int64_t began_ns; /* the attempt */
};

/* Whether another attempt is to be made; a last error then says how often. */
static bool may_restart(struct leat_job *job, struct restarts *r)
{
    const struct leat_restart_opts *opts = &job->opts.restart;
    const struct leat_coordinator *c = job->coordinator;
    if (leat_job_state(job) != LEAT_JOB_FAILED || is_set(&job->cancel_requested) || !c || opts->never ||
        !leat_error_is_retriable(job->error.code))
        return false;
    const int64_t ran_us = (job->env->mono_ns(job->env) - r->began_ns) / 1000;
    if (ran_us >= opts->healthy_us)
        *r = (struct restarts){ .backoff_us = opts->backoff_us, .began_ns = r->began_ns };
    r->same_place = r->in_a_row && r->place == c->newest.id ? r->same_place + 1 : 0;
    r->place = c->newest.id;
    if (opts->attempts_max == LEAT_ANY || r->in_a_row < opts->attempts_max)
        return true;
    if (r->in_a_row && r->same_place == r->in_a_row)
        (void)leat__error_prefix(&job->error,
            "given up after %u restarts, each from the same place (checkpoint %" PRIu64 ")", r->in_a_row,
            r->place);
    else if (r->in_a_row)
        (void)leat__error_prefix(&job->error, "given up after %u restarts", r->in_a_row);
    return false;
}

/* Whether the time is over; false when somebody does not want another attempt. */
static bool wait_for(struct leat_job *job, int64_t us)
{
    const int64_t until_ns = job->env->mono_ns(job->env) + us * 1000;
    for (;;) {
        const int64_t left_us = (until_ns - job->env->mono_ns(job->env) + 999) / 1000;
        if (is_set(&job->cancel_requested) || is_set(&job->last_wanted))
            return false;
        if (left_us <= 0)
            return true;
        if (job->sim_env)
            leat__env_sim_advance(job->sim_env, left_us);
        else
            leat__shell_wait(job, left_us);
    }
}

/* What the failed attempt has left; true: try again. */
static bool restart(struct leat_job *job, struct restarts *r)
{
    const struct leat_restart_opts *opts = &job->opts.restart;
    const int64_t wait_us = r->backoff_us;
    leat__job_log(job, LEAT_LOG_WARN, NULL, "restarting in %lld ms from checkpoint %" PRIu64 ": %s",
        (long long)(wait_us / 1000), job->coordinator->newest.id, job->error.message);
    leat__job_set_state(job, LEAT_JOB_RESTARTING);
    leat__job_report_progress(job);
    leat__job_teardown(job);
    r->in_a_row++;
    r->backoff_us = wait_us < opts->backoff_max_us / 2 ? 2 * wait_us : opts->backoff_max_us;
    const bool again = wait_for(job, wait_us);
    job->error = (struct leat_error){ 0 };
    __atomic_store_n(&job->failed, 0, __ATOMIC_RELEASE);
    if (!again) {
        leat__job_set_state(job, is_set(&job->cancel_requested) ? LEAT_JOB_CANCELLED : LEAT_JOB_STOPPED);
        return false;
    }
    job->attempt++;
    __atomic_store_n(&job->restarts, job->restarts + 1, __ATOMIC_RELAXED);
    return true;
}

static void run_attempts(struct leat_job *job)
{
    struct restarts r = { .backoff_us = job->opts.restart.backoff_us };
    job->attempt = 1;
    do {
        r.began_ns = job->env->mono_ns(job->env);
        attempt(job);
    } while (may_restart(job, &r) && restart(job, &r));
}

static int open_run(struct leat_job *job, struct leat_error *err)
{
    LEAT_TRY(leat__point_arm(err));
    LEAT_TRY(leat__places_open(job, err));
    return job->has_checkpoints ? leat__coordinator_open(job, err) : 0;
}

/* Nobody who has asked for something waits for an answer in vain. */
static void end_requests(struct leat_job *job)
{
    struct leat_error err = { 0 };
    struct leat_coordinator *c = job->coordinator;
    struct leat_request *lists[] = { c ? c->waiting : NULL, leat__requests_close(job) };
    (void)leat__error(&err, LEAT_ECANCELLED, "the job came to its end before that");
    if (c)
        c->waiting = NULL;
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        while (lists[i]) {
            struct leat_request *request = lists[i];
            lists[i] = request->next;
            leat__request_answer(request, 0, &err);
        }
    }
}

int leat_job_run(leat_job *job)
{
    struct leat_error err = { 0 };
    LEAT_ASSERT(leat_job_state(job) == LEAT_JOB_CREATED); /* a job runs once */
    job->started = true;
    job->started_ns = job->env->mono_ns(job->env);
    const int result = open_run(job, &err);
    if (result < 0) {
        leat__job_fail(job, &err);
        leat__job_set_state(job, LEAT_JOB_FAILED);
    } else {
        run_attempts(job);
    }
    end_requests(job);
    leat__shell_ended(job->shell);
    leat__job_report_progress(job);
    if (leat_job_state(job) == LEAT_JOB_CANCELLED)
        return LEAT_ECANCELLED;
    return leat_job_error(job)->code;
}
