/* runtime/recovery.c -- what a job begins with: chosen, verified, its commits completed, its state laid ready.
 *
 * Order, at every attempt:
 *   choose a manifest -> verify every file -> see that the topology fits -> complete its commits
 *   -> let sinks clean up beyond it -> lay out stores (split where the parallelism has changed)
 * Up to the commits nothing in the outside world changes, so that every refusal leaves things as they were.
 *
 * Going back behind the newest checkpoint would bring out again what its sinks have committed: that is refused
 * unless it is forced. (model: runtime/models/commit.pml) */
#include "base/alloc.h"
#include "base/point.h"
#include "runtime/coordinator_private.h"
#include "runtime/recovery.h"
#include "runtime/tree.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct recovery {
    struct leat_coordinator *c;
    struct leat_job *job;
    struct leat_manifest *m; /* c->from */
    struct leat_fit *fits;
    uint32_t fits_count;
    struct leat_error *err;
};

static int out_of_memory(struct leat_error *err)
{
    return leat__error(err, LEAT_ENOMEM, "out of memory for going on from a checkpoint");
}

/* ---- choosing ---- */

/* Reads the manifest and verifies every file of a checkpoint. */
static int try_checkpoint(
    struct leat_coordinator *c, struct leat_checkpoint_store *store, uint64_t id, struct leat_error *err)
{
    leat__manifest_release(&c->from);
    int result = store->store_class->read_manifest(store, id, &c->from, err);
    if (result == 0)
        result = store->store_class->verify(store, &c->from, err);
    c->from_store = store;
    return result;
}

/* The newest of the job's own; with `force` the newest that is whole. */
static int choose_own(struct leat_coordinator *c, const uint64_t *ids, uint32_t count, struct leat_error *err)
{
    struct leat_job *job = c->job;
    for (uint32_t i = count; i-- > 0;) {
        const int result = try_checkpoint(c, c->store, ids[i], err);
        if (result == 0)
            return 0;
        if (!job->opts.restore.force || i == 0) {
            const uint64_t older = i > 0 ? ids[i - 1] : 0;
            if (older)
                return leat__error_prefix(err,
                    "checkpoint %" PRIu64 " can not be used, and the sinks are at %" PRIu64
                    ": going on from %" PRIu64 " would give the output since then twice (restore.force does "
                    "it)",
                    ids[i], ids[i], older);
            return leat__error_prefix(err,
                "checkpoint %" PRIu64 " can not be used, and there is none before it (restore.fresh begins "
                "new)",
                ids[i]);
        }
        leat__job_log(job, LEAT_LOG_WARN, NULL,
            "forced: checkpoint %" PRIu64 " is left out, output since the one before it comes twice: %s",
            ids[i], err->message);
        *err = (struct leat_error){ 0 };
    }
    return 0;
}

static int check_newer(struct leat_coordinator *c, uint64_t newest, struct leat_error *err)
{
    struct leat_job *job = c->job;
    struct leat_manifest own = { 0 };
    struct leat_error local = { 0 };
    const char *from = job->opts.restore.from;
    const int result = c->store->store_class->read_manifest(c->store, newest, &own, &local);
    const bool is_same = result == 0 && own.id == c->from.id && strcmp(own.life, c->from.life) == 0;
    leat__manifest_release(&own);
    if (is_same)
        return 0;
    if (job->opts.restore.force) {
        leat__job_log(job, LEAT_LOG_WARN, NULL,
            "forced: the job goes back from its checkpoint %" PRIu64 " to %s (%" PRIu64
            "), output since then comes twice",
            newest, from, c->from.id);
        return 0;
    }
    return leat__error(err, LEAT_EEXISTS,
        "the job has a newer checkpoint of its own, %" PRIu64 " in %s: going on from %s (%" PRIu64
        ") would give output twice; leave restore.from out to go on from the newest one, or set "
        "restore.force",
        newest, leat__places_job_dir(job->places), from, c->from.id);
}

