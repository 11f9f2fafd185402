/* connectors/kafka/properties.h -- librdkafka's properties as users give them: "name=value", one a line; empty lines and those
 * that begin with # say nothing. */
#ifndef LEAT_CONNECTORS_KAFKA_PROPERTIES_H
#define LEAT_CONNECTORS_KAFKA_PROPERTIES_H
#include "connectors/kafka/client.h"

#define LEAT_KAFKA_FOR(role_) (1u << (role_))

struct leat_kafka_property {
    const char *name;
    uint32_t roles; /* bits LEAT_KAFKA_FOR(role): where it means something; elsewhere it is left out */
    const char *instead; /* why it can not be set, or what to set instead; NULL: it can */
    bool is_secret;
};

/* The value is as given: references are not resolved. */
typedef int (*leat_kafka_property_fn)(
    void *arg, const struct leat_kafka_property *property, struct leat_sv value, struct leat_error *err);
/* Calls fn for each property of the text that means something in the role, in its order. LEAT_EDECLARE, with the line, for
 * text that is none, for unknown properties (with a near miss) and for those that can not be set. */
LEAT_NODISCARD int leat__kafka_properties_each(struct leat_sv text, enum leat_kafka_role role,
    leat_kafka_property_fn fn, void *arg, struct leat_error *err);
/* The names of those that are secret and librdkafka's, by number; NULL behind the last. */
const char *leat__kafka_secret_name(uint32_t number);
/* The one of that name, or NULL. */
const struct leat_kafka_property *leat__kafka_property_find(struct leat_sv name);
#endif
