/* bench/bench_store.c -- what the store below keyed state costs: runs in, keys out, checkpoints, opening.
 *
 *   bench_store [directory, default $TMPDIR or /tmp] [factor on all sizes, default 1]
 *
 * Keys are 24 bytes (8 the same, a random number, 8 the same), values 16. Lines:
 *   run     a run of n sorted entries into a store of 1e6 that it lies across: as the store does it, and by hand
 *           with the same library as one sorted WriteBatch and as one table file that is taken in; ns an entry,
 *           with the checkpoint that makes it durable
 *   get     n random keys at once out of 4e6 (cache of a quarter of the data; all pages in the system's cache)
 *   update  the same keys read and written back one by one, as a program without a table before it would do it
 *   drop    a range delete
 *   state   a checkpoint after nothing, 1 % and all was written anew; opening it; its first read
 * Medians. The directory's file system decides about syncs: read ratios. */
#include "state/store.h"
#include <rocksdb/c.h>
#include <stdio.h>
#include <stdlib.h>

#define KEY_BYTES 24u
#define VALUE_BYTES 16u

static struct leat_env *env;
static char root[400];
static uint32_t paths_count;

static uint64_t random_state = 88172645463325252u;
static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static double now_s(void)
{
    return (double)env->mono_ns(env) * 1e-9;
}

static void check(int code, const struct leat_error *err)
{
    if (code >= 0)
        return;
    fprintf(stderr, "bench_store: %s\n", err->message);
    exit(1);
}

static void check_text(char *text)
{
    if (!text)
        return;
    fprintf(stderr, "bench_store: %s\n", text);
    exit(1);
}

static void *must(void *p)
{
    if (!p) {
        fputs("bench_store: out of memory\n", stderr);
        exit(1);
    }
    return p;
}

/* A path that nobody had before; lives until the end. */
static const char *new_path(const char *name)
{
    char *path = must(malloc(sizeof root + 64));
    snprintf(path, sizeof root + 64, "%s/%s-%u", root, name, paths_count++);
    return path;
}

static int remove_entry(void *arg, const char *name, bool is_dir)
{
    char path[1200];
    snprintf(path, sizeof path, "%s/%s", (const char *)arg, name);
    if (is_dir) {
        (void)env->fs_list(env, path, remove_entry, path, NULL);
        (void)env->fs_rmdir(env, path, NULL);
    } else {
        (void)env->fs_unlink(env, path, NULL);
    }
    return 0;
}

static void remove_dir(const char *dir)
{
    char path[1200];
    snprintf(path, sizeof path, "%s", dir);
    (void)env->fs_list(env, path, remove_entry, path, NULL);
    (void)env->fs_rmdir(env, path, NULL);
}

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *values, uint32_t count)
{
    qsort(values, count, sizeof *values, compare_doubles);
    return values[count / 2];
}

/* ---- runs ---- */

struct run {
    struct leat_store_entry *entries;
    char *bytes;
    uint64_t count;
};

static void set_key(char *bytes, uint64_t number)
{
    const uint64_t big = __builtin_bswap64(number);
    memset(bytes, 'k', KEY_BYTES);
    memcpy(bytes + 8, &big, 8);
}

/* count different keys, rising, spread over all of [0, space). */
static struct run run_new(uint64_t count, uint64_t space)
{
    struct run run = { must(malloc(count * sizeof *run.entries)),
        must(malloc(count * (KEY_BYTES + VALUE_BYTES))), count };
    const uint64_t step = space / count;
    for (uint64_t i = 0; i < count; i++) {
        char *bytes = run.bytes + i * (KEY_BYTES + VALUE_BYTES);
        const uint64_t value[2] = { next_random(), i };
        set_key(bytes, i * step + next_random() % step);
        memcpy(bytes + KEY_BYTES, value, sizeof value);
        run.entries[i] = (struct leat_store_entry){ { bytes, KEY_BYTES }, { bytes + KEY_BYTES, VALUE_BYTES },
            LEAT_STORE_PUT };
    }
    return run;
}

