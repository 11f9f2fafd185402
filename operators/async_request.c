/* operators/async_request.c -- requests: begun by a worker, completed by any thread.
 *
 * Whoever completes a request writes its answer and puts it on the desk's stack, a list with an atomic head, then
 * wakes the worker. The instance takes the whole stack at once. Closing puts a mark in the head's place: who
 * finds it keeps the request, and frees it.
 *
 * Threads: a request belongs to the user from begin to complete, then to the instance. `abandoned` is written by
 * the instance while the user has it. */
#include "operators/async_private.h"
#include "base/alloc.h"
#include <stdarg.h>
#include <stdio.h>

static struct leat_request closed;

static void unref_desk(struct leat__desk *desk)
{
    if (__atomic_fetch_sub(&desk->refs, 1, __ATOMIC_ACQ_REL) != 1)
        return;
    leat__waker_unref(desk->waker);
    leat__copier_free(desk->copier);
    leat__free(desk);
}

int leat__desk_new(const struct leat_type *out, struct leat_waker *waker, struct leat__desk **desk)
{
    *desk = leat__calloc(1, sizeof **desk);
    if (!*desk)
        return LEAT_ENOMEM;
    (*desk)->refs = 1;
    if (leat__copier_new(out, &(*desk)->copier) < 0) {
        leat__free(*desk);
        *desk = NULL;
        return LEAT_ENOMEM;
    }
    if (waker)
        leat__waker_ref(waker);
    (*desk)->waker = waker;
    return 0;
}

void leat__desk_close(struct leat__desk *desk)
{
    struct leat_request *request = __atomic_exchange_n(&desk->returned, &closed, __ATOMIC_ACQ_REL);
    while (request) {
        struct leat_request *next = request->next;
        leat__request_end(request);
        leat__request_free(request);
        request = next;
    }
    unref_desk(desk);
}

struct leat_request *leat__desk_take(struct leat__desk *desk)
{
    struct leat_request *back = __atomic_exchange_n(&desk->returned, NULL, __ATOMIC_ACQUIRE);
    struct leat_request *first = NULL;
    while (back) {
        struct leat_request *next = back->next;
        back->next = first;
        first = back;
        back = next;
    }
    return first;
}

struct leat_request *leat__request_begin(struct leat__desk *desk, struct leat_request *spare,
    struct leat_batch *batch, uint32_t row, uint64_t number)
{
    struct leat_request *request = spare ? spare : leat__calloc(1, sizeof *request);
    if (!request)
        return NULL;
    (void)__atomic_fetch_add(&desk->refs, 1, __ATOMIC_RELAXED);
    leat__batch_ref(batch);
    request->desk = desk;
    request->next = NULL;
    request->batch = batch;
    request->record = leat_batch_at(batch, row);
    request->number = number;
    request->answer = LEAT__ANSWER_NONE;
    request->abandoned = 0;
    return request;
}

void leat__request_end(struct leat_request *request)
{
    leat__batch_release(request->batch);
    request->batch = NULL;
    unref_desk(request->desk);
    request->desk = NULL;
}

void leat__request_free(struct leat_request *request)
{
    leat__free(request->result);
    leat__free(request);
}

/* ---- the user's side ---- */

const void *leat_request_record(const struct leat_request *request)
{
    return request->record;
}

bool leat_request_is_abandoned(const struct leat_request *request)
{
    return __atomic_load_n(&request->abandoned, __ATOMIC_RELAXED) ||
        __atomic_load_n(&request->desk->returned, __ATOMIC_RELAXED) == &closed;
}

static void give_back(struct leat_request *request)
{
    struct leat__desk *desk = request->desk;
    struct leat_request *head = __atomic_load_n(&desk->returned, __ATOMIC_RELAXED);
    do {
        if (head == &closed) {
            leat__request_end(request);
            leat__request_free(request);
            return;
        }
        request->next = head;
    } while (!__atomic_compare_exchange_n(
        &desk->returned, &head, request, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
}

/* The desk outlives the wake: `desk` holds a reference of the caller's. */
static void finish(struct leat_request *request, enum leat__answer answer)
{
    struct leat__desk *desk = request->desk;
    request->answer = answer;
    (void)__atomic_fetch_add(&desk->refs, 1, __ATOMIC_RELAXED);
    give_back(request);
    __atomic_store_n(&desk->woken, 1, __ATOMIC_SEQ_CST);
    if (desk->waker)
        leat__waker_wake(desk->waker);
    unref_desk(desk);
}

void leat_request_complete(struct leat_request *request, const void *out)
{
    enum leat__answer answer = LEAT__ANSWER_NO_ROW;
    if (out) {
        const size_t size = leat__copy_size(request->desk->copier, out);
        if (size > request->result_capacity) {
            leat__free(request->result);
            request->result = leat__malloc(size);
            request->result_capacity = request->result ? size : 0;
        }
        answer = request->result ? LEAT__ANSWER_ROW : LEAT__ANSWER_NOMEM;
        if (request->result)
            leat__copy_to(request->desk->copier, out, request->result);
    }
    finish(request, answer);
}

void leat_request_fail(struct leat_request *request, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(request->reason, sizeof request->reason, format, args);
    va_end(args);
    finish(request, LEAT__ANSWER_FAILED);
}
