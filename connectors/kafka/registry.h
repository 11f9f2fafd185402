/* connectors/kafka/registry.h -- the client of a schema registry: schemas by number, numbers by schema.
 *
 * Speaks the REST interface that Confluent's registry has (and others have too). Settings come from the cluster's properties
 * that begin with "schema.registry." (properties.c). Nothing is cached here: who asks keeps what it makes of the answer,
 * so that a number is asked for once.
 *
 * Calls block: on a worker for the time of a request, which happens once for each schema. What may pass (no connection, no
 * answer in time, 429, 5xx) is tried again, `retries` times, each time waiting twice as long, also at the other addresses
 * of the URL list; then it is LEAT_ECONNECT or LEAT_ETIMEOUT, which a job with checkpoints restarts after. Answers are not
 * trusted: their size is bounded, redirects are not followed, and only http and https are spoken.
 *
 * Threads: a registry belongs to one thread at a time. */
#ifndef LEAT_CONNECTORS_KAFKA_REGISTRY_H
#define LEAT_CONNECTORS_KAFKA_REGISTRY_H
#include "base/strbuf.h"
#include "connectors/kafka/client.h"

#define LEAT_REGISTRY_ANSWER_BYTES_MAX (4u << 20)

struct leat_registry;

/* Subjects of schemas, by the property schema.registry.subject.name.strategy. */
enum leat_registry_strategy {
    LEAT_REGISTRY_TOPIC = 1, /* "topic" (default): TOPIC-value, TOPIC-key */
    LEAT_REGISTRY_RECORD, /* "record": the record's full name */
    LEAT_REGISTRY_TOPIC_RECORD, /* "topic-record": TOPIC-NAME */
};

/* Reads the settings; asks nothing yet. LEAT_EDECLARE where the URL is missing everywhere, or a setting can not be. `conn` is
 * borrowed. */
LEAT_NODISCARD int leat__registry_new(const struct leat_kafka_conn *conn, struct leat_env *env,
    struct leat_registry **registry, struct leat_error *err);
void leat__registry_free(struct leat_registry *registry); /* NULL is fine */

/* The subject of a topic's values or keys, to `out`. `record`: the schema's full name. */
void leat__registry_subject(const struct leat_registry *registry, const char *topic, bool is_key,
    const char *record, struct leat_strbuf *out);

/* The text of schema number `id`, to `out` (emptied first). LEAT_ENOTFOUND: the registry does not have it;
 * LEAT_EUNSUPPORTED: it is no Avro. What it refers to in other subjects is in the text (references.h). */
LEAT_NODISCARD int leat__registry_fetch(
    struct leat_registry *registry, int32_t id, struct leat_strbuf *out, struct leat_error *err);

/* The text of the subject's newest schema, to `out` (emptied first): 1; 0 where there is no such subject. As
 * leat__registry_fetch besides. */
LEAT_NODISCARD int leat__registry_latest(
    struct leat_registry *registry, const char *subject, struct leat_strbuf *out, struct leat_error *err);

/* The number of the schema in the subject: it is registered where it is missing, unless
 * schema.registry.auto.register.schemas=false (then LEAT_ENOTFOUND). LEAT_ESCHEMA, with what the registry says, where the subject's
 * compatibility does not allow it. */
LEAT_NODISCARD int leat__registry_register(struct leat_registry *registry, const char *subject,
    const char *schema, int32_t *id, struct leat_error *err);

/* Whether the schema may be the subject's next version, without registering it: 0, or LEAT_ESCHEMA with the reasons. A
 * subject that is not there takes any. */
LEAT_NODISCARD int leat__registry_check(
    struct leat_registry *registry, const char *subject, const char *schema, struct leat_error *err);
#endif
