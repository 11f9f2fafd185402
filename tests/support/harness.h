/* tests/support/harness.h -- drives one declared operator as one subtask: batches and watermarks in, batches
 * out.
 *
 * The test declares a topology through the public API, with harness_source for its sources, and gives the
 * operator's stream to harness_new. Delivery follows topology/operator.h: input watermarks first, then the
 * merged one, steps until nothing is left, then the next message; key hashes where an edge hashes. Idle
 * inputs follow semantics 4.
 *
 * The harness checks what every operator owes: times and marks of what it emits, no more than a few batches a
 * call, columns and types that fit. Any breach fails the running test. Memory of the harness itself is the C
 * library's, so that leat__alloc_calls counts the operator's alone. */
#ifndef LEAT_TESTS_SUPPORT_HARNESS_H
#define LEAT_TESTS_SUPPORT_HARNESS_H
#include "base/arena.h"
#include "base/env.h"
#include "state/state.h"
#include "topology/declare.h"
#include "topology/operator.h"

struct harness_opts {
    uint32_t batch_rows; /* of the pool; 0: 1024 */
    uint64_t budget_bytes; /* of the state; 0: no limit */
    bool discard; /* release what is emitted instead of keeping it: only counts */
    bool with_store; /* state has a store, in memory, to spill to and to be restored from */
};

/* What an operator emitted. */
struct harness_out {
    uint32_t port;
    struct leat_batch *batch;
};

enum harness_activity { HARNESS_ACTIVE, HARNESS_IDLE, HARNESS_CATCHING_UP, HARNESS_ENDED };

/* What a harness knew at its last barrier. */
struct harness_mark {
    char dir[32]; /* of the checkpoint */
    struct leat_strbuf part; /* what the operator has saved */
    bool has_store;
    const struct leat_table_info *tables; /* when the snapshot has ended */
    uint32_t tables_count;
    struct leat_counters counters;
    int64_t watermark_us, input_watermark_us[LEAT_NODE_INPUTS_MAX], sent_us, told_us;
    enum harness_activity activity[LEAT_NODE_INPUTS_MAX];
    bool any_idle;
    uint64_t rows_count[LEAT_NODE_OUTPUTS_MAX];
    uint32_t outs_count;
};

struct harness {
    struct leat__ctx ctx;
    struct leat_counters counters;
    struct leat_error error;
    struct leat_env *env; /* virtual clock */
    struct leat_pool *pool;
    struct leat_state *state;
    struct leat_env *files; /* of the store; NULL: without one */
    uint64_t budget_bytes;
    uint32_t lives; /* begun so far */
    uint32_t barriers;
    bool snapshot_under_way;
    struct harness_mark mark;
    struct leat_arena tables_arena; /* what the last checkpoint knows of tables */
    struct leat_op *op;
    const struct leat_node *node;
    struct leat_key_scratch *keys;
    bool discard;
    enum harness_activity activity[LEAT_NODE_INPUTS_MAX];
    bool any_idle; /* some input was idle at some time */
    int64_t told_us; /* watermark that the operator was told, */
    int64_t sent_us; /* and what has been forwarded: the same, but for classes with `holds` */
    int code; /* sticky */
    uint32_t emitted_in_call; /* batches */
    uint64_t steps_count; /* calls of step so far */
    uint64_t rows_count[LEAT_NODE_OUTPUTS_MAX]; /* emitted so far, by port */
    struct harness_out *outs;
    uint32_t outs_count, outs_capacity;
};

/* A source that exists only to be declared. `time_field` NULL: no event time. */
leat_stream *harness_source(
    leat_topology *t, const char *name, const struct leat_type *type, const char *time_field);

/* The node that gives the stream, all its outputs consumed. Fails the test when the topology has errors. */
struct harness *harness_new(leat_stream *stream, const struct harness_opts *opts);
void harness_free(struct harness *h);

/* An empty batch of the input's type. */
struct leat_batch *harness_rows(struct harness *h, uint32_t input);
/* Delivers. 0, or the operator's error, which then stays: later calls do nothing. Takes the batch. */
int harness_batch(struct harness *h, uint32_t input, struct leat_batch *batch);
int harness_watermark(struct harness *h, uint32_t input, int64_t w);
int harness_idle(struct harness *h, uint32_t input);
int harness_end(struct harness *h, uint32_t input);
/* Moves the wall clock; the operator is told when it asked for that. */
int harness_advance(struct harness *h, int64_t us);
/* With a store: a checkpoint, the end of the instance and of its state, and another one that goes on from the
 * checkpoint. Behind `stream` if it is not NULL: what a later version of the job has declared. The operator's error
 * when it refuses. */
int harness_crash(struct harness *h, leat_stream *stream);
/* With a store, the same in three steps. A barrier: the state is frozen, and its snapshot goes on, a step behind
 * each later call. A crash: the instance is gone, with its output since the barrier; so is an error. A restore:
 * another instance goes on from the barrier, and what was delivered since is to be delivered again. */
void harness_barrier(struct harness *h);
void harness_lose(struct harness *h);
int harness_restore(struct harness *h);
/* With a store: the instance becomes subtask so many of `parallelism`, and goes on from what those were at their last
 * barriers: harness_barrier and harness_lose of each, which were subtasks 0, 1, ... and had the keys whose groups, of 128, are
 * theirs. The operator's error when it refuses. */
int harness_rescale(
    struct harness *h, uint32_t subtask, uint32_t parallelism, struct harness *const *from, uint32_t count);
/* Releases what was kept of the output. */
void harness_forget_outs(struct harness *h);
#endif
