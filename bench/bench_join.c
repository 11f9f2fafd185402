/* bench/bench_join.c -- joins of two streams by key and time, whole jobs on one worker, beside a hash join written by hand for
 * one thread that does the same work: it keeps the rows of both sides with their strings as long as they can have a
 * partner, looks keys up, and makes result rows in blocks with strings of their own.
 *
 *   bench_join [rows of a side, default 400000 [part of the names of what is run]]
 *
 * Rows come in the order of their times, one of each side a microsecond, keys are random; how many keys there are
 * decides how many partners a row has. The loop hashes keys, knows that rows are in order, looks a key up once for both
 * sides, and gives each result its time. Before anything is measured both make their results once and sums over all
 * fields, bytes of strings and times are compared. Then both run in turn, several times; the least processor time counts,
 * per row of either side. Where rows have many partners, per pair as well. */
#include "priced_trade.h"
#include "quote.h"
#include "trade.h"
#include <leat/leat.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define TURNS 7
#define REACH_US 1000 /* of the interval join to either side; half a window */
#define AS_OF_US ((int64_t)1000 * REACH_US)
#define NAME_BYTES 16u
#define BLOCK_ROWS 1024u

static void price(
    struct leat_ctx *ctx, const struct trade *t, const struct quote *q, struct priced_trade *out)
{
    (void)ctx;
    out->id = t->id;
    out->price = q->price;
    out->name = q->name;
}
LEAT_DEFINE_JOIN(price, trade, quote, priced_trade);

enum kind { INTERVAL, WINDOW, AS_OF };

struct input {
    uint64_t rows, keys;
    struct trade *trades;
    struct quote *quotes;
    char (*names)[NAME_BYTES];
};

static void *alloc(size_t count, size_t size)
{
    void *p = calloc(count, size);
    if (!p) {
        (void)fprintf(stderr, "bench: out of memory\n");
        exit(1);
    }
    return p;
}

static void make_input(struct input *in, uint64_t rows, uint64_t keys)
{
    *in = (struct input){ rows, keys, alloc(rows, sizeof *in->trades), alloc(rows, sizeof *in->quotes),
        alloc(rows, sizeof *in->names) };
    for (uint64_t i = 0; i < rows; i++) {
        memcpy(in->names[i], "a quote's name..", NAME_BYTES);
        in->trades[i] = (struct trade){ (int64_t)i, (int64_t)leat_random_below(1, i, 0, keys), (int64_t)i };
        in->quotes[i] = (struct quote){ (int64_t)leat_random_below(1, i, 1, keys), (int64_t)(i % 1000),
            { in->names[i], NAME_BYTES }, (int64_t)i };
    }
}

static void free_input(struct input *in)
{
    free(in->trades);
    free(in->quotes);
    free(in->names);
}

static double cpu_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* What one result adds to a sum in which the order of results does not count. */
static uint64_t weight(const struct priced_trade *r, int64_t event_us)
{
    uint64_t h =
        (uint64_t)r->id * UINT64_C(0x9e3779b97f4a7c15) ^ (uint64_t)r->price << 40 ^ (uint64_t)event_us;
    for (size_t i = 0; i < r->name.len; i++)
        h = (h ^ (unsigned char)r->name.data[i]) * UINT64_C(0x100000001b3);
    return h ^ h >> 32;
}

/* ---- Leat ---- */

static leat_stream *declare(leat_stream *trades, leat_stream *quotes, enum kind kind)
{
    if (kind == INTERVAL)
        return leat_join(trades, quotes, "join",
            &(struct leat_join_opts){ .left_key = "key", .within_us = REACH_US, .merge = &price_join });
    if (kind == WINDOW)
        return leat_window_join(trades, quotes, "join",
            &(struct leat_window_join_opts){ .left_key = "key",
                .window = { .kind = LEAT_WINDOW_TUMBLING, .size_us = 2 * REACH_US },
                .merge = &price_join });
    return leat_asof_join(trades, quotes, "join",
        &(struct leat_asof_join_opts){ .left_key = "key", .tolerance_us = AS_OF_US, .merge = &price_join });
}

static void watch(void *results, const struct leat_progress *p)
{
    *(uint64_t *)results = p->sink_records;
}

static uint64_t checked_sum;

static void check(struct leat_ctx *ctx, const struct priced_trade *result)
{
    checked_sum += weight(result, leat_ctx_event_us(ctx));
}
LEAT_DEFINE_PEEK(check, priced_trade);

