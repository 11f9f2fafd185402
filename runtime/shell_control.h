/* runtime/shell_control.h -- the socket on which a running job can be asked (runtime/control.h).
 *
 * A Unix socket `control` in the job's directory of checkpoints, for its owner only, on the coordinator's loop.
 * A job without checkpoints has none, nor one that is simulated. That there is none is a warning, no failure:
 * jobs run without being asked. */
#ifndef LEAT_RUNTIME_SHELL_CONTROL_H
#define LEAT_RUNTIME_SHELL_CONTROL_H
#include <uv.h>

struct leat_job;
struct leat_shell_control;

/* NULL where there is none. The job holds the lock of its directory: a socket that is there is a dead one's. */
struct leat_shell_control *leat__shell_control_open(struct leat_job *job, uv_loop_t *loop);
/* The job has ended, and its state stands: whoever waits for that is told, the socket goes. Before the lock is
 * given back, since the next run makes its own. Memory goes when the loop is closed. `control` may be NULL. */
void leat__shell_control_end(struct leat_shell_control *control);
#endif
