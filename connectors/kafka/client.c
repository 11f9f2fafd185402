/* connectors/kafka/client.c -- configurations, clients and errors of librdkafka. */
#include "connectors/kafka/client.h"
#include "base/alloc.h"
#include "base/strbuf.h"
#include "connectors/kafka/properties.h"
#include <stdio.h>

#define FILE_BYTES_MAX (64 * 1024) /* of a file of properties or a secret */

/* ---- configuration ---- */

static int check_property(
    void *arg, const struct leat_kafka_property *property, struct leat_sv value, struct leat_error *err)
{
    (void)arg;
    if (value.len == 0)
        return leat__error(err, LEAT_EDECLARE, "property \"%s\" has no value", property->name);
    return 0;
}

int leat__kafka_conn_new(const struct leat_kafka_cluster *cluster, enum leat_kafka_role role,
    struct leat_arena *arena, struct leat_kafka_conn *conn, struct leat_error *err)
{
    *conn = (struct leat_kafka_conn){
        .brokers = leat__arena_str(arena, cluster->brokers),
        .properties = leat__arena_str(arena, cluster->properties),
        .properties_file = leat__arena_str(arena, cluster->properties_file),
        .registry = leat__arena_str(arena, cluster->registry),
    };
    if ((cluster->brokers && !conn->brokers) || (cluster->properties && !conn->properties) ||
        (cluster->properties_file && !conn->properties_file) || (cluster->registry && !conn->registry))
        return leat__error(err, LEAT_ENOMEM, "out of memory for the cluster's properties");
    if (!conn->properties)
        return 0;
    return leat__kafka_properties_each(leat_sv_of(conn->properties), role, check_property, NULL, err);
}

static int read_file(struct leat_env *env, const char *path, struct leat_strbuf *out, struct leat_error *err)
{
    leat_fd fd;
    LEAT_TRY(env->fs_open(env, path, LEAT_OPEN_READ, &fd, err));
    int64_t n = 0;
    if (!leat__strbuf_reserve(out, FILE_BYTES_MAX))
        n = leat__error(err, LEAT_ENOMEM, "out of memory for %s", path);
    else
        n = env->fs_pread(env, fd, out->data + out->len, FILE_BYTES_MAX, 0, err);
    env->fs_close(env, fd);
    if (n < 0)
        return (int)n;
    if (n == FILE_BYTES_MAX)
        return leat__error(err, LEAT_ELIMIT, "%s has more than %d bytes", path, FILE_BYTES_MAX - 1);
    out->len += (size_t)n;
    out->data[out->len] = '\0';
    return 0;
}

static bool is_reference(struct leat_sv value, const char *kind, struct leat_sv *of)
{
    const size_t len = strlen(kind);
    if (value.len < len + 3 || memcmp(value.data, "${", 2) != 0 || memcmp(value.data + 2, kind, len) != 0 ||
        value.data[value.len - 1] != '}')
        return false;
    *of = (struct leat_sv){ value.data + 2 + len, value.len - len - 3 };
    return true;
}

/* The value with references resolved, to out (which may then hold a secret). */
static int resolve(
    struct leat_env *env, struct leat_sv value, struct leat_strbuf *out, struct leat_error *err)
{
    struct leat_sv of;
    if (is_reference(value, "file:", &of)) {
        struct leat_strbuf path = { 0 };
        leat__strbuf_add(&path, of.data, of.len);
        const int code = path.failed ? leat__error(err, LEAT_ENOMEM, "out of memory for a path")
                                     : read_file(env, path.data, out, err);
        leat__strbuf_release(&path);
        LEAT_TRY(code);
        out->len = strcspn(out->data, "\r\n");
        out->data[out->len] = '\0';
    } else if (is_reference(value, "env:", &of)) {
        char name[128];
        if (of.len >= sizeof name)
            return leat__error(
                err, LEAT_EINVAL, "the name of a variable is too long: %.*s", (int)of.len, of.data);
        memcpy(name, of.data, of.len);
        name[of.len] = '\0';
        const char *text = leat__env_variable(name);
        if (!text)
            return leat__error(err, LEAT_ENOTFOUND, "the variable %s of the environment is not set", name);
        leat__strbuf_str(out, text);
    } else {
        leat__strbuf_add(out, value.data, value.len);
    }
    return out->failed ? leat__error(err, LEAT_ENOMEM, "out of memory for a property") : 0;
}

