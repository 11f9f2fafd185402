/* tests/fuzz/fuzz_kafka_broker.c -- any bytes as requests to the Kafka broker of the tests: pieces with an API, a version and
 * a body, one after another, to a broker that has a topic, a transaction and offsets. A piece of no API is a batch, whose length
 * and checksum are set right first, so that its records are reached. Answers must be frames; logs must stay sound. */
#include "tests/fuzz/fuzz.h"
#include "tests/kafka/broker/broker.h"
#include <string.h>

#define TEXT(text_) ((struct kb_text){ text_, sizeof(text_) - 1 })

enum { PIECES_MAX = 64, MEMORY_MAX = 1 << 20 };

static bool look_at(const struct kb_record *record, void *arg)
{
    volatile char last = 0;
    for (size_t i = 0; i < record->key.len; i++)
        last = record->key.data[i];
    for (size_t i = 0; i < record->value.len; i++)
        last = record->value.data[i];
    (void)last;
    return ++*(size_t *)arg < MEMORY_MAX;
}

static void check_log(const struct kb_log *log)
{
    size_t seen = 0;
    const int64_t stable = kb_log_stable(log);
    FUZZ_CHECK(log->start >= 0 && log->start <= log->end && stable <= log->end);
    int64_t next = -1;
    for (size_t i = 0; i < log->batches_count; i++) {
        FUZZ_CHECK(log->batches[i].base > next - 1 && log->batches[i].last >= log->batches[i].base);
        next = log->batches[i].last + 1;
    }
    FUZZ_CHECK(log->batches_count == 0 || next == log->end);
    FUZZ_CHECK(kb_log_committed(log, look_at, &seen) == 0);
}

static void ask(struct kb_broker *broker, const uint8_t *data, size_t size)
{
    struct kb_out frame = { 0 }, out = { 0 };
    struct kb_request request = { .broker = broker, .out = &out };
    kb_put_i16(&frame, (int16_t)(data[0] % KB_APIS));
    kb_put_i16(&frame, (int16_t)(data[1] & 15));
    kb_put_i32(&frame, 7);
    kb_put_str(&frame, "fuzz");
    kb_put_raw(&frame, data + 2, size - 2);
    if (kb_answer(&request, frame.data, frame.len) && out.len > 0) {
        FUZZ_CHECK(out.len >= 8 && (size_t)kb_get_i32(out.data) == out.len - 4);
        FUZZ_CHECK(kb_get_i32(out.data + 4) == 7);
    }
    kb_out_free(&frame);
    kb_out_free(&out);
}

static void append(struct kb_log *log, const uint8_t *data, size_t size)
{
    struct kb_batch batch;
    struct kb_out copy = { 0 };
    int64_t base = -1, offset, time;
    size_t seen = 0;
    kb_put_raw(&copy, data, size);
    if (size >= KB_BATCH_HEAD) {
        kb_set_i32(copy.data + 8, (int32_t)size - 12);
        copy.data[16] = 2;
        kb_set_i32(copy.data + 17, (int32_t)kb_crc32c(copy.data + 21, size - 21));
    }
    if (kb_batch_parse(copy.data, size, &batch) == 0) {
        batch.data = copy.data;
        if (kb_batch_records(&batch, look_at, &seen) == 0 && !(batch.attributes & KB_CONTROL)) {
            (void)kb_log_append(log, batch, copy.data, -1, &base);
            kb_log_at_time(log, batch.max_time, &offset, &time);
            kb_log_latest(log, &offset, &time);
        }
    }
    kb_out_free(&copy);
}

static void prepare(struct kb_broker *b)
{
    struct kb_topic *topic = NULL;
    int64_t pid;
    int16_t epoch;
    struct kb_txn *txn = NULL;
    FUZZ_CHECK(kb_topic_create(b, TEXT("t"), 2, &topic) == 0);
    FUZZ_CHECK(kb_txn_init(b, TEXT("x"), 1000, -1, -1, &pid, &epoch) == 0);
    FUZZ_CHECK(kb_txn_check(b, TEXT("x"), pid, epoch, &txn) == 0);
    kb_txn_add(b, txn, topic, 0);
    kb_txn_add_group(b, txn, TEXT("g"));
    kb_offset_store(b, TEXT("g"), topic, (struct kb_offset){ .offset = 5, .pid = pid }, TEXT("m"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kb_broker b = { .host = "127.0.0.1", .port = 9092, .now = 1000, .wall = 1000, .next_pid = 1 };
    prepare(&b);
    for (int pieces = 0; size >= 4 && pieces < PIECES_MAX; pieces++) {
        size_t len = (size_t)data[0] << 8 | data[1];
        data += 2;
        size -= 2;
        if (len < 2 || len > size)
            len = size;
        /* The last log that is there, by number: requests may have removed the topic. */
        if (data[0] % 64 == 63 && b.topics_count > 0)
            append(&b.topics[b.topics_count - 1].logs[0], data + 1, len - 1);
        else
            ask(&b, data, len);
        data += len;
        size -= len;
        b.now += 300;
        (void)kb_txn_expire_due(&b);
        for (size_t t = 0; t < b.topics_count; t++)
            for (int32_t p = 0; p < b.topics[t].partitions && p < 4; p++)
                check_log(&b.topics[t].logs[p]);
    }
    kb_broker_free(&b);
    return 0;
}