static void run_free(struct run *run)
{
    free(run->entries);
    free(run->bytes);
}

static struct leat_store *open_store(const char *from, uint64_t memory_bytes)
{
    struct leat_store *store = NULL;
    struct leat_error err = { 0 };
    const struct leat_store_opts opts = {
        .env = env, .dir = new_path("live"), .from = from, .memory_bytes = memory_bytes
    };
    check(leat__store_rocksdb.open(&opts, &store, &err), &err);
    return store;
}

static void write_run(struct leat_store *store, const struct run *run)
{
    struct leat_error err = { 0 };
    check(store->store_class->write(store, run->entries, run->count, &err), &err);
}

static const char *make_checkpoint(struct leat_store *store)
{
    struct leat_error err = { 0 };
    const char *dir = new_path("checkpoint");
    check(store->store_class->checkpoint(store, dir, &err), &err);
    return dir;
}

/* ---- by hand ---- */

struct hand {
    rocksdb_options_t *options;
    rocksdb_writeoptions_t *write_options;
    rocksdb_readoptions_t *read_options;
    rocksdb_t *db;
    rocksdb_cache_t *cache;
    const char *dir;
};

static struct hand hand_open(uint64_t memory_bytes)
{
    struct hand h = { .options = rocksdb_options_create(), .dir = new_path("hand") };
    char *text = NULL;
    rocksdb_block_based_table_options_t *tables = rocksdb_block_based_options_create();
    h.cache = rocksdb_cache_create_lru(memory_bytes * 3 / 4);
    rocksdb_block_based_options_set_block_cache(tables, h.cache);
    rocksdb_block_based_options_set_filter_policy(tables, rocksdb_filterpolicy_create_bloom_full(10));
    rocksdb_options_set_block_based_table_factory(h.options, tables);
    rocksdb_block_based_options_destroy(tables);
    rocksdb_options_set_create_if_missing(h.options, 1);
    rocksdb_options_set_compression(h.options, rocksdb_no_compression);
    rocksdb_options_set_write_buffer_size(h.options, memory_bytes / 8);
    h.db = rocksdb_open(h.options, h.dir, &text);
    check_text(text);
    h.write_options = rocksdb_writeoptions_create();
    rocksdb_writeoptions_disable_WAL(h.write_options, 1);
    rocksdb_writeoptions_set_memtable_insert_hint_per_batch(h.write_options, 1);
    h.read_options = rocksdb_readoptions_create();
    return h;
}

static void hand_close(struct hand *h)
{
    rocksdb_close(h->db);
    rocksdb_readoptions_destroy(h->read_options);
    rocksdb_writeoptions_destroy(h->write_options);
    rocksdb_options_destroy(h->options);
    rocksdb_cache_destroy(h->cache);
    remove_dir(h->dir);
}

static void hand_batch(struct hand *h, const struct run *run)
{
    char *text = NULL;
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    for (uint64_t i = 0; i < run->count; i++)
        rocksdb_writebatch_put(
            batch, run->entries[i].key.data, KEY_BYTES, run->entries[i].value.data, VALUE_BYTES);
    rocksdb_write(h->db, h->write_options, batch, &text);
    check_text(text);
    rocksdb_writebatch_destroy(batch);
}

