/* bench/bench_table.c -- what a counted event costs in a keyed table, beside a loop written by hand for it.
 *
 *   bench_table [seconds per line, default 0.4]
 *
 * Events come in batches of 1,024 keys, hashed beforehand (the keyed edge does that). "hand" is linear
 * probing over slots { key, count } with a prefetch 16 ahead and nothing else: no namespaces, no growth in
 * the loop, no errors. Steady: the keys exist. Slices: windows of distinct keys are filled from empty and
 * dropped, sized after the one before ("presized"), or every time from nothing ("growing"). */
#include "base/env.h"
#include "base/hash.h"
#include "state/state.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define BATCH 1024u
#define DRAWS (1u << 22) /* pre-drawn events */

static uint64_t random_state = 88172645463325252u;
static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

struct events {
    uint32_t key_size; /* 8 or 16 */
    char *bytes;
    struct leat_sv *keys;
    uint64_t *hashes;
};

static void *must(void *p)
{
    if (!p) {
        fputs("bench_table: out of memory\n", stderr);
        exit(1);
    }
    return p;
}

static struct events events_new(uint32_t key_size)
{
    return (struct events){ key_size, must(calloc(DRAWS, 16)), must(calloc(DRAWS, sizeof(struct leat_sv))),
        must(calloc(DRAWS, sizeof(uint64_t))) };
}

static void events_set(struct events *events, uint32_t i, uint64_t key)
{
    char *bytes = events->bytes + (size_t)i * 16;
    if (events->key_size == 8) {
        const uint64_t canonical = __builtin_bswap64(key ^ (UINT64_C(1) << 63));
        memcpy(bytes, &canonical, 8);
    } else {
        char text[24];
        snprintf(text, sizeof text, "customer%08llu", (unsigned long long)key);
        memcpy(bytes, text, 16);
    }
    events->keys[i] = (struct leat_sv){ bytes, events->key_size };
    events->hashes[i] = leat__hash(bytes, events->key_size);
}

/* Zipf of exponent 0.99 by rejection (W. Hörmann, G. Derflinger: rejection-inversion). */
static uint64_t zipf(uint64_t n)
{
    const double s = 0.99;
    const double q = 1 - s;
    const double h_n = (pow((double)n + 0.5, q) - 1) / q;
    const double h_1 = (pow(1.5, q) - 1) / q - 1;
    for (;;) {
        const double u = h_n + (double)(next_random() >> 11) * 0x1p-53 * (h_1 - h_n);
        const double x = pow(1 + u * q, 1 / q);
        const double k = floor(x + 0.5);
        if (k < 1)
            continue;
        if (u >= (pow(k + 0.5, q) - 1) / q - pow(k, -s))
            return (uint64_t)k - 1;
    }
}

static void events_draw(struct events *events, uint64_t keys, bool zipfian)
{
    for (uint32_t i = 0; i < DRAWS; i++) {
        const uint64_t k = zipfian ? zipf(keys) : next_random() % keys;
        events_set(events, i, k * UINT64_C(2654435761) % 99999989); /* spread the popular ones */
    }
}

static double now_s(void)
{
    struct leat_env *env = leat__env_posix();
    return (double)env->mono_ns(env) * 1e-9;
}

static struct leat_table *open_table(struct leat_state *state, uint32_t key_size)
{
    struct leat_table *table = NULL;
    struct leat_error err = { 0 };
    const struct leat_table_opts opts = { .node = "bench",
        .name = "counts",
        .kind = LEAT_TABLE_FIXED,
        .key_size = key_size == 8 ? 8 : 0,
        .value_size = 8 };
    if (leat__table_open(state, &opts, &table, &err) < 0) {
        fprintf(stderr, "bench_table: %s\n", err.message);
        exit(1);
    }
    return table;
}

static void count_batch(
    struct leat_table *table, int64_t ns, const struct events *events, uint32_t from, uint32_t count)
{
    void *values[BATCH];
    struct leat_error err = { 0 };
    if (leat__table_upsert(table, ns, events->keys + from, events->hashes + from, NULL, count, values, &err) <
        0) {
        fprintf(stderr, "bench_table: %s\n", err.message);
        exit(1);
    }
    for (uint32_t i = 0; i < count; i++)
        ++*(uint64_t *)values[i];
}

/* ---- the loops by hand ---- */

struct hand_slot8 {
    uint64_t key, count;
};
struct hand_slot16 {
    uint64_t hash;
    char key[16];
    uint64_t count;
};
struct hand {
    uint64_t mask;
    struct hand_slot8 *slots8;
    struct hand_slot16 *slots16;
};

static void hand_batch8(struct hand *hand, const struct events *events, uint32_t from)
{
    for (uint32_t i = 0; i < BATCH; i++) {
        if (i + 16 < BATCH)
            __builtin_prefetch(&hand->slots8[events->hashes[from + i + 16] & hand->mask], 1);
        uint64_t key;
        memcpy(&key, events->keys[from + i].data, 8);
        uint64_t at = events->hashes[from + i] & hand->mask;
        while (hand->slots8[at].key != key && hand->slots8[at].count != 0)
            at = (at + 1) & hand->mask;
        hand->slots8[at].key = key;
        hand->slots8[at].count++;
    }
}

