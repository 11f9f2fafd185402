/* connectors/kafka/refusal.h -- brokers that do not let a client in: a wrong password, a certificate that one of the two does not
 * accept.
 *
 * librdkafka goes on trying for ever, and a call only tells that its time is over. But nobody mends a password by
 * waiting; so what was refused is noted here, and whoever waits asks whether it has lasted. Brokers that are away refuse
 * nothing: they are waited for. One refusal alone says little (one of several brokers, one that is just starting): it has to last,
 * without an answer between.
 *
 * Threads: notes come from librdkafka's threads and from who polls; all may ask. */
#ifndef LEAT_CONNECTORS_KAFKA_REFUSAL_H
#define LEAT_CONNECTORS_KAFKA_REFUSAL_H
#include "base/error.h"
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>

#define LEAT_KAFKA_REFUSED_BEGIN_MS 2500 /* of a client that nobody has answered yet */
#define LEAT_KAFKA_REFUSED_MS 30000 /* of one that was let in before */

struct leat_kafka_refusal {
    bool locked; /* atomic */
    bool is_exact; /* text is a cause of our own words */
    int code; /* rd_kafka_resp_err_t; 0: nobody refuses; written atomically */
    int64_t since_ns, last_ns; /* monotonic */
    const char *remedy;
    char text[200];
};

/* Something librdkafka said, by its error callback (its code) or as a line of its log (code 0): noted if it is a refusal. */
void leat__kafka_refusal_hear(struct leat_kafka_refusal *refusal, rd_kafka_resp_err_t code, const char *text);
/* OpenSSL does not accept the certificate of the broker `name`; `reason`: its X509_V_ERR_ number. */
void leat__kafka_refusal_certificate(struct leat_kafka_refusal *refusal, const char *name, int reason);
/* Somebody has answered. */
void leat__kafka_refusal_end(struct leat_kafka_refusal *refusal);
/* Whether it has lasted so long. */
bool leat__kafka_refusal_lasts(struct leat_kafka_refusal *refusal, int64_t for_ms);
/* A copy of what there is; false: nothing, or nothing of the last minute. */
bool leat__kafka_refusal_read(struct leat_kafka_refusal *refusal, struct leat_kafka_refusal *copy);
#endif
