/* record/expr_time.c -- expressions: timestamps and intervals. All in UTC, proleptic Gregorian, without leap
 * seconds; a timestamp is microseconds since 1970-01-01T00:00:00Z and an interval is an integer of
 * microseconds.
 *
 * Years are counted from 1 March of the year 0, so that the leap day is the last of its year: four hundred of
 * them are 146097 days, and day d of such a year lies in month (5 d + 2) / 153 behind March. */
#include "record/expr_time_private.h"
#include "record/number_text.h"
#include "record/time_text.h"

#define SECOND_US INT64_C(1000000)
#define MINUTE_US (60 * SECOND_US)
#define HOUR_US (60 * MINUTE_US)
#define DAY_US (24 * HOUR_US)
#define WEEK_US (7 * DAY_US)
#define ERA_DAYS 146097
#define EPOCH_DAYS 719468 /* from 0000-03-01 to 1970-01-01 */

struct date {
    int64_t year;
    int64_t month, day; /* from 1 */
};

EXPR_INLINE int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

EXPR_INLINE int64_t floor_mod(int64_t a, int64_t b)
{
    const int64_t rest = a % b;
    return rest < 0 ? rest + b : rest;
}

static struct date date_of(int64_t days)
{
    const int64_t era = floor_div(days + EPOCH_DAYS, ERA_DAYS);
    const int64_t in_era = days + EPOCH_DAYS - era * ERA_DAYS;
    const int64_t year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    const int64_t in_year = in_era - (365 * year + year / 4 - year / 100);
    const int64_t month = (5 * in_year + 2) / 153;
    struct date date = { year + 400 * era, month < 10 ? month + 3 : month - 9,
        in_year - (153 * month + 2) / 5 + 1 };
    date.year += date.month <= 2;
    return date;
}

static int64_t days_of(int64_t year, int64_t month)
{
    const int64_t y = month > 2 ? year : year - 1, m = month > 2 ? month - 3 : month + 9;
    return 365 * y + floor_div(y, 4) - floor_div(y, 100) + floor_div(y, 400) + (153 * m + 2) / 5 - EPOCH_DAYS;
}

bool leat__expr_read_timestamp(struct leat_sv text, int64_t *us)
{
    char whole[LEAT_TIME_TEXT_MAX];
    static const char midnight[] = "T00:00:00Z";
    if (text.len == 0)
        return false;
    if (memchr(text.data, ':', text.len))
        return leat__time_parse(text.data, text.len, us) == 0;
    if (text.len + sizeof midnight > sizeof whole)
        return false;
    memcpy(whole, text.data, text.len);
    memcpy(whole + text.len, midnight, sizeof midnight);
    return leat__time_parse(whole, text.len + sizeof midnight - 1, us) == 0;
}

/* ---- literals ---- */

int leat__expr_parse_timestamp(const struct expr_source *source, const struct expr_token *token, int64_t *us)
{
    if (leat__expr_read_timestamp(token->text, us))
        return 0;
    return leat__expr_fail(source, token->at,
        "'%.*s' is not a timestamp; expected RFC 3339, as in 2026-01-31T12:00:00Z, or a date",
        (int)(token->text.len < 40 ? token->text.len : 40), token->text.data);
}

struct unit {
    const char *name;
    int64_t us;
};

static const struct unit interval_units[] = {
    { "microsecond", 1 },
    { "millisecond", 1000 },
    { "second", SECOND_US },
    { "minute", MINUTE_US },
    { "hour", HOUR_US },
    { "day", DAY_US },
    { "week", WEEK_US },
};
#define INTERVAL_UNITS (sizeof interval_units / sizeof interval_units[0])

/* The next word behind spaces. */
static struct leat_sv take_word(struct leat_sv *text)
{
    size_t from = 0, to;
    while (from < text->len && text->data[from] == ' ')
        from++;
    for (to = from; to < text->len && text->data[to] != ' ';)
        to++;
    const struct leat_sv word = { text->data + from, to - from };
    *text = (struct leat_sv){ text->data + to, text->len - to };
    return word;
}

