/* tests/unit/record/test_batch.c -- pools, batches, buffers: recycling, sharing, slices, compaction, release
 * by other threads. */
#include "base/alloc.h"
#include "record/batch.h"
#include <leat/change.h>
#include "tests/support/unit.h"
#include <pthread.h>
#include <stdlib.h>

static const struct leat_type long_type = { .kind = LEAT_KIND_LONG, .name = "long", .size = 8, .align = 8 };
static const struct leat_type empty_type = { .kind = LEAT_KIND_NULL, .name = "null", .size = 0, .align = 1 };
static const struct leat_type wide_type = {
    .kind = LEAT_KIND_FIXED, .name = "wide", .size = LEAT_ROW_BYTES_MAX, .align = 1
};

static struct leat_pool *new_pool(uint32_t rows)
{
    struct leat_pool *pool;
    assert_int_equal(leat__pool_new(rows, &pool), 0);
    return pool;
}

static struct leat_batch *get(struct leat_pool *pool, const struct leat_type *type)
{
    struct leat_batch *batch;
    assert_int_equal(leat__batch_get(pool, type, &batch), 0);
    return batch;
}

/* A batch with the longs 0 .. n-1, events 10 i, hashes 100 i. */
static struct leat_batch *longs(struct leat_pool *pool, uint32_t n)
{
    struct leat_batch *batch = get(pool, &long_type);
    for (uint32_t i = 0; i < n; i++) {
        *(int64_t *)leat__batch_push(batch) = i;
        batch->event_us[i] = 10 * (int64_t)i;
        batch->key_hash[i] = 100 * (uint64_t)i;
    }
    return batch;
}

static int64_t long_at(const struct leat_batch *batch, uint32_t i)
{
    return *(const int64_t *)leat_batch_at(batch, i);
}

static void test_batch__given_row_counts_out_of_range__when_a_pool_is_made__then_it_is_refused(void **state)
{
    (void)state;
    struct leat_pool *pool;
    assert_int_equal(leat__pool_new(0, &pool), LEAT_EINVAL);
    assert_null(pool);
    assert_int_equal(leat__pool_new(LEAT_BATCH_ROWS_MAX + 1, &pool), LEAT_EINVAL);
    leat__pool_free(NULL);
}

static const struct {
    const char *name;
    uint32_t rows, size, want;
} capacities[] = {
    { "few small rows", 1024, 64, 1024 },
    { "rows of nothing", 1024, 0, 1024 },
    { "as many bytes as may be", 4096, 64, 4096 },
    { "more bytes than may be", 8192, 64, 4096 },
    { "large rows", 1024, 60000, 4 },
    { "largest row", 1024, LEAT_ROW_BYTES_MAX, 4 },
    { "a single row", 1, 8, 1 },
};

static void test_batch__given_row_sizes__when_got__then_the_capacity_keeps_to_rows_and_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(capacities); i++) {
        struct leat_pool *pool = new_pool(capacities[i].rows);
        const struct leat_type type = { .kind = LEAT_KIND_FIXED, .size = capacities[i].size, .align = 1 };
        struct leat_batch *batch = get(pool, &type);
        FAIL_UNLESS(batch->capacity == capacities[i].want, "%s: %u", capacities[i].name, batch->capacity);
        assert_int_equal(leat__pool_batch_rows(pool, &type), batch->capacity);
        assert_int_equal(batch->count, 0);
        assert_int_equal(batch->refs, 1);
        assert_int_equal(batch->late, 0);
        assert_true(batch->late_wm_us == LEAT_TIME_MIN);
        leat__batch_rows(batch, batch->capacity);
        memset(batch->rows, 1, (size_t)batch->capacity * batch->stride);
        memset(batch->keep, 1, batch->capacity);
        memset(batch->event_us, 1, batch->capacity * sizeof(int64_t));
        memset(batch->key_hash, 1, batch->capacity * sizeof(uint64_t));
        leat__batch_release(batch);
        leat__pool_free(pool);
    }
}

