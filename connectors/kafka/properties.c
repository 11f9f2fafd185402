/* connectors/kafka/properties.c -- which of librdkafka's properties a user may set, and how their text is read.
 *
 * The table names every property that may be given, and those that may not with the reason and what to do instead: so what
 * runs a program, loads a library, or would change what exactly-once rests on is never passed on by mistake. A property
 * that is in neither part is unknown here even where librdkafka knows it. */
#include "base/near.h"
#include "connectors/kafka/properties.h"
#include <ctype.h>

#define C LEAT_KAFKA_FOR(LEAT_KAFKA_CONSUMER)
#define P (LEAT_KAFKA_FOR(LEAT_KAFKA_PRODUCER) | LEAT_KAFKA_FOR(LEAT_KAFKA_TRANSACTIONAL))
#define REGISTRY LEAT_KAFKA_FOR(LEAT_KAFKA_REGISTRY)
#define ALL (C | P | LEAT_KAFKA_FOR(LEAT_KAFKA_ADMIN))

static const struct leat_kafka_property properties[] = {
    { "client.id", ALL, NULL },
    { "client.rack", ALL, NULL },
    { "security.protocol", ALL, NULL },
    { "ssl.cipher.suites", ALL, NULL },
    { "ssl.curves.list", ALL, NULL },
    { "ssl.sigalgs.list", ALL, NULL },
    { "ssl.key.location", ALL, NULL },
    { "ssl.key.password", ALL, NULL, .is_secret = true },
    { "ssl.key.pem", ALL, NULL, .is_secret = true },
    { "ssl.certificate.location", ALL, NULL },
    { "ssl.certificate.pem", ALL, NULL },
    { "ssl.ca.location", ALL, NULL },
    { "ssl.ca.pem", ALL, NULL },
    { "ssl.crl.location", ALL, NULL },
    { "ssl.keystore.location", ALL, NULL },
    { "ssl.keystore.password", ALL, NULL, .is_secret = true },
    { "enable.ssl.certificate.verification", ALL, NULL },
    { "ssl.endpoint.identification.algorithm", ALL, NULL },
    { "sasl.mechanism", ALL, NULL },
    { "sasl.mechanisms", ALL, NULL },
    { "sasl.username", ALL, NULL },
    { "sasl.password", ALL, NULL, .is_secret = true },
    { "sasl.kerberos.service.name", ALL, NULL },
    { "sasl.kerberos.principal", ALL, NULL },
    { "sasl.kerberos.keytab", ALL, NULL },
    { "sasl.oauthbearer.method", ALL, NULL },
    { "sasl.oauthbearer.client.id", ALL, NULL },
    { "sasl.oauthbearer.client.secret", ALL, NULL, .is_secret = true },
    { "sasl.oauthbearer.scope", ALL, NULL },
    { "sasl.oauthbearer.extensions", ALL, NULL },
    { "sasl.oauthbearer.config", ALL, NULL, .is_secret = true },
    { "sasl.oauthbearer.token.endpoint.url", ALL, NULL },
    { "enable.sasl.oauthbearer.unsecure.jwt", ALL, NULL },
    { "broker.address.family", ALL, NULL },
    { "broker.address.ttl", ALL, NULL },
    { "broker.version.fallback", ALL, NULL },
    { "api.version.request", ALL, NULL },
    { "api.version.request.timeout.ms", ALL, NULL },
    { "connections.max.idle.ms", ALL, NULL },
    { "metadata.max.age.ms", ALL, NULL },
    { "topic.metadata.refresh.interval.ms", ALL, NULL },
    { "topic.metadata.refresh.fast.interval.ms", ALL, NULL },
    { "topic.metadata.propagation.max.ms", ALL, NULL },
    { "reconnect.backoff.ms", ALL, NULL },
    { "reconnect.backoff.max.ms", ALL, NULL },
    { "socket.connection.setup.timeout.ms", ALL, NULL },
    { "socket.keepalive.enable", ALL, NULL },
    { "socket.nagle.disable", ALL, NULL },
    { "socket.receive.buffer.bytes", ALL, NULL },
    { "socket.send.buffer.bytes", ALL, NULL },
    { "socket.timeout.ms", ALL, NULL },
    { "max.in.flight", ALL, NULL },
    { "max.in.flight.requests.per.connection", ALL, NULL },
    { "message.max.bytes", ALL, NULL },
    { "receive.message.max.bytes", ALL, NULL },
    { "check.crcs", C, NULL },
    { "fetch.error.backoff.ms", C, NULL },
    { "fetch.max.bytes", C, NULL },
    { "fetch.message.max.bytes", C, NULL },
    { "fetch.min.bytes", C, NULL },
    { "fetch.wait.max.ms", C, NULL },
    { "max.partition.fetch.bytes", C, NULL },
    { "queued.max.messages.kbytes", C, NULL },
    { "queued.min.messages", C, NULL },
    { "batch.num.messages", P, NULL },
    { "batch.size", P, NULL },
    { "compression.codec", P, NULL },
    { "compression.level", P, NULL },
    { "compression.type", P, NULL },
    { "delivery.timeout.ms", P, NULL },
    { "linger.ms", P, NULL },
    { "message.timeout.ms", P, NULL },
    { "queue.buffering.max.kbytes", P, NULL },
    { "queue.buffering.max.messages", P, NULL },
    { "queue.buffering.max.ms", P, NULL },
    { "request.timeout.ms", P, NULL },
    { "retry.backoff.ms", P, NULL },
    { "transaction.timeout.ms", LEAT_KAFKA_FOR(LEAT_KAFKA_TRANSACTIONAL), NULL },
    /* Of the schema registry's client, under the names that other clients have for them. */
    { "schema.registry.basic.auth.user.info", REGISTRY, NULL, .is_secret = true },
    { "schema.registry.bearer.auth.token", REGISTRY, NULL, .is_secret = true },
    { "schema.registry.ssl.ca.location", REGISTRY, NULL },
    { "schema.registry.ssl.certificate.location", REGISTRY, NULL },
    { "schema.registry.ssl.key.location", REGISTRY, NULL },
    { "schema.registry.ssl.key.password", REGISTRY, NULL, .is_secret = true },
    { "schema.registry.request.timeout.ms", REGISTRY, NULL },
    { "schema.registry.retries", REGISTRY, NULL },
    { "schema.registry.auto.register.schemas", REGISTRY, NULL },
    { "schema.registry.normalize.schemas", REGISTRY, NULL },
    { "schema.registry.subject.name.strategy", REGISTRY, NULL },
    /* What may not be given, and why. */
    { "schema.registry.url", 0, "set .cluster.registry" },
    { "bootstrap.servers", 0, "set .brokers" },
    { "metadata.broker.list", 0, "set .brokers" },
    { "group.id", 0, "set .group" },
    { "group.instance.id", 0, "partitions are assigned by the job" },
    { "partition.assignment.strategy", 0, "partitions are assigned by the job" },
    { "session.timeout.ms", 0, "partitions are assigned by the job" },
    { "heartbeat.interval.ms", 0, "partitions are assigned by the job" },
    { "max.poll.interval.ms", 0, "partitions are assigned by the job" },
    { "enable.auto.commit", 0, "offsets are in the job's checkpoints; set .group to have them published" },
    { "auto.commit.interval.ms", 0,
        "offsets are in the job's checkpoints; set .group to have them published" },
    { "enable.auto.offset.store", 0, "offsets are in the job's checkpoints" },
    { "enable.partition.eof", 0, "set .bounded" },
    { "auto.offset.reset", 0, "set .start; offsets that are gone are an error, never a silent skip" },
    { "isolation.level", 0, "set .read_uncommitted" },
    { "allow.auto.create.topics", 0,
        "a source reads what is there; a sink makes its topic if .partitions is set" },
    { "transactional.id", 0, "it is made of the names of job and node: set .delivery" },
    { "enable.idempotence", 0, "it is always on" },
    { "enable.gapless.guarantee", 0, "set .delivery" },
    { "acks", 0, "what is acknowledged is on all replicas in sync" },
    { "request.required.acks", 0, "what is acknowledged is on all replicas in sync" },
    { "retries", 0, "they are bounded by delivery.timeout.ms" },
    { "message.send.max.retries", 0, "they are bounded by delivery.timeout.ms" },
    { "partitioner", 0, "messages go where Java's producers send them; set .partition" },
    { "delivery.report.only.error", 0, "every message is counted" },
    { "statistics.interval.ms", 0, "the job has metrics" },
    { "debug", 0, "its output may show secrets" },
    { "plugin.library.paths", 0, "it loads code" },
    { "sasl.kerberos.kinit.cmd", 0, "it runs a command: renew tickets beside the job" },
    { "ssl.engine.location", 0, "it loads code" },
    { "ssl.engine.id", 0, "it loads code" },
    { "ssl.providers", 0, "it loads code" },
};
#define COUNT (sizeof properties / sizeof properties[0])

