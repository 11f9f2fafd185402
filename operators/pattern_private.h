/* operators/pattern_private.h -- the parts of pattern detection, from a declaration to a match.
 *
 *   pattern_declare.c   options -> struct leat__pattern_spec, with all mistakes told; leat_frequency as well
 *   pattern.c           the operator: a process function of the engine's own with keyed state and timers
 *   pattern_runs.c      one record against the runs of its key
 *   pattern_state.c     what a key has: rows, runs, and how they are saved
 *   pattern_output.c    the rows that matches make, and conditions that look at more than one record
 *
 * A pattern is a process function (process_private.h) with three states:
 *
 *   "waiting"  list: records that the watermark has not reached, each with its time and the conditions that hold
 *   "held"     map: order -> record: those that runs have taken
 *   "runs"     value: everything else about the key, as bytes (pattern_state.c)
 *
 * Records only wait when they come: nothing is read. An event-time timer at each one's time looks at all that
 * the watermark has reached by then; another is at the moment when the first run's time is over. */
#ifndef LEAT_OPERATORS_PATTERN_PRIVATE_H
#define LEAT_OPERATORS_PATTERN_PRIVATE_H
#include "operators/process_private.h"
#include "record/expr.h"
#include <leat/pattern.h>

#define LEAT__STEPS_MAX 16u
_Static_assert(
    sizeof((struct leat_pattern_opts *)0)->steps / sizeof(struct leat_pattern_step) == LEAT__STEPS_MAX,
    "as declared");
/* Conditions by number: `where` of step i is i, `until` LEAT__STEPS_MAX + i; a bit each in a mask. */
#define LEAT__CONDITIONS_MAX (2 * LEAT__STEPS_MAX)
#define LEAT__RUNS_MAX 10000u
/* The edge from a step to itself; others are 1 << step. */
#define LEAT__EDGE_REPEAT (1u << 31)

enum { LEAT__PATTERN_WAITING, LEAT__PATTERN_HELD, LEAT__PATTERN_RUNS }; /* states */
enum { LEAT__PATTERN_LATE, LEAT__PATTERN_TIMED_OUT }; /* sides */

struct leat__condition {
    struct leat_expr *expr; /* NULL: holds for every record */
    bool of_match; /* looks at the run, too: over spec->seen */
};

/* Where a run that has taken enough of a step may go. */
struct leat__position {
    uint32_t targets; /* steps that may take the next record, a bit each */
    uint32_t nots[LEAT__STEPS_MAX]; /* by target: steps that must not come before it */
    bool ends; /* the run is a match, */
    uint32_t end_nots; /* or, with these, will be one if they do not come in time */
};

struct leat__step {
    const char *name;
    enum leat_contiguity contiguity, inner;
    uint32_t times_min, times_max; /* min >= 1 */
    bool optional, greedy, not_;
    struct leat__position next;
};

struct leat__match_field {
    struct leat_expr *expr; /* over spec->seen */
    struct leat_expr_store store;
};

struct leat__match_output {
    const struct leat_type *out; /* NULL: none */
    struct leat_match_fn fn; /* select NULL: by fields */
    struct leat__match_field *fields;
    uint32_t fields_count;
};

/* What conditions of a match and output expressions see, as one record: the fields of the record in question
 * in their places, then these. */
struct leat__seen_places {
    uint32_t has[LEAT__STEPS_MAX + 1],
        at[LEAT__STEPS_MAX + 1]; /* of the last record of a step; last: previous */
    uint32_t counts[LEAT__STEPS_MAX];
    uint32_t start, end;
};

struct leat__pattern_spec {
    struct leat__process_spec process; /* first: node->spec is it */
    struct leat__step steps[LEAT__STEPS_MAX];
    uint32_t steps_count;
    struct leat__position start;
    struct leat__condition conditions[LEAT__CONDITIONS_MAX];
    bool has_of_match; /* among the conditions */
    bool passes_over; /* records that fit no condition change nothing */
    bool is_frequency; /* runs are not needed: pattern_runs.c */
    int64_t within_us; /* LEAT_NEVER: no limit */
    enum leat_skip skip;
    uint32_t skip_to;
    uint32_t runs_max;
    struct leat__match_output match, timed_out;
    const struct leat_type *seen;
    struct leat__seen_places places;
    const struct leat_type *waiting; /* { long at; long mask; the record } */
    uint32_t waiting_at; /* where the record is in it */
};
struct leat__waiting { /* the beginning of a record of spec->waiting */
    int64_t event_us, mask;
};

/* ---- what a key has (pattern_state.c) ---- */

/* The row that is looked at. */
struct leat__pattern_row {
    const void *record;
    uint64_t order; /* in which rows of this key were looked at, from 0 */
    int64_t event_us;
    uint32_t mask; /* conditions that hold, but for those of a match */
    bool held; /* in the map, because a run has taken it */
};

