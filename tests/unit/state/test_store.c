/* tests/unit/state/test_store.c -- what both stores promise besides values: order over long runs, what a broken
 * store says, directories that begin, end and stay as they were, links that fail, reads beside a write. */
#include "tests/support/unit.h"
#include "tests/support/store_dirs.h"
#include "base/alloc.h"
#include "base/error.h"
#include "state/store_private.h"
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MUST(call_) \
    do { \
        const int code_ = (call_); \
        FAIL_UNLESS(code_ >= 0, "%s:%d: %s", __FILE__, __LINE__, err.message); \
    } while (0)

static const struct leat_store_class *const classes[] = { &leat__store_memory, &leat__store_rocksdb };

/* ---- numbered keys whose values are numbers; merges add ---- */

static int add(
    void *arg, struct leat_sv key, struct leat_sv older, struct leat_sv newer, struct leat_strbuf *out)
{
    int64_t a, b;
    (void)arg;
    if (key.len == 8 && key.data[0] == 'X')
        return LEAT_EUSER; /* a value that can not be combined */
    if (older.len != 8 || newer.len != 8)
        return LEAT_ESTATE;
    memcpy(&a, older.data, 8);
    memcpy(&b, newer.data, 8);
    a += b;
    leat__strbuf_add(out, &a, 8);
    return 0;
}

struct run {
    struct leat_store_entry *entries;
    char *bytes;
    uint32_t count, capacity;
};

static struct run run_new(uint32_t capacity)
{
    struct run run = { calloc(capacity, sizeof *run.entries), calloc(capacity, 16), 0, capacity };
    assert_non_null(run.entries);
    assert_non_null(run.bytes);
    return run;
}

static void run_free(struct run *run)
{
    free(run->entries);
    free(run->bytes);
}

static struct leat_sv number_key(char *bytes, uint64_t number)
{
    const uint64_t big = __builtin_bswap64(number);
    memcpy(bytes, &big, 8);
    return (struct leat_sv){ bytes, 8 };
}

static void run_add(struct run *run, uint64_t number, enum leat_store_write write, int64_t value)
{
    assert_true(run->count < run->capacity);
    char *bytes = run->bytes + (size_t)run->count * 16;
    const struct leat_sv key = number_key(bytes, number);
    memcpy(bytes + 8, &value, 8);
    run->entries[run->count++] =
        (struct leat_store_entry){ key, { bytes + 8, write == LEAT_STORE_DELETE ? 0 : 8 }, write };
}

static int64_t number_of(struct leat_sv value)
{
    int64_t number;
    assert_int_equal(value.len, 8);
    memcpy(&number, value.data, 8);
    return number;
}

struct fixture {
    const struct leat_store_class *c;
    struct leat_store *store;
    char *root;
    struct leat_store_opts opts;
};

static int open_at(struct fixture *f, const char *live, const char *from, struct leat_error *err)
{
    f->opts.dir = live;
    f->opts.from = from;
    return f->c->open(&f->opts, &f->store, err);
}

static struct fixture begin(const struct leat_store_class *c, struct leat_env *env)
{
    struct fixture f = { .c = c, .root = store_dirs_new() };
    struct leat_error err = { 0 };
    f.opts = (struct leat_store_opts){ .env = env, .merge = add, .memory_bytes = 4u << 20 };
    MUST(open_at(&f, store_dirs_path(f.root, "live"), NULL, &err));
    return f;
}

static void end(struct fixture *f)
{
    if (f->store)
        f->c->close(f->store);
    store_dirs_free(f->root);
}

static void put_numbers(struct fixture *f, uint64_t from, uint32_t count, enum leat_store_write write)
{
    struct leat_error err = { 0 };
    struct run run = run_new(count);
    for (uint32_t i = 0; i < count; i++)
        run_add(&run, from + i, write, (int64_t)(from + i));
    MUST(f->c->write(f->store, run.entries, run.count, &err));
    run_free(&run);
}

static bool get_number(struct fixture *f, uint64_t number, int64_t *value)
{
    char bytes[8];
    struct leat_error err = { 0 };
    const struct leat_sv key = number_key(bytes, number);
    struct leat_sv found;
    MUST(f->c->get(f->store, &key, 1, &found, &err));
    if (found.data)
        *value = number_of(found);
    return found.data != NULL;
}

