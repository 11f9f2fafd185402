/* bench/nexmark/hand/auctions.c -- q4, q6, q9: auctions that end. A heap says which is the next to end; what has ended is
 * given and forgotten. The auction comes before its valid bids. */
#include "bench/nexmark/hand/hand.h"
#include "q4_out.h"
#include "q6_out.h"
#include "q9_out.h"
#include <stdlib.h>

#define LAST_AUCTIONS 10

struct ending {
    int64_t ms, auction;
};

struct endings {
    struct ending *heap;
    size_t count, capacity;
};

static bool is_sooner(const struct ending *a, const struct ending *b)
{
    return a->ms != b->ms ? a->ms < b->ms : a->auction < b->auction;
}

static void push(struct endings *e, struct ending one)
{
    if (e->count == e->capacity) {
        e->capacity = e->capacity * 2 + 64;
        e->heap = realloc(e->heap, e->capacity * sizeof *e->heap);
        if (!e->heap)
            abort();
    }
    size_t at = e->count++;
    for (; at > 0 && is_sooner(&one, &e->heap[(at - 1) / 2]); at = (at - 1) / 2)
        e->heap[at] = e->heap[(at - 1) / 2];
    e->heap[at] = one;
}

static struct ending pop(struct endings *e)
{
    const struct ending first = e->heap[0], last = e->heap[--e->count];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < e->count; at = child) {
        child += child + 1 < e->count && is_sooner(&e->heap[child + 1], &e->heap[child]);
        if (!is_sooner(&e->heap[child], &last))
            break;
        e->heap[at] = e->heap[child];
    }
    e->heap[at] = last;
    return first;
}

/* Who is told of winners. */
typedef void won_fn(void *arg, const struct q9_out *winner, struct hand_out *out);

static void end_auctions(struct endings *e, struct hand_table *open, int64_t until_ms, won_fn *won, void *arg,
    struct hand_out *out)
{
    while (e->count && e->heap[0].ms < until_ms) {
        const struct ending ended = pop(e);
        const struct q9_out *best = hand_find(open, ended.auction, 0, false);
        if (best->price > 0)
            won(arg, best, out);
        hand_remove(open, ended.auction, 0);
    }
}

static void each_winner(const struct nexmark_bytes *avro, won_fn *won, void *arg, struct hand_out *out)
{
    struct hand_table open;
    struct endings endings = { 0 };
    const char *at = avro[NEXMARK_AUCTION].data, *const last = at + avro[NEXMARK_AUCTION].len;
    struct auction a = { .dateTime = INT64_MIN };
    bool has = false;
    hand_table_init(&open, sizeof(struct q9_out));
    HAND_EACH(avro, NEXMARK_BID, bid, b)
    {
        end_auctions(&endings, &open, b.dateTime, won, arg, out);
        for (;; has = false) {
            if (!has && at < last) {
                at = hand_auction(at, &a);
                has = true;
            }
            if (!has || a.dateTime > b.dateTime)
                break;
            struct q9_out *best = hand_find(&open, a.id, 0, true);
            best->auction = a.id;
            best->seller = a.seller;
            best->category = a.category;
            best->expires = a.expires;
            push(&endings, (struct ending){ a.expires, a.id });
        }
        struct q9_out *best = hand_find(&open, b.auction, 0, false);
        if (!best || b.dateTime > best->expires || b.price <= best->price)
            continue;
        best->bidder = b.bidder;
        best->price = b.price;
        best->dateTime = b.dateTime;
    }
    end_auctions(&endings, &open, INT64_MAX, won, arg, out);
    hand_table_free(&open);
    free(endings.heap);
}

/* ---- q9 ---- */

static void give_winner(void *arg, const struct q9_out *winner, struct hand_out *out)
{
    (void)arg;
    *HAND_ROW(out, q9_out) = *winner;
}

void hand_q9(const struct nexmark_bytes *avro, struct hand_out *out)
{
    each_winner(avro, give_winner, NULL, out);
}

/* ---- q4, q6: averages, told again after some winners ---- */

struct average {
    int64_t now, given;
    bool has_given, waits;
};

struct averages {
    struct hand_table by_key;
    struct hand_changed changed;
    size_t offset; /* of the average in what the table has */
};

