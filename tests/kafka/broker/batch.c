/* tests/kafka/broker/batch.c -- see batch.h. */
#include "tests/kafka/broker/batch.h"
#include <stdlib.h>
#include <string.h>

enum { AT_LENGTH = 8, AT_LEADER = 12, AT_MAGIC = 16, AT_CRC = 17, AT_ATTRIBUTES = 21, AT_LAST_DELTA = 23 };
enum { AT_FIRST_TIME = 27, AT_MAX_TIME = 35, AT_PID = 43, AT_EPOCH = 51, AT_SEQ = 53, AT_COUNT = 57 };
enum { CORRUPT = 2, OTHER_FORMAT = 43, INVALID_RECORD = 87 };

uint32_t kb_crc32c(const uint8_t *data, size_t size)
{
    static uint32_t table[256];
    if (!table[1])
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t value = i;
            for (int bit = 0; bit < 8; bit++)
                value = value >> 1 ^ (value & 1 ? UINT32_C(0x82f63b78) : 0);
            table[i] = value;
        }
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < size; i++)
        crc = crc >> 8 ^ table[(crc ^ data[i]) & 0xff];
    return ~crc;
}

int16_t kb_batch_parse(const uint8_t *data, size_t size, struct kb_batch *b)
{
    if (size < KB_BATCH_HEAD)
        return CORRUPT;
    if (data[AT_MAGIC] != 2)
        return OTHER_FORMAT;
    const int64_t length = kb_get_i32(data + AT_LENGTH);
    if (length < KB_BATCH_HEAD - 12 || length + 12 > (int64_t)size)
        return CORRUPT;
    if (length + 12 != (int64_t)size)
        return INVALID_RECORD;
    if (kb_crc32c(data + AT_ATTRIBUTES, size - AT_ATTRIBUTES) != (uint32_t)kb_get_i32(data + AT_CRC))
        return CORRUPT;
    const int32_t delta = kb_get_i32(data + AT_LAST_DELTA);
    *b = (struct kb_batch){ .base = kb_get_i64(data),
        .first_time = kb_get_i64(data + AT_FIRST_TIME),
        .max_time = kb_get_i64(data + AT_MAX_TIME),
        .pid = kb_get_i64(data + AT_PID),
        .epoch = kb_get_i16(data + AT_EPOCH),
        .attributes = kb_get_i16(data + AT_ATTRIBUTES),
        .first_seq = kb_get_i32(data + AT_SEQ),
        .count = kb_get_i32(data + AT_COUNT),
        .data = NULL,
        .size = size };
    if (b->count < 1 || b->count - 1 != delta || b->pid < -1 ||
        (b->pid >= 0 && (b->epoch < 0 || b->first_seq < 0)) || (b->attributes & KB_CODEC) > 4)
        return INVALID_RECORD;
    b->base = 0;
    b->last = delta;
    b->last_seq = b->pid >= 0 ? (int32_t)(((uint32_t)b->first_seq + (uint32_t)delta) & INT32_MAX) : -1;
    return 0;
}

static bool take_sized(struct kb_in *in, struct kb_text *text)
{
    const int64_t len = kb_varint(in);
    *text = (struct kb_text){ NULL, 0 };
    if (len < -1 || len > (int64_t)kb_left(in))
        in->bad = true;
    else if (len >= 0)
        *text = (struct kb_text){ (const char *)kb_raw(in, (size_t)len), (size_t)len };
    return !in->bad;
}

static bool parse_record(struct kb_in *in, const struct kb_batch *b, int32_t number, struct kb_record *record)
{
    const int64_t size = kb_varint(in);
    if (size < 0 || size > (int64_t)kb_left(in))
        return false;
    struct kb_in own = { .at = in->at, .end = in->at + size };
    in->at += size;
    (void)kb_i8(&own);
    const int64_t delta = kb_varint(&own);
    record->time =
        b->attributes & KB_APPEND_TIME ? b->max_time : (int64_t)((uint64_t)b->first_time + (uint64_t)delta);
    if (kb_varint(&own) != number || !take_sized(&own, &record->key) || !take_sized(&own, &record->value))
        return false;
    record->offset = b->base + number;
    const int64_t headers = kb_varint(&own);
    if (own.bad || headers < 0 || headers > (int64_t)kb_left(&own))
        return false;
    record->headers_count = (int32_t)headers;
    record->headers = own;
    struct kb_text name, value;
    for (int32_t i = 0; i < record->headers_count; i++)
        if (!take_sized(&own, &name) || !name.data || !take_sized(&own, &value))
            return false;
    return kb_left(&own) == 0;
}

