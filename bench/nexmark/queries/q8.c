/* bench/nexmark/queries/q8.c -- monitor new users: who has registered and opened auctions within the same ten seconds? */
#include "bench/nexmark/nexmark.h"
#include "bench/nexmark/queries/queries.h"
#include "q8_out.h"
#include "seller_window.h"

#define TEN_SECONDS \
    { \
        .kind = LEAT_WINDOW_TUMBLING, .size_us = LEAT_SECONDS(10) \
    }

leat_stream *nexmark_q8(struct nexmark *n)
{
    leat_keyed_stream *by_seller = leat_group_by(nexmark_auctions(n), "by-seller", "seller");
    leat_windowed_stream *windows =
        leat_window(by_seller, "ten-seconds", &(struct leat_window_opts)TEN_SECONDS);
    leat_stream *sellers = leat_aggregate(windows, "sellers",
        &(struct leat_aggregate_opts){ .aggs = { LEAT_COUNT("auctions") }, .out = &seller_window_type });
    return leat_window_join(nexmark_persons(n), sellers, "new-sellers",
        &(struct leat_window_join_opts){
            .left_key = "id",
            .right_key = "seller",
            .window = TEN_SECONDS,
            .out = &q8_out_type,
            .fields = { { "left.id", "id" }, { "left.name", "name" }, { "right.window_start", "starttime" } },
        });
}
