/* tests/kafka/conformance/data.c -- records as they go in and come out, times, sizes, and where reading may begin. */
#include "tests/kafka/conformance/conformance.h"
#include <stdio.h>

static bool same_bytes(const void *got, size_t got_len, const char *want)
{
    return want ? got && got_len == strlen(want) && memcmp(got, want, got_len) == 0 : !got;
}

static void records_come_back(struct kafka *k)
{
    const char *topic = kafka_name(k, "records");
    const struct kafka_header headers[] = { { "a", "1", 1 }, { "b", NULL, 0 }, { "a", "", 0 } };
    const struct kafka_record sent[] = {
        { .key = "key",
            .key_len = 3,
            .value = "value",
            .value_len = 5,
            .timestamp = 1000,
            .headers = headers,
            .headers_count = 3 },
        { .key = NULL, .value = "no key", .value_len = 6, .timestamp = 2000 },
        { .key = "gone", .key_len = 4, .value = NULL, .timestamp = 1500 },
        { .key = "", .key_len = 0, .value = "", .value_len = 0, .timestamp = 5 },
        { .partition = 1, .key = "x", .key_len = 1, .value = "other", .value_len = 5, .timestamp = 7 },
    };
    kafka_topic_create(k, topic, 2, NULL);
    kafka_produce(k, topic, sent, COUNT_OF(sent));
    struct kafka_records *got = kafka_read(k, topic, true);
    assert_int_equal(got->count, COUNT_OF(sent));
    for (size_t i = 0; i < got->count; i++) {
        const struct kafka_record *g = &got->records[i], *s = &sent[i];
        assert_int_equal(g->partition, s->partition);
        assert_int_equal(g->offset, i < 4 ? i : 0);
        assert_int_equal(g->timestamp, s->timestamp);
        FAIL_UNLESS(same_bytes(g->key, g->key_len, s->key), "key of record %zu", i);
        FAIL_UNLESS(same_bytes(g->value, g->value_len, s->value), "value of record %zu", i);
        assert_int_equal(g->headers_count, s->headers_count);
        for (size_t h = 0; h < g->headers_count; h++) {
            assert_string_equal(g->headers[h].name, headers[h].name);
            FAIL_UNLESS(
                same_bytes(g->headers[h].value, g->headers[h].len, headers[h].value), "header %zu", h);
        }
    }
    kafka_records_free(got);
}

static void every_codec(struct kafka *k)
{
    static const char *const codecs[] = { "none", "gzip", "snappy", "lz4", "zstd" };
    const char *topic = kafka_name(k, "codecs");
    char value[2000];
    memset(value, 'v', sizeof value);
    kafka_topic_create(k, topic, 1, NULL);
    for (size_t i = 0; i < COUNT_OF(codecs); i++) {
        rd_kafka_t *producer = producer_new(k, NULL, NULL, codecs[i]);
        value[0] = (char)('0' + i);
        FAIL_UNLESS(!produce_wait(producer, topic, 0, value, sizeof value), "%s is not taken", codecs[i]);
        rd_kafka_destroy(producer);
    }
    struct kafka_records *got = kafka_read(k, topic, true);
    assert_int_equal(got->count, COUNT_OF(codecs));
    for (size_t i = 0; i < got->count; i++) {
        value[0] = (char)('0' + i);
        assert_int_equal(got->records[i].value_len, sizeof value);
        FAIL_UNLESS(memcmp(got->records[i].value, value, sizeof value) == 0, "%s changes bytes", codecs[i]);
    }
    kafka_records_free(got);
}

static int64_t offset_at(struct kafka *k, const char *topic, int64_t time)
{
    rd_kafka_t *consumer = consumer_at(k, topic, 0, RD_KAFKA_OFFSET_END, "100");
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, 0)->offset = time;
    const rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(consumer, list, WAIT_MS);
    FAIL_UNLESS(!code && !list->elems[0].err, "offsets for times: %s", rd_kafka_err2str(code));
    const int64_t offset = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(consumer);
    return offset;
}