/* A savepoint, or a checkpoint by its path. */
static int choose_given(struct leat_coordinator *c, uint64_t newest, struct leat_error *err)
{
    struct leat_job *job = c->job;
    const char *from = job->opts.restore.from;
    struct leat_checkpoint_store *store = NULL;
    uint64_t *ids = NULL;
    uint32_t count = 0;
    LEAT_TRY(c->store->store_class->open(job->env, from, NULL, &store, err));
    int result = store->store_class->list(store, &ids, &count, err);
    if (result == 0 && count == 0)
        result = leat__error(err, LEAT_ENOTFOUND, "%s has no checkpoint", from);
    if (result == 0)
        result = try_checkpoint(c, store, ids[count - 1], err);
    leat__free(ids);
    if (result < 0) {
        c->from_store = NULL;
        store->store_class->close(store);
        return leat__error_prefix(err, "restore.from");
    }
    return newest ? check_newer(c, newest, err) : 0;
}

static int choose(struct leat_coordinator *c, struct leat_error *err)
{
    uint64_t *ids = NULL;
    uint32_t count = 0;
    LEAT_TRY(c->store->store_class->list(c->store, &ids, &count, err));
    const uint64_t newest = count ? ids[count - 1] : 0;
    const bool has_own = newest >= c->first_id; /* taken by this run */
    int result = 0;
    if (c->job->opts.restore.from && !has_own)
        result = choose_given(c, newest, err);
    else if (count)
        result = choose_own(c, ids, count, err);
    leat__free(ids);
    return result;
}

/* ---- fitting ---- */

static int fit_parallelism(struct recovery *r)
{
    struct leat_job *job = r->job;
    const uint32_t max = r->m->max_parallelism;
    struct leat_plan *plan;
    if (max == job->plan->max_parallelism)
        return 0;
    if (job->has_explicit_max)
        return leat__error(r->err, LEAT_EINVAL,
            "job option max_parallelism is %u, and the checkpoint was made with %u: it is fixed for a job's "
            "life; leave it out",
            job->plan->max_parallelism, max);
    if (job->opts.parallelism > max)
        return leat__error(r->err, LEAT_EINVAL,
            "job option parallelism is %u, and the checkpoint has only %u key groups (max_parallelism): give "
            "at most that",
            job->opts.parallelism, max);
    LEAT_TRY(leat__plan_new(job->t, job->opts.parallelism, max, &plan, r->err));
    leat__plan_free(job->plan);
    job->plan = plan;
    job->opts.max_parallelism = max;
    leat__job_plan_combine(job);
    return 0;
}

static int fit_store(struct recovery *r)
{
    const char *now = leat__job_store_class(r->job)->name;
    if (!r->m->store || strcmp(r->m->store, now) == 0 || r->m->finished)
        return 0;
    return leat__error(r->err, LEAT_EUNSUPPORTED,
        "the checkpoint's state is in a store of the kind \"%s\", and this run uses \"%s\": simulated runs "
        "and "
        "others do not go on from each other's checkpoints",
        r->m->store, now);
}

static int fit_nodes(struct recovery *r)
{
    struct leat_job *job = r->job;
    if (strcmp(r->m->job, leat_topology_name(job->t)) != 0)
        return leat__error(r->err, LEAT_EINVAL, "it is a checkpoint of the job \"%s\", and this is \"%s\"",
            r->m->job, leat_topology_name(job->t));
    LEAT_TRY(leat__restore_fit(
        job->plan, r->m, &job->opts.restore, &r->m->arena, &r->fits, &r->fits_count, r->err));
    for (uint32_t i = 0; i < r->fits_count; i++) {
        if (r->fits[i].fate == LEAT_FATE_REFUSED) {
            *r->err = r->fits[i].error;
            return r->err->code;
        }
    }
    return 0;
}

/* The node of today with what a saved one has left; NULL: it was dropped. */
static const struct leat_node *find_node(const struct recovery *r, const char *saved)
{
    for (uint32_t i = 0; i < r->fits_count; i++)
        if (r->fits[i].saved && strcmp(r->fits[i].saved->name, saved) == 0)
            return r->fits[i].now ? r->fits[i].now->node : NULL;
    return NULL;
}

/* ---- commits ---- */

