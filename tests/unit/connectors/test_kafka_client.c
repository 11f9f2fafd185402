/* tests/unit/connectors/test_kafka_client.c -- properties as users give them, references, and errors. */
#include "base/alloc.h"
#include "base/env.h"
#include "connectors/kafka/client.h"
#include "connectors/kafka/properties.h"
#include "tests/support/store_dirs.h"
#include "tests/support/unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static const struct {
    const char *name, *properties;
    enum leat_kafka_role role;
    int code;
    const char *text; /* in the error */
} declared[] = {
    { "none", "", LEAT_KAFKA_CONSUMER, 0, "" },
    { "comments and blanks", "\n# x\n  \n\tlinger.ms = 7 \r\n", LEAT_KAFKA_PRODUCER, 0, "" },
    { "of the other side", "linger.ms=7", LEAT_KAFKA_CONSUMER, 0, "" },
    { "no equals", "client.id=a\nlinger.ms 7", LEAT_KAFKA_PRODUCER, LEAT_EDECLARE,
        "line 2: expected name=value, found no \"=\" behind \"linger.ms\"" },
    { "no equals behind a secret", "sasl.password: canary", LEAT_KAFKA_PRODUCER, LEAT_EDECLARE,
        "found no \"=\" behind \"sasl.password\"" },
    { "a secret alone", "canary", LEAT_KAFKA_PRODUCER, LEAT_EDECLARE, "line 1: expected name=value" },
    { "misspelt", "liger.ms=7", LEAT_KAFKA_PRODUCER, LEAT_EDECLARE,
        "unknown property \"liger.ms\"; did you mean \"linger.ms\"?" },
    { "empty", "client.id=", LEAT_KAFKA_PRODUCER, LEAT_EDECLARE, "property \"client.id\" has no value" },
    { "an option of ours", "group.id=g", LEAT_KAFKA_CONSUMER, LEAT_EDECLARE, "can not be set: set .group" },
    { "what loads code", "plugin.library.paths=/x.so", LEAT_KAFKA_CONSUMER, LEAT_EDECLARE, "it loads code" },
    { "what runs a command", "sasl.kerberos.kinit.cmd=x", LEAT_KAFKA_CONSUMER, LEAT_EDECLARE,
        "it runs a command" },
    { "denied on the other side, too", "isolation.level=read_uncommitted", LEAT_KAFKA_PRODUCER, LEAT_EDECLARE,
        "set .read_uncommitted" },
};

static void test_kafka_client__given_properties__when_declared__then_only_those_of_the_list_are_taken(
    void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(declared); i++) {
        const struct leat_kafka_cluster cluster = { .brokers = "b:1", .properties = declared[i].properties };
        struct leat_arena arena = { 0 };
        struct leat_kafka_conn conn;
        struct leat_error err = { 0 };
        const int code = leat__kafka_conn_new(&cluster, declared[i].role, &arena, &conn, &err);
        FAIL_UNLESS(code == declared[i].code && strstr(err.message, declared[i].text) &&
                !strstr(err.message, "canary"),
            "%s: %d %s", declared[i].name, code, err.message);
        leat__arena_release(&arena);
    }
}

static int make_conf(const char *properties, const char *file, enum leat_kafka_role role,
    rd_kafka_conf_t **conf, struct leat_error *err)
{
    const struct leat_kafka_conn conn = {
        .brokers = "localhost:1", .properties = properties, .properties_file = file
    };
    return leat__kafka_conf(&conn, role, leat__env_posix(), conf, err);
}

static const char *get(rd_kafka_conf_t *conf, const char *name, char value[256])
{
    size_t size = 256;
    if (rd_kafka_conf_get(conf, name, value, &size) != RD_KAFKA_CONF_OK)
        fail_msg("%s", name);
    return value;
}

static void
test_kafka_client__given_nothing__when_configured__then_nothing_is_committed_skipped_or_read_dirty(
    void **state)
{
    (void)state;
    rd_kafka_conf_t *conf;
    struct leat_error err = { 0 };
    char value[256];
    assert_int_equal(make_conf(NULL, NULL, LEAT_KAFKA_CONSUMER, &conf, &err), 0);
    assert_string_equal(get(conf, "bootstrap.servers", value), "localhost:1");
    assert_string_equal(get(conf, "enable.auto.commit", value), "false");
    assert_string_equal(get(conf, "auto.offset.reset", value), "error");
    assert_string_equal(get(conf, "isolation.level", value), "read_committed");
    rd_kafka_conf_destroy(conf);
    assert_int_equal(make_conf(NULL, NULL, LEAT_KAFKA_PRODUCER, &conf, &err), 0);
    assert_string_equal(get(conf, "enable.idempotence", value), "true");
    rd_kafka_conf_destroy(conf);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0600), 0);
}

