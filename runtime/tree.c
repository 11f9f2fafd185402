/* runtime/tree.c -- see the header. Trees here are small and shallow (a directory per worker, with files):
 * walking is recursive, bounded by DEPTH_MAX. */
#include "runtime/tree.h"
#include "base/alloc.h"
#include "base/hash.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 8u
#define READ_BYTES (256u * 1024u)

int leat__tree_path(char *path, size_t size, const char *dir, const char *name, struct leat_error *err)
{
    const size_t len = strlen(dir);
    const char *slash = !name || (len > 0 && dir[len - 1] == '/') ? "" : "/";
    const int n = snprintf(path, size, "%s%s%s", dir, slash, name ? name : "");
    if (n < 0 || (size_t)n >= size)
        return leat__error(err, LEAT_EINVAL, "%s%s%s: the path is too long (%zu bytes are the most)", dir,
            slash, name ? name : "", size - 1);
    return 0;
}

void leat__tree_parent(const char *path, char *parent, size_t size)
{
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/')
        len--;
    while (len > 0 && path[len - 1] != '/')
        len--;
    while (len > 1 && path[len - 1] == '/')
        len--;
    if (len == 0)
        (void)snprintf(parent, size, ".");
    else
        (void)snprintf(parent, size, "%.*s", (int)len, path);
}

static bool is_there(struct leat_env *env, const char *path)
{
    struct leat_file_info info;
    struct leat_error err = { 0 };
    return env->fs_stat(env, path, &info, &err) == 0;
}

int leat__tree_make(struct leat_env *env, const char *dir, struct leat_error *err)
{
    char path[LEAT_TREE_PATH_MAX], parent[LEAT_TREE_PATH_MAX];
    uint32_t missing = 0;
    LEAT_TRY(leat__tree_path(path, sizeof path, dir, NULL, err));
    while (strcmp(path, "/") != 0 && strcmp(path, ".") != 0 && !is_there(env, path)) {
        leat__tree_parent(path, parent, sizeof parent);
        memcpy(path, parent, sizeof path);
        missing++;
    }
    LEAT_TRY(env->fs_mkdir(env, dir, err));
    /* From the inside out: an entry lasts when the directory that has it was synced. */
    LEAT_TRY(leat__tree_path(path, sizeof path, dir, NULL, err));
    for (; missing > 0; missing--) {
        leat__tree_parent(path, parent, sizeof parent);
        LEAT_TRY(env->fs_sync_dir(env, parent, err));
        memcpy(path, parent, sizeof path);
    }
    return 0;
}

/* ---- listing ---- */

struct entry {
    struct entry *next;
    const char *name; /* relative to the top */
    uint64_t bytes;
    bool is_dir;
};

struct walk {
    struct leat_env *env;
    struct leat_arena *arena;
    struct leat_error *err;
    const char *top;
    const char *prefix; /* of the directory being listed, "worker-0/" or "" */
    struct entry *found; /* of it */
    struct entry *files, *dirs; /* dirs: inner ones first */
    uint32_t files_count, dirs_count;
};

static int on_entry(void *arg, const char *name, bool is_dir)
{
    struct walk *walk = arg;
    struct entry *entry = leat__arena_alloc(walk->arena, sizeof *entry);
    const char *full = leat__arena_printf(walk->arena, "%s%s", walk->prefix, name);
    if (!entry || !full)
        return leat__error(walk->err, LEAT_ENOMEM, "out of memory for the files of %s", walk->top);
    *entry = (struct entry){ .next = walk->found, .name = full, .is_dir = is_dir };
    walk->found = entry;
    return 0;
}

static int walk_dir(struct walk *walk, const char *relative, uint32_t depth);

