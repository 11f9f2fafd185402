/* state/store_rocksdb_read.c -- gets, iterators and scans of the RocksDB store. Checksums of blocks are always
 * verified. Reads may run beside a write or a checkpoint: they touch nothing of `r` that those change. */
#include "state/store_rocksdb_private.h"
#include "base/alloc.h"

#define SCAN_AHEAD_BYTES (2u << 20)

/* ---- get ---- */

static void gets_unpin(struct leat__rocksdb_gets *gets)
{
    for (uint32_t i = 0; i < gets->used; i++)
        if (gets->values[i])
            rocksdb_pinnableslice_destroy(gets->values[i]);
    gets->used = 0;
}

void leat__rocksdb_gets_release(struct leat__rocksdb_gets *gets)
{
    gets_unpin(gets);
    leat__free(gets->keys);
    leat__free(gets->key_lens);
    leat__free(gets->values);
    leat__free(gets->errors);
    *gets = (struct leat__rocksdb_gets){ 0 };
}

static int gets_reserve(struct leat__rocksdb_gets *gets, uint32_t count, struct leat_error *err)
{
    if (count <= gets->capacity)
        return 0;
    leat__rocksdb_gets_release(gets);
    gets->keys = leat__calloc(count, sizeof *gets->keys);
    gets->key_lens = leat__calloc(count, sizeof *gets->key_lens);
    gets->values = leat__calloc(count, sizeof *gets->values);
    gets->errors = leat__calloc(count, sizeof *gets->errors);
    if (!gets->keys || !gets->key_lens || !gets->values || !gets->errors) {
        leat__rocksdb_gets_release(gets);
        return leat__error(err, LEAT_ENOMEM, "out of memory");
    }
    gets->capacity = count;
    return 0;
}

/* Values of the keys, or the first error; the others' texts are freed. */
static int gets_collect(
    struct leat__rocksdb *r, uint32_t count, struct leat_sv *values, struct leat_error *err)
{
    int code = 0;
    for (uint32_t i = 0; i < count; i++) {
        values[i] = (struct leat_sv){ NULL, 0 };
        if (r->gets.errors[i]) {
            const int failed = leat__rocksdb_error(r->dir, "read", r->gets.errors[i], code == 0 ? err : NULL);
            code = code == 0 ? failed : code;
        } else if (r->gets.values[i]) {
            values[i].data = rocksdb_pinnableslice_value(r->gets.values[i], &values[i].len);
            if (!values[i].data)
                values[i].data = ""; /* there, and empty */
        }
    }
    return code;
}

int leat__rocksdb_get(struct leat_store *store, const struct leat_sv *keys, uint32_t count,
    struct leat_sv *values, struct leat_error *err)
{
    struct leat__rocksdb *r = (struct leat__rocksdb *)store;
    LEAT_TRY(leat__store_check(&r->cause, err));
    if (count == 0)
        return 0;
    gets_unpin(&r->gets);
    LEAT_TRY(gets_reserve(&r->gets, count, err));
    for (uint32_t i = 0; i < count; i++) {
        r->gets.keys[i] = keys[i].data;
        r->gets.key_lens[i] = keys[i].len;
    }
    __atomic_fetch_add(&r->asked, count, __ATOMIC_RELAXED);
    rocksdb_batched_multi_get_cf(r->db, r->read_options, r->cf, count, r->gets.keys, r->gets.key_lens,
        r->gets.values, r->gets.errors, true);
    r->gets.used = count;
    return gets_collect(r, count, values, err);
}

/* ---- iterators ---- */

struct leat_store_iter {
    struct leat__rocksdb *r;
    rocksdb_readoptions_t *options;
    rocksdb_iterator_t *it;
    bool placed; /* it stands on what iter_next gives next */
    size_t from_len;
    char bounds[]; /* from, then to: RocksDB borrows them */
};

static void place(struct leat_store_iter *iter, struct leat_sv key)
{
    rocksdb_iter_seek(iter->it, key.data, key.len);
    iter->placed = true;
}

int leat__rocksdb_iter_new(struct leat_store *store, struct leat_sv from, struct leat_sv to,
    struct leat_store_iter **out, struct leat_error *err)
{
    struct leat__rocksdb *r = (struct leat__rocksdb *)store;
    *out = NULL;
    LEAT_TRY(leat__store_check(&r->cause, err));
    struct leat_store_iter *iter = leat__malloc(sizeof *iter + from.len + to.len);
    if (!iter)
        return leat__error(err, LEAT_ENOMEM, "out of memory");
    *iter = (struct leat_store_iter){ .r = r, .from_len = from.len };
    if (from.len)
        memcpy(iter->bounds, from.data, from.len);
    if (to.len)
        memcpy(iter->bounds + from.len, to.data, to.len);
    iter->options = rocksdb_readoptions_create();
    if (to.len)
        rocksdb_readoptions_set_iterate_upper_bound(iter->options, iter->bounds + from.len, to.len);
    iter->it = rocksdb_create_iterator_cf(r->db, iter->options, r->cf);
    r->iters_count++;
    place(iter, (struct leat_sv){ iter->bounds, iter->from_len });
    *out = iter;
    return 0;
}

