/* runtime/restore.c -- see the header. Runs on the coordinator's thread while instances are opened. */
#include "runtime/restore.h"
#include "base/alloc.h"
#include "runtime/job_private.h"
#include <stdlib.h>
#include <string.h>

/* ---- splits ---- */

static int compare_saved(const void *a, const void *b)
{
    const struct leat_saved_split *x = a, *y = b;
    return strcmp(x->part->id, y->part->id);
}

int leat__saved_splits_open(struct leat_saved_splits *saved, struct leat_instance *inst)
{
    const struct leat_restored *restored = inst->worker->job->restored;
    *saved = (struct leat_saved_splits){ 0 };
    saved->parts = leat__calloc(LEAT_WORKERS_MAX, sizeof(struct leat_part *));
    if (!saved->parts)
        return leat__fail(&inst->ctx, LEAT_ENOMEM, "out of memory for the splits of a checkpoint");
    saved->parts_count =
        leat__restored_parts(restored, inst->plan->node->name, saved->parts, LEAT_WORKERS_MAX);
    size_t count = 0;
    for (uint32_t p = 0; p < saved->parts_count; p++)
        count += saved->parts[p]->splits_count;
    saved->list = leat__calloc(count ? count : 1, sizeof *saved->list);
    if (!saved->list) {
        leat__saved_splits_close(saved);
        return leat__fail(&inst->ctx, LEAT_ENOMEM, "out of memory for the splits of a checkpoint");
    }
    for (uint32_t p = 0; p < saved->parts_count; p++)
        for (uint32_t s = 0; s < saved->parts[p]->splits_count; s++)
            saved->list[saved->count++] =
                (struct leat_saved_split){ &saved->parts[p]->splits[s], saved->parts[p]->subtask };
    qsort(saved->list, saved->count, sizeof *saved->list, compare_saved);
    return 0;
}

void leat__saved_splits_close(struct leat_saved_splits *saved)
{
    leat__free(saved->parts);
    leat__free(saved->list);
    *saved = (struct leat_saved_splits){ 0 };
}

const struct leat_saved_split *leat__saved_split(const struct leat_saved_splits *saved, const char *id)
{
    const struct leat_split_part wanted = { .id = id };
    const struct leat_saved_split key = { .part = &wanted };
    return bsearch(&key, saved->list, saved->count, sizeof *saved->list, compare_saved);
}

const struct leat_part *leat__saved_part(const struct leat_saved_splits *saved, uint32_t subtask)
{
    for (uint32_t p = 0; p < saved->parts_count; p++)
        if (saved->parts[p]->subtask == subtask)
            return saved->parts[p];
    return NULL;
}

int64_t leat__saved_least_us(const struct leat_saved_splits *saved)
{
    int64_t least_us = LEAT_TIME_MAX;
    for (uint32_t p = 0; p < saved->parts_count; p++)
        if (saved->parts[p]->watermark_us < least_us)
            least_us = saved->parts[p]->watermark_us;
    return least_us;
}

