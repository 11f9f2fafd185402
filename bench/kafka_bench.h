/* bench/kafka_bench.h -- what the benchmarks of Kafka share: a broker, clients of librdkafka, topics.
 *
 * The broker is another process, whose processor time is in no figure of ours: the one for tests (--broker PROGRAM, which is
 * build/<preset>/tests/kafka_broker), or any (--brokers HOST:PORT; scripts/kafka starts a real one). What fails ends the
 * program. */
#ifndef LEAT_BENCH_KAFKA_BENCH_H
#define LEAT_BENCH_KAFKA_BENCH_H
#include <leat/leat.h>
#include <librdkafka/rdkafka.h>

extern char kafka_brokers[128];

void kafka_check(bool good, const char *what, const char *why);
/* Takes --broker or --brokers out of the arguments, so that the program's own begin at argv[1]. False: neither is there. */
bool kafka_begin(int *argc, char **argv);
void kafka_end(void);

/* With `count` properties as "name", "value". */
rd_kafka_conf_t *kafka_conf(const char *const (*settings)[2], size_t count);
rd_kafka_t *kafka_client(rd_kafka_type_t type, rd_kafka_conf_t *conf); /* takes conf */

/* Topics of this run: removed at the end. */
void kafka_topic_make(rd_kafka_t *rk, const char *topic, int partitions);
void kafka_topic_drop(const char *topic);
/* Offsets between begin and end, of all partitions: messages, and the markers of transactions. */
int64_t kafka_topic_length(const char *topic, int partitions);

/* Runs a job, and frees it and `t`; gives the records that its sources have read. */
uint64_t kafka_run(leat_topology *t, const struct leat_job_opts *opts);

struct bids;
/* Where each bid begins, and the end; of malloc. */
uint32_t *kafka_bid_offsets(const struct bids *bids);

/* Processor time and wall clock of some runs. */
#define KAFKA_RUNS_MAX 101
struct kafka_measure {
    double cpu_s[KAFKA_RUNS_MAX], wall_s[KAFKA_RUNS_MAX];
};
#define KAFKA_TIMED(measure_, i_, call_) \
    do { \
        const double cpu_ = bench_cpu_s(), wall_ = bench_wall_s(); \
        call_; \
        (measure_).cpu_s[i_] = bench_cpu_s() - cpu_; \
        (measure_).wall_s[i_] = bench_wall_s() - wall_; \
    } while (0)
/* The medians, beside the bare loop's where there is one (whose values are then sorted). */
void kafka_print(
    const char *what, uint32_t rows, struct kafka_measure *ours, struct kafka_measure *bare, int runs);
#endif
