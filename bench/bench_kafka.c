/* bench/bench_kafka.c -- what does reading Kafka cost beside librdkafka alone, in the same run over the same topic?
 *
 * 1. the bare loop: librdkafka's callback on partition queues, which counts messages and bytes;
 * 2. the source alone: messages decoded into rows, which are dropped;
 * 3. to a windowed count: source, key, 10 s tumbling count, on one worker. Target: at least 80 % of (1)'s rate.
 * Rates by the wall clock, and processor time of the whole process, librdkafka's threads included. The broker is another
 * process: ours for tests (the default: build/<preset>/tests/kafka_broker), or --brokers. Medians over interleaved
 * repetitions: read the ratios.
 *
 *   bench_kafka (--broker PROGRAM | --brokers HOST:PORT) [repetitions [bids [partitions]]] */
#include "bench/bids.h"
#include "bench/kafka_bench.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char topic_name[64];

/* Every bid a message, over the partitions in turn; each partition is in order of time. */
static void produce(const struct bids *bids, int partitions)
{
    static const char *const settings[][2] = { { "linger.ms", "50" }, { "batch.size", "1000000" },
        { "batch.num.messages", "100000" }, { "queue.buffering.max.messages", "10000000" },
        { "queue.buffering.max.kbytes", "2000000" } };
    rd_kafka_t *rk =
        kafka_client(RD_KAFKA_PRODUCER, kafka_conf(settings, sizeof settings / sizeof settings[0]));
    kafka_topic_make(rk, topic_name, partitions);
    uint32_t *offsets = kafka_bid_offsets(bids);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, topic_name, NULL);
    for (uint32_t i = 0; i < bids->count; i++) {
        kafka_check(rd_kafka_produce(topic, (int32_t)(i % (uint32_t)partitions), RD_KAFKA_MSG_F_COPY,
                        bids->data + offsets[i], offsets[i + 1] - offsets[i], NULL, 0, NULL) == 0,
            "produce", rd_kafka_err2str(rd_kafka_last_error()));
        if (i % 1000 == 0)
            (void)rd_kafka_poll(rk, 0);
    }
    kafka_check(rd_kafka_flush(rk, 120000) == 0, "flush", "timed out");
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(rk);
    free(offsets);
}

/* ---- the bare loop ---- */

struct bare {
    uint64_t messages, bytes;
};

static void count_message(rd_kafka_message_t *message, void *opaque)
{
    struct bare *bare = opaque;
    if (message->err)
        return;
    bare->messages++;
    bare->bytes += message->len;
}

static void read_barely(uint32_t count, int partitions)
{
    static const char *const settings[][2] = { { "check.crcs", "true" },
        { "isolation.level", "read_committed" }, { "queued.min.messages", "10000000" },
        { "enable.auto.commit", "false" } };
    rd_kafka_t *rk =
        kafka_client(RD_KAFKA_CONSUMER, kafka_conf(settings, sizeof settings / sizeof settings[0]));
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, topic_name, NULL);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    struct bare bare = { 0, 0 };
    for (int p = 0; p < partitions; p++)
        (void)rd_kafka_consume_start_queue(topic, p, RD_KAFKA_OFFSET_BEGINNING, queue);
    while (bare.messages < count)
        (void)rd_kafka_consume_callback_queue(queue, 100, count_message, &bare);
    for (int p = 0; p < partitions; p++)
        (void)rd_kafka_consume_stop(topic, p);
    rd_kafka_queue_destroy(queue);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(rk);
}

/* ---- jobs ---- */

static leat_stream *kafka_bids(leat_topology *t, bool timed)
{
    return leat_kafka_source(t, "bids",
        &(struct leat_kafka_source_opts){ .cluster = { .brokers = kafka_brokers },
            .topics = topic_name,
            .type = &bid_type,
            .format = LEAT_FORMAT_AVRO_BINARY,
            .bounded = true,
            .event_time = timed ? "dateTime" : NULL });
}

static void run(leat_topology *t, uint32_t rows)
{
    kafka_check(kafka_run(t, &(struct leat_job_opts){ .parallelism = 1 }) == rows, "job", "rows are missing");
}

static void run_source(uint32_t rows)
{
    leat_topology *t = leat_topology_new("source");
    leat_memory_sink(kafka_bids(t, false), "out", &(struct leat_memory_sink_opts){ .into = NULL });
    run(t, rows);
}

static void run_count(uint32_t rows)
{
    leat_topology *t = leat_topology_new("count");
    leat_windowed_stream *windows = leat_window(leat_group_by(kafka_bids(t, true), "by-auction", "auction"),
        "10s",
        &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = LEAT_MILLIS(BIDS_WINDOW_MS) });
    leat_memory_sink(
        leat_aggregate(windows, "counts",
            &(struct leat_aggregate_opts){ .aggs = { LEAT_COUNT("bids") }, .out = &bid_count_type }),
        "out", &(struct leat_memory_sink_opts){ .encode = true });
    run(t, rows);
}

int main(int argc, char **argv)
{
    static struct kafka_measure bare, source, count;
    if (!kafka_begin(&argc, argv)) {
        (void)fprintf(stderr,
            "usage: bench_kafka (--broker PROGRAM | --brokers HOST:PORT) [repetitions [bids "
            "[partitions]]]\n");
        return 2;
    }
    const int runs = argc > 1 ? atoi(argv[1]) : 5;
    const uint32_t rows = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 2000000;
    const int partitions = argc > 3 ? atoi(argv[3]) : 4;
    struct bids bids = bids_make(rows, 1000);
    (void)snprintf(topic_name, sizeof topic_name, "leat-bench-bids-%d", (int)getpid());
    produce(&bids, partitions);
    for (int i = 0; i < runs; i++) {
        KAFKA_TIMED(bare, i, read_barely(rows, partitions));
        KAFKA_TIMED(source, i, run_source(rows));
        KAFKA_TIMED(count, i, run_count(rows));
    }
    printf("%u bids of %.0f bytes in %d partitions, %d repetitions\n", rows, (double)bids.size / rows,
        partitions, runs);
    kafka_print("kafka/bare", rows, &bare, NULL, runs);
    kafka_print("kafka/source", rows, &source, &bare, runs);
    kafka_print("kafka/windowed-count", rows, &count, &bare, runs);
    kafka_topic_drop(topic_name);
    bids_free(&bids);
    kafka_end();
    return 0;
}
