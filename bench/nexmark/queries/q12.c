/* bench/nexmark/queries/q12.c -- windows of the wall clock: how many bids does somebody make in ten seconds as they pass? */
#include "bench/nexmark/nexmark.h"
#include "bench/nexmark/queries/queries.h"
#include "q12_out.h"
#include "bid_counter.h"

#define WINDOW_US LEAT_SECONDS(10)

enum { COUNTER };

static void on_bid(struct leat_ctx *ctx, const struct bid *b)
{
    struct bid_counter *c = leat_state(ctx, COUNTER);
    (void)b;
    if (c->n++ > 0)
        return;
    c->ends_at = (leat_ctx_now_us(ctx) / WINDOW_US + 1) * WINDOW_US;
    leat_timer_set(ctx, LEAT_PROCESSING_TIME, c->ends_at);
    leat_timer_set(ctx, LEAT_EVENT_TIME, LEAT_TIME_MAX); /* the input may end before */
}

static void on_time(struct leat_ctx *ctx, int64_t time_us, enum leat_time_kind kind)
{
    const struct bid_counter *c = leat_state_find(ctx, COUNTER);
    (void)time_us;
    (void)kind;
    if (!c)
        return;
    struct q12_out *out = leat_out(ctx);
    out->bidder = leat_key_i64(ctx, 0);
    out->bid_count = c->n;
    out->starttime = (c->ends_at - WINDOW_US) / 1000;
    out->endtime = c->ends_at / 1000;
    leat_state_clear(ctx, COUNTER);
}
LEAT_DEFINE_PROCESS(count_by_clock, bid, on_bid, on_time);

leat_stream *nexmark_q12(struct nexmark *n)
{
    return leat_process(leat_group_by(nexmark_bids(n), "by-bidder", "bidder"), "counts",
        &(struct leat_process_opts){
            .fn = &count_by_clock_process,
            .state = { LEAT_VALUE("counter", &bid_counter_type) },
            .out = &q12_out_type,
        });
}
