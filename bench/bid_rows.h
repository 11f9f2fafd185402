/* bench/bid_rows.h -- bids of about 163 bytes of Avro (249 of JSON) for the benches of formats, and their
 * clock. */
#ifndef LEAT_BENCH_BID_ROWS_H
#define LEAT_BENCH_BID_ROWS_H
#include "base/env.h"
#include "base/limits.h"
#include "base/strbuf.h"
#include "record/avro.h"

struct bid_row {
    int64_t auction, bidder, price;
    struct leat_sv channel, url;
    int64_t date_time;
    struct leat_sv extra;
};

extern const char bid_rows_schema[];

struct bid_rows {
    struct leat_schema *schema;
    struct leat_arena arena;
    const struct leat_type *type;
    struct leat_pool *pool;
};

/* Bid i, with its text in `memory` (256 bytes). Always the same for the same i. */
void bid_rows_make(struct bid_row *row, char *memory, uint32_t i);
void bid_rows_open(struct bid_rows *b);
void bid_rows_close(struct bid_rows *b);

/* Ends the program with a text where `fine` does not hold. */
void bid_rows_check(bool fine, const char *what);

/* Runs the candidates in turn, `repetitions` times each, and puts each one's median in nanoseconds per row
 * into `ns`. A NULL candidate gives 0. */
typedef void (*bid_rows_fn)(void *arg);
void bid_rows_measure(void *arg, const bid_rows_fn *candidates, uint32_t count, uint32_t repetitions,
    uint32_t rows_count, double *ns);
#endif