static void wipe(struct leat_strbuf *text)
{
    volatile char *p = text->data; /* what is written through it is written */
    for (size_t i = 0; p && i < text->capacity; i++)
        p[i] = 0;
    leat__strbuf_release(text);
}

int leat__kafka_set(rd_kafka_conf_t *conf, const char *name, const char *value, struct leat_error *err)
{
    char text[256];
    switch (rd_kafka_conf_set(conf, name, value, text, sizeof text)) {
    case RD_KAFKA_CONF_OK:
        return 0;
    case RD_KAFKA_CONF_UNKNOWN:
        return leat__error(err, LEAT_EUNSUPPORTED, "this librdkafka (%s) has no property \"%s\"",
            rd_kafka_version_str(), name);
    default:
        return leat__error(err, LEAT_EDECLARE, "property \"%s\": %s", name, text);
    }
}

/* ---- values ---- */

struct resolving {
    struct leat_env *env;
    leat_kafka_value_fn fn;
    void *arg;
};

static int give_value(
    void *arg, const struct leat_kafka_property *property, struct leat_sv value, struct leat_error *err)
{
    const struct resolving *r = arg;
    struct leat_strbuf text = { 0 };
    int code = resolve(r->env, value, &text, err);
    if (code < 0)
        code = leat__error_prefix(err, "property \"%s\"", property->name);
    else
        code = r->fn(r->arg, property, text.data, err);
    wipe(&text);
    return code;
}

int leat__kafka_values(const struct leat_kafka_conn *conn, enum leat_kafka_role role, struct leat_env *env,
    leat_kafka_value_fn fn, void *arg, struct leat_error *err)
{
    struct resolving r = { env, fn, arg };
    if (conn->properties_file) {
        struct leat_strbuf text = { 0 };
        int code = read_file(env, conn->properties_file, &text, err);
        if (code == 0)
            code = leat__kafka_properties_each(
                (struct leat_sv){ text.data, text.len }, role, give_value, &r, err);
        wipe(&text);
        if (code < 0)
            return leat__error_prefix(err, "properties_file %s", conn->properties_file);
    }
    if (conn->properties &&
        leat__kafka_properties_each(leat_sv_of(conn->properties), role, give_value, &r, err) < 0)
        return leat__error_prefix(err, "properties");
    return 0;
}

static int set_property(
    void *arg, const struct leat_kafka_property *property, const char *value, struct leat_error *err)
{
    const int code = leat__kafka_set(arg, property->name, value, err);
    if (code == LEAT_EDECLARE && property->is_secret) /* librdkafka's text may quote it */
        return leat__error(err, code, "property \"%s\" has a value that can not be", property->name);
    return code;
}

