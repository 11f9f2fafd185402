/* runtime/outbox.c -- the worker's side of outboxes: records to a file of the spool, closed files into the
 * checkpoint. outbox.h has the idea and the format.
 *
 *   no file --first record--> open file --cut--> in the list, to be synced --place--> in the list and in a checkpoint
 *      ^                                                                                 |
 *      +---------------- release of the list: the manifest stands -----------------------+
 *
 * Invariants: (1) `out` holds bytes of the open file only; (2) a file of the spool is the open one of an
 * outbox or in a list; (3) what was cut is never written to again, for checkpoints share it by links. */
#include "base/alloc.h"
#include "runtime/outbox_format.h"
#include <stdio.h>

#define WRITE_BYTES (256u * 1024u)
#define COPY_BYTES (256u * 1024u)
#define PATH_BYTES 4096u

struct spooled {
    struct leat_outbox outbox; /* first */
    const char *spool_dir;
    struct leat_strbuf out; /* not written yet */
    leat_fd fd; /* -1: no file is open */
    uint64_t number; /* of the open file, or of the last one */
    uint64_t records; /* in the open file */
    uint64_t chain; /* checksum of the last one */
    char path[PATH_BYTES]; /* of the open file */
};

/* ---- the spool ---- */

struct sweep {
    struct leat_env *env;
    const char *dir;
    struct leat_error *err;
};

static int remove_one(void *arg, const char *name, bool is_dir)
{
    const struct sweep *s = arg;
    char path[PATH_BYTES];
    const int len = snprintf(path, sizeof path, "%s/%s", s->dir, name);
    if (is_dir || (size_t)len >= sizeof path)
        return 0; /* not ours */
    const int code = s->env->fs_unlink(s->env, path, s->err);
    return code == LEAT_ENOTFOUND ? 0 : code;
}

int leat__spool_prepare(struct leat_env *env, const char *dir, struct leat_error *err)
{
    struct sweep sweep = { env, dir, err };
    LEAT_TRY(env->fs_mkdir(env, dir, err));
    return env->fs_list(env, dir, remove_one, &sweep, err);
}

/* ---- writing ---- */

static struct spooled *spooled_of(const struct leat__ctx *ctx)
{
    return (struct spooled *)(void *)ctx->outbox;
}

static int write_out(struct spooled *o, struct leat__ctx *ctx)
{
    if (o->out.failed)
        return leat__fail(ctx, LEAT_ENOMEM, "%s: out of memory for its records", o->path);
    if (ctx->env->fs_write(ctx->env, o->fd, o->out.data, o->out.len, ctx->error) < 0) {
        (void)leat__error_prefix(ctx->error, "%s", o->path);
        return leat__fail_here(ctx);
    }
    leat__count(&ctx->counters->bytes_out, o->out.len);
    leat__strbuf_clear(&o->out);
    return 0;
}

static void put_u32(struct leat_strbuf *out, uint32_t value)
{
    char bytes[4];
    leat__put_le32(bytes, value);
    leat__strbuf_add(out, bytes, sizeof bytes);
}

static void put_u64(struct leat_strbuf *out, uint64_t value)
{
    char bytes[8];
    leat__put_le64(bytes, value);
    leat__strbuf_add(out, bytes, sizeof bytes);
}

static int begin_file(struct spooled *o, struct leat__ctx *ctx)
{
    const char *name = ctx->node->name;
    const int len = snprintf(o->path, sizeof o->path, "%s/%s-%u-%llu", o->spool_dir, name, ctx->subtask,
        (unsigned long long)o->number + 1);
    if ((size_t)len >= sizeof o->path)
        return leat__fail(ctx, LEAT_ELIMIT, "%s: the path is too long", o->spool_dir);
    if (ctx->env->fs_open(ctx->env, o->path, LEAT_OPEN_CREATE, &o->fd, ctx->error) < 0) {
        o->fd = -1;
        return leat__fail_here(ctx);
    }
    o->number++;
    o->records = 0;
    leat__strbuf_clear(&o->out);
    leat__strbuf_add(&o->out, LEAT_OUTBOX_MAGIC, LEAT_OUTBOX_MAGIC_BYTES);
    put_u32(&o->out, ctx->subtask);
    put_u32(&o->out, (uint32_t)strlen(name));
    leat__strbuf_str(&o->out, name);
    o->chain = o->out.failed ? 0 : leat__hash(o->out.data, o->out.len);
    put_u64(&o->out, o->chain);
    return 0;
}

