/* bench/nexmark/queries/q11.c -- user sessions: how many bids did somebody make without a break of ten seconds? */
#include "bench/nexmark/nexmark.h"
#include "bench/nexmark/queries/queries.h"
#include "q11_out.h"
#include "bidder_session.h"
leat_stream *nexmark_q11(struct nexmark *n)
{
    leat_keyed_stream *by_bidder = leat_group_by(nexmark_bids(n), "by-bidder", "bidder");
    leat_windowed_stream *sessions = leat_window(by_bidder, "sessions",
        &(struct leat_window_opts){ .kind = LEAT_WINDOW_SESSION, .gap_us = LEAT_SECONDS(10) });
    leat_stream *counts = leat_aggregate(sessions, "counts",
        &(struct leat_aggregate_opts){ .aggs = { LEAT_COUNT("bid_count") }, .out = &bidder_session_type });
    return leat_project(counts, "named",
        &(struct leat_project_opts){
            .out = &q11_out_type,
            .fields = { { "window_start", "starttime" }, { "window_end", "endtime" } },
        });
}
