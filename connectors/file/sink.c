/* connectors/file/sink.c -- what an instance of the file sink does with rows.
 *
 * A directory:
 *   (no part) --first row--> open part --part_bytes_max--> closed part, waiting --prepare--> handle
 *                 ^              |                             |
 *                 |              +----------prepare------------+-----------------------------> handle
 *                 +--------------------------------------------+
 * A single file:
 *   (no file) --first row, or the last prepare--> open --prepare--> resting --last prepare--> handle
 *                                                  ^                   |
 *                                                  +-------row---------+
 *
 * Rows are encoded into `out`, which goes to the file in large writes; a hash of all bytes goes along. At the end
 * of an epoch what is held back is written, and the runtime gets the file to sync it elsewhere: so no part has
 * rows of two epochs, and a single file has a length at which each epoch ends. A file that is not to be gone on
 * with is removed when the instance is closed: parts without a handle, and a single file that no checkpoint can
 * know. A directory gets a part of each subtask that has rows; a single file is written by one subtask and also
 * without rows. Standard output is written at once and never taken back: rows behind the last checkpoint come
 * again after a crash, behind a header of their own.
 *
 * Part numbers only rise, whatever the subtask: after a restore everybody begins above all that were used.
 *
 * Invariants: (1) `out` holds bytes of the open file only; (2) hidden files that this instance has made are
 * the open one, in `parts`, in a handle, or the resting single file. */
#include "base/alloc.h"
#include "connectors/file/sink_private.h"
#include <stdio.h>

/* Closed parts of an epoch whose files stay open until they are synced. More of them are synced by the worker: so
 * much was written then that it waits for the disk anyway. (Opening them again later is no way: an error of the
 * disk in between might be told to nobody.) */
#define OPEN_PARTS_MAX 64u

#define WRITE_BYTES (256u * 1024u)
#define STDOUT_FD 1

struct closed_part {
    struct leat_file_part part;
    leat_fd fd; /* -1: synced and closed */
};

struct old_part {
    const char *name;
    struct leat_file_info info;
};

struct file_sink {
    struct leat_sink sink; /* first: what the runtime knows */
    const struct leat_file_target *target;
    struct leat_file_writer writer;
    struct leat_strbuf out;
    struct leat_hash_stream *hash; /* of the open part */
    leat_fd fd; /* -1: no file is open */
    struct leat_file_part part; /* the open or resting one: name, and bytes written so far */
    bool is_begun; /* single: there is a file, open or resting */
    bool is_known; /* single: an epoch of it was prepared, so that a checkpoint may go on with it */
    bool has_handle; /* single: the last epoch was prepared */
    uint32_t number; /* of the next part */
    struct closed_part *parts; /* without a handle */
    uint32_t parts_count, parts_capacity;
    struct leat_arena arena;
    struct old_part *old; /* parts of an earlier run that are this subtask's to remove */
    uint32_t old_count, old_capacity;
};

static struct file_sink *self(struct leat_sink *sink)
{
    return (struct file_sink *)(void *)sink;
}

static bool is_open(const struct file_sink *s)
{
    return s->fd >= 0;
}

/* ---- writing ---- */

/* Puts the file's path before an error of the environment, and what to do behind it. */
static int fail_write(struct file_sink *s, struct leat__ctx *ctx)
{
    char cause[LEAT_ERROR_MESSAGE_MAX], path[LEAT_FILE_PATH_MAX];
    const bool is_full = ctx->error->code == LEAT_ENOSPC;
    (void)snprintf(cause, sizeof cause, "%s", ctx->error->message);
    if (s->target->is_stdout)
        return leat__fail(ctx, ctx->error->code, "standard output: %s; %s", cause,
            is_full ? "make room and start again" : "what reads it must stay until the job has ended");
    return leat__fail(ctx, ctx->error->code, "%s: %s; %swhat was not committed before stays invisible",
        leat__file_hidden_path(s->target, s->part.name, path), cause,
        is_full ? "make room and start again: " : "");
}

static int write_out(struct file_sink *s, struct leat__ctx *ctx)
{
    if (s->out.len == 0)
        return 0;
    if (ctx->env->fs_write(ctx->env, s->fd, s->out.data, s->out.len, ctx->error) < 0)
        return fail_write(s, ctx);
    leat__hash_stream_add(s->hash, s->out.data, s->out.len);
    s->part.size += s->out.len;
    leat__count(&ctx->counters->bytes_out, s->out.len);
    leat__strbuf_clear(&s->out);
    return 0;
}

