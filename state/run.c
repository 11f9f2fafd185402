/* state/run.c -- entries on their way to the store: gathered in any order, sorted, written at once.
 *
 * An entry is head (table, namespace), key, value in one buffer, and a small record of it. Filled on the worker;
 * sorted and written by a task: first by the rank of the head among the few of the run and by the first eight bytes
 * of the key, byte by byte; those that are equal in these by their whole keys.
 *
 * Invariant: no two entries of a run have the same key; a broken one is found by the check after sorting. */
#include "base/alloc.h"
#include "base/assert.h"
#include "state/state_private.h"
#include <stdlib.h>

#define SORTED_LENGTH 12u
#define ENTRIES_MIN 256u
#define ENTRY_BYTES 128u /* of a small entry, all told */
#define DIGITS 12u /* bytes of order and rank */
#define PREFETCH_AHEAD 16u
#define WRITING_BYTES \
    56u /* of an entry while its run is sorted and written, beside its record: an item, and how the
                            store wants it */

int leat__run_new(size_t bytes, struct leat__run **run)
{
    *run = leat__calloc(1, sizeof **run);
    if (!*run)
        return LEAT_ENOMEM;
    (*run)->group = UINT32_MAX;
    /* Once, as for small entries: what grows is copied, on the worker. Pages that stay untouched are none. */
    (*run)->capacity = bytes / ENTRY_BYTES < ENTRIES_MIN ? ENTRIES_MIN : (uint32_t)(bytes / ENTRY_BYTES);
    (*run)->entries = leat__malloc((*run)->capacity * sizeof *(*run)->entries);
    if (!(*run)->entries || !leat__strbuf_reserve(&(*run)->data, bytes / 2)) {
        leat__run_free(*run);
        *run = NULL;
        return LEAT_ENOMEM;
    }
    return 0;
}

void leat__run_free(struct leat__run *run)
{
    if (!run)
        return;
    leat__strbuf_release(&run->data);
    leat__free(run->entries);
    leat__free(run->groups);
    leat__free(run);
}

size_t leat__run_bytes(const struct leat__run *run)
{
    return run->data.len + (size_t)run->count * (sizeof(struct leat__run_entry) + WRITING_BYTES);
}

bool leat__run_group(struct leat__run *run, const char head[LEAT__STORE_HEAD])
{
    if (run->group < run->groups_count && memcmp(run->groups[run->group].head, head, LEAT__STORE_HEAD) == 0)
        return true;
    for (uint32_t i = run->groups_count; i > 0; i--)
        if (memcmp(run->groups[i - 1].head, head, LEAT__STORE_HEAD) == 0) {
            run->group = i - 1;
            return true;
        }
    if (run->groups_count == run->groups_capacity) {
        const uint32_t capacity = run->groups_capacity ? 2 * run->groups_capacity : 8;
        struct leat__run_group *grown = leat__realloc(run->groups, capacity * sizeof *grown);
        if (!grown)
            return false;
        run->groups = grown;
        run->groups_capacity = capacity;
    }
    run->group = run->groups_count++;
    struct leat__run_group *group = &run->groups[run->group];
    memcpy(group->head, head, LEAT__STORE_HEAD);
    group->index = run->group;
    return true;
}

static uint64_t order_of(const char *key, size_t len)
{
    uint64_t order = 0;
    memcpy(&order, key, len < sizeof order ? len : sizeof order);
    return __builtin_bswap64(order);
}

static bool begin(struct leat__run *run, struct leat_sv key, size_t more, enum leat_store_write write)
{
    if (run->count == run->capacity) {
        const uint32_t capacity = 2 * run->capacity;
        struct leat__run_entry *grown = leat__realloc(run->entries, capacity * sizeof *grown);
        if (!grown)
            return false;
        run->entries = grown;
        run->capacity = capacity;
    }
    struct leat_strbuf *data = &run->data;
    const size_t len = LEAT__STORE_HEAD + key.len + more;
    if (!leat__strbuf_reserve(data, len))
        return false;
    run->entries[run->count] = (struct leat__run_entry){
        .offset = data->len, .group = run->group, .write = (uint32_t)write, .key_len = (uint32_t)len
    };
    memcpy(data->data + data->len, run->groups[run->group].head, LEAT__STORE_HEAD);
    if (key.len)
        memcpy(data->data + data->len + LEAT__STORE_HEAD, key.data, key.len);
    data->len += len;
    return true;
}

