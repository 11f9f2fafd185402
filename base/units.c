/* base/units.c -- see the header. Numbers are read digit by digit: no locale, no rounding of whole numbers. */
#include "base/units.h"
#include <leat/error.h>
#include <stdio.h>
#include <string.h>

#define FRACTION_DIGITS_MAX 9u

struct unit {
    const char *name;
    uint64_t factor;
};

/* What a text says: whole + fraction / 10^digits. */
struct number {
    uint64_t whole, fraction, fraction_unit;
};

static const struct unit time_units[] = { { "us", 1 }, { "ms", 1000 }, { "s", 1000000 },
    { "m", UINT64_C(60000000) }, { "h", UINT64_C(3600000000) }, { "d", UINT64_C(86400000000) } };
static const struct unit size_units[] = { { "", 1 }, { "b", 1 }, { "kb", 1000 }, { "mb", 1000000 },
    { "gb", UINT64_C(1000000000) }, { "tb", UINT64_C(1000000000000) }, { "kib", 1024 },
    { "mib", UINT64_C(1) << 20 }, { "gib", UINT64_C(1) << 30 }, { "tib", UINT64_C(1) << 40 } };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The number at the beginning of *text, which is moved behind it. */
static int read_number(const char **text, struct number *number)
{
    const char *c = *text;
    *number = (struct number){ .fraction_unit = 1 };
    if (!is_digit(*c))
        return LEAT_EINVAL;
    for (; is_digit(*c); c++) {
        const uint64_t digit = (uint64_t)(*c - '0');
        if (number->whole > (UINT64_MAX - digit) / 10)
            return LEAT_EOVERFLOW;
        number->whole = number->whole * 10 + digit;
    }
    if (*c == '.') {
        c++;
        if (!is_digit(*c))
            return LEAT_EINVAL;
        for (uint32_t digits = 0; is_digit(*c); c++, digits++) {
            if (digits == FRACTION_DIGITS_MAX)
                return LEAT_EINVAL;
            number->fraction = number->fraction * 10 + (uint64_t)(*c - '0');
            number->fraction_unit *= 10;
        }
    }
    *text = c;
    return 0;
}

static bool equals_ignoring_case(const char *text, const char *lower)
{
    for (; *text && *lower; text++, lower++)
        if ((*text >= 'A' && *text <= 'Z' ? *text + ('a' - 'A') : *text) != *lower)
            return false;
    return *text == *lower;
}

/* number * factor; the fraction is cut off below the smallest unit. */
static int scale(const struct number *number, uint64_t factor, uint64_t max, uint64_t *result)
{
    const uint64_t fraction =
        (uint64_t)((double)number->fraction * (double)factor / (double)number->fraction_unit);
    if (number->whole > max / factor || number->whole * factor > max - fraction)
        return LEAT_EOVERFLOW;
    *result = number->whole * factor + fraction;
    return 0;
}

int leat__duration_parse(const char *text, int64_t *us)
{
    struct number number;
    uint64_t value = 0;
    if (strcmp(text, "0") == 0) {
        *us = 0;
        return 0;
    }
    int result = read_number(&text, &number);
    for (size_t i = 0; result == 0 && i < sizeof time_units / sizeof time_units[0]; i++) {
        if (strcmp(text, time_units[i].name) != 0)
            continue;
        result = scale(&number, time_units[i].factor, INT64_MAX, &value);
        *us = (int64_t)value;
        return result;
    }
    return result < 0 ? result : LEAT_EINVAL;
}

int leat__size_parse(const char *text, uint64_t *bytes)
{
    struct number number;
    const int result = read_number(&text, &number);
    if (result < 0)
        return result;
    for (size_t i = 0; i < sizeof size_units / sizeof size_units[0]; i++)
        if (equals_ignoring_case(text, size_units[i].name))
            return scale(&number, size_units[i].factor, UINT64_MAX, bytes);
    return LEAT_EINVAL;
}

void leat__size_print(uint64_t bytes, char text[LEAT_UNITS_TEXT_MAX])
{
    static const char *const names[] = { "B", "kB", "MB", "GB", "TB", "PB", "EB" };
    double value = (double)bytes;
    int unit = 0;
    while (value >= 999.5 && unit < 6) {
        value /= 1000;
        unit++;
    }
    const int digits = unit == 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
    (void)snprintf(text, LEAT_UNITS_TEXT_MAX, "%.*f %s", digits, value, names[unit]);
}

void leat__duration_print(int64_t us, char text[LEAT_UNITS_TEXT_MAX])
{
    const char *sign = us < 0 ? "-" : "";
    const uint64_t n = us < 0 ? 0 - (uint64_t)us : (uint64_t)us;
    const uint64_t seconds = n / 1000000;
    if (n < 1000)
        (void)snprintf(text, LEAT_UNITS_TEXT_MAX, "%s%llu us", sign, (unsigned long long)n);
    else if (n < 1000000)
        (void)snprintf(text, LEAT_UNITS_TEXT_MAX, "%s%.*f ms", sign, n < 10000, (double)n / 1e3);
    else if (seconds < 60)
        (void)snprintf(text, LEAT_UNITS_TEXT_MAX, "%s%.1f s", sign, (double)n / 1e6);
    else if (seconds < 3600)
        (void)snprintf(text, LEAT_UNITS_TEXT_MAX, "%s%llu m %02llu s", sign,
            (unsigned long long)(seconds / 60), (unsigned long long)(seconds % 60));
    else if (seconds < 86400)
        (void)snprintf(text, LEAT_UNITS_TEXT_MAX, "%s%llu h %02llu m", sign,
            (unsigned long long)(seconds / 3600), (unsigned long long)(seconds / 60 % 60));
    else
        (void)snprintf(text, LEAT_UNITS_TEXT_MAX, "%s%llu d %llu h", sign,
            (unsigned long long)(seconds / 86400), (unsigned long long)(seconds / 3600 % 24));
}
