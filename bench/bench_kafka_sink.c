/* bench/bench_kafka_sink.c -- what does writing to Kafka cost beside librdkafka alone, in the same run to the same broker?
 *
 * 1. the bare loop: rd_kafka_produce of bytes that are there already, with the sink's settings (idempotent, lz4, linger, keys by
 *    murmur2, delivery reports counted);
 * 2. our sink at least once: bids in memory are decoded, encoded, and go out. Target: at least 80 % of (1)'s rate;
 * 3. the bare loop with transactions, one a second;
 * 4. our sink exactly once, a checkpoint a second: outbox, then a transaction. Beside (3).
 * Rates by the wall clock, from an empty process state to the last acknowledgement, and processor time of the whole process,
 * librdkafka's threads included. Medians over interleaved repetitions: read the ratios.
 *
 *   bench_kafka_sink (--broker PROGRAM | --brokers HOST:PORT) [repetitions [bids [partitions [linger.ms [codec]]]]] */
#include "bench/bids.h"
#include "bench/kafka_bench.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE_MS 120000
#define INTERVAL_S 1.0
#define POLL_EVERY 512

static const char *linger = "5", *codec = "lz4";
static struct bids bids;
static uint32_t *offsets;
static uint64_t *keys; /* big endian, as the sink writes them */
static int partitions;
static uint32_t runs; /* so far: each has a topic of its own */

/* ---- the bare loop ---- */

static uint64_t arrived;

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    (void)rk;
    (void)opaque;
    kafka_check(message->err == RD_KAFKA_RESP_ERR_NO_ERROR, "delivery", rd_kafka_err2str(message->err));
    arrived++;
}

static void check_error(rd_kafka_error_t *error, const char *what)
{
    kafka_check(!error, what, error ? rd_kafka_error_string(error) : "");
}

static rd_kafka_t *bare_producer(bool transactions)
{
    const char *const settings[][2] = { { "enable.idempotence", "true" }, { "linger.ms", linger },
        { "compression.type", codec }, { "partitioner", "murmur2" },
        { "queue.buffering.max.kbytes", "131072" }, { "transactional.id", "leat-bench" } };
    rd_kafka_conf_t *conf =
        kafka_conf(settings, sizeof settings / sizeof settings[0] - (transactions ? 0 : 1));
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_t *rk = kafka_client(RD_KAFKA_PRODUCER, conf);
    if (transactions) {
        check_error(rd_kafka_init_transactions(rk, PATIENCE_MS), "init transactions");
        check_error(rd_kafka_begin_transaction(rk), "begin");
    }
    return rk;
}

static void give(rd_kafka_t *rk, rd_kafka_topic_t *topic, uint32_t i)
{
    while (rd_kafka_produce(topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, bids.data + offsets[i],
        offsets[i + 1] - offsets[i], &keys[i], sizeof keys[i], NULL)) {
        kafka_check(rd_kafka_last_error() == RD_KAFKA_RESP_ERR__QUEUE_FULL, "produce",
            rd_kafka_err2str(rd_kafka_last_error()));
        (void)rd_kafka_poll(rk, 10);
    }
    if (i % POLL_EVERY == 0)
        (void)rd_kafka_poll(rk, 0);
}

static void write_barely(const char *name, bool transactions)
{
    rd_kafka_t *rk = bare_producer(transactions);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, name, NULL);
    double next = bench_wall_s() + INTERVAL_S;
    arrived = 0;
    for (uint32_t i = 0; i < bids.count; i++) {
        give(rk, topic, i);
        if (transactions && i % POLL_EVERY == 0 && bench_wall_s() > next) {
            check_error(rd_kafka_commit_transaction(rk, PATIENCE_MS), "commit");
            check_error(rd_kafka_begin_transaction(rk), "begin");
            next = bench_wall_s() + INTERVAL_S;
        }
    }
    if (transactions)
        check_error(rd_kafka_commit_transaction(rk, PATIENCE_MS), "commit");
    kafka_check(rd_kafka_flush(rk, PATIENCE_MS) == 0, "flush", "timed out");
    kafka_check(arrived == bids.count, "produce", "messages are missing");
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(rk);
}

/* ---- jobs ---- */

