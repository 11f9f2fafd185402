/* tests/integration/test_kafka_sizes.c -- messages that are as large as their topic takes, and larger: by how the job delivers
 * and compresses, and by who sets the limit. What the policy says becomes of a row before anything was sent; a broker that
 * refuses a message all the same is an error that says what to do. Against the test broker, and Apache Kafka. */
#include "sized.h"
#include "tests/support/kafka.h"
#include "tests/support/place.h"
#include "tests/support/unit.h"
#include <leat/kafka.h>
#include <leat/memory.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 300u
#define LARGEST (4u << 20)

static struct kafka *kafka;
static struct leat_kafka_sink_opts opts;
static struct sized rows[ROWS_MAX];
static uint64_t rows_count;
static char *noise, *zeros; /* bytes that can not be compressed, and that can */

static int begin_all(void **state)
{
    uint64_t x = 88172645463325252u;
    (void)state;
    kafka = kafka_start(kafka_kind_wanted());
    noise = malloc(LARGEST);
    zeros = calloc(1, LARGEST);
    for (uint32_t i = 0; i < LARGEST; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        noise[i] = (char)(x >> 32);
    }
    return 0;
}

static int end_all(void **state)
{
    (void)state;
    free(noise);
    free(zeros);
    kafka_stop(kafka);
    return 0;
}

static void set_up(const char *topic, enum leat_delivery delivery)
{
    place_begin("kafka-sizes");
    rows_count = 0;
    opts = (struct leat_kafka_sink_opts){ .cluster = { .brokers = kafka_bootstrap(kafka) },
        .topic = topic,
        .markers_topic = kafka_name(kafka, "markers"),
        .format = LEAT_FORMAT_RAW,
        .delivery = delivery,
        .key = { .fields = "id", .only = true },
        .meta = { .topic = "topic" } };
}

/* Size of the batch of one message with a key of 8 bytes and no headers, as brokers see it. */
static size_t batch_bytes(size_t text)
{
    size_t body = 3 + 1 + 8 + text + 1, lengths = 0;
    for (uint64_t value = 2 * text; value; value /= 128)
        lengths++;
    body += lengths ? lengths : 1;
    lengths = 0;
    for (uint64_t value = 2 * body; value; value /= 128)
        lengths++;
    return 61 + lengths + body;
}

static void add(const char *topic, const char *bytes, size_t batch)
{
    size_t text = batch - 61 - 3 - 10;
    while (batch_bytes(text) > batch)
        text--;
    assert_int_equal(batch_bytes(text), batch);
    assert_true(rows_count < ROWS_MAX && text <= LARGEST);
    rows[rows_count] = (struct sized){
        .id = (int64_t)rows_count, .topic = leat_sv_of(topic), .text = { bytes, (uint32_t)text }
    };
    rows_count++;
}

static leat_topology *declare(void)
{
    leat_topology *t = leat_topology_new("sizes");
    leat_stream *in = leat_memory_source(t, "rows",
        &(struct leat_memory_source_opts){ .type = &sized_type, .rows = rows, .count = rows_count });
    leat_kafka_sink(in, "write", &opts);
    return t;
}

/* Its result; `dropped`: rows that the policy has dropped. */
static int run(struct leat_error *err, uint64_t *dropped)
{
    struct leat_job_opts job_opts = place_durable(1, 0);
    leat_job *job = NULL;
    leat_topology *t = declare();
    job_opts.restart = (struct leat_restart_opts){ .attempts_max = 3, .backoff_us = 1000 };
    FAIL_UNLESS(leat_job_new(t, &job_opts, &job, err) == 0, "%s", err->message);
    const int code = leat_job_run(job);
    *err = *leat_job_error(job);
    *dropped = leat_job_progress(job)->nodes[1].dropped_records; /* of the sink */
    leat_job_free(job);
    leat_topology_free(t);
    return code;
}

/* Bits of the rows that are in the topic, each once; of the first 64. */
static uint64_t rows_of(const char *topic)
{
    uint64_t seen = 0;
    struct kafka_records *got = kafka_read(kafka, topic, true);
    for (size_t i = 0; i < got->count; i++) {
        const struct kafka_record *r = &got->records[i];
        const uint8_t id = ((const uint8_t *)r->key)[7];
        assert_true(r->key_len == 8 && id < 64);
        FAIL_UNLESS((seen & UINT64_C(1) << id) == 0, "row %u is there twice", id);
        assert_int_equal(r->value_len, rows[id].text.len);
        assert_memory_equal(r->value, rows[id].text.data, r->value_len);
        seen |= UINT64_C(1) << id;
    }
    kafka_records_free(got);
    return seen;
}

