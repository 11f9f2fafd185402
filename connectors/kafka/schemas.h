/* connectors/kafka/schemas.h -- the schemas that a registry has for the values or keys of messages.
 *
 * Reading: a number is asked for when it is first met; its decoder stays. What the registry does not have, and what can not be
 * read as the type, is remembered as well, so that a topic full of it asks once: such messages are bad rows. Writing: the number
 * of the part's schema in a topic's subject, asked for (and registered) once for each topic. No registry is asked, nor its
 * address needed, before that.
 *
 * Belongs to one thread at a time; calls may block for the time of a request (registry.h). */
#ifndef LEAT_CONNECTORS_KAFKA_SCHEMAS_H
#define LEAT_CONNECTORS_KAFKA_SCHEMAS_H
#include "connectors/kafka/message_private.h"
#include "record/avro.h"

#define LEAT_KAFKA_REGISTRY_BYTES 5u /* 00 and the number, big endian */

struct leat_kafka_schemas;
/* part and conn are borrowed. */
LEAT_NODISCARD int leat__kafka_schemas_new(const struct leat_kafka_part *part, bool is_key,
    const struct leat_kafka_conn *conn, struct leat_env *env, struct leat_kafka_schemas **schemas,
    struct leat_error *err);
void leat__kafka_schemas_free(struct leat_kafka_schemas *schemas); /* NULL is fine */

/* The decoder of what was written with schema `id`. LEAT_EDATA where there is none; other errors are of the registry. */
LEAT_NODISCARD int leat__kafka_schemas_decoder(
    struct leat_kafka_schemas *schemas, int32_t id, struct leat_decoder **decoder, struct leat_error *err);
/* The number of the part's schema in the topic. */
LEAT_NODISCARD int leat__kafka_schemas_number(
    struct leat_kafka_schemas *schemas, struct leat_sv topic, int32_t *id, struct leat_error *err);

/* Before a job starts, by the coordinator. Of a sink: whether values and keys may be written to the topic, as its subjects'
 * compatibility says, and registers them. LEAT_ESCHEMA with the registry's reasons. Nothing to do in other formats. */
LEAT_NODISCARD int leat__kafka_schemas_prepare(const struct leat_kafka_layout *layout,
    const struct leat_kafka_conn *conn, struct leat_env *env, const char *topic, struct leat_error *err);
/* Of a source: whether what is written with the newest schemas of the topic's subjects can be read as the type. */
LEAT_NODISCARD int leat__kafka_schemas_check(const struct leat_kafka_layout *layout,
    const struct leat_kafka_conn *conn, struct leat_env *env, const char *topic, struct leat_error *err);
#endif
