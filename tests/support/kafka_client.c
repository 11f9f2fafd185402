/* tests/support/kafka_client.c -- topics, producing and reading from outside, by plain clients of librdkafka.
 *
 * Every look has a client of its own, so that nothing it has learnt before hides what is there now. Messages are read one
 * by one with rd_kafka_consumer_poll (docs of connectors/kafka say why never in batches). */
#include "tests/support/kafka_private.h"
#include "tests/support/unit.h"
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <time.h>

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char reason[256];
    FAIL_UNLESS(
        rd_kafka_conf_set(conf, name, value, reason, sizeof reason) == RD_KAFKA_CONF_OK, "%s", reason);
}

static void count_report(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    (void)client;
    (void)opaque;
    size_t *reports = message->_private;
    if (message->err)
        fail_msg("not delivered: %s", rd_kafka_err2str(message->err));
    ++*reports;
}

rd_kafka_t *kafka__client(struct kafka *k, rd_kafka_type_t type, ...)
{
    char reason[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", k->bootstrap);
    if (type == RD_KAFKA_PRODUCER)
        rd_kafka_conf_set_dr_msg_cb(conf, count_report);
    va_list args;
    va_start(args, type);
    const char *name;
    while ((name = va_arg(args, const char *)) != NULL)
        set(conf, name, va_arg(args, const char *));
    va_end(args);
    rd_kafka_t *client = rd_kafka_new(type, conf, reason, sizeof reason);
    FAIL_UNLESS(client, "no client: %s", reason);
    return client;
}

static int64_t now_ms(void)
{
    struct timespec now = { 0 };
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void pause_ms(long ms)
{
    const struct timespec some = { .tv_nsec = ms * 1000000 };
    (void)nanosleep(&some, NULL);
}

/* Partitions that have a leader; -1: the topic is not there. */
static int partitions_of(rd_kafka_t *client, const char *topic)
{
    const rd_kafka_metadata_t *metadata = NULL;
    int count = -1;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(client, topic, NULL);
    if (rd_kafka_metadata(client, 0, handle, &metadata, 10000) == RD_KAFKA_RESP_ERR_NO_ERROR &&
        metadata->topic_cnt == 1 && metadata->topics[0].err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        count = 0;
        for (int p = 0; p < metadata->topics[0].partition_cnt; p++)
            count += metadata->topics[0].partitions[p].leader >= 0;
    }
    if (metadata)
        rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(handle);
    return count;
}

static void wait_for_partitions(struct kafka *k, const char *topic, int want)
{
    const int64_t deadline = now_ms() + KAFKA_WAIT_MS;
    rd_kafka_t *client = kafka__client(k, RD_KAFKA_PRODUCER, NULL);
    int got;
    while ((got = partitions_of(client, topic)) != want) {
        FAIL_UNLESS(now_ms() < deadline, "topic %s has %d partitions for too long, not %d", topic, got, want);
        pause_ms(20);
    }
    rd_kafka_destroy(client);
}

/* Waits for the answer to an administrative request; fails on an error of it. */
static rd_kafka_event_t *await(rd_kafka_queue_t *queue, const char *what)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, KAFKA_WAIT_MS);
    FAIL_UNLESS(event, "%s: no answer", what);
    FAIL_UNLESS(!rd_kafka_event_error(event), "%s: %s", what, rd_kafka_event_error_string(event));
    return event;
}

static void check_results(const rd_kafka_topic_result_t **results, size_t count, const char *what)
{
    for (size_t i = 0; i < count; i++)
        FAIL_UNLESS(!rd_kafka_topic_result_error(results[i]), "%s: %s", what,
            rd_kafka_topic_result_error_string(results[i]));
}

/* Calls `set_one` for each of "name=value,name=value". */
static void each_config(const char *configs,
    rd_kafka_resp_err_t (*set_one)(void *of, const char *name, const char *value), void *of)
{
    char text[512];
    char *rest = NULL;
    (void)snprintf(text, sizeof text, "%s", configs ? configs : "");
    for (char *each = strtok_r(text, ",", &rest); each; each = strtok_r(NULL, ",", &rest)) {
        char *value = strchr(each, '=');
        FAIL_UNLESS(value, "a configuration is name=value, not %s", each);
        *value++ = '\0';
        (void)set_one(of, each, value);
    }
}

static rd_kafka_resp_err_t set_of_new(void *of, const char *name, const char *value)
{
    return rd_kafka_NewTopic_set_config(of, name, value);
}

