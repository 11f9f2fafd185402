/* bench/bench_kafka_latency.c -- how long does a message take through Kafka, a job at least once, and Kafka again?
 *
 * Open loop: message i is due at start + i / rate and carries that time, whether anybody keeps up or not. Its latency is from
 * when it was due until it is read from the output topic. What stands between the topics is a process of its own:
 *   job    source, filter, sink, on one worker, at least once, as they are without any property set
 *   bare   librdkafka's callback on a queue, rd_kafka_produce of the same bytes: its own defaults, too
 * First the rate at which messages pass that are written as fast as it goes, writer, broker, job and reader sharing the cores;
 * then both, in turn, at 10 % and 50 % of it. The first second does not count. Writer and reader are this program: their own
 * delays (linger.ms 5), and the broker's, are in both figures.
 *
 *   bench_kafka_latency (--broker PROGRAM | --brokers HOST:PORT) [seconds [repetitions [full]]]   full: messages, 400000 */
#include "bench/bids.h"
#include "bench/kafka_bench.h"
#include "tick.h"
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PARTITIONS 4
#define WARM_UP_US 1000000
#define GIVE_UP_S 60
#define MESSAGE_BYTES 32
#define PROBES 100

static int64_t now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- what stands between: a process, until it is killed ---- */

static void run_job_between(const char *in, const char *out)
{
    leat_topology *t = leat_topology_new("between");
    leat_stream *ticks = leat_kafka_source(t, "ticks",
        &(struct leat_kafka_source_opts){ .cluster = { .brokers = kafka_brokers },
            .topics = in,
            .type = &tick_type,
            .format = LEAT_FORMAT_AVRO_BINARY });
    leat_kafka_sink(leat_filter_expr(ticks, "all", "value >= 0"), "out",
        &(struct leat_kafka_sink_opts){ .cluster = { .brokers = kafka_brokers },
            .topic = out,
            .format = LEAT_FORMAT_AVRO_BINARY,
            .delivery = LEAT_AT_LEAST_ONCE });
    (void)kafka_run(t, &(struct leat_job_opts){ .parallelism = 1 });
}

struct bare {
    rd_kafka_t *producer;
    rd_kafka_topic_t *out;
};

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    (void)rk;
    (void)opaque;
    kafka_check(message->err == RD_KAFKA_RESP_ERR_NO_ERROR, "delivery", rd_kafka_err2str(message->err));
}

static void pass_on(rd_kafka_message_t *message, void *opaque)
{
    const struct bare *bare = opaque;
    if (message->err)
        return;
    while (rd_kafka_produce(
        bare->out, message->partition, RD_KAFKA_MSG_F_COPY, message->payload, message->len, NULL, 0, NULL))
        (void)rd_kafka_poll(bare->producer, 10);
}

static rd_kafka_queue_t *consume(rd_kafka_t *rk, rd_kafka_topic_t *topic)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    for (int p = 0; p < PARTITIONS; p++)
        (void)rd_kafka_consume_start_queue(topic, p, RD_KAFKA_OFFSET_BEGINNING, queue);
    return queue;
}

static void run_bare_between(const char *in, const char *out)
{
    static const char *const settings[][2] = { { "enable.idempotence", "true" },
        { "compression.type", "lz4" } };
    rd_kafka_conf_t *conf = kafka_conf(settings, 2);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_t *consumer = kafka_client(RD_KAFKA_CONSUMER, kafka_conf(NULL, 0));
    struct bare bare = { .producer = kafka_client(RD_KAFKA_PRODUCER, conf) };
    bare.out = rd_kafka_topic_new(bare.producer, out, NULL);
    rd_kafka_queue_t *queue = consume(consumer, rd_kafka_topic_new(consumer, in, NULL));
    for (;;) {
        (void)rd_kafka_consume_callback_queue(queue, 10, pass_on, &bare);
        (void)rd_kafka_poll(bare.producer, 0);
    }
}

static pid_t begin_between(const char *how, const char *in, const char *out)
{
    const pid_t child = fork();
    if (child == 0) {
        (void)execl(
            "/proc/self/exe", "bench_kafka_latency", "--between", how, kafka_brokers, in, out, (char *)NULL);
        _exit(127);
    }
    return child;
}

