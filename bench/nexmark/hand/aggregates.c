/* bench/nexmark/hand/aggregates.c -- q15, q16, q17: a result per key over all bids. After each HAND_MINI_BATCH bids the results that
 * have changed are given: what was given before is taken back. */
#include "bench/nexmark/hand/hand.h"
#include "q15_out.h"
#include "q16_out.h"
#include "q17_out.h"
#include <stdlib.h>

#define RANKS 3
#define DAY_MS 86400000

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
    char day[HAND_TEXT], minute[2][HAND_TEXT];
};

typedef void give_fn(struct hand_out *out, struct known *k, const struct stats *s, int64_t key[2], bool back);

static void give_changed(struct hand_changed *c, struct hand_table *t, struct hand_out *out, give_fn *give)
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
    c->rows = 0;
}

/* Notes that a bid has changed a key. */
static void count_for(struct hand_changed *c, int64_t a, int64_t b, struct known *k)
{
    if (!k->waits)
        hand_note(c, a, b);
    k->waits = true;
    c->rows++;
}

static enum leat_change change_of(const struct known *k, bool back)
{
    return back ? LEAT_UPDATE_BEFORE : k->has_given ? LEAT_UPDATE_AFTER : LEAT_INSERT;
}

static void give_day(struct hand_out *out, struct known *k, const struct stats *s, int64_t key[2], bool back)
{
    struct q15_out *row = hand_change(out, sizeof *row, change_of(k, back));
    row->day = hand_day_text(key[0], k->day);
    SET_STATS(row, s);
}

void hand_q15(const struct nexmark_bytes *avro, struct hand_out *out)
{
    struct hand_table bidders, auctions, days;
    struct hand_changed changed = { 0 };
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
        if (changed.rows == HAND_MINI_BATCH)
            give_changed(&changed, &days, out, give_day);
    }
    give_changed(&changed, &days, out, give_day);
    free(changed.keys);
    hand_table_free(&bidders);
    hand_table_free(&auctions);
    hand_table_free(&days);
}

/* Channels have numbers: by a hash of the name, and how many others have shared it. */
struct channel {
    struct leat_sv name; /* data NULL: new */
    struct hand_place place;
    int64_t number;
};

struct channels {
    struct hand_table by_hash;
    struct hand_store names;
};

static int64_t hash_text(struct leat_sv text)
{
    uint64_t h = text.len, word;
    size_t i = 0;
    for (; i + 8 <= text.len; i += 8) {
        memcpy(&word, text.data + i, 8);
        h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        h ^= h >> 32;
    }
    word = 0;
    memcpy(&word, text.data + i, text.len - i);
    h = (h ^ word) * UINT64_C(0xff51afd7ed558ccd);
    return (int64_t)(h ^ h >> 29);
}

static const struct channel *channel_of(struct channels *channels, struct leat_sv name)
{
    const int64_t hash = hash_text(name);
    for (int64_t others = 0;; others++) {
        struct channel *c = hand_find(&channels->by_hash, hash, others, true);
        if (c->name.data && c->name.len == name.len && memcmp(c->name.data, name.data, name.len) == 0)
            return c;
        if (c->name.data)
            continue;
        hand_place_begin(&channels->names, &c->place, name.len + 1);
        c->name = hand_keep(&c->place, name);
        c->number = (int64_t)channels->by_hash.count;
        return c;
    }
}

static void give_channel(
    struct hand_out *out, struct known *k, const struct stats *s, int64_t key[2], bool back)
{
    struct q16_out *row = hand_change(out, sizeof *row, change_of(k, back));
    row->channel = s->channel;
    row->day = hand_day_text(key[1], k->day);
    row->minute = hand_minute_text(s->last_ms, k->minute[back]);
    SET_STATS(row, s);
}

void hand_q16(const struct nexmark_bytes *avro, struct hand_out *out)
{
    struct hand_table bidders, auctions, stats;
    struct channels channels = { 0 };
    struct hand_changed changed = { 0 };
    hand_table_init(&bidders, 1);
    hand_table_init(&auctions, 1);
    hand_table_init(&stats, sizeof(struct known));
    hand_table_init(&channels.by_hash, sizeof(struct channel));
    HAND_EACH(avro, NEXMARK_BID, bid, b)
    {
        const int64_t day = b.dateTime / DAY_MS;
        const struct channel *channel = channel_of(&channels, b.channel);
        const int64_t channel_day = channel->number << 32 | day;
        struct known *k = hand_find(&stats, channel_day, day, true);
        k->now.channel = channel->name;
        if (b.dateTime > k->now.last_ms)
            k->now.last_ms = b.dateTime;
        count_bid(&k->now, &b, hand_find(&bidders, b.bidder, channel_day, true),
            hand_find(&auctions, b.auction, channel_day, true));
        count_for(&changed, channel_day, day, k);
        if (changed.rows == HAND_MINI_BATCH)
            give_changed(&changed, &stats, out, give_channel);
    }
    give_changed(&changed, &stats, out, give_channel);
    free(changed.keys);
    hand_table_free(&bidders);
    hand_table_free(&auctions);
    hand_table_free(&stats);
    hand_table_free(&channels.by_hash);
    hand_store_free(&channels.names);
}

/* ---- q17: prices instead of distinct ids ---- */

struct prices {
    int64_t bids[1 + RANKS], least, most, sum;
};

struct priced {
    struct prices now, given;
    bool has_given, waits;
    char day[HAND_TEXT];
};

static void give_prices(
    struct hand_out *out, struct priced *k, const struct prices *s, const int64_t key[2], bool back)
{
    struct q17_out *row = hand_change(out, sizeof *row,
        back               ? LEAT_UPDATE_BEFORE
            : k->has_given ? LEAT_UPDATE_AFTER
                           : LEAT_INSERT);
    *row = (struct q17_out){ key[0], hand_day_text(key[1], k->day), s->bids[0], s->bids[1], s->bids[2],
        s->bids[3], s->least, s->most, s->sum / s->bids[0], s->sum };
}

static void give_changed_prices(struct hand_changed *c, struct hand_table *t, struct hand_out *out)
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
    c->rows = 0;
}

void hand_q17(const struct nexmark_bytes *avro, struct hand_out *out)
{
    struct hand_table t;
    struct hand_changed changed = { 0 };
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
            hand_note(&changed, b.auction, day);
        k->waits = true;
        if (++changed.rows == HAND_MINI_BATCH)
            give_changed_prices(&changed, &t, out);
    }
    give_changed_prices(&changed, &t, out);
    free(changed.keys);
    hand_table_free(&t);
}
