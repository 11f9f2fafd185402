/* runtime/align.c -- groups of sources; see the header. There are few slots: everybody looks at all of them. */
#include "runtime/align.h"
#include "base/alloc.h"
#include "runtime/instance.h"
#include "runtime/job_private.h"
#include <string.h>

static const char *group_of(const struct leat_plan_node *node)
{
    return node->node->kind == LEAT_NODE_SOURCE ? node->node->time.align : NULL;
}

int leat__align_new(struct leat_job *job)
{
    const struct leat_plan *plan = job->plan;
    uint32_t count = 0;
    for (uint32_t n = 0; n < plan->nodes_count; n++)
        count += group_of(&plan->nodes[n]) ? plan->nodes[n].parallelism : 0;
    job->align = (struct leat_align){ 0 };
    if (count == 0)
        return 0;
    job->align.slots = leat__calloc(count, sizeof *job->align.slots);
    if (!job->align.slots)
        return LEAT_ENOMEM;
    for (uint32_t n = 0; n < plan->nodes_count; n++)
        for (uint32_t w = 0; group_of(&plan->nodes[n]) && w < plan->nodes[n].parallelism; w++)
            job->align.slots[job->align.count++] =
                (struct leat_align_slot){ LEAT_TIME_MIN, group_of(&plan->nodes[n]), w, { 0 } };
    return 0;
}

void leat__align_free(struct leat_job *job)
{
    leat__free(job->align.slots);
    job->align = (struct leat_align){ 0 };
}

struct leat_align_slot *leat__align_slot(const struct leat_instance *inst)
{
    const struct leat_job *job = inst->worker->job;
    const struct leat_plan *plan = job->plan;
    uint32_t first = 0;
    if (!group_of(inst->plan))
        return NULL;
    for (uint32_t n = 0; &plan->nodes[n] != inst->plan; n++)
        first += group_of(&plan->nodes[n]) ? plan->nodes[n].parallelism : 0;
    return &job->align.slots[first + inst->ctx.subtask];
}

void leat__align_tell(struct leat_align_slot *slot, struct leat_worker *worker, int64_t low_us)
{
    const struct leat_job *job = worker->job;
    if (__atomic_load_n(&slot->low_us, __ATOMIC_RELAXED) == low_us)
        return;
    __atomic_store_n(&slot->low_us, low_us, __ATOMIC_SEQ_CST);
    for (uint32_t i = 0; i < job->align.count; i++) {
        const struct leat_align_slot *other = &job->align.slots[i];
        if (other->worker != worker->index && strcmp(other->group, slot->group) == 0)
            leat__worker_touch(worker, &job->workers[other->worker]);
    }
}

int64_t leat__align_limit(
    const struct leat_align *align, const struct leat_align_slot *slot, int64_t max_drift_us)
{
    int64_t low_us = LEAT_TIME_MAX, limit_us;
    for (uint32_t i = 0; i < align->count; i++) {
        const struct leat_align_slot *other = &align->slots[i];
        const int64_t us = __atomic_load_n(&other->low_us, __ATOMIC_SEQ_CST);
        if (us < low_us && (other->group == slot->group || strcmp(other->group, slot->group) == 0))
            low_us = us;
    }
    if (low_us == LEAT_TIME_MIN) /* somebody has not been read yet */
        return low_us;
    return __builtin_add_overflow(low_us, max_drift_us, &limit_us) ? LEAT_TIME_MAX : limit_us;
}
