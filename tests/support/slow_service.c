/* tests/support/slow_service.c -- a queue, and threads that take any of its requests. */
#include "tests/support/slow_service.h"
#include "base/assert.h"
#include <pthread.h>
#include <stdlib.h>

#define QUEUE_MAX 65536u

struct slow_service {
    struct slow_service_opts opts;
    pthread_mutex_t mutex;
    pthread_cond_t some;
    pthread_t threads[8];
    struct leat_request *queue[QUEUE_MAX];
    uint32_t count, busiest;
    uint64_t answers, random;
    bool ending;
};

/* Any of the queue's, or NULL at the end; whether it is to fail. */
static struct leat_request *take(struct slow_service *s, bool *fail)
{
    (void)pthread_mutex_lock(&s->mutex);
    while (s->count == 0 && !s->ending)
        (void)pthread_cond_wait(&s->some, &s->mutex);
    struct leat_request *request = NULL;
    if (s->count) {
        s->random = s->random * UINT64_C(6364136223846793005) + 1442695040888963407;
        const uint32_t at = (uint32_t)(s->random >> 33) % s->count;
        request = s->queue[at];
        s->queue[at] = s->queue[--s->count];
        *fail = s->opts.fail_every && ++s->answers % s->opts.fail_every == 0;
    }
    (void)pthread_mutex_unlock(&s->mutex);
    return request;
}

static void *serve(void *arg)
{
    struct leat_request *request;
    bool fail = false;
    while ((request = take(arg, &fail)) != NULL)
        if (fail)
            leat_request_fail(request, "no time for %s", "this");
        else
            ((struct slow_service *)arg)->opts.answer(request);
    return NULL;
}

struct slow_service *slow_service_new(const struct slow_service_opts *opts)
{
    struct slow_service *s = calloc(1, sizeof *s);
    LEAT_ASSERT(s && opts->threads <= 8);
    s->opts = *opts;
    s->random = 7;
    LEAT_ASSERT(pthread_mutex_init(&s->mutex, NULL) == 0 && pthread_cond_init(&s->some, NULL) == 0);
    for (uint32_t i = 0; i < opts->threads; i++)
        LEAT_ASSERT(pthread_create(&s->threads[i], NULL, serve, s) == 0);
    return s;
}

void slow_service_ask(struct slow_service *s, struct leat_request *request)
{
    (void)pthread_mutex_lock(&s->mutex);
    LEAT_ASSERT(s->count < QUEUE_MAX && !s->ending);
    s->queue[s->count++] = request;
    s->busiest = s->count > s->busiest ? s->count : s->busiest;
    (void)pthread_cond_signal(&s->some);
    (void)pthread_mutex_unlock(&s->mutex);
}

void slow_service_free(struct slow_service *s)
{
    (void)pthread_mutex_lock(&s->mutex);
    s->ending = true;
    (void)pthread_cond_broadcast(&s->some);
    (void)pthread_mutex_unlock(&s->mutex);
    for (uint32_t i = 0; i < s->opts.threads; i++)
        (void)pthread_join(s->threads[i], NULL);
    (void)pthread_mutex_destroy(&s->mutex);
    (void)pthread_cond_destroy(&s->some);
    free(s);
}

uint32_t slow_service_busiest(const struct slow_service *s)
{
    return s->busiest;
}
