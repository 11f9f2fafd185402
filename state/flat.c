/* state/flat.c -- all keys of a large namespace on their way to the store, where they replace what it has.
 *
 * Where most of a namespace is dirty, writing only that costs more than it saves: the store has to merge it with
 * what is there, key by key. So all of it is collected, clean or dirty, sorted as one, and what the store had is
 * dropped file by file: nothing is left to be merged. (An entry that is written anew costs about half of one that
 * is merged later, hence WHOLE_SHARE.)
 *
 *   leat__flat_begin     at the barrier: the slice has a flat from now on
 *   leat__flat_take      a slot is copied: when the snapshot comes to it, or before it is first written to
 *   leat__flat_end       all slots have been copied: the flat goes to the queue and replaces; or not all have been
 *                        (slots have moved, the namespace is dropped, the snapshot is given up): the flat goes to
 *                        the queue as a run like any other, what it has not is collected like anywhere else
 *   leat__flat_write     by a task: sorts, writes
 *
 * Only keys of 8 bytes with values that are written as they are. A row is the key as a number that sorts as its
 * bytes do, and the value; rows lie in blocks that never move. Sorting goes by the highest bits that differ into
 * buckets that fit a cache, and then byte by byte.
 *
 * Where the slice is growing, its new array is gone through first; then the old one, whose slots are taken when they
 * move. Until then none move but by giving up: when the old array gets crowded, or a cursor is open on it.
 *
 * Invariants: (1) a slice that has a flat is complete: no slot of it is partial, nothing of it is in the store
 * only; (2) of the slots before `chunk` all that were there at the barrier have been taken, of those behind it
 * those that are dirty since; of those in an old array all are yet to be taken, or dirty since; (3) a key is taken once. */
#include "base/alloc.h"
#include "base/assert.h"
#include "state/state_private.h"

#define WHOLE_SHARE 2u
#define SPARE_SHARE 8u /* of the budget: what a flat may take beyond it */
#define BLOCK_ROWS_SHIFT 17u
#define BLOCK_ROWS ((uint64_t)1 << BLOCK_ROWS_SHIFT)
#define HUGE_BYTES ((size_t)2 << 20)
#define BUCKET_BITS 10u
#define BUCKETS (1u << BUCKET_BITS)
#define SHORT_BUCKET 24u
#define PREFETCH_AHEAD 12u
#define BATCH_ROWS 256u
#define KEY_BYTES (LEAT__STORE_HEAD + sizeof(uint64_t))

/* ---- on the worker ---- */

static uint64_t flat_limit(const struct leat_state *state)
{
    if (!state->budget_bytes)
        return UINT64_MAX;
    const uint64_t limit = state->budget_bytes + state->budget_bytes / SPARE_SHARE;
    return limit > state->used_bytes ? limit - state->used_bytes : 0;
}

static bool is_for_whole(const struct leat_table *table, const struct leat__slice *slice)
{
    const uint64_t row = sizeof(uint64_t) + table->value_size + sizeof(struct leat__flat_item);
    return !slice->flat && !slice->incomplete && slice->count >= table->state->whole_keys_min &&
        slice->dirty >= slice->count / WHOLE_SHARE && slice->count * row <= flat_limit(table->state);
}

/* (model: whole.pml, begun) */
void leat__flat_begin(struct leat_table *table)
{
    if (table->kind != LEAT_TABLE_FIXED || !table->int_keys || table->codec.encode)
        return;
    for (uint32_t i = 0; i < table->slices_count; i++) {
        struct leat__slice *slice = table->slices[table->slices_head + i];
        if (!is_for_whole(table, slice))
            continue;
        slice->flat = leat__calloc(1, sizeof *slice->flat);
        if (!slice->flat)
            return; /* it costs more, that is all */
        slice->flat->chunk = slice->old.capacity >> 6; /* first the new array */
        slice->flat->raw_size = table->raw_size;
        slice->flat->stride = (uint32_t)sizeof(uint64_t) + table->value_size;
        slice->flat->is_sequence = table->codec.merge != NULL;
        leat__store_head(table, slice->ns, slice->flat->head);
    }
}

void leat__flat_free(struct leat__flat *flat)
{
    if (!flat)
        return;
    for (uint32_t i = 0; i < flat->blocks_count; i++)
        leat__free(flat->blocks[i]);
    leat__free(flat->blocks);
    leat__free(flat);
}

size_t leat__flat_bytes(const struct leat__flat *flat)
{
    return (size_t)flat->blocks_count * flat->stride * BLOCK_ROWS +
        (size_t)flat->count * sizeof(struct leat__flat_item);
}

static bool add_block(struct leat__flat *flat)
{
    const size_t bytes = ((size_t)flat->stride * BLOCK_ROWS + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1);
    if (flat->blocks_count == flat->blocks_capacity) {
        const uint32_t capacity = flat->blocks_capacity ? 2 * flat->blocks_capacity : 16;
        unsigned char **grown = leat__realloc(flat->blocks, capacity * sizeof *grown);
        if (!grown)
            return false;
        flat->blocks = grown;
        flat->blocks_capacity = capacity;
    }
    unsigned char *block = leat__aligned_alloc(HUGE_BYTES, bytes);
    if (!block)
        return false;
    leat__advise_huge(block, bytes);
    flat->blocks[flat->blocks_count++] = block;
    flat->at = block;
    return true;
}

