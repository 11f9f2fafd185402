/* bench/nexmark/queries/q1.c -- currency: dollars to euros, exact in thousandths of a cent. */
#include "bench/nexmark/nexmark.h"
#include "bench/nexmark/queries/queries.h"
#include "q1_out.h"
leat_stream *nexmark_q1(struct nexmark *n)
{
    return leat_project(nexmark_bids(n), "in-euros",
        &(struct leat_project_opts){ .out = &q1_out_type, .fields = { { "price * 908", "price" } } });
}
