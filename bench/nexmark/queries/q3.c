/* bench/nexmark/queries/q3.c -- local item suggestion: who sells things of category 10 in OR, ID, CA? */
#include "bench/nexmark/nexmark.h"
#include "bench/nexmark/queries/queries.h"
#include "q3_out.h"
leat_stream *nexmark_q3(struct nexmark *n)
{
    leat_stream *items = leat_filter_expr(nexmark_auctions(n), "items", "category = 10");
    leat_stream *local = leat_filter_expr(nexmark_persons(n), "local", "state in ('OR', 'ID', 'CA')");
    return leat_join_tables(items, local, "local-items",
        &(struct leat_join_tables_opts){
            .left_key = "seller",
            .right_key = "id",
            .out = &q3_out_type,
            .fields = { { "left.id", "id" }, { "right.name", "name" } },
        });
}
