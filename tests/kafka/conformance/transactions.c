/* tests/kafka/conformance/transactions.c -- what a reader may see, and who may still write. */
#include "tests/kafka/conformance/conformance.h"
#include <stdio.h>

static void aborted_data_is_not_shown(struct kafka *k)
{
    const char *topic = kafka_name(k, "aborted"), *id = kafka_name(k, "aborted-id");
    kafka_topic_create(k, topic, 1, NULL);
    rd_kafka_t *p = producer_new(k, id, NULL, "none");
    init_transactions(p);
    begin(p);
    produce_text(p, topic, 0, "a");
    produce_text(p, topic, 0, "b");
    commit(p);
    begin(p);
    produce_text(p, topic, 0, "never");
    abort_transaction(p);
    begin(p);
    produce_text(p, topic, 0, "c");
    commit(p);
    rd_kafka_destroy(p);
    check_values(k, topic, true, "0 a\n1 b\n5 c\n");
    check_values(k, topic, false, "0 a\n1 b\n3 never\n5 c\n");
    assert_int_equal(end_of(k, topic, 0, true), 7);
}

static void an_open_transaction_holds_readers_back(struct kafka *k)
{
    const char *topic = kafka_name(k, "stable"), *id = kafka_name(k, "stable-id");
    kafka_topic_create(k, topic, 1, NULL);
    kafka_produce_text(k, topic, 0, NULL, "before");
    rd_kafka_t *p = producer_new(k, id, NULL, "none");
    init_transactions(p);
    begin(p);
    produce_text(p, topic, 0, "open");
    kafka_produce_text(k, topic, 0, NULL, "behind");
    assert_int_equal(end_of(k, topic, 0, true), 1);
    assert_int_equal(end_of(k, topic, 0, false), 3);
    check_values(k, topic, true, "0 before\n");
    check_values(k, topic, false, "0 before\n1 open\n2 behind\n");
    rd_kafka_t *reader = consumer_at(k, topic, 0, 1, "55000");
    assert_null(rd_kafka_consumer_poll(reader, 300));
    const int64_t since = steady_ms();
    commit(p);
    rd_kafka_message_t *message = poll_one(reader);
    assert_int_equal(message->offset, 1);
    assert_true(steady_ms() - since < 50000); /* the reader's fetch wakes up */
    rd_kafka_message_destroy(message);
    rd_kafka_destroy(reader);
    rd_kafka_destroy(p);
    check_values(k, topic, true, "0 before\n1 open\n2 behind\n");
}

static void two_producers_interleave(struct kafka *k)
{
    const char *topic = kafka_name(k, "mixed");
    kafka_topic_create(k, topic, 1, NULL);
    rd_kafka_t *a = producer_new(k, kafka_name(k, "mixed-a"), NULL, "none");
    rd_kafka_t *b = producer_new(k, kafka_name(k, "mixed-b"), NULL, "none");
    init_transactions(a);
    init_transactions(b);
    begin(a);
    begin(b);
    produce_text(a, topic, 0, "a1");
    produce_text(b, topic, 0, "b1");
    produce_text(a, topic, 0, "a2");
    commit(b);
    assert_int_equal(end_of(k, topic, 0, true), 0);
    produce_text(a, topic, 0, "a3");
    abort_transaction(a);
    rd_kafka_destroy(a);
    rd_kafka_destroy(b);
    check_values(k, topic, true, "1 b1\n");
    assert_int_equal(end_of(k, topic, 0, true), 6);
}

/* The old producer's next call gives an error that ends it. */
static void check_shut_out(rd_kafka_error_t *error, const char *what)
{
    FAIL_UNLESS(error, "%s by a producer that was replaced", what);
    FAIL_UNLESS(rd_kafka_error_is_fatal(error), "%s: %s, not fatal", what, rd_kafka_error_string(error));
    FAIL_UNLESS(rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR__FENCED, "%s: %s (%d)", what,
        rd_kafka_error_string(error), rd_kafka_error_code(error));
    rd_kafka_error_destroy(error);
}

