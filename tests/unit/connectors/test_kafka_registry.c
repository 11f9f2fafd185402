/* tests/unit/connectors/test_kafka_registry.c -- the client of a schema registry against one: numbers, subjects, refusals, who may ask,
 * failures that pass and that stay. */
#include "base/alloc.h"
#include "base/env.h"
#include "connectors/kafka/references.h"
#include "connectors/kafka/registry.h"
#include "record/schema.h"
#include "tests/support/registry.h"
#include "tests/support/store_dirs.h"
#include "tests/support/unit.h"
#include <stdio.h>
#include <stdlib.h>

#define V1 "{\"type\":\"record\",\"name\":\"shop.order\",\"fields\":[{\"name\":\"id\",\"type\":\"long\"}]}"
#define V2 \
    "{\"type\":\"record\",\"name\":\"shop.order\",\"fields\":[{\"name\":\"id\",\"type\":\"long\"}," \
    "{\"name\":\"note\",\"type\":\"string\",\"default\":\"\"}]}"
#define BAD \
    "{\"type\":\"record\",\"name\":\"shop.order\",\"fields\":[{\"name\":\"id\",\"type\":\"long\"}," \
    "{\"name\":\"note\",\"type\":\"string\"}]}"

/* Open to everybody; tests keep to subjects of their own. */
static struct registry *server;

static int start_server(void **state)
{
    (void)state;
    server = registry_start(NULL);
    return 0;
}

static int stop_server(void **state)
{
    (void)state;
    registry_stop(server);
    return 0;
}

static struct leat_registry *client_of(const char *url, const char *properties)
{
    static struct leat_kafka_conn conn; /* borrowed by the registry; one at a time */
    struct leat_registry *registry;
    struct leat_error err = { 0 };
    conn = (struct leat_kafka_conn){ .registry = url, .properties = properties };
    if (leat__registry_new(&conn, leat__env_posix(), &registry, &err) < 0)
        fail_msg("%s", err.message);
    return registry;
}

static int32_t must_register(struct leat_registry *registry, const char *subject, const char *schema)
{
    struct leat_error err = { 0 };
    int32_t id = -1;
    if (leat__registry_register(registry, subject, schema, &id, &err) < 0)
        fail_msg("%s", err.message);
    return id;
}

/* What the server's test door answers. */
static void tell(const char *url, const char *json)
{
    char command[512];
    (void)snprintf(command, sizeof command,
        "python3 -c 'import urllib.request,sys; urllib.request.urlopen(sys.argv[1]+\"/_test\", "
        "sys.argv[2].encode())' %s '%s'",
        url, json);
    assert_int_equal(system(command), 0);
}

static void
test_kafka_registry__given_schemas__when_registered__then_equal_ones_have_one_number_and_come_back(
    void **state)
{
    (void)state;
    struct leat_registry *registry = client_of(registry_url(server), NULL);
    struct leat_strbuf text = { 0 };
    struct leat_error err = { 0 };
    const int32_t first = must_register(registry, "orders-value", V1);
    assert_int_equal(must_register(registry, "orders-value", V1), first);
    assert_int_equal(must_register(registry, "a b/ö", V1), first);
    const int32_t second = must_register(registry, "orders-value", V2);
    assert_true(second != first);
    assert_int_equal(leat__registry_fetch(registry, second, &text, &err), 0);
    assert_string_equal(text.data, V2);
    assert_int_equal(leat__registry_fetch(registry, 77, &text, &err), LEAT_ENOTFOUND);
    assert_non_null(
        strstr(err.message, "could not fetch schema 77: Schema 77 not found (status 404, error 40403)"));
    leat__strbuf_release(&text);
    leat__registry_free(registry);
}

