/* operators/join_private.h -- what all joins share: the options that say which records match and what a pair becomes
 * (join_declare.c), and rows of output from pairs (join_output.c). How partners are found and kept is each join's own.
 *
 *   declare:  leat__join_declare fills a struct leat__join_spec, which begins or is part of the operator's own spec
 *   run:      leat__join_output_pair collects pointers to the records of pairs, NULL where a side is missing;
 *             leat__join_output_flush, at the latest before a call on the state that they point into, applies `where`,
 *             makes rows by `merge` or the projection, and copies all that they show into the output batch;
 *             leat__join_output_end gives what is left. Batches go out as they fill.
 *
 * Invariants: (1) no pair points anywhere after flush; (2) `where` is not asked for pairs with a missing side; (3) rows
 * of one call are in the order of their pairs within a lane (below). */
#ifndef LEAT_OPERATORS_JOIN_PRIVATE_H
#define LEAT_OPERATORS_JOIN_PRIVATE_H
#include "operators/aggregate_private.h"
#include "operators/key_private.h"
#include "operators/projection_private.h"
#include "operators/rows_private.h"
#include "topology/declare.h"
#include <leat/change.h>
#include <leat/join.h>

enum { LEAT__LEFT, LEAT__RIGHT, LEAT__SIDES };

/* The options that every join has. */
struct leat__join_opts {
    enum leat_join_kind kind; /* 0: INNER */
    uint32_t kinds; /* the allowed ones: 1u << kind; others are refused by name */
    const char *left_key, *right_key, *where;
    const struct leat_join_fn *merge;
    const struct leat_type *out;
    const struct leat_projection *fields;
    uint32_t fields_max;
    /* Output fields that the operator fills itself (window_start), NULL-terminated; or NULL. A projection may name
     * them, then the operator does not. */
    const char *const *own_fields;
    const char *key_as; /* or NULL */
    bool
        forward_left; /* the left side is not exchanged, the right one goes to every subtask (broadcast tables) */
};

struct leat__join_spec {
    enum leat_join_kind kind;
    struct leat_key *keys[LEAT__SIDES]; /* nulls: SKIP */
    const char *key_types[LEAT__SIDES]; /* leat__key_describe, for tables */
    uint32_t key_size; /* of every key of both sides, 0: they vary */
    struct leat_key *out_key; /* of results, which must be that of their pair; NULL: nothing to check */
    struct leat_expr *where; /* or NULL */
    struct leat_join_fn merge; /* size 0: by projection */
    struct leat__projection *projection;
    struct leat__out_field window[2]; /* window_start, window_end; type NULL: not the operator's to fill */
    struct leat_type pair_type; /* { left, right }, for dead letters */
    struct leat_field pair_fields[LEAT__SIDES];
};

static inline bool leat__join_keeps(const struct leat__join_spec *spec, uint32_t side)
{
    return spec->kind == LEAT_JOIN_FULL ||
        spec->kind == (side == LEAT__LEFT ? LEAT_JOIN_LEFT : LEAT_JOIN_RIGHT);
}

/* After leat__input of both sides with LEAT_FORWARD: makes the keys and sets the edges' partitioning, checks kind,
 * where, merge or out and fields, adds output 0 with its type, says by what it is partitioned. Errors are on the node.
 * Whether it needs event time or takes changes is the caller's to say. */
void leat__join_declare(
    struct leat_node *node, const struct leat__join_opts *o, struct leat__join_spec *spec);
/* For plans: "left outer: left (a) = right (b), <own>, where ..."; `own` may be NULL. */
const char *leat__join_describe(struct leat_node *node, const struct leat__join_spec *spec, const char *own);
/* leat_late_left and _right find late outputs by node->late_ports and work for every class that
 * leat__join_has_late was called for when it was declared. */
void leat__join_has_late(struct leat_node *node);

/* ---- rows ---- */

/* Rows whose event time the watermark has passed go into batches of their own, marked with it. Where the class holds
 * watermarks back it is the one that was forwarded: leat__join_output_forwarded. */
enum { LEAT__JOIN_ON_TIME, LEAT__JOIN_BEHIND, LEAT__JOIN_LANES };

/* Pairs that wait to be made rows, as pointers. */
struct leat__join_lane {
    const void **left, **right;
    int64_t *event_us;
    uint64_t *key_hash;
    uint8_t *change; /* LEAT_INSERT where nothing else was said */
    int64_t *window[2]; /* starts and ends; NULL: no field shows them */
    uint32_t count, room; /* count < room: when that is reached they are flushed */
    uint32_t missing; /* pairs with one record */
    bool changes; /* some pair is no insert */
    struct leat_batch *out; /* NULL: none yet */
};

