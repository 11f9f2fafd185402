/* bench/window_harness.c -- see the header. Whatever fails ends the program with a word about it. */
#include "bench/window_harness.h"
#include "base/env.h"
#include "record/schema.h"
#include "topology/declare.h"
#include "topology/sink.h"
#include "topology/source.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PARTS 5
#define NAME_BYTES 24

struct payment {
    int64_t key;
    struct leat_sv name;
    int64_t amount;
    int64_t ts;
};

static const char payment_schema[] =
    "{\"type\":\"record\",\"name\":\"payment\",\"fields\":[{\"name\":\"key\",\"type\":\"long\"},"
    "{\"name\":\"name\",\"type\":\"string\"},{\"name\":\"amount\",\"type\":\"long\"},{\"name\":\"ts\","
    "\"type\":\"long\"}]}";
static const char total_schema[] =
    "{\"type\":\"record\",\"name\":\"total\",\"fields\":[{\"name\":\"window_start\",\"type\":\"long\"},"
    "{\"name\":\"n\",\"type\":[\"null\",\"long\"]},{\"name\":\"total\",\"type\":[\"null\",\"long\"]},"
    "{\"name\":\"lowest\",\"type\":[\"null\",\"long\"]},{\"name\":\"highest\",\"type\":[\"null\",\"long\"]},"
    "{\"name\":\"mean\",\"type\":[\"null\",\"double\"]},{\"name\":\"every\",\"type\":[\"null\",\"boolean\"]},"
    "{\"name\":\"text\",\"type\":[\"null\",\"string\"]},"
    "{\"name\":\"list\",\"type\":[\"null\",{\"type\":\"array\",\"items\":\"long\"}]}]}";

static const struct leat_source_class source_class = { .kind = "bench source" };
static const struct leat_sink_class sink_class = { .kind = "bench sink" };

/* ---- the operator's surroundings ---- */

static void check(int code, const struct leat_error *err)
{
    if (code >= 0)
        return;
    fprintf(stderr, "bench: %s\n", err->code ? err->message : leat_error_text(code));
    exit(1);
}

static int on_emit(struct leat__ctx *ctx, uint32_t port, struct leat_batch *batch)
{
    (void)port;
    ((struct window_bench *)ctx->host)->rows_out += batch->count;
    leat__batch_release(batch);
    return 0;
}

static int64_t on_now_us(const struct leat__ctx *ctx)
{
    return ((const struct window_bench *)ctx->host)->now_us;
}

static const struct leat_ctx_api api = { .emit = on_emit, .now_us = on_now_us };

static const struct leat_node *declare(struct window_bench *b, const struct window_line *line)
{
    b->t = leat_topology_new("bench");
    struct leat_node *source = leat__declare(b->t, "payments", LEAT_NODE_SOURCE, source_class.kind);
    source->source = &source_class;
    leat__output(source, b->payment, NULL);
    leat__source_time(source, b->payment, "ts", 0, 0, 0, LEAT_FAIL);
    struct leat_aggregate_opts opts = { .out = b->total, .ordered = line->ordered };
    memcpy(opts.aggs, line->aggs, sizeof line->aggs);
    leat_stream *totals = leat_aggregate(
        leat_window(leat_group_by(leat__stream(source, 0), "keyed", line->by), "windows", &line->window),
        "totals", &opts);
    struct leat_node *sink = leat__declare(b->t, "sink", LEAT_NODE_SINK, sink_class.kind);
    sink->sink = &sink_class;
    leat__input(sink, 0, totals, LEAT_FORWARD, NULL);
    if (leat_check(b->t) < 0) {
        fprintf(stderr, "bench: %s\n", leat_topology_error(b->t, 0)->message);
        exit(1);
    }
    return totals->node;
}

/* ---- records ---- */

static void put_row(struct window_bench *b, struct leat_batch *batch, uint64_t random, uint64_t keys)
{
    struct payment *payment = leat__batch_push(batch);
    payment->key = (int64_t)(random % keys);
    payment->amount = (int64_t)(random >> 44);
    char *name = leat__batch_alloc(batch, NAME_BYTES, 1);
    check(name ? 0 : LEAT_ENOMEM, &b->error);
    payment->name = (struct leat_sv){ name,
        (size_t)snprintf(name, NAME_BYTES, "customer%08llu", (unsigned long long)payment->key) };
}

static void hash_keys(struct window_bench *b)
{
    struct leat_key_scratch *scratch = NULL;
    const struct leat_key *key = b->ctx.node->inputs[0].key;
    const struct leat_sv *keys;
    check(leat__key_scratch_new(&scratch), &b->error);
    for (uint32_t i = 0; i < b->batches_count; i++) {
        check(leat__key_eval(key, scratch, &b->ctx.user, b->batches[i], &keys), &b->error);
        leat__key_hash(keys, b->batches[i]);
    }
    leat__key_scratch_free(scratch);
}

static void fill_batches(struct window_bench *b, const struct window_line *line)
{
    uint64_t x = 88172645463325252u;
    for (uint32_t i = 0; i < b->batches_count; i++) {
        check(leat__batch_get(b->ctx.pool, b->payment, &b->batches[i]), &b->error);
        for (uint32_t r = 0; r < WINDOW_BENCH_ROWS; r++) {
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            put_row(b, b->batches[i], x, line->keys);
        }
    }
    hash_keys(b);
}

