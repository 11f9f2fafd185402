/* connectors/kafka/registry.c -- what is asked of a schema registry, and what its answers mean. */
#include "connectors/kafka/registry.h"
#include "base/alloc.h"
#include "connectors/kafka/properties.h"
#include "connectors/kafka/references.h"
#include "connectors/kafka/registry_http.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#define TIMEOUT_MS 10000
#define RETRIES 3u

struct leat_registry {
    struct leat_registry_http *http;
    enum leat_registry_strategy strategy;
    bool registers, normalizes;
    struct leat_strbuf path, body; /* of the request that is being made */
};

/* ---- settings ---- */

struct reading {
    struct leat_registry *registry;
    struct leat_registry_settings settings;
    struct leat_arena arena; /* wiped by nobody: as long as the client is made */
};

static int read_number(const char *name, const char *text, long max, long *number, struct leat_error *err)
{
    char *end;
    *number = strtol(text, &end, 10);
    if (end == text || *end || *number < 0 || *number > max)
        return leat__error(err, LEAT_EDECLARE, "property \"%s\" should be a number from 0 to %ld, not \"%s\"",
            name, max, text);
    return 0;
}

static int read_flag(const char *name, const char *text, bool *flag, struct leat_error *err)
{
    *flag = strcmp(text, "true") == 0;
    if (!*flag && strcmp(text, "false") != 0)
        return leat__error(
            err, LEAT_EDECLARE, "property \"%s\" should be true or false, not \"%s\"", name, text);
    return 0;
}

static int read_strategy(const char *text, enum leat_registry_strategy *strategy, struct leat_error *err)
{
    static const char *const words[] = { "topic", "record", "topic-record" };
    for (int i = 0; i < 3; i++)
        if (strcmp(text, words[i]) == 0) {
            *strategy = (enum leat_registry_strategy)(i + 1);
            return 0;
        }
    return leat__error(err, LEAT_EDECLARE,
        "property \"schema.registry.subject.name.strategy\" should be topic, record or topic-record, not "
        "\"%s\"",
        text);
}

static int take(
    void *arg, const struct leat_kafka_property *property, const char *value, struct leat_error *err)
{
    struct reading *r = arg;
    struct leat_registry_settings *s = &r->settings;
    const char *name = property->name + strlen("schema.registry.");
    const struct {
        const char *name, **text;
    } texts[] = { { "basic.auth.user.info", &s->user_info }, { "bearer.auth.token", &s->token },
        { "ssl.ca.location", &s->ca }, { "ssl.certificate.location", &s->certificate },
        { "ssl.key.location", &s->key }, { "ssl.key.password", &s->key_password } };
    long number;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (strcmp(name, texts[i].name) == 0) {
            *texts[i].text = leat__arena_str(&r->arena, value);
            return *texts[i].text ? 0 : leat__error(err, LEAT_ENOMEM, "out of memory for a property");
        }
    if (strcmp(name, "request.timeout.ms") == 0)
        return read_number(property->name, value, 3600000, &s->timeout_ms, err);
    if (strcmp(name, "retries") == 0) {
        LEAT_TRY(read_number(property->name, value, 1000, &number, err));
        s->retries = (uint32_t)number;
        return 0;
    }
    if (strcmp(name, "auto.register.schemas") == 0)
        return read_flag(property->name, value, &r->registry->registers, err);
    if (strcmp(name, "normalize.schemas") == 0)
        return read_flag(property->name, value, &r->registry->normalizes, err);
    return read_strategy(value, &r->registry->strategy, err);
}

static int set_up(
    const struct leat_kafka_conn *conn, struct leat_env *env, struct reading *r, struct leat_error *err)
{
    r->settings.urls = conn->registry ? conn->registry : leat__env_variable("LEAT_SCHEMA_REGISTRY");
    if (!r->settings.urls)
        return leat__error(err, LEAT_EDECLARE,
            "no schema registry is given: set .cluster.registry, or LEAT_SCHEMA_REGISTRY in the environment "
            "(\"http://host:8081\")");
    LEAT_TRY(leat__kafka_values(conn, LEAT_KAFKA_REGISTRY, env, take, r, err));
    return leat__registry_http_new(&r->settings, env, &r->registry->http, err);
}

int leat__registry_new(const struct leat_kafka_conn *conn, struct leat_env *env,
    struct leat_registry **registry, struct leat_error *err)
{
    struct reading r = { .settings = { .timeout_ms = TIMEOUT_MS, .retries = RETRIES } };
    *registry = NULL;
    r.registry = leat__calloc(1, sizeof *r.registry);
    if (!r.registry)
        return leat__error(err, LEAT_ENOMEM, "out of memory for a client of the schema registry");
    r.registry->strategy = LEAT_REGISTRY_TOPIC;
    r.registry->registers = true;
    const int code = set_up(conn, env, &r, err);
    leat__arena_release(&r.arena);
    if (code < 0)
        leat__registry_free(r.registry);
    else
        *registry = r.registry;
    return code;
}