static void
test_kafka_client__given_a_file_and_references__when_configured__then_the_declared_ones_count_and_are_resolved(
    void **state)
{
    (void)state;
    char *dir = store_dirs_new(), path[512], properties[1024], value[256];
    rd_kafka_conf_t *conf;
    struct leat_error err = { 0 };
    (void)snprintf(path, sizeof path, "%s/secret", dir);
    write_file(path, "open sesame\nsecond line\n");
    (void)snprintf(properties, sizeof properties,
        "sasl.password=${file:%s}\nsasl.username=${env:LEAT_TEST_USER}\nclient.id=mine", path);
    (void)snprintf(path, sizeof path, "%s/properties", dir);
    write_file(path, "client.id = theirs\nfetch.wait.max.ms = 17\n");
    assert_int_equal(setenv("LEAT_TEST_USER", "ali", 1), 0);
    assert_int_equal(make_conf(properties, path, LEAT_KAFKA_CONSUMER, &conf, &err), 0);
    assert_string_equal(get(conf, "sasl.password", value), "open sesame");
    assert_string_equal(get(conf, "sasl.username", value), "ali");
    assert_string_equal(get(conf, "client.id", value), "mine");
    assert_string_equal(get(conf, "fetch.wait.max.ms", value), "17");
    rd_kafka_conf_destroy(conf);
    assert_int_equal(unsetenv("LEAT_TEST_USER"), 0);
    assert_int_equal(make_conf(properties, path, LEAT_KAFKA_CONSUMER, &conf, &err), LEAT_ENOTFOUND);
    assert_non_null(strstr(err.message, "LEAT_TEST_USER"));
    store_dirs_free(dir);
}

static void
test_kafka_client__given_a_bad_file_or_value__when_configured__then_the_place_is_named_and_no_secret(
    void **state)
{
    (void)state;
    char *dir = store_dirs_new(), path[512], missing[512];
    rd_kafka_conf_t *conf;
    struct leat_error err = { 0 };
    (void)snprintf(path, sizeof path, "%s/properties", dir);
    (void)snprintf(missing, sizeof missing, "%s/none", dir);
    write_file(path, "client.id=a\n\nacks=0\n");
    assert_int_equal(make_conf(NULL, path, LEAT_KAFKA_PRODUCER, &conf, &err), LEAT_EDECLARE);
    assert_non_null(strstr(err.message, "properties: line 3: property \"acks\""));
    assert_int_equal(make_conf(NULL, missing, LEAT_KAFKA_PRODUCER, &conf, &err), LEAT_ENOTFOUND);
    assert_int_equal(
        make_conf("fetch.wait.max.ms=soon", NULL, LEAT_KAFKA_CONSUMER, &conf, &err), LEAT_EDECLARE);
    assert_non_null(strstr(err.message, "properties: line 1: property \"fetch.wait.max.ms\""));
    store_dirs_free(dir);
}

static void test_kafka_client__given_no_broker_there__when_asked__then_the_error_has_address_cause_and_remedy(
    void **state)
{
    (void)state;
    const struct leat_kafka_conn conn = { .brokers = "127.0.0.1:1" };
    rd_kafka_conf_t *conf;
    struct leat_kafka_client *client;
    struct leat_error err = { 0 };
    uint32_t partitions;
    assert_int_equal(leat__kafka_conf(&conn, LEAT_KAFKA_PRODUCER, leat__env_posix(), &conf, &err), 0);
    assert_int_equal(leat__kafka_new(&conn, LEAT_KAFKA_PRODUCER, conf, NULL, &client, &err), 0);
    const int code = leat__kafka_partitions(client, "orders", 500, &partitions, &err);
    assert_true(code == LEAT_ECONNECT || code == LEAT_ETIMEOUT);
    assert_non_null(
        strstr(err.message, "Kafka at 127.0.0.1:1: could not list the partitions of topic \"orders\""));
    assert_non_null(strstr(err.message, "are the brokers up"));
    leat__kafka_free(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_kafka_client__given_properties__when_declared__then_only_those_of_the_list_are_taken),
        cmocka_unit_test(
            test_kafka_client__given_nothing__when_configured__then_nothing_is_committed_skipped_or_read_dirty),
        cmocka_unit_test(
            test_kafka_client__given_a_file_and_references__when_configured__then_the_declared_ones_count_and_are_resolved),
        cmocka_unit_test(
            test_kafka_client__given_a_bad_file_or_value__when_configured__then_the_place_is_named_and_no_secret),
        cmocka_unit_test(
            test_kafka_client__given_no_broker_there__when_asked__then_the_error_has_address_cause_and_remedy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
