/* connectors/kafka/sink_private.h -- what the parts of the Kafka sink share.
 *
 *   sink_declare.c   the declaration
 *   sink.c           rows to messages: an instance's life, exactly once by the outbox
 *   sink_stream.c    the same at least once: messages go out while rows come
 *   sink_transact.c  outboxes to topics, one producer per slot
 *   sink_markers.c   which outbox a slot has sent last: the markers topic
 *   sink_topics.c    topics: made where they are missing, how many partitions, how large a message may be
 *   produce.c        one record to librdkafka       partition.c  which partition
 *   message_write.c  one row to key, value, headers        letter.c  the same of a dead letter
 *
 * Two classes, for delivery is known when the sink is declared: the one has outboxes, the other has none. */
#ifndef LEAT_CONNECTORS_KAFKA_SINK_PRIVATE_H
#define LEAT_CONNECTORS_KAFKA_SINK_PRIVATE_H
#include "connectors/kafka/letter.h"
#include "connectors/kafka/message.h"
#include "connectors/kafka/partition.h"
#include "topology/sink.h"

#define LEAT_KAFKA_TOPIC_BYTES_MAX 249u
#define LEAT_KAFKA_MESSAGE_BYTES_MAX 1048588u /* of a broker, where nobody says otherwise */

/* How large a message may be. What a record takes in a batch of its own, uncompressed (leat__kafka_record_bytes), is
 * compared with max.message.bytes of its topic, and with the user's message.max.bytes, when its row comes: so whatever a
 * codec makes of it, brokers take it. A batch of several must fit into the smallest topic of the producer, too; where it did
 * not, a new producer makes smaller ones. */

/* What is known of a topic. */
struct leat_kafka_topic {
    uint32_t partitions;
    uint32_t bytes_max; /* of a batch, hence of a message */
};

/* The coordinator's: a zeroed one is ready for use. */
struct leat_kafka_producers {
    struct leat_kafka_producer *first;
    struct leat_kafka_markers *markers; /* NULL: none yet */
    uint32_t batch_bytes; /* atomic: the largest batch that all topics take; 0: as the producer has it */
};

struct leat_kafka_target {
    struct leat_kafka_conn conn;
    const char *topic, *markers_topic;
    uint32_t partitions; /* of topics that are made; 0: none is */
    int16_t replication; /* -1: the brokers' default */
    const struct leat_kafka_layout *layout; /* NULL: of dead letters */
    const struct leat_kafka_letters *letters; /* or NULL */
    leat_kafka_partition_fn partition;
    void *partition_arg;
    bool has_event_time;
    bool changes; /* a stream of changes */
    const char *op_json; /* NULL, or what stands before the name of a change: "op": */
    struct leat_kafka_topic *
        seen; /* of `topic` when it was looked at last; bytes_max: no more than the client's. Atomic fields */
    struct leat_kafka_producers *producers; /* the coordinator's */
};

/* ---- topics (sink_topics.c): these block ----
 *
 * A topic may get more partitions, and another max.message.bytes, while a job runs. It is looked at again as often as
 * librdkafka does (topic.metadata.refresh.interval.ms), by whoever may block: the coordinator's side behind a transaction, or a
 * thread of librdkafka's. What was found counts for an instance from its next epoch on, so that each epoch has one number
 * of partitions, which its part of the checkpoint tells. */

LEAT_NODISCARD int leat__kafka_topic_look(struct leat_kafka_client *client, const char *name,
    struct leat_kafka_topic *topic, struct leat_error *err);
#define LEAT_KAFKA_LOOK_MS 5000 /* that looking again may take */
/* Whether it is time to look again: at most once in `every_ms` (not above 0: never). `last_ns`: when that was last. */
bool leat__kafka_look_is_due(struct leat_env *env, int64_t every_ms, int64_t *last_ns);
/* Looks at the topic again: never fewer partitions nor a higher limit than before, for clients were made for that one.
 * Fields of `topic` are atomic; whatever fails leaves them as they are. */