static void the_old_producer_is_fenced(struct kafka *k)
{
    const char *topic = kafka_name(k, "fenced"), *id = kafka_name(k, "fenced-id");
    kafka_topic_create(k, topic, 1, NULL);
    rd_kafka_t *old = producer_new(k, id, NULL, "none");
    init_transactions(old);
    begin(old);
    produce_text(old, topic, 0, "old");
    rd_kafka_t *new = producer_new(k, id, NULL, "none");
    init_transactions(new); /* aborts what the old one has open */
    check_values(k, topic, true, "");
    check_shut_out(rd_kafka_commit_transaction(old, WAIT_MS), "commit");
    begin(new);
    produce_text(new, topic, 0, "new");
    commit(new);
    rd_kafka_destroy(old);
    rd_kafka_destroy(new);
    check_values(k, topic, true, "2 new\n");
}

/* One that had nothing open when it was replaced: it learns at its first request. */
static void an_idle_zombie_is_fenced(struct kafka *k)
{
    const char *topic = kafka_name(k, "zombie"), *id = kafka_name(k, "zombie-id");
    kafka_topic_create(k, topic, 1, NULL);
    rd_kafka_t *old = producer_new(k, id, NULL, "none");
    init_transactions(old);
    begin(old);
    produce_text(old, topic, 0, "first");
    commit(old);
    rd_kafka_t *new = producer_new(k, id, NULL, "none");
    init_transactions(new);
    rd_kafka_error_t *error = rd_kafka_begin_transaction(old);
    if (!error) {
        (void)rd_kafka_producev(old, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0),
            RD_KAFKA_V_VALUE((void *)(uintptr_t) "late", 4), RD_KAFKA_V_OPAQUE(&(int64_t[4]){ 0 }),
            RD_KAFKA_V_END);
        error = rd_kafka_commit_transaction(old, WAIT_MS);
    }
    check_shut_out(error, "a transaction");
    rd_kafka_destroy(old);
    rd_kafka_destroy(new);
    check_values(k, topic, true, "0 first\n");
}

/* A producer with a record in an open transaction that may take 2 s, which librdkafka gives the record too: on a machine
 * that takes longer another one tries again. */
static rd_kafka_t *begin_slowly(struct kafka *k, const char *topic, const char *id)
{
    for (int tries = 0; tries < 10; tries++) {
        rd_kafka_t *p = producer_new(k, id, "2000", "none");
        init_transactions(p);
        begin(p);
        if (!produce_wait(p, topic, 0, "slow", 4))
            return p;
        rd_kafka_destroy(p);
    }
    fail_msg("no record came to %s within 2 s, ten times", topic);
    return NULL;
}

static void a_transaction_times_out(struct kafka *k)
{
    const char *topic = kafka_name(k, "slow"), *id = kafka_name(k, "slow-id");
    kafka_topic_create(k, topic, 1, NULL);
    rd_kafka_t *p = begin_slowly(k, topic, id);
    const int64_t deadline = steady_ms() + WAIT_MS;
    while (end_of(k, topic, 0, true) != end_of(k, topic, 0, false)) { /* the marker is there and counts */
        FAIL_UNLESS(steady_ms() < deadline, "the transaction stays open");
        pause_ms(50);
    }
    rd_kafka_error_t *error = rd_kafka_commit_transaction(p, WAIT_MS);
    FAIL_UNLESS(error, "a transaction was committed after its time");
    check_shut_out(error, "commit");
    rd_kafka_destroy(p);
    check_values(k, topic, true, "");
}