/* ---- long runs ---- */

#define LONG 300000u

static void apply(int64_t *model, uint64_t number, enum leat_store_write write, int64_t value)
{
    if (write == LEAT_STORE_DELETE)
        model[number] = INT64_MIN;
    else if (write == LEAT_STORE_PUT || model[number] == INT64_MIN)
        model[number] = value;
    else
        model[number] += value;
}

static void check_model(struct fixture *f, const int64_t *model)
{
    struct leat_store_iter *iter = NULL;
    struct leat_error err = { 0 };
    struct leat_sv key, value;
    const struct leat_sv none = { NULL, 0 };
    MUST(f->c->iter_new(f->store, none, none, &iter, &err));
    for (uint64_t i = 0; i < LONG; i++) {
        char bytes[8];
        if (model[i] == INT64_MIN)
            continue;
        MUST(f->c->iter_next(iter, &key, &value, &err));
        FAIL_UNLESS(leat_sv_eq(key, number_key(bytes, i)), "%s: key %" PRIu64 " is missing or out of order",
            f->c->name, i);
        FAIL_UNLESS(number_of(value) == model[i], "%s: key %" PRIu64 " is %" PRId64 ", want %" PRId64,
            f->c->name, i, number_of(value), model[i]);
    }
    assert_int_equal(f->c->iter_next(iter, &key, &value, &err), 0);
    f->c->iter_free(iter);
}

static void run_long(const struct leat_store_class *c)
{
    struct fixture f = begin(c, leat__env_posix());
    struct leat_error err = { 0 };
    int64_t *model = malloc(LONG * sizeof *model);
    assert_non_null(model);
    for (uint64_t i = 0; i < LONG; i++)
        model[i] = INT64_MIN;
    for (uint64_t round = 0; round < 8; round++) {
        struct run run = run_new(LONG);
        for (uint64_t i = round * 20011; i < LONG; i += 1 + round % 3) {
            const uint64_t kind = (i + round) % 7;
            const enum leat_store_write write = kind < 2 ? LEAT_STORE_PUT
                : kind < 6                               ? LEAT_STORE_MERGE
                                                         : LEAT_STORE_DELETE;
            run_add(&run, i, write, (int64_t)(i * 10 + round));
            apply(model, i, write, (int64_t)(i * 10 + round));
        }
        assert_true(run.count >= 50000);
        MUST(c->write(f.store, run.entries, run.count, &err));
        run_free(&run);
        char from[8], to[8];
        const uint64_t first = round * 30000;
        MUST(c->delete_range(f.store, number_key(from, first), number_key(to, first + 25000), &err));
        for (uint64_t i = first; i < first + 25000 && i < LONG; i++)
            model[i] = INT64_MIN;
        put_numbers(&f, first + 100, 50, LEAT_STORE_MERGE); /* a short run above the range and the long run */
        for (uint64_t i = 0; i < 50; i++)
            apply(model, first + 100 + i, LEAT_STORE_MERGE, (int64_t)(first + 100 + i));
    }
    check_model(&f, model);
    char *at = strdup(store_dirs_path(f.root, "checkpoint"));
    MUST(c->checkpoint(f.store, at, &err));
    c->close(f.store);
    MUST(open_at(&f, store_dirs_path(f.root, "live-2"), at, &err));
    check_model(&f, model);
    free(at);
    free(model);
    end(&f);
}

static void test_store__given_long_runs_and_range_deletes__when_walked__then_all_in_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(classes); i++)
        run_long(classes[i]);
}

