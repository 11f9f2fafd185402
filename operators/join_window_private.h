/* operators/join_window_private.h -- pairs of records of two streams in the same window.
 *
 *   join_window_declare.c   options to a spec
 *   join_window_pairs.c     all pairs of some keys, and the records that have none: in steps, over parts of tables
 *   join_window.c           aligned windows: the operator; rows into slices; late ones
 *   join_window_fire.c      aligned windows: watermarks, and what goes
 *   join_window_session.c   sessions of the records of both sides
 *
 * State of aligned windows, lists of rows by key:
 *   left, right              namespace: start of the slice (window_private.h). A row is there once, however many
 *                            windows hold it
 *   left apart, right apart  namespace: leat__window_ns. Rows that have missed some of their windows, which have not
 *                            gone: in each of the others
 *   keys                     (windows of several slices) namespace 0: the keys of the window that fires; empty between
 *                            calls else */
#ifndef LEAT_OPERATORS_JOIN_WINDOW_PRIVATE_H
#define LEAT_OPERATORS_JOIN_WINDOW_PRIVATE_H
#include "operators/join_private.h"
#include "operators/window_private.h"
#include "record/copy.h"
#include "record/expr.h"
#include "state/state.h"

#define LEAT__PAIRING_KEYS 256u /* keys that are worked on together */
#define LEAT__PAIRING_PIECE 1024u /* rows of the other side that are looked at together */
#define LEAT__PAIRING_CHECKS 1024u /* pairs that are judged together */
#define LEAT__PAIRING_SCANNED 65536u /* pairs that one call looks at */

struct leat__window_join_spec {
    struct leat__join_spec join;
    struct leat_window_opts window; /* checked */
    const struct leat__assigner *assigner; /* NULL: sessions */
    const char *format; /* of the tables */
};

/* ---- pairs (join_window_pairs.c) ---- */

/* Where rows of a side are. */
struct leat__pairing_part {
    struct leat_table *table;
    int64_t ns;
};
struct leat__pairing_parts {
    struct leat__pairing_part *list;
    uint32_t count, capacity;
};
LEAT_NODISCARD int leat__pairing_add_part(
    struct leat__ctx *ctx, struct leat__pairing_parts *parts, struct leat_table *table, int64_t ns);

enum leat__pairing_phase { LEAT__PAIRING_LOAD, LEAT__PAIRING_MEET, LEAT__PAIRING_LONE, LEAT__PAIRING_DONE };

/* All pairs of some keys. Rows of one side, up to a batch of them, are copied to a block; then each part of the
 * other side is gone through, a piece of a list at a time, and every row of the piece meets every row of the block
 * that has its key. Nothing of that points into state between calls, and a place in a long list is looked for once
 * for very many pairs. Where a cursor keeps the rows of the block in their place they are not copied. */
struct leat__pairing {
    const struct leat__join_spec *spec;
    struct leat__join_output *output;
    struct leat_copier *copiers[LEAT__SIDES];
    bool judges; /* there is a condition */
    uint32_t block_max;

    /* What is to be done, set by the caller. */
    uint32_t side; /* that the block is of */
    bool gives_pairs, gives_lone;
    const struct leat__pairing_parts *parts[LEAT__SIDES];
    struct leat__join_pair made; /* times of all pairs; change */
    const struct leat__window *windows; /* by key, with event time at their end; NULL: as `made` says */
    struct leat_sv keys[LEAT__PAIRING_KEYS]; /* they show `key_bytes` */
    uint64_t hashes[LEAT__PAIRING_KEYS];
    uint32_t keys_count;
    struct leat_strbuf key_bytes;
    bool is_pinned; /* a cursor of the caller's keeps keys and rows of `side` where they are: */
    const struct leat_list_row *own_lists[LEAT__PAIRING_KEYS];

    enum leat__pairing_phase phase;
    /* LOAD: the next row. */
    uint32_t load_part, load_key;
    uint64_t load_at;
    const struct leat_list_row *load_next; /* with is_pinned, the row at load_at > 0 */
    bool loaded; /* there is nothing more */
    struct leat_batch *block; /* copies; NULL with is_pinned */
    const void **block_rows; /* the block, in it or in state, */
    uint32_t block_count;
    uint16_t *block_keys; /* and their keys */
    uint8_t *matched;
    uint32_t *order; /* rows by key */
    uint32_t starts[LEAT__PAIRING_KEYS + 1]; /* in `order` */

    /* MEET: the place. */
    uint32_t part, key, row,
        at; /* part of the other side, key, row of the block (in `order`), row of the piece */
    uint64_t from; /* where the piece begins in the list of the key */
    bool in_key; /* the place is in a key, in a piece of its list */
    bool has_lists; /* those below are of the part, from `key` on, and stand */
    const struct leat_list_row *lists[LEAT__PAIRING_KEYS];
    const struct leat_list_row *after; /* the piece, in the list; with has_lists */
    bool piece_stands; /* `piece` can be read */
    bool piece_is_last;
    const void *piece[LEAT__PAIRING_PIECE];
    uint32_t piece_count;
    struct leat_batch *piece_copy; /* of a long list: what `piece` shows; NULL: none */

