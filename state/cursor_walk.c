/* state/cursor_walk.c -- walks over a namespace of which memory has only a part: by keys, memory and store side
 * by side.
 *
 *   next   1. what the owner has changed of the items that came from the store is kept in memory (keep)
 *          2. where the slice has changed otherwise, keys behind the last one given are sorted again, and the
 *             store is looked at anew from there
 *          3. the smaller key is given; of equal ones memory has the value, or the later part of it
 *
 * Items whose key is in memory show the slot. Others are decoded into scratch memory that lasts until the next
 * call, together with how they were given, so that it can be seen whether they were changed.
 *
 * Invariants: (1) every key behind `last` is in `sorted` or comes from the iterator, at version `version`;
 * (2) what walks keep of items has keys up to `last`: only slots that move (layout) ask for sorting again. */
#include "base/alloc.h"
#include "base/assert.h"
#include "base/hash.h"
#include "state/state_private.h"

static int no_memory(const struct leat_table *table, struct leat_error *err)
{
    return leat__error(
        err, LEAT_ENOMEM, "state of \"%s\", table \"%s\": out of memory", table->node, table->name);
}

int leat__walk_open(struct leat_cursor *cursor, struct leat_error *err)
{
    struct leat_table *table = cursor->table;
    struct leat__walk *walk = leat__calloc(1, sizeof *walk);
    if (!walk)
        return no_memory(table, err);
    cursor->walk = walk;
    walk->next = table->walks;
    table->walks = cursor;
    cursor->slice->walks_open++;
    LEAT_TRY(leat__slice_new(table, cursor->slice->ns, 0, &walk->scratch, err));
    leat__slice_empty(table, walk->scratch);
    return 0;
}

static void close_iter(struct leat_cursor *cursor)
{
    struct leat__walk *walk = cursor->walk;
    if (walk->iter)
        leat__store(cursor->table->state)->store_class->iter_free(walk->iter);
    walk->iter = NULL;
    walk->at_entry = false;
}

void leat__walk_close(struct leat_cursor *cursor)
{
    struct leat__walk *walk = cursor->walk;
    struct leat_table *table = cursor->table;
    struct leat_error err = { 0 };
    const int code = leat__walk_keep(cursor, &err);
    if (code < 0) /* nobody is there to tell: what was changed can not be had any more */
        (void)leat__state_break(table->state, code, &err);
    close_iter(cursor);
    struct leat_cursor **at = &table->walks;
    while (*at != cursor)
        at = &(*at)->walk->next;
    *at = walk->next;
    cursor->slice->walks_open--;
    if (walk->scratch)
        leat__slice_free(table, walk->scratch);
    leat__strbuf_release(&walk->bare_bytes);
    leat__strbuf_release(&walk->last);
    leat__strbuf_release(&walk->before);
    leat__strbuf_release(&walk->after);
    leat__free(walk->items);
    leat__free(walk);
    cursor->walk = NULL;
}

/* ---- keeping what was changed ---- */

/* The value or the flags of an item as bytes. */
static int picture(
    struct leat_table *table, const void *value, struct leat_strbuf *out, struct leat_error *err)
{
    if (table->kind != LEAT_TABLE_LIST)
        return leat__value_write(table, value, out, err);
    for (const struct leat_list_row *row = value; row; row = row->next)
        leat__strbuf_add(out, row->flags, 1);
    return out->failed ? no_memory(table, err) : 0;
}

static int keep_value(struct leat_table *table, struct leat__slice *slice, const struct leat__walk_item *item,
    struct leat_sv value, struct leat_error *err)
{
    unsigned char *slot = leat__slice_slot(table, slice, item->key, item->hash);
    if (!slot) {
        LEAT_TRY(leat__slice_reserve(table, slice, err));
        LEAT_TRY(leat__slice_insert(table, slice, item->key, item->hash, LEAT__STORED, &slot, err));
    }
    LEAT_TRY(leat__slot_dirty(table, slice, slot, err));
    return leat__value_read(table, slice, value, false, leat__slot_value(table, slot), err);
}

