/* state/spill.c -- staying within the budget: what has not been used for long leaves memory.
 *
 *   over the budget              the slice that was used longest ago and is worth it goes, piece by piece
 *   a slice would have to grow   and must not: a piece of it goes
 *
 * A piece is a range of slots: its dirty entries become a sorted run, the others just leave; slots that were
 * used more than once since spilling last came by get a second chance. Emptying a range of an array with
 * linear probing leaves the rest reachable if the range ends before a free slot; what stays of the range is
 * put back from its home on. Arenas are freed with the whole slice only, so slices that have one go whole.
 *
 * This happens at the begin of calls: no pointer into slots lives longer. Invariants: (1) entries leave memory
 * only when the store has them; (2) nothing leaves whose array a cursor walks over, and nothing of a frozen
 * table: when a snapshot only waits for the store, spilling waits with it. */
#include "base/alloc.h"
#include "base/assert.h"
#include "state/state_private.h"

#define PIECE_SLOTS 81920u
#define CROWDED_SLOTS_MIN 1024u
#define OVER_SHARE 10u /* of the budget: that much over it, pieces go one by one */
#define PIECE_SHARE 8u /* of a slice: at least that part of it at a time */

/* ---- a piece of a slice ---- */

/* Slots from `from` on, at least `count` (or all), up to a free one. */
static uint64_t piece_length(
    const struct leat_table *table, const struct leat__slice *slice, uint64_t from, uint64_t count)
{
    const uint64_t mask = slice->capacity - 1;
    if (count > slice->capacity)
        count = slice->capacity;
    while (count < slice->capacity &&
        leat__slot_word(slice->slots + ((from + count) & mask) * table->slot_size) != 0)
        count++;
    return count;
}

/* Queues what is dirty of a piece, and waits until the store has it. */
static int write_piece(struct leat_table *table, struct leat__slice *slice, uint64_t from, uint64_t count,
    bool all, struct leat_error *err)
{
    struct leat_state *state = table->state;
    const uint64_t mask = slice->capacity - 1;
    LEAT_TRY(leat__queue_drain(state, err));
    state->segment++;
    for (uint64_t i = 0; i < count; i++) {
        unsigned char *slot = slice->slots + ((from + i) & mask) * table->slot_size;
        const uint64_t word = leat__slot_word(slot);
        if ((word & LEAT__DIRTY) && (all || !(word & LEAT__USED)))
            LEAT_TRY(leat__slot_collect(table, slice, slot, err));
    }
    state->segment++; /* a snapshot that has begun may write to the same lists once more */
    LEAT_TRY(leat__queue_flush(state, err));
    return leat__queue_drain(state, err);
}

/* Frees the slots of the piece, but for those that are used unless all go: these move as near to their home as they can. */
static void clear_piece(
    struct leat_table *table, struct leat__slice *slice, uint64_t from, uint64_t count, bool all)
{
    const size_t slot_size = table->slot_size;
    const uint64_t mask = slice->capacity - 1;
    for (uint64_t i = 0; i < count; i++) {
        unsigned char *slot = slice->slots + ((from + i) & mask) * slot_size;
        const uint64_t word = leat__slot_word(slot);
        if (word == 0)
            continue;
        if (all || !(word & LEAT__USED)) {
            LEAT_ASSERT(!(word & LEAT__DIRTY));
            memset(slot, 0, slot_size);
            slice->count--;
            continue;
        }
        leat__slot_set_word(slot, word & ~(uint64_t)LEAT__USED);
        uint64_t at = leat__slice_home(slice, word & ~(uint64_t)LEAT__FLAGS);
        unsigned char *to = slice->slots + at * slot_size;
        while (to != slot && leat__slot_word(to) != 0) {
            at = (at + 1) & mask;
            to = slice->slots + at * slot_size;
        }
        if (to == slot)
            continue;
        memcpy(to, slot, slot_size);
        memset(slot, 0, slot_size);
        if (word & LEAT__DIRTY)
            leat__slice_mark(slice, at);
    }
}

/* One piece where the hand stands. */
static int spill_piece(struct leat_table *table, struct leat__slice *slice, bool all, struct leat_error *err)
{
    leat__slice_settle(table, slice);
    uint64_t count = slice->capacity / PIECE_SHARE;
    if (count > PIECE_SLOTS)
        count = PIECE_SLOTS;
    if (count < 64)
        count = 64;
    uint64_t from = slice->hand; /* where a piece ended: at a free slot, or the first of all */
    while (leat__slot_word(slice->slots + from * table->slot_size) != 0)
        from = (from + 1) & (slice->capacity - 1);
    count = piece_length(table, slice, from, count);
    LEAT_TRY(write_piece(table, slice, from, count, all, err));
    clear_piece(table, slice, from, count, all);
    slice->hand = (from + count) & (slice->capacity - 1);
    slice->incomplete = slice->incomplete || slice->stored;
    slice->too_large = true;
    slice->version++;
    return 0;
}

