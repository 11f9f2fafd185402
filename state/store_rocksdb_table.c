/* state/store_rocksdb_table.c -- table files as RocksDB takes them in, written by hand.
 *
 * Its own writer needs 260 ns an entry and more (with assertions, as in Debian's package; no option takes a fifth off
 * it): it would be most of what a checkpoint costs whose state is mostly dirty. Entries here come in order, all are
 * puts, nothing is compressed, and there is no filter: what is written as a whole lies alone below level 0, and a
 * filter would only help those who look for what is not there.
 *
 *   data blocks | index blocks | index of these | properties | names of what else there is | footer
 *
 * Block: entries [shared, rest, value length: varints | rest of the key | value], the offset of every 16th (indexes:
 * of each) as u32, their number; then a byte 0 (no compression) and the low half of XXH3. A key is the user's and 8 bytes:
 * 1, a put, of sequence number 0. An index says for the last key of a block where that lies. Format version 5; the
 * properties say what of it is not used. The file is not synced: RocksDB does that when it takes it in.
 *
 * Invariant: what lies in `out` begins at `written` of the file. One thread; the owner closes it. */
#include "base/alloc.h"
#include "base/hash.h"
#include "state/store_rocksdb_private.h"

#define BLOCK_BYTES 4096u
#define DATA_INTERVAL 16u
#define OUT_BYTES ((size_t)1 << 20)
#define MAGIC UINT64_C(0x88e241b785f4cff7)
#define CHECKSUM_XXH3 4
#define FORMAT_VERSION 5u
#define TWO_LEVEL_INDEX 2u
#define EXTERNAL_VERSION 2u
#define VARINT_MAX 10u
#define PUT UINT64_C(1)

struct handle {
    uint64_t offset, size;
};

struct block {
    struct leat_strbuf bytes, last; /* last: the key added last */
    struct leat_strbuf restarts;
    uint32_t interval, since;
};

/* An index block, kept until the data has ended. */
struct partition {
    size_t offset, size; /* in `partitions` */
    size_t key_offset, key_size; /* of its last key, in `partition_keys` */
};

struct leat__table_file {
    struct leat_env *env;
    leat_fd fd;
    struct leat_strbuf out;
    uint64_t written;
    struct block data, index, top, properties;
    struct leat_strbuf partitions, partition_keys, key;
    struct partition *list;
    size_t list_count, list_capacity;
    uint64_t entries, key_bytes, value_bytes, data_blocks, data_end;
};

/* ---- bytes ---- */

static void put_u32(struct leat_strbuf *to, uint32_t value)
{
    const unsigned char bytes[4] = { (unsigned char)value, (unsigned char)(value >> 8),
        (unsigned char)(value >> 16), (unsigned char)(value >> 24) };
    leat__strbuf_add(to, bytes, sizeof bytes);
}

static void put_u64(struct leat_strbuf *to, uint64_t value)
{
    put_u32(to, (uint32_t)value);
    put_u32(to, (uint32_t)(value >> 32));
}

static char *varint(char *at, uint64_t value)
{
    for (; value >= 128; value >>= 7)
        *at++ = (char)(value | 128);
    *at++ = (char)value;
    return at;
}

static size_t handle_bytes(char bytes[2 * VARINT_MAX], struct handle handle)
{
    return (size_t)(varint(varint(bytes, handle.offset), handle.size) - bytes);
}

/* ---- blocks ---- */

static void block_release(struct block *block)
{
    leat__strbuf_release(&block->bytes);
    leat__strbuf_release(&block->last);
    leat__strbuf_release(&block->restarts);
}

static void block_clear(struct block *block)
{
    leat__strbuf_clear(&block->bytes);
    leat__strbuf_clear(&block->last);
    leat__strbuf_clear(&block->restarts);
    block->since = 0;
}

static size_t shared_bytes(const struct leat_strbuf *last, struct leat_sv key)
{
    const size_t most = last->len < key.len ? last->len : key.len;
    size_t shared = 0;
    for (; shared + 8 <= most; shared += 8) {
        uint64_t a, b;
        memcpy(&a, last->data + shared, sizeof a);
        memcpy(&b, key.data + shared, sizeof b);
        if (a != b)
            return shared + (size_t)__builtin_ctzll(a ^ b) / 8;
    }
    while (shared < most && last->data[shared] == key.data[shared])
        shared++;
    return shared;
}

static bool block_add(struct block *block, struct leat_sv key, struct leat_sv value)
{
    struct leat_strbuf *bytes = &block->bytes;
    size_t shared = 0;
    if (!leat__strbuf_reserve(bytes, 3 * VARINT_MAX + key.len + value.len) ||
        !leat__strbuf_reserve(&block->last, key.len))
        return false;
    if (block->since == 0)
        put_u32(&block->restarts, (uint32_t)bytes->len);
    else
        shared = shared_bytes(&block->last, key);
    block->since = block->since + 1 == block->interval ? 0 : block->since + 1;
    char *at = bytes->data + bytes->len;
    at = varint(varint(varint(at, shared), key.len - shared), value.len);
    memcpy(at, key.data + shared, key.len - shared);
    at += key.len - shared;
    if (value.len)
        memcpy(at, value.data, value.len);
    bytes->len = (size_t)(at + value.len - bytes->data);
    memcpy(block->last.data + shared, key.data + shared, key.len - shared);
    block->last.len = key.len;
    return true;
}

