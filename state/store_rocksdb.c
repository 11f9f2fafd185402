/* state/store_rocksdb.c -- the store on RocksDB: opening, closing, and what its errors mean.
 *
 *   store_rocksdb_options.c   how RocksDB is set up; the merge operator
 *   store_rocksdb_write.c     runs, range deletes, checkpoints
 *   store_rocksdb_read.c      gets, iterators, scans
 *
 * (1) One RocksDB database per store, with one column family. RocksDB makes its own file calls; what is around
 *     the database (links, copies, removal) goes through the env.
 * (2) A checkpoint's directory is never opened for work: store_files.c makes a new live directory of it.
 * (3) After a failed write or checkpoint, or an error of RocksDB's background work, the store is broken.
 * (4) Names: RocksDB numbers its files upwards and keeps the numbers in its MANIFEST, which a checkpoint
 *     carries: a store that begins with a checkpoint goes on counting from there, and the tables that it took
 *     over keep their names. So in one line of checkpoints and restores a table's name means one file. A
 *     second store begun from the same checkpoint is another life: it uses the same numbers for other files.
 */
#include "state/store_rocksdb_private.h"
#include "base/alloc.h"
#include "base/assert.h"

int leat__rocksdb_error(const char *dir, const char *doing, char *text, struct leat_error *err)
{
    if (!text)
        return 0;
    int code = LEAT_ESTATE;
    const char *remedy = "";
    if (strstr(text, "No space left") || strstr(text, "Disk quota exceeded")) {
        code = LEAT_ENOSPC;
        remedy = "; make room";
    } else if (strncmp(text, "IO error", 8) == 0) {
        code = LEAT_EIO;
    }
    leat__error(err, code, "state store %s: %s: %s%s", dir, doing, text, remedy);
    rocksdb_free(text);
    return code;
}

/* RocksDB, version and kind of build. Debian's is built without NDEBUG: only then the library has the hooks of
 * its own tests, of which this is one. */
extern char rocksdb_sync_point __asm__("_ZN7rocksdb9SyncPoint11GetInstanceEv") __attribute__((weak));

const char *leat__store_rocksdb_build(void)
{
    return &rocksdb_sync_point ? "RocksDB " LEAT_ROCKSDB_VERSION ", assertions on"
                               : "RocksDB " LEAT_ROCKSDB_VERSION ", assertions off";
}

void leat__rocksdb_free(struct leat__rocksdb *r)
{
    leat__rocksdb_gets_release(&r->gets);
    if (r->batch)
        rocksdb_writebatch_destroy(r->batch);
    if (r->cf)
        rocksdb_column_family_handle_destroy(r->cf);
    if (r->db)
        rocksdb_close(r->db);
    if (r->cache)
        leat__rocksdb_options_release(r);
    leat__strbuf_release(&r->merge.parts);
    leat__free(r->dir);
    leat__free(r);
}

/* A database that is not there is made only where nothing is to be continued. */
static int open_db(struct leat__rocksdb *r, bool create, struct leat_error *err)
{
    static const char *const names[] = { "default" };
    const rocksdb_options_t *const options[] = { r->options };
    char *text = NULL;
    rocksdb_options_set_create_if_missing(r->options, create);
    r->db = rocksdb_open_column_families(r->options, r->dir, 1, names, options, &r->cf, &text);
    return leat__rocksdb_error(r->dir, "open", text, err);
}

static int rocksdb_store_open(
    const struct leat_store_opts *opts, struct leat_store **store, struct leat_error *err)
{
    *store = NULL;
    struct leat__rocksdb *r = leat__calloc(1, sizeof *r);
    if (!r)
        return leat__error(err, LEAT_ENOMEM, "out of memory");
    r->store.store_class = &leat__store_rocksdb;
    r->env = opts->env;
    r->merge = (struct leat__rocksdb_merge){ .merge = opts->merge, .arg = opts->merge_arg };
    r->dir = leat__strdup(opts->dir);
    int code = r->dir ? 0 : leat__error(err, LEAT_ENOMEM, "out of memory");
    if (code == 0)
        code = leat__rocksdb_options_init(r, opts->memory_bytes, err);
    if (code == 0)
        code = leat__store_dir_begin(opts, LEAT_ROCKSDB_SST, err);
    const bool made = code == 0;
    if (code == 0)
        code = open_db(r, !opts->from, err);
    if (code < 0) {
        leat__rocksdb_free(r);
        if (made)
            leat__store_dir_remove(opts->env, opts->dir);
        return code;
    }
    r->batch = rocksdb_writebatch_create();
    *store = &r->store;
    return 0;
}

static void rocksdb_store_close(struct leat_store *store)
{
    struct leat__rocksdb *r = (struct leat__rocksdb *)store;
    if (!r)
        return;
    LEAT_ASSERT(r->iters_count == 0);
    struct leat_env *env = r->env;
    char *dir = r->dir;
    r->dir = NULL;
    leat__rocksdb_free(r);
    leat__store_dir_remove(env, dir);
    leat__free(dir);
}

static uint64_t property(const struct leat__rocksdb *r, const char *name)
{
    uint64_t value = 0;
    return rocksdb_property_int(r->db, name, &value) == 0 ? value : 0;
}

static uint64_t rocksdb_store_memory_bytes(const struct leat_store *store)
{
    const struct leat__rocksdb *r = (const struct leat__rocksdb *)store;
    return rocksdb_cache_get_usage(r->cache) + property(r, "rocksdb.cur-size-all-mem-tables") +
        property(r, "rocksdb.estimate-table-readers-mem");
}

static uint64_t rocksdb_store_disk_bytes(const struct leat_store *store)
{
    return property((const struct leat__rocksdb *)store, "rocksdb.live-sst-files-size");
}

const struct leat_store_class leat__store_rocksdb = {
    .name = "rocksdb",
    .open = rocksdb_store_open,
    .close = rocksdb_store_close,
    .get = leat__rocksdb_get,
    .iter_new = leat__rocksdb_iter_new,
    .iter_next = leat__rocksdb_iter_next,
    .iter_seek = leat__rocksdb_iter_seek,
    .iter_free = leat__rocksdb_iter_free,
    .write = leat__rocksdb_write,
    .delete_range = leat__rocksdb_delete_range,
    .replace = leat__rocksdb_replace,
    .checkpoint = leat__rocksdb_checkpoint,
    .memory_bytes = rocksdb_store_memory_bytes,
    .disk_bytes = rocksdb_store_disk_bytes,
    .scan = leat__rocksdb_scan,
};
