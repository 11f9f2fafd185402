/* bench/kafka_bench.c -- see the header. */
#include "bench/kafka_bench.h"
#include "bench/bids.h"
#include "record/avro.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANSWER_MS 10000
#define ALL_PARTITIONS_MAX 1000

char kafka_brokers[128];
static pid_t broker;

void kafka_check(bool good, const char *what, const char *why)
{
    if (good)
        return;
    (void)fprintf(stderr, "bench: %s: %s\n", what, why);
    if (broker > 0)
        (void)kill(broker, SIGTERM);
    exit(1);
}

static void start(const char *program)
{
    int out[2];
    kafka_check(pipe(out) == 0, "pipe", "failed");
    broker = fork();
    if (broker == 0) {
        (void)dup2(out[1], 1);
        (void)execl(program, program, (char *)NULL);
        _exit(127);
    }
    (void)close(out[1]);
    FILE *lines = fdopen(out[0], "r");
    kafka_check(
        lines && fgets(kafka_brokers, sizeof kafka_brokers, lines), program, "does not say where it is");
    kafka_brokers[strcspn(kafka_brokers, "\n")] = '\0';
}

bool kafka_begin(int *argc, char **argv)
{
    const bool own = *argc > 2 && strcmp(argv[1], "--broker") == 0;
    if (*argc < 3 || (!own && strcmp(argv[1], "--brokers") != 0))
        return false;
    if (own)
        start(argv[2]);
    else
        (void)snprintf(kafka_brokers, sizeof kafka_brokers, "%s", argv[2]);
    *argc -= 2;
    memmove(argv + 1, argv + 3, (size_t)*argc * sizeof *argv); /* with the NULL behind them */
    return true;
}

void kafka_end(void)
{
    if (broker <= 0)
        return;
    (void)kill(broker, SIGTERM);
    (void)waitpid(broker, NULL, 0);
    broker = 0;
}

/* ---- clients ---- */

rd_kafka_conf_t *kafka_conf(const char *const (*settings)[2], size_t count)
{
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    kafka_check(
        rd_kafka_conf_set(conf, "bootstrap.servers", kafka_brokers, why, sizeof why) == RD_KAFKA_CONF_OK,
        "conf", why);
    for (size_t i = 0; i < count; i++)
        kafka_check(
            rd_kafka_conf_set(conf, settings[i][0], settings[i][1], why, sizeof why) == RD_KAFKA_CONF_OK,
            settings[i][0], why);
    return conf;
}

rd_kafka_t *kafka_client(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
    char why[256];
    rd_kafka_t *rk = rd_kafka_new(type, conf, why, sizeof why);
    kafka_check(rk, "client", why);
    return rk;
}

/* ---- topics ---- */

/* A broker may say that it is made before all of it knows. */
static void wait_until_known(rd_kafka_t *rk, const char *name, int partitions)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, name, NULL);
    for (int known = -1; known != partitions;) {
        kafka_check(rd_kafka_metadata(rk, 0, topic, &metadata, ANSWER_MS) == RD_KAFKA_RESP_ERR_NO_ERROR, name,
            "no metadata");
        known = metadata->topic_cnt == 1 && !metadata->topics[0].err ? metadata->topics[0].partition_cnt : -1;
        rd_kafka_metadata_destroy(metadata);
        if (known != partitions)
            (void)usleep(20000);
    }
    rd_kafka_topic_destroy(topic);
}

void kafka_topic_make(rd_kafka_t *rk, const char *topic, int partitions)
{
    char why[256] = "";
    rd_kafka_NewTopic_t *new = rd_kafka_NewTopic_new(topic, partitions, 1, why, sizeof why);
    kafka_check(new, "topic", why);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_CreateTopics(rk, &new, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, ANSWER_MS);
    kafka_check(event && !rd_kafka_event_error(event), "create topic", "no answer");
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewTopic_destroy(new);
    wait_until_known(rk, topic, partitions);
}

void kafka_topic_drop(const char *topic)
{
    rd_kafka_t *rk = kafka_client(RD_KAFKA_PRODUCER, kafka_conf(NULL, 0));
    rd_kafka_DeleteTopic_t *old = rd_kafka_DeleteTopic_new(topic);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_DeleteTopics(rk, &old, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, ANSWER_MS);
    kafka_check(event && !rd_kafka_event_error(event), "delete topic", "no answer");
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_DeleteTopic_destroy(old);
    rd_kafka_destroy(rk);
}

int64_t kafka_topic_length(const char *topic, int partitions)
{
    rd_kafka_t *rk = kafka_client(RD_KAFKA_CONSUMER, kafka_conf(NULL, 0));
    int64_t length = 0, oldest, end;
    for (int p = 0; p < partitions; p++) {
        const rd_kafka_resp_err_t code =
            rd_kafka_query_watermark_offsets(rk, topic, p, &oldest, &end, ANSWER_MS);
        kafka_check(code == RD_KAFKA_RESP_ERR_NO_ERROR, topic, rd_kafka_err2str(code));
        length += end - oldest;
    }
    rd_kafka_destroy(rk);
    return length;
}

/* ---- jobs ---- */

uint64_t kafka_run(leat_topology *t, const struct leat_job_opts *opts)
{
    struct leat_error err = { 0 };
    leat_job *job;
    const bool made = leat_job_new(t, opts, &job, &err) == 0;
    kafka_check(made, "job", err.message);
    const bool ran = leat_job_run(job) == 0;
    kafka_check(ran, "job", leat_job_error(job)->message);
    const uint64_t records = leat_job_progress(job)->source_records;
    leat_job_free(job);
    leat_topology_free(t);
    return records;
}

/* ---- bids ---- */

uint32_t *kafka_bid_offsets(const struct bids *bids)
{
    struct leat_error err = { 0 };
    struct leat_schema *schema;
    struct leat_decoder *decoder;
    uint32_t *offsets = malloc(((size_t)bids->count + 1) * sizeof *offsets);
    kafka_check(offsets && bids->size <= UINT32_MAX, "bids", "too many");
    kafka_check(leat__schema_parse(bid_type.schema, strlen(bid_type.schema), &schema, &err) == 0, "schema",
        err.message);
    kafka_check(leat__decoder_new(schema, &bid_type, NULL, &decoder, &err) == 0, "decoder", err.message);
    const uint8_t *at = bids->data, *end = at + bids->size;
    for (uint32_t i = 0; i < bids->count; i++) {
        offsets[i] = (uint32_t)(at - bids->data);
        kafka_check(leat__decode_skip(decoder, &at, end, &err) == 0, "skip", err.message);
    }
    offsets[bids->count] = (uint32_t)bids->size;
    leat__decoder_free(decoder);
    leat__schema_free(schema);
    return offsets;
}

/* ---- figures ---- */

void kafka_print(
    const char *what, uint32_t rows, struct kafka_measure *ours, struct kafka_measure *bare, int runs)
{
    const double wall = bench_median(ours->wall_s, runs), cpu = bench_median(ours->cpu_s, runs);
    printf(
        "%-34s %6.2f M rows/s, %6.1f ns of processor time a row", what, rows / wall / 1e6, cpu / rows * 1e9);
    if (bare)
        printf("; %3.0f %% of the bare loop's rate, %+.1f ns a row",
            100.0 * bench_median(bare->wall_s, runs) / wall,
            (cpu - bench_median(bare->cpu_s, runs)) / rows * 1e9);
    printf("\n");
    (void)fflush(stdout);
}
