/* tests/unit/state/test_table.c -- what every key shape, growth, namespaces, budget and cursors do; and a
 * random walk against a naive model. */
#include "tests/support/unit.h"
#include "base/alloc.h"
#include "base/hash.h"
#include "state/state_private.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define ROWS_MAX 6000u

/* ---- a batch of keys ---- */

struct keys {
    uint32_t count;
    struct leat_sv sv[ROWS_MAX];
    uint64_t hash[ROWS_MAX];
    void *values[ROWS_MAX];
    char bytes[ROWS_MAX * 48];
    size_t bytes_used;
};

static struct keys batch_of_keys;

static void keys_clear(struct keys *keys)
{
    keys->count = 0;
    keys->bytes_used = 0;
}

static void keys_add(struct keys *keys, const void *data, size_t len)
{
    assert_true(keys->count < ROWS_MAX && keys->bytes_used + len <= sizeof keys->bytes);
    char *bytes = keys->bytes + keys->bytes_used;
    if (len)
        memcpy(bytes, data, len);
    keys->bytes_used += len;
    keys->sv[keys->count] = (struct leat_sv){ bytes, len };
    keys->hash[keys->count++] = leat__hash(bytes, len);
}

/* The canonical bytes of a long (record/key.h). */
static void keys_add_int(struct keys *keys, int64_t value)
{
    const uint64_t flipped = __builtin_bswap64((uint64_t)value ^ (UINT64_C(1) << 63));
    keys_add(keys, &flipped, sizeof flipped);
}

static int64_t int_of_key(struct leat_sv key)
{
    uint64_t flipped;
    assert_int_equal(key.len, 8);
    memcpy(&flipped, key.data, 8);
    return (int64_t)(__builtin_bswap64(flipped) ^ (UINT64_C(1) << 63));
}

static struct leat_state *new_state(uint64_t budget_bytes)
{
    struct leat_state *state = NULL;
    assert_int_equal(
        leat__state_new(
            &(struct leat_state_opts){ .budget_bytes = budget_bytes, .key_groups = 128 }, &state, NULL),
        0);
    return state;
}

static struct leat_table *open_table(struct leat_state *state, uint32_t key_size, uint32_t value_size)
{
    struct leat_table *table = NULL;
    struct leat_error err = { 0 };
    const struct leat_table_opts opts = { .node = "totals",
        .name = "windows",
        .kind = LEAT_TABLE_FIXED,
        .key_size = key_size,
        .value_size = value_size };
    assert_int_equal(leat__table_open(state, &opts, &table, &err), 0);
    return table;
}

static void upsert(struct leat_table *table, int64_t ns, struct keys *keys)
{
    struct leat_error err = { 0 };
    const int code =
        leat__table_upsert(table, ns, keys->sv, keys->hash, NULL, keys->count, keys->values, &err);
    FAIL_UNLESS(code == 0, "upsert: %s", err.message);
}

static void find(struct leat_table *table, int64_t ns, struct keys *keys)
{
    assert_int_equal(
        leat__table_find(table, ns, keys->sv, keys->hash, NULL, keys->count, keys->values, NULL), 0);
}

static void drop(struct leat_table *table, int64_t ns)
{
    assert_int_equal(leat__table_drop(table, ns, NULL), 0);
}

static int64_t value_at(const struct keys *keys, uint32_t i)
{
    return *(const int64_t *)keys->values[i];
}

static void done(struct leat_state *state, struct leat_table *table)
{
    leat__table_close(table);
    assert_int_equal(leat__state_bytes(state), 0);
    leat__state_free(state);
}

/* ---- single behaviours ---- */

static void test_upsert__given_equal_keys_in_one_batch__then_they_share_one_zeroed_value(void **unused)
{
    (void)unused;
    struct leat_state *state = new_state(0);
    struct leat_table *table = open_table(state, 0, 24);
    struct keys *keys = &batch_of_keys;
    keys_clear(keys);
    keys_add(keys, "a", 1);
    keys_add(keys, "b", 1);
    keys_add(keys, "a", 1);
    upsert(table, 7, keys);
    assert_ptr_equal(keys->values[0], keys->values[2]);
    assert_ptr_not_equal(keys->values[0], keys->values[1]);
    const char zeros[24] = { 0 };
    assert_memory_equal(keys->values[0], zeros, 24);
    assert_memory_equal(keys->values[1], zeros, 24);
    assert_int_equal(leat__table_keys_count(table, 7), 2);
    done(state, table);
}

