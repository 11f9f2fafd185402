/* bench/bench_windows.c -- what it costs a record that many windows hold it, and what a firing costs.
 *
 *   bench_windows [seconds per line, default 0.5]
 *
 * Batches of 1,024 records { key, name, amount, ts } of 1,000 keys go around; every 8,192 records the watermark
 * follows, and a window fires. Hopping windows of 1, 10, 60, 3,600 slides: counts (a running result) and minima (a
 * tree), as ratios to the window of one slide. Then windows of 1,000,000 keys: rows per second, and the longest single
 * call, for which the worker does nothing else. */
#include "base/env.h"
#include "record/schema.h"
#include "state/state.h"
#include "topology/declare.h"
#include "topology/operator.h"
#include "topology/sink.h"
#include "topology/source.h"
#include <stdio.h>
#include <stdlib.h>

#define BATCHES 8u
#define ROWS 1024u
#define SLIDE ((int64_t)BATCHES * ROWS)
#define MANY_KEYS 1000000

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

struct line {
    const char *name, *by;
    uint64_t keys;
    struct leat_window_opts window;
    struct leat_aggregate aggs[8];
};

#define HOPPING(slides_) .kind = LEAT_WINDOW_HOPPING, .size_us = (slides_)*SLIDE, .slide_us = SLIDE
#define COUNTED(slides_) \
    { \
        "count", "key", 1000, { HOPPING(slides_) }, \
        { \
            LEAT_COUNT("n") \
        } \
    }
#define LEAST(slides_) \
    { \
        "min", "key", 1000, { HOPPING(slides_) }, \
        { \
            LEAT_MIN("amount", "lowest") \
        } \
    }
static const struct line lines[] = { COUNTED(1), COUNTED(10), COUNTED(60), COUNTED(3600), LEAST(1), LEAST(10),
    LEAST(60), LEAST(3600) };
/* All keys in one slice. */
static const struct line firings[] = {
    { "tumbling count", "key", MANY_KEYS, { .kind = LEAT_WINDOW_TUMBLING, .size_us = INT64_C(1) << 40 },
        { LEAT_COUNT("n") } },
    { "hopping count", "key", MANY_KEYS,
        { .kind = LEAT_WINDOW_HOPPING, .size_us = INT64_C(1) << 40, .slide_us = INT64_C(1) << 39 },
        { LEAT_COUNT("n") } },
    { "hopping min", "key", MANY_KEYS,
        { .kind = LEAT_WINDOW_HOPPING, .size_us = INT64_C(1) << 40, .slide_us = INT64_C(1) << 39 },
        { LEAT_MIN("amount", "lowest") } },
};

struct bench {
    struct leat_arena arena;
    struct leat_schema *schemas[2];
    const struct leat_type *payment, *total;
    leat_topology *t;
    struct leat__ctx ctx;
    struct leat_counters counters;
    struct leat_error error;
    struct leat_op *op;
    struct leat_batch *batches[BATCHES];
    uint64_t rows_out;
    int64_t longest_ns; /* of a call of step */
};

static void check(int code, const struct leat_error *err)
{
    if (code >= 0)
        return;
    fprintf(stderr, "bench_windows: %s\n", err->code ? err->message : leat_error_text(code));
    exit(1);
}

static int on_emit(struct leat__ctx *ctx, uint32_t port, struct leat_batch *batch)
{
    (void)port;
    ((struct bench *)ctx->host)->rows_out += batch->count;
    leat__batch_release(batch);
    return 0;
}

static int64_t on_now_us(const struct leat__ctx *ctx)
{
    (void)ctx;
    return 0;
}

static const struct leat_ctx_api api = { .emit = on_emit, .now_us = on_now_us };

static const struct leat_node *declare(struct bench *b, const struct line *line)
{
    b->t = leat_topology_new("bench");
    struct leat_node *source = leat__declare(b->t, "payments", LEAT_NODE_SOURCE, source_class.kind);
    source->source = &source_class;
    leat__output(source, b->payment, NULL);
    leat__source_time(source, b->payment, "ts", 0, 0, 0, LEAT_FAIL);
    struct leat_aggregate_opts opts = { .out = b->total };
    memcpy(opts.aggs, line->aggs, sizeof line->aggs);
    leat_stream *totals = leat_aggregate(
        leat_window(leat_group_by(leat__stream(source, 0), "keyed", line->by), "windows", &line->window),
        "totals", &opts);
    struct leat_node *sink = leat__declare(b->t, "sink", LEAT_NODE_SINK, sink_class.kind);
    sink->sink = &sink_class;
    leat__input(sink, 0, totals, LEAT_FORWARD, NULL);
    if (leat_check(b->t) < 0) {
        fprintf(stderr, "bench_windows: %s\n", leat_topology_error(b->t, 0)->message);
        exit(1);
    }
    return totals->node;
}

static void start(struct bench *b, const struct line *line)
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
        .watermark_us = LEAT_TIME_MIN };
    b->ctx.user.engine = &b->ctx;
    check(leat__pool_new(ROWS, &b->ctx.pool), &b->error);
    check(leat__state_new(NULL, &b->ctx.state, &b->error), &b->error);
    b->op = calloc(1, b->ctx.node->op->size);
    if (!b->op)
        exit(1);
    b->op->op_class = b->ctx.node->op;
    b->op->node = b->ctx.node;
    check(b->op->op_class->init(b->op, &b->ctx), &b->error);
}

