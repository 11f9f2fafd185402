/* state/store_rocksdb_private.h -- the parts of the RocksDB store. Included by store_rocksdb*.c only: they are
 * the one place that knows rocksdb/c.h. */
#ifndef LEAT_STATE_STORE_ROCKSDB_PRIVATE_H
#define LEAT_STATE_STORE_ROCKSDB_PRIVATE_H
#include "state/store_private.h"
#include <rocksdb/c.h>

#define LEAT_ROCKSDB_SST ".sst"
/* Files in level 0 from which on they are merged: while keys are read, and while none are; and at which writes wait. */
#define LEAT_ROCKSDB_L0_READ 8
#define LEAT_ROCKSDB_L0_IDLE 48
#define LEAT_ROCKSDB_L0_MAX 96

/* How values are combined; lives as long as the options that hold its operator. */
struct leat__rocksdb_merge {
    leat_store_merge_fn merge;
    void *arg;
    bool
        apart; /* combine nothing: a merged value's parts go into `parts`, each behind its length (uint64_t) */
    struct leat_strbuf parts;
};

/* What one call of get works on; grows to the largest one. */
struct leat__rocksdb_gets {
    uint32_t capacity, used;
    const char **keys;
    size_t *key_lens;
    rocksdb_pinnableslice_t **values; /* of the last get: what its views show */
    char **errors;
};

struct leat__rocksdb {
    struct leat_store store; /* first */
    struct leat_env *env;
    char *dir;
    struct leat__store_cause cause;
    struct leat__rocksdb_merge merge;
    rocksdb_cache_t *cache;
    rocksdb_options_t *options, *run_options; /* of the database; of the files that runs are written into */
    rocksdb_envoptions_t *env_options;
    rocksdb_readoptions_t *read_options;
    rocksdb_writeoptions_t *write_options;
    rocksdb_ingestexternalfileoptions_t *ingest_options;
    rocksdb_t *db;
    rocksdb_column_family_handle_t *cf;
    rocksdb_writebatch_t *batch; /* of small runs */
    uint64_t runs_count; /* names of files that runs are written into */
    uint32_t iters_count; /* open ones, the worker's */
    uint64_t asked; /* atomic: keys that were asked for since level 0 was last looked at */
    uint32_t runs_unseen; /* runs since then */
    bool merges_early;
    struct leat__rocksdb_gets gets;
};

/* Translates and frees what RocksDB says: LEAT_ENOSPC, LEAT_EIO or LEAT_ESTATE, with `doing` before the text.
 * 0 when text is NULL. */
int leat__rocksdb_error(const char *dir, const char *doing, char *text, struct leat_error *err);

void leat__rocksdb_free(struct leat__rocksdb *r); /* all but the directory; also what is half made */

/* store_rocksdb_options.c. Fills cache and all options; on failure what was made is in `r`. */
LEAT_NODISCARD int leat__rocksdb_options_init(
    struct leat__rocksdb *r, uint64_t memory_bytes, struct leat_error *err);
void leat__rocksdb_options_release(struct leat__rocksdb *r);
/* Whether level 0 is kept small, for reads. */
void leat__rocksdb_merge_early(struct leat__rocksdb *r, bool early);
/* The operator; NULL merge->merge makes every merge fail. */
rocksdb_mergeoperator_t *leat__rocksdb_merge_operator(struct leat__rocksdb_merge *merge);

/* store_rocksdb_write.c */
int leat__rocksdb_write(
    struct leat_store *store, const struct leat_store_entry *entries, uint64_t count, struct leat_error *err);
int leat__rocksdb_delete_range(
    struct leat_store *store, struct leat_sv from, struct leat_sv to, struct leat_error *err);
int leat__rocksdb_replace(struct leat_store *store, struct leat_sv from, struct leat_sv to,
    leat_store_next_fn next, void *arg, struct leat_error *err);
int leat__rocksdb_checkpoint(struct leat_store *store, const char *dir, struct leat_error *err);

/* store_rocksdb_table.c: a table file of puts, in order of their keys; close it in any case. */
struct leat__table_file;
LEAT_NODISCARD int leat__table_file_open(
    struct leat_env *env, const char *path, struct leat__table_file **file, struct leat_error *err);
LEAT_NODISCARD int leat__table_file_put(
    struct leat__table_file *file, struct leat_sv key, struct leat_sv value, struct leat_error *err);
LEAT_NODISCARD int leat__table_file_finish(struct leat__table_file *file, struct leat_error *err);
void leat__table_file_close(struct leat__table_file *file);

/* store_rocksdb_read.c */
int leat__rocksdb_get(struct leat_store *store, const struct leat_sv *keys, uint32_t count,
    struct leat_sv *values, struct leat_error *err);
void leat__rocksdb_gets_release(struct leat__rocksdb_gets *gets);
int leat__rocksdb_iter_new(struct leat_store *store, struct leat_sv from, struct leat_sv to,
    struct leat_store_iter **iter, struct leat_error *err);
int leat__rocksdb_iter_next(
    struct leat_store_iter *iter, struct leat_sv *key, struct leat_sv *value, struct leat_error *err);
void leat__rocksdb_iter_seek(struct leat_store_iter *iter, struct leat_sv key);
void leat__rocksdb_iter_free(struct leat_store_iter *iter);
int leat__rocksdb_scan(const struct leat_store_opts *opts,
    int (*fn)(void *arg, struct leat_sv key, struct leat_sv value), void *arg, struct leat_error *err);
#endif
