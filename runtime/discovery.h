/* runtime/discovery.h -- splits that come while a job runs, and positions that are told to the outside: what the
 * coordinator does for sources beside checkpoints.
 *
 *   discovery   every node->discover_us a task asks the class which splits there are; those with new ids get the next
 *               numbers, and are offered to the hosts of their workers (instance.h). Nothing else waits for it: a
 *               checkpoint has what its barrier meets, and who goes on from it lists the splits anew.
 *   publishing  behind each checkpoint that is committed a task gives the class the positions; one at a time, and of
 *               checkpoints that come meanwhile the newest.
 *
 * Everything but the tasks runs on the coordinator's thread. A task works on what is its own while it is under way.
 * Failures are logged, once for each text in a row, and change nothing. */
#ifndef LEAT_RUNTIME_DISCOVERY_H
#define LEAT_RUNTIME_DISCOVERY_H
#include "base/error.h"

struct leat_job;
struct leat_manifest;

/* For an attempt: after the workers were opened, before they run; and when nothing runs any more. */
LEAT_NODISCARD int leat__discovery_new(struct leat_job *job);
void leat__discovery_free(struct leat_job *job);

/* Looks at tasks and the clock, and goes on: called by a shell wherever it calls the coordinator's step. */
void leat__discovery_step(struct leat_job *job);
/* When step wants to be called at the latest, by the wall clock as it is now; LEAT_TIME_MAX: not for time. */
int64_t leat__discovery_wake_us(const struct leat_job *job);

/* A checkpoint is durable and committed: copies the positions, and publishes them when it can. */
void leat__publish(struct leat_job *job, const struct leat_manifest *manifest);
/* The workers rest for ever and the tasks are done: publishes what waits; `ended` (0: no) is the id of a last
 * checkpoint, which has no positions of its own: those of the hosts are. */
void leat__publish_last(struct leat_job *job, uint64_t ended);
#endif
