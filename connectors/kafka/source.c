/* connectors/kafka/source.c -- the class: reading partitions.
 *
 * Each subtask has one client of librdkafka, each open partition a queue of its own, served by consume_callback_queue: the
 * fastest call there is, and of those that are safe the only one (the batch calls lose messages around a pause). A full
 * batch ends a call by rd_kafka_yield; what was not served stays in the queue. A partition that is not read costs nothing:
 * its queue fills up to its bound, and then nothing more is fetched. Nobody polls: librdkafka tells when an empty queue has
 * got something, and that wakes the reader (which looks up now and then, too, for whether brokers refuse it).
 *
 * Partitions are consumed by the calls for single partitions, so no consumer group is joined, nothing is rebalanced, and
 * partitions come and go one by one. Offsets only rise: what librdkafka delivers again is dropped. There may be holes
 * (compaction, ends of transactions): only the end of the partition tells that all below it was passed.
 *
 * A topic that was made anew. librdkafka 2.0 does not show the ids of topics. So a position has a print of the last message
 * that was read, and whoever goes on from it reads that message again first: another one at its offset, or an end below it,
 * is an error (docs/decisions/0017).
 *
 * Threads: a reader is its worker's. librdkafka's threads call on_arrival alone, under the lock of the queue; it is switched
 * off under the same lock before the reader goes. */
#include "base/alloc.h"
#include "base/hash.h"
#include "connectors/kafka/source_private.h"
#include <inttypes.h>
#include <stdio.h>

#define READ_BYTES_MAX (1u << 20) /* of one call of read: then others have their turn */
#define QUERY_TIMEOUT_MS 10000
#define LISTEN_US LEAT_SECONDS(10) /* to what librdkafka has to say while nothing arrives */
#define RESTARTS_MAX 10u /* in a row, without a message between */

/* Of all partitions of a subtask. */
struct shared {
    struct leat_kafka_client *client;
    struct leat_kafka_reader *messages;
};

/* What is known of a message beside its offset. */
struct print {
    int64_t offset, time;
    uint64_t key_len, len; /* UINT64_MAX: null */
    uint64_t key_head, key_tail, head, tail;
};

struct kafka_reader {
    struct leat_reader reader; /* first: what the runtime knows */
    const struct leat_kafka_source *spec;
    const struct leat_kafka_partition *partition;
    struct shared *shared;
    rd_kafka_topic_t *topic; /* NULL: it is not consumed yet */
    rd_kafka_queue_t *queue;
    struct leat_kafka_position position; /* of the next message; `last` as it was restored */
    struct print last; /* the last message that was read; offset -1: none since the restore */
    bool sought; /* else the partition has come while the job ran, or was down */
    bool verifying; /* the first message is to be the last one of before */
    bool at_end; /* nothing more was there when librdkafka looked last */
    bool done; /* of a bounded read: nothing more is wanted */
    bool checks_time; /* rows without a usable time become dead letters */
    uint32_t restarts;
    /* Of one call of read: */
    struct leat_batch *batch;
    uint64_t bytes;
    bool yielded, lost;
    rd_kafka_resp_err_t broken; /* an error that ends the job */
    int code;
};

static struct kafka_reader *self(struct leat_reader *reader)
{
    return (struct kafka_reader *)(void *)reader;
}

/* ---- prints ---- */

static uint64_t load(const void *at, size_t len)
{
    uint64_t value = 0;
    memcpy(&value, at, len);
    return value;
}

static void note_bytes(const void *data, size_t len, uint64_t *out_len, uint64_t *head, uint64_t *tail)
{
    *out_len = data ? len : UINT64_MAX;
    *head = *tail = 0;
    if (!data || len == 0)
        return;
    const size_t n = len < 8 ? len : 8;
    *head = load(data, n);
    *tail = load((const char *)data + len - n, n);
}

static void note_print(const rd_kafka_message_t *message, struct print *print)
{
    rd_kafka_timestamp_type_t type;
    print->offset = message->offset;
    print->time = rd_kafka_message_timestamp(message, &type);
    note_bytes(message->key, message->key_len, &print->key_len, &print->key_head, &print->key_tail);
    note_bytes(message->payload, message->len, &print->len, &print->head, &print->tail);
}

static uint64_t hash_print(const struct print *print)
{
    return leat__hash(print, sizeof *print); /* all members are of 64 bits: there is no padding */
}

/* ---- errors ---- */

