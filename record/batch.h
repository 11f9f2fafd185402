/* record/batch.h -- making, sharing and recycling batches; include/leat/batch.h has the struct.
 *
 * Memory. A batch owns `capacity` rows and columns. What its rows point to lives in *buffers*
 * (reference-counted blocks, with LEAT_BUFFER_SLACK_BYTES readable bytes behind the end): a file block or a
 * message that rows were decoded from, or buffers that the batch allocated itself (its arena). A batch holds
 * references, so a derived batch (map, projection, slice) keeps alive what it points to by taking the same
 * references: no string is copied. Rows that outlive their batch are copied with record/copy.h.
 *
 * Pools. Each worker has one pool; get and the batch-making calls belong to that worker's thread. A batch or
 * buffer may be released by any thread: it goes back to its home pool through an atomic stack. In the steady
 * state nothing is allocated. A pool may be released before its last batch: the last release frees it.
 *
 * Lateness. The source host never mixes late rows with others: in a batch with `late` set every row is behind
 * `late_wm_us`, the watermark of the rows' split where they were read; otherwise none is and late_wm_us is
 * LEAT_TIME_MIN. Slices, derived batches and exchanges keep the mark. (docs/decisions/0002)
 *
 * Changes. Rows of a stream of changes (leat/change.h) say what they do in the column `change`. Its memory is
 * always there, it is shown only when some row is no insert: streams of plain records pay nothing, and whoever
 * looks at a stream of changes asks leat__batch_change. Slices, copies and compaction keep it.
 *
 * Invariants: (1) count <= capacity; (2) one owner at a time; refs > 1 only while slices or a fan-out share
 * the memory, and then the rows are read-only: leat__batch_writable first; (3) columns keep and key_hash
 * always have capacity entries; (4) the bytes between fields of a row are zero (rows are zeroed when handed
 * out by leat__batch_rows). */
#ifndef LEAT_RECORD_BATCH_H
#define LEAT_RECORD_BATCH_H
#include "base/assert.h"
#include "base/error.h"
#include "base/limits.h"
#include <leat/batch.h>

struct leat_buffer {
    uint32_t refs; /* atomic */
    uint32_t flags;
    struct leat_pool *home; /* NULL: freed when the last reference goes */
    struct leat_buffer *next;
    size_t capacity; /* of data, slack excluded */
    char *data;
};

/* A pool with batches of `batch_rows` rows at most (fewer where rows are large: LEAT_BATCH_BYTES_MAX). */
LEAT_NODISCARD int leat__pool_new(uint32_t batch_rows, struct leat_pool **pool);
void leat__pool_free(struct leat_pool *pool);
/* Rows of `type` that a batch of this pool takes. */
uint32_t leat__pool_batch_rows(const struct leat_pool *pool, const struct leat_type *type);
/* Batches and buffers made so far (not recycled ones): the steady state leaves it alone. */
uint64_t leat__pool_made_count(const struct leat_pool *pool);

/* An empty batch with refs 1. LEAT_ENOMEM or 0. */
LEAT_NODISCARD int leat__batch_get(
    struct leat_pool *pool, const struct leat_type *type, struct leat_batch **batch);
void leat__batch_release(struct leat_batch *batch); /* gives up one reference; NULL is fine */
void leat__batch_ref(struct leat_batch *batch);

/* Room for one more row: the zeroed row with index count, count grows by one. The caller checked room.
 * event_us[count] and key_hash[count] are the caller's to set. */
static inline void *leat__batch_push(struct leat_batch *batch)
{
    void *row = leat_batch_at(batch, batch->count++);
    return memset(row, 0, batch->stride);
}
/* Whether no row should be added: no room, or what the rows point to has become so large that the batch must
 * go on (hostile data can blow up a few bytes to LEAT_RECORD_BYTES_MAX, for every row). */
