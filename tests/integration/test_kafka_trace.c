/* tests/integration/test_kafka_trace.c -- trace context from messages through jobs to messages: with its record through operators
 * that make one of one, as a sample of links where many become one. Against the test broker, and Apache Kafka. */
#include "base/hash.h"
#include "record/trace_context.h"
#include "tests/support/kafka.h"
#include "tests/support/place.h"
#include "tests/support/unit.h"
#include "traced.h"
#include "traced_total.h"
#include <leat/leat.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT 600u
#define SHELVES 3u
#define LINKS 8u

static struct kafka *kafka;
static const char *from_topic, *to_topic;
static struct leat_kafka_source_opts source;
static struct leat_kafka_sink_opts sink;

static void set_up(uint32_t partitions)
{
    kafka = kafka_start(getenv("LEAT_TEST_BOOTSTRAP") ? KAFKA_REAL : KAFKA_TEST);
    place_begin("trace");
    from_topic = kafka_name(kafka, "in");
    to_topic = kafka_name(kafka, "out");
    kafka_topic_create(kafka, from_topic, (int32_t)partitions, NULL);
    kafka_topic_create(kafka, to_topic, 1, NULL);
    source = (struct leat_kafka_source_opts){ .cluster = { .brokers = kafka_bootstrap(kafka),
                                                  .properties = "fetch.wait.max.ms=20" },
        .topics = from_topic,
        .type = &traced_type,
        .format = LEAT_FORMAT_JSON,
        .meta = { .traceparent = "trace", .tracestate = "trace_state", .headers = "headers" },
        .event_time = "at",
        .max_out_of_orderness_us = LEAT_SECONDS(10),
        .bounded = true };
    sink = (struct leat_kafka_sink_opts){ .cluster = { .brokers = kafka_bootstrap(kafka) },
        .topic = to_topic,
        .markers_topic = kafka_name(kafka, "markers"),
        .format = LEAT_FORMAT_JSON,
        .delivery = LEAT_AT_LEAST_ONCE };
}

static void tear_down(void)
{
    place_end();
    kafka_stop(kafka);
}

static void run(leat_topology *t, uint32_t parallelism)
{
    struct leat_error err = { 0 };
    const struct leat_job_opts job = { .parallelism = parallelism,
        .batch_rows = 32,
        .pre_aggregate = parallelism % 2 ? LEAT_PRE_AGGREGATE_NEVER : LEAT_PRE_AGGREGATE_ALWAYS };
    FAIL_UNLESS(leat_run(t, &job, &err) == 0, "%s", err.message);
    leat_topology_free(t);
}

/* ---- one of one ---- */

#define PARENT_REST "-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
#define PARENT "00" PARENT_REST

static void keep(struct leat_ctx *ctx, const struct traced *from, struct traced *to)
{
    (void)ctx;
    *to = *from;
    to->id++;
}
LEAT_DEFINE_MAP(keep, traced, traced);

static const char *header(const struct kafka_record *record, const char *name, uint32_t *count)
{
    static char text[2][1200];
    static unsigned next;
    char *to = text[next++ % 2];
    (void)snprintf(to, sizeof text[0], "-");
    *count = 0;
    for (size_t i = 0; i < record->headers_count; i++)
        if (strcmp(record->headers[i].name, name) == 0) {
            (void)snprintf(to, sizeof text[0], "%.*s", (int)record->headers[i].len,
                (const char *)record->headers[i].value);
            ++*count;
        }
    return to;
}

static void expect_header(const struct kafka_record *record, const char *name, const char *value)
{
    uint32_t count;
    const char *got = header(record, name, &count);
    FAIL_UNLESS(strcmp(got, value) == 0 && count == (strcmp(value, "-") != 0), "%s: %u times %s, not %s",
        name, (unsigned)count, got, value);
}

static void produce(const char *value, const char *parent, const char *state)
{
    struct kafka_header headers[3] = { { "other", "x", 1 } };
    struct kafka_record record = {
        .timestamp = 1, .value = value, .value_len = strlen(value), .headers = headers, .headers_count = 1
    };
    if (parent)
        headers[record.headers_count++] = (struct kafka_header){ "traceparent", parent, strlen(parent) };
    if (state)
        headers[record.headers_count++] = (struct kafka_header){ "tracestate", state, strlen(state) };
    kafka_produce(kafka, from_topic, &record, 1);
}

