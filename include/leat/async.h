/* include/leat/async.h -- asking others about each record without waiting for them.
 *
 * A callback begins a request for a record and returns; whoever answers it, on whatever thread, completes it.
 * Meanwhile other records are begun.
 *
 *   static void look_up(struct leat_ctx *ctx, const struct order *order, struct leat_request *request, void *arg)
 *   {
 *       my_client_get(arg, order->customer_id, on_answer, request);     // returns at once
 *   }
 *   LEAT_DEFINE_ASYNC(look_up, order, enriched);
 *
 *   static void on_answer(struct my_answer *answer, void *arg)          // on a thread of the client's
 *   {
 *       struct leat_request *request = arg;
 *       const struct order *order = leat_request_record(request);
 *       struct enriched out = { .order_id = order->id, .name = leat_sv_of(answer->name) };
 *       leat_request_complete(request, &out);
 *   }
 *
 * No watermark overtakes a record: results keep their event times and are not late by having waited. Records
 * whose requests are under way at a checkpoint are in it, and are asked about again after a restore: each has one
 * result, but the service may see a request more than once. */
#ifndef LEAT_ASYNC_H
#define LEAT_ASYNC_H
#include <leat/stream.h>

/* From the moment it is begun until complete or fail is called, exactly once, on any thread. */
struct leat_request;

/* Made by LEAT_DEFINE_ASYNC. */
struct leat_async_fn {
    size_t size;
    const char *name;
    const struct leat_type *in, *out;
    /* Must not block. May complete the request before it returns. After leat_fail the record is refused, and
     * the request must not be touched. */
    void (*begin)(struct leat_ctx *ctx, const void *record, struct leat_request *request, void *arg);
};

struct leat_async_opts {
    const struct leat_async_fn *fn;
    void *arg; /* for begin; lives as long as the job, and is shared by all workers */
    uint32_t capacity; /* requests under way, per subtask; 0: 100 */
    bool unordered; /* results as they come, but within watermarks. Else in the order of the records */
    int64_t timeout_us; /* from the first begin to the answer, over all attempts; 0: for ever */
    uint32_t attempts; /* begun at most so often; 0: once */
    int64_t backoff_us; /* between two attempts, doubled each time */
    /* A record without an answer in time, or whose last attempt has failed, is refused (leat_on_error), unless
     * this makes a result for it: true. On the worker. */
    bool (*otherwise)(struct leat_ctx *ctx, const void *record, const char *reason, void *out, void *arg);
};

LEAT_BEGIN_DECLS
LEAT_API leat_stream *leat_async_sized(
    leat_stream *in, const char *name, const struct leat_async_opts *opts, size_t size);
static inline leat_stream *leat_async(leat_stream *in, const char *name, const struct leat_async_opts *opts)
{
    return leat_async_sized(in, name, opts, sizeof *opts);
}

/* ---- of a request, on any thread ---- */

/* The record; good until the request is completed or failed. */
LEAT_API const void *leat_request_record(const struct leat_request *request);
/* Whether nobody waits for it any more: its time is over, or the job is. It must be completed all the same. */
LEAT_API bool leat_request_is_abandoned(const struct leat_request *request);
/* Ends the request with a result, of which it takes a deep copy; NULL: without any. */
LEAT_API void leat_request_complete(struct leat_request *request, const void *out);
/* Ends the attempt: another one follows, or the record is refused with this reason. */
LEAT_API void leat_request_fail(struct leat_request *request, const char *format, ...) LEAT_PRINTF(2, 3);
LEAT_END_DECLS

/* After `static void look_up(struct leat_ctx *, const struct order *, struct leat_request *, void *arg)`:
 * defines look_up_async. */
#define LEAT_DEFINE_ASYNC(fn_, in_, out_) \
    static void fn_##__begin( \
        struct leat_ctx *ctx, const void *record, struct leat_request *request, void *arg) \
    { \
        fn_(ctx, (const struct in_ *)record, request, arg); \
    } \
    static const struct leat_async_fn fn_##_async = { sizeof(struct leat_async_fn), #fn_, &in_##_type, \
        &out_##_type, fn_##__begin }
#endif