static void offsets_go_with_the_transaction(struct kafka *k)
{
    const char *topic = kafka_name(k, "offsets"), *id = kafka_name(k, "offsets-id"),
               *group = kafka_name(k, "group");
    char metadata[64];
    int16_t code = 0;
    kafka_topic_create(k, topic, 1, NULL);
    rd_kafka_t *p = producer_new(k, id, NULL, "none");
    init_transactions(p);
    begin(p);
    produce_text(p, topic, 0, "v");
    assert_null(send_offset(p, group, topic, 0, 11, "marker 1"));
    assert_int_equal(raw_offset(k, group, topic, false, &code), -1);
    assert_int_equal(code, 0);
    assert_int_equal(raw_offset(k, group, topic, true, &code), -1);
    assert_int_equal(code, KB_UNSTABLE_OFFSET);
    commit(p);
    assert_int_equal(kafka_committed(k, group, topic, 0, metadata, sizeof metadata), 11);
    assert_string_equal(metadata, "marker 1");
    begin(p);
    produce_text(p, topic, 0, "w");
    assert_null(send_offset(p, group, topic, 0, 12, "marker 2"));
    abort_transaction(p);
    assert_int_equal(kafka_committed(k, group, topic, 0, metadata, sizeof metadata), 11);
    assert_string_equal(metadata, "marker 1");
    begin(p);
    assert_null(send_offset(p, group, topic, 0, 13, "marker 3")); /* nothing but an offset */
    commit(p);
    assert_int_equal(kafka_committed(k, group, topic, 0, metadata, sizeof metadata), 13);
    assert_string_equal(metadata, "marker 3");
    rd_kafka_destroy(p);
}

/* Replaced in the middle: its offsets go with its records. */
static void offsets_of_a_fenced_transaction_go(struct kafka *k)
{
    const char *topic = kafka_name(k, "lost"), *id = kafka_name(k, "lost-id"),
               *group = kafka_name(k, "lost-group");
    kafka_topic_create(k, topic, 1, NULL);
    rd_kafka_t *old = producer_new(k, id, NULL, "none");
    init_transactions(old);
    begin(old);
    produce_text(old, topic, 0, "v");
    assert_null(send_offset(old, group, topic, 0, 5, "m"));
    rd_kafka_t *new = producer_new(k, id, NULL, "none");
    init_transactions(new);
    assert_int_equal(kafka_committed(k, group, topic, 0, NULL, 0), RD_KAFKA_OFFSET_INVALID);
    rd_kafka_error_t *error = rd_kafka_abort_transaction(old, WAIT_MS);
    check_shut_out(error, "abort");
    rd_kafka_destroy(old);
    rd_kafka_destroy(new);
}

static void time_is_limited(struct kafka *k)
{
    rd_kafka_t *p = producer_new(k, kafka_name(k, "long-id"), "1000000", "none");
    rd_kafka_error_t *error = rd_kafka_init_transactions(p, WAIT_MS);
    FAIL_UNLESS(error, "a transaction of 1000 s is allowed");
    assert_int_equal(rd_kafka_error_code(error), RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT);
    rd_kafka_error_destroy(error);
    rd_kafka_destroy(p);
}

const struct scenario transaction_scenarios[] = {
    { "given an aborted transaction, when read_committed, then it is not shown", aborted_data_is_not_shown },
    { "given an open transaction, when read_committed, then nothing behind it until it ends",
        an_open_transaction_holds_readers_back },
    { "given two transactions at once, when one aborts, then only the other is shown",
        two_producers_interleave },
    { "given a second producer of the id, when the first commits, then it is fenced and its data not shown",
        the_old_producer_is_fenced },
    { "given a second producer of the id, when the first begins anew, then it is fenced",
        an_idle_zombie_is_fenced },
    { "given a transaction that takes too long, when it commits, then it can not and is not shown",
        a_transaction_times_out },
    { "given offsets in a transaction, when it ends, then they and their metadata count or go with it",
        offsets_go_with_the_transaction },
    { "given offsets in a fenced transaction, when asked, then they are not there",
        offsets_of_a_fenced_transaction_go },
    { "given a timeout over the broker's limit, when a producer begins, then it is refused",
        time_is_limited },
    { NULL, NULL },
};
