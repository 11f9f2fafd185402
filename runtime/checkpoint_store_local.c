/* runtime/checkpoint_store_local.c -- checkpoints in a local directory; checkpoint_store.h has the layout and
 * the order of syncs, which is all that this file is about.
 *
 * A store is opened on one of
 *   a job's directory DIR/JOB   with a job's name; or by its path, read-only, without a name
 *   one checkpoint of it        by DIR/JOB/chk-00000007 or DIR/JOB/MANIFEST-00000007, read-only
 *   a savepoint                 a directory with a MANIFEST, read-only
 *
 * Invariants: (1) MANIFEST-n is the last of checkpoint n to come and the first to go, each time with a sync of
 * the directory in between; (2) files below chk-n are only ever linked or read; (3) nothing is written or
 * removed without the lock. Threads: one caller at a time. */
#include "base/alloc.h"
#include "base/point.h"
#include "runtime/checkpoint_store.h"
#include "runtime/shell_parallel.h"
#include "runtime/tree.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_MAX_BYTES LEAT_TREE_PATH_MAX
#define MANIFEST_BYTES_MAX ((size_t)1 << 30)
#define NAME_BYTES 64u
#define NO_FD (-1)
#define THREAD_BYTES (UINT64_C(16) << 20) /* to be verified: for less there is no other thread */

enum local_kind { LOCAL_JOB = 1, LOCAL_ONE, LOCAL_SAVEPOINT };

struct local {
    struct leat_checkpoint_store store; /* first */
    struct leat_env *env;
    enum local_kind kind;
    uint64_t one; /* LOCAL_ONE: the only one that is looked at */
    leat_fd lock;
    char dir[PATH_MAX_BYTES]; /* DIR/JOB or the savepoint */
};

static struct local *self(struct leat_checkpoint_store *store)
{
    return (struct local *)(void *)store;
}

/* ---- names ---- */

static const char *manifest_name(uint64_t id, char name[NAME_BYTES])
{
    (void)snprintf(name, NAME_BYTES, "MANIFEST-%08" PRIu64, id);
    return name;
}

static const char *committed_name(uint64_t id, char name[NAME_BYTES])
{
    (void)snprintf(name, NAME_BYTES, "COMMITTED-%08" PRIu64, id);
    return name;
}

static const char *dir_name(uint64_t id, char name[NAME_BYTES])
{
    (void)snprintf(name, NAME_BYTES, "chk-%08" PRIu64, id);
    return name;
}

/* The id in "<prefix><digits><ending>"; 0 when the name is of another form. */
static uint64_t parse_id(const char *name, const char *prefix, const char *ending)
{
    uint64_t id = 0;
    size_t digits = 0;
    if (strncmp(name, prefix, strlen(prefix)) != 0)
        return 0;
    name += strlen(prefix);
    for (; name[digits] >= '0' && name[digits] <= '9' && digits < 19; digits++)
        id = id * 10 + (uint64_t)(name[digits] - '0');
    const bool canonical = digits == 8 || (digits > 8 && name[0] != '0');
    return canonical && strcmp(name + digits, ending) == 0 ? id : 0;
}

static int path_of(const struct local *s, const char *name, char path[PATH_MAX_BYTES], struct leat_error *err)
{
    return leat__tree_path(path, PATH_MAX_BYTES, s->dir, name, err);
}

/* ---- life ---- */

static bool is_there(struct leat_env *env, const char *path)
{
    struct leat_file_info info;
    struct leat_error err = { 0 };
    return env->fs_stat(env, path, &info, &err) == 0;
}

/* Cuts the last part off a path and gives its id; 0 if it is none of a checkpoint, and nothing is cut. */
static uint64_t split_id(char dir[PATH_MAX_BYTES])
{
    char parent[PATH_MAX_BYTES];
    size_t len = strlen(dir);
    while (len > 1 && dir[len - 1] == '/')
        dir[--len] = '\0';
    const char *slash = strrchr(dir, '/');
    const char *name = slash ? slash + 1 : dir;
    uint64_t id = parse_id(name, "chk-", "");
    if (id == 0)
        id = parse_id(name, "MANIFEST-", "");
    if (id == 0)
        return 0;
    leat__tree_parent(dir, parent, sizeof parent);
    memcpy(dir, parent, sizeof parent);
    return id;
}

