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
#include "record/avro.h"
#include <leat/kafka.h>
#include <librdkafka/rdkafka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define REPETITIONS_MAX 101
#define TOPIC "leat-bench-bids"

static char brokers[128];
static pid_t broker;

static void check(bool good, const char *what, const char *why)
{
    if (good)
        return;
    (void)fprintf(stderr, "bench: %s: %s\n", what, why);
    if (broker > 0)
        (void)kill(broker, SIGTERM);
    exit(1);
}

/* ---- the broker and its topic ---- */

static void start_broker(const char *program)
{
    int out[2];
    check(pipe(out) == 0, "pipe", "failed");
    broker = fork();
    if (broker == 0) {
        (void)dup2(out[1], 1);
        (void)execl(program, program, (char *)NULL);
        _exit(127);
    }
    (void)close(out[1]);
    FILE *lines = fdopen(out[0], "r");
    check(lines && fgets(brokers, sizeof brokers, lines), program, "does not say where it is");
    brokers[strcspn(brokers, "\n")] = '\0';
}

static rd_kafka_t *client(rd_kafka_type_t type, const char *const (*settings)[2], size_t count)
{
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    check(rd_kafka_conf_set(conf, "bootstrap.servers", brokers, why, sizeof why) == RD_KAFKA_CONF_OK, "conf",
        why);
    for (size_t i = 0; i < count; i++)
        check(rd_kafka_conf_set(conf, settings[i][0], settings[i][1], why, sizeof why) == RD_KAFKA_CONF_OK,
            settings[i][0], why);
    rd_kafka_t *rk = rd_kafka_new(type, conf, why, sizeof why);
    check(rk, "client", why);
    return rk;
}

static void create_topic(rd_kafka_t *rk, int partitions)
{
    char why[256] = "";
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(TOPIC, partitions, 1, why, sizeof why);
    check(topic, "topic", why);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_CreateTopics(rk, &topic, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 10000);
    check(event && !rd_kafka_event_error(event), "create topic", "no answer");
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewTopic_destroy(topic);
}

/* Every bid a message, over the partitions in turn; each partition is in order of time. */
static void produce(const struct bids *bids, int partitions)
{
    static const char *const settings[][2] = { { "linger.ms", "50" }, { "batch.size", "1000000" },
        { "batch.num.messages", "100000" }, { "queue.buffering.max.messages", "10000000" },
        { "queue.buffering.max.kbytes", "2000000" } };
    struct leat_error err = { 0 };
    struct leat_schema *schema;
    struct leat_decoder *decoder;
    rd_kafka_t *rk = client(RD_KAFKA_PRODUCER, settings, sizeof settings / sizeof settings[0]);
    create_topic(rk, partitions);
    check(leat__schema_parse(bid_type.schema, strlen(bid_type.schema), &schema, &err) == 0, "schema",
        err.message);
    check(leat__decoder_new(schema, &bid_type, NULL, &decoder, &err) == 0, "decoder", err.message);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, TOPIC, NULL);
    const uint8_t *at = bids->data, *end = at + bids->size;
    for (uint32_t i = 0; i < bids->count; i++) {
        const uint8_t *from = at;
        check(leat__decode_skip(decoder, &at, end, &err) == 0, "skip", err.message);
        check(rd_kafka_produce(topic, (int32_t)(i % (uint32_t)partitions), RD_KAFKA_MSG_F_COPY,
                  (void *)(uintptr_t)from, (size_t)(at - from), NULL, 0, NULL) == 0,
            "produce", rd_kafka_err2str(rd_kafka_last_error()));
        if (i % 1000 == 0)
            (void)rd_kafka_poll(rk, 0);
    }
    check(rd_kafka_flush(rk, 120000) == 0, "flush", "timed out");
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(rk);
    leat__decoder_free(decoder);
    leat__schema_free(schema);
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
    rd_kafka_t *rk = client(RD_KAFKA_CONSUMER, settings, sizeof settings / sizeof settings[0]);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, TOPIC, NULL);
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
        &(struct leat_kafka_source_opts){ .cluster = { .brokers = brokers },
            .topics = TOPIC,
            .type = &bid_type,
            .format = LEAT_FORMAT_AVRO_BINARY,
            .bounded = true,
            .event_time = timed ? "dateTime" : NULL });
}

static void run(leat_topology *t, uint32_t rows)
{
    struct leat_error err = { 0 };
    leat_job *job;
    check(leat_job_new(t, &(struct leat_job_opts){ .parallelism = 1 }, &job, &err) == 0, "job", err.message);
    check(leat_job_run(job) == 0, "job", leat_job_error(job)->message);
    check(leat_job_progress(job)->source_records == rows, "job", "rows are missing");
    leat_job_free(job);
    leat_topology_free(t);
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

/* ---- figures ---- */

struct measure {
    double cpu_s[REPETITIONS_MAX], wall_s[REPETITIONS_MAX];
};

#define TIMED(measure_, i_, call_) \
    do { \
        const double cpu_ = bench_cpu_s(), wall_ = bench_wall_s(); \
        call_; \
        (measure_).cpu_s[i_] = bench_cpu_s() - cpu_; \
        (measure_).wall_s[i_] = bench_wall_s() - wall_; \
    } while (0)

static void print(
    const char *what, uint32_t rows, struct measure *ours, const struct measure *bare, int repetitions)
{
    const double wall = bench_median(ours->wall_s, repetitions), cpu = bench_median(ours->cpu_s, repetitions);
    printf(
        "%-28s %6.2f M rows/s, %6.1f ns of processor time a row", what, rows / wall / 1e6, cpu / rows * 1e9);
    if (bare)
        printf("; %3.0f %% of the bare loop's rate, %+.1f ns a row",
            100.0 * bare->wall_s[repetitions / 2] / wall, (cpu - bare->cpu_s[repetitions / 2]) / rows * 1e9);
    printf("\n");
}

int main(int argc, char **argv)
{
    static struct measure bare, source, count;
    const bool own = argc > 2 && strcmp(argv[1], "--broker") == 0;
    if (argc < 3 || (!own && strcmp(argv[1], "--brokers") != 0)) {
        (void)fprintf(stderr,
            "usage: bench_kafka (--broker PROGRAM | --brokers HOST:PORT) [repetitions [bids "
            "[partitions]]]\n");
        return 2;
    }
    const int repetitions = argc > 3 ? atoi(argv[3]) : 5;
    const uint32_t rows = argc > 4 ? (uint32_t)strtoul(argv[4], NULL, 10) : 2000000;
    const int partitions = argc > 5 ? atoi(argv[5]) : 4;
    if (own)
        start_broker(argv[2]);
    else
        (void)snprintf(brokers, sizeof brokers, "%s", argv[2]);
    struct bids bids = bids_make(rows, 1000);
    produce(&bids, partitions);
    for (int i = 0; i < repetitions; i++) {
        TIMED(bare, i, read_barely(rows, partitions));
        TIMED(source, i, run_source(rows));
        TIMED(count, i, run_count(rows));
    }
    printf("%u bids of %.0f bytes in %d partitions, %d repetitions\n", rows, (double)bids.size / rows,
        partitions, repetitions);
    print("librdkafka alone", rows, &bare, NULL, repetitions);
    print("source", rows, &source, &bare, repetitions);
    print("source to windowed count", rows, &count, &bare, repetitions);
    bids_free(&bids);
    if (broker > 0) {
        (void)kill(broker, SIGTERM);
        (void)waitpid(broker, NULL, 0);
    }
    return 0;
}