static void test_batch__given_a_steady_state__when_batches_come_and_go__then_nothing_is_made(void **state)
{
    (void)state;
    struct leat_pool *pool = new_pool(64);
    uint64_t made = 0, calls = 0;
    for (int round = 0; round < 100; round++) {
        struct leat_batch *small = get(pool, &long_type), *wide = get(pool, &wide_type),
                          *none = get(pool, &empty_type);
        struct leat_buffer *buffer;
        assert_non_null(leat__batch_alloc(small, 100000, 8));
        assert_non_null(leat__batch_alloc(wide, 100, 8));
        assert_int_equal(leat__buffer_get(pool, 5000, &buffer), 0);
        assert_int_equal(leat__batch_add_buffer(none, buffer), 0);
        leat__buffer_release(buffer);
        leat__batch_release(small);
        leat__batch_release(wide);
        leat__batch_release(none);
        if (round == 2) {
            made = leat__pool_made_count(pool);
            calls = leat__alloc_calls();
        }
    }
    assert_int_equal(leat__pool_made_count(pool), made);
    assert_int_equal(leat__alloc_calls(), calls);
    leat__pool_free(pool);
}

static void test_batch__given_a_recycled_batch__when_got_again__then_rows_and_marks_are_fresh(void **state)
{
    (void)state;
    struct leat_pool *pool = new_pool(8);
    struct leat_batch *batch = longs(pool, 8);
    batch->late = 1;
    batch->late_wm_us = 5;
    leat__batch_release(batch);
    struct leat_batch *again = get(pool, &long_type);
    assert_ptr_equal(again, batch);
    assert_int_equal(again->late, 0);
    assert_true(again->late_wm_us == LEAT_TIME_MIN);
    leat__batch_rows(again, 8);
    for (uint32_t i = 0; i < 8; i++)
        assert_int_equal(long_at(again, i), 0);
    leat__batch_release(again);
    leat__pool_free(pool);
}

static void test_batch__given_the_pool_freed_first__when_the_last_batch_goes__then_all_is_freed(void **state)
{
    (void)state;
    const int64_t live = leat__alloc_live();
    struct leat_pool *pool = new_pool(8);
    struct leat_batch *batch = longs(pool, 8), *other = longs(pool, 3);
    struct leat_buffer *buffer;
    assert_int_equal(leat__buffer_get(pool, 10, &buffer), 0);
    leat__batch_release(other);
    leat__pool_free(pool);
    assert_int_equal(long_at(batch, 7), 7);
    leat__batch_release(batch);
    memset(buffer->data, 1, buffer->capacity);
    leat__buffer_release(buffer);
    assert_int_equal(leat__alloc_live(), live);
}

/* ---- arena and buffers ---- */

static void test_batch__given_allocations_of_any_size__when_written__then_they_are_apart_and_aligned(
    void **state)
{
    (void)state;
    static const size_t sizes[] = { 1, 15, 16, 17, 1000, 16384, 16385, 65535, 65536, 65537, 300000, 3, 0, 7 };
    struct leat_pool *pool = new_pool(8);
    struct leat_batch *batch = get(pool, &long_type);
    unsigned char *got[COUNT_OF(sizes)];
    for (size_t align = 1; align <= 16; align *= 2) {
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
            got[i] = leat__batch_alloc(batch, sizes[i], align);
            assert_non_null(got[i]);
            assert_int_equal((uintptr_t)got[i] % align, 0);
            memset(got[i], (int)i + 1, sizes[i] + LEAT_BUFFER_SLACK_BYTES); /* the slack is writable */
            memset(got[i] + sizes[i], 0, LEAT_BUFFER_SLACK_BYTES);
        }
        for (size_t i = 0; i < COUNT_OF(sizes); i++)
            for (size_t k = 0; k < sizes[i]; k++)
                if (got[i][k] != i + 1)
                    fail_msg("allocation %zu, byte %zu", i, k);
    }
    assert_true(batch->arena_bytes >= 5 * 300000);
    leat__batch_release(batch);
    leat__pool_free(pool);
}

static void test_batch__given_a_buffer_without_pool__when_released__then_it_is_freed(void **state)
{
    (void)state;
    const int64_t live = leat__alloc_live();
    struct leat_buffer *buffer;
    assert_int_equal(leat__buffer_get(NULL, 100, &buffer), 0);
    assert_int_equal(buffer->capacity, 100);
    assert_null(buffer->home);
    memset(buffer->data, 1, buffer->capacity + LEAT_BUFFER_SLACK_BYTES);
    leat__buffer_ref(buffer);
    leat__buffer_release(buffer);
    leat__buffer_release(buffer);
    leat__buffer_release(NULL);
    assert_int_equal(leat__alloc_live(), live);
}

