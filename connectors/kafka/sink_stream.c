/* connectors/kafka/sink_stream.c -- at least once: messages go out while rows come.
 *
 * Each instance has a producer. A batch is given to it row by row; when its buffer is full the rest of the batch stays here
 * and the instance waits (LEAT_WAIT), until delivery reports have made room: librdkafka calls when there are any, on a
 * thread of its own, and `woken` brings the worker to step. At a barrier, and at the end, the instance waits in the same way
 * until every message has arrived; so a checkpoint never counts a row that the brokers do not have.
 *
 * More partitions. At the end of an epoch, when it is time, the client is asked for the topic's configuration; the answer
 * comes on librdkafka's background thread, which then waits for the topic's metadata, too. So the worker waits for nothing,
 * and no row is given a partition that this client does not know.
 *
 * Invariants: (1) arrived <= given, and only the worker counts them; (2) a message that did not arrive fails the job: what
 * follows from it comes again from the checkpoint. */
#include "base/waker.h"
#include "connectors/kafka/sink_private.h"
#include <inttypes.h>

struct stream {
    struct leat_kafka_rows rows; /* first */
    struct leat_kafka_client *client;
    struct leat_kafka_handles handles;
    rd_kafka_queue_t *reports;
    struct leat_waker *waker;
    uint32_t woken; /* atomic */
    struct leat_batch *batch; /* whose rows from rows.at on wait; NULL: none */
    bool flushing;
    uint64_t given, arrived;
    rd_kafka_resp_err_t failure;
    struct leat_kafka_topic topic; /* the sink's own, as this client knows it; atomic fields */
    rd_kafka_queue_t *looks; /* served by a thread of librdkafka's */
    bool looking; /* atomic: it has the topic in hand */
    int64_t refresh_ms, looked_ns;
};

static struct stream *self(struct leat_sink *sink)
{
    return (struct stream *)(void *)sink;
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    struct stream *s = leat__kafka_client(opaque)->owner;
    (void)rk;
    s->arrived++;
    if (!message->err)
        leat__kafka_refusal_end(&s->client->refusal);
    if (message->err && !s->failure)
        s->failure = message->err;
}

/* On a thread of librdkafka's. */
static void on_reports(rd_kafka_t *rk, void *arg)
{
    struct stream *s = arg;
    (void)rk;
    __atomic_store_n(&s->woken, 1, __ATOMIC_SEQ_CST);
    if (s->waker)
        leat__waker_wake(s->waker);
}

static int check_failure(struct stream *s, struct leat__ctx *ctx)
{
    if (!s->failure && leat__kafka_refusal_lasts(&s->client->refusal, LEAT_KAFKA_REFUSED_MS))
        s->failure = RD_KAFKA_RESP_ERR__TRANSPORT; /* messages would time out, much later */
    if (s->failure &&
        leat__kafka_not_written(s->rows.target, s->client, &s->handles, s->failure, ctx->error) < 0)
        return leat__fail_here(ctx);
    return 0;
}

static int take(struct leat_kafka_rows *rows, struct leat__ctx *ctx, const struct leat_outbox_record *r)
{
    struct stream *s = (struct stream *)(void *)rows;
    const struct leat_sv topic = r->topic.len > 0 ? r->topic : leat_sv_of(rows->target->topic);
    rd_kafka_topic_t *handle = leat__kafka_handle(&s->handles, s->client->rk, topic);
    const rd_kafka_resp_err_t code =
        handle ? leat__kafka_produce_there(s->client, handle, r) : rd_kafka_last_error();
    if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL)
        return LEAT_WAIT;
    if (code)
        return leat__kafka_not_written(rows->target, s->client, &s->handles, code, ctx->error);
    s->given++;
    leat__count(&ctx->counters->bytes_out, r->key.len + r->value.len);
    return 0;
}

/* What is left of the batch. */
static int go_on(struct stream *s, struct leat__ctx *ctx)
{
    const int code = leat__kafka_rows_write(&s->rows, ctx, s->batch);
    if (code != 0)
        return code;
    leat__batch_release(s->batch);
    s->batch = NULL;
    return 0;
}

/* ---- more partitions ---- */

/* On librdkafka's background thread. */
static void on_look(rd_kafka_t *rk, rd_kafka_event_t *event, void *opaque)
{
    struct stream *s = leat__kafka_client(opaque)->owner;
    (void)rk;
    if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DESCRIBECONFIGS_RESULT) {
        leat__kafka_topic_looked(event, s->client, s->rows.target->topic, &s->topic);
        __atomic_clear(&s->looking, __ATOMIC_RELEASE);
    }
    rd_kafka_event_destroy(event);
}

