/* operators/async_private.h -- requests, and where they come back to.
 *
 *   async.c           the operator: what is under way, in its order, and what becomes of it
 *   async_request.c   requests on other threads, and how they return
 *   async_saved.c     what is under way in a checkpoint
 *   async_declare.c   leat_async
 *
 * A *desk* belongs to one instance and to all of its requests that are still out: it is freed with the last of
 * them. Requests are put on its stack by the threads that complete them and taken off by the instance. */
#ifndef LEAT_OPERATORS_ASYNC_PRIVATE_H
#define LEAT_OPERATORS_ASYNC_PRIVATE_H
#include "operators/rows_private.h"
#include "base/waker.h"
#include "record/avro.h"
#include <leat/async.h>

#define LEAT__ASYNC_CAPACITY 100u
#define LEAT__ASYNC_CAPACITY_MAX 65536u

struct leat__async_spec {
    struct leat_async_fn fn;
    struct leat_async_opts opts; /* filled in */
    const struct leat_type *in;
};

enum leat__answer {
    LEAT__ANSWER_NONE,
    LEAT__ANSWER_ROW,
    LEAT__ANSWER_NO_ROW,
    LEAT__ANSWER_FAILED,
    LEAT__ANSWER_NOMEM
};

struct leat__desk {
    uint32_t refs; /* atomic: the instance, and each request that is out */
    uint32_t woken; /* atomic: something is on the stack */
    struct leat_request *returned; /* atomic: a stack; or `closed` */
    struct leat_copier *copier; /* of results; read-only */
    struct leat_waker *waker; /* NULL: nobody sleeps */
};

struct leat_request {
    struct leat__desk *desk;
    struct leat_request *next; /* on the stack, or in the list of spare ones */
    uint64_t number; /* of its entry */
    struct leat_batch *batch; /* has the record; a reference of its own */
    const void *record;
    uint32_t abandoned; /* atomic */
    enum leat__answer answer;
    unsigned char *result; /* a self-contained copy */
    size_t result_capacity;
    char reason[160];
};

LEAT_NODISCARD int leat__desk_new(
    const struct leat_type *out, struct leat_waker *waker, struct leat__desk **desk);
/* No request comes back any more: those that are out free themselves. */
void leat__desk_close(struct leat__desk *desk);
/* What has come back since the last call, the first one first. */
struct leat_request *leat__desk_take(struct leat__desk *desk);
/* A request for a row, made or used again; NULL without memory. */
struct leat_request *leat__request_begin(struct leat__desk *desk, struct leat_request *spare,
    struct leat_batch *batch, uint32_t row, uint64_t number);
/* It is back, and what it had of the batch is given up: it may be used again. */
void leat__request_end(struct leat_request *request);
void leat__request_free(struct leat_request *request);

/* ---- the operator ---- */

enum leat__async_state {
    LEAT__ASYNC_OUT = 1, /* the request is under way */
    LEAT__ASYNC_PAUSED, /* another attempt at again_us */
    LEAT__ASYNC_DONE, /* its row, or none, can be given */
    LEAT__ASYNC_GONE,
};

/* A record on its way, or (batch NULL) a watermark behind those before it. */
struct leat__async_entry {
    struct leat_batch *batch; /* a reference */
    uint32_t row, attempts;
    enum leat__async_state state;
    struct leat_request *request; /* OUT; DONE: it has the result */
    int64_t deadline_us, again_us; /* wall clock; LEAT_TIME_MAX: none */
    int64_t watermark_us;
};

struct leat__async {
    struct leat_op op;
    const struct leat__async_spec *spec;
    struct leat__desk *desk;
    struct leat_copier *copier; /* of results into batches */
    struct leat__async_entry *entries; /* a ring: entry n is at n % size */
    uint32_t size;
    uint64_t first, end; /* numbers of the oldest entry, and behind the newest */
    uint32_t records_count; /* entries that are records and not gone */
    uint32_t paused_count;
    struct leat_request *spare;
    struct leat_batch *in; /* the batch that does not fit yet */
    uint32_t at;
    struct leat_batch *out;
    uint32_t batches_given; /* in this call */
    bool ending;
    struct leat_encoder *encoder;
};

static inline struct leat__async_entry *leat__async_entry(struct leat__async *a, uint64_t number)
{
    return &a->entries[number % a->size];
}
/* An entry that step begins with. There is room. */
void leat__async_add_paused(
    struct leat__async *a, struct leat__ctx *ctx, struct leat_batch *batch, uint32_t row);

int leat__async_snapshot(struct leat_op *op, struct leat__ctx *ctx, struct leat_strbuf *out);
int leat__async_restore(
    struct leat_op *op, struct leat__ctx *ctx, const struct leat_sv *parts, uint32_t count);
extern const struct leat_op_class leat__async_class;
#endif