void leat__kafka_topic_look_again(
    struct leat_kafka_client *client, const char *name, struct leat_kafka_topic *topic);
/* The same in two halves: asks, without blocking; and what to do with the answer, where that may block. */
void leat__kafka_topic_ask(rd_kafka_t *rk, const char *name, rd_kafka_queue_t *queue);
void leat__kafka_topic_looked(const rd_kafka_event_t *event, struct leat_kafka_client *client,
    const char *name, struct leat_kafka_topic *topic);
/* Before there is a producer: how large a message may be, unless that is known. What is committed when a job goes on is
 * written before its sinks are checked. */
LEAT_NODISCARD int leat__kafka_sink_look(
    const struct leat_kafka_target *target, struct leat_env *env, struct leat_error *err);
/* The sink's own topic, made if it may be, and target->seen. */
LEAT_NODISCARD int leat__kafka_sink_check(
    const struct leat_node *node, struct leat_env *env, struct leat_error *err);
LEAT_NODISCARD int leat__kafka_sink_recover(const struct leat_node *node, struct leat_env *env,
    const struct leat_sv *parts, uint32_t count, struct leat_error *err);

/* ---- producing (produce.c) ---- */

/* A configuration for a producer of the target's messages. */
int64_t leat__kafka_number(const rd_kafka_conf_t *conf, const char *name); /* -1: it has none */
/* What the user lets a message have (message.max.bytes), or where that was left alone `otherwise`. */
uint32_t leat__kafka_client_bytes(const rd_kafka_conf_t *conf, uint32_t otherwise);
LEAT_NODISCARD int leat__kafka_producer_conf(const struct leat_kafka_target *target,
    enum leat_kafka_role role, struct leat_env *env, rd_kafka_conf_t **conf, struct leat_error *err);

#define LEAT_KAFKA_HANDLES_MAX 64u /* topics whose handles are kept */
struct leat_kafka_handles {
    rd_kafka_topic_t *handles[LEAT_KAFKA_HANDLES_MAX];
    uint32_t count;
};
/* NULL: librdkafka's last error. Borrowed, until release or so many others. */
rd_kafka_topic_t *leat__kafka_handle(struct leat_kafka_handles *handles, rd_kafka_t *rk, struct leat_sv name);
void leat__kafka_handles_release(struct leat_kafka_handles *handles);

/* Gives a copy of one record to the producer. RD_KAFKA_RESP_ERR__QUEUE_FULL: not now. */
rd_kafka_resp_err_t leat__kafka_produce(
    rd_kafka_t *rk, rd_kafka_topic_t *topic, const struct leat_outbox_record *record);
/* The same; a partition that this client has not heard of yet makes it ask the brokers, once: that blocks. */
rd_kafka_resp_err_t leat__kafka_produce_there(
    struct leat_kafka_client *client, rd_kafka_topic_t *topic, const struct leat_outbox_record *record);
/* Fills err of a message that was not written. One that was too large: topics are looked at again, so it blocks; where
 * smaller batches will do it is an error that passes. */
LEAT_NODISCARD int leat__kafka_not_written(const struct leat_kafka_target *target,
    struct leat_kafka_client *client, const struct leat_kafka_handles *handles, rd_kafka_resp_err_t code,
    struct leat_error *err);
/* Bytes that a record takes in a batch of its own, uncompressed: what brokers compare with max.message.bytes. */
uint64_t leat__kafka_record_bytes(const struct leat_outbox_record *record);

/* ---- markers (sink_markers.c): these block ---- */

/* What a slot's newest marker says. */
struct leat_kafka_marker {
    uint64_t epoch;
    uint64_t owner; /* who has fenced the slot last */
};
struct leat_kafka_markers; /* a reader of the topic */
LEAT_NODISCARD int leat__kafka_markers_new(const struct leat_kafka_target *target, struct leat_env *env,
    struct leat_kafka_markers **markers, struct leat_error *err);
