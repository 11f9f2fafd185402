/* tests/support/kafka.h -- brokers for tests of the Kafka connectors, and a look at them from outside.
 *
 * Three kinds (tests/kafka/README.md says what each proves). What is asked of them and fails fails the running test, by
 * name. A broker ends with the program that started it, however that ends, and outlives every other process: a job under
 * test is killed, its broker is not. One thread at a time per broker. */
#ifndef LEAT_TESTS_SUPPORT_KAFKA_H
#define LEAT_TESTS_SUPPORT_KAFKA_H
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum kafka_kind {
    KAFKA_MOCK, /* librdkafka's own, in this process: errors by API, broker down. It proves nothing about transactions */
    KAFKA_TEST, /* ours, tests/kafka/broker: a process with true semantics, faults and dumps by kafka_command() */
    KAFKA_REAL, /* Apache Kafka: that of LEAT_TEST_BOOTSTRAP, else one by scripts/kafka; skips the test without Java, Maven */
};

struct kafka;
struct kafka *kafka_start(enum kafka_kind kind);
void kafka_stop(struct kafka *kafka);
/* host:port for bootstrap.servers. */
const char *kafka_bootstrap(const struct kafka *kafka);
const char *kafka_kind_name(enum kafka_kind kind);
/* KAFKA_REAL where LEAT_TEST_BOOTSTRAP names one, else KAFKA_TEST: what tests run against that need no faults. */
enum kafka_kind kafka_kind_wanted(void);
/* `name` with a suffix that no other run has: topics, groups, transactional ids of a broker that is shared. Lives as long as
 * `kafka`; the same for the same name. */
const char *kafka_name(struct kafka *kafka, const char *name);

/* `configs`: "max.message.bytes=1000,cleanup.policy=compact" or NULL (the mock takes none). Returns when it is there. */
void kafka_topic_create(struct kafka *kafka, const char *topic, int32_t partitions, const char *configs);
/* Not of the mock. Deletion has happened when it returns; the name is free again. */
void kafka_topic_delete(struct kafka *kafka, const char *topic);
void kafka_topic_grow(struct kafka *kafka, const char *topic, int32_t partitions);
/* Sets its configuration anew, as in kafka_topic_create; what is not named is the default again. */
void kafka_topic_configure(struct kafka *kafka, const char *topic, const char *configs);
/* Removes records below `offset`, as retention does; not of the mock. */
void kafka_truncate(struct kafka *kafka, const char *topic, int32_t partition, int64_t offset);

/* For the mock: rd_kafka_mock_push_request_errors() and its like. Another kind: fails. */
struct rd_kafka_mock_cluster_s *kafka_mock(struct kafka *kafka);
/* For the test broker: one command (tests/kafka/README.md), its answer without "ok" and line end; fails the test when the
 * answer is an error. Valid until the next command. */
const char *kafka_command(struct kafka *kafka, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* SIGKILL (the data of the test broker is gone, the real one's is not), SIGTERM and a new start; not of the mock. */
void kafka_real_restart(struct kafka *kafka, bool kill);

struct kafka_header {
    const char *name;
    const void *value; /* NULL: null */
    size_t len;
};
struct kafka_record {
    int32_t partition;
    int64_t offset; /* when read */
    int64_t timestamp; /* ms; 0: now, when produced */
    const void *key, *value; /* NULL: null */
    size_t key_len, value_len;
    const struct kafka_header *headers;
    size_t headers_count;
};
/* Produces and waits until each is there; plain producer. */
void kafka_produce(struct kafka *kafka, const char *topic, const struct kafka_record *records, size_t count);
/* The same for one text value with a text key (NULL: null). */
void kafka_produce_text(
    struct kafka *kafka, const char *topic, int32_t partition, const char *key, const char *value);

/* What a reader of its own sees up to the end (read_committed: to where it is shown), by partition and offset. */
struct kafka_records {
    struct kafka_record *records;
    size_t count;
    void *memory; /* the bytes of all of them */
};
struct kafka_records *kafka_read(struct kafka *kafka, const char *topic, bool committed);
void kafka_records_free(struct kafka_records *records);
/* The same as text, a line "partition offset key value" each ("-" for null), for comparing; freed with free(). Bytes are
 * taken for text. */
char *kafka_read_text(struct kafka *kafka, const char *topic, bool committed);
/* Offset that a group has committed, -1001 for none; `metadata` gets its text, cut (NULL: none wanted). */
int64_t kafka_committed(struct kafka *kafka, const char *group, const char *topic, int32_t partition,
    char *metadata, size_t metadata_size);
#endif