struct leat__join_output { /* one per instance; lanes and plain_after_us apart join_output.c's */
    struct leat__join_lane lanes[LEAT__JOIN_LANES];
    int64_t plain_after_us; /* later pairs are on time and need nothing but what any lane has */
    const struct leat__join_spec *spec;
    struct leat_expr_scratch *where;
    struct leat__projection_scratch *projection;
    struct leat_key_scratch *out_key; /* of what is checked; or NULL */
    struct leat_copier *copier;
    uint32_t rows_max; /* rows of an output batch */
    uint32_t given;
    bool judged; /* `where` holds for all pairs that come */
    bool is_held;
    int64_t forwarded_us; /* is_held */
    /* For `where`: what it says of pairs, and pairs without those that have no other side. */
    uint8_t *ok;
    const void **left, **right;
};
LEAT_NODISCARD int leat__join_output_new(
    const struct leat__join_spec *spec, struct leat__ctx *ctx, struct leat__join_output **output);
void leat__join_output_free(struct leat__join_output *output);

struct leat__join_pair {
    const void *left, *right; /* NULL: missing; not both */
    int64_t event_us;
    uint64_t key_hash; /* of the join key, for what follows keyed alike */
    enum leat_change change; /* LEAT_INSERT where the output carries no changes */
    int64_t window_start_us, window_end_us; /* where own_fields has them */
};
/* Takes note of a pair; flushes and gives batches as needed. Errors as of leat__emit. */
LEAT_NODISCARD int leat__join_output_pair(
    struct leat__join_output *output, struct leat__ctx *ctx, const struct leat__join_pair *pair);
/* Pairs of two records that are inserts may be written straight behind those of lanes[LEAT__JOIN_ON_TIME]: left, right,
 * event_us, key_hash; then leat__join_output_full when count has come to room, which it must not pass. For times above
 * plain_after_us, which leat__join_output_begin sets: before the first one of a call, and after the watermark has
 * changed. (None are where pairs show windows.) */
void leat__join_output_begin(struct leat__join_output *output, const struct leat__ctx *ctx);
LEAT_NODISCARD int leat__join_output_full(struct leat__join_output *output, struct leat__ctx *ctx);
LEAT_NODISCARD int leat__join_output_flush(struct leat__join_output *output, struct leat__ctx *ctx);
/* Flushes and gives all that there is. */
LEAT_NODISCARD int leat__join_output_end(struct leat__join_output *output, struct leat__ctx *ctx);
/* For classes with `holds`, when nothing is open: what follows has been told this watermark, and it alone makes rows
 * late there. */
void leat__join_output_forwarded(struct leat__join_output *output, int64_t watermark_us);
/* Batches given since the operator set it to 0: LEAT_OP_BATCHES_PER_CALL is the bound of one call. */
static inline uint32_t *leat__join_output_given(struct leat__join_output *output)
{
    return &output->given;
}
/* Whether a pair satisfies `where` (true without one): for joins that must know what matched before they give
 * anything. ok[i] for pair i; a row that can not be judged meets the node's policy and does not match. */
LEAT_NODISCARD int leat__join_matches(struct leat__join_output *output, struct leat__ctx *ctx,
    const void *const *left, const void *const *right, uint32_t count, uint8_t *ok);
/* After leat__join_matches `where` need not be asked again. */
void leat__join_output_judged(struct leat__join_output *output, bool judged);

/* The watermark that records of a side are judged by. It is the input's own; the merged one is above that only when
 * the input was idle, and then its rows must not be waited for (semantics 4, 35). */
static inline int64_t leat__join_side_watermark(const struct leat__ctx *ctx, uint32_t side)
{
    const int64_t own = ctx->input_watermark_us[side];
    return own > ctx->watermark_us ? own : ctx->watermark_us;
}
/* The last time that is passed at w with this lateness, where the ends of time are infinite: LEAT_TIME_MIN says none,
 * LEAT_TIME_MAX all. */
static inline int64_t leat__join_passed_us(int64_t w, int64_t lateness_us)
{
    int64_t bound;
    if (w == LEAT_TIME_MIN || w == LEAT_TIME_MAX)
        return w;
    return __builtin_sub_overflow(w, lateness_us, &bound) ? LEAT_TIME_MIN : bound;
}
/* Whether time <= w - lateness, where the ends of time are infinite. */
static inline bool leat__join_is_passed(int64_t time_us, int64_t w, int64_t lateness_us)
{
    if (w == LEAT_TIME_MIN || w == LEAT_TIME_MAX)
        return w == LEAT_TIME_MAX;
    int64_t bound;
    return !__builtin_sub_overflow(w, lateness_us, &bound) && time_us <= bound;
}
#endif
