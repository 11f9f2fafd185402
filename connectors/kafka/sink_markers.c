/* connectors/kafka/sink_markers.c -- the markers topic: for each slot the epoch whose outbox was sent last, and who has
 * fenced the slot since.
 *
 * A compacted topic of its own, for every job of the cluster: key "JOB-LIFE/NODE/SLOT", value "1 EPOCH OWNER". A marker is
 * written in the same transaction as the records that it is about; so it is there exactly when they are.
 *
 * Reading. Whoever has fenced a slot knows that its marker does not change any more; but a reader of what is committed
 * sees a partition only up to the first transaction that is still open, of whatever slot. So it reads until it is
 * where the partition ended (for those who see everything) when it began: behind that nothing is about this
 * slot. An open transaction of somebody else makes it wait, at most as long as the brokers leave one open. */
#include "base/alloc.h"
#include "connectors/kafka/sink_private.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define OPEN_TIMEOUT_MS 90000 /* for others' transactions, which last 60 s unless they have set more */
#define WAIT_MS 100

struct known {
    char *key;
    struct leat_kafka_marker marker;
};

struct leat_kafka_markers {
    const struct leat_kafka_target *target;
    struct leat_env *env;
    struct leat_kafka_client *ends; /* sees everything: where partitions end */
    struct leat_kafka_client *reader; /* sees what is committed */
    rd_kafka_topic_t *topic; /* the reader's */
    uint32_t partitions;
    int64_t *positions; /* of each partition: the next offset; -1: it is not read yet */
    struct known *known;
    uint32_t known_count, known_capacity;
};

static int out_of_memory(struct leat_error *err)
{
    return leat__error(err, LEAT_ENOMEM, "out of memory for the markers of a sink");
}

/* ---- clients ---- */

static int new_consumer(struct leat_kafka_markers *m, const char *isolation,
    struct leat_kafka_client **client, struct leat_error *err)
{
    rd_kafka_conf_t *conf;
    LEAT_TRY(leat__kafka_conf(&m->target->conn, LEAT_KAFKA_ADMIN, m->env, &conf, err));
    int code = leat__kafka_set(conf, "isolation.level", isolation, err);
    if (code == 0)
        code = leat__kafka_set(conf, "enable.partition.eof", "true", err);
    if (code == 0)
        code = leat__kafka_set(conf, "fetch.wait.max.ms", "20", err);
    if (code == 0)
        code = leat__kafka_set(conf, "check.crcs", "true", err);
    if (code < 0) {
        rd_kafka_conf_destroy(conf);
        return code;
    }
    return leat__kafka_new(&m->target->conn, LEAT_KAFKA_CONSUMER, conf, NULL, client, err);
}

/* The topic, made where it is missing. */
static int find_topic(struct leat_kafka_markers *m, struct leat_error *err)
{
    const struct leat_kafka_target *t = m->target;
    struct leat_kafka_client *admin;
    rd_kafka_conf_t *conf;
    int code =
        leat__kafka_partitions(m->reader, t->markers_topic, LEAT_KAFKA_TIMEOUT_MS, &m->partitions, err);
    if (code != LEAT_ENOTFOUND)
        return code;
    LEAT_TRY(leat__kafka_conf(&t->conn, LEAT_KAFKA_ADMIN, m->env, &conf, err));
    LEAT_TRY(leat__kafka_new(&t->conn, LEAT_KAFKA_ADMIN, conf, NULL, &admin, err));
    code = leat__kafka_topic_make(admin, t->markers_topic, 1, t->replication, "cleanup.policy=compact", err);
    leat__kafka_free(admin);
    return code < 0
        ? code
        : leat__kafka_partitions(m->reader, t->markers_topic, LEAT_KAFKA_TIMEOUT_MS, &m->partitions, err);
}

static int open_all(struct leat_kafka_markers *m, struct leat_error *err)
{
    LEAT_TRY(new_consumer(m, "read_uncommitted", &m->ends, err));
    LEAT_TRY(new_consumer(m, "read_committed", &m->reader, err));
    LEAT_TRY(find_topic(m, err));
    m->topic = rd_kafka_topic_new(m->reader->rk, m->target->markers_topic, NULL);
    m->positions = leat__malloc(m->partitions * sizeof *m->positions);
    if (!m->topic || !m->positions)
        return out_of_memory(err);
    for (uint32_t i = 0; i < m->partitions; i++)
        m->positions[i] = -1;
    return 0;
}

int leat__kafka_markers_new(const struct leat_kafka_target *target, struct leat_env *env,
    struct leat_kafka_markers **markers, struct leat_error *err)
{
    struct leat_kafka_markers *m = leat__calloc(1, sizeof *m);
    *markers = NULL;
    if (!m)
        return out_of_memory(err);
    m->target = target;
    m->env = env;
    const int code = open_all(m, err);
    if (code < 0)
        leat__kafka_markers_free(m);
    else
        *markers = m;
    return code;
}

void leat__kafka_markers_free(struct leat_kafka_markers *m)
{
    if (!m)
        return;
    for (uint32_t i = 0; m->positions && i < m->partitions; i++)
        if (m->positions[i] >= 0)
            (void)rd_kafka_consume_stop(m->topic, (int32_t)i);
    if (m->topic)
        rd_kafka_topic_destroy(m->topic);
    leat__kafka_free(m->reader);
    leat__kafka_free(m->ends);
    for (uint32_t i = 0; i < m->known_count; i++)
        leat__free(m->known[i].key);
    leat__free(m->known);
    leat__free(m->positions);
    leat__free(m);
}

/* ---- what is known ---- */

