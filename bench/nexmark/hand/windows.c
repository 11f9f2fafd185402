/* bench/nexmark/hand/windows.c -- q5, q7, q8, q11, q12: windows of events that come in the order of their times, so that one is
 * over when an event behind it comes. */
#include "bench/nexmark/hand/hand.h"
#include "q11_out.h"
#include "q12_out.h"
#include "q5_out.h"
#include "q7_out.h"
#include "q8_out.h"
#include <stdlib.h>
#include <time.h>

#define SLIDE_MS 2000
#define SLIDES 5
#define WINDOW_MS 10000

/* Counts of the slides that make a window, and of the window. */
struct hops {
    struct hand_table slides[SLIDES], window;
    int64_t slide; /* that events are counted in now */
};

/* The window that ends with the current slide; then its oldest slide leaves it. */
static void close_slide(struct hops *h, struct hand_out *out)
{
    struct hand_table *newest = &h->slides[h->slide % SLIDES], *oldest = &h->slides[(h->slide + 1) % SLIDES];
    int64_t most = 0;
    for (size_t i = 0; i < newest->slots; i++)
        if (newest->used[i])
            *(int64_t *)hand_find(&h->window, newest->keys[2 * i], 0, true) += ((int64_t *)newest->values)[i];
    for (size_t i = 0; i < h->window.slots; i++)
        if (h->window.used[i] && ((int64_t *)h->window.values)[i] > most)
            most = ((int64_t *)h->window.values)[i];
    for (size_t i = 0; i < h->window.slots && most > 0; i++)
        if (h->window.used[i] && ((int64_t *)h->window.values)[i] == most) {
            struct q5_out *row = HAND_ROW(out, q5_out);
            row->auction = h->window.keys[2 * i];
            row->num = most;
            row->windowEnd = (h->slide + 1) * SLIDE_MS;
        }
    for (size_t i = 0; i < oldest->slots; i++)
        if (oldest->used[i])
            *(int64_t *)hand_find(&h->window, oldest->keys[2 * i], 0, false) -=
                ((int64_t *)oldest->values)[i];
    hand_table_clear(oldest);
    h->slide++;
    if (h->slide % SLIDES == 0) { /* auctions that nobody bids for any more */
        hand_table_clear(&h->window);
        for (int s = 1; s < SLIDES; s++) {
            struct hand_table *t = &h->slides[(h->slide - s + SLIDES) % SLIDES];
            for (size_t i = 0; i < t->slots; i++)
                if (t->used[i])
                    *(int64_t *)hand_find(&h->window, t->keys[2 * i], 0, true) += ((int64_t *)t->values)[i];
        }
    }
}

void hand_q5(const struct nexmark_bytes *avro, struct hand_out *out)
{
    struct hops h = { .slide = NEXMARK_BASE_MS / SLIDE_MS };
    for (int s = 0; s < SLIDES; s++)
        hand_table_init(&h.slides[s], sizeof(int64_t));
    hand_table_init(&h.window, sizeof(int64_t));
    HAND_EACH(avro, NEXMARK_BID, bid, b)
    {
        while (b.dateTime / SLIDE_MS != h.slide)
            close_slide(&h, out);
        ++*(int64_t *)hand_find(&h.slides[h.slide % SLIDES], b.auction, 0, true);
    }
    for (int s = 0; s < SLIDES; s++)
        close_slide(&h, out);
    for (int s = 0; s < SLIDES; s++)
        hand_table_free(&h.slides[s]);
    hand_table_free(&h.window);
}

/* The highest bids of a window so far. */
struct leaders {
    struct q7_out *bids;
    struct hand_place *places;
    struct hand_store texts;
    size_t count, capacity;
};

static void give_leaders(struct leaders *l, struct hand_out *out)
{
    for (size_t i = 0; i < l->count; i++) {
        hand_room(out, l->bids[i].extra.len);
        struct q7_out *row = HAND_ROW(out, q7_out);
        *row = l->bids[i];
        row->extra = hand_show(out, row->extra);
    }
    l->count = 0;
}

static void keep_leader(struct leaders *l, const struct bid *b)
{
    if (l->count == l->capacity) {
        const size_t capacity = l->capacity * 2 + 16;
        l->bids = realloc(l->bids, capacity * sizeof *l->bids);
        l->places = realloc(l->places, capacity * sizeof *l->places);
        if (!l->bids || !l->places)
            abort();
        memset(l->places + l->capacity, 0, (capacity - l->capacity) * sizeof *l->places);
        l->capacity = capacity;
    }
    struct hand_place *place = &l->places[l->count];
    hand_place_begin(&l->texts, place, b->extra.len);
    l->bids[l->count++] =
        (struct q7_out){ b->auction, b->bidder, b->price, b->dateTime, hand_keep(place, b->extra) };
}

