/* tests/kafka/real/jobs/counts.c -- Kafka to Kafka: every message as it is, with where it lay, and its key's count and sum in
 * windows of ten seconds.
 *
 *   events ----> slow ----> copies
 *                  \-----> by-key ----> ten-seconds ----> totals
 */
#include "real_total.h"
#include "tests/kafka/real/jobs/options.h"

static bool is_any(struct leat_ctx *ctx, const struct real_event *e)
{
    (void)e;
    if (ctx->row % ROWS_A_REST == 0 && pace_us > 0)
        (void)nanosleep(
            &(struct timespec){ .tv_sec = pace_us / 1000000, .tv_nsec = pace_us % 1000000 * 1000 }, NULL);
    return true;
}
LEAT_DEFINE_FILTER(is_any, real_event);

int main(int argc, char **argv)
{
    const int kept = take_options(argc, argv);
    leat_topology *t = leat_topology_new(to);
    leat_stream *slow = leat_filter(read_events(t, "events", from), "slow", &is_any_filter);
    write_topic(slow, "copies");
    leat_windowed_stream *windows = leat_window(leat_group_by(slow, "by-key", "key"), "ten-seconds",
        &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = LEAT_SECONDS(10) });
    leat_stream *totals = leat_aggregate(windows, "count",
        &(struct leat_aggregate_opts){
            .aggs = { LEAT_COUNT("count"), LEAT_SUM("value", "total") },
            .out = &real_total_type,
        });
    write_topic(totals, "totals");
    return leat_main(kept, argv, t, NULL);
}
