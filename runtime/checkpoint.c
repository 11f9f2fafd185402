/* runtime/checkpoint.c -- what a checkpoint is made of, and its completion: seal, manifest, commits.
 *
 * The manifest is the decision: before it nothing of the epoch is visible and the checkpoint may still be
 * given up; after it the commits are carried out whatever happens, by us or by whoever recovers. Volatile
 * sinks come first: their handles are in no manifest, so a failure of another sink's commit must not keep
 * them. (model: runtime/models/commit.pml) */
#include "base/alloc.h"
#include "base/point.h"
#include "runtime/coordinator_private.h"
#include <stdio.h>
#include <string.h>

uint32_t leat__restored_parts(
    const struct leat_restored *restored, const char *node, const struct leat_part **parts, uint32_t max)
{
    uint32_t count = 0;
    for (uint32_t i = 0; restored && i < restored->parts_count; i++) {
        if (strcmp(restored->parts[i].node_name, node) != 0)
            continue;
        uint32_t at = count < max ? count : max;
        for (; at > 0 && parts[at - 1]->subtask > restored->parts[i].subtask; at--)
            if (at < max)
                parts[at] = parts[at - 1];
        if (at < max)
            parts[at] = &restored->parts[i];
        count++;
    }
    return count < max ? count : max;
}

const struct leat_sink_class *leat__job_sink_class(const struct leat_job *job, const struct leat_node *node)
{
    return job->sink_class ? job->sink_class : node->sink;
}

/* ---- the manifest ---- */

static int out_of_memory(struct leat_error *err)
{
    return leat__error(err, LEAT_ENOMEM, "out of memory for the manifest of a checkpoint");
}

static int fill_parts(struct leat_job *job, struct leat_manifest *m, struct leat_error *err)
{
    uint32_t count = 0;
    for (uint32_t w = 0; w < job->workers_count; w++)
        count += job->workers[w].share.parts_count;
    struct leat_part *parts = leat__arena_array(&m->arena, count + 1, sizeof *parts);
    bool *has_store = leat__arena_array(&m->arena, job->workers_count, sizeof *has_store);
    if (!parts || !has_store)
        return out_of_memory(err);
    count = 0;
    for (uint32_t w = 0; w < job->workers_count; w++) {
        const struct leat_share *share = &job->workers[w].share;
        if (share->parts_count)
            memcpy(&parts[count], share->parts, share->parts_count * sizeof *parts);
        count += share->parts_count;
        has_store[w] = share->has_state;
    }
    m->parts = parts;
    m->parts_count = count;
    m->has_store = has_store;
    return 0;
}

static bool is_same_table(const struct leat_table_info *a, const struct leat_table_info *b)
{
    return strcmp(a->node, b->node) == 0 && strcmp(a->name, b->name) == 0;
}

/* Adds a worker's tables to those that were there: entries are summed. */
static int merge_tables(
    struct leat_table_info *tables, uint32_t *count, const struct leat_share *share, struct leat_error *err)
{
    for (uint32_t i = 0; i < share->tables_count; i++) {
        const struct leat_table_info *table = &share->tables[i];
        uint32_t at = 0;
        while (at < *count && !is_same_table(&tables[at], table))
            at++;
        if (at == *count) {
            tables[(*count)++] = *table;
            continue;
        }
        if (tables[at].prefix != table->prefix)
            return leat__error(err, LEAT_ESTATE,
                "table \"%s\" of node \"%s\" has two prefixes in the workers' stores (a bug in the engine)",
                table->name, table->node);
        tables[at].entries += table->entries;
    }
    return 0;
}

static int fill_tables(struct leat_job *job, struct leat_manifest *m, struct leat_error *err)
{
    uint32_t count = 0;
    for (uint32_t w = 0; w < job->workers_count; w++)
        count += job->workers[w].share.tables_count;
    struct leat_table_info *tables = leat__arena_array(&m->arena, count + 1, sizeof *tables);
    if (!tables)
        return out_of_memory(err);
    count = 0;
    for (uint32_t w = 0; w < job->workers_count; w++)
        LEAT_TRY(merge_tables(tables, &count, &job->workers[w].share, err));
    m->tables = tables;
    m->tables_count = count;
    return 0;
}

static bool is_stateful(const struct leat_manifest *m, const char *node)
{
    for (uint32_t i = 0; i < m->parts_count; i++)
        if (strcmp(m->parts[i].node_name, node) == 0 && (m->parts[i].blob.data || m->parts[i].splits_count))
            return true;
    for (uint32_t i = 0; i < m->tables_count; i++)
        if (strcmp(m->tables[i].node, node) == 0)
            return true;
    return false;
}

