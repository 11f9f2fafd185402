/* state/table_memory_grow.c -- how the array of a slice becomes twice as large.
 *
 * Slots of position p go to about 2p, so that memory is read and written in order. Arrays up to grow_at_once bytes move
 * in one go. A larger one would take milliseconds to zero and to fill: both arrays are in use for a while then, and
 * each batch that may make keys first moves MOVE_SLOTS old slots a key (leat__slice_move).
 *
 *        start     start + moved
 *   old  |000000000|############|    keys at home here are still here; what stands left of it has wrapped around
 *   new  |##### 2 * moved ######|0000000000000000000000000|
 *
 * Invariants: (1) a key is where leat__slice_path says: nothing of it is in the other array; (2) old.moved stands at a
 * free slot between calls, so that no key has been pushed over it from a home before it: runs of slots move whole;
 * (3) at most 3/5 + 1 / MOVE_SLOTS of the old array are taken, since moving is at least as fast as keys are made; (4)
 * only complete slices grow in pieces, and none that cursors are open on: these settle first what goes by slots
 * otherwise (spilling, walks by keys, compaction). */
#include "base/alloc.h"
#include "state/state_private.h"

#define SLOTS_MIN 16u
#define MOVE_SLOTS 8u /* for each key that may be made */
#define PIECES_CAPACITY_MIN 4096u /* a word of marks */

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
    const bool has_void = slice->incomplete || slice->keys * 2 <= slice->count;
    for (uint64_t i = 0; table->state->store_class && has_void && i < slice->capacity; i++)
        litter += is_litter(table, slice, slice->slots + i * table->slot_size);
    return litter * 2 >= slice->count && litter > 0 ? slice->capacity : 2 * slice->capacity;
}

/* A slot of the old array goes to where its key belongs in the new one. */
static void move_slot(struct leat_table *table, struct leat__slice *slice, const unsigned char *from)
{
    const size_t slot_size = table->slot_size;
    const uint64_t word = leat__slot_word(from), mask = slice->capacity - 1;
    if ((word & LEAT__VOID) && is_litter(table, slice, from)) {
        slice->count--;
        return;
    }
    uint64_t at = leat__slice_home(slice, word & ~(uint64_t)LEAT__FLAGS);
    unsigned char *to = slice->slots + at * slot_size;
    while (leat__slot_word(to) != 0) {
        at = (at + 1) & mask;
        to = slice->slots + at * slot_size;
    }
    memcpy(to, from, slot_size);
    if (word & LEAT__DIRTY)
        leat__slice_mark(slice, slice->old.capacity + at);
}

/* ---- in pieces ---- */

static void begin_pieces(
    struct leat_table *table, struct leat__slice *slice, const struct leat__slice *before)
{
    slice->old = (struct leat__old_slots){ .slots = before->slots,
        .block = before->slots_block,
        .marks = before->marks,
        .capacity = before->capacity,
        .shift = before->shift };
    while (leat__slot_word(slice->old.slots + slice->old.start * table->slot_size) != 0)
        slice->old.start++;
}

/* Keys that came while others moved may have been pushed over the end of the array: they stand where it began. */
static int move_wrapped(struct leat_table *table, struct leat__slice *slice, struct leat_error *err)
{
    const struct leat__old_slots *old = &slice->old;
    for (uint64_t at = old->start;; at = (at + 1) & (old->capacity - 1)) {
        unsigned char *from = old->slots + at * table->slot_size;
        if (leat__slot_word(from) == 0)
            return 0;
        if (slice->flat)
            LEAT_TRY(leat__flat_take_wanted(table, slice, from, err));
        move_slot(table, slice, from);
        memset(from, 0, table->slot_size);
    }
}

static int end_pieces(struct leat_table *table, struct leat__slice *slice, struct leat_error *err)
{
    struct leat__old_slots *old = &slice->old;
    LEAT_TRY(move_wrapped(table, slice, err));
    struct leat__block *block = old->block;
    const size_t bytes = (size_t)old->capacity * table->slot_size; /* all zero by now */
    if (slice->compaction)
        slice->compaction->at -=
            old->capacity < slice->compaction->at ? old->capacity : slice->compaction->at;
    *old = (struct leat__old_slots){ 0 };
    slice->layout++;
    slice->bytes -= block->size;
    leat__block_give_clean(table->state, block, bytes);
    return 0;
}

