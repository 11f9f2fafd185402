/* tests/unit/connectors/test_url.c -- URLs as their parts, their options as members, and what is said of those that are wrong. */
#include "connectors/url/url.h"
#include "event.h"
#include "tests/support/unit.h"
#include <leat/leat.h>

static const struct {
    const char *url;
    bool is_kafka;
    const char *brokers, *path, *options; /* "name=value ..." */
} parsed[] = {
    { "orders.avro", false, NULL, "orders.avro", "" },
    { "-", false, NULL, "-", "" },
    { "logs-?.jsonl", false, NULL, "logs-?.jsonl", "" },
    { "100%.csv", false, NULL, "100%.csv", "" },
    { "/tmp/a:b", false, NULL, "/tmp/a:b", "" },
    { "file:a.csv?separator=%3B", false, NULL, "a.csv", "separator=; " },
    { "file:///tmp/a%3fb.csv?format=csv", false, NULL, "/tmp/a?b.csv", "format=csv " },
    { "kafka://h:1/t", true, "h:1", "t", "" },
    { "kafka://h:1,i:2/a,b?x=1&y=a=b&", true, "h:1,i:2", "a,b", "x=1 y=a=b " },
    { "kafka:///t?group=g", true, NULL, "t", "group=g " },
    { "kafka://[::1]:9092/%5Eshop.*", true, "[::1]:9092", "^shop.*", "" },
};

static void test_url__given_one__when_parsed__then_its_parts(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(parsed); i++) {
        struct leat_url url;
        struct leat_error err = { 0 };
        struct leat_strbuf options = { 0 };
        FAIL_UNLESS(leat__url_parse(parsed[i].url, &url, &err) == 0, "%s: %s", parsed[i].url, err.message);
        for (uint32_t k = 0; k < url.options_count; k++)
            leat__strbuf_printf(&options, "%s=%s ", url.options[k].name, url.options[k].value);
        FAIL_UNLESS(url.is_kafka == parsed[i].is_kafka && strcmp(url.path, parsed[i].path) == 0 &&
                (url.brokers == NULL) == (parsed[i].brokers == NULL) &&
                strcmp(url.brokers ? url.brokers : "", parsed[i].brokers ? parsed[i].brokers : "") == 0 &&
                strcmp(options.data ? options.data : "", parsed[i].options) == 0,
            "%s: %s | %s | %s", parsed[i].url, url.brokers, url.path, options.data);
        leat__strbuf_release(&options);
        leat__url_release(&url);
    }
}

/* As a source, then as a sink: the error that the topology has. */
static const struct {
    const char *source, *sink, *text;
} wrong[] = {
    { NULL, "-", "url: missing: a path, file:PATH, or kafka://HOST:PORT/TOPIC" },
    { "", "-", "url: missing" },
    { "s3://bucket/x", "-", "\"s3\" is no scheme that is known" },
    { "kafka://h:1", "-", "no topic is named" },
    { "kafka://h:1/", "-", "no topic is named" },
    { "kafka://h:1?bounded=true", "-", "no topic is named" },
    { "kafka://alice:canary@h:1/t", "-", "no user stands before a host" },
    { "kafka://h:1/t?sasl.password=canary", "-", "give \"sasl.password\" as ${file:PATH} or ${env:NAME}" },
    { "kafka://h:1/t?bounded=yes", "-", "option \"bounded\" should be true or false, not \"yes\"" },
    { "kafka://h:1/t?boundd=true", "-", "unknown option \"boundd\"; did you mean \"bounded\"?" },
    { "kafka://h:1/t?bounded", "-", "option 1 should be NAME=VALUE" },
    { "kafka://h:1/t?bounded=", "-", "option \"bounded\" has no value" },
    { "kafka://h:1/t?bounded=true&bounded=true", "-", "option \"bounded\" is there twice" },
    { "kafka://h:1/t?format=xml", "-", "option \"format\" should be one of avro json json_avro csv" },
    { "kafka://h:1/t?format=-", "-", "option \"format\" should be one of" },
    { "kafka://h:1/t?start=offsets", "-", "option \"start\" should be one of earliest latest" },
    { "kafka://h:1/t?client.id=a%0Asasl.password=b", "-", "a control character has no place in a URL" },
    { "kafka://h:1/t?client.id=%4", "-", "a % stands before two hexadecimal digits" },
    { "kafka://h:1/t?client.id=%zz", "-", "a % stands before two hexadecimal digits" },
    { "kafka://h:1/t?group.id=g", "-", "property \"group.id\" can not be set: set .group" },
    { "kafka://h:1/t?partitions=3", "-", "unknown option \"partitions\"" },
    { "kafka://h:1/a%20b?separator=ab", "-", "option \"separator\" should be one character" },
    { "file:a.csv?key=id", "-", "unknown option \"key\"" },
    { "-", "kafka://h:1/t?partitions=-1", "option \"partitions\" should be a whole number, not \"-1\"" },
    { "-", "kafka://h:1/t?partitions=4294967296", "option \"partitions\" should be a whole number" },
    { "-", "kafka://h:1/t?replication=32768", "option \"replication\" should be a whole number" },
    { "-", "kafka://h:1/t?delivery=often",
        "option \"delivery\" should be one of exactly_once at_least_once" },
    { "-", "kafka://h:1/t?bounded=true", "unknown option \"bounded\"" },
    { "-", "kafka://h:1/t?sasl.password=canary", "give \"sasl.password\" as" },
    { "-", "kafka://h:1/t?key=nothing", "nothing" },
    { "-", "ftp://h/t", "\"ftp\" is no scheme that is known" },
};