static double run_leat(const struct input *in, enum kind kind, bool checks, uint64_t *count)
{
    struct leat_error err = { 0 };
    leat_topology *t = leat_topology_new("join");
    leat_stream *trades = leat_memory_source(t, "trades",
        &(struct leat_memory_source_opts){
            .type = &trade_type, .rows = in->trades, .count = in->rows, .event_time = "ts" });
    leat_stream *quotes = leat_memory_source(t, "quotes",
        &(struct leat_memory_source_opts){
            .type = &quote_type, .rows = in->quotes, .count = in->rows, .event_time = "ts" });
    leat_stream *results = declare(trades, quotes, kind);
    if (checks)
        results = leat_peek(results, "check", &check_peek);
    leat_memory_sink(results, "results", &(struct leat_memory_sink_opts){ 0 });
    const double began = cpu_s();
    const int code = leat_run(t,
        &(struct leat_job_opts){
            .parallelism = 1, .on_progress = watch, .progress_arg = count, .progress_interval_us = 5000 },
        &err);
    const double took = cpu_s() - began;
    leat_topology_free(t);
    if (code < 0) {
        (void)fprintf(stderr, "bench: %s\n", err.message);
        exit(1);
    }
    return took;
}

/* ---- by hand ---- */

struct kept {
    struct kept *next; /* of the key, in order of time */
    union {
        struct trade trade;
        struct quote quote;
    } row;
    char name[NAME_BYTES];
};

/* The rows of a key that can still have a partner; those behind go to the free ones. */
struct row_list {
    struct kept *first, *last;
};

struct slot {
    int64_t key;
    bool is_taken;
    struct row_list trades, quotes;
};

struct hand {
    struct slot *slots; /* a power of two, at most half of them taken */
    uint64_t mask;
    struct kept *free;
    struct priced_trade out[BLOCK_ROWS];
    int64_t out_us[BLOCK_ROWS];
    char names[BLOCK_ROWS][NAME_BYTES];
    uint32_t out_count;
    bool checks;
    uint64_t results, sum;
};

static struct slot *find_slot(struct hand *h, int64_t key)
{
    uint64_t at = ((uint64_t)key * UINT64_C(0x9e3779b97f4a7c15)) >> 32 & h->mask;
    while (h->slots[at].is_taken && h->slots[at].key != key)
        at = (at + 1) & h->mask;
    h->slots[at].key = key;
    h->slots[at].is_taken = true;
    return &h->slots[at];
}

static struct kept *keep(struct hand *h, struct row_list *list)
{
    struct kept *k = h->free ? h->free : alloc(1, sizeof *k);
    h->free = k->next;
    k->next = NULL;
    if (list->last)
        list->last->next = k;
    else
        list->first = k;
    list->last = k;
    return k;
}

static void drop_first(struct hand *h, struct row_list *list)
{
    struct kept *k = list->first;
    list->first = k->next;
    if (!list->first)
        list->last = NULL;
    k->next = h->free;
    h->free = k;
}

static void keep_trade(struct hand *h, struct slot *slot, const struct trade *t)
{
    keep(h, &slot->trades)->row.trade = *t;
}

static void keep_quote(struct hand *h, struct slot *slot, const struct quote *q)
{
    struct kept *k = keep(h, &slot->quotes);
    k->row.quote = *q;
    memcpy(k->name, q->name.data, q->name.len);
    k->row.quote.name.data = k->name;
}

/* The block is handed on. */
static void hand_on(struct hand *h)
{
    for (uint32_t i = 0; h->checks && i < h->out_count; i++)
        h->sum += weight(&h->out[i], h->out_us[i]);
    h->results += h->out_count;
    h->out_count = 0;
}

static void give(struct hand *h, const struct trade *t, const struct quote *q, int64_t event_us)
{
    if (h->out_count == BLOCK_ROWS)
        hand_on(h);
    struct priced_trade *out = &h->out[h->out_count];
    price(NULL, t, q, out);
    memcpy(h->names[h->out_count], q->name.data, q->name.len);
    out->name.data = h->names[h->out_count];
    h->out_us[h->out_count++] = event_us;
}

static void hand_interval(struct hand *h, const struct input *in)
{
    for (uint64_t i = 0; i < in->rows; i++) {
        const struct trade *t = &in->trades[i];
        const struct quote *q = &in->quotes[i];
        struct slot *slot = find_slot(h, t->key);
        while (slot->quotes.first && slot->quotes.first->row.quote.ts < t->ts - REACH_US)
            drop_first(h, &slot->quotes);
        keep_trade(h, slot, t);
        for (const struct kept *k = slot->quotes.first; k; k = k->next)
            give(h, t, &k->row.quote, t->ts);
        slot = find_slot(h, q->key);
        while (slot->trades.first && slot->trades.first->row.trade.ts < q->ts - REACH_US)
            drop_first(h, &slot->trades);
        keep_quote(h, slot, q);
        for (const struct kept *k = slot->trades.first; k; k = k->next)
            give(h, &k->row.trade, q, q->ts);
    }
}

static void drop_all(struct hand *h, struct slot *slot)
{
    while (slot->trades.first)
        drop_first(h, &slot->trades);
    while (slot->quotes.first)
        drop_first(h, &slot->quotes);
}

