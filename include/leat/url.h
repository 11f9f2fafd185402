/* include/leat/url.h -- sources and sinks by URL: a program that takes its places as words reads and writes files or Kafka,
 * whatever the word says; what a record is, and its time, stays the program's.
 *
 *   leat_stream *orders = leat_url_source(t, "orders", argv[1],
 *       &(struct leat_url_source_opts){ .type = &order_type, .event_time = "ordered_at" });
 *   ...
 *   leat_url_sink(totals, "totals", argv[2], &(struct leat_url_sink_opts){ .overwrite = true });
 *
 *   orders.avro, DIRECTORY, "logs-*.jsonl", -          as .path of leat/file.h
 *   file:PATH?format=csv&separator=;                   the same with options; %3F is a ? of the path
 *   kafka://kafka-1:9092,kafka-2:9092/orders?key=id    topics of these brokers (several topics with commas, or a pattern)
 *   kafka:///orders                                    of the brokers of LEAT_KAFKA_BROKERS
 *
 * Options are members of the option structs of leat/file.h and leat/kafka.h:
 *   both                format (avro, json, json_avro, csv; of messages also avro_single, avro_registry, raw; and avro is the bare
 *                       record), separator, op_field
 *   files               split_bytes; codec, part_bytes_max
 *   topics              key, key.format, key.only; meta.topic and so on; registry, properties_file, and each property of
 *                       librdkafka that may be set, by its name: security.protocol=SSL&ssl.ca.location=/etc/ca.pem
 *   topics, reading     bounded, start (earliest, latest, group), start_us, start_offsets, group, read_uncommitted,
 *                       discover_us
 *   topics, writing     partitions, replication, delivery (exactly_once, at_least_once), markers_topic
 *
 * Names, values and paths may have %XX. Secrets are given by reference (sasl.password=${file:/run/secrets/kafka}): others are
 * refused, as are users in front of the host, for a command line is seen by everybody. */
#ifndef LEAT_URL_H
#define LEAT_URL_H
#include <leat/source.h>

struct leat_url_source_opts {
    const struct leat_type *type;
    enum leat_format format; /* where the URL has none; 0: of files by the name's ending, of messages JSON */
    const char *event_time; /* include/leat/source.h */
    int64_t max_out_of_orderness_us;
    int64_t idle_timeout_us;
    int64_t max_ahead_us;
    enum leat_policy on_error;
    const char *align;
    int64_t max_drift_us;
};

struct leat_url_sink_opts {
    enum leat_format
        format; /* where the URL has none; 0: of files by the name's ending, else Avro; of messages JSON */
    bool overwrite; /* files: replace what is there. To topics is added */
    /* JSON of a stream of changes, where the URL has none: as in leat_file_sink_opts. Of a topic whose URL has a key, records
     * of that key replace each other, as compacted topics want it, and this is not used. */
    const char *op_field;
};

LEAT_BEGIN_DECLS
LEAT_API leat_stream *leat_url_source_sized(leat_topology *t, const char *name, const char *url,
    const struct leat_url_source_opts *opts, size_t size);
static inline leat_stream *leat_url_source(
    leat_topology *t, const char *name, const char *url, const struct leat_url_source_opts *opts)
{
    return leat_url_source_sized(t, name, url, opts, sizeof *opts);
}
LEAT_API void leat_url_sink_sized(
    leat_stream *in, const char *name, const char *url, const struct leat_url_sink_opts *opts, size_t size);
static inline void leat_url_sink(
    leat_stream *in, const char *name, const char *url, const struct leat_url_sink_opts *opts)
{
    leat_url_sink_sized(in, name, url, opts, sizeof *opts);
}
LEAT_END_DECLS
#endif
