/* runtime/test_kit.c -- <leat/test.h>: a job under the simulation's scheduler whose ends the test holds.
 *
 * Every call that puts something in runs the workers until nobody has work, so that what follows from it can
 * be read. */
#include "base/alloc.h"
#include "record/json.h"
#include "runtime/endpoints.h"
#include <leat/test.h>
#include <stdio.h>

#define WALL_US_DEFAULT INT64_C(1577836800000000) /* 2020-01-01T00:00:00Z */

struct leat_test {
    struct leat_job *job;
    struct leat_error error;
    struct leat_endpoints *endpoints;
    bool finished;
    struct leat_strbuf json;
};

const struct leat_error *leat_test_error(const leat_test *test)
{
    return &test->error;
}

static void fail(leat_test *test, const struct leat_error *err)
{
    if (test->error.code == 0)
        test->error = *err;
}

static bool is_ready(const leat_test *test)
{
    return test->error.code == 0 && !test->finished;
}

/* Lets every split be asked again: something may have been put in. */
static void wake_sources(leat_test *test)
{
    for (uint32_t w = 0; w < test->job->workers_count; w++)
        for (uint32_t i = 0; i < test->job->workers[w].instances_count; i++)
            if (test->job->workers[w].instances[i].source)
                leat__source_host_wake(test->job->workers[w].instances[i].source);
}

static void settle(leat_test *test)
{
    int64_t wake_us;
    bool all_done = false;
    if (!is_ready(test))
        return;
    wake_sources(test);
    if (!leat__sim_settle(test->job, &wake_us, &all_done)) {
        fail(test, leat_job_error(test->job));
        return;
    }
    if (all_done) {
        leat__job_finish(test->job, true);
        test->finished = true;
        if (leat_job_error(test->job)->code < 0)
            fail(test, leat_job_error(test->job));
    }
}

/* Where state goes beyond the budget that the switch for whole suites sets. */
static int place_state(struct leat_job *job, struct leat_error *err)
{
    job->has_checkpoints = false; /* pipes have no positions */
    if (!job->has_switched_budget)
        return 0;
    job->attempt = 1;
    LEAT_TRY(leat__places_open(job, err));
    return leat__places_begin_attempt(job, err);
}

leat_test *leat_test_new(leat_topology *t, const struct leat_test_opts *opts)
{
    static const struct leat_test_opts defaults;
    const struct leat_test_opts *o = opts ? opts : &defaults;
    const struct leat_job_opts job_opts = { .parallelism = o->parallelism ? o->parallelism : 1,
        .batch_rows = o->batch_rows,
        .simulate = true,
        .seed = o->seed };
    leat_test *test = leat__calloc(1, sizeof *test);
    if (!test)
        return NULL;
    if (o->splits > LEAT_TEST_SPLITS_MAX) {
        (void)leat__error(&test->error, LEAT_EINVAL, "test option splits is %u; the most is %u", o->splits,
            LEAT_TEST_SPLITS_MAX);
        return test;
    }
    if (leat_job_new(t, &job_opts, &test->job, &test->error) < 0)
        return test;
    struct leat_job *job = test->job;
    const int64_t wall_us = o->wall_us ? o->wall_us : WALL_US_DEFAULT;
    leat__env_sim_free(job->sim_env);
    job->env = job->sim_env = leat__env_sim_new(o->seed, wall_us);
    if (!job->env || leat__endpoints_new(job->plan, o->splits ? o->splits : 1, &test->endpoints) < 0) {
        (void)leat__error(&test->error, LEAT_ENOMEM, "out of memory for a test");
        return test;
    }
    job->endpoints = test->endpoints;
    job->source_class = &leat__pipe_source_class;
    job->sink_class = &leat__tray_sink_class;
    if (place_state(job, &test->error) < 0)
        return test;
    if (leat__job_prepare(job) < 0) {
        fail(test, leat_job_error(job));
        return test;
    }
    leat__job_set_state(job, LEAT_JOB_RUNNING);
    settle(test);
    return test;
}