static int64_t interval_unit(struct leat_sv word)
{
    const struct leat_sv singular = { word.data,
        word.len && word.data[word.len - 1] == 's' ? word.len - 1 : word.len };
    for (size_t i = 0; i < INTERVAL_UNITS; i++)
        if (leat__expr_same_word(singular, interval_units[i].name))
            return interval_units[i].us;
    return 0;
}

static int fail_unit(const struct expr_source *source, const struct expr_token *token, struct leat_sv word)
{
    const char *names[INTERVAL_UNITS];
    char hint[EXPR_HINT_BYTES];
    for (size_t i = 0; i < INTERVAL_UNITS; i++)
        names[i] = interval_units[i].name;
    const char *remedy = leat__expr_hint(word, names, INTERVAL_UNITS, hint);
    if (leat__expr_same_word(word, "month") || leat__expr_same_word(word, "months") ||
        leat__expr_same_word(word, "year") || leat__expr_same_word(word, "years"))
        remedy = "; months and years have no fixed length, write days";
    return leat__expr_fail(source, token->at,
        "'%.*s' is not a unit of an interval (microseconds, milliseconds, seconds, minutes, hours, days, "
        "weeks)%s",
        (int)(word.len < 32 ? word.len : 32), word.data, remedy);
}

int leat__expr_parse_interval(const struct expr_source *source, const struct expr_token *token, int64_t *us)
{
    struct leat_sv text = token->text;
    struct leat_sv word = take_word(&text);
    int64_t sum = 0;
    do {
        int64_t number, part;
        const int code = leat__i64_parse(word.data, word.len, &number);
        if (code == LEAT_EINVAL)
            return leat__expr_fail(source, token->at,
                "an interval is whole numbers with units, as in interval '1 hour 30 minutes'");
        const struct leat_sv name = take_word(&text);
        const int64_t unit = interval_unit(name);
        if (!unit)
            return fail_unit(source, token, name);
        if (code != 0 || __builtin_mul_overflow(number, unit, &part) ||
            __builtin_add_overflow(sum, part, &sum))
            return leat__expr_fail(source, token->at, "the interval is beyond 64 bits of microseconds");
        word = take_word(&text);
    } while (word.len > 0);
    *us = sum;
    return 0;
}

/* ---- parts of a timestamp ---- */

#define PART_KERNEL(name_, expression_) \
    static int name_(struct expr_frame *f, const struct expr_instr *in) \
    { \
        const struct expr_vec *a = EXPR_ARG(f, in, 0); \
        int64_t *restrict out = (int64_t *)(void *)EXPR_DST(f, in)->data; \
        for (uint32_t i = 0; i < f->count; i++) { \
            const int64_t t = EXPR_AT(int64_t, a, i); \
            out[i] = (expression_); \
        } \
        return 0; \
    }

static int64_t day_of_year(int64_t t)
{
    const int64_t days = floor_div(t, DAY_US);
    return days - days_of(date_of(days).year, 1) + 1;
}

PART_KERNEL(year_kernel, date_of(floor_div(t, DAY_US)).year)
PART_KERNEL(month_kernel, date_of(floor_div(t, DAY_US)).month)
PART_KERNEL(day_kernel, date_of(floor_div(t, DAY_US)).day)
PART_KERNEL(hour_kernel, floor_mod(t, DAY_US) / HOUR_US)
PART_KERNEL(minute_kernel, floor_mod(t, HOUR_US) / MINUTE_US)
PART_KERNEL(second_kernel, floor_mod(t, MINUTE_US) / SECOND_US)
PART_KERNEL(day_of_week_kernel, floor_mod(floor_div(t, DAY_US) + 3, 7) + 1) /* 1970-01-01 was a Thursday */
PART_KERNEL(day_of_year_kernel, day_of_year(t))
PART_KERNEL(epoch_millis_kernel, floor_div(t, 1000))
PART_KERNEL(same_kernel, t)

/* ---- arithmetic with units ---- */

