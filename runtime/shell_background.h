/* runtime/shell_background.h -- tasks on libuv's thread pool, for the owner of one loop (a worker, or the
 * coordinator).
 *
 * `done` is set on the pool's thread as soon as the task has run, and the owner is woken: a worker that is busy
 * sees it without running its loop. What libuv keeps per task is freed on the loop, later; so the loop is
 * drained before it is closed. The lock guards nothing but the way from "not done yet" to sleeping in wait. */
#ifndef LEAT_RUNTIME_SHELL_BACKGROUND_H
#define LEAT_RUNTIME_SHELL_BACKGROUND_H
#include "base/task.h"
#include <uv.h>

struct leat_shell_background {
    uv_loop_t *loop;
    uv_async_t *wake; /* the owner */
    uv_mutex_t lock;
    uv_cond_t ended;
    uint32_t pending; /* on the loop's thread: tasks whose memory libuv still has */
    bool made;
};

LEAT_NODISCARD int leat__shell_background_open(
    struct leat_shell_background *background, uv_loop_t *loop, uv_async_t *wake);
struct leat_background leat__shell_background_of(struct leat_shell_background *background);
/* Runs the loop until all tasks are done. On the loop's thread, or when that has ended. */
void leat__shell_background_drain(struct leat_shell_background *background);
void leat__shell_background_close(struct leat_shell_background *background); /* drained */
#endif
