/* tests/kafka/broker/api_data.c -- Produce, Fetch, ListOffsets and DeleteRecords. */
#include "tests/kafka/broker/broker.h"
#include <string.h>

enum { READ_COMMITTED = 1, AT_LATEST = -1, AT_EARLIEST = -2, AT_LARGEST = -3 };

/* Produce */

static bool has_key(const struct kb_record *record, void *arg)
{
    *(bool *)arg = *(bool *)arg && record->key.data != NULL;
    return true;
}

static bool take_any(const struct kb_record *record, void *arg)
{
    (void)record;
    (void)arg;
    return true;
}

static int16_t check_batch(struct kb_request *r, const struct kb_topic *t, int32_t partition,
    struct kb_batch *batch, struct kb_text records)
{
    bool keys = true;
    int16_t code = kb_batch_parse((const uint8_t *)records.data, records.len, batch);
    if (code)
        return code;
    if (batch->attributes & KB_CONTROL)
        return KB_INVALID_RECORD;
    if (batch->size > (size_t)t->max_message_bytes)
        return KB_TOO_LARGE;
    batch->data = (uint8_t *)(uintptr_t)records.data;
    code = kb_batch_records(batch, t->compact ? has_key : take_any, &keys);
    if (code || !keys)
        return code ? KB_CORRUPT : KB_INVALID_RECORD;
    if (!(batch->attributes & KB_TRANSACTIONAL))
        return 0;
    return kb_log_has_open(&t->logs[partition], batch->pid)
        ? 0
        : kb_txn_may_write(r->broker, t, partition, batch->pid, batch->epoch);
}

static int16_t produce_one(
    struct kb_request *r, struct kb_text topic, int32_t partition, struct kb_text records, int64_t *base)
{
    struct kb_topic *t = kb_topic_find(r->broker, topic);
    struct kb_batch batch;
    if (!t || !kb_log_find(r->broker, topic, partition))
        return KB_UNKNOWN_TOPIC;
    int16_t code = check_batch(r, t, partition, &batch, records);
    if (!code)
        code = kb_log_append(&t->logs[partition], batch, (const uint8_t *)records.data,
            t->append_time ? r->broker->wall : -1, base);
    return code;
}

static void answer_produced(
    struct kb_request *r, struct kb_text topic, int32_t partition, int16_t code, int64_t base)
{
    const struct kb_topic *t = kb_topic_find(r->broker, topic);
    const struct kb_log *log = kb_log_find(r->broker, topic, partition);
    kb_put_i32(r->out, partition);
    kb_put_i16(r->out, code);
    kb_put_i64(r->out, code ? -1 : base);
    kb_put_i64(r->out, !code && t->append_time ? r->broker->wall : -1);
    if (r->version >= 5)
        kb_put_i64(r->out, log && !code ? log->start : -1);
    if (r->version >= 8) {
        kb_put_count(r->out, 0);
        kb_put_str(r->out, NULL);
    }
}

void kb_produce(struct kb_request *r)
{
    struct kb_in *in = &r->in;
    (void)kb_text(in);
    const int16_t acks = kb_i16(in);
    (void)kb_i32(in);
    const int32_t topics = kb_count(in);
    kb_put_count(r->out, topics);
    for (int32_t t = 0; t < topics && !in->bad; t++) {
        const struct kb_text topic = kb_text(in);
        const int32_t partitions = kb_count(in);
        kb_put_text(r->out, topic.data, topic.len);
        kb_put_count(r->out, partitions);
        for (int32_t p = 0; p < partitions && !in->bad; p++) {
            const int32_t partition = kb_i32(in);
            const struct kb_text records = kb_bytes(in);
            int64_t base = -1;
            int16_t code = r->inject;
            if (in->bad)
                return;
            if (!code)
                code = acks < -1 || acks > 1 ? KB_INVALID_ACKS
                                             : produce_one(r, topic, partition, records, &base);
            answer_produced(r, topic, partition, code, base);
        }
    }
    kb_put_i32(r->out, 0);
    r->silent = acks == 0;
    r->broker->changes++;
}

/* Fetch */

struct fetching {
    int32_t max_bytes;
    bool committed;
    size_t total;
    bool error; /* of a partition: answered at once */
};

