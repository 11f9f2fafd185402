/* bench/window_harness.h -- one aggregate over windows, driven without a runtime: what the benchmarks of windows
 * share.
 *
 * Batches of 1,024 records { key, name, amount, ts } go around, the hash of the key apart. The watermark is told by
 * the benchmark. The wall clock shows the event time of the last record delivered. */
#ifndef LEAT_BENCH_WINDOW_HARNESS_H
#define LEAT_BENCH_WINDOW_HARNESS_H
#include "state/state.h"
#include "topology/operator.h"

#define WINDOW_BENCH_BATCHES 64u
#define WINDOW_BENCH_ROWS 1024u

struct window_line {
    const char *name, *by; /* by: the field that is the key */
    uint64_t keys;
    struct leat_window_opts window;
    struct leat_aggregate aggs[8]; /* into fields of `total_schema` (window_harness.c) */
    uint32_t batches; /* between two watermarks */
    bool ordered;
};

struct window_bench {
    struct leat_arena arena;
    struct leat_schema *schemas[2];
    const struct leat_type *payment, *total;
    leat_topology *t;
    struct leat__ctx ctx;
    struct leat_counters counters;
    struct leat_error error;
    struct leat_op *op;
    struct leat_batch *batches[WINDOW_BENCH_BATCHES];
    uint32_t batches_count, at;
    int64_t now_us;
    uint64_t rows_out;
    int64_t longest_ns; /* processor time of a call of the operator, which the benchmark sets back */
};

/* Keys are random, below line->keys. `batches` of them, WINDOW_BENCH_BATCHES at most. */
void window_bench_start(struct window_bench *b, const struct window_line *line, uint32_t batches);
void window_bench_finish(struct window_bench *b);
/* So many batches, a record each microsecond from `ts` on. The time that comes next. */
int64_t window_bench_deliver(struct window_bench *b, uint32_t batches, int64_t ts);
/* The watermark, all that comes of it, and what the wall clock has made. */
void window_bench_tell(struct window_bench *b, int64_t watermark_us);
/* Gives the records of all batches the keys from `key` on. The key that comes next. */
uint64_t window_bench_rekey(struct window_bench *b, uint64_t key);
/* Delivers and tells every line->batches for so long, from *ts on. Nanoseconds an event: the least of several parts. */
double window_bench_measure(
    struct window_bench *b, const struct window_line *line, double seconds, int64_t *ts);
int64_t window_bench_now_ns(const struct window_bench *b);
#endif
