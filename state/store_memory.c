/* state/store_memory.c -- the store in memory: what simulation and tests use instead of a disk, and what the
 * other store is held to.
 *
 * A *version* is a list of layers, the oldest first: sorted runs, and ranges that are forgotten in all layers
 * below them. A write adds a layer and merges layers of like size, so that there are few; the parts of a value
 * (a put and merges) stay apart until a run comes to the bottom.
 *
 * (1) Runs and versions never change. A write makes a new version and puts it in place; whoever reads holds
 *     the version that it began with. So reads on the worker may go on while a task writes (store.h).
 * (2) `lock` guards the step from "which version" to "hold it", and nothing else: a few instructions.
 * (3) A checkpoint is one file (store_memory_file.c), made in the live directory under the next number and
 *     linked into the checkpoint. When nothing was written since the last one the same file is linked again.
 * (4) What is here stands for a disk: it counts as disk_bytes, not as memory. */
#include "base/alloc.h"
#include "base/assert.h"
#include "base/point.h"
#include "state/store_memory_private.h"
#include <stdio.h>

#define LAYERS_MAX 24u
#define REPLACE_ENTRIES 256u

struct version {
    uint32_t refs; /* atomic */
    uint32_t count;
    struct leat__memory_run *layers[LAYERS_MAX + 1];
};

struct memory_store {
    struct leat_store store; /* first */
    struct leat_env *env;
    char *dir;
    struct leat__store_cause cause;
    struct leat__memory_merge merge;
    uint32_t lock; /* (2) */
    struct version *version;
    uint64_t number; /* of the newest file */
    bool written; /* since that file was made */
    uint32_t iters_count;
    /* What the values of the last get show. */
    struct version *get_version;
    struct leat_strbuf *get_made;
    uint32_t get_made_count;
};

/* ---- versions ---- */

