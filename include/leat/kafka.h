/* include/leat/kafka.h -- topics of Apache Kafka as sources and sinks.
 *
 * A message is more than its value: it has a key, headers, a timestamp, a place. What of that a program wants are fields
 * of its record type. The options name them; they are read from, and written to, the message instead of its value:
 *
 *   { "name": "order", "type": "record", "fields": [
 *       { "name": "id", "type": "long" }, { "name": "total", "type": "double" },    in the value
 *       { "name": "partition", "type": "int" }, { "name": "offset", "type": "long" } ] }
 *
 *   .meta = { .partition = "partition", .offset = "offset" }
 *
 * So they go where the record goes: through callbacks, exchanges, state, and into another topic.
 *
 * Every partition is a split: its records stay in order, it has a watermark of its own, and its offset is in the
 * checkpoint. Partitions are assigned by the job, not by a consumer group: nothing is read twice or skipped because
 * somebody joins one. */
#ifndef LEAT_KAFKA_H
#define LEAT_KAFKA_H
#include <leat/job.h>
#include <leat/source.h>

/* Where the brokers are and how they are talked to. */
struct leat_kafka_cluster {
    const char *brokers; /* "host:port, ..."; NULL: the environment's LEAT_KAFKA_BROKERS */
    /* librdkafka's properties (docs/guide/kafka.md lists which), "name=value", one a line. A value "${file:PATH}" is the
     * first line of that file, "${env:NAME}" a variable: secrets are given so, and never logged. */
    const char *properties;
    const char *properties_file; /* more of them; `properties` counts first */
    const char
        *registry; /* URL of the schema registry, for LEAT_FORMAT_AVRO_REGISTRY; NULL: LEAT_SCHEMA_REGISTRY */
};

/* Fields of the record that are not in the value; NULL: none. Kinds may be nullable; what a message does not have is
 * null, or zero and empty. */
struct leat_kafka_meta {
    const char *topic; /* string. Of a sink: where each record goes, instead of .topic */
    const char *partition; /* int. Of a sink: where each record goes; null: as the partitioner says */
    const char *offset; /* long; not of sinks */
    const char
        *timestamp; /* long; its logical type gives the unit (a plain one: microseconds). Of a sink: else the
                              event time is written */
    const char
        *headers; /* array of records { string name; nullable bytes or string value }, in their order; or a
                            map of bytes or strings: of a name that is repeated the last one */
    const char *key; /* string or bytes: the key as it is, instead of .key below */
    const char
        *tombstone; /* boolean: the message has no value (not the same as an empty one), only its key. Without
                              this field such a message is a bad row of a source */
    /* W3C trace context (docs/guide/kafka.md). Strings, best nullable: the headers traceparent and tracestate, which go where the
     * record goes. What is malformed is null, or not written; never an error. */
    const char *traceparent, *tracestate;
    const char *
        trace_links; /* of a sink: array of strings (LEAT_TRACE_LINKS), or a string: header leat.trace.links */
};

/* How keys and values are written. Of enum leat_format: LEAT_FORMAT_JSON, _JSON_AVRO, _CSV (a line without header: the
 * fields in their order), _AVRO_BINARY, _AVRO_SINGLE, _AVRO_REGISTRY, _RAW. */
struct leat_kafka_key {
    const char *fields; /* "customer_id, region": the fields that are the key. NULL: none, unless meta.key */
    enum leat_format format; /* 0: LEAT_FORMAT_RAW */
    bool only; /* they are in the key and not in the value, too */
};

enum leat_kafka_start {
    LEAT_KAFKA_EARLIEST = 1, /* default */
    LEAT_KAFKA_LATEST, /* what comes after the job has begun */
    LEAT_KAFKA_TIMESTAMP, /* the first with a timestamp of start_us or later, or the end */
    LEAT_KAFKA_GROUP, /* where the group's committed offsets are; earliest where there are none */
    LEAT_KAFKA_OFFSETS, /* start_offsets; partitions that it does not name: earliest */
};

/* A job that goes on from a checkpoint reads on at its offsets, whatever .start says; partitions that have come since are
 * read from their beginning. Offsets that are gone (retention), and a topic that was deleted and made anew, are errors:
 * nothing is skipped in silence. */
struct leat_kafka_source_opts {
    struct leat_kafka_cluster cluster;
    const char *topics; /* "orders, refunds"; or a regular expression for the whole name, "^shop\\..*" */
    const struct leat_type *type;
    enum leat_format format; /* of the values; must be given */
    const char *
        value_schema; /* what AVRO_BINARY values are written with, JSON; NULL: the type's schema, less the fields
                                 that are not in the value */
    struct leat_kafka_key key;
    struct leat_kafka_meta meta;

