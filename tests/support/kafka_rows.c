/* tests/support/kafka_rows.c -- see the header. */
#include "tests/support/kafka_rows.h"
#include "base/env.h"
#include "runtime/tree.h"
#include "tests/support/unit.h"
#include <stdio.h>
#include <unistd.h>

#define ROWS_MAX 1000

struct leat_kafka_source_opts kafka_rows_opts(struct kafka *k, const char *topics)
{
    return (struct leat_kafka_source_opts){ .cluster = { .brokers = kafka_bootstrap(k),
                                                .properties = "fetch.wait.max.ms=20" },
        .topics = topics,
        .type = &kafka_row_type,
        .format = LEAT_FORMAT_JSON,
        .meta = { .topic = "topic", .partition = "part", .offset = "off" },
        .bounded = true };
}

void kafka_rows_put(struct kafka *k, const char *topic, int32_t partition, int64_t from, int64_t to)
{
    static struct kafka_record records[ROWS_MAX];
    static char values[ROWS_MAX][48];
    assert_true(to - from <= ROWS_MAX);
    for (int64_t id = from; id < to; id++) {
        char *value = values[id - from];
        const int len = snprintf(
            value, sizeof values[0], "{\"id\":%lld,\"text\":\"t%lld\"}", (long long)id, (long long)id);
        records[id - from] = (struct kafka_record){
            .partition = partition, .timestamp = 1000 + id, .value = value, .value_len = (size_t)len
        };
    }
    kafka_produce(k, topic, records, (size_t)(to - from));
}

void kafka_rows_want(
    struct lines *lines, const char *topic, int32_t partition, int64_t offset, int64_t from, int64_t to)
{
    for (int64_t id = from; id < to; id++)
        lines_add(lines, "%s/%d@%lld %lld t%lld", topic, (int)partition, (long long)(offset + id - from),
            (long long)id, (long long)id);
}

void kafka_rows_print(const void *record, int64_t event_us, char *text, size_t size)
{
    const struct kafka_row *row = record;
    (void)event_us;
    (void)snprintf(text, size, "%.*s/%d@%lld %lld %.*s", (int)row->topic.len, row->topic.data, (int)row->part,
        (long long)row->off, (long long)row->id, (int)row->text.len, row->text.data ? row->text.data : "");
}

int kafka_rows_read_with(const struct leat_kafka_source_opts *opts, const struct leat_job_opts *job,
    struct lines *lines, struct leat_error *err)
{
    leat_topology *t = leat_topology_new("reads-kafka");
    leat_collector *rows = leat_collector_new();
    leat_memory_sink(
        leat_kafka_source(t, "in", opts), "out", &(struct leat_memory_sink_opts){ .into = rows });
    const int result = leat_run(t, job, err);
    for (uint64_t i = 0; i < leat_collector_count(rows); i++) {
        char text[256];
        kafka_rows_print(leat_collector_record(rows, i), 0, text, sizeof text);
        lines_add(lines, "%s", text);
    }
    leat_collector_free(rows);
    leat_topology_free(t);
    return result;
}

void kafka_rows_read(const struct leat_kafka_source_opts *opts, uint32_t parallelism, struct lines *lines)
{
    struct leat_error err = { 0 };
    const int result =
        kafka_rows_read_with(opts, &(struct leat_job_opts){ .parallelism = parallelism }, lines, &err);
    FAIL_UNLESS(result == 0, "%s", err.message);
}

void kafka_rows_expect(const char *what, struct lines *wanted, struct lines *got)
{
    lines_expect(what, wanted, got);
    lines_clear(wanted);
    lines_clear(got);
}

/* ---- jobs over several runs ---- */

static struct kafka_rows_job *running; /* callbacks have no other way to it */

static void count(struct leat_ctx *ctx, const struct leat_batch *batch)
{
    struct kafka_rows_job *job = running;
    (void)ctx;
    for (uint32_t i = 0; i < batch->count; i++) {
        const uint64_t n = __atomic_add_fetch(&job->rows, 1, __ATOMIC_SEQ_CST);
        if (job->on_row)
            job->on_row(job->arg, n);
        if (!job->stop_after || n < job->stop_after)
            continue;
        (job->cancels ? leat_job_cancel : leat_job_stop)(job->job);
        (void)usleep(2000); /* it reads on until the last checkpoint begins */
    }
}

static const struct leat_peek_fn count_peek = { sizeof count_peek, "count", &kafka_row_type, count };

void kafka_rows_job_new(struct kafka_rows_job *job)
{
    *job =
        (struct kafka_rows_job){ .root = "/tmp/leat-kafka-job-XXXXXX", .out = { .print = kafka_rows_print } };
    assert_non_null(mkdtemp(job->root));
}

void kafka_rows_job_free(struct kafka_rows_job *job)
{
    struct leat_error err = { 0 };
    assert_int_equal(leat__tree_remove(leat__env_posix(), job->root, NULL, &err), 0);
    lines_clear(&job->out.committed);
}

int kafka_rows_job_run(struct kafka_rows_job *job, const struct leat_kafka_source_opts *opts,
    uint32_t parallelism, struct leat_error *err)
{
    leat_topology *t = leat_topology_new("goes-on");
    const struct leat_job_opts job_opts = { .parallelism = parallelism,
        .batch_rows = 8,
        .checkpoint_dir = job->root,
        .checkpoint_interval_us = job->interval_us ? job->interval_us : 5000,
        .checkpoint_min_pause_us = 1,
        .restart = { .backoff_us = 10000, .backoff_max_us = 10000 } };
    epochs_sink(leat_peek(leat_kafka_source(t, job->name ? job->name : "in", opts), "counted", &count_peek),
        "out", &job->out);
    FAIL_UNLESS(leat_job_new(t, &job_opts, &job->job, err) == 0, "%s", err->message);
    running = job;
    __atomic_store_n(&job->rows, 0, __ATOMIC_SEQ_CST);
    const int result = leat_job_run(job->job);
    *err = *leat_job_error(job->job);
    job->restarts = leat_job_progress(job->job)->restarts;
    leat_job_free(job->job);
    leat_topology_free(t);
    return result;
}
