/* connectors/kafka/registry_http.c -- requests to a schema registry, by libcurl.
 *
 * One easy handle keeps its connection between requests; a multi handle without transfers is what waiting between attempts is
 * made with. The address that answered last is asked first. */
#include "connectors/kafka/registry_http.h"
#include "base/alloc.h"
#include <curl/curl.h>
#include <stdio.h>

#define URLS_MAX 16u
#define BACKOFF_MS 100
#define BACKOFF_MS_MAX 5000

struct leat_registry_http {
    CURL *curl;
    CURLM *waiting;
    struct curl_slist *headers;
    struct leat_strbuf urls_text; /* NUL between them */
    struct leat_strbuf shown; /* as given, without passwords */
    const char *urls[URLS_MAX];
    uint32_t urls_count, url; /* the one to ask first */
    uint32_t retries;
    struct leat_strbuf answer;
    bool is_too_large;
    char cause[CURL_ERROR_SIZE];
};

static size_t on_data(char *data, size_t size, size_t count, void *arg)
{
    struct leat_registry_http *http = arg;
    const size_t len = size * count;
    if (http->answer.len + len > LEAT_REGISTRY_ANSWER_BYTES_MAX) {
        http->is_too_large = true;
        return 0;
    }
    leat__strbuf_add(&http->answer, data, len);
    return http->answer.failed ? 0 : len;
}

/* ---- making ---- */

static int split_urls(struct leat_registry_http *http, const char *text, struct leat_error *err)
{
    leat__strbuf_str(&http->urls_text, text);
    leat__strbuf_str(&http->shown, text);
    if (http->urls_text.failed || http->shown.failed)
        return leat__error(err, LEAT_ENOMEM, "out of memory for the registry's address");
    for (char *at = http->urls_text.data; *at;) {
        at += strspn(at, ", ");
        const size_t len = strcspn(at, ", ");
        if (len == 0)
            break;
        if (http->urls_count == URLS_MAX)
            return leat__error(err, LEAT_ELIMIT, "a registry has at most %u addresses", URLS_MAX);
        http->urls[http->urls_count++] = at;
        const bool last = at[len] == '\0';
        at[len] = '\0';
        if (strncmp(at, "http://", 7) != 0 && strncmp(at, "https://", 8) != 0)
            return leat__error(err, LEAT_EDECLARE,
                "the registry's address \"%s\" should begin with http:// or https://", at);
        if (strchr(at, '@'))
            return leat__error(err, LEAT_EDECLARE,
                "the registry's address has a user in it: set the property "
                "schema.registry.basic.auth.user.info, which is kept "
                "out of logs");
        if (at[len - 1] == '/')
            at[len - 1] = '\0';
        at += len + (last ? 0 : 1);
    }
    return http->urls_count ? 0 : leat__error(err, LEAT_EDECLARE, "the registry's address is empty");
}

static bool set_all(struct leat_registry_http *http, const struct leat_registry_settings *s)
{
    CURLcode code = curl_easy_setopt(http->curl, CURLOPT_PROTOCOLS_STR, "http,https");
#define SET(option_, value_) code = code ? code : curl_easy_setopt(http->curl, option_, value_)
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_TIMEOUT_MS, s->timeout_ms);
    SET(CURLOPT_CONNECTTIMEOUT_MS, s->timeout_ms);
    SET(CURLOPT_WRITEFUNCTION, on_data);
    SET(CURLOPT_WRITEDATA, http);
    SET(CURLOPT_ERRORBUFFER, http->cause);
    SET(CURLOPT_HTTPHEADER, http->headers);
    SET(CURLOPT_USERAGENT, "leat");
    if (s->user_info) {
        SET(CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        SET(CURLOPT_USERPWD, s->user_info);
    } else if (s->token) {
        SET(CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
        SET(CURLOPT_XOAUTH2_BEARER, s->token);
    }
    if (s->ca)
        SET(CURLOPT_CAINFO, s->ca);
    if (s->certificate)
        SET(CURLOPT_SSLCERT, s->certificate);
    if (s->key)
        SET(CURLOPT_SSLKEY, s->key);
    if (s->key_password)
        SET(CURLOPT_KEYPASSWD, s->key_password);
#undef SET
    return code == CURLE_OK;
}

static bool add_header(struct leat_registry_http *http, const char *text)
{
    struct curl_slist *longer = curl_slist_append(http->headers, text);
    if (longer)
        http->headers = longer;
    return longer != NULL;
}

int leat__registry_http_new(const struct leat_registry_settings *settings, struct leat_env *env,
    struct leat_registry_http **http, struct leat_error *err)
{
    struct leat_registry_http *made = leat__calloc(1, sizeof *made);
    (void)env;
    *http = NULL;
    if (!made)
        return leat__error(err, LEAT_ENOMEM, "out of memory for a client of the schema registry");
    made->retries = settings->retries;
    made->curl = curl_easy_init();
    made->waiting = curl_multi_init();
    int code = 0;
    if (!made->curl || !made->waiting ||
        !add_header(made, "Content-Type: application/vnd.schemaregistry.v1+json") ||
        !add_header(made, "Accept: application/vnd.schemaregistry.v1+json, application/json") ||
        !set_all(made, settings))
        code = leat__error(err, LEAT_ENOMEM, "libcurl can not be set up for the schema registry");
    if (code == 0)
        code = split_urls(made, settings->urls, err);
    if (code < 0)
        leat__registry_http_free(made);
    else
        *http = made;
    return code;
}

void leat__registry_http_free(struct leat_registry_http *http)
{
    if (!http)
        return;
    curl_easy_cleanup(http->curl);
    (void)curl_multi_cleanup(http->waiting);
    curl_slist_free_all(http->headers);
    leat__strbuf_release(&http->urls_text);
    leat__strbuf_release(&http->shown);
    leat__strbuf_release(&http->answer);
    leat__free(http);
}

const char *leat__registry_http_urls(const struct leat_registry_http *http)
{
    return http->shown.data;
}

/* ---- asking ---- */

/* 0 with an answer, else what curl says. */
static CURLcode ask(
    struct leat_registry_http *http, const char *base, const char *path, const char *json, long *status)
{
    struct leat_strbuf url = { 0 };
    leat__strbuf_printf(&url, "%s%s", base, path);
    leat__strbuf_clear(&http->answer);
    http->cause[0] = '\0';
    http->is_too_large = false;
    *status = 0;
    CURLcode code = url.failed ? CURLE_OUT_OF_MEMORY : curl_easy_setopt(http->curl, CURLOPT_URL, url.data);
    if (code == CURLE_OK && json) {
        code = curl_easy_setopt(http->curl, CURLOPT_POSTFIELDSIZE, (long)strlen(json));
        code = code ? code : curl_easy_setopt(http->curl, CURLOPT_POSTFIELDS, json);
        code = code ? code : curl_easy_setopt(http->curl, CURLOPT_POST, 1L);
    } else if (code == CURLE_OK) {
        code = curl_easy_setopt(http->curl, CURLOPT_HTTPGET, 1L);
    }
    code = code ? code : curl_easy_perform(http->curl);
    code = code ? code : curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, status);
    leat__strbuf_release(&url);
    return code;
}