static rd_kafka_resp_err_t set_of_resource(void *of, const char *name, const char *value)
{
    return rd_kafka_ConfigResource_set_config(of, name, value);
}

void kafka_topic_configure(struct kafka *k, const char *topic, const char *configs)
{
    size_t count = 0;
    rd_kafka_queue_t *queue = rd_kafka_queue_new(k->client);
    rd_kafka_ConfigResource_t *wanted = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    each_config(configs, set_of_resource, wanted);
    rd_kafka_AlterConfigs(k->client, &wanted, 1, NULL, queue);
    rd_kafka_event_t *event = await(queue, "AlterConfigs");
    const rd_kafka_ConfigResource_t **results =
        rd_kafka_AlterConfigs_result_resources(rd_kafka_event_AlterConfigs_result(event), &count);
    FAIL_UNLESS(count == 1 && !rd_kafka_ConfigResource_error(results[0]), "%s: %s", topic,
        count == 1 ? rd_kafka_ConfigResource_error_string(results[0]) : "no answer");
    rd_kafka_event_destroy(event);
    rd_kafka_ConfigResource_destroy(wanted);
    rd_kafka_queue_destroy(queue);
}

void kafka_topic_create(struct kafka *k, const char *topic, int32_t partitions, const char *configs)
{
    char reason[256];
    size_t count = 0;
    if (k->mock) {
        FAIL_UNLESS(!configs, "the mock takes no configuration of topics");
        FAIL_UNLESS(rd_kafka_mock_topic_create(k->mock, topic, partitions, 1) == RD_KAFKA_RESP_ERR_NO_ERROR,
            "the mock does not make topic %s", topic);
        return;
    }
    rd_kafka_queue_t *queue = rd_kafka_queue_new(k->client);
    rd_kafka_NewTopic_t *wanted = rd_kafka_NewTopic_new(topic, partitions, 1, reason, sizeof reason);
    FAIL_UNLESS(wanted, "topic %s: %s", topic, reason);
    /* Tests write times of long ago, and retention goes by them. */
    (void)rd_kafka_NewTopic_set_config(wanted, "retention.ms", "-1");
    each_config(configs, set_of_new, wanted);
    rd_kafka_CreateTopics(k->client, &wanted, 1, NULL, queue);
    rd_kafka_event_t *event = await(queue, "CreateTopics");
    const rd_kafka_topic_result_t **results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    check_results(results, count, topic);
    rd_kafka_event_destroy(event);
    rd_kafka_NewTopic_destroy(wanted);
    rd_kafka_queue_destroy(queue);
    wait_for_partitions(k, topic, partitions);
}

void kafka_topic_delete(struct kafka *k, const char *topic)
{
    size_t count = 0;
    rd_kafka_queue_t *queue = rd_kafka_queue_new(k->client);
    rd_kafka_DeleteTopic_t *wanted = rd_kafka_DeleteTopic_new(topic);
    rd_kafka_DeleteTopics(k->client, &wanted, 1, NULL, queue);
    rd_kafka_event_t *event = await(queue, "DeleteTopics");
    const rd_kafka_topic_result_t **results =
        rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count);
    check_results(results, count, topic);
    rd_kafka_event_destroy(event);
    rd_kafka_DeleteTopic_destroy(wanted);
    rd_kafka_queue_destroy(queue);
    wait_for_partitions(k, topic, -1);
}

void kafka_topic_grow(struct kafka *k, const char *topic, int32_t partitions)
{
    char reason[256];
    size_t count = 0;
    rd_kafka_queue_t *queue = rd_kafka_queue_new(k->client);
    rd_kafka_NewPartitions_t *wanted =
        rd_kafka_NewPartitions_new(topic, (size_t)partitions, reason, sizeof reason);
    FAIL_UNLESS(wanted, "topic %s: %s", topic, reason);
    rd_kafka_CreatePartitions(k->client, &wanted, 1, NULL, queue);
    rd_kafka_event_t *event = await(queue, "CreatePartitions");
    const rd_kafka_topic_result_t **results =
        rd_kafka_CreatePartitions_result_topics(rd_kafka_event_CreatePartitions_result(event), &count);
    check_results(results, count, topic);
    rd_kafka_event_destroy(event);
    rd_kafka_NewPartitions_destroy(wanted);
    rd_kafka_queue_destroy(queue);
    wait_for_partitions(k, topic, partitions);
}

