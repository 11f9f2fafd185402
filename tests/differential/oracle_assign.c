/* tests/differential/oracle_assign.c -- the windows of a time, where the time alone says which (semantics 13 to 15),
 * with 128 bits, so that nothing is cut before it is printed. */
#include "tests/differential/oracle_private.h"

#define DAY ((wide)86400 * 1000000)
#define HOUR ((wide)3600 * 1000000)
#define CYCLE_DAYS 146097 /* of 400 years, after which the calendar begins anew */

/* ---- calendars, by the rules of 2007 and later ---- */

/* Days since 1970-01-01 of a date of the Gregorian calendar; months from 0 may be beyond the year. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    static const int before[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 };
    year += month / 12;
    month %= 12;
    const int64_t cycles = (int64_t)((year - 1970 - floor_mod(year - 1970, 400)) / 400);
    int64_t days = cycles * CYCLE_DAYS;
    year -= 400 * cycles;
    for (int64_t y = 1970; y < year; y++)
        days += y % 4 == 0 && (y % 100 != 0 || y % 400 == 0) ? 366 : 365;
    const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days + before[month] + (leap && month > 1) + day - 1;
}

static void date_of(int64_t days, int64_t *year, int64_t *month)
{
    const int64_t in_cycle = (int64_t)floor_mod(days, CYCLE_DAYS);
    *year = 1970 + (days - in_cycle) / CYCLE_DAYS * 400;
    while (days_of(*year + 1, 0, 1) <= days)
        (*year)++;
    *month = 0;
    while (*month < 11 && days_of(*year, *month + 1, 1) <= days)
        (*month)++;
}

/* 1970-01-01 was a Thursday; Sunday is 0. */
static int64_t weekday_of(int64_t days)
{
    return (int64_t)floor_mod(days + 4, 7);
}

/* The n-th Sunday of a month, from 1 on; 5: the last one, of a month with 31 days. */
static int64_t sunday(int64_t year, int64_t month, int64_t n)
{
    const int64_t first = days_of(year, month, n == 5 ? 25 : 1 + 7 * (n - 1));
    return first + (7 - weekday_of(first)) % 7;
}

/* What local time is ahead of UTC, at an instant. Zones as in words.c. */
static wide ahead(int64_t zone, wide at)
{
    const int64_t days = (int64_t)((at - floor_mod(at, DAY)) / DAY);
    int64_t year, month;
    date_of(days, &year, &month);
    if (zone == 1) {
        const wide from = sunday(year, 2, 5) * DAY + HOUR, to = sunday(year, 9, 5) * DAY + HOUR;
        return at >= from && at < to ? 2 * HOUR : HOUR;
    }
    if (zone == 2) {
        const wide from = sunday(year, 2, 2) * DAY + 7 * HOUR, to = sunday(year, 10, 1) * DAY + 6 * HOUR;
        return at >= from && at < to ? -4 * HOUR : -5 * HOUR;
    }
    return 0;
}

/* The instant of a local midnight: neither zone changes its clocks near it. */
static wide midnight(int64_t zone, int64_t days)
{
    const wide local = days * DAY;
    return local - ahead(zone, local - ahead(zone, local));
}

static void calendar(const struct plan_node *node, int64_t at, wide bounds[2])
{
    const wide local = at + ahead(node->zone, at);
    int64_t from = (int64_t)((local - floor_mod(local, DAY)) / DAY), to = from + 1, year, month;
    date_of(from, &year, &month);
    if (node->unit == LEAT_WEEK) {
        from -= (weekday_of(from) + 6) % 7;
        to = from + 7;
    } else if (node->unit == LEAT_MONTH) {
        from = days_of(year, month, 1);
        to = days_of(year, month + 1, 1);
    } else if (node->unit == LEAT_YEAR) {
        from = days_of(year, 0, 1);
        to = days_of(year + 1, 0, 1);
    }
    bounds[0] = midnight(node->zone, from);
    bounds[1] = midnight(node->zone, to);
}

/* ---- the others ---- */

static wide start_of(const struct oracle *o, wide at, wide offset, wide period)
{
    if (o->mistake == MISTAKE_TUMBLING_ROUNDS_TO_ZERO)
        return at - (at - offset) % period;
    return at - floor_mod(at - offset, period);
}

static size_t hopping(
    const struct oracle *o, const struct plan_node *node, int64_t at, wide (*bounds)[2], size_t max)
{
    size_t count = 0;
    wide start = start_of(o, at, node->offset, node->slide);
    if (o->mistake == MISTAKE_HOPPING_WITHOUT_LAST && start == at)
        start -= node->slide;
    const wide least = (wide)at - node->size - (o->mistake == MISTAKE_HOPPING_ONE_TOO_MANY);
    for (; start > least && count < max; start -= node->slide) {
        bounds[count][0] = start;
        bounds[count++][1] = start + node->size;
    }
    return count;
}

size_t oracle_assign(
    struct oracle *o, const struct plan_node *node, int64_t at, wide (*bounds)[2], size_t max)
{
    size_t count = 0;
    if (node->window == LEAT_WINDOW_HOPPING)
        return hopping(o, node, at, bounds, max);
    if (node->window == LEAT_WINDOW_CALENDAR) {
        calendar(node, at, bounds[0]);
        return 1;
    }
    if (node->window == LEAT_WINDOW_GLOBAL) {
        bounds[0][0] = INT64_MIN;
        bounds[0][1] = INT64_MAX;
        return 1;
    }
    const wide start = start_of(o, at, node->offset, node->size);
    const wide step = node->window == LEAT_WINDOW_CUMULATING ? node->step : node->size;
    for (wide end = start + step; end <= start + node->size && count < max; end += step)
        if (end > at) {
            bounds[count][0] = start;
            bounds[count++][1] = end;
            if (end >= INT64_MAX) /* what ends later ends there as well: it is the same window */
                break;
        }
    if (o->mistake == MISTAKE_CUMULATING_WITHOUT_LAST && count > 1)
        count--;
    return count;
}