static void hand_table(struct hand *h, const struct run *run)
{
    char *text = NULL;
    const char *path = new_path("table");
    rocksdb_envoptions_t *env_options = rocksdb_envoptions_create();
    rocksdb_sstfilewriter_t *writer = rocksdb_sstfilewriter_create(env_options, h->options);
    rocksdb_sstfilewriter_open(writer, path, &text);
    check_text(text);
    for (uint64_t i = 0; i < run->count; i++)
        rocksdb_sstfilewriter_put(
            writer, run->entries[i].key.data, KEY_BYTES, run->entries[i].value.data, VALUE_BYTES, &text);
    rocksdb_sstfilewriter_finish(writer, &text);
    check_text(text);
    rocksdb_ingestexternalfileoptions_t *ingest = rocksdb_ingestexternalfileoptions_create();
    rocksdb_ingestexternalfileoptions_set_move_files(ingest, 1);
    rocksdb_ingest_external_file(h->db, &path, 1, ingest, &text);
    check_text(text);
    rocksdb_ingestexternalfileoptions_destroy(ingest);
    rocksdb_sstfilewriter_destroy(writer);
    rocksdb_envoptions_destroy(env_options);
}

static void hand_checkpoint(struct hand *h)
{
    char *text = NULL;
    const char *dir = new_path("checkpoint");
    rocksdb_checkpoint_t *checkpoint = rocksdb_checkpoint_object_create(h->db, &text);
    check_text(text);
    rocksdb_checkpoint_create(checkpoint, dir, 0, &text);
    check_text(text);
    rocksdb_checkpoint_object_destroy(checkpoint);
    remove_dir(dir);
}

/* ---- lines ---- */

enum run_way { RUN_STORE, RUN_BATCH, RUN_TABLE, RUN_WAYS };

/* Seconds of writing one run, and of the checkpoint behind it. */
static void time_run(enum run_way way, uint64_t count, uint64_t space, double *write_s, double *checkpoint_s)
{
    struct run base = run_new(space / 1000, space);
    struct run run = run_new(count, space);
    struct leat_store *store = way == RUN_STORE ? open_store(NULL, 256u << 20) : NULL;
    struct hand hand = { 0 };
    if (store)
        write_run(store, &base);
    else
        hand = hand_open(256u << 20);
    if (!store)
        hand_table(&hand, &base);
    const double begin = now_s();
    if (way == RUN_STORE)
        write_run(store, &run);
    else if (way == RUN_BATCH)
        hand_batch(&hand, &run);
    else
        hand_table(&hand, &run);
    const double written = now_s();
    if (store)
        remove_dir(make_checkpoint(store));
    else
        hand_checkpoint(&hand);
    *write_s = written - begin;
    *checkpoint_s = now_s() - written;
    if (store)
        store->store_class->close(store);
    else
        hand_close(&hand);
    run_free(&base);
    run_free(&run);
}

static void bench_runs(double factor)
{
    const double counts[] = { 1e3, 4e3, 1.6e4, 6.4e4, 2.5e5, 1e6 };
    const uint64_t space = (uint64_t)(1e9 * factor);
    for (uint32_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        double write_s[RUN_WAYS][5], total_s[RUN_WAYS][5];
        double write_ns[RUN_WAYS], total_ns[RUN_WAYS];
        const uint64_t count = (uint64_t)(counts[c] * factor) + 1;
        for (uint32_t repeat = 0; repeat < 5; repeat++)
            for (uint32_t way = 0; way < RUN_WAYS; way++) {
                double checkpoint_s;
                time_run((enum run_way)way, count, space, &write_s[way][repeat], &checkpoint_s);
                total_s[way][repeat] = write_s[way][repeat] + checkpoint_s;
            }
        for (uint32_t way = 0; way < RUN_WAYS; way++) {
            write_ns[way] = median(write_s[way], 5) * 1e9 / (double)count;
            total_ns[way] = median(total_s[way], 5) * 1e9 / (double)count;
        }
        printf("store/run entries=%llu: %.0f ns/entry (%.0f with checkpoint); by hand batch %.0f (%.0f), "
               "table %.0f "
               "(%.0f)\n",
            (unsigned long long)count, write_ns[RUN_STORE], total_ns[RUN_STORE], write_ns[RUN_BATCH],
            total_ns[RUN_BATCH], write_ns[RUN_TABLE], total_ns[RUN_TABLE]);
    }
}

