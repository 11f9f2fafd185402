/* connectors/file/paths.c -- from the path of a file source to its splits.
 *
 *   "-"            standard input
 *   a directory    its files (not its subdirectories), without those whose name begins with . or _
 *   a file         itself
 *   a pattern      what the environment's glob finds, without directories; only where no file has that very
 * name
 *
 * A file is cut into ranges of split_bytes, but for a rest of less than half of it, which the last range
 * takes; the last range is open at its end, so that the file is read to where it ends when it is opened. Ids
 * name the file from the directory (or the part of a pattern without wildcards) on, so that they survive a
 * move of the whole.
 *
 * Order: names are sorted bytewise here, since directories come in any order and glob sorts as the locale
 * says. Every file is opened once: what can not be read is told before the job starts. */
#include "connectors/file/file_private.h"
#include "base/alloc.h"
#include <stdio.h>
#include <stdlib.h>

struct found {
    char *path;
    const char *id; /* in path */
};

struct finding {
    const struct leat_file_source *spec;
    struct leat_env *env;
    struct leat_error *err;
    const char *dir; /* before each name of a listed directory, or NULL */
    size_t prefix; /* bytes of a path before its id */
    struct found *files;
    size_t count, capacity;
};

static int out_of_memory(const struct finding *f)
{
    return leat__error(f->err, LEAT_ENOMEM, "%s: out of memory for the list of files", f->spec->path);
}

/* Takes `path`, which may be NULL. */
static int add_file(struct finding *f, char *path, size_t prefix)
{
    if (path && f->count == f->capacity) {
        const size_t capacity = f->capacity ? 2 * f->capacity : 16;
        struct found *files = leat__realloc(f->files, capacity * sizeof *files);
        if (files) {
            f->files = files;
            f->capacity = capacity;
        }
    }
    if (!path || f->count == f->capacity) {
        leat__free(path);
        return out_of_memory(f);
    }
    f->files[f->count].path = path;
    f->files[f->count++].id = path + prefix;
    return 0;
}

static int add_listed(void *arg, const char *name, bool is_dir)
{
    struct finding *f = arg;
    if (is_dir || name[0] == '.' || name[0] == '_')
        return 0;
    const size_t dir_len = strlen(f->dir), name_len = strlen(name);
    const bool slash = dir_len > 0 && f->dir[dir_len - 1] != '/';
    char *path = leat__malloc(dir_len + slash + name_len + 1);
    if (path) {
        memcpy(path, f->dir, dir_len);
        path[dir_len] = '/';
        memcpy(path + dir_len + slash, name, name_len + 1);
    }
    return add_file(f, path, dir_len + slash);
}

static int add_matched(void *arg, const char *path, bool is_dir)
{
    struct finding *f = arg;
    return is_dir ? 0 : add_file(f, leat__strdup(path), f->prefix);
}

static int compare_files(const void *a, const void *b)
{
    return strcmp(((const struct found *)a)->path, ((const struct found *)b)->path);
}

static int find_in_directory(struct finding *f)
{
    f->dir = f->spec->path;
    LEAT_TRY(f->env->fs_list(f->env, f->dir, add_listed, f, f->err));
    if (f->count == 0)
        return leat__error(f->err, LEAT_ENOTFOUND,
            "no file in directory %s (names that begin with . or _ are passed over)", f->dir);
    return 0;
}

static int find_by_pattern(struct finding *f)
{
    const char *pattern = f->spec->path;
    const size_t plain = strcspn(pattern, "*?[");
    f->prefix = plain;
    while (f->prefix > 0 && pattern[f->prefix - 1] != '/')
        f->prefix--;
    LEAT_TRY(f->env->fs_glob(f->env, pattern, add_matched, f, f->err));
    if (f->count == 0)
        return leat__error(f->err, LEAT_ENOTFOUND, "no file matches %s: only directories do", pattern);
    return 0;
}

static int find_files(struct finding *f)
{
    struct leat_file_info info;
    const char *path = f->spec->path;
    if (strcmp(path, "-") == 0)
        return add_file(f, leat__strdup(path), 0);
    const int code = f->env->fs_stat(f->env, path, &info, f->err);
    if (code == LEAT_ENOTFOUND && strpbrk(path, "*?["))
        return find_by_pattern(f);
    if (code == LEAT_ENOTFOUND)
        return leat__error(f->err, code,
            "no file or directory %s: correct .path, which counts from where the job is started", path);
    if (code < 0)
        return code;
    if (info.is_dir)
        return find_in_directory(f);
    return add_file(f, leat__strdup(path), (size_t)(leat__file_base(path) - path));
}

