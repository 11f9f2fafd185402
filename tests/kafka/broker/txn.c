/* tests/kafka/broker/txn.c -- the coordinator of transactions.
 *
 * Ending one writes the markers at once, and what the groups wait for counts or goes with them: there is no state between.
 * A producer that comes for an id whose transaction is open has it aborted with a newer epoch (the old producer is fenced
 * from then on) and is asked to try again, as Kafka does; so has one whose time is up. An end carries no number of its
 * transaction: one that comes late ends whatever the producer has open then. */
#include "tests/kafka/broker/broker.h"
#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_MAX_MS = 900000, LAST_EPOCH = INT16_MAX - 1 };

struct kb_txn *kb_txn_find(struct kb_broker *b, struct kb_text id)
{
    for (size_t i = 0; i < b->txns_count; i++)
        if (kb_same(id, b->txns[i].id))
            return &b->txns[i];
    return NULL;
}

static void complete(struct kb_broker *b, struct kb_txn *txn, bool commit)
{
    for (size_t i = 0; i < txn->places_count; i++) {
        struct kb_log *log = kb_place_log(b, &txn->places[i]);
        if (log)
            kb_log_mark(log, txn->pid, txn->epoch, commit, b->wall);
        free(txn->places[i].topic);
    }
    kb_offsets_end(b, txn->pid, commit);
    for (size_t i = 0; i < txn->groups_count; i++)
        free(txn->groups[i]);
    txn->places_count = 0;
    txn->groups_count = 0;
    txn->state = commit ? KB_COMMITTED : KB_ABORTED;
    b->changes++;
}

void kb_txn_expire(struct kb_broker *b, struct kb_txn *txn)
{
    txn->epoch++;
    txn->last_epoch = -1;
    if (txn->state == KB_ONGOING)
        complete(b, txn, false);
}

int64_t kb_txn_expire_due(struct kb_broker *b)
{
    int64_t next = -1;
    for (size_t i = 0; i < b->txns_count; i++) {
        struct kb_txn *txn = &b->txns[i];
        if (txn->state == KB_ONGOING && txn->began + txn->timeout_ms <= b->now)
            kb_txn_expire(b, txn);
        if (txn->state == KB_ONGOING && (next < 0 || txn->began + txn->timeout_ms < next))
            next = txn->began + txn->timeout_ms;
    }
    return next;
}

static struct kb_txn *make_txn(struct kb_broker *b, struct kb_text id, int32_t timeout_ms)
{
    KB_GROW(b->txns, b->txns_count);
    struct kb_txn *txn = &b->txns[b->txns_count++];
    *txn = (struct kb_txn){
        .id = kb_copy_text(id.data, id.len), .pid = b->next_pid++, .last_epoch = -1, .timeout_ms = timeout_ms
    };
    return txn;
}

/* The next epoch, for a producer that may say which one it had. */
static int16_t bump(struct kb_broker *b, struct kb_txn *txn, int64_t pid, int16_t epoch)
{
    if (pid >= 0 && epoch == txn->last_epoch && epoch != txn->epoch)
        return 0; /* the answer to its bump was lost */
    if (pid >= 0 && epoch != txn->epoch)
        return KB_FENCED;
    txn->last_epoch = pid >= 0 ? txn->epoch : -1;
    if (txn->epoch >= LAST_EPOCH) {
        txn->pid = b->next_pid++;
        txn->epoch = 0;
        txn->last_epoch = -1;
    } else {
        txn->epoch++;
    }
    return 0;
}

