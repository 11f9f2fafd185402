/* runtime/align.h -- sources that go through event time together (semantics 10): a split that is further ahead of
 * the slowest active one of its group than the drift allows is not read.
 *
 * Each instance of a source with a group has a slot, in which it tells how far its slowest active split is; all of
 * them read all slots of the group. A split is active unless it has ended or is idle. The slowest split of a group is
 * never paused, so somebody always goes on; barriers do not wait for reads.
 *
 * Threads: a slot is written by its worker alone, with sequential consistency, and whoever has moved one wakes the
 * other workers of the group when its step ends. A figure that is a moment old pauses a split for a moment longer, or
 * lets it read one batch more: results do not depend on it. */
#ifndef LEAT_RUNTIME_ALIGN_H
#define LEAT_RUNTIME_ALIGN_H
#include "base/error.h"
#include <stdbool.h>
#include <stdint.h>

struct leat_job;
struct leat_instance;
struct leat_worker;

struct leat_align_slot {
    int64_t low_us; /* atomic: LEAT_TIME_MAX: no split is active */
    const char *group;
    uint32_t worker;
    char pad[64 - sizeof(int64_t) - sizeof(const char *) - sizeof(uint32_t)]; /* a cache line of its own */
};

struct leat_align {
    struct leat_align_slot *slots;
    uint32_t count;
};

/* Slots for all instances of sources with a group. They begin as if no split had been read. */
LEAT_NODISCARD int leat__align_new(struct leat_job *job);
void leat__align_free(struct leat_job *job);
/* The slot of an instance; NULL: its source has no group. */
struct leat_align_slot *leat__align_slot(const struct leat_instance *inst);
/* Says how far the instance is, and has the others of the group looked at. */
void leat__align_tell(struct leat_align_slot *slot, struct leat_worker *worker, int64_t low_us);
/* The greatest watermark of a split that may be read; LEAT_TIME_MAX: any. */
int64_t leat__align_limit(
    const struct leat_align *align, const struct leat_align_slot *slot, int64_t max_drift_us);
#endif