static int16_t check_place(const struct kb_log *log, int64_t offset, int32_t leader_epoch)
{
    if (!log)
        return KB_UNKNOWN_TOPIC;
    if (leader_epoch > 0)
        return KB_UNKNOWN_LEADER_EPOCH;
    return offset < log->start || offset > log->end ? KB_OFFSET_OUT_OF_RANGE : 0;
}

static void put_aborted(struct kb_request *r, const struct kb_log *log, int64_t from, int64_t limit)
{
    int32_t count = 0;
    for (size_t i = 0; i < log->aborted_count; i++)
        count += log->aborted[i].last >= from && log->aborted[i].first < limit;
    kb_put_count(r->out, count);
    for (size_t i = 0; i < log->aborted_count; i++)
        if (log->aborted[i].last >= from && log->aborted[i].first < limit) {
            kb_put_i64(r->out, log->aborted[i].pid);
            kb_put_i64(r->out, log->aborted[i].first);
        }
}

static void fetch_partition(struct kb_request *r, struct kb_text topic, struct fetching *f)
{
    struct kb_in *in = &r->in;
    const int32_t partition = kb_i32(in);
    const int32_t leader_epoch = r->version >= 9 ? kb_i32(in) : -1;
    const int64_t offset = kb_i64(in);
    if (r->version >= 5)
        (void)kb_i64(in);
    const int32_t max = kb_i32(in);
    const struct kb_log *log = kb_log_find(r->broker, topic, partition);
    const int16_t code = r->inject ? r->inject : check_place(log, offset, leader_epoch);
    const bool fine = !code && log;
    const int64_t stable = fine ? kb_log_stable(log) : -1;
    const int64_t limit = !fine ? -1 : f->committed ? stable : log->end;
    f->error = f->error || code;
    kb_put_i32(r->out, partition);
    kb_put_i16(r->out, code);
    kb_put_i64(r->out, fine ? log->end : -1);
    kb_put_i64(r->out, stable);
    if (r->version >= 5)
        kb_put_i64(r->out, fine ? log->start : -1);
    if (fine && f->committed)
        put_aborted(r, log, offset, limit);
    else
        kb_put_count(r->out, -1);
    if (r->version >= 11)
        kb_put_i32(r->out, -1);
    const size_t at = r->out->len;
    kb_put_i32(r->out, 0);
    size_t size = 0;
    if (fine && max >= 0 && f->total < (size_t)f->max_bytes) {
        const size_t left = (size_t)f->max_bytes - f->total;
        size =
            kb_log_read(log, offset, limit, left < (size_t)max ? left : (size_t)max, f->total == 0, r->out);
    }
    kb_set_i32(r->out->data + at, (int32_t)size);
    f->total += size;
}

void kb_fetch(struct kb_request *r)
{
    struct kb_in *in = &r->in;
    struct fetching f = { 0 };
    (void)kb_i32(in);
    const int32_t wait_ms = kb_i32(in), min_bytes = kb_i32(in);
    f.max_bytes = kb_i32(in);
    f.committed = kb_i8(in) == READ_COMMITTED;
    if (f.max_bytes < 0)
        in->bad = true;
    if (r->version >= 7) {
        (void)kb_i32(in);
        (void)kb_i32(in);
    }
    kb_put_i32(r->out, 0);
    if (r->version >= 7) {
        kb_put_i16(r->out, 0);
        kb_put_i32(r->out, 0); /* no session: each request is whole */
    }
    const int32_t topics = kb_count(in);
    kb_put_count(r->out, topics);
    for (int32_t t = 0; t < topics && !in->bad; t++) {
        const struct kb_text topic = kb_text(in);
        const int32_t partitions = kb_count(in);
        kb_put_text(r->out, topic.data, topic.len);
        kb_put_count(r->out, partitions);
        for (int32_t p = 0; p < partitions && !in->bad; p++)
            fetch_partition(r, topic, &f);
    }
    if (!r->final && !f.error && wait_ms > 0 && (int64_t)f.total < min_bytes) {
        r->waits = true;
        r->wait_ms = wait_ms;
    }
}

/* ListOffsets */

