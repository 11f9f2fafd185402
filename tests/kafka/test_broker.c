/* tests/kafka/test_broker.c -- pieces of the test broker without sockets: bounds of the encoding, marks and stable offsets of
 * a log, and what happens to the marks of a topic that is gone. */
#include "tests/kafka/broker/broker.h"
#include "tests/support/unit.h"

#define TEXT(text_) ((struct kb_text){ text_, sizeof(text_) - 1 })

/* A batch of one record without key, value "v"; freed by the caller. */
static struct kb_out make_batch(int64_t pid, int32_t sequence, bool transactional)
{
    static const uint8_t record[] = { 2 * 7, 0, 0, 0, 1, 2, 'v', 0 };
    struct kb_out out = { 0 };
    uint8_t head[KB_BATCH_HEAD] = { 0 };
    kb_put_raw(&out, head, sizeof head);
    kb_put_raw(&out, record, sizeof record);
    kb_set_i32(out.data + 8, (int32_t)out.len - 12);
    out.data[16] = 2;
    kb_set_i16(out.data + 21, transactional ? KB_TRANSACTIONAL : 0);
    kb_set_i64(out.data + 43, pid);
    kb_set_i32(out.data + 53, sequence);
    kb_set_i32(out.data + 57, 1);
    kb_set_i32(out.data + 17, (int32_t)kb_crc32c(out.data + 21, out.len - 21));
    return out;
}

static int16_t append(struct kb_log *log, int64_t pid, int32_t sequence, bool transactional, int64_t *base)
{
    struct kb_out bytes = make_batch(pid, sequence, transactional);
    struct kb_batch batch;
    assert_int_equal(kb_batch_parse(bytes.data, bytes.len, &batch), 0);
    const int16_t code = kb_log_append(log, batch, bytes.data, -1, base);
    kb_out_free(&bytes);
    return code;
}

static bool count(const struct kb_record *record, void *arg)
{
    assert_true(kb_same(record->value, "v"));
    ++*(int *)arg;
    return true;
}

static void test_wire__given_lengths_beyond_the_end__when_read__then_bad_and_nothing_else(void **state)
{
    (void)state;
    static const struct {
        uint8_t bytes[6];
        size_t size;
        bool flexible;
    } rows[] = { { { 0, 3, 'a', 'b' }, 4, false }, { { 0x80, 0 }, 2, false }, { { 0 }, 1, false },
        { { 4, 'a', 'b' }, 3, true }, { { 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f }, 6, true },
        { { 0x80 }, 1, true } };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct kb_in in = {
            .at = rows[i].bytes, .end = rows[i].bytes + rows[i].size, .flexible = rows[i].flexible
        };
        const struct kb_text text = kb_text(&in);
        FAIL_UNLESS(in.bad && !text.data && kb_i64(&in) == 0 && kb_left(&in) == 0, "row %zu", i);
    }
    static const uint8_t many[] = { 0x7f, 0xff, 0xff, 0xff, 1 };
    struct kb_in in = { .at = many, .end = many + sizeof many };
    assert_int_equal(kb_count(&in), 0);
    assert_true(in.bad);
}

static void test_wire__given_numbers__when_written_and_read__then_the_same(void **state)
{
    (void)state;
    static const int64_t numbers[] = { 0, -1, 1, 63, -64, 64, INT32_MIN, INT64_MAX, INT64_MIN };
    struct kb_out out = { 0 };
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        kb_put_varint(&out, numbers[i]);
        kb_put_i64(&out, numbers[i]);
    }
    struct kb_in in = { .at = out.data, .end = out.data + out.len };
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        assert_true(kb_varint(&in) == numbers[i]);
        assert_true(kb_i64(&in) == numbers[i]);
    }
    assert_true(!in.bad && kb_left(&in) == 0);
    kb_out_free(&out);
}

static void test_batch__given_a_known_text__when_summed__then_the_known_checksum(void **state)
{
    (void)state;
    assert_int_equal(kb_crc32c((const uint8_t *)"123456789", 9), 0xe3069283u);
}