static int note_manifest(void *arg, const char *name, bool is_dir)
{
    bool *found = arg;
    *found = *found || (!is_dir && parse_id(name, "MANIFEST-", "") != 0);
    return 0;
}

/* What the path of a read-only store is. */
static int find_kind(struct local *s, const char *given, struct leat_error *err)
{
    char path[PATH_MAX_BYTES];
    bool has_manifests = false;
    s->one = split_id(s->dir);
    if (s->one) {
        char name[NAME_BYTES];
        s->kind = LOCAL_ONE;
        LEAT_TRY(path_of(s, manifest_name(s->one, name), path, err));
        return is_there(s->env, path)
            ? 0
            : leat__error(err, LEAT_ENOTFOUND, "%s: there is no complete checkpoint %" PRIu64 " in %s", given,
                  s->one, s->dir);
    }
    LEAT_TRY(path_of(s, "MANIFEST", path, err));
    s->kind = LOCAL_SAVEPOINT;
    if (is_there(s->env, path))
        return 0;
    s->kind = LOCAL_JOB;
    LEAT_TRY(s->env->fs_list(s->env, s->dir, note_manifest, &has_manifests, err));
    return has_manifests ? 0
                         : leat__error(err, LEAT_ENOTFOUND,
                               "%s is neither a savepoint nor a checkpoint: it has no MANIFEST", given);
}

static int local_open(struct leat_env *env, const char *dir, const char *job,
    struct leat_checkpoint_store **store, struct leat_error *err)
{
    struct local *s = leat__calloc(1, sizeof *s);
    *store = NULL;
    if (!s)
        return leat__error(err, LEAT_ENOMEM, "out of memory for the checkpoints in %s", dir);
    s->store.store_class = &leat__checkpoint_store_local;
    s->env = env;
    s->lock = NO_FD;
    s->kind = LOCAL_JOB;
    int result = job && job[0] == '.'
        ? leat__error(
              err, LEAT_EINVAL, "the name of a job with checkpoints can not begin with a dot: \"%s\"", job)
        : leat__tree_path(s->dir, sizeof s->dir, dir, job, err);
    if (result == 0 && !job)
        result = find_kind(s, dir, err);
    if (result < 0) {
        leat__free(s);
        return result;
    }
    *store = &s->store;
    return 0;
}

static void local_close(struct leat_checkpoint_store *store)
{
    struct local *s = self(store);
    if (s->lock != NO_FD)
        s->env->fs_close(s->env, s->lock);
    leat__free(s);
}

static int local_lock(struct leat_checkpoint_store *store, struct leat_error *err)
{
    struct local *s = self(store);
    char path[PATH_MAX_BYTES];
    LEAT_ASSERT(s->kind == LOCAL_JOB);
    LEAT_TRY(leat__tree_make(s->env, s->dir, err));
    LEAT_TRY(path_of(s, "LOCK", path, err));
    const int result = s->env->fs_lock(s->env, path, &s->lock, err);
    if (result < 0)
        s->lock = NO_FD;
    if (result == LEAT_EEXISTS)
        return leat__error(err, LEAT_EEXISTS,
            "another process runs this job: it holds %s; stop that one first, or give this job another "
            "checkpoint_dir",
            path);
    return result;
}

/* ---- looking ---- */

struct ids {
    uint64_t *list;
    uint32_t count, capacity;
    bool all; /* every name that has an id, not only manifests */
    bool failed;
};

static int note_id(void *arg, const char *name, bool is_dir)
{
    struct ids *ids = arg;
    uint64_t id = is_dir ? 0 : parse_id(name, "MANIFEST-", "");
    if (id == 0 && ids->all) {
        id = parse_id(name, "MANIFEST-", ".tmp");
        id = id ? id : parse_id(name, "chk-", "");
        id = id ? id : parse_id(name, "chk-", ".tmp");
        id = id ? id : parse_id(name, "COMMITTED-", "");
    }
    if (id == 0)
        return 0;
    if (ids->count == ids->capacity) {
        const uint32_t capacity = ids->capacity ? 2 * ids->capacity : 16;
        uint64_t *list = leat__realloc(ids->list, capacity * sizeof *list);
        if (!list) {
            ids->failed = true;
            return LEAT_ENOMEM;
        }
        ids->list = list;
        ids->capacity = capacity;
    }
    ids->list[ids->count++] = id;
    return 0;
}

