/* tests/support/growing.h -- a source like a message log whose partitions grow and become more while a job runs: for
 * tests of splits that come, of wake-ups and of positions that are published. Records are facts (tests/schemas). */
#ifndef LEAT_TESTS_SUPPORT_GROWING_H
#define LEAT_TESTS_SUPPORT_GROWING_H
#include "base/env.h"
#include "fact.h"
#include "tests/support/lines.h"
#include "topology/graph.h"
#include <leat/job.h>
#include <pthread.h>

#define GROWING_PARTITIONS_MAX 16u

/* By a clock that goes on from one run to the next, as long as nothing else moves base_us. A row is there from come_us on, and may be read fetch_us later. */
struct growing_row {
    int64_t come_us, at;
};
struct growing_partition {
    int64_t exists_us;
    const struct growing_row *rows; /* borrowed */
    uint32_t count;
};
struct growing {
    struct growing_partition partitions[GROWING_PARTITIONS_MAX];
    uint32_t count;
    int64_t fetch_us, discover_us, idle_timeout_us;
    bool latest; /* a job that begins new begins behind what is there */
    bool
        by_hand; /* readers wait until they are woken, never for a time: rows are there from growing_put on */
    int discover_result, publish_result; /* what these answer instead; 0: they work */
    uint32_t stop_after; /* rows of one run; 0: never */
    bool cancels; /* instead of stopping */
    leat_job *job; /* which is stopped then */
    int64_t base_us,
        last_us; /* of the clock: what a job's own 0 is, and the newest moment that was looked at */
    uint32_t rows_read; /* atomic: of this run */
    uint32_t discoveries, opened_bare; /* splits opened without a position */
    uint32_t put[GROWING_PARTITIONS_MAX]; /* atomic: by hand */
    pthread_mutex_t lock; /* zeroed is ready. Guards: */
    void *open[GROWING_PARTITIONS_MAX]; /* readers, while they are */
    struct lines published; /* "3: log/0=17 log/1=2" */
    uint32_t unpublished;
};
leat_stream *growing_source(leat_topology *t, const char *name, struct growing *growing);
/* By hand: one more row of the partition; any one thread at a time. */
void growing_put(struct growing *growing, uint32_t partition);
#endif
