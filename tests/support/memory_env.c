/* tests/support/memory_env.c -- files as byte arrays: names show inodes, descriptors show inodes, and an
 * inode lives as long as one of them shows it, as on a real file system. */
#include "tests/support/memory_env.h"
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FDS_MAX 256
#define FD_FIRST 3

struct inode {
    unsigned char *data;
    size_t size, capacity;
    int64_t modified_us;
    unsigned refs;
    bool is_locked;
};

struct name {
    char *path;
    struct inode *inode;
};

struct descriptor {
    struct inode *inode; /* NULL: free */
    char *path;
    enum leat_open_mode mode;
    size_t at;
    bool has_lock;
};

struct memory_env {
    struct leat_env env;
    struct name *names;
    size_t names_count, names_capacity;
    char **dirs;
    size_t dirs_count, dirs_capacity;
    uint64_t capacity;
    struct descriptor fds[FDS_MAX];
    memory_env_hook hook;
    void *hook_arg;
    uint64_t calls_count, fail_at;
    int fail_code;
    int64_t now_us;
    uint64_t random_state;
};

static struct memory_env *of(struct leat_env *env)
{
    return env->impl;
}

/* A test that runs out of memory has nothing to say. */
static void *must(void *p)
{
    if (!p)
        abort();
    return p;
}

/* Counts the call and asks whether it may happen. */
static int ask(
    struct memory_env *m, enum memory_env_call call, const char *path, size_t *size, struct leat_error *err)
{
    size_t none = 0;
    int code = 0;
    m->calls_count++;
    if (m->fail_at && m->calls_count == m->fail_at) {
        m->fail_at = 0;
        code = m->fail_code;
    }
    if (code == 0 && m->hook)
        code = m->hook(m->hook_arg, call, m->calls_count, path, size ? size : &none);
    return code < 0 ? leat__error(err, code, "%s: made to fail", path) : 0;
}

static struct name *find_name(struct memory_env *m, const char *path)
{
    for (size_t i = 0; i < m->names_count; i++)
        if (strcmp(m->names[i].path, path) == 0)
            return &m->names[i];
    return NULL;
}

static bool is_dir(struct memory_env *m, const char *path)
{
    const size_t len = strlen(path);
    if (strcmp(path, ".") == 0 || strcmp(path, "/") == 0)
        return true;
    for (size_t i = 0; i < m->dirs_count; i++)
        if (strncmp(m->dirs[i], path, len) == 0 && (m->dirs[i][len] == '\0' || m->dirs[i][len] == '/'))
            return true;
    for (size_t i = 0; i < m->names_count; i++)
        if (strncmp(m->names[i].path, path, len) == 0 && m->names[i].path[len] == '/')
            return true;
    return false;
}

static void unref(struct inode *inode)
{
    if (--inode->refs > 0)
        return;
    free(inode->data);
    free(inode);
}

static void add_name(struct memory_env *m, const char *path, struct inode *inode)
{
    if (m->names_count == m->names_capacity) {
        m->names_capacity = m->names_capacity ? m->names_capacity * 2 : 16;
        m->names = must(realloc(m->names, m->names_capacity * sizeof *m->names));
    }
    m->names[m->names_count++] = (struct name){ must(strdup(path)), inode };
    inode->refs++;
}

static void remove_name(struct memory_env *m, struct name *name)
{
    free(name->path);
    unref(name->inode);
    *name = m->names[--m->names_count];
}

static struct inode *make_file(struct memory_env *m, const char *path)
{
    struct inode *inode = must(calloc(1, sizeof *inode));
    inode->modified_us = m->now_us;
    add_name(m, path, inode);
    return inode;
}

static void append(struct memory_env *m, struct inode *inode, const void *data, size_t size)
{
    if (inode->size + size > inode->capacity) {
        inode->capacity = (inode->size + size) * 2;
        inode->data = must(realloc(inode->data, inode->capacity));
    }
    if (size > 0)
        memcpy(inode->data + inode->size, data, size);
    inode->size += size;
    inode->modified_us = m->now_us;
}

/* ---- what the environment offers ---- */

static int64_t memory_mono_ns(struct leat_env *env)
{
    return of(env)->now_us * 1000;
}

static int64_t memory_wall_us(struct leat_env *env)
{
    return of(env)->now_us;
}

