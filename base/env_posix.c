/* base/env_posix.c -- the environment on a POSIX system. Thread-safe: it holds no state. */
#include "base/env.h"
#include "base/alloc.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

static int fail(struct leat_error *err, const char *what, const char *path)
{
    const int number = errno;
    return leat__error(err, leat__error_from_errno(number), "%s %s: %s", what, path, strerror(number));
}

static int64_t posix_mono_ns(struct leat_env *env)
{
    struct timespec now;
    (void)env;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* can not fail for this clock */
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t posix_wall_us(struct leat_env *env)
{
    struct timespec now;
    (void)env;
    (void)clock_gettime(CLOCK_REALTIME, &now); /* can not fail for this clock */
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static uint64_t posix_random(struct leat_env *env)
{
    uint64_t bits = 0;
    (void)env;
    while (getrandom(&bits, sizeof bits, 0) != (ssize_t)sizeof bits)
        ; /* interrupted before the pool was ready: try again */
    return bits;
}

static int fs_open(
    struct leat_env *env, const char *path, enum leat_open_mode mode, leat_fd *fd, struct leat_error *err)
{
    static const int flags[] = { 0, O_RDONLY, O_WRONLY | O_CREAT | O_EXCL, O_WRONLY | O_CREAT | O_TRUNC,
        O_WRONLY | O_CREAT | O_APPEND };
    (void)env;
    *fd = -1;
    const int opened = open(path, flags[mode] | O_CLOEXEC, 0666);
    if (opened < 0)
        return fail(err, "open", path);
    if (mode == LEAT_OPEN_READ)
        (void)posix_fadvise(opened, 0, 0, POSIX_FADV_SEQUENTIAL); /* advice only */
    *fd = opened;
    return 0;
}

static void fs_close(struct leat_env *env, leat_fd fd)
{
    (void)env;
    if (fd > 2)
        (void)close(fd); /* what matters was synced, and close reports nothing that can be acted on */
}

static int64_t fs_pread(
    struct leat_env *env, leat_fd fd, void *data, size_t size, uint64_t offset, struct leat_error *err)
{
    size_t done = 0;
    (void)env;
    while (done < size) {
        const ssize_t n = pread(fd, (char *)data + done, size - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(err, "read", "file");
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (int64_t)done;
}

static int64_t fs_read(struct leat_env *env, leat_fd fd, void *data, size_t size, struct leat_error *err)
{
    struct pollfd ready = { .fd = fd, .events = POLLIN };
    (void)env;
    for (;;) {
        /* Asked first, so that a pipe or terminal whose descriptor blocks does not stop the caller. */
        if (poll(&ready, 1, 0) == 0)
            return LEAT_EAGAIN_NOW;
        const ssize_t n = read(fd, data, size);
        if (n >= 0)
            return n;
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return LEAT_EAGAIN_NOW;
        if (errno != EINTR)
            return fail(err, "read", "stream");
    }
}

static int fs_write(struct leat_env *env, leat_fd fd, const void *data, size_t size, struct leat_error *err)
{
    size_t done = 0;
    (void)env;
    while (done < size) {
        const ssize_t n = write(fd, (const char *)data + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(err, "write", "file");
        done += (size_t)n;
    }
    return 0;
}

static int fs_sync(struct leat_env *env, leat_fd fd, struct leat_error *err)
{
    (void)env;
    return fdatasync(fd) < 0 ? fail(err, "sync", "file") : 0;
}

static int fs_sync_dir(struct leat_env *env, const char *dir, struct leat_error *err)
{
    (void)env;
    const int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail(err, "open directory", dir);
    const int result = fsync(fd) < 0 ? fail(err, "sync directory", dir) : 0;
    (void)close(fd);
    return result;
}

static int fs_rename(struct leat_env *env, const char *from, const char *to, struct leat_error *err)
{
    (void)env;
    if (rename(from, to) < 0) {
        const int number = errno;
        return leat__error(
            err, leat__error_from_errno(number), "rename %s to %s: %s", from, to, strerror(number));
    }
    return 0;
}

static int fs_link(struct leat_env *env, const char *from, const char *to, struct leat_error *err)
{
    (void)env;
    if (link(from, to) < 0) {
        const int number = errno;
        return leat__error(
            err, leat__error_from_errno(number), "link %s to %s: %s", from, to, strerror(number));
    }
    return 0;
}

static int fs_unlink(struct leat_env *env, const char *path, struct leat_error *err)
{
    (void)env;
    return unlink(path) < 0 ? fail(err, "remove", path) : 0;
}

static int fs_truncate(struct leat_env *env, const char *path, uint64_t size, struct leat_error *err)
{
    (void)env;
    if (size > INT64_MAX)
        return leat__error(err, LEAT_EINVAL, "truncate %s: no file is that long", path);
    return truncate(path, (off_t)size) < 0 ? fail(err, "truncate", path) : 0;
}

static int fs_rmdir(struct leat_env *env, const char *path, struct leat_error *err)
{
    (void)env;
    return rmdir(path) < 0 ? fail(err, "remove", path) : 0;
}

static int fs_lock(struct leat_env *env, const char *path, leat_fd *fd, struct leat_error *err)
{
    (void)env;
    *fd = -1;
    const int opened = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (opened < 0)
        return fail(err, "open", path);
    if (flock(opened, LOCK_EX | LOCK_NB) < 0) {
        const int number = errno;
        (void)close(opened);
        if (number == EWOULDBLOCK)
            return leat__error(err, LEAT_EEXISTS, "%s is locked by another process", path);
        return leat__error(err, leat__error_from_errno(number), "lock %s: %s", path, strerror(number));
    }
    *fd = opened;
    return 0;
}

static int fs_space(struct leat_env *env, const char *dir, uint64_t *free_bytes, struct leat_error *err)
{
    struct statvfs st;
    (void)env;
    *free_bytes = 0;
    if (statvfs(dir, &st) < 0)
        return fail(err, "ask for the free space of", dir);
    *free_bytes = (uint64_t)st.f_bavail * st.f_frsize;
    return 0;
}

static int fs_mkdir(struct leat_env *env, const char *path, struct leat_error *err)
{
    char part[PATH_MAX];
    struct stat st;
    (void)env;
    const size_t len = strlen(path);
    if (len >= sizeof part)
        return leat__error(err, LEAT_EINVAL, "make directory %s: the name is too long", path);
    memcpy(part, path, len + 1);
    for (size_t i = 1; i <= len; i++) {
        if (part[i] != '/' && part[i] != '\0')
            continue;
        const char at = part[i];
        part[i] = '\0';
        if (mkdir(part, 0777) < 0 && errno != EEXIST)
            return fail(err, "make directory", part);
        part[i] = at;
    }
    if (stat(path, &st) < 0)
        return fail(err, "make directory", path);
    if (!S_ISDIR(st.st_mode))
        return leat__error(err, LEAT_EEXISTS, "make directory %s: a file of that name is there", path);
    return 0;
}

static int fs_list(
    struct leat_env *env, const char *dir, leat_env_list_fn fn, void *arg, struct leat_error *err)
{
    (void)env;
    DIR *handle = opendir(dir);
    if (!handle)
        return fail(err, "list", dir);
    int result = 0;
    struct dirent *entry;
    while (result == 0 && (errno = 0, entry = readdir(handle)) != NULL) {
        struct stat st;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        const bool is_dir = fstatat(dirfd(handle), entry->d_name, &st, 0) == 0 && S_ISDIR(st.st_mode);
        result = fn(arg, entry->d_name, is_dir);
    }
    if (result == 0 && errno != 0)
        result = fail(err, "list", dir);
    (void)closedir(handle);
    return result;
}

static int fs_stat(
    struct leat_env *env, const char *path, struct leat_file_info *info, struct leat_error *err)
{
    struct stat st;
    struct statvfs fs;
    (void)env;
    memset(info, 0, sizeof *info);
    if (stat(path, &st) < 0)
        return fail(err, "stat", path);
    info->size = (uint64_t)st.st_size;
    info->modified_us = (int64_t)st.st_mtim.tv_sec * 1000000 + st.st_mtim.tv_nsec / 1000;
    info->is_dir = S_ISDIR(st.st_mode);
    info->is_regular = S_ISREG(st.st_mode);
    info->others_read = (st.st_mode & S_IROTH) != 0;
    info->others_write = (st.st_mode & S_IWOTH) != 0;
    info->is_ours = st.st_uid == geteuid() && statvfs(path, &fs) == 0 && (fs.f_flag & ST_RDONLY) == 0;
    return 0;
}

static int fs_glob(
    struct leat_env *env, const char *pattern, leat_env_list_fn fn, void *arg, struct leat_error *err)
{
    glob_t found = { 0 };
    int result = 0;
    (void)env;
    const int code = glob(pattern, GLOB_ERR | GLOB_MARK, NULL, &found);
    if (code == GLOB_NOMATCH)
        result = leat__error(err, LEAT_ENOTFOUND, "no file matches %s", pattern);
    else if (code == GLOB_NOSPACE)
        result = leat__error(err, LEAT_ENOMEM, "expand %s: out of memory", pattern);
    else if (code != 0)
        result = fail(err, "read a directory of the pattern", pattern);
    for (size_t i = 0; result == 0 && i < found.gl_pathc; i++) {
        char *path = found.gl_pathv[i];
        const size_t len = strlen(path);
        const bool is_dir = len > 1 && path[len - 1] == '/';
        if (is_dir)
            path[len - 1] = '\0';
        result = fn(arg, path, is_dir);
    }
    globfree(&found);
    return result;
}

struct leat_env *leat__env_posix(void)
{
    static struct leat_env env = {
        .mono_ns = posix_mono_ns,
        .wall_us = posix_wall_us,
        .random = posix_random,
        .fs_open = fs_open,
        .fs_close = fs_close,
        .fs_pread = fs_pread,
        .fs_read = fs_read,
        .fs_write = fs_write,
        .fs_sync = fs_sync,
        .fs_sync_dir = fs_sync_dir,
        .fs_rename = fs_rename,
        .fs_link = fs_link,
        .fs_unlink = fs_unlink,
        .fs_truncate = fs_truncate,
        .fs_rmdir = fs_rmdir,
        .fs_lock = fs_lock,
        .fs_space = fs_space,
        .fs_mkdir = fs_mkdir,
        .fs_list = fs_list,
        .fs_stat = fs_stat,
        .fs_glob = fs_glob,
    };
    return &env;
}
