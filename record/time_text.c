/* record/time_text.c -- RFC 3339 timestamps.
 *
 * Years are counted from 1 March, which puts the leap day at the end: then the days before month m of such a
 * year are (153 m + 2) / 5, and those before year y are 365 y + y/4 - y/100 + y/400. */
#include "record/time_text.h"

#define DAY_SECONDS 86400
#define EPOCH_DAYS 719468 /* from 0000-03-01 to 1970-01-01 */
#define ERA_DAYS 146097 /* 400 years */
#define NANOS_PER_SECOND 1000000000
#define YEAR_DIGITS_MAX 9 /* covers int64_t milliseconds */

struct reader {
    const char *at;
    const char *end;
};

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int64_t days_of_date(int64_t year, int64_t month, int64_t day)
{
    const int64_t y = month > 2 ? year : year - 1;
    const int64_t m = month > 2 ? month - 3 : month + 9;
    const int64_t leap_days = floor_div(y, 4) - floor_div(y, 100) + floor_div(y, 400);
    return 365 * y + leap_days + (153 * m + 2) / 5 + day - 1 - EPOCH_DAYS;
}

static void date_of_days(int64_t days, int64_t *year, int64_t *month, int64_t *day)
{
    const int64_t era = floor_div(days + EPOCH_DAYS, ERA_DAYS);
    const int64_t in_era = days + EPOCH_DAYS - era * ERA_DAYS;
    /* An estimate that is never too small; it is too large by one at most on the last days of a year. */
    int64_t y = in_era / 365;
    int64_t in_year = in_era - (365 * y + y / 4 - y / 100 + y / 400);
    if (in_year < 0) {
        y--;
        in_year = in_era - (365 * y + y / 4 - y / 100 + y / 400);
    }
    const int64_t m = (5 * in_year + 2) / 153;
    *day = in_year - (153 * m + 2) / 5 + 1;
    *month = m < 10 ? m + 3 : m - 9;
    *year = y + era * 400 + (*month <= 2);
}

/* Exactly `digits` decimal digits. */
static bool read_digits(struct reader *r, int digits, int64_t *value)
{
    *value = 0;
    if (r->end - r->at < digits)
        return false;
    for (int i = 0; i < digits; i++, r->at++) {
        if (*r->at < '0' || *r->at > '9')
            return false;
        *value = *value * 10 + (*r->at - '0');
    }
    return true;
}

static bool read_char(struct reader *r, const char *any_of)
{
    if (r->at == r->end || *r->at == '\0' || !strchr(any_of, *r->at))
        return false;
    r->at++;
    return true;
}

static int count_digits(const struct reader *r)
{
    int n = 0;
    while (r->at + n < r->end && n <= YEAR_DIGITS_MAX && r->at[n] >= '0' && r->at[n] <= '9')
        n++;
    return n;
}

