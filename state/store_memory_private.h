/* state/store_memory_private.h -- the parts of the store in memory. Included by store_memory*.c only. */
#ifndef LEAT_STATE_STORE_MEMORY_PRIVATE_H
#define LEAT_STATE_STORE_MEMORY_PRIVATE_H
#include "state/store_private.h"

/* Immutable once made, shared by versions. Either entries in key order, those of one key next to each other
 * with the newest first; or, where range_to is not empty, a range of keys that is forgotten in all layers
 * below. */
struct leat__memory_run {
    uint32_t refs; /* atomic */
    uint64_t count, bytes_count;
    struct leat_store_entry *entries; /* views into bytes */
    char *bytes;
    struct leat_sv range_from, range_to;
};
/* Takes entries as they are (deep copy). NULL when out of memory, and so below. */
struct leat__memory_run *leat__memory_run_new(const struct leat_store_entry *entries, uint64_t count);
/* Takes over both blocks (leat__malloc), also on failure. */
struct leat__memory_run *leat__memory_run_of(
    struct leat_store_entry *entries, uint64_t count, char *bytes, uint64_t bytes_count);
struct leat__memory_run *leat__memory_run_range(struct leat_sv from, struct leat_sv to);
struct leat__memory_run *leat__memory_run_ref(struct leat__memory_run *run);
void leat__memory_run_unref(struct leat__memory_run *run);
static inline bool leat__memory_run_is_range(const struct leat__memory_run *run)
{
    return run->range_to.len > 0;
}
/* The first entry whose key is >= key. */
uint64_t leat__memory_run_find(const struct leat__memory_run *run, struct leat_sv key);
/* Behind the entries of the key at `at`. */
uint64_t leat__memory_run_skip(const struct leat__memory_run *run, uint64_t at);

/* How values are combined. */
struct leat__memory_merge {
    leat_store_merge_fn merge;
    void *arg;
};
/* What two layers are together; `newer` may be a range where `older` is at the bottom. `bottom`: nothing lies
 * below `older`, so what only hides what is below goes. */
struct leat__memory_run *leat__memory_run_merge(const struct leat__memory_run *older,
    const struct leat__memory_run *newer, bool bottom, const struct leat__memory_merge *merge);

/* The entries of one key over all layers, newest first; ends with the put, if there is one. */
struct leat__memory_stack {
    const struct leat_store_entry **entries;
    uint32_t count, capacity;
    bool failed; /* out of memory */
};
void leat__memory_stack_release(struct leat__memory_stack *stack);
/* False when the entry ends the stack: a put, or a delete, which is not taken. */
bool leat__memory_stack_add(struct leat__memory_stack *stack, const struct leat_store_entry *entry);
/* Their value: a view of the only part, or made in `out`. */
LEAT_NODISCARD int leat__memory_stack_value(const struct leat__memory_stack *stack,
    const struct leat__memory_merge *merge, struct leat_strbuf *out, struct leat_sv *value,
    struct leat_error *err);

/* store_memory_file.c: one run as a file. Synced. */
LEAT_NODISCARD int leat__memory_save(
    struct leat_env *env, const char *path, const struct leat__memory_run *run, struct leat_error *err);
LEAT_NODISCARD int leat__memory_load(
    struct leat_env *env, const char *path, struct leat__memory_run **run, struct leat_error *err);
#define LEAT_MEMORY_SUFFIX ".run"
/* The run of a checkpoint's directory, and its number; an empty run and 0 where there is no file. */
LEAT_NODISCARD int leat__memory_load_dir(struct leat_env *env, const char *dir, struct leat__memory_run **run,
    uint64_t *number, struct leat_error *err);
int leat__memory_scan(const struct leat_store_opts *opts,
    int (*fn)(void *arg, struct leat_sv key, struct leat_sv value), void *arg, struct leat_error *err);
#endif
