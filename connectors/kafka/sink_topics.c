/* connectors/kafka/sink_topics.c -- topics by the admin interface: looked at, and made where that is wanted. */
#include "base/alloc.h"
#include "connectors/kafka/schemas.h"
#include "connectors/kafka/sink_private.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG_TIMEOUT_MS \
    5000 /* not every user may ask for it, not every broker answers: then it is guessed */
#define APPEAR_ATTEMPTS 100
#define APPEAR_MS 100

/* Waits for the answer of an admin request; NULL: none came. */
static rd_kafka_event_t *wait_answer(rd_kafka_queue_t *queue, rd_kafka_event_type_t type, int timeout_ms)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, timeout_ms);
    if (event && rd_kafka_event_type(event) != type) {
        rd_kafka_event_destroy(event);
        return NULL;
    }
    return event;
}

/* 0: nobody says. */
static uint32_t bytes_max_of(const rd_kafka_event_t *event)
{
    size_t resources = 0, entries = 0;
    if (rd_kafka_event_error((rd_kafka_event_t *)(uintptr_t)event))
        return 0;
    const rd_kafka_DescribeConfigs_result_t *result =
        rd_kafka_event_DescribeConfigs_result((rd_kafka_event_t *)(uintptr_t)event);
    const rd_kafka_ConfigResource_t **list = rd_kafka_DescribeConfigs_result_resources(result, &resources);
    if (resources != 1 || rd_kafka_ConfigResource_error(list[0]))
        return 0;
    const rd_kafka_ConfigEntry_t **configs = rd_kafka_ConfigResource_configs(list[0], &entries);
    for (size_t i = 0; i < entries; i++) {
        const char *value = rd_kafka_ConfigEntry_value(configs[i]);
        if (value && strcmp(rd_kafka_ConfigEntry_name(configs[i]), "max.message.bytes") == 0)
            return (uint32_t)strtoul(value, NULL, 10);
    }
    return 0;
}

static int config_timeout_ms(rd_kafka_t *rk)
{
    const int64_t socket_ms = leat__kafka_number(rd_kafka_conf(rk), "socket.timeout.ms");
    return socket_ms > 0 && socket_ms < CONFIG_TIMEOUT_MS ? (int)socket_ms : CONFIG_TIMEOUT_MS;
}

void leat__kafka_topic_ask(rd_kafka_t *rk, const char *name, rd_kafka_queue_t *queue)
{
    char text[256];
    rd_kafka_ConfigResource_t *resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, name);
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    (void)rd_kafka_AdminOptions_set_request_timeout(options, config_timeout_ms(rk), text, sizeof text);
    rd_kafka_DescribeConfigs(rk, &resource, 1, options, queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_ConfigResource_destroy(resource);
}

static rd_kafka_event_t *ask_and_wait(rd_kafka_t *rk, const char *name)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    leat__kafka_topic_ask(rk, name, queue);
    rd_kafka_event_t *event =
        wait_answer(queue, RD_KAFKA_EVENT_DESCRIBECONFIGS_RESULT, 2 * CONFIG_TIMEOUT_MS);
    rd_kafka_queue_destroy(queue);
    return event;
}

int leat__kafka_topic_look(struct leat_kafka_client *client, const char *name, struct leat_kafka_topic *topic,
    struct leat_error *err)
{
    *topic = (struct leat_kafka_topic){ 0 };
    LEAT_TRY(leat__kafka_partitions(client, name, LEAT_KAFKA_TIMEOUT_MS, &topic->partitions, err));
    rd_kafka_event_t *event = ask_and_wait(client->rk, name);
    topic->bytes_max = event ? bytes_max_of(event) : 0;
    if (topic->bytes_max == 0)
        topic->bytes_max = LEAT_KAFKA_MESSAGE_BYTES_MAX;
    if (event)
        rd_kafka_event_destroy(event);
    return 0;
}

bool leat__kafka_look_is_due(struct leat_env *env, int64_t every_ms, int64_t *last_ns)
{
    const int64_t now = env->mono_ns(env);
    if (every_ms <= 0 || now - *last_ns < every_ms * 1000000)
        return false;
    *last_ns = now;
    return true;
}