/* ---- at the limit ---- */

struct limit {
    const char *name, *config, *properties;
    enum leat_delivery delivery;
    uint32_t bytes; /* the limit that comes of it */
};
#define ONCE LEAT_EXACTLY_ONCE
#define STREAM LEAT_AT_LEAST_ONCE
static const struct limit limits[] = {
    { "of the topic", "max.message.bytes=2000", "compression.type=none", ONCE, 2000 },
    { "of the topic, at least once", "max.message.bytes=2000", "compression.type=none", STREAM, 2000 },
    { "lz4", "max.message.bytes=2000", "compression.type=lz4", ONCE, 2000 },
    { "zstd", "max.message.bytes=2000", "compression.type=zstd", STREAM, 2000 },
    { "gzip", "max.message.bytes=2000", "compression.type=gzip", STREAM, 2000 },
    { "snappy", "max.message.bytes=2000", "compression.type=snappy", STREAM, 2000 },
    { "below librdkafka's least", "max.message.bytes=300", "linger.ms=0", ONCE, 300 },
    { "below librdkafka's least, at least once", "max.message.bytes=300", "linger.ms=0", STREAM, 300 },
    { "of the client", NULL, "message.max.bytes=3000", ONCE, 3000 },
    { "of the client, at least once", NULL, "message.max.bytes=3000", STREAM, 3000 },
    { "nobody's", NULL, "linger.ms=0", ONCE, 1048588 },
    { "a large one", "max.message.bytes=3000000", "linger.ms=0", ONCE, 3000000 },
    { "a large one, at least once", "max.message.bytes=3000000", "linger.ms=0", STREAM, 3000000 },
};

static void
test_kafka_sizes__given_rows_at_the_limit__when_skipping__then_those_above_are_dropped_and_counted(
    void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(limits); i++) {
        const struct limit *l = &limits[i];
        struct leat_error err = { 0 };
        uint64_t dropped;
        char name[32];
        (void)snprintf(name, sizeof name, "limit-%zu", i);
        set_up(kafka_name(kafka, name), l->delivery);
        kafka_topic_create(kafka, opts.topic, 1, l->config);
        opts.cluster.properties = l->properties;
        opts.on_error = LEAT_SKIP;
        add("", noise, l->bytes - 1);
        add("", noise, l->bytes);
        add("", noise, l->bytes + 1);
        add("", zeros, l->bytes + 100); /* which were small enough if compressed */
        add("", noise, 120);
        FAIL_UNLESS(run(&err, &dropped) == 0, "%s: %s", l->name, err.message);
        FAIL_UNLESS(dropped == 2, "%s: %llu rows dropped", l->name, (unsigned long long)dropped);
        const uint64_t seen = rows_of(opts.topic);
        FAIL_UNLESS(seen == 0x13, "%s: rows %llx", l->name, (unsigned long long)seen);
        place_end();
    }
}

static void test_kafka_sizes__given_a_row_above_the_limit__when_failing__then_the_error_says_all(void **state)
{
    static const char *const parts[] = { "write", "a message of 2001 bytes", "at most 2000",
        "max.message.bytes" };
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct leat_error err = { 0 };
        uint64_t dropped;
        set_up(kafka_name(kafka, i ? "fail-stream" : "fail-once"), i ? STREAM : ONCE);
        kafka_topic_create(kafka, opts.topic, 1, "max.message.bytes=2000");
        add("", noise, 2001);
        assert_int_equal(run(&err, &dropped), LEAT_EUSER);
        for (size_t p = 0; p < COUNT_OF(parts); p++)
            FAIL_UNLESS(strstr(err.message, parts[p]), "no \"%s\" in: %s", parts[p], err.message);
        assert_int_equal(rows_of(opts.topic), 0);
        place_end();
    }
}

/* ---- topics that records name ---- */

static void test_kafka_sizes__given_named_topics__when_their_limits_differ__then_each_its_own_and_the_clients(
    void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct leat_error err = { 0 };
        uint64_t dropped;
        char name[2][32];
        const bool allows = i / 2 == 1;
        (void)snprintf(name[0], sizeof name[0], "named-large-%d", i);
        (void)snprintf(name[1], sizeof name[1], "named-small-%d", i);
        const char *large = kafka_name(kafka, name[0]), *small = kafka_name(kafka, name[1]);
        const uint32_t most = allows ? 2500000 : 1048588;
        kafka_topic_create(kafka, large, 1, "max.message.bytes=2500000");
        kafka_topic_create(kafka, small, 1, "max.message.bytes=500");
        set_up(NULL, i % 2 ? STREAM : ONCE);
        opts.on_error = LEAT_SKIP;
        opts.cluster.properties = allows ? "message.max.bytes=3000000" : "linger.ms=0";
        add(small, noise, 500);
        add(small, noise, 501);
        add(large, noise, most);
        add(large, noise, most + 1);
        FAIL_UNLESS(run(&err, &dropped) == 0, "%d: %s", i, err.message);
        assert_int_equal(dropped, 2);
        assert_int_equal(rows_of(small), 1);
        assert_int_equal(rows_of(large), 4);
        place_end();
    }
}

