/* operators/window_zone.c -- time zones from the system's files (TZif, RFC 8536): a table of transitions.
 *
 *   header, body of version 1     skipped: its times have 32 bits
 *   header, body of version 2     the transitions that are known
 *   footer                        a rule for all times after them (POSIX TZ), here written out for 402 years
 *
 * The C library's own functions know one zone per process, and change it under all threads; so they are not used.
 * Files are untrusted bytes: every count is checked against what is there. */
#include "base/alloc.h"
#include "base/near.h"
#include "base/strbuf.h"
#include "operators/calendar_private.h"
#include <stdio.h>
#include <string.h>

#define HEADER_BYTES 44u
#define TYPE_BYTES 6u
#define FILE_BYTES_MAX (1u << 20)
#define TRANSITIONS_MAX 65536u
#define NAME_BYTES_MAX 64u
#define AT_MAX (INT64_C(1) << 40) /* of a transition: 34,000 years on */
#define RULE_YEARS 404 /* 400, and a year at either end, and the one that the last transition is in */
#define SECONDS_PER_DAY INT64_C(86400)
#define OFFSET_MAX (26 * 3600) /* of a type: RFC 8536 allows up to 25:59:59 */

struct reader {
    const unsigned char *at, *end;
};

static size_t left(const struct reader *r)
{
    return (size_t)(r->end - r->at);
}

static int64_t big_endian(const unsigned char *bytes, uint32_t size)
{
    uint64_t value = bytes[0] & 0x80 ? UINT64_MAX : 0;
    for (uint32_t i = 0; i < size; i++)
        value = value << 8 | bytes[i];
    return (int64_t)value;
}

/* ---- header and body ---- */

struct header {
    uint32_t isutcnt, isstdcnt, leapcnt, timecnt, typecnt, charcnt;
    size_t body; /* bytes */
};

static bool read_header(struct reader *r, uint32_t time_size, struct header *h)
{
    if (left(r) < HEADER_BYTES || memcmp(r->at, "TZif", 4) != 0 || r->at[4] < '2')
        return false;
    uint32_t counts[6];
    for (uint32_t i = 0; i < 6; i++) {
        const int64_t count = big_endian(r->at + 20 + 4 * i, 4);
        if (count < 0 || count > (int64_t)TRANSITIONS_MAX)
            return false;
        counts[i] = (uint32_t)count;
    }
    *h = (struct header){ counts[0], counts[1], counts[2], counts[3], counts[4], counts[5], 0 };
    h->body = (size_t)h->timecnt * (time_size + 1) + (size_t)h->typecnt * TYPE_BYTES + h->charcnt +
        (size_t)h->leapcnt * (time_size + 4) + h->isstdcnt + h->isutcnt;
    r->at += HEADER_BYTES;
    return left(r) >= h->body && h->typecnt > 0;
}

static bool add_entry(struct leat__zone *zone, int64_t at, int64_t offset)
{
    if (offset <= -OFFSET_MAX || offset >= OFFSET_MAX)
        return false;
    zone->at[zone->count] = at;
    zone->offset[zone->count++] = (int32_t)offset;
    return true;
}

/* The transitions of the file. Before the first, the zone has the first type. */
static bool read_body(const struct reader *r, const struct header *h, struct leat__zone *zone)
{
    const unsigned char *times = r->at;
    const unsigned char *indices = times + (size_t)h->timecnt * 8;
    const unsigned char *types = indices + h->timecnt;
    int64_t last = INT64_MIN;
    if (!add_entry(zone, INT64_MIN, big_endian(types, 4)))
        return false;
    for (uint32_t i = 0; i < h->timecnt; i++) {
        const int64_t at = big_endian(times + (size_t)i * 8, 8);
        if (at <= last || at > AT_MAX || indices[i] >= h->typecnt)
            return false;
        if (!add_entry(zone, at, big_endian(types + (size_t)indices[i] * TYPE_BYTES, 4)))
            return false;
        last = at;
    }
    return true;
}

/* ---- the rule ---- */

/* A day of each year, and a local time on it. */
struct rule_day {
    char form; /* 'M': month, week, weekday; 'J': 1..365 without leap days; '0': 0..365 */
    int32_t month, week, weekday, day;
    int32_t second;
};

