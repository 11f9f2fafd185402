/* tools/kafka_scan.c -- messages of some partitions, up to an end. */
#include "tools/kafka_scan.h"
#include <stdlib.h>

#define POLL_MS 500

int leat__kafka_scan_add(struct leat_kafka_scan *scan, int32_t partition, int64_t from, int64_t end)
{
    const char *topic = scan->tool->words[1];
    if (from >= end && !scan->follow)
        return 0;
    if (!scan->list)
        scan->list = rd_kafka_topic_partition_list_new(16);
    if ((uint32_t)scan->list->cnt == scan->capacity) {
        const uint32_t capacity = scan->capacity ? 2 * scan->capacity : 16;
        int64_t *ends = realloc(scan->ends, capacity * sizeof *ends);
        if (!ends)
            return leat__error(&scan->tool->error, LEAT_ENOMEM, "out of memory");
        scan->ends = ends;
        scan->capacity = capacity;
    }
    scan->ends[scan->list->cnt] = end;
    rd_kafka_topic_partition_list_add(scan->list, topic, partition)->offset = from;
    scan->open++;
    return 0;
}

static int64_t *end_of(struct leat_kafka_scan *scan, int32_t partition)
{
    for (int i = 0; i < scan->list->cnt; i++)
        if (scan->list->elems[i].partition == partition)
            return &scan->ends[i];
    return NULL;
}

static void close_partition(struct leat_kafka_scan *scan, int64_t *end)
{
    if (*end == INT64_MIN)
        return;
    *end = INT64_MIN;
    scan->open--;
}

static int take(
    struct leat_kafka_scan *scan, const rd_kafka_message_t *message, leat_kafka_scan_fn fn, void *arg)
{
    int64_t *end = end_of(scan, message->partition);
    if (message->err && message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
        return leat__kafka_error(
            scan->client, message->err, rd_kafka_message_errstr(message), "consume", &scan->tool->error);
    if (!end || (*end == INT64_MIN && !scan->follow))
        return LEAT_SCAN_ON;
    if (message->err) {
        close_partition(scan, end); /* what is left are marks of transactions */
        return LEAT_SCAN_ON;
    }
    if (message->offset >= *end && !scan->follow) {
        close_partition(scan, end);
        return LEAT_SCAN_ON;
    }
    const int code = fn(arg, message);
    if (code == LEAT_SCAN_PARTITION_DONE || message->offset + 1 >= *end)
        close_partition(scan, end);
    return code;
}

int leat__kafka_scan_run(struct leat_kafka_scan *scan, leat_kafka_scan_fn fn, void *arg)
{
    if (scan->open == 0)
        return 0;
    const rd_kafka_resp_err_t assigned = rd_kafka_assign(scan->client->rk, scan->list);
    if (assigned)
        return leat__kafka_error(scan->client, assigned, NULL, "consume", &scan->tool->error);
    while (scan->follow || scan->open > 0) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(scan->client->rk, POLL_MS);
        if (!message)
            continue;
        const int code = take(scan, message, fn, arg);
        rd_kafka_message_destroy(message);
        if (code < 0)
            return code;
        if (code == LEAT_SCAN_DONE)
            return 0;
    }
    return 0;
}

void leat__kafka_scan_release(struct leat_kafka_scan *scan)
{
    if (scan->list)
        rd_kafka_topic_partition_list_destroy(scan->list);
    free(scan->ends);
    if (scan->client)
        (void)rd_kafka_consumer_close(scan->client->rk);
    leat__kafka_free(scan->client);
    *scan = (struct leat_kafka_scan){ 0 };
}