/* The list is fetched once more, to stay, and gets the flags. */
static int keep_flags(struct leat_table *table, struct leat__slice *slice, const struct leat__walk_item *item,
    struct leat_sv flags, struct leat_error *err)
{
    const uint32_t row = 0;
    unsigned char *slot = leat__slice_slot(table, slice, item->key, item->hash);
    if (!slot) {
        LEAT_TRY(leat__slice_reserve(table, slice, err));
        LEAT_TRY(leat__slice_fetch(table, slice, &item->key, &item->hash, NULL, &row, 1, err));
        slot = leat__slice_slot(table, slice, item->key, item->hash);
    }
    if (!slot)
        return 0;
    LEAT_TRY(leat__slot_dirty(table, slice, slot, err));
    struct leat__list *list = leat__slot_value(table, slot);
    leat__flags_read(flags, list);
    list->flagged = 1;
    return 0;
}

int leat__walk_keep(struct leat_cursor *cursor, struct leat_error *err)
{
    struct leat__walk *walk = cursor->walk;
    struct leat_table *table = cursor->table;
    struct leat__slice *slice = cursor->slice;
    const bool unchanged = walk->version == slice->version;
    const uint32_t count = walk->items_count;
    walk->items_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct leat__walk_item *item = &walk->items[i];
        leat__strbuf_clear(&walk->after);
        LEAT_TRY(picture(table, item->value, &walk->after, err));
        const struct leat_sv after = { walk->after.data, walk->after.len };
        if (after.len == item->before_len &&
            (after.len == 0 || memcmp(after.data, walk->before.data + item->before, after.len) == 0))
            continue;
        LEAT_TRY(table->kind == LEAT_TABLE_LIST ? keep_flags(table, slice, item, after, err)
                                                : keep_value(table, slice, item, after, err));
    }
    if (unchanged && walk->layout == slice->layout)
        walk->version = slice->version; /* (2) */
    leat__strbuf_clear(&walk->before);
    if (walk->scratch && walk->scratch->bytes)
        leat__slice_empty(table, walk->scratch);
    return 0;
}

/* ---- the store's side ---- */

/* What came from the iterator: the key as tables know it. */
static int note_entry(struct leat_cursor *cursor, int code, struct leat_error *err)
{
    struct leat__walk *walk = cursor->walk;
    struct leat_table *table = cursor->table;
    const bool is_list = table->kind == LEAT_TABLE_LIST;
    const size_t ends = LEAT__STORE_HEAD + (is_list ? LEAT__SEGMENT_BYTES : 0);
    walk->at_entry = code > 0;
    if (code < 0)
        return leat__table_fail(table, code, err);
    if (code == 0)
        return 0;
    code = LEAT_EDATA;
    if (walk->key.len >= ends)
        code = leat__store_key_read(is_list, table->key_size,
            (struct leat_sv){ walk->key.data + LEAT__STORE_HEAD, walk->key.len - ends }, &walk->bare_bytes,
            &walk->bare);
    if (code == LEAT_ENOMEM)
        return no_memory(table, err);
    return code < 0
        ? leat__error(err, LEAT_EDATA, "state of \"%s\", table \"%s\": a key in the store is damaged",
              table->node, table->name)
        : 0;
}

static int next_entry(struct leat_cursor *cursor, struct leat_error *err)
{
    struct leat__walk *walk = cursor->walk;
    return note_entry(cursor,
        leat__store(cursor->table->state)->store_class->iter_next(walk->iter, &walk->key, &walk->value, err),
        err);
}

/* Past the key at which it stands: all segments of it, in a list. */
static int skip_entry(struct leat_cursor *cursor, struct leat_error *err)
{
    struct leat__walk *walk = cursor->walk;
    if (cursor->table->kind != LEAT_TABLE_LIST)
        return next_entry(cursor, err);
    struct leat_strbuf *stored = &walk->after;
    leat__strbuf_clear(stored);
    leat__strbuf_add(stored, walk->key.data, walk->key.len - LEAT__SEGMENT_BYTES);
    if (stored->failed)
        return no_memory(cursor->table, err);
    do {
        LEAT_TRY(next_entry(cursor, err));
    } while (walk->at_entry && walk->key.len == stored->len + LEAT__SEGMENT_BYTES &&
        memcmp(walk->key.data, stored->data, stored->len) == 0);
    return 0;
}

