/* state/store_rocksdb_write.c -- runs, range deletes and checkpoints of the RocksDB store.
 *
 * A long run is written as table files beside the database, which takes them in by renaming: no memtable, no
 * second writing. A short one goes through the memtable as one sorted batch: cheaper than a file of its own,
 * and level 0 does not fill with tiny files. Where the two cost the same was measured (bench_store). */
#include "state/store_rocksdb_private.h"
#include "base/alloc.h"
#include "base/assert.h"
#include "base/point.h"
#include <stdio.h>

#define RUN_ENTRIES 16384u /* from here on a run is written as files */
#define RUN_BYTES (4u << 20)
#define FILE_BYTES (64u << 20) /* a run is split into files of about this size */
#define RUNS_PER_LOOK 8u
#define ASKED_MANY 10000u /* keys, in so many runs: somebody reads */
#define PREFETCH_AHEAD 8u
#define BATCH_ENTRIES 256u

/* (3) An error of background work shows here, in time for the write or checkpoint that must not count. An empty
 * write fails with its cause when it has stopped the database. */
static int check_background(struct leat__rocksdb *r, struct leat_error *err)
{
    uint64_t errors = 0;
    char *text = NULL;
    if (rocksdb_property_int(r->db, "rocksdb.background-errors", &errors) != 0 || errors == 0)
        return 0;
    rocksdb_writebatch_clear(r->batch);
    rocksdb_write(r->db, r->write_options, r->batch, &text);
    LEAT_TRY(leat__rocksdb_error(r->dir, "background work", text, err));
    return leat__error(err, LEAT_EIO,
        "state store %s: RocksDB's background work has failed (a disk that is full or broken, or damaged "
        "files)",
        r->dir);
}

static int finish(struct leat__rocksdb *r, int code, const struct leat_error *why, struct leat_error *err)
{
    return code < 0 ? leat__store_break(&r->cause, why, err) : 0;
}

static bool is_long_run(const struct leat_store_entry *entries, uint64_t count)
{
    uint64_t bytes = 0;
    if (count >= RUN_ENTRIES)
        return true;
    for (uint64_t i = 0; i < count && bytes < RUN_BYTES; i++)
        bytes += entries[i].key.len + entries[i].value.len;
    return bytes >= RUN_BYTES;
}

static int write_batch(
    struct leat__rocksdb *r, const struct leat_store_entry *entries, uint64_t count, struct leat_error *err)
{
    char *text = NULL;
    rocksdb_writebatch_clear(r->batch);
    for (uint64_t i = 0; i < count; i++) {
        const struct leat_store_entry *e = &entries[i];
        switch (e->write) {
        case LEAT_STORE_PUT:
            rocksdb_writebatch_put(r->batch, e->key.data, e->key.len, e->value.data, e->value.len);
            break;
        case LEAT_STORE_MERGE:
            rocksdb_writebatch_merge(r->batch, e->key.data, e->key.len, e->value.data, e->value.len);
            break;
        case LEAT_STORE_DELETE:
            rocksdb_writebatch_delete(r->batch, e->key.data, e->key.len);
            break;
        }
    }
    rocksdb_write(r->db, r->write_options, r->batch, &text);
    rocksdb_writebatch_clear(r->batch);
    return leat__rocksdb_error(r->dir, "write", text, err);
}

/* ---- runs as files ---- */

struct run_files {
    char **paths;
    size_t count, capacity;
};

static void run_files_release(struct run_files *files)
{
    for (size_t i = 0; i < files->count; i++)
        leat__free(files->paths[i]);
    leat__free(files->paths);
}

static const char *run_files_add(struct leat__rocksdb *r, struct run_files *files)
{
    char name[40];
    if (files->count == files->capacity) {
        const size_t capacity = files->capacity ? files->capacity * 2 : 4;
        char **paths = leat__realloc(files->paths, capacity * sizeof *paths);
        if (!paths)
            return NULL;
        files->paths = paths;
        files->capacity = capacity;
    }
    /* No name that RocksDB would take for one of its own. */
    snprintf(name, sizeof name, "run-%llu", (unsigned long long)r->runs_count++);
    char *path = leat__store_path(r->dir, name);
    if (path)
        files->paths[files->count++] = path;
    return path;
}