static void run_job(const char *topic, bool once)
{
    char properties[256], dir[] = "/tmp/leat-kafka-XXXXXX", command[64];
    (void)snprintf(properties, sizeof properties, "linger.ms=%s\ncompression.type=%s\n", linger, codec);
    kafka_check(mkdtemp(dir), "mkdtemp", "failed");
    leat_topology *t = leat_topology_new("sink");
    leat_stream *in = leat_memory_source(t, "bids",
        &(struct leat_memory_source_opts){ .type = &bid_type, .avro = bids.data, .avro_bytes = bids.size });
    leat_kafka_sink(in, "out",
        &(struct leat_kafka_sink_opts){ .cluster = { .brokers = kafka_brokers, .properties = properties },
            .topic = topic,
            .format = LEAT_FORMAT_AVRO_BINARY,
            .key = { .fields = "auction" },
            .delivery = once ? LEAT_EXACTLY_ONCE : LEAT_AT_LEAST_ONCE });
    const struct leat_job_opts opts = { .parallelism = 1,
        .checkpoint_dir = once ? dir : NULL,
        .checkpoint_interval_us = once ? (int64_t)(INTERVAL_S * 1e6) : 0 };
    (void)kafka_run(t, &opts);
    (void)snprintf(command, sizeof command, "rm -rf %s", dir);
    kafka_check(system(command) == 0, command, "failed");
}

/* One run to a topic of its own, which must have them all then. */
static void run(struct kafka_measure *measure, int i, bool ours, bool once)
{
    char topic[64];
    (void)snprintf(topic, sizeof topic, "leat-bench-out-%d-%u", (int)getpid(), runs++);
    rd_kafka_t *rk = kafka_client(RD_KAFKA_PRODUCER, kafka_conf(NULL, 0));
    kafka_topic_make(rk, topic, partitions);
    rd_kafka_destroy(rk);
    if (ours)
        KAFKA_TIMED(*measure, i, run_job(topic, once));
    else
        KAFKA_TIMED(*measure, i, write_barely(topic, once));
    const int64_t length = kafka_topic_length(topic, partitions);
    kafka_check(
        once ? length > bids.count : length == bids.count, topic, "messages are missing, or too many");
    kafka_topic_drop(topic);
}

static void make_input(uint32_t count)
{
    bids = bids_make(count, 1000);
    offsets = kafka_bid_offsets(&bids);
    keys = malloc((size_t)count * sizeof *keys);
    kafka_check(keys, "keys", "no memory");
    for (uint32_t i = 0; i < count; i++) {
        uint64_t auction = 0; /* the first field: a zigzag varint */
        unsigned shift = 0;
        for (const uint8_t *at = bids.data + offsets[i];; at++, shift += 7) {
            auction |= (uint64_t)(*at & 0x7f) << shift;
            if (!(*at & 0x80))
                break;
        }
        keys[i] = __builtin_bswap64(auction >> 1);
    }
}

int main(int argc, char **argv)
{
    static struct kafka_measure bare, streamed, bare_once, once;
    if (!kafka_begin(&argc, argv)) {
        (void)fprintf(stderr,
            "usage: bench_kafka_sink (--broker PROGRAM | --brokers HOST:PORT) [repetitions [bids [partitions "
            "[linger.ms [codec]]]]]\n");
        return 2;
    }
    const int repetitions = argc > 1 ? atoi(argv[1]) : 5;
    const uint32_t rows = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 2000000;
    partitions = argc > 3 ? atoi(argv[3]) : 4;
    linger = argc > 4 ? argv[4] : linger;
    codec = argc > 5 ? argv[5] : codec;
    make_input(rows);
    for (int i = 0; i < repetitions; i++) {
        run(&bare, i, false, false);
        run(&streamed, i, true, false);
        run(&bare_once, i, false, true);
        run(&once, i, true, true);
    }
    printf("%u bids of %.0f bytes to %d partitions, linger.ms %s, %s, %d repetitions\n", rows,
        (double)bids.size / rows, partitions, linger, codec, repetitions);
    kafka_print("kafka-sink/bare", rows, &bare, NULL, repetitions);
    kafka_print("kafka-sink/at-least-once", rows, &streamed, &bare, repetitions);
    kafka_print("kafka-sink/bare-transactions", rows, &bare_once, NULL, repetitions);
    kafka_print("kafka-sink/exactly-once", rows, &once, &bare_once, repetitions);
    free(offsets);
    free(keys);
    bids_free(&bids);
    kafka_end();
    return 0;
}
