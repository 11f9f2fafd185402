/* connectors/kafka/registry_http.h -- requests to a schema registry, with retries over its addresses. */
#ifndef LEAT_CONNECTORS_KAFKA_REGISTRY_HTTP_H
#define LEAT_CONNECTORS_KAFKA_REGISTRY_HTTP_H
#include "connectors/kafka/registry.h"

struct
    leat_registry_settings { /* texts are owned by who passes them, until leat__registry_http_new returns */
    const char *urls; /* "http://a:8081, https://b:8081/path" */
    const char *user_info, *token; /* "user:password"; a bearer's; or NULL */
    const char *ca, *certificate, *key, *key_password; /* paths; or NULL */
    long timeout_ms;
    uint32_t retries;
};

struct leat_registry_http;
LEAT_NODISCARD int leat__registry_http_new(const struct leat_registry_settings *settings,
    struct leat_env *env, struct leat_registry_http **http, struct leat_error *err);
void leat__registry_http_free(struct leat_registry_http *http); /* NULL is fine */

/* GET (body NULL) or POST of `path` ("/schemas/ids/1") with JSON. *status: of the answer, which is in *body until the next
 * request. 0 for any status below 500 but 429; what stays without a usable answer is LEAT_ECONNECT or LEAT_ETIMEOUT. */
LEAT_NODISCARD int leat__registry_http(struct leat_registry_http *http, const char *path, const char *json,
    long *status, struct leat_sv *body, struct leat_error *err);
/* Appends the text, escaped for a path. */
LEAT_NODISCARD int leat__registry_http_escape(
    struct leat_registry_http *http, const char *text, struct leat_strbuf *out, struct leat_error *err);
const char *leat__registry_http_urls(const struct leat_registry_http *http); /* for errors */
#endif