static void put_size(struct leat_strbuf *out, struct leat_sv part)
{
    put_u32(out, part.data ? (uint32_t)part.len : LEAT_OUTBOX_NONE);
}

static void put_payload(struct leat_strbuf *out, const struct leat_outbox_record *r)
{
    put_u32(out, (uint32_t)r->partition);
    put_u64(out, (uint64_t)r->time_us);
    put_size(out, r->key);
    put_size(out, r->value);
    put_size(out, r->headers);
    put_size(out, r->topic);
    leat__strbuf_add(out, r->key.data, r->key.len);
    leat__strbuf_add(out, r->value.data, r->value.len);
    leat__strbuf_add(out, r->headers.data, r->headers.len);
    leat__strbuf_add(out, r->topic.data, r->topic.len);
}

/* Of a payload; SIZE_MAX when it is larger than any may be. */
static size_t payload_bytes(const struct leat_outbox_record *r)
{
    const size_t most = LEAT_OUTBOX_RECORD_BYTES_MAX - LEAT_OUTBOX_FIXED_BYTES;
    const struct leat_sv parts[] = { r->key, r->value, r->headers, r->topic };
    size_t size = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        LEAT_ASSERT(parts[i].data || parts[i].len == 0);
        if (parts[i].len > most - size)
            return SIZE_MAX;
        size += parts[i].len;
    }
    return LEAT_OUTBOX_FIXED_BYTES + size;
}

static int add_record(struct leat__ctx *ctx, const struct leat_outbox_record *record)
{
    struct spooled *o = spooled_of(ctx);
    const size_t size = payload_bytes(record);
    if (size == SIZE_MAX)
        return leat__error(ctx->error, LEAT_ELIMIT,
            "a record of more than %u bytes does not fit into an outbox", LEAT_OUTBOX_RECORD_BYTES_MAX);
    if (o->fd < 0)
        LEAT_TRY(begin_file(o, ctx));
    put_u32(&o->out, (uint32_t)size);
    const size_t from = o->out.len;
    put_payload(&o->out, record);
    if (!o->out.failed)
        o->chain = leat__outbox_chain(o->chain, o->out.data + from, size);
    put_u64(&o->out, o->chain);
    o->records++;
    return o->out.failed || o->out.len >= WRITE_BYTES ? write_out(o, ctx) : 0;
}

int leat__outbox_open(struct leat__ctx *ctx, const char *spool_dir)
{
    struct spooled *o = leat__calloc(1, sizeof *o);
    if (!o)
        return leat__fail(ctx, LEAT_ENOMEM, "out of memory for its outbox");
    o->spool_dir = spool_dir;
    o->fd = -1;
    o->outbox.add = add_record;
    ctx->outbox = &o->outbox;
    return 0;
}

/* Room for one more; false when out of memory. */
static bool reserve(struct leat_outbox_list *list)
{
    if (list->count < list->capacity)
        return true;
    const uint32_t capacity = list->capacity ? 2 * list->capacity : 4;
    struct leat_outbox_file *files = leat__arena_array(&list->arena, capacity, sizeof *files);
    if (!files)
        return false;
    if (list->count > 0)
        memcpy(files, list->files, list->count * sizeof *files);
    list->files = files;
    list->capacity = capacity;
    return true;
}

int leat__outbox_cut(struct leat__ctx *ctx, uint64_t epoch, struct leat_outbox_list *list)
{
    struct spooled *o = spooled_of(ctx);
    if (!o || o->fd < 0)
        return 0;
    put_u32(&o->out, 0);
    put_u64(&o->out, epoch);
    put_u64(&o->out, o->records);
    put_u64(&o->out, leat__outbox_seal(o->chain, epoch, o->records));
    LEAT_TRY(write_out(o, ctx));
    const struct leat_outbox_file file = {
        .node = ctx->node,
        .slot = ctx->subtask,
        .records = o->records,
        .name = leat__arena_printf(
            &list->arena, "outbox-%s-%u-%llu", ctx->node->name, ctx->subtask, (unsigned long long)o->number),
        .spool_path = leat__arena_str(&list->arena, o->path),
        .fd = o->fd,
    };
    if (!file.name || !file.spool_path || !reserve(list))
        return leat__fail(ctx, LEAT_ENOMEM, "%s: out of memory for its list of files", o->path);
    list->files[list->count++] = file;
    o->fd = -1;
    return 0;
}

