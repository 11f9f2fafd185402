/* tools/kafka_scan.h -- reading messages of some partitions, each from one offset to another.
 *
 * A scan ends: what comes behind the ends that it was given is not shown, however fast it comes (unless it follows). What
 * lies below an end and is no message (marks of transactions, what compaction took) ends it too. */
#ifndef LEAT_TOOLS_KAFKA_SCAN_H
#define LEAT_TOOLS_KAFKA_SCAN_H
#include "tools/kafka_tool.h"

struct leat_kafka_scan {
    struct leat_kafka_tool *tool;
    struct leat_kafka_client *client; /* a consumer with enable.partition.eof */
    bool follow; /* beyond the ends, for ever */
    rd_kafka_topic_partition_list_t *list;
    int64_t *ends; /* by element; INT64_MIN: reached */
    uint32_t open, capacity;
};

/* What a message has come to. */
enum leat_kafka_scanned { LEAT_SCAN_ON = 0, LEAT_SCAN_PARTITION_DONE, LEAT_SCAN_DONE };
typedef int (*leat_kafka_scan_fn)(void *arg, const rd_kafka_message_t *message); /* that, or an error */

/* One more partition; nothing where from >= end, unless it follows. */
LEAT_NODISCARD int leat__kafka_scan_add(
    struct leat_kafka_scan *scan, int32_t partition, int64_t from, int64_t end);
LEAT_NODISCARD int leat__kafka_scan_run(struct leat_kafka_scan *scan, leat_kafka_scan_fn fn, void *arg);
void leat__kafka_scan_release(struct leat_kafka_scan *scan); /* and the client */
#endif
