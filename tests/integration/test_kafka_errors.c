/* tests/integration/test_kafka_errors.c -- every error of every request that source and sinks make, and what becomes of the
 * job: it passes and nobody notices, the job restarts and goes on, or it fails and says where, why, and what to do. The
 * brokers are librdkafka's mock cluster (tests/kafka/README.md): it gives errors at will, but keeps no promise of transactions;
 * so rows are looked for that are missing, not those that came twice. Tables are the test. */
#include "tests/support/kafka_rows.h"
#include "tests/support/place.h"
#include "tests/support/unit.h"
#include <leat/kafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT 60u
#define PARTITIONS 2
#define BROKERS 3 /* of the mock */
#define PROPERTIES \
    "socket.timeout.ms=300\ntransaction.timeout.ms=10000\nretry.backoff.ms=10\nlinger.ms=1\nreconnect." \
    "backoff.max.ms=100"

enum {
    PRODUCE = 0,
    FETCH = 1,
    LIST_OFFSETS = 2,
    FIND_COORDINATOR = 10,
    INIT_PRODUCER_ID = 22,
    ADD_PARTITIONS = 24,
    END_TXN = 26
};
enum outcome {
    PASSES = 1, /* the client asks again */
    RENEWS, /* a new producer does it */
    RESTARTS, /* the job, from its newest checkpoint */
    GOES_ON, /* the one or the other: by which of the requests meets it */
    FAILS, /* the job, for good */
};

#define E(name_) RD_KAFKA_RESP_ERR_##name_

struct error {
    int16_t api;
    uint32_t behind; /* so many requests that are answered well */
    uint32_t times;
    rd_kafka_resp_err_t error;
    enum outcome outcome;
    int code; /* FAILS */
    const char *cause, *remedy; /* in the text */
};

static struct kafka *kafka;
static rd_kafka_mock_cluster_t *mock;
static uint32_t case_number;
static char restart_cause[512];

static int begin_all(void **state)
{
    (void)state;
    kafka = kafka_start(KAFKA_MOCK);
    mock = kafka_mock(kafka);
    return 0;
}

static int end_all(void **state)
{
    (void)state;
    kafka_stop(kafka);
    return 0;
}

static const char *next_topic(const char *word)
{
    char name[64];
    (void)snprintf(name, sizeof name, "%s-%u", word, case_number);
    const char *topic = kafka_name(kafka, name);
    kafka_topic_create(kafka, topic, PARTITIONS, NULL);
    return topic;
}

/* All errors of the table for one request, behind as many good answers as the first of them. */
static void push(const struct error *table, size_t count, int16_t api)
{
    rd_kafka_resp_err_t errors[64] = { 0 };
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        if (table[i].api != api)
            continue;
        used = used ? used : table[i].behind;
        assert_true(used + table[i].times <= COUNT_OF(errors));
        for (uint32_t k = 0; k < table[i].times; k++)
            errors[used++] = table[i].error;
    }
    if (used > 0)
        rd_kafka_mock_push_request_errors_array(mock, api, used, errors);
}

static const int16_t apis[] = { PRODUCE, FETCH, LIST_OFFSETS, FIND_COORDINATOR, INIT_PRODUCER_ID,
    ADD_PARTITIONS, END_TXN };

static void push_all(const struct error *table, size_t count)
{
    for (size_t i = 0; i < COUNT_OF(apis); i++)
        push(table, count, apis[i]);
}

static void clear(void)
{
    for (size_t i = 0; i < COUNT_OF(apis); i++)
        rd_kafka_mock_clear_request_errors(mock, apis[i]);
}

