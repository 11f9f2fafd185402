/* tests/unit/runtime/barrier_rig.h -- a simulated job driven turn by turn, with a coordinator of a few lines: asks
 * for checkpoints at any turn, keeps the shares, and begins another job with them as if the first had crashed. */
#ifndef LEAT_TESTS_UNIT_RUNTIME_BARRIER_RIG_H
#define LEAT_TESTS_UNIT_RUNTIME_BARRIER_RIG_H
#include "runtime/job_private.h"
#include "tests/support/store_dirs.h"
#include "tests/support/unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BARRIER_RIG_TURNS_MAX 2000000u

struct barrier_rig {
    leat_topology *t; /* freed by close */
    leat_job *job;
    struct leat_sim_pass pass;
    char *root; /* directories of this job: state and checkpoints */
    uint64_t asked;
    uint32_t turns;
    /* What barrier_rig_take has made. */
    struct leat_restored restored;
    struct leat_part *parts;
    struct leat_table_info *tables;
    const char **store_dirs;
};

struct barrier_rig_opts {
    uint32_t parallelism, batch_rows, channel_batches;
    uint64_t seed;
    enum leat_delivery delivery;
    const struct leat_restored *restored; /* of another rig, which must stay open */
    int want; /* what opening must give; then the job is not to be run */
    bool with_state; /* on disk: the simulation's store */
};

static inline uint64_t load(const uint64_t *value)
{
    return __atomic_load_n(value, __ATOMIC_ACQUIRE);
}

static inline uint32_t phase_of(const struct leat_worker *worker)
{
    return __atomic_load_n(&worker->share.phase, __ATOMIC_ACQUIRE);
}

/* Takes the topology. */
static inline void barrier_rig_open(
    struct barrier_rig *rig, leat_topology *t, const struct barrier_rig_opts *opts)
{
    struct leat_error err = { 0 };
    *rig = (struct barrier_rig){ .t = t, .root = opts->with_state ? store_dirs_new() : NULL };
    const struct leat_job_opts job_opts = { .parallelism = opts->parallelism,
        .batch_rows = opts->batch_rows,
        .channel_batches = opts->channel_batches,
        .simulate = true,
        .seed = opts->seed,
        .delivery = opts->delivery,
        .state_dir = opts->with_state ? store_dirs_path(rig->root, "state") : NULL };
    FAIL_UNLESS(leat_job_new(t, &job_opts, &rig->job, &err) == 0, "%s", err.message);
    rig->job->restored = opts->restored;
    if (opts->with_state) {
        FAIL_UNLESS(leat__places_open(rig->job, &err) == 0, "%s", err.message);
        FAIL_UNLESS(leat__places_begin_attempt(rig->job, &err) == 0, "%s", err.message);
    }
    const int result = leat__job_prepare(rig->job);
    FAIL_UNLESS(result == opts->want, "prepare gave %d: %s", result, leat_job_error(rig->job)->message);
}

static inline void barrier_rig_close(struct barrier_rig *rig)
{
    leat_job_free(rig->job);
    leat_topology_free(rig->t);
    if (rig->root)
        store_dirs_free(rig->root);
    free(rig->parts);
    free(rig->tables);
    for (uint32_t i = 0; rig->store_dirs && i < LEAT_WORKERS_MAX; i++)
        free((void *)(uintptr_t)rig->store_dirs[i]);
    free(rig->store_dirs);
}

/* One turn; time moves when nobody has anything to do. false: everything has ended and every share is told. */
static inline bool barrier_rig_turn(struct barrier_rig *rig)
{
    const int result = leat__sim_turn(rig->job, &rig->pass);
    FAIL_UNLESS(result >= 0, "turn %u: %s", rig->turns, leat_job_error(rig->job)->message);
    FAIL_UNLESS(++rig->turns < BARRIER_RIG_TURNS_MAX, "the job never comes to an end");
    if (result > 0)
        return true;
    if (leat__workers_rest(rig->job))
        return false;
    FAIL_UNLESS(rig->pass.wake_us < LEAT_TIME_MAX, "turn %u: everybody waits", rig->turns);
    const int64_t now_us = rig->job->env->wall_us(rig->job->env);
    leat__env_sim_advance(rig->job->sim_env, rig->pass.wake_us > now_us ? rig->pass.wake_us - now_us : 0);
    return true;
}

