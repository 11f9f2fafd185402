/* record/batch.c -- pools, batches and buffers.
 *
 * A pool has two kinds of free lists, each in two halves: one that only the owner touches, by size class, and
 * one stack that any thread pushes onto. The owner takes the whole stack with one exchange when its own half
 * is empty, so there is no ABA problem and no lock:
 *
 *   any thread:  release, refs 1 -> 0   --push-->  returned (atomic stack)
 *   the owner:   get   <--pop--  free[class]  <--exchange--  returned
 *
 * A batch is a header and one block of memory (rows, event_us, key_hash, keep, changes); a slice is a header alone
 * that shows memory of its parent. Header and block stay together when they are recycled.
 *
 * Invariants: (1) pool->refs = 1 for the owner + one for each batch and buffer that is out; whoever takes it
 * to 0 frees the pool and all that lies in its lists, which is then everything; (2) a released object is
 * pushed before its reference to the pool goes; (3) a parent is never a slice itself. */
#include "record/batch.h"
#include "base/alloc.h"
#include "base/assert.h"

#define ROWS_BYTES_MIN 4096u
#define ROWS_CLASSES 7u /* 4 KiB .. 256 KiB */
#define CLASS_SLICE ROWS_CLASSES /* headers without memory */
#define BUFFER_BYTES_MIN 1024u
#define BUFFER_CLASSES 18u /* 1 KiB .. 128 MiB: blocks of LEAT_BLOCK_BYTES_MAX have room */
#define BUFFER_BYTES_MAX ((size_t)BUFFER_BYTES_MIN << (BUFFER_CLASSES - 1))
/* Of buffers above this size a pool keeps only a few: one large file must not stay in memory for ever. */
#define BUFFER_BYTES_LARGE (1024u * 1024u)
#define BUFFERS_LARGE_KEPT 4u
#define SHARE_LOOKBACK 8u
#define ROWS_ALIGN 64u

_Static_assert(
    (ROWS_BYTES_MIN << (ROWS_CLASSES - 1)) == LEAT_BATCH_BYTES_MAX, "classes cover a batch's rows");
_Static_assert(BUFFER_BYTES_MAX >= LEAT_BLOCK_BYTES_MAX, "classes cover a block");
_Static_assert(LEAT_ROW_BYTES_MAX <= LEAT_BATCH_BYTES_MAX, "a batch holds at least one row");

struct pooled_batch {
    struct leat_batch batch; /* first: what everyone else sees */
    uint32_t memory_class;
    unsigned char *memory; /* NULL for slices */
    uint8_t *changes; /* in `memory`: the column that batch.change shows, or does not */
};

struct leat_pool {
    uint32_t batch_rows;
    uint32_t refs; /* atomic, see (1) */
    uint64_t made_count; /* atomic, relaxed: a metric */
    struct leat_batch *batches_free[ROWS_CLASSES + 1];
    struct leat_buffer *buffers_free[BUFFER_CLASSES];
    uint32_t buffers_free_count[BUFFER_CLASSES];
    /* Written by other threads: away from what the owner uses. */
    _Alignas(64) struct leat_batch *batches_returned;
    struct leat_buffer *buffers_returned;
};

int leat__pool_new(uint32_t batch_rows, struct leat_pool **pool)
{
    *pool = NULL;
    if (batch_rows == 0 || batch_rows > LEAT_BATCH_ROWS_MAX)
        return LEAT_EINVAL;
    struct leat_pool *made = leat__aligned_alloc(64, sizeof *made);
    if (!made)
        return LEAT_ENOMEM;
    memset(made, 0, sizeof *made);
    made->batch_rows = batch_rows;
    made->refs = 1;
    *pool = made;
    return 0;
}

static struct pooled_batch *pooled(struct leat_batch *batch)
{
    return (struct pooled_batch *)(void *)batch;
}

static void free_batches(struct leat_batch *batch)
{
    while (batch) {
        struct leat_batch *next = batch->next;
        leat__free(batch->buffers);
        leat__free(pooled(batch)->memory);
        leat__free(batch);
        batch = next;
    }
}

static void free_buffers(struct leat_buffer *buffer)
{
    while (buffer) {
        struct leat_buffer *next = buffer->next;
        leat__free(buffer);
        buffer = next;
    }
}