/* What librdkafka mends by itself: it tries again for ever, and tells of it. */
static bool may_pass(rd_kafka_resp_err_t code)
{
    switch (code) {
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__WAIT_COORD:
    case RD_KAFKA_RESP_ERR__NODE_UPDATE:
    case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
    case RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
    case RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION:
    case RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR:
    case RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH:
    case RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH:
    case RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE:
        return true;
    default:
        return false;
    }
}

static int fail_broken(struct kafka_reader *r, rd_kafka_resp_err_t code, const char *doing)
{
    char text[400];
    (void)snprintf(text, sizeof text, "%s topic \"%s\", partition %d", doing, r->partition->topic,
        (int)r->partition->partition);
    const int ours = leat__kafka_error(r->shared->client, code, NULL, text, r->reader.ctx->error);
    return ours < 0 ? leat__fail_here(r->reader.ctx) : 0;
}

/* ---- messages ---- */

static void stop_call(struct kafka_reader *r)
{
    r->yielded = true;
    rd_kafka_yield(r->shared->client->rk);
}

static void on_event(struct kafka_reader *r, const rd_kafka_message_t *message)
{
    switch (message->err) {
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        r->at_end = true;
        leat__kafka_refusal_end(&r->shared->client->refusal);
        if (message->offset > r->position.next && !r->verifying)
            r->position.next = message->offset; /* what lies between are no messages */
        r->done = r->position.end >= 0 && message->offset >= r->position.end;
        break;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        r->lost = true;
        break;
    default:
        if (!may_pass(message->err))
            r->broken = message->err;
    }
    if (r->done || r->lost || r->broken)
        stop_call(r);
}

/* The first message behind a restore: whether it is another than was read at its offset. */
static int verify(struct kafka_reader *r, const rd_kafka_message_t *message)
{
    const struct leat_kafka_print *last = &r->position.last;
    struct print print;
    note_print(message, &print);
    r->verifying = false;
    if (message->offset != last->offset || hash_print(&print) == last->hash)
        return 0; /* it was compacted away: there is nothing to compare */
    return leat__fail(r->reader.ctx, LEAT_EDATA,
        "topic \"%s\", partition %d: the message at offset %" PRId64
        " is another one than was read there: the topic was deleted and made anew. Begin new (restore option "
        "fresh)",
        r->partition->topic, (int)r->partition->partition, last->offset);
}

/* Dead letters have the whole message, and here it still is: the host would find its time unusable when it is gone. */
static bool has_bad_time(struct kafka_reader *r)
{
    const struct leat_source_time *time = &r->reader.node->time;
    struct leat__ctx *ctx = r->reader.ctx;
    const void *record = leat_batch_at(r->batch, r->batch->count - 1);
    const int64_t now_us = time->max_ahead_us > 0 ? ctx->api->now_us(ctx) : 0;
    int64_t us;
    if (leat__source_time_read(
            time, leat__source_time_is_plain(time), leat__source_time_limit(time, now_us), record, &us))
        return false;
    leat__source_time_explain(time, record, ctx->error);
    return true;
}

static int add_row(struct kafka_reader *r, const rd_kafka_message_t *message)
{
    struct leat__ctx *ctx = r->reader.ctx;
    const int code = leat__kafka_read(r->shared->messages, message, r->batch, ctx->error);
    if (code == LEAT_EDATA)
        return leat__kafka_refuse(&r->reader, message);
    if (code < 0)
        return leat__fail_here(ctx);
    if (r->checks_time && has_bad_time(r)) {
        r->batch->count--;
        return leat__kafka_refuse(&r->reader, message);
    }
    r->batch->event_us[r->batch->count - 1] = message->offset; /* for row_position */
    return 0;
}

static void on_message(rd_kafka_message_t *message, void *opaque)
{
    struct kafka_reader *r = opaque;
    if (__builtin_expect(message->err != 0, 0)) {
        on_event(r, message);
        return;
    }
    if (__builtin_expect(r->verifying, 0))
        r->code = verify(r, message);
    if (r->code == 0 && message->offset >= r->position.next) {
        r->at_end = false;
        r->done = r->position.end >= 0 && message->offset >= r->position.end;
        if (!r->done) {
            r->code = add_row(r, message);
            r->position.next = message->offset + 1;
            r->position.is_first = false;
            r->restarts = 0;
            r->bytes += message->len + message->key_len;
            note_print(message, &r->last);
        }
    }
    if (r->code < 0 || r->done || leat__batch_is_full(r->batch) || r->bytes > READ_BYTES_MAX)
        stop_call(r);
}

/* ---- consuming ---- */