static uint64_t memory_random(struct leat_env *env)
{
    uint64_t x = of(env)->random_state += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static int add_descriptor(struct memory_env *m, const char *path, struct inode *inode,
    enum leat_open_mode mode, leat_fd *fd, struct leat_error *err)
{
    for (int i = FD_FIRST; i < FDS_MAX; i++) {
        if (m->fds[i].inode)
            continue;
        m->fds[i] = (struct descriptor){ inode, must(strdup(path)), mode, 0, false };
        inode->refs++;
        *fd = i;
        return 0;
    }
    return leat__error(err, LEAT_EIO, "open %s: Too many open files", path);
}

static int memory_open(
    struct leat_env *env, const char *path, enum leat_open_mode mode, leat_fd *fd, struct leat_error *err)
{
    struct memory_env *m = of(env);
    *fd = -1;
    const int code = ask(m, MEMORY_ENV_OPEN, path, NULL, err);
    if (code < 0)
        return code;
    const struct name *name = find_name(m, path);
    if (!name && mode == LEAT_OPEN_READ)
        return leat__error(err, LEAT_ENOTFOUND, "open %s: No such file or directory", path);
    if (name && mode == LEAT_OPEN_CREATE)
        return leat__error(err, LEAT_EEXISTS, "open %s: File exists", path);
    struct inode *inode = name ? name->inode : make_file(m, path);
    if (mode == LEAT_OPEN_TRUNCATE)
        inode->size = 0;
    return add_descriptor(m, path, inode, mode, fd, err);
}

static struct descriptor *descriptor(struct memory_env *m, leat_fd fd)
{
    if (fd < FD_FIRST || fd >= FDS_MAX || !m->fds[fd].inode)
        abort(); /* a descriptor that is not open: the bug to find */
    return &m->fds[fd];
}

static void memory_close(struct leat_env *env, leat_fd fd)
{
    struct descriptor *d = descriptor(of(env), fd);
    if (d->has_lock)
        d->inode->is_locked = false;
    unref(d->inode);
    free(d->path);
    memset(d, 0, sizeof *d);
}

static int64_t memory_pread(
    struct leat_env *env, leat_fd fd, void *data, size_t size, uint64_t offset, struct leat_error *err)
{
    struct memory_env *m = of(env);
    struct descriptor *d = descriptor(m, fd);
    const int code = ask(m, MEMORY_ENV_PREAD, d->path, &size, err);
    if (code < 0)
        return code;
    if (offset >= d->inode->size)
        return 0;
    const size_t left = d->inode->size - (size_t)offset;
    if (size > left)
        size = left;
    if (size > 0)
        memcpy(data, d->inode->data + offset, size);
    return (int64_t)size;
}

static int64_t memory_read(struct leat_env *env, leat_fd fd, void *data, size_t size, struct leat_error *err)
{
    struct memory_env *m = of(env);
    struct descriptor *d = descriptor(m, fd);
    const int code = ask(m, MEMORY_ENV_READ, d->path, &size, err);
    if (code < 0)
        return code;
    const size_t left = d->inode->size - d->at;
    if (size > left)
        size = left;
    if (size > 0)
        memcpy(data, d->inode->data + d->at, size);
    d->at += size;
    return (int64_t)size;
}

static uint64_t used_bytes(const struct memory_env *m)
{
    uint64_t used = 0;
    for (size_t i = 0; i < m->names_count; i++)
        used += m->names[i].inode->size;
    return used;
}

static int memory_write(
    struct leat_env *env, leat_fd fd, const void *data, size_t size, struct leat_error *err)
{
    struct memory_env *m = of(env);
    struct descriptor *d = descriptor(m, fd);
    size_t allowed = size;
    int code = ask(m, MEMORY_ENV_WRITE, d->path, &allowed, err);
    if (code == 0 && m->capacity < UINT64_MAX && used_bytes(m) + size > m->capacity) {
        allowed = m->capacity > used_bytes(m) ? (size_t)(m->capacity - used_bytes(m)) : 0;
        code = leat__error(err, LEAT_ENOSPC, "write file: No space left on device");
    }
    if (code == 0 || allowed < size)
        append(m, d->inode, data, allowed);
    if (code == 0 && allowed < size)
        return leat__error(err, LEAT_EIO, "%s: made to fail", d->path);
    return code;
}

static int memory_sync(struct leat_env *env, leat_fd fd, struct leat_error *err)
{
    return ask(of(env), MEMORY_ENV_SYNC, descriptor(of(env), fd)->path, NULL, err);
}

static int memory_sync_dir(struct leat_env *env, const char *dir, struct leat_error *err)
{
    return ask(of(env), MEMORY_ENV_SYNC, dir, NULL, err);
}

/* The path, with another directory at its front if it was in that one. Takes it. */
static char *move_path(char *path, const char *from, const char *to)
{
    const size_t len = strlen(from);
    if (strncmp(path, from, len) != 0 || (path[len] != '/' && path[len] != '\0'))
        return path;
    const size_t size = strlen(path) - len + strlen(to) + 1;
    char *moved = must(malloc(size));
    (void)snprintf(moved, size, "%s%s", to, path + len);
    free(path);
    return moved;
}

static int rename_dir(struct memory_env *m, const char *from, const char *to, struct leat_error *err)
{
    if (find_name(m, to) || is_dir(m, to))
        return leat__error(err, LEAT_EEXISTS, "rename %s to %s: File exists", from, to);
    for (size_t i = 0; i < m->names_count; i++)
        m->names[i].path = move_path(m->names[i].path, from, to);
    for (size_t i = 0; i < m->dirs_count; i++)
        m->dirs[i] = move_path(m->dirs[i], from, to);
    return 0;
}

static int memory_rename(struct leat_env *env, const char *from, const char *to, struct leat_error *err)
{
    struct memory_env *m = of(env);
    const int code = ask(m, MEMORY_ENV_RENAME, from, NULL, err);
    if (code < 0)
        return code;
    if (!find_name(m, from) && is_dir(m, from))
        return rename_dir(m, from, to, err);
    if (!find_name(m, from))
        return leat__error(err, LEAT_ENOTFOUND, "rename %s: No such file or directory", from);
    if (strcmp(from, to) == 0)
        return 0;
    if (find_name(m, to))
        remove_name(m, find_name(m, to));
    struct name *name = find_name(m, from);
    free(name->path);
    name->path = must(strdup(to));
    return 0;
}

static int memory_link(struct leat_env *env, const char *from, const char *to, struct leat_error *err)
{
    struct memory_env *m = of(env);
    const int code = ask(m, MEMORY_ENV_LINK, from, NULL, err);
    if (code < 0)
        return code;
    if (!find_name(m, from))
        return leat__error(err, LEAT_ENOTFOUND, "link %s: No such file or directory", from);
    if (find_name(m, to))
        return leat__error(err, LEAT_EEXISTS, "link %s: File exists", to);
    add_name(m, to, find_name(m, from)->inode);
    return 0;
}

static int memory_unlink(struct leat_env *env, const char *path, struct leat_error *err)
{
    struct memory_env *m = of(env);
    const int code = ask(m, MEMORY_ENV_UNLINK, path, NULL, err);
    if (code < 0)
        return code;
    struct name *name = find_name(m, path);
    if (!name)
        return leat__error(err, LEAT_ENOTFOUND, "remove %s: No such file or directory", path);
    remove_name(m, name);
    return 0;
}

static int memory_mkdir(struct leat_env *env, const char *path, struct leat_error *err)
{
    struct memory_env *m = of(env);
    const int code = ask(m, MEMORY_ENV_MKDIR, path, NULL, err);
    if (code < 0)
        return code;
    if (find_name(m, path))
        return leat__error(err, LEAT_EEXISTS, "make directory %s: a file of that name is there", path);
    if (is_dir(m, path))
        return 0;
    if (m->dirs_count == m->dirs_capacity) {
        m->dirs_capacity = m->dirs_capacity ? 2 * m->dirs_capacity : 16;
        m->dirs = must(realloc(m->dirs, m->dirs_capacity * sizeof *m->dirs));
    }
    m->dirs[m->dirs_count++] = must(strdup(path));
    return 0;
}

static int memory_truncate(struct leat_env *env, const char *path, uint64_t size, struct leat_error *err)
{
    struct memory_env *m = of(env);
    const int code = ask(m, MEMORY_ENV_TRUNCATE, path, NULL, err);
    if (code < 0)
        return code;
    const struct name *name = find_name(m, path);
    if (!name)
        return leat__error(err, LEAT_ENOTFOUND, "truncate %s: No such file or directory", path);
    if (size > name->inode->size)
        abort(); /* shorter only */
    name->inode->size = (size_t)size;
    return 0;
}

static int note_entry(void *arg, const char *name, bool is_a_dir)
{
    (void)name;
    (void)is_a_dir;
    *(bool *)arg = true;
    return 0;
}

static int list_entries(struct memory_env *m, const char *dir, leat_env_list_fn fn, void *arg);

/* A directory that only names implied goes with the last of them. */
static int memory_rmdir(struct leat_env *env, const char *path, struct leat_error *err)
{
    struct memory_env *m = of(env);
    bool has_entries = false;
    const int code = ask(m, MEMORY_ENV_RMDIR, path, NULL, err);
    if (code < 0)
        return code;
    if (!is_dir(m, path))
        return leat__error(err, LEAT_ENOTFOUND, "remove %s: No such file or directory", path);
    (void)list_entries(m, path, note_entry, &has_entries);
    if (has_entries)
        return leat__error(err, LEAT_EIO, "remove %s: Directory not empty", path);
    for (size_t i = 0; i < m->dirs_count; i++) {
        if (strcmp(m->dirs[i], path) != 0)
            continue;
        free(m->dirs[i]);
        m->dirs[i--] = m->dirs[--m->dirs_count];
    }
    return 0;
}

static int memory_lock(struct leat_env *env, const char *path, leat_fd *fd, struct leat_error *err)
{
    struct memory_env *m = of(env);
    *fd = -1;
    const int code = ask(m, MEMORY_ENV_LOCK, path, NULL, err);
    if (code < 0)
        return code;
    const struct name *name = find_name(m, path);
    struct inode *inode = name ? name->inode : make_file(m, path);
    if (inode->is_locked)
        return leat__error(err, LEAT_EEXISTS, "%s is locked by another process", path);
    LEAT_TRY(add_descriptor(m, path, inode, LEAT_OPEN_APPEND, fd, err));
    m->fds[*fd].has_lock = inode->is_locked = true;
    return 0;
}

static int memory_space(struct leat_env *env, const char *dir, uint64_t *free_bytes, struct leat_error *err)
{
    struct memory_env *m = of(env);
    *free_bytes = 0;
    const int code = ask(m, MEMORY_ENV_SPACE, dir, NULL, err);
    if (code < 0)
        return code;
    const uint64_t used = used_bytes(m);
    *free_bytes = m->capacity > used ? m->capacity - used : 0;
    return 0;
}

/* Whether the entry that path i of the list leads through was shown by an earlier one. */
static bool is_shown(char *const *paths, size_t i, size_t prefix, size_t entry_len)
{
    const size_t end = prefix + entry_len;
    for (size_t k = 0; k < i; k++)
        if (strncmp(paths[k], paths[i], end) == 0 && (paths[k][end] == '/' || paths[k][end] == '\0'))
            return true;
    return false;
}

static int list_entries(struct memory_env *m, const char *dir, leat_env_list_fn fn, void *arg)
{
    const size_t dir_len = strcmp(dir, ".") == 0 ? 0 : strlen(dir);
    const size_t prefix = dir_len ? dir_len + 1 : 0;
    const size_t count = m->names_count + m->dirs_count;
    char **paths = must(malloc((count + 1) * sizeof *paths)); /* copies: fn may change what is there */
    int code = 0;
    for (size_t i = 0; i < count; i++)
        paths[i] = must(strdup(i < m->names_count ? m->names[i].path : m->dirs[i - m->names_count]));
    const size_t files = m->names_count;
    for (size_t i = 0; code == 0 && i < count; i++) {
        if (dir_len && (strncmp(paths[i], dir, dir_len) != 0 || paths[i][dir_len] != '/'))
            continue;
        const size_t entry_len = strcspn(paths[i] + prefix, "/");
        if (is_shown(paths, i, prefix, entry_len))
            continue;
        char *entry = must(strndup(paths[i] + prefix, entry_len));
        code = fn(arg, entry, i >= files || paths[i][prefix + entry_len] == '/');
        free(entry);
    }
    for (size_t i = 0; i < count; i++)
        free(paths[i]);
    free(paths);
    return code;
}

static int memory_list(
    struct leat_env *env, const char *dir, leat_env_list_fn fn, void *arg, struct leat_error *err)
{
    struct memory_env *m = of(env);
    const int code = ask(m, MEMORY_ENV_LIST, dir, NULL, err);
    if (code < 0)
        return code;
    if (!is_dir(m, dir))
        return leat__error(err, LEAT_ENOTFOUND, "list %s: No such file or directory", dir);
    return list_entries(m, dir, fn, arg);
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int memory_glob(
    struct leat_env *env, const char *pattern, leat_env_list_fn fn, void *arg, struct leat_error *err)
{
    struct memory_env *m = of(env);
    int code = ask(m, MEMORY_ENV_LIST, pattern, NULL, err);
    if (code < 0)
        return code;
    char **found = must(calloc(m->names_count + 1, sizeof *found));
    size_t count = 0;
    for (size_t i = 0; i < m->names_count; i++)
        if (fnmatch(pattern, m->names[i].path, FNM_PATHNAME | FNM_PERIOD) == 0)
            found[count++] = must(strdup(m->names[i].path));
    qsort(found, count, sizeof *found, compare_paths);
    if (count == 0)
        code = leat__error(err, LEAT_ENOTFOUND, "no file matches %s", pattern);
    for (size_t i = 0; i < count; i++) {
        if (code == 0)
            code = fn(arg, found[i], false);
        free(found[i]);
    }
    free(found);
    return code;
}

static int memory_stat(
    struct leat_env *env, const char *path, struct leat_file_info *info, struct leat_error *err)
{
    struct memory_env *m = of(env);
    memset(info, 0, sizeof *info);
    const int code = ask(m, MEMORY_ENV_STAT, path, NULL, err);
    if (code < 0)
        return code;
    const struct name *name = find_name(m, path);
    if (!name && !is_dir(m, path))
        return leat__error(err, LEAT_ENOTFOUND, "stat %s: No such file or directory", path);
    info->is_dir = !name;
    info->is_regular = name != NULL;
    if (name) {
        info->size = name->inode->size;
        info->modified_us = name->inode->modified_us;
    }
    return 0;
}

/* ---- what the test does ---- */

struct leat_env *memory_env_new(uint64_t seed)
{
    struct memory_env *m = must(calloc(1, sizeof *m));
    m->random_state = seed;
    m->capacity = UINT64_MAX;
    m->env = (struct leat_env){
        .impl = m,
        .mono_ns = memory_mono_ns,
        .wall_us = memory_wall_us,
        .random = memory_random,
        .fs_open = memory_open,
        .fs_close = memory_close,
        .fs_pread = memory_pread,
        .fs_read = memory_read,
        .fs_write = memory_write,
        .fs_sync = memory_sync,
        .fs_sync_dir = memory_sync_dir,
        .fs_rename = memory_rename,
        .fs_link = memory_link,
        .fs_unlink = memory_unlink,
        .fs_truncate = memory_truncate,
        .fs_rmdir = memory_rmdir,
        .fs_lock = memory_lock,
        .fs_space = memory_space,
        .fs_mkdir = memory_mkdir,
        .fs_list = memory_list,
        .fs_stat = memory_stat,
        .fs_glob = memory_glob,
    };
    return &m->env;
}

void memory_env_free(struct leat_env *env)
{
    if (!env)
        return;
    struct memory_env *m = of(env);
    for (int i = FD_FIRST; i < FDS_MAX; i++)
        if (m->fds[i].inode)
            memory_close(env, i);
    while (m->names_count > 0)
        remove_name(m, &m->names[0]);
    for (size_t i = 0; i < m->dirs_count; i++)
        free(m->dirs[i]);
    free(m->dirs);
    free(m->names);
    free(m);
}

void memory_env_put(struct leat_env *env, const char *path, const void *data, size_t size)
{
    struct memory_env *m = of(env);
    struct name *name = find_name(m, path);
    struct inode *inode = name ? name->inode : make_file(m, path);
    inode->size = 0;
    append(m, inode, data, size);
}

const void *memory_env_get(struct leat_env *env, const char *path, size_t *size)
{
    const struct name *name = find_name(of(env), path);
    *size = name ? name->inode->size : 0;
    if (!name)
        return NULL;
    return name->inode->data ? (const void *)name->inode->data : "";
}

size_t memory_env_files_count(const struct leat_env *env)
{
    return ((const struct memory_env *)env->impl)->names_count;
}

size_t memory_env_open_count(const struct leat_env *env)
{
    const struct memory_env *m = env->impl;
    size_t count = 0;
    for (int i = FD_FIRST; i < FDS_MAX; i++)
        count += m->fds[i].inode != NULL;
    return count;
}

uint64_t memory_env_calls_count(const struct leat_env *env)
{
    return ((const struct memory_env *)env->impl)->calls_count;
}

void memory_env_set_hook(struct leat_env *env, memory_env_hook hook, void *arg)
{
    of(env)->hook = hook;
    of(env)->hook_arg = arg;
}

void memory_env_fail_at(struct leat_env *env, uint64_t n, int code)
{
    of(env)->fail_at = n ? of(env)->calls_count + n : 0;
    of(env)->fail_code = code;
}

void memory_env_set_capacity(struct leat_env *env, uint64_t bytes)
{
    of(env)->capacity = bytes;
}

void memory_env_advance(struct leat_env *env, int64_t us)
{
    of(env)->now_us += us;
}
