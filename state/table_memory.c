/* state/table_memory.c -- tables in memory: their namespaces in order of time, and the calls that need no
 * batch.
 *
 * Namespaces are few (the open windows) and come and go at the two ends: they stand in a sorted array whose
 * head moves, with the one used last at hand. A new one is sized after its predecessor in time and after
 * those that were dropped.
 *
 * Invariants: (1) slices[head .. head + count - 1] rise strictly by namespace; (2) `last` is one of them or
 * NULL; (3) keys_count is the sum of their counts. */
#include "base/alloc.h"
#include "base/hash.h"
#include "state/state_private.h"

static void free_slice_headers(struct leat_table *table)
{
    for (struct leat__slice *slice = table->slices_free, *next; slice; slice = next) {
        next = slice->next_free;
        leat__free(slice);
    }
}

/* Slots that are nearly whole cache lines become that. */
static uint32_t slot_size_of(uint32_t head_size, uint32_t value_size)
{
    const uint32_t size = head_size + value_size;
    const uint32_t lines = (size + 63u) & ~63u;
    return (lines - size) * 7 <= size ? lines : size;
}

static uint32_t default_value_size(const struct leat_table *table, const struct leat_table_opts *opts)
{
    if (opts->kind == LEAT_TABLE_LIST)
        return table->state->store_class ? sizeof(struct leat__list) : LEAT__LIST_BYTES_MEMORY;
    return ((opts->value_size ? opts->value_size : 1) + 7u) & ~7u;
}

static int fill_table(struct leat_table *table, const struct leat_table_opts *opts)
{
    table->kind = opts->kind;
    table->codec = opts->codec;
    table->key_size = opts->key_size;
    table->int_keys = opts->key_size == 8;
    table->value_size = default_value_size(table, opts);
    table->raw_size = opts->value_size;
    table->head_size = table->int_keys ? sizeof(struct leat__slot_int) : sizeof(struct leat__slot_bytes);
    table->slot_size = slot_size_of(table->head_size, table->value_size);
    table->straddles = (table->slot_size & (table->slot_size - 1)) != 0 || table->slot_size > 64;
    table->node = leat__strdup(opts->node);
    table->name = leat__strdup(opts->name);
    if (!table->node || !table->name)
        return LEAT_ENOMEM;
    table->salt =
        leat__hash(table->node, strlen(table->node)) * 31 + leat__hash(table->name, strlen(table->name));
    if (opts->kind == LEAT_TABLE_LIST) {
        table->row_size = opts->row_type->size;
        table->row_type = opts->row_type;
        return leat__copier_new(opts->row_type, &table->copier);
    }
    return 0;
}

int leat__table_open(struct leat_state *state, const struct leat_table_opts *opts, struct leat_table **table,
    struct leat_error *err)
{
    *table = NULL;
    if (!opts->node || !opts->name || (opts->kind != LEAT_TABLE_FIXED && opts->kind != LEAT_TABLE_LIST) ||
        (opts->kind == LEAT_TABLE_LIST && !opts->row_type))
        return leat__error(
            err, LEAT_EINVAL, "table: node, name, kind and, for lists, row_type must be given");
    struct leat_table *made = leat__calloc(1, sizeof *made);
    int code = LEAT_ENOMEM;
    if (made) {
        made->state = state;
        state->tables_count++;
        code = fill_table(made, opts);
    }
    if (code < 0) {
        leat__table_close(made);
        return leat__error(
            err, code, "state of \"%s\", table \"%s\": %s", opts->node, opts->name, leat_error_text(code));
    }
    if (state->store_class) {
        code = leat__restore_table(made, opts, err);
        if (code < 0) {
            leat__table_close(made);
            return code;
        }
    }
    *table = made;
    return 0;
}

/* The store's threads may be in the middle of a merge. */
static void retire_merger(struct leat_table *table)
{
    struct leat__merger *m = table->merger;
    if (!m)
        return;
    __atomic_store_n(&m->gone, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&m->users, __ATOMIC_SEQ_CST) > 0)
        ;
}

static void unlink_table(struct leat_table *table)
{
    struct leat_table **at = &table->state->tables;
    while (*at && *at != table)
        at = &(*at)->next;
    if (*at)
        *at = table->next;
}

