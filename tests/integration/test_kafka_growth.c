/* tests/integration/test_kafka_growth.c -- jobs that write to a topic which gets more partitions while they run: rows go there
 * as Java's producers would send them, and whatever is killed meanwhile, nothing is lost, doubled or out of order. Against
 * the test broker, and against Apache Kafka (make test-kafka).
 *
 * The job runs without end in a process of its own, which is killed when enough was seen from outside; the last run is
 * stopped. So what counts is not how much was written but that each split's events are there without a gap. */
#include "connectors/kafka/partition.h"
#include "tests/support/kafka.h"
#include "tests/support/place.h"
#include "tests/support/unit.h"
#include <leat/kafka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEYS 37u
#define SPLITS 4u
#define BEFORE 12
#define AFTER 16

static struct kafka *kafka;
static const char *topic;
static struct place_events events;
static struct leat_kafka_sink_opts opts;

static void set_up(enum leat_delivery delivery)
{
    kafka = kafka_start(kafka_kind_wanted());
    place_begin("kafka-growth");
    place.rate_per_s = 4000;
    topic = kafka_name(kafka, "out");
    kafka_topic_create(kafka, topic, BEFORE, NULL);
    events = (struct place_events){ .seed = 1, .count = UINT32_MAX, .keys = KEYS, .splits = SPLITS };
    opts = (struct leat_kafka_sink_opts){ .cluster = { .brokers = kafka_bootstrap(kafka),
                                              .properties = "topic.metadata.refresh.interval.ms=20" },
        .topic = topic,
        .markers_topic = kafka_name(kafka, "markers"),
        .format = LEAT_FORMAT_JSON,
        .delivery = delivery,
        .key = { .fields = "key" } };
}

static void tear_down(void)
{
    place_end();
    kafka_stop(kafka);
}

static leat_job *stopping; /* the job that is to stop when each split is behind that number; NULL: none */
static uint64_t stop_behind;
static uint32_t behind; /* atomic: bits of splits */

static void stop(struct leat_ctx *ctx, const struct event *e)
{
    const uint64_t number = (uint64_t)e->at / 10;
    (void)ctx;
    if (stopping && number > stop_behind &&
        __atomic_or_fetch(&behind, 1u << number % SPLITS, __ATOMIC_RELAXED) == (1u << SPLITS) - 1)
        leat_job_stop(stopping);
}
LEAT_DEFINE_PEEK(stop, event);

static leat_topology *declare(void)
{
    leat_topology *t = leat_topology_new("grows");
    leat_stream *all = leat_peek(place_source(t, "events", &events), "stop", &stop_peek);
    leat_kafka_sink(all, "write", &opts);
    return t;
}

/* ---- runs ---- */

static pid_t run_apart(uint32_t parallelism)
{
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct leat_error err = { 0 };
        const struct leat_job_opts job = place_durable(parallelism, 0);
        (void)leat_run(declare(), &job, &err);
        (void)fprintf(stderr, "child: %s\n", err.message);
        _exit(1);
    }
    return pid;
}

static void kill_it(pid_t pid)
{
    int status;
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status)); /* it had not ended by itself */
}

static void read_event(const struct kafka_record *r, uint64_t *number, uint64_t *key)
{
    char text[512];
    assert_true(r->value && r->value_len < sizeof text);
    memcpy(text, r->value, r->value_len);
    text[r->value_len] = '\0';
    assert_non_null(strstr(text, "\"at\":"));
    *number = strtoull(strstr(text, "\"at\":") + 5, NULL, 10) / 10;
    *key = 0;
    assert_int_equal(r->key_len, 8);
    for (unsigned k = 0; k < 8; k++)
        *key = *key << 8 | ((const unsigned char *)r->key)[k];
    assert_true(*key < KEYS);
}

static uint64_t largest_number(void)
{
    struct kafka_records *got = kafka_read(kafka, topic, true);
    uint64_t largest = 0, number, key;
    for (size_t i = 0; i < got->count; i++) {
        read_event(&got->records[i], &number, &key);
        largest = number > largest ? number : largest;
    }
    kafka_records_free(got);
    return largest;
}

/* Behind all that was written before. What it has read is written when it ends. */
static void run_and_stop(uint32_t parallelism)
{
    struct leat_error err = { 0 };
    const struct leat_job_opts opts_of_job = place_durable(parallelism, 0);
    leat_topology *t = declare();
    FAIL_UNLESS(leat_job_new(t, &opts_of_job, &stopping, &err) == 0, "%s", err.message);
    behind = 0;
    stop_behind = largest_number();
    FAIL_UNLESS(leat_job_run(stopping) == 0, "%s", leat_job_error(stopping)->message);
    leat_job_free(stopping);
    stopping = NULL;
    leat_topology_free(t);
}

static size_t count_from(int32_t partition)
{
    size_t count = 0;
    struct kafka_records *got = kafka_read(kafka, topic, true);
    for (size_t i = 0; i < got->count; i++)
        count += got->records[i].partition >= partition;
    kafka_records_free(got);
    return count;
}