static int set_defaults(rd_kafka_conf_t *conf, enum leat_kafka_role role, struct leat_error *err)
{
    static const struct {
        uint32_t roles;
        const char *name, *value;
    } defaults[] = {
#define ANY (~0u)
#define CONSUMER LEAT_KAFKA_FOR(LEAT_KAFKA_CONSUMER)
#define PRODUCERS (LEAT_KAFKA_FOR(LEAT_KAFKA_PRODUCER) | LEAT_KAFKA_FOR(LEAT_KAFKA_TRANSACTIONAL))
        { ANY, "client.id", "leat" },
        { ANY, "socket.keepalive.enable", "true" },
        { ANY, "log.connection.close", "false" },
        { CONSUMER, "allow.auto.create.topics", "false" },
        { CONSUMER, "enable.auto.commit", "false" },
        { CONSUMER, "enable.auto.offset.store", "false" },
        { CONSUMER, "auto.offset.reset", "error" },
        { CONSUMER, "isolation.level", "read_committed" },
        { CONSUMER, "check.crcs", "true" },
        { PRODUCERS, "enable.idempotence", "true" },
        { PRODUCERS, "compression.type", "lz4" },
    };
    for (size_t i = 0; i < sizeof defaults / sizeof defaults[0]; i++)
        if (defaults[i].roles & LEAT_KAFKA_FOR(role))
            LEAT_TRY(leat__kafka_set(conf, defaults[i].name, defaults[i].value, err));
    return 0;
}

static int set_all(const struct leat_kafka_conn *conn, enum leat_kafka_role role, struct leat_env *env,
    rd_kafka_conf_t *conf, struct leat_error *err)
{
    const char *brokers = conn->brokers ? conn->brokers : leat__env_variable("LEAT_KAFKA_BROKERS");
    if (!brokers)
        return leat__error(err, LEAT_EDECLARE,
            "no brokers are given: set .cluster.brokers, or LEAT_KAFKA_BROKERS in the environment "
            "(\"host:9092\")");
    LEAT_TRY(set_defaults(conf, role, err));
    LEAT_TRY(leat__kafka_set(conf, "bootstrap.servers", brokers, err));
    return leat__kafka_values(conn, role, env, set_property, conf, err);
}

int leat__kafka_conf(const struct leat_kafka_conn *conn, enum leat_kafka_role role, struct leat_env *env,
    rd_kafka_conf_t **conf, struct leat_error *err)
{
    *conf = rd_kafka_conf_new();
    const int code = set_all(conn, role, env, *conf, err);
    if (code < 0) {
        rd_kafka_conf_destroy(*conf);
        *conf = NULL;
    }
    return code;
}

/* ---- clients ---- */

/* On any of librdkafka's threads. Somebody else's word in the same moment is as good. */
static void say(struct leat_kafka_client *client, const char *text)
{
    (void)__atomic_fetch_add(&client->troubles, 1, __ATOMIC_RELAXED);
    if (__atomic_test_and_set(&client->saying, __ATOMIC_ACQUIRE))
        return;
    const size_t len = strlen(text) < sizeof client->said - 1 ? strlen(text) : sizeof client->said - 1;
    memcpy(client->said, text, len);
    client->said[len] = '\0';
    __atomic_clear(&client->saying, __ATOMIC_RELEASE);
}

static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    if (strcmp(facility, "CONFWARN") == 0)
        return; /* of what we set ourselves: no cause of anything */
    if (level <= 4 && rd_kafka_opaque(rk)) /* warnings and worse */
        say(leat__kafka_client(rd_kafka_opaque(rk)), text);
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    (void)rk;
    (void)code;
    say(leat__kafka_client(opaque), reason);
}

int leat__kafka_new(const struct leat_kafka_conn *conn, enum leat_kafka_role role, rd_kafka_conf_t *conf,
    void *owner, struct leat_kafka_client **client, struct leat_error *err)
{
    char text[256];
    struct leat_kafka_client *made = leat__calloc(1, sizeof *made);
    *client = NULL;
    if (!made) {
        rd_kafka_conf_destroy(conf);
        return leat__error(err, LEAT_ENOMEM, "out of memory for a client of Kafka");
    }
    made->conn = conn;
    made->owner = owner;
    rd_kafka_conf_set_opaque(conf, made);
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_error_cb(conf, on_error);
    made->rk = rd_kafka_new(
        role == LEAT_KAFKA_CONSUMER ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER, conf, text, sizeof text);
    if (!made->rk) {
        rd_kafka_conf_destroy(conf);
        leat__free(made);
        return leat__error(err, LEAT_EDECLARE, "librdkafka takes no such configuration: %s", text);
    }
    *client = made;
    return 0;
}

