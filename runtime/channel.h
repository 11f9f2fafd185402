/* runtime/channel.h -- the way of messages from one subtask to one input of another.
 *
 * A *local* channel joins two instances of one worker: a queue without locks or atomics. A *remote* one
 * crosses workers: a ring, whose control messages (watermarks, idleness, ends) lie in an array beside it: the
 * slot of the same index is free exactly when the ring's is. Batches travel as pointers, control messages as
 * pointers with the lowest bit set.
 *
 * Flow control: a producer runs only while every channel that it feeds has room. One call may add a few
 * messages more than that; a remote channel's go to `overflow` on the producer's side and must be drained
 * before the producer runs again. Order is kept. */
#ifndef LEAT_RUNTIME_CHANNEL_H
#define LEAT_RUNTIME_CHANNEL_H
#include "base/ring.h"
#include "record/batch.h"

enum leat_message_kind {
    LEAT_MESSAGE_BATCH = 1,
    LEAT_MESSAGE_WATERMARK, /* value: event time */
    LEAT_MESSAGE_IDLE, /* the channel is idle until the next batch or watermark */
    LEAT_MESSAGE_END, /* nothing follows; value: 1 if the job was stopped, so that it is not the end of the
                         input */
    LEAT_MESSAGE_BARRIER, /* value: id of the checkpoint whose rows end here */
};

struct leat_message {
    enum leat_message_kind kind;
    struct leat_batch *batch;
    int64_t value;
};

/* A first-in first-out queue that grows; single-threaded. */
struct leat_queue {
    struct leat_message *items;
    uint32_t head, count, capacity; /* capacity is a power of two or 0 */
};
LEAT_NODISCARD int leat__queue_push(struct leat_queue *queue, struct leat_message message);
bool leat__queue_pop(struct leat_queue *queue, struct leat_message *message);
/* Releases the batches that are left, and the memory. */
void leat__queue_release(struct leat_queue *queue);

struct leat_worker;

struct leat_channel {
    bool remote;
    uint32_t input; /* of the consumer */
    uint32_t part; /* index in the consumer's merge of that input */
    bool ended; /* the consumer has seen its end */
    uint64_t barrier; /* the consumer's: id of the newest barrier that it has brought */
    struct leat_worker *producer, *consumer;
    struct leat_queue queue; /* local: the messages; remote: the producer's overflow */
    struct leat_ring ring; /* remote */
    struct leat_message *controls; /* remote: one per slot of the ring */
};

LEAT_NODISCARD int leat__channel_init(struct leat_channel *channel, bool remote, uint32_t capacity);
/* When both sides rest: releases what is under way. */
void leat__channel_release(struct leat_channel *channel);

/* Producer: room for a call's output. */
bool leat__channel_has_room(struct leat_channel *channel);
/* Producer: appends; takes the batch in any case. LEAT_ENOMEM or 0. */
LEAT_NODISCARD int leat__channel_send(struct leat_channel *channel, struct leat_message message);
/* Producer: moves overflow into the ring as far as it goes; whether anything moved. */
bool leat__channel_drain(struct leat_channel *channel);
/* Consumer: takes the next message. */
bool leat__channel_receive(struct leat_channel *channel, struct leat_message *message);
/* Consumer: whether there is one. */
bool leat__channel_has_message(struct leat_channel *channel);
#endif