static void test_upsert__given_rows__when_only_some_are_asked_for__then_values_follow_them(void **unused)
{
    (void)unused;
    struct leat_state *state = new_state(0);
    struct leat_table *table = open_table(state, 8, 8);
    struct keys *keys = &batch_of_keys;
    keys_clear(keys);
    for (int64_t i = 0; i < 100; i++)
        keys_add_int(keys, i);
    uint32_t rows[40];
    for (uint32_t i = 0; i < 40; i++)
        rows[i] = 99 - 2 * i;
    assert_int_equal(leat__table_upsert(table, 0, keys->sv, keys->hash, rows, 40, keys->values, NULL), 0);
    for (uint32_t i = 0; i < 40; i++)
        *(int64_t *)keys->values[i] = rows[i];
    find(table, 0, keys);
    for (uint32_t i = 0; i < 100; i++) {
        const bool asked = i % 2 == 1 && i > 20;
        FAIL_UNLESS((keys->values[i] != NULL) == asked, "row %u", i);
        if (asked)
            assert_int_equal(value_at(keys, i), i);
    }
    done(state, table);
}

static void test_keys__given_equal_hashes__when_they_differ_in_one_byte__then_they_are_apart(void **unused)
{
    (void)unused;
    const uint32_t lengths[] = { 0, 1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 19, 20, 21, 22, 40 };
    struct leat_state *state = new_state(0);
    struct leat_table *table = open_table(state, 0, 8);
    struct keys *keys = &batch_of_keys;
    keys_clear(keys);
    for (uint32_t l = 0; l < COUNT_OF(lengths); l++) {
        char key[64];
        memset(key, 'k', sizeof key);
        keys_add(keys, key, lengths[l]);
        for (uint32_t i = 0; i < lengths[l]; i++) {
            key[i] = '\0';
            keys_add(keys, key, lengths[l]);
            key[i] = 'k';
        }
    }
    for (uint32_t i = 0; i < keys->count; i++)
        keys->hash[i] = 42; /* every probe meets every other key */
    for (int round = 0; round < 2; round++) {
        upsert(table, 0, keys);
        for (uint32_t i = 0; i < keys->count; i++) {
            FAIL_UNLESS(value_at(keys, i) == (round ? i + 1 : 0), "key %u of %zu bytes", i, keys->sv[i].len);
            *(int64_t *)keys->values[i] = i + 1;
        }
    }
    assert_int_equal(leat__table_keys_count_all(table), keys->count);
    done(state, table);
}

static void test_keys__given_hashes_0_and_1__then_cursor_gives_hashes_that_find_them(void **unused)
{
    (void)unused;
    struct leat_state *state = new_state(0);
    struct leat_table *table = open_table(state, 8, 8);
    struct keys *keys = &batch_of_keys;
    keys_clear(keys);
    keys_add_int(keys, 1);
    keys_add_int(keys, 2);
    keys->hash[0] = 0;
    keys->hash[1] = UINT64_MAX;
    upsert(table, 0, keys);
    upsert(table, 0, keys);
    assert_int_equal(leat__table_keys_count(table, 0), 2);
    find(table, 0, keys);
    assert_non_null(keys->values[0]);
    assert_non_null(keys->values[1]);
    done(state, table);
}

static void test_growth__given_thousands_of_new_keys_in_one_batch__then_all_pointers_hold(void **unused)
{
    (void)unused;
    const uint32_t key_sizes[] = { 8, 0 };
    for (uint32_t k = 0; k < COUNT_OF(key_sizes); k++) {
        struct leat_state *state = new_state(0);
        struct leat_table *table = open_table(state, key_sizes[k], 16);
        struct keys *keys = &batch_of_keys;
        keys_clear(keys);
        for (uint32_t i = 0; i < 5000; i++) {
            if (key_sizes[k]) {
                keys_add_int(keys, i % 4000);
            } else {
                char text[40];
                const int len = snprintf(text, sizeof text, "%*u", (int)(i % 4000) % 30 + 1, i % 4000);
                keys_add(keys, text, (size_t)len);
            }
        }
        upsert(table, -5, keys);
        for (uint32_t i = 0; i < keys->count; i++)
            ++*(int64_t *)keys->values[i];
        find(table, -5, keys);
        for (uint32_t i = 0; i < keys->count; i++)
            FAIL_UNLESS(value_at(keys, i) == (i % 4000 < 1000 ? 2 : 1), "key %u", i);
        assert_int_equal(leat__table_keys_count(table, -5), 4000);
        done(state, table);
    }
}

