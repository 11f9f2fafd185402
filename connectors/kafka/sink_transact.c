/* connectors/kafka/sink_transact.c -- the coordinator's side: outboxes to topics, each epoch of a slot in a transaction.
 *
 * A producer per slot, transactional.id "leat-JOB-LIFE-NODE-SLOT", kept from fence to the first failure:
 *
 *   seize      another producer may have the slot: initialising ours shuts it out and aborts what it had open. All slots
 *              first, for what is open anywhere holds back the markers of all
 *   fence      read the marker; then write it again with our name as its owner, so that whoever is shut out can see by whom
 *   transact   begin | all records, the marker | all have arrived | end
 *
 * What failures mean (reliability: 13, 22-29):
 *   the end has no answer      nobody knows: LEAT_ETIMEOUT. The producer goes; who fences next and reads the marker knows
 *   shut out                   by the brokers, for the transaction took too long: nothing was written, LEAT_ETIMEOUT. By
 *                              another process, which is the marker's owner then: LEAT_EEXISTS, and this one must end
 *   anything else              aborted, and the producer goes: what may pass is LEAT_ECONNECT or LEAT_ETIMEOUT
 *
 * Invariants: (1) a producer that has failed is never used again: a late request of its can then end nothing; (2) nor
 * is one whose transaction has ended well, but not without trouble: where a connection was lost librdkafka asks again by
 * itself, and the first request to end may still be on its way, into the next transaction; (3) a transaction is ended only
 * when as many messages have arrived as were given, the marker too. */
#include "base/alloc.h"
#include "base/point.h"
#include "connectors/kafka/sink_private.h"
#include <inttypes.h>
#include <stdio.h>

#define ABORT_TIMEOUT_MS 5000 /* what is not aborted then is when the slot is fenced */
#define POLL_MS 100
#define ATTEMPTS_MAX 3u /* to get a producer that has met with no trouble */
#define POLL_EVERY 512 /* messages */

struct leat_kafka_producer {
    struct leat_kafka_producer *next;
    const struct leat_kafka_target *target;
    struct leat_env *env;
    struct leat_kafka_client *client;
    struct leat_kafka_handles handles;
    char *marker_key; /* JOB-LIFE/NODE/SLOT */
    int32_t marker_partition;
    uint64_t owner; /* drawn when it was made */
    bool takes_over; /* its own marker is not there yet ... */
    struct leat_kafka_marker former; /* ... but this one, of owner 0 where there was none */
    bool is_new; /* seized, and not fenced yet */
    uint64_t given, arrived; /* messages of the open transaction */
    rd_kafka_resp_err_t failure; /* of the first that did not arrive */
    int64_t refresh_ms, looked_ns; /* how often the topic is looked at, and when that was */
    int patience_ms; /* transaction.timeout.ms: by then the brokers have ended what is open */
    bool is_worn; /* the last transaction has met with trouble (2) */
    uint32_t troubles; /* of the client, before it */
};

static int out_of_memory(struct leat_error *err)
{
    return leat__error(err, LEAT_ENOMEM, "out of memory for a producer");
}

/* ---- life ---- */

