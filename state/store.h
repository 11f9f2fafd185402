/* state/store.h -- one ordered key-value store on disk: what tables spill to and what checkpoints are made
 * of.
 *
 * Two implementations behind one interface, held to each other by one conformance suite:
 *   store_rocksdb.c   RocksDB through its C API, no WAL (the checkpoint is the durability)
 *   store_memory.c    a sorted array in memory whose checkpoint is one file: for simulation and tests
 *
 * Keys are byte strings in bytewise order. A key has a value made by puts and merges: a merge adds an
 * operand, and reading combines the put below with all operands above it by the store's merge function.
 * Writes come as sorted runs only. A store belongs to one worker; writes, reads and checkpoints are never at
 * the same time, but for one thing: reads may go on, on the worker, while a task writes a run or makes a
 * checkpoint.
 *
 * Errors: after any failed write or checkpoint the store is broken: every later call fails with the first
 * cause (LEAT_EIO, LEAT_ENOSPC, LEAT_ESTATE), and its directory is never opened again. Recovery begins with a
 * checkpoint. */
#ifndef LEAT_STATE_STORE_H
#define LEAT_STATE_STORE_H
#include "base/env.h"
#include "base/strbuf.h"
#include <leat/type.h>

struct leat_store;
struct leat_store_iter;

/* Appends to `out` what older and newer (encoded values of `key`) are together. Called from any thread. */
typedef int (*leat_store_merge_fn)(
    void *arg, struct leat_sv key, struct leat_sv older, struct leat_sv newer, struct leat_strbuf *out);

struct leat_store_opts {
    struct leat_env *env;
    const char *dir; /* live directory: made, must not exist; removed by close */
    const char *from; /* directory of a store checkpoint to begin with (its .sst files are linked or copied,
                         the rest is copied; it is never changed), or NULL: empty */
    uint64_t memory_bytes; /* for block cache, memtables and table readers together; 0: 64 MiB */
    leat_store_merge_fn merge; /* NULL: no merges are written */
    void *merge_arg;
};

enum leat_store_write { LEAT_STORE_PUT = 1, LEAT_STORE_MERGE, LEAT_STORE_DELETE };
struct leat_store_entry {
    struct leat_sv key, value;
    enum leat_store_write write;
};

/* Gives the next entries, at most `max` (keys rise from call to call, too), which stay as they are until the next
 * call; 0: that was all. */
typedef uint32_t (*leat_store_next_fn)(void *arg, struct leat_store_entry *entries, uint32_t max);

struct leat_store_class {
    const char *name; /* "rocksdb", "memory" */
    int (*open)(const struct leat_store_opts *opts, struct leat_store **store, struct leat_error *err);
    void (*close)(struct leat_store *store); /* removes the live directory */
    /* values[i] = the value of keys[i] (strictly rising), data NULL where there is none; valid until the next
     * get. */
    int (*get)(struct leat_store *store, const struct leat_sv *keys, uint32_t count, struct leat_sv *values,
        struct leat_error *err);
    /* A walk over keys in [from, to) as the store is now; `to` of length 0: to the end. */
    int (*iter_new)(struct leat_store *store, struct leat_sv from, struct leat_sv to,
        struct leat_store_iter **iter, struct leat_error *err);
    /* 1 with key and value (valid until the next call), 0 at the end, or an error. */
    int (*iter_next)(
        struct leat_store_iter *iter, struct leat_sv *key, struct leat_sv *value, struct leat_error *err);
    /* The next call of iter_next gives the first key >= key. */
    void (*iter_seek)(struct leat_store_iter *iter, struct leat_sv key);
    void (*iter_free)(struct leat_store_iter *iter);
    /* Entries with strictly rising keys. */
    int (*write)(struct leat_store *store, const struct leat_store_entry *entries, uint64_t count,
        struct leat_error *err);
    /* Forgets keys in [from, to); nothing where from >= to. */
    int (*delete_range)(
        struct leat_store *store, struct leat_sv from, struct leat_sv to, struct leat_error *err);
    /* Forgets keys in [from, to) and writes entries, which lie in it, instead (where from >= to: beside what is
     * there). For many of them: it leaves little to be merged later. */
    int (*replace)(struct leat_store *store, struct leat_sv from, struct leat_sv to, leat_store_next_fn next,
        void *arg, struct leat_error *err);
    /* Everything that was written, in the new directory `dir`, whose parent exists: files and `dir` are
     * synced, the parent is the caller's to sync. Table files (.sst, .run) are never changed, and their names
     * are unique along one line of checkpoints and restores: in an earlier checkpoint from which this store
     * comes a table of the same name is the same file (linked). The other files are small, and each
     * checkpoint's own. */
    int (*checkpoint)(struct leat_store *store, const char *dir, struct leat_error *err);
    uint64_t (*memory_bytes)(const struct leat_store *store); /* in use now: cache, memtables, readers */
    uint64_t (*disk_bytes)(const struct leat_store *store); /* of live files, estimated */
    /* leat__store_scan of the checkpoint opts->dir. */
    int (*scan)(const struct leat_store_opts *opts,
        int (*fn)(void *arg, struct leat_sv key, struct leat_sv value), void *arg, struct leat_error *err);
};

struct leat_store {
    const struct leat_store_class *store_class;
};

extern const struct leat_store_class leat__store_rocksdb, leat__store_memory;

/* Which RocksDB is linked, for benchmarks: "RocksDB 7.8.3, assertions on". */
const char *leat__store_rocksdb_build(void);

/* Reads of a store checkpoint without a live store, in key order: for splitting and verifying. Never changes
 * it. With merge NULL nothing is combined: fn gets a key once for its put and once for each of its merges, the
 * oldest first (written as merges, in that order, into an empty store they are the same as before). What fn
 * returns, if not 0, ends the scan and is its result. */
LEAT_NODISCARD int leat__store_scan(const struct leat_store_class *store_class, struct leat_env *env,
    const char *dir, leat_store_merge_fn merge, void *merge_arg,
    int (*fn)(void *arg, struct leat_sv key, struct leat_sv value), void *arg, struct leat_error *err);
#endif