/* Begins the next checkpoint; the one before is over. */
static inline void barrier_rig_ask(struct barrier_rig *rig)
{
    struct leat_error err = { 0 };
    struct leat_job *job = rig->job;
    rig->asked++;
    if (rig->root) {
        (void)snprintf(job->barrier_dir, sizeof job->barrier_dir, "%s",
            store_dirs_path(rig->root, "chk-%u", (unsigned)rig->asked));
        FAIL_UNLESS(job->env->fs_mkdir(job->env, job->barrier_dir, &err) == 0, "%s", err.message);
    }
    __atomic_store_n(&job->barrier_asked, rig->asked, __ATOMIC_RELEASE);
}

/* The checkpoint is over: complete, where its handles were taken, or given up. */
static inline void barrier_rig_over(struct barrier_rig *rig)
{
    __atomic_store_n(&rig->job->barrier_over, rig->asked, __ATOMIC_RELEASE);
}

/* Whether every worker's share is DONE; fails the test when one has FAILED. */
static inline bool barrier_rig_is_done(const struct barrier_rig *rig)
{
    for (uint32_t w = 0; w < rig->job->workers_count; w++) {
        const struct leat_worker *worker = &rig->job->workers[w];
        FAIL_UNLESS(phase_of(worker) != LEAT_SHARE_FAILED, "worker %u: %s", w, worker->share.error.message);
        if (phase_of(worker) != LEAT_SHARE_DONE)
            return false;
    }
    return true;
}

/* Whether every worker has let go of the last checkpoint. */
static inline bool barrier_rig_is_let_go(const struct barrier_rig *rig)
{
    for (uint32_t w = 0; w < rig->job->workers_count; w++)
        if (load(&rig->job->workers[w].share.over) < rig->job->barrier_over)
            return false;
    return true;
}

/* Turns until the checkpoint is done. */
static inline void barrier_rig_wait(struct barrier_rig *rig)
{
    while (!barrier_rig_is_done(rig))
        if (!barrier_rig_turn(rig))
            FAIL_UNLESS(barrier_rig_is_done(rig), "everything has ended, and no share is done");
}

static inline void commit_list(struct barrier_rig *rig, struct leat_handle_list *list)
{
    struct leat_error err = { 0 };
    for (uint32_t i = 0; i < list->count; i++) {
        const struct leat_handle *handle = &list->handles[i];
        FAIL_UNLESS(
            handle->node->sink->commit(handle->node, rig->job->env, handle->data, handle->len, &err) == 0,
            "%s", err.message);
    }
    leat__handle_list_release(list, rig->job->env);
}

/* Commits and forgets the handles of all shares: as if the manifest stood. */
static inline void barrier_rig_commit(struct barrier_rig *rig)
{
    for (uint32_t w = 0; w < rig->job->workers_count; w++)
        commit_list(rig, &rig->job->workers[w].share.handles);
}

static inline void add_table(struct barrier_rig *rig, const struct leat_table_info *table)
{
    for (uint32_t i = 0; i < rig->restored.tables_count; i++)
        if (strcmp(rig->tables[i].node, table->node) == 0 && strcmp(rig->tables[i].name, table->name) == 0)
            return;
    rig->tables = realloc(rig->tables, (rig->restored.tables_count + 1) * sizeof *rig->tables);
    assert_non_null(rig->tables);
    rig->tables[rig->restored.tables_count++] = *table;
    rig->restored.tables = rig->tables;
}

struct rescaling {
    const struct leat_job *job; /* of the checkpoint */
    uint32_t to_count;
};