    /* Pairs that wait to be judged. */
    const void *check[LEAT__SIDES][LEAT__PAIRING_CHECKS];
    uint32_t check_rows[LEAT__PAIRING_CHECKS];
    uint8_t check_ok[LEAT__PAIRING_CHECKS];
    uint32_t checks, checks_max; /* of one batch of results at most */

    uint32_t scanned; /* in this call */
};
LEAT_NODISCARD int leat__pairing_init(
    struct leat__pairing *p, struct leat__ctx *ctx, const struct leat__join_spec *spec);
void leat__pairing_release(struct leat__pairing *p);
/* A call of the operator begins. */
void leat__pairing_begin_call(struct leat__pairing *p);
/* The call has done enough. */
static inline bool leat__pairing_is_spent(const struct leat__pairing *p)
{
    return p->scanned >= LEAT__PAIRING_SCANNED || p->output->given >= LEAT_OP_BATCHES_PER_CALL;
}
/* Forgets the keys; then adds one, copying it. */
void leat__pairing_begin_keys(struct leat__pairing *p);
LEAT_NODISCARD int leat__pairing_add_key(
    struct leat__pairing *p, struct leat__ctx *ctx, struct leat_sv key, uint64_t hash);
/* Instead of both: items of a cursor that pins them, over the only part of `side`. It stays open until all is done. */
void leat__pairing_pin_keys(struct leat__pairing *p, const struct leat_cursor_item *items, uint32_t count);
/* After the keys: the rows of `side` are those in the parts; or the one row. */
void leat__pairing_begin(struct leat__pairing *p);
LEAT_NODISCARD int leat__pairing_begin_row(
    struct leat__pairing *p, struct leat__ctx *ctx, const struct leat_batch *batch, uint32_t row);
/* LEAT_MORE: the call has done enough. */
LEAT_NODISCARD int leat__pairing_run(struct leat__pairing *p, struct leat__ctx *ctx);

/* ---- what both operators have ---- */

static inline bool leat__window_join_keeps_null(const struct leat__window_join_spec *spec, uint32_t side)
{
    return leat__join_keeps(&spec->join, side);
}
/* Rows that no window took: counted, and to the late output. */
LEAT_NODISCARD int leat__window_join_late(struct leat__ctx *ctx, const struct leat_batch *in, uint32_t side,
    const uint32_t *rows, uint32_t count, int64_t w);
LEAT_NODISCARD int leat__window_join_table(struct leat__ctx *ctx, const struct leat__window_join_spec *spec,
    uint32_t side, const char *name, struct leat_table **table);

/* ---- aligned windows ---- */

enum leat__window_join_phase {
    LEAT__WINDOW_JOIN_IDLE,
    LEAT__WINDOW_JOIN_NEXT, /* finds a window */
    LEAT__WINDOW_JOIN_KEYS, /* gathers the keys of its slices */
    LEAT__WINDOW_JOIN_PAIRS,
    LEAT__WINDOW_JOIN_DROP, /* what no window needs */
};

struct leat__window_join {
    struct leat_op op;
    const struct leat__window_join_spec *spec;
    const struct leat__assigner *assigner;
    struct leat__pairing pairing;
    struct leat_table *slices[LEAT__SIDES], *apart[LEAT__SIDES], *keys; /* apart, keys: NULL where no use */
    struct leat_key_scratch *key_scratch;

    /* The batch in work. */
    struct leat_batch *in; /* NULL between batches */
    uint32_t side;
    int64_t late_wm_us;
    const struct leat_sv *in_keys;
    uint32_t *plain, *sorted, *slow, *late; /* rows */
    uint16_t *plain_slice;
    uint32_t rows_capacity, slow_count, slow_at, late_count;
    bool slow_begun; /* the row at slow_at is in state */
    struct leat__window slow_window; /* its next one */
    bool slow_pairing; /* its pairs in slow_window are being made */

    /* The watermark in work. */
    enum leat__window_join_phase phase;
    int64_t watermark_us, fired_us;
    struct leat__window window; /* that fires; before that: the first that may */
    struct leat__pairing_parts parts[LEAT__SIDES];
    uint32_t pass; /* 0, and for FULL 1: rows of the right side without partners */
    uint32_t keys_part; /* KEYS */
    struct leat_cursor *cursor;
    bool in_keys_chunk; /* pairing goes on with the keys it has */
};

static inline bool leat__window_join_is_over(
    const struct leat__window_join *j, const struct leat__window *window, int64_t w)
{
    const int64_t lateness_us = j->spec->window.allowed_lateness_us;
    if (lateness_us == LEAT_NEVER)
        return w == LEAT_TIME_MAX;
    return leat__time_passed(leat__time_add(window->end - 1, lateness_us), w);
}
/* The places of a window's rows. */
LEAT_NODISCARD int leat__window_join_find_parts(
    struct leat__window_join *j, struct leat__ctx *ctx, const struct leat__window *window, uint32_t side);
void leat__window_join_begin_watermark(struct leat__window_join *j, int64_t w);
LEAT_NODISCARD int leat__window_join_fire(struct leat__window_join *j, struct leat__ctx *ctx);
void leat__window_join_set_window(struct leat__window_join *j, const struct leat__window *window);

extern const struct leat_op_class leat__window_join_class, leat__session_join_class;
#endif