static void test_namespaces__given_some_in_any_order__then_next_gives_them_in_order(void **unused)
{
    (void)unused;
    const int64_t order[] = { 5, INT64_MAX, -7, INT64_MIN, 0, 100 };
    const int64_t sorted[] = { INT64_MIN, -7, 0, 5, 100, INT64_MAX };
    struct leat_state *state = new_state(0);
    struct leat_table *table = open_table(state, 8, 8);
    struct keys *keys = &batch_of_keys;
    keys_clear(keys);
    keys_add_int(keys, 1);
    for (uint32_t i = 0; i < COUNT_OF(order); i++) {
        upsert(table, order[i], keys);
        assert_int_equal(value_at(keys, 0), 0);
        *(int64_t *)keys->values[0] = order[i];
    }
    int64_t ns = INT64_MIN;
    for (uint32_t i = 0; i < COUNT_OF(sorted); i++) {
        assert_int_equal(leat__table_next_namespace(table, ns, &ns, NULL), 1);
        assert_int_equal(ns, sorted[i]);
        find(table, ns, keys);
        assert_int_equal(value_at(keys, 0), ns);
        if (i + 1 < COUNT_OF(sorted))
            ns++;
    }
    drop(table, 0);
    drop(table, 0); /* absent: no error */
    assert_int_equal(leat__table_next_namespace(table, -6, &ns, NULL), 1);
    assert_int_equal(ns, 5);
    drop(table, INT64_MAX);
    assert_int_equal(leat__table_next_namespace(table, 101, &ns, NULL), 0);
    assert_int_equal(leat__table_keys_count_all(table), 4);
    assert_int_equal(leat__table_keys_count(table, 0), 0);
    find(table, 0, keys);
    assert_null(keys->values[0]);
    done(state, table);
}

static void test_namespaces__given_a_long_row_of_windows__then_they_come_and_go_at_the_ends(void **unused)
{
    (void)unused;
    struct leat_state *state = new_state(0);
    struct leat_table *table = open_table(state, 8, 8);
    struct keys *keys = &batch_of_keys;
    keys_clear(keys);
    keys_add_int(keys, 3);
    for (int64_t ns = 0; ns < 2000; ns++) {
        upsert(table, ns * 10, keys);
        if (ns >= 30)
            drop(table, (ns - 30) * 10);
    }
    int64_t first = 0;
    assert_int_equal(leat__table_next_namespace(table, INT64_MIN, &first, NULL), 1);
    assert_int_equal(first, 19700);
    assert_int_equal(leat__table_keys_count_all(table), 30);
    done(state, table);
}

static void test_remove__given_keys_of_one_home__then_the_others_stay_reachable(void **unused)
{
    (void)unused;
    struct leat_state *state = new_state(0);
    struct leat_table *table = open_table(state, 8, 8);
    struct keys *keys = &batch_of_keys;
    keys_clear(keys);
    for (int64_t i = 0; i < 9; i++)
        keys_add_int(keys, i);
    for (uint32_t i = 0; i < 9; i++)
        keys->hash[i] = i / 3 + 1000;
    for (uint32_t removed = 0; removed < 9; removed++) {
        upsert(table, 0, keys);
        for (uint32_t i = 0; i < 9; i++)
            *(int64_t *)keys->values[i] = i;
        assert_int_equal(leat__table_remove(table, 0, keys->sv[removed], keys->hash[removed], NULL), 0);
        assert_int_equal(leat__table_remove(table, 0, keys->sv[removed], keys->hash[removed], NULL), 0);
        assert_int_equal(leat__table_remove(table, 9, keys->sv[removed], keys->hash[removed], NULL), 0);
        find(table, 0, keys);
        for (uint32_t i = 0; i < 9; i++) {
            FAIL_UNLESS((keys->values[i] == NULL) == (i == removed), "removed %u, key %u", removed, i);
            if (i != removed)
                assert_int_equal(value_at(keys, i), i);
        }
        assert_int_equal(leat__table_keys_count(table, 0), 8);
    }
    upsert(table, 0, keys);
    assert_int_equal(value_at(keys, 8), 0); /* made again: zeroed */
    done(state, table);
}

static void test_bytes__given_any_size__then_aligned_and_stable_until_the_drop(void **unused)
{
    (void)unused;
    struct leat_state *state = new_state(0);
    struct leat_table *table = open_table(state, 8, 8);
    char *pieces[300];
    for (uint32_t i = 0; i < 300; i++) {
        const size_t size = (size_t)i * i % 7000 + 1;
        pieces[i] = leat__table_bytes(table, i % 3, size);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % 8, 0);
        memset(pieces[i], (int)(i % 251), size);
    }
    for (uint32_t i = 0; i < 300; i++) {
        const size_t size = (size_t)i * i % 7000 + 1;
        for (size_t b = 0; b < size; b++)
            FAIL_UNLESS((unsigned char)pieces[i][b] == i % 251, "piece %u, byte %zu", i, b);
    }
    done(state, table);
}

/* ---- budget and memory ---- */

