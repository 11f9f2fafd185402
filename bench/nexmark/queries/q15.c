/* bench/nexmark/queries/q15.c -- bidding statistics of a day: one key, twelve measures. */
#include "bench/nexmark/nexmark.h"
#include "bench/nexmark/queries/queries.h"
#include "q15_out.h"
#include "bid_day.h"
#include "day_stats.h"

#define DISTINCT_WHERE(of_, where_, as_) \
    { \
        .kind = LEAT_AGGREGATE_COUNT_DISTINCT, .of = (of_), .where = (where_), .as = (as_) \
    }

static void with_day(struct leat_ctx *ctx, const struct bid *b, struct bid_day *out)
{
    (void)ctx;
    *out = (struct bid_day){
        .auction = b->auction, .bidder = b->bidder, .price = b->price, .day = nexmark_day(b->dateTime)
    };
}
LEAT_DEFINE_MAP(with_day, bid, bid_day);

static void in_words(struct leat_ctx *ctx, const struct day_stats *s, struct q15_out *out)
{
    out->day = nexmark_day_text(ctx, s->day);
    out->total_bids = s->total_bids;
    out->rank1_bids = s->rank1_bids;
    out->rank2_bids = s->rank2_bids;
    out->rank3_bids = s->rank3_bids;
    out->total_bidders = s->total_bidders;
    out->rank1_bidders = s->rank1_bidders;
    out->rank2_bidders = s->rank2_bidders;
    out->rank3_bidders = s->rank3_bidders;
    out->total_auctions = s->total_auctions;
    out->rank1_auctions = s->rank1_auctions;
    out->rank2_auctions = s->rank2_auctions;
    out->rank3_auctions = s->rank3_auctions;
}
LEAT_DEFINE_MAP(in_words, day_stats, q15_out);

leat_stream *nexmark_q15(struct nexmark *n)
{
    leat_stream *bids = leat_map(nexmark_bids(n), "with-day", &with_day_map);
    leat_stream *stats = leat_group_aggregate(leat_group_by(bids, "by-day", "day"), "stats",
        &(struct leat_group_aggregate_opts){
            .aggs = {
                LEAT_COUNT("total_bids"),
                LEAT_COUNT_WHERE(NEXMARK_RANK1, "rank1_bids"),
                LEAT_COUNT_WHERE(NEXMARK_RANK2, "rank2_bids"),
                LEAT_COUNT_WHERE(NEXMARK_RANK3, "rank3_bids"),
                LEAT_COUNT_DISTINCT("bidder", "total_bidders"),
                DISTINCT_WHERE("bidder", NEXMARK_RANK1, "rank1_bidders"),
                DISTINCT_WHERE("bidder", NEXMARK_RANK2, "rank2_bidders"),
                DISTINCT_WHERE("bidder", NEXMARK_RANK3, "rank3_bidders"),
                LEAT_COUNT_DISTINCT("auction", "total_auctions"),
                DISTINCT_WHERE("auction", NEXMARK_RANK1, "rank1_auctions"),
                DISTINCT_WHERE("auction", NEXMARK_RANK2, "rank2_auctions"),
                DISTINCT_WHERE("auction", NEXMARK_RANK3, "rank3_auctions"),
            },
            .out = &day_stats_type,
            NEXMARK_MINI_BATCH,
        });
    return leat_map(stats, "in-words", &in_words_map);
}