void leat__registry_free(struct leat_registry *registry)
{
    if (!registry)
        return;
    leat__registry_http_free(registry->http);
    leat__strbuf_release(&registry->path);
    leat__strbuf_release(&registry->body);
    leat__free(registry);
}

void leat__registry_subject(const struct leat_registry *registry, const char *topic, bool is_key,
    const char *record, struct leat_strbuf *out)
{
    if (registry->strategy == LEAT_REGISTRY_TOPIC)
        leat__strbuf_printf(out, "%s-%s", topic, is_key ? "key" : "value");
    else if (registry->strategy == LEAT_REGISTRY_RECORD)
        leat__strbuf_str(out, record);
    else
        leat__strbuf_printf(out, "%s-%s", topic, record);
}

/* ---- asking ---- */

/* What the registry says is wrong, as one of our codes. `doing`: "register a schema in subject \"x\"". */
static int refused(struct leat_registry *registry, long status, const json_t *answer, const char *doing,
    struct leat_error *err)
{
    const char *message = json_string_value(json_object_get(answer, "message"));
    const long code = (long)json_integer_value(json_object_get(answer, "error_code"));
    const int ours = status == 401 || status == 403 ? LEAT_EACCESS
        : status == 404                             ? LEAT_ENOTFOUND
        : status == 409 || status == 422            ? LEAT_ESCHEMA
                                                    : LEAT_EIO;
    return leat__error(err, ours, "schema registry at %s: could not %s: %s (status %ld, error %ld)%s",
        leat__registry_http_urls(registry->http), doing, message ? message : "it does not say why", status,
        code,
        ours == LEAT_EACCESS ? ": check schema.registry.basic.auth.user.info and the rights of this user"
                             : "");
}

/* The answer as JSON, to be released; NULL with the error's code in *code. */
static json_t *ask(
    struct leat_registry *registry, const char *json, long *status, int *code, struct leat_error *err)
{
    struct leat_sv body;
    if (registry->path.failed || registry->body.failed) {
        *code = leat__error(err, LEAT_ENOMEM, "out of memory for a request to the schema registry");
        return NULL;
    }
    *code = leat__registry_http(registry->http, registry->path.data, json, status, &body, err);
    if (*code < 0)
        return NULL;
    json_t *answer = json_loadb(body.data, body.len, 0, NULL);
    if (!answer) /* a proxy's page */
        *code =
            leat__error(err, LEAT_EIO, "schema registry at %s: status %ld, and its answer is no JSON: %.*s",
                leat__registry_http_urls(registry->http), *status, body.len > 200 ? 200 : (int)body.len,
                body.data);
    return answer;
}

/* For references. */
static json_t *fetch_version(
    void *arg, const char *subject, json_int_t version, int *code, struct leat_error *err)
{
    struct leat_registry *registry = arg;
    long status;
    char doing[320];
    leat__strbuf_clear(&registry->path);
    leat__strbuf_str(&registry->path, "/subjects/");
    *code = leat__registry_http_escape(registry->http, subject, &registry->path, err);
    if (*code < 0)
        return NULL;
    leat__strbuf_printf(&registry->path, "/versions/%lld", (long long)version);
    json_t *answer = ask(registry, NULL, &status, code, err);
    if (!answer || (status == 200 && json_is_string(json_object_get(answer, "schema"))))
        return answer;
    (void)snprintf(doing, sizeof doing, "fetch version %lld of subject \"%s\"", (long long)version, subject);
    *code = refused(registry, status, answer, doing, err);
    json_decref(answer);
    return NULL;
}

int leat__registry_fetch(
    struct leat_registry *registry, int32_t id, struct leat_strbuf *out, struct leat_error *err)
{
    long status;
    int code;
    char what[32], doing[64];
    leat__strbuf_clear(out);
    leat__strbuf_clear(&registry->path);
    leat__strbuf_printf(&registry->path, "/schemas/ids/%d", id);
    json_t *answer = ask(registry, NULL, &status, &code, err);
    if (!answer)
        return code;
    (void)snprintf(what, sizeof what, "schema %d", id);
    (void)snprintf(doing, sizeof doing, "fetch schema %d", id);
    code = status == 200 && json_is_string(json_object_get(answer, "schema"))
        ? leat__registry_inline(answer, what, fetch_version, registry, out, err)
        : refused(registry, status, answer, doing, err);
    json_decref(answer);
    return code;
}

