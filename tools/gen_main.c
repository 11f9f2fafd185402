/* tools/gen_main.c -- the command `leat gen`. Files are written whole or not at all. */
#include "base/env.h"
#include "tools/gen.h"
#include "tools/input.h"
#include <stdio.h>
#include <string.h>

static const char usage[] =
    "Usage: leat gen FILE.avsc... [-o DIR]\n\n"
    "Writes NAME.h and NAME.c for each Avro schema NAME.avsc: the C struct of the record, constants of its "
    "enums, and its type\n"
    "descriptor. DIR is the current directory unless given, and made where missing.\n\n"
    "Examples:\n  leat gen order.avsc inventory.avsc -o gen\n  leat gen schemas/event.avsc\n";

static int write_temporary(
    struct leat_env *env, const char *path, const struct leat_strbuf *text, struct leat_error *err)
{
    leat_fd fd;
    LEAT_TRY(env->fs_open(env, path, LEAT_OPEN_TRUNCATE, &fd, err));
    const int result = env->fs_write(env, fd, text->data, text->len, err);
    env->fs_close(env, fd);
    return result;
}

/* Writes DIR/STEM.h and DIR/STEM.c beside their places first, so that an error leaves what was there before.
 */
static int write_files(struct leat_env *env, const char *dir, const char *stem,
    const struct leat_gen_output *out, struct leat_error *err)
{
    static const char endings[] = { 'h', 'c' };
    const struct leat_strbuf *texts[] = { &out->header, &out->source };
    char path[4096], temporary[2][4096];
    int result = 0;
    for (int i = 0; i < 2 && result == 0; i++) {
        (void)snprintf(temporary[i], sizeof temporary[i], "%s/.%s.%c.tmp", dir, stem, endings[i]);
        result = write_temporary(env, temporary[i], texts[i], err);
        for (int k = 0; k <= i && result < 0; k++)
            (void)env->fs_unlink(env, temporary[k], NULL); /* the first error is the one to tell */
        if (result < 0)
            (void)leat__error_prefix(err, "%s/%s.%c", dir, stem, endings[i]);
    }
    for (int i = 0; i < 2 && result == 0; i++) {
        (void)snprintf(path, sizeof path, "%s/%s.%c", dir, stem, endings[i]);
        result = env->fs_rename(env, temporary[i], path, err);
        if (result < 0)
            (void)env->fs_unlink(env, temporary[i], NULL);
    }
    return result;
}

/* schemas/order.avsc -> order */
static void find_stem(const char *path, char *stem, size_t size)
{
    const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    const char *dot = strrchr(base, '.');
    (void)snprintf(stem, size, "%.*s", dot && dot > base ? (int)(dot - base) : (int)strlen(base), base);
}

static int generate(struct leat_env *env, const char *path, const char *dir, struct leat_error *err)
{
    struct leat_strbuf text = { 0 };
    struct leat_gen_output out = { 0 };
    char stem[256];
    find_stem(path, stem, sizeof stem);
    int result = leat__input_schema(env, path, &text, err);
    if (result == 0) {
        result = leat__gen(stem, text.data, text.len, &out, err);
        if (result < 0)
            (void)leat__error_prefix(err, "%s", path);
    }
    if (result == 0 && out.notes.len)
        (void)fprintf(stderr, "%s", out.notes.data);
    if (result == 0)
        result = write_files(env, dir, stem, &out, err);
    leat__gen_release(&out);
    leat__strbuf_release(&text);
    return result;
}

static int usage_error(const char *text, const char *word)
{
    (void)fprintf(stderr, "leat gen: %s%s\nTry leat gen --help\n", text, word);
    return 2;
}

/* Two schemas of one name would write the same files. */
static int check_stems(char **paths, int count)
{
    char stem[256], other[256];
    for (int i = 0; i < count; i++) {
        find_stem(paths[i], stem, sizeof stem);
        for (int k = 0; k < i; k++) {
            find_stem(paths[k], other, sizeof other);
            if (strcmp(stem, other) == 0) {
                (void)fprintf(stderr,
                    "leat gen: %s and %s would both be written to %s.h: rename one of them\n", paths[k],
                    paths[i], stem);
                return 2;
            }
        }
    }
    return 0;
}

/* Takes the schema files to the front of argv; their number, or below 0: the exit code is -1 - that. */
static int parse_args(int argc, char **argv, const char **dir)
{
    int files = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            printf("%s", usage);
            return -1;
        }
        if (strcmp(argv[i], "-o") == 0 && i + 1 < argc)
            *dir = argv[++i];
        else if (strcmp(argv[i], "-o") == 0)
            return -1 - usage_error("-o needs a directory behind it", "");
        else if (argv[i][0] == '-')
            return -1 - usage_error("unknown option ", argv[i]);
        else
            argv[files++] = argv[i];
    }
    return files ? files : -1 - usage_error("no schema file was named", "");
}

int leat__gen_main(int argc, char **argv)
{
    struct leat_env *env = leat__env_posix();
    struct leat_error err = { 0 };
    const char *dir = ".";
    const int files = parse_args(argc, argv, &dir);
    if (files < 0)
        return -1 - files;
    if (check_stems(argv, files))
        return 2;
    int first = env->fs_mkdir(env, dir, &err);
    const bool dir_is_there = first == 0;
    if (!dir_is_there)
        (void)fprintf(stderr, "leat gen: %s\n", err.message);
    for (int i = 0; i < files && dir_is_there; i++) {
        const int result = generate(env, argv[i], dir, &err);
        if (result < 0)
            (void)fprintf(stderr, "leat gen: %s\n", err.message);
        if (first == 0)
            first = result;
    }
    return first < 0 ? leat_error_exit_code(first) : 0;
}
