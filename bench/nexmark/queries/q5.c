/* bench/nexmark/queries/q5.c -- hot items: the auctions with the most bids of the last ten seconds, every two seconds. */
#include "bench/nexmark/nexmark.h"
#include "bench/nexmark/queries/queries.h"
#include "q5_out.h"
#include "hottest.h"
#include "most.h"
#include "auction_count.h"

/* All counts of a window come with its last moment as their time, before the watermark passes it. */
enum { MOST, LEADERS };

static void on_count(struct leat_ctx *ctx, const struct auction_count *c)
{
    const struct most *most = leat_state_find(ctx, MOST);
    if (most && c->num < most->value)
        return;
    if (!most)
        leat_timer_set(ctx, LEAT_EVENT_TIME, leat_ctx_event_us(ctx));
    else if (c->num > most->value)
        leat_state_clear(ctx, LEADERS);
    *(struct most *)leat_state(ctx, MOST) = (struct most){ c->num };
    leat_list_add(ctx, LEADERS, &(struct hottest){ .auction = c->auction, .num = c->num });
}

static void on_window_end(struct leat_ctx *ctx, int64_t time_us, enum leat_time_kind kind)
{
    (void)kind;
    for (const struct hottest *leader = NULL; (leader = leat_list_next(ctx, LEADERS, leader)) != NULL;) {
        struct q5_out *out = leat_out(ctx);
        out->auction = leader->auction;
        out->num = leader->num;
        out->windowEnd = (time_us + 1) / 1000;
    }
    leat_state_clear(ctx, LEADERS);
    leat_state_clear(ctx, MOST);
}
LEAT_DEFINE_PROCESS(hottest, auction_count, on_count, on_window_end);

leat_stream *nexmark_q5(struct nexmark *n)
{
    leat_keyed_stream *by_auction = leat_group_by(nexmark_bids(n), "by-auction", "auction");
    leat_windowed_stream *windows = leat_window(by_auction, "ten-seconds",
        &(struct leat_window_opts){
            .kind = LEAT_WINDOW_HOPPING, .size_us = LEAT_SECONDS(10), .slide_us = LEAT_SECONDS(2) });
    leat_stream *counts = leat_aggregate(windows, "counts",
        &(struct leat_aggregate_opts){ .aggs = { LEAT_COUNT("num") }, .out = &auction_count_type });
    return leat_process(leat_group_by(counts, "by-window", "window_end"), "hottest",
        &(struct leat_process_opts){
            .fn = &hottest_process,
            .state = { LEAT_VALUE("most", &most_type), LEAT_LIST("leaders", &hottest_type) },
            .out = &q5_out_type,
        });
}
