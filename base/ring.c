/* base/ring.c -- making and releasing rings; the fast path is in the header. */
#include "base/ring.h"
#include "base/alloc.h"
#include <string.h>

int leat__ring_init(struct leat_ring *ring, uint32_t capacity)
{
    uint32_t slots = 1;
    LEAT_ASSERT(capacity <= UINT32_C(1) << 31); /* the indexes wrap at 32 bits */
    while (slots < capacity)
        slots *= 2;
    memset(ring, 0, sizeof *ring);
    ring->slots = leat__calloc(slots, sizeof *ring->slots);
    if (!ring->slots)
        return LEAT_ENOMEM;
    ring->mask = slots - 1;
    return 0;
}

void leat__ring_release(struct leat_ring *ring)
{
    leat__free(ring->slots);
    ring->slots = NULL;
}
