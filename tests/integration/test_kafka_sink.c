/* tests/integration/test_kafka_sink.c -- jobs that write to Kafka, seen by readers from outside: what becomes of rows, and
 * that it does so once, whatever becomes of brokers, answers and processes. Against the test broker
 * (tests/kafka/README.md), and what needs no faults against Apache Kafka (make test-kafka). */
#include "change_spread.h"
#include "change_total.h"
#include "tests/support/kafka.h"
#include "tests/support/place.h"
#include "tests/support/unit.h"
#include <leat/kafka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT 3000u
#define KEYS 37u
#define PARTITIONS 4

static struct kafka *kafka;
static const char *topic, *markers;
static struct place_events events;
static struct leat_kafka_sink_opts opts;

static void set_up(void)
{
    kafka = kafka_start(kafka_kind_wanted());
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

static void test_kafka_sink__given_processes_that_are_killed__when_they_go_on__then_each_row_once(
    void **state)
{
    (void)state;
    set_up();
    place.rate_per_s = 10000;
    for (uint32_t i = 0; i < 6; i++) {
        const struct leat_job_opts job = place_durable(1 + i % 3, 0);
        if (place_kill(declare, &job, 60000 + 7000 * i))
            break;
    }
    run(2);
    expect_all(COUNT, false);
    tear_down();
}

static void test_kafka_sink__given_a_kill_at_least_once__when_it_goes_on__then_no_row_is_missing(void **state)
{
    (void)state;
    set_up();
    opts.delivery = LEAT_AT_LEAST_ONCE;
    place.rate_per_s = 10000;
    for (uint32_t i = 0; i < 4; i++) {
        const struct leat_job_opts job = place_durable(1 + i % 2, 0);
        if (place_kill(declare, &job, 80000 + 7000 * i))
            break;
    }
    run(2);
    expect_all(COUNT, true);
    tear_down();
}

/* Waits until some epoch was sent: its marker is above 0. */
static void wait_for_an_epoch(void)
{
    for (bool sent = false; !sent; (void)usleep(10000)) {
        struct kafka_records *got = kafka_read(kafka, markers, true);
        for (size_t i = 0; i < got->count; i++)
            sent = sent || strncmp(got->records[i].value, "1 0 ", 4) != 0;
        kafka_records_free(got);
    }
}

/* One that was stopped, and believes that it still has the job. */
static void
test_kafka_sink__given_a_process_that_wakes__when_another_has_taken_over__then_it_ends_and_writes_nothing(
    void **state)
{
    int status;
    (void)state;
    set_up();
    kafka_topic_create(kafka, markers, 1, "cleanup.policy=compact");
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct leat_error err = { 0 };
        const struct leat_job_opts job = place_durable(2, 0);
        place.rate_per_s = 50; /* a minute: it is stopped long before, and ends when it is woken */
        _exit(leat_run(declare(), &job, &err) < 0 ? 3 : 4); /* shut out, or without its files */
    }
    wait_for_an_epoch();
    assert_int_equal(kill(pid, SIGSTOP), 0);
    assert_int_equal(waitpid(pid, &status, WNOHANG), 0); /* in its middle */
    assert_int_equal(unlink(place_path("checkpoints/to-kafka/LOCK")), 0); /* as where locks do not reach */
    run(2);
    assert_int_equal(kill(pid, SIGCONT), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 3);
    expect_all(COUNT, false);
    tear_down();
}

/* ---- what is not as it should be ---- */

/* Runs it to an error of that code, whose text has `part`. */
static void expect_failure(int code, const char *part)
{
    struct leat_error err = { 0 };
    const struct leat_job_opts job = place_durable(1, 0);
    leat_topology *t = declare();
    assert_int_equal(leat_run(t, &job, &err), code);
    FAIL_UNLESS(strstr(err.message, part), "%s", err.message);
    leat_topology_free(t);
}

static void test_kafka_sink__given_markers_that_have_vanished__when_it_goes_on__then_it_stops_and_asks(
    void **state)
{
    (void)state;
    set_up();
    struct leat_job_opts job = place_durable(1, 0);
    run(1);
    kafka_topic_delete(kafka, markers);
    expect_failure(LEAT_EDATA, "has no marker of"); /* although there is nothing left to do */
    job.restore.force = true;
    assert_int_equal(place_run(declare(), &job, 0), LEAT_JOB_FINISHED);
    expect_all(COUNT, false);
    tear_down();
}

static void test_kafka_sink__given_no_topic__when_begun__then_told_or_made(void **state)
{
    (void)state;
    set_up();
    kafka_topic_delete(kafka, topic);
    expect_failure(LEAT_ENOTFOUND, "create the topic");
    opts.partitions = PARTITIONS;
    run(2);
    expect_all(COUNT, false);
    tear_down();
}