uint64_t window_bench_rekey(struct window_bench *b, uint64_t key)
{
    for (uint32_t i = 0; i < b->batches_count; i++)
        for (uint32_t r = 0; r < WINDOW_BENCH_ROWS; r++, key++) {
            struct payment *payment = leat_batch_at(b->batches[i], r);
            char name[NAME_BYTES];
            payment->key = (int64_t)key;
            (void)snprintf(name, sizeof name, "customer%08llu", (unsigned long long)key);
            memcpy((void *)(uintptr_t)payment->name.data, name, payment->name.len);
        }
    hash_keys(b);
    return key;
}

/* ---- life ---- */

void window_bench_start(struct window_bench *b, const struct window_line *line, uint32_t batches)
{
    memset(b, 0, sizeof *b);
    check(leat__schema_parse(payment_schema, strlen(payment_schema), &b->schemas[0], &b->error), &b->error);
    check(leat__schema_parse(total_schema, strlen(total_schema), &b->schemas[1], &b->error), &b->error);
    check(leat__schema_type(b->schemas[0], &b->arena, &b->payment, &b->error), &b->error);
    check(leat__schema_type(b->schemas[1], &b->arena, &b->total, &b->error), &b->error);
    b->ctx = (struct leat__ctx){ .api = &api,
        .host = b,
        .node = declare(b, line),
        .parallelism = 1,
        .env = leat__env_posix(),
        .counters = &b->counters,
        .error = &b->error,
        .watermark_us = LEAT_TIME_MIN,
        .wake_us = LEAT_TIME_MAX };
    b->ctx.user.engine = &b->ctx;
    check(leat__pool_new(WINDOW_BENCH_ROWS, &b->ctx.pool), &b->error);
    check(leat__state_new(NULL, &b->ctx.state, &b->error), &b->error);
    b->op = calloc(1, b->ctx.node->op->size);
    check(b->op ? 0 : LEAT_ENOMEM, &b->error);
    b->op->op_class = b->ctx.node->op;
    b->op->node = b->ctx.node;
    check(b->op->op_class->init(b->op, &b->ctx), &b->error);
    b->batches_count = batches;
    fill_batches(b, line);
}

void window_bench_finish(struct window_bench *b)
{
    for (uint32_t i = 0; i < b->batches_count; i++)
        leat__batch_release(b->batches[i]);
    b->op->op_class->release(b->op, &b->ctx);
    free(b->op);
    leat__ctx_release(&b->ctx);
    leat__state_free(b->ctx.state);
    leat__pool_free(b->ctx.pool);
    leat_topology_free(b->t);
    leat__schema_free(b->schemas[0]);
    leat__schema_free(b->schemas[1]);
    leat__arena_release(&b->arena);
}

/* ---- calls ---- */

int64_t window_bench_now_ns(const struct window_bench *b)
{
    return b->ctx.env->mono_ns(b->ctx.env);
}

/* Of calls: what others do on the same cores is not in it. */
static int64_t cpu_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void note_call(struct window_bench *b, int64_t *begin_ns)
{
    const int64_t end_ns = cpu_ns();
    if (end_ns - *begin_ns > b->longest_ns)
        b->longest_ns = end_ns - *begin_ns;
    *begin_ns = end_ns;
}

/* After a call that began then: the steps that it asks for. */
static void settle(struct window_bench *b, int64_t begin_ns, int code)
{
    note_call(b, &begin_ns);
    while (code == LEAT_MORE) {
        code = b->op->op_class->step(b->op, &b->ctx);
        note_call(b, &begin_ns);
    }
    check(code, &b->error);
}

int64_t window_bench_deliver(struct window_bench *b, uint32_t batches, int64_t ts)
{
    while (batches-- > 0) {
        struct leat_batch *batch = b->batches[b->at++ % b->batches_count];
        for (uint32_t r = 0; r < WINDOW_BENCH_ROWS; r++)
            batch->event_us[r] = ts++;
        b->now_us = ts;
        leat__batch_ref(batch);
        const int64_t begin_ns = cpu_ns();
        settle(b, begin_ns, b->op->op_class->on_batch(b->op, &b->ctx, 0, batch));
    }
    return ts;
}

void window_bench_tell(struct window_bench *b, int64_t watermark_us)
{
    const int64_t begin_ns = cpu_ns();
    b->ctx.watermark_us = watermark_us;
    settle(b, begin_ns, b->op->op_class->on_watermark(b->op, &b->ctx, watermark_us));
    if (b->ctx.wake_us > b->now_us)
        return;
    b->ctx.wake_us = LEAT_TIME_MAX;
    settle(b, cpu_ns(), b->op->op_class->on_time(b->op, &b->ctx, b->now_us));
}

double window_bench_measure(
    struct window_bench *b, const struct window_line *line, double seconds, int64_t *ts)
{
    double least_ns = 0;
    for (int part = 0; part < PARTS; part++) {
        const int64_t begin_ns = window_bench_now_ns(b);
        const int64_t begin_ts = *ts;
        int64_t took_ns = 0;
        while (took_ns < (int64_t)(seconds / PARTS * 1e9)) {
            *ts = window_bench_deliver(b, line->batches, *ts);
            window_bench_tell(b, *ts - 1);
            took_ns = window_bench_now_ns(b) - begin_ns;
        }
        const double ns = (double)took_ns / (double)(*ts - begin_ts);
        least_ns = part == 0 || ns < least_ns ? ns : least_ns;
    }
    return least_ns;
}