struct rule {
    int32_t standard, daylight; /* seconds to the east */
    bool has_daylight;
    struct rule_day begin, end; /* of daylight time */
};

static bool read_name(struct reader *r)
{
    const unsigned char *from = r->at;
    if (left(r) && *r->at == '<') {
        while (left(r) && *r->at != '>')
            r->at++;
        return left(r) && *r->at++ == '>';
    }
    while (left(r) && ((*r->at >= 'A' && *r->at <= 'Z') || (*r->at >= 'a' && *r->at <= 'z')))
        r->at++;
    return r->at != from;
}

static bool read_number(struct reader *r, int32_t max, int32_t *number)
{
    const unsigned char *from = r->at;
    for (*number = 0; left(r) && *r->at >= '0' && *r->at <= '9'; r->at++) {
        *number = *number * 10 + (*r->at - '0');
        if (*number > max)
            return false;
    }
    return r->at != from;
}

static bool skip_char(struct reader *r, char c)
{
    if (!left(r) || *r->at != (unsigned char)c)
        return false;
    r->at++;
    return true;
}

/* [+-]hh[:mm[:ss]] in seconds */
static bool read_time(struct reader *r, int32_t hours_max, int32_t *seconds)
{
    int32_t hours, minutes = 0, rest = 0;
    const bool negative = skip_char(r, '-');
    if (!negative)
        (void)skip_char(r, '+');
    if (!read_number(r, hours_max, &hours))
        return false;
    if (skip_char(r, ':')) {
        if (!read_number(r, 59, &minutes))
            return false;
        if (skip_char(r, ':') && !read_number(r, 59, &rest))
            return false;
    }
    *seconds = (hours * 60 + minutes) * 60 + rest;
    if (negative)
        *seconds = -*seconds;
    return true;
}

static bool read_rule_day(struct reader *r, struct rule_day *d)
{
    d->second = 2 * 3600;
    if (!skip_char(r, ','))
        return false;
    if (skip_char(r, 'M')) {
        d->form = 'M';
        if (!read_number(r, 12, &d->month) || d->month < 1 || !skip_char(r, '.') ||
            !read_number(r, 5, &d->week) || d->week < 1 || !skip_char(r, '.') ||
            !read_number(r, 6, &d->weekday))
            return false;
    } else {
        d->form = skip_char(r, 'J') ? 'J' : '0';
        if (!read_number(r, 365, &d->day) || (d->form == 'J' && d->day < 1))
            return false;
    }
    return !skip_char(r, '/') || read_time(r, 167, &d->second);
}

/* "CET-1CEST,M3.5.0,M10.5.0/3": offsets are to the west here. */
static bool read_rule(struct reader *r, struct rule *rule)
{
    int32_t west;
    if (!read_name(r) || !read_time(r, 25, &west))
        return false;
    rule->standard = rule->daylight = -west;
    rule->has_daylight = left(r) > 0;
    if (!rule->has_daylight)
        return true;
    if (!read_name(r))
        return false;
    rule->daylight = rule->standard + 3600;
    if (left(r) && *r->at != ',') {
        if (!read_time(r, 25, &west))
            return false;
        rule->daylight = -west;
    }
    return read_rule_day(r, &rule->begin) && read_rule_day(r, &rule->end) && left(r) == 0;
}

/* In seconds since 1970 of the local clock. */
static int64_t rule_second(const struct rule_day *d, int64_t year)
{
    int64_t day;
    if (d->form == 'M') {
        const int64_t first = leat__calendar_day(year, (uint32_t)d->month);
        const int64_t next = d->month < 12 ? leat__calendar_day(year, (uint32_t)d->month + 1)
                                           : leat__calendar_day(year + 1, 1);
        const int64_t weekday = leat__floor_mod(first + 4, 7); /* 1970-01-01 was a Thursday */
        day = first + leat__floor_mod(d->weekday - weekday, 7) + ((int64_t)d->week - 1) * 7;
        while (day >= next) /* week 5: the last */
            day -= 7;
    } else {
        const int64_t march = leat__calendar_day(year, 3);
        day = leat__calendar_day(year, 1) + d->day - (d->form == 'J');
        if (d->form == 'J' && d->day >= 60 && march - leat__calendar_day(year, 2) == 29)
            day++;
    }
    return day * SECONDS_PER_DAY + d->second;
}

