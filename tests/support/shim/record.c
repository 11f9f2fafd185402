/* tests/support/shim/record.c -- the record of a process's changes to files, from which a test builds what a loss of
 * power could have left at any moment: tests/crash/powercut.py.
 *
 * A line for each change, words separated by tabs, and behind "write" the bytes themselves:
 *   create PATH      truncate PATH SIZE      write PATH OFFSET SIZE\n BYTES \n      sync PATH
 *   rename FROM TO   link FROM TO            unlink PATH      mkdir PATH      rmdir PATH
 *
 * One lock is held over each call and its line: a process that is recorded writes one file at a time. */
#define _GNU_SOURCE
#include "tests/support/shim/record.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int record_to = -1;
static ssize_t (*raw)(int, const void *, size_t);
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void record_start(const char *path, int fd, ssize_t (*raw_write)(int, const void *, size_t))
{
    (void)path;
    raw = raw_write;
    record_to = fd;
}

bool record_is_on(void)
{
    return record_to >= 0;
}

void record_lock(void)
{
    if (record_is_on())
        (void)pthread_mutex_lock(&lock);
}

void record_unlock(void)
{
    if (record_is_on())
        (void)pthread_mutex_unlock(&lock);
}

static void put(const char *data, size_t size)
{
    while (size > 0) {
        const ssize_t done = raw(record_to, data, size);
        if (done <= 0)
            return;
        data += done;
        size -= (size_t)done;
    }
}

void record_path(const char *what, const char *path, const char *other, uint64_t number)
{
    char line[8448];
    if (!record_is_on())
        return;
    const int len = other
        ? snprintf(line, sizeof line, "%s\t%s\t%s\n", what, path, other)
        : snprintf(line, sizeof line, "%s\t%s\t%llu\n", what, path, (unsigned long long)number);
    if (len > 0 && (size_t)len < sizeof line)
        put(line, (size_t)len);
}

/* The file's name as it is now; false for what has none. */
static bool path_of(int fd, char path[4096])
{
    char link[64];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t len = readlink(link, path, 4095);
    if (len <= 0 || path[0] != '/')
        return false;
    path[len] = '\0';
    return !strstr(path, " (deleted)");
}

void record_fd(const char *what, int fd, uint64_t number)
{
    char path[4096];
    if (record_is_on() && path_of(fd, path))
        record_path(what, path, NULL, number);
}

void record_data(int fd, uint64_t offset, const void *data, size_t size)
{
    char path[4096], line[4224];
    if (!record_is_on() || !path_of(fd, path))
        return;
    const int len = snprintf(line, sizeof line, "write\t%s\t%llu\t%llu\n", path, (unsigned long long)offset,
        (unsigned long long)size);
    put(line, (size_t)len);
    put(data, size);
    put("\n", 1);
}
