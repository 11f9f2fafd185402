/* connectors/file/sink.c -- the file sink: its declaration, and what an instance does with rows.
 *
 *   (no part) --first row--> open part --part_bytes_max--> closed part, waiting --prepare--> handle
 *                 ^                                            |
 *                 +--------------------------------------------+
 *
 * Rows are encoded into `out`, which goes to the file in large writes; a hash of all bytes goes along.
 * Closing a part writes what is held back and syncs the file: a handle stands for bytes on the disk. What has
 * no handle yet when the instance is closed is removed. A directory gets a part of each subtask that has
 * rows; a single file is written by one subtask and also without rows. Standard output is written at once and
 * never taken back.
 *
 * Invariants: (1) `out` holds bytes of the open part only; (2) hidden files that this instance has made are
 * either the open part, in `parts`, or in a handle. */
#include "base/alloc.h"
#include "base/hash.h"
#include "base/near.h"
#include "connectors/file/sink_private.h"
#include "record/csv.h"
#include <stdio.h>

#define WRITE_BYTES (256u * 1024u)
#define STDOUT_FD 1

struct file_sink {
    struct leat_sink sink; /* first: what the runtime knows */
    const struct leat_file_target *target;
    struct leat_file_writer writer;
    struct leat_strbuf out;
    struct leat_hash_stream *hash; /* of the open part */
    leat_fd fd; /* -1: no part is open */
    struct leat_file_part part; /* the open one: name, and bytes written so far */
    uint32_t number; /* of the next part */
    struct leat_file_part *parts; /* closed ones without a handle */
    uint32_t parts_count, parts_capacity;
    struct leat_arena arena;
    const char **old; /* parts of an earlier run that are this subtask's to remove */
    uint32_t old_count, old_capacity;
    bool prepared; /* some epoch was */
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
    return leat__fail(ctx, ctx->error->code, "%s: %s; %snothing of this run was made visible",
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

static int begin_part(struct file_sink *s, struct leat__ctx *ctx)
{
    char path[LEAT_FILE_PATH_MAX];
    const struct leat_file_target *target = s->target;
    s->part.size = 0;
    if (target->is_stdout) {
        s->fd = STDOUT_FD;
        return s->writer.write_class->begin(&s->writer, ctx);
    }
    if (target->base && s->prepared)
        return leat__fail(ctx, LEAT_EUNSUPPORTED,
            "%s: a single file can not grow after it was committed: give a directory as the path",
            target->path);
    if (target->base)
        (void)snprintf(s->part.name, sizeof s->part.name, "%s", target->base);
    else
        leat__file_part_name(target, ctx->subtask, s->number, s->part.name);
    const char *hidden = leat__file_hidden_path(target, s->part.name, path);
    if (ctx->env->fs_open(ctx->env, hidden, LEAT_OPEN_CREATE, &s->fd, ctx->error) < 0) {
        s->fd = -1;
        return leat__fail_here(ctx);
    }
    s->number++;
    leat__hash_stream_clear(s->hash);
    return s->writer.write_class->begin(&s->writer, ctx);
}

static bool reserve_part(struct file_sink *s)
{
    if (s->parts_count < s->parts_capacity)
        return true;
    const uint32_t capacity = s->parts_capacity ? 2 * s->parts_capacity : 4;
    struct leat_file_part *parts = leat__realloc(s->parts, capacity * sizeof *parts);
    if (!parts)
        return false;
    s->parts = parts;
    s->parts_capacity = capacity;
    return true;
}

static int end_part(struct file_sink *s, struct leat__ctx *ctx)
{
    LEAT_TRY(s->writer.write_class->flush(&s->writer, ctx));
    LEAT_TRY(write_out(s, ctx));
    if (ctx->env->fs_sync(ctx->env, s->fd, ctx->error) < 0)
        return fail_write(s, ctx);
    if (!reserve_part(s))
        return leat__fail(ctx, LEAT_ENOMEM, "%s: out of memory for its list of files", s->target->path);
    ctx->env->fs_close(ctx->env, s->fd);
    s->fd = -1;
    s->part.hash = leat__hash_stream_value(s->hash);
    s->parts[s->parts_count++] = s->part;
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
    if (s->old_count == s->old_capacity) {
        const uint32_t capacity = s->old_capacity ? 2 * s->old_capacity : 16;
        const char **old = leat__arena_array(&s->arena, capacity, sizeof *old);
        if (!old)
            return leat__error(ctx->error, LEAT_ENOMEM, "out of memory for the names of old part files");
        if (s->old_count > 0)
            memcpy(old, s->old, s->old_count * sizeof *old);
        s->old = old;
        s->old_capacity = capacity;
    }
    const char *copy = leat__arena_str(&s->arena, name);
    if (!copy)
        return leat__error(ctx->error, LEAT_ENOMEM, "out of memory for the names of old part files");
    s->old[s->old_count++] = copy;
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
    const int code = leat__file_list_parts(ctx->env, target, note_old, arg, ctx->error);
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

static int add_handles(struct file_sink *s, const struct leat__ctx *ctx, struct leat_handle_list *handles)
{
    const struct leat_node *node = s->sink.node;
    for (uint32_t i = 0; i < s->parts_count; i++)
        LEAT_TRY(leat__file_handle_put(handles, node, &s->parts[i]));
    for (uint32_t i = 0; i < s->old_count; i++) {
        if (!is_replaced(s, ctx, s->old[i]))
            LEAT_TRY(leat__file_handle_old(handles, node, s->old[i]));
    }
    return 0;
}

static int file_prepare(struct leat_sink *sink, struct leat__ctx *ctx, uint64_t epoch, bool last,
    struct leat_handle_list *handles)
{
    (void)last;
    struct file_sink *s = self(sink);
    const struct leat_file_target *target = s->target;
    (void)epoch;
    if (!is_open(s) && (target->base || target->is_stdout) && !s->prepared)
        LEAT_TRY(begin_part(s, ctx)); /* header and all, though there are no rows */
    s->prepared = true;
    if (target->is_stdout)
        return write_out(s, ctx);
    if (is_open(s))
        LEAT_TRY(end_part(s, ctx));
    if (add_handles(s, ctx, handles) < 0)
        return leat__fail(ctx, LEAT_ENOMEM, "%s: out of memory for its commit", target->path);
    s->parts_count = s->old_count = 0;
    return 0;
}

static void file_close(struct leat_sink *sink, struct leat__ctx *ctx)
{
    struct file_sink *s = self(sink);
    struct leat_error ignored = { 0 }; /* what remains is hidden, and the next run removes it */
    char path[LEAT_FILE_PATH_MAX];
    if (!s->target)
        return;
    if (is_open(s) && !s->target->is_stdout) {
        ctx->env->fs_close(ctx->env, s->fd);
        (void)ctx->env->fs_unlink(ctx->env, leat__file_hidden_path(s->target, s->part.name, path), &ignored);
    }
    for (uint32_t i = 0; i < s->parts_count; i++)
        (void)ctx->env->fs_unlink(
            ctx->env, leat__file_hidden_path(s->target, s->parts[i].name, path), &ignored);
    if (s->writer.write_class)
        s->writer.write_class->close(&s->writer);
    leat__hash_stream_free(s->hash);
    leat__strbuf_release(&s->out);
    leat__free(s->parts);
    leat__arena_release(&s->arena);
    s->target = NULL;
}

static const struct leat_sink_class file_sink_class = {
    .kind = "file sink",
    .size = sizeof(struct file_sink),
    .check = leat__file_check,
    .open = file_open,
    .on_batch = file_on_batch,
    .prepare = file_prepare,
    .close = file_close,
    .commit = leat__file_commit,
    .discard = leat__file_discard,
};

/* ---- the declaration ---- */

/* The part of a path before its last slash, as a directory: "." where there is none, "" for the root. */
static const char *parent_of(struct leat_node *node, const char *path)
{
    const char *base = leat__file_base(path);
    size_t len = (size_t)(base - path);
    if (len == 0)
        return ".";
    while (len > 0 && path[len - 1] == '/')
        len--;
    char *dir = leat__spec(node, len + 1);
    return dir ? memcpy(dir, path, len) : "";
}

static void check_path(
    struct leat_node *node, const struct leat_file_sink_opts *o, struct leat_file_target *target)
{
    if (!o->path || !*o->path) {
        leat__declare_error(node, "path", LEAT_EDECLARE,
            "missing: a directory for part files, a file name that ends in .avro, .jsonl, .ndjson or .csv, "
            "or \"-\" "
            "for the standard output");
        return;
    }
    const size_t len = strlen(o->path);
    target->path = leat__spec_str(node, o->path);
    target->is_stdout = strcmp(o->path, "-") == 0;
    if (!target->is_stdout && leat__file_format(o->path)) {
        target->dir = parent_of(node, o->path);
        target->base = leat__spec_str(node, leat__file_base(o->path));
    } else if (!target->is_stdout) {
        target->dir =
            parent_of(node, o->path[len - 1] == '/' ? o->path : leat__spec_printf(node, "%s/", o->path));
    }
    if (len + 64 > LEAT_FILE_PATH_MAX || (target->base && strlen(target->base) + 16 > LEAT_FILE_NAME_MAX))
        leat__declare_error(node, "path", LEAT_ELIMIT,
            "too long with %zu bytes: a path has at most %u, and a file's name in it %u", len,
            LEAT_FILE_PATH_MAX - 64, LEAT_FILE_NAME_MAX - 16);
}

/* Two sinks that write the same file would each believe that the other's is not there. */
static void check_shared(struct leat_node *node, const struct leat_file_target *target)
{
    const bool mixes =
        target->is_stdout && target->format != LEAT_FORMAT_AVRO && target->format != LEAT_FORMAT_CSV;
    for (uint32_t i = 0; target->path && !mixes && i < node->t->nodes_count; i++) {
        const struct leat_node *other = node->t->nodes[i];
        if (other == node || other->sink != &file_sink_class)
            continue;
        const struct leat_file_target *o = other->spec;
        const bool same = target->is_stdout || o->is_stdout
            ? target->is_stdout && o->is_stdout
            : strcmp(target->dir, o->dir) == 0 && (target->base != NULL) == (o->base != NULL) &&
                (!target->base || strcmp(target->base, o->base) == 0);
        if (same) {
            leat__declare_error(node, "path", LEAT_EDECLARE,
                "%s is written by the file sink \"%s\" too: give each sink a path of its own", target->path,
                other->name);
            return;
        }
    }
}

static void check_codec(
    struct leat_node *node, const struct leat_file_sink_opts *o, struct leat_file_target *target)
{
    static const char *const names[] = { "null", "deflate", "snappy", "zstandard" };
    target->codec = leat__codec_find(o->codec);
    if (o->codec && target->format != LEAT_FORMAT_AVRO) {
        leat__declare_error(node, "codec", LEAT_EDECLARE,
            "only Avro files have one, but the format is %s: leave it out",
            leat__file_format_name(target->format));
    } else if (!target->codec) {
        const int near = leat__near(o->codec, names, sizeof names / sizeof names[0]);
        leat__declare_error(node, "codec", LEAT_EDECLARE,
            "unknown codec \"%s\" (known are null, deflate, snappy, zstandard)%s%s%s", o->codec,
            near < 0 ? "" : "; did you mean \"", near < 0 ? "" : names[near], near < 0 ? "" : "\"?");
    }
}

static void check_format(
    struct leat_node *node, const struct leat_file_sink_opts *o, struct leat_file_target *target)
{
    static const char *const endings[] = { "", ".avro", ".jsonl", ".jsonl", ".csv" };
    struct leat_error err = { 0 };
    const struct leat_type *type = target->type;
    if (o->format && !leat__file_format_is_known(o->format)) {
        leat__declare_error(
            node, "format", LEAT_EDECLARE, "%d is not one of " LEAT_FILE_FORMATS, (int)o->format);
        return;
    }
    target->format = o->format ? o->format
        : target->path         ? leat__file_format(target->path)
                               : LEAT_FORMAT_AVRO;
    if (!target->format)
        target->format = LEAT_FORMAT_AVRO;
    target->ending = endings[target->format];
    target->separator = o->separator ? o->separator : ',';
    check_codec(node, o, target);
    if (o->separator && target->format != LEAT_FORMAT_CSV)
        leat__declare_error(node, "separator", LEAT_EDECLARE, "only CSV has one, but the format is %s",
            leat__file_format_name(target->format));
    if (o->separator == '"' || o->separator == '\n' || o->separator == '\r')
        leat__declare_error(node, "separator", LEAT_EDECLARE,
            "a quote or a line end can not separate columns: take , ; | or a tab");
    if (type && target->format == LEAT_FORMAT_CSV && leat__csv_check(type, &err) < 0)
        leat__declare_error_of(node, "format", &err);
    if (type && target->format == LEAT_FORMAT_AVRO && !type->schema)
        leat__declare_error(node, "format", LEAT_EUNSUPPORTED,
            "the records of its input (%s) have no Avro schema: write JSON lines, or map them to a type with "
            "one",
            type->name);
    if (o->part_bytes_max && (target->base || target->is_stdout))
        leat__declare_error(node, "part_bytes_max", LEAT_EDECLARE,
            "only a directory has several part files: leave it out, or give a directory as the path");
    target->part_bytes_max = o->part_bytes_max;
    target->overwrite = o->overwrite;
}

void leat_file_sink_sized(
    leat_stream *in, const char *name, const struct leat_file_sink_opts *opts, size_t size)
{
    struct leat_node *node = leat__declare(in->t, name, LEAT_NODE_SINK, file_sink_class.kind);
    struct leat_file_sink_opts o;
    leat__opts_copy(node, &o, sizeof o, opts, size);
    struct leat_file_target *target = leat__spec(node, sizeof *target);
    if (!target || !opts) {
        leat__input(node, 0, in, LEAT_FORWARD, NULL);
        return;
    }
    check_path(node, &o, target);
    const bool single = target->base || target->is_stdout;
    leat__input(node, 0, in, single ? LEAT_GATHER : LEAT_FORWARD, NULL);
    target->type = leat__input_type(node, 0);
    check_format(node, &o, target);
    check_shared(node, target);
    node->parallelism = single ? 1 : 0;
    node->sink = &file_sink_class;
    node->spec = target;
    node->detail = leat__spec_printf(node, "%s, %s%s%s", target->path ? target->path : "",
        leat__file_format_name(target->format), target->codec && o.codec ? " " : "",
        target->codec && o.codec ? leat__codec_name(target->codec) : "");
}