/* n keys of a store that was written in eight runs across each other. */
static void bench_gets(double factor)
{
    const uint64_t keys = (uint64_t)(4e6 * factor);
    const uint64_t space = UINT64_C(1) << 40;
    const uint64_t memory = keys * (KEY_BYTES + VALUE_BYTES) / 4;
    struct leat_store *store = open_store(NULL, memory);
    struct run runs[8];
    for (uint32_t r = 0; r < 8; r++) {
        runs[r] = run_new(keys / 8, space);
        write_run(store, &runs[r]);
    }
    const uint32_t batches[] = { 1, 32, 1024 };
    for (uint32_t b = 0; b < 3; b++)
        for (uint32_t miss = 0; miss < 2; miss++) {
            static char bytes[1024][KEY_BYTES];
            struct leat_sv sought[1024], values[1024];
            struct leat_error err = { 0 };
            double total = 0;
            uint64_t done = 0;
            while (total < 2) {
                /* Rising, as the tables ask: one of every stretch of the run. */
                const struct run *run = &runs[next_random() % 8];
                const uint64_t stretch = run->count / batches[b];
                for (uint32_t i = 0; i < batches[b]; i++) {
                    memcpy(bytes[i], run->entries[i * stretch + next_random() % stretch].key.data, KEY_BYTES);
                    bytes[i][KEY_BYTES - 1] = miss ? 'm' : 'k';
                    sought[i] = (struct leat_sv){ bytes[i], KEY_BYTES };
                }
                const double begin = now_s();
                check(store->store_class->get(store, sought, batches[b], values, &err), &err);
                total += now_s() - begin;
                done += batches[b];
                if ((values[0].data == NULL) != (miss == 1)) {
                    fputs("bench_store: a get was wrong\n", stderr);
                    exit(1);
                }
            }
            printf("store/get keys=%llu at once=%u %s: %.0f ns/key\n", (unsigned long long)keys, batches[b],
                miss ? "missing" : "there", total * 1e9 / (double)done);
        }
    for (uint32_t r = 0; r < 8; r++)
        run_free(&runs[r]);
    store->store_class->close(store);
}

/* What a program pays that gets and puts per event. */
static void bench_update(double factor)
{
    const uint64_t keys = (uint64_t)(4e6 * factor);
    struct hand hand = hand_open(keys * (KEY_BYTES + VALUE_BYTES) / 4);
    struct run run = run_new(keys, UINT64_C(1) << 40);
    hand_table(&hand, &run);
    uint64_t done = 0;
    const double begin = now_s();
    while (now_s() - begin < 3) {
        const struct leat_sv key = run.entries[next_random() % keys].key;
        char *text = NULL;
        size_t len;
        char value[VALUE_BYTES];
        char *found = rocksdb_get(hand.db, hand.read_options, key.data, key.len, &len, &text);
        check_text(text);
        memcpy(value, must(found), VALUE_BYTES);
        rocksdb_free(found);
        value[0]++;
        rocksdb_put(hand.db, hand.write_options, key.data, key.len, value, VALUE_BYTES, &text);
        check_text(text);
        done++;
    }
    printf("store/update keys=%llu by hand: %.0f ns/event (get and put)\n", (unsigned long long)keys,
        (now_s() - begin) * 1e9 / (double)done);
    run_free(&run);
    hand_close(&hand);
}

static void bench_drops(double factor)
{
    const uint64_t keys = (uint64_t)(1e6 * factor);
    struct leat_store *store = open_store(NULL, 64u << 20);
    struct run run = run_new(keys, keys * 1000);
    struct leat_error err = { 0 };
    write_run(store, &run);
    const uint32_t drops = 1000;
    const double begin = now_s();
    for (uint64_t i = 0; i < drops; i++) {
        char from[KEY_BYTES], to[KEY_BYTES];
        set_key(from, i * keys);
        set_key(to, (i + 1) * keys);
        check(store->store_class->delete_range(
                  store, (struct leat_sv){ from, KEY_BYTES }, (struct leat_sv){ to, KEY_BYTES }, &err),
            &err);
    }
    printf("store/drop ranges=%u: %.0f ns/range\n", drops, (now_s() - begin) * 1e9 / drops);
    run_free(&run);
    store->store_class->close(store);
}

