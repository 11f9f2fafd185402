/* operators/join_interval_private.h -- what the files of the interval join share.
 *
 *   join_interval.c         batches: who pairs with whom
 *   join_interval_close.c   watermarks: what nobody needs any more goes, and what never had a partner is given
 *   join_due.c          when the next of those is due */
#ifndef LEAT_OPERATORS_JOIN_INTERVAL_PRIVATE_H
#define LEAT_OPERATORS_JOIN_INTERVAL_PRIVATE_H
#include "operators/join_private.h"
#include "state/state.h"

#define LEAT__JOIN_SCANNED_PER_CALL 65536u /* rows of state that one call looks at */
#define LEAT__JOIN_GROUP_MAX 64u /* keys whose lists are looked at together */

struct leat__interval_spec {
    struct leat__join_spec pairs; /* first: what all joins have */
    int64_t before_us, after_us;
    int64_t lateness_us;
    int64_t bucket_us;
    bool is_asof; /* partners are chosen when a left record is closed: join_asof.c */
    const char *formats[LEAT__SIDES]; /* of the tables */
};

/* ---- when keys are due ----
 *
 * Of the one bucket of a side that is being closed bit by bit: keys with the time of a row that has no partner yet.
 * It knows the first times only; what is beyond complete_us has to be looked for anew. Derived from the table, never
 * saved. */
struct leat__due_entry {
    int64_t time_us;
    uint64_t hash;
    uint32_t key_at, key_len; /* in the pool of keys */
};
struct leat__due {
    struct leat__due_entry *heap; /* the smallest time first */
    uint32_t count, capacity;
    struct leat_strbuf keys;
    size_t keys_live; /* bytes of them that entries show */
    int64_t complete_us; /* all keys that are due up to here have an entry */
    struct leat__due_entry *recent; /* by hash: the last entries made */
    uint64_t *seen; /* memory of `recent`: whether it is set */
};
void leat__due_clear(struct leat__due *w);
void leat__due_free(struct leat__due *w);
/* Keeps a copy of the key. `given_us`: entries up to this time have been taken out. LEAT_ENOMEM or 0. */
LEAT_NODISCARD int leat__due_add(
    struct leat__due *w, int64_t time_us, struct leat_sv key, uint64_t hash, int64_t given_us);
/* The first entry; NULL: none. Its key is valid until the next add. */
static inline const struct leat__due_entry *leat__due_first(const struct leat__due *w)
{
    return w->count ? &w->heap[0] : NULL;
}
static inline struct leat_sv leat__due_key(const struct leat__due *w, const struct leat__due_entry *entry)
{
    return (struct leat_sv){ w->keys.data + entry->key_at, entry->key_len };
}
void leat__due_pop(struct leat__due *w);

/* ---- closing ---- */

/* Keys on their way through: what they have is looked at, LEAT_MORE or not. */
struct leat__close_group {
    struct leat_sv keys[LEAT__JOIN_GROUP_MAX];
    uint64_t hashes[LEAT__JOIN_GROUP_MAX];
    const struct leat_list_row *lists[LEAT__JOIN_GROUP_MAX];
    uint32_t count, at;
    uint64_t list_at; /* rows of the list of keys[at] that have been looked at */
    int64_t next_us; /* the first time in it that is not due */
    struct leat_strbuf bytes; /* of keys that are our own */
    bool owned; /* they are; and lists have to be fetched */
};

struct leat__close {
    int64_t done_us; /* other side's watermark that all has been done for */
    bool is_partial; /* there is a bucket that is closed in part, */
    int64_t bucket; /* this one, */
    bool is_surveyed; /* and it is being walked through for times */
    struct leat_cursor *cursor; /* or NULL */
    struct leat__close_group group;
    struct leat__due waiting;
};

/* How far the rows of a list are too early for all that comes in a run. */
#define LEAT__JOIN_PASSED 256u
struct leat__interval_passed {
    const struct leat_list_row *first, *next; /* the list; the first row that is not passed */
    uint64_t count; /* rows before it */
    uint64_t run; /* for which this is so */
};

struct leat__interval {
    struct leat_op op;
    const struct leat__interval_spec *spec;
    struct leat_table *tables[LEAT__SIDES];
    struct leat_key_scratch *key_scratch;
    struct leat__join_output *output;
    bool keeps[LEAT__SIDES]; /* what was never paired is given when it is closed: to `give` */
    int (*give)(struct leat__interval *j, struct leat__ctx *ctx, uint32_t side, const void *record,
        int64_t event_us, uint64_t hash);
    bool is_full; /* `give` takes no more before the next call */
    struct leat__close close[LEAT__SIDES];
    int64_t forwarded_us; /* of a class with `holds` */
    uint32_t scanned; /* in this call */
    uint32_t *given; /* batches, in this call */

    /* The batch in work. */
    struct leat_batch *in; /* NULL between batches */
    bool is_taken; /* it has been sorted out */
    uint32_t side;
    const struct leat_sv *keys;
    uint32_t *rows, *rows_spare; /* row numbers: first the joining ones, sorted */
    uint32_t rows_capacity, rows_spare_capacity;
    uint32_t rows_count;
    const struct leat_list_row **lists; /* of the run, by row */
    uint8_t *matched; /* by row of the batch: it has had a partner */
    uint32_t lists_capacity;
    /* The run: rows[run_from .. run_to-1] reach into one bucket. */
    uint32_t run_from, run_to;
    bool in_run;
    bool any_run; /* a run of this batch has been done, */
    int64_t done_until_us; /* and all partners up to this time are found */
    uint32_t at; /* row in the run, and the next row of its list, */
    const struct leat_list_row *next;
    uint64_t list_at; /* which has so many before it */
    uint64_t run_number; /* this run's, from 1; another one after lists have been fetched anew */
    struct leat__interval_passed passed[LEAT__JOIN_PASSED]; /* by hash */
    bool is_plain; /* INNER: pairs need nothing but to be given */
    uint32_t flagged_row; /* whose list may be written to */