static void test_budget__given_too_many_keys__then_the_error_names_all_and_dropping_helps(void **unused)
{
    (void)unused;
    const uint64_t budget = 256 * 1024;
    struct leat_state *state = new_state(budget);
    struct leat_table *table = open_table(state, 8, 16);
    struct keys *keys = &batch_of_keys;
    struct leat_error err = { 0 };
    keys_clear(keys);
    for (int64_t i = 0; i < 4000; i++)
        keys_add_int(keys, i);
    int code = 0;
    int64_t ns = 0;
    for (; code == 0 && ns < 10; ns++) {
        code = leat__table_upsert(table, ns, keys->sv, keys->hash, NULL, keys->count, keys->values, &err);
        assert_true(leat__state_bytes(state) <= budget);
    }
    assert_int_equal(code, LEAT_ESTATE);
    assert_int_equal(err.code, LEAT_ESTATE);
    const char *const parts[] = { "\"totals\"", "\"windows\"", "262144", "state_budget_bytes", "more bytes" };
    for (uint32_t i = 0; i < COUNT_OF(parts); i++)
        FAIL_UNLESS(strstr(err.message, parts[i]) != NULL, "%s lacks %s", err.message, parts[i]);
    for (int64_t i = 0; i < ns; i++)
        drop(table, i);
    assert_int_equal(leat__state_bytes(state), 0);
    memset(&err, 0, sizeof err);
    keys->count = 1000;
    upsert(table, 50, keys); /* kept blocks give way */
    done(state, table);
}

static void test_steady_state__given_windows_of_one_size__then_nothing_is_allocated(void **unused)
{
    (void)unused;
    struct leat_state *state = new_state(0);
    struct leat_table *table = open_table(state, 0, 16);
    struct keys *keys = &batch_of_keys;
    struct leat_cursor *cursor = NULL;
    struct leat_cursor_item items[64];
    keys_clear(keys);
    for (uint32_t i = 0; i < 3000; i++) {
        char text[40];
        keys_add(keys, text, (size_t)snprintf(text, sizeof text, "%*u", i % 2 ? 8 : 30, i));
    }
    uint64_t calls = 0;
    for (int64_t ns = 0; ns < 60; ns++) {
        if (ns == 20)
            calls = leat__alloc_calls();
        upsert(table, ns, keys);
        assert_non_null(leat__table_bytes(table, ns, 100));
        if (ns < 4)
            continue;
        assert_int_equal(leat__cursor_open(table, ns - 4, LEAT_CURSOR_ORDERED, &cursor, NULL), 0);
        while (leat__cursor_next(cursor, items, 64, NULL) > 0)
            continue;
        leat__cursor_close(cursor);
        drop(table, ns - 4);
    }
    assert_int_equal(leat__alloc_calls() - calls, 0);
    done(state, table);
}

static void test_memory__given_any_allocation_fails__then_an_error_and_no_leak(void **unused)
{
    (void)unused;
    const int64_t live = leat__alloc_live();
    bool failed = true;
    for (uint64_t n = 1; failed; n++) {
        assert_true(n < 200);
        failed = false;
        leat__alloc_fail_at(n);
        struct leat_state *state = NULL;
        struct leat_table *table = NULL;
        struct leat_cursor *cursor = NULL;
        struct leat_error err = { 0 };
        struct keys *keys = &batch_of_keys;
        keys_clear(keys);
        for (int64_t i = 0; i < 500; i++)
            keys_add(keys, "a key that is longer than a slot", (size_t)(20 + i % 12));
        for (uint32_t i = 0; i < 500; i++)
            keys_add_int(keys, i);
        const struct leat_table_opts opts = {
            .node = "n", .name = "t", .kind = LEAT_TABLE_FIXED, .value_size = 8
        };
        int code = leat__state_new(&(struct leat_state_opts){ .key_groups = 1 }, &state, NULL);
        if (code == 0)
            code = leat__table_open(state, &opts, &table, &err);
        for (int64_t ns = 0; code == 0 && ns < 12; ns++)
            code = leat__table_upsert(table, ns, keys->sv, keys->hash, NULL, keys->count, keys->values, &err);
        if (code == 0)
            code = leat__cursor_open(table, 3, LEAT_CURSOR_ORDERED, &cursor, &err);
        leat__cursor_close(cursor);
        failed = code < 0;
        FAIL_UNLESS(code == 0 || code == LEAT_ENOMEM, "allocation %d: %s", (int)n, err.message);
        leat__alloc_fail_at(0);
        leat__table_close(table);
        leat__state_free(state);
        assert_int_equal(leat__alloc_live(), live);
    }
}

/* ---- cursors ---- */