static void check_outcome(
    const char *what, const struct error *e, int code, uint32_t restarts, const char *text)
{
    char name[160];
    (void)snprintf(name, sizeof name, "%s, request %d, %u of %s behind %u", what, e->api, e->times,
        rd_kafka_err2name(e->error), e->behind);
    if (e->outcome != FAILS)
        FAIL_UNLESS(code == 0, "%s: %d %s", name, code, text);
    if (e->outcome == PASSES || e->outcome == RENEWS)
        FAIL_UNLESS(restarts == 0, "%s: %u restarts: %s", name, restarts, restart_cause);
    if (e->outcome == RESTARTS)
        FAIL_UNLESS(restarts > 0, "%s: no restart", name);
    if (e->outcome == FAILS)
        FAIL_UNLESS(code == e->code && strstr(text, "\"the-node\"") && strstr(text, e->cause) &&
                strstr(text, e->remedy),
            "%s: %d %s", name, code, text);
}

/* Of its request and outcome. */
static bool is_first(const struct error *table, const struct error *e)
{
    while (table < e && (table->api != e->api || table->outcome != e->outcome))
        table++;
    return table == e;
}

/* With LEAT_TEST_ALL set all of them: those of one request that pass in one run, one behind the other, each of the others in
 * a run of its own. Else one of each request and outcome, for most take their time. */
static bool checks_all(void)
{
    return getenv("LEAT_TEST_ALL") != NULL;
}

static void check_table(const char *what, const struct error *table, size_t count,
    void (*check)(const char *what, const struct error *errors, size_t count))
{
    for (size_t i = 0, next; i < count; i = next) {
        next = i + 1;
        while (table[i].outcome == PASSES && next < count && table[next].outcome == PASSES &&
            table[next].api == table[i].api)
            next++;
        if (checks_all())
            check(what, &table[i], next - i);
        else if (is_first(table, &table[i]))
            check(what, &table[i], 1);
    }
}

/* ---- sinks ---- */

static const char *led; /* the topic whose leaders change */
static struct place_events events;
static struct leat_kafka_sink_opts sink_opts;
static enum leat_delivery delivery;

static void (*trouble)(void); /* that comes in the middle; NULL: none */

static void meet(struct leat_ctx *ctx, const struct event *e)
{
    (void)ctx;
    if (trouble && e->at / 10 == COUNT / 2)
        trouble();
}
LEAT_DEFINE_PEEK(meet, event);

static leat_topology *declare(void)
{
    leat_topology *t = leat_topology_new("to-kafka");
    leat_stream *in = leat_peek(place_source(t, "events", &events), "meet", &meet_peek);
    leat_kafka_sink(in, "the-node", &sink_opts);
    return t;
}

static uint32_t rows_seen(const char *topic)
{
    static bool seen[COUNT];
    uint32_t count = 0;
    struct kafka_records *got = kafka_read(kafka, topic, false);
    memset(seen, 0, sizeof seen);
    for (size_t i = 0; i < got->count; i++) {
        char text[512] = "";
        assert_true(got->records[i].value_len < sizeof text);
        memcpy(text, got->records[i].value, got->records[i].value_len);
        const uint64_t n = strtoull(strstr(text, "\"at\":") + 5, NULL, 10) / 10;
        assert_true(n < COUNT);
        count += !seen[n];
        seen[n] = true;
    }
    kafka_records_free(got);
    return count;
}

static void note_restart(
    void *arg, enum leat_log_level level, const char *subject, const char *node, const char *text)
{
    (void)arg;
    (void)subject;
    (void)node;
    if (level == LEAT_LOG_WARN)
        (void)snprintf(restart_cause, sizeof restart_cause, "%s", text);
}

static int run_sink(const char *properties, uint32_t *restarts, struct leat_error *err)
{
    struct leat_job_opts job_opts = place_durable(1, 0);
    leat_job *job = NULL;
    events = (struct place_events){ .seed = 1, .count = COUNT, .keys = 7, .splits = 1 };
    sink_opts.cluster =
        (struct leat_kafka_cluster){ .brokers = kafka_bootstrap(kafka), .properties = properties };
    sink_opts.format = LEAT_FORMAT_JSON;
    sink_opts.key.fields = "key";
    sink_opts.delivery = delivery;
    job_opts.restart = (struct leat_restart_opts){ .attempts_max = 3, .backoff_us = 1000 };
    job_opts.log = note_restart;
    leat_topology *t = declare();
    FAIL_UNLESS(leat_job_new(t, &job_opts, &job, err) == 0, "%s", err->message);
    const int code = leat_job_run(job);
    *restarts = leat_job_progress(job)->restarts;
    *err = *leat_job_error(job);
    leat_job_free(job);
    leat_topology_free(t);
    return code;
}

