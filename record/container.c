/* record/container.c -- reading container files: a window over the file, and blocks cut out of it.
 *
 * The window is one pool buffer with the bytes [window_from, window_from + window_len) of the file. When a
 * block does not lie whole in it, a new window begins at that block: what is there of it is moved over, the
 * rest is read with one large pread. Blocks of codec null are views of the window; the reader then holds one
 * of several references to the buffer and takes a fresh one for the next window, else it reuses its own.
 *
 * Invariants: (1) `at` is behind a sync marker, where a block begins or the file ends; (2) `at` moves only
 * when a block was given whole, so an error repeats; (3) what was opened has `size` bytes: a file that grows
 * is read to where it ended, one that shrinks is an error. */
#include "record/codec_private.h"
#include "record/container_private.h"
#include "base/alloc.h"
#include "base/limits.h"
#include <stdio.h>

#define HEADER_READ_BYTES (16u * 1024u)
#define HEADER_BYTES_MAX (2u * LEAT_SCHEMA_BYTES_MAX)
#define READ_BYTES_MIN (256u * 1024u)
#define READ_BYTES_MAX (1024u * 1024u)
#define BLOCK_HEADER_BYTES_MAX (2u * LEAT_VARINT_BYTES_MAX)

struct leat_container_reader {
    struct leat_env *env;
    struct leat_pool *pool;
    char *path;
    leat_fd fd;
    uint64_t size;
    struct leat_schema *schema;
    enum leat_codec codec;
    struct leat_codec_state *codec_state;
    uint8_t sync[LEAT_SYNC_BYTES];
    uint64_t first; /* offset of the first block */
    uint64_t at; /* offset of the next block */
    uint64_t to; /* end of the range */
    uint64_t blocks_count; /* given so far */
    struct leat_buffer *window;
    uint64_t window_from;
    size_t window_len;
};

/* ---- the window ---- */

/* A buffer for the next window, which begins with the `kept` bytes at `tail` of the old one. */
static int take_window(
    struct leat_container_reader *r, size_t capacity, const char *tail, size_t kept, struct leat_error *err)
{
    struct leat_buffer *buffer = r->window;
    /* Acquire: whoever gave up the other reference has read all it wanted. */
    if (buffer && buffer->capacity >= capacity && __atomic_load_n(&buffer->refs, __ATOMIC_ACQUIRE) == 1) {
        if (kept > 0)
            memmove(buffer->data, tail, kept);
        return 0;
    }
    if (leat__buffer_get(r->pool, capacity, &buffer) < 0)
        return leat__error(err, LEAT_ENOMEM, "%s: out of memory for reading %zu bytes", r->path, capacity);
    if (kept > 0)
        memcpy(buffer->data, tail, kept);
    leat__buffer_release(r->window);
    r->window = buffer;
    return 0;
}

/* Moves the window to `offset` with at least `need` bytes, and more as a reserve. */
static int move_window(
    struct leat_container_reader *r, uint64_t offset, size_t need, size_t reserve, struct leat_error *err)
{
    const uint64_t left = r->size - offset;
    size_t want = need < reserve ? reserve : need + BLOCK_HEADER_BYTES_MAX;
    if (want > left)
        want = (size_t)left;
    const char *tail = NULL;
    size_t kept = 0;
    if (r->window && offset >= r->window_from && offset < r->window_from + r->window_len) {
        tail = r->window->data + (offset - r->window_from);
        kept = (size_t)(r->window_from + r->window_len - offset);
    }
    LEAT_TRY(take_window(r, want, tail, kept, err));
    r->window_from = offset;
    r->window_len = kept;
    const int64_t got =
        r->env->fs_pread(r->env, r->fd, r->window->data + kept, want - kept, offset + kept, err);
    if (got < 0) {
        (void)leat__error_prefix(err, "%s", r->path);
        return (int)got;
    }
    r->window_len = kept + (size_t)got;
    if (r->window_len < need)
        return leat__error(err, LEAT_EDATA,
            "%s: ends after %llu bytes, but had %llu when it was opened: was it cut?", r->path,
            (unsigned long long)(offset + r->window_len), (unsigned long long)r->size);
    return 0;
}

/* Shows the bytes from `offset` on: at least `need` of them, which the file has. */
static inline int look(struct leat_container_reader *r, uint64_t offset, size_t need, const uint8_t **data,
    size_t *have, struct leat_error *err)
{
    if (offset < r->window_from || offset + need > r->window_from + r->window_len) {
        size_t reserve = READ_BYTES_MIN;
        while (reserve < READ_BYTES_MAX && reserve < 4 * need)
            reserve *= 2;
        LEAT_TRY(move_window(r, offset, need, reserve, err));
    }
    *data = (const uint8_t *)r->window->data + (offset - r->window_from);
    *have = (size_t)(r->window_from + r->window_len - offset);
    return 0;
}

/* ---- opening ---- */

