/* operators/window_private.h -- the arithmetic of windows; it saturates at both ends of time and never wraps
 * (semantics 13, 18, 20). */
#ifndef LEAT_OPERATORS_WINDOW_PRIVATE_H
#define LEAT_OPERATORS_WINDOW_PRIVATE_H
#include <leat/window.h>

/* [start, end). The one that begins before all time has start == LEAT_TIME_MIN, yet its true end. */
struct leat__window {
    int64_t start, end;
};

static inline int64_t leat__time_add(int64_t a, int64_t b)
{
    int64_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return b < 0 ? LEAT_TIME_MIN : LEAT_TIME_MAX;
    return sum;
}

static inline int64_t leat__time_sub(int64_t a, int64_t b)
{
    int64_t difference;
    if (__builtin_sub_overflow(a, b, &difference))
        return b < 0 ? LEAT_TIME_MAX : LEAT_TIME_MIN;
    return difference;
}

/* a modulo m > 0, never negative. */
static inline int64_t leat__floor_mod(int64_t a, int64_t m)
{
    const int64_t rest = a % m;
    return rest < 0 ? rest + m : rest;
}

/* The tumbling window that holds ts; 0 <= offset < size. Of a window's start it is that window. */
static inline struct leat__window leat__tumbling_of(int64_t ts, int64_t size, int64_t offset)
{
    int64_t into = leat__floor_mod(ts, size) - offset;
    if (into < 0)
        into += size;
    return (struct leat__window){ leat__time_sub(ts, into), leat__time_add(ts, size - into) };
}

/* Whether a watermark has passed a time. LEAT_TIME_MIN says nothing and has passed none. */
static inline bool leat__time_passed(int64_t us, int64_t w)
{
    return us <= w && w != LEAT_TIME_MIN;
}
#endif
