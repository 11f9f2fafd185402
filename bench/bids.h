/* bench/bids.h -- bids as Avro binary in memory, and the loops that a programmer would write by hand for the
 * same work. */
#ifndef LEAT_BENCH_BIDS_H
#define LEAT_BENCH_BIDS_H
#include "bid.h"
#include "bid_count.h"
#include "bid_price.h"
#include <leat/leat.h>

#define BIDS_PER_MS 10
#define BIDS_WINDOW_MS 10000

struct bids {
    uint8_t *data; /* with slack behind */
    size_t size;
    uint32_t count;
};

/* `count` bids of 163 bytes on average over `auctions` auctions, in order of time, 10 a millisecond. */
struct bids bids_make(uint32_t count, uint32_t auctions);
void bids_free(struct bids *bids);

/* Decode every bid by hand, keep auctions that 123 divides, encode (auction, price). Returns the rows kept.
 */
uint64_t bids_filter_by_hand(const struct bids *bids);
/* Decode every bid by hand, count by auction and 10 s of event time in a table, encode each count when its
 * window closes. Returns the rows made. */
uint64_t bids_count_by_hand(const struct bids *bids);
/* Decode every bid into a struct, and nothing more: the bare reader. Returns a sum that must not be optimised
 * away. */
uint64_t bids_decode_by_hand(const struct bids *bids);

/* Seconds of this process's processor time, and of the wall clock. */
double bench_cpu_s(void);
double bench_wall_s(void);
double bench_median(double *values, int count); /* sorts */
uint64_t bench_resident_bytes(void);
#endif