void leat__kafka_topic_looked(const rd_kafka_event_t *event, struct leat_kafka_client *client,
    const char *name, struct leat_kafka_topic *topic)
{
    struct leat_error ignored = { 0 }; /* whoever writes will hear of it */
    uint32_t partitions;
    const uint32_t bytes_max = bytes_max_of(event);
    if (bytes_max && bytes_max < __atomic_load_n(&topic->bytes_max, __ATOMIC_RELAXED))
        __atomic_store_n(&topic->bytes_max, bytes_max, __ATOMIC_RELAXED);
    if (leat__kafka_partitions(client, name, LEAT_KAFKA_LOOK_MS, &partitions, &ignored) == 0 &&
        partitions > __atomic_load_n(&topic->partitions, __ATOMIC_RELAXED))
        __atomic_store_n(&topic->partitions, partitions, __ATOMIC_RELAXED);
}

void leat__kafka_topic_look_again(
    struct leat_kafka_client *client, const char *name, struct leat_kafka_topic *topic)
{
    rd_kafka_event_t *event = ask_and_wait(client->rk, name);
    if (!event)
        return;
    leat__kafka_topic_looked(event, client, name, topic);
    rd_kafka_event_destroy(event);
}

/* ---- making ---- */

static rd_kafka_resp_err_t create(rd_kafka_t *rk, rd_kafka_NewTopic_t *topic, char *text, size_t size)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__TIMED_OUT;
    (void)rd_kafka_AdminOptions_set_request_timeout(options, LEAT_KAFKA_TIMEOUT_MS, text, size);
    (void)rd_kafka_AdminOptions_set_operation_timeout(options, LEAT_KAFKA_TIMEOUT_MS, text, size);
    rd_kafka_CreateTopics(rk, &topic, 1, options, queue);
    rd_kafka_event_t *event =
        wait_answer(queue, RD_KAFKA_EVENT_CREATETOPICS_RESULT, 2 * LEAT_KAFKA_TIMEOUT_MS);
    text[0] = '\0';
    if (event) {
        size_t count = 0;
        code = rd_kafka_event_error(event);
        const rd_kafka_topic_result_t **results = code
            ? NULL
            : rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
        if (!code && count == 1) {
            code = rd_kafka_topic_result_error(results[0]);
            (void)snprintf(text, size, "%s", code ? rd_kafka_topic_result_error_string(results[0]) : "");
        }
        rd_kafka_event_destroy(event);
    }
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
    return code;
}

/* All partitions with a leader, or nobody could write to it. */
static int wait_until_there(
    struct leat_kafka_client *client, const char *name, uint32_t *partitions, struct leat_error *err)
{
    int code = LEAT_ENOTFOUND;
    for (int i = 0; i < APPEAR_ATTEMPTS && code == LEAT_ENOTFOUND; i++) {
        if (i > 0)
            (void)rd_kafka_poll(client->rk, APPEAR_MS);
        code = leat__kafka_partitions(client, name, LEAT_KAFKA_TIMEOUT_MS, partitions, err);
    }
    return code;
}

/* NAME=VALUE lines; the brokers judge them. */
static int set_config(rd_kafka_NewTopic_t *topic, const char *config, struct leat_error *err)
{
    char *lines = leat__strdup(config), *rest = lines;
    for (char *line; rest && (line = strsep(&rest, "\n"));) {
        char *value = strchr(line, '=');
        if (!value)
            continue;
        *value = '\0';
        (void)rd_kafka_NewTopic_set_config(topic, line, value + 1);
    }
    leat__free(lines);
    return lines ? 0 : leat__error(err, LEAT_ENOMEM, "out of memory for the settings of a topic");
}

