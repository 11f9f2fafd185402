/* runtime/places.c -- the directories of a job.
 *
 *   CHECKPOINT_DIR/JOB/        checkpoints, the lock, spool/ of outboxes: checkpoint_store.h
 *   CHECKPOINT_DIR/JOB/live/   keyed state while the job runs; or STATE_DIR/JOB/ with a lock of its own
 *     attempt-K/               of one attempt: worker-I of each worker, split-I while it is rescaled
 *   TMP/leat-<random>/         instead of either, where a switch asks for what the program does not
 *
 * What lives below live/ is of no use to anybody afterwards: it goes when an attempt begins, and at the end. */
#include "base/alloc.h"
#include "runtime/job_private.h"
#include "runtime/tree.h"
#include <inttypes.h>
#include <stdio.h>

#define NO_FD (-1)

struct leat_places {
    char checkpoint_dir[LEAT_TREE_PATH_MAX]; /* empty: none */
    char job_dir[LEAT_TREE_PATH_MAX];
    char live_dir[LEAT_TREE_PATH_MAX]; /* empty: state in memory only */
    char attempt_dir[LEAT_TREE_PATH_MAX];
    char tmp_dir[LEAT_TREE_PATH_MAX]; /* to be removed at the end; empty: none */
    leat_fd lock; /* of state_dir */
};

const char *leat__places_checkpoint_dir(const struct leat_places *places)
{
    return places->checkpoint_dir;
}

const char *leat__places_job_dir(const struct leat_places *places)
{
    return places->job_dir;
}

bool leat__places_has_live(const struct leat_places *places)
{
    return places && places->live_dir[0];
}

/* The name comes from real random numbers also in a simulation: those of several may run side by side. */
static int make_tmp(struct leat_job *job, struct leat_places *places, struct leat_error *err)
{
    char name[32];
    struct leat_env *real = leat__env_posix();
    if (places->tmp_dir[0])
        return 0;
    (void)snprintf(name, sizeof name, "leat-%016" PRIx64, real->random(real));
    LEAT_TRY(leat__tree_path(places->tmp_dir, sizeof places->tmp_dir, job->tmp_dir, name, err));
    return job->env->fs_mkdir(job->env, places->tmp_dir, err);
}

static int place_checkpoints(struct leat_job *job, struct leat_places *places, struct leat_error *err)
{
    const char *dir = job->opts.checkpoint_dir;
    if (!job->has_checkpoints)
        return 0;
    if (job->has_switched_checkpoints) {
        LEAT_TRY(make_tmp(job, places, err));
        dir = places->tmp_dir;
    }
    LEAT_TRY(leat__tree_path(places->checkpoint_dir, sizeof places->checkpoint_dir, dir, NULL, err));
    LEAT_TRY(leat__tree_path(places->job_dir, sizeof places->job_dir, dir, leat_topology_name(job->t), err));
    return leat__tree_path(job->spool_dir, sizeof job->spool_dir, places->job_dir, "spool", err);
}

/* A state_dir has a lock of its own: without checkpoints there is no other one. */
static int place_state_dir(struct leat_job *job, struct leat_places *places, struct leat_error *err)
{
    char dir[LEAT_TREE_PATH_MAX], path[LEAT_TREE_PATH_MAX];
    struct leat_env *env = job->env;
    LEAT_TRY(leat__tree_path(dir, sizeof dir, job->opts.state_dir, leat_topology_name(job->t), err));
    LEAT_TRY(env->fs_mkdir(env, dir, err));
    LEAT_TRY(leat__tree_path(places->live_dir, sizeof places->live_dir, dir, "live", err));
    LEAT_TRY(leat__tree_path(path, sizeof path, dir, "LOCK", err));
    const int result = env->fs_lock(env, path, &places->lock, err);
    if (result == LEAT_EEXISTS)
        return leat__error(err, LEAT_EEXISTS,
            "another process runs this job: it holds %s; stop that one first, or give this job another "
            "state_dir",
            path);
    return result;
}

static int place_live(struct leat_job *job, struct leat_places *places, struct leat_error *err)
{
    if (job->opts.state_dir)
        return place_state_dir(job, places, err);
    const char *dir = places->job_dir;
    if (!job->has_checkpoints) {
        if (!job->has_switched_budget)
            return 0;
        LEAT_TRY(make_tmp(job, places, err));
        dir = places->tmp_dir;
    }
    return leat__tree_path(places->live_dir, sizeof places->live_dir, dir, "live", err);
}

int leat__places_open(struct leat_job *job, struct leat_error *err)
{
    job->places = leat__calloc(1, sizeof *job->places);
    if (!job->places)
        return leat__error(err, LEAT_ENOMEM, "out of memory for a job");
    job->places->lock = NO_FD;
    LEAT_TRY(place_checkpoints(job, job->places, err));
    return place_live(job, job->places, err);
}

/* Nobody misses what can not be removed, but the user may want to know. */
static void drop(struct leat_job *job, const char *dir)
{
    struct leat_error err = { 0 };
    if (dir[0] && leat__tree_remove(job->env, dir, NULL, &err) < 0)
        leat__job_log(job, LEAT_LOG_WARN, NULL, "can not be removed, and is of no use: %s", err.message);
}

int leat__places_begin_attempt(struct leat_job *job, struct leat_error *err)
{
    struct leat_places *places = job->places;
    char name[32];
    if (!places->live_dir[0])
        return 0;
    LEAT_TRY(leat__tree_remove(job->env, places->live_dir, NULL, err));
    (void)snprintf(name, sizeof name, "attempt-%" PRIu32, job->attempt);
    LEAT_TRY(leat__tree_path(places->attempt_dir, sizeof places->attempt_dir, places->live_dir, name, err));
    return job->env->fs_mkdir(job->env, places->attempt_dir, err);
}

int leat__places_live(const struct leat_job *job, const char *name, uint32_t index, char *path, size_t size,
    struct leat_error *err)
{
    char part[64];
    path[0] = '\0';
    if (!leat__places_has_live(job->places))
        return 0;
    (void)snprintf(part, sizeof part, "%s-%" PRIu32, name, index);
    return leat__tree_path(path, size, job->places->attempt_dir, part, err);
}

void leat__places_close(struct leat_job *job)
{
    struct leat_places *places = job->places;
    if (!places)
        return;
    if (places->attempt_dir[0])
        drop(job, places->live_dir);
    drop(job, places->tmp_dir);
    if (places->lock != NO_FD)
        job->env->fs_close(job->env, places->lock);
    leat__free(places);
    job->places = NULL;
}
