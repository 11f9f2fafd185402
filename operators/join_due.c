/* operators/join_due.c -- when keys are due: a heap of times, of bounded size.
 *
 * When it has too many entries the later half goes, and complete_us says from where on they are missing. One entry of
 * a key is enough: whoever takes it out looks at all rows of the key and adds the next. So a key whose entry is known
 * to be in the heap, and to be due before, needs no other; `recent` remembers some of those.
 *
 * Invariants: (1) heap[i] is not later than heap[2i + 1] and heap[2i + 2]; (2) no entry is later than complete_us;
 * (3) entries of `recent` are in the heap unless their time has been taken out. */
#include "base/alloc.h"
#include "operators/join_interval_private.h"
#include <stdlib.h>
#include <string.h>

#define ENTRIES_MAX 65536u
#define KEY_BYTES_MAX ((size_t)16 << 20)
#define RECENT 1024u

static void forget_recent(struct leat__due *w)
{
    if (w->seen)
        memset(w->seen, 0, RECENT / 64 * sizeof *w->seen);
}

void leat__due_clear(struct leat__due *w)
{
    w->count = 0;
    w->keys_live = 0;
    leat__strbuf_clear(&w->keys);
    w->complete_us = LEAT_TIME_MAX;
    forget_recent(w);
}

void leat__due_free(struct leat__due *w)
{
    leat__free(w->heap);
    leat__free(w->recent);
    leat__free(w->seen);
    leat__strbuf_release(&w->keys);
}

static void swap(struct leat__due_entry *a, struct leat__due_entry *b)
{
    const struct leat__due_entry c = *a;
    *a = *b;
    *b = c;
}

static void sift_up(struct leat__due *w, uint32_t i)
{
    for (; i > 0 && w->heap[i].time_us < w->heap[(i - 1) / 2].time_us; i = (i - 1) / 2)
        swap(&w->heap[i], &w->heap[(i - 1) / 2]);
}

static void sift_down(struct leat__due *w)
{
    for (uint32_t i = 0;;) {
        uint32_t least = i;
        for (uint32_t child = 2 * i + 1; child <= 2 * i + 2 && child < w->count; child++)
            if (w->heap[child].time_us < w->heap[least].time_us)
                least = child;
        if (least == i)
            return;
        swap(&w->heap[i], &w->heap[least]);
        i = least;
    }
}

void leat__due_pop(struct leat__due *w)
{
    LEAT_ASSERT(w->count > 0);
    w->keys_live -= w->heap[0].key_len;
    w->heap[0] = w->heap[--w->count];
    sift_down(w);
    if (w->count == 0) {
        leat__strbuf_clear(&w->keys);
        forget_recent(w);
    }
}

static int compare(const void *a, const void *b)
{
    const struct leat__due_entry *x = a, *y = b;
    return x->time_us < y->time_us ? -1 : x->time_us > y->time_us;
}

/* Only the keys of entries stay, in a string of their own. */
static int renew_keys(struct leat__due *w)
{
    struct leat_strbuf keys = { 0 };
    if (!leat__strbuf_reserve(&keys, 2 * w->keys_live))
        return LEAT_ENOMEM;
    for (uint32_t i = 0; i < w->count; i++) {
        struct leat__due_entry *entry = &w->heap[i];
        const struct leat_sv key = leat__due_key(w, entry);
        entry->key_at = (uint32_t)keys.len;
        leat__strbuf_add(&keys, key.data, key.len);
    }
    leat__strbuf_release(&w->keys);
    w->keys = keys;
    forget_recent(w); /* it shows the old ones */
    return 0;
}

/* The later half goes, with all of the time at which it begins. (2) */
static int shrink(struct leat__due *w)
{
    qsort(w->heap, w->count, sizeof *w->heap, compare);
    const int64_t cut_us = w->heap[w->count / 2].time_us;
    uint32_t stay = w->count / 2;
    while (stay > 0 && w->heap[stay - 1].time_us == cut_us)
        stay--;
    for (uint32_t i = stay; i < w->count; i++)
        w->keys_live -= w->heap[i].key_len;
    w->count = stay;
    w->complete_us = cut_us - 1; /* no underflow: what is due at the first time is given at once */
    return renew_keys(w);
}

static int reserve(struct leat__due *w)
{
    if (!w->recent) {
        w->recent = leat__calloc(RECENT, sizeof *w->recent);
        w->seen = leat__calloc(RECENT / 64, sizeof *w->seen);
        if (!w->recent || !w->seen)
            return LEAT_ENOMEM;
    }
    if (w->count == ENTRIES_MAX || w->keys_live > KEY_BYTES_MAX)
        return shrink(w);
    if (w->keys.len > 65536 && w->keys.len > 4 * w->keys_live)
        LEAT_TRY(renew_keys(w));
    if (w->count < w->capacity)
        return 0;
    const uint32_t larger = w->capacity ? 2 * w->capacity : 64;
    struct leat__due_entry *grown = leat__realloc(w->heap, larger * sizeof *grown);
    if (!grown)
        return LEAT_ENOMEM;
    w->heap = grown;
    w->capacity = larger;
    return 0;
}

/* Whether an entry of the key that is not later is in the heap. */
static bool is_known(
    const struct leat__due *w, int64_t time_us, struct leat_sv key, uint64_t hash, int64_t given_us)
{
    const uint32_t i = hash % RECENT;
    const struct leat__due_entry *entry = &w->recent[i];
    return w->seen[i / 64] >> (i % 64) & 1 && entry->hash == hash && entry->time_us <= time_us &&
        entry->time_us > given_us && entry->time_us <= w->complete_us &&
        leat_sv_eq(leat__due_key(w, entry), key);
}

int leat__due_add(struct leat__due *w, int64_t time_us, struct leat_sv key, uint64_t hash, int64_t given_us)
{
    if (time_us > w->complete_us)
        return 0;
    LEAT_TRY(reserve(w));
    if (time_us > w->complete_us || is_known(w, time_us, key, hash, given_us))
        return 0;
    const size_t at = w->keys.len;
    if (!leat__strbuf_reserve(&w->keys, key.len)) /* an empty key has an address, too */
        return LEAT_ENOMEM;
    leat__strbuf_add(&w->keys, key.data, key.len);
    const struct leat__due_entry entry = { time_us, hash, (uint32_t)at, (uint32_t)key.len };
    w->heap[w->count++] = entry;
    w->keys_live += key.len;
    sift_up(w, w->count - 1);
    w->recent[hash % RECENT] = entry;
    w->seen[hash % RECENT / 64] |= UINT64_C(1) << (hash % RECENT % 64);
    return 0;
}
