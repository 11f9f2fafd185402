/* operators/window_calendar.c -- local days, weeks, months and years: intervals between two local midnights.
 *
 * All counting is in whole seconds since 1970 and in days, both int64_t: event times reach 292,000 years in either
 * direction, which is far from their ends. */
#include "operators/calendar_private.h"

#define SECONDS_PER_DAY INT64_C(86400)
#define US_PER_SECOND INT64_C(1000000)
#define DAYS_PER_400_YEARS INT64_C(146097)
#define SECONDS_PER_400_YEARS (DAYS_PER_400_YEARS * SECONDS_PER_DAY)
/* More than any zone has ever been away from UTC. */
#define OFFSET_MAX (2 * SECONDS_PER_DAY)

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* ---- dates ---- */

/* Years are counted from March, so that the leap day is the last one: month 0 is March of `year`. */
static int64_t day_of_march_year(int64_t year, uint32_t month)
{
    const int64_t days_before_1970 = 719468; /* 0000-03-01 to 1970-01-01 */
    const int64_t months = ((int64_t)month * 153 + 2) / 5; /* 31 30 31 30 31 again and again */
    return 365 * year + floor_div(year, 4) - floor_div(year, 100) + floor_div(year, 400) + months -
        days_before_1970;
}

int64_t leat__calendar_day(int64_t year, uint32_t month)
{
    return month > 2 ? day_of_march_year(year, month - 3) : day_of_march_year(year - 1, month + 9);
}

void leat__calendar_date(int64_t day, int64_t *year, uint32_t *month)
{
    int64_t march_year = 1970 + floor_div(day * 400, DAYS_PER_400_YEARS); /* at most one off */
    while (day_of_march_year(march_year, 0) > day)
        march_year--;
    while (day_of_march_year(march_year + 1, 0) <= day)
        march_year++;
    uint32_t m = 0;
    while (m < 11 && day_of_march_year(march_year, m + 1) <= day)
        m++;
    *month = m < 10 ? m + 3 : m - 9;
    *year = m < 10 ? march_year : march_year + 1;
}

/* The first day of the unit that has `day`, and of the unit after it. */
static int64_t first_day(enum leat_calendar_unit unit, int64_t day, int64_t *next)
{
    int64_t year;
    uint32_t month;
    if (unit == LEAT_DAY) {
        *next = day + 1;
        return day;
    }
    if (unit == LEAT_WEEK) {
        const int64_t monday = day - leat__floor_mod(day + 3, 7); /* 1970-01-01 was a Thursday */
        *next = monday + 7;
        return monday;
    }
    leat__calendar_date(day, &year, &month);
    if (unit == LEAT_YEAR) {
        *next = leat__calendar_day(year + 1, 1);
        return leat__calendar_day(year, 1);
    }
    *next = month < 12 ? leat__calendar_day(year, month + 1) : leat__calendar_day(year + 1, 1);
    return leat__calendar_day(year, month);
}

/* ---- zones ---- */

/* The last entry at or before a time. */
static uint32_t entry_at(const struct leat__zone *zone, int64_t second)
{
    uint32_t low = 0;
    uint32_t high = zone->count; /* at[low] <= second < at[high] */
    while (high - low > 1) {
        const uint32_t middle = low + (high - low) / 2;
        if (zone->at[middle] <= second)
            low = middle;
        else
            high = middle;
    }
    return low;
}

int32_t leat__zone_offset(const struct leat__zone *zone, int64_t second)
{
    return zone->count ? zone->offset[entry_at(zone, second)] : 0;
}

/* The first moment at which the local clock shows midnight of `day`, or later. */
static int64_t day_begin(const struct leat__zone *zone, int64_t day)
{
    const int64_t midnight = day * SECONDS_PER_DAY;
    if (zone->count == 0)
        return midnight;
    uint32_t i = entry_at(zone, midnight - OFFSET_MAX);
    for (;; i++) {
        int64_t begin = midnight - zone->offset[i];
        if (begin < zone->at[i])
            begin = zone->at[i];
        if (i + 1 == zone->count || begin < zone->at[i + 1])
            return begin;
    }
}

/* How many times 400 years are to be taken off, so that the table knows a second and the year around it. */
static int64_t repeats(const struct leat__zone *zone, int64_t second)
{
    const int64_t year = 366 * SECONDS_PER_DAY;
    if (zone->repeats_from == INT64_MAX || second < zone->repeats_from + year)
        return 0;
    return (second - zone->repeats_from - year) / SECONDS_PER_400_YEARS;
}

static int64_t us_of(int64_t second)
{
    int64_t us;
    if (__builtin_mul_overflow(second, US_PER_SECOND, &us))
        return second < 0 ? LEAT_TIME_MIN : LEAT_TIME_MAX;
    return us;
}

struct leat__window leat__calendar_window(const struct leat__calendar *calendar, int64_t us)
{
    const struct leat__zone *zone = calendar->zone;
    int64_t second = floor_div(us, US_PER_SECOND);
    const int64_t taken_off = repeats(zone, second) * SECONDS_PER_400_YEARS;
    second -= taken_off;
    const int64_t day = floor_div(second + leat__zone_offset(zone, second), SECONDS_PER_DAY);
    int64_t next;
    int64_t first = first_day(calendar->unit, day, &next);
    int64_t end = day_begin(zone, next);
    while (end <= second) { /* clocks were put back over midnight: it is the next day already */
        first = first_day(calendar->unit, next, &next);
        end = day_begin(zone, next);
    }
    return (struct leat__window){ us_of(day_begin(zone, first) + taken_off), us_of(end + taken_off) };
}