/* Whether to give anything: `*back` says that there is something to take back. */
static bool settle(struct average *a, bool *back)
{
    const bool is_new = !a->has_given || a->given != a->now;
    *back = a->has_given;
    a->has_given = true;
    a->waits = false;
    return is_new;
}

/* Rows of q4 and q6: a key and an average. */
static void give_row(struct hand_out *out, int64_t key, int64_t average, enum leat_change change)
{
    _Static_assert(sizeof(struct q4_out) == 16 && sizeof(struct q6_out) == 16, "they are alike");
    int64_t *row = hand_change(out, 16, change);
    row[0] = key;
    row[1] = average;
}

static void give_averages(struct averages *all, struct hand_out *out)
{
    for (size_t i = 0; i < all->changed.count; i++) {
        const int64_t key = all->changed.keys[2 * i];
        unsigned char *value = hand_find(&all->by_key, key, 0, false);
        struct average *a = (struct average *)(void *)(value + all->offset);
        bool back;
        if (!settle(a, &back))
            continue;
        if (back)
            give_row(out, key, a->given, LEAT_UPDATE_BEFORE);
        give_row(out, key, a->now, back ? LEAT_UPDATE_AFTER : LEAT_INSERT);
        a->given = a->now;
    }
    all->changed.count = 0;
    all->changed.rows = 0;
}

static void set_average(
    struct averages *all, struct average *a, int64_t key, int64_t now, struct hand_out *out)
{
    a->now = now;
    if (!a->waits)
        hand_note(&all->changed, key, 0);
    a->waits = true;
    if (++all->changed.rows == HAND_MINI_BATCH)
        give_averages(all, out);
}

static void averages_of(const struct nexmark_bytes *avro, struct averages *all, size_t value_size,
    won_fn *won, struct hand_out *out)
{
    hand_table_init(&all->by_key, value_size);
    each_winner(avro, won, all, out);
    give_averages(all, out);
    hand_table_free(&all->by_key);
    free(all->changed.keys);
}

struct category {
    int64_t auctions, total;
    struct average average;
};

static void add_to_category(void *arg, const struct q9_out *winner, struct hand_out *out)
{
    struct averages *all = arg;
    struct category *c = hand_find(&all->by_key, winner->category, 0, true);
    c->auctions++;
    c->total += winner->price;
    set_average(all, &c->average, winner->category, c->total / c->auctions, out);
}

void hand_q4(const struct nexmark_bytes *avro, struct hand_out *out)
{
    struct averages all = { .offset = offsetof(struct category, average) };
    averages_of(avro, &all, sizeof(struct category), add_to_category, out);
}

/* The last auctions, by the time of the winning bid, then by number. */
struct seller {
    struct {
        int64_t ms, auction, price;
    } last[LAST_AUCTIONS + 1];
    int64_t count, total;
    struct average average;
};

static void add_to_seller(void *arg, const struct q9_out *winner, struct hand_out *out)
{
    struct averages *all = arg;
    struct seller *s = hand_find(&all->by_key, winner->seller, 0, true);
    int64_t at = s->count;
    while (at > 0 &&
        (s->last[at - 1].ms > winner->dateTime ||
            (s->last[at - 1].ms == winner->dateTime && s->last[at - 1].auction > winner->auction)))
        at--;
    if (at == 0 && s->count == LAST_AUCTIONS)
        return;
    memmove(&s->last[at + 1], &s->last[at], (size_t)(s->count - at) * sizeof s->last[0]);
    s->last[at].ms = winner->dateTime;
    s->last[at].auction = winner->auction;
    s->last[at].price = winner->price;
    s->total += winner->price;
    if (s->count == LAST_AUCTIONS) {
        s->total -= s->last[0].price;
        memmove(&s->last[0], &s->last[1], LAST_AUCTIONS * sizeof s->last[0]);
    } else {
        s->count++;
    }
    set_average(all, &s->average, winner->seller, s->total / s->count, out);
}

void hand_q6(const struct nexmark_bytes *avro, struct hand_out *out)
{
    struct averages all = { .offset = offsetof(struct seller, average) };
    averages_of(avro, &all, sizeof(struct seller), add_to_seller, out);
}