/* Gives up one reference to the pool. */
static void pool_unref(struct leat_pool *pool)
{
    if (__atomic_sub_fetch(&pool->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    for (uint32_t i = 0; i <= ROWS_CLASSES; i++)
        free_batches(pool->batches_free[i]);
    for (uint32_t i = 0; i < BUFFER_CLASSES; i++)
        free_buffers(pool->buffers_free[i]);
    free_batches(__atomic_load_n(&pool->batches_returned, __ATOMIC_ACQUIRE));
    free_buffers(__atomic_load_n(&pool->buffers_returned, __ATOMIC_ACQUIRE));
    leat__free(pool);
}

static void pool_ref(struct leat_pool *pool)
{
    __atomic_add_fetch(&pool->refs, 1, __ATOMIC_RELAXED);
}

void leat__pool_free(struct leat_pool *pool)
{
    if (pool)
        pool_unref(pool);
}

uint32_t leat__pool_batch_rows(const struct leat_pool *pool, const struct leat_type *type)
{
    const uint32_t fit = type->size ? LEAT_BATCH_BYTES_MAX / type->size : LEAT_BATCH_ROWS_MAX;
    return fit < pool->batch_rows ? (fit ? fit : 1) : pool->batch_rows;
}

uint64_t leat__pool_made_count(const struct leat_pool *pool)
{
    return __atomic_load_n(&pool->made_count, __ATOMIC_RELAXED);
}

static void count_made(struct leat_pool *pool)
{
    __atomic_add_fetch(&pool->made_count, 1, __ATOMIC_RELAXED);
}

/* ---- buffers ---- */

/* The class whose buffers have at least `capacity` bytes; BUFFER_CLASSES when it is too large to be kept. */
static uint32_t buffer_class(size_t capacity)
{
    uint32_t class_ = 0;
    while (class_ < BUFFER_CLASSES && ((size_t)BUFFER_BYTES_MIN << class_) < capacity)
        class_++;
    return class_;
}

/* Sorts what other threads gave back into the owner's lists. */
static void collect_buffers(struct leat_pool *pool)
{
    if (!__atomic_load_n(&pool->buffers_returned, __ATOMIC_RELAXED))
        return;
    struct leat_buffer *buffer = __atomic_exchange_n(&pool->buffers_returned, NULL, __ATOMIC_ACQUIRE);
    while (buffer) {
        struct leat_buffer *next = buffer->next;
        const uint32_t class_ = buffer_class(buffer->capacity);
        if (buffer->capacity > BUFFER_BYTES_LARGE && pool->buffers_free_count[class_] >= BUFFERS_LARGE_KEPT) {
            leat__free(buffer);
        } else {
            buffer->next = pool->buffers_free[class_];
            pool->buffers_free[class_] = buffer;
            pool->buffers_free_count[class_]++;
        }
        buffer = next;
    }
}

static struct leat_buffer *make_buffer(size_t capacity)
{
    const size_t header = (sizeof(struct leat_buffer) + 15) & ~(size_t)15;
    if (capacity > SIZE_MAX / 2)
        return NULL;
    struct leat_buffer *buffer = leat__malloc(header + capacity + LEAT_BUFFER_SLACK_BYTES);
    if (!buffer)
        return NULL;
    memset(buffer, 0, sizeof *buffer);
    buffer->capacity = capacity;
    buffer->data = (char *)buffer + header;
    /* The slack is read by decoders, never used: defined bytes keep memory checkers quiet. */
    memset(buffer->data + capacity, 0, LEAT_BUFFER_SLACK_BYTES);
    return buffer;
}

int leat__buffer_get(struct leat_pool *pool, size_t capacity, struct leat_buffer **buffer)
{
    const uint32_t class_ = buffer_class(capacity);
    struct leat_buffer *got = NULL;
    *buffer = NULL;
    const bool is_pooled = pool && class_ < BUFFER_CLASSES;
    if (is_pooled) {
        if (!pool->buffers_free[class_])
            collect_buffers(pool);
        got = pool->buffers_free[class_];
        if (got) {
            pool->buffers_free[class_] = got->next;
            pool->buffers_free_count[class_]--;
        }
    }
    if (!got) {
        got = make_buffer(is_pooled ? (size_t)BUFFER_BYTES_MIN << class_ : capacity);
        if (!got)
            return LEAT_ENOMEM;
        if (pool)
            count_made(pool);
    }
    if (is_pooled) {
        got->home = pool;
        pool_ref(pool);
    }
    got->next = NULL;
    __atomic_store_n(&got->refs, 1, __ATOMIC_RELAXED);
    *buffer = got;
    return 0;
}

void leat__buffer_ref(struct leat_buffer *buffer)
{
    __atomic_add_fetch(&buffer->refs, 1, __ATOMIC_RELAXED);
}

void leat__buffer_release(struct leat_buffer *buffer)
{
    if (!buffer || __atomic_sub_fetch(&buffer->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    struct leat_pool *home = buffer->home;
    if (!home) {
        leat__free(buffer);
        return;
    }
    struct leat_buffer *top = __atomic_load_n(&home->buffers_returned, __ATOMIC_RELAXED);
    do {
        buffer->next = top;
    } while (!__atomic_compare_exchange_n(
        &home->buffers_returned, &top, buffer, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
    pool_unref(home);
}

/* ---- batches: life ---- */

static void collect_batches(struct leat_pool *pool)
{
    if (!__atomic_load_n(&pool->batches_returned, __ATOMIC_RELAXED))
        return;
    struct leat_batch *batch = __atomic_exchange_n(&pool->batches_returned, NULL, __ATOMIC_ACQUIRE);
    while (batch) {
        struct leat_batch *next = batch->next;
        const uint32_t class_ = pooled(batch)->memory_class;
        batch->next = pool->batches_free[class_];
        pool->batches_free[class_] = batch;
        batch = next;
    }
}

/* Row memory and columns in one block, so that a batch is two allocations for ever. */
static bool make_memory(struct pooled_batch *made, const struct leat_pool *pool)
{
    const size_t rows_bytes = (size_t)ROWS_BYTES_MIN << made->memory_class;
    const size_t rows = pool->batch_rows;
    unsigned char *memory = leat__aligned_alloc(
        ROWS_ALIGN, rows_bytes + LEAT_BUFFER_SLACK_BYTES + rows * (2 * sizeof(int64_t) + 2));
    if (!memory)
        return false;
    made->memory = memory;
    made->batch.rows = memory;
    memory += rows_bytes + LEAT_BUFFER_SLACK_BYTES;
    made->batch.event_us = (int64_t *)(void *)memory;
    made->batch.key_hash = (uint64_t *)(void *)(memory + rows * sizeof(int64_t));
    made->batch.keep = memory + rows * 2 * sizeof(int64_t);
    made->changes = made->batch.keep + rows;
    return true;
}

/* A header of the class with refs 1, recycled or made. */
static struct leat_batch *take_header(struct leat_pool *pool, uint32_t class_)
{
    if (!pool->batches_free[class_])
        collect_batches(pool);
    struct leat_batch *batch = pool->batches_free[class_];
    if (batch) {
        pool->batches_free[class_] = batch->next;
    } else {
        struct pooled_batch *made = leat__calloc(1, sizeof *made);
        if (!made)
            return NULL;
        made->memory_class = class_;
        if (class_ != CLASS_SLICE && !make_memory(made, pool)) {
            leat__free(made);
            return NULL;
        }
        batch = &made->batch;
        count_made(pool);
    }
    pool_ref(pool);
    batch->home = pool;
    batch->next = NULL;
    __atomic_store_n(&batch->refs, 1, __ATOMIC_RELAXED);
    return batch;
}

int leat__batch_get(struct leat_pool *pool, const struct leat_type *type, struct leat_batch **batch)
{
    *batch = NULL;
    LEAT_ASSERT(type->size <= LEAT_ROW_BYTES_MAX);
    const uint32_t rows = leat__pool_batch_rows(pool, type);
    uint32_t class_ = 0;
    while ((ROWS_BYTES_MIN << class_) < rows * type->size)
        class_++;
    struct leat_batch *got = take_header(pool, class_);
    if (!got)
        return LEAT_ENOMEM;
    got->type = type;
    got->stride = type->size;
    got->capacity = rows;
    got->count = 0;
    got->late = 0;
    got->late_wm_us = LEAT_TIME_MIN;
    got->change = NULL;
    *batch = got;
    return 0;
}

void leat__batch_ref(struct leat_batch *batch)
{
    __atomic_add_fetch(&batch->refs, 1, __ATOMIC_RELAXED);
}

void leat__batch_release(struct leat_batch *batch)
{
    if (!batch || __atomic_sub_fetch(&batch->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    struct leat_batch *parent = batch->parent;
    struct leat_pool *home = batch->home;
    for (uint32_t i = 0; i < batch->buffers_count; i++)
        leat__buffer_release(batch->buffers[i]);
    batch->buffers_count = 0;
    batch->arena_at = batch->arena_end = NULL;
    batch->arena_bytes = 0;
    batch->parent = NULL;
    batch->type = NULL;
    struct leat_batch *top = __atomic_load_n(&home->batches_returned, __ATOMIC_RELAXED);
    do {
        batch->next = top;
    } while (!__atomic_compare_exchange_n(
        &home->batches_returned, &top, batch, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
    leat__batch_release(parent); /* (3): one level deep */
    pool_unref(home);
}

/* ---- batches: rows and what they show ---- */

void leat__batch_rows(struct leat_batch *batch, uint32_t n)
{
    LEAT_ASSERT(n <= batch->capacity);
    memset(batch->rows, 0, (size_t)n * batch->stride);
    batch->count = n;
}

/* Appends a reference that the batch now owns. */
static int append_buffer(struct leat_batch *batch, struct leat_buffer *buffer)
{
    if (batch->buffers_count == batch->buffers_capacity) {
        const uint32_t capacity = batch->buffers_capacity ? batch->buffers_capacity * 2 : 8;
        struct leat_buffer **buffers = leat__realloc(batch->buffers, capacity * sizeof *buffers);
        if (!buffers)
            return LEAT_ENOMEM;
        batch->buffers = buffers;
        batch->buffers_capacity = capacity;
    }
    batch->buffers[batch->buffers_count++] = buffer;
    return 0;
}

/* Makes room for `size` bytes at the arena's end. Large pieces get a buffer of their own, so that the rest of
 * the current one is not lost. */
void *leat__batch_alloc_slow(struct leat_batch *batch, size_t size)
{
    struct leat_buffer *buffer;
    const bool own = size > LEAT_BUFFER_BYTES_DEFAULT / 4;
    if (leat__buffer_get(batch->home, own ? size : LEAT_BUFFER_BYTES_DEFAULT, &buffer) < 0)
        return NULL;
    if (append_buffer(batch, buffer) < 0) {
        leat__buffer_release(buffer);
        return NULL;
    }
    batch->arena_bytes += buffer->capacity;
    if (!own) {
        batch->arena_at = buffer->data + size;
        batch->arena_end = buffer->data + buffer->capacity;
    }
    return buffer->data;
}

/* Whether one of the last references is to this buffer: enough to keep repeated sharing cheap. */
static bool holds_recently(const struct leat_batch *batch, const struct leat_buffer *buffer)
{
    const uint32_t count = batch->buffers_count;
    const uint32_t from = count > SHARE_LOOKBACK ? count - SHARE_LOOKBACK : 0;
    for (uint32_t i = count; i > from; i--)
        if (batch->buffers[i - 1] == buffer)
            return true;
    return false;
}

int leat__batch_add_buffer(struct leat_batch *batch, struct leat_buffer *buffer)
{
    if (holds_recently(batch, buffer))
        return 0;
    LEAT_TRY(append_buffer(batch, buffer));
    leat__buffer_ref(buffer);
    return 0;
}

int leat__batch_share(struct leat_batch *to, const struct leat_batch *from)
{
    if (to == from)
        return 0;
    for (uint32_t i = 0; i < from->buffers_count; i++)
        LEAT_TRY(leat__batch_add_buffer(to, from->buffers[i]));
    return from->parent ? leat__batch_share(to, from->parent) : 0;
}

/* ---- batches: sharing and compaction ---- */

/* Whether somebody else may look at the rows. The acquire orders our writes after their last look. */
static bool is_shared(const struct leat_batch *batch)
{
    if (__atomic_load_n(&batch->refs, __ATOMIC_ACQUIRE) > 1)
        return true;
    return batch->parent && __atomic_load_n(&batch->parent->refs, __ATOMIC_ACQUIRE) > 1;
}

void leat__batch_show_changes(struct leat_batch *batch)
{
    LEAT_ASSERT(pooled(batch)->changes); /* no slice */
    LEAT_CHECK_SLOW(!is_shared(batch));
    batch->change = pooled(batch)->changes;
    memset(batch->change, 0, batch->capacity);
}

void leat__batch_copy_changes(
    struct leat_batch *to, uint32_t first, const struct leat_batch *from, uint32_t at, uint32_t count)
{
    if (from->change && !to->change)
        leat__batch_show_changes(to);
    if (from->change)
        memcpy(to->change + first, from->change + at, count);
    else if (to->change)
        memset(to->change + first, 0, count);
}

void leat__batch_compact(struct leat_batch *batch)
{
    const uint32_t count = batch->count;
    const size_t stride = batch->stride;
    LEAT_CHECK_SLOW(!is_shared(batch));
    const uint8_t *dropped = memchr(batch->keep, 0, count);
    if (!dropped)
        return;
    uint32_t to = (uint32_t)(dropped - batch->keep);
    for (uint32_t from = to + 1; from < count; from++) {
        if (!batch->keep[from])
            continue;
        memcpy(batch->rows + to * stride, batch->rows + from * stride, stride);
        batch->event_us[to] = batch->event_us[from];
        batch->key_hash[to] = batch->key_hash[from];
        if (batch->change)
            batch->change[to] = batch->change[from];
        to++;
    }
    memset(batch->keep, 1, to);
    batch->count = to;
}

int leat__batch_slice(struct leat_pool *pool, struct leat_batch *batch, uint32_t from, uint32_t count,
    struct leat_batch **slice)
{
    LEAT_ASSERT(from <= batch->count && count <= batch->count - from);
    struct leat_batch *got = take_header(pool, CLASS_SLICE);
    *slice = got;
    if (!got)
        return LEAT_ENOMEM;
    got->parent = batch->parent ? batch->parent : batch;
    leat__batch_ref(got->parent);
    got->type = batch->type;
    got->stride = batch->stride;
    got->count = got->capacity = count;
    got->rows = batch->rows + (size_t)from * batch->stride;
    got->event_us = batch->event_us + from;
    got->key_hash = batch->key_hash + from;
    got->keep = batch->keep + from;
    got->change = batch->change ? batch->change + from : NULL;
    leat__batch_copy_marks(got, batch);
    /* A slice of a slice refers to the root; what the middle one added for itself must live on too. */
    for (uint32_t i = 0; batch->parent && i < batch->buffers_count; i++) {
        const int code = leat__batch_add_buffer(got, batch->buffers[i]);
        if (code < 0) {
            leat__batch_release(got);
            *slice = NULL;
            return code;
        }
    }
    return 0;
}

int leat__batch_writable(struct leat_pool *pool, struct leat_batch *batch, struct leat_batch **writable)
{
    struct leat_batch *copy;
    *writable = batch;
    if (!is_shared(batch))
        return 0;
    *writable = NULL;
    int code = leat__batch_get(pool, batch->type, &copy);
    if (code == 0 && copy->capacity < batch->count)
        code = LEAT_EINVAL; /* pools with different batch_rows: the caller's bug, but no reason to overrun */
    if (code == 0)
        code = leat__batch_share(copy, batch);
    if (code == 0) {
        const size_t count = batch->count;
        memcpy(copy->rows, batch->rows, count * batch->stride);
        memcpy(copy->event_us, batch->event_us, count * sizeof *batch->event_us);
        memcpy(copy->key_hash, batch->key_hash, count * sizeof *batch->key_hash);
        memcpy(copy->keep, batch->keep, count);
        copy->count = batch->count;
        leat__batch_copy_changes(copy, 0, batch, 0, batch->count);
        leat__batch_copy_marks(copy, batch);
        *writable = copy;
    } else {
        leat__batch_release(copy);
    }
    leat__batch_release(batch);
    return code;
}