/* The list at which it stands, with its memory in `slice`; goes past it. */
static int take_list(
    struct leat_cursor *cursor, struct leat__slice *slice, struct leat__list *list, struct leat_error *err)
{
    struct leat__walk *walk = cursor->walk;
    struct leat_strbuf *stored = &walk->after;
    leat__strbuf_clear(stored);
    leat__strbuf_add(stored, walk->key.data, walk->key.len - LEAT__SEGMENT_BYTES);
    if (stored->failed)
        return no_memory(cursor->table, err);
    const int code = leat__list_read(cursor->table, slice, walk->iter,
        (struct leat_sv){ stored->data, stored->len }, &walk->key, &walk->value, list, err);
    return note_entry(cursor, code, err);
}

/* (1) from here on. */
static int look_anew(struct leat_cursor *cursor, struct leat_error *err)
{
    struct leat__walk *walk = cursor->walk;
    struct leat_table *table = cursor->table;
    struct leat_state *state = table->state;
    struct leat_strbuf *from = &walk->after;
    char to[LEAT__STORE_HEAD], head[LEAT__STORE_HEAD];
    close_iter(cursor);
    LEAT_TRY(leat__queue_flush(state, err));
    LEAT_TRY(leat__queue_settle(state, true, err));
    const struct leat_sv last = { walk->last.data, walk->last.len };
    LEAT_TRY(leat__cursor_sort(cursor, walk->any ? last : (struct leat_sv){ NULL, 0 }, err));
    walk->version = cursor->slice->version;
    walk->layout = cursor->slice->layout;
    walk->fresh = true;
    leat__store_head(table, cursor->slice->ns, head);
    const uint32_t to_len = leat__store_end(table, cursor->slice->ns, to);
    leat__strbuf_clear(from);
    leat__strbuf_add(from, head, sizeof head);
    if (walk->any)
        leat__store_key(table, last, from);
    struct leat_store *store = leat__store(state);
    if (from->failed)
        return no_memory(table, err);
    if (!store)
        return 0;
    const int code = store->store_class->iter_new(
        store, (struct leat_sv){ from->data, from->len }, (struct leat_sv){ to, to_len }, &walk->iter, err);
    if (code < 0)
        return leat__table_fail(table, code, err);
    LEAT_TRY(next_entry(cursor, err));
    while (walk->any && walk->at_entry && leat_sv_eq(walk->bare, last))
        LEAT_TRY(next_entry(cursor, err));
    return 0;
}

/* ---- giving items ---- */

/* A key that only the store has. */
static int give_stored(struct leat_cursor *cursor, struct leat_cursor_item *item, struct leat_error *err)
{
    struct leat__walk *walk = cursor->walk;
    struct leat_table *table = cursor->table;
    char *key = leat__slice_bytes(table, walk->scratch, walk->bare.len + 1, err);
    if (!key)
        return no_memory(table, err);
    if (walk->bare.len)
        memcpy(key, walk->bare.data, walk->bare.len);
    item->key = (struct leat_sv){ key, walk->bare.len };
    item->hash = leat__hash(key, item->key.len);
    if (table->kind == LEAT_TABLE_LIST) {
        struct leat__list list = { 0 };
        LEAT_TRY(take_list(cursor, walk->scratch, &list, err));
        union {
            struct leat_list_row *row;
            void *value;
        } first = { list.first };
        item->value = first.value;
    } else {
        item->value = leat__slice_bytes(table, walk->scratch, table->value_size, err);
        if (!item->value)
            return no_memory(table, err);
        memset(item->value, 0, table->value_size);
        LEAT_TRY(leat__value_read(table, walk->scratch, walk->value, false, item->value, err));
        LEAT_TRY(next_entry(cursor, err));
    }
    if (cursor->flags & LEAT_CURSOR_READ)
        return 0;
    if (walk->items_count == walk->items_capacity) {
        const uint32_t capacity = walk->items_capacity ? 2 * walk->items_capacity : 64;
        struct leat__walk_item *grown = leat__realloc(walk->items, capacity * sizeof *grown);
        if (!grown)
            return no_memory(table, err);
        walk->items = grown;
        walk->items_capacity = capacity;
    }
    const size_t before = walk->before.len;
    LEAT_TRY(picture(table, item->value, &walk->before, err));
    walk->items[walk->items_count++] =
        (struct leat__walk_item){ item->key, item->hash, item->value, before, walk->before.len - before };
    return 0;
}