static void test_batch__given_large_buffers__when_released__then_only_a_few_are_kept(void **state)
{
    (void)state;
    struct leat_pool *pool = new_pool(8);
    struct leat_buffer *buffers[16];
    const int64_t live = leat__alloc_live();
    for (int i = 0; i < 16; i++)
        assert_int_equal(leat__buffer_get(pool, 3 << 20, &buffers[i]), 0);
    for (int i = 0; i < 16; i++)
        leat__buffer_release(buffers[i]);
    assert_int_equal(leat__buffer_get(pool, 3 << 20, &buffers[0]), 0); /* sorts what came back */
    assert_true(leat__alloc_live() <= live + 4);
    leat__buffer_release(buffers[0]);
    leat__pool_free(pool);
}

static void test_batch__given_a_derived_batch__when_the_first_goes__then_its_views_stay(void **state)
{
    (void)state;
    struct leat_pool *pool = new_pool(8);
    struct leat_batch *from = get(pool, &long_type), *to = get(pool, &long_type);
    char *text = leat__batch_alloc(from, 6, 1);
    memcpy(text, "hello", 6);
    for (int i = 0; i < 10; i++) /* sharing again and again costs no references */
        assert_int_equal(leat__batch_share(to, from), 0);
    assert_int_equal(to->buffers_count, 1);
    assert_int_equal(leat__batch_share(to, to), 0);
    leat__batch_release(from);
    struct leat_batch *next = get(pool, &long_type);
    memset(leat__batch_alloc(next, 6, 1), 'x', 6);
    assert_string_equal(text, "hello");
    leat__batch_release(next);
    leat__batch_release(to);
    leat__pool_free(pool);
}

/* ---- compaction ---- */

static void test_batch__given_any_selection__when_compacted__then_the_kept_rows_are_there_in_order(
    void **state)
{
    (void)state;
    struct leat_pool *pool = new_pool(8);
    for (uint32_t mask = 0; mask < 256; mask++) {
        struct leat_batch *batch = longs(pool, 8);
        uint32_t kept = 0;
        for (uint32_t i = 0; i < 8; i++)
            leat_batch_select(batch, i, mask >> i & 1);
        leat__batch_compact(batch);
        for (uint32_t i = 0; i < 8; i++) {
            if (!(mask >> i & 1))
                continue;
            assert_int_equal(long_at(batch, kept), i);
            assert_int_equal(batch->event_us[kept], 10 * i);
            assert_int_equal(batch->key_hash[kept], 100 * i);
            kept++;
        }
        assert_int_equal(batch->count, kept);
        leat__batch_release(batch);
    }
    leat__pool_free(pool);
}

/* ---- changes ---- */

static void test_batch__given_changes__when_compacted_sliced_and_copied__then_they_stay_with_their_rows(
    void **state)
{
    (void)state;
    struct leat_pool *pool = new_pool(8);
    struct leat_batch *batch = longs(pool, 8), *slice, *inner, *copy;
    assert_null(batch->change);
    leat__batch_set_change(batch, 7, 0); /* inserts need no column */
    assert_null(batch->change);
    leat__batch_set_change(batch, 3, LEAT_UPDATE_BEFORE);
    leat__batch_set_change(batch, 4, LEAT_UPDATE_AFTER);
    leat__batch_set_change(batch, 7, LEAT_DELETE);
    for (uint32_t i = 0; i < 8; i++)
        leat_batch_select(batch, i, i != 1 && i != 3);
    leat__batch_compact(batch); /* 0 2 4 5 6 7 */
    static const uint8_t left[] = { LEAT_INSERT, LEAT_INSERT, LEAT_UPDATE_AFTER, LEAT_INSERT, LEAT_INSERT,
        LEAT_DELETE };
    for (uint32_t i = 0; i < 6; i++)
        assert_int_equal(leat__batch_change(batch, i), left[i]);
    assert_int_equal(leat__batch_slice(pool, batch, 2, 4, &slice), 0);
    assert_int_equal(leat__batch_slice(pool, slice, 3, 1, &inner), 0);
    assert_int_equal(leat__batch_change(slice, 0), LEAT_UPDATE_AFTER);
    assert_int_equal(leat__batch_change(inner, 0), LEAT_DELETE);
    assert_int_equal(leat__batch_writable(pool, slice, &copy), 0);
    assert_ptr_not_equal(copy, slice);
    assert_int_equal(leat__batch_change(copy, 0), LEAT_UPDATE_AFTER);
    assert_int_equal(leat__batch_change(copy, 3), LEAT_DELETE);
    leat__batch_release(copy);
    leat__batch_release(inner);
    leat__batch_release(batch);
    batch = longs(pool, 8); /* the memory has come back, the changes have not */
    assert_null(batch->change);
    leat__batch_release(batch);
    leat__pool_free(pool);
}

