/* connectors/kafka/produce.c -- records to librdkafka: sizes, timestamps, headers, handles of topics. */
#include "connectors/kafka/sink_private.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define BUFFER_KBYTES "131072" /* that a producer holds, unless the properties say otherwise */
#define BATCH_BYTES 1000000u /* librdkafka's own default */
#define CLIENT_BYTES_MIN 1000u /* of message.max.bytes, as librdkafka has it */

/* ---- configuration ---- */

int64_t leat__kafka_number(const rd_kafka_conf_t *conf, const char *name)
{
    char text[64] = "";
    size_t size = sizeof text;
    return rd_kafka_conf_get(conf, name, text, &size) == RD_KAFKA_CONF_OK ? strtoll(text, NULL, 10) : -1;
}

static int set_number(rd_kafka_conf_t *conf, const char *name, int64_t value, struct leat_error *err)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%lld", (long long)value);
    return leat__kafka_set(conf, name, text, err);
}

uint32_t leat__kafka_client_bytes(const rd_kafka_conf_t *conf, uint32_t otherwise)
{
    const int64_t bytes = leat__kafka_number(conf, "message.max.bytes");
    return bytes <= 0 || bytes == BATCH_BYTES ? otherwise : (uint32_t)bytes;
}

/* So that no batch is larger than the brokers take, whatever it compresses to. */
static int set_sizes(rd_kafka_conf_t *conf, uint32_t bytes_max, uint32_t batch_bytes, struct leat_error *err)
{
    const uint32_t client = bytes_max > CLIENT_BYTES_MIN ? bytes_max : CLIENT_BYTES_MIN;
    if (batch_bytes == 0 || batch_bytes > bytes_max)
        batch_bytes = bytes_max;
    LEAT_TRY(set_number(conf, "message.max.bytes", client, err));
    return batch_bytes < leat__kafka_number(conf, "batch.size")
        ? set_number(conf, "batch.size", batch_bytes, err)
        : 0;
}

int leat__kafka_producer_conf(const struct leat_kafka_target *target, enum leat_kafka_role role,
    struct leat_env *env, rd_kafka_conf_t **conf, struct leat_error *err)
{
    const uint32_t bytes_max = __atomic_load_n(&target->seen->bytes_max, __ATOMIC_RELAXED);
    const uint32_t batch_bytes = __atomic_load_n(&target->producers->batch_bytes, __ATOMIC_RELAXED);
    LEAT_TRY(leat__kafka_conf(&target->conn, role, env, conf, err));
    int code = set_sizes(*conf, bytes_max, batch_bytes, err);
    if (code == 0 &&
        leat__kafka_number(*conf, "queue.buffering.max.kbytes") == 1048576) /* librdkafka's default */
        code = leat__kafka_set(*conf, "queue.buffering.max.kbytes", BUFFER_KBYTES, err);
    if (code < 0) {
        rd_kafka_conf_destroy(*conf);
        *conf = NULL;
    }
    return code;
}

/* ---- topics ---- */

rd_kafka_topic_t *leat__kafka_handle(struct leat_kafka_handles *h, rd_kafka_t *rk, struct leat_sv name)
{
    char text[LEAT_KAFKA_TOPIC_BYTES_MAX + 1];
    for (uint32_t i = 0; i < h->count; i++) {
        const char *known = rd_kafka_topic_name(h->handles[i]);
        if (strncmp(known, name.data, name.len) == 0 && known[name.len] == '\0')
            return h->handles[i];
    }
    if (name.len > LEAT_KAFKA_TOPIC_BYTES_MAX)
        return NULL;
    memcpy(text, name.data, name.len);
    text[name.len] = '\0';
    rd_kafka_topic_t *made = rd_kafka_topic_new(rk, text, NULL);
    if (!made)
        return NULL;
    if (h->count == LEAT_KAFKA_HANDLES_MAX)
        leat__kafka_handles_release(h); /* messages under way hold theirs themselves */
    h->handles[h->count++] = made;
    return made;
}

void leat__kafka_handles_release(struct leat_kafka_handles *h)
{
    for (uint32_t i = 0; i < h->count; i++)
        rd_kafka_topic_destroy(h->handles[i]);
    h->count = 0;
}

/* ---- records ---- */

static uint32_t get_u32(const char *at)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < 4; i++)
        value |= (uint32_t)(unsigned char)at[i] << 8 * i;
    return value;
}

/* NULL when out of memory. The bytes are those that message_write.c has made, checked by the outbox's sums. */
static rd_kafka_headers_t *headers_of(struct leat_sv bytes)
{
    const uint32_t count = get_u32(bytes.data);
    rd_kafka_headers_t *headers = rd_kafka_headers_new(count);
    const char *at = bytes.data + 4;
    for (uint32_t i = 0; headers && i < count; i++) {
        const uint32_t name_len = get_u32(at);
        const char *name = at + 4;
        const uint32_t size = get_u32(name + name_len);
        const char *value = name + name_len + 4;
        const bool has = size != UINT32_MAX;
        if (rd_kafka_header_add(headers, name, name_len, has ? value : NULL, has ? (ssize_t)size : 0)) {
            rd_kafka_headers_destroy(headers);
            headers = NULL;
        }
        at = value + (has ? size : 0);
    }
    return headers;
}

