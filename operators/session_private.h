/* operators/session_private.h -- the open sessions of a key, and how they stand in state.
 *
 *   session_set.c        the sessions of a key as an array, and which of them a record joins
 *   session_value.c      layout and codec, and two sessions made one
 *   session_gap.c        the gap of each row
 *   session_pane.c       what a session gives, and when it is due
 *   session_trigger.c    a user's trigger, with a state and timers in the session
 *   session_aggregate.c  the operator
 *
 * A session is a *cell*: its bounds and its contents. All cells of a key are in one value: the one that began last
 * is a part of it, the older ones are a blob, in order. Most keys have one session, and then there is no blob. */
#ifndef LEAT_OPERATORS_SESSION_PRIVATE_H
#define LEAT_OPERATORS_SESSION_PRIVATE_H
#include "operators/aggregate_class_private.h"
#include "operators/aggregate_run_private.h"
#include "operators/timers_private.h"
#include "operators/window_trigger_private.h"

#define LEAT__SESSION_FIRED 1u /* its end has been passed */
#define LEAT__SESSION_JOINED 2u /* found by leat__sessions_join; in state never */

/* A cell begins with it. Saved as it is. LEAT_TIME_MAX: nothing is due. */
struct leat__session {
    int64_t first, last; /* times of its records */
    int64_t end; /* the greatest of time + gap */
    int64_t event_due, processing_due; /* of its period triggers */
    uint32_t flags, spare;
};

/* The last pane as it was given, for retractions; the values behind it. */
struct leat__session_given {
    int64_t start, end;
    uint64_t index;
    uint32_t kind; /* 0: none is standing */
    uint32_t spare;
};

#define LEAT__SESSION_EMPTY 1u /* purged, and nothing has come since */
#define LEAT__SESSION_BEGUN 2u /* the due times are set */

/* What a user's trigger knows of a session; its state is behind it. Saved as it is, but for the address of the
 * timers. The due times are those of periods: with it, those of the session are the earliest of these and its
 * timers. */
struct leat__session_user {
    uint64_t flags;
    int64_t event_due, processing_due;
    struct leat__agg_blob timers;
};

/* A cell: [struct leat__session][struct leat__aggregate_head][values]
 *         [struct leat__session_given, values]   RETRACTING
 *         [struct leat__session_user, state]     with a user's trigger
 * and a value: [struct leat__key_sessions][the cell of the newest session]. */
struct leat__session_layout {
    const struct leat__aggregate_spec *spec;
    uint32_t head, values, given, given_values, cell; /* offsets in a cell, and its size; given 0: none */
    uint32_t user, state_size; /* of a user's trigger; 0: there is none */
    uint32_t size; /* of a value */
};

#define LEAT__KEY_EVENT_TIMER 1u
#define LEAT__KEY_PROCESSING_TIMER 2u

/* What a key has. */
struct leat__key_sessions {
    struct leat__agg_blob older; /* cells of all but the newest, by `first` */
    int64_t older_end; /* none of their ends is greater */
    int64_t event_timer_us, processing_timer_us; /* the earliest that is set: others of this key are void */
    uint32_t flags, count; /* of sessions */
    uint32_t
        waiting; /* rows for its newest session wait in the operator, if this is its round; never saved */
    uint32_t spare;
};

/* ---- a key's sessions (session_set.c) ---- */

static inline unsigned char *leat__session_newest(struct leat__key_sessions *key)
{
    return (unsigned char *)(key + 1);
}
static inline unsigned char *leat__session_cell(
    const struct leat__session_layout *layout, struct leat__key_sessions *key, uint32_t at)
{
    return at + 1 < key->count ? (unsigned char *)key->older.data + (size_t)at * layout->cell
                               : leat__session_newest(key);
}
static inline struct leat__session *leat__session_at(
    const struct leat__session_layout *layout, struct leat__key_sessions *key, uint32_t at)
{
    return (struct leat__session *)(void *)leat__session_cell(layout, key, at);
}

struct leat__session_limits {
    int64_t max_length_us; /* 0: none */
    int64_t lateness_us; /* or LEAT_NEVER */
};

/* Where a session that begins then has its place: behind those that begin at the same time. */
uint32_t leat__sessions_place(
    const struct leat__session_layout *layout, struct leat__key_sessions *key, int64_t first);
/* Puts a session without contents there. LEAT_ELIMIT, LEAT_ESTATE, LEAT_ENOMEM. */
LEAT_NODISCARD int leat__sessions_insert(const struct leat__session_layout *layout,
    const struct leat__agg_memory *mem, struct leat__key_sessions *key, uint32_t at,
    const struct leat__session *session);
/* Closes the gap that a cell leaves; its contents are others' by then, or forgotten. */
void leat__sessions_remove(
    const struct leat__session_layout *layout, struct leat__key_sessions *key, uint32_t at);
