/* connectors/kafka/partition.h -- which partition of a topic a message goes to.
 *
 * With a key: where Java's producers send it (murmur2 of the key's bytes, modulo the number of partitions), so that
 * topics written by both can be joined. Without: to each partition in turn, in runs: a run fills a batch of the
 * producer, as Java's do. */
#ifndef LEAT_CONNECTORS_KAFKA_PARTITION_H
#define LEAT_CONNECTORS_KAFKA_PARTITION_H
#include <leat/kafka.h>

/* As org.apache.kafka.common.utils.Utils.murmur2. Part of what is in topics: never changed. */
int32_t leat__kafka_murmur2(const void *data, size_t len);
/* 0 .. partitions-1. */
uint32_t leat__kafka_partition_of_key(struct leat_sv key, uint32_t partitions);

/* Of one writer. Zeroed but for the first: ready for use. */
struct leat_kafka_spread {
    uint32_t next; /* partition of the run, modulo their number */
    size_t bytes; /* in the run */
};
#define LEAT_KAFKA_RUN_BYTES (16u * 1024u)
/* The partition of a message of `bytes` without a key. */
uint32_t leat__kafka_spread(struct leat_kafka_spread *spread, size_t bytes, uint32_t partitions);
#endif
