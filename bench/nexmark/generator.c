/* bench/nexmark/generator.c -- Nexmark events by their ids. Draws of an event come in the order of the statements:
 * none may be moved. */
#include "bench/nexmark/generator.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define POOL_BYTES (1u << 20)
#define CHANNELS 10000u
#define HOT_CHANNELS 4u
#define URL_BYTES 96u
#define FIRST_ID 1000 /* of persons and of auctions */
#define FIRST_CATEGORY 10
#define CATEGORIES 5u
#define ACTIVE_PEOPLE 1000u
#define OPEN_AUCTIONS 100u
#define LEAD 10u /* ids that a reference may be ahead */
#define HOT_BATCH 100u
#define NAME_BYTES_MAX 32u /* of a name, an address, a card */

static const char *const first_names[] = { "Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie",
    "Sarah", "Deiter", "Walter" };
static const char *const last_names[] = { "Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton",
    "Smith", "Jones", "Noris" };
static const char *const cities[] = { "Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland", "Bend",
    "Redmond", "Seattle", "Kent", "Cheyenne" };
static const char *const states[] = { "AZ", "CA", "ID", "OR", "WA", "WY" };
static const char *const hot_channels[HOT_CHANNELS] = { "Google", "Facebook", "Baidu", "Apple" };

static struct {
    double delay_us; /* between events */
    uint64_t group;
    uint32_t *order[NEXMARK_BID + 1]; /* of each kind: which of a group's events come, one after the other */
    char pool[POOL_BYTES]; /* what `extra` is cut from */
    struct {
        char name[16], url[URL_BYTES];
        uint8_t name_len, url_len;
    } channels[CHANNELS];
    struct {
        char url[URL_BYTES];
        uint8_t url_len;
    } hot[HOT_CHANNELS];
} shared;

/* ---- random numbers ---- */

struct random {
    uint64_t state;
};

static uint64_t advance(struct random *r)
{
    return r->state += UINT64_C(0x9e3779b97f4a7c15);
}

static uint32_t draw32(struct random *r)
{
    uint64_t z = advance(r);
    z = (z ^ z >> 33) * UINT64_C(0x62a9d9ed799705f5);
    return (uint32_t)(((z ^ z >> 28) * UINT64_C(0xcb24d0a5c88c35b3)) >> 32);
}

/* In [0, 1). */
static double draw_unit(struct random *r)
{
    uint64_t z = advance(r);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (double)((z ^ z >> 31) >> 11) * 0x1.0p-53;
}

/* In [0, bound). */
static uint32_t draw(struct random *r, uint32_t bound)
{
    const uint32_t bits = draw32(r), most = bound - 1;
    if ((bound & most) == 0)
        return bits & most;
    uint32_t u = bits >> 1;
    while (u + most - u % bound > INT32_MAX)
        u = draw32(r) >> 1;
    return u % bound;
}

static int64_t draw_price(struct random *r)
{
    return (int64_t)floor(pow(10.0, draw_unit(r) * 6.0) * 100.0 + 0.5);
}

/* Letters with some `special` among them, blanks at the ends cut off. */
static struct leat_sv draw_word(struct random *r, uint32_t max, char special, char **text)
{
    char *from = *text;
    size_t len = 3 + draw(r, max - 3);
    for (size_t i = 0; i < len; i++)
        from[i] = draw(r, 13) == 0 ? special : (char)('a' + draw(r, 26));
    *text += len;
    while (len > 0 && from[len - 1] == ' ')
        len--;
    while (len > 0 && *from == ' ') {
        from++;
        len--;
    }
    return (struct leat_sv){ from, len };
}

/* What brings a record whose other strings have `used` bytes to about `average`. */
static struct leat_sv draw_extra(struct random *r, size_t used, size_t average)
{
    if (used > average)
        return (struct leat_sv){ shared.pool, 0 };
    const size_t wanted = average - used;
    const size_t delta = (size_t)floor((double)wanted * 0.2 + 0.5);
    const size_t len = wanted - delta + (delta ? draw(r, (uint32_t)(2 * delta)) : 0);
    return (struct leat_sv){ shared.pool + draw(r, (uint32_t)(POOL_BYTES - len)), len };
}

/* ---- what all events share ---- */

static void fill_pool(void)
{
    struct random r = { 0 };
    int32_t bits = 0;
    for (size_t i = 0; i < POOL_BYTES; i++) {
        if (i % 6 == 0)
            bits = (int32_t)draw32(&r);
        shared.pool[i] = (char)('a' + bits % 26); /* of a negative number below 'a' */
        bits /= 26;
    }
}

static struct random make_url(uint32_t seed, char url[URL_BYTES], uint8_t *len)
{
    struct random r = { seed };
    char words[32], *at = words;
    const struct leat_sv a = draw_word(&r, 5, '_', &at), b = draw_word(&r, 5, '_', &at),
                         c = draw_word(&r, 5, '_', &at);
    *len = (uint8_t)snprintf(url, URL_BYTES, "https://www.nexmark.com/%.*s/%.*s/%.*s/item.htm?query=1",
        (int)a.len, a.data, (int)b.len, b.data, (int)c.len, c.data);
    return r;
}