bool leat__run_begin(struct leat__run *run, struct leat_sv key, enum leat_store_write write)
{
    return begin(run, key, 0, write);
}

bool leat__run_begin_segment(
    struct leat__run *run, struct leat_sv key, uint32_t segment, enum leat_store_write write)
{
    if (!begin(run, key, LEAT__SEGMENT_BYTES, write))
        return false;
    segment = __builtin_bswap32(segment);
    memcpy(run->data.data + run->data.len - sizeof segment, &segment, sizeof segment);
    return true;
}

bool leat__run_end(struct leat__run *run)
{
    struct leat__run_entry *entry = &run->entries[run->count];
    const size_t at = (size_t)entry->offset + entry->key_len;
    if (run->data.failed || run->data.len - at > UINT32_MAX) {
        run->data.len = (size_t)entry->offset;
        run->data.failed = false;
        return false;
    }
    entry->value_len = (uint32_t)(run->data.len - at);
    entry->order =
        order_of(run->data.data + entry->offset + LEAT__STORE_HEAD, entry->key_len - LEAT__STORE_HEAD);
    run->count++;
    return true;
}

/* ---- sorting ---- */

/* What is moved about while sorting. */
struct item {
    uint64_t order;
    uint32_t rank; /* of its group */
    uint32_t index; /* of its entry */
};
_Static_assert(WRITING_BYTES == sizeof(struct item) + sizeof(struct leat_store_entry), "as arrange takes it");

static int compare_groups(const void *a, const void *b)
{
    return memcmp(((const struct leat__run_group *)a)->head, ((const struct leat__run_group *)b)->head,
        LEAT__STORE_HEAD);
}

static int make_items(struct leat__run *run, struct item *items)
{
    uint32_t *ranks = leat__malloc(run->groups_count * sizeof *ranks);
    if (!ranks)
        return LEAT_ENOMEM;
    qsort(run->groups, run->groups_count, sizeof *run->groups, compare_groups);
    for (uint32_t i = 0; i < run->groups_count; i++)
        ranks[run->groups[i].index] = i;
    for (uint32_t i = 0; i < run->count; i++)
        items[i] = (struct item){ run->entries[i].order, ranks[run->entries[i].group], i };
    leat__free(ranks);
    return 0;
}

static struct leat_sv item_key(const struct leat__run *run, const struct item *item)
{
    const struct leat__run_entry *entry = &run->entries[item->index];
    return (struct leat_sv){ run->data.data + entry->offset, entry->key_len };
}

static bool is_tie(const struct item *a, const struct item *b)
{
    return a->rank == b->rank && a->order == b->order;
}

static bool sorts_before(const struct leat__run *run, const struct item *a, const struct item *b)
{
    if (a->rank != b->rank)
        return a->rank < b->rank;
    if (a->order != b->order)
        return a->order < b->order;
    return leat_sv_cmp(item_key(run, a), item_key(run, b)) < 0;
}

static uint32_t digit_of(const struct item *item, uint32_t digit)
{
    return digit < 8 ? (uint32_t)(item->order >> 8 * digit) & 255u : (item->rank >> 8 * (digit - 8)) & 255u;
}

/* Sorts by rank and order, byte by byte from the last; bytes that are the same in all cost nothing. The result
 * is in *items. */
static void sort_by_digits(struct item **items, struct item **spare, uint32_t count)
{
    uint64_t differ = 0;
    uint32_t differ_rank = 0;
    for (uint32_t i = 1; i < count; i++) {
        differ |= (*items)[i].order ^ (*items)[0].order;
        differ_rank |= (*items)[i].rank ^ (*items)[0].rank;
    }
    const struct item differing = { differ, differ_rank, 0 };
    for (uint32_t digit = 0; digit < DIGITS; digit++) {
        uint32_t at[256] = { 0 }, sum = 0;
        if (digit_of(&differing, digit) == 0)
            continue;
        for (uint32_t i = 0; i < count; i++)
            at[digit_of(&(*items)[i], digit)]++;
        for (uint32_t d = 0; d < 256; d++) {
            const uint32_t n = at[d];
            at[d] = sum;
            sum += n;
        }
        for (uint32_t i = 0; i < count; i++)
            (*spare)[at[digit_of(&(*items)[i], digit)]++] = (*items)[i];
        struct item *sorted = *spare;
        *spare = *items;
        *items = sorted;
    }
}

