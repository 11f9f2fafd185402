/* operators/session_private.h -- the open sessions of a key, and how they stand in state.
 *
 *   session_set.c        which sessions a record belongs to, as arithmetic over an array
 *   session_value.c      the value of a slot: layout, codec, moving and merging
 *   session_gap.c        the gap of each row
 *   session_pane.c       what a session gives, and when it is due
 *   session_aggregate.c  the operator
 *
 * One table; the namespace is a *slot*. A key's value in slot 0 says which sessions the key has, and holds the
 * contents of the one that began last; the contents of the others are in slots 1, 2, ... Most keys have one
 * session, and then all of it is a single value. */
#ifndef LEAT_OPERATORS_SESSION_PRIVATE_H
#define LEAT_OPERATORS_SESSION_PRIVATE_H
#include "operators/aggregate_class_private.h"
#include "operators/aggregate_run_private.h"
#include "operators/timers_private.h"
#include "operators/window_trigger_private.h"

#define LEAT__SESSION_FIRED 1u /* its end has been passed */
#define LEAT__SESSION_JOINED 2u /* found by leat__sessions_join; in state never */

/* Saved as it is. LEAT_TIME_MAX: nothing is due. */
struct leat__session {
    int64_t first, last; /* times of its records */
    int64_t end; /* the greatest of time + gap */
    int64_t event_due, processing_due; /* of its period triggers */
    uint32_t slot, flags;
};

/* ---- a set of them (session_set.c) ---- */

/* By `first`, then slot. */
struct leat__session_set {
    struct leat__session *sessions;
    uint8_t *used; /* by slot, while one is looked for */
    uint32_t count, capacity;
};

struct leat__session_limits {
    int64_t max_length_us; /* 0: none */
    int64_t lateness_us; /* or LEAT_NEVER */
};

void leat__session_set_release(struct leat__session_set *set);
LEAT_NODISCARD int leat__session_set_reserve(struct leat__session_set *set, uint32_t count);
/* Puts it in its place; there must be room. Its index. */
uint32_t leat__session_set_insert(struct leat__session_set *set, const struct leat__session *session);
void leat__session_set_remove(struct leat__session_set *set, uint32_t at);
/* A slot that none has, but 0. */
uint32_t leat__session_set_free_slot(const struct leat__session_set *set);
struct leat__session *leat__session_in_slot(const struct leat__session_set *set, uint32_t slot);

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
uint32_t leat__sessions_join(struct leat__session_set *set, const struct leat__session_limits *limits,
    int64_t us, int64_t reach, int64_t w, struct leat__session *merged);

/* ---- values (session_value.c) ---- */

#define LEAT__KEY_HERE 1u /* `here` is a session */
#define LEAT__KEY_EVENT_TIMER 2u
#define LEAT__KEY_PROCESSING_TIMER 4u

/* What a key has: at the begin of its value in slot 0; zero in the others. */
struct leat__key_sessions {
    struct leat__session here; /* in slot 0: the one that began last, if any of them is */
    uint32_t flags, others_count;
    int64_t others_end; /* the greatest one */
    int64_t event_timer_us, processing_timer_us; /* the earliest that is set: others of this key are void */
    struct leat__agg_blob others; /* struct leat__session each, in the order of the set */
};

/* The last pane as it was given, for retractions; the values behind it. */
struct leat__session_given {
    int64_t start, end;
    uint64_t index;
    uint32_t kind; /* 0: none is standing */
    uint32_t spare;
};

/* A value: [struct leat__key_sessions][struct leat__aggregate_head][values]
 *          [struct leat__session_given, values]   RETRACTING
 *          [states of user triggers, blob of their timers]   where there are any */
struct leat__session_layout {
    const struct leat__aggregate_spec *spec;
    uint32_t head, values, given, given_values, size; /* offsets; given 0: none */
};

void leat__session_lay_out(struct leat__session_layout *layout, const struct leat__aggregate_spec *spec);
void leat__session_print_format(const struct leat__session_layout *layout, struct leat_strbuf *out);
int leat__session_encode(void *arg, const void *value, struct leat_strbuf *out);
int leat__session_decode(
    void *arg, struct leat_table *table, int64_t ns, const char *data, size_t len, void *value);

