/* include/leat/pattern.h -- sequences of records of one key: find them as they happen, and those that do not
 * happen in time.
 *
 *   leat_stream *alarms = leat_pattern(by_card, "small-then-large", &(struct leat_pattern_opts){
 *       .steps = { { .name = "small", .where = "amount < 100" },
 *                  { .name = "large", .where = "amount > 100 * small.amount" } },
 *       .within_us = LEAT_MINUTES(10),
 *       .skip = LEAT_SKIP_PAST_LAST,
 *       .match = { .out = &alarm_type, .fields = { { "small.amount", "first" }, { "amount", "second" } } } });
 *
 * Records of a key are looked at in the order of their event times (equal times: of arrival), each when the
 * watermark has reached it; late ones are counted and given to the side output "late". A *run* is a beginning
 * of a match. Each record may go on with each run, and may begin a new one:
 *
 *   NEXT              only the record right behind the one before fits, else the run ends
 *   FOLLOWED_BY       others between are passed over; the first one that fits is taken
 *   FOLLOWED_BY_ANY   as FOLLOWED_BY, but the run also stays as it was and takes a later one as well
 *
 * A step with times_min .. times_max takes so many records; `inner` is how they follow each other. What is
 * longer does not end what is shorter: "a, then one or more b" matches at each b. `greedy`: a record that the
 * step can take is not given to the step behind, nor does the run stay without it. A step with `optional` may
 * take none. One with `not` takes none: a record that fits it ends the run (contiguity NEXT: if it is the
 * record right behind the one before). As the last step, with within_us: the match is there when the time is
 * over and none has come.
 *
 * In `where`, a bare field is one of the record in question; `small.amount` is one of the record that the step
 * "small" took last, `previous.amount` of the one that the run took last; null where there is none. */
#ifndef LEAT_PATTERN_H
#define LEAT_PATTERN_H
#include <leat/key.h>
#include <leat/map.h>

enum leat_contiguity { LEAT_FOLLOWED_BY = 1 /* default */, LEAT_NEXT, LEAT_FOLLOWED_BY_ANY };

#define LEAT_UNBOUNDED UINT32_MAX

struct leat_pattern_step {
    const char *name; /* [a-z][a-z0-9_]*, unique, no field of the record and not "previous" */
    const char *where; /* a condition; NULL: every record */
    enum leat_contiguity contiguity; /* to the step before; of the first one without meaning */
    uint32_t times_min, times_max; /* 0, 0: once; { 1, LEAT_UNBOUNDED }: one or more */
    enum leat_contiguity inner;
    const char *until; /* a condition that ends the taking: of steps with times */
    bool optional, greedy, not_;
};

/* What becomes of other matches once one has been given. */
enum leat_skip {
    LEAT_SKIP_NONE = 1, /* default: all matches are given */
    LEAT_SKIP_TO_NEXT, /* none more that begins with the same record */
    LEAT_SKIP_PAST_LAST, /* none that begins at or before the match's last record */
    LEAT_SKIP_TO_FIRST, /* none that begins before the first record of the step skip_to */
    LEAT_SKIP_TO_LAST, /* none that begins before its last one */
};

/* The records of a match, by step. Good until the callback returns. */
struct leat_match;
/* Makes the output of a match; made by LEAT_DEFINE_MATCH. */
struct leat_match_fn {
    size_t size;
    const char *name;
    const struct leat_type *in, *out;
    void (*select)(struct leat_ctx *ctx, const struct leat_match *match, void *out);
};

/* Exactly one of fn and out. Expressions see what `where` sees (the bare fields are those of the last
 * record), and match_start, match_end (long: event times of the first and the last record), <step>_count (long).
 * Fields of `out` that are not named are taken from the last record's fields of the same name, else must be
 * nullable. */
struct leat_match_output {
    const struct leat_match_fn *fn;
    const struct leat_type *out;
    struct leat_projection fields[32];
};

struct leat_pattern_opts {
    struct leat_pattern_step steps[16]; /* up to the first without a name */
    int64_t
        within_us; /* a record at first + within_us is too late; 0: no limit, and state may grow for ever */
    enum leat_skip skip;
    const char *skip_to; /* a step: SKIP_TO_FIRST, SKIP_TO_LAST */
    struct leat_match_output match; /* event time: that of the last record */
    /* Runs that within_us has ended before they were a match (but for what a match has skipped): side output
     * "timed-out", at first + within_us - 1. Neither fn nor out: none. */
    struct leat_match_output timed_out;
    uint32_t runs_max; /* of a key, else the job fails; 0: 10,000 */
};

/* So many records within a time: "5 failures in 5 minutes". The step's name is "event". */
struct leat_frequency_opts {
    const char *where; /* NULL: every record */
    uint32_t count; /* >= 1 */
    int64_t within_us; /* the last one is less than this behind the first */
    bool overlapping; /* false: after a match the counting begins anew; true: each record may end one */
    struct leat_match_output match;
};

LEAT_BEGIN_DECLS
LEAT_API leat_stream *leat_pattern_sized(
    leat_keyed_stream *in, const char *name, const struct leat_pattern_opts *opts, size_t size);
static inline leat_stream *leat_pattern(
    leat_keyed_stream *in, const char *name, const struct leat_pattern_opts *opts)
{
    return leat_pattern_sized(in, name, opts, sizeof *opts);
}
LEAT_API leat_stream *leat_frequency_sized(
    leat_keyed_stream *in, const char *name, const struct leat_frequency_opts *opts, size_t size);
static inline leat_stream *leat_frequency(
    leat_keyed_stream *in, const char *name, const struct leat_frequency_opts *opts)
{
    return leat_frequency_sized(in, name, opts, sizeof *opts);
}

/* How many records a step (by its index) has taken; the i-th of them, NULL beyond; its event time. */
LEAT_API uint32_t leat_match_count(const struct leat_match *match, uint32_t step);
LEAT_API const void *leat_match_at(const struct leat_match *match, uint32_t step, uint32_t i);
LEAT_API int64_t leat_match_event_us(const struct leat_match *match, uint32_t step, uint32_t i);
LEAT_END_DECLS

/* After `static void alarm_of(struct leat_ctx *, const struct leat_match *, struct alarm *out)`: defines
 * alarm_of_match. */
#define LEAT_DEFINE_MATCH(fn_, in_, out_) \
    static void fn_##__select(struct leat_ctx *ctx, const struct leat_match *match, void *out) \
    { \
        fn_(ctx, match, (struct out_ *)out); \
    } \
    static const struct leat_match_fn fn_##_match = { sizeof(struct leat_match_fn), #fn_, &in_##_type, \
        &out_##_type, fn_##__select }
#endif
