/* connectors/kafka/sink_declare.c -- the Kafka sink's declaration: which topic, which formats, which promise. */
#include "connectors/kafka/sink_private.h"
#include "topology/declare.h"
#include "topology/graph.h"
#include <leat/change.h>

#define MARKERS_TOPIC "leat-markers"
#define PARTITIONS_MAX 100000u

static bool is_json(enum leat_format format)
{
    return format == LEAT_FORMAT_JSON || format == LEAT_FORMAT_JSON_AVRO;
}

static void check_topic_name(struct leat_node *node, const char *option, const char *name)
{
    const size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
    if (*name == '\0' || name[len] != '\0' || len > LEAT_KAFKA_TOPIC_BYTES_MAX || strcmp(name, ".") == 0 ||
        strcmp(name, "..") == 0)
        leat__declare_error(node, option, LEAT_EDECLARE,
            "\"%s\" is no name of a topic: it has letters, digits, '.', '_' and '-', at most %u", name,
            LEAT_KAFKA_TOPIC_BYTES_MAX);
}

static void check_topics(
    struct leat_node *node, const struct leat_kafka_sink_opts *o, struct leat_kafka_target *t)
{
    if (!o->topic && !o->meta.topic)
        leat__declare_error(node, "topic", LEAT_EDECLARE, "missing: where do the records go?");
    if (o->topic)
        check_topic_name(node, "topic", o->topic);
    if (o->markers_topic)
        check_topic_name(node, "markers_topic", o->markers_topic);
    if (o->markers_topic && o->topic && strcmp(o->markers_topic, o->topic) == 0)
        leat__declare_error(node, "markers_topic", LEAT_EDECLARE, "must be another topic than .topic");
    if (o->partitions > PARTITIONS_MAX)
        leat__declare_error(
            node, "partitions", LEAT_EDECLARE, "%u are too many: at most %u", o->partitions, PARTITIONS_MAX);
    if (o->replication < 0)
        leat__declare_error(node, "replication", LEAT_EDECLARE, "%d is negative: 0 is the brokers' default",
            (int)o->replication);
    t->topic = leat__spec_str(node, o->topic);
    t->markers_topic = leat__spec_str(node, o->markers_topic ? o->markers_topic : MARKERS_TOPIC);
    t->partitions = o->partitions;
    t->replication = o->replication ? o->replication : -1;
}

static void check_messages(
    struct leat_node *node, const struct leat_kafka_sink_opts *o, struct leat_kafka_target *t)
{
    struct leat_error err = { 0 };
    const struct leat_kafka_layout_opts opts = { .type = leat__input_type(node, 0),
        .format = o->format,
        .key = o->key,
        .meta = o->meta,
        .separator = o->separator,
        .topic = t->topic,
        .writing = true };
    if (o->separator == '"' || o->separator == '\n' || o->separator == '\r')
        leat__declare_error(node, "separator", LEAT_EDECLARE,
            "a quote or a line end can not separate columns: take , ; | or a tab");
    if (opts.type && leat__kafka_layout_new(&opts, &node->t->arena, &t->layout, &err) < 0)
        leat__declare_error_of(node, NULL, &err);
}

static bool is_member_name(const char *name)
{
    const size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    return *name && name[len] == '\0' && !(*name >= '0' && *name <= '9');
}

static void check_changes(
    struct leat_node *node, const struct leat_kafka_sink_opts *o, struct leat_kafka_target *t)
{
    const struct leat_type *type = leat__input_type(node, 0);
    t->changes = leat__input_changes(node, 0);
    if (t->changes && !o->op_field && !o->key.fields && !o->meta.key)
        leat__declare_error(node, "key.fields", LEAT_EDECLARE,
            "missing: of a stream of changes each writes the newest record of its key; name the key, or set "
            "op_field to write the changes themselves");
    if (!o->op_field)
        return;
    if (!is_json(o->format))
        leat__declare_error(node, "op_field", LEAT_EDECLARE,
            "only JSON has one: put leat_changelog before the sink, with a field of the record for it");
    if (!is_member_name(o->op_field))
        leat__declare_error(node, "op_field", LEAT_EDECLARE,
            "\"%s\" is no name of a member: it may have letters, digits and _, and begins with no digit",
            o->op_field);
    for (uint32_t i = 0; type && i < type->fields_count; i++)
        if (strcmp(type->fields[i].name, o->op_field) == 0)
            leat__declare_error(node, "op_field", LEAT_EDECLARE,
                "%s has a field \"%s\" of its own: take another name", type->name, o->op_field);
    t->op_json = leat__spec_printf(node, "\"%s\":", o->op_field);
}

