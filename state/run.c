/* state/run.c -- entries on their way to the store: gathered in any order, sorted, written at once.
 *
 * An entry is head (table, namespace), key, value in one buffer, and a small record to sort by: the rank of
 * its head among the few of the run, the first eight bytes of the key, then the keys themselves. Filled on
 * the worker, sorted and written by a task.
 *
 * Invariant: no two entries of a run have the same key; a broken one is found by the check after sorting. */
#include "base/alloc.h"
#include "base/assert.h"
#include "state/state_private.h"
#include <stdlib.h>

#define SORTED_LENGTH 12u

int leat__run_new(size_t bytes, struct leat__run **run)
{
    *run = leat__calloc(1, sizeof **run);
    if (!*run)
        return LEAT_ENOMEM;
    (*run)->group = UINT32_MAX;
    if (!leat__strbuf_reserve(&(*run)->data, bytes / 4)) { /* a small entry has more record than bytes */
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
    /* Beside the record there will be its spare for sorting and the entry as the store wants it. */
    return run->data.len +
        (size_t)run->count * (2 * sizeof(struct leat__run_entry) + sizeof(struct leat_store_entry));
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
    group->rank = 0;
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
        const uint32_t capacity = run->capacity ? 2 * run->capacity : 256;
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

static int compare_groups(const void *a, const void *b)
{
    return memcmp(((const struct leat__run_group *)a)->head, ((const struct leat__run_group *)b)->head,
        LEAT__STORE_HEAD);
}

/* From here on the group of an entry is its rank. */
static int rank_groups(struct leat__run *run)
{
    uint32_t *ranks = leat__malloc(run->groups_count * sizeof *ranks);
    if (!ranks)
        return LEAT_ENOMEM;
    qsort(run->groups, run->groups_count, sizeof *run->groups, compare_groups);
    for (uint32_t i = 0; i < run->groups_count; i++)
        ranks[run->groups[i].index] = i;
    for (uint32_t i = 0; i < run->count; i++)
        run->entries[i].group = ranks[run->entries[i].group];
    leat__free(ranks);
    return 0;
}

static bool sorts_before(
    const struct leat__run *run, const struct leat__run_entry *a, const struct leat__run_entry *b)
{
    if (a->group != b->group)
        return a->group < b->group;
    if (a->order != b->order)
        return a->order < b->order;
    return leat_sv_cmp((struct leat_sv){ run->data.data + a->offset, a->key_len },
               (struct leat_sv){ run->data.data + b->offset, b->key_len }) < 0;
}

static void sort_short(const struct leat__run *run, struct leat__run_entry *entries, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        const struct leat__run_entry entry = entries[i];
        uint32_t at = i;
        for (; at > 0 && sorts_before(run, &entry, &entries[at - 1]); at--)
            entries[at] = entries[at - 1];
        entries[at] = entry;
    }
}

static void merge(const struct leat__run *run, const struct leat__run_entry *from, uint32_t middle,
    uint32_t end, struct leat__run_entry *to)
{
    uint32_t left = 0, right = middle;
    for (uint32_t i = 0; i < end; i++) {
        const bool take_right =
            right < end && (left == middle || sorts_before(run, &from[right], &from[left]));
        to[i] = take_right ? from[right++] : from[left++];
    }
}

static int sort(struct leat__run *run)
{
    const uint32_t count = run->count;
    uint32_t sorted = 1;
    if (rank_groups(run) < 0)
        return LEAT_ENOMEM;
    while (sorted < count && !sorts_before(run, &run->entries[sorted], &run->entries[sorted - 1]))
        sorted++;
    if (sorted >= count)
        return 0;
    struct leat__run_entry *from = run->entries;
    struct leat__run_entry *to = leat__malloc(count * sizeof *to);
    if (!to)
        return LEAT_ENOMEM;
    for (uint32_t i = 0; i < count; i += SORTED_LENGTH)
        sort_short(run, from + i, count - i < SORTED_LENGTH ? count - i : SORTED_LENGTH);
    for (uint32_t width = SORTED_LENGTH; width < count; width *= 2) {
        for (uint32_t i = 0; i < count; i += 2 * width) {
            const uint32_t end = count - i < 2 * width ? count - i : 2 * width;
            merge(run, from + i, width < end ? width : end, end, to + i);
        }
        struct leat__run_entry *merged = to;
        to = from;
        from = merged;
    }
    run->entries = from;
    leat__free(to);
    return 0;
}

int leat__run_write(struct leat__run *run, struct leat_store *store, struct leat_error *err)
{
    if (run->count == 0)
        return 0;
    if (sort(run) < 0)
        return leat__error(err, LEAT_ENOMEM, "out of memory for sorting %u entries", run->count);
    struct leat_store_entry *entries = leat__malloc(run->count * sizeof *entries);
    if (!entries)
        return leat__error(err, LEAT_ENOMEM, "out of memory for writing %u entries", run->count);
    for (uint32_t i = 0; i < run->count; i++) {
        const struct leat__run_entry *e = &run->entries[i];
        const char *key = run->data.data + e->offset;
        LEAT_ASSERT(i == 0 || sorts_before(run, e - 1, e));
        entries[i] = (struct leat_store_entry){ { key, e->key_len }, { key + e->key_len, e->value_len },
            (enum leat_store_write)e->write };
    }
    const int code = store->store_class->write(store, entries, run->count, err);
    leat__free(entries);
    return code;
}
