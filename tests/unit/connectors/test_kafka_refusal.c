/* tests/unit/connectors/test_kafka_refusal.c -- what is a refusal, what of several is told, and secrets: files that are open to
 * others, texts that quote them. */
#include "base/env.h"
#include "connectors/kafka/client.h"
#include "connectors/kafka/secret.h"
#include "tests/support/store_dirs.h"
#include "tests/support/unit.h"
#include <stdio.h>
#include <sys/stat.h>

static const struct {
    const char *name;
    rd_kafka_resp_err_t code;
    const char *text;
    int noted; /* its code; 0: none */
    const char *said;
} heard[] = {
    { "no broker", RD_KAFKA_RESP_ERR__TRANSPORT, "Connect to ipv4#127.0.0.1:1 failed", 0, "" },
    { "all are down", RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, "1/1 brokers are down", 0, "" },
    { "a line of the log", 0, "Failed to resolve 'x'", 0, "" },
    { "a wrong password", RD_KAFKA_RESP_ERR__AUTHENTICATION, "SASL authentication error: no",
        RD_KAFKA_RESP_ERR__AUTHENTICATION, "SASL authentication error: no" },
    { "TLS", RD_KAFKA_RESP_ERR__SSL, "SSL handshake failed", RD_KAFKA_RESP_ERR__SSL, "SSL handshake failed" },
    { "no certificate", 0, "Receive failed: sslv3 alert bad certificate: SSL alert number 42 (after 3ms)",
        RD_KAFKA_RESP_ERR__SSL, "the broker wants a certificate of this client" },
    { "an unknown one", RD_KAFKA_RESP_ERR__TRANSPORT, "SSL alert number 46", RD_KAFKA_RESP_ERR__SSL,
        "the broker does not accept the certificate of this client" },
    { "another alert", 0, "handshake failure: SSL alert number 40", RD_KAFKA_RESP_ERR__SSL,
        "handshake failure" },
};

static void test_refusal__given_what_librdkafka_says__when_heard__then_only_refusals_are_noted(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(heard); i++) {
        struct leat_kafka_refusal r = { 0 }, copy;
        leat__kafka_refusal_hear(&r, heard[i].code, heard[i].text);
        const bool there = leat__kafka_refusal_read(&r, &copy);
        FAIL_UNLESS(there == (heard[i].noted != 0) && copy.code == heard[i].noted &&
                strstr(copy.text, heard[i].said) && (!there || *copy.remedy),
            "%s: %d %s", heard[i].name, copy.code, copy.text);
        FAIL_UNLESS(leat__kafka_refusal_lasts(&r, 0) == there, "%s", heard[i].name);
    }
}

static void test_refusal__given_an_exact_cause__when_less_is_heard_behind_it__then_the_cause_stays(
    void **state)
{
    (void)state;
    struct leat_kafka_refusal r = { 0 }, copy;
    leat__kafka_refusal_hear(&r, RD_KAFKA_RESP_ERR__SSL, "SSL handshake failed");
    leat__kafka_refusal_certificate(&r, "kafka-1:9092", 10);
    leat__kafka_refusal_hear(&r, RD_KAFKA_RESP_ERR__SSL, "SSL handshake failed");
    assert_true(leat__kafka_refusal_read(&r, &copy));
    assert_string_equal(copy.text, "the certificate of kafka-1:9092 has expired (X509 error 10)");
    leat__kafka_refusal_certificate(&r, "kafka-1:9092", 62);
    assert_true(leat__kafka_refusal_read(&r, &copy));
    assert_non_null(strstr(copy.text, "is for another host"));
    assert_false(leat__kafka_refusal_lasts(&r, 3600000)); /* not yet */
    leat__kafka_refusal_end(&r);
    assert_false(leat__kafka_refusal_read(&r, &copy));
    assert_false(leat__kafka_refusal_lasts(&r, 0));
}

static void test_refusal__given_an_old_one__when_asked__then_it_is_none_and_a_new_one_begins_anew(
    void **state)
{
    (void)state;
    struct leat_kafka_refusal r = { 0 }, copy;
    leat__kafka_refusal_certificate(&r, "kafka-1:9092", 10);
    r.since_ns -= INT64_C(120) * 1000000000;
    assert_true(leat__kafka_refusal_lasts(&r, 100000));
    r.last_ns -= INT64_C(61) * 1000000000;
    assert_false(leat__kafka_refusal_read(&r, &copy));
    leat__kafka_refusal_hear(&r, RD_KAFKA_RESP_ERR__AUTHENTICATION, "no");
    assert_true(leat__kafka_refusal_read(&r, &copy));
    assert_string_equal(copy.text, "no");
    assert_false(leat__kafka_refusal_lasts(&r, 100000));
}

/* ---- secrets ---- */

static const struct {
    mode_t mode;
    int code;
    const char *text;
} rights[] = {
    { 0600, 0, "" },
    { 0640, 0, "" },
    { 0644, LEAT_EACCESS, "every user may read it: take that right away (chmod 600 " },
    { 0622, LEAT_EACCESS, "every user may write it: take that right away (chmod 600 " },
};

