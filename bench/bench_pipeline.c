/* bench/bench_pipeline.c -- what does the engine cost beside a loop written by hand that does the same work?
 *
 * 1. decode -> filter -> encode; 2. decode -> key -> 10 s tumbling count -> encode, with 1,000 and with
 * 100,000 auctions: one worker, Avro in memory, both with callbacks and (1) with an expression. Target: at
 * least 60 % of the loop's rate, no malloc per row.
 * 3. Container file -> windowed count, one worker, beside the bare reader of the same file. Target: at least
 * 60 %.
 * 4. Exchange: processor time per row that a second worker adds to (2).
 * 5. Resident memory of an idle job, and time from start to the first record.
 * Figures are medians over interleaved repetitions: read the ratios.
 *
 *   bench_pipeline [repetitions [bids]] */
#include "base/alloc.h"
#include "bench/bids.h"
#include "record/container.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REPETITIONS_MAX 101

static bool is_123rd(struct leat_ctx *ctx, const struct bid *bid)
{
    (void)ctx;
    return bid->auction % 123 == 0;
}
LEAT_DEFINE_FILTER(is_123rd, bid);

static void take_price(struct leat_ctx *ctx, const struct bid *bid, struct bid_price *out)
{
    (void)ctx;
    out->auction = bid->auction;
    out->price = bid->price;
}
LEAT_DEFINE_MAP(take_price, bid, bid_price);

static void run(leat_topology *t, uint32_t parallelism)
{
    struct leat_error err = { 0 };
    if (leat_run(t, &(struct leat_job_opts){ .parallelism = parallelism }, &err) < 0) {
        (void)fprintf(stderr, "bench: %s\n", err.message);
        exit(1);
    }
    leat_topology_free(t);
}

static leat_stream *bids_source(leat_topology *t, const struct bids *bids, bool timed)
{
    return leat_memory_source(t, "bids",
        &(struct leat_memory_source_opts){ .type = &bid_type,
            .avro = bids->data,
            .avro_bytes = bids->size,
            .event_time = timed ? "dateTime" : NULL });
}

static void run_filter(const struct bids *bids, bool expressions)
{
    leat_topology *t = leat_topology_new("filter");
    leat_stream *in = bids_source(t, bids, false);
    leat_stream *kept = expressions ? leat_filter_expr(in, "kept", "auction % 123 = 0")
                                    : leat_filter(in, "kept", &is_123rd_filter);
    leat_stream *prices = expressions
        ? leat_project(kept, "prices", &(struct leat_project_opts){ .out = &bid_price_type })
        : leat_map(kept, "prices", &take_price_map);
    leat_memory_sink(prices, "out", &(struct leat_memory_sink_opts){ .encode = true });
    run(t, 1);
}

static leat_stream *count_bids(leat_stream *in)
{
    leat_windowed_stream *windows = leat_window(leat_group_by(in, "by-auction", "auction"), "10s",
        &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = LEAT_MILLIS(BIDS_WINDOW_MS) });
    return leat_aggregate(windows, "counts",
        &(struct leat_aggregate_opts){ .aggs = { LEAT_COUNT("bids") }, .out = &bid_count_type });
}

static void run_count(const struct bids *bids, uint32_t parallelism)
{
    leat_topology *t = leat_topology_new("count");
    leat_memory_sink(
        count_bids(bids_source(t, bids, true)), "out", &(struct leat_memory_sink_opts){ .encode = true });
    run(t, parallelism);
}

static void run_file_count(const char *path)
{
    leat_topology *t = leat_topology_new("file-count");
    leat_stream *in = leat_file_source(t, "bids",
        &(struct leat_file_source_opts){ .path = path, .type = &bid_type, .event_time = "dateTime" });
    leat_memory_sink(count_bids(in), "out", &(struct leat_memory_sink_opts){ .encode = true });
    run(t, 1);
}

