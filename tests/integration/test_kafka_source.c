/* tests/integration/test_kafka_source.c -- jobs that read Kafka: where they start and end, what they see of messages and
 * transactions, what they do when partitions come, offsets go, brokers go and come. */
#include "kafka_row.h"
#include "tests/support/kafka_rows.h"
#include "tests/support/unit.h"
#include <leat/leat.h>
#include <stdio.h>
#include <unistd.h>

/* ---- start and end ---- */

static void test_source__given_topics_with_partitions__when_bounded__then_all_is_read_once(void **state)
{
    struct kafka *k = *state;
    const char *a = kafka_name(k, "orders"), *b = kafka_name(k, "refunds");
    struct lines wanted = { 0 }, got = { 0 };
    char both[256];
    kafka_topic_create(k, a, 3, NULL);
    kafka_topic_create(k, b, 1, NULL);
    kafka_rows_put(k, a, 0, 0, 300);
    kafka_rows_put(k, a, 2, 300, 310);
    kafka_rows_put(k, b, 0, 500, 501);
    (void)snprintf(both, sizeof both, "%s, %s", a, b);
    for (uint32_t parallelism = 1; parallelism <= 3; parallelism++) {
        struct leat_kafka_source_opts opts = kafka_rows_opts(k, both);
        kafka_rows_read(&opts, parallelism, &got);
        kafka_rows_want(&wanted, a, 0, 0, 0, 300);
        kafka_rows_want(&wanted, a, 2, 0, 300, 310);
        kafka_rows_want(&wanted, b, 0, 0, 500, 501);
        kafka_rows_expect("names", &wanted, &got);
    }
}

static void test_source__given_a_pattern__then_the_topics_that_match_as_a_whole_are_read(void **state)
{
    struct kafka *k = *state;
    const char *a = kafka_name(k, "shop.eu"), *b = kafka_name(k, "shop.us"),
               *c = kafka_name(k, "workshop.eu");
    struct lines wanted = { 0 }, got = { 0 };
    kafka_topic_create(k, a, 1, NULL);
    kafka_topic_create(k, b, 2, NULL);
    kafka_topic_create(k, c, 1, NULL);
    kafka_rows_put(k, a, 0, 0, 3);
    kafka_rows_put(k, b, 1, 3, 5);
    kafka_rows_put(k, c, 0, 7, 9);
    char pattern[128]; /* the broker may have the topics of other runs */
    (void)snprintf(pattern, sizeof pattern, "^shop\\..*-%lx-.*", (unsigned long)getpid());
    struct leat_kafka_source_opts opts = kafka_rows_opts(k, pattern);
    kafka_rows_read(&opts, 2, &got);
    kafka_rows_want(&wanted, a, 0, 0, 0, 3);
    kafka_rows_want(&wanted, b, 1, 0, 3, 5);
    kafka_rows_expect("pattern", &wanted, &got);
    opts.topics = "^nothing.*";
    struct leat_error err = { 0 };
    assert_int_equal(
        kafka_rows_read_with(&opts, &(struct leat_job_opts){ .parallelism = 1 }, &got, &err), LEAT_ENOTFOUND);
    assert_non_null(strstr(err.message, "no topic matches \"^nothing.*\""));
}