static void look_again(struct stream *s, struct leat_env *env)
{
    if (s->rows.target->topic && leat__kafka_look_is_due(env, s->refresh_ms, &s->looked_ns) &&
        !__atomic_test_and_set(&s->looking, __ATOMIC_ACQUIRE))
        leat__kafka_topic_ask(s->client->rk, s->rows.target->topic, s->looks);
}

/* ---- the instance ---- */

static int stream_open(struct leat_sink *sink, struct leat__ctx *ctx)
{
    struct stream *s = self(sink);
    rd_kafka_conf_t *conf;
    s->rows.take = take;
    s->waker = ctx->waker;
    ctx->woken = &s->woken;
    LEAT_TRY(leat__kafka_rows_open(&s->rows, ctx));
    if (leat__kafka_producer_conf(s->rows.target, LEAT_KAFKA_PRODUCER, ctx->env, &conf, ctx->error) < 0)
        return leat__fail_here(ctx);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_background_event_cb(conf, on_look);
    s->topic = s->rows.topic;
    s->looked_ns = ctx->env->mono_ns(ctx->env);
    s->refresh_ms = leat__kafka_number(conf, "topic.metadata.refresh.interval.ms");
    if (leat__kafka_new(&s->rows.target->conn, LEAT_KAFKA_PRODUCER, conf, s, &s->client, ctx->error) < 0)
        return leat__fail_here(ctx);
    s->reports = rd_kafka_queue_get_main(s->client->rk);
    rd_kafka_queue_cb_event_enable(s->reports, on_reports, s);
    s->looks = rd_kafka_queue_get_background(s->client->rk);
    return 0;
}

static int stream_on_batch(struct leat_sink *sink, struct leat__ctx *ctx, struct leat_batch *batch)
{
    struct stream *s = self(sink);
    LEAT_ASSERT(!s->batch);
    s->batch = batch;
    s->rows.at = 0;
    return go_on(s, ctx);
}

/* Whether all have arrived. */
static int wait_for_all(struct stream *s, struct leat__ctx *ctx)
{
    const int code = leat__kafka_rows_end(&s->rows, ctx);
    if (code < 0)
        return leat__fail_here(ctx);
    s->flushing = code == LEAT_WAIT || s->arrived < s->given;
    return s->flushing ? LEAT_WAIT : 0;
}

static int stream_step(struct leat_sink *sink, struct leat__ctx *ctx)
{
    struct stream *s = self(sink);
    __atomic_store_n(
        &s->woken, 0, __ATOMIC_SEQ_CST); /* before reports are taken: what comes later wakes again */
    (void)rd_kafka_poll(s->client->rk, 0);
    LEAT_TRY(check_failure(s, ctx));
    if (s->batch)
        return go_on(s, ctx);
    return s->flushing ? wait_for_all(s, ctx) : 0;
}

static int stream_flush(struct leat_sink *sink, struct leat__ctx *ctx)
{
    struct stream *s = self(sink);
    (void)rd_kafka_poll(s->client->rk, 0);
    LEAT_TRY(check_failure(s, ctx));
    return wait_for_all(s, ctx);
}

static int stream_prepare(struct leat_sink *sink, struct leat__ctx *ctx, uint64_t epoch, bool last,
    struct leat_handle_list *handles)
{
    struct stream *s = self(sink);
    (void)epoch;
    (void)last;
    (void)handles;
    LEAT_ASSERT(!s->batch && s->arrived == s->given);
    leat__kafka_rows_next(&s->rows, ctx, &s->topic);
    look_again(s, ctx->env);
    return 0;
}

static void stream_close(struct leat_sink *sink, struct leat__ctx *ctx)
{
    struct stream *s = self(sink);
    ctx->woken = NULL;
    leat__batch_release(s->batch);
    leat__kafka_rows_close(&s->rows);
    leat__kafka_handles_release(&s->handles);
    if (s->reports) {
        rd_kafka_queue_cb_event_enable(s->reports, NULL, NULL);
        rd_kafka_queue_destroy(s->reports);
    }
    if (s->looks)
        rd_kafka_queue_destroy(s->looks);
    if (s->client)
        (void)rd_kafka_purge(s->client->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    leat__kafka_free(s->client);
}

const struct leat_sink_class leat__kafka_stream_class = {
    .kind = "Kafka sink",
    .size = sizeof(struct stream),
    .check = leat__kafka_sink_check,
    .recover = leat__kafka_sink_recover,
    .open = stream_open,
    .on_batch = stream_on_batch,
    .step = stream_step,
    .flush = stream_flush,
    .prepare = stream_prepare,
    .snapshot = leat__kafka_rows_snapshot,
    .restore = leat__kafka_rows_restore,
    .close = stream_close,
};
