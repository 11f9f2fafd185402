/* state/table_memory_slice.c -- one namespace of a table: its array of slots and its arena.
 *
 * Slots are probed linearly from hash * salt >> shift, at most 3/5 of them taken. Doubling moves the slots of
 * position p to about 2p, so that it reads and writes memory in order. The arena holds long keys, list rows
 * and what values show; it is freed with the namespace, not before.
 *
 * Invariants: (1) a slot is all zero or its hash is not 0; (2) count <= limit < capacity, so that every probe
 * ends; (3) between a key's home and its slot no slot is free. */
#include "base/alloc.h"
#include "state/state_private.h"

#define SLOTS_MIN 16u
#define CHUNK_BYTES_MIN 4096u
#define CHUNK_BYTES_MAX (1u << 20)

static void use_slots(struct leat__slice *slice, struct leat__block *block, uint64_t capacity)
{
    slice->slots_block = block;
    slice->slots = leat__block_data(block);
    slice->capacity = capacity;
    slice->limit = capacity / 5 * 3;
    slice->shift = (uint32_t)__builtin_clzll(capacity) + 1;
}

/* A zeroed array of `capacity` slots. */
static int get_slots(
    struct leat_table *table, uint64_t capacity, struct leat__block **block, struct leat_error *err)
{
    if (capacity > SIZE_MAX / 8 / table->slot_size)
        return leat__error(err, LEAT_ESTATE,
            "state of \"%s\", table \"%s\": more than %llu keys in a namespace", table->node, table->name,
            (unsigned long long)(capacity / 10 * 3));
    const size_t bytes = (size_t)capacity * table->slot_size;
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
    use_slots(made, block, capacity);
    if (err)
        err->code = 0, err->message[0] = '\0';
    *slice = made;
    return 0;
}

void leat__slice_free(struct leat_table *table, struct leat__slice *slice)
{
    LEAT_ASSERT(slice->cursors_open == 0);
    leat__block_give(table->state, slice->slots_block);
    for (struct leat__block *chunk = slice->chunks, *next; chunk; chunk = next) {
        next = chunk->next;
        leat__block_give(table->state, chunk);
    }
    slice->next_free = table->slices_free;
    table->slices_free = slice;
}

int leat__slice_grow(struct leat_table *table, struct leat__slice *slice, struct leat_error *err)
{
    LEAT_ASSERT(slice->cursors_open == 0); /* keys are not made while a cursor is open */
    struct leat__block *block = NULL;
    struct leat__block *old_block = slice->slots_block;
    const unsigned char *old = slice->slots;
    const uint64_t old_capacity = slice->capacity;
    const size_t slot_size = table->slot_size;
    LEAT_TRY(get_slots(table, 2 * old_capacity, &block, err));
    use_slots(slice, block, 2 * old_capacity);
    const uint64_t mask = slice->capacity - 1;
    for (uint64_t i = 0; i < old_capacity; i++) {
        const unsigned char *from = old + i * slot_size;
        uint64_t hash;
        memcpy(&hash, from, sizeof hash);
        if (hash == 0)
            continue;
        uint64_t at = leat__slice_home(slice, hash);
        unsigned char *to = slice->slots + at * slot_size;
        while (*(const uint64_t *)(const void *)to != 0) {
            at = (at + 1) & mask;
            to = slice->slots + at * slot_size;
        }
        memcpy(to, from, slot_size);
    }
    leat__block_give(table->state, old_block);
    return 0;
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
