/* bench/nexmark/hand/hand.c -- the list of the loops, and what several of them use. */
#include "bench/nexmark/hand/hand.h"
#include "q0_out.h"
#include "q10_out.h"
#include "q11_out.h"
#include "q12_out.h"
#include "q13_out.h"
#include "q14_out.h"
#include "q15_out.h"
#include "q16_out.h"
#include "q17_out.h"
#include "q19_out.h"
#include "q1_out.h"
#include "q20_out.h"
#include "q21_out.h"
#include "q22_out.h"
#include "q2_out.h"
#include "q3_out.h"
#include "q4_out.h"
#include "q5_out.h"
#include "q6_out.h"
#include "q7_out.h"
#include "q8_out.h"
#include "q9_out.h"
#include <stdio.h>
#include <stdlib.h>

#define SLOTS_FIRST 1024u
#define STORE_BYTES (1u << 20) /* of a block */

const struct hand_query hand_queries[] = {
    { "q0", hand_q0, &q0_out_type },
    { "q1", hand_q1, &q1_out_type },
    { "q2", hand_q2, &q2_out_type },
    { "q3", hand_q3, &q3_out_type },
    { "q4", hand_q4, &q4_out_type },
    { "q5", hand_q5, &q5_out_type },
    { "q6", hand_q6, &q6_out_type },
    { "q7", hand_q7, &q7_out_type },
    { "q8", hand_q8, &q8_out_type },
    { "q9", hand_q9, &q9_out_type },
    { "q10", hand_q10, &q10_out_type },
    { "q11", hand_q11, &q11_out_type },
    { "q12", hand_q12, &q12_out_type },
    { "q13", hand_q13, &q13_out_type },
    { "q14", hand_q14, &q14_out_type },
    { "q15", hand_q15, &q15_out_type },
    { "q16", hand_q16, &q16_out_type },
    { "q17", hand_q17, &q17_out_type },
    { "q18", hand_q18, &bid_type },
    { "q19", hand_q19, &q19_out_type },
    { "q20", hand_q20, &q20_out_type },
    { "q21", hand_q21, &q21_out_type },
    { "q22", hand_q22, &q22_out_type },
};
const size_t hand_queries_count = sizeof hand_queries / sizeof hand_queries[0];

void *hand_alloc(size_t size)
{
    void *p = calloc(1, size);
    if (!p) {
        (void)fprintf(stderr, "nexmark: out of memory\n");
        exit(1);
    }
    return p;
}

static void make_slots(struct hand_table *t, size_t slots)
{
    t->slots = slots;
    t->count = 0;
    t->keys = hand_alloc(2 * slots * sizeof *t->keys);
    t->used = hand_alloc(slots);
    t->values = hand_alloc(slots * t->value_size);
}

void hand_table_init(struct hand_table *t, size_t value_size)
{
    t->value_size = value_size;
    make_slots(t, SLOTS_FIRST);
}

void hand_table_free(struct hand_table *t)
{
    free(t->keys);
    free(t->used);
    free(t->values);
}

void hand_table_clear(struct hand_table *t)
{
    memset(t->used, 0, t->slots);
    memset(t->values, 0, t->slots * t->value_size);
    t->count = 0;
}

void hand_table_grow(struct hand_table *t)
{
    struct hand_table old = *t;
    make_slots(t, 2 * old.slots);
    for (size_t i = 0; i < old.slots; i++)
        if (old.used[i])
            memcpy(hand_find(t, old.keys[2 * i], old.keys[2 * i + 1], true), old.values + i * old.value_size,
                old.value_size);
    hand_table_free(&old);
}

/* What was pushed past the slot moves back. */
void hand_remove(struct hand_table *t, int64_t a, int64_t b)
{
    const size_t mask = t->slots - 1;
    unsigned char *value = hand_find(t, a, b, false);
    if (!value)
        return;
    size_t gap = (size_t)(value - t->values) / t->value_size;
    for (size_t at = (gap + 1) & mask; t->used[at]; at = (at + 1) & mask) {
        const size_t home = hand_hash(t->keys[2 * at], t->keys[2 * at + 1]) & mask;
        if (((at - home) & mask) < ((at - gap) & mask))
            continue;
        memcpy(&t->keys[2 * gap], &t->keys[2 * at], 2 * sizeof *t->keys);
        memcpy(t->values + gap * t->value_size, t->values + at * t->value_size, t->value_size);
        gap = at;
    }
    t->used[gap] = 0;
    memset(t->values + gap * t->value_size, 0, t->value_size);
    t->count--;
}

/* ---- texts that are kept ---- */

struct hand_store_block {
    struct hand_store_block *next;
};

char *hand_store_get(struct hand_store *store, size_t size)
{
    if (size > (size_t)(store->end - store->at)) {
        const size_t bytes = sizeof *store->blocks + (size > STORE_BYTES ? size : STORE_BYTES);
        struct hand_store_block *block = malloc(bytes);
        if (!block)
            abort();
        block->next = store->blocks;
        store->blocks = block;
        store->at = (char *)(block + 1);
        store->end = (char *)block + bytes;
    }
    store->at += size;
    return store->at - size;
}

void hand_store_free(struct hand_store *store)
{
    for (struct hand_store_block *block = store->blocks, *next; block; block = next) {
        next = block->next;
        free(block);
    }
}

/* ---- dates ---- */

static char *put_digits(char *to, int64_t value, int digits)
{
    for (int i = digits - 1; i >= 0; i--, value /= 10)
        to[i] = (char)('0' + value % 10);
    return to + digits;
}

struct leat_sv hand_day_text(int64_t day, char text[HAND_TEXT])
{
    const int64_t since = day + 719468, in_era = since % 146097;
    const int64_t year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    const int64_t in_year = in_era - (365 * year + year / 4 - year / 100), month = (5 * in_year + 2) / 153;
    char *at = put_digits(text, since / 146097 * 400 + year + (month >= 10), 4);
    *at++ = '-';
    at = put_digits(at, month < 10 ? month + 3 : month - 9, 2);
    *at++ = '-';
    (void)put_digits(at, in_year - (153 * month + 2) / 5 + 1, 2);
    return (struct leat_sv){ text, 10 };
}

struct leat_sv hand_minute_text(int64_t ms, char text[HAND_TEXT])
{
    char *at = put_digits(text, ms / 3600000 % 24, 2);
    *at++ = ':';
    (void)put_digits(at, ms / 60000 % 60, 2);
    return (struct leat_sv){ text, 5 };
}

/* ---- changes ---- */

void hand_note(struct hand_changed *c, int64_t a, int64_t b)
{
    if (c->count == c->capacity) {
        c->capacity = c->capacity * 2 + 1024;
        c->keys = realloc(c->keys, 2 * c->capacity * sizeof *c->keys);
        if (!c->keys)
            abort();
    }
    c->keys[2 * c->count] = a;
    c->keys[2 * c->count++ + 1] = b;
}
