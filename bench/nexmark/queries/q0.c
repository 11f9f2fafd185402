/* bench/nexmark/queries/q0.c -- pass through: what the engine costs by itself. */
#include "bench/nexmark/nexmark.h"
#include "bench/nexmark/queries/queries.h"
#include "q0_out.h"
leat_stream *nexmark_q0(struct nexmark *n)
{
    return leat_project(
        nexmark_bids(n), "bids-as-they-are", &(struct leat_project_opts){ .out = &q0_out_type });
}