static void test_source__given_a_start__then_reading_begins_there(void **state)
{
    struct kafka *k = *state;
    const char *topic = kafka_name(k, "starts"), *group = kafka_name(k, "starters");
    struct lines wanted = { 0 }, got = { 0 };
    char offsets[256];
    kafka_topic_create(k, topic, 2, NULL);
    kafka_rows_put(k, topic, 0, 0, 10);
    kafka_rows_put(k, topic, 1, 10, 20);
    struct leat_kafka_source_opts opts = kafka_rows_opts(k, topic);

    opts.start = LEAT_KAFKA_LATEST;
    kafka_rows_read(&opts, 1, &got);
    kafka_rows_expect("latest", &wanted, &got);

    opts.start = LEAT_KAFKA_TIMESTAMP;
    opts.start_us = 1007001; /* the message of 1007 ms is older */
    kafka_rows_read(&opts, 1, &got);
    kafka_rows_want(&wanted, topic, 0, 8, 8, 10);
    kafka_rows_want(&wanted, topic, 1, 0, 10, 20);
    kafka_rows_expect("timestamp", &wanted, &got);
    opts.start_us = 0;

    opts.start = LEAT_KAFKA_OFFSETS;
    (void)snprintf(offsets, sizeof offsets, "%s/0:7,%s/1:end", topic, topic);
    opts.start_offsets = offsets;
    kafka_rows_read(&opts, 1, &got);
    kafka_rows_want(&wanted, topic, 0, 7, 7, 10);
    kafka_rows_expect("offsets", &wanted, &got);

    struct leat_error err = { 0 };
    (void)snprintf(offsets, sizeof offsets, "%s/0:77", topic);
    assert_int_equal(
        kafka_rows_read_with(&opts, &(struct leat_job_opts){ .parallelism = 1 }, &got, &err), LEAT_EDATA);
    FAIL_UNLESS(
        strstr(err.message, "77 of topic") && strstr(err.message, "behind the end, 10"), "%s", err.message);
    (void)snprintf(offsets, sizeof offsets, "%s/5:1", topic);
    assert_int_equal(
        kafka_rows_read_with(&opts, &(struct leat_job_opts){ .parallelism = 1 }, &got, &err), LEAT_ENOTFOUND);
    opts.start_offsets = NULL;

    opts.start = LEAT_KAFKA_GROUP; /* which has no offsets yet */
    opts.group = group;
    kafka_rows_read(&opts, 1, &got);
    kafka_rows_want(&wanted, topic, 0, 0, 0, 10);
    kafka_rows_want(&wanted, topic, 1, 0, 10, 20);
    kafka_rows_expect("group", &wanted, &got);
}

/* ---- what is in a message ---- */

static void test_source__given_key_headers_time_and_no_value__then_fields_have_them(void **state)
{
    struct kafka *k = *state;
    const char *topic = kafka_name(k, "meta");
    const struct kafka_header headers[] = { { "trace", "abc", 3 }, { "none", NULL, 0 }, { "trace", "", 0 } };
    const struct kafka_record records[] = {
        { .timestamp = 1234,
            .key = "eu",
            .key_len = 2,
            .value = "{\"id\":1}",
            .value_len = 8,
            .headers = headers,
            .headers_count = 3 },
        { .timestamp = 1235, .key = "us", .key_len = 2 },
        { .timestamp = 1236, .value = "{\"id\":3}", .value_len = 8 },
    };
    kafka_topic_create(k, topic, 1, NULL);
    kafka_produce(k, topic, records, 3);
    struct leat_kafka_source_opts opts = kafka_rows_opts(k, topic);
    opts.meta = (struct leat_kafka_meta){
        .offset = "off", .timestamp = "time", .headers = "headers", .tombstone = "deleted", .key = "region"
    };
    opts.event_time = "time";
    leat_topology *t = leat_topology_new("meta");
    leat_collector *rows = leat_collector_new();
    struct leat_error err = { 0 };
    leat_memory_sink(
        leat_kafka_source(t, "in", &opts), "out", &(struct leat_memory_sink_opts){ .into = rows });
    FAIL_UNLESS(leat_run(t, &(struct leat_job_opts){ .parallelism = 1 }, &err) == 0, "%s", err.message);
    assert_int_equal(leat_collector_count(rows), 3);
    const struct kafka_row *row = leat_collector_record(rows, 0);
    assert_true(row->id == 1 && row->off == 0 && row->has_time && row->time == 1234 && !row->deleted);
    assert_true(row->has_region && leat_sv_eq(row->region, LEAT_SV("eu")));
    assert_int_equal(leat_collector_event_us(rows, 0), 1234000);
    assert_int_equal(row->headers.count, 3);
    const struct kafka_row_header *items = row->headers.items;
    assert_true(leat_sv_eq(items[0].name, LEAT_SV("trace")) && items[0].has_value &&
        leat_sv_eq(items[0].value, LEAT_SV("abc")));
    assert_true(leat_sv_eq(items[1].name, LEAT_SV("none")) && !items[1].has_value);
    assert_true(leat_sv_eq(items[2].name, LEAT_SV("trace")) && items[2].has_value && items[2].value.len == 0);
    row = leat_collector_record(rows, 1);
    assert_true(
        row->deleted && row->id == 0 && leat_sv_eq(row->region, LEAT_SV("us")) && row->headers.count == 0);
    row = leat_collector_record(rows, 2);
    assert_true(!row->deleted && row->id == 3 && !row->has_region);
    leat_collector_free(rows);
    leat_topology_free(t);
}