/* The cells that are left of the first `end` are the first `kept` of them, by memory; those from `end` on follow. */
void leat__sessions_close_up(
    const struct leat__session_layout *layout, struct leat__key_sessions *key, uint32_t kept, uint32_t end);
/* Moves a cell forward to the place that its `first` asks for. Its index; `spare` has room for a cell. */
uint32_t leat__sessions_settle(const struct leat__session_layout *layout, struct leat__key_sessions *key,
    uint32_t at, unsigned char *spare);
/* Says anew what depends on all older cells. */
void leat__sessions_tell_end(const struct leat__session_layout *layout, struct leat__key_sessions *key);

/* The watermark after which no record joins a session with that end any more, but for LEAT_NEVER. Not end - 1, as
 * of other windows: a record at `end` is in the session, and at that watermark it is still to come (decision
 * 0011). */
static inline int64_t leat__session_over_us(const struct leat__session_limits *limits, int64_t end)
{
    return limits->lateness_us == LEAT_NEVER ? LEAT_TIME_MAX : leat__time_add(end, limits->lateness_us);
}
static inline bool leat__session_is_over(const struct leat__session_limits *limits, int64_t end, int64_t w)
{
    return leat__time_passed(leat__session_over_us(limits, end), w);
}

/* What a record that covers [us, reach] makes of the set: marks the sessions that it joins (JOINED) and gives in
 * `merged` the bounds of all of them and the record. Sessions that are over at w take no part. How many. */
uint32_t leat__sessions_join(const struct leat__session_layout *layout, struct leat__key_sessions *key,
    const struct leat__session_limits *limits, int64_t us, int64_t reach, int64_t w,
    struct leat__session *merged);
/* The marks go. */
void leat__sessions_unmark(const struct leat__session_layout *layout, struct leat__key_sessions *key);

/* ---- values (session_value.c) ---- */

void leat__session_lay_out(struct leat__session_layout *layout, const struct leat__aggregate_spec *spec);
void leat__session_print_format(const struct leat__session_layout *layout, struct leat_strbuf *out);
int leat__session_encode(void *arg, const void *value, struct leat_strbuf *out);
int leat__session_decode(
    void *arg, struct leat_table *table, int64_t ns, const char *data, size_t len, void *value);
int leat__session_accept_schema(void *arg, const char *saved_schema, struct leat_error *err);

static inline struct leat__aggregate_head *leat__session_head(
    const struct leat__session_layout *layout, unsigned char *cell)
{
    return (struct leat__aggregate_head *)(void *)(cell + layout->head);
}
static inline struct leat__session_given *leat__session_given_of(
    const struct leat__session_layout *layout, unsigned char *cell)
{
    return (struct leat__session_given *)(void *)(cell + layout->given);
}

static inline struct leat__session_user *leat__session_user_of(
    const struct leat__session_layout *layout, unsigned char *cell)
{
    return (struct leat__session_user *)(void *)(cell + layout->user);
}

/* Gives up the memory of the contents. */
void leat__session_forget(
    const struct leat__session_layout *layout, const struct leat__agg_memory *mem, unsigned char *cell);
/* The contents of `from` go to `into`; what `from` has given is not looked at. */
LEAT_NODISCARD int leat__session_merge(const struct leat__session_layout *layout, struct leat__ctx *ctx,
    const struct leat__agg_memory *mem, unsigned char *into, const unsigned char *from);

/* ---- gaps (session_gap.c) ---- */

/* Of a node whose gap is not the same for all records. */
struct leat__session_spec {
    const struct leat_expr *expr; /* `gap`, or NULL */
    const struct leat_gap_fn *fn; /* or this */
};

struct leat__session_gaps {
    struct leat__column column;
    struct leat__column_scratch scratch;
    int64_t *by_row; /* of the batch; NULL: all are window.gap_us */
    uint32_t capacity;
    uint32_t *kept;
    uint32_t kept_capacity;
};
LEAT_NODISCARD int leat__session_gaps_init(
    struct leat__session_gaps *gaps, struct leat__ctx *ctx, const struct leat__aggregate_spec *spec);
void leat__session_gaps_release(struct leat__session_gaps *gaps);
/* leat__run_prepare, and the gap of each row; rows that have none are refused. */
LEAT_NODISCARD int leat__session_prepare(
    struct leat__session_gaps *gaps, struct leat__run *run, struct leat__ctx *ctx, struct leat_batch *batch);

/* ---- the operator ---- */

/* Timers to be set. */
struct leat__session_timers {
    uint32_t rows[LEAT__RUN_CHUNK];
    int64_t us[LEAT__RUN_CHUNK];
    uint32_t count;
};

