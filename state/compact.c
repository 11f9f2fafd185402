/* state/compact.c -- what is of no use in a namespace's arena comes back.
 *
 * An arena only grows: long keys that were removed, rows of lists that were, and bytes that no value shows any
 * more (leat__table_bytes_free) stay until the namespace is dropped or spilled. State that is kept by key for
 * ever would leak. So when half of an arena is of no use, everything that is of use moves to a new one: keys
 * and rows are copied, values encoded and decoded. Slots stay where they are. What it costs is paid for by the
 * bytes that were given up before.
 *
 * This happens at the begin of calls: no pointer lives longer. Without memory for the new arena nothing happens,
 * and both are kept. */
#include "base/alloc.h"
#include "state/state_private.h"

#define GARBAGE_MIN (256u * 1024u)

bool leat__slice_is_wasteful(const struct leat__slice *slice)
{
    const uint64_t slots = slice->slots_block ? slice->slots_block->size : 0;
    return slice->garbage >= GARBAGE_MIN && slice->garbage * 2 >= slice->bytes - slots &&
        slice->cursors_open == 0;
}

static bool move_key(struct leat_table *table, struct leat__slice *slice, unsigned char *slot)
{
    struct leat__slot_bytes *s = (struct leat__slot_bytes *)(void *)slot;
    if (table->int_keys || s->len <= LEAT__KEY_INLINE_MAX)
        return true;
    char *bytes = leat__slice_bytes(table, slice, s->len, NULL);
    if (!bytes)
        return false;
    s->at.data = memcpy(bytes, s->at.data, s->len);
    return true;
}

/* Memory of one value, in both forms. */
struct spare {
    void *value;
    struct leat_strbuf bytes;
};

static bool move_value(struct leat_table *table, struct leat__slice *slice, void *value, struct spare *spare)
{
    struct leat_strbuf *scratch = &spare->bytes;
    void *fresh = spare->value;
    leat__strbuf_clear(scratch);
    if (table->codec.encode(table->codec.arg, value, scratch) < 0 || scratch->failed)
        return false;
    memset(fresh, 0, table->value_size);
    table->bytes_into = slice;
    const int code =
        table->codec.decode(table->codec.arg, table, slice->ns, scratch->data, scratch->len, fresh);
    table->bytes_into = NULL;
    if (code < 0)
        return false;
    memcpy(value, fresh, table->value_size);
    return true;
}

static bool move_rows(struct leat_table *table, struct leat__slice *slice, struct leat__list *list)
{
    const struct leat_list_row *unwritten = table->state->store_class ? list->unwritten : NULL;
    struct leat__list moved = { 0 };
    for (const struct leat_list_row *row = list->first; row; row = row->next) {
        if (leat__list_add(table, slice, &moved, row->record, row->event_us, *row->flags, NULL) < 0)
            return false;
        if (row == unwritten)
            moved.unwritten = moved.last;
    }
    list->first = moved.first;
    list->last = moved.last;
    if (table->state->store_class)
        list->unwritten = moved.unwritten;
    return true;
}

static bool move_slot(
    struct leat_table *table, struct leat__slice *slice, unsigned char *slot, struct spare *spare)
{
    if (!move_key(table, slice, slot))
        return false;
    if (table->kind == LEAT_TABLE_LIST)
        return move_rows(table, slice, leat__slot_value(table, slot));
    if (!table->codec.decode || !leat__slot_is_key(table, slot))
        return true;
    return move_value(table, slice, leat__slot_value(table, slot), spare);
}

static void give_chunks(struct leat_table *table, struct leat__slice *slice, struct leat__block *chunks)
{
    for (struct leat__block *next; chunks; chunks = next) {
        next = chunks->next;
        slice->bytes -= chunks->size;
        leat__block_give(table->state, chunks);
    }
}

void leat__slice_compact(struct leat_table *table, struct leat__slice *slice)
{
    struct leat__block *old = slice->chunks;
    struct spare spare = { .value = leat__malloc(table->value_size) };
    slice->garbage = 0;
    if (!spare.value)
        return;
    slice->chunks = NULL;
    slice->arena_at = slice->arena_end = NULL;
    bool all = true;
    for (uint64_t i = 0; all && i < slice->capacity; i++) {
        unsigned char *slot = slice->slots + i * table->slot_size;
        all = leat__slot_word(slot) == 0 || move_slot(table, slice, slot, &spare);
    }
    leat__free(spare.value);
    leat__strbuf_release(&spare.bytes);
    slice->version++;
    if (all) {
        give_chunks(table, slice, old);
        return;
    }
    struct leat__block **end = &slice->chunks;
    while (*end)
        end = &(*end)->next;
    *end = old;
}

/* ---- counting ---- */

void leat__table_bytes_free(struct leat_table *table, int64_t ns, size_t size)
{
    struct leat__slice *slice = size ? leat__slice_find(table, ns) : NULL;
    if (slice)
        slice->garbage += (size + 7) & ~(size_t)7;
}

void leat__slot_waste(
    const struct leat_table *table, struct leat__slice *slice, unsigned char *slot, bool with_key)
{
    const struct leat__slot_bytes *s = (const struct leat__slot_bytes *)(const void *)slot;
    if (with_key && !table->int_keys && s->len > LEAT__KEY_INLINE_MAX)
        slice->garbage += (s->len + 7u) & ~7u;
    if (table->kind != LEAT_TABLE_LIST)
        return;
    const struct leat__list *list = leat__slot_value(table, slot);
    for (const struct leat_list_row *row = list->first; row; row = row->next)
        slice->garbage += LEAT__ROW_HEAD_BYTES + leat__copy_size(table->copier, row->record);
}