int leat__rocksdb_iter_next(
    struct leat_store_iter *iter, struct leat_sv *key, struct leat_sv *value, struct leat_error *err)
{
    LEAT_TRY(leat__store_check(&iter->r->cause, err));
    if (iter->placed)
        iter->placed = false;
    else if (rocksdb_iter_valid(iter->it))
        rocksdb_iter_next(iter->it);
    if (rocksdb_iter_valid(iter->it)) {
        key->data = rocksdb_iter_key(iter->it, &key->len);
        value->data = rocksdb_iter_value(iter->it, &value->len);
        return 1;
    }
    char *text = NULL;
    rocksdb_iter_get_error(iter->it, &text);
    return leat__rocksdb_error(iter->r->dir, "read", text, err);
}

void leat__rocksdb_iter_seek(struct leat_store_iter *iter, struct leat_sv key)
{
    const struct leat_sv from = { iter->bounds, iter->from_len };
    __atomic_fetch_add(&iter->r->asked, 1, __ATOMIC_RELAXED);
    place(iter, leat_sv_cmp(key, from) < 0 ? from : key);
}

void leat__rocksdb_iter_free(struct leat_store_iter *iter)
{
    if (!iter)
        return;
    rocksdb_iter_destroy(iter->it);
    rocksdb_readoptions_destroy(iter->options);
    iter->r->iters_count--;
    leat__free(iter);
}

/* ---- scan ---- */

/* The parts of a value one by one, as full_merge has laid them down. */
static int give_parts(const struct leat_strbuf *parts, struct leat_sv key,
    int (*fn)(void *arg, struct leat_sv key, struct leat_sv value), void *arg, struct leat_error *err)
{
    size_t at = 0;
    if (parts->failed)
        return leat__error(err, LEAT_ENOMEM, "out of memory");
    while (at < parts->len) {
        uint64_t len;
        memcpy(&len, parts->data + at, sizeof len);
        at += sizeof len;
        const int code = fn(arg, key, (struct leat_sv){ parts->data + at, (size_t)len });
        if (code != 0)
            return code;
        at += (size_t)len;
    }
    return 0;
}

static int scan_all(struct leat__rocksdb *r, rocksdb_iterator_t *it,
    int (*fn)(void *arg, struct leat_sv key, struct leat_sv value), void *arg, struct leat_error *err)
{
    int code = 0;
    char *text = NULL;
    r->merge.parts.len = 0;
    for (rocksdb_iter_seek_to_first(it); code == 0 && rocksdb_iter_valid(it); rocksdb_iter_next(it)) {
        struct leat_sv key, value;
        key.data = rocksdb_iter_key(it, &key.len);
        value.data = rocksdb_iter_value(it, &value.len);
        if (r->merge.parts.len > 0 || r->merge.parts.failed)
            code = give_parts(&r->merge.parts, key, fn, arg, err);
        else
            code = fn(arg, key, value);
        leat__strbuf_clear(&r->merge.parts); /* the step to the next key fills it if that one was merged */
    }
    if (code != 0)
        return code;
    rocksdb_iter_get_error(it, &text);
    return leat__rocksdb_error(r->dir, "read", text, err);
}

/* RocksDB would make the directory of a database that is not there. */
static int check_there(struct leat_env *env, const char *dir, struct leat_error *err)
{
    struct leat_file_info info;
    char *path = leat__store_path(dir, "CURRENT");
    const int code =
        path ? env->fs_stat(env, path, &info, err) : leat__error(err, LEAT_ENOMEM, "out of memory");
    leat__free(path);
    if (code < 0)
        leat__error_prefix(err, "read the state store %s", dir);
    return code;
}

int leat__rocksdb_scan(const struct leat_store_opts *opts,
    int (*fn)(void *arg, struct leat_sv key, struct leat_sv value), void *arg, struct leat_error *err)
{
    LEAT_TRY(check_there(opts->env, opts->dir, err));
    struct leat__rocksdb *r = leat__calloc(1, sizeof *r);
    if (!r)
        return leat__error(err, LEAT_ENOMEM, "out of memory");
    char *text = NULL;
    r->merge =
        (struct leat__rocksdb_merge){ .merge = opts->merge, .arg = opts->merge_arg, .apart = !opts->merge };
    r->dir = leat__strdup(opts->dir);
    int code = r->dir ? 0 : leat__error(err, LEAT_ENOMEM, "out of memory");
    if (code == 0)
        code = leat__rocksdb_options_init(r, 0, err);
    if (code == 0) {
        /* Opened so, RocksDB makes no file and changes none. */
        r->db = rocksdb_open_for_read_only(r->options, r->dir, 0, &text);
        code = leat__rocksdb_error(r->dir, "open", text, err);
    }
    if (code == 0) {
        rocksdb_readoptions_set_fill_cache(r->read_options, 0);
        rocksdb_readoptions_set_readahead_size(r->read_options, SCAN_AHEAD_BYTES);
        rocksdb_iterator_t *it = rocksdb_create_iterator(r->db, r->read_options);
        code = scan_all(r, it, fn, arg, err);
        rocksdb_iter_destroy(it);
    }
    leat__rocksdb_free(r);
    return code;
}