static void sort_short(const struct leat__run *run, struct item *items, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        const struct item item = items[i];
        uint32_t at = i;
        for (; at > 0 && sorts_before(run, &item, &items[at - 1]); at--)
            items[at] = items[at - 1];
        items[at] = item;
    }
}

static void merge(
    const struct leat__run *run, const struct item *from, uint32_t middle, uint32_t end, struct item *to)
{
    uint32_t left = 0, right = middle;
    for (uint32_t i = 0; i < end; i++) {
        const bool take_right =
            right < end && (left == middle || sorts_before(run, &from[right], &from[left]));
        to[i] = take_right ? from[right++] : from[left++];
    }
}

/* Sorts by whole keys, in place. */
static void sort_by_keys(const struct leat__run *run, struct item *items, struct item *spare, uint32_t count)
{
    struct item *from = items, *to = spare;
    for (uint32_t i = 0; i < count; i += SORTED_LENGTH)
        sort_short(run, from + i, count - i < SORTED_LENGTH ? count - i : SORTED_LENGTH);
    for (uint32_t width = SORTED_LENGTH; width < count; width *= 2) {
        for (uint32_t i = 0; i < count; i += 2 * width) {
            const uint32_t end = count - i < 2 * width ? count - i : 2 * width;
            merge(run, from + i, width < end ? width : end, end, to + i);
        }
        struct item *merged = to;
        to = from;
        from = merged;
    }
    if (from != items)
        memcpy(items, from, count * sizeof *items);
}

static void sort(const struct leat__run *run, struct item **items, struct item **spare)
{
    const uint32_t count = run->count;
    uint32_t sorted = 1;
    while (sorted < count && !sorts_before(run, &(*items)[sorted], &(*items)[sorted - 1]))
        sorted++;
    if (sorted >= count)
        return;
    sort_by_digits(items, spare, count);
    for (uint32_t from = 0, to; from < count; from = to) {
        for (to = from + 1; to < count && is_tie(&(*items)[from], &(*items)[to]);)
            to++;
        if (to - from > 1)
            sort_by_keys(run, *items + from, *spare + from, to - from);
    }
}

static void fill_entries(
    const struct leat__run *run, const struct item *items, struct leat_store_entry *entries)
{
    for (uint32_t i = 0; i < run->count; i++) {
        if (i + PREFETCH_AHEAD < run->count)
            __builtin_prefetch(&run->entries[items[i + PREFETCH_AHEAD].index]);
        const struct leat__run_entry *e = &run->entries[items[i].index];
        const char *key = run->data.data + e->offset;
        LEAT_ASSERT(i == 0 || sorts_before(run, &items[i - 1], &items[i]));
        entries[i] = (struct leat_store_entry){ { key, e->key_len }, { key + e->key_len, e->value_len },
            (enum leat_store_write)e->write };
    }
}

/* The entries in order, in memory of their own. NULL: no memory. */
static struct leat_store_entry *arrange(struct leat__run *run)
{
    struct item *items = leat__malloc(run->count * sizeof *items);
    struct item *spare = leat__malloc(run->count * sizeof *spare);
    struct leat_store_entry *entries = NULL;
    if (items && spare && make_items(run, items) == 0) {
        sort(run, &items, &spare);
        leat__free(spare);
        spare = NULL;
        entries = leat__malloc(run->count * sizeof *entries);
        if (entries)
            fill_entries(run, items, entries);
    }
    leat__free(items);
    leat__free(spare);
    return entries;
}

int leat__run_write(struct leat__run *run, struct leat_store *store, struct leat_error *err)
{
    if (run->count == 0)
        return 0;
    struct leat_store_entry *entries = arrange(run);
    if (!entries)
        return leat__error(err, LEAT_ENOMEM, "out of memory for writing %u entries", run->count);
    const int code = store->store_class->write(store, entries, run->count, err);
    leat__free(entries);
    return code;
}