/* Makes the file whose name is in s->part, or opens it behind what it has. */
static int open_part(struct file_sink *s, struct leat__ctx *ctx, enum leat_open_mode mode)
{
    char path[LEAT_FILE_PATH_MAX];
    const char *hidden = leat__file_hidden_path(s->target, s->part.name, path);
    if (ctx->env->fs_open(ctx->env, hidden, mode, &s->fd, ctx->error) == 0)
        return 0;
    s->fd = -1;
    return leat__fail_here(ctx);
}

static int begin_part(struct file_sink *s, struct leat__ctx *ctx)
{
    const struct leat_file_target *target = s->target;
    if (s->is_begun)
        return open_part(s, ctx, LEAT_OPEN_APPEND);
    s->part.size = 0;
    if (target->is_stdout) {
        s->fd = STDOUT_FD;
        return s->writer.write_class->begin(&s->writer, ctx);
    }
    if (s->number == UINT32_MAX)
        return leat__fail(ctx, LEAT_ELIMIT, "%s: there are no more numbers for part files", target->path);
    if (target->base)
        (void)snprintf(s->part.name, sizeof s->part.name, "%s", target->base);
    else
        leat__file_part_name(target, ctx->subtask, s->number, s->part.name);
    LEAT_TRY(open_part(s, ctx, LEAT_OPEN_CREATE));
    s->number++;
    s->is_begun = target->base != NULL;
    leat__hash_stream_clear(s->hash);
    return s->writer.write_class->begin(&s->writer, ctx);
}

static bool reserve_part(struct file_sink *s)
{
    if (s->parts_count < s->parts_capacity)
        return true;
    const uint32_t capacity = s->parts_capacity ? 2 * s->parts_capacity : 4;
    struct closed_part *parts = leat__realloc(s->parts, capacity * sizeof *parts);
    if (!parts)
        return false;
    s->parts = parts;
    s->parts_capacity = capacity;
    return true;
}

/* Writes what is held back, up to a border between rows. */
static int flush_part(struct file_sink *s, struct leat__ctx *ctx)
{
    LEAT_TRY(s->writer.write_class->flush(&s->writer, ctx));
    LEAT_TRY(write_out(s, ctx));
    s->part.hash = leat__hash_stream_value(s->hash);
    return 0;
}

/* A directory's part is full, or its epoch has ended. */
static int end_part(struct file_sink *s, struct leat__ctx *ctx)
{
    LEAT_TRY(flush_part(s, ctx));
    if (!reserve_part(s))
        return leat__fail(ctx, LEAT_ENOMEM, "%s: out of memory for its list of files", s->target->path);
    if (s->parts_count >= OPEN_PARTS_MAX) {
        if (ctx->env->fs_sync(ctx->env, s->fd, ctx->error) < 0)
            return fail_write(s, ctx);
        ctx->env->fs_close(ctx->env, s->fd);
        s->fd = -1;
    }
    s->parts[s->parts_count++] = (struct closed_part){ s->part, s->fd };
    s->fd = -1;
    return 0;
}

static int write_rows(struct file_sink *s, struct leat__ctx *ctx, const struct leat_batch *batch)
{
    const struct leat_file_target *target = s->target;
    if (!is_open(s))
        LEAT_TRY(begin_part(s, ctx));
    leat__ctx_begin(ctx, batch, NULL);
    LEAT_TRY(s->writer.write_class->rows(&s->writer, ctx, batch));
    LEAT_TRY(leat__ctx_end(ctx, batch, NULL));
    if (target->is_stdout)
        LEAT_TRY(s->writer.write_class->flush(&s->writer, ctx));
    if (target->is_stdout || s->out.len >= WRITE_BYTES)
        LEAT_TRY(write_out(s, ctx));
    if (target->part_bytes_max && s->part.size + s->out.len + s->writer.held_bytes >= target->part_bytes_max)
        LEAT_TRY(end_part(s, ctx));
    return 0;
}

/* ---- the class ---- */

/* Room for one more old part; false when out of memory. */
static bool reserve_old(struct file_sink *s)
{
    if (s->old_count < s->old_capacity)
        return true;
    const uint32_t capacity = s->old_capacity ? 2 * s->old_capacity : 16;
    struct old_part *old = leat__arena_array(&s->arena, capacity, sizeof *old);
    if (!old)
        return false;
    if (s->old_count > 0)
        memcpy(old, s->old, s->old_count * sizeof *old);
    s->old = old;
    s->old_capacity = capacity;
    return true;
}

