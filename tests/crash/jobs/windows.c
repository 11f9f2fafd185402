/* tests/crash/jobs/windows.c -- several files of two codecs, a filter, keyed windows with late rows, and directories of
 * part files: of the windows (Avro), of all rows that passed the filter (JSON lines, small parts), and of the late ones.
 *
 *   events ----> positive ----> by-key ----> ten-seconds ----> totals ----> totals (Avro)
 *                     \-----> passed            \-----> late
 */
#include "sample.h"
#include "key_window.h"
#include "tests/crash/jobs/options.h"

static bool is_positive(struct leat_ctx *ctx, const struct sample *s)
{
    rest(ctx);
    return s->value >= 0;
}
LEAT_DEFINE_FILTER(is_positive, sample);

static void declare(leat_topology *t)
{
    leat_stream *events = leat_file_source(t, "events",
        &(struct leat_file_source_opts){
            .path = path_in(input_dir, "events-*.avro"),
            .type = &sample_type,
            .event_time = "at",
            .max_out_of_orderness_us = LEAT_SECONDS(2),
        });
    leat_stream *positive = leat_filter(events, "positive", &is_positive_filter);
    leat_keyed_stream *by_key = leat_group_by(positive, "by-key", "key");
    leat_windowed_stream *windows = leat_window(by_key, "ten-seconds",
        &(struct leat_window_opts){
            .kind = LEAT_WINDOW_TUMBLING,
            .size_us = LEAT_SECONDS(10),
            .allowed_lateness_us = LEAT_SECONDS(5),
            .triggers = { LEAT_ON_WATERMARK },
        });
    leat_stream *totals = leat_aggregate(windows, "totals",
        &(struct leat_aggregate_opts){
            .aggs = { LEAT_COUNT("count"), LEAT_SUM("value", "total"), LEAT_MAX("value", "largest") },
            .out = &key_window_type,
        });
    leat_file_sink(totals, "write-totals",
        &(struct leat_file_sink_opts){
            .path = path_in(output_dir, "totals"), .codec = "deflate", .overwrite = true });
    leat_file_sink(positive, "write-passed",
        &(struct leat_file_sink_opts){
            .path = path_in(output_dir, "passed"), .format = LEAT_FORMAT_JSON, .part_bytes_max = 16 * 1024 });
    leat_file_sink(leat_late_records(windows), "write-late",
        &(struct leat_file_sink_opts){
            .path = path_in(output_dir, "late"), .format = LEAT_FORMAT_JSON, .overwrite = true });
}

int main(int argc, char **argv)
{
    const int kept = take_options(argc, argv);
    leat_topology *t = leat_topology_new("crash-windows");
    declare(t);
    return leat_main(kept, argv, t, NULL);
}