static leat_topology *declare(const char *source, const char *sink)
{
    leat_topology *t = leat_topology_new("by-url");
    leat_stream *events = leat_url_source(t, "events", source,
        &(struct leat_url_source_opts){
            .type = &event_type, .format = LEAT_FORMAT_JSON, .event_time = "at" });
    leat_url_sink(
        events, "out", sink, &(struct leat_url_sink_opts){ .format = LEAT_FORMAT_JSON, .overwrite = true });
    return t;
}

static void test_url__given_a_wrong_one__when_declared__then_the_error_says_what_and_no_secret(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        struct leat_error err = { 0 };
        leat_topology *t = declare(wrong[i].source, wrong[i].sink);
        const int code = leat_run(t, &(struct leat_job_opts){ .parallelism = 1 }, &err);
        FAIL_UNLESS(code < 0 && strstr(err.message, wrong[i].text) && !strstr(err.message, "canary"),
            "%s, %s: %s", wrong[i].source, wrong[i].sink, err.message);
        leat_topology_free(t);
    }
}

/* What the plan shows of a node. */
static const struct {
    const char *source, *sink, *text;
} right[] = {
    { "kafka://h:1/t,u?bounded=true&client.id=me", "out.jsonl", "t,u, from earliest, to the end" },
    { "kafka:///t?start_us=17", "out.jsonl", "t, from by timestamp" },
    { "kafka:///t?start_offsets=t/0:17", "out.jsonl", "t, from at given offsets" },
    { "kafka:///t?start=latest&read_uncommitted=true", "out.jsonl", "from latest, read uncommitted" },
    { "kafka:///t?format=avro&key=key&key.format=raw&key.only=true", "out.jsonl", "t, from earliest" },
    { "in.jsonl", "kafka:///t?partitions=3&key=key", "t, exactly once" },
    { "in.jsonl", "kafka:///t?delivery=at_least_once&format=avro", "t, at least once" },
    { "file:in.csv?format=csv&separator=%09", "file:x%20y.jsonl?format=json", "x y.jsonl" },
};

static void test_url__given_a_right_one__when_declared__then_the_plan_has_what_it_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(right); i++) {
        leat_topology *t = declare(right[i].source, right[i].sink);
        char *plan = NULL;
        FAIL_UNLESS(leat_topology_errors_count(t) == 0, "%s: %s", right[i].source,
            leat_topology_error(t, 0)->message);
        assert_int_equal(leat_describe(t, LEAT_DESCRIBE_TEXT, 2, &plan), 0);
        FAIL_UNLESS(plan && strstr(plan, right[i].text), "%s: %s", right[i].source, plan);
        leat_free(plan);
        leat_topology_free(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_url__given_one__when_parsed__then_its_parts),
        cmocka_unit_test(test_url__given_a_wrong_one__when_declared__then_the_error_says_what_and_no_secret),
        cmocka_unit_test(test_url__given_a_right_one__when_declared__then_the_plan_has_what_it_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