static void find_offset(
    const struct kb_log *log, int64_t time, bool committed, int64_t *offset, int64_t *found)
{
    const int64_t end = committed ? kb_log_stable(log) : log->end;
    *found = -1;
    if (time == AT_LATEST)
        *offset = end;
    else if (time == AT_EARLIEST)
        *offset = log->start;
    else if (time == AT_LARGEST)
        kb_log_latest(log, offset, found);
    else
        kb_log_at_time(log, time, offset, found);
    if (time >= 0 && *offset >= end) {
        *offset = -1;
        *found = -1;
    }
}

static void list_partition(struct kb_request *r, struct kb_text topic, bool committed)
{
    struct kb_in *in = &r->in;
    const int32_t partition = kb_i32(in);
    const int32_t leader_epoch = r->version >= 4 ? kb_i32(in) : -1;
    const int64_t time = kb_i64(in);
    kb_tags(in);
    const struct kb_log *log = kb_log_find(r->broker, topic, partition);
    int64_t offset = -1, found = -1;
    int16_t code = r->inject ? r->inject : check_place(log, log ? log->end : 0, leader_epoch);
    if (!code && time < AT_LARGEST)
        code = KB_INVALID_REQUEST;
    if (!code && log)
        find_offset(log, time, committed, &offset, &found);
    kb_put_i32(r->out, partition);
    kb_put_i16(r->out, code);
    kb_put_i64(r->out, found);
    kb_put_i64(r->out, offset);
    if (r->version >= 4)
        kb_put_i32(r->out, offset >= 0 ? 0 : -1);
    kb_put_tags(r->out);
}

void kb_list_offsets(struct kb_request *r)
{
    struct kb_in *in = &r->in;
    (void)kb_i32(in);
    const bool committed = r->version >= 2 && kb_i8(in) == READ_COMMITTED;
    if (r->version >= 2)
        kb_put_i32(r->out, 0);
    const int32_t topics = kb_count(in);
    kb_put_count(r->out, topics);
    for (int32_t t = 0; t < topics && !in->bad; t++) {
        const struct kb_text topic = kb_text(in);
        const int32_t partitions = kb_count(in);
        kb_put_text(r->out, topic.data, topic.len);
        kb_put_count(r->out, partitions);
        for (int32_t p = 0; p < partitions && !in->bad; p++)
            list_partition(r, topic, committed);
        kb_tags(in);
        kb_put_tags(r->out);
    }
    kb_put_tags(r->out);
}

/* DeleteRecords */

static int16_t delete_records(
    struct kb_request *r, struct kb_text topic, int32_t partition, int64_t offset, int64_t *low)
{
    struct kb_log *log = kb_log_find(r->broker, topic, partition);
    if (r->inject)
        return r->inject;
    if (!log)
        return KB_UNKNOWN_TOPIC;
    if (offset < -1 || offset > log->end)
        return KB_OFFSET_OUT_OF_RANGE;
    kb_log_truncate(log, offset == -1 ? log->end : offset);
    *low = log->start;
    r->broker->changes++;
    return 0;
}

void kb_delete_records(struct kb_request *r)
{
    struct kb_in *in = &r->in;
    kb_put_i32(r->out, 0);
    const int32_t topics = kb_count(in);
    kb_put_count(r->out, topics);
    for (int32_t t = 0; t < topics && !in->bad; t++) {
        const struct kb_text topic = kb_text(in);
        const int32_t partitions = kb_count(in);
        kb_put_text(r->out, topic.data, topic.len);
        kb_put_count(r->out, partitions);
        for (int32_t p = 0; p < partitions && !in->bad; p++) {
            const int32_t partition = kb_i32(in);
            const int64_t offset = kb_i64(in);
            int64_t low = -1;
            kb_tags(in);
            const int16_t code =
                in->bad ? KB_INVALID_REQUEST : delete_records(r, topic, partition, offset, &low);
            kb_put_i32(r->out, partition);
            kb_put_i64(r->out, low);
            kb_put_i16(r->out, code);
            kb_put_tags(r->out);
        }
        kb_tags(in);
        kb_put_tags(r->out);
    }
    kb_put_tags(r->out);
}