void leat_test_free(leat_test *test)
{
    if (!test)
        return;
    leat_job_free(test->job);
    leat__endpoints_free(test->endpoints);
    leat__strbuf_release(&test->json);
    leat__free(test);
}

/* The endpoint of that name and kind, or NULL with the error set. */
static struct leat_endpoint *find(leat_test *test, const char *name, enum leat_node_kind kind)
{
    struct leat_error err = { 0 };
    if (!test->endpoints)
        return NULL;
    struct leat_endpoint *endpoint = leat__endpoint_find(test->endpoints, name, kind);
    if (!endpoint) {
        const char *what = kind == LEAT_NODE_SOURCE ? "source" : "sink";
        (void)leat__error(&err, LEAT_ENOTFOUND, "the topology has no %s \"%s\"", what, name);
        fail(test, &err);
    }
    return endpoint;
}

void leat_test_pipe_to(leat_test *test, const char *source, uint32_t split, const void *record)
{
    struct leat_error err = { 0 };
    struct leat_endpoint *endpoint = find(test, source, LEAT_NODE_SOURCE);
    if (!endpoint || test->error.code != 0)
        return;
    if (split >= test->endpoints->splits || endpoint->pipes[split].ended) {
        (void)leat__error(&err, LEAT_EINVAL,
            "source \"%s\" has no open split %u (0 to %u, each until it was ended)", source, split,
            test->endpoints->splits - 1);
        fail(test, &err);
        return;
    }
    if (leat__endpoint_put(endpoint, split, record) < 0) {
        (void)leat__error(&err, LEAT_ENOMEM, "out of memory for a record");
        fail(test, &err);
        return;
    }
    settle(test);
}

void leat_test_pipe(leat_test *test, const char *source, const void *record)
{
    leat_test_pipe_to(test, source, 0, record);
}

void leat_test_pipe_json(leat_test *test, const char *source, const char *json)
{
    struct leat_json_decoder *decoder = NULL;
    struct leat_pool *pool = NULL;
    struct leat_batch *batch = NULL;
    struct leat_strbuf line = { 0 };
    struct leat_error err = { 0 };
    struct leat_endpoint *endpoint = find(test, source, LEAT_NODE_SOURCE);
    if (!endpoint || test->error.code != 0)
        return;
    leat__strbuf_str(&line, json);
    int result = leat__strbuf_reserve(&line, 64) ? 0 : leat__error(&err, LEAT_ENOMEM, "out of memory");
    if (result == 0)
        result = leat__json_decoder_new(endpoint->type, LEAT_JSON_PLAIN, &decoder, &err);
    if (result == 0)
        result = leat__pool_new(1, &pool);
    if (result == 0)
        result = leat__batch_get(pool, endpoint->type, &batch);
    if (result == 0)
        result = leat__json_decode(decoder, line.data, line.len, batch, &err);
    if (result == 0)
        leat_test_pipe(test, source, leat_batch_at(batch, 0));
    else if (err.code == 0)
        (void)leat__error(&err, result, "%s", leat_error_text(result));
    if (result < 0) {
        (void)leat__error_prefix(&err, "source \"%s\"", source);
        fail(test, &err);
    }
    leat__batch_release(batch);
    leat__pool_free(pool);
    leat__json_decoder_free(decoder);
    leat__strbuf_release(&line);
}

void leat_test_watermark(leat_test *test, const char *source, int64_t w)
{
    struct leat_endpoint *endpoint = find(test, source, LEAT_NODE_SOURCE);
    if (!endpoint || !is_ready(test))
        return;
    for (uint32_t n = 0; n < test->job->workers_count; n++) {
        for (uint32_t i = 0; i < test->job->workers[n].instances_count; i++) {
            struct leat_instance *inst = &test->job->workers[n].instances[i];
            if (inst->source && inst->plan->node == endpoint->node &&
                leat__source_host_lift(inst->source, w) < 0)
                fail(test, &inst->error);
        }
    }
    settle(test);
}

