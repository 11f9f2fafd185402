/* runtime/shell_background.c -- see the header. */
#include "runtime/shell_background.h"
#include "base/alloc.h"
#include "base/assert.h"

struct request {
    uv_work_t work;
    struct leat_shell_background *background;
    struct leat_task *task; /* not to be looked at once it is done: it is its owner's again */
};

static void run_task(struct leat_shell_background *background, struct leat_task *task)
{
    task->run(task);
    uv_mutex_lock(&background->lock);
    __atomic_store_n(&task->done, 1, __ATOMIC_RELEASE);
    uv_cond_broadcast(&background->ended);
    uv_mutex_unlock(&background->lock);
    (void)uv_async_send(background->wake); /* open until the loop was drained */
}

static void on_pool(uv_work_t *work)
{
    struct request *request = work->data;
    run_task(request->background, request->task);
}

static void on_loop(uv_work_t *work, int status)
{
    struct request *request = work->data;
    (void)status; /* nothing is ever cancelled */
    request->background->pending--;
    leat__free(request);
}

static void submit(void *arg, struct leat_task *task)
{
    struct leat_shell_background *background = arg;
    struct request *request = leat__calloc(1, sizeof *request);
    if (request) {
        request->work.data = request;
        request->background = background;
        request->task = task;
        background->pending++;
        if (uv_queue_work(background->loop, &request->work, on_pool, on_loop) == 0)
            return;
        background->pending--;
        leat__free(request);
    }
    run_task(background, task); /* no memory for a request: late is better than never */
}

static void wait(void *arg, struct leat_task *task)
{
    struct leat_shell_background *background = arg;
    uv_mutex_lock(&background->lock);
    while (!leat__task_is_done(task))
        uv_cond_wait(&background->ended, &background->lock);
    uv_mutex_unlock(&background->lock);
}

int leat__shell_background_open(struct leat_shell_background *background, uv_loop_t *loop, uv_async_t *wake)
{
    *background = (struct leat_shell_background){ .loop = loop, .wake = wake };
    if (uv_mutex_init(&background->lock) < 0)
        return LEAT_ENOMEM;
    if (uv_cond_init(&background->ended) < 0) {
        uv_mutex_destroy(&background->lock);
        return LEAT_ENOMEM;
    }
    background->made = true;
    return 0;
}

struct leat_background leat__shell_background_of(struct leat_shell_background *background)
{
    return (struct leat_background){ .arg = background, .submit = submit, .wait = wait };
}

void leat__shell_background_drain(struct leat_shell_background *background)
{
    while (background->made && background->pending > 0)
        (void)uv_run(background->loop, UV_RUN_ONCE);
}

void leat__shell_background_close(struct leat_shell_background *background)
{
    if (!background->made)
        return;
    LEAT_ASSERT(background->pending == 0);
    uv_cond_destroy(&background->ended);
    uv_mutex_destroy(&background->lock);
    background->made = false;
}