/* The key that ends a deleted range is the last of a file, and of the next key's beginning. */
static void test_store__given_a_range_that_ends_at_a_file__when_deleted__then_the_end_stays(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(classes); i++) {
        struct fixture f = begin(classes[i], leat__env_posix());
        struct leat_error err = { 0 };
        char from[8], to[8];
        int64_t value = 0;
        const uint64_t ends[] = { 20000, 0x10000, 0x20001 }; /* also with a last byte of 0 */
        for (size_t e = 0; e < COUNT_OF(ends); e++) {
            put_numbers(&f, ends[e] - 17000, 17001, LEAT_STORE_PUT); /* one file, ends with the key */
            MUST(f.c->delete_range(f.store, number_key(from, 0), number_key(to, ends[e]), &err));
            assert_false(get_number(&f, ends[e] - 1, &value));
            assert_true(get_number(&f, ends[e], &value));
            assert_int_equal(value, ends[e]);
        }
        MUST(f.c->delete_range(f.store, number_key(from, 9), number_key(to, 9), &err)); /* empty */
        MUST(f.c->delete_range(
            f.store, number_key(from, UINT64_MAX), number_key(to, 0), &err)); /* backwards */
        assert_true(get_number(&f, 0x20001, &value));
        end(&f);
    }
}

/* ---- directories ---- */

static void test_store__given_a_checkpoint__when_begun_from_often__then_it_never_changes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(classes); i++) {
        struct fixture f = begin(classes[i], leat__env_posix());
        struct leat_error err = { 0 };
        struct store_file files[64];
        int64_t value = 0;
        put_numbers(&f, 0, 20000, LEAT_STORE_PUT);
        put_numbers(&f, 100, 300, LEAT_STORE_MERGE);
        char *at = strdup(store_dirs_path(f.root, "checkpoint"));
        MUST(f.c->checkpoint(f.store, at, &err));
        const uint64_t hash = store_dirs_hash(at);
        for (uint32_t n = 0; n < 25; n++) {
            f.c->close(f.store);
            MUST(open_at(&f, store_dirs_path(f.root, "live-%u", n), at, &err));
            assert_true(get_number(&f, 19999, &value));
            assert_false(get_number(&f, 20000, &value)); /* what the life before has written is gone */
            put_numbers(&f, n * 100, 20000, LEAT_STORE_MERGE);
            put_numbers(&f, 20000, 1 + n, LEAT_STORE_PUT);
            if (n % 5 == 0)
                MUST(f.c->checkpoint(f.store, store_dirs_path(f.root, "next-%u", n), &err));
            assert_true(store_dirs_hash(at) == hash);
        }
        f.c->close(f.store);
        f.store = NULL;
        for (uint32_t n = 0; n < 25; n++) {
            assert_false(store_dirs_exists(store_dirs_path(f.root, "live-%u", n)));
            store_dirs_remove(store_dirs_path(f.root, "next-%u", n));
        }
        const uint32_t count = store_dirs_files(at, files, COUNT_OF(files));
        for (uint32_t n = 0; n < count; n++)
            assert_int_equal(files[n].links, 1); /* nobody else holds its files */
        assert_true(store_dirs_hash(at) == hash);
        free(at);
        end(&f);
    }
}

static void test_store__given_a_live_directory__when_it_exists__then_refused_and_left_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(classes); i++) {
        struct fixture f = begin(classes[i], leat__env_posix());
        struct leat_error err = { 0 };
        struct leat_store *first = f.store;
        int64_t value = 0;
        put_numbers(&f, 0, 10, LEAT_STORE_PUT);
        assert_int_equal(open_at(&f, store_dirs_path(f.root, "live"), NULL, &err), LEAT_EEXISTS);
        assert_non_null(strstr(err.message, "remove it"));
        assert_null(f.store);
        f.store = first;
        assert_true(get_number(&f, 9, &value));
        end(&f);
    }
}

static void test_store__given_no_checkpoint_there__when_begun_from__then_error_and_nothing_left(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(classes); i++) {
        struct fixture f = begin(classes[i], leat__env_posix());
        struct leat_error err = { 0 };
        f.c->close(f.store);
        assert_int_equal(
            open_at(&f, store_dirs_path(f.root, "live-2"), store_dirs_path(f.root, "nowhere"), &err),
            LEAT_ENOTFOUND);
        assert_null(f.store);
        assert_false(store_dirs_exists(store_dirs_path(f.root, "live-2")));
        assert_int_equal(mkdir(store_dirs_path(f.root, "empty"), 0777), 0);
        assert_true(
            open_at(&f, store_dirs_path(f.root, "live-2"), store_dirs_path(f.root, "empty"), &err) < 0);
        assert_null(f.store); /* not an empty store */
        assert_false(store_dirs_exists(store_dirs_path(f.root, "live-2")));
        end(&f);
    }
}

