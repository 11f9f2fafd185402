/* connectors/file/check.c -- what a file sink does before workers start, and what a checkpoint knows of it.
 *
 *   check     a job that begins new: (target free?) -> make the directory -> remove hidden files that a crashed
 *             run has left -> try to write
 *   recover   a job that goes on: all handles of its checkpoint were committed again, so a hidden file is of a
 *             later epoch and goes, but for a single file that is still growing: that is cut to what the
 *             checkpoint knows. What this job has made visible is no obstacle
 *
 * Both remove only hidden names of our own form, and only when no handle is left that might be about them. */
#include "base/alloc.h"
#include "connectors/file/sink_private.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- what a checkpoint knows ---- */

#define STATE_VERSION '1'
#define PROBE "leat-probe"

void leat__file_state_write(const struct leat_file_state *state, struct leat_strbuf *out)
{
    leat__strbuf_char(out, STATE_VERSION);
    if (state->known == LEAT_FILE_NOTHING)
        leat__strbuf_str(out, " nothing");
    if (state->known == LEAT_FILE_PARTS)
        leat__strbuf_printf(out, " parts %" PRIu32, state->number);
    if (state->known != LEAT_FILE_GROWING)
        return;
    leat__strbuf_printf(out, " growing %" PRIu64 " %016" PRIx64 " ", state->part.size, state->part.hash);
    for (size_t i = 0; i < sizeof state->sync; i++)
        leat__strbuf_printf(out, "%02x", state->sync[i]);
    leat__strbuf_printf(out, " %s", state->part.name);
}

/* 32 hex digits; the character behind them, or NULL. */
static const char *read_sync(const char *text, uint8_t sync[LEAT_SYNC_BYTES])
{
    for (size_t i = 0; i < LEAT_SYNC_BYTES; i++, text += 2) {
        char digits[3] = { text[0], text[0] ? text[1] : '\0', '\0' };
        char *end;
        sync[i] = (uint8_t)strtoul(digits, &end, 16);
        if (end != digits + 2 || digits[0] == '-' || digits[0] == '+' || digits[0] == ' ')
            return NULL;
    }
    return text;
}

static bool read_growing(const char *text, struct leat_file_state *state)
{
    int end = 0;
    if (sscanf(text, "%" SCNu64 " %16" SCNx64 " %n", &state->part.size, &state->part.hash, &end) != 2 || !end)
        return false;
    const char *name = read_sync(text + end, state->sync);
    if (!name || *name != ' ' || !leat__file_is_name(name + 1))
        return false;
    memcpy(state->part.name, name + 1, strlen(name + 1) + 1);
    return true;
}

int leat__file_state_read(struct leat_sv text, struct leat_file_state *state, struct leat_error *err)
{
    char copy[LEAT_FILE_NAME_MAX + 128];
    int end = 0;
    memset(state, 0, sizeof *state);
    if (text.len < 2 || text.len >= sizeof copy || memchr(text.data, '\0', text.len))
        return leat__error(err, LEAT_EDATA, "%zu bytes of state that no file sink has written", text.len);
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    if (copy[0] != STATE_VERSION)
        return leat__error(err, LEAT_EUNSUPPORTED,
            "its state in the checkpoint has version %c, and this library reads %c: use the version that has "
            "written it",
            copy[0], STATE_VERSION);
    if (strcmp(copy + 1, " nothing") == 0)
        state->known = LEAT_FILE_NOTHING;
    else if (sscanf(copy + 1, " parts %" SCNu32 "%n", &state->number, &end) == 1 && !copy[1 + end])
        state->known = LEAT_FILE_PARTS;
    else if (strncmp(copy + 1, " growing ", 9) == 0 && read_growing(copy + 10, state))
        state->known = LEAT_FILE_GROWING;
    else
        return leat__error(err, LEAT_EDATA, "\"%.100s\" is no state that a file sink has written", copy);
    return 0;
}

/* ---- check ---- */

static int check_single(const struct leat_file_target *target, struct leat_env *env, struct leat_error *err)
{
    struct leat_file_info info;
    char path[LEAT_FILE_PATH_MAX];
    bool there;
    LEAT_TRY(leat__file_exists(env, leat__file_path(target, target->base, path), &there, &info, err));
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
    LEAT_TRY(leat__file_exists(env, leat__file_dir(target), &there, &info, err));
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
            leat__file_dir(target), first);
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
        LEAT_TRY(leat__file_exists(env, part, &there, &info, err));
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
    if (is_dir || !leat__file_is_hidden_part(name))
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
    LEAT_TRY(leat__file_unlink_if_there(env, leat__file_hidden_path(target, PROBE, path), err));
    if (target->base)
        return leat__file_unlink_if_there(env, leat__file_hidden_path(target, target->base, path), err);
    int code = env->fs_list(env, leat__file_dir(target), note_stale, &stale, err);
    if (code == LEAT_ENOTFOUND)
        code = 0;
    if (code == LEAT_ENOMEM)
        code = leat__error(err, code, "%s: out of memory for the names in it", leat__file_dir(target));
    for (size_t i = 0; code == 0 && i < stale.count; i++)
        code = leat__file_unlink_if_there(env, leat__file_path(target, stale.names[i], path), err);
    leat__arena_release(&stale.arena);
    return code;
}

