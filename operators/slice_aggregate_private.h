/* operators/slice_aggregate_private.h -- the aggregate over windows that overlap: hopping and cumulating ones that
 * fire by the watermark alone. A record goes into one slice (window_private.h), however many windows hold it;
 * windows are put together from slices when they fire. How, is decided once:
 *
 *   running   no lateness; cumulating windows, or aggregates that can be subtracted. One table has what the last
 *             window had: slices that enter are added, those that leave are taken out. A firing costs the keys that
 *             come and go, and those it gives.
 *   tree      all others. A complete slice is merged upward into nodes of 2, 4, 8 ... slices; a window, and also one
 *             key of a window for a late record, is at most two nodes of each level.
 *
 *   slice_aggregate.c        the operator: life, calls, checkpoints
 *   slice_aggregate_rows.c   rows into slices; late ones, and the panes they give
 *   slice_aggregate_fire.c   watermarks: complete slices upward, windows together, and what goes
 *   slice_aggregate_tree.c   the numbers of slices and nodes
 *   slice_aggregate_saved.c  snapshots; subtasks that have come together at different watermarks
 *
 * State, each value [records][present, accumulators] of a key:
 *   slices   namespace: start of the slice
 *   nodes    (tree) namespace: number of the node
 *   result   (running) namespace 0: of the last window that has ended, whether it had anything to give or not; empty
 *            between calls else
 *   apart    namespace: leat__window_ns; records that the windows before it have missed, so that they are in no
 *            slice
 *   panes    namespace: leat__window_ns; how many a key has had, once it has had a late one
 *
 * Between calls: (1) windows with end - 1 <= fired_us have fired, and slices that end by then are merged into their
 * parents, these into theirs; (2) rows that come to a complete slice go into the nodes above it as well, or into the
 * running result if they are in its window; (3) everything that is not in a table follows from fired_us, which all
 * subtasks have in common at an aligned barrier; where they had not, see slice_aggregate_saved.c. */
#ifndef LEAT_OPERATORS_SLICE_AGGREGATE_PRIVATE_H
#define LEAT_OPERATORS_SLICE_AGGREGATE_PRIVATE_H
#include "operators/aggregate_run_private.h"

#define LEAT__SLICE_LEVELS_MAX 61u
#define LEAT__SLICE_PARTS_MAX (2u * LEAT__SLICE_LEVELS_MAX + 1u)

/* A namespace whose values are put into others. */
struct leat__slice_part {
    struct leat_table *table;
    int64_t ns;
    bool minus, drops; /* taken out; gone afterwards */
};

/* Key groups first .. end - 1, whose windows have fired up to a watermark. */
struct leat__slice_share {
    uint32_t first, end;
    int64_t fired_us;
};

/* A slice of rows in a batch. */
struct leat__batch_slice {
    int64_t start; /* as of the rows' times */
    int64_t ns; /* where they go: cumulating windows that were missed push it back */
    struct leat__window first; /* that takes them */
    uint8_t fate;
    uint32_t count, end; /* of plain rows; in `sorted`, while these are filled */
};

enum leat__slice_phase {
    LEAT__SLICE_IDLE,
    LEAT__SLICE_BUILD, /* complete slices into nodes */
    LEAT__SLICE_NEXT, /* finds a window */
    LEAT__SLICE_ENTER, /* running: slices that are new in it */
    LEAT__SLICE_LEAVE,
    LEAT__SLICE_PARTS, /* tree: its nodes */
    LEAT__SLICE_APART,
    LEAT__SLICE_GIVE,
    LEAT__SLICE_UNDO, /* running: what was apart leaves again */
    LEAT__SLICE_FINISH, /* what no window needs any more goes */
};

struct leat__slicer {
    struct leat_op op;
    struct leat__ctx *ctx;
    const struct leat__aggregate_spec *spec;
    const struct leat__assigner *assigner;
    struct leat__run run;
    bool has_tree, is_cumulating;
    uint32_t levels; /* of nodes: 1 to levels */
    struct leat_table *slices, *nodes, *result, *apart, *panes;
    struct leat__value_layout layout;
    uint32_t value_size;

    /* The batch that is being worked on. */
    uint32_t *plain, *plain_slice, *sorted, *slow, *slow_slice, *late; /* rows of run.batch */
    uint32_t plain_count, slow_count, slow_at, late_count;
    bool slow_begun; /* the row at slow_at is in its slice */
    struct leat__window slow_window; /* its next one */
    uint32_t rows_capacity;
    struct leat__batch_slice *batch_slices;
    uint32_t batch_slices_count;
    uint32_t *slots; /* open addressing: index + 1 in batch_slices; 2^slots_bits of them */
    uint32_t slots_bits;
    int64_t late_wm_us;

    /* The watermark that is being worked on. */
    enum leat__slice_phase phase;
    int64_t watermark_us, fired_us;
    /* While some keys have fired further than fired_us: whose, in order, all groups; else none. */
    struct leat__slice_share *shares;
    uint32_t shares_count;
    struct leat__window window; /* that is firing; before that: the first that may */
    bool has_last;
    struct leat__window last; /* running: what `result` has */
    uint32_t level; /* BUILD: that is merged upward */
    int64_t build_at; /* the next slice or node of it */
    int64_t at; /* ENTER: the next slice */
    struct leat__slice_part parts[LEAT__SLICE_PARTS_MAX];
    uint32_t parts_count, parts_at;
    struct leat__slice_part part; /* that the cursor is on */
    struct leat_cursor *cursor;

