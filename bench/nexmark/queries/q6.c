/* bench/nexmark/queries/q6.c -- average selling price by seller: over the last ten auctions of each. */
#include "bench/nexmark/nexmark.h"
#include "bench/nexmark/queries/queries.h"
#include "q6_out.h"
#include "seller_price.h"
#include "seller_sum.h"
leat_stream *nexmark_q6(struct nexmark *n)
{
    leat_stream *prices = leat_project(nexmark_winning_bids(n), "prices",
        &(struct leat_project_opts){
            .out = &seller_price_type,
            .fields = { { "(epoch_millis(dateTime) - 1436918400000) * 1000000000 + auction", "place" } },
        });
    leat_stream *last_ten = leat_top_n(leat_group_by(prices, "by-seller", "seller"), "last-ten",
        &(struct leat_top_n_opts){ .n = 10, .by = "place", .descending = true });
    leat_stream *sums = leat_group_aggregate(leat_group_by(last_ten, "by-seller-again", "seller"), "sums",
        &(struct leat_group_aggregate_opts){
            .aggs = { LEAT_COUNT("auctions"), LEAT_SUM("price", "total") },
            .out = &seller_sum_type,
            NEXMARK_MINI_BATCH,
        });
    return leat_project(sums, "averages",
        &(struct leat_project_opts){
            .out = &q6_out_type, .fields = { { "coalesce(total / auctions, 0)", "average" } } });
}