static void test_log__given_open_transactions__when_marked__then_the_oldest_open_holds(void **state)
{
    (void)state;
    struct kb_log log = { 0 };
    int64_t base;
    int seen = 0;
    assert_int_equal(append(&log, 1, 0, true, &base), 0);
    assert_int_equal(append(&log, 2, 0, true, &base), 0);
    assert_int_equal(append(&log, -1, 0, false, &base), 0);
    assert_int_equal(kb_log_stable(&log), 0);
    kb_log_mark(&log, 1, 0, false, 5);
    assert_int_equal(kb_log_stable(&log), 1);
    kb_log_mark(&log, 2, 0, true, 5);
    assert_int_equal(kb_log_stable(&log), 5);
    assert_int_equal(kb_log_committed(&log, count, &seen), 0);
    assert_int_equal(seen, 2);
    assert_int_equal(log.aborted_count, 1);
    assert_true(log.aborted[0].first == 0 && log.aborted[0].last == 3);
    kb_log_truncate(&log, 2);
    assert_int_equal(append(&log, 2, 1, true, &base), 0); /* the sequence goes on */
    assert_int_equal(base, 5);
    assert_int_equal(kb_log_stable(&log), 5);
    kb_log_free(&log);
}

static void test_log__given_the_largest_sequence__when_it_goes_on__then_from_0(void **state)
{
    (void)state;
    struct kb_log log = { 0 };
    int64_t base;
    assert_int_equal(append(&log, 1, INT32_MAX, false, &base), 0); /* not known before: any number */
    assert_int_equal(append(&log, 1, 0, false, &base), 0);
    assert_int_equal(append(&log, 1, 2, false, &base), 45);
    kb_log_free(&log);
}

static void test_txn__given_a_topic_that_was_made_anew__when_committed__then_it_gets_no_marker(void **state)
{
    (void)state;
    struct kb_broker b = { .next_pid = 1 };
    struct kb_topic *topic = NULL;
    struct kb_txn *txn = NULL;
    int64_t pid;
    int16_t epoch;
    assert_int_equal(kb_topic_create(&b, TEXT("t"), 1, &topic), 0);
    assert_int_equal(kb_txn_init(&b, TEXT("x"), 1000, -1, -1, &pid, &epoch), 0);
    assert_int_equal(kb_txn_check(&b, TEXT("x"), pid, epoch, &txn), 0);
    kb_txn_add(&b, txn, topic, 0);
    assert_int_equal(kb_topic_delete(&b, TEXT("t")), 0);
    assert_int_equal(kb_topic_create(&b, TEXT("t"), 1, &topic), 0);
    assert_int_equal(kb_txn_end(&b, TEXT("x"), pid, epoch, true), 0);
    assert_int_equal(topic->logs[0].end, 0);
    kb_broker_free(&b);
}

static void test_txn__given_the_last_epoch__when_it_begins_again__then_another_producer_id(void **state)
{
    (void)state;
    struct kb_broker b = { .next_pid = 1 };
    int64_t first, pid = -1;
    int16_t epoch;
    assert_int_equal(kb_txn_init(&b, TEXT("x"), 1000, -1, -1, &first, &epoch), 0);
    for (int i = 0; i < INT16_MAX - 1; i++)
        assert_int_equal(kb_txn_init(&b, TEXT("x"), 1000, -1, -1, &pid, &epoch), 0);
    assert_true(pid == first && epoch == INT16_MAX - 1);
    assert_int_equal(kb_txn_init(&b, TEXT("x"), 1000, -1, -1, &pid, &epoch), 0);
    assert_true(pid != first && epoch == 0);
    kb_broker_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wire__given_lengths_beyond_the_end__when_read__then_bad_and_nothing_else),
        cmocka_unit_test(test_wire__given_numbers__when_written_and_read__then_the_same),
        cmocka_unit_test(test_batch__given_a_known_text__when_summed__then_the_known_checksum),
        cmocka_unit_test(test_log__given_open_transactions__when_marked__then_the_oldest_open_holds),
        cmocka_unit_test(test_log__given_the_largest_sequence__when_it_goes_on__then_from_0),
        cmocka_unit_test(test_txn__given_a_topic_that_was_made_anew__when_committed__then_it_gets_no_marker),
        cmocka_unit_test(test_txn__given_the_last_epoch__when_it_begins_again__then_another_producer_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