static void wait_until_more(pid_t pid, int32_t from_partition, size_t than)
{
    int status;
    while (count_from(from_partition) <= than) {
        assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
        (void)usleep(20000);
    }
}

/* ---- what a reader sees ---- */

struct seen {
    uint64_t largest[SPLITS]; /* number + 1 */
    uint64_t in_partition[AFTER][SPLITS];
    bool has_moved[SPLITS][KEYS];
    uint8_t *times; /* of each number */
    size_t size, moved;
};

static void see(struct seen *s, const struct kafka_record *r, bool repeats)
{
    uint64_t n, key;
    read_event(r, &n, &key);
    const struct leat_sv bytes = { r->key, r->key_len };
    const int32_t old = (int32_t)leat__kafka_partition_of_key(bytes, BEFORE);
    const int32_t new = (int32_t)leat__kafka_partition_of_key(bytes, AFTER);
    const uint64_t split = n % SPLITS;
    FAIL_UNLESS(r->partition == old || r->partition == new, "key %llu is in partition %d",
        (unsigned long long)key, (int)r->partition);
    FAIL_UNLESS(n < s->size, "number %llu", (unsigned long long)n);
    FAIL_UNLESS(repeats || s->times[n] == 0, "event %llu is there twice", (unsigned long long)n);
    s->times[n] = 1;
    uint64_t *last = &s->in_partition[r->partition][split];
    FAIL_UNLESS(repeats || n + 1 > *last, "event %llu is behind %llu", (unsigned long long)n,
        (unsigned long long)*last - 1);
    *last = n + 1;
    s->largest[split] = n + 1 > s->largest[split] ? n + 1 : s->largest[split];
    s->moved += r->partition != old;
}

/* Of a split and key: where the first is that went to the new partition nothing later is in the old one. */
static void expect_one_move(const struct kafka_records *got)
{
    static uint64_t first_new[SPLITS][KEYS], last_old[SPLITS][KEYS];
    memset(first_new, 0xff, sizeof first_new);
    memset(last_old, 0, sizeof last_old);
    for (size_t i = 0; i < got->count; i++) {
        const struct kafka_record *r = &got->records[i];
        const struct leat_sv bytes = { r->key, r->key_len };
        const int32_t old = (int32_t)leat__kafka_partition_of_key(bytes, BEFORE);
        uint64_t n, key;
        read_event(r, &n, &key);
        if (leat__kafka_partition_of_key(bytes, AFTER) == (uint32_t)old)
            continue;
        uint64_t *seen = r->partition == old ? &last_old[n % SPLITS][key] : &first_new[n % SPLITS][key];
        if (r->partition == old ? n > *seen : n < *seen)
            *seen = n;
    }
    for (size_t s = 0; s < SPLITS; s++)
        for (size_t k = 0; k < KEYS; k++)
            FAIL_UNLESS(last_old[s][k] < first_new[s][k], "key %zu of split %zu went back", k, s);
}

static void expect_no_gap(bool repeats)
{
    struct kafka_records *got = kafka_read(kafka, topic, true);
    struct seen s = { .size = 1000000 };
    s.times = calloc(s.size, 1);
    for (size_t i = 0; i < got->count; i++)
        see(&s, &got->records[i], repeats);
    for (uint64_t split = 0; split < SPLITS; split++)
        for (uint64_t n = split; n < s.largest[split]; n += SPLITS)
            FAIL_UNLESS(s.times[n], "event %llu is lost", (unsigned long long)n);
    assert_true(s.moved > 0);
    if (!repeats)
        expect_one_move(got);
    free(s.times);
    kafka_records_free(got);
}

/* A run that is killed when rows have gone to new partitions, and another one. */
static void grow_and_kill(uint32_t parallelism)
{
    pid_t pid = run_apart(parallelism);
    wait_until_more(pid, 0, 100);
    kafka_topic_grow(kafka, topic, AFTER);
    wait_until_more(pid, BEFORE, 0);
    kill_it(pid);
    pid = run_apart(1 + parallelism % 2);
    wait_until_more(pid, BEFORE, count_from(BEFORE));
    kill_it(pid);
}

static void test_kafka_growth__given_exactly_once__when_partitions_come_and_it_is_killed__then_each_row_once(
    void **state)
{
    (void)state;
    set_up(LEAT_EXACTLY_ONCE);
    grow_and_kill(2);
    run_and_stop(3);
    expect_no_gap(false);
    tear_down();
}

static void test_kafka_growth__given_at_least_once__when_partitions_come_and_it_is_killed__then_none_is_lost(
    void **state)
{
    (void)state;
    set_up(LEAT_AT_LEAST_ONCE);
    grow_and_kill(1);
    run_and_stop(3);
    expect_no_gap(true);
    tear_down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_kafka_growth__given_exactly_once__when_partitions_come_and_it_is_killed__then_each_row_once),
        cmocka_unit_test(
            test_kafka_growth__given_at_least_once__when_partitions_come_and_it_is_killed__then_none_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