void leat_test_end(leat_test *test, const char *source)
{
    if (source && !find(test, source, LEAT_NODE_SOURCE))
        return;
    if (!is_ready(test))
        return;
    for (uint32_t i = 0; i < test->endpoints->count; i++) {
        struct leat_endpoint *endpoint = &test->endpoints->list[i];
        if (endpoint->node->kind != LEAT_NODE_SOURCE || (source && strcmp(endpoint->node->name, source) != 0))
            continue;
        for (uint32_t s = 0; s < LEAT_TEST_SPLITS_MAX; s++)
            endpoint->pipes[s].ended = true;
    }
    settle(test);
}

void leat_test_advance(leat_test *test, int64_t us)
{
    if (!is_ready(test) || us < 0)
        return;
    leat__env_sim_advance(test->job->sim_env, us);
    settle(test);
}

const void *leat_test_read(leat_test *test, const char *sink)
{
    struct leat_endpoint *endpoint = find(test, sink, LEAT_NODE_SINK);
    if (!endpoint || !endpoint->first)
        return NULL;
    struct leat_tray_record *record = endpoint->first;
    endpoint->first = record->next;
    if (!endpoint->first)
        endpoint->last = NULL;
    endpoint->waiting--;
    record->next = endpoint->read;
    endpoint->read = record;
    endpoint->read_event_us = record->event_us;
    endpoint->read_change = record->change;
    return leat__tray_record(record);
}

const char *leat_test_read_json(leat_test *test, const char *sink)
{
    struct leat_error err = { 0 };
    const void *record = leat_test_read(test, sink);
    if (!record)
        return NULL;
    leat__strbuf_clear(&test->json);
    const struct leat_endpoint *endpoint = find(test, sink, LEAT_NODE_SINK);
    if (leat__json_encode(endpoint->type, LEAT_JSON_PLAIN, record, &test->json, &err) < 0) {
        fail(test, &err);
        return NULL;
    }
    return test->json.data;
}

int64_t leat_test_event_us(leat_test *test, const char *sink)
{
    const struct leat_endpoint *endpoint = find(test, sink, LEAT_NODE_SINK);
    return endpoint ? endpoint->read_event_us : LEAT_TIME_MIN;
}

enum leat_change leat_test_change(leat_test *test, const char *sink)
{
    const struct leat_endpoint *endpoint = find(test, sink, LEAT_NODE_SINK);
    return endpoint ? (enum leat_change)endpoint->read_change : LEAT_INSERT;
}

size_t leat_test_waiting(leat_test *test, const char *sink)
{
    const struct leat_endpoint *endpoint = find(test, sink, LEAT_NODE_SINK);
    return endpoint ? (size_t)endpoint->waiting : 0;
}

static const struct leat_node_metrics *metrics_of(leat_test *test, const char *node)
{
    struct leat_error err = { 0 };
    if (!test->job)
        return NULL;
    const struct leat_progress *progress = leat_job_progress(test->job);
    for (size_t i = 0; i < progress->nodes_count; i++)
        if (strcmp(progress->nodes[i].name, node) == 0)
            return &progress->nodes[i];
    (void)leat__error(&err, LEAT_ENOTFOUND, "the topology has no node \"%s\" with work", node);
    fail(test, &err);
    return NULL;
}

int64_t leat_test_node_watermark(leat_test *test, const char *node)
{
    const struct leat_node_metrics *metrics = metrics_of(test, node);
    return metrics ? metrics->watermark_us : LEAT_TIME_MIN;
}

uint64_t leat_test_late(leat_test *test, const char *node)
{
    const struct leat_node_metrics *metrics = metrics_of(test, node);
    return metrics ? metrics->late_records : 0;
}

uint64_t leat_test_dropped(leat_test *test, const char *node)
{
    const struct leat_node_metrics *metrics = metrics_of(test, node);
    return metrics ? metrics->dropped_records : 0;
}

uint64_t leat_test_unassigned(leat_test *test, const char *node)
{
    const struct leat_node_metrics *metrics = metrics_of(test, node);
    return metrics ? metrics->unassigned_records : 0;
}