static void
test_kafka_registry__given_a_schema_that_may_not_follow__when_checked_or_registered__then_the_reasons_are_told(
    void **state)
{
    (void)state;
    struct leat_registry *registry =
        client_of(registry_url(server), "schema.registry.normalize.schemas=true");
    struct leat_error err = { 0 };
    int32_t id;
    assert_int_equal(leat__registry_check(registry, "strict-value", BAD, &err), 0); /* nothing there yet */
    (void)must_register(registry, "strict-value", V1);
    assert_int_equal(leat__registry_check(registry, "strict-value", V2, &err), 0);
    assert_int_equal(leat__registry_check(registry, "strict-value", BAD, &err), LEAT_ESCHEMA);
    assert_non_null(strstr(err.message, "may not follow those of subject \"strict-value\""));
    assert_non_null(strstr(err.message, "READER_FIELD_MISSING_DEFAULT_VALUE"));
    assert_int_equal(leat__registry_register(registry, "strict-value", BAD, &id, &err), LEAT_ESCHEMA);
    assert_non_null(strstr(err.message, "error 40901"));
    assert_int_equal(
        leat__registry_register(registry, "strict-value", "{\"type\":\"recrd\"}", &id, &err), LEAT_ESCHEMA);
    assert_non_null(strstr(err.message, "error 42201"));
    leat__registry_free(registry);
}

static void
test_kafka_registry__given_that_nothing_may_be_registered__when_asked_for_a_number__then_it_is_looked_up(
    void **state)
{
    (void)state;
    struct leat_registry *registry = client_of(registry_url(server), NULL);
    struct leat_error err = { 0 };
    int32_t id = -1;
    const int32_t first = must_register(registry, "looked-value", V1);
    leat__registry_free(registry);
    registry = client_of(registry_url(server), "schema.registry.auto.register.schemas=false");
    assert_int_equal(leat__registry_register(registry, "looked-value", V1, &id, &err), 0);
    assert_int_equal(id, first);
    assert_int_equal(leat__registry_register(registry, "looked-value", V2, &id, &err), LEAT_ENOTFOUND);
    assert_non_null(strstr(err.message, "could not find the schema in subject \"looked-value\""));
    leat__registry_free(registry);
}

static void test_kafka_registry__given_strategies__when_a_subject_is_made__then_it_is_theirs(void **state)
{
    (void)state;
    static const struct {
        const char *properties, *value, *key;
    } rows[] = { { NULL, "orders-value", "orders-key" },
        { "schema.registry.subject.name.strategy=topic", "orders-value", "orders-key" },
        { "schema.registry.subject.name.strategy=record", "shop.order", "shop.order" },
        { "schema.registry.subject.name.strategy=topic-record", "orders-shop.order", "orders-shop.order" } };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct leat_registry *registry = client_of("http://127.0.0.1:1", rows[i].properties);
        struct leat_strbuf value = { 0 }, key = { 0 };
        leat__registry_subject(registry, "orders", false, "shop.order", &value);
        leat__registry_subject(registry, "orders", true, "shop.order", &key);
        assert_string_equal(value.data, rows[i].value);
        assert_string_equal(key.data, rows[i].key);
        leat__strbuf_release(&value);
        leat__strbuf_release(&key);
        leat__registry_free(registry);
    }
}

static void test_kafka_registry__given_who_may_ask__when_asked__then_only_they_are_answered(void **state)
{
    (void)state;
    static const struct {
        const char *argument, *value, *properties;
        int code;
    } rows[] = { { "--user", "ali:open sesame", "schema.registry.basic.auth.user.info=ali:open sesame", 0 },
        { "--user", "ali:open sesame", "schema.registry.basic.auth.user.info=ali:closed", LEAT_EACCESS },
        { "--user", "ali:open sesame", NULL, LEAT_EACCESS },
        { "--token", "t0k3n", "schema.registry.bearer.auth.token=t0k3n", 0 } };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct registry *own = registry_start(rows[i].argument, rows[i].value, NULL);
        struct leat_registry *registry = client_of(registry_url(own), rows[i].properties);
        struct leat_error err = { 0 };
        int32_t id;
        const int code = leat__registry_register(registry, "orders-value", V1, &id, &err);
        FAIL_UNLESS(code == rows[i].code, "row %zu: %d %s", i, code, err.message);
        assert_null(strstr(err.message, "closed"));
        leat__registry_free(registry);
        registry_stop(own);
    }
}