static void free_producer(struct leat_kafka_producer *p)
{
    leat__kafka_handles_release(&p->handles);
    if (p->client)
        (void)rd_kafka_purge(p->client->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    leat__kafka_free(p->client);
    leat__free(p->marker_key);
    leat__free(p);
}

static char *key_of(const struct leat_slot *slot)
{
    const size_t size = strlen(slot->job) + strlen(slot->node) + 16;
    char *key = leat__malloc(size);
    if (key)
        (void)snprintf(key, size, "%s/%s/%" PRIu32, slot->job, slot->node, slot->slot);
    return key;
}

/* Where the slot's producer hangs, or would; NULL when out of memory. */
static struct leat_kafka_producer **find(struct leat_kafka_producers *all, const struct leat_slot *slot)
{
    struct leat_kafka_producer **at = &all->first;
    char *key = key_of(slot);
    if (!key)
        return NULL;
    while (*at && strcmp((*at)->marker_key, key) != 0)
        at = &(*at)->next;
    leat__free(key);
    return at;
}

static void drop(struct leat_kafka_producer **at)
{
    struct leat_kafka_producer *p = *at;
    if (!p)
        return;
    *at = p->next;
    free_producer(p);
}

void leat__kafka_release(const struct leat_node *node, struct leat_env *env, const struct leat_slot *slot)
{
    const struct leat_kafka_target *target = node->spec;
    struct leat_kafka_producer **at = find(target->producers, slot);
    (void)env;
    if (at)
        drop(at);
    if (!target->producers->first) {
        leat__kafka_markers_free(target->producers->markers);
        target->producers->markers = NULL;
    }
}

/* Of another message's failure: then that one's is the cause. */
static bool is_consequence(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__PURGE_QUEUE || code == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT ||
        code == RD_KAFKA_RESP_ERR__STATE;
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    struct leat_kafka_producer *p = leat__kafka_client(opaque)->owner;
    (void)rk;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        p->arrived++;
        leat__kafka_refusal_end(&p->client->refusal);
    } else if (!p->failure || is_consequence(p->failure)) {
        p->failure = message->err;
    }
}

static int open_client(struct leat_kafka_producer *p, const struct leat_slot *slot, struct leat_error *err)
{
    rd_kafka_conf_t *conf;
    char id[512];
    const int len = snprintf(id, sizeof id, "leat-%s-%s-%" PRIu32, slot->job, slot->node, slot->slot);
    if ((size_t)len >= sizeof id)
        return leat__error(err, LEAT_ELIMIT, "the names of job and sink are too long for a transactional.id");
    LEAT_TRY(leat__kafka_sink_look(p->target, p->env, err));
    LEAT_TRY(leat__kafka_producer_conf(p->target, LEAT_KAFKA_TRANSACTIONAL, p->env, &conf, err));
    p->patience_ms = (int)leat__kafka_number(conf, "transaction.timeout.ms");
    p->refresh_ms = leat__kafka_number(conf, "topic.metadata.refresh.interval.ms");
    p->looked_ns = p->env->mono_ns(p->env);
    const int code = leat__kafka_set(conf, "transactional.id", id, err);
    if (code < 0) {
        rd_kafka_conf_destroy(conf);
        return code;
    }
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    return leat__kafka_new(&p->target->conn, LEAT_KAFKA_TRANSACTIONAL, conf, p, &p->client, err);
}

static int new_producer(const struct leat_kafka_target *target, struct leat_env *env,
    const struct leat_slot *slot, struct leat_kafka_producer **made, struct leat_error *err)
{
    struct leat_kafka_producer *p = leat__calloc(1, sizeof *p);
    *made = NULL;
    if (!p)
        return out_of_memory(err);
    p->target = target;
    p->env = env;
    p->owner = env->random(env);
    p->marker_key = key_of(slot);
    const int code = p->marker_key ? open_client(p, slot, err) : out_of_memory(err);
    if (code < 0)
        free_producer(p);
    else
        *made = p;
    return code;
}

/* ---- failures ---- */

static bool is_shut_out(const struct leat_kafka_producer *p, rd_kafka_resp_err_t code)
{
    char text[8];
    const rd_kafka_resp_err_t fatal = rd_kafka_fatal_error(p->client->rk, text, sizeof text);
    const rd_kafka_resp_err_t codes[] = { code, fatal };
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (codes[i] == RD_KAFKA_RESP_ERR__FENCED || codes[i] == RD_KAFKA_RESP_ERR_PRODUCER_FENCED ||
            codes[i] == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH)
            return true;
    return false;
}

/* Somebody has raised the epoch of our transactional.id: another process, or the brokers for lack of patience. */
static int shut_out(struct leat_kafka_producer *p, const char *doing, struct leat_error *err)
{
    struct leat_kafka_marker marker;
    const int there = leat__kafka_markers_read(p->target->producers->markers, p->marker_key, &marker, err);
    if (there < 0)
        return there;
    if (!there)
        marker = (struct leat_kafka_marker){ 0 };
    if ((there && marker.owner == p->owner) || (p->takes_over && marker.owner == p->former.owner))
        return leat__error(err, LEAT_ETIMEOUT,
            "could not %s: the brokers have ended the transaction, for it took longer than "
            "transaction.timeout.ms",
            doing);
    return leat__error(err, LEAT_EEXISTS,
        "could not %s: another process has taken over %s (RD_KAFKA_RESP_ERR__FENCED)", doing, p->marker_key);
}

