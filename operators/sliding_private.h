/* operators/sliding_private.h -- the records of a key for windows that end at each of them: one *cell* for each
 * distinct time.
 *
 *   sliding_cells.c      cells in a value: finding, inserting, dropping; what a window over some of them is
 *   sliding_aggregate.c  the operator where the watermark alone fires
 *   sliding_each.c       the operator for all other triggers: each window by itself
 *
 * The value of a key: [struct leat__sliding][back]. Its cells are a blob, in order of time:
 *
 *   [struct leat__cell_head][values][suffix]  and, RETRACTING, [values as they were given last]
 *
 * A window is two stacks: of the cells from `low` to `middle` each knows what it and all cells up to `middle` are
 * together (its suffix); from `middle` to `fired` they are added up in `back`. So the next window costs one
 * combination, and a suffix is made once for each cell, when the front has been used up. Where aggregates can be
 * subtracted `back` is the whole window: cells go into it at one end and out at the other.
 *
 * Where other triggers fire, or parts of windows are given, each window is evaluated by itself: in the place of a
 * suffix is then all that the window of the cell holds, or has held since its last pane, and behind the cell what its
 * triggers know:
 *
 *   [struct leat__cell_trigger][state of a user's trigger] */
#ifndef LEAT_OPERATORS_SLIDING_PRIVATE_H
#define LEAT_OPERATORS_SLIDING_PRIVATE_H
#include "operators/aggregate_class_private.h"
#include "operators/aggregate_run_private.h"
#include "operators/timers_private.h"
#include "operators/window_trigger_private.h"

struct leat__sliding_layout {
    const struct leat__aggregate_spec *spec;
    const struct leat_node *node;
    uint32_t back, size; /* of the key's value */
    bool is_running; /* cells are subtracted: there are no stacks */
    uint32_t suffix, given, cell; /* in a cell, and its size; given 0: it is not kept */
    uint32_t trigger; /* of struct leat__cell_trigger; 0: windows are made of cells when they fire */
    uint32_t state_size; /* of a user's trigger, in whole words */
};

struct leat__cell_head {
    int64_t us;
    uint32_t panes; /* given so far */
    uint32_t kind; /* of the last one that stands, where panes are retracted; 0: none. And LEAT__CELL_MUTE */
};
#define LEAT__CELL_MUTE 0x100u /* its own window was over before it came: it is a part of others only */

#define LEAT__CELL_EMPTY 1u /* its window was purged, and nothing has come since */

/* Saved as it is, but for the address of the timers. */
struct leat__cell_trigger {
    uint64_t records; /* in the cell */
    uint64_t since; /* in its window, since the last pane */
    int64_t event_due, processing_due; /* of periods; LEAT_TIME_MAX: nothing */
    uint64_t flags;
    struct leat__agg_blob timers; /* that a user's trigger has set */
};

#define LEAT__SLIDING_TIMER 1u
#define LEAT__SLIDING_STACKS \
    2u /* suffixes and `back` are those of low, middle and fired; or `back` of low and fired */
#define LEAT__SLIDING_CLOCK 4u /* clock_us is set */

/* Indices are of cells in the blob; those before `first` are gone. */
struct leat__sliding {
    struct leat__agg_blob cells;
    int64_t timer_us; /* the earliest that is set: others of the key are void */
    int64_t clock_us; /* the same by the wall clock */
    uint32_t flags;
    uint32_t first, low, middle, fired, count;
};

void leat__sliding_lay_out(
    struct leat__sliding_layout *l, const struct leat__aggregate_spec *spec, const struct leat_node *node);
int leat__sliding_encode(void *arg, const void *value, struct leat_strbuf *out);
int leat__sliding_decode(
    void *arg, struct leat_table *table, int64_t ns, const char *data, size_t len, void *value);
int leat__sliding_accept_schema(void *arg, const char *saved_schema, struct leat_error *err);