static void test_source__given_bad_values__then_the_policy_is_heeded(void **state)
{
    struct kafka *k = *state;
    const char *topic = kafka_name(k, "bad");
    struct lines wanted = { 0 }, got = { 0 };
    struct leat_error err = { 0 };
    kafka_topic_create(k, topic, 1, NULL);
    kafka_produce_text(k, topic, 0, NULL, "{\"id\":1,\"text\":\"t1\"}");
    kafka_produce_text(k, topic, 0, NULL, "{\"id\":");
    kafka_produce_text(k, topic, 0, "key", NULL);
    kafka_produce_text(k, topic, 0, NULL, "{\"id\":4,\"text\":\"t4\"}");
    struct leat_kafka_source_opts opts = kafka_rows_opts(k, topic);
    assert_int_equal(
        kafka_rows_read_with(&opts, &(struct leat_job_opts){ .parallelism = 1 }, &got, &err), LEAT_EDATA);
    FAIL_UNLESS(strstr(err.message, "/0\" at 1:"), "%s", err.message); /* split "bad/0" at offset 1 */
    lines_clear(&got);
    opts.on_error = LEAT_SKIP;
    kafka_rows_read(&opts, 1, &got);
    kafka_rows_want(&wanted, topic, 0, 0, 1, 2);
    kafka_rows_want(&wanted, topic, 0, 3, 4, 5);
    kafka_rows_expect("skipped", &wanted, &got);
}

/* ---- transactions ---- */

static rd_kafka_t *writer(struct kafka *k, const char *id)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    assert_int_equal(rd_kafka_conf_set(conf, "bootstrap.servers", kafka_bootstrap(k), text, sizeof text),
        RD_KAFKA_CONF_OK);
    assert_int_equal(
        rd_kafka_conf_set(conf, "transactional.id", kafka_name(k, id), text, sizeof text), RD_KAFKA_CONF_OK);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    FAIL_UNLESS(rk && !rd_kafka_init_transactions(rk, 10000), "%s", text);
    return rk;
}

/* Ten rows in a transaction that is left open. */
static void write_open(rd_kafka_t *rk, const char *topic, int64_t from)
{
    assert_null(rd_kafka_begin_transaction(rk));
    for (int64_t id = from; id < from + 10; id++) {
        char value[48];
        const int len =
            snprintf(value, sizeof value, "{\"id\":%lld,\"text\":\"t%lld\"}", (long long)id, (long long)id);
        assert_int_equal(rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0),
                             RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_VALUE(value, (size_t)len),
                             RD_KAFKA_V_END),
            0);
    }
    assert_int_equal(rd_kafka_flush(rk, 10000), 0);
}

/* The log: 10 committed, marker, 10 aborted, marker, 10 plain, 10 open, 5 plain. A bounded read ends before what is open,
 * also where the last offsets below that belong to no message. */
