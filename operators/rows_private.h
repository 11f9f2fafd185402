/* operators/rows_private.h -- small things about rows that several operators need. */
#ifndef LEAT_OPERATORS_ROWS_PRIVATE_H
#define LEAT_OPERATORS_ROWS_PRIVATE_H
#include "base/alloc.h"
#include "base/error.h"
#include "topology/operator.h"

/* Batches that one call gives to outputs before it returns LEAT_MORE. */
#define LEAT_OP_BATCHES_PER_CALL 4u

/* Rows from .. from+count-1 of `batch` as a batch on the caller's stack. It shows the memory and owns
 * nothing: it is never released, emitted, allocated from, or kept beyond the call. Its columns may be written
 * where the batch's may. */
static inline struct leat_batch leat__rows_view(const struct leat_batch *batch, uint32_t from, uint32_t count)
{
    struct leat_batch view = *batch;
    view.rows += (size_t)from * batch->stride;
    view.event_us += from;
    view.key_hash += from;
    view.keep += from;
    if (view.change)
        view.change += from;
    view.count = view.capacity = count;
    view.refs = 1;
    view.parent = view.next = NULL;
    view.arena_at = view.arena_end = NULL;
    return view;
}

/* Whether an error of an expression is about a row (and so a matter of the node's policy) and not about the
 * machine. */
static inline bool leat__rows_are_to_blame(int code)
{
    return code == LEAT_EOVERFLOW || code == LEAT_EDATA || code == LEAT_ELIMIT;
}

/* A new batch with copies of rows[0 .. count-1] of `batch`, whose buffers it shares; marks are kept. Fails
 * the job when out of memory. */
LEAT_NODISCARD int leat__rows_gather(struct leat__ctx *ctx, const struct leat_batch *batch,
    const uint32_t *rows, uint32_t count, struct leat_batch **gathered);

/* leat__batch_get and leat__batch_writable that say what is wrong. */
LEAT_NODISCARD int leat__rows_get(
    struct leat__ctx *ctx, const struct leat_type *type, struct leat_batch **batch);
LEAT_NODISCARD int leat__rows_writable(
    struct leat__ctx *ctx, struct leat_batch *batch, struct leat_batch **writable);
/* Makes *rows an array of at least `count` row numbers; what was in it is lost. Grows only. */
LEAT_NODISCARD int leat__rows_reserve(
    struct leat__ctx *ctx, uint32_t **rows, uint32_t *capacity, uint32_t count);
int leat__rows_nomem(struct leat__ctx *ctx, const char *what);

/* Keys of all rows (leat__key_eval). Rows for which an expression of the key fails meet the node's policy: the others
 * are in *batch then, which may be a copy, or NULL when none is left. The caller's batch also after errors. */
LEAT_NODISCARD int leat__rows_keys(struct leat__ctx *ctx, const struct leat_key *key,
    struct leat_key_scratch *scratch, struct leat_batch **batch, const struct leat_sv **keys);
/* The same where every subtask has these rows: the first one speaks for all. */
LEAT_NODISCARD int leat__rows_keys_broadcast(struct leat__ctx *ctx, const struct leat_key *key,
    struct leat_key_scratch *scratch, struct leat_batch **batch, const struct leat_sv **keys);
/* Refuses the rows that leat__key_eval has found bad, between leat__ctx_begin and _end. */
void leat__rows_refuse_keys(struct leat__ctx *ctx, const struct leat_key *key,
    struct leat_key_scratch *scratch, const struct leat_batch *batch, const struct leat_sv *keys);

/* One row out for one row in (map, project). The output's rows may be larger than the input's, so that
 * several batches come of one: a call makes LEAT_OP_BATCHES_PER_CALL of them. `make` fills `out`, whose
 * zeroed rows belong one to one to those of `in`, and applies the policy; `out` shares the memory of `in` and
 * has its times, marks and changes. */
struct leat__one_to_one {
    int (*make)(
        struct leat_op *op, struct leat__ctx *ctx, const struct leat_batch *in, struct leat_batch *out);
    struct leat_batch *in; /* NULL between batches */
    uint32_t at;
};
/* Takes the batch. The same results as on_batch and step. */
int leat__one_to_one_batch(
    struct leat__one_to_one *o, struct leat_op *op, struct leat__ctx *ctx, struct leat_batch *batch);
int leat__one_to_one_step(struct leat__one_to_one *o, struct leat_op *op, struct leat__ctx *ctx);
void leat__one_to_one_release(struct leat__one_to_one *o);
#endif
