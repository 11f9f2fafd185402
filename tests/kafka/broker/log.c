/* tests/kafka/broker/log.c -- see log.h. */
#include "tests/kafka/broker/log.h"
#include <stdlib.h>
#include <string.h>

enum { OUT_OF_ORDER = 45, OLD_EPOCH = 47 };

void kb_log_free(struct kb_log *log)
{
    for (size_t i = 0; i < log->batches_count; i++)
        free(log->batches[i].data);
    free(log->batches);
    free(log->open);
    free(log->aborted);
    free(log->producers);
    *log = (struct kb_log){ 0 };
}

int64_t kb_log_stable(const struct kb_log *log)
{
    int64_t stable = log->end;
    for (size_t i = 0; i < log->open_count; i++)
        if (log->open[i].first < stable)
            stable = log->open[i].first;
    return stable;
}

static struct kb_open *find_open(const struct kb_log *log, int64_t pid)
{
    for (size_t i = 0; i < log->open_count; i++)
        if (log->open[i].pid == pid)
            return &log->open[i];
    return NULL;
}

bool kb_log_has_open(const struct kb_log *log, int64_t pid)
{
    return find_open(log, pid) != NULL;
}

static struct kb_producer *find_producer(struct kb_log *log, int64_t pid)
{
    for (size_t i = 0; i < log->producers_count; i++)
        if (log->producers[i].pid == pid)
            return &log->producers[i];
    return NULL;
}

/* The producer, known from now on; an epoch that is new to it begins with sequence 0. */
static struct kb_producer *know(struct kb_log *log, int64_t pid, int16_t epoch)
{
    struct kb_producer *p = find_producer(log, pid);
    if (!p) {
        KB_GROW(log->producers, log->producers_count);
        p = &log->producers[log->producers_count++];
        *p = (struct kb_producer){ .pid = pid, .epoch = epoch };
    }
    if (p->epoch != epoch) {
        p->epoch = epoch;
        p->batches_count = 0;
    }
    return p;
}

static void store(struct kb_log *log, const struct kb_batch *batch)
{
    KB_GROW(log->batches, log->batches_count);
    log->batches[log->batches_count++] = *batch;
    log->end = batch->last + 1;
}

/* Whether the batch may come now; *base >= 0: it has come before. */
static int16_t check_sequence(struct kb_log *log, const struct kb_batch *batch, int64_t *base)
{
    const struct kb_producer *p = find_producer(log, batch->pid);
    *base = -1;
    if (!p)
        return 0; /* it may have been forgotten: any number is taken */
    if (batch->epoch < p->epoch)
        return OLD_EPOCH;
    if (batch->epoch > p->epoch)
        return batch->first_seq == 0 ? 0 : OUT_OF_ORDER;
    for (int32_t i = 0; i < p->batches_count; i++)
        if (p->batches[i].first_seq == batch->first_seq && p->batches[i].last_seq == batch->last_seq) {
            *base = p->batches[i].base;
            return 0;
        }
    if (p->batches_count == 0)
        return batch->first_seq == 0 ? 0 : OUT_OF_ORDER;
    const int32_t next = (int32_t)(((uint32_t)p->batches[p->batches_count - 1].last_seq + 1) & INT32_MAX);
    return batch->first_seq == next ? 0 : OUT_OF_ORDER;
}

static void remember(struct kb_log *log, const struct kb_batch *batch)
{
    struct kb_producer *p = know(log, batch->pid, batch->epoch);
    if (p->batches_count == KB_BATCHES_KEPT) {
        memmove(p->batches, p->batches + 1, sizeof p->batches - sizeof p->batches[0]);
        p->batches_count--;
    }
    p->batches[p->batches_count].first_seq = batch->first_seq;
    p->batches[p->batches_count].last_seq = batch->last_seq;
    p->batches[p->batches_count].time = batch->max_time;
    p->batches[p->batches_count++].base = batch->base;
    if ((batch->attributes & KB_TRANSACTIONAL) && !find_open(log, batch->pid)) {
        KB_GROW(log->open, log->open_count);
        log->open[log->open_count++] = (struct kb_open){ batch->pid, batch->base };
    }
}

