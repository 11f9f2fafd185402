/* record/json_path.c -- paths of members, for errors. */
#include "record/json_path.h"
#include <stdio.h>
#include <string.h>

static void prepend(struct leat_json_path *path, const char *text, size_t len)
{
    const size_t room = sizeof path->text - path->used;
    if (len > room)
        len = room;
    path->used += len;
    memcpy(path->text + sizeof path->text - path->used, text, len);
}

void leat__json_path_name(struct leat_json_path *path, const char *name, size_t len)
{
    if (path->used > 0 && path->text[sizeof path->text - path->used] != '[')
        prepend(path, ".", 1);
    prepend(path, name, len);
}

void leat__json_path_index(struct leat_json_path *path, uint64_t index)
{
    char text[32];
    if (path->used > 0 && path->text[sizeof path->text - path->used] != '[')
        prepend(path, ".", 1);
    prepend(path, text, (size_t)snprintf(text, sizeof text, "[%llu]", (unsigned long long)index));
}

void leat__json_path_finish(const struct leat_json_path *path, struct leat_error *err)
{
    if (path->used > 0)
        (void)leat__error_prefix(err, "%.*s", (int)path->used, path->text + sizeof path->text - path->used);
}
