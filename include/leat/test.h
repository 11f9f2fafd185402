/* include/leat/test.h -- drive any topology in process: no threads, no files, a clock that only you move.
 *
 *   leat_test *test = leat_test_new(t, NULL);
 *   leat_test_pipe(test, "orders", &(struct order){ .order_id = 1, .total = 500, .ordered_at = 1000 });
 *   leat_test_end(test, "orders");
 *   const struct total *row = leat_test_read(test, "totals");
 *
 * Every source of the topology is replaced by a pipe and every sink by a queue; operators, time and errors
 * are the real ones. What goes in is worked through at once, so that results can be read right after. Errors
 * are sticky: once something has failed, calls do nothing and leat_test_error tells. One thread. */
#ifndef LEAT_TEST_H
#define LEAT_TEST_H
#include <leat/change.h>

typedef struct leat_test leat_test;

struct leat_test_opts {
    uint32_t parallelism; /* 0: 1 */
    uint32_t batch_rows; /* 0: 1024 */
    uint32_t splits; /* of every source; 0: 1. A split that gets no records holds the watermark back until it
                        ends */
    int64_t wall_us; /* what the wall clock shows at the start; 0: 2020-01-01T00:00:00Z */
    uint64_t seed; /* of the scheduler */
};

LEAT_BEGIN_DECLS
/* Never NULL but without memory. Borrows `t`. */
LEAT_API leat_test *leat_test_new(leat_topology *t, const struct leat_test_opts *opts);
LEAT_API void leat_test_free(leat_test *test);
/* 0 while all is well; the text names node and cause. */
LEAT_API const struct leat_error *leat_test_error(const leat_test *test);

/* Puts a record (its struct is copied deeply) into a source; event time and watermark follow the source's
 * options. With leat_test_pipe_to another split than 0 is meant. */
LEAT_API void leat_test_pipe(leat_test *test, const char *source, const void *record);
LEAT_API void leat_test_pipe_to(leat_test *test, const char *source, uint32_t split, const void *record);
/* The same from a line of plain JSON. */
LEAT_API void leat_test_pipe_json(leat_test *test, const char *source, const char *json);
/* Moves a source's watermark (all its splits) to w, as if records had come that far. */
LEAT_API void leat_test_watermark(leat_test *test, const char *source, int64_t w);
/* The source has ended; NULL: all of them. */
LEAT_API void leat_test_end(leat_test *test, const char *source);
/* Moves the virtual clock forward. */
LEAT_API void leat_test_advance(leat_test *test, int64_t us);

/* The next record that arrived in a sink, NULL when there is none. Valid until the test is freed. */
LEAT_API const void *leat_test_read(leat_test *test, const char *sink);
/* The same as a line of plain JSON. */
LEAT_API const char *leat_test_read_json(leat_test *test, const char *sink);
/* Event time of the record read last from this sink. */
LEAT_API int64_t leat_test_event_us(leat_test *test, const char *sink);
/* What the record read last from this sink does, of a stream of changes; else LEAT_INSERT. */
LEAT_API enum leat_change leat_test_change(leat_test *test, const char *sink);
/* Records that wait to be read. */
LEAT_API size_t leat_test_waiting(leat_test *test, const char *sink);
/* The watermark of a node, LEAT_TIME_MIN before the first. */
LEAT_API int64_t leat_test_node_watermark(leat_test *test, const char *node);
/* Counters of a node: records dropped as late, dropped for other reasons, between windows that have gaps. */
LEAT_API uint64_t leat_test_late(leat_test *test, const char *node);
LEAT_API uint64_t leat_test_dropped(leat_test *test, const char *node);
LEAT_API uint64_t leat_test_unassigned(leat_test *test, const char *node);
LEAT_END_DECLS
#endif
