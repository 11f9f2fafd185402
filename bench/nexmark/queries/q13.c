/* bench/nexmark/queries/q13.c -- side input: each bid with a row of a small table that ends. */
#include "bench/nexmark/nexmark.h"
#include "bench/nexmark/queries/queries.h"
#include "q13_out.h"
#include "side_row.h"

leat_stream *nexmark_q13(struct nexmark *n)
{
    leat_stream *table =
        leat_upsert(nexmark_side_input(n), "table", &(struct leat_upsert_opts){ .key = "key" });
    return leat_table_join(nexmark_bids(n), table, "with-side-input",
        &(struct leat_table_join_opts){
            .left_key = "auction % 10000",
            .right_key = "key",
            .broadcast = true,
            .out = &q13_out_type,
        });
}
