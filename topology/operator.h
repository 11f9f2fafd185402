/* topology/operator.h -- the class of an operator, and the context in which its instances run.
 *
 * An *instance* (struct leat_op) is one subtask's part: everything it touches belongs to one worker. The
 * runtime delivers, in the order of each channel: batches (never empty), watermarks (merged over all inputs,
 * strictly rising), the end. Every call does a bounded piece of work: an operator that has more output than a
 * few batches returns LEAT_MORE and is called again by `step`, when its outputs have room, before anything
 * else is delivered to it.
 *
 * Rules: (1) on_batch takes the batch: emits or releases it. (2) What watermark w causes is emitted before
 * on_watermark (and its steps) return 0; the runtime forwards w afterwards. (3) Before a batch with `late`
 * set, the runtime has delivered the watermark that its channel had when the rows were read. A row is late
 * for a purpose iff its time <= max(ctx watermark, batch->late_wm_us): leat__ctx_late_wm. (4) Batches may be
 * shared (fan-out): rows are read-only unless made by the operator or passed through leat__batch_writable.
 * (5) Output batches keep lateness marks (leat__batch_copy_marks) when rows map one to one in event time;
 * operators with several inputs or with windows give unmarked rows, whose times are above the watermark that
 * they have forwarded. (6) No call blocks, allocates per row, reads clocks or spawns. (7) What an
 * instance remembers across calls is in tables, in `snapshot`, or can be derived; after `restore` every later
 * output is what it would have been without the interruption. */
#ifndef LEAT_TOPOLOGY_OPERATOR_H
#define LEAT_TOPOLOGY_OPERATOR_H
#include "base/assert.h"
#include "base/strbuf.h"
#include "record/batch.h"
#include "record/copy.h"
#include "topology/graph.h"

struct leat__ctx;
struct leat_outbox;
struct leat_waker;
struct leat_state;

/* Returned by on_batch, on_watermark, on_end and step besides 0 and errors: there is more, call step. */
#define LEAT_MORE 1
/* Returned as well, by classes with `holds` and by sinks with `step`: nothing else may be delivered yet, but there is nothing to do before
 * *ctx->woken is set or on_time. */
#define LEAT_WAIT 2

struct leat_op {
    const struct leat_op_class *op_class;
    const struct leat_node *node;
};

struct leat_combine_class;

struct leat_op_class {
    const char *kind; /* "filter" */
    const struct leat_combine_class
        *combine; /* of input 0; NULL: rows come as they are (topology/combine.h) */
    size_t size; /* of the instance, which begins with struct leat_op; the runtime allocates it, zeroed */
    bool keeps_rows; /* output 0 has only rows of input 0, unchanged: partitioning and order survive */
    /* It has rows on the way that are neither output nor state yet: the runtime forwards no watermark for it
     * (leat__ctx_forward does, and may stay behind as long as it likes), no idleness while ctx->holding, and calls step whenever *ctx->woken is set; step
     * clears it. After a restore on_watermark is told once more what the instance knew. on_time and step may
     * emit while a barrier is being aligned: what they emit is older than the barrier. */
    bool holds;
    /* The node's policy was changed, which may be after its declaration: what was chosen by it is chosen again. NULL:
     * nothing depends on it. */
    void (*settle)(struct leat_node *node);
    int (*init)(
        struct leat_op *op, struct leat__ctx *ctx); /* may be NULL; on failure release is called too */
    int (*on_batch)(struct leat_op *op, struct leat__ctx *ctx, uint32_t input, struct leat_batch *batch);
    int (*on_watermark)(struct leat_op *op, struct leat__ctx *ctx, int64_t w); /* NULL: nothing to do */
    int (*on_end)(struct leat_op *op,
        struct leat__ctx *ctx); /* all inputs ended, after watermark LEAT_TIME_MAX; NULL: nothing */
    int (*step)(struct leat_op *op, struct leat__ctx *ctx); /* NULL if LEAT_MORE is never returned */
    /* The wall clock has reached ctx->wake_us, which the runtime has set to LEAT_TIME_MAX before the call:
     * the class sets it again. Like on_watermark it may return LEAT_MORE. NULL: wake_us is never set. Called
     * when nothing is left to say, never while a barrier is being aligned for it. */
    int (*on_time)(struct leat_op *op, struct leat__ctx *ctx, int64_t now_us);
    /* At a barrier, when the operator has nothing left to say: appends what it knows beside its tables, and may put into
     * them what it held back: the runtime freezes them behind this call. NULL: nothing. The first byte is a version of the
     * class's own. */
    int (*snapshot)(struct leat_op *op, struct leat__ctx *ctx, struct leat_strbuf *out);
    /* After init, before anything is delivered; ctx->watermark_us and input_watermark_us are restored
     * already. `parts`: what the subtasks of the checkpoint have written; after rescaling there are more or
     * fewer of them than subtasks now, and every subtask gets all. Never called with none. LEAT_EDATA:
     * damaged. */
    int (*restore)(struct leat_op *op, struct leat__ctx *ctx, const struct leat_sv *parts, uint32_t count);
    void (*release)(struct leat_op *op, struct leat__ctx *ctx); /* may be NULL */
};

