/* tests/integration/test_kafka_sink.c -- jobs that write to Kafka, seen by readers from outside: what becomes of rows, and
 * that it does so once, whatever becomes of brokers, answers and processes. Against the test broker
 * (tests/kafka/README.md); with LEAT_TEST_KAFKA=real what needs no faults against Apache Kafka. */
#include "tests/support/kafka.h"
#include "tests/support/place.h"
#include "tests/support/unit.h"
#include <leat/kafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT 3000u
#define KEYS 37u
#define PARTITIONS 4

static struct kafka *kafka;
static const char *topic, *markers;
static struct place_events events;
static struct leat_kafka_sink_opts opts;
static bool is_real;

static void set_up(void)
{
    const char *which = getenv("LEAT_TEST_KAFKA");
    is_real = which && strcmp(which, "real") == 0;
    kafka = kafka_start(is_real ? KAFKA_REAL : KAFKA_TEST);
    place_begin("kafka");
    topic = kafka_name(kafka, "out");
    markers = kafka_name(kafka, "markers");
    kafka_topic_create(kafka, topic, PARTITIONS, NULL);
    events = (struct place_events){ .seed = 1, .count = COUNT, .keys = KEYS, .splits = 4 };
    opts = (struct leat_kafka_sink_opts){ .cluster = { .brokers = kafka_bootstrap(kafka) },
        .topic = topic,
        .markers_topic = markers,
        .format = LEAT_FORMAT_JSON,
        .key = { .fields = "key" } };
}

static void tear_down(void)
{
    place_end();
    kafka_stop(kafka);
}

static leat_topology *declare(void)
{
    leat_topology *t = leat_topology_new("to-kafka");
    leat_kafka_sink(place_source(t, "events", &events), "write", &opts);
    return t;
}

static void run(uint32_t parallelism)
{
    const struct leat_job_opts job = place_durable(parallelism, 0);
    assert_int_equal(place_run(declare(), &job, 0), LEAT_JOB_FINISHED);
}

/* ---- what a reader sees ---- */

/* The event's number, which its time tells. */
static uint64_t number_of(const struct kafka_record *record)
{
    char text[512];
    assert_true(record->value && record->value_len < sizeof text);
    memcpy(text, record->value, record->value_len);
    text[record->value_len] = '\0';
    const char *at = strstr(text, "\"at\":");
    assert_non_null(at);
    return strtoull(at + 5, NULL, 10) / 10;
}

/* Each event once (`repeats`: or more often), and those of a split in order within a partition. */
static void expect_all(uint64_t count, bool repeats)
{
    struct kafka_records *got = kafka_read(kafka, topic, true);
    uint32_t *seen = calloc(count, sizeof *seen);
    uint64_t last[PARTITIONS][4] = { { 0 } };
    for (size_t i = 0; i < got->count; i++) {
        const struct kafka_record *r = &got->records[i];
        const uint64_t n = number_of(r);
        assert_true(n < count && r->partition < PARTITIONS);
        seen[n]++;
        FAIL_UNLESS(repeats || seen[n] == 1, "event %llu is there twice", (unsigned long long)n);
        FAIL_UNLESS(repeats || n + 1 > last[r->partition][n % 4], "event %llu is behind %llu",
            (unsigned long long)n, (unsigned long long)last[r->partition][n % 4] - 1);
        last[r->partition][n % 4] = n + 1;
        assert_int_equal(r->timestamp, n * 10 / 1000 ? (int64_t)(n * 10 / 1000) : 1);
    }
    for (uint64_t n = 0; n < count; n++)
        FAIL_UNLESS(seen[n] > 0, "event %llu is lost", (unsigned long long)n);
    free(seen);
    kafka_records_free(got);
}

/* ---- all is well ---- */

static void test_kafka_sink__given_rows__when_written_exactly_once__then_each_once_in_order(void **state)
{
    (void)state;
    set_up();
    place.rate_per_s = 30000; /* so that there are several epochs */
    run(2);
    expect_all(COUNT, false);
    struct kafka_records *got = kafka_read(kafka, markers, true);
    assert_true(got->count >= 4); /* of two slots: when fenced, and of each epoch */
    kafka_records_free(got);
    tear_down();
}

