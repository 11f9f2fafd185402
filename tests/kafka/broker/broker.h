/* tests/kafka/broker/broker.h -- all that the broker knows: topics, transactions, offsets of groups; and its requests.
 *
 * A request is bytes in, bytes out (kb_answer); it opens no socket and waits for nothing, so that any bytes can be tried. All
 * of it is one thread's, and gone with the process. Names and numbers of errors are Kafka's. */
#ifndef LEAT_TESTS_KAFKA_BROKER_BROKER_H
#define LEAT_TESTS_KAFKA_BROKER_BROKER_H
#include "tests/kafka/broker/log.h"

enum kb_api {
    KB_PRODUCE = 0,
    KB_FETCH = 1,
    KB_LIST_OFFSETS = 2,
    KB_METADATA = 3,
    KB_OFFSET_COMMIT = 8,
    KB_OFFSET_FETCH = 9,
    KB_FIND_COORDINATOR = 10,
    KB_API_VERSIONS = 18,
    KB_CREATE_TOPICS = 19,
    KB_DELETE_TOPICS = 20,
    KB_DELETE_RECORDS = 21,
    KB_INIT_PRODUCER_ID = 22,
    KB_ADD_PARTITIONS = 24,
    KB_ADD_OFFSETS = 25,
    KB_END_TXN = 26,
    KB_TXN_OFFSET_COMMIT = 28,
    KB_DESCRIBE_CONFIGS = 32,
    KB_ALTER_CONFIGS = 33,
    KB_CREATE_PARTITIONS = 37,
    KB_APIS = 38,
};

enum kb_error {
    KB_OFFSET_OUT_OF_RANGE = 1,
    KB_CORRUPT = 2,
    KB_UNKNOWN_TOPIC = 3,
    KB_TOO_LARGE = 10,
    KB_METADATA_TOO_LARGE = 12,
    KB_INVALID_TOPIC = 17,
    KB_INVALID_ACKS = 21,
    KB_ILLEGAL_GENERATION = 22,
    KB_UNKNOWN_MEMBER = 25,
    KB_UNSUPPORTED_VERSION = 35,
    KB_TOPIC_EXISTS = 36,
    KB_INVALID_PARTITIONS = 37,
    KB_INVALID_REPLICATION = 38,
    KB_INVALID_CONFIG = 40,
    KB_INVALID_REQUEST = 42,
    KB_OLD_EPOCH = 47,
    KB_INVALID_TXN_STATE = 48,
    KB_INVALID_PID_MAPPING = 49,
    KB_INVALID_TXN_TIMEOUT = 50,
    KB_CONCURRENT = 51,
    KB_NOT_ATTEMPTED = 55,
    KB_INVALID_TIMESTAMP = 32,
    KB_FENCED_LEADER_EPOCH = 74,
    KB_UNKNOWN_LEADER_EPOCH = 75,
    KB_INVALID_RECORD = 87,
    KB_UNSTABLE_OFFSET = 88,
    KB_FENCED = 90,
    KB_UNKNOWN_TOPIC_ID = 100,
};

struct kb_topic {
    char *name;
    uint8_t id[16];
    struct kb_log *logs;
    int32_t partitions;
    int32_t max_message_bytes;
    bool compact, append_time;
};

/* A partition by name: the topic may be deleted while a transaction is open in it. */
struct kb_place {
    char *topic;
    uint8_t id[16];
    int32_t partition;
};

struct kb_offset {
    char *group;
    struct kb_place place;
    int64_t offset;
    int32_t leader_epoch;
    char *metadata; /* NULL: null */
    int64_t pid; /* of the transaction that it waits for; -1: it counts */
};

enum kb_txn_state { KB_EMPTY, KB_ONGOING, KB_COMMITTED, KB_ABORTED };
struct kb_txn {
    char *id;
    int64_t pid;
    int16_t epoch, last_epoch; /* last_epoch: before the newest bump by its own producer; -1: none */
    int32_t timeout_ms;
    enum kb_txn_state state;
    int64_t began; /* ms of the steady clock */
    struct kb_place *places;
    size_t places_count;
    char **groups;
    size_t groups_count;
};

struct kb_broker {
    char host[32];
    int32_t port;
    int64_t now, wall; /* ms: steady clock, wall clock; whoever calls sets them */
    uint64_t random; /* for ids of topics */
    int64_t next_pid;
    struct kb_topic *topics;
    size_t topics_count;
    struct kb_txn *txns;
    size_t txns_count;
    struct kb_offset *offsets;
    size_t offsets_count;
    uint64_t changes; /* counts what a waiting fetch may wait for */
};

void kb_broker_free(struct kb_broker *broker);