static void test_cursor__given_steps_of_any_size__then_each_key_once_while_values_change(void **unused)
{
    (void)unused;
    const uint32_t steps[] = { 1, 7, 64, 5000 };
    static struct leat_cursor_item items[5000];
    struct leat_state *state = new_state(0);
    struct leat_table *table = open_table(state, 8, 8);
    struct keys *keys = &batch_of_keys;
    keys_clear(keys);
    for (int64_t i = 0; i < 3000; i++)
        keys_add_int(keys, i * i);
    upsert(table, 1, keys);
    for (uint32_t s = 0; s < COUNT_OF(steps); s++) {
        struct leat_cursor *cursor = NULL;
        uint64_t seen = 0;
        int64_t count;
        assert_int_equal(leat__cursor_open(table, 1, 0, &cursor, NULL), 0);
        while ((count = leat__cursor_next(cursor, items, steps[s], NULL)) > 0) {
            assert_true(count <= steps[s]);
            for (int64_t i = 0; i < count; i++) {
                assert_int_equal(items[i].hash, leat__hash(items[i].key.data, items[i].key.len));
                assert_int_equal(*(int64_t *)items[i].value, s); /* not seen in this walk yet */
                ++*(int64_t *)items[i].value;
                seen++;
            }
            upsert(table, 2, keys); /* another namespace; and values of this one by keys that exist: */
            upsert(table, 1, keys);
        }
        leat__cursor_close(cursor);
        assert_int_equal(seen, 3000);
    }
    struct leat_cursor *none = NULL;
    assert_int_equal(leat__cursor_open(table, 99, LEAT_CURSOR_ORDERED, &none, NULL), 0);
    assert_int_equal(leat__cursor_next(none, items, 10, NULL), 0);
    leat__cursor_close(none);
    done(state, table);
}

static void test_cursor__given_ordered__then_keys_rise_by_their_bytes(void **unused)
{
    (void)unused;
    const uint32_t counts[] = { 0, 1, 2, 11, 12, 13, 25, 97, 1000, 4096 };
    struct leat_state *state = new_state(0);
    struct keys *keys = &batch_of_keys;
    for (uint32_t key_size = 0; key_size <= 8; key_size += 8) {
        struct leat_table *table = open_table(state, key_size, 8);
        for (uint32_t c = 0; c < COUNT_OF(counts); c++) {
            keys_clear(keys);
            for (uint32_t i = 0; i < counts[c]; i++) {
                const int64_t number = (int64_t)(leat__hash(&i, sizeof i) >> (i % 64)) * (i % 2 ? 1 : -1);
                char text[48]; /* many share their first 8 bytes, some are prefixes of others */
                const int len =
                    snprintf(text, sizeof text, "prefix--%" PRIi64, i % 5 ? number : number / 1000);
                if (key_size)
                    keys_add_int(keys, number);
                else
                    keys_add(keys, text, (size_t)len);
            }
            upsert(table, c, keys);
            struct leat_cursor *cursor = NULL;
            struct leat_cursor_item items[10];
            char last[64];
            struct leat_sv previous = { NULL, 0 };
            uint64_t seen = 0;
            assert_int_equal(leat__cursor_open(table, c, LEAT_CURSOR_ORDERED, &cursor, NULL), 0);
            for (int64_t got; (got = leat__cursor_next(cursor, items, 10, NULL)) > 0; seen += (uint64_t)got)
                for (int64_t i = 0; i < got; i++) {
                    FAIL_UNLESS(seen + (uint64_t)i == 0 || leat_sv_cmp(previous, items[i].key) < 0,
                        "%u keys: key %d", counts[c], (int)i);
                    if (key_size && previous.data)
                        assert_true(int_of_key(previous) < int_of_key(items[i].key));
                    memcpy(last, items[i].key.data, items[i].key.len);
                    previous = (struct leat_sv){ last, items[i].key.len };
                }
            leat__cursor_close(cursor);
            assert_int_equal(seen, leat__table_keys_count(table, c));
        }
        leat__table_close(table);
    }
    leat__state_free(state);
}

/* The most slots that any key of the namespace lies behind its home. */
static uint64_t longest_way(struct leat_table *table, int64_t ns)
{
    const struct leat__slice *slice = leat__slice_find(table, ns);
    uint64_t longest = 0;
    for (uint64_t i = 0; i < slice->capacity; i++) {
        uint64_t hash;
        memcpy(&hash, slice->slots + i * table->slot_size, sizeof hash);
        const uint64_t way = hash ? (i - leat__slice_home(slice, hash)) & (slice->capacity - 1) : 0;
        longest = way > longest ? way : longest;
    }
    return longest;
}

/* Were positions the same everywhere, keys in the slot order of one table would fill another, still small,
 * from one end: with runs of thousands of slots. */