static int compare_ids(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* A directory that is not there has none. */
static int find_ids(const struct local *s, struct ids *ids, struct leat_error *err)
{
    struct leat_error local = { 0 };
    const int result = s->env->fs_list(s->env, s->dir, note_id, ids, &local);
    if (result == LEAT_ENOTFOUND)
        return 0;
    if (ids->failed)
        return leat__error(err, LEAT_ENOMEM, "out of memory for the checkpoints in %s", s->dir);
    if (result < 0 && err)
        *err = local;
    if (result == 0 && ids->count)
        qsort(ids->list, ids->count, sizeof *ids->list, compare_ids);
    return result;
}

static int read_manifest_file(
    const struct local *s, const char *name, struct leat_manifest *manifest, struct leat_error *err)
{
    char path[PATH_MAX_BYTES];
    struct leat_strbuf text = { 0 };
    *manifest = (struct leat_manifest){ 0 };
    LEAT_TRY(path_of(s, name, path, err));
    int result = leat__tree_read(s->env, path, MANIFEST_BYTES_MAX, &text, err);
    if (result == 0) {
        result = leat__manifest_read(text.data ? text.data : "", text.len, manifest, err);
        if (result < 0)
            (void)leat__error_prefix(err, "%s", path);
    }
    leat__strbuf_release(&text);
    return result;
}

static int local_list(
    struct leat_checkpoint_store *store, uint64_t **list, uint32_t *count, struct leat_error *err)
{
    struct local *s = self(store);
    struct ids ids = { 0 };
    struct leat_manifest manifest = { 0 };
    int result;
    *list = NULL;
    *count = 0;
    if (s->kind == LOCAL_JOB) {
        result = find_ids(s, &ids, err);
    } else {
        result = s->kind == LOCAL_ONE ? 0 : read_manifest_file(s, "MANIFEST", &manifest, err);
        char name[NAME_BYTES];
        if (result == 0 && note_id(&ids, manifest_name(s->one ? s->one : manifest.id, name), false) < 0)
            result = leat__error(err, LEAT_ENOMEM, "out of memory for the checkpoints in %s", s->dir);
        leat__manifest_release(&manifest);
    }
    if (result < 0) {
        leat__free(ids.list);
        return result;
    }
    *list = ids.list;
    *count = ids.count;
    return 0;
}

static int local_last_id(struct leat_checkpoint_store *store, uint64_t *id, struct leat_error *err)
{
    struct ids ids = { .all = true };
    const int result = find_ids(self(store), &ids, err);
    *id = result == 0 && ids.count ? ids.list[ids.count - 1] : 0;
    leat__free(ids.list);
    return result;
}

static int local_read_manifest(
    struct leat_checkpoint_store *store, uint64_t id, struct leat_manifest *manifest, struct leat_error *err)
{
    const struct local *s = self(store);
    char name[NAME_BYTES];
    LEAT_TRY(read_manifest_file(
        s, s->kind == LOCAL_SAVEPOINT ? "MANIFEST" : manifest_name(id, name), manifest, err));
    if (manifest->id != id)
        return leat__error(err, LEAT_EDATA,
            "%s: the manifest of checkpoint %" PRIu64 " is where that of %" PRIu64 " belongs", s->dir,
            manifest->id, id);
    return 0;
}

static int local_path(struct leat_checkpoint_store *store, uint64_t id, const char *name, char *path,
    size_t path_size, struct leat_error *err)
{
    const struct local *s = self(store);
    char dir[PATH_MAX_BYTES], part[NAME_BYTES];
    if (s->kind == LOCAL_SAVEPOINT)
        return leat__tree_path(path, path_size, s->dir, name, err);
    LEAT_TRY(path_of(s, dir_name(id, part), dir, err));
    return leat__tree_path(path, path_size, dir, name, err);
}

static int verify_file(struct local *s, const struct leat_manifest *manifest,
    const struct leat_manifest_file *file, struct leat_error *err)
{
    char path[PATH_MAX_BYTES];
    struct leat_file_info info;
    uint64_t hash, bytes;
    LEAT_TRY(local_path(&s->store, manifest->id, file->name, path, sizeof path, err));
    LEAT_TRY(s->env->fs_stat(s->env, path, &info, err));
    if (info.size != file->bytes)
        return leat__error(
            err, LEAT_EDATA, "%s has %" PRIu64 " bytes, not %" PRIu64, path, info.size, file->bytes);
    LEAT_TRY(leat__tree_hash(s->env, path, &hash, &bytes, err));
    if (bytes != file->bytes || hash != file->hash)
        return leat__error(err, LEAT_EDATA,
            "%s is damaged: its content has the hash %016" PRIx64 ", not %016" PRIx64, path, hash,
            file->hash);
    return 0;
}

struct verification {
    struct local *s;
    const struct leat_manifest *manifest;
};

static int verify_one(void *arg, uint32_t i, struct leat_error *err)
{
    const struct verification *v = arg;
    return verify_file(v->s, v->manifest, &v->manifest->files[i], err);
}

/* Recovery waits for this: as many files at once as there are cores, unless that is not worth a thread. */
static int local_verify(
    struct leat_checkpoint_store *store, const struct leat_manifest *manifest, struct leat_error *err)
{
    struct verification v = { self(store), manifest };
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < manifest->files_count; i++)
        bytes += manifest->files[i].bytes;
    const uint64_t threads = 1 + bytes / THREAD_BYTES;
    const uint32_t cores = leat__env_parallelism();
    const int result = leat__parallel(
        v.s->env, threads < cores ? (uint32_t)threads : cores, manifest->files_count, verify_one, &v, err);
    if (result < 0)
        (void)leat__error_prefix(err, "checkpoint %" PRIu64, manifest->id);
    return result;
}