static void test_kafka_sink__given_rows__when_written_at_least_once__then_all_in_order(void **state)
{
    (void)state;
    set_up();
    opts.delivery = LEAT_AT_LEAST_ONCE;
    run(2);
    expect_all(COUNT, false);
    assert_int_equal(place_run(declare(), &(struct leat_job_opts){ .parallelism = 1 }, 0), LEAT_JOB_FINISHED);
    expect_all(COUNT, true); /* without checkpoints, too */
    tear_down();
}

static void test_kafka_sink__given_a_small_buffer__when_full__then_the_worker_waits_and_nothing_is_lost(
    void **state)
{
    (void)state;
    set_up();
    opts.delivery = LEAT_AT_LEAST_ONCE;
    opts.cluster.properties = "queue.buffering.max.messages=10\nlinger.ms=1";
    run(2);
    expect_all(COUNT, false);
    tear_down();
}

/* ---- processes that end ---- */

static void test_kafka_sink__given_cancelled_jobs__when_they_go_on_with_other_workers__then_each_row_once(
    void **state)
{
    (void)state;
    set_up();
    place_interrupt(declare, (const uint32_t[]){ 3, 1, 2 }, 0, COUNT / 4);
    expect_all(COUNT, false);
    tear_down();
}

/* ---- brokers that fail ---- */

/* Runs it to its end with one fault on the way, whose command has a %u for which of the requests it is. */
static void run_with(const char *fault, uint32_t nth)
{
    char command[128];
    struct leat_job_opts job = place_durable(2, 0);
    set_up();
    place.rate_per_s = 30000;
    opts.cluster.properties = "transaction.timeout.ms=1000\nsocket.timeout.ms=1000";
    job.restart = (struct leat_restart_opts){ .attempts_max = 5, .backoff_us = 1000 };
    (void)snprintf(command, sizeof command, fault, nth);
    (void)kafka_command(kafka, "%s", command);
    assert_int_equal(place_run(declare(), &job, 0), LEAT_JOB_FINISHED);
    (void)kafka_command(kafka, "clear");
    (void)kafka_command(kafka, "release");
    expect_all(COUNT, false);
    tear_down();
}

static void test_kafka_sink__given_requests_that_fail_in_each_way__when_sent__then_each_row_once(void **state)
{
    static const char *const faults[] = {
        "fault EndTxn %u drop", /* done, but nobody hears of it */
        "fault EndTxn %u close", /* not done */
        "fault EndTxn %u hold", /* done, answered when all is over */
        "fault EndTxn %u late held", /* not done before all is over */
        "fault EndTxn %u repeat held",
        "fault EndTxn %u late 50", /* perhaps in the next transaction */
        "fault EndTxn %u error 48", /* INVALID_TXN_STATE: fatal to the client */
        "fault EndTxn %u error 47", /* INVALID_PRODUCER_EPOCH, without anybody who has fenced it */
        "fault EndTxn %u error -1",
        "fault EndTxn %u error 51", /* CONCURRENT_TRANSACTIONS */
        "fault Produce %u drop",
        "fault Produce %u late 50",
        "fault Produce %u error 45", /* OUT_OF_ORDER_SEQUENCE_NUMBER */
        "fault Produce %u error 47",
        "fault Produce %u error 7", /* REQUEST_TIMED_OUT */
        "fault AddPartitionsToTxn %u drop",
        "fault AddPartitionsToTxn %u error 53", /* rights, for once */
        "fault AddPartitionsToTxn %u error 47",
        "fault InitProducerId %u drop",
        "fault InitProducerId %u error 14", /* COORDINATOR_LOAD_IN_PROGRESS */
        "fault FindCoordinator %u close",
    };
    (void)state;
    if (getenv("LEAT_TEST_KAFKA"))
        SKIP_BECAUSE("faults are the test broker's");
    for (size_t i = 0; i < COUNT_OF(faults); i++) {
        (void)fprintf(stderr, "# %s\n", faults[i]);
        run_with(faults[i], i % 2 ? 3 : 5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kafka_sink__given_rows__when_written_exactly_once__then_each_once_in_order),
        cmocka_unit_test(test_kafka_sink__given_rows__when_written_at_least_once__then_all_in_order),
        cmocka_unit_test(
            test_kafka_sink__given_a_small_buffer__when_full__then_the_worker_waits_and_nothing_is_lost),
        cmocka_unit_test(
            test_kafka_sink__given_requests_that_fail_in_each_way__when_sent__then_each_row_once),
        cmocka_unit_test(
            test_kafka_sink__given_cancelled_jobs__when_they_go_on_with_other_workers__then_each_row_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
