/* connectors/kafka/sink.c -- rows to messages, and the sink that has them in an outbox.
 *
 * A row becomes key, value and headers (message_write.c), then it gets its place: topic and partition, which are final from
 * here on. What can not be written, or is larger than its topic takes, is refused here, where the row is known and its
 * policy can be applied, never when it is sent.
 *
 * Streams of changes. INSERT and UPDATE_AFTER write their record, DELETE a message without value. UPDATE_BEFORE is held back:
 * if the row behind it is an UPDATE_AFTER of the same key and place there is nothing to take back; else its
 * key gets a message without value, now or at the end of the epoch at the latest. With op_field every change is a message
 * of its own.
 *
 * Topics that records name are looked at when they come first, and when they come again after a while: that blocks the
 * worker once for each. */
#include "connectors/kafka/sink_private.h"
#include "base/alloc.h"
#include <inttypes.h>
#include <stdio.h>
#include <leat/change.h>
#include <stdlib.h>

struct named_topic {
    char name[LEAT_KAFKA_TOPIC_BYTES_MAX + 1];
    struct leat_kafka_topic topic; /* no partitions: it was not there */
};

struct leat_kafka_topics {
    struct leat_kafka_client *client;
    struct named_topic *topics;
    uint32_t count, capacity, last; /* last: found last */
};

static const char *const op_names[] = { "insert", "update_before", "update_after", "delete" };

/* ---- topics that records name ---- */

static int out_of_memory(struct leat__ctx *ctx)
{
    return leat__error(ctx->error, LEAT_ENOMEM, "out of memory for messages");
}

static int open_topics(struct leat_kafka_rows *rows, struct leat__ctx *ctx)
{
    const struct leat_kafka_target *t = rows->target;
    rd_kafka_conf_t *conf;
    if (!rows->topics)
        rows->topics = leat__calloc(1, sizeof *rows->topics);
    if (!rows->topics)
        return out_of_memory(ctx);
    if (rows->topics->client)
        return 0;
    LEAT_TRY(leat__kafka_conf(&t->conn, LEAT_KAFKA_ADMIN, ctx->env, &conf, ctx->error));
    rows->refresh_ms = leat__kafka_number(conf, "topic.metadata.refresh.interval.ms");
    return leat__kafka_new(&t->conn, LEAT_KAFKA_ADMIN, conf, NULL, &rows->topics->client, ctx->error);
}

static bool is_named(const struct named_topic *topic, struct leat_sv name)
{
    return strncmp(topic->name, name.data, name.len) == 0 && topic->name[name.len] == '\0';
}

/* Asks the brokers; what is not there is remembered, too. */
static int look_at(struct leat_kafka_rows *rows, struct leat__ctx *ctx, struct leat_sv name)
{
    const struct leat_kafka_target *t = rows->target;
    struct leat_kafka_topics *all = rows->topics;
    if (all->count == all->capacity) {
        const uint32_t capacity = all->capacity ? 2 * all->capacity : 8;
        struct named_topic *topics = leat__realloc(all->topics, capacity * sizeof *topics);
        if (!topics)
            return out_of_memory(ctx);
        all->topics = topics;
        all->capacity = capacity;
    }
    struct named_topic *topic = &all->topics[all->count];
    *topic = (struct named_topic){ 0 };
    memcpy(topic->name, name.data, name.len); /* the writer has checked its length */
    int code = leat__kafka_topic_look(all->client, topic->name, &topic->topic, ctx->error);
    if (code == LEAT_ENOTFOUND && t->partitions) {
        LEAT_TRY(leat__kafka_topic_make(
            all->client, topic->name, t->partitions, t->replication, NULL, ctx->error));
        code = leat__kafka_topic_look(all->client, topic->name, &topic->topic, ctx->error);
    }
    if (code < 0 && code != LEAT_ENOTFOUND)
        return code;
    all->last = all->count++;
    return 0;
}

