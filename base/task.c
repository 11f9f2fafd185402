/* base/task.c -- see the header. */
#include "base/task.h"

void leat__task_submit(struct leat_background *background, struct leat_task *task)
{
    __atomic_store_n(&task->done, 0, __ATOMIC_RELAXED);
    if (background && background->submit) {
        background->submit(background->arg, task);
        return;
    }
    task->run(task);
    __atomic_store_n(&task->done, 1, __ATOMIC_RELEASE);
}

void leat__task_wait(struct leat_background *background, struct leat_task *task)
{
    if (background && background->wait && !leat__task_is_done(task))
        background->wait(background->arg, task);
}