static void test_store__given_links_that_fail__when_begun_from__then_tables_are_copied_and_synced(
    void **state)
{
    (void)state;
    const int codes[] = { LEAT_EIO, LEAT_EACCESS, LEAT_EUNSUPPORTED,
        LEAT_EINVAL }; /* EXDEV, EMLINK, EPERM, ... */
    for (size_t i = 0; i < COUNT_OF(classes); i++)
        for (size_t k = 0; k < COUNT_OF(codes); k++) {
            struct store_link_env env;
            struct fixture f = begin(classes[i], store_link_env(&env, 0));
            struct leat_error err = { 0 };
            struct store_file files[64];
            int64_t value = 0;
            put_numbers(&f, 0, 20000, LEAT_STORE_PUT);
            char *at = strdup(store_dirs_path(f.root, "checkpoint"));
            MUST(f.c->checkpoint(f.store, at, &err));
            f.c->close(f.store);
            env.link_code = codes[k];
            env.links_count = env.syncs_count = 0;
            MUST(open_at(&f, store_dirs_path(f.root, "live-2"), at, &err));
            assert_true(env.links_count > 0);
            assert_int_equal(env.syncs_count, env.links_count);
            const uint32_t count = store_dirs_files(at, files, COUNT_OF(files));
            for (uint32_t n = 0; n < count; n++)
                assert_int_equal(files[n].links, 1);
            assert_true(get_number(&f, 19999, &value));
            put_numbers(&f, 100, 10, LEAT_STORE_MERGE);
            MUST(f.c->checkpoint(f.store, store_dirs_path(f.root, "checkpoint-2"), &err));
            assert_true(get_number(&f, 105, &value));
            assert_int_equal(value, 210);
            free(at);
            end(&f);
        }
}

static void test_store__given_a_full_disk__when_begun_from__then_no_copy_is_tried(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(classes); i++) {
        struct store_link_env env;
        struct fixture f = begin(classes[i], store_link_env(&env, 0));
        struct leat_error err = { 0 };
        put_numbers(&f, 0, 100, LEAT_STORE_PUT);
        char *at = strdup(store_dirs_path(f.root, "checkpoint"));
        MUST(f.c->checkpoint(f.store, at, &err));
        f.c->close(f.store);
        env.link_code = LEAT_ENOSPC;
        assert_int_equal(open_at(&f, store_dirs_path(f.root, "live-2"), at, &err), LEAT_ENOSPC);
        assert_false(store_dirs_exists(store_dirs_path(f.root, "live-2")));
        free(at);
        end(&f);
    }
}

/* ---- broken ---- */

static void check_broken(struct fixture *f, int code, const char *cause)
{
    struct leat_error err = { 0 };
    char bytes[8];
    const struct leat_sv key = number_key(bytes, 1);
    const struct leat_sv none = { NULL, 0 };
    struct leat_sv value;
    struct leat_store_iter *iter = NULL;
    const struct leat_store_entry entry = { key, { bytes, 8 }, LEAT_STORE_PUT };
    assert_int_equal(f->c->write(f->store, &entry, 1, &err), code);
    assert_string_equal(err.message, cause);
    assert_int_equal(f->c->get(f->store, &key, 1, &value, &err), code);
    assert_string_equal(err.message, cause);
    assert_int_equal(f->c->delete_range(f->store, none, key, &err), code);
    assert_string_equal(err.message, cause);
    assert_int_equal(f->c->iter_new(f->store, none, none, &iter, &err), code);
    assert_null(iter);
    assert_int_equal(f->c->checkpoint(f->store, store_dirs_path(f->root, "another"), &err), code);
    assert_string_equal(err.message, cause);
    assert_false(store_dirs_exists(store_dirs_path(f->root, "another")));
}

