/* runtime/channel.c -- local and remote channels; see the header. */
#include "runtime/channel.h"
#include "base/alloc.h"
#include "base/assert.h"

#define LOCAL_MESSAGES 8u /* in a local queue before its producer rests */

int leat__queue_push(struct leat_queue *queue, struct leat_message message)
{
    if (queue->count == queue->capacity) {
        const uint32_t capacity = queue->capacity ? queue->capacity * 2 : 16;
        struct leat_message *items = leat__malloc(capacity * sizeof *items);
        if (!items) {
            leat__batch_release(message.batch);
            return LEAT_ENOMEM;
        }
        for (uint32_t i = 0; i < queue->count; i++)
            items[i] = queue->items[(queue->head + i) & (queue->capacity - 1)];
        leat__free(queue->items);
        queue->items = items;
        queue->head = 0;
        queue->capacity = capacity;
    }
    queue->items[(queue->head + queue->count++) & (queue->capacity - 1)] = message;
    return 0;
}

bool leat__queue_pop(struct leat_queue *queue, struct leat_message *message)
{
    if (queue->count == 0)
        return false;
    *message = queue->items[queue->head];
    queue->head = (queue->head + 1) & (queue->capacity - 1);
    queue->count--;
    return true;
}

void leat__queue_release(struct leat_queue *queue)
{
    struct leat_message message;
    while (leat__queue_pop(queue, &message))
        leat__batch_release(message.batch);
    leat__free(queue->items);
    *queue = (struct leat_queue){ 0 };
}

int leat__channel_init(struct leat_channel *channel, bool remote, uint32_t capacity)
{
    channel->remote = remote;
    if (!remote)
        return 0;
    if (leat__ring_init(&channel->ring, capacity) < 0)
        return LEAT_ENOMEM;
    channel->controls = leat__calloc(channel->ring.mask + 1, sizeof *channel->controls);
    return channel->controls ? 0 : LEAT_ENOMEM;
}

void leat__channel_release(struct leat_channel *channel)
{
    struct leat_message message;
    while (channel->remote && channel->ring.slots && leat__channel_receive(channel, &message))
        leat__batch_release(message.batch);
    leat__queue_release(&channel->queue);
    if (channel->remote)
        leat__ring_release(&channel->ring);
    leat__free(channel->controls);
    channel->controls = NULL;
}

bool leat__channel_has_room(struct leat_channel *channel)
{
    return channel->remote ? channel->queue.count == 0 : channel->queue.count < LOCAL_MESSAGES;
}

/* Puts a message into the ring, which has room. */
static void ring_put(struct leat_channel *channel, struct leat_message message)
{
    void *item = message.batch;
    if (message.kind != LEAT_MESSAGE_BATCH) {
        const uint32_t tail = atomic_load_explicit(&channel->ring.tail, memory_order_relaxed);
        struct leat_message *control = &channel->controls[tail & channel->ring.mask];
        *control = message;
        item = (char *)control + 1;
    }
    const bool pushed = leat__ring_push(&channel->ring, item);
    LEAT_ASSERT(pushed);
}

bool leat__channel_drain(struct leat_channel *channel)
{
    struct leat_message message;
    bool moved = false;
    while (channel->remote && channel->queue.count > 0 && leat__ring_room(&channel->ring) > 0) {
        (void)leat__queue_pop(&channel->queue, &message);
        ring_put(channel, message);
        moved = true;
    }
    return moved;
}

int leat__channel_send(struct leat_channel *channel, struct leat_message message)
{
    if (!channel->remote || channel->queue.count > 0 || leat__ring_room(&channel->ring) == 0)
        return leat__queue_push(&channel->queue, message);
    ring_put(channel, message);
    return 0;
}

bool leat__channel_receive(struct leat_channel *channel, struct leat_message *message)
{
    if (!channel->remote)
        return leat__queue_pop(&channel->queue, message);
    void *item = leat__ring_peek(&channel->ring);
    if (!item)
        return false;
    const uint32_t head = atomic_load_explicit(&channel->ring.head, memory_order_relaxed);
    if ((uintptr_t)item & 1)
        *message = channel->controls[head & channel->ring.mask];
    else
        *message = (struct leat_message){ LEAT_MESSAGE_BATCH, item, 0 };
    (void)leat__ring_pop(&channel->ring);
    return true;
}

bool leat__channel_has_message(struct leat_channel *channel)
{
    return channel->remote ? leat__ring_peek(&channel->ring) != NULL : channel->queue.count > 0;
}
