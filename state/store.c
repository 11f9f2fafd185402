/* state/store.c -- what is the same for every store: the cause that sticks, and reading a checkpoint. */
#include "state/store_private.h"

enum { WHOLE, BREAKING, BROKEN };

int leat__store_check(const struct leat__store_cause *cause, struct leat_error *err)
{
    if (__builtin_expect(__atomic_load_n(&cause->state, __ATOMIC_ACQUIRE) != BROKEN, 1))
        return 0;
    return leat__error(err, cause->error.code, "%s", cause->error.message);
}

int leat__store_break(struct leat__store_cause *cause, const struct leat_error *error, struct leat_error *err)
{
    uint32_t whole = WHOLE;
    if (__atomic_compare_exchange_n(
            &cause->state, &whole, BREAKING, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        cause->error = *error;
        __atomic_store_n(&cause->state, BROKEN, __ATOMIC_RELEASE);
    }
    const int code = leat__store_check(cause, err);
    return code < 0 ? code : leat__error(err, error->code, "%s", error->message);
}

int leat__store_scan(const struct leat_store_class *store_class, struct leat_env *env, const char *dir,
    leat_store_merge_fn merge, void *merge_arg,
    int (*fn)(void *arg, struct leat_sv key, struct leat_sv value), void *arg, struct leat_error *err)
{
    const struct leat_store_opts opts = { .env = env, .dir = dir, .merge = merge, .merge_arg = merge_arg };
    return store_class->scan(&opts, fn, arg, err);
}