/* Of a transaction that has surely not been ended. */
static int failed(struct leat_kafka_producer *p, rd_kafka_resp_err_t code, const char *text,
    const char *doing, struct leat_error *err)
{
    if (is_shut_out(p, code))
        return shut_out(p, doing, err);
    const int ours = leat__kafka_error(p->client, code, text, doing, err);
    if (ours != LEAT_EIO && ours != LEAT_EEXISTS)
        return ours;
    err->code = LEAT_ECONNECT; /* a new producer may well do it: sequences, epochs, states of the brokers */
    return LEAT_ECONNECT;
}

static int failed_call(
    struct leat_kafka_producer *p, rd_kafka_error_t *error, const char *doing, struct leat_error *err)
{
    const int code = failed(p, rd_kafka_error_code(error), rd_kafka_error_string(error), doing, err);
    rd_kafka_error_destroy(error);
    return code;
}

/* The transaction comes to nothing; where that can not be said to the brokers the next fence does it. */
static void abort_transaction(struct leat_kafka_producer *p)
{
    rd_kafka_error_t *error = rd_kafka_abort_transaction(p->client->rk, ABORT_TIMEOUT_MS);
    if (error)
        rd_kafka_error_destroy(error);
}

/* `code`: of the call, if it was one that has failed. Where it is but a consequence the cause is what the transaction can
 * not go on for, which librdkafka tells whoever wants to begin another one. */
static int not_written(struct leat_kafka_producer *p, rd_kafka_resp_err_t code, struct leat_error *err)
{
    char text[256] = "";
    if (p->failure)
        code = p->failure;
    rd_kafka_error_t *cause = is_consequence(code) ? rd_kafka_begin_transaction(p->client->rk) : NULL;
    if (cause && !is_consequence(rd_kafka_error_code(cause))) {
        code = rd_kafka_error_code(cause);
        (void)snprintf(text, sizeof text, "%s", rd_kafka_error_string(cause));
    }
    if (cause)
        rd_kafka_error_destroy(cause);
    if (code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION || code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
        code == RD_KAFKA_RESP_ERR_INVALID_RECORD || code == RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP)
        return leat__kafka_not_written(p->target, p->client, &p->handles, code, err);
    return failed(p, code, text, "write a message", err);
}

/* ---- a transaction ---- */

/* Time that messages may take: librdkafka gives up each by itself (delivery.timeout.ms), so this is only never. */
static int give(struct leat_kafka_producer *p, struct leat_sv topic, const struct leat_outbox_record *record,
    struct leat_error *err)
{
    rd_kafka_topic_t *handle = leat__kafka_handle(&p->handles, p->client->rk, topic);
    rd_kafka_resp_err_t code;
    if (!handle)
        return failed(p, rd_kafka_last_error(), NULL, "open a topic", err);
    if (++p->given % POLL_EVERY == 0)
        (void)rd_kafka_poll(p->client->rk, 0);
    while ((code = leat__kafka_produce_there(p->client, handle, record)) == RD_KAFKA_RESP_ERR__QUEUE_FULL &&
        !p->failure)
        (void)rd_kafka_poll(p->client->rk, POLL_MS);
    if (code &&
        !p->failure) /* it may be that another one has failed, which is the cause: its report is under way */
        (void)rd_kafka_poll(p->client->rk, POLL_MS);
    if (code || p->failure)
        return not_written(p, code, err);
    return 0;
}

static int give_marker(struct leat_kafka_producer *p, uint64_t epoch, struct leat_error *err)
{
    const struct leat_kafka_marker marker = { .epoch = epoch, .owner = p->owner };
    char text[64];
    leat__kafka_marker_print(&marker, text);
    const struct leat_outbox_record record = { .partition = p->marker_partition,
        .time_us = INT64_MIN,
        .key = leat_sv_of(p->marker_key),
        .value = leat_sv_of(text) };
    return give(p, leat_sv_of(p->target->markers_topic), &record, err);
}