static int timestamp_millis_kernel(struct expr_frame *f, const struct expr_instr *in)
{
    const struct expr_vec *a = EXPR_ARG(f, in, 0);
    int64_t *out = (int64_t *)(void *)EXPR_DST(f, in)->data;
    EXPR_EACH_LIVE(f, in, i, out, 0)
    {
        const int64_t x = EXPR_AT(int64_t, a, i);
        if (__builtin_mul_overflow(x, INT64_C(1000), &out[i]))
            return leat__expr_row_fail(f, in, i, LEAT_EOVERFLOW,
                "%lld milliseconds are beyond the microseconds of 64 bits", (long long)x);
    }
    return 0;
}

static int add_seconds_kernel(struct expr_frame *f, const struct expr_instr *in)
{
    const struct expr_vec *a = EXPR_ARG(f, in, 0), *b = EXPR_ARG(f, in, 1);
    int64_t *out = (int64_t *)(void *)EXPR_DST(f, in)->data;
    EXPR_EACH_LIVE(f, in, i, out, 0)
    {
        int64_t us;
        if (__builtin_mul_overflow(EXPR_AT(int64_t, b, i), SECOND_US, &us) ||
            __builtin_add_overflow(EXPR_AT(int64_t, a, i), us, &out[i]))
            return leat__expr_row_fail(f, in, i, LEAT_EOVERFLOW,
                "a timestamp plus %lld seconds is beyond the microseconds of 64 bits",
                (long long)EXPR_AT(int64_t, b, i));
    }
    return 0;
}

static int diff_seconds_kernel(struct expr_frame *f, const struct expr_instr *in)
{
    const struct expr_vec *a = EXPR_ARG(f, in, 0), *b = EXPR_ARG(f, in, 1);
    int64_t *out = (int64_t *)(void *)EXPR_DST(f, in)->data;
    EXPR_EACH_LIVE(f, in, i, out, 0)
    {
        int64_t us;
        if (__builtin_sub_overflow(EXPR_AT(int64_t, a, i), EXPR_AT(int64_t, b, i), &us))
            return leat__expr_row_fail(
                f, in, i, LEAT_EOVERFLOW, "the difference of the timestamps is beyond 64 bits");
        out[i] = us / SECOND_US;
    }
    return 0;
}

/* ---- date_trunc ---- */

enum { TRUNC_MONTH = -1, TRUNC_QUARTER = -3, TRUNC_YEAR = -12 }; /* by calendar: minus the months */

static const struct unit trunc_units[] = {
    { "microsecond", 1 },
    { "millisecond", 1000 },
    { "second", SECOND_US },
    { "minute", MINUTE_US },
    { "hour", HOUR_US },
    { "day", DAY_US },
    { "week", WEEK_US },
    { "month", TRUNC_MONTH },
    { "quarter", TRUNC_QUARTER },
    { "year", TRUNC_YEAR },
};
#define TRUNC_UNITS (sizeof trunc_units / sizeof trunc_units[0])

/* Whether `t` cut down to the unit is a timestamp: *cut. */
static bool truncate_time(int64_t t, int64_t unit, int64_t *cut)
{
    if (unit == WEEK_US) /* weeks begin on Monday, 1970-01-01 was a Thursday */
        return !__builtin_sub_overflow(t, floor_mod(floor_mod(t, WEEK_US) + 3 * DAY_US, WEEK_US), cut);
    if (unit > 0)
        return !__builtin_sub_overflow(t, floor_mod(t, unit), cut);
    const struct date date = date_of(floor_div(t, DAY_US));
    const int64_t month = date.month - (date.month - 1) % -unit;
    return !__builtin_mul_overflow(days_of(date.year, month), DAY_US, cut);
}

static int date_trunc_kernel(struct expr_frame *f, const struct expr_instr *in)
{
    const struct expr_vec *a = EXPR_ARG(f, in, 0);
    const struct unit *unit = in->extra;
    int64_t *out = (int64_t *)(void *)EXPR_DST(f, in)->data;
    EXPR_EACH_LIVE(f, in, i, out, 0)
    if (!truncate_time(EXPR_AT(int64_t, a, i), unit->us, &out[i]))
        return leat__expr_row_fail(f, in, i, LEAT_EOVERFLOW,
            "the begin of the %s is before the first timestamp of 64 bits", unit->name);
    return 0;
}

