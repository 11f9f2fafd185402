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

static uint32_t default_value_size(const struct leat_table_opts *opts)
{
    if (opts->kind == LEAT_TABLE_LIST)
        return sizeof(struct leat__list);
    return ((opts->value_size ? opts->value_size : 1) + 7u) & ~7u;
}

static int fill_table(struct leat_table *table, const struct leat_table_opts *opts)
{
    table->kind = opts->kind;
    table->codec = opts->codec;
    table->key_size = opts->key_size;
    table->int_keys = opts->key_size == 8;
    table->value_size = default_value_size(opts);
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
    *table = made;
    return 0;
}

void leat__table_close(struct leat_table *table)
{
    if (!table)
        return;
    for (uint32_t i = 0; i < table->slices_count; i++)
        leat__slice_free(table, table->slices[table->slices_head + i]);
    free_slice_headers(table);
    leat__cursors_free(table->cursors_free);
    leat__copier_free(table->copier);
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

int leat__table_drop(struct leat_table *table, int64_t ns, struct leat_error *err)
{
    const uint32_t i = lower_bound(table, ns);
    struct leat__slice **at = table->slices + table->slices_head + i;
    (void)err; /* memory does not fail to forget */
    if (i == table->slices_count || (*at)->ns != ns)
        return 0;
    struct leat__slice *slice = *at;
    /* Decays: one burst must not make all windows after it large. */
    table->keys_expected = slice->count > table->keys_expected / 4 ? slice->count : table->keys_expected / 4;
    table->keys_count -= slice->count;
    if (table->last == slice)
        table->last = NULL;
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
    return slice ? slice->count : 0;
}

uint64_t leat__table_keys_count_all(const struct leat_table *table)
{
    return table->keys_count;
}

/* ---- single keys ---- */

/* Closes the gap that a removed slot leaves: whatever was pushed past it moves back, until a slot is free. */
static void close_gap(const struct leat_table *table, struct leat__slice *slice, uint64_t gap)
{
    const size_t slot_size = table->slot_size;
    const uint64_t mask = slice->capacity - 1;
    for (uint64_t at = (gap + 1) & mask;; at = (at + 1) & mask) {
        uint64_t hash;
        memcpy(&hash, slice->slots + at * slot_size, sizeof hash);
        if (hash == 0)
            break;
        const uint64_t home = leat__slice_home(slice, hash);
        if (((at - home) & mask) >= ((at - gap) & mask)) {
            memcpy(slice->slots + gap * slot_size, slice->slots + at * slot_size, slot_size);
            gap = at;
        }
    }
    memset(slice->slots + gap * slot_size, 0, slot_size);
}

int leat__table_remove(
    struct leat_table *table, int64_t ns, struct leat_sv key, uint64_t hash, struct leat_error *err)
{
    struct leat__slice *slice = leat__slice_find(table, ns);
    const unsigned char *slot = slice ? leat__slice_slot(table, slice, key, hash) : NULL;
    (void)err;
    if (!slot)
        return 0;
    LEAT_ASSERT(slice->cursors_open == 0);
    close_gap(table, slice, (uint64_t)(slot - slice->slots) / table->slot_size);
    slice->count--;
    table->keys_count--;
    return 0;
}

void *leat__table_bytes(struct leat_table *table, int64_t ns, size_t size)
{
    struct leat__slice *slice = NULL;
    if (leat__slice_make(table, ns, &slice, NULL) < 0)
        return NULL;
    return leat__slice_bytes(table, slice, size, NULL);
}
