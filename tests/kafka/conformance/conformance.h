/* tests/kafka/conformance/conformance.h -- what the test broker and Apache Kafka must do alike.
 *
 * A scenario is a function of a broker and knows not which. Those through librdkafka see what connectors see; those of raw
 * requests see numbers that it hides. Where the two brokers differ, Kafka is right and the test broker is mended. */
#ifndef LEAT_TESTS_KAFKA_CONFORMANCE_CONFORMANCE_H
#define LEAT_TESTS_KAFKA_CONFORMANCE_CONFORMANCE_H
#include "tests/kafka/broker/broker.h"
#include "tests/support/kafka.h"
#include "tests/support/unit.h"

enum { WAIT_MS = 60000 };

/* Clients (clients.c). Values are the text; failures fail the test. */
rd_kafka_t *producer_new(
    struct kafka *kafka, const char *transactional_id, const char *timeout_ms, const char *compression);
void init_transactions(rd_kafka_t *producer);
void begin(rd_kafka_t *producer);
/* Produces and waits for its report, whose error it gives. */
rd_kafka_resp_err_t produce_wait(
    rd_kafka_t *producer, const char *topic, int32_t partition, const char *value, size_t len);
void produce_text(rd_kafka_t *producer, const char *topic, int32_t partition, const char *value);
void commit(rd_kafka_t *producer);
void abort_transaction(rd_kafka_t *producer);
/* Offsets of a transaction, for a group without members. */
rd_kafka_error_t *send_offset(rd_kafka_t *producer, const char *group, const char *topic, int32_t partition,
    int64_t offset, const char *metadata);
/* The end for a reader of the level. */
int64_t end_of(struct kafka *kafka, const char *topic, int32_t partition, bool committed);
/* The values of partition 0 that a reader sees, a line each "offset value", compared. */
void check_values(struct kafka *kafka, const char *topic, bool committed, const char *want);
rd_kafka_t *consumer_at(
    struct kafka *kafka, const char *topic, int32_t partition, int64_t offset, const char *wait_ms);
/* The first message or error that is no passing one. */
rd_kafka_message_t *poll_one(rd_kafka_t *consumer);
void pause_ms(long ms);
int64_t steady_ms(void);

/* Raw requests (raw.c): a connection of its own each. */
struct raw {
    struct kb_out out; /* the body of the request */
    struct kb_out answer;
    struct kb_in in; /* the body of the answer */
};
/* A request in a version, to be filled by kb_put_*. */
void raw_begin(struct raw *raw, bool flexible);
void raw_send(struct kafka *kafka, struct raw *raw, int16_t api, int16_t version);
void raw_end(struct raw *raw);
int16_t raw_init(struct kafka *kafka, const char *id, int32_t timeout_ms, int64_t *pid, int16_t *epoch);
int16_t raw_add_partition(struct kafka *kafka, const char *id, int64_t pid, int16_t epoch, const char *topic);
int16_t raw_end_txn(struct kafka *kafka, const char *id, int64_t pid, int16_t epoch, bool commit);
/* One record with the value into partition 0; id NULL: no transaction; pid -1: no producer id. */
int16_t raw_produce(struct kafka *kafka, const char *id, int64_t pid, int16_t epoch, int32_t sequence,
    const char *topic, const char *value, int64_t *base);
/* The same with whatever bytes are meant to be a batch. */
int16_t raw_produce_bytes(
    struct kafka *kafka, const char *id, const char *topic, const uint8_t *data, size_t size, int64_t *base);
/* A batch of one record, uncompressed. */
void raw_batch(
    struct kb_out *out, int64_t pid, int16_t epoch, int32_t sequence, bool transactional, const char *value);
void raw_topic_id(struct kafka *kafka, const char *topic, uint8_t *id);
/* Offset of a group, -1: none; *error: of the partition. */
int64_t raw_offset(struct kafka *kafka, const char *group, const char *topic, bool stable, int16_t *error);

struct scenario {
    const char *name;
    void (*run)(struct kafka *kafka);
};
/* Tables end with a NULL. */
extern const struct scenario data_scenarios[], transaction_scenarios[], topic_scenarios[],
    protocol_scenarios[];
#endif