/* Notes an old part that this subtask must remove: its own, and subtask 0 those of subtasks that are no more.
 */
static int note_old(void *arg, const char *name, bool is_dir)
{
    struct leat__ctx *ctx = ((void **)arg)[0];
    struct file_sink *s = ((void **)arg)[1];
    uint32_t subtask, number;
    const char *ending;
    (void)is_dir;
    if (!leat__file_parse_part(name, &subtask, &number, &ending))
        return 0;
    if (subtask != ctx->subtask && (ctx->subtask != 0 || subtask < ctx->parallelism))
        return 0;
    const char *copy = reserve_old(s) ? leat__arena_str(&s->arena, name) : NULL;
    if (!copy)
        return leat__error(ctx->error, LEAT_ENOMEM, "out of memory for the names of old part files");
    s->old[s->old_count++].name = copy;
    return 0;
}

/* How the old parts are now: they go only if they are still so. */
static int look_at_old(struct file_sink *s, struct leat__ctx *ctx)
{
    char path[LEAT_FILE_PATH_MAX];
    for (uint32_t i = 0; i < s->old_count; i++) {
        bool there;
        (void)leat__file_path(s->target, s->old[i].name, path);
        LEAT_TRY(leat__file_exists(ctx->env, path, &there, &s->old[i].info, ctx->error));
        if (!there)
            s->old[i--] = s->old[--s->old_count];
    }
    return 0;
}

static int file_open(struct leat_sink *sink, struct leat__ctx *ctx)
{
    struct file_sink *s = self(sink);
    const struct leat_file_target *target = sink->node->spec;
    s->target = target;
    s->fd = -1;
    s->hash = leat__hash_stream_new();
    if (!s->hash)
        return leat__fail(ctx, LEAT_ENOMEM, "%s: out of memory for writing it", target->path);
    s->writer = (struct leat_file_writer){
        .write_class = target->format == LEAT_FORMAT_AVRO ? &leat__file_write_avro : &leat__file_write_lines,
        .target = target,
        .out = &s->out,
    };
    LEAT_TRY(s->writer.write_class->open(&s->writer, ctx));
    if (!target->overwrite || target->base || target->is_stdout)
        return 0;
    void *arg[] = { ctx, s };
    int code = leat__file_list_parts(ctx->env, target, note_old, arg, ctx->error);
    if (code == 0)
        code = look_at_old(s, ctx);
    return code < 0 ? leat__fail_here(ctx) : 0;
}

static int file_on_batch(struct leat_sink *sink, struct leat__ctx *ctx, struct leat_batch *batch)
{
    const int code = write_rows(self(sink), ctx, batch);
    leat__batch_release(batch);
    return code;
}

/* Whether the epoch has a new part of this name. */
static bool is_replaced(const struct file_sink *s, const struct leat__ctx *ctx, const char *old)
{
    char name[LEAT_FILE_NAME_MAX];
    uint32_t subtask, number;
    const char *ending;
    if (!leat__file_parse_part(old, &subtask, &number, &ending) || number >= s->number)
        return false;
    leat__file_part_name(s->target, ctx->subtask, number, name);
    return strcmp(name, old) == 0;
}

/* One part: its file to be synced, then its handle. */
static int add_part(struct file_sink *s, struct closed_part *closed, struct leat_handle_list *handles)
{
    char path[LEAT_FILE_PATH_MAX];
    (void)leat__file_hidden_path(s->target, closed->part.name, path);
    if (closed->fd >= 0)
        LEAT_TRY(leat__handle_sync(handles, closed->fd, path));
    closed->fd = -1;
    return leat__file_handle_put(handles, s->sink.node, &closed->part);
}

/* (model: commit.pml, barrier, sink_synced) */
static int add_handles(struct file_sink *s, const struct leat__ctx *ctx, struct leat_handle_list *handles)
{
    const struct leat_node *node = s->sink.node;
    if (s->parts_count > 0)
        LEAT_TRY(leat__handle_sync_dir(handles, leat__file_dir(s->target)));
    for (uint32_t i = 0; i < s->parts_count; i++)
        LEAT_TRY(add_part(s, &s->parts[i], handles));
    for (uint32_t i = 0; i < s->old_count; i++) {
        if (!is_replaced(s, ctx, s->old[i].name))
            LEAT_TRY(leat__file_handle_old(handles, node, s->old[i].name, &s->old[i].info));
    }
    s->parts_count = s->old_count = 0;
    return 0;
}

