/* bench/bench_windows.c -- what it costs a record that many windows hold it, and what a firing costs.
 *
 *   bench_windows [seconds per line, default 0.5] [count, min, slides=60, firing, ...: these lines alone]
 *
 * Every 8,192 records the watermark follows, and a window fires. Hopping windows of 1, 10, 60, 3,600 slides: counts (a
 * running result) and minima (a tree), as ratios to the window of one slide; with what of it is the firing. Then
 * windows of 1,000,000 keys: rows per second, and the longest single call in processor time, for which the worker does
 * nothing else. */
#include "bench/window_harness.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCHES 8u
#define SLIDE ((int64_t)BATCHES * WINDOW_BENCH_ROWS)
#define MANY_KEYS 1000000
#define LONG_US (INT64_C(1) << 40)

#define HOPPING(slides_) .kind = LEAT_WINDOW_HOPPING, .size_us = (slides_)*SLIDE, .slide_us = SLIDE
#define COUNTED(slides_) \
    { \
        "count", "key", 1000, { HOPPING(slides_) }, { LEAT_COUNT("n") }, .batches = BATCHES \
    }
#define LEAST(slides_) \
    { \
        "min", "key", 1000, { HOPPING(slides_) }, { LEAT_MIN("amount", "lowest") }, .batches = BATCHES \
    }
static const struct window_line lines[] = { COUNTED(1), COUNTED(10), COUNTED(60), COUNTED(3600), LEAST(1),
    LEAST(10), LEAST(60), LEAST(3600) };
/* All keys in one slice. */
#define TUMBLING .kind = LEAT_WINDOW_TUMBLING, .size_us = LONG_US
static const struct window_line firings[] = {
    { "tumbling count", "key", MANY_KEYS, { TUMBLING }, { LEAT_COUNT("n") } },
    { "hopping count", "key", MANY_KEYS,
        { .kind = LEAT_WINDOW_HOPPING, .size_us = LONG_US, .slide_us = LONG_US / 2 }, { LEAT_COUNT("n") } },
    { "hopping min", "key", MANY_KEYS,
        { .kind = LEAT_WINDOW_HOPPING, .size_us = LONG_US, .slide_us = LONG_US / 2 },
        { LEAT_MIN("amount", "lowest") } },
    { "cumulating count", "key", MANY_KEYS,
        { .kind = LEAT_WINDOW_CUMULATING, .size_us = LONG_US, .step_us = LONG_US / 2 }, { LEAT_COUNT("n") } },
    { "tumbling count of names", "name", MANY_KEYS, { TUMBLING }, { LEAT_COUNT("n") } },
    { "tumbling count in order", "key", MANY_KEYS, { TUMBLING }, { LEAT_COUNT("n") }, .ordered = true },
    { "tumbling count, lateness", "key", MANY_KEYS, { TUMBLING, .allowed_lateness_us = 1000 },
        { LEAT_COUNT("n") } },
    { "tumbling count, early every 10", "key", MANY_KEYS,
        { TUMBLING, .triggers = { LEAT_ON_COUNT(10), LEAT_ON_WATERMARK } }, { LEAT_COUNT("n") } },
    { "tumbling count, early by time", "key", MANY_KEYS,
        { TUMBLING, .triggers = { LEAT_EVERY_EVENT_TIME(LONG_US / 2), LEAT_ON_WATERMARK } },
        { LEAT_COUNT("n") } },
    { "global count, by time", "key", MANY_KEYS,
        { .kind = LEAT_WINDOW_GLOBAL,
            .triggers = { LEAT_EVERY_EVENT_TIME(LONG_US / 2) },
            .discard_remainder = true },
        { LEAT_COUNT("n") } },
    { "sessions", "key", MANY_KEYS, { .kind = LEAT_WINDOW_SESSION, .gap_us = LONG_US / 2 },
        { LEAT_COUNT("n") } },
    { "sliding count", "key", MANY_KEYS, { .kind = LEAT_WINDOW_SLIDING, .size_us = LONG_US / 2 },
        { LEAT_COUNT("n") } },
    { "sliding min", "key", MANY_KEYS, { .kind = LEAT_WINDOW_SLIDING, .size_us = LONG_US / 2 },
        { LEAT_MIN("amount", "lowest") } },
    { "count windows of 10", "key", MANY_KEYS, { .kind = LEAT_WINDOW_COUNT, .count = 10 },
        { LEAT_COUNT("n") } },
};