static void offsets_by_time(struct kafka *k)
{
    const char *topic = kafka_name(k, "times");
    static const int64_t times[] = { 1000, 3000, 2000, 5000 };
    static const struct {
        int64_t time, offset;
    } rows[] = { { 0, 0 }, { 1000, 0 }, { 1001, 1 }, { 2000, 1 }, { 3000, 1 }, { 3001, 3 }, { 5000, 3 },
        { 5001, RD_KAFKA_OFFSET_END } };
    struct kafka_record records[COUNT_OF(times)] = { 0 };
    for (size_t i = 0; i < COUNT_OF(times); i++)
        records[i] = (struct kafka_record){ .value = "v", .value_len = 1, .timestamp = times[i] };
    kafka_topic_create(k, topic, 1, NULL);
    for (size_t i = 0; i < COUNT_OF(times); i++)
        kafka_produce(k, topic, &records[i], 1);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const int64_t got = offset_at(k, topic, rows[i].time);
        FAIL_UNLESS(got == rows[i].offset, "at %lld: %lld", (long long)rows[i].time, (long long)got);
    }
}

/* Records of one compressed batch: the broker looks into it. */
static void offsets_by_time_in_a_batch(struct kafka *k)
{
    const char *topic = kafka_name(k, "packed-times");
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char reason[256];
    kafka_topic_create(k, topic, 1, NULL);
    (void)rd_kafka_conf_set(conf, "bootstrap.servers", kafka_bootstrap(k), reason, sizeof reason);
    (void)rd_kafka_conf_set(conf, "compression.type", "lz4", reason, sizeof reason);
    (void)rd_kafka_conf_set(conf, "linger.ms", "500", reason, sizeof reason);
    (void)rd_kafka_conf_set(conf, "batch.num.messages", "8", reason, sizeof reason);
    rd_kafka_t *producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof reason);
    for (int i = 0; i < 8; i++)
        FAIL_UNLESS(
            !rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0),
                RD_KAFKA_V_VALUE(
                    (void *)(uintptr_t) "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 50),
                RD_KAFKA_V_TIMESTAMP(100 * (i + 1)), RD_KAFKA_V_END),
            "not produced");
    FAIL_UNLESS(!rd_kafka_flush(producer, WAIT_MS), "not flushed");
    rd_kafka_destroy(producer);
    assert_int_equal(offset_at(k, topic, 350), 3);
    assert_int_equal(offset_at(k, topic, 800), 7);
    assert_int_equal(offset_at(k, topic, 801), RD_KAFKA_OFFSET_END);
}

static void time_of_appending(struct kafka *k)
{
    const char *topic = kafka_name(k, "appended");
    const struct kafka_record record = { .value = "v", .value_len = 1, .timestamp = 1000 };
    kafka_topic_create(k, topic, 1, "message.timestamp.type=LogAppendTime");
    kafka_produce(k, topic, &record, 1);
    rd_kafka_t *consumer = consumer_at(k, topic, 0, 0, "100");
    rd_kafka_message_t *message = poll_one(consumer);
    rd_kafka_timestamp_type_t type;
    const int64_t time = rd_kafka_message_timestamp(message, &type);
    assert_int_equal(type, RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME);
    assert_true(time > 1600000000000);
    rd_kafka_message_destroy(message);
    rd_kafka_destroy(consumer);
}