static int give_all(struct leat_kafka_producer *p, struct leat_outbox_reader *records, struct leat_error *err)
{
    const struct leat_sv own = p->target->topic ? leat_sv_of(p->target->topic) : LEAT_SV("");
    struct leat_outbox_record record;
    int got;
    while ((got = leat__outbox_next(records, &record, err)) > 0)
        LEAT_TRY(give(p, record.topic.len > 0 ? record.topic : own, &record, err));
    return got;
}

/* Waits until every message has arrived (3). */
static int wait_for_all(struct leat_kafka_producer *p, struct leat_error *err)
{
    while (!p->failure && p->arrived < p->given && rd_kafka_outq_len(p->client->rk) > 0)
        (void)rd_kafka_flush(p->client->rk, POLL_MS);
    if (p->failure)
        return not_written(p, RD_KAFKA_RESP_ERR_NO_ERROR, err);
    if (p->arrived == p->given)
        return 0;
    return leat__error(err, LEAT_ECONNECT,
        "of %" PRIu64 " messages %" PRIu64 " have arrived, and nobody knows of the others", p->given,
        p->arrived);
}

static int begin(struct leat_kafka_producer *p, struct leat_error *err)
{
    p->troubles = __atomic_load_n(&p->client->troubles, __ATOMIC_RELAXED);
    rd_kafka_error_t *error = rd_kafka_begin_transaction(p->client->rk);
    p->given = p->arrived = 0;
    p->failure = RD_KAFKA_RESP_ERR_NO_ERROR;
    return error ? failed_call(p, error, "begin a transaction", err) : 0;
}

/* 0, or how it ended; or LEAT_ETIMEOUT: nobody knows. */
static int end(struct leat_kafka_producer *p, struct leat_error *err)
{
    rd_kafka_error_t *error = rd_kafka_commit_transaction(p->client->rk, p->patience_ms);
    (void)rd_kafka_poll(p->client->rk, 0); /* what it has to tell of its connections */
    p->is_worn = p->troubles != __atomic_load_n(&p->client->troubles, __ATOMIC_RELAXED);
    if (!error)
        return 0;
    const rd_kafka_resp_err_t code = rd_kafka_error_code(error);
    if (rd_kafka_error_txn_requires_abort(error)) {
        abort_transaction(p);
        return failed_call(p, error, "end a transaction", err);
    }
    if (is_shut_out(p, code)) {
        rd_kafka_error_destroy(error);
        return shut_out(p, "end a transaction", err); /* the marker decides in any case */
    }
    const int ours =
        leat__kafka_error(p->client, code, rd_kafka_error_string(error), "end a transaction", err);
    rd_kafka_error_destroy(error);
    err->code = LEAT_ETIMEOUT; /* whatever it was: the marker will tell */
    return ours < 0 ? LEAT_ETIMEOUT : 0;
}

static int run(
    struct leat_kafka_producer *p, uint64_t epoch, struct leat_outbox_reader *records, struct leat_error *err)
{
    LEAT_TRY(begin(p, err));
    int code = records ? give_all(p, records, err) : 0;
    if (code == 0)
        code = give_marker(p, epoch, err);
    if (code == 0)
        code = wait_for_all(p, err);
    if (code < 0) {
        abort_transaction(p);
        return code;
    }
    if (records) /* (model: commit.pml, outbox_sent) */
        leat__point(LEAT_POINT_OUTBOX_SENT);
    return end(p, err);
}

/* ---- fencing ---- */

static int vanished(const struct leat_kafka_producer *p, struct leat_error *err)
{
    return leat__error(err, LEAT_EDATA,
        "topic \"%s\" has no marker of %s, which was there: the topic was deleted, or its cleanup.policy is "
        "not "
        "compact. So nobody can say whether the last output was written. Look at the topic; restore.force "
        "goes on as if "
        "it was not",
        p->target->markers_topic, p->marker_key);
}

