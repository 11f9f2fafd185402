/* tests/support/store_dirs.h -- directories of stores in tests: a place for them, what they hold, and an
 * environment whose links fail. */
#ifndef LEAT_TESTS_SUPPORT_STORE_DIRS_H
#define LEAT_TESTS_SUPPORT_STORE_DIRS_H
#include "base/env.h"

/* A new empty directory below $TMPDIR or /tmp; removed with everything in it by store_dirs_free. */
char *store_dirs_new(void);
void store_dirs_free(char *root);
/* root/name in one of a few static buffers: valid for the next 16 calls. */
const char *store_dirs_path(const char *root, const char *format, ...) LEAT_PRINTF(2, 3);
bool store_dirs_exists(const char *path);
void store_dirs_remove(const char *path);

struct store_file {
    char name[64];
    uint64_t size, hash;
    uint32_t links;
};
/* The files of a flat directory by name; how many (at most max). */
uint32_t store_dirs_files(const char *path, struct store_file *files, uint32_t max);
/* One number for names and contents of all files. */
uint64_t store_dirs_hash(const char *path);

/* The real world, but fs_link fails with `code` (0: it works), and calls are counted. Static. */
struct store_link_env {
    struct leat_env env; /* first */
    int link_code;
    uint32_t links_count, syncs_count;
};
struct leat_env *store_link_env(struct store_link_env *env, int link_code);
#endif
