/* bench/bench_table.c -- what a counted event costs in a keyed table, beside a loop written by hand for it; and
 * what a store on disk adds: when it is only there, when keys do not fit, and while a snapshot is taken.
 *
 *   bench_table [seconds per line, default 0.4] [count|store|over|pause|large [n]]
 *
 * count  the table in memory against the loop by hand
 * store  the same table with a store configured, in turns with one that has none (time of this thread)
 * over   ten times the keys that the budget holds, against a get and a put per event on the same store
 * pause  the longest pieces of work on the worker while a snapshot of n MiB (default 100) is taken (time of this
 *        thread, but for "in all")
 * large  n million keys (default 50) in a budget of 256 MiB: time, count, resident memory
 *
 * Events come in batches of 1,024 keys, hashed beforehand (the keyed edge does that). "hand" is linear
 * probing over slots { key, count } with a prefetch 16 ahead and nothing else: no namespaces, no growth in
 * the loop, no errors. Steady: the keys exist. Slices: windows of distinct keys are filled from empty and
 * dropped, sized after the one before ("presized"), or every time from nothing ("growing"). */
#include "base/env.h"
#include "base/hash.h"
#include "state/state.h"
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

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

/* Processor time of all threads: what can be compared on a machine that does other things. */
static double cpu_s(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

/* Of this thread alone: what RocksDB's threads and other programs do is not in it. */
static double thread_s(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
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

/* ---- with a store ---- */

struct thread_task {
    pthread_t thread;
    struct leat_task *task;
    bool running;
};
static struct thread_task thread_task;

static void *run_thread(void *arg)
{
    struct thread_task *t = arg;
    t->task->run(t->task);
    __atomic_store_n(&t->task->done, 1, __ATOMIC_RELEASE);
    return NULL;
}

/* A state has one task at a time. */
static void submit(void *arg, struct leat_task *task)
{
    (void)arg;
    if (thread_task.running)
        (void)pthread_join(thread_task.thread, NULL);
    thread_task.task = task;
    thread_task.running = true;
    if (pthread_create(&thread_task.thread, NULL, run_thread, &thread_task) != 0)
        exit(1);
}

static void wait_for(void *arg, struct leat_task *task)
{
    (void)arg;
    (void)task;
    if (thread_task.running)
        (void)pthread_join(thread_task.thread, NULL);
    thread_task.running = false;
}

static struct leat_background background = { NULL, submit, wait_for };
static char work_dir[] = "/tmp/leat-bench-table-XXXXXX";
static uint32_t work_dirs;

static const char *new_dir(char path[128])
{
    snprintf(path, 128, "%s/%u", work_dir, work_dirs++);
    return path;
}

static void check(int code, const struct leat_error *err)
{
    if (code < 0) {
        fprintf(stderr, "bench_table: %s\n", err->message);
        exit(1);
    }
}

static int add_counts(void *arg, struct leat_sv older, struct leat_sv newer, struct leat_strbuf *out)
{
    uint64_t a, b;
    (void)arg;
    if (older.len != sizeof a || newer.len != sizeof b)
        return LEAT_EDATA;
    memcpy(&a, older.data, sizeof a);
    memcpy(&b, newer.data, sizeof b);
    a += b;
    leat__strbuf_add(out, &a, sizeof a);
    return 0;
}

static struct leat_state *stored_state(uint64_t budget_bytes, bool merges, struct leat_table **table)
{
    struct leat_state *state = NULL;
    struct leat_error err = { 0 };
    char dir[128];
    const struct leat_state_opts opts = { .budget_bytes = budget_bytes,
        .key_groups = 128,
        .env = leat__env_posix(),
        .store_class = &leat__store_rocksdb,
        .dir = new_dir(dir),
        .background = &background };
    check(leat__state_new(&opts, &state, &err), &err);
    struct leat_table_opts table_opts = { .node = "bench",
        .name = "counts",
        .kind = LEAT_TABLE_FIXED,
        .key_size = 8,
        .value_size = 8,
        .format = "count" };
    if (merges)
        table_opts.codec.merge = add_counts;
    check(leat__table_open(state, &table_opts, table, &err), &err);
    return state;
}

static void count_blind(struct leat_table *table, const struct events *events, uint32_t from, uint32_t count)
{
    void *values[BATCH];
    struct leat_error err = { 0 };
    check(leat__table_upsert_blind(
              table, 0, events->keys + from, events->hashes + from, NULL, count, values, &err),
        &err);
    for (uint32_t i = 0; i < count; i++)
        ++*(uint64_t *)values[i];
}

/* A whole snapshot; the longest piece of it on this thread. */
static double take_snapshot(struct leat_state *state)
{
    struct leat_error err = { 0 };
    char dir[128];
    double longest = 0;
    leat__state_freeze(state, "bench");
    check(leat__state_snapshot(state, new_dir(dir), &err), &err);
    for (int done = 0; !done;) {
        const double from = now_s();
        int code = leat__state_snapshot_step(state, &err);
        check(code, &err);
        if (code == 0) {
            done = code = leat__state_snapshot_poll(state, &err);
            check(code, &err);
        }
        if (now_s() - from > longest)
            longest = now_s() - from;
        const struct timespec nap = { 0, 200000 };
        if (!done && code == 0)
            (void)nanosleep(&nap, NULL);
    }
    leat__state_snapshot_end(state);
    return longest;
}

static double time_pass(struct leat_table *table, const struct events *events)
{
    const double begin = thread_s();
    for (uint32_t from = 0; from < DRAWS; from += BATCH)
        count_batch(table, 0, events, from, BATCH);
    return thread_s() - begin;
}

/* In turns, so that a busy machine is busy for both: the medians of the passes. */
static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

#define PASSES 5u
static void bench_store(const struct events *events, uint64_t keys, bool zipfian)
{
    struct leat_state *plain = NULL, *stored;
    struct leat_table *plain_table, *stored_table;
    double without[PASSES], with[PASSES], after[PASSES];
    if (leat__state_new(NULL, &plain, NULL) < 0)
        exit(1);
    plain_table = open_table(plain, 8);
    stored = stored_state(0, false, &stored_table);
    (void)time_pass(plain_table, events);
    (void)time_pass(stored_table, events);
    for (uint32_t i = 0; i < PASSES; i++) {
        without[i] = time_pass(plain_table, events);
        with[i] = time_pass(stored_table, events);
    }
    for (uint32_t i = 0; i < PASSES; i++) { /* every slot is clean again at first */
        (void)take_snapshot(stored);
        after[i] = time_pass(stored_table, events);
    }
    qsort(without, PASSES, sizeof *without, by_value);
    qsort(with, PASSES, sizeof *with, by_value);
    qsort(after, PASSES, sizeof *after, by_value);
    const double ns = 1e9 / DRAWS;
    printf(
        "table/store keys=%llu dist=%s: %.1f ns/event without, %.1f with (ratio %.2f), %.1f in the %u events "
        "after a snapshot (ratio %.2f)\n",
        (unsigned long long)keys, zipfian ? "zipf" : "uniform", without[PASSES / 2] * ns,
        with[PASSES / 2] * ns, with[PASSES / 2] / without[PASSES / 2], after[PASSES / 2] * ns, DRAWS,
        after[PASSES / 2] / without[PASSES / 2]);
    leat__table_close(plain_table);
    leat__state_free(plain);
    leat__table_close(stored_table);
    leat__state_free(stored);
}

/* Bytes that the process has read or written by calls so far. */
static uint64_t io_bytes(const char *what)
{
    char line[128];
    unsigned long long bytes = 0;
    FILE *file = fopen("/proc/self/io", "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, what, strlen(what)) == 0)
            bytes = strtoull(line + strlen(what), NULL, 10);
    if (file)
        (void)fclose(file);
    return bytes;
}

static double time_get_put(const struct events *events, double seconds, double *cpu_ns)
{
    struct leat_store *store = NULL;
    struct leat_error err = { 0 };
    char dir[128];
    const struct leat_store_opts opts = {
        .env = leat__env_posix(), .dir = new_dir(dir), .memory_bytes = 6 << 20
    };
    check(leat__store_rocksdb.open(&opts, &store, &err), &err);
    uint64_t done = 0;
    const double begin = now_s(), cpu = cpu_s();
    while (now_s() - begin < seconds)
        for (uint32_t i = 0; i < BATCH; i++, done++) {
            const struct leat_sv key = events->keys[done % DRAWS];
            struct leat_sv value = { NULL, 0 };
            uint64_t count = 0;
            check(leat__store_rocksdb.get(store, &key, 1, &value, &err), &err);
            if (value.data)
                memcpy(&count, value.data, sizeof count);
            count++;
            const struct leat_store_entry entry = { key, { (const char *)&count, sizeof count },
                LEAT_STORE_PUT };
            check(leat__store_rocksdb.write(store, &entry, 1, &err), &err);
        }
    *cpu_ns = (cpu_s() - cpu) * 1e9 / (double)done;
    const double ns = (now_s() - begin) * 1e9 / (double)done;
    leat__store_rocksdb.close(store);
    return ns;
}

static void bench_over(const struct events *events, const char *dist, double seconds, bool blind)
{
    /* 3e6 keys take 24 bytes a slot at 0.45 load: 160 MB; the tables get a tenth. */
    struct leat_table *table;
    struct leat_state *state = stored_state((uint64_t)25 << 20, blind, &table);
    struct leat_snapshot_stats stats;
    uint64_t done = 0;
    const uint64_t written = io_bytes("wchar: "), read = io_bytes("rchar: ");
    const double begin = now_s(), cpu = cpu_s();
    double get_put_cpu;
    while (now_s() - begin < seconds)
        for (uint32_t i = 0; i < 16; i++, done += BATCH) {
            if (blind)
                count_blind(table, events, (uint32_t)(done % DRAWS), BATCH);
            else
                count_batch(table, 0, events, (uint32_t)(done % DRAWS), BATCH);
        }
    const double ns = (now_s() - begin) * 1e9 / (double)done;
    const double cpu_ns = (cpu_s() - cpu) * 1e9 / (double)done;
    const uint64_t bytes_written = io_bytes("wchar: ") - written, bytes_read = io_bytes("rchar: ") - read;
    leat__state_snapshot_stats(state, &stats);
    const double get_put = time_get_put(events, seconds, &get_put_cpu);
    printf("table/over dist=%s %s: %.0f ns/event, get+put %.0f (%.1f times; processor %.0f and %.0f, %.1f "
           "times), %.2f entries spilled/event, "
           "%.1f bytes written and %.1f read per dirty byte\n",
        dist, blind ? "blind" : "reading", ns, get_put, get_put / ns, cpu_ns, get_put_cpu,
        get_put_cpu / cpu_ns, (double)stats.dirty_entries / (double)done,
        (double)bytes_written / (double)(stats.dirty_bytes + 1),
        (double)bytes_read / (double)(stats.dirty_bytes + 1));
    leat__table_close(table);
    leat__state_free(state);
}

/* ---- snapshots ---- */

static void touch_keys(
    struct leat_table *table, struct events *events, uint64_t from, uint64_t to, uint64_t step)
{
    uint32_t n = 0;
    for (uint64_t k = from; k < to; k += step) {
        events_set(events, n++, k);
        if (n == BATCH || k + step >= to) {
            count_batch(table, 0, events, 0, n);
            n = 0;
        }
    }
}

#define PIECES_MAX 1000000u
static void bench_pause(struct events *events, uint64_t mib, uint32_t every)
{
    struct leat_table *table;
    struct leat_error err = { 0 };
    struct leat_state *state = stored_state(0, false, &table);
    const uint64_t keys = (mib << 20) / 24 * 6 / 10; /* a full array of that size */
    double *pieces = must(malloc(PIECES_MAX * sizeof *pieces));
    uint32_t count = 0;
    char dir[128];
    touch_keys(table, events, 0, keys, 1);
    if (every > 1) {
        (void)take_snapshot(state);
        touch_keys(table, events, 0, keys, every);
    }
    const double begin = now_s(), cpu = cpu_s(), frozen = thread_s();
    leat__state_freeze(state, "bench");
    pieces[count++] = thread_s() - frozen;
    check(leat__state_snapshot(state, new_dir(dir), &err), &err);
    double collected = 0;
    for (int done = 0; !done && count < PIECES_MAX;) {
        const double from = thread_s();
        int code = leat__state_snapshot_step(state, &err);
        check(code, &err);
        if (code == 0) {
            done = leat__state_snapshot_poll(state, &err);
            check(done, &err);
        }
        pieces[count] = thread_s() - from;
        if (pieces[count] > 5e-6) {
            collected += pieces[count];
            count++;
        }
        struct timespec nap = { 0, 200000 };
        if (code == 0)
            (void)nanosleep(&nap, NULL);
    }
    const double total = now_s() - begin, cpu_all = cpu_s() - cpu;
    struct leat_snapshot_stats stats;
    leat__state_snapshot_stats(state, &stats);
    leat__state_snapshot_end(state);
    qsort(pieces, count, sizeof *pieces, by_value);
    printf("table/pause %llu MiB, %.0f%% dirty: %u pieces, p50 %.2f ms, p99 %.2f ms, longest %.2f ms; on the "
           "worker "
           "%.0f ns, in all %.0f ns (processor %.0f) per dirty entry (%llu entries, %.2f s)\n",
        (unsigned long long)mib, 100.0 / every, count, pieces[count / 2] * 1e3,
        pieces[count - 1 - count / 100] * 1e3, pieces[count - 1] * 1e3,
        collected * 1e9 / (double)stats.dirty_entries, total * 1e9 / (double)stats.dirty_entries,
        cpu_all * 1e9 / (double)stats.dirty_entries, (unsigned long long)stats.dirty_entries, total);
    free(pieces);
    leat__table_close(table);
    leat__state_free(state);
}

/* ---- far beyond the budget ---- */

static uint64_t resident_bytes(void)
{
    unsigned long long pages = 0;
    char line[128];
    FILE *file = fopen("/proc/self/statm", "r");
    if (file && fgets(line, sizeof line, file)) {
        char *at = strchr(line, ' ');
        pages = at ? strtoull(at, NULL, 10) : 0;
    }
    if (file)
        (void)fclose(file);
    return pages * 4096;
}

static void bench_large(uint64_t millions)
{
    const uint64_t budget = (uint64_t)256 << 20, keys = millions * 1000000;
    struct events events = { 8, must(calloc(BATCH, 16)), must(calloc(BATCH, sizeof(struct leat_sv))),
        must(calloc(BATCH, sizeof(uint64_t))) };
    struct leat_table *table;
    struct leat_cursor *cursor;
    struct leat_error err = { 0 };
    const uint64_t base = resident_bytes();
    uint64_t peak = 0;
    struct leat_state *state = stored_state(budget, true, &table);
    const double begin = now_s(), cpu = cpu_s();
    for (uint64_t k = 0; k < keys; k += BATCH) {
        const uint32_t n = keys - k < BATCH ? (uint32_t)(keys - k) : BATCH;
        for (uint32_t i = 0; i < n; i++) /* each key once, far from its neighbours */
            events_set(&events, i, (k + i) * UINT64_C(982451653) % keys);
        count_blind(table, &events, 0, n);
        if (k / BATCH % 512 == 0 && resident_bytes() > peak)
            peak = resident_bytes();
    }
    const double filled = now_s(), cpu_filled = cpu_s();
    uint64_t seen = 0, sum = 0;
    struct leat_cursor_item items[64];
    check(leat__cursor_open(table, 0, LEAT_CURSOR_READ, &cursor, &err), &err);
    for (int64_t got; (got = leat__cursor_next(cursor, items, 64, &err)) != 0; seen += (uint64_t)got) {
        check((int)got, &err);
        for (int64_t i = 0; i < got; i++)
            sum += *(uint64_t *)items[i].value;
        if (seen / 64 % 8192 == 0 && resident_bytes() > peak)
            peak = resident_bytes();
    }
    leat__cursor_close(cursor);
    printf("table/large %llu million keys in 256 MiB: %.0f ns/event (processor %.0f), then %.0f ns/key to "
           "walk (%.0f); %llu keys, "
           "sum %llu "
           "(%s); resident %.0f MiB more at most: %.0f%% of the budget\n",
        (unsigned long long)millions, (filled - begin) * 1e9 / (double)keys,
        (cpu_filled - cpu) * 1e9 / (double)keys, (now_s() - filled) * 1e9 / (double)seen,
        (cpu_s() - cpu_filled) * 1e9 / (double)seen, (unsigned long long)seen, (unsigned long long)sum,
        seen == keys && sum == keys ? "right" : "WRONG", (double)(peak - base) / 1048576,
        (double)(peak - base) * 100 / (double)budget);
    leat__table_close(table);
    leat__state_free(state);
    free(events.bytes);
    free(events.keys);
    free(events.hashes);
}

static void bench_with_store(const char *what, double seconds, uint64_t n)
{
    const uint64_t key_counts[] = { 1000, 100000, 10000000 };
    if (strcmp(what, "large") == 0) {
        bench_large(n ? n : 50);
        return;
    }
    struct events events = events_new(8);
    for (uint32_t zipfian = 0; zipfian <= 1 && strcmp(what, "store") == 0; zipfian++)
        for (uint32_t k = 0; k < 3; k++) {
            events_draw(&events, key_counts[k], zipfian);
            bench_store(&events, key_counts[k], zipfian);
        }
    for (uint32_t zipfian = 0; zipfian <= 1 && strcmp(what, "over") == 0; zipfian++) {
        events_draw(&events, 3000000, zipfian);
        bench_over(&events, zipfian ? "zipf" : "uniform", seconds, false);
        bench_over(&events, zipfian ? "zipf" : "uniform", seconds, true);
    }
    if (strcmp(what, "pause") == 0) {
        bench_pause(&events, n ? n : 100, 1);
        bench_pause(&events, n ? n : 100, 100);
    }
    free(events.bytes);
    free(events.keys);
    free(events.hashes);
}

static void remove_work_dir(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", work_dir);
    if (system(command) != 0)
        fprintf(stderr, "bench_table: %s stays\n", work_dir);
}

static void bench_count(double seconds)
{
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
}

int main(int argc, char **argv)
{
    const double seconds = argc > 1 ? strtod(argv[1], NULL) : 0.4;
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc < 3 || strcmp(argv[2], "count") == 0) {
        bench_count(seconds);
        return 0;
    }
    must(mkdtemp(work_dir));
    bench_with_store(argv[2], seconds, argc > 3 ? strtoull(argv[3], NULL, 10) : 0);
    remove_work_dir();
    return 0;
}
