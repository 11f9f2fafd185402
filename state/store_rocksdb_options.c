/* state/store_rocksdb_options.c -- how RocksDB is set up, and the merge operator.
 *
 * - No log of its own: Debian's build has assertions on and aborts when its LOG can not be written. The level is
 *   above all messages, so nothing is ever written, and nothing is dumped or rolled.
 * - No write-ahead log; nothing is flushed on close: the checkpoint is the durability.
 * - Level 0: a file there costs every read, and merging it costs a pass over what lies below. While nobody reads
 *   (all state is in memory, the store is there for checkpoints) many files may gather before they are merged; once
 *   somebody does, few. Where they gather faster than they are merged, writes wait. RocksDB lets only writes through
 *   its memtable wait, so a run that is written as files waits by an empty write before.
 * - Filters and indexes are cut into blocks of 4 KiB: as one block each they are larger than what a shard of the cache
 *   has room for, and were read from the file again for each batch of keys.
 * - A filter for memtables, too: most keys that are asked for are not in it.
 * - After an error nothing is resumed: the store is broken (store.h).
 * - One budget: an eighth each for two memtables, the rest for the cache, which also holds indexes and filters.
 */
#include "state/store_rocksdb_private.h"
#include "base/alloc.h"

#define MEMORY_DEFAULT (64u << 20)
#define MEMORY_MIN (1u << 20)
#define MEMTABLE_MAX (64u << 20)
#define TABLE_BYTES (32u << 20) /* of a file that compaction writes */
#define LEVEL_BYTES \
    134217728 /* of the level below level 0, and about what level 0 may have before it is merged */
#define LEVEL_BYTES_IDLE 4294967296 /* the same while nobody reads: the number of files decides */
#define TEXT_OF(number) TEXT(number)
#define TEXT(number) #number
#define LEVELS 7
#define SKIPS \
    1000 /* older versions of a key that a walk steps over before it seeks, through all of level 0 */
#define LOG_NOTHING 5 /* above FATAL */
#define BLOOM_BITS 10.0
#define MEMTABLE_FILTER_SHARE 0.05
#define POOL_MAX 8

static void free_value(void *state, const char *value, size_t len)
{
    (void)state;
    (void)len;
    leat__free((void *)(uintptr_t)value);
}

static const char *merge_name(void *state)
{
    (void)state;
    return "leat"; /* kept in each table; opening another's would fail */
}

static void merge_forget(void *state)
{
    (void)state;
}

/* Combines `first` (or nothing) with the operands, two at a time, in turns between two buffers. */
static char *fold(const struct leat__rocksdb_merge *m, struct leat_sv key, const struct leat_sv *first,
    const char *const *operands, const size_t *lens, int count, size_t *len)
{
    struct leat_strbuf buffers[2] = { { 0 }, { 0 } };
    struct leat_sv older = first ? *first : (struct leat_sv){ operands[0], lens[0] };
    int code = m->merge ? 0 : LEAT_ESTATE;
    uint32_t turn = 0;
    for (int i = first ? 0 : 1; code >= 0 && i < count; i++) {
        struct leat_strbuf *out = &buffers[turn];
        leat__strbuf_clear(out);
        code = m->merge(m->arg, key, older, (struct leat_sv){ operands[i], lens[i] }, out);
        if (out->failed)
            code = LEAT_ENOMEM;
        older = (struct leat_sv){ out->data, out->len };
        turn ^= 1;
    }
    char *value = code < 0 ? NULL : leat__malloc(older.len);
    if (value && older.len)
        memcpy(value, older.data, older.len);
    *len = value ? older.len : 0;
    leat__strbuf_release(&buffers[0]);
    leat__strbuf_release(&buffers[1]);
    return value;
}

static void add_part(struct leat_strbuf *parts, const char *data, uint64_t len)
{
    leat__strbuf_add(parts, &len, sizeof len);
    leat__strbuf_add(parts, data, len);
}

/* For scans that combine nothing: the parts beside the value, which is then empty. One thread. */
static char *keep_apart(struct leat__rocksdb_merge *m, const struct leat_sv *first,
    const char *const *operands, const size_t *lens, int count, size_t *len)
{
    leat__strbuf_clear(&m->parts);
    if (first)
        add_part(&m->parts, first->data, first->len);
    for (int i = 0; i < count; i++)
        add_part(&m->parts, operands[i], lens[i]);
    *len = 0;
    return leat__malloc(0);
}

