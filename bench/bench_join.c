/* bench/bench_join.c -- joins of two streams by key and time, whole jobs on one worker, beside a hash join written by hand for
 * one thread that does the same work: it keeps the rows of both sides with their strings as long as they can have a
 * partner, looks keys up, and makes result rows in blocks with strings of their own.
 *
 *   bench_join [rows of a side, default 400000]
 *
 * Rows come in the order of their times, one of each side a microsecond, keys are random; how many keys there are
 * decides how many partners a row has. Both run in turn, several times; the least processor time counts, per row of
 * either side. Where rows have many partners, per pair as well. */
#include "priced_trade.h"
#include "quote.h"
#include "trade.h"
#include <leat/leat.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define TURNS 3
#define REACH_US 1000 /* of the interval join to either side; half a window */
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
        &(struct leat_asof_join_opts){
            .left_key = "key", .tolerance_us = (int64_t)1000 * REACH_US, .merge = &price_join });
}

struct watch {
    uint64_t results, state_bytes, state_keys;
};

static void watch(void *arg, const struct leat_progress *p)
{
    struct watch *w = arg;
    w->results = p->sink_records;
    for (size_t i = 0; i < p->nodes_count; i++)
        if (strcmp(p->nodes[i].name, "join") == 0 && p->nodes[i].state_bytes > w->state_bytes) {
            w->state_bytes = p->nodes[i].state_bytes;
            w->state_keys = p->nodes[i].state_keys;
        }
}