/* In milliseconds, for 0 is "now"; times before 1970 there are none in Kafka. */
static int64_t timestamp_of(int64_t time_us)
{
    if (time_us == INT64_MIN)
        return 0;
    return time_us < 1000 ? 1 : time_us / 1000;
}

rd_kafka_resp_err_t leat__kafka_produce(
    rd_kafka_t *rk, rd_kafka_topic_t *topic, const struct leat_outbox_record *r)
{
    rd_kafka_headers_t *headers = NULL;
    if (r->headers.data && r->headers.len > 4) {
        headers = headers_of(r->headers);
        if (!headers)
            return RD_KAFKA_RESP_ERR__FAIL;
    }
    const rd_kafka_vu_t vus[] = {
        { .vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = topic },
        { .vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = r->partition },
        { .vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY },
        { .vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = timestamp_of(r->time_us) },
        { .vtype = RD_KAFKA_VTYPE_KEY, .u.mem = { (void *)(uintptr_t)r->key.data, r->key.len } },
        { .vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = { (void *)(uintptr_t)r->value.data, r->value.len } },
        { .vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers },
    };
    const size_t count = sizeof vus / sizeof vus[0] - (headers ? 0 : 1);
    rd_kafka_error_t *error = rd_kafka_produceva(rk, vus, count);
    if (!error)
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    const rd_kafka_resp_err_t code = rd_kafka_error_code(error);
    rd_kafka_error_destroy(error);
    if (headers)
        rd_kafka_headers_destroy(headers); /* it takes them only when it takes the message */
    return code;
}

rd_kafka_resp_err_t leat__kafka_produce_there(
    struct leat_kafka_client *client, rd_kafka_topic_t *topic, const struct leat_outbox_record *r)
{
    struct leat_error ignored = { 0 };
    uint32_t partitions;
    const rd_kafka_resp_err_t code = leat__kafka_produce(client->rk, topic, r);
    if (code != RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION ||
        leat__kafka_partitions(
            client, rd_kafka_topic_name(topic), LEAT_KAFKA_TIMEOUT_MS, &partitions, &ignored) < 0)
        return code;
    return leat__kafka_produce(client->rk, topic, r);
}

/* The smallest limit of the topics that it writes to. */
static uint32_t least_limit(struct leat_kafka_client *client, const struct leat_kafka_handles *h)
{
    uint32_t least = UINT32_MAX;
    for (uint32_t i = 0; i < h->count; i++) {
        struct leat_error ignored = { 0 };
        struct leat_kafka_topic topic;
        if (leat__kafka_topic_look(client, rd_kafka_topic_name(h->handles[i]), &topic, &ignored) == 0 &&
            topic.bytes_max < least)
            least = topic.bytes_max;
    }
    return least;
}

static int too_large(const struct leat_kafka_target *t, struct leat_kafka_client *client,
    const struct leat_kafka_handles *handles, struct leat_error *err)
{
    const uint32_t least = least_limit(client, handles);
    if (least < leat__kafka_number(rd_kafka_conf(client->rk), "batch.size")) {
        __atomic_store_n(&t->producers->batch_bytes, least, __ATOMIC_RELAXED);
        return leat__error(err, LEAT_ECONNECT,
            "could not write a batch: one of its topics takes at most %" PRIu32
            " bytes (max.message.bytes). The next "
            "batches are smaller; the property batch.size=%" PRIu32 " makes them so from the beginning",
            least, least);
    }
    return leat__error(err, LEAT_ELIMIT,
        "could not write a message to topic \"%s\": it is larger than the topic takes by now, although it "
        "was not "
        "when "
        "its row came. Nothing of the epoch was written: raise max.message.bytes of the topic, and start the "
        "job again",
        t->topic ? t->topic : "that the record names");
}

int leat__kafka_not_written(const struct leat_kafka_target *target, struct leat_kafka_client *client,
    const struct leat_kafka_handles *handles, rd_kafka_resp_err_t code, struct leat_error *err)
{
    if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
        return too_large(target, client, handles, err);
    const char *doing = "write a message";
    if (code == RD_KAFKA_RESP_ERR_INVALID_RECORD)
        doing = "write a message, for a compacted topic takes none without a key";
    else if (code == RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP)
        doing = "write a message, for the topic takes no timestamp so far from now (message.timestamp.*)";
    const int ours = leat__kafka_error(client, code, NULL, doing, err);
    if (code != RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION && ours != LEAT_EEXISTS)
        return ours;
    /* It was there when the row was placed, and this broker does not know of it yet. Or the brokers have forgotten a
     * producer that has no name which somebody else could have: a new one does it. */
    err->code = LEAT_ECONNECT;
    return LEAT_ECONNECT;
}

static uint64_t varint_bytes(uint64_t value) /* of a number that is not negative */
{
    uint64_t bytes = 1;
    for (value *= 2; value >= 128; value /= 128)
        bytes++;
    return bytes;
}

uint64_t leat__kafka_record_bytes(const struct leat_outbox_record *r)
{
    const uint64_t batch = 61, attributes_and_deltas = 3;
    uint64_t headers = 1;
    if (r->headers.data && r->headers.len > 4) /* sizes of 4 bytes each here: no fewer than varints have */
        headers = r->headers.len;
    const uint64_t body = attributes_and_deltas + (r->key.data ? varint_bytes(r->key.len) + r->key.len : 1) +
        (r->value.data ? varint_bytes(r->value.len) + r->value.len : 1) + headers;
    return batch + varint_bytes(body) + body;
}