void leat__outbox_close(struct leat__ctx *ctx)
{
    struct spooled *o = spooled_of(ctx);
    struct leat_error ignored = { 0 }; /* what remains goes when the next job begins */
    if (!o)
        return;
    if (o->fd >= 0) {
        ctx->env->fs_close(ctx->env, o->fd);
        (void)ctx->env->fs_unlink(ctx->env, o->path, &ignored);
    }
    leat__strbuf_release(&o->out);
    leat__free(o);
    ctx->outbox = NULL;
}

/* ---- into the checkpoint ---- */

static int sync_file(struct leat_outbox_list *list, struct leat_outbox_file *file, struct leat_env *env,
    struct leat_error *err)
{
    if (file->fd < 0)
        return 0;
    if (env->fs_sync(env, file->fd, err) < 0) {
        list->failed = true;
        return leat__error_prefix(err, "%s", file->spool_path);
    }
    env->fs_close(env, file->fd);
    file->fd = -1;
    return 0;
}

static int copy_bytes(struct leat_env *env, leat_fd from, leat_fd to, char *buffer, struct leat_error *err)
{
    uint64_t offset = 0;
    for (;;) {
        const int64_t got = env->fs_pread(env, from, buffer, COPY_BYTES, offset, err);
        if (got < 0)
            return (int)got;
        if (got == 0)
            return env->fs_sync(env, to, err);
        LEAT_TRY(env->fs_write(env, to, buffer, (size_t)got, err));
        offset += (uint64_t)got;
    }
}

static int copy_file(struct leat_env *env, const char *from, const char *to, struct leat_error *err)
{
    leat_fd in, out;
    char *buffer = leat__malloc(COPY_BYTES);
    if (!buffer)
        return leat__error(err, LEAT_ENOMEM, "%s: out of memory for copying it", from);
    int code = env->fs_open(env, from, LEAT_OPEN_READ, &in, err);
    if (code == 0) {
        code = env->fs_open(env, to, LEAT_OPEN_CREATE, &out, err);
        if (code == 0) {
            code = copy_bytes(env, in, out, buffer, err);
            env->fs_close(env, out);
        }
        env->fs_close(env, in);
    }
    leat__free(buffer);
    return code;
}

int leat__outbox_place(
    struct leat_outbox_list *list, struct leat_env *env, const char *dir, struct leat_error *err)
{
    char path[PATH_BYTES];
    if (list->failed)
        return leat__error(err, LEAT_EIO,
            "an outbox could not be synced before: what it had may be lost, so nothing of it is sent; start "
            "from "
            "the last checkpoint");
    for (uint32_t i = 0; i < list->count; i++)
        LEAT_TRY(sync_file(list, &list->files[i], env, err));
    for (uint32_t i = 0; i < list->count; i++) {
        const struct leat_outbox_file *file = &list->files[i];
        const int len = snprintf(path, sizeof path, "%s/%s", dir, file->name);
        if ((size_t)len >= sizeof path)
            return leat__error(err, LEAT_ELIMIT, "%s: the path is too long", dir);
        if (env->fs_link(env, file->spool_path, path, err) < 0) /* not every file system has links */
            LEAT_TRY(copy_file(env, file->spool_path, path, err));
    }
    return 0;
}

void leat__outbox_list_release(struct leat_outbox_list *list, struct leat_env *env)
{
    struct leat_error ignored = { 0 }; /* what remains goes when the next job begins */
    for (uint32_t i = 0; i < list->count; i++) {
        if (list->files[i].fd >= 0)
            env->fs_close(env, list->files[i].fd);
        (void)env->fs_unlink(env, list->files[i].spool_path, &ignored);
    }
    leat__arena_release(&list->arena);
    *list = (struct leat_outbox_list){ 0 };
}
