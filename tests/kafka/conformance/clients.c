/* tests/kafka/conformance/clients.c -- what scenarios do through librdkafka. */
#include "tests/kafka/conformance/conformance.h"
#include <stdio.h>
#include <time.h>

void pause_ms(long ms)
{
    const struct timespec some = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
    (void)nanosleep(&some, NULL);
}

int64_t steady_ms(void)
{
    struct timespec now = { 0 };
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char reason[256];
    if (value)
        FAIL_UNLESS(
            rd_kafka_conf_set(conf, name, value, reason, sizeof reason) == RD_KAFKA_CONF_OK, "%s", reason);
}

struct report {
    bool there;
    rd_kafka_resp_err_t code;
};

static void take_report(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    (void)client;
    (void)opaque;
    struct report *report = message->_private;
    report->there = true;
    report->code = message->err;
}

static void be_silent(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
    (void)client;
    (void)level;
    (void)facility;
    (void)text;
}

static rd_kafka_t *client_new(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
    char reason[256];
    rd_kafka_conf_set_log_cb(conf, be_silent); /* errors are what these tests are about */
    rd_kafka_t *client = rd_kafka_new(type, conf, reason, sizeof reason);
    FAIL_UNLESS(client, "no client: %s", reason);
    return client;
}

rd_kafka_t *producer_new(
    struct kafka *k, const char *transactional_id, const char *timeout_ms, const char *compression)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", kafka_bootstrap(k));
    set(conf, "linger.ms", "0");
    set(conf, "message.max.bytes", "4000000"); /* more than brokers take */
    set(conf, "transactional.id", transactional_id);
    set(conf, "transaction.timeout.ms", timeout_ms);
    set(conf, "compression.type", compression);
    /* It must not be longer than the transaction may take. */
    set(conf, "message.timeout.ms", timeout_ms);
    rd_kafka_conf_set_dr_msg_cb(conf, take_report);
    return client_new(RD_KAFKA_PRODUCER, conf);
}

static void must(rd_kafka_error_t *error, const char *what)
{
    FAIL_UNLESS(!error, "%s: %s (%d)", what, rd_kafka_error_string(error), rd_kafka_error_code(error));
}

void init_transactions(rd_kafka_t *producer)
{
    must(rd_kafka_init_transactions(producer, WAIT_MS), "init");
}

void begin(rd_kafka_t *producer)
{
    must(rd_kafka_begin_transaction(producer), "begin");
}

void commit(rd_kafka_t *producer)
{
    must(rd_kafka_commit_transaction(producer, WAIT_MS), "commit");
}

void abort_transaction(rd_kafka_t *producer)
{
    must(rd_kafka_abort_transaction(producer, WAIT_MS), "abort");
}

rd_kafka_resp_err_t produce_wait(
    rd_kafka_t *producer, const char *topic, int32_t partition, const char *value, size_t len)
{
    static struct report report; /* one at a time; late reports of a failed test find it */
    report = (struct report){ 0 };
    /* With a handle the client asks for the topic at once, else at its next look, which is each second. */
    rd_kafka_topic_t *handle = rd_kafka_topic_new(producer, topic, NULL);
    const int64_t deadline = steady_ms() + WAIT_MS;
    const rd_kafka_resp_err_t code =
        rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
            RD_KAFKA_V_KEY((void *)(uintptr_t) "k", 1), RD_KAFKA_V_VALUE((void *)(uintptr_t)value, len),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_OPAQUE(&report), RD_KAFKA_V_END);
    while (!code && !report.there) {
        FAIL_UNLESS(steady_ms() < deadline, "no report of a record for %s", topic);
        (void)rd_kafka_poll(producer, 100);
    }
    rd_kafka_topic_destroy(handle);
    return code ? code : report.code;
}

void produce_text(rd_kafka_t *producer, const char *topic, int32_t partition, const char *value)
{
    const rd_kafka_resp_err_t code = produce_wait(producer, topic, partition, value, strlen(value));
    FAIL_UNLESS(!code, "%s not produced to %s: %s", value, topic, rd_kafka_err2str(code));
}

rd_kafka_error_t *send_offset(rd_kafka_t *producer, const char *group, const char *topic, int32_t partition,
    int64_t offset, const char *metadata)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *place = rd_kafka_topic_partition_list_add(list, topic, partition);
    place->offset = offset;
    place->metadata = strdup(metadata);
    place->metadata_size = strlen(metadata);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "group.id", group);
    rd_kafka_t *consumer = client_new(RD_KAFKA_CONSUMER, conf);
    rd_kafka_consumer_group_metadata_t *member = rd_kafka_consumer_group_metadata_new(group);
    rd_kafka_error_t *error = rd_kafka_send_offsets_to_transaction(producer, list, member, WAIT_MS);
    rd_kafka_consumer_group_metadata_destroy(member);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(consumer);
    return error;
}

int64_t end_of(struct kafka *k, const char *topic, int32_t partition, bool committed)
{
    int64_t low = -1, high = -1;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", kafka_bootstrap(k));
    set(conf, "group.id", "outside");
    set(conf, "isolation.level", committed ? "read_committed" : "read_uncommitted");
    rd_kafka_t *consumer = client_new(RD_KAFKA_CONSUMER, conf);
    const rd_kafka_resp_err_t code =
        rd_kafka_query_watermark_offsets(consumer, topic, partition, &low, &high, WAIT_MS);
    FAIL_UNLESS(!code, "offsets of %s: %s", topic, rd_kafka_err2str(code));
    rd_kafka_destroy(consumer);
    return high;
}

void check_values(struct kafka *k, const char *topic, bool committed, const char *want)
{
    char got[4096];
    size_t len = 0;
    got[0] = '\0';
    struct kafka_records *records = kafka_read(k, topic, committed);
    for (size_t i = 0; i < records->count && len < sizeof got; i++)
        len += (size_t)snprintf(got + len, sizeof got - len, "%lld %.*s\n",
            (long long)records->records[i].offset, (int)records->records[i].value_len,
            (const char *)records->records[i].value);
    kafka_records_free(records);
    FAIL_UNLESS(strcmp(got, want) == 0, "%s, %s: got\n%swanted\n%s", topic,
        committed ? "read_committed" : "all", got, want);
}

rd_kafka_t *consumer_at(
    struct kafka *k, const char *topic, int32_t partition, int64_t offset, const char *wait_ms)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", kafka_bootstrap(k));
    set(conf, "group.id", "outside");
    set(conf, "isolation.level", "read_committed");
    set(conf, "auto.offset.reset", "error");
    set(conf, "enable.auto.commit", "false");
    set(conf, "fetch.wait.max.ms", wait_ms);
    rd_kafka_t *consumer = client_new(RD_KAFKA_CONSUMER, conf);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = offset;
    FAIL_UNLESS(!rd_kafka_assign(consumer, list), "%s is not assigned", topic);
    rd_kafka_topic_partition_list_destroy(list);
    return consumer;
}

rd_kafka_message_t *poll_one(rd_kafka_t *consumer)
{
    const int64_t deadline = steady_ms() + WAIT_MS;
    for (;;) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, 500);
        if (message && message->err != RD_KAFKA_RESP_ERR__TRANSPORT)
            return message;
        if (message)
            rd_kafka_message_destroy(message);
        FAIL_UNLESS(steady_ms() < deadline, "neither a message nor an error came");
    }
}
