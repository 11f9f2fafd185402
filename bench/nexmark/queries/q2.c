/* bench/nexmark/queries/q2.c -- selection: the bids for some auctions. */
#include "bench/nexmark/nexmark.h"
#include "bench/nexmark/queries/queries.h"
#include "q2_out.h"
leat_stream *nexmark_q2(struct nexmark *n)
{
    leat_stream *chosen = leat_filter_expr(nexmark_bids(n), "chosen", "auction % 123 = 0");
    return leat_project(chosen, "auction-and-price", &(struct leat_project_opts){ .out = &q2_out_type });
}
