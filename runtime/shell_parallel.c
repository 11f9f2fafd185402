/* runtime/shell_parallel.c -- see the header.
 *
 * Indices are taken in order from one counter. So when i fails, every lower one was taken, too, and ends: the
 * lowest failure does not depend on the threads. Each thread has an error of its own. */
#include "runtime/shell_parallel.h"
#include <uv.h>

#define THREADS_MAX 8u

struct parallel {
    uint32_t next; /* atomic */
    uint32_t failed; /* atomic: something has */
    uint32_t count;
    int (*fn)(void *arg, uint32_t i, struct leat_error *err);
    void *arg;
};

struct share {
    struct parallel *all;
    uint32_t failed_at; /* UINT32_MAX: nothing failed */
    int result;
    struct leat_error err;
};

static void do_share(void *arg)
{
    struct share *share = arg;
    struct parallel *all = share->all;
    while (!__atomic_load_n(&all->failed, __ATOMIC_RELAXED)) {
        const uint32_t i = __atomic_fetch_add(&all->next, 1, __ATOMIC_RELAXED);
        if (i >= all->count)
            return;
        const int result = all->fn(all->arg, i, &share->err);
        if (result < 0) {
            share->failed_at = i;
            share->result = result;
            __atomic_store_n(&all->failed, 1, __ATOMIC_RELAXED);
        }
    }
}

int leat__parallel(struct leat_env *env, uint32_t threads, uint32_t count,
    int (*fn)(void *arg, uint32_t i, struct leat_error *err), void *arg, struct leat_error *err)
{
    struct parallel all = { .count = count, .fn = fn, .arg = arg };
    struct share shares[THREADS_MAX];
    uv_thread_t others[THREADS_MAX];
    uint32_t started = 0;
    if (threads > THREADS_MAX)
        threads = THREADS_MAX;
    if (threads > count)
        threads = count;
    if (env != leat__env_posix() || threads == 0)
        threads = 1;
    for (uint32_t t = 0; t < threads; t++)
        shares[t] = (struct share){ .all = &all, .failed_at = UINT32_MAX };
    while (started + 1 < threads && uv_thread_create(&others[started], do_share, &shares[started + 1]) == 0)
        started++; /* one that can not be had is done without */
    do_share(&shares[0]);
    const struct share *first = &shares[0];
    for (uint32_t t = 0; t < started; t++) {
        (void)uv_thread_join(&others[t]);
        if (shares[t + 1].failed_at < first->failed_at)
            first = &shares[t + 1];
    }
    if (first->result < 0 && err)
        *err = first->err;
    return first->result;
}
