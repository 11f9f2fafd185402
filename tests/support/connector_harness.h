/* tests/support/connector_harness.h -- drives the classes of sources and sinks as the runtime does, on one
 * thread, with everything that happens written down as text.
 *
 * Source: declare it with the public API, harness_source, then harness_list and harness_read_all, or reader
 * by reader. Rows are appended to `rows` as lines of plain JSON. Sink: harness_sink gives an instance with
 * the class's context; rows come from JSON lines. Bad rows: dead letters are appended to `letters` as
 * "<split>@<position>: <error> | <raw>" lines. */
#ifndef LEAT_TESTS_SUPPORT_CONNECTOR_HARNESS_H
#define LEAT_TESTS_SUPPORT_CONNECTOR_HARNESS_H
#include "base/env.h"
#include "record/container.h"
#include "topology/sink.h"
#include "topology/source.h"

struct harness {
    struct leat_env *env;
    const struct leat_node *node;
    struct leat_pool *pool;
    struct leat_counters counters;
    struct leat_error err;
    struct leat__ctx ctx;
    struct leat_split_list splits;
    struct leat_handle_list handles;
    int64_t now_us; /* what api->now_us says */
    struct leat_strbuf rows;
    struct leat_strbuf letters;
    uint64_t rows_count;
};

/* The type of these tests, made from its schema; static memory of the process. */
struct order {
    int64_t id;
    struct leat_sv name;
    bool has_note;
    struct leat_sv note;
    double price;
};
const struct leat_type *harness_order_type(void);
extern const char harness_order_schema[];

/* Borrows env and node; batches have `batch_rows` rows. */
void harness_init(struct harness *h, struct leat_env *env, const struct leat_node *node, uint32_t batch_rows);
void harness_release(struct harness *h);

/* ---- sources ---- */

int harness_list(struct harness *h);
/* A reader of split i, opened, and continued at `position` unless it is NULL; NULL on failure (h->err). */
struct leat_reader *harness_reader(struct harness *h, uint32_t i, const char *position);
int harness_read(struct harness *h, struct leat_reader *reader); /* one call of read */
/* The position of the reader as text; the caller frees it. */
char *harness_position(struct harness *h, struct leat_reader *reader);
void harness_close_reader(struct leat_reader *reader);
/* Reads split i to its end: 0 or the error. */
int harness_read_split(struct harness *h, uint32_t i, const char *position);
/* Lists, and reads every split in order. */
int harness_read_all(struct harness *h);

/* ---- sinks ---- */

/* An instance of subtask `subtask` of `parallelism`; NULL on failure. The harness's context becomes that
 * subtask's. */
struct leat_sink *harness_sink(struct harness *h, uint32_t subtask, uint32_t parallelism);
/* Writes `count` orders from id `from` on: {"id":7,"name":"name-7","note":null or "odd","price":3.5}. */
int harness_write(struct harness *h, struct leat_sink *sink, int64_t from, uint32_t count);
/* Closes an epoch, and syncs what it has written as the runtime's task does. */
int harness_prepare_epoch(struct harness *h, struct leat_sink *sink, uint64_t epoch, bool last);
int harness_prepare(struct harness *h, struct leat_sink *sink); /* the only epoch */
/* What a checkpoint gets; the caller frees it. */
char *harness_snapshot(struct harness *h, struct leat_sink *sink);
int harness_recover(struct harness *h, const char *const *parts, uint32_t count);
/* As harness_sink, going on from these parts. */
struct leat_sink *harness_sink_restored(
    struct harness *h, uint32_t subtask, uint32_t parallelism, const char *const *parts, uint32_t count);
void harness_forget(struct harness *h); /* the handles: their manifest was published, or will never be */
void harness_close_sink(struct harness *h, struct leat_sink *sink);
int harness_commit(struct harness *h); /* all handles, in order; stops at the first error */
int harness_discard(struct harness *h);

/* ---- files ---- */

/* What harness_write's rows look like, as lines of JSON. */
void harness_order_lines(struct leat_strbuf *out, int64_t from, int64_t to);
/* A container file of `count` orders, `block_rows` in a block, each encoded by the schema of the order type.
 */
void harness_container(
    struct leat_strbuf *out, int64_t from, uint32_t count, uint32_t block_rows, enum leat_codec codec);

#endif
