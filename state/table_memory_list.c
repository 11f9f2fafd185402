/* state/table_memory_list.c -- lists of rows by key: what joins keep.
 *
 * A key's value is the two ends of its list. A row is one piece of its slice's arena: links, time, flags, and
 * the self-contained copy of the record. Rows are freed with their namespace
 * or when it is spilled; one that replaces another takes its place if it fits there.
 *
 *   offset 0   struct leat_list_row   next, event_us, record (-> 40), flags (-> 32)
 *          32  flags, 3 bytes unused
 *          36  how many bytes there are behind this head
 *          40  the record and what its views show (record/copy.h) */
#include "base/alloc.h"
#include "state/state_private.h"

#define PREFETCH_AHEAD 8u

struct stored_row {
    struct leat_list_row row;
    uint8_t flags;
    uint8_t unused[3];
    uint32_t room; /* behind it; UINT32_MAX: as much, or more */
};
_Static_assert(sizeof(struct stored_row) == LEAT__ROW_HEAD_BYTES, "the record behind it is aligned to 8");

static int reserve_values(struct leat_table *table, uint32_t count, struct leat_error *err)
{
    if (count <= table->values_capacity)
        return 0;
    void **grown = leat__realloc(table->values, count * sizeof *grown);
    if (!grown)
        return leat__error(
            err, LEAT_ENOMEM, "state of \"%s\", table \"%s\": out of memory", table->node, table->name);
    table->values = grown;
    table->values_capacity = count;
    return 0;
}

/* `flat`: rows show nothing. */
static inline size_t room_for(const struct leat_table *table, const void *record, bool flat)
{
    const size_t size = flat ? table->row_size : leat__copy_size(table->copier, record);
    return (size + 7) & ~(size_t)7;
}

static inline void set_row(struct stored_row *stored, int64_t event_us, uint8_t flags, size_t room)
{
    *stored = (struct stored_row){ { NULL, event_us, stored + 1, &stored->flags }, flags, { 0 },
        room < UINT32_MAX ? (uint32_t)room : UINT32_MAX };
}

static void fill_row(struct leat_table *table, struct stored_row *stored, const void *record,
    int64_t event_us, uint8_t flags, bool flat)
{
    set_row(stored, event_us, flags, stored->room);
    if (flat)
        leat__copy_bytes(stored + 1, record, table->row_size);
    else
        leat__copy_to(table->copier, record, stored + 1);
}

static struct stored_row *make_place(
    struct leat_table *table, struct leat__slice *slice, size_t room, struct leat_error *err)
{
    struct stored_row *stored = leat__slice_bytes(table, slice, sizeof *stored + room, err);
    if (stored)
        stored->room = room < UINT32_MAX ? (uint32_t)room : UINT32_MAX;
    return stored;
}

/* The copy of a row for which the rest of the arena is too small. */
static struct stored_row *store_elsewhere(struct leat_table *table, struct leat__slice *slice,
    const void *record, size_t room, bool flat, struct leat_error *err)
{
    struct stored_row *stored = make_place(table, slice, room, err);
    if (stored)
        fill_row(table, stored, record, 0, 0, flat);
    return stored;
}

static inline int add_row(struct leat_table *table, struct leat__slice *slice, struct leat__list *list,
    const void *record, int64_t event_us, uint8_t flags, bool flat, struct leat_error *err)
{
    struct stored_row *stored = (struct stored_row *)(void *)slice->arena_at;
    const size_t left = (size_t)(slice->arena_end - slice->arena_at);
    const size_t most = left > sizeof *stored ? left - sizeof *stored : 0;
    void *copy = most ? stored + 1 : NULL;
    size_t size = table->row_size;
    if (!flat)
        size = leat__copy_within(table->copier, record, copy, most);
    else if (size <= most)
        leat__copy_bytes(copy, record, size);
    const size_t room = (size + 7) & ~(size_t)7;
    if (room <= most)
        slice->arena_at += sizeof *stored + room;
    else if (!(stored = store_elsewhere(table, slice, record, room, flat, err)))
        return err && err->code < 0 ? err->code : LEAT_ESTATE;
    set_row(stored, event_us, flags, room);
    const struct leat_list_row **end =
        list->last ? &list->last->next : (const struct leat_list_row **)(void *)&list->first;
    *end = list->last = &stored->row;
    return 0;
}

