/* runtime/shell_uv.c -- workers on threads, each with a libuv loop that it sleeps in; the coordinator on the
 * caller's thread.
 *
 * A worker runs its step function for as long as there is work, without touching its loop. Before it sleeps
 * it raises its flag and looks once more; whoever sends to it (or makes room for it) afterwards sees the flag
 * and wakes it by uv_async_send. A worker that has nothing left to do for ever stays where it is, for
 * checkpoints, until the coordinator sees that all have come that far. The coordinator's loop has timers for
 * progress and for the next checkpoint, and one async for all that workers, tasks and other threads have to
 * say. Lock order: there are no locks (but shell_background.h's); shared are atomics, rings and uv_async
 * handles.
 *
 * A job that is restarted uses its shell again, with new threads: whoever asks for a stop meanwhile reaches it. */
#include "base/alloc.h"
#include "runtime/coordinator.h"
#include "runtime/discovery.h"
#include "runtime/job_private.h"
#include "runtime/shell_background.h"
#include "runtime/shell_control.h"
#include <errno.h>
#include <uv.h>

#define STEP_BUDGET 64u

struct worker_thread {
    struct leat_shell *shell;
    struct leat_worker *worker;
    uv_thread_t thread;
    uv_loop_t loop;
    uv_async_t wake;
    uv_timer_t timer;
    struct leat_shell_background background;
    bool loop_made, started;
    bool told; /* the coordinator knows that it has nothing left to do */
};

struct leat_shell {
    struct leat_job *job;
    struct leat_shell_control *control; /* NULL: nobody can ask this job */
    struct worker_thread *threads;
    uv_loop_t loop;
    uv_async_t notify;
    uv_timer_t timer; /* progress */
    uv_timer_t due; /* the coordinator's next thing */
    struct leat_shell_background background;
    bool waiting; /* in leat__shell_wait */
    uint32_t running; /* atomic: threads that have not returned */
    uint32_t finished; /* atomic: all workers rest for ever: they may return */
};

void leat__shell_notify(struct leat_shell *shell)
{
    const int saved_errno = errno; /* of whatever a signal handler has interrupted */
    (void)uv_async_send(
        &shell->notify); /* fails only on a closed handle; ours closes after the job has let go of it */
    errno = saved_errno;
}

static void wake_worker(void *arg, uint32_t index)
{
    struct leat_shell *shell = arg;
    (void)uv_async_send(&shell->threads[index].wake);
}

/* For threads that are none of ours (base/waker.h). */
static void wake_from_outside(void *arg)
{
    (void)uv_async_send(arg);
}

static void on_wake(uv_async_t *handle)
{
    (void)handle; /* waking is all */
}

/* The timer may be over before the loop looks for something to wait for (it was started long ago by the
 * loop's clock, or the thread was held up in between); without a timer it would wait for ever. A stopping
 * loop does not wait. */
static void on_timer(uv_timer_t *handle)
{
    uv_stop(handle->loop);
}

static bool may_return(const struct worker_thread *self)
{
    return leat__job_must_quit(self->worker->job) ||
        __atomic_load_n(&self->shell->finished, __ATOMIC_ACQUIRE) != 0;
}

static void sleep_until(struct worker_thread *self, int64_t wake_us)
{
    struct leat_worker *worker = self->worker;
    const uint64_t no_timer = UINT64_MAX;
    uint64_t wait_ms = no_timer;
    if (wake_us != LEAT_TIME_MAX) {
        const int64_t left_us = wake_us - worker->wall_us;
        wait_ms = left_us <= 0 ? 0 : (uint64_t)left_us / 1000 + 1;
    }
    __atomic_store_n(&worker->sleeping, 1, __ATOMIC_SEQ_CST);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    const bool stay = !leat__worker_has_work(worker) && !may_return(self);
    if (stay && wait_ms > 0) {
        uv_update_time(&self->loop); /* the loop's time is that of its last run */
        if (wait_ms != no_timer)
            (void)uv_timer_start(&self->timer, on_timer, wait_ms, 0); /* fails only on a closing handle */
        (void)uv_run(&self->loop, UV_RUN_ONCE);
        (void)uv_timer_stop(&self->timer);
    }
    __atomic_store_n(&worker->sleeping, 0, __ATOMIC_SEQ_CST);
}

static void run_worker(struct worker_thread *self)
{
    struct leat_job *job = self->worker->job;
    while (!may_return(self)) {
        int64_t wake_us = LEAT_TIME_MAX;
        struct leat_instance *failed = NULL;
        const int result = leat__worker_step(self->worker, STEP_BUDGET, &wake_us, &failed);
        leat__worker_wake_touched(self->worker, wake_worker, self->shell);
        if (result < 0) {
            leat__job_fail(job, &failed->error);
            return;
        }
        const bool done = result == LEAT_STEP_DONE;
        if (done && !self->told)
            leat__shell_notify(self->shell);
        self->told = done;
        if (result != LEAT_STEP_WORKED)
            sleep_until(self, wake_us);
    }
}

