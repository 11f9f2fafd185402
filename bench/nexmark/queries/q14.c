/* bench/nexmark/queries/q14.c -- calculation: a price in another currency, the time of day, letters counted. */
#include "bench/nexmark/nexmark.h"
#include "bench/nexmark/queries/queries.h"
#include "q14_out.h"
static const char *time_of_day(int64_t time_ms)
{
    const int64_t hour = time_ms / 3600000 % 24;
    return hour >= 8 && hour <= 18 ? "dayTime" : hour <= 6 || hour >= 20 ? "nightTime" : "otherTime";
}

static int64_t count_char(struct leat_sv text, char c)
{
    int64_t n = 0;
    for (size_t i = 0; i < text.len; i++)
        n += text.data[i] == c;
    return n;
}

static void look_closer(struct leat_ctx *ctx, const struct bid *b, struct q14_out *out)
{
    (void)ctx;
    out->auction = b->auction;
    out->bidder = b->bidder;
    out->price = b->price * 908;
    out->bidTimeType = leat_sv_of(time_of_day(b->dateTime));
    out->dateTime = b->dateTime;
    out->extra = b->extra;
    out->c_counts = count_char(b->extra, 'c');
}
LEAT_DEFINE_MAP(look_closer, bid, q14_out);

leat_stream *nexmark_q14(struct nexmark *n)
{
    leat_stream *middle = leat_filter_expr(
        nexmark_bids(n), "middle-prices", "price * 908 > 1000000000 and price * 908 < 50000000000");
    return leat_map(middle, "looked-at", &look_closer_map);
}
