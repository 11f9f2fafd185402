/* tests/support/two_sides.h -- random records for the two sides of a join, each side of several splits that have an order
 * and a watermark of their own, and their delivery to an operator in any interleaving, with crashes.
 *
 * A record behind the watermark of its split is late, and carries it as its mark. What must come out is the test's to say:
 * it does not depend on the interleaving. Ids say where a record stands. */
#ifndef LEAT_TESTS_SUPPORT_TWO_SIDES_H
#define LEAT_TESTS_SUPPORT_TWO_SIDES_H
#include "tests/support/harness.h"

enum { SIDE_SPLITS = 2, SIDE_RECORDS_MAX = 160 };

struct side_record {
    int64_t ts, value;
    int key; /* -1: null */
    bool late;
    int64_t mark; /* the split's watermark where the record was read; LEAT_TIME_MIN unless it is late */
};

/* In its own order. The watermark moves up behind some records. */
struct side_split {
    struct side_record records[SIDE_RECORDS_MAX];
    int64_t watermark_after[SIDE_RECORDS_MAX];
    uint32_t count;
};

struct side_times {
    int64_t step, disorder; /* how fast time goes, and how much of a jumble it is */
    uint32_t records_max; /* of a split */
};

int64_t side_random_below(uint64_t *state, int64_t n);
int64_t side_id(uint32_t split, uint32_t i);
void two_sides_make(
    struct side_split sides[2][SIDE_SPLITS], const struct side_times *times, uint64_t *random);
/* All of it, as op_events to inputs 0 and 1, each side with its own watermark. `crashes`: the harness has a store. */
void two_sides_deliver(struct harness *h, struct side_split sides[2][SIDE_SPLITS], uint32_t batch_rows,
    bool crashes, uint64_t *random);
#endif
