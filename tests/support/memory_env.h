/* tests/support/memory_env.h -- an environment whose files are byte arrays, for tests and fuzzers that must
 * not touch the disk, and whose n-th file call can be made to fail or to come up short.
 *
 * Directories are implied by the names of files ("a/b" makes "a"), or made; those that are made are listed
 * when they are empty, too. A file system may be made small: a write that would exceed it fails with
 * LEAT_ENOSPC. Clocks stand still until they are moved;
 * random numbers come from a seed. Single-threaded. Memory is the C library's own, not base/alloc.h: tests
 * that count or fail allocations see only those of what they test. */
#ifndef LEAT_TESTS_SUPPORT_MEMORY_ENV_H
#define LEAT_TESTS_SUPPORT_MEMORY_ENV_H
#include "base/env.h"

enum memory_env_call {
    MEMORY_ENV_OPEN = 1,
    MEMORY_ENV_PREAD,
    MEMORY_ENV_READ,
    MEMORY_ENV_WRITE,
    MEMORY_ENV_SYNC, /* of files and of directories */
    MEMORY_ENV_RENAME,
    MEMORY_ENV_LINK,
    MEMORY_ENV_UNLINK,
    MEMORY_ENV_STAT,
    MEMORY_ENV_LIST, /* and glob */
    MEMORY_ENV_MKDIR,
    MEMORY_ENV_TRUNCATE,
    MEMORY_ENV_RMDIR,
    MEMORY_ENV_LOCK,
    MEMORY_ENV_SPACE,
};

/* Decides about call number `n` (from 1, over all kinds) on `path`. Returns 0 to let it happen, or the
 * negative LEAT_E* code to fail with. For reads and writes *size may be made smaller: a read then gives fewer
 * bytes, a write stores that many and fails with the code (LEAT_EIO if it is 0). */
typedef int (*memory_env_hook)(
    void *arg, enum memory_env_call call, uint64_t n, const char *path, size_t *size);

struct leat_env *memory_env_new(uint64_t seed);
void memory_env_free(struct leat_env *env);

/* Creates or replaces a file. */
void memory_env_put(struct leat_env *env, const char *path, const void *data, size_t size);
/* The bytes of a file, valid until it changes; NULL where there is none. */
const void *memory_env_get(struct leat_env *env, const char *path, size_t *size);
/* Files that are there, and descriptors not closed. */
size_t memory_env_files_count(const struct leat_env *env);
size_t memory_env_open_count(const struct leat_env *env);
/* File calls so far. */
uint64_t memory_env_calls_count(const struct leat_env *env);

void memory_env_set_hook(struct leat_env *env, memory_env_hook hook, void *arg);
/* The n-th call from now (1 = the next) fails once with `code`; 0 switches off. Independent of the hook. */
void memory_env_fail_at(struct leat_env *env, uint64_t n, int code);
/* Bytes that all files together may have; UINT64_MAX (at first): no limit. */
void memory_env_set_capacity(struct leat_env *env, uint64_t bytes);
void memory_env_advance(struct leat_env *env, int64_t us);
#endif
