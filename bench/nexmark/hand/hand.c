/* bench/nexmark/hand/hand.c -- the list of the loops, and their table. */
#include "bench/nexmark/hand/hand.h"
#include "q0_out.h"
#include "q11_out.h"
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
#include "q5_out.h"
#include "q7_out.h"
#include "q8_out.h"
#include "q9_out.h"
#include <stdio.h>
#include <stdlib.h>

#define SLOTS_FIRST 1024u

const struct hand_query hand_queries[] = {
    { "q0", hand_q0, &q0_out_type },
    { "q1", hand_q1, &q1_out_type },
    { "q2", hand_q2, &q2_out_type },
    { "q3", hand_q3, &q3_out_type },
    { "q5", hand_q5, &q5_out_type },
    { "q7", hand_q7, &q7_out_type },
    { "q8", hand_q8, &q8_out_type },
    { "q9", hand_q9, &q9_out_type },
    { "q11", hand_q11, &q11_out_type },
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
