/* tests/unit/connectors/test_kafka_position.c -- positions of partitions as text, and what a declaration refuses. */
#include "connectors/kafka/source_private.h"
#include "kafka_row.h"
#include "tests/support/unit.h"
#include <leat/leat.h>

static void test_position__given_its_text__when_read_and_written__then_it_is_the_same(void **state)
{
    static const char *const texts[] = { "0", "17", "0 first", "3 first end=9", "17 end=200",
        "9223372036854775807 end=0 last=16:0123456789abcdef", "17 last=0:ffffffffffffffff" };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct leat_kafka_position position;
        struct leat_strbuf out = { 0 };
        struct leat_error err = { 0 };
        FAIL_UNLESS(
            leat__kafka_position_read(texts[i], strlen(texts[i]), &position, &err) == 0, "%s", err.message);
        leat__kafka_position_write(&position, &out);
        assert_string_equal(out.data, texts[i]);
        leat__strbuf_release(&out);
    }
}

static void test_position__given_other_text__then_it_is_refused(void **state)
{
    static const char *const texts[] = { "", "-1", "x", "17 ", " 17", "17 end", "17 end=", "17 end=-1",
        "9223372036854775808", "17 last=16", "17 last=16:", "17 last=16:0123456789abcde",
        "17 last=16:0123456789abcdef0", "17 last=16:0123456789ABCDEF", "17 last=16:0123456789abcdef end=3",
        "17first" };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct leat_kafka_position position;
        struct leat_error err = { 0 };
        FAIL_UNLESS(leat__kafka_position_read(texts[i], strlen(texts[i]), &position, &err) == LEAT_EDATA,
            "%s", texts[i]);
        assert_non_null(strstr(err.message, "is no position of a Kafka source"));
    }
}

static void test_split__given_a_name__then_it_is_topic_and_partition(void **state)
{
    static const struct {
        const char *text;
        int topic_len; /* -1: it is none */
        int32_t partition;
    } rows[] = { { "a/0", 1, 0 }, { "shop.eu/17", 7, 17 }, { "a/2147483647", 1, 2147483647 },
        { "a/2147483648", -1, 0 }, { "a", -1, 0 }, { "/3", -1, 0 }, { "a/", -1, 0 }, { "a/x", -1, 0 },
        { "", -1, 0 } };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t len = 0;
        int32_t partition = 0;
        const bool good = leat__kafka_split_parse(rows[i].text, strlen(rows[i].text), &len, &partition);
        FAIL_UNLESS(good == (rows[i].topic_len >= 0) &&
                (!good || ((int)len == rows[i].topic_len && partition == rows[i].partition)),
            "%s: %d %zu %d", rows[i].text, (int)good, len, (int)partition);
    }
}

/* ---- declarations ---- */

#define SOURCE(...) \
    { \
        .type = &kafka_row_type, __VA_ARGS__ \
    }
#define JSON .format = LEAT_FORMAT_JSON
#define ORDERS .topics = "orders", JSON