int16_t kb_log_append(
    struct kb_log *log, struct kb_batch batch, const uint8_t *data, int64_t append_time, int64_t *base)
{
    *base = -1;
    if (batch.pid >= 0) {
        const int16_t code = check_sequence(log, &batch, base);
        if (code || *base >= 0)
            return code;
    }
    batch.data = kb_new(batch.size);
    memcpy(batch.data, data, batch.size);
    kb_batch_place(&batch, log->end, append_time);
    store(log, &batch);
    if (batch.pid >= 0)
        remember(log, &batch);
    *base = batch.base;
    return 0;
}

void kb_log_mark(struct kb_log *log, int64_t pid, int16_t epoch, bool commit, int64_t now)
{
    struct kb_batch marker = kb_batch_marker(pid, epoch, commit, now);
    kb_batch_place(&marker, log->end, -1);
    (void)know(log, pid, epoch);
    struct kb_open *open = find_open(log, pid);
    if (open) {
        if (!commit) {
            KB_GROW(log->aborted, log->aborted_count);
            log->aborted[log->aborted_count++] = (struct kb_aborted){ pid, open->first, marker.base };
        }
        *open = log->open[--log->open_count];
    }
    store(log, &marker);
}

void kb_log_truncate(struct kb_log *log, int64_t offset)
{
    size_t gone = 0;
    if (offset <= log->start)
        return;
    log->start = offset < log->end ? offset : log->end;
    while (gone < log->batches_count && log->batches[gone].last < log->start)
        free(log->batches[gone++].data);
    if (gone == 0)
        return;
    memmove(log->batches, log->batches + gone, (log->batches_count - gone) * sizeof *log->batches);
    log->batches_count -= gone;
}

/* The batch that `offset` is in, or the next. */
static size_t find_batch(const struct kb_log *log, int64_t offset)
{
    size_t low = 0, high = log->batches_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (log->batches[middle].last < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t kb_log_read(
    const struct kb_log *log, int64_t offset, int64_t limit, size_t max, bool one, struct kb_out *out)
{
    size_t total = 0;
    for (size_t i = find_batch(log, offset); i < log->batches_count && log->batches[i].base < limit; i++) {
        const struct kb_batch *batch = &log->batches[i];
        if (total + batch->size > max && (total > 0 || !one))
            break;
        kb_put_raw(out, batch->data, batch->size);
        total += batch->size;
    }
    return total;
}

struct seek {
    int64_t from, time, offset, found;
    bool largest;
};

static bool seek_in_batch(const struct kb_record *record, void *arg)
{
    struct seek *seek = arg;
    if (record->offset < seek->from)
        return true;
    if (seek->largest ? record->time <= seek->found : record->time < seek->time)
        return true;
    seek->offset = record->offset;
    seek->found = record->time;
    return seek->largest;
}

void kb_log_at_time(const struct kb_log *log, int64_t time, int64_t *offset, int64_t *found)
{
    struct seek seek = { .from = log->start, .time = time, .offset = -1, .found = -1 };
    for (size_t i = 0; i < log->batches_count && seek.offset < 0; i++)
        if (log->batches[i].max_time >= time)
            (void)kb_batch_records(&log->batches[i], seek_in_batch, &seek);
    *offset = seek.offset;
    *found = seek.found;
}

void kb_log_latest(const struct kb_log *log, int64_t *offset, int64_t *found)
{
    struct seek seek = { .from = log->start, .offset = -1, .found = -1, .largest = true };
    for (size_t i = 0; i < log->batches_count; i++)
        if (log->batches[i].max_time > seek.found)
            (void)kb_batch_records(&log->batches[i], seek_in_batch, &seek);
    *offset = seek.offset;
    *found = seek.found;
}

static bool is_aborted(const struct kb_log *log, const struct kb_batch *batch)
{
    for (size_t i = 0; i < log->aborted_count; i++)
        if (log->aborted[i].pid == batch->pid && batch->base >= log->aborted[i].first &&
            batch->base <= log->aborted[i].last)
            return true;
    return false;
}

int16_t kb_log_committed(
    const struct kb_log *log, bool (*each)(const struct kb_record *record, void *arg), void *arg)
{
    const int64_t stable = kb_log_stable(log);
    int16_t code = 0;
    for (size_t i = 0; i < log->batches_count && log->batches[i].base < stable && !code; i++) {
        const struct kb_batch *batch = &log->batches[i];
        if (batch->attributes & KB_CONTROL ||
            ((batch->attributes & KB_TRANSACTIONAL) && is_aborted(log, batch)))
            continue;
        code = kb_batch_records(batch, each, arg);
    }
    return code;
}
