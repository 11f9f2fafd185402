/* runtime/checkpoint_store.h -- where checkpoints are kept: today a local directory, later an object store.
 *
 *   DIR/JOB/LOCK             held by the one process that runs the job
 *   DIR/JOB/MANIFEST-00000007   of checkpoint 7: there = complete
 *   DIR/JOB/COMMITTED-00000007  its sinks have committed: whoever goes on from it need not do so again, and what
 *                            they have made visible may have been taken away since
 *   DIR/JOB/chk-00000007/    its files: worker-0/ (a store checkpoint), outbox-NODE-SLOT, ...
 *   DIR/JOB/chk-00000008.tmp/   being made; swept away when a job starts
 *   DIR/JOB/live/            see leat_job_opts.state_dir
 *   SAVEPOINT/MANIFEST, SAVEPOINT/...   a savepoint: the same in one directory of the user's
 *
 * Order of a checkpoint: files written and synced in .tmp, .tmp synced, renamed, DIR/JOB synced; manifest
 * written to a temporary name, synced, renamed, DIR/JOB synced. Of a removal: manifest, DIR/JOB synced, then
 * files. A checkpoint without a manifest does not exist; one with a manifest is complete, and `verify` says
 * whether it is whole. Nothing in a checkpoint is ever changed, since other checkpoints may share its files
 * by links.
 *
 * Calls block and belong on the coordinator's side or in tasks. */
#ifndef LEAT_RUNTIME_CHECKPOINT_STORE_H
#define LEAT_RUNTIME_CHECKPOINT_STORE_H
#include "runtime/manifest.h"

struct leat_checkpoint_store;

struct leat_checkpoint_store_class {
    const char *name; /* "local" */
    /* `job` NULL: `dir` is a savepoint (or one checkpoint by its path), read-only. */
    int (*open)(struct leat_env *env, const char *dir, const char *job, struct leat_checkpoint_store **store,
        struct leat_error *err);
    void (*close)(struct leat_checkpoint_store *store);
    int (*lock)(struct leat_checkpoint_store *store, struct leat_error *err);
    /* Ids of complete checkpoints, rising. The array is the caller's to free (leat__free). */
    int (*list)(struct leat_checkpoint_store *store, uint64_t **ids, uint32_t *count, struct leat_error *err);
    /* The highest id that was ever used, of complete ones or not. */
    int (*last_id)(struct leat_checkpoint_store *store, uint64_t *id, struct leat_error *err);
    int (*read_manifest)(struct leat_checkpoint_store *store, uint64_t id, struct leat_manifest *manifest,
        struct leat_error *err);
    /* Begins checkpoint `id`: a local directory where its files are to be made. */
    int (*begin)(
        struct leat_checkpoint_store *store, uint64_t id, char *dir, size_t dir_size, struct leat_error *err);
    /* All files are there and synced: lists and hashes them (those that the checkpoint before has too, by
     * name and size, keep their hash), and makes them durable. Fills files and *new_bytes. */
    int (*seal)(struct leat_checkpoint_store *store, uint64_t id, const struct leat_manifest *before,
        struct leat_arena *arena, struct leat_manifest_file **files, uint32_t *count, uint64_t *new_bytes,
        struct leat_error *err);
    int (*publish)(struct leat_checkpoint_store *store, const struct leat_manifest *manifest,
        struct leat_error *err); /* the decision */
    /* Notes that everything that the manifest has decided was done, for good. May be lost in a crash: then it is
     * done again. */
    int (*acknowledge)(struct leat_checkpoint_store *store, uint64_t id, struct leat_error *err);
    /* 1 when that was noted, 0 when it was not, or an error. A savepoint always has it: it is made afterwards. */
    int (*is_acknowledged)(struct leat_checkpoint_store *store, uint64_t id, struct leat_error *err);
    int (*abandon)(struct leat_checkpoint_store *store, uint64_t id, struct leat_error *err);
    int (*remove)(struct leat_checkpoint_store *store, uint64_t id, struct leat_error *err);
    /* Removes what is no checkpoint: .tmp, files without manifest. Only with the lock. */
    int (*sweep)(struct leat_checkpoint_store *store, struct leat_error *err);
    /* Whether every listed file is there with its size and content. The error names the first that is not. */
    int (*verify)(
        struct leat_checkpoint_store *store, const struct leat_manifest *manifest, struct leat_error *err);
    /* The local path of one of its files or directories, for reading and linking only. */
    int (*path)(struct leat_checkpoint_store *store, uint64_t id, const char *name, char *path,
        size_t path_size, struct leat_error *err);
    /* A self-contained copy (links where they work) as a savepoint in the new directory `to`. */
    int (*export)(struct leat_checkpoint_store *store, const struct leat_manifest *manifest, const char *to,
        struct leat_error *err);
};
struct leat_checkpoint_store {
    const struct leat_checkpoint_store_class *store_class;
};
extern const struct leat_checkpoint_store_class leat__checkpoint_store_local;
#endif