static int visit(struct walk *walk, struct entry *entry, uint32_t depth)
{
    char path[LEAT_TREE_PATH_MAX];
    struct leat_file_info info;
    if (entry->is_dir) {
        LEAT_TRY(walk_dir(walk, entry->name, depth + 1));
        entry->next = NULL;
        struct entry **last = &walk->dirs;
        while (*last)
            last = &(*last)->next;
        *last = entry;
        walk->dirs_count++;
        return 0;
    }
    LEAT_TRY(leat__tree_path(path, sizeof path, walk->top, entry->name, walk->err));
    LEAT_TRY(walk->env->fs_stat(walk->env, path, &info, walk->err));
    entry->bytes = info.size;
    entry->next = walk->files;
    walk->files = entry;
    walk->files_count++;
    return 0;
}

static int walk_dir(struct walk *walk, const char *relative, uint32_t depth)
{
    char path[LEAT_TREE_PATH_MAX];
    if (depth > DEPTH_MAX)
        return leat__error(walk->err, LEAT_ELIMIT,
            "%s: more than %u levels of directories: this is none of "
            "ours",
            walk->top, DEPTH_MAX);
    walk->prefix = *relative ? leat__arena_printf(walk->arena, "%s/", relative) : "";
    if (!walk->prefix)
        return leat__error(walk->err, LEAT_ENOMEM, "out of memory for the files of %s", walk->top);
    walk->found = NULL;
    LEAT_TRY(leat__tree_path(path, sizeof path, walk->top, *relative ? relative : NULL, walk->err));
    LEAT_TRY(walk->env->fs_list(walk->env, path, on_entry, walk, walk->err));
    for (struct entry *entry = walk->found, *next; entry; entry = next) {
        next = entry->next;
        LEAT_TRY(visit(walk, entry, depth));
    }
    return 0;
}

static int compare_files(const void *a, const void *b)
{
    return strcmp(((const struct leat_tree_file *)a)->name, ((const struct leat_tree_file *)b)->name);
}

int leat__tree_list(struct leat_env *env, const char *dir, struct leat_arena *arena,
    struct leat_tree_file **files, uint32_t *count, const char ***dirs, uint32_t *dirs_count,
    struct leat_error *err)
{
    struct walk walk = { .env = env, .arena = arena, .err = err, .top = dir };
    uint32_t i = 0;
    LEAT_TRY(walk_dir(&walk, "", 0));
    *files = leat__arena_array(arena, walk.files_count + 1, sizeof **files);
    *dirs = leat__arena_array(arena, walk.dirs_count + 1, sizeof **dirs);
    if (!*files || !*dirs)
        return leat__error(err, LEAT_ENOMEM, "out of memory for the files of %s", dir);
    for (const struct entry *entry = walk.files; entry; entry = entry->next)
        (*files)[i++] = (struct leat_tree_file){ entry->name, entry->bytes };
    qsort(*files, walk.files_count, sizeof **files, compare_files);
    i = 0;
    for (const struct entry *entry = walk.dirs; entry; entry = entry->next)
        (*dirs)[i++] = entry->name;
    *count = walk.files_count;
    *dirs_count = walk.dirs_count;
    return 0;
}

/* ---- removing ---- */

static int remove_listed(struct leat_env *env, const char *dir, struct leat_arena *arena,
    void (*removed)(void), struct leat_error *err)
{
    char path[LEAT_TREE_PATH_MAX];
    struct leat_tree_file *files;
    const char **dirs;
    uint32_t count, dirs_count;
    LEAT_TRY(leat__tree_list(env, dir, arena, &files, &count, &dirs, &dirs_count, err));
    for (uint32_t i = 0; i < count; i++) {
        LEAT_TRY(leat__tree_path(path, sizeof path, dir, files[i].name, err));
        LEAT_TRY(env->fs_unlink(env, path, err));
        if (removed)
            removed();
    }
    for (uint32_t i = 0; i < dirs_count; i++) {
        LEAT_TRY(leat__tree_path(path, sizeof path, dir, dirs[i], err));
        LEAT_TRY(env->fs_rmdir(env, path, err));
    }
    return env->fs_rmdir(env, dir, err);
}

