/* tests/unit/state/test_store_rocksdb_table.c -- table files written by hand, as RocksDB sees them: keys and values of any
 * length, over many blocks and files, come back one by one and in order, also from a checkpoint and beside what RocksDB
 * has written itself; and a byte that is not as it was is noticed. */
#include "tests/support/unit.h"
#include "tests/support/store_dirs.h"
#include "base/hash.h"
#include "state/store_rocksdb_private.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#define KEYS 60000u
#define LOOKED_UP 500u

#define MUST(call_) \
    do { \
        const int code_ = (call_); \
        FAIL_UNLESS(code_ >= 0, "%s:%d: %s", __FILE__, __LINE__, err.message); \
    } while (0)

static const struct leat_store_class *const c = &leat__store_rocksdb;

/* Key i: rises with i; some are short, some long, some begin as the one before. */
static struct leat_sv key_of(uint32_t i, char bytes[400])
{
    int len = snprintf(bytes, 400, "t%07u", i / 3 * 3);
    for (uint32_t more = i % 3; more > 0; more--)
        len += snprintf(bytes + len, 100, "%.*s", (int)(1 + i / 3 % 61),
            "and what else belongs to it, which is the same for many of them");
    return (struct leat_sv){ bytes, (size_t)len };
}

/* Value i of a generation: 0 to 40 bytes, now and then more than a block. */
static struct leat_sv value_of(uint32_t i, uint32_t generation, char bytes[9000])
{
    const size_t len = i % 5000 == 7 ? 8000 : (i * 7 + generation) % 41;
    memset(bytes, (int)('a' + (i + generation) % 26), len);
    return (struct leat_sv){ bytes, len };
}

struct giver {
    uint32_t at, end, step, generation;
    char keys[64][400], values[64][9000];
};

static uint32_t give(void *arg, struct leat_store_entry *entries, uint32_t max)
{
    struct giver *g = arg;
    uint32_t count = 0;
    for (; count < max && count < 64 && g->at < g->end; count++, g->at += g->step)
        entries[count] = (struct leat_store_entry){ key_of(g->at, g->keys[count]),
            value_of(g->at, g->generation, g->values[count]), LEAT_STORE_PUT };
    return count;
}

static struct giver giver;

static void replace(struct leat_store *store, uint32_t step, uint32_t generation)
{
    struct leat_error err = { 0 };
    giver.at = 0;
    giver.end = KEYS;
    giver.step = step;
    giver.generation = generation;
    MUST(c->replace(store, leat_sv_of("t"), leat_sv_of("u"), give, &giver, &err));
}

static void check_all(struct leat_store *store, uint32_t step, uint32_t generation)
{
    struct leat_error err = { 0 };
    struct leat_store_iter *iter;
    struct leat_sv key, value;
    static char key_bytes[400], value_bytes[9000];
    int code;
    uint32_t i = 0;
    MUST(c->iter_new(store, leat_sv_of("t"), leat_sv_of("u"), &iter, &err));
    for (; (code = c->iter_next(iter, &key, &value, &err)) > 0; i += step) {
        FAIL_UNLESS(leat_sv_eq(key, key_of(i, key_bytes)), "key %u is %.*s", i, (int)key.len, key.data);
        FAIL_UNLESS(leat_sv_eq(value, value_of(i, generation, value_bytes)), "value %u", i);
    }
    MUST(code);
    assert_true(i >= KEYS && i < KEYS + step);
    c->iter_free(iter);
    for (uint32_t n = 0; n < LOOKED_UP; n++) {
        i = (uint32_t)(leat__hash(&n, sizeof n) % KEYS);
        key = key_of(i, key_bytes);
        MUST(c->get(store, &key, 1, &value, &err));
        if (i % step)
            assert_null(value.data);
        else
            FAIL_UNLESS(value.data && leat_sv_eq(value, value_of(i, generation, value_bytes)), "get %u", i);
    }
}

static struct leat_store *open_store(const char *root, const char *name, const char *from)
{
    struct leat_error err = { 0 };
    struct leat_store *store;
    const struct leat_store_opts opts = { .env = leat__env_posix(),
        .dir = store_dirs_path(root, "%s", name),
        .from = from,
        .memory_bytes = 4u << 20 };
    MUST(c->open(&opts, &store, &err));
    return store;
}

static void test_files__given_keys_and_values_of_any_length__then_they_come_back_in_order_and_one_by_one(
    void **unused)
{
    (void)unused;
    struct leat_error err = { 0 };
    char *root = store_dirs_new();
    struct leat_store *store = open_store(root, "live", NULL);
    replace(store, 1, 1);
    check_all(store, 1, 1);
    replace(store, 2, 2); /* instead: fewer of them */
    check_all(store, 2, 2);
    static char key_bytes[400], value_bytes[9000];
    const struct leat_store_entry one = { key_of(4, key_bytes), value_of(4, 3, value_bytes), LEAT_STORE_PUT };
    struct leat_sv got;
    MUST(c->write(store, &one, 1, &err)); /* RocksDB's own, above */
    MUST(c->get(store, &one.key, 1, &got, &err));
    assert_true(leat_sv_eq(got, one.value));
    const char *saved = store_dirs_path(root, "saved");
    replace(store, 3, 4);
    MUST(c->checkpoint(store, saved, &err));
    c->close(store);
    store = open_store(root, "again", saved);
    check_all(store, 3, 4);
    replace(store, 1, 5);
    check_all(store, 1, 5);
    c->close(store);
    store_dirs_free(root);
}

/* A byte in the middle of each table file. */
static void damage(const char *dir)
{
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        const size_t len = strlen(e->d_name);
        if (len < 4 || strcmp(e->d_name + len - 4, ".sst") != 0)
            continue;
        char path[512];
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        FILE *file = fopen(path, "r+");
        assert_non_null(file);
        assert_int_equal(fseek(file, 0, SEEK_END), 0);
        const long middle = ftell(file) / 2;
        assert_int_equal(fseek(file, middle, SEEK_SET), 0);
        const int byte = fgetc(file);
        assert_int_equal(fseek(file, middle, SEEK_SET), 0);
        assert_int_equal(fputc(byte ^ 1, file), byte ^ 1);
        assert_int_equal(fclose(file), 0);
    }
    closedir(d);
}

static void test_files__given_a_byte_that_has_changed__then_reading_fails(void **unused)
{
    (void)unused;
    struct leat_error err = { 0 };
    char *root = store_dirs_new();
    struct leat_store *store = open_store(root, "live", NULL);
    const char *saved = store_dirs_path(root, "saved");
    replace(store, 1, 1);
    MUST(c->checkpoint(store, saved, &err));
    c->close(store);
    damage(saved);
    store = open_store(root, "again", saved);
    struct leat_store_iter *iter;
    struct leat_sv key, value;
    int code;
    MUST(c->iter_new(store, leat_sv_of("t"), leat_sv_of("u"), &iter, &err));
    while ((code = c->iter_next(iter, &key, &value, &err)) > 0)
        ;
    assert_true(code < 0);
    c->iter_free(iter);
    c->close(store);
    store_dirs_free(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_files__given_keys_and_values_of_any_length__then_they_come_back_in_order_and_one_by_one),
        cmocka_unit_test(test_files__given_a_byte_that_has_changed__then_reading_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