void kafka_truncate(struct kafka *k, const char *topic, int32_t partition, int64_t offset)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(k->client);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = offset;
    rd_kafka_DeleteRecords_t *wanted = rd_kafka_DeleteRecords_new(list);
    rd_kafka_DeleteRecords(k->client, &wanted, 1, NULL, queue);
    rd_kafka_event_t *event = await(queue, "DeleteRecords");
    const rd_kafka_topic_partition_list_t *done =
        rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event));
    FAIL_UNLESS(done->cnt == 1 && !done->elems[0].err, "%s: not truncated: %s", topic,
        rd_kafka_err2str(done->elems[0].err));
    rd_kafka_event_destroy(event);
    rd_kafka_DeleteRecords_destroy(wanted);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_queue_destroy(queue);
}

void kafka_produce(struct kafka *k, const char *topic, const struct kafka_record *records, size_t count)
{
    size_t reports = 0;
    const int64_t deadline = now_ms() + KAFKA_WAIT_MS;
    rd_kafka_t *client = kafka__client(k, RD_KAFKA_PRODUCER, "linger.ms", "0", NULL);
    for (size_t i = 0; i < count; i++) {
        const struct kafka_record *r = &records[i];
        rd_kafka_headers_t *headers = rd_kafka_headers_new(r->headers_count);
        for (size_t h = 0; h < r->headers_count; h++)
            (void)rd_kafka_header_add(headers, r->headers[h].name, -1, r->headers[h].value,
                r->headers[h].value ? (ssize_t)r->headers[h].len : -1);
        const rd_kafka_resp_err_t code = rd_kafka_producev(client, RD_KAFKA_V_TOPIC(topic),
            RD_KAFKA_V_PARTITION(r->partition),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY | RD_KAFKA_MSG_F_BLOCK),
            RD_KAFKA_V_KEY((void *)(uintptr_t)r->key, r->key_len),
            RD_KAFKA_V_VALUE((void *)(uintptr_t)r->value, r->value_len), RD_KAFKA_V_TIMESTAMP(r->timestamp),
            RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE(&reports), RD_KAFKA_V_END);
        FAIL_UNLESS(!code, "not produced to %s: %s", topic, rd_kafka_err2str(code));
        (void)rd_kafka_poll(client, 0);
    }
    while (reports < count) {
        FAIL_UNLESS(now_ms() < deadline, "%zu of %zu records were delivered to %s", reports, count, topic);
        (void)rd_kafka_poll(client, 100);
    }
    rd_kafka_destroy(client);
}

void kafka_produce_text(
    struct kafka *k, const char *topic, int32_t partition, const char *key, const char *value)
{
    const struct kafka_record record = { .partition = partition,
        .key = key,
        .key_len = key ? strlen(key) : 0,
        .value = value,
        .value_len = value ? strlen(value) : 0 };
    kafka_produce(k, topic, &record, 1);
}

/* Records as they come, copied: `messages` are kept until the list is freed, and the list refers to them. */
struct reading {
    struct kafka_records records;
    rd_kafka_message_t **messages;
    struct kafka_header **headers;
    size_t room;
    rd_kafka_t *client;
};

