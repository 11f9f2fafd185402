/* tests/crash/jobs/join.c -- two files joined by key and time, windows over the pairs, and one single file.
 *
 *   left ----> slow ----\
 *                        pairs ----> by-key ----> half-minutes ----> sums ----> one file
 *   right --------------/
 */
#include "sample.h"
#include "joined.h"
#include "key_window.h"
#include "tests/crash/jobs/options.h"

static bool is_any(struct leat_ctx *ctx, const struct sample *s)
{
    (void)s;
    rest(ctx);
    return true;
}
LEAT_DEFINE_FILTER(is_any, sample);

static void multiply(
    struct leat_ctx *ctx, const struct sample *left, const struct sample *right, struct joined *out)
{
    (void)ctx;
    out->key = left->key;
    out->product = left->value * 1000 + right->value;
}
LEAT_DEFINE_JOIN(multiply, sample, sample, joined);

static leat_stream *read_side(leat_topology *t, const char *name, const char *file)
{
    return leat_file_source(t, name,
        &(struct leat_file_source_opts){
            .path = path_in(input_dir, file),
            .type = &sample_type,
            .event_time = "at",
            .max_out_of_orderness_us = LEAT_SECONDS(2),
        });
}

static void declare(leat_topology *t)
{
    leat_stream *left = leat_filter(read_side(t, "left", "left.avro"), "slow", &is_any_filter);
    leat_stream *right = read_side(t, "right", "right.avro");
    leat_stream *pairs = leat_join(left, right, "pairs",
        &(struct leat_join_opts){
            .left_key = "key",
            .before_us = LEAT_SECONDS(3),
            .after_us = LEAT_SECONDS(1),
            .allowed_lateness_us = LEAT_SECONDS(2),
            .merge = &multiply_join,
        });
    leat_windowed_stream *windows = leat_window(leat_group_by(pairs, "by-key", "key"), "half-minutes",
        &(struct leat_window_opts){
            .kind = LEAT_WINDOW_TUMBLING,
            .size_us = LEAT_SECONDS(30),
            .allowed_lateness_us = LEAT_SECONDS(2),
            .triggers = { LEAT_ON_WATERMARK },
        });
    leat_stream *sums = leat_aggregate(windows, "sums",
        &(struct leat_aggregate_opts){
            .aggs = { LEAT_COUNT("count"), LEAT_SUM("product", "total"), LEAT_MAX("product", "largest") },
            .out = &key_window_type,
        });
    leat_file_sink(sums, "write-sums",
        &(struct leat_file_sink_opts){ .path = path_in(output_dir, "sums.jsonl"), .overwrite = true });
}

int main(int argc, char **argv)
{
    const int kept = take_options(argc, argv);
    leat_topology *t = leat_topology_new("crash-join");
    declare(t);
    return leat_main(kept, argv, t, NULL);
}