static int64_t channel_number(uint32_t channel)
{
    uint32_t reversed = 0;
    for (uint32_t bit = 0; bit < 32; bit++)
        reversed |= (channel >> bit & 1u) << (31 - bit);
    const int64_t number = (int32_t)reversed;
    return number < 0 && number != INT32_MIN ? -number
                                             : number; /* as Java's abs, which leaves the least as it is */
}

static void make_channels(void)
{
    for (uint32_t i = 0; i < HOT_CHANNELS; i++)
        (void)make_url(i, shared.hot[i].url, &shared.hot[i].url_len);
    for (uint32_t i = 0; i < CHANNELS; i++) {
        char *url = shared.channels[i].url;
        uint8_t *len = &shared.channels[i].url_len;
        struct random r = make_url(i, url, len);
        if (draw(&r, 10) > 0)
            *len = (uint8_t)(*len +
                snprintf(url + *len, URL_BYTES - *len, "&channel_id=%lld", (long long)channel_number(i)));
        shared.channels[i].name_len =
            (uint8_t)snprintf(shared.channels[i].name, sizeof shared.channels[i].name, "channel-%u", i);
    }
}

static uint64_t per_block(enum nexmark_kind kind)
{
    return kind == NEXMARK_PERSON ? NEXMARK_PERSONS
        : kind == NEXMARK_AUCTION ? NEXMARK_AUCTIONS
                                  : NEXMARK_BIDS;
}

/* The same in every group, since a group has whole blocks. */
static bool make_order(void)
{
    const uint64_t g = shared.group > 1 ? shared.group : NEXMARK_BLOCK;
    uint64_t counts[NEXMARK_BID + 1] = { 0 };
    for (int kind = NEXMARK_PERSON; kind <= NEXMARK_BID; kind++) {
        free(shared.order[kind]);
        shared.order[kind] = calloc(g / NEXMARK_BLOCK * per_block(kind), sizeof *shared.order[kind]);
        if (!shared.order[kind])
            return false;
    }
    for (uint64_t number = 0; number < g; number++) {
        const uint64_t id = nexmark_event_id(number);
        const enum nexmark_kind kind = nexmark_kind(id);
        shared.order[kind][counts[kind]++] = (uint32_t)id;
    }
    return true;
}

bool nexmark_init(const struct nexmark_config *config)
{
    shared.delay_us = 1e6 / (double)config->rate_per_s;
    shared.group = config->group ? config->group : 1;
    fill_pool();
    make_channels();
    return make_order();
}

/* ---- numbers, ids, times ---- */

uint64_t nexmark_event_id(uint64_t number)
{
    const uint64_t g = shared.group;
    return number / g * g + number * 953 % g; /* 953 is prime: each one of the group once */
}

enum nexmark_kind nexmark_kind(uint64_t event_id)
{
    const uint64_t place = event_id % NEXMARK_BLOCK;
    return place < NEXMARK_PERSONS                   ? NEXMARK_PERSON
        : place < NEXMARK_PERSONS + NEXMARK_AUCTIONS ? NEXMARK_AUCTION
                                                     : NEXMARK_BID;
}

static uint64_t first_in_block(enum nexmark_kind kind)
{
    return kind == NEXMARK_PERSON ? 0
        : kind == NEXMARK_AUCTION ? NEXMARK_PERSONS
                                  : NEXMARK_PERSONS + NEXMARK_AUCTIONS;
}

uint64_t nexmark_nth(enum nexmark_kind kind, uint64_t i)
{
    const uint64_t g = shared.group > 1 ? shared.group : NEXMARK_BLOCK;
    const uint64_t n = g / NEXMARK_BLOCK * per_block(kind);
    return i / n * g + shared.order[kind][i % n];
}

uint64_t nexmark_count(enum nexmark_kind kind, uint64_t events)
{
    const uint64_t rest = events % NEXMARK_BLOCK, first = first_in_block(kind), n = per_block(kind);
    const uint64_t some = rest <= first ? 0 : rest - first < n ? rest - first : n;
    return events / NEXMARK_BLOCK * n + some;
}

static int64_t time_ms(uint64_t event_id)
{
    return NEXMARK_BASE_MS + (int64_t)((double)event_id * shared.delay_us) / 1000;
}

static uint64_t last_person(uint64_t event_id)
{
    return event_id / NEXMARK_BLOCK;
}

static uint64_t last_auction(uint64_t event_id)
{
    const uint64_t block = event_id / NEXMARK_BLOCK, place = event_id % NEXMARK_BLOCK;
    if (place == 0)
        return block == 0 ? 0 : (block - 1) * NEXMARK_AUCTIONS + NEXMARK_AUCTIONS - 1;
    return block * NEXMARK_AUCTIONS + (place <= NEXMARK_AUCTIONS ? place - 1 : NEXMARK_AUCTIONS - 1);
}

