/* base/assert.h -- assertions are for bugs only: never for what input or the environment can cause.
 * LEAT_ASSERT stays on in release builds and must not have side effects. LEAT_CHECK_SLOW audits whole
 * structures and is on in builds without NDEBUG. */
#ifndef LEAT_BASE_ASSERT_H
#define LEAT_BASE_ASSERT_H

__attribute__((noreturn, cold)) void leat__assert_failed(
    const char *expression, const char *file, int line, const char *function);

#define LEAT_ASSERT(expression_) \
    (__builtin_expect(!!(expression_), 1) ? (void)0 \
                                          : leat__assert_failed(#expression_, __FILE__, __LINE__, __func__))

#ifdef NDEBUG
#define LEAT_CHECK_SLOW(expression_) ((void)sizeof(expression_))
#else
#define LEAT_CHECK_SLOW(expression_) LEAT_ASSERT(expression_)
#endif
#endif
