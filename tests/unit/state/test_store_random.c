/* tests/unit/state/test_store_random.c -- one seeded random history of writes, reads, checkpoints and restarts on
 * each store and on a model that is too simple to be wrong.
 *
 * The keys are a fixed set, the model is a value for each. Values are merged by appending and keeping the end,
 * which is associative, as merges must be, but not commutative. LEAT_TEST_SEED runs another history. */
#include "tests/support/unit.h"
#include "tests/support/store_dirs.h"
#include "state/store_private.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define KEYS 300u
#define VALUE_MAX 20000u
#define LONG_VALUE 15000u /* a run of them goes past the length at which RocksDB is given files */
#define KEPT 6u /* checkpoints to go back to */
#define OPS 400u

struct model {
    bool has[KEYS];
    uint32_t lens[KEYS];
    char *values; /* KEYS x VALUE_MAX */
};

struct kept {
    char dir[600];
    struct model model;
    struct store_file files[256];
    uint32_t files_count;
    uint64_t hash;
};

struct history {
    const struct leat_store_class *c;
    struct leat_store *store;
    char *root;
    uint64_t seed, random;
    uint32_t op, lives_count, checkpoints_count;
    char keys[KEYS][24];
    uint32_t key_lens[KEYS];
    struct model model;
    struct kept kept[KEPT];
    uint32_t line[KEPT]; /* of these, those that the present store comes from, the oldest first */
    uint32_t kept_count, line_count;
};

#define SAY "store %s seed %" PRIu64 " op %u: "
#define WHERE(h_) (h_)->c->name, (h_)->seed, (h_)->op

static uint64_t draw(struct history *h, uint64_t below)
{
    h->random ^= h->random << 13;
    h->random ^= h->random >> 7;
    h->random ^= h->random << 17;
    return h->random % below;
}

static struct leat_sv key_of(const struct history *h, uint32_t i)
{
    return (struct leat_sv){ h->keys[i], h->key_lens[i] };
}

static char *value_of(const struct model *model, uint32_t i)
{
    return model->values + (size_t)i * VALUE_MAX;
}

/* ---- the model ---- */

static int append(
    void *arg, struct leat_sv key, struct leat_sv older, struct leat_sv newer, struct leat_strbuf *out)
{
    (void)arg;
    (void)key;
    const size_t both = older.len + newer.len;
    const size_t cut = both > VALUE_MAX ? both - VALUE_MAX : 0;
    if (cut < older.len)
        leat__strbuf_add(out, older.data + cut, older.len - cut);
    const size_t cut_newer = cut > older.len ? cut - older.len : 0;
    leat__strbuf_add(out, newer.data + cut_newer, newer.len - cut_newer);
    return 0;
}

static void model_apply(struct model *model, uint32_t i, const struct leat_store_entry *e)
{
    struct leat_strbuf out = { 0 };
    struct leat_sv value = e->value;
    if (e->write == LEAT_STORE_MERGE && model->has[i]) {
        append(NULL, e->key, (struct leat_sv){ value_of(model, i), model->lens[i] }, e->value, &out);
        value = (struct leat_sv){ out.data, out.len };
    }
    model->has[i] = e->write != LEAT_STORE_DELETE;
    model->lens[i] = model->has[i] ? (uint32_t)value.len : 0;
    if (model->has[i] && value.len)
        memcpy(value_of(model, i), value.data, value.len);
    leat__strbuf_release(&out);
}

static void model_copy(struct model *to, const struct model *from)
{
    char *values = to->values ? to->values : malloc((size_t)KEYS * VALUE_MAX);
    assert_non_null(values);
    memcpy(values, from->values, (size_t)KEYS * VALUE_MAX);
    *to = *from;
    to->values = values;
}

static int compare_keys(const void *a, const void *b)
{
    const unsigned char *x = a;
    const unsigned char *y = b;
    return leat_sv_cmp(
        (struct leat_sv){ (const char *)x + 1, x[0] }, (struct leat_sv){ (const char *)y + 1, y[0] });
}

/* Keys of 1 to 12 bytes, many of them 0 or 255, some the beginning of others; sorted, all different. */
static void make_keys(struct history *h)
{
    unsigned char raw[KEYS * 2][24];
    uint32_t count = 0;
    memset(raw, 0, sizeof raw);
    for (uint32_t i = 0; i < KEYS * 2; i++) {
        raw[i][0] = (unsigned char)(1 + draw(h, 12));
        for (uint32_t b = 1; b <= raw[i][0]; b++) {
            const uint64_t kind = draw(h, 4);
            raw[i][b] = kind == 0 ? 0 : kind == 1 ? 255 : (unsigned char)draw(h, 256);
        }
    }
    qsort(raw, KEYS * 2, sizeof raw[0], compare_keys);
    for (uint32_t i = 0; i < KEYS * 2 && count < KEYS; i++) {
        if (i > 0 && compare_keys(raw[i], raw[i - 1]) == 0)
            continue;
        h->key_lens[count] = raw[i][0];
        memcpy(h->keys[count++], raw[i] + 1, raw[i][0]);
    }
    assert_int_equal(count, KEYS);
}