/* By a thread of librdkafka: the queue was empty and is not any more. */
static void on_arrival(rd_kafka_t *rk, void *opaque)
{
    (void)rk;
    leat__reader_wake(opaque);
}

static int consume_at(struct kafka_reader *r, int64_t offset)
{
    if (rd_kafka_consume_start_queue(r->topic, r->partition->partition, offset, r->queue) == 0)
        return 0;
    return fail_broken(r, rd_kafka_last_error(), "begin to read");
}

static int start(struct kafka_reader *r)
{
    r->topic = rd_kafka_topic_new(r->shared->client->rk, r->partition->topic, NULL);
    if (!r->topic)
        return fail_broken(r, rd_kafka_last_error(), "begin to read");
    r->queue = rd_kafka_queue_new(r->shared->client->rk);
    rd_kafka_queue_cb_event_enable(r->queue, on_arrival, &r->reader);
    r->verifying = r->position.last.offset >= 0;
    if (!r->sought)
        return consume_at(r, RD_KAFKA_OFFSET_BEGINNING);
    return consume_at(r, r->verifying ? r->position.last.offset : r->position.next);
}

static int restart(struct kafka_reader *r, int64_t offset)
{
    if (++r->restarts > RESTARTS_MAX)
        return fail_broken(r, RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE, "go on in");
    (void)rd_kafka_consume_stop(r->topic, r->partition->partition);
    r->verifying = false;
    return consume_at(r, offset);
}

static int fail_lost(struct kafka_reader *r, int64_t oldest, int64_t end)
{
    const char *topic = r->partition->topic;
    const int partition = (int)r->partition->partition;
    const int64_t next = r->position.next;
    if (next > end)
        return leat__fail(r->reader.ctx, LEAT_EDATA,
            "topic \"%s\", partition %d ends at offset %" PRId64 ", and was read to %" PRId64
            " before: it was deleted and made anew, or the brokers have lost messages. Begin new (restore "
            "option "
            "fresh)",
            topic, partition, end, next);
    return leat__fail(r->reader.ctx, LEAT_EDATA,
        "topic \"%s\", partition %d: offsets %" PRId64 " to %" PRId64
        " were deleted before they were read; the oldest message is %" PRId64
        ". Give the topic more retention (retention.ms, retention.bytes), and begin new (restore option "
        "fresh)",
        topic, partition, next, oldest - 1, oldest);
}

/* The brokers do not have the offset: what was asked for may be the message to compare with, or the oldest of a moment ago. */
static int find_again(struct kafka_reader *r)
{
    int64_t oldest, end;
    const rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(
        r->shared->client->rk, r->partition->topic, r->partition->partition, &oldest, &end, QUERY_TIMEOUT_MS);
    if (code)
        return fail_broken(r, code, "find the offsets of");
    if (r->position.is_first && r->position.next < oldest)
        r->position.next = oldest;
    if (r->position.next < oldest || r->position.next > end)
        return fail_lost(r, oldest, end);
    return restart(r, r->position.next);
}

static void note_lag(struct kafka_reader *r)
{
    int64_t oldest, end;
    if (rd_kafka_get_watermark_offsets(
            r->shared->client->rk, r->partition->topic, r->partition->partition, &oldest, &end))
        return;
    r->reader.lag = end > r->position.next && !r->at_end ? (uint64_t)(end - r->position.next) : 0;
}

/* ---- the class ---- */

static int join(struct kafka_reader *r)
{
    struct leat__ctx *ctx = r->reader.ctx;
    const struct leat_kafka_source *spec = r->spec;
    const uint32_t partitions = (r->partition->partitions + ctx->parallelism - 1) / ctx->parallelism;
    struct shared *shared = ctx->shared;
    r->shared = shared;
    if (shared)
        return 0;
    shared = ctx->shared = r->shared = leat__calloc(1, sizeof *shared);
    if (!shared)
        return leat__fail(ctx, LEAT_ENOMEM, "out of memory for a client of Kafka");
    if (leat__kafka_consumer(spec, ctx->env, partitions, &shared->client, ctx->error) < 0 ||
        leat__kafka_reader_new(spec->layout, &spec->conn, ctx->env, &shared->messages, ctx->error) < 0)
        return leat__fail_here(ctx);
    return 0;
}

static void kafka_leave(struct leat__ctx *ctx)
{
    struct shared *shared = ctx->shared;
    if (!shared)
        return;
    leat__kafka_reader_free(shared->messages);
    leat__kafka_free(shared->client);
    leat__free(shared);
    ctx->shared = NULL;
}

