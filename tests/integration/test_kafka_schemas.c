/* tests/integration/test_kafka_schemas.c -- jobs whose messages name their schemas by the numbers of a registry: written, read by
 * another version of the type, refused before they start, and messages that name what is not there. */
#include "event.h"
#include "event_later.h"
#include "tests/support/kafka.h"
#include "tests/support/registry.h"
#include "tests/support/unit.h"
#include <leat/kafka.h>
#include <leat/leat.h>
#include <stdio.h>

static struct kafka *kafka;
static struct registry *registry;

static int start(void **state)
{
    (void)state;
    kafka = kafka_start(kafka_kind_wanted());
    registry = registry_start(NULL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    registry_stop(registry);
    kafka_stop(kafka);
    return 0;
}

static struct leat_kafka_cluster cluster(void)
{
    return (struct leat_kafka_cluster){ .brokers = kafka_bootstrap(kafka),
        .properties = "schema.registry.retries=1",
        .registry = registry_url(registry) };
}

/* Runs it and frees it; the job's code, and its error. */
static int run(leat_topology *t, struct leat_error *err)
{
    *err = (struct leat_error){ 0 };
    const int code = leat_run(t, &(struct leat_job_opts){ .parallelism = 2 }, err);
    leat_topology_free(t);
    return code;
}

static int write_events(const char *topic, uint32_t count, struct leat_error *err)
{
    struct event *events = calloc(count, sizeof *events);
    assert_non_null(events);
    for (uint32_t i = 0; i < count; i++)
        events[i] = (struct event){ .key = i % 5, .value = i, .at = i };
    leat_topology *t = leat_topology_new("write");
    leat_stream *in = leat_memory_source(t, "events",
        &(struct leat_memory_source_opts){ .type = &event_type, .rows = events, .count = count });
    leat_kafka_sink(in, "out",
        &(struct leat_kafka_sink_opts){ .cluster = cluster(),
            .topic = topic,
            .partitions = 3,
            .format = LEAT_FORMAT_AVRO_REGISTRY,
            .key = { .fields = "key", .format = LEAT_FORMAT_AVRO_REGISTRY },
            .delivery = LEAT_AT_LEAST_ONCE });
    const int code = run(t, err);
    free(events);
    return code;
}

/* Rows of the topic as `type`, in a collector. */
static int read_events(const char *topic, const struct leat_type *type, enum leat_policy policy,
    leat_collector *into, struct leat_error *err)
{
    leat_topology *t = leat_topology_new("read");
    leat_stream *in = leat_kafka_source(t, "events",
        &(struct leat_kafka_source_opts){ .cluster = cluster(),
            .topics = topic,
            .type = type,
            .format = LEAT_FORMAT_AVRO_REGISTRY,
            .key = { .fields = "key", .format = LEAT_FORMAT_AVRO_REGISTRY },
            .bounded = true,
            .on_error = policy });
    leat_memory_sink(in, "rows", &(struct leat_memory_sink_opts){ .into = into });
    return run(t, err);
}

static void
test_kafka_schemas__given_a_registry__when_written__then_values_and_keys_have_numbers_of_their_subjects(
    void **state)
{
    (void)state;
    struct leat_error err;
    const char *topic = kafka_name(kafka, "numbered");
    if (write_events(topic, 20, &err) < 0)
        fail_msg("%s", err.message);
    struct kafka_records *got = kafka_read(kafka, topic, true);
    assert_int_equal(got->count, 20);
    for (size_t i = 0; i < got->count; i++) {
        const unsigned char *value = got->records[i].value, *key = got->records[i].key;
        assert_true(got->records[i].value_len > 5 && got->records[i].key_len == 6);
        assert_memory_equal(value, "\0\0\0\0", 4);
        assert_memory_equal(key, "\0\0\0\0", 4);
        assert_true(value[4] != key[4] && value[4] > 0 && key[4] > 0);
        assert_int_equal(key[5] % 2, 0); /* a long from 0 to 4, zig-zag */
    }
    kafka_records_free(got);
}

static void test_kafka_schemas__given_what_was_written__when_read_as_a_later_type__then_it_is_resolved(
    void **state)
{
    (void)state;
    struct leat_error err;
    const char *topic = kafka_name(kafka, "later");
    leat_collector *rows = leat_collector_new();
    int64_t sum = 0;
    if (write_events(topic, 100, &err) < 0 ||
        read_events(topic, &event_later_type, LEAT_FAIL, rows, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(leat_collector_count(rows), 100);
    for (uint64_t i = 0; i < 100; i++) {
        const struct event_later *e = leat_collector_record(rows, i);
        assert_int_equal(e->key, e->at % 5);
        sum += e->at;
    }
    assert_int_equal(sum, 99 * 100 / 2);
    leat_collector_free(rows);
}

static void test_kafka_schemas__given_messages_with_unknown_numbers__when_read__then_they_are_bad_rows(
    void **state)
{
    (void)state;
    struct leat_error err;
    const char *topic = kafka_name(kafka, "unknown");
    leat_collector *rows = leat_collector_new();
    if (write_events(topic, 10, &err) < 0)
        fail_msg("%s", err.message);
    const struct kafka_record bad[] = {
        { .partition = 0, .value = "\0\0\0\x27\x0f!", .value_len = 6, .key = "\0\0\0\0\1\2", .key_len = 6 },
        { .partition = 1, .value = "{}", .value_len = 2, .key = "\0\0\0\0\1\2", .key_len = 6 },
        { .partition = 2,
            .value = "\0\xff\xff\xff\xff!",
            .value_len = 6,
            .key = "\0\0\0\0\1\2",
            .key_len = 6 },
    };
    kafka_produce(kafka, topic, bad, COUNT_OF(bad));
    if (read_events(topic, &event_type, LEAT_SKIP, rows, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(leat_collector_count(rows), 10);
    assert_int_equal(read_events(topic, &event_type, LEAT_FAIL, rows, &err), LEAT_EDATA);
    leat_collector_free(rows);
}

static void
test_kafka_schemas__given_a_subject_that_does_not_fit__when_started__then_it_is_refused_with_the_reasons(
    void **state)
{
    (void)state;
    struct leat_error err;
    const char *topic = kafka_name(kafka, "strict");
    char command[1024];
    leat_collector *rows = leat_collector_new();
    kafka_topic_create(kafka, topic, 1, NULL);
    (void)snprintf(command, sizeof command,
        "python3 -c 'import urllib.request,sys,json; "
        "urllib.request.urlopen(urllib.request.Request(sys.argv[1]+"
        "\"/subjects/\"+sys.argv[2]+\"-value/versions\", json.dumps({\"schema\": "
        "\"\\\"string\\\"\"}).encode()))' %s %s",
        registry_url(registry), topic);
    assert_int_equal(system(command), 0);
    assert_int_equal(write_events(topic, 1, &err), LEAT_ESCHEMA);
    assert_non_null(strstr(err.message, "out"));
    assert_non_null(strstr(err.message, "-value\" in the registry: {errorType:'TYPE_MISMATCH'"));
    assert_int_equal(read_events(topic, &event_type, LEAT_FAIL, rows, &err), LEAT_ESCHEMA);
    assert_non_null(strstr(err.message, "the newest schema of subject \""));
    leat_collector_free(rows);
}

static void test_kafka_schemas__given_no_registry_there__when_started__then_the_job_says_so(void **state)
{
    (void)state;
    struct leat_error err = { 0 };
    leat_topology *t = leat_topology_new("read");
    leat_stream *in = leat_kafka_source(t, "events",
        &(struct leat_kafka_source_opts){ .cluster = { .brokers = kafka_bootstrap(kafka),
                                              .properties = "schema.registry.retries=0",
                                              .registry = "http://127.0.0.1:1" },
            .topics = kafka_name(kafka, "numbered"),
            .type = &event_type,
            .format = LEAT_FORMAT_AVRO_REGISTRY,
            .bounded = true });
    leat_memory_sink(in, "rows", &(struct leat_memory_sink_opts){ 0 });
    assert_int_equal(run(t, &err), LEAT_ECONNECT);
    assert_non_null(strstr(err.message, "schema registry at http://127.0.0.1:1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_kafka_schemas__given_a_registry__when_written__then_values_and_keys_have_numbers_of_their_subjects),
        cmocka_unit_test(
            test_kafka_schemas__given_what_was_written__when_read_as_a_later_type__then_it_is_resolved),
        cmocka_unit_test(
            test_kafka_schemas__given_messages_with_unknown_numbers__when_read__then_they_are_bad_rows),
        cmocka_unit_test(
            test_kafka_schemas__given_a_subject_that_does_not_fit__when_started__then_it_is_refused_with_the_reasons),
        cmocka_unit_test(test_kafka_schemas__given_no_registry_there__when_started__then_the_job_says_so),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