static void check_sink(const char *what, const struct error *e, size_t count)
{
    struct leat_error err = { 0 };
    uint32_t restarts;
    case_number++;
    place_begin("kafka-errors");
    sink_opts.topic = next_topic("out");
    sink_opts.markers_topic = next_topic("markers");
    push_all(e, count);
    const int code =
        run_sink("socket.timeout.ms=300\ntransaction.timeout.ms=10000\nretry.backoff.ms=10\nlinger.ms=1",
            &restarts, &err);
    clear();
    check_outcome(what, e, code, restarts, err.message);
    if (code == 0 &&
        e->outcome == PASSES) /* of producers behind the first the mock takes some messages and keeps none */
        assert_int_equal(rows_seen(sink_opts.topic), COUNT);
    place_end();
}

#define AUTHORIZATION "check security.protocol, the credentials and the rights"
#define LARGE "raise max.message.bytes"
#define IN_TIME 1, 1
#define AT_ONCE 0, 1
#define ALWAYS 0, 60
/* "Behind 1": the first transaction is the one that takes the slot over. */
static const struct error of_once[] = {
    { PRODUCE, IN_TIME, E(REQUEST_TIMED_OUT), PASSES },
    { PRODUCE, IN_TIME, E(NOT_LEADER_FOR_PARTITION), PASSES },
    { PRODUCE, IN_TIME, E(LEADER_NOT_AVAILABLE), PASSES },
    { PRODUCE, IN_TIME, E(KAFKA_STORAGE_ERROR), PASSES },
    { PRODUCE, IN_TIME, E(NOT_ENOUGH_REPLICAS), PASSES },
    { PRODUCE, IN_TIME, E(NOT_ENOUGH_REPLICAS_AFTER_APPEND), PASSES },
    { PRODUCE, IN_TIME, E(UNKNOWN_TOPIC_OR_PART), PASSES },
    { PRODUCE, IN_TIME, E(_TRANSPORT), PASSES },
    { FIND_COORDINATOR, AT_ONCE, E(COORDINATOR_NOT_AVAILABLE), PASSES },
    { FIND_COORDINATOR, AT_ONCE, E(COORDINATOR_LOAD_IN_PROGRESS), PASSES },
    { FIND_COORDINATOR, AT_ONCE, E(_TRANSPORT), PASSES },
    { INIT_PRODUCER_ID, AT_ONCE, E(COORDINATOR_LOAD_IN_PROGRESS), PASSES },
    { INIT_PRODUCER_ID, AT_ONCE, E(NOT_COORDINATOR), PASSES },
    { INIT_PRODUCER_ID, AT_ONCE, E(COORDINATOR_NOT_AVAILABLE), PASSES },
    { INIT_PRODUCER_ID, AT_ONCE, E(CONCURRENT_TRANSACTIONS), PASSES },
    { INIT_PRODUCER_ID, AT_ONCE, E(_TRANSPORT), PASSES },
    { ADD_PARTITIONS, IN_TIME, E(COORDINATOR_LOAD_IN_PROGRESS), PASSES },
    { ADD_PARTITIONS, IN_TIME, E(NOT_COORDINATOR), PASSES },
    { ADD_PARTITIONS, IN_TIME, E(COORDINATOR_NOT_AVAILABLE), PASSES },
    { ADD_PARTITIONS, IN_TIME, E(CONCURRENT_TRANSACTIONS), PASSES },
    { ADD_PARTITIONS, IN_TIME, E(UNKNOWN_TOPIC_OR_PART), PASSES },
    { ADD_PARTITIONS, IN_TIME, E(_TRANSPORT), PASSES },
    { END_TXN, IN_TIME, E(COORDINATOR_LOAD_IN_PROGRESS), PASSES },
    { END_TXN, IN_TIME, E(NOT_COORDINATOR), PASSES },
    { END_TXN, IN_TIME, E(COORDINATOR_NOT_AVAILABLE), PASSES },
    { END_TXN, IN_TIME, E(CONCURRENT_TRANSACTIONS), PASSES },
    { END_TXN, IN_TIME, E(_TRANSPORT), PASSES },

    { PRODUCE, IN_TIME, E(OUT_OF_ORDER_SEQUENCE_NUMBER), RENEWS },
    { PRODUCE, IN_TIME, E(UNKNOWN_PRODUCER_ID), RENEWS },
    { PRODUCE, IN_TIME, E(INVALID_PRODUCER_EPOCH), RENEWS }, /* and nobody else has written his marker */
    { PRODUCE, IN_TIME, E(PRODUCER_FENCED), RENEWS },
    { PRODUCE, IN_TIME, E(INVALID_TXN_STATE), RENEWS },
    { PRODUCE, IN_TIME, E(UNKNOWN), RENEWS },
    { INIT_PRODUCER_ID, AT_ONCE, E(UNKNOWN), RENEWS },
    { ADD_PARTITIONS, IN_TIME, E(PRODUCER_FENCED), RENEWS },
    { ADD_PARTITIONS, IN_TIME, E(INVALID_PRODUCER_EPOCH), RENEWS },
    { ADD_PARTITIONS, IN_TIME, E(INVALID_PRODUCER_ID_MAPPING), RENEWS },
    { ADD_PARTITIONS, IN_TIME, E(INVALID_TXN_STATE), RENEWS },
    { ADD_PARTITIONS, IN_TIME, E(UNKNOWN), RENEWS },
    { END_TXN, IN_TIME, E(PRODUCER_FENCED), RENEWS }, /* nobody knows: the marker does */
    { END_TXN, IN_TIME, E(INVALID_PRODUCER_EPOCH), RENEWS },
    { END_TXN, IN_TIME, E(INVALID_PRODUCER_ID_MAPPING), RENEWS },
    { END_TXN, IN_TIME, E(INVALID_TXN_STATE), RENEWS },
    { END_TXN, IN_TIME, E(TRANSACTIONAL_ID_AUTHORIZATION_FAILED), RENEWS },
    { END_TXN, IN_TIME, E(UNKNOWN), RENEWS },
    { END_TXN, AT_ONCE, E(INVALID_PRODUCER_EPOCH), RESTARTS }, /* while it takes the slot over */

    { PRODUCE, IN_TIME, E(INVALID_RECORD), FAILS, LEAT_EDATA, "(INVALID_RECORD)", "key" },
    { PRODUCE, IN_TIME, E(INVALID_MSG), FAILS, LEAT_EDATA, "(INVALID_MSG)", "write a message" },
    { PRODUCE, IN_TIME, E(MSG_SIZE_TOO_LARGE), FAILS, LEAT_ELIMIT, "larger than the topic takes", LARGE },
    { PRODUCE, IN_TIME, E(TOPIC_AUTHORIZATION_FAILED), FAILS, LEAT_EACCESS, "(TOPIC_AUTHORIZATION_FAILED)",
        AUTHORIZATION },
    { PRODUCE, IN_TIME, E(CLUSTER_AUTHORIZATION_FAILED), FAILS, LEAT_EACCESS,
        "(CLUSTER_AUTHORIZATION_FAILED)", AUTHORIZATION },
    { PRODUCE, ALWAYS, E(UNKNOWN), FAILS, LEAT_ECONNECT, "(UNKNOWN)", "given up after" },
    { FIND_COORDINATOR, AT_ONCE, E(TRANSACTIONAL_ID_AUTHORIZATION_FAILED), FAILS, LEAT_EACCESS,
        "(TRANSACTIONAL_ID_AUTHORIZATION_FAILED)", AUTHORIZATION },
    { INIT_PRODUCER_ID, AT_ONCE, E(TRANSACTIONAL_ID_AUTHORIZATION_FAILED), FAILS, LEAT_EACCESS,
        "(TRANSACTIONAL_ID_AUTHORIZATION_FAILED)", AUTHORIZATION },
    { INIT_PRODUCER_ID, AT_ONCE, E(PRODUCER_FENCED), FAILS, LEAT_EEXISTS, "fenced by newer instance", "" },
    { ADD_PARTITIONS, ALWAYS, E(TOPIC_AUTHORIZATION_FAILED), FAILS, LEAT_EACCESS, "uthorization",
        AUTHORIZATION },
    { ADD_PARTITIONS, ALWAYS, E(TRANSACTIONAL_ID_AUTHORIZATION_FAILED), FAILS, LEAT_EACCESS, "uthorization",
        AUTHORIZATION },
};

