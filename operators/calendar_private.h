/* operators/calendar_private.h -- days, weeks, months and years of a time zone, as intervals of event time.
 *
 * A zone is read once, when it is declared, and is read-only then: any thread may ask. Ownership: whoever loads a
 * zone releases it; a calendar shows it. */
#ifndef LEAT_OPERATORS_CALENDAR_PRIVATE_H
#define LEAT_OPERATORS_CALENDAR_PRIVATE_H
#include "base/env.h"
#include "operators/window_private.h"

#define LEAT__ZONE_DIR "/usr/share/zoneinfo"

/* Offsets from UTC: offset[i] from at[i] on, until at[i + 1]. at[0] is INT64_MIN. All zero: UTC. */
struct leat__zone {
    int64_t *at; /* seconds since 1970, never falling */
    int32_t *offset; /* seconds to the east */
    uint32_t count;
    /* What the zone does at times from here on it does again 400 years later, for ever, and the table has 402 of
     * them: 400 years of the calendar are a whole number of weeks. INT64_MAX: nothing changes any more. */
    int64_t repeats_from;
};

/* Reads the zone's file below `dir`. LEAT_ENOTFOUND: no such zone, with a near miss, or none at all, with the
 * package to install; LEAT_EDATA. NULL and "UTC" need no file. */
LEAT_NODISCARD int leat__zone_load(
    struct leat_env *env, const char *dir, const char *name, struct leat__zone *zone, struct leat_error *err);
/* The bytes of a file (TZif, RFC 8536, version 2 or later). */
LEAT_NODISCARD int leat__zone_parse(
    const char *data, size_t len, struct leat__zone *zone, struct leat_error *err);
void leat__zone_release(struct leat__zone *zone);
/* The offset at a time before repeats_from + 402 years. */
int32_t leat__zone_offset(const struct leat__zone *zone, int64_t second);

/* Days since 1970-01-01 of the first of a month (1..12). */
int64_t leat__calendar_day(int64_t year, uint32_t month);
void leat__calendar_date(int64_t day, int64_t *year, uint32_t *month); /* the inverse, of any day */

struct leat__calendar {
    enum leat_calendar_unit unit;
    const struct leat__zone *zone;
};
/* The day, week (from Monday), month or year that holds a time. A day begins at the first moment at which its
 * midnight is there or has passed: where clocks are put forward over midnight, later; where they are put back
 * over it, at the first of the two. A day that a zone leaves out holds nothing. */
struct leat__window leat__calendar_window(const struct leat__calendar *calendar, int64_t us);
#endif
