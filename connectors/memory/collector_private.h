/* connectors/memory/collector_private.h -- how memory sinks hand what they collected to a collector.
 *
 * A sink instance fills a part of its own. When the job commits, the part goes to the collector: from then on
 * it is the collector's. Parts are pushed without a lock (several jobs may share a collector); reading begins
 * when all jobs that write have ended, and shows parts in the order (sink's node, subtask, epoch), whatever
 * the order of the commits. */
#ifndef LEAT_CONNECTORS_MEMORY_COLLECTOR_PRIVATE_H
#define LEAT_CONNECTORS_MEMORY_COLLECTOR_PRIVATE_H
#include "base/arena.h"
#include "record/copy.h"
#include <leat/memory.h>

/* Rows of a part are found by index in two steps: chunk and row in it; all chunks but the last are full. */
#define LEAT_COLLECTED_ROWS 4096u

struct leat_collected {
    const void *record;
    int64_t event_us;
    uint8_t change;
};

struct leat_collector_part {
    struct leat_collector_part *next;
    uint32_t node_id, subtask;
    uint64_t epoch;
    uint64_t count;
    struct leat_collected **chunks; /* of LEAT_COLLECTED_ROWS each */
    size_t chunks_count, chunks_capacity;
    struct leat_arena arena; /* the records with all that they show */
    bool given; /* to the collector */
};

struct leat_collector_part *leat__collector_part_new(uint32_t node_id, uint32_t subtask);
void leat__collector_part_free(struct leat_collector_part *part);
/* Appends deep copies of all rows, with their event times or LEAT_TIME_MIN. LEAT_ENOMEM or 0. */
int leat__collector_part_add(struct leat_collector_part *part, struct leat_copier *copier, bool is_timed,
    const struct leat_batch *batch);
/* Takes the part. Giving it again does nothing. */
void leat__collector_give(struct leat_collector *collector, struct leat_collector_part *part);

/* Notes the size of the records of a sink; false when sinks of another size write to it too. */
bool leat__collector_accepts(struct leat_collector *collector, const struct leat_type *type);
#endif