const struct leat_kafka_property *leat__kafka_property_find(struct leat_sv name)
{
    for (size_t i = 0; i < COUNT; i++)
        if (leat_sv_eq(leat_sv_of(properties[i].name), name))
            return &properties[i];
    return NULL;
}

const char *leat__kafka_secret_name(uint32_t number)
{
    for (size_t i = 0; i < COUNT; i++)
        if (properties[i].is_secret && properties[i].roles != REGISTRY && number-- == 0)
            return properties[i].name;
    return NULL;
}

static int unknown(struct leat_sv name, struct leat_error *err)
{
    const char *names[COUNT];
    char word[128];
    for (size_t i = 0; i < COUNT; i++)
        names[i] = properties[i].name;
    const size_t len = name.len < sizeof word - 1 ? name.len : sizeof word - 1;
    memcpy(word, name.data, len);
    word[len] = '\0';
    const int near = leat__near(word, names, COUNT);
    return leat__error(err, LEAT_EDECLARE,
        "unknown property \"%s\"%s%s%s (docs/guide/kafka.md lists those that may be set)", word,
        near < 0 ? "" : "; did you mean \"", near < 0 ? "" : names[near], near < 0 ? "" : "\"?");
}

static struct leat_sv trim(struct leat_sv text)
{
    while (text.len && isspace((unsigned char)text.data[0])) {
        text.data++;
        text.len--;
    }
    while (text.len && isspace((unsigned char)text.data[text.len - 1]))
        text.len--;
    return text;
}