/* Each is small enough, but not what a client puts into one batch. */
static void test_kafka_sizes__given_a_narrow_topic__when_batches_are_larger__then_they_are_made_smaller(
    void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct leat_error err = { 0 };
        uint64_t dropped;
        const char *topic = kafka_name(kafka, i ? "narrow-stream" : "narrow-once");
        kafka_topic_create(kafka, topic, 1, "max.message.bytes=1000");
        set_up(NULL, i ? STREAM : ONCE);
        opts.cluster.properties = "compression.type=none\nlinger.ms=50";
        for (int r = 0; r < 40; r++)
            add(topic, noise, 400);
        FAIL_UNLESS(run(&err, &dropped) == 0, "%d: %s", i, err.message);
        assert_int_equal(rows_of(topic), (UINT64_C(1) << 40) - 1);
        place_end();
    }
}

/* As large as its topic takes, which a producer knows when it writes what an earlier process has left. */
static void test_kafka_sizes__given_a_large_message_in_a_checkpoint__when_going_on__then_it_is_written(
    void **state)
{
    struct leat_error err = { 0 };
    uint64_t dropped;
    (void)state;
    if (getenv("LEAT_TEST_BOOTSTRAP"))
        SKIP_BECAUSE("faults are the test broker's");
    set_up(kafka_name(kafka, "left"), ONCE);
    kafka_topic_create(kafka, opts.topic, 1, "max.message.bytes=2500000");
    add("", noise, 2500000);
    (void)kafka_command(kafka, "fault Produce 2 error 29"); /* rights, for once; the first is the marker */
    assert_int_equal(run(&err, &dropped), LEAT_EACCESS);
    FAIL_UNLESS(run(&err, &dropped) == 0, "%s", err.message);
    assert_int_equal(rows_of(opts.topic), 1);
    place_end();
}

/* The checkpoint has what the topic does not take any more. */
static void test_kafka_sizes__given_a_limit_that_is_lowered__when_written__then_an_error_until_it_is_raised(
    void **state)
{
    struct leat_error err = { 0 };
    uint64_t dropped;
    (void)state;
    if (getenv("LEAT_TEST_BOOTSTRAP"))
        SKIP_BECAUSE("faults are the test broker's");
    set_up(kafka_name(kafka, "lowered"), ONCE);
    kafka_topic_create(kafka, opts.topic, 1, "max.message.bytes=2000");
    opts.cluster.properties = "compression.type=none";
    add("", noise, 1900);
    (void)kafka_command(
        kafka, "fault Produce 2 error 29"); /* rights, for once; the first is that of the marker */
    assert_int_equal(run(&err, &dropped), LEAT_EACCESS);
    kafka_topic_configure(kafka, opts.topic, "max.message.bytes=1000");
    assert_int_equal(run(&err, &dropped), LEAT_ELIMIT);
    FAIL_UNLESS(strstr(err.message, "write") && strstr(err.message, opts.topic) &&
            strstr(err.message, "raise max.message.bytes"),
        "%s", err.message);
    kafka_topic_configure(kafka, opts.topic, "max.message.bytes=2000");
    FAIL_UNLESS(run(&err, &dropped) == 0, "%s", err.message);
    assert_int_equal(rows_of(opts.topic), 1);
    place_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_kafka_sizes__given_rows_at_the_limit__when_skipping__then_those_above_are_dropped_and_counted),
        cmocka_unit_test(
            test_kafka_sizes__given_a_row_above_the_limit__when_failing__then_the_error_says_all),
        cmocka_unit_test(
            test_kafka_sizes__given_named_topics__when_their_limits_differ__then_each_its_own_and_the_clients),
        cmocka_unit_test(
            test_kafka_sizes__given_a_narrow_topic__when_batches_are_larger__then_they_are_made_smaller),
        cmocka_unit_test(
            test_kafka_sizes__given_a_large_message_in_a_checkpoint__when_going_on__then_it_is_written),
        cmocka_unit_test(
            test_kafka_sizes__given_a_limit_that_is_lowered__when_written__then_an_error_until_it_is_raised),
    };
    return cmocka_run_group_tests(tests, begin_all, end_all);
}