/* ---- operations ---- */

static void must(struct history *h, int code, const struct leat_error *err, const char *what)
{
    FAIL_UNLESS(code >= 0, SAY "%s: %s", WHERE(h), what, err->message);
}

static void open_store(struct history *h, const char *from)
{
    struct leat_error err = { 0 };
    char dir[600];
    snprintf(dir, sizeof dir, "%s", store_dirs_path(h->root, "live-%u", h->lives_count++));
    const struct leat_store_opts opts = { .env = leat__env_posix(),
        .dir = dir,
        .from = from,
        .memory_bytes = 1, /* as little as it takes */
        .merge = append };
    must(h, h->c->open(&opts, &h->store, &err), &err, "open");
}

static void op_write(struct history *h)
{
    static char bytes[KEYS * LONG_VALUE];
    struct leat_store_entry entries[KEYS];
    struct leat_error err = { 0 };
    const bool is_long = draw(h, 12) == 0;
    const uint64_t share = is_long ? 100 : draw(h, 4) == 0 ? 60 : 1 + draw(h, 10);
    uint32_t count = 0;
    char *at = bytes;
    for (uint32_t i = 0; i < KEYS; i++) {
        if (draw(h, 100) >= share)
            continue;
        const uint64_t kind = draw(h, 10);
        const size_t len = is_long ? LONG_VALUE - draw(h, 200) : draw(h, 40);
        const enum leat_store_write write = kind < 4 ? LEAT_STORE_PUT
            : kind < 8                               ? LEAT_STORE_MERGE
                                                     : LEAT_STORE_DELETE;
        memset(at, 'a' + (int)draw(h, 26), len);
        if (len >= 8)
            snprintf(at, 8, "%07u", h->op);
        entries[count] = (struct leat_store_entry){ key_of(h, i), { at, len }, write };
        model_apply(&h->model, i, &entries[count++]);
        at += len;
    }
    must(h, h->c->write(h->store, entries, count, &err), &err, "write");
}

static void op_delete_range(struct history *h)
{
    struct leat_error err = { 0 };
    uint32_t from = (uint32_t)draw(h, KEYS);
    uint32_t to = draw(h, 5) == 0 ? (uint32_t)draw(h, KEYS) : from + (uint32_t)draw(h, 30);
    if (to >= KEYS)
        to = KEYS - 1;
    for (uint32_t i = from; i < to; i++)
        h->model.has[i] = false;
    must(h, h->c->delete_range(h->store, key_of(h, from), key_of(h, to), &err), &err, "delete_range");
}

struct source {
    const struct leat_store_entry *entries;
    uint32_t count;
};

static uint32_t give_some(void *arg, struct leat_store_entry *entries, uint32_t max)
{
    struct source *source = arg;
    const uint32_t some = source->count < 7 ? source->count : 7;
    const uint32_t count = some < max ? some : max;
    memcpy(entries, source->entries, count * sizeof *entries);
    source->entries += count;
    source->count -= count;
    return count;
}

/* Instead of what is in a range, or beside it. */
static void op_replace(struct history *h)
{
    static char bytes[KEYS * VALUE_MAX / 8];
    struct leat_store_entry entries[KEYS];
    struct leat_error err = { 0 };
    const uint32_t from = (uint32_t)draw(h, KEYS - 1), all = (uint32_t)draw(h, 2);
    const uint32_t to = all ? KEYS - 1 : from + (uint32_t)draw(h, KEYS - from);
    const bool beside = draw(h, 3) == 0;
    struct source source = { entries, 0 };
    char *at = bytes;
    for (uint32_t i = from; i < to; i++) {
        if (!beside)
            h->model.has[i] = false;
        if (draw(h, 10) == 0)
            continue;
        const size_t len = draw(h, 2000);
        memset(at, 'a' + (int)draw(h, 26), len);
        entries[source.count] = (struct leat_store_entry){ key_of(h, i), { at, len }, LEAT_STORE_PUT };
        model_apply(&h->model, i, &entries[source.count++]);
        at += len;
    }
    const struct leat_sv none = { "", 0 };
    must(h,
        h->c->replace(h->store, beside ? none : key_of(h, from), beside ? none : key_of(h, to), give_some,
            &source, &err),
        &err, "replace");
}

