/* connectors/file/commit.c -- what happens to a file sink's files before and after the job.
 *
 *   check     (target free?) -> make the directory -> remove what a crashed run left -> try to write
 *   commit    hidden file there:  target free or to be replaced  --rename-->  done
 *             hidden file gone:   target is what we wrote        ---------->  done before
 *             else refuse; then the directory is synced, also when it was done before: that sync may be what
 * is missing discard   hidden file there   --unlink--> gone
 *
 * A handle is a line of text: "put <size> <hash> <name>", or "old <name>" for a part of an earlier run that
 * this one replaces. The hidden name follows from the name, the directory from the node.
 *
 * Invariants: (1) what has a final name is whole and synced; (2) commit and discard may be repeated; (3)
 * check removes only hidden names of our own form; it runs when no handle of an earlier run is left to be
 * committed; (4) an "old" name is never one that a "put" of the same epoch has. */
#include "base/alloc.h"
#include "base/hash.h"
#include "connectors/file/sink_private.h"
#include <inttypes.h>
#include <stdio.h>

#define HIDDEN_ENDING ".inprogress"
#define HASH_READ_BYTES (256u * 1024u)

/* ---- names ---- */

/* Directory, slash and name; leat_file_sink_sized has checked that there is room. */
static const char *join(const struct leat_file_target *target, const char *before, const char *name,
    const char *behind, char path[LEAT_FILE_PATH_MAX])
{
    const bool here = strcmp(target->dir, ".") == 0;
    (void)snprintf(path, LEAT_FILE_PATH_MAX, "%s%s%s%s%s", here ? "" : target->dir, here ? "" : "/", before,
        name, behind);
    return path;
}

const char *leat__file_path(
    const struct leat_file_target *target, const char *name, char path[LEAT_FILE_PATH_MAX])
{
    return join(target, "", name, "", path);
}

const char *leat__file_hidden_path(
    const struct leat_file_target *target, const char *name, char path[LEAT_FILE_PATH_MAX])
{
    return join(target, ".", name, HIDDEN_ENDING, path);
}

void leat__file_part_name(
    const struct leat_file_target *target, uint32_t subtask, uint32_t number, char name[LEAT_FILE_NAME_MAX])
{
    (void)snprintf(name, LEAT_FILE_NAME_MAX, "part-%u-%u%s", subtask, number, target->ending);
}

static const char *parse_number(const char *at, uint32_t *value)
{
    const char *from = at;
    uint64_t number = 0;
    for (; *at >= '0' && *at <= '9' && at - from < 10; at++)
        number = number * 10 + (uint64_t)(*at - '0');
    *value = (uint32_t)number;
    return at > from && number <= UINT32_MAX ? at : NULL;
}

bool leat__file_parse_part(const char *name, uint32_t *subtask, uint32_t *number, const char **ending)
{
    if (strncmp(name, "part-", 5) != 0)
        return false;
    const char *at = parse_number(name + 5, subtask);
    if (!at || *at != '-')
        return false;
    at = parse_number(at + 1, number);
    *ending = at;
    return at && *at == '.' && strchr(at + 1, '.') == NULL && leat__file_format(name) != 0;
}

/* Whether a name is a part's hidden one. */
static bool is_hidden_part(const char *name)
{
    char part[LEAT_FILE_NAME_MAX];
    uint32_t subtask, number;
    const char *ending;
    const size_t len = strlen(name), tail = sizeof HIDDEN_ENDING - 1;
    if (name[0] != '.' || len <= tail + 1 || len - tail - 1 >= sizeof part)
        return false;
    if (strcmp(name + len - tail, HIDDEN_ENDING) != 0)
        return false;
    memcpy(part, name + 1, len - tail - 1);
    part[len - tail - 1] = '\0';
    return leat__file_parse_part(part, &subtask, &number, &ending);
}

struct listing {
    leat_env_list_fn fn;
    void *arg;
};

static int list_part(void *arg, const char *name, bool is_dir)
{
    const struct listing *listing = arg;
    uint32_t subtask, number;
    const char *ending;
    if (is_dir || !leat__file_parse_part(name, &subtask, &number, &ending))
        return 0;
    return listing->fn(listing->arg, name, is_dir);
}

static const char *dir_path(const struct leat_file_target *target)
{
    return *target->dir ? target->dir : "/";
}

int leat__file_list_parts(struct leat_env *env, const struct leat_file_target *target, leat_env_list_fn fn,
    void *arg, struct leat_error *err)
{
    struct listing listing = { fn, arg };
    const int code = env->fs_list(env, dir_path(target), list_part, &listing, err);
    return code == LEAT_ENOTFOUND ? 0 : code;
}