static void test_source__given_transactions__then_only_what_was_committed_is_seen(void **state)
{
    struct kafka *k = *state;
    const char *topic = kafka_name(k, "transactions");
    struct lines wanted = { 0 }, got = { 0 };
    kafka_topic_create(k, topic, 1, NULL);
    struct leat_kafka_source_opts opts = kafka_rows_opts(k, topic);
    rd_kafka_t *a = writer(k, "a"), *b = writer(k, "b");
    write_open(a, topic, 0);
    assert_null(rd_kafka_commit_transaction(a, 10000));
    write_open(a, topic, 10);
    assert_null(rd_kafka_abort_transaction(a, 10000));
    kafka_rows_read(&opts, 1, &got);
    kafka_rows_want(&wanted, topic, 0, 0, 0, 10);
    kafka_rows_expect("the last is aborted", &wanted, &got);

    kafka_rows_put(k, topic, 0, 20, 30);
    write_open(b, topic, 30);
    kafka_rows_put(k, topic, 0, 40, 45);
    kafka_rows_read(&opts, 1, &got);
    kafka_rows_want(&wanted, topic, 0, 0, 0, 10);
    kafka_rows_want(&wanted, topic, 0, 22, 20, 30);
    kafka_rows_expect("one is open", &wanted, &got);

    opts.read_uncommitted = true;
    kafka_rows_read(&opts, 1, &got);
    kafka_rows_want(&wanted, topic, 0, 0, 0, 10);
    kafka_rows_want(&wanted, topic, 0, 11, 10, 20);
    kafka_rows_want(&wanted, topic, 0, 22, 20, 45);
    kafka_rows_expect("uncommitted", &wanted, &got);
    assert_null(rd_kafka_abort_transaction(b, 10000));
    rd_kafka_destroy(a);
    rd_kafka_destroy(b);
}

static void test_source__given_partitions_without_leader_for_a_moment__when_it_begins__then_it_waits(
    void **state)
{
    if (kafka_kind_wanted() == KAFKA_REAL)
        SKIP_BECAUSE("faults are the test broker's");
    struct kafka *k = *state;
    const char *topic = kafka_name(k, "leaderless");
    struct lines wanted = { 0 }, got = { 0 };
    kafka_topic_create(k, topic, 1, NULL);
    kafka_rows_put(k, topic, 0, 0, 10);
    for (int i = 1; i <= 6; i++) /* more often than librdkafka tries itself */
        (void)kafka_command(k, "fault ListOffsets %d error 5", i);
    struct leat_kafka_source_opts opts = kafka_rows_opts(k, topic);
    kafka_rows_read(&opts, 1, &got);
    kafka_rows_want(&wanted, topic, 0, 0, 0, 10);
    kafka_rows_expect("in the end", &wanted, &got);
    (void)kafka_command(k, "clear");
}

static void test_source__given_a_simulated_job__then_it_is_refused(void **state)
{
    struct leat_kafka_source_opts opts = kafka_rows_opts(*state, "any");
    struct leat_error err = { 0 };
    struct lines got = { 0 };
    const struct leat_job_opts job = { .parallelism = 1, .simulate = true };
    assert_int_equal(kafka_rows_read_with(&opts, &job, &got, &err), LEAT_EUNSUPPORTED);
    assert_non_null(strstr(err.message, "brokers are not part of a simulation"));
}

/* ---- main ---- */

static int start_broker(void **state)
{
    *state = kafka_start(kafka_kind_wanted());
    return 0;
}

static int stop_broker(void **state)
{
    kafka_stop(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_source__given_topics_with_partitions__when_bounded__then_all_is_read_once),
        cmocka_unit_test(test_source__given_a_pattern__then_the_topics_that_match_as_a_whole_are_read),
        cmocka_unit_test(test_source__given_a_start__then_reading_begins_there),
        cmocka_unit_test(test_source__given_key_headers_time_and_no_value__then_fields_have_them),
        cmocka_unit_test(test_source__given_transactions__then_only_what_was_committed_is_seen),
        cmocka_unit_test(
            test_source__given_partitions_without_leader_for_a_moment__when_it_begins__then_it_waits),
        cmocka_unit_test(test_source__given_a_simulated_job__then_it_is_refused),
        cmocka_unit_test(test_source__given_bad_values__then_the_policy_is_heeded),
    };
    return cmocka_run_group_tests(tests, start_broker, stop_broker);
}