static void test_store__given_a_checkpoint_that_failed__when_used_again__then_the_first_cause(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(classes); i++) {
        struct fixture f = begin(classes[i], leat__env_posix());
        struct leat_error err = { 0 };
        put_numbers(&f, 0, 100, LEAT_STORE_PUT);
        const char *taken = store_dirs_path(f.root, "live"); /* exists */
        const int code = f.c->checkpoint(f.store, taken, &err);
        assert_true(code < 0);
        assert_non_null(strstr(err.message, f.root));
        check_broken(&f, code, err.message);
        end(&f);
        assert_false(store_dirs_exists(f.opts.dir));
    }
}

static void test_store_rocksdb__given_a_directory_that_vanished__when_written__then_broken_for_good(
    void **state)
{
    (void)state;
    struct fixture f = begin(&leat__store_rocksdb, leat__env_posix());
    struct leat_error err = { 0 };
    put_numbers(&f, 0, 100, LEAT_STORE_PUT);
    assert_int_equal(rename(store_dirs_path(f.root, "live"), store_dirs_path(f.root, "away")), 0);
    struct run run = run_new(20000);
    for (uint32_t i = 0; i < 20000; i++)
        run_add(&run, i, LEAT_STORE_PUT, 1);
    const int code = f.c->write(f.store, run.entries, run.count, &err);
    assert_int_equal(code, LEAT_EIO);
    assert_int_equal(rename(store_dirs_path(f.root, "away"), store_dirs_path(f.root, "live")), 0);
    check_broken(&f, code, err.message);
    run_free(&run);
    end(&f);
}

static void test_store__given_parts_that_can_not_be_merged__when_read__then_that_read_fails(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(classes); i++) {
        struct fixture f = begin(classes[i], leat__env_posix());
        struct leat_error err = { 0 };
        struct leat_store_iter *iter = NULL;
        struct leat_sv key, value;
        int64_t number = 0;
        const struct leat_sv bad = { "X1234567", 8 };
        const struct leat_sv none = { NULL, 0 };
        const struct leat_store_entry entry = { bad, { "12345678", 8 }, LEAT_STORE_MERGE };
        put_numbers(&f, 0, 100, LEAT_STORE_PUT);
        MUST(f.c->write(f.store, &entry, 1, &err));
        MUST(f.c->get(f.store, &bad, 1, &value, &err)); /* one part needs no merge */
        MUST(f.c->write(f.store, &entry, 1, &err));
        assert_true(f.c->get(f.store, &bad, 1, &value, &err) < 0);
        assert_non_null(strstr(err.message, f.root));
        assert_true(get_number(&f, 7, &number));
        MUST(f.c->iter_new(f.store, bad, none, &iter, &err));
        assert_true(f.c->iter_next(iter, &key, &value, &err) < 0);
        f.c->iter_free(iter);
        MUST(f.c->checkpoint(f.store, store_dirs_path(f.root, "checkpoint"), &err)); /* keeps the parts */
        end(&f);
    }
}