/* ---- handles ---- */

int leat__file_handle_put(
    struct leat_handle_list *list, const struct leat_node *node, const struct leat_file_part *part)
{
    char text[LEAT_FILE_NAME_MAX + 64];
    const int len =
        snprintf(text, sizeof text, "put %" PRIu64 " %016" PRIx64 " %s", part->size, part->hash, part->name);
    return leat__handle_add(list, node, text, (size_t)len);
}

int leat__file_handle_old(struct leat_handle_list *list, const struct leat_node *node, const char *name)
{
    char text[LEAT_FILE_NAME_MAX + 64];
    const int len = snprintf(text, sizeof text, "old %s", name);
    return leat__handle_add(list, node, text, (size_t)len);
}

static int refuse_handle(size_t len, struct leat_error *err)
{
    return leat__error(err, LEAT_EDATA, "a commit handle of %zu bytes that no file sink has made", len);
}

/* Reads a handle; `is_put` tells which of the two. The name is the rest of it and has no slash. */
static int parse_handle(
    const char *handle, size_t len, struct leat_file_part *part, bool *is_put, struct leat_error *err)
{
    char text[LEAT_FILE_NAME_MAX + 64];
    int name_at = 0;
    memset(part, 0, sizeof *part);
    *is_put = false;
    if (len < sizeof text) {
        memcpy(text, handle, len);
        text[len] = '\0';
        if (strncmp(text, "old ", 4) == 0)
            name_at = 4;
        else if (sscanf(text, "put %" SCNu64 " %16" SCNx64 "%n", &part->size, &part->hash, &name_at) == 2)
            *is_put = text[name_at] == ' ';
        name_at += *is_put;
    }
    if (name_at < 4 || text[name_at - 1] != ' ')
        return refuse_handle(len, err);
    const char *name = text + name_at;
    if (*name == '\0' || strlen(name) >= sizeof part->name || strchr(name, '/') || strlen(text) != len)
        return refuse_handle(len, err);
    memcpy(part->name, name, strlen(name) + 1);
    return 0;
}

/* ---- commit and discard ---- */

/* Whether a file is there; an error other than its absence is one. */
static int exists(struct leat_env *env, const char *path, bool *is_there, struct leat_file_info *info,
    struct leat_error *err)
{
    const int code = env->fs_stat(env, path, info, err);
    *is_there = code == 0;
    return code == LEAT_ENOTFOUND ? 0 : code;
}

static int unlink_if_there(struct leat_env *env, const char *path, struct leat_error *err)
{
    const int code = env->fs_unlink(env, path, err);
    return code == LEAT_ENOTFOUND ? 0 : code;
}

static int hash_fd(struct leat_env *env, leat_fd fd, char *buffer, struct leat_hash_stream *stream,
    uint64_t *size, struct leat_error *err)
{
    int64_t got;
    *size = 0;
    while ((got = env->fs_pread(env, fd, buffer, HASH_READ_BYTES, *size, err)) > 0) {
        leat__hash_stream_add(stream, buffer, (size_t)got);
        *size += (uint64_t)got;
    }
    return (int)got;
}

/* Size and hash of a file's content. */
static int hash_file(
    struct leat_env *env, const char *path, uint64_t *size, uint64_t *hash, struct leat_error *err)
{
    struct leat_hash_stream *stream = leat__hash_stream_new();
    char *buffer = leat__malloc(HASH_READ_BYTES);
    leat_fd fd;
    int code = stream && buffer ? 0 : leat__error(err, LEAT_ENOMEM, "%s: out of memory for reading it", path);
    if (code == 0)
        code = env->fs_open(env, path, LEAT_OPEN_READ, &fd, err);
    if (code == 0) {
        code = hash_fd(env, fd, buffer, stream, size, err);
        env->fs_close(env, fd);
        *hash = leat__hash_stream_value(stream);
        if (code < 0)
            (void)leat__error_prefix(err, "%s", path);
    }
    leat__free(buffer);
    leat__hash_stream_free(stream);
    return code;
}

/* Whether the target is the file that the handle is about. */
static int is_same(struct leat_env *env, const char *path, const struct leat_file_info *info,
    const struct leat_file_part *part, bool *same, struct leat_error *err)
{
    uint64_t size = 0, hash = 0;
    *same = false;
    if (info->is_dir || info->size != part->size)
        return 0;
    LEAT_TRY(hash_file(env, path, &size, &hash, err));
    *same = size == part->size && hash == part->hash;
    return 0;
}

