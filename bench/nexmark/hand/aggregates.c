/* bench/nexmark/hand/aggregates.c -- q15, q16, q17: a result per key over all bids. After each MINI_BATCH bids the results that
 * have changed are given: what was given before is taken back. */
#include "bench/nexmark/hand/hand.h"
#include "q15_out.h"
#include "q16_out.h"
#include "q17_out.h"
#include <stdlib.h>

#define RANKS 3
#define DAY_MS 86400000
#define TEXT_BYTES 16u
#define MINI_BATCH 50000u

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

static char *put_digits(char *to, int64_t value, int digits)
{
    for (int i = digits - 1; i >= 0; i--, value /= 10)
        to[i] = (char)('0' + value % 10);
    return to + digits;
}

static struct leat_sv day_text(int64_t day, char text[TEXT_BYTES])
{
    const int64_t since = day + 719468, in_era = since % 146097;
    const int64_t year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    const int64_t in_year = in_era - (365 * year + year / 4 - year / 100), month = (5 * in_year + 2) / 153;
    char *at = put_digits(text, since / 146097 * 400 + year + (month >= 10), 4);
    *at++ = '-';
    at = put_digits(at, month < 10 ? month + 3 : month - 9, 2);
    *at++ = '-';
    (void)put_digits(at, in_year - (153 * month + 2) / 5 + 1, 2);
    return (struct leat_sv){ text, 10 };
}

static struct leat_sv minute_text(int64_t ms, char text[TEXT_BYTES])
{
    char *at = put_digits(text, ms / 3600000 % 24, 2);
    *at++ = ':';
    (void)put_digits(at, ms / 60000 % 60, 2);
    return (struct leat_sv){ text, 5 };
}

/* Keys whose results have changed. */
struct changed {
    int64_t *keys; /* two each */
    size_t count, capacity;
    uint32_t bids;
};