void leat__kafka_marker_print(const struct leat_kafka_marker *marker, char text[64])
{
    (void)snprintf(text, 64, "1 %" PRIu64 " %016" PRIx64, marker->epoch, marker->owner);
}

static bool parse(struct leat_sv value, struct leat_kafka_marker *marker)
{
    char text[64];
    char *end;
    if (value.len >= sizeof text || value.len < 3 || memcmp(value.data, "1 ", 2) != 0)
        return false;
    memcpy(text, value.data, value.len);
    text[value.len] = '\0';
    marker->epoch = strtoull(text + 2, &end, 10);
    if (*end != ' ')
        return false;
    marker->owner = strtoull(end + 1, &end, 16);
    return *end == '\0';
}

/* Of this job's life only: others have theirs there, too. */
static struct known *find(struct leat_kafka_markers *m, struct leat_sv key)
{
    for (uint32_t i = 0; i < m->known_count; i++)
        if (leat_sv_eq(leat_sv_of(m->known[i].key), key))
            return &m->known[i];
    return NULL;
}

static int note(
    struct leat_kafka_markers *m, struct leat_sv key, struct leat_kafka_marker marker, struct leat_error *err)
{
    struct known *known = find(m, key);
    if (known) {
        known->marker = marker;
        return 0;
    }
    if (m->known_count == m->known_capacity) {
        const uint32_t capacity = m->known_capacity ? 2 * m->known_capacity : 16;
        struct known *grown = leat__realloc(m->known, capacity * sizeof *grown);
        if (!grown)
            return out_of_memory(err);
        m->known = grown;
        m->known_capacity = capacity;
    }
    char *copy = leat__malloc(key.len + 1);
    if (!copy)
        return out_of_memory(err);
    memcpy(copy, key.data, key.len);
    copy[key.len] = '\0';
    m->known[m->known_count++] = (struct known){ copy, marker };
    return 0;
}

/* ---- reading ---- */

int32_t leat__kafka_markers_partition(const struct leat_kafka_markers *m, const char *key)
{
    return (int32_t)leat__kafka_partition_of_key(leat_sv_of(key), m->partitions);
}

static int take(struct leat_kafka_markers *m, const rd_kafka_message_t *message, const char *prefix,
    struct leat_error *err)
{
    struct leat_kafka_marker marker;
    const struct leat_sv key = { message->key, message->key_len };
    const size_t len = strlen(prefix);
    if (!key.data || key.len < len || memcmp(key.data, prefix, len) != 0)
        return 0;
    if (!message->payload || !parse((struct leat_sv){ message->payload, message->len }, &marker))
        return leat__error(err, LEAT_EDATA,
            "topic \"%s\" partition %d offset %lld: the marker of %.*s is none: who else writes there?",
            m->target->markers_topic, (int)message->partition, (long long)message->offset, (int)key.len,
            key.data);
    return note(m, key, marker, err);
}

static int begin(struct leat_kafka_markers *m, int32_t partition, struct leat_error *err)
{
    if (m->positions[partition] >= 0)
        return 0;
    if (rd_kafka_consume_start(m->topic, partition, RD_KAFKA_OFFSET_BEGINNING))
        return leat__kafka_error(m->reader, rd_kafka_last_error(), NULL, "read the markers", err);
    m->positions[partition] = 0;
    return 0;
}

static int held_back(const struct leat_kafka_markers *m, struct leat_error *err)
{
    return leat__error(err, LEAT_ETIMEOUT,
        "topic \"%s\" is held back by a transaction that somebody has left open (kafka-transactions.sh "
        "find-hanging shows it), or the brokers do not answer",
        m->target->markers_topic);
}

/* Up to `end`: as many markers as there are. */
static int read_up_to(
    struct leat_kafka_markers *m, int32_t partition, int64_t end, const char *prefix, struct leat_error *err)
{
    const int64_t until_ns = m->env->mono_ns(m->env) + (int64_t)OPEN_TIMEOUT_MS * 1000000;
    int code = begin(m, partition, err);
    while (code == 0 && m->positions[partition] < end) {
        rd_kafka_message_t *message = rd_kafka_consume(m->topic, partition, WAIT_MS);
        if (message && message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            m->positions[partition] = message->offset;
        } else if (message && message->err) {
            code = leat__kafka_error(m->reader, message->err, NULL, "read the markers", err);
        } else if (message) {
            code = take(m, message, prefix, err);
            m->positions[partition] = message->offset + 1;
        }
        if (message)
            rd_kafka_message_destroy(message);
        (void)rd_kafka_poll(m->reader->rk, 0);
        if (code == 0 && m->positions[partition] < end && m->env->mono_ns(m->env) >= until_ns)
            code = held_back(m, err);
    }
    return code;
}

int leat__kafka_markers_read(
    struct leat_kafka_markers *m, const char *key, struct leat_kafka_marker *marker, struct leat_error *err)
{
    const int32_t partition = leat__kafka_markers_partition(m, key);
    int64_t low, end;
    const rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(
        m->ends->rk, m->target->markers_topic, partition, &low, &end, LEAT_KAFKA_TIMEOUT_MS);
    if (code)
        return leat__kafka_error(m->ends, code, NULL, "ask where the markers end", err);
    const size_t job = strcspn(key, "/") + 1; /* its slots are all that counts */
    char prefix[512];
    if (job >= sizeof prefix)
        return leat__error(err, LEAT_ELIMIT, "the name of the job is too long for markers");
    memcpy(prefix, key, job);
    prefix[job] = '\0';
    LEAT_TRY(read_up_to(m, partition, end, prefix, err));
    const struct known *known = find(m, leat_sv_of(key));
    *marker = known ? known->marker : (struct leat_kafka_marker){ 0 };
    return known != NULL;
}