static void test_kafka_errors__given_an_error__when_written_exactly_once__then_what_the_table_says(
    void **state)
{
    (void)state;
    delivery = LEAT_EXACTLY_ONCE;
    check_table("exactly once", of_once, COUNT_OF(of_once), check_sink);
}

static const struct error of_stream[] = {
    { PRODUCE, AT_ONCE, E(REQUEST_TIMED_OUT), PASSES },
    { PRODUCE, AT_ONCE, E(NOT_LEADER_FOR_PARTITION), PASSES },
    { PRODUCE, AT_ONCE, E(NOT_ENOUGH_REPLICAS_AFTER_APPEND), PASSES },
    { PRODUCE, AT_ONCE, E(UNKNOWN_TOPIC_OR_PART), PASSES },
    { PRODUCE, AT_ONCE, E(_TRANSPORT), PASSES },
    { INIT_PRODUCER_ID, AT_ONCE, E(COORDINATOR_LOAD_IN_PROGRESS), PASSES },
    { INIT_PRODUCER_ID, AT_ONCE, E(_TRANSPORT), PASSES },
    { PRODUCE, AT_ONCE, E(UNKNOWN_PRODUCER_ID), RENEWS }, /* by librdkafka */
    { INIT_PRODUCER_ID, AT_ONCE, E(UNKNOWN), RENEWS },

    { PRODUCE, AT_ONCE, E(OUT_OF_ORDER_SEQUENCE_NUMBER), RESTARTS },
    { PRODUCE, AT_ONCE, E(INVALID_PRODUCER_EPOCH), RESTARTS }, /* nobody has its name: it has none */
    { PRODUCE, AT_ONCE, E(PRODUCER_FENCED), RESTARTS },
    { PRODUCE, AT_ONCE, E(UNKNOWN), RESTARTS },

    { PRODUCE, AT_ONCE, E(INVALID_RECORD), FAILS, LEAT_EDATA, "(INVALID_RECORD)", "key" },
    { PRODUCE, AT_ONCE, E(INVALID_MSG), FAILS, LEAT_EDATA, "(INVALID_MSG)", "write a message" },
    { PRODUCE, AT_ONCE, E(MSG_SIZE_TOO_LARGE), FAILS, LEAT_ELIMIT, "larger than the topic takes", LARGE },
    { PRODUCE, AT_ONCE, E(TOPIC_AUTHORIZATION_FAILED), FAILS, LEAT_EACCESS, "(TOPIC_AUTHORIZATION_FAILED)",
        AUTHORIZATION },
    { PRODUCE, AT_ONCE, E(CLUSTER_AUTHORIZATION_FAILED), FAILS, LEAT_EACCESS,
        "(CLUSTER_AUTHORIZATION_FAILED)", AUTHORIZATION },
};
static void test_kafka_errors__given_an_error__when_written_at_least_once__then_what_the_table_says(
    void **state)
{
    (void)state;
    delivery = LEAT_AT_LEAST_ONCE;
    check_table("at least once", of_stream, COUNT_OF(of_stream), check_sink);
}

