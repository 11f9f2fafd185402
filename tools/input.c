/* tools/input.c -- files that a command is given. */
#include "tools/input.h"

int leat__input_schema(
    struct leat_env *env, const char *path, struct leat_strbuf *text, struct leat_error *err)
{
    struct leat_file_info info;
    leat_fd fd;
    LEAT_TRY(env->fs_stat(env, path, &info, err));
    if (info.is_dir)
        return leat__error(err, LEAT_EINVAL, "%s is a directory: name the schema files in it", path);
    if (info.size > LEAT_SCHEMA_FILE_BYTES_MAX)
        return leat__error(err, LEAT_ELIMIT, "%s: %llu bytes are too many for a schema", path,
            (unsigned long long)info.size);
    LEAT_TRY(env->fs_open(env, path, LEAT_OPEN_READ, &fd, err));
    int64_t got = leat__strbuf_reserve(text, info.size) ? 0 : leat__error(err, LEAT_ENOMEM, "out of memory");
    if (got == 0)
        got = env->fs_pread(env, fd, text->data, info.size, 0, err);
    env->fs_close(env, fd);
    if (got < 0) {
        (void)leat__error_prefix(err, "%s", path);
        return (int)got;
    }
    text->len = (size_t)got;
    return 0;
}
