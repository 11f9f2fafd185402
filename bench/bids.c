/* bench/bids.c -- see the header. */
#include "bench/bids.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SLACK 64u
#define BID_BYTES_MAX 256u
#define OUT_BYTES (64u * 1024u)
#define TABLE_SLOTS (1u << 18) /* for up to 100,000 auctions */

static uint8_t *put_long(uint8_t *p, int64_t value)
{
    uint64_t z = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
    for (; z >= 0x80; z >>= 7)
        *p++ = (uint8_t)(z | 0x80);
    *p++ = (uint8_t)z;
    return p;
}

static uint8_t *put_text(uint8_t *p, uint64_t seed, uint64_t index, uint64_t draw, uint64_t len)
{
    p = put_long(p, (int64_t)len);
    for (uint64_t i = 0; i < len; i++)
        *p++ = (uint8_t)('a' + leat_random_below(seed, index, draw + i % 4, 26));
    return p;
}

struct bids bids_make(uint32_t count, uint32_t auctions)
{
    struct bids bids = { .data = malloc((size_t)count * BID_BYTES_MAX + SLACK), .count = count };
    if (!bids.data) {
        (void)fprintf(stderr, "bench: no memory for %u bids\n", count);
        exit(1);
    }
    uint8_t *p = bids.data;
    for (uint32_t i = 0; i < count; i++) {
        p = put_long(p, (int64_t)(1000 + leat_random_below(42, i, 0, auctions)));
        p = put_long(p, (int64_t)(1000 + leat_random_below(42, i, 1, 50000)));
        p = put_long(p, (int64_t)(100 + leat_random_below(42, i, 2, 10000000)));
        p = put_text(p, 42, i, 10, 6 + leat_random_below(42, i, 3, 6));
        p = put_text(p, 42, i, 20, 58 + leat_random_below(42, i, 4, 14));
        p = put_long(p, INT64_C(1436918400000) + i / BIDS_PER_MS);
        p = put_text(p, 42, i, 30, 54 + leat_random_below(42, i, 5, 30));
    }
    bids.size = (size_t)(p - bids.data);
    memset(p, 0, SLACK);
    return bids;
}

void bids_free(struct bids *bids)
{
    free(bids->data);
    bids->data = NULL;
}

static inline const uint8_t *get_long(const uint8_t *p, int64_t *value)
{
    uint64_t z = *p & 0x7f;
    unsigned shift = 7;
    while (*p++ & 0x80) {
        z |= (uint64_t)(*p & 0x7f) << shift;
        shift += 7;
    }
    *value = (int64_t)(z >> 1) ^ -(int64_t)(z & 1);
    return p;
}

static inline const uint8_t *get_text(const uint8_t *p, const uint8_t *end, struct leat_sv *text)
{
    int64_t len;
    p = get_long(p, &len);
    if (len < 0 || len > end - p)
        exit(1);
    text->data = (const char *)p;
    text->len = (size_t)len;
    return p + len;
}

static inline const uint8_t *get_bid(const uint8_t *p, const uint8_t *end, struct bid *bid)
{
    p = get_long(p, &bid->auction);
    p = get_long(p, &bid->bidder);
    p = get_long(p, &bid->price);
    p = get_text(p, end, &bid->channel);
    p = get_text(p, end, &bid->url);
    p = get_long(p, &bid->dateTime);
    return get_text(p, end, &bid->extra);
}

uint64_t bids_decode_by_hand(const struct bids *bids)
{
    static struct bid rows[1024];
    const uint8_t *p = bids->data, *end = p + bids->size;
    uint64_t sum = 0, n = 0;
    while (p < end) {
        p = get_bid(p, end, &rows[n % 1024]);
        sum += rows[n % 1024].extra.len;
        n++;
    }
    return sum;
}

uint64_t bids_filter_by_hand(const struct bids *bids)
{
    static uint8_t out[OUT_BYTES + 64];
    const uint8_t *p = bids->data, *end = p + bids->size;
    uint8_t *at = out;
    uint64_t kept = 0;
    struct bid bid;
    while (p < end) {
        p = get_bid(p, end, &bid);
        if (bid.auction % 123 != 0)
            continue;
        at = put_long(at, bid.auction);
        at = put_long(at, bid.price);
        kept++;
        if (at > out + OUT_BYTES)
            at = out;
    }
    __asm__ volatile("" : : "r"(out) : "memory"); /* the output is wanted */
    return kept;
}

struct slot {
    int64_t auction;
    uint64_t bids; /* 0: free */
};

static uint64_t flush_table(struct slot *table, uint8_t *out, int64_t window_end)
{
    uint8_t *at = out;
    uint64_t rows = 0;
    for (uint32_t i = 0; i < TABLE_SLOTS; i++) {
        if (table[i].bids == 0)
            continue;
        at = put_long(at, table[i].auction);
        at = put_long(at, window_end);
        at = put_long(at, (int64_t)table[i].bids);
        rows++;
        if (at > out + OUT_BYTES)
            at = out;
    }
    memset(table, 0, TABLE_SLOTS * sizeof *table);
    __asm__ volatile("" : : "r"(out) : "memory");
    return rows;
}

uint64_t bids_count_by_hand(const struct bids *bids)
{
    static uint8_t out[OUT_BYTES + 64];
    struct slot *table = calloc(TABLE_SLOTS, sizeof *table);
    const uint8_t *p = bids->data, *end = p + bids->size;
    int64_t window_end = INT64_MIN;
    uint64_t rows = 0;
    struct bid bid;
    if (!table)
        exit(1);
    while (p < end) {
        p = get_bid(p, end, &bid);
        if (bid.dateTime >= window_end) {
            if (window_end != INT64_MIN)
                rows += flush_table(table, out, window_end);
            window_end = bid.dateTime - bid.dateTime % BIDS_WINDOW_MS + BIDS_WINDOW_MS;
        }
        uint64_t i = ((uint64_t)bid.auction * UINT64_C(0x9e3779b97f4a7c15)) >> 46;
        while (table[i].bids && table[i].auction != bid.auction)
            i = (i + 1) % TABLE_SLOTS;
        table[i].auction = bid.auction;
        table[i].bids++;
    }
    rows += flush_table(table, out, window_end);
    free(table);
    return rows;
}

static double seconds(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

double bench_cpu_s(void)
{
    return seconds(CLOCK_PROCESS_CPUTIME_ID);
}

double bench_wall_s(void)
{
    return seconds(CLOCK_MONOTONIC);
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

double bench_median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, by_value);
    return values[count / 2];
}

uint64_t bench_resident_bytes(void)
{
    unsigned long long pages = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%llu %llu", &pages, &resident) != 2)
        resident = 0;
    if (file)
        (void)fclose(file);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}