static void test_batch__given_plain_rows_behind_changes__when_copied__then_they_are_inserts(void **state)
{
    (void)state;
    struct leat_pool *pool = new_pool(8);
    struct leat_batch *to = longs(pool, 8), *from = longs(pool, 8);
    for (uint32_t i = 0; i < 8; i++)
        leat__batch_set_change(to, i, LEAT_DELETE);
    leat__batch_copy_changes(to, 2, from, 0, 3);
    for (uint32_t i = 0; i < 8; i++)
        assert_int_equal(leat__batch_change(to, i), i >= 2 && i < 5 ? LEAT_INSERT : LEAT_DELETE);
    leat__batch_copy_changes(from, 1, to, 1, 2);
    assert_int_equal(leat__batch_change(from, 0), LEAT_INSERT);
    assert_int_equal(leat__batch_change(from, 1), LEAT_DELETE);
    assert_int_equal(leat__batch_change(from, 2), LEAT_INSERT);
    leat__batch_release(to);
    leat__batch_release(from);
    leat__pool_free(pool);
}

/* ---- slices and sharing ---- */

static void test_batch__given_slices__when_the_parent_is_released__then_they_show_its_rows(void **state)
{
    (void)state;
    struct leat_pool *pool = new_pool(8);
    struct leat_batch *batch = longs(pool, 8), *first, *second, *inner;
    batch->late = 1;
    batch->late_wm_us = 77;
    char *text = leat__batch_alloc(batch, 4, 1);
    memcpy(text, "abc", 4);
    assert_int_equal(leat__batch_slice(pool, batch, 0, 3, &first), 0);
    assert_int_equal(leat__batch_slice(pool, batch, 3, 5, &second), 0);
    assert_int_equal(leat__batch_slice(pool, second, 2, 2, &inner), 0);
    assert_int_equal(first->late, 1);
    assert_int_equal(first->late_wm_us, 77);
    leat__batch_release(batch);
    leat__batch_release(second);
    leat__batch_release(get(pool, &long_type)); /* is not the parent's memory */
    assert_int_equal(first->count, 3);
    assert_int_equal(first->capacity, 3);
    assert_int_equal(long_at(first, 2), 2);
    assert_int_equal(inner->count, 2);
    assert_int_equal(long_at(inner, 0), 5);
    assert_int_equal(inner->event_us[1], 60);
    assert_int_equal(inner->key_hash[1], 600);
    /* A batch derived from a slice has the parent's buffers. */
    struct leat_batch *derived = get(pool, &long_type);
    assert_int_equal(leat__batch_share(derived, inner), 0);
    leat__batch_release(first);
    leat__batch_release(inner);
    assert_string_equal(text, "abc");
    leat__batch_release(derived);
    leat__pool_free(pool);
}

static void test_batch__given_a_slice_with_own_buffers__when_sliced_again__then_they_live_on(void **state)
{
    (void)state;
    struct leat_pool *pool = new_pool(8);
    struct leat_batch *batch = longs(pool, 8), *slice, *inner;
    assert_int_equal(leat__batch_slice(pool, batch, 0, 4, &slice), 0);
    char *text = leat__batch_alloc(slice, 4, 1);
    memcpy(text, "abc", 4);
    assert_int_equal(leat__batch_slice(pool, slice, 1, 2, &inner), 0);
    leat__batch_release(batch);
    leat__batch_release(slice);
    assert_string_equal(text, "abc");
    leat__batch_release(inner);
    leat__pool_free(pool);
}