static uint64_t draw_person(struct random *r, uint64_t event_id)
{
    const uint64_t people = last_person(event_id) + 1;
    const uint64_t active = people < ACTIVE_PEOPLE ? people : ACTIVE_PEOPLE;
    return people - active + draw(r, (uint32_t)(active + LEAD));
}

static uint64_t draw_auction(struct random *r, uint64_t event_id)
{
    const uint64_t newest = last_auction(event_id),
                   oldest = newest > OPEN_AUCTIONS ? newest - OPEN_AUCTIONS : 0;
    return oldest + draw(r, (uint32_t)(newest - oldest + 1 + LEAD));
}

/* ---- events ---- */

static struct leat_sv literal(const char *text)
{
    return leat_sv_of(text);
}

void nexmark_person(uint64_t event_id, struct person *p, char *text)
{
    struct random r = { event_id };
    p->id = (int64_t)last_person(event_id) + FIRST_ID;
    const char *first = first_names[draw(&r, 11)], *last = last_names[draw(&r, 9)];
    p->name = (struct leat_sv){ text, (size_t)snprintf(text, NAME_BYTES_MAX, "%s %s", first, last) };
    text += p->name.len;
    char words[16], *at = words;
    const struct leat_sv user = draw_word(&r, 7, ' ', &at), host = draw_word(&r, 5, ' ', &at);
    p->emailAddress = (struct leat_sv){ text,
        (size_t)snprintf(
            text, NAME_BYTES_MAX, "%.*s@%.*s.com", (int)user.len, user.data, (int)host.len, host.data) };
    text += p->emailAddress.len;
    uint32_t card[4];
    for (uint32_t i = 0; i < 4; i++)
        card[i] = draw(&r, 10000);
    p->creditCard = (struct leat_sv){ text,
        (size_t)snprintf(text, NAME_BYTES_MAX, "%04u %04u %04u %04u", card[0], card[1], card[2], card[3]) };
    p->city = literal(cities[draw(&r, 10)]);
    p->state = literal(states[draw(&r, 6)]);
    p->dateTime = time_ms(event_id);
    p->extra = draw_extra(
        &r, 8 + p->name.len + p->emailAddress.len + p->creditCard.len + p->city.len + p->state.len, 200);
}

void nexmark_auction(uint64_t event_id, struct auction *a, char *text)
{
    struct random r = { event_id };
    a->id = (int64_t)last_auction(event_id) + FIRST_ID;
    const bool hot = draw(&r, 4) > 0;
    a->seller =
        FIRST_ID + (int64_t)(hot ? last_person(event_id) / HOT_BATCH * HOT_BATCH : draw_person(&r, event_id));
    a->category = FIRST_CATEGORY + draw(&r, CATEGORIES);
    a->initialBid = draw_price(&r);
    a->dateTime = time_ms(event_id);
    /* So long that about OPEN_AUCTIONS are open at a time. */
    const int64_t horizon =
        time_ms(event_id + OPEN_AUCTIONS * NEXMARK_BLOCK / NEXMARK_AUCTIONS) - a->dateTime;
    a->expires = a->dateTime + 1 + draw(&r, horizon > 0 ? (uint32_t)(2 * horizon) : 1);
    a->itemName = draw_word(&r, 20, ' ', &text);
    a->description = draw_word(&r, 100, ' ', &text);
    a->reserve = a->initialBid + draw_price(&r);
    a->extra = draw_extra(&r, 48 + a->itemName.len + a->description.len, 500);
}

void nexmark_bid(uint64_t event_id, struct bid *b)
{
    struct random r = { event_id };
    const bool hot_auction = draw(&r, 2) > 0;
    b->auction = FIRST_ID +
        (int64_t)(hot_auction ? last_auction(event_id) / HOT_BATCH * HOT_BATCH : draw_auction(&r, event_id));
    const bool hot_bidder = draw(&r, 4) > 0; /* the second of a hundred: never the seller who is hot, too */
    b->bidder = FIRST_ID +
        (int64_t)(hot_bidder ? last_person(event_id) / HOT_BATCH * HOT_BATCH + 1 : draw_person(&r, event_id));
    b->price = draw_price(&r);
    if (draw(&r, 2) > 0) {
        const uint32_t i = draw(&r, HOT_CHANNELS);
        b->channel = literal(hot_channels[i]);
        b->url = (struct leat_sv){ shared.hot[i].url, shared.hot[i].url_len };
    } else {
        const uint32_t i = draw(&r, CHANNELS);
        b->channel = (struct leat_sv){ shared.channels[i].name, shared.channels[i].name_len };
        b->url = (struct leat_sv){ shared.channels[i].url, shared.channels[i].url_len };
    }
    b->dateTime = time_ms(event_id);
    b->extra = draw_extra(&r, 32, 100);
}