void hand_q7(const struct nexmark_bytes *avro, struct hand_out *out)
{
    struct leaders l = { 0 };
    int64_t window = NEXMARK_BASE_MS / WINDOW_MS;
    HAND_EACH(avro, NEXMARK_BID, bid, b)
    {
        if (b.dateTime / WINDOW_MS != window) {
            give_leaders(&l, out);
            window = b.dateTime / WINDOW_MS;
        }
        if (l.count > 0 && b.price < l.bids[0].price)
            continue;
        if (l.count > 0 && b.price > l.bids[0].price)
            l.count = 0;
        keep_leader(&l, &b);
    }
    give_leaders(&l, out);
    free(l.bids);
    free(l.places);
    hand_store_free(&l.texts);
}

void hand_q8(const struct nexmark_bytes *avro, struct hand_out *out)
{
    struct hand_table sellers;
    const char *p = avro[NEXMARK_AUCTION].data, *const end = p + avro[NEXMARK_AUCTION].len;
    struct auction a = { 0 };
    int64_t window = -1;
    hand_table_init(&sellers, 1);
    if (p < end)
        p = hand_auction(p, &a);
    HAND_EACH(avro, NEXMARK_PERSON, person, r)
    {
        if (r.dateTime / WINDOW_MS != window) { /* all sellers of the window first */
            window = r.dateTime / WINDOW_MS;
            hand_table_clear(&sellers);
            for (; a.dateTime / WINDOW_MS <= window; p = hand_auction(p, &a)) {
                if (a.dateTime / WINDOW_MS == window)
                    (void)hand_find(&sellers, a.seller, 0, true);
                if (p >= end)
                    break;
            }
        }
        if (!hand_find(&sellers, r.id, 0, false))
            continue;
        struct q8_out *row = HAND_ROW(out, q8_out);
        row->id = r.id;
        row->name = r.name;
        row->starttime = window * WINDOW_MS;
    }
    hand_table_free(&sellers);
}

struct session {
    int64_t count, first, last;
};

static void give_session(const struct session *s, int64_t bidder, struct hand_out *out)
{
    struct q11_out *row = HAND_ROW(out, q11_out);
    row->bidder = bidder;
    row->bid_count = s->count;
    row->starttime = s->first;
    row->endtime = s->last + WINDOW_MS;
}

void hand_q11(const struct nexmark_bytes *avro, struct hand_out *out)
{
    struct hand_table sessions;
    hand_table_init(&sessions, sizeof(struct session));
    HAND_EACH(avro, NEXMARK_BID, bid, b)
    {
        struct session *s = hand_find(&sessions, b.bidder, 0, true);
        if (s->count > 0 && b.dateTime - s->last > WINDOW_MS) {
            give_session(s, b.bidder, out);
            s->count = 0;
        }
        if (s->count++ == 0)
            s->first = b.dateTime;
        s->last = b.dateTime;
    }
    for (size_t i = 0; i < sessions.slots; i++)
        if (sessions.used[i])
            give_session((const struct session *)sessions.values + i, sessions.keys[2 * i], out);
    hand_table_free(&sessions);
}

/* ---- q12: the clock is read once for some bids, as an engine would for a batch ---- */

#define BIDS_A_LOOK 1024u

static int64_t clock_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void give_counts(struct hand_table *counts, int64_t window, struct hand_out *out)
{
    for (size_t i = 0; i < counts->slots; i++) {
        if (!counts->used[i])
            continue;
        struct q12_out *row = HAND_ROW(out, q12_out);
        row->bidder = counts->keys[2 * i];
        row->bid_count = ((int64_t *)counts->values)[i];
        row->starttime = window * WINDOW_MS;
        row->endtime = (window + 1) * WINDOW_MS;
    }
    hand_table_clear(counts);
}

void hand_q12(const struct nexmark_bytes *avro, struct hand_out *out)
{
    struct hand_table counts;
    int64_t window = clock_ms() / WINDOW_MS;
    uint32_t bids = 0;
    hand_table_init(&counts, sizeof(int64_t));
    HAND_EACH(avro, NEXMARK_BID, bid, b)
    {
        if (++bids % BIDS_A_LOOK == 0 && clock_ms() / WINDOW_MS != window) {
            give_counts(&counts, window, out);
            window = clock_ms() / WINDOW_MS;
        }
        ++*(int64_t *)hand_find(&counts, b.bidder, 0, true);
    }
    give_counts(&counts, window, out);
    hand_table_free(&counts);
}
