/* tests/kafka/broker/api_txn.c -- the requests of transactions. Versions below the one that knows "fenced" (90) are told
 * "old epoch" (47) in its place. */
#include "tests/kafka/broker/broker.h"
#include <string.h>

enum { METADATA_MAX = 4096 };

static int16_t for_version(const struct kb_request *r, int16_t code, int16_t fenced_since)
{
    return code == KB_FENCED && r->version < fenced_since ? KB_OLD_EPOCH : code;
}

void kb_init_producer_id(struct kb_request *r)
{
    struct kb_in *in = &r->in;
    const struct kb_text id = kb_text(in);
    const int32_t timeout_ms = kb_i32(in);
    int64_t pid = -1, new_pid = -1;
    int16_t epoch = -1, new_epoch = -1;
    if (r->version >= 3) {
        pid = kb_i64(in);
        epoch = kb_i16(in);
    }
    kb_tags(in);
    if (in->bad)
        return;
    int16_t code = r->inject;
    if (!code)
        code = kb_txn_init(r->broker, id, timeout_ms, pid, epoch, &new_pid, &new_epoch);
    kb_put_i32(r->out, 0);
    kb_put_i16(r->out, for_version(r, code, 4));
    kb_put_i64(r->out, new_pid);
    kb_put_i16(r->out, new_epoch);
    kb_put_tags(r->out);
}

/* AddPartitionsToTxn: all of them or none. */

static void skip_partitions(struct kb_request *r, struct kb_in *in, int32_t topics, bool *known)
{
    for (int32_t t = 0; t < topics && !in->bad; t++) {
        const struct kb_text topic = kb_text(in);
        for (int32_t p = kb_count(in); p > 0 && !in->bad; p--)
            *known = kb_log_find(r->broker, topic, kb_i32(in)) && *known;
        kb_tags(in);
    }
    kb_tags(in);
}

void kb_add_partitions(struct kb_request *r)
{
    struct kb_in *in = &r->in;
    const struct kb_text id = kb_text(in);
    const int64_t pid = kb_i64(in);
    const int16_t epoch = kb_i16(in);
    const int32_t topics = kb_count(in);
    struct kb_in ahead = *in;
    struct kb_txn *txn = NULL;
    bool known = true;
    skip_partitions(r, &ahead, topics, &known);
    in->bad = in->bad || ahead.bad;
    if (in->bad)
        return;
    const int16_t code = r->inject ? r->inject : kb_txn_check(r->broker, id, pid, epoch, &txn);
    kb_put_i32(r->out, 0);
    kb_put_count(r->out, topics);
    for (int32_t t = 0; t < topics; t++) {
        const struct kb_text topic = kb_text(in);
        const int32_t partitions = kb_count(in);
        kb_put_text(r->out, topic.data, topic.len);
        kb_put_count(r->out, partitions);
        for (int32_t p = 0; p < partitions; p++) {
            const int32_t partition = kb_i32(in);
            const bool there = kb_log_find(r->broker, topic, partition) != NULL;
            if (!code && known)
                kb_txn_add(r->broker, txn, kb_topic_find(r->broker, topic), partition);
            kb_put_i32(r->out, partition);
            kb_put_i16(r->out,
                !known && !r->inject ? (there ? KB_NOT_ATTEMPTED : KB_UNKNOWN_TOPIC)
                                     : for_version(r, code, 2));
            kb_put_tags(r->out);
        }
        kb_tags(in);
        kb_put_tags(r->out);
    }
    kb_put_tags(r->out);
}

void kb_add_offsets(struct kb_request *r)
{
    struct kb_in *in = &r->in;
    const struct kb_text id = kb_text(in);
    const int64_t pid = kb_i64(in);
    const int16_t epoch = kb_i16(in);
    const struct kb_text group = kb_text(in);
    struct kb_txn *txn = NULL;
    kb_tags(in);
    if (in->bad)
        return;
    const int16_t code = r->inject ? r->inject : kb_txn_check(r->broker, id, pid, epoch, &txn);
    if (!code)
        kb_txn_add_group(r->broker, txn, group);
    kb_put_i32(r->out, 0);
    kb_put_i16(r->out, for_version(r, code, 2));
    kb_put_tags(r->out);
}

