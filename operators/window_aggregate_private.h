/* operators/window_aggregate_private.h -- the aggregate over windows that evaluates each of them by itself: every
 * record goes into each window that holds it.
 *
 *   window_aggregate.c        the operator: life, calls, checkpoints
 *   window_aggregate_rows.c   which row goes into which window; rows of windows that fire later
 *   window_aggregate_fire.c   rows that may fire: counts, late ones, a user's trigger
 *   window_aggregate_pass.c   what the clocks make: timers, ends of windows, windows that go
 *   window_aggregate_pane.c   giving, retracting, purging; how a value lies in state
 *
 * The state of a window and key, in table "windows" (namespace: leat__window_ns):
 *
 *   [head]                 where panes are more than one, or records may be refused
 *   [flags, user's state]  where there is a trigger by callback
 *   [present, accumulators]
 *   [pane kind, present, accumulators]  where panes are retracted: of the one that was given last
 *
 * Functions get `values`, the present word: what is before it is found from there. */
#ifndef LEAT_OPERATORS_WINDOW_AGGREGATE_PRIVATE_H
#define LEAT_OPERATORS_WINDOW_AGGREGATE_PRIVATE_H
#include "operators/aggregate_run_private.h"
#include "operators/timers_private.h"
#include "operators/window_trigger_private.h"
#include <leat/change.h>

struct leat__win_layout {
    struct leat__value_layout values; /* its base: where the accumulators begin */
    uint32_t user; /* of the flags; the state is behind them. 0: none */
    uint32_t given; /* of the pane that was given last. 0: it is not kept */
    uint32_t size;
};

struct leat__batch_window {
    struct leat__window window;
    int64_t ns;
    uint32_t count; /* of plain rows */
    uint32_t end; /* in `sorted`, while these are filled */
    uint64_t due; /* FIRING: records since the last firing that make one */
    bool passed; /* by the watermark */
    bool arms; /* a period begins with the first change */
    uint8_t fate;
};

enum { LEAT__WIN_PLAIN = 1, LEAT__WIN_FIRING, LEAT__WIN_OVER };

/* A row and a window that holds it, by its index in `windows`. */
struct leat__win_pair {
    uint32_t row, window;
};

enum leat__win_pass { LEAT__WIN_IDLE, LEAT__WIN_BATCH, LEAT__WIN_WATERMARK, LEAT__WIN_TIME };

struct leat__win {
    struct leat_op op;
    struct leat__ctx *ctx;
    const struct leat__aggregate_spec *spec;
    struct leat__run run;
    struct leat_table *table;
    const struct leat__assigner *assigner;
    bool overlaps; /* a time can be in several windows */
    struct leat__trigger_plan plan;
    struct leat__win_layout layout;
    bool has_head;
    /* Windows live on after their end in ways that timers or batched late panes can see: everything goes by the
     * order of time then. */
    bool by_time;

    struct leat__timers periods[LEAT__TIMERS_KINDS], users[LEAT__TIMERS_KINDS];
    struct leat__user_trigger user;
    struct leat_strbuf timer_key; /* of the one that goes off: namespace | key */

    /* The batch that is being worked on, some pairs of row and window at a time. */
    uint32_t row_at; /* the next row to sort */
    bool row_begun, row_taken; /* some of its windows were; one of them takes it */
    struct leat__window row_window; /* its next one */
    uint32_t *plain, *plain_window, *sorted, *late;
    struct leat__win_pair *firing;
    uint32_t plain_count, firing_count, firing_at, late_count;
    uint64_t unassigned_count;
    uint32_t pairs_capacity, late_capacity;
    struct leat__batch_window *windows;
    uint32_t windows_count;
    uint32_t *window_slots; /* open addressing: index + 1 in `windows`; 2^slots_bits of them */
    uint32_t slots_bits;
    int64_t late_wm_us, now_us;
    uint32_t chunk_rows[LEAT__RUN_CHUNK];
    unsigned char *chunk_values[LEAT__RUN_CHUNK]; /* of rows of one window */
    uint32_t arming[LEAT__RUN_CHUNK], arming_count; /* rows whose periods begin */

    enum leat__win_pass pass;
    int64_t until_us; /* the watermark, or the time */
    int64_t fired_us; /* the last watermark whose windows have all fired */
    int64_t passed_us; /* windows whose last moment is at or before it have fired */
    int64_t next_ns; /* windows before it have */
    bool no_more; /* there is no namespace after the last one that fired */
    struct leat_cursor *cursor; /* of `window` */
    bool going; /* it goes, rather than fires */
    struct leat__window window;
    int64_t window_ns;
};

/* ---- windows ---- */