/* Nanoseconds an event of records alone, without what the watermarks make. */
static double measure_records(
    struct window_bench *b, const struct window_line *line, double seconds, int64_t *ts)
{
    double least_ns = 0;
    const int64_t begin_ns = window_bench_now_ns(b);
    while (window_bench_now_ns(b) - begin_ns < (int64_t)(seconds * 1e9)) {
        const int64_t from_ns = window_bench_now_ns(b);
        *ts = window_bench_deliver(b, line->batches, *ts);
        const double ns = (double)(window_bench_now_ns(b) - from_ns) / (double)SLIDE;
        least_ns = least_ns == 0 || ns < least_ns ? ns : least_ns;
        window_bench_tell(b, *ts - 1);
    }
    return least_ns;
}

static void run(const struct window_line *line, double seconds)
{
    static double base_ns; /* of the window of one slide */
    struct window_bench b;
    int64_t ts = 0;
    window_bench_start(&b, line, BATCHES);
    while (ts < line->window.size_us + 100 * SLIDE) { /* warm */
        ts = window_bench_deliver(&b, BATCHES, ts);
        window_bench_tell(&b, ts - 1);
    }
    const double ns = window_bench_measure(&b, line, seconds, &ts);
    const double records_ns = measure_records(&b, line, seconds, &ts);
    if (line->window.size_us == SLIDE)
        base_ns = ns;
    printf("windows/hopping %s slides=%lld: %.1f ns/event, %.2f of one slide; %.1f ns without firing\n",
        line->name, (long long)(line->window.size_us / SLIDE), ns, ns / base_ns, records_ns);
    window_bench_finish(&b);
}

static void run_firing(const struct window_line *line)
{
    struct window_bench b;
    int64_t ts = 0;
    window_bench_start(&b, line, BATCHES);
    for (uint64_t key = 0; key < line->keys;) {
        key = window_bench_rekey(&b, key);
        ts = window_bench_deliver(&b, BATCHES, ts);
    }
    const int64_t filling_ns = b.longest_ns;
    b.longest_ns = 0;
    const int64_t begin_ns = window_bench_now_ns(&b);
    window_bench_tell(&b, LONG_US);
    if (b.rows_out == 0) /* global and count windows */
        window_bench_tell(&b, INT64_MAX);
    const int64_t took_ns = window_bench_now_ns(&b) - begin_ns;
    printf("windows/firing %s keys=%llu: %.0f rows/s, longest call %.2f ms, while filling %.2f ms\n",
        line->name, (unsigned long long)line->keys, (double)b.rows_out / ((double)took_ns / 1e9),
        (double)b.longest_ns / 1e6, (double)filling_ns / 1e6);
    window_bench_finish(&b);
}

static bool is_asked(const struct window_line *line, const char *part)
{
    char name[64];
    (void)snprintf(
        name, sizeof name, "%s slides=%lld", line->name, (long long)(line->window.size_us / SLIDE));
    return strstr(name, part) != NULL;
}

int main(int argc, char **argv)
{
    const double seconds = argc > 1 ? strtod(argv[1], NULL) : 0.5;
    const char *part = argc > 2 ? argv[2] : "";
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        if (is_asked(&lines[i], part))
            run(&lines[i], seconds);
    for (size_t i = 0; i < sizeof firings / sizeof firings[0]; i++)
        if (strcmp("firing", part) == 0 || strstr(firings[i].name, part))
            run_firing(&firings[i]);
    return 0;
}
