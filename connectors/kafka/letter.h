/* connectors/kafka/letter.h -- dead letters as messages: the message as it was, and headers that say what became of it.
 *
 * A letter about a message of Kafka is that message: key, value and headers as they were, byte by byte. Behind its own
 * headers come those about the error, under names that others know (Kafka Connect's, Kafka Streams'), and at last
 * leat.dlq.*, which are Leat's alone: of a message that has some already they are replaced, so that `attempts` goes on
 * and `first-seen` stays. LEAT_DLQ_OWN tells how many headers were there before, so that whoever puts the message back
 * (tools/dlq_message.c) leaves no trace of the errors, whatever else had such names.
 *
 * A letter about anything else (a line of a file, a record that a callback has refused) is its bytes, or the record as JSON,
 * without key. */
#ifndef LEAT_CONNECTORS_KAFKA_LETTER_H
#define LEAT_CONNECTORS_KAFKA_LETTER_H
#include "base/strbuf.h"
#include "connectors/kafka/message.h"
#include <leat/stream.h>

#define LEAT_DLQ_PREFIX "leat.dlq."
#define LEAT_DLQ_JOB LEAT_DLQ_PREFIX "job"
#define LEAT_DLQ_NODE LEAT_DLQ_PREFIX "node"
#define LEAT_DLQ_CLASS LEAT_DLQ_PREFIX "class"
#define LEAT_DLQ_ERROR LEAT_DLQ_PREFIX "error"
#define LEAT_DLQ_TOPIC LEAT_DLQ_PREFIX "topic" /* of messages: where it was */
#define LEAT_DLQ_PARTITION LEAT_DLQ_PREFIX "partition"
#define LEAT_DLQ_OFFSET LEAT_DLQ_PREFIX "offset"
#define LEAT_DLQ_TIMESTAMP LEAT_DLQ_PREFIX "timestamp" /* the message's own, in milliseconds */
#define LEAT_DLQ_SPLIT LEAT_DLQ_PREFIX "split" /* of other sources: file, place in it */
#define LEAT_DLQ_POSITION LEAT_DLQ_PREFIX "position"
#define LEAT_DLQ_FAILED_AT LEAT_DLQ_PREFIX "failed-at" /* RFC 3339 */
#define LEAT_DLQ_FIRST_SEEN LEAT_DLQ_PREFIX "first-seen" /* the same, of the first time that it failed */
#define LEAT_DLQ_ATTEMPTS LEAT_DLQ_PREFIX "attempts" /* how often it has failed */
#define LEAT_DLQ_OWN LEAT_DLQ_PREFIX "own-headers" /* how many headers it had */

#define LEAT_CONNECT_PREFIX "__connect.errors."
#define LEAT_STREAMS_PREFIX "__streams.errors."

/* What a sink of dead letters is. */
struct leat_kafka_letters {
    const char *job;
    enum leat_kafka_error_headers errors;
};

/* The letter as a message; `headers` is the memory of its headers. LEAT_EDATA where it can not be one. */
LEAT_NODISCARD int leat__kafka_letter_write(const struct leat_kafka_letters *letters, const char *own_topic,
    const struct leat_dead_letter *letter, struct leat_strbuf *headers, struct leat_kafka_written *written,
    struct leat_error *err);
/* The number that a header has as text; -1: none. */
int64_t leat__kafka_header_number(struct leat_sv text);
#endif
