/* bench/nexmark/nexmark.h -- what the queries see: the three streams of an online auction house, and the list of all
 * queries. Each query is one file in queries/, written with Leat's public API as a user would. */
#ifndef NEXMARK_H
#define NEXMARK_H
#include "auction.h"
#include "bid.h"
#include "person.h"
#include <leat/leat.h>

struct nexmark; /* where the input comes from: input.c */

/* The streams, declared when they are first asked for. Event time is dateTime. */
leat_stream *nexmark_persons(struct nexmark *n);
leat_stream *nexmark_auctions(struct nexmark *n);
leat_stream *nexmark_bids(struct nexmark *n);
/* q13's table of 10,000 rows { key, value }; bounded. */
leat_stream *nexmark_side_input(struct nexmark *n);
leat_topology *nexmark_topology(struct nexmark *n);

struct nexmark_query {
    const char *name, *title;
    leat_stream *(*declare)(struct nexmark *n); /* the result */
    bool by_clock; /* what comes out depends on the wall clock */
};
extern const struct nexmark_query nexmark_queries[];
extern const size_t nexmark_queries_count;

/* Used by several queries. */
leat_stream *nexmark_winning_bids(struct nexmark *n); /* q9's result, of q9_out */
struct leat_sv nexmark_day_text(struct leat_ctx *ctx, int32_t day); /* "2015-07-15" */
struct leat_sv nexmark_minute_text(struct leat_ctx *ctx, int32_t minute); /* of the day: "23:59" */
int32_t nexmark_day(int64_t time_ms);

/* What a price is: below 10,000; below 1,000,000; more. */
#define NEXMARK_RANK1 "price < 10000"
#define NEXMARK_RANK2 "price >= 10000 and price < 1000000"
#define NEXMARK_RANK3 "price >= 1000000"

/* Changes of results are told together after so many rows or so long. */
#define NEXMARK_MINI_BATCH .mini_batch_us = LEAT_SECONDS(2), .mini_batch_rows = 50000
#endif