static void write_file(const struct bids *bids, const char *path)
{
    leat_topology *t = leat_topology_new("write");
    leat_file_sink(bids_source(t, bids, false), "file",
        &(struct leat_file_sink_opts){ .path = path, .overwrite = true });
    run(t, 1);
}

static void check(int result, const struct leat_error *err)
{
    if (result < 0) {
        (void)fprintf(stderr, "bench: %s\n", err->message);
        exit(1);
    }
}

/* The bare reader: blocks of the container decoded into batches, and nothing more. */
static void read_file_barely(const char *path)
{
    struct leat_error err = { 0 };
    struct leat_pool *pool;
    struct leat_container_reader *reader;
    struct leat_decoder *decoder;
    struct leat_container_block block;
    struct leat_batch *batch;
    int result;
    check(leat__pool_new(1024, &pool), &err);
    check(leat__container_open(leat__env_posix(), pool, path, &reader, &err), &err);
    check(leat__decoder_new(leat__container_schema(reader), &bid_type, NULL, &decoder, &err), &err);
    while ((result = leat__container_next(reader, &block, &err)) == 1) {
        const uint8_t *at = block.data;
        while (at < block.data + block.size) {
            check(leat__batch_get(pool, &bid_type, &batch), &err);
            check(leat__batch_add_buffer(batch, block.buffer), &err);
            check((int)leat__decode(decoder, &at, block.data + block.size, batch, 1024, &err), &err);
            leat__batch_release(batch);
        }
        leat__buffer_release(block.buffer);
    }
    check(result, &err);
    leat__decoder_free(decoder);
    leat__container_close(reader);
    leat__pool_free(pool);
}

struct measure {
    double values[REPETITIONS_MAX];
    double median;
};

#define TIMED(measure_, i_, call_) \
    do { \
        const double from_s_ = bench_cpu_s(); \
        call_; \
        (measure_).values[i_] = bench_cpu_s() - from_s_; \
    } while (0)

static void print_ratio(const char *what, uint32_t rows, struct measure *ours, struct measure *theirs,
    int repetitions, const char *other, double target)
{
    ours->median = bench_median(ours->values, repetitions);
    theirs->median = bench_median(theirs->values, repetitions);
    printf("%-44s %6.1f ns/row, %5.1f M rows/s; %s %6.1f ns/row: %3.0f %% of its rate (target %.0f %%)\n",
        what, ours->median / rows * 1e9, rows / ours->median / 1e6, other, theirs->median / rows * 1e9,
        100.0 * theirs->median / ours->median, target);
}

static void bench_filter(const struct bids *bids, int repetitions)
{
    static struct measure callbacks, expressions, hand;
    volatile uint64_t kept = 0;
    for (int i = 0; i < repetitions; i++) {
        TIMED(hand, i, kept = bids_filter_by_hand(bids));
        TIMED(callbacks, i, run_filter(bids, false));
        TIMED(expressions, i, run_filter(bids, true));
    }
    (void)kept;
    print_ratio(
        "decode-filter-encode, callbacks", bids->count, &callbacks, &hand, repetitions, "by hand", 60);
    print_ratio(
        "decode-filter-encode, expressions", bids->count, &expressions, &hand, repetitions, "by hand", 60);
}

static void bench_count(const struct bids *bids, int repetitions, const char *what)
{
    static struct measure ours, hand, two;
    volatile uint64_t rows = 0;
    for (int i = 0; i < repetitions; i++) {
        TIMED(hand, i, rows = bids_count_by_hand(bids));
        TIMED(ours, i, run_count(bids, 1));
        TIMED(two, i, run_count(bids, 2));
    }
    (void)rows;
    print_ratio(what, bids->count, &ours, &hand, repetitions, "by hand", 60);
    printf("%-44s %6.1f ns of processor time per row more than with one worker\n",
        "  exchange between 2 workers",
        (bench_median(two.values, repetitions) - ours.median) / bids->count * 1e9);
}