int leat__flat_take(
    struct leat_table *table, struct leat__slice *slice, unsigned char *slot, struct leat_error *err)
{
    struct leat__flat *flat = slice->flat;
    const struct leat__slot_int *from = (const struct leat__slot_int *)(const void *)slot;
    const uint64_t word = from->hash;
    LEAT_ASSERT(!(word & (LEAT__PARTIAL | LEAT__VOID)));
    if ((flat->count & (BLOCK_ROWS - 1)) == 0 && !add_block(flat))
        return leat__error(
            err, LEAT_ENOMEM, "state of \"%s\", table \"%s\": out of memory", table->node, table->name);
    const uint64_t order = __builtin_bswap64(from->key);
    memcpy(flat->at, &order, sizeof order);
    memcpy(flat->at + sizeof order, leat__slot_value(table, slot), table->value_size);
    flat->at += flat->stride;
    flat->count++;
    if (word & LEAT__DIRTY)
        slice->dirty--;
    slice->stored = true;
    leat__slot_set_word(slot, (word & ~(uint64_t)(LEAT__DIRTY | LEAT__EPOCH)) | LEAT__STORED);
    return 0;
}

int leat__flat_take_wanted(
    struct leat_table *table, struct leat__slice *slice, unsigned char *slot, struct leat_error *err)
{
    const uint64_t word = leat__slot_word(slot);
    if (leat__slot_is_frozen(table, word))
        return leat__slot_collect(table, slice, slot, err);
    return word & (LEAT__DIRTY | LEAT__VOID) ? 0 : leat__flat_take(table, slice, slot, err);
}

/* (model: whole.pml, replaced) */
int leat__flat_end(struct leat_table *table, struct leat__slice *slice, bool is_whole, struct leat_error *err)
{
    struct leat_state *state = table->state;
    struct leat__flat *flat = slice->flat;
    slice->flat = NULL;
    state->snapshot.stats.dirty_entries += flat->count;
    state->snapshot.stats.dirty_bytes +=
        flat->count * (KEY_BYTES + flat->raw_size + (flat->is_sequence ? sizeof(uint32_t) : 0));
    if (flat->count == 0) { /* nor is there anything to replace: every key would be here */
        leat__flat_free(flat);
        return 0;
    }
    struct leat__op *op = leat__op_forget(table, slice->ns);
    if (!op) { /* its slots are clean: the store is not what they say any more */
        leat__flat_free(flat);
        (void)leat__error(err, LEAT_ENOMEM, "keyed state: out of memory");
        return leat__state_break(state, LEAT_ENOMEM, err);
    }
    op->kind = LEAT__OP_FLAT;
    op->flat = flat;
    if (!is_whole)
        op->from_len = op->to_len = 0;
    leat__op_push(state, op);
    return 0;
}

/* ---- by a task ---- */

struct reader {
    const struct leat__flat *flat;
    struct leat__flat_item *items, *spare;
    uint64_t starts[BUCKETS + 1];
    uint32_t bucket; /* of the next row */
    bool sorted; /* it is */
    uint64_t at;
    char bytes[]; /* keys and values of a batch */
};

static const unsigned char *row_at(const struct leat__flat *flat, uint64_t i)
{
    return flat->blocks[i >> BLOCK_ROWS_SHIFT] + (i & (BLOCK_ROWS - 1)) * flat->stride;
}

static uint64_t order_at(const struct leat__flat *flat, uint64_t i)
{
    uint64_t order;
    memcpy(&order, row_at(flat, i), sizeof order);
    return order;
}

/* Into buckets, by the highest bits in which rows differ. False: out of memory. */
static bool deal_out(struct reader *r)
{
    const struct leat__flat *flat = r->flat;
    uint64_t low = UINT64_MAX, high = 0, largest = 0, next[BUCKETS];
    for (uint64_t i = 0; i < flat->count; i++) {
        const uint64_t order = order_at(flat, i);
        low = order < low ? order : low;
        high = order > high ? order : high;
    }
    const uint32_t bits = low == high ? 0 : 64u - (uint32_t)__builtin_clzll(high - low);
    const uint32_t shift = bits > BUCKET_BITS ? bits - BUCKET_BITS : 0;
    for (uint64_t i = 0; i < flat->count; i++)
        r->starts[((order_at(flat, i) - low) >> shift) + 1]++;
    for (uint32_t b = 0; b < BUCKETS; b++) {
        largest = r->starts[b + 1] > largest ? r->starts[b + 1] : largest;
        r->starts[b + 1] += r->starts[b];
        next[b] = r->starts[b];
    }
    r->spare = leat__malloc(largest * sizeof *r->spare);
    if (!r->spare)
        return false;
    for (uint64_t i = 0; i < flat->count; i++) {
        const uint64_t order = order_at(flat, i);
        r->items[next[(order - low) >> shift]++] = (struct leat__flat_item){ order, i };
    }
    return true;
}

