/* runtime/outbox_read.c -- outboxes read back, with everything checked before it is believed: what is not whole,
 * not in its place or not of this slot is LEAT_EDATA, and from then on always.
 *
 * A window over the file that is being read: its bytes data[at .. len) are not taken yet, and begin at
 * `offset` of the file. It grows with the longest record, whose size is checked against what the file has left
 * first: a wrong size costs no memory. */
#include "base/alloc.h"
#include "base/point.h"
#include "runtime/outbox_format.h"
#include <stdio.h>

#define WINDOW_BYTES (256u * 1024u)

struct file_reader {
    struct leat_outbox_reader reader; /* first */
    struct leat_env *env;
    const char *const *paths;
    uint32_t paths_count, path; /* the one that is being read */
    const char *name;
    uint32_t slot;
    uint64_t epoch_max; /* that a file may have */
    uint64_t records_expected, records_done; /* of all files */
    uint64_t file_epoch; /* of the last file that has ended */
    leat_fd fd; /* -1: none is open */
    uint64_t file_size;
    uint32_t fixed_bytes; /* of a payload in that file */
    char *data;
    size_t at, len, capacity;
    uint64_t offset;
    uint64_t chain, file_records; /* of the open file, so far */
    uint32_t calls; /* of next, up to 2 */
    bool done, failed;
};

static int damaged(struct file_reader *r, struct leat_error *err, const char *what)
{
    r->failed = true;
    return leat__error(err, LEAT_EDATA,
        "%s is damaged at byte %llu: %s; nothing of it is sent. Go on from an earlier checkpoint, or from a "
        "copy of "
        "this one",
        r->paths[r->path], (unsigned long long)r->offset, what);
}

/* ---- the window ---- */

/* Has `need` bytes in the window. */
static int fill(struct file_reader *r, size_t need, struct leat_error *err)
{
    if (r->len - r->at >= need)
        return 0;
    if (need > r->file_size - r->offset)
        return damaged(r, err, "it ends too early");
    memmove(r->data, r->data + r->at, r->len - r->at);
    r->len -= r->at;
    r->at = 0;
    if (need > r->capacity) {
        char *data = leat__realloc(r->data, need);
        if (!data)
            return leat__error(
                err, LEAT_ENOMEM, "%s: out of memory for a record of %zu bytes", r->paths[r->path], need);
        r->data = data;
        r->capacity = need;
    }
    const int64_t got =
        r->env->fs_pread(r->env, r->fd, r->data + r->len, r->capacity - r->len, r->offset + r->len, err);
    if (got < 0)
        return leat__error_prefix(err, "%s", r->paths[r->path]);
    r->len += (size_t)got;
    return r->len >= need ? 0 : damaged(r, err, "it ends too early");
}

static const char *peek(const struct file_reader *r)
{
    return r->data + r->at;
}

static void take(struct file_reader *r, size_t size)
{
    r->at += size;
    r->offset += size;
}

/* ---- files ---- */

static void close_file(struct file_reader *r)
{
    if (r->fd >= 0)
        r->env->fs_close(r->env, r->fd);
    r->fd = -1;
}

static int check_header(struct file_reader *r, struct leat_error *err)
{
    const size_t name_len = strlen(r->name);
    const size_t size = LEAT_OUTBOX_MAGIC_BYTES + 8;
    LEAT_TRY(fill(r, size, err));
    if (memcmp(peek(r), LEAT_OUTBOX_MAGIC, LEAT_OUTBOX_MAGIC_BYTES - 1) != 0)
        return damaged(r, err, "it does not begin as an outbox does");
    const char version = peek(r)[LEAT_OUTBOX_MAGIC_BYTES - 1];
    r->fixed_bytes = version == '1' ? LEAT_OUTBOX_FIXED_BYTES_1 : LEAT_OUTBOX_FIXED_BYTES;
    if (version != '1' && version != LEAT_OUTBOX_MAGIC[LEAT_OUTBOX_MAGIC_BYTES - 1])
        return leat__error(err, LEAT_EUNSUPPORTED,
            "%s has a format that this version of the library does not read: go on with the version that has "
            "written it",
            r->paths[r->path]);
    const uint32_t slot = leat__get_le32(peek(r) + LEAT_OUTBOX_MAGIC_BYTES);
    const uint32_t len = leat__get_le32(peek(r) + LEAT_OUTBOX_MAGIC_BYTES + 4);
    if (len > LEAT_NAME_BYTES_MAX)
        return damaged(r, err, "its name is too long");
    LEAT_TRY(fill(r, size + len + 8, err));
    r->chain = leat__hash(peek(r), size + len);
    if (leat__get_le64(peek(r) + size + len) != r->chain)
        return damaged(r, err, "the checksum of its header is wrong");
    if (slot != r->slot || len != name_len || memcmp(peek(r) + size, r->name, len) != 0)
        return damaged(r, err, "it is that of another sink");
    take(r, size + len + 8);
    return 0;
}

static int open_file(struct file_reader *r, struct leat_error *err)
{
    struct leat_file_info info;
    const char *path = r->paths[r->path];
    LEAT_TRY(r->env->fs_stat(r->env, path, &info, err));
    r->at = r->len = 0;
    r->offset = 0;
    r->file_records = 0;
    r->file_size = info.size;
    if (info.is_dir)
        return damaged(r, err, "it is a directory");
    if (r->env->fs_open(r->env, path, LEAT_OPEN_READ, &r->fd, err) < 0) {
        r->fd = -1;
        return err->code;
    }
    return check_header(r, err);
}

/* ---- records ---- */

