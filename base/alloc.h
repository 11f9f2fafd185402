/* base/alloc.h -- every allocation of the library goes through here, so that tests can count them, make
 * the n-th one fail, and check for leaks. Thread-safe. Sizes of 0 give a unique pointer. */
#ifndef LEAT_BASE_ALLOC_H
#define LEAT_BASE_ALLOC_H
#include <leat/api.h>

void *leat__malloc(size_t size);
void *leat__calloc(size_t count, size_t size); /* checks the product */
void *leat__realloc(void *p, size_t size);
/* `align` a power of two; freed with leat__free. */
void *leat__aligned_alloc(size_t align, size_t size);
void leat__free(void *p); /* NULL is fine */
char *leat__strdup(const char *text);
char *leat__strndup(const char *text, size_t len);

/* `size` bytes of zeroed memory that the system gives when they are first touched, aligned to 2 MiB and advised huge
 * pages: for large arrays. Given back with the same size. */
void *leat__pages_alloc(size_t size);
void leat__pages_free(void *p, size_t size); /* NULL is fine */

/* Number of allocation calls that succeeded so far in the process (malloc, calloc, realloc, aligned, pages). */
uint64_t leat__alloc_calls(void);
/* Blocks allocated and not freed. */
int64_t leat__alloc_live(void);
/* From now on the n-th allocation (1 = the next) fails once; 0 switches off. For tests. */
void leat__alloc_fail_at(uint64_t n);
/* Advises huge pages for a large block (2 MiB and more); harmless where the system has none. */
void leat__advise_huge(void *p, size_t size);
#endif
