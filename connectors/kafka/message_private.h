/* connectors/kafka/message_private.h -- what a layout is made of (message.h). */
#ifndef LEAT_CONNECTORS_KAFKA_MESSAGE_PRIVATE_H
#define LEAT_CONNECTORS_KAFKA_MESSAGE_PRIVATE_H
#include "connectors/kafka/message.h"
#include "record/schema.h"

enum leat_kafka_meta_field {
    LEAT_KAFKA_META_TOPIC = 0,
    LEAT_KAFKA_META_PARTITION,
    LEAT_KAFKA_META_OFFSET,
    LEAT_KAFKA_META_TIMESTAMP,
    LEAT_KAFKA_META_HEADERS,
    LEAT_KAFKA_META_KEY,
    LEAT_KAFKA_META_TOMBSTONE,
    LEAT_KAFKA_META_TRACEPARENT,
    LEAT_KAFKA_META_TRACESTATE,
    LEAT_KAFKA_META_TRACE_LINKS,
    LEAT_KAFKA_META_COUNT,
};

struct leat_kafka_meta_place {
    bool is_set;
    const struct leat_field *field; /* of the record; has_offset LEAT_NOT_NULLABLE where it can not be null */
};

/* A value or a key: what some fields of the record are in a message. */
struct leat_kafka_part {
    const struct leat_type
        *type; /* leat__type_part of the record's, with a schema of its own; NULL: there is none */
    enum leat_format format;
    const struct leat_field *raw; /* LEAT_FORMAT_RAW: its only field */
};

#define LEAT_KAFKA_TRACEPARENT "traceparent"
#define LEAT_KAFKA_TRACESTATE "tracestate"
#define LEAT_KAFKA_TRACE_LINKS "leat.trace.links" /* traceparents with commas between */

struct leat_kafka_layout {
    const struct leat_type *type;
    struct leat_kafka_part value, key;
    bool key_only; /* its fields are not in the value */
    const char *written_schema; /* of values as AVRO_BINARY; NULL: the value's own */
    char separator;
    const char *topic; /* of records that name none, or NULL */
    struct leat_kafka_meta_place meta[LEAT_KAFKA_META_COUNT];
    int64_t (*timestamp_to_us)(int64_t value); /* of meta.timestamp; NULL: microseconds already */
    bool has_trace; /* any field of trace context */
    /* meta.headers */
    bool headers_are_map;
    const struct leat_field *header_name,
        *header_value; /* of an item, where they are an array; of a map NULL */
};
#endif