static void test_firing_order__given_rows_in_slot_order__when_they_fill_another_table__then_no_piling_up(
    void **unused)
{
    (void)unused;
    struct leat_state *state = new_state(0);
    struct leat_table *from = open_table(state, 8, 8);
    struct leat_table *to = open_table(state, 8, 8);
    struct leat_cursor *cursor = NULL;
    static struct leat_cursor_item items[1000];
    struct keys *keys = &batch_of_keys;
    for (int64_t base = 0; base < 144000; base += 4000) { /* 0.55 of 262,144 slots */
        keys_clear(keys);
        for (int64_t i = 0; i < 4000; i++)
            keys_add_int(keys, base + i);
        upsert(from, 0, keys);
    }
    assert_int_equal(leat__cursor_open(from, 0, 0, &cursor, NULL), 0);
    for (int64_t got, batch = 0; (got = leat__cursor_next(cursor, items, 1000, NULL)) > 0; batch++) {
        keys_clear(keys);
        for (int64_t i = 0; i < got; i++)
            keys_add(keys, items[i].key.data, items[i].key.len);
        upsert(to, 1, keys);
        if (batch % 4 == 0)
            FAIL_UNLESS(longest_way(to, 1) < 300, "%d slots from home", (int)longest_way(to, 1));
    }
    leat__cursor_close(cursor);
    assert_int_equal(leat__table_keys_count(to, 1), 144000);
    leat__table_close(from);
    done(state, to);
}

/* ---- lists ---- */

struct note {
    int64_t id;
    struct leat_sv text;
};
static const struct leat_type long_type = { .kind = LEAT_KIND_LONG, .name = "long", .size = 8, .align = 8 };
static const struct leat_type string_type = {
    .kind = LEAT_KIND_STRING, .name = "string", .size = 16, .align = 8
};
static const struct leat_field note_fields[] = {
    { "id", &long_type, offsetof(struct note, id), LEAT_NOT_NULLABLE },
    { "text", &string_type, offsetof(struct note, text), LEAT_NOT_NULLABLE },
};
static const struct leat_type note_type = { .kind = LEAT_KIND_RECORD,
    .name = "note",
    .size = sizeof(struct note),
    .align = 8,
    .fields_count = 2,
    .fields = note_fields };

static struct leat_table *open_list(struct leat_state *state)
{
    struct leat_table *table = NULL;
    const struct leat_table_opts opts = {
        .node = "pairs", .name = "left", .kind = LEAT_TABLE_LIST, .key_size = 8, .row_type = &note_type
    };
    assert_int_equal(leat__table_open(state, &opts, &table, NULL), 0);
    return table;
}

/* Appends 1,000 rows, row i of key i % 50, whose text is overwritten afterwards. */
static void append_notes(struct leat_table *table, int64_t ns, struct leat_pool *pool, struct keys *keys)
{
    static char texts[1000][40];
    struct leat_batch *batch = NULL;
    assert_int_equal(leat__batch_get(pool, &note_type, &batch), 0);
    keys_clear(keys);
    for (uint32_t i = 0; i < 1000; i++) {
        struct note *note = leat__batch_push(batch);
        note->id = i;
        note->text =
            (struct leat_sv){ texts[i], (size_t)snprintf(texts[i], 40, "note %u of %i", i, (int)ns) };
        batch->event_us[i] = ns + i;
        keys_add_int(keys, i % 50);
    }
    struct leat_error err = { 0 };
    const int code = leat__table_append(table, ns, keys->sv, keys->hash, NULL, 1000, batch, &err);
    FAIL_UNLESS(code == 0, "%s", err.message);
    memset(texts, 'x', sizeof texts);
    leat__batch_release(batch);
}

static void test_lists__given_rows__then_deep_copies_in_order_of_arrival_with_flags(void **unused)
{
    (void)unused;
    struct leat_state *state = new_state(0);
    struct leat_table *table = open_list(state);
    struct leat_pool *pool = NULL;
    struct keys *keys = &batch_of_keys;
    const struct leat_list_row *lists[50];
    assert_int_equal(leat__pool_new(1024, &pool), 0);
    for (int round = 0; round < 2; round++)
        append_notes(table, 300, pool, keys);
    assert_int_equal(leat__table_lists(table, 300, keys->sv, keys->hash, NULL, 50, lists, NULL), 0);
    for (uint32_t k = 0; k < 50; k++) {
        uint32_t count = 0;
        for (const struct leat_list_row *row = lists[k]; row; row = row->next, count++) {
            const struct note *note = row->record;
            char want[40];
            const uint32_t id = k + count % 20 * 50;
            snprintf(want, sizeof want, "note %u of 300", id);
            assert_int_equal(note->id, id);
            assert_int_equal(row->event_us, 300 + id);
            FAIL_UNLESS(leat_sv_eq(note->text, leat_sv_of(want)), "key %u, row %u", k, count);
            assert_int_equal(*row->flags, 0);
            *row->flags = 1;
        }
        assert_int_equal(count, 40);
        assert_int_equal(*lists[k]->flags, 1);
    }
    struct leat_cursor *cursor = NULL;
    struct leat_cursor_item item;
    assert_int_equal(leat__cursor_open(table, 300, LEAT_CURSOR_ORDERED, &cursor, NULL), 0);
    assert_int_equal(leat__cursor_next(cursor, &item, 1, NULL), 1);
    assert_ptr_equal(item.value, lists[0]);
    leat__cursor_close(cursor);
    assert_int_equal(leat__table_remove(table, 300, keys->sv[0], keys->hash[0], NULL), 0);
    assert_int_equal(leat__table_lists(table, 300, keys->sv, keys->hash, NULL, 2, lists, NULL), 0);
    assert_null(lists[0]);
    assert_non_null(lists[1]);
    assert_int_equal(leat__table_lists(table, 301, keys->sv, keys->hash, NULL, 2, lists, NULL), 0);
    assert_null(lists[1]);
    leat__pool_free(pool);
    done(state, table);
}