void kb_end_txn(struct kb_request *r)
{
    struct kb_in *in = &r->in;
    const struct kb_text id = kb_text(in);
    const int64_t pid = kb_i64(in);
    const int16_t epoch = kb_i16(in);
    const bool commit = kb_i8(in) != 0;
    kb_tags(in);
    if (in->bad)
        return;
    const int16_t code = r->inject ? r->inject : kb_txn_end(r->broker, id, pid, epoch, commit);
    kb_put_i32(r->out, 0);
    kb_put_i16(r->out, for_version(r, code, 2));
    kb_put_tags(r->out);
}

/* TxnOffsetCommit */

static int16_t check_offsets(
    struct kb_request *r, struct kb_text id, struct kb_text group, int64_t pid, int16_t epoch)
{
    struct kb_txn *txn = NULL;
    int16_t code = kb_txn_check(r->broker, id, pid, epoch, &txn);
    if (code)
        return code == KB_FENCED ? KB_OLD_EPOCH : code;
    for (size_t i = 0; i < txn->groups_count; i++)
        if (txn->state == KB_ONGOING && kb_same(group, txn->groups[i]))
            return 0;
    return KB_INVALID_TXN_STATE;
}

static int16_t store_offset(struct kb_request *r, struct kb_text group, struct kb_text topic,
    struct kb_offset offset, struct kb_text metadata)
{
    if (!kb_log_find(r->broker, topic, offset.place.partition))
        return KB_UNKNOWN_TOPIC;
    if (metadata.len > METADATA_MAX)
        return KB_METADATA_TOO_LARGE;
    kb_offset_store(r->broker, group, kb_topic_find(r->broker, topic), offset, metadata);
    return 0;
}

/* A generation or a member is one of a group with members, of which there are none. */
static int16_t read_member(struct kb_request *r)
{
    struct kb_in *in = &r->in;
    const int32_t generation = kb_i32(in);
    const struct kb_text member = kb_text(in);
    (void)kb_text(in);
    if (member.len > 0)
        return KB_UNKNOWN_MEMBER;
    return generation >= 0 ? KB_ILLEGAL_GENERATION : 0;
}

void kb_txn_offset_commit(struct kb_request *r)
{
    struct kb_in *in = &r->in;
    const struct kb_text id = kb_text(in), group = kb_text(in);
    const int64_t pid = kb_i64(in);
    const int16_t epoch = kb_i16(in);
    int16_t all = r->version >= 3 ? read_member(r) : 0;
    const int32_t topics = kb_count(in);
    if (!all)
        all = check_offsets(r, id, group, pid, epoch);
    if (r->inject)
        all = r->inject;
    kb_put_i32(r->out, 0);
    kb_put_count(r->out, topics);
    for (int32_t t = 0; t < topics && !in->bad; t++) {
        const struct kb_text topic = kb_text(in);
        const int32_t partitions = kb_count(in);
        kb_put_text(r->out, topic.data, topic.len);
        kb_put_count(r->out, partitions);
        for (int32_t p = 0; p < partitions && !in->bad; p++) {
            struct kb_offset offset = { .place.partition = kb_i32(in), .pid = pid };
            offset.offset = kb_i64(in);
            offset.leader_epoch = r->version >= 2 ? kb_i32(in) : -1;
            const struct kb_text metadata = kb_text(in);
            kb_tags(in);
            if (in->bad)
                return;
            kb_put_i32(r->out, offset.place.partition);
            kb_put_i16(r->out, all ? all : store_offset(r, group, topic, offset, metadata));
            kb_put_tags(r->out);
        }
        kb_tags(in);
        kb_put_tags(r->out);
    }
    kb_put_tags(r->out);
}