static void add_entry(rocksdb_sstfilewriter_t *writer, const struct leat_store_entry *e, char **text)
{
    switch (e->write) {
    case LEAT_STORE_PUT:
        rocksdb_sstfilewriter_put(writer, e->key.data, e->key.len, e->value.data, e->value.len, text);
        break;
    case LEAT_STORE_MERGE:
        rocksdb_sstfilewriter_merge(writer, e->key.data, e->key.len, e->value.data, e->value.len, text);
        break;
    case LEAT_STORE_DELETE:
        rocksdb_sstfilewriter_delete(writer, e->key.data, e->key.len, text);
        break;
    }
}

/* Where the entries of a run come from: all at once, or by and by. */
struct source {
    const struct leat_store_entry *entries;
    uint64_t count, done;
    leat_store_next_fn next; /* NULL: these are all */
    void *arg;
    struct leat_store_entry batch[BATCH_ENTRIES];
};

/* Whether there is one more. */
static bool source_has(struct source *source)
{
    if (source->done < source->count)
        return true;
    if (!source->next)
        return false;
    source->entries = source->batch;
    source->count = source->next(source->arg, source->batch, BATCH_ENTRIES);
    source->done = 0;
    return source->count > 0;
}

/* Writes entries into one file until it is full. */
static int write_file(
    struct leat__rocksdb *r, const char *path, struct source *source, struct leat_error *err)
{
    char *text = NULL;
    uint64_t bytes = 0;
    rocksdb_sstfilewriter_t *writer = rocksdb_sstfilewriter_create(r->env_options, r->run_options);
    rocksdb_sstfilewriter_open(writer, path, &text);
    while (!text && bytes < FILE_BYTES && source_has(source)) {
        const struct leat_store_entry *e = &source->entries[source->done++];
        if (source->done + PREFETCH_AHEAD < source->count) /* entries are in order, their bytes are not */
            __builtin_prefetch(e[PREFETCH_AHEAD].key.data);
        bytes += e->key.len + e->value.len;
        add_entry(writer, e, &text);
    }
    if (!text)
        rocksdb_sstfilewriter_finish(writer, &text);
    rocksdb_sstfilewriter_destroy(writer);
    return leat__rocksdb_error(r->dir, "write a run", text, err);
}

/* The same of puts alone, by a writer of our own. */
static int write_puts(
    struct leat__rocksdb *r, const char *path, struct source *source, struct leat_error *err)
{
    struct leat__table_file *file;
    uint64_t bytes = 0;
    LEAT_TRY(leat__table_file_open(r->env, path, &file, err));
    int code = 0;
    while (code == 0 && bytes < FILE_BYTES && source_has(source)) {
        const struct leat_store_entry *e = &source->entries[source->done++];
        LEAT_ASSERT(e->write == LEAT_STORE_PUT);
        bytes += e->key.len + e->value.len;
        code = leat__table_file_put(file, e->key, e->value, err);
    }
    if (code == 0)
        code = leat__table_file_finish(file, err);
    leat__table_file_close(file);
    return code;
}

static uint64_t level0_files(const struct leat__rocksdb *r)
{
    uint64_t count = 0;
    char *text = rocksdb_property_value(r->db, "rocksdb.num-files-at-level0");
    for (const char *at = text; at && *at >= '0' && *at <= '9'; at++)
        count = 10 * count + (uint64_t)(*at - '0');
    if (text)
        rocksdb_free(text);
    return count;
}

/* Where merging does not keep up, an empty write returns when it has. */
static int wait_for_merging(struct leat__rocksdb *r, struct leat_error *err)
{
    char *text = NULL;
    if (level0_files(r) < LEAT_ROCKSDB_L0_MAX)
        return 0;
    rocksdb_writebatch_clear(r->batch);
    rocksdb_write(r->db, r->write_options, r->batch, &text);
    return leat__rocksdb_error(r->dir, "wait for level 0", text, err);
}

