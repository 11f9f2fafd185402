/* connectors/kafka/client.c -- configurations, clients and errors of librdkafka. */
#include "connectors/kafka/client.h"
#include "base/alloc.h"
#include "base/strbuf.h"
#include "connectors/kafka/properties.h"
#include "connectors/kafka/secret.h"
#include <stdio.h>

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
    const char *file; /* where the properties stand; NULL: in the program */
    leat_kafka_value_fn fn;
    void *arg;
};

/* librdkafka says of a file that is not there only that OpenSSL does not like it. */
static int check_location(struct leat_env *env, const struct leat_kafka_property *property, const char *value,
    struct leat_error *err)
{
    static const char ending[] = ".location";
    struct leat_file_info info;
    const size_t len = strlen(property->name), end = sizeof ending - 1;
    if (len < end || strcmp(property->name + len - end, ending) != 0 || strcmp(value, "probe") == 0)
        return 0;
    if (strstr(property->name, ".key"))
        return leat__kafka_check_closed(env, value, err);
    return env->fs_stat(env, value, &info, err);
}

static int give_value(
    void *arg, const struct leat_kafka_property *property, struct leat_sv value, struct leat_error *err)
{
    const struct resolving *r = arg;
    struct leat_strbuf text = { 0 };
    int code = 0;
    if (property->is_secret && r->file && !leat__kafka_is_reference(value))
        code = leat__kafka_check_closed(r->env, r->file, err);
    if (code == 0)
        code = leat__kafka_resolve(r->env, value, property->is_secret, &text, err);
    if (code == 0)
        code = check_location(r->env, property, text.data, err);
    if (code < 0)
        code = leat__error_prefix(err, "property \"%s\"", property->name);
    else
        code = r->fn(r->arg, property, text.data, err);
    leat__kafka_wipe(&text);
    return code;
}

int leat__kafka_values(const struct leat_kafka_conn *conn, enum leat_kafka_role role, struct leat_env *env,
    leat_kafka_value_fn fn, void *arg, struct leat_error *err)
{
    struct resolving r = { env, conn->properties_file, fn, arg };
    if (conn->properties_file) {
        struct leat_strbuf text = { 0 };
        int code = leat__kafka_read_file(env, conn->properties_file, &text, err);
        if (code == 0)
            code = leat__kafka_properties_each(
                (struct leat_sv){ text.data, text.len }, role, give_value, &r, err);
        leat__kafka_wipe(&text);
        if (code < 0)
            return leat__error_prefix(err, "properties_file %s", conn->properties_file);
    }
    r.file = NULL;
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

static bool is_set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char text[64];
    size_t size = sizeof text;
    return rd_kafka_conf_get(conf, name, text, &size) == RD_KAFKA_CONF_OK && strcmp(text, value) == 0;
}

/* What an unsecured token is made of: words "name=value". librdkafka 2.0 crashes on others, and when it renews such a token,
 * which it does as the end of its life comes near: so that is ten years away, and nobody sets it. */
#define TOKEN_LIFE " lifeSeconds=315360000"

static bool is_token_config(const char *text)
{
    static const char *const names[] = {
        "principal=", "principalClaimName=", "scope=", "scopeClaimName=", "extension_"
    };
    bool has_principal = false;
    for (text += strspn(text, " "); *text; text += strspn(text, " ")) {
        const size_t len = strcspn(text, " ");
        const char *value = memchr(text, '=', len);
        size_t i = 0;
        while (i < sizeof names / sizeof names[0] && strncmp(text, names[i], strlen(names[i])) != 0)
            i++;
        if (i == sizeof names / sizeof names[0] || !value || value + 1 == text + len ||
            memchr(text, '"', len))
            return false;
        has_principal |= i == 0;
        text += len;
    }
    return has_principal;
}

static int check_tokens(rd_kafka_conf_t *conf, struct leat_error *err)
{
    char config[1024 + sizeof TOKEN_LIFE] = "";
    size_t size = sizeof config - sizeof TOKEN_LIFE;
    if (!is_set(conf, "sasl.mechanisms", "OAUTHBEARER") || is_set(conf, "sasl.oauthbearer.method", "oidc"))
        return 0;
    if (!is_set(conf, "enable.sasl.oauthbearer.unsecure.jwt", "true"))
        return leat__error(err, LEAT_EDECLARE,
            "sasl.mechanism=OAUTHBEARER says not where tokens come from: set sasl.oauthbearer.method=oidc "
            "and "
            "its sasl.oauthbearer.token.endpoint.url (where librdkafka was built with libcurl), or, for "
            "tests, "
            "enable.sasl.oauthbearer.unsecure.jwt=true");
    if (rd_kafka_conf_get(conf, "sasl.oauthbearer.config", config, &size) != RD_KAFKA_CONF_OK ||
        !is_token_config(config))
        return leat__error(err, LEAT_EDECLARE,
            "property \"sasl.oauthbearer.config\" of an unsecured token is words as principal=NAME scope=A,B "
            "extension_NAME=VALUE; the principal must be there");
    memcpy(config + strlen(config), TOKEN_LIFE, sizeof TOKEN_LIFE);
    return leat__kafka_set(conf, "sasl.oauthbearer.config", config, err);
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
    LEAT_TRY(leat__kafka_values(conn, role, env, set_property, conf, err));
    return check_tokens(conf, err);
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
    if (level > 4 || !rd_kafka_opaque(rk)) /* no warning and nothing worse */
        return;
    say(leat__kafka_client(rd_kafka_opaque(rk)), text);
    leat__kafka_refusal_hear(
        &leat__kafka_client(rd_kafka_opaque(rk))->refusal, RD_KAFKA_RESP_ERR_NO_ERROR, text);
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    (void)rk;
    say(leat__kafka_client(opaque), reason);
    leat__kafka_refusal_hear(&leat__kafka_client(opaque)->refusal, (rd_kafka_resp_err_t)code, reason);
}