/* At least `count` of them. A failure is that of a flat. */
static int move_slots(
    struct leat_table *table, struct leat__slice *slice, uint64_t count, struct leat_error *err)
{
    struct leat__old_slots *old = &slice->old;
    const uint64_t mask = old->capacity - 1;
    for (uint64_t done = 0; old->moved < old->capacity; done++, old->moved++) {
        unsigned char *from = old->slots + ((old->start + old->moved) & mask) * table->slot_size;
        if (leat__slot_word(from) != 0) {
            if (slice->flat)
                LEAT_TRY(leat__flat_take_wanted(table, slice, from, err));
            move_slot(table, slice, from);
            memset(from, 0, table->slot_size);
        } else if (done >= count) {
            break;
        }
    }
    slice->version++;
    return old->moved == old->capacity ? end_pieces(table, slice, err) : 0;
}

/* Without a flat nothing fails: it is given up (model: whole.pml, grown). */
static void move_plainly(struct leat_table *table, struct leat__slice *slice, uint64_t count)
{
    struct leat_error err = { 0 };
    (void)leat__flat_give_up(table, slice, &err); /* a failure sticks to the state */
    const int code = move_slots(table, slice, count, &err);
    LEAT_ASSERT(code == 0);
    (void)code;
}

void leat__slice_move(struct leat_table *table, struct leat__slice *slice, uint64_t keys)
{
    if (slice->old.capacity == 0 || slice->cursors_open > 0) /* then no keys are made */
        return;
    if (slice->flat && slice->count + keys <= slice->old.capacity / 4 * 3)
        return; /* the snapshot moves them: flat.c */
    move_plainly(table, slice, keys * MOVE_SLOTS);
}

/* (model: whole.pml, taken_and_moved) */
int leat__slice_take_and_move(
    struct leat_table *table, struct leat__slice *slice, uint64_t count, struct leat_error *err)
{
    if (slice->cursors_open > 0)
        return leat__flat_give_up(table, slice, err);
    const int code = move_slots(table, slice, count, err);
    if (code < 0) { /* a part of a run of slots has moved: all of it has to */
        struct leat_error why = { 0 };
        (void)leat__flat_give_up(table, slice, &why);
        move_plainly(table, slice, 0);
    }
    return code;
}

void leat__slice_settle(struct leat_table *table, struct leat__slice *slice)
{
    if (slice->old.capacity == 0)
        return;
    LEAT_ASSERT(slice->cursors_open == 0);
    move_plainly(table, slice, UINT64_MAX);
}

/* ---- beginning ---- */

static bool goes_in_pieces(
    const struct leat_table *table, const struct leat__slice *before, uint64_t capacity)
{
    return before->capacity * table->slot_size > table->state->grow_at_once &&
        before->capacity >= PIECES_CAPACITY_MIN && capacity > before->capacity && !before->incomplete &&
        before->walks_open == 0;
}

int leat__slice_grow(struct leat_table *table, struct leat__slice *slice, struct leat_error *err)
{
    LEAT_ASSERT(slice->cursors_open == 0); /* keys are not made while a cursor is open */
    LEAT_TRY(leat__flat_give_up(table, slice, err));
    leat__slice_settle(table, slice);
    if (slice->count < slice->limit)
        return 0;
    struct leat__block *block = NULL;
    const struct leat__slice before = *slice;
    const uint64_t capacity = next_capacity(table, slice);
    LEAT_TRY(leat__slots_get(table, capacity, &block, err));
    leat__slice_use(table, slice, block, capacity);
    if (!before.slots_block)
        return 0;
    if (goes_in_pieces(table, &before, capacity)) {
        begin_pieces(table, slice, &before);
        return 0;
    }
    if (slice->compaction)
        slice->compaction->at = 0;
    for (uint64_t i = 0; i < before.capacity; i++) {
        const unsigned char *from = before.slots + i * table->slot_size;
        if (leat__slot_word(from) != 0)
            move_slot(table, slice, from);
    }
    slice->bytes -= before.slots_block->size;
    leat__block_give(table->state, before.slots_block);
    return 0;
}

int leat__slice_reserve(struct leat_table *table, struct leat__slice *slice, struct leat_error *err)
{
    return slice->capacity ? 0 : leat__slice_grow(table, slice, err);
}
