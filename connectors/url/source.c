/* connectors/url/source.c -- leat_url_source: the source that the URL names, with the program's record and time. */
#include "connectors/url/url.h"
#include "topology/declare.h"
#include <leat/file.h>
#include <leat/kafka.h>
#include <leat/url.h>

#define FILE_FORMATS "avro json json_avro csv"

/* Options of a file that are not members of the same kind. */
static const struct leat_url_member file_members[] = {
    { "format", LEAT_URL_WORD, offsetof(struct leat_file_source_opts, format), FILE_FORMATS },
    { "separator", LEAT_URL_SEPARATOR, offsetof(struct leat_file_source_opts, separator), NULL },
    { "split_bytes", LEAT_URL_U64, offsetof(struct leat_file_source_opts, split_bytes), NULL },
};

#define MEMBER(name_, kind_, member_) \
    { \
        name_, kind_, offsetof(struct leat_kafka_source_opts, member_), NULL \
    }
#define FORMAT(name_, member_) \
    { \
        name_, LEAT_URL_WORD, offsetof(struct leat_kafka_source_opts, member_), LEAT_URL_MESSAGE_FORMATS \
    }
static const struct leat_url_member kafka_members[] = {
    FORMAT("format", format),
    FORMAT("key.format", key.format),
    MEMBER("key", LEAT_URL_TEXT, key.fields),
    MEMBER("key.only", LEAT_URL_FLAG, key.only),
    MEMBER("meta.topic", LEAT_URL_TEXT, meta.topic),
    MEMBER("meta.partition", LEAT_URL_TEXT, meta.partition),
    MEMBER("meta.offset", LEAT_URL_TEXT, meta.offset),
    MEMBER("meta.timestamp", LEAT_URL_TEXT, meta.timestamp),
    MEMBER("meta.headers", LEAT_URL_TEXT, meta.headers),
    MEMBER("meta.key", LEAT_URL_TEXT, meta.key),
    MEMBER("meta.tombstone", LEAT_URL_TEXT, meta.tombstone),
    { "start", LEAT_URL_WORD, offsetof(struct leat_kafka_source_opts, start), "earliest latest - group" },
    MEMBER("start_us", LEAT_URL_I64, start_us),
    MEMBER("start_offsets", LEAT_URL_TEXT, start_offsets),
    MEMBER("bounded", LEAT_URL_FLAG, bounded),
    MEMBER("group", LEAT_URL_TEXT, group),
    MEMBER("read_uncommitted", LEAT_URL_FLAG, read_uncommitted),
    MEMBER("discover_us", LEAT_URL_I64, discover_us),
    MEMBER("separator", LEAT_URL_SEPARATOR, separator),
    MEMBER("registry", LEAT_URL_TEXT, cluster.registry),
    MEMBER("properties_file", LEAT_URL_TEXT, cluster.properties_file),
};
#define COUNT_OF(array_) (sizeof(array_) / sizeof(array_)[0])

/* What both option structs have, under the same names. */
#define SET_COMMON(to_, from_) \
    do { \
        (to_).type = (from_)->type; \
        (to_).event_time = (from_)->event_time; \
        (to_).max_out_of_orderness_us = (from_)->max_out_of_orderness_us; \
        (to_).idle_timeout_us = (from_)->idle_timeout_us; \
        (to_).max_ahead_us = (from_)->max_ahead_us; \
        (to_).on_error = (from_)->on_error; \
        (to_).align = (from_)->align; \
        (to_).max_drift_us = (from_)->max_drift_us; \
    } while (0)

static leat_stream *file_source(leat_topology *t, const char *name, const struct leat_url *url,
    const struct leat_url_source_opts *o, struct leat_error *err)
{
    struct leat_file_source_opts opts = { .path = url->path, .format = o->format };
    SET_COMMON(opts, o);
    if (leat__url_apply(url, file_members, COUNT_OF(file_members), &opts, NULL, err) < 0)
        return NULL;
    return leat_file_source(t, name, &opts);
}

static leat_stream *kafka_source(leat_topology *t, const char *name, const struct leat_url *url,
    const struct leat_url_source_opts *o, struct leat_error *err)
{
    struct leat_strbuf properties = { 0 };
    leat_stream *stream = NULL;
    struct leat_kafka_source_opts opts = { .cluster = { .brokers = url->brokers },
        .topics = url->path,
        .format = o->format ? o->format : LEAT_FORMAT_JSON };
    SET_COMMON(opts, o);
    if (leat__url_apply(url, kafka_members, COUNT_OF(kafka_members), &opts, &properties, err) == 0) {
        opts.format = leat__url_message_format(opts.format);
        opts.key.format = leat__url_message_format(opts.key.format);
        opts.cluster.properties = properties.data;
        if (!opts.start && opts.start_us)
            opts.start = LEAT_KAFKA_TIMESTAMP;
        if (!opts.start && opts.start_offsets)
            opts.start = LEAT_KAFKA_OFFSETS;
        stream = leat_kafka_source(t, name, &opts);
    }
    leat__strbuf_release(&properties);
    return stream;
}

leat_stream *leat_url_source_sized(
    leat_topology *t, const char *name, const char *url, const struct leat_url_source_opts *opts, size_t size)
{
    struct leat_url_source_opts o = { 0 };
    struct leat_url parts = { 0 };
    struct leat_error err = { 0 };
    leat_stream *stream = NULL;
    const bool fits = leat__url_opts_fit(opts, size, sizeof o);
    if (fits)
        memcpy(&o, opts, size < sizeof o ? size : sizeof o);
    if (fits && leat__url_parse(url, &parts, &err) == 0)
        stream =
            parts.is_kafka ? kafka_source(t, name, &parts, &o, &err) : file_source(t, name, &parts, &o, &err);
    leat__url_release(&parts);
    if (stream)
        return stream;
    struct leat_node *node = leat__declare(t, name, LEAT_NODE_SOURCE, "source by URL");
    leat__opts_copy(node, &o, sizeof o, opts, size);
    if (fits)
        leat__declare_error_of(node, "url", &err);
    return leat__stream(node, 0);
}