static void flip(const char *path, long at)
{
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    const int c = fgetc(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    fputc(c ^ 0x10, file);
    fclose(file);
}

static void test_store_memory__given_a_flipped_bit__when_begun_from__then_found(void **state)
{
    (void)state;
    struct fixture f = begin(&leat__store_memory, leat__env_posix());
    struct leat_error err = { 0 };
    put_numbers(&f, 0, 20, LEAT_STORE_PUT);
    char *at = strdup(store_dirs_path(f.root, "checkpoint"));
    MUST(f.c->checkpoint(f.store, at, &err));
    f.c->close(f.store);
    struct store_file files[4];
    assert_int_equal(store_dirs_files(at, files, COUNT_OF(files)), 1);
    for (uint64_t n = 0; n < files[0].size; n++) {
        flip(store_dirs_path(at, "%s", files[0].name), (long)n);
        assert_int_equal(open_at(&f, store_dirs_path(f.root, "live-2"), at, &err), LEAT_ESTATE);
        assert_non_null(strstr(err.message, "damaged"));
        flip(store_dirs_path(at, "%s", files[0].name), (long)n);
    }
    assert_int_equal(truncate(store_dirs_path(at, "%s", files[0].name), 10), 0);
    assert_int_equal(open_at(&f, store_dirs_path(f.root, "live-2"), at, &err), LEAT_ESTATE);
    free(at);
    end(&f);
}

/* A flipped bit in a table is an error or changes nothing that is read; never another value. */
static int same_number(void *arg, struct leat_sv key, struct leat_sv value)
{
    uint64_t *next = arg;
    char bytes[8];
    assert_true(leat_sv_eq(key, number_key(bytes, *next)));
    assert_int_equal(number_of(value), (*next)++);
    return 0;
}

static void test_store_rocksdb__given_a_flipped_bit__when_scanned__then_error_or_the_same(void **state)
{
    (void)state;
    struct fixture f = begin(&leat__store_rocksdb, leat__env_posix());
    struct leat_error err = { 0 };
    uint32_t found = 0;
    put_numbers(&f, 0, 20000, LEAT_STORE_PUT);
    char *at = strdup(store_dirs_path(f.root, "checkpoint"));
    MUST(f.c->checkpoint(f.store, at, &err));
    struct store_file files[16];
    const uint32_t count = store_dirs_files(at, files, COUNT_OF(files));
    for (uint32_t i = 0; i < count; i++) {
        if (!leat__store_has_suffix(files[i].name, ".sst"))
            continue;
        for (uint64_t n = 0; n < 60; n++) {
            const long where = (long)(n * files[i].size / 60);
            uint64_t next = 0;
            flip(store_dirs_path(at, "%s", files[i].name), where);
            const int code =
                leat__store_scan(f.c, leat__env_posix(), at, add, NULL, same_number, &next, &err);
            assert_true(code < 0 || next == 20000);
            found += code < 0;
            flip(store_dirs_path(at, "%s", files[i].name), where);
        }
    }
    assert_true(found > 30); /* most of a table is data */
    free(at);
    end(&f);
}

/* ---- scans ---- */

static int stop_at_5(void *arg, struct leat_sv key, struct leat_sv value)
{
    (void)key;
    (void)value;
    return ++*(uint32_t *)arg == 5 ? 77 : 0;
}

static void test_store__given_a_scan__when_its_function_says_stop__then_it_stops_with_that(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(classes); i++) {
        struct fixture f = begin(classes[i], leat__env_posix());
        struct leat_error err = { 0 };
        uint32_t count = 0;
        put_numbers(&f, 0, 20, LEAT_STORE_PUT);
        char *at = strdup(store_dirs_path(f.root, "checkpoint"));
        MUST(f.c->checkpoint(f.store, at, &err));
        assert_int_equal(
            leat__store_scan(f.c, leat__env_posix(), at, add, NULL, stop_at_5, &count, &err), 77);
        assert_int_equal(count, 5);
        assert_true(leat__store_scan(f.c, leat__env_posix(), store_dirs_path(f.root, "nowhere"), add, NULL,
                        stop_at_5, &count, &err) < 0);
        assert_false(store_dirs_exists(store_dirs_path(f.root, "nowhere")));
        free(at);
        end(&f);
    }
}

/* ---- reads beside writes ---- */

struct writer {
    struct fixture *f;
    uint32_t rounds, failed;
    uint32_t done; /* atomic */
};

/* Each round gives all keys the next value, in one run; every other one makes a checkpoint. */
static void *write_rounds(void *arg)
{
    struct writer *w = arg;
    struct leat_error err = { 0 };
    struct run run = run_new(20000);
    for (uint32_t round = 1; round <= w->rounds; round++) {
        char dir[600];
        run.count = 0;
        for (uint32_t i = 0; i < (round % 3 ? 300u : 20000u); i++)
            run_add(&run, i, LEAT_STORE_MERGE, 1);
        w->failed += w->f->c->write(w->f->store, run.entries, run.count, &err) < 0;
        snprintf(dir, sizeof dir, "%s/checkpoint-%u", w->f->root, round);
        if (round % 4 == 0)
            w->failed += w->f->c->checkpoint(w->f->store, dir, &err) < 0;
    }
    run_free(&run);
    __atomic_store_n(&w->done, 1, __ATOMIC_RELEASE);
    return NULL;
}