/* The hidden file is gone: it was renamed before, or something is wrong. */
static int commit_again(struct leat_env *env, const char *path, bool there, const struct leat_file_info *info,
    const struct leat_file_part *part, struct leat_error *err)
{
    bool same = false;
    if (!there)
        return leat__error(err, LEAT_ENOTFOUND,
            "%s can not be committed: its content, .%s" HIDDEN_ENDING
            " beside it, is gone: was it removed, or does another job write there?",
            path, part->name);
    LEAT_TRY(is_same(env, path, info, part, &same, err));
    return same ? 0
                : leat__error(err, LEAT_EEXISTS,
                      "%s is not what was written (%" PRIu64 " bytes, hash %016" PRIx64
                      "): another one has replaced it; it is left alone",
                      path, part->size, part->hash);
}

static int commit_put(const struct leat_file_target *target, struct leat_env *env,
    const struct leat_file_part *part, struct leat_error *err)
{
    char path[LEAT_FILE_PATH_MAX], hidden[LEAT_FILE_PATH_MAX];
    struct leat_file_info path_info, hidden_info;
    bool path_there, hidden_there, same = false;
    (void)leat__file_path(target, part->name, path);
    (void)leat__file_hidden_path(target, part->name, hidden);
    LEAT_TRY(exists(env, path, &path_there, &path_info, err));
    LEAT_TRY(exists(env, hidden, &hidden_there, &hidden_info, err));
    if (!hidden_there)
        return commit_again(env, path, path_there, &path_info, part, err);
    if (hidden_info.size != part->size)
        return leat__error(err, LEAT_EDATA,
            "%s has %" PRIu64 " bytes, but had %" PRIu64 " when it was closed: another one has changed it",
            hidden, hidden_info.size, part->size);
    if (path_there && !target->overwrite) {
        LEAT_TRY(is_same(env, path, &path_info, part, &same, err));
        if (!same)
            return leat__error(err, LEAT_EEXISTS,
                "%s has come into being while the job ran, and is not replaced: move it away, or set "
                ".overwrite; what "
                "was written is in %s",
                path, hidden);
        return unlink_if_there(env, hidden, err);
    }
    return env->fs_rename(env, hidden, path, err);
}

int leat__file_commit(const struct leat_node *node, struct leat_env *env, const char *handle, size_t len,
    struct leat_error *err)
{
    const struct leat_file_target *target = node->spec;
    struct leat_file_part part;
    char path[LEAT_FILE_PATH_MAX];
    bool is_put;
    LEAT_TRY(parse_handle(handle, len, &part, &is_put, err));
    if (is_put)
        LEAT_TRY(commit_put(target, env, &part, err));
    else
        LEAT_TRY(unlink_if_there(env, leat__file_path(target, part.name, path), err));
    return env->fs_sync_dir(env, dir_path(target), err);
}

int leat__file_discard(const struct leat_node *node, struct leat_env *env, const char *handle, size_t len,
    struct leat_error *err)
{
    struct leat_file_part part;
    char path[LEAT_FILE_PATH_MAX];
    bool is_put;
    LEAT_TRY(parse_handle(handle, len, &part, &is_put, err));
    if (!is_put)
        return 0;
    return unlink_if_there(env, leat__file_hidden_path(node->spec, part.name, path), err);
}

/* ---- check ---- */

static int check_single(const struct leat_file_target *target, struct leat_env *env, struct leat_error *err)
{
    struct leat_file_info info;
    char path[LEAT_FILE_PATH_MAX];
    bool there;
    LEAT_TRY(exists(env, leat__file_path(target, target->base, path), &there, &info, err));
    if (there && info.is_dir)
        return leat__error(err, LEAT_EEXISTS,
            "%s is a directory: end the path with a slash to write part files into it, or choose another",
            path);
    if (there && !target->overwrite)
        return leat__error(
            err, LEAT_EEXISTS, "%s exists: set .overwrite to replace it, or choose another path", path);
    return 0;
}

static int refuse_part(void *arg, const char *name, bool is_dir)
{
    char *first = arg;
    (void)is_dir;
    if (!*first || strcmp(name, first) < 0)
        (void)snprintf(first, LEAT_FILE_NAME_MAX, "%s", name);
    return 0;
}

static int check_parts(const struct leat_file_target *target, struct leat_env *env, struct leat_error *err)
{
    char first[LEAT_FILE_NAME_MAX] = "";
    struct leat_file_info info;
    bool there;
    LEAT_TRY(exists(env, dir_path(target), &there, &info, err));
    if (there && !info.is_dir)
        return leat__error(err, LEAT_EEXISTS,
            "%s is a file, where a directory for part files is needed: choose another path, or one that ends "
            "in "
            ".avro, .jsonl, .ndjson or .csv for a single file",
            target->path);
    if (!there || target->overwrite)
        return 0;
    LEAT_TRY(leat__file_list_parts(env, target, refuse_part, first, err));
    if (*first)
        return leat__error(err, LEAT_EEXISTS,
            "%s has the part files of an earlier run (%s): set .overwrite to replace them, or choose another "
            "path",
            dir_path(target), first);
    return 0;
}

