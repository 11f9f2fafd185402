/* connectors/kafka/client.h -- what source, sink and tools share of librdkafka: configuration, errors, logs.
 *
 * Configuration. From least to most: Leat's defaults, properties_file, properties, what the part itself insists on
 * (isolation.level, enable.auto.commit ...). Only properties of the list in properties.c may be given (reliability: what runs
 * a program, loads a library or asks another host is denied); others are refused with the nearest name. Values may be
 * references "${file:PATH}" and "${env:NAME}", which are resolved here, at the last moment: the spec of a node, plans,
 * checkpoints and logs have the reference. Plain text to a host that is not loopback is warned of once.
 *
 * Errors. A code of librdkafka becomes one of Leat's: what may pass is LEAT_ECONNECT or LEAT_ETIMEOUT (retriable), wrong
 * credentials LEAT_EACCESS, a topic that is not there LEAT_ENOTFOUND, a fenced producer LEAT_EEXISTS, offsets that are gone
 * LEAT_EDATA, the rest LEAT_EIO. The text has the brokers, librdkafka's name and text of the error, and the remedy where
 * there is one.
 *
 * Logs of librdkafka's threads go to the context's log by a bounded queue or are dropped and counted; they never have values
 * of properties. */
#ifndef LEAT_CONNECTORS_KAFKA_CLIENT_H
#define LEAT_CONNECTORS_KAFKA_CLIENT_H
#include "base/env.h"
#include "base/error.h"
#include "topology/declare.h"
#include <leat/kafka.h>
#include <librdkafka/rdkafka.h>

enum leat_kafka_role {
    LEAT_KAFKA_CONSUMER = 1,
    LEAT_KAFKA_PRODUCER,
    LEAT_KAFKA_TRANSACTIONAL,
    LEAT_KAFKA_ADMIN
};

/* A copy of the cluster in the node's memory, checked as far as it can be without a broker: brokers that are not given
 * anywhere, properties that are unknown, denied, or have a value that can not be. Of a declaration: `place` names the option
 * ("cluster.properties") in the error. */
struct leat_kafka_conn {
    const char *brokers, *properties, *properties_file, *registry;
};
LEAT_NODISCARD int leat__kafka_conn_new(const struct leat_kafka_cluster *cluster, enum leat_kafka_role role,
    struct leat_arena *arena, struct leat_env *env, struct leat_kafka_conn *conn, struct leat_error *err);

/* A configuration of librdkafka for the role; the caller sets what is its own and passes it to rd_kafka_new, or destroys
 * it. References are read here. */
LEAT_NODISCARD int leat__kafka_conf(const struct leat_kafka_conn *conn, enum leat_kafka_role role,
    struct leat_env *env, rd_kafka_conf_t **conf, struct leat_error *err);
/* Sets one property; a failure is a bug of ours or a librdkafka that does not know it, and is told as such. */
LEAT_NODISCARD int leat__kafka_set(
    rd_kafka_conf_t *conf, const char *name, const char *value, struct leat_error *err);
/* rd_kafka_new; takes conf in any case. */
LEAT_NODISCARD int leat__kafka_new(const struct leat_kafka_conn *conn, enum leat_kafka_role role,
    rd_kafka_conf_t *conf, rd_kafka_t **client, struct leat_error *err);

/* Fills err from a code and returns Leat's. `doing`: "list the partitions of topic \"orders\"". */
LEAT_NODISCARD int leat__kafka_error(const struct leat_kafka_conn *conn, rd_kafka_resp_err_t code,
    const char *text, const char *doing, struct leat_error *err);

/* Partitions of a topic; waits up to timeout_ms. LEAT_ENOTFOUND where there is no such topic. */
LEAT_NODISCARD int leat__kafka_partitions(const struct leat_kafka_conn *conn, rd_kafka_t *client,
    const char *topic, int timeout_ms, uint32_t *partitions, struct leat_error *err);

#define LEAT_KAFKA_TIMEOUT_MS 30000 /* of calls that wait for an answer, unless the caller knows better */
#endif