static void take_headers(struct reading *reading, size_t i)
{
    rd_kafka_headers_t *headers = NULL;
    if (rd_kafka_message_headers(reading->messages[i], &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    struct kafka_record *record = &reading->records.records[i];
    const size_t count = rd_kafka_header_cnt(headers);
    reading->headers[i] = calloc(count + 1, sizeof(struct kafka_header));
    for (size_t h = 0; h < count; h++)
        (void)rd_kafka_header_get_all(headers, h, &reading->headers[i][h].name, &reading->headers[i][h].value,
            &reading->headers[i][h].len);
    record->headers = reading->headers[i];
    record->headers_count = count;
}

static void take(struct reading *reading, rd_kafka_message_t *message)
{
    const size_t i = reading->records.count;
    if (i == reading->room) {
        reading->room = 2 * reading->room + 64;
        reading->records.records =
            realloc(reading->records.records, reading->room * sizeof(struct kafka_record));
        reading->messages = realloc(reading->messages, reading->room * sizeof(rd_kafka_message_t *));
        reading->headers = realloc(reading->headers, reading->room * sizeof(struct kafka_header *));
    }
    reading->messages[i] = message;
    reading->headers[i] = NULL;
    reading->records.records[i] = (struct kafka_record){ .partition = message->partition,
        .offset = message->offset,
        .timestamp = rd_kafka_message_timestamp(message, NULL),
        .key = message->key,
        .key_len = message->key_len,
        .value = message->payload,
        .value_len = message->len };
    take_headers(reading, i);
    reading->records.count++;
}

static int by_place(const void *a, const void *b)
{
    const struct kafka_record *x = a, *y = b;
    if (x->partition != y->partition)
        return x->partition < y->partition ? -1 : 1;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static void read_to_the_end(struct reading *reading, const char *topic, int partitions)
{
    const int64_t deadline = now_ms() + KAFKA_WAIT_MS;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
    for (int p = 0; p < partitions; p++)
        rd_kafka_topic_partition_list_add(list, topic, p)->offset = RD_KAFKA_OFFSET_BEGINNING;
    FAIL_UNLESS(
        rd_kafka_assign(reading->client, list) == RD_KAFKA_RESP_ERR_NO_ERROR, "%s: not assigned", topic);
    rd_kafka_topic_partition_list_destroy(list);
    int ended = 0;
    while (ended < partitions) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(reading->client, 1000);
        FAIL_UNLESS(now_ms() < deadline, "%s: read for too long, the end of %d of %d partitions seen", topic,
            ended, partitions);
        if (!message)
            continue;
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            take(reading, message);
            continue;
        }
        FAIL_UNLESS(
            message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF || message->err == RD_KAFKA_RESP_ERR__TRANSPORT,
            "%s: %s", topic, rd_kafka_message_errstr(message));
        ended += message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
        rd_kafka_message_destroy(message);
    }
}

struct kafka_records *kafka_read(struct kafka *k, const char *topic, bool committed)
{
    struct reading *reading = calloc(1, sizeof *reading);
    FAIL_UNLESS(reading, "out of memory");
    reading->client = kafka__client(k, RD_KAFKA_CONSUMER, "group.id", "outside", "enable.auto.commit",
        "false", "isolation.level", committed ? "read_committed" : "read_uncommitted", "enable.partition.eof",
        "true", "fetch.wait.max.ms", "20", "check.crcs", "true", "auto.offset.reset", "error", NULL);
    int partitions = partitions_of(reading->client, topic);
    FAIL_UNLESS(partitions >= 0, "topic %s is not there", topic);
    read_to_the_end(reading, topic, partitions);
    if (reading->records.count)
        qsort(reading->records.records, reading->records.count, sizeof(struct kafka_record), by_place);
    reading->records.memory = reading;
    return &reading->records;
}

void kafka_records_free(struct kafka_records *records)
{
    struct reading *reading = records->memory;
    for (size_t i = 0; i < records->count; i++) {
        rd_kafka_message_destroy(reading->messages[i]);
        free(reading->headers[i]);
    }
    (void)rd_kafka_consumer_close(reading->client);
    rd_kafka_destroy(reading->client);
    free(records->records);
    free(reading->messages);
    free(reading->headers);
    free(reading);
}

static void print_bytes(FILE *out, const void *data, size_t len, bool last)
{
    if (!data)
        (void)fputc('-', out);
    else
        (void)fwrite(data, 1, len, out);
    (void)fputc(last ? '\n' : ' ', out);
}

char *kafka_read_text(struct kafka *k, const char *topic, bool committed)
{
    char *text = NULL;
    size_t size = 0;
    struct kafka_records *records = kafka_read(k, topic, committed);
    FILE *out = open_memstream(&text, &size);
    FAIL_UNLESS(out, "out of memory");
    for (size_t i = 0; i < records->count; i++) {
        const struct kafka_record *r = &records->records[i];
        (void)fprintf(out, "%d %lld ", r->partition, (long long)r->offset);
        print_bytes(out, r->key, r->key_len, false);
        print_bytes(out, r->value, r->value_len, true);
    }
    (void)fclose(out);
    kafka_records_free(records);
    return text;
}

int64_t kafka_committed(struct kafka *k, const char *group, const char *topic, int32_t partition,
    char *metadata, size_t metadata_size)
{
    rd_kafka_t *client = kafka__client(k, RD_KAFKA_CONSUMER, "group.id", group, NULL);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition);
    const rd_kafka_resp_err_t code = rd_kafka_committed(client, list, KAFKA_WAIT_MS);
    FAIL_UNLESS(!code && !list->elems[0].err, "offset of group %s: %s", group,
        rd_kafka_err2str(code ? code : list->elems[0].err));
    const int64_t offset = list->elems[0].offset;
    if (metadata)
        (void)snprintf(metadata, metadata_size, "%.*s", (int)list->elems[0].metadata_size,
            list->elems[0].metadata ? (const char *)list->elems[0].metadata : "");
    rd_kafka_topic_partition_list_destroy(list);
    (void)rd_kafka_consumer_close(client);
    rd_kafka_destroy(client);
    return offset;
}
