/* bench/nexmark/queries/q17.c -- statistics of auctions: least, most, mean and sum of the prices of each day. */
#include "bench/nexmark/nexmark.h"
#include "bench/nexmark/queries/queries.h"
#include "q17_out.h"
#include "auction_stats.h"

static void in_words(struct leat_ctx *ctx, const struct auction_stats *s, struct q17_out *out)
{
    out->auction = s->auction;
    out->day = nexmark_day_text(ctx, (int32_t)s->day);
    out->total_bids = s->total_bids;
    out->rank1_bids = s->rank1_bids;
    out->rank2_bids = s->rank2_bids;
    out->rank3_bids = s->rank3_bids;
    out->min_price = s->min_price;
    out->max_price = s->max_price;
    out->avg_price = s->sum_price / s->total_bids;
    out->sum_price = s->sum_price;
}
LEAT_DEFINE_MAP(in_words, auction_stats, q17_out);

leat_stream *nexmark_q17(struct nexmark *n)
{
    leat_stream *stats = leat_group_aggregate(leat_group_by(nexmark_bids(n), "by-auction", "auction, epoch_millis(dateTime) / 86400000 as day"), "stats",
        &(struct leat_group_aggregate_opts){
            .aggs = {
                LEAT_COUNT("total_bids"),
                LEAT_COUNT_WHERE(NEXMARK_RANK1, "rank1_bids"),
                LEAT_COUNT_WHERE(NEXMARK_RANK2, "rank2_bids"),
                LEAT_COUNT_WHERE(NEXMARK_RANK3, "rank3_bids"),
                LEAT_MIN("price", "min_price"),
                LEAT_MAX("price", "max_price"),
                LEAT_SUM("price", "sum_price"),
            },
            .out = &auction_stats_type,
            NEXMARK_MINI_BATCH,
        });
    return leat_map(stats, "in-words", &in_words_map);
}
