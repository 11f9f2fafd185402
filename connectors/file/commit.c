/* connectors/file/commit.c -- names of a file sink's files, and what makes them visible.
 *
 *   commit    target is what we wrote:                             --------->  done before
 *             hidden file there, target free or to be replaced:   --rename-->  done
 *             else refuse; then the directory is synced, also when it was done before: that sync may be what
 *             is missing
 *   discard   hidden file there   --unlink--> gone
 *
 * Both names are in one directory: a rename never meets the border of a file system.
 *
 * A handle is a line of text:
 *   put <size> <hash> <name>       a part of the epoch
 *   end <size> <hash> <name>       a single file that grew over several epochs: discarding the last one's handle
 *                                  must not take what earlier checkpoints go on with
 *   old <size> <time> <name>       a part of an earlier run, as it was when this one began: it goes with the first
 *                                  epoch. A file that is not that one any more stays: after a restore the name
 *                                  may be that of a part of ours
 * The hidden name follows from the name, the directory from the node.
 *
 * Invariants: (1) what has a final name is whole and synced; (2) commit and discard may be repeated; (3) an
 * "old" name is never one that a "put" of the same epoch has. */
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

bool leat__file_is_hidden_part(const char *name)
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

const char *leat__file_dir(const struct leat_file_target *target)
{
    return *target->dir ? target->dir : "/";
}

int leat__file_list_parts(struct leat_env *env, const struct leat_file_target *target, leat_env_list_fn fn,
    void *arg, struct leat_error *err)
{
    struct listing listing = { fn, arg };
    const int code = env->fs_list(env, leat__file_dir(target), list_part, &listing, err);
    return code == LEAT_ENOTFOUND ? 0 : code;
}

/* ---- handles ---- */

enum handle_kind { HANDLE_PUT = 1, HANDLE_END, HANDLE_OLD };
static const char *const handle_words[] = { "", "put ", "end ", "old " };

struct file_handle {
    enum handle_kind kind;
    struct leat_file_part part; /* old: without a hash */
    int64_t modified_us; /* old */
};

static int add_whole(struct leat_handle_list *list, const struct leat_node *node, enum handle_kind kind,
    const struct leat_file_part *part)
{
    char text[LEAT_FILE_NAME_MAX + 64];
    const int len = snprintf(text, sizeof text, "%s%" PRIu64 " %016" PRIx64 " %s", handle_words[kind],
        part->size, part->hash, part->name);
    return leat__handle_add(list, node, text, (size_t)len);
}

int leat__file_handle_put(
    struct leat_handle_list *list, const struct leat_node *node, const struct leat_file_part *part)
{
    return add_whole(list, node, HANDLE_PUT, part);
}

int leat__file_handle_end(
    struct leat_handle_list *list, const struct leat_node *node, const struct leat_file_part *part)
{
    return add_whole(list, node, HANDLE_END, part);
}

int leat__file_handle_old(struct leat_handle_list *list, const struct leat_node *node, const char *name,
    const struct leat_file_info *info)
{
    char text[LEAT_FILE_NAME_MAX + 64];
    const int len = snprintf(text, sizeof text, "%s%" PRIu64 " %" PRId64 " %s", handle_words[HANDLE_OLD],
        info->size, info->modified_us, name);
    return leat__handle_add(list, node, text, (size_t)len);
}

static int refuse_handle(size_t len, struct leat_error *err)
{
    return leat__error(err, LEAT_EDATA, "a commit handle of %zu bytes that no file sink has made", len);
}

/* Two numbers and a space behind the word; where the name begins, or 0. */
static int parse_numbers(const char *text, struct file_handle *h)
{
    int end = 0;
    int count = 0;
    if (h->kind == HANDLE_OLD)
        count = sscanf(text + 4, "%" SCNu64 " %" SCNd64 "%n", &h->part.size, &h->modified_us, &end);
    else
        count = sscanf(text + 4, "%" SCNu64 " %16" SCNx64 "%n", &h->part.size, &h->part.hash, &end);
    return count == 2 && text[4 + end] == ' ' ? 4 + end + 1 : 0;
}

/* Reads a handle. The name is the rest of it and has no slash. */
static int parse_handle(const char *handle, size_t len, struct file_handle *h, struct leat_error *err)
{
    char text[LEAT_FILE_NAME_MAX + 64];
    memset(h, 0, sizeof *h);
    if (len >= sizeof text)
        return refuse_handle(len, err);
    memcpy(text, handle, len);
    text[len] = '\0';
    for (int kind = HANDLE_PUT; kind <= HANDLE_OLD; kind++)
        if (strncmp(text, handle_words[kind], 4) == 0)
            h->kind = (enum handle_kind)kind;
    const int name_at = h->kind ? parse_numbers(text, h) : 0;
    const char *name = text + name_at;
    if (name_at == 0 || !leat__file_is_name(name) || strlen(text) != len)
        return refuse_handle(len, err);
    memcpy(h->part.name, name, strlen(name) + 1);
    return 0;
}

/* ---- files ---- */

bool leat__file_is_name(const char *name)
{
    return *name != '\0' && strlen(name) < LEAT_FILE_NAME_MAX && !strchr(name, '/');
}

int leat__file_exists(struct leat_env *env, const char *path, bool *is_there, struct leat_file_info *info,
    struct leat_error *err)
{
    const int code = env->fs_stat(env, path, info, err);
    *is_there = code == 0;
    return code == LEAT_ENOTFOUND ? 0 : code;
}

