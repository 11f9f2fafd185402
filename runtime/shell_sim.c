/* runtime/shell_sim.c -- all workers and the coordinator on one thread, in an order that a seed decides, under
 * a virtual clock.
 *
 * The next worker is drawn at random among those that may have work, with a small random budget; a task that
 * was submitted is run at some random moment, any of those that wait; the coordinator looks around before each
 * step. When nobody has anything to do, the clock jumps to the earliest wake-up. The same seed replays the same
 * schedule. If nobody has work, nobody waits for a time and not all are done, the job is stuck: that is a bug,
 * and the error says so. */
#include "base/alloc.h"
#include "runtime/coordinator.h"
#include "runtime/discovery.h"
#include "runtime/job_private.h"

#define BUDGET_MAX 4u
#define TASK_ODDS 8u /* one in so many turns is a task's, where one waits */

static void wake_nobody(void *arg, uint32_t index)
{
    (void)arg;
    (void)index; /* everybody is looked at again anyway */
}

/* ---- tasks ---- */

static void submit_task(void *arg, struct leat_task *task)
{
    struct leat_job *job = arg;
    task->link = job->sim_tasks.first;
    job->sim_tasks.first = task;
    job->sim_tasks.count++;
}

/* Takes it out of the queue and runs it; one that is not there was run already. */
static void run_task(struct leat_job *job, struct leat_task *task)
{
    struct leat_task *before = NULL, *at = job->sim_tasks.first;
    while (at && at != task) {
        before = at;
        at = at->link;
    }
    if (!at)
        return;
    if (before)
        before->link = at->link;
    else
        job->sim_tasks.first = at->link;
    job->sim_tasks.count--;
    at->run(at);
    __atomic_store_n(&at->done, 1, __ATOMIC_RELEASE);
}

static void wait_for_task(void *arg, struct leat_task *task)
{
    run_task(arg, task);
}

static void run_some_task(struct leat_job *job, uint64_t bits)
{
    struct leat_task *task = job->sim_tasks.first;
    for (uint64_t skip = bits % job->sim_tasks.count; skip > 0; skip--)
        task = task->link;
    run_task(job, task);
}

static void set_backgrounds(struct leat_job *job, struct leat_background background)
{
    job->background = background;
    for (uint32_t w = 0; w < job->workers_count; w++)
        job->workers[w].background = background;
}

/* ---- turns ---- */

static bool anybody_has_work(struct leat_job *job)
{
    for (uint32_t w = 0; w < job->workers_count; w++)
        if (leat__worker_has_work(&job->workers[w]))
            return true;
    return job->sim_tasks.count > 0;
}

/* One worker's turn; what its step said, or an error, which the job then has. */
static int step_worker(struct leat_job *job, uint32_t index, uint32_t budget, int64_t *wake_us)
{
    struct leat_worker *worker = &job->workers[index];
    struct leat_instance *failed = NULL;
    int64_t wake_at_us = LEAT_TIME_MAX;
    const int result = leat__worker_step(worker, budget, &wake_at_us, &failed);
    leat__worker_wake_touched(worker, wake_nobody, NULL);
    if (result < 0)
        leat__job_fail(job, &failed->error);
    if (wake_at_us < *wake_us)
        *wake_us = wake_at_us;
    return result;
}

int leat__sim_turn(struct leat_job *job, struct leat_sim_pass *pass)
{
    if (!job->background.submit)
        set_backgrounds(job, (struct leat_background){ job, submit_task, wait_for_task });
    const uint64_t bits = job->env->random(job->env);
    leat__coordinator_step(job);
    leat__discovery_step(job);
    if (leat__job_must_quit(job))
        return LEAT_ECANCELLED;
    if (job->sim_tasks.count > 0 && (pass->rested >= job->workers_count || (bits >> 24) % TASK_ODDS == 0)) {
        run_some_task(job, bits >> 32);
        pass->rested = 0;
        return 1;
    }
    if (pass->rested >= job->workers_count && !anybody_has_work(job))
        return 0;
    if (pass->rested == 0 || pass->rested >= job->workers_count) {
        *pass = (struct leat_sim_pass){ .next = (uint32_t)(bits >> 32) % job->workers_count,
            .wake_us = LEAT_TIME_MAX };
    } else {
        pass->next = (pass->next + 1) % job->workers_count; /* one round of resting workers ends the pass */
    }
    const int result = step_worker(job, pass->next, 1 + (uint32_t)bits % BUDGET_MAX, &pass->wake_us);
    LEAT_TRY(result);
    pass->rested = result == LEAT_STEP_WORKED ? 0 : pass->rested + 1;
    return 1;
}

bool leat__sim_settle(struct leat_job *job, int64_t *wake_us, bool *all_done)
{
    struct leat_sim_pass pass = { .wake_us = LEAT_TIME_MAX };
    int result;
    while ((result = leat__sim_turn(job, &pass)) > 0)
        ;
    const int64_t checkpoint_us = leat__coordinator_wake_us(job);
    const int64_t discovery_us = leat__discovery_wake_us(job);
    const int64_t due_us = checkpoint_us < discovery_us ? checkpoint_us : discovery_us;
    *wake_us = due_us < pass.wake_us ? due_us : pass.wake_us;
    *all_done = leat__workers_rest(job);
    return result == 0;
}

/* Runs until all are done or the job must quit; whether all are done. */
static bool run(struct leat_job *job)
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

bool leat__shell_sim_run(struct leat_job *job)
{
    const bool all_done = run(job);
    while (job->sim_tasks.count > 0)
        run_some_task(job, 0);
    set_backgrounds(job, (struct leat_background){ 0 });
    return all_done;
}