/* LEAT_EDATA where there is no such topic. */
static int find_topic(struct leat_kafka_rows *rows, struct leat__ctx *ctx, struct leat_sv name,
    const struct leat_kafka_topic **found)
{
    LEAT_TRY(open_topics(rows, ctx));
    struct leat_kafka_topics *all = rows->topics;
    if (all->last >= all->count || !is_named(&all->topics[all->last], name)) {
        for (all->last = 0; all->last < all->count; all->last++)
            if (is_named(&all->topics[all->last], name))
                break;
        if (all->last == all->count)
            LEAT_TRY(look_at(rows, ctx, name));
    }
    *found = &all->topics[all->last].topic;
    if ((*found)->partitions == 0)
        return leat__error(ctx->error, LEAT_EDATA,
            "there is no topic \"%.*s\": create it, or set .partitions", (int)name.len, name.data);
    return 0;
}

/* At the end of an epoch: those that were not there may have come, now and then the others may have grown. */
static void forget_topics(struct leat_kafka_topics *all, bool of_age)
{
    if (all && of_age)
        all->count = all->last = 0;
    for (uint32_t i = 0; all && i < all->count; i++)
        if (all->topics[i].topic.partitions == 0)
            all->topics[i--] = all->topics[--all->count];
}

/* ---- places ---- */

static int choose_partition(struct leat_kafka_rows *rows, const struct leat_kafka_topic *topic,
    struct leat_outbox_record *r, struct leat_error *err)
{
    const struct leat_kafka_target *t = rows->target;
    if (r->partition < 0) {
        if (t->partition)
            r->partition = t->partition(t->partition_arg, r->key, topic->partitions);
        else if (r->key.data)
            r->partition = (int32_t)leat__kafka_partition_of_key(r->key, topic->partitions);
        else
            r->partition = (int32_t)leat__kafka_spread(
                &rows->spread, (size_t)leat__kafka_record_bytes(r), topic->partitions);
    }
    if (r->partition >= 0 && (uint32_t)r->partition < topic->partitions)
        return 0;
    return leat__error(err, LEAT_EDATA, "there is no partition %" PRId32 ": the topic has %" PRIu32,
        r->partition, topic->partitions);
}

static int place(struct leat_kafka_rows *rows, struct leat__ctx *ctx,
    const struct leat_kafka_written *written, struct leat_outbox_record *r)
{
    const struct leat_kafka_topic *topic = &rows->topic;
    *r = (struct leat_outbox_record){ .partition = written->partition,
        .time_us = written->time_us,
        .topic = written->topic,
        .key = written->key,
        .value = written->value,
        .headers = written->headers };
    if (written->topic.len > 0)
        LEAT_TRY(find_topic(rows, ctx, written->topic, &topic));
    else if (!rows->target->topic)
        return leat__error(ctx->error, LEAT_EDATA, "it names no topic, and the sink has none");
    LEAT_TRY(choose_partition(rows, topic, r, ctx->error));
    const uint64_t bytes = leat__kafka_record_bytes(r);
    if (bytes > topic->bytes_max)
        return leat__error(ctx->error, LEAT_EDATA,
            "a message of %" PRIu64 " bytes: its topic takes at most %" PRIu32
            " (max.message.bytes of the topic, message.max.bytes of the sink)",
            bytes, topic->bytes_max);
    if (bytes > rows->client_bytes)
        return leat__error(ctx->error, LEAT_EDATA,
            "a message of %" PRIu64 " bytes: the sink writes at most %" PRIu32
            " (property message.max.bytes)",
            bytes, rows->client_bytes);
    return 0;
}

/* ---- changes ---- */

static bool is_same(struct leat_sv a, struct leat_sv b)
{
    return (a.data == NULL) == (b.data == NULL) && leat_sv_eq(a, b);
}

static bool replaces(const struct leat_kafka_rows *rows, const struct leat_outbox_record *r)
{
    const struct leat_outbox_record *held = &rows->held_record;
    return rows->holds && held->partition == r->partition && is_same(held->key, r->key) &&
        leat_sv_eq(held->topic, r->topic);
}

static struct leat_sv keep(struct leat_strbuf *to, struct leat_sv part)
{
    const size_t at = to->len;
    leat__strbuf_add(to, part.data, part.len);
    if (!part.data || to->failed)
        return (struct leat_sv){ NULL, 0 };
    return (struct leat_sv){ to->data + at, part.len };
}