static int spill_whole(struct leat_table *table, struct leat__slice *slice, struct leat_error *err)
{
    leat__slice_settle(table, slice);
    LEAT_TRY(write_piece(table, slice, 0, slice->capacity, true, err));
    leat__slice_empty(table, slice);
    slice->incomplete = slice->incomplete || slice->stored;
    slice->too_large = true;
    return 0;
}

/* ---- what goes ---- */

static bool may_go(const struct leat_table *table, const struct leat__slice *slice)
{
    return slice->cursors_open == 0 && slice->capacity > 0 && !leat__table_is_held(table);
}

/* The slice that was used longest ago, of those that have a good part of the memory; or else the largest. */
static struct leat__slice *choose(const struct leat_state *state)
{
    struct leat__slice *oldest = NULL, *largest = NULL;
    for (const struct leat_table *table = state->tables; table; table = table->next)
        for (uint32_t i = 0; i < table->slices_count; i++) {
            struct leat__slice *slice = table->slices[table->slices_head + i];
            if (!may_go(table, slice))
                continue;
            if (slice->bytes >= state->used_bytes / 32 && (!oldest || slice->tick < oldest->tick))
                oldest = slice;
            if (!largest || slice->bytes > largest->bytes)
                largest = slice;
        }
    return oldest ? oldest : largest;
}

static uint64_t limit_of(const struct leat_state *state, uint64_t need)
{
    return need < state->budget_bytes ? state->budget_bytes - need : 0;
}

/* A slice on its way out: a piece at a time where that can be, and its memory with the last one. */
static int shed(struct leat_table *table, struct leat__slice *slice, struct leat_error *err)
{
    leat__slice_keep_arena(slice);
    if (slice->chunks || slice->capacity <= PIECE_SLOTS)
        return spill_whole(table, slice, err);
    LEAT_TRY(spill_piece(table, slice, true, err));
    return slice->count == 0 ? spill_whole(table, slice, err) : 0;
}

/* Until what is used is within the budget, or nothing may go. While it is over by little, the rest is left to
 * the next call: the pause is that of a piece. */
static int shrink(struct leat_state *state, uint64_t need, struct leat_error *err)
{
    while (state->used_bytes > limit_of(state, need)) {
        struct leat__slice *slice = choose(state);
        if (!slice)
            return 0;
        LEAT_TRY(shed(slice->table, slice, err));
        if (state->used_bytes <= limit_of(state, need) + state->budget_bytes / OVER_SHARE)
            return 0;
    }
    return 0;
}

/* The bytes that a slice would use beyond today's after growing for `more` keys; 0: it has room. */
static uint64_t growth(const struct leat_table *table, const struct leat__slice *slice, uint64_t more)
{
    uint64_t capacity = slice->capacity ? slice->capacity : 16;
    while (slice->count + more > capacity / 5 * 3)
        capacity *= 2;
    return (capacity - slice->capacity) * table->slot_size;
}

/* Whether a slice that can not double is as full as it should be. Where pieces go in the order of slots, the
 * slots that are next have had the longest time to fill: they are twice as full as all are on average, and
 * linear probing bears no more than 3/4. */
static bool is_crowded(const struct leat_state *state, const struct leat_table *table,
    const struct leat__slice *slice, uint64_t more)
{
    return slice->count + more > slice->capacity / 8 * 3 && slice->capacity >= CROWDED_SLOTS_MIN &&
        state->used_bytes + slice->capacity * table->slot_size > state->budget_bytes && !slice->chunks &&
        !slice->compaction;
}

/* Pieces of the slice itself go rather than that it grows beyond the budget; not what one call needs. */
static int make_room(struct leat_state *state, struct leat_table *table, struct leat__slice *slice,
    uint64_t more, struct leat_error *err)
{
    uint32_t pieces = 0;
    for (;;) {
        const uint64_t grown = growth(table, slice, more);
        if (grown == 0 || state->used_bytes + grown <= state->budget_bytes || !may_go(table, slice))
            return 0;
        if (slice->count == 0 || pieces++ > 3 * PIECE_SHARE + slice->capacity / PIECE_SLOTS * 3)
            return 0;
        leat__slice_keep_arena(slice);
        LEAT_TRY(slice->chunks ? spill_whole(table, slice, err) : spill_piece(table, slice, false, err));
    }
}

int leat__state_room(struct leat_state *state, struct leat_table *table, struct leat__slice *slice,
    uint64_t more, uint64_t bytes, struct leat_error *err)
{
    if (state->queue.busy)
        leat__queue_pump(state);
    if (!state->budget_bytes)
        return 0;
    const uint64_t grown = slice ? growth(table, slice, more) : 0;
    const bool crowded = slice && is_crowded(state, table, slice, more);
    if (state->used_bytes + grown + bytes <= state->budget_bytes && !crowded)
        return 0;
    LEAT_TRY(leat__state_check(state, err));
    LEAT_TRY(leat__snapshot_rush(state, err));
    if (crowded && may_go(table, slice))
        LEAT_TRY(spill_piece(table, slice, false, err));
    if (slice && grown)
        LEAT_TRY(make_room(state, table, slice, more, err));
    return shrink(state, bytes, err);
}
