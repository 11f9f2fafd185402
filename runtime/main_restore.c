/* runtime/main_restore.c -- `--describe --from PATH`: what a savepoint or checkpoint would become, if the job began
 * with it. Nothing is changed, no lock is taken. */
#include "base/alloc.h"
#include "base/env.h"
#include "runtime/checkpoint_store.h"
#include "runtime/main_options.h"
#include "runtime/recovery.h"

/* The newest checkpoint of what the path names. */
static int read_newest(const char *path, struct leat_manifest *manifest, struct leat_error *err)
{
    const struct leat_checkpoint_store_class *local = &leat__checkpoint_store_local;
    struct leat_checkpoint_store *store;
    uint64_t *ids = NULL;
    uint32_t count = 0;
    LEAT_TRY(local->open(leat__env_posix(), path, NULL, &store, err));
    int result = local->list(store, &ids, &count, err);
    if (result == 0 && count == 0)
        result = leat__error(err, LEAT_ENOTFOUND, "%s has no checkpoint", path);
    if (result == 0)
        result = local->read_manifest(store, ids[count - 1], manifest, err);
    leat__free(ids);
    local->close(store);
    return result;
}

int leat__main_preview(
    leat_topology *t, const struct leat_job_opts *opts, struct leat_strbuf *out, struct leat_error *err)
{
    struct leat_manifest manifest = { 0 };
    struct leat_plan *plan = NULL;
    int result = read_newest(opts->restore.from, &manifest, err);
    uint32_t parallelism = opts->parallelism ? opts->parallelism : leat__env_parallelism();
    const uint32_t key_groups = result == 0 ? manifest.max_parallelism : 0; /* fixed for the job's life */
    if (!opts->parallelism && parallelism > key_groups)
        parallelism = key_groups;
    if (result == 0 && parallelism > key_groups)
        result = leat__error(err, LEAT_EINVAL,
            "parallelism %u: the checkpoint is of a job with a maximum parallelism of %u, which stays",
            parallelism, key_groups);
    if (result == 0)
        result = leat__plan_new(t, parallelism, key_groups, &plan, err);
    if (result == 0)
        result = leat__restore_preview(plan, &manifest, &opts->restore, out, err);
    leat__plan_free(plan);
    leat__manifest_release(&manifest);
    return result;
}