/* Topics (topics.c) */
enum { KB_MESSAGE_BYTES = 1048588 }; /* max.message.bytes, unless it is set */
struct kb_topic *kb_topic_find(struct kb_broker *broker, struct kb_text name);
struct kb_topic *kb_topic_by_id(struct kb_broker *broker, const uint8_t *id);
struct kb_log *kb_log_find(struct kb_broker *broker, struct kb_text topic, int32_t partition);
int16_t kb_topic_create(
    struct kb_broker *broker, struct kb_text name, int32_t partitions, struct kb_topic **made);
int16_t kb_topic_configure(struct kb_topic *topic, struct kb_text name, struct kb_text value);
int16_t kb_topic_delete(struct kb_broker *broker, struct kb_text name);
int16_t kb_topic_grow(struct kb_broker *broker, struct kb_text name, int32_t partitions);
/* The log of a place, NULL when the topic is gone, also when another has its name. */
struct kb_log *kb_place_log(struct kb_broker *broker, const struct kb_place *place);
struct kb_place kb_place_new(const struct kb_topic *topic, int32_t partition);

/* Transactions (txn.c); errors are those of the newest versions */
int16_t kb_txn_init(struct kb_broker *broker, struct kb_text id, int32_t timeout_ms, int64_t pid,
    int16_t epoch, int64_t *new_pid, int16_t *new_epoch);
/* The transaction of the producer if it is the current one. */
int16_t kb_txn_check(
    struct kb_broker *broker, struct kb_text id, int64_t pid, int16_t epoch, struct kb_txn **txn);
struct kb_txn *kb_txn_find(struct kb_broker *broker, struct kb_text id);
void kb_txn_add(
    struct kb_broker *broker, struct kb_txn *txn, const struct kb_topic *topic, int32_t partition);
void kb_txn_add_group(struct kb_broker *broker, struct kb_txn *txn, struct kb_text group);
/* Whether a producer may write to the partition: its transaction has been told of it. */
int16_t kb_txn_may_write(
    struct kb_broker *broker, const struct kb_topic *topic, int32_t partition, int64_t pid, int16_t epoch);
int16_t kb_txn_end(struct kb_broker *broker, struct kb_text id, int64_t pid, int16_t epoch, bool commit);
/* Aborts it and shuts its producer out, as a coordinator does after the timeout. */
void kb_txn_expire(struct kb_broker *broker, struct kb_txn *txn);
/* Expires those that are due; when the next will be, -1: none is open. */
int64_t kb_txn_expire_due(struct kb_broker *broker);

/* Offsets of groups (group.c) */
void kb_offset_store(struct kb_broker *broker, struct kb_text group, const struct kb_topic *topic,
    struct kb_offset offset, struct kb_text metadata);
const struct kb_offset *kb_offset_find(const struct kb_broker *broker, struct kb_text group,
    struct kb_text topic, int32_t partition, bool *unstable);
void kb_offsets_end(struct kb_broker *broker, int64_t pid, bool commit);
void kb_offsets_forget(struct kb_broker *broker, const char *topic);

/* Requests */
struct kb_request {
    struct kb_broker *broker;
    struct kb_in in;
    struct kb_out *out;
    int16_t api, version;
    int32_t correlation;
    int16_t inject; /* error to answer with, instead of doing it; 0: none */
    bool final; /* a fetch gives what there is */
    bool waits; /* set by a fetch that has too little; nothing was written */
    int64_t wait_ms; /* and how long it would wait */
    bool silent; /* set: no answer is wanted */
};

/* One request, its length not included. False: it is none, the connection is to be closed. out: length, answer; nothing when
 * request->waits or ->silent. */
bool kb_answer(struct kb_request *request, const uint8_t *data, size_t size);
const char *kb_api_name(int api); /* NULL: unknown */
int kb_api_by_name(struct kb_text name); /* -1: unknown */

/* What kb_answer calls; each reads its request behind the head and writes the answer behind the correlation. */
void kb_produce(struct kb_request *request);
void kb_fetch(struct kb_request *request);
void kb_list_offsets(struct kb_request *request);
void kb_delete_records(struct kb_request *request);
void kb_metadata(struct kb_request *request);
void kb_find_coordinator(struct kb_request *request);
void kb_create_topics(struct kb_request *request);
void kb_delete_topics(struct kb_request *request);
void kb_create_partitions(struct kb_request *request);
void kb_describe_configs(struct kb_request *request);
void kb_alter_configs(struct kb_request *request);
void kb_init_producer_id(struct kb_request *request);
void kb_add_partitions(struct kb_request *request);
void kb_add_offsets(struct kb_request *request);
void kb_end_txn(struct kb_request *request);
void kb_txn_offset_commit(struct kb_request *request);
void kb_offset_commit(struct kb_request *request);
void kb_offset_fetch(struct kb_request *request);
#endif
