/* tools/dlq.h -- messages of a topic of dead letters: what their headers say, and what was left behind by a retry.
 *
 * Letters that Leat has written (connectors/kafka/letter.h), and those of Kafka Connect and Kafka Streams. */
#ifndef LEAT_TOOLS_DLQ_H
#define LEAT_TOOLS_DLQ_H
#include "connectors/kafka/letter.h"
#include "tools/kafka_tool.h"

/* Views of the message. data NULL: it does not say. */
struct leat_dlq_message {
    const rd_kafka_message_t *message;
    rd_kafka_headers_t *headers; /* NULL: none */
    struct leat_sv job, node, error_class, error, topic, split, failed_at, first_seen;
    int64_t partition, offset, position; /* -1: it does not say */
    int64_t timestamp_ms; /* of the original; -1: it does not say */
    int64_t attempts; /* at least 1 */
    int64_t own_headers; /* how many were its own; -1: it does not say, as it is not Leat's */
};
void leat__dlq_read(const rd_kafka_message_t *message, struct leat_dlq_message *letter);
/* Whether --class and --node take it. */
bool leat__dlq_is_wanted(const struct leat_kafka_tool *tool, const struct leat_dlq_message *letter);
/* The headers of the message that it was, and what leat.dlq.* goes back with it; NULL when out of memory. */
rd_kafka_headers_t *leat__dlq_original_headers(const struct leat_dlq_message *letter);

/* ---- what was left (dlq_left.c) ----
 *
 * A retry passes over messages that it is not to put back, and a later one may be told otherwise. So what is committed
 * for a partition is the offset behind all that was looked at, and as its metadata the offsets below it that were left:
 * "left 17,3x2", each as its distance from the end of the one before, x how many there are in a row. */
#define LEAT_DLQ_LEFT_BYTES_MAX 4000u /* brokers take 4096 (offset.metadata.max.bytes) */
struct leat_dlq_left {
    int64_t *offsets; /* rising */
    size_t count, capacity;
};
void leat__dlq_left_release(struct leat_dlq_left *left);
LEAT_NODISCARD int leat__dlq_left_add(struct leat_dlq_left *left, int64_t offset); /* 0 or LEAT_ENOMEM */
bool leat__dlq_left_has(const struct leat_dlq_left *left, int64_t offset);
/* LEAT_EDATA when it is none; no text is an empty one. */
LEAT_NODISCARD int leat__dlq_left_read(const char *text, size_t len, struct leat_dlq_left *left);
/* `a`, and those of `b` that are not below `from`. Nothing is written for none. LEAT_ELIMIT: they are too many. */
LEAT_NODISCARD int leat__dlq_left_write(
    const struct leat_dlq_left *a, const struct leat_dlq_left *b, int64_t from, struct leat_strbuf *out);
#endif
