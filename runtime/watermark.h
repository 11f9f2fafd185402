/* runtime/watermark.h -- merging watermarks of several parts (splits, channels, inputs) into one.
 *
 * Rules (semantics 2, 4, 6), each tested in tests/unit/runtime/test_watermark.c:
 *
 * (1) A part starts at LEAT_TIME_MIN and active; a lower watermark than its last is ignored.
 *
 * (2) The merged watermark is the minimum over the parts that count, and never goes back; nothing comes out
 * while a part that counts has not spoken.
 *
 * (3) An idle part does not count; when the last one goes idle, the maximum over all parts that have not
 * ended comes out, and then the whole is idle.
 *
 * (4) A part that was idle counts again when its own watermark has reached the merged one.
 *
 * (5) An ended part is at LEAT_TIME_MAX for ever; when all have ended, so is the merged one.
 *
 * (6) After a restore the merged watermark begins where it was, and stays there until every part has been
 * heard: with its watermark (as low as LEAT_TIME_MIN), its idleness or its end. Then rule (4) tells which
 * count, as before the interruption.
 *
 * (7) A merge that grows may get parts later: it never ends by its parts, and without an active one it is idle. A
 * part that is added holds nothing back before rule (4) lets it in.
 *
 * (8) Parts that are idle together hear of the same inputs (subtasks that all hear everybody): they are idle when all
 * of them have said so, and none is any more when one is not. Else who hears first that a silence is over would go
 * on alone, and what the others give by the same watermark would come behind it. */
#ifndef LEAT_RUNTIME_WATERMARK_H
#define LEAT_RUNTIME_WATERMARK_H
#include "base/error.h"

struct leat_wm_part {
    int64_t wm_us;
    bool idle;
    bool counts; /* false while idle, and afterwards until rule (4) lets it in */
    bool ended;
    bool awaited; /* restored and not heard yet: rule (6) */
    bool said_idle; /* rule (8): its own part of it */
};

struct leat_wm_merge {
    struct leat_wm_part *parts;
    uint32_t count;
    int64_t merged_us;
    bool idle; /* all parts that have not ended are idle, and there is such a part */
    bool ended; /* all parts have ended */
    bool grows; /* rule (7) */
    bool together; /* rule (8); set behind init */
    uint32_t awaited_count;
};

/* `count` parts; with none the merge is ended from the start. */
LEAT_NODISCARD int leat__wm_init(struct leat_wm_merge *merge, uint32_t count);
/* After init, before anything else: rule (7). */
void leat__wm_grows(struct leat_wm_merge *merge);
/* One more part of a merge that grows; its number is the count before. */
LEAT_NODISCARD int leat__wm_add(struct leat_wm_merge *merge);
/* No part will come any more. */
void leat__wm_grown(struct leat_wm_merge *merge);
void leat__wm_release(struct leat_wm_merge *merge);
/* After init (and grows), before anything else: begins at merged_us, rule (6). */
void leat__wm_restore(struct leat_wm_merge *merge, int64_t merged_us);

/* Each says whether merged_us, idle or ended of the whole may have changed (compare with what was sent). */
bool leat__wm_advance(struct leat_wm_merge *merge, uint32_t part, int64_t wm_us); /* also makes it active */
bool leat__wm_set_active(struct leat_wm_merge *merge, uint32_t part); /* a record came */
bool leat__wm_set_idle(struct leat_wm_merge *merge, uint32_t part);
bool leat__wm_end(struct leat_wm_merge *merge, uint32_t part);
#endif
