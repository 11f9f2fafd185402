/* bench/nexmark/queries/q9.c -- winning bids: the highest bid for each auction, the earlier of equal ones. */
#include "bench/nexmark/nexmark.h"
#include "bench/nexmark/queries/queries.h"
#include "q9_out.h"
#include "best_bid.h"
#include "offer.h"

#define EARLY_KEPT_US LEAT_SECONDS(60)

/* A bid may come before its auction, since each comes from a stream of its own. What counts are the times: bids from the
 * auction's to its end, both included. */
enum { BEST, EARLY };

static void as_offer_of_auction(struct leat_ctx *ctx, const struct auction *a, struct offer *out)
{
    (void)ctx;
    *out = (struct offer){ .is_auction = true,
        .auction = a->id,
        .seller = a->seller,
        .category = a->category,
        .expires = a->expires,
        .dateTime = a->dateTime };
}
LEAT_DEFINE_MAP(as_offer_of_auction, auction, offer);

static void as_offer_of_bid(struct leat_ctx *ctx, const struct bid *b, struct offer *out)
{
    (void)ctx;
    *out = (struct offer){
        .auction = b->auction, .bidder = b->bidder, .price = b->price, .dateTime = b->dateTime
    };
}
LEAT_DEFINE_MAP(as_offer_of_bid, bid, offer);

static bool is_better(const struct best_bid *best, const struct offer *bid)
{
    const bool is_valid = bid->dateTime >= best->opened && bid->dateTime <= best->expires;
    return is_valid &&
        (bid->price > best->price || (bid->price == best->price && bid->dateTime < best->dateTime));
}

static void take(struct best_bid *best, const struct offer *bid)
{
    best->bidder = bid->bidder;
    best->price = bid->price;
    best->dateTime = bid->dateTime;
}

static void on_auction(struct leat_ctx *ctx, const struct offer *a)
{
    struct best_bid *best = leat_state(ctx, BEST);
    best->seller = a->seller;
    best->category = a->category;
    best->opened = a->dateTime;
    best->expires = a->expires;
    for (const struct offer *bid = NULL; (bid = leat_list_next(ctx, EARLY, bid)) != NULL;)
        if (is_better(best, bid))
            take(best, bid);
    leat_state_clear(ctx, EARLY);
    leat_timer_set(ctx, LEAT_EVENT_TIME, a->expires * 1000);
}

static void on_early_bid(struct leat_ctx *ctx, const struct offer *bid)
{
    if (!leat_list_next(ctx, EARLY, NULL))
        leat_timer_set(ctx, LEAT_EVENT_TIME, bid->dateTime * 1000 + EARLY_KEPT_US);
    leat_list_add(ctx, EARLY, bid);
}

static void on_offer(struct leat_ctx *ctx, const struct offer *o)
{
    const struct best_bid *best = leat_state_find(ctx, BEST);
    if (o->is_auction)
        on_auction(ctx, o);
    else if (!best)
        on_early_bid(ctx, o);
    else if (is_better(best, o))
        take(leat_state(ctx, BEST), o);
}

/* The auction is over; or the time of the first early bid is long past, and an auction that comes now was opened
 * later. */
static void on_time(struct leat_ctx *ctx, int64_t time_us, enum leat_time_kind kind)
{
    const struct best_bid *best = leat_state_find(ctx, BEST);
    (void)kind;
    leat_state_clear(ctx, EARLY);
    if (!best || time_us < best->expires * 1000)
        return;
    if (best->price > 0) {
        struct q9_out *out = leat_out(ctx);
        out->auction = leat_key_i64(ctx, 0);
        out->seller = best->seller;
        out->category = best->category;
        out->expires = best->expires;
        out->bidder = best->bidder;
        out->price = best->price;
        out->dateTime = best->dateTime;
    }
    leat_state_clear(ctx, BEST);
}
LEAT_DEFINE_PROCESS(winning, offer, on_offer, on_time);

leat_stream *nexmark_winning_bids(struct nexmark *n)
{
    leat_stream *const offers[] = {
        leat_map(nexmark_auctions(n), "auctions-offered", &as_offer_of_auction_map),
        leat_map(nexmark_bids(n), "bids-offered", &as_offer_of_bid_map),
    };
    leat_keyed_stream *by_auction = leat_group_by(leat_union(offers, 2, "offers"), "by-auction", "auction");
    return leat_process(by_auction, "winning-bids",
        &(struct leat_process_opts){
            .fn = &winning_process,
            .state = { LEAT_VALUE("best", &best_bid_type), LEAT_LIST("early", &offer_type) },
            .out = &q9_out_type,
        });
}

leat_stream *nexmark_q9(struct nexmark *n)
{
    return nexmark_winning_bids(n);
}