void leat__kafka_free(struct leat_kafka_client *client)
{
    if (!client)
        return;
    rd_kafka_destroy(client->rk);
    leat__free(client);
}

/* ---- errors ---- */

static int code_of(rd_kafka_resp_err_t code)
{
    switch (code) {
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION:
    case RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
        return LEAT_ECONNECT;
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE:
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
        return LEAT_ETIMEOUT;
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR__SSL:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
        return LEAT_EACCESS;
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
        return LEAT_ENOTFOUND;
    case RD_KAFKA_RESP_ERR__FENCED:
    case RD_KAFKA_RESP_ERR_PRODUCER_FENCED:
    case RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH:
    case RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS:
        return LEAT_EEXISTS;
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR__BAD_MSG:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
        return LEAT_EDATA;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
        return LEAT_ELIMIT;
    case RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION:
        return LEAT_EUNSUPPORTED;
    default:
        return LEAT_EIO;
    }
}

static const char *remedy(int code)
{
    switch (code) {
    case LEAT_ECONNECT:
    case LEAT_ETIMEOUT:
        return ": are the brokers up, and is this their address?";
    case LEAT_EACCESS:
        return ": check security.protocol, the credentials and the rights of this user";
    case LEAT_ENOTFOUND:
        return ": create the topic, or correct its name";
    default:
        return "";
    }
}

/* A copy of what was said last, "" for nothing. */
static void read_said(struct leat_kafka_client *client, char text[sizeof client->said])
{
    text[0] = '\0';
    for (int i = 0; i < 1000; i++) {
        if (__atomic_test_and_set(&client->saying, __ATOMIC_ACQUIRE))
            continue; /* copying takes them no time */
        memcpy(text, client->said, sizeof client->said);
        __atomic_clear(&client->saying, __ATOMIC_RELEASE);
        return;
    }
}

int leat__kafka_error(struct leat_kafka_client *client, rd_kafka_resp_err_t code, const char *text,
    const char *doing, struct leat_error *err)
{
    const int ours = code_of(code);
    const char *brokers =
        client->conn->brokers ? client->conn->brokers : leat__env_variable("LEAT_KAFKA_BROKERS");
    char said[sizeof client->said] = "";
    if (ours == LEAT_ECONNECT || ours == LEAT_ETIMEOUT || ours == LEAT_EACCESS)
        read_said(client, said);
    return leat__error(err, ours, "Kafka at %s: could not %s: %s (%s)%s%s%s", brokers ? brokers : "?", doing,
        text && *text ? text : rd_kafka_err2str(code), rd_kafka_err2name(code), *said ? "; last heard: " : "",
        said, remedy(ours));
}

/* ---- metadata ---- */

int leat__kafka_partitions(struct leat_kafka_client *client, const char *topic, int timeout_ms,
    uint32_t *partitions, struct leat_error *err)
{
    const struct rd_kafka_metadata *metadata;
    char doing[320];
    (void)snprintf(doing, sizeof doing, "list the partitions of topic \"%s\"", topic);
    rd_kafka_topic_t *handle = rd_kafka_topic_new(client->rk, topic, NULL);
    if (!handle)
        return leat__kafka_error(client, rd_kafka_last_error(), NULL, doing, err);
    rd_kafka_resp_err_t code = rd_kafka_metadata(client->rk, 0, handle, &metadata, timeout_ms);
    rd_kafka_topic_destroy(handle);
    if (code)
        return leat__kafka_error(client, code, NULL, doing, err);
    if (metadata->topic_cnt == 1) {
        code = metadata->topics[0].err;
        *partitions = (uint32_t)metadata->topics[0].partition_cnt;
    } else {
        code = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    }
    rd_kafka_metadata_destroy(metadata);
    return code ? leat__kafka_error(client, code, NULL, doing, err) : 0;
}
