/* runtime/control.h -- what can be asked of a running job: one line in, one line of JSON out.
 *
 *   status                              how it does: state, counters of all nodes, checkpoints
 *   checkpoint                          takes a checkpoint; the answer comes when it is complete or given up
 *   savepoint PATH                      the same, to a new directory of the user's
 *   stop [drain] [savepoint PATH]       stops the job; the answer comes at its end, whichever that is
 *   cancel                              gives up; the answer comes at its end
 *
 * PATH is the rest of the line. An answer is {"ok":true,...}, or {"ok":false,"error":"LEAT_E...","exit_code":N,
 * "message":"..."}. Here is what lines mean; who carries them is the shell's business (shell_control.c).
 *
 * Everything runs on the coordinator's thread. A *wait* is a request whose answer comes later; it belongs to
 * the control and outlives its client (client NULL then), since the job still calls back. */
#ifndef LEAT_RUNTIME_CONTROL_H
#define LEAT_RUNTIME_CONTROL_H
#include "base/strbuf.h"
#include "runtime/job_private.h"

#define LEAT_CONTROL_LINE_MAX 8192u
#define LEAT_CONTROL_NAME "control" /* the socket, in the job's directory of checkpoints */

struct leat_control_wait;

struct leat_control {
    struct leat_job *job;
    /* Gives a whole answer, line feed included, to a client. */
    void (*answer)(void *client, const char *text, size_t len);
    struct leat_control_wait *waits;
};

/* A line without its line feed, NUL-terminated. The answer may come during the call. */
void leat__control_ask(struct leat_control *control, void *client, const char *line);
/* The client has gone: nobody to answer. */
void leat__control_forget(struct leat_control *control, void *client);
/* The job has ended: answers everybody. */
void leat__control_end(struct leat_control *control);
/* The same to a client whose request has come too late. */
void leat__control_refuse(struct leat_control *control, void *client);
/* After it, when the job calls nobody back any more. */
void leat__control_release(struct leat_control *control);
#endif
