/* tests/support/store_dirs.c -- see store_dirs.h. */
#include "tests/support/unit.h"
#include "tests/support/store_dirs.h"
#include "base/error.h"
#include "base/hash.h"
#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *store_dirs_new(void)
{
    const char *tmp = getenv("TMPDIR");
    char path[512];
    snprintf(path, sizeof path, "%s/leat-store-XXXXXX", tmp && tmp[0] ? tmp : "/tmp");
    assert_non_null(mkdtemp(path));
    char *root = strdup(path);
    assert_non_null(root);
    return root;
}

static int remove_path(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st;
    (void)type;
    (void)walk;
    return remove(path);
}

void store_dirs_remove(const char *path)
{
    (void)nftw(path, remove_path, 16, FTW_DEPTH | FTW_PHYS);
}

void store_dirs_free(char *root)
{
    store_dirs_remove(root);
    free(root);
}

const char *store_dirs_path(const char *root, const char *format, ...)
{
    static char paths[16][600];
    static uint32_t next;
    char *path = paths[next++ % 16];
    const int len = snprintf(path, sizeof paths[0], "%s/", root);
    va_list args;
    va_start(args, format);
    vsnprintf(path + len, sizeof paths[0] - (size_t)len, format, args);
    va_end(args);
    return path;
}

bool store_dirs_exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

static void read_file(const char *path, struct store_file *file)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    file->size = (uint64_t)st.st_size;
    file->links = (uint32_t)st.st_nlink;
    char *bytes = malloc(file->size + 1);
    FILE *in = fopen(path, "rb");
    assert_non_null(bytes);
    assert_non_null(in);
    assert_int_equal(fread(bytes, 1, file->size, in), file->size);
    fclose(in);
    file->hash = leat__hash(bytes, file->size);
    free(bytes);
}

static int compare_files(const void *a, const void *b)
{
    return strcmp(((const struct store_file *)a)->name, ((const struct store_file *)b)->name);
}

uint32_t store_dirs_files(const char *path, struct store_file *files, uint32_t max)
{
    uint32_t count = 0;
    struct dirent *entry;
    DIR *dir = opendir(path);
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        assert_true(count < max);
        struct store_file *file = &files[count++];
        snprintf(file->name, sizeof file->name, "%s", entry->d_name);
        read_file(store_dirs_path(path, "%s", entry->d_name), file);
    }
    closedir(dir);
    qsort(files, count, sizeof *files, compare_files);
    return count;
}

uint64_t store_dirs_hash(const char *path)
{
    static struct store_file files[512];
    memset(files, 0, sizeof files);
    const uint32_t count = store_dirs_files(path, files, COUNT_OF(files));
    for (uint32_t i = 0; i < count; i++)
        files[i].links = 0; /* others may share it */
    return leat__hash(files, count * sizeof *files);
}

static int link_file(struct leat_env *env, const char *from, const char *to, struct leat_error *err)
{
    struct store_link_env *e = (struct store_link_env *)env;
    e->links_count++;
    if (e->link_code < 0)
        return leat__error(err, e->link_code, "link %s to %s: it was to fail", from, to);
    return leat__env_posix()->fs_link(leat__env_posix(), from, to, err);
}

static int sync_file(struct leat_env *env, leat_fd fd, struct leat_error *err)
{
    struct store_link_env *e = (struct store_link_env *)env;
    e->syncs_count++;
    return leat__env_posix()->fs_sync(leat__env_posix(), fd, err);
}

struct leat_env *store_link_env(struct store_link_env *env, int link_code)
{
    *env = (struct store_link_env){ .env = *leat__env_posix(), .link_code = link_code };
    env->env.fs_link = link_file;
    env->env.fs_sync = sync_file;
    return &env->env;
}