/* The same outside of transactions: a group without members takes offsets from anybody who is none. */
void kb_offset_commit(struct kb_request *r)
{
    struct kb_in *in = &r->in;
    const struct kb_text group = kb_text(in);
    const int32_t generation = kb_i32(in);
    const struct kb_text member = kb_text(in);
    if (r->version >= 7)
        (void)kb_text(in);
    if (r->version <= 4)
        (void)kb_i64(in);
    const int16_t all = r->inject ? r->inject
        : member.len > 0          ? KB_UNKNOWN_MEMBER
        : generation >= 0         ? KB_ILLEGAL_GENERATION
                                  : 0;
    const int32_t topics = kb_count(in);
    if (r->version >= 3)
        kb_put_i32(r->out, 0);
    kb_put_count(r->out, topics);
    for (int32_t t = 0; t < topics && !in->bad; t++) {
        const struct kb_text topic = kb_text(in);
        const int32_t partitions = kb_count(in);
        kb_put_text(r->out, topic.data, topic.len);
        kb_put_count(r->out, partitions);
        for (int32_t p = 0; p < partitions && !in->bad; p++) {
            struct kb_offset offset = { .place.partition = kb_i32(in), .pid = -1 };
            offset.offset = kb_i64(in);
            offset.leader_epoch = r->version >= 6 ? kb_i32(in) : -1;
            const struct kb_text metadata = kb_text(in);
            kb_tags(in);
            if (in->bad)
                return;
            kb_put_i32(r->out, offset.place.partition);
            kb_put_i16(r->out, all ? all : store_offset(r, group, topic, offset, metadata));
            kb_put_tags(r->out);
        }
        kb_tags(in);
        kb_put_tags(r->out);
    }
    kb_put_tags(r->out);
}

/* OffsetFetch */

static void put_offset(
    struct kb_request *r, struct kb_text group, struct kb_text topic, int32_t partition, bool stable)
{
    bool unstable = false;
    const struct kb_offset *found = kb_offset_find(r->broker, group, topic, partition, &unstable);
    const bool refuse = (stable && unstable) || r->inject;
    if (refuse)
        found = NULL;
    kb_put_i32(r->out, partition);
    kb_put_i64(r->out, found ? found->offset : -1);
    if (r->version >= 5)
        kb_put_i32(r->out, found ? found->leader_epoch : -1);
    kb_put_str(r->out, found && found->metadata ? found->metadata : "");
    kb_put_i16(r->out, r->inject ? r->inject : refuse ? KB_UNSTABLE_OFFSET : 0);
    kb_put_tags(r->out);
}

/* All that the group has: a topic for each offset, which the encoding allows. */
static void put_all_offsets(struct kb_request *r, struct kb_text group, bool stable)
{
    int32_t count = 0;
    for (size_t i = 0; i < r->broker->offsets_count; i++)
        count += kb_same(group, r->broker->offsets[i].group) && r->broker->offsets[i].pid < 0;
    kb_put_count(r->out, count);
    for (size_t i = 0; i < r->broker->offsets_count; i++) {
        const struct kb_offset *o = &r->broker->offsets[i];
        if (!kb_same(group, o->group) || o->pid >= 0)
            continue;
        const struct kb_text topic = { o->place.topic, strlen(o->place.topic) };
        kb_put_text(r->out, topic.data, topic.len);
        kb_put_count(r->out, 1);
        put_offset(r, group, topic, o->place.partition, stable);
        kb_put_tags(r->out);
    }
}

void kb_offset_fetch(struct kb_request *r)
{
    struct kb_in *in = &r->in;
    const struct kb_text group = kb_text(in);
    const int32_t topics = kb_count(in);
    struct kb_in ahead = *in;
    for (int32_t t = 0; t < topics && !ahead.bad; t++) {
        (void)kb_text(&ahead);
        for (int32_t p = kb_count(&ahead); p > 0 && !ahead.bad; p--)
            (void)kb_i32(&ahead);
        kb_tags(&ahead);
    }
    const bool stable = r->version >= 7 && kb_i8(&ahead) != 0;
    in->bad = in->bad || ahead.bad;
    if (in->bad)
        return;
    if (r->version >= 3)
        kb_put_i32(r->out, 0);
    if (topics < 0) {
        put_all_offsets(r, group, stable);
    } else {
        kb_put_count(r->out, topics);
        for (int32_t t = 0; t < topics; t++) {
            const struct kb_text topic = kb_text(in);
            const int32_t partitions = kb_count(in);
            kb_put_text(r->out, topic.data, topic.len);
            kb_put_count(r->out, partitions);
            for (int32_t p = 0; p < partitions; p++)
                put_offset(r, group, topic, kb_i32(in), stable);
            kb_tags(in);
            kb_put_tags(r->out);
        }
    }
    if (r->version >= 2)
        kb_put_i16(r->out, 0);
    kb_put_tags(r->out);
}
