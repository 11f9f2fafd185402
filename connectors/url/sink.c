/* connectors/url/sink.c -- leat_url_sink: the sink that the URL names. */
#include "connectors/url/url.h"
#include "topology/declare.h"
#include <leat/file.h>
#include <leat/kafka.h>
#include <leat/url.h>

#define FILE_MEMBER(name_, kind_, member_) \
    { \
        name_, kind_, offsetof(struct leat_file_sink_opts, member_), NULL \
    }
static const struct leat_url_member file_members[] = {
    { "format", LEAT_URL_WORD, offsetof(struct leat_file_sink_opts, format), "avro json json_avro csv" },
    FILE_MEMBER("separator", LEAT_URL_SEPARATOR, separator),
    FILE_MEMBER("codec", LEAT_URL_TEXT, codec),
    FILE_MEMBER("part_bytes_max", LEAT_URL_U64, part_bytes_max),
    FILE_MEMBER("op_field", LEAT_URL_TEXT, op_field),
};

#define MEMBER(name_, kind_, member_) \
    { \
        name_, kind_, offsetof(struct leat_kafka_sink_opts, member_), NULL \
    }
#define FORMAT(name_, member_) \
    { \
        name_, LEAT_URL_WORD, offsetof(struct leat_kafka_sink_opts, member_), LEAT_URL_MESSAGE_FORMATS \
    }
static const struct leat_url_member kafka_members[] = {
    FORMAT("format", format),
    FORMAT("key.format", key.format),
    MEMBER("key", LEAT_URL_TEXT, key.fields),
    MEMBER("key.only", LEAT_URL_FLAG, key.only),
    MEMBER("meta.topic", LEAT_URL_TEXT, meta.topic),
    MEMBER("meta.partition", LEAT_URL_TEXT, meta.partition),
    MEMBER("meta.timestamp", LEAT_URL_TEXT, meta.timestamp),
    MEMBER("meta.headers", LEAT_URL_TEXT, meta.headers),
    MEMBER("meta.key", LEAT_URL_TEXT, meta.key),
    MEMBER("partitions", LEAT_URL_U32, partitions),
    MEMBER("replication", LEAT_URL_I16, replication),
    { "delivery", LEAT_URL_WORD, offsetof(struct leat_kafka_sink_opts, delivery),
        "exactly_once at_least_once" },
    MEMBER("separator", LEAT_URL_SEPARATOR, separator),
    MEMBER("op_field", LEAT_URL_TEXT, op_field),
    MEMBER("markers_topic", LEAT_URL_TEXT, markers_topic),
    MEMBER("registry", LEAT_URL_TEXT, cluster.registry),
    MEMBER("properties_file", LEAT_URL_TEXT, cluster.properties_file),
};
#define COUNT_OF(array_) (sizeof(array_) / sizeof(array_)[0])

static int file_sink(leat_stream *in, const char *name, const struct leat_url *url,
    const struct leat_url_sink_opts *o, struct leat_error *err)
{
    struct leat_file_sink_opts opts = {
        .path = url->path, .format = o->format, .overwrite = o->overwrite, .op_field = o->op_field
    };
    LEAT_TRY(leat__url_apply(url, file_members, COUNT_OF(file_members), &opts, NULL, err));
    leat_file_sink(in, name, &opts);
    return 0;
}

static int kafka_sink(leat_stream *in, const char *name, const struct leat_url *url,
    const struct leat_url_sink_opts *o, struct leat_error *err)
{
    struct leat_strbuf properties = { 0 };
    const bool has_key = leat__url_has(url, "key") || leat__url_has(url, "meta.key");
    struct leat_kafka_sink_opts opts = { .cluster = { .brokers = url->brokers },
        .topic = url->path,
        .format = o->format ? o->format : LEAT_FORMAT_JSON,
        .op_field = has_key ? NULL : o->op_field };
    const int code = leat__url_apply(url, kafka_members, COUNT_OF(kafka_members), &opts, &properties, err);
    if (code == 0) {
        opts.format = leat__url_message_format(opts.format);
        opts.key.format = leat__url_message_format(opts.key.format);
        opts.cluster.properties = properties.data;
        leat_kafka_sink(in, name, &opts);
    }
    leat__strbuf_release(&properties);
    return code;
}

void leat_url_sink_sized(
    leat_stream *in, const char *name, const char *url, const struct leat_url_sink_opts *opts, size_t size)
{
    struct leat_url_sink_opts o = { 0 };
    struct leat_url parts = { 0 };
    struct leat_error err = { 0 };
    int code = LEAT_EDECLARE;
    const bool fits = leat__url_opts_fit(opts, size, sizeof o);
    if (fits) {
        memcpy(&o, opts, size < sizeof o ? size : sizeof o);
        code = leat__url_parse(url, &parts, &err);
    }
    if (code == 0)
        code =
            parts.is_kafka ? kafka_sink(in, name, &parts, &o, &err) : file_sink(in, name, &parts, &o, &err);
    leat__url_release(&parts);
    if (code == 0)
        return;
    struct leat_node *node = leat__declare(in->t, name, LEAT_NODE_SINK, "sink by URL");
    leat__takes_changes(node, 0);
    leat__input(node, 0, in, LEAT_FORWARD, NULL);
    leat__opts_copy(node, &o, sizeof o, opts, size);
    if (fits)
        leat__declare_error_of(node, "url", &err);
}