/* ---- splits ---- */

static int find_format(const struct finding *f, const char *path, enum leat_format *format)
{
    *format = f->spec->format ? f->spec->format : leat__file_format(path);
    if (!*format)
        return leat__error(f->err, LEAT_EUNSUPPORTED,
            "%s: its ending says no format (known are " LEAT_FILE_ENDINGS "): set .format, or narrow .path",
            path);
    if (*format == LEAT_FORMAT_CSV && f->spec->split_asked)
        return leat__error(f->err, LEAT_EUNSUPPORTED,
            "%s: a CSV file is read as a whole, it can not be cut: leave .split_bytes out", path);
    return 0;
}

/* Appends one split; `from` 0 with `cut` false is a whole file. */
static int add_split(const struct finding *f, struct leat_split_list *list,
    const struct leat_file_split *file, const char *id, bool cut, uint64_t from, uint64_t to, uint64_t bytes)
{
    char text[4096];
    if (list->count >= LEAT_SPLITS_MAX)
        return leat__error(f->err, LEAT_ELIMIT,
            "%s: more than %u splits: set a larger .split_bytes, or narrow .path", f->spec->path,
            LEAT_SPLITS_MAX);
    const int len = snprintf(text, sizeof text, "%s@%llu", id, (unsigned long long)from);
    if (len < 0 || (size_t)len >= sizeof text)
        return leat__error(f->err, LEAT_ELIMIT, "%s: the name is too long", file->path);
    struct leat_split *split = leat__split_add(list, cut ? text : id);
    if (!split)
        return out_of_memory(f);
    split->from = from;
    split->to = to;
    split->bytes = bytes;
    split->data = leat__arena_copy(&list->arena, file, sizeof *file);
    return split->data ? 0 : out_of_memory(f);
}

/* Whether `left` bytes are a whole range and a rest of at least half of one. */
static bool worth_a_cut(uint64_t left, uint64_t step)
{
    return left > step && left - step >= step / 2 + step % 2;
}

static int cut_file(const struct finding *f, struct leat_split_list *list, const struct leat_file_split *file,
    const char *id, uint64_t size)
{
    const uint64_t step = f->spec->split_bytes;
    uint64_t left = size;
    if (step == 0 || file->format == LEAT_FORMAT_CSV || !worth_a_cut(left, step))
        return add_split(f, list, file, id, false, 0, UINT64_MAX, size);
    for (; worth_a_cut(left, step); left -= step)
        LEAT_TRY(add_split(f, list, file, id, true, size - left, size - left + step, step));
    return add_split(f, list, file, id, true, size - left, UINT64_MAX, left);
}

static int add_file_splits(const struct finding *f, struct leat_split_list *list, const struct found *found)
{
    struct leat_file_info info = { 0 };
    struct leat_file_split file = { .is_stream = strcmp(found->path, "-") == 0 };
    leat_fd fd;
    LEAT_TRY(find_format(f, found->path, &file.format));
    file.path = leat__arena_str(&list->arena, found->path);
    if (!file.path)
        return out_of_memory(f);
    if (!file.is_stream) {
        LEAT_TRY(f->env->fs_stat(f->env, file.path, &info, f->err));
        file.is_stream = !info.is_regular;
    }
    if (file.is_stream && file.format == LEAT_FORMAT_AVRO)
        return leat__error(f->err, LEAT_EUNSUPPORTED,
            "%s: an Avro file is read by blocks from a file, not from a stream: write it to a file first, or "
            "send "
            "JSON lines",
            strcmp(file.path, "-") == 0 ? "standard input" : file.path);
    if (file.is_stream)
        return add_split(f, list, &file, found->id, false, 0, UINT64_MAX, 0);
    LEAT_TRY(f->env->fs_open(f->env, file.path, LEAT_OPEN_READ, &fd, f->err));
    f->env->fs_close(f->env, fd);
    return cut_file(f, list, &file, found->id, info.size);
}

int leat__file_find(const struct leat_file_source *spec, struct leat_env *env, struct leat_split_list *list,
    struct leat_error *err)
{
    struct finding f = { .spec = spec, .env = env, .err = err };
    int code = find_files(&f);
    if (code == 0 && f.count > 0)
        qsort(f.files, f.count, sizeof *f.files, compare_files);
    for (size_t i = 0; code == 0 && i < f.count; i++)
        code = add_file_splits(&f, list, &f.files[i]);
    for (size_t i = 0; i < f.count; i++)
        leat__free(f.files[i].path);
    leat__free(f.files);
    return code;
}
