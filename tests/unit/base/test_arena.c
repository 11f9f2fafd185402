/* tests/unit/base/test_arena.c -- bump allocation: alignment, zeroes, large requests, out of memory. */
#include "base/alloc.h"
#include "base/arena.h"
#include "tests/support/unit.h"
#include <string.h>

static void test_arena__given_many_sizes__when_allocated__then_aligned_zeroed_and_apart(void **state)
{
    struct leat_arena arena = { 0 };
    const int64_t live = leat__alloc_live();
    unsigned char *last = NULL;
    size_t last_size = 0;
    (void)state;
    for (size_t size = 1; size < 3000; size += 13) {
        unsigned char *p = leat__arena_alloc(&arena, size);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        for (size_t i = 0; i < size; i++)
            FAIL_UNLESS(p[i] == 0, "size %zu: byte %zu is not zero", size, i);
        memset(p, 0xff, size);
        if (last)
            FAIL_UNLESS(last + last_size <= p || p + size <= last, "size %zu overlaps", size);
        last = p;
        last_size = size;
    }
    leat__arena_release(&arena);
    assert_int_equal(leat__alloc_live(), live);
}

static void test_arena__given_a_large_request__when_small_ones_follow__then_the_old_block_is_used_on(
    void **state)
{
    struct leat_arena arena = { 0 };
    (void)state;
    unsigned char *first = leat__arena_alloc(&arena, 16);
    const uint64_t calls = leat__alloc_calls();
    unsigned char *large = leat__arena_alloc(&arena, (size_t)10 << 20);
    assert_non_null(large);
    memset(large, 1, (size_t)10 << 20);
    unsigned char *second = leat__arena_alloc(&arena, 16);
    assert_ptr_equal(second, first + 16);
    assert_int_equal(leat__alloc_calls() - calls, 1); /* the large block and nothing else */
    leat__arena_release(&arena);
}

static void test_arena__given_a_large_request_first__when_released__then_nothing_is_left(void **state)
{
    struct leat_arena arena = { 0 };
    const int64_t live = leat__alloc_live();
    (void)state;
    assert_non_null(leat__arena_alloc(&arena, (size_t)1 << 20));
    assert_non_null(leat__arena_alloc(&arena, 5));
    leat__arena_release(&arena);
    assert_int_equal(leat__alloc_live(), live);
    assert_string_equal(leat__arena_str(&arena, "again"), "again"); /* ready for use again */
    leat__arena_release(&arena);
    leat__arena_release(&arena);
    assert_int_equal(leat__alloc_live(), live);
}

static void test_arena__given_a_million_small_requests__when_allocated__then_few_blocks(void **state)
{
    struct leat_arena arena = { 0 };
    const uint64_t calls = leat__alloc_calls();
    (void)state;
    for (int i = 0; i < 1000000; i++)
        assert_non_null(leat__arena_alloc(&arena, 16));
    assert_true(leat__alloc_calls() - calls < 80); /* 16 MB in blocks of 256 KiB */
    leat__arena_release(&arena);
}

static void test_arena__given_impossible_sizes__when_allocated__then_null(void **state)
{
    struct leat_arena arena = { 0 };
    (void)state;
    assert_null(leat__arena_alloc(&arena, SIZE_MAX));
    assert_null(leat__arena_alloc(&arena, SIZE_MAX / 2 + 1));
    assert_null(leat__arena_array(&arena, SIZE_MAX / 8, 16));
    assert_non_null(leat__arena_array(&arena, 3, 16));
    leat__arena_release(&arena);
}

static void test_arena__given_no_memory__when_allocated__then_null_and_usable_later(void **state)
{
    struct leat_arena arena = { 0 };
    const int64_t live = leat__alloc_live();
    (void)state;
    leat__alloc_fail_at(1);
    assert_null(leat__arena_strn(&arena, "text", 4));
    assert_string_equal(leat__arena_strn(&arena, "text", 4), "text");
    leat__alloc_fail_at(1);
    assert_null(leat__arena_alloc(&arena, 100000));
    assert_non_null(leat__arena_alloc(&arena, 100000));
    leat__arena_release(&arena);
    assert_int_equal(leat__alloc_live(), live);
}

static void test_arena__given_texts_and_bytes__when_copied__then_equal(void **state)
{
    struct leat_arena arena = { 0 };
    const unsigned char bytes[] = { 1, 0, 2, 0, 3 };
    char text[] = "barrier";
    (void)state;
    const char *whole = leat__arena_str(&arena, text);
    const char *part = leat__arena_strn(&arena, text, 3);
    const void *copy = leat__arena_copy(&arena, bytes, sizeof bytes);
    memset(text, 'x', sizeof text - 1);
    assert_string_equal(whole, "barrier");
    assert_string_equal(part, "bar");
    assert_memory_equal(copy, bytes, sizeof bytes);
    assert_null(leat__arena_str(&arena, NULL));
    assert_non_null(leat__arena_copy(&arena, NULL, 0));
    assert_string_equal(leat__arena_printf(&arena, "%s-%d", "node", 42), "node-42");
    char wide[700];
    memset(wide, 'w', sizeof wide);
    wide[sizeof wide - 1] = '\0';
    const char *printed =
        leat__arena_printf(&arena, "%s%s%s%s%s%s%s%s", wide, wide, wide, wide, wide, wide, wide, wide);
    assert_int_equal(strlen(printed), 8 * (sizeof wide - 1)); /* more than a first block holds */
    leat__arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arena__given_many_sizes__when_allocated__then_aligned_zeroed_and_apart),
        cmocka_unit_test(
            test_arena__given_a_large_request__when_small_ones_follow__then_the_old_block_is_used_on),
        cmocka_unit_test(test_arena__given_a_large_request_first__when_released__then_nothing_is_left),
        cmocka_unit_test(test_arena__given_a_million_small_requests__when_allocated__then_few_blocks),
        cmocka_unit_test(test_arena__given_impossible_sizes__when_allocated__then_null),
        cmocka_unit_test(test_arena__given_no_memory__when_allocated__then_null_and_usable_later),
        cmocka_unit_test(test_arena__given_texts_and_bytes__when_copied__then_equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