static void thread_main(void *arg)
{
    struct worker_thread *self = arg;
    run_worker(self);
    __atomic_fetch_sub(&self->shell->running, 1, __ATOMIC_ACQ_REL);
    leat__shell_notify(self->shell);
}

static void wake_all(struct leat_shell *shell)
{
    for (uint32_t i = 0; i < shell->job->workers_count; i++)
        if (shell->threads[i].started)
            wake_worker(shell, i); /* `started` is this thread's to write */
}

static void on_due(uv_timer_t *handle);

static void arm_due(struct leat_shell *shell)
{
    const int64_t checkpoint_us = leat__coordinator_wake_us(shell->job);
    const int64_t discovery_us = leat__discovery_wake_us(shell->job);
    const int64_t wake_us = checkpoint_us < discovery_us ? checkpoint_us : discovery_us;
    (void)uv_timer_stop(&shell->due);
    if (wake_us == LEAT_TIME_MAX)
        return;
    const int64_t left_us = wake_us - shell->job->env->wall_us(shell->job->env);
    uv_update_time(&shell->loop);
    (void)uv_timer_start(&shell->due, on_due, left_us <= 0 ? 0 : (uint64_t)left_us / 1000 + 1, 0);
}

/* Everything that the coordinator may have to do now. Workers are looked at after its step, which may have
 * asked for another checkpoint. */
static void attend(struct leat_shell *shell)
{
    struct leat_job *job = shell->job;
    if (__atomic_load_n(&job->stop_requested, __ATOMIC_SEQ_CST) && leat_job_state(job) == LEAT_JOB_RUNNING)
        leat__job_set_state(job, LEAT_JOB_STOPPING);
    leat__coordinator_step(job);
    leat__discovery_step(job);
    if (leat__workers_rest(job))
        __atomic_store_n(&shell->finished, 1, __ATOMIC_RELEASE);
    wake_all(shell);
    if (__atomic_load_n(&shell->running, __ATOMIC_ACQUIRE) == 0)
        uv_stop(&shell->loop);
    else
        arm_due(shell);
}

static void on_due(uv_timer_t *handle)
{
    attend(handle->data);
}

static void on_notify(uv_async_t *handle)
{
    struct leat_shell *shell = handle->data;
    if (shell->waiting)
        uv_stop(&shell->loop);
    else
        attend(shell);
}

static void on_progress(uv_timer_t *handle)
{
    struct leat_shell *shell = handle->data;
    leat__job_report_progress(shell->job);
}

static int make_loop(struct leat_shell *shell, uint32_t index)
{
    struct worker_thread *self = &shell->threads[index];
    self->shell = shell;
    self->worker = &shell->job->workers[index];
    if (uv_loop_init(&self->loop) < 0)
        return LEAT_ENOMEM;
    self->loop_made = true;
    const bool made = uv_async_init(&self->loop, &self->wake, on_wake) == 0 &&
        uv_timer_init(&self->loop, &self->timer) == 0;
    if (!made || leat__shell_background_open(&self->background, &self->loop, &self->wake) < 0)
        return LEAT_ENOMEM;
    self->worker->background = leat__shell_background_of(&self->background);
    leat__waker_open(self->worker->waker, wake_from_outside, &self->wake);
    return 0;
}

static int start_thread(struct worker_thread *self)
{
    __atomic_fetch_add(&self->shell->running, 1, __ATOMIC_ACQ_REL);
    if (uv_thread_create(&self->thread, thread_main, self) < 0) {
        __atomic_fetch_sub(&self->shell->running, 1, __ATOMIC_ACQ_REL);
        return LEAT_ENOMEM;
    }
    self->started = true;
    return 0;
}