/* Makes the directory and syncs what it was made in. */
static int make_directory(const struct leat_file_target *target, struct leat_env *env, struct leat_error *err)
{
    char part[LEAT_FILE_PATH_MAX];
    struct leat_file_info info;
    size_t made_from = 0; /* length of the part of the path that is there already */
    bool there = true;
    const size_t len = strlen(target->dir);
    for (size_t i = 1; there && i <= len; i++) {
        if (target->dir[i] != '/' && target->dir[i] != '\0')
            continue;
        memcpy(part, target->dir, i);
        part[i] = '\0';
        LEAT_TRY(exists(env, part, &there, &info, err));
        if (there)
            made_from = i;
    }
    if (len == 0 || made_from == len)
        return 0;
    LEAT_TRY(env->fs_mkdir(env, target->dir, err));
    for (size_t i = len; i > made_from; i--) { /* from the innermost on: each one's parent */
        if (i < len && target->dir[i] != '/')
            continue;
        size_t parent = i;
        while (parent > 0 && target->dir[parent - 1] != '/')
            parent--;
        memcpy(part, target->dir, parent);
        part[parent] = '\0';
        LEAT_TRY(env->fs_sync_dir(env, parent == 0 ? "." : part, err));
    }
    return 0;
}

struct stale {
    const struct leat_file_target *target;
    struct leat_arena arena;
    const char **names;
    size_t count, capacity;
};

static int note_stale(void *arg, const char *name, bool is_dir)
{
    struct stale *stale = arg;
    if (is_dir || !is_hidden_part(name))
        return 0;
    if (stale->count == stale->capacity) {
        const size_t capacity = stale->capacity ? 2 * stale->capacity : 16;
        const char **names = leat__arena_array(&stale->arena, capacity, sizeof *names);
        if (!names)
            return LEAT_ENOMEM;
        if (stale->count > 0)
            memcpy(names, stale->names, stale->count * sizeof *names);
        stale->names = names;
        stale->capacity = capacity;
    }
    stale->names[stale->count] = leat__arena_str(&stale->arena, name);
    return stale->names[stale->count] ? (stale->count++, 0) : LEAT_ENOMEM;
}

/* Removes hidden files that a crashed run has left. */
static int remove_stale(const struct leat_file_target *target, struct leat_env *env, struct leat_error *err)
{
    char path[LEAT_FILE_PATH_MAX];
    struct stale stale = { .target = target };
    if (target->base)
        return unlink_if_there(env, leat__file_hidden_path(target, target->base, path), err);
    int code = env->fs_list(env, dir_path(target), note_stale, &stale, err);
    if (code == LEAT_ENOTFOUND)
        code = 0;
    if (code == LEAT_ENOMEM)
        code = leat__error(err, code, "%s: out of memory for the names in it", dir_path(target));
    for (size_t i = 0; code == 0 && i < stale.count; i++)
        code = unlink_if_there(env, leat__file_path(target, stale.names[i], path), err);
    leat__arena_release(&stale.arena);
    return code;
}

/* A file can be made where the first one will be. */
static int try_write(const struct leat_file_target *target, struct leat_env *env, struct leat_error *err)
{
    char name[LEAT_FILE_NAME_MAX], path[LEAT_FILE_PATH_MAX];
    leat_fd fd;
    if (target->base)
        (void)snprintf(name, sizeof name, "%s", target->base);
    else
        leat__file_part_name(target, 0, 0, name);
    if (env->fs_open(env, leat__file_hidden_path(target, name, path), LEAT_OPEN_CREATE, &fd, err) < 0)
        return leat__error_prefix(err, "%s can not be written to", dir_path(target));
    env->fs_close(env, fd);
    return unlink_if_there(env, path, err);
}

int leat__file_check(const struct leat_node *node, struct leat_env *env, struct leat_error *err)
{
    const struct leat_file_target *target = node->spec;
    if (target->is_stdout)
        return 0;
    int code = target->base ? check_single(target, env, err) : check_parts(target, env, err);
    if (code == 0)
        code = make_directory(target, env, err);
    if (code == 0)
        code = remove_stale(target, env, err);
    if (code == 0)
        code = try_write(target, env, err);
    return code;
}