static int prepare_parts(struct file_sink *s, struct leat__ctx *ctx, struct leat_handle_list *handles)
{
    if (is_open(s))
        LEAT_TRY(end_part(s, ctx));
    if (add_handles(s, ctx, handles) < 0)
        return leat__fail(ctx, LEAT_ENOMEM, "%s: out of memory for its commit", s->target->path);
    return 0;
}

static int add_single(struct file_sink *s, bool last, struct leat_handle_list *handles)
{
    const struct leat_node *node = s->sink.node;
    char path[LEAT_FILE_PATH_MAX];
    (void)leat__file_hidden_path(s->target, s->part.name, path);
    if (is_open(s)) {
        if (!s->is_known) /* its name is new */
            LEAT_TRY(leat__handle_sync_dir(handles, leat__file_dir(s->target)));
        LEAT_TRY(leat__handle_sync(handles, s->fd, path));
        s->fd = -1;
    }
    if (!last)
        return 0;
    return s->is_known ? leat__file_handle_end(handles, node, &s->part)
                       : leat__file_handle_put(handles, node, &s->part);
}

/* A single file rests until the next row; at the end it is made visible, also without rows. */
static int prepare_single(
    struct file_sink *s, struct leat__ctx *ctx, bool last, struct leat_handle_list *handles)
{
    if (!s->is_begun && last)
        LEAT_TRY(begin_part(s, ctx));
    if (is_open(s))
        LEAT_TRY(flush_part(s, ctx));
    if (add_single(s, last, handles) < 0)
        return leat__fail(ctx, LEAT_ENOMEM, "%s: out of memory for its commit", s->target->path);
    s->is_known = s->is_known || (s->is_begun && !last);
    s->has_handle = last;
    return 0;
}

static int file_prepare(struct leat_sink *sink, struct leat__ctx *ctx, uint64_t epoch, bool last,
    struct leat_handle_list *handles)
{
    struct file_sink *s = self(sink);
    (void)epoch;
    if (s->target->base)
        return prepare_single(s, ctx, last, handles);
    if (!s->target->is_stdout)
        return prepare_parts(s, ctx, handles);
    if (!is_open(s))
        LEAT_TRY(begin_part(s, ctx)); /* header and all, though there are no rows */
    return write_out(s, ctx);
}

/* ---- checkpoints ---- */

static int file_snapshot(struct leat_sink *sink, struct leat__ctx *ctx, struct leat_strbuf *out)
{
    const struct file_sink *s = self(sink);
    struct leat_file_state state = { .known = LEAT_FILE_NOTHING, .number = s->number, .part = s->part };
    memcpy(state.sync, s->writer.sync, sizeof state.sync);
    if (s->target->base && s->is_begun)
        state.known = LEAT_FILE_GROWING;
    else if (!s->target->base && !s->target->is_stdout)
        state.known = LEAT_FILE_PARTS;
    leat__file_state_write(&state, out);
    return out->failed ? leat__fail(ctx, LEAT_ENOMEM, "%s: out of memory for a checkpoint", s->target->path)
                       : 0;
}

static int note_number(void *arg, const char *name, bool is_dir)
{
    uint32_t subtask, number, *next = arg;
    const char *ending;
    (void)is_dir;
    if (leat__file_parse_part(name, &subtask, &number, &ending) && number >= *next)
        *next = number < UINT32_MAX ? number + 1 : number;
    return 0;
}

/* Goes on behind all numbers that were used: by the subtasks of the checkpoint, and by what is visible, which
 * can be more when the job was made to go back behind its own commits. */
static int restore_parts(struct file_sink *s, struct leat__ctx *ctx)
{
    const int code = leat__file_list_parts(ctx->env, s->target, note_number, &s->number, ctx->error);
    return code < 0 ? leat__fail_here(ctx) : 0;
}