static void close_handle(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void close_loop(uv_loop_t *loop)
{
    uv_walk(loop, close_handle, NULL);
    while (uv_run(loop, UV_RUN_DEFAULT) != 0)
        ;
    const int result = uv_loop_close(loop);
    LEAT_ASSERT(result == 0); /* every handle was closed above */
}

/* The loops of all workers exist before the first thread runs: any of them may be woken from then on. */
static int start_threads(struct leat_shell *shell)
{
    for (uint32_t i = 0; i < shell->job->workers_count; i++)
        LEAT_TRY(make_loop(shell, i));
    for (uint32_t i = 0; i < shell->job->workers_count; i++)
        LEAT_TRY(start_thread(&shell->threads[i]));
    return 0;
}

static int open_shell(struct leat_shell *shell)
{
    if (uv_loop_init(&shell->loop) < 0)
        return LEAT_ENOMEM;
    shell->notify.data = shell->timer.data = shell->due.data = shell;
    if (uv_async_init(&shell->loop, &shell->notify, on_notify) < 0 ||
        uv_timer_init(&shell->loop, &shell->timer) < 0 || uv_timer_init(&shell->loop, &shell->due) < 0 ||
        leat__shell_background_open(&shell->background, &shell->loop, &shell->notify) < 0) {
        close_loop(&shell->loop);
        return LEAT_ENOMEM;
    }
    return 0;
}

/* The job's shell, made when it is first needed. NULL when out of memory: the job has failed then. */
static struct leat_shell *shell_of(struct leat_job *job)
{
    struct leat_error err = { 0 };
    if (job->shell)
        return job->shell;
    struct leat_shell *shell = leat__calloc(1, sizeof *shell);
    if (!shell || open_shell(shell) < 0) {
        (void)leat__error(&err, LEAT_ENOMEM, "out of memory for %u workers", job->workers_count);
        leat__job_fail(job, &err);
        leat__free(shell);
        return NULL;
    }
    shell->job = job;
    shell->control = leat__shell_control_open(job, &shell->loop);
    __atomic_store_n(&job->shell, shell, __ATOMIC_SEQ_CST);
    return shell;
}

static void run_shell(struct leat_shell *shell)
{
    struct leat_job *job = shell->job;
    const uint64_t interval_ms = (uint64_t)(job->opts.progress_interval_us / 1000);
    struct leat_error err = { 0 };
    if (job->opts.on_progress)
        (void)uv_timer_start(&shell->timer, on_progress, interval_ms, interval_ms ? interval_ms : 1);
    if (start_threads(shell) < 0) {
        (void)leat__error(&err, LEAT_ENOMEM, "cannot start %u worker threads", job->workers_count);
        leat__job_fail(job, &err);
    }
    leat__shell_notify(shell); /* a request, or the last thread's end, may have come before */
    (void)uv_run(&shell->loop, UV_RUN_DEFAULT);
    (void)uv_timer_stop(&shell->timer);
    (void)uv_timer_stop(&shell->due);
    leat__shell_background_drain(&shell->background);
}

/* Waits for the threads and their tasks and closes their loops; whether all workers were done. */
static bool join_threads(struct leat_shell *shell)
{
    bool all_done = true;
    for (uint32_t i = 0; i < shell->job->workers_count; i++) {
        struct worker_thread *thread = &shell->threads[i];
        if (thread->started)
            (void)uv_thread_join(&thread->thread);
        all_done = all_done && thread->started && __atomic_load_n(&thread->worker->done, __ATOMIC_ACQUIRE);
        thread->started = false;
    }
    for (uint32_t i = 0; i < shell->job->workers_count; i++) {
        struct worker_thread *thread = &shell->threads[i];
        if (!thread->loop_made)
            continue;
        leat__shell_background_drain(&thread->background);
        thread->worker->background = (struct leat_background){ 0 };
        leat__waker_close(thread->worker->waker);
        close_loop(&thread->loop);
        leat__shell_background_close(&thread->background);
    }
    return all_done;
}

bool leat__shell_threads_run(struct leat_job *job)
{
    struct leat_error err = { 0 };
    struct leat_shell *shell = shell_of(job);
    if (!shell)
        return false;
    leat__free(shell->threads); /* of the run before */
    shell->threads = leat__calloc(job->workers_count, sizeof *shell->threads);
    if (!shell->threads) {
        (void)leat__error(&err, LEAT_ENOMEM, "out of memory for %u workers", job->workers_count);
        leat__job_fail(job, &err);
        return false;
    }
    __atomic_store_n(&shell->finished, 0, __ATOMIC_RELAXED);
    job->background = leat__shell_background_of(&shell->background);
    run_shell(shell);
    const bool all_done = join_threads(shell);
    job->background = (struct leat_background){ 0 };
    return all_done;
}

void leat__shell_wait(struct leat_job *job, int64_t us)
{
    struct leat_shell *shell = shell_of(job);
    if (!shell || __atomic_load_n(&job->cancel_requested, __ATOMIC_ACQUIRE))
        return;
    shell->waiting = true;
    uv_update_time(&shell->loop);
    (void)uv_timer_start(&shell->due, on_timer, us <= 0 ? 0 : (uint64_t)us / 1000 + 1, 0);
    (void)uv_run(&shell->loop, UV_RUN_DEFAULT);
    (void)uv_timer_stop(&shell->due);
    shell->waiting = false;
}

void leat__shell_ended(struct leat_shell *shell)
{
    if (!shell)
        return;
    leat__shell_control_end(shell->control);
    shell->control = NULL;
}

void leat__shell_free(struct leat_shell *shell)
{
    if (!shell)
        return;
    leat__shell_background_drain(&shell->background);
    close_loop(&shell->loop);
    leat__shell_background_close(&shell->background);
    leat__free(shell->threads);
    leat__free(shell);
}
