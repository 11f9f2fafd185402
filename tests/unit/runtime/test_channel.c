/* tests/unit/runtime/test_channel.c -- channels keep order: over their rings, over what did not fit, with
 * control messages between batches, on one thread and between two. */
#include "runtime/channel.h"
#include "base/alloc.h"
#include "event.h"
#include "tests/support/unit.h"
#include <pthread.h>
#include <sched.h>

#define CHANNEL_ALIGN 64u

static struct leat_channel *channel_new(bool remote, uint32_t capacity)
{
    struct leat_channel *channel = leat__aligned_alloc(CHANNEL_ALIGN, sizeof *channel);
    assert_non_null(channel);
    memset(channel, 0, sizeof *channel);
    assert_int_equal(leat__channel_init(channel, remote, capacity), 0);
    return channel;
}

static void channel_free(struct leat_channel *channel)
{
    leat__channel_release(channel);
    leat__free(channel);
}

/* Every third message is a batch of one row with the number; the others are control messages with it. */
static struct leat_message numbered(struct leat_pool *pool, int64_t i)
{
    struct leat_batch *batch;
    if (i % 3 == 1)
        return (struct leat_message){ LEAT_MESSAGE_WATERMARK, NULL, i };
    if (i % 3 == 2)
        return (struct leat_message){ i % 2 ? LEAT_MESSAGE_IDLE : LEAT_MESSAGE_END, NULL, i };
    if (leat__batch_get(pool, &event_type, &batch) < 0)
        return (struct leat_message){ 0 };
    ((struct event *)leat__batch_push(batch))->value = i;
    return (struct leat_message){ LEAT_MESSAGE_BATCH, batch, 0 };
}

/* Whether the message is number i; releases its batch. */
static bool is_number(struct leat_message message, int64_t i)
{
    int64_t value = message.value;
    if (message.kind == LEAT_MESSAGE_BATCH)
        value = ((const struct event *)leat_batch_at(message.batch, 0))->value;
    leat__batch_release(message.batch);
    const enum leat_message_kind kinds[] = { LEAT_MESSAGE_BATCH, LEAT_MESSAGE_WATERMARK,
        i % 2 ? LEAT_MESSAGE_IDLE : LEAT_MESSAGE_END };
    return value == i && message.kind == kinds[i % 3];
}

static void test_channel__given_more_than_fits__then_order_is_kept_over_ring_and_overflow(void **state)
{
    static const struct {
        const char *name;
        bool remote;
        uint32_t capacity;
        int burst; /* sent at once before anything is taken */
    } rows[] = {
        { "local", false, 0, 5 },
        { "local, grown", false, 0, 100 },
        { "remote, one slot", true, 1, 1 },
        { "remote, one slot, overflow", true, 1, 40 },
        { "remote, two slots, overflow", true, 2, 7 },
        { "remote, room for all", true, 64, 50 },
        { "remote, one too many", true, 16, 17 },
    };
    (void)state;
    for (size_t r = 0; r < COUNT_OF(rows); r++) {
        struct leat_pool *pool;
        struct leat_message message;
        int64_t sent = 0, got = 0;
        assert_int_equal(leat__pool_new(1, &pool), 0);
        struct leat_channel *channel = channel_new(rows[r].remote, rows[r].capacity);
        while (got < 1000) {
            for (int i = 0; i < rows[r].burst && sent < 1000; i++)
                assert_int_equal(leat__channel_send(channel, numbered(pool, sent++)), 0);
            for (int i = 0; i < rows[r].burst; i++) { /* one for one, drained in between */
                const bool has_one = leat__channel_has_message(channel);
                FAIL_UNLESS(leat__channel_receive(channel, &message) == has_one, "%s: has_message lies",
                    rows[r].name);
                if (!has_one)
                    break;
                FAIL_UNLESS(
                    is_number(message, got), "%s: number %lld is not next", rows[r].name, (long long)got);
                got++;
                (void)leat__channel_drain(channel);
            }
        }
        FAIL_UNLESS(!leat__channel_has_message(channel), "%s: more than was sent", rows[r].name);
        channel_free(channel);
        leat__pool_free(pool);
    }
}

static void test_channel__given_overflow__then_the_producer_has_no_room_until_it_is_drained(void **state)
{
    struct leat_pool *pool;
    struct leat_message message;
    (void)state;
    assert_int_equal(leat__pool_new(1, &pool), 0);
    struct leat_channel *channel = channel_new(true, 2);
    for (int64_t i = 0; i < 3; i++) {
        assert_true(leat__channel_has_room(channel));
        assert_int_equal(leat__channel_send(channel, numbered(pool, i)), 0);
    }
    assert_false(leat__channel_has_room(channel));
    assert_false(leat__channel_drain(channel));
    assert_true(leat__channel_receive(channel, &message));
    assert_true(is_number(message, 0));
    assert_false(leat__channel_has_room(channel)); /* a free slot alone is not the producer's turn */
    assert_true(leat__channel_drain(channel));
    assert_true(leat__channel_has_room(channel));
    channel_free(channel); /* with two messages under way, one of them a batch's place before */
    leat__pool_free(pool);
}

