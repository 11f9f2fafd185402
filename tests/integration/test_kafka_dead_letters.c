/* tests/integration/test_kafka_dead_letters.c -- messages that can not be read go into a topic of dead letters as they were,
 * once, whatever becomes of the process; so does what operators refuse. Seen by a reader from outside, against the test broker
 * (tests/kafka/README.md) and Apache Kafka (make test-kafka). */
#include "connectors/kafka/letter.h"
#include "kafka_row.h"
#include "tests/support/kafka.h"
#include "tests/support/place.h"
#include "tests/support/unit.h"
#include <leat/leat.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MANY 1500u
#define SLOW_US 50 /* of each good row, so that there is something to kill */

static struct kafka *kafka;
static const char *topic, *dead;
static struct leat_kafka_source_opts source;
static struct leat_kafka_dead_letters_opts letters;
static leat_collector *rows; /* of good rows; NULL: they are only counted */
static bool is_slow;

static void set_up(void)
{
    kafka = kafka_start(kafka_kind_wanted());
    place_begin("letters");
    topic = kafka_name(kafka, "orders");
    dead = kafka_name(kafka, "orders-dead");
    kafka_topic_create(kafka, topic, 2, NULL);
    source = (struct leat_kafka_source_opts){ .cluster = { .brokers = kafka_bootstrap(kafka),
                                                  .properties = "fetch.wait.max.ms=20" },
        .topics = topic,
        .type = &kafka_row_type,
        .format = LEAT_FORMAT_JSON,
        .bounded = true,
        .event_time = "time",
        .on_error = LEAT_DEAD_LETTER };
    letters = (struct leat_kafka_dead_letters_opts){ .cluster = { .brokers = kafka_bootstrap(kafka) },
        .topic = dead,
        .partitions = 3,
        .markers_topic = kafka_name(kafka, "markers") };
    is_slow = false;
    rows = NULL;
}

static void tear_down(void)
{
    place_end();
    kafka_stop(kafka);
}

static void take_time(struct leat_ctx *ctx, const struct kafka_row *in)
{
    (void)ctx;
    (void)in;
    if (is_slow)
        (void)usleep(SLOW_US);
}
LEAT_DEFINE_PEEK(take_time, kafka_row);

static leat_topology *declare(void)
{
    leat_topology *t = leat_topology_new("shop");
    leat_stream *in = leat_kafka_source(t, "orders", &source);
    leat_kafka_dead_letters(leat_dead_letters(in), "dead", &letters);
    leat_memory_sink(
        leat_peek(in, "look", &take_time_peek), "good", &(struct leat_memory_sink_opts){ .into = rows });
    return t;
}

/* The result, with its text. */
static int run_with(leat_topology *t, uint32_t parallelism, struct leat_error *err)
{
    const struct leat_job_opts job = place_durable(parallelism, 0);
    const int code = leat_run(t, &job, err);
    leat_topology_free(t);
    return code;
}

static void run(uint32_t parallelism)
{
    struct leat_error err = { 0 };
    FAIL_UNLESS(run_with(declare(), parallelism, &err) == 0, "%s", err.message);
}

/* ---- looking ---- */

/* The header's value as text, the last of that name; "(none)", "(null)". */
static const char *header(const struct kafka_record *record, const char *name)
{
    static char text[4][1200];
    static unsigned next;
    char *to = text[next++ % 4];
    (void)snprintf(to, sizeof text[0], "(none)");
    for (size_t i = 0; i < record->headers_count; i++) {
        const struct kafka_header *h = &record->headers[i];
        if (strcmp(h->name, name) == 0)
            (void)snprintf(to, sizeof text[0], "%.*s", h->value ? (int)h->len : 6,
                h->value ? (const char *)h->value : "(null)");
    }
    return to;
}

static void expect_header(const struct kafka_record *record, const char *name, const char *value)
{
    const char *got = header(record, name);
    FAIL_UNLESS(strcmp(got, value) == 0, "%s: %s, not %s", name, got, value);
}

static void expect_number(const struct kafka_record *record, const char *name, int64_t value)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%lld", (long long)value);
    expect_header(record, name, text);
}