static void put_row(struct bench *b, struct leat_batch *batch, uint64_t random, uint64_t keys)
{
    struct payment *payment = leat__batch_push(batch);
    payment->key = (int64_t)(random % keys);
    payment->amount = (int64_t)(random >> 44);
    char *name = leat__batch_alloc(batch, 24, 1);
    check(name ? 0 : LEAT_ENOMEM, &b->error);
    payment->name = (struct leat_sv){ name,
        (size_t)snprintf(name, 24, "customer%08llu", (unsigned long long)payment->key) };
}

static void fill_batches(struct bench *b, const struct line *line)
{
    struct leat_key_scratch *scratch = NULL;
    const struct leat_sv *keys;
    uint64_t x = 88172645463325252u;
    check(leat__key_scratch_new(&scratch), &b->error);
    for (uint32_t i = 0; i < BATCHES; i++) {
        check(leat__batch_get(b->ctx.pool, b->payment, &b->batches[i]), &b->error);
        for (uint32_t r = 0; r < ROWS; r++) {
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            put_row(b, b->batches[i], x, line->keys);
        }
        const struct leat_key *key = b->ctx.node->inputs[0].key;
        check(leat__key_eval(key, scratch, &b->ctx.user, b->batches[i], &keys), &b->error);
        leat__key_hash(keys, b->batches[i]);
    }
    leat__key_scratch_free(scratch);
}

static void finish(struct bench *b)
{
    for (uint32_t i = 0; i < BATCHES; i++)
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

static void settle(struct bench *b, int code)
{
    while (code == LEAT_MORE) {
        const int64_t begin_ns = b->ctx.env->mono_ns(b->ctx.env);
        code = b->op->op_class->step(b->op, &b->ctx);
        const int64_t took_ns = b->ctx.env->mono_ns(b->ctx.env) - begin_ns;
        if (took_ns > b->longest_ns)
            b->longest_ns = took_ns;
    }
    check(code, &b->error);
}

/* All batches once, with times that go on from `ts`. */
static int64_t deliver(struct bench *b, int64_t ts)
{
    for (uint32_t i = 0; i < BATCHES; i++) {
        struct leat_batch *batch = b->batches[i];
        for (uint32_t r = 0; r < ROWS; r++)
            batch->event_us[r] = ts++;
        leat__batch_ref(batch);
        settle(b, b->op->op_class->on_batch(b->op, &b->ctx, 0, batch));
    }
    return ts;
}

static void tell(struct bench *b, int64_t w)
{
    b->ctx.watermark_us = w;
    settle(b, b->op->op_class->on_watermark(b->op, &b->ctx, w));
}

static void run(const struct line *line, double seconds)
{
    static double base_ns; /* of the window of one slide */
    struct bench b;
    start(&b, line);
    fill_batches(&b, line);
    int64_t ts = 0;
    while (ts < line->window.size_us + 100 * SLIDE) { /* warm */
        ts = deliver(&b, ts);
        tell(&b, ts - 1);
    }
    const int64_t begin_ns = b.ctx.env->mono_ns(b.ctx.env);
    const int64_t begin_ts = ts;
    int64_t took_ns = 0;
    while (took_ns < (int64_t)(seconds * 1e9)) {
        ts = deliver(&b, ts);
        tell(&b, ts - 1);
        took_ns = b.ctx.env->mono_ns(b.ctx.env) - begin_ns;
    }
    const double ns = (double)took_ns / (double)(ts - begin_ts);
    if (line->window.size_us == SLIDE)
        base_ns = ns;
    printf("windows/hopping %s slides=%lld: %.1f ns/event, %.2f of one slide\n", line->name,
        (long long)(line->window.size_us / SLIDE), ns, ns / base_ns);
    finish(&b);
}

/* Every key once, by rewriting the batches. */
static int64_t deliver_keys(struct bench *b, const struct line *line, int64_t ts)
{
    struct leat_key_scratch *scratch = NULL;
    const struct leat_sv *keys;
    check(leat__key_scratch_new(&scratch), &b->error);
    for (uint64_t key = 0; key < line->keys;) {
        for (uint32_t i = 0; i < BATCHES; i++) {
            for (uint32_t r = 0; r < ROWS; r++)
                ((struct payment *)leat_batch_at(b->batches[i], r))->key = (int64_t)(key++ % line->keys);
            check(leat__key_eval(b->ctx.node->inputs[0].key, scratch, &b->ctx.user, b->batches[i], &keys),
                &b->error);
            leat__key_hash(keys, b->batches[i]);
        }
        ts = deliver(b, ts);
    }
    leat__key_scratch_free(scratch);
    return ts;
}

static void run_firing(const struct line *line)
{
    struct bench b;
    start(&b, line);
    fill_batches(&b, line);
    (void)deliver_keys(&b, line, 0);
    b.longest_ns = 0;
    const int64_t begin_ns = b.ctx.env->mono_ns(b.ctx.env);
    tell(&b, line->window.size_us);
    const int64_t took_ns = b.ctx.env->mono_ns(b.ctx.env) - begin_ns;
    printf("windows/firing %s keys=%llu: %.0f rows/s, longest call %.2f ms\n", line->name,
        (unsigned long long)line->keys, (double)b.rows_out / ((double)took_ns / 1e9),
        (double)b.longest_ns / 1e6);
    finish(&b);
}

int main(int argc, char **argv)
{
    const double seconds = argc > 1 ? strtod(argv[1], NULL) : 0.5;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        run(&lines[i], seconds);
    for (size_t i = 0; i < sizeof firings / sizeof firings[0]; i++)
        run_firing(&firings[i]);
    return 0;
}
