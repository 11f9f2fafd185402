/* connectors/generator/random.c -- random numbers without state: a hash of (seed, index, draw).
 *
 * The same three numbers give the same bits for ever: what a generator made yesterday it makes again after a
 * restart, in any number of splits. So this function never changes. Each word goes through a round of
 * splitmix64's finalizer. */
#include <leat/generator.h>

static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint64_t leat_random(uint64_t seed, uint64_t index, uint64_t draw)
{
    const uint64_t step = UINT64_C(0x9e3779b97f4a7c15); /* 2^64 / golden ratio: odd, bits well spread */
    return mix(mix(mix(seed + step) + index * step + step) + draw * step + step);
}

/* The high half of the product is below n, and as even as 64 bits allow. */
uint64_t leat_random_below(uint64_t seed, uint64_t index, uint64_t draw, uint64_t n)
{
    return (uint64_t)((unsigned __int128)leat_random(seed, index, draw) * n >> 64);
}
