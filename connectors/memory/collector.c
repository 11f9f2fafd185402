/* connectors/memory/collector.c -- what memory sinks have collected, and how a program reads it.
 * collector_private.h has the idea.
 *
 * Reading. The first question after a part was given sorts the parts into an array with the number of records
 * before each; a record is then found by a binary search. Records are asked for one after the other as a
 * rule, so the part of the last answer is tried first. The index hangs on a pointer, so that questions need
 * no writable collector; they are asked by one thread. */
#include "base/alloc.h"
#include "connectors/memory/collector_private.h"
#include <stdlib.h>

struct entry {
    struct leat_collector_part *part;
    uint64_t before; /* records in the parts before it */
};

struct index {
    struct entry *entries;
    size_t count;
    size_t last; /* entry of the last answer */
    struct leat_collector_part *newest; /* head of the stack that was sorted */
    uint64_t records_count;
};

struct leat_collector {
    struct leat_collector_part *parts; /* atomic stack, newest first */
    struct index *index;
    uint32_t record_size; /* 0: no sink yet */
};

/* ---- parts ---- */

struct leat_collector_part *leat__collector_part_new(uint32_t node_id, uint32_t subtask)
{
    struct leat_collector_part *part = leat__calloc(1, sizeof *part);
    if (part) {
        part->node_id = node_id;
        part->subtask = subtask;
    }
    return part;
}

void leat__collector_part_free(struct leat_collector_part *part)
{
    if (!part)
        return;
    for (size_t i = 0; i < part->chunks_count; i++)
        leat__free(part->chunks[i]);
    leat__free(part->chunks);
    leat__arena_release(&part->arena);
    leat__free(part);
}

/* The place for one more record; NULL when out of memory. */
static struct leat_collected *next_place(struct leat_collector_part *part)
{
    const size_t chunk = (size_t)(part->count / LEAT_COLLECTED_ROWS);
    if (chunk == part->chunks_count) {
        if (chunk == part->chunks_capacity) {
            const size_t capacity = chunk ? 2 * chunk : 8;
            struct leat_collected **chunks = leat__realloc(part->chunks, capacity * sizeof *chunks);
            if (!chunks)
                return NULL;
            part->chunks = chunks;
            part->chunks_capacity = capacity;
        }
        part->chunks[chunk] = leat__calloc(LEAT_COLLECTED_ROWS, sizeof **part->chunks);
        if (!part->chunks[chunk])
            return NULL;
        part->chunks_count++;
    }
    return &part->chunks[chunk][part->count % LEAT_COLLECTED_ROWS];
}

int leat__collector_part_add(struct leat_collector_part *part, struct leat_copier *copier, bool is_timed,
    const struct leat_batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        const void *record = leat_batch_at(batch, i);
        struct leat_collected *place = next_place(part);
        void *copy = place ? leat__arena_alloc(&part->arena, leat__copy_size(copier, record)) : NULL;
        if (!copy)
            return LEAT_ENOMEM;
        leat__copy_to(copier, record, copy);
        place->record = copy;
        place->event_us = is_timed ? batch->event_us[i] : LEAT_TIME_MIN;
        place->change = leat__batch_change(batch, i);
        part->count++;
    }
    return 0;
}

void leat__collector_give(struct leat_collector *collector, struct leat_collector_part *part)
{
    if (part->given)
        return;
    part->given = true;
    part->next = __atomic_load_n(&collector->parts, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(
        &collector->parts, &part->next, part, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        ; /* part->next was set anew */
}

bool leat__collector_accepts(struct leat_collector *collector, const struct leat_type *type)
{
    if (collector->record_size == 0)
        collector->record_size = type->size;
    return collector->record_size == type->size;
}

/* ---- life ---- */

leat_collector *leat_collector_new(void)
{
    struct leat_collector *collector = leat__calloc(1, sizeof *collector);
    struct index *index = leat__calloc(1, sizeof *index);
    if (!collector || !index) {
        leat__free(collector);
        leat__free(index);
        return NULL;
    }
    collector->index = index;
    return collector;
}

void leat_collector_free(leat_collector *collector)
{
    if (!collector)
        return;
    struct leat_collector_part *part = __atomic_load_n(&collector->parts, __ATOMIC_ACQUIRE);
    while (part) {
        struct leat_collector_part *next = part->next;
        leat__collector_part_free(part);
        part = next;
    }
    leat__free(collector->index->entries);
    leat__free(collector->index);
    leat__free(collector);
}

/* ---- reading ---- */

static int compare_entries(const void *a, const void *b)
{
    const struct leat_collector_part *p = ((const struct entry *)a)->part,
                                     *q = ((const struct entry *)b)->part;
    if (p->node_id != q->node_id)
        return p->node_id < q->node_id ? -1 : 1;
    if (p->subtask != q->subtask)
        return p->subtask < q->subtask ? -1 : 1;
    return p->epoch < q->epoch ? -1 : p->epoch > q->epoch;
}

/* The index over all parts; NULL when out of memory. */
static struct index *find_index(const leat_collector *collector)
{
    struct index *index = collector->index;
    struct leat_collector_part *newest = __atomic_load_n(&collector->parts, __ATOMIC_ACQUIRE);
    if (newest == index->newest)
        return index;
    size_t count = 0;
    for (const struct leat_collector_part *part = newest; part; part = part->next)
        count++;
    struct entry *entries = leat__realloc(index->entries, count * sizeof *entries);
    if (!entries)
        return NULL;
    size_t i = count; /* oldest first, so that equal ones stay in the order they came */
    for (struct leat_collector_part *part = newest; part; part = part->next)
        entries[--i].part = part;
    qsort(entries, count, sizeof *entries, compare_entries);
    index->records_count = 0;
    for (i = 0; i < count; i++) {
        entries[i].before = index->records_count;
        index->records_count += entries[i].part->count;
    }
    index->entries = entries;
    index->count = count;
    index->last = 0;
    index->newest = newest;
    return index;
}

static const struct leat_collected *find(const leat_collector *collector, uint64_t i)
{
    struct index *index = find_index(collector);
    if (!index || i >= index->records_count)
        return NULL;
    const struct entry *entry = &index->entries[index->last];
    if (i < entry->before || i - entry->before >= entry->part->count) {
        size_t low = 0, high = index->count - 1; /* the last entry that begins at or before i */
        while (low < high) {
            const size_t middle = (low + high + 1) / 2;
            if (index->entries[middle].before <= i)
                low = middle;
            else
                high = middle - 1;
        }
        index->last = low;
        entry = &index->entries[low];
    }
    const uint64_t row = i - entry->before;
    return &entry->part->chunks[row / LEAT_COLLECTED_ROWS][row % LEAT_COLLECTED_ROWS];
}

uint64_t leat_collector_count(const leat_collector *collector)
{
    const struct index *index = find_index(collector);
    return index ? index->records_count : 0;
}

const void *leat_collector_record(const leat_collector *collector, uint64_t i)
{
    const struct leat_collected *found = find(collector, i);
    return found ? found->record : NULL;
}

int64_t leat_collector_event_us(const leat_collector *collector, uint64_t i)
{
    const struct leat_collected *found = find(collector, i);
    return found ? found->event_us : LEAT_TIME_MIN;
}

enum leat_change leat_collector_change(const leat_collector *collector, uint64_t i)
{
    const struct leat_collected *found = find(collector, i);
    return found ? (enum leat_change)found->change : LEAT_INSERT;
}