/* Only the name is shown: behind it may be a password. */
static int no_value(struct leat_sv line, uint32_t number, struct leat_error *err)
{
    size_t len = 0;
    while (len < line.len && (isalnum((unsigned char)line.data[len]) || strchr("._-", line.data[len])))
        len++;
    const bool is_name = leat__kafka_property_find((struct leat_sv){ line.data, len }) != NULL;
    return leat__error(err, LEAT_EDECLARE, "line %u: expected name=value, found no \"=\"%s%.*s%s", number,
        is_name ? " behind \"" : "", is_name ? (int)len : 0, line.data, is_name ? "\"" : "");
}

static int each_line(struct leat_sv line, uint32_t number, enum leat_kafka_role role,
    leat_kafka_property_fn fn, void *arg, struct leat_error *err)
{
    line = trim(line);
    if (line.len == 0 || line.data[0] == '#')
        return 0;
    const char *equals = memchr(line.data, '=', line.len);
    if (!equals)
        return no_value(line, number, err);
    const struct leat_sv name = trim((struct leat_sv){ line.data, (size_t)(equals - line.data) });
    const struct leat_sv value =
        trim((struct leat_sv){ equals + 1, (size_t)(line.data + line.len - equals - 1) });
    const struct leat_kafka_property *property = leat__kafka_property_find(name);
    int code = 0;
    if (!property)
        code = unknown(name, err);
    else if (property->instead)
        code = leat__error(
            err, LEAT_EDECLARE, "property \"%s\" can not be set: %s", property->name, property->instead);
    else if (property->roles & LEAT_KAFKA_FOR(role))
        code = fn(arg, property, value, err);
    return code < 0 ? leat__error_prefix(err, "line %u", number) : 0;
}

int leat__kafka_properties_each(struct leat_sv text, enum leat_kafka_role role, leat_kafka_property_fn fn,
    void *arg, struct leat_error *err)
{
    for (uint32_t number = 1; text.len > 0; number++) {
        const char *newline = memchr(text.data, '\n', text.len);
        const size_t len = newline ? (size_t)(newline - text.data) : text.len;
        LEAT_TRY(each_line((struct leat_sv){ text.data, len }, number, role, fn, arg, err));
        const size_t used = newline ? len + 1 : len;
        text.data += used;
        text.len -= used;
    }
    return 0;
}
