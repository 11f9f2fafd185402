/* tests/kafka/test_faults.c -- the commands of the test broker: each fault does what it says, after what the request wants. */
#include "tests/kafka/conformance/conformance.h"
#include <stdio.h>

static struct kafka *broker;

static int start_broker(void **state)
{
    (void)state;
    broker = kafka_start(KAFKA_TEST);
    return 0;
}

static int stop_broker(void **state)
{
    (void)state;
    kafka_stop(broker);
    return 0;
}

/* A transaction of a raw producer with one record. */
struct open_txn {
    const char *topic, *id;
    int64_t pid;
    int16_t epoch;
};

static struct open_txn open_one(const char *name)
{
    char id[64];
    int64_t base = -1;
    struct open_txn t = { .topic = kafka_name(broker, name), .pid = -1, .epoch = -1 };
    (void)snprintf(id, sizeof id, "%s-id", name);
    t.id = kafka_name(broker, id);
    (void)kafka_command(broker, "create %s 1", t.topic);
    assert_int_equal(raw_init(broker, t.id, 60000, &t.pid, &t.epoch), 0);
    assert_int_equal(raw_add_partition(broker, t.id, t.pid, t.epoch, t.topic), 0);
    assert_int_equal(raw_produce(broker, t.id, t.pid, t.epoch, 0, t.topic, "first", &base), 0);
    return t;
}

