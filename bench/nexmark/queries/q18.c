/* bench/nexmark/queries/q18.c -- last bid: of each bidder for each auction. */
#include "bench/nexmark/nexmark.h"
#include "bench/nexmark/queries/queries.h"
leat_stream *nexmark_q18(struct nexmark *n)
{
    return leat_deduplicate(leat_group_by(nexmark_bids(n), "by-pair", "bidder, auction"), "last-bids",
        &(struct leat_deduplicate_opts){
            .keep = LEAT_KEEP_LAST, .by_event_time = true, .within_us = LEAT_NEVER });
}