static void check_value(struct history *h, uint32_t i, struct leat_sv value, const char *what)
{
    FAIL_UNLESS(!!value.data == h->model.has[i], SAY "%s of key %u: it is %s", WHERE(h), what, i,
        value.data ? "there" : "missing");
    if (value.data)
        FAIL_UNLESS(
            value.len == h->model.lens[i] && memcmp(value.data, value_of(&h->model, i), value.len) == 0,
            SAY "%s of key %u: %zu bytes, want %u, or others", WHERE(h), what, i, value.len,
            h->model.lens[i]);
}

static void op_get(struct history *h)
{
    struct leat_sv keys[KEYS], values[KEYS];
    uint32_t which[KEYS];
    struct leat_error err = { 0 };
    const uint64_t share = 1 + draw(h, 100);
    uint32_t count = 0;
    for (uint32_t i = 0; i < KEYS; i++)
        if (draw(h, 100) < share) {
            which[count] = i;
            keys[count++] = key_of(h, i);
        }
    must(h, h->c->get(h->store, keys, count, values, &err), &err, "get");
    for (uint32_t i = 0; i < count; i++)
        check_value(h, which[i], values[i], "get");
}

/* Keys from `at` on to the bound, or to a random end; with seeks, also back. */
static void op_iterate(struct history *h)
{
    struct leat_store_iter *iter = NULL;
    struct leat_error err = { 0 };
    struct leat_sv key, value;
    const uint32_t from = (uint32_t)draw(h, KEYS);
    const uint32_t to = draw(h, 3) == 0 ? KEYS : (uint32_t)draw(h, KEYS);
    const struct leat_sv none = { NULL, 0 };
    const bool from_start = draw(h, 5) == 0;
    uint32_t at = from_start ? 0 : from;
    must(h,
        h->c->iter_new(
            h->store, from_start ? none : key_of(h, from), to == KEYS ? none : key_of(h, to), &iter, &err),
        &err, "iter_new");
    const uint32_t first = at;
    for (uint32_t steps = 0; steps < 400; steps++) {
        if (draw(h, 20) == 0) {
            const uint32_t target = (uint32_t)draw(h, KEYS);
            h->c->iter_seek(iter, key_of(h, target));
            at = target < first ? first : target;
        }
        const int code = h->c->iter_next(iter, &key, &value, &err);
        must(h, code, &err, "iter_next");
        while (at < to && !h->model.has[at])
            at++;
        FAIL_UNLESS(code == (at < to), SAY "iter_next gave %d before key %u of [%u, %u)", WHERE(h), code, at,
            first, to);
        if (code == 0)
            continue; /* the end stays the end, until a seek */
        FAIL_UNLESS(leat_sv_eq(key, key_of(h, at)), SAY "iter_next gave another key than %u", WHERE(h), at);
        check_value(h, at++, value, "iterator");
    }
    h->c->iter_free(iter);
}

struct scan {
    struct history *h;
    uint32_t at;
    bool apart, open;
    struct leat_strbuf parts; /* of the key before */
};

static void scan_close_key(struct scan *scan)
{
    if (scan->open)
        check_value(scan->h, scan->at++,
            (struct leat_sv){ scan->parts.data ? scan->parts.data : "", scan->parts.len }, "scan");
    scan->open = false;
    leat__strbuf_clear(&scan->parts);
}

static int scan_entry(void *arg, struct leat_sv key, struct leat_sv value)
{
    struct scan *scan = arg;
    struct history *h = scan->h;
    struct leat_strbuf both = { 0 };
    const bool same = scan->open && leat_sv_eq(key, key_of(h, scan->at));
    FAIL_UNLESS(!same || scan->apart, SAY "scan: key %u twice", WHERE(h), scan->at);
    if (!same) {
        scan_close_key(scan);
        while (scan->at < KEYS && !h->model.has[scan->at])
            scan->at++;
        FAIL_UNLESS(scan->at < KEYS && leat_sv_eq(key, key_of(h, scan->at)), SAY "scan: not key %u", WHERE(h),
            scan->at);
    }
    append(NULL, key, (struct leat_sv){ scan->parts.data, scan->parts.len }, value, &both);
    leat__strbuf_release(&scan->parts);
    scan->parts = both;
    scan->open = true;
    return 0;
}

static void check_scan(struct history *h, const char *dir, bool apart)
{
    struct scan scan = { .h = h, .apart = apart };
    struct leat_error err = { 0 };
    must(h,
        leat__store_scan(h->c, leat__env_posix(), dir, apart ? NULL : append, NULL, scan_entry, &scan, &err),
        &err, "scan");
    scan_close_key(&scan);
    while (scan.at < KEYS && !h->model.has[scan.at])
        scan.at++;
    FAIL_UNLESS(scan.at == KEYS, SAY "scan ended before key %u", WHERE(h), scan.at);
    leat__strbuf_release(&scan.parts);
}

static bool is_table(const char *name)
{
    return leat__store_has_suffix(name, ".sst") || leat__store_has_suffix(name, ".run");
}