/* The values of a dump, in turn, each with a space behind it. */
static void check_dump(const char *topic, const char *want)
{
    char got[512];
    size_t len = 0;
    got[0] = '\0';
    for (const char *line = kafka_command(broker, "dump %s", topic); line && *line;) {
        char value[64];
        if (sscanf(line, "%*s %*s %*s %*s %63s", value) == 1 && len < sizeof got)
            len += (size_t)snprintf(got + len, sizeof got - len, "%s ", value);
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    assert_string_equal(got, want);
}

static void test_fault__given_error__when_asked__then_it_is_the_answer_and_nothing_is_done(void **state)
{
    (void)state;
    const struct open_txn t = open_one("error");
    (void)kafka_command(broker, "fault EndTxn 2 error 51");
    assert_int_equal(raw_end_txn(broker, t.id, t.pid, t.epoch, true), 0);
    assert_int_equal(raw_end_txn(broker, t.id, t.pid, t.epoch, true), KB_CONCURRENT);
    assert_int_equal(raw_end_txn(broker, t.id, t.pid, t.epoch, true), 0);
    (void)kafka_command(broker, "fault Produce every error 6");
    rd_kafka_t *p = producer_new(broker, NULL, NULL, NULL);
    const char *kind = kafka_command(broker, "seen Produce");
    const long before = strtol(kind, NULL, 10);
    assert_int_equal(rd_kafka_producev(p, RD_KAFKA_V_TOPIC(t.topic), RD_KAFKA_V_PARTITION(0),
                         RD_KAFKA_V_VALUE((void *)(uintptr_t) "v", 1), RD_KAFKA_V_OPAQUE(&(int64_t[4]){ 0 }),
                         RD_KAFKA_V_END),
        0);
    (void)kafka_command(broker, "wait Produce %ld", before + 2); /* the client tries again */
    (void)kafka_command(broker, "clear");
    assert_int_equal(rd_kafka_flush(p, WAIT_MS), 0);
    rd_kafka_destroy(p);
    check_dump(t.topic, "first v ");
}

static void test_fault__given_drop__when_a_commit_is_sent__then_it_is_done_and_not_answered(void **state)
{
    (void)state;
    const char *topic = kafka_name(broker, "drop"), *id = kafka_name(broker, "drop-id");
    (void)kafka_command(broker, "create %s 1", topic);
    rd_kafka_t *p = producer_new(broker, id, NULL, NULL);
    init_transactions(p);
    begin(p);
    produce_text(p, topic, 0, "v");
    (void)kafka_command(broker, "fault EndTxn 1 drop");
    rd_kafka_error_t *error = rd_kafka_commit_transaction(p, WAIT_MS);
    /* librdkafka asks again, and is told that it was committed. */
    FAIL_UNLESS(!error, "commit: %s", rd_kafka_error_string(error));
    rd_kafka_destroy(p);
    check_dump(topic, "v ");
    FAIL_UNLESS(strncmp(kafka_command(broker, "txn %s", id), "committed", 9) == 0, "%s",
        kafka_command(broker, "txn %s", id));
}

static void test_fault__given_a_late_end__when_the_next_transaction_is_open__then_it_ends_that(void **state)
{
    (void)state;
    const struct open_txn t = open_one("lated");
    int64_t base = -1;
    (void)kafka_command(broker, "fault EndTxn 1 repeat held");
    assert_int_equal(raw_end_txn(broker, t.id, t.pid, t.epoch, true), 0);
    (void)kafka_command(broker, "wait held 1");
    assert_int_equal(raw_add_partition(broker, t.id, t.pid, t.epoch, t.topic), 0);
    assert_int_equal(raw_produce(broker, t.id, t.pid, t.epoch, 1, t.topic, "half", &base), 0);
    check_dump(t.topic, "first ");
    (void)kafka_command(broker, "release");
    (void)kafka_command(broker, "log %s 0", t.topic); /* a round later it was done */
    check_dump(t.topic, "first half ");
}

static void test_fault__given_hold__when_committed__then_it_counts_before_the_answer_comes(void **state)
{
    (void)state;
    const char *topic = kafka_name(broker, "hold"), *id = kafka_name(broker, "hold-id");
    (void)kafka_command(broker, "create %s 1", topic);
    rd_kafka_t *p = producer_new(broker, id, NULL, NULL);
    init_transactions(p);
    begin(p);
    produce_text(p, topic, 0, "v");
    (void)kafka_command(broker, "fault EndTxn 1 hold");
    rd_kafka_error_t *error = rd_kafka_commit_transaction(p, 200);
    FAIL_UNLESS(error && rd_kafka_error_is_retriable(error), "it was answered");
    rd_kafka_error_destroy(error);
    (void)kafka_command(broker, "wait held 1");
    check_dump(topic, "v ");
    (void)kafka_command(broker, "release");
    commit(p); /* asked again it goes on */
    rd_kafka_destroy(p);
}

static void test_fault__given_duplicate_and_delay__when_produced__then_the_client_goes_on(void **state)
{
    (void)state;
    const char *topic = kafka_name(broker, "twice");
    (void)kafka_command(broker, "create %s 1", topic);
    (void)kafka_command(broker, "fault Produce 1 delay 50");
    (void)kafka_command(broker, "fault Metadata 1 duplicate");
    kafka_produce_text(broker, topic, 0, NULL, "a");
    kafka_produce_text(broker, topic, 0, NULL, "b");
    check_dump(topic, "a b ");
}

static void test_expire__given_an_open_transaction__when_expired__then_it_is_aborted_and_fenced(void **state)
{
    (void)state;
    const struct open_txn t = open_one("expired");
    (void)kafka_command(broker, "expire %s", t.id);
    assert_int_equal(raw_end_txn(broker, t.id, t.pid, t.epoch, true), KB_FENCED);
    check_dump(t.topic, "");
    char want[96];
    (void)snprintf(want, sizeof want, "aborted pid %lld epoch 1 timeout 60000", (long long)t.pid);
    assert_string_equal(kafka_command(broker, "txn %s", t.id), want);
}

static void test_topics__given_commands__when_given__then_the_broker_has_them(void **state)
{
    (void)state;
    const char *topic = kafka_name(broker, "commands");
    uint8_t before[16], after[16];
    (void)kafka_command(broker, "create %s 1", topic);
    raw_topic_id(broker, topic, before);
    for (int i = 0; i < 3; i++)
        kafka_produce_text(broker, topic, 0, "- -", "");
    (void)kafka_command(broker, "truncate %s 0 2", topic);
    assert_string_equal(kafka_command(broker, "log %s 0", topic), "start 2 end 3 stable 3");
    FAIL_UNLESS(strstr(kafka_command(broker, "dump %s", topic), " -\\x20- \"\""), "%s",
        kafka_command(broker, "dump %s", topic));
    (void)kafka_command(broker, "grow %s 3", topic);
    (void)kafka_command(broker, "recreate %s", topic);
    raw_topic_id(broker, topic, after);
    assert_memory_not_equal(before, after, sizeof after);
    assert_string_equal(kafka_command(broker, "log %s 2", topic), "start 0 end 0 stable 0");
}

static void test_refuse__given_no_connections__when_taken_again__then_clients_go_on(void **state)
{
    (void)state;
    const char *topic = kafka_name(broker, "away");
    (void)kafka_command(broker, "create %s 1", topic);
    rd_kafka_t *p = producer_new(broker, NULL, NULL, NULL);
    produce_text(p, topic, 0, "before");
    (void)kafka_command(broker, "refuse on");
    assert_int_equal(rd_kafka_producev(p, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0),
                         RD_KAFKA_V_VALUE((void *)(uintptr_t) "meanwhile", 9),
                         RD_KAFKA_V_OPAQUE(&(int64_t[4]){ 0 }), RD_KAFKA_V_END),
        0);
    assert_int_not_equal(rd_kafka_flush(p, 200), 0);
    (void)kafka_command(broker, "refuse off");
    assert_int_equal(rd_kafka_flush(p, WAIT_MS), 0);
    rd_kafka_destroy(p);
    check_dump(topic, "before meanwhile ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fault__given_error__when_asked__then_it_is_the_answer_and_nothing_is_done),
        cmocka_unit_test(test_fault__given_drop__when_a_commit_is_sent__then_it_is_done_and_not_answered),
        cmocka_unit_test(test_fault__given_a_late_end__when_the_next_transaction_is_open__then_it_ends_that),
        cmocka_unit_test(test_fault__given_hold__when_committed__then_it_counts_before_the_answer_comes),
        cmocka_unit_test(test_fault__given_duplicate_and_delay__when_produced__then_the_client_goes_on),
        cmocka_unit_test(test_expire__given_an_open_transaction__when_expired__then_it_is_aborted_and_fenced),
        cmocka_unit_test(test_topics__given_commands__when_given__then_the_broker_has_them),
        cmocka_unit_test(test_refuse__given_no_connections__when_taken_again__then_clients_go_on),
    };
    return cmocka_run_group_tests(tests, start_broker, stop_broker);
}