/* What an instance counts; only its worker writes, with relaxed atomic stores, so that others may read. */
struct leat_counters {
    uint64_t records_in, records_out, late_records, dropped_records, dead_letters, bytes_in, bytes_out;
    uint64_t unassigned_records; /* between windows with gaps (semantics 14) */
    uint64_t partials_in, combined_records; /* rows that came combined, and the records in them */
    int64_t watermark_us;
    uint64_t busy_ns, backpressured_ns, state_keys;
    uint64_t paused_ns; /* sources: too far ahead of their group */
    uint64_t lag; /* sources: rows that are there and were not read; a figure, not a count */
};
static inline void leat__count(uint64_t *counter, uint64_t n)
{
    __atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

/* What the runtime (or a test harness) provides. */
struct leat_ctx_api {
    /* Takes the batch; gives it to all consumers of the port (releases it when there is none or it is empty).
     */
    int (*emit)(struct leat__ctx *ctx, uint32_t port, struct leat_batch *batch);
    int64_t (*now_us)(const struct leat__ctx *ctx);
    /* For classes with `holds`. */
    int (*forward)(struct leat__ctx *ctx, int64_t watermark_us);
};

#define LEAT_FAILURES_KEPT_MAX 16u

/* The engine's side of a context. `user` is what callbacks get. */
struct leat__ctx {
    struct leat_ctx user; /* first; user.engine == this */
    const struct leat_ctx_api *api;
    void *host; /* the api's own */
    const struct leat_node *node;
    uint32_t subtask, parallelism;
    struct leat_env *env;
    struct leat_pool *pool;
    struct leat_state *state; /* the worker's keyed state */
    void *shared; /* sources: the class's own, of all readers of this subtask (source.h, `leave`) */
    struct leat_outbox *outbox; /* of a transactional sink: runtime/outbox.h; NULL for all others */
    struct leat_counters *counters;
    struct leat_error *error; /* where leat__fail writes */
    int64_t watermark_us; /* merged */
    int64_t wake_us; /* wall time at which op_class->on_time wants to run; LEAT_TIME_MAX: never */
    struct leat_waker *waker; /* of the worker; NULL where nobody sleeps */
    const uint32_t *woken; /* of such a class: atomic, set by any thread before it wakes; or NULL */
    bool holding; /* of such a class: there is something on the way */
    int64_t input_watermark_us[LEAT_NODE_INPUTS_MAX]; /* each input's own; late decisions of joins */
    const struct leat_batch *batch_in; /* the rows that callbacks are about: event times; may be NULL */
    struct leat_batch *batch_out; /* leat_alloc's memory; may be NULL */
    struct leat_batch *scratch; /* leat_alloc's memory when batch_out is NULL (keys); made on demand */
    bool alloc_failed; /* leat_alloc had no memory: leat__ctx_end fails the job */
    struct {
        uint32_t row;
        int code; /* LEAT_EUSER: a callback's; LEAT_EDATA: of what an operator makes of the row */
        char message[160];
    } failures[LEAT_FAILURES_KEPT_MAX]; /* the first ones; the rest only marks rows */
    struct leat_batch
        *letters; /* dead letters that leat__reader_bad_row holds back until leat__reader_flush */
    uint8_t *failed_rows; /* byte per row, set where callbacks refused; valid while user.failures_count > 0 */
    uint32_t failed_rows_capacity;
    struct leat__process *process; /* the process function that runs a callback (leat/process.h), else NULL */
    struct leat__timer_wishes *timer_wishes; /* where callbacks that may set timers note them, else NULL */
};

/* Fails the job: the text gets `node "x" subtask i: ` before it. Returns the code. */
int leat__fail(struct leat__ctx *ctx, int code, const char *format, ...) LEAT_PRINTF(3, 4);
/* The same for an error that some call left in ctx->error (adds the place). Returns its code. */
int leat__fail_here(struct leat__ctx *ctx);

static inline LEAT_NODISCARD int leat__emit(struct leat__ctx *ctx, uint32_t port, struct leat_batch *batch)
{
    return ctx->api->emit(ctx, port, batch);
}
static inline LEAT_NODISCARD int leat__ctx_forward(struct leat__ctx *ctx, int64_t watermark_us)
{
    return ctx->api->forward(ctx, watermark_us);
}
/* Whether anybody takes this output. */
static inline bool leat__ctx_consumed(const struct leat__ctx *ctx, uint32_t port)
{
    return port < ctx->node->outputs_count && ctx->node->outputs[port].consumers_count > 0;
}
/* The watermark that rows of this batch are judged by. */
static inline int64_t leat__ctx_late_wm(const struct leat__ctx *ctx, const struct leat_batch *batch)
{
    return batch->late && batch->late_wm_us > ctx->watermark_us ? batch->late_wm_us : ctx->watermark_us;
}

/* Around calls of user code: sets the batches that leat_ctx_event_us and leat_alloc use and forgets old
 * failures. What leat_alloc gave without an output batch lives until the next begin without one: calls that
 * use each other's memory (keys, then a callback) go between one begin and end. */
void leat__ctx_begin(struct leat__ctx *ctx, const struct leat_batch *in, struct leat_batch *out);
/* After them: applies the node's policy to refused rows. `in` and `out` have the same number of rows (out may
 * be
 * == in, or NULL); refused rows are removed from `out` (compacted), counted, and dead-lettered from `in`. 0
 * or the error that fails the job: the message names node, row and reason. Cheap when no row was refused.
 * Marks in out->keep that a predicate has made before move with their rows. */
int leat__ctx_end(struct leat__ctx *ctx, const struct leat_batch *in, struct leat_batch *out);
/* Refuses a row of the current batch on behalf of engine code (an expression's overflow, a failed cast). */
void leat__ctx_refuse(struct leat__ctx *ctx, uint32_t row, const char *format, ...) LEAT_PRINTF(3, 4);
/* Frees what ctx owns. */
void leat__ctx_release(struct leat__ctx *ctx);
#endif
