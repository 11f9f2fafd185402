/* tests/kafka/broker/batch.h -- record batches of format 2: the checks before one is stored, its records, control batches.
 *
 * A batch is kept as it was sent; the broker sets its base offset and leader epoch, which the checksum does not cover. */
#ifndef LEAT_TESTS_KAFKA_BROKER_BATCH_H
#define LEAT_TESTS_KAFKA_BROKER_BATCH_H
#include "tests/kafka/broker/wire.h"

enum {
    KB_BATCH_HEAD = 61,
    KB_TRANSACTIONAL = 0x10,
    KB_CONTROL = 0x20,
    KB_APPEND_TIME = 0x08,
    KB_CODEC = 0x07,
};

struct kb_batch {
    int64_t base, last; /* offsets */
    int64_t first_time, max_time;
    int64_t pid; /* -1: none */
    int32_t first_seq, last_seq, count;
    int16_t epoch, attributes;
    uint8_t *data; /* owned by whoever stores it */
    size_t size;
};

struct kb_record {
    int64_t offset, time;
    struct kb_text key, value;
    struct kb_in headers; /* at the first name length */
    int32_t headers_count;
};

/* The head of one batch that fills `data`; a Kafka error: 2 (corrupt), 43 (another format), 87 (not one whole batch). */
int16_t kb_batch_parse(const uint8_t *data, size_t size, struct kb_batch *batch);
/* Calls `each` for the records until it gives false; 0, or 2 when they are not what the head says or can not be unpacked. */
int16_t kb_batch_records(
    const struct kb_batch *batch, bool (*each)(const struct kb_record *record, void *arg), void *arg);
/* Writes base offset, leader epoch and (append_time >= 0) the time of appending into the batch and into its bytes. */
void kb_batch_place(struct kb_batch *batch, int64_t base, int64_t append_time);
/* A marker: the bytes are new. */
struct kb_batch kb_batch_marker(int64_t pid, int16_t epoch, bool commit, int64_t now);
uint32_t kb_crc32c(const uint8_t *data, size_t size);
/* The bytes that codec 1..4 (gzip, snappy, lz4, zstd) packed, new; false: broken, or larger than 64 MiB. */
bool kb_unpack(int codec, const uint8_t *data, size_t size, struct kb_out *out);
#endif