/* A table that an ancestor has under the same name is the same file. */
static void check_names(struct history *h, const struct kept *k)
{
    for (uint32_t l = 0; l < h->line_count; l++) {
        const struct kept *older = &h->kept[h->line[l]];
        for (uint32_t a = 0; a < k->files_count; a++)
            for (uint32_t b = 0; b < older->files_count; b++)
                if (is_table(k->files[a].name) && strcmp(k->files[a].name, older->files[b].name) == 0)
                    FAIL_UNLESS(k->files[a].hash == older->files[b].hash, SAY "%s is two files", WHERE(h),
                        k->files[a].name);
    }
}

static void op_checkpoint(struct history *h)
{
    struct leat_error err = { 0 };
    uint32_t slot = h->kept_count < KEPT ? h->kept_count : (uint32_t)draw(h, KEPT);
    struct kept *k = &h->kept[slot];
    if (h->kept_count == KEPT) {
        uint32_t n = 0;
        for (uint32_t l = 0; l < h->line_count; l++)
            if (h->line[l] != slot)
                h->line[n++] = h->line[l];
        h->line_count = n;
        store_dirs_remove(k->dir);
    } else {
        h->kept_count++;
    }
    snprintf(k->dir, sizeof k->dir, "%s", store_dirs_path(h->root, "checkpoint-%u", h->checkpoints_count++));
    must(h, h->c->checkpoint(h->store, k->dir, &err), &err, "checkpoint");
    model_copy(&k->model, &h->model);
    k->files_count = store_dirs_files(k->dir, k->files, COUNT_OF(k->files));
    k->hash = store_dirs_hash(k->dir);
    check_names(h, k);
    h->line[h->line_count++] = slot;
    if (draw(h, 2) == 0) {
        check_scan(h, k->dir, draw(h, 2) == 0);
        FAIL_UNLESS(store_dirs_hash(k->dir) == k->hash, SAY "a scan has changed the checkpoint", WHERE(h));
    }
}

static void op_restart(struct history *h)
{
    if (h->kept_count == 0)
        return;
    const uint32_t slot = (uint32_t)draw(h, h->kept_count);
    const struct kept *k = &h->kept[slot];
    h->c->close(h->store);
    FAIL_UNLESS(!store_dirs_exists(store_dirs_path(h->root, "live-%u", h->lives_count - 1)),
        SAY "close left the live directory", WHERE(h));
    open_store(h, k->dir);
    model_copy(&h->model, &k->model);
    /* Names are unique along the line that leads to this checkpoint only. */
    uint32_t n = 0;
    while (n < h->line_count && h->line[n] != slot)
        n++;
    h->line_count = n < h->line_count ? n : 0;
    h->line[h->line_count++] = slot;
}

static void run_history(const struct leat_store_class *c, uint64_t seed, uint32_t ops)
{
    struct history *h = calloc(1, sizeof *h);
    assert_non_null(h);
    h->c = c;
    h->seed = seed;
    h->random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    h->root = store_dirs_new();
    h->model.values = calloc(KEYS, VALUE_MAX);
    assert_non_null(h->model.values);
    make_keys(h);
    open_store(h, NULL);
    for (h->op = 0; h->op < ops; h->op++) {
        const uint64_t kind = draw(h, 100);
        if (kind < 40)
            op_write(h);
        else if (kind < 48)
            op_delete_range(h);
        else if (kind < 52)
            op_replace(h);
        else if (kind < 72)
            op_get(h);
        else if (kind < 90)
            op_iterate(h);
        else if (kind < 96)
            op_checkpoint(h);
        else
            op_restart(h);
    }
    for (uint32_t i = 0; i < h->kept_count; i++) {
        FAIL_UNLESS(store_dirs_hash(h->kept[i].dir) == h->kept[i].hash, SAY "checkpoint %s was changed",
            WHERE(h), h->kept[i].dir);
        free(h->kept[i].model.values);
    }
    c->close(h->store);
    store_dirs_free(h->root);
    free(h->model.values);
    free(h);
}

static void run_histories(const struct leat_store_class *c, uint64_t seeds)
{
    const char *one = getenv("LEAT_TEST_SEED");
    if (one) {
        run_history(c, strtoull(one, NULL, 10), OPS);
        return;
    }
    for (uint64_t seed = 1; seed <= seeds; seed++)
        run_history(c, seed, OPS);
}

static void test_store__given_a_random_history__when_in_memory__then_it_equals_the_model(void **state)
{
    (void)state;
    run_histories(&leat__store_memory, 6);
}

static void test_store__given_a_random_history__when_on_rocksdb__then_it_equals_the_model(void **state)
{
    (void)state;
    run_histories(&leat__store_rocksdb, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store__given_a_random_history__when_in_memory__then_it_equals_the_model),
        cmocka_unit_test(test_store__given_a_random_history__when_on_rocksdb__then_it_equals_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