static void test_lists__given_buckets_that_come_and_go__then_nothing_is_allocated(void **unused)
{
    (void)unused;
    struct leat_state *state = new_state(0);
    struct leat_table *table = open_list(state);
    struct leat_pool *pool = NULL;
    assert_int_equal(leat__pool_new(1024, &pool), 0);
    uint64_t calls = 0;
    for (int64_t ns = 0; ns < 40; ns++) {
        if (ns == 10)
            calls = leat__alloc_calls();
        append_notes(table, ns, pool, &batch_of_keys);
        if (ns >= 3)
            drop(table, ns - 3);
    }
    assert_int_equal(leat__alloc_calls() - calls, 0);
    leat__pool_free(pool);
    done(state, table);
}

/* ---- a random walk against a naive model ---- */

static uint64_t random_state;
static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * UINT64_C(0x2545f4914f6cdd1d);
}
static uint32_t below(uint32_t n)
{
    return (uint32_t)((next_random() >> 32) % n);
}

#define MODEL_KEYS 700u
#define MODEL_NAMESPACES 6u
struct model {
    bool exists[MODEL_NAMESPACES][MODEL_KEYS];
    int64_t value[MODEL_NAMESPACES][MODEL_KEYS];
};
static struct model model;

static uint64_t model_count(uint32_t ns)
{
    uint64_t count = 0;
    for (uint32_t k = 0; k < MODEL_KEYS; k++)
        count += model.exists[ns][k];
    return count;
}

/* Key k of the model: a number or a text of 0 to 40 bytes that says it. */
static void add_model_key(struct keys *keys, uint32_t key_size, uint32_t k)
{
    char text[48];
    const int len = snprintf(text, sizeof text, "%0*u", (int)(k % 41), k);
    if (key_size)
        keys_add_int(keys, (int64_t)k - 300);
    else
        keys_add(keys, text, (size_t)len);
}

static uint32_t model_key_of(struct leat_sv key, uint32_t key_size)
{
    char text[48] = { 0 };
    if (key_size)
        return (uint32_t)(int_of_key(key) + 300);
    memcpy(text, key.data, key.len);
    return (uint32_t)strtoul(text, NULL, 10);
}

static void walk_batch(struct leat_table *table, uint32_t key_size, uint32_t ns, bool make)
{
    struct keys *keys = &batch_of_keys;
    static uint32_t picked[300], rows[300];
    const uint32_t range = below(10) == 0 ? MODEL_KEYS : 60;
    keys_clear(keys);
    for (uint32_t i = 0; i < 300; i++)
        add_model_key(keys, key_size, picked[i] = below(range));
    const uint32_t count = below(300) + 1;
    const bool by_rows = below(2);
    for (uint32_t i = 0; i < count; i++)
        rows[i] = by_rows ? below(300) : i;
    const int code = make
        ? leat__table_upsert(
              table, ns, keys->sv, keys->hash, by_rows ? rows : NULL, count, keys->values, NULL)
        : leat__table_find(table, ns, keys->sv, keys->hash, by_rows ? rows : NULL, count, keys->values, NULL);
    assert_int_equal(code, 0);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t k = picked[rows[i]];
        assert_true(make || (keys->values[i] != NULL) == model.exists[ns][k]);
        if (make && !model.exists[ns][k]) {
            model.exists[ns][k] = true;
            model.value[ns][k] = 0;
        }
        if (!keys->values[i])
            continue;
        assert_int_equal(value_at(keys, i), model.value[ns][k]);
        model.value[ns][k] = *(int64_t *)keys->values[i] = (int64_t)next_random();
    }
}

