/* base/alloc.c -- counted, failable allocation on top of the C library's. */
#include "base/alloc.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_BYTES ((size_t)2 << 20)
#define PAGE_BYTES ((size_t)64 << 10) /* the largest that systems have */

static _Atomic uint64_t calls_count;
static _Atomic int64_t live_count;
static _Atomic uint64_t fail_countdown; /* 0: off; n: the n-th call from now fails */

static bool must_fail(void)
{
    uint64_t left = atomic_load_explicit(&fail_countdown, memory_order_relaxed);
    while (__builtin_expect(left != 0, 0)) /* again when another thread counted down at the same time */
        if (atomic_compare_exchange_weak_explicit(
                &fail_countdown, &left, left - 1, memory_order_relaxed, memory_order_relaxed))
            return left == 1;
    return false;
}

static void *count(void *p)
{
    if (p) {
        atomic_fetch_add_explicit(&calls_count, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&live_count, 1, memory_order_relaxed);
    }
    return p;
}

void *leat__malloc(size_t size)
{
    return must_fail() ? NULL : count(malloc(size ? size : 1));
}

void *leat__calloc(size_t count_, size_t size)
{
    size_t bytes;
    if (count_ == 0 || size == 0)
        count_ = size = 1;
    if (__builtin_mul_overflow(count_, size, &bytes) || must_fail())
        return NULL;
    return count(calloc(1, bytes));
}

void *leat__realloc(void *p, size_t size)
{
    if (!p)
        return leat__malloc(size);
    if (must_fail())
        return NULL;
    void *grown = realloc(p, size ? size : 1);
    if (grown)
        atomic_fetch_add_explicit(&calls_count, 1, memory_order_relaxed);
    return grown;
}

void *leat__aligned_alloc(size_t align, size_t size)
{
    const size_t rounded = (size + align - 1) / align * align;
    if (rounded < size || must_fail())
        return NULL;
    return count(aligned_alloc(align, rounded ? rounded : align));
}

void leat__free(void *p)
{
    if (!p)
        return;
    atomic_fetch_sub_explicit(&live_count, 1, memory_order_relaxed);
    free(p);
}

static size_t whole_pages(size_t size)
{
    return (size + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
}

void *leat__pages_alloc(size_t size)
{
    const size_t bytes = whole_pages(size);
    if (bytes == 0 || bytes < size || bytes > SIZE_MAX - HUGE_BYTES || must_fail())
        return NULL;
    char *p = mmap(NULL, bytes + HUGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    const size_t before = (HUGE_BYTES - ((uintptr_t)p & (HUGE_BYTES - 1))) & (HUGE_BYTES - 1);
    if (before)
        (void)munmap(p, before);
    (void)munmap(p + before + bytes, HUGE_BYTES - before);
    leat__advise_huge(
        p + before, size); /* only what is filled: no page that is huge for its first bytes alone */
    return count(p + before);
}

void leat__pages_free(void *p, size_t size)
{
    if (!p)
        return;
    atomic_fetch_sub_explicit(&live_count, 1, memory_order_relaxed);
    (void)munmap(p, whole_pages(size));
}

char *leat__strndup(const char *text, size_t len)
{
    char *copy = leat__malloc(len + 1);
    if (copy) {
        memcpy(copy, text, len);
        copy[len] = '\0';
    }
    return copy;
}

char *leat__strdup(const char *text)
{
    return leat__strndup(text, strlen(text));
}

uint64_t leat__alloc_calls(void)
{
    return atomic_load_explicit(&calls_count, memory_order_relaxed);
}

int64_t leat__alloc_live(void)
{
    return atomic_load_explicit(&live_count, memory_order_relaxed);
}

void leat__alloc_fail_at(uint64_t n)
{
    atomic_store_explicit(&fail_countdown, n, memory_order_relaxed);
}

void leat__advise_huge(void *p, size_t size)
{
    const uintptr_t huge = HUGE_BYTES;
    const uintptr_t from = ((uintptr_t)p + huge - 1) & ~(huge - 1);
    const uintptr_t to = ((uintptr_t)p + size) & ~(huge - 1);
    if (to > from)
        (void)madvise((void *)from, to - from, MADV_HUGEPAGE); /* advice: failing changes nothing */
}