static bool is_same(const void *a, size_t a_len, const void *b, size_t b_len)
{
    return (a == NULL) == (b == NULL) && a_len == b_len && (a_len == 0 || memcmp(a, b, a_len) == 0);
}

/* Its own headers come first, as they were. */
static void expect_whole(const struct kafka_record *got, const struct kafka_record *sent)
{
    assert_true(is_same(got->key, got->key_len, sent->key, sent->key_len));
    assert_true(is_same(got->value, got->value_len, sent->value, sent->value_len));
    assert_true(got->headers_count > sent->headers_count);
    for (size_t i = 0; i < sent->headers_count; i++) {
        const struct kafka_header *g = &got->headers[i], *s = &sent->headers[i];
        assert_string_equal(g->name, s->name);
        assert_true(is_same(g->value, g->len, s->value, s->len));
    }
    expect_number(got, LEAT_DLQ_OWN, (int64_t)sent->headers_count);
    expect_number(got, LEAT_DLQ_TIMESTAMP, sent->timestamp);
}

/* The letter of that offset in partition 0. */
static const struct kafka_record *letter_of(const struct kafka_records *all, int64_t offset)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%lld", (long long)offset);
    for (size_t i = 0; i < all->count; i++)
        if (strcmp(header(&all->records[i], LEAT_DLQ_OFFSET), text) == 0)
            return &all->records[i];
    fail_msg("no dead letter of offset %s", text);
    return NULL;
}

/* ---- what they have ---- */

static const struct kafka_header own[] = { { "trace", "\0\xff", 2 }, { "none", NULL, 0 }, { "trace", "", 0 },
    { "__connect.errors.topic", "mine", 4 } };
static const struct kafka_record bad[] = {
    { .timestamp = 1000,
        .key = "k\0ey",
        .key_len = 4,
        .value = "{\"id\":",
        .value_len = 6,
        .headers = own,
        .headers_count = 4 },
    { .timestamp = 1001, .key = "gone", .key_len = 4 }, /* a tombstone */
    { .timestamp = 1002, .value = "", .value_len = 0, .headers = own, .headers_count = 1 },
    { .timestamp = 1003,
        .key = "",
        .key_len = 0,
        .value = "{\"id\":4,\"time\":null}",
        .value_len = 20,
        .headers = own,
        .headers_count = 2 },
};
static const struct kafka_record good = {
    .timestamp = 1004, .value = "{\"id\":5,\"time\":7}", .value_len = 17
};

static void test_letters__given_messages_that_can_not_be_read__then_they_are_in_the_topic_as_they_were(
    void **state)
{
    (void)state;
    set_up();
    rows = leat_collector_new();
    letters.error_headers = LEAT_KAFKA_ERRORS_BOTH;
    kafka_produce(kafka, topic, bad, COUNT_OF(bad));
    kafka_produce(kafka, topic, &good, 1);
    run(2);
    assert_int_equal(leat_collector_count(rows), 1);
    struct kafka_records *got = kafka_read(kafka, dead, true);
    assert_int_equal(got->count, COUNT_OF(bad));
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        const struct kafka_record *letter = letter_of(got, (int64_t)i);
        expect_whole(letter, &bad[i]);
        expect_header(letter, LEAT_DLQ_JOB, "shop");
        expect_header(letter, LEAT_DLQ_NODE, "orders");
        expect_header(letter, LEAT_DLQ_CLASS, "LEAT_EDATA");
        expect_header(letter, LEAT_DLQ_TOPIC, topic);
        expect_header(letter, LEAT_DLQ_PARTITION, "0");
        expect_header(letter, LEAT_DLQ_ATTEMPTS, "1");
        assert_string_equal(header(letter, LEAT_DLQ_FIRST_SEEN), header(letter, LEAT_DLQ_FAILED_AT));
        expect_header(letter, "__connect.errors.topic", topic); /* the last; its own one is before */
        expect_header(letter, "__connect.errors.connector.name", "shop");
        expect_header(letter, "__connect.errors.exception.class.name", "LEAT_EDATA");
        expect_number(letter, "__streams.errors.offset", (int64_t)i);
        expect_header(letter, "__streams.errors.exception", "LEAT_EDATA");
        assert_true(letter->timestamp > 1500000000000); /* when it failed: old messages are not old letters */
    }
    assert_non_null(strstr(header(letter_of(got, 1), LEAT_DLQ_ERROR), "no value"));
    expect_header(letter_of(got, 3), LEAT_DLQ_ERROR, "event time time is null");
    expect_header(letter_of(got, 3), "__streams.errors.message", "event time time is null");
    kafka_records_free(got);
    leat_collector_free(rows);
    tear_down();
}