/* What memory lacks of a partial slot. */
static int complete_slot(
    struct leat_cursor *cursor, unsigned char *slot, bool in_store, struct leat_error *err)
{
    struct leat__walk *walk = cursor->walk;
    struct leat_table *table = cursor->table;
    struct leat__slice *slice = cursor->slice;
    if (in_store && table->kind == LEAT_TABLE_LIST) {
        struct leat__list stored = { 0 };
        struct leat__list *list = leat__slot_value(table, slot);
        LEAT_TRY(take_list(cursor, slice, &stored, err));
        if (stored.first) {
            stored.last->next = list->first;
            list->first = stored.first;
            list->last = list->last ? list->last : stored.last;
        }
    } else if (in_store) {
        const bool newer = (leat__slot_word(slot) & LEAT__DIRTY) != 0;
        LEAT_TRY(leat__value_read(table, slice, walk->value, newer, leat__slot_value(table, slot), err));
        LEAT_TRY(next_entry(cursor, err));
    }
    leat__slot_set_word(
        slot, (leat__slot_word(slot) | (in_store ? LEAT__STORED : 0)) & ~(uint64_t)LEAT__PARTIAL);
    return 0;
}

/* A key that memory has. False in *given: it is no key. */
static int give_slot(struct leat_cursor *cursor, unsigned char *slot, bool in_store,
    struct leat_cursor_item *item, bool *given, struct leat_error *err)
{
    struct leat_table *table = cursor->table;
    if (leat__slot_word(slot) & LEAT__PARTIAL)
        LEAT_TRY(complete_slot(cursor, slot, in_store, err));
    else if (in_store)
        LEAT_TRY(skip_entry(cursor, err));
    *given = leat__slot_is_key(table, slot);
    if (!*given)
        return 0;
    void *value = leat__slot_value(table, slot);
    item->key = leat__slot_key(table, slot);
    item->hash = leat__hash(item->key.data, item->key.len);
    item->value = value;
    if (table->kind == LEAT_TABLE_LIST)
        item->value = ((struct leat__list *)value)->first;
    else if (leat__cursor_keeps(cursor->flags, table, cursor->slice, slot))
        return leat__slot_dirty(table, cursor->slice, slot, err);
    return 0;
}

/* 1 with the next item, or 0 at the end. */
static int give_one(struct leat_cursor *cursor, struct leat_cursor_item *item, struct leat_error *err)
{
    struct leat__walk *walk = cursor->walk;
    struct leat_table *table = cursor->table;
    for (bool given = false; !given;) {
        const bool in_memory = cursor->at < cursor->sorted_count;
        unsigned char *slot =
            in_memory ? leat__slice_at(table, cursor->slice, cursor->sorted[cursor->at].slot) : NULL;
        if (!in_memory && !walk->at_entry)
            return 0;
        const int order = !in_memory ? 1
            : !walk->at_entry        ? -1
                                     : leat_sv_cmp(leat__slot_key(table, slot), walk->bare);
        if (order > 0) {
            LEAT_TRY(give_stored(cursor, item, err));
            return 1;
        }
        cursor->at++;
        LEAT_TRY(give_slot(cursor, slot, order == 0, item, &given, err));
    }
    return 1;
}

int64_t leat__walk_next(
    struct leat_cursor *cursor, struct leat_cursor_item *items, uint32_t max, struct leat_error *err)
{
    struct leat__walk *walk = cursor->walk;
    struct leat_table *table = cursor->table;
    struct leat__slice *slice = cursor->slice;
    uint32_t count = 0;
    LEAT_TRY(leat__walk_keep(cursor, err));
    slice->tick = ++table->state->tick;
    LEAT_TRY(leat__state_room(table->state, table, NULL, 0, 0, err));
    if (!walk->fresh || walk->version != slice->version || walk->layout != slice->layout)
        LEAT_TRY(look_anew(cursor, err));
    while (count < max) {
        const int code = give_one(cursor, &items[count], err);
        if (code < 0)
            return code;
        if (code == 0)
            break;
        count++;
    }
    if (count > 0) {
        leat__strbuf_clear(&walk->last);
        leat__strbuf_add(&walk->last, items[count - 1].key.data, items[count - 1].key.len);
        if (walk->last.failed)
            return no_memory(table, err);
        walk->any = true;
    }
    return count;
}
