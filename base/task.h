/* base/task.h -- a piece of blocking work (writing, syncing, linking) that must not run on a worker.
 *
 * Whoever makes a task owns it, and keeps it alive until `done` is set. `run` is called once, on some other
 * thread (in simulation: on the same one, at a moment that the seed picks; without a background: at once, by
 * submit). It touches nothing that the owner touches meanwhile. Afterwards the background sets `done` and
 * wakes the worker or coordinator that submitted the task, whose next step sees it. */
#ifndef LEAT_BASE_TASK_H
#define LEAT_BASE_TASK_H
#include "base/error.h"

struct leat_task {
    void (*run)(struct leat_task *task);
    uint32_t done; /* atomic: release when run has returned */
    void *link; /* the background's own while the task is under way */
};
static inline bool leat__task_is_done(const struct leat_task *task)
{
    return __atomic_load_n(&task->done, __ATOMIC_ACQUIRE) != 0;
}

/* Where tasks go. Tasks submitted through one background may run at the same time and in any order. */
struct leat_background {
    void *arg;
    void (*submit)(void *arg, struct leat_task *task); /* sets done to 0 first */
    /* Returns when the task is done: the last resort, for there is nothing else that could be done meanwhile.
     */
    void (*wait)(void *arg, struct leat_task *task);
};
/* Submits, or runs at once where background is NULL or empty. */
void leat__task_submit(struct leat_background *background, struct leat_task *task);
void leat__task_wait(struct leat_background *background, struct leat_task *task);
#endif
