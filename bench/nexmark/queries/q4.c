/* bench/nexmark/queries/q4.c -- average price for a category: of the winning bids. */
#include "bench/nexmark/nexmark.h"
#include "bench/nexmark/queries/queries.h"
#include "q4_out.h"
#include "category_sum.h"
leat_stream *nexmark_q4(struct nexmark *n)
{
    leat_keyed_stream *by_category = leat_group_by(nexmark_winning_bids(n), "by-category", "category");
    leat_stream *sums = leat_group_aggregate(by_category, "sums",
        &(struct leat_group_aggregate_opts){
            .aggs = { LEAT_COUNT("auctions"), LEAT_SUM("price", "total") },
            .out = &category_sum_type,
            NEXMARK_MINI_BATCH,
        });
    return leat_project(sums, "averages",
        &(struct leat_project_opts){
            .out = &q4_out_type, .fields = { { "coalesce(total / auctions, 0)", "average" } } });
}