struct leat__session_aggregate {
    struct leat_op op;
    const struct leat__aggregate_spec *spec;
    struct leat__run run;
    struct leat__session_layout layout;
    struct leat__session_limits limits;
    struct leat__trigger_plan plan;
    struct leat__user_trigger user;
    struct leat__session_gaps gaps;
    struct leat_table *table;
    struct leat__timers event, processing; /* of keys: when something of theirs is due */
    bool quick; /* rows may take the short way */
    bool fires_early; /* something else than the end makes panes of a session that is open */
    struct leat_sv key; /* that panes are given for */
    uint64_t hash;
    unsigned char *spare; /* a cell */

    uint32_t *late; /* rows of run.batch that no session took */
    uint32_t late_count, late_capacity;
    uint32_t at; /* the next row of run.batch */
    int64_t late_wm_us; /* of run.batch */

    /* Rows of one call to the table: those of the short way wait here to be added together. */
    void *found[LEAT__RUN_CHUNK];
    uint32_t rows[LEAT__RUN_CHUNK];
    unsigned char *values[LEAT__RUN_CHUNK];
    uint32_t count;
    uint32_t round; /* of waiting rows: another one when they have been added */
    struct leat__session_timers timers[LEAT__TIMERS_KINDS];

    int64_t now_us; /* the wall clock, of a pass over processing-time timers */
    struct leat_strbuf due_key; /* of a timer */
    enum leat_time_kind pass; /* that step goes on with; 0: none */
};

static inline unsigned char *leat__session_values(
    const struct leat__session_aggregate *a, unsigned char *cell)
{
    return cell + a->layout.values;
}
static inline struct leat__agg_memory leat__session_memory(const struct leat__session_aggregate *a)
{
    return (struct leat__agg_memory){ a->table, 0, NULL };
}

/* session_pane.c */

/* Gives a pane of a session, if there is anything to say. What is due for what has changed since is not any more. */
LEAT_NODISCARD int leat__session_give(
    struct leat__session_aggregate *a, struct leat__ctx *ctx, unsigned char *cell, enum leat_pane kind);
/* The same because a user's trigger has asked for it: also if nothing has changed. */
LEAT_NODISCARD int leat__session_give_asked(
    struct leat__session_aggregate *a, struct leat__ctx *ctx, unsigned char *cell, enum leat_pane kind);
/* Takes back what a session has given last, because it is one with another now. */
LEAT_NODISCARD int leat__session_give_back(
    struct leat__session_aggregate *a, struct leat__ctx *ctx, unsigned char *cell);
/* After records have come into a session: which pane fires at once (`asked`: in any case), or 0; what is due later
 * is noted in it. */
enum leat_pane leat__session_changed(struct leat__session_aggregate *a, struct leat__ctx *ctx,
    struct leat__session *session, uint64_t since, bool asked);
/* When a watermark, or the wall clock, has something to do for it. */
int64_t leat__session_event_due(const struct leat__session_aggregate *a, const struct leat__session *session);
static inline const struct leat__trigger_part *leat__session_part(
    const struct leat__session_aggregate *a, const struct leat__session *session)
{
    return session->flags & LEAT__SESSION_FIRED ? &a->plan.late : &a->plan.early;
}
/* The end has been passed: the ON_TIME pane, or what has not fired is lost (discard_remainder). */
LEAT_NODISCARD int leat__session_give_end(
    struct leat__session_aggregate *a, struct leat__ctx *ctx, unsigned char *cell);
static inline enum leat_pane leat__session_kind(const struct leat__session *session)
{
    return session->flags & LEAT__SESSION_FIRED ? LEAT_PANE_LATE : LEAT_PANE_EARLY;
}

/* session_trigger.c: only with a user's trigger */

/* A row of run.batch has come into a session, and counts already. */
LEAT_NODISCARD int leat__session_user_row(
    struct leat__session_aggregate *a, struct leat__ctx *ctx, unsigned char *cell, uint32_t row);
/* What `from` knows goes into what `into` does. */
LEAT_NODISCARD int leat__session_user_merge(
    struct leat__session_aggregate *a, struct leat__ctx *ctx, unsigned char *into, const unsigned char *from);
/* What is due of the session by time w, in the order of the times; 1: it is over. It may stop before, when the call
 * has done enough: more is due then. */
LEAT_NODISCARD int leat__session_user_watermark(
    struct leat__session_aggregate *a, struct leat__ctx *ctx, unsigned char *cell, int64_t w);
/* By the wall clock, at a->now_us. */
LEAT_NODISCARD int leat__session_user_clock(
    struct leat__session_aggregate *a, struct leat__ctx *ctx, unsigned char *cell);

/* session_gap.c */

static inline int64_t leat__session_gap(const struct leat__session_aggregate *a, uint32_t row)
{
    return a->gaps.by_row ? a->gaps.by_row[row] : a->spec->window.gap_us;
}

extern const struct leat_op_class leat__session_aggregate_class;
#endif
