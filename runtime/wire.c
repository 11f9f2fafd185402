/* runtime/wire.c -- the channels of a job: one for each pair of subtasks that an edge of the plan joins. */
#include "base/alloc.h"
#include "base/assert.h"
#include "runtime/job_private.h"
#include <string.h>

/* Where the rows of an edge go: how many subtasks of the consumer one producer may send to. */
static uint32_t reach(const struct leat_plan *plan, const struct leat_plan_edge *edge)
{
    const bool all =
        edge->exchange && (edge->partitioning == LEAT_HASH || edge->partitioning == LEAT_BROADCAST);
    return all ? plan->nodes[edge->to].parallelism : 1;
}

static uint32_t target(const struct leat_plan_edge *edge, uint32_t producer, uint32_t k)
{
    if (edge->exchange)
        return edge->partitioning == LEAT_GATHER ? 0 : k;
    return producer;
}

static struct leat_instance *find_instance(struct leat_worker *worker, uint32_t plan_node)
{
    for (uint32_t i = 0; i < worker->instances_count; i++)
        if (worker->instances[i].plan == &worker->plan->nodes[plan_node])
            return &worker->instances[i];
    return NULL;
}

static int add_input(struct leat_instance *inst, struct leat_channel *channel)
{
    struct leat_channel **inputs =
        leat__realloc(inst->inputs, (inst->inputs_count + 1) * sizeof(struct leat_channel *));
    if (!inputs)
        return LEAT_ENOMEM;
    inst->inputs = inputs;
    inst->inputs[inst->inputs_count++] = channel;
    return 0;
}

static int wire_producer(struct leat_job *job, const struct leat_plan_edge *edge, uint32_t producer)
{
    struct leat_instance *from = find_instance(&job->workers[producer], edge->from);
    struct leat_out_edge *out = &from->outs[from->outs_count++];
    const uint32_t fan = reach(job->plan, edge);
    out->plan = edge;
    out->channels = leat__calloc(fan, sizeof(struct leat_channel *));
    if (!out->channels)
        return LEAT_ENOMEM;
    for (uint32_t k = 0; k < fan; k++) {
        const uint32_t consumer = target(edge, producer, k);
        struct leat_instance *to = find_instance(&job->workers[consumer], edge->to);
        if (!to)
            continue; /* a forward edge into a node with fewer subtasks is never planned */
        struct leat_channel *channel = &job->channels[job->channels_count++];
        channel->input = edge->input;
        channel->producer = &job->workers[producer];
        channel->consumer = &job->workers[consumer];
        out->channels[out->channels_count++] = channel;
        LEAT_TRY(leat__channel_init(channel, producer != consumer, job->opts.channel_batches));
        LEAT_TRY(add_input(to, channel));
    }
    LEAT_ASSERT(out->channels_count == fan);
    return 0;
}

int leat__job_wire(struct leat_job *job)
{
    const struct leat_plan *plan = job->plan;
    size_t channels = 0;
    for (uint32_t e = 0; e < plan->edges_count; e++)
        channels += (size_t)plan->nodes[plan->edges[e].from].parallelism * reach(plan, &plan->edges[e]);
    const size_t bytes = channels * sizeof *job->channels;
    job->channels = leat__aligned_alloc(_Alignof(struct leat_channel), bytes); /* base/ring.h */
    if (!job->channels)
        return LEAT_ENOMEM;
    memset(job->channels, 0, bytes);
    for (uint32_t e = 0; e < plan->edges_count; e++)
        for (uint32_t p = 0; p < plan->nodes[plan->edges[e].from].parallelism; p++)
            LEAT_TRY(wire_producer(job, &plan->edges[e], p));
    LEAT_ASSERT(job->channels_count == channels);
    return 0;
}
