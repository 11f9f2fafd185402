/* operators/slice_aggregate_tree.c -- slices and nodes by number, and the nodes that a window is made of. Pure
 * arithmetic. */
#include "operators/slice_aggregate_private.h"

/* Slices of so many microseconds leave room for the numbers of all nodes over all of time. */
#define SLICE_US_MIN 4

bool leat__slices_are_countable(const struct leat__assigner *assigner)
{
    return assigner->step / (assigner->rest ? 2 : 1) >= SLICE_US_MIN;
}

static int64_t slices_of_window(const struct leat__assigner *assigner)
{
    const int64_t steps = assigner->size / assigner->step;
    return assigner->rest ? 2 * steps + 1 : steps;
}

uint32_t leat__slice_levels(const struct leat__assigner *assigner)
{
    return 63u - (uint32_t)__builtin_clzll((uint64_t)slices_of_window(assigner));
}

int64_t leat__slice_index(const struct leat__assigner *assigner, int64_t start)
{
    const bool is_cumulating = assigner->kind == LEAT_WINDOW_CUMULATING;
    const int64_t step = assigner->step;
    const int64_t rest = leat__floor_mod(start, step);
    int64_t steps = start / step - (start % step < 0);
    int64_t into = rest - (is_cumulating ? assigner->step_offset : assigner->offset);
    if (into < 0) {
        into += step;
        steps--;
    }
    return assigner->rest ? 2 * steps + (into >= assigner->rest) : steps;
}

int64_t leat__slice_incomplete(const struct leat__assigner *assigner, int64_t watermark_us)
{
    if (watermark_us == LEAT_TIME_MIN)
        return INT64_MIN;
    if (watermark_us >= LEAT_TIME_MAX - 1) /* no window ends later */
        return INT64_MAX;
    return leat__slice_index(assigner, leat__slice_of(assigner, watermark_us + 1).start);
}

int64_t leat__node_of_level_from(uint32_t level, int64_t number)
{
    const int64_t half = INT64_C(1) << level;
    const int64_t past = number + 1 - half; /* of j = 0's number, rounded up to whole distances */
    return leat__node_number(level, (past + 2 * half - 1) >> (level + 1));
}

static void add_part(struct leat__slicer *a, uint32_t level, int64_t j, int64_t start)
{
    struct leat_table *table = level ? a->nodes : a->slices;
    const int64_t ns = level ? leat__node_number(level, j) : start;
    LEAT_ASSERT(a->parts_count < LEAT__SLICE_PARTS_MAX);
    a->parts[a->parts_count++] = (struct leat__slice_part){ table, ns, false, false };
}

/* From both ends inward: a node that begins (ends) where its parent does not is taken, the parent otherwise. A
 * level above `levels` is never reached: its nodes have more slices than a window. */
void leat__slicer_cover(struct leat__slicer *a, const struct leat__window *window)
{
    const int64_t first_start = leat__slice_of(a->assigner, window->start).start;
    const int64_t last_start = leat__slice_of(a->assigner, leat__window_last_us(a->assigner, window)).start;
    int64_t first = leat__slice_index(a->assigner, first_start);
    int64_t last = leat__slice_index(a->assigner, last_start);
    a->parts_count = a->parts_at = 0;
    for (uint32_t level = 0; first <= last; level++) {
        if (first & 1)
            add_part(a, level, first++, first_start);
        if (first <= last && !(last & 1))
            add_part(a, level, last--, last_start);
        first >>= 1;
        last >>= 1;
    }
}
