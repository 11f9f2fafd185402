/* state/cursor.c -- walks over the keys of a namespace, some at a time; here those that are all in memory.
 *
 * Free order is the order of the slots. For key order the keys are sorted once, when the cursor is opened, as
 * pairs of (first 8 bytes as a big-endian number, slot): most comparisons never look at a slot. The sort
 * merges runs upwards, so that no input makes it slow; its two arrays are blocks of the state, so that its
 * memory is in the budget and is used again.
 *
 * Invariant: while cursors_open > 0 the slots of the slice do not move (state.h says what callers must not
 * do). */
#include "base/alloc.h"
#include "base/hash.h"
#include "state/state_private.h"

#define RUN_LENGTH 12u

static const unsigned char *slot_at(
    const struct leat_table *table, const struct leat__slice *slice, uint64_t i)
{
    return slice->slots + i * table->slot_size;
}

static uint64_t prefix_of(struct leat_sv key)
{
    uint64_t prefix = 0;
    if (key.len)
        memcpy(&prefix, key.data, key.len < sizeof prefix ? key.len : sizeof prefix);
    return __builtin_bswap64(prefix);
}

static bool sorts_before(
    const struct leat_cursor *cursor, const struct leat__sorted_key *a, const struct leat__sorted_key *b)
{
    if (a->prefix != b->prefix)
        return a->prefix < b->prefix;
    if (cursor->table->int_keys)
        return false;
    return leat_sv_cmp(leat__slot_key(cursor->table, slot_at(cursor->table, cursor->slice, a->slot)),
               leat__slot_key(cursor->table, slot_at(cursor->table, cursor->slice, b->slot))) < 0;
}

static void sort_run(const struct leat_cursor *cursor, struct leat__sorted_key *keys, uint64_t count)
{
    for (uint64_t i = 1; i < count; i++) {
        const struct leat__sorted_key key = keys[i];
        uint64_t at = i;
        for (; at > 0 && sorts_before(cursor, &key, &keys[at - 1]); at--)
            keys[at] = keys[at - 1];
        keys[at] = key;
    }
}

static void merge_runs(const struct leat_cursor *cursor, const struct leat__sorted_key *from, uint64_t middle,
    uint64_t end, struct leat__sorted_key *to)
{
    uint64_t left = 0;
    uint64_t right = middle;
    for (uint64_t i = 0; i < end; i++) {
        const bool take_right =
            right < end && (left == middle || sorts_before(cursor, &from[right], &from[left]));
        to[i] = take_right ? from[right++] : from[left++];
    }
}

/* Gives the array that the sorted keys ended up in. */
static const struct leat__sorted_key *sort_keys(const struct leat_cursor *cursor,
    struct leat__sorted_key *keys, struct leat__sorted_key *spare, uint64_t count)
{
    for (uint64_t i = 0; i < count; i += RUN_LENGTH)
        sort_run(cursor, keys + i, count - i < RUN_LENGTH ? count - i : RUN_LENGTH);
    for (uint64_t width = RUN_LENGTH; width < count; width *= 2) {
        for (uint64_t i = 0; i < count; i += 2 * width) {
            const uint64_t end = count - i < 2 * width ? count - i : 2 * width;
            merge_runs(cursor, keys + i, width < end ? width : end, end, spare + i);
        }
        struct leat__sorted_key *merged = spare;
        spare = keys;
        keys = merged;
    }
    return keys;
}

void leat__cursor_unsort(struct leat_cursor *cursor)
{
    for (uint32_t i = 0; i < 2; i++) {
        if (cursor->blocks[i])
            leat__block_give(cursor->table->state, cursor->blocks[i]);
        cursor->blocks[i] = NULL;
    }
    cursor->sorted = NULL;
    cursor->sorted_count = 0;
}

int leat__cursor_sort(struct leat_cursor *cursor, struct leat_sv after, struct leat_error *err)
{
    const struct leat_table *table = cursor->table;
    const struct leat__slice *slice = cursor->slice;
    leat__cursor_unsort(cursor);
    for (uint32_t i = 0; i < 2; i++)
        LEAT_TRY(leat__block_get(
            cursor->table, (slice->count + 1) * sizeof(struct leat__sorted_key), &cursor->blocks[i], err));
    struct leat__sorted_key *keys = (struct leat__sorted_key *)(void *)leat__block_data(cursor->blocks[0]);
    uint64_t count = 0;
    for (uint64_t i = 0; i < slice->capacity; i++) {
        const unsigned char *slot = slot_at(table, slice, i);
        /* A walk must know what is void too: the store may have it. */
        if (cursor->walk ? leat__slot_word(slot) == 0 : !leat__slot_is_key(table, slot))
            continue;
        if (after.data && leat_sv_cmp(leat__slot_key(table, slot), after) <= 0)
            continue;
        keys[count].prefix = prefix_of(leat__slot_key(table, slot));
        keys[count++].slot = i;
    }
    cursor->sorted = sort_keys(
        cursor, keys, (struct leat__sorted_key *)(void *)leat__block_data(cursor->blocks[1]), count);
    cursor->sorted_count = count;
    cursor->at = 0;
    return 0;
}

