/* base/env.h -- everything that touches the world: clocks, random numbers, files, threads, wake-ups.
 *
 * The engine calls the world only through a struct leat_env, so that the same job runs on real threads
 * (env_posix.c) and under a seeded single-threaded scheduler with a virtual clock (env_sim.c). A check on
 * undefined symbols keeps direct calls out of every other file.
 *
 * File calls return 0 or more on success and a negative LEAT_E* code otherwise, with cause in `err`
 * ("open /x/y: No such file or directory"). They may be called from any thread. */
#ifndef LEAT_BASE_ENV_H
#define LEAT_BASE_ENV_H
#include "base/error.h"

struct leat_env;

struct leat_file_info {
    uint64_t size;
    int64_t modified_us; /* wall time */
    bool is_dir;
    bool is_regular; /* false for pipes, terminals, sockets */
    bool others_read, others_write; /* every user of the system may */
    bool
        is_ours; /* its rights can be changed: it belongs to this user, on a file system that can be written */
};

enum leat_open_mode {
    LEAT_OPEN_READ = 1,
    LEAT_OPEN_CREATE, /* write; must not exist yet */
    LEAT_OPEN_TRUNCATE, /* write; created, or emptied */
    LEAT_OPEN_APPEND, /* write at the end; created where missing */
};

/* A directory entry as list gives it; names are without the directory. */
typedef int (*leat_env_list_fn)(void *arg, const char *name, bool is_dir);

/* A file descriptor of the environment; 0, 1, 2 are the standard streams. */
typedef int leat_fd;

struct leat_env {
    void *impl;

    int64_t (*mono_ns)(struct leat_env *env); /* monotonic: durations and timeouts */
    int64_t (*wall_us)(struct leat_env *env); /* wall clock: stamps and processing time */
    uint64_t (*random)(struct leat_env *env); /* 64 random bits; seeded in simulation; thread-safe */

    int (*fs_open)(struct leat_env *env, const char *path, enum leat_open_mode mode, leat_fd *fd,
        struct leat_error *err);
    void (*fs_close)(struct leat_env *env, leat_fd fd);
    /* Bytes read, 0 at the end of the file. Short only at the end. */
    int64_t (*fs_pread)(
        struct leat_env *env, leat_fd fd, void *data, size_t size, uint64_t offset, struct leat_error *err);
    /* For pipes: bytes read (may be short), 0 at the end, LEAT_EAGAIN_NOW when there is nothing yet. */
    int64_t (*fs_read)(struct leat_env *env, leat_fd fd, void *data, size_t size, struct leat_error *err);
    /* Writes all of it or fails. */
    int (*fs_write)(struct leat_env *env, leat_fd fd, const void *data, size_t size, struct leat_error *err);
    int (*fs_sync)(struct leat_env *env, leat_fd fd, struct leat_error *err);
    int (*fs_sync_dir)(struct leat_env *env, const char *dir, struct leat_error *err);
    int (*fs_rename)(struct leat_env *env, const char *from, const char *to, struct leat_error *err);
    int (*fs_link)(struct leat_env *env, const char *from, const char *to, struct leat_error *err);
    int (*fs_unlink)(struct leat_env *env, const char *path, struct leat_error *err);
    /* Makes the file exactly that long; shorter only. The new length lasts when the file was synced. */
    int (*fs_truncate)(struct leat_env *env, const char *path, uint64_t size, struct leat_error *err);
    int (*fs_rmdir)(struct leat_env *env, const char *path, struct leat_error *err); /* an empty directory */
    /* Creates the file where it is missing and locks it until fs_close or the end of the process.
     * LEAT_EEXISTS when another process (or another lock of this one) holds it. */
    int (*fs_lock)(struct leat_env *env, const char *path, leat_fd *fd, struct leat_error *err);
    /* Bytes that may still be written below a directory. */
    int (*fs_space)(struct leat_env *env, const char *dir, uint64_t *free_bytes, struct leat_error *err);
    int (*fs_mkdir)(
        struct leat_env *env, const char *path, struct leat_error *err); /* with parents; exists: 0 */
    int (*fs_list)(
        struct leat_env *env, const char *dir, leat_env_list_fn fn, void *arg, struct leat_error *err);
    int (*fs_stat)(
        struct leat_env *env, const char *path, struct leat_file_info *info, struct leat_error *err);
    /* Paths that match a shell pattern, sorted; one call of fn each; LEAT_ENOTFOUND when there is none. */
    int (*fs_glob)(
        struct leat_env *env, const char *pattern, leat_env_list_fn fn, void *arg, struct leat_error *err);
};

/* fs_read: nothing there yet; not an error. */
#define LEAT_EAGAIN_NOW (-1000)

/* The real world. Static; never released. */
struct leat_env *leat__env_posix(void);

/* Workers of a job that does not say how many: LEAT_PARALLELISM where it is a number from 1 to
 * LEAT_WORKERS_MAX, else the cores that the process may use, at most LEAT_WORKERS_MAX. */
uint32_t leat__env_parallelism(void);

/* A variable of the process; NULL where it is not set or empty. Borrowed. */
const char *leat__env_variable(const char *name);

/* A world with a virtual clock (starting at wall time `wall_us`, monotonic 0) and random numbers from `seed`.
 * Files go to the real file system. Single-threaded. */
struct leat_env *leat__env_sim_new(uint64_t seed, int64_t wall_us);
void leat__env_sim_free(struct leat_env *env);
void leat__env_sim_advance(struct leat_env *env, int64_t us); /* moves both clocks forward */
#endif
