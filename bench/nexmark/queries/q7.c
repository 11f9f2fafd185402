/* bench/nexmark/queries/q7.c -- highest bid: all bids with the highest price of ten seconds. */
#include "nexmark.h"
#include "queries.h"
#include "q7_out.h"
/* First the highest of each of some groups of bidders, which needs no exchange of all bids, then of these. */
enum { LEADERS };

static void on_bid(struct leat_ctx *ctx, const struct q7_out *bid)
{
    const struct q7_out *leader = leat_list_next(ctx, LEADERS, NULL);
    if (leader && bid->price < leader->price)
        return;
    if (leader && bid->price > leader->price)
        leat_state_clear(ctx, LEADERS);
    if (!leader)
        leat_timer_set(ctx, LEAT_EVENT_TIME, (bid->dateTime / 10000 * 10000 + 9999) * 1000);
    leat_list_add(ctx, LEADERS, bid);
}

static void on_window_end(struct leat_ctx *ctx, int64_t time_us, enum leat_time_kind kind)
{
    (void)kind;
    (void)time_us;
    for (const struct q7_out *leader = NULL; (leader = leat_list_next(ctx, LEADERS, leader)) != NULL;)
        memcpy(leat_out(ctx), leader, sizeof *leader);
    leat_state_clear(ctx, LEADERS);
}
LEAT_DEFINE_PROCESS(highest, q7_out, on_bid, on_window_end);

leat_stream *nexmark_q7(struct nexmark *n)
{
    const struct leat_process_opts highest = {
        .fn = &highest_process,
        .state = { LEAT_LIST("leaders", &q7_out_type) },
        .out = &q7_out_type,
    };
    leat_stream *bids =
        leat_project(nexmark_bids(n), "bids-without-url", &(struct leat_project_opts){ .out = &q7_out_type });
    leat_keyed_stream *in_groups =
        leat_group_by(bids, "in-groups", "epoch_millis(dateTime) / 10000, bidder % 16");
    leat_stream *some = leat_process(in_groups, "highest-of-group", &highest);
    return leat_process(
        leat_group_by(some, "by-window", "epoch_millis(dateTime) / 10000"), "highest", &highest);
}