static void test_channel__given_messages_under_way__when_released__then_nothing_is_left(void **state)
{
    struct leat_pool *pool;
    (void)state;
    const int64_t before = leat__alloc_live();
    for (int remote = 0; remote <= 1; remote++) {
        assert_int_equal(leat__pool_new(1, &pool), 0);
        struct leat_channel *channel = channel_new(remote, 4);
        for (int64_t i = 0; i < 20; i++)
            assert_int_equal(leat__channel_send(channel, numbered(pool, i)), 0);
        channel_free(channel);
        leat__pool_free(pool);
    }
    assert_int_equal(leat__alloc_live(), before);
}

static void test_channel__given_no_memory__then_init_and_send_say_so_and_take_the_batch(void **state)
{
    struct leat_pool *pool;
    (void)state;
    assert_int_equal(leat__pool_new(1, &pool), 0);
    const int64_t before = leat__alloc_live();
    for (uint64_t n = 1; n <= 2; n++) {
        struct leat_channel *channel = leat__aligned_alloc(CHANNEL_ALIGN, sizeof *channel);
        memset(channel, 0, sizeof *channel);
        leat__alloc_fail_at(n);
        assert_int_equal(leat__channel_init(channel, true, 4), LEAT_ENOMEM);
        leat__alloc_fail_at(0);
        channel_free(channel);
    }
    struct leat_channel *channel = channel_new(false, 0);
    const struct leat_message message = numbered(pool, 0);
    leat__alloc_fail_at(1);
    assert_int_equal(leat__channel_send(channel, message), LEAT_ENOMEM);
    leat__alloc_fail_at(0);
    assert_false(leat__channel_has_message(channel));
    channel_free(channel);
    leat__pool_free(pool); /* the batch is home: everything goes */
    assert_true(leat__alloc_live() < before);
}

struct pair {
    struct leat_channel *channel;
    int64_t count;
    bool right; /* what the consumer found */
};

static void *produce(void *arg)
{
    struct pair *pair = arg;
    struct leat_pool *pool;
    if (leat__pool_new(1, &pool) < 0)
        return NULL;
    for (int64_t i = 0; i < pair->count;) {
        const int64_t burst = i % 5 + 1; /* as a call does, whatever room there is */
        for (int64_t k = 0; k < burst && i < pair->count; k++)
            if (leat__channel_send(pair->channel, numbered(pool, i++)) < 0)
                return NULL;
        while (!leat__channel_has_room(pair->channel))
            if (!leat__channel_drain(pair->channel))
                (void)sched_yield();
    }
    leat__pool_free(pool); /* before its last batches are released */
    return NULL;
}

static void *consume(void *arg)
{
    struct pair *pair = arg;
    struct leat_message message;
    pair->right = true;
    for (int64_t i = 0; i < pair->count;) {
        if (!leat__channel_receive(pair->channel, &message))
            (void)sched_yield();
        else if (!is_number(message, i++))
            pair->right = false;
    }
    return NULL;
}

static void test_channel__given_two_threads__then_all_messages_arrive_in_order(void **state)
{
    static const uint32_t capacities[] = { 1, 2, 16 };
    (void)state;
    for (size_t c = 0; c < COUNT_OF(capacities); c++) {
        pthread_t threads[2];
        struct pair pair = { .channel = channel_new(true, capacities[c]), .count = 30000 };
        assert_int_equal(pthread_create(&threads[0], NULL, produce, &pair), 0);
        assert_int_equal(pthread_create(&threads[1], NULL, consume, &pair), 0);
        assert_int_equal(pthread_join(threads[0], NULL), 0);
        assert_int_equal(pthread_join(threads[1], NULL), 0);
        FAIL_UNLESS(pair.right, "capacity %u: a message was out of order", capacities[c]);
        channel_free(pair.channel);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_channel__given_more_than_fits__then_order_is_kept_over_ring_and_overflow),
        cmocka_unit_test(test_channel__given_overflow__then_the_producer_has_no_room_until_it_is_drained),
        cmocka_unit_test(test_channel__given_messages_under_way__when_released__then_nothing_is_left),
        cmocka_unit_test(test_channel__given_no_memory__then_init_and_send_say_so_and_take_the_batch),
        cmocka_unit_test(test_channel__given_two_threads__then_all_messages_arrive_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
