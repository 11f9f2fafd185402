/* tools/checkpoint_rm.c -- `leat checkpoint rm`: removes checkpoints of a job that does not run.
 *
 * The job's lock is held all the while. All that was asked for is judged before the first one goes. */
#include "base/alloc.h"
#include "base/units.h"
#include "runtime/tree.h"
#include "tools/checkpoint.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct leat_checkpoint_store_class *const local = &leat__checkpoint_store_local;

/* DIR and NAME of DIR/NAME, opened for writing, and locked. */
static int open_locked(
    struct leat_env *env, const char *path, struct leat_checkpoint_store **store, struct leat_error *err)
{
    char dir[LEAT_TREE_PATH_MAX], name[LEAT_TREE_PATH_MAX];
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/')
        len--;
    if (len >= sizeof name)
        return leat__error(err, LEAT_EINVAL, "%s is too long for a path", path);
    (void)snprintf(name, sizeof name, "%.*s", (int)len, path);
    leat__tree_parent(name, dir, sizeof dir);
    const char *slash = strrchr(name, '/');
    LEAT_TRY(local->open(env, dir, slash ? slash + 1 : name, store, err));
    int result = local->lock(*store, err);
    if (result == LEAT_EEXISTS)
        result = leat__error(err, LEAT_EEXISTS,
            "a job runs in %s: it removes its old checkpoints itself (--checkpoints-retained)", path);
    if (result < 0)
        local->close(*store);
    return result;
}

static bool is_among(uint64_t id, const uint64_t *ids, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (ids[i] == id)
            return true;
    return false;
}

/* Ids of the words, each once. */
static int collect(const struct leat_checkpoint_view *view, const struct leat_checkpoint_args *args,
    uint64_t *ids, uint32_t *count, struct leat_error *err)
{
    *count = 0;
    for (uint32_t i = 1; i < args->count; i++) {
        uint64_t id;
        LEAT_TRY(leat__view_find(view, args->words[i], &id, err));
        if (!is_among(id, ids, *count))
            ids[(*count)++] = id;
    }
    if (!args->force && is_among(view->ids[view->count - 1], ids, *count))
        return leat__error(err, LEAT_EINVAL,
            "%llu is the newest checkpoint, with which the job goes on: if that is what you want, add "
            "--force "
            "(the next run then begins with an older one, or new; its output since may come twice)",
            (unsigned long long)view->ids[view->count - 1]);
    return 0;
}

/* Bytes that no checkpoint that stays has too. A manifest that can not be read counts nothing. */
static uint64_t freed_bytes(const struct leat_checkpoint_view *view, const uint64_t *ids, uint32_t count)
{
    uint64_t freed = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct leat_manifest going, staying;
        if (leat__view_read(view, ids[i], &going, NULL) < 0)
            going.files_count = 0;
        for (uint32_t f = 0; f < going.files_count; f++) {
            bool kept = false;
            for (uint32_t k = 0; k < view->count && !kept; k++) {
                /* Also files of two that both go count once: with the first of them. */
                const bool goes = is_among(view->ids[k], ids, count);
                if (view->ids[k] == ids[i] || (goes && view->ids[k] > ids[i]))
                    continue;
                kept = leat__view_read(view, view->ids[k], &staying, NULL) == 0 &&
                    leat__manifest_shared(&staying, &going.files[f]);
                leat__manifest_release(&staying);
            }
            freed += kept ? 0 : going.files[f].bytes;
        }
        leat__manifest_release(&going);
    }
    return freed;
}

/* Whether the user agrees. */
static bool confirm(const struct leat_checkpoint_view *view, const uint64_t *ids, uint32_t count)
{
    char size[LEAT_UNITS_TEXT_MAX], answer[16] = "";
    leat__size_print(freed_bytes(view, ids, count), size);
    (void)fprintf(stderr, "This removes %u of %u checkpoints in %s (", count, view->count, view->path);
    for (uint32_t i = 0; i < count; i++)
        (void)fprintf(stderr, "%s%llu", i ? ", " : "", (unsigned long long)ids[i]);
    (void)fprintf(stderr, ") and frees %s. Remove? [y/N] ", size);
    (void)fflush(stderr);
    return fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

static int remove_all(struct leat_checkpoint_store *store, const uint64_t *ids, uint32_t count, bool json,
    struct leat_strbuf *out, struct leat_error *err)
{
    if (json)
        leat__json_begin(out, "removed", '[');
    for (uint32_t i = 0; i < count; i++) {
        LEAT_TRY(local->remove(store, ids[i], err));
        if (json)
            leat__json_count(out, NULL, ids[i]);
        else
            leat__strbuf_printf(out, "%llu: removed\n", (unsigned long long)ids[i]);
    }
    if (json)
        leat__json_end(out, ']');
    return 0;
}

static int remove_in(struct leat_checkpoint_view *view, const struct leat_checkpoint_args *args,
    struct leat_strbuf *out, struct leat_error *err)
{
    struct leat_checkpoint_store *store;
    uint64_t ids[64];
    uint32_t count = 0;
    LEAT_TRY(collect(view, args, ids, &count, err));
    if (!args->yes && isatty(STDIN_FILENO) != 1)
        return leat__error(
            err, LEAT_EINVAL, "rm asks before it removes, and there is nobody to ask: add --yes");
    LEAT_TRY(open_locked(view->env, args->words[0], &store, err));
    const bool json = args->output == LEAT_OUTPUT_JSON;
    int result = 0;
    if (json)
        leat__json_begin(out, NULL, '{');
    if (args->yes || confirm(view, ids, count))
        result = remove_all(store, ids, count, json, out, err);
    else
        result = leat__error(err, LEAT_ECANCELLED, "nothing was removed");
    if (json)
        leat__strbuf_str(out, "}\n");
    local->close(store);
    return result;
}

int leat__checkpoint_rm(const struct leat_checkpoint_args *args)
{
    struct leat_checkpoint_view view;
    struct leat_error err = { 0 };
    struct leat_strbuf out = { 0 };
    char manifest[LEAT_TREE_PATH_MAX];
    struct leat_file_info info;
    int result = leat__view_open(args->words[0], &view, &err);
    if (result < 0)
        return leat__output_fail(&err);
    const char *slash = strrchr(args->words[0], '/');
    const char *name = slash ? slash + 1 : args->words[0];
    (void)snprintf(manifest, sizeof manifest, "%s/MANIFEST", args->words[0]);
    if (view.env->fs_stat(view.env, manifest, &info, NULL) == 0)
        result = leat__error(&err, LEAT_EINVAL,
            "%s is a savepoint, which is yours: remove the directory (rm -r)", args->words[0]);
    else if (strncmp(name, "MANIFEST-", 9) == 0 || strncmp(name, "chk-", 4) == 0)
        result = leat__error(&err, LEAT_EINVAL,
            "%s is one checkpoint: name the job's directory and the checkpoint's number", args->words[0]);
    else
        result = remove_in(&view, args, &out, &err);
    leat__view_close(&view);
    if (result == 0)
        return leat__output_print(&out);
    if (args->output != LEAT_OUTPUT_JSON)
        (void)leat__output_print(&out); /* what went before the failure */
    leat__strbuf_release(&out);
    return leat__output_fail(&err);
}