static bool read_date(struct reader *r, int64_t *days)
{
    static const int64_t month_days[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    int64_t year, month, day;
    int digits = 4;
    const bool negative = r->at < r->end && *r->at == '-';
    if (read_char(r, "+-")) {
        digits = count_digits(r);
        if (digits < 6 || digits > YEAR_DIGITS_MAX)
            return false;
    }
    if (!read_digits(r, digits, &year) || !read_char(r, "-") || !read_digits(r, 2, &month) ||
        !read_char(r, "-") || !read_digits(r, 2, &day))
        return false;
    if (negative)
        year = -year;
    if (month < 1 || month > 12 || day < 1 || day > month_days[month - 1])
        return false;
    if (month == 2 && day == 29 && !is_leap(year))
        return false;
    *days = days_of_date(year, month, day);
    return true;
}

static bool read_time(struct reader *r, int64_t *seconds, int64_t *nanos)
{
    int64_t hour, minute, second;
    if (!read_digits(r, 2, &hour) || !read_char(r, ":") || !read_digits(r, 2, &minute) ||
        !read_char(r, ":") || !read_digits(r, 2, &second))
        return false;
    if (hour > 23 || minute > 59 || second > 60)
        return false;
    *seconds = hour * 3600 + minute * 60 + second;
    *nanos = 0;
    if (!read_char(r, "."))
        return true;
    int64_t weight = NANOS_PER_SECOND / 10;
    const char *from = r->at;
    for (; r->at < r->end && *r->at >= '0' && *r->at <= '9'; r->at++, weight /= 10)
        *nanos += (*r->at - '0') * weight;
    return r->at > from;
}

static bool read_offset(struct reader *r, int64_t *seconds)
{
    int64_t hours, minutes;
    *seconds = 0;
    if (read_char(r, "Zz"))
        return true;
    const bool west = r->at < r->end && *r->at == '-';
    if (!read_char(r, "+-") || !read_digits(r, 2, &hours) || !read_char(r, ":") ||
        !read_digits(r, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    *seconds = (hours * 3600 + minutes * 60) * (west ? -1 : 1);
    return true;
}

static int parse(const char *text, size_t len, int64_t per_second, bool is_local, int64_t *value)
{
    struct reader r = { text, text + len };
    int64_t days, seconds, nanos, offset = 0;
    if (!read_date(&r, &days) || !read_char(&r, "Tt ") || !read_time(&r, &seconds, &nanos))
        return LEAT_EINVAL;
    if (!is_local && !read_offset(&r, &offset))
        return LEAT_EINVAL;
    if (r.at != r.end)
        return LEAT_EINVAL;
    int64_t whole = days * DAY_SECONDS + seconds - offset;
    int64_t part = nanos / (NANOS_PER_SECOND / per_second);
    if (whole < 0) { /* so that the lowest value does not overflow on the way */
        whole++;
        part -= per_second;
    }
    int64_t units;
    if (__builtin_mul_overflow(whole, per_second, &units) || __builtin_add_overflow(units, part, value))
        return LEAT_EOVERFLOW;
    return 0;
}

static char *put_digits(char *to, int64_t value, int digits)
{
    for (int i = digits - 1; i >= 0; i--, value /= 10)
        to[i] = (char)('0' + value % 10);
    return to + digits;
}

/* Four digits; beyond them a sign, and six or as many as there are. */
static char *put_year(char *to, int64_t year)
{
    if (year >= 0 && year <= 9999)
        return put_digits(to, year, 4);
    int digits = 6;
    *to++ = year < 0 ? '-' : '+';
    year = year < 0 ? -year : year;
    for (int64_t left = year / 1000000; left > 0; left /= 10)
        digits++;
    return put_digits(to, year, digits);
}

static char *put_two(char *to, char before, int64_t value)
{
    to[0] = before;
    to[1] = (char)('0' + value / 10);
    to[2] = (char)('0' + value % 10);
    return to + 3;
}

static size_t print(int64_t value, int64_t per_second, bool is_local, char text[LEAT_TIME_TEXT_MAX])
{
    const int64_t seconds = floor_div(value, per_second);
    int64_t part = value % per_second;
    if (part < 0)
        part += per_second;
    const int64_t days = floor_div(seconds, DAY_SECONDS);
    const int64_t in_day = seconds - days * DAY_SECONDS;
    int64_t year, month, day;
    date_of_days(days, &year, &month, &day);

    char *end = put_year(text, year);
    end = put_two(end, '-', month);
    end = put_two(end, '-', day);
    end = put_two(end, 'T', in_day / 3600);
    end = put_two(end, ':', in_day / 60 % 60);
    end = put_two(end, ':', in_day % 60);
    size_t at = (size_t)(end - text);
    if (part != 0) {
        text[at++] = '.';
        int64_t weight = per_second / 10;
        while (part != 0) {
            for (int i = 0; i < 3; i++, weight /= 10) {
                text[at++] = (char)('0' + part / weight);
                part %= weight;
            }
        }
    }
    if (!is_local)
        text[at++] = 'Z';
    text[at] = '\0';
    return at;
}

int leat__time_parse(const char *text, size_t len, int64_t *us)
{
    return parse(text, len, 1000000, false, us);
}

size_t leat__time_print(int64_t us, char text[LEAT_TIME_TEXT_MAX])
{
    return print(us, 1000000, false, text);
}

bool leat__time_is_timestamp(enum leat_logical logical)
{
    return logical >= LEAT_LOGICAL_TIMESTAMP_MILLIS && logical <= LEAT_LOGICAL_LOCAL_TIMESTAMP_NANOS;
}

static int64_t units_per_second(enum leat_logical logical)
{
    switch (logical) {
    case LEAT_LOGICAL_TIMESTAMP_MILLIS:
    case LEAT_LOGICAL_LOCAL_TIMESTAMP_MILLIS:
        return 1000;
    case LEAT_LOGICAL_TIMESTAMP_NANOS:
    case LEAT_LOGICAL_LOCAL_TIMESTAMP_NANOS:
        return NANOS_PER_SECOND;
    default:
        return 1000000;
    }
}

int leat__time_parse_as(enum leat_logical logical, const char *text, size_t len, int64_t *value)
{
    const bool is_local = logical >= LEAT_LOGICAL_LOCAL_TIMESTAMP_MILLIS;
    return parse(text, len, units_per_second(logical), is_local, value);
}

size_t leat__time_print_as(enum leat_logical logical, int64_t value, char text[LEAT_TIME_TEXT_MAX])
{
    const bool is_local = logical >= LEAT_LOGICAL_LOCAL_TIMESTAMP_MILLIS;
    return print(value, units_per_second(logical), is_local, text);
}
