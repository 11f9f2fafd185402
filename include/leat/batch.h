/* include/leat/batch.h -- a batch: a run of records of one type, as callbacks see it.
 *
 * Rows are fixed-stride structs beside a column of event times. The views in the rows (strings, arrays)
 * point into reference-counted buffers that live as long as the batch. A batch has one owner at a time.
 * The first fields are part of the ABI of the LEAT_DEFINE_* macros; the rest is the engine's. */
#ifndef LEAT_BATCH_H
#define LEAT_BATCH_H
#include <leat/type.h>

struct leat_buffer;
struct leat_pool;

struct leat_batch {
    uint32_t count; /* rows */
    uint32_t stride; /* bytes from row to row */
    unsigned char *rows;
    int64_t *event_us; /* event time of each row */
    uint64_t *key_hash; /* hash of each row's key; meaningful only behind a keyed edge */
    uint8_t *keep; /* one byte a row, written by leat_batch_select */

    /* The engine's own from here on (record/batch.h explains). */
    const struct leat_type *type;
    uint32_t capacity; /* rows that fit */
    uint32_t late; /* 1: every row is behind late_wm_us, see record/batch.h */
    int64_t late_wm_us;
    struct leat_buffer **buffers; /* referenced: the rows may point into them */
    uint32_t buffers_count;
    uint32_t buffers_capacity;
    char *arena_at; /* free bytes of the last own buffer */
    char *arena_end;
    size_t arena_bytes; /* of own buffers so far */
    struct leat_pool *home;
    struct leat_batch *next; /* in a free list or a queue */
    struct leat_batch *parent; /* of a slice: owns the memory that the slice shows */
    uint32_t refs; /* atomic */
    uint8_t *change; /* enum leat_change of each row; NULL: all are inserts */
};

static inline void *leat_batch_at(const struct leat_batch *batch, uint32_t i)
{
    return batch->rows + (size_t)i * batch->stride;
}

/* Marks row i as kept or dropped; used by filters, which must mark every row. */
static inline void leat_batch_select(struct leat_batch *batch, uint32_t i, bool keep)
{
    batch->keep[i] = keep;
}
#endif