int leat__list_add(struct leat_table *table, struct leat__slice *slice, struct leat__list *list,
    const void *record, int64_t event_us, uint8_t flags, struct leat_error *err)
{
    return add_row(table, slice, list, record, event_us, flags, leat__copier_is_flat(table->copier), err);
}

/* A list that was removed and not yet forgotten is a key again. */
static void count_revived(struct leat_table *table, struct leat__slice *slice, const unsigned char *value)
{
    if (leat__slot_word(value - table->head_size) & LEAT__VOID) {
        slice->keys++;
        table->keys_count++;
    }
}

int leat__table_append_flagged(struct leat_table *table, int64_t ns, const struct leat_sv *keys,
    const uint64_t *hashes, const uint32_t *rows, uint32_t count, const struct leat_batch *batch,
    const uint8_t *flags, struct leat_error *err)
{
    LEAT_ASSERT(table->kind == LEAT_TABLE_LIST);
    LEAT_TRY(reserve_values(table, count, err));
    LEAT_TRY(leat__table_upsert_blind(table, ns, keys, hashes, rows, count, table->values, err));
    struct leat__slice *slice = leat__slice_find(table, ns);
    const bool flat = leat__copier_is_flat(table->copier);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t r = rows ? rows[i] : i;
        struct leat__list *list = table->values[i];
        if (i + PREFETCH_AHEAD < count) /* the row that the next one is linked behind */
            __builtin_prefetch(((const struct leat__list *)table->values[i + PREFETCH_AHEAD])->last, 1);
        if (table->state->store_class && !list->first)
            count_revived(table, slice, table->values[i]);
        LEAT_TRY(add_row(table, slice, list, leat_batch_at(batch, r), batch->event_us[r],
            flags ? flags[r] : 0, flat, err));
        if (table->state->store_class && !list->unwritten)
            list->unwritten = list->last;
    }
    return 0;
}

int leat__table_append(struct leat_table *table, int64_t ns, const struct leat_sv *keys,
    const uint64_t *hashes, const uint32_t *rows, uint32_t count, const struct leat_batch *batch,
    struct leat_error *err)
{
    return leat__table_append_flagged(table, ns, keys, hashes, rows, count, batch, NULL, err);
}

int leat__table_flagged(
    struct leat_table *table, int64_t ns, struct leat_sv key, uint64_t hash, struct leat_error *err)
{
    LEAT_ASSERT(table->kind == LEAT_TABLE_LIST);
    if (!table->state->store_class)
        return 0;
    struct leat__slice *slice = leat__slice_find(table, ns);
    unsigned char *slot = slice ? leat__slice_slot(table, slice, key, hash) : NULL;
    if (!slot)
        return 0; /* an item of a cursor, which sees to it */
    LEAT_TRY(leat__slot_dirty(table, slice, slot, err));
    ((struct leat__list *)leat__slot_value(table, slot))->flagged = 1;
    return 0;
}

/* What the store has of the list is void from now on, and all of it is written anew. */
static int renew_list(
    struct leat_table *table, struct leat__slice *slice, unsigned char *slot, struct leat_error *err)
{
    struct leat__list *list = leat__slot_value(table, slot);
    LEAT_ASSERT(!(leat__slot_word(slot) & LEAT__PARTIAL)); /* it was looked at */
    LEAT_TRY(leat__slot_dirty(table, slice, slot, err));
    const uint64_t word = leat__slot_word(slot);
    leat__slot_set_word(slot, word & LEAT__STORED ? word | LEAT__VOID : word);
    list->flagged = 0; /* they are written with the rows */
    return 0;
}

size_t leat__row_bytes(const struct leat_list_row *row)
{
    return sizeof(struct stored_row) + ((const struct stored_row *)(const void *)row)->room;
}

static struct leat_list_row *writable(const struct leat_list_row *row)
{
    return (struct leat_list_row *)(uintptr_t)row;
}

/* Takes the row behind `before`, or the first, out of the list. */
static struct stored_row *unlink_row(struct leat__list *list, const struct leat_list_row *before)
{
    struct leat_list_row *row = before ? writable(before->next) : list->first;
    if (before)
        writable(before)->next = row->next;
    else
        list->first = writable(row->next);
    if (list->last == row)
        list->last = writable(before);
    return (struct stored_row *)(void *)row;
}

