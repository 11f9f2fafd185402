/* tests/unit/state/test_grow.c -- arrays that grow in pieces: keys are made, found, removed and walked over while some are
 * still in the old array, and others still in the old arena, and snapshots are taken meanwhile; always beside a model. And blocks that are handed on: what
 * one namespace has left in them, the next one must not see. */
#include "tests/support/unit.h"
#include "base/alloc.h"
#include "base/hash.h"
#include "state/state_private.h"
#include <stdio.h>
#include <stdlib.h>

#define KEYS 14000u
#define BATCH 300u
#define ROUNDS 120u

static char root[64];
static uint32_t dirs;
static struct leat_arena arena;
static uint64_t seed = 1;

static uint32_t below(uint32_t n)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((seed >> 33) % n);
}

static const char *new_dir(char path[128])
{
    snprintf(path, 128, "%s/%u", root, dirs++);
    return path;
}

static int set_up(void **unused)
{
    (void)unused;
    snprintf(root, sizeof root, "/tmp/leat-grow-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int tear_down(void **unused)
{
    char command[128];
    (void)unused;
    leat__arena_release(&arena);
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

/* What is there; 0: nothing. */
struct model {
    int64_t values[KEYS];
    uint32_t count;
};

struct world {
    struct leat_state *state;
    struct leat_table *table;
    struct model live, frozen;
    bool int_keys;
    bool removing; /* more than making */
    uint32_t long_share; /* every so many-th text is too long to lie in its slot */
    uint32_t in_pieces; /* steps for which the array was growing */
    uint32_t compacting; /* the same of the arena, on its way to a new one */
};
static struct world w;

static void open_world(bool with_store, const char *from, const struct leat_table_info *infos, uint32_t count)
{
    struct leat_error err = { 0 };
    char dir[128];
    const struct leat_state_opts opts = { .key_groups = 16,
        .env = leat__env_posix(),
        .store_class = with_store ? &leat__store_memory : NULL,
        .dir = new_dir(dir),
        .from = from,
        .tables = infos,
        .tables_count = count };
    const struct leat_table_opts table_opts = { .node = "n",
        .name = "t",
        .kind = LEAT_TABLE_FIXED,
        .key_size = w.int_keys ? 8 : 0,
        .value_size = 8,
        .key_text = "id",
        .format = "v1" };
    int code = leat__state_new(&opts, &w.state, &err);
    FAIL_UNLESS(code == 0, "%s", err.message);
    w.state->grow_at_once = 1;
    w.state->step_work = 1000;
    w.state->whole_keys_min = 5000;
    code = leat__table_open(w.state, &table_opts, &w.table, &err);
    FAIL_UNLESS(code == 0, "%s", err.message);
}

static void close_world(void)
{
    leat__table_close(w.table);
    leat__state_free(w.state);
}

static struct leat_sv key_of(uint32_t k, char bytes[48])
{
    const uint64_t number = __builtin_bswap64((uint64_t)k * UINT64_C(0x9e3779b97f4a7c15));
    if (w.int_keys) {
        memcpy(bytes, &number, sizeof number);
        return (struct leat_sv){ bytes, 8 };
    }
    const int len =
        snprintf(bytes, 48, k % w.long_share ? "key %u" : "a key that is longer than a slot is: %u", k);
    return (struct leat_sv){ bytes, (size_t)len };
}

static struct {
    uint32_t count, k[BATCH];
    char bytes[BATCH][48];
    struct leat_sv keys[BATCH];
    uint64_t hashes[BATCH];
    void *values[BATCH];
} picks;

static void pick(uint32_t count, uint32_t from, uint32_t to)
{
    picks.count = count;
    for (uint32_t i = 0; i < count; i++) {
        picks.k[i] = from + below(to - from);
        picks.keys[i] = key_of(picks.k[i], picks.bytes[i]);
        picks.hashes[i] = leat__hash(picks.keys[i].data, picks.keys[i].len);
    }
}

static void make_some(void)
{
    struct leat_error err = { 0 };
    const int code =
        leat__table_upsert(w.table, 0, picks.keys, picks.hashes, NULL, picks.count, picks.values, &err);
    FAIL_UNLESS(code == 0, "%s", err.message);
    for (uint32_t i = 0; i < picks.count; i++) {
        int64_t *value = picks.values[i], *want = &w.live.values[picks.k[i]];
        FAIL_UNLESS(
            *value == *want, "key %u is %lld, not %lld", picks.k[i], (long long)*value, (long long)*want);
        w.live.count += *want == 0;
        *value = *want = 1 + below(1000000);
    }
}

static void find_some(void)
{
    struct leat_error err = { 0 };
    const int code =
        leat__table_find(w.table, 0, picks.keys, picks.hashes, NULL, picks.count, picks.values, &err);
    FAIL_UNLESS(code == 0, "%s", err.message);
    for (uint32_t i = 0; i < picks.count; i++) {
        const int64_t got = picks.values[i] ? *(int64_t *)picks.values[i] : 0;
        FAIL_UNLESS(got == w.live.values[picks.k[i]], "key %u is %lld, not %lld", picks.k[i], (long long)got,
            (long long)w.live.values[picks.k[i]]);
    }
}

static void remove_some(void)
{
    struct leat_error err = { 0 };
    for (uint32_t i = 0; i < picks.count; i++) {
        const int code = leat__table_remove(w.table, 0, picks.keys[i], picks.hashes[i], &err);
        FAIL_UNLESS(code == 0, "%s", err.message);
        w.live.count -= w.live.values[picks.k[i]] != 0;
        w.live.values[picks.k[i]] = 0;
    }
}

/* All of them, each once; keys that are there may be asked for meanwhile. */
static void walk_all(uint32_t flags)
{
    struct leat_error err = { 0 };
    struct leat_cursor *cursor;
    struct leat_cursor_item items[64];
    uint64_t count = 0, sum = 0, want = 0;
    int64_t got;
    assert_int_equal(leat__cursor_open(w.table, 0, flags, &cursor, &err), 0);
    while ((got = leat__cursor_next(cursor, items, 1 + below(64), &err)) > 0) {
        for (int64_t i = 0; i < got; i++)
            sum += (uint64_t) * (int64_t *)items[i].value;
        count += (uint64_t)got;
        find_some();
    }
    FAIL_UNLESS(got == 0, "%s", err.message);
    leat__cursor_close(cursor);
    for (uint32_t k = 0; k < KEYS; k++)
        want += (uint64_t)w.live.values[k];
    assert_int_equal(count, w.live.count);
    assert_int_equal(sum, want);
    assert_int_equal(leat__table_keys_count(w.table, 0), w.live.count);
}

static bool is_growing(void)
{
    return w.table->slices_count > 0 && w.table->slices[w.table->slices_head]->old.capacity > 0;
}

static void do_something(uint32_t keys)
{
    pick(1 + below(BATCH), 0, keys);
    switch (below(8)) {
    case 0:
    case 1:
        remove_some();
        break;
    case 4:
    case 5:
    case 6:
        if (w.removing)
            remove_some();
        else
            make_some();
        break;
    case 2:
        find_some();
        break;
    case 3:
        if (below(10) == 0)
            walk_all(below(2) ? LEAT_CURSOR_READ : LEAT_CURSOR_READ | LEAT_CURSOR_ORDERED);
        break;
    default:
        make_some();
    }
    w.in_pieces += is_growing();
    w.compacting += w.table->slices_count > 0 && w.table->slices[w.table->slices_head]->compaction != NULL;
}

static void drop_all(void)
{
    struct leat_error err = { 0 };
    assert_int_equal(leat__table_drop(w.table, 0, &err), 0);
    memset(&w.live, 0, sizeof w.live);
}

static void begin_world(uint32_t long_share)
{
    memset(&w, 0, sizeof w);
    w.int_keys = long_share == 0;
    w.long_share = long_share;
}

static void run_in_memory(uint32_t long_share)
{
    begin_world(long_share);
    open_world(false, NULL, NULL, 0);
    for (uint32_t fill = 0; fill < 3; fill++) { /* the range grows, so that the array does at all its sizes */
        for (uint32_t keys = 2000; keys <= KEYS; keys += 200)
            for (uint32_t i = 0; i < 6; i++)
                do_something(keys);
        w.removing = true;
        for (uint32_t i = 0; i < 200; i++)
            do_something(KEYS);
        w.removing = false;
        walk_all(LEAT_CURSOR_READ);
        drop_all();
    }
    assert_true(w.in_pieces > 20);
    close_world();
}

static void test_growing__given_all_calls_while_numbers_move__then_nothing_is_lost_or_doubled(void **unused)
{
    (void)unused;
    run_in_memory(0);
}

static void test_growing__given_all_calls_while_texts_move__then_nothing_is_lost_or_doubled(void **unused)
{
    (void)unused;
    run_in_memory(5);
}

static void test_growing__given_long_texts_that_go__then_what_they_leave_is_put_together_meanwhile(
    void **unused)
{
    (void)unused;
    run_in_memory(1);
    assert_true(w.compacting > 5);
}

/* ---- snapshots ---- */

static void check_saved(const char *dir, const struct leat_table_info *infos, uint32_t count)
{
    struct leat_state *state = w.state;
    struct leat_table *table = w.table;
    const struct model live = w.live;
    w.live = w.frozen;
    open_world(true, dir, infos, count);
    for (uint32_t k = 0; k < KEYS; k += picks.count) {
        pick(KEYS - k < BATCH ? KEYS - k : BATCH, k, k + 1);
        for (uint32_t i = 0; i < picks.count; i++) {
            picks.k[i] = k + i;
            picks.keys[i] = key_of(k + i, picks.bytes[i]);
            picks.hashes[i] = leat__hash(picks.keys[i].data, picks.keys[i].len);
        }
        find_some();
    }
    close_world();
    w.live = live;
    w.state = state;
    w.table = table;
}

static void snapshot(uint32_t keys)
{
    struct leat_error err = { 0 };
    struct leat_table_info *infos;
    char dir[128];
    uint32_t count;
    int code;
    leat__state_freeze(w.state, "n");
    w.frozen = w.live;
    assert_int_equal(leat__state_snapshot(w.state, new_dir(dir), &err), 0);
    while ((code = leat__state_snapshot_poll(w.state, &err)) == 0)
        do_something(keys);
    FAIL_UNLESS(code == 1, "%s", err.message);
    assert_int_equal(leat__state_tables(w.state, &arena, &infos, &count), 0);
    struct leat_snapshot_stats stats;
    leat__state_snapshot_stats(w.state, &stats);
    leat__state_snapshot_end(w.state);
    if (stats.has_store)
        check_saved(dir, infos, count);
    else
        assert_int_equal(w.frozen.count, 0);
}

static void run_with_snapshots(uint32_t long_share)
{
    begin_world(long_share);
    open_world(true, NULL, NULL, 0);
    for (uint32_t round = 0, keys = 2000; round < ROUNDS; round++, keys += 100) {
        w.removing = round % 30 > 20;
        for (uint32_t i = below(8); i > 0; i--) {
            do_something(keys);
            if (is_growing() ? below(4) == 0 : below(40) == 0)
                snapshot(keys);
        }
        if (below(60) == 0) { /* also while it is being collected: it becomes a ghost */
            leat__state_freeze(w.state, "n");
            drop_all();
            leat__state_snapshot_end(w.state);
        }
    }
    walk_all(LEAT_CURSOR_READ);
    assert_true(w.in_pieces > 20);
    close_world();
}

static void test_growing__given_a_snapshot_while_numbers_move__then_it_has_what_was_there_at_the_barrier(
    void **unused)
{
    (void)unused;
    run_with_snapshots(0);
}

static void test_growing__given_a_snapshot_while_texts_move__then_it_has_what_was_there_at_the_barrier(
    void **unused)
{
    (void)unused;
    run_with_snapshots(5);
}

/* ---- blocks ---- */

static void fill(int64_t ns, uint64_t first, uint64_t keys)
{
    static uint64_t numbers[1000], hashes[1000];
    static struct leat_sv views[1000];
    static void *values[1000];
    struct leat_error err = { 0 };
    for (uint64_t k = 0; k < keys; k += 1000) {
        for (uint32_t i = 0; i < 1000; i++) {
            numbers[i] = first + k + i;
            views[i] = (struct leat_sv){ (const char *)&numbers[i], 8 };
            hashes[i] = leat__hash(&numbers[i], 8);
        }
        assert_int_equal(leat__table_upsert(w.table, ns, views, hashes, NULL, 1000, values, &err), 0);
        for (uint32_t i = 0; i < 1000; i++) {
            FAIL_UNLESS(*(int64_t *)values[i] == 0, "a new key has %lld", (long long)*(int64_t *)values[i]);
            *(int64_t *)values[i] = -1;
        }
    }
    assert_int_equal(leat__table_keys_count(w.table, ns), keys);
}

static void test_blocks__given_large_namespaces_one_after_the_other__then_each_begins_with_nothing(
    void **unused)
{
    (void)unused;
    begin_world(0);
    open_world(false, NULL, NULL, 0);
    w.state->grow_at_once = (size_t)1 << 20;
    struct leat_error err = { 0 };
    for (int64_t ns = 1; ns <= 8; ns++) { /* some before the block of the last is clean, some after */
        fill(ns, (uint64_t)ns * 1000000, 100000 + 20000 * (uint64_t)(ns % 3));
        assert_int_equal(leat__table_drop(w.table, ns, &err), 0);
        fill(100 + ns, 0, ns % 2 ? 1000 : 60000);
        if (ns > 3)
            assert_int_equal(leat__table_drop(w.table, 97 + ns, &err), 0);
    }
    close_world();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_growing__given_all_calls_while_numbers_move__then_nothing_is_lost_or_doubled),
        cmocka_unit_test(test_growing__given_all_calls_while_texts_move__then_nothing_is_lost_or_doubled),
        cmocka_unit_test(
            test_growing__given_a_snapshot_while_numbers_move__then_it_has_what_was_there_at_the_barrier),
        cmocka_unit_test(
            test_growing__given_a_snapshot_while_texts_move__then_it_has_what_was_there_at_the_barrier),
        cmocka_unit_test(
            test_growing__given_long_texts_that_go__then_what_they_leave_is_put_together_meanwhile),
        cmocka_unit_test(
            test_blocks__given_large_namespaces_one_after_the_other__then_each_begins_with_nothing),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