/* Now and then: does anybody read? */
static void look_at_reads(struct leat__rocksdb *r)
{
    if (++r->runs_unseen < RUNS_PER_LOOK)
        return;
    r->runs_unseen = 0;
    leat__rocksdb_merge_early(r, __atomic_exchange_n(&r->asked, 0, __ATOMIC_RELAXED) >= ASKED_MANY);
}

static int write_run(struct leat__rocksdb *r, struct source *source, bool puts_only, struct leat_error *err)
{
    struct run_files files = { 0 };
    int code = wait_for_merging(r, err);
    while (code == 0 && source_has(source)) {
        const char *path = run_files_add(r, &files);
        code = !path    ? leat__error(err, LEAT_ENOMEM, "out of memory")
            : puts_only ? write_puts(r, path, source, err)
                        : write_file(r, path, source, err);
    }
    if (code == 0 && files.count > 0) {
        char *text = NULL;
        rocksdb_ingest_external_file_cf(
            r->db, r->cf, (const char *const *)files.paths, files.count, r->ingest_options, &text);
        code = leat__rocksdb_error(r->dir, "take in a run", text, err);
    }
    if (code == 0)
        look_at_reads(r);
    run_files_release(&files);
    return code;
}

int leat__rocksdb_write(
    struct leat_store *store, const struct leat_store_entry *entries, uint64_t count, struct leat_error *err)
{
    struct leat__rocksdb *r = (struct leat__rocksdb *)store;
    struct leat_error why = { 0 };
    LEAT_TRY(leat__store_check(&r->cause, err));
    if (count == 0)
        return 0;
    int code = check_background(r, &why);
    struct source source = { .entries = entries, .count = count };
    if (code == 0)
        code = is_long_run(entries, count) ? write_run(r, &source, false, &why)
                                           : write_batch(r, entries, count, &why);
    if (code == 0)
        leat__point(LEAT_POINT_STATE_RUN_WRITTEN);
    return finish(r, code, &why, err);
}

/* ---- range deletes ---- */

/* Files that lie within the range as a whole go at once. RocksDB takes the limit as inclusive, but `to` itself
 * must stay: so the limit is a key just below it, short of which only a file that ends between the two is
 * missed. The tombstone hides what remains, and what lies in files that reach beyond the range. */
