/* connectors/kafka/client.h -- what source, sink and tools share of librdkafka: configuration, errors, logs.
 *
 * Configuration. From least to most: Leat's defaults, properties_file, properties, what the part itself insists on
 * (isolation.level, enable.auto.commit ...). Only properties of the list in properties.c may be given. A value may be a
 * reference (secret.h), which is resolved here, at the last moment: the spec of a node, plans, checkpoints and logs have
 * the reference.
 *
 * Errors. A code of librdkafka becomes one of Leat's: what may pass is LEAT_ECONNECT or LEAT_ETIMEOUT (retriable), wrong
 * credentials LEAT_EACCESS, a topic that is not there LEAT_ENOTFOUND, a fenced producer LEAT_EEXISTS, offsets that are gone
 * LEAT_EDATA, the rest LEAT_EIO. The text has the brokers, librdkafka's name and text of the error, and the remedy where
 * there is one.
 *
 * Brokers that refuse a client (refusal.h) are LEAT_EACCESS, whatever the call says that waited for them.
 *
 * A client keeps the last thing that librdkafka said about errors of connections, and leat__kafka_error adds it: "Connection
 * refused", "certificate verify failed" is the cause that the code of a call does not tell. Secret
 * values are in no text (secret.h). */
#ifndef LEAT_CONNECTORS_KAFKA_CLIENT_H
#define LEAT_CONNECTORS_KAFKA_CLIENT_H
#include "base/env.h"
#include "base/error.h"
#include "base/arena.h"
#include "connectors/kafka/refusal.h"
#include <leat/kafka.h>
#include <librdkafka/rdkafka.h>

enum leat_kafka_role {
    LEAT_KAFKA_CONSUMER = 1,
    LEAT_KAFKA_PRODUCER,
    LEAT_KAFKA_TRANSACTIONAL,
    LEAT_KAFKA_ADMIN,
    LEAT_KAFKA_REGISTRY, /* not librdkafka's: connectors/kafka/registry.h */
};

/* A copy of the cluster in the node's memory. */
struct leat_kafka_conn {
    const char *brokers; /* NULL: LEAT_KAFKA_BROKERS when the job starts */
    const char *properties, *properties_file; /* or NULL */
    const char *registry; /* NULL: LEAT_SCHEMA_REGISTRY */
};
/* Checked as far as it can be without files and brokers: LEAT_EDECLARE for properties that are unknown or can not be set. */
LEAT_NODISCARD int leat__kafka_conn_new(const struct leat_kafka_cluster *cluster, enum leat_kafka_role role,
    struct leat_arena *arena, struct leat_kafka_conn *conn, struct leat_error *err);

/* Calls fn for every property of the role, first of the file, then of `properties`, with references resolved; the value is
 * wiped behind the call. Errors name the place. */
struct leat_kafka_property; /* connectors/kafka/properties.h */
typedef int (*leat_kafka_value_fn)(
    void *arg, const struct leat_kafka_property *property, const char *value, struct leat_error *err);
LEAT_NODISCARD int leat__kafka_values(const struct leat_kafka_conn *conn, enum leat_kafka_role role,
    struct leat_env *env, leat_kafka_value_fn fn, void *arg, struct leat_error *err);

/* A configuration of librdkafka for the role; the caller sets what is its own and passes it to leat__kafka_new, or destroys
 * it. Reads the file of properties and references. */
LEAT_NODISCARD int leat__kafka_conf(const struct leat_kafka_conn *conn, enum leat_kafka_role role,
    struct leat_env *env, rd_kafka_conf_t **conf, struct leat_error *err);
/* Sets one property; a failure is a bug of ours or a librdkafka that does not know it, and is told as such. */
LEAT_NODISCARD int leat__kafka_set(
    rd_kafka_conf_t *conf, const char *name, const char *value, struct leat_error *err);

/* A client of librdkafka. Callbacks get it as their opaque; `owner` is the caller's. */
struct leat_kafka_client {
    rd_kafka_t *rk;
    const struct leat_kafka_conn *conn;
    void *owner;
    char said[256]; /* by librdkafka's threads; leat__kafka_said reads it */
    bool saying; /* atomic: somebody has it in hand */
    struct leat_kafka_refusal refusal;
    uint32_t troubles; /* atomic: errors and warnings so far, such as connections that were lost */
};
/* Takes conf in any case. `conn` is borrowed. */
LEAT_NODISCARD int leat__kafka_new(const struct leat_kafka_conn *conn, enum leat_kafka_role role,
    rd_kafka_conf_t *conf, void *owner, struct leat_kafka_client **client, struct leat_error *err);
void leat__kafka_free(struct leat_kafka_client *client); /* NULL is fine; waits for librdkafka's threads */
static inline struct leat_kafka_client *leat__kafka_client(void *opaque)
{
    return opaque;
}

/* Fills err from a code and returns Leat's. `doing`: "list the partitions of topic \"orders\"". `text`: librdkafka's own on
 * this failure, or NULL. */
LEAT_NODISCARD int leat__kafka_error(struct leat_kafka_client *client, rd_kafka_resp_err_t code,
    const char *text, const char *doing, struct leat_error *err);

/* rd_kafka_metadata of one topic, or of all (NULL), which gives up before its time when brokers refuse this client. */
rd_kafka_resp_err_t leat__kafka_metadata(struct leat_kafka_client *client, rd_kafka_topic_t *topic,
    const struct rd_kafka_metadata **metadata, int timeout_ms);
/* Partitions of a topic; waits up to timeout_ms. LEAT_ENOTFOUND where there is no such topic. */
LEAT_NODISCARD int leat__kafka_partitions(struct leat_kafka_client *client, const char *topic, int timeout_ms,
    uint32_t *partitions, struct leat_error *err);

/* (sink_topics.c) Makes the topic unless it is there, and waits until everybody knows. `config`: settings,
 * NAME=VALUE lines, or NULL. */
LEAT_NODISCARD int leat__kafka_topic_make(struct leat_kafka_client *client, const char *name,
    uint32_t partitions, int16_t replication, const char *config, struct leat_error *err);

#define LEAT_KAFKA_TIMEOUT_MS 30000 /* of calls that wait for an answer, unless the caller knows better */
#endif
