/* tests/support/shim/record.h -- writes down, in their order, the calls that change files: see record.c. */
#ifndef LEAT_TESTS_SUPPORT_SHIM_RECORD_H
#define LEAT_TESTS_SUPPORT_SHIM_RECORD_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* `raw_write` is libc's write, for the record itself. */
void record_start(const char *path, int fd, ssize_t (*raw_write)(int, const void *, size_t));
bool record_is_on(void);
/* Around a call and the note of it, so that notes stand in the order in which things happened. */
void record_lock(void);
void record_unlock(void);
/* "create", "truncate", "sync", "rename", "link", "unlink", "mkdir", "rmdir"; `other` and `number` where they mean
 * something. */
void record_path(const char *what, const char *path, const char *other, uint64_t number);
void record_fd(const char *what, int fd, uint64_t number);
void record_data(int fd, uint64_t offset, const void *data, size_t size);
#endif
