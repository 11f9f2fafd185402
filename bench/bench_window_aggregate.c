/* bench/bench_window_aggregate.c -- what an event costs in the aggregate over windows, hash of the key apart.
 *
 *   bench_window_aggregate [seconds per line, default 0.5]
 *
 * Batches of 1,024 records { key, name, amount, ts } go around; a window takes 1,000,000 records, and the
 * watermark follows, so that the firing of each window is in the figure. Lines: the operator's aggregates,
 * its key, the number of keys. */
#include "base/env.h"
#include "record/schema.h"
#include "state/state.h"
#include "topology/declare.h"
#include "topology/operator.h"
#include "topology/sink.h"
#include "topology/source.h"
#include <stdio.h>
#include <stdlib.h>

#define BATCHES 64u
#define ROWS 1024u
#define WINDOW_RECORDS 1000000

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
static const double bounds[] = { 10, 100, 1000, 10000 };

static const struct leat_source_class source_class = { .kind = "bench source" };
static const struct leat_sink_class sink_class = { .kind = "bench sink" };

struct line {
    const char *name, *by;
    uint64_t keys;
    struct leat_window_opts window;
    struct leat_aggregate aggs[8];
};

#define ONE(name_, kind_, of_, as_, ...) \
    { \
        "count, " name_, "key", 1000, { .kind = LEAT_WINDOW_TUMBLING, .size_us = WINDOW_RECORDS }, \
        { \
            LEAT_COUNT("n"), \
            { \
                .kind = LEAT_AGGREGATE_##kind_, .of = (of_), .as = (as_), __VA_ARGS__ \
            } \
        } \
    }
#define WINDOW .kind = LEAT_WINDOW_TUMBLING, .size_us = WINDOW_RECORDS
static const struct line lines[] = {
    { "count", "key", 1000, { WINDOW }, { LEAT_COUNT("n") } },
    { "count", "key", 100000, { WINDOW }, { LEAT_COUNT("n") } },
    { "count, sum", "key", 1000, { WINDOW }, { LEAT_COUNT("n"), LEAT_SUM("amount", "total") } },
    { "count, sum", "key", 100000, { WINDOW }, { LEAT_COUNT("n"), LEAT_SUM("amount", "total") } },
    { "count, sum", "name", 1000, { WINDOW }, { LEAT_COUNT("n"), LEAT_SUM("amount", "total") } },
    { "count, sum", "name", 100000, { WINDOW }, { LEAT_COUNT("n"), LEAT_SUM("amount", "total") } },
    { "count, sum, min, max, avg", "key", 1000, { WINDOW },
        { LEAT_COUNT("n"), LEAT_SUM("amount", "total"), LEAT_MIN("amount", "lowest"),
            LEAT_MAX("amount", "highest"), LEAT_AVG("amount", "mean") } },
    { "sum(amount * 2 + 1)", "key", 1000, { WINDOW }, { LEAT_SUM("amount * 2 + 1", "total") } },
    { "count, sum with lateness", "key", 1000, { WINDOW, .allowed_lateness_us = 1000 },
        { LEAT_COUNT("n"), LEAT_SUM("amount", "total") } },
    { "count, sum, early every 100", "key", 1000,
        { WINDOW, .triggers = { LEAT_ON_COUNT(100), LEAT_ON_WATERMARK } },
        { LEAT_COUNT("n"), LEAT_SUM("amount", "total") } },
    { "count, early every 10", "key", 1000, { WINDOW, .triggers = { LEAT_ON_COUNT(10), LEAT_ON_WATERMARK } },
        { LEAT_COUNT("n") } },
    { "count, each watermark", "key", 1000,
        { WINDOW, .triggers = { LEAT_EVERY_EVENT_TIME(1000), LEAT_ON_WATERMARK } }, { LEAT_COUNT("n") } },
    { "count, any of two periods and a count", "key", 1000,
        { WINDOW,
            .triggers = { LEAT_EVERY_EVENT_TIME(200000), LEAT_EVERY_PROCESSING_TIME(1000), LEAT_ON_COUNT(100),
                LEAT_ON_WATERMARK } },
        { LEAT_COUNT("n") } },
    { "count, count windows of 10", "key", 1000, { .kind = LEAT_WINDOW_COUNT, .count = 10 },
        { LEAT_COUNT("n") } },
    /* A record of a key comes each 1,000 us or so: sessions that are extended by nearly all; of a few records; and
     * sliding windows of about 10 and of 100. */
    { "count, sessions extended", "key", 1000, { .kind = LEAT_WINDOW_SESSION, .gap_us = 20000 },
        { LEAT_COUNT("n") } },
    { "count, short sessions", "key", 1000, { .kind = LEAT_WINDOW_SESSION, .gap_us = 1000 },
        { LEAT_COUNT("n") } },
    { "count, sliding over 10", "key", 1000, { .kind = LEAT_WINDOW_SLIDING, .size_us = 10000 },
        { LEAT_COUNT("n") } },
    { "count, sliding over 100", "key", 1000, { .kind = LEAT_WINDOW_SLIDING, .size_us = 100000 },
        { LEAT_COUNT("n") } },
    /* Every kind, beside a count: its part is the ratio to "count", key=key, keys=1000, less one. */
    ONE("var_pop", VAR_POP, "amount", "mean", .fn = NULL),
    ONE("first", FIRST, "amount", "total", .fn = NULL),
    ONE("last of strings", LAST, "name", "text", .fn = NULL),
    ONE("max_by", MAX_BY, "key", "total", .by = "amount"),
    ONE("count_distinct", COUNT_DISTINCT, "amount", "total", .fn = NULL),
    ONE("count_distinct of strings", COUNT_DISTINCT, "name", "total", .fn = NULL),
    ONE("approx_count_distinct", APPROX_COUNT_DISTINCT, "amount", "total", .fn = NULL),
    ONE("approx_quantile", APPROX_QUANTILE, "amount", "mean", .q = 0.99),
    ONE("top_n 10", TOP_N, "amount", "list", .n = 10),
    ONE("collect_list", COLLECT_LIST, "amount", "list", .fn = NULL),
    ONE("collect_set", COLLECT_SET, "amount", "list", .fn = NULL),
    ONE("string_join", STRING_JOIN, "name", "text", .fn = NULL),
    ONE("bit_xor", BIT_XOR, "amount", "total", .fn = NULL),
    ONE("bool_and", BOOL_AND, "amount > 0", "every", .fn = NULL),
    ONE("histogram", HISTOGRAM, "amount", "list", .bounds = bounds, .bounds_count = 4),
    ONE("sum where", SUM, "amount", "total", .where = "amount > 100"),
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
};