static int find_codec(
    struct leat_container_reader *r, const struct leat_container_header *header, struct leat_error *err)
{
    char name[64];
    if (!header->codec.data) {
        r->codec = LEAT_CODEC_NULL;
    } else {
        (void)snprintf(name, sizeof name, "%.*s", (int)(header->codec.len < 60 ? header->codec.len : 60),
            header->codec.data);
        r->codec = leat__codec_find(name);
    }
    if (!r->codec)
        return leat__error(err, LEAT_EDATA,
            "%s: unknown codec \"%s\" (known are null, deflate, snappy, zstandard): write the file with one "
            "of these",
            r->path, name);
    return leat__codec_new(r->codec, &r->codec_state, err);
}

static int read_header(struct leat_container_reader *r, struct leat_error *err)
{
    struct leat_container_header header;
    size_t want = HEADER_READ_BYTES;
    int got = 0;
    if (r->size == 0)
        return leat__error(err, LEAT_EDATA, "%s: not an Avro container file: it is empty", r->path);
    while (got == 0) {
        const size_t need = want < r->size ? want : (size_t)r->size;
        LEAT_TRY(move_window(r, 0, need, need, err));
        got = leat__container_read_header((const uint8_t *)r->window->data, r->window_len, &header, err);
        if (got == 0 && need == r->size)
            return leat__error(
                err, LEAT_EDATA, "%s: the file ends within its header: it was cut off", r->path);
        if (got == 0 && want >= HEADER_BYTES_MAX)
            return leat__error(
                err, LEAT_EDATA, "%s: bad header: it has more than %u bytes", r->path, HEADER_BYTES_MAX);
        want *= 4;
    }
    if (got < 0) {
        (void)leat__error_prefix(err, "%s", r->path);
        return got;
    }
    LEAT_TRY(find_codec(r, &header, err));
    const int code = leat__schema_parse(header.schema.data, header.schema.len, &r->schema, err);
    if (code < 0) {
        (void)leat__error_prefix(err, "%s: the header's schema", r->path);
        return code;
    }
    memcpy(r->sync, header.sync, LEAT_SYNC_BYTES);
    r->first = header.size;
    r->at = header.size;
    return 0;
}

static int open_file(struct leat_container_reader *r, struct leat_error *err)
{
    struct leat_file_info info;
    LEAT_TRY(r->env->fs_stat(r->env, r->path, &info, err));
    if (!info.is_regular)
        return leat__error(err, LEAT_EUNSUPPORTED, "%s: %s, where a container file is needed", r->path,
            info.is_dir ? "a directory" : "a pipe or device");
    r->size = info.size;
    return r->env->fs_open(r->env, r->path, LEAT_OPEN_READ, &r->fd, err);
}

int leat__container_open(struct leat_env *env, struct leat_pool *pool, const char *path,
    struct leat_container_reader **reader, struct leat_error *err)
{
    *reader = NULL;
    struct leat_container_reader *r = leat__calloc(1, sizeof *r);
    if (!r)
        return leat__error(err, LEAT_ENOMEM, "%s: out of memory for opening it", path);
    r->env = env;
    r->pool = pool;
    r->fd = -1;
    r->to = UINT64_MAX;
    r->path = leat__strdup(path);
    int code =
        r->path ? open_file(r, err) : leat__error(err, LEAT_ENOMEM, "%s: out of memory for opening it", path);
    if (code == 0)
        code = read_header(r, err);
    if (code < 0) {
        leat__container_close(r);
        return code;
    }
    *reader = r;
    return 0;
}

void leat__container_close(struct leat_container_reader *reader)
{
    if (!reader)
        return;
    if (reader->fd >= 0)
        reader->env->fs_close(reader->env, reader->fd);
    leat__buffer_release(reader->window);
    leat__codec_free(reader->codec_state);
    leat__schema_free(reader->schema);
    leat__free(reader->path);
    leat__free(reader);
}

const struct leat_schema *leat__container_schema(const struct leat_container_reader *reader)
{
    return reader->schema;
}

enum leat_codec leat__container_codec(const struct leat_container_reader *reader)
{
    return reader->codec;
}

uint64_t leat__container_size(const struct leat_container_reader *reader)
{
    return reader->size;
}

/* ---- positions ---- */

uint64_t leat__container_at(const struct leat_container_reader *reader)
{
    return reader->at;
}

/* Offset of the first sync marker that begins in [from, to); the file's size where there is none. */
static int find_marker(
    struct leat_container_reader *r, uint64_t from, uint64_t to, uint64_t *marker, struct leat_error *err)
{
    *marker = r->size;
    while (from < to && from <= r->size - LEAT_SYNC_BYTES) {
        const uint8_t *data;
        size_t have;
        LEAT_TRY(look(r, from, LEAT_SYNC_BYTES, &data, &have, err));
        const uint64_t left = to - from;
        if (left < have - (LEAT_SYNC_BYTES - 1))
            have = (size_t)left + (LEAT_SYNC_BYTES - 1);
        const uint8_t *found = memmem(data, have, r->sync, LEAT_SYNC_BYTES);
        if (found) {
            *marker = from + (uint64_t)(found - data);
            return 0;
        }
        from += have - (LEAT_SYNC_BYTES - 1);
    }
    return 0;
}

