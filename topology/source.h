/* topology/source.h -- the class of a source: how splits are found and read. The runtime's source host does
 * the rest: event times, watermarks per split, late rows, idleness, policies for bad rows, choice of the
 * split to read.
 *
 * A split is an independent, ordered, replayable run of rows: a file, a byte range of one, a part of a
 * generator. Its id is stable across runs. Splits are spread over the workers by index; each worker has one
 * reader per open split. */
#ifndef LEAT_TOPOLOGY_SOURCE_H
#define LEAT_TOPOLOGY_SOURCE_H
#include "base/strbuf.h"
#include "topology/operator.h"
#include <leat/stream.h>

struct leat_split {
    const char *id; /* "orders.avro", "orders.avro@67108864" */
    uint64_t from, to; /* the class's own: byte range, index, ... */
    uint64_t bytes; /* for progress; 0: unknown */
    void *data; /* the class's own, in the list's arena */
    /* A text of `position`, in the list's arena: where it is to begin in a job that begins new, and part of every
     * checkpoint from then on. NULL, and of splits that have come since: `seek` is not called. */
    const char *begin;
};

struct leat_split_list {
    struct leat_arena arena;
    struct leat_split *splits;
    uint32_t count, capacity;
};
/* Appends a zeroed split with a copy of the id; NULL when out of memory. */
struct leat_split *leat__split_add(struct leat_split_list *list, const char *id);
void leat__split_list_release(struct leat_split_list *list);

struct leat_split_position {
    const char *id;
    struct leat_sv position;
};
/* What a checkpoint says of one source. */
struct leat_published {
    uint64_t checkpoint;
    const struct leat_split_position
        *positions; /* of all splits that were begun, also of those that have ended */
    uint32_t count;
};

enum leat_read_result {
    LEAT_READ_ROWS = 1, /* rows were added (possibly none) and there may be more at once */
    LEAT_READ_WAIT, /* nothing now: ask again after reader->wake_us (wall clock; 0: soon) */
    LEAT_READ_END, /* the split has ended; rows may have been added */
};

struct leat_reader {
    const struct leat_source_class *source_class;
    const struct leat_node *node;
    const struct leat_split *split;
    struct leat__ctx
        *ctx; /* the source's context: pool, env, error, counters (bytes_in is the class's to count) */
    int64_t wake_us;
    /* The class's, looked at after LEAT_READ_WAIT: there is more, and only on its way (a fetch): the split is not idle,
     * however long that takes (semantics 4). */
    bool has_more;
    uint64_t lag; /* the class's: rows that are there and were not read; for metrics */
    uint32_t woken; /* atomic: leat__reader_wake since the last read */
};

/* From any thread while the reader is open, after what there is to see was written: it is asked again although it
 * has said LEAT_READ_WAIT. */
void leat__reader_wake(struct leat_reader *reader);

struct leat_source_class {
    const char *kind; /* "file source" */
    size_t reader_size; /* a reader begins with struct leat_reader; the runtime allocates it, zeroed */
    /* All splits of the node, in a deterministic order; called once, by the coordinator before workers start.
     * Nothing found is for the class to refuse. */
    int (*list_splits)(const struct leat_node *node, struct leat_env *env, struct leat_split_list *list,
        struct leat_error *err);
    int (*open)(struct leat_reader *reader);
    /* Adds rows to the empty batch (capacity known) and refs to what they point into; bounded work, never
     * blocks for long. Rows that can not be decoded go to leat__reader_bad_row. Returns leat_read_result or
     * an error. */
    int (*read)(struct leat_reader *reader, struct leat_batch *batch);
    /* Where the next row to be read is, as text of the class's own ("block 4096 row 17"): checkpoints keep
     * it. After `open`, `seek` continues there. */
    int (*position)(struct leat_reader *reader, struct leat_strbuf *out);
    int (*seek)(struct leat_reader *reader, const char *position, size_t len);
    void (*close)(struct leat_reader *reader);
    /* May be NULL. The last of a subtask, when all its readers were closed: frees ctx->shared, which is NULL at first. */
    void (*leave)(struct leat__ctx *ctx);
    /* Where a row of the batch that was read last is, as leat__reader_bad_row takes it: for rows without a
     * usable time. event_us of that row is still as `read` has left it, and may be where the class keeps
     * this. NULL: unknown. */
    int64_t (*row_position)(const struct leat_reader *reader, const struct leat_batch *batch, uint32_t row);
    /* May be NULL: splits never come while the job runs. Else, where the node has a discover_us, called by the
     * coordinator's background so often: all splits that there are now, as list_splits; may block, for seconds at
     * most. Those with new ids are read too, by worker (their number modulo workers); none goes. Such a source does
     * not end when its splits have ended: it is idle. An error is logged and changes nothing. */
    int (*discover)(const struct leat_node *node, struct leat_env *env, struct leat_split_list *list,
        struct leat_error *err);
    /* May be NULL. Behind a checkpoint whose manifest is durable and whose sinks have committed, by the coordinator's
     * background, one call of a node at a time: where its splits would go on, for who watches from outside. May block,
     * for seconds at most; checkpoints that come meanwhile are skipped but for the newest. *held is NULL at first and
     * the class's own: `unpublish` ends it. An error is logged and changes nothing. */
    int (*publish)(const struct leat_node *node, struct leat_env *env, const struct leat_published *what,
        void **held, struct leat_error *err);
    void (*unpublish)(void *held);
};

/* What a message of a broker is beside its value: dead letters keep it, so that it can be written as it was. */
struct leat_bad_message {
    const char *topic;
    int32_t partition;
    struct leat_sv key; /* data NULL: none */
    bool is_tombstone;
    int64_t written_us; /* its own timestamp; INT64_MIN: none */
    const struct leat_dead_letter_header *headers;
    size_t headers_count;
};
struct leat_bad_row {
    int64_t position; /* the class's: byte offset or row; -1: unknown */
    struct leat_sv raw; /* data NULL: not known */
    const struct leat_bad_message *message; /* NULL: it was none */
};

/* A row that can not be decoded, or has no usable time: applies the node's policy; ctx->error has the cause.
 * Returns 0 to go on behind the row, or the error to return from `read`. */
int leat__reader_refuse(struct leat_reader *reader, const struct leat_bad_row *row);
/* The same where there is only a position and bytes; raw may be NULL. */
int leat__reader_bad_row(struct leat_reader *reader, int64_t position, const void *raw, size_t raw_len);
/* After each read that did not fail: sends the dead letters of its bad rows, which are held back so that they
 * go in batches. */
LEAT_NODISCARD int leat__reader_flush(struct leat_reader *reader);
#endif
