/* bench/nexmark/hand/joins.c -- q3, q13, q18, q19, q20: records kept by key. Of two streams the events are taken in the order
 * of their times. */
#include "bench/nexmark/hand/hand.h"
#include "q13_out.h"
#include "q19_out.h"
#include "q20_out.h"
#include "q3_out.h"
#include <stdio.h>
#include <stdlib.h>

#define TOP 10

/* Auctions up to a time, one after the other. */
struct auctions {
    const char *at, *end;
    struct auction next;
    bool has_next;
};

static void advance(struct auctions *a)
{
    a->has_next = a->at < a->end;
    if (a->has_next)
        a->at = hand_auction(a->at, &a->next);
}

static struct auctions begin(const struct nexmark_bytes *avro)
{
    struct auctions a = { .at = avro[NEXMARK_AUCTION].data,
        .end = avro[NEXMARK_AUCTION].data + avro[NEXMARK_AUCTION].len };
    advance(&a);
    return a;
}

/* ---- q3: both sides are kept ---- */

struct seller {
    struct leat_sv name, city, state; /* name.data NULL: not known */
    struct hand_place place;
    int64_t *ids;
    uint32_t ids_count, ids_capacity;
};

static void give_item(const struct seller *s, int64_t id, struct hand_out *out)
{
    hand_room(out, s->name.len + s->city.len + s->state.len);
    struct q3_out *row = HAND_ROW(out, q3_out);
    row->name = hand_show(out, s->name);
    row->city = hand_show(out, s->city);
    row->state = hand_show(out, s->state);
    row->id = id;
}

static void add_item(struct hand_table *sellers, const struct auction *a, struct hand_out *out)
{
    struct seller *s;
    if (a->category != 10)
        return;
    s = hand_find(sellers, a->seller, 0, true);
    if (s->ids_count == s->ids_capacity) {
        s->ids_capacity = s->ids_capacity * 2 + 2;
        s->ids = realloc(s->ids, s->ids_capacity * sizeof *s->ids);
        if (!s->ids)
            abort();
    }
    s->ids[s->ids_count++] = a->id;
    if (s->name.data)
        give_item(s, a->id, out);
}

static bool is_local(struct leat_sv state)
{
    return state.len == 2 &&
        (memcmp(state.data, "OR", 2) == 0 || memcmp(state.data, "ID", 2) == 0 ||
            memcmp(state.data, "CA", 2) == 0);
}

void hand_q3(const struct nexmark_bytes *avro, struct hand_out *out)
{
    struct hand_table sellers;
    struct hand_store texts = { 0 };
    struct auctions a = begin(avro);
    hand_table_init(&sellers, sizeof(struct seller));
    HAND_EACH(avro, NEXMARK_PERSON, person, r)
    {
        for (; a.has_next && a.next.dateTime < r.dateTime; advance(&a))
            add_item(&sellers, &a.next, out);
        if (!is_local(r.state))
            continue;
        struct seller *s = hand_find(&sellers, r.id, 0, true);
        hand_place_begin(&texts, &s->place, r.name.len + r.city.len + r.state.len + 1);
        s->name = hand_keep(&s->place, r.name);
        s->city = hand_keep(&s->place, r.city);
        s->state = hand_keep(&s->place, r.state);
        for (uint32_t i = 0; i < s->ids_count; i++)
            give_item(s, s->ids[i], out);
    }
    for (; a.has_next; advance(&a))
        add_item(&sellers, &a.next, out);
    for (size_t i = 0; i < sellers.slots; i++)
        if (sellers.used[i])
            free(((struct seller *)sellers.values)[i].ids);
    hand_flush(out);
    hand_table_free(&sellers);
    hand_store_free(&texts);
}

/* ---- q13: a table of 10,000 rows ---- */

#define SIDE_ROWS 10000

struct side {
    struct leat_sv value;
    struct hand_place place;
};

