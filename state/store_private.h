/* state/store_private.h -- what the two stores share: how a live directory begins and ends, and the cause that
 * sticks to a broken store. */
#ifndef LEAT_STATE_STORE_PRIVATE_H
#define LEAT_STATE_STORE_PRIVATE_H
#include "state/store.h"

/* The first failure of a store. Written once by whichever thread failed, read by all. */
struct leat__store_cause {
    uint32_t state; /* atomic: 0 whole, 1 being written, 2 broken: `error` stands */
    struct leat_error error;
};
/* Whether the store is broken: its cause's code, with the cause in err; or 0. */
int leat__store_check(const struct leat__store_cause *cause, struct leat_error *err);
/* Breaks the store with `error` unless it is broken already; gives the cause that sticks. */
int leat__store_break(
    struct leat__store_cause *cause, const struct leat_error *error, struct leat_error *err);

/* Makes the live directory, which must not exist, and fills it from opts->from: files whose names end in
 * `link_suffix` are linked, or copied and synced where the file system can not link; all others are copied.
 * On failure nothing is left of it. */
LEAT_NODISCARD int leat__store_dir_begin(
    const struct leat_store_opts *opts, const char *link_suffix, struct leat_error *err);
/* Makes `to`, which must not exist, and fills it in the same way from `from`; what fails leaves a part. */
LEAT_NODISCARD int leat__store_dir_share(
    struct leat_env *env, const char *from, const char *to, const char *link_suffix, struct leat_error *err);
/* Removes a directory with everything in it, as far as possible: what can not be removed stays, and is removed
 * by the next start of the job. */
void leat__store_dir_remove(struct leat_env *env, const char *dir);
/* Syncs all files of a directory whose names do not end in `except`, then the directory. */
LEAT_NODISCARD int leat__store_dir_sync(
    struct leat_env *env, const char *dir, const char *except, struct leat_error *err);
bool leat__store_has_suffix(const char *name, const char *suffix);
/* "dir/name", to be freed; NULL when out of memory. */
char *leat__store_path(const char *dir, const char *name);
#endif
