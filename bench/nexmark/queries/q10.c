/* bench/nexmark/queries/q10.c -- log to files: each bid with its day and minute. */
#include "bench/nexmark/nexmark.h"
#include "bench/nexmark/queries/queries.h"
#include "q10_out.h"
leat_stream *nexmark_q10(struct nexmark *n)
{
    return leat_project(nexmark_bids(n), "log",
        &(struct leat_project_opts){
            .out = &q10_out_type,
            .fields = { { "substring(format_timestamp(dateTime), 1, 10)", "dt" },
                { "substring(format_timestamp(dateTime), 12, 5)", "hm" } },
        });
}
