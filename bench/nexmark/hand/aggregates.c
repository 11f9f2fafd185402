/* bench/nexmark/hand/aggregates.c -- q15, q16, q17: a result per key over all bids, given once at the end. */
#include "hand.h"
#include "q15_out.h"
#include "q16_out.h"
#include "q17_out.h"
#include <stdio.h>
#include <stdlib.h>

#define RANKS 3
#define DAY_MS 86400000
#define TEXT_BYTES 16u

static int rank_of(int64_t price)
{
    return price < 10000 ? 0 : price < 1000000 ? 1 : 2;
}

/* Bids, bidders, auctions; of all prices, then by rank. */
struct stats {
    int64_t bids[1 + RANKS], bidders[1 + RANKS], auctions[1 + RANKS];
    int64_t last_ms;
    struct leat_sv channel;
};

/* `seen`: of an id, a bit for all prices and one for each rank. */
static void count_distinct(uint8_t *seen, int rank, int64_t counts[1 + RANKS])
{
    const uint8_t bits = (uint8_t)(1u | 2u << rank);
    if ((*seen & bits) == bits)
        return;
    counts[0] += !(*seen & 1u);
    counts[1 + rank]++;
    *seen |= bits;
}

static void count_bid(struct stats *s, const struct bid *b, uint8_t *bidder, uint8_t *auction)
{
    const int rank = rank_of(b->price);
    s->bids[0]++;
    s->bids[1 + rank]++;
    count_distinct(bidder, rank, s->bidders);
    count_distinct(auction, rank, s->auctions);
}

static struct leat_sv day_text(int64_t day, char text[TEXT_BYTES])
{
    const int64_t since = day + 719468, in_era = since % 146097;
    const int64_t year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    const int64_t in_year = in_era - (365 * year + year / 4 - year / 100), month = (5 * in_year + 2) / 153;
    const int len =
        snprintf(text, TEXT_BYTES, "%04d-%02d-%02d", (int)(since / 146097 * 400 + year + (month >= 10)),
            (int)(month < 10 ? month + 3 : month - 9), (int)(in_year - (153 * month + 2) / 5 + 1));
    return (struct leat_sv){ text, (size_t)len };
}

#define SET_STATS(row_, s_) \
    do { \
        (row_)->total_bids = (s_)->bids[0]; \
        (row_)->rank1_bids = (s_)->bids[1]; \
        (row_)->rank2_bids = (s_)->bids[2]; \
        (row_)->rank3_bids = (s_)->bids[3]; \
        (row_)->total_bidders = (s_)->bidders[0]; \
        (row_)->rank1_bidders = (s_)->bidders[1]; \
        (row_)->rank2_bidders = (s_)->bidders[2]; \
        (row_)->rank3_bidders = (s_)->bidders[3]; \
        (row_)->total_auctions = (s_)->auctions[0]; \
        (row_)->rank1_auctions = (s_)->auctions[1]; \
        (row_)->rank2_auctions = (s_)->auctions[2]; \
        (row_)->rank3_auctions = (s_)->auctions[3]; \
    } while (0)

void hand_q15(const struct nexmark_bytes *avro, struct hand_out *out)
{
    struct hand_table bidders, auctions, days;
    hand_table_init(&bidders, 1);
    hand_table_init(&auctions, 1);
    hand_table_init(&days, sizeof(struct stats));
    HAND_EACH(avro, NEXMARK_BID, bid, b)
    {
        const int64_t day = b.dateTime / DAY_MS;
        count_bid(hand_find(&days, day, 0, true), &b, hand_find(&bidders, b.bidder, day, true),
            hand_find(&auctions, b.auction, day, true));
    }
    char *texts = hand_alloc(days.slots * TEXT_BYTES);
    for (size_t i = 0; i < days.slots; i++)
        if (days.used[i]) {
            const struct stats *s = (const struct stats *)days.values + i;
            struct q15_out *row = HAND_ROW(out, q15_out);
            row->day = day_text(days.keys[2 * i], texts + i * TEXT_BYTES);
            SET_STATS(row, s);
        }
    hand_flush(out);
    free(texts);
    hand_table_free(&bidders);
    hand_table_free(&auctions);
    hand_table_free(&days);
}

/* 64 bits of a text: the channels are few enough that none share them. */
static int64_t text_number(struct leat_sv text)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < text.len; i++)
        h = (h ^ (unsigned char)text.data[i]) * UINT64_C(0x100000001b3);
    return (int64_t)h;
}

void hand_q16(const struct nexmark_bytes *avro, struct hand_out *out)
{
    struct hand_table bidders, auctions, channels;
    hand_table_init(&bidders, 1);
    hand_table_init(&auctions, 1);
    hand_table_init(&channels, sizeof(struct stats));
    HAND_EACH(avro, NEXMARK_BID, bid, b)
    {
        const int64_t day = b.dateTime / DAY_MS, channel = text_number(b.channel) ^ day;
        struct stats *s = hand_find(&channels, channel, day, true);
        s->channel = b.channel;
        if (b.dateTime > s->last_ms)
            s->last_ms = b.dateTime;
        count_bid(s, &b, hand_find(&bidders, b.bidder, channel, true),
            hand_find(&auctions, b.auction, channel, true));
    }
    char *texts = hand_alloc(2 * channels.slots * TEXT_BYTES);
    for (size_t i = 0; i < channels.slots; i++)
        if (channels.used[i]) {
            const struct stats *s = (const struct stats *)channels.values + i;
            struct q16_out *row = HAND_ROW(out, q16_out);
            char *minute = texts + (2 * i + 1) * TEXT_BYTES;
            row->channel = s->channel;
            row->day = day_text(channels.keys[2 * i + 1], texts + 2 * i * TEXT_BYTES);
            const int of_day = (int)(s->last_ms / 60000 % 1440);
            row->minute = (struct leat_sv){ minute,
                (size_t)snprintf(minute, TEXT_BYTES, "%02d:%02d", of_day / 60, of_day % 60) };
            SET_STATS(row, s);
        }
    hand_flush(out);
    free(texts);
    hand_table_free(&bidders);
    hand_table_free(&auctions);
    hand_table_free(&channels);
}

struct prices {
    int64_t bids[1 + RANKS], least, most, sum;
};

void hand_q17(const struct nexmark_bytes *avro, struct hand_out *out)
{
    struct hand_table t;
    hand_table_init(&t, sizeof(struct prices));
    HAND_EACH(avro, NEXMARK_BID, bid, b)
    {
        struct prices *s = hand_find(&t, b.auction, b.dateTime / DAY_MS, true);
        if (s->bids[0]++ == 0 || b.price < s->least)
            s->least = b.price;
        if (b.price > s->most)
            s->most = b.price;
        s->bids[1 + rank_of(b.price)]++;
        s->sum += b.price;
    }
    char *texts = hand_alloc(t.slots * TEXT_BYTES);
    for (size_t i = 0; i < t.slots; i++)
        if (t.used[i]) {
            const struct prices *s = (const struct prices *)t.values + i;
            *HAND_ROW(out, q17_out) = (struct q17_out){ t.keys[2 * i],
                day_text(t.keys[2 * i + 1], texts + i * TEXT_BYTES), s->bids[0], s->bids[1], s->bids[2],
                s->bids[3], s->least, s->most, s->sum / s->bids[0], s->sum };
        }
    hand_flush(out);
    free(texts);
    hand_table_free(&t);
}
