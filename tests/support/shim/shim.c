/* tests/support/shim/shim.c -- makes calls of the system fail, for tests: loaded with LD_PRELOAD, it stands between a
 * program (RocksDB and the engine's own file layer alike) and libc, for files whose path holds a given text.
 *
 *   LEAT_SHIM_CALLS   which calls count: "write,fsync,rename", or "all" (table below)
 *   LEAT_SHIM_PATH    a text that the path must hold (several, separated by ':', any of them); empty: every path
 *   LEAT_SHIM_AT      the n-th such call fails (from 1); 0 or unset: none
 *   LEAT_SHIM_EVER    1: and every one behind it
 *   LEAT_SHIM_ERROR   EIO (default), ENOSPC, EDQUOT, EROFS, or SHORT: writes take half of what they are given
 *   LEAT_SHIM_RECORD  a file: every change of a file is written down there, see record.c
 *   LEAT_SHIM_LOG     a file: one line for each call that counted: "n call path", and "FAILED" behind those that did
 *
 * A failed call has done nothing, but for fsync: what a failed one leaves is open, so it is not passed on. Threads
 * share one counter. The shim takes no lock and allocates nothing after its start but for one dlsym a call. */
#define _GNU_SOURCE
#include "tests/support/shim/record.h"
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define CALLS(X) \
    X(OPEN, "open") \
    X(WRITE, "write") \
    X(FSYNC, "fsync") \
    X(RENAME, "rename") \
    X(LINK, "link") \
    X(UNLINK, "unlink") \
    X(TRUNCATE, "truncate") \
    X(MKDIR, "mkdir") \
    X(RMDIR, "rmdir") \
    X(ALLOCATE, "allocate")
enum call {
#define ID(id_, name_) CALL_##id_,
    CALLS(ID)
#undef ID
        CALLS_COUNT
};
static const char *const call_names[] = {
#define NAME(id_, name_) name_,
    CALLS(NAME)
#undef NAME
};

static bool chosen[CALLS_COUNT];
static char patterns[1024];
static bool has_patterns;
static uint64_t fail_at, counted; /* counted: atomic */
static bool fail_ever, shortens;
static int fail_errno = EIO;
static int log_fd = -1;

#define REAL(fn_) ((__typeof__(&fn_))real_of(#fn_))
static void *real_of(const char *name)
{
    void *fn = dlsym(RTLD_NEXT, name);
    if (!fn)
        abort();
    return fn;
}

static void read_error(const char *text)
{
    static const struct {
        const char *name;
        int number;
    } errors[] = { { "EIO", EIO }, { "ENOSPC", ENOSPC }, { "EDQUOT", EDQUOT }, { "EROFS", EROFS } };
    shortens = strcmp(text, "SHORT") == 0;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
        if (strcmp(errors[i].name, text) == 0)
            fail_errno = errors[i].number;
}

