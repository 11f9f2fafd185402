/* state/table_memory_slice.c -- one namespace of a table: its array of slots and its arena.
 *
 * Slots are probed linearly from hash * salt >> shift, at most 3/5 of them taken (table_memory_grow.c). The arena holds
 * long keys, list rows and what values show; it is freed with the namespace or when that is spilled, not before.
 *
 * Invariants: (1) a slot is all zero or its hash is not 0; (2) count <= limit < capacity, so that every probe
 * ends; (3) between a key's home and its slot no slot is free. */
#include "base/alloc.h"
#include "state/state_private.h"

#define SLOTS_MIN 16u
#define CHUNK_BYTES_MIN 4096u
#define CHUNK_BYTES_LARGE (1u << 20)
/* Of a large arena: with its header two huge pages, so that data that lies anywhere is found sooner. */
#define CHUNK_BYTES_MAX (15u << 18)
#define ARENA_BYTES_LARGE (32u << 20)

/* Bytes of marks behind the slots. */
static size_t marks_bytes(const struct leat_table *table, uint64_t capacity)
{
    return table->state->store_class ? (size_t)((capacity + 4095) / 4096) * sizeof(uint64_t) : 0;
}

void leat__slice_use(
    const struct leat_table *table, struct leat__slice *slice, struct leat__block *block, uint64_t capacity)
{
    slice->slots_block = block;
    slice->slots = leat__block_data(block);
    slice->capacity = capacity;
    slice->limit = capacity / 5 * 3;
    slice->shift = (uint32_t)__builtin_clzll(capacity) + 1;
    slice->bytes += block->size;
    slice->hand = 0;
    slice->version++;
    slice->layout++;
    slice->marks = table->state->store_class
        ? (uint64_t *)(void *)(slice->slots + (size_t)capacity * table->slot_size)
        : NULL;
}

int leat__slots_get(
    struct leat_table *table, uint64_t capacity, struct leat__block **block, struct leat_error *err)
{
    if (capacity > SIZE_MAX / 8 / table->slot_size)
        return leat__error(err, LEAT_ESTATE,
            "state of \"%s\", table \"%s\": more than %llu keys in a namespace", table->node, table->name,
            (unsigned long long)(capacity / 10 * 3));
    const size_t bytes = (size_t)capacity * table->slot_size + marks_bytes(table, capacity);
    LEAT_TRY(leat__block_get(table, bytes, block, err));
    leat__block_zero(*block, bytes);
    return 0;
}

/* Memory that must be zeroed or comes from the system takes its time: then the array begins small, and grows by pieces. */
static uint64_t first_capacity(const struct leat_table *table, uint64_t keys_expected)
{
    const struct leat_state *state = table->state;
    uint64_t capacity = SLOTS_MIN;
    while (capacity / 5 * 3 < keys_expected)
        capacity *= 2;
    if (capacity * table->slot_size > state->grow_at_once &&
        !leat__block_is_ready(
            state, (size_t)capacity * table->slot_size + marks_bytes(table, capacity), state->grow_at_once))
        while (capacity > SLOTS_MIN && capacity * table->slot_size > state->grow_at_once)
            capacity /= 2;
    return capacity;
}

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 32)) * UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 29)) * UINT64_C(0xbf58476d1ce4e5b9);
    return x ^ (x >> 32);
}

int leat__slice_new(struct leat_table *table, int64_t ns, uint64_t keys_expected, struct leat__slice **slice,
    struct leat_error *err)
{
    struct leat__slice *made = table->slices_free;
    if (made)
        table->slices_free = made->next_free;
    else
        made = leat__malloc(sizeof *made);
    *slice = NULL;
    if (!made)
        return leat__error(
            err, LEAT_ENOMEM, "state of \"%s\", table \"%s\": out of memory", table->node, table->name);
    memset(made, 0, sizeof *made);
    made->ns = ns;
    made->table = table;
    made->tick = table->state->tick;
    made->salt = mix(table->salt ^ (uint64_t)ns) | 1;
    made->chunk_bytes = CHUNK_BYTES_MIN;
    uint64_t capacity = first_capacity(table, keys_expected);
    struct leat__block *block = NULL;
    int code = leat__slots_get(table, capacity, &block, err);
    if (code < 0 && capacity > SLOTS_MIN) /* the expectation was only that */
        code = leat__slots_get(table, capacity = SLOTS_MIN, &block, err);
    if (code < 0) {
        made->next_free = table->slices_free;
        table->slices_free = made;
        return code;
    }
    leat__slice_use(table, made, block, capacity);
    if (err)
        err->code = 0, err->message[0] = '\0';
    *slice = made;
    return 0;
}

static void give_blocks(struct leat_table *table, struct leat__slice *slice)
{
    if (slice->slots_block)
        leat__block_give(table->state, slice->slots_block);
    if (slice->old.block)
        leat__block_give(table->state, slice->old.block);
    leat__slice_keep_arena(slice);
    for (struct leat__block *chunk = slice->chunks, *next; chunk; chunk = next) {
        next = chunk->next;
        leat__block_give(table->state, chunk);
    }
}

void leat__slice_free(struct leat_table *table, struct leat__slice *slice)
{
    LEAT_ASSERT(slice->cursors_open == 0);
    give_blocks(table, slice);
    slice->next_free = table->slices_free;
    table->slices_free = slice;
}