/* Keeps at[] in order: a rule may have either of its days first, and the last of a year close to the next. */
static bool add_in_order(struct leat__zone *zone, int64_t at, int64_t offset, int64_t after)
{
    if (at <= after)
        return true;
    if (!add_entry(zone, at, offset))
        return false;
    for (uint32_t i = zone->count - 1; zone->at[i - 1] > at; i--) {
        zone->at[i] = zone->at[i - 1];
        zone->offset[i] = zone->offset[i - 1];
        zone->at[i - 1] = at;
        zone->offset[i - 1] = (int32_t)offset;
    }
    return true;
}

/* Writes the rule out behind the last transition. */
static bool write_out(struct leat__zone *zone, const struct rule *rule)
{
    const int64_t last = zone->at[zone->count - 1];
    int64_t year = 1970;
    uint32_t month;
    if (!rule->has_daylight) /* it is what the last transition has begun, or there was none */
        return zone->offset[zone->count - 1] == rule->standard;
    if (last != INT64_MIN)
        leat__calendar_date(last / SECONDS_PER_DAY, &year, &month);
    for (int64_t y = year; y <= year + RULE_YEARS; y++) {
        const int64_t begin = rule_second(&rule->begin, y) - rule->standard;
        const int64_t end = rule_second(&rule->end, y) - rule->daylight;
        const bool added = begin < end
            ? add_in_order(zone, begin, rule->daylight, last) && add_in_order(zone, end, rule->standard, last)
            : add_in_order(zone, end, rule->standard, last) &&
                add_in_order(zone, begin, rule->daylight, last);
        if (!added)
            return false;
    }
    zone->repeats_from = leat__calendar_day(year + 1, 1) * SECONDS_PER_DAY;
    return true;
}

/* "\nCET-1CEST,M3.5.0,M10.5.0/3\n"; an empty one says nothing. */
static bool read_footer(struct reader *r, struct leat__zone *zone)
{
    struct rule rule = { 0 };
    if (left(r) < 2 || *r->at++ != '\n')
        return false;
    const unsigned char *end = memchr(r->at, '\n', left(r));
    if (!end)
        return false;
    r->end = end;
    return left(r) == 0 || (read_rule(r, &rule) && write_out(zone, &rule));
}

int leat__zone_parse(const char *data, size_t len, struct leat__zone *zone, struct leat_error *err)
{
    struct reader r = { (const unsigned char *)data, (const unsigned char *)data + len };
    struct header h;
    *zone = (struct leat__zone){ .repeats_from = INT64_MAX };
    if (!read_header(&r, 4, &h))
        return leat__error(err, LEAT_EDATA, "no time zone file of version 2 or later");
    r.at += h.body;
    if (!read_header(&r, 8, &h))
        return leat__error(err, LEAT_EDATA, "the time zone file is damaged or cut off");
    if (h.leapcnt)
        return leat__error(err, LEAT_EDATA,
            "it counts leap seconds, as event times do not: take the zone outside "
            "of \"right\"");
    const size_t capacity = 1 + (size_t)h.timecnt + 2 * (RULE_YEARS + 1);
    zone->at = leat__malloc(capacity * sizeof *zone->at);
    zone->offset = leat__malloc(capacity * sizeof *zone->offset);
    if (!zone->at || !zone->offset) {
        leat__zone_release(zone);
        return leat__error(err, LEAT_ENOMEM, "out of memory for a time zone");
    }
    bool good = read_body(&r, &h, zone);
    r.at += h.body;
    good = good && read_footer(&r, zone);
    if (good)
        return 0;
    leat__zone_release(zone);
    return leat__error(err, LEAT_EDATA, "the time zone file is damaged");
}

void leat__zone_release(struct leat__zone *zone)
{
    leat__free(zone->at);
    leat__free(zone->offset);
    *zone = (struct leat__zone){ .repeats_from = INT64_MAX };
}

/* ---- files ---- */

struct names {
    struct leat_env *env;
    const char *dir;
    char prefix[2 * NAME_BYTES_MAX];
    struct leat_strbuf text; /* names, each with its NUL */
    uint32_t count;
};

