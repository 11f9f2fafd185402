/* tests/unit/base/test_alloc.c -- counting, failing and aligning allocations. */
#include "base/alloc.h"
#include "tests/support/unit.h"
#include <pthread.h>
#include <string.h>

static void test_alloc__given_blocks__when_allocated_and_freed__then_calls_and_live_are_counted(void **state)
{
    const uint64_t calls = leat__alloc_calls();
    const int64_t live = leat__alloc_live();
    (void)state;

    void *a = leat__malloc(10);
    void *b = leat__calloc(3, 7);
    void *c = leat__aligned_alloc(64, 100);
    char *d = leat__strdup("leat");
    assert_int_equal(leat__alloc_calls() - calls, 4);
    assert_int_equal(leat__alloc_live() - live, 4);

    a = leat__realloc(a, 1000);
    assert_non_null(a);
    assert_int_equal(leat__alloc_calls() - calls, 5);
    assert_int_equal(leat__alloc_live() - live, 4);

    leat__free(a);
    leat__free(b);
    leat__free(c);
    leat__free(d);
    leat__free(NULL);
    assert_int_equal(leat__alloc_calls() - calls, 5);
    assert_int_equal(leat__alloc_live() - live, 0);
}

static void test_alloc__given_size_zero__when_allocated__then_each_pointer_is_its_own(void **state)
{
    (void)state;
    void *p[] = { leat__malloc(0), leat__calloc(0, 8), leat__calloc(8, 0), leat__realloc(NULL, 0),
        leat__aligned_alloc(64, 0) };
    for (size_t i = 0; i < COUNT_OF(p); i++) {
        assert_non_null(p[i]);
        for (size_t j = 0; j < i; j++)
            assert_ptr_not_equal(p[i], p[j]);
    }
    for (size_t i = 0; i < COUNT_OF(p); i++)
        leat__free(p[i]);
}

static void test_alloc__given_a_product_beyond_size_t__when_calloc__then_null(void **state)
{
    const int64_t live = leat__alloc_live();
    volatile size_t huge = SIZE_MAX / 2 + 2; /* volatile: the compiler would warn of the constant */
    (void)state;
    assert_null(leat__calloc(huge, 2));
    assert_null(leat__aligned_alloc(64, SIZE_MAX - 8));
    assert_int_equal(leat__alloc_live(), live);
}

static void test_alloc__given_calloc__when_read__then_zero(void **state)
{
    (void)state;
    unsigned char *p = leat__calloc(100, 11);
    assert_non_null(p);
    for (size_t i = 0; i < 1100; i++)
        assert_int_equal(p[i], 0);
    leat__free(p);
}

static void test_alloc__given_alignments__when_allocated__then_addresses_are_multiples(void **state)
{
    static const size_t aligns[] = { 8, 16, 64, 4096, (size_t)2 << 20 };
    static const size_t sizes[] = { 1, 63, 64, 65, 10000 };
    (void)state;
    for (size_t a = 0; a < COUNT_OF(aligns); a++) {
        for (size_t s = 0; s < COUNT_OF(sizes); s++) {
            unsigned char *p = leat__aligned_alloc(aligns[a], sizes[s]);
            FAIL_UNLESS(
                p && (uintptr_t)p % aligns[a] == 0, "align %zu size %zu: %p", aligns[a], sizes[s], (void *)p);
            memset(p, 0xab, sizes[s]); /* a sanitizer sees a block that is too short */
            leat__free(p);
        }
    }
}

static void test_alloc__given_fail_at_three__when_allocating__then_only_the_third_fails(void **state)
{
    const int64_t live = leat__alloc_live();
    (void)state;
    leat__alloc_fail_at(3);
    void *a = leat__malloc(1), *b = leat__calloc(1, 1), *c = leat__malloc(1), *d = leat__malloc(1);
    assert_non_null(a);
    assert_non_null(b);
    assert_null(c);
    assert_non_null(d);
    leat__free(a);
    leat__free(b);
    leat__free(d);
    assert_int_equal(leat__alloc_live(), live);
}

static void test_alloc__given_fail_at__when_switched_off__then_nothing_fails(void **state)
{
    (void)state;
    leat__alloc_fail_at(1);
    leat__alloc_fail_at(0);
    void *p = leat__malloc(1);
    assert_non_null(p);
    leat__free(p);
}