void hand_q13(const struct nexmark_bytes *avro, struct hand_out *out)
{
    struct hand_table t;
    struct hand_store texts = { 0 };
    hand_table_init(&t, sizeof(struct side));
    for (int i = 0; i < SIDE_ROWS; i++) {
        char text[16];
        const struct leat_sv value = { text, (size_t)snprintf(text, sizeof text, "%d", i) };
        struct side *side = hand_find(&t, i, 0, true);
        hand_place_begin(&texts, &side->place, value.len);
        side->value = hand_keep(&side->place, value);
    }
    HAND_EACH(avro, NEXMARK_BID, bid, b)
    {
        const struct side *side = hand_find(&t, b.auction % SIDE_ROWS, 0, false);
        if (!side)
            continue;
        hand_room(out, side->value.len);
        struct q13_out *row = HAND_ROW(out, q13_out);
        row->auction = b.auction;
        row->bidder = b.bidder;
        row->price = b.price;
        row->dateTime = b.dateTime;
        row->value = hand_show(out, side->value);
    }
    hand_flush(out);
    hand_table_free(&t);
    hand_store_free(&texts);
}

/* ---- q18, q19: what is replaced is given, too ---- */

struct kept_bid {
    struct bid bid; /* extra.data NULL: none */
    struct hand_place place;
    uint32_t next; /* q20: number and 1 of the one before it of this auction */
};

static size_t bid_bytes(const struct bid *b)
{
    return b->channel.len + b->url.len + b->extra.len;
}

static void keep_bid(struct hand_store *texts, struct kept_bid *k, const struct bid *b)
{
    hand_place_begin(texts, &k->place, bid_bytes(b) + 1);
    k->bid = *b;
    k->bid.channel = hand_keep(&k->place, b->channel);
    k->bid.url = hand_keep(&k->place, b->url);
    k->bid.extra = hand_keep(&k->place, b->extra);
}

/* A kept bid as a block may show it, which has room. */
static struct bid shown_bid(struct hand_out *out, const struct bid *b)
{
    struct bid shown = *b;
    shown.channel = hand_show(out, b->channel);
    shown.url = hand_show(out, b->url);
    shown.extra = hand_show(out, b->extra);
    return shown;
}

void hand_q18(const struct nexmark_bytes *avro, struct hand_out *out)
{
    struct hand_table t;
    struct hand_store texts = { 0 };
    hand_table_init(&t, sizeof(struct kept_bid));
    HAND_EACH(avro, NEXMARK_BID, bid, b)
    {
        struct kept_bid *last = hand_find(&t, b.bidder, b.auction, true);
        const bool has = last->bid.extra.data != NULL;
        if (has) {
            hand_room(out, bid_bytes(&last->bid));
            struct bid *row = hand_change(out, sizeof b, LEAT_UPDATE_BEFORE);
            *row = shown_bid(out, &last->bid);
        }
        *(struct bid *)hand_change(out, sizeof b, has ? LEAT_UPDATE_AFTER : LEAT_INSERT) = b;
        keep_bid(&texts, last, &b);
    }
    hand_flush(out);
    hand_table_free(&t);
    hand_store_free(&texts);
}

struct highest {
    struct kept_bid bids[TOP + 1];
    int64_t count;
};

static void give_rank(struct hand_out *out, const struct bid *b, int64_t rank, enum leat_change change)
{
    *(struct q19_out *)hand_change(out, sizeof(struct q19_out), change) =
        (struct q19_out){ b->auction, b->bidder, b->price, b->channel, b->url, b->dateTime, b->extra, rank };
}

/* The bid comes at `at`: those behind it move by one, and each of them is shown once for both of its ranks. */
static void give_moved(struct hand_out *out, const struct highest *h, int64_t at, const struct bid *b)
{
    struct bid comes = *b;
    size_t bytes = 0;
    for (int64_t i = at; i < h->count; i++)
        bytes += bid_bytes(&h->bids[i].bid);
    if (HAND_ROWS - out->count < 2 * TOP)
        hand_flush(out);
    hand_room(out, bytes);
    for (int64_t i = at; i < h->count; i++) {
        const struct bid goes = shown_bid(out, &h->bids[i].bid);
        give_rank(out, &goes, i + 1, LEAT_UPDATE_BEFORE);
        give_rank(out, &comes, i + 1, LEAT_UPDATE_AFTER);
        comes = goes;
    }
    if (h->count < TOP)
        give_rank(out, &comes, h->count + 1, LEAT_INSERT);
}

