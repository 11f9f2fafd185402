/* runtime/restore.h -- how instances find what a checkpoint has of them, when the job begins with one.
 *
 * Which watermarks an instance begins with: those of the checkpoint's subtask of the same number, where nothing
 * has moved (as many subtasks as before, every split on the worker that it was on). Where something has,
 *   - a node that all its subtasks agree on, as behind a hash exchange, begins with what they agree on;
 *   - others behind a hash exchange (idle inputs) with the least of them;
 *   - the rest at LEAT_TIME_MIN: the splits, which know their own, say the rest.
 * None of this makes anything go back: consumers begin where they were, and hear everybody before they move on
 * (watermark.h, rule 6). */
#ifndef LEAT_RUNTIME_RESTORE_H
#define LEAT_RUNTIME_RESTORE_H
#include "runtime/instance.h"

struct leat_job;

/* Watermarks of an operator or sink, after its merges were made and before its class is initialised. */
void leat__restore_watermarks(struct leat_instance *inst);
/* Gives the class what its subtasks have written; after init or open. */
LEAT_NODISCARD int leat__restore_class(struct leat_instance *inst);

/* ---- the splits of a source, of all its old subtasks ---- */

struct leat_saved_split {
    const struct leat_split_part *part;
    uint32_t subtask;
};
struct leat_saved_splits {
    const struct leat_part **parts;
    uint32_t parts_count;
    struct leat_saved_split *list; /* in order of their ids */
    uint32_t count;
};
LEAT_NODISCARD int leat__saved_splits_open(struct leat_saved_splits *saved, struct leat_instance *inst);
void leat__saved_splits_close(struct leat_saved_splits *saved);
const struct leat_saved_split *leat__saved_split(const struct leat_saved_splits *saved, const char *id);
const struct leat_part *leat__saved_part(const struct leat_saved_splits *saved, uint32_t subtask);
/* The least watermark that any subtask had sent. */
int64_t leat__saved_least_us(const struct leat_saved_splits *saved);
/* LEAT_ENOTFOUND naming a split that had not ended and is not in the list any more. */
LEAT_NODISCARD int leat__saved_splits_check(
    const struct leat_saved_splits *saved, const struct leat_split_list *splits, struct leat__ctx *ctx);
#endif
