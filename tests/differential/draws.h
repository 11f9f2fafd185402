/* tests/differential/draws.h -- random numbers of a plan: the same ones for the same seed. */
#ifndef LEAT_TESTS_DIFFERENTIAL_DRAWS_H
#define LEAT_TESTS_DIFFERENTIAL_DRAWS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct draws {
    uint64_t seed, count;
};

static inline int64_t below(struct draws *d, int64_t n)
{
    uint64_t x = d->seed * UINT64_C(0x9E3779B97F4A7C15) + ++d->count * UINT64_C(0xD1B54A32D192ED03);
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    x ^= x >> 31;
    return (int64_t)(x % (uint64_t)n);
}

static inline int64_t between(struct draws *d, int64_t first, int64_t last)
{
    return first + below(d, last - first + 1);
}

static inline bool one_in(struct draws *d, int64_t n)
{
    return below(d, n) == 0;
}

static inline int64_t one_of(struct draws *d, const int64_t *values, size_t count)
{
    return values[below(d, (int64_t)count)];
}
#define ONE_OF(d_, ...) \
    one_of((d_), (const int64_t[]){ __VA_ARGS__ }, sizeof((const int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t))
#endif