static inline unsigned char *leat__cell(
    const struct leat__sliding_layout *l, const struct leat__sliding *key, uint32_t at)
{
    return (unsigned char *)key->cells.data + (size_t)at * l->cell;
}
static inline struct leat__cell_head *leat__cell_head(
    const struct leat__sliding_layout *l, const struct leat__sliding *key, uint32_t at)
{
    return (struct leat__cell_head *)(void *)leat__cell(l, key, at);
}
static inline unsigned char *leat__cell_values(
    const struct leat__sliding_layout *l, const struct leat__sliding *key, uint32_t at)
{
    return leat__cell(l, key, at) + sizeof(struct leat__cell_head);
}

static inline struct leat__cell_trigger *leat__cell_trigger(
    const struct leat__sliding_layout *l, const struct leat__sliding *key, uint32_t at)
{
    return (struct leat__cell_trigger *)(void *)(leat__cell(l, key, at) + l->trigger);
}
/* Of the window that ends with the cell. */
static inline unsigned char *leat__cell_window(
    const struct leat__sliding_layout *l, const struct leat__sliding *key, uint32_t at)
{
    return leat__cell(l, key, at) + l->suffix;
}

/* ---- times ---- */

/* The watermark that fires the window of a cell: its time. Windows end at the end of time at the latest, so that
 * of the last moment fires with the one before it, as other windows do there (18, 20). */
static inline int64_t leat__sliding_last_us(int64_t us)
{
    return leat__time_add(us, 1) - 1;
}
/* The one that it does not outlive. */
static inline int64_t leat__sliding_over_us(const struct leat__aggregate_spec *spec, int64_t us)
{
    const int64_t lateness_us = spec->window.allowed_lateness_us;
    return lateness_us == LEAT_NEVER ? LEAT_TIME_MAX : leat__time_add(leat__sliding_last_us(us), lateness_us);
}
static inline bool leat__sliding_is_over(const struct leat__aggregate_spec *spec, int64_t us, int64_t w)
{
    return leat__time_passed(leat__sliding_over_us(spec, us), w);
}
/* And the one at which no window, also of a record to come, holds a cell any more. */
static inline int64_t leat__sliding_gone_us(const struct leat__aggregate_spec *spec, int64_t us)
{
    return leat__sliding_over_us(spec, leat__time_add(us, spec->window.size_us));
}
static inline int64_t leat__sliding_from_us(const struct leat__aggregate_spec *spec, int64_t us)
{
    return leat__time_sub(us, spec->window.size_us);
}

/* The first cell at or after that time; key->count where there is none. */
uint32_t leat__cell_from(const struct leat__sliding_layout *l, const struct leat__sliding *key, int64_t us);
/* Whether a new cell at that index leaves all others where they are. */
bool leat__cell_is_easy(const struct leat__sliding_layout *l, const struct leat__sliding *key, uint32_t at);
/* Cells may move up: *at is where it lies then. */
LEAT_NODISCARD int leat__cell_insert(const struct leat__sliding_layout *l, const struct leat__agg_memory *mem,
    struct leat__sliding *key, uint32_t *at, int64_t us);
void leat__cell_remove(const struct leat__sliding_layout *l, const struct leat__agg_memory *mem,
    struct leat__sliding *key, uint32_t at);
/* Forgets all cells up to and with that time. */
void leat__cells_trim(const struct leat__sliding_layout *l, const struct leat__agg_memory *mem,
    struct leat__sliding *key, int64_t us);

/* Makes the suffixes of cells from `low` on up to `end`, each with all behind it up to `end`. */
LEAT_NODISCARD int leat__cells_suffixes(const struct leat__sliding_layout *l, struct leat__ctx *ctx,
    const struct leat__agg_memory *mem, struct leat__sliding *key, uint32_t low, uint32_t end);
/* The window that ends with cell `fired` (which has fired then), from cells not before `from_us`: *result, which is
 * the key's own, or `room` with memory of `arena`. */
LEAT_NODISCARD int leat__cells_next(const struct leat__sliding_layout *l, struct leat__ctx *ctx,
    const struct leat__agg_memory *mem, struct leat__sliding *key, int64_t from_us, struct leat_arena *arena,
    unsigned char *room, const unsigned char **result);

extern const struct leat_op_class leat__sliding_aggregate_class, leat__sliding_each_class;
/* Whether windows must be evaluated each by itself. */
bool leat__sliding_is_each(const struct leat_window_opts *opts);
#endif