static void check(int code, const struct leat_error *err)
{
    if (code >= 0)
        return;
    fprintf(stderr, "bench_window_aggregate: %s\n", err->code ? err->message : leat_error_text(code));
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
        fprintf(stderr, "bench_window_aggregate: %s\n", leat_topology_error(b->t, 0)->message);
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
    while (code == LEAT_MORE)
        code = b->op->op_class->step(b->op, &b->ctx);
    check(code, &b->error);
}

/* All batches once, with times that go on from `ts`, and the watermark behind them. */
static int64_t deliver(struct bench *b, int64_t ts)
{
    for (uint32_t i = 0; i < BATCHES; i++) {
        struct leat_batch *batch = b->batches[i];
        for (uint32_t r = 0; r < ROWS; r++)
            batch->event_us[r] = ts++;
        leat__batch_ref(batch);
        settle(b, b->op->op_class->on_batch(b->op, &b->ctx, 0, batch));
    }
    b->ctx.watermark_us = ts - 1;
    settle(b, b->op->op_class->on_watermark(b->op, &b->ctx, ts - 1));
    return ts;
}

static void run(const struct line *line, double seconds)
{
    struct bench b;
    start(&b, line);
    fill_batches(&b, line);
    int64_t ts = 0;
    while (ts < 3 * WINDOW_RECORDS) /* warm */
        ts = deliver(&b, ts);
    const int64_t begin_ns = b.ctx.env->mono_ns(b.ctx.env);
    const int64_t begin_ts = ts;
    int64_t took_ns = 0;
    while (took_ns < (int64_t)(seconds * 1e9)) {
        ts = deliver(&b, ts);
        took_ns = b.ctx.env->mono_ns(b.ctx.env) - begin_ns;
    }
    const double ns = (double)took_ns / (double)(ts - begin_ts);
    static double count_ns; /* of the first line */
    if (line == lines)
        count_ns = ns;
    printf("window_aggregate/%s key=%s keys=%llu: %.1f ns/event, %.2f of count\n", line->name, line->by,
        (unsigned long long)line->keys, ns, ns / count_ns);
    finish(&b);
}

int main(int argc, char **argv)
{
    const double seconds = argc > 1 ? strtod(argv[1], NULL) : 0.5;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        run(&lines[i], seconds);
    return 0;
}