static void test_batch__given_nobody_else__when_made_writable__then_it_is_the_same(void **state)
{
    (void)state;
    struct leat_pool *pool = new_pool(8);
    struct leat_batch *batch = longs(pool, 8), *writable, *slice;
    assert_int_equal(leat__batch_writable(pool, batch, &writable), 0);
    assert_ptr_equal(writable, batch);
    assert_int_equal(leat__batch_slice(pool, batch, 2, 2, &slice), 0);
    leat__batch_release(batch); /* the slice alone is left */
    assert_int_equal(leat__batch_writable(pool, slice, &writable), 0);
    assert_ptr_equal(writable, slice);
    leat__batch_release(slice);
    leat__pool_free(pool);
}

static void test_batch__given_a_shared_batch__when_made_writable__then_the_others_see_no_change(void **state)
{
    (void)state;
    struct leat_pool *pool = new_pool(8);
    struct leat_batch *batch = longs(pool, 8), *writable, *slice;
    batch->late = 1;
    leat__batch_ref(batch);
    assert_int_equal(leat__batch_writable(pool, batch, &writable), 0);
    assert_ptr_not_equal(writable, batch);
    *(int64_t *)leat_batch_at(writable, 3) = -1;
    writable->event_us[3] = -1;
    assert_int_equal(long_at(batch, 3), 3);
    assert_int_equal(batch->event_us[3], 30);
    assert_int_equal(writable->count, 8);
    assert_int_equal(writable->late, 1);
    assert_int_equal(long_at(writable, 7), 7);
    leat__batch_release(writable);
    /* A slice of a batch that others have is shared too. */
    assert_int_equal(leat__batch_slice(pool, batch, 2, 2, &slice), 0);
    assert_int_equal(leat__batch_writable(pool, slice, &writable), 0);
    assert_ptr_not_equal(writable, slice);
    assert_int_equal(writable->count, 2);
    assert_int_equal(long_at(writable, 1), 3);
    assert_int_equal(writable->key_hash[1], 300);
    leat__batch_release(writable);
    leat__batch_release(batch);
    leat__pool_free(pool);
}

static void test_batch__given_failing_memory__when_used__then_it_says_so_and_leaks_nothing(void **state)
{
    (void)state;
    const int64_t live = leat__alloc_live();
    bool fails = true;
    for (uint64_t n = 1; fails; n++) {
        struct leat_pool *pool = NULL;
        struct leat_batch *batch = NULL, *slice = NULL, *writable = NULL;
        leat__alloc_fail_at(n);
        int code = leat__pool_new(8, &pool);
        if (code == 0)
            code = leat__batch_get(pool, &long_type, &batch);
        if (code == 0)
            code = leat__batch_alloc(batch, 100, 8) ? 0 : LEAT_ENOMEM;
        if (code == 0)
            code = leat__batch_slice(pool, batch, 0, 0, &slice);
        if (code == 0)
            code = leat__batch_writable(pool, slice, &writable);
        leat__alloc_fail_at(0);
        if (!writable && code == 0)
            fail_msg("no batch and no error");
        leat__batch_release(writable);
        leat__batch_release(batch);
        leat__pool_free(pool);
        assert_int_equal(leat__alloc_live(), live);
        fails = code != 0;
        if (fails)
            assert_int_equal(code, LEAT_ENOMEM);
    }
}

/* ---- threads ---- */

#define HANDED 20000
#define RELEASERS 3

struct hand_over {
    struct leat_batch *slots[HANDED]; /* atomic */
    int32_t next; /* atomic: the next one to take */
};

static void *release_all(void *arg)
{
    struct hand_over *h = arg;
    for (;;) {
        const int32_t i = __atomic_fetch_add(&h->next, 1, __ATOMIC_RELAXED);
        if (i >= HANDED)
            return NULL;
        struct leat_batch *batch;
        while (!(batch = __atomic_load_n(&h->slots[i], __ATOMIC_ACQUIRE)))
            ; /* the owner is on its way */
        if (batch->count != 4 || long_at(batch, 3) != i)
            abort();
        *(int64_t *)leat_batch_at(batch, 3) = -1;
        leat__batch_release(batch);
    }
}

