/* tests/kafka/conformance/topics.c -- topics that come, grow and go. */
#include "tests/kafka/conformance/conformance.h"
#include <stdio.h>

static void unknown_topic(struct kafka *k)
{
    const char *topic = kafka_name(k, "nowhere");
    const rd_kafka_metadata_t *metadata = NULL;
    int64_t base = -1;
    /* A consumer that assigns such a topic to itself is told nothing: whoever reads asks first. */
    rd_kafka_t *p = producer_new(k, NULL, NULL, NULL);
    rd_kafka_topic_t *handle = rd_kafka_topic_new(p, topic, NULL);
    assert_int_equal(rd_kafka_metadata(p, 0, handle, &metadata, WAIT_MS), 0);
    assert_int_equal(metadata->topic_cnt, 1);
    assert_int_equal(metadata->topics[0].err, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(handle);
    rd_kafka_destroy(p);
    assert_int_equal(raw_produce(k, NULL, -1, -1, -1, topic, "v", &base), KB_UNKNOWN_TOPIC);
}

static void added_partitions(struct kafka *k)
{
    const char *topic = kafka_name(k, "growing");
    int64_t low, high;
    kafka_topic_create(k, topic, 2, NULL);
    kafka_produce_text(k, topic, 1, "k", "old");
    kafka_topic_grow(k, topic, 4);
    kafka_produce_text(k, topic, 3, "k", "new");
    char *text = kafka_read_text(k, topic, true);
    assert_string_equal(text, "1 0 k old\n3 0 k new\n");
    free(text);
    rd_kafka_t *consumer = consumer_at(k, topic, 0, 0, "100");
    assert_int_equal(rd_kafka_query_watermark_offsets(consumer, topic, 2, &low, &high, WAIT_MS), 0);
    assert_int_equal(high, 0);
    rd_kafka_destroy(consumer);
}

static void recreated_topic(struct kafka *k)
{
    const char *topic = kafka_name(k, "again");
    uint8_t before[16], after[16], once_more[16];
    kafka_topic_create(k, topic, 1, NULL);
    kafka_produce_text(k, topic, 0, NULL, "old");
    raw_topic_id(k, topic, before);
    raw_topic_id(k, topic, once_more);
    assert_memory_equal(before, once_more, sizeof before);
    kafka_topic_delete(k, topic);
    kafka_topic_create(k, topic, 1, NULL);
    raw_topic_id(k, topic, after);
    assert_memory_not_equal(before, after, sizeof before);
    check_values(k, topic, true, "");
    kafka_produce_text(k, topic, 0, NULL, "new");
    check_values(k, topic, true, "0 new\n");
}

static rd_kafka_resp_err_t commit_offset(
    struct kafka *k, const char *group, const char *topic, int64_t offset, const char *metadata)
{
    char reason[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    (void)rd_kafka_conf_set(conf, "bootstrap.servers", kafka_bootstrap(k), reason, sizeof reason);
    (void)rd_kafka_conf_set(conf, "group.id", group, reason, sizeof reason);
    rd_kafka_t *consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, reason, sizeof reason);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *place = rd_kafka_topic_partition_list_add(list, topic, 0);
    place->offset = offset;
    place->metadata = strdup(metadata);
    place->metadata_size = strlen(metadata);
    const rd_kafka_resp_err_t code = rd_kafka_commit(consumer, list, 0);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(consumer);
    return code;
}

static void committed_offsets(struct kafka *k)
{
    const char *topic = kafka_name(k, "progress"), *group = kafka_name(k, "progress-group");
    char metadata[64];
    kafka_topic_create(k, topic, 1, NULL);
    assert_int_equal(kafka_committed(k, group, topic, 0, NULL, 0), RD_KAFKA_OFFSET_INVALID);
    assert_int_equal(commit_offset(k, group, topic, 7, "seven"), 0);
    assert_int_equal(kafka_committed(k, group, topic, 0, metadata, sizeof metadata), 7);
    assert_string_equal(metadata, "seven");
    assert_int_equal(commit_offset(k, group, topic, 3, ""), 0);
    assert_int_equal(kafka_committed(k, group, topic, 0, metadata, sizeof metadata), 3);
    assert_string_equal(metadata, "");
}

static void long_metadata(struct kafka *k)
{
    const char *topic = kafka_name(k, "wordy"), *group = kafka_name(k, "wordy-group");
    char metadata[5000];
    memset(metadata, 'm', sizeof metadata);
    metadata[4096] = '\0';
    kafka_topic_create(k, topic, 1, NULL);
    assert_int_equal(commit_offset(k, group, topic, 1, metadata), 0);
    metadata[4096] = 'm';
    metadata[4097] = '\0';
    assert_int_equal(
        commit_offset(k, group, topic, 2, metadata), RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE);
    assert_int_equal(kafka_committed(k, group, topic, 0, NULL, 0), 1);
}

static void offsets_of_a_deleted_topic(struct kafka *k)
{
    const char *topic = kafka_name(k, "brief"), *group = kafka_name(k, "brief-group");
    int16_t code = 0;
    kafka_topic_create(k, topic, 1, NULL);
    assert_int_equal(commit_offset(k, group, topic, 9, "m"), 0);
    kafka_topic_delete(k, topic);
    kafka_topic_create(k, topic, 1, NULL);
    const int64_t deadline = steady_ms() + WAIT_MS;
    while (raw_offset(k, group, topic, false, &code) != -1) { /* it goes a little later */
        FAIL_UNLESS(steady_ms() < deadline, "the offset stays");
        pause_ms(50);
    }
    assert_int_equal(code, 0);
}

static int16_t create_code(struct kafka *k, const char *topic, int32_t partitions, int16_t replicas)
{
    struct raw raw;
    raw_begin(&raw, true);
    kb_put_count(&raw.out, 1);
    kb_put_str(&raw.out, topic);
    kb_put_i32(&raw.out, partitions);
    kb_put_i16(&raw.out, replicas);
    kb_put_count(&raw.out, 0);
    kb_put_count(&raw.out, 0);
    kb_put_tags(&raw.out);
    kb_put_i32(&raw.out, 30000);
    kb_put_i8(&raw.out, 0);
    kb_put_tags(&raw.out);
    raw_send(k, &raw, KB_CREATE_TOPICS, 5);
    (void)kb_i32(&raw.in);
    (void)kb_count(&raw.in);
    (void)kb_text(&raw.in);
    const int16_t code = kb_i16(&raw.in);
    raw_end(&raw);
    return code;
}

static void topics_that_can_not_be(struct kafka *k)
{
    const char *topic = kafka_name(k, "there");
    kafka_topic_create(k, topic, 1, NULL);
    assert_int_equal(create_code(k, topic, 1, 1), KB_TOPIC_EXISTS);
    assert_int_equal(create_code(k, "a b", 1, 1), KB_INVALID_TOPIC);
    assert_int_equal(create_code(k, "..", 1, 1), KB_INVALID_TOPIC);
    assert_int_equal(create_code(k, kafka_name(k, "none"), 0, 1), KB_INVALID_PARTITIONS);
    assert_int_equal(create_code(k, kafka_name(k, "none"), 1, 3), KB_INVALID_REPLICATION);
}

/* "name=value source type" of a topic's setting, asked in the newest version. */
static int16_t describe(struct kafka *k, const char *topic, const char *name, char *text, size_t size)
{
    struct raw raw;
    raw_begin(&raw, true);
    kb_put_count(&raw.out, 1);
    kb_put_i8(&raw.out, 2);
    kb_put_str(&raw.out, topic);
    kb_put_count(&raw.out, 1);
    kb_put_str(&raw.out, name);
    kb_put_tags(&raw.out);
    kb_put_i8(&raw.out, 0);
    kb_put_i8(&raw.out, 0);
    kb_put_tags(&raw.out);
    raw_send(k, &raw, KB_DESCRIBE_CONFIGS, 4);
    struct kb_in *in = &raw.in;
    text[0] = '\0';
    (void)kb_i32(in);
    assert_int_equal(kb_count(in), 1);
    const int16_t code = kb_i16(in);
    (void)kb_text(in);
    assert_int_equal(kb_i8(in), 2);
    assert_true(kb_same(kb_text(in), topic));
    if (kb_count(in) == 1) {
        const struct kb_text said = kb_text(in), value = kb_text(in);
        (void)kb_i8(in);
        const int8_t source = kb_i8(in);
        (void)kb_i8(in);
        assert_int_equal(kb_count(in), 0);
        (void)snprintf(text, size, "%.*s=%.*s %d %d", (int)said.len, said.data, (int)value.len, value.data,
            source, kb_i8(in));
    }
    assert_false(in->bad);
    raw_end(&raw);
    return code;
}

static void check_setting(struct kafka *k, const char *topic, const char *name, const char *want)
{
    const int64_t deadline = steady_ms() + WAIT_MS;
    char text[128];
    assert_int_equal(describe(k, topic, name, text, sizeof text), 0);
    while (strcmp(text, want) != 0) { /* a change is there a little later */
        FAIL_UNLESS(steady_ms() < deadline, "%s, not %s", text, want);
        pause_ms(20);
        assert_int_equal(describe(k, topic, name, text, sizeof text), 0);
    }
}

static void settings(struct kafka *k)
{
    const char *topic = kafka_name(k, "settings");
    char text[128];
    kafka_topic_create(k, topic, 1, "max.message.bytes=1000,cleanup.policy=compact");
    check_setting(k, topic, "max.message.bytes", "max.message.bytes=1000 1 3");
    check_setting(k, topic, "cleanup.policy", "cleanup.policy=compact 1 7");
    check_setting(k, topic, "message.timestamp.type", "message.timestamp.type=CreateTime 5 2");
    kafka_topic_configure(k, topic, "max.message.bytes=500,message.timestamp.type=LogAppendTime");
    check_setting(k, topic, "max.message.bytes", "max.message.bytes=500 1 3");
    check_setting(k, topic, "cleanup.policy", "cleanup.policy=delete 5 7");
    check_setting(k, topic, "message.timestamp.type", "message.timestamp.type=LogAppendTime 1 2");
    kafka_topic_configure(k, topic, "");
    check_setting(k, topic, "max.message.bytes", "max.message.bytes=1048588 5 3");
    assert_int_equal(describe(k, topic, "no.such.setting", text, sizeof text), 0);
    assert_string_equal(text, "");
    assert_int_equal(
        describe(k, kafka_name(k, "nobody"), "cleanup.policy", text, sizeof text), KB_UNKNOWN_TOPIC);
}

const struct scenario topic_scenarios[] = {
    { "given no such topic, when asked for and written, then an error", unknown_topic },
    { "given a topic that grows, when read and written, then the new partitions too", added_partitions },
    { "given a topic made anew, when looked at, then another id and nothing of the old", recreated_topic },
    { "given a consumer without a group's members, when it commits, then offset and metadata are there",
        committed_offsets },
    { "given metadata of an offset over the limit, when committed, then it is refused", long_metadata },
    { "given a deleted topic, when it comes again, then the group's offsets are gone",
        offsets_of_a_deleted_topic },
    { "given topics that can not be, when made, then each has its error", topics_that_can_not_be },
    { "given settings of a topic, when asked for and changed, then each with where it comes from", settings },
    { NULL, NULL },
};