static void test_kafka_registry__given_failures__when_they_pass__then_the_answer_comes_and_else_an_error(
    void **state)
{
    (void)state;
    struct leat_registry *registry = client_of(
        registry_url(server), "schema.registry.retries=2\nschema.registry.request.timeout.ms=60000");
    struct leat_error err = { 0 };
    int32_t id;
    tell(registry_url(server), "{\"fail\": 2, \"status\": 503}");
    (void)must_register(registry, "orders-value", V1);
    tell(registry_url(server), "{\"fail\": 1, \"status\": 0}");
    (void)must_register(registry, "orders-value", V1);
    tell(registry_url(server), "{\"fail\": 3, \"status\": 500}");
    assert_int_equal(leat__registry_register(registry, "orders-value", V1, &id, &err), LEAT_ECONNECT);
    assert_non_null(strstr(err.message, "it answers with status 500"));
    leat__registry_free(registry);

    registry =
        client_of(registry_url(server), "schema.registry.retries=0\nschema.registry.request.timeout.ms=100");
    tell(registry_url(server), "{\"fail\": 0, \"delay_ms\": 1000}");
    assert_int_equal(leat__registry_register(registry, "orders-value", V1, &id, &err), LEAT_ETIMEOUT);
    leat__registry_free(registry);
    tell(registry_url(server), "{\"delay_ms\": 0}");
}

static void test_kafka_registry__given_several_addresses__when_the_first_is_dead__then_the_next_answers(
    void **state)
{
    (void)state;
    char urls[128];
    (void)snprintf(urls, sizeof urls, "http://127.0.0.1:1, %s/", registry_url(server));
    struct leat_registry *registry = client_of(urls, "schema.registry.retries=0");
    (void)must_register(registry, "orders-value", V1);
    leat__registry_free(registry);
    registry = client_of("http://127.0.0.1:1", "schema.registry.retries=0");
    struct leat_error err = { 0 };
    int32_t id;
    assert_int_equal(leat__registry_register(registry, "orders-value", V1, &id, &err), LEAT_ECONNECT);
    assert_non_null(strstr(err.message, "schema registry at http://127.0.0.1:1: "));
    leat__registry_free(registry);
}

/* NAME.pem and NAME.key of its own CA, in the directory. False without openssl. */
static bool make_certificate(const char *dir, const char *name, const char *host)
{
    char command[1024];
    (void)snprintf(command, sizeof command,
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=%s -addext "
        "subjectAltName=DNS:%s -keyout %s/%s.key -out %s/%s.pem 2>/dev/null",
        name, host, dir, name, dir, name);
    return system(command) == 0;
}

/* Properties of clients of a registry with TLS that wants a certificate; DIR stands for where they lie. */
static const struct {
    const char *name, *properties;
    int code;
    const char *text;
} tls[] = {
    { "nothing", "schema.registry.retries=0", LEAT_EACCESS, "check schema.registry.ssl.ca.location" },
    { "another CA", "schema.registry.ssl.ca.location=DIR/client.pem", LEAT_EACCESS,
        "check schema.registry.ssl.ca.location" },
    { "no certificate of the client",
        "schema.registry.retries=0\nschema.registry.ssl.ca.location=DIR/server.pem", LEAT_EACCESS,
        "schema.registry.ssl.certificate.location" },
    { "an unknown one",
        "schema.registry.ssl.ca.location=DIR/server.pem\nschema.registry.ssl.certificate.location=DIR/"
        "stranger.pem\n"
        "schema.registry.ssl.key.location=DIR/stranger.key",
        LEAT_EACCESS, "schema.registry.ssl.certificate.location" },
    { "a file that is not there", "schema.registry.ssl.ca.location=DIR/none.pem", LEAT_ENOTFOUND,
        "property \"schema.registry.ssl.ca.location\"" },
    { "a key without its password",
        "schema.registry.ssl.ca.location=DIR/server.pem\nschema.registry.ssl.certificate.location=DIR/"
        "client.pem\n"
        "schema.registry.ssl.key.location=DIR/locked.key\nschema.registry.ssl.key.password=canary",
        LEAT_EACCESS, "check schema.registry.ssl" },
    { "all",
        "schema.registry.ssl.ca.location=DIR/server.pem\nschema.registry.ssl.certificate.location=DIR/"
        "client.pem\n"
        "schema.registry.ssl.key.location=DIR/client.key",
        0, "" },
    { "a key with its password",
        "schema.registry.ssl.ca.location=DIR/server.pem\nschema.registry.ssl.certificate.location=DIR/"
        "client.pem\n"
        "schema.registry.ssl.key.location=DIR/locked.key\nschema.registry.ssl.key.password=open-sesame",
        0, "" },
};

