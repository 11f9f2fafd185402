/* runtime/shell_sim.c -- all workers on one thread, in an order that a seed decides, under a virtual clock.
 *
 * The next worker is drawn at random among those that may have work, with a small random budget; when nobody
 * has, the clock jumps to the earliest wake-up. The same seed replays the same schedule. If nobody has work,
 * nobody waits for a time and not all are done, the job is stuck: that is a bug, and the error says so. */
#include "base/alloc.h"
#include "runtime/job_private.h"

#define BUDGET_MAX 4u

static void wake_nobody(void *arg, uint32_t index)
{
    (void)arg;
    (void)index; /* everybody is looked at again anyway */
}

bool leat__sim_settle(struct leat_job *job, int64_t *wake_us, bool *all_done)
{
    uint32_t rested = 0; /* workers in a row that had nothing to do */
    uint32_t done = 0;
    uint32_t next = 0;
    *wake_us = LEAT_TIME_MAX;
    while (rested < job->workers_count && !leat__job_must_quit(job)) {
        struct leat_worker *worker;
        struct leat_instance *failed = NULL;
        int64_t wake_at_us = LEAT_TIME_MAX;
        const uint64_t bits = job->env->random(job->env);
        if (rested == 0) {
            next = (uint32_t)(bits >> 32) % job->workers_count;
            done = 0;
            *wake_us = LEAT_TIME_MAX;
        } else {
            next = (next + 1) % job->workers_count; /* one full round of resting workers ends the pass */
        }
        worker = &job->workers[next];
        const int result = leat__worker_step(worker, 1 + (uint32_t)bits % BUDGET_MAX, &wake_at_us, &failed);
        leat__worker_wake_touched(worker, wake_nobody, NULL);
        if (result < 0) {
            leat__job_fail(job, &failed->error);
            return false;
        }
        if (result == LEAT_STEP_WORKED) {
            rested = 0;
            continue;
        }
        rested++;
        done += result == LEAT_STEP_DONE;
        if (wake_at_us < *wake_us)
            *wake_us = wake_at_us;
    }
    *all_done = done == job->workers_count;
    return !leat__job_must_quit(job);
}

bool leat__shell_sim_run(struct leat_job *job)
{
    struct leat_error err = { 0 };
    bool all_done = false;
    int64_t wake_us;
    while (leat__sim_settle(job, &wake_us, &all_done)) {
        if (all_done)
            return true;
        if (wake_us == LEAT_TIME_MAX) {
            (void)leat__error(&err, LEAT_EIO,
                "no progress: every worker waits for another one (a bug in the engine; seed %llu replays it)",
                (unsigned long long)job->opts.seed);
            leat__job_fail(job, &err);
            return false;
        }
        const int64_t now_us = job->env->wall_us(job->env);
        leat__env_sim_advance(job->sim_env, wake_us > now_us ? wake_us - now_us : 0);
    }
    return false;
}