int leat__file_unlink_if_there(struct leat_env *env, const char *path, struct leat_error *err)
{
    const int code = env->fs_unlink(env, path, err);
    return code == LEAT_ENOTFOUND ? 0 : code;
}

static int hash_fd(struct leat_env *env, leat_fd fd, char *buffer, struct leat_hash_stream *stream,
    uint64_t *size, struct leat_error *err)
{
    const uint64_t most = *size;
    int64_t got = 1;
    for (*size = 0; got > 0 && *size < most;) {
        const uint64_t left = most - *size;
        const size_t want = left < HASH_READ_BYTES ? (size_t)left : HASH_READ_BYTES;
        got = env->fs_pread(env, fd, buffer, want, *size, err);
        if (got > 0) {
            leat__hash_stream_add(stream, buffer, (size_t)got);
            *size += (uint64_t)got;
        }
    }
    return got < 0 ? (int)got : 0;
}

int leat__file_hash(struct leat_env *env, const char *path, struct leat_hash_stream *stream, uint64_t *size,
    struct leat_error *err)
{
    char *buffer = leat__malloc(HASH_READ_BYTES);
    leat_fd fd;
    if (!buffer)
        return leat__error(err, LEAT_ENOMEM, "%s: out of memory for reading it", path);
    int code = env->fs_open(env, path, LEAT_OPEN_READ, &fd, err);
    if (code == 0) {
        code = hash_fd(env, fd, buffer, stream, size, err);
        env->fs_close(env, fd);
        if (code < 0)
            (void)leat__error_prefix(err, "%s", path);
    }
    leat__free(buffer);
    return code;
}

/* ---- commit and discard ---- */

/* Whether the target is the file that the handle is about. */
static int is_same(struct leat_env *env, const char *path, const struct leat_file_info *info,
    const struct leat_file_part *part, bool *same, struct leat_error *err)
{
    uint64_t size = UINT64_MAX;
    *same = false;
    if (info->is_dir || info->size != part->size)
        return 0;
    struct leat_hash_stream *stream = leat__hash_stream_new();
    if (!stream)
        return leat__error(err, LEAT_ENOMEM, "%s: out of memory for reading it", path);
    const int code = leat__file_hash(env, path, stream, &size, err);
    *same = code == 0 && size == part->size && leat__hash_stream_value(stream) == part->hash;
    leat__hash_stream_free(stream);
    return code;
}

/* The hidden file is gone, and the target is not what it was renamed to. */
static int refuse_gone(
    const char *path, bool there, const struct leat_file_part *part, struct leat_error *err)
{
    if (!there)
        return leat__error(err, LEAT_ENOTFOUND,
            "%s can not be committed: its content, .%s" HIDDEN_ENDING
            " beside it, is gone: was it removed, or does another job write there?",
            path, part->name);
    return leat__error(err, LEAT_EEXISTS,
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
    LEAT_TRY(leat__file_exists(env, path, &path_there, &path_info, err));
    LEAT_TRY(leat__file_exists(env, hidden, &hidden_there, &hidden_info, err));
    if (path_there)
        LEAT_TRY(is_same(env, path, &path_info, part, &same, err));
    if (same) /* whatever is hidden beside it is not needed any more */
        return hidden_there ? leat__file_unlink_if_there(env, hidden, err) : 0;
    if (!hidden_there)
        return refuse_gone(path, path_there, part, err);
    if (hidden_info.size != part->size)
        return leat__error(err, LEAT_EDATA,
            "%s has %" PRIu64 " bytes, but had %" PRIu64 " when it was closed: another one has changed it",
            hidden, hidden_info.size, part->size);
    if (path_there && !target->overwrite)
        return leat__error(err, LEAT_EEXISTS,
            "%s has come into being while the job ran, and is not replaced: move it away, or set .overwrite; "
            "what "
            "was written is in %s",
            path, hidden);
    /* (model: commit.pml, commit_file_renamed) */
    return env->fs_rename(env, hidden, path, err);
}

/* Removes a file of an earlier run, if it is that still. */
static int commit_old(const struct leat_file_target *target, struct leat_env *env,
    const struct file_handle *h, struct leat_error *err)
{
    char path[LEAT_FILE_PATH_MAX];
    struct leat_file_info info;
    bool there;
    LEAT_TRY(leat__file_exists(env, leat__file_path(target, h->part.name, path), &there, &info, err));
    if (!there || info.is_dir || info.size != h->part.size || info.modified_us != h->modified_us)
        return 0;
    return leat__file_unlink_if_there(env, path, err);
}

int leat__file_commit(const struct leat_node *node, struct leat_env *env, const char *handle, size_t len,
    struct leat_error *err)
{
    const struct leat_file_target *target = node->spec;
    struct file_handle h;
    LEAT_TRY(parse_handle(handle, len, &h, err));
    if (h.kind == HANDLE_OLD)
        LEAT_TRY(commit_old(target, env, &h, err));
    else
        LEAT_TRY(commit_put(target, env, &h.part, err));
    /* (model: commit.pml, commit_file_synced) */
    return env->fs_sync_dir(env, leat__file_dir(target), err);
}

int leat__file_discard(const struct leat_node *node, struct leat_env *env, const char *handle, size_t len,
    struct leat_error *err)
{
    struct file_handle h;
    char path[LEAT_FILE_PATH_MAX];
    LEAT_TRY(parse_handle(handle, len, &h, err));
    if (h.kind != HANDLE_PUT)
        return 0;
    return leat__file_unlink_if_there(env, leat__file_hidden_path(node->spec, h.part.name, path), err);
}
