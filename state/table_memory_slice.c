/* state/table_memory_slice.c -- one namespace of a table: its array of slots and its arena.
 *
 * Slots are probed linearly from hash * salt >> shift, at most 3/5 of them taken. Doubling moves the slots of
 * position p to about 2p, so that it reads and writes memory in order. The arena holds long keys, list rows
 * and what values show; it is freed with the namespace or when that is spilled, not before.
 *
 * Invariants: (1) a slot is all zero or its hash is not 0; (2) count <= limit < capacity, so that every probe
 * ends; (3) between a key's home and its slot no slot is free. */
#include "base/alloc.h"
#include "state/state_private.h"

#define SLOTS_MIN 16u
#define CHUNK_BYTES_MIN 4096u
#define CHUNK_BYTES_MAX (1u << 20)

/* Bytes of marks behind the slots. */
static size_t marks_bytes(const struct leat_table *table, uint64_t capacity)
{
    return table->state->store_class ? (size_t)((capacity + 4095) / 4096) * sizeof(uint64_t) : 0;
}

static void use_slots(
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

/* A zeroed array of `capacity` slots. */
static int get_slots(
    struct leat_table *table, uint64_t capacity, struct leat__block **block, struct leat_error *err)
{
    if (capacity > SIZE_MAX / 8 / table->slot_size)
        return leat__error(err, LEAT_ESTATE,
            "state of \"%s\", table \"%s\": more than %llu keys in a namespace", table->node, table->name,
            (unsigned long long)(capacity / 10 * 3));
    const size_t bytes = (size_t)capacity * table->slot_size + marks_bytes(table, capacity);
    LEAT_TRY(leat__block_get(table, bytes, block, err));
    memset(leat__block_data(*block), 0, bytes);
    return 0;
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
    uint64_t capacity = SLOTS_MIN;
    while (capacity / 5 * 3 < keys_expected)
        capacity *= 2;
    struct leat__block *block = NULL;
    int code = get_slots(table, capacity, &block, err);
    if (code < 0 && capacity > SLOTS_MIN) /* the expectation was only that */
        code = get_slots(table, capacity = SLOTS_MIN, &block, err);
    if (code < 0) {
        made->next_free = table->slices_free;
        table->slices_free = made;
        return code;
    }
    use_slots(table, made, block, capacity);
    if (err)
        err->code = 0, err->message[0] = '\0';
    *slice = made;
    return 0;
}

static void give_blocks(struct leat_table *table, struct leat__slice *slice)
{
    if (slice->slots_block)
        leat__block_give(table->state, slice->slots_block);
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
    slice->slots = NULL;
    slice->marks = NULL;
    slice->arena_at = slice->arena_end = NULL;
    slice->chunk_bytes = CHUNK_BYTES_MIN;
    slice->capacity = slice->count = slice->limit = slice->hand = slice->bytes = slice->garbage = 0;
    slice->version++;
    slice->layout++;
}

/* What is written, void, and in nobody's way: growing leaves it behind. */
static bool is_litter(
    const struct leat_table *table, const struct leat__slice *slice, const unsigned char *slot)
{
    const uint64_t word = leat__slot_word(slot);
    return (word & (LEAT__VOID | LEAT__DIRTY)) == LEAT__VOID && !leat__slot_is_key(table, slot) &&
        !(slice->incomplete && leat__queue_has_runs(table->state));
}

/* Slots for twice the keys; as many as before where litter takes up half of them. */
static uint64_t next_capacity(const struct leat_table *table, const struct leat__slice *slice)
{
    uint64_t litter = 0;
    if (slice->capacity == 0)
        return SLOTS_MIN;
    for (uint64_t i = 0; table->state->store_class && i < slice->capacity; i++)
        litter += is_litter(table, slice, slice->slots + i * table->slot_size);
    return litter * 2 >= slice->count && litter > 0 ? slice->capacity : 2 * slice->capacity;
}

static void move_slots(
    struct leat_table *table, struct leat__slice *slice, const unsigned char *old, uint64_t old_capacity)
{
    const size_t slot_size = table->slot_size;
    const uint64_t mask = slice->capacity - 1;
    for (uint64_t i = 0; i < old_capacity; i++) {
        const unsigned char *from = old + i * slot_size;
        const uint64_t word = leat__slot_word(from);
        if (word == 0)
            continue;
        if ((word & LEAT__VOID) && is_litter(table, slice, from)) {
            slice->count--;
            continue;
        }
        uint64_t at = leat__slice_home(slice, word & ~(uint64_t)LEAT__FLAGS);
        unsigned char *to = slice->slots + at * slot_size;
        while (*(const uint64_t *)(const void *)to != 0) {
            at = (at + 1) & mask;
            to = slice->slots + at * slot_size;
        }
        memcpy(to, from, slot_size);
        if (word & LEAT__DIRTY)
            leat__slice_mark(slice, at);
    }
}

int leat__slice_grow(struct leat_table *table, struct leat__slice *slice, struct leat_error *err)
{
    LEAT_ASSERT(slice->cursors_open == 0); /* keys are not made while a cursor is open */
    LEAT_TRY(leat__flat_give_up(table, slice, err));
    struct leat__block *block = NULL;
    struct leat__block *old_block = slice->slots_block;
    const unsigned char *old = slice->slots;
    const uint64_t old_capacity = slice->capacity;
    const uint64_t capacity = next_capacity(table, slice);
    LEAT_TRY(get_slots(table, capacity, &block, err));
    use_slots(table, slice, block, capacity);
    if (!old_block)
        return 0;
    move_slots(table, slice, old, old_capacity);
    slice->bytes -= old_block->size;
    leat__block_give(table->state, old_block);
    return 0;
}

int leat__slice_reserve(struct leat_table *table, struct leat__slice *slice, struct leat_error *err)
{
    return slice->capacity ? 0 : leat__slice_grow(table, slice, err);
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
    if (slice->chunk_bytes < CHUNK_BYTES_MAX)
        slice->chunk_bytes *= 2;
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
    leat__slice_mark(slice, (uint64_t)(slot - slice->slots) / table->slot_size);
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

/* Over the place to which collecting as a whole has come: it would be taken twice, or not at all. (A failure sticks
 * to the state.) */
static void note_move(struct leat_table *table, struct leat__slice *slice, uint64_t from, uint64_t to)
{
    const uint64_t chunk = slice->flat->chunk;
    if ((from >> 6 < chunk) != (to >> 6 < chunk)) {
        struct leat_error err = { 0 };
        (void)leat__flat_give_up(table, slice, &err);
    }
}

/* Closes the gap that a removed slot leaves: whatever was pushed past it moves back, until a slot is free. */
void leat__slice_close_gap(struct leat_table *table, struct leat__slice *slice, uint64_t gap)
{
    const size_t slot_size = table->slot_size;
    const uint64_t mask = slice->capacity - 1;
    for (uint64_t at = (gap + 1) & mask;; at = (at + 1) & mask) {
        const uint64_t word = leat__slot_word(slice->slots + at * slot_size);
        if (word == 0)
            break;
        const uint64_t home = leat__slice_home(slice, word & ~(uint64_t)LEAT__FLAGS);
        if (((at - home) & mask) >= ((at - gap) & mask)) {
            if (slice->flat)
                note_move(table, slice, at, gap);
            memcpy(slice->slots + gap * slot_size, slice->slots + at * slot_size, slot_size);
            if (word & LEAT__DIRTY)
                mark_moved(table, slice, gap);
            gap = at;
        }
    }
    memset(slice->slots + gap * slot_size, 0, slot_size);
    slice->count--;
    slice->version++;
}
