/* tools/gen_main.c -- the command `leat gen`. Files are written whole or not at all. */
#include "base/env.h"
#include "tools/gen.h"
#include <stdio.h>
#include <string.h>

static const char usage[] =
    "Usage: leat gen FILE.avsc... [-o DIR]\n\n"
    "Writes NAME.h and NAME.c for each Avro schema NAME.avsc: the C struct of the record, constants of its "
    "enums, and its type\n"
    "descriptor. DIR is the current directory unless given, and made where missing.\n\n"
    "Examples:\n  leat gen order.avsc inventory.avsc -o gen\n  leat gen schemas/event.avsc\n";

static int read_file(struct leat_env *env, const char *path, struct leat_strbuf *text, struct leat_error *err)
{
    struct leat_file_info info;
    leat_fd fd;
    LEAT_TRY(env->fs_stat(env, path, &info, err));
    if (info.size > LEAT_GEN_BYTES_MAX)
        return leat__error(err, LEAT_ELIMIT, "%s: %llu bytes are too many for a schema", path,
            (unsigned long long)info.size);
    LEAT_TRY(env->fs_open(env, path, LEAT_OPEN_READ, &fd, err));
    int64_t got = leat__strbuf_reserve(text, info.size) ? 0 : leat__error(err, LEAT_ENOMEM, "out of memory");
    if (got == 0)
        got = env->fs_pread(env, fd, text->data, info.size, 0, err);
    env->fs_close(env, fd);
    if (got < 0)
        return (int)got;
    text->len = (size_t)got;
    return 0;
}

static int write_file(
    struct leat_env *env, const char *path, const struct leat_strbuf *text, struct leat_error *err)
{
    char temporary[4096];
    leat_fd fd;
    (void)snprintf(temporary, sizeof temporary, "%s.tmp", path);
    LEAT_TRY(env->fs_open(env, temporary, LEAT_OPEN_TRUNCATE, &fd, err));
    int result = env->fs_write(env, fd, text->data, text->len, err);
    env->fs_close(env, fd);
    if (result == 0)
        result = env->fs_rename(env, temporary, path, err);
    if (result < 0) {
        (void)env->fs_unlink(env, temporary, NULL); /* the first error is the one to tell */
        (void)leat__error_prefix(err, "%s", path);
    }
    return result;
}

static int generate(struct leat_env *env, const char *path, const char *dir, struct leat_error *err)
{
    struct leat_strbuf text = { 0 };
    struct leat_gen_output out = { 0 };
    char stem[256], to[4096];
    const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    const char *dot = strrchr(base, '.');
    (void)snprintf(stem, sizeof stem, "%.*s", dot ? (int)(dot - base) : (int)strlen(base), base);
    for (char *p = stem; *p; p++)
        if (*p == '-' || *p == '.')
            *p = '_';
    int result = read_file(env, path, &text, err);
    if (result == 0) {
        result = leat__gen(stem, text.data, text.len, &out, err);
        if (result < 0)
            (void)leat__error_prefix(err, "%s", path);
    }
    if (result == 0 && out.notes.len)
        (void)fprintf(stderr, "%s", out.notes.data);
    if (result == 0) {
        (void)snprintf(to, sizeof to, "%s/%s.h", dir, stem);
        result = write_file(env, to, &out.header, err);
    }
    if (result == 0) {
        (void)snprintf(to, sizeof to, "%s/%s.c", dir, stem);
        result = write_file(env, to, &out.source, err);
    }
    leat__gen_release(&out);
    leat__strbuf_release(&text);
    return result;
}

int leat__gen_main(int argc, char **argv)
{
    struct leat_env *env = leat__env_posix();
    struct leat_error err = { 0 };
    const char *dir = ".";
    int files = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            printf("%s", usage);
            return 0;
        }
        if (strcmp(argv[i], "-o") == 0 && i + 1 < argc) {
            dir = argv[++i];
        } else if (argv[i][0] == '-') {
            (void)fprintf(stderr, "leat gen: unknown option or missing value: %s\n%s", argv[i], usage);
            return 2;
        } else {
            files++;
        }
    }
    if (files == 0) {
        (void)fprintf(stderr, "leat gen: no schema file\n%s", usage);
        return 2;
    }
    int result = env->fs_mkdir(env, dir, &err);
    for (int i = 1; i < argc && result == 0; i++) {
        if (strcmp(argv[i], "-o") == 0)
            i++;
        else
            result = generate(env, argv[i], dir, &err);
    }
    if (result < 0)
        (void)fprintf(stderr, "leat gen: %s\n", err.message);
    return result < 0 ? leat_error_exit_code(result) : 0;
}