static int delete_files(
    struct leat__rocksdb *r, struct leat_sv from, struct leat_sv to, struct leat_error *err)
{
    struct leat_strbuf limit = { 0 };
    char *text = NULL;
    int code = 0;
    leat__strbuf_add(&limit, to.data, to.len);
    leat__strbuf_add(&limit, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
    if (limit.failed)
        return 0; /* only space is lost */
    if (limit.data[to.len - 1] == 0)
        limit.len = to.len - 1;
    else
        limit.data[to.len - 1]--;
    if (limit.len > 0 && leat_sv_cmp(from, (struct leat_sv){ limit.data, limit.len }) < 0) {
        rocksdb_delete_file_in_range_cf(r->db, r->cf, from.data, from.len, limit.data, limit.len, &text);
        code = leat__rocksdb_error(r->dir, "delete files", text, err);
    }
    leat__strbuf_release(&limit);
    return code;
}

static int hide_range(struct leat__rocksdb *r, struct leat_sv from, struct leat_sv to, struct leat_error *err)
{
    char *text = NULL;
    rocksdb_delete_range_cf(r->db, r->write_options, r->cf, from.data, from.len, to.data, to.len, &text);
    return leat__rocksdb_error(r->dir, "delete a range", text, err);
}

int leat__rocksdb_delete_range(
    struct leat_store *store, struct leat_sv from, struct leat_sv to, struct leat_error *err)
{
    struct leat__rocksdb *r = (struct leat__rocksdb *)store;
    struct leat_error why = { 0 };
    LEAT_TRY(leat__store_check(&r->cause, err));
    if (leat_sv_cmp(from, to) >= 0)
        return 0;
    int code = check_background(r, &why);
    if (code == 0)
        code = hide_range(r, from, to, &why);
    if (code == 0)
        code = delete_files(r, from, to, &why);
    return finish(r, code, &why, err);
}

/* ---- replacing ---- */

static int has_keys(struct leat__rocksdb *r, struct leat_sv from, struct leat_sv to, struct leat_error *err)
{
    char *text = NULL;
    rocksdb_readoptions_t *options = rocksdb_readoptions_create();
    rocksdb_readoptions_set_iterate_upper_bound(options, to.data, to.len);
    rocksdb_readoptions_set_fill_cache(options, 0);
    rocksdb_iterator_t *it = rocksdb_create_iterator_cf(r->db, options, r->cf);
    rocksdb_iter_seek(it, from.data, from.len);
    const int found = rocksdb_iter_valid(it);
    rocksdb_iter_get_error(it, &text);
    rocksdb_iter_destroy(it);
    rocksdb_readoptions_destroy(options);
    const int code = leat__rocksdb_error(r->dir, "read", text, err);
    return code < 0 ? code : found;
}

/* What was written as a whole lies in files of its own below level 0: they go as they are, and what comes instead
 * takes their place. Where something else is left (it came in parts), it is merged away now: what comes then would
 * lie in level 0 above it, and so would all that follows. */
static int clear_range(
    struct leat__rocksdb *r, struct leat_sv from, struct leat_sv to, struct leat_error *err)
{
    LEAT_TRY(delete_files(r, from, to, err));
    const int found = has_keys(r, from, to, err);
    if (found <= 0)
        return found;
    LEAT_TRY(hide_range(r, from, to, err));
    rocksdb_compact_range_cf(r->db, r->cf, from.data, from.len, to.data, to.len);
    return check_background(r, err);
}

int leat__rocksdb_replace(struct leat_store *store, struct leat_sv from, struct leat_sv to,
    leat_store_next_fn next, void *arg, struct leat_error *err)
{
    struct leat__rocksdb *r = (struct leat__rocksdb *)store;
    struct leat_error why = { 0 };
    LEAT_TRY(leat__store_check(&r->cause, err));
    struct source source = { .next = next, .arg = arg };
    int code = check_background(r, &why);
    if (code == 0 && leat_sv_cmp(from, to) < 0)
        code = clear_range(r, from, to, &why);
    if (code == 0)
        code = write_run(r, &source, true, &why);
    if (code == 0)
        leat__point(LEAT_POINT_STATE_RUN_WRITTEN);
    return finish(r, code, &why, err);
}

/* ---- checkpoints ---- */

/* log_size_for_flush must be 0: without a write-ahead log anything else would leave the memtable out. RocksDB
 * syncs tables when it makes them, the MANIFEST, CURRENT and the directory; the rest is synced here. */
static int make_checkpoint(struct leat__rocksdb *r, const char *dir, struct leat_error *err)
{
    char *text = NULL;
    rocksdb_checkpoint_t *checkpoint = rocksdb_checkpoint_object_create(r->db, &text);
    LEAT_TRY(leat__rocksdb_error(r->dir, "checkpoint", text, err));
    leat__point(LEAT_POINT_STORE_LINKING);
    rocksdb_checkpoint_create(checkpoint, dir, 0, &text);
    rocksdb_checkpoint_object_destroy(checkpoint);
    LEAT_TRY(leat__rocksdb_error(r->dir, "checkpoint", text, err));
    leat__point(LEAT_POINT_STORE_LINKED);
    return leat__store_dir_sync(r->env, dir, LEAT_ROCKSDB_SST, err);
}

int leat__rocksdb_checkpoint(struct leat_store *store, const char *dir, struct leat_error *err)
{
    struct leat__rocksdb *r = (struct leat__rocksdb *)store;
    struct leat_error why = { 0 };
    LEAT_TRY(leat__store_check(&r->cause, err));
    int code = check_background(r, &why);
    if (code == 0)
        code = make_checkpoint(r, dir, &why);
    if (code == 0)
        code = check_background(r, &why);
    return finish(r, code, &why, err);
}