static void too_large(struct kafka *k)
{
    const char *topic = kafka_name(k, "small");
    char value[3000];
    memset(value, 'v', sizeof value);
    kafka_topic_create(k, topic, 1, "max.message.bytes=1000");
    rd_kafka_t *producer = producer_new(k, NULL, NULL, "none");
    assert_int_equal(
        produce_wait(producer, topic, 0, value, sizeof value), RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    assert_int_equal(produce_wait(producer, topic, 0, value, 500), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_destroy(producer);
    assert_int_equal(end_of(k, topic, 0, false), 1);
}

/* The size that counts is that of the batch: 1000 bytes at most are one byte too few for 1001. */
static void just_large_enough(struct kafka *k)
{
    const char *topic = kafka_name(k, "exact");
    struct kb_out batch = { 0 };
    int64_t base = -1;
    char configs[64], value[300];
    memset(value, 'v', sizeof value);
    value[sizeof value - 1] = '\0';
    raw_batch(&batch, -1, -1, -1, false, value);
    (void)snprintf(configs, sizeof configs, "max.message.bytes=%zu", batch.len);
    kafka_topic_create(k, topic, 1, configs);
    assert_int_equal(raw_produce_bytes(k, NULL, topic, batch.data, batch.len, &base), 0);
    kb_out_free(&batch);
    char larger[301];
    memset(larger, 'v', sizeof larger);
    larger[sizeof larger - 1] = '\0';
    raw_batch(&batch, -1, -1, -1, false, larger);
    assert_int_equal(raw_produce_bytes(k, NULL, topic, batch.data, batch.len, &base), KB_TOO_LARGE);
    kb_out_free(&batch);
}

static void compacted_topics_want_keys(struct kafka *k)
{
    const char *topic = kafka_name(k, "compact");
    int64_t base = -1;
    kafka_topic_create(k, topic, 1, "cleanup.policy=compact");
    assert_int_equal(raw_produce(k, NULL, -1, -1, -1, topic, "no key", &base), KB_INVALID_RECORD);
    kafka_produce_text(k, topic, 0, "k", "v");
    check_values(k, topic, true, "0 v\n");
}

static void behind_the_end(struct kafka *k)
{
    const char *topic = kafka_name(k, "range");
    kafka_topic_create(k, topic, 1, NULL);
    kafka_produce_text(k, topic, 0, NULL, "v");
    rd_kafka_t *consumer = consumer_at(k, topic, 0, 100, "100");
    rd_kafka_message_t *message = poll_one(consumer);
    assert_int_equal(message->err, RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET);
    rd_kafka_message_destroy(message);
    rd_kafka_destroy(consumer);
}

static void truncated(struct kafka *k)
{
    const char *topic = kafka_name(k, "truncated");
    kafka_topic_create(k, topic, 1, NULL);
    for (int i = 0; i < 5; i++)
        kafka_produce_text(k, topic, 0, NULL, "v");
    kafka_truncate(k, topic, 0, 3);
    rd_kafka_t *consumer = consumer_at(k, topic, 0, 1, "100");
    rd_kafka_message_t *message = poll_one(consumer);
    assert_int_equal(message->err, RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET);
    rd_kafka_message_destroy(message);
    rd_kafka_destroy(consumer);
    check_values(k, topic, true, "3 v\n4 v\n");
    consumer = consumer_at(k, topic, 0, RD_KAFKA_OFFSET_BEGINNING, "100");
    message = poll_one(consumer);
    assert_int_equal(message->err, 0);
    assert_int_equal(message->offset, 3);
    rd_kafka_message_destroy(message);
    rd_kafka_destroy(consumer);
}

/* A fetch that would wait for long is answered when a record comes. */
static void a_waiting_fetch_wakes_up(struct kafka *k)
{
    const char *topic = kafka_name(k, "wake");
    kafka_topic_create(k, topic, 1, NULL);
    kafka_produce_text(k, topic, 0, NULL, "first");
    rd_kafka_t *consumer = consumer_at(k, topic, 0, 0, "55000");
    rd_kafka_message_t *message = poll_one(consumer);
    rd_kafka_message_destroy(message);
    const int64_t before = steady_ms();
    kafka_produce_text(k, topic, 0, NULL, "second");
    message = poll_one(consumer);
    assert_int_equal(message->offset, 1);
    assert_true(steady_ms() - before < 50000);
    rd_kafka_message_destroy(message);
    rd_kafka_destroy(consumer);
}

const struct scenario data_scenarios[] = {
    { "given keys, values, headers and times, also null, when read, then they are as they were",
        records_come_back },
    { "given batches of every codec, when read, then they are as they were", every_codec },
    { "given times out of order, when an offset is asked by time, then the first record at or behind it",
        offsets_by_time },
    { "given a compressed batch, when an offset is asked by time, then a record within it",
        offsets_by_time_in_a_batch },
    { "given a topic with the time of appending, when read, then that time", time_of_appending },
    { "given a record over the topic's limit, when produced, then it is refused and the next is not",
        too_large },
    { "given a batch of just the limit, when produced, then it is taken, and a byte more is not",
        just_large_enough },
    { "given a compacted topic, when a record has no key, then it is refused", compacted_topics_want_keys },
    { "given an offset behind the end, when read, then an error", behind_the_end },
    { "given a truncated partition, when read below its start, then an error; from there on, what is left",
        truncated },
    { "given a fetch that waits, when a record comes, then it comes at once", a_waiting_fetch_wakes_up },
    { NULL, NULL },
};
