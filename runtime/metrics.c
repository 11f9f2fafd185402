/* runtime/metrics.c -- a job's progress: counters of all subtasks, added up per node. Readable while workers
 * run: they write with relaxed stores, and a figure that is a moment old does no harm. */
#include "base/alloc.h"
#include "runtime/job_private.h"

static uint64_t load(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static void add_instance(struct leat_node_metrics *to, const struct leat_instance *inst)
{
    const struct leat_counters *from = &inst->counters;
    const int64_t wm_us = __atomic_load_n(&from->watermark_us, __ATOMIC_RELAXED);
    to->records_in += load(&from->records_in);
    to->records_out += load(&from->records_out);
    to->late_records += load(&from->late_records);
    to->unassigned_records += load(&from->unassigned_records);
    to->dropped_records += load(&from->dropped_records);
    to->partials_in += load(&from->partials_in);
    to->combined_records += load(&from->combined_records);
    to->dead_letters += load(&from->dead_letters);
    to->bytes_in += load(&from->bytes_in);
    to->bytes_out += load(&from->bytes_out);
    to->busy_us += load(&from->busy_ns) / 1000;
    to->backpressured_us += load(&from->backpressured_ns) / 1000;
    to->paused_us += load(&from->paused_ns) / 1000;
    to->state_keys += load(&from->state_keys);
    to->records_lag += load(&from->lag);
    if (wm_us < to->watermark_us)
        to->watermark_us = wm_us;
}

static int64_t load_us(const int64_t *figure)
{
    return __atomic_load_n(figure, __ATOMIC_RELAXED);
}

static struct leat_checkpoint_metrics load_checkpoints(const struct leat_checkpoint_metrics *from)
{
    return (struct leat_checkpoint_metrics){ .completed = load(&from->completed),
        .failed = load(&from->failed),
        .restored_id = load(&from->restored_id),
        .last_id = load(&from->last_id),
        .last_at_us = load_us(&from->last_at_us),
        .last_duration_us = load_us(&from->last_duration_us),
        .last_align_us = load_us(&from->last_align_us),
        .last_pause_us = load_us(&from->last_pause_us),
        .last_bytes = load(&from->last_bytes),
        .last_new_bytes = load(&from->last_new_bytes),
        .last_dirty_entries = load(&from->last_dirty_entries) };
}

static void add_totals(struct leat_job *job)
{
    struct leat_progress *progress = &job->progress;
    progress->watermark_us = LEAT_TIME_MAX;
    for (uint32_t n = 0; n < job->plan->nodes_count; n++) {
        const struct leat_node *node = job->plan->nodes[n].node;
        const struct leat_node_metrics *metrics = &job->metrics[n];
        if (node->kind == LEAT_NODE_SOURCE) {
            progress->source_records += metrics->records_out;
            progress->source_bytes += metrics->bytes_in;
            for (uint32_t i = 0; i < job->splits[node->id].count; i++)
                progress->source_bytes_total += job->splits[node->id].splits[i].bytes;
        } else if (node->kind == LEAT_NODE_SINK) {
            progress->sink_records += metrics->records_in;
            if (metrics->watermark_us < progress->watermark_us)
                progress->watermark_us = metrics->watermark_us;
        }
    }
}

const struct leat_progress *leat_job_progress(leat_job *job)
{
    if (!job->metrics)
        job->metrics = leat__calloc(job->plan->nodes_count, sizeof *job->metrics);
    job->progress = (struct leat_progress){ .state = leat_job_state(job),
        .elapsed_us = job->started ? (job->env->mono_ns(job->env) - job->started_ns) / 1000 : 0,
        .nodes = job->metrics,
        .checkpoints = load_checkpoints(&job->checkpoints),
        .restarts = __atomic_load_n(&job->restarts, __ATOMIC_RELAXED) };
    if (!job->metrics)
        return &job->progress;
    job->progress.nodes_count = job->plan->nodes_count;
    for (uint32_t n = 0; n < job->plan->nodes_count; n++) {
        const struct leat_node *node = job->plan->nodes[n].node;
        job->metrics[n] = (struct leat_node_metrics){ .name = node->name,
            .kind = node->kind_name,
            .watermark_us = job->workers ? LEAT_TIME_MAX : LEAT_TIME_MIN };
        for (uint32_t w = 0; job->workers && w < job->workers_count; w++)
            for (uint32_t i = 0; i < job->workers[w].instances_count; i++)
                if (job->workers[w].instances[i].plan == &job->plan->nodes[n])
                    add_instance(&job->metrics[n], &job->workers[w].instances[i]);
    }
    add_totals(job);
    return &job->progress;
}

void leat__job_report_progress(struct leat_job *job)
{
    if (job->opts.on_progress)
        job->opts.on_progress(job->opts.progress_arg, leat_job_progress(job));
}
