/* bench/nexmark/queries/queries.c -- the list of all queries, and what several of them use. */
#include "bench/nexmark/queries/queries.h"

#define DAY_BYTES 10u
#define MINUTE_BYTES 5u

const struct nexmark_query nexmark_queries[] = {
    { "q0", "pass through", nexmark_q0, false },
    { "q1", "currency", nexmark_q1, false },
    { "q2", "selection", nexmark_q2, false },
    { "q3", "local item suggestion", nexmark_q3, false },
    { "q4", "average price for a category", nexmark_q4, false },
    { "q5", "hot items", nexmark_q5, false },
    { "q6", "average selling price by seller", nexmark_q6, false },
    { "q7", "highest bid", nexmark_q7, false },
    { "q8", "monitor new users", nexmark_q8, false },
    { "q9", "winning bids", nexmark_q9, false },
    { "q10", "log to files", nexmark_q10, false },
    { "q11", "user sessions", nexmark_q11, false },
    { "q12", "windows of the wall clock", nexmark_q12, true },
    { "q13", "side input", nexmark_q13, false },
    { "q14", "calculation", nexmark_q14, false },
    { "q15", "bidding statistics of a day", nexmark_q15, false },
    { "q16", "statistics of channels", nexmark_q16, false },
    { "q17", "statistics of auctions", nexmark_q17, false },
    { "q18", "last bid", nexmark_q18, false },
    { "q19", "ten highest bids", nexmark_q19, false },
    { "q20", "bids with their auctions", nexmark_q20, false },
    { "q21", "channel id", nexmark_q21, false },
    { "q22", "url directories", nexmark_q22, false },
};
const size_t nexmark_queries_count = sizeof nexmark_queries / sizeof nexmark_queries[0];

int32_t nexmark_day(int64_t time_ms)
{
    const int64_t day_ms = INT64_C(86400000);
    return (int32_t)(time_ms / day_ms - (time_ms % day_ms < 0));
}

static void put_digits(char *to, int32_t value, int digits)
{
    for (int i = digits - 1; i >= 0; i--, value /= 10)
        to[i] = (char)('0' + value % 10);
}

/* Days are counted from 1 March of the year 0, so that the leap day is the last of its year. */
struct leat_sv nexmark_day_text(struct leat_ctx *ctx, int32_t day)
{
    const int32_t since = day + 719468; /* years 0 to 9999 */
    const int32_t era = since / 146097, in_era = since % 146097;
    const int32_t year_of_era = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    const int32_t in_year = in_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const int32_t month = (5 * in_year + 2) / 153;
    const int32_t of_month = in_year - (153 * month + 2) / 5 + 1;
    char *text = leat_alloc(ctx, DAY_BYTES);
    if (!text)
        return LEAT_SV("");
    put_digits(text, era * 400 + year_of_era + (month >= 10), 4);
    put_digits(text + 5, month < 10 ? month + 3 : month - 9, 2);
    put_digits(text + 8, of_month, 2);
    text[4] = text[7] = '-';
    return (struct leat_sv){ text, DAY_BYTES };
}

struct leat_sv nexmark_minute_text(struct leat_ctx *ctx, int32_t minute)
{
    char *text = leat_alloc(ctx, MINUTE_BYTES);
    if (!text)
        return LEAT_SV("");
    put_digits(text, minute / 60, 2);
    put_digits(text + 3, minute % 60, 2);
    text[2] = ':';
    return (struct leat_sv){ text, MINUTE_BYTES };
}