void leat__slice_empty(struct leat_table *table, struct leat__slice *slice)
{
    LEAT_ASSERT(slice->cursors_open == 0);
    LEAT_ASSERT(slice->dirty == 0);
    give_blocks(table, slice);
    slice->slots_block = slice->chunks = NULL;
    slice->old = (struct leat__old_slots){ 0 };
    slice->slots = NULL;
    slice->marks = NULL;
    slice->arena_at = slice->arena_end = NULL;
    slice->chunk_bytes = CHUNK_BYTES_MIN;
    slice->capacity = slice->count = slice->limit = slice->hand = slice->bytes = slice->garbage = 0;
    slice->version++;
    slice->layout++;
}

void *leat__slice_bytes(
    struct leat_table *table, struct leat__slice *slice, size_t size, struct leat_error *err)
{
    size = (size + 7) & ~(size_t)7;
    if (size <= (size_t)(slice->arena_end - slice->arena_at)) {
        char *bytes = slice->arena_at;
        slice->arena_at += size;
        return bytes;
    }
    struct leat__block *chunk = NULL;
    const bool apart = size > slice->chunk_bytes / 2; /* a chunk of its own: the current one goes on */
    if (leat__block_get(table, apart ? size : slice->chunk_bytes, &chunk, err) < 0)
        return NULL;
    slice->bytes += chunk->size;
    chunk->next = slice->chunks;
    slice->chunks = chunk;
    char *bytes = (char *)leat__block_data(chunk);
    if (apart)
        return bytes;
    slice->arena_at = bytes + size;
    slice->arena_end = bytes + chunk->size;
    if (slice->chunk_bytes < CHUNK_BYTES_LARGE)
        slice->chunk_bytes *= 2;
    else if (slice->bytes >= ARENA_BYTES_LARGE)
        slice->chunk_bytes = CHUNK_BYTES_MAX;
    return bytes;
}

int leat__slot_dirty(
    struct leat_table *table, struct leat__slice *slice, unsigned char *slot, struct leat_error *err)
{
    uint64_t word = leat__slot_word(slot);
    if (leat__slot_is_wanted(table, slice, slot)) {
        LEAT_TRY(leat__slot_collect(table, slice, slot, err));
        word = leat__slot_word(slot);
    }
    leat__slot_set_word(slot, (word & ~(uint64_t)LEAT__EPOCH) | table->dirty_flags);
    if (word & LEAT__DIRTY)
        return 0;
    leat__slice_mark(slice, leat__slice_index(table, slice, slot));
    slice->dirty++;
    table->ever_held = true;
    return 0;
}

/* A dirty slot has come to lie here, perhaps behind the place to which a snapshot has come. */
static void mark_moved(struct leat_table *table, struct leat__slice *slice, uint64_t slot_index)
{
    struct leat__snapshot *snapshot = &table->state->snapshot;
    leat__slice_mark(slice, slot_index);
    if (snapshot->in_slice && snapshot->table == table && snapshot->ns == slice->ns &&
        snapshot->chunk > slot_index >> 6)
        snapshot->chunk = slot_index >> 6;
}

/* Over the place to which collecting as a whole has come: it would be taken twice, or not at all (model: whole.pml,
 * moved_over). (A failure sticks to the state.) */
static void note_move(struct leat_table *table, struct leat__slice *slice, uint64_t from, uint64_t to)
{
    const uint64_t chunk = slice->flat->chunk;
    if ((from >> 6 < chunk) != (to >> 6 < chunk)) {
        struct leat_error err = { 0 };
        (void)leat__flat_give_up(table, slice, &err);
    }
}

/* Closes the gap that a removed slot leaves: whatever was pushed past it moves back, until a slot is free. */
void leat__slice_close_gap(struct leat_table *table, struct leat__slice *slice, unsigned char *slot)
{
    const bool is_old = leat__slice_is_old(table, slice, slot);
    const size_t slot_size = table->slot_size;
    unsigned char *const slots = is_old ? slice->old.slots : slice->slots;
    const uint64_t mask = (is_old ? slice->old.capacity : slice->capacity) - 1;
    const uint32_t shift = is_old ? slice->old.shift : slice->shift;
    const uint64_t first = is_old ? 0 : slice->old.capacity; /* the number of slot 0 */
    uint64_t gap = (uint64_t)(slot - slots) / slot_size;
    for (uint64_t at = (gap + 1) & mask;; at = (at + 1) & mask) {
        const uint64_t word = leat__slot_word(slots + at * slot_size);
        if (word == 0)
            break;
        const uint64_t home = ((word & ~(uint64_t)LEAT__FLAGS) * slice->salt) >> shift;
        if (((at - home) & mask) >= ((at - gap) & mask)) {
            if (slice->flat)
                note_move(table, slice, first + at, first + gap);
            memcpy(slots + gap * slot_size, slots + at * slot_size, slot_size);
            if (word & LEAT__DIRTY)
                mark_moved(table, slice, first + gap);
            if (slice->compaction && first + at >= slice->compaction->at &&
                first + gap < slice->compaction->at)
                slice->compaction->at = first + gap;
            gap = at;
        }
    }
    memset(slots + gap * slot_size, 0, slot_size);
    slice->count--;
    slice->version++;
}