/* Whether an answer says that there is no such subject, or no version of it. */
static bool is_missing(long status, const json_t *answer)
{
    const long why = (long)json_integer_value(json_object_get(answer, "error_code"));
    return status == 404 && why >= 40401 && why <= 40404;
}

int leat__registry_latest(
    struct leat_registry *registry, const char *subject, struct leat_strbuf *out, struct leat_error *err)
{
    long status;
    int code;
    char doing[320];
    leat__strbuf_clear(out);
    leat__strbuf_clear(&registry->path);
    leat__strbuf_str(&registry->path, "/subjects/");
    LEAT_TRY(leat__registry_http_escape(registry->http, subject, &registry->path, err));
    leat__strbuf_str(&registry->path, "/versions/latest");
    json_t *answer = ask(registry, NULL, &status, &code, err);
    if (!answer)
        return code;
    (void)snprintf(doing, sizeof doing, "fetch the newest schema of subject \"%s\"", subject);
    if (is_missing(status, answer)) {
        code = 0;
    } else if (status != 200 || !json_is_string(json_object_get(answer, "schema"))) {
        code = refused(registry, status, answer, doing, err);
    } else {
        code = leat__registry_inline(answer, "the newest schema", fetch_version, registry, out, err);
        code = code < 0 ? code : 1;
    }
    json_decref(answer);
    return code;
}

/* The path of a subject with `before` and `behind` it, and the body with the schema. */
static int prepare(struct leat_registry *registry, const char *before, const char *subject,
    const char *behind, const char *schema, struct leat_error *err)
{
    leat__strbuf_clear(&registry->path);
    leat__strbuf_clear(&registry->body);
    leat__strbuf_str(&registry->path, before);
    LEAT_TRY(leat__registry_http_escape(registry->http, subject, &registry->path, err));
    leat__strbuf_str(&registry->path, behind);
    if (registry->normalizes)
        leat__strbuf_printf(&registry->path, "%cnormalize=true", strchr(behind, '?') ? '&' : '?');
    leat__strbuf_str(&registry->body, "{\"schema\":");
    leat__strbuf_json(&registry->body, schema, strlen(schema));
    leat__strbuf_char(&registry->body, '}');
    return 0; /* ask sees what has failed */
}

int leat__registry_register(struct leat_registry *registry, const char *subject, const char *schema,
    int32_t *id, struct leat_error *err)
{
    long status;
    int code;
    char doing[320];
    LEAT_TRY(prepare(registry, "/subjects/", subject, registry->registers ? "/versions" : "", schema, err));
    json_t *answer = ask(registry, registry->body.data, &status, &code, err);
    if (!answer)
        return code;
    const json_t *number = json_object_get(answer, "id");
    (void)snprintf(doing, sizeof doing, "%s the schema in subject \"%s\"",
        registry->registers ? "register" : "find", subject);
    if (status != 200 || !json_is_integer(number) || json_integer_value(number) < 0 ||
        json_integer_value(number) > INT32_MAX)
        code = refused(registry, status, answer, doing, err);
    else
        *id = (int32_t)json_integer_value(number);
    json_decref(answer);
    return code;
}

/* "a; b; c" of the registry's messages. */
static void join(const json_t *messages, struct leat_strbuf *out)
{
    for (size_t i = 0; i < json_array_size(messages); i++) {
        const char *text = json_string_value(json_array_get(messages, i));
        leat__strbuf_printf(out, "%s%s", i ? "; " : ": ", text ? text : "?");
    }
}

int leat__registry_check(
    struct leat_registry *registry, const char *subject, const char *schema, struct leat_error *err)
{
    long status;
    int code;
    char doing[320];
    LEAT_TRY(prepare(registry, "/compatibility/subjects/", subject, "/versions?verbose=true", schema, err));
    json_t *answer = ask(registry, registry->body.data, &status, &code, err);
    if (!answer)
        return code;
    (void)snprintf(doing, sizeof doing, "check the schema against subject \"%s\"", subject);
    if (is_missing(status, answer)) {
        code = 0; /* nothing that it could contradict */
    } else if (status != 200) {
        code = refused(registry, status, answer, doing, err);
    } else if (!json_is_true(json_object_get(answer, "is_compatible"))) {
        struct leat_strbuf messages = { 0 };
        join(json_object_get(answer, "messages"), &messages);
        code = leat__error(err, LEAT_ESCHEMA,
            "the schema may not follow those of subject \"%s\" in the registry%s", subject,
            messages.failed || !messages.len ? "" : messages.data);
        leat__strbuf_release(&messages);
    }
    json_decref(answer);
    return code;
}
