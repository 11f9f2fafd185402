/* state/store_files.c -- directories of stores: begun from a checkpoint, synced, removed.
 *
 * A checkpoint's directory is never opened for work, because an open store changes its files. Immutable files
 * (tables) are shared with the live directory by hard links; the few small ones are copied. Where links are
 * impossible (another file system, too many links, a file system without them) the tables are copied, too,
 * and then synced: the store believes that the tables it begins with are durable, and links them into its
 * next checkpoint without looking. */
#include "base/alloc.h"
#include "base/point.h"
#include "state/store_private.h"
#include <stdio.h>
#include <string.h>

#define COPY_BYTES (256u * 1024u)
#define PATH_BYTES 4096u

bool leat__store_has_suffix(const char *name, const char *suffix)
{
    const size_t len = strlen(name);
    const size_t suffix_len = strlen(suffix);
    return len >= suffix_len && memcmp(name + len - suffix_len, suffix, suffix_len) == 0;
}

char *leat__store_path(const char *dir, const char *name)
{
    const size_t dir_len = strlen(dir);
    const size_t name_len = strlen(name);
    char *path = leat__malloc(dir_len + name_len + 2);
    if (path) {
        memcpy(path, dir, dir_len);
        path[dir_len] = '/';
        memcpy(path + dir_len + 1, name, name_len + 1);
    }
    return path;
}

static int copy_bytes(struct leat_env *env, leat_fd in, leat_fd out, struct leat_error *err)
{
    char *block = leat__malloc(COPY_BYTES);
    uint64_t offset = 0;
    int code = 0;
    if (!block)
        return leat__error(err, LEAT_ENOMEM, "out of memory");
    for (;;) {
        const int64_t n = env->fs_pread(env, in, block, COPY_BYTES, offset, err);
        if (n <= 0) {
            code = (int)n;
            break;
        }
        code = env->fs_write(env, out, block, (size_t)n, err);
        if (code < 0)
            break;
        offset += (uint64_t)n;
    }
    leat__free(block);
    return code;
}

static int copy_file(
    struct leat_env *env, const char *from, const char *to, bool durable, struct leat_error *err)
{
    leat_fd in = -1;
    leat_fd out = -1;
    LEAT_TRY(env->fs_open(env, from, LEAT_OPEN_READ, &in, err));
    int code = env->fs_open(env, to, LEAT_OPEN_CREATE, &out, err);
    if (code == 0) {
        code = copy_bytes(env, in, out, err);
        if (code == 0 && durable)
            code = env->fs_sync(env, out, err);
        if (code < 0)
            leat__error_prefix(err, "copy %s to %s", from, to);
        env->fs_close(env, out);
    }
    env->fs_close(env, in);
    return code;
}

struct dir_walk {
    struct leat_env *env;
    const char *dir, *to;
    const char *suffix;
    struct leat_error *err;
    bool restoring;
};

/* Any failure to link but these two may be the file system's nature (EXDEV, EMLINK, EPERM, ENOTSUP), and then
 * a copy helps; if it is not, copying fails with the better cause. */
static bool copy_may_help(int code)
{
    return code != LEAT_ENOTFOUND && code != LEAT_ENOSPC;
}

static int take_file(void *arg, const char *name, bool is_dir)
{
    struct dir_walk *walk = arg;
    struct leat_env *env = walk->env;
    if (is_dir)
        return 0; /* a checkpoint of a store has none */
    char *from = leat__store_path(walk->dir, name);
    char *to = leat__store_path(walk->to, name);
    int code = from && to ? 0 : leat__error(walk->err, LEAT_ENOMEM, "out of memory");
    if (code == 0) {
        const bool link = leat__store_has_suffix(name, walk->suffix);
        struct leat_error why = { 0 };
        code = link ? env->fs_link(env, from, to, &why) : LEAT_EUNSUPPORTED;
        if (code < 0 && copy_may_help(code))
            code = copy_file(env, from, to, link, walk->err);
        else if (code < 0)
            code = leat__error(walk->err, code, "%s", why.message);
    }
    if (code == 0 && walk->restoring)
        leat__point(LEAT_POINT_RESTORE_LINKED);
    leat__free(from);
    leat__free(to);
    return code;
}