static int commit_handles(struct recovery *r)
{
    for (uint32_t i = 0; i < r->m->handles_count; i++) {
        const struct leat_manifest_handle *handle = &r->m->handles[i];
        const struct leat_node *node = find_node(r, handle->node);
        if (!node || node->kind != LEAT_NODE_SINK) {
            leat__job_log(r->job, LEAT_LOG_WARN, handle->node,
                "the sink was dropped: what it had yet to make visible stays hidden, if there was anything");
            continue;
        }
        leat__point(LEAT_POINT_RESTORE_COMMITTING);
        LEAT_TRY(leat__commit_handle(r->job, node, handle->data, i, r->m->handles_count, r->err));
    }
    return 0;
}

/* The class of the fit's node, if that is a transactional sink on both sides. */
static const struct leat_sink_class *transactional(const struct recovery *r, const struct leat_fit *fit)
{
    if (!fit->saved || !fit->now || fit->now->node->kind != LEAT_NODE_SINK)
        return NULL;
    const struct leat_sink_class *sink = leat__job_sink_class(r->job, fit->now->node);
    return sink->transact ? sink : NULL;
}

/* Shuts out whoever else writes in the slots of transactional sinks. */
static int fence_slots(struct recovery *r)
{
    for (uint32_t i = 0; i < r->fits_count; i++) {
        const struct leat_fit *fit = &r->fits[i];
        const struct leat_sink_class *sink = transactional(r, fit);
        if (sink)
            LEAT_TRY(leat__delivery_seize(
                r->c->delivery, fit->now->node, sink, fit->saved->name, fit->saved->parallelism, r->err));
    }
    for (uint32_t i = 0; i < r->fits_count; i++) {
        const struct leat_fit *fit = &r->fits[i];
        const struct leat_sink_class *sink = transactional(r, fit);
        uint64_t marker = 0;
        if (!sink)
            continue;
        LEAT_TRY(leat__delivery_fence(r->c->delivery, fit->now->node, sink, fit->saved->name,
            fit->saved->parallelism, r->m->id, r->job->opts.restore.force, &marker, r->err));
        if (marker > r->c->last_id)
            r->c->last_id = marker;
    }
    return 0;
}

static int send_outboxes(struct recovery *r)
{
    struct leat_delivery_file *files =
        leat__arena_array(&r->m->arena, r->m->outboxes_count + 1, sizeof *files);
    uint32_t count = 0;
    if (!files)
        return out_of_memory(r->err);
    for (uint32_t i = 0; i < r->m->outboxes_count; i++) {
        const struct leat_manifest_outbox *outbox = &r->m->outboxes[i];
        const struct leat_node *node = find_node(r, outbox->node);
        char path[LEAT_TREE_PATH_MAX];
        if (!node || node->kind != LEAT_NODE_SINK)
            continue;
        LEAT_TRY(r->c->from_store->store_class->path(
            r->c->from_store, r->m->id, outbox->file, path, sizeof path, r->err));
        files[count] = (struct leat_delivery_file){ .node = node,
            .sink = leat__job_sink_class(r->job, node),
            .name = outbox->node,
            .slot = outbox->slot,
            .records = outbox->records,
            .path = leat__arena_str(&r->m->arena, path) };
        if (!files[count++].path)
            return out_of_memory(r->err);
    }
    return count ? leat__delivery_send(r->c->delivery, r->m->id, files, count, r->err) : 0;
}

/* ---- sinks beyond the checkpoint ---- */

static int recover_sink(struct recovery *r, const struct leat_fit *fit)
{
    const struct leat_node *node = fit->now->node;
    const struct leat_sink_class *sink = leat__job_sink_class(r->job, node);
    struct leat_sv *blobs = leat__arena_array(&r->m->arena, LEAT_WORKERS_MAX, sizeof *blobs);
    uint32_t count = 0;
    if (!blobs)
        return out_of_memory(r->err);
    if (!sink->recover)
        return 0;
    for (uint32_t i = 0; i < r->m->parts_count && count < LEAT_WORKERS_MAX; i++)
        if (strcmp(r->m->parts[i].node_name, fit->saved->name) == 0 && r->m->parts[i].blob.data)
            blobs[count++] = r->m->parts[i].blob;
    const int result = sink->recover(node, r->job->env, blobs, count, r->err);
    return result < 0 ? leat__error_prefix(r->err, "%s \"%s\"", node->kind_name, node->name) : 0;
}