void hand_q19(const struct nexmark_bytes *avro, struct hand_out *out)
{
    struct hand_table t;
    struct hand_store texts = { 0 };
    hand_table_init(&t, sizeof(struct highest));
    HAND_EACH(avro, NEXMARK_BID, bid, b)
    {
        struct highest *h = hand_find(&t, b.auction, 0, true);
        int64_t at = h->count;
        while (at > 0 && b.price > h->bids[at - 1].bid.price)
            at--;
        if (at == TOP)
            continue;
        give_moved(out, h, at, &b);
        const struct hand_place freed = h->bids[h->count == TOP ? TOP - 1 : TOP].place;
        memmove(&h->bids[at + 1], &h->bids[at], (size_t)(h->count - at) * sizeof h->bids[0]);
        h->count += h->count < TOP;
        h->bids[at].place = freed;
        h->bids[TOP].place = (struct hand_place){ 0 };
        keep_bid(&texts, &h->bids[at], &b);
    }
    hand_flush(out);
    hand_table_free(&t);
    hand_store_free(&texts);
}

/* ---- q20: all bids are kept, as a join without bounds must ---- */

struct item {
    struct auction auction; /* extra.data NULL: not come */
    struct hand_place place;
    uint32_t last_bid;
};

struct both_sides {
    struct hand_table items;
    struct hand_store texts;
    struct kept_bid *bids;
    uint32_t count, capacity;
};

static size_t auction_bytes(const struct auction *a)
{
    return a->itemName.len + a->description.len + a->extra.len;
}

static void give_pair(const struct bid *b, const struct auction *a, struct hand_out *out)
{
    *HAND_ROW(out, q20_out) = (struct q20_out){ b->auction, b->bidder, b->price, b->channel, b->url,
        b->dateTime, b->extra, a->itemName, a->description, a->initialBid, a->reserve, a->dateTime,
        a->expires, a->seller, a->category, a->extra };
}

static void add_auction(struct both_sides *s, const struct auction *a, struct hand_out *out)
{
    if (a->category != 10)
        return;
    struct item *item = hand_find(&s->items, a->id, 0, true);
    hand_place_begin(&s->texts, &item->place, auction_bytes(a) + 1);
    item->auction = *a;
    item->auction.itemName = hand_keep(&item->place, a->itemName);
    item->auction.description = hand_keep(&item->place, a->description);
    item->auction.extra = hand_keep(&item->place, a->extra);
    for (uint32_t i = item->last_bid; i > 0; i = s->bids[i - 1].next) {
        hand_room(out, bid_bytes(&s->bids[i - 1].bid));
        const struct bid b = shown_bid(out, &s->bids[i - 1].bid);
        give_pair(&b, a, out);
    }
}

static void add_bid(struct both_sides *s, const struct bid *b, struct hand_out *out)
{
    struct item *item = hand_find(&s->items, b->auction, 0, true);
    if (s->count == s->capacity) {
        s->capacity = s->capacity * 2 + 1024;
        s->bids = realloc(s->bids, s->capacity * sizeof *s->bids);
        if (!s->bids)
            abort();
    }
    struct kept_bid *kept = &s->bids[s->count];
    kept->place = (struct hand_place){ 0 };
    keep_bid(&s->texts, kept, b);
    kept->next = item->last_bid;
    item->last_bid = ++s->count;
    if (!item->auction.extra.data)
        return;
    struct auction a = item->auction;
    hand_room(out, auction_bytes(&a));
    a.itemName = hand_show(out, a.itemName);
    a.description = hand_show(out, a.description);
    a.extra = hand_show(out, a.extra);
    give_pair(b, &a, out);
}

void hand_q20(const struct nexmark_bytes *avro, struct hand_out *out)
{
    struct both_sides s = { .count = 0 };
    struct auctions a = begin(avro);
    hand_table_init(&s.items, sizeof(struct item));
    HAND_EACH(avro, NEXMARK_BID, bid, b)
    {
        for (; a.has_next && a.next.dateTime <= b.dateTime; advance(&a))
            add_auction(&s, &a.next, out);
        add_bid(&s, &b, out);
    }
    for (; a.has_next; advance(&a))
        add_auction(&s, &a.next, out);
    hand_flush(out);
    free(s.bids);
    hand_table_free(&s.items);
    hand_store_free(&s.texts);
}