/* Values only grow, and what an iterator sees is one moment: key i is at most as new as key 0. */
static void read_beside(struct fixture *f, const struct writer *w)
{
    struct leat_error err = { 0 };
    const struct leat_sv none = { NULL, 0 };
    int64_t before = 0;
    while (!__atomic_load_n(&w->done, __ATOMIC_ACQUIRE)) {
        struct leat_store_iter *iter = NULL;
        struct leat_sv key, value;
        char bytes[2][8];
        const struct leat_sv keys[2] = { number_key(bytes[0], 5), number_key(bytes[1], 250) };
        struct leat_sv values[2];
        MUST(f->c->get(f->store, keys, 2, values, &err));
        const int64_t now = values[0].data ? number_of(values[0]) : 0;
        assert_true(now >= before);
        before = now;
        MUST(f->c->iter_new(f->store, none, number_key(bytes[0], 300), &iter, &err));
        int64_t first = -1;
        int more;
        while ((more = f->c->iter_next(iter, &key, &value, &err)) == 1) {
            first = first < 0 ? number_of(value) : first;
            assert_int_equal(number_of(value), first);
        }
        MUST(more);
        f->c->iter_free(iter);
    }
}

static void test_store__given_a_writer_on_another_thread__when_read__then_each_read_is_one_moment(
    void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(classes); i++) {
        struct fixture f = begin(classes[i], leat__env_posix());
        struct writer w = { .f = &f, .rounds = 40 };
        int64_t value = 0;
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, write_rounds, &w), 0);
        read_beside(&f, &w);
        pthread_join(thread, NULL);
        assert_int_equal(w.failed, 0);
        assert_true(get_number(&f, 5, &value));
        assert_int_equal(value, 40);
        end(&f);
    }
}

/* ---- sizes ---- */

static void test_store__given_data__when_measured__then_disk_grows_and_memory_is_bounded(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(classes); i++) {
        struct fixture f = begin(classes[i], leat__env_posix());
        int64_t value = 0;
        for (uint32_t n = 0; n < 40; n++)
            put_numbers(&f, n * 50000, 50000, LEAT_STORE_PUT);
        for (uint64_t n = 0; n < 2000000; n += 1009)
            assert_true(get_number(&f, n, &value));
        assert_true(f.c->disk_bytes(f.store) > 2000000u * 8);
        assert_true(f.c->disk_bytes(f.store) < 2000000u * 40);
        FAIL_UNLESS(f.c->memory_bytes(f.store) <= f.opts.memory_bytes * 3 / 2,
            "%s: %" PRIu64 " bytes of %" PRIu64, f.c->name, f.c->memory_bytes(f.store), f.opts.memory_bytes);
        end(&f);
    }
}

/* Files of level 0 wait to be merged, late or early as keys are read, and at a limit writes wait for that. */
static void test_store__given_more_runs_over_each_other_than_may_gather__then_all_of_each_is_there(
    void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(classes); i++) {
        struct fixture f = begin(classes[i], leat__env_posix());
        struct leat_error err = { 0 };
        int64_t value = 0;
        struct run run = run_new(16384); /* long: a file of its own */
        for (uint64_t n = 0; n < 16384; n++)
            run_add(&run, n, LEAT_STORE_MERGE, 1);
        for (uint32_t n = 0; n < 120; n++) {
            MUST(f.c->write(f.store, run.entries, run.count, &err));
            for (uint64_t k = 0; n >= 100 && k < 2000; k++) { /* from now on somebody reads */
                assert_true(get_number(&f, k * 8, &value));
                assert_int_equal(value, n + 1);
            }
        }
        for (uint64_t n = 0; n < 16384; n += 7) {
            assert_true(get_number(&f, n, &value));
            assert_int_equal(value, 120);
        }
        run_free(&run);
        end(&f);
    }
}

struct numbers {
    uint64_t next, end;
    int64_t value;
    char bytes[64][16];
};

static uint32_t give_numbers(void *arg, struct leat_store_entry *entries, uint32_t max)
{
    struct numbers *n = arg;
    uint32_t count = 0;
    for (; count < max && count < 64 && n->next < n->end; count++, n->next++) {
        memcpy(n->bytes[count] + 8, &n->value, 8);
        entries[count] = (struct leat_store_entry){ number_key(n->bytes[count], n->next),
            { n->bytes[count] + 8, 8 }, LEAT_STORE_PUT };
    }
    return count;
}