static int fill_nodes(struct leat_job *job, struct leat_manifest *m, struct leat_error *err)
{
    const struct leat_plan *plan = job->plan;
    struct leat_manifest_node *nodes = leat__arena_array(&m->arena, plan->nodes_count, sizeof *nodes);
    if (!nodes)
        return out_of_memory(err);
    for (uint32_t n = 0; n < plan->nodes_count; n++)
        nodes[n] = (struct leat_manifest_node){ .name = plan->nodes[n].node->name,
            .kind = plan->nodes[n].node->kind_name,
            .parallelism = plan->nodes[n].parallelism,
            .is_stateful = is_stateful(m, plan->nodes[n].node->name) };
    m->nodes = nodes;
    m->nodes_count = plan->nodes_count;
    return 0;
}

static int fill_handles(struct leat_job *job, struct leat_manifest *m, struct leat_error *err)
{
    uint32_t count = 0, outboxes_count = 0;
    for (uint32_t w = 0; w < job->workers_count; w++) {
        count += job->workers[w].share.handles.count;
        outboxes_count += job->workers[w].share.outboxes.count;
    }
    struct leat_manifest_handle *handles = leat__arena_array(&m->arena, count + 1, sizeof *handles);
    struct leat_manifest_outbox *outboxes =
        leat__arena_array(&m->arena, outboxes_count + 1, sizeof *outboxes);
    if (!handles || !outboxes)
        return out_of_memory(err);
    count = outboxes_count = 0;
    for (uint32_t w = 0; w < job->workers_count; w++) {
        const struct leat_share *share = &job->workers[w].share;
        for (uint32_t i = 0; i < share->handles.count; i++) {
            const struct leat_handle *handle = &share->handles.handles[i];
            if (!leat__job_sink_class(job, handle->node)->is_volatile)
                handles[count++] =
                    (struct leat_manifest_handle){ handle->node->name, { handle->data, handle->len } };
        }
        for (uint32_t i = 0; i < share->outboxes.count; i++) {
            const struct leat_outbox_file *file = &share->outboxes.files[i];
            outboxes[outboxes_count++] =
                (struct leat_manifest_outbox){ file->node->name, file->slot, file->name, file->records };
        }
    }
    m->handles = handles;
    m->handles_count = count;
    m->outboxes = outboxes;
    m->outboxes_count = outboxes_count;
    return 0;
}

int leat__completion_fill(struct leat_completion *completion, struct leat_error *err)
{
    struct leat_coordinator *c = completion->coordinator;
    struct leat_job *job = c->job;
    struct leat_manifest *m = &completion->manifest;
    LEAT_ASSERT(!m->arena.blocks);
    *m = (struct leat_manifest){ .format = LEAT_MANIFEST_FORMAT,
        .leat_version = leat_version(),
        .job = leat_topology_name(job->t),
        .life = c->life,
        .id = c->id,
        .kind = LEAT_KIND_CHECKPOINT,
        .finished = completion->last,
        .taken_us = job->env->wall_us(job->env),
        .parallelism = job->plan->parallelism,
        .max_parallelism = job->plan->max_parallelism,
        .store = leat__job_store_class(job)->name };
    completion->stands = completion->in_doubt = false;
    completion->result = 0;
    completion->error = (struct leat_error){ 0 };
    if (!completion->last) {
        LEAT_TRY(fill_parts(job, m, err));
        LEAT_TRY(fill_tables(job, m, err));
    }
    LEAT_TRY(fill_nodes(job, m, err));
    return fill_handles(job, m, err);
}

void leat__completion_release(struct leat_completion *completion)
{
    leat__manifest_release(&completion->manifest);
}

/* ---- commits ---- */

int leat__commit_handle(struct leat_job *job, const struct leat_node *node, struct leat_sv handle,
    uint32_t index, uint32_t count, struct leat_error *err)
{
    const struct leat_sink_class *sink = leat__job_sink_class(job, node);
    const int result = sink->commit(node, job->env, handle.data, handle.len, err);
    if (result < 0) {
        if (err->code == 0)
            (void)leat__error(err, result, "%s", leat_error_text(result));
        return leat__error_prefix(
            err, "%s \"%s\": commit %u of %u", node->kind_name, node->name, index + 1, count);
    }
    return 0;
}

/* The handles of the sinks that are volatile, or of those that are not. */
static int commit_kind(
    struct leat_job *job, bool is_volatile, uint32_t *index, uint32_t count, struct leat_error *err)
{
    for (uint32_t w = 0; w < job->workers_count; w++) {
        const struct leat_handle_list *list = &job->workers[w].share.handles;
        for (uint32_t i = 0; i < list->count; i++) {
            const struct leat_handle *handle = &list->handles[i];
            if (leat__job_sink_class(job, handle->node)->is_volatile != is_volatile)
                continue;
            LEAT_TRY(leat__commit_handle(
                job, handle->node, (struct leat_sv){ handle->data, handle->len }, (*index)++, count, err));
            leat__point(LEAT_POINT_COMMIT_ONE);
        }
    }
    return 0;
}