static int kafka_open(struct leat_reader *reader)
{
    struct kafka_reader *r = self(reader);
    r->spec = reader->node->spec;
    r->partition = reader->split->data;
    r->position = (struct leat_kafka_position){ .end = -1, .is_first = true, .last = { .offset = -1 } };
    r->last.offset = -1;
    r->checks_time = reader->node->policy == LEAT_DEAD_LETTER && reader->node->time.field != NULL;
    return join(r);
}

static int kafka_seek(struct leat_reader *reader, const char *text, size_t len)
{
    struct kafka_reader *r = self(reader);
    r->sought = true;
    if (leat__kafka_position_read(text, len, &r->position, reader->ctx->error) < 0)
        return leat__fail_here(reader->ctx);
    return 0;
}

/* Whether there is nothing to read at all: of a bounded job, what has come since, and what was at its end. */
static bool is_over(const struct kafka_reader *r)
{
    return r->done || (r->spec->bounded && (!r->sought || r->position.next >= r->position.end));
}

/* What one call has come to. */
static int outcome(struct kafka_reader *r)
{
    struct leat_env *env = r->reader.ctx->env;
    leat__count(&r->reader.ctx->counters->bytes_in, r->bytes);
    if (r->code < 0)
        return r->code;
    if (r->broken)
        return fail_broken(r, r->broken, "read");
    if (r->lost) {
        LEAT_TRY(find_again(r));
        return LEAT_READ_ROWS;
    }
    if (is_over(r))
        return LEAT_READ_END;
    note_lag(r);
    if (r->bytes > 0)
        leat__kafka_refusal_end(&r->shared->client->refusal);
    if (r->yielded)
        return LEAT_READ_ROWS;
    (void)rd_kafka_poll(
        r->shared->client->rk, 0); /* what librdkafka has to say of itself, before it piles up */
    if (leat__kafka_refusal_lasts(&r->shared->client->refusal, LEAT_KAFKA_REFUSED_MS))
        return fail_broken(r, RD_KAFKA_RESP_ERR__TRANSPORT, "read");
    r->reader.has_more = !r->at_end;
    r->reader.wake_us = env->wall_us(env) + LISTEN_US; /* or on_arrival */
    return LEAT_READ_WAIT;
}

static int kafka_read(struct leat_reader *reader, struct leat_batch *batch)
{
    struct kafka_reader *r = self(reader);
    if (is_over(r))
        return LEAT_READ_END;
    if (!r->queue)
        LEAT_TRY(start(r));
    r->batch = batch;
    r->bytes = 0;
    r->code = 0;
    r->broken = 0;
    r->yielded = r->lost = false;
    (void)rd_kafka_consume_callback_queue(r->queue, 0, on_message, r);
    return outcome(r);
}

static int kafka_position(struct leat_reader *reader, struct leat_strbuf *out)
{
    const struct kafka_reader *r = self(reader);
    struct leat_kafka_position position = r->position;
    if (r->last.offset >= 0)
        position.last = (struct leat_kafka_print){ r->last.offset, hash_print(&r->last) };
    leat__kafka_position_write(&position, out);
    return out->failed ? leat__fail(reader->ctx, LEAT_ENOMEM, "out of memory for a position") : 0;
}

static int64_t kafka_row_position(
    const struct leat_reader *reader, const struct leat_batch *batch, uint32_t row)
{
    (void)reader;
    return batch->event_us[row];
}

static void kafka_close(struct leat_reader *reader)
{
    struct kafka_reader *r = self(reader);
    if (r->queue) {
        rd_kafka_queue_cb_event_enable(r->queue, NULL, NULL);
        (void)rd_kafka_consume_stop(r->topic, r->partition->partition);
        rd_kafka_queue_destroy(r->queue);
    }
    if (r->topic)
        rd_kafka_topic_destroy(r->topic);
    r->queue = NULL;
    r->topic = NULL;
}

const struct leat_source_class leat__kafka_source_class = {
    .kind = "Kafka source",
    .reader_size = sizeof(struct kafka_reader),
    .list_splits = leat__kafka_list_splits,
    .open = kafka_open,
    .read = kafka_read,
    .position = kafka_position,
    .seek = kafka_seek,
    .close = kafka_close,
    .leave = kafka_leave,
    .row_position = kafka_row_position,
    .discover = leat__kafka_discover,
    .publish = leat__kafka_publish,
    .unpublish = leat__kafka_unpublish,
};
