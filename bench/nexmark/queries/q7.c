/* bench/nexmark/queries/q7.c -- highest bid: all bids with the highest price of ten seconds. */
#include "bench/nexmark/nexmark.h"
#include "bench/nexmark/queries/queries.h"
#include "bid_in_window.h"
#include "most.h"
#include "q7_out.h"
/* First the highest of each of some groups of bidders, which needs no exchange of all bids, then of these. */
enum { MOST, LEADERS };

static void on_bid(struct leat_ctx *ctx, const struct bid_in_window *bid)
{
    const struct most *most = leat_state_find(ctx, MOST);
    if (most && bid->price < most->value)
        return;
    if (!most)
        leat_timer_set(ctx, LEAT_EVENT_TIME, LEAT_SECONDS(bid->window + 10) - 1);
    else if (bid->price > most->value)
        leat_state_clear(ctx, LEADERS);
    *(struct most *)leat_state(ctx, MOST) = (struct most){ bid->price };
    leat_list_add(ctx, LEADERS, bid);
}

static void on_window_end(struct leat_ctx *ctx, int64_t time_us, enum leat_time_kind kind)
{
    (void)kind;
    (void)time_us;
    for (const struct bid_in_window *leader = NULL; (leader = leat_list_next(ctx, LEADERS, leader)) != NULL;)
        memcpy(leat_out(ctx), leader, sizeof *leader);
    leat_state_clear(ctx, LEADERS);
    leat_state_clear(ctx, MOST);
}
LEAT_DEFINE_PROCESS(highest, bid_in_window, on_bid, on_window_end);

leat_stream *nexmark_q7(struct nexmark *n)
{
    const struct leat_process_opts highest = {
        .fn = &highest_process,
        .state = { LEAT_VALUE("most", &most_type), LEAT_LIST("leaders", &bid_in_window_type) },
        .out = &bid_in_window_type,
    };
    leat_stream *bids = leat_project(nexmark_bids(n), "in-windows",
        &(struct leat_project_opts){
            .out = &bid_in_window_type,
            .fields = { { "epoch_millis(dateTime) / 10000 * 10", "window" },
                { "epoch_millis(dateTime) / 10000 * 16 + bidder % 16", "part" } },
        });
    leat_stream *some = leat_process(leat_group_by(bids, "in-parts", "part"), "highest-of-part", &highest);
    leat_stream *best = leat_process(leat_group_by(some, "by-window", "window"), "highest", &highest);
    return leat_project(best, "bids-without-url", &(struct leat_project_opts){ .out = &q7_out_type });
}
