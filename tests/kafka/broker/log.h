/* tests/kafka/broker/log.h -- the log of one partition: batches in the order of their offsets, and what transactions need.
 *
 * A transaction is open in a partition from its first batch to its marker. The last stable offset is the first offset of the
 * oldest open one, or the end. An aborted one is remembered with its first offset and that of its marker: a read_committed
 * reader is told of those that overlap what it gets, and drops their batches itself. Producers are known by id, with their
 * epoch and their last five batches: what comes again is answered as the first time, what leaves a gap is refused. */
#ifndef LEAT_TESTS_KAFKA_BROKER_LOG_H
#define LEAT_TESTS_KAFKA_BROKER_LOG_H
#include "tests/kafka/broker/batch.h"

enum { KB_BATCHES_KEPT = 5 };

struct kb_producer {
    int64_t pid;
    int16_t epoch;
    int32_t batches_count; /* newest last */
    struct {
        int32_t first_seq, last_seq;
        int64_t base, time;
    } batches[KB_BATCHES_KEPT];
};

struct kb_open {
    int64_t pid, first;
};

struct kb_aborted {
    int64_t pid, first, last; /* last: the marker */
};

struct kb_log {
    int64_t start, end; /* first offset that is there; the one that the next record gets */
    struct kb_batch *batches;
    size_t batches_count;
    struct kb_open *open;
    size_t open_count;
    struct kb_aborted *aborted;
    size_t aborted_count;
    struct kb_producer *producers;
    size_t producers_count;
};

void kb_log_free(struct kb_log *log);
int64_t kb_log_stable(const struct kb_log *log);
bool kb_log_has_open(const struct kb_log *log, int64_t pid);
/* Stores a parsed batch; `data` is copied. append_time < 0: records keep their own. *base: where it is, also when it had come
 * before. A Kafka error: 45 (out of order), 47 (old epoch). */
int16_t kb_log_append(
    struct kb_log *log, struct kb_batch batch, const uint8_t *data, int64_t append_time, int64_t *base);
/* Ends what the producer has open here, if anything, and makes it known with the epoch. */
void kb_log_mark(struct kb_log *log, int64_t pid, int16_t epoch, bool commit, int64_t now);
/* Records below `offset` go, by whole batches as far as bytes are concerned: readers may not ask below it. */
void kb_log_truncate(struct kb_log *log, int64_t offset);
/* Writes whole batches from the one with `offset` on, below `limit`, at most `max` bytes but at least one batch if `one`. */
size_t kb_log_read(
    const struct kb_log *log, int64_t offset, int64_t limit, size_t max, bool one, struct kb_out *out);
/* The first record at or behind `time` (offset -1: none). */
void kb_log_at_time(const struct kb_log *log, int64_t time, int64_t *offset, int64_t *found);
/* The record with the largest timestamp. */
void kb_log_latest(const struct kb_log *log, int64_t *offset, int64_t *found);
/* Calls `each` for what a read_committed reader must see, by the log alone. */
int16_t kb_log_committed(
    const struct kb_log *log, bool (*each)(const struct kb_record *record, void *arg), void *arg);
#endif
