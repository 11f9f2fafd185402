/* tests/support/powercut.c -- inodes and directories with what is on the disk, and what was changed since.
 *
 * Every inode stays until the environment is freed: an image may have a file that was removed. */
#include "tests/support/powercut.h"
#include "base/error.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FDS_MAX 512
#define FD_FIRST 3
#define OUTSIDE "outside"

struct entry {
    char *name;
    struct inode *inode;
};
struct entries {
    struct entry *items;
    size_t count, capacity;
};

/* What was done since the last sync: to a file's bytes, or to a directory's names. */
struct change {
    enum { CHANGE_WRITE = 1, CHANGE_SIZE, CHANGE_SET, CHANGE_REMOVE, CHANGE_RENAME } kind;
    size_t offset, size; /* WRITE, SIZE */
    unsigned char *data; /* WRITE */
    char *name, *to; /* SET, REMOVE, RENAME */
    struct inode *inode; /* SET, RENAME */
};

struct bytes {
    unsigned char *data;
    size_t size, capacity;
};

struct inode {
    struct inode *next; /* all of the environment */
    bool is_dir, is_outside, is_locked;
    struct bytes now, disk; /* files */
    struct entries names, disk_names; /* directories */
    struct change *changes;
    size_t changes_count, changes_capacity;
    struct inode *image; /* while an image is made */
};

struct descriptor {
    struct inode *inode; /* NULL: free */
    size_t at;
    bool has_lock;
};

struct powercut {
    struct leat_env env;
    struct inode *inodes, *root;
    struct descriptor fds[FDS_MAX];
    uint64_t changes, off_at, fail_at;
    int fail_code;
    bool is_off;
    uint64_t random_state;
    int64_t now_us;
};

static struct powercut *of(const struct leat_env *env)
{
    return env->impl;
}

static void *must(void *p)
{
    if (!p)
        abort(); /* a test that runs out of memory has nothing to say */
    return p;
}