static void hand_batch16(struct hand *hand, const struct events *events, uint32_t from)
{
    for (uint32_t i = 0; i < BATCH; i++) {
        if (i + 16 < BATCH)
            __builtin_prefetch(&hand->slots16[events->hashes[from + i + 16] & hand->mask], 1);
        const char *key = events->keys[from + i].data;
        const uint64_t hash = events->hashes[from + i];
        uint64_t at = hash & hand->mask;
        while (hand->slots16[at].count != 0 &&
            (hand->slots16[at].hash != hash || memcmp(hand->slots16[at].key, key, 16) != 0))
            at = (at + 1) & hand->mask;
        hand->slots16[at].hash = hash;
        memcpy(hand->slots16[at].key, key, 16);
        hand->slots16[at].count++;
    }
}

static struct hand hand_new(uint32_t key_size, uint64_t keys)
{
    uint64_t capacity = 16;
    while (capacity * 3 / 5 < keys)
        capacity *= 2;
    struct hand hand = { capacity - 1, NULL, NULL };
    if (key_size == 8)
        hand.slots8 = must(calloc(capacity, sizeof *hand.slots8));
    else
        hand.slots16 = must(calloc(capacity, sizeof *hand.slots16));
    return hand;
}

/* ---- lines ---- */

static double time_hand(const struct events *events, uint64_t keys, double seconds)
{
    struct hand hand = hand_new(events->key_size, keys);
    uint64_t done = 0;
    double begin = 0;
    for (int pass = 0; pass < 2; pass++) { /* the first one makes the keys */
        begin = now_s();
        done = 0;
        do {
            for (uint32_t from = 0; from < DRAWS; from += BATCH) {
                if (events->key_size == 8)
                    hand_batch8(&hand, events, from);
                else
                    hand_batch16(&hand, events, from);
            }
            done += DRAWS;
        } while (pass == 1 && now_s() - begin < seconds);
    }
    const double ns = (now_s() - begin) * 1e9 / (double)done;
    free(hand.slots8);
    free(hand.slots16);
    return ns;
}

static double time_table(const struct events *events, double seconds, uint64_t *keys_live)
{
    struct leat_state *state = NULL;
    if (leat__state_new(NULL, &state, NULL) < 0)
        exit(1);
    struct leat_table *table = open_table(state, events->key_size);
    uint64_t done = 0;
    double begin = 0;
    for (int pass = 0; pass < 2; pass++) {
        begin = now_s();
        done = 0;
        do {
            for (uint32_t from = 0; from < DRAWS; from += BATCH)
                count_batch(table, 0, events, from, BATCH);
            done += DRAWS;
        } while (pass == 1 && now_s() - begin < seconds);
    }
    const double ns = (now_s() - begin) * 1e9 / (double)done;
    *keys_live = leat__table_keys_count(table, 0);
    leat__table_close(table);
    leat__state_free(state);
    return ns;
}

/* Windows of `keys` distinct keys, each seen once: the dearest event there is. */
static double time_slices(const struct events *events, uint32_t keys, bool presized, double seconds)
{
    struct leat_state *state = NULL;
    struct leat_table *table = NULL;
    uint64_t done = 0;
    double total = 0;
    int64_t ns = 0;
    while (total < seconds) {
        if (!table) {
            if (leat__state_new(NULL, &state, NULL) < 0)
                exit(1);
            table = open_table(state, events->key_size);
        }
        const double begin = now_s();
        for (uint32_t from = 0; from < keys; from += BATCH)
            count_batch(table, ns, events, from, keys - from < BATCH ? keys - from : BATCH);
        if (leat__table_drop(table, ns++, NULL) < 0)
            exit(1);
        if (!presized || ns > 1) { /* the first one has nothing before it */
            total += now_s() - begin;
            done += keys;
        }
        if (!presized) {
            leat__table_close(table);
            leat__state_free(state);
            table = NULL;
        }
    }
    if (table) {
        leat__table_close(table);
        leat__state_free(state);
    }
    return total * 1e9 / (double)done;
}

int main(int argc, char **argv)
{
    const double seconds = argc > 1 ? strtod(argv[1], NULL) : 0.4;
    const uint64_t key_counts[] = { 1000, 100000, 10000000 };
    for (uint32_t key_size = 8; key_size <= 16; key_size += 8) {
        struct events events = events_new(key_size);
        for (uint32_t zipfian = 0; zipfian <= 1; zipfian++)
            for (uint32_t k = 0; k < 3; k++) {
                uint64_t live = 0;
                events_draw(&events, key_counts[k], zipfian);
                const double table = time_table(&events, seconds, &live);
                const double hand = time_hand(&events, live, seconds);
                printf(
                    "table/count key=%uB keys=%llu dist=%s live=%llu: %.1f ns/event, hand %.1f, ratio %.2f\n",
                    key_size, (unsigned long long)key_counts[k], zipfian ? "zipf" : "uniform",
                    (unsigned long long)live, table, hand, table / hand);
            }
        for (uint32_t i = 0; i < DRAWS; i++)
            events_set(&events, i, i * UINT64_C(2654435761) % 99999989);
        const uint32_t sizes[] = { 1000, 100000, 3000000 };
        for (uint32_t s = 0; s < 3; s++) {
            const double growing = time_slices(&events, sizes[s], false, seconds);
            const double presized = time_slices(&events, sizes[s], true, seconds);
            printf("table/slices key=%uB keys=%u: presized %.1f ns/event, growing %.1f, ratio %.2f\n",
                key_size, sizes[s], presized, growing, presized / growing);
        }
        free(events.bytes);
        free(events.keys);
        free(events.hashes);
    }
    return 0;
}