static void sort_short(struct leat__flat_item *items, uint64_t count)
{
    for (uint64_t i = 1; i < count; i++) {
        const struct leat__flat_item item = items[i];
        uint64_t at = i;
        for (; at > 0 && item.order < items[at - 1].order; at--)
            items[at] = items[at - 1];
        items[at] = item;
    }
}

static void sort(struct leat__flat_item *items, struct leat__flat_item *spare, uint64_t count)
{
    struct leat__flat_item *from = items, *to = spare;
    uint64_t differ = 0;
    for (uint64_t i = 1; i < count; i++)
        differ |= items[i].order ^ items[0].order;
    for (uint32_t shift = 0; shift < 64; shift += 8) {
        uint64_t at[256] = { 0 }, sum = 0;
        if ((differ >> shift & 255u) == 0)
            continue;
        for (uint64_t i = 0; i < count; i++)
            at[from[i].order >> shift & 255u]++;
        for (uint32_t d = 0; d < 256; d++) {
            const uint64_t n = at[d];
            at[d] = sum;
            sum += n;
        }
        for (uint64_t i = 0; i < count; i++)
            to[at[from[i].order >> shift & 255u]++] = from[i];
        struct leat__flat_item *sorted = to;
        to = from;
        from = sorted;
    }
    if (from != items)
        memcpy(items, from, count * sizeof *items);
}

static void sort_bucket(struct reader *r)
{
    while (r->at == r->starts[r->bucket + 1]) {
        r->bucket++;
        r->sorted = false;
    }
    if (r->sorted)
        return;
    const uint64_t count = r->starts[r->bucket + 1] - r->starts[r->bucket];
    struct leat__flat_item *items = r->items + r->starts[r->bucket];
    if (count <= SHORT_BUCKET)
        sort_short(items, count);
    else
        sort(items, r->spare, count);
    r->sorted = true;
}

static void make_entry(const struct leat__flat *flat, const struct leat__flat_item *item, char *to,
    struct leat_store_entry *entry)
{
    const uint64_t key = __builtin_bswap64(item->order);
    const uint32_t len = flat->raw_size;
    memcpy(to, flat->head, LEAT__STORE_HEAD);
    memcpy(to + LEAT__STORE_HEAD, &key, sizeof key);
    char *value = to + KEY_BYTES;
    if (flat->is_sequence) {
        memcpy(value, &len, sizeof len);
        value += sizeof len;
    }
    memcpy(value, row_at(flat, item->index) + sizeof key, len);
    *entry = (struct leat_store_entry){ { to, KEY_BYTES },
        { to + KEY_BYTES, (size_t)(value - to) - KEY_BYTES + len }, LEAT_STORE_PUT };
}

static uint32_t next_rows(void *arg, struct leat_store_entry *entries, uint32_t max)
{
    struct reader *r = arg;
    const struct leat__flat *flat = r->flat;
    const size_t entry_bytes = KEY_BYTES + sizeof(uint32_t) + flat->raw_size;
    uint32_t count = 0;
    if (max > BATCH_ROWS)
        max = BATCH_ROWS;
    while (count < max && r->at < flat->count) {
        sort_bucket(r);
        const uint64_t end = r->starts[r->bucket + 1];
        for (; count < max && r->at < end; count++, r->at++) {
            const struct leat__flat_item *item = &r->items[r->at];
            if (r->at + PREFETCH_AHEAD < end)
                __builtin_prefetch(row_at(flat, item[PREFETCH_AHEAD].index));
            LEAT_ASSERT(r->at == r->starts[r->bucket] || item[-1].order < item->order); /* (3) */
            make_entry(flat, item, r->bytes + count * entry_bytes, &entries[count]);
        }
    }
    return count;
}

static struct reader *new_reader(const struct leat__flat *flat)
{
    const size_t entry_bytes = KEY_BYTES + sizeof(uint32_t) + flat->raw_size;
    struct reader *r = leat__calloc(1, sizeof *r + BATCH_ROWS * entry_bytes);
    if (!r)
        return NULL;
    const size_t bytes = (size_t)flat->count * sizeof *r->items;
    r->flat = flat;
    r->items = leat__malloc(bytes);
    if (r->items && bytes >= HUGE_BYTES)
        leat__advise_huge(r->items, bytes);
    return r;
}

int leat__flat_write(const struct leat__op *op, struct leat_store *store, struct leat_error *err)
{
    struct reader *r = new_reader(op->flat);
    int code = LEAT_ENOMEM;
    if (r && r->items && deal_out(r))
        code = store->store_class->replace(store, (struct leat_sv){ op->from, op->from_len },
            (struct leat_sv){ op->to, op->to_len }, next_rows, r, err);
    else
        (void)leat__error(
            err, code, "out of memory for writing %llu entries", (unsigned long long)op->flat->count);
    if (r) {
        leat__free(r->items);
        leat__free(r->spare);
        leat__free(r);
    }
    return code;
}
