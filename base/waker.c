/* base/waker.c -- a function and its argument, which may go away while others call it.
 *
 * wake: announce oneself, look whether it is open, call, sign off. close: shut, then wait until nobody is in. The
 * two orders (announce before look; shut before count) are sequentially consistent, so one sees the other. */
#include "base/waker.h"
#include "base/alloc.h"
#include "base/assert.h"
#include <sched.h>

struct leat_waker {
    uint32_t refs, inside, open; /* atomic */
    void (*wake)(void *arg);
    void *arg;
};

int leat__waker_new(struct leat_waker **waker)
{
    *waker = leat__calloc(1, sizeof **waker);
    if (!*waker)
        return LEAT_ENOMEM;
    (*waker)->refs = 1;
    return 0;
}

void leat__waker_ref(struct leat_waker *waker)
{
    (void)__atomic_fetch_add(&waker->refs, 1, __ATOMIC_RELAXED);
}

void leat__waker_unref(struct leat_waker *waker)
{
    if (waker && __atomic_fetch_sub(&waker->refs, 1, __ATOMIC_ACQ_REL) == 1) {
        LEAT_ASSERT(!waker->open);
        leat__free(waker);
    }
}

void leat__waker_open(struct leat_waker *waker, void (*wake)(void *arg), void *arg)
{
    LEAT_ASSERT(!__atomic_load_n(&waker->open, __ATOMIC_RELAXED));
    waker->wake = wake;
    waker->arg = arg;
    __atomic_store_n(&waker->open, 1, __ATOMIC_SEQ_CST);
}

void leat__waker_close(struct leat_waker *waker)
{
    __atomic_store_n(&waker->open, 0, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&waker->inside, __ATOMIC_SEQ_CST) != 0)
        (void)sched_yield();
}

void leat__waker_wake(struct leat_waker *waker)
{
    (void)__atomic_fetch_add(&waker->inside, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&waker->open, __ATOMIC_SEQ_CST))
        waker->wake(waker->arg);
    (void)__atomic_fetch_sub(&waker->inside, 1, __ATOMIC_SEQ_CST);
}