static int hold(struct leat_kafka_rows *rows, struct leat__ctx *ctx, const struct leat_outbox_record *r)
{
    leat__strbuf_clear(&rows->held);
    if (!leat__strbuf_reserve(&rows->held, r->topic.len + r->key.len + r->headers.len))
        return out_of_memory(ctx); /* so that the parts stay where they are put */
    rows->held_record = *r;
    rows->held_record.topic = keep(&rows->held, r->topic);
    rows->held_record.key = keep(&rows->held, r->key);
    rows->held_record.headers = keep(&rows->held, r->headers);
    rows->holds = true;
    return 0;
}

int leat__kafka_rows_end(struct leat_kafka_rows *rows, struct leat__ctx *ctx)
{
    if (!rows->holds)
        return 0;
    const int code = rows->take(rows, ctx, &rows->held_record);
    if (code == 0)
        rows->holds = false;
    return code;
}

/* ---- rows ---- */

static int encode_row(struct leat_kafka_rows *rows, struct leat__ctx *ctx, const struct leat_batch *batch,
    bool removes, struct leat_kafka_written *written)
{
    const struct leat_kafka_target *t = rows->target;
    const void *record = leat_batch_at(batch, rows->at);
    if (t->letters)
        return leat__kafka_letter_write(t->letters, t->topic, record, &rows->headers, written, ctx->error);
    return leat__kafka_write(rows->writer, record, t->has_event_time ? batch->event_us[rows->at] : INT64_MIN,
        removes, written, ctx->error);
}

static int write_row(struct leat_kafka_rows *rows, struct leat__ctx *ctx, const struct leat_batch *batch)
{
    const struct leat_kafka_target *t = rows->target;
    const enum leat_change change = leat__batch_change(batch, rows->at);
    const bool replaced = t->changes && !t->op_json;
    const bool removes = replaced && (change == LEAT_UPDATE_BEFORE || change == LEAT_DELETE);
    struct leat_kafka_written written;
    struct leat_outbox_record r;
    LEAT_TRY(encode_row(rows, ctx, batch, removes, &written));
    if (t->op_json && written.value.data)
        LEAT_TRY(leat__kafka_write_op(rows->writer, t->op_json, op_names[change], &written, ctx->error));
    if (replaced && !written.key.data)
        return leat__error(ctx->error, LEAT_EDATA, "a change without a key");
    LEAT_TRY(place(rows, ctx, &written, &r));
    if (change == LEAT_UPDATE_AFTER && replaces(rows, &r))
        rows->holds = false; /* when it is taken: until then the row comes again, and finds nothing held */
    const int code = leat__kafka_rows_end(rows, ctx);
    if (code != 0)
        return code;
    return replaced && change == LEAT_UPDATE_BEFORE ? hold(rows, ctx, &r) : rows->take(rows, ctx, &r);
}

int leat__kafka_rows_write(
    struct leat_kafka_rows *rows, struct leat__ctx *ctx, const struct leat_batch *batch)
{
    int code = 0;
    leat__ctx_begin(ctx, batch, NULL);
    while (code == 0 && rows->at < batch->count) {
        code = write_row(rows, ctx, batch);
        if (code == LEAT_EDATA || code == LEAT_ELIMIT) {
            leat__ctx_refuse(ctx, rows->at, "%s", ctx->error->message);
            code = 0;
        }
        if (code == 0)
            rows->at++;
    }
    if (code < 0)
        return leat__fail_here(ctx);
    LEAT_TRY(leat__ctx_end(ctx, batch, NULL));
    return code;
}

static void look_at_own(struct leat_kafka_rows *rows, const struct leat_kafka_topic *seen)
{
    rows->topic.partitions = __atomic_load_n(&seen->partitions, __ATOMIC_RELAXED);
    rows->topic.bytes_max = __atomic_load_n(&seen->bytes_max, __ATOMIC_RELAXED);
}

int leat__kafka_rows_open(struct leat_kafka_rows *rows, struct leat__ctx *ctx)
{
    rows->target = rows->sink.node->spec;
    rows->spread.next = ctx->subtask;
    rows->looked_ns = ctx->env->mono_ns(ctx->env);
    look_at_own(rows, rows->target->seen);
    rows->client_bytes = rows->topic.bytes_max;
    if (rows->target->letters)
        return 0;
    const int code = leat__kafka_writer_new(
        rows->target->layout, &rows->target->conn, ctx->env, &rows->writer, ctx->error);
    return code < 0 ? leat__fail_here(ctx) : 0;
}