static void replace_dir(const char *text, const char *dir, char *out, size_t size)
{
    size_t len = 0;
    for (const char *at; (at = strstr(text, "DIR")) != NULL; text = at + 3)
        len += (size_t)snprintf(out + len, size - len, "%.*s%s", (int)(at - text), text, dir);
    (void)snprintf(out + len, size - len, "%s", text);
}

static void test_kafka_registry__given_tls__when_a_certificate_is_not_known__then_the_side_is_named(
    void **state)
{
    (void)state;
    char *dir = store_dirs_new(), command[1024], paths[3][512];
    if (!make_certificate(dir, "server", "localhost") || !make_certificate(dir, "client", "x") ||
        !make_certificate(dir, "stranger", "x"))
        SKIP_BECAUSE("no openssl command");
    (void)snprintf(command, sizeof command,
        "openssl pkcs8 -topk8 -in %s/client.key -out %s/locked.key -passout pass:open-sesame", dir, dir);
    assert_int_equal(system(command), 0);
    (void)snprintf(paths[0], sizeof paths[0], "%s/server.pem", dir);
    (void)snprintf(paths[1], sizeof paths[1], "%s/server.key", dir);
    (void)snprintf(paths[2], sizeof paths[2], "%s/client.pem", dir);
    struct registry *own = registry_start("--tls", paths[0], paths[1], "--client-ca", paths[2], NULL);
    for (size_t i = 0; i < COUNT_OF(tls); i++) {
        char properties[2048];
        struct leat_error err = { 0 };
        struct leat_registry *registry = NULL;
        int32_t id;
        replace_dir(tls[i].properties, dir, properties, sizeof properties);
        const struct leat_kafka_conn conn = { .registry = registry_url(own), .properties = properties };
        int code = leat__registry_new(&conn, leat__env_posix(), &registry, &err);
        if (code == 0)
            code = leat__registry_register(registry, "orders-value", V1, &id, &err);
        /* Python closes behind its alert, which may then be lost: the connection was closed is all that is seen. */
        if (code == LEAT_ECONNECT && strstr(tls[i].text, "ssl.certificate"))
            code = tls[i].code;
        FAIL_UNLESS(code == tls[i].code && strstr(err.message, tls[i].text) && !strstr(err.message, "canary"),
            "%s: %d %s", tls[i].name, code, err.message);
        leat__registry_free(registry);
    }
    registry_stop(own);
    store_dirs_free(dir);
}

/* ---- references ---- */

/* Registers what refers to others; the registry's number of it. */
static int32_t post(const char *subject, const char *schema, const char *references)
{
    char command[4096];
    int number = -1;
    (void)snprintf(command, sizeof command,
        "python3 -c 'import json, sys, urllib.request as u; a = sys.argv; r = u.Request(a[1] + "
        "\"/subjects/\" + a[2] + "
        "\"/versions\", json.dumps({\"schema\": a[3], \"references\": json.loads(a[4])}).encode()); "
        "print(json.load(u.urlopen(r))[\"id\"])' %s %s '%s' '%s'",
        registry_url(server), subject, schema, references);
    FILE *out = popen(command, "r");
    assert_non_null(out);
    FAIL_UNLESS(fscanf(out, "%d", &number) == 1, "%s", command);
    assert_int_equal(pclose(out), 0);
    return number;
}

#define COLOR "{\"type\":\"enum\",\"name\":\"Color\",\"namespace\":\"shop\",\"symbols\":[\"RED\"]}"
#define ITEM \
    "{\"type\":\"record\",\"name\":\"Item\",\"namespace\":\"shop\",\"fields\":[{\"name\":\"color\"," \
    "\"type\":" \
    "\"Color\"},{\"name\":\"size\",\"type\":{\"type\":\"fixed\",\"name\":\"Size\",\"size\":2}}]}"