/* The header that the file would get today is the one that it has. */
static int check_header(struct file_sink *s, struct leat__ctx *ctx, const char *hidden)
{
    char *there = leat__malloc(s->out.len + 1);
    int64_t got =
        there ? 0 : leat__error(ctx->error, LEAT_ENOMEM, "%s: out of memory for reading it", hidden);
    if (there)
        got = ctx->env->fs_open(ctx->env, hidden, LEAT_OPEN_READ, &s->fd, ctx->error);
    if (got == 0) {
        got = ctx->env->fs_pread(ctx->env, s->fd, there, s->out.len, 0, ctx->error);
        ctx->env->fs_close(ctx->env, s->fd);
    }
    s->fd = -1;
    const bool same = got == (int64_t)s->out.len && (got == 0 || memcmp(there, s->out.data, s->out.len) == 0);
    leat__free(there);
    leat__strbuf_clear(&s->out);
    if (got < 0)
        return leat__fail_here(ctx);
    return same
        ? 0
        : leat__fail(ctx, LEAT_ESCHEMA,
              "%s was begun with another type, codec or separator, and can not go on with this one: finish "
              "it with the old program, or give another path and begin new",
              hidden);
}

/* Goes on with a single file of which the checkpoint knows `state`. */
static int restore_growing(struct file_sink *s, struct leat__ctx *ctx, const struct leat_file_state *state)
{
    char path[LEAT_FILE_PATH_MAX];
    const char *hidden = leat__file_hidden_path(s->target, state->part.name, path);
    uint64_t size = state->part.size;
    s->part = state->part;
    s->is_begun = s->is_known = true;
    memcpy(s->writer.sync, state->sync, sizeof s->writer.sync);
    s->writer.has_sync = true;
    LEAT_TRY(s->writer.write_class->begin(&s->writer, ctx));
    LEAT_TRY(check_header(s, ctx, hidden));
    leat__hash_stream_clear(s->hash);
    if (leat__file_hash(ctx->env, hidden, s->hash, &size, ctx->error) < 0)
        return leat__fail_here(ctx);
    if (size != state->part.size || leat__hash_stream_value(s->hash) != state->part.hash)
        return leat__fail(ctx, LEAT_EDATA,
            "%s is not what was written up to the checkpoint (%llu bytes, hash %016llx): another one has "
            "changed "
            "it",
            hidden, (unsigned long long)state->part.size, (unsigned long long)state->part.hash);
    return 0;
}

static int file_restore(
    struct leat_sink *sink, struct leat__ctx *ctx, const struct leat_sv *parts, uint32_t count)
{
    struct file_sink *s = self(sink);
    s->old_count = 0; /* the first epoch was before this checkpoint, and took them along */
    for (uint32_t i = 0; i < count; i++) {
        struct leat_file_state state;
        if (leat__file_state_read(parts[i], &state, ctx->error) < 0)
            return leat__fail_here(ctx);
        if (state.known == LEAT_FILE_PARTS && state.number > s->number)
            s->number = state.number;
        if (state.known == LEAT_FILE_GROWING && s->target->base)
            return restore_growing(s, ctx, &state);
    }
    return s->target->base || s->target->is_stdout ? 0 : restore_parts(s, ctx);
}

static void remove_hidden(const struct file_sink *s, const struct leat__ctx *ctx, const char *name)
{
    struct leat_error ignored = { 0 }; /* what remains is hidden, and the next run removes it */
    char path[LEAT_FILE_PATH_MAX];
    (void)ctx->env->fs_unlink(ctx->env, leat__file_hidden_path(s->target, name, path), &ignored);
}

static void file_close(struct leat_sink *sink, struct leat__ctx *ctx)
{
    struct file_sink *s = self(sink);
    if (!s->target)
        return;
    const bool was_open = is_open(s) && !s->target->is_stdout;
    if (was_open)
        ctx->env->fs_close(ctx->env, s->fd);
    if (s->target->base ? s->is_begun && !s->is_known && !s->has_handle : was_open)
        remove_hidden(s, ctx, s->part.name);
    for (uint32_t i = 0; i < s->parts_count; i++) {
        if (s->parts[i].fd >= 0)
            ctx->env->fs_close(ctx->env, s->parts[i].fd);
        remove_hidden(s, ctx, s->parts[i].part.name);
    }
    if (s->writer.write_class)
        s->writer.write_class->close(&s->writer);
    leat__hash_stream_free(s->hash);
    leat__strbuf_release(&s->out);
    leat__free(s->parts);
    leat__arena_release(&s->arena);
    s->target = NULL;
}

const struct leat_sink_class leat__file_sink_class = {
    .kind = "file sink",
    .size = sizeof(struct file_sink),
    .check = leat__file_check,
    .recover = leat__file_recover,
    .open = file_open,
    .on_batch = file_on_batch,
    .prepare = file_prepare,
    .snapshot = file_snapshot,
    .restore = file_restore,
    .close = file_close,
    .commit = leat__file_commit,
    .discard = leat__file_discard,
};