/* ---- making ---- */

static int tmp_path(const struct local *s, uint64_t id, char path[PATH_MAX_BYTES], struct leat_error *err)
{
    char name[NAME_BYTES + 8], part[NAME_BYTES];
    (void)snprintf(name, sizeof name, "%s.tmp", dir_name(id, part));
    return path_of(s, name, path, err);
}

/* A note of an id outlives neither its manifest nor a begin: or commits to come would be taken for done. */
static int remove_note(struct local *s, uint64_t id, struct leat_error *err)
{
    char path[PATH_MAX_BYTES], name[NAME_BYTES];
    LEAT_TRY(path_of(s, committed_name(id, name), path, err));
    return leat__tree_remove(s->env, path, NULL, err);
}

static int local_begin(
    struct leat_checkpoint_store *store, uint64_t id, char *dir, size_t dir_size, struct leat_error *err)
{
    struct local *s = self(store);
    char path[PATH_MAX_BYTES];
    LEAT_ASSERT(s->lock != NO_FD);
    LEAT_TRY(remove_note(s, id, err));
    LEAT_TRY(tmp_path(s, id, path, err));
    LEAT_TRY(leat__tree_remove(s->env, path, NULL, err));
    LEAT_TRY(s->env->fs_mkdir(s->env, path, err));
    return leat__tree_path(dir, dir_size, path, NULL, err);
}

/* The file of the checkpoint before that is surely the same one: tables on disk never change, and their names
 * are used once in the life of a store (state/store.h). */