/* A file can be made where the others will be. Its name is never that of one with rows: after a power cut it may be
 * there again. */
static int try_write(const struct leat_file_target *target, struct leat_env *env, struct leat_error *err)
{
    char path[LEAT_FILE_PATH_MAX];
    leat_fd fd;
    if (env->fs_open(env, leat__file_hidden_path(target, PROBE, path), LEAT_OPEN_CREATE, &fd, err) < 0)
        return leat__error_prefix(err, "%s can not be written to", leat__file_dir(target));
    env->fs_close(env, fd);
    return leat__file_unlink_if_there(env, path, err);
}

/* The directory is there, has nothing that is left over, and can be written to. */
static int make_ready(const struct leat_file_target *target, struct leat_env *env, struct leat_error *err)
{
    LEAT_TRY(make_directory(target, env, err));
    LEAT_TRY(remove_stale(target, env, err));
    LEAT_TRY(try_write(target, env, err));
    return env->fs_sync_dir(env, leat__file_dir(target), err); /* what is gone does not come back */
}

int leat__file_check(const struct leat_node *node, struct leat_env *env, struct leat_error *err)
{
    const struct leat_file_target *target = node->spec;
    if (target->is_stdout)
        return 0;
    LEAT_TRY(target->base ? check_single(target, env, err) : check_parts(target, env, err));
    return make_ready(target, env, err);
}

/* ---- recover ---- */

/* A single file that was begun: there must be as much of it as the checkpoint knows; what is behind that goes. */
static int recover_growing(const struct leat_file_target *target, struct leat_env *env,
    const struct leat_file_state *state, struct leat_error *err)
{
    char path[LEAT_FILE_PATH_MAX], hidden[LEAT_FILE_PATH_MAX];
    struct leat_file_info info;
    bool there;
    if (!target->base || strcmp(target->base, state->part.name) != 0)
        return leat__error(err, LEAT_ESTATE,
            "the checkpoint goes on with %s, of which %" PRIu64
            " bytes are written, but the sink writes to %s now: keep the path until that file is finished",
            state->part.name, state->part.size, target->path);
    (void)leat__file_hidden_path(target, target->base, hidden);
    LEAT_TRY(leat__file_exists(env, hidden, &there, &info, err));
    if (!there)
        return leat__error(err, LEAT_ENOTFOUND,
            "%s, which the checkpoint goes on with, is gone: was %s finished by a later run, or moved away?",
            hidden, leat__file_path(target, target->base, path));
    if (info.size < state->part.size)
        return leat__error(err, LEAT_EDATA,
            "%s has %" PRIu64 " bytes, but the checkpoint knows %" PRIu64 ": another one has changed it",
            hidden, info.size, state->part.size);
    LEAT_TRY(check_single(target, env, err));
    if (info.size == state->part.size)
        return 0;
    return env->fs_truncate(env, hidden, state->part.size, err);
}

/* What the subtasks know, as one: a growing file, or anything else. */
static int read_parts(
    const struct leat_sv *parts, uint32_t count, struct leat_file_state *state, struct leat_error *err)
{
    struct leat_file_state one;
    memset(state, 0, sizeof *state);
    for (uint32_t i = 0; i < count; i++) {
        LEAT_TRY(leat__file_state_read(parts[i], &one, err));
        if (state->known != LEAT_FILE_GROWING)
            *state = one;
    }
    return 0;
}

int leat__file_recover(const struct leat_node *node, struct leat_env *env, const struct leat_sv *parts,
    uint32_t count, struct leat_error *err)
{
    const struct leat_file_target *target = node->spec;
    struct leat_file_state state;
    if (count == 0)
        return leat__file_check(node, env, err);
    LEAT_TRY(read_parts(parts, count, &state, err));
    if (state.known == LEAT_FILE_GROWING)
        return recover_growing(target, env, &state, err);
    if (target->is_stdout)
        return 0;
    if (target->base)
        LEAT_TRY(check_single(target, env, err));
    return make_ready(target, env, err);
}