static void test_trace__given_messages_with_traceparents__when_each_becomes_one__then_the_results_have_them(
    void **state)
{
    (void)state;
    set_up(1);
    produce("{\"id\":0}", PARENT, "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE");
    produce("{\"id\":1}", PARENT "-more", "a=b"); /* malformed, so both are dropped */
    produce("{\"id\":2}", NULL, "a=b");
    produce("{\"id\":3}", "cc" PARENT_REST "-more", "bad\x01state"); /* of a later version */
    produce("{\"id\":-1}", PARENT, NULL);
    sink.meta =
        (struct leat_kafka_meta){ .traceparent = "trace", .tracestate = "trace_state", .headers = "headers" };
    leat_topology *t = leat_topology_new("trace");
    leat_stream *all = leat_kafka_source(t, "read", &source);
    leat_stream *some = leat_filter_expr(all, "some", "id >= 0");
    leat_kafka_sink(leat_map(some, "next", &keep_map), "write", &sink);
    run(t, 1);
    struct kafka_records *got = kafka_read(kafka, to_topic, true);
    assert_int_equal(got->count, 4);
    for (size_t i = 0; i < 4; i++)
        expect_header(&got->records[i], "other", "x");
    expect_header(&got->records[0], "traceparent", PARENT);
    expect_header(&got->records[0], "tracestate", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE");
    expect_header(&got->records[1], "traceparent", "-");
    expect_header(&got->records[1], "tracestate", "-");
    expect_header(&got->records[2], "traceparent", "-");
    expect_header(&got->records[2], "tracestate", "-");
    expect_header(&got->records[3], "traceparent", "cc" PARENT_REST "-more");
    expect_header(&got->records[3], "tracestate", "-");
    kafka_records_free(got);
    tear_down();
}

/* ---- one of many ---- */

/* Of message i. Every fifth is not sampled. */
static void parent_of(uint32_t i, struct leat_traceparent *parent)
{
    memset(parent, 0, sizeof *parent);
    memcpy(parent->trace + 8, &(uint64_t){ leat__hash(&i, sizeof i) | 1 }, 8);
    parent->span[0] = 1;
    parent->flags = i % 5 ? 1 : 0;
}

static uint64_t hash_of(const struct leat_traceparent *parent)
{
    return leat__hash(parent, LEAT_TRACE_ID_BYTES + LEAT_TRACE_SPAN_BYTES);
}

static int by_hash(const void *a, const void *b)
{
    const uint64_t x = hash_of(a), y = hash_of(b);
    return x < y ? -1 : x > y;
}

/* What the header of the shelf's sum is to be. */
static void want_links(uint32_t shelf, char text[LINKS * 56 + 1])
{
    static struct leat_traceparent all[COUNT];
    uint32_t count = 0;
    for (uint32_t i = shelf; i < COUNT; i += SHELVES) {
        parent_of(i, &all[count]);
        count += all[count].flags;
    }
    qsort(all, count, sizeof all[0], by_hash);
    for (uint32_t i = 0; i < LINKS; i++, text += LEAT_TRACEPARENT_CHARS + 1) {
        leat__traceparent_print(&all[i], text);
        text[LEAT_TRACEPARENT_CHARS] = ',';
    }
    text[-1] = '\0';
}

static void produce_many(void)
{
    static char values[COUNT][64], parents[COUNT][LEAT_TRACEPARENT_CHARS];
    static struct kafka_header headers[COUNT];
    static struct kafka_record records[COUNT];
    for (uint32_t i = 0; i < COUNT; i++) {
        struct leat_traceparent parent;
        parent_of(i, &parent);
        leat__traceparent_print(&parent, parents[i]);
        const int len = snprintf(
            values[i], sizeof values[0], "{\"id\":%u,\"shelf\":\"s%u\",\"at\":%u}", i, i % SHELVES, 1000 * i);
        headers[i] = (struct kafka_header){ "traceparent", parents[i], LEAT_TRACEPARENT_CHARS };
        records[i] = (struct kafka_record){ .partition = (int32_t)(i * 7 % 4),
            .timestamp = 1,
            .value = values[i],
            .value_len = (size_t)len,
            .headers = &headers[i],
            .headers_count = 1 };
    }
    kafka_produce(kafka, from_topic, records, COUNT);
}

static leat_topology *declare_totals(const struct leat_window_opts *window)
{
    leat_topology *t = leat_topology_new("trace");
    leat_windowed_stream *windows =
        leat_window(leat_group_by(leat_kafka_source(t, "read", &source), "by-shelf", "shelf"), "all", window);
    leat_kafka_sink(
        leat_aggregate(windows, "total",
            &(struct leat_aggregate_opts){
                .aggs = { LEAT_COUNT("n"), LEAT_TRACE_LINKS("trace", "links") }, .out = &traced_total_type }),
        "write", &sink);
    return t;
}

static void test_trace__given_many_messages__when_a_window_makes_one__then_it_links_to_a_sample_whoever_works(
    void **state)
{
    static const struct leat_window_opts windows[] = {
        { .kind = LEAT_WINDOW_TUMBLING, .size_us = LEAT_SECONDS(10) },
        { .kind = LEAT_WINDOW_SESSION, .gap_us = LEAT_SECONDS(1) },
        { .kind = LEAT_WINDOW_HOPPING, .size_us = LEAT_SECONDS(10), .slide_us = LEAT_SECONDS(5) },
    };
    (void)state;
    set_up(4);
    produce_many();
    sink.meta.trace_links = "links";
    for (uint32_t i = 0; i < COUNT_OF(windows); i++)
        run(declare_totals(&windows[i]), 1 + i);
    struct kafka_records *got = kafka_read(kafka, to_topic, true);
    assert_int_equal(got->count, SHELVES * 4); /* each is in two hopping windows */
    for (size_t i = 0; i < got->count; i++) {
        const struct kafka_record *r = &got->records[i];
        char want[LINKS * 56 + 1], start[32];
        const int len =
            snprintf(start, sizeof start, "{\"shelf\":\"s%c\",\"n\":200", ((const char *)r->value)[11]);
        FAIL_UNLESS(
            memcmp(r->value, start, (size_t)len) == 0, "%.*s", (int)r->value_len, (const char *)r->value);
        want_links((uint32_t)(((const char *)r->value)[11] - '0'), want);
        expect_header(r, "leat.trace.links", want);
        expect_header(r, "traceparent", "-");
    }
    kafka_records_free(got);
    tear_down();
}

/* ---- declarations ---- */

static void expect_error(uint32_t i, leat_topology *t, const char *text)
{
    assert_true(leat_check(t) < 0);
    assert_true(leat_topology_errors_count(t) > i);
    FAIL_UNLESS(strstr(leat_topology_error(t, i)->message, text), "%s", leat_topology_error(t, i)->message);
}

static void test_trace__given_fields_that_do_not_fit__then_the_declaration_says_which_do(void **state)
{
    (void)state;
    set_up(1);
    leat_topology *t = leat_topology_new("trace");
    source.meta = (struct leat_kafka_meta){ .traceparent = "id" };
    leat_stream *a = leat_kafka_source(t, "a", &source);
    source.meta = (struct leat_kafka_meta){ .tracestate = "trace_state" };
    leat_stream *b = leat_kafka_source(t, "b", &source);
    source.meta = (struct leat_kafka_meta){ .trace_links = "trace" };
    leat_stream *c = leat_kafka_source(t, "c", &source);
    source.meta = (struct leat_kafka_meta){ .traceparent = "trace" };
    sink.meta = (struct leat_kafka_meta){ .trace_links = "headers" };
    leat_kafka_sink(leat_kafka_source(t, "d", &source), "write", &sink);
    (void)a;
    (void)b;
    (void)c;
    expect_error(0, t, "meta.traceparent: field \"id\" must be a string");
    expect_error(1, t, "meta.tracestate: means nothing without meta.traceparent");
    expect_error(2, t, "meta.trace_links: only of sinks");
    expect_error(3, t, "meta.trace_links: field \"headers\" must be an array of strings, or a string");
    leat_topology_free(t);
    tear_down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_trace__given_messages_with_traceparents__when_each_becomes_one__then_the_results_have_them),
        cmocka_unit_test(
            test_trace__given_many_messages__when_a_window_makes_one__then_it_links_to_a_sample_whoever_works),
        cmocka_unit_test(test_trace__given_fields_that_do_not_fit__then_the_declaration_says_which_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