static uint64_t mix(uint64_t *state)
{
    uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* ---- bytes, names, inodes ---- */

static void bytes_write(struct bytes *b, size_t offset, const void *data, size_t size)
{
    if (size == 0)
        return;
    if (offset + size > b->capacity) {
        b->capacity = 2 * (offset + size);
        b->data = must(realloc(b->data, b->capacity));
    }
    if (offset > b->size)
        memset(b->data + b->size, 0, offset - b->size); /* a hole */
    memcpy(b->data + offset, data, size);
    if (offset + size > b->size)
        b->size = offset + size;
}

static struct entry *find_entry(struct entries *e, const char *name)
{
    for (size_t i = 0; i < e->count; i++)
        if (strcmp(e->items[i].name, name) == 0)
            return &e->items[i];
    return NULL;
}

static void remove_entry(struct entries *e, const char *name)
{
    struct entry *found = find_entry(e, name);
    if (!found)
        return;
    free(found->name);
    *found = e->items[--e->count];
}

static void set_entry(struct entries *e, const char *name, struct inode *inode)
{
    struct entry *found = find_entry(e, name);
    if (found) {
        found->inode = inode;
        return;
    }
    if (e->count == e->capacity) {
        e->capacity = e->capacity ? 2 * e->capacity : 8;
        e->items = must(realloc(e->items, e->capacity * sizeof *e->items));
    }
    e->items[e->count++] = (struct entry){ must(strdup(name)), inode };
}

static void clear_entries(struct entries *e)
{
    for (size_t i = 0; i < e->count; i++)
        free(e->items[i].name);
    free(e->items);
    *e = (struct entries){ 0 };
}

static void copy_entries(struct entries *to, const struct entries *from)
{
    clear_entries(to);
    for (size_t i = 0; i < from->count; i++)
        set_entry(to, from->items[i].name, from->items[i].inode);
}

static struct inode *make_inode(struct powercut *p, bool is_dir)
{
    struct inode *inode = must(calloc(1, sizeof *inode));
    inode->is_dir = is_dir;
    inode->next = p->inodes;
    p->inodes = inode;
    return inode;
}

static void forget_changes(struct inode *inode)
{
    for (size_t i = 0; i < inode->changes_count; i++) {
        free(inode->changes[i].data);
        free(inode->changes[i].name);
        free(inode->changes[i].to);
    }
    inode->changes_count = 0;
}

/* Does it to bytes or names: those of now, or those of an image. */
static void apply(struct bytes *bytes, struct entries *names, const struct change *c)
{
    if (c->kind == CHANGE_WRITE) {
        bytes_write(bytes, c->offset, c->data, c->size);
    } else if (c->kind == CHANGE_SIZE) {
        bytes->size = c->size < bytes->size ? c->size : bytes->size;
    } else if (c->kind == CHANGE_SET) {
        set_entry(names, c->name, c->inode);
    } else {
        remove_entry(names, c->name);
        if (c->kind == CHANGE_RENAME)
            set_entry(names, c->to, c->inode);
    }
}

/* Everything of it is on the disk. */
static void settle(struct inode *inode)
{
    forget_changes(inode);
    if (inode->is_dir) {
        copy_entries(&inode->disk_names, &inode->names);
        return;
    }
    inode->disk.size = 0;
    bytes_write(&inode->disk, 0, inode->now.data, inode->now.size);
}

/* Takes the change's memory. */
static void change(struct inode *inode, struct change c)
{
    apply(&inode->now, &inode->names, &c);
    if (inode->changes_count == inode->changes_capacity) {
        inode->changes_capacity = inode->changes_capacity ? 2 * inode->changes_capacity : 8;
        inode->changes = must(realloc(inode->changes, inode->changes_capacity * sizeof *inode->changes));
    }
    inode->changes[inode->changes_count++] = c;
    if (inode->is_outside)
        settle(inode);
}

/* ---- paths ---- */

/* Walks to the directory that the last part of the path is in; *last: that part, "" for the root itself. NULL
 * where there is none. */
static struct inode *walk(struct powercut *p, const char *path, char last[256])
{
    struct inode *dir = p->root;
    last[0] = '\0';
    while (*path == '/')
        path++;
    while (*path) {
        const size_t len = strcspn(path, "/");
        if (len >= 256)
            abort();
        memcpy(last, path, len);
        last[len] = '\0';
        path += len;
        while (*path == '/')
            path++;
        if (strcmp(last, ".") == 0) {
            last[0] = '\0';
            continue;
        }
        if (!*path)
            return dir;
        const struct entry *next = find_entry(&dir->names, last);
        if (!next || !next->inode->is_dir)
            return NULL;
        dir = next->inode;
    }
    return dir;
}

static struct inode *find_inode(struct powercut *p, const char *path)
{
    char last[256];
    struct inode *dir = walk(p, path, last);
    if (!dir || !last[0])
        return dir;
    const struct entry *entry = find_entry(&dir->names, last);
    return entry ? entry->inode : NULL;
}

static int no_power(const char *path, struct leat_error *err)
{
    return leat__error(err, LEAT_EIO, "%s: the power is off", path);
}

/* Before each call; `changes`: it is one that counts. */
static int ask(struct powercut *p, const char *path, bool changes, struct leat_error *err)
{
    if (changes && !p->is_off) {
        p->is_off = p->off_at && p->changes + 1 >= p->off_at;
        p->changes += !p->is_off;
        if (p->fail_at && p->changes == p->fail_at) {
            p->fail_at = 0;
            return leat__error(err, p->fail_code, "%s: made to fail", path);
        }
    }
    return p->is_off ? no_power(path, err) : 0;
}

static int not_found(const char *what, const char *path, struct leat_error *err)
{
    return leat__error(err, LEAT_ENOTFOUND, "%s %s: No such file or directory", what, path);
}

static struct inode *make_at(struct powercut *p, struct inode *dir, const char *name, bool is_dir)
{
    struct inode *made = make_inode(p, is_dir);
    made->is_outside = dir->is_outside || strcmp(name, OUTSIDE) == 0;
    change(dir, (struct change){ .kind = CHANGE_SET, .name = must(strdup(name)), .inode = made });
    if (made->is_outside)
        settle(dir);
    return made;
}

/* ---- files ---- */

static int add_descriptor(struct powercut *p, struct inode *inode, leat_fd *fd, struct leat_error *err)
{
    for (int i = FD_FIRST; i < FDS_MAX; i++) {
        if (p->fds[i].inode)
            continue;
        p->fds[i] = (struct descriptor){ .inode = inode };
        *fd = i;
        return 0;
    }
    return leat__error(err, LEAT_EIO, "Too many open files");
}

static struct descriptor *descriptor(struct powercut *p, leat_fd fd)
{
    if (fd < FD_FIRST || fd >= FDS_MAX || !p->fds[fd].inode)
        abort(); /* a descriptor that is not open: the bug to find */
    return &p->fds[fd];
}

/* The file, made where it is missing. */
static int open_inode(struct powercut *p, const char *path, enum leat_open_mode mode, struct inode **inode,
    struct leat_error *err)
{
    char last[256];
    struct inode *dir = walk(p, path, last);
    struct entry *entry = dir && last[0] ? find_entry(&dir->names, last) : NULL;
    if (!dir || (!entry && mode == LEAT_OPEN_READ))
        return not_found("open", path, err);
    if (entry && mode == LEAT_OPEN_CREATE)
        return leat__error(err, LEAT_EEXISTS, "open %s: File exists", path);
    if (entry && entry->inode->is_dir)
        return leat__error(err, LEAT_EIO, "open %s: Is a directory", path);
    *inode = entry ? entry->inode : make_at(p, dir, last, false);
    if (mode == LEAT_OPEN_TRUNCATE && (*inode)->now.size > 0)
        change(*inode, (struct change){ .kind = CHANGE_SIZE });
    return 0;
}

static int power_open(
    struct leat_env *env, const char *path, enum leat_open_mode mode, leat_fd *fd, struct leat_error *err)
{
    struct powercut *p = of(env);
    struct inode *inode;
    *fd = -1;
    const bool makes = mode != LEAT_OPEN_READ && (mode == LEAT_OPEN_TRUNCATE || find_inode(p, path) == NULL);
    LEAT_TRY(ask(p, path, makes, err));
    LEAT_TRY(open_inode(p, path, mode, &inode, err));
    return add_descriptor(p, inode, fd, err);
}

static void power_close(struct leat_env *env, leat_fd fd)
{
    struct descriptor *d = descriptor(of(env), fd);
    if (d->has_lock)
        d->inode->is_locked = false;
    *d = (struct descriptor){ 0 };
}

static int64_t take(const struct inode *inode, void *data, size_t size, uint64_t offset)
{
    if (offset >= inode->now.size)
        return 0;
    const size_t left = inode->now.size - (size_t)offset;
    const size_t n = size < left ? size : left;
    if (n > 0)
        memcpy(data, inode->now.data + offset, n);
    return (int64_t)n;
}

static int64_t power_pread(
    struct leat_env *env, leat_fd fd, void *data, size_t size, uint64_t offset, struct leat_error *err)
{
    LEAT_TRY(ask(of(env), "read", false, err));
    return take(descriptor(of(env), fd)->inode, data, size, offset);
}

static int64_t power_read(struct leat_env *env, leat_fd fd, void *data, size_t size, struct leat_error *err)
{
    struct descriptor *d = descriptor(of(env), fd);
    LEAT_TRY(ask(of(env), "read", false, err));
    const int64_t got = take(d->inode, data, size, d->at);
    d->at += (size_t)got;
    return got;
}

static int power_write(
    struct leat_env *env, leat_fd fd, const void *data, size_t size, struct leat_error *err)
{
    struct inode *inode = descriptor(of(env), fd)->inode;
    LEAT_TRY(ask(of(env), "write", true, err));
    unsigned char *copy = must(malloc(size + 1));
    if (size > 0)
        memcpy(copy, data, size);
    change(inode,
        (struct change){ .kind = CHANGE_WRITE, .offset = inode->now.size, .size = size, .data = copy });
    return 0;
}

static int power_sync(struct leat_env *env, leat_fd fd, struct leat_error *err)
{
    LEAT_TRY(ask(of(env), "sync", true, err));
    settle(descriptor(of(env), fd)->inode);
    return 0;
}

static int power_sync_dir(struct leat_env *env, const char *dir, struct leat_error *err)
{
    LEAT_TRY(ask(of(env), dir, true, err));
    struct inode *inode = find_inode(of(env), dir);
    if (!inode || !inode->is_dir)
        return not_found("open directory", dir, err);
    settle(inode);
    return 0;
}

static int power_truncate(struct leat_env *env, const char *path, uint64_t size, struct leat_error *err)
{
    LEAT_TRY(ask(of(env), path, true, err));
    struct inode *inode = find_inode(of(env), path);
    if (!inode || inode->is_dir)
        return not_found("truncate", path, err);
    if (size > inode->now.size)
        abort(); /* shorter only */
    change(inode, (struct change){ .kind = CHANGE_SIZE, .size = (size_t)size });
    return 0;
}

/* ---- names ---- */

static int power_rename(struct leat_env *env, const char *from, const char *to, struct leat_error *err)
{
    struct powercut *p = of(env);
    char name[256], target[256];
    LEAT_TRY(ask(p, from, true, err));
    struct inode *from_dir = walk(p, from, name), *to_dir = walk(p, to, target);
    const struct entry *entry = from_dir ? find_entry(&from_dir->names, name) : NULL;
    if (!entry || !to_dir)
        return not_found("rename", from, err);
    struct inode *inode = entry->inode;
    const struct entry *there = find_entry(&to_dir->names, target);
    if (there && there->inode == inode)
        return 0;
    if (there && there->inode->is_dir && there->inode->names.count > 0)
        return leat__error(err, LEAT_EEXISTS, "rename %s to %s: Directory not empty", from, to);
    if (from_dir == to_dir) {
        change(from_dir,
            (struct change){ .kind = CHANGE_RENAME,
                .name = must(strdup(name)),
                .to = must(strdup(target)),
                .inode = inode });
        return 0;
    }
    change(to_dir, (struct change){ .kind = CHANGE_SET, .name = must(strdup(target)), .inode = inode });
    change(from_dir, (struct change){ .kind = CHANGE_REMOVE, .name = must(strdup(name)) });
    return 0;
}

static int power_link(struct leat_env *env, const char *from, const char *to, struct leat_error *err)
{
    struct powercut *p = of(env);
    char target[256];
    LEAT_TRY(ask(p, from, true, err));
    struct inode *inode = find_inode(p, from), *dir = walk(p, to, target);
    if (!inode || inode->is_dir || !dir)
        return not_found("link", from, err);
    if (find_entry(&dir->names, target))
        return leat__error(err, LEAT_EEXISTS, "link %s: File exists", to);
    change(dir, (struct change){ .kind = CHANGE_SET, .name = must(strdup(target)), .inode = inode });
    return 0;
}

static int remove_path(struct leat_env *env, const char *path, bool is_dir, struct leat_error *err)
{
    char name[256];
    LEAT_TRY(ask(of(env), path, true, err));
    struct inode *dir = walk(of(env), path, name);
    const struct entry *entry = dir && name[0] ? find_entry(&dir->names, name) : NULL;
    if (!entry)
        return not_found("remove", path, err);
    if (entry->inode->is_dir != is_dir)
        return leat__error(err, LEAT_EIO, "remove %s: Is %s directory", path, is_dir ? "no" : "a");
    if (is_dir && entry->inode->names.count > 0)
        return leat__error(err, LEAT_EIO, "remove %s: Directory not empty", path);
    change(dir, (struct change){ .kind = CHANGE_REMOVE, .name = must(strdup(name)) });
    return 0;
}

static int power_unlink(struct leat_env *env, const char *path, struct leat_error *err)
{
    return remove_path(env, path, false, err);
}

static int power_rmdir(struct leat_env *env, const char *path, struct leat_error *err)
{
    return remove_path(env, path, true, err);
}

static int power_mkdir(struct leat_env *env, const char *path, struct leat_error *err)
{
    struct powercut *p = of(env);
    struct inode *dir = p->root;
    LEAT_TRY(ask(p, path, find_inode(p, path) == NULL, err));
    while (*path == '/')
        path++;
    while (*path) {
        char name[256];
        const size_t len = strcspn(path, "/");
        memcpy(name, path, len);
        name[len] = '\0';
        path += len;
        while (*path == '/')
            path++;
        if (strcmp(name, ".") == 0)
            continue;
        const struct entry *entry = find_entry(&dir->names, name);
        if (entry && !entry->inode->is_dir)
            return leat__error(err, LEAT_EEXISTS, "make directory %s: a file of that name is there", name);
        dir = entry ? entry->inode : make_at(p, dir, name, true);
    }
    return 0;
}

static int power_lock(struct leat_env *env, const char *path, leat_fd *fd, struct leat_error *err)
{
    struct powercut *p = of(env);
    struct inode *inode;
    *fd = -1;
    LEAT_TRY(ask(p, path, find_inode(p, path) == NULL, err));
    LEAT_TRY(open_inode(p, path, LEAT_OPEN_APPEND, &inode, err));
    if (inode->is_locked)
        return leat__error(err, LEAT_EEXISTS, "%s is locked by another process", path);
    LEAT_TRY(add_descriptor(p, inode, fd, err));
    p->fds[*fd].has_lock = inode->is_locked = true;
    return 0;
}

/* ---- looking ---- */

static int power_space(struct leat_env *env, const char *dir, uint64_t *free_bytes, struct leat_error *err)
{
    *free_bytes = UINT64_C(1) << 40;
    return ask(of(env), dir, false, err);
}

static int power_list(
    struct leat_env *env, const char *dir, leat_env_list_fn fn, void *arg, struct leat_error *err)
{
    LEAT_TRY(ask(of(env), dir, false, err));
    struct inode *inode = find_inode(of(env), dir);
    struct entries copy = { 0 }; /* fn may change what is there */
    int code = 0;
    if (!inode || !inode->is_dir)
        return not_found("list", dir, err);
    copy_entries(&copy, &inode->names);
    for (size_t i = 0; code == 0 && i < copy.count; i++)
        code = fn(arg, copy.items[i].name, copy.items[i].inode->is_dir);
    clear_entries(&copy);
    return code;
}

static int power_stat(
    struct leat_env *env, const char *path, struct leat_file_info *info, struct leat_error *err)
{
    memset(info, 0, sizeof *info);
    LEAT_TRY(ask(of(env), path, false, err));
    const struct inode *inode = find_inode(of(env), path);
    if (!inode)
        return not_found("stat", path, err);
    info->is_dir = inode->is_dir;
    info->is_regular = !inode->is_dir;
    info->size = inode->now.size;
    return 0;
}

static int power_glob(
    struct leat_env *env, const char *pattern, leat_env_list_fn fn, void *arg, struct leat_error *err)
{
    (void)fn;
    (void)arg;
    LEAT_TRY(ask(of(env), pattern, false, err));
    return leat__error(err, LEAT_ENOTFOUND, "no file matches %s", pattern); /* nothing that is tested globs */
}

static int64_t power_mono_ns(struct leat_env *env)
{
    return of(env)->now_us * 1000;
}

static int64_t power_wall_us(struct leat_env *env)
{
    return of(env)->now_us;
}

static uint64_t power_random(struct leat_env *env)
{
    return mix(&of(env)->random_state);
}

/* ---- files for another world ---- */

static struct leat_env *attached;

static int at_open(
    struct leat_env *env, const char *path, enum leat_open_mode mode, leat_fd *fd, struct leat_error *err)
{
    (void)env;
    return power_open(attached, path, mode, fd, err);
}

static void at_close(struct leat_env *env, leat_fd fd)
{
    (void)env;
    power_close(attached, fd);
}

static int64_t at_pread(
    struct leat_env *env, leat_fd fd, void *data, size_t size, uint64_t offset, struct leat_error *err)
{
    (void)env;
    return power_pread(attached, fd, data, size, offset, err);
}

static int64_t at_read(struct leat_env *env, leat_fd fd, void *data, size_t size, struct leat_error *err)
{
    (void)env;
    return power_read(attached, fd, data, size, err);
}

static int at_write(struct leat_env *env, leat_fd fd, const void *data, size_t size, struct leat_error *err)
{
    (void)env;
    return power_write(attached, fd, data, size, err);
}

static int at_sync(struct leat_env *env, leat_fd fd, struct leat_error *err)
{
    (void)env;
    return power_sync(attached, fd, err);
}

static int at_sync_dir(struct leat_env *env, const char *path, struct leat_error *err)
{
    (void)env;
    return power_sync_dir(attached, path, err);
}

static int at_unlink(struct leat_env *env, const char *path, struct leat_error *err)
{
    (void)env;
    return power_unlink(attached, path, err);
}

static int at_rmdir(struct leat_env *env, const char *path, struct leat_error *err)
{
    (void)env;
    return power_rmdir(attached, path, err);
}

static int at_mkdir(struct leat_env *env, const char *path, struct leat_error *err)
{
    (void)env;
    return power_mkdir(attached, path, err);
}

static int at_rename(struct leat_env *env, const char *from, const char *to, struct leat_error *err)
{
    (void)env;
    return power_rename(attached, from, to, err);
}

static int at_link(struct leat_env *env, const char *from, const char *to, struct leat_error *err)
{
    (void)env;
    return power_link(attached, from, to, err);
}

static int at_truncate(struct leat_env *env, const char *path, uint64_t size, struct leat_error *err)
{
    (void)env;
    return power_truncate(attached, path, size, err);
}

static int at_lock(struct leat_env *env, const char *path, leat_fd *fd, struct leat_error *err)
{
    (void)env;
    return power_lock(attached, path, fd, err);
}

static int at_space(struct leat_env *env, const char *dir, uint64_t *free_bytes, struct leat_error *err)
{
    (void)env;
    return power_space(attached, dir, free_bytes, err);
}

static int at_list(
    struct leat_env *env, const char *dir, leat_env_list_fn fn, void *arg, struct leat_error *err)
{
    (void)env;
    return power_list(attached, dir, fn, arg, err);
}

static int at_stat(
    struct leat_env *env, const char *path, struct leat_file_info *info, struct leat_error *err)
{
    (void)env;
    return power_stat(attached, path, info, err);
}

static int at_glob(
    struct leat_env *env, const char *pattern, leat_env_list_fn fn, void *arg, struct leat_error *err)
{
    (void)env;
    return power_glob(attached, pattern, fn, arg, err);
}

void powercut_attach(struct leat_env *world, struct leat_env *files)
{
    attached = files;
    world->fs_open = at_open;
    world->fs_close = at_close;
    world->fs_pread = at_pread;
    world->fs_read = at_read;
    world->fs_write = at_write;
    world->fs_sync = at_sync;
    world->fs_sync_dir = at_sync_dir;
    world->fs_rename = at_rename;
    world->fs_link = at_link;
    world->fs_unlink = at_unlink;
    world->fs_truncate = at_truncate;
    world->fs_rmdir = at_rmdir;
    world->fs_lock = at_lock;
    world->fs_space = at_space;
    world->fs_mkdir = at_mkdir;
    world->fs_list = at_list;
    world->fs_stat = at_stat;
    world->fs_glob = at_glob;
}

/* ---- images ---- */

/* How much of what is not synced an image has. */
enum keep { KEEP_NOTHING, KEEP_ALL, KEEP_FIRST, KEEP_SOME };

static enum keep choose(uint64_t seed, uint64_t *state)
{
    if (seed < 2)
        return seed == 0 ? KEEP_NOTHING : KEEP_ALL;
    return (enum keep)(mix(state) % 4);
}

/* A write of which only a part has come: the front, or the whole length with zeros in it. */
static void tear(struct bytes *bytes, const struct change *c, uint64_t *state)
{
    const size_t part = c->size ? (size_t)(mix(state) % c->size) : 0;
    bytes_write(bytes, c->offset, c->data, part);
    if (mix(state) % 2 && part < c->size) {
        unsigned char *zeros = must(calloc(1, c->size - part));
        bytes_write(bytes, c->offset + part, zeros, c->size - part);
        free(zeros);
    }
}

/* What an inode of `p` is on the disk: in bytes or names. */
static void make_image(
    const struct inode *inode, struct bytes *bytes, struct entries *names, uint64_t seed, uint64_t *state)
{
    const enum keep keep = choose(seed, state);
    const size_t first = inode->changes_count ? mix(state) % (inode->changes_count + 1) : 0;
    bytes_write(bytes, 0, inode->disk.data, inode->disk.size);
    copy_entries(names, &inode->disk_names);
    for (size_t i = 0; i < inode->changes_count; i++) {
        const struct change *c = &inode->changes[i];
        const bool kept =
            keep == KEEP_ALL || (keep == KEEP_FIRST && i < first) || (keep == KEEP_SOME && mix(state) % 2);
        if (kept)
            apply(bytes, names, c);
        else if (c->kind == CHANGE_WRITE && keep >= KEEP_FIRST && mix(state) % 2)
            tear(bytes, c, state);
    }
}

/* The inode of the new environment; made with all that is below it when it is first asked for. */
static struct inode *image_of(struct powercut *to, struct inode *inode, uint64_t seed, uint64_t *state)
{
    struct entries names = { 0 };
    if (inode->image)
        return inode->image;
    struct inode *image = inode->image = make_inode(to, inode->is_dir);
    image->is_outside = inode->is_outside;
    make_image(inode, &image->now, &names, seed, state);
    for (size_t i = 0; i < names.count; i++)
        set_entry(&image->names, names.items[i].name, image_of(to, names.items[i].inode, seed, state));
    clear_entries(&names);
    settle(image);
    return image;
}

struct leat_env *powercut_crash(struct leat_env *env, uint64_t seed)
{
    struct powercut *from = of(env), *to = of(powercut_new(seed));
    uint64_t state = seed;
    for (struct inode *inode = from->inodes; inode; inode = inode->next)
        inode->image = NULL;
    to->root = image_of(to, from->root, seed, &state);
    to->now_us = from->now_us + 1000;
    return &to->env;
}

/* ---- life ---- */

struct leat_env *powercut_new(uint64_t seed)
{
    struct powercut *p = must(calloc(1, sizeof *p));
    p->random_state = seed;
    p->root = make_inode(p, true);
    p->env = (struct leat_env){
        .impl = p,
        .mono_ns = power_mono_ns,
        .wall_us = power_wall_us,
        .random = power_random,
        .fs_open = power_open,
        .fs_close = power_close,
        .fs_pread = power_pread,
        .fs_read = power_read,
        .fs_write = power_write,
        .fs_sync = power_sync,
        .fs_sync_dir = power_sync_dir,
        .fs_rename = power_rename,
        .fs_link = power_link,
        .fs_unlink = power_unlink,
        .fs_truncate = power_truncate,
        .fs_rmdir = power_rmdir,
        .fs_lock = power_lock,
        .fs_space = power_space,
        .fs_mkdir = power_mkdir,
        .fs_list = power_list,
        .fs_stat = power_stat,
        .fs_glob = power_glob,
    };
    return &p->env;
}

void powercut_free(struct leat_env *env)
{
    if (!env)
        return;
    struct powercut *p = of(env);
    while (p->inodes) {
        struct inode *inode = p->inodes;
        p->inodes = inode->next;
        forget_changes(inode);
        free(inode->changes);
        free(inode->now.data);
        free(inode->disk.data);
        clear_entries(&inode->names);
        clear_entries(&inode->disk_names);
        free(inode);
    }
    free(p);
}

uint64_t powercut_changes_count(const struct leat_env *env)
{
    return of(env)->changes;
}

void powercut_off_at(struct leat_env *env, uint64_t n)
{
    of(env)->off_at = n;
}

void powercut_off(struct leat_env *env)
{
    of(env)->is_off = true;
}

void powercut_fail_at(struct leat_env *env, uint64_t n, int code)
{
    of(env)->fail_at = n;
    of(env)->fail_code = code;
}

bool powercut_is_off(const struct leat_env *env)
{
    return of(env)->is_off;
}

const void *powercut_get(struct leat_env *env, const char *path, size_t *size)
{
    const struct inode *inode = find_inode(of(env), path);
    *size = inode && !inode->is_dir ? inode->now.size : 0;
    if (!inode || inode->is_dir)
        return NULL;
    return inode->now.data ? (const void *)inode->now.data : "";
}

size_t powercut_open_count(const struct leat_env *env)
{
    size_t count = 0;
    for (int i = FD_FIRST; i < FDS_MAX; i++)
        count += of(env)->fds[i].inode != NULL;
    return count;
}

static void list_below(const struct inode *dir, const char *prefix, char **text, size_t *len)
{
    for (size_t i = 0; i < dir->names.count; i++) {
        const struct entry *entry = &dir->names.items[i];
        const size_t size = strlen(prefix) + strlen(entry->name) + 2;
        char *path = must(malloc(size));
        (void)snprintf(path, size, "%s%s%s", prefix, entry->name, entry->inode->is_dir ? "/" : "\n");
        if (entry->inode->is_dir) {
            list_below(entry->inode, path, text, len);
        } else {
            *text = must(realloc(*text, *len + size));
            memcpy(*text + *len, path, size);
            *len += size - 1;
        }
        free(path);
    }
}

char *powercut_list(struct leat_env *env)
{
    size_t len = 0;
    char *text = must(strdup(""));
    list_below(of(env)->root, "", &text, &len);
    return text;
}