static void bench_file(const struct bids *bids, int repetitions)
{
    static struct measure ours, bare;
    char path[64];
    (void)snprintf(path, sizeof path, "/tmp/leat-bench-%ld.avro", (long)getpid());
    write_file(bids, path);
    for (int i = 0; i < repetitions; i++) {
        TIMED(bare, i, read_file_barely(path));
        TIMED(ours, i, run_file_count(path));
    }
    (void)unlink(path);
    print_ratio(
        "container file to windowed count", bids->count, &ours, &bare, repetitions, "bare reader", 60);
}

static void print_allocations(const struct bids *bids)
{
    uint64_t before = leat__alloc_calls();
    run_filter(bids, false);
    const uint64_t filter = leat__alloc_calls() - before;
    before = leat__alloc_calls();
    run_count(bids, 1);
    printf("%-44s %llu (filter), %llu (count) for %u rows\n", "allocations of a whole job",
        (unsigned long long)filter, (unsigned long long)(leat__alloc_calls() - before), bids->count);
}

struct first_record {
    double from_s, first_s;
    uint64_t resident;
    leat_job *job;
};

static void make_slow_bid(struct leat_ctx *ctx, uint64_t seed, uint64_t index, struct bid *bid)
{
    (void)ctx;
    bid->auction = (int64_t)(seed + index);
    bid->dateTime = (int64_t)index;
}
LEAT_DEFINE_GENERATOR(make_slow_bid, bid);

static void on_first(void *arg, const struct leat_progress *progress)
{
    struct first_record *first = arg;
    if (progress->sink_records > 0 && first->first_s == 0)
        first->first_s = bench_wall_s();
    if (progress->elapsed_us > 1000000) {
        first->resident = bench_resident_bytes();
        leat_job_stop(first->job);
    }
}

static void bench_idle(void)
{
    struct first_record first = { 0 };
    struct leat_error err = { 0 };
    first.from_s = bench_wall_s();
    leat_topology *t = leat_topology_new("idle");
    leat_stream *in = leat_generator_source(t, "bids",
        &(struct leat_generator_source_opts){
            .fn = &make_slow_bid_generator, .rate_per_s = 1000, .event_time = "dateTime" });
    leat_memory_sink(leat_filter(in, "kept", &is_123rd_filter), "out", &(struct leat_memory_sink_opts){ 0 });
    const struct leat_job_opts opts = {
        .on_progress = on_first, .progress_arg = &first, .progress_interval_us = 1000
    };
    check(leat_job_new(t, &opts, &first.job, &err), &err);
    check(leat_job_run(first.job), leat_job_error(first.job));
    leat_job_free(first.job);
    leat_topology_free(t);
    printf("%-44s %.1f MB resident (target 20), first record after %.1f ms (target 50)\n", "a job that waits",
        (double)first.resident / 1e6, (first.first_s - first.from_s) * 1e3);
}

int main(int argc, char **argv)
{
    const int repetitions = argc > 1 ? atoi(argv[1]) : 11;
    const uint32_t count = argc > 2 ? (uint32_t)atoi(argv[2]) : 1000000;
    if (repetitions < 1 || repetitions > REPETITIONS_MAX || count < 1000) {
        (void)fprintf(stderr, "Usage: %s [repetitions 1-%d [bids]]\n", argv[0], REPETITIONS_MAX);
        return 2;
    }
    bench_idle();
    struct bids bids = bids_make(count, 1000);
    printf("%u bids of %.0f bytes; %d repetitions; processor time\n", count, (double)bids.size / count,
        repetitions);
    bench_filter(&bids, repetitions);
    bench_count(&bids, repetitions, "decode-key-count, 1,000 auctions");
    print_allocations(&bids);
    bench_file(&bids, repetitions);
    bids_free(&bids);
    bids = bids_make(count, 100000);
    bench_count(&bids, repetitions, "decode-key-count, 100,000 auctions");
    bids_free(&bids);
    return 0;
}