#define BASKET \
    "{\"type\":\"record\",\"name\":\"Basket\",\"namespace\":\"sales\",\"fields\":[" \
    "{\"name\":\"first\",\"type\":\"shop.Size\"}," \
    "{\"name\":\"items\",\"type\":{\"type\":\"array\",\"items\":\"shop.Item\"}}," \
    "{\"name\":\"best\",\"type\":[\"null\",\"shop.Item\"]},{\"name\":\"colors\",\"type\":{\"type\":\"map\"," \
    "\"values\":\"shop.Color\"}},{\"name\":\"next\",\"type\":[\"null\",\"Basket\"]}]}"
/* Each name with its definition where it is first used. */
#define WHOLE \
    "{\"type\":\"record\",\"name\":\"Basket\",\"namespace\":\"sales\",\"fields\":[" \
    "{\"name\":\"first\",\"type\":{\"type\":\"fixed\",\"name\":\"Size\",\"size\":2,\"namespace\":\"shop\"}}" \
    "," \
    "{\"name\":\"items\",\"type\":{\"type\":\"array\",\"items\":" \
    "{\"type\":\"record\",\"name\":\"Item\",\"namespace\":\"shop\",\"fields\":[{\"name\":\"color\"," \
    "\"type\":" COLOR "},{\"name\":\"size\",\"type\":\"shop.Size\"}]}}}," \
    "{\"name\":\"best\",\"type\":[\"null\",\"shop.Item\"]},{\"name\":\"colors\",\"type\":{\"type\":\"map\"," \
    "\"values\":\"shop.Color\"}},{\"name\":\"next\",\"type\":[\"null\",\"Basket\"]}]}"

static void test_kafka_registry__given_schemas_that_refer_to_others__when_fetched__then_they_are_one_text(
    void **state)
{
    (void)state;
    struct leat_registry *registry = client_of(registry_url(server), "schema.registry.retries=0");
    struct leat_strbuf text = { 0 };
    struct leat_error err = { 0 };
    struct leat_schema *schema;
    (void)must_register(registry, "color", COLOR);
    (void)post("item", ITEM, "[{\"name\":\"shop.Color\",\"subject\":\"color\",\"version\":1}]");
    const int32_t id =
        post("basket", BASKET, "[{\"name\":\"shop.Item\",\"subject\":\"item\",\"version\":1}]");
    if (leat__registry_fetch(registry, id, &text, &err) < 0)
        fail_msg("%s", err.message);
    assert_string_equal(text.data, WHOLE);
    if (leat__schema_parse(text.data, text.len, &schema, &err) < 0)
        fail_msg("%s", err.message);
    leat__schema_free(schema);
    assert_int_equal(leat__registry_latest(registry, "basket", &text, &err), 1);
    assert_string_equal(text.data, WHOLE);
    leat__strbuf_release(&text);
    leat__registry_free(registry);
}

/* What a registry that means no good may answer: versions of subjects by number, "" for none. */
static const struct {
    const char *name, *answer, *versions[2];
    int code;
    const char *text;
} hostile[] = {
    { "itself", "{\"schema\":\"\\\"a.B\\\"\",\"references\":[{\"subject\":\"s\",\"version\":0}]}",
        { "{\"schema\":\"\\\"int\\\"\",\"references\":[{\"subject\":\"s\",\"version\":0}]}", "" }, 0, "" },
    { "no JSON", "{\"schema\":\"{\",\"references\":[]}", { "", "" }, LEAT_ESCHEMA,
        "schema 7 of the registry is no JSON" },
    { "no subject", "{\"schema\":\"1\",\"references\":[{}]}", { "", "" }, LEAT_ESCHEMA,
        "a reference without subject" },
    { "not there", "{\"schema\":\"1\",\"references\":[{\"subject\":\"s\",\"version\":1}]}", { "", "" },
        LEAT_ENOTFOUND, "none" },
    { "not Avro", "{\"schema\":\"1\",\"references\":[{\"subject\":\"s\",\"version\":0}]}",
        { "{\"schemaType\":\"JSON\",\"schema\":\"{}\"}", "" }, LEAT_EUNSUPPORTED, "is JSON, not Avro" },
    { "nameless", "{\"schema\":\"1\",\"references\":[{\"subject\":\"s\",\"version\":0}]}",
        { "{\"schema\":\"{\\\"type\\\":\\\"fixed\\\"}\"}", "" }, LEAT_ESCHEMA, "a type without a name" },
    { "for ever", "{\"schema\":\"1\",\"references\":[{\"subject\":\"more\",\"version\":0}]}", { "", "" },
        LEAT_ELIMIT, "too many references" },
};