    /* Copies, while others are looked for. */
    bool stages_plain; /* keys and values are words */
    unsigned char *staged, *sum; /* LEAT__RUN_ITEMS values; the one of a late pane */
    char *staged_keys;
    size_t staged_keys_capacity;
    struct leat_arena stage; /* of what these values have beside them */
};

/* ---- numbers (slice_aggregate_tree.c) ---- */

/* Whether windows of these options can be numbered at all: steps of some microseconds can not. */
bool leat__slices_are_countable(const struct leat__assigner *assigner);
uint32_t leat__slice_levels(const struct leat__assigner *assigner);
/* Slices in the order of time: adjacent ones have adjacent numbers. */
int64_t leat__slice_index(const struct leat__assigner *assigner, int64_t start);
/* Node j of a level covers slices [j << level, (j + 1) << level); nodes are numbered in order from left to right,
 * parents between their children. */
static inline int64_t leat__node_number(uint32_t level, int64_t j)
{
    return (int64_t)((((uint64_t)j * 2 + 1) << level) - 1);
}
static inline uint32_t leat__node_level(int64_t number)
{
    return (uint32_t)__builtin_ctzll((uint64_t)number + 1);
}
static inline int64_t leat__node_j(int64_t number)
{
    return (number + 1) >> (leat__node_level(number) + 1);
}
/* The first slice that is not complete at a watermark: INT64_MIN, none is; INT64_MAX, all are. */
int64_t leat__slice_incomplete(const struct leat__assigner *assigner, int64_t watermark_us);
static inline bool leat__node_is_complete(uint32_t level, int64_t j, int64_t incomplete)
{
    return incomplete != INT64_MIN && j < incomplete >> level;
}
/* The least number of a node of that level that is not before `number`. */
int64_t leat__node_of_level_from(uint32_t level, int64_t number);
/* What a window is made of. */
void leat__slicer_cover(struct leat__slicer *a, const struct leat__window *window);

/* ---- windows ---- */

static inline bool leat__slicer_is_over(
    const struct leat__slicer *a, const struct leat__window *window, int64_t w)
{
    const int64_t lateness_us = a->spec->window.allowed_lateness_us;
    if (lateness_us == LEAT_NEVER)
        return w == LEAT_TIME_MAX;
    return leat__time_passed(leat__time_add(window->end - 1, lateness_us), w);
}
/* The first window that holds `us` or later times, and is not over at a watermark. */
bool leat__slicer_first_open(
    const struct leat__slicer *a, int64_t us, int64_t w, struct leat__window *window);
/* Running: the last window that has ended at a watermark. */
bool leat__slicer_last_ended(const struct leat__slicer *a, int64_t w, struct leat__window *window);

/* ---- values ---- */

static inline uint64_t *leat__slicer_records(void *value)
{
    return value;
}
static inline unsigned char *leat__slicer_values(const struct leat__slicer *a, void *value)
{
    return (unsigned char *)value + a->layout.base;
}

/* ---- rows (slice_aggregate_rows.c) ---- */

LEAT_NODISCARD int leat__slicer_rows_reserve(struct leat__slicer *a, uint32_t count);
void leat__slicer_rows_release(struct leat__slicer *a);
/* Sorts the batch's rows, and adds those that fire nothing. */
LEAT_NODISCARD int leat__slicer_sort_rows(struct leat__slicer *a);
LEAT_NODISCARD int leat__slicer_add_plain(struct leat__slicer *a);
/* The others. LEAT_MORE: this call has done enough. */
LEAT_NODISCARD int leat__slicer_add_slow(struct leat__slicer *a);

/* ---- watermarks (slice_aggregate_fire.c) ---- */

void leat__slicer_begin_watermark(struct leat__slicer *a, int64_t w);
LEAT_NODISCARD int leat__slicer_fire(struct leat__slicer *a);
int64_t leat__slicer_fired_us(const struct leat__slicer *a, uint64_t hash); /* of a key */
/* What fires nothing more, since the key's windows had fired so far before: by the hash of the key. */
bool leat__slicer_was_given(const struct leat__slicer *a, uint64_t hash, const struct leat__window *window);
/* No window takes a row of the slice: those that are open are over for its key. */
bool leat__slicer_is_late(const struct leat__slicer *a, uint64_t hash, int64_t start);
void leat__slicer_caught_up(struct leat__slicer *a); /* at fired_us */
void leat__slicer_count_keys(struct leat__slicer *a);
LEAT_NODISCARD int leat__slicer_snapshot(struct leat_op *op, struct leat__ctx *ctx, struct leat_strbuf *out);
LEAT_NODISCARD int leat__slicer_restore(
    struct leat_op *op, struct leat__ctx *ctx, const struct leat_sv *parts, uint32_t count);
/* Makes what follows from fired_us anew, from the slices, when it was made for different watermarks. */
LEAT_NODISCARD int leat__slicer_rebuild(struct leat__slicer *a);
/* What the running result is of, from fired_us. */
void leat__slicer_restored(struct leat__slicer *a);
#endif