static void link_row(struct leat__list *list, const struct leat_list_row *before, struct leat_list_row *row)
{
    row->next = before ? before->next : list->first;
    if (before)
        writable(before)->next = row;
    else
        list->first = row;
    if (list->last == before)
        list->last = row;
}

/* Takes the row behind `before`, or the first, out of a list that has another. */
static int cut_row(struct leat_table *table, struct leat__slice *slice, struct leat__list *list,
    const struct leat_list_row *before, struct leat_error *err)
{
    if (table->state->store_class)
        LEAT_TRY(renew_list(table, slice, (unsigned char *)list - table->head_size, err));
    slice->garbage += leat__row_bytes(&unlink_row(list, before)->row);
    if (table->state->store_class)
        list->unwritten = list->first;
    return 0;
}

int leat__table_cut(struct leat_table *table, int64_t ns, struct leat_sv key, uint64_t hash,
    const struct leat_list_row *before, struct leat_error *err)
{
    struct leat__slice *slice = leat__slice_find(table, ns);
    unsigned char *slot = slice ? leat__slice_slot(table, slice, key, hash) : NULL;
    LEAT_ASSERT(table->kind == LEAT_TABLE_LIST && slot && slice->cursors_open == 0);
    struct leat__list *list = leat__slot_value(table, slot);
    LEAT_ASSERT(before ? before->next != NULL : list->first != NULL);
    if (list->first == list->last)
        return leat__slot_remove(table, slice, slot, key, hash, err);
    return cut_row(table, slice, list, before, err);
}

int leat__table_put(struct leat_table *table, int64_t ns, struct leat_sv key, uint64_t hash,
    const struct leat_list_put *put, struct leat_error *err)
{
    struct leat__slice *slice = leat__slice_find(table, ns);
    unsigned char *slot = slice ? leat__slice_slot(table, slice, key, hash) : NULL;
    LEAT_ASSERT(table->kind == LEAT_TABLE_LIST && slot && slice->cursors_open == 0);
    struct leat__list *list = leat__slot_value(table, slot);
    const bool flat = leat__copier_is_flat(table->copier);
    const void *record = leat_batch_at(put->batch, put->row);
    const size_t room = room_for(table, record, flat);
    const struct stored_row *gone = !put->replaces ? NULL
        : put->gone_before ? (const struct stored_row *)(const void *)put->gone_before->next
                           : (const struct stored_row *)(const void *)list->first;
    const bool fits = gone && room <= gone->room;
    LEAT_ASSERT(list->first && (!gone || &gone->row != put->before));
    struct stored_row *fresh = fits ? NULL : make_place(table, slice, room, err);
    if (!fits && !fresh)
        return err && err->code < 0 ? err->code : LEAT_ESTATE;
    if (table->state->store_class)
        LEAT_TRY(renew_list(table, slice, slot, err));
    if (put->replaces) {
        struct stored_row *old = unlink_row(list, put->gone_before);
        if (fits)
            fresh = old;
        else
            slice->garbage += leat__row_bytes(&old->row);
    }
    fill_row(table, fresh, record, put->batch->event_us[put->row], 0, flat);
    link_row(list, put->before, &fresh->row);
    if (table->state->store_class)
        list->unwritten = list->first;
    if (slice->compaction || leat__slice_is_wasteful(slice))
        leat__slice_compact(table, slice, 1);
    return 0;
}

int leat__table_prune(struct leat_table *table, int64_t ns, const struct leat_sv *keys,
    const uint64_t *hashes, const uint32_t *rows, uint32_t count, int64_t until_us, struct leat_error *err)
{
    LEAT_ASSERT(table->kind == LEAT_TABLE_LIST);
    LEAT_TRY(reserve_values(table, count, err));
    LEAT_TRY(leat__table_find(table, ns, keys, hashes, rows, count, table->values, err));
    struct leat__slice *slice = leat__slice_find(table, ns);
    for (uint32_t i = 0; i < count; i++) {
        struct leat__list *list = table->values[i];
        while (list && list->first && list->first->next && list->first->event_us <= until_us &&
            list->first->next->event_us <= until_us) {
            const struct leat_list_row *first = list->first;
            LEAT_ASSERT(slice->cursors_open == 0);
            LEAT_TRY(
                cut_row(table, slice, list, first->event_us <= first->next->event_us ? NULL : first, err));
        }
    }
    return 0;
}