__attribute__((constructor)) static void start(void)
{
    const char *calls = getenv("LEAT_SHIM_CALLS"), *text;
    for (int i = 0; calls && i < CALLS_COUNT; i++)
        chosen[i] = strcmp(calls, "all") == 0 || strstr(calls, call_names[i]) != NULL;
    if ((text = getenv("LEAT_SHIM_PATH")) && *text)
        has_patterns = snprintf(patterns, sizeof patterns, ":%s:", text) > 0;
    if ((text = getenv("LEAT_SHIM_AT")))
        fail_at = strtoull(text, NULL, 10);
    fail_ever = getenv("LEAT_SHIM_EVER") != NULL;
    if ((text = getenv("LEAT_SHIM_ERROR")))
        read_error(text);
    if ((text = getenv("LEAT_SHIM_LOG")))
        log_fd = REAL(open)(text, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if ((text = getenv("LEAT_SHIM_RECORD")))
        record_start(text, REAL(open)(text, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666), REAL(write));
}

static bool path_matches(const char *path)
{
    char pattern[256];
    if (!has_patterns)
        return true;
    for (const char *from = patterns + 1; *from;) {
        const char *to = strchr(from, ':');
        const size_t len = (size_t)(to - from);
        if (len > 0 && len < sizeof pattern) {
            memcpy(pattern, from, len);
            pattern[len] = '\0';
            if (strstr(path, pattern))
                return true;
        }
        from = to + 1;
    }
    return false;
}

static void note(uint64_t n, enum call call, const char *path, bool fails)
{
    char line[4352];
    const int len = snprintf(line, sizeof line, "%llu %s %s%s\n", (unsigned long long)n, call_names[call],
        path, fails ? " FAILED" : "");
    if (log_fd >= 0 && len > 0)
        (void)!REAL(write)(log_fd, line, (size_t)len < sizeof line ? (size_t)len : sizeof line - 1);
}

/* Counts the call; whether it is to fail. */
static bool fails_path(enum call call, const char *path)
{
    if (!chosen[call] || !path || !path_matches(path))
        return false;
    const uint64_t n = __atomic_add_fetch(&counted, 1, __ATOMIC_RELAXED);
    const bool fails = fail_at != 0 && (n == fail_at || (fail_ever && n > fail_at));
    note(n, call, path, fails);
    if (fails)
        errno = fail_errno;
    return fails;
}

static bool fails_fd(enum call call, int fd)
{
    char link[64], path[4096];
    if (!chosen[call] || fd == log_fd || fd <= 2)
        return false;
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t len = readlink(link, path, sizeof path - 1);
    if (len <= 0 || path[0] != '/')
        return false;
    path[len] = '\0';
    return fails_path(call, path);
}

/* Does the call and writes down what it has changed. */
#define RECORDED(type_, call_, ok_, note_) \
    ({ \
        record_lock(); \
        const type_ result = (call_); \
        const int number = errno; \
        if (ok_) \
            note_; \
        record_unlock(); \
        errno = number; \
        result; \
    })

static ssize_t write_recorded(int fd, const void *data, size_t size)
{
    return RECORDED(ssize_t, REAL(write)(fd, data, size), result > 0 && fd > 2,
        record_data(fd, (uint64_t)(lseek64(fd, 0, SEEK_CUR) - result), data, (size_t)result));
}

static ssize_t pwrite_recorded(int fd, const void *data, size_t size, off64_t offset)
{
    return RECORDED(ssize_t, REAL(pwrite64)(fd, data, size, offset), result > 0,
        record_data(fd, (uint64_t)offset, data, (size_t)result));
}

static void note_open(const char *path, int flags)
{
    if (flags & O_CREAT)
        record_path("create", path, NULL, 0);
    if (flags & O_TRUNC)
        record_path("truncate", path, NULL, 0);
}

/* The build hides what is not said to be seen. */
#pragma GCC visibility push(default)

/* ---- files by descriptor ---- */

ssize_t write(int fd, const void *data, size_t size)
{
    if (fails_fd(CALL_WRITE, fd)) {
        if (!shortens)
            return -1;
        size -= size / 2;
    }
    return write_recorded(fd, data, size);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset)
{
    if (fails_fd(CALL_WRITE, fd)) {
        if (!shortens)
            return -1;
        size -= size / 2;
    }
    return pwrite_recorded(fd, data, size, offset);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    return pwrite64(fd, data, size, offset);
}

/* One part at a time: a short count, which every caller must cope with. */
ssize_t writev(int fd, const struct iovec *parts, int count)
{
    for (int i = 0; i < count; i++)
        if (parts[i].iov_len > 0)
            return write(fd, parts[i].iov_base, parts[i].iov_len);
    return 0;
}

int fsync(int fd)
{
    if (fails_fd(CALL_FSYNC, fd) && !shortens)
        return -1;
    return RECORDED(int, REAL(fsync)(fd), result == 0, record_fd("sync", fd, 0));
}

int fdatasync(int fd)
{
    if (fails_fd(CALL_FSYNC, fd) && !shortens)
        return -1;
    return RECORDED(int, REAL(fdatasync)(fd), result == 0, record_fd("sync", fd, 0));
}

/* Without flags it does nothing: RocksDB asks so whether the file system knows the call, and a disk can not
 * make that fail. What it has written out may be lost all the same: no line in the record. */
int sync_file_range(int fd, off64_t offset, off64_t size, unsigned flags)
{
    return flags && fails_fd(CALL_FSYNC, fd) && !shortens ? -1
                                                          : REAL(sync_file_range)(fd, offset, size, flags);
}

int ftruncate64(int fd, off64_t size)
{
    if (fails_fd(CALL_TRUNCATE, fd) && !shortens)
        return -1;
    return RECORDED(int, REAL(ftruncate64)(fd, size), result == 0, record_fd("truncate", fd, (uint64_t)size));
}

int ftruncate(int fd, off_t size)
{
    return ftruncate64(fd, size);
}

int fallocate64(int fd, int mode, off64_t offset, off64_t size)
{
    return fails_fd(CALL_ALLOCATE, fd) && !shortens ? -1 : REAL(fallocate64)(fd, mode, offset, size);
}

int fallocate(int fd, int mode, off_t offset, off_t size)
{
    return fallocate64(fd, mode, offset, size);
}

/* ---- files by path ---- */

static bool open_fails(const char *path, int flags)
{
    return (flags & (O_CREAT | O_WRONLY | O_RDWR)) && fails_path(CALL_OPEN, path) && !shortens;
}

int open64(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    const mode_t mode = (flags & (O_CREAT | __O_TMPFILE)) ? va_arg(more, mode_t) : 0;
    va_end(more);
    if (open_fails(path, flags))
        return -1;
    return RECORDED(int, REAL(open64)(path, flags, mode), result >= 0, note_open(path, flags));
}

int open(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    const mode_t mode = (flags & (O_CREAT | __O_TMPFILE)) ? va_arg(more, mode_t) : 0;
    va_end(more);
    if (open_fails(path, flags))
        return -1;
    return RECORDED(int, REAL(open)(path, flags, mode), result >= 0, note_open(path, flags));
}

static bool fopen_fails(const char *path, const char *mode)
{
    return mode[0] != 'r' && fails_path(CALL_OPEN, path) && !shortens;
}

FILE *fopen64(const char *path, const char *mode)
{
    if (fopen_fails(path, mode))
        return NULL;
    return RECORDED(FILE *, REAL(fopen64)(path, mode), result && mode[0] != 'r',
        note_open(path, mode[0] == 'w' ? O_CREAT | O_TRUNC : O_CREAT));
}

FILE *fopen(const char *path, const char *mode)
{
    return fopen64(path, mode);
}

int rename(const char *from, const char *to)
{
    if (fails_path(CALL_RENAME, to) && !shortens)
        return -1;
    return RECORDED(int, REAL(rename)(from, to), result == 0, record_path("rename", from, to, 0));
}

int link(const char *from, const char *to)
{
    if (fails_path(CALL_LINK, to) && !shortens)
        return -1;
    return RECORDED(int, REAL(link)(from, to), result == 0, record_path("link", from, to, 0));
}

int unlink(const char *path)
{
    if (fails_path(CALL_UNLINK, path) && !shortens)
        return -1;
    return RECORDED(int, REAL(unlink)(path), result == 0, record_path("unlink", path, NULL, 0));
}

/* Of whole paths, which are all that the engine gives. */
int unlinkat(int dir, const char *path, int flags)
{
    const bool is_dir = (flags & AT_REMOVEDIR) != 0;
    if (fails_path(is_dir ? CALL_RMDIR : CALL_UNLINK, path) && !shortens)
        return -1;
    return RECORDED(int, REAL(unlinkat)(dir, path, flags), result == 0,
        record_path(is_dir ? "rmdir" : "unlink", path, NULL, 0));
}

int truncate64(const char *path, off64_t size)
{
    if (fails_path(CALL_TRUNCATE, path) && !shortens)
        return -1;
    return RECORDED(
        int, REAL(truncate64)(path, size), result == 0, record_path("truncate", path, NULL, (uint64_t)size));
}

int truncate(const char *path, off_t size)
{
    return truncate64(path, size);
}

int mkdir(const char *path, mode_t mode)
{
    if (fails_path(CALL_MKDIR, path) && !shortens)
        return -1;
    return RECORDED(int, REAL(mkdir)(path, mode), result == 0, record_path("mkdir", path, NULL, 0));
}

int rmdir(const char *path)
{
    if (fails_path(CALL_RMDIR, path) && !shortens)
        return -1;
    return RECORDED(int, REAL(rmdir)(path), result == 0, record_path("rmdir", path, NULL, 0));
}

#pragma GCC visibility pop
