/* base/waker.h -- waking a worker from threads that outlive it.
 *
 * A worker has one; who may want to wake it later takes a reference. The shell opens it while the worker can be
 * woken, and closes it before it takes down what waking needs: close waits for wakes that are under way (a few
 * instructions each). Waking a closed one does nothing: who runs the worker looks at everything anyway. */
#ifndef LEAT_BASE_WAKER_H
#define LEAT_BASE_WAKER_H
#include "base/error.h"

struct leat_waker;

/* Closed, with one reference. */
LEAT_NODISCARD int leat__waker_new(struct leat_waker **waker);
void leat__waker_ref(struct leat_waker *waker);
void leat__waker_unref(struct leat_waker *waker); /* NULL is fine */

/* By the owner's thread. */
void leat__waker_open(struct leat_waker *waker, void (*wake)(void *arg), void *arg);
void leat__waker_close(struct leat_waker *waker);
/* From any thread, after what there is to see was written. */
void leat__waker_wake(struct leat_waker *waker);
#endif