static const struct error of_source[] = {
    { FETCH, AT_ONCE, E(NOT_LEADER_FOR_PARTITION), PASSES },
    { FETCH, AT_ONCE, E(LEADER_NOT_AVAILABLE), PASSES },
    { FETCH, AT_ONCE, E(UNKNOWN_TOPIC_OR_PART), PASSES },
    { FETCH, AT_ONCE, E(_TRANSPORT), PASSES },
    { FETCH, AT_ONCE, E(OFFSET_OUT_OF_RANGE), PASSES }, /* asked again, and the offset is there */
    { FETCH, AT_ONCE, E(KAFKA_STORAGE_ERROR), PASSES },
    { FETCH, AT_ONCE, E(UNKNOWN_LEADER_EPOCH), PASSES },
    { FETCH, AT_ONCE, E(FENCED_LEADER_EPOCH), PASSES },
    { LIST_OFFSETS, AT_ONCE, E(_TRANSPORT), PASSES },

    { FETCH, AT_ONCE, E(UNKNOWN), RESTARTS },
    { LIST_OFFSETS, AT_ONCE, E(NOT_LEADER_FOR_PARTITION), GOES_ON }, /* when it begins */
    { LIST_OFFSETS, AT_ONCE, E(LEADER_NOT_AVAILABLE), GOES_ON },

    { FETCH, AT_ONCE, E(TOPIC_AUTHORIZATION_FAILED), FAILS, LEAT_EACCESS, "(TOPIC_AUTHORIZATION_FAILED)",
        AUTHORIZATION },
    { FETCH, AT_ONCE, E(INVALID_MSG), FAILS, LEAT_EDATA, "(INVALID_MSG)", "could not read topic" },
    { LIST_OFFSETS, AT_ONCE, E(TOPIC_AUTHORIZATION_FAILED), FAILS, LEAT_EACCESS,
        "(TOPIC_AUTHORIZATION_FAILED)", AUTHORIZATION },
};