/* The watermark that fires it. At the end of time, where the last moment has no end behind it, that is the moment
 * before (18, 20): what comes after it is late. */
static inline int64_t leat__win_last_us(const struct leat__window *window)
{
    return window->end - 1;
}
/* The watermark that a window does not outlive. */
static inline int64_t leat__win_over_us(const struct leat__win *a, const struct leat__window *window)
{
    const int64_t lateness_us = a->spec->window.allowed_lateness_us;
    /* One that is kept for ever takes rows until the end, also where its times are negative. */
    return lateness_us == LEAT_NEVER ? LEAT_TIME_MAX : leat__time_add(leat__win_last_us(window), lateness_us);
}
static inline bool leat__win_is_over(const struct leat__win *a, const struct leat__window *window, int64_t w)
{
    return leat__time_passed(leat__win_over_us(a, window), w);
}
static inline const struct leat__trigger_part *leat__win_part(const struct leat__win *a, bool passed)
{
    return passed ? &a->plan.late : &a->plan.early;
}

/* ---- values (window_aggregate_pane.c) ---- */

#define LEAT__WIN_EMPTY 1u /* purged, and nothing has come since */

static inline struct leat__aggregate_head *leat__win_head(const struct leat__win *a, unsigned char *values)
{
    return (struct leat__aggregate_head *)(void *)(values - a->layout.values.base);
}
static inline uint64_t *leat__win_flags(const struct leat__win *a, unsigned char *values)
{
    return (uint64_t *)(void *)(values - a->layout.values.base + a->layout.user);
}
static inline void *leat__win_state(const struct leat__win *a, unsigned char *values)
{
    return leat__win_flags(a, values) + 1;
}

void leat__win_lay_out(struct leat__win *a, const struct leat_node *node);
LEAT_NODISCARD int leat__win_open_table(struct leat__win *a, struct leat__ctx *ctx);

/* Gives a pane of a window and key, if it has any contents; begins anew where panes are discarded. `last`: the
 * value is of no use afterwards. */
LEAT_NODISCARD int leat__win_give(
    struct leat__win *a, const struct leat__pane *pane, uint64_t hash, unsigned char *values, bool last);
/* Rule 27: forgets the contents, but not what its triggers know. */
void leat__win_purge(struct leat__win *a, unsigned char *values);
/* What has not fired by the end of the window is lost (discard_remainder). */
void leat__win_lose(struct leat__win *a, unsigned char *values);

/* ---- rows (window_aggregate_rows.c, window_aggregate_fire.c) ---- */

LEAT_NODISCARD int leat__win_rows_reserve(struct leat__win *a);
void leat__win_rows_release(struct leat__win *a);
/* Sorts the next pairs of row and window, and adds the plain ones. */
LEAT_NODISCARD int leat__win_sort_rows(struct leat__win *a);
static inline bool leat__win_has_rows(const struct leat__win *a)
{
    return a->row_at < a->run.batch->count;
}
/* The values of rows of the batch in a window, made where they are missing, to a->chunk_values. `blind`: they are
 * added to and not looked at, so that what has left memory need not come back. */
LEAT_NODISCARD int leat__win_find_values(
    struct leat__win *a, int64_t ns, const uint32_t *rows, uint32_t count, bool blind);
/* Sets the timers of periods that begin with these rows of the batch (a->arming). */
LEAT_NODISCARD int leat__win_arm(struct leat__win *a, const struct leat__batch_window *window);
/* The pairs that may fire. LEAT_MORE: this call has done enough. */
LEAT_NODISCARD int leat__win_fire_rows(struct leat__win *a);

/* ---- clocks (window_aggregate_pass.c, window_aggregate_fire.c) ---- */

LEAT_NODISCARD int leat__win_open_timers(struct leat__win *a, struct leat__ctx *ctx);
/* All timers of one kind up to a time that are left. LEAT_MORE: later. */
LEAT_NODISCARD int leat__win_fire_timers(struct leat__win *a, uint32_t which, int64_t until_us);
/* The next one: 1 with its time and whose it is; 0; LEAT__TIMERS_MORE. */
LEAT_NODISCARD int leat__win_next_timer(
    struct leat__win *a, uint32_t which, int64_t until_us, struct leat__timers **timers, int64_t *time_us);
/* Takes that one, and fires what it is for. */
LEAT_NODISCARD int leat__win_fire_timer(
    struct leat__win *a, struct leat__timers *timers, uint32_t which, int64_t time_us);
LEAT_NODISCARD int leat__win_fire_watermark(struct leat__win *a);
LEAT_NODISCARD int leat__win_set_wake(struct leat__win *a);
/* Forgets all timers of the wall clock. */
LEAT_NODISCARD int leat__win_clear_processing(struct leat__win *a);
#endif
