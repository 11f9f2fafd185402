/* runtime/tree.h -- directories as wholes: made so that they last, listed, removed, hashed. All block. */
#ifndef LEAT_RUNTIME_TREE_H
#define LEAT_RUNTIME_TREE_H
#include "base/arena.h"
#include "base/env.h"
#include "base/strbuf.h"

#define LEAT_TREE_PATH_MAX 4096u

/* Writes "dir/name" (`name` NULL: dir alone). LEAT_EINVAL when it does not fit. */
LEAT_NODISCARD int leat__tree_path(
    char *path, size_t size, const char *dir, const char *name, struct leat_error *err);
/* The directory that holds `path`: "." for a bare name. Same buffer size as path. */
void leat__tree_parent(const char *path, char *parent, size_t size);
/* Makes a directory with its parents, and syncs every directory that got a new entry. There already: 0. */
LEAT_NODISCARD int leat__tree_make(struct leat_env *env, const char *dir, struct leat_error *err);
/* Removes a directory with everything in it, or a file; not there: 0. `removed` (may be NULL) is called after
 * each file. */
LEAT_NODISCARD int leat__tree_remove(
    struct leat_env *env, const char *path, void (*removed)(void), struct leat_error *err);

struct leat_tree_file {
    const char *name; /* relative to the directory, "worker-0/000012.sst" */
    uint64_t bytes;
};
/* All files below a directory, sorted by name; and the directories below it, those inside before what holds
 * them. In the arena. */
LEAT_NODISCARD int leat__tree_list(struct leat_env *env, const char *dir, struct leat_arena *arena,
    struct leat_tree_file **files, uint32_t *count, const char ***dirs, uint32_t *dirs_count,
    struct leat_error *err);
/* XXH3-64 of a file's content, and its size. */
LEAT_NODISCARD int leat__tree_hash(
    struct leat_env *env, const char *path, uint64_t *hash, uint64_t *bytes, struct leat_error *err);
/* The new name `to` for the same bytes: a link, or where there are none a synced copy. `to` must not exist.
 * The directory is the caller's to sync. */
LEAT_NODISCARD int leat__tree_link(
    struct leat_env *env, const char *from, const char *to, struct leat_error *err);
/* The whole content instead of what was in `out`. LEAT_ELIMIT above `max` bytes. */
LEAT_NODISCARD int leat__tree_read(
    struct leat_env *env, const char *path, size_t max, struct leat_strbuf *out, struct leat_error *err);
#endif