static void test_secret__given_rights_of_a_file__when_resolved__then_what_is_open_to_all_is_refused(
    void **state)
{
    (void)state;
    char *dir = store_dirs_new(), path[512], reference[600];
    (void)snprintf(path, sizeof path, "%s/secret", dir);
    (void)snprintf(reference, sizeof reference, "${file:%s}", path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs("canary\n", file) >= 0);
    assert_int_equal(fclose(file), 0);
    for (size_t i = 0; i < COUNT_OF(rights); i++) {
        struct leat_error err = { 0 };
        struct leat_strbuf value = { 0 };
        assert_int_equal(chmod(path, rights[i].mode), 0);
        const int code = leat__kafka_resolve(leat__env_posix(), leat_sv_of(reference), true, &value, &err);
        FAIL_UNLESS(code == rights[i].code && strstr(err.message, rights[i].text), "%o: %d %s",
            (unsigned)rights[i].mode, code, err.message);
        leat__kafka_wipe(&value);
        assert_int_equal(/* what is no secret may be read by all */
            leat__kafka_resolve(leat__env_posix(), leat_sv_of(reference), false, &value, &err), 0);
        assert_string_equal(value.data, "canary");
        leat__kafka_wipe(&value);
    }
    store_dirs_free(dir);
}

static const struct {
    const char *property, *secret, *text, *wanted;
} quoted[] = {
    { "sasl.password", "open sesame", "login with open sesame failed", "login with *** failed" },
    { "sasl.password", "open sesame", "beginning at: n sesame", "beginning at: ***" },
    { "sasl.password", "open sesame", "an open door", "an open door" }, /* five bytes are in many a text */
    { "sasl.password", "abc", "abc, abcabc", "***, ******" },
    { "sasl.password", "ab", "abab", "abab" },
    { "ssl.key.password", "canary-key", "canary-key", "***" },
    { "client.id", "no secret at all", "no secret at all", "no secret at all" },
};

static void test_secret__given_a_text_that_quotes_one__when_redacted__then_it_does_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(quoted); i++) {
        char text[128], why[128];
        rd_kafka_conf_t *conf = rd_kafka_conf_new();
        (void)snprintf(text, sizeof text, "%s", quoted[i].text);
        assert_int_equal(
            rd_kafka_conf_set(conf, quoted[i].property, quoted[i].secret, why, sizeof why), RD_KAFKA_CONF_OK);
        leat__kafka_redact(conf, text);
        assert_string_equal(text, quoted[i].wanted);
        rd_kafka_conf_destroy(conf);
    }
}

static const struct {
    const char *properties, *text;
} tokens[] = {
    { "enable.sasl.oauthbearer.unsecure.jwt=true\nsasl.oauthbearer.config=principal=a scope=b,c", NULL },
    { "", "says not where tokens come from" },
    { "enable.sasl.oauthbearer.unsecure.jwt=true", "principal must be there" },
    { "enable.sasl.oauthbearer.unsecure.jwt=true\nsasl.oauthbearer.config=canary-nonsense",
        "principal must be there" },
    { "enable.sasl.oauthbearer.unsecure.jwt=true\nsasl.oauthbearer.config=principal=a lifeSeconds=60",
        "principal must be there" },
    { "enable.sasl.oauthbearer.unsecure.jwt=true\nsasl.oauthbearer.config=principal=", "principal must be" },
};

static void test_secret__given_oauthbearer__when_configured__then_what_would_crash_librdkafka_is_refused(
    void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(tokens); i++) {
        char properties[256];
        rd_kafka_conf_t *conf;
        struct leat_error err = { 0 };
        (void)snprintf(properties, sizeof properties,
            "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=OAUTHBEARER\n%s", tokens[i].properties);
        const struct leat_kafka_conn conn = { .brokers = "localhost:1", .properties = properties };
        const int code = leat__kafka_conf(&conn, LEAT_KAFKA_CONSUMER, leat__env_posix(), &conf, &err);
        FAIL_UNLESS((code == 0) == (tokens[i].text == NULL) &&
                (code == 0 || strstr(err.message, tokens[i].text)) && !strstr(err.message, "canary"),
            "%zu: %s", i, err.message);
        if (code == 0) {
            char value[256];
            size_t size = sizeof value;
            assert_int_equal(
                rd_kafka_conf_get(conf, "sasl.oauthbearer.config", value, &size), RD_KAFKA_CONF_OK);
            assert_string_equal(value, "principal=a scope=b,c lifeSeconds=315360000");
            rd_kafka_conf_destroy(conf);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusal__given_what_librdkafka_says__when_heard__then_only_refusals_are_noted),
        cmocka_unit_test(
            test_refusal__given_an_exact_cause__when_less_is_heard_behind_it__then_the_cause_stays),
        cmocka_unit_test(
            test_refusal__given_an_old_one__when_asked__then_it_is_none_and_a_new_one_begins_anew),
        cmocka_unit_test(
            test_secret__given_rights_of_a_file__when_resolved__then_what_is_open_to_all_is_refused),
        cmocka_unit_test(test_secret__given_a_text_that_quotes_one__when_redacted__then_it_does_not),
        cmocka_unit_test(
            test_secret__given_oauthbearer__when_configured__then_what_would_crash_librdkafka_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