static inline bool leat__batch_is_full(const struct leat_batch *batch)
{
    return batch->count >= batch->capacity ||
        (batch->count > 0 && batch->arena_bytes > LEAT_RECORD_BYTES_MAX);
}
/* Zeroes rows 0 .. n-1 and sets count = n. */
void leat__batch_rows(struct leat_batch *batch, uint32_t n);

/* `size` bytes that live as long as the batch (and whoever shares its buffers), aligned to `align`
 * (a power of two <= 16), with 16 writable slack bytes behind. NULL when out of memory. */
void *leat__batch_alloc_slow(struct leat_batch *batch, size_t size);
static inline void *leat__batch_alloc(struct leat_batch *batch, size_t size, size_t align)
{
    LEAT_ASSERT(align && align <= 16 && (align & (align - 1)) == 0);
    const uintptr_t at = ((uintptr_t)batch->arena_at + align - 1) & ~(uintptr_t)(align - 1);
    const uintptr_t end = (uintptr_t)batch->arena_end;
    if (batch->arena_at && at <= end && size <= end - at) {
        char *p = batch->arena_at + (at - (uintptr_t)batch->arena_at);
        batch->arena_at = p + size;
        return p;
    }
    return leat__batch_alloc_slow(batch, size); /* a new buffer: aligned to anything */
}
/* The batch takes a reference to the buffer. */
LEAT_NODISCARD int leat__batch_add_buffer(struct leat_batch *batch, struct leat_buffer *buffer);
/* `to` takes references to all that `from` points to: rows of `to` may then hold views of `from`'s rows. */
LEAT_NODISCARD int leat__batch_share(struct leat_batch *to, const struct leat_batch *from);
/* Copies lateness mark from -> to (for derived batches). */
static inline void leat__batch_copy_marks(struct leat_batch *to, const struct leat_batch *from)
{
    to->late = from->late;
    to->late_wm_us = from->late_wm_us;
}

/* What row i does: an enum leat_change. */
static inline uint8_t leat__batch_change(const struct leat_batch *batch, uint32_t i)
{
    return batch->change ? batch->change[i] : 0;
}
/* Shows the column of changes, all inserts so far, of a batch that is no slice and shared by nobody. */
void leat__batch_show_changes(struct leat_batch *batch);
/* Sets what row i does: of each new row of a batch that may have changes. */
static inline void leat__batch_set_change(struct leat_batch *batch, uint32_t i, uint8_t change)
{
    if (!batch->change) {
        if (change == 0)
            return;
        leat__batch_show_changes(batch);
    }
    batch->change[i] = change;
}
/* Rows first .. first+count-1 of `to` do what rows from .. from+count-1 of `from` do. */
void leat__batch_copy_changes(
    struct leat_batch *to, uint32_t first, const struct leat_batch *from, uint32_t at, uint32_t count);

/* Moves the kept rows (batch->keep) and their columns together, in order; count shrinks. */
void leat__batch_compact(struct leat_batch *batch);
/* A batch of rows from .. from+count-1 of `batch` that shares its memory and takes one reference to it. */
LEAT_NODISCARD int leat__batch_slice(struct leat_pool *pool, struct leat_batch *batch, uint32_t from,
    uint32_t count, struct leat_batch **slice);
/* Takes `batch`, gives one whose rows may be changed: itself when nobody shares it, else a copy of the
 * rows (views shared). On failure `batch` is released. */
LEAT_NODISCARD int leat__batch_writable(
    struct leat_pool *pool, struct leat_batch *batch, struct leat_batch **writable);

/* A buffer with refs 1 and at least `capacity` bytes, from the pool's free list where one fits. `pool` may be
 * NULL: the buffer is then freed with its last reference. */
LEAT_NODISCARD int leat__buffer_get(struct leat_pool *pool, size_t capacity, struct leat_buffer **buffer);
void leat__buffer_ref(struct leat_buffer *buffer);
void leat__buffer_release(struct leat_buffer *buffer);
#endif