static void expect_rows(const char *topic, struct kafka_rows_job *job)
{
    struct lines wanted = { 0 };
    kafka_rows_want(&wanted, topic, 0, 0, 0, 30);
    kafka_rows_want(&wanted, topic, 1, 0, 100, 130);
    kafka_rows_expect("source", &wanted, &job->out.committed);
}

static const char *put_rows(struct kafka_rows_job *job, struct leat_kafka_source_opts *opts)
{
    case_number++;
    kafka_rows_job_new(job);
    job->name = "the-node";
    const char *topic = next_topic("in");
    kafka_rows_put(kafka, topic, 0, 0, 30);
    kafka_rows_put(kafka, topic, 1, 100, 130);
    *opts = kafka_rows_opts(kafka, topic);
    opts->cluster.properties =
        "socket.timeout.ms=300\nfetch.wait.max.ms=20\nretry.backoff.ms=10\nfetch.error.backoff.ms=10";
    return topic;
}

static void check_source(const char *what, const struct error *e, size_t count)
{
    struct kafka_rows_job job;
    struct leat_kafka_source_opts opts;
    struct leat_error err = { 0 };
    const char *topic = put_rows(&job, &opts);
    push_all(e, count);
    const int code = kafka_rows_job_run(&job, &opts, 1, &err);
    clear();
    check_outcome(what, e, code, job.restarts, err.message);
    if (code == 0)
        expect_rows(topic, &job);
    kafka_rows_job_free(&job);
}

/* One by one, so that something may come in their middle. */
static void read_rows(void (*on_row)(void *arg, uint64_t n))
{
    struct kafka_rows_job job;
    struct leat_kafka_source_opts opts;
    struct leat_error err = { 0 };
    led = put_rows(&job, &opts);
    job.on_row = on_row;
    const int code = kafka_rows_job_run(&job, &opts, 1, &err);
    FAIL_UNLESS(code == 0, "%s", err.message);
    expect_rows(led, &job);
    kafka_rows_job_free(&job);
}