static int recover_sinks(struct recovery *r)
{
    for (uint32_t i = 0; i < r->fits_count; i++)
        if (r->fits[i].saved && r->fits[i].now && r->fits[i].now->node->kind == LEAT_NODE_SINK)
            LEAT_TRY(recover_sink(r, &r->fits[i]));
    return 0;
}

/* ---- what instances begin with ---- */

static int lay_parts(struct recovery *r)
{
    struct leat_part *parts = leat__arena_array(&r->m->arena, r->m->parts_count + 1, sizeof *parts);
    struct leat_table_info *tables = leat__arena_array(&r->m->arena, r->m->tables_count + 1, sizeof *tables);
    struct leat_restored *to = &r->c->restored;
    if (!parts || !tables)
        return out_of_memory(r->err);
    *to = (struct leat_restored){ .id = r->m->id, .parts = parts, .tables = tables };
    for (uint32_t i = 0; i < r->m->parts_count; i++) {
        const char *name = leat__restore_name(r->fits, r->fits_count, r->m->parts[i].node_name);
        if (!name)
            continue;
        parts[to->parts_count] = r->m->parts[i];
        parts[to->parts_count++].node_name = name;
    }
    for (uint32_t i = 0; i < r->m->tables_count; i++) {
        const char *name = leat__restore_name(r->fits, r->fits_count, r->m->tables[i].node);
        if (!name)
            continue;
        tables[to->tables_count] = r->m->tables[i];
        tables[to->tables_count++].node = name;
    }
    return 0;
}

static uint32_t parallelism_now(void *arg, const struct leat_table_info *table)
{
    const struct leat_plan *plan = arg;
    for (uint32_t n = 0; n < plan->nodes_count; n++)
        if (strcmp(plan->nodes[n].node->name, table->node) == 0)
            return plan->nodes[n].parallelism;
    return plan->parallelism;
}

/* Whether every worker can go on with the store of the same number. */
static bool stores_fit(const struct recovery *r)
{
    if (r->m->parallelism != r->job->plan->parallelism)
        return false;
    for (uint32_t i = 0; i < r->fits_count; i++)
        if (r->fits[i].saved && r->fits[i].now && r->fits[i].is_stateful &&
            r->fits[i].saved->parallelism != r->fits[i].now->parallelism)
            return false;
    return true;
}

/* The directories of the saved stores, by worker of then; NULL where there is none. */
static const char **saved_stores(struct recovery *r, uint32_t *count)
{
    const char **dirs = leat__arena_array(&r->m->arena, r->m->parallelism, sizeof *dirs);
    *count = 0;
    for (uint32_t w = 0; dirs && w < r->m->parallelism; w++) {
        char name[32], path[LEAT_TREE_PATH_MAX];
        if (!r->m->has_store[w])
            continue;
        (void)snprintf(name, sizeof name, "worker-%" PRIu32, w);
        if (r->c->from_store->store_class->path(r->c->from_store, r->m->id, name, path, sizeof path, r->err) <
            0)
            return NULL;
        dirs[w] = leat__arena_str(&r->m->arena, path);
        if (!dirs[w])
            return NULL;
        (*count)++;
    }
    return dirs;
}

static int split_stores(struct recovery *r, const char **dirs, const char **to)
{
    struct leat_job *job = r->job;
    struct leat_file_info info;
    struct leat_error local = { 0 };
    uint32_t count = 0;
    for (uint32_t w = 0; w < r->m->parallelism; w++) /* those that are there, side by side */
        if (dirs[w])
            dirs[count++] = dirs[w];
    for (uint32_t w = 0; w < job->plan->parallelism; w++) {
        char path[LEAT_TREE_PATH_MAX];
        LEAT_TRY(leat__places_live(job, "split", w, path, sizeof path, r->err));
        to[w] = leat__arena_str(&r->m->arena, path);
        if (!to[w])
            return out_of_memory(r->err);
    }
    const struct leat_split_opts opts = { .env = job->env,
        .store_class = leat__job_store_class(job),
        .from = dirs,
        .from_count = count,
        .to = to,
        .to_count = job->plan->parallelism,
        .key_groups = r->m->max_parallelism,
        .tables = r->c->restored.tables,
        .tables_count = r->c->restored.tables_count,
        .parallelism = parallelism_now,
        .arg = job->plan };
    LEAT_TRY(leat__state_split(&opts, r->err));
    leat__point(LEAT_POINT_RESTORE_SPLIT);
    for (uint32_t w = 0; w < job->plan->parallelism; w++)
        if (job->env->fs_stat(job->env, to[w], &info, &local) < 0)
            to[w] = NULL; /* it has got nothing */
    return 0;
}

