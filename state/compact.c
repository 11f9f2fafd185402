/* state/compact.c -- what is of no use in a namespace's arena comes back.
 *
 * An arena only grows: long keys that were removed, rows of lists that were, and bytes that no value shows any
 * more (leat__table_bytes_free) stay until the namespace is dropped or spilled. State that is kept by key for
 * ever would leak. So when half of an arena is of no use, everything that is of use moves to a new one: keys
 * and rows are copied, values encoded and decoded. Slots stay where they are. What it costs is paid for by the
 * bytes that were given up before.
 *
 * This happens at the begin of calls (no pointer lives longer), in pieces of slots, in their order: up to `at` nothing
 * shows the old arena any more. A slot that moves back over that place takes it along; one that moves on over it is
 * moved twice, which costs only memory. Without memory for the new arena both are kept. */
#include "base/alloc.h"
#include "state/state_private.h"

#define PIECE_SLOTS 16u /* for each key of a call */

bool leat__slice_is_wasteful(const struct leat__slice *slice)
{
    const uint64_t slots =
        (slice->slots_block ? slice->slots_block->size : 0) + (slice->old.block ? slice->old.block->size : 0);
    return slice->garbage >= slice->table->state->garbage_min && slice->garbage * 2 >= slice->bytes - slots &&
        slice->cursors_open == 0 && !slice->compaction;
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

static bool move_value(
    struct leat_table *table, struct leat__slice *slice, void *value, struct leat__spare *spare)
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
    struct leat_table *table, struct leat__slice *slice, unsigned char *slot, struct leat__spare *spare)
{
    if (!move_key(table, slice, slot))
        return false;
    if (table->kind == LEAT_TABLE_LIST)
        return move_rows(table, slice, leat__slot_value(table, slot));
    if (!table->codec.decode || !leat__slot_is_key(table, slot))
        return true;
    return move_value(table, slice, leat__slot_value(table, slot), spare);
}

/* ---- the pieces ---- */

static void end_compaction(struct leat_table *table, struct leat__slice *slice)
{
    struct leat__compaction *c = slice->compaction;
    for (struct leat__block *chunk = c->chunks, *next; chunk; chunk = next) {
        next = chunk->next;
        slice->bytes -= chunk->size;
        leat__block_give(table->state, chunk);
    }
    c->chunks = NULL;
    leat__compaction_free(slice);
}

void leat__slice_keep_arena(struct leat__slice *slice)
{
    if (!slice->compaction)
        return;
    struct leat__block **end = &slice->chunks;
    while (*end)
        end = &(*end)->next;
    *end = slice->compaction->chunks;
    slice->compaction->chunks = NULL;
    leat__compaction_free(slice);
}

void leat__compaction_free(struct leat__slice *slice)
{
    struct leat__compaction *c = slice->compaction;
    LEAT_ASSERT(c->chunks == NULL);
    leat__free(c->spare.value);
    leat__strbuf_release(&c->spare.bytes);
    leat__free(c);
    slice->compaction = NULL;
}

/* Without memory for it the arena stays as it is. */
static void begin_compaction(struct leat_table *table, struct leat__slice *slice)
{
    slice->garbage = 0;
    struct leat__compaction *c = leat__calloc(1, sizeof *c);
    if (!c)
        return;
    slice->compaction = c;
    c->spare.value = leat__malloc(table->value_size);
    if (!c->spare.value) {
        leat__compaction_free(slice);
        return;
    }
    c->chunks = slice->chunks;
    slice->chunks = NULL;
    slice->arena_at = slice->arena_end = NULL;
}

void leat__slice_compact(struct leat_table *table, struct leat__slice *slice, uint64_t keys)
{
    if (!slice->compaction)
        begin_compaction(table, slice);
    struct leat__compaction *c = slice->compaction;
    if (!c || slice->cursors_open > 0 || slice->walks_open > 0)
        return;
    const uint64_t all = leat__slice_extent(slice);
    const uint64_t most = all > table->state->compact_at_once ? keys * PIECE_SLOTS : all;
    for (uint64_t i = 0; i < most && c->at < all; i++, c->at++) {
        unsigned char *slot = leat__slice_at(table, slice, c->at);
        if (leat__slot_word(slot) != 0 && !move_slot(table, slice, slot, &c->spare)) {
            leat__slice_keep_arena(slice);
            break;
        }
    }
    slice->version++;
    if (slice->compaction && c->at >= all)
        end_compaction(table, slice);
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
        slice->garbage += leat__row_bytes(row);
}
