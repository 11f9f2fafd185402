/* connectors/kafka/source_declare.c -- what a Kafka source is to be: all that can be checked without a broker. */
#include "connectors/kafka/source_private.h"
#include <ctype.h>

#define DISCOVER_US_DEFAULT LEAT_MINUTES(1)
#define TOPIC_BYTES_MAX 249 /* Kafka's own limit */

struct declaring {
    struct leat_node *node;
    const struct leat_kafka_source_opts *opts;
    struct leat_kafka_source *spec;
};

/* ---- lists of words ---- */

/* The next word of a list with commas and blanks between; len 0: there is none. */
static struct leat_sv next_word(const char **at)
{
    *at += strspn(*at, " ,\t\n");
    const struct leat_sv word = { *at, strcspn(*at, " ,\t\n") };
    *at += word.len;
    return word;
}

static uint32_t count_words(const char *text)
{
    uint32_t count = 0;
    while (next_word(&text).len > 0)
        count++;
    return count;
}

static bool is_topic(struct leat_sv name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!isalnum((unsigned char)name.data[i]) && !strchr("._-", name.data[i]))
            return false;
    return name.len > 0 && name.len <= TOPIC_BYTES_MAX && !leat_sv_eq(name, LEAT_SV(".")) &&
        !leat_sv_eq(name, LEAT_SV(".."));
}

static bool has_topic(const struct leat_kafka_source *spec, uint32_t count, struct leat_sv name)
{
    for (uint32_t i = 0; i < count; i++)
        if (leat_sv_eq(leat_sv_of(spec->topics[i]), name))
            return true;
    return false;
}

static void set_topics(struct declaring *d)
{
    const char *at = d->opts->topics;
    if (!at || count_words(at) == 0) {
        leat__declare_error(d->node, "topics", LEAT_EDECLARE,
            "missing: names of topics, \"orders, refunds\", or a pattern that begins with ^");
        return;
    }
    const bool is_pattern = *at == '^';
    const uint32_t count = is_pattern ? 1 : count_words(at);
    const char **topics = leat__spec(d->node, count * sizeof *topics);
    if (!topics)
        return;
    d->spec->topics = topics;
    d->spec->is_pattern = is_pattern;
    d->spec->topics_count = count;
    if (is_pattern) {
        topics[0] = leat__spec_str(d->node, at);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct leat_sv word = next_word(&at);
        if (!is_topic(word))
            leat__declare_error(d->node, "topics", LEAT_EDECLARE,
                "\"%.*s\" is no name of a topic: letters, digits, '.', '_' and '-', at most %d of them "
                "(a pattern begins with ^)",
                (int)word.len, word.data, TOPIC_BYTES_MAX);
        else if (has_topic(d->spec, i, word))
            leat__declare_error(
                d->node, "topics", LEAT_EDECLARE, "\"%.*s\" is named twice", (int)word.len, word.data);
        topics[i] = leat__spec_printf(d->node, "%.*s", (int)word.len, word.data);
    }
}

/* ---- where it starts ---- */

static bool parse_offset(struct leat_sv text, int64_t *offset)
{
    struct leat_kafka_position position;
    struct leat_error ignored = { 0 };
    if (leat_sv_eq(text, LEAT_SV("end")))
        *offset = RD_KAFKA_OFFSET_END;
    else if (leat_sv_eq(text, LEAT_SV("beginning")))
        *offset = RD_KAFKA_OFFSET_BEGINNING;
    else if (leat__kafka_position_read(text.data, text.len, &position, &ignored) == 0 &&
        !memchr(text.data, ' ', text.len))
        *offset = position.next;
    else
        return false;
    return true;
}

static void set_given_one(struct declaring *d, struct leat_kafka_given *given, struct leat_sv word)
{
    const char *colon = memchr(word.data, ':', word.len);
    const size_t place_len = colon ? (size_t)(colon - word.data) : word.len;
    size_t topic_len;
    if (!colon || !leat__kafka_split_parse(word.data, place_len, &topic_len, &given->partition) ||
        !parse_offset((struct leat_sv){ colon + 1, word.len - place_len - 1 }, &given->offset)) {
        leat__declare_error(d->node, "start_offsets", LEAT_EDECLARE,
            "\"%.*s\" is not TOPIC/PARTITION:OFFSET, where the offset is a number, beginning or end",
            (int)word.len, word.data);
        return;
    }
    given->topic = leat__spec_printf(d->node, "%.*s", (int)topic_len, word.data);
    if (!d->spec->is_pattern &&
        !has_topic(d->spec, d->spec->topics_count, (struct leat_sv){ word.data, topic_len }))
        leat__declare_error(d->node, "start_offsets", LEAT_EDECLARE, "topic \"%.*s\" is none of .topics",
            (int)topic_len, word.data);
}

static void set_given(struct declaring *d)
{
    const char *at = d->opts->start_offsets;
    const uint32_t count = at ? count_words(at) : 0;
    struct leat_kafka_given *given = leat__spec(d->node, (count + 1) * sizeof *given);
    for (uint32_t i = 0; given && i < count; i++)
        set_given_one(d, &given[i], next_word(&at));
    d->spec->given = given;
    d->spec->given_count = given ? count : 0;
}