static inline struct leat__aggregate_head *leat__session_head(
    const struct leat__session_layout *layout, unsigned char *value)
{
    return (struct leat__aggregate_head *)(void *)(value + layout->head);
}
static inline struct leat__session_given *leat__session_given_of(
    const struct leat__session_layout *layout, unsigned char *value)
{
    return (struct leat__session_given *)(void *)(value + layout->given);
}

/* Deep copies of the contents, which leave the key's part as it is; `to` has none before. */
LEAT_NODISCARD int leat__session_copy(const struct leat__session_layout *layout,
    const struct leat__agg_memory *mem, unsigned char *to, const unsigned char *from);
/* Gives up the memory of the contents, and zeroes them. */
void leat__session_forget(
    const struct leat__session_layout *layout, const struct leat__agg_memory *mem, unsigned char *value);
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

struct leat__session_aggregate {
    struct leat_op op;
    const struct leat__aggregate_spec *spec;
    struct leat__run run;
    struct leat__session_layout layout;
    struct leat__session_limits limits;
    struct leat__trigger_plan plan;
    struct leat__session_gaps gaps;
    struct leat_table *table;
    struct leat__timers event, processing; /* of keys: when something of theirs is due */
    bool quick; /* rows may take the short way */

    /* The key that is being worked on: a copy of what stands in slot 0. */
    struct leat_sv key;
    uint64_t hash;
    struct leat__key_sessions dir; /* but for `here` and `others`, which are in the set */
    struct leat__session_set set;
    unsigned char *taken; /* contents on their way from one slot to another, with memory in `arena` */
    struct leat_arena arena;

    uint32_t *late; /* rows of run.batch that no session took */
    uint32_t late_count, late_capacity;
    uint32_t at; /* the next row of run.batch */
    uint32_t chunk; /* rows to look up at a time */
    int64_t late_wm_us; /* of run.batch */

    int64_t now_us; /* the wall clock, of a pass over processing-time timers */
    struct leat_strbuf due_key; /* of a timer */
    enum leat_time_kind pass; /* that step goes on with; 0: none */
};

static inline unsigned char *leat__session_values(
    const struct leat__session_aggregate *a, unsigned char *value)
{
    return value + a->layout.values;
}

/* session_pane.c */

/* Gives a pane of a session, if there is anything to say; `value` is its value in the table. What is due for
 * what has changed since is not any more. */
LEAT_NODISCARD int leat__session_give(struct leat__session_aggregate *a, struct leat__ctx *ctx,
    struct leat__session *session, unsigned char *value, enum leat_pane kind);
/* Takes back what a session has given last, because it is one with another now. */
LEAT_NODISCARD int leat__session_give_back(struct leat__session_aggregate *a, struct leat__ctx *ctx,
    unsigned char *value, const struct leat__agg_memory *mem);
/* After records have come into a session: which pane fires at once, or 0; what is due later is noted in it. */
enum leat_pane leat__session_changed(
    struct leat__session_aggregate *a, struct leat__ctx *ctx, struct leat__session *session, uint64_t since);
/* When a watermark, or the wall clock, has something to do for it. */
int64_t leat__session_event_due(const struct leat__session_aggregate *a, const struct leat__session *session);
static inline const struct leat__trigger_part *leat__session_part(
    const struct leat__session_aggregate *a, const struct leat__session *session)
{
    return session->flags & LEAT__SESSION_FIRED ? &a->plan.late : &a->plan.early;
}
/* What has not fired by the end of the session is lost (discard_remainder). */
void leat__session_lose(struct leat__session_aggregate *a, unsigned char *value);

/* session_gap.c */

static inline int64_t leat__session_gap(const struct leat__session_aggregate *a, uint32_t row)
{
    return a->gaps.by_row ? a->gaps.by_row[row] : a->spec->window.gap_us;
}

extern const struct leat_op_class leat__session_aggregate_class;
#endif