static double run_leat(const struct input *in, enum kind kind, struct watch *w)
{
    struct leat_error err = { 0 };
    leat_topology *t = leat_topology_new("join");
    leat_stream *trades = leat_memory_source(t, "trades",
        &(struct leat_memory_source_opts){
            .type = &trade_type, .rows = in->trades, .count = in->rows, .event_time = "ts" });
    leat_stream *quotes = leat_memory_source(t, "quotes",
        &(struct leat_memory_source_opts){
            .type = &quote_type, .rows = in->quotes, .count = in->rows, .event_time = "ts" });
    leat_memory_sink(declare(trades, quotes, kind), "results", &(struct leat_memory_sink_opts){ 0 });
    const double began = cpu_s();
    const int code = leat_run(t,
        &(struct leat_job_opts){
            .parallelism = 1, .on_progress = watch, .progress_arg = w, .progress_interval_us = 5000 },
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

struct hand {
    struct row_list *trades, *quotes; /* by key: keys are small numbers, which is as good as hashing */
    struct kept *free;
    struct priced_trade out[BLOCK_ROWS];
    char names[BLOCK_ROWS][NAME_BYTES];
    uint32_t out_count;
    uint64_t results;
};

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

static void keep_trade(struct hand *h, const struct trade *t)
{
    keep(h, &h->trades[t->key])->row.trade = *t;
}

static void keep_quote(struct hand *h, const struct quote *q)
{
    struct kept *k = keep(h, &h->quotes[q->key]);
    k->row.quote = *q;
    memcpy(k->name, q->name.data, q->name.len);
    k->row.quote.name.data = k->name;
}

static void give(struct hand *h, const struct trade *t, const struct quote *q)
{
    if (h->out_count == BLOCK_ROWS)
        h->out_count = 0; /* handed on */
    struct priced_trade *out = &h->out[h->out_count];
    price(NULL, t, q, out);
    memcpy(h->names[h->out_count], q->name.data, q->name.len);
    out->name.data = h->names[h->out_count++];
    h->results++;
}

static void hand_interval(struct hand *h, const struct input *in)
{
    for (uint64_t i = 0; i < in->rows; i++) {
        const struct trade *t = &in->trades[i];
        const struct quote *q = &in->quotes[i];
        struct row_list *quotes = &h->quotes[t->key], *trades = &h->trades[q->key];
        while (quotes->first && quotes->first->row.quote.ts < t->ts - REACH_US)
            drop_first(h, quotes);
        keep_trade(h, t);
        for (const struct kept *k = quotes->first; k; k = k->next)
            give(h, t, &k->row.quote);
        while (trades->first && trades->first->row.trade.ts < q->ts - REACH_US)
            drop_first(h, trades);
        keep_quote(h, q);
        for (const struct kept *k = trades->first; k; k = k->next)
            give(h, &k->row.trade, q);
    }
}

static void close_window(struct hand *h, uint64_t keys)
{
    for (uint64_t key = 0; key < keys; key++) {
        for (const struct kept *t = h->trades[key].first; t; t = t->next)
            for (const struct kept *q = h->quotes[key].first; q; q = q->next)
                give(h, &t->row.trade, &q->row.quote);
        while (h->trades[key].first)
            drop_first(h, &h->trades[key]);
        while (h->quotes[key].first)
            drop_first(h, &h->quotes[key]);
    }
}

static void hand_window(struct hand *h, const struct input *in)
{
    int64_t window = 0;
    for (uint64_t i = 0; i < in->rows; i++) {
        if (in->trades[i].ts / (2 * REACH_US) != window) {
            close_window(h, in->keys);
            window = in->trades[i].ts / (2 * REACH_US);
        }
        keep_trade(h, &in->trades[i]);
        keep_quote(h, &in->quotes[i]);
    }
    close_window(h, in->keys);
}

/* A quote at the same time counts. */
static void hand_as_of(struct hand *h, const struct input *in)
{
    for (uint64_t i = 0; i < in->rows; i++) {
        const struct quote *q = &in->quotes[i];
        const struct trade *t = &in->trades[i];
        if (h->quotes[q->key].first)
            drop_first(h, &h->quotes[q->key]);
        keep_quote(h, q);
        if (h->quotes[t->key].first &&
            h->quotes[t->key].first->row.quote.ts >= t->ts - (int64_t)1000 * REACH_US)
            give(h, t, &h->quotes[t->key].first->row.quote);
    }
}

static void free_rows(struct hand *h, uint64_t keys)
{
    for (uint64_t key = 0; key < keys; key++) {
        while (h->trades[key].first)
            drop_first(h, &h->trades[key]);
        while (h->quotes[key].first)
            drop_first(h, &h->quotes[key]);
    }
    while (h->free) {
        struct kept *k = h->free;
        h->free = k->next;
        free(k);
    }
}

static double run_hand(const struct input *in, enum kind kind, uint64_t *results)
{
    static void (*const runs[])(
        struct hand *, const struct input *) = { hand_interval, hand_window, hand_as_of };
    struct hand *h = alloc(1, sizeof *h);
    const double began = cpu_s();
    h->trades = alloc(in->keys, sizeof *h->trades);
    h->quotes = alloc(in->keys, sizeof *h->quotes);
    runs[kind](h, in);
    free_rows(h, in->keys);
    const double took = cpu_s() - began;
    *results = h->results;
    free(h->trades);
    free(h->quotes);
    free(h);
    return took;
}

/* ---- figures ---- */

static const char *only; /* parts of names; NULL: all */

static void compare(const char *name, enum kind kind, uint64_t rows, uint64_t keys)
{
    struct input in;
    struct watch w = { 0 };
    uint64_t results = 0;
    if (only && !strstr(name, only))
        return;
    double leat = 0, hand = 0;
    make_input(&in, rows, keys);
    for (int turn = 0; turn < TURNS; turn++) {
        const double ours = run_leat(&in, kind, &w), theirs = run_hand(&in, kind, &results);
        leat = turn == 0 || ours < leat ? ours : leat;
        hand = turn == 0 || theirs < hand ? theirs : hand;
        if (w.results != results) {
            (void)fprintf(stderr, "bench: %s: %llu results, by hand %llu\n", name,
                (unsigned long long)w.results, (unsigned long long)results);
            exit(1);
        }
    }
    const double both = 2.0 * (double)rows;
    printf("join/%s: %.1f ns/row, by hand %.1f: %.0f %%; %.1f pairs a row, %.1f ns each, by hand %.1f\n",
        name, leat / both * 1e9, hand / both * 1e9, 100 * hand / leat, (double)results / (double)rows,
        leat / (double)results * 1e9, hand / (double)results * 1e9);
    if (w.state_keys)
        printf("join/%s: at most %.1f MiB of state\n", name, (double)w.state_bytes / (1 << 20));
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