int leat__kafka_topic_make(struct leat_kafka_client *client, const char *name, uint32_t partitions,
    int16_t replication, const char *config, struct leat_error *err)
{
    char text[256], doing[320];
    uint32_t there;
    (void)snprintf(doing, sizeof doing, "create topic \"%s\"", name);
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(name, (int)partitions, replication, text, sizeof text);
    if (!topic)
        return leat__kafka_error(client, RD_KAFKA_RESP_ERR__INVALID_ARG, text, doing, err);
    if (config && set_config(topic, config, err) < 0) {
        rd_kafka_NewTopic_destroy(topic);
        return err->code;
    }
    const rd_kafka_resp_err_t code = create(client->rk, topic, text, sizeof text);
    rd_kafka_NewTopic_destroy(topic);
    if (code && code != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
        return leat__kafka_error(client, code, text, doing, err);
    return wait_until_there(client, name, &there, err);
}

/* ---- the sink's own ---- */

static void set_bytes_max(const struct leat_kafka_target *t, uint32_t bytes_max, uint32_t client_bytes)
{
    const uint32_t least = client_bytes < bytes_max ? client_bytes : bytes_max;
    __atomic_store_n(&t->seen->bytes_max, least, __ATOMIC_RELAXED);
}

static int look_or_make(
    const struct leat_kafka_target *t, struct leat_kafka_client *client, bool make, struct leat_error *err)
{
    struct leat_kafka_topic topic;
    const uint32_t client_bytes = leat__kafka_client_bytes(rd_kafka_conf(client->rk), UINT32_MAX);
    int code = leat__kafka_topic_look(client, t->topic, &topic, err);
    if (code == LEAT_ENOTFOUND && !make) {
        set_bytes_max(t, LEAT_KAFKA_MESSAGE_BYTES_MAX, client_bytes);
        return 0;
    }
    if (code == LEAT_ENOTFOUND && t->partitions) {
        LEAT_TRY(leat__kafka_topic_make(client, t->topic, t->partitions, t->replication, NULL, err));
        code = leat__kafka_topic_look(client, t->topic, &topic, err);
    }
    if (code < 0)
        return code;
    set_bytes_max(t, topic.bytes_max, client_bytes);
    __atomic_store_n(&t->seen->partitions, topic.partitions, __ATOMIC_RELAXED);
    return 0;
}

static int look(const struct leat_kafka_target *t, struct leat_env *env, bool make, struct leat_error *err)
{
    struct leat_kafka_client *client;
    rd_kafka_conf_t *conf;
    LEAT_TRY(leat__kafka_conf(&t->conn, LEAT_KAFKA_ADMIN, env, &conf, err));
    if (!t->topic) { /* each record names its own */
        set_bytes_max(t, leat__kafka_client_bytes(conf, LEAT_KAFKA_MESSAGE_BYTES_MAX), UINT32_MAX);
        rd_kafka_conf_destroy(conf);
        return 0;
    }
    LEAT_TRY(leat__kafka_new(&t->conn, LEAT_KAFKA_ADMIN, conf, NULL, &client, err));
    const int code = look_or_make(t, client, make, err);
    leat__kafka_free(client);
    return code;
}

int leat__kafka_sink_look(const struct leat_kafka_target *t, struct leat_env *env, struct leat_error *err)
{
    return __atomic_load_n(&t->seen->bytes_max, __ATOMIC_RELAXED) ? 0 : look(t, env, false, err);
}

int leat__kafka_sink_check(const struct leat_node *node, struct leat_env *env, struct leat_error *err)
{
    const struct leat_kafka_target *t = node->spec;
    LEAT_TRY(look(t, env, true, err));
    return t->topic && t->layout ? leat__kafka_schemas_prepare(t->layout, &t->conn, env, t->topic, err) : 0;
}

int leat__kafka_sink_recover(const struct leat_node *node, struct leat_env *env, const struct leat_sv *parts,
    uint32_t count, struct leat_error *err)
{
    const struct leat_kafka_target *t = node->spec;
    LEAT_TRY(leat__kafka_sink_check(node, env, err));
    for (uint32_t i = 0; t->topic && i < count; i++) {
        uint32_t had;
        LEAT_TRY(leat__kafka_rows_partitions(parts[i], &had, err));
        if (had > t->seen->partitions)
            return leat__error(err, LEAT_EDATA,
                "topic \"%s\" had %u partitions and has %u: it was deleted and made anew, so what was "
                "written is "
                "gone. restore.fresh begins new",
                t->topic, had, t->seen->partitions);
    }
    return 0;
}