static void test_batch__given_other_threads_that_release__when_the_owner_goes_on__then_memory_comes_back(
    void **state)
{
    (void)state;
    static struct hand_over h;
    pthread_t threads[RELEASERS];
    const int64_t live = leat__alloc_live();
    struct leat_pool *pool = new_pool(8);
    for (int t = 0; t < RELEASERS; t++)
        assert_int_equal(pthread_create(&threads[t], NULL, release_all, &h), 0);
    for (int i = 0; i < HANDED; i++) {
        struct leat_batch *batch = get(pool, &long_type);
        assert_non_null(leat__batch_alloc(batch, 64, 8));
        leat__batch_rows(batch, 4);
        *(int64_t *)leat_batch_at(batch, 3) = i;
        __atomic_store_n(&h.slots[i], batch, __ATOMIC_RELEASE);
    }
    leat__pool_free(pool); /* before its last batch */
    for (int t = 0; t < RELEASERS; t++)
        assert_int_equal(pthread_join(threads[t], NULL), 0);
    assert_int_equal(leat__alloc_live(), live);
}

struct sharing {
    struct leat_batch *batch;
    int64_t sum;
};

static void *sum_slice(void *arg)
{
    struct sharing *s = arg;
    for (uint32_t i = 0; i < s->batch->count; i++)
        s->sum += long_at(s->batch, i);
    leat__batch_release(s->batch);
    return NULL;
}

static void test_batch__given_slices_in_other_threads__when_all_are_released__then_the_parent_goes(
    void **state)
{
    (void)state;
    const int64_t live = leat__alloc_live();
    struct leat_pool *pool = new_pool(8);
    for (int round = 0; round < 50; round++) {
        struct leat_batch *batch = longs(pool, 8);
        struct sharing parts[2] = { { 0 } };
        pthread_t threads[2];
        for (uint32_t t = 0; t < 2; t++)
            assert_int_equal(leat__batch_slice(pool, batch, 4 * t, 4, &parts[t].batch), 0);
        for (int t = 0; t < 2; t++)
            assert_int_equal(pthread_create(&threads[t], NULL, sum_slice, &parts[t]), 0);
        leat__batch_release(batch);
        for (int t = 0; t < 2; t++)
            assert_int_equal(pthread_join(threads[t], NULL), 0);
        assert_int_equal(parts[0].sum, 0 + 1 + 2 + 3);
        assert_int_equal(parts[1].sum, 4 + 5 + 6 + 7);
    }
    leat__pool_free(pool);
    assert_int_equal(leat__alloc_live(), live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batch__given_row_counts_out_of_range__when_a_pool_is_made__then_it_is_refused),
        cmocka_unit_test(test_batch__given_row_sizes__when_got__then_the_capacity_keeps_to_rows_and_bytes),
        cmocka_unit_test(test_batch__given_a_steady_state__when_batches_come_and_go__then_nothing_is_made),
        cmocka_unit_test(test_batch__given_a_recycled_batch__when_got_again__then_rows_and_marks_are_fresh),
        cmocka_unit_test(test_batch__given_the_pool_freed_first__when_the_last_batch_goes__then_all_is_freed),
        cmocka_unit_test(
            test_batch__given_allocations_of_any_size__when_written__then_they_are_apart_and_aligned),
        cmocka_unit_test(test_batch__given_a_buffer_without_pool__when_released__then_it_is_freed),
        cmocka_unit_test(test_batch__given_large_buffers__when_released__then_only_a_few_are_kept),
        cmocka_unit_test(test_batch__given_a_derived_batch__when_the_first_goes__then_its_views_stay),
        cmocka_unit_test(
            test_batch__given_any_selection__when_compacted__then_the_kept_rows_are_there_in_order),
        cmocka_unit_test(test_batch__given_slices__when_the_parent_is_released__then_they_show_its_rows),
        cmocka_unit_test(test_batch__given_a_slice_with_own_buffers__when_sliced_again__then_they_live_on),
        cmocka_unit_test(test_batch__given_nobody_else__when_made_writable__then_it_is_the_same),
        cmocka_unit_test(test_batch__given_a_shared_batch__when_made_writable__then_the_others_see_no_change),
        cmocka_unit_test(
            test_batch__given_changes__when_compacted_sliced_and_copied__then_they_stay_with_their_rows),
        cmocka_unit_test(test_batch__given_plain_rows_behind_changes__when_copied__then_they_are_inserts),
        cmocka_unit_test(test_batch__given_failing_memory__when_used__then_it_says_so_and_leaks_nothing),
        cmocka_unit_test(
            test_batch__given_other_threads_that_release__when_the_owner_goes_on__then_memory_comes_back),
        cmocka_unit_test(
            test_batch__given_slices_in_other_threads__when_all_are_released__then_the_parent_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