/* OpenSSL has judged a certificate: its judgement stands, but librdkafka would not tell it. */
static int on_certificate(rd_kafka_t *rk, const char *name, int32_t id, int *reason, int depth,
    const char *bytes, size_t len, char *text, size_t size, void *opaque)
{
    (void)rk;
    (void)id;
    (void)depth;
    (void)bytes;
    (void)len;
    if (*reason == 0)
        return 1;
    leat__kafka_refusal_certificate(&leat__kafka_client(opaque)->refusal, name, *reason);
    (void)snprintf(text, size, "X509 error %d", *reason);
    return 0;
}

static void set_callbacks(rd_kafka_conf_t *conf, struct leat_kafka_client *client)
{
    rd_kafka_conf_set_opaque(conf, client);
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_error_cb(conf, on_error);
    if (is_set(conf, "enable.ssl.certificate.verification", "true"))
        (void)rd_kafka_conf_set_ssl_cert_verify_cb(conf, on_certificate);
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
    set_callbacks(conf, made);
    made->rk = rd_kafka_new(
        role == LEAT_KAFKA_CONSUMER ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER, conf, text, sizeof text);
    if (!made->rk) {
        leat__kafka_redact(conf, text);
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
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
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
        return ": are the brokers up, is this their address, and do they want this security.protocol?";
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

/* What a call that waited in vain does not tell. */
static int tell_refusal(
    const struct leat_kafka_refusal *refusal, const char *brokers, const char *doing, struct leat_error *err)
{
    const int code = code_of((rd_kafka_resp_err_t)refusal->code);
    return leat__error(err, code, "Kafka at %s: could not %s: %s (%s): %s", brokers, doing, refusal->text,
        rd_kafka_err2name((rd_kafka_resp_err_t)refusal->code), refusal->remedy);
}

static bool is_wait(int code)
{
    return code == LEAT_ECONNECT || code == LEAT_ETIMEOUT;
}

int leat__kafka_error(struct leat_kafka_client *client, rd_kafka_resp_err_t code, const char *text,
    const char *doing, struct leat_error *err)
{
    int ours = code_of(code);
    struct leat_kafka_refusal refusal;
    const char *brokers =
        client->conn->brokers ? client->conn->brokers : leat__env_variable("LEAT_KAFKA_BROKERS");
    brokers = brokers ? brokers : "?";
    char said[sizeof client->said] = "";
    if (is_wait(ours) || ours == LEAT_EACCESS)
        read_said(client, said);
    if ((is_wait(ours) || (int)code == __atomic_load_n(&client->refusal.code, __ATOMIC_RELAXED)) &&
        leat__kafka_refusal_read(&client->refusal, &refusal))
        ours = tell_refusal(&refusal, brokers, doing, err);
    else
        ours = leat__error(err, ours, "Kafka at %s: could not %s: %s (%s)%s%s%s", brokers, doing,
            text && *text ? text : rd_kafka_err2str(code), rd_kafka_err2name(code),
            *said ? "; last heard: " : "", said, remedy(ours));
    if (err)
        leat__kafka_redact(rd_kafka_conf(client->rk), err->message);
    return ours;
}

/* ---- metadata ---- */

#define SLICE_MS 1000

rd_kafka_resp_err_t leat__kafka_metadata(struct leat_kafka_client *client, rd_kafka_topic_t *topic,
    const struct rd_kafka_metadata **metadata, int timeout_ms)
{
    for (int slice = SLICE_MS, left = timeout_ms;;) {
        slice = slice < left ? slice : left;
        const rd_kafka_resp_err_t code = rd_kafka_metadata(client->rk, topic == NULL, topic, metadata, slice);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
            leat__kafka_refusal_end(&client->refusal);
        if (code != RD_KAFKA_RESP_ERR__TRANSPORT && code != RD_KAFKA_RESP_ERR__TIMED_OUT)
            return code;
        (void)rd_kafka_poll(client->rk, 0); /* what it has heard */
        left -= slice;
        if (left <= 0 || leat__kafka_refusal_lasts(&client->refusal, LEAT_KAFKA_REFUSED_BEGIN_MS))
            return code;
        if (code == RD_KAFKA_RESP_ERR__TIMED_OUT) /* it was asked: the answer may take longer */
            slice *= 2;
    }
}

int leat__kafka_partitions(struct leat_kafka_client *client, const char *topic, int timeout_ms,
    uint32_t *partitions, struct leat_error *err)
{
    const struct rd_kafka_metadata *metadata;
    char doing[320];
    (void)snprintf(doing, sizeof doing, "list the partitions of topic \"%s\"", topic);
    rd_kafka_topic_t *handle = rd_kafka_topic_new(client->rk, topic, NULL);
    if (!handle)
        return leat__kafka_error(client, rd_kafka_last_error(), NULL, doing, err);
    rd_kafka_resp_err_t code = leat__kafka_metadata(client, handle, &metadata, timeout_ms);
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
