/* bench/nexmark/queries/q20.c -- bids with their auctions, of category 10: both kept for ever. */
#include "bench/nexmark/nexmark.h"
#include "bench/nexmark/queries/queries.h"
#include "q20_out.h"
leat_stream *nexmark_q20(struct nexmark *n)
{
    leat_stream *items = leat_filter_expr(nexmark_auctions(n), "items", "category = 10");
    return leat_join_tables(nexmark_bids(n), items, "bids-with-auctions",
        &(struct leat_join_tables_opts){
            .left_key = "auction",
            .right_key = "id",
            .out = &q20_out_type,
            .fields = { { "left.dateTime", "bid_dateTime" }, { "left.extra", "bid_extra" },
                { "right.dateTime", "auction_dateTime" }, { "right.extra", "auction_extra" } },
        });
}