int leat__container_range(
    struct leat_container_reader *reader, uint64_t from, uint64_t to, struct leat_error *err)
{
    const uint64_t header_marker = reader->first - LEAT_SYNC_BYTES;
    uint64_t marker = header_marker;
    if (from > header_marker) /* else the first block is known: no look at what else the header holds */
        LEAT_TRY(find_marker(reader, from, to, &marker, err));
    reader->at = marker < reader->size ? marker + LEAT_SYNC_BYTES : reader->size;
    reader->to = to;
    return 0;
}

int leat__container_seek(struct leat_container_reader *reader, uint64_t offset, struct leat_error *err)
{
    const uint8_t *data;
    size_t have;
    bool is_block = offset >= reader->first && offset <= reader->size;
    if (is_block) {
        LEAT_TRY(look(reader, offset - LEAT_SYNC_BYTES, LEAT_SYNC_BYTES, &data, &have, err));
        is_block = memcmp(data, reader->sync, LEAT_SYNC_BYTES) == 0;
    }
    if (!is_block)
        return leat__error(err, LEAT_EDATA,
            "%s: no block begins at offset %llu: the file is not the one that was read before", reader->path,
            (unsigned long long)offset);
    reader->at = offset;
    return 0;
}

/* ---- blocks ---- */

/* Puts path and place before the text about the next block. */
static int bad_block(const struct leat_container_reader *r, int code, struct leat_error *err)
{
    (void)leat__error_prefix(err, "%s: block %llu at offset %llu", r->path,
        (unsigned long long)r->blocks_count + 1, (unsigned long long)r->at);
    return code;
}

/* Count and size of the block at `at`; *head is the number of bytes they take. */
static int read_block_head(
    struct leat_container_reader *r, int64_t *count, int64_t *size, size_t *head, struct leat_error *err)
{
    const uint64_t left = r->size - r->at;
    const uint8_t *data;
    size_t have;
    LEAT_TRY(look(
        r, r->at, left < BLOCK_HEADER_BYTES_MAX ? (size_t)left : BLOCK_HEADER_BYTES_MAX, &data, &have, err));
    const uint8_t *p = data;
    int got = leat__container_read_long(&p, data + have, count);
    if (got > 0)
        got = leat__container_read_long(&p, data + have, size);
    if (got == 0)
        return bad_block(r,
            leat__error(err, LEAT_EDATA, "the file ends within it: it was cut off or is still being written"),
            err);
    if (got < 0 || *count < 0 || *count > LEAT_BLOCK_BYTES_MAX || *size < 0 || *size > LEAT_BLOCK_BYTES_MAX)
        return bad_block(r,
            leat__error(err, LEAT_EDATA,
                "its count of records and its size in bytes must be 0 to %u: the file is damaged",
                LEAT_BLOCK_BYTES_MAX),
            err);
    *head = (size_t)(p - data);
    const uint64_t need = *head + (uint64_t)*size + LEAT_SYNC_BYTES;
    if (need > left)
        return bad_block(r,
            leat__error(err, LEAT_EDATA,
                "it needs %llu bytes, but the file ends after %llu: it was cut off or is still being written",
                (unsigned long long)need, (unsigned long long)left),
            err);
    return 0;
}

int leat__container_next(
    struct leat_container_reader *reader, struct leat_container_block *block, struct leat_error *err)
{
    struct leat_container_reader *r = reader;
    int64_t count, size;
    size_t head = 0, have;
    const uint8_t *data;
    memset(block, 0, sizeof *block);
    if (r->at >= r->size || r->at - LEAT_SYNC_BYTES >= r->to)
        return 0;
    LEAT_TRY(read_block_head(r, &count, &size, &head, err));
    LEAT_TRY(look(r, r->at, head + (size_t)size + LEAT_SYNC_BYTES, &data, &have, err));
    data += head;
    if (memcmp(data + size, r->sync, LEAT_SYNC_BYTES) != 0)
        return bad_block(r,
            leat__error(err, LEAT_EDATA, "the sync marker behind it is not the file's: the file is damaged"),
            err);

    if (r->codec == LEAT_CODEC_NULL || (size == 0 && count == 0)) {
        leat__buffer_ref(r->window);
        block->buffer = r->window;
        block->data = data;
        block->size = (size_t)size;
    } else {
        const int code = leat__codec_unpack(
            r->codec_state, r->pool, data, (size_t)size, &block->buffer, &block->size, err);
        if (code < 0)
            return bad_block(r, code, err);
        block->data = (const uint8_t *)block->buffer->data;
    }
    block->offset = r->at;
    block->rows_count = (uint64_t)count;
    r->at += head + (uint64_t)size + LEAT_SYNC_BYTES;
    r->blocks_count++;
    return 1;
}