static char *full_merge(void *state, const char *key, size_t key_len, const char *existing,
    size_t existing_len, const char *const *operands, const size_t *lens, int count, unsigned char *success,
    size_t *len)
{
    struct leat__rocksdb_merge *m = state;
    const struct leat_sv base = { existing, existing_len };
    const struct leat_sv *first = existing ? &base : NULL;
    char *value = m->apart ? keep_apart(m, first, operands, lens, count, len)
                           : fold(m, (struct leat_sv){ key, key_len }, first, operands, lens, count, len);
    *success = value != NULL;
    return value;
}

static char *partial_merge(void *state, const char *key, size_t key_len, const char *const *operands,
    const size_t *lens, int count, unsigned char *success, size_t *len)
{
    const struct leat__rocksdb_merge *m = state;
    char *value =
        m->apart ? NULL : fold(m, (struct leat_sv){ key, key_len }, NULL, operands, lens, count, len);
    *success = value != NULL; /* else the operands stay as they are */
    return value;
}

rocksdb_mergeoperator_t *leat__rocksdb_merge_operator(struct leat__rocksdb_merge *merge)
{
    return rocksdb_mergeoperator_create(
        merge, merge_forget, full_merge, partial_merge, free_value, merge_name);
}

static void set_tables(rocksdb_options_t *options, rocksdb_cache_t *cache)
{
    rocksdb_block_based_table_options_t *tables = rocksdb_block_based_options_create();
    rocksdb_block_based_options_set_block_cache(tables, cache);
    rocksdb_block_based_options_set_cache_index_and_filter_blocks(tables, 1);
    rocksdb_block_based_options_set_cache_index_and_filter_blocks_with_high_priority(tables, 1);
    rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(tables, 1);
    rocksdb_block_based_options_set_index_type(
        tables, rocksdb_block_based_table_index_type_two_level_index_search);
    rocksdb_block_based_options_set_partition_filters(tables, 1);
    rocksdb_block_based_options_set_pin_top_level_index_and_filter(tables, 1);
    rocksdb_block_based_options_set_filter_policy(tables, rocksdb_filterpolicy_create_bloom_full(BLOOM_BITS));
    rocksdb_block_based_options_set_format_version(tables, 5);
    rocksdb_options_set_block_based_table_factory(options, tables);
    rocksdb_block_based_options_destroy(tables);
}

static void set_quiet(rocksdb_options_t *options)
{
    rocksdb_options_set_info_log_level(options, LOG_NOTHING);
    rocksdb_options_set_keep_log_file_num(options, 1);
    rocksdb_options_set_max_log_file_size(options, 0);
    rocksdb_options_set_log_file_time_to_roll(options, 0);
    rocksdb_options_set_stats_dump_period_sec(options, 0);
    rocksdb_options_set_stats_persist_period_sec(options, 0);
}

static void set_writes(rocksdb_options_t *options, size_t memtable_bytes)
{
    rocksdb_options_set_write_buffer_size(options, memtable_bytes);
    rocksdb_options_set_max_write_buffer_number(options, 2);
    rocksdb_options_set_memtable_prefix_bloom_size_ratio(options, MEMTABLE_FILTER_SHARE);
    rocksdb_options_set_memtable_whole_key_filtering(options, 1);
    rocksdb_options_set_target_file_size_base(options, TABLE_BYTES);
    rocksdb_options_set_max_bytes_for_level_base(options, LEVEL_BYTES);
    rocksdb_options_set_level_compaction_dynamic_level_bytes(options, 1);
    rocksdb_options_set_level0_file_num_compaction_trigger(options, LEAT_ROCKSDB_L0_READ);
    rocksdb_options_set_level0_slowdown_writes_trigger(options, LEAT_ROCKSDB_L0_MAX);
    rocksdb_options_set_level0_stop_writes_trigger(options, LEAT_ROCKSDB_L0_MAX);
    rocksdb_options_set_soft_pending_compaction_bytes_limit(options, 0);
    rocksdb_options_set_hard_pending_compaction_bytes_limit(options, 0);
    rocksdb_options_set_max_background_jobs(options, 2);
    rocksdb_options_set_max_sequential_skip_in_iterations(options, SKIPS);
}

static void set_compression(rocksdb_options_t *options)
{
    int levels[LEVELS];
    for (int i = 0; i < LEVELS; i++)
        levels[i] = i < 2 ? rocksdb_no_compression : rocksdb_lz4_compression;
    rocksdb_options_set_num_levels(options, LEVELS);
    rocksdb_options_set_compression_per_level(options, levels, LEVELS);
}