static const struct leat_manifest_file *find_shared(
    const struct leat_manifest *before, const struct leat_tree_file *file)
{
    const char *ending = strrchr(file->name, '.');
    if (!before || !ending || strcmp(ending, ".sst") != 0)
        return NULL;
    uint32_t low = 0, high = before->files_count; /* sorted by name, as seal makes them */
    while (low < high) {
        const uint32_t middle = (low + high) / 2;
        const int order = strcmp(before->files[middle].name, file->name);
        if (order == 0)
            return before->files[middle].bytes == file->bytes ? &before->files[middle] : NULL;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static int hash_files(struct local *s, const char *dir, const struct leat_manifest *before,
    const struct leat_tree_file *found, struct leat_manifest_file *files, uint32_t count, uint64_t *new_bytes,
    struct leat_error *err)
{
    char path[PATH_MAX_BYTES];
    *new_bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct leat_manifest_file *shared = find_shared(before, &found[i]);
        files[i] = (struct leat_manifest_file){ .name = found[i].name, .bytes = found[i].bytes };
        if (shared) {
            files[i].hash = shared->hash;
            continue;
        }
        LEAT_TRY(leat__tree_path(path, sizeof path, dir, files[i].name, err));
        LEAT_TRY(leat__tree_hash(s->env, path, &files[i].hash, &files[i].bytes, err));
        *new_bytes += files[i].bytes;
    }
    return 0;
}

static int local_seal(struct leat_checkpoint_store *store, uint64_t id, const struct leat_manifest *before,
    struct leat_arena *arena, struct leat_manifest_file **files, uint32_t *count, uint64_t *new_bytes,
    struct leat_error *err)
{
    struct local *s = self(store);
    char tmp[PATH_MAX_BYTES], path[PATH_MAX_BYTES], part[NAME_BYTES];
    struct leat_tree_file *found;
    const char **dirs;
    uint32_t dirs_count;
    LEAT_TRY(tmp_path(s, id, tmp, err));
    LEAT_TRY(leat__tree_list(s->env, tmp, arena, &found, count, &dirs, &dirs_count, err));
    *files = leat__arena_array(arena, *count + 1, sizeof **files);
    if (!*files)
        return leat__error(err, LEAT_ENOMEM, "out of memory for the files of checkpoint %" PRIu64, id);
    LEAT_TRY(hash_files(s, tmp, before, found, *files, *count, new_bytes, err));
    LEAT_TRY(s->env->fs_sync_dir(s->env, tmp, err));
    LEAT_TRY(path_of(s, dir_name(id, part), path, err));
    LEAT_TRY(s->env->fs_rename(s->env, tmp, path, err));
    return s->env->fs_sync_dir(s->env, s->dir, err);
}

/* Writes in two pieces, so that a test can stop in between. */
static int write_synced(
    struct leat_env *env, const char *path, const struct leat_strbuf *text, struct leat_error *err)
{
    leat_fd fd;
    const size_t half = text->len / 2;
    LEAT_TRY(env->fs_open(env, path, LEAT_OPEN_TRUNCATE, &fd, err));
    int result = env->fs_write(env, fd, text->data, half, err);
    leat__point(LEAT_POINT_MANIFEST_WRITING);
    if (result == 0)
        result = env->fs_write(env, fd, text->data + half, text->len - half, err);
    if (result == 0)
        result = env->fs_sync(env, fd, err);
    env->fs_close(env, fd);
    return result < 0 ? leat__error_prefix(err, "%s", path) : 0;
}

/* After a failure there is no manifest: what a failed sync of the directory may have left is taken back. */
static int rename_manifest(struct local *s, const char *tmp, const char *path, struct leat_error *err)
{
    struct leat_error local = { 0 };
    LEAT_TRY(s->env->fs_rename(s->env, tmp, path, err));
    /* (model: commit.pml, manifest_renamed) */
    leat__point(LEAT_POINT_MANIFEST_RENAMED);
    const int result = s->env->fs_sync_dir(s->env, s->dir, err);
    if (result < 0)
        (void)s->env->fs_unlink(s->env, path, &local); /* nothing was committed: both outcomes are right */
    else
        /* (model: commit.pml, manifest_durable) */
        leat__point(LEAT_POINT_MANIFEST_DURABLE);
    return result;
}

static int local_publish(
    struct leat_checkpoint_store *store, const struct leat_manifest *manifest, struct leat_error *err)
{
    struct local *s = self(store);
    char path[PATH_MAX_BYTES], tmp[PATH_MAX_BYTES + 8], name[NAME_BYTES];
    struct leat_strbuf text = { 0 };
    LEAT_TRY(path_of(s, manifest_name(manifest->id, name), path, err));
    (void)snprintf(tmp, sizeof tmp, "%s.tmp", path);
    int result = leat__manifest_write(manifest, &text);
    if (result < 0)
        (void)leat__error(err, result, "out of memory for the manifest of checkpoint %" PRIu64, manifest->id);
    else
        result = write_synced(s->env, tmp, &text, err);
    leat__strbuf_release(&text);
    if (result < 0)
        return result;
    leat__point(LEAT_POINT_MANIFEST_SYNCED);
    return rename_manifest(s, tmp, path, err);
}

/* ---- removing ---- */

static void pass_prune_files(void)
{
    leat__point(LEAT_POINT_PRUNE_FILES);
}

static int local_abandon(struct leat_checkpoint_store *store, uint64_t id, struct leat_error *err)
{
    struct local *s = self(store);
    char path[PATH_MAX_BYTES], tmp[PATH_MAX_BYTES + 8], name[NAME_BYTES];
    LEAT_TRY(tmp_path(s, id, path, err));
    LEAT_TRY(leat__tree_remove(s->env, path, NULL, err));
    LEAT_TRY(path_of(s, manifest_name(id, name), path, err));
    (void)snprintf(tmp, sizeof tmp, "%s.tmp", path);
    LEAT_TRY(leat__tree_remove(s->env, tmp, NULL, err));
    if (is_there(s->env, path))
        return 0; /* it is complete after all */
    LEAT_TRY(remove_note(s, id, err));
    LEAT_TRY(path_of(s, dir_name(id, name), path, err));
    return leat__tree_remove(s->env, path, NULL, err);
}

static int local_acknowledge(struct leat_checkpoint_store *store, uint64_t id, struct leat_error *err)
{
    struct local *s = self(store);
    char path[PATH_MAX_BYTES], name[NAME_BYTES];
    leat_fd fd;
    if (s->kind != LOCAL_JOB)
        return 0; /* not ours to write to */
    LEAT_TRY(path_of(s, committed_name(id, name), path, err));
    LEAT_TRY(s->env->fs_open(s->env, path, LEAT_OPEN_TRUNCATE, &fd, err));
    s->env->fs_close(s->env, fd);
    return 0;
}

static int local_is_acknowledged(struct leat_checkpoint_store *store, uint64_t id, struct leat_error *err)
{
    struct local *s = self(store);
    struct leat_file_info info;
    char path[PATH_MAX_BYTES], name[NAME_BYTES];
    if (s->kind == LOCAL_SAVEPOINT)
        return 1;
    LEAT_TRY(path_of(s, committed_name(id, name), path, err));
    const int result = s->env->fs_stat(s->env, path, &info, err);
    if (result == LEAT_ENOTFOUND && err)
        *err = (struct leat_error){ 0 };
    return result == 0 ? 1 : result == LEAT_ENOTFOUND ? 0 : result;
}

/* (model: commit.pml, prune) */
static int local_remove(struct leat_checkpoint_store *store, uint64_t id, struct leat_error *err)
{
    struct local *s = self(store);
    char path[PATH_MAX_BYTES], name[NAME_BYTES];
    LEAT_TRY(path_of(s, manifest_name(id, name), path, err));
    if (is_there(s->env, path)) {
        LEAT_TRY(s->env->fs_unlink(s->env, path, err));
        LEAT_TRY(s->env->fs_sync_dir(s->env, s->dir, err));
    }
    leat__point(LEAT_POINT_PRUNE_MANIFEST);
    LEAT_TRY(remove_note(s, id, err));
    LEAT_TRY(path_of(s, dir_name(id, name), path, err));
    return leat__tree_remove(s->env, path, pass_prune_files, err);
}

static int local_sweep(struct leat_checkpoint_store *store, struct leat_error *err)
{
    struct local *s = self(store);
    struct ids ids = { .all = true };
    int result = find_ids(s, &ids, err);
    LEAT_ASSERT(s->lock != NO_FD);
    for (uint32_t i = 0; result == 0 && i < ids.count; i++)
        if (i == 0 || ids.list[i] != ids.list[i - 1])
            result = local_abandon(store, ids.list[i], err);
    leat__free(ids.list);
    /* A process killed between rename and sync has left a manifest that is seen, but may not last: nobody may
     * commit by it before it does (model: commit.pml, restore_synced). */
    return result < 0 ? result : s->env->fs_sync_dir(s->env, s->dir, err);
}

/* ---- savepoints ---- */

static int export_files(
    struct local *s, const struct leat_manifest *manifest, const char *to, struct leat_error *err)
{
    char from[PATH_MAX_BYTES], path[PATH_MAX_BYTES], parent[PATH_MAX_BYTES], last[PATH_MAX_BYTES] = "";
    for (uint32_t i = 0; i < manifest->files_count; i++) {
        LEAT_TRY(local_path(&s->store, manifest->id, manifest->files[i].name, from, sizeof from, err));
        LEAT_TRY(leat__tree_path(path, sizeof path, to, manifest->files[i].name, err));
        leat__tree_parent(path, parent, sizeof parent);
        if (strcmp(parent, last) != 0) { /* files are sorted: those of a directory lie together */
            if (*last)
                LEAT_TRY(s->env->fs_sync_dir(s->env, last, err));
            LEAT_TRY(s->env->fs_mkdir(s->env, parent, err));
            memcpy(last, parent, sizeof last);
        }
        LEAT_TRY(leat__tree_link(s->env, from, path, err));
    }
    return *last ? s->env->fs_sync_dir(s->env, last, err) : 0;
}

static int export_manifest(
    struct local *s, const struct leat_manifest *manifest, const char *to, struct leat_error *err)
{
    char path[PATH_MAX_BYTES];
    struct leat_strbuf text = { 0 };
    struct leat_manifest copy = *manifest;
    copy.kind = LEAT_KIND_SAVEPOINT;
    LEAT_TRY(leat__tree_path(path, sizeof path, to, "MANIFEST", err));
    int result = leat__manifest_write(&copy, &text);
    if (result < 0)
        (void)leat__error(err, result, "out of memory for the manifest of a savepoint");
    else
        result = write_synced(s->env, path, &text, err);
    leat__strbuf_release(&text);
    return result < 0 ? result : s->env->fs_sync_dir(s->env, to, err);
}

static int local_export(struct leat_checkpoint_store *store, const struct leat_manifest *manifest,
    const char *to, struct leat_error *err)
{
    struct local *s = self(store);
    char tmp[PATH_MAX_BYTES], parent[PATH_MAX_BYTES];
    struct leat_error local = { 0 };
    size_t len = strlen(to);
    while (len > 1 && to[len - 1] == '/')
        len--;
    if (is_there(s->env, to))
        return leat__error(err, LEAT_EEXISTS,
            "savepoint %s: there is something of that name already; give a path that is free", to);
    const int n = snprintf(tmp, sizeof tmp, "%.*s.tmp", (int)len, to);
    if (n < 0 || (size_t)n >= sizeof tmp)
        return leat__error(err, LEAT_EINVAL, "savepoint %s: the path is too long", to);
    leat__tree_parent(to, parent, sizeof parent);
    LEAT_TRY(leat__tree_remove(s->env, tmp, NULL, err));
    int result = leat__tree_make(s->env, tmp, err);
    if (result == 0)
        result = export_files(s, manifest, tmp, err);
    if (result == 0)
        result = export_manifest(s, manifest, tmp, err);
    if (result == 0)
        result = s->env->fs_rename(s->env, tmp, to, err);
    if (result == 0)
        return s->env->fs_sync_dir(s->env, parent, err);
    result = leat__error_prefix(err, "savepoint %s", to);
    if (leat__tree_remove(s->env, tmp, NULL, &local) < 0)
        return result; /* what is left is in the way of nobody: the next one removes it */
    return result;
}

const struct leat_checkpoint_store_class leat__checkpoint_store_local = {
    .name = "local",
    .open = local_open,
    .close = local_close,
    .lock = local_lock,
    .list = local_list,
    .acknowledge = local_acknowledge,
    .is_acknowledged = local_is_acknowledged,
    .last_id = local_last_id,
    .read_manifest = local_read_manifest,
    .begin = local_begin,
    .seal = local_seal,
    .publish = local_publish,
    .abandon = local_abandon,
    .remove = local_remove,
    .sweep = local_sweep,
    .verify = local_verify,
    .path = local_path,
    .export = local_export,
};
