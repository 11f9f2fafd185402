/* bench/nexmark/queries/q19.c -- the ten highest bids for each auction, with their ranks. */
#include "bench/nexmark/nexmark.h"
#include "bench/nexmark/queries/queries.h"
#include "q19_out.h"
leat_stream *nexmark_q19(struct nexmark *n)
{
    return leat_top_n(leat_group_by(nexmark_bids(n), "by-auction", "auction"), "ten-highest",
        &(struct leat_top_n_opts){
            .n = 10, .by = "price", .descending = true, .rank = "rank_number", .out = &q19_out_type });
}