static int lay_stores(struct recovery *r)
{
    const uint32_t workers = r->job->plan->parallelism;
    const char **to = leat__arena_array(&r->m->arena, workers, sizeof *to);
    uint32_t count;
    const char **dirs = saved_stores(r, &count);
    if (!to || !dirs)
        return r->err->code ? r->err->code : out_of_memory(r->err);
    r->c->newest_is_shared = true;
    if (stores_fit(r)) {
        memcpy(to, dirs, workers * sizeof *to);
    } else if (count) {
        r->c->newest_is_shared = false;
        LEAT_TRY(split_stores(r, dirs, to));
    }
    r->c->restored.store_dirs = to;
    return 0;
}

/* ---- all of it ---- */

static int make_delivery(struct leat_coordinator *c, struct leat_error *err)
{
    const struct leat_plan *plan = c->job->plan;
    bool needed = false;
    for (uint32_t n = 0; n < plan->nodes_count; n++)
        needed = needed ||
            (plan->nodes[n].node->kind == LEAT_NODE_SINK &&
                leat__job_sink_class(c->job, plan->nodes[n].node)->transact);
    leat__delivery_free(c->delivery);
    c->delivery = NULL;
    return needed ? leat__delivery_new(c->job->env, leat_topology_name(c->job->t), c->life, &c->delivery, err)
                  : 0;
}

static int begin_new(struct leat_coordinator *c, struct leat_error *err)
{
    struct leat_env *env = c->job->env;
    const uint64_t high = env->random(env), low = env->random(env);
    (void)snprintf(c->life, sizeof c->life, "%016" PRIx64 "%016" PRIx64, high, low);
    return make_delivery(c, err);
}

/* Completes what the manifest has decided. */
static int roll_forward(struct recovery *r)
{
    struct leat_checkpoint_store *store = r->c->from_store;
    LEAT_TRY(make_delivery(r->c, r->err));
    LEAT_TRY(fence_slots(r));
    const int done = store->store_class->is_acknowledged(store, r->m->id, r->err);
    LEAT_TRY(done);
    if (!done) {
        LEAT_TRY(commit_handles(r));
        LEAT_TRY(send_outboxes(r));
        LEAT_TRY(store->store_class->acknowledge(store, r->m->id, r->err));
    }
    leat__point(LEAT_POINT_RESTORE_COMMITTED);
    return 0;
}

static int go_on(struct leat_coordinator *c, struct leat_error *err)
{
    struct recovery r = { .c = c, .job = c->job, .m = &c->from, .err = err };
    /* (model: commit.pml, restore_chosen) */
    leat__point(LEAT_POINT_RESTORE_CHOSEN);
    LEAT_TRY(fit_parallelism(&r));
    LEAT_TRY(fit_nodes(&r));
    LEAT_TRY(fit_store(&r));
    memcpy(c->life, c->from.life, sizeof c->life);
    if (c->from.id > c->last_id)
        c->last_id = c->from.id;
    LEAT_TRY(roll_forward(&r));
    c->from_finished = c->from.finished;
    if (c->from_finished) {
        leat__job_log(c->job, LEAT_LOG_WARN, NULL,
            "the job has finished already (checkpoint %" PRIu64
            " in %s): there is nothing to do; restore.fresh begins new",
            c->from.id, leat__places_job_dir(c->job->places));
        return 0;
    }
    LEAT_TRY(recover_sinks(&r));
    LEAT_TRY(lay_parts(&r));
    LEAT_TRY(lay_stores(&r));
    /* (model: commit.pml, restore_cleaned) */
    leat__point(LEAT_POINT_RESTORE_CLEANED);
    c->job->restored = &c->restored;
    leat__metric_set(&c->job->checkpoints.restored_id, c->from.id);
    c->newest = (struct leat_manifest){
        .id = c->from.id, .files = c->from.files, .files_count = c->from.files_count
    };
    leat__job_log(c->job, LEAT_LOG_INFO, NULL, "goes on from checkpoint %" PRIu64, c->from.id);
    return 0;
}

