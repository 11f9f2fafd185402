/* runtime/shell_parallel.h -- the same work on many things at once, for who has to wait for all of it anyway:
 * recovery, which reads every file of a checkpoint before it goes on. */
#ifndef LEAT_RUNTIME_SHELL_PARALLEL_H
#define LEAT_RUNTIME_SHELL_PARALLEL_H
#include "base/env.h"

/* Calls fn(arg, i, err) for every i below count, on this thread and up to threads - 1 others; only on this one
 * where env is not the real world. fn may touch what arg has for i, and read the rest. After a failure no more
 * are begun, and the result and its error are those of the lowest i that failed, as if they were done in order. */
LEAT_NODISCARD int leat__parallel(struct leat_env *env, uint32_t threads, uint32_t count,
    int (*fn)(void *arg, uint32_t i, struct leat_error *err), void *arg, struct leat_error *err);
#endif