static void check_promise(struct leat_node *node, const struct leat_kafka_sink_opts *o)
{
    if (o->delivery != 0 && o->delivery != LEAT_EXACTLY_ONCE && o->delivery != LEAT_AT_LEAST_ONCE)
        leat__declare_error(node, "delivery", LEAT_EDECLARE,
            "%d is neither LEAT_EXACTLY_ONCE nor LEAT_AT_LEAST_ONCE", (int)o->delivery);
    if (o->on_error == LEAT_DEAD_LETTER)
        leat__declare_error(node, "on_error", LEAT_EUNSUPPORTED,
            "a sink gives no stream of dead letters: take LEAT_FAIL or LEAT_SKIP");
    else if (o->on_error != 0 && o->on_error != LEAT_FAIL && o->on_error != LEAT_SKIP)
        leat__declare_error(
            node, "on_error", LEAT_EDECLARE, "%d is neither LEAT_FAIL nor LEAT_SKIP", (int)o->on_error);
    else if (o->on_error)
        node->policy = o->on_error;
}

static void check_cluster(struct leat_node *node, const struct leat_kafka_sink_opts *o,
    enum leat_kafka_role role, struct leat_kafka_target *t)
{
    struct leat_error err = { 0 };
    if (leat__kafka_conn_new(&o->cluster, role, &node->t->arena, &t->conn, &err) < 0)
        leat__declare_error_of(node, "cluster.properties", &err);
}

/* What both kinds of sinks have; NULL where there is nothing to declare. */
static struct leat_kafka_target *begin(
    struct leat_node *node, leat_stream *in, const struct leat_kafka_sink_opts *o, bool is_given)
{
    struct leat_kafka_target *t = leat__spec(node, sizeof *t);
    struct leat_kafka_producers *producers = leat__spec(node, sizeof *producers);
    struct leat_kafka_topic *seen = leat__spec(node, sizeof *seen);
    leat__takes_changes(node, 0);
    leat__input(node, 0, in, LEAT_FORWARD, NULL);
    if (!t || !producers || !seen || !is_given)
        return NULL;
    t->producers = producers;
    t->seen = seen;
    check_topics(node, o, t);
    return t;
}

static void finish(struct leat_node *node, const struct leat_kafka_sink_opts *o, struct leat_kafka_target *t,
    const char *what)
{
    const bool streams = o->delivery == LEAT_AT_LEAST_ONCE;
    check_promise(node, o);
    check_cluster(node, o, streams ? LEAT_KAFKA_PRODUCER : LEAT_KAFKA_TRANSACTIONAL, t);
    const struct leat_input *input = &node->inputs[0];
    t->has_event_time = input->from && input->from->outputs[input->port].has_event_time;
    node->sink = streams ? &leat__kafka_stream_class : &leat__kafka_once_class;
    node->spec = t;
    node->detail = leat__spec_printf(node, "%s%s, %s", what, t->topic ? t->topic : "topics of the records",
        streams ? "at least once" : "exactly once");
}

void leat_kafka_sink_sized(
    leat_stream *in, const char *name, const struct leat_kafka_sink_opts *opts, size_t size)
{
    struct leat_node *node = leat__declare(in->t, name, LEAT_NODE_SINK, leat__kafka_once_class.kind);
    struct leat_kafka_sink_opts o;
    leat__opts_copy(node, &o, sizeof o, opts, size);
    struct leat_kafka_target *t = begin(node, in, &o, opts != NULL);
    if (!t)
        return;
    t->partition = o.partition;
    t->partition_arg = o.partition_arg;
    check_messages(node, &o, t);
    check_changes(node, &o, t);
    finish(node, &o, t, "");
}

/* ---- dead letters ---- */

static void check_letters(
    struct leat_node *node, const struct leat_kafka_dead_letters_opts *o, struct leat_kafka_target *t)
{
    const struct leat_type *type = leat__input_type(node, 0);
    struct leat_kafka_letters *letters = leat__spec(node, sizeof *letters);
    if (type && type != &leat_dead_letter_type)
        leat__declare_error(node, NULL, LEAT_EDECLARE,
            "it takes dead letters, and gets %s: give it leat_dead_letters(stream) of the node that makes "
            "them",
            type->name);
    if ((unsigned)o->error_headers > LEAT_KAFKA_ERRORS_OWN)
        leat__declare_error(node, "error_headers", LEAT_EDECLARE, "%d is no enum leat_kafka_error_headers",
            (int)o->error_headers);
    if (!letters)
        return;
    letters->job = node->t->name;
    letters->errors = o->error_headers ? o->error_headers : LEAT_KAFKA_ERRORS_CONNECT;
    t->letters = letters;
}

void leat_kafka_dead_letters_sized(
    leat_stream *in, const char *name, const struct leat_kafka_dead_letters_opts *opts, size_t size)
{
    struct leat_node *node = leat__declare(in->t, name, LEAT_NODE_SINK, leat__kafka_once_class.kind);
    struct leat_kafka_dead_letters_opts o;
    leat__opts_copy(node, &o, sizeof o, opts, size);
    const struct leat_kafka_sink_opts sink = { .cluster = o.cluster,
        .topic = o.topic,
        .partitions = o.partitions,
        .replication = o.replication,
        .delivery = o.delivery,
        .on_error = o.on_error,
        .markers_topic = o.markers_topic };
    struct leat_kafka_target *t = begin(node, in, &sink, opts != NULL);
    if (!t)
        return;
    check_letters(node, &o, t);
    finish(node, &sink, t, "dead letters to ");
}
