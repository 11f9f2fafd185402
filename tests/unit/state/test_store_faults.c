/* tests/unit/state/test_store_faults.c -- disks that fill up under a store on RocksDB. Files may only grow to a
 * limit (RLIMIT_FSIZE, which fails the write that goes beyond): for limits of all sizes the store must end with
 * a clean error or succeed, never abort, never forget what it said was written, and a new store must begin
 * well with the last checkpoint. Each case is a process of its own: an abort is a failed test. */
#include "tests/support/unit.h"
#include "tests/support/store_dirs.h"
#include "state/store_private.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEYS 30000u
#define ROUNDS 30u

enum { NO_ERROR = 10, CLEAN_ERROR = 11 }; /* of a child; an assertion that fails in it gives 1 */

static int add(
    void *arg, struct leat_sv key, struct leat_sv older, struct leat_sv newer, struct leat_strbuf *out)
{
    uint64_t a, b;
    (void)arg;
    (void)key;
    memcpy(&a, older.data, 8);
    memcpy(&b, newer.data, 8);
    a += b;
    leat__strbuf_add(out, &a, 8);
    return 0;
}

static struct leat_store_entry entries[KEYS];
static char bytes[KEYS][16];

/* Each key's value grows by 1 in each round. */
static uint64_t fill(uint32_t count, uint32_t stride)
{
    const uint64_t one = 1;
    uint64_t n = 0;
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t big = __builtin_bswap64(i * stride);
        memcpy(bytes[i], &big, 8);
        memcpy(bytes[i] + 8, &one, 8);
        entries[n++] = (struct leat_store_entry){ { bytes[i], 8 }, { bytes[i] + 8, 8 }, LEAT_STORE_MERGE };
    }
    return n;
}

static void limit_files(uint64_t size)
{
    const struct rlimit limit = { .rlim_cur = size, .rlim_max = RLIM_INFINITY };
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* One store under a limit: rounds of long and short runs with checkpoints, until something fails. Gives the
 * rounds that are in the last checkpoint that was made; *failed what failed. */
static uint32_t run_rounds(struct leat_store *store, const char *root, uint64_t limit, int *failed)
{
    const struct leat_store_class *c = store->store_class;
    struct leat_error err = { 0 };
    uint32_t durable = 0;
    limit_files(limit);
    *failed = 0;
    for (uint32_t round = 1; round <= ROUNDS && *failed == 0; round++) {
        const uint64_t count = round % 2 ? fill(KEYS, 1) : fill(3000, 10);
        *failed = c->write(store, entries, count, &err);
        if (*failed == 0 && round % 3 == 0) {
            *failed = c->checkpoint(store, store_dirs_path(root, "checkpoint-%u", round), &err);
            durable = *failed == 0 ? round : durable;
        }
    }
    limit_files(RLIM_INFINITY);
    if (*failed < 0) { /* the limit is gone, the store stays broken */
        struct leat_error again = { 0 };
        assert_int_equal(c->write(store, entries, 1, &again), *failed);
        assert_string_equal(again.message, err.message);
        assert_true(*failed == LEAT_EIO || *failed == LEAT_ENOSPC || *failed == LEAT_ESTATE);
        assert_non_null(strstr(err.message, root));
    }
    return durable;
}

struct sum {
    uint32_t rounds;
    uint64_t count;
};

static int check_entry(void *arg, struct leat_sv key, struct leat_sv value)
{
    struct sum *sum = arg;
    uint64_t number, big;
    memcpy(&big, key.data, 8);
    memcpy(&number, value.data, 8);
    const uint64_t key_number = __builtin_bswap64(big);
    const uint64_t want =
        (sum->rounds + 1) / 2 + (key_number % 10 == 0 && key_number < 30000 ? sum->rounds / 2 : 0);
    assert_int_equal(number, want);
    sum->count++;
    return 0;
}

static void run_case(uint64_t limit, int *failed)
{
    char *root = store_dirs_new();
    struct leat_store *store = NULL;
    struct leat_error err = { 0 };
    char live[600], from[600];
    snprintf(live, sizeof live, "%s/live", root);
    struct leat_store_opts opts = { .env = leat__env_posix(), .dir = live, .memory_bytes = 1, .merge = add };
    assert_int_equal(leat__store_rocksdb.open(&opts, &store, &err), 0);
    const uint32_t durable = run_rounds(store, root, limit, failed);
    leat__store_rocksdb.close(store);
    assert_false(store_dirs_exists(live));
    if (durable > 0) {
        struct sum sum = { .rounds = durable };
        snprintf(from, sizeof from, "%s/checkpoint-%u", root, durable);
        opts.from = from;
        FAIL_UNLESS(leat__store_rocksdb.open(&opts, &store, &err) == 0, "%s", err.message);
        leat__store_rocksdb.close(store);
        assert_int_equal(
            leat__store_scan(&leat__store_rocksdb, opts.env, from, add, NULL, check_entry, &sum, &err), 0);
        assert_int_equal(sum.count, KEYS);
    }
    store_dirs_free(root);
}

static void test_store_rocksdb__given_files_that_can_not_grow__when_written__then_a_clean_error(void **state)
{
    (void)state;
    uint32_t errors = 0;
    (void)signal(SIGXFSZ, SIG_IGN);
    for (uint64_t limit = 64; limit < 2u << 20; limit += limit / 6) {
        (void)fflush(NULL);
        const pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            int failed = 0;
            run_case(limit, &failed);
            _exit(failed < 0 ? CLEAN_ERROR : NO_ERROR);
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        FAIL_UNLESS(
            WIFEXITED(status) && (WEXITSTATUS(status) == CLEAN_ERROR || WEXITSTATUS(status) == NO_ERROR),
            "limit %llu: signal %d, exit %d", (unsigned long long)limit,
            WIFSIGNALED(status) ? WTERMSIG(status) : 0, WEXITSTATUS(status));
        errors += WEXITSTATUS(status) == CLEAN_ERROR;
    }
    assert_true(errors > 20); /* at the small limits something must fail */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store_rocksdb__given_files_that_can_not_grow__when_written__then_a_clean_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
