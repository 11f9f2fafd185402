/* operators/window_private.h -- the arithmetic of windows; it saturates at both ends of time and never wraps
 * (semantics 13, 18, 20). */
#ifndef LEAT_OPERATORS_WINDOW_PRIVATE_H
#define LEAT_OPERATORS_WINDOW_PRIVATE_H
#include "base/assert.h"
#include <leat/window.h>

struct leat_node;

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

/* ---- aligned windows: all kinds but SESSION, SLIDING and COUNT ----
 *
 *   for (bool more = leat__window_from(a, ts, &w); more && w.start <= ts; more = leat__window_next(a, &w))
 *       the windows that hold ts, in order of firing; none for a time between windows
 *
 * At the ends of time: of the hopping windows that begin at or before LEAT_TIME_MIN only the last one exists, and
 * of the cumulating ones of one start that end at or after LEAT_TIME_MAX only the first. The last moment of all
 * is in the window that has it (or in one that starts there), although no end is behind it. */

struct leat__calendar;

/* Read-only once it was made: part of a node's spec. */
struct leat__assigner {
    enum leat_window_kind kind;
    int64_t size;
    int64_t step; /* between starts; CUMULATING: between ends */
    int64_t offset; /* 0 <= offset < distance of starts */
    int64_t step_offset; /* CUMULATING: offset modulo step */
    int64_t rest; /* HOPPING: size modulo step */
    const struct leat__calendar *calendar; /* CALENDAR */
};

bool leat__windows_are_aligned(enum leat_window_kind kind);
/* The options are checked ones. The calendar (NULL for others) lives as long as the assigner. */
void leat__assigner_init(
    struct leat__assigner *a, const struct leat_window_opts *opts, const struct leat__calendar *calendar);

/* The first window, in order of firing, that holds ts or a later time. false: there is none. */
bool leat__window_from(const struct leat__assigner *a, int64_t ts, struct leat__window *window);
/* The one that fires after it. */
bool leat__window_next(const struct leat__assigner *a, struct leat__window *window);
/* The last time that it holds: end - 1, but where the end is the end of time. */
int64_t leat__window_last_us(const struct leat__assigner *a, const struct leat__window *window);
/* Quick, and false only where it must be worked out: end == LEAT_TIME_MAX. */
static inline bool leat__window_holds(const struct leat__window *window, int64_t ts)
{
    return ts >= window->start && ts < window->end;
}

/* Windows as namespaces of a table, in order of firing: the start; CUMULATING, which have it in common: the last
 * time. */
static inline int64_t leat__window_ns(const struct leat__assigner *a, const struct leat__window *window)
{
    if (a->kind != LEAT_WINDOW_CUMULATING)
        return window->start;
    return window->start == LEAT_TIME_MAX ? LEAT_TIME_MAX : window->end - 1;
}
struct leat__window leat__window_at(const struct leat__assigner *a, int64_t ns);
/* Of windows that leat_window has declared; NULL if they are inert, or not aligned. */
const struct leat__assigner *leat__windows_assigner(const struct leat_windowed_stream *windows);
/* For nodes that have windows of their own: checks the options as leat_window does, and settles them. The assigner;
 * NULL: they are not aligned, or the node has got errors. */
const struct leat__assigner *leat__windows_check(struct leat_node *node, struct leat_window_opts *o);
const char *leat__windows_describe(struct leat_node *node, const struct leat_window_opts *o);

/* Slices cut time at every start and every end: each window is made of whole ones. A slice [start, end) goes by
 * its start. Those of a window: from leat__slice_of(start) to leat__slice_of(leat__window_last_us()). */
struct leat__window leat__slice_of(const struct leat__assigner *a, int64_t ts);

/* Whether a watermark has passed a time. LEAT_TIME_MIN says nothing and has passed none. */
static inline bool leat__time_passed(int64_t us, int64_t w)
{
    return us <= w && w != LEAT_TIME_MIN;
}
#endif