static void version_unref(struct version *v)
{
    if (!v || __atomic_sub_fetch(&v->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    for (uint32_t i = 0; i < v->count; i++)
        leat__memory_run_unref(v->layers[i]);
    leat__free(v);
}

static void lock(struct memory_store *m)
{
    while (__atomic_exchange_n(&m->lock, 1, __ATOMIC_ACQUIRE) != 0)
        continue;
}

static void unlock(struct memory_store *m)
{
    __atomic_store_n(&m->lock, 0, __ATOMIC_RELEASE);
}

static struct version *version_hold(struct memory_store *m)
{
    lock(m);
    struct version *v = m->version;
    __atomic_add_fetch(&v->refs, 1, __ATOMIC_RELAXED);
    unlock(m);
    return v;
}

static void version_put(struct memory_store *m, struct version *v)
{
    lock(m);
    struct version *old = m->version;
    m->version = v;
    unlock(m);
    version_unref(old);
}

/* The layers of the present version, to be changed before it is put in place. */
static struct version *version_copy(const struct memory_store *m)
{
    struct version *v = leat__calloc(1, sizeof *v);
    if (!v)
        return NULL;
    v->refs = 1;
    for (uint32_t i = 0; m->version && i < m->version->count; i++)
        v->layers[v->count++] = leat__memory_run_ref(m->version->layers[i]);
    return v;
}

/* Replaces layers at and at + 1 by what they are together. */
static bool version_merge(struct memory_store *m, struct version *v, uint32_t at)
{
    struct leat__memory_run *run =
        leat__memory_run_merge(v->layers[at], v->layers[at + 1], at == 0, &m->merge);
    if (!run)
        return false;
    leat__memory_run_unref(v->layers[at]);
    leat__memory_run_unref(v->layers[at + 1]);
    v->layers[at] = run;
    v->count--;
    memmove(&v->layers[at + 1], &v->layers[at + 2], (v->count - at - 1) * sizeof *v->layers);
    return true;
}

static bool version_merge_all(struct memory_store *m, struct version *v)
{
    while (v->count > 1)
        if (!version_merge(m, v, 0))
            return false;
    return true;
}

/* Whether the newest two layers are runs of like size. */
static bool has_like_runs(const struct version *v)
{
    if (v->count < 2)
        return false;
    const struct leat__memory_run *older = v->layers[v->count - 2];
    const struct leat__memory_run *newer = v->layers[v->count - 1];
    if (v->count == 2 && leat__memory_run_is_range(newer))
        return true; /* at the bottom a range is applied at once */
    return !leat__memory_run_is_range(older) && !leat__memory_run_is_range(newer) &&
        older->count < 2 * newer->count;
}

/* Takes over `run`. */
static int add_layer(struct memory_store *m, struct leat__memory_run *run, struct leat_error *err)
{
    struct version *v = run ? version_copy(m) : NULL;
    if (!v) {
        leat__memory_run_unref(run);
        return leat__error(err, LEAT_ENOMEM, "out of memory");
    }
    v->layers[v->count++] = run;
    bool ok = true;
    while (ok && has_like_runs(v))
        ok = version_merge(m, v, v->count - 2);
    if (ok && v->count > LAYERS_MAX)
        ok = version_merge_all(m, v);
    if (!ok) {
        version_unref(v);
        return leat__error(err, LEAT_ENOMEM, "out of memory");
    }
    version_put(m, v);
    m->written = true;
    return 0;
}

/* ---- open, close ---- */

static void store_free(struct memory_store *m)
{
    version_unref(m->get_version);
    for (uint32_t i = 0; i < m->get_made_count; i++)
        leat__strbuf_release(&m->get_made[i]);
    leat__free(m->get_made);
    version_unref(m->version);
    leat__free(m->dir);
    leat__free(m);
}

/* The first version: what the file that was taken over holds, or nothing, as one run: at the bottom there is
 * always a run, without deletes. */
static int load(struct memory_store *m, bool from, struct leat_error *err)
{
    struct leat__memory_run *run = NULL;
    if (from)
        LEAT_TRY(leat__memory_load_dir(m->env, m->dir, &run, &m->number, err));
    else
        run = leat__memory_run_new(NULL, 0);
    m->version = run ? version_copy(m) : NULL;
    if (!m->version) {
        leat__memory_run_unref(run);
        return leat__error(err, LEAT_ENOMEM, "out of memory");
    }
    m->version->layers[m->version->count++] = run;
    return 0;
}

static int memory_open(const struct leat_store_opts *opts, struct leat_store **store, struct leat_error *err)
{
    *store = NULL;
    struct memory_store *m = leat__calloc(1, sizeof *m);
    if (!m)
        return leat__error(err, LEAT_ENOMEM, "out of memory");
    m->store.store_class = &leat__store_memory;
    m->env = opts->env;
    m->merge = (struct leat__memory_merge){ opts->merge, opts->merge_arg };
    m->written = !opts->from;
    m->dir = leat__strdup(opts->dir);
    int code = m->dir ? leat__store_dir_begin(opts, LEAT_MEMORY_SUFFIX, err)
                      : leat__error(err, LEAT_ENOMEM, "out of memory");
    const bool made = code == 0;
    if (code == 0)
        code = load(m, opts->from != NULL, err);
    if (code < 0) {
        store_free(m);
        if (made)
            leat__store_dir_remove(opts->env, opts->dir);
        return code;
    }
    *store = &m->store;
    return 0;
}

static void memory_close(struct leat_store *store)
{
    struct memory_store *m = (struct memory_store *)store;
    if (!m)
        return;
    LEAT_ASSERT(m->iters_count == 0);
    leat__store_dir_remove(m->env, m->dir);
    store_free(m);
}

/* ---- get ---- */

/* Collects what `v` says about a key; false when there is nothing. */
static bool find_parts(const struct version *v, struct leat_sv key, struct leat__memory_stack *stack)
{
    bool more = true;
    stack->count = 0;
    for (uint32_t i = v->count; more && i-- > 0;) {
        const struct leat__memory_run *run = v->layers[i];
        if (leat__memory_run_is_range(run)) {
            more = leat_sv_cmp(key, run->range_from) < 0 || leat_sv_cmp(key, run->range_to) >= 0;
            continue;
        }
        for (uint64_t at = leat__memory_run_find(run, key);
             more && at < run->count && leat_sv_eq(run->entries[at].key, key); at++)
            more = leat__memory_stack_add(stack, &run->entries[at]);
    }
    return stack->count > 0 || stack->failed;
}

static int get_reserve(struct memory_store *m, uint32_t count, struct leat_error *err)
{
    if (count <= m->get_made_count)
        return 0;
    struct leat_strbuf *made = leat__realloc(m->get_made, count * sizeof *made);
    if (!made)
        return leat__error(err, LEAT_ENOMEM, "out of memory");
    memset(made + m->get_made_count, 0, (count - m->get_made_count) * sizeof *made);
    m->get_made = made;
    m->get_made_count = count;
    return 0;
}

static int memory_get(struct leat_store *store, const struct leat_sv *keys, uint32_t count,
    struct leat_sv *values, struct leat_error *err)
{
    struct memory_store *m = (struct memory_store *)store;
    struct leat__memory_stack stack = { 0 };
    LEAT_TRY(leat__store_check(&m->cause, err));
    LEAT_TRY(get_reserve(m, count, err));
    version_unref(m->get_version);
    m->get_version = version_hold(m);
    int code = 0;
    for (uint32_t i = 0; code == 0 && i < count; i++) {
        values[i] = (struct leat_sv){ NULL, 0 };
        if (find_parts(m->get_version, keys[i], &stack))
            code = leat__memory_stack_value(&stack, &m->merge, &m->get_made[i], &values[i], err);
    }
    leat__memory_stack_release(&stack);
    return code < 0 ? (leat__error_prefix(err, "state store %s", m->dir), code) : 0;
}

/* ---- iterators ---- */

struct leat_store_iter {
    struct memory_store *m;
    struct version *version;
    uint64_t at[LAYERS_MAX + 1]; /* in each layer that is a run */
    struct leat__memory_stack stack;
    struct leat_strbuf made;
    size_t from_len, to_len;
    char bounds[];
};

static void memory_iter_seek(struct leat_store_iter *iter, struct leat_sv key)
{
    const struct leat_sv from = { iter->bounds, iter->from_len };
    const struct leat_sv target = leat_sv_cmp(key, from) < 0 ? from : key;
    for (uint32_t i = 0; i < iter->version->count; i++)
        if (!leat__memory_run_is_range(iter->version->layers[i]))
            iter->at[i] = leat__memory_run_find(iter->version->layers[i], target);
}

static int memory_iter_new(struct leat_store *store, struct leat_sv from, struct leat_sv to,
    struct leat_store_iter **out, struct leat_error *err)
{
    struct memory_store *m = (struct memory_store *)store;
    *out = NULL;
    LEAT_TRY(leat__store_check(&m->cause, err));
    struct leat_store_iter *iter = leat__malloc(sizeof *iter + from.len + to.len);
    if (!iter)
        return leat__error(err, LEAT_ENOMEM, "out of memory");
    *iter = (struct leat_store_iter){
        .m = m, .version = version_hold(m), .from_len = from.len, .to_len = to.len
    };
    if (from.len)
        memcpy(iter->bounds, from.data, from.len);
    if (to.len)
        memcpy(iter->bounds + from.len, to.data, to.len);
    m->iters_count++;
    memory_iter_seek(iter, from);
    *out = iter;
    return 0;
}

/* The smallest key that any layer stands at; false at the end. */
static bool next_key(const struct leat_store_iter *iter, struct leat_sv *key)
{
    bool found = false;
    for (uint32_t i = 0; i < iter->version->count; i++) {
        const struct leat__memory_run *run = iter->version->layers[i];
        if (iter->at[i] >= run->count)
            continue;
        const struct leat_sv candidate = run->entries[iter->at[i]].key;
        if (!found || leat_sv_cmp(candidate, *key) < 0)
            *key = candidate;
        found = true;
    }
    return found &&
        (iter->to_len == 0 ||
            leat_sv_cmp(*key, (struct leat_sv){ iter->bounds + iter->from_len, iter->to_len }) < 0);
}

static int memory_iter_next(
    struct leat_store_iter *iter, struct leat_sv *key, struct leat_sv *value, struct leat_error *err)
{
    LEAT_TRY(leat__store_check(&iter->m->cause, err));
    while (next_key(iter, key)) {
        for (uint32_t i = 0; i < iter->version->count; i++) {
            const struct leat__memory_run *run = iter->version->layers[i];
            if (iter->at[i] < run->count && leat_sv_eq(run->entries[iter->at[i]].key, *key))
                iter->at[i] = leat__memory_run_skip(run, iter->at[i]);
        }
        if (!find_parts(iter->version, *key, &iter->stack))
            continue;
        const int code = leat__memory_stack_value(&iter->stack, &iter->m->merge, &iter->made, value, err);
        return code < 0 ? (leat__error_prefix(err, "state store %s", iter->m->dir), code) : 1;
    }
    return 0;
}

static void memory_iter_free(struct leat_store_iter *iter)
{
    if (!iter)
        return;
    version_unref(iter->version);
    leat__memory_stack_release(&iter->stack);
    leat__strbuf_release(&iter->made);
    iter->m->iters_count--;
    leat__free(iter);
}

/* ---- writes ---- */

static int finish(struct memory_store *m, int code, struct leat_error *why, struct leat_error *err)
{
    if (code >= 0)
        return 0;
    leat__error_prefix(why, "state store %s", m->dir);
    return leat__store_break(&m->cause, why, err);
}

static int memory_write(
    struct leat_store *store, const struct leat_store_entry *entries, uint64_t count, struct leat_error *err)
{
    struct memory_store *m = (struct memory_store *)store;
    struct leat_error why = { 0 };
    LEAT_TRY(leat__store_check(&m->cause, err));
    if (count == 0)
        return 0;
    const int code = add_layer(m, leat__memory_run_new(entries, count), &why);
    if (code == 0)
        leat__point(LEAT_POINT_STATE_RUN_WRITTEN);
    return finish(m, code, &why, err);
}

static int memory_delete_range(
    struct leat_store *store, struct leat_sv from, struct leat_sv to, struct leat_error *err)
{
    struct memory_store *m = (struct memory_store *)store;
    struct leat_error why = { 0 };
    LEAT_TRY(leat__store_check(&m->cause, err));
    if (leat_sv_cmp(from, to) >= 0)
        return 0;
    return finish(m, add_layer(m, leat__memory_run_range(from, to), &why), &why, err);
}

static int memory_replace(struct leat_store *store, struct leat_sv from, struct leat_sv to,
    leat_store_next_fn next, void *arg, struct leat_error *err)
{
    struct leat_store_entry entries[REPLACE_ENTRIES];
    uint32_t count;
    LEAT_TRY(memory_delete_range(store, from, to, err));
    while ((count = next(arg, entries, REPLACE_ENTRIES)) > 0)
        LEAT_TRY(memory_write(store, entries, count, err));
    return 0;
}

/* Makes the file of the present version, which replaces the one before. */
static int save(struct memory_store *m, struct leat_error *err)
{
    char name[40];
    if (m->version->count > 1) {
        struct version *v = version_copy(m);
        if (!v || !version_merge_all(m, v)) {
            version_unref(v);
            return leat__error(err, LEAT_ENOMEM, "out of memory");
        }
        version_put(m, v);
    }
    snprintf(name, sizeof name, "%06llu" LEAT_MEMORY_SUFFIX, (unsigned long long)m->number);
    char *old = leat__store_path(m->dir, name);
    snprintf(name, sizeof name, "%06llu" LEAT_MEMORY_SUFFIX, (unsigned long long)m->number + 1);
    char *path = leat__store_path(m->dir, name);
    const int code = old && path ? leat__memory_save(m->env, path, m->version->layers[0], err)
                                 : leat__error(err, LEAT_ENOMEM, "out of memory");
    if (code == 0) {
        if (m->number > 0)
            (void)m->env->fs_unlink(m->env, old, NULL);
        m->number++;
        m->written = false;
    }
    leat__free(old);
    leat__free(path);
    return code;
}

static int memory_checkpoint(struct leat_store *store, const char *dir, struct leat_error *err)
{
    struct memory_store *m = (struct memory_store *)store;
    struct leat_error why = { 0 };
    LEAT_TRY(leat__store_check(&m->cause, err));
    leat__point(LEAT_POINT_STORE_LINKING);
    int code = m->written ? save(m, &why) : 0;
    if (code == 0)
        code = leat__store_dir_share(m->env, m->dir, dir, LEAT_MEMORY_SUFFIX, &why);
    if (code == 0) {
        leat__point(LEAT_POINT_STORE_LINKED);
        code = m->env->fs_sync_dir(m->env, dir, &why);
    }
    return finish(m, code, &why, err);
}

static uint64_t memory_memory_bytes(const struct leat_store *store)
{
    (void)store; /* (4) */
    return 0;
}

static uint64_t memory_disk_bytes(const struct leat_store *store)
{
    struct memory_store *m = (struct memory_store *)(uintptr_t)store;
    struct version *v = version_hold(m);
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < v->count; i++)
        bytes += v->layers[i]->bytes_count;
    version_unref(v);
    return bytes;
}

const struct leat_store_class leat__store_memory = {
    .name = "memory",
    .open = memory_open,
    .close = memory_close,
    .get = memory_get,
    .iter_new = memory_iter_new,
    .iter_next = memory_iter_next,
    .iter_seek = memory_iter_seek,
    .iter_free = memory_iter_free,
    .write = memory_write,
    .delete_range = memory_delete_range,
    .replace = memory_replace,
    .checkpoint = memory_checkpoint,
    .memory_bytes = memory_memory_bytes,
    .disk_bytes = memory_disk_bytes,
    .scan = leat__memory_scan,
};