int16_t kb_txn_init(struct kb_broker *b, struct kb_text id, int32_t timeout_ms, int64_t pid, int16_t epoch,
    int64_t *new_pid, int16_t *new_epoch)
{
    *new_pid = -1;
    *new_epoch = -1;
    if (!id.data) {
        *new_pid = b->next_pid++;
        *new_epoch = 0;
        return 0;
    }
    if (id.len == 0)
        return KB_INVALID_REQUEST;
    if (timeout_ms <= 0 || timeout_ms > TIMEOUT_MAX_MS)
        return KB_INVALID_TXN_TIMEOUT;
    struct kb_txn *txn = kb_txn_find(b, id);
    if (!txn) {
        if (pid >= 0)
            return KB_FENCED;
        txn = make_txn(b, id, timeout_ms);
    } else {
        if (pid >= 0 && pid != txn->pid)
            return KB_FENCED;
        if (txn->state == KB_ONGOING) {
            if (pid >= 0 && epoch != txn->epoch)
                return KB_FENCED;
            kb_txn_expire(b, txn);
            return KB_CONCURRENT;
        }
        const int16_t code = bump(b, txn, pid, epoch);
        if (code)
            return code;
        txn->timeout_ms = timeout_ms;
        txn->state = KB_EMPTY;
    }
    *new_pid = txn->pid;
    *new_epoch = txn->epoch;
    return 0;
}

int16_t kb_txn_check(struct kb_broker *b, struct kb_text id, int64_t pid, int16_t epoch, struct kb_txn **txn)
{
    if (!id.data || id.len == 0)
        return KB_INVALID_REQUEST;
    *txn = kb_txn_find(b, id);
    if (!*txn || (*txn)->pid != pid)
        return KB_INVALID_PID_MAPPING;
    return (*txn)->epoch == epoch ? 0 : KB_FENCED;
}

static void begin(struct kb_broker *b, struct kb_txn *txn)
{
    if (txn->state == KB_ONGOING)
        return;
    txn->state = KB_ONGOING;
    txn->began = b->now;
}

static bool has_place(const struct kb_txn *txn, const struct kb_topic *topic, int32_t partition)
{
    for (size_t i = 0; i < txn->places_count; i++)
        if (txn->places[i].partition == partition &&
            memcmp(txn->places[i].id, topic->id, sizeof topic->id) == 0)
            return true;
    return false;
}

void kb_txn_add(struct kb_broker *b, struct kb_txn *txn, const struct kb_topic *topic, int32_t partition)
{
    begin(b, txn);
    if (has_place(txn, topic, partition))
        return;
    KB_GROW(txn->places, txn->places_count);
    txn->places[txn->places_count++] = kb_place_new(topic, partition);
}

static bool has_group(const struct kb_txn *txn, struct kb_text group)
{
    for (size_t i = 0; i < txn->groups_count; i++)
        if (kb_same(group, txn->groups[i]))
            return true;
    return false;
}

void kb_txn_add_group(struct kb_broker *b, struct kb_txn *txn, struct kb_text group)
{
    begin(b, txn);
    if (has_group(txn, group))
        return;
    KB_GROW(txn->groups, txn->groups_count);
    txn->groups[txn->groups_count++] = kb_copy_text(group.data, group.len);
}

int16_t kb_txn_may_write(
    struct kb_broker *b, const struct kb_topic *topic, int32_t partition, int64_t pid, int16_t epoch)
{
    for (size_t i = 0; i < b->txns_count; i++) {
        const struct kb_txn *txn = &b->txns[i];
        if (txn->pid != pid)
            continue;
        if (txn->epoch != epoch)
            return KB_OLD_EPOCH;
        return txn->state == KB_ONGOING && has_place(txn, topic, partition) ? 0 : KB_INVALID_TXN_STATE;
    }
    return KB_INVALID_PID_MAPPING;
}

int16_t kb_txn_end(struct kb_broker *b, struct kb_text id, int64_t pid, int16_t epoch, bool commit)
{
    struct kb_txn *txn = NULL;
    const int16_t code = kb_txn_check(b, id, pid, epoch, &txn);
    if (code)
        return code;
    if (txn->state == KB_ONGOING) {
        complete(b, txn, commit);
        return 0;
    }
    /* It has been ended like this before. */
    return txn->state == (commit ? KB_COMMITTED : KB_ABORTED) ? 0 : KB_INVALID_TXN_STATE;
}