static void walk_remove(struct leat_table *table, uint32_t key_size, uint32_t ns)
{
    struct keys *keys = &batch_of_keys;
    for (uint32_t i = below(80); i > 0; i--) {
        const uint32_t k = below(i % 4 == 0 ? MODEL_KEYS : 60);
        keys_clear(keys);
        add_model_key(keys, key_size, k);
        assert_int_equal(leat__table_remove(table, ns, keys->sv[0], keys->hash[0], NULL), 0);
        model.exists[ns][k] = false;
    }
}

static void walk_cursor(struct leat_table *table, uint32_t key_size, uint32_t ns)
{
    static bool seen[MODEL_KEYS];
    struct leat_cursor *cursor = NULL;
    struct leat_cursor_item items[50];
    uint64_t count = 0;
    memset(seen, 0, sizeof seen);
    assert_int_equal(leat__cursor_open(table, ns, below(2) ? LEAT_CURSOR_ORDERED : 0, &cursor, NULL), 0);
    for (int64_t got; (got = leat__cursor_next(cursor, items, below(50) + 1, NULL)) > 0;
         count += (uint64_t)got)
        for (int64_t i = 0; i < got; i++) {
            const uint32_t k = model_key_of(items[i].key, key_size);
            assert_true(k < MODEL_KEYS && model.exists[ns][k] && !seen[k]);
            assert_int_equal(*(int64_t *)items[i].value, model.value[ns][k]);
            seen[k] = true;
        }
    leat__cursor_close(cursor);
    assert_int_equal(count, model_count(ns));
}

static void test_random_walk__given_a_naive_model__then_every_answer_agrees(void **unused)
{
    (void)unused;
    const char *given = getenv("LEAT_SEED");
    const uint64_t seed = given ? strtoull(given, NULL, 10) : 20240917;
    print_message("LEAT_SEED=%" PRIu64 "\n", seed);
    for (uint32_t key_size = 0; key_size <= 8; key_size += 8) {
        random_state = seed * 2 + 1;
        memset(&model, 0, sizeof model);
        struct leat_state *state = new_state(below(2) ? 64u << 20 : 0);
        struct leat_table *table = open_table(state, key_size, 8);
        state->garbage_min = 64; /* arenas are put together all the time, a few slots at a time */
        state->compact_at_once = 0;
        for (uint32_t round = 0; round < 3000; round++) {
            const uint32_t ns = below(MODEL_NAMESPACES);
            const uint32_t what = below(20);
            if (what < 10) {
                walk_batch(table, key_size, ns, true);
            } else if (what < 13) {
                walk_batch(table, key_size, ns, false);
            } else if (what < 16) {
                walk_remove(table, key_size, ns);
            } else if (what < 19) {
                walk_cursor(table, key_size, ns);
            } else {
                drop(table, ns);
                memset(model.exists[ns], 0, sizeof model.exists[ns]);
            }
            assert_int_equal(leat__table_keys_count(table, ns), model_count(ns));
        }
        done(state, table);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_upsert__given_equal_keys_in_one_batch__then_they_share_one_zeroed_value),
        cmocka_unit_test(test_upsert__given_rows__when_only_some_are_asked_for__then_values_follow_them),
        cmocka_unit_test(test_keys__given_equal_hashes__when_they_differ_in_one_byte__then_they_are_apart),
        cmocka_unit_test(test_keys__given_hashes_0_and_1__then_cursor_gives_hashes_that_find_them),
        cmocka_unit_test(test_growth__given_thousands_of_new_keys_in_one_batch__then_all_pointers_hold),
        cmocka_unit_test(test_namespaces__given_some_in_any_order__then_next_gives_them_in_order),
        cmocka_unit_test(test_namespaces__given_a_long_row_of_windows__then_they_come_and_go_at_the_ends),
        cmocka_unit_test(test_remove__given_keys_of_one_home__then_the_others_stay_reachable),
        cmocka_unit_test(test_bytes__given_any_size__then_aligned_and_stable_until_the_drop),
        cmocka_unit_test(test_budget__given_too_many_keys__then_the_error_names_all_and_dropping_helps),
        cmocka_unit_test(test_steady_state__given_windows_of_one_size__then_nothing_is_allocated),
        cmocka_unit_test(test_memory__given_any_allocation_fails__then_an_error_and_no_leak),
        cmocka_unit_test(test_cursor__given_steps_of_any_size__then_each_key_once_while_values_change),
        cmocka_unit_test(test_cursor__given_ordered__then_keys_rise_by_their_bytes),
        cmocka_unit_test(
            test_firing_order__given_rows_in_slot_order__when_they_fill_another_table__then_no_piling_up),
        cmocka_unit_test(test_lists__given_rows__then_deep_copies_in_order_of_arrival_with_flags),
        cmocka_unit_test(test_lists__given_buckets_that_come_and_go__then_nothing_is_allocated),
        cmocka_unit_test(test_random_walk__given_a_naive_model__then_every_answer_agrees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