static int type_date_trunc(struct expr_compiler *c, struct expr_node *node)
{
    static const char usage[] = "date_trunc('unit', timestamp)";
    const struct expr_op op = { date_trunc_kernel, EXPR_STRICT | EXPR_GUARDED };
    const char *names[TRUNC_UNITS];
    char hint[EXPR_HINT_BYTES];
    LEAT_TRY(leat__expr_want_args(c, node, usage, 2, 2));
    LEAT_TRY(leat__expr_want_arg(c, node, 0, 's', usage));
    LEAT_TRY(leat__expr_want_arg(c, node, 1, 't', usage));
    const struct expr_node *word = node->args[0];
    if (!leat__expr_is_literal(word) || word->value.is_null)
        return leat__expr_fail(&c->source, word->at, "%s: the unit must be a constant text", usage);
    const struct leat_sv unit = word->value.as.string;
    node->args[0] = node->args[1];
    node->args_count = 1;
    for (size_t i = 0; i < TRUNC_UNITS; i++) {
        names[i] = trunc_units[i].name;
        if (leat__expr_same_word(unit, names[i]))
            return leat__expr_apply(c, node, op, LEAT_VALUE_TIMESTAMP, &trunc_units[i]);
    }
    return leat__expr_fail(&c->source, word->at,
        "date_trunc: '%.*s' is not a unit (microsecond, millisecond, second, minute, hour, day, week, month, "
        "quarter, "
        "year)%s",
        (int)(unit.len < 32 ? unit.len : 32), unit.data, leat__expr_hint(unit, names, TRUNC_UNITS, hint));
}

#define FAST_OP(kernel_) { kernel_, EXPR_STRICT }, { NULL, 0 }, NULL
#define SLOW_OP(kernel_) { kernel_, EXPR_STRICT | EXPR_GUARDED }, { NULL, 0 }, NULL

const struct expr_function leat__expr_functions_time[] = {
    { "year", "year(timestamp)", "t", 1, 'i', FAST_OP(year_kernel) },
    { "month", "month(timestamp)", "t", 1, 'i', FAST_OP(month_kernel) },
    { "day", "day(timestamp)", "t", 1, 'i', FAST_OP(day_kernel) },
    { "hour", "hour(timestamp)", "t", 1, 'i', FAST_OP(hour_kernel) },
    { "minute", "minute(timestamp)", "t", 1, 'i', FAST_OP(minute_kernel) },
    { "second", "second(timestamp)", "t", 1, 'i', FAST_OP(second_kernel) },
    { "day_of_week", "day_of_week(timestamp)", "t", 1, 'i', FAST_OP(day_of_week_kernel) },
    { "day_of_year", "day_of_year(timestamp)", "t", 1, 'i', FAST_OP(day_of_year_kernel) },
    { "epoch_millis", "epoch_millis(timestamp)", "t", 1, 'i', FAST_OP(epoch_millis_kernel) },
    { "epoch_micros", "epoch_micros(timestamp)", "t", 1, 'i', FAST_OP(same_kernel) },
    { "timestamp_millis", "timestamp_millis(integer)", "i", 1, 't', SLOW_OP(timestamp_millis_kernel) },
    { "timestamp_micros", "timestamp_micros(integer)", "i", 1, 't', FAST_OP(same_kernel) },
    { "to_timestamp", "to_timestamp(text)", "s", 1, 't', SLOW_OP(leat__expr_string_to_timestamp) },
    { "format_timestamp", "format_timestamp(timestamp)", "t", 1, 's',
        SLOW_OP(leat__expr_timestamp_to_string) },
    { "add_seconds", "add_seconds(timestamp, seconds)", "ti", 2, 't', SLOW_OP(add_seconds_kernel) },
    { "diff_seconds", "diff_seconds(a, b)", "tt", 2, 'i', SLOW_OP(diff_seconds_kernel) },
    { .name = "date_trunc", .type = type_date_trunc },
    { .name = NULL },
};