int leat__tree_remove(struct leat_env *env, const char *path, void (*removed)(void), struct leat_error *err)
{
    struct leat_arena arena = { 0 };
    struct leat_file_info info;
    struct leat_error local = { 0 };
    int result = env->fs_stat(env, path, &info, &local);
    if (result == LEAT_ENOTFOUND)
        return 0;
    if (result < 0 || !info.is_dir)
        return env->fs_unlink(env, path, err);
    result = remove_listed(env, path, &arena, removed, err);
    leat__arena_release(&arena);
    return result;
}

/* ---- contents ---- */

/* Calls fn with the bytes of a file, a piece at a time. */
static int read_pieces(struct leat_env *env, const char *path,
    int (*fn)(void *arg, const void *data, size_t len, struct leat_error *err), void *arg, uint64_t *bytes,
    struct leat_error *err)
{
    leat_fd fd;
    *bytes = 0;
    LEAT_TRY(env->fs_open(env, path, LEAT_OPEN_READ, &fd, err));
    char *buffer = leat__malloc(READ_BYTES);
    int result = buffer ? 0 : leat__error(err, LEAT_ENOMEM, "out of memory for reading");
    while (result == 0) {
        const int64_t n = env->fs_pread(env, fd, buffer, READ_BYTES, *bytes, err);
        if (n <= 0) {
            result = (int)n;
            break;
        }
        *bytes += (uint64_t)n;
        result = fn(arg, buffer, (size_t)n, err);
    }
    leat__free(buffer);
    env->fs_close(env, fd);
    return result < 0 ? leat__error_prefix(err, "%s", path) : 0;
}

static int add_to_hash(void *arg, const void *data, size_t len, struct leat_error *err)
{
    (void)err;
    leat__hash_stream_add(arg, data, len);
    return 0;
}

int leat__tree_hash(
    struct leat_env *env, const char *path, uint64_t *hash, uint64_t *bytes, struct leat_error *err)
{
    struct leat_hash_stream *stream = leat__hash_stream_new();
    if (!stream)
        return leat__error(err, LEAT_ENOMEM, "out of memory for hashing %s", path);
    const int result = read_pieces(env, path, add_to_hash, stream, bytes, err);
    *hash = leat__hash_stream_value(stream);
    leat__hash_stream_free(stream);
    return result;
}

struct copy {
    struct leat_env *env;
    leat_fd fd;
};

static int write_piece(void *arg, const void *data, size_t len, struct leat_error *err)
{
    const struct copy *copy = arg;
    return copy->env->fs_write(copy->env, copy->fd, data, len, err);
}

int leat__tree_link(struct leat_env *env, const char *from, const char *to, struct leat_error *err)
{
    struct copy copy = { .env = env };
    struct leat_error local = { 0 };
    uint64_t bytes;
    const int linked = env->fs_link(env, from, to, &local);
    if (linked == 0)
        return 0;
    if (linked == LEAT_EEXISTS || linked == LEAT_ENOTFOUND) {
        if (err)
            *err = local;
        return linked;
    }
    LEAT_TRY(env->fs_open(env, to, LEAT_OPEN_CREATE, &copy.fd, err));
    int result = read_pieces(env, from, write_piece, &copy, &bytes, err);
    if (result == 0)
        result = env->fs_sync(env, copy.fd, err);
    env->fs_close(env, copy.fd);
    return result;
}

struct content {
    struct leat_strbuf *out;
    size_t max;
};

static int keep_piece(void *arg, const void *data, size_t len, struct leat_error *err)
{
    const struct content *content = arg;
    if (content->out->len + len > content->max)
        return leat__error(err, LEAT_ELIMIT, "it has more than %zu bytes", content->max);
    leat__strbuf_add(content->out, data, len);
    return content->out->failed ? leat__error(err, LEAT_ENOMEM, "out of memory for reading it") : 0;
}

int leat__tree_read(
    struct leat_env *env, const char *path, size_t max, struct leat_strbuf *out, struct leat_error *err)
{
    uint64_t bytes;
    struct content content = { out, max };
    leat__strbuf_clear(out);
    return read_pieces(env, path, keep_piece, &content, &bytes, err);
}