void leat__table_close(struct leat_table *table)
{
    if (!table)
        return;
    if (table->state->store_class) {
        leat__snapshot_forget(table->state, table);
        retire_merger(table);
        unlink_table(table);
    }
    for (uint32_t i = 0; i < table->slices_count; i++)
        leat__slice_free(table, table->slices[table->slices_head + i]);
    free_slice_headers(table);
    leat__cursors_free(table->cursors_free);
    leat__copier_free(table->copier);
    leat__encoder_free(table->encoder);
    leat__decoder_free(table->decoder);
    leat__pool_free(table->pool);
    leat__free(table->key_text);
    leat__free(table->format);
    leat__free(table->schema);
    leat__free(table->slices);
    leat__free(table->values);
    leat__free(table->node);
    leat__free(table->name);
    table->state->tables_count--;
    leat__free(table);
}

/* ---- namespaces ---- */

/* The index, from the head, of the first slice with namespace >= ns. */
static uint32_t lower_bound(const struct leat_table *table, int64_t ns)
{
    struct leat__slice *const *slices = table->slices + table->slices_head;
    uint32_t low = 0;
    uint32_t high = table->slices_count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (slices[middle]->ns < ns)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct leat__slice *leat__slice_find(struct leat_table *table, int64_t ns)
{
    if (table->last && table->last->ns == ns)
        return table->last;
    const uint32_t i = lower_bound(table, ns);
    struct leat__slice *slice = i < table->slices_count ? table->slices[table->slices_head + i] : NULL;
    if (!slice || slice->ns != ns)
        return NULL;
    return table->last = slice;
}

/* Room for one more pointer behind the last; the head's gap is closed before memory is asked for. */
static int reserve_slices(struct leat_table *table)
{
    if (table->slices_head + table->slices_count < table->slices_capacity)
        return 0;
    if (table->slices_head > table->slices_capacity / 2) {
        memmove(
            table->slices, table->slices + table->slices_head, table->slices_count * sizeof *table->slices);
        table->slices_head = 0;
        return 0;
    }
    const uint32_t capacity = table->slices_capacity ? 2 * table->slices_capacity : 8;
    struct leat__slice **grown = leat__realloc(table->slices, capacity * sizeof *grown);
    if (!grown)
        return LEAT_ENOMEM;
    table->slices = grown;
    table->slices_capacity = capacity;
    return 0;
}

static void insert_slice(struct leat_table *table, uint32_t i, struct leat__slice *slice)
{
    struct leat__slice **at = table->slices + table->slices_head + i;
    memmove(at + 1, at, (table->slices_count - i) * sizeof *at);
    *at = slice;
    table->slices_count++;
}

int leat__slice_make(struct leat_table *table, int64_t ns, struct leat__slice **slice, struct leat_error *err)
{
    *slice = leat__slice_find(table, ns);
    if (*slice)
        return 0;
    const uint32_t i = lower_bound(table, ns);
    uint64_t expected = table->keys_expected;
    if (i > 0 && table->slices[table->slices_head + i - 1]->count > expected)
        expected = table->slices[table->slices_head + i - 1]->count;
    if (reserve_slices(table) < 0)
        return leat__error(
            err, LEAT_ENOMEM, "state of \"%s\", table \"%s\": out of memory", table->node, table->name);
    LEAT_TRY(leat__slice_new(table, ns, expected, slice, err));
    insert_slice(table, i, *slice);
    table->last = *slice;
    return 0;
}

/* What the store has of a namespace that is dropped goes when a snapshot does not need it any more; what the
 * snapshot still has to collect is kept apart. 1: the slice is kept. */
static int drop_stored(struct leat_table *table, struct leat__slice *slice, struct leat_error *err)
{
    struct leat_state *state = table->state;
    const bool held = leat__table_is_held(table);
    LEAT_TRY(leat__flat_give_up(table, slice, err));
    const bool kept = table->frozen && slice->dirty > 0;
    if (slice->stored || kept) {
        struct leat__op *op = leat__op_forget(table, slice->ns);
        if (!op)
            return leat__error(
                err, LEAT_ENOMEM, "state of \"%s\", table \"%s\": out of memory", table->node, table->name);
        if (held) { /* otherwise the snapshot has it (model: snapshot.pml, drops_before_run) */
            op->next = state->snapshot.forgets;
            state->snapshot.forgets = op;
        } else {
            leat__op_push(state, op);
        }
    }
    if (kept) {
        slice->hand = 0; /* where collecting has come to */
        slice->next_free = state->ghosts;
        state->ghosts = slice;
    }
    return kept;
}

int leat__table_drop(struct leat_table *table, int64_t ns, struct leat_error *err)
{
    const uint32_t i = lower_bound(table, ns);
    struct leat__slice **at = table->slices + table->slices_head + i;
    if (i == table->slices_count || (*at)->ns != ns)
        return 0;
    struct leat__slice *slice = *at;
    LEAT_ASSERT(slice->cursors_open == 0 && slice->walks_open == 0);
    const int kept = table->state->store_class ? drop_stored(table, slice, err) : 0;
    if (kept < 0)
        return kept;
    /* Decays: one burst must not make all windows after it large. */
    table->keys_expected = slice->count > table->keys_expected / 4 ? slice->count : table->keys_expected / 4;
    table->keys_count -= slice->keys;
    if (table->last == slice)
        table->last = NULL;
    if (!kept)
        leat__slice_free(table, slice);
    table->slices_count--;
    if (i == 0)
        table->slices_head++;
    else
        memmove(at, at + 1, (table->slices_count - i) * sizeof *at);
    leat__state_relax(table->state);
    return 0;
}

int leat__table_next_namespace(struct leat_table *table, int64_t from, int64_t *ns, struct leat_error *err)
{
    const uint32_t i = lower_bound(table, from);
    (void)err;
    if (i == table->slices_count)
        return 0;
    *ns = table->slices[table->slices_head + i]->ns;
    return 1;
}

uint64_t leat__table_keys_count(struct leat_table *table, int64_t ns)
{
    const struct leat__slice *slice = leat__slice_find(table, ns);
    return slice ? slice->keys : 0;
}

uint64_t leat__table_keys_count_all(const struct leat_table *table)
{
    return table->keys_count;
}

/* ---- single keys ---- */

static void forget_key(struct leat_table *table, struct leat__slice *slice)
{
    if (slice->keys > 0) { /* it is only an upper bound of what the store has */
        slice->keys--;
        table->keys_count--;
    }
}

/* With a store: a key that it may have stays in memory as void until that is written. */
static int remove_stored(struct leat_table *table, struct leat__slice *slice, unsigned char *slot,
    struct leat_sv key, uint64_t hash, struct leat_error *err)
{
    if (!slot) {
        if (!slice->incomplete)
            return 0;
        LEAT_TRY(leat__slice_reserve(table, slice, err));
        return leat__slice_insert(
            table, slice, key, hash, LEAT__VOID | LEAT__STORED | table->dirty_flags, &slot, err);
    }
    if (!leat__slot_is_key(table, slot) && (leat__slot_word(slot) & LEAT__VOID))
        return 0;
    if (leat__slot_is_frozen(table, leat__slot_word(slot)))
        LEAT_TRY(leat__slot_dirty(table, slice, slot, err));
    const uint64_t word = leat__slot_word(slot);
    forget_key(table, slice);
    if (!(word & (LEAT__STORED | LEAT__PARTIAL | LEAT__VOID))) {
        slice->dirty -= (word & LEAT__DIRTY) != 0;
        leat__slot_waste(table, slice, slot, true);
        leat__slice_close_gap(table, slice, slot);
        return 0;
    }
    LEAT_TRY(leat__slot_dirty(table, slice, slot, err));
    leat__slot_waste(table, slice, slot, false);
    memset(leat__slot_value(table, slot), 0, table->value_size);
    leat__slot_set_word(slot, (leat__slot_word(slot) | LEAT__VOID) & ~(uint64_t)LEAT__PARTIAL);
    return 0;
}

int leat__slot_remove(struct leat_table *table, struct leat__slice *slice, unsigned char *slot,
    struct leat_sv key, uint64_t hash, struct leat_error *err)
{
    if (table->state->store_class)
        return remove_stored(table, slice, slot, key, hash, err);
    if (!slot)
        return 0;
    leat__slot_waste(table, slice, slot, true);
    leat__slice_close_gap(table, slice, slot);
    forget_key(table, slice);
    return 0;
}

int leat__table_remove(
    struct leat_table *table, int64_t ns, struct leat_sv key, uint64_t hash, struct leat_error *err)
{
    struct leat__slice *slice = leat__slice_find(table, ns);
    if (!slice)
        return 0;
    LEAT_ASSERT(slice->cursors_open == 0);
    if (table->state->store_class) {
        slice->tick = ++table->state->tick;
        LEAT_TRY(leat__state_room(table->state, table, slice, 1, 0, err));
    }
    if (slice->compaction || (slice->garbage > 0 && leat__slice_is_wasteful(slice)))
        leat__slice_compact(table, slice, 1);
    return leat__slot_remove(table, slice, leat__slice_slot(table, slice, key, hash), key, hash, err);
}

void *leat__table_bytes(struct leat_table *table, int64_t ns, size_t size)
{
    struct leat__slice *slice = table->bytes_into;
    if (!slice && leat__slice_make(table, ns, &slice, NULL) < 0)
        return NULL;
    return leat__slice_bytes(table, slice, size, NULL);
}