/* ---- the file ---- */

static int flush(struct leat__table_file *f, struct leat_error *err)
{
    if (f->out.len == 0)
        return 0;
    LEAT_TRY(f->env->fs_write(f->env, f->fd, f->out.data, f->out.len, err));
    f->written += f->out.len;
    leat__strbuf_clear(&f->out);
    return 0;
}

static int no_memory(struct leat_error *err)
{
    return leat__error(err, LEAT_ENOMEM, "out of memory for a table file");
}

/* Appends bytes that are a block, and says where they lie. */
static int put_block(
    struct leat__table_file *f, const char *data, size_t size, struct handle *handle, struct leat_error *err)
{
    *handle = (struct handle){ f->written + f->out.len, size };
    leat__strbuf_add(&f->out, data, size);
    leat__strbuf_char(&f->out, 0); /* not compressed: adds nothing to the checksum either */
    put_u32(&f->out, (uint32_t)leat__hash(data, size));
    if (f->out.failed)
        return no_memory(err);
    return f->out.len >= OUT_BYTES ? flush(f, err) : 0;
}

/* Its bytes as they go into the file. */
static int close_block(struct block *block, struct leat_error *err)
{
    const uint32_t count = (uint32_t)(block->restarts.len / sizeof(uint32_t));
    leat__strbuf_add(&block->bytes, block->restarts.data, block->restarts.len);
    put_u32(&block->bytes, count);
    return block->bytes.failed || block->restarts.failed ? no_memory(err) : 0;
}

/* An index block is full: it is kept for the end. */
static int end_partition(struct leat__table_file *f, struct leat_error *err)
{
    struct block *index = &f->index;
    if (index->bytes.len == 0)
        return 0;
    if (f->list_count == f->list_capacity) {
        const size_t capacity = f->list_capacity ? 2 * f->list_capacity : 64;
        struct partition *grown = leat__realloc(f->list, capacity * sizeof *grown);
        if (!grown)
            return no_memory(err);
        f->list = grown;
        f->list_capacity = capacity;
    }
    LEAT_TRY(close_block(index, err));
    f->list[f->list_count++] =
        (struct partition){ f->partitions.len, index->bytes.len, f->partition_keys.len, index->last.len };
    leat__strbuf_add(&f->partitions, index->bytes.data, index->bytes.len);
    leat__strbuf_add(&f->partition_keys, index->last.data, index->last.len);
    block_clear(index);
    return f->partitions.failed || f->partition_keys.failed ? no_memory(err) : 0;
}

static int end_data(struct leat__table_file *f, struct leat_error *err)
{
    struct handle handle;
    char bytes[2 * VARINT_MAX];
    struct block *data = &f->data;
    if (data->bytes.len == 0)
        return 0;
    LEAT_TRY(close_block(data, err));
    LEAT_TRY(put_block(f, data->bytes.data, data->bytes.len, &handle, err));
    const struct leat_sv last = { data->last.data, data->last.len };
    if (!block_add(&f->index, last, (struct leat_sv){ bytes, handle_bytes(bytes, handle) }))
        return no_memory(err);
    block_clear(data);
    f->data_blocks++;
    return f->index.bytes.len >= BLOCK_BYTES ? end_partition(f, err) : 0;
}

int leat__table_file_open(
    struct leat_env *env, const char *path, struct leat__table_file **file, struct leat_error *err)
{
    struct leat__table_file *f = leat__calloc(1, sizeof *f);
    *file = NULL;
    if (!f)
        return no_memory(err);
    f->env = env;
    f->data.interval = DATA_INTERVAL;
    f->index.interval = f->top.interval = f->properties.interval = 1;
    const int code = env->fs_open(env, path, LEAT_OPEN_TRUNCATE, &f->fd, err);
    if (code < 0) {
        leat__free(f);
        return code;
    }
    *file = f;
    return 0;
}

int leat__table_file_put(
    struct leat__table_file *f, struct leat_sv key, struct leat_sv value, struct leat_error *err)
{
    const uint64_t put = PUT; /* its 8 bytes, least first */
    if (!leat__strbuf_reserve(&f->key, key.len + sizeof put))
        return no_memory(err);
    if (key.len)
        memcpy(f->key.data, key.data, key.len);
    memcpy(f->key.data + key.len, &put, sizeof put);
    const struct leat_sv whole = { f->key.data, key.len + sizeof put };
    if (!block_add(&f->data, whole, value))
        return no_memory(err);
    f->entries++;
    f->key_bytes += whole.len;
    f->value_bytes += value.len;
    return f->data.bytes.len >= BLOCK_BYTES ? end_data(f, err) : 0;
}

/* ---- the end of it ---- */