static void test_kafka_errors__given_an_error__when_read__then_what_the_table_says(void **state)
{
    (void)state;
    check_table("source", of_source, COUNT_OF(of_source), check_source);
}

/* ---- brokers ---- */

static pthread_t mender;
static bool mends;

static void *mend(void *arg)
{
    (void)arg;
    (void)usleep(300000);
    for (int32_t b = 1; b <= BROKERS; b++) {
        (void)rd_kafka_mock_broker_set_up(mock, b);
        (void)rd_kafka_mock_broker_set_rtt(mock, b, 0);
    }
    return NULL;
}

static void mend_soon(void)
{
    if (mends)
        return; /* the job has restarted, and the row comes again */
    mends = true;
    assert_int_equal(pthread_create(&mender, NULL, mend, NULL), 0);
}

static void all_go_down(void)
{
    for (int32_t b = 1; b <= BROKERS && !mends; b++)
        (void)rd_kafka_mock_broker_set_down(mock, b);
    mend_soon();
}

static void all_are_slow(void) /* more than socket.timeout.ms */
{
    for (int32_t b = 1; b <= BROKERS && !mends; b++)
        (void)rd_kafka_mock_broker_set_rtt(mock, b, 1000);
    mend_soon();
}

static void leaders_change(void)
{
    static int32_t leader;
    for (int32_t p = 0; p < PARTITIONS; p++)
        (void)rd_kafka_mock_partition_set_leader(mock, led, p, 1 + ++leader % BROKERS);
}

static const struct {
    const char *name;
    void (*fn)(void);
} troubles[] = {
    { "all brokers go down and come up", all_go_down },
    { "requests time out", all_are_slow },
    { "leaders change", leaders_change },
};

static void end_trouble(void)
{
    trouble = NULL;
    if (mends)
        (void)pthread_join(mender, NULL);
    mends = false;
}

static void check_troubled_sink(const char *name)
{
    struct leat_error err = { 0 };
    uint32_t restarts;
    case_number++;
    place_begin("kafka-errors");
    led = sink_opts.topic = next_topic("out");
    sink_opts.markers_topic = next_topic("markers");
    const int code = run_sink(PROPERTIES, &restarts, &err);
    end_trouble();
    FAIL_UNLESS(code == 0, "%s: %s", name, err.message);
    assert_int_equal(rows_seen(sink_opts.topic), COUNT);
    place_end();
}

static void test_kafka_errors__given_brokers_in_trouble__when_written__then_every_row_is_there(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(troubles); i++)
        for (int once = 0; once < 2; once++) {
            if (!checks_all() && (int)i % 2 == once)
                continue;
            delivery = once ? LEAT_EXACTLY_ONCE : LEAT_AT_LEAST_ONCE;
            trouble = troubles[i].fn;
            check_troubled_sink(troubles[i].name);
        }
}

static void meet_in_the_middle(void *arg, uint64_t n)
{
    (void)arg;
    if (n == 30 && trouble)
        trouble();
}

static void test_kafka_errors__given_brokers_in_trouble__when_read__then_every_message_comes_once(
    void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(troubles); i++) {
        trouble = troubles[i].fn;
        read_rows(meet_in_the_middle);
        end_trouble();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_kafka_errors__given_an_error__when_written_exactly_once__then_what_the_table_says),
        cmocka_unit_test(
            test_kafka_errors__given_an_error__when_written_at_least_once__then_what_the_table_says),
        cmocka_unit_test(test_kafka_errors__given_an_error__when_read__then_what_the_table_says),
        cmocka_unit_test(test_kafka_errors__given_brokers_in_trouble__when_written__then_every_row_is_there),
        cmocka_unit_test(
            test_kafka_errors__given_brokers_in_trouble__when_read__then_every_message_comes_once),
    };
    return cmocka_run_group_tests(tests, begin_all, end_all);
}
