/* bench/nexmark/hand/stateless.c -- q0, q1, q2, q10, q14, q21, q22: one record at a time. */
#include "bench/nexmark/hand/hand.h"
#include "q0_out.h"
#include "q10_out.h"
#include "q14_out.h"
#include "q1_out.h"
#include "q21_out.h"
#include "q22_out.h"
#include "q2_out.h"
#include <strings.h>

void hand_q0(const struct nexmark_bytes *avro, struct hand_out *out)
{
    HAND_EACH(avro, NEXMARK_BID, bid, b)
    {
        struct q0_out *row = HAND_ROW(out, q0_out);
        row->auction = b.auction;
        row->bidder = b.bidder;
        row->price = b.price;
        row->dateTime = b.dateTime;
        row->extra = b.extra;
    }
}

void hand_q1(const struct nexmark_bytes *avro, struct hand_out *out)
{
    HAND_EACH(avro, NEXMARK_BID, bid, b)
    {
        struct q1_out *row = HAND_ROW(out, q1_out);
        row->auction = b.auction;
        row->bidder = b.bidder;
        row->price = b.price * 908;
        row->dateTime = b.dateTime;
        row->extra = b.extra;
    }
}

void hand_q2(const struct nexmark_bytes *avro, struct hand_out *out)
{
    HAND_EACH(avro, NEXMARK_BID, bid, b)
    {
        if (b.auction % 123 != 0)
            continue;
        struct q2_out *row = HAND_ROW(out, q2_out);
        row->auction = b.auction;
        row->price = b.price;
    }
}

/* The texts of a minute serve all its bids. */
void hand_q10(const struct nexmark_bytes *avro, struct hand_out *out)
{
    char day_text[HAND_TEXT], minute_text[HAND_TEXT];
    struct leat_sv dt = { NULL, 0 }, hm = { NULL, 0 };
    int64_t minute = INT64_MIN;
    HAND_EACH(avro, NEXMARK_BID, bid, b)
    {
        if (b.dateTime / 60000 != minute) {
            hand_flush(out); /* the texts change */
            minute = b.dateTime / 60000;
            dt = hand_day_text(b.dateTime / 86400000, day_text);
            hm = hand_minute_text(b.dateTime, minute_text);
        }
        struct q10_out *row = HAND_ROW(out, q10_out);
        row->auction = b.auction;
        row->bidder = b.bidder;
        row->price = b.price;
        row->dateTime = b.dateTime;
        row->extra = b.extra;
        row->dt = dt;
        row->hm = hm;
    }
    hand_flush(out);
}

void hand_q14(const struct nexmark_bytes *avro, struct hand_out *out)
{
    HAND_EACH(avro, NEXMARK_BID, bid, b)
    {
        const int64_t price = b.price * 908, hour = b.dateTime / 3600000 % 24;
        if (price <= INT64_C(1000000000) || price >= INT64_C(50000000000))
            continue;
        struct q14_out *row = HAND_ROW(out, q14_out);
        row->auction = b.auction;
        row->bidder = b.bidder;
        row->price = price;
        row->bidTimeType = hour >= 8 && hour <= 18 ? LEAT_SV("dayTime")
            : hour <= 6 || hour >= 20              ? LEAT_SV("nightTime")
                                                   : LEAT_SV("otherTime");
        row->dateTime = b.dateTime;
        row->extra = b.extra;
        row->c_counts = 0;
        for (size_t i = 0; i < b.extra.len; i++)
            row->c_counts += b.extra.data[i] == 'c';
    }
}

static bool is(struct leat_sv text, const char *word)
{
    const size_t len = strlen(word);
    return text.len == len && strncasecmp(text.data, word, len) == 0;
}

static struct leat_sv channel_id(const struct bid *b)
{
    static const char name[] = "&channel_id=";
    if (is(b->channel, "apple"))
        return LEAT_SV("0");
    if (is(b->channel, "google"))
        return LEAT_SV("1");
    if (is(b->channel, "facebook"))
        return LEAT_SV("2");
    if (is(b->channel, "baidu"))
        return LEAT_SV("3");
    const char *const end = b->url.data + b->url.len;
    for (const char *at = b->url.data; (at = memchr(at, '&', (size_t)(end - at))) != NULL; at++)
        if ((size_t)(end - at) >= sizeof name - 1 && memcmp(at, name, sizeof name - 1) == 0) {
            at += sizeof name - 1;
            const char *stop = memchr(at, '&', (size_t)(end - at));
            return (struct leat_sv){ at, (size_t)((stop ? stop : end) - at) };
        }
    return (struct leat_sv){ NULL, 0 };
}

void hand_q21(const struct nexmark_bytes *avro, struct hand_out *out)
{
    HAND_EACH(avro, NEXMARK_BID, bid, b)
    {
        const struct leat_sv id = channel_id(&b);
        if (!id.data)
            continue;
        struct q21_out *row = HAND_ROW(out, q21_out);
        row->auction = b.auction;
        row->bidder = b.bidder;
        row->price = b.price;
        row->channel = b.channel;
        row->channel_id = id;
    }
}

static const char *until_slash(const char *at, const char *end, struct leat_sv *part)
{
    const char *slash = memchr(at, '/', (size_t)(end - at));
    *part = (struct leat_sv){ at, (size_t)((slash ? slash : end) - at) };
    return slash ? slash + 1 : end;
}

void hand_q22(const struct nexmark_bytes *avro, struct hand_out *out)
{
    HAND_EACH(avro, NEXMARK_BID, bid, b)
    {
        const char *at = b.url.data, *const end = at + b.url.len;
        struct leat_sv skipped;
        struct q22_out *row = HAND_ROW(out, q22_out);
        row->auction = b.auction;
        row->bidder = b.bidder;
        row->price = b.price;
        row->channel = b.channel;
        for (int i = 0; i < 3; i++)
            at = until_slash(at, end, &skipped);
        at = until_slash(at, end, &row->dir1);
        at = until_slash(at, end, &row->dir2);
        (void)until_slash(at, end, &row->dir3);
    }
}