int16_t kb_batch_records(
    const struct kb_batch *b, bool (*each)(const struct kb_record *record, void *arg), void *arg)
{
    struct kb_out unpacked = { 0 };
    struct kb_in in = { .at = b->data + KB_BATCH_HEAD, .end = b->data + b->size };
    int16_t result = CORRUPT;
    if (b->attributes & KB_CODEC) {
        if (!kb_unpack(b->attributes & KB_CODEC, in.at, (size_t)(in.end - in.at), &unpacked))
            goto done;
        kb_put_i8(&unpacked, 0); /* there are bytes to point to, whatever came out */
        in = (struct kb_in){ .at = unpacked.data, .end = unpacked.data + unpacked.len - 1 };
    }
    for (int32_t i = 0; i < b->count; i++) {
        struct kb_record record;
        if (!parse_record(&in, b, i, &record))
            goto done;
        if (!each(&record, arg)) {
            result = 0;
            goto done;
        }
    }
    result = kb_left(&in) == 0 ? 0 : CORRUPT;
done:
    kb_out_free(&unpacked);
    return result;
}

void kb_batch_place(struct kb_batch *b, int64_t base, int64_t append_time)
{
    b->base = base;
    b->last += base;
    kb_set_i64(b->data, base);
    kb_set_i32(b->data + AT_LEADER, 0);
    if (append_time < 0)
        return;
    b->attributes |= KB_APPEND_TIME;
    b->max_time = append_time;
    kb_set_i16(b->data + AT_ATTRIBUTES, b->attributes);
    kb_set_i64(b->data + AT_MAX_TIME, append_time);
    kb_set_i32(b->data + AT_CRC, (int32_t)kb_crc32c(b->data + AT_ATTRIBUTES, b->size - AT_ATTRIBUTES));
}

struct kb_batch kb_batch_marker(int64_t pid, int16_t epoch, bool commit, int64_t now)
{
    /* size 16, no attributes, deltas 0, a key of 4: version 0 and the kind, a value of 6: version 0 and the
     * coordinator's epoch, no headers */
    const uint8_t record[] = { 2 * 16, 0, 0, 0, 2 * 4, 0, 0, 0, commit, 2 * 6, 0, 0, 0, 0, 0, 0, 0 };
    struct kb_batch b = { .first_time = now,
        .max_time = now,
        .pid = pid,
        .epoch = epoch,
        .attributes = KB_TRANSACTIONAL | KB_CONTROL,
        .first_seq = -1,
        .last_seq = -1,
        .count = 1,
        .size = KB_BATCH_HEAD + sizeof record };
    b.data = kb_new(b.size);
    kb_set_i32(b.data + AT_LENGTH, (int32_t)b.size - 12);
    b.data[AT_MAGIC] = 2;
    kb_set_i16(b.data + AT_ATTRIBUTES, b.attributes);
    kb_set_i64(b.data + AT_FIRST_TIME, now);
    kb_set_i64(b.data + AT_MAX_TIME, now);
    kb_set_i64(b.data + AT_PID, pid);
    kb_set_i16(b.data + AT_EPOCH, epoch);
    kb_set_i32(b.data + AT_SEQ, -1);
    kb_set_i32(b.data + AT_COUNT, 1);
    memcpy(b.data + KB_BATCH_HEAD, record, sizeof record);
    kb_set_i32(b.data + AT_CRC, (int32_t)kb_crc32c(b.data + AT_ATTRIBUTES, b.size - AT_ATTRIBUTES));
    return b;
}
