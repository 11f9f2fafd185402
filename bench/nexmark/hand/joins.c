/* bench/nexmark/hand/joins.c -- q3, q9, q18, q19, q20: records kept by key. Of two streams the events are taken in the order
 * of their times. */
#include "bench/nexmark/hand/hand.h"
#include "q19_out.h"
#include "q20_out.h"
#include "q3_out.h"
#include "q9_out.h"
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
    int64_t *ids;
    uint32_t ids_count, ids_capacity;
};

static void give_item(const struct seller *s, int64_t id, struct hand_out *out)
{
    *HAND_ROW(out, q3_out) = (struct q3_out){ s->name, s->city, s->state, id };
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
    struct auctions a = begin(avro);
    hand_table_init(&sellers, sizeof(struct seller));
    HAND_EACH(avro, NEXMARK_PERSON, person, r)
    {
        for (; a.has_next && a.next.dateTime < r.dateTime; advance(&a))
            add_item(&sellers, &a.next, out);
        if (!is_local(r.state))
            continue;
        struct seller *s = hand_find(&sellers, r.id, 0, true);
        s->name = r.name;
        s->city = r.city;
        s->state = r.state;
        for (uint32_t i = 0; i < s->ids_count; i++)
            give_item(s, s->ids[i], out);
    }
    for (; a.has_next; advance(&a))
        add_item(&sellers, &a.next, out);
    for (size_t i = 0; i < sellers.slots; i++)
        if (sellers.used[i])
            free(((struct seller *)sellers.values)[i].ids);
    hand_table_free(&sellers);
}

/* ---- q9: an auction's times are known before its valid bids come ---- */

void hand_q9(const struct nexmark_bytes *avro, struct hand_out *out)
{
    struct hand_table t;
    struct auctions a = begin(avro);
    hand_table_init(&t, sizeof(struct q9_out));
    HAND_EACH(avro, NEXMARK_BID, bid, b)
    {
        for (; a.has_next && a.next.dateTime <= b.dateTime; advance(&a)) {
            struct q9_out *best = hand_find(&t, a.next.id, 0, true);
            best->auction = a.next.id;
            best->seller = a.next.seller;
            best->category = a.next.category;
            best->expires = a.next.expires;
        }
        struct q9_out *best = hand_find(&t, b.auction, 0, false);
        if (!best || b.dateTime > best->expires || b.price <= best->price)
            continue;
        best->bidder = b.bidder;
        best->price = b.price;
        best->dateTime = b.dateTime;
    }
    for (size_t i = 0; i < t.slots; i++)
        if (t.used[i] && ((struct q9_out *)t.values)[i].price > 0)
            *HAND_ROW(out, q9_out) = ((struct q9_out *)t.values)[i];
    hand_table_free(&t);
}

/* ---- q18, q19: what is replaced is given, too ---- */

void hand_q18(const struct nexmark_bytes *avro, struct hand_out *out)
{
    struct hand_table t;
    hand_table_init(&t, sizeof(struct bid));
    HAND_EACH(avro, NEXMARK_BID, bid, b)
    {
        struct bid *last = hand_find(&t, b.bidder, b.auction, true);
        const bool has = last->extra.data != NULL;
        if (has)
            *(struct bid *)hand_change(out, sizeof b, LEAT_UPDATE_BEFORE) = *last;
        *(struct bid *)hand_change(out, sizeof b, has ? LEAT_UPDATE_AFTER : LEAT_INSERT) = b;
        *last = b;
    }
    hand_table_free(&t);
}

struct highest {
    struct bid bids[TOP];
    int64_t count;
};

static void give_rank(struct hand_out *out, const struct bid *b, int64_t rank, enum leat_change change)
{
    *(struct q19_out *)hand_change(out, sizeof(struct q19_out), change) =
        (struct q19_out){ b->auction, b->bidder, b->price, b->channel, b->url, b->dateTime, b->extra, rank };
}

void hand_q19(const struct nexmark_bytes *avro, struct hand_out *out)
{
    struct hand_table t;
    hand_table_init(&t, sizeof(struct highest));
    HAND_EACH(avro, NEXMARK_BID, bid, b)
    {
        struct highest *h = hand_find(&t, b.auction, 0, true);
        int64_t at = h->count;
        while (at > 0 && b.price > h->bids[at - 1].price)
            at--;
        if (at == TOP)
            continue;
        for (int64_t i = at; i < h->count; i++)
            give_rank(out, &h->bids[i], i + 1, LEAT_UPDATE_BEFORE);
        const int64_t moved = h->count - at - (h->count == TOP);
        memmove(&h->bids[at + 1], &h->bids[at], (size_t)(moved > 0 ? moved : 0) * sizeof b);
        h->bids[at] = b;
        const int64_t before = h->count;
        h->count += h->count < TOP;
        for (int64_t i = at; i < h->count; i++)
            give_rank(out, &h->bids[i], i + 1, i < before ? LEAT_UPDATE_AFTER : LEAT_INSERT);
    }
    hand_table_free(&t);
}

/* ---- q20: all bids are kept, as a join without bounds must ---- */

struct kept_bid {
    struct bid bid;
    uint32_t next; /* number and 1 of the one before it of this auction */
};

struct item {
    struct auction auction; /* extra.data NULL: not come */
    uint32_t last_bid;
};

static void give_pair(const struct bid *b, const struct auction *a, struct hand_out *out)
{
    *HAND_ROW(out, q20_out) = (struct q20_out){ b->auction, b->bidder, b->price, b->channel, b->url,
        b->dateTime, b->extra, a->itemName, a->description, a->initialBid, a->reserve, a->dateTime,
        a->expires, a->seller, a->category, a->extra };
}

void hand_q20(const struct nexmark_bytes *avro, struct hand_out *out)
{
    struct hand_table t;
    struct auctions a = begin(avro);
    struct kept_bid *kept = NULL;
    uint32_t count = 0, capacity = 0;
    hand_table_init(&t, sizeof(struct item));
    HAND_EACH(avro, NEXMARK_BID, bid, b)
    {
        for (; a.has_next && a.next.dateTime <= b.dateTime; advance(&a)) {
            if (a.next.category != 10)
                continue;
            struct item *item = hand_find(&t, a.next.id, 0, true);
            item->auction = a.next;
            for (uint32_t i = item->last_bid; i > 0; i = kept[i - 1].next)
                give_pair(&kept[i - 1].bid, &a.next, out);
        }
        struct item *item = hand_find(&t, b.auction, 0, true);
        if (count == capacity) {
            capacity = capacity * 2 + 1024;
            kept = realloc(kept, capacity * sizeof *kept);
            if (!kept)
                abort();
        }
        kept[count] = (struct kept_bid){ b, item->last_bid };
        item->last_bid = ++count;
        if (item->auction.extra.data)
            give_pair(&b, &item->auction, out);
    }
    for (; a.has_next; advance(&a)) {
        struct item *item = a.next.category == 10 ? hand_find(&t, a.next.id, 0, false) : NULL;
        for (uint32_t i = item ? item->last_bid : 0; i > 0; i = kept[i - 1].next)
            give_pair(&kept[i - 1].bid, &a.next, out);
    }
    free(kept);
    hand_table_free(&t);
}