static void test_alloc__given_a_block__when_realloc_fails__then_the_block_is_unchanged(void **state)
{
    (void)state;
    char *p = leat__strdup("still here");
    assert_non_null(p);
    leat__alloc_fail_at(1);
    assert_null(leat__realloc(p, 1 << 20));
    assert_string_equal(p, "still here");
    leat__free(p);
}

static void test_alloc__given_every_function__when_the_next_call_fails__then_null(void **state)
{
    const int64_t live = leat__alloc_live();
    (void)state;
    for (int which = 0; which < 6; which++) {
        leat__alloc_fail_at(1);
        void *p = which == 0 ? leat__malloc(8)
            : which == 1     ? leat__calloc(2, 4)
            : which == 2     ? leat__realloc(NULL, 8)
            : which == 3     ? leat__aligned_alloc(64, 8)
            : which == 4     ? (void *)leat__strdup("abc")
                             : (void *)leat__strndup("abc", 2);
        FAIL_UNLESS(p == NULL, "function %d did not fail", which);
    }
    leat__alloc_fail_at(0);
    assert_int_equal(leat__alloc_live(), live);
}

#define THREADS_COUNT 2
#define ROUNDS_COUNT 20000

static void *allocate_many(void *arg)
{
    uint64_t *failures = arg;
    for (int i = 0; i < ROUNDS_COUNT; i++) {
        void *p = leat__malloc(1);
        *failures += p == NULL;
        leat__free(p);
    }
    return NULL;
}

static void test_alloc__given_two_threads__when_one_call_must_fail__then_exactly_one_fails(void **state)
{
    pthread_t threads[THREADS_COUNT];
    uint64_t failures[THREADS_COUNT] = { 0 };
    const int64_t live = leat__alloc_live();
    (void)state;
    leat__alloc_fail_at(ROUNDS_COUNT / 2);
    for (int i = 0; i < THREADS_COUNT; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, allocate_many, &failures[i]), 0);
    for (int i = 0; i < THREADS_COUNT; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(failures[0] + failures[1], 1);
    assert_int_equal(leat__alloc_live(), live);
    void *p = leat__malloc(1); /* the countdown rests at zero and did not wrap around */
    assert_non_null(p);
    leat__free(p);
}

static void test_alloc__given_texts__when_duplicated__then_equal_and_terminated(void **state)
{
    (void)state;
    char *whole = leat__strdup("watermark"), *part = leat__strndup("watermark", 5);
    char *empty = leat__strndup("watermark", 0);
    assert_string_equal(whole, "watermark");
    assert_string_equal(part, "water");
    assert_string_equal(empty, "");
    leat__free(whole);
    leat__free(part);
    leat__free(empty);
}

static void test_alloc__given_blocks_of_any_size__when_huge_pages_are_advised__then_content_stays(
    void **state)
{
    static const size_t sizes[] = { 1, 4096, (size_t)3 << 20, ((size_t)8 << 20) + 17 };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        unsigned char *p = leat__malloc(sizes[i]);
        assert_non_null(p);
        memset(p, 0x5a, sizes[i]);
        leat__advise_huge(p, sizes[i]);
        assert_int_equal(p[0], 0x5a);
        assert_int_equal(p[sizes[i] - 1], 0x5a);
        leat__free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alloc__given_blocks__when_allocated_and_freed__then_calls_and_live_are_counted),
        cmocka_unit_test(test_alloc__given_size_zero__when_allocated__then_each_pointer_is_its_own),
        cmocka_unit_test(test_alloc__given_a_product_beyond_size_t__when_calloc__then_null),
        cmocka_unit_test(test_alloc__given_calloc__when_read__then_zero),
        cmocka_unit_test(test_alloc__given_alignments__when_allocated__then_addresses_are_multiples),
        cmocka_unit_test(test_alloc__given_fail_at_three__when_allocating__then_only_the_third_fails),
        cmocka_unit_test(test_alloc__given_fail_at__when_switched_off__then_nothing_fails),
        cmocka_unit_test(test_alloc__given_a_block__when_realloc_fails__then_the_block_is_unchanged),
        cmocka_unit_test(test_alloc__given_every_function__when_the_next_call_fails__then_null),
        cmocka_unit_test(test_alloc__given_two_threads__when_one_call_must_fail__then_exactly_one_fails),
        cmocka_unit_test(test_alloc__given_texts__when_duplicated__then_equal_and_terminated),
        cmocka_unit_test(
            test_alloc__given_blocks_of_any_size__when_huge_pages_are_advised__then_content_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