/* Sends the outboxes of the manifest: their files are where the store says. */
static int send_outboxes(struct leat_completion *completion, struct leat_error *err)
{
    struct leat_coordinator *c = completion->coordinator;
    struct leat_job *job = c->job;
    struct leat_manifest *m = &completion->manifest;
    struct leat_delivery_file *files = leat__arena_array(&m->arena, m->outboxes_count + 1, sizeof *files);
    uint32_t count = 0;
    if (m->outboxes_count == 0)
        return 0;
    if (!files)
        return out_of_memory(err);
    for (uint32_t w = 0; w < job->workers_count; w++) {
        const struct leat_outbox_list *list = &job->workers[w].share.outboxes;
        for (uint32_t i = 0; i < list->count; i++) {
            char path[4096];
            LEAT_TRY(
                c->store->store_class->path(c->store, m->id, list->files[i].name, path, sizeof path, err));
            files[count] = (struct leat_delivery_file){ .node = list->files[i].node,
                .sink = leat__job_sink_class(job, list->files[i].node),
                .slot = list->files[i].slot,
                .records = list->files[i].records,
                .path = leat__arena_str(&m->arena, path) };
            if (!files[count++].path)
                return out_of_memory(err);
        }
    }
    return leat__delivery_send(c->delivery, m->id, files, count, err);
}

/* (model: commit.pml, commit, commit_next) */
int leat__completion_commit(struct leat_completion *completion, struct leat_error *err)
{
    struct leat_job *job = completion->coordinator->job;
    uint32_t count = 0, index = 0;
    for (uint32_t w = 0; w < job->workers_count; w++)
        count += job->workers[w].share.handles.count;
    LEAT_TRY(commit_kind(job, true, &index, count, err));
    LEAT_TRY(commit_kind(job, false, &index, count, err));
    LEAT_TRY(send_outboxes(completion, err));
    /* (model: commit.pml, commit_all) */
    leat__point(LEAT_POINT_COMMIT_ALL);
    return 0;
}

/* ---- completion ---- */

static int publish(struct leat_completion *completion, struct leat_error *err)
{
    struct leat_coordinator *c = completion->coordinator;
    struct leat_manifest *m = &completion->manifest;
    struct leat_manifest_file *files;
    const struct leat_manifest *before = c->newest_is_shared && c->newest.id ? &c->newest : NULL;
    LEAT_TRY(c->store->store_class->seal(
        c->store, m->id, before, &m->arena, &files, &m->files_count, &completion->new_bytes, err));
    m->files = files;
    for (uint32_t i = 0; i < m->files_count; i++)
        completion->bytes += files[i].bytes;
    return c->store->store_class->publish(c->store, m, err);
}

/* Whether a manifest that could not be published is there all the same. */
static bool is_there(struct leat_checkpoint_store *store, uint64_t id)
{
    struct leat_error err = { 0 };
    uint64_t *ids = NULL;
    uint32_t count = 0;
    const int result = store->store_class->list(store, &ids, &count, &err);
    bool found = result < 0; /* who knows */
    for (uint32_t i = 0; i < count; i++)
        found = found || ids[i] == id;
    leat__free(ids);
    return found;
}

/* It could as well have been lost in a crash. */
static void acknowledge(struct leat_completion *completion)
{
    struct leat_checkpoint_store *store = completion->coordinator->store;
    struct leat_error err = { 0 };
    if (store->store_class->acknowledge(store, completion->manifest.id, &err) < 0)
        leat__job_log(completion->coordinator->job, LEAT_LOG_DEBUG, NULL,
            "its commits would be done again after a crash: %s", err.message);
}

static void make_savepoints(struct leat_completion *completion)
{
    struct leat_checkpoint_store *store = completion->coordinator->store;
    for (struct leat_request *request = completion->requests; request; request = request->next) {
        if (!request->savepoint)
            continue;
        const int result =
            store->store_class->export(store, &completion->manifest, request->savepoint, &request->error);
        if (result < 0 && request->error.code == 0)
            (void)leat__error(&request->error, result, "%s", leat_error_text(result));
    }
}

void leat__completion_run(struct leat_completion *completion)
{
    struct leat_job *job = completion->coordinator->job;
    completion->bytes = 0;
    completion->result = publish(completion, &completion->error);
    if (completion->result == 0) {
        completion->stands = true;
        completion->durable_ns = job->env->mono_ns(job->env);
        completion->result = leat__completion_commit(completion, &completion->error);
    } else {
        completion->in_doubt = is_there(completion->coordinator->store, completion->manifest.id);
    }
    if (completion->result == 0) {
        acknowledge(completion);
        make_savepoints(completion);
    } else if (completion->error.code == 0)
        (void)leat__error(&completion->error, completion->result, "%s", leat_error_text(completion->result));
}

int leat__cleaning_run(struct leat_coordinator *c, uint64_t abandoned, uint32_t keep, struct leat_error *err)
{
    uint64_t *ids = NULL;
    uint32_t count = 0;
    if (abandoned)
        LEAT_TRY(c->store->store_class->abandon(c->store, abandoned, err));
    LEAT_TRY(c->store->store_class->list(c->store, &ids, &count, err));
    int result = 0;
    for (uint32_t i = 0; result == 0 && i + keep < count; i++)
        result = c->store->store_class->remove(c->store, ids[i], err);
    leat__free(ids);
    return result;
}
