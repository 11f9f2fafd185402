/* tools/checkpoint_view.c -- what a path names, and what manifests say; see checkpoint.h. */
#include "base/alloc.h"
#include "tools/checkpoint.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IDS_SHOWN 8u

static const struct leat_checkpoint_store_class *const local = &leat__checkpoint_store_local;

int leat__view_open(const char *path, struct leat_checkpoint_view *view, struct leat_error *err)
{
    *view = (struct leat_checkpoint_view){ .env = leat__env_posix(), .path = path };
    LEAT_TRY(local->open(view->env, path, NULL, &view->store, err));
    const int result = local->list(view->store, &view->ids, &view->count, err);
    if (result < 0)
        leat__view_close(view);
    return result;
}

void leat__view_close(struct leat_checkpoint_view *view)
{
    if (view->store)
        local->close(view->store);
    leat__free(view->ids);
    *view = (struct leat_checkpoint_view){ 0 };
}

/* "3, 4, 5" or the last of them. */
static void print_ids(const struct leat_checkpoint_view *view, char *text, size_t size)
{
    const uint32_t first = view->count > IDS_SHOWN ? view->count - IDS_SHOWN : 0;
    size_t len = (size_t)snprintf(text, size, "%s", first > 0 ? "..., " : "");
    for (uint32_t i = first; i < view->count && len < size; i++)
        len += (size_t)snprintf(
            text + len, size - len, "%s%llu", i > first ? ", " : "", (unsigned long long)view->ids[i]);
}

int leat__view_find(
    const struct leat_checkpoint_view *view, const char *word, uint64_t *id, struct leat_error *err)
{
    char there[256];
    char *end = NULL;
    if (view->count == 0)
        return leat__error(err, LEAT_ENOTFOUND, "%s has no checkpoint", view->path);
    *id = view->ids[view->count - 1];
    if (!word)
        return 0;
    errno = 0;
    *id = strtoull(word, &end, 10);
    if (*word < '0' || *word > '9' || *end || errno)
        return leat__error(err, LEAT_EINVAL,
            "\"%s\" is not the number of a checkpoint: leat checkpoint ls shows them", word);
    for (uint32_t i = 0; i < view->count; i++)
        if (view->ids[i] == *id)
            return 0;
    print_ids(view, there, sizeof there);
    return leat__error(
        err, LEAT_ENOTFOUND, "%s has no checkpoint %s; there are: %s", view->path, word, there);
}

int leat__view_read(const struct leat_checkpoint_view *view, uint64_t id, struct leat_manifest *manifest,
    struct leat_error *err)
{
    *manifest = (struct leat_manifest){ 0 };
    return local->read_manifest(view->store, id, manifest, err);
}

int leat__view_look(
    const struct leat_checkpoint_view *view, const struct leat_manifest *manifest, struct leat_error *err)
{
    char path[4096];
    struct leat_file_info info;
    for (uint32_t i = 0; i < manifest->files_count; i++) {
        const struct leat_manifest_file *file = &manifest->files[i];
        LEAT_TRY(local->path(view->store, manifest->id, file->name, path, sizeof path, err));
        if (view->env->fs_stat(view->env, path, &info, NULL) < 0)
            return leat__error(err, LEAT_EDATA, "%s is missing", file->name);
        if (info.size != file->bytes)
            return leat__error(err, LEAT_EDATA, "%s has %llu bytes, not %llu", file->name,
                (unsigned long long)info.size, (unsigned long long)file->bytes);
    }
    return 0;
}

const char *leat__checkpoint_kind_name(enum leat_checkpoint_kind kind)
{
    return kind == LEAT_KIND_SAVEPOINT ? "savepoint" : "checkpoint";
}

uint64_t leat__manifest_bytes(const struct leat_manifest *manifest)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < manifest->files_count; i++)
        bytes += manifest->files[i].bytes;
    return bytes;
}

/* Files are sorted by name, as the runtime writes them. */
const struct leat_manifest_file *leat__manifest_shared(
    const struct leat_manifest *manifest, const struct leat_manifest_file *file)
{
    uint32_t low = 0, high = manifest->files_count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        const struct leat_manifest_file *other = &manifest->files[middle];
        const int order = strcmp(other->name, file->name);
        if (order == 0)
            return other->bytes == file->bytes && other->hash == file->hash ? other : NULL;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

uint64_t leat__manifest_new_bytes(const struct leat_manifest *manifest, const struct leat_manifest *before)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < manifest->files_count; i++)
        if (!leat__manifest_shared(before, &manifest->files[i]))
            bytes += manifest->files[i].bytes;
    return bytes;
}

int64_t leat__manifest_watermark(const struct leat_manifest *manifest, const char *node)
{
    int64_t least_us = LEAT_TIME_MAX;
    bool any = false;
    for (uint32_t i = 0; i < manifest->parts_count; i++) {
        const struct leat_part *part = &manifest->parts[i];
        if (strcmp(part->node_name, node) != 0)
            continue;
        any = true;
        if (part->watermark_us < least_us)
            least_us = part->watermark_us;
    }
    return any ? least_us : LEAT_TIME_MIN;
}
