/* operators/table_join_private.h -- the parts of a join of a stream with a table.
 *
 *   table_join_declare.c    options to a spec, every mistake told
 *   table_join.c            the operator: stream rows that are due, and what comes next
 *   table_join_versions.c   what the table says of a key at a time, and forgetting what nobody can ask for
 *   table_join_waiting.c    stream rows that wait for the table's watermark
 *   table_join_saved.c      a broadcast table in a checkpoint */
#ifndef LEAT_OPERATORS_TABLE_JOIN_PRIVATE_H
#define LEAT_OPERATORS_TABLE_JOIN_PRIVATE_H
#include "operators/held_private.h"
#include "operators/join_private.h"
#include "operators/window_private.h"
#include "state/state.h"
#include <leat/table.h>

#define LEAT__TABLE_JOIN_CHUNK 256u /* rows that are looked up together */
#define LEAT__WAITING_LEVELS 10u

struct leat__table_join_spec {
    struct leat__join_spec join;
    bool by_arrival;
    bool timed; /* the table has versions: as of event time, and it has event time */
    bool takes_changes; /* the table is one of changes; else each row replaces the one before */
    bool broadcast;
    int64_t retention_us;
};

/* A row of the table while it was, or is, in it: [from, until). */
struct leat__span {
    int64_t from_us, until_us; /* LEAT_TIME_MAX: it is there */
    const void *record;
    uint32_t came, left; /* index in the list; UINT32_MAX: it has not left */
};

struct leat__table_join {
    struct leat_op op;
    const struct leat__table_join_spec *spec;
    struct leat_state *own_state; /* broadcast: of the table, in memory; else NULL */
    struct leat_table *versions, *replaced, *waiting[LEAT__WAITING_LEVELS];
    struct leat_key_scratch *key_scratch;
    struct leat__join_output *output;
    struct leat_copier *copier; /* of stream rows that wait */

    /* The batch that came last, until it is in work. */
    struct leat_batch *in;
    uint32_t side;
    /* Of the batch in work: `in`, or `due`. */
    const struct leat_sv *keys;
    const uint64_t *hashes;
    uint64_t *own_hashes; /* where the edge sets none */
    uint32_t *picks, *spare;
    uint32_t picks_capacity, spare_capacity, hashes_capacity;

    /* Stream rows that are joined now: rows picks[at .. due_count - 1] of `due`. */
    struct leat_batch *due;
    uint32_t due_count, at;
    const struct leat_list_row *lists[LEAT__TABLE_JOIN_CHUNK];
    const void *left[LEAT__TABLE_JOIN_CHUNK], *right[LEAT__TABLE_JOIN_CHUNK];
    uint8_t ok[LEAT__TABLE_JOIN_CHUNK];

    /* Spans of one list. */
    struct leat__span *spans;
    uint32_t spans_count, spans_capacity;
    bool spans_sorted; /* by from_us */
    const struct leat_list_row *spans_of; /* NULL: of none */

    /* Rows of the table on their way in. */
    int64_t *times;
    uint8_t *flags;
    uint32_t times_capacity;
    uint32_t *late;
    uint32_t late_capacity, late_count;

    /* Forgetting versions. */
    bool is_collecting;
    int64_t horizon_us;
    struct leat_cursor *collect_cursor;
    int64_t collect_bucket;
    uint32_t keys_seen; /* in this call */
    struct leat_strbuf bytes;
    uint8_t *dead;
    uint32_t dead_capacity;

    /* Firing what waits. */
    bool is_firing;
    bool part_done; /* the narrowest part that fired_us is in was looked through */
    int64_t fired_us; /* all that waits is later */
    struct leat_cursor *fire_cursor;
    uint32_t fire_level;
    int64_t fire_ns;
    struct leat__held held; /* rows that wait, while none is in the tables; in the order of time */
    struct leat_batch *ready_first, *ready_last; /* linked by next: to become `due`, in order */
    struct leat_batch *early_first, *early_last; /* not due, of a namespace that has others that are */
    uint32_t early_count;
    const struct leat_list_row **rows; /* of one key */
    uint32_t rows_capacity;
    bool has_rest; /* of the key in `rest`, rest_at rows are done */
    struct leat_strbuf rest;
    uint64_t rest_hash;
    uint32_t rest_at;

    struct leat_encoder *encoder; /* broadcast */
    struct leat_decoder *decoder;
};

/* Whether this instance speaks for the table: a broadcast one is told to all, and counted by one. */
static inline bool leat__table_join_speaks(const struct leat__table_join *j, const struct leat__ctx *ctx)
{
    return !j->spec->broadcast || ctx->subtask == 0;
}
/* Keys and hashes of a batch of that side; as leat__rows_keys, *batch is NULL when no row is left. */
LEAT_NODISCARD int leat__table_join_keys(
    struct leat__table_join *j, struct leat__ctx *ctx, uint32_t side, struct leat_batch **batch);
LEAT_NODISCARD int leat__table_join_reserve(void **memory, uint32_t *capacity, uint32_t count, size_t size);

/* ---- table_join_versions.c ---- */
LEAT_NODISCARD int leat__versions_open(struct leat__table_join *j, struct leat__ctx *ctx);
void leat__versions_close(struct leat__table_join *j);
/* All of j->in, a batch of the table's; picks: the rows with a key. Not for those that are behind others of
 * the batch: its work is bounded by the batch. */
LEAT_NODISCARD int leat__versions_apply(struct leat__table_join *j, struct leat__ctx *ctx);
/* Room in times and flags for so many rows. */
LEAT_NODISCARD int leat__versions_reserve(struct leat__table_join *j, struct leat__ctx *ctx, uint32_t count);
/* Appends rows as they are, with times[row] and flags[row]: keys and hashes are the batch's. */
LEAT_NODISCARD int leat__versions_append(struct leat__table_join *j, struct leat__ctx *ctx,
    const struct leat_batch *batch, const uint32_t *rows, uint32_t count);
/* What the table says at that time, of the list of a key: *record, or NULL. */
LEAT_NODISCARD int leat__versions_at(struct leat__table_join *j, struct leat__ctx *ctx,
    const struct leat_list_row *list, int64_t time_us, const void **record);
/* Forgets what no stream row to come can ask for. */
LEAT_NODISCARD int leat__versions_collect(struct leat__table_join *j, struct leat__ctx *ctx);

/* ---- table_join_waiting.c ---- */
LEAT_NODISCARD int leat__waiting_open(struct leat__table_join *j, struct leat__ctx *ctx);
void leat__waiting_close(struct leat__table_join *j);
uint64_t leat__waiting_keys_count(const struct leat__table_join *j);
/* Rows of the batch in work, all later than fired_us. */
LEAT_NODISCARD int leat__waiting_add(
    struct leat__table_join *j, struct leat__ctx *ctx, const uint32_t *rows, uint32_t count);
/* At a barrier: what is held goes to the tables. j->keys are those of other batches then. */
LEAT_NODISCARD int leat__waiting_save(struct leat__table_join *j, struct leat__ctx *ctx);
/* Makes the next rows that are due up to fired_us j->due, or says that there are none: is_firing. */
LEAT_NODISCARD int leat__waiting_fire(struct leat__table_join *j, struct leat__ctx *ctx);

/* ---- table_join_saved.c ---- */
int leat__table_join_snapshot(struct leat_op *op, struct leat__ctx *ctx, struct leat_strbuf *out);
int leat__table_join_restore(
    struct leat_op *op, struct leat__ctx *ctx, const struct leat_sv *parts, uint32_t count);

extern const struct leat_op_class leat__table_join_class;
#endif