static void test_kafka_sink__given_a_small_limit_of_the_topic__when_rows_are_larger__then_the_policy(
    void **state)
{
    (void)state;
    set_up();
    topic = opts.topic = kafka_name(kafka, "narrow");
    kafka_topic_create(kafka, topic, 1, "max.message.bytes=150");
    expect_failure(LEAT_EUSER, "max.message.bytes");
    opts.on_error = LEAT_SKIP;
    run(1);
    struct kafka_records *got = kafka_read(kafka, topic, true);
    assert_int_equal(got->count, 0);
    kafka_records_free(got);
    tear_down();
}

/* ---- streams of changes ---- */

static leat_topology *declare_changes(void)
{
    leat_topology *t = leat_topology_new("to-kafka");
    leat_stream *totals = leat_group_aggregate(
        leat_group_by(place_source(t, "events", &events), "by-key", "key"), "count-events",
        &(struct leat_group_aggregate_opts){
            .aggs = { LEAT_COUNT("events"), LEAT_SUM("value", "value") }, .out = &change_total_type });
    leat_stream *spread = leat_group_aggregate(leat_group_by(totals, "by-events", "events"), "count-keys",
        &(struct leat_group_aggregate_opts){
            .aggs = { LEAT_COUNT("keys"), LEAT_SUM("value", "value") }, .out = &change_spread_type });
    leat_kafka_sink(spread, "write", &opts);
    return t;
}

/* What is left of a topic that is compacted: of each number of events how many keys have so many. */
static void read_spread(uint64_t *keys, size_t size, size_t *tombstones)
{
    struct kafka_records *got = kafka_read(kafka, topic, true);
    *tombstones = 0;
    for (size_t i = 0; i < got->count; i++) {
        const struct kafka_record *r = &got->records[i];
        uint64_t n = 0;
        char text[256] = "";
        assert_int_equal(r->key_len, 8);
        for (unsigned k = 0; k < 8; k++)
            n = n << 8 | ((const unsigned char *)r->key)[k];
        assert_true(n < size && r->value_len < sizeof text);
        keys[n] = 0;
        *tombstones += r->value == NULL;
        if (!r->value)
            continue;
        memcpy(text, r->value, r->value_len);
        assert_non_null(strstr(text, "\"keys\":"));
        keys[n] = strtoull(strstr(text, "\"keys\":") + 7, NULL, 10);
    }
    kafka_records_free(got);
}

static void test_kafka_sink__given_changes__when_written__then_the_newest_of_each_key_is_what_counts(
    void **state)
{
    uint64_t of_key[KEYS] = { 0 };
    static uint64_t want[COUNT + 1], got[COUNT + 1];
    size_t tombstones;
    (void)state;
    set_up();
    opts.key.fields = "events";
    const struct leat_job_opts job = place_durable(2, 0);
    assert_int_equal(place_run(declare_changes(), &job, 0), LEAT_JOB_FINISHED);
    for (uint64_t i = 0; i < COUNT; i++) {
        struct event e;
        place_event(&events, i, &e);
        of_key[e.key]++;
    }
    memset(want, 0, sizeof want);
    memset(got, 0, sizeof got);
    for (uint32_t k = 0; k < KEYS; k++)
        want[of_key[k]]++;
    want[0] = 0;
    read_spread(got, COUNT + 1, &tombstones);
    for (uint32_t n = 0; n <= COUNT; n++)
        FAIL_UNLESS(got[n] == want[n], "%llu keys of %u events, not %llu", (unsigned long long)got[n], n,
            (unsigned long long)want[n]);
    assert_true(tombstones > 0);
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
        "fault Produce %u error -1",
        "fault Produce %u error 59", /* UNKNOWN_PRODUCER_ID */
        "fault Produce %u error 7", /* REQUEST_TIMED_OUT */
        "fault AddPartitionsToTxn %u drop",
        "fault AddPartitionsToTxn %u error 47",
        "fault InitProducerId %u drop",
        "fault InitProducerId %u error 14", /* COORDINATOR_LOAD_IN_PROGRESS */
        "fault FindCoordinator %u close",
    };
    (void)state;
    if (kafka_kind_wanted() == KAFKA_REAL)
        SKIP_BECAUSE("faults are the test broker's");
    for (size_t i = 0; i < COUNT_OF(faults); i++) {
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
        cmocka_unit_test(
            test_kafka_sink__given_processes_that_are_killed__when_they_go_on__then_each_row_once),
        cmocka_unit_test(
            test_kafka_sink__given_a_kill_at_least_once__when_it_goes_on__then_no_row_is_missing),
        cmocka_unit_test(
            test_kafka_sink__given_a_process_that_wakes__when_another_has_taken_over__then_it_ends_and_writes_nothing),
        cmocka_unit_test(
            test_kafka_sink__given_markers_that_have_vanished__when_it_goes_on__then_it_stops_and_asks),
        cmocka_unit_test(test_kafka_sink__given_no_topic__when_begun__then_told_or_made),
        cmocka_unit_test(
            test_kafka_sink__given_a_small_limit_of_the_topic__when_rows_are_larger__then_the_policy),
        cmocka_unit_test(
            test_kafka_sink__given_changes__when_written__then_the_newest_of_each_key_is_what_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