void leat__recovery_release(struct leat_coordinator *c)
{
    c->job->restored = NULL;
    leat__manifest_release(&c->newest);
    leat__manifest_release(&c->from);
    if (c->from_store && c->from_store != c->store)
        c->from_store->store_class->close(c->from_store);
    c->from_store = NULL;
    c->restored = (struct leat_restored){ 0 };
    c->from_finished = false;
    c->newest_is_shared = false;
}

int leat__recover(struct leat_coordinator *c, struct leat_error *err)
{
    leat__recovery_release(c);
    LEAT_TRY(leat__spool_prepare(c->job->env, c->job->spool_dir, err));
    LEAT_TRY(choose(c, err));
    if (!c->from.id)
        return begin_new(c, err);
    const int result = go_on(c, err);
    return result < 0 && c->from_store != c->store ? leat__error_prefix(err, "%s", c->job->opts.restore.from)
                                                   : result;
}

int leat__recovery_begin_delivery(struct leat_coordinator *c, struct leat_error *err)
{
    const struct leat_plan *plan = c->job->plan;
    for (uint32_t n = 0; c->delivery && n < plan->nodes_count; n++) {
        const struct leat_node *node = plan->nodes[n].node;
        if (node->kind == LEAT_NODE_SINK && leat__job_sink_class(c->job, node)->transact)
            LEAT_TRY(leat__delivery_seize(c->delivery, node, leat__job_sink_class(c->job, node), node->name,
                plan->nodes[n].parallelism, err));
    }
    for (uint32_t n = 0; c->delivery && n < plan->nodes_count; n++) {
        const struct leat_node *node = plan->nodes[n].node;
        uint64_t marker = 0;
        if (node->kind != LEAT_NODE_SINK || !leat__job_sink_class(c->job, node)->transact)
            continue;
        LEAT_TRY(leat__delivery_begin(c->delivery, node, leat__job_sink_class(c->job, node),
            plan->nodes[n].parallelism, c->from.id, c->job->opts.restore.force, &marker, err));
        if (marker > c->last_id)
            c->last_id = marker;
    }
    return 0;
}

/* ---- the run ---- */

static int remove_all(struct leat_coordinator *c, struct leat_error *err)
{
    uint64_t *ids = NULL;
    uint32_t count = 0;
    LEAT_TRY(c->store->store_class->list(c->store, &ids, &count, err));
    int result = 0;
    for (uint32_t i = 0; result == 0 && i < count; i++)
        result = c->store->store_class->remove(c->store, ids[i], err);
    leat__free(ids);
    return result;
}

int leat__coordinator_open(struct leat_job *job, struct leat_error *err)
{
    const struct leat_checkpoint_store_class *store_class = &leat__checkpoint_store_local;
    struct leat_coordinator *c = leat__calloc(1, sizeof *c);
    if (!c)
        return leat__error(err, LEAT_ENOMEM, "out of memory for checkpoints");
    c->job = job;
    c->phase = LEAT_COORDINATOR_IDLE;
    job->coordinator = c;
    LEAT_TRY(store_class->open(
        job->env, leat__places_checkpoint_dir(job->places), leat_topology_name(job->t), &c->store, err));
    LEAT_TRY(store_class->lock(c->store, err));
    LEAT_TRY(store_class->last_id(c->store, &c->last_id, err));
    LEAT_TRY(store_class->sweep(c->store, err));
    if (job->opts.restore.fresh)
        LEAT_TRY(remove_all(c, err));
    c->first_id = c->last_id + 1;
    return 0;
}

void leat__coordinator_close(struct leat_job *job)
{
    struct leat_coordinator *c = job->coordinator;
    if (!c)
        return;
    leat__recovery_release(c);
    leat__completion_release(&c->completion);
    leat__delivery_free(c->delivery);
    if (c->store)
        c->store->store_class->close(c->store);
    leat__free(c);
    job->coordinator = NULL;
}