static json_t *answer_badly(
    void *arg, const char *subject, json_int_t version, int *code, struct leat_error *err)
{
    const char *const *versions = arg;
    char text[160];
    if (strcmp(subject, "more") == 0) {
        (void)snprintf(text, sizeof text,
            "{\"schema\":\"1\",\"references\":[{\"subject\":\"more\",\"version\":%d}]}", (int)version + 1);
        return json_loads(text, 0, NULL);
    }
    if (versions[version][0])
        return json_loads(versions[version], 0, NULL);
    *code = leat__error(err, LEAT_ENOTFOUND, "none");
    return NULL;
}

static void test_kafka_registry__given_references_that_mean_no_good__when_resolved__then_it_ends(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(hostile); i++) {
        struct leat_strbuf text = { 0 };
        struct leat_error err = { 0 };
        json_t *answer = json_loads(hostile[i].answer, 0, NULL);
        assert_non_null(answer);
        const int code = leat__registry_inline(
            answer, "schema 7", answer_badly, (void *)(uintptr_t)hostile[i].versions, &text, &err);
        FAIL_UNLESS(code == hostile[i].code && strstr(err.message, hostile[i].text), "%s: %d %s",
            hostile[i].name, code, err.message);
        json_decref(answer);
        leat__strbuf_release(&text);
    }
}

static void test_kafka_registry__given_settings_that_can_not_be__when_made__then_they_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *url, *properties, *text;
    } rows[] = { { NULL, NULL, "no schema registry is given: set .cluster.registry" },
        { "registry:8081", NULL, "should begin with http:// or https://" },
        { "http://ali:secret@host", NULL, "set the property schema.registry.basic.auth.user.info" },
        { " , ", NULL, "the registry's address is empty" },
        { "http://h", "schema.registry.retries=many", "should be a number from 0 to 1000, not \"many\"" },
        { "http://h", "schema.registry.auto.register.schemas=yes", "should be true or false" },
        { "http://h", "schema.registry.subject.name.strategy=tpic",
            "should be topic, record or topic-record" } };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct leat_kafka_conn conn = { .registry = rows[i].url, .properties = rows[i].properties };
        struct leat_registry *registry;
        struct leat_error err = { 0 };
        const int code = leat__registry_new(&conn, leat__env_posix(), &registry, &err);
        FAIL_UNLESS(code == LEAT_EDECLARE && strstr(err.message, rows[i].text), "row %zu: %d %s", i, code,
            err.message);
        assert_null(strstr(err.message, "secret"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_kafka_registry__given_schemas__when_registered__then_equal_ones_have_one_number_and_come_back),
        cmocka_unit_test(
            test_kafka_registry__given_a_schema_that_may_not_follow__when_checked_or_registered__then_the_reasons_are_told),
        cmocka_unit_test(
            test_kafka_registry__given_that_nothing_may_be_registered__when_asked_for_a_number__then_it_is_looked_up),
        cmocka_unit_test(test_kafka_registry__given_strategies__when_a_subject_is_made__then_it_is_theirs),
        cmocka_unit_test(test_kafka_registry__given_who_may_ask__when_asked__then_only_they_are_answered),
        cmocka_unit_test(
            test_kafka_registry__given_failures__when_they_pass__then_the_answer_comes_and_else_an_error),
        cmocka_unit_test(
            test_kafka_registry__given_several_addresses__when_the_first_is_dead__then_the_next_answers),
        cmocka_unit_test(
            test_kafka_registry__given_tls__when_a_certificate_is_not_known__then_the_side_is_named),
        cmocka_unit_test(
            test_kafka_registry__given_schemas_that_refer_to_others__when_fetched__then_they_are_one_text),
        cmocka_unit_test(
            test_kafka_registry__given_references_that_mean_no_good__when_resolved__then_it_ends),
        cmocka_unit_test(test_kafka_registry__given_settings_that_can_not_be__when_made__then_they_are_named),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
