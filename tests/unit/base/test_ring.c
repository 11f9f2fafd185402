/* tests/unit/base/test_ring.c -- the ring alone and between two real threads; the thread sanitizer reads
 * along. */
#include "base/alloc.h"
#include "base/ring.h"
#include "tests/support/unit.h"
#include <pthread.h>
#include <sched.h>

static void test_ring__given_capacities__when_made__then_rounded_up_to_a_power_of_two(void **state)
{
    static const struct {
        uint32_t asked, got;
    } cases[] = { { 0, 1 }, { 1, 1 }, { 2, 2 }, { 3, 4 }, { 4, 4 }, { 5, 8 }, { 63, 64 }, { 64, 64 },
        { 65, 128 } };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct leat_ring ring;
        int item;
        assert_int_equal(leat__ring_init(&ring, cases[i].asked), 0);
        assert_int_equal(leat__ring_room(&ring), cases[i].got);
        for (uint32_t n = 0; n < cases[i].got; n++)
            assert_true(leat__ring_push(&ring, &item));
        FAIL_UNLESS(!leat__ring_push(&ring, &item), "capacity %u took one too many", cases[i].asked);
        assert_int_equal(leat__ring_count(&ring), cases[i].got);
        leat__ring_release(&ring);
    }
}

static void test_ring__given_an_empty_ring__when_read__then_null(void **state)
{
    struct leat_ring ring;
    int item;
    (void)state;
    assert_int_equal(leat__ring_init(&ring, 4), 0);
    assert_null(leat__ring_peek(&ring));
    assert_null(leat__ring_pop(&ring));
    assert_true(leat__ring_push(&ring, &item));
    assert_ptr_equal(leat__ring_peek(&ring), &item);
    assert_ptr_equal(leat__ring_peek(&ring), &item); /* looking takes nothing */
    assert_ptr_equal(leat__ring_pop(&ring), &item);
    assert_null(leat__ring_pop(&ring));
    leat__ring_release(&ring);
}

/* Fills and drains by every amount, starting shortly before the 32-bit indexes wrap around. */
static void test_ring__given_indexes_about_to_wrap__when_filled_and_drained__then_first_in_first_out(
    void **state)
{
    uintptr_t items[8];
    (void)state;
    for (uint32_t capacity = 1; capacity <= 8; capacity *= 2) {
        struct leat_ring ring;
        assert_int_equal(leat__ring_init(&ring, capacity), 0);
        ring.head_seen = ring.tail_seen = UINT32_MAX - 5;
        atomic_store(&ring.head, UINT32_MAX - 5);
        atomic_store(&ring.tail, UINT32_MAX - 5);
        for (int round = 0; round < 40; round++) {
            const uint32_t amount = 1 + (uint32_t)round % capacity;
            for (uint32_t n = 0; n < amount; n++)
                assert_true(leat__ring_push(&ring, &items[n]));
            assert_int_equal(leat__ring_count(&ring), amount);
            for (uint32_t n = 0; n < amount; n++)
                FAIL_UNLESS(
                    leat__ring_pop(&ring) == &items[n], "capacity %u round %d item %u", capacity, round, n);
            assert_null(leat__ring_pop(&ring));
        }
        leat__ring_release(&ring);
    }
}

static void test_ring__given_a_full_ring__when_one_is_taken__then_there_is_room_for_one(void **state)
{
    struct leat_ring ring;
    int item;
    (void)state;
    assert_int_equal(leat__ring_init(&ring, 2), 0);
    assert_true(leat__ring_push(&ring, &item));
    assert_true(leat__ring_push(&ring, &item));
    assert_int_equal(leat__ring_room(&ring), 0);
    assert_non_null(leat__ring_pop(&ring));
    assert_int_equal(leat__ring_room(&ring), 1);
    assert_true(leat__ring_push(&ring, &item));
    assert_false(leat__ring_push(&ring, &item));
    leat__ring_release(&ring);
}

static void test_ring__given_no_memory__when_made__then_enomem_and_nothing_to_release(void **state)
{
    struct leat_ring ring;
    const int64_t live = leat__alloc_live();
    (void)state;
    leat__alloc_fail_at(1);
    assert_int_equal(leat__ring_init(&ring, 16), LEAT_ENOMEM);
    assert_int_equal(leat__alloc_live(), live);
}

#define ITEMS_COUNT_MAX 1000000u

struct passage {
    struct leat_ring ring;
    uint32_t *numbers; /* number i is written just before its address goes into the ring */
    uint32_t items_count;
};

static void *produce(void *arg)
{
    struct passage *passage = arg;
    for (uint32_t i = 0; i < passage->items_count; i++) {
        passage->numbers[i] = i + 1;
        while (!leat__ring_push(&passage->ring, &passage->numbers[i]))
            (void)sched_yield();
    }
    return NULL;
}

static void test_ring__given_two_threads__when_a_million_items_pass__then_all_in_order(void **state)
{
    /* Through a narrow ring almost every item waits for the other thread. */
    static const struct {
        uint32_t capacity, items_count;
    } cases[] = { { 1, 100000 }, { 2, 100000 }, { 3, 200000 }, { 16, ITEMS_COUNT_MAX },
        { 64, ITEMS_COUNT_MAX } };
    static struct passage passage;
    (void)state;
    passage.numbers = leat__calloc(ITEMS_COUNT_MAX, sizeof *passage.numbers);
    assert_non_null(passage.numbers);
    for (size_t c = 0; c < COUNT_OF(cases); c++) {
        pthread_t producer;
        assert_int_equal(leat__ring_init(&passage.ring, cases[c].capacity), 0);
        passage.items_count = cases[c].items_count;
        assert_int_equal(pthread_create(&producer, NULL, produce, &passage), 0);
        uint32_t wrong = 0;
        for (uint32_t i = 0; i < passage.items_count;) {
            const uint32_t *number = leat__ring_pop(&passage.ring);
            if (!number) {
                (void)sched_yield();
                continue;
            }
            wrong += number != &passage.numbers[i] || *number != i + 1;
            i++;
        }
        assert_int_equal(pthread_join(producer, NULL), 0);
        FAIL_UNLESS(
            wrong == 0, "capacity %u: %u items lost, doubled or out of order", cases[c].capacity, wrong);
        assert_null(leat__ring_pop(&passage.ring));
        leat__ring_release(&passage.ring);
    }
    leat__free(passage.numbers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ring__given_capacities__when_made__then_rounded_up_to_a_power_of_two),
        cmocka_unit_test(test_ring__given_an_empty_ring__when_read__then_null),
        cmocka_unit_test(
            test_ring__given_indexes_about_to_wrap__when_filled_and_drained__then_first_in_first_out),
        cmocka_unit_test(test_ring__given_a_full_ring__when_one_is_taken__then_there_is_room_for_one),
        cmocka_unit_test(test_ring__given_no_memory__when_made__then_enomem_and_nothing_to_release),
        cmocka_unit_test(test_ring__given_two_threads__when_a_million_items_pass__then_all_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