struct leat__run_taken {
    uint64_t order;
    int64_t event_us;
    uint64_t step;
};

enum { LEAT__RUN_FRESH = 1, LEAT__RUN_MATCHED = 2, LEAT__RUN_WAITS = 4, LEAT__RUN_OVER = 8 };

/* The beginning of a match: it has taken `count` records for `step`. */
struct leat__pattern_run {
    uint64_t start_order;
    int64_t start_us;
    uint32_t step, count;
    uint32_t edges; /* ways on that are left */
    uint32_t flags; /* FRESH: no record since it took one; MATCHED: has been given; WAITS: a match if the time
                       is over; OVER: to be removed */
    uint32_t taken_at, taken_count; /* in `taken` */
};

struct leat__pattern_key {
    uint64_t *held; /* orders of the records in the map, rising */
    struct leat__pattern_run *runs; /* the older first */
    struct leat__run_taken *taken; /* by the runs; of a frequency: what counts */
    uint32_t held_count, held_capacity, runs_count, runs_capacity, taken_count, taken_capacity;
    uint64_t next_order;
    int64_t timer_us; /* set for the end of a run; LEAT_TIME_MIN: none */
};

struct leat__pattern;
/* Reads the key's state; false with the failure noted. */
bool leat__pattern_load(struct leat__pattern *a, struct leat_ctx *ctx);
/* Forgets what nothing refers to, writes the rest, sets a timer if it is to be behind `now_us`. */
void leat__pattern_store(struct leat__pattern *a, struct leat_ctx *ctx, int64_t now_us);
/* The record of a row that was taken, as the callback sees it; NULL with the failure noted. */
const void *leat__pattern_record(struct leat_ctx *ctx, uint64_t order);
/* Puts the row into the map, once; false with the failure noted. */
bool leat__pattern_hold(struct leat__pattern *a, struct leat_ctx *ctx, struct leat__pattern_row *row);
/* Room for one more; false with the failure noted. */
bool leat__pattern_room(
    struct leat__pattern *a, void **array, uint32_t *capacity, uint32_t count, size_t size);

/* ---- matches ---- */

struct leat_match {
    struct leat__pattern *a;
    struct leat_ctx *ctx;
    const struct leat__run_taken *taken; /* in the order in which they were taken */
    uint32_t taken_count;
};

struct leat__pattern {
    struct leat__process process; /* first */
    const struct leat__pattern_spec *spec;
    struct leat__pattern_key key; /* that the callback is about */
    struct leat_strbuf bytes; /* of the state, while a callback runs */
    struct leat_expr_scratch *scratches[LEAT__CONDITIONS_MAX];
    struct leat_expr_scratch **match_scratches, **timed_out_scratches;
    unsigned char *seen; /* a record of spec->seen */
    struct leat__pattern_row *due; /* rows that the watermark has reached */
    uint32_t due_capacity;
    uint32_t *found; /* runs that are matches by the record in work, or are over */
    uint32_t found_capacity;
};

/* The conditions that hold for a record which the callback is about (a row of its batch), but for those of a
 * match. A value that can not be had refuses the record: 0 then. */
uint32_t leat__conditions_of_record(struct leat__pattern *a, struct leat_ctx *ctx, const void *record);
/* A condition of a match, for the run (taken_count 0: none) and the row. */
bool leat__condition_of_match(struct leat__pattern *a, struct leat_ctx *ctx, uint32_t condition,
    const struct leat__pattern_run *run, const struct leat__pattern_row *row);
/* Gives the row for a match; `event_us` is its time. */
void leat__pattern_give(struct leat__pattern *a, struct leat_ctx *ctx,
    const struct leat__match_output *output, const struct leat_match *match, int64_t event_us);

/* pattern_runs.c: the rows a->due[0 .. count-1], in their order, and what is over at the watermark. */
void leat__pattern_advance(
    struct leat__pattern *a, struct leat_ctx *ctx, uint32_t due_count, int64_t watermark_us);
/* Whether runs end, and when one that began then does: a record behind that time is none for it. */
static inline bool leat__pattern_ends(const struct leat__pattern_spec *spec)
{
    return spec->within_us != LEAT_NEVER;
}
static inline int64_t leat__pattern_deadline(const struct leat__pattern_spec *spec, int64_t start_us)
{
    return leat__time_add(start_us, spec->within_us - 1);
}

/* The callbacks of the process function. */
void leat__pattern_on_record(struct leat_ctx *ctx, const void *record);
void leat__pattern_on_timer(struct leat_ctx *ctx, int64_t time_us, enum leat_time_kind kind);
extern const struct leat_op_class leat__pattern_class;
#endif