static void set_start(struct declaring *d)
{
    const struct leat_kafka_source_opts *o = d->opts;
    d->spec->start = o->start ? o->start : LEAT_KAFKA_EARLIEST;
    d->spec->start_us = o->start_us;
    if ((unsigned)o->start > LEAT_KAFKA_OFFSETS)
        leat__declare_error(d->node, "start", LEAT_EDECLARE, "%d is no enum leat_kafka_start", (int)o->start);
    if (o->start_us && o->start != LEAT_KAFKA_TIMESTAMP)
        leat__declare_error(
            d->node, "start_us", LEAT_EDECLARE, "only LEAT_KAFKA_TIMESTAMP starts there: set .start");
    if (o->start == LEAT_KAFKA_TIMESTAMP && o->start_us < 0)
        leat__declare_error(d->node, "start_us", LEAT_EDECLARE, "Kafka has no time before 1970");
    if (o->start == LEAT_KAFKA_OFFSETS && !o->start_offsets)
        leat__declare_error(d->node, "start_offsets", LEAT_EDECLARE,
            "missing: where each partition starts, \"orders/0:17, orders/1:end\"");
    if (o->start_offsets && o->start != LEAT_KAFKA_OFFSETS)
        leat__declare_error(
            d->node, "start_offsets", LEAT_EDECLARE, "only LEAT_KAFKA_OFFSETS starts there: set .start");
    if (o->start == LEAT_KAFKA_GROUP && !o->group)
        leat__declare_error(
            d->node, "group", LEAT_EDECLARE, "missing: the group at whose offsets it is to start");
    set_given(d);
}

/* ---- messages ---- */

static void set_layout(struct declaring *d)
{
    const struct leat_kafka_source_opts *o = d->opts;
    struct leat_error err = { 0 };
    const struct leat_kafka_layout_opts layout = { .type = o->type,
        .format = o->format,
        .value_schema = o->value_schema,
        .key = o->key,
        .meta = o->meta,
        .separator = o->separator };
    if (!o->type)
        return; /* leat__output says so */
    int code = leat__kafka_layout_new(&layout, &d->node->t->arena, &d->spec->layout, &err);
    if (code < 0)
        leat__declare_error_of(d->node, NULL, &err);
    struct leat_kafka_reader *reader = NULL; /* whether the type can be read from what was written */
    if (code == 0 && leat__kafka_reader_new(d->spec->layout, &d->spec->conn, NULL, &reader, &err) < 0)
        leat__declare_error_of(d->node, "format", &err);
    leat__kafka_reader_free(reader);
}

static const char *detail(struct declaring *d)
{
    const struct leat_kafka_source *spec = d->spec;
    static const char *const starts[] = { "", "earliest", "latest", "by timestamp", "at the group's offsets",
        "at given offsets" };
    if (leat__node_is_inert(d->node))
        return NULL;
    return leat__spec_printf(d->node, "%s, from %s%s%s", d->opts->topics, starts[spec->start],
        spec->bounded ? ", to the end" : "", spec->read_uncommitted ? ", read uncommitted" : "");
}

leat_stream *leat_kafka_source_sized(
    leat_topology *t, const char *name, const struct leat_kafka_source_opts *opts, size_t size)
{
    struct leat_node *node = leat__declare(t, name, LEAT_NODE_SOURCE, leat__kafka_source_class.kind);
    struct leat_kafka_source_opts o;
    struct leat_error err = { 0 };
    leat__opts_copy(node, &o, sizeof o, opts, size);
    struct leat_kafka_source *spec = leat__spec(node, sizeof *spec);
    if (!spec || !opts)
        return leat__stream(node, 0);
    struct declaring d = { node, &o, spec };
    spec->bounded = o.bounded;
    spec->read_uncommitted = o.read_uncommitted;
    spec->group = leat__spec_str(node, o.group);
    if (leat__kafka_conn_new(&o.cluster, LEAT_KAFKA_CONSUMER, &node->t->arena, &spec->conn, &err) < 0)
        leat__declare_error_of(node, "cluster.properties", &err);
    set_topics(&d);
    set_start(&d);
    set_layout(&d);
    if (o.discover_us < -1)
        leat__declare_error(
            node, "discover_us", LEAT_EDECLARE, "must be a duration, 0 for a minute, or -1 for never");
    if (!o.bounded && o.discover_us >= 0)
        node->discover_us = o.discover_us ? o.discover_us : DISCOVER_US_DEFAULT;
    leat__output(node, o.type, NULL);
    leat__source_time(
        node, o.type, o.event_time, o.max_out_of_orderness_us, o.idle_timeout_us, o.max_ahead_us, o.on_error);
    leat__source_align(node, o.align, o.max_drift_us);
    node->source = &leat__kafka_source_class;
    node->spec = spec;
    node->detail = detail(&d);
    return leat__stream(node, 0);
}