/* Where there is a store: room for sorting; and whether memory has all. */
static int prepare(struct leat_cursor *cursor, struct leat_error *err)
{
    struct leat__slice *slice = cursor->slice;
    struct leat_table *table = cursor->table;
    const bool sorts = (cursor->flags & LEAT_CURSOR_ORDERED) || slice->incomplete;
    slice->tick = ++table->state->tick;
    LEAT_TRY(leat__state_room(
        table->state, table, slice, 0, sorts ? slice->count * 2 * sizeof(struct leat__sorted_key) : 0, err));
    if (slice->incomplete && !slice->too_large)
        LEAT_TRY(leat__slice_load(table, slice, err));
    return slice->incomplete ? leat__walk_open(cursor, err) : 0;
}

static int open_on(struct leat_cursor *cursor, struct leat_error *err)
{
    if (cursor->table->state->store_class)
        LEAT_TRY(prepare(cursor, err));
    if (cursor->walk)
        return 0;
    cursor->slice->cursors_open++;
    cursor->pins = true;
    if (cursor->flags & LEAT_CURSOR_ORDERED)
        return leat__cursor_sort(cursor, (struct leat_sv){ NULL, 0 }, err);
    return 0;
}

int leat__cursor_open(
    struct leat_table *table, int64_t ns, uint32_t flags, struct leat_cursor **cursor, struct leat_error *err)
{
    struct leat_cursor *made = table->cursors_free;
    if (made)
        table->cursors_free = made->next_free;
    else
        made = leat__malloc(sizeof *made);
    *cursor = NULL;
    if (!made)
        return leat__error(
            err, LEAT_ENOMEM, "state of \"%s\", table \"%s\": out of memory", table->node, table->name);
    memset(made, 0, sizeof *made);
    made->table = table;
    made->flags = flags;
    made->slice = leat__slice_find(table, ns);
    if (made->slice) {
        const int code = open_on(made, err);
        if (code < 0) {
            leat__cursor_close(made);
            return code;
        }
    }
    *cursor = made;
    return 0;
}

static int fill_item(
    struct leat_cursor *cursor, uint64_t slot_index, struct leat_cursor_item *item, struct leat_error *err)
{
    struct leat_table *table = cursor->table;
    unsigned char *slot = cursor->slice->slots + slot_index * table->slot_size;
    void *value = leat__slot_value(table, slot);
    item->key = leat__slot_key(table, slot);
    item->hash = leat__hash(item->key.data, item->key.len);
    item->value = value;
    if (table->kind == LEAT_TABLE_LIST)
        item->value = ((struct leat__list *)value)->first;
    else if (table->state->store_class && leat__cursor_keeps(cursor->flags, table, cursor->slice, slot))
        return leat__slot_dirty(table, cursor->slice, slot, err);
    return 0;
}

int64_t leat__cursor_next(
    struct leat_cursor *cursor, struct leat_cursor_item *items, uint32_t max, struct leat_error *err)
{
    const struct leat__slice *slice = cursor->slice;
    uint32_t count = 0;
    if (!slice)
        return 0;
    if (cursor->walk)
        return leat__walk_next(cursor, items, max, err);
    if (cursor->sorted) {
        while (count < max && cursor->at < cursor->sorted_count)
            LEAT_TRY(fill_item(cursor, cursor->sorted[cursor->at++].slot, &items[count++], err));
        return count;
    }
    for (; count < max && cursor->at < slice->capacity; cursor->at++)
        if (leat__slot_is_key(cursor->table, slot_at(cursor->table, slice, cursor->at)))
            LEAT_TRY(fill_item(cursor, cursor->at, &items[count++], err));
    return count;
}

void leat__cursor_close(struct leat_cursor *cursor)
{
    if (!cursor)
        return;
    if (cursor->walk) {
        leat__walk_close(cursor);
    } else if (cursor->slice && cursor->pins) {
        LEAT_ASSERT(cursor->slice->cursors_open > 0);
        cursor->slice->cursors_open--;
    }
    leat__cursor_unsort(cursor);
    cursor->next_free = cursor->table->cursors_free;
    cursor->table->cursors_free = cursor;
}

void leat__cursors_free(struct leat_cursor *cursors)
{
    for (struct leat_cursor *cursor = cursors, *next; cursor; cursor = next) {
        next = cursor->next_free;
        leat__free(cursor);
    }
}