static void note(struct changed *c, int64_t a, int64_t b)
{
    if (c->count == c->capacity) {
        c->capacity = c->capacity * 2 + 1024;
        c->keys = realloc(c->keys, 2 * c->capacity * sizeof *c->keys);
        if (!c->keys)
            abort();
    }
    c->keys[2 * c->count] = a;
    c->keys[2 * c->count++ + 1] = b;
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

/* What is known of a key, and what was given of it; texts of rows that are not flushed lie in a block of their own. */
struct known {
    struct stats now, given;
    bool has_given, waits;
    char day[TEXT_BYTES], minute[2][TEXT_BYTES];
};

typedef void give_fn(struct hand_out *out, struct known *k, const struct stats *s, int64_t key[2], bool back);

static void give_changed(struct changed *c, struct hand_table *t, struct hand_out *out, give_fn *give)
{
    for (size_t i = 0; i < c->count; i++) {
        struct known *k = hand_find(t, c->keys[2 * i], c->keys[2 * i + 1], false);
        if (k->has_given)
            give(out, k, &k->given, &c->keys[2 * i], true);
        give(out, k, &k->now, &c->keys[2 * i], false);
        k->given = k->now;
        k->has_given = true;
        k->waits = false;
    }
    hand_flush(out); /* the texts may move */
    c->count = 0;
    c->bids = 0;
}

/* Notes that a bid has changed a key. */
static void count_for(struct changed *c, int64_t a, int64_t b, struct known *k)
{
    if (!k->waits)
        note(c, a, b);
    k->waits = true;
    c->bids++;
}

static enum leat_change change_of(const struct known *k, bool back)
{
    return back ? LEAT_UPDATE_BEFORE : k->has_given ? LEAT_UPDATE_AFTER : LEAT_INSERT;
}

static void give_day(struct hand_out *out, struct known *k, const struct stats *s, int64_t key[2], bool back)
{
    struct q15_out *row = hand_change(out, sizeof *row, change_of(k, back));
    row->day = day_text(key[0], k->day);
    SET_STATS(row, s);
}

void hand_q15(const struct nexmark_bytes *avro, struct hand_out *out)
{
    struct hand_table bidders, auctions, days;
    struct changed changed = { 0 };
    hand_table_init(&bidders, 1);
    hand_table_init(&auctions, 1);
    hand_table_init(&days, sizeof(struct known));
    HAND_EACH(avro, NEXMARK_BID, bid, b)
    {
        const int64_t day = b.dateTime / DAY_MS;
        struct known *k = hand_find(&days, day, 0, true);
        count_bid(&k->now, &b, hand_find(&bidders, b.bidder, day, true),
            hand_find(&auctions, b.auction, day, true));
        count_for(&changed, day, 0, k);
        if (changed.bids == MINI_BATCH)
            give_changed(&changed, &days, out, give_day);
    }
    give_changed(&changed, &days, out, give_day);
    free(changed.keys);
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

static void give_channel(
    struct hand_out *out, struct known *k, const struct stats *s, int64_t key[2], bool back)
{
    struct q16_out *row = hand_change(out, sizeof *row, change_of(k, back));
    row->channel = s->channel;
    row->day = day_text(key[1], k->day);
    row->minute = minute_text(s->last_ms, k->minute[back]);
    SET_STATS(row, s);
}

void hand_q16(const struct nexmark_bytes *avro, struct hand_out *out)
{
    struct hand_table bidders, auctions, channels;
    struct changed changed = { 0 };
    hand_table_init(&bidders, 1);
    hand_table_init(&auctions, 1);
    hand_table_init(&channels, sizeof(struct known));
    HAND_EACH(avro, NEXMARK_BID, bid, b)
    {
        const int64_t day = b.dateTime / DAY_MS, channel = text_number(b.channel) ^ day;
        struct known *k = hand_find(&channels, channel, day, true);
        k->now.channel = b.channel;
        if (b.dateTime > k->now.last_ms)
            k->now.last_ms = b.dateTime;
        count_bid(&k->now, &b, hand_find(&bidders, b.bidder, channel, true),
            hand_find(&auctions, b.auction, channel, true));
        count_for(&changed, channel, day, k);
        if (changed.bids == MINI_BATCH)
            give_changed(&changed, &channels, out, give_channel);
    }
    give_changed(&changed, &channels, out, give_channel);
    free(changed.keys);
    hand_table_free(&bidders);
    hand_table_free(&auctions);
    hand_table_free(&channels);
}

/* ---- q17: prices instead of distinct ids ---- */

struct prices {
    int64_t bids[1 + RANKS], least, most, sum;
};

struct priced {
    struct prices now, given;
    bool has_given, waits;
    char day[TEXT_BYTES];
};

static void give_prices(
    struct hand_out *out, struct priced *k, const struct prices *s, const int64_t key[2], bool back)
{
    struct q17_out *row = hand_change(out, sizeof *row,
        back               ? LEAT_UPDATE_BEFORE
            : k->has_given ? LEAT_UPDATE_AFTER
                           : LEAT_INSERT);
    *row = (struct q17_out){ key[0], day_text(key[1], k->day), s->bids[0], s->bids[1], s->bids[2], s->bids[3],
        s->least, s->most, s->sum / s->bids[0], s->sum };
}

static void give_changed_prices(struct changed *c, struct hand_table *t, struct hand_out *out)
{
    for (size_t i = 0; i < c->count; i++) {
        struct priced *k = hand_find(t, c->keys[2 * i], c->keys[2 * i + 1], false);
        if (k->has_given)
            give_prices(out, k, &k->given, &c->keys[2 * i], true);
        give_prices(out, k, &k->now, &c->keys[2 * i], false);
        k->given = k->now;
        k->has_given = true;
        k->waits = false;
    }
    hand_flush(out);
    c->count = 0;
    c->bids = 0;
}

void hand_q17(const struct nexmark_bytes *avro, struct hand_out *out)
{
    struct hand_table t;
    struct changed changed = { 0 };
    hand_table_init(&t, sizeof(struct priced));
    HAND_EACH(avro, NEXMARK_BID, bid, b)
    {
        const int64_t day = b.dateTime / DAY_MS;
        struct priced *k = hand_find(&t, b.auction, day, true);
        struct prices *s = &k->now;
        if (s->bids[0]++ == 0 || b.price < s->least)
            s->least = b.price;
        if (b.price > s->most)
            s->most = b.price;
        s->bids[1 + rank_of(b.price)]++;
        s->sum += b.price;
        if (!k->waits)
            note(&changed, b.auction, day);
        k->waits = true;
        if (++changed.bids == MINI_BATCH)
            give_changed_prices(&changed, &t, out);
    }
    give_changed_prices(&changed, &t, out);
    free(changed.keys);
    hand_table_free(&t);
}
