/* base/ring.h -- a bounded ring of pointers between one producer thread and one consumer thread.
 *
 * Invariants: (1) tail - head is the number of items, 0 .. capacity; (2) only the producer moves tail, only
 * the consumer moves head; (3) an item's memory is visible to the consumer before the item is (release
 * on tail, acquire by the consumer), and a slot is free before the producer sees it free (the reverse).
 * Each side keeps a private copy of the other's index and refreshes it only when it seems to be full or
 * empty: most operations touch no shared cache line but the slot. */
#ifndef LEAT_BASE_RING_H
#define LEAT_BASE_RING_H
#include "base/assert.h"
#include <leat/error.h>
#include <stdatomic.h>

struct leat_ring {
    uint32_t mask; /* capacity - 1 */
    void **slots;
    _Alignas(64) _Atomic uint32_t tail; /* the producer's line */
    uint32_t head_seen;
    _Alignas(64) _Atomic uint32_t head; /* the consumer's line */
    uint32_t tail_seen;
};

/* `capacity` is rounded up to a power of two. LEAT_ENOMEM or 0. The ring itself lies at a multiple of 64: an
 * array on the heap comes from leat__aligned_alloc. */
LEAT_NODISCARD int leat__ring_init(struct leat_ring *ring, uint32_t capacity);
void leat__ring_release(struct leat_ring *ring); /* does not touch the items */

/* Producer: number of free slots (a lower bound that only grows while the producer rests). */
static inline uint32_t leat__ring_room(struct leat_ring *ring)
{
    const uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    uint32_t room = ring->mask + 1 - (tail - ring->head_seen);
    if (room == 0) {
        ring->head_seen = atomic_load_explicit(&ring->head, memory_order_acquire);
        room = ring->mask + 1 - (tail - ring->head_seen);
    }
    return room;
}

/* Producer: false when full. An item is never NULL: that is how the consumer sees an empty ring. */
static inline bool leat__ring_push(struct leat_ring *ring, void *item)
{
    LEAT_ASSERT(item != NULL);
    if (leat__ring_room(ring) == 0)
        return false;
    const uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    ring->slots[tail & ring->mask] = item;
    atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
    return true;
}

/* Consumer: the oldest item without taking it, NULL when empty. */
static inline void *leat__ring_peek(struct leat_ring *ring)
{
    const uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    if (head == ring->tail_seen) {
        ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
        if (head == ring->tail_seen)
            return NULL;
    }
    return ring->slots[head & ring->mask];
}

/* Consumer: takes the oldest item, NULL when empty. */
static inline void *leat__ring_pop(struct leat_ring *ring)
{
    void *item = leat__ring_peek(ring);
    if (item) {
        const uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
        atomic_store_explicit(&ring->head, head + 1, memory_order_release);
    }
    return item;
}

/* Either side or a third: number of items, exact only when both sides rest. */
static inline uint32_t leat__ring_count(struct leat_ring *ring)
{
    const uint32_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
    return atomic_load_explicit(&ring->tail, memory_order_acquire) - head;
}
#endif