/* As `leat dlq retry` puts it back: with how often it has failed, and since when. */
static void test_letters__given_one_that_has_failed_before__then_its_count_goes_on(void **state)
{
    static const struct kafka_header before[] = { { "a", "1", 1 }, { LEAT_DLQ_ATTEMPTS, "2", 1 },
        { LEAT_DLQ_FIRST_SEEN, "2026-01-01T00:00:00Z", 20 }, { "b", "2", 1 } };
    const struct kafka_record record = {
        .timestamp = 1, .value = "?", .value_len = 1, .headers = before, .headers_count = 4
    };
    (void)state;
    set_up();
    letters.error_headers = LEAT_KAFKA_ERRORS_OWN;
    letters.delivery = LEAT_AT_LEAST_ONCE;
    kafka_produce(kafka, topic, &record, 1);
    run(1);
    struct kafka_records *got = kafka_read(kafka, dead, true);
    assert_int_equal(got->count, 1);
    assert_string_equal(got->records[0].headers[0].name, "a");
    assert_string_equal(got->records[0].headers[1].name, "b");
    expect_header(&got->records[0], LEAT_DLQ_ATTEMPTS, "3");
    expect_header(&got->records[0], LEAT_DLQ_FIRST_SEEN, "2026-01-01T00:00:00Z");
    expect_header(&got->records[0], LEAT_DLQ_OWN, "2");
    expect_header(&got->records[0], "__connect.errors.exception.message", "(none)");
    kafka_records_free(got);
    tear_down();
}

static void refuse(struct leat_ctx *ctx, const struct kafka_row *in, struct kafka_row *out)
{
    *out = *in;
    if (in->id == 2)
        leat_fail(ctx, "two is too many");
}
LEAT_DEFINE_MAP(refuse, kafka_row, kafka_row);

static void test_letters__given_a_callback_that_refuses__then_its_record_is_json_without_a_key(void **state)
{
    static const struct kafka_row some[] = { { .id = 1 }, { .id = 2, .price = 1.5 }, { .id = 3 } };
    (void)state;
    set_up();
    leat_topology *t = leat_topology_new("shop");
    leat_stream *mapped =
        leat_map(leat_memory_source(t, "rows",
                     &(struct leat_memory_source_opts){ .type = &kafka_row_type, .rows = some, .count = 3 }),
            "judge", &refuse_map);
    leat_kafka_dead_letters(leat_dead_letters(mapped), "dead", &letters);
    leat_collector *good_rows = leat_collector_new();
    leat_memory_sink(mapped, "good", &(struct leat_memory_sink_opts){ .into = good_rows });
    struct leat_error err = { 0 };
    FAIL_UNLESS(run_with(t, 1, &err) == 0, "%s", err.message);
    struct kafka_records *got = kafka_read(kafka, dead, true);
    assert_int_equal(got->count, 1);
    const struct kafka_record *letter = &got->records[0];
    assert_null(letter->key);
    assert_true(letter->value_len > 8 && memcmp(letter->value, "{\"id\":2,", 8) == 0);
    expect_header(letter, LEAT_DLQ_NODE, "judge");
    expect_header(letter, LEAT_DLQ_CLASS, "LEAT_EUSER");
    expect_header(letter, LEAT_DLQ_ERROR, "two is too many");
    expect_header(letter, LEAT_DLQ_TOPIC, "(none)");
    expect_header(letter, LEAT_DLQ_OWN, "0");
    expect_header(letter, "__connect.errors.stage", "TRANSFORMATION");
    kafka_records_free(got);
    leat_collector_free(good_rows);
    tear_down();
}

/* ---- exactly once ---- */