/* Its processor time. */
static double end_between(pid_t child)
{
    struct rusage usage = { 0 };
    int status;
    (void)kill(child, SIGKILL);
    (void)wait4(child, &status, 0, &usage);
    kafka_check(WIFSIGNALED(status), "between", "it has ended before");
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
        (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* ---- writing ---- */

struct load {
    const char *topic;
    uint64_t count, rate; /* rate 0: all at once */
    int64_t start_us;
};

static size_t put_long(uint8_t *to, int64_t value)
{
    uint64_t z = (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
    size_t n = 0;
    for (; z >= 0x80; z >>= 7)
        to[n++] = (uint8_t)(z | 0x80);
    to[n++] = (uint8_t)z;
    return n;
}

static int64_t get_long(const uint8_t **at)
{
    uint64_t z = 0;
    unsigned shift = 0;
    do {
        z |= (uint64_t)(**at & 0x7f) << shift;
        shift += 7;
    } while (*(*at)++ & 0x80);
    return (int64_t)(z >> 1) ^ -(int64_t)(z & 1);
}

static void wait_until(int64_t due_us, rd_kafka_t *rk)
{
    for (int64_t left; (left = due_us - now_us()) > 0;) {
        (void)rd_kafka_poll(rk, 0);
        (void)usleep(left > 500 ? 500 : (useconds_t)left);
    }
}

static void *write_load(void *arg)
{
    static const char *const settings[][2] = { { "enable.idempotence", "true" },
        { "compression.type", "lz4" }, { "queue.buffering.max.messages", "1000000" } };
    struct load *load = arg;
    uint8_t message[MESSAGE_BYTES];
    rd_kafka_t *rk = kafka_client(RD_KAFKA_PRODUCER, kafka_conf(settings, 3));
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, load->topic, NULL);
    for (uint64_t i = 0; i < load->count; i++) {
        const int64_t due_us =
            load->rate ? load->start_us + (int64_t)(i * 1000000 / load->rate) : load->start_us;
        size_t len = put_long(message, (int64_t)(i % 1000));
        len += put_long(message + len, (int64_t)i);
        len += put_long(message + len, due_us);
        if (load->rate && due_us > now_us())
            wait_until(due_us, rk);
        while (rd_kafka_produce(
            topic, (int32_t)(i % PARTITIONS), RD_KAFKA_MSG_F_COPY, message, len, NULL, 0, NULL))
            (void)rd_kafka_poll(rk, 10);
        if (i % 1000 == 0)
            (void)rd_kafka_poll(rk, 0);
    }
    kafka_check(rd_kafka_flush(rk, GIVE_UP_S * 1000) == 0, "flush", "timed out");
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(rk);
    return NULL;
}

/* ---- reading ---- */

struct seen {
    const struct load *load;
    uint32_t *latencies; /* microseconds */
    uint64_t counted, all;
    int64_t last_us; /* when the last one was read */
};

static void note(rd_kafka_message_t *message, void *opaque)
{
    struct seen *seen = opaque;
    if (message->err)
        return;
    const uint8_t *at = message->payload;
    (void)get_long(&at);
    (void)get_long(&at);
    const int64_t due_us = get_long(&at), now = now_us(), late_us = now - due_us;
    seen->all++;
    seen->last_us = now;
    if (due_us - seen->load->start_us >= WARM_UP_US && seen->counted < seen->load->count)
        seen->latencies[seen->counted++] = late_us < 0 ? 0
            : late_us > UINT32_MAX                     ? UINT32_MAX
                                                       : (uint32_t)late_us;
}

struct reader {
    rd_kafka_t *rk;
    rd_kafka_topic_t *topic;
    rd_kafka_queue_t *queue;
};

static struct reader open_reader(const char *topic)
{
    struct reader r = { .rk = kafka_client(RD_KAFKA_CONSUMER, kafka_conf(NULL, 0)) };
    r.topic = rd_kafka_topic_new(r.rk, topic, NULL);
    r.queue = consume(r.rk, r.topic);
    return r;
}

static void read_all(struct reader *r, struct seen *seen)
{
    const struct load *load = seen->load;
    const double give_up =
        bench_wall_s() + GIVE_UP_S + (load->rate ? (double)load->count / (double)load->rate : 0);
    while (seen->all < load->count) {
        kafka_check(bench_wall_s() < give_up, "reader", "messages are missing");
        (void)rd_kafka_consume_callback_queue(r->queue, 100, note, seen);
    }
}

static void close_reader(struct reader *r)
{
    for (int p = 0; p < PARTITIONS; p++)
        (void)rd_kafka_consume_stop(r->topic, p);
    rd_kafka_queue_destroy(r->queue);
    rd_kafka_topic_destroy(r->topic);
    rd_kafka_destroy(r->rk);
}

/* ---- runs ---- */

struct figures {
    double p50_ms, p99_ms, cores, rate;
};

static int by_size(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static struct figures figures_of(struct seen *seen, double cpu_s, double wall_s)
{
    struct figures f = { .cores = cpu_s / wall_s,
        .rate = (double)seen->all / ((double)(seen->last_us - seen->load->start_us) / 1e6) };
    qsort(seen->latencies, seen->counted, sizeof *seen->latencies, by_size);
    if (seen->counted > 0) {
        f.p50_ms = seen->latencies[seen->counted / 2] / 1e3;
        f.p99_ms = seen->latencies[seen->counted * 99 / 100] / 1e3;
    }
    return f;
}

/* Some messages through all of it: then everybody has begun. */
static void probe(struct reader *reader, const char *in)
{
    struct load load = { .topic = in, .count = PROBES, .start_us = now_us() };
    struct seen seen = { .load = &load };
    (void)write_load(&load);
    read_all(reader, &seen);
}

/* rate 0: as fast as it goes. */
static struct figures measure(const char *how, uint64_t rate, uint64_t count)
{
    static int run;
    char in[64], out[64];
    pthread_t writer;
    struct load load = { .topic = in, .count = count, .rate = rate };
    struct seen seen = { .load = &load, .latencies = malloc(count * sizeof(uint32_t)) };
    (void)snprintf(in, sizeof in, "leat-latency-in-%d-%d", (int)getpid(), run);
    (void)snprintf(out, sizeof out, "leat-latency-out-%d-%d", (int)getpid(), run++);
    rd_kafka_t *rk = kafka_client(RD_KAFKA_PRODUCER, kafka_conf(NULL, 0));
    kafka_topic_make(rk, in, PARTITIONS);
    kafka_topic_make(rk, out, PARTITIONS);
    rd_kafka_destroy(rk);
    const double began = bench_wall_s();
    const pid_t child = begin_between(how, in, out);
    struct reader reader = open_reader(out);
    probe(&reader, in);
    load.start_us = now_us();
    kafka_check(pthread_create(&writer, NULL, write_load, &load) == 0, "thread", "failed");
    read_all(&reader, &seen);
    (void)pthread_join(writer, NULL);
    const double cpu_s = end_between(child);
    const struct figures f = figures_of(&seen, cpu_s, bench_wall_s() - began);
    close_reader(&reader);
    free(seen.latencies);
    kafka_topic_drop(in);
    kafka_topic_drop(out);
    return f;
}

static void print_median(const char *how, int percent, uint64_t rate, const struct figures *all, int count)
{
    double p50[KAFKA_RUNS_MAX], p99[KAFKA_RUNS_MAX], cores[KAFKA_RUNS_MAX];
    for (int i = 0; i < count; i++) {
        p50[i] = all[i].p50_ms;
        p99[i] = all[i].p99_ms;
        cores[i] = all[i].cores;
    }
    printf("kafka-latency/%s load=%d rate=%llu: p50 %.2f ms, p99 %.2f; %.0f %% of a core\n", how, percent,
        (unsigned long long)rate, bench_median(p50, count), bench_median(p99, count),
        100 * bench_median(cores, count));
    (void)fflush(stdout);
}

static void measure_load(int percent, double most, double seconds, int repetitions)
{
    static struct figures job[KAFKA_RUNS_MAX], bare[KAFKA_RUNS_MAX];
    const uint64_t rate = (uint64_t)(most * percent / 100);
    const uint64_t count = (uint64_t)((double)rate * (seconds + WARM_UP_US / 1e6));
    for (int i = 0; i < repetitions; i++) {
        bare[i] = measure("bare", rate, count);
        job[i] = measure("job", rate, count);
    }
    print_median("bare", percent, rate, bare, repetitions);
    print_median("job", percent, rate, job, repetitions);
}

int main(int argc, char **argv)
{
    if (argc == 6 && strcmp(argv[1], "--between") == 0) {
        (void)snprintf(kafka_brokers, sizeof kafka_brokers, "%s", argv[3]);
        (strcmp(argv[2], "job") == 0 ? run_job_between : run_bare_between)(argv[4], argv[5]);
        return 1;
    }
    if (!kafka_begin(&argc, argv)) {
        (void)fprintf(stderr,
            "usage: bench_kafka_latency (--broker PROGRAM | --brokers HOST:PORT) [seconds [repetitions "
            "[full]]]\n");
        return 2;
    }
    const double seconds = argc > 1 ? atof(argv[1]) : 5;
    const int repetitions = argc > 2 ? atoi(argv[2]) : 3;
    const uint64_t full = argc > 3 ? strtoull(argv[3], NULL, 10) : 400000;
    const double bare_most = measure("bare", 0, full).rate, most = measure("job", 0, full).rate;
    printf("kafka-latency/full: job %.0f messages/s, bare %.0f\n", most, bare_most);
    (void)fflush(stdout);
    measure_load(10, most, seconds, repetitions);
    measure_load(50, most, seconds, repetitions);
    kafka_end();
    return 0;
}