static void close_window(struct hand *h, int64_t last_us)
{
    for (uint64_t i = 0; i <= h->mask; i++) {
        struct slot *slot = &h->slots[i];
        for (const struct kept *t = slot->trades.first; t; t = t->next)
            for (const struct kept *q = slot->quotes.first; q; q = q->next)
                give(h, &t->row.trade, &q->row.quote, last_us);
        drop_all(h, slot);
    }
}

static void hand_window(struct hand *h, const struct input *in)
{
    const int64_t size_us = 2 * REACH_US;
    int64_t window = 0;
    for (uint64_t i = 0; i < in->rows; i++) {
        if (in->trades[i].ts / size_us != window) {
            close_window(h, (window + 1) * size_us - 1);
            window = in->trades[i].ts / size_us;
        }
        keep_trade(h, find_slot(h, in->trades[i].key), &in->trades[i]);
        keep_quote(h, find_slot(h, in->quotes[i].key), &in->quotes[i]);
    }
    close_window(h, (window + 1) * size_us - 1);
}

/* A quote at the same time counts. */
static void hand_as_of(struct hand *h, const struct input *in)
{
    for (uint64_t i = 0; i < in->rows; i++) {
        const struct quote *q = &in->quotes[i];
        const struct trade *t = &in->trades[i];
        struct slot *slot = find_slot(h, q->key);
        if (slot->quotes.first)
            drop_first(h, &slot->quotes);
        keep_quote(h, slot, q);
        slot = find_slot(h, t->key);
        if (slot->quotes.first && slot->quotes.first->row.quote.ts >= t->ts - AS_OF_US)
            give(h, t, &slot->quotes.first->row.quote, t->ts);
    }
}

static void free_rows(struct hand *h)
{
    for (uint64_t i = 0; i <= h->mask; i++)
        drop_all(h, &h->slots[i]);
    while (h->free) {
        struct kept *k = h->free;
        h->free = k->next;
        free(k);
    }
}

static double run_hand(const struct input *in, enum kind kind, bool checks, uint64_t *results, uint64_t *sum)
{
    static void (*const runs[])(
        struct hand *, const struct input *) = { hand_interval, hand_window, hand_as_of };
    struct hand *h = alloc(1, sizeof *h);
    const double began = cpu_s();
    h->checks = checks;
    for (h->mask = 15; h->mask < 2 * in->keys; h->mask = 2 * h->mask + 1)
        ;
    h->slots = alloc(h->mask + 1, sizeof *h->slots);
    runs[kind](h, in);
    hand_on(h);
    free_rows(h);
    const double took = cpu_s() - began;
    *results = h->results;
    *sum = h->sum;
    free(h->slots);
    free(h);
    return took;
}

/* ---- figures ---- */

static const char *only; /* part of names; NULL: all */

/* Both have the same results. */
static void check_results(const char *name, enum kind kind, const struct input *in)
{
    uint64_t count = 0, results, sum;
    checked_sum = 0;
    (void)run_leat(in, kind, true, &count);
    (void)run_hand(in, kind, true, &results, &sum);
    if (count == results && checked_sum == sum)
        return;
    (void)fprintf(stderr, "bench: %s: %llu results (%llx), by hand %llu (%llx)\n", name,
        (unsigned long long)count, (unsigned long long)checked_sum, (unsigned long long)results,
        (unsigned long long)sum);
    exit(1);
}

static void compare(const char *name, enum kind kind, uint64_t rows, uint64_t keys)
{
    struct input in;
    uint64_t results = 0, sum;
    if (only && !strstr(name, only))
        return;
    double leat = 0, hand = 0;
    make_input(&in, rows, keys);
    check_results(name, kind, &in);
    for (int turn = 0; turn < TURNS; turn++) {
        const double ours = run_leat(&in, kind, false, &results);
        const double theirs = run_hand(&in, kind, false, &results, &sum);
        leat = turn == 0 || ours < leat ? ours : leat;
        hand = turn == 0 || theirs < hand ? theirs : hand;
    }
    const double both = 2.0 * (double)rows;
    printf("join/%s: %.1f ns/row, by hand %.1f: %.0f %%; %.1f pairs a row, %.1f ns each, by hand %.1f\n",
        name, leat / both * 1e9, hand / both * 1e9, 100 * hand / leat, (double)results / (double)rows,
        leat / (double)results * 1e9, hand / (double)results * 1e9);
    (void)fflush(stdout);
    free_input(&in);
}

int main(int argc, char **argv)
{
    only = argc > 2 ? argv[2] : NULL;
    const uint64_t rows = argc > 1 ? strtoull(argv[1], NULL, 10) : 400000;
    compare("interval, 1 partner", INTERVAL, rows, 2000);
    compare("interval, 10 partners", INTERVAL, rows / 2, 200);
    compare("interval, 1000 partners", INTERVAL, rows / 20, 2);
    compare("window, 1 partner", WINDOW, rows, 2000);
    compare("window, 10 partners", WINDOW, rows / 2, 200);
    compare("window, 1000 partners", WINDOW, rows / 20, 2);
    compare("as of", AS_OF, rows, 2000);
    return 0;
}
