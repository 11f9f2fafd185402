/* state/cursor.c -- walks over the keys of a namespace, some at a time; here those that are all in memory.
 *
 * Free order is the order of the slots. For key order the keys are sorted once, before the first of them is given,
 * as pairs of (first 8 bytes as a big-endian number, slot): most comparisons never look at a slot. The sort
 * merges runs upwards, so that no input makes it slow, and can be done a piece at a time; its two arrays are
 * blocks of the state, so that its memory is in the budget and is used again.
 *
 * Invariant: while cursors_open > 0 the slots of the slice do not move (state.h says what callers must not
 * do). */
#include "base/alloc.h"
#include "base/hash.h"
#include "state/state_private.h"

#define RUN_LENGTH 12u
#define SORT_PIECE 49152u /* slots or keys: a millisecond or two */

static const unsigned char *slot_at(
    const struct leat_table *table, const struct leat__slice *slice, uint64_t i)
{
    return leat__slice_at(table, slice, i);
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

/* Some of a merge of two adjacent runs: up to `most` keys of it. */
static uint64_t merge_some(const struct leat_cursor *cursor, struct leat__sort *sort, uint64_t most)
{
    const uint64_t width = sort->width, count = sort->count;
    const struct leat__sorted_key *from = sort->from + sort->at;
    struct leat__sorted_key *to = sort->to + sort->at;
    const uint64_t end = count - sort->at < 2 * width ? count - sort->at : 2 * width;
    const uint64_t middle = width < end ? width : end;
    uint64_t left = sort->left, right = sort->right, done = 0;
    for (; done < most && left + (right - middle) < end; done++) {
        const bool take_right =
            right < end && (left == middle || sorts_before(cursor, &from[right], &from[left]));
        to[left + (right - middle)] = take_right ? from[right] : from[left];
        right += take_right;
        left += !take_right;
    }
    sort->left = left;
    sort->right = right;
    if (left + (right - middle) == end) {
        sort->at += end;
        const uint64_t next = count - sort->at;
        sort->left = 0;
        sort->right = width < next ? width : next;
    }
    return done;
}

/* Goes to the runs of the next width: false at the end. */
static bool next_width(struct leat__sort *sort, uint64_t width)
{
    sort->width = width;
    sort->at = sort->left = 0;
    sort->right = width < sort->count ? width : sort->count;
    return width < sort->count;
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
    cursor->sort.phase = LEAT__SORT_NONE;
}

static int begin_sort(struct leat_cursor *cursor, struct leat_error *err)
{
    struct leat__sort *sort = &cursor->sort;
    leat__cursor_unsort(cursor);
    for (uint32_t i = 0; i < 2; i++)
        LEAT_TRY(leat__block_get(cursor->table, (cursor->slice->count + 1) * sizeof(struct leat__sorted_key),
            &cursor->blocks[i], err));
    *sort = (struct leat__sort){ .phase = LEAT__SORT_GATHER,
        .from = (struct leat__sorted_key *)(void *)leat__block_data(cursor->blocks[0]),
        .to = (struct leat__sorted_key *)(void *)leat__block_data(cursor->blocks[1]) };
    return 0;
}

/* Some of the slots. */
static void gather_some(struct leat_cursor *cursor, struct leat_sv after)
{
    const struct leat_table *table = cursor->table;
    const struct leat__slice *slice = cursor->slice;
    struct leat__sort *sort = &cursor->sort;
    const uint64_t all = leat__slice_extent(slice);
    for (uint64_t end = sort->at + SORT_PIECE; sort->at < all && sort->at < end; sort->at++) {
        const unsigned char *slot = slot_at(table, slice, sort->at);
        /* A walk must know what is void too: the store may have it. */
        if (cursor->walk ? leat__slot_word(slot) == 0 : !leat__slot_is_key(table, slot))
            continue;
        if (after.data && leat_sv_cmp(leat__slot_key(table, slot), after) <= 0)
            continue;
        sort->from[sort->count].prefix = prefix_of(leat__slot_key(table, slot));
        sort->from[sort->count++].slot = sort->at;
    }
    if (sort->at < all)
        return;
    sort->at = 0;
    sort->phase = LEAT__SORT_RUNS;
}

static void sort_some_runs(struct leat_cursor *cursor)
{
    struct leat__sort *sort = &cursor->sort;
    for (uint64_t end = sort->at + SORT_PIECE; sort->at < sort->count && sort->at < end;
         sort->at += RUN_LENGTH)
        sort_run(cursor, sort->from + sort->at,
            sort->count - sort->at < RUN_LENGTH ? sort->count - sort->at : RUN_LENGTH);
    if (sort->at >= sort->count)
        sort->phase = next_width(sort, RUN_LENGTH) ? LEAT__SORT_MERGE : LEAT__SORT_DONE;
}

static void merge_some_runs(struct leat_cursor *cursor)
{
    struct leat__sort *sort = &cursor->sort;
    for (uint64_t done = 0; done < SORT_PIECE && sort->at < sort->count;)
        done += merge_some(cursor, sort, SORT_PIECE - done);
    if (sort->at < sort->count)
        return;
    struct leat__sorted_key *merged = sort->to;
    sort->to = sort->from;
    sort->from = merged;
    if (!next_width(sort, 2 * sort->width))
        sort->phase = LEAT__SORT_DONE;
}

/* A piece: 1, or 0 when all is sorted. */
static int sort_some(struct leat_cursor *cursor, struct leat_sv after)
{
    switch (cursor->sort.phase) {
    case LEAT__SORT_GATHER:
        gather_some(cursor, after);
        break;
    case LEAT__SORT_RUNS:
        sort_some_runs(cursor);
        break;
    case LEAT__SORT_MERGE:
        merge_some_runs(cursor);
        break;
    default:
        return 0;
    }
    if (cursor->sort.phase != LEAT__SORT_DONE)
        return 1;
    cursor->sorted = cursor->sort.from;
    cursor->sorted_count = cursor->sort.count;
    cursor->at = 0;
    return 0;
}

int leat__cursor_sort(struct leat_cursor *cursor, struct leat_sv after, struct leat_error *err)
{
    LEAT_TRY(begin_sort(cursor, err));
    while (sort_some(cursor, after) > 0)
        ;
    return 0;
}

int leat__cursor_prepare(struct leat_cursor *cursor)
{
    const struct leat_sv all = { NULL, 0 };
    return sort_some(cursor, all);
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
    return cursor->flags & LEAT_CURSOR_ORDERED ? begin_sort(cursor, err) : 0;
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

bool leat__cursor_pins(const struct leat_cursor *cursor)
{
    return cursor->pins;
}

static inline uint64_t hash_of(
    const struct leat_cursor *cursor, const unsigned char *slot, struct leat_sv key)
{
    return cursor->flags & LEAT_CURSOR_FOR_TABLES ? leat__slot_word(slot) & ~(uint64_t)LEAT__FLAGS
                                                  : leat__hash(key.data, key.len);
}

/* Without a store, of a FIXED table in free order: the next slots of one array. */
static uint32_t fill_items(struct leat_cursor *cursor, struct leat_cursor_item *items, uint32_t max)
{
    const struct leat_table *table = cursor->table;
    const struct leat__slice *slice = cursor->slice;
    const size_t slot_size = table->slot_size;
    const bool in_old = cursor->at < slice->old.capacity;
    const uint64_t end = in_old ? slice->old.capacity : leat__slice_extent(slice);
    unsigned char *slot = leat__slice_at(table, slice, cursor->at);
    uint32_t count = 0;
    uint64_t at = cursor->at;
    for (; at < end && count < max; at++, slot += slot_size) {
        if (leat__slot_word(slot) == 0)
            continue;
        struct leat_cursor_item *item = &items[count++];
        item->key = leat__slot_key(table, slot);
        item->hash = hash_of(cursor, slot, item->key);
        item->value = leat__slot_value(table, slot);
    }
    cursor->at = at;
    return count;
}

static int fill_item(
    struct leat_cursor *cursor, uint64_t slot_index, struct leat_cursor_item *item, struct leat_error *err)
{
    struct leat_table *table = cursor->table;
    unsigned char *slot = leat__slice_at(table, cursor->slice, slot_index);
    void *value = leat__slot_value(table, slot);
    item->key = leat__slot_key(table, slot);
    item->hash = hash_of(cursor, slot, item->key);
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
    while (leat__cursor_prepare(cursor) > 0)
        ;
    if (cursor->sorted) {
        while (count < max && cursor->at < cursor->sorted_count)
            LEAT_TRY(fill_item(cursor, cursor->sorted[cursor->at++].slot, &items[count++], err));
        return count;
    }
    if (!cursor->table->state->store_class && cursor->table->kind == LEAT_TABLE_FIXED) {
        while (count < max && cursor->at < leat__slice_extent(slice))
            count += fill_items(cursor, items + count, max - count);
        return count;
    }
    for (; count < max && cursor->at < leat__slice_extent(slice); cursor->at++)
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