static int make_dir(struct leat_env *env, const char *dir, struct leat_error *err)
{
    struct leat_file_info info;
    struct leat_error why = { 0 };
    const int there = env->fs_stat(env, dir, &info, &why);
    if (there == 0)
        return leat__error(err, LEAT_EEXISTS, "%s exists already; it is a leftover, remove it", dir);
    if (there != LEAT_ENOTFOUND)
        return leat__error(err, there, "%s", why.message);
    return env->fs_mkdir(env, dir, err);
}

static int fill_dir(struct dir_walk *walk)
{
    return walk->env->fs_list(walk->env, walk->dir, take_file, walk, walk->err);
}

int leat__store_dir_begin(const struct leat_store_opts *opts, const char *link_suffix, struct leat_error *err)
{
    int code = make_dir(opts->env, opts->dir, err);
    if (code < 0) {
        leat__error_prefix(err, "live directory of a state store");
        return code;
    }
    struct dir_walk walk = { .env = opts->env,
        .dir = opts->from,
        .to = opts->dir,
        .suffix = link_suffix,
        .err = err,
        .restoring = true };
    code = opts->from ? fill_dir(&walk) : 0;
    if (code < 0) {
        leat__store_dir_remove(opts->env, opts->dir);
        leat__error_prefix(err, "begin a state store from %s", opts->from);
    }
    return code;
}

int leat__store_dir_share(
    struct leat_env *env, const char *from, const char *to, const char *link_suffix, struct leat_error *err)
{
    struct dir_walk walk = { .env = env, .dir = from, .to = to, .suffix = link_suffix, .err = err };
    LEAT_TRY(make_dir(env, to, err));
    return fill_dir(&walk);
}

/* Allocates nothing: removing must also work when memory is what has run out. */
static int remove_one(void *arg, const char *name, bool is_dir)
{
    struct dir_walk *walk = arg;
    char path[PATH_BYTES];
    if (snprintf(path, sizeof path, "%s/%s", walk->dir, name) >= (int)sizeof path)
        return 0;
    if (is_dir)
        leat__store_dir_remove(walk->env, path);
    else
        (void)walk->env->fs_unlink(walk->env, path, NULL);
    return 0;
}

void leat__store_dir_remove(struct leat_env *env, const char *dir)
{
    struct dir_walk walk = { .env = env, .dir = dir };
    (void)env->fs_list(env, dir, remove_one, &walk, NULL);
    (void)env->fs_rmdir(env, dir, NULL);
}

static int sync_one(void *arg, const char *name, bool is_dir)
{
    struct dir_walk *walk = arg;
    leat_fd fd = -1;
    if (is_dir || (walk->suffix && leat__store_has_suffix(name, walk->suffix)))
        return 0;
    char *path = leat__store_path(walk->dir, name);
    if (!path)
        return leat__error(walk->err, LEAT_ENOMEM, "out of memory");
    int code = walk->env->fs_open(walk->env, path, LEAT_OPEN_READ, &fd, walk->err);
    if (code == 0) {
        code = walk->env->fs_sync(walk->env, fd, walk->err);
        walk->env->fs_close(walk->env, fd);
        if (code < 0)
            leat__error_prefix(walk->err, "%s", path);
    }
    leat__free(path);
    return code;
}

int leat__store_dir_sync(struct leat_env *env, const char *dir, const char *except, struct leat_error *err)
{
    struct dir_walk walk = { .env = env, .dir = dir, .suffix = except, .err = err };
    LEAT_TRY(env->fs_list(env, dir, sync_one, &walk, err));
    return env->fs_sync_dir(env, dir, err);
}