void leat__kafka_markers_free(struct leat_kafka_markers *markers); /* NULL is fine */
/* Reads up to the end that the topic has now: 1, or 0 where the slot has no marker. */
LEAT_NODISCARD int leat__kafka_markers_read(struct leat_kafka_markers *markers, const char *key,
    struct leat_kafka_marker *marker, struct leat_error *err);
/* Partition of the topic where the slot's marker is. */
int32_t leat__kafka_markers_partition(const struct leat_kafka_markers *markers, const char *key);
/* "1 <epoch> <owner>". */
void leat__kafka_marker_print(const struct leat_kafka_marker *marker, char text[64]);

/* ---- rows to messages (sink.c) ---- */

/* What both kinds of instance have. */
struct leat_kafka_rows {
    struct leat_sink sink; /* first */
    const struct leat_kafka_target *target;
    struct leat_kafka_writer *writer; /* NULL: of dead letters */
    struct leat_strbuf headers; /* of one of those */
    struct leat_kafka_topic topic; /* the target's, as of this epoch */
    uint32_t client_bytes; /* that a producer takes, whatever the topic does */
    struct leat_kafka_spread spread;
    struct leat_kafka_topics *topics; /* those that records name */
    int64_t refresh_ms, looked_ns; /* of them: how often they are looked at, and when that was */
    struct leat_strbuf held; /* a message without value for a key whose UPDATE_BEFORE came last */
    struct leat_outbox_record held_record; /* its parts are in `held` */
    bool holds;
    uint32_t at; /* of the batch: the next row */
    /* Takes a message, or gives LEAT_WAIT when there is no room now; the record is asked for again then. */
    int (*take)(struct leat_kafka_rows *rows, struct leat__ctx *ctx, const struct leat_outbox_record *record);
};
LEAT_NODISCARD int leat__kafka_rows_open(struct leat_kafka_rows *rows, struct leat__ctx *ctx);
void leat__kafka_rows_close(struct leat_kafka_rows *rows);
/* All rows of the batch from rows->at on: 0, LEAT_WAIT, or an error. */
LEAT_NODISCARD int leat__kafka_rows_write(
    struct leat_kafka_rows *rows, struct leat__ctx *ctx, const struct leat_batch *batch);
/* What was held back: as above. */
LEAT_NODISCARD int leat__kafka_rows_end(struct leat_kafka_rows *rows, struct leat__ctx *ctx);

/* Behind the last row of an epoch: what is known of topics by now is what the next one goes by. */
void leat__kafka_rows_next(
    struct leat_kafka_rows *rows, struct leat__ctx *ctx, const struct leat_kafka_topic *seen);
int leat__kafka_rows_snapshot(struct leat_sink *sink, struct leat__ctx *ctx, struct leat_strbuf *out);
int leat__kafka_rows_restore(
    struct leat_sink *sink, struct leat__ctx *ctx, const struct leat_sv *parts, uint32_t count);
/* Of what a snapshot has written: how many partitions the topic had. */
LEAT_NODISCARD int leat__kafka_rows_partitions(
    struct leat_sv saved, uint32_t *partitions, struct leat_error *err);

int leat__kafka_seize(
    const struct leat_node *node, struct leat_env *env, const struct leat_slot *slot, struct leat_error *err);
int leat__kafka_fence(const struct leat_node *node, struct leat_env *env, const struct leat_slot *slot,
    uint64_t *marker_epoch, struct leat_error *err);
int leat__kafka_transact(const struct leat_node *node, struct leat_env *env, const struct leat_slot *slot,
    uint64_t epoch, struct leat_outbox_reader *records, struct leat_error *err);
void leat__kafka_release(const struct leat_node *node, struct leat_env *env, const struct leat_slot *slot);

extern const struct leat_sink_class leat__kafka_once_class, leat__kafka_stream_class;
#endif