    /* Pairs that `where` has to be asked about before they are said to be any; outer joins. */
    struct leat__interval_candidates {
        const void **left, **right;
        const struct leat_list_row **others;
        uint32_t *rows;
        uint8_t *ok;
        uint32_t count, capacity;
    } candidates;
};

/* ---- times ---- */

static inline int64_t leat__add_saturated(int64_t a, int64_t b)
{
    int64_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return b < 0 ? LEAT_TIME_MIN : LEAT_TIME_MAX;
    return sum;
}
static inline int64_t leat__sub_saturated(int64_t a, int64_t b)
{
    int64_t difference;
    if (__builtin_sub_overflow(a, b, &difference))
        return b > 0 ? LEAT_TIME_MIN : LEAT_TIME_MAX;
    return difference;
}
/* Number of the bucket that a time is in: floor(time / width). */
static inline int64_t leat__interval_bucket(const struct leat__interval_spec *spec, int64_t time_us)
{
    const int64_t quotient = time_us / spec->bucket_us;
    return time_us % spec->bucket_us < 0 ? quotient - 1 : quotient;
}
static inline int64_t leat__interval_bucket_first_us(const struct leat__interval_spec *spec, int64_t bucket)
{
    int64_t first;
    return __builtin_mul_overflow(bucket, spec->bucket_us, &first) ? LEAT_TIME_MIN : first;
}
static inline int64_t leat__interval_bucket_last_us(const struct leat__interval_spec *spec, int64_t bucket)
{
    int64_t end;
    if (__builtin_mul_overflow(bucket + 1, spec->bucket_us, &end))
        return LEAT_TIME_MAX;
    return end - 1; /* no underflow: the bucket has a time in it */
}
/* How much later than a record of this side its last partner may be. */
static inline int64_t leat__interval_reach(const struct leat__interval_spec *spec, uint32_t side)
{
    return side == LEAT__LEFT ? spec->after_us : spec->before_us;
}

/* Whether a record of this side and time has no partner to come: the other side's would all be late. */
static inline bool leat__interval_is_closed(
    const struct leat__interval *j, const struct leat__ctx *ctx, uint32_t side, int64_t time_us)
{
    return leat__join_is_passed(leat__add_saturated(time_us, leat__interval_reach(j->spec, side)),
        leat__join_side_watermark(ctx, !side), j->spec->lateness_us);
}

/* A record without the other side's. */
LEAT_NODISCARD int leat__interval_give_alone(struct leat__interval *j, struct leat__ctx *ctx, uint32_t side,
    const void *record, int64_t event_us, uint64_t hash);

/* Does what the watermarks allow: drops buckets, gives what never had a partner, forwards. LEAT_MORE when this call
 * has done enough. */
LEAT_NODISCARD int leat__interval_close(struct leat__interval *j, struct leat__ctx *ctx);
/* The parts of it: one side, in so many drops; and what follows is told, once all that was given is out. */
LEAT_NODISCARD int leat__interval_close_side(
    struct leat__interval *j, struct leat__ctx *ctx, uint32_t side, uint32_t *drops);
LEAT_NODISCARD int leat__interval_forward(struct leat__interval *j, struct leat__ctx *ctx);
void leat__interval_count_keys(const struct leat__interval *j, struct leat__ctx *ctx);
/* The last time of a side that is closed; LEAT_TIME_MIN: none. */
int64_t leat__interval_closed_us(const struct leat__interval *j, const struct leat__ctx *ctx, uint32_t side);

/* ---- batches: join_interval.c ---- */

/* Sorts the batch j->in out: j->rows has the joining ones, by time; late ones and null keys are gone. */
LEAT_NODISCARD int leat__interval_take(struct leat__interval *j, struct leat__ctx *ctx);
/* Puts j->rows into their own side's table, but for those that are closed, which are given. */
LEAT_NODISCARD int leat__interval_append(struct leat__interval *j, struct leat__ctx *ctx);
/* Rows of a batch (sorted by time) that had been admitted before, between batches: also closed ones, which a side's own
 * watermark makes without a call. Nothing is given; the next call that closes the side does that. */
LEAT_NODISCARD int leat__interval_append_rows(struct leat__interval *j, struct leat__ctx *ctx, uint32_t side,
    struct leat_batch *batch, const uint32_t *rows, uint32_t count);
void leat__interval_sort(const int64_t *times, uint32_t *rows, uint32_t *spare, uint32_t n);
LEAT_NODISCARD int leat__interval_init(struct leat__interval *j, struct leat__ctx *ctx);
void leat__interval_release(struct leat__interval *j);
int leat__interval_snapshot(struct leat_op *op, struct leat__ctx *ctx, struct leat_strbuf *out);
int leat__interval_restore(
    struct leat_op *op, struct leat__ctx *ctx, const struct leat_sv *parts, uint32_t count);
/* A row without a partner so far has been put into the table. */
LEAT_NODISCARD int leat__interval_waits(struct leat__interval *j, struct leat__ctx *ctx, uint32_t side,
    int64_t time_us, struct leat_sv key, uint64_t hash);
/* The watermark that may be told to what follows. */
int64_t leat__interval_forward_us(const struct leat__interval *j, const struct leat__ctx *ctx);
#endif