static int note_table(void *arg, const char *name, bool is_dir)
{
    *(uint32_t *)arg += !is_dir && leat__store_has_suffix(name, ".sst");
    return 0;
}

static void test_store__given_runs_over_each_other__when_replaced_often__then_nothing_of_them_is_left(
    void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(classes); i++) {
        struct fixture f = begin(classes[i], leat__env_posix());
        struct leat_error err = { 0 };
        char from[8], to[8];
        int64_t value = 0;
        uint32_t tables = 0;
        for (uint32_t n = 0; n < 5; n++)
            put_numbers(&f, n * 1000, 30000, LEAT_STORE_PUT);
        for (int64_t round = 0; round < 12; round++) {
            struct numbers n = { 5000 + (uint64_t)round, 35000, -round, { { 0 } } };
            MUST(
                f.c->replace(f.store, number_key(from, 1000), number_key(to, 40000), give_numbers, &n, &err));
            assert_true(get_number(&f, 999, &value)); /* beside the range */
            assert_false(get_number(&f, 4999 + (uint64_t)round, &value));
            assert_true(get_number(&f, 5000 + (uint64_t)round, &value));
            assert_int_equal(value, -round);
        }
        MUST(f.opts.env->fs_list(f.opts.env, f.opts.dir, note_table, &tables, &err));
        assert_true(tables <= 4); /* not one of each round */
        end(&f);
    }
}

static void test_store_rocksdb__given_the_build__when_asked__then_version_and_assertions(void **state)
{
    (void)state;
    assert_non_null(strstr(leat__store_rocksdb_build(), "RocksDB 7."));
    assert_non_null(strstr(leat__store_rocksdb_build(), "assertions o"));
}

static int check_leaks(void **state)
{
    (void)state;
    FAIL_UNLESS(leat__alloc_live() == 0, "%" PRId64 " blocks are not freed", leat__alloc_live());
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store__given_long_runs_and_range_deletes__when_walked__then_all_in_order),
        cmocka_unit_test(test_store__given_a_range_that_ends_at_a_file__when_deleted__then_the_end_stays),
        cmocka_unit_test(test_store__given_a_checkpoint__when_begun_from_often__then_it_never_changes),
        cmocka_unit_test(test_store__given_a_live_directory__when_it_exists__then_refused_and_left_alone),
        cmocka_unit_test(test_store__given_no_checkpoint_there__when_begun_from__then_error_and_nothing_left),
        cmocka_unit_test(
            test_store__given_links_that_fail__when_begun_from__then_tables_are_copied_and_synced),
        cmocka_unit_test(test_store__given_a_full_disk__when_begun_from__then_no_copy_is_tried),
        cmocka_unit_test(test_store__given_a_checkpoint_that_failed__when_used_again__then_the_first_cause),
        cmocka_unit_test(
            test_store_rocksdb__given_a_directory_that_vanished__when_written__then_broken_for_good),
        cmocka_unit_test(test_store__given_parts_that_can_not_be_merged__when_read__then_that_read_fails),
        cmocka_unit_test(test_store_memory__given_a_flipped_bit__when_begun_from__then_found),
        cmocka_unit_test(test_store_rocksdb__given_a_flipped_bit__when_scanned__then_error_or_the_same),
        cmocka_unit_test(test_store__given_a_scan__when_its_function_says_stop__then_it_stops_with_that),
        cmocka_unit_test(
            test_store__given_a_writer_on_another_thread__when_read__then_each_read_is_one_moment),
        cmocka_unit_test(test_store__given_data__when_measured__then_disk_grows_and_memory_is_bounded),
        cmocka_unit_test(
            test_store__given_more_runs_over_each_other_than_may_gather__then_all_of_each_is_there),
        cmocka_unit_test(
            test_store__given_runs_over_each_other__when_replaced_often__then_nothing_of_them_is_left),
        cmocka_unit_test(test_store_rocksdb__given_the_build__when_asked__then_version_and_assertions),
    };
    return cmocka_run_group_tests(tests, NULL, check_leaks);
}