static int compare_ids(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

int leat__saved_splits_check(
    const struct leat_saved_splits *saved, const struct leat_split_list *splits, struct leat__ctx *ctx)
{
    const char **ids = leat__calloc(splits->count ? splits->count : 1, sizeof(char *));
    int result = ids ? 0 : leat__fail(ctx, LEAT_ENOMEM, "out of memory for the splits of a checkpoint");
    for (uint32_t i = 0; ids && i < splits->count; i++)
        ids[i] = splits->splits[i].id;
    if (ids)
        qsort(ids, splits->count, sizeof(char *), compare_ids);
    for (uint32_t i = 0; result == 0 && i < saved->count; i++) {
        const struct leat_split_part *part = saved->list[i].part;
        if (!part->ended && !bsearch(&part->id, ids, splits->count, sizeof(char *), compare_ids))
            result = leat__fail(ctx, LEAT_ENOTFOUND,
                "split \"%s\" was not read to its end when the checkpoint was taken, and is not there any "
                "more: "
                "bring it back, or begin new (restore option fresh)",
                part->id);
    }
    leat__free(ids);
    return result;
}

/* ---- watermarks ---- */

/* Whether a split that has not ended is on another worker than it was on. */
static bool has_moved(const struct leat_job *job, const struct leat_node *node, uint32_t parallelism,
    const struct leat_saved_splits *saved)
{
    const struct leat_split_list *splits = &job->splits[node->id];
    if (saved->parts_count > 0 && saved->parts_count != parallelism)
        return true;
    for (uint32_t i = 0; i < splits->count; i++) {
        const struct leat_saved_split *found = leat__saved_split(saved, splits->splits[i].id);
        if (found && !found->part->ended && found->subtask != i % parallelism)
            return true;
    }
    return false;
}

/* Looked at once per job, when its first operator is opened. */
static bool splits_moved(struct leat_instance *inst)
{
    struct leat_job *job = inst->worker->job;
    if (job->splits_moved != LEAT_SPLITS_UNKNOWN)
        return job->splits_moved == LEAT_SPLITS_MOVED;
    job->splits_moved = LEAT_SPLITS_STAYED;
    for (uint32_t n = 0; n < job->plan->nodes_count; n++) {
        const struct leat_plan_node *plan = &job->plan->nodes[n];
        struct leat_instance source = { .worker = inst->worker, .plan = plan };
        struct leat_saved_splits saved;
        if (plan->node->kind != LEAT_NODE_SOURCE)
            continue;
        if (leat__saved_splits_open(&saved, &source) < 0 ||
            has_moved(job, plan->node, plan->parallelism, &saved))
            job->splits_moved = LEAT_SPLITS_MOVED;
        leat__saved_splits_close(&saved);
    }
    return job->splits_moved == LEAT_SPLITS_MOVED;
}

static bool is_behind_hash(const struct leat_plan *plan, const struct leat_plan_node *node)
{
    for (uint32_t i = 0; i < node->edges_in_count; i++)
        if (plan->edges[node->edges_in[i]].partitioning == LEAT_HASH)
            return true;
    return false;
}

static bool is_equal(const struct leat_part *a, const struct leat_part *b)
{
    bool equal = a->watermark_us == b->watermark_us && a->inputs_count == b->inputs_count;
    for (uint32_t i = 0; equal && i < a->inputs_count && i < LEAT_NODE_INPUTS_MAX; i++)
        equal = a->input_watermark_us[i] == b->input_watermark_us[i];
    return equal;
}

static void take_least(struct leat_part *to, const struct leat_part *from)
{
    if (from->watermark_us < to->watermark_us)
        to->watermark_us = from->watermark_us;
    for (uint32_t i = 0; i < LEAT_NODE_INPUTS_MAX; i++)
        if (from->input_watermark_us[i] < to->input_watermark_us[i])
            to->input_watermark_us[i] = from->input_watermark_us[i];
}

/* Fills `begin` with what the instance begins with; false: nothing is known, LEAT_TIME_MIN. */
static bool find_begin(struct leat_instance *inst, struct leat_part *begin)
{
    const struct leat_part *parts[LEAT_WORKERS_MAX];
    const uint32_t count =
        leat__restored_parts(inst->worker->job->restored, inst->plan->node->name, parts, LEAT_WORKERS_MAX);
    bool all_equal = true;
    if (count == 0)
        return false;
    for (uint32_t p = 1; p < count; p++)
        all_equal = all_equal && is_equal(parts[0], parts[p]);
    *begin = *parts[0];
    if (all_equal)
        return true;
    if (count == inst->plan->parallelism && !splits_moved(inst)) {
        for (uint32_t p = 0; p < count; p++)
            if (parts[p]->subtask == inst->ctx.subtask)
                *begin = *parts[p];
        return true;
    }
    for (uint32_t p = 1; p < count; p++)
        take_least(begin, parts[p]);
    return is_behind_hash(inst->worker->plan, inst->plan);
}

void leat__restore_watermarks(struct leat_instance *inst)
{
    struct leat_part begin;
    const bool known = find_begin(inst, &begin);
    const int64_t wm_us = known ? begin.watermark_us : LEAT_TIME_MIN;
    inst->must_say = true;
    inst->end_told = wm_us == LEAT_TIME_MAX;
    inst->sent_wm_us = inst->ctx.watermark_us = inst->counters.watermark_us = wm_us;
    leat__wm_restore(&inst->merge, wm_us);
    for (uint32_t i = 0; i < inst->merge.count; i++) {
        const int64_t input_us =
            known && i < begin.inputs_count ? begin.input_watermark_us[i] : LEAT_TIME_MIN;
        if (inst->input_merges[i].ended)
            continue; /* without channels here */
        inst->ctx.input_watermark_us[i] = input_us;
        leat__wm_restore(&inst->input_merges[i], input_us);
    }
}

/* ---- what classes have saved ---- */

int leat__restore_class(struct leat_instance *inst)
{
    const struct leat_part *parts[LEAT_WORKERS_MAX];
    struct leat_sv blobs[LEAT_WORKERS_MAX];
    uint32_t blobs_count = 0;
    const uint32_t count =
        leat__restored_parts(inst->worker->job->restored, inst->plan->node->name, parts, LEAT_WORKERS_MAX);
    for (uint32_t p = 0; p < count; p++)
        if (parts[p]->blob.data)
            blobs[blobs_count++] = parts[p]->blob;
    if (blobs_count == 0)
        return 0;
    int result = LEAT_ESCHEMA;
    if (inst->op && inst->op->op_class->restore)
        result = inst->op->op_class->restore(inst->op, &inst->ctx, blobs, blobs_count);
    else if (inst->sink && inst->sink->sink_class->restore)
        result = inst->sink->sink_class->restore(inst->sink, &inst->ctx, blobs, blobs_count);
    else
        return leat__fail(&inst->ctx, LEAT_ESCHEMA,
            "the checkpoint has state of this node, and a node of kind %s keeps none: the name was another "
            "node's; give this one a new name",
            inst->plan->node->kind_name);
    if (result < 0 && inst->error.code == 0)
        (void)leat__error(&inst->error, result, "what the checkpoint has of it can not be read");
    return result < 0 ? leat__fail_here(&inst->ctx) : 0;
}
