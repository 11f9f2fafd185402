/* operators/timers_private.h -- timers of keys: which there are, which comes next, and what callbacks wish.
 *
 *   struct leat__timers        the timers of one kind, in a table: one per time, owner and key. The owner is a few
 *                              bytes of the operator's (a window, a state), perhaps none
 *   struct leat__timer_wishes  what leat_timer_set and leat_timer_delete note down while a callback runs;
 *                              granted, or forgotten, when it has returned
 *
 * The tables are in checkpoints and go to the key's new owner when a job is rescaled; nothing else is saved. */
#ifndef LEAT_OPERATORS_TIMERS_PRIVATE_H
#define LEAT_OPERATORS_TIMERS_PRIVATE_H
#include "state/state.h"
#include "topology/operator.h"
#include <leat/timer.h>

enum { LEAT__TIMERS_EVENT, LEAT__TIMERS_PROCESSING, LEAT__TIMERS_KINDS };

static inline uint32_t leat__timers_which(enum leat_time_kind kind)
{
    return kind == LEAT_EVENT_TIME ? LEAT__TIMERS_EVENT : LEAT__TIMERS_PROCESSING;
}

struct leat__timer {
    int64_t time_us;
    uint64_t
        order[2]; /* the 16 bytes behind the time in its table key, as numbers: most comparisons end there */
    uint32_t at, len; /* of its table key in `bytes` */
};

/* The timers of one kind. Table keys: time (8 bytes, ordered) | `skip` - 8 bytes of the owner's | key. */
struct leat__timers {
    struct leat_table *table;
    uint32_t skip;
    bool may_be_void;
    struct leat__timer *heap; /* the next ones, the first on top */
    uint32_t count, capacity;
    struct leat_strbuf bytes, spare;
    size_t used; /* of bytes, by timers in the heap */
    /* All timers up to the limit are in the heap. */
    bool has_limit;
    int64_t limit_us;
    struct leat_strbuf limit_key; /* of limit_us the keys up to this one; empty: all of them */
    /* Loading. */
    struct leat_cursor *cursor;
    int64_t bucket;
    struct leat_strbuf key; /* of a set */
};

struct leat__timers_opts {
    const char *name; /* of the table */
    uint32_t key_size; /* leat__key_fixed_size */
    const char *key_types;
    uint32_t owner_bytes;
    const char *owner; /* what they are */
    bool may_be_void; /* the owner knows which timers count: none is deleted, and take does not look */
};
LEAT_NODISCARD int leat__timers_open(
    struct leat__timers *timers, struct leat__ctx *ctx, const struct leat__timers_opts *opts);
void leat__timers_close(struct leat__timers *timers);
/* `middle`: the owner's skip - 8 bytes. */
LEAT_NODISCARD int leat__timers_set(struct leat__timers *timers, struct leat__ctx *ctx, int64_t time_us,
    struct leat_sv middle, struct leat_sv key);
LEAT_NODISCARD int leat__timers_delete(struct leat__timers *timers, struct leat__ctx *ctx, int64_t time_us,
    struct leat_sv middle, struct leat_sv key);
/* Finds the next timer at or before `until_us`: 1 with *time_us, 0 where there is none, LEAT_MORE + 1 when
 * this takes another call, or an error. */
#define LEAT__TIMERS_MORE (LEAT_MORE + 1)
LEAT_NODISCARD int leat__timers_next(
    struct leat__timers *timers, struct leat__ctx *ctx, int64_t until_us, int64_t *time_us);
/* Takes it: 1 with its key (behind the time) in `key`, 0 when it was deleted meanwhile. */
LEAT_NODISCARD int leat__timers_take(
    struct leat__timers *timers, struct leat__ctx *ctx, struct leat_strbuf *key);
/* Whether there may be one at or before that time: exact but for what is not in memory. */
static inline bool leat__timers_may_be_due(const struct leat__timers *timers, int64_t until_us)
{
    return timers->count > 0 ? timers->heap[0].time_us <= until_us
                             : !timers->has_limit || timers->limit_us < until_us;
}
/* A time before which none goes off; LEAT_TIME_MAX: there is none. */
LEAT_NODISCARD int leat__timers_wake(struct leat__timers *timers, struct leat__ctx *ctx, int64_t *wake_us);
/* Forgets all. */
LEAT_NODISCARD int leat__timers_clear(struct leat__timers *timers, struct leat__ctx *ctx);

/* ---- wishes (timer_wishes.c) ---- */

struct leat__timer_wish {
    enum leat_time_kind kind;
    bool is_delete;
    int64_t time_us;
};

struct leat__timer_wishes {
    struct leat__ctx *ctx;
    const char *callbacks; /* the name that the user gave them */
    const char *maker; /* the macro that makes them */
    bool has_event_time;
    bool has_on_timer;
    struct leat__timer_wish *list;
    uint32_t count, capacity;
    int code; /* the first failure, which is in ctx->error; the operator returns it */
};
void leat__timer_wishes_release(struct leat__timer_wishes *wishes);
/* Sets and deletes as was wished, in that order, for an owner and key; none are left. */
LEAT_NODISCARD int leat__timer_wishes_grant(struct leat__timer_wishes *wishes,
    struct leat__timers timers[LEAT__TIMERS_KINDS], struct leat_sv owner, struct leat_sv key);
#endif
