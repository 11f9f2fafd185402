/* tests/support/powercut.h -- an environment whose files lose what a power cut may take: a file system in memory that
 * knows what of it is on the disk.
 *
 *   a file        has the bytes of its last fs_sync; each write, truncation since may be there, or not, or half
 *   a directory   has the names of its last fs_sync_dir; each name made, linked, renamed, removed since may be so,
 *                 or not; a rename within a directory is one step
 *
 * Nothing else is promised: syncing a file does not save its name, syncing a directory does not save its own name
 * in the one above, a later change may be there without an earlier one. What is in files below a directory
 * called "outside" is another machine's: it is never lost.
 *
 * After the power has gone every call fails (closing works), and powercut_crash makes the environment of the next
 * start: one of the images that the disk may have, chosen by a seed. Seeds 0 and 1 are nothing and everything of
 * what is not synced. Single-threaded. Clock and random numbers as in memory_env. */
#ifndef LEAT_TESTS_SUPPORT_POWERCUT_H
#define LEAT_TESTS_SUPPORT_POWERCUT_H
#include "base/env.h"

struct leat_env *powercut_new(uint64_t seed);
void powercut_free(struct leat_env *env);

/* Calls so far that change something: made files, writes, syncs, renames, links, removals, ... */
uint64_t powercut_changes_count(const struct leat_env *env);
/* The power goes before change number `n` (counted from the start); 0: it stays. */
void powercut_off_at(struct leat_env *env, uint64_t n);
void powercut_off(struct leat_env *env); /* now */
/* Change number `n` fails with `code`, once; 0: none. */
void powercut_fail_at(struct leat_env *env, uint64_t n, int code);
bool powercut_is_off(const struct leat_env *env);
/* What the disk has afterwards, as a new environment with power. The old one stays as it is. */
struct leat_env *powercut_crash(struct leat_env *env, uint64_t seed);

/* Gives another environment (a simulated world, say) these files: its fs_ calls come here from now on. One at a time
 * in the process: the files of the last call are those of all that were attached. */
void powercut_attach(struct leat_env *world, struct leat_env *files);

/* The bytes of a file, valid until it changes; NULL where there is none. */
const void *powercut_get(struct leat_env *env, const char *path, size_t *size);
size_t powercut_open_count(const struct leat_env *env);
/* All paths of files, one a line, in no order: for messages and for looking for leftovers. The caller frees. */
char *powercut_list(struct leat_env *env);
#endif
