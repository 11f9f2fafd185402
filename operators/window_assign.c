/* operators/window_assign.c -- which windows hold a time, and the slices that windows are made of. Aligned kinds
 * only: their windows do not depend on keys or records.
 *
 * Distances from a start or an end are computed as what is left of a division, and only then added, saturating:
 * no sum of two times is ever made that could wrap. */
#include "operators/calendar_private.h"
#include "operators/window_private.h"

bool leat__windows_are_aligned(enum leat_window_kind kind)
{
    return kind == LEAT_WINDOW_TUMBLING || kind == LEAT_WINDOW_HOPPING || kind == LEAT_WINDOW_CUMULATING ||
        kind == LEAT_WINDOW_CALENDAR || kind == LEAT_WINDOW_GLOBAL;
}

void leat__assigner_init(
    struct leat__assigner *a, const struct leat_window_opts *opts, const struct leat__calendar *calendar)
{
    const bool is_hopping = opts->kind == LEAT_WINDOW_HOPPING;
    *a = (struct leat__assigner){ .kind = opts->kind, .calendar = calendar };
    if (opts->kind != LEAT_WINDOW_TUMBLING && !is_hopping && opts->kind != LEAT_WINDOW_CUMULATING)
        return;
    a->size = opts->size_us;
    a->step = is_hopping ? opts->slide_us : a->size;
    a->offset = leat__floor_mod(opts->offset_us, a->step);
    if (is_hopping)
        a->rest = a->size % a->step;
    if (opts->kind == LEAT_WINDOW_CUMULATING) {
        a->step = opts->step_us;
        a->step_offset = a->offset % a->step;
    }
}

/* How far a time is behind the last start of a hopping window, or end of a cumulating one's step. */
static int64_t into_step(const struct leat__assigner *a, int64_t ts, int64_t offset)
{
    const int64_t into = leat__floor_mod(ts, a->step) - offset;
    return into < 0 ? into + a->step : into;
}

/* ---- hopping ---- */

/* The one that begins at `start`, or before all time if that is LEAT_TIME_MIN. */
static struct leat__window hopping_at(const struct leat__assigner *a, int64_t start)
{
    const int64_t into = start == LEAT_TIME_MIN ? into_step(a, start, a->offset) : 0;
    return (struct leat__window){ start, leat__time_add(start, a->size - into) };
}

static bool hopping_from(const struct leat__assigner *a, int64_t ts, struct leat__window *window)
{
    const int64_t into = into_step(a, ts, a->offset);
    int64_t start;
    if (into >= a->size) { /* in a gap */
        if (__builtin_add_overflow(ts, a->step - into, &start))
            return false;
    } else {
        const int64_t back = (a->size - into - 1) / a->step * a->step + into;
        start = leat__time_sub(ts, back);
    }
    *window = hopping_at(a, start);
    return true;
}

static bool hopping_next(const struct leat__assigner *a, struct leat__window *window)
{
    const int64_t into = window->start == LEAT_TIME_MIN ? into_step(a, window->start, a->offset) : 0;
    int64_t start;
    if (__builtin_add_overflow(window->start, a->step - into, &start))
        return false;
    *window = hopping_at(a, start);
    return true;
}

/* ---- cumulating ---- */

static struct leat__window cumulating_of(const struct leat__assigner *a, int64_t ts)
{
    const int64_t to_end = a->step - into_step(a, ts, a->step_offset);
    return (
        struct leat__window){ leat__tumbling_of(ts, a->size, a->offset).start, leat__time_add(ts, to_end) };
}

/* ---- all kinds ---- */

bool leat__window_from(const struct leat__assigner *a, int64_t ts, struct leat__window *window)
{
    switch (a->kind) {
    case LEAT_WINDOW_TUMBLING:
        *window = leat__tumbling_of(ts, a->size, a->offset);
        return true;
    case LEAT_WINDOW_HOPPING:
        return hopping_from(a, ts, window);
    case LEAT_WINDOW_CUMULATING:
        *window = cumulating_of(a, ts);
        return true;
    case LEAT_WINDOW_CALENDAR:
        *window = leat__calendar_window(a->calendar, ts);
        return true;
    default:
        LEAT_ASSERT(a->kind == LEAT_WINDOW_GLOBAL);
        *window = (struct leat__window){ LEAT_TIME_MIN, LEAT_TIME_MAX };
        return true;
    }
}

int64_t leat__window_last_us(const struct leat__assigner *a, const struct leat__window *window)
{
    if (window->end != LEAT_TIME_MAX)
        return window->end - 1;
    /* It goes on to the end of time, or ends just before the last moment of all. */
    if (a->kind == LEAT_WINDOW_HOPPING) {
        const int64_t into = window->start == LEAT_TIME_MIN ? into_step(a, LEAT_TIME_MIN, a->offset) : 0;
        return leat__time_add(window->start, a->size - 1 - into);
    }
    if (a->kind == LEAT_WINDOW_TUMBLING || a->kind == LEAT_WINDOW_CUMULATING) {
        const struct leat__window last = leat__tumbling_of(LEAT_TIME_MAX, a->size, a->offset);
        return last.start > window->start ? LEAT_TIME_MAX - 1 : LEAT_TIME_MAX;
    }
    return LEAT_TIME_MAX;
}

bool leat__window_next(const struct leat__assigner *a, struct leat__window *window)
{
    if (a->kind == LEAT_WINDOW_HOPPING)
        return hopping_next(a, window);
    const int64_t last = leat__window_last_us(a, window);
    if (last == LEAT_TIME_MAX)
        return false;
    if (a->kind == LEAT_WINDOW_CUMULATING) {
        *window = cumulating_of(a, last + 1);
        return true;
    }
    return leat__window_from(a, last + 1, window);
}

struct leat__window leat__window_at(const struct leat__assigner *a, int64_t ns)
{
    struct leat__window window;
    switch (a->kind) {
    case LEAT_WINDOW_HOPPING:
        return hopping_at(a, ns);
    case LEAT_WINDOW_CUMULATING:
        return cumulating_of(a, ns);
    case LEAT_WINDOW_CALENDAR: /* with other zone data it may begin elsewhere now */
        window = leat__calendar_window(a->calendar, ns);
        window.start = ns;
        return window;
    default:
        (void)leat__window_from(a, ns, &window);
        return window;
    }
}

/* ---- slices ---- */

struct leat__window leat__slice_of(const struct leat__assigner *a, int64_t ts)
{
    struct leat__window slice;
    if (a->kind == LEAT_WINDOW_CUMULATING)
        return leat__tumbling_of(ts, a->step, a->step_offset);
    if (a->kind != LEAT_WINDOW_HOPPING) {
        (void)leat__window_from(a, ts, &slice);
        return slice;
    }
    const int64_t into = into_step(a, ts, a->offset);
    const int64_t from = into < a->rest || a->rest == 0 ? 0 : a->rest;
    const int64_t to = into < a->rest ? a->rest : a->step;
    return (struct leat__window){ leat__time_sub(ts, into - from), leat__time_add(ts, to - into) };
}