static int count_entry(void *arg, struct leat_sv key, struct leat_sv value)
{
    (void)key;
    (void)value;
    ++*(uint64_t *)arg;
    return 0;
}

static double time_checkpoint(struct leat_store *store, const char **dir)
{
    const double begin = now_s();
    *dir = make_checkpoint(store);
    return (now_s() - begin) * 1e3;
}

static void bench_state(double factor, double megabytes)
{
    const uint64_t keys = (uint64_t)(megabytes * factor * 1048576 / (KEY_BYTES + VALUE_BYTES));
    const uint64_t space = UINT64_C(1) << 40;
    struct leat_store *store = open_store(NULL, 64u << 20);
    const char *dirs[4];
    uint64_t left = keys;
    while (left > 0) { /* as state grows: runs of up to a million, across each other */
        struct run run = run_new(left < 1000000 ? left : 1000000, space);
        write_run(store, &run);
        left -= run.count;
        run_free(&run);
    }
    const double first = time_checkpoint(store, &dirs[0]);
    const double again = time_checkpoint(store, &dirs[1]);
    struct run run = run_new(keys / 100 + 1, space);
    double begin = now_s();
    write_run(store, &run);
    const double dirty_ms = (now_s() - begin) * 1e3;
    const double dirty = time_checkpoint(store, &dirs[2]);
    const double disk = (double)store->store_class->disk_bytes(store) / 1048576;
    begin = now_s();
    store->store_class->close(store);
    const double close_ms = (now_s() - begin) * 1e3;
    printf(
        "store/checkpoint state=%.0f MiB: first %.1f ms, again %.1f ms, with 1 %% new %.1f ms + run of %llu "
        "%.1f ms; close %.1f ms\n",
        disk, first, again, dirty, (unsigned long long)run.count, dirty_ms, close_ms);
    double opens[5], reads[5];
    for (uint32_t i = 0; i < 5; i++) {
        struct leat_error err = { 0 };
        struct leat_sv value;
        begin = now_s();
        store = open_store(dirs[2], 64u << 20);
        opens[i] = (now_s() - begin) * 1e3;
        begin = now_s();
        check(store->store_class->get(store, &run.entries[i].key, 1, &value, &err), &err);
        reads[i] = (now_s() - begin) * 1e3;
        store->store_class->close(store);
    }
    uint64_t counted = 0;
    struct leat_error err = { 0 };
    begin = now_s();
    check(
        leat__store_scan(&leat__store_rocksdb, env, dirs[2], NULL, NULL, count_entry, &counted, &err), &err);
    printf("store/open state=%.0f MiB: %.1f ms, first read %.2f ms; scan %.0f ns/entry\n", disk,
        median(opens, 5), median(reads, 5), (now_s() - begin) * 1e9 / (double)counted);
    for (uint32_t i = 0; i < 3; i++)
        remove_dir(dirs[i]);
    run_free(&run);
}

int main(int argc, char **argv)
{
    env = leat__env_posix();
    const char *tmp = getenv("TMPDIR");
    const double factor = argc > 2 ? strtod(argv[2], NULL) : 1;
    struct leat_error err = { 0 };
    snprintf(root, sizeof root, "%s/leat-bench-store-%llx",
        argc > 1  ? argv[1]
            : tmp ? tmp
                  : "/tmp",
        (unsigned long long)env->random(env));
    check(env->fs_mkdir(env, root, &err), &err);
    printf("store: %s\n", leat__store_rocksdb_build());
    bench_runs(factor);
    bench_gets(factor);
    bench_update(factor);
    bench_drops(factor);
    bench_state(factor, 100);
    bench_state(factor, 1024);
    remove_dir(root);
    return 0;
}