/* Whether the registry has ended TLS by an alert: it does not take our certificate, or its lack. */
static bool is_alert(const struct leat_registry_http *http)
{
    return strstr(http->cause, "alert") != NULL;
}

/* Whether another attempt may give another answer. */
static bool may_pass(const struct leat_registry_http *http, CURLcode code, long status)
{
    if (code == CURLE_OK)
        return status >= 500 || status == 429;
    if (is_alert(http))
        return false;
    return code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST ||
        code == CURLE_OPERATION_TIMEDOUT || code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR ||
        code == CURLE_GOT_NOTHING || code == CURLE_PARTIAL_FILE;
}

static int refuse(struct leat_registry_http *http, CURLcode code, long status, struct leat_error *err)
{
    const char *cause = *http->cause ? http->cause : curl_easy_strerror(code);
    const char *url = http->urls[http->url];
    if (http->is_too_large)
        return leat__error(err, LEAT_ELIMIT, "schema registry at %s: an answer of more than %u bytes", url,
            LEAT_REGISTRY_ANSWER_BYTES_MAX);
    if (code == CURLE_OUT_OF_MEMORY || http->answer.failed)
        return leat__error(err, LEAT_ENOMEM, "schema registry at %s: out of memory", url);
    if (code == CURLE_OK)
        return leat__error(err, LEAT_ECONNECT, "schema registry at %s: it answers with status %ld: %.*s", url,
            status, http->answer.len > 200 ? 200 : (int)http->answer.len,
            http->answer.len ? http->answer.data : "");
    if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CERTPROBLEM ||
        code == CURLE_SSL_CACERT_BADFILE)
        return leat__error(err, LEAT_EACCESS,
            "schema registry at %s: %s: check schema.registry.ssl.ca.location and the certificates", url,
            cause);
    if (is_alert(http))
        return leat__error(err, LEAT_EACCESS,
            "schema registry at %s: it does not accept this client (%s): check "
            "schema.registry.ssl.certificate.location and schema.registry.ssl.key.location",
            url, cause);
    /* Who is not let in may be told so by an alert, or only by the end of the connection. */
    if (strncmp(url, "https:", 6) == 0 && (code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR))
        return leat__error(err, LEAT_ECONNECT,
            "schema registry at %s: %s: is it up, and does it want a certificate of this client "
            "(schema.registry.ssl.certificate.location)?",
            url, cause);
    return leat__error(err, code == CURLE_OPERATION_TIMEDOUT ? LEAT_ETIMEOUT : LEAT_ECONNECT,
        "schema registry at %s: %s: is it up, and is this its address?", url, cause);
}

int leat__registry_http(struct leat_registry_http *http, const char *path, const char *json, long *status,
    struct leat_sv *body, struct leat_error *err)
{
    int wait_ms = BACKOFF_MS;
    for (uint32_t round = 0;; round++) {
        CURLcode code = CURLE_OK;
        for (uint32_t i = 0; i < http->urls_count; i++) {
            code = ask(http, http->urls[http->url], path, json, status);
            if (!may_pass(http, code, *status) || i + 1 == http->urls_count)
                break;
            http->url = (http->url + 1) % http->urls_count;
        }
        if (code == CURLE_OK && !may_pass(http, code, *status)) {
            *body = (struct leat_sv){ http->answer.data ? http->answer.data : "", http->answer.len };
            return 0;
        }
        if (!may_pass(http, code, *status) || round == http->retries)
            return refuse(http, code, *status, err);
        (void)curl_multi_poll(http->waiting, NULL, 0, wait_ms, NULL);
        wait_ms = wait_ms * 2 < BACKOFF_MS_MAX ? wait_ms * 2 : BACKOFF_MS_MAX;
    }
}

int leat__registry_http_escape(
    struct leat_registry_http *http, const char *text, struct leat_strbuf *out, struct leat_error *err)
{
    char *escaped = curl_easy_escape(http->curl, text, 0);
    leat__strbuf_str(out, escaped ? escaped : "");
    const bool fine = escaped && !out->failed;
    curl_free(escaped);
    return fine ? 0 : leat__error(err, LEAT_ENOMEM, "out of memory for a request to the schema registry");
}