static void produce_many(void)
{
    static struct kafka_record records[MANY];
    static char values[MANY][32], keys[MANY][8];
    for (uint32_t i = 0; i < MANY; i++) {
        const int value =
            snprintf(values[i], sizeof values[0], i % 3 ? "{\"id\":%u,\"time\":1}" : "bad %u", i);
        const int key = snprintf(keys[i], sizeof keys[0], "k%u", i % 10);
        records[i] = (struct kafka_record){ .partition = (int32_t)(i % 2),
            .timestamp = 1000 + i,
            .key = keys[i],
            .key_len = (size_t)key,
            .value = values[i],
            .value_len = (size_t)value };
    }
    kafka_produce(kafka, topic, records, MANY);
}

static void test_letters__given_processes_that_are_killed__then_each_is_there_once(void **state)
{
    static uint32_t seen[MANY];
    (void)state;
    set_up();
    is_slow = true;
    produce_many();
    for (uint32_t i = 0; i < 4; i++) {
        const struct leat_job_opts job = place_durable(1 + i % 2, 0);
        if (place_kill(declare, &job, 60000 + 9000 * i))
            break;
    }
    run(2);
    memset(seen, 0, sizeof seen);
    struct kafka_records *got = kafka_read(kafka, dead, true);
    assert_int_equal(got->count, MANY / 3);
    for (size_t i = 0; i < got->count; i++) {
        char text[16] = "";
        assert_true(got->records[i].value_len < sizeof text);
        memcpy(text, got->records[i].value, got->records[i].value_len);
        const unsigned long n = strtoul(text + 4, NULL, 10);
        assert_true(n < MANY && n % 3 == 0);
        FAIL_UNLESS(seen[n]++ == 0, "message %lu is there twice", n);
    }
    kafka_records_free(got);
    tear_down();
}

/* ---- what is not as it should be ---- */

static void expect_failure(int code, const char *part)
{
    struct leat_error err = { 0 };
    const int got = run_with(declare(), 1, &err);
    FAIL_UNLESS(got == code && strstr(err.message, part), "%d: %s", got, err.message);
}

static void test_letters__given_a_topic_that_does_not_take_them__then_the_job_fails(void **state)
{
    (void)state;
    set_up();
    kafka_produce(kafka, topic, bad, 1);
    letters.partitions = 0;
    expect_failure(LEAT_ENOTFOUND, "create the topic");
    letters.topic = topic;
    expect_failure(LEAT_EUSER, "to be read again: give them a topic of their own");
    letters.topic = dead;
    kafka_topic_create(
        kafka, dead, 2, "max.message.bytes=300"); /* as many partitions as a checkpoint may know */
    expect_failure(LEAT_EUSER, "its topic takes at most 300");
    tear_down();
}

static void test_letters__given_another_stream__then_the_declaration_says_which_it_takes(void **state)
{
    (void)state;
    set_up();
    leat_topology *t = leat_topology_new("shop");
    letters.error_headers = (enum leat_kafka_error_headers)9;
    letters.topic = NULL;
    leat_kafka_dead_letters(leat_kafka_source(t, "orders", &source), "dead", &letters);
    assert_true(leat_check(t) < 0);
    assert_true(leat_topology_errors_count(t) >= 3);
    assert_string_equal(
        leat_topology_error(t, 0)->message, "Kafka sink \"dead\": topic: missing: where do the records go?");
    assert_string_equal(leat_topology_error(t, 1)->message,
        "Kafka sink \"dead\": it takes dead letters, and gets KafkaRow: give it leat_dead_letters(stream) of "
        "the node "
        "that makes them");
    assert_string_equal(leat_topology_error(t, 2)->message,
        "Kafka sink \"dead\": error_headers: 9 is no enum leat_kafka_error_headers");
    leat_topology_free(t);
    tear_down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_letters__given_messages_that_can_not_be_read__then_they_are_in_the_topic_as_they_were),
        cmocka_unit_test(test_letters__given_one_that_has_failed_before__then_its_count_goes_on),
        cmocka_unit_test(test_letters__given_a_callback_that_refuses__then_its_record_is_json_without_a_key),
        cmocka_unit_test(test_letters__given_processes_that_are_killed__then_each_is_there_once),
        cmocka_unit_test(test_letters__given_a_topic_that_does_not_take_them__then_the_job_fails),
        cmocka_unit_test(test_letters__given_another_stream__then_the_declaration_says_which_it_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
