/* topology/lists.c -- what sources and sinks hand to the runtime: splits, commit handles, rows that can not
 * be decoded. Lists grow by doubling in their own arena, which is also where their texts live. */
#include "base/point.h"
#include "base/waker.h"
#include "topology/dead_letter_private.h"
#include "topology/sink.h"
#include "topology/source.h"
#include <stdio.h>
#include <string.h>

/* Room for one more item; the items, perhaps moved, or NULL. */
static void *grow(struct leat_arena *arena, void *items, uint32_t count, uint32_t *capacity, size_t item_size)
{
    if (count < *capacity)
        return items;
    if (count > UINT32_MAX / 4)
        return NULL;
    const uint32_t more = *capacity ? *capacity * 2 : 16;
    void *grown = leat__arena_array(arena, more, item_size);
    if (!grown)
        return NULL;
    if (count)
        memcpy(grown, items, count * item_size);
    *capacity = more;
    return grown;
}

struct leat_split *leat__split_add(struct leat_split_list *list, const char *id)
{
    struct leat_split *splits =
        grow(&list->arena, list->splits, list->count, &list->capacity, sizeof list->splits[0]);
    const char *copy = leat__arena_str(&list->arena, id);
    if (splits)
        list->splits = splits;
    if (!splits || !copy)
        return NULL;
    struct leat_split *split = &splits[list->count++];
    *split = (struct leat_split){ .id = copy };
    return split;
}

void leat__reader_wake(struct leat_reader *reader)
{
    __atomic_store_n(&reader->woken, 1, __ATOMIC_SEQ_CST);
    if (reader->ctx->waker)
        leat__waker_wake(reader->ctx->waker);
}

void leat__split_list_release(struct leat_split_list *list)
{
    leat__arena_release(&list->arena);
    *list = (struct leat_split_list){ 0 };
}

int leat__handle_add(
    struct leat_handle_list *list, const struct leat_node *node, const void *data, size_t len)
{
    struct leat_handle *handles =
        grow(&list->arena, list->handles, list->count, &list->capacity, sizeof list->handles[0]);
    char *copy = leat__arena_alloc(&list->arena, len + 1);
    if (handles)
        list->handles = handles;
    if (!handles || !copy)
        return LEAT_ENOMEM;
    if (len)
        memcpy(copy, data, len);
    handles[list->count++] = (struct leat_handle){ node, copy, len };
    return 0;
}

int leat__handle_sync(struct leat_handle_list *list, leat_fd fd, const char *path)
{
    struct leat_handle_file *syncs =
        grow(&list->arena, list->syncs, list->syncs_count, &list->syncs_capacity, sizeof list->syncs[0]);
    const char *copy = leat__arena_str(&list->arena, path);
    if (syncs)
        list->syncs = syncs;
    if (!syncs || !copy)
        return LEAT_ENOMEM;
    syncs[list->syncs_count++] = (struct leat_handle_file){ fd, copy };
    return 0;
}

int leat__handle_sync_dir(struct leat_handle_list *list, const char *dir)
{
    for (uint32_t i = 0; i < list->dirs_count; i++)
        if (strcmp(list->dirs[i], dir) == 0)
            return 0;
    const char **dirs =
        grow(&list->arena, list->dirs, list->dirs_count, &list->dirs_capacity, sizeof list->dirs[0]);
    const char *copy = leat__arena_str(&list->arena, dir);
    if (dirs)
        list->dirs = dirs;
    if (!dirs || !copy)
        return LEAT_ENOMEM;
    dirs[list->dirs_count++] = copy;
    return 0;
}

static int sync_all(struct leat_handle_list *list, struct leat_env *env, struct leat_error *err)
{
    while (list->syncs_count > 0) {
        const struct leat_handle_file *file = &list->syncs[list->syncs_count - 1];
        if (env->fs_sync(env, file->fd, err) < 0)
            return leat__error_prefix(err, "%s", file->path);
        env->fs_close(env, file->fd);
        list->syncs_count--;
    }
    while (list->dirs_count > 0) {
        LEAT_TRY(env->fs_sync_dir(env, list->dirs[list->dirs_count - 1], err));
        list->dirs_count--;
    }
    return 0;
}

int leat__handle_list_sync(struct leat_handle_list *list, struct leat_env *env, struct leat_error *err)
{
    if (list->failed)
        return leat__error(err, LEAT_EIO,
            "files of sinks could not be synced before: what they had may be lost, so nothing of it is "
            "committed; "
            "start from the last checkpoint");
    if (list->syncs_count + list->dirs_count == 0)
        return 0;
    leat__point(LEAT_POINT_SINK_WRITTEN);
    const int code = sync_all(list, env, err);
    list->failed = code < 0;
    if (code == 0)
        leat__point(LEAT_POINT_SINK_SYNCED);
    return code;
}

void leat__handle_list_release(struct leat_handle_list *list, struct leat_env *env)
{
    for (uint32_t i = 0; i < list->syncs_count; i++)
        env->fs_close(env, list->syncs[i].fd);
    leat__arena_release(&list->arena);
    *list = (struct leat_handle_list){ 0 };
}

/* The error that ends the job: which row of which split, why, and what could be done instead. */
static int fail_row(struct leat_reader *reader, int64_t position)
{
    struct leat_error *err = reader->ctx->error;
    char place[32] = "";
    if (position >= 0)
        (void)snprintf(place, sizeof place, " at %lld", (long long)position);
    const size_t used = strlen(err->message);
    (void)snprintf(err->message + used, sizeof err->message - used,
        " (set .on_error to LEAT_SKIP or LEAT_DEAD_LETTER to go on without such records)");
    (void)leat__error_prefix(err, "split \"%s\"%s", reader->split->id, place);
    return leat__fail_here(reader->ctx);
}

/* Adds a letter to the one batch that is held back; a full one goes at once. */
static int hold_letter(struct leat_reader *reader, const struct leat_bad_row *row)
{
    struct leat__ctx *ctx = reader->ctx;
    struct leat__dead_letters letters = { ctx, ctx->letters, ctx->letters };
    ctx->letters = NULL;
    LEAT_TRY(leat__dead_letters_add(&letters, reader->split, row));
    if (letters.last->count == letters.last->capacity)
        return leat__dead_letters_flush(&letters);
    LEAT_ASSERT(letters.first == letters.last);
    ctx->letters = letters.first;
    return 0;
}

int leat__reader_flush(struct leat_reader *reader)
{
    struct leat__dead_letters letters = { reader->ctx, reader->ctx->letters, reader->ctx->letters };
    reader->ctx->letters = NULL;
    return leat__dead_letters_flush(&letters);
}

int leat__reader_refuse(struct leat_reader *reader, const struct leat_bad_row *row)
{
    struct leat__ctx *ctx = reader->ctx;
    if (ctx->error->code == 0)
        (void)leat__error(ctx->error, LEAT_EDATA, "a record can not be decoded");
    switch (reader->node->policy) {
    case LEAT_SKIP:
        leat__count(&ctx->counters->dropped_records, 1);
        break;
    case LEAT_DEAD_LETTER:
        LEAT_TRY(hold_letter(reader, row));
        break;
    default:
        return fail_row(reader, row->position);
    }
    *ctx->error = (struct leat_error){ 0 };
    return 0;
}

int leat__reader_bad_row(struct leat_reader *reader, int64_t position, const void *raw, size_t raw_len)
{
    const struct leat_bad_row row = { .position = position, .raw = { raw, raw ? raw_len : 0 } };
    return leat__reader_refuse(reader, &row);
}