    enum leat_kafka_start start;
    int64_t start_us; /* wall clock, for LEAT_KAFKA_TIMESTAMP */
    const char *start_offsets; /* "orders/0:17, orders/1:end" */
    bool bounded; /* to what the topics hold when the job begins: then the source ends */
    const char *
        group; /* consumer group to which offsets are published behind each checkpoint, for lag monitors; only
                          LEAT_KAFKA_GROUP ever reads them */
    bool read_uncommitted; /* also what open or aborted transactions have written */
    int64_t
        discover_us; /* how often new topics and partitions are looked for; 0: 1 min; -1: never. Not when bounded */
    char separator; /* CSV; 0: ',' */

    const char *event_time; /* include/leat/source.h; the field may be that of meta.timestamp */
    int64_t max_out_of_orderness_us;
    int64_t idle_timeout_us; /* a partition that has messages which were not read yet is never idle */
    int64_t max_ahead_us;
    enum leat_policy on_error;
    const char *align;
    int64_t max_drift_us;
};

/* A user's choice of the partition, 0 .. partitions - 1; `key` has data NULL where there is none. Called on workers. */
typedef int32_t (*leat_kafka_partition_fn)(void *arg, struct leat_sv key, uint32_t partitions);

/* A plain stream, or one of changes (leat/change.h) that has a key: then each change writes its key's newest record, and
 * DELETE a message without value, as compacted topics want it. */
struct leat_kafka_sink_opts {
    struct leat_kafka_cluster cluster;
    const char *topic; /* must exist, unless .partitions */
    uint32_t partitions; /* the topic is made with so many where it is missing; 0: it must exist */
    int16_t replication; /* of a topic that is made; 0: the brokers' default */
    enum leat_format format;
    struct leat_kafka_key key;
    struct leat_kafka_meta meta;
    /* Messages with a key go where Java's producers send them (murmur2 of the key's bytes), those without one to each
     * partition in turn. */
    leat_kafka_partition_fn partition;
    void *partition_arg;
    /* LEAT_EXACTLY_ONCE (default): what lies between two checkpoints is written in one transaction behind the second: needs
     * checkpoints, and readers with isolation.level=read_committed. LEAT_AT_LEAST_ONCE: at once, and after a crash what
     * lies behind the last checkpoint comes again. */
    enum leat_delivery delivery;
    /* Of a message that the brokers do not take for its size, and of a record that can not be written. */
    enum leat_policy on_error;
    char separator; /* CSV */
    const char *op_field; /* JSON of a stream of changes, instead of tombstones: as in leat_file_sink_opts */
    const char *markers_topic; /* compacted; made where it is missing; NULL: "leat-markers" */
};

/* How a dead letter says what went wrong, beside leat.dlq.*, which are always there. */
enum leat_kafka_error_headers {
    LEAT_KAFKA_ERRORS_CONNECT = 1, /* default: __connect.errors.*, as Kafka Connect writes them */
    LEAT_KAFKA_ERRORS_STREAMS, /* __streams.errors.*, as Kafka Streams does */
    LEAT_KAFKA_ERRORS_BOTH,
    LEAT_KAFKA_ERRORS_OWN, /* leat.dlq.* alone */
};

/* A sink for the streams of leat_dead_letters, of any node. A message of a Kafka source is written as it was: key, value and
 * headers byte by byte, behind them headers about the error, so that `leat dlq retry` can put it back; anything else as its
 * bytes, or the record as JSON, without key. The timestamp is when it failed; its own is in leat.dlq.timestamp. */
struct leat_kafka_dead_letters_opts {
    struct leat_kafka_cluster cluster;
    const char *topic; /* another than those that are read; must exist, unless .partitions */
    uint32_t partitions; /* these four as in struct leat_kafka_sink_opts */
    int16_t replication;
    enum leat_delivery delivery;
    const char *markers_topic;
    enum leat_kafka_error_headers error_headers;
    enum leat_policy
        on_error; /* of letters that can not be written, such as those that are too large for the topic */
};

LEAT_BEGIN_DECLS
LEAT_API leat_stream *leat_kafka_source_sized(
    leat_topology *t, const char *name, const struct leat_kafka_source_opts *opts, size_t size);
static inline leat_stream *leat_kafka_source(
    leat_topology *t, const char *name, const struct leat_kafka_source_opts *opts)
{
    return leat_kafka_source_sized(t, name, opts, sizeof *opts);
}
LEAT_API void leat_kafka_sink_sized(
    leat_stream *in, const char *name, const struct leat_kafka_sink_opts *opts, size_t size);
static inline void leat_kafka_sink(leat_stream *in, const char *name, const struct leat_kafka_sink_opts *opts)
{
    leat_kafka_sink_sized(in, name, opts, sizeof *opts);
}
/* leat_kafka_dead_letters(leat_dead_letters(orders), "orders-dead", &opts) */
LEAT_API void leat_kafka_dead_letters_sized(
    leat_stream *in, const char *name, const struct leat_kafka_dead_letters_opts *opts, size_t size);
static inline void leat_kafka_dead_letters(
    leat_stream *in, const char *name, const struct leat_kafka_dead_letters_opts *opts)
{
    leat_kafka_dead_letters_sized(in, name, opts, sizeof *opts);
}
LEAT_END_DECLS
#endif