/* A part of a payload of `end` bytes, at *at, which moves behind it; to UINT64_MAX for one that is too long.
 * `size_at`: where its size is. */
static struct leat_sv part_of(const char *payload, uint32_t end, size_t size_at, uint64_t *at)
{
    const uint32_t size = leat__get_le32(payload + size_at);
    if (size == LEAT_OUTBOX_NONE)
        return (struct leat_sv){ NULL, 0 };
    if (*at > end || size > end - *at) {
        *at = UINT64_MAX;
        return (struct leat_sv){ NULL, 0 };
    }
    const char *data = payload + *at;
    *at += size;
    return (struct leat_sv){ data, size };
}

static int read_record(
    struct file_reader *r, uint32_t size, struct leat_outbox_record *record, struct leat_error *err)
{
    if (size < r->fixed_bytes || size > LEAT_OUTBOX_RECORD_BYTES_MAX)
        return damaged(r, err, "a record has an impossible size");
    LEAT_TRY(fill(r, 4 + (size_t)size + 8, err));
    const char *payload = peek(r) + 4;
    r->chain = leat__outbox_chain(r->chain, payload, size);
    if (leat__get_le64(payload + size) != r->chain)
        return damaged(r, err, "the checksum of a record is wrong");
    uint64_t at = r->fixed_bytes;
    *record = (struct leat_outbox_record){ .partition = (int32_t)leat__get_le32(payload),
        .time_us = (int64_t)leat__get_le64(payload + 4) };
    record->key = part_of(payload, size, 12, &at);
    record->value = part_of(payload, size, 16, &at);
    if (r->fixed_bytes > LEAT_OUTBOX_FIXED_BYTES_1) {
        record->headers = part_of(payload, size, 20, &at);
        record->topic = part_of(payload, size, 24, &at);
    }
    if (at != size)
        return damaged(r, err, "a record's parts do not make its size");
    take(r, 4 + (size_t)size + 8);
    r->file_records++;
    return 1;
}

/* Behind the last record of a file. */
static int read_trailer(struct file_reader *r, struct leat_error *err)
{
    LEAT_TRY(fill(r, 28, err));
    const uint64_t epoch = leat__get_le64(peek(r) + 4), records = leat__get_le64(peek(r) + 12);
    if (leat__get_le64(peek(r) + 20) != leat__outbox_seal(r->chain, epoch, records))
        return damaged(r, err, "the checksum of its end is wrong");
    if (records != r->file_records)
        return damaged(r, err, "it has not as many records as it says");
    if (epoch > r->epoch_max || epoch <= r->file_epoch)
        return damaged(r, err, "it is of another epoch");
    take(r, 28);
    if (r->offset != r->file_size)
        return damaged(r, err, "something is behind its end");
    r->file_epoch = epoch;
    r->records_done += records;
    close_file(r);
    return 0;
}

/* One record, or what comes between files: 1, 0 at the very end, or an error. */
static int read_on(struct file_reader *r, struct leat_outbox_record *record, struct leat_error *err)
{
    for (;;) {
        LEAT_TRY(fill(r, 4, err));
        const uint32_t size = leat__get_le32(peek(r));
        if (size != 0)
            return read_record(r, size, record, err);
        LEAT_TRY(read_trailer(r, err));
        if (r->path + 1 == r->paths_count)
            break;
        r->path++;
        LEAT_TRY(open_file(r, err));
    }
    if (r->records_done != r->records_expected)
        return damaged(r, err, "the manifest knows of another number of records");
    r->done = true;
    return 0;
}

static int next(struct leat_outbox_reader *reader, struct leat_outbox_record *record, struct leat_error *err)
{
    struct file_reader *r = (struct file_reader *)(void *)reader;
    if (r->failed)
        return damaged(r, err, "it was found so before");
    if (r->calls < 2 && ++r->calls == 2)
        /* (model: commit.pml, outbox_sending) */
        leat__point(LEAT_POINT_OUTBOX_SENDING); /* the first record is in the transaction */
    if (r->done)
        return 0;
    const int got = read_on(r, record, err);
    r->failed = r->failed || got < 0;
    return got;
}

/* ---- the reader ---- */

int leat__outbox_reader_open(struct leat_env *env, const char *const *paths, uint32_t count, const char *name,
    uint32_t slot, uint64_t epoch, uint64_t records, struct leat_outbox_reader **reader,
    struct leat_error *err)
{
    struct file_reader *r = leat__calloc(1, sizeof *r);
    LEAT_ASSERT(count > 0);
    *reader = NULL;
    if (!r)
        return leat__error(err, LEAT_ENOMEM, "%s: out of memory for reading it", paths[0]);
    *r = (struct file_reader){
        .reader = { next },
        .env = env,
        .paths = paths,
        .paths_count = count,
        .name = name,
        .slot = slot,
        .epoch_max = epoch,
        .records_expected = records,
        .fd = -1,
        .capacity = WINDOW_BYTES,
        .data = leat__malloc(WINDOW_BYTES),
    };
    const int code = r->data ? open_file(r, err)
                             : leat__error(err, LEAT_ENOMEM, "%s: out of memory for reading it", paths[0]);
    if (code < 0) {
        leat__outbox_reader_close(&r->reader);
        return code;
    }
    *reader = &r->reader;
    return 0;
}

void leat__outbox_reader_close(struct leat_outbox_reader *reader)
{
    struct file_reader *r = (struct file_reader *)(void *)reader;
    if (!r)
        return;
    close_file(r);
    leat__free(r->data);
    leat__free(r);
}

bool leat__outbox_reader_is_done(const struct leat_outbox_reader *reader)
{
    return ((const struct file_reader *)(const void *)reader)->done;
}