static int put_index(struct leat__table_file *f, struct handle *top, struct leat_error *err)
{
    char bytes[2 * VARINT_MAX];
    struct handle handle;
    for (size_t i = 0; i < f->list_count; i++) {
        const struct partition *p = &f->list[i];
        LEAT_TRY(put_block(f, f->partitions.data + p->offset, p->size, &handle, err));
        const struct leat_sv last = { f->partition_keys.data + p->key_offset, p->key_size };
        if (!block_add(&f->top, last, (struct leat_sv){ bytes, handle_bytes(bytes, handle) }))
            return no_memory(err);
    }
    LEAT_TRY(close_block(&f->top, err));
    return put_block(f, f->top.bytes.data, f->top.bytes.len, top, err);
}

static bool put_text(struct leat__table_file *f, const char *name, const char *text)
{
    return block_add(&f->properties, leat_sv_of(name), leat_sv_of(text));
}

static bool put_number(struct leat__table_file *f, const char *name, uint64_t value)
{
    char bytes[VARINT_MAX];
    return block_add(
        &f->properties, leat_sv_of(name), (struct leat_sv){ bytes, (size_t)(varint(bytes, value) - bytes) });
}

static bool put_fixed(struct leat__table_file *f, const char *name, uint64_t value, size_t size)
{
    char bytes[sizeof value];
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(value >> 8 * i);
    return block_add(&f->properties, leat_sv_of(name), (struct leat_sv){ bytes, size });
}

/* In the order of their names. What is not told is 0, or off. */
static int put_properties(
    struct leat__table_file *f, uint64_t index_bytes, struct handle *handle, struct leat_error *err)
{
    const bool all =
        put_fixed(f, "rocksdb.block.based.table.index.type", TWO_LEVEL_INDEX, sizeof(uint32_t)) &&
        put_text(f, "rocksdb.block.based.table.prefix.filtering", "0") &&
        put_text(f, "rocksdb.block.based.table.whole.key.filtering", "1") &&
        put_text(f, "rocksdb.comparator", "leveldb.BytewiseComparator") &&
        put_text(f, "rocksdb.compression", "NoCompression") &&
        put_number(f, "rocksdb.data.size", f->data_end) &&
        put_fixed(f, "rocksdb.external_sst_file.global_seqno", 0, sizeof(uint64_t)) &&
        put_fixed(f, "rocksdb.external_sst_file.version", EXTERNAL_VERSION, sizeof(uint32_t)) &&
        put_number(f, "rocksdb.index.partitions", f->list_count) &&
        put_number(f, "rocksdb.index.size", index_bytes) &&
        put_number(f, "rocksdb.num.data.blocks", f->data_blocks) &&
        put_number(f, "rocksdb.num.entries", f->entries) &&
        put_number(f, "rocksdb.raw.key.size", f->key_bytes) &&
        put_number(f, "rocksdb.raw.value.size", f->value_bytes) &&
        put_number(f, "rocksdb.top-level.index.size", f->top.bytes.len);
    if (!all)
        return no_memory(err);
    LEAT_TRY(close_block(&f->properties, err));
    return put_block(f, f->properties.bytes.data, f->properties.bytes.len, handle, err);
}

static int put_footer(
    struct leat__table_file *f, struct handle names, struct handle index, struct leat_error *err)
{
    char bytes[4 * VARINT_MAX] = { 0 };
    const size_t len = handle_bytes(bytes, names);
    (void)handle_bytes(bytes + len, index);
    leat__strbuf_char(&f->out, CHECKSUM_XXH3);
    leat__strbuf_add(&f->out, bytes, sizeof bytes);
    put_u32(&f->out, FORMAT_VERSION);
    put_u64(&f->out, MAGIC);
    return f->out.failed ? no_memory(err) : flush(f, err);
}

int leat__table_file_finish(struct leat__table_file *f, struct leat_error *err)
{
    struct handle index, properties, names;
    char bytes[2 * VARINT_MAX];
    LEAT_TRY(end_data(f, err));
    LEAT_TRY(end_partition(f, err));
    f->data_end = f->written + f->out.len;
    LEAT_TRY(put_index(f, &index, err));
    LEAT_TRY(put_properties(f, f->written + f->out.len - f->data_end, &properties, err));
    block_clear(&f->top);
    if (!block_add(&f->top, leat_sv_of("rocksdb.properties"),
            (struct leat_sv){ bytes, handle_bytes(bytes, properties) }))
        return no_memory(err);
    LEAT_TRY(close_block(&f->top, err));
    LEAT_TRY(put_block(f, f->top.bytes.data, f->top.bytes.len, &names, err));
    return put_footer(f, names, index, err);
}

void leat__table_file_close(struct leat__table_file *f)
{
    if (!f)
        return;
    f->env->fs_close(f->env, f->fd);
    block_release(&f->data);
    block_release(&f->index);
    block_release(&f->top);
    block_release(&f->properties);
    leat__strbuf_release(&f->out);
    leat__strbuf_release(&f->partitions);
    leat__strbuf_release(&f->partition_keys);
    leat__strbuf_release(&f->key);
    leat__free(f->list);
    leat__free(f);
}
