/* tests/support/kafka_rows.h -- messages with numbered rows, and jobs that read them from Kafka: what tests of the source share.
 * A row as a line: "topic/2@17 23 t23": partition 2, offset 17, id 23, and its text. */
#ifndef LEAT_TESTS_SUPPORT_KAFKA_ROWS_H
#define LEAT_TESTS_SUPPORT_KAFKA_ROWS_H
#include "kafka_row.h"
#include "tests/support/epochs_sink.h"
#include "tests/support/kafka.h"
#include "tests/support/lines.h"
#include <leat/leat.h>

/* JSON of kafka_row to the end, with topic, partition and offset; short waits for the brokers. */
struct leat_kafka_source_opts kafka_rows_opts(struct kafka *k, const char *topics);
/* Rows from .. to-1 of a partition, each with the text t<id> and the timestamp 1000 ms + id. */
void kafka_rows_put(struct kafka *k, const char *topic, int32_t partition, int64_t from, int64_t to);
/* Adds the lines of such rows, the first of which has this offset. */
void kafka_rows_want(
    struct lines *lines, const char *topic, int32_t partition, int64_t offset, int64_t from, int64_t to);
/* A row as a line, as epochs_sink wants it. */
void kafka_rows_print(const void *record, int64_t event_us, char *text, size_t size);
/* Reads to the end of a bounded source. */
int kafka_rows_read_with(const struct leat_kafka_source_opts *opts, const struct leat_job_opts *job,
    struct lines *lines, struct leat_error *err);
void kafka_rows_read(const struct leat_kafka_source_opts *opts, uint32_t parallelism, struct lines *lines);
/* lines_expect, and clears both. */
void kafka_rows_expect(const char *what, struct lines *wanted, struct lines *got);

/* A job that goes on over several runs; its committed rows are in `out`. */
struct kafka_rows_job {
    char root[64]; /* of its checkpoints */
    const char *name; /* of the source; NULL: "in" */
    struct epochs out;
    uint64_t stop_after; /* rows of one run; 0: never */
    bool cancels; /* instead of stopping */
    void (*on_row)(void *arg, uint64_t n); /* by a worker, the n-th row of the run, from 1; or NULL */
    void *arg;
    int64_t interval_us; /* of checkpoints; 0: 5 ms */
    uint64_t rows; /* atomic: of this run */
    leat_job *job;
    uint32_t restarts; /* of the last run */
};
void kafka_rows_job_new(struct kafka_rows_job *job);
void kafka_rows_job_free(struct kafka_rows_job *job);
/* One run; the job's result and error. */
int kafka_rows_job_run(struct kafka_rows_job *job, const struct leat_kafka_source_opts *opts,
    uint32_t parallelism, struct leat_error *err);
#endif