static void set_opening(rocksdb_options_t *options)
{
    rocksdb_options_set_max_open_files(options, -1);
    rocksdb_options_set_max_file_opening_threads(options, 16);
    rocksdb_options_set_skip_stats_update_on_db_open(options, 1);
    rocksdb_options_set_skip_checking_sst_file_sizes_on_db_open(options, 1);
}

/* All stores of the process share RocksDB's pools, which grow only to what one store asks for: too few for many
 * workers, whose tables would pile up unmerged. */
static void set_pools(void)
{
    const uint32_t cores = leat__env_parallelism();
    const int threads = cores < 4 ? 1 : cores > 4 * POOL_MAX ? POOL_MAX : (int)cores / 4;
    rocksdb_env_t *env = rocksdb_create_default_env();
    rocksdb_env_set_background_threads(env, threads); /* compactions */
    rocksdb_env_set_high_priority_background_threads(env, threads); /* flushes */
    rocksdb_env_destroy(env);
}

void leat__rocksdb_merge_early(struct leat__rocksdb *r, bool early)
{
    static const char *const names[] = { "level0_file_num_compaction_trigger", "max_bytes_for_level_base" };
    static const char *const late_values[] = { TEXT_OF(LEAT_ROCKSDB_L0_IDLE), TEXT_OF(LEVEL_BYTES_IDLE) };
    static const char *const early_values[] = { TEXT_OF(LEAT_ROCKSDB_L0_READ), TEXT_OF(LEVEL_BYTES) };
    char *text = NULL;
    if (early == r->merges_early)
        return;
    rocksdb_set_options(r->db, 2, names, early ? early_values : late_values, &text);
    if (text)
        rocksdb_free(text); /* only speed is lost */
    r->merges_early = early;
}

/* What the C API has no setters for. */
static int set_by_text(struct leat__rocksdb *r, rocksdb_options_t *base, struct leat_error *err)
{
    char *text = NULL;
    r->options = rocksdb_options_create();
    rocksdb_get_options_from_string(
        base, "max_bgerror_resume_count=0;avoid_flush_during_shutdown=true", r->options, &text);
    return leat__rocksdb_error(r->dir, "set options", text, err);
}

int leat__rocksdb_options_init(struct leat__rocksdb *r, uint64_t memory_bytes, struct leat_error *err)
{
    uint64_t memory = memory_bytes ? memory_bytes : MEMORY_DEFAULT;
    if (memory < MEMORY_MIN)
        memory = MEMORY_MIN;
    const uint64_t memtable = memory / 8 < MEMTABLE_MAX ? memory / 8 : MEMTABLE_MAX;
    r->merges_early = true;
    r->cache = rocksdb_cache_create_lru(memory - 2 * memtable);
    r->run_options = rocksdb_options_create();
    set_quiet(r->run_options);
    set_tables(r->run_options, r->cache);
    rocksdb_options_set_compression(r->run_options, rocksdb_no_compression);

    rocksdb_options_t *base = rocksdb_options_create();
    set_quiet(base);
    set_tables(base, r->cache);
    set_writes(base, memtable);
    set_compression(base);
    set_opening(base);
    rocksdb_options_set_merge_operator(base, leat__rocksdb_merge_operator(&r->merge));
    const int code = set_by_text(r, base, err);
    rocksdb_options_destroy(base);

    set_pools();
    r->env_options = rocksdb_envoptions_create();
    r->read_options = rocksdb_readoptions_create();
    r->write_options = rocksdb_writeoptions_create();
    rocksdb_writeoptions_disable_WAL(r->write_options, 1);
    rocksdb_writeoptions_set_memtable_insert_hint_per_batch(r->write_options, 1);
    r->ingest_options = rocksdb_ingestexternalfileoptions_create();
    rocksdb_ingestexternalfileoptions_set_move_files(r->ingest_options, 1);
    rocksdb_ingestexternalfileoptions_set_snapshot_consistency(r->ingest_options, 0);
    rocksdb_ingestexternalfileoptions_set_allow_global_seqno(r->ingest_options, 1);
    rocksdb_ingestexternalfileoptions_set_allow_blocking_flush(r->ingest_options, 1);
    return code;
}

void leat__rocksdb_options_release(struct leat__rocksdb *r)
{
    rocksdb_ingestexternalfileoptions_destroy(r->ingest_options);
    rocksdb_writeoptions_destroy(r->write_options);
    rocksdb_readoptions_destroy(r->read_options);
    rocksdb_envoptions_destroy(r->env_options);
    rocksdb_options_destroy(r->options);
    rocksdb_options_destroy(r->run_options);
    rocksdb_cache_destroy(r->cache);
}
