/* bench/bench_window_aggregate.c -- what an event costs in the aggregate over windows, hash of the key apart.
 *
 *   bench_window_aggregate [seconds per line, default 0.5] [part of the names of lines]
 *
 * A window takes 1,000,000 records; the watermark follows every 65,536 records, or every 1,024, so that the firing of
 * each window is in the figure. Lines: the operator's aggregates, its key, the number of keys; all as ratios to the
 * tumbling count. */
#include "bench/window_harness.h"
#include <stdio.h>
#include <stdlib.h>

#define WINDOW_RECORDS 1000000
#define WINDOW .kind = LEAT_WINDOW_TUMBLING, .size_us = WINDOW_RECORDS

static const double bounds[] = { 10, 100, 1000, 10000 };

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
static const struct window_line lines[] = {
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
    { "count, triggers", "key", 1000,
        { WINDOW,
            .triggers = { LEAT_EVERY_EVENT_TIME(200000), LEAT_EVERY_PROCESSING_TIME(1000), LEAT_ON_COUNT(100),
                LEAT_ON_WATERMARK } },
        { LEAT_COUNT("n") }, .batches = 1 },
    { "count, count windows of 10", "key", 1000, { .kind = LEAT_WINDOW_COUNT, .count = 10 },
        { LEAT_COUNT("n") } },
    /* A record of a key comes each 1,000 us or so: sessions that are extended by nearly all; of a few records; and
     * sliding windows of about 10 and of 100. */
    { "count, sessions extended", "key", 1000, { .kind = LEAT_WINDOW_SESSION, .gap_us = 20000 },
        { LEAT_COUNT("n") } },
    { "count, short sessions", "key", 1000, { .kind = LEAT_WINDOW_SESSION, .gap_us = 1000 },
        { LEAT_COUNT("n") } },
    { "count, brief sessions, each batch", "key", 1000, { .kind = LEAT_WINDOW_SESSION, .gap_us = 1000 },
        { LEAT_COUNT("n") }, .batches = 1 },
    { "count, sliding over ten", "key", 1000, { .kind = LEAT_WINDOW_SLIDING, .size_us = 10000 },
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

static double run(const struct window_line *line, double seconds, double count_ns)
{
    struct window_line l = *line;
    struct window_bench b;
    int64_t ts = 0;
    l.batches = line->batches ? line->batches : WINDOW_BENCH_BATCHES;
    window_bench_start(&b, &l, WINDOW_BENCH_BATCHES);
    while (ts < 3 * WINDOW_RECORDS) { /* warm */
        ts = window_bench_deliver(&b, l.batches, ts);
        window_bench_tell(&b, ts - 1);
    }
    b.longest_ns = 0;
    const double ns = window_bench_measure(&b, &l, seconds, &ts);
    printf("window_aggregate/%s key=%s keys=%llu: %.1f ns/event, %.2f of count, longest call %.2f ms\n",
        l.name, l.by, (unsigned long long)l.keys, ns, ns / (count_ns > 0 ? count_ns : ns),
        (double)b.longest_ns / 1e6);
    window_bench_finish(&b);
    return ns;
}

int main(int argc, char **argv)
{
    const double seconds = argc > 1 ? strtod(argv[1], NULL) : 0.5;
    const char *part = argc > 2 ? argv[2] : "";
    const double count_ns = run(&lines[0], seconds, 0);
    for (size_t i = 1; i < sizeof lines / sizeof lines[0]; i++)
        if (strstr(lines[i].name, part))
            (void)run(&lines[i], seconds, count_ns);
    return 0;
}
