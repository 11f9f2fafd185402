/* bench/nexmark/queries/q13.c -- side input: each bid with a row of a small table that ends. */
#include "bench/nexmark/nexmark.h"
#include "bench/nexmark/queries/queries.h"
#include "q13_out.h"
#include "bid_in_slot.h"
#include "side_row.h"

leat_stream *nexmark_q13(struct nexmark *n)
{
    leat_stream *table =
        leat_upsert(nexmark_side_input(n), "table", &(struct leat_upsert_opts){ .key = "key" });
    leat_stream *bids = leat_project(nexmark_bids(n), "in-slots",
        &(struct leat_project_opts){ .out = &bid_in_slot_type, .fields = { { "auction % 10000", "slot" } } });
    return leat_table_join(bids, table, "with-side-input",
        &(struct leat_table_join_opts){
            .left_key = "slot",
            .right_key = "key",
            .broadcast = true,
            .out = &q13_out_type,
        });
}