void leat__kafka_rows_close(struct leat_kafka_rows *rows)
{
    leat__kafka_writer_free(rows->writer);
    leat__strbuf_release(&rows->held);
    leat__strbuf_release(&rows->headers);
    if (!rows->topics)
        return;
    leat__kafka_free(rows->topics->client);
    leat__free(rows->topics->topics);
    leat__free(rows->topics);
}

void leat__kafka_rows_next(
    struct leat_kafka_rows *rows, struct leat__ctx *ctx, const struct leat_kafka_topic *seen)
{
    forget_topics(
        rows->topics, rows->topics && leat__kafka_look_is_due(ctx->env, rows->refresh_ms, &rows->looked_ns));
    look_at_own(rows, seen);
}

/* ---- what a checkpoint knows: "1 <partitions>" ---- */

int leat__kafka_rows_snapshot(struct leat_sink *sink, struct leat__ctx *ctx, struct leat_strbuf *out)
{
    const struct leat_kafka_rows *rows = (const struct leat_kafka_rows *)(const void *)sink;
    (void)ctx;
    leat__strbuf_printf(out, "1 %" PRIu32, rows->topic.partitions);
    return 0;
}

int leat__kafka_rows_partitions(struct leat_sv saved, uint32_t *partitions, struct leat_error *err)
{
    char text[32], *end;
    if (saved.len < 3 || saved.len >= sizeof text || memcmp(saved.data, "1 ", 2) != 0)
        return leat__error(err, LEAT_EDATA, "what the checkpoint has of the Kafka sink is damaged");
    memcpy(text, saved.data, saved.len);
    text[saved.len] = '\0';
    *partitions = (uint32_t)strtoul(text + 2, &end, 10);
    return *end ? leat__error(err, LEAT_EDATA, "what the checkpoint has of the Kafka sink is damaged") : 0;
}

int leat__kafka_rows_restore(
    struct leat_sink *sink, struct leat__ctx *ctx, const struct leat_sv *parts, uint32_t count)
{
    (void)sink; /* recover has looked at them: whatever the topic has now is what new rows go by */
    (void)ctx;
    (void)parts;
    (void)count;
    return 0;
}

/* ---- exactly once ---- */

static int take(struct leat_kafka_rows *rows, struct leat__ctx *ctx, const struct leat_outbox_record *record)
{
    (void)rows;
    return leat__outbox_add(ctx, record);
}

static int once_open(struct leat_sink *sink, struct leat__ctx *ctx)
{
    struct leat_kafka_rows *rows = (struct leat_kafka_rows *)(void *)sink;
    rows->take = take;
    return leat__kafka_rows_open(rows, ctx);
}

static int once_on_batch(struct leat_sink *sink, struct leat__ctx *ctx, struct leat_batch *batch)
{
    struct leat_kafka_rows *rows = (struct leat_kafka_rows *)(void *)sink;
    rows->at = 0;
    const int code = leat__kafka_rows_write(rows, ctx, batch);
    leat__batch_release(batch);
    return code;
}

static int once_prepare(struct leat_sink *sink, struct leat__ctx *ctx, uint64_t epoch, bool last,
    struct leat_handle_list *handles)
{
    struct leat_kafka_rows *rows = (struct leat_kafka_rows *)(void *)sink;
    (void)epoch;
    (void)last;
    (void)handles;
    LEAT_TRY(leat__kafka_rows_end(rows, ctx));
    leat__kafka_rows_next(rows, ctx, rows->target->seen);
    return 0;
}

static void once_close(struct leat_sink *sink, struct leat__ctx *ctx)
{
    (void)ctx;
    leat__kafka_rows_close((struct leat_kafka_rows *)(void *)sink);
}

const struct leat_sink_class leat__kafka_once_class = {
    .kind = "Kafka sink",
    .size = sizeof(struct leat_kafka_rows),
    .check = leat__kafka_sink_check,
    .recover = leat__kafka_sink_recover,
    .open = once_open,
    .on_batch = once_on_batch,
    .prepare = once_prepare,
    .snapshot = leat__kafka_rows_snapshot,
    .restore = leat__kafka_rows_restore,
    .close = once_close,
    .seize = leat__kafka_seize,
    .fence = leat__kafka_fence,
    .transact = leat__kafka_transact,
    .release = leat__kafka_release,
};
