/* operators/aggregate_run_private.h -- what every operator with aggregates does: a batch to keys and columns,
 * rows into accumulators, accumulators to rows of output. When a row goes where, and when there is a result,
 * is the operator's.
 *
 *   on_batch   leat__run_begin, leat__run_prepare            run->batch, run->keys; NULL: no row is left
 *              leat__run_late                                rows that no window takes
 *              leat__run_add                                 rows of run->batch into values
 *              leat__run_give ... leat__run_is_spent          results; then LEAT_MORE, and step goes on
 *              leat__run_end_batch
 *
 * Ownership: the run owns the batch between prepare and end_batch, and the batch of output until it is full or
 * leat__run_flush. One run per instance. */
#ifndef LEAT_OPERATORS_AGGREGATE_RUN_PRIVATE_H
#define LEAT_OPERATORS_AGGREGATE_RUN_PRIVATE_H
#include "operators/pre_aggregate_private.h"
#include <leat/change.h>

/* Rows that are added at a time: few enough to keep their slots in the first-level cache. */
#define LEAT__RUN_CHUNK 256u
/* Keys that are looked at before a call ends, whether they give rows or not. */
#define LEAT__RUN_KEYS_PER_CALL 1024u
/* Items that are taken from a cursor at a time, at most. */
#define LEAT__RUN_ITEMS 64u

struct leat__run {
    const struct leat__aggregate_spec *spec;
    struct leat_key_scratch *key_scratch;
    struct leat__column_scratch *column_scratches;
    struct leat__column_view *views; /* of the batch, by column */
    bool careful; /* callbacks may refuse single rows: they go in one by one */
    unsigned char *saved; /* careful: the accumulators before the row */
    void *pointers[LEAT__RUN_CHUNK];

    struct leat_batch *batch; /* that is being worked on; NULL between batches */
    const struct leat_sv *keys; /* of its rows; hashes are in batch->key_hash */
    bool takes_partials; /* the batch has partials (pre_aggregate_private.h), not records */
    struct leat_sv *partial_keys;
    uint32_t partial_keys_capacity;
    unsigned char *partial; /* the values of one, where they must be decoded */
    struct leat_arena partial_memory;
    uint32_t *kept; /* rows that callbacks have not refused, while preparing */
    uint32_t kept_capacity;

    struct leat_batch *out;
    /* While a watermark is worked on: the one that others have been told, by which a pane is late or not. */
    bool in_watermark;
    int64_t forwarded_us;
    bool any_late; /* panes of every kind may be behind what others have been told: windows without a clock */
    uint32_t items_max; /* keys to take from a cursor at a time */
    uint32_t batches_given; /* in this call */
    uint32_t keys_seen; /* counted by the operator */
};

LEAT_NODISCARD int leat__run_init(
    struct leat__run *run, struct leat__ctx *ctx, const struct leat__aggregate_spec *spec);
void leat__run_release(struct leat__run *run);

/* At the start of on_batch, on_watermark, on_time and step. */
static inline void leat__run_begin(struct leat__run *run)
{
    run->batches_given = run->keys_seen = 0;
}
/* Whether this call has done enough. */
static inline bool leat__run_is_spent(const struct leat__run *run)
{
    return run->batches_given >= LEAT_OP_BATCHES_PER_CALL || run->keys_seen >= LEAT__RUN_KEYS_PER_CALL;
}

/* Takes the batch; evaluates keys and columns of all rows. Rows that can not be had are refused: the rest is
 * run->batch, NULL if there is none. */
LEAT_NODISCARD int leat__run_prepare(struct leat__run *run, struct leat__ctx *ctx, struct leat_batch *batch);
/* Releases the batch and flushes the output. */
LEAT_NODISCARD int leat__run_end_batch(struct leat__run *run, struct leat__ctx *ctx);

/* How many records row r of the batch stands for. */
static inline uint64_t leat__run_records(const struct leat__run *run, uint32_t r)
{
    return run->takes_partials ? (uint64_t)leat__partial_at(run->batch, r)->count : 1;
}

/* Adds up to LEAT__RUN_CHUNK rows of the batch to values[i] (present words; heads are the operator's), whose
 * strings are in (table, ns). How many were not refused: these come first in rows and values then. */
LEAT_NODISCARD int64_t leat__run_add(struct leat__run *run, struct leat__ctx *ctx, struct leat_table *table,
    int64_t ns, uint32_t *rows, unsigned char **values, uint32_t count);

/* Rule 19: rows of the batch that no window took: counted once, and given to whoever takes them. */
LEAT_NODISCARD int leat__run_late(
    struct leat__run *run, struct leat__ctx *ctx, const uint32_t *rows, uint32_t count);

/* Gives a row of output for `pane` from `values`, at event time pane->window.end - 1. A late one goes into a
 * batch with that mark. 1 when it was given, 0 when a callback has refused it. */
LEAT_NODISCARD int leat__run_give_change(struct leat__run *run, struct leat__ctx *ctx,
    const struct leat__pane *pane, uint64_t hash, const unsigned char *values, enum leat_change change);
static inline LEAT_NODISCARD int leat__run_give(struct leat__run *run, struct leat__ctx *ctx,
    const struct leat__pane *pane, uint64_t hash, const unsigned char *values)
{
    return leat__run_give_change(run, ctx, pane, hash, values, LEAT_INSERT);
}
/* Gives the pair: the pane that was given before, from its values, is replaced. 0: a callback has refused the new
 * one, and the old one stands. */
LEAT_NODISCARD int leat__run_replace(struct leat__run *run, struct leat__ctx *ctx,
    const struct leat__pane *old_pane, const unsigned char *old_values, const struct leat__pane *pane,
    uint64_t hash, const unsigned char *values);
/* The same of panes that are records (aggregate_run_rows.c). */
LEAT_NODISCARD int leat__run_give_rows(struct leat__run *run, struct leat__ctx *ctx,
    const struct leat__pane *pane, uint64_t hash, const unsigned char *values, enum leat_change change);
LEAT_NODISCARD int leat__run_replace_rows(struct leat__run *run, struct leat__ctx *ctx,
    const struct leat__pane *old_pane, const unsigned char *old_values, const struct leat__pane *pane,
    uint64_t hash, const unsigned char *values);
/* A batch of output with room for so many rows (or empty), for late panes or for others; what a pane's rows are. */
LEAT_NODISCARD int leat__run_open(struct leat__run *run, struct leat__ctx *ctx, bool late, uint32_t rows);
int64_t leat__run_pane_us(const struct leat__run *run, const struct leat__pane *pane);
bool leat__run_is_late(
    const struct leat__run *run, const struct leat__ctx *ctx, const struct leat__pane *pane);
LEAT_NODISCARD int leat__run_flush(struct leat__run *run, struct leat__ctx *ctx);

/* Tells leat_node_metrics.state_keys. */
static inline void leat__run_count_keys(struct leat__ctx *ctx, const struct leat_table *table)
{
    __atomic_store_n(&ctx->counters->state_keys, leat__table_keys_count_all(table), __ATOMIC_RELAXED);
}
#endif