/* Zones and the folders of zones begin with a capital letter. */
static int add_name(void *arg, const char *name, bool is_dir)
{
    struct names *names = arg;
    const size_t len = strlen(names->prefix);
    if (name[0] < 'A' || name[0] > 'Z' || len + strlen(name) + 2 > sizeof names->prefix)
        return 0;
    if (!is_dir) {
        leat__strbuf_printf(&names->text, "%s%s", names->prefix, name);
        leat__strbuf_char(&names->text, 0);
        names->count++;
        return 0;
    }
    struct leat_strbuf path = { 0 };
    (void)snprintf(names->prefix + len, sizeof names->prefix - len, "%s/", name);
    leat__strbuf_printf(&path, "%s/%s", names->dir, names->prefix);
    if (!path.failed)
        (void)names->env->fs_list(names->env, path.data, add_name, names, NULL);
    leat__strbuf_release(&path);
    names->prefix[len] = 0;
    return 0;
}

static int no_such_zone(struct leat_env *env, const char *dir, const char *name, struct leat_error *err)
{
    struct names names = { .env = env, .dir = dir };
    const char **list = NULL;
    int near = -1;
    (void)env->fs_list(env, dir, add_name, &names, NULL);
    if (names.count == 0) {
        leat__strbuf_release(&names.text);
        return leat__error(err, LEAT_ENOTFOUND,
            "\"%s\": there are no time zones in %s: install them (Debian's package tzdata)", name, dir);
    }
    if (!names.text.failed && (list = leat__malloc(names.count * sizeof *list)) != NULL) {
        const char *at = names.text.data;
        for (uint32_t i = 0; i < names.count; i++, at += strlen(at) + 1)
            list[i] = at;
        near = leat__near(name, list, names.count);
    }
    (void)leat__error(err, LEAT_ENOTFOUND,
        near >= 0 ? "there is no time zone \"%s\"; did you mean \"%s\"?"
                  : "there is no time zone \"%s\": give one such as \"Europe/Berlin\"",
        name, near >= 0 ? list[near] : "");
    leat__free(list);
    leat__strbuf_release(&names.text);
    return LEAT_ENOTFOUND;
}

/* Letters, digits, and what stands between them in names: nothing that leads out of the folder. */
static bool is_name(const char *name)
{
    size_t i = 0;
    for (; name[i]; i++) {
        const char c = name[i];
        const bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!plain && (i == 0 || !strchr("/_+-", c)))
            return false;
    }
    return i > 0 && i <= NAME_BYTES_MAX;
}

static int read_file(struct leat_env *env, const char *path, struct leat_strbuf *data, struct leat_error *err)
{
    char bytes[4096];
    leat_fd fd;
    uint64_t at = 0;
    int64_t got;
    LEAT_TRY(env->fs_open(env, path, LEAT_OPEN_READ, &fd, err));
    while ((got = env->fs_pread(env, fd, bytes, sizeof bytes, at, err)) > 0 && at < FILE_BYTES_MAX) {
        leat__strbuf_add(data, bytes, (size_t)got);
        at += (uint64_t)got;
    }
    env->fs_close(env, fd);
    if (got < 0)
        return (int)got;
    return data->failed ? leat__error(err, LEAT_ENOMEM, "out of memory for a time zone") : 0;
}

int leat__zone_load(
    struct leat_env *env, const char *dir, const char *name, struct leat__zone *zone, struct leat_error *err)
{
    struct leat_strbuf path = { 0 }, data = { 0 };
    struct leat_file_info info;
    *zone = (struct leat__zone){ .repeats_from = INT64_MAX };
    if (!name || strcmp(name, "UTC") == 0)
        return 0;
    leat__strbuf_printf(&path, "%s/%s", dir, name);
    if (path.failed)
        return leat__error(err, LEAT_ENOMEM, "out of memory for a time zone");
    int code = is_name(name) ? env->fs_stat(env, path.data, &info, err) : LEAT_ENOTFOUND;
    if (code == LEAT_ENOTFOUND || (code == 0 && !info.is_regular))
        code = no_such_zone(env, dir, name, err);
    else if (code == 0)
        code = read_file(env, path.data, &data, err);
    if (code == 0) {
        code = leat__zone_parse(data.data, data.len, zone, err);
        if (code < 0)
            (void)leat__error_prefix(err, "%s", path.data);
    }
    leat__strbuf_release(&data);
    leat__strbuf_release(&path);
    return code;
}
