/* runtime/coordinator.c -- see the header. A job without checkpoints has no coordinator: nothing to do. */
#include "runtime/coordinator.h"
#include "runtime/job_private.h"

void leat__coordinator_step(struct leat_job *job)
{
    (void)job;
}

int64_t leat__coordinator_wake_us(const struct leat_job *job)
{
    (void)job;
    return LEAT_TIME_MAX;
}
