/* runtime/coordinator.h -- the coordinator's side of checkpoints: when one is taken, whether it is complete,
 * and what becomes of it. runtime/checkpoint.h has the protocol.
 *
 * Everything here runs on the coordinator's thread (who called leat_job_run); what blocks (hashing, syncs,
 * commits, removals) is done by one task at a time on job->background.
 *
 * What a shell owes:
 *   (1) sets job->background (and every worker's) before the first step, and takes it away when it returns;
 *   (2) calls leat__coordinator_step when notified (a share is DONE or FAILED, a worker has acted on
 *       barrier_over, a request came), when a task of job->background is done, and at
 *       leat__coordinator_wake_us;
 *   (3) a worker whose instances have all ended takes part in checkpoints until all workers are done; it is
 *       not done while its share is RUNNING;
 *   (4) returns when all workers are done, or the job must quit, after the tasks under way are done. What is
 *       left of a checkpoint then is done by leat__coordinator_end.
 *
 * Handles: a checkpoint that is given up leaves its handles in the shares; they belong to the next one (rows
 * of an epoch that was closed are not lost). The coordinator takes them when the manifest stands. */
#ifndef LEAT_RUNTIME_COORDINATOR_H
#define LEAT_RUNTIME_COORDINATOR_H
#include "base/error.h"

struct leat_job;

/* Looks at shares, requests, tasks and the clock, and goes on. Cheap when there is nothing to do. */
void leat__coordinator_step(struct leat_job *job);
/* When step wants to be called at the latest, by the wall clock as it is now; LEAT_TIME_MAX: not for time. */
int64_t leat__coordinator_wake_us(const struct leat_job *job);
#endif
