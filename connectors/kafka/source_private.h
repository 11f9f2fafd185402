/* connectors/kafka/source_private.h -- what the files of the Kafka source share.
 *
 *   source_declare.c   the declaration: what can be checked without a broker
 *   splits.c           before the job: topics, partitions, where each begins and ends; later: which have come
 *   position.c         where a partition is, as text of checkpoints
 *   source.c           the class: one client for each worker, one queue for each partition
 *   publish.c          offsets to a consumer group, for who watches lag
 *   bad_message.c      a bad row with all of its message, for dead letters
 *
 * Every start is a number before the first worker runs: "latest" and the end of a bounded read are one moment for all
 * partitions, and are in every checkpoint. */
#ifndef LEAT_CONNECTORS_KAFKA_SOURCE_PRIVATE_H
#define LEAT_CONNECTORS_KAFKA_SOURCE_PRIVATE_H
#include "connectors/kafka/client.h"
#include "connectors/kafka/message.h"
#include "topology/declare.h"
#include "topology/source.h"
#include "topology/source_time.h"

/* Of start_offsets: "orders/0:17". */
struct leat_kafka_given {
    const char *topic;
    int32_t partition;
    int64_t offset; /* or RD_KAFKA_OFFSET_BEGINNING, RD_KAFKA_OFFSET_END */
};

struct leat_kafka_source {
    struct leat_kafka_conn conn;
    const struct leat_kafka_layout *layout;
    const char *const *topics; /* names; or one pattern */
    uint32_t topics_count;
    bool is_pattern;
    enum leat_kafka_start start;
    int64_t start_us;
    const struct leat_kafka_given *given;
    uint32_t given_count;
    bool bounded, read_uncommitted;
    const char *group; /* NULL: offsets are not published */
};

/* A partition, as data of its split. */
struct leat_kafka_partition {
    const char *topic;
    int32_t partition;
    uint32_t partitions; /* of the source, when the list was made */
};

/* A consumer for the source; `owner` is its own. `group`: it needs one. */
LEAT_NODISCARD int leat__kafka_consumer(const struct leat_kafka_source *spec, struct leat_env *env,
    uint32_t partitions, struct leat_kafka_client **client, struct leat_error *err);

/* ---- position.c ---- */

/* What can be told of the last message that was read: when a topic was made anew, the message at its offset is another. */
struct leat_kafka_print {
    int64_t offset; /* -1: none was read yet */
    uint64_t hash;
};
struct leat_kafka_position {
    int64_t next; /* offset of the next message */
    int64_t end; /* -1: the partition is read without end; else up to there, exclusive */
    bool
        is_first; /* nothing was read yet, and it may begin behind messages that retention has taken meanwhile */
    struct leat_kafka_print last;
};
/* "17", "0 first end=200", "17 end=200 last=16:0123456789abcdef". */
void leat__kafka_position_write(const struct leat_kafka_position *position, struct leat_strbuf *out);
/* LEAT_EDATA when it is none. */
LEAT_NODISCARD int leat__kafka_position_read(
    const char *text, size_t len, struct leat_kafka_position *position, struct leat_error *err);
/* "topic/3" to its parts, for names of splits and start_offsets: where the topic's name ends; false when it is none. */
bool leat__kafka_split_parse(const char *text, size_t len, size_t *topic_len, int32_t *partition);

/* ---- splits.c ---- */

int leat__kafka_list_splits(
    const struct leat_node *node, struct leat_env *env, struct leat_split_list *list, struct leat_error *err);
int leat__kafka_discover(
    const struct leat_node *node, struct leat_env *env, struct leat_split_list *list, struct leat_error *err);

/* ---- publish.c ---- */

int leat__kafka_publish(const struct leat_node *node, struct leat_env *env, const struct leat_published *what,
    void **held, struct leat_error *err);
void leat__kafka_unpublish(void *held);

/* ---- bad_message.c ---- */

/* leat__reader_refuse with all that the message is; the cause is in the context's error. */
int leat__kafka_refuse(struct leat_reader *reader, const rd_kafka_message_t *message);

/* ---- source.c ---- */

extern const struct leat_source_class leat__kafka_source_class;
#endif