/* The slot is ours, and its marker can not change any more but by us. */
static int seize(const struct leat_kafka_target *target, struct leat_env *env, const struct leat_slot *slot,
    struct leat_error *err)
{
    struct leat_kafka_producers *all = target->producers;
    struct leat_kafka_producer *p;
    struct leat_kafka_producer **at = find(all, slot);
    if (!at)
        return out_of_memory(err);
    drop(at);
    LEAT_TRY(new_producer(target, env, slot, &p, err));
    rd_kafka_error_t *error = rd_kafka_init_transactions(p->client->rk, LEAT_KAFKA_TIMEOUT_MS);
    if (error) {
        const int code = leat__kafka_error(p->client, rd_kafka_error_code(error),
            rd_kafka_error_string(error), "begin with transactions", err);
        rd_kafka_error_destroy(error);
        free_producer(p);
        return code;
    }
    p->is_new = true;
    p->next = all->first;
    all->first = p;
    return 0;
}

/* Reads the marker and writes it again, as its owner. */
static int take_over(struct leat_kafka_producer *p, bool is_known, uint64_t *epoch, struct leat_error *err)
{
    struct leat_kafka_marker marker;
    const int there = leat__kafka_markers_read(p->target->producers->markers, p->marker_key, &marker, err);
    LEAT_TRY(there);
    if (!there && is_known)
        return vanished(p, err);
    p->marker_partition = leat__kafka_markers_partition(p->target->producers->markers, p->marker_key);
    p->is_new = false;
    *epoch = marker.epoch;
    p->former = marker;
    p->takes_over = true;
    const int code = run(p, marker.epoch, NULL, err);
    p->takes_over = false;
    return code;
}

static int fence(const struct leat_kafka_target *target, struct leat_env *env, const struct leat_slot *slot,
    uint64_t *epoch, struct leat_error *err)
{
    struct leat_kafka_producers *all = target->producers;
    struct leat_kafka_producer **at = find(all, slot);
    if (!at)
        return out_of_memory(err);
    if (!all->markers)
        LEAT_TRY(leat__kafka_markers_new(target, env, &all->markers, err));
    if (!*at || !(*at)->is_new) {
        LEAT_TRY(seize(target, env, slot, err));
        at = &all->first;
    }
    const int code = take_over(*at, slot->is_known, epoch, err);
    if (code < 0)
        drop(at);
    return code;
}

int leat__kafka_seize(
    const struct leat_node *node, struct leat_env *env, const struct leat_slot *slot, struct leat_error *err)
{
    return seize(node->spec, env, slot, err);
}

int leat__kafka_fence(const struct leat_node *node, struct leat_env *env, const struct leat_slot *slot,
    uint64_t *marker_epoch, struct leat_error *err)
{
    return fence(node->spec, env, slot, marker_epoch, err);
}

/* A fresh producer in place of one that is worn (2), unless the slot is somebody else's by now. */
static int renew(struct leat_kafka_producer *p, const struct leat_slot *slot, struct leat_error *err)
{
    struct leat_kafka_marker marker;
    uint64_t epoch;
    const int there = leat__kafka_markers_read(p->target->producers->markers, p->marker_key, &marker, err);
    LEAT_TRY(there);
    if (!there || marker.owner != p->owner)
        return shut_out(p, "begin a transaction", err);
    return fence(p->target, p->env, slot, &epoch, err);
}

int leat__kafka_transact(const struct leat_node *node, struct leat_env *env, const struct leat_slot *slot,
    uint64_t epoch, struct leat_outbox_reader *records, struct leat_error *err)
{
    const struct leat_kafka_target *target = node->spec;
    for (uint32_t attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        struct leat_kafka_producer **at = find(target->producers, slot);
        if (!at)
            return out_of_memory(err);
        LEAT_ASSERT(*at); /* the slot was fenced */
        if ((*at)->is_worn) {
            LEAT_TRY(renew(*at, slot, err));
            continue;
        }
        const int code = run(*at, epoch, records, err);
        if (code < 0)
            drop(at); /* (1) */
        else if (target->topic && leat__kafka_look_is_due(env, (*at)->refresh_ms, &(*at)->looked_ns))
            leat__kafka_topic_look_again((*at)->client, target->topic, target->seen);
        return code;
    }
    return leat__error(err, LEAT_ECONNECT, "the brokers lose each connection while a transaction ends");
}