static void test_declaration__given_a_mistake__then_it_is_named(void **state)
{
    static const struct {
        struct leat_kafka_source_opts opts;
        const char *error;
    } rows[] = {
        { { .type = &kafka_row_type, .format = LEAT_FORMAT_JSON }, "topics: missing: names of topics" },
        { SOURCE(JSON, .topics = "orders, or/ders"), "topics: \"or/ders\" is no name of a topic" },
        { SOURCE(JSON, .topics = "orders orders"), "topics: \"orders\" is named twice" },
        { { .type = &kafka_row_type, .topics = "orders" }, "format: missing" },
        { SOURCE(.topics = "orders", .format = LEAT_FORMAT_AVRO_BINARY, .value_schema = "\"long\""),
            "format: " },
        { SOURCE(ORDERS, .meta = { .offset = "offs" }), "meta.offset: " },
        { SOURCE(ORDERS, .start_us = 5), "start_us: only LEAT_KAFKA_TIMESTAMP starts there" },
        { SOURCE(ORDERS, .start = LEAT_KAFKA_TIMESTAMP, .start_us = -5),
            "start_us: Kafka has no time before 1970" },
        { SOURCE(ORDERS, .start = LEAT_KAFKA_GROUP), "group: missing" },
        { SOURCE(ORDERS, .start = LEAT_KAFKA_OFFSETS), "start_offsets: missing" },
        { SOURCE(ORDERS, .start_offsets = "orders/0:1"),
            "start_offsets: only LEAT_KAFKA_OFFSETS starts there" },
        { SOURCE(ORDERS, .start = LEAT_KAFKA_OFFSETS, .start_offsets = "orders:1"),
            "start_offsets: \"orders:1\" is not TOPIC/PARTITION:OFFSET" },
        { SOURCE(ORDERS, .start = LEAT_KAFKA_OFFSETS, .start_offsets = "orders/0:last"),
            "start_offsets: \"orders/0:last\" is not" },
        { SOURCE(ORDERS, .start = LEAT_KAFKA_OFFSETS, .start_offsets = "others/0:1"),
            "start_offsets: topic \"others\" is none of .topics" },
        { SOURCE(ORDERS, .start = 77), "start: 77 is no enum leat_kafka_start" },
        { SOURCE(ORDERS, .discover_us = -2), "discover_us: must be a duration" },
        { SOURCE(ORDERS, .cluster = { .properties = "group.id=x" }),
            "cluster.properties: line 1: property \"group.id\" can not be set: set .group" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        leat_topology *t = leat_topology_new("declares");
        (void)leat_kafka_source(t, "in", &rows[i].opts);
        FAIL_UNLESS(leat_topology_errors_count(t) > 0, "no error: %s", rows[i].error);
        const char *got = leat_topology_error(t, 0)->message;
        FAIL_UNLESS(strstr(got, "Kafka source \"in\": ") == got && strstr(got, rows[i].error), "%s, not %s",
            got, rows[i].error);
        leat_topology_free(t);
    }
}

static void test_declaration__given_a_source__then_the_plan_says_what_it_reads(void **state)
{
    (void)state;
    leat_topology *t = leat_topology_new("declares");
    leat_stream *in = leat_kafka_source(
        t, "in", &(struct leat_kafka_source_opts)SOURCE(ORDERS, .start = LEAT_KAFKA_LATEST, .bounded = true));
    assert_non_null(in->node);
    assert_string_equal(in->node->detail, "orders, from latest, to the end");
    assert_int_equal(in->node->discover_us, 0);
    in = leat_kafka_source(t, "on", &(struct leat_kafka_source_opts)SOURCE(ORDERS, .discover_us = 0));
    assert_int_equal(in->node->discover_us, LEAT_MINUTES(1));
    leat_topology_free(t);
}

/* What it says at first would be told as the cause of later errors. */
static void test_consumer__given_our_own_settings__then_librdkafka_has_nothing_to_say_of_them(void **state)
{
    const struct leat_kafka_source spec = { .conn = { .brokers = "127.0.0.1:1" }, .group = "watchers" };
    struct leat_kafka_client *client;
    struct leat_error err = { 0 };
    char value[64];
    size_t size = sizeof value;
    (void)state;
    FAIL_UNLESS(leat__kafka_consumer(&spec, leat__env_posix(), 16, &client, &err) == 0, "%s", err.message);
    FAIL_UNLESS(!strstr(client->said, "property"), "%s", client->said);
    assert_int_equal(rd_kafka_conf_get(rd_kafka_conf(client->rk), "queued.max.messages.kbytes", value, &size),
        RD_KAFKA_CONF_OK);
    assert_string_equal(value, "4096"); /* a sixteenth of 64 MiB */
    leat__kafka_free(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_position__given_its_text__when_read_and_written__then_it_is_the_same),
        cmocka_unit_test(test_position__given_other_text__then_it_is_refused),
        cmocka_unit_test(test_split__given_a_name__then_it_is_topic_and_partition),
        cmocka_unit_test(test_declaration__given_a_mistake__then_it_is_named),
        cmocka_unit_test(test_consumer__given_our_own_settings__then_librdkafka_has_nothing_to_say_of_them),
        cmocka_unit_test(test_declaration__given_a_source__then_the_plan_says_what_it_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