static inline uint32_t new_parallelism_of(void *arg, const struct leat_table_info *table)
{
    const struct rescaling *to = arg;
    for (uint32_t n = 0; n < to->job->plan->nodes_count; n++)
        if (strcmp(to->job->plan->nodes[n].node->name, table->node) == 0 &&
            to->job->plan->nodes[n].node->parallelism == 1)
            return 1; /* as declared */
    return to->to_count;
}

static inline void split_state(
    struct barrier_rig *rig, const char *const *from, uint32_t from_count, uint32_t to_count)
{
    struct leat_error err = { 0 };
    struct rescaling to = { rig->job, to_count };
    const struct leat_split_opts opts = { .env = rig->job->env,
        .store_class = leat__job_store_class(rig->job),
        .from = from,
        .from_count = from_count,
        .to = rig->store_dirs,
        .to_count = to_count,
        .key_groups = rig->job->plan->max_parallelism,
        .tables = rig->tables,
        .tables_count = rig->restored.tables_count,
        .parallelism = new_parallelism_of,
        .arg = &to };
    FAIL_UNLESS(leat__state_split(&opts, &err) == 0, "%s", err.message);
    for (uint32_t w = 0; w < to_count; w++)
        if (!store_dirs_exists(rig->store_dirs[w])) {
            free((void *)(uintptr_t)rig->store_dirs[w]);
            rig->store_dirs[w] = NULL;
        }
}

/* What a job of `parallelism` workers begins with that goes on from the checkpoint that is done. Lives as long
 * as this rig. */
static inline const struct leat_restored *barrier_rig_take(struct barrier_rig *rig, uint32_t parallelism)
{
    const struct leat_job *job = rig->job;
    const char *from[LEAT_WORKERS_MAX];
    uint32_t from_count = 0, count = 0;
    for (uint32_t w = 0; w < job->workers_count; w++)
        count += job->workers[w].share.parts_count;
    rig->parts = calloc(count ? count : 1, sizeof *rig->parts);
    rig->store_dirs = calloc(LEAT_WORKERS_MAX, sizeof *rig->store_dirs);
    assert_true(rig->parts && rig->store_dirs);
    rig->restored = (struct leat_restored){ .id = rig->asked, .parts = rig->parts };
    for (uint32_t w = 0; w < job->workers_count; w++) {
        const struct leat_share *share = &job->workers[w].share;
        for (uint32_t p = 0; p < share->parts_count; p++) {
            rig->parts[rig->restored.parts_count] = share->parts[p];
            rig->parts[rig->restored.parts_count++].node = NULL; /* as when it is read back */
        }
        for (uint32_t i = 0; i < share->tables_count; i++)
            add_table(rig, &share->tables[i]);
        if (parallelism == job->workers_count && share->has_state)
            rig->store_dirs[w] = strdup(store_dirs_path(job->barrier_dir, "worker-%u", w));
        else if (share->has_state)
            from[from_count++] = store_dirs_path(job->barrier_dir, "worker-%u", w);
    }
    for (uint32_t w = 0; rig->root && parallelism != job->workers_count && w < parallelism; w++)
        rig->store_dirs[w] = strdup(store_dirs_path(rig->root, "split-%u", w));
    if (rig->root && parallelism != job->workers_count)
        split_state(rig, from, from_count, parallelism);
    rig->restored.store_dirs = rig->store_dirs;
    return &rig->restored;
}

/* Turns until everything has ended; then the sinks' last epoch is committed. */
static inline void barrier_rig_finish(struct barrier_rig *rig)
{
    struct leat_handle_list handles = { 0 };
    struct leat_outbox_list outboxes = { 0 };
    struct leat_error err = { 0 };
    while (barrier_rig_turn(rig))
        ;
    barrier_rig_commit(rig); /* of a checkpoint that was given up */
    for (uint32_t w = 0; w < rig->job->workers_count; w++)
        FAIL_UNLESS(leat__job_prepare_sinks(rig->job, w, rig->asked + 1, &handles, &outboxes, &err) == 0,
            "%s", err.message);
    commit_list(rig, &handles);
}
#endif
